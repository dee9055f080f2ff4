//! The in-place step under the optimizers of the `optim` crate.

use crate::dtype::dispatch;
use crate::kernels::optimizer::{self, Steps};
use crate::{Error, Tensor};

impl Tensor {
    /// One step of an optimizer in one pass over memory: for every element of the parameter `p`, the function `f` of it,
    /// of the gradient's and of those of `N` kept tensors (at most three), which are written back in place.
    ///
    /// `name` is the optimizer's, for errors. The kept tensors have a parameter's shape and dtype.
    ///
    /// # Panics
    /// If shapes or dtypes differ, or the dtype is neither f32 nor f64.
    ///
    /// ```
    /// use tensor::{ElementStep, Real, Tensor};
    ///
    /// /// Momentum: `b ← 0.5 b + g`, `p ← p - 0.1 b`.
    /// #[derive(Clone, Copy)]
    /// struct Momentum;
    ///
    /// impl ElementStep<1> for Momentum {
    ///     #[inline(always)]
    ///     fn call<T: Real>(self, p: T, g: T, [b]: [T; 1]) -> (T, [T; 1]) {
    ///         let b = T::of(0.5) * b + g;
    ///         (p - T::of(0.1) * b, [b])
    ///     }
    /// }
    ///
    /// let (mut p, g, mut b) = (Tensor::from([1.0, 2.0]), Tensor::from([1.0, -1.0]), Tensor::from([2.0, 2.0]));
    /// Tensor::step_("Momentum", &mut p, &g, [&mut b], Momentum);
    /// assert_eq!(b.to_vec::<f64>(), [2.0, 0.0]);
    /// assert_eq!(p.to_vec::<f64>(), [0.8, 2.0]);
    /// ```
    #[track_caller]
    pub fn step_<const N: usize>(name: &str, p: &mut Tensor, g: &Tensor, kept: [&mut Tensor; N], f: impl Steps<N>) {
        require_alike(name, p, "gradient", g);
        for tensor in &kept {
            require_alike(name, p, "kept tensor", tensor);
        }
        let g = g.contiguous();
        dispatch!(float p.dtype(), name, T => {
            let kept = kept.map(|tensor| tensor.as_slice_mut::<T>());
            optimizer::step(f, p.as_slice_mut::<T>(), g.as_slice::<T>().expect("contiguous"), kept);
        })
    }
}

#[track_caller]
fn require_alike(op: &str, p: &Tensor, name: &str, t: &Tensor) {
    if p.dtype().is_half() {
        let what = format!("an update is lost in the rounding of {}; keep the parameter in f32", p.dtype());
        panic!("{}", Error::dtype(op, what));
    }
    if t.shape() != p.shape() {
        let shapes: [(&str, &[usize]); 2] = [("parameter", p.shape()), (name, t.shape())];
        panic!("{}", Error::shape(op, format!("the {name} has another shape"), &shapes, "equal shapes"));
    }
    if t.dtype() != p.dtype() {
        panic!("{}", Error::dtype(op, format!("the parameter is {}, the {name} {}", p.dtype(), t.dtype())));
    }
}
