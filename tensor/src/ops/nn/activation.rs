//! GELU in both forms, the gated linear unit, and the one-pass gradients of activations.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::map::Map;
use crate::kernels::math::Math;
use crate::kernels::simd::Simd;
use crate::kernels::zip::Zip;
use crate::ops::arithmetic::zip_with;
use crate::shape::resolve_dim;
use crate::{Error, Tensor};

/// `x Phi(x)` and its slope, with `Phi` the standard normal distribution.
#[derive(Clone, Copy)]
struct Gelu;

impl Gelu {
    #[inline(always)]
    fn phi<S: Simd, T: Math>(x: T) -> T {
        T::of(0.5) * (T::ONE + (x * T::of(FRAC_1_SQRT_2)).erf::<S>())
    }
}

impl<T: Math> Map<T, T> for Gelu {
    const SLOW: bool = true;

    #[inline(always)]
    fn call<S: Simd>(self, x: T) -> T {
        x.gelu::<S>()
    }
}

/// `(x, dy) -> dx`.
impl<T: Math> Zip<T, T> for Gelu {
    const SLOW: bool = true;

    #[inline(always)]
    fn call<S: Simd>(self, x: T, dy: T) -> T {
        let density = (T::of(-0.5) * x * x).exp::<S>() * T::of(1.0 / (2.0 * PI).sqrt());
        dy * S::mul_add(x, density, Gelu::phi::<S, T>(x))
    }
}

/// The tanh approximation of GELU and its slope.
#[derive(Clone, Copy)]
struct GeluTanh;

/// `sqrt(2 / pi)` and the coefficient of the cubic term.
const ROOT: f64 = 0.797_884_560_802_865_4;
const CUBIC: f64 = 0.044_715;

impl<T: Math> Map<T, T> for GeluTanh {
    const SLOW: bool = true;

    #[inline(always)]
    fn call<S: Simd>(self, x: T) -> T {
        x.gelu_tanh::<S>()
    }
}

/// `tanh` of half of `u` is `2 s - 1`, where `s = 1 / (1 + e^-u)` has the slope `s (1 - s)`.
impl<T: Math> Zip<T, T> for GeluTanh {
    const SLOW: bool = true;

    #[inline(always)]
    fn call<S: Simd>(self, x: T, dy: T) -> T {
        // Farther out the slope is 0 or 1, and the square may leave the range of numbers.
        let bound = T::of(32.0);
        let x = if x > bound { bound } else { x };
        let x = if x < -bound { -bound } else { x };
        let z = x * x;
        let u = x * S::mul_add(T::of(2.0 * ROOT * CUBIC), z, T::of(2.0 * ROOT));
        let du = S::mul_add(T::of(6.0 * ROOT * CUBIC), z, T::of(2.0 * ROOT));
        // Of s and 1 - s the greater one is q, the other e q.
        let e = (T::ZERO - u.abs()).exp_below::<S>();
        let q = T::ONE / (T::ONE + e);
        let rest = e * q;
        dy * S::mul_add(x * du, rest * q, if x < T::ZERO { rest } else { q })
    }
}

/// `(x, dy) -> dx` of SiLU.
#[derive(Clone, Copy)]
struct Silu;
impl<T: Math> Zip<T, T> for Silu {
    const SLOW: bool = true;

    #[inline(always)]
    fn call<S: Simd>(self, x: T, dy: T) -> T {
        let s = x.sigmoid::<S>();
        dy * s * S::mul_add(x, T::ONE - s, T::ONE)
    }
}

/// `(a, b) -> a sigmoid(b)`.
#[derive(Clone, Copy)]
struct Gate;
impl<T: Math> Zip<T, T> for Gate {
    const SLOW: bool = true;

    #[inline(always)]
    fn call<S: Simd>(self, a: T, b: T) -> T {
        a * b.sigmoid::<S>()
    }
}

