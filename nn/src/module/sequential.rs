//! Modules one after another.

use std::fmt;

use autograd::Var;

use crate::{AsModule, Forward, Member, Module};

/// Modules applied one after another, with the names `0`, `1`, ...
///
/// The macro [`sequential!`](crate::sequential) writes it like PyTorch; [`push`](Sequential::push) grows it in a loop.
///
/// ```
/// use nn::prelude::*;
///
/// let model = sequential![Flatten::new(), Linear::new(6, 4), Sigmoid::new(), Linear::new(4, 2)];
/// assert_eq!(model.forward(&Var::new(Tensor::ones([5, 2, 3], DType::F32))).value().dims(), [5, 2]);
/// assert_eq!(
///     model.to_string(),
///     "Sequential(
///   (0): Flatten(start_dim=1, end_dim=-1)
///   (1): Linear(in_features=6, out_features=4, bias=True)
///   (2): Sigmoid()
///   (3): Linear(in_features=4, out_features=2, bias=True)
/// )"
/// );
/// ```
#[derive(Default)]
pub struct Sequential {
    layers: Vec<Box<dyn Forward>>,
}

impl Sequential {
    /// No layers yet: the identity.
    pub fn new() -> Sequential {
        Sequential::default()
    }

    /// The same layers and one more.
    pub fn push(mut self, layer: impl Forward + 'static) -> Sequential {
        self.layers.push(Box::new(layer));
        self
    }

    /// The number of layers.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there is no layer.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The layers in order.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Forward> {
        self.layers.iter().map(|layer| &**layer)
    }
}

impl Module for Sequential {
    fn type_name(&self) -> &'static str {
        "Sequential"
    }

    fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, Member<'a>)) {
        self.layers.visit(each);
    }
}

impl Forward for Sequential {
    fn forward(&self, input: &Var) -> Var {
        self.layers.iter().fold(input.clone(), |x, layer| layer.forward(&x))
    }
}

impl fmt::Display for Sequential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_module().fmt(f)
    }
}

/// A [`Sequential`] of the layers given: `sequential![Linear::new(2, 8), ReLU::new(), Linear::new(8, 1)]`.
#[macro_export]
macro_rules! sequential {
    ($($layer:expr),* $(,)?) => {
        $crate::Sequential::new()$(.push($layer))*
    };
}
