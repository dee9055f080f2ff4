//! The two-layer network of CMU 10-301's lecture 28, differentiated in the lecture's three ways.
//!
//! ```text
//! a = alpha x,  z = sigmoid(a),  b = beta z,  y_hat = softmax(b),  J = -y^T log y_hat
//! ```
//!
//! 1. [`procedural`]: NNForward and NNBackward written out by hand.
//! 2. [`tape`]: modules that know their own backward, on an explicit global tape.
//! 3. [`graph`]: the dynamic graph that `autograd` records while the values are computed.
//!
//! Vectors are columns `[n, 1]` in f64; the gradients agree to 1e-12.
//!
//!     cargo run --release -p models --example lecture_three_ways

use tensor::{DType, Generator, Tensor};

/// A training example and the parameters.
pub struct Example {
    /// The input `[m, 1]`.
    pub x: Tensor,
    /// The one-hot target `[k, 1]`.
    pub y: Tensor,
    /// The first layer `[d, m]`.
    pub alpha: Tensor,
    /// The second layer `[k, d]`.
    pub beta: Tensor,
}

impl Example {
    /// Random numbers for these sizes.
    pub fn random(m: usize, d: usize, k: usize, seed: u64) -> Example {
        let mut rng = Generator::new(seed);
        let mut normal = |shape: [usize; 2]| Tensor::randn_with(shape, DType::F64, &mut rng);
        let (x, alpha, beta) = (normal([m, 1]), normal([d, m]), normal([k, d]));
        let y = Tensor::from([1_i64]).one_hot(k).to_dtype(DType::F64).t();
        Example { x, y, alpha, beta }
    }
}

/// The loss and its gradient with respect to every quantity, under the lecture's names.
pub struct Gradients {
    /// The loss.
    pub j: f64,
    /// `(name, gradient)` of y_hat, b, beta, z, a, alpha.
    pub g: Vec<(&'static str, Tensor)>,
}

// ------------------------------------------------------------------------------------------------ 1. procedural

/// The quantities that the forward computation leaves for the backward one.
struct Intermediates {
    z: Tensor,
    y_hat: Tensor,
    j: Tensor,
}

fn nn_forward(Example { x, y, alpha, beta }: &Example) -> Intermediates {
    let a = alpha.matmul(x);
    let z = a.sigmoid();
    let b = beta.matmul(&z);
    let y_hat = b.softmax(0);
    let j = -y.t().matmul(&y_hat.log());
    Intermediates { z, y_hat, j }
}

fn nn_backward(Example { x, y, beta, .. }: &Example, Intermediates { z, y_hat, j }: &Intermediates) -> Gradients {
    let g_j = 1.0; // the base case dJ/dJ
    let g_y_hat = -g_j * (y / y_hat);
    let diag = Tensor::eye(y_hat.dim(0), DType::F64) * y_hat;
    let g_b = g_y_hat.t().matmul(&(diag - y_hat.matmul(&y_hat.t()))); // a row, as in the lecture
    let g_beta = g_b.t().matmul(&z.t());
    let g_z = beta.t().matmul(&g_b.t());
    let g_a = &g_z * z * (1.0 - z);
    let g_alpha = g_a.matmul(&x.t());
    let g_b = g_b.t();
    let g = vec![("y_hat", g_y_hat), ("b", g_b), ("beta", g_beta), ("z", g_z), ("a", g_a), ("alpha", g_alpha)];
    Gradients { j: j.item::<f64>(), g }
}

/// Forward and backward by hand.
pub fn procedural(example: &Example) -> Gradients {
    nn_backward(example, &nn_forward(example))
}

// ------------------------------------------------------------------------------------- 2. modules on a global tape

/// Modules that remember what they computed, and the tape on which they stand in that order.
mod modules {
    use std::cell::{OnceCell, RefCell};
    use std::rc::Rc;

    use tensor::{DType, Tensor};

    thread_local! {
        /// The global tape: the modules in the order in which they were applied.
        static TAPE: RefCell<Vec<Rc<Module>>> = const { RefCell::new(Vec::new()) };
    }

    /// What a kind of module computes, and its derivative.
    pub trait Function {
        /// The output for these inputs.
        fn forward(&self, inputs: &[Tensor]) -> Tensor;
        /// The gradient of each input, given the gradient of the output; `None` for a target.
        fn backward(&self, inputs: &[Tensor], out: &Tensor, g_out: &Tensor) -> Vec<Option<Tensor>>;
    }

