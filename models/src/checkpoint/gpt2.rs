//! The Hugging Face layout of GPT-2: its config, and the names and shapes of its weights.
//!
//! The two sides differ in names and in the orientation of matrices: Hugging Face's GPT-2 stores `[in, out]` ("Conv1D")
//! where a linear layer has `[out, in]`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{Specials, TokenIds, only};
use super::weights::{Entry, Layout};
use crate::{Error, GptConfig, ModelConfig, Result};

/// `config.json` of a GPT-2; a field that is absent has the default of Hugging Face's `GPT2Config`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct Fields {
    /// Written, but not asked for: it may be null.
    #[serde(skip_deserializing)]
    architectures: Vec<String>,
    model_type: String,
    vocab_size: usize,
    n_positions: usize,
    n_ctx: Option<usize>,
    n_embd: usize,
    n_layer: usize,
    n_head: usize,
    n_inner: Option<usize>,
    activation_function: String,
    layer_norm_epsilon: f64,
    resid_pdrop: f64,
    embd_pdrop: f64,
    attn_pdrop: f64,
    initializer_range: f64,
    scale_attn_weights: bool,
    scale_attn_by_inverse_layer_idx: bool,
    // Another order of the same computation.
    reorder_and_upcast_attn: bool,
    add_cross_attention: bool,
    tie_word_embeddings: bool,
    use_cache: bool,
    bos_token_id: Option<i64>,
    eos_token_id: Option<TokenIds>,
}

impl Default for Fields {
    fn default() -> Fields {
        Fields {
            architectures: Vec::new(),
            model_type: "gpt2".into(),
            vocab_size: 50257,
            n_positions: 1024,
            n_ctx: None,
            n_embd: 768,
            n_layer: 12,
            n_head: 12,
            n_inner: None,
            activation_function: "gelu_new".into(),
            layer_norm_epsilon: 1e-5,
            resid_pdrop: 0.1,
            embd_pdrop: 0.1,
            attn_pdrop: 0.1,
            initializer_range: 0.02,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            reorder_and_upcast_attn: false,
            add_cross_attention: false,
            tie_word_embeddings: true,
            use_cache: true,
            bos_token_id: Some(50256),
            eos_token_id: Some(TokenIds::One(50256)),
        }
    }
}

/// The fields of `config.json`.
pub(super) fn config_to_json(config: &GptConfig, specials: Specials) -> serde_json::Result<Value> {
    serde_json::to_value(Fields {
        architectures: vec!["GPT2LMHeadModel".into()],
        vocab_size: config.vocab,
        n_positions: config.context,
        n_ctx: Some(config.context),
        n_embd: config.width,
        n_layer: config.layers,
        n_head: config.heads,
        layer_norm_epsilon: config.norm_eps,
        resid_pdrop: config.dropout,
        embd_pdrop: config.dropout,
        attn_pdrop: config.dropout,
        bos_token_id: specials.bos_token_id,
        eos_token_id: specials.eos_token_id,
        ..Fields::default()
    })
}

/// Reads the fields of a `config.json`.
pub(super) fn config_from_json(json: &Value) -> Result<(ModelConfig, Specials)> {
    let hf = Fields::deserialize(json).map_err(|e| Error::invalid(format!("no valid GPT-2 config: {e}")))?;
    let refuse = |what: String| Err(Error::invalid(what));
    // Four names of the tanh formula.
    if !["gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate"].contains(&hf.activation_function.as_str()) {
        return refuse(format!("the activation_function {:?} is not \"gelu_new\"", hf.activation_function));
    }
    if let Some(inner) = hf.n_inner
        && Some(inner) != hf.n_embd.checked_mul(4)
    {
        return refuse(format!("n_inner is {inner}, not 4 x {}", hf.n_embd));
    }
    if hf.resid_pdrop != hf.embd_pdrop || hf.resid_pdrop != hf.attn_pdrop {
        return refuse("resid_pdrop, embd_pdrop and attn_pdrop differ".into());
    }
    only("scale_attn_weights", hf.scale_attn_weights, true)?;
    only("scale_attn_by_inverse_layer_idx", hf.scale_attn_by_inverse_layer_idx, false)?;
    only("add_cross_attention", hf.add_cross_attention, false)?;
    only("tie_word_embeddings", hf.tie_word_embeddings, true)?;
    let config = GptConfig {
        vocab: hf.vocab_size,
        context: hf.n_positions,
        layers: hf.n_layer,
        heads: hf.n_head,
        width: hf.n_embd,
        dropout: hf.resid_pdrop,
        norm_eps: hf.layer_norm_epsilon,
    };
    Ok((config.into(), Specials { bos_token_id: hf.bos_token_id, eos_token_id: hf.eos_token_id }))
}

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

