//! Making tensors: from data, of one value.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::ops::arithmetic::fill_value;
use crate::tensor::check_len;
use crate::{DType, Element, Result, Shape, Tensor};

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
    ///
    /// # Panics
    /// If the dtype is an integer one and the value a fraction, or out of its range (u8 takes -1 for 255, and so on).
    ///
    /// # Differs
    /// PyTorch cuts fractions off.
    #[track_caller]
    pub fn full(shape: impl Into<Shape>, value: f64, dtype: DType) -> Tensor {
        let value = fill_value("full", dtype, value);
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

    /// Every element is `value`; shape and dtype are this tensor's. For another dtype: `Tensor::full(x.shape(), ..)`.
    ///
    /// # Panics
    /// As [`full`](Tensor::full).
    #[track_caller]
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
