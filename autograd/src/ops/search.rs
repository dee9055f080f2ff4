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

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    fn different(a: &Args, found: Unique) -> Outcome {
        let mut results = vec![found.values];
        results.extend(a.flag(usize::MAX, "return_inverse", false)?.then_some(found.inverse));
        results.extend(a.flag(usize::MAX, "return_counts", false)?.then_some(found.counts));
        done(results)
    }
    fn places(a: &Args, places: impl FnOnce(bool) -> Tensor) -> Outcome {
        let right = a.flag(usize::MAX, "right", false)? || a.text(usize::MAX, "side", "left")? == "right";
        let narrow = a.flag(usize::MAX, "out_int32", false)?;
        let places = places(right);
        done(if narrow { places.to_dtype(tensor::DType::I32) } else { places })
    }
    vec![
        torch("nonzero", &["nonzero"], |a| {
            let found = a.var(0, "input")?.nonzero();
            match a.flag(usize::MAX, "as_tuple", false)? {
                // A scalar counts as a vector of one element there.
                true if found.dim(1) == 0 => done(a.var(0, "input")?.unsqueeze(0).nonzero().unbind(1)),
                true => done(found.unbind(1)),
                false => done(found),
            }
        }),
        torch("argwhere", &["argwhere"], |a| done(a.var(0, "input")?.argwhere())),
        torch("unique", &["unique"], |a| {
            // Ours is always sorted.
            a.flag(usize::MAX, "sorted", true)?;
            different(a, a.var(0, "input")?.unique(a.opt_int(usize::MAX, "dim")?))
        }),
        torch("unique_consecutive", &["unique_consecutive"], |a| {
            different(a, a.var(0, "input")?.unique_consecutive(a.opt_int(usize::MAX, "dim")?))
        }),
        torch("nn.functional.one_hot", &["one_hot"], |a| {
            let classes = a.int_or(1, "num_classes", -1)?;
            done(a.tensor(0, "input")?.one_hot((classes >= 0).then_some(classes as usize)))
        }),
        torch("bincount", &["bincount"], |a| {
            done(a.tensor(0, "input")?.bincount(a.opt_tensor(1, "weights")?.as_ref(), a.size_or(2, "minlength", 0)?))
        }),
        torch("searchsorted", &["searchsorted"], |a| {
            let sequence = a.var(0, "sorted_sequence")?;
            let values = match a.is_tensor(1, "input") {
                true => a.var(1, "input")?,
                false => Var::scalar(a.number(1, "input")?),
            };
            let sorter = a.opt_tensor(usize::MAX, "sorter")?;
            places(a, |right| sequence.searchsorted(&values, right, sorter.as_ref()))
        }),
        torch("bucketize", &["bucketize"], |a| {
            let (x, boundaries) = (a.var(0, "input")?, a.tensor(1, "boundaries")?);
            places(a, |right| x.bucketize(&boundaries, right))
        }),
        torch("histc", &["histc"], |a| {
            let (x, bins) = (a.var(0, "input")?, a.size_or(1, "bins", 100)?);
            done(x.histc(bins, a.number_or(2, "min", 0.0)?, a.number_or(3, "max", 0.0)?))
        }),
    ]
}
