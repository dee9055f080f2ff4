//! Layers whose weight is computed from other parameters, with the keys of `torch.nn.utils.parametrizations`.

use std::fmt;

use autograd::Var;

use crate::{AsModule, Forward, Member, Module, Parameter};

/// A layer that can run with another weight than its own.
pub trait Weighted: Forward {
    /// What PyTorch calls the type once its weight is computed.
    const PARAMETRIZED: &'static str;

    /// The dimension of the weight that counts outputs.
    const OUTPUTS: isize = 0;

    /// The layer's own weight.
    fn weight(&self) -> &Parameter;

    /// The forward pass with this weight in place of the layer's own.
    fn forward_with_weight(&self, weight: &Var, input: &Var) -> Var;
}

/// How a weight is computed.
pub trait Parametrization: Module {
    /// The parameters that stand for this weight, whose value they give back, each with PyTorch's name.
    fn originals(&self, weight: &Var) -> Vec<(&'static str, Parameter)>;

    /// The weight that the originals stand for.
    fn weight(&self, originals: &[(&'static str, Parameter)]) -> Var;
}

/// A layer `M` whose weight is computed by `P` in each forward pass: the type behind
/// [`WeightNorm`](super::WeightNorm) and [`SpectralNorm`](super::SpectralNorm).
pub struct Parametrized<M, P> {
    layer: M,
    parametrizations: Parametrizations<P>,
}

/// The child `parametrizations`, with the one entry `weight`.
struct Parametrizations<P> {
    weight: List<P>,
}

/// The originals, and the parametrization under `0`.
struct List<P> {
    originals: Vec<(&'static str, Parameter)>,
    parametrization: P,
}

impl<M: Weighted, P: Parametrization> Parametrized<M, P> {
    pub(super) fn new(layer: M, parametrization: P) -> Parametrized<M, P> {
        let originals = parametrization.originals(layer.weight());
        Parametrized { layer, parametrizations: Parametrizations { weight: List { originals, parametrization } } }
    }

    /// The weight that the next forward pass would use.
    pub fn weight(&self) -> Var {
        let list = &self.parametrizations.weight;
        list.parametrization.weight(&list.originals)
    }

    /// The layer with the computed weight as its own: PyTorch's `remove_parametrizations`.
    pub fn into_inner(self) -> M {
        let weight = self.weight().value();
        self.layer.weight().set_value(weight.copy());
        self.layer
    }
}

impl<M: Weighted, P: Parametrization> Forward for Parametrized<M, P> {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        self.layer.forward_with_weight(&self.weight(), input)
    }
}

impl<M: Weighted, P: Parametrization> Module for Parametrized<M, P> {
    fn type_name(&self) -> &'static str {
        M::PARAMETRIZED
    }

    fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, Member<'a>)) {
        self.layer.visit(&mut |name, member| {
            if name != "weight" {
                each(name, member);
            }
        });
        each("parametrizations", Member::Module(&self.parametrizations));
    }

    fn extra_repr(&self) -> String {
        self.layer.extra_repr()
    }
}

impl<P: Parametrization> Module for Parametrizations<P> {
    fn type_name(&self) -> &'static str {
        "ModuleDict"
    }

    fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, Member<'a>)) {
        each("weight", Member::Module(&self.weight));
    }
}

impl<P: Parametrization> Module for List<P> {
    fn type_name(&self) -> &'static str {
        "ParametrizationList"
    }

    fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, Member<'a>)) {
        for (name, parameter) in &self.originals {
            each(name, Member::Parameter(parameter));
        }
        each("0", Member::Module(&self.parametrization));
    }
}

impl<M: Weighted, P: Parametrization> fmt::Display for Parametrized<M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_module().fmt(f)
    }
}

impl<M: Weighted, P: Parametrization> fmt::Debug for Parametrized<M, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
