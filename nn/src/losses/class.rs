//! Losses of classes: one of several, or each by itself.

use autograd::Var;
use tensor::{CrossEntropy, Tensor};

use super::with_defaults;
use crate::functional::{
    binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, cross_entropy_probs, multi_margin_loss,
    multilabel_margin_loss, multilabel_soft_margin_loss, nll_loss,
};
use crate::{Buffer, Module, Reduction};

with_defaults!(
    CrossEntropyLoss(CrossEntropy),
    NLLLoss(NLLLossOptions),
    BCELoss(BCELossOptions),
    BCEWithLogitsLoss(BCEWithLogitsLossOptions),
    MultiMarginLoss(MultiMarginLossOptions),
    MultiLabelMarginLoss(Reduction),
    MultiLabelSoftMarginLoss(MultiLabelSoftMarginLossOptions),
);

/// `-log softmax(x)[target]`, averaged; [`functional::cross_entropy`](crate::functional::cross_entropy) as a module,
/// which documents shapes and weights.
///
/// ```
/// use nn::prelude::*;
///
/// let logits = Var::new(Tensor::from([[0f32, 0.0], [0.0, 0.0]]));
/// let loss = CrossEntropyLoss::new().forward(&logits, &Tensor::from([0i64, 1]));
/// assert!((loss.item::<f32>() - 2f32.ln()).abs() < 1e-6);
///
/// let smooth = CrossEntropyLoss::with(CrossEntropy { label_smoothing: 0.1, ..Default::default() });
/// assert!((smooth.forward(&logits, &Tensor::from([0i64, 1])).item::<f32>() - 2f32.ln()).abs() < 1e-6);
/// ```
#[derive(Debug, Module)]
pub struct CrossEntropyLoss {
    /// `[c]`.
    pub weight: Option<Buffer>,
    /// The weight is in the buffer.
    #[module(config)]
    options: CrossEntropy,
}

impl CrossEntropyLoss {
    /// The loss with options.
    pub fn with(mut options: CrossEntropy) -> CrossEntropyLoss {
        CrossEntropyLoss { weight: options.weight.take().map(Buffer::new), options }
    }

    /// The loss of these logits for class indices (i64) or class probabilities (a floating dtype).
    #[track_caller]
    pub fn forward(&self, logits: &Var, target: &Tensor) -> Var {
        cross_entropy(logits, target, &self.options())
    }

    /// The loss of these logits for class probabilities, which get a gradient too.
    #[track_caller]
    pub fn forward_probs(&self, logits: &Var, target: &Var) -> Var {
        cross_entropy_probs(logits, target, &self.options())
    }

    fn options(&self) -> CrossEntropy {
        CrossEntropy { weight: self.weight.as_ref().map(Buffer::value), ..self.options.clone() }
    }
}

/// Options of [`NLLLoss`].
#[derive(Debug, Clone)]
pub struct NLLLossOptions {
    /// A weight for each class, `[c]` (default: none, which is 1 for each).
    pub weight: Option<Tensor>,
    /// Rows with this target count for nothing (default: -100).
    pub ignore_index: i64,
    /// What becomes of the losses (default: their mean by the weights).
    pub reduction: Reduction,
}

impl Default for NLLLossOptions {
    fn default() -> NLLLossOptions {
        NLLLossOptions { weight: None, ignore_index: -100, reduction: Reduction::Mean }
    }
}

/// `-w[t] x[t]` of log-probabilities `x`, averaged; [`Var::nll_loss`] as a module.
///
/// ```
/// use nn::prelude::*;
///
/// let log_probs = Var::new(Tensor::from([[-1f32, -2.0], [-3.0, -4.0]]));
/// assert_eq!(NLLLoss::new().forward(&log_probs, &Tensor::from([0i64, 1])).item::<f32>(), 2.5);
/// ```
#[derive(Debug, Module)]
pub struct NLLLoss {
    /// `[c]`.
    pub weight: Option<Buffer>,
    #[module(config)]
    ignore_index: i64,
    #[module(config)]
    reduction: Reduction,
}

impl NLLLoss {
    /// The loss with options.
    pub fn with(options: NLLLossOptions) -> NLLLoss {
        let NLLLossOptions { weight, ignore_index, reduction } = options;
        NLLLoss { weight: weight.map(Buffer::new), ignore_index, reduction }
    }