    /// A module: a function and what one application of it left behind.
    pub struct Module {
        function: Box<dyn Function>,
        in_modules: OnceCell<Vec<Rc<Module>>>,
        out_tensor: OnceCell<Tensor>,
        /// Begins at zero, and at one for the last module: the lecture's `1` for all would count too much.
        out_gradient: RefCell<Option<Tensor>>,
    }

    impl Module {
        pub fn new(function: impl Function + 'static) -> Rc<Module> {
            let function = Box::new(function);
            let (in_modules, out_tensor) = (OnceCell::new(), OnceCell::new());
            Rc::new(Module { function, in_modules, out_tensor, out_gradient: RefCell::new(None) })
        }

        /// A module without inputs whose output is `value`: data or a parameter.
        pub fn constant(value: &Tensor) -> Rc<Module> {
            let module = Module::new(Constant);
            module.out_tensor.set(value.clone()).expect("a new module has no output");
            module
        }

        pub fn out_tensor(&self) -> &Tensor {
            self.out_tensor.get().expect("apply_fwd comes before its output is used")
        }

        pub fn out_gradient(&self) -> Tensor {
            self.out_gradient.borrow().clone().expect("tape_bwd comes before gradients are read")
        }

        fn in_tensors(&self) -> Vec<Tensor> {
            let inputs = self.in_modules.get().map_or(&[][..], Vec::as_slice);
            inputs.iter().map(|module| module.out_tensor().clone()).collect()
        }

        pub fn apply_fwd(self: &Rc<Module>, in_modules: &[&Rc<Module>]) -> Rc<Module> {
            let in_modules = in_modules.iter().map(|&module| module.clone()).collect();
            assert!(self.in_modules.set(in_modules).is_ok(), "a module is applied once");
            let out = self.function.forward(&self.in_tensors());
            assert!(self.out_tensor.set(out).is_ok(), "a module is applied once");
            TAPE.with_borrow_mut(|tape| tape.push(self.clone()));
            self.clone()
        }

        fn apply_bwd(&self) {
            let in_gradients = self.function.backward(&self.in_tensors(), self.out_tensor(), &self.out_gradient());
            let in_modules = self.in_modules.get().map_or(&[][..], Vec::as_slice);
            for (module, gradient) in in_modules.iter().zip(in_gradients) {
                if let Some(gradient) = gradient {
                    module.add_gradient(gradient);
                }
            }
        }

        fn add_gradient(&self, gradient: Tensor) {
            let mut sum = self.out_gradient.borrow_mut();
            *sum = Some(match sum.take() {
                None => gradient,
                Some(before) => before + gradient,
            });
        }
    }

    /// Runs the tape backward and leaves it empty.
    pub fn tape_bwd() {
        let last = TAPE.with_borrow(|tape| tape.last().cloned()).expect("something was applied");
        last.add_gradient(Tensor::ones(last.out_tensor().dims(), DType::F64));
        while let Some(module) = TAPE.with_borrow_mut(Vec::pop) {
            module.apply_bwd();
        }
    }

    struct Constant;
    impl Function for Constant {
        fn forward(&self, _: &[Tensor]) -> Tensor {
            unreachable!("a constant is never applied")
        }
        fn backward(&self, _: &[Tensor], _: &Tensor, _: &Tensor) -> Vec<Option<Tensor>> {
            Vec::new()
        }
    }

    pub struct Linear;
    impl Function for Linear {
        fn forward(&self, inputs: &[Tensor]) -> Tensor {
            let [a, omega] = inputs else { panic!("Linear has two inputs") };
            omega.matmul(a)
        }
        fn backward(&self, inputs: &[Tensor], _: &Tensor, g_b: &Tensor) -> Vec<Option<Tensor>> {
            let [a, omega] = inputs else { panic!("Linear has two inputs") };
            vec![Some(omega.t().matmul(g_b)), Some(g_b.matmul(&a.t()))]
        }
    }

    pub struct Sigmoid;
    impl Function for Sigmoid {
        fn forward(&self, inputs: &[Tensor]) -> Tensor {
            inputs[0].sigmoid()
        }
        fn backward(&self, _: &[Tensor], b: &Tensor, g_b: &Tensor) -> Vec<Option<Tensor>> {
            vec![Some(g_b * b * (1.0 - b))]
        }
    }

