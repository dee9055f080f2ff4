//! Derivatives of functions: products with the Jacobian from either side, the Jacobian itself, and their like for second
//! derivatives, with the semantics of `torch.autograd.functional`.
//!
//! `f` takes all inputs and returns one [`Var`] or several (`Vec`, array). It is called with values of its own, so the
//! gradient slots of the inputs stay as they are; what it captures counts as constant.

use tensor::{Shape, Tensor};

use crate::engine::{GradOptions, grad};
use crate::mode::enable_grad;
use crate::var::Var;

/// Options of [`vjp`], [`jvp`], [`vhp`], [`hvp`], [`jacobian`] and [`hessian`]; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, Default)]
pub struct FunctionalOptions {
    /// Record the computation, so that the results can be differentiated by those inputs and vectors that require a
    /// gradient (false).
    pub create_graph: bool,
    /// Panic instead of giving zeros for an input on which an output (or a first derivative) does not depend (false).
    pub strict: bool,
}

/// The outputs `y = f(x)` and the vector-Jacobian product `v J`: one gradient per input, of `sum v y`.
///
/// One forward and one backward pass.
///
/// # Shape
/// `v` has one vector per output, of its shape; it may be `None` when `f` has one output of one element: then it is 1.
///
/// # Panics
/// When an input is not floating point, `v` does not fit, or as `strict` says.
///
/// ```
/// use autograd::{Var, vjp};
/// use tensor::Tensor;
/// let x = Var::new(Tensor::from([1.0, 2.0]));
/// let v = Var::new(Tensor::from([1.0, 10.0]));
/// let (y, dx) = vjp(|x| x[0].square(), &[x], Some(&[v]), Default::default());
/// assert_eq!((y[0].to_vec::<f64>(), dx[0].to_vec::<f64>()), (vec![1.0, 4.0], vec![2.0, 40.0]));
/// ```
#[track_caller]
pub fn vjp<R: Into<Vec<Var>>>(
    f: impl FnOnce(&[Var]) -> R,
    inputs: &[Var],
    v: Option<&[Var]>,
    options: FunctionalOptions,
) -> (Vec<Var>, Vec<Var>) {
    let call = Call { name: "vjp", options };
    let inputs = call.prepare(inputs);
    let outputs: Vec<Var> = enable_grad(|| f(&inputs)).into();
    let v = call.vectors(v, &outputs, "output");
    let products = call.gradients(&outputs, &inputs, &v, options.create_graph);
    (call.finish(outputs), call.finish(products))
}

/// The outputs `y = f(x)` and the Jacobian-vector product `J v`: one derivative per output, in the direction `v`.
///
/// There is no forward mode here: the product is the gradient of `w J v` by `w`, where `w J` is a backward pass that is
/// itself recorded. That takes three times what [`vjp`] does, whatever the number of inputs.
///
/// # Shape
/// `v` has one vector per input, of its shape; it may be `None` when there is one input of one element: then it is 1.
///
/// # Panics
/// When an input is not floating point, `v` does not fit, or as `strict` says.
///
/// ```
/// use autograd::{Var, jvp};
/// use tensor::Tensor;
/// let (x, v) = (Var::new(Tensor::from([1.0, 2.0])), Var::new(Tensor::from([1.0, 10.0])));
/// let (_, dy) = jvp(|x| x[0].square().sum(), &[x], Some(&[v]), Default::default());
/// assert_eq!(dy[0].item::<f64>(), 2.0 + 40.0);
/// ```
#[track_caller]
pub fn jvp<R: Into<Vec<Var>>>(
    f: impl FnOnce(&[Var]) -> R,
    inputs: &[Var],
    v: Option<&[Var]>,
    options: FunctionalOptions,
) -> (Vec<Var>, Vec<Var>) {
    let call = Call { name: "jvp", options };
    let v = call.vectors(v, inputs, "input");
    let inputs = call.prepare(inputs);
    let outputs: Vec<Var> = enable_grad(|| f(&inputs)).into();
    // The pass is linear in these, so any value will do.
    let w: Vec<Var> = outputs
        .iter()
        .map(|output| match output.dtype().is_floating_point() {
            true => Var::new(Tensor::zeros_like(&output.tensor())).requires_grad_(true),
            false => output.detach(),
        })
        .collect();
    let pulled = call.gradients(&outputs, &inputs, &w, true);
    // What is missing here is no input of the caller's.
    let independent = |i: usize| format!("output {i} does not depend on the inputs");
    let products = call.gradients_or(&pulled, &w, &v, options.create_graph, independent);
    (call.finish(outputs), call.finish(products))
}

