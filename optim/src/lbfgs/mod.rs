//! L-BFGS: steps of Newton's method with a Hessian guessed from the last gradients.

mod line_search;
mod options;

use std::collections::VecDeque;

use autograd::Var;
use nn::{Parameter, StateDict};
use tensor::{DType, Tensor};

use crate::state::{Reader, StateError, load_options, save_options};
use crate::{Optimizer, ParamGroup};
use line_search::{Point, Search, strong_wolfe};
pub use options::{LBFGSOptions, LineSearch};

/// Limited-memory BFGS: one [`step_with`](Optimizer::step_with) is up to `max_iter` iterations, each with the gradient
/// `g` of all parameters `p` as one vector (of the negated loss to maximize), learning rate γ
///
/// ```text
/// s = t d,  y = g - g'          the last step and what it changed; kept if yᵀs > 1e-10, up to history_size of them
/// d = -H g                      H by the two loops over the kept pairs from H₀ = yᵀs / yᵀy
/// t = γ                         (the first time γ min(1, 1 / Σ|g|)), then by the line search if there is one
/// p ← p + t d
/// ```
///
/// until a gradient is at most `tolerance_grad` everywhere, a step or the change of the loss at most `tolerance_change`,
/// or the loss was computed `max_eval` times.
///
/// The state dict has, all under `state.0`, the counts `func_evals` and `n_iter`, and after the first iteration `d`, `t`,
/// `H_diag`, `prev_flat_grad` and `prev_loss` as well as `old_dirs` (y, one a row), `old_stps` (s) and `ro` (1 / yᵀs).
///
/// # Numerics
/// Vectors have the dtype of the parameters, numbers are f64.
///
/// # Differs
/// The parameters have one dtype. With a `history_size` of 0, which fails in PyTorch, a step is the gradient times H₀.
///
/// # Source
/// Nocedal, Wright, "Numerical Optimization", 2006, algorithms 7.4 and 7.5; line search: see [`LineSearch`]; in PyTorch's
/// form.
///
/// ```
/// use nn::prelude::*;
/// use optim::{LBFGS, LBFGSOptions, LineSearch, Optimizer};
///
/// // The valley of Rosenbrock, with its lowest point at (1, 1).
/// let w = Parameter::new(Tensor::from([-1.2f64, 1.0]));
/// let options = LBFGSOptions { line_search_fn: Some(LineSearch::StrongWolfe), ..Default::default() };
/// let mut optimizer = LBFGS::with(vec![w.clone()], options);
/// for _ in 0..3 {
///     optimizer.step_with(&mut || {
///         w.zero_grad();
///         let (x, y) = (w.narrow(0, 0, 1), w.narrow(0, 1, 1));
///         let loss = ((1.0 - &x).square() + (y - x.square()).square() * 100.0).sum();
///         loss.backward();
///         loss
///     });
/// }
/// assert!(w.value().allclose(&Tensor::from([1f64, 1.0]), 0.0, 1e-4));
/// ```
#[derive(Debug, Clone)]
pub struct LBFGS {
    group: ParamGroup<LBFGSOptions>,
    memory: Memory,
}

/// What stays between steps.
#[derive(Debug, Clone, Default)]
struct Memory {
    func_evals: u64,
    n_iter: u64,
    /// From the first iteration on.
    last: Option<Iteration>,
    /// `y`, `s` and `1 / yᵀs`, the oldest first.
    pairs: VecDeque<(Tensor, Tensor, f64)>,
}

/// The iteration before.
#[derive(Debug, Clone)]
struct Iteration {
    d: Tensor,
    t: f64,
    h_diag: f64,
    flat_grad: Tensor,
    loss: f64,
}

const NAME: &str = "LBFGS";

impl LBFGS {
    /// An optimizer of these parameters with the default options.
    ///
    /// # Panics
    /// As [`with`](LBFGS::with).
    #[track_caller]
    pub fn new(params: Vec<Parameter>) -> LBFGS {
        LBFGS::with(params, LBFGSOptions::default())
    }

