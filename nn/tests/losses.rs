//! Losses against the definition, in values and gradients.

use autograd::gradcheck;
use nn::prelude::*;
use proptest::prelude::*;

const F64: DType = DType::F64;

/// The loss of one target by the definition, and the weight it has in the mean.
fn one(logits: &[f64], class: i64, options: &CrossEntropy) -> (f64, f64) {
    if class == options.ignore_index {
        return (0.0, 0.0);
    }
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total = logits.iter().map(|x| (x - largest).exp()).sum::<f64>().ln() + largest;
    let weight = |c: usize| options.weight.as_ref().map_or(1.0, |weight| weight.get::<f64>(&[c]));
    let smooth = options.label_smoothing;
    let spread: f64 = (0..logits.len()).map(|c| weight(c) * (total - logits[c])).sum();
    let class = class as usize;
    let hard = weight(class) * (total - logits[class]);
    ((1.0 - smooth) * hard + smooth / logits.len() as f64 * spread, weight(class))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cross_entropy_follows_its_definition(
        n in 1usize..4, c in 1usize..5, rest in proptest::collection::vec(1usize..3, 0..3),
        weighted: bool, smooth: bool, ignored: bool, seed: u64,
    ) {
        manual_seed(seed);
        let x = Var::new(Tensor::randn([&[n, c][..], &rest].concat(), F64)).requires_grad_(true);
        let shape = [&[n][..], &rest].concat();
        let mut classes = Tensor::randint(0, c as i64, shape.clone()).to_vec::<i64>();
        if ignored && classes.len() > 1 {
            classes[0] = -7;
        }
        let target = Tensor::from_slice(&classes, shape.clone());
        let options = CrossEntropy {
            weight: weighted.then(|| Tensor::uniform(0.5, 2.0, [c], F64)),
            ignore_index: -7,
            label_smoothing: if smooth { 0.2 } else { 0.0 },
            ..Default::default()
        };

        let rows = x.value().movedim(1, -1).reshape([-1, c as isize]).to_vec::<f64>();
        let each = rows.chunks(c).zip(&classes).map(|(row, &class)| one(row, class, &options));
        let each: Vec<(f64, f64)> = each.collect();
        let sum: f64 = each.iter().map(|(loss, _)| loss).sum();
        let mean = sum / each.iter().map(|(_, weight)| weight).sum::<f64>();

        for (reduction, expected) in [(Reduction::Sum, sum), (Reduction::Mean, mean)] {
            let loss = CrossEntropyLoss::with(CrossEntropy { reduction, ..options.clone() });
            prop_assert!((loss.forward(&x, &target).item::<f64>() - expected).abs() < 1e-9);
            gradcheck(|v| loss.forward(&v[0], &target), std::slice::from_ref(&x), Default::default()).unwrap();
        }
        let loss = CrossEntropyLoss::with(CrossEntropy { reduction: Reduction::None, ..options.clone() });
        let losses = loss.forward(&x, &target);
        prop_assert_eq!(losses.shape().to_vec(), shape);
        let expected: Vec<f64> = each.iter().map(|(loss, _)| *loss).collect();
        let expected = Tensor::from_slice(&expected, [expected.len()]);
        prop_assert!(losses.value().reshape([-1]).allclose(&expected, 1e-9, 1e-9));
        gradcheck(|v| loss.forward(&v[0], &target), std::slice::from_ref(&x), Default::default()).unwrap();
    }

    #[test]
    fn probabilities_that_are_certain_are_indices(
        n in 1usize..4, c in 2usize..5, rest in proptest::collection::vec(1usize..3, 0..2), smooth: bool, seed: u64,
    ) {
        manual_seed(seed);
        let x = Var::new(Tensor::randn([&[n, c][..], &rest].concat(), F64)).requires_grad_(true);
        let target = Tensor::randint(0, c as i64, [&[n][..], &rest].concat());
        let certain = target.one_hot(c).to_dtype(F64).movedim(-1, 1);
        let weight = Some(Tensor::uniform(0.5, 2.0, [c], F64));
        for reduction in [Reduction::None, Reduction::Sum] {
            let options = CrossEntropy {
                weight: weight.clone(), reduction, label_smoothing: if smooth { 0.3 } else { 0.0 }, ..Default::default()
            };
            let loss = CrossEntropyLoss::with(options);
            let (a, b) = (loss.forward(&x, &target), loss.forward(&x, &certain));
            prop_assert!(a.value().allclose(&b.value(), 1e-9, 1e-9));
            gradcheck(|v| loss.forward(&v[0], &certain), std::slice::from_ref(&x), Default::default()).unwrap();
        }
        // The mean over probabilities divides by the number of targets, not by their weights.
        let mean = CrossEntropyLoss::with(CrossEntropy { weight: weight.clone(), ..Default::default() });
        let sum = CrossEntropyLoss::with(CrossEntropy { weight, reduction: Reduction::Sum, ..Default::default() });
        let count = target.numel() as f64;
        let (mean, sum) = (mean.forward(&x, &certain).item::<f64>(), sum.forward(&x, &certain).item::<f64>());
        prop_assert!((mean - sum / count).abs() < 1e-9);
    }

    #[test]
    fn mse_follows_its_definition(shape in proptest::collection::vec(1usize..4, 0..3), seed: u64) {
        manual_seed(seed);
        let of = |_| Var::new(Tensor::randn(shape.clone(), F64)).requires_grad_(true);
        let [x, y] = [0, 1].map(of);
        let squares = (&x.value() - &y.value()).square();
        let [none, sum, mean] = [Reduction::None, Reduction::Sum, Reduction::Mean].map(MSELoss::with);
        prop_assert!(none.forward(&x, &y).value().allclose(&squares, 1e-12, 0.0));
        prop_assert!((sum.forward(&x, &y).item::<f64>() - squares.sum().item::<f64>()).abs() < 1e-9);
        prop_assert!((mean.forward(&x, &y).item::<f64>() - squares.mean().item::<f64>()).abs() < 1e-9);
        for loss in [none, sum, mean] {
            gradcheck(|v| loss.forward(&v[0], &v[1]), &[x.clone(), y.clone()], Default::default()).unwrap();
        }
    }
}

