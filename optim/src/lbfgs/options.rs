//! The options of L-BFGS.

use crate::Setting;
use crate::rule::not_negative;

/// How [`LBFGS`](crate::LBFGS) finds the length of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineSearch {
    /// A step after which the loss is lower by some of what its slope promised (`c₁ = 1e-4`), and the slope flatter
    /// (`c₂ = 0.9`), found with cubic interpolation.
    ///
    /// # Source
    /// Nocedal, Wright, "Numerical Optimization", 2006, algorithms 3.5 and 3.6.
    StrongWolfe,
}

/// Options of [`LBFGS`](crate::LBFGS).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LBFGSOptions {
    /// Learning rate γ, the first length of a step (default: 1).
    pub lr: f64,
    /// Most iterations in a step (default: 20).
    pub max_iter: usize,
    /// Most computations of the loss in a step (default: none given, which is `max_iter * 5 / 4`).
    pub max_eval: Option<usize>,
    /// A gradient this small ends a step (default: 1e-7).
    pub tolerance_grad: f64,
    /// A change of parameters or loss this small ends a step (default: 1e-9).
    pub tolerance_change: f64,
    /// Number of pairs of steps and gradients kept, which may be none (default: 100).
    pub history_size: usize,
    /// How the length of a step is found (default: not at all, it is the learning rate).
    pub line_search_fn: Option<LineSearch>,
    /// Goes up instead of down (default: false).
    pub maximize: bool,
}

impl Default for LBFGSOptions {
    fn default() -> LBFGSOptions {
        LBFGSOptions {
            lr: 1.0,
            max_iter: 20,
            max_eval: None,
            tolerance_grad: 1e-7,
            tolerance_change: 1e-9,
            history_size: 100,
            line_search_fn: None,
            maximize: false,
        }
    }
}

impl LBFGSOptions {
    pub(super) fn most_evals(&self) -> usize {
        self.max_eval.unwrap_or(self.max_iter.saturating_mul(5) / 4)
    }

    pub(super) fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
        each("lr", Setting::Number(&mut self.lr));
        each("max_iter", Setting::Count(&mut self.max_iter));
        let mut evals = self.most_evals();
        each("max_eval", Setting::Count(&mut evals));
        self.max_eval = Some(evals);
        each("tolerance_grad", Setting::Number(&mut self.tolerance_grad));
        each("tolerance_change", Setting::Number(&mut self.tolerance_change));
        each("history_size", Setting::Count(&mut self.history_size));
        let mut search = self.line_search_fn.is_some() as usize;
        each("line_search_fn", Setting::Choice(&mut search, &["", "strong_wolfe"]));
        self.line_search_fn = (search == 1).then_some(LineSearch::StrongWolfe);
        each("maximize", Setting::Flag(&mut self.maximize));
    }

    pub(super) fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)
    }
}
