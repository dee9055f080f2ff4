//! The losses: every option, each with the reductions none, mean and sum as three outputs.

use crate::harness::*;

const THREE: [Reduction; 3] = [Reduction::None, Reduction::Mean, Reduction::Sum];

/// The module with these reductions: the one whose state was loaded says what the others' weights are.
fn each<M: Module>(
    reductions: impl AsRef<[Reduction]> + 'static,
    make: impl Fn(Reduction) -> M + 'static,
    forward: impl Fn(&M, &Inputs) -> Var + 'static,
) -> Case {
    module(make(Reduction::Mean), move |loaded, x| {
        let state = loaded.state_dict();
        let loss = |&reduction: &Reduction| {
            let loss = make(reduction);
            if let Some(weight) = state.values().next() {
                loss.to_dtype(weight.dtype());
            }
            loss.load_state_dict(&state).unwrap();
            forward(&loss, x)
        };
        reductions.as_ref().iter().map(loss).collect::<Vec<Var>>()
    })
}

/// A weight, whose values come with the state.
fn weight(shape: impl AsRef<[usize]>) -> Option<Tensor> {
    Some(Tensor::ones(shape.as_ref(), DType::F64))
}

fn cross_entropy(options: CrossEntropy) -> Case {
    let make = move |reduction| CrossEntropyLoss::with(CrossEntropy { reduction, ..options.clone() });
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.tensor(1)))
}

fn cross_entropy_probs(options: CrossEntropy) -> Case {
    let make = move |reduction| CrossEntropyLoss::with(CrossEntropy { reduction, ..options.clone() });
    each(THREE, make, |loss, x| loss.forward_probs(x.var(0), x.var(1)))
}

fn weighted(classes: usize) -> CrossEntropy {
    CrossEntropy { weight: weight([classes]), ..Default::default() }
}

fn nll(options: NLLLossOptions) -> Case {
    let make = move |reduction| NLLLoss::with(NLLLossOptions { reduction, ..options.clone() });
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.tensor(1)))
}

fn multi_margin(options: MultiMarginLossOptions) -> Case {
    let make = move |reduction| MultiMarginLoss::with(MultiMarginLossOptions { reduction, ..options.clone() });
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.tensor(1)))
}

fn multilabel_margin() -> Case {
    each(THREE, MultiLabelMarginLoss::with, |loss, x| loss.forward(x.var(0), x.tensor(1)))
}

fn multilabel_soft_margin(weight: Option<Tensor>) -> Case {
    let make = move |reduction| {
        MultiLabelSoftMarginLoss::with(MultiLabelSoftMarginLossOptions { reduction, weight: weight.clone() })
    };
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.var(1)))
}

fn mse() -> Case {
    each(THREE, MSELoss::with, |loss, x| loss.forward(x.var(0), x.var(1)))
}

fn l1() -> Case {
    each(THREE, L1Loss::with, |loss, x| loss.forward(x.var(0), x.var(1)))
}

fn smooth_l1(options: SmoothL1LossOptions) -> Case {
    let make = move |reduction| SmoothL1Loss::with(SmoothL1LossOptions { reduction, ..options });
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.var(1)))
}

fn smooth_l1_beta(beta: f64) -> Case {
    smooth_l1(SmoothL1LossOptions { beta, ..Default::default() })
}

fn huber(options: HuberLossOptions) -> Case {
    let make = move |reduction| HuberLoss::with(HuberLossOptions { reduction, ..options });
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.var(1)))
}

fn huber_delta() -> Case {
    huber(HuberLossOptions { delta: 0.3, ..Default::default() })
}

fn bce(weight: Option<Tensor>) -> Case {
    let make = move |reduction| BCELoss::with(BCELossOptions { reduction, weight: weight.clone() });
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.var(1)))
}

fn bce_with_logits(weight: Option<Tensor>, pos_weight: Option<Tensor>) -> Case {
    let options = BCEWithLogitsLossOptions { weight, pos_weight, ..Default::default() };
    let make = move |reduction| BCEWithLogitsLoss::with(BCEWithLogitsLossOptions { reduction, ..options.clone() });
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.var(1)))
}

fn soft_margin() -> Case {
    each(THREE, SoftMarginLoss::with, |loss, x| loss.forward(x.var(0), x.tensor(1)))
}

