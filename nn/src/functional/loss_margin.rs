//! Losses that want distances or scores to differ by a margin.

use autograd::Var;
use tensor::{DType, Reduction, Tensor};

use super::loss::{check_broadcast, reduced};
use crate::{
    CosineEmbeddingLossOptions, HingeEmbeddingLossOptions, MarginRankingLossOptions, MultiMarginLossOptions,
    TripletMarginLossOptions, TripletMarginWithDistanceLossOptions,
};

/// `1 - cos(x₁, x₂)` for pairs whose target is 1 and `max(0, cos(x₁, x₂) - margin)` for those whose target is -1, then the
/// reduction. The squared lengths under the cosine are increased by 1e-12.
///
/// # Shape
/// Inputs `[n, d]` and target `[n]`, or inputs `[d]` and target `[]`; the inputs broadcast.
///
/// # Gradient
/// That of the cosine to both inputs, negative for the target 1; none where the margin is kept.
///
/// # Panics
/// When the shapes do not fit, or for the reduction `BatchMean`.
///
/// ```
/// use nn::prelude::*;
///
/// let (a, b) = (Var::new(Tensor::from([[1f64, 0.0], [1.0, 0.0]])), Var::new(Tensor::from([[0f64, 2.0], [3.0, 0.0]])));
/// let options = CosineEmbeddingLossOptions { reduction: Reduction::None, ..Default::default() };
/// let loss = functional::cosine_embedding_loss(&a, &b, &Tensor::from([1i64, -1]), options);
/// assert!(loss.value().allclose(&Tensor::from([1f64, 1.0]), 1e-9, 0.0));
/// ```
#[track_caller]
pub fn cosine_embedding_loss(input1: &Var, input2: &Var, target: &Tensor, options: CosineEmbeddingLossOptions) -> Var {
    let CosineEmbeddingLossOptions { margin, reduction } = options;
    let dim = target.ndim();
    assert!(
        dim <= 1 && input1.ndim() == dim + 1 && input2.ndim() == dim + 1,
        "cosine_embedding_loss: the shapes do not fit\n  input1 {}   input2 {}   target {:?}   \
         rule [n, d] and [n], or [d] and []",
        input1.shape(),
        input2.shape(),
        target.dims()
    );
    check_broadcast("cosine_embedding_loss", &input1.shape(), &input2.shape());
    let dot = |a: &Var, b: &Var| (a * b).sum_dim(dim as isize, false);
    let lengths = (dot(input1, input1) + 1e-12) * (dot(input2, input2) + 1e-12);
    let cosine = dot(input1, input2) / lengths.sqrt();
    let zero = Var::new(Tensor::zeros([], cosine.dtype()));
    let alike = Var::where_(&target.eq_scalar(1.0), &(1.0 - &cosine), &zero);
    let apart = Var::where_(&target.eq_scalar(-1.0), &(cosine - margin).clamp_min(0.0), &zero);
    reduced("cosine_embedding_loss", alike + apart, reduction)
}

/// `max(0, |a - p| - |a - n| + margin)` for an anchor, a positive and a negative example, then the reduction. Distances are
/// norms of order `p` of the difference plus `eps`; with `swap`, the distance of positive and negative takes the place of
/// that of anchor and negative where it is smaller.
///
/// # Shape
/// `[.., d]` each, with as many dimensions; they broadcast. A loss without reduction is `[..]`.
///
/// # Gradient
/// That of the distances, to all three; none where the margin is kept.
///
/// # Panics
/// When the numbers of dimensions differ or the shapes do not broadcast, the margin is not positive, or for the reduction
/// `BatchMean`.
///
/// # Source
/// Balntas et al., "Learning Shallow Convolutional Feature Descriptors with Triplet Losses", 2016, section 2.
///
/// ```
/// use nn::prelude::*;
///
/// let [a, p, n] = [[0f64, 0.0], [3.0, 4.0], [0.0, 5.5]].map(|x| Var::new(Tensor::from([x])));
/// let loss = functional::triplet_margin_loss(&a, &p, &n, TripletMarginLossOptions::default());
/// assert!((loss.item::<f64>() - 0.5).abs() < 1e-5);
/// ```
#[track_caller]
pub fn triplet_margin_loss(anchor: &Var, positive: &Var, negative: &Var, options: TripletMarginLossOptions) -> Var {
    let TripletMarginLossOptions { margin, p, eps, swap, reduction } = options;
    check_broadcast("triplet_margin_loss", &anchor.shape(), &positive.shape());
    check_broadcast("triplet_margin_loss", &anchor.shape(), &negative.shape());
    let distance = |a: &Var, b: &Var| a.pairwise_distance(b, p, eps, false);
    triplet("triplet_margin_loss", [anchor, positive, negative], distance, (margin, swap), reduction)
}

