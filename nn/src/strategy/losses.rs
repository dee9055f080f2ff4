//! Losses with inputs and options that fit.

use std::error::Error;
use std::fmt;

use autograd::strategy::{Layout, dense_layouts};
use autograd::{GradcheckOptions, Var, gradcheck};
use proptest::prelude::*;
use tensor::{CrossEntropy, Ctc, DType, Generator, Reduction, Tensor, broadcast_shapes};

use crate::losses::*;

/// A loss with inputs that fit, from [`losses`]. Shown as its name and the inputs.
pub struct LossCase {
    /// The loss and its options.
    pub name: String,
    /// Leaves in f64 that require gradients: the prediction, and the targets that have a gradient.
    pub inputs: Vec<Var>,
    /// What the mean divides the sum by.
    pub count: f64,
    loss: Loss,
}

type Loss = Box<dyn Fn(&[Var], Reduction) -> Var>;

impl LossCase {
    /// The loss with a reduction.
    pub fn reduced(&self, reduction: Reduction) -> Var {
        (self.loss)(&self.inputs, reduction)
    }

    /// The loss of other inputs of the same shapes.
    pub fn of(&self, inputs: &[Var], reduction: Reduction) -> Var {
        (self.loss)(inputs, reduction)
    }

    /// Checks the gradients by every input, with every reduction; see [`gradcheck`].
    ///
    /// # Errors
    /// What is wrong with the first derivative that is.
    pub fn check_gradients(&self) -> Result<(), Box<dyn Error>> {
        for reduction in [Reduction::None, Reduction::Mean, Reduction::Sum] {
            gradcheck(|v| (self.loss)(v, reduction), &self.inputs, GradcheckOptions::default())?;
        }
        Ok(())
    }
}

impl fmt::Debug for LossCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        for input in &self.inputs {
            write!(f, "\ninput with strides {:?}: {:?}", input.value().strides(), input.value())?;
        }
        Ok(())
    }
}

/// Every loss, with random options, shapes and layouts. Nothing is empty, so that every mean is a number.
///
/// ```
/// use nn::prelude::*;
/// use nn::strategy::losses;
/// use proptest::prelude::*;
/// proptest!(ProptestConfig::with_cases(16), |(case in losses())| {
///     let (sum, mean) = (case.reduced(Reduction::Sum), case.reduced(Reduction::Mean));
///     prop_assert!((sum.item::<f64>() / case.count - mean.item::<f64>()).abs() < 1e-9);
/// });
/// ```
pub fn losses() -> impl Strategy<Value = LossCase> {
    let shapes = prop::collection::vec(1usize..4, 0..4);
    (prop::sample::select(&KINDS[..]), shapes, dense_layouts(), any::<u64>())
        .prop_map(|(kind, shape, layout, seed)| kind(&mut Draw { shape, layout, generator: Generator::new(seed) }))
}

/// What a case is drawn from.
struct Draw {
    shape: Vec<usize>,
    layout: Layout,
    generator: Generator,
}

impl Draw {
    fn constant(&mut self, low: f64, high: f64, shape: &[usize]) -> Tensor {
        Tensor::uniform_with(low, high, shape, DType::F64, &mut self.generator)
    }

    fn leaf(&mut self, low: f64, high: f64, shape: &[usize]) -> Var {
        Var::new(self.layout.of(&self.constant(low, high, shape))).requires_grad_(true)
    }

    /// A leaf that keeps away from 0.
    fn away(&mut self, shape: &[usize]) -> Var {
        let signs = self.signs(shape).to_dtype(DType::F64);
        let x = self.constant(0.3, 2.0, shape) * signs;
        Var::new(self.layout.of(&x)).requires_grad_(true)
    }

