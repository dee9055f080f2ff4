//! Questions about a value that have no gradient: where its elements are, how often they occur, where they belong.

use tensor::{Tensor, Unique};

use crate::var::Var;

impl Var {
    /// The indices of the elements that are not zero, a row for each: no gradient flows through them.
    #[track_caller]
    pub fn nonzero(&self) -> Tensor {
        self.tensor().nonzero()
    }

    /// The same as [`Var::nonzero`].
    #[track_caller]
    pub fn argwhere(&self) -> Tensor {
        self.tensor().argwhere()
    }

    /// The different elements, or slices along `dim`, in order: no gradient flows through them.
    #[track_caller]
    pub fn unique(&self, dim: impl Into<Option<isize>>) -> Unique {
        self.tensor().unique(dim)
    }

    /// The elements, or slices along `dim`, that differ from their neighbour before them: no gradient flows through them.
    #[track_caller]
    pub fn unique_consecutive(&self, dim: impl Into<Option<isize>>) -> Unique {
        self.tensor().unique_consecutive(dim)
    }

    /// Where each of `values` belongs in this sorted sequence: no gradient flows through the places.
    #[track_caller]
    pub fn searchsorted(&self, values: &Var, right: bool, sorter: Option<&Tensor>) -> Tensor {
        self.tensor().searchsorted(&values.tensor(), right, sorter)
    }

    /// The interval between `boundaries` that each element lies in: no gradient flows through the numbers.
    #[track_caller]
    pub fn bucketize(&self, boundaries: &Tensor, right: bool) -> Tensor {
        self.tensor().bucketize(boundaries, right)
    }

    /// How many elements lie in each of `bins` intervals: no gradient flows through the counts.
    #[track_caller]
    pub fn histc(&self, bins: usize, min: f64, max: f64) -> Tensor {
        self.tensor().histc(bins, min, max)
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    /// Whole numbers from 0 to 4 for what counts.
    fn whole(x: &Var) -> Tensor {
        x.value().abs().to_dtype(tensor::DType::I64)
    }
    vec![
        sample("nonzero", &[NONZERO], same, |v, _| mask(v[0].nonzero())),
        sample("argwhere", &[NONZERO], same, |v, _| mask(v[0].argwhere())),
        sample("unique", &[DISTINCT], rows, |v, p| mask(v[0].unique(p.dim(v[0].ndim())).inverse)),
        sample("unique", &[DISTINCT], same, |v, _| mask(v[0].unique(None).inverse)),
        sample("unique_consecutive", &[DISTINCT], same, |v, _| mask(v[0].unique_consecutive(None).counts)),
        sample("searchsorted", &[DISTINCT, DISTINCT], rows, |v, p| {
            mask(v[0].sort(-1, false).0.searchsorted(&v[1], p.coin(), None))
        }),
        sample("searchsorted", &[DISTINCT, DISTINCT], rows, |v, p| {
            mask(v[0].searchsorted(&v[1], p.coin(), Some(&v[0].argsort(-1, false))))
        }),
        sample("bucketize", &[Domain::Away(&[-1.0, 0.5])], same, |v, p| {
            mask(v[0].bucketize(&Tensor::from([-1.0, 0.5]), p.coin()))
        }),
        sample("histc", &[Domain::Away(&[-2.0, -1.0, 0.0, 1.0, 2.0])], same, |v, _| mask(v[0].histc(4, -2.0, 2.0))),
        sample("bincount", &[NONZERO], same, |v, _| mask(whole(&v[0]).ravel().bincount(None, 3))),
        sample("one_hot", &[NONZERO], same, |v, _| mask(whole(&v[0]).one_hot(5))),
    ]
}
