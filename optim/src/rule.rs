//! What one optimizer is: options and a step.

use tensor::{Real, Tensor};

use crate::Gradient;

/// One option of a [`Rule`], to be read or written.
pub enum Setting<'a> {
    /// A number.
    Number(&'a mut f64),
    /// Two numbers.
    Pair(&'a mut (f64, f64)),
    /// Three numbers.
    Triple(&'a mut (f64, f64, f64)),
    /// A number of things.
    Count(&'a mut usize),
    /// Yes or no.
    Flag(&'a mut bool),
    /// The position of one of these names, of which an empty one stands for Python's `None`.
    Choice(&'a mut usize, &'static [&'static str]),
}

/// The options of an optimizer, what it keeps for each parameter, and its step. [`Descent`](crate::Descent) makes an
/// optimizer of it.
///
/// A step that works element by element is an [`ElementStep`](tensor::ElementStep), which [`Gradient::step_`] applies in
/// one pass over memory, vectorised and in parallel.
///
/// ```
/// use nn::prelude::*;
/// use optim::{Descent, Gradient, Optimizer, Rule, Setting};
/// use tensor::{ElementStep, Real};
///
/// /// `p ← p - lr sign(g)`.
/// #[derive(Clone, Copy, Default)]
/// struct SignDescent {
///     lr: f64,
/// }
///
/// impl ElementStep<0> for SignDescent {
///     #[inline(always)]
///     fn call<T: Real>(self, p: T, g: T, []: [T; 0]) -> (T, [T; 0]) {
///         (p - T::of(self.lr) * g.sign(), [])
///     }
/// }
///
/// impl Rule for SignDescent {
///     const NAME: &'static str = "SignDescent";
///
///     fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>)) {
///         each("lr", Setting::Number(&mut self.lr));
///     }
///
///     fn kept(&self) -> &'static [&'static str] {
///         &[]
///     }
///
///     fn update(&self, parameter: &mut Tensor, gradient: Gradient<'_>, _kept: &mut [Tensor], _step: u64) {
///         gradient.step_(Self::NAME, parameter, [], *self);
///     }
/// }
///
/// let w = Parameter::new(Tensor::from([1f64, -1.0]));
/// let mut optimizer = Descent::with(vec![w.clone()], SignDescent { lr: 0.25 });
/// (&*w * 3.0).sum().backward();
/// optimizer.step();
/// assert_eq!(w.to_vec::<f64>(), [0.75, -1.25]);
/// ```
pub trait Rule: Clone {
    /// The name of the optimizer, for errors.
    const NAME: &'static str;

    /// Hands out every option under PyTorch's name. This one list serves the learning rate (`lr`, which every rule
    /// has), the momentum (`momentum` or `betas`) and the state dict.
    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>));

    /// PyTorch's names of the tensors that are kept for each parameter with these options.
    ///
    /// When options change so that more names come up, those start from their initial values and the others go on; the
    /// count of steps starts again only when nothing goes on.
    fn kept(&self) -> &'static [&'static str];

    /// The value that a kept tensor starts from, for a parameter like this one: zeros of its shape and dtype.
    fn initial(&self, _name: &str, parameter: &Tensor) -> Tensor {
        parameter.zeros_like()
    }

    /// One step of one parameter, in place. `step` is 1 the first time.
    fn update(&self, parameter: &mut Tensor, gradient: Gradient<'_>, kept: &mut [Tensor], step: u64);

    /// What makes these options unusable, if anything does.
    ///
    /// # Errors
    /// The option and the rule that it breaks.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Why this optimizer cannot change such a parameter, if so.
    ///
    /// # Errors
    /// What the parameter must be.
    fn accepts(&self, _parameter: &Tensor) -> Result<(), String> {
        Ok(())
    }
}

pub(crate) fn learning_rate(rule: &impl Rule) -> f64 {
    let mut lr = None;
    rule.clone().settings(&mut |name, setting| {
        if let ("lr", Setting::Number(number)) = (name, setting) {
            lr = Some(*number);
        }
    });
    lr.expect("every rule has the setting `lr`")
}

pub(crate) fn set_learning_rate(rule: &mut impl Rule, lr: f64) {
    rule.settings(&mut |name, setting| {
        if let ("lr", Setting::Number(number)) = (name, setting) {
            *number = lr;
        }
    });
}

/// The option that a schedule of the momentum turns: `momentum`, or the first of `betas`.
pub(crate) fn momentum(rule: &impl Rule) -> Option<f64> {
    let mut momentum = None;
    rule.clone().settings(&mut |name, setting| match (name, setting) {
        ("momentum", Setting::Number(number)) => momentum = Some(*number),
        ("betas", Setting::Pair(pair)) => momentum = Some(pair.0),
        _ => {}
    });
    momentum
}

pub(crate) fn set_momentum(rule: &mut impl Rule, momentum: f64) {
    rule.settings(&mut |name, setting| match (name, setting) {
        ("momentum", Setting::Number(number)) => *number = momentum,
        ("betas", Setting::Pair(pair)) => pair.0 = momentum,
        _ => {}
    });
}

/// The rule for a number that must not be negative; NaN is refused too.
pub(crate) fn not_negative(name: &str, value: f64) -> Result<(), String> {
    if value >= 0.0 { Ok(()) } else { Err(format!("{name} is {value}, must not be negative")) }
}

/// The rule for the decay rates of running means.
pub(crate) fn below_one(betas: (f64, f64)) -> Result<(), String> {
    match [betas.0, betas.1].into_iter().find(|beta| !(0.0..1.0).contains(beta)) {
        Some(beta) => Err(format!("a beta is {beta}, must be at least 0 and below 1")),
        None => Ok(()),
    }
}

/// What the `g ← g + λ p` of the formulas stands for: the gradient, negated to maximize, with its share of the
/// parameter. Without decay the parameter does not enter, infinite or not.
#[inline(always)]
pub(crate) fn decayed<T: Real>(p: T, g: T, maximize: bool, weight_decay: f64) -> T {
    let g = if maximize { -g } else { g };
    if weight_decay == 0.0 { g } else { g + T::of(weight_decay) * p }
}

/// The product of a running mean `m ← β m + (1 - β) x²`, in PyTorch's order.
#[inline(always)]
pub(crate) fn mean_of_squares<T: Real>(mean: T, x: T, beta: f64) -> T {
    mean * T::of(beta) + T::of(1.0 - beta) * x * x
}
