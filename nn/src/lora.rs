//! Low-rank adapters (LoRA) for the linear layers of any model: fine-tuning that trains few parameters and leaves the rest.

use std::cell::{Cell, OnceCell};
use std::collections::{HashMap, HashSet};

use autograd::Var;
use tensor::Tensor;

use crate::layers::printed;
use crate::module::load_where;
use crate::{
    Field, Forward, Linear, LinearOptions, LoadError, LoadOptions, Member, Module, Parameter, StateDict, Training, init,
};

/// What Python's `peft` puts before each key of its files.
const PEFT_PREFIX: &str = "base_model.model.";

/// Options of [`add_lora`].
#[derive(Debug, Clone)]
pub struct LoraOptions {
    /// The rank `r` of the adapters (default: 8).
    pub rank: usize,
    /// The numerator `α` of the scale `α / r` (default: 8). With it kept, a change of the rank needs no other learning
    /// rate.
    pub alpha: f64,
    /// The probability that an element of the adapter's input is dropped in training (default: 0).
    pub dropout: f64,
    /// Which linear layers: those whose path is one of these names or ends with a dot and one of them, such as
    /// `"up"` or `"attention.out_proj"` (default: none, which means every linear layer).
    pub targets: Vec<String>,
}

impl Default for LoraOptions {
    fn default() -> LoraOptions {
        LoraOptions { rank: 8, alpha: 8.0, dropout: 0.0, targets: Vec::new() }
    }
}

/// Gives linear layers of the model adapters, `y = x Wᵀ + b + (α / r) B A dropout(x)`, freezes everything else, and
/// returns the paths of the adapted layers.
///
/// `A` is `lora_A.weight` `[r, in_features]`, Kaiming-uniform, and `B` is `lora_B.weight` `[out_features, r]`, zeros: the
/// outputs are the model's own until a step of an optimizer, which is made from the parameters after this call. The
/// adapters have the dtypes of their weights, and the mode of the model, see [`Module::is_training`]: one that has no mode,
/// such as linear layers alone, counts as in training, and `eval` comes after this call. A layer that the model holds twice
/// gets one adapter. Adapters from earlier calls are kept as they are, so that layers may have different ranks.
///
/// The projections into the heads of [`MultiheadAttention`](crate::MultiheadAttention) are plain parameters, not linear
/// layers, and get no adapters; its `out_proj` does. Nor do layers under [`weight_norm`](crate::utils::weight_norm) or
/// [`spectral_norm`](crate::utils::spectral_norm), which are out of reach.
///
/// # Panics
/// When the rank is zero, the dropout is not in `0..=1`, a target is the name of no linear layer, there is none at all, or
/// one has an adapter already.
///
/// # Differs
/// `peft` wraps the layers in others, which changes the keys of the model, and multiplies by `α / r` last. Here the keys of
/// the model stay and those of the adapters come on top.
///
/// # Source
/// Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, section 4.1, equation 3.
///
/// ```
/// use nn::lora::{LoraOptions, add_lora, lora_state_dict, merge_lora};
/// use nn::prelude::*;
///
/// let model = sequential![Linear::new(6, 4), ReLU::new(), Linear::new(4, 2)];
/// let adapted = add_lora(&model, &LoraOptions { rank: 2, targets: vec!["0".to_owned()], ..Default::default() });
/// assert_eq!(adapted, ["0"]);
/// let trainable: Vec<String> =
///     model.named_parameters().into_iter().filter(|(_, p)| p.requires_grad()).map(|(name, _)| name).collect();
/// assert_eq!(trainable, ["0.lora_A.weight", "0.lora_B.weight"]);
/// assert_eq!(lora_state_dict(&model).len(), 2); // train, and save just this
///
/// merge_lora(&model);
/// assert_eq!(model.state_dict().len(), 4); // the plain model again, with what it learned in its weights
/// ```
#[track_caller]
pub fn add_lora(model: &dyn Module, options: &LoraOptions) -> Vec<String> {
    let LoraOptions { rank, alpha, dropout, targets } = options;
    assert!(*rank > 0, "add_lora: the rank is zero");
    assert!(
        (0.0..=1.0).contains(dropout),
        "add_lora: the probability of dropout is not between 0 and 1, p = {dropout}"
    );
    let linears = linears(model);
    let names = |linears: &[(String, &Linear)]| {
        let names: Vec<&str> = linears.iter().map(|(path, _)| path.as_str()).collect();
        names.join(", ")
    };
    let is = |path: &str, target: &str| {
        path.strip_suffix(target).is_some_and(|rest| rest.is_empty() || (rest.ends_with('.') && !target.is_empty()))
    };
    let unknown: Vec<&str> =
        targets.iter().filter(|target| !linears.iter().any(|(path, _)| is(path, target))).map(String::as_str).collect();
    assert!(
        unknown.is_empty(),
        "add_lora: there is no linear layer of this name: {}\n  linear layers {}",
        unknown.join(", "),
        names(&linears)
    );
    let chosen: Vec<(String, &Linear)> = linears
        .into_iter()
        .filter(|(path, _)| targets.is_empty() || targets.iter().any(|target| is(path, target)))
        .collect();
    assert!(!chosen.is_empty(), "add_lora: the model has no linear layer");
    let adapted: Vec<(String, &Linear)> =
        chosen.iter().filter(|(_, linear)| linear.lora.adapter().is_some()).cloned().collect();
    assert!(
        adapted.is_empty(),
        "add_lora: there are adapters already: {}\n  rule: merge_lora or remove_lora comes first",
        names(&adapted)
    );

    let kept: HashSet<_> = adapters(model).iter().flat_map(|(_, adapter)| adapter.ids()).collect();
    let training = model.is_training();
    for parameter in model.parameters() {
        if !kept.contains(&parameter.id()) {
            parameter.requires_grad_(false);
        }
    }
    for (_, linear) in &chosen {
        linear.lora.switch_on(&linear.weight, *rank, *alpha, *dropout, training);
    }
    chosen.into_iter().map(|(path, _)| path).collect()
}