    /// An optimizer of these parameters, which are its only group.
    ///
    /// # Panics
    /// When there is no parameter, one stands twice, they have several dtypes, or the learning rate is negative.
    #[track_caller]
    pub fn with(params: Vec<Parameter>, options: LBFGSOptions) -> LBFGS {
        if let Err(problem) = options.check() {
            panic!("{NAME}: {problem}");
        }
        assert!(!params.is_empty(), "{NAME}: there is no parameter to optimize");
        for (position, parameter) in params.iter().enumerate() {
            let (dtype, shape) = (parameter.dtype(), parameter.shape());
            let place = || format!("position {position}   shape {shape}");
            let twice = params[..position].iter().any(|other| other.id() == parameter.id());
            assert!(!twice, "{NAME}: a parameter stands twice\n  {}", place());
            let (first, place) = (params[0].dtype(), place());
            assert!(dtype == first, "{NAME}: the first parameter is {first}, another {dtype}\n  {place}");
        }
        LBFGS { group: ParamGroup::new(params, options), memory: Memory::default() }
    }

    /// The only group.
    pub fn param_groups(&self) -> &[ParamGroup<LBFGSOptions>] {
        std::slice::from_ref(&self.group)
    }

    /// The only group, to change its options.
    pub fn param_groups_mut(&mut self) -> &mut [ParamGroup<LBFGSOptions>] {
        std::slice::from_mut(&mut self.group)
    }

    fn numel(&self) -> usize {
        self.group.params.iter().map(|parameter| parameter.numel()).sum()
    }

    /// All gradients as one vector; zeros for a parameter without one.
    fn flat_grad(&self) -> Tensor {
        let parts = self.group.params.iter().map(|parameter| {
            let gradient = parameter.grad().map_or_else(|| parameter.value().zeros_like(), |gradient| gradient.value());
            gradient.reshape([gradient.numel()])
        });
        let flat = Tensor::cat(&parts.collect::<Vec<_>>(), 0);
        if self.group.options.maximize { -flat } else { flat }
    }

    /// The parameters, each with its part of a vector.
    fn parts<'a>(&'a self, vector: &'a Tensor) -> impl Iterator<Item = (&'a Parameter, Tensor)> {
        let mut at = 0;
        self.group.params.iter().map(move |parameter| {
            let part = vector.narrow(0, at, parameter.numel()).reshape(parameter.shape());
            at += parameter.numel();
            (parameter, part)
        })
    }

    /// `p ← p + t d`.
    fn advance(&self, t: f64, d: &Tensor) {
        for (parameter, part) in self.parts(d) {
            parameter.update(|value| value.add_scaled_(&part, t));
        }
    }

    /// The loss to bring down and its gradient.
    fn evaluate(&self, closure: &mut dyn FnMut() -> Var) -> (Var, f64, Tensor) {
        let loss = autograd::enable_grad(closure);
        let number = loss.item::<f64>();
        (loss, if self.group.options.maximize { -number } else { number }, self.flat_grad())
    }

    /// The direction of the next step and H₀, after `last` came out at `flat_grad`.
    fn direction(&mut self, last: &Iteration, flat_grad: &Tensor) -> (Tensor, f64) {
        let pairs = &mut self.memory.pairs;
        let y = flat_grad - &last.flat_grad;
        let s = &last.d * last.t;
        let ys = dot(&y, &s);
        let mut h_diag = last.h_diag;
        if ys > 1e-10 {
            h_diag = ys / dot(&y, &y);
            pairs.push_back((y, s, 1.0 / ys));
            while pairs.len() > self.group.options.history_size {
                pairs.pop_front();
            }
        }
        let mut d = -flat_grad;
        let mut shares = Vec::with_capacity(pairs.len());
        for (y, s, ro) in pairs.iter().rev() {
            let share = dot(s, &d) * ro;
            d.add_scaled_(y, -share);
            shares.push(share);
        }
        d.mul_scalar_(h_diag);
        for ((y, s, ro), share) in pairs.iter().zip(shares.into_iter().rev()) {
            let back = dot(y, &d) * ro;
            d.add_scaled_(s, share - back);
        }
        (d, h_diag)
    }

    /// The step along `d` that the line search finds: its length, what the loss and the gradient are there, and how often
    /// they were computed. The parameters are as before.
    fn search(&self, closure: &mut dyn FnMut() -> Var, from: Point, d: &Tensor, t: f64, most: usize) -> Search {
        // Sharing the memory: the parameters get values of their own.
        let start: Vec<Tensor> = self.group.params.iter().map(|parameter| parameter.value()).collect();
        let evaluate = |t: f64| {
            for ((parameter, part), value) in self.parts(d).zip(&start) {
                parameter.set_value(value.add_scaled(&part, t));
            }
            let (_, f, g) = self.evaluate(closure);
            let slope = dot(&g, d);
            Point { t, f, g, slope }
        };
        let found = strong_wolfe(evaluate, from, t, largest(d), self.group.options.tolerance_change, most);
        for (parameter, value) in self.group.params.iter().zip(start) {
            parameter.set_value(value);
        }
        found
    }
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    a.dot(b).item()
}

