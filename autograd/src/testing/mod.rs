//! The property tests that every operation goes through.
//!
//! An operation enters with one line, a [`Sample`], in the table at the end of its own file. From that line come: the
//! first derivative and the second against central differences in f64, the agreement of every layout of the inputs and
//! of the gradient with contiguous ones, and that the inputs stay as they were. Shapes run from 0-d over empty to
//! broadcast; see the rules at the end.

mod complete;
pub(crate) mod conformance;
mod halves;
mod shapes;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use tensor::{DType, Tensor};

use crate::gradcheck::{check, check_second};
use crate::strategy::{self, elements};
pub(crate) use crate::strategy::{Domain, Layout};
use crate::{GradOptions, GradcheckOptions, Var, grad};
pub(crate) use shapes::*;

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
    ctc,
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
