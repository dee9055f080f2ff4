//! Losses that want distances or scores to differ by a margin.

use std::fmt;

use autograd::Var;
use tensor::Tensor;

use super::with_defaults;
use crate::functional::{
    cosine_embedding_loss, hinge_embedding_loss, margin_ranking_loss, soft_margin_loss, triplet_margin_loss,
    triplet_margin_with_distance_loss,
};
use crate::{Module, Reduction};

with_defaults!(
    CosineEmbeddingLoss(CosineEmbeddingLossOptions),
    TripletMarginLoss(TripletMarginLossOptions),
    HingeEmbeddingLoss(HingeEmbeddingLossOptions),
    MarginRankingLoss(MarginRankingLossOptions),
    SoftMarginLoss(Reduction),
);

/// Options of [`CosineEmbeddingLoss`].
#[derive(Debug, Clone, Copy, Default)]
pub struct CosineEmbeddingLossOptions {
    /// The cosine from which on pairs that differ cost something (default: 0).
    pub margin: f64,
    /// What becomes of the losses (default: their mean).
    pub reduction: Reduction,
}

/// `1 - cos` for pairs that are alike (target 1), `max(0, cos - margin)` for those that differ (-1), averaged;
/// [`functional::cosine_embedding_loss`](crate::functional::cosine_embedding_loss) as a module.
///
/// ```
/// use nn::prelude::*;
///
/// let (a, b) = (Var::new(Tensor::from([[1f32, 0.0]])), Var::new(Tensor::from([[0f32, 1.0]])));
/// assert_eq!(CosineEmbeddingLoss::new().forward(&a, &b, &Tensor::from([1i64])).item::<f32>(), 1.0);
/// ```
#[derive(Debug, Module)]
pub struct CosineEmbeddingLoss {
    #[module(config)]
    options: CosineEmbeddingLossOptions,
}

impl CosineEmbeddingLoss {
    /// The loss with options.
    pub fn with(options: CosineEmbeddingLossOptions) -> CosineEmbeddingLoss {
        CosineEmbeddingLoss { options }
    }

    /// The loss of these pairs, of which the target says 1 or -1.
    #[track_caller]
    pub fn forward(&self, input1: &Var, input2: &Var, target: &Tensor) -> Var {
        cosine_embedding_loss(input1, input2, target, self.options)
    }
}

/// Options of [`TripletMarginLoss`].
#[derive(Debug, Clone, Copy)]
pub struct TripletMarginLossOptions {
    /// By how much the negative is to be farther away than the positive (default: 1).
    pub margin: f64,
    /// The order of the norm (default: 2).
    pub p: f64,
    /// Added to the differences under the norm (default: 1e-6).
    pub eps: f64,
    /// Whether the distance of positive and negative is used where it is smaller (default: false).
    pub swap: bool,
    /// What becomes of the losses (default: their mean).
    pub reduction: Reduction,
}

impl Default for TripletMarginLossOptions {
    fn default() -> TripletMarginLossOptions {
        TripletMarginLossOptions { margin: 1.0, p: 2.0, eps: 1e-6, swap: false, reduction: Reduction::Mean }
    }
}

/// `max(0, |a - p| - |a - n| + margin)`, averaged;
/// [`functional::triplet_margin_loss`](crate::functional::triplet_margin_loss) as a module.
///
/// ```
/// use nn::prelude::*;
///
/// let [a, p, n] = [0f64, 1.0, 1.5].map(|x| Var::new(Tensor::from([[x]])));
/// assert!((TripletMarginLoss::new().forward(&a, &p, &n).item::<f64>() - 0.5).abs() < 1e-5);
/// ```
#[derive(Debug, Module)]
pub struct TripletMarginLoss {
    #[module(config)]
    options: TripletMarginLossOptions,
}

impl TripletMarginLoss {
    /// The loss with options.
    ///
    /// # Panics
    /// When the margin is not positive.
    #[track_caller]
    pub fn with(options: TripletMarginLossOptions) -> TripletMarginLoss {
        assert!(options.margin > 0.0, "TripletMarginLoss: the margin is not positive\n  margin {}", options.margin);
        TripletMarginLoss { options }
    }

    /// The loss of anchors, positive and negative examples.
    #[track_caller]
    pub fn forward(&self, anchor: &Var, positive: &Var, negative: &Var) -> Var {
        triplet_margin_loss(anchor, positive, negative, self.options)
    }
}

/// Options of [`TripletMarginWithDistanceLoss`].
#[derive(Debug, Clone, Copy)]
pub struct TripletMarginWithDistanceLossOptions {
    /// By how much the negative is to be farther away than the positive (default: 1).
    pub margin: f64,
    /// Whether the distance of positive and negative is used where it is smaller (default: false).
    pub swap: bool,
    /// What becomes of the losses (default: their mean).
    pub reduction: Reduction,
}

impl Default for TripletMarginWithDistanceLossOptions {
    fn default() -> TripletMarginWithDistanceLossOptions {
        TripletMarginWithDistanceLossOptions { margin: 1.0, swap: false, reduction: Reduction::Mean }
    }
}

/// A distance of the user's.
type Distance = Box<dyn Fn(&Var, &Var) -> Var>;

