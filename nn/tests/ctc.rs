//! Connectionist temporal classification against the sum over all alignments.

use nn::prelude::*;
use proptest::prelude::*;

const F64: DType = DType::F64;

/// What a sequence of classes says: repetitions count once, and blanks say nothing.
fn said(mut classes: Vec<usize>, blank: usize) -> Vec<usize> {
    classes.dedup();
    classes.retain(|&class| class != blank);
    classes
}

/// The loss of one item, by the sum over every sequence of classes.
fn enumerated(log_probs: &Tensor, item: usize, steps: usize, target: &[usize], blank: usize) -> f64 {
    let c = log_probs.dims()[2];
    let sequence = |code: usize| (0..steps).map(|t| code / c.pow(t as u32) % c).collect::<Vec<usize>>();
    let fitting = (0..c.pow(steps as u32)).map(sequence).filter(|classes| said(classes.clone(), blank) == target);
    let likelihood = |classes: Vec<usize>| {
        classes.iter().enumerate().map(|(t, &class)| log_probs.get::<f64>(&[t, item, class])).sum::<f64>().exp()
    };
    -fitting.map(likelihood).sum::<f64>().ln()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_loss_is_the_sum_over_all_alignments(
        t in 1usize..6, n in 1usize..4, c in 2usize..4, longest in 0usize..4, blank in 0usize..2, concatenated: bool,
        zero_infinity: bool, seed: u64,
    ) {
        manual_seed(seed);
        let log_probs = Var::new(Tensor::randn([t, n, c], F64)).log_softmax(2);
        let steps = Tensor::randint(0, t as i64 + 1, [n]);
        let lengths = Tensor::randint(0, longest as i64 + 1, [n]);
        let labels = Tensor::randint(0, c as i64 - 1, [n, longest]);
        let labels = &labels + &labels.ge_scalar(blank as f64).to_dtype(DType::I64);
        let target = |i: usize| {
            let length = lengths.get::<i64>(&[i]) as usize;
            (0..length).map(|s| labels.get::<i64>(&[i, s]) as usize).collect::<Vec<_>>()
        };
        let targets = if concatenated {
            let all: Vec<i64> = (0..n).flat_map(target).map(|label| label as i64).collect();
            Tensor::from_slice(&all, [all.len()])
        } else {
            labels.clone()
        };

        let expected = (0..n).map(|i| {
            let loss = enumerated(&log_probs.value(), i, steps.get::<i64>(&[i]) as usize, &target(i), blank);
            if zero_infinity && loss == f64::INFINITY { 0.0 } else { loss }
        });
        let expected: Vec<f64> = expected.collect();
        let loss = |reduction| {
            let options = Ctc { blank, reduction, zero_infinity };
            CTCLoss::with(options).forward(&log_probs, &targets, &steps, &lengths).to_vec::<f64>()
        };
        let near = |a: f64, b: f64| a == b || (a - b).abs() < 1e-9;
        let each = loss(Reduction::None);
        prop_assert!(each.iter().zip(&expected).all(|(&a, &b)| near(a, b)), "{:?} instead of {:?}", each, expected);
        prop_assert!(near(loss(Reduction::Sum)[0], expected.iter().sum()));
        let shares = expected.iter().enumerate().map(|(i, loss)| loss / target(i).len().max(1) as f64);
        prop_assert!(near(loss(Reduction::Mean)[0], shares.sum::<f64>() / n as f64));
    }

    /// Neither the other items, nor what lies beyond the lengths, nor what fills up the targets has a part in a loss or in
    /// its gradient.
    #[test]
    fn items_are_independent(t in 2usize..6, c in 2usize..5, seed: u64) {
        manual_seed(seed);
        let logits = Tensor::randn([t, 3, c], F64);
        let targets = Tensor::randint(1, c as i64, [3, 2]);
        let (steps, lengths) = (Tensor::randint(1, t as i64 + 1, [3]), Tensor::randint(0, 3, [3]));
        let options = Ctc { reduction: Reduction::None, zero_infinity: true, ..Default::default() };
        let run = |logits: &Tensor, targets: &Tensor, steps: &Tensor, lengths: &Tensor| {
            let x = Var::new(logits.clone()).requires_grad_(true);
            let loss = CTCLoss::with(options).forward(&x.log_softmax(-1), targets, steps, lengths);
            loss.sum().backward();
            (loss.to_vec::<f64>(), x.grad().unwrap().value())
        };
        let (each, gradient) = run(&logits, &targets, &steps, &lengths);
        for (i, each) in each.iter().enumerate() {
            let [steps, lengths] = [&steps, &lengths].map(|all| all.narrow(0, i, 1));
            let (count, labels) = (steps.item::<i64>() as usize, lengths.item::<i64>() as usize);
            // Without a batch, cut to the lengths.
            let own = logits.select(1, i).narrow(0, 0, count);
            let (alone, slope) = run(&own, &targets.select(0, i).narrow(0, 0, labels), &steps, &lengths);
            prop_assert!((alone[0] - each).abs() < 1e-12);
            let part = gradient.select(1, i);
            prop_assert!(part.narrow(0, 0, count).allclose(&slope, 1e-12, 1e-12));
            prop_assert!(part.narrow(0, count, t - count).eq_scalar(0.0).all().item::<bool>());
        }
    }

    /// The probabilities of all targets that a short input can say add up to 1.
    #[test]
    fn the_targets_of_an_input_exhaust_it(t in 1usize..5, c in 2usize..4, seed: u64) {
        manual_seed(seed);
        let log_probs = Var::new(Tensor::randn([t, c], F64)).log_softmax(-1);
        let mut total = 0.0;
        for length in 0..=t {
            for code in 0..(c - 1).pow(length as u32) {
                let labels: Vec<i64> = (0..length).map(|s| 1 + (code / (c - 1).pow(s as u32) % (c - 1)) as i64).collect();
                let labels = Tensor::from_slice(&labels, [length]);
                let (steps, length) = (Tensor::scalar(t as i64), Tensor::scalar(length as i64));
                let options = Ctc { reduction: Reduction::Sum, ..Default::default() };
                total += (-CTCLoss::with(options).forward(&log_probs, &labels, &steps, &length).item::<f64>()).exp();
            }
        }
        prop_assert!((total - 1.0).abs() < 1e-9, "{total}");
    }
}

#[test]
fn training_finds_the_labels() {
    manual_seed(3);
    let logits = Var::new(Tensor::randn([12, 2, 5], DType::F32) * 0.1).requires_grad_(true);
    let targets = Tensor::from([[1i64, 1, 4], [3, 2, 0]]);
    let (steps, lengths) = (Tensor::from([12i64, 10]), Tensor::from([3i64, 2]));
    for _ in 0..300 {
        logits.zero_grad();
        CTCLoss::new().forward(&logits.log_softmax(2), &targets, &steps, &lengths).backward();
        logits.set_value(logits.value() - logits.grad().unwrap().value() * 10.0);
    }
    let best = logits.value().max_dim(2, false).1;
    let read = |i: usize, steps: usize| said((0..steps).map(|t| best.get::<i64>(&[t, i]) as usize).collect(), 0);
    assert_eq!((read(0, 12), read(1, 10)), (vec![1, 1, 4], vec![3, 2]));
}
