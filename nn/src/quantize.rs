//! Weights in 8 or 4 bits, for generation: a model in a quarter or a seventh of the memory, whose decoding reads as much less.

use tensor::Error;
pub use tensor::Precision;

use crate::{Embedding, Linear, Module, MultiheadAttention, Parameter};

/// Options of [`quantize`].
#[derive(Debug, Clone)]
pub struct QuantizeOptions {
    /// How the weights are stored (default: [`Precision::Int8`]).
    pub precision: Precision,
    /// Which weights: those whose path has one of these names in it, as whole parts between dots, such as `"up"`,
    /// `"attention"`, `"blocks.0"` or `"tokens.weight"` (default: none, which means all that can be).
    pub targets: Vec<String>,
    /// Which weights are left as they are, by names of the same kind (default: none).
    pub exclude: Vec<String>,
}

impl Default for QuantizeOptions {
    fn default() -> QuantizeOptions {
        QuantizeOptions { precision: Precision::Int8, targets: Vec::new(), exclude: Vec::new() }
    }
}

/// Quantises the weights of [`Linear`] layers, of [`Embedding`]s and of the projections of [`MultiheadAttention`], lets go of
/// their floats, and returns their paths.
///
/// Biases, norms and everything else stay as they are, and so do embeddings with a `max_norm`, which change when they are read.
/// Activations are f32: only the weights are quantised, see [`QuantizedMatrix`](tensor::QuantizedMatrix) for the formulas and their
/// errors. A tied weight, such as that of a head which is the embedding, is quantised once, under its first path, if that
/// is wanted; where it is tied to a parameter of another kind of layer, that layer refuses to compute with it. Weights that
/// are quantised already are left out.
///
/// Quantised weights are frozen. Gradients of the input flow through them, so that low-rank adapters can be trained on top:
/// [`add_lora`](crate::lora::add_lora) after this function is QLoRA (Dettmers et al., 2023). State dicts have them in f32.
///
/// # Errors
/// When a weight is NaN or infinite or the precision has no such group: names the weight. Those before it are quantised then.
///
/// # Panics
/// When a name in the options is in no path, or nothing is left to quantise.
///
/// ```
/// use nn::prelude::*;
/// use nn::quantize::{Precision, QuantizeOptions, quantize};
///
/// let model = sequential![Linear::new(64, 128), GELU::new(), Linear::new(128, 10)];
/// let x = Var::new(Tensor::randn([5, 64], DType::F32));
/// let before = model.forward(&x).value();
/// let options = QuantizeOptions { exclude: vec!["2".to_owned()], ..Default::default() };
/// assert_eq!(quantize(&model, &options)?, ["0.weight"]);
/// assert!(model.forward(&x).value().allclose(&before, 0.0, 0.05));
/// # Ok::<(), tensor::Error>(())
/// ```
#[track_caller]
pub fn quantize(model: &dyn Module, options: &QuantizeOptions) -> Result<Vec<String>, Error> {
    let QuantizeOptions { precision, targets, exclude } = options;
    let weights = quantizable(model);
    let is = |path: &str, name: &str| !name.is_empty() && format!(".{path}.").contains(&format!(".{name}."));
    let unknown: Vec<&str> = targets
        .iter()
        .chain(exclude)
        .filter(|name| !weights.iter().any(|(path, _)| is(path, name)))
        .map(String::as_str)
        .collect();
    let known = || weights.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(", ");
    assert!(
        unknown.is_empty(),
        "quantize: there is no weight of this name: {}\n  weights {}",
        unknown.join(", "),
        known()
    );
    let chosen: Vec<&(String, &Parameter)> = weights
        .iter()
        .filter(|(path, _)| targets.is_empty() || targets.iter().any(|name| is(path, name)))
        .filter(|(path, _)| !exclude.iter().any(|name| is(path, name)))
        .collect();
    assert!(!chosen.is_empty(), "quantize: nothing is left to quantise\n  weights {}", known());
    for (path, weight) in &chosen {
        weight.quantize(*precision).map_err(|error| Error::new(error.kind(), format!("{path}: {error}")))?;
    }
    // The floats are in the pool now, which would keep them for the next tensors of their sizes.
    tensor::memory::trim();
    Ok(chosen.into_iter().map(|(path, _)| path.clone()).collect())
}

