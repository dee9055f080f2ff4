//! `model.safetensors`: the names of the weights here and there.
//!
//! The two sides differ in names and in the orientation of matrices: Hugging Face's GPT-2 stores `[in, out]` ("Conv1D")
//! where a linear layer has `[out, in]`.

use std::collections::{BTreeMap, BTreeSet};

use nn::prelude::*;

use super::CONFIG;
use crate::{Error, Gpt, GptConfig, LanguageModel, ModelConfig, Result};

/// A block's parameters: the name here, the name there, and the shape there in multiples of the width. A matrix there
/// is the transpose of the one here.
const BLOCK: [(&str, &str, &[usize]); 12] = [
    ("norm_1.weight", "ln_1.weight", &[1]),
    ("norm_1.bias", "ln_1.bias", &[1]),
    ("attention.in_proj_weight", "attn.c_attn.weight", &[1, 3]),
    ("attention.in_proj_bias", "attn.c_attn.bias", &[3]),
    ("attention.out_proj.weight", "attn.c_proj.weight", &[1, 1]),
    ("attention.out_proj.bias", "attn.c_proj.bias", &[1]),
    ("norm_2.weight", "ln_2.weight", &[1]),
    ("norm_2.bias", "ln_2.bias", &[1]),
    ("up.weight", "mlp.c_fc.weight", &[1, 4]),
    ("up.bias", "mlp.c_fc.bias", &[4]),
    ("down.weight", "mlp.c_proj.weight", &[4, 1]),
    ("down.bias", "mlp.c_proj.bias", &[1]),
];

/// What the names of a GPT-2 checkpoint begin with; checkpoints of the bare transformer leave it out.
const PREFIX: &str = "transformer.";

/// One parameter: its name here, its name there without the prefix, its shape there, and whether it is turned.
struct Entry {
    ours: String,
    theirs: String,
    shape: Vec<usize>,
    turned: bool,
}

/// Every parameter of a model, in the order of Hugging Face's state dict.
fn entries(config: &GptConfig) -> Vec<Entry> {
    let c = config.width;
    let straight = |ours: &str, theirs: &str, shape: &[usize]| Entry {
        ours: ours.into(),
        theirs: theirs.into(),
        shape: shape.to_vec(),
        turned: false,
    };
    let mut entries = vec![
        straight("tokens.weight", "wte.weight", &[config.vocab, c]),
        straight("positions.weight", "wpe.weight", &[config.context, c]),
    ];
    for i in 0..config.layers {
        entries.extend(BLOCK.iter().map(|(ours, theirs, multiples)| Entry {
            ours: format!("blocks.{i}.{ours}"),
            theirs: format!("h.{i}.{theirs}"),
            shape: multiples.iter().map(|n| n * c).collect(),
            turned: multiples.len() == 2,
        }));
    }
    entries.push(straight("norm.weight", "ln_f.weight", &[c]));
    entries.push(straight("norm.bias", "ln_f.bias", &[c]));
    entries
}

/// The weights of `model` under Hugging Face's names and in its orientation; the tied head stands once, as `wte`.
pub fn to_hugging_face(model: &dyn LanguageModel) -> Vec<(String, Tensor)> {
    let weights = model.state_dict();
    let turn = |tensor: &Tensor, turned: bool| if turned { tensor.t() } else { tensor.clone() };
    let named = |entry: Entry| (format!("{PREFIX}{}", entry.theirs), turn(&weights[&entry.ours], entry.turned));
    let ModelConfig::Gpt(config) = model.config();
    entries(&config).into_iter().map(named).collect()
}

/// A model from weights under Hugging Face's names, with or without the prefix `transformer.`.
///
/// # Errors
/// Names every missing, unexpected and mis-shaped tensor at once.
pub fn from_hugging_face(config: GptConfig, tensors: Vec<(String, Tensor)>) -> Result<Gpt> {
    config.check()?;
    // Each block needs tensors of its own: a config with more blocks than the file has tensors need not be unfolded.
    if config.layers > tensors.len() {
        let (layers, found) = (config.layers, tensors.len());
        return Err(Error::invalid(format!("{CONFIG} has {layers} layers, but there are only {found} tensors")));
    }
    let (mut found, mut problems) = (BTreeMap::new(), Problems::default());
    for (name, tensor) in tensors {
        let bare = name.strip_prefix(PREFIX).unwrap_or(&name);
        if is_ignored(bare) {
            continue;
        }
        if found.insert(bare.to_string(), tensor).is_some() {
            problems.unexpected.push(format!("{name} (twice)"));
        }
    }
    let mut weights = StateDict::default();
    for Entry { ours, theirs, shape: needs, turned } in entries(&config) {
        match found.remove(&theirs) {
            None => problems.missing.push(theirs),
            Some(tensor) if tensor.dims() != needs => {
                problems.mis_shaped.push(format!("{theirs} is {:?}, needs {needs:?}", tensor.dims()))
            }
            Some(tensor) if !tensor.dtype().is_floating_point() => {
                problems.mis_shaped.push(format!("{theirs} holds {:?}, needs floats", tensor.dtype()))
            }
            Some(tensor) => {
                let tensor = tensor.to_dtype(DType::F32);
                weights.insert(ours, if turned { tensor.t().contiguous() } else { tensor });
            }
        }
    }
    problems.unexpected.extend(found.into_keys());
    problems.check()?;
    let model = Gpt::new(config)?;
    model.load_state_dict(&weights).map_err(Error::invalid)?;
    Ok(model)
}

