//! The table of learned vectors.

use autograd::{Var, no_grad};
use tensor::{DType, Tensor};

use crate::functional::{self, padding_row};
use crate::layers::printed;
use crate::{Module, Parameter, init};

/// Options of [`Embedding`].
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingOptions {
    /// A row that starts at zero and gets no gradient; it may count from the end (default: none).
    pub padding_idx: Option<isize>,
    /// The norm that a row has at most when it is read; longer ones are shortened in place (default: no limit).
    pub max_norm: Option<f64>,
    /// Which norm that is (default: 2).
    pub norm_type: f64,
    /// Whether the gradient of a row is divided by how often it was read (default: false).
    pub scale_grad_by_freq: bool,
    /// The dtype of the table (default: f32).
    pub dtype: DType,
}

impl Default for EmbeddingOptions {
    fn default() -> EmbeddingOptions {
        EmbeddingOptions {
            padding_idx: None,
            max_norm: None,
            norm_type: 2.0,
            scale_grad_by_freq: false,
            dtype: DType::F32,
        }
    }
}

/// `y[..] = weight[ids[..]]`: a row of the table for each index. The table starts as N(0, 1), its padding as zero.
///
/// # Shape
/// ids `[..]` (i64) `-> [.., embedding_dim]`; `weight` is `[num_embeddings, embedding_dim]`.
///
/// # Gradient
/// `dy` added up at the rows that were read, but none for the padding. With a `max_norm` the rows are shortened before they
/// are read, and what shortened them is not differentiated.
///
/// # Panics
/// When an index is not in `0..num_embeddings`.
///
/// # Differs
/// There are no sparse gradients, and no option `sparse`.
///
/// ```
/// use nn::prelude::*;
///
/// let options = EmbeddingOptions { padding_idx: Some(0), ..Default::default() };
/// let table = Embedding::with(10, 4, options);
/// let ids = Tensor::from([[1i64, 2, 3], [1, 0, 9]]);
/// let y = table.forward(&ids).value();
/// assert_eq!(y.dims(), [2, 3, 4]);
/// assert_eq!(y.get::<f32>(&[1, 1, 3]), 0.0);
/// assert_eq!(table.to_string(), "Embedding(10, 4, padding_idx=0)");
/// ```
#[derive(Debug, Module)]
#[module(repr = Embedding::repr)]
pub struct Embedding {
    /// `[num_embeddings, embedding_dim]`.
    pub weight: Parameter,
    #[module(config)]
    options: EmbeddingOptions,
}

impl Embedding {
    /// A table of `num_embeddings` vectors.
    pub fn new(num_embeddings: usize, embedding_dim: usize) -> Embedding {
        Embedding::with(num_embeddings, embedding_dim, EmbeddingOptions::default())
    }

    /// A table with options.
    ///
    /// # Panics
    /// When `padding_idx` is no row.
    #[track_caller]
    pub fn with(num_embeddings: usize, embedding_dim: usize, options: EmbeddingOptions) -> Embedding {
        let weight = init::empty_parameter([num_embeddings, embedding_dim], options.dtype);
        init::normal_(&weight, 0.0, 1.0);
        let table = Embedding::around(weight, options);
        if let Some(row) = table.options.padding_idx {
            zero_row(&table.weight, row);
        }
        table
    }

    /// A table of known vectors, `[num_embeddings, embedding_dim]`, frozen or to be trained further.
    ///
    /// # Panics
    /// When the tensor is no matrix of floats.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let table = Embedding::from_pretrained(Tensor::from([[1f32, 2.5], [4.0, 5.0]]), true);
    /// assert_eq!(table.forward(&Tensor::from([1i64])).value().to_vec::<f32>(), [4.0, 5.0]);
    /// assert!(!table.weight.requires_grad());
    /// ```
    #[track_caller]
    pub fn from_pretrained(embeddings: Tensor, freeze: bool) -> Embedding {
        Embedding::from_pretrained_with(embeddings, freeze, EmbeddingOptions::default())
    }

