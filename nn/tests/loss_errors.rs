//! What losses refuse, with the message that says why.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nn::prelude::*;

fn zeros(shape: &[usize]) -> Var {
    Var::new(Tensor::zeros(shape, DType::F32))
}

fn ones(shape: &[usize]) -> Tensor {
    Tensor::ones(shape, DType::I64)
}

/// Asserts that each call panics with a message that begins like this.
fn refused<R>(cases: &[(&dyn Fn() -> R, &str)]) {
    for (call, expected) in cases {
        let payload = catch_unwind(AssertUnwindSafe(call)).err().unwrap_or_else(|| panic!("not refused: {expected}"));
        let text = payload.downcast_ref::<String>().cloned();
        let message = text.or_else(|| payload.downcast_ref::<&str>().map(|text| text.to_string())).unwrap_or_default();
        assert!(message.starts_with(expected), "{message}\ninstead of {expected}");
    }
}

#[test]
fn shapes_that_do_not_fit() {
    let gaussian = |x: &[usize], t: &[usize], v: &[usize]| {
        functional::gaussian_nll_loss(&zeros(x), &zeros(t), &zeros(v), Default::default())
    };
    let cosine = |a: &[usize], b: &[usize], t: &[usize]| {
        functional::cosine_embedding_loss(&zeros(a), &zeros(b), &ones(t), Default::default())
    };
    let triplet = |a: &[usize], p: &[usize], n: &[usize]| {
        functional::triplet_margin_loss(&zeros(a), &zeros(p), &zeros(n), Default::default())
    };
    let multi = |x: &[usize], t: &[usize], weight: Option<usize>| {
        let weight = weight.map(|c| Tensor::ones([c], DType::F32));
        let options = MultiMarginLossOptions { weight, ..Default::default() };
        functional::multi_margin_loss(&zeros(x), &ones(t), &options)
    };
    refused(&[
        (&|| MSELoss::new().forward(&zeros(&[2]), &zeros(&[3])), "mse_loss: cannot broadcast, 2 != 3"),
        (
            &|| BCELoss::new().forward(&zeros(&[2]), &zeros(&[1])),
            "binary_cross_entropy: the shapes differ\n  input [2]   target [1]",
        ),
        (&|| PoissonNLLLoss::new().forward(&zeros(&[2]), &zeros(&[3])), "poisson_nll_loss: cannot broadcast, "),
        (
            &|| gaussian(&[2, 3], &[2, 3], &[3]),
            "gaussian_nll_loss: the variance does not fit\n  input [2, 3]   var [3]   rule [.., d], [.., 1] or [..]",
        ),
        (&|| gaussian(&[2, 3], &[2, 3], &[1, 1]), "gaussian_nll_loss: the variance does not fit"),
        (&|| gaussian(&[2, 3], &[2], &[2, 3]), "gaussian_nll_loss: cannot broadcast, "),
        (
            &|| cosine(&[2, 3], &[2, 3], &[2, 1]),
            "cosine_embedding_loss: the shapes do not fit\n  input1 [2, 3]   input2 [2, 3]   target [2, 1]   rule [n, d] and [n]",
        ),
        (&|| cosine(&[2, 3], &[2, 4], &[2]), "cosine_embedding_loss: cannot broadcast, 3 != 4"),
        (&|| cosine(&[3], &[3], &[1]), "cosine_embedding_loss: the shapes do not fit"),
        (&|| cosine(&[2, 3], &[3], &[2]), "cosine_embedding_loss: the shapes do not fit"),
        (
            &|| triplet(&[2, 3], &[3], &[2, 3]),
            "triplet_margin_loss: the numbers of dimensions differ\n  anchor [2, 3]   positive [3]   negative [2, 3]",
        ),
        (&|| triplet(&[2, 3], &[2, 2], &[2, 3]), "triplet_margin_loss: cannot broadcast, "),
        (
            &|| {
                let loss = TripletMarginWithDistanceLoss::new(|a, b| (a - b).square());
                loss.forward(&zeros(&[1]), &zeros(&[1]), &zeros(&[]))
            },
            "triplet_margin_with_distance_loss: the numbers of dimensions differ",
        ),
        (&|| HingeEmbeddingLoss::new().forward(&zeros(&[2]), &ones(&[3])), "hinge_embedding_loss: cannot broadcast, "),
        (
            &|| MarginRankingLoss::new().forward(&zeros(&[2]), &zeros(&[2]), &zeros(&[1, 2])),
            "margin_ranking_loss: the numbers of dimensions differ\n  input1 [2]   input2 [2]   target [1, 2]",
        ),
        (
            &|| MarginRankingLoss::new().forward(&zeros(&[2]), &zeros(&[3]), &zeros(&[2])),
            "margin_ranking_loss: cannot broadcast, ",
        ),
        (
            &|| multi(&[2, 3], &[3], None),
            "multi_margin_loss: the shapes do not fit\n  input [2, 3]   target [3]   weight None   rule [n, c], [n] and [c]",
        ),
        (&|| multi(&[2, 3], &[2], Some(2)), "multi_margin_loss: the shapes do not fit"),
        (
            &|| MultiLabelMarginLoss::new().forward(&zeros(&[2, 3]), &ones(&[2])),
            "multilabel_margin_loss: the shapes do not fit\n  input [2, 3]   target [2]   rule [n, c] or [c], both",
        ),
        (
            &|| MultiLabelSoftMarginLoss::new().forward(&zeros(&[]), &zeros(&[])),
            "multilabel_soft_margin_loss: the input has no classes\n  input []   rule [.., c]",
        ),
        (
            &|| MultiLabelSoftMarginLoss::new().forward(&zeros(&[2]), &zeros(&[3])),
            "multilabel_soft_margin_loss: cannot broadcast, ",
        ),
        (&|| SoftMarginLoss::new().forward(&zeros(&[2]), &ones(&[3])), "soft_margin_loss: cannot broadcast, "),
    ]);
}

