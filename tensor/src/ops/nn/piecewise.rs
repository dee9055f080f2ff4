//! Activations made of straight pieces, each with its gradient in one pass.

use crate::dtype::{Float, Number, dispatch};
use crate::kernels::map::{self, Map};
use crate::kernels::simd::Simd;
use crate::kernels::zip::Zip;
use crate::ops::arithmetic::zip_with;
use crate::ops::nn::activation::gradient;
use crate::{Element, Error, Tensor};

/// Defines activations and their gradients: doc, name, parameters, the function of `x`, the slope at `x`. The slope is
/// what PyTorch has at the kinks, and what it has at NaN.
macro_rules! activations {
    ($($(#[$doc:meta])* $name:ident, $backward:ident ($($p:ident),*): |$x:ident| $value:expr, |$y:ident| $slope:expr;)*) => {$(
        impl Tensor {
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self $(, $p: f64)*) -> Tensor {
                self.map_float(stringify!($name), $name::F { $($p),* })
            }

            #[doc = concat!("The gradient of [`", stringify!($name), "`](Tensor::", stringify!($name), ").")]
            ///
            /// # Panics
            /// If the shapes or dtypes differ.
            #[track_caller]
            pub fn $backward(x: &Tensor, dy: &Tensor $(, $p: f64)*) -> Tensor {
                gradient(stringify!($backward), $name::F { $($p),* }, x, dy)
            }
        }

        mod $name {
            use super::*;

            #[derive(Clone, Copy)]
            pub(super) struct F { $(pub(super) $p: f64),* }

            impl<T: Float> Map<T, T> for F {
                #[inline(always)]
                fn call<S: Simd>(self, $x: T) -> T {
                    $(let $p = T::of(self.$p);)*
                    $value
                }
            }

            impl<T: Float> Zip<T, T> for F {
                #[inline(always)]
                fn call<S: Simd>(self, $y: T, dy: T) -> T {
                    $(let $p = T::of(self.$p);)*
                    ($slope)(dy)
                }
            }
        }
    )*};
}

/// `dy` where `passes`, else 0.
#[inline(always)]
fn when<T: Float>(passes: bool) -> impl Fn(T) -> T {
    move |dy| if passes { dy } else { T::ZERO }
}

activations! {
    /// `x` where `x > 0`, else `negative_slope x`; in floats.
    ///
    /// # Source
    /// Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([-2.0, 3.0]).leaky_relu(0.5).to_vec::<f64>(), [-1.0, 3.0]);
    /// ```
    leaky_relu, leaky_relu_backward(negative_slope):
        |x| if x > T::ZERO { x } else { x * negative_slope },
        |x| |dy: T| if x > T::ZERO { dy } else { dy * negative_slope };
    /// `min(max(x + 3, 0), 6) / 6`, a sigmoid of straight pieces; in floats.
    ///
    /// # Source
    /// Howard et al., "Searching for MobileNetV3", 2019, section 5.2.
    hardsigmoid, hardsigmoid_backward():
        |x| clamped(x + T::of(3.0), T::ZERO, T::of(6.0)) / T::of(6.0),
        |x| |dy: T| if x > T::of(-3.0) && x < T::of(3.0) { dy / T::of(6.0) } else { T::ZERO };
    /// `x hardsigmoid(x)`; in floats.
    ///
    /// # Source
    /// Howard et al., "Searching for MobileNetV3", 2019, section 5.2.
    hardswish, hardswish_backward():
        |x| x * clamped(x + T::of(3.0), T::ZERO, T::of(6.0)) / T::of(6.0),
        |x| |dy: T| {
            if x <= T::of(-3.0) {
                T::ZERO
            } else if x < T::of(3.0) {
                dy * (x / T::of(3.0) + T::of(0.5))
            } else {
                dy
            }
        };
    /// `x`, but 0 where `-lambd <= x <= lambd`; in floats.
    hardshrink, hardshrink_backward(lambd):
        |x| if x >= -lambd && x <= lambd { T::ZERO } else { x },
        |x| when(!(x >= -lambd && x <= lambd));
}