/// [`triplet_margin_loss`] with any distance: `max(0, d(a, p) - d(a, n) + margin)`, then the reduction.
///
/// # Shape
/// Anchor, positive and negative have as many dimensions. A loss without reduction has the shape of the distances.
///
/// # Gradient
/// That of the distances, to all three; none where the margin is kept.
///
/// # Panics
/// When the numbers of dimensions differ, the margin is not positive, or for the reduction `BatchMean`.
///
/// ```
/// use nn::prelude::*;
///
/// let squared = |a: &Var, b: &Var| (a - b).square().sum_dim(-1, false);
/// let [a, p, n] = [0f64, 1.0, 1.5].map(|x| Var::new(Tensor::from([[x]])));
/// let options = TripletMarginWithDistanceLossOptions::default();
/// let loss = functional::triplet_margin_with_distance_loss(&a, &p, &n, squared, options);
/// assert_eq!(loss.item::<f64>(), 0.0);
/// ```
#[track_caller]
pub fn triplet_margin_with_distance_loss(
    anchor: &Var,
    positive: &Var,
    negative: &Var,
    distance: impl Fn(&Var, &Var) -> Var,
    options: TripletMarginWithDistanceLossOptions,
) -> Var {
    let TripletMarginWithDistanceLossOptions { margin, swap, reduction } = options;
    let op = "triplet_margin_with_distance_loss";
    triplet(op, [anchor, positive, negative], distance, (margin, swap), reduction)
}

#[track_caller]
fn triplet(
    op: &str,
    [anchor, positive, negative]: [&Var; 3],
    distance: impl Fn(&Var, &Var) -> Var,
    (margin, swap): (f64, bool),
    reduction: Reduction,
) -> Var {
    assert!(margin > 0.0, "{op}: the margin is not positive\n  margin {margin}");
    assert!(
        anchor.ndim() == positive.ndim() && anchor.ndim() == negative.ndim(),
        "{op}: the numbers of dimensions differ\n  anchor {}   positive {}   negative {}",
        anchor.shape(),
        positive.shape(),
        negative.shape()
    );
    let (near, mut far) = (distance(anchor, positive), distance(anchor, negative));
    if swap {
        far = far.minimum(&distance(positive, negative));
    }
    reduced(op, (near + margin - far).clamp_min(0.0), reduction)
}

/// `x` where the target is 1, `max(0, margin - x)` where it is -1 (and the sum of both where it is neither), then the
/// reduction.
///
/// # Shape
/// Input and target broadcast.
///
/// # Gradient
/// 1 where the target is 1; -1 where it is -1 and the margin is not kept; nothing to the target.
///
/// # Panics
/// When the shapes do not broadcast, or for the reduction `BatchMean`.
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([0.25f64, 0.25]));
/// let options = HingeEmbeddingLossOptions { reduction: Reduction::None, ..Default::default() };
/// let loss = functional::hinge_embedding_loss(&x, &Tensor::from([1i64, -1]), options);
/// assert_eq!(loss.to_vec::<f64>(), [0.25, 0.75]);
/// ```
#[track_caller]
pub fn hinge_embedding_loss(input: &Var, target: &Tensor, options: HingeEmbeddingLossOptions) -> Var {
    let HingeEmbeddingLossOptions { margin, reduction } = options;
    check_broadcast("hinge_embedding_loss", &input.shape(), target.dims());
    let zero = Var::new(Tensor::zeros([], input.dtype()));
    let apart = Var::where_(&target.ne_scalar(1.0), &(margin - input).clamp_min(0.0), &zero);
    let alike = Var::where_(&target.ne_scalar(-1.0), input, &zero);
    reduced("hinge_embedding_loss", apart + alike, reduction)
}