    fn below(&mut self, n: usize) -> usize {
        self.generator.below(n)
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn ids(&mut self, n: usize, shape: &[usize]) -> Tensor {
        let ids = (0..shape.iter().product()).map(|_| self.below(n) as i64).collect::<Vec<_>>();
        Tensor::from_vec(ids, shape)
    }

    fn signs(&mut self, shape: &[usize]) -> Tensor {
        self.ids(2, shape) * 2.0 - 1.0
    }

    fn weight(&mut self, shape: &[usize]) -> Option<Tensor> {
        self.coin().then(|| self.constant(0.5, 2.0, shape))
    }

    /// A shape that broadcasts to the drawn one.
    fn partner(&mut self) -> Vec<usize> {
        let from = self.below(self.shape.len() + 1);
        let shape = self.shape.clone();
        if self.coin() { shape } else { shape[from..].iter().map(|&size| if self.coin() { 1 } else { size }).collect() }
    }

    /// Logits `[c]`, `[n, c]` or `[n, c, d..]`, and where the classes are.
    fn class_shape(&mut self) -> (Vec<usize>, usize) {
        let (mut shape, dim) = (self.shape.clone(), self.shape.len().min(1));
        shape.insert(dim, 2 + self.below(3));
        (shape, dim)
    }
}

fn case(name: String, inputs: Vec<Var>, count: f64, loss: impl Fn(&[Var], Reduction) -> Var + 'static) -> LossCase {
    LossCase { name, inputs, count, loss: Box::new(loss) }
}

const KINDS: [fn(&mut Draw) -> LossCase; 21] = [
    cross_entropy,
    cross_entropy_probs,
    nll,
    mse,
    l1,
    smooth_l1,
    huber,
    bce,
    bce_with_logits,
    kl_div,
    poisson,
    gaussian,
    cosine,
    triplet,
    triplet_with_distance,
    hinge,
    ranking,
    multi_margin,
    multilabel_margin,
    soft_margins,
    ctc,
];

/// Class targets of a batch of logits, some of them ignored, and the sum of the weights of the others.
fn targets(d: &mut Draw, shape: &[usize], dim: usize, weight: Option<&Tensor>) -> (Tensor, f64) {
    let (mut rest, classes) = (shape.to_vec(), shape[dim]);
    rest.remove(dim);
    let mut ids = d.ids(classes, &rest).to_vec::<i64>();
    for id in ids.iter_mut().skip(1) {
        *id = if d.below(4) == 0 { IGNORED } else { *id };
    }
    let weight_of = |id: i64| weight.map_or(1.0, |w| w.get::<f64>(&[id as usize]));
    let count = ids.iter().filter(|id| **id != IGNORED).map(|&id| weight_of(id)).sum();
    (Tensor::from_vec(ids, rest), count)
}

const IGNORED: i64 = -7;

fn cross_entropy(d: &mut Draw) -> LossCase {
    let (shape, dim) = d.class_shape();
    let weight = d.weight(&[shape[dim]]);
    let (target, count) = targets(d, &shape, dim, weight.as_ref());
    let options =
        CrossEntropy { weight, ignore_index: IGNORED, label_smoothing: d.pick(&[0.0, 0.2]), ..Default::default() };
    case(
        format!("CrossEntropyLoss {options:?} {target}"),
        vec![d.leaf(-2.0, 2.0, &shape)],
        count,
        move |v, reduction| {
            CrossEntropyLoss::with(CrossEntropy { reduction, ..options.clone() }).forward(&v[0], &target)
        },
    )
}

fn cross_entropy_probs(d: &mut Draw) -> LossCase {
    let (shape, dim) = d.class_shape();
    let options =
        CrossEntropy { weight: d.weight(&[shape[dim]]), label_smoothing: d.pick(&[0.0, 0.2]), ..Default::default() };
    let count = (shape.iter().product::<usize>() / shape[dim]) as f64;
    let inputs = vec![d.leaf(-2.0, 2.0, &shape), d.leaf(0.0, 1.0, &shape)];
    case(format!("CrossEntropyLoss of probabilities {options:?}"), inputs, count, move |v, reduction| {
        CrossEntropyLoss::with(CrossEntropy { reduction, ..options.clone() }).forward_probs(&v[0], &v[1])
    })
}

fn nll(d: &mut Draw) -> LossCase {
    let (shape, dim) = d.class_shape();
    let weight = d.weight(&[shape[dim]]);
    let (target, count) = targets(d, &shape, dim, weight.as_ref());
    let options = NLLLossOptions { weight, ignore_index: IGNORED, ..Default::default() };
    case(format!("NLLLoss {options:?} {target}"), vec![d.leaf(-3.0, 0.0, &shape)], count, move |v, reduction| {
        NLLLoss::with(NLLLossOptions { reduction, ..options.clone() }).forward(&v[0], &target)
    })
}

/// Two inputs that broadcast, and the number of elements of their common shape.
fn pair(d: &mut Draw) -> (Vec<Var>, f64) {
    let (a, b) = (d.shape.clone(), d.partner());
    let count = broadcast_shapes("pair", &a, &b).expect("a partner broadcasts").numel() as f64;
    let mut inputs = vec![d.leaf(-2.0, 2.0, &a), d.leaf(-2.0, 2.0, &b)];
    if d.coin() {
        inputs.reverse();
    }
    (inputs, count)
}

fn mse(d: &mut Draw) -> LossCase {
    let (inputs, count) = pair(d);
    case("MSELoss".into(), inputs, count, |v, reduction| MSELoss::with(reduction).forward(&v[0], &v[1]))
}

fn l1(d: &mut Draw) -> LossCase {
    let (inputs, count) = pair(d);
    case("L1Loss".into(), inputs, count, |v, reduction| L1Loss::with(reduction).forward(&v[0], &v[1]))
}

fn smooth_l1(d: &mut Draw) -> LossCase {
    let ((inputs, count), beta) = (pair(d), d.pick(&[0.0, 0.4, 1.0]));
    case(format!("SmoothL1Loss, beta {beta}"), inputs, count, move |v, reduction| {
        SmoothL1Loss::with(SmoothL1LossOptions { reduction, beta }).forward(&v[0], &v[1])
    })
}

fn huber(d: &mut Draw) -> LossCase {
    let ((inputs, count), delta) = (pair(d), d.pick(&[0.4, 1.0]));
    case(format!("HuberLoss, delta {delta}"), inputs, count, move |v, reduction| {
        HuberLoss::with(HuberLossOptions { reduction, delta }).forward(&v[0], &v[1])
    })
}

fn bce(d: &mut Draw) -> LossCase {
    let (shape, partner) = (d.shape.clone(), d.partner());
    let (inputs, weight) = (vec![d.leaf(0.1, 0.9, &shape), d.leaf(0.1, 0.9, &shape)], d.weight(&partner));
    let count = inputs[0].numel() as f64;
    case(format!("BCELoss, weight {weight:?}"), inputs, count, move |v, reduction| {
        BCELoss::with(BCELossOptions { reduction, weight: weight.clone() }).forward(&v[0], &v[1])
    })
}

fn bce_with_logits(d: &mut Draw) -> LossCase {
    let (shape, partner, other) = (d.shape.clone(), d.partner(), d.partner());
    let inputs = vec![d.leaf(-2.0, 2.0, &shape), d.leaf(0.0, 1.0, &shape)];
    let (weight, pos_weight, count) = (d.weight(&partner), d.weight(&other), inputs[0].numel() as f64);
    let options = BCEWithLogitsLossOptions { weight, pos_weight, ..Default::default() };
    case(format!("BCEWithLogitsLoss {options:?}"), inputs, count, move |v, reduction| {
        BCEWithLogitsLoss::with(BCEWithLogitsLossOptions { reduction, ..options.clone() }).forward(&v[0], &v[1])
    })
}

fn kl_div(d: &mut Draw) -> LossCase {
    let (shape, log_target) = (d.shape.clone(), d.coin());
    let inputs = vec![d.leaf(-3.0, 0.0, &shape), d.leaf(0.2, 1.0, &shape)];
    let count = inputs[0].numel() as f64;
    case(format!("KLDivLoss, log_target {log_target}"), inputs, count, move |v, reduction| {
        KLDivLoss::with(KLDivLossOptions { reduction, log_target }).forward(&v[0], &v[1])
    })
}

fn poisson(d: &mut Draw) -> LossCase {
    let (shape, partner) = (d.shape.clone(), d.partner());
    let (log_input, full, eps) = (d.coin(), d.coin(), d.pick(&[1e-8, 0.1]));
    let inputs = vec![d.leaf(0.2, 2.0, &shape), d.leaf(0.2, 4.0, &partner)];
    let (options, count) = (PoissonNLLLossOptions { log_input, full, eps, ..Default::default() }, inputs[0].numel());
    case(format!("PoissonNLLLoss {options:?}"), inputs, count as f64, move |v, reduction| {
        PoissonNLLLoss::with(PoissonNLLLossOptions { reduction, ..options }).forward(&v[0], &v[1])
    })
}

fn gaussian(d: &mut Draw) -> LossCase {
    let (shape, partner) = (d.shape.clone(), d.partner());
    let mut variances = shape.clone();
    match (variances.last_mut(), d.below(3)) {
        (Some(last), 0) => *last = 1,
        (Some(_), 1) => drop(variances.pop()),
        _ => {}
    }
    let inputs = vec![d.leaf(-2.0, 2.0, &shape), d.leaf(-2.0, 2.0, &partner), d.leaf(0.3, 2.0, &variances)];
    let (options, count) = (GaussianNLLLossOptions { full: d.coin(), ..Default::default() }, inputs[0].numel() as f64);
    case(format!("GaussianNLLLoss {options:?}"), inputs, count, move |v, reduction| {
        GaussianNLLLoss::with(GaussianNLLLossOptions { reduction, ..options }).forward(&v[0], &v[1], &v[2])
    })
}

fn cosine(d: &mut Draw) -> LossCase {
    let batch = d.shape.iter().copied().take(1).collect::<Vec<_>>();
    let shape = [&batch[..], &[2 + d.below(2)]].concat();
    let (target, margin) = (d.signs(&batch), d.pick(&[0.0, 0.3, -0.5]));
    let (inputs, count) = (vec![d.away(&shape), d.away(&shape)], target.numel() as f64);
    case(format!("CosineEmbeddingLoss, margin {margin} {target}"), inputs, count, move |v, reduction| {
        let options = CosineEmbeddingLossOptions { margin, reduction };
        CosineEmbeddingLoss::with(options).forward(&v[0], &v[1], &target)
    })
}

/// Anchor, positive and negative, and how many distances there are.
fn three(d: &mut Draw) -> (Vec<Var>, f64) {
    let shape = [&d.shape.clone()[..], &[1 + d.below(3)]].concat();
    let inputs = (0..3).map(|_| d.leaf(-2.0, 2.0, &shape)).collect();
    (inputs, d.shape.iter().product::<usize>() as f64)
}

fn triplet(d: &mut Draw) -> LossCase {
    let (inputs, count) = three(d);
    let (margin, p, swap) = (d.pick(&[1.0, 3.0]), d.pick(&[1.0, 2.0, 3.0]), d.coin());
    let options = TripletMarginLossOptions { margin, p, swap, ..Default::default() };
    case(format!("TripletMarginLoss {options:?}"), inputs, count, move |v, reduction| {
        TripletMarginLoss::with(TripletMarginLossOptions { reduction, ..options }).forward(&v[0], &v[1], &v[2])
    })
}

fn triplet_with_distance(d: &mut Draw) -> LossCase {
    let ((inputs, count), margin, swap) = (three(d), d.pick(&[1.0, 3.0]), d.coin());
    let square = |a: &Var, b: &Var| (a - b).square().sum_dim(-1, false);
    case(format!("TripletMarginWithDistanceLoss, margin {margin}, swap {swap}"), inputs, count, move |v, reduction| {
        let options = TripletMarginWithDistanceLossOptions { margin, swap, reduction };
        TripletMarginWithDistanceLoss::with(square, options).forward(&v[0], &v[1], &v[2])
    })
}

fn hinge(d: &mut Draw) -> LossCase {
    let (shape, partner) = (d.shape.clone(), d.partner());
    let (inputs, target, margin) = (vec![d.leaf(-2.0, 2.0, &shape)], d.signs(&partner), d.pick(&[1.0, 0.2]));
    let count = inputs[0].numel() as f64;
    case(format!("HingeEmbeddingLoss, margin {margin} {target}"), inputs, count, move |v, reduction| {
        HingeEmbeddingLoss::with(HingeEmbeddingLossOptions { margin, reduction }).forward(&v[0], &target)
    })
}

fn ranking(d: &mut Draw) -> LossCase {
    let (shape, margin) = (d.shape.clone(), d.pick(&[0.0, 0.7]));
    let one = vec![1; shape.len()];
    let other = if d.coin() { one } else { shape.clone() };
    let inputs = vec![d.leaf(-2.0, 2.0, &shape), d.leaf(-2.0, 2.0, &other), d.leaf(-2.0, 2.0, &shape)];
    let count = inputs[0].numel() as f64;
    case(format!("MarginRankingLoss, margin {margin}"), inputs, count, move |v, reduction| {
        MarginRankingLoss::with(MarginRankingLossOptions { margin, reduction }).forward(&v[0], &v[1], &v[2])
    })
}

fn multi_margin(d: &mut Draw) -> LossCase {
    let batch = d.shape.iter().copied().take(1).collect::<Vec<_>>();
    let classes = 2 + d.below(3);
    let (target, weight) = (d.ids(classes, &batch), d.weight(&[classes]));
    let inputs = vec![d.leaf(-2.0, 2.0, &[&batch[..], &[classes]].concat())];
    let options =
        MultiMarginLossOptions { p: d.pick(&[1, 2]), margin: d.pick(&[1.0, 0.4]), weight, ..Default::default() };
    case(format!("MultiMarginLoss {options:?} {target}"), inputs, target.numel() as f64, move |v, reduction| {
        MultiMarginLoss::with(MultiMarginLossOptions { reduction, ..options.clone() }).forward(&v[0], &target)
    })
}

fn multilabel_margin(d: &mut Draw) -> LossCase {
    let batch = d.shape.iter().copied().take(1).collect::<Vec<_>>();
    let shape = [&batch[..], &[2 + d.below(3)]].concat();
    let target = d.ids(shape[shape.len() - 1] + 1, &shape) - 1.0;
    let inputs = vec![d.leaf(-2.0, 2.0, &shape)];
    let count = batch.iter().product::<usize>() as f64;
    case(format!("MultiLabelMarginLoss {target}"), inputs, count, move |v, reduction| {
        MultiLabelMarginLoss::with(reduction).forward(&v[0], &target)
    })
}

fn soft_margins(d: &mut Draw) -> LossCase {
    let shape = [&d.shape.clone()[..], &[1 + d.below(3)]].concat();
    let (x, count) = (d.leaf(-2.0, 2.0, &shape), d.shape.iter().product::<usize>());
    if d.coin() {
        let (target, count) = (d.signs(&shape), count * shape[shape.len() - 1]);
        return case(format!("SoftMarginLoss {target}"), vec![x], count as f64, move |v, reduction| {
            SoftMarginLoss::with(reduction).forward(&v[0], &target)
        });
    }
    let (inputs, weight) = (vec![x, d.leaf(0.0, 1.0, &shape)], d.weight(&shape[shape.len() - 1..]));
    case(format!("MultiLabelSoftMarginLoss, weight {weight:?}"), inputs, count as f64, move |v, reduction| {
        let options = MultiLabelSoftMarginLossOptions { weight: weight.clone(), reduction };
        MultiLabelSoftMarginLoss::with(options).forward(&v[0], &v[1])
    })
}

/// The loss of logits, of which a log-softmax is taken, for targets of one length.
fn ctc(d: &mut Draw) -> LossCase {
    let (t, n, c, length) = (1 + d.below(4), 1 + d.below(2), 2 + d.below(2), d.below(3));
    let (steps, lengths) = (d.ids(t + 1, &[n]), Tensor::full([n], length as f64, DType::I64));
    let blank = d.below(c);
    let labels = d.ids(c - 1, &[n, length]);
    let targets = &labels + &labels.ge_scalar(blank as f64).to_dtype(DType::I64);
    let targets = if d.coin() { targets.reshape([n * length]) } else { targets };
    let options = Ctc { blank, zero_infinity: true, ..Default::default() };
    let (inputs, count) = (vec![d.leaf(-2.0, 2.0, &[t, n, c])], (n * length.max(1)) as f64);
    case(format!("CTCLoss {options:?} {targets} {steps} {lengths}"), inputs, count, move |v, reduction| {
        CTCLoss::with(Ctc { reduction, ..options }).forward(&v[0].log_softmax(2), &targets, &steps, &lengths)
    })
}
