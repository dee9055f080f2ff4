//! Softmax and its logarithm.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::softmax::{self, Kind};
use crate::shape::resolve_dim;
use crate::{Error, Tensor};

impl Tensor {
    /// `y = e^x / sum e^x` along dimension `dim`, in floats.
    ///
    /// # Numerics
    /// The greatest element of each line is subtracted first, so nothing overflows. A line of only `-inf`, or with `+inf`
    /// or NaN in it, gives NaN.
    ///
    /// # Panics
    /// If there is no such dimension.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let y = Tensor::from([1e4, 1e4]).softmax(-1);
    /// assert_eq!(y.to_vec::<f64>(), [0.5, 0.5]);
    /// ```
    #[track_caller]
    pub fn softmax(&self, dim: isize) -> Tensor {
        forward("softmax", Kind::Plain, self, dim)
    }

    /// `y = x - log(sum e^x)` along dimension `dim`, in floats: the logarithm of [`softmax`](Tensor::softmax), exact where
    /// that is tiny.
    ///
    /// # Panics
    /// If there is no such dimension.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let y = Tensor::from([0.0, -1e4]).log_softmax(0);
    /// assert_eq!(y.to_vec::<f64>(), [0.0, -1e4]);
    /// ```
    #[track_caller]
    pub fn log_softmax(&self, dim: isize) -> Tensor {
        forward("log_softmax", Kind::Log, self, dim)
    }

    /// The gradient of [`softmax`](Tensor::softmax): `dx = y (dy - sum dy y)`, from its output `y`.
    ///
    /// # Panics
    /// If the shapes or dtypes of `y` and `dy` differ, or there is no such dimension.
    #[track_caller]
    pub fn softmax_backward(y: &Tensor, dy: &Tensor, dim: isize) -> Tensor {
        backward("softmax_backward", Kind::Plain, y, dy, dim)
    }

    /// The gradient of [`log_softmax`](Tensor::log_softmax): `dx = dy - e^y sum dy`, from its output `y`.
    ///
    /// # Panics
    /// If the shapes or dtypes of `y` and `dy` differ, or there is no such dimension.
    #[track_caller]
    pub fn log_softmax_backward(y: &Tensor, dy: &Tensor, dim: isize) -> Tensor {
        backward("log_softmax_backward", Kind::Log, y, dy, dim)
    }
}

/// `x` with dimension `dim` last, as at least one dimension; the way back is [`restored`].
fn lines(x: &Tensor, dim: usize) -> Tensor {
    if x.ndim() == 0 { x.unsqueeze(0) } else { x.movedim(dim as isize, -1) }
}

fn restored(y: Tensor, dim: usize, ndim: usize) -> Tensor {
    if ndim == 0 { y.squeeze(0) } else { y.movedim(-1, dim as isize) }
}

/// As PyTorch, dimensions 0 and -1 of a scalar name its only element.
#[track_caller]
fn resolve(op: &str, dim: isize, ndim: usize) -> usize {
    resolve_dim(op, dim, ndim.max(1)).or_panic()
}

#[track_caller]
fn forward(op: &str, kind: Kind, x: &Tensor, dim: isize) -> Tensor {
    if x.dtype().is_half() {
        return x.through_compute(|x| forward(op, kind, x, dim));
    }
    let dim = resolve(op, dim, x.ndim());
    let x = x.to_dtype(x.dtype().to_float());
    let moved = lines(&x, dim);
    let len = moved.dim(-1).max(1);
    let y = dispatch!(float x.dtype(), op, T =>
        Tensor::build::<T>(moved.shape(), |y| softmax::forward(kind, moved.elements::<T>(), len, y)));
    restored(y, dim, x.ndim())
}