fn kl_div_of(log_target: bool, forward: impl Fn(&KLDivLoss, &Inputs) -> Var + 'static) -> Case {
    let reductions = [Reduction::None, Reduction::Mean, Reduction::Sum, Reduction::BatchMean];
    each(reductions, move |reduction| KLDivLoss::with(KLDivLossOptions { reduction, log_target }), forward)
}

fn kl_div(log_target: bool) -> Case {
    kl_div_of(log_target, |loss, x| loss.forward(x.var(0), x.var(1)))
}

fn poisson(options: PoissonNLLLossOptions) -> Case {
    let make = move |reduction| PoissonNLLLoss::with(PoissonNLLLossOptions { reduction, ..options });
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.var(1)))
}

/// The whole loss, for counts that are not differentiated.
fn poisson_counts() -> Case {
    let make = |reduction| PoissonNLLLoss::with(PoissonNLLLossOptions { reduction, full: true, ..Default::default() });
    each(THREE, make, |loss, x| loss.forward(x.var(0), &x.constant(1)))
}

fn gaussian(options: GaussianNLLLossOptions) -> Case {
    let make = move |reduction| GaussianNLLLoss::with(GaussianNLLLossOptions { reduction, ..options });
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.var(1), x.var(2)))
}

fn cosine(margin: f64) -> Case {
    let make = move |reduction| CosineEmbeddingLoss::with(CosineEmbeddingLossOptions { reduction, margin });
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.var(1), x.tensor(2)))
}

fn triplet(options: TripletMarginLossOptions) -> Case {
    let make = move |reduction| TripletMarginLoss::with(TripletMarginLossOptions { reduction, ..options });
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.var(1), x.var(2)))
}

fn triplet_distance(options: TripletMarginWithDistanceLossOptions) -> Case {
    let square = |a: &Var, b: &Var| (a - b).square().sum_dim(-1, false);
    let make = move |reduction| {
        let options = TripletMarginWithDistanceLossOptions { reduction, ..options };
        TripletMarginWithDistanceLoss::with(square, options)
    };
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.var(1), x.var(2)))
}

fn hinge(options: HingeEmbeddingLossOptions) -> Case {
    let make = move |reduction| HingeEmbeddingLoss::with(HingeEmbeddingLossOptions { reduction, ..options });
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.tensor(1)))
}

fn ranking(margin: f64) -> Case {
    let make = move |reduction| MarginRankingLoss::with(MarginRankingLossOptions { reduction, margin });
    each(THREE, make, |loss, x| loss.forward(x.var(0), x.var(1), x.var(2)))
}

/// The loss of logits.
fn ctc(options: Ctc) -> Case {
    let make = move |reduction| CTCLoss::with(Ctc { reduction, ..options });
    each(THREE, make, |loss, x| loss.forward(&x.var(0).log_softmax(-1), x.tensor(1), x.tensor(2), x.tensor(3)))
}

fn zero_infinity() -> Ctc {
    Ctc { zero_infinity: true, ..Default::default() }
}

