//! What one optimizer is: options and a step.

use tensor::Tensor;

/// One option of a [`Rule`], to be read or written.
pub enum Setting<'a> {
    /// A number.
    Number(&'a mut f64),
    /// Two numbers.
    Pair(&'a mut (f64, f64)),
    /// Yes or no.
    Flag(&'a mut bool),
}

/// The options of an optimizer, what it keeps for each parameter, and its step. [`Descent`](crate::Descent) makes an
/// optimizer of it.
///
/// ```
/// use nn::prelude::*;
/// use optim::{Descent, Optimizer, Rule, Setting};
///
/// /// `p ← p - lr sign(g)`.
/// #[derive(Clone, Default)]
/// struct SignDescent {
///     lr: f64,
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
///     fn update(&self, parameter: &mut Tensor, gradient: &Tensor, _kept: &mut [Tensor], _step: u64) {
///         parameter.add_scaled_(&gradient.sign(), -self.lr);
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
    /// has) and the state dict.
    fn settings(&mut self, each: &mut dyn FnMut(&'static str, Setting<'_>));

    /// PyTorch's names of the tensors that are kept for each parameter. They start as zeros of its shape.
    fn kept(&self) -> &'static [&'static str];

    /// One step of one parameter, in place. `step` is 1 the first time.
    fn update(&self, parameter: &mut Tensor, gradient: &Tensor, kept: &mut [Tensor], step: u64);

    /// What makes these options unusable, if anything does.
    ///
    /// # Errors
    /// The option and the rule that it breaks.
    fn check(&self) -> Result<(), String> {
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