/// The largest magnitude; 0 when there is no element.
fn largest(vector: &Tensor) -> f64 {
    if vector.numel() == 0 { 0.0 } else { vector.abs().max().item() }
}

impl Optimizer for LBFGS {
    /// # Panics
    /// Always: an iteration computes the loss, see [`step_with`](Optimizer::step_with).
    #[track_caller]
    fn step_scaled(&mut self, _factor: f64) {
        panic!("{NAME}: a step computes the loss several times; call step_with and give it a closure");
    }

    /// One step of up to `max_iter` iterations. The loss returned is that of before.
    ///
    /// # Panics
    /// When the loss is not a single number.
    fn step_with(&mut self, closure: &mut dyn FnMut() -> Var) -> Var {
        let options = self.group.options;
        let LBFGSOptions { lr, max_iter, tolerance_grad, tolerance_change, .. } = options;
        let most_evals = options.most_evals();
        let (first_loss, mut loss, mut flat_grad) = self.evaluate(closure);
        self.memory.func_evals += 1;
        let mut evals = 1;
        if largest(&flat_grad) <= tolerance_grad {
            return first_loss;
        }
        for n in 1..=max_iter {
            self.memory.n_iter += 1;
            let (d, h_diag, mut t) = match self.memory.last.take() {
                None => (-&flat_grad, 1.0, (1.0 / flat_grad.abs().sum().item::<f64>()).min(1.0) * lr),
                Some(last) => {
                    let (d, h_diag) = self.direction(&last, &flat_grad);
                    (d, h_diag, lr)
                }
            };
            let (before, start) = (loss, flat_grad.clone());
            let slope = dot(&flat_grad, &d);
            let uphill = slope > -tolerance_change;
            let mut solved = false;
            if !uphill {
                let mut used = 0;
                if options.line_search_fn.is_some() {
                    let from = Point { t: 0.0, f: loss, g: flat_grad, slope };
                    let found = self.search(closure, from, &d, t, most_evals.saturating_sub(evals));
                    (loss, flat_grad, t, used) = (found.point.f, found.point.g, found.point.t, found.evals);
                    self.advance(t, &d);
                    solved = largest(&flat_grad) <= tolerance_grad;
                } else {
                    self.advance(t, &d);
                    if n != max_iter {
                        (_, loss, flat_grad) = self.evaluate(closure);
                        solved = largest(&flat_grad) <= tolerance_grad;
                        used = 1;
                    }
                }
                evals += used;
                self.memory.func_evals += used as u64;
            }
            let rests = largest(&d) * t.abs() <= tolerance_change || (loss - before).abs() < tolerance_change;
            self.memory.last = Some(Iteration { d, t, h_diag, flat_grad: start, loss: before });
            if uphill || evals >= most_evals || solved || rests {
                break;
            }
        }
        first_loss
    }

    fn zero_grad(&self) {
        self.group.params.iter().for_each(|parameter| parameter.zero_grad());
    }

    fn learning_rates(&self) -> Vec<f64> {
        vec![self.group.options.lr]
    }

