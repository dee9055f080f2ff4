//! Sums, means and maxima of bags of learned vectors.

use autograd::Var;
use tensor::{DType, Tensor};

use super::table::{norm_repr, pretrained, zero_row};
use crate::functional::{self, padding_row};
use crate::{Module, Parameter, init};

/// What [`EmbeddingBag`] makes of the rows of a bag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EmbeddingBagMode {
    /// Their sum, which can be weighted.
    Sum,
    /// Their mean.
    #[default]
    Mean,
    /// The largest element of each column.
    Max,
}

/// Options of [`EmbeddingBag`].
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingBagOptions {
    /// The norm that a row has at most when it is read; longer ones are shortened in place (default: no limit).
    pub max_norm: Option<f64>,
    /// Which norm that is (default: 2).
    pub norm_type: f64,
    /// Whether the gradient of a row is divided by how often it was read; not for the maximum (default: false).
    pub scale_grad_by_freq: bool,
    /// What becomes of the rows of a bag (default: their mean).
    pub mode: EmbeddingBagMode,
    /// Whether the offsets end with the number of indices (default: false).
    pub include_last_offset: bool,
    /// A row that counts in no bag, starts at zero and gets no gradient; it may count from the end (default: none).
    pub padding_idx: Option<isize>,
    /// The dtype of the table (default: f32).
    pub dtype: DType,
}

impl Default for EmbeddingBagOptions {
    fn default() -> EmbeddingBagOptions {
        EmbeddingBagOptions {
            max_norm: None,
            norm_type: 2.0,
            scale_grad_by_freq: false,
            mode: EmbeddingBagMode::Mean,
            include_last_offset: false,
            padding_idx: None,
            dtype: DType::F32,
        }
    }
}

/// The mean of the rows `weight[ids]` of each bag, or their sum or maximum:
/// [`functional::embedding_bag`](crate::functional::embedding_bag) as a module, which documents shapes, gradients and what
/// is refused. The table starts as N(0, 1), its padding as zero.
///
/// # Differs
/// There are no sparse gradients, and no option `sparse`.
///
/// ```
/// use nn::prelude::*;
///
/// let bags = EmbeddingBag::new(10, 3);
/// let ids = Tensor::from([1i64, 2, 4, 5, 4, 3, 2, 9]);
/// assert_eq!(bags.forward(&ids, Some(&Tensor::from([0i64, 4])), None).value().dims(), [2, 3]);
/// assert_eq!(bags.to_string(), "EmbeddingBag(10, 3, mode='mean')");
/// ```
#[derive(Debug, Module)]
#[module(repr = EmbeddingBag::repr)]
pub struct EmbeddingBag {
    /// `[num_embeddings, embedding_dim]`.
    pub weight: Parameter,
    #[module(config)]
    options: EmbeddingBagOptions,
}

impl EmbeddingBag {
    /// A table of `num_embeddings` vectors, of which means are taken.
    pub fn new(num_embeddings: usize, embedding_dim: usize) -> EmbeddingBag {
        EmbeddingBag::with(num_embeddings, embedding_dim, EmbeddingBagOptions::default())
    }

    /// A table with options.
    ///
    /// # Panics
    /// When `padding_idx` is no row.
    #[track_caller]
    pub fn with(num_embeddings: usize, embedding_dim: usize, options: EmbeddingBagOptions) -> EmbeddingBag {
        let weight = init::empty_parameter([num_embeddings, embedding_dim], options.dtype);
        init::normal_(&weight, 0.0, 1.0);
        let bags = EmbeddingBag::around(weight, options);
        if let Some(row) = bags.options.padding_idx {
            zero_row(&bags.weight, row);
        }
        bags
    }

    /// A table of known vectors, `[num_embeddings, embedding_dim]`, frozen or to be trained further.
    ///
    /// # Panics
    /// When the tensor is no matrix of floats.
    #[track_caller]
    pub fn from_pretrained(embeddings: Tensor, freeze: bool) -> EmbeddingBag {
        EmbeddingBag::from_pretrained_with(embeddings, freeze, EmbeddingBagOptions::default())
    }

    /// [`from_pretrained`](EmbeddingBag::from_pretrained) with options, of which the dtype is not used. The padding keeps
    /// its values.
    ///
    /// # Panics
    /// When the tensor is no matrix of floats, or `padding_idx` is no row of it.
    #[track_caller]
    pub fn from_pretrained_with(embeddings: Tensor, freeze: bool, options: EmbeddingBagOptions) -> EmbeddingBag {
        EmbeddingBag::around(pretrained("EmbeddingBag", embeddings, freeze), options)
    }

    #[track_caller]
    fn around(weight: Parameter, options: EmbeddingBagOptions) -> EmbeddingBag {
        let padding_idx = padding_row(options.padding_idx, weight.dim(0)).map(|row| row as isize);
        EmbeddingBag { weight, options: EmbeddingBagOptions { padding_idx, ..options } }
    }

    /// The number of vectors.
    pub fn num_embeddings(&self) -> usize {
        self.weight.dim(0)
    }

    /// The size of a vector.
    pub fn embedding_dim(&self) -> usize {
        self.weight.dim(1)
    }

    /// What becomes of the bags: `[b, n]` indices alone, or `[l]` indices and the offsets at which bags begin. The sum can
    /// have a factor for each index.
    #[track_caller]
    pub fn forward(&self, ids: &Tensor, offsets: Option<&Tensor>, per_sample_weights: Option<&Var>) -> Var {
        functional::embedding_bag(ids, &self.weight, offsets, per_sample_weights, &self.options)
    }

    fn repr(&self) -> String {
        let EmbeddingBagOptions { max_norm, norm_type, scale_grad_by_freq, mode, padding_idx, .. } = self.options;
        let mode = match mode {
            EmbeddingBagMode::Sum => "sum",
            EmbeddingBagMode::Mean => "mean",
            EmbeddingBagMode::Max => "max",
        };
        let norm = norm_repr(max_norm, norm_type, scale_grad_by_freq);
        let mut text = format!("{}, {}{norm}, mode='{mode}'", self.num_embeddings(), self.embedding_dim());
        if let Some(row) = padding_idx {
            text += &format!(", padding_idx={row}");
        }
        text
    }
}
