//! Runs the cases of a family: each is a module (or a function) that the fixture has inputs and results for.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;
use tests::{Fixture, assert_close};

pub use nn::prelude::*;

/// What a case computes from its inputs.
type Function = Box<dyn Fn(&Inputs) -> Vec<Output>>;

/// One case: the module whose state is loaded, if there is one, and what is computed.
pub struct Case {
    module: Option<Rc<dyn Module>>,
    forward: Function,
}

/// The inputs of a case, under their positions.
pub struct Inputs {
    leaves: BTreeMap<usize, Var>,
    constants: BTreeMap<usize, Tensor>,
    dtype: DType,
}

impl Inputs {
    /// The number of inputs.
    pub fn len(&self) -> usize {
        self.leaves.len() + self.constants.len()
    }

    /// The differentiated input at this position.
    pub fn var(&self, position: usize) -> &Var {
        self.leaves.get(&position).unwrap_or_else(|| panic!("input {position} is no differentiated one"))
    }

    /// The input at this position that is not differentiated.
    pub fn tensor(&self, position: usize) -> &Tensor {
        self.constants.get(&position).unwrap_or_else(|| panic!("input {position} is no constant"))
    }

    /// The dtype of the case's floating numbers.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The input at this position as a value without a gradient.
    pub fn constant(&self, position: usize) -> Var {
        Var::new(self.tensor(position).clone())
    }
}

/// An output: a value, or a tensor without gradient.
pub enum Output {
    Var(Var),
    Tensor(Tensor),
}

impl Output {
    fn value(&self) -> Tensor {
        match self {
            Output::Var(var) => var.value(),
            Output::Tensor(tensor) => tensor.clone(),
        }
    }
}

/// What a forward pass may give.
pub trait Outputs {
    fn list(self) -> Vec<Output>;
}

impl Outputs for Var {
    fn list(self) -> Vec<Output> {
        vec![Output::Var(self)]
    }
}

impl Outputs for Tensor {
    fn list(self) -> Vec<Output> {
        vec![Output::Tensor(self)]
    }
}

impl<T: Outputs> Outputs for Vec<T> {
    fn list(self) -> Vec<Output> {
        self.into_iter().flat_map(Outputs::list).collect()
    }
}

impl<A: Outputs, B: Outputs> Outputs for (A, B) {
    fn list(self) -> Vec<Output> {
        [self.0.list(), self.1.list()].into_iter().flatten().collect()
    }
}

/// A layer with one input.
pub fn layer<M: Forward>(layer: M) -> Case {
    module(layer, |m, x| m.forward(x.var(0)))
}

/// A module with any inputs.
pub fn module<M: Module, R: Outputs>(module: M, forward: impl Fn(&M, &Inputs) -> R + 'static) -> Case {
    let module = Rc::new(module);
    let shared = module.clone();
    Case { module: Some(module), forward: Box::new(move |x| forward(&shared, x).list()) }
}

/// A function without state.
pub fn function<R: Outputs>(forward: impl Fn(&Inputs) -> R + 'static) -> Case {
    Case { module: None, forward: Box::new(move |x| forward(x).list()) }
}

/// The cases of a family by name, and the tests of them. The names must be those of the fixture.
macro_rules! cases {
    ($family:literal: $($name:literal => $case:expr),+ $(,)?) => {
        #[test]
        fn agree_with_pytorch_in_f64() {
            check($family, &[$(($name, &|| $case)),+], DType::F64, 1e-9);
        }

        #[test]
        fn agree_with_pytorch_in_f32() {
            check($family, &[$(($name, &|| $case)),+], DType::F32, 1e-5);
        }
    };
}
pub(crate) use cases;

pub fn check(family: &str, cases: &[(&str, &dyn Fn() -> Case)], dtype: DType, tolerance: f64) {
    let fixture = Fixture::load(&format!("modules/{family}"));
    let about: Value = serde_json::from_str(&fixture.metadata("about")).unwrap();
    let mut known: Vec<&str> = cases.iter().map(|(name, _)| *name).collect();
    known.sort();
    let mut stored: Vec<&str> = about["cases"].as_object().unwrap().keys().map(String::as_str).collect();
    stored.sort();
    assert_eq!(known, stored, "{family}: the cases here and those of the fixture");
    for (name, case) in cases {
        println!("{family}: {name}");
        run(name, case(), &fixture, &about["cases"][name], dtype, tolerance);
    }
}