/// `max(0, -t (x₁ - x₂) + margin)`: the first input is to be the greater by the margin where the target is 1, the second
/// where it is -1. Then the reduction.
///
/// # Shape
/// Inputs and target broadcast, and have as many dimensions.
///
/// # Gradient
/// Where the loss is not 0: `dx₁ = -dy t`, `dx₂ = dy t`, `dt = -dy (x₁ - x₂)`.
///
/// # Panics
/// When the numbers of dimensions differ or the shapes do not broadcast, or for the reduction `BatchMean`.
///
/// ```
/// use nn::prelude::*;
///
/// let [a, b, t] = [[1f64, 1.0], [0.5, 2.0], [1.0, 1.0]].map(|x| Var::new(Tensor::from(x)));
/// let options = MarginRankingLossOptions { margin: 0.75, reduction: Reduction::None };
/// let loss = functional::margin_ranking_loss(&a, &b, &t, options);
/// assert_eq!(loss.to_vec::<f64>(), [0.25, 1.75]);
/// ```
#[track_caller]
pub fn margin_ranking_loss(input1: &Var, input2: &Var, target: &Var, options: MarginRankingLossOptions) -> Var {
    let MarginRankingLossOptions { margin, reduction } = options;
    assert!(
        input1.ndim() == input2.ndim() && input1.ndim() == target.ndim(),
        "margin_ranking_loss: the numbers of dimensions differ\n  input1 {}   input2 {}   target {}",
        input1.shape(),
        input2.shape(),
        target.shape()
    );
    check_broadcast("margin_ranking_loss", &input1.shape(), &input2.shape());
    check_broadcast("margin_ranking_loss", &input1.shape(), &target.shape());
    let losses = (target.neg() * (input1 - input2) + margin).clamp_min(0.0);
    reduced("margin_ranking_loss", losses, reduction)
}

/// `Σ w[y] max(0, margin - x[y] + x[j])^p / c` over the classes `j` other than the target `y`, then the reduction.
///
/// # Shape
/// Input `[n, c]` and target `[n]`, or input `[c]` and target `[]` or `[1]`; weight `[c]`.
///
/// # Gradient
/// `w[y] / c` for every class that comes closer to the target's score than the margin (times `2 z` for `p = 2`), minus
/// their sum at the target.
///
/// # Panics
/// When the shapes do not fit, a target is no class, `p` is neither 1 nor 2, or for the reduction `BatchMean`.
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[1f64, 0.5, 3.0, -1.0]]));
/// let loss = functional::multi_margin_loss(&x, &Tensor::from([0i64]), &MultiMarginLossOptions::default());
/// assert_eq!(loss.item::<f64>(), (0.5 + 3.0) / 4.0);
/// ```
#[track_caller]
pub fn multi_margin_loss(input: &Var, target: &Tensor, options: &MultiMarginLossOptions) -> Var {
    let MultiMarginLossOptions { p, margin, weight, reduction } = options;
    assert!(matches!(p, 1 | 2), "multi_margin_loss: p is neither 1 nor 2\n  p {p}");
    let fits = match (&*input.shape(), target.dims()) {
        ([n, _], [targets]) => n == targets,
        ([_] | [], [] | [1]) => true,
        _ => false,
    };
    let c = input.shape().last().copied().unwrap_or(1);
    let weight_fits = weight.as_ref().is_none_or(|weight| weight.dims() == [c]);
    assert!(
        fits && weight_fits,
        "multi_margin_loss: the shapes do not fit\n  input {}   target {:?}   weight {:?}   \
         rule [n, c], [n] and [c], or [c], [] and [c]",
        input.shape(),
        target.dims(),
        weight.as_ref().map(Tensor::dims)
    );
    let classes = target.to_dtype(DType::I64).reshape([target.numel()]);
    if let Some(other) = classes.to_vec::<i64>().into_iter().find(|&class| !(0..c as i64).contains(&class)) {
        panic!("multi_margin_loss: a target is no class\n  target {other}   rule 0..{c}");
    }
    let x = input.reshape([classes.numel(), c]);
    let short = (&x - x.gather(1, &classes.unsqueeze(1)) + *margin).relu();
    let short = if *p == 2 { short.square() } else { short };
    let mut each = short.masked_fill(&classes.one_hot(c).eq_scalar(1.0), 0.0);
    if let Some(weight) = weight {
        each = each * Var::new(weight.to_dtype(x.dtype()).index_select(0, &classes).unsqueeze(1));
    }
    let losses = (each.sum_dim(1, false) / c as f64).reshape(target.shape());
    reduced("multi_margin_loss", losses, *reduction)
}

