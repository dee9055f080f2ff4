//! Losses that compare an input with a target element by element.

use crate::dtype::dispatch;
use crate::kernels::math::Math;
use crate::kernels::pair_loss::{self as kernel, Each, PairLoss as Formula, Slope, TargetSlope};
use crate::kernels::simd::Simd;
use crate::ops::arithmetic::{broadcast, zip_with};
use crate::ops::nn::cross_entropy::Reduction;
use crate::{DType, Error, Tensor};

/// A loss of one input and one target element, for [`Tensor::pair_loss`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PairLoss {
    /// `(x - t)^2`.
    Mse,
    /// `|x - t|`.
    L1,
    /// `(x - t)^2 / (2 beta)` where `|x - t| < beta`, else `|x - t| - beta / 2`.
    SmoothL1 {
        /// Where the parabola ends.
        beta: f64,
    },
    /// `(x - t)^2 / 2` where `|x - t| < delta`, else `delta (|x - t| - delta / 2)`.
    Huber {
        /// Where the parabola ends.
        delta: f64,
    },
    /// `-(t log x + (1 - t) log(1 - x))`, the logarithms limited to -100 from below.
    BinaryCrossEntropy,
    /// The same of `sigmoid(x)`, from `x` itself: `(1 - t) x + log(1 + e^-x)`.
    BinaryCrossEntropyWithLogits,
    /// `t (log t - x)`, of a log-probability and a probability.
    KlDiv,
    /// `e^t (t - x)`, of two log-probabilities.
    KlDivLogTarget,
}

impl PairLoss {
    /// The name of its method.
    pub fn name(self) -> &'static str {
        match self {
            PairLoss::Mse => "mse_loss",
            PairLoss::L1 => "l1_loss",
            PairLoss::SmoothL1 { .. } => "smooth_l1_loss",
            PairLoss::Huber { .. } => "huber_loss",
            PairLoss::BinaryCrossEntropy => "binary_cross_entropy",
            PairLoss::BinaryCrossEntropyWithLogits => "binary_cross_entropy_with_logits",
            PairLoss::KlDiv | PairLoss::KlDivLogTarget => "kl_div",
        }
    }

    /// Whether shapes that differ are an error, as in PyTorch, rather than broadcast.
    fn is_strict(self) -> bool {
        matches!(self, PairLoss::BinaryCrossEntropy | PairLoss::BinaryCrossEntropyWithLogits)
    }
}

/// Defines the formulas: name, parameters, value, slope by the input, slope by the target.
macro_rules! formulas {
    ($($name:ident {$($p:ident),*}: |$x:ident, $t:ident| $value:expr, $slope:expr, $target_slope:expr;)*) => {$(
        #[derive(Clone, Copy)]
        struct $name { $($p: f64),* }
        impl<T: Math> Formula<T> for $name {
            #[inline(always)]
            fn value<S: Simd>(self, $x: T, $t: T) -> T {
                let _ = $t;
                $(let $p = T::of(self.$p);)*
                $value
            }
            #[inline(always)]
            fn slope<S: Simd>(self, $x: T, $t: T) -> T {
                let _ = ($x, $t);
                $(let $p = T::of(self.$p);)*
                $slope
            }
            #[inline(always)]
            fn target_slope<S: Simd>(self, $x: T, $t: T) -> T {
                let _ = ($x, $t);
                $(let $p = T::of(self.$p);)*
                $target_slope
            }
        }
    )*};
}

