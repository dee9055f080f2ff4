//! Making tensors that follow a rule: sequences, the identity, grids.

use crate::dtype::dispatch;
use crate::{DType, Element, Error, Shape, Tensor};

/// How [`Tensor::meshgrid`] orders its dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexing {
    /// As the vectors come: matrix indices.
    Ij,
    /// The first two exchanged: Cartesian coordinates.
    Xy,
}

impl Tensor {
    /// The identity matrix of `n` rows and columns, or with a shape `[n, m]` ones on the diagonal of a matrix of that
    /// shape.
    ///
    /// # Panics
    /// If the shape has not one or two sizes.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// assert_eq!(Tensor::eye(2, DType::I64).to_vec::<i64>(), [1, 0, 0, 1]);
    /// assert_eq!(Tensor::eye([1, 3], DType::I64).to_vec::<i64>(), [1, 0, 0]);
    /// ```
    #[track_caller]
    pub fn eye(shape: impl Into<Shape>, dtype: DType) -> Tensor {
        let shape = shape.into();
        let (n, m) = match *shape {
            [n] => (n, n),
            [n, m] => (n, m),
            _ => panic!("{}", Error::shape("eye", "not the shape of a matrix", &[("shape", &shape)], "n or [n, m]")),
        };
        dispatch!(all dtype, T => Tensor::build::<T>([n, m], |out| {
            out.fill(T::from_i64(0));
            out.iter_mut().step_by(m + 1).take(n.min(m)).for_each(|out| *out = T::from_i64(1));
        }))
    }

    /// `start, start + step, ..` up to but without `end`: `ceil((end - start) / step)` numbers. Whole numbers given as
    /// integers are exact.
    ///
    /// # Panics
    /// If `step` is 0, or leads away from `end`, or a bound is not finite, or `dtype` is bool.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// assert_eq!(Tensor::arange(0.0, 1.0, 0.25, DType::F64).to_vec::<f64>(), [0.0, 0.25, 0.5, 0.75]);
    /// assert_eq!(Tensor::arange(5, 0, -2, DType::I64).to_vec::<i64>(), [5, 3, 1]);
    /// ```
    #[track_caller]
    pub fn arange<N: Element>(start: N, end: N, step: N, dtype: DType) -> Tensor {
        let fail =
            || -> ! { panic!("{}", Error::value("arange", format!("no steps of {step} lead from {start} to {end}"))) };
        if dtype == DType::Bool {
            panic!("{}", Error::dtype("arange", "there is no sequence of bools"));
        }
        if !N::DTYPE.is_floating_point() {
            let (first, step) = (start.to_i64(), step.to_i64());
            let Some(count) = steps(first, end.to_i64(), step) else { fail() };
            return dispatch!(all dtype, T => Tensor::build::<T>([count], |out| {
                let at = |i: usize| first.wrapping_add((i as i64).wrapping_mul(step));
                out.iter_mut().enumerate().for_each(|(i, out)| *out = T::from_i64(at(i)));
            }));
        }
        let (first, end, step) = (start.to_f64(), end.to_f64(), step.to_f64());
        let count = ((end - first) / step).ceil();
        if !(count >= 0.0 && count.is_finite() && first.is_finite()) {
            fail();
        }
        dispatch!(all dtype, T => Tensor::build::<T>([count as usize], |out| {
            // In an integer dtype the numbers are cut off before they are added up, as in PyTorch.
            let (first, step) = match T::DTYPE.is_floating_point() {
                true => (first, step),
                false => (first.trunc(), step.trunc()),
            };
            for (i, out) in out.iter_mut().enumerate() {
                *out = T::from_f64(first + i as f64 * step);
            }
        }))
    }

    /// `n` equally spaced numbers from `start` to `end`, both included; in an integer dtype the fractions of the ends
    /// and then of all numbers are cut off.
    ///
    /// # Panics
    /// If `dtype` is bool.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// assert_eq!(Tensor::linspace(0.0, 1.0, 5, DType::F64).to_vec::<f64>(), [0.0, 0.25, 0.5, 0.75, 1.0]);
    /// ```
    #[track_caller]
    pub fn linspace(start: f64, end: f64, n: usize, dtype: DType) -> Tensor {
        spaced("linspace", start, end, n, dtype, |x| x)
    }

