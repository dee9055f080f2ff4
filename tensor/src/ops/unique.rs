//! The elements that differ from each other.

use std::cmp::Ordering;

use crate::dtype::{Number, dispatch};
use crate::{DType, Error, Tensor};

/// What [`Tensor::unique`] finds.
#[derive(Debug, Clone)]
pub struct Unique {
    /// The different elements, or the different slices along a dimension.
    pub values: Tensor,
    /// For each element, or slice, of the input its place in `values` (i64).
    pub inverse: Tensor,
    /// How often each of the values occurs (i64).
    pub counts: Tensor,
}

impl Tensor {
    /// The different elements in ascending order, or with `dim` the different slices along it in lexicographic order;
    /// with each one's number and where each element went. NaN differs from everything, itself included, and comes last.
    ///
    /// # Panics
    /// If slices along `dim` have no element but the dimension is not empty.
    ///
    /// # Differs
    /// Always sorted: PyTorch's `sorted=False` promises no order.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let found = Tensor::from([3i64, 1, 3]).unique(None);
    /// assert_eq!(found.values.to_vec::<i64>(), [1, 3]);
    /// assert_eq!(found.inverse.to_vec::<i64>(), [1, 0, 1]);
    /// assert_eq!(found.counts.to_vec::<i64>(), [1, 2]);
    /// ```
    #[track_caller]
    pub fn unique(&self, dim: impl Into<Option<isize>>) -> Unique {
        self.distinct("unique", dim.into(), true)
    }

    /// As [`unique`](Tensor::unique), but only neighbours are compared: the first of each run of equal elements, in their
    /// order, with the length of the run.
    ///
    /// # Panics
    /// If slices along `dim` have no element but the dimension is not empty.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let found = Tensor::from([1i64, 1, 2, 1]).unique_consecutive(None);
    /// assert_eq!(found.values.to_vec::<i64>(), [1, 2, 1]);
    /// assert_eq!(found.counts.to_vec::<i64>(), [2, 1, 1]);
    /// ```
    #[track_caller]
    pub fn unique_consecutive(&self, dim: impl Into<Option<isize>>) -> Unique {
        self.distinct("unique_consecutive", dim.into(), false)
    }

    #[track_caller]
    fn distinct(&self, op: &str, dim: Option<isize>, sort: bool) -> Unique {
        let (x, d) = match dim {
            Some(dim) => (self.lined().into_owned(), self.lined().resolve(op, dim)),
            None => (self.ravel(), 0),
        };
        let n = x.dims()[d];
        if x.numel() == 0 && n > 0 {
            let what = format!("the slices along dimension {d} have no element");
            panic!("{}", Error::shape(op, what, &[("tensor", self.shape())], "only dim itself may be empty"));
        }
        let rows = x.movedim(d as isize, 0).contiguous();
        let rows = if rows.dtype() == DType::Bool { rows.to_dtype(DType::U8) } else { rows.widen() };
        let (firsts, counts, inverse) = dispatch!(number rows.dtype(), op, T => {
            runs(rows.as_slice::<T>().expect("contiguous"), n, sort)
        });
        let found = firsts.len();
        let values = x.index_select(d as isize, &Tensor::from_vec(firsts, [found]));
        let inverse = Tensor::from_vec(inverse, [n]);
        Unique {
            values,
            inverse: if dim.is_none() { inverse.reshape(self.shape()) } else { inverse },
            counts: Tensor::from_vec(counts, [found]),
        }
    }
}

/// The first row of each run of equal rows, the length of each run, and for each row the number of its run; the runs of
/// all rows in order, or of neighbours only.
fn runs<T: Number>(data: &[T], rows: usize, sort: bool) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let width = data.len() / rows.max(1);
    let row = |i: usize| &data[i * width..][..width];
    let compare = |a: T, b: T| a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    let mut order: Vec<usize> = (0..rows).collect();
    if sort {
        order.sort_by(|&i, &j| {
            let differing = row(i).iter().zip(row(j)).map(|(&a, &b)| compare(a, b)).find(|o| o.is_ne());
            differing.unwrap_or(Ordering::Equal)
        });
    }
    let (mut firsts, mut counts, mut inverse) = (Vec::new(), Vec::new(), vec![0; rows]);
    for i in order {
        match firsts.last() {
            Some(&first) if row(first as usize) == row(i) => *counts.last_mut().expect("as many as firsts") += 1,
            _ => {
                firsts.push(i as i64);
                counts.push(1);
            }
        }
        inverse[i] = firsts.len() as i64 - 1;
    }
    (firsts, counts, inverse)
}
