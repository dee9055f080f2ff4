//! `config.json`: the sizes of a model.

use serde::{Deserialize, Serialize};

use crate::{Error, GptConfig, Result};

/// `config.json` of a GPT-2; a field that is absent has the default of Hugging Face's `GPT2Config`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct HfConfig {
    architectures: Vec<String>,
    model_type: Option<String>,
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
    reorder_and_upcast_attn: bool,
    add_cross_attention: bool,
    tie_word_embeddings: bool,
    use_cache: bool,
    bos_token_id: Option<i64>,
    eos_token_id: Option<i64>,
}

impl Default for HfConfig {
    fn default() -> HfConfig {
        HfConfig {
            architectures: Vec::new(),
            model_type: None,
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
            eos_token_id: Some(50256),
        }
    }
}

/// The contents of `config.json`.
pub fn config_to_json(config: &GptConfig) -> String {
    let hf = HfConfig {
        architectures: vec!["GPT2LMHeadModel".into()],
        model_type: Some("gpt2".into()),
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
        // A character vocabulary has no token that begins or ends a text.
        bos_token_id: None,
        eos_token_id: None,
        ..HfConfig::default()
    };
    serde_json::to_string_pretty(&hf).expect("a struct of numbers and strings has a JSON form") + "\n"
}

/// Reads the contents of a `config.json`.
///
/// # Errors
/// When it is no JSON, describes no GPT-2 or one with options that [`Gpt`](crate::Gpt) does not have, or sizes that no
/// model has (see [`GptConfig::check`]).
pub fn config_from_json(text: &str) -> Result<GptConfig> {
    let hf: HfConfig = serde_json::from_str(text).map_err(|e| Error::invalid(format!("no valid GPT-2 config: {e}")))?;
    let refuse = |what: String| Err(Error::invalid(what));
    match hf.model_type.as_deref() {
        Some("gpt2") => {}
        Some(other) => return refuse(format!("the model_type is {other:?}, not \"gpt2\"")),
        None => return refuse("there is no model_type".into()),
    }
    // "gelu_new" and "gelu_pytorch_tanh" are two names of the tanh formula.
    if !["gelu_new", "gelu_pytorch_tanh"].contains(&hf.activation_function.as_str()) {
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
    let needed = [
        ("scale_attn_weights", hf.scale_attn_weights, true),
        ("scale_attn_by_inverse_layer_idx", hf.scale_attn_by_inverse_layer_idx, false),
        ("add_cross_attention", hf.add_cross_attention, false),
        ("tie_word_embeddings", hf.tie_word_embeddings, true),
    ];
    if let Some((option, is, needs)) = needed.iter().find(|(_, is, needs)| is != needs) {
        return refuse(format!("{option} is {is}, only {needs} is supported"));
    }
    let config = GptConfig {
        vocab: hf.vocab_size,
        context: hf.n_positions,
        layers: hf.n_layer,
        heads: hf.n_head,
        width: hf.n_embd,
        dropout: hf.resid_pdrop,
        norm_eps: hf.layer_norm_epsilon,
    };
    config.check()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn configs_that_describe_another_model_are_refused() {
        let good: Value = serde_json::from_str(&config_to_json(&GptConfig {
            layers: 2,
            heads: 2,
            dropout: 0.25,
            ..GptConfig::new(5, 4, 8)
        }))
        .unwrap();
        let refused = |key: &str, value: Value, says: &str| {
            let mut config = good.clone();
            config[key] = value;
            let message = config_from_json(&config.to_string()).unwrap_err().to_string();
            assert!(message.contains(says), "{key}: {message}");
        };
        refused("model_type", json!("llama"), "llama");
        refused("model_type", Value::Null, "no model_type");
        refused("activation_function", json!("relu"), "relu");
        refused("n_inner", json!(7), "n_inner");
        refused("tie_word_embeddings", json!(false), "tie_word_embeddings");
        refused("scale_attn_by_inverse_layer_idx", json!(true), "scale_attn_by_inverse_layer_idx");
        refused("resid_pdrop", json!(0.3), "differ");
        refused("n_head", json!(3), "3 heads do not divide the width 8");
        refused("n_head", json!(-1), "no valid GPT-2 config");
        refused("n_embd", json!(1u64 << 62), "n");
        refused("n_layer", json!(0), "layers");
        refused("vocab_size", json!("many"), "no valid GPT-2 config");
        refused("layer_norm_epsilon", json!(-1.0), "epsilon");
        assert!(config_from_json("{}").is_err());
        assert!(config_from_json("").is_err());
        // What is absent has the default of GPT2Config; GELU's other name is the same function.
        let gpt2 = config_from_json(r#"{"model_type": "gpt2", "activation_function": "gelu_pytorch_tanh"}"#).unwrap();
        assert_eq!(gpt2.num_parameters(), Some(124_439_808));
        assert_eq!(gpt2.dropout, 0.1);
    }
}