    /// `n` numbers from `base^start` to `base^end`, both included, whose logarithms are equally spaced.
    ///
    /// # Panics
    /// If `dtype` is bool.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// assert_eq!(Tensor::logspace(0.0, 3.0, 4, 2.0, DType::F64).to_vec::<f64>(), [1.0, 2.0, 4.0, 8.0]);
    /// ```
    #[track_caller]
    pub fn logspace(start: f64, end: f64, n: usize, base: f64, dtype: DType) -> Tensor {
        spaced("logspace", start, end, n, dtype, |x| base.powf(x))
    }

    /// For each vector (or scalar) a tensor over the grid that they span, which is constant in all dimensions but its
    /// vector's: views, in which no element is copied.
    ///
    /// # Panics
    /// If there is none, one has more than one dimension, or the dtypes differ.
    ///
    /// ```
    /// use tensor::{Indexing, Tensor};
    /// let grids = Tensor::meshgrid(&[Tensor::from([1i64, 2]), Tensor::from([3i64, 4, 5])], Indexing::Ij);
    /// assert_eq!(grids[0].to_vec::<i64>(), [1, 1, 1, 2, 2, 2]);
    /// assert_eq!(grids[1].to_vec::<i64>(), [3, 4, 5, 3, 4, 5]);
    /// ```
    #[track_caller]
    pub fn meshgrid(vectors: &[Tensor], indexing: Indexing) -> Vec<Tensor> {
        let Some(first) = vectors.first() else {
            panic!("{}", Error::value("meshgrid", "needs at least one tensor"));
        };
        for vector in vectors {
            if vector.ndim() > 1 {
                panic!("{}", Error::shape("meshgrid", "not a vector", &[("tensor", vector.shape())], "[n]"));
            }
            if vector.dtype() != first.dtype() {
                let what = format!("{} and {} in one grid", first.dtype(), vector.dtype());
                panic!("{}", Error::dtype("meshgrid", what));
            }
        }
        let shape: Vec<usize> = vectors.iter().map(Tensor::numel).collect();
        let grid = |(d, vector): (usize, &Tensor)| {
            let mut alone = vec![1; shape.len()];
            alone[d] = shape[d];
            let grid = vector.reshape(alone).expand(&shape[..]);
            if indexing == Indexing::Xy && shape.len() > 1 { grid.transpose(0, 1) } else { grid }
        };
        vectors.iter().enumerate().map(grid).collect()
    }

    /// All combinations of an element of each vector, a row for each, the last vector changing fastest; of one vector,
    /// itself.
    ///
    /// # Panics
    /// As [`meshgrid`](Tensor::meshgrid).
    ///
    /// ```
    /// use tensor::Tensor;
    /// let pairs = Tensor::cartesian_prod(&[Tensor::from([1i64, 2]), Tensor::from([3i64, 4])]);
    /// assert_eq!(pairs.to_vec::<i64>(), [1, 3, 1, 4, 2, 3, 2, 4]);
    /// ```
    #[track_caller]
    pub fn cartesian_prod(vectors: &[Tensor]) -> Tensor {
        let columns: Vec<Tensor> = Tensor::meshgrid(vectors, Indexing::Ij).iter().map(Tensor::ravel).collect();
        if columns.len() == 1 { columns[0].clone() } else { Tensor::stack(&columns, 1) }
    }
}

/// How many steps lead from `start` to before `end`, if any number of them does.
fn steps(start: i64, end: i64, step: i64) -> Option<usize> {
    // The difference of two i64 may not be one.
    let (distance, step) = (end as i128 - start as i128, step as i128);
    if step == 0 || (distance != 0 && (distance < 0) != (step < 0)) {
        return None;
    }
    usize::try_from(distance.unsigned_abs().div_ceil(step.unsigned_abs())).ok()
}

#[track_caller]
fn spaced(op: &str, start: f64, end: f64, n: usize, dtype: DType, f: impl Fn(f64) -> f64) -> Tensor {
    if dtype == DType::Bool {
        panic!("{}", Error::dtype(op, "there is no sequence of bools"));
    }
    // In an integer dtype the ends are cut off before the space between them is divided, as in PyTorch.
    let (start, end) = if dtype.is_floating_point() { (start, end) } else { (start.trunc(), end.trunc()) };
    let step = if n > 1 { (end - start) / (n - 1) as f64 } else { 0.0 };
    dispatch!(all dtype, T => Tensor::build::<T>([n], |out| {
        for (i, out) in out.iter_mut().enumerate() {
            // Counted from the nearer end, so that both ends are exact.
            let x = if n == 1 || 2 * i < n { start + i as f64 * step } else { end - (n - 1 - i) as f64 * step };
            *out = T::from_f64(f(x));
        }
    }))
}