#[test]
fn values_out_of_range() {
    let (half, two) = (Var::new(Tensor::from([0.5, 0.5])), Var::new(Tensor::from([0.5, 2.0])));
    let negative = Var::new(Tensor::from([0.5, -0.5]));
    let nan = Var::new(Tensor::from([f64::NAN, 0.5]));
    refused(&[
        (&|| BCELoss::new().forward(&two, &half), "binary_cross_entropy: 1 of the inputs are not in [0, 1]"),
        (&|| BCELoss::new().forward(&nan, &half), "binary_cross_entropy: 1 of the inputs are not in [0, 1]"),
        (&|| BCELoss::new().forward(&half, &negative), "binary_cross_entropy: 1 of the targets are not in [0, 1]"),
        (
            &|| GaussianNLLLoss::new().forward(&half, &half, &negative),
            "gaussian_nll_loss: a variance is negative\n  var ",
        ),
        (
            &|| MultiMarginLoss::new().forward(&half.unsqueeze(0), &Tensor::from([2i64])),
            "multi_margin_loss: a target is no class\n  target 2   rule 0..2",
        ),
        (
            &|| MultiLabelMarginLoss::new().forward(&half, &Tensor::from([2i64, -1])),
            "multilabel_margin_loss: a target is no class\n  target 2   rule 0..2, or -1 for the end",
        ),
        (
            &|| SmoothL1Loss::with(SmoothL1LossOptions { beta: -1.0, ..Default::default() }).forward(&half, &half),
            "smooth_l1_loss: beta must not be negative, got -1",
        ),
        (
            &|| HuberLoss::with(HuberLossOptions { delta: 0.0, ..Default::default() }).forward(&half, &half),
            "huber_loss: delta must be positive, got 0",
        ),
        (
            &|| {
                let smooth = CrossEntropy { label_smoothing: 1.5, ..Default::default() };
                CrossEntropyLoss::with(smooth).forward(&half, &Tensor::scalar(0i64))
            },
            "cross_entropy: label_smoothing 1.5 is not in 0..=1",
        ),
        (
            &|| CrossEntropyLoss::new().forward(&half, &Tensor::scalar(2i64)),
            "cross_entropy: target 2 of row 0 is no class, must be in 0..2",
        ),
        (
            &|| {
                let options = TripletMarginLossOptions { margin: 0.0, ..Default::default() };
                functional::triplet_margin_loss(&half, &half, &half, options)
            },
            "triplet_margin_loss: the margin is not positive\n  margin 0",
        ),
        (
            &|| {
                let options = MultiMarginLossOptions { p: 3, ..Default::default() };
                functional::multi_margin_loss(&half, &Tensor::scalar(0i64), &options)
            },
            "multi_margin_loss: p is neither 1 nor 2\n  p 3",
        ),
        (
            &|| {
                let (one, label) = (Tensor::scalar(1i64), Tensor::from([7i64]));
                CTCLoss::new().forward(&half.unsqueeze(0), &label, &one, &one)
            },
            "ctc_loss: label 7 of target 0 is no class, must be in 0..2",
        ),
    ]);
}

