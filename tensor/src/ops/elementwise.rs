//! Functions of one tensor, element by element.

use crate::dtype::{Number, dispatch};
use crate::kernels::map::{self, Map};
use crate::kernels::math::Math;
use crate::kernels::simd::Simd;
use crate::{DType, Element, Error, Tensor};

impl Tensor {
    /// `f` of each element, in this tensor's float type (integers and bools are converted to f32 first).
    #[track_caller]
    pub(crate) fn map_float<F: Map<f32, f32> + Map<f64, f64>>(&self, op: &str, f: F) -> Tensor {
        self.to_dtype(self.dtype().to_float()).through_compute(|x| {
            dispatch!(float x.dtype(), op, T => Tensor::build::<T>(x.shape(), |out| map::map(f, x.elements::<T>(), out)))
        })
    }

    /// A truth value for each element; integers and bools are asked as f32, which answers these questions alike.
    #[track_caller]
    fn ask_float<F: Map<f32, bool> + Map<f64, bool>>(&self, op: &str, f: F) -> Tensor {
        let x = self.to_dtype(self.dtype().to_float().compute());
        dispatch!(float x.dtype(), op, T => Tensor::build::<bool>(x.shape(), |out| map::map(f, x.elements::<T>(), out)))
    }
}

/// Defines methods that answer in floats: doc, name, and the function of one element.
macro_rules! float_functions {
    ($($(#[$doc:meta])* $name:ident: |$x:ident| $body:expr;)*) => {$(
        impl Tensor {
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self) -> Tensor {
                #[derive(Clone, Copy)]
                struct F;
                impl<T: Math> Map<T, T> for F {
                    #[inline(always)]
                    fn call<S: Simd>(self, $x: T) -> T {
                        $body
                    }
                }
                self.map_float(stringify!($name), F)
            }
        }
    )*};
}

float_functions! {
    /// `e^x`.
    exp: |x| x.exp::<S>();
    /// `2^x`.
    exp2: |x| x.exp2::<S>();
    /// `e^x - 1`, exact near 0.
    expm1: |x| x.expm1::<S>();
    /// `log(1 + x)`, exact near 0.
    log1p: |x| x.log1p::<S>();
    /// The square root; NaN below 0.
    sqrt: |x| x.sqrt();
    /// `1 / sqrt(x)`.
    rsqrt: |x| T::ONE / x.sqrt();
    /// `1 / x`.
    reciprocal: |x| T::ONE / x;
    /// The angle in `-pi/2 ..= pi/2` whose sine is `x`; NaN outside `-1 ..= 1`.
    asin: |x| x.asin::<S>();
    /// The angle in `0 ..= pi` whose cosine is `x`; NaN outside `-1 ..= 1`.
    acos: |x| x.acos::<S>();
    /// The angle in `-pi/2 ..= pi/2` whose tangent is `x`.
    atan: |x| x.atan::<S>();
    /// The hyperbolic sine `(e^x - e^-x) / 2`.
    sinh: |x| x.sinh::<S>();
    /// The hyperbolic cosine `(e^x + e^-x) / 2`.
    cosh: |x| x.cosh::<S>();
    /// The hyperbolic tangent.
    tanh: |x| x.tanh::<S>();
    /// The number whose hyperbolic sine is `x`.
    asinh: |x| x.asinh::<S>();
    /// The non-negative number whose hyperbolic cosine is `x`; NaN below 1.
    acosh: |x| x.acosh::<S>();
    /// The number whose hyperbolic tangent is `x`; infinite at -1 and 1, NaN beyond.
    atanh: |x| x.atanh::<S>();
    /// The logistic function `1 / (1 + e^-x)`.
    sigmoid: |x| x.sigmoid::<S>();
    /// The error function `2 / sqrt(pi) * integral of e^(-t^2) from 0 to x`.
    erf: |x| x.erf::<S>();
    /// `1 - erf(x)`, which keeps its digits where `erf(x)` is close to 1.
    erfc: |x| x.erfc::<S>();
    /// The number whose error function is `x`; infinite at -1 and 1, NaN beyond.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert!(Tensor::from([0.5]).erfinv().erf().allclose(&Tensor::from([0.5]), 1e-15, 0.0));
    /// ```
    erfinv: |x| x.erfinv::<S>();
    /// `sin(pi x) / (pi x)`, 1 at 0.
    sinc: |x| {
        let angle = x * T::of(std::f64::consts::PI);
        if x == T::ZERO { T::ONE } else { angle.sin::<S>() / angle }
    };
    /// The fraction `x - trunc(x)`, which has the sign of `x`.
    frac: |x| x - x.trunc();
    /// `x * sigmoid(x)`, also called swish.
    silu: |x| x.silu::<S>();
}