/// The output `y = f(x)`, of one element, and the vector-Hessian product `v H`: one per input.
///
/// The gradient of `v` times the gradient: two backward passes, however many inputs there are.
///
/// # Shape
/// `v` has one vector per input, of its shape; it may be `None` when there is one input of one element: then it is 1.
///
/// # Panics
/// When an input is not floating point, `f` gives several outputs or elements, `v` does not fit, or as `strict` says.
///
/// ```
/// use autograd::{Var, vhp};
/// use tensor::Tensor;
/// let (x, v) = (Var::new(Tensor::from([1.0, 2.0])), Var::new(Tensor::from([1.0, 1.0])));
/// let (_, product) = vhp(|x| x[0].powf(3.0).sum(), &[x], Some(&[v]), Default::default());
/// assert_eq!(product[0].to_vec::<f64>(), [6.0, 12.0]);
/// ```
#[track_caller]
pub fn vhp<R: Into<Vec<Var>>>(
    f: impl FnOnce(&[Var]) -> R,
    inputs: &[Var],
    v: Option<&[Var]>,
    options: FunctionalOptions,
) -> (Var, Vec<Var>) {
    let call = Call { name: "vhp", options };
    call.vhp(f, inputs, v)
}

/// The output `y = f(x)`, of one element, and the Hessian-vector product `H v`: one per input.
///
/// The Hessian of a function with continuous second derivatives is symmetric, so this is [`vhp`].
///
/// # Panics
/// As [`vhp`].
///
/// # Differs
/// PyTorch takes the transpose by two more passes, which is slower and only differs where the second derivatives jump.
///
/// ```
/// use autograd::{Var, hvp};
/// use tensor::Tensor;
/// let (x, v) = (Var::new(Tensor::from([1.0, 2.0])), Var::new(Tensor::from([1.0, 0.0])));
/// let (_, product) = hvp(|x| x[0].prod(), &[x], Some(&[v]), Default::default());
/// assert_eq!(product[0].to_vec::<f64>(), [0.0, 1.0]);
/// ```
#[track_caller]
pub fn hvp<R: Into<Vec<Var>>>(
    f: impl FnOnce(&[Var]) -> R,
    inputs: &[Var],
    v: Option<&[Var]>,
    options: FunctionalOptions,
) -> (Var, Vec<Var>) {
    let call = Call { name: "hvp", options };
    call.vhp(f, inputs, v)
}

/// The Jacobians of `f`: `[i][j]` has the derivatives of output `i` by input `j`.
///
/// One forward pass, and a backward pass per element of the outputs.
///
/// # Shape
/// That of the output followed by that of the input.
///
/// # Panics
/// When an input is not floating point, or as `strict` says.
///
/// # Differs
/// There are no `vectorize` and `strategy`, which need `vmap` and forward mode. There is always a list of lists.
///
/// ```
/// use autograd::{Var, jacobian};
/// use tensor::Tensor;
/// let (x, y) = (Var::new(Tensor::from([1.0, 2.0])), Var::scalar(3.0));
/// let j = jacobian(|v| &v[0] * &v[1], &[x, y], Default::default());
/// assert!(j[0][0].value().bit_eq(&Tensor::from([[3.0, 0.0], [0.0, 3.0]])));
/// assert!(j[0][1].value().bit_eq(&Tensor::from([1.0, 2.0])));
/// ```
#[track_caller]
pub fn jacobian<R: Into<Vec<Var>>>(
    f: impl FnOnce(&[Var]) -> R,
    inputs: &[Var],
    options: FunctionalOptions,
) -> Vec<Vec<Var>> {
    let call = Call { name: "jacobian", options };
    call.jacobian(f, inputs)
}

