//! The property tests that every operation goes through.
//!
//! An operation enters with one line, a [`Sample`], in the table at the end of its own file. From that line come: the
//! first derivative and the second against central differences in f64, the agreement of every layout of the inputs and
//! of the gradient with contiguous ones, and that the inputs stay as they were. Shapes run from 0-d over empty to
//! broadcast; see the rules at the end.

pub(crate) mod conformance;
mod halves;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use tensor::{DType, Tensor};

use crate::gradcheck::{check, check_second};
use crate::strategy::{self, Stream, elements};
pub(crate) use crate::strategy::{Domain, Layout};
use crate::{GradOptions, GradcheckOptions, Var, grad};

/// How an operation is tested, as data.
pub(crate) struct Sample {
    /// The method's name.
    pub op: &'static str,
    /// Calls it; every other argument comes from the [`Pick`], which gives the same answers each time.
    call: Call,
    /// Where the elements of each input lie.
    domains: &'static [Domain],
    /// The inputs' shapes, made from a random one.
    shapes: ShapeRule,
    /// Central differences through f32 are too coarse; such a sample is checked for layouts only.
    loose: bool,
}

enum Call {
    Unary(fn(&Var) -> Var),
    Binary(fn(&Var, &Var) -> Var),
    Any(fn(&[Var], &mut Pick) -> Vec<Var>),
}

pub(crate) type ShapeRule = fn(&[usize], &mut Pick, usize) -> Vec<Vec<usize>>;

impl Sample {
    fn run(&self, inputs: &[Var], seed: u64) -> Vec<Var> {
        match self.call {
            Call::Unary(f) => vec![f(&inputs[0])],
            Call::Binary(f) => vec![f(&inputs[0], &inputs[1])],
            Call::Any(f) => f(inputs, &mut Pick::new(seed)),
        }
    }

    /// Whether central differences are left out.
    pub fn is_loose(&self) -> bool {
        self.loose
    }

    /// Leaves out central differences.
    pub fn loose(mut self) -> Sample {
        self.loose = true;
        self
    }
}

/// A function of one value of any shape.
pub(crate) fn unary(op: &'static str, domain: Domain, f: fn(&Var) -> Var) -> Sample {
    let domains = Box::leak(Box::new([domain]));
    Sample { op, call: Call::Unary(f), domains, shapes: same, loose: false }
}

/// A function of two values that broadcast.
pub(crate) fn binary(op: &'static str, a: Domain, b: Domain, f: fn(&Var, &Var) -> Var) -> Sample {
    let domains = Box::leak(Box::new([a, b]));
    Sample { op, call: Call::Binary(f), domains, shapes: broadcast, loose: false }
}

/// Any other function.
pub(crate) fn sample(
    op: &'static str,
    domains: &'static [Domain],
    shapes: ShapeRule,
    f: fn(&[Var], &mut Pick) -> Vec<Var>,
) -> Sample {
    Sample { op, call: Call::Any(f), domains, shapes, loose: false }
}

pub(crate) const REAL: Domain = Domain::Range(-2.0, 2.0);
pub(crate) const POSITIVE: Domain = Domain::Range(0.3, 2.5);
pub(crate) const NONZERO: Domain = Domain::Away(&[0.0]);
pub(crate) const DISTINCT: Domain = Domain::Distinct;

/// Arguments that are no inputs: a stream of numbers that a seed fixes.
pub(crate) struct Pick(Stream);

impl Pick {
    pub fn new(seed: u64) -> Pick {
        Pick(Stream::new(seed))
    }

    /// Evenly in 0 to 1.
    pub fn unit(&mut self) -> f64 {
        self.0.unit()
    }