/// Defines functions that are quicker for all but rare elements: doc, name, the quick function, and who is rare.
macro_rules! quick_functions {
    ($($(#[$doc:meta])* $name:ident: $quick:ident unless |$x:ident| $rare:expr;)*) => {$(
        impl Tensor {
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self) -> Tensor {
                #[derive(Clone, Copy)]
                struct F;
                impl<T: Math> Map<T, T> for F {
                    #[inline(always)]
                    fn call<S: Simd>(self, x: T) -> T {
                        x.$name::<S>()
                    }
                    #[inline(always)]
                    fn quick<S: Simd>(self, x: T) -> T {
                        x.$quick::<S>()
                    }
                    #[inline(always)]
                    fn is_rare(self, $x: T) -> bool {
                        $rare
                    }
                }
                self.map_float(stringify!($name), F)
            }
        }
    )*};
}

quick_functions! {
    /// The natural logarithm; `-inf` at 0, NaN below.
    log: log_ordinary unless |x| !x.is_ordinary();
    /// The logarithm to base 2; `-inf` at 0, NaN below.
    log2: log2_ordinary unless |x| !x.is_ordinary();
    /// The logarithm to base 10; `-inf` at 0, NaN below.
    log10: log10_ordinary unless |x| !x.is_ordinary();
    /// The sine of an angle in radians.
    sin: sin_near unless |x| x.is_far();
    /// The cosine of an angle in radians.
    cos: cos_near unless |x| x.is_far();
    /// The tangent of an angle in radians.
    tan: tan_near unless |x| x.is_far();
}

/// Defines methods that keep every dtype but bool: doc, name, what becomes of bools if they are taken at all, and the
/// function of one element of a `Number` type.
macro_rules! number_functions {
    ($($(#[$doc:meta])* $name:ident $([|$bools:ident| $truth:expr])?: |$x:ident| $body:expr;)*) => {$(
        impl Tensor {
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self) -> Tensor {
                #[derive(Clone, Copy)]
                struct F;
                impl<T: Number> Map<T, T> for F {
                    #[inline(always)]
                    fn call<S: Simd>(self, $x: T) -> T {
                        $body
                    }
                }
                $(if self.dtype() == DType::Bool {
                    let $bools = self;
                    return $truth;
                })?
                self.through_compute(|x| dispatch!(number x.dtype(), stringify!($name), T =>
                    Tensor::build::<T>(x.shape(), |out| map::map(F, x.elements::<T>(), out))))
            }
        }
    )*};
}

number_functions! {
    /// `-x`.
    ///
    /// # Panics
    /// For bool; use [`logical_not`](Tensor::logical_not).
    neg: |x| x.negated();
    /// `|x|`.
    abs: |x| if x < T::ZERO { x.negated() } else if x == T::ZERO { T::ZERO } else { x };
    /// -1, 0 or 1; NaN stays NaN.
    sign [|bools| bools.clone()]: |x| if x > T::ZERO { T::ONE } else if x < T::ZERO { T::ONE.negated() } else if x.is_nan() { x } else { T::ZERO };
    /// `x * x`; bools are squared in i64.
    square [|bools| bools.to_dtype(DType::I64)]: |x| x.times(x);
    /// `max(x, 0)`; NaN stays NaN.
    relu: |x| if x < T::ZERO { T::ZERO } else { x };
}