#[test]
fn options_are_checked_when_a_module_is_made() {
    refused(&[(
        &|| TripletMarginLoss::with(TripletMarginLossOptions { margin: -1.0, ..Default::default() }),
        "TripletMarginLoss: the margin is not positive\n  margin -1",
    )]);
    refused(&[(
        &|| {
            let options = TripletMarginWithDistanceLossOptions { margin: 0.0, ..Default::default() };
            TripletMarginWithDistanceLoss::with(|a, b| a - b, options)
        },
        "TripletMarginWithDistanceLoss: the margin is not positive\n  margin 0",
    )]);
    refused(&[(
        &|| MultiMarginLoss::with(MultiMarginLossOptions { p: 0, ..Default::default() }),
        "MultiMarginLoss: p is neither 1 nor 2\n  p 0",
    )]);
}

#[test]
fn the_mean_over_the_batch_alone_is_for_divergences() {
    let (x, y, t, b) = (zeros(&[2, 3]), zeros(&[2, 3]), ones(&[2]), Reduction::BatchMean);
    let probability = &x + 0.5;
    let cosine = CosineEmbeddingLossOptions { reduction: b, ..Default::default() };
    let triplet = TripletMarginLossOptions { reduction: b, ..Default::default() };
    let distance = TripletMarginWithDistanceLossOptions { reduction: b, ..Default::default() };
    let soft = MultiLabelSoftMarginLossOptions { reduction: b, ..Default::default() };
    let multi = MultiMarginLossOptions { reduction: b, ..Default::default() };
    let poisson = PoissonNLLLossOptions { reduction: b, ..Default::default() };
    let gaussian = GaussianNLLLossOptions { reduction: b, ..Default::default() };
    let hinge = HingeEmbeddingLossOptions { reduction: b, ..Default::default() };
    let ranking = MarginRankingLossOptions { reduction: b, ..Default::default() };
    let entropy = CrossEntropy { reduction: b, ..Default::default() };
    let only = |op: &str| format!("{op}: BatchMean is a reduction of kl_div only");
    type Call<'a> = (&'a dyn Fn() -> Var, &'a str);
    let calls: [Call; 16] = [
        (&|| MSELoss::with(b).forward(&x, &y), "mse_loss"),
        (&|| L1Loss::with(b).forward(&x, &y), "l1_loss"),
        (&|| CrossEntropyLoss::with(entropy.clone()).forward(&x, &t), "cross_entropy"),
        (&|| CrossEntropyLoss::with(entropy.clone()).forward_probs(&x, &y), "cross_entropy"),
        (&|| functional::nll_loss(&x, &t, None, -100, b), "nll_loss"),
        (
            &|| BCELoss::with(BCELossOptions { reduction: b, weight: None }).forward(&probability, &probability),
            "binary_cross_entropy",
        ),
        (&|| CosineEmbeddingLoss::with(cosine).forward(&x, &y, &t), "cosine_embedding_loss"),
        (&|| TripletMarginLoss::with(triplet).forward(&x, &y, &y), "triplet_margin_loss"),
        (
            &|| TripletMarginWithDistanceLoss::with(|a, b| a - b, distance).forward(&x, &y, &y),
            "triplet_margin_with_distance_loss",
        ),
        (&|| HingeEmbeddingLoss::with(hinge).forward(&x, &ones(&[3])), "hinge_embedding_loss"),
        (&|| MarginRankingLoss::with(ranking).forward(&x, &y, &y), "margin_ranking_loss"),
        (&|| MultiMarginLoss::with(multi.clone()).forward(&x, &t), "multi_margin_loss"),
        (&|| MultiLabelMarginLoss::with(b).forward(&x, &ones(&[2, 3])), "multilabel_margin_loss"),
        (&|| MultiLabelSoftMarginLoss::with(soft.clone()).forward(&x, &y), "multilabel_soft_margin_loss"),
        (&|| SoftMarginLoss::with(b).forward(&x, &ones(&[3])), "soft_margin_loss"),
        (&|| GaussianNLLLoss::with(gaussian).forward(&x, &y, &probability), "gaussian_nll_loss"),
    ];
    for (call, op) in calls {
        refused(&[(call, &only(op))]);
    }
    refused(&[(&|| PoissonNLLLoss::with(poisson).forward(&x, &y), &*only("poisson_nll_loss"))]);
}
