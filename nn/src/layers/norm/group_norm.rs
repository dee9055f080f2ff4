//! Normalisation over groups of channels.

use autograd::Var;
use tensor::DType;

use super::channels::affine;
use crate::layers::printed;
use crate::{Forward, Module, Parameter, functional};

/// Options of [`GroupNorm`].
#[derive(Debug, Clone, Copy)]
pub struct GroupNormOptions {
    /// Added to the variance (default: 1e-5, PyTorch's).
    pub eps: f64,
    /// Whether there is a weight, and a bias with it (default: true).
    pub affine: bool,
    /// Whether there is a bias; without `affine` there is none (default: true).
    pub bias: bool,
    /// The dtype of the parameters (default: f32).
    pub dtype: DType,
}

impl Default for GroupNormOptions {
    fn default() -> GroupNormOptions {
        GroupNormOptions { eps: 1e-5, affine: true, bias: true, dtype: DType::F32 }
    }
}

/// `y = (x - mean) / √(var + eps) * weight + bias` with the mean and the biased variance of each group of channels of an
/// item, and a weight and a bias per channel.
///
/// The weight starts at one, the bias at zero. Training and evaluation do the same.
///
/// # Shape
/// `[n, num_channels, ..] -> [n, num_channels, ..]`.
///
/// # Panics
/// In the forward pass, when the channels do not fit or have no elements, or all the input is one element per group.
///
/// # Source
/// Wu, He, "Group Normalization", 2018, equations 1 to 7.
///
/// ```
/// use nn::prelude::*;
///
/// let norm = GroupNorm::new(2, 4);
/// let y = norm.forward(&Var::new(Tensor::randn([3, 4, 5, 5], DType::F32)));
/// assert!(y.narrow(1, 0, 2).value().mean().item::<f32>().abs() < 1e-6);
/// assert_eq!(norm.to_string(), "GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)");
/// ```
#[derive(Debug, Module)]
#[module(repr = GroupNorm::repr)]
pub struct GroupNorm {
    /// `[num_channels]`, starts at one.
    pub weight: Option<Parameter>,
    /// `[num_channels]`, starts at zero.
    pub bias: Option<Parameter>,
    #[module(config)]
    num_groups: usize,
    #[module(config)]
    num_channels: usize,
    #[module(config)]
    eps: f64,
}

impl GroupNorm {
    /// A normalisation of this many groups of channels.
    ///
    /// # Panics
    /// When the groups do not divide the channels.
    #[track_caller]
    pub fn new(num_groups: usize, num_channels: usize) -> GroupNorm {
        GroupNorm::with(num_groups, num_channels, GroupNormOptions::default())
    }

    /// A normalisation with options.
    ///
    /// # Panics
    /// When the groups do not divide the channels.
    #[track_caller]
    pub fn with(num_groups: usize, num_channels: usize, options: GroupNormOptions) -> GroupNorm {
        assert!(
            num_groups > 0 && num_channels.is_multiple_of(num_groups),
            "GroupNorm: the groups do not divide the channels\n  num_groups {num_groups}   num_channels {num_channels}"
        );
        let (weight, bias) = affine(num_channels, options.affine, options.bias, options.dtype);
        GroupNorm { weight, bias, num_groups, num_channels, eps: options.eps }
    }

    /// The number of groups.
    pub fn num_groups(&self) -> usize {
        self.num_groups
    }

    /// The number of channels.
    pub fn num_channels(&self) -> usize {
        self.num_channels
    }

    fn repr(&self) -> String {
        let (affine, bias) = (printed::flag(self.weight.is_some()), printed::flag(self.bias.is_some()));
        format!(
            "{}, {}, eps={}, affine={affine}, bias={bias}",
            self.num_groups,
            self.num_channels,
            printed::float(self.eps)
        )
    }
}

impl Forward for GroupNorm {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        functional::group_norm(input, self.num_groups, self.weight.as_deref(), self.bias.as_deref(), self.eps)
    }
}
