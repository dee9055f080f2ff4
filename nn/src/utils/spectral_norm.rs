//! Spectral normalisation.

use autograd::{Var, no_grad};
use tensor::Tensor;

use super::parametrized::{Parametrization, Parametrized, Weighted};
use crate::{Buffer, Member, Module, Parameter, Training};

/// A layer with the weight `w / σ(w)`; see [`spectral_norm`].
pub type SpectralNorm<M> = Parametrized<M, LargestSingularValue>;

/// Options of [`spectral_norm`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpectralNormOptions {
    /// Power iterations of each forward pass in training (default: 1).
    pub n_power_iterations: usize,
    /// Added where a vector is divided by its length (default: 1e-12).
    pub eps: f64,
    /// The dimension of the weight that makes the rows of the matrix (default: that of the outputs, which is 1 for a
    /// transposed convolution and 0 otherwise).
    pub dim: Option<isize>,
}

impl Default for SpectralNormOptions {
    fn default() -> SpectralNormOptions {
        SpectralNormOptions { n_power_iterations: 1, eps: 1e-12, dim: None }
    }
}

/// The parametrization of [`spectral_norm`].
#[derive(Debug)]
pub struct LargestSingularValue {
    options: SpectralNormOptions,
    rows: isize,
    /// The estimates of the singular vectors on the side of the rows and of the columns; a vector has none.
    vectors: Option<[Buffer; 2]>,
    training: Training,
}

/// A layer whose weight is divided by its largest singular value: `weight = w / σ`, `σ = uᵀ w v`.
///
/// The weight counts as a matrix of its outputs. The vectors `u` and `v` are kept and improved by power iteration,
/// `u ← w v / ‖w v‖`, `v ← wᵀ u / ‖wᵀ u‖`, in each forward pass of training; 15 iterations make the first ones.
///
/// # Gradient
/// To `w`, through `σ` as well; `u` and `v` count as constants.
///
/// # Panics
/// When `dim` is no dimension of the weight, or there are no power iterations.
///
/// # Differs
/// It starts in training mode; in PyTorch, in the mode of the layer.
///
/// # Source
/// Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018, algorithm 1.
///
/// ```
/// use nn::prelude::*;
/// use nn::utils::spectral_norm;
///
/// let layer = spectral_norm(Linear::new(4, 3), Default::default());
/// let x = Var::new(Tensor::ones([2, 4], DType::F32));
/// (0..200).for_each(|_| drop(layer.forward(&x)));
/// let baked = layer.into_inner();
/// assert!(baked.forward(&x).value().dims() == [2, 3] && baked.state_dict().len() == 2);
/// ```
#[track_caller]
pub fn spectral_norm<M: Weighted>(layer: M, options: SpectralNormOptions) -> SpectralNorm<M> {
    let weight = layer.weight().value();
    let (ndim, rows) = (weight.ndim() as isize, options.dim.unwrap_or(M::OUTPUTS));
    assert!(
        (-ndim..ndim).contains(&rows),
        "spectral_norm: there is no such dimension\n  dim {rows}   weight {}",
        weight.shape()
    );
    assert!(options.n_power_iterations > 0, "spectral_norm: n_power_iterations is 0, must be at least 1");
    let mut norm = LargestSingularValue { options, rows, vectors: None, training: Training::new() };
    if ndim > 1 {
        let matrix = norm.matrix(&Var::new(weight)).value();
        let random = |size: usize| Tensor::randn([size], matrix.dtype()).normalize(2.0, 0, options.eps);
        norm.vectors = Some([random(matrix.dim(0)), random(matrix.dim(1))].map(Buffer::new));
        norm.iterate(&matrix, 15);
    }
    Parametrized::new(layer, norm)
}

impl LargestSingularValue {
    /// The weight as a matrix `[outputs, everything else]`.
    fn matrix(&self, weight: &Var) -> Var {
        let ndim = weight.ndim() as isize;
        let first = self.rows.rem_euclid(ndim);
        let order: Vec<isize> = std::iter::once(first).chain((0..ndim).filter(|&dim| dim != first)).collect();
        weight.permute(&order).flatten(1, -1)
    }

    /// Improves the vectors in place.
    fn iterate(&self, matrix: &Tensor, iterations: usize) {
        let Some([u, v]) = &self.vectors else { return };
        let unit = |x: Tensor| x.normalize(2.0, 0, self.options.eps);
        for _ in 0..iterations {
            u.set(unit(matrix.mv(&v.value())));
            v.set(unit(matrix.t().mv(&u.value())));
        }
    }
}

impl Parametrization for LargestSingularValue {
    fn originals(&self, weight: &Var) -> Vec<(&'static str, Parameter)> {
        vec![("original", Parameter::new(weight.value().copy()))]
    }

    fn weight(&self, originals: &[(&'static str, Parameter)]) -> Var {
        let weight = &originals[0].1;
        let Some([u, v]) = &self.vectors else { return weight.normalize(2.0, 0, self.options.eps) };
        let matrix = self.matrix(weight);
        if self.training.get() {
            no_grad(|| self.iterate(&matrix.value(), self.options.n_power_iterations));
        }
        let sigma = Var::new(u.value()).dot(&matrix.mv(&Var::new(v.value())));
        &**weight / sigma
    }
}

impl Module for LargestSingularValue {
    fn type_name(&self) -> &'static str {
        "_SpectralNorm"
    }

    fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, Member<'a>)) {
        if let Some([u, v]) = &self.vectors {
            each("_u", Member::Buffer(u));
            each("_v", Member::Buffer(v));
        }
        each("training", Member::Training(&self.training));
    }
}