    /// 0 to `n - 1`; 0 for `n = 0`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0.below(n)
    }

    pub fn coin(&mut self) -> bool {
        self.0.coin()
    }

    /// A dimension of `ndim`, counted from either end.
    pub fn dim(&mut self, ndim: usize) -> isize {
        let dim = self.below(ndim) as isize;
        if self.coin() { dim - ndim as isize } else { dim }
    }

    /// None (which means all), one or two of `ndim` dimensions.
    pub fn dims(&mut self, ndim: usize) -> Vec<isize> {
        let order = self.order(ndim);
        order[..self.below(3).min(ndim)].to_vec()
    }

    /// The dimensions in any order.
    pub fn order(&mut self, ndim: usize) -> Vec<isize> {
        let mut order: Vec<isize> = (0..ndim as isize).collect();
        self.0.shuffle(&mut order);
        order
    }

    /// A mask.
    pub fn mask(&mut self, shape: &[usize]) -> Tensor {
        let values: Vec<bool> = (0..shape.iter().product()).map(|_| self.coin()).collect();
        Tensor::from_vec(values, shape)
    }

    /// Indices below `n`.
    pub fn ids(&mut self, shape: &[usize], n: usize) -> Tensor {
        let values: Vec<i64> = (0..shape.iter().product()).map(|_| self.below(n) as i64).collect();
        Tensor::from_vec(values, shape)
    }

    /// A shape that broadcasts to `shape`.
    pub fn unbroadcast(&mut self, shape: &[usize]) -> Vec<usize> {
        self.0.unbroadcast(shape)
    }
}

/// A mask or an index as a result, so that its layouts are compared too; it has no gradient, as central differences
/// confirm.
pub(crate) fn mask(t: Tensor) -> Vec<Var> {
    vec![Var::new(t.to_dtype(DType::F64))]
}

// Rules that make the inputs' shapes out of a random one.

pub(crate) fn same(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    vec![shape.to_vec(); n]
}

pub(crate) fn broadcast(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    (0..n).map(|_| if pick.coin() { shape.to_vec() } else { pick.unbroadcast(shape) }).collect()
}

fn with_ndim(shape: &[usize], least: usize) -> Vec<usize> {
    [&vec![2; least.saturating_sub(shape.len())], shape].concat()
}

pub(crate) fn at_least_1d(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    vec![with_ndim(shape, 1); n]
}

pub(crate) fn at_least_2d(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    vec![with_ndim(shape, 2); n]
}

pub(crate) fn matrix(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    vec![with_ndim(shape, 2)[..2].to_vec(); n]
}

/// Vectors of lengths of their own.
pub(crate) fn vectors(_: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    (0..n).map(|_| vec![pick.below(4)]).collect()
}

/// Without empty dimensions, for what needs an element.
pub(crate) fn nonempty(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    vec![shape.iter().map(|&s| s.max(1)).collect(); n]
}

/// At least 1-d, without empty dimensions.
pub(crate) fn rows(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    nonempty(&with_ndim(shape, 1), pick, n)
}

/// At least two elements along every dimension.
pub(crate) fn several(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    vec![with_ndim(shape, 1).iter().map(|&s| s.max(2)).collect(); n]
}

/// At least 1-d, every size even.
pub(crate) fn doubled(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    vec![with_ndim(shape, 1).iter().map(|&s| 2 * s).collect(); n]
}

/// Two factors of a matrix product: vectors, matrices, batches that broadcast.
pub(crate) fn products(shape: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
    let batch = &shape[..shape.len().min(1)];
    let (m, k, n) = (pick.below(4), pick.below(4), pick.below(4));
    let operand = |pick: &mut Pick, rows: usize, columns: usize| {
        let batch = if pick.coin() { batch.to_vec() } else { pick.unbroadcast(batch) };
        [&batch[..], &[rows, columns]].concat()
    };
    match pick.below(5) {
        0 => vec![vec![k], vec![k]],
        1 => vec![vec![k], operand(pick, k, n)],
        2 => vec![operand(pick, m, k), vec![k]],
        _ => vec![operand(pick, m, k), operand(pick, k, n)],
    }
}

/// Input, weight and bias of a linear layer.
pub(crate) fn linear_shapes(shape: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
    let (inputs, outputs) = (1 + pick.below(3), 1 + pick.below(3));
    let batch = &shape[..shape.len().min(2)];
    vec![[batch, &[inputs]].concat(), vec![outputs, inputs], vec![outputs]]
}