/// Whether a tensor of a GPT-2 checkpoint is none of its weights: the causal masks that old versions stored, and the
/// head, which is the token embedding.
fn is_ignored(bare: &str) -> bool {
    let in_block = bare.strip_prefix("h.").and_then(|name| name.split_once('.')).map(|(_, name)| name);
    bare == "lm_head.weight" || in_block.is_some_and(|name| name == "attn.bias" || name == "attn.masked_bias")
}

/// What does not fit between a config and a checkpoint.
#[derive(Default)]
struct Problems {
    missing: Vec<String>,
    unexpected: Vec<String>,
    mis_shaped: Vec<String>,
}

impl Problems {
    fn check(self) -> Result<()> {
        const NAMED: usize = 24;
        let parts = [("missing", self.missing), ("unexpected", self.unexpected), ("mis-shaped", self.mis_shaped)];
        let parts = parts.into_iter().filter(|(_, names)| !names.is_empty()).map(|(what, names)| {
            let more = if names.len() > NAMED { format!(" and {} more", names.len() - NAMED) } else { String::new() };
            // One name can stand in several tensors; each is said once.
            let named: BTreeSet<&String> = names.iter().take(NAMED).collect();
            let named: Vec<&str> = named.into_iter().map(String::as_str).collect();
            format!("{what}: {}{more}", named.join(", "))
        });
        let parts: Vec<String> = parts.collect();
        if parts.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(format!("the tensors do not fit {CONFIG}; {}", parts.join("; "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Gpt {
        Gpt::new(GptConfig { layers: 2, heads: 2, ..GptConfig::new(5, 4, 8) }).unwrap()
    }

    #[test]
    fn names_without_prefix_and_extra_buffers_are_read() {
        let model = tiny();
        let mut tensors: Vec<(String, Tensor)> = to_hugging_face(&model)
            .into_iter()
            .map(|(name, tensor)| (name.trim_start_matches(PREFIX).to_string(), tensor.to_dtype(DType::F64)))
            .collect();
        tensors.push(("h.0.attn.bias".into(), Tensor::ones([1, 1, 4, 4], DType::U8)));
        tensors.push(("transformer.h.1.attn.masked_bias".into(), Tensor::scalar(-1e4_f32)));
        tensors.push(("lm_head.weight".into(), Tensor::zeros([5, 8], DType::F32)));
        let read = from_hugging_face(model.config().clone(), tensors).unwrap();
        for ((name, a), (_, b)) in model.state_dict().iter().zip(&read.state_dict()) {
            assert!(a.bit_eq(b), "{name}");
        }
    }

    #[test]
    fn every_tensor_that_does_not_fit_is_named_at_once() {
        let model = tiny();
        let mut tensors = to_hugging_face(&model);
        tensors.retain(|(name, _)| name != "transformer.ln_f.bias");
        tensors[0].1 = Tensor::zeros([6, 8], DType::F32);
        tensors[2].1 = Tensor::zeros([8], DType::I64);
        tensors.push(("transformer.extra".into(), Tensor::scalar(0f32)));
        tensors.push(("wpe.weight".into(), Tensor::zeros([4, 8], DType::F32)));
        let message = from_hugging_face(model.config().clone(), tensors).err().unwrap().to_string();
        for part in [
            "missing: ln_f.bias",
            "unexpected: extra, wpe.weight (twice)",
            "wte.weight is [6, 8], needs [5, 8]",
            "h.0.ln_1.weight holds",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let message = from_hugging_face(model.config().clone(), Vec::new()).err().unwrap().to_string();
        assert!(message.contains("2 layers, but there are only 0 tensors"), "{message}");
    }
}
