//! The dynamic graph: values that remember how they were computed, and the gradients of everything in them.
//!
//! [`Var`] wraps a [`tensor::Tensor`]. Its operations are the tensor's, each with a pullback that maps the gradient of
//! the result to those of the inputs, and [`Var::backward`] runs the pullbacks in reverse. They are themselves written
//! in `Var`s, so every derivative can be differentiated again ([`grad`] with `create_graph`).
//!
//! ```
//! use autograd::Var;
//! use tensor::Tensor;
//! let w = Var::new(Tensor::from([[1.0, 2.0], [3.0, 4.0]])).requires_grad_(true);
//! let x = Var::new(Tensor::from([1.0, -1.0]));
//! let loss = w.matmul(&x).tanh().square().mean();
//! loss.backward();
//! assert_eq!(w.grad().unwrap().shape(), [2, 2]);
//! ```
//!
//! * Values never change in place: a graph keeps the tensors that it was recorded with ([`Var::set_value`] does not
//!   reach it).
//! * What is not needed is not computed and not kept: see [`Var::record`], with which programs add operations of their
//!   own.
//! * Around the graph there are gradients without slots ([`grad`]), Jacobians and their like ([`vjp`], [`jvp`],
//!   [`jacobian`], [`hessian`]), the proof of one's own gradients ([`gradcheck()`], and `strategy` with the feature
//!   `proptest`), less memory for more time ([`checkpoint()`]), the search for what went wrong ([`detect_anomaly`],
//!   [`gradient_report`]) and a drawing ([`Var::to_dot`]).
//! * Indices, targets and masks are plain [`tensor::Tensor`]s: no gradient can flow through them, and the types say so.

mod anomaly;
mod checkpoint;
mod engine;
mod functional;
mod gradcheck;
mod graphviz;
mod hooks;
mod mode;
pub mod operations;
mod ops;
mod pending;
mod record;
mod reference;
mod report;
mod step;
#[cfg(feature = "proptest")]
pub mod strategy;
#[cfg(test)]
mod testing;
mod var;

pub use checkpoint::checkpoint;
pub use engine::{BackwardOptions, GradOptions, grad};
pub use functional::{FunctionalOptions, hessian, hvp, jacobian, jvp, vhp, vjp};
pub use gradcheck::{GradcheckError, GradcheckOptions, gradcheck, gradgradcheck};
pub use hooks::HookHandle;
pub use mode::{
    AnomalyOptions, detect_anomaly, detect_anomaly_with, enable_grad, is_anomaly_enabled, is_grad_enabled, no_grad,
};
pub use record::Kept;
pub use reference::reference_vjp;
pub use report::{GradientEntry, GradientReport, GradientState, gradient_report};
pub use step::Need;
pub use var::Var;