formulas! {
    Mse {}: |x, t| (x - t) * (x - t), T::of(2.0) * (x - t), T::of(2.0) * (t - x);
    L1 {}: |x, t| (x - t).abs(), sign(x - t), sign(t - x);
    // The parabola bends by 1 / bend and ends at `end`, where the line goes on with slope `slope`.
    Bent { end, bend, slope }: |x, t| {
            let d = (x - t).abs();
            if d < end { T::of(0.5) * d * d / bend } else { slope * (d - T::of(0.5) * end) }
        },
        bent(x - t, end, bend, slope),
        bent(t - x, end, bend, slope);
    Bce {}: |x, t| {
            let least = T::of(-100.0);
            let at_least = |log: T| if log < least { least } else { log };
            // The limited logarithms are finite, so that a product with 0 is 0.
            (t - T::ONE) * at_least((-x).log1p::<S>()) - t * at_least(x.log::<S>())
        },
        {
            let product = (T::ONE - x) * x;
            let least = T::of(1e-12);
            (x - t) / (if product < least { least } else { product })
        },
        (-x).log1p::<S>() - x.log::<S>();
    BceWithLogits {}: |x, t| {
            let negative = if x < T::ZERO { -x } else { T::ZERO };
            (T::ONE - t) * x + negative + (-x.abs()).exp::<S>().log1p::<S>()
        },
        x.sigmoid::<S>() - t,
        -x;
    Kl {}: |x, t| if t == T::ZERO { t - t * x } else { t * (t.log::<S>() - x) },
        -t,
        t.log::<S>() + T::ONE - x;
    KlLog {}: |x, t| t.exp::<S>() * (t - x),
        -t.exp::<S>(),
        t.exp::<S>() * (t - x + T::ONE);
    // How many of the two are no probability.
    NoProbabilities {}: |x, t| {
            let outside = |p: T| if p >= T::ZERO && p <= T::ONE { T::ZERO } else { T::ONE };
            outside(x) + outside(t)
        },
        T::ZERO,
        T::ZERO;
}

#[inline(always)]
fn sign<T: Math>(d: T) -> T {
    if d > T::ZERO {
        T::ONE
    } else if d < T::ZERO {
        -T::ONE
    } else {
        // Zero, or NaN.
        d * T::ZERO
    }
}

#[inline(always)]
fn bent<T: Math>(d: T, end: T, bend: T, slope: T) -> T {
    if d.abs() < end { d / bend } else { slope * sign(d) }
}

/// Runs `$body` with `$f` standing for the formula of `$loss`.
macro_rules! with_formula {
    ($loss:expr, $f:ident => $body:expr) => {
        match $loss {
            PairLoss::Mse => with_formula!(@ Mse {}, $f => $body),
            PairLoss::L1 => with_formula!(@ L1 {}, $f => $body),
            PairLoss::SmoothL1 { beta } => with_formula!(@ Bent { end: beta, bend: beta, slope: 1.0 }, $f => $body),
            PairLoss::Huber { delta } => with_formula!(@ Bent { end: delta, bend: 1.0, slope: delta }, $f => $body),
            PairLoss::BinaryCrossEntropy => with_formula!(@ Bce {}, $f => $body),
            PairLoss::BinaryCrossEntropyWithLogits => with_formula!(@ BceWithLogits {}, $f => $body),
            PairLoss::KlDiv => with_formula!(@ Kl {}, $f => $body),
            PairLoss::KlDivLogTarget => with_formula!(@ KlLog {}, $f => $body),
        }
    };
    (@ $formula:expr, $f:ident => $body:expr) => {{
        let $f = $formula;
        $body
    }};
}

/// Input and target in one dtype, that in which kernels compute, and of one shape; beside them the dtype of the result.
#[track_caller]
fn operands(loss: PairLoss, x: &Tensor, t: &Tensor) -> (Tensor, Tensor, DType) {
    let op = loss.name();
    if loss.is_strict() && x.shape() != t.shape() {
        let shapes: [(&str, &[usize]); 2] = [("input", x.dims()), ("target", t.dims())];
        panic!("{}", Error::shape(op, "the shapes differ", &shapes, "equal shapes"));
    }
    let dtype = match loss {
        // PyTorch's divergence alone promotes before it broadcasts, so that a scalar does not widen the result.
        PairLoss::KlDiv | PairLoss::KlDivLogTarget => x.result_type(t),
        _ => x.dtype().promote(t.dtype()),
    };
    let dtype = dtype.to_float();
    let wide = |x: &Tensor| x.to_dtype(dtype.compute());
    let (x, t) = broadcast(op, &wide(x), &wide(t));
    (x, t, dtype)
}

/// What a loss of `n` elements and `rows` rows is divided by.
#[track_caller]
fn divisor(loss: PairLoss, reduction: Reduction, n: usize, rows: usize) -> f64 {
    match reduction {
        Reduction::Mean => n as f64,
        Reduction::BatchMean if loss.name() == "kl_div" => rows as f64,
        Reduction::BatchMean => panic!("{}", Error::value(loss.name(), "BatchMean is a reduction of kl_div only")),
        _ => 1.0,
    }
}

