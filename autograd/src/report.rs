//! A report of what the gradients of a model look like: which are missing, zero or not finite.

use std::borrow::Borrow;
use std::fmt;

use tensor::{DType, Shape};

use crate::var::Var;

/// What [`gradient_report`] found, one entry per parameter in the order given.
///
/// Its `Display` is an aligned table of the parameters with problems.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientReport {
    /// All parameters, with problems or without.
    pub entries: Vec<GradientEntry>,
}

/// One parameter in a [`GradientReport`].
#[derive(Clone, Debug, PartialEq)]
pub struct GradientEntry {
    /// The name given.
    pub name: String,
    /// The shape of the value.
    pub shape: Shape,
    /// What is wrong with the gradient, if anything.
    pub state: GradientState,
    /// The Euclidean norm of the gradient, if there is one.
    pub norm: Option<f64>,
}

/// What a gradient looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GradientState {
    /// Finite, and not zero everywhere.
    Healthy,
    /// None is wanted: the parameter is frozen. No problem.
    Frozen,
    /// No backward pass has reached the parameter.
    Missing,
    /// Every element is zero.
    Zero,
    /// Some elements are NaN or infinite.
    NotFinite {
        /// How many are NaN.
        nan: usize,
        /// How many are infinite.
        infinite: usize,
    },
}

impl GradientState {
    /// Whether something is likely to be wrong: missing, zero, or not finite.
    pub fn is_problem(&self) -> bool {
        !matches!(self, GradientState::Healthy | GradientState::Frozen)
    }
}

impl fmt::Display for GradientState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GradientState::Healthy => write!(f, "healthy"),
            GradientState::Frozen => write!(f, "frozen"),
            GradientState::Missing => write!(f, "no gradient"),
            GradientState::Zero => write!(f, "zero"),
            GradientState::NotFinite { nan, infinite: 0 } => write!(f, "{nan} NaN"),
            GradientState::NotFinite { nan: 0, infinite } => write!(f, "{infinite} infinite"),
            GradientState::NotFinite { nan, infinite } => write!(f, "{nan} NaN, {infinite} infinite"),
        }
    }
}

/// Looks at the gradients of named parameters, after a backward pass: which have none, zeros only, or NaN and infinities.
///
/// A parameter without a gradient is usually one that the forward pass forgot; zeros are typical of dead units and of
/// what is multiplied by zero. An empty parameter is healthy.
///
/// ```
/// use autograd::{Var, gradient_report};
/// use tensor::Tensor;
/// let leaf = |x: [f64; 2]| Var::new(Tensor::from(x)).requires_grad_(true);
/// let (used, forgotten, dead) = (leaf([1.0, 2.0]), leaf([1.0, 2.0]), leaf([-1.0, -2.0]));
/// (used.square() + dead.relu()).sum().backward();
/// let report = gradient_report([("used", &used), ("forgotten", &forgotten), ("dead", &dead)]);
/// assert!(!report.is_healthy());
/// assert_eq!(
///     report.to_string(),
///     "2 of 3 parameters have a problem:
///   name       shape  gradient     norm
///   forgotten  [2]    no gradient  -
///   dead       [2]    zero         0
/// "
/// );
/// ```
pub fn gradient_report<S, V>(named: impl IntoIterator<Item = (S, V)>) -> GradientReport
where
    S: Into<String>,
    V: Borrow<Var>,
{
    let entry = |(name, var): (S, V)| {
        let var: &Var = var.borrow();
        let gradient = var.grad().map(|grad| grad.value().to_dtype(DType::F64).to_vec::<f64>());
        let state = match &gradient {
            None if !var.requires_grad() => GradientState::Frozen,
            None if var.numel() == 0 => GradientState::Healthy,
            None => GradientState::Missing,
            Some(gradient) => state(gradient),
        };
        GradientEntry { name: name.into(), shape: var.shape(), state, norm: gradient.map(|gradient| norm(&gradient)) }
    };
    GradientReport { entries: named.into_iter().map(entry).collect() }
}

fn state(gradient: &[f64]) -> GradientState {
    let nan = gradient.iter().filter(|x| x.is_nan()).count();
    let infinite = gradient.iter().filter(|x| x.is_infinite()).count();
    match (nan, infinite) {
        (0, 0) if !gradient.is_empty() && gradient.iter().all(|x| *x == 0.0) => GradientState::Zero,
        (0, 0) => GradientState::Healthy,
        _ => GradientState::NotFinite { nan, infinite },
    }
}

/// The norm, scaled by the largest element so that squares neither overflow nor vanish.
fn norm(x: &[f64]) -> f64 {
    if x.iter().any(|x| x.is_nan()) {
        return f64::NAN;
    }
    let largest = x.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    match largest == 0.0 || largest.is_infinite() {
        true => largest,
        false => largest * x.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt(),
    }
}

impl GradientReport {
    /// Whether no parameter has a problem.
    pub fn is_healthy(&self) -> bool {
        self.problems().next().is_none()
    }

    /// The parameters with problems.
    pub fn problems(&self) -> impl Iterator<Item = &GradientEntry> {
        self.entries.iter().filter(|entry| entry.state.is_problem())
    }

    /// The entry of a parameter, by its name.
    pub fn get(&self, name: &str) -> Option<&GradientEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The norm of all gradients together.
    pub fn total_norm(&self) -> f64 {
        norm(&self.entries.iter().filter_map(|entry| entry.norm).collect::<Vec<_>>())
    }
}

impl fmt::Display for GradientReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<&GradientEntry> = self.problems().collect();
        let all = self.entries.len();
        if problems.is_empty() {
            return writeln!(
                f,
                "all {all} parameters are healthy; the norm of their gradients is {}",
                short(self.total_norm())
            );
        }
        let verb = if problems.len() == 1 { "has" } else { "have" };
        writeln!(f, "{} of {all} parameters {verb} a problem:", problems.len())?;
        let head = ["name", "shape", "gradient", "norm"].map(str::to_string);
        let rows = problems.iter().map(|entry| {
            let norm = entry.norm.map_or("-".to_string(), short);
            [entry.name.clone(), entry.shape.to_string(), entry.state.to_string(), norm]
        });
        let rows: Vec<[String; 4]> = [head].into_iter().chain(rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        for [name, shape, state, norm] in &rows {
            let (a, b, c) = (width(0), width(1), width(2));
            writeln!(f, "  {name:<a$}  {shape:<b$}  {state:<c$}  {norm}")?;
        }
        Ok(())
    }
}

/// Four digits, and an exponent where the number is very large or small.
fn short(x: f64) -> String {
    match x.abs() {
        0.0 => "0".to_string(),
        size if (1e-3..1e5).contains(&size) || !size.is_finite() => {
            let text = format!("{x:.4}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
        }
        _ => format!("{x:.3e}"),
    }
}
