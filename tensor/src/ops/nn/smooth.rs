//! Smooth activations, each with its gradient in one pass.

use crate::kernels::map::Map;
use crate::kernels::math::Math;
use crate::kernels::simd::Simd;
use crate::kernels::zip::Zip;
use crate::ops::nn::activation::gradient;
use crate::{Error, Tensor};

/// Defines functions of one element: name, parameters, the function of `x`, the gradient from `x` and `dy`.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident {$($p:ident),*}: |$x:ident| $value:expr, |$z:ident, $dy:ident| $gradient:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        struct $name { $($p: f64),* }

        impl<T: Math> Map<T, T> for $name {
            #[inline(always)]
            fn call<S: Simd>(self, $x: T) -> T {
                $(let $p = T::of(self.$p);)*
                $value
            }
        }

        impl<T: Math> Zip<T, T> for $name {
            #[inline(always)]
            fn call<S: Simd>(self, $z: T, $dy: T) -> T {
                $(let $p = T::of(self.$p);)*
                $gradient
            }
        }
    )*};
}

functions! {
    /// `above x` above 0, `below (e^(inner x) - 1)` elsewhere: ELU, CELU and SELU.
    Exponential { above, below, inner }:
        |x| if x <= T::ZERO { below * (x * inner).expm1::<S>() } else { above * x },
        |x, dy| if x <= T::ZERO { dy * (below * inner) * (x * inner).exp::<S>() } else { dy * above };
    /// `log(1 + e^(beta x)) / beta`, and `x` itself where `beta x` is above the threshold.
    Softplus { beta, threshold }:
        |x| {
            let z = beta * x;
            let soft = z.softplus::<S>() / beta;
            if z > threshold { x } else { soft }
        },
        |x, dy| if beta * x > threshold { dy } else { dy * (beta * x).sigmoid::<S>() };
    /// `log(sigmoid(x))`.
    LogSigmoid {}:
        |x| -(-x).softplus::<S>(),
        |x, dy| dy * (-x).sigmoid::<S>();
    /// `x tanh(log(1 + e^x))`.
    Mish {}:
        |x| x.mish::<S>(),
        |x, dy| {
            let t = x.softplus::<S>().tanh::<S>();
            dy * S::mul_add(x * x.sigmoid::<S>(), T::ONE - t * t, t)
        };
    /// `x / (1 + |x|)`.
    Softsign {}:
        |x| x / (T::ONE + x.abs()),
        |x, dy| {
            let r = T::ONE / (T::ONE + x.abs());
            dy * r * r
        };
    /// `x - tanh(x)`.
    Tanhshrink {}:
        |x| x - x.tanh::<S>(),
        |x, dy| {
            let t = x.tanh::<S>();
            dy * t * t
        };
}

/// The scale and the alpha of [`Tensor::selu`], for which activations keep mean 0 and variance 1.
pub const SELU: (f64, f64) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);

impl Exponential {
    fn elu(alpha: f64) -> Self {
        Exponential { above: 1.0, below: alpha, inner: 1.0 }
    }

    #[track_caller]
    fn celu(alpha: f64) -> Self {
        if alpha == 0.0 {
            panic!("{}", Error::value("celu", "alpha must not be 0"));
        }
        Exponential { above: 1.0, below: alpha, inner: 1.0 / alpha }
    }

    fn selu() -> Self {
        Exponential { above: SELU.0, below: SELU.0 * SELU.1, inner: 1.0 }
    }
}

impl Tensor {
    /// `x` where `x > 0`, else `alpha (e^x - 1)`; in floats.
    ///
    /// # Source
    /// Clevert, Unterthiner and Hochreiter, "Fast and Accurate Deep Network Learning by Exponential Linear Units", 2016.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([-1e4, 2.0]).elu(1.0).to_vec::<f64>(), [-1.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn elu(&self, alpha: f64) -> Tensor {
        self.map_float("elu", Exponential::elu(alpha))
    }

    /// `x` where `x > 0`, else `alpha (e^(x / alpha) - 1)`, whose slope is continuous; in floats.
    ///
    /// # Panics
    /// If `alpha` is 0.
    ///
    /// # Source
    /// Barron, "Continuously Differentiable Exponential Linear Units", 2017.
    #[track_caller]
    pub fn celu(&self, alpha: f64) -> Tensor {
        self.map_float("celu", Exponential::celu(alpha))
    }

    /// `scale x` where `x > 0`, else `scale alpha (e^x - 1)`, with the two constants that normalise; in floats.
    ///
    /// # Source
    /// Klambauer et al., "Self-Normalizing Neural Networks", 2017, equation 2.
    #[track_caller]
    pub fn selu(&self) -> Tensor {
        self.map_float("selu", Exponential::selu())
    }

    /// `log(1 + e^(beta x)) / beta`, and `x` where `beta x > threshold`; in floats. PyTorch's defaults are 1 and 20.
    ///
    /// # Numerics
    /// No overflow whatever the threshold.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([1e4, -1e4]).softplus(1.0, 20.0).to_vec::<f64>(), [1e4, 0.0]);
    /// ```
    #[track_caller]
    pub fn softplus(&self, beta: f64, threshold: f64) -> Tensor {
        self.map_float("softplus", Softplus { beta, threshold })
    }

    /// `log(sigmoid(x))`; in floats.
    ///
    /// # Numerics
    /// No overflow, and exact for large `x` of either sign.
    #[track_caller]
    pub fn logsigmoid(&self) -> Tensor {
        self.map_float("logsigmoid", LogSigmoid {})
    }

    /// `x tanh(log(1 + e^x))`; in floats.
    ///
    /// # Source
    /// Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2020, equation 1.
    #[track_caller]
    pub fn mish(&self) -> Tensor {
        self.map_float("mish", Mish {})
    }

    /// `x / (1 + |x|)`; in floats.
    #[track_caller]
    pub fn softsign(&self) -> Tensor {
        self.map_float("softsign", Softsign {})
    }

    /// `x - tanh(x)`; in floats.
    #[track_caller]
    pub fn tanhshrink(&self) -> Tensor {
        self.map_float("tanhshrink", Tanhshrink {})
    }
}

/// Defines the gradients.
macro_rules! gradients {
    ($($name:ident($($p:ident),*) of $f:ident: $function:expr;)*) => { impl Tensor {$(
        #[doc = concat!("The gradient of [`", stringify!($f), "`](Tensor::", stringify!($f), ").")]
        ///
        /// # Panics
        /// If the shapes or dtypes differ.
        #[track_caller]
        pub fn $name(x: &Tensor, dy: &Tensor $(, $p: f64)*) -> Tensor {
            gradient(stringify!($name), $function, x, dy)
        }
    )*}};
}

gradients! {
    elu_backward(alpha) of elu: Exponential::elu(alpha);
    celu_backward(alpha) of celu: Exponential::celu(alpha);
    selu_backward() of selu: Exponential::selu();
    softplus_backward(beta, threshold) of softplus: Softplus { beta, threshold };
    logsigmoid_backward() of logsigmoid: LogSigmoid {};
    mish_backward() of mish: Mish {};
    softsign_backward() of softsign: Softsign {};
    tanhshrink_backward() of tanhshrink: Tanhshrink {};
}