impl Tensor {
    /// A loss of this input and a target, element by element and then reduced, in one pass over memory.
    ///
    /// # Shape
    /// Input and target broadcast, but must agree for the two binary cross-entropies.
    ///
    /// # Panics
    /// If the shapes do not fit, a parameter is out of its range, or an input or a target of
    /// [`BinaryCrossEntropy`](PairLoss::BinaryCrossEntropy) is not in `[0, 1]`.
    ///
    /// ```
    /// use tensor::{PairLoss, Reduction, Tensor};
    /// let (x, t) = (Tensor::from([1.0, 2.0]), Tensor::from([1.0, 4.0]));
    /// assert_eq!(x.pair_loss(&t, PairLoss::Mse, Reduction::Mean).item::<f64>(), 2.0);
    /// assert_eq!(x.pair_loss(&t, PairLoss::L1, Reduction::None).to_vec::<f64>(), [0.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn pair_loss(&self, target: &Tensor, loss: PairLoss, reduction: Reduction) -> Tensor {
        let op = loss.name();
        match loss {
            PairLoss::SmoothL1 { beta } if beta < 0.0 => {
                panic!("{}", Error::value(op, format!("beta must not be negative, got {beta}")))
            }
            PairLoss::Huber { delta } if delta <= 0.0 => {
                panic!("{}", Error::value(op, format!("delta must be positive, got {delta}")))
            }
            _ => {}
        }
        let (x, t, dtype) = operands(loss, self, target);
        if loss == PairLoss::BinaryCrossEntropy {
            let outside = |a: &Tensor, b: &Tensor| dispatch!(float x.dtype(), op, T => kernel::sum(NoProbabilities {}, a.elements::<T>(), b.elements::<T>()));
            if outside(&x, &t) > 0.0 {
                let which = if outside(&x, &x) > 0.0 { ("inputs", &x) } else { ("targets", &t) };
                let count = outside(which.1, which.1) / 2.0;
                panic!("{}", Error::value(op, format!("{count} of the {} are not in [0, 1]", which.0)));
            }
        }
        let by = divisor(loss, reduction, x.numel(), self.dims().first().copied().unwrap_or(1));
        with_formula!(loss, f => dispatch!(float x.dtype(), op, T => match reduction {
            Reduction::None => zip_with::<T, T, _>(op, Each(f), &x, &t),
            _ => Tensor::scalar(kernel::sum(f, x.elements::<T>(), t.elements::<T>()) / by),
        }))
        .to_dtype(dtype)
    }

    /// The gradients of [`pair_loss`](Tensor::pair_loss) by input and target, of which those in `need` are computed; in the
    /// shape to which both were broadcast.
    ///
    /// # Panics
    /// As the forward pass, and if `dy` does not have the loss's shape.
    #[track_caller]
    pub fn pair_loss_backward(
        dy: &Tensor,
        x: &Tensor,
        target: &Tensor,
        loss: PairLoss,
        reduction: Reduction,
        need: [bool; 2],
    ) -> [Option<Tensor>; 2] {
        let op = loss.name();
        let rows = x.dims().first().copied().unwrap_or(1);
        let (x, t, dtype) = operands(loss, x, target);
        let expected: &[usize] = if reduction == Reduction::None { x.dims() } else { &[] };
        if dy.dims() != expected {
            let shapes: [(&str, &[usize]); 2] = [("dy", dy.dims()), ("loss", expected)];
            panic!("{}", Error::shape(op, "the gradient does not have the shape of the loss", &shapes, "equal shapes"));
        }
        let scale = match reduction {
            Reduction::None => 1.0,
            _ => dy.item::<f64>() / divisor(loss, reduction, x.numel(), rows),
        };
        let finish = |dx: Tensor| {
            let dx = if reduction == Reduction::None { dx * dy.to_dtype(x.dtype()) } else { dx };
            dx.to_dtype(dtype)
        };
        with_formula!(loss, f => dispatch!(float x.dtype(), op, T => [
            need[0].then(|| finish(zip_with::<T, T, _>(op, Slope(f, <T as crate::dtype::Float>::of(scale)), &x, &t))),
            need[1].then(|| finish(zip_with::<T, T, _>(op, TargetSlope(f, <T as crate::dtype::Float>::of(scale)), &x, &t))),
        ]))
    }
}

/// Defines the losses by name.
macro_rules! named {
    ($($(#[$doc:meta])* $name:ident($($p:ident),*): $loss:expr;)*) => { impl Tensor {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// As [`Tensor::pair_loss`].
        #[track_caller]
        pub fn $name(&self, target: &Tensor, reduction: Reduction $(, $p: f64)*) -> Tensor {
            self.pair_loss(target, $loss, reduction)
        }
    )*}};
}

