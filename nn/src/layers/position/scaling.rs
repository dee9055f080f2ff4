//! Rotations slowed down, so that texts may be longer than those of the training.

use std::f64::consts::TAU;

use super::rates;
use crate::layers::printed;

/// How the rotations are slowed down for texts longer than those of the training: the rate `ω` of each pair becomes another.
/// The names and the formulas are those of Hugging Face's `rope_type`.
///
/// ```
/// use nn::prelude::*;
///
/// let with = |scaling| RotaryPositions::with(4, RotaryPositionsOptions { scaling, ..Default::default() }).rates(1);
/// assert_eq!(with(RotaryScaling::None), [1.0, 0.01]);
/// assert_eq!(with(RotaryScaling::Linear { factor: 2.0 }), [0.5, 0.005]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum RotaryScaling {
    /// `ω` as it is: `default`.
    #[default]
    None,
    /// `ω / factor`, as if positions were closer together: `linear`.
    Linear {
        /// How many times longer texts become.
        factor: f64,
    },
    /// A base that grows with the text, so that the slow pairs become slower and the fast ones stay ("NTK-aware"):
    /// `base (factor t / original_context - factor + 1)^(r / (r - 2))`, where `t` is the number of positions seen so far,
    /// but at least `original_context`: `dynamic`.
    Dynamic {
        /// How fast the base grows.
        factor: f64,
        /// The length up to which nothing changes.
        original_context: usize,
    },
    /// With the wavelength `λ = 2π / ω`: `ω` where `λ < original_context / high_freq_factor`, `ω / factor` where `λ >
    /// original_context / low_freq_factor`, and between them a mean of the two whose weight `(original_context / λ -
    /// low_freq_factor) / (high_freq_factor - low_freq_factor)` is that of `ω`: `llama3`.
    Llama3 {
        /// By how much the slow pairs become slower.
        factor: f64,
        /// Decides from which wavelength on pairs are slow.
        low_freq_factor: f64,
        /// Decides up to which wavelength pairs stay.
        high_freq_factor: f64,
        /// The length of the texts in training.
        original_context: usize,
    },
}

impl RotaryScaling {
    /// What is wrong with the numbers, if something is.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// assert!(RotaryScaling::Linear { factor: 0.0 }.problem().unwrap().contains("factor"));
    /// assert_eq!(RotaryScaling::None.problem(), None);
    /// ```
    pub fn problem(&self) -> Option<String> {
        let positive = |name: &str, x: f64| {
            (!(x > 0.0 && x.is_finite()))
                .then(|| format!("the {name} of the rotary scaling is not a positive number, {x}"))
        };
        let context = |n: usize| (n == 0).then(|| "the rotary scaling has an original context of 0".to_string());
        match *self {
            RotaryScaling::None => None,
            RotaryScaling::Linear { factor } => positive("factor", factor),
            // A factor below 1 would shrink the base, down to nothing.
            RotaryScaling::Dynamic { factor, .. } if !(factor >= 1.0 && factor.is_finite()) => {
                Some(format!("the factor of the dynamic rotary scaling is not a number from 1 on, {factor}"))
            }
            RotaryScaling::Dynamic { original_context, .. } => context(original_context),
            RotaryScaling::Llama3 { factor, low_freq_factor: low, high_freq_factor: high, original_context } => {
                let of_numbers = positive("factor", factor).or(positive("low_freq_factor", low));
                let of_numbers = of_numbers.or(positive("high_freq_factor", high));
                let order = || {
                    let what = "of the rotary scaling, low_freq_factor is not below high_freq_factor";
                    (low >= high).then(|| format!("{what}, {low} and {high}"))
                };
                of_numbers.or_else(order).or(context(original_context))
            }
        }
    }

    /// The rates of the pairs of `r` features in a text of `len` positions.
    pub(super) fn rates(&self, base: f64, r: usize, len: usize) -> Vec<f64> {
        match *self {
            RotaryScaling::None => rates(base, r),
            RotaryScaling::Linear { factor } => rates(base, r).into_iter().map(|rate| rate / factor).collect(),
            RotaryScaling::Dynamic { factor, original_context } => {
                let longer = len.max(original_context) as f64 / original_context as f64;
                // A single pair has the rate 1 whatever the base.
                let exponent = if r > 2 { r as f64 / (r - 2) as f64 } else { 0.0 };
                rates(base * (factor * longer - (factor - 1.0)).powf(exponent), r)
            }
            RotaryScaling::Llama3 { factor, low_freq_factor: low, high_freq_factor: high, original_context } => {
                let scaled = |rate: f64| {
                    // How often the pair turned in a text of the training.
                    let turns = original_context as f64 * rate / TAU;
                    let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    kept * rate + (1.0 - kept) * rate / factor
                };
                rates(base, r).into_iter().map(scaled).collect()
            }
        }
    }

    pub(super) fn repr(&self) -> String {
        let float = printed::float;
        match *self {
            RotaryScaling::None => String::new(),
            RotaryScaling::Linear { factor } => format!(", scaling=linear(factor={})", float(factor)),
            RotaryScaling::Dynamic { factor, original_context: n } => {
                format!(", scaling=dynamic(factor={}, original_context={n})", float(factor))
            }
            RotaryScaling::Llama3 { factor, low_freq_factor: low, high_freq_factor: high, original_context: n } => {
                let (factor, low, high) = (float(factor), float(low), float(high));
                format!(
                    ", scaling=llama3(factor={factor}, low_freq_factor={low}, high_freq_factor={high}, original_context={n})"
                )
            }
        }
    }
}