/// The Hessian of `f`, which gives one element: `[i][j]` has the derivatives of the gradient of input `i` by input `j`.
///
/// One forward and one recorded backward pass, and a backward pass per element of the inputs.
///
/// # Shape
/// That of input `i` followed by that of input `j`.
///
/// # Panics
/// When an input is not floating point, `f` gives several outputs or elements, or as `strict` says.
///
/// # Differs
/// There are no `vectorize` and `outer_jacobian_strategy`, which need `vmap` and forward mode.
///
/// ```
/// use autograd::{Var, hessian};
/// use tensor::Tensor;
/// let x = Var::new(Tensor::from([2.0, 3.0]));
/// let h = hessian(|x| x[0].prod(), &[x], Default::default());
/// assert!(h[0][0].value().bit_eq(&Tensor::from([[0.0, 1.0], [1.0, 0.0]])));
/// ```
#[track_caller]
pub fn hessian<R: Into<Vec<Var>>>(
    f: impl FnOnce(&[Var]) -> R,
    inputs: &[Var],
    options: FunctionalOptions,
) -> Vec<Vec<Var>> {
    let call = Call { name: "hessian", options };
    let gradient = |inputs: &[Var]| {
        let output = call.single(f(inputs).into());
        let one = Var::new(Tensor::ones_like(&output.tensor()));
        call.gradients(&[output], inputs, &[one], true)
    };
    call.jacobian(gradient, inputs)
}

/// One call of a function of this file, by its name.
#[derive(Clone, Copy)]
struct Call {
    name: &'static str,
    options: FunctionalOptions,
}

impl Call {
    /// The inputs as `f` gets them: leaves of their own, or aliases in the graph if that is to go on.
    #[track_caller]
    fn prepare(&self, inputs: &[Var]) -> Vec<Var> {
        let name = self.name;
        let prepared = inputs.iter().enumerate().map(|(i, input)| {
            let dtype = input.dtype();
            assert!(
                dtype.is_floating_point(),
                "{name}: input {i} is {dtype}; only floating-point values have derivatives"
            );
            match self.options.create_graph && input.requires_grad() {
                true => enable_grad(|| Var::record_unary("alias", input.value(), input, |dy| dy.clone())),
                false => input.detach().requires_grad_(true),
            }
        });
        prepared.collect()
    }

    /// The vectors given, or a single 1: one per value of `like`.
    #[track_caller]
    fn vectors(&self, v: Option<&[Var]>, like: &[Var], what: &str) -> Vec<Var> {
        let name = self.name;
        let Some(v) = v else {
            let single = like.len() == 1 && like[0].numel() == 1;
            assert!(single, "{name}: v can be left out only for a single {what} with a single element");
            return vec![Var::new(Tensor::ones_like(&like[0].tensor()))];
        };
        assert!(v.len() == like.len(), "{name}: {} vectors for {} {what}s", v.len(), like.len());
        for (i, (v, like)) in v.iter().zip(like).enumerate() {
            let (got, expected) = (v.shape(), like.shape());
            assert!(got == expected, "{name}: v[{i}] has shape {got}, {what} {i} has {expected}");
        }
        match self.options.create_graph {
            true => v.to_vec(),
            false => v.iter().map(Var::detach).collect(),
        }
    }

    /// The only output, which has one element.
    #[track_caller]
    fn single(&self, outputs: Vec<Var>) -> Var {
        let (name, count) = (self.name, outputs.len());
        assert!(count == 1, "{name}: the function gives {count} outputs, only one has a Hessian");
        let shape = outputs[0].shape();
        assert!(shape.numel() == 1, "{name}: the function gives shape {shape}, only a single element has a Hessian");
        outputs.into_iter().next().expect("counted above")
    }

    /// The gradients of the inputs; zeros where there are none, unless that is refused.
    #[track_caller]
    fn gradients(&self, outputs: &[Var], inputs: &[Var], seeds: &[Var], create_graph: bool) -> Vec<Var> {
        let independent = |i: usize| format!("what is differentiated does not depend on input {i}");
        self.gradients_or(outputs, inputs, seeds, create_graph, independent)
    }