/// `x` brought closer to 0.
#[derive(Clone, Copy)]
struct Softshrink(f64);
impl<T: Float> Map<T, T> for Softshrink {
    #[inline(always)]
    fn call<S: Simd>(self, x: T) -> T {
        let lambd = T::of(self.0);
        if x > lambd {
            x - lambd
        } else if x < -lambd {
            x + lambd
        } else {
            x * T::ZERO
        }
    }
}

/// `x` limited to `low ..= high`; NaN stays.
#[inline(always)]
fn clamped<T: Float>(x: T, low: T, high: T) -> T {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

/// `dy` where `x` is not at or below a bound, nor at or above another: so a NaN passes.
#[derive(Clone, Copy)]
struct Inside(f64, f64);
impl<T: Float> Zip<T, T> for Inside {
    #[inline(always)]
    fn call<S: Simd>(self, x: T, dy: T) -> T {
        when(!(x <= T::of(self.0) || x >= T::of(self.1)))(dy)
    }
}

/// `x` above a threshold, another value elsewhere; NaN stays.
#[derive(Clone, Copy)]
struct Above<T>(T, T);
impl<T: Number> Map<T, T> for Above<T> {
    #[inline(always)]
    fn call<S: Simd>(self, x: T) -> T {
        if x <= self.0 { self.1 } else { x }
    }
}

impl Tensor {
    /// The gradient of [`relu`](Tensor::relu), from its input or its output: `dy` where that is above 0, else 0.
    ///
    /// # Panics
    /// If the shapes or dtypes differ.
    #[track_caller]
    pub fn relu_backward(x: &Tensor, dy: &Tensor) -> Tensor {
        gradient("relu_backward", Inside(0.0, f64::NAN), x, dy)
    }

    /// `min(max(x, 0), 6)`; keeps the dtype.
    #[track_caller]
    pub fn relu6(&self) -> Tensor {
        self.hardtanh(0.0, 6.0)
    }

    /// `x` limited to `min_val ..= max_val`; keeps the dtype, in which integers cut the bounds' fractions off.
    ///
    /// # Panics
    /// If `min_val > max_val`, or for bool.
    #[track_caller]
    pub fn hardtanh(&self, min_val: f64, max_val: f64) -> Tensor {
        if min_val > max_val {
            panic!("{}", Error::value("hardtanh", format!("min_val {min_val} is above max_val {max_val}")));
        }
        let bound = |x: f64| if self.dtype().is_floating_point() { x } else { x.trunc() };
        self.clamp(Some(bound(min_val)), Some(bound(max_val)))
    }

    /// The gradient of [`hardtanh`](Tensor::hardtanh): `dy` between the bounds, 0 at and beyond them.
    ///
    /// # Panics
    /// If the shapes or dtypes differ.
    #[track_caller]
    pub fn hardtanh_backward(x: &Tensor, dy: &Tensor, min_val: f64, max_val: f64) -> Tensor {
        gradient("hardtanh_backward", Inside(min_val, max_val), x, dy)
    }

    /// `x` brought closer to 0 by `lambd`, and 0 within that distance; in floats.
    ///
    /// # Panics
    /// If `lambd` is negative.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([-2.0, 0.25, 3.0]).softshrink(0.5).to_vec::<f64>(), [-1.5, 0.0, 2.5]);
    /// ```
    #[track_caller]
    pub fn softshrink(&self, lambd: f64) -> Tensor {
        if lambd < 0.0 {
            panic!("{}", Error::value("softshrink", format!("lambd is a distance, got {lambd}")));
        }
        self.map_float("softshrink", Softshrink(lambd))
    }

    /// The gradient of [`softshrink`](Tensor::softshrink): `dy`, but 0 where `-lambd <= x <= lambd`.
    ///
    /// # Panics
    /// If the shapes or dtypes differ.
    #[track_caller]
    pub fn softshrink_backward(x: &Tensor, dy: &Tensor, lambd: f64) -> Tensor {
        Tensor::hardshrink_backward(x, dy, lambd)
    }

    /// `x` where `x > threshold`, else `value`; keeps the dtype.
    ///
    /// # Panics
    /// For bool.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([1i64, 5]).threshold(2.0, 9.0).to_vec::<i64>(), [9, 5]);
    /// ```
    #[track_caller]
    pub fn threshold(&self, threshold: f64, value: f64) -> Tensor {
        self.through_compute(|x| {
            dispatch!(number x.dtype(), "threshold", T => Tensor::build::<T>(x.shape(), |out| {
                let f = Above(<T as Element>::from_f64(threshold), <T as Element>::from_f64(value));
                map::map(f, x.elements::<T>(), out)
            }))
        })
    }

    /// The gradient of [`threshold`](Tensor::threshold): `dy` above the threshold, else 0.
    ///
    /// # Panics
    /// If the shapes or dtypes differ.
    #[track_caller]
    pub fn threshold_backward(x: &Tensor, dy: &Tensor, threshold: f64) -> Tensor {
        gradient("threshold_backward", Inside(threshold, f64::NAN), x, dy)
    }

    /// `x` where `x > 0`, else `weight x`: a [`leaky_relu`](Tensor::leaky_relu) with slopes of its own per channel.
    ///
    /// # Shape
    /// The weight is a scalar or `[1]`, or `[c]` for `x` of shape `[n, c, ..]`.
    ///
    /// # Panics
    /// If the weight has another shape, or the dtypes differ.
    ///
    /// # Source
    /// He et al., "Delving Deep into Rectifiers", 2015, equation 1.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let y = Tensor::from([[-1.0, -1.0]]).prelu(&Tensor::from([0.5, 2.0]));
    /// assert_eq!(y.to_vec::<f64>(), [-0.5, -2.0]);
    /// ```
    #[track_caller]
    pub fn prelu(&self, weight: &Tensor) -> Tensor {
        #[derive(Clone, Copy)]
        struct Prelu;
        impl<T: Float> Zip<T, T> for Prelu {
            #[inline(always)]
            fn call<S: Simd>(self, x: T, w: T) -> T {
                if x > T::ZERO { x } else { w * x }
            }
        }
        if weight.dtype() != self.dtype() {
            let what = format!("the input is {}, the weight {}", self.dtype(), weight.dtype());
            panic!("{}", Error::dtype("prelu", what));
        }
        self.require_float("prelu");
        let weight = weight.reshape(self.prelu_weight_shape(weight.dims())).expand(self.shape()).widen();
        self.through_compute(
            |x| dispatch!(float x.dtype(), "prelu", T => zip_with::<T, T, _>("prelu", Prelu, x, &weight)),
        )
    }

    /// The shape with which a weight of [`prelu`](Tensor::prelu) broadcasts over this tensor.
    ///
    /// # Panics
    /// If the weight is neither a single number nor one per channel.
    #[track_caller]
    pub fn prelu_weight_shape(&self, weight: &[usize]) -> Vec<usize> {
        let channels = if self.ndim() < 2 { 1 } else { self.dims()[1] };
        let n: usize = weight.iter().product();
        if weight.len() > 1 || (n != 1 && n != channels) {
            let shapes: [(&str, &[usize]); 2] = [("input", self.dims()), ("weight", weight)];
            let what = "the weight is neither one number nor one per channel";
            panic!("{}", Error::shape("prelu", what, &shapes, "[n, c, ..] and [], [1] or [c]"));
        }
        (0..self.ndim()).map(|d| if d == 1 { n } else { 1 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    #[test]
    fn integers_stay_integers_where_pytorch_keeps_them() {
        let x = Tensor::from([-1i64, 3, 9]);
        assert_eq!(x.relu6().to_vec::<i64>(), [0, 3, 6]);
        assert_eq!(x.hardtanh(-1.0, 1.0).to_vec::<i64>(), [-1, 1, 1]);
        assert_eq!(x.threshold(1.0, 2.0).to_vec::<i64>(), [2, 3, 9]);
        assert_eq!(x.leaky_relu(0.5).dtype(), DType::F32);
    }

    #[test]
    fn nan_passes() {
        let x = Tensor::from([f64::NAN]);
        for y in [x.relu6(), x.hardtanh(-1.0, 1.0), x.softshrink(0.5), x.hardshrink(0.5), x.hardswish()] {
            assert!(y.item::<f64>().is_nan());
        }
    }
}