/// An embedding table.
pub(crate) fn table_of_rows(_: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
    vec![vec![1 + pick.below(4), 1 + pick.below(3)]]
}

/// Input, weight and bias of a layer norm over the last one or two dimensions.
pub(crate) fn normalised_shapes(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let x: Vec<usize> = with_ndim(shape, 2).iter().map(|&s| s.max(2)).collect();
    let last = x[x.len() - 1 - pick.below(2)..].to_vec();
    [vec![x], vec![last; n - 1]].concat()
}

/// An input and a weight that is one number or one per channel.
pub(crate) fn channels_and_weight(shape: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
    let channels = if shape.len() < 2 { 1 } else { shape[1] };
    vec![shape.to_vec(), [vec![], vec![1], vec![channels]][pick.below(3)].clone()]
}

/// An input `[n, 4, ..]` with several elements, and numbers per channel.
pub(crate) fn channels(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let mut x: Vec<usize> = with_ndim(shape, 2).iter().map(|&s| s.max(2)).collect();
    x[1] = 4;
    [vec![x], vec![vec![4]; n - 1]].concat()
}

/// Queries, keys and values of attention heads.
pub(crate) fn heads(shape: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
    let batch: Vec<usize> = with_ndim(shape, 2)[..2].iter().map(|&s| s.max(1)).collect();
    let (t, s, d) = (1 + pick.below(3), 1 + pick.below(3), 1 + pick.below(3));
    let with = |rows: usize| [&batch[..], &[rows, d]].concat();
    vec![with(t), with(s), with(s)]
}

/// Queries of twice or three times as many heads as keys and values.
pub(crate) fn grouped_heads(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let mut shapes = heads(shape, pick, n);
    shapes[0][1] *= 2 + pick.below(2);
    shapes
}

/// Queries, keys, values and a mask that broadcasts.
pub(crate) fn masked_heads(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let mut shapes = heads(shape, pick, n);
    let scores = [&shapes[0][..3], &shapes[1][2..3]].concat();
    shapes.push(pick.unbroadcast(&scores));
    shapes
}

/// At least 3-d, the last three sizes 4 (or 0 where the shape has that).
pub(crate) fn fours(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let mut shape = with_ndim(shape, 3);
    shape.iter_mut().rev().take(3).for_each(|s| *s = if *s == 0 { 0 } else { 4 });
    vec![shape; n]
}

/// Images or sequences, `[n, c, d..]` with one to three `d`.
pub(crate) fn images(shape: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
    let outer = [shape.first().map_or(2, |&n| n), 1 + pick.below(2)];
    let inner = (0..1 + pick.below(3)).map(|_| 1 + pick.below(4));
    vec![outer.into_iter().chain(inner).collect()]
}

/// Logits `[c]`, `[n, c]` or `[n, c, d..]`.
pub(crate) fn class_logits(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let mut shape = shape.to_vec();
    shape.insert(shape.len().min(1), 2 + pick.below(3));
    vec![shape; n]
}

/// Square matrices, some of them in a batch.
#[cfg(feature = "linalg")]
pub(crate) fn square_matrices(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let side = pick.below(4);
    vec![[&shape[..shape.len().min(1)], &[side, side]].concat(); n]
}

/// The matrices and right-hand sides of linear systems: batches that broadcast, of one column or of several.
#[cfg(feature = "linalg")]
pub(crate) fn systems_with_matrices(shape: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
    let batch = &shape[..shape.len().min(1)];
    let (n, k) = (pick.below(4), pick.below(3));
    let side = |pick: &mut Pick, columns: usize| {
        let batch = if pick.coin() { batch.to_vec() } else { pick.unbroadcast(batch) };
        [&batch[..], &[n, columns]].concat()
    };
    vec![side(pick, n), side(pick, k)]
}