fn run(name: &str, Case { module, forward }: Case, fixture: &Fixture, about: &Value, dtype: DType, tolerance: f64) {
    let convert = |tensor: Tensor| if tensor.dtype().is_floating_point() { tensor.to_dtype(dtype) } else { tensor };
    let numbered = |prefix: &str| {
        let parts = fixture.parts(name, prefix).into_iter();
        parts.map(|(i, tensor)| (i.parse::<usize>().unwrap(), convert(tensor)))
    };
    if let Some(module) = &module {
        let keys: Vec<String> = module.state_dict().into_keys().collect();
        let expected: Vec<String> = serde_json::from_value(about["keys"].clone()).unwrap();
        assert_eq!(keys, expected, "{name}: the keys of the state dict");
        // PyTorch has a linear layer of its own in attention, for quantisation.
        let printed = about["repr"].as_str().unwrap().replace("NonDynamicallyQuantizableLinear", "Linear");
        assert_eq!(module.as_module().to_string(), printed, "{name}: the printed module");
        module.to_dtype(dtype);
        let state = fixture.parts(name, "state.").into_iter().collect();
        module.load_state_dict(&state).unwrap_or_else(|e| panic!("{name}: {e}"));
        module.set_training(about["train"].as_bool().unwrap());
    }

    let inputs = Inputs {
        leaves: numbered("in.").map(|(i, tensor)| (i, Var::new(tensor).requires_grad_(true))).collect(),
        constants: numbered("const.").collect(),
        dtype,
    };
    let outputs = forward(&inputs);
    let expected: BTreeMap<usize, Tensor> = numbered("out.").collect();
    assert_eq!(outputs.len(), expected.len(), "{name}: the number of outputs");
    for (output, (i, expected)) in outputs.iter().zip(&expected) {
        let output = output.value();
        assert_eq!(output.dtype(), expected.dtype(), "{name}: the dtype of output {i}");
        assert_close(&format!("{name}: output {i}"), &output, expected, tolerance);
    }

    let differentiated = outputs.iter().filter_map(|output| match output {
        Output::Var(var) if var.requires_grad() => Some(var),
        _ => None,
    });
    let losses = differentiated.map(|y| {
        // A scalar counts as it is: the sine of 0 would hide its gradient.
        let weight = |i: usize| if y.ndim() == 0 { 1.0 } else { (i as f64).sin() };
        let weights = (0..y.numel()).map(weight).collect::<Vec<_>>();
        (y * Var::new(Tensor::from_vec(weights, y.shape()).to_dtype(dtype))).sum()
    });
    if let Some(loss) = losses.reduce(|a, b| a + b) {
        loss.backward();
    }

    // Where PyTorch has no gradient, none or zeros will do.
    let compare = |what: String, var: &Var, expected: Option<Tensor>| match (var.grad(), expected) {
        (None, None) => {}
        (Some(found), None) => assert_close(&what, &found.value(), &var.value().zeros_like(), 0.0),
        (None, Some(_)) => panic!("{what}: there is no gradient"),
        (Some(found), Some(expected)) => assert_close(&what, &found.value(), &convert(expected), tolerance),
    };
    let mut gradients: BTreeMap<usize, Tensor> = numbered("grad.in.").collect();
    for (i, leaf) in &inputs.leaves {
        compare(format!("{name}: the gradient of input {i}"), leaf, gradients.remove(i));
    }
    assert!(gradients.is_empty(), "{name}: gradients of inputs that there are not: {:?}", gradients.keys());
    if let Some(module) = &module {
        let mut gradients: BTreeMap<String, Tensor> = fixture.parts(name, "grad.state.").into_iter().collect();
        for (key, parameter) in module.named_parameters() {
            compare(format!("{name}: the gradient of {key}"), &parameter, gradients.remove(&key));
        }
        assert!(gradients.is_empty(), "{name}: gradients of parameters that there are not: {:?}", gradients.keys());
        let state = module.state_dict();
        for (key, expected) in fixture.parts(name, "after.") {
            assert_close(&format!("{name}: {key} afterwards"), &state[&key], &convert(expected), tolerance);
        }
    }
}
