//! The affine layer.

use autograd::Var;
use tensor::DType;

use crate::layers::printed;
use crate::lora::Lora;
use crate::utils::Weighted;
use crate::{Forward, Module, Parameter, init};

/// Options of [`Linear`].
#[derive(Debug, Clone, Copy)]
pub struct LinearOptions {
    /// Whether a bias is added (default: true).
    pub bias: bool,
    /// The dtype of the parameters (default: f32).
    pub dtype: DType,
}

impl Default for LinearOptions {
    fn default() -> LinearOptions {
        LinearOptions { bias: true, dtype: DType::F32 }
    }
}

/// `y = x Wᵀ + b`.
///
/// Both parameters start uniform on ±1/√in_features, as in PyTorch. A low-rank adapter can be added later, to a layer deep
/// in a model too: see [`lora`](crate::lora).
///
/// # Shape
/// `[.., in_features] -> [.., out_features]`; `weight` is `[out_features, in_features]`, `bias` is `[out_features]`.
///
/// ```
/// use nn::prelude::*;
///
/// let layer = Linear::new(3, 2);
/// let x = Var::new(Tensor::ones([5, 3], DType::F32));
/// assert_eq!(layer.forward(&x).value().dims(), [5, 2]);
/// assert_eq!(layer.to_string(), "Linear(in_features=3, out_features=2, bias=True)");
/// ```
#[derive(Debug, Module)]
#[module(repr = Linear::repr)]
pub struct Linear {
    /// `[out_features, in_features]`.
    pub weight: Parameter,
    /// `[out_features]`.
    pub bias: Option<Parameter>,
    pub(crate) lora: Lora,
}

impl Linear {
    /// A layer with bias.
    pub fn new(in_features: usize, out_features: usize) -> Linear {
        Linear::with(in_features, out_features, LinearOptions::default())
    }

    /// A layer with options.
    pub fn with(in_features: usize, out_features: usize, options: LinearOptions) -> Linear {
        let bound = if in_features > 0 { 1.0 / (in_features as f64).sqrt() } else { 0.0 };
        let weight = init::empty_parameter([out_features, in_features], options.dtype);
        // Kaiming uniform with the negative slope √5 is just this bound.
        init::uniform_(&weight, -bound, bound);
        let bias = options.bias.then(|| {
            let bias = init::empty_parameter([out_features], options.dtype);
            init::uniform_(&bias, -bound, bound);
            bias
        });
        Linear { weight, bias, lora: Lora::default() }
    }

    /// A layer of parameters that exist already, such as a head whose weight is the embedding's.
    ///
    /// # Panics
    /// When the weight is no matrix, or the bias is no vector of its rows.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let embedding = Embedding::new(10, 4);
    /// let head = Linear::from_parameters(embedding.weight.clone(), None);
    /// assert_eq!(head.forward(&embedding.forward(&Tensor::from([3_i64]))).shape(), [1, 10]);
    /// ```
    #[track_caller]
    pub fn from_parameters(weight: Parameter, bias: Option<Parameter>) -> Linear {
        let (rows, found) = (weight.shape(), bias.as_ref().map(|bias| bias.shape()));
        assert!(
            rows.len() == 2 && found.as_ref().is_none_or(|bias| bias[..] == rows[..1]),
            "Linear: the parameters are no layer's\n  weight {rows}{}   rule weight [out, in], bias [out]",
            found.map_or(String::new(), |bias| format!("   bias {bias}"))
        );
        Linear { weight, bias, lora: Lora::default() }
    }

    /// The size of the last dimension of the input.
    pub fn in_features(&self) -> usize {
        self.weight.dim(1)
    }

    /// The size of the last dimension of the output.
    pub fn out_features(&self) -> usize {
        self.weight.dim(0)
    }

    fn repr(&self) -> String {
        let bias = printed::flag(self.bias.is_some());
        let (inputs, outputs) = (self.in_features(), self.out_features());
        format!(
            "in_features={inputs}, out_features={outputs}, bias={bias}{}{}",
            printed::precision(&self.weight),
            self.lora.repr()
        )
    }
}

impl Forward for Linear {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        self.lora.add_to(self.weight.linear(input, self.bias.as_deref()), input)
    }
}

impl Weighted for Linear {
    const PARAMETRIZED: &'static str = "ParametrizedLinear";

    fn weight(&self) -> &Parameter {
        &self.weight
    }

    #[track_caller]
    fn forward_with_weight(&self, weight: &Var, input: &Var) -> Var {
        self.lora.add_to(input.linear(weight, self.bias.as_deref()), input)
    }
}