/// The same, and vectors as right-hand sides: one, or one per matrix.
#[cfg(feature = "linalg")]
pub(crate) fn systems(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let mut sides = systems_with_matrices(shape, pick, n);
    let a = sides[0].clone();
    match pick.below(3) {
        0 => sides[1] = vec![a[a.len() - 1]],
        1 => sides[1] = a[..a.len() - 1].to_vec(),
        _ => {}
    }
    sides
}

/// A well-conditioned matrix made of one with elements up to 2: small numbers and a large diagonal.
#[cfg(feature = "linalg")]
pub(crate) fn regular(x: &Var) -> Var {
    x * 0.3 + diagonal_of(x, |_| 3.0)
}

/// The same with singular values that lie well apart.
#[cfg(feature = "linalg")]
pub(crate) fn spread(x: &Var) -> Var {
    x * 0.1 + diagonal_of(x, |i| 2.0 + 2.5 * i as f64)
}

#[cfg(feature = "linalg")]
fn diagonal_of(x: &Var, f: impl Fn(usize) -> f64) -> Var {
    let (m, n) = (x.dim(-2), x.dim(-1));
    let d = Tensor::from_vec((0..m.max(n)).map(f).collect(), [m.max(n)]).to_dtype(x.dtype());
    Var::new(d.diag(0).narrow(0, 0, m).narrow(1, 0, n))
}

// The properties.

/// One random trial of an operation.
#[derive(Clone, Debug)]
struct Trial {
    shape: Vec<usize>,
    layouts: Vec<Layout>,
    seed: u64,
}

fn trials() -> impl Strategy<Value = Trial> {
    let layouts = prop::collection::vec(strategy::layouts(), 4);
    (strategy::shapes(), layouts, any::<u64>()).prop_map(|(shape, layouts, seed)| Trial { shape, layouts, seed })
}

/// The shapes that break things, each in every layout, whatever chance brings besides.
fn corners() -> Vec<Trial> {
    let shapes: [&[usize]; 6] = [&[], &[0], &[1], &[2, 0], &[2, 3], &[3, 1, 2]];
    let trial = |(i, (shape, layout)): (usize, (&&[usize], Layout))| Trial {
        shape: shape.to_vec(),
        layouts: (0..4).map(|j| Layout::ALL[(layout as usize + j) % Layout::ALL.len()]).collect(),
        seed: i as u64,
    };
    let pairs = shapes.iter().flat_map(|shape| Layout::ALL.iter().map(move |&layout| (shape, layout)));
    pairs.enumerate().map(trial).collect()
}

/// The values of a trial's inputs, laid out as it says.
fn inputs(sample: &Sample, trial: &Trial) -> Vec<Tensor> {
    let mut pick = Pick::new(!trial.seed);
    let shapes = (sample.shapes)(&trial.shape, &mut pick, sample.domains.len());
    let values = elements(sample.domains, &shapes, &mut pick.0);
    let laid_out = |(i, (values, shape)): (usize, (Vec<f64>, &Vec<usize>))| {
        let layout = trial.layouts[i % trial.layouts.len()];
        sample.domains[i].laid_out(layout).of(&Tensor::from_vec(values, &shape[..]))
    };
    values.into_iter().zip(&shapes).enumerate().map(laid_out).collect()
}

/// The inputs of one plain trial, for the table of operations.
pub(crate) fn trial_inputs(sample: &Sample) -> Vec<Tensor> {
    inputs(sample, &Trial { shape: vec![2, 3], layouts: vec![Layout::Contiguous], seed: 1 })
}

fn leaves(tensors: &[Tensor]) -> Vec<Var> {
    tensors.iter().map(|t| Var::new(t.clone()).requires_grad_(true)).collect()
}

fn check_first_derivative(sample: &Sample, trial: &Trial) -> Result<(), String> {
    let inputs = leaves(&inputs(sample, trial));
    let options = GradcheckOptions::default();
    check(|v| sample.run(v, trial.seed), &inputs, options).map_err(|error| error.to_string())
}

fn check_second_derivative(sample: &Sample, trial: &Trial) -> Result<(), String> {
    let inputs = leaves(&inputs(sample, trial));
    let options = GradcheckOptions::default();
    check_second(|v| sample.run(v, trial.seed), &inputs, options).map_err(|error| format!("second: {error}"))
}