    /// [`Call::gradients`] with the words for one that is missing.
    #[track_caller]
    fn gradients_or(
        &self,
        outputs: &[Var],
        inputs: &[Var],
        seeds: &[Var],
        create_graph: bool,
        independent: impl Fn(usize) -> String,
    ) -> Vec<Var> {
        let (part, seeds): (Vec<&Var>, Vec<Var>) = outputs
            .iter()
            .zip(seeds)
            .filter(|(output, _)| output.requires_grad())
            .map(|(output, seed)| (output, seed.clone()))
            .unzip();
        let inputs: Vec<&Var> = inputs.iter().collect();
        let wanted: Vec<&Var> = inputs.iter().copied().filter(|input| input.requires_grad()).collect();
        let grads = match wanted.is_empty() {
            true => Vec::new(),
            false => grad(
                &part,
                &wanted,
                GradOptions {
                    grad_outputs: Some(seeds),
                    retain_graph: Some(true),
                    create_graph,
                    allow_unused: Some(true),
                    ..Default::default()
                },
            ),
        };
        let mut grads = grads.into_iter();
        let gradient = |(i, input): (usize, &&Var)| {
            let found = if input.requires_grad() { grads.next().flatten() } else { None };
            found.unwrap_or_else(|| {
                let name = self.name;
                assert!(!self.options.strict, "{name}: {} (strict)", independent(i));
                Var::new(Tensor::zeros_like(&input.tensor()))
            })
        };
        inputs.iter().enumerate().map(gradient).collect()
    }

    #[track_caller]
    fn vhp<R: Into<Vec<Var>>>(
        &self,
        f: impl FnOnce(&[Var]) -> R,
        inputs: &[Var],
        v: Option<&[Var]>,
    ) -> (Var, Vec<Var>) {
        let v = self.vectors(v, inputs, "input");
        let inputs = self.prepare(inputs);
        let output = self.single(enable_grad(|| f(&inputs)).into());
        let one = Var::new(Tensor::ones_like(&output.tensor()));
        let gradients = self.gradients(std::slice::from_ref(&output), &inputs, &[one], true);
        let products = self.gradients(&gradients, &inputs, &v, self.options.create_graph);
        let output = if self.options.create_graph { output } else { output.detach() };
        (output, self.finish(products))
    }

    #[track_caller]
    fn jacobian<R: Into<Vec<Var>>>(&self, f: impl FnOnce(&[Var]) -> R, inputs: &[Var]) -> Vec<Vec<Var>> {
        let inputs = self.prepare(inputs);
        let outputs: Vec<Var> = enable_grad(|| f(&inputs)).into();
        let of_output = |output: &Var| {
            let (shape, dtype) = (output.shape(), output.dtype());
            // Per input, the rows that belong to the elements of the output.
            let mut rows: Vec<Vec<Var>> = vec![Vec::new(); inputs.len()];
            for element in 0..shape.numel() {
                let mut seed = vec![0.0; shape.numel()];
                seed[element] = 1.0;
                let seed = Var::new(Tensor::from_vec(seed, &shape).to_dtype(dtype));
                let output = std::slice::from_ref(output);
                let row = self.gradients(output, &inputs, &[seed], self.options.create_graph);
                rows.iter_mut().zip(row).for_each(|(rows, row)| rows.push(row));
            }
            let stacked = rows.iter().zip(&inputs).map(|(rows, input)| {
                let full: Shape = [&shape[..], &input.shape()[..]].concat().into();
                match rows.is_empty() {
                    true => Var::new(Tensor::zeros(full, input.dtype())),
                    false => enable_grad(|| Var::stack(rows, 0).reshape(full)),
                }
            });
            self.finish(stacked.collect())
        };
        outputs.iter().map(of_output).collect()
    }

    /// The results as the caller gets them.
    fn finish(&self, results: Vec<Var>) -> Vec<Var> {
        match self.options.create_graph {
            true => results,
            false => results.iter().map(Var::detach).collect(),
        }
    }
}
