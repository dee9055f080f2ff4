//! Data: data sets, the loader that makes batches of them, and the files they come from.
//!
//! A [`Dataset`] has a length and gives one sample at a time; a [`DataLoader`] puts samples together to batches, in a
//! new order in each epoch, and on threads of its own if it is told to.
//!
//! ```
//! use models::data::{DataLoader, DataLoaderOptions, TensorDataset, random_split};
//! use tensor::{DType, Generator, Tensor};
//!
//! let (images, labels) = (Tensor::rand([100, 8, 8], DType::F32), Tensor::randint(0, 10, [100]));
//! let data = TensorDataset::new((images, labels));
//! let [train, validation] = random_split(data, [0.9, 0.1], &mut Generator::new(0));
//! let train = DataLoader::with(train, DataLoaderOptions { batch_size: 32, shuffle: true, ..Default::default() });
//! assert_eq!(train.len(), 3); // batches of 32, 32 and 26
//! for (x, y) in &train {
//!     assert_eq!(x.dims()[1..], [8, 8]);
//!     assert_eq!(x.dim(0), y.dim(0));
//! }
//! # let _ = validation;
//! ```
//!
//! | file | holds |
//! | --- | --- |
//! | [`dataset`](Dataset) | what a data set is, changed samples ([`Dataset::map`]), samples in a `Vec` |
//! | [`rows`](TensorDataset), [`parts`](random_split) | the rows of tensors; parts of data sets, and several as one |
//! | [`collate`](Collate) | samples to batches |
//! | [`sampler`](Sampler) | orders: one after the other, random, weighted, in batches |
//! | [`loader`](DataLoader), [`epoch`](Epoch) | batches, seeded, resumable; the threads behind them |
//! | [`text_dataset`](TextDataset) | a text as windows of tokens, at random or as a data set |
//! | [`idx`], [`npy`], [`npz`], [`pth`], [`csv`], [`text`] | files: MNIST's format, NumPy's, PyTorch's, tables, texts |
//!
//! Files are read whole; what a header claims is compared with the length of the file before it is believed, and gzipped
//! files are recognised by their content. A compressed file may unpack to 256 MiB, or to 100 times its size where that is
//! more; one that goes on is refused.

mod bytes;
mod collate;
pub mod csv;
mod dataset;
mod epoch;
pub mod idx;
mod loader;
pub mod npy;
pub mod npz;
mod parts;
pub mod pth;
mod rows;
mod sampler;
pub mod text;
mod text_dataset;
mod zip;

pub use collate::Collate;
pub use dataset::{Dataset, Map, VecDataset};
pub use epoch::Epoch;
pub use loader::{DataLoader, DataLoaderOptions};
pub use parts::{ConcatDataset, Parts, Subset, random_split};
pub use rows::{Rows, TensorDataset};
pub use sampler::{
    BatchSampler, RandomSampler, Sampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler,
};
pub use text_dataset::{Split, TextDataset, TextWindows};
