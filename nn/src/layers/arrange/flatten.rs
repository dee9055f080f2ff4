//! Layers that give their input another shape, or nothing at all: `Identity`, `Flatten` and `Unflatten`.

use autograd::Var;

use crate::layers::printed;
use crate::{Forward, Module};

/// `y = x`.
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::ones([2], DType::F32));
/// assert!(Identity::new().forward(&x).ptr_eq(&x));
/// ```
#[derive(Debug, Clone, Copy, Default, Module)]
pub struct Identity;

impl Identity {
    /// The identity.
    pub fn new() -> Identity {
        Identity
    }
}

impl Forward for Identity {
    fn forward(&self, input: &Var) -> Var {
        input.clone()
    }
}

/// Options of [`Flatten`].
#[derive(Debug, Clone, Copy)]
pub struct FlattenOptions {
    /// The first dimension that is joined (default: 1, so that the batch stays).
    pub start_dim: isize,
    /// The last dimension that is joined (default: -1).
    pub end_dim: isize,
}

impl Default for FlattenOptions {
    fn default() -> FlattenOptions {
        FlattenOptions { start_dim: 1, end_dim: -1 }
    }
}

/// Joins the dimensions `start_dim..=end_dim` into one; by default all but the first.
///
/// # Shape
/// `[n, c, h, w] -> [n, c h w]`.
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::ones([2, 3, 4], DType::F32));
/// assert_eq!(Flatten::new().forward(&x).value().dims(), [2, 12]);
/// ```
#[derive(Debug, Clone, Copy, Default, Module)]
#[module(repr = Flatten::repr)]
pub struct Flatten {
    #[module(config)]
    options: FlattenOptions,
}

impl Flatten {
    /// Joins all dimensions but the first.
    pub fn new() -> Flatten {
        Flatten::default()
    }

    /// Joins the dimensions of the options.
    pub fn with(options: FlattenOptions) -> Flatten {
        Flatten { options }
    }

    fn repr(&self) -> String {
        format!("start_dim={}, end_dim={}", self.options.start_dim, self.options.end_dim)
    }
}

impl Forward for Flatten {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.flatten(self.options.start_dim, self.options.end_dim)
    }
}

/// Cuts dimension `dim` into several: the reverse of [`Flatten`].
///
/// # Shape
/// `[.., a b, ..] -> [.., a, b, ..]`; one of the sizes may be -1, which is whatever is left.
///
/// # Panics
/// The forward pass, when the sizes do not multiply to that of the dimension.
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::ones([2, 12], DType::F32));
/// let layer = Unflatten::new(1, [3, -1]);
/// assert_eq!(layer.forward(&x).value().dims(), [2, 3, 4]);
/// assert_eq!(layer.to_string(), "Unflatten(dim=1, unflattened_size=(3, -1))");
/// ```
#[derive(Debug, Clone, Module)]
#[module(repr = Unflatten::repr)]
pub struct Unflatten {
    #[module(config)]
    dim: isize,
    #[module(config)]
    unflattened_size: Vec<isize>,
}

impl Unflatten {
    /// Cuts `dim`, which may be negative, into dimensions of these sizes.
    pub fn new(dim: isize, unflattened_size: impl Into<Vec<isize>>) -> Unflatten {
        Unflatten { dim, unflattened_size: unflattened_size.into() }
    }

    fn repr(&self) -> String {
        format!("dim={}, unflattened_size={}", self.dim, printed::tuple(&self.unflattened_size))
    }
}

impl Forward for Unflatten {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        input.unflatten(self.dim, &self.unflattened_size[..])
    }
}
