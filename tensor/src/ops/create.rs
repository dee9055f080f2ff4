//! Making tensors: from data, of one value, of a sequence.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::tensor::check_len;
use crate::{DType, Element, Error, Result, Shape, Tensor};

impl Tensor {
    /// The elements of `data` in row-major order under `shape`.
    ///
    /// # Panics
    /// If there are more or fewer elements than the shape takes; see [`try_from_vec`](Tensor::try_from_vec).
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from_vec(vec![1i64, 2, 3, 4], [2, 2]).get::<i64>(&[1, 0]), 3);
    /// ```
    #[track_caller]
    pub fn from_vec<T: Element>(data: Vec<T>, shape: impl Into<Shape>) -> Tensor {
        Tensor::try_from_vec(data, shape).or_panic()
    }

    /// [`from_vec`](Tensor::from_vec) that returns its error.
    ///
    /// # Errors
    /// If there are more or fewer elements than the shape takes.
    pub fn try_from_vec<T: Element>(data: Vec<T>, shape: impl Into<Shape>) -> Result<Tensor> {
        let shape = shape.into();
        check_len("from_vec", data.len(), &shape)?;
        Ok(Tensor::build::<T>(shape, |out| out.copy_from_slice(&data)))
    }

    /// A copy of the elements of `data` under `shape`.
    ///
    /// # Panics
    /// If there are more or fewer elements than the shape takes.
    #[track_caller]
    pub fn from_slice<T: Element>(data: &[T], shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        check_len("from_slice", data.len(), &shape).or_panic();
        Tensor::build::<T>(shape, |out| out.copy_from_slice(data))
    }

    /// A tensor without dimensions.
    pub fn scalar<T: Element>(value: T) -> Tensor {
        Tensor::build::<T>((), |out| out[0] = value)
    }

    /// Every element is `value`.
    #[track_caller]
    pub fn full(shape: impl Into<Shape>, value: f64, dtype: DType) -> Tensor {
        dispatch!(all dtype, T => Tensor::build::<T>(shape, |out| out.fill(T::from_f64(value))))
    }

    /// Every element is 0.
    #[track_caller]
    pub fn zeros(shape: impl Into<Shape>, dtype: DType) -> Tensor {
        Tensor::full(shape, 0.0, dtype)
    }

    /// Every element is 1.
    #[track_caller]
    pub fn ones(shape: impl Into<Shape>, dtype: DType) -> Tensor {
        Tensor::full(shape, 1.0, dtype)
    }

    /// Every element is `value`; shape and dtype are this tensor's.
    pub fn full_like(&self, value: f64) -> Tensor {
        Tensor::full(self.shape(), value, self.dtype())
    }

    /// Every element is 0; shape and dtype are this tensor's.
    pub fn zeros_like(&self) -> Tensor {
        self.full_like(0.0)
    }

    /// Every element is 1; shape and dtype are this tensor's.
    pub fn ones_like(&self) -> Tensor {
        self.full_like(1.0)
    }

    /// The identity matrix of `n` rows.
    #[track_caller]
    pub fn eye(n: usize, dtype: DType) -> Tensor {
        dispatch!(all dtype, T => Tensor::build::<T>([n, n], |out| {
            for (i, out) in out.iter_mut().enumerate() {
                *out = T::from_i64((i % (n + 1) == 0) as i64);
            }
        }))
    }

    /// `start, start + step, ..` up to but without `end`.
    ///
    /// # Panics
    /// If `step` is 0, or leads away from `end`, or a bound is not finite.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// assert_eq!(Tensor::arange(0.0, 1.0, 0.25, DType::F64).to_vec::<f64>(), [0.0, 0.25, 0.5, 0.75]);
    /// ```
    #[track_caller]
    pub fn arange(start: f64, end: f64, step: f64, dtype: DType) -> Tensor {
        let count = ((end - start) / step).ceil();
        if !(count >= 0.0 && count.is_finite()) {
            panic!("{}", Error::value("arange", format!("no steps of {step} lead from {start} to {end}")));
        }
        dispatch!(all dtype, T => Tensor::build::<T>([count as usize], |out| {
            for (i, out) in out.iter_mut().enumerate() {
                *out = T::from_f64(start + i as f64 * step);
            }
        }))
    }

    /// `n` equally spaced numbers from `start` to `end`, both included.
    #[track_caller]
    pub fn linspace(start: f64, end: f64, n: usize, dtype: DType) -> Tensor {
        let step = if n > 1 { (end - start) / (n - 1) as f64 } else { 0.0 };
        dispatch!(all dtype, T => Tensor::build::<T>([n], |out| {
            for (i, out) in out.iter_mut().enumerate() {
                // Counted from the nearer end, so that both ends are exact.
                let x = if 2 * i < n { start + i as f64 * step } else { end - (n - 1 - i) as f64 * step };
                *out = T::from_f64(x);
            }
        }))
    }
}

impl<T: Element, const N: usize> From<[T; N]> for Tensor {
    fn from(data: [T; N]) -> Tensor {
        Tensor::from_slice(&data, [N])
    }
}
impl<T: Element, const M: usize, const N: usize> From<[[T; N]; M]> for Tensor {
    fn from(data: [[T; N]; M]) -> Tensor {
        Tensor::from_slice(data.as_flattened(), [M, N])
    }
}
impl<T: Element, const L: usize, const M: usize, const N: usize> From<[[[T; N]; M]; L]> for Tensor {
    fn from(data: [[[T; N]; M]; L]) -> Tensor {
        Tensor::from_slice(data.as_flattened().as_flattened(), [L, M, N])
    }
}