/// The parameters of the adapters alone, under their names in the model: what fine-tuning has to save.
///
/// The scale `α / r` is not part of it. A layer that the model holds twice stands under both names, as in
/// [`Module::state_dict`].
///
/// # Differs
/// A file of `peft`'s has the prefix `base_model.model.` before these names.
pub fn lora_state_dict(model: &dyn Module) -> StateDict {
    let names = names(model);
    model.state_dict().into_iter().filter(|(name, _)| names.contains(name)).collect()
}

/// Takes over the parameters of the adapters, whose names must be exactly those of [`lora_state_dict`], with or without
/// the prefix that `peft` gives them.
///
/// Before it, [`add_lora`] makes adapters of the same rank, and of the same `α`, which the dict does not hold.
///
/// # Errors
/// All missing, unexpected and mis-shaped keys at once, each with the closest name, and keys that are there twice, with
/// prefix and without; nothing is changed then.
///
/// ```
/// use nn::lora::{LoraOptions, add_lora, load_lora_state_dict, lora_state_dict};
/// use nn::prelude::*;
///
/// let (tuned, fresh) = (Linear::new(3, 2), Linear::new(3, 2));
/// for model in [&tuned, &fresh] {
///     add_lora(model, &LoraOptions { rank: 1, ..Default::default() });
/// }
/// let adapter = lora_state_dict(&tuned);
/// assert_eq!(adapter.keys().collect::<Vec<_>>(), ["lora_A.weight", "lora_B.weight"]);
/// load_lora_state_dict(&fresh, &adapter).unwrap();
/// assert!(load_lora_state_dict(&fresh, &tuned.state_dict()).is_err()); // the base is no part of an adapter
/// ```
pub fn load_lora_state_dict(model: &dyn Module, dict: &StateDict) -> Result<(), LoadError> {
    let names = names(model);
    let (mut plain, mut error) = (StateDict::new(), LoadError::default());
    for (key, value) in dict {
        let name = key.strip_prefix(PEFT_PREFIX).filter(|name| names.contains(*name)).unwrap_or(key);
        if plain.insert(name.to_owned(), value.clone()).is_some() {
            error.contradicting.push((name.to_owned(), format!("{PEFT_PREFIX}{name}")));
        }
    }
    if error != LoadError::default() {
        return Err(error);
    }
    load_where(model, &plain, LoadOptions::default(), &|name| names.contains(name)).map(drop)
}

/// Adds each adapter to its weight, `W + (α / r) B A`, and takes the adapters away: the layers are plain ones again, with
/// the same outputs to rounding. Returns the paths of the merged layers.
///
/// What [`add_lora`] froze stays frozen; `model.requires_grad_(true)` undoes that. Gradients of the weights are
/// forgotten, and quantised weights become f32.
///
/// # Panics
/// When the weight of an adapted layer is tied to another parameter's place, such as a head's to the embedding, which
/// would change with it; no adapter is merged then.
///
/// # Source
/// Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, section 4.1, "No Additional Inference Latency".
#[track_caller]
pub fn merge_lora(model: &dyn Module) -> Vec<String> {
    refuse_tied(model, "merge_lora");
    let adapted: Vec<_> = adapters(model);
    for (linear, adapter) in &adapted {
        linear.weight.zero_grad();
        linear.weight.set_value(adapter.merged(linear));
    }
    remove_lora(model)
}

