//! The rows of tensors as samples.

use tensor::{Generator, Tensor};

use super::Dataset;

/// Tensors of equal length whose rows belong together: one tensor or a tuple of them.
pub trait Rows: Clone + Send + Sync + 'static {
    /// The length of each tensor's first dimension.
    fn lengths(&self) -> Vec<usize>;

    /// Row `index` of each tensor, without the first dimension: views, no copies.
    fn row(&self, index: usize) -> Self;
}

impl Rows for Tensor {
    fn lengths(&self) -> Vec<usize> {
        assert!(self.ndim() > 0, "TensorDataset: a tensor without dimensions has no rows");
        vec![self.dim(0)]
    }

    fn row(&self, index: usize) -> Tensor {
        self.select(0, index as isize)
    }
}

macro_rules! tuples {
    ($(($($part:ident $at:tt),+)),*) => {$(
        impl<$($part: Rows),+> Rows for ($($part,)+) {
            fn lengths(&self) -> Vec<usize> {
                let mut all = Vec::new();
                $(all.extend(self.$at.lengths());)+
                all
            }

            fn row(&self, index: usize) -> Self {
                ($(self.$at.row(index),)+)
            }
        }
    )*};
}
tuples!((A 0), (A 0, B 1), (A 0, B 1, C 2), (A 0, B 1, C 2, D 3));

/// A data set whose sample `i` is row `i` of one tensor or of several: `(x[i], y[i])`.
///
/// ```
/// use models::data::{Dataset, TensorDataset};
/// use tensor::{Generator, Tensor};
///
/// let data = TensorDataset::new((Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([0i64, 1])));
/// let (x, y) = data.get(1, &mut Generator::new(0));
/// assert_eq!((x.to_vec::<f64>(), y.item::<i64>()), (vec![3.0, 4.0], 1));
/// ```
#[derive(Debug, Clone)]
pub struct TensorDataset<R> {
    tensors: R,
    len: usize,
}

impl<R: Rows> TensorDataset<R> {
    /// The rows of `tensors`.
    ///
    /// # Panics
    /// When the tensors differ in their first size, or one has no dimension.
    #[track_caller]
    pub fn new(tensors: R) -> TensorDataset<R> {
        let lengths = tensors.lengths();
        let len = lengths[0];
        assert!(
            lengths.iter().all(|&n| n == len),
            "TensorDataset: the tensors have different numbers of rows\n  rows {lengths:?}   rule all equal"
        );
        TensorDataset { tensors, len }
    }

    /// The tensors.
    pub fn tensors(&self) -> &R {
        &self.tensors
    }
}

impl<R: Rows> Dataset for TensorDataset<R> {
    type Sample = R;

    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, index: usize, _: &mut Generator) -> R {
        self.tensors.row(index)
    }
}
