//! Losses against the definition, in values and gradients.

use autograd::gradcheck;
use nn::prelude::*;
use nn::strategy::losses;
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_of_every_loss(case in losses()) {
        case.check_gradients().unwrap();
    }

    #[test]
    fn reductions_agree(case in losses()) {
        let [none, sum, mean] = [Reduction::None, Reduction::Sum, Reduction::Mean].map(|r| case.reduced(r));
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * b.abs().max(1.0);
        prop_assert_eq!((sum.ndim(), mean.ndim()), (0, 0));
        prop_assert!(near(none.sum().item::<f64>(), sum.item::<f64>()));
        prop_assert!(near(mean.item::<f64>(), sum.item::<f64>() / case.count));
    }

    /// A loss is a function of numbers, wherever they lie.
    #[test]
    fn layouts_do_not_matter(case in losses()) {
        let copies: Vec<Var> = case.inputs.iter().map(|x| Var::new(x.value().copy())).collect();
        let (a, b) = (case.reduced(Reduction::None), case.of(&copies, Reduction::None));
        prop_assert!(a.value().allclose(&b.value(), 1e-12, 1e-12));
    }

    /// The loss of the first item of a batch has no gradient to the others.
    #[test]
    fn items_of_a_batch_are_independent(case in losses()) {
        let each = case.reduced(Reduction::None);
        // Connectionist temporal classification has the batch second.
        let dim = if case.name.starts_with("CTCLoss") { 1 } else { 0 };
        if each.ndim() > 0 {
            let ndim = case.inputs.iter().map(Var::ndim).max().unwrap();
            each.select(0, 0).sum().backward();
            let batch = |x: &&Var| x.ndim() == ndim && x.dim(dim) == each.dim(0);
            for x in case.inputs.iter().filter(batch) {
                let gradient = x.grad().unwrap().value();
                let others = gradient.narrow(dim, 1, each.dim(0) - 1);
                prop_assert!(others.eq_scalar(0.0).all().item::<bool>(), "{}", gradient);
            }
        }
    }

    /// The same number added to all logits of a row changes nothing.
    #[test]
    fn cross_entropy_knows_differences_only(n in 1usize..4, c in 1usize..5, d in 1usize..3, smooth: bool, seed: u64) {
        manual_seed(seed);
        let x = Tensor::randn([n, c, d], F64);
        let shifted = &x + &Tensor::uniform(-50.0, 50.0, [n, 1, d], F64);
        let target = Tensor::randint(0, c as i64, [n, d]);
        let options = CrossEntropy { label_smoothing: if smooth { 0.2 } else { 0.0 }, ..Default::default() };
        let run = |x: Tensor| {
            let x = Var::new(x).requires_grad_(true);
            let loss = CrossEntropyLoss::with(options.clone()).forward(&x, &target);
            loss.backward();
            (loss.item::<f64>(), x.grad().unwrap().value())
        };
        let ((a, da), (b, db)) = (run(x), run(shifted));
        prop_assert!((a - b).abs() < 1e-9);
        prop_assert!(da.allclose(&db, 1e-9, 1e-9));
        prop_assert!(da.sum_dim(1, false).abs().max().item::<f64>() < 1e-12);
    }

    /// One loss is another one after a function of its input.
    #[test]
    fn losses_that_are_one_another(shape in proptest::collection::vec(1usize..4, 1..3), seed: u64) {
        manual_seed(seed);
        let [x, y] = [0, 1].map(|_| Var::new(Tensor::randn(shape.clone(), F64)));
        let near = |a: Var, b: Var| (a.item::<f64>() - b.item::<f64>()).abs() < 1e-9;
        let t = y.sigmoid();
        prop_assert!(near(BCEWithLogitsLoss::new().forward(&x, &t), BCELoss::new().forward(&x.sigmoid(), &t)));
        let signs = y.value().ge_scalar(0.0).to_dtype(F64) * 2.0 - 1.0;
        let labels = Var::new((&signs + 1.0) / 2.0);
        prop_assert!(near(SoftMarginLoss::new().forward(&x, &signs), BCEWithLogitsLoss::new().forward(&x, &labels)));
        prop_assert!(near(
            MultiLabelSoftMarginLoss::new().forward(&x, &t),
            BCEWithLogitsLoss::new().forward(&x, &t),
        ));
        let huber = HuberLoss::with(HuberLossOptions { delta: 0.5, ..Default::default() }).forward(&x, &y);
        let smooth = SmoothL1Loss::with(SmoothL1LossOptions { beta: 0.5, ..Default::default() }).forward(&x, &y);
        prop_assert!(near(huber, smooth * 0.5));
        let none = SmoothL1Loss::with(SmoothL1LossOptions { beta: 0.0, ..Default::default() }).forward(&x, &y);
        prop_assert!(near(none, L1Loss::new().forward(&x, &y)));
        let wide = HuberLoss::with(HuberLossOptions { delta: 1e3, ..Default::default() }).forward(&x, &y);
        prop_assert!(near(wide, MSELoss::new().forward(&x, &y) * 0.5));
        // A divergence and the entropy of its target make a cross-entropy.
        let (log_probs, p) = (x.log_softmax(-1), y.softmax(-1));
        let divergence = KLDivLoss::with(KLDivLossOptions { reduction: Reduction::Sum, ..Default::default() });
        let crossed = (&p * &log_probs).sum().neg();
        prop_assert!(near(divergence.forward(&log_probs, &p) - (&p * p.log()).sum(), crossed));
        let log_target = KLDivLoss::with(KLDivLossOptions { reduction: Reduction::Sum, log_target: true });
        prop_assert!(near(log_target.forward(&log_probs, &p.log()), divergence.forward(&log_probs, &p)));
        // A variance of 1 leaves the squares.
        let ones = Var::new(Tensor::ones(shape.clone(), F64));
        prop_assert!(near(GaussianNLLLoss::new().forward(&x, &y, &ones), MSELoss::new().forward(&x, &y) * 0.5));
        let rates = PoissonNLLLoss::with(PoissonNLLLossOptions { log_input: false, eps: 0.0, ..Default::default() });
        prop_assert!(near(rates.forward(&x.exp(), &t), PoissonNLLLoss::new().forward(&x, &t)));
        let [a, b, c] = [0, 1, 2].map(|_| Var::new(Tensor::randn([3, 4], F64)));
        let distance = TripletMarginWithDistanceLoss::new(|a, b| a.pairwise_distance(b, 2.0, 1e-6, false));
        prop_assert!(near(distance.forward(&a, &b, &c), TripletMarginLoss::new().forward(&a, &b, &c)));
    }
}

