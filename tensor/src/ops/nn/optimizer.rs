//! The in-place steps under the optimizers of the `optim` crate.

use crate::dtype::{Float, dispatch};
use crate::kernels::optimizer::{self, Adam, Sgd};
use crate::{Error, Tensor};

/// The options of [`Tensor::adam_step_`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Learning rate.
    pub lr: f64,
    /// Decay rates of the two running means.
    pub betas: (f64, f64),
    /// Added to the denominator, outside the square root.
    pub eps: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Whether the decay acts on the parameter (AdamW) rather than on the gradient (Adam).
    pub decoupled: bool,
    /// Ascend instead of descend.
    pub maximize: bool,
    /// The number of this step; the first is 1.
    pub step: u64,
}

/// The options of [`Tensor::sgd_step_`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdStep {
    /// Learning rate.
    pub lr: f64,
    /// Momentum; the buffer is used only when it is not 0.
    pub momentum: f64,
    /// Dampening of the gradient that enters the buffer.
    pub dampening: f64,
    /// Weight decay, added to the gradient.
    pub weight_decay: f64,
    /// Nesterov's momentum.
    pub nesterov: bool,
    /// Ascend instead of descend.
    pub maximize: bool,
    /// Whether this is the first step: the buffer becomes the gradient.
    pub first: bool,
}

impl Tensor {
    /// One step of Adam or AdamW in one pass over memory: with the gradient `g` (negated to maximize; plus
    /// `weight_decay * p` unless decoupled),
    ///
    /// ```text
    /// p = p (1 - lr * weight_decay)            only if decoupled
    /// m = m + (1 - beta1) (g - m)
    /// v = beta2 v + (1 - beta2) g^2
    /// p = p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
    /// ```
    ///
    /// # Panics
    /// If shapes or dtypes differ, or the dtype is not floating.
    /// # Source
    /// Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1; Loshchilov and Hutter, "Decoupled
    /// Weight Decay Regularization", 2019, algorithm 2; the order of operations is PyTorch's.
    #[track_caller]
    pub fn adam_step_(p: &mut Tensor, g: &Tensor, m: &mut Tensor, v: &mut Tensor, options: &AdamStep) {
        require_alike("adam_step_", p, &[("gradient", g), ("exp_avg", m), ("exp_avg_sq", v)]);
        let AdamStep { lr, betas: (beta1, beta2), eps, weight_decay, decoupled, maximize, step } = *options;
        let g = g.contiguous();
        dispatch!(float p.dtype(), "adam_step_", T => {
            let numbers = Adam {
                sign: T::of(if maximize { -1.0 } else { 1.0 }),
                decay: T::of(if decoupled { 0.0 } else { weight_decay }),
                keep: T::of(if decoupled { 1.0 - lr * weight_decay } else { 1.0 }),
                one_minus_beta1: T::of(1.0 - beta1),
                beta2: T::of(beta2),
                one_minus_beta2: T::of(1.0 - beta2),
                step_size: T::of(lr / (1.0 - beta1.powf(step as f64))),
                correction: T::of((1.0 - beta2.powf(step as f64)).sqrt()),
                eps: T::of(eps),
            };
            let (m, v) = (m.as_slice_mut::<T>(), v.as_slice_mut::<T>());
            optimizer::adam(numbers, p.as_slice_mut::<T>(), g.as_slice::<T>().expect("contiguous"), m, v);
        })
    }

    /// One step of SGD in one pass over memory: with the gradient `g` (negated to maximize) plus `weight_decay * p`,
    ///
    /// ```text
    /// b = momentum b + (1 - dampening) g       (the first time b = g)
    /// d = g + momentum b  (nesterov)   or   b  (momentum)   or   g
    /// p = p - lr d
    /// ```
    ///
    /// # Panics
    /// If shapes or dtypes differ, the dtype is not floating, or momentum has no buffer.
    /// # Source
    /// Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, in PyTorch's form.
    #[track_caller]
    pub fn sgd_step_(p: &mut Tensor, g: &Tensor, buffer: Option<&mut Tensor>, options: &SgdStep) {
        let SgdStep { lr, momentum, dampening, weight_decay, nesterov, maximize, first } = *options;
        let buffer = if momentum == 0.0 { None } else { Some(buffer.expect("sgd_step_: momentum needs a buffer")) };
        match &buffer {
            Some(b) => require_alike("sgd_step_", p, &[("gradient", g), ("momentum_buffer", b)]),
            None => require_alike("sgd_step_", p, &[("gradient", g)]),
        }
        let g = g.contiguous();
        dispatch!(float p.dtype(), "sgd_step_", T => {
            let numbers = Sgd {
                sign: T::of(if maximize { -1.0 } else { 1.0 }),
                decay: T::of(weight_decay),
                lr: T::of(lr),
                momentum: T::of(momentum),
                one_minus_dampening: T::of(1.0 - dampening),
                nesterov,
                first,
            };
            let buffer = buffer.map(|b| b.as_slice_mut::<T>());
            optimizer::sgd(numbers, p.as_slice_mut::<T>(), g.as_slice::<T>().expect("contiguous"), buffer);
        })
    }
}

#[track_caller]
fn require_alike(op: &str, p: &Tensor, others: &[(&str, &Tensor)]) {
    if p.dtype().is_half() {
        let what = format!("an update is lost in the rounding of {}; keep the parameter in f32", p.dtype());
        panic!("{}", Error::dtype(op, what));
    }
    for (name, t) in others {
        if t.shape() != p.shape() {
            let shapes: [(&str, &[usize]); 2] = [("parameter", p.shape()), (name, t.shape())];
            panic!("{}", Error::shape(op, format!("the {name} has another shape"), &shapes, "equal shapes"));
        }
        if t.dtype() != p.dtype() {
            panic!("{}", Error::dtype(op, format!("the parameter is {}, the {name} {}", p.dtype(), t.dtype())));
        }
    }
}