impl Tensor {
    /// `x Phi(x)`, where `Phi` is the distribution function of the standard normal distribution.
    ///
    /// # Numerics
    /// Right to the last bits also far to the left, where `1 + erf` would lose them all.
    ///
    /// # Differs
    /// At negative infinity it is 0, as are [`silu`](Tensor::silu) and [`mish`](Tensor::mish); PyTorch gives NaN.
    ///
    /// # Source
    /// Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, equation 2.
    #[track_caller]
    pub fn gelu(&self) -> Tensor {
        self.map_float("gelu", Gelu)
    }

    /// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`: the approximation of [`gelu`](Tensor::gelu) in GPT-2.
    ///
    /// # Source
    /// Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, section 2.
    #[track_caller]
    pub fn gelu_tanh(&self) -> Tensor {
        self.map_float("gelu_tanh", GeluTanh)
    }

    /// `dx = dy (Phi(x) + x phi(x))`: the gradient of [`gelu`](Tensor::gelu).
    #[track_caller]
    pub fn gelu_backward(x: &Tensor, dy: &Tensor) -> Tensor {
        gradient("gelu_backward", Gelu, x, dy)
    }

    /// The gradient of [`gelu_tanh`](Tensor::gelu_tanh).
    #[track_caller]
    pub fn gelu_tanh_backward(x: &Tensor, dy: &Tensor) -> Tensor {
        gradient("gelu_tanh_backward", GeluTanh, x, dy)
    }

    /// `dx = dy s (1 + x (1 - s))` with `s = sigmoid(x)`: the gradient of [`silu`](Tensor::silu).
    #[track_caller]
    pub fn silu_backward(x: &Tensor, dy: &Tensor) -> Tensor {
        gradient("silu_backward", Silu, x, dy)
    }

    /// `a sigmoid(b)`, where `a` and `b` are the halves of this tensor along `dim`: a gated linear unit; in floats.
    ///
    /// # Panics
    /// If the dimension does not exist or its size is odd.
    ///
    /// # Source
    /// Dauphin et al., "Language Modeling with Gated Convolutional Networks", 2017, equation 1.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([3.0, 0.0]).glu(-1).to_vec::<f64>(), [1.5]);
    /// ```
    #[track_caller]
    pub fn glu(&self, dim: isize) -> Tensor {
        let (a, b) = self.to_dtype(self.dtype().to_float()).halves("glu", dim);
        let b = b.widen();
        a.through_compute(|a| dispatch!(float a.dtype(), "glu", T => zip_with::<T, T, _>("glu", Gate, a, &b)))
    }

    /// The halves along a dimension.
    #[track_caller]
    fn halves(&self, op: &str, dim: isize) -> (Tensor, Tensor) {
        let at = resolve_dim(op, dim, self.ndim()).or_panic();
        let size = self.dims()[at];
        if !size.is_multiple_of(2) {
            let what = format!("dimension {at} of odd size {size} has no halves");
            panic!("{}", Error::shape(op, what, &[("input", self.dims())], "[.., 2 n, ..]"));
        }
        (self.narrow(dim, 0, size / 2), self.narrow(dim, size / 2, size / 2))
    }
}

/// `f(x, dy)` for operands of one shape and dtype.
#[track_caller]
pub(crate) fn gradient<F: Zip<f32, f32> + Zip<f64, f64>>(op: &str, f: F, x: &Tensor, dy: &Tensor) -> Tensor {
    if x.shape() != dy.shape() || x.dtype() != dy.dtype() {
        let shapes: [(&str, &[usize]); 2] = [("x", x.shape()), ("dy", dy.shape())];
        panic!("{}", Error::shape(op, "input and gradient differ in shape or dtype", &shapes, "equal shapes"));
    }
    x.require_float(op);
    let (wide, dy) = (x.widen(), dy.widen());
    dispatch!(float wide.dtype(), op, T => zip_with::<T, T, _>(op, f, &wide, &dy)).to_dtype(x.dtype())
}