/// The gradients to targets and inputs where a formula has no finite slope.
#[test]
fn gradients_at_the_edge() {
    let leaf = |values: &[f64]| Var::new(Tensor::from_slice(values, [values.len()])).requires_grad_(true);
    let (x, t) = (leaf(&[0.5, 0.5]), leaf(&[0.0, 3.0]));
    let full = PoissonNLLLossOptions { full: true, reduction: Reduction::Sum, ..Default::default() };
    PoissonNLLLoss::with(full).forward(&x, &t).backward();
    let slope = t.grad().unwrap().to_vec::<f64>();
    assert_eq!(slope[0], -0.5);
    assert!((slope[1] - (3f64.ln() + 1.0 / 6.0 - 0.5)).abs() < 1e-12);

    let far = leaf(&[1e4, -1e4]);
    let loss = SoftMarginLoss::with(Reduction::Sum).forward(&far, &Tensor::from([-1i64, -1]));
    loss.backward();
    assert_eq!((loss.item::<f64>(), far.grad().unwrap().to_vec::<f64>()), (1e4, vec![1.0, 0.0]));
}

/// A distance may have parameters: they belong to the model beside the loss.
#[test]
fn a_learned_distance() {
    let layer = std::rc::Rc::new(Linear::new(3, 2));
    let shared = layer.clone();
    let loss = TripletMarginWithDistanceLoss::new(move |a, b| (shared.forward(a) - shared.forward(b)).square().sum());
    let [a, p, n] = [0.1f32, 0.7, 0.2].map(|x| Var::new(Tensor::full([1, 3], x as f64, DType::F32)));
    loss.forward(&a, &p, &n).backward();
    assert!(layer.weight.grad().is_some() && loss.parameters().is_empty());
    assert_eq!(loss.to_string(), "TripletMarginWithDistanceLoss()");
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