    /// The loss of these log-probabilities for class indices (i64).
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Tensor) -> Var {
        let weight = self.weight.as_ref().map(Buffer::value);
        nll_loss(input, target, weight.as_ref(), self.ignore_index, self.reduction)
    }
}

/// Options of [`BCELoss`].
#[derive(Debug, Clone, Default)]
pub struct BCELossOptions {
    /// What each loss is multiplied by; broadcasts to the input (default: none).
    pub weight: Option<Tensor>,
    /// What becomes of the losses (default: their mean).
    pub reduction: Reduction,
}

/// `-w (t log x + (1 - t) log(1 - x))` of probabilities, averaged; [`Var::binary_cross_entropy`] as a module.
///
/// ```
/// use nn::prelude::*;
///
/// let (x, t) = (Var::new(Tensor::from([0.5f32, 0.5])), Var::new(Tensor::from([1f32, 0.0])));
/// assert!((BCELoss::new().forward(&x, &t).item::<f32>() - 2f32.ln()).abs() < 1e-6);
/// ```
#[derive(Debug, Module)]
pub struct BCELoss {
    /// Broadcasts to the input.
    pub weight: Option<Buffer>,
    #[module(config)]
    reduction: Reduction,
}

impl BCELoss {
    /// The loss with options.
    pub fn with(options: BCELossOptions) -> BCELoss {
        BCELoss { weight: options.weight.map(Buffer::new), reduction: options.reduction }
    }

    /// The loss of these probabilities for target probabilities.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Var) -> Var {
        binary_cross_entropy(input, target, self.weight.as_ref().map(Buffer::value).as_ref(), self.reduction)
    }
}

/// Options of [`BCEWithLogitsLoss`].
#[derive(Debug, Clone, Default)]
pub struct BCEWithLogitsLossOptions {
    /// What each loss is multiplied by; broadcasts to the input (default: none).
    pub weight: Option<Tensor>,
    /// What becomes of the losses (default: their mean).
    pub reduction: Reduction,
    /// What the positive part of each loss is multiplied by; broadcasts to the input (default: none).
    pub pos_weight: Option<Tensor>,
}

/// `-w (p t log s + (1 - t) log(1 - s))` with `s = sigmoid(x)`, averaged; [`Var::binary_cross_entropy_with_logits`] as a
/// module.
///
/// ```
/// use nn::prelude::*;
///
/// let (x, t) = (Var::new(Tensor::from([0f32, 0.0])), Var::new(Tensor::from([1f32, 0.0])));
/// assert!((BCEWithLogitsLoss::new().forward(&x, &t).item::<f32>() - 2f32.ln()).abs() < 1e-6);
/// ```
#[derive(Debug, Module)]
pub struct BCEWithLogitsLoss {
    /// Broadcasts to the input.
    pub weight: Option<Buffer>,
    /// Broadcasts to the input.
    pub pos_weight: Option<Buffer>,
    #[module(config)]
    reduction: Reduction,
}

impl BCEWithLogitsLoss {
    /// The loss with options.
    pub fn with(options: BCEWithLogitsLossOptions) -> BCEWithLogitsLoss {
        let BCEWithLogitsLossOptions { weight, reduction, pos_weight } = options;
        BCEWithLogitsLoss { weight: weight.map(Buffer::new), pos_weight: pos_weight.map(Buffer::new), reduction }
    }

    /// The loss of these logits for target probabilities.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Var) -> Var {
        let [weight, pos_weight] = [&self.weight, &self.pos_weight].map(|w| w.as_ref().map(Buffer::value));
        binary_cross_entropy_with_logits(input, target, weight.as_ref(), pos_weight.as_ref(), self.reduction)
    }
}

/// Options of [`MultiMarginLoss`].
#[derive(Debug, Clone)]
pub struct MultiMarginLossOptions {
    /// The power of what is missing to the margin, 1 or 2 (default: 1).
    pub p: i64,
    /// By how much the target's score is to be greater than the others (default: 1).
    pub margin: f64,
    /// A weight for each class, `[c]` (default: none, which is 1 for each).
    pub weight: Option<Tensor>,
    /// What becomes of the losses (default: their mean).
    pub reduction: Reduction,
}

