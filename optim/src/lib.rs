//! Optimizers, schedules of the learning rate and gradient clipping, with PyTorch's names, defaults and formulas.
//!
//! ```
//! use nn::prelude::*;
//! use optim::{AdamW, AdamWOptions, ClipOptions, Optimizer, Scheduler, WarmupCosine, clip_grad_norm_};
//!
//! let model = sequential![Linear::new(2, 16), Tanh::new(), Linear::new(16, 1)];
//! let mut optimizer = AdamW::with(model.parameters(), AdamWOptions { lr: 1e-2, ..Default::default() });
//! let mut schedule = WarmupCosine::new(&mut optimizer, 5, 50, 1e-3);
//!
//! let x = Tensor::randn([64, 2], DType::F32);
//! let target = Var::new(x.sum_dim(-1, true));
//! let mut losses = Vec::new();
//! for _ in 0..50 {
//!     let loss = MSELoss::new().forward(&model.forward(&Var::new(x.clone())), &target);
//!     optimizer.zero_grad();
//!     loss.backward();
//!     clip_grad_norm_(&model.parameters(), 1.0, ClipOptions::default()).unwrap();
//!     optimizer.step();
//!     schedule.step(&mut optimizer);
//!     losses.push(loss.item::<f32>());
//! }
//! assert!(losses[49] < 0.5 * losses[0]);
//! ```
//!
//! An optimizer is a [`Rule`] (its options and one step of one parameter) under [`Descent`], which holds the parameter
//! groups and what is kept for each parameter: [`SGD`], [`Adam`], [`AdamW`], [`NAdam`], [`RAdam`], [`Adamax`],
//! [`Adagrad`], [`Adadelta`], [`RMSprop`], [`Lion`] and [`Muon`] are names for that. Each step is one pass over the memory
//! of a parameter, in place. A parameter without a gradient is passed over. [`LBFGS`], which computes the loss several
//! times in a step, stands for itself.
//!
//! A schedule is a [`Policy`] (the learning rate of the next epoch) under [`Schedule`] in the same way: [`StepLR`],
//! [`CosineAnnealingLR`], [`OneCycleLR`] and most others, see [`schedule`]. [`SequentialLR`] and [`ChainedScheduler`] put
//! schedules together.
//!
//! # Differs
//! PyTorch's ASGD, Adafactor, Rprop and SparseAdam are not here, nor are the options that choose among its
//! implementations (`foreach`, `fused`, `capturable`, `differentiable`).

mod adadelta;
mod adagrad;
mod adam;
mod adamax;
mod descent;
mod gradient;
mod lbfgs;
mod lion;
mod muon;
mod nadam;
mod optimizer;
mod radam;
mod rmsprop;
mod rule;
pub mod schedule;
mod sgd;
mod state;

// Clipping is PyTorch's `nn.utils`; it stands beside the optimizers as well, with which it is used.
pub use nn::utils::{ClipOptions, NonFiniteNorm, clip_coefficient, clip_grad_norm_, clip_grad_value_, get_total_norm};

pub use adadelta::{Adadelta, AdadeltaOptions};
pub use adagrad::{Adagrad, AdagradOptions};
pub use adam::{Adam, AdamOptions, AdamW, AdamWOptions};
pub use adamax::{Adamax, AdamaxOptions};
pub use descent::Descent;
pub use gradient::Gradient;
pub use lbfgs::{LBFGS, LBFGSOptions, LineSearch};
pub use lion::{Lion, LionOptions};
pub use muon::{AdjustLr, Muon, MuonOptions};
pub use nadam::{NAdam, NAdamOptions};
pub use optimizer::{Optimizer, ParamGroup};
pub use radam::{RAdam, RAdamOptions};
pub use rmsprop::{RMSprop, RMSpropOptions};
pub use rule::{Rule, Setting};
pub use schedule::{
    Anneal, At, ChainedScheduler, ConstantLR, CosineAnnealingLR, CosineAnnealingWarmRestarts, CyclicLR,
    CyclicLROptions, CyclicScale, Entry, ExponentialLR, Goal, LambdaLR, LinearLR, MultiStepLR, MultiplicativeLR,
    OneCycleLR, OneCycleLROptions, Policy, PolynomialLR, ReduceLROnPlateau, ReduceLROnPlateauOptions, Schedule,
    Scheduler, SequentialLR, StepLR, Threshold, WarmupCosine,
};
pub use sgd::{SGD, SGDOptions};
pub use state::StateError;
