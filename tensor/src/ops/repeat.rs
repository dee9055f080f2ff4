//! Repeating and shifting: copies of a tensor side by side, of its elements, and elements carried round.

use crate::error::OrPanic;
use crate::{DType, Error, Shape, Tensor};

impl Tensor {
    /// Copies of this tensor laid side by side: `counts[i]` of them along dimension `i`, where new dimensions come in
    /// front.
    ///
    /// # Panics
    /// If there are fewer counts than dimensions; see [`tile`](Tensor::tile).
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([1i64, 2]);
    /// assert_eq!(t.repeat([2, 2]).to_vec::<i64>(), [1, 2, 1, 2, 1, 2, 1, 2]);
    /// ```
    #[track_caller]
    pub fn repeat(&self, counts: impl Into<Shape>) -> Tensor {
        let counts = counts.into();
        let Some(lead) = counts.len().checked_sub(self.ndim()) else {
            let what = format!("{} counts for {} dimensions", counts.len(), self.ndim());
            panic!("{}", Error::shape("repeat", what, &[("tensor", self.shape())], "a count for each dimension"));
        };
        // Each dimension becomes a pair: the copies, then the elements.
        let size = |d: usize| if d < lead { 1 } else { self.dims()[d - lead] };
        let pairs = |copies: &dyn Fn(usize) -> usize| -> Vec<usize> {
            (0..counts.len()).flat_map(|d| [copies(d), size(d)]).collect()
        };
        let repeated: Vec<usize> = (0..counts.len()).map(|d| counts[d].saturating_mul(size(d))).collect();
        Shape::from(&repeated).checked_numel().or_panic();
        self.reshape(pairs(&|_| 1)).expand(pairs(&|d| counts[d])).reshape(repeated)
    }

    /// [`repeat`](Tensor::repeat) in which missing counts in front are 1.
    #[track_caller]
    pub fn tile(&self, counts: impl Into<Shape>) -> Tensor {
        self.repeat(self.tile_counts(&counts.into()))
    }

    /// The counts of a `tile` with those that are missing.
    pub(crate) fn tile_counts(&self, counts: &Shape) -> Shape {
        let missing = self.ndim().saturating_sub(counts.len());
        std::iter::repeat_n(1, missing).chain(counts.iter().copied()).collect()
    }

    /// Each slice along `dim` repeated: as often as a number says, or as a tensor says for each. Without `dim`, of all
    /// elements in row-major order.
    ///
    /// # Panics
    /// If a tensor of counts does not have one (or one for all) for each slice, or a count is negative.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([[1i64, 2], [3, 4]]);
    /// assert_eq!(t.repeat_interleave(2, None).to_vec::<i64>(), [1, 1, 2, 2, 3, 3, 4, 4]);
    /// assert_eq!(t.repeat_interleave(&Tensor::from([0i64, 2]), 0).to_vec::<i64>(), [3, 4, 3, 4]);
    /// ```
    #[track_caller]
    pub fn repeat_interleave(&self, repeats: impl Into<Repeats>, dim: impl Into<Option<isize>>) -> Tensor {
        let (x, dim) = match dim.into() {
            Some(dim) => (self.clone(), self.resolve("repeat_interleave", dim)),
            None => (self.ravel(), 0),
        };
        x.index_select(dim as isize, &repeats.into().positions(x.dims()[dim]))
    }

    /// The elements carried on by `shifts[i]` places along `dims[i]`, those that leave at the end coming back at the
    /// start. Without `dims`, along all elements in row-major order.
    ///
    /// # Panics
    /// If there is no shift, or not one for each dimension.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let t = Tensor::from([[1i64, 2], [3, 4]]);
    /// assert_eq!(t.roll(&[1], &[]).to_vec::<i64>(), [4, 1, 2, 3]);
    /// assert_eq!(t.roll(&[1, -1], &[0, 1]).to_vec::<i64>(), [4, 3, 2, 1]);
    /// ```
    #[track_caller]
    pub fn roll(&self, shifts: &[isize], dims: &[isize]) -> Tensor {
        if dims.is_empty() && shifts.len() == 1 {
            return self.ravel().roll(shifts, &[0]).reshape(self.shape());
        }
        if shifts.is_empty() || shifts.len() != dims.len() {
            let what = format!("{} shifts for {} dimensions", shifts.len(), dims.len());
            panic!("{}", Error::shape("roll", what, &[("tensor", self.shape())], "a shift for each dimension"));
        }
        let mut x = self.clone();
        for (&shift, &dim) in shifts.iter().zip(dims) {
            let d = x.resolve("roll", dim);
            let (n, dim) = (x.dims()[d], d as isize);
            let last = if n == 0 { 0 } else { shift.rem_euclid(n as isize) as usize };
            if last > 0 {
                x = Tensor::cat(&[x.narrow(dim, n - last, last), x.narrow(dim, 0, n - last)], dim);
            }
        }
        x
    }
}

/// How often [`Tensor::repeat_interleave`] repeats.
#[derive(Debug, Clone)]
pub enum Repeats {
    /// Every slice so often.
    All(usize),
    /// Each slice as often as the tensor says.
    Each(Tensor),
}
impl From<usize> for Repeats {
    fn from(repeats: usize) -> Repeats {
        Repeats::All(repeats)
    }
}
impl From<&Tensor> for Repeats {
    fn from(repeats: &Tensor) -> Repeats {
        Repeats::Each(repeats.clone())
    }
}

impl Repeats {
    /// Which of `n` slices stands at each place of the result.
    ///
    /// # Panics
    /// As [`repeat_interleave`](Tensor::repeat_interleave).
    #[track_caller]
    pub fn positions(&self, n: usize) -> Tensor {
        let counts = match self {
            Repeats::All(repeats) => vec![*repeats; n],
            Repeats::Each(counts) => {
                if counts.ndim() > 1 || ![1, n].contains(&counts.numel()) {
                    let what = format!("counts for {n} slices");
                    let shapes: [(&str, &[usize]); 1] = [("repeats", counts.shape())];
                    panic!("{}", Error::shape("repeat_interleave", what, &shapes, "repeats [n] or [1]"));
                }
                if counts.dtype().is_floating_point() || counts.dtype() == DType::Bool {
                    let what = format!("counts must be integers, got {}", counts.dtype());
                    panic!("{}", Error::dtype("repeat_interleave", what));
                }
                let counts = counts.to_dtype(DType::I64).reshape([counts.numel()]).expand([n]).to_vec::<i64>();
                if let Some(negative) = counts.iter().find(|&&count| count < 0) {
                    panic!("{}", Error::value("repeat_interleave", format!("a count is negative: {negative}")));
                }
                counts.into_iter().map(|count| count as usize).collect()
            }
        };
        let places = counts.iter().enumerate().flat_map(|(i, &count)| std::iter::repeat_n(i as i64, count));
        let places: Vec<i64> = places.collect();
        let len = places.len();
        Tensor::from_vec(places, [len])
    }
}