/// Defines the rounding functions: floats are rounded, integers stay as they are, bools are refused.
macro_rules! rounding_functions {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        impl Tensor {
            $(#[$doc])*
            ///
            /// # Panics
            /// For bool.
            #[track_caller]
            pub fn $name(&self) -> Tensor {
                #[derive(Clone, Copy)]
                struct F;
                impl<T: Math> Map<T, T> for F {
                    #[inline(always)]
                    fn call<S: Simd>(self, x: T) -> T {
                        x.$name()
                    }
                }
                if self.dtype() == DType::Bool {
                    panic!("{}: not defined for bool; convert with to_dtype first", stringify!($name));
                }
                if self.dtype().is_floating_point() { self.map_float(stringify!($name), F) } else { self.clone() }
            }
        }
    )*};
}

rounding_functions! {
    /// The greatest integer that is not above `x`.
    floor;
    /// The least integer that is not below `x`.
    ceil;
    /// The nearest integer; halves go to the even neighbour.
    round;
    /// `x` without its fraction.
    trunc;
}

/// Defines the questions about one element: doc, name, answer for floats.
macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident: |$x:ident| $body:expr;)*) => {$(
        impl Tensor {
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self) -> Tensor {
                #[derive(Clone, Copy)]
                struct F;
                impl<T: Math> Map<T, bool> for F {
                    #[inline(always)]
                    fn call<S: Simd>(self, $x: T) -> bool {
                        $body
                    }
                }
                self.ask_float(stringify!($name), F)
            }
        }
    )*};
}

questions! {
    /// Whether each element is not a number.
    isnan: |x| x.is_nan();
    /// Whether each element is infinite.
    isinf: |x| x == T::HIGHEST || x == T::LOWEST;
    /// Whether each element is neither infinite nor NaN.
    isfinite: |x| x > T::LOWEST && x < T::HIGHEST;
}

#[derive(Clone, Copy)]
struct Powf(f64);
impl<T: Math> Map<T, T> for Powf {
    #[inline(always)]
    fn call<S: Simd>(self, x: T) -> T {
        x.pow::<S>(T::of(self.0))
    }
}

#[derive(Clone, Copy)]
struct Clamp<T>(T, T);
impl<T: Number> Map<T, T> for Clamp<T> {
    #[inline(always)]
    fn call<S: Simd>(self, x: T) -> T {
        // NaN fails both comparisons and passes through.
        let x = if x < self.0 { self.0 } else { x };
        if x > self.1 { self.1 } else { x }
    }
}

impl Tensor {
    /// `x^exponent`. Whole exponents from -2 to 3 and 0.5 are computed by multiplication or square root.
    ///
    /// Integers stay integers (bools become i64) if the exponent is whole; with a fraction they become f32.
    ///
    /// # Panics
    /// If the tensor holds integers or bools and the exponent is a negative whole number.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([2.0, 3.0]).powf(3.0).to_vec::<f64>(), [8.0, 27.0]);
    /// ```
    #[track_caller]
    pub fn powf(&self, exponent: f64) -> Tensor {
        if !self.dtype().is_floating_point() && exponent.fract() == 0.0 {
            if exponent < 0.0 {
                let what = format!("integers have no integer powers of {exponent}; convert with to_dtype first");
                panic!("{}", Error::value("powf", what));
            }
            let dtype = if self.dtype() == DType::Bool { DType::I64 } else { self.dtype() };
            return self.pow(&Tensor::scalar(exponent as i64)).to_dtype(dtype);
        }
        self.to_dtype(self.dtype().to_float()).through_compute(|x| match exponent {
            0.0 => x.ones_like(),
            1.0 => x.clone(),
            2.0 => x.square(),
            3.0 => x.square().mul(x),
            0.5 => x.sqrt(),
            -1.0 => x.reciprocal(),
            -2.0 => x.square().reciprocal(),
            _ => x.map_float("powf", Powf(exponent)),
        })
    }