impl Default for MultiMarginLossOptions {
    fn default() -> MultiMarginLossOptions {
        MultiMarginLossOptions { p: 1, margin: 1.0, weight: None, reduction: Reduction::Mean }
    }
}

/// `Σ w[y] max(0, margin - x[y] + x[j])^p / c` over the other classes `j`, averaged;
/// [`functional::multi_margin_loss`](crate::functional::multi_margin_loss) as a module.
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[1f32, 0.5, 3.0, -1.0]]));
/// assert_eq!(MultiMarginLoss::new().forward(&x, &Tensor::from([0i64])).item::<f32>(), 0.875);
/// ```
#[derive(Debug, Module)]
pub struct MultiMarginLoss {
    /// `[c]`.
    pub weight: Option<Buffer>,
    /// The weight is in the buffer.
    #[module(config)]
    options: MultiMarginLossOptions,
}

impl MultiMarginLoss {
    /// The loss with options.
    ///
    /// # Panics
    /// When `p` is neither 1 nor 2.
    #[track_caller]
    pub fn with(mut options: MultiMarginLossOptions) -> MultiMarginLoss {
        assert!(matches!(options.p, 1 | 2), "MultiMarginLoss: p is neither 1 nor 2\n  p {}", options.p);
        MultiMarginLoss { weight: options.weight.take().map(Buffer::new), options }
    }

    /// The loss of these scores for class indices.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Tensor) -> Var {
        let weight = self.weight.as_ref().map(Buffer::value);
        multi_margin_loss(input, target, &MultiMarginLossOptions { weight, ..self.options.clone() })
    }
}

/// `Σ max(0, 1 - x[y] + x[j]) / c` over the target classes `y` and the other classes `j`, averaged;
/// [`functional::multilabel_margin_loss`](crate::functional::multilabel_margin_loss) as a module.
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[0.5f32, 0.0]]));
/// assert_eq!(MultiLabelMarginLoss::new().forward(&x, &Tensor::from([[0i64, -1]])).item::<f32>(), 0.25);
/// ```
#[derive(Debug, Module)]
pub struct MultiLabelMarginLoss {
    #[module(config)]
    reduction: Reduction,
}

impl MultiLabelMarginLoss {
    /// The loss with this reduction.
    pub fn with(reduction: Reduction) -> MultiLabelMarginLoss {
        MultiLabelMarginLoss { reduction }
    }

    /// The loss of these scores for the classes of each row, up to the first -1.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Tensor) -> Var {
        multilabel_margin_loss(input, target, self.reduction)
    }
}

/// Options of [`MultiLabelSoftMarginLoss`].
#[derive(Debug, Clone, Default)]
pub struct MultiLabelSoftMarginLossOptions {
    /// A weight for each class, `[c]` (default: none, which is 1 for each).
    pub weight: Option<Tensor>,
    /// What becomes of the losses (default: their mean).
    pub reduction: Reduction,
}

/// `-Σ w (t log s(x) + (1 - t) log s(-x)) / c` with the sigmoid `s`, averaged;
/// [`functional::multilabel_soft_margin_loss`](crate::functional::multilabel_soft_margin_loss) as a module.
///
/// ```
/// use nn::prelude::*;
///
/// let (x, t) = (Var::new(Tensor::from([[0f32, 0.0]])), Var::new(Tensor::from([[1f32, 0.0]])));
/// assert!((MultiLabelSoftMarginLoss::new().forward(&x, &t).item::<f32>() - 2f32.ln()).abs() < 1e-6);
/// ```
#[derive(Debug, Module)]
pub struct MultiLabelSoftMarginLoss {
    /// `[c]`.
    pub weight: Option<Buffer>,
    #[module(config)]
    reduction: Reduction,
}

impl MultiLabelSoftMarginLoss {
    /// The loss with options.
    pub fn with(options: MultiLabelSoftMarginLossOptions) -> MultiLabelSoftMarginLoss {
        MultiLabelSoftMarginLoss { weight: options.weight.map(Buffer::new), reduction: options.reduction }
    }

    /// The loss of these logits for the probability of each class.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Var) -> Var {
        let weight = self.weight.as_ref().map(Buffer::value);
        multilabel_soft_margin_loss(input, target, weight.as_ref(), self.reduction)
    }
}