/// `Σ max(0, 1 - x[y] + x[j]) / c` over the target classes `y` and all classes `j` that are none, then the reduction. A row's
/// targets end before the first -1.
///
/// # Shape
/// Input `[n, c]`, `[c]` or `[]`, and a target of the same shape.
///
/// # Gradient
/// `1 / c` for every pair that is closer than 1: to the score of the class that is no target, and its negative to that of
/// the target.
///
/// # Panics
/// When the shapes do not fit, a target is no class, or for the reduction `BatchMean`.
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[0.1f64, 0.2, 0.4, 0.8]]));
/// let loss = functional::multilabel_margin_loss(&x, &Tensor::from([[3i64, 0, -1, 1]]), Reduction::Mean);
/// assert!((loss.item::<f64>() - 0.85).abs() < 1e-12);
/// ```
#[track_caller]
pub fn multilabel_margin_loss(input: &Var, target: &Tensor, reduction: Reduction) -> Var {
    assert!(
        input.ndim() <= 2 && *input.shape() == *target.dims(),
        "multilabel_margin_loss: the shapes do not fit\n  input {}   target {:?}   rule [n, c] or [c], both",
        input.shape(),
        target.dims()
    );
    let c = input.shape().last().copied().unwrap_or(1);
    let rows = target.numel() / c.max(1);
    let classes = target.to_dtype(DType::I64).to_vec::<i64>();
    // Which classes are targets, and how often each is named: one that is named twice counts twice.
    let mut named = vec![0.0; rows * c];
    for (row, classes) in classes.chunks(c.max(1)).enumerate() {
        for &class in classes.iter().take_while(|&&class| class != -1) {
            assert!(
                (0..c as i64).contains(&class),
                "multilabel_margin_loss: a target is no class\n  target {class}   rule 0..{c}, or -1 for the end"
            );
            named[row * c + class as usize] += 1.0;
        }
    }
    let named = Tensor::from_vec(named, [rows, c]).to_dtype(input.dtype());
    let others = named.eq_scalar(0.0).to_dtype(input.dtype());
    let x = input.reshape([rows, c]);
    let pairs = Var::new(named.unsqueeze(2) * others.unsqueeze(1));
    let short = (x.unsqueeze(1) - x.unsqueeze(2) + 1.0).relu();
    let losses = (short * pairs).sum_dim([1, 2], false) / c as f64;
    reduced("multilabel_margin_loss", if input.ndim() == 2 { losses } else { losses.squeeze(0) }, reduction)
}

/// `-Σ w (t log s(x) + (1 - t) log s(-x)) / c` over the classes, with the sigmoid `s`, then the reduction: a binary
/// cross-entropy per class.
///
/// # Shape
/// Input and target `[.., c]`; they and the weight broadcast. A loss without reduction is `[..]`.
///
/// # Gradient
/// `dx = dy w (s(x) - t) / c`, `dt = -dy w x / c`.
///
/// # Panics
/// When the input has no dimension, the shapes do not broadcast, or for the reduction `BatchMean`.
///
/// ```
/// use nn::prelude::*;
///
/// let (x, t) = (Var::new(Tensor::from([[0f64, 0.0]])), Var::new(Tensor::from([[1f64, 0.0]])));
/// let loss = functional::multilabel_soft_margin_loss(&x, &t, None, Reduction::Mean);
/// assert!((loss.item::<f64>() - 2f64.ln()).abs() < 1e-12);
/// ```
#[track_caller]
pub fn multilabel_soft_margin_loss(input: &Var, target: &Var, weight: Option<&Tensor>, reduction: Reduction) -> Var {
    assert!(input.ndim() > 0, "multilabel_soft_margin_loss: the input has no classes\n  input []   rule [.., c]");
    check_broadcast("multilabel_soft_margin_loss", &input.shape(), &target.shape());
    if let Some(weight) = weight {
        check_broadcast("multilabel_soft_margin_loss", &input.shape(), weight.dims());
    }
    let mut losses = (target * input.logsigmoid() + (1.0 - target) * input.neg().logsigmoid()).neg();
    if let Some(weight) = weight {
        losses = losses * Var::new(weight.to_dtype(input.dtype()));
    }
    let each = losses.sum_dim(-1, false) / input.dim(-1) as f64;
    reduced("multilabel_soft_margin_loss", each, reduction)
}

/// `log(1 + e^(-t x))` for targets 1 and -1, then the reduction.
///
/// # Shape
/// Input and target broadcast.
///
/// # Gradient
/// `dx = -dy t / (1 + e^(t x))`; nothing to the target, as in PyTorch.
///
/// # Numerics
/// Stable for inputs of any size, where PyTorch overflows to infinity.
///
/// # Panics
/// When the shapes do not broadcast, or for the reduction `BatchMean`.
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([0f64, 0.0]));
/// let loss = functional::soft_margin_loss(&x, &Tensor::from([1i64, -1]), Reduction::Sum);
/// assert!((loss.item::<f64>() - 2.0 * 2f64.ln()).abs() < 1e-12);
/// ```
#[track_caller]
pub fn soft_margin_loss(input: &Var, target: &Tensor, reduction: Reduction) -> Var {
    check_broadcast("soft_margin_loss", &input.shape(), target.dims());
    let target = Var::new(target.to_dtype(input.dtype()));
    reduced("soft_margin_loss", (input * target).logsigmoid().neg(), reduction)
}
