//! The kinds of dropout: how much they drop, what they keep, which gradients they give.

mod common;

use common::refuses;
use nn::prelude::*;
use proptest::prelude::*;

const F64: DType = DType::F64;

fn input(shape: &[usize]) -> Var {
    Var::new(Tensor::randn(shape, F64)).requires_grad_(true)
}

fn ones(shape: &[usize]) -> Var {
    Var::new(Tensor::ones(shape, F64))
}

/// How often each of the elements differs from the last but one argument; within five standard deviations of `p`.
#[track_caller]
fn assert_often(dropped: usize, count: usize, p: f64) {
    let (n, expected) = (count as f64, p * count as f64);
    let room = 5.0 * (n * p * (1.0 - p)).sqrt();
    assert!((dropped as f64 - expected).abs() < room, "{dropped} of {count} were dropped, p = {p}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_are_those_of_the_mask(p in 0.0..1.0f64, n in 0usize..3, c in 1usize..4, l in 1usize..4, seed: u64) {
        manual_seed(seed);
        let kinds: [Box<dyn Forward>; 5] = [
            Box::new(Dropout::new(p)),
            Box::new(Dropout1d::new(p)),
            Box::new(Dropout2d::new(p)),
            Box::new(AlphaDropout::new(p)),
            Box::new(FeatureAlphaDropout::new(p)),
        ];
        for kind in &kinds {
            let x = input(&[n, c, l]);
            // The same mask each time.
            let dropped = |v: &[Var]| {
                manual_seed(seed ^ 1);
                kind.forward(&v[0])
            };
            autograd::gradcheck(dropped, std::slice::from_ref(&x), Default::default()).unwrap();
            let channels = matches!(kind.type_name(), "Dropout1d" | "Dropout2d" | "FeatureAlphaDropout");
            if channels && n > 0 {
                dropped(std::slice::from_ref(&x)).sum().backward();
                for channel in x.grad().unwrap().to_vec::<f64>().chunks(l) {
                    prop_assert!(channel.iter().all(|dx| *dx == channel[0]), "{}", kind.type_name());
                }
            }
            kind.eval();
            prop_assert!(kind.forward(&x).ptr_eq(&x));
        }
    }
}

#[test]
fn dropout_keeps_the_mean_scales_the_gradient_alike_and_rests_in_evaluation() {
    manual_seed(5);
    let dropout = Dropout::new(0.25);
    let x = ones(&[40_000]).requires_grad_(true);
    let y = dropout.forward(&x);
    let values = y.to_vec::<f64>();
    assert_often(values.iter().filter(|&&y| y == 0.0).count(), 40_000, 0.25);
    assert!(values.iter().all(|&y| y == 0.0 || (y - 4.0 / 3.0).abs() < 1e-12));
    y.sum().backward();
    assert_eq!(x.grad().unwrap().to_vec::<f64>(), values);
    assert_ne!(dropout.forward(&x).to_vec::<f64>(), values);
    dropout.eval();
    assert!(dropout.forward(&x).ptr_eq(&x) && !dropout.is_active());
}

#[test]
fn channels_are_dropped_as_often_as_told_and_as_a_whole() {
    manual_seed(6);
    let whole = |y: &Var, size: usize, p: f64| {
        let values = y.to_vec::<f64>();
        let kept = 1.0 / (1.0 - p);
        let channels = values.chunks(size).inspect(|channel| {
            assert!(
                channel.iter().all(|y| *y == channel[0]) && (channel[0] == 0.0 || (channel[0] - kept).abs() < 1e-12)
            );
        });
        assert_often(channels.filter(|channel| channel[0] == 0.0).count(), values.len() / size, p);
    };
    whole(&Dropout1d::new(0.3).forward(&ones(&[40, 100, 3])), 3, 0.3);
    // Without a batch the channels come first.
    whole(&Dropout1d::new(0.3).forward(&ones(&[4000, 3])), 3, 0.3);
    whole(&Dropout2d::new(0.6).forward(&ones(&[40, 100, 2, 2])), 4, 0.6);
    // Three dimensions are no image without a batch, and two are channels of one element.
    whole(&Dropout2d::new(0.6).forward(&ones(&[40, 100, 2])), 2, 0.6);
    whole(&Dropout2d::new(0.6).forward(&ones(&[40, 100])), 1, 0.6);
}