/// The state dict that the model would have after [`merge_lora`], without changing the model: what a file for others holds
/// while the training of the adapters goes on.
///
/// ```
/// use nn::lora::{LoraOptions, add_lora, merge_lora, merged_state_dict};
/// use nn::prelude::*;
///
/// let model = Linear::new(3, 2);
/// add_lora(&model, &LoraOptions::default());
/// let merged = merged_state_dict(&model);
/// merge_lora(&model);
/// assert!(model.state_dict().iter().all(|(name, weight)| weight.bit_eq(&merged[name])));
/// ```
///
/// # Panics
/// As [`merge_lora`].
#[track_caller]
pub fn merged_state_dict(model: &dyn Module) -> StateDict {
    refuse_tied(model, "merged_state_dict");
    let (adapters, mut dict) = (names(model), model.state_dict());
    dict.retain(|name, _| !adapters.contains(name));
    let merged: HashMap<_, Tensor> =
        self::adapters(model).into_iter().map(|(linear, a)| (linear.weight.id(), a.merged(linear))).collect();
    crate::module::walk(model, &mut |name, member| {
        if let Member::Parameter(parameter) = member
            && let Some(weight) = merged.get(&parameter.id())
        {
            dict.insert(name.to_owned(), weight.clone());
        }
    });
    dict
}

/// Panics when an adapted weight is tied to another place.
#[track_caller]
fn refuse_tied(model: &dyn Module, what: &str) {
    // The places of each parameter: tied ones have several, a module that is held twice has one.
    let mut places: HashMap<_, HashMap<*const Parameter, String>> = HashMap::new();
    for (path, module) in model.named_modules() {
        module.visit(&mut |name, member| {
            if let Member::Parameter(parameter) = member {
                let name = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                places.entry(parameter.id()).or_default().entry(std::ptr::from_ref(parameter)).or_insert(name);
            }
        });
    }
    let mut tied = String::new();
    for (path, linear) in linears(model).iter().filter(|(_, linear)| linear.lora.adapter().is_some()) {
        let own: *const Parameter = &linear.weight;
        let mut others: Vec<&str> = places
            .get(&linear.weight.id())
            .into_iter()
            .flatten()
            .filter(|(place, _)| **place != own)
            .map(|(_, name)| name.as_str())
            .collect();
        others.sort_unstable();
        if !others.is_empty() {
            tied += &format!(
                "\n  the weight of {} is also {}",
                if path.is_empty() { "." } else { path },
                others.join(", ")
            );
        }
    }
    assert!(tied.is_empty(), "{what}: a tied weight would change in all its places{tied}");
}

/// Takes all adapters away without a trace: the model is, bit for bit, what it was before [`add_lora`], but frozen. Returns
/// the paths of their layers.
pub fn remove_lora(model: &dyn Module) -> Vec<String> {
    let mut removed = linears(model);
    removed.retain(|(_, linear)| linear.lora.adapter().is_some());
    for (_, linear) in &removed {
        linear.lora.switch_off();
    }
    removed.into_iter().map(|(path, _)| path).collect()
}

/// The linear layers of the model, each under its first path; those inside adapters do not count.
fn linears(model: &dyn Module) -> Vec<(String, &Linear)> {
    fn below<'a>(module: &'a dyn Module, path: &str, found: &mut Vec<(String, &'a Linear)>) {
        if let Some(linear) = module.downcast_ref::<Linear>() {
            if !found.iter().any(|(_, known)| std::ptr::eq(*known, linear)) {
                found.push((path.to_owned(), linear));
            }
            return;
        }
        for (name, child) in module.named_children() {
            let path = if path.is_empty() { name } else { format!("{path}.{name}") };
            below(child, &path, found);
        }
    }
    let mut found = Vec::new();
    below(model, "", &mut found);
    found
}

/// The adapters of the model with their layers.
fn adapters(model: &dyn Module) -> Vec<(&Linear, &Adapter)> {
    linears(model).into_iter().filter_map(|(_, linear)| Some((linear, linear.lora.adapter()?))).collect()
}

