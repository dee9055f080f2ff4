//! What a data set is: a length, and one sample at a time.

use std::sync::Arc;

use tensor::Generator;

/// Samples that can be counted and fetched by their index.
///
/// A sample is usually a tuple of tensors, `(image, label)`. It can be anything that can go from thread to thread; what
/// [`Collate`](crate::data::Collate) is implemented for can be put together to batches without further ado. Where
/// fetching a sample can fail (it lies in a file of its own, say), the sample is a `Result`, and so is each batch.
///
/// ```
/// use models::data::{DataLoader, DataLoaderOptions, Dataset};
/// use tensor::{DType, Generator, Tensor};
///
/// /// Points with noise around a line; other noise in each epoch.
/// struct Line;
///
/// impl Dataset for Line {
///     type Sample = (Tensor, Tensor);
///
///     fn len(&self) -> usize {
///         50
///     }
///
///     fn get(&self, index: usize, rng: &mut Generator) -> (Tensor, Tensor) {
///         let x = Tensor::full([1], index as f64, DType::F32);
///         let y = &x * 2.0 + Tensor::randn_with([1], DType::F32, rng);
///         (x, y)
///     }
/// }
///
/// let loader = DataLoader::with(Line, DataLoaderOptions { batch_size: 10, num_workers: 2, ..Default::default() });
/// for (x, y) in &loader {
///     assert_eq!((x.dims(), y.dims()), (&[10, 1][..], &[10, 1][..]));
/// }
/// ```
pub trait Dataset: Send + Sync {
    /// One sample.
    type Sample: Send + 'static;

    /// The number of samples.
    fn len(&self) -> usize;

    /// The sample of this index, which is below the length; what happens otherwise is up to the data set.
    ///
    /// `rng` is this sample's own source of random numbers, for noise or augmentation; most data sets do without. A
    /// loader makes it from its seed, the epoch and the index, so that the number of its threads changes nothing.
    fn get(&self, index: usize, rng: &mut Generator) -> Self::Sample;

    /// Whether there is no sample.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The data set whose samples are `f` of these. The second argument of `f` is the sample's source of random numbers.
    ///
    /// ```
    /// use models::data::{Dataset, TensorDataset};
    /// use tensor::{DType, Generator, Tensor};
    ///
    /// let bytes = TensorDataset::new((Tensor::from([[0u8, 255], [51, 102]]), Tensor::from([0i64, 1])));
    /// let noisy = bytes.map(|(x, y), rng| {
    ///     let x = x.to_dtype(DType::F32) / 255.0;
    ///     let noise = Tensor::randn_with([2], DType::F32, rng) * 0.01;
    ///     (x + noise, y)
    /// });
    /// let (x, y) = noisy.get(1, &mut Generator::new(0));
    /// assert!(x.allclose(&Tensor::from([0.2f32, 0.4]), 0.0, 0.1) && y.item::<i64>() == 1);
    /// ```
    fn map<T, F>(self, f: F) -> Map<Self, F>
    where
        Self: Sized,
        T: Send + 'static,
        F: Fn(Self::Sample, &mut Generator) -> T + Send + Sync,
    {
        Map { dataset: self, f }
    }
}

/// A pointer to a data set is one: several subsets share their data set in this way, and data sets of different types
/// with one type of samples become one type behind a `Box<dyn Dataset<Sample = ..>>`.
macro_rules! pointers {
    ($($pointer:ident),*) => {$(
        impl<D: Dataset + ?Sized> Dataset for $pointer<D> {
            type Sample = D::Sample;

            fn len(&self) -> usize {
                (**self).len()
            }

            fn get(&self, index: usize, rng: &mut Generator) -> D::Sample {
                (**self).get(index, rng)
            }
        }
    )*};
}
pointers!(Arc, Box);

/// A data set whose samples go through a function; see [`Dataset::map`].
#[derive(Debug, Clone)]
pub struct Map<D, F> {
    dataset: D,
    f: F,
}

impl<D, F, T> Dataset for Map<D, F>
where
    D: Dataset,
    T: Send + 'static,
    F: Fn(D::Sample, &mut Generator) -> T + Send + Sync,
{
    type Sample = T;

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn get(&self, index: usize, rng: &mut Generator) -> T {
        let sample = self.dataset.get(index, rng);
        (self.f)(sample, rng)
    }
}

/// Samples that lie in a `Vec`, each as long as it likes: lines of a text, file names.
///
/// ```
/// use models::data::{Dataset, VecDataset};
/// use tensor::{Generator, Tensor};
///
/// let lines = VecDataset::new(vec!["ab".to_string(), "c".to_string()]);
/// let codes = lines.map(|line, _| Tensor::from_slice(line.as_bytes(), [line.len()]));
/// assert_eq!(codes.get(0, &mut Generator::new(0)).to_vec::<u8>(), [97, 98]);
/// ```
#[derive(Debug, Clone)]
pub struct VecDataset<S> {
    samples: Vec<S>,
}

impl<S: Clone + Send + Sync + 'static> VecDataset<S> {
    /// The data set of these samples.
    pub fn new(samples: Vec<S>) -> VecDataset<S> {
        VecDataset { samples }
    }
}

impl<S: Clone + Send + Sync + 'static> Dataset for VecDataset<S> {
    type Sample = S;

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn get(&self, index: usize, _: &mut Generator) -> S {
        self.samples[index].clone()
    }
}