cases! { "loss":
    "cross_entropy" => cross_entropy(CrossEntropy::default()),
    "cross_entropy_weight" => cross_entropy(weighted(5)),
    "cross_entropy_smooth" => cross_entropy(CrossEntropy { label_smoothing: 0.1, ..Default::default() }),
    "cross_entropy_weight_smooth" => cross_entropy(CrossEntropy { label_smoothing: 0.2, ..weighted(5) }),
    "cross_entropy_ignore" => cross_entropy(CrossEntropy { ignore_index: 1, ..Default::default() }),
    "cross_entropy_unbatched" => cross_entropy(weighted(5)),
    "cross_entropy_series" => cross_entropy(CrossEntropy::default()),
    "cross_entropy_image" => cross_entropy(CrossEntropy { label_smoothing: 0.3, ..weighted(4) }),
    "cross_entropy_probs" => cross_entropy_probs(CrossEntropy::default()),
    "cross_entropy_probs_weight_smooth" => cross_entropy_probs(CrossEntropy { label_smoothing: 0.2, ..weighted(5) }),
    "cross_entropy_probs_constant" => cross_entropy(CrossEntropy { label_smoothing: 0.2, ..weighted(5) }),
    "cross_entropy_probs_unbatched" => cross_entropy_probs(CrossEntropy::default()),
    "cross_entropy_probs_image" => cross_entropy_probs(weighted(4)),
    "nll" => nll(NLLLossOptions::default()),
    "nll_weight" => nll(NLLLossOptions { weight: weight([5]), ..Default::default() }),
    "nll_ignore" => nll(NLLLossOptions { weight: weight([5]), ignore_index: 1, ..Default::default() }),
    "nll_unbatched" => nll(NLLLossOptions::default()),
    "nll_image" => nll(NLLLossOptions { weight: weight([4]), ..Default::default() }),
    "multi_margin" => multi_margin(MultiMarginLossOptions::default()),
    "multi_margin_options" =>
        multi_margin(MultiMarginLossOptions { p: 2, margin: 0.6, weight: weight([5]), ..Default::default() }),
    "multi_margin_unbatched" => multi_margin(MultiMarginLossOptions::default()),
    "multi_margin_one_target" => multi_margin(MultiMarginLossOptions::default()),
    "multi_margin_scalar" => multi_margin(MultiMarginLossOptions::default()),
    "multilabel_margin" => multilabel_margin(),
    "multilabel_margin_unbatched" => multilabel_margin(),
    "multilabel_margin_scalar" => multilabel_margin(),
    "multilabel_soft_margin" => multilabel_soft_margin(None),
    "multilabel_soft_margin_weight" => multilabel_soft_margin(weight([4])),
    "multilabel_soft_margin_unbatched" => multilabel_soft_margin(None),
    "mse" => mse(),
    "mse_broadcast" => mse(),
    "mse_scalar" => mse(),
    "mse_target_constant" => each(THREE, MSELoss::with, |loss, x| loss.forward(x.var(0), &x.constant(1))),
    "l1" => l1(),
    "l1_broadcast" => l1(),
    "l1_scalar" => l1(),
    "smooth_l1" => smooth_l1(SmoothL1LossOptions::default()),
    "smooth_l1_broadcast" => smooth_l1(SmoothL1LossOptions::default()),
    "smooth_l1_scalar" => smooth_l1(SmoothL1LossOptions::default()),
    "smooth_l1_beta" => smooth_l1_beta(0.4),
    "smooth_l1_beta_broadcast" => smooth_l1_beta(0.4),
    "smooth_l1_beta_scalar" => smooth_l1_beta(0.4),
    "smooth_l1_no_beta" => smooth_l1_beta(0.0),
    "smooth_l1_no_beta_broadcast" => smooth_l1_beta(0.0),
    "smooth_l1_no_beta_scalar" => smooth_l1_beta(0.0),
    "huber" => huber(HuberLossOptions::default()),
    "huber_broadcast" => huber(HuberLossOptions::default()),
    "huber_scalar" => huber(HuberLossOptions::default()),
    "huber_delta" => huber_delta(),
    "huber_delta_broadcast" => huber_delta(),
    "huber_delta_scalar" => huber_delta(),
    "bce" => bce(None),
    "bce_weight_row" => bce(weight([4])),
    "bce_weight" => bce(weight([3, 4])),
    "bce_scalar" => bce(None),
    "bce_certain" => {
        let make = |reduction| BCELoss::with(BCELossOptions { reduction, weight: None });
        each(THREE, make, |loss, x| loss.forward(x.var(0), &x.constant(1)))
    },
    "bce_with_logits" => bce_with_logits(None, None),
    "bce_with_logits_weight" => bce_with_logits(weight([3, 4]), None),
    "bce_with_logits_pos_weight" => bce_with_logits(None, weight([4])),
    "bce_with_logits_both" => bce_with_logits(weight([4]), weight([3, 4])),
    "bce_with_logits_scalar" => bce_with_logits(None, None),
    "bce_with_logits_far" => bce_with_logits(None, None),
    "soft_margin" => soft_margin(),
    "soft_margin_broadcast" => soft_margin(),
    "kl_div" => kl_div(false),
    "kl_div_log_target" => kl_div(true),
    "kl_div_broadcast" => kl_div(false),
    "kl_div_scalar" => kl_div(false),
    "kl_div_zeros" => kl_div_of(false, |loss, x| loss.forward(x.var(0), &x.constant(1))),
    "poisson" => poisson(PoissonNLLLossOptions::default()),
    "poisson_full" => poisson_counts(),
    "poisson_full_targets" => poisson(PoissonNLLLossOptions { full: true, ..Default::default() }),
    "poisson_rates" => poisson(PoissonNLLLossOptions { log_input: false, ..Default::default() }),
    "poisson_rates_eps" =>
        poisson(PoissonNLLLossOptions { log_input: false, full: true, eps: 0.2, ..Default::default() }),
    "poisson_broadcast" => poisson_counts(),
    "poisson_scalar" => poisson(PoissonNLLLossOptions::default()),
    "gaussian" => gaussian(GaussianNLLLossOptions::default()),
    "gaussian_full" => gaussian(GaussianNLLLossOptions { full: true, ..Default::default() }),
    "gaussian_eps" => gaussian(GaussianNLLLossOptions { eps: 0.5, ..Default::default() }),
    "gaussian_one_variance" => gaussian(GaussianNLLLossOptions::default()),
    "gaussian_one_variance_inside" => gaussian(GaussianNLLLossOptions::default()),
    "gaussian_short_variance" => gaussian(GaussianNLLLossOptions::default()),
    "gaussian_broadcast" => gaussian(GaussianNLLLossOptions::default()),
    "gaussian_vector" => gaussian(GaussianNLLLossOptions::default()),
    "gaussian_scalar" => gaussian(GaussianNLLLossOptions::default()),
    "cosine" => cosine(0.0),
    "cosine_margin" => cosine(0.3),
    "cosine_negative_margin" => cosine(-0.5),
    "cosine_unbatched" => cosine(0.0),
    "cosine_broadcast" => cosine(0.0),
    "cosine_neither" => cosine(0.0),
    "triplet" => triplet(TripletMarginLossOptions::default()),
    "triplet_p1" => triplet(TripletMarginLossOptions { p: 1.0, margin: 0.5, ..Default::default() }),
    "triplet_p3" => triplet(TripletMarginLossOptions { p: 3.0, eps: 1e-2, ..Default::default() }),
    "triplet_swap" => triplet(TripletMarginLossOptions { swap: true, margin: 2.0, ..Default::default() }),
    "triplet_unbatched" => triplet(TripletMarginLossOptions::default()),
    "triplet_deep" => triplet(TripletMarginLossOptions::default()),
    "triplet_broadcast" => triplet(TripletMarginLossOptions::default()),
    "triplet_distance" => triplet_distance(TripletMarginWithDistanceLossOptions::default()),
    "triplet_distance_swap" =>
        triplet_distance(TripletMarginWithDistanceLossOptions { swap: true, margin: 3.0, ..Default::default() }),
    "hinge" => hinge(HingeEmbeddingLossOptions::default()),
    "hinge_margin" => hinge(HingeEmbeddingLossOptions { margin: 0.2, ..Default::default() }),
    "hinge_broadcast" => hinge(HingeEmbeddingLossOptions::default()),
    "hinge_neither" => hinge(HingeEmbeddingLossOptions::default()),
    "hinge_scalar" => hinge(HingeEmbeddingLossOptions::default()),
    "ranking" => {
        let make = |reduction| MarginRankingLoss::with(MarginRankingLossOptions { reduction, margin: 0.0 });
        each(THREE, make, |loss, x| loss.forward(x.var(0), x.var(1), &x.constant(2)))
    },
    "ranking_margin" => ranking(1.5),
    "ranking_broadcast" => ranking(0.5),
    "ranking_scalar" => ranking(5.0),
    "ctc" => {
        let make = |reduction| CTCLoss::with(Ctc { reduction, ..Default::default() });
        each(THREE, make, |loss, x| loss.forward(x.var(0), x.tensor(1), x.tensor(2), x.tensor(3)))
    },
    "ctc_logits" => ctc(Ctc::default()),
    "ctc_concatenated" => ctc(Ctc::default()),
    "ctc_blank" => ctc(Ctc { blank: 3, ..Default::default() }),
    "ctc_repeated" => ctc(Ctc::default()),
    "ctc_empty_targets" => ctc(Ctc::default()),
    "ctc_no_targets" => ctc(Ctc::default()),
    "ctc_no_steps" => ctc(zero_infinity()),
    "ctc_zero_infinity" => ctc(zero_infinity()),
    "ctc_unbatched" => ctc(Ctc::default()),
    "ctc_unbatched_lengths" => ctc(Ctc::default()),
}
