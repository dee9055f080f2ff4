//! Models, and what it takes to train and use them: data, tokenizer, trainer, generation, checkpoints and the `gpt`
//! command.
//!
//! | module | holds |
//! | --- | --- |
//! | [`mlp`], [`gpt`], [`llama`] | the models, written to be read |
//! | [`language_model`] | what language models have in common, and their cache |
//! | [`data`] | data sets, the loader, files |
//! | [`tokenizer`], [`corpus`] | text to tokens |
//! | [`train`], [`curve`], [`progress`], [`tensorboard`] | the trainer, its loss curve, what it shows |
//! | [`run`] | the directory of a run, from which it goes on after whatever stopped it |
//! | [`generate`], [`evaluate`] | text from a model, and how well it predicts one |
//! | [`checkpoint`] | model directories in the Hugging Face layout |
//! | [`weights`], [`mod@convert`] | the tensors of checkpoints of every format, and their conversion |
//! | [`mod@plan`] | what training a model takes |
//! | [`published`] | the sizes of models that have a name |
//! | [`presets`], [`mod@bench`], [`cli`] | the `gpt` command |

pub mod bench;
pub mod checkpoint;
pub mod cli;
pub mod convert;
pub mod corpus;
pub mod curve;
pub mod data;
mod error;
pub mod evaluate;
pub mod generate;
pub mod gpt;
pub mod language_model;
pub mod llama;
pub mod mlp;
mod pace;
pub mod plan;
pub mod presets;
pub mod progress;
pub mod published;
pub mod run;
mod storage;
pub mod tensorboard;
pub mod tokenizer;
pub mod train;
pub mod weights;

pub use data::{Split, TextDataset};
pub use error::{Error, Result};
pub use gpt::{Gpt, GptConfig};
pub use language_model::{Cache, LanguageModel, ModelConfig};
pub use llama::{Llama, LlamaConfig};
pub use mlp::Mlp;
pub use presets::Preset;
pub use storage::Storage;
pub use tokenizer::Tokenizer;