#[track_caller]
fn backward(op: &str, kind: Kind, y: &Tensor, dy: &Tensor, dim: isize) -> Tensor {
    if y.shape() != dy.shape() {
        panic!("{}", Error::shape(op, "the shapes differ", &[("y", y.dims()), ("dy", dy.dims())], "equal shapes"));
    }
    if y.dtype() != dy.dtype() {
        panic!("{}", Error::dtype(op, format!("the dtypes differ, {} and {}", y.dtype(), dy.dtype())));
    }
    if y.dtype().is_half() {
        return y.through_compute(|y| backward(op, kind, y, &dy.widen(), dim));
    }
    let (dim, ndim) = (resolve(op, dim, y.ndim()), y.ndim());
    let (y, dy) = (lines(y, dim), lines(dy, dim));
    let len = y.dim(-1).max(1);
    let dx = dispatch!(float y.dtype(), op, T =>
        Tensor::build::<T>(y.shape(), |dx| softmax::backward(kind, y.elements::<T>(), dy.elements::<T>(), len, dx)));
    restored(dx, dim, ndim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Generator};

    fn close(x: &Tensor, y: &Tensor, tolerance: f64) {
        assert!(x.allclose(y, tolerance, tolerance), "{x}\n{y}");
    }

    /// Values and gradients by plain operations.
    fn check(x: &Tensor, dim: isize, tolerance: f64) {
        let e = (x - &x.amax(dim, true)).exp();
        let sum = e.sum_dim(dim, true);
        let (y, log) = (&e / &sum, x - &x.amax(dim, true) - sum.log());
        close(&x.softmax(dim), &y, tolerance);
        close(&x.log_softmax(dim), &log, tolerance);
        let dy = Tensor::randn_with(x.shape(), x.dtype(), &mut Generator::new(3));
        let expected = &y * &(&dy - &(&dy * &y).sum_dim(dim, true));
        close(&Tensor::softmax_backward(&x.softmax(dim), &dy, dim), &expected, tolerance);
        let expected = &dy - &(&y * &dy.sum_dim(dim, true));
        close(&Tensor::log_softmax_backward(&x.log_softmax(dim), &dy, dim), &expected, tolerance);
    }

    #[test]
    fn any_dimension_of_any_layout() {
        let mut g = Generator::new(1);
        for shape in [&[1][..], &[7], &[3, 5], &[4, 33, 70], &[2, 3, 4, 5], &[300, 129]] {
            let x = Tensor::randn_with(shape, DType::F64, &mut g) * 5.0;
            for dim in 0..shape.len() as isize {
                for x in [x.clone(), x.flip(&[dim]), x.transpose(0, -1)] {
                    check(&x, dim, 1e-13);
                    check(&x.to_dtype(DType::F32), dim, 1e-5);
                }
            }
            check(&x.select(0, 0).unsqueeze(0).expand(shape), -1, 1e-13);
        }
    }

    #[test]
    fn extreme_lines() {
        let inf = f32::INFINITY;
        let x = Tensor::from([[1e4f32, -1e4, 0.0], [-inf, 0.0, 0.0], [-inf, -inf, -inf], [inf, 0.0, 0.0]]);
        let y = x.softmax(1);
        assert_eq!(y.narrow(0, 0, 2).to_vec::<f32>(), [1.0, 0.0, 0.0, 0.0, 0.5, 0.5]);
        assert!(y.narrow(0, 2, 2).isnan().all().item::<bool>());
        assert_eq!(x.log_softmax(1).select(0, 0).to_vec::<f32>(), [0.0, -2e4, -1e4]);
    }

    #[test]
    fn empty_and_scalar() {
        assert_eq!(Tensor::zeros([0, 3], DType::F32).softmax(1).dims(), [0, 3]);
        assert_eq!(Tensor::zeros([3, 0], DType::F32).log_softmax(1).dims(), [3, 0]);
        assert_eq!(Tensor::zeros([3, 0], DType::F32).softmax(0).dims(), [3, 0]);
        assert_eq!(Tensor::scalar(4.0).softmax(-1).item::<f64>(), 1.0);
        assert_eq!(Tensor::from([0i64, 0]).softmax(0).to_vec::<f32>(), [0.5, 0.5]);
    }
}
