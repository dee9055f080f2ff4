//! Optimizer steps: one pass over the memory of a parameter, its gradient and its state.

use crate::dtype::Float;
use crate::kernels::parallel::{self, GRAIN, SharedMut};
use crate::kernels::simd::vectorised;

/// The numbers of one Adam step, worked out once.
#[derive(Clone, Copy)]
pub(crate) struct Adam<T> {
    /// 1, or -1 to maximize.
    pub(crate) sign: T,
    /// Added to the gradient per unit of the parameter.
    pub(crate) decay: T,
    /// What the parameter is multiplied by first.
    pub(crate) keep: T,
    pub(crate) one_minus_beta1: T,
    pub(crate) beta2: T,
    pub(crate) one_minus_beta2: T,
    /// `lr / (1 - beta1^t)`.
    pub(crate) step_size: T,
    /// `sqrt(1 - beta2^t)`.
    pub(crate) correction: T,
    pub(crate) eps: T,
}

/// The numbers of one SGD step.
#[derive(Clone, Copy)]
pub(crate) struct Sgd<T> {
    pub(crate) sign: T,
    pub(crate) decay: T,
    pub(crate) lr: T,
    pub(crate) momentum: T,
    pub(crate) one_minus_dampening: T,
    pub(crate) nesterov: bool,
    /// The buffer becomes the gradient.
    pub(crate) first: bool,
}

vectorised! {
    // The order of operations is PyTorch's, so that trajectories agree to the last digits; hence no fused multiply-add.
    fn adam_run<S, T: Float>(s: Adam<T>, p: &mut [T], g: &[T], m: &mut [T], v: &mut [T]) {
        for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            let g = s.sign * g + s.decay * *p;
            let kept = *p * s.keep;
            *m = *m + s.one_minus_beta1 * (g - *m);
            *v = *v * s.beta2 + s.one_minus_beta2 * g * g;
            *p = kept - s.step_size * (*m / (v.sqrt() / s.correction + s.eps));
        }
    }

    fn sgd_run<S, T: Float>(s: Sgd<T>, p: &mut [T], g: &[T]) {
        for (p, &g) in p.iter_mut().zip(g) {
            *p = *p - s.lr * (s.sign * g + s.decay * *p);
        }
    }

    fn sgd_momentum_run<S, T: Float>(s: Sgd<T>, p: &mut [T], g: &[T], b: &mut [T]) {
        for ((p, &g), b) in p.iter_mut().zip(g).zip(b) {
            let g = s.sign * g + s.decay * *p;
            *b = if s.first { g } else { *b * s.momentum + s.one_minus_dampening * g };
            *p = *p - s.lr * if s.nesterov { g + s.momentum * *b } else { *b };
        }
    }
}

/// One Adam step; all slices have the length of `p`.
pub(crate) fn adam<T: Float>(s: Adam<T>, p: &mut [T], g: &[T], m: &mut [T], v: &mut [T]) {
    let (m, v) = (SharedMut::new(m), SharedMut::new(v));
    parallel::for_each_chunk(p, GRAIN, |i, p| {
        let (from, len) = (i * GRAIN, p.len());
        // SAFETY: chunks do not overlap.
        let (m, v) = unsafe { (m.slice(from, len), v.slice(from, len)) };
        adam_run(s, p, &g[from..from + len], m, v);
    });
}

/// One SGD step; all slices have the length of `p`.
pub(crate) fn sgd<T: Float>(s: Sgd<T>, p: &mut [T], g: &[T], buffer: Option<&mut [T]>) {
    let buffer = buffer.map(SharedMut::new);
    parallel::for_each_chunk(p, GRAIN, |i, p| {
        let (from, len) = (i * GRAIN, p.len());
        let g = &g[from..from + len];
        match &buffer {
            // SAFETY: chunks do not overlap.
            Some(b) => sgd_momentum_run(s, p, g, unsafe { b.slice(from, len) }),
            None => sgd_run(s, p, g),
        }
    });
}