    /// Elements below `min` become `min`, elements above `max` become `max`; NaN stays NaN, and a bound of NaN
    /// gives NaN.
    ///
    /// # Panics
    /// For bool, or if the tensor holds integers and a bound is a fraction.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([-1.0, 0.5, 2.0]).clamp(Some(0.0), Some(1.0)).to_vec::<f64>(), [0.0, 0.5, 1.0]);
    /// ```
    #[track_caller]
    pub fn clamp(&self, min: Option<f64>, max: Option<f64>) -> Tensor {
        // A bound beyond the range of the dtype is the end of that range.
        fn bound<T: Number>(given: Option<f64>, default: T) -> T {
            given.map_or(default, |x| T::from_f64(x.clamp(T::LOWEST.to_f64(), T::HIGHEST.to_f64())))
        }
        if let Some(x) = [min, max].into_iter().flatten().find(|x| x.is_finite() && x.fract() != 0.0)
            && !self.dtype().is_floating_point()
        {
            let what = format!("bound {x} does not fit dtype {}; convert the tensor with to_dtype first", self.dtype());
            panic!("{}", Error::dtype("clamp", what));
        }
        if [min, max].into_iter().flatten().any(f64::is_nan) && self.dtype().is_floating_point() {
            return Tensor::full(self.shape(), f64::NAN, self.dtype());
        }
        // i32 is computed in i64, whose range is another.
        let narrow = |x: f64| if self.dtype() == DType::I32 { x.clamp(i32::MIN as f64, i32::MAX as f64) } else { x };
        let (min, max) = (min.map(narrow), max.map(narrow));
        self.through_compute(|x| {
            dispatch!(number x.dtype(), "clamp", T => {
                let f = Clamp::<T>(bound(min, T::LOWEST), bound(max, T::HIGHEST));
                Tensor::build::<T>(x.shape(), |out| map::map(f, x.elements::<T>(), out))
            })
        })
    }

    /// Sets every element to `f` of it, copying first if the memory is shared.
    pub(crate) fn map_in_place<T: Element, F: Map<T, T>>(&mut self, f: F) {
        map::map_in_place(f, self.as_slice_mut::<T>());
    }

    /// Whether each element is zero (for bools: the negation).
    #[track_caller]
    pub fn logical_not(&self) -> Tensor {
        #[derive(Clone, Copy)]
        struct Not;
        impl Map<bool, bool> for Not {
            #[inline(always)]
            fn call<S: Simd>(self, x: bool) -> bool {
                !x
            }
        }
        match self.dtype() {
            DType::Bool => Tensor::build::<bool>(self.shape(), |out| map::map(Not, self.elements::<bool>(), out)),
            _ => self.eq_scalar(0.0),
        }
    }

    /// This tensor as truth values: whether each element is not zero.
    pub(crate) fn truth(&self) -> Tensor {
        self.to_dtype(DType::Bool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_beyond_an_integer_type_are_the_ends_of_its_range() {
        let x = Tensor::from([0u8, 7, 255]);
        assert_eq!(x.clamp(Some(-1.0), Some(1000.0)).to_vec::<u8>(), [0, 7, 255]);
        assert_eq!(x.clamp(Some(5.0), Some(f64::INFINITY)).to_vec::<u8>(), [5, 7, 255]);
        assert_eq!(Tensor::from([7i32]).clamp(Some(1e12), None).to_vec::<i32>(), [i32::MAX]);
        assert_eq!(Tensor::from([7i32]).clamp(Some(-1e10), Some(1e10)).to_vec::<i32>(), [7]);
        assert!(Tensor::from([f32::NAN]).clamp(Some(0.0), Some(1.0)).isnan().item::<bool>());
        assert!(Tensor::from([0.5]).clamp(None, Some(f64::NAN)).isnan().item::<bool>());
    }
}
