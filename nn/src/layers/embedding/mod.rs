//! The table of learned vectors.

use autograd::Var;
use tensor::{DType, Tensor};

use crate::{Module, Parameter, init};

/// Options of [`Embedding`].
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingOptions {
    /// The dtype of the table (default: f32).
    pub dtype: DType,
}

impl Default for EmbeddingOptions {
    fn default() -> EmbeddingOptions {
        EmbeddingOptions { dtype: DType::F32 }
    }
}

/// `y[..] = weight[ids[..]]`: a row of the table for each index. The table starts as N(0, 1).
///
/// # Shape
/// ids `[..]` (i64) `-> [.., embedding_dim]`; `weight` is `[num_embeddings, embedding_dim]`.
///
/// # Panics
/// When an index is not in `0..num_embeddings`.
///
/// ```
/// use nn::prelude::*;
///
/// let table = Embedding::new(10, 4);
/// let ids = Tensor::from([[1i64, 2, 3], [1, 0, 9]]);
/// assert_eq!(table.forward(&ids).value().dims(), [2, 3, 4]);
/// ```
#[derive(Debug, Module)]
#[module(repr = Embedding::repr)]
pub struct Embedding {
    /// `[num_embeddings, embedding_dim]`.
    pub weight: Parameter,
}

impl Embedding {
    /// A table of `num_embeddings` vectors.
    pub fn new(num_embeddings: usize, embedding_dim: usize) -> Embedding {
        Embedding::with(num_embeddings, embedding_dim, EmbeddingOptions::default())
    }

    /// A table with options.
    pub fn with(num_embeddings: usize, embedding_dim: usize, options: EmbeddingOptions) -> Embedding {
        let weight = init::empty_parameter([num_embeddings, embedding_dim], options.dtype);
        init::normal_(&weight, 0.0, 1.0);
        Embedding { weight }
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
        self.weight.embedding(ids)
    }

    fn repr(&self) -> String {
        format!("{}, {}", self.num_embeddings(), self.embedding_dim())
    }
}