#[test]
fn alpha_dropout_keeps_mean_and_variance_and_puts_selus_limit_in_the_place() {
    manual_seed(7);
    let x = input(&[200, 200]);
    for (p, kind) in [(0.2, true), (0.5, true), (0.2, false), (0.5, false)] {
        let y = if kind { AlphaDropout::new(p).forward(&x) } else { FeatureAlphaDropout::new(p).forward(&x) };
        let (mean, var) = (y.value().mean().item::<f64>(), y.value().var().item::<f64>());
        assert!(mean.abs() < 0.03 && (var - 1.0).abs() < 0.05, "p {p}: mean {mean}, variance {var}");
        // PyTorch's formula: dropped elements become a (α p - α), where α is how far SELU goes below zero.
        let alpha = 1.7580993408473766;
        let a = 1.0 / ((alpha * alpha * p + 1.0) * (1.0 - p)).sqrt();
        let (dropped, values) = (a * alpha * (p - 1.0), y.to_vec::<f64>());
        let is_dropped = |y: &f64| (y - dropped).abs() < 1e-12;
        assert_often(values.iter().filter(|&y| is_dropped(y)).count(), values.len(), p);
        let kept = |x: f64| a * x + a * alpha * p;
        let x = x.to_vec::<f64>();
        assert!(values.iter().zip(&x).all(|(y, x)| is_dropped(y) || (y - kept(*x)).abs() < 1e-12));
    }
}

#[test]
fn alpha_dropout_of_channels_drops_them_whole() {
    manual_seed(8);
    let y = FeatureAlphaDropout::new(0.5).forward(&ones(&[30, 100, 4])).to_vec::<f64>();
    assert!(y.chunks(4).all(|channel| channel.iter().all(|y| *y == channel[0])));
    assert_often(y.chunks(4).filter(|channel| channel[0] < 0.0).count(), 3000, 0.5);
}

#[test]
fn refusals() {
    let x = ones(&[2, 3, 4]);
    let line = ones(&[3]);
    refuses! {
        Dropout::new(1.5) => "Dropout: the probability is not between 0 and 1, p = 1.5";
        Dropout1d::new(-0.1) => "Dropout1d: the probability is not between 0 and 1, p = -0.1";
        Dropout2d::new(2.0) => "Dropout2d: the probability is not between 0 and 1, p = 2";
        AlphaDropout::new(f64::NAN) => "AlphaDropout: the probability is not between 0 and 1, p = NaN";
        FeatureAlphaDropout::new(2.0) => "FeatureAlphaDropout: the probability is not between 0 and 1, p = 2";
        functional::dropout(&x, 2.0, false) => "dropout: the probability is not between 0 and 1, p = 2";
        functional::dropout1d(&x, 2.0, false) => "dropout1d: the probability";
        functional::dropout2d(&x, 2.0, false) => "dropout2d: the probability";
        functional::alpha_dropout(&x, 2.0, false) => "alpha_dropout: the probability";
        functional::feature_alpha_dropout(&x, 2.0, false) => "feature_alpha_dropout: the probability";
        Dropout1d::new(0.5).forward(&line) => "dropout1d: neither a batch of sequences nor one\n  input [3]   rule [n, c, l] or [c, l]";
        Dropout2d::new(0.5).forward(&line) => "dropout2d: there are no channels\n  input [3]   rule [n, c, ..]";
        FeatureAlphaDropout::new(0.5).forward(&line) => "feature_alpha_dropout: there are no channels\n  input [3]";
    }
}