#[test]
fn a_single_sample_needs_no_batch() {
    let x = Var::new(Tensor::from([1f64, 2.0, 3.0]));
    let batch = CrossEntropyLoss::new().forward(&x.unsqueeze(0), &Tensor::from([2i64]));
    let loss = CrossEntropyLoss::new().forward(&x, &Tensor::scalar(2i64));
    assert_eq!((loss.item::<f64>(), loss.ndim()), (batch.item::<f64>(), 0));
    let each = CrossEntropyLoss::with(CrossEntropy { reduction: Reduction::None, ..Default::default() });
    assert_eq!(each.forward(&x, &Tensor::scalar(2i64)).ndim(), 0);
    assert_eq!(each.forward(&x, &Tensor::from([0f64, 0.0, 1.0])).ndim(), 0);
}

#[test]
fn a_mean_of_nothing_is_nan() {
    let x = Var::new(Tensor::zeros([2, 3], DType::F32));
    let target = Tensor::from([-100i64, -100]);
    assert!(CrossEntropyLoss::new().forward(&x, &target).item::<f32>().is_nan());
}

#[test]
fn the_weight_is_a_buffer() {
    let weight = Some(Tensor::ones([3], DType::F32));
    let loss = CrossEntropyLoss::with(CrossEntropy { weight, ..Default::default() });
    assert_eq!(loss.state_dict().keys().collect::<Vec<_>>(), ["weight"]);
    assert!(CrossEntropyLoss::new().state_dict().is_empty());
}

#[test]
#[should_panic(expected = "cross_entropy: logits and targets do not fit\n  logits [2, 3]   target [3]")]
fn the_target_must_fit() {
    CrossEntropyLoss::new().forward(&Var::new(Tensor::zeros([2, 3], DType::F32)), &Tensor::from([0i64, 1, 2]));
}