/// Makes every quantised parameter of the model one of f32 again, with the values that it has; they stay frozen.
pub fn dequantize(model: &dyn Module) {
    model.parameters().iter().for_each(Parameter::dequantize);
}

/// The weights that [`quantize`] takes where nothing else is said and that are not quantised yet, each under its first path.
///
/// ```
/// use nn::prelude::*;
/// use nn::quantize::quantizable;
///
/// let model = sequential![Linear::new(10, 4), LayerNorm::new(4), Linear::new(4, 2)];
/// let paths: Vec<String> = quantizable(&model).into_iter().map(|(path, _)| path).collect();
/// assert_eq!(paths, ["0.weight", "2.weight"]);
/// ```
pub fn quantizable(model: &dyn Module) -> Vec<(String, &Parameter)> {
    fn below<'a>(module: &'a dyn Module, path: &str, found: &mut Vec<(String, &'a Parameter)>) {
        let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let mut add = |name: &str, weight: &'a Parameter| {
            if weight.quantized().is_none() && !found.iter().any(|(_, known)| known.ptr_eq(weight)) {
                found.push((join(name), weight));
            }
        };
        if let Some(linear) = module.downcast_ref::<Linear>() {
            // Below it are its adapters, which are trained.
            return add("weight", &linear.weight);
        }
        if let Some(table) = module.downcast_ref::<Embedding>()
            && !table.changes_when_read()
        {
            add("weight", &table.weight);
        }
        if let Some(attention) = module.downcast_ref::<MultiheadAttention>() {
            let projections = [
                ("in_proj_weight", &attention.in_proj_weight),
                ("q_proj_weight", &attention.q_proj_weight),
                ("k_proj_weight", &attention.k_proj_weight),
                ("v_proj_weight", &attention.v_proj_weight),
            ];
            for (name, weight) in projections {
                weight.iter().for_each(|weight| add(name, weight));
            }
        }
        for (name, child) in module.named_children() {
            below(child, &join(&name), found);
        }
    }
    let mut found = Vec::new();
    below(model, "", &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lora::{LoraOptions, add_lora, merge_lora};
    use crate::prelude::*;

    /// The parts of a language model, with a tied head.
    #[derive(Module)]
    struct Tiny {
        tokens: Embedding,
        attention: MultiheadAttention,
        norm: LayerNorm,
        up: Linear,
        down: Linear,
        head: Linear,
    }

    impl Tiny {
        fn new() -> Tiny {
            let options = MultiheadAttentionOptions { batch_first: true, ..Default::default() };
            let tokens = Embedding::new(50, 64);
            let head = Linear::from_parameters(tokens.weight.clone(), None);
            let attention = MultiheadAttention::with(64, 4, options);
            Tiny {
                tokens,
                attention,
                norm: LayerNorm::new(64),
                up: Linear::new(64, 256),
                down: Linear::new(256, 64),
                head,
            }
        }

        fn logits(&self, ids: &Tensor) -> Var {
            let x = self.tokens.forward(ids);
            let x = &x + self.attention.forward(&x, &x, &x, &AttentionMasks::causal());
            let x = &x + self.down.forward(&self.up.forward(&self.norm.forward(&x)).gelu());
            self.tokens.attend(&x)
        }
    }

    const PATHS: [&str; 5] =
        ["tokens.weight", "attention.in_proj_weight", "attention.out_proj.weight", "up.weight", "down.weight"];

    fn ids() -> Tensor {
        Tensor::randint_with(0, 50, [2, 12], &mut tensor::Generator::new(1))
    }

    fn with(precision: Precision) -> QuantizeOptions {
        QuantizeOptions { precision, ..Default::default() }
    }

    #[test]
    fn a_model_gives_nearly_its_logits_and_exactly_those_of_its_state_dict() {
        manual_seed(1);
        // The noise of a product relative to it is that of the weights, 0.008 or 0.09 (see QuantizedMatrix), from each of
        // the five weights on the way.
        for (precision, tolerance) in [(Precision::Int8, 0.03), (Precision::INT4, 0.3)] {
            let (model, copy) = (Tiny::new(), Tiny::new());
            let before = model.logits(&ids()).value();
            let (count, shape) = (model.num_parameters(), model.up.weight.shape());
            assert_eq!(quantize(&model, &with(precision)).unwrap(), PATHS);
            assert_eq!((model.num_parameters(), model.up.weight.shape()), (count, shape));
            let after = model.logits(&ids()).value();
            let norm = |x: &Tensor| (x * x).mean().sqrt().item::<f64>();
            let error = norm(&(&after - &before)) / norm(&before);
            assert!(error < tolerance && error > tolerance / 100.0, "{precision}: {error}");
            copy.load_state_dict(&model.state_dict()).unwrap();
            let plain = copy.logits(&ids()).value();
            assert!(plain.allclose(&after, 1e-4, 1e-4));
            assert!(model.head.forward(&Var::new(Tensor::ones([1, 64], DType::F32))).value().dims() == [1, 50]);
        }
    }

    #[test]
    fn separate_projections_and_parts_of_joined_ones_are_read() {
        manual_seed(2);
        for kdim in [None, Some(24)] {
            let options = MultiheadAttentionOptions { kdim, batch_first: true, ..Default::default() };
            let (attention, copy) =
                (MultiheadAttention::with(32, 4, options), MultiheadAttention::with(32, 4, options));
            let paths = quantize(&attention, &with(Precision::Int8)).unwrap();
            assert_eq!(paths.len(), if kdim.is_some() { 4 } else { 2 });
            copy.load_state_dict(&attention.state_dict()).unwrap();
            let draw = |e: usize| Var::new(Tensor::randn([2, 5, e], DType::F32));
            let (q, k, v) = (draw(32), draw(kdim.unwrap_or(32)), draw(32));
            let of = |module: &MultiheadAttention| module.forward(&q, &k, &v, &AttentionMasks::none()).value();
            assert!(of(&attention).allclose(&of(&copy), 1e-4, 1e-5));
        }
    }

    #[test]
    fn input_and_bias_get_the_gradients_of_the_dequantised_layer() {
        manual_seed(3);
        for shape in [&[40][..], &[3, 40], &[2, 3, 40]] {
            let layer = Linear::new(40, 7);
            quantize(&layer, &with(Precision::INT4)).unwrap();
            let plain = Linear::from_parameters(Parameter::new(layer.weight.value()), layer.bias.clone());
            let x = Var::new(Tensor::randn(shape.to_vec(), DType::F32)).requires_grad_(true);
            let mut grads = Vec::new();
            for layer in [&layer, &plain] {
                x.zero_grad();
                layer.zero_grad();
                // A square, so that the gradient depends on the input and can be differentiated again.
                let square = || {
                    let y = layer.forward(&x);
                    (&y * &y).sum()
                };
                let options = autograd::GradOptions { create_graph: true, ..Default::default() };
                let first = autograd::grad(&[&square()], &[&x], options);
                let first = first[0].as_ref().expect("the input has a part");
                (first * first).sum().backward();
                square().backward();
                grads.push([x.grad().unwrap().value(), layer.bias.as_ref().unwrap().grad().unwrap().value()]);
            }
            for (a, b) in grads[0].iter().zip(&grads[1]) {
                assert!(a.allclose(b, 1e-4, 1e-4), "{a}\n{b}");
            }
            assert!(layer.weight.grad().is_none());
        }
    }

    #[test]
    fn adapters_train_on_a_quantised_base() {
        manual_seed(4);
        let model = sequential![Linear::new(16, 32), ReLU::new(), Linear::new(32, 4)];
        quantize(&model, &with(Precision::Int8)).unwrap();
        add_lora(&model, &LoraOptions { rank: 2, ..Default::default() });
        // The adapters are no weights to quantise.
        let found = quantizable(&model).len();
        assert_eq!(found, 0);
        let x = Var::new(Tensor::randn([8, 16], DType::F32));
        let base = model.state_dict()["0.weight"].clone();
        for _ in 0..2 {
            model.zero_grad();
            (model.forward(&x) - 1.0).powf(2.0).mean().backward();
            for parameter in model.parameters().iter().filter(|parameter| parameter.requires_grad()) {
                let gradient = parameter.grad().expect("adapters have gradients").value();
                parameter.update(|value| *value = &*value - &(gradient * 0.1));
            }
        }
        assert!(model.state_dict()["0.weight"].bit_eq(&base));
        let adapted = model.forward(&x).value();
        merge_lora(&model);
        assert!(model.parameters().iter().all(|parameter| parameter.quantized().is_none()));
        assert!(model.forward(&x).value().allclose(&adapted, 1e-4, 1e-4));
    }

    #[test]
    fn names_choose_and_unknown_ones_are_refused() {
        let options = |targets: &[&str], exclude: &[&str]| {
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            QuantizeOptions { targets: names(targets), exclude: names(exclude), ..Default::default() }
        };
        let paths = |targets: &[&str], exclude: &[&str]| quantize(&Tiny::new(), &options(targets, exclude)).unwrap();
        assert_eq!(paths(&["up", "attention"], &["out_proj"]), ["attention.in_proj_weight", "up.weight"]);
        assert_eq!(paths(&[], &["tokens", "attention", "down.weight"]), ["up.weight"]);
        let refused = std::panic::catch_unwind(|| paths(&["u"], &[])).unwrap_err();
        let message = refused.downcast_ref::<String>().unwrap();
        assert!(
            message.contains("quantize: there is no weight of this name: u\n  weights tokens.weight, "),
            "{message}"
        );
        assert!(std::panic::catch_unwind(|| paths(&["up"], &["up"])).is_err());
        let limited = Embedding::with(4, 32, EmbeddingOptions { max_norm: Some(1.0), ..Default::default() });
        assert!(quantizable(&limited).is_empty());
    }

    #[test]
    fn a_weight_that_is_not_finite_is_named() {
        let model = sequential![Linear::new(2, 2), Linear::new(2, 2)];
        let second = model.get_parameter("1.weight").unwrap();
        init::constant_(&second, f64::NAN);
        let error = quantize(&model, &with(Precision::Int8)).unwrap_err().to_string();
        assert!(error.starts_with("1.weight: quantize: row 0"), "{error}");
        assert!(second.quantized().is_none() && second.requires_grad());
    }

    #[test]
    fn whoever_sets_a_value_makes_floats_of_it() {
        let quantised = || {
            let layer = Linear::new(40, 3);
            quantize(&layer, &with(Precision::Int8)).unwrap();
            layer
        };
        let layer = quantised();
        let value = layer.weight.value();
        layer.to_dtype(DType::BF16);
        assert!(layer.weight.quantized().is_none() && layer.weight.value().bit_eq(&value.to_dtype(DType::BF16)));
        let layer = quantised();
        layer.load_state_dict(&Linear::new(40, 3).state_dict()).unwrap();
        assert!(layer.weight.quantized().is_none() && !layer.weight.requires_grad());
        let layer = quantised();
        let value = layer.weight.value();
        layer.weight.update(|w| *w = &*w * 2.0);
        assert!(layer.weight.value().bit_eq(&(value * 2.0)));
        let layer = quantised();
        let value = layer.weight.value();
        dequantize(&layer);
        assert!(layer.weight.quantized().is_none() && layer.weight.value().bit_eq(&value));
        layer.requires_grad_(true);
    }

    #[test]
    fn what_needs_floats_refuses() {
        let layer = Linear::new(40, 3);
        quantize(&layer, &with(Precision::Int8)).unwrap();
        let message = |f: &dyn Fn()| {
            let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_err();
            refused.downcast_ref::<String>().unwrap().clone()
        };
        let rule = "does not read a quantised parameter\n  QuantizedMatrix([3, 40], int8)";
        assert!(message(&|| init::zeros_(&layer.weight)).contains(rule));
        assert!(message(&|| drop(&*layer.weight * 2.0)).contains(rule));
        assert!(message(&|| drop(nn::utils::parameters_to_vector(&layer.parameters()))).contains(rule));
        assert!(message(&|| layer.requires_grad_(true)).contains("a quantised parameter has no gradient"));
    }

    #[test]
    fn printed_forms_and_sizes_show_it() {
        let layer = Linear::new(64, 8);
        quantize(&layer, &with(Precision::INT4)).unwrap();
        assert_eq!(layer.to_string(), "Linear(in_features=64, out_features=8, bias=True, precision=int4/32)");
        assert!(format!("{:#}", &layer as &dyn Module).ends_with("# 520: weight [8, 64] int4/32, bias [8]"));
        let summary = layer.summary();
        assert_eq!((summary.parameters, summary.trainable, summary.bytes), (520, 8, 8 * 64 / 2 + 8 * 2 * 2 + 8 * 4));
        assert!(summary.to_string().contains("weight [8, 64] int4/32"));
        assert!(format!("{:?}", layer.weight).starts_with("Parameter containing (int4/32):"));
    }
}