/// `max(0, d(a, p) - d(a, n) + margin)` for any distance `d`, averaged;
/// [`functional::triplet_margin_with_distance_loss`](crate::functional::triplet_margin_with_distance_loss) as a module.
///
/// # Differs
/// The distance must be given; [`TripletMarginLoss`] has PyTorch's default. It is a function: a distance with parameters of
/// its own is a field of the model beside this loss.
///
/// ```
/// use nn::prelude::*;
///
/// let squared = TripletMarginWithDistanceLoss::new(|a, b| (a - b).square().sum_dim(-1, false));
/// let [a, p, n] = [0f32, 1.0, 1.25].map(|x| Var::new(Tensor::from([[x]])));
/// assert_eq!(squared.forward(&a, &p, &n).item::<f32>(), 0.4375);
/// ```
#[derive(Module)]
pub struct TripletMarginWithDistanceLoss {
    #[module(config)]
    distance: Distance,
    #[module(config)]
    options: TripletMarginWithDistanceLossOptions,
}

impl TripletMarginWithDistanceLoss {
    /// The loss with this distance.
    pub fn new(distance: impl Fn(&Var, &Var) -> Var + 'static) -> TripletMarginWithDistanceLoss {
        TripletMarginWithDistanceLoss::with(distance, TripletMarginWithDistanceLossOptions::default())
    }

    /// The loss with this distance and options.
    ///
    /// # Panics
    /// When the margin is not positive.
    #[track_caller]
    pub fn with(
        distance: impl Fn(&Var, &Var) -> Var + 'static,
        options: TripletMarginWithDistanceLossOptions,
    ) -> TripletMarginWithDistanceLoss {
        let margin = options.margin;
        assert!(margin > 0.0, "TripletMarginWithDistanceLoss: the margin is not positive\n  margin {margin}");
        TripletMarginWithDistanceLoss { distance: Box::new(distance), options }
    }

    /// The loss of anchors, positive and negative examples.
    #[track_caller]
    pub fn forward(&self, anchor: &Var, positive: &Var, negative: &Var) -> Var {
        triplet_margin_with_distance_loss(anchor, positive, negative, &self.distance, self.options)
    }
}

impl fmt::Debug for TripletMarginWithDistanceLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TripletMarginWithDistanceLoss").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Options of [`HingeEmbeddingLoss`].
#[derive(Debug, Clone, Copy)]
pub struct HingeEmbeddingLossOptions {
    /// The distance from which on pairs that differ cost nothing (default: 1).
    pub margin: f64,
    /// What becomes of the losses (default: their mean).
    pub reduction: Reduction,
}

impl Default for HingeEmbeddingLossOptions {
    fn default() -> HingeEmbeddingLossOptions {
        HingeEmbeddingLossOptions { margin: 1.0, reduction: Reduction::Mean }
    }
}

/// `x` where the target is 1 and `max(0, margin - x)` where it is -1, averaged;
/// [`functional::hinge_embedding_loss`](crate::functional::hinge_embedding_loss) as a module.
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([0.25f32, 0.25]));
/// assert_eq!(HingeEmbeddingLoss::new().forward(&x, &Tensor::from([1i64, -1])).item::<f32>(), 0.5);
/// ```
#[derive(Debug, Module)]
pub struct HingeEmbeddingLoss {
    #[module(config)]
    options: HingeEmbeddingLossOptions,
}

impl HingeEmbeddingLoss {
    /// The loss with options.
    pub fn with(options: HingeEmbeddingLossOptions) -> HingeEmbeddingLoss {
        HingeEmbeddingLoss { options }
    }

    /// The loss of these distances, of which the target says 1 or -1.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Tensor) -> Var {
        hinge_embedding_loss(input, target, self.options)
    }
}

/// Options of [`MarginRankingLoss`].
#[derive(Debug, Clone, Copy, Default)]
pub struct MarginRankingLossOptions {
    /// By how much one score is to be greater than the other (default: 0).
    pub margin: f64,
    /// What becomes of the losses (default: their mean).
    pub reduction: Reduction,
}

/// `max(0, -t (x₁ - x₂) + margin)`, averaged;
/// [`functional::margin_ranking_loss`](crate::functional::margin_ranking_loss) as a module.
///
/// ```
/// use nn::prelude::*;
///
/// let [a, b, t] = [[1f32, 1.0], [0.5, 2.0], [1.0, 1.0]].map(|x| Var::new(Tensor::from(x)));
/// assert_eq!(MarginRankingLoss::new().forward(&a, &b, &t).item::<f32>(), 0.5);
/// ```
#[derive(Debug, Module)]
pub struct MarginRankingLoss {
    #[module(config)]
    options: MarginRankingLossOptions,
}

impl MarginRankingLoss {
    /// The loss with options.
    pub fn with(options: MarginRankingLossOptions) -> MarginRankingLoss {
        MarginRankingLoss { options }
    }

    /// The loss of these scores: the first is to be the greater where the target is 1, the second where it is -1.
    #[track_caller]
    pub fn forward(&self, input1: &Var, input2: &Var, target: &Var) -> Var {
        margin_ranking_loss(input1, input2, target, self.options)
    }
}

/// `log(1 + e^(-t x))`, averaged; [`functional::soft_margin_loss`](crate::functional::soft_margin_loss) as a module.
///
/// ```
/// use nn::prelude::*;
///
/// let loss = SoftMarginLoss::new().forward(&Var::new(Tensor::from([0f32])), &Tensor::from([-1i64]));
/// assert!((loss.item::<f32>() - 2f32.ln()).abs() < 1e-6);
/// ```
#[derive(Debug, Module)]
pub struct SoftMarginLoss {
    #[module(config)]
    reduction: Reduction,
}

impl SoftMarginLoss {
    /// The loss with this reduction.
    pub fn with(reduction: Reduction) -> SoftMarginLoss {
        SoftMarginLoss { reduction }
    }

    /// The loss of these scores for targets 1 and -1.
    #[track_caller]
    pub fn forward(&self, input: &Var, target: &Tensor) -> Var {
        soft_margin_loss(input, target, self.reduction)
    }
}