    #[track_caller]
    fn set_learning_rates(&mut self, rates: &[f64]) {
        assert_eq!(rates.len(), 1, "{NAME}: one learning rate for each group");
        self.group.options.lr = rates[0];
    }

    fn initial_learning_rates(&mut self) -> Vec<f64> {
        vec![*self.group.initial_lr.get_or_insert(self.group.options.lr)]
    }

    fn momentums(&self) -> Vec<Option<f64>> {
        vec![None]
    }

    #[track_caller]
    fn set_momentums(&mut self, _momentums: &[f64]) {
        panic!("{NAME}: there is no momentum to set");
    }

    fn state_dict(&self) -> StateDict {
        let mut dict = StateDict::new();
        let Memory { func_evals, n_iter, last, pairs } = &self.memory;
        let mut put = |name: &str, tensor| dict.insert(format!("state.0.{name}"), tensor);
        if *func_evals > 0 {
            put("func_evals", Tensor::scalar(*func_evals as i64));
            put("n_iter", Tensor::scalar(*n_iter as i64));
        }
        if let Some(Iteration { d, t, h_diag, flat_grad, loss }) = last {
            let rows = |of: fn(&(Tensor, Tensor, f64)) -> &Tensor| match pairs.is_empty() {
                true => Tensor::zeros([0, d.numel()], d.dtype()),
                false => Tensor::stack(&pairs.iter().map(|pair| of(pair).clone()).collect::<Vec<_>>(), 0),
            };
            put("d", d.clone());
            put("t", Tensor::scalar(*t));
            put("old_dirs", rows(|pair| &pair.0));
            put("old_stps", rows(|pair| &pair.1));
            put("ro", Tensor::from_vec(pairs.iter().map(|pair| pair.2).collect(), [pairs.len()]));
            put("H_diag", Tensor::scalar(*h_diag));
            put("prev_flat_grad", flat_grad.clone());
            put("prev_loss", Tensor::scalar(*loss));
        }
        let mut options = self.group.options;
        save_options(&mut dict, 0, 0, self.group.params.len(), |each| options.settings(each));
        dict
    }

    fn load_state_dict(&mut self, dict: &StateDict) -> Result<(), StateError> {
        let mut reader = Reader::new(dict);
        let mut options = self.group.options;
        load_options(&mut reader, 0, 0, self.group.params.len(), |each| options.settings(each));
        if let Err(problem) = options.check() {
            reader.problem(format!("unusable    param_groups.0: {problem}"));
        }
        let mut memory = Memory::default();
        if reader.has("state.0.func_evals") {
            memory.func_evals = reader.count("state.0.func_evals").unwrap_or(0);
            memory.n_iter = reader.count("state.0.n_iter").unwrap_or(0);
        }
        if memory.n_iter > 0 {
            let (n, dtype) = (self.numel(), self.group.params[0].dtype());
            let d = reader.tensor("state.0.d", &[n], dtype);
            let t = reader.number("state.0.t");
            let ys = reader.rows("state.0.old_dirs", options.history_size, n, dtype);
            let count = ys.as_ref().map_or(0, Vec::len);
            let ss = reader.tensor("state.0.old_stps", &[count, n], dtype);
            let ro = reader.tensor("state.0.ro", &[count], DType::F64);
            let h_diag = reader.number("state.0.H_diag");
            let flat_grad = reader.tensor("state.0.prev_flat_grad", &[n], dtype);
            let loss = reader.number("state.0.prev_loss");
            if let (Some(ys), Some(ss), Some(ro)) = (ys, ss, ro) {
                let numbered = ys.into_iter().zip(ro.to_vec::<f64>()).enumerate();
                memory.pairs = numbered.map(|(row, (y, ro))| (y, ss.select(0, row).copy(), ro)).collect();
            }
            if let (Some(d), Some(t), Some(h_diag), Some(flat_grad), Some(loss)) = (d, t, h_diag, flat_grad, loss) {
                memory.last = Some(Iteration { d, t, h_diag, flat_grad, loss });
            }
        }
        reader.finish(NAME)?;
        self.group.options = options;
        self.memory = memory;
        Ok(())
    }
}