named! {
    /// `(x - t)^2`, reduced; broadcasts.
    mse_loss(): PairLoss::Mse;
    /// `|x - t|`, reduced; broadcasts.
    l1_loss(): PairLoss::L1;
    /// `(x - t)^2 / (2 beta)` where `|x - t| < beta`, else `|x - t| - beta / 2`, reduced; broadcasts. PyTorch's default is
    /// `beta = 1`.
    ///
    /// # Source
    /// Girshick, "Fast R-CNN", 2015, equation 3.
    smooth_l1_loss(beta): PairLoss::SmoothL1 { beta };
    /// `(x - t)^2 / 2` where `|x - t| < delta`, else `delta (|x - t| - delta / 2)`, reduced; broadcasts. PyTorch's default
    /// is `delta = 1`.
    ///
    /// # Source
    /// Huber, "Robust Estimation of a Location Parameter", 1964.
    huber_loss(delta): PairLoss::Huber { delta };
}

impl Tensor {
    /// `-w (t log x + (1 - t) log(1 - x))` of probabilities `x` and `t`, reduced; the logarithms are limited to -100 from
    /// below.
    ///
    /// # Shape
    /// Input and target agree; the weight broadcasts to them. The mean does not divide by the weights.
    ///
    /// # Panics
    /// As [`Tensor::pair_loss`], and if the weight does not broadcast.
    #[track_caller]
    pub fn binary_cross_entropy(&self, target: &Tensor, weight: Option<&Tensor>, reduction: Reduction) -> Tensor {
        let Some(weight) = weight else { return self.pair_loss(target, PairLoss::BinaryCrossEntropy, reduction) };
        let each = self.pair_loss(target, PairLoss::BinaryCrossEntropy, Reduction::None);
        (each * weight.expand(self.shape())).reduced("binary_cross_entropy", reduction)
    }

    /// `-w (p t log s + (1 - t) log(1 - s))` with `s = sigmoid(x)`, reduced, and a weight `p` of the positive class.
    ///
    /// # Shape
    /// Input and target agree; the weights broadcast to them.
    ///
    /// # Numerics
    /// From `x` itself: no overflow, and no loss of digits at either end.
    ///
    /// # Panics
    /// If the shapes differ or a weight does not broadcast.
    #[track_caller]
    pub fn binary_cross_entropy_with_logits(
        &self,
        target: &Tensor,
        weight: Option<&Tensor>,
        pos_weight: Option<&Tensor>,
        reduction: Reduction,
    ) -> Tensor {
        let op = "binary_cross_entropy_with_logits";
        if weight.is_none() && pos_weight.is_none() {
            return self.pair_loss(target, PairLoss::BinaryCrossEntropyWithLogits, reduction);
        }
        let mut each = self.pair_loss(target, PairLoss::BinaryCrossEntropyWithLogits, Reduction::None);
        if let Some(pos_weight) = pos_weight {
            // What the positive class weighs beyond 1.
            each = each - (pos_weight.expand(self.shape()) - 1.0) * target * self.logsigmoid();
        }
        if let Some(weight) = weight {
            each = each * weight.expand(self.shape());
        }
        each.reduced(op, reduction)
    }

    /// `t (log t - x)` for log-probabilities `x` and probabilities `t`, or `e^t (t - x)` if the target too is a logarithm
    /// (`log_target`), reduced; broadcasts. The divergence of a batch is the reduction
    /// [`BatchMean`](Reduction::BatchMean).
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    ///
    /// # Source
    /// Kullback and Leibler, "On Information and Sufficiency", 1951.
    #[track_caller]
    pub fn kl_div(&self, target: &Tensor, reduction: Reduction, log_target: bool) -> Tensor {
        let loss = if log_target { PairLoss::KlDivLogTarget } else { PairLoss::KlDiv };
        self.pair_loss(target, loss, reduction)
    }

    /// These losses reduced.
    #[track_caller]
    pub(crate) fn reduced(self, op: &str, reduction: Reduction) -> Tensor {
        match reduction {
            Reduction::None => self,
            Reduction::Sum => self.sum(),
            Reduction::Mean => self.mean(),
            Reduction::BatchMean => panic!("{}", Error::value(op, "BatchMean is a reduction of kl_div only")),
        }
    }
}