/// The names of all parameters of adapters, in each place.
fn names(model: &dyn Module) -> HashSet<String> {
    let ids: HashSet<_> = adapters(model).iter().flat_map(|(_, adapter)| adapter.ids()).collect();
    let mut names = HashSet::new();
    crate::module::walk(model, &mut |name, member| {
        if let Member::Parameter(parameter) = member
            && ids.contains(&parameter.id())
        {
            names.insert(name.to_owned());
        }
    });
    names
}

/// The place for an adapter in a linear layer.
///
/// It is filled while somebody walks the model, through shared references, and an adapter is not moved once it is there,
/// because the walk hands out references to it: it is switched off instead of removed.
#[derive(Debug, Default)]
pub(crate) struct Lora(OnceCell<Box<Adapter>>);

/// `x -> (α / r) B A dropout(x)`.
#[derive(Debug)]
struct Adapter {
    a: Linear,
    b: Linear,
    alpha: Cell<f64>,
    dropout: Cell<f64>,
    training: Training,
    on: Cell<bool>,
}

impl Adapter {
    fn scale(&self) -> f64 {
        self.alpha.get() / self.a.out_features() as f64
    }

    /// `W + (α / r) B A`.
    fn merged(&self, linear: &Linear) -> Tensor {
        linear.weight.value() + self.b.weight.value().matmul(&self.a.weight.value()).mul_scalar(self.scale())
    }

    fn ids(&self) -> [usize; 2] {
        [self.a.weight.id(), self.b.weight.id()]
    }
}

impl Lora {
    fn adapter(&self) -> Option<&Adapter> {
        self.0.get().map(|adapter| &**adapter).filter(|adapter| adapter.on.get())
    }

    /// A new adapter for this weight; one that was switched off gives its place.
    fn switch_on(&self, weight: &Parameter, rank: usize, alpha: f64, dropout: f64, training: bool) {
        let (inputs, outputs) = (weight.dim(1), weight.dim(0));
        let options = LinearOptions { bias: false, dtype: weight.dtype() };
        // A linear layer's own initial values are Kaiming-uniform with the negative slope √5, as they are to be here.
        let (a, b) = (Linear::with(inputs, rank, options), Linear::from_parameters(empty(outputs, rank, weight), None));
        init::zeros_(&b.weight);
        let values = [a.weight.value(), b.weight.value()];
        let adapter = self.0.get_or_init(|| {
            let (alpha, dropout) = (Cell::new(alpha), Cell::new(dropout));
            Box::new(Adapter { a, b, alpha, dropout, training: Training::new(), on: Cell::new(true) })
        });
        for (parameter, value) in [&adapter.a.weight, &adapter.b.weight].into_iter().zip(values) {
            parameter.set_value(value);
            parameter.requires_grad_(true);
        }
        adapter.alpha.set(alpha);
        adapter.dropout.set(dropout);
        adapter.training.set(training);
        adapter.on.set(true);
    }

    fn switch_off(&self) {
        if let Some(adapter) = self.adapter() {
            adapter.on.set(false);
            for parameter in [&adapter.a.weight, &adapter.b.weight] {
                parameter.zero_grad();
                // Gives the memory back.
                parameter.set_value(Tensor::zeros([0, 0], parameter.dtype()));
            }
        }
    }

    /// `output`, and what the adapter adds for this input.
    #[track_caller]
    pub(crate) fn add_to(&self, output: Var, input: &Var) -> Var {
        let Some(adapter) = self.adapter() else { return output };
        let p = adapter.dropout.get();
        let dropped = if adapter.training.get() && p > 0.0 { input.dropout(p) } else { input.clone() };
        // The scale is applied where there are the fewest numbers.
        output + adapter.b.forward(&(adapter.a.forward(&dropped) * adapter.scale()))
    }

    /// What the printed form of the layer has more: the settings, where there is an adapter.
    pub(crate) fn repr(&self) -> String {
        self.adapter().map_or(String::new(), |adapter| {
            let (alpha, dropout) = (printed::float(adapter.alpha.get()), printed::float(adapter.dropout.get()));
            format!(", lora_alpha={alpha}, lora_dropout={dropout}")
        })
    }
}

fn empty(rows: usize, columns: usize, like: &Parameter) -> Parameter {
    init::empty_parameter([rows, columns], like.dtype())
}

impl Field for Lora {
    /// The members of the adapter are the layer's own.
    fn visit_field<'a>(&'a self, _: &str, each: &mut dyn FnMut(&str, Member<'a>)) {
        if let Some(adapter) = self.adapter() {
            each("training", Member::Training(&adapter.training));
            each("lora_A", Member::Module(&adapter.a));
            each("lora_B", Member::Module(&adapter.b));
        }
    }
}