/// Values and gradients are those of contiguous inputs and gradients, and the inputs stay as they were.
fn check_layouts(sample: &Sample, trial: &Trial) -> Result<(), String> {
    let strided = inputs(sample, trial);
    let before: Vec<Tensor> = strided.iter().map(Tensor::copy).collect();
    let run = |inputs: &[Tensor], layout: Layout| -> Vec<Tensor> {
        let leaves = leaves(inputs);
        let outputs = sample.run(&leaves, trial.seed);
        let mut pick = Pick::new(trial.seed ^ 1);
        let differentiable: Vec<&Var> = outputs.iter().filter(|output| output.requires_grad()).collect();
        let dys = differentiable.iter().map(|output| {
            let values: Vec<f64> = (0..output.numel()).map(|_| pick.unit() - 0.5).collect();
            Var::new(layout.of(&Tensor::from_vec(values, output.shape())))
        });
        let options = GradOptions { grad_outputs: Some(dys.collect()), materialize_grads: true, ..Default::default() };
        let grads = grad(&differentiable, &leaves.iter().collect::<Vec<_>>(), options);
        outputs.iter().chain(grads.iter().flatten()).map(Var::value).collect()
    };
    // An expanded gradient would have other values; its layout shows in the gradient of a sum.
    let dy_layout = match trial.layouts[0] {
        Layout::Expanded => Layout::Strided,
        layout => layout,
    };
    let got = run(&strided, dy_layout);
    let expected = run(&before, Layout::Contiguous);
    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
        let close = got.shape() == expected.shape() && got.allclose(expected, 1e-10, 1e-12);
        if !close {
            return Err(format!("result or gradient {i}: {got} instead of {expected}"));
        }
    }
    match strided.iter().zip(&before).position(|(after, before)| !after.bit_eq(before)) {
        Some(i) => Err(format!("input {i} changed")),
        None => Ok(()),
    }
}

/// Runs a check over the corner cases and over random trials, which shrink to a small one when they fail.
fn prove(table: Vec<Sample>, corners: &[Trial], cases: u32, check: fn(&Sample, &Trial) -> Result<(), String>) {
    for sample in table {
        for trial in corners {
            check(&sample, trial).unwrap_or_else(|error| panic!("`{}` at {trial:?}: {error}", sample.op));
        }
        // Always the same trials: a failure can be repeated, and no run fails by chance.
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new_with_rng(config, rng)
            .run(&trials(), |trial| check(&sample, &trial).map_err(TestCaseError::fail));
        result.unwrap_or_else(|error| panic!("`{}`: {error}", sample.op));
    }
}