/// What stands in the file, in the order of Hugging Face's state dict.
pub(super) const LAYOUT: Layout = Layout { prefix: "transformer.", embedding: "wte.weight", is_ignored };

/// Every parameter of a model.
pub(super) fn entries(config: &GptConfig) -> Vec<Entry> {
    let c = config.width;
    let mut entries = vec![
        Entry::new("tokens.weight", "wte.weight", &[config.vocab, c]),
        Entry::new("positions.weight", "wpe.weight", &[config.context, c]),
    ];
    for i in 0..config.layers {
        entries.extend(BLOCK.iter().map(|(ours, theirs, multiples)| Entry {
            ours: format!("blocks.{i}.{ours}"),
            theirs: format!("h.{i}.{theirs}"),
            shape: multiples.iter().map(|n| n * c).collect(),
            turned: multiples.len() == 2,
        }));
    }
    entries.push(Entry::new("norm.weight", "ln_f.weight", &[c]));
    entries.push(Entry::new("norm.bias", "ln_f.bias", &[c]));
    entries
}

/// Whether a tensor of a checkpoint is none of its weights: the causal masks that old versions stored.
fn is_ignored(bare: &str) -> bool {
    let in_block = bare.strip_prefix("h.").and_then(|name| name.split_once('.')).map(|(_, name)| name);
    in_block.is_some_and(|name| name == "attn.bias" || name == "attn.masked_bias")
}

#[cfg(test)]
mod tests {
    use super::super::ConfigFile;
    use super::*;
    use serde_json::json;

    #[test]
    fn configs_that_describe_another_model_are_refused() {
        let good = ConfigFile::new(GptConfig { layers: 2, heads: 2, dropout: 0.25, ..GptConfig::new(5, 4, 8) });
        let good: Value = serde_json::from_str(&good.to_json()).unwrap();
        let refused = |key: &str, value: Value, says: &str| {
            let mut config = good.clone();
            config[key] = value;
            let message = ConfigFile::from_json(&config.to_string()).unwrap_err().to_string();
            assert!(message.contains(says), "{key}: {message}");
        };
        refused("activation_function", json!("relu"), "relu");
        refused("n_inner", json!(7), "n_inner");
        refused("tie_word_embeddings", json!(false), "tie_word_embeddings");
        refused("scale_attn_weights", json!(false), "scale_attn_weights");
        refused("scale_attn_by_inverse_layer_idx", json!(true), "scale_attn_by_inverse_layer_idx");
        refused("add_cross_attention", json!(true), "add_cross_attention");
        refused("resid_pdrop", json!(0.3), "differ");
        refused("n_head", json!(3), "3 heads do not divide the width 8");
        refused("n_head", json!(-1), "no valid GPT-2 config");
        refused("n_embd", json!(1u64 << 62), "n");
        refused("n_layer", json!(0), "layers");
        refused("vocab_size", json!("many"), "no valid GPT-2 config");
        refused("layer_norm_epsilon", json!(-1.0), "epsilon");
        refused("layer_norm_epsilon", Value::Null, "no valid GPT-2 config");
        // What is absent has the default of GPT2Config; GELU's other name is the same function.
        let gpt2 = ConfigFile::from_json(r#"{"model_type": "gpt2", "activation_function": "gelu_pytorch_tanh"}"#);
        let ModelConfig::Gpt(config) = gpt2.unwrap().model else { panic!("a GPT-2") };
        assert_eq!((config.num_parameters(), config.dropout), (Some(124_439_808), 0.1));
    }
}
