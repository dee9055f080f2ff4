//! Weight normalisation.

use autograd::Var;

use super::parametrized::{Parametrization, Parametrized, Weighted};
use crate::{Member, Module, Parameter};

/// A layer with the weight `g v / ‖v‖`; see [`weight_norm`].
pub type WeightNorm<M> = Parametrized<M, NormAndDirection>;

/// The parametrization of [`weight_norm`].
#[derive(Debug)]
pub struct NormAndDirection {
    dim: Option<isize>,
}

/// A layer whose weight is given by its norms `g` and its direction `v`: `weight = g v / ‖v‖`, with one norm for each index
/// of dimension `dim` (PyTorch's default is 0: one for each output), or a single one for `None`.
///
/// # Shape
/// `parametrizations.weight.original0` is `g`, of the weight's shape with 1 in every dimension but `dim` (or 0-d);
/// `parametrizations.weight.original1` is `v`, of the weight's shape.
///
/// # Gradient
/// To `g` and `v`; the layer's own weight is no parameter any more.
///
/// # Panics
/// When `dim` is no dimension of the weight.
///
/// # Differs
/// This is `torch.nn.utils.parametrizations.weight_norm`; the older `torch.nn.utils.weight_norm` has the keys `weight_g` and
/// `weight_v`. `Some(-1)` is the last dimension here; in PyTorch -1 stands for `None`.
///
/// # Source
/// Salimans, Kingma, "Weight Normalization", 2016, equation 2.
///
/// ```
/// use nn::prelude::*;
/// use nn::utils::weight_norm;
///
/// let plain = Linear::new(4, 3);
/// let x = Var::new(Tensor::ones([2, 4], DType::F32));
/// let expected = plain.forward(&x);
/// let layer = weight_norm(plain, Some(0));
/// assert!(layer.forward(&x).value().allclose(&expected.value(), 1e-5, 1e-6));
/// let keys: Vec<String> = layer.state_dict().into_keys().collect();
/// assert_eq!(keys, ["bias", "parametrizations.weight.original0", "parametrizations.weight.original1"]);
/// ```
#[track_caller]
pub fn weight_norm<M: Weighted>(layer: M, dim: Option<isize>) -> WeightNorm<M> {
    if let Some(dim) = dim {
        let ndim = layer.weight().ndim() as isize;
        assert!(
            (-ndim..ndim).contains(&dim),
            "weight_norm: there is no such dimension\n  dim {dim}   weight {}",
            layer.weight().shape()
        );
    }
    Parametrized::new(layer, NormAndDirection { dim })
}

impl NormAndDirection {
    /// The norms of `v`.
    fn norms(&self, v: &Var) -> Var {
        let Some(dim) = self.dim else { return v.vector_norm(2.0, [], false) };
        let ndim = v.ndim() as isize;
        let others: Vec<isize> = (0..ndim).filter(|&other| other != dim.rem_euclid(ndim)).collect();
        // An empty list would mean every dimension.
        if others.is_empty() { v.abs() } else { v.vector_norm(2.0, others, true) }
    }
}

impl Parametrization for NormAndDirection {
    fn originals(&self, weight: &Var) -> Vec<(&'static str, Parameter)> {
        let weight = weight.detach();
        let norms = self.norms(&weight).value().copy();
        vec![("original0", Parameter::new(norms)), ("original1", Parameter::new(weight.value().copy()))]
    }

    fn weight(&self, originals: &[(&'static str, Parameter)]) -> Var {
        let (g, v) = (&originals[0].1, &originals[1].1);
        &**v * (&**g / self.norms(v))
    }
}

impl Module for NormAndDirection {
    fn type_name(&self) -> &'static str {
        "_WeightNorm"
    }

    fn visit<'a>(&'a self, _each: &mut dyn FnMut(&str, Member<'a>)) {}
}