/// The families, each with a test per property.
macro_rules! families {
    ($($(#[$when:meta])? $family:ident),* $(,)?) => {
        fn tables() -> Vec<(&'static str, Vec<Sample>)> {
            Vec::from([$($(#[$when])? (stringify!($family), crate::ops::$family::table())),*])
        }

        $($(#[$when])? mod $family {
            use super::*;

            fn smooth() -> Vec<Sample> {
                crate::ops::$family::table().into_iter().filter(|sample| !sample.loose).collect()
            }

            #[test]
            fn first_derivative() {
                prove(smooth(), &corners(), 64, check_first_derivative);
            }

            #[test]
            fn second_derivative() {
                prove(smooth(), &corners(), 32, check_second_derivative);
            }

            #[test]
            fn layouts() {
                prove(crate::ops::$family::table(), &corners(), 64, check_layouts);
            }
        })*
    };
}

families! {
    activation,
    arithmetic,
    assign,
    attention,
    binary,
    channel_norm,
    compare,
    conv,
    create,
    #[cfg(feature = "linalg")]
    decompose,
    diagonal,
    division,
    dropout,
    einsum,
    embedding,
    extremum,
    index,
    interpolate,
    #[cfg(feature = "linalg")]
    invariants,
    join,
    logic,
    loss,
    matmul,
    norm,
    order,
    pair_loss,
    parts,
    piecewise,
    pool,
    products,
    reduce,
    repeat,
    scan,
    scatter,
    search,
    shape,
    similarity,
    smooth,
    softmax,
    #[cfg(feature = "linalg")]
    solve,
    special,
    statistics,
    ternary,
    trigonometry,
    unary,
    vector_norm,
}

/// Every public method in `ops/` is in its family's table, and every file there is a family.
#[test]
fn every_operation_is_sampled() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ops");
    let tables = tables();
    let mut missing = Vec::new();
    let mut methods = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of operations") {
        let path = entry.expect("an entry").path();
        let family = path.file_stem().expect("a name").to_str().expect("UTF-8").to_string();
        // What this build leaves out.
        let off = !cfg!(feature = "linalg") && ["decompose", "invariants", "solve"].contains(&&*family);
        if family == "mod" || off {
            continue;
        }
        let Some((_, table)) = tables.iter().find(|(name, _)| *name == family) else {
            missing.push(format!("the family {family}"));
            continue;
        };
        let source = std::fs::read_to_string(&path).expect("a source file");
        let operations = source.split("#[cfg(test)]").next().expect("what comes before the tests");
        for line in operations.lines().filter_map(|line| line.strip_prefix("    pub fn ")) {
            let name: String = line.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !table.iter().any(|sample| sample.op == name) && !HELPERS.contains(&&*name) && !name.is_empty() {
                missing.push(format!("{family}::{name}"));
            }
            methods += 1;
        }
    }
    assert!(missing.is_empty(), "not in the property tests: {missing:?}");
    assert!(methods > 80, "only {methods} methods were found; does the search still see them?");
}

/// The gradients at NaN of functions that are made of pieces, which are PyTorch's, recorded or not.
#[test]
fn pieces_at_nan() {
    let nan = f64::NAN;
    type Case = (&'static str, fn(&Var) -> Var, f64);
    let at_nan: [Case; 17] = [
        ("relu", Var::relu, 1.0),
        ("leaky_relu", |x| x.leaky_relu(0.5), 0.5),
        ("relu6", Var::relu6, 1.0),
        ("hardtanh", |x| x.hardtanh(-1.0, 1.0), 1.0),
        ("hardsigmoid", Var::hardsigmoid, 0.0),
        ("hardswish", Var::hardswish, 1.0),
        ("softshrink", |x| x.softshrink(0.5), 1.0),
        ("hardshrink", |x| x.hardshrink(0.5), 1.0),
        ("threshold", |x| x.threshold(0.5, 7.0), 1.0),
        ("elu", |x| x.elu(1.0), 1.0),
        ("celu", |x| x.celu(1.0), 1.0),
        ("selu", Var::selu, tensor::SELU.0),
        ("softplus", |x| x.softplus(1.0, 20.0), nan),
        ("logsigmoid", Var::logsigmoid, nan),
        ("mish", Var::mish, nan),
        ("softsign", Var::softsign, nan),
        ("nan_to_num", |x| x.nan_to_num(0.0, None, None), 0.0),
    ];
    for (name, f, expected) in at_nan {
        for create_graph in [false, true] {
            let x = Var::new(Tensor::from([nan])).requires_grad_(true);
            let options = crate::GradOptions { create_graph, ..Default::default() };
            let dx = crate::grad(&[&f(&x)], &[&x], options)[0].clone().expect("a gradient").item::<f64>();
            assert!(dx == expected || dx.is_nan() && expected.is_nan(), "{name}, recorded {create_graph}: {dx}");
        }
    }
}

/// Every method in `ops/` that gives a `Var`, or several, says what its gradient is.
#[test]
fn every_gradient_is_documented() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ops");
    let (mut silent, mut found) = (Vec::new(), 0);
    for entry in std::fs::read_dir(folder).expect("the folder of operations") {
        let path = entry.expect("an entry").path();
        let source = std::fs::read_to_string(&path).expect("a source file");
        let operations = source.split("#[cfg(test)]").next().expect("what comes before the tests");
        // The documentation since the last line of code, and a signature that may go over several lines.
        let (mut docs, mut signature) = (String::new(), String::new());
        for line in operations.lines().map(str::trim) {
            // What a macro defines: `mse_loss(): PairLoss::Mse;`.
            let defined = !docs.is_empty() && line.contains("): ") && line.ends_with(';') && !line.starts_with("///");
            match line.strip_prefix("///") {
                Some(doc) => docs.push_str(doc),
                None if line.starts_with("pub fn ") || !signature.is_empty() => signature.push_str(line),
                None if line.starts_with("#[") => {}
                None if defined => signature = format!("pub fn {line} -> Var {{"),
                None => docs.clear(),
            }
            if !signature.contains('{') {
                continue;
            }
            let name = signature["pub fn ".len()..].split(['(', '<']).next().expect("a name");
            let gives = signature.split_once("-> ").is_some_and(|(_, result)| result.contains("Var"));
            // What stands in a macro has its name and documentation where the macro is used.
            if gives && !HELPERS.contains(&name) && !name.starts_with('$') {
                found += 1;
                if !docs.contains("# Gradient") {
                    silent.push(format!("{}: {name}", path.display()));
                }
            }
            docs.clear();
            signature.clear();
        }
    }
    assert!(silent.is_empty(), "no word about the gradient: {silent:#?}");
    assert!(found > 250, "only {found} methods were found; does the search still see them?");
}

/// Methods of helper types in `ops/` that are no operations.
const HELPERS: [&str; 3] = ["new", "count", "stretch"];

// What the families' own tests use.

/// The gradient of the sum of `f` at the values of a vector.
pub(crate) fn gradient_at(values: &[f64], f: impl Fn(&Var) -> Var) -> Vec<f64> {
    let x = Var::new(Tensor::from_slice(values, [values.len()])).requires_grad_(true);
    f(&x).sum().backward();
    x.grad().expect("a leaf's gradient").to_vec()
}

/// Asserts that a fused operation and its plain reference agree: values and gradients in f64 and in f32, and the
/// gradients recorded for differentiating again.
pub(crate) fn agrees_with_reference(
    domains: &[Domain],
    shapes: &[&[usize]],
    fused: impl Fn(&[Var]) -> Var,
    reference: impl Fn(&[Var]) -> Var,
) {
    let mut pick = Pick::new(7);
    let values: Vec<Tensor> = shapes
        .iter()
        .zip(domains)
        .map(|(shape, domain)| {
            let Domain::Range(low, high) = *domain else { panic!("agrees_with_reference takes ranges") };
            let values = (0..shape.iter().product()).map(|_| low + (high - low) * pick.unit()).collect::<Vec<f64>>();
            Tensor::from_vec(values, *shape)
        })
        .collect();
    for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 2e-5)] {
        let run = |f: &dyn Fn(&[Var]) -> Var, create_graph: bool| -> Vec<Tensor> {
            let inputs: Vec<Var> = values.iter().map(|v| Var::new(v.to_dtype(dtype)).requires_grad_(true)).collect();
            let y = f(&inputs);
            assert_eq!(y.dtype(), dtype);
            let n = y.numel();
            let dy = Tensor::from_vec((0..n).map(|i| (i as f64 * 0.7).sin()).collect(), y.shape()).to_dtype(dtype);
            let options = GradOptions { grad_outputs: Some(vec![Var::new(dy)]), create_graph, ..Default::default() };
            let grads = grad(&[&y], &inputs.iter().collect::<Vec<_>>(), options);
            std::iter::once(&y).chain(grads.iter().flatten()).map(Var::value).collect()
        };
        let expected = run(&reference, false);
        for create_graph in [false, true] {
            let got = run(&fused, create_graph);
            assert_eq!(got.len(), expected.len(), "a gradient is missing");
            for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                assert_eq!(got.shape(), expected.shape());
                assert!(
                    got.allclose(expected, tolerance, tolerance),
                    "{dtype}, create_graph {create_graph}, result or gradient {i}: {got} instead of {expected}"
                );
            }
        }
    }
}