    /// [`from_pretrained`](Embedding::from_pretrained) with options, of which the dtype is not used. The padding keeps its
    /// values.
    ///
    /// # Panics
    /// When the tensor is no matrix of floats, or `padding_idx` is no row of it.
    #[track_caller]
    pub fn from_pretrained_with(embeddings: Tensor, freeze: bool, options: EmbeddingOptions) -> Embedding {
        Embedding::around(pretrained("Embedding", embeddings, freeze), options)
    }

    #[track_caller]
    fn around(weight: Parameter, options: EmbeddingOptions) -> Embedding {
        // PyTorch prints the padding counted from the front.
        let padding_idx = padding_row(options.padding_idx, weight.dim(0)).map(|row| row as isize);
        Embedding { weight, options: EmbeddingOptions { padding_idx, ..options } }
    }

    /// The number of vectors.
    pub fn num_embeddings(&self) -> usize {
        self.weight.dim(0)
    }

    /// The size of a vector.
    pub fn embedding_dim(&self) -> usize {
        self.weight.dim(1)
    }

    /// The rows of the table at these indices.
    #[track_caller]
    pub fn forward(&self, ids: &Tensor) -> Var {
        // Reading alone is all that a quantised table does: it has no gradient that could pass over the padding.
        if self.weight.quantized().is_some() && !self.changes_when_read() {
            return self.weight.rows(ids);
        }
        functional::embedding(ids, &self.weight, &self.options)
    }

    /// How well `x` fits each of the vectors, `x wᵀ`: the logits of a model whose head is its embedding.
    ///
    /// # Shape
    /// `[.., embedding_dim] -> [.., num_embeddings]`
    ///
    /// # Differs
    /// PyTorch has no such method; in Flax it has this name.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let table = Embedding::from_pretrained(Tensor::from([[1f32, 0.0], [0.0, 2.0], [1.0, 1.0]]), true);
    /// let x = Var::new(Tensor::from([3f32, 5.0]));
    /// assert_eq!(table.attend(&x).to_vec::<f32>(), [3.0, 10.0, 8.0]);
    /// ```
    #[track_caller]
    pub fn attend(&self, x: &Var) -> Var {
        self.weight.linear(x, None)
    }

    /// Whether there is a norm to which rows are shortened when they are read.
    pub(crate) fn changes_when_read(&self) -> bool {
        self.options.max_norm.is_some()
    }

    fn repr(&self) -> String {
        let EmbeddingOptions { padding_idx, max_norm, norm_type, scale_grad_by_freq, .. } = self.options;
        let mut text = format!("{}, {}", self.num_embeddings(), self.embedding_dim());
        if let Some(row) = padding_idx {
            text += &format!(", padding_idx={row}");
        }
        text + &norm_repr(max_norm, norm_type, scale_grad_by_freq) + &printed::precision(&self.weight)
    }
}

/// A parameter of vectors that are known already.
#[track_caller]
pub(super) fn pretrained(layer: &str, embeddings: Tensor, freeze: bool) -> Parameter {
    assert!(
        embeddings.ndim() == 2 && embeddings.dtype().is_floating_point(),
        "{layer}: the vectors are no matrix of floats\n  embeddings {:?} {}   rule [num_embeddings, embedding_dim]",
        embeddings.dims(),
        embeddings.dtype(),
    );
    let weight = Parameter::new(embeddings);
    weight.requires_grad_(!freeze);
    weight
}

pub(super) fn zero_row(weight: &Parameter, row: isize) {
    let zeros = Tensor::zeros([1, weight.dim(1)], weight.dtype());
    no_grad(|| weight.update(|table| table.assign_(|table| table.narrow(0, row as usize, 1), &zeros)));
}

/// How both tables print their options, where those are not the defaults.
pub(super) fn norm_repr(max_norm: Option<f64>, norm_type: f64, scale_grad_by_freq: bool) -> String {
    let mut text = String::new();
    if let Some(norm) = max_norm {
        text += &format!(", max_norm={}", printed::float(norm));
    }
    if norm_type != 2.0 {
        text += &format!(", norm_type={}", printed::float(norm_type));
    }
    if scale_grad_by_freq {
        text += ", scale_grad_by_freq=True";
    }
    text
}