    pub struct Softmax;
    impl Function for Softmax {
        fn forward(&self, inputs: &[Tensor]) -> Tensor {
            inputs[0].softmax(0)
        }
        fn backward(&self, _: &[Tensor], b: &Tensor, g_b: &Tensor) -> Vec<Option<Tensor>> {
            let diag = Tensor::eye(b.dim(0), DType::F64) * b;
            vec![Some(g_b.t().matmul(&(diag - b.matmul(&b.t()))).t())]
        }
    }

    pub struct CrossEntropy;
    impl Function for CrossEntropy {
        fn forward(&self, inputs: &[Tensor]) -> Tensor {
            let [a, a_hat] = inputs else { panic!("CrossEntropy has two inputs") };
            -a.t().matmul(&a_hat.log())
        }
        fn backward(&self, inputs: &[Tensor], _: &Tensor, g_b: &Tensor) -> Vec<Option<Tensor>> {
            let [a, a_hat] = inputs else { panic!("CrossEntropy has two inputs") };
            vec![None, Some(-g_b * (a / a_hat))]
        }
    }
}

/// The lecture's `NeuralNetwork` of modules: forward pushes them on the tape, `tape_bwd` follows it back.
pub fn tape(Example { x, y, alpha, beta }: &Example) -> Gradients {
    use modules::{CrossEntropy, Linear, Module, Sigmoid, Softmax, tape_bwd};
    let [x, y, alpha, beta] = [x, y, alpha, beta].map(Module::constant);
    let lin1_layer = Module::new(Linear);
    let sig_layer = Module::new(Sigmoid);
    let lin2_layer = Module::new(Linear);
    let soft_layer = Module::new(Softmax);
    let ce_layer = Module::new(CrossEntropy);

    let a = lin1_layer.apply_fwd(&[&x, &alpha]);
    let z = sig_layer.apply_fwd(&[&a]);
    let b = lin2_layer.apply_fwd(&[&z, &beta]);
    let y_hat = soft_layer.apply_fwd(&[&b]);
    let j = ce_layer.apply_fwd(&[&y, &y_hat]);
    tape_bwd();

    let named = [("y_hat", y_hat), ("b", b), ("beta", beta), ("z", z), ("a", a), ("alpha", alpha)];
    let g = named.into_iter().map(|(name, module)| (name, module.out_gradient())).collect();
    Gradients { j: j.out_tensor().item::<f64>(), g }
}

// ------------------------------------------------------------------------------------------- 3. the dynamic graph

/// The same values as `Var`s: the graph is recorded on the way and followed back by `backward`.
pub fn graph(Example { x, y, alpha, beta }: &Example) -> Gradients {
    use autograd::Var;
    let [x, y] = [x, y].map(|tensor| Var::new(tensor.clone()));
    let [alpha, beta] = [alpha, beta].map(|tensor| Var::new(tensor.clone()).requires_grad_(true));

    let a = alpha.matmul(&x);
    let z = a.sigmoid();
    let b = beta.matmul(&z);
    let y_hat = b.softmax(0);
    let j = -(y * y_hat.log()).sum();

    // Only leaves keep their gradients; these are wanted for the comparison.
    for intermediate in [&a, &z, &b, &y_hat] {
        intermediate.retain_grad();
    }
    j.backward();

    let named = [("y_hat", y_hat), ("b", b), ("beta", beta), ("z", z), ("a", a), ("alpha", alpha)];
    let gradient = |var: Var| var.grad().expect("backward reached every quantity").value();
    let g = named.into_iter().map(|(name, var)| (name, gradient(var))).collect();
    Gradients { j: j.value().item::<f64>(), g }
}

/// The largest difference between two sets of gradients, the loss included.
pub fn difference(a: &Gradients, b: &Gradients) -> f64 {
    let each = a.g.iter().zip(&b.g).map(|((name, a), (other, b))| {
        assert_eq!(name, other);
        assert_eq!(a.dims(), b.dims(), "{name}");
        (a - b).abs().max().item::<f64>()
    });
    each.fold((a.j - b.j).abs(), f64::max)
}

fn main() {
    let example = Example::random(4, 3, 3, 28);
    let by_hand = procedural(&example);
    println!("J = {:.12}\n", by_hand.j);
    for (name, gradient) in &by_hand.g {
        println!("g_{name} = {gradient}\n");
    }
    for (name, way) in [("the modules' tape", tape(&example)), ("the dynamic graph", graph(&example))] {
        let difference = difference(&by_hand, &way);
        println!("{name} differs from the gradients by hand by at most {difference:.1e}");
        assert!(difference <= 1e-12, "{name}: {difference}");
    }
}
