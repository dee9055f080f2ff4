//! The Hugging Face layout of Llama: its config, and the names and shapes of its weights, which are the names here.

use nn::RotaryScaling;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{Specials, TokenIds, only};
use super::weights::{Entry, Layout};
use crate::{Error, LlamaConfig, ModelConfig, Result};

/// `config.json` of a Llama; a field that is absent has the default of Hugging Face's `LlamaConfig`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct Fields {
    /// Written, but not asked for: it may be null.
    #[serde(skip_deserializing)]
    architectures: Vec<String>,
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    hidden_act: String,
    max_position_embeddings: usize,
    initializer_range: f64,
    rms_norm_eps: f64,
    attention_bias: bool,
    attention_dropout: f64,
    mlp_bias: bool,
    tie_word_embeddings: bool,
    use_cache: bool,
    /// Since version 5 of transformers.
    rope_parameters: Option<Rope>,
    /// Before, with `rope_theta` beside it.
    rope_scaling: Option<Rope>,
    rope_theta: Option<f64>,
    #[serde(skip_serializing)]
    original_max_position_embeddings: Option<usize>,
    #[serde(skip_serializing)]
    partial_rotary_factor: Option<f64>,
    #[serde(skip_serializing)]
    sliding_window: Option<usize>,
    bos_token_id: Option<i64>,
    eos_token_id: Option<TokenIds>,
}

/// The rotations.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Rope {
    rope_type: Option<String>,
    /// What `rope_type` was called once.
    #[serde(rename = "type", skip_serializing)]
    older_type: Option<String>,
    rope_theta: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    low_freq_factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high_freq_factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_max_position_embeddings: Option<usize>,
    #[serde(skip_serializing)]
    partial_rotary_factor: Option<f64>,
}

impl Default for Fields {
    fn default() -> Fields {
        Fields {
            architectures: Vec::new(),
            model_type: "llama".into(),
            vocab_size: 32000,
            hidden_size: 4096,
            intermediate_size: 11008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            hidden_act: "silu".into(),
            max_position_embeddings: 2048,
            initializer_range: 0.02,
            rms_norm_eps: 1e-6,
            attention_bias: false,
            attention_dropout: 0.0,
            mlp_bias: false,
            tie_word_embeddings: false,
            use_cache: true,
            rope_parameters: None,
            rope_scaling: None,
            rope_theta: None,
            original_max_position_embeddings: None,
            partial_rotary_factor: None,
            sliding_window: None,
            bos_token_id: Some(1),
            eos_token_id: Some(TokenIds::One(2)),
        }
    }
}

impl Fields {
    /// The defaults of Hugging Face's `MistralConfig`, where they are others.
    fn mistral() -> Fields {
        Fields {
            intermediate_size: 14336,
            num_key_value_heads: Some(8),
            max_position_embeddings: 4096 * 32,
            sliding_window: Some(4096),
            ..Fields::default()
        }
    }
}

/// The fields of `config.json`, those of transformers 5 and those of older versions.
pub(super) fn config_to_json(config: &LlamaConfig, specials: Specials) -> serde_json::Result<Value> {
    let rope = rope_from(config);
    serde_json::to_value(Fields {
        architectures: vec!["LlamaForCausalLM".into()],
        vocab_size: config.vocab,
        hidden_size: config.width,
        intermediate_size: config.mlp_width,
        num_hidden_layers: config.layers,
        num_attention_heads: config.heads,
        num_key_value_heads: Some(config.key_value_heads),
        head_dim: Some(config.head_dim),
        max_position_embeddings: config.context,
        rms_norm_eps: config.norm_eps,
        attention_bias: config.attention_bias,
        attention_dropout: config.dropout,
        mlp_bias: config.mlp_bias,
        tie_word_embeddings: config.tied,
        rope_scaling: (config.rope_scaling != RotaryScaling::None).then(|| rope.clone()),
        rope_parameters: Some(rope),
        rope_theta: Some(config.rope_theta),
        bos_token_id: specials.bos_token_id,
        eos_token_id: specials.eos_token_id,
        ..Fields::default()
    })
}

fn rope_from(config: &LlamaConfig) -> Rope {
    let rope = Rope { rope_theta: Some(config.rope_theta), ..Rope::default() };
    let of_type = |name: &str| Some(name.to_string());
    match config.rope_scaling {
        RotaryScaling::None => Rope { rope_type: of_type("default"), ..rope },
        RotaryScaling::Linear { factor } => Rope { rope_type: of_type("linear"), factor: Some(factor), ..rope },
        // The original context of this one is the context of the model.
        RotaryScaling::Dynamic { factor, .. } => Rope { rope_type: of_type("dynamic"), factor: Some(factor), ..rope },
        RotaryScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => Rope {
            rope_type: of_type("llama3"),
            factor: Some(factor),
            low_freq_factor: Some(low_freq_factor),
            high_freq_factor: Some(high_freq_factor),
            original_max_position_embeddings: Some(original_context),
            ..rope
        },
    }
}

/// Reads the fields of a `config.json` of this family.
pub(super) fn config_from_json(family: &str, json: &Value) -> Result<(ModelConfig, Specials)> {
    let invalid = |e| Error::invalid(format!("no valid {family} config: {e}"));
    // Defaults that differ are put in where the file says nothing.
    let mut json = json.clone();
    // As in transformers, an empty older name counts for nothing.
    if json["rope_scaling"].as_object().is_some_and(|scaling| scaling.is_empty()) {
        json["rope_scaling"] = Value::Null;
    }
    if family == "mistral" {
        let defaults = serde_json::to_value(Fields::mistral()).map_err(invalid)?;
        for name in ["intermediate_size", "num_key_value_heads", "max_position_embeddings"] {
            if json.get(name).is_none() {
                json[name] = defaults[name].clone();
            }
        }
        if json.get("sliding_window").is_none() {
            json["sliding_window"] = Fields::mistral().sliding_window.into();
        }
    }
    let hf = Fields::deserialize(json).map_err(invalid)?;
    if family == "mistral"
        && let Some(window) = hf.sliding_window.filter(|&window| window < hf.max_position_embeddings)
    {
        let context = hf.max_position_embeddings;
        return Err(Error::invalid(format!(
            "sliding_window is {window}: a mistral is read where its window never slides over the context of {context}"
        )));
    }
    // Two names of one function.
    if !["silu", "swish"].contains(&hf.hidden_act.as_str()) {
        return Err(Error::invalid(format!("the hidden_act {:?} is not \"silu\"", hf.hidden_act)));
    }
    // As in transformers, the older name goes first where both are there.
    let rope = hf.rope_scaling.clone().or(hf.rope_parameters.clone()).unwrap_or_default();
    for factor in [rope.partial_rotary_factor, hf.partial_rotary_factor].into_iter().flatten() {
        only("partial_rotary_factor", factor, 1.0)?;
    }
    if hf.num_attention_heads == 0 || !hf.hidden_size.is_multiple_of(hf.num_attention_heads) {
        let (heads, width) = (hf.num_attention_heads, hf.hidden_size);
        return Err(Error::invalid(format!("{heads} heads do not divide the width {width}")));
    }
    let config = LlamaConfig {
        vocab: hf.vocab_size,
        context: hf.max_position_embeddings,
        layers: hf.num_hidden_layers,
        heads: hf.num_attention_heads,
        key_value_heads: hf.num_key_value_heads.unwrap_or(hf.num_attention_heads),
        head_dim: hf.head_dim.unwrap_or(hf.hidden_size / hf.num_attention_heads),
        width: hf.hidden_size,
        mlp_width: hf.intermediate_size,
        dropout: hf.attention_dropout,
        norm_eps: hf.rms_norm_eps,
        rope_theta: rope.rope_theta.or(hf.rope_theta).unwrap_or(10_000.0),
        rope_scaling: scaling_from(&rope, &hf)?,
        attention_bias: hf.attention_bias,
        mlp_bias: hf.mlp_bias,
        tied: hf.tie_word_embeddings,
    };
    Ok((config.into(), Specials { bos_token_id: hf.bos_token_id, eos_token_id: hf.eos_token_id }))
}

fn scaling_from(rope: &Rope, hf: &Fields) -> Result<RotaryScaling> {
    let kind = rope.rope_type.as_ref().or(rope.older_type.as_ref()).map_or("default", String::as_str);
    let needed = |name: &str, value: Option<f64>| {
        value.ok_or_else(|| Error::invalid(format!("the rotary scaling {kind:?} has no {name}")))
    };
    let context = hf.max_position_embeddings;
    Ok(match kind {
        "default" => RotaryScaling::None,
        "linear" => RotaryScaling::Linear { factor: needed("factor", rope.factor)? },
        "dynamic" => RotaryScaling::Dynamic { factor: needed("factor", rope.factor)?, original_context: context },
        "llama3" => RotaryScaling::Llama3 {
            factor: needed("factor", rope.factor)?,
            low_freq_factor: needed("low_freq_factor", rope.low_freq_factor)?,
            high_freq_factor: needed("high_freq_factor", rope.high_freq_factor)?,
            original_context: hf
                .original_max_position_embeddings
                .or(rope.original_max_position_embeddings)
                .unwrap_or(context),
        },
        other => {
            let what = format!("the rotary scaling {other:?} is not default, linear, dynamic or llama3");
            return Err(Error::invalid(what));
        }
    })
}

/// What stands in the file.
pub(super) const LAYOUT: Layout = Layout { prefix: "model.", embedding: "embed_tokens.weight", is_ignored };

/// Every parameter of a model, in the order of Hugging Face's state dict.
pub(super) fn entries(config: &LlamaConfig) -> Vec<Entry> {
    let LlamaConfig { vocab, heads, key_value_heads, head_dim, width: c, mlp_width: m, .. } = *config;
    let (queries, keys) = (heads * head_dim, key_value_heads * head_dim);
    let linear = [
        ("self_attn.q_proj", queries, c, config.attention_bias),
        ("self_attn.k_proj", keys, c, config.attention_bias),
        ("self_attn.v_proj", keys, c, config.attention_bias),
        ("self_attn.o_proj", c, queries, config.attention_bias),
        ("mlp.gate_proj", m, c, config.mlp_bias),
        ("mlp.up_proj", m, c, config.mlp_bias),
        ("mlp.down_proj", c, m, config.mlp_bias),
    ];
    let same = |name: String, shape: &[usize]| Entry::new(&name, &name, shape);
    let mut entries = vec![same("embed_tokens.weight".into(), &[vocab, c])];
    for i in 0..config.layers {
        for (name, rows, columns, bias) in linear {
            entries.push(same(format!("layers.{i}.{name}.weight"), &[rows, columns]));
            entries.extend(bias.then(|| same(format!("layers.{i}.{name}.bias"), &[rows])));
        }
        for name in ["input_layernorm", "post_attention_layernorm"] {
            entries.push(same(format!("layers.{i}.{name}.weight"), &[c]));
        }
    }
    entries.push(same("norm.weight".into(), &[c]));
    entries.extend((!config.tied).then(|| same("lm_head.weight".into(), &[vocab, c])));
    entries
}

/// Whether a tensor of a checkpoint is none of its weights: the rates of the rotations, which old versions stored.
fn is_ignored(bare: &str) -> bool {
    bare.ends_with("rotary_emb.inv_freq")
}

#[cfg(test)]
mod tests {
    use super::super::ConfigFile;
    use super::*;
    use serde_json::json;

    fn read(json: &Value) -> Result<LlamaConfig> {
        match ConfigFile::from_json(&json.to_string())?.model {
            ModelConfig::Llama(config) => Ok(config),
            other => panic!("{other:?}"),
        }
    }

    fn small() -> LlamaConfig {
        LlamaConfig {
            layers: 2,
            key_value_heads: 2,
            head_dim: 6,
            mlp_width: 20,
            dropout: 0.125,
            rope_theta: 500.0,
            ..LlamaConfig::new(11, 64, 16, 4)
        }
    }

    const LLAMA3: RotaryScaling =
        RotaryScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_context: 8192 };

    #[test]
    fn a_config_comes_back_as_it_was() {
        let scalings = [
            RotaryScaling::None,
            RotaryScaling::Linear { factor: 2.5 },
            RotaryScaling::Dynamic { factor: 2.0, original_context: 64 },
            LLAMA3,
        ];
        for (i, rope_scaling) in scalings.into_iter().enumerate() {
            let [attention_bias, mlp_bias, tied] = [i % 2 == 0, i > 1, i % 3 == 0];
            let config = LlamaConfig { rope_scaling, attention_bias, mlp_bias, tied, ..small() };
            let file = ConfigFile::new(config);
            assert_eq!(ConfigFile::from_json(&file.to_json()).unwrap(), file);
        }
    }

    #[test]
    fn rotations_of_new_and_old_versions_are_read() {
        let with = |json: Value| {
            let mut all = json!({"model_type": "llama", "max_position_embeddings": 100});
            all.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
            read(&all).map(|config| (config.rope_theta, config.rope_scaling)).map_err(|e| e.to_string())
        };
        assert_eq!(with(json!({})), Ok((10000.0, RotaryScaling::None)));
        assert_eq!(with(json!({"rope_theta": 7.0, "rope_scaling": null})), Ok((7.0, RotaryScaling::None)));
        let linear = RotaryScaling::Linear { factor: 3.0 };
        assert_eq!(
            with(json!({"rope_theta": 7.0, "rope_scaling": {"type": "linear", "factor": 3}})),
            Ok((7.0, linear))
        );
        let new = json!({"rope_parameters": {"rope_type": "dynamic", "rope_theta": 9.0, "factor": 2.0}});
        assert_eq!(with(new), Ok((9.0, RotaryScaling::Dynamic { factor: 2.0, original_context: 100 })));
        let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0});
        let of_context = |original_context| {
            let (factor, low_freq_factor, high_freq_factor) = (8.0, 1.0, 4.0);
            RotaryScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context }
        };
        let named = |n: usize| {
            let mut rope = llama3.clone();
            rope["original_max_position_embeddings"] = n.into();
            rope
        };
        assert_eq!(with(json!({"rope_scaling": named(8192)})), Ok((10000.0, LLAMA3)));
        assert_eq!(with(json!({"rope_scaling": llama3})), Ok((10000.0, of_context(100))));
        let outside = json!({"rope_parameters": named(8192), "original_max_position_embeddings": 50});
        assert_eq!(with(outside), Ok((10000.0, of_context(50))));
        for (json, says) in [
            (json!({"rope_scaling": {"type": "yarn", "factor": 2.0}}), "the rotary scaling \"yarn\" is not"),
            (json!({"rope_parameters": {"rope_type": "longrope"}}), "\"longrope\""),
            (json!({"rope_scaling": {"type": "linear"}}), "\"linear\" has no factor"),
            (json!({"rope_scaling": {"rope_type": "llama3", "factor": 2.0}}), "has no low_freq_factor"),
            (json!({"rope_scaling": {"type": "linear", "factor": -1.0}}), "factor"),
            (json!({"rope_scaling": {"type": 3}}), "no valid llama config"),
            (json!({"rope_theta": 0.0}), "base of the rotations"),
            (json!({"partial_rotary_factor": 0.5}), "partial_rotary_factor is 0.5, only 1.0"),
        ] {
            assert!(with(json).unwrap_err().contains(says), "{says}");
        }
    }

    #[test]
    fn configs_that_describe_another_model_are_refused() {
        let good: Value = serde_json::from_str(&ConfigFile::new(small()).to_json()).unwrap();
        let refused = |key: &str, value: Value, says: &str| {
            let mut config = good.clone();
            config[key] = value;
            let message = read(&config).unwrap_err().to_string();
            assert!(message.contains(says), "{key}: {message}");
        };
        refused("hidden_act", json!("gelu"), "the hidden_act \"gelu\" is not \"silu\"");
        refused("num_key_value_heads", json!(3), "3 key-value heads do not divide the 4 heads");
        refused("num_attention_heads", json!(3), "3 heads do not divide the width 16");
        refused("num_attention_heads", json!(0), "0 heads");
        refused("head_dim", json!(5), "pairs");
        refused("num_hidden_layers", json!(0), "layers");
        refused("hidden_size", json!(-16), "no valid llama config");
        refused("hidden_size", json!(1u64 << 40), "memory");
        refused("vocab_size", json!(1u64 << 62), "memory");
        refused("rms_norm_eps", json!(0.0), "epsilon");
        refused("attention_dropout", json!(1.0), "dropout");
        // What is absent has the default of Hugging Face: Llama 2 7B but for the context.
        let llama = read(&json!({"model_type": "llama", "hidden_act": "swish"})).unwrap();
        assert_eq!((llama.num_parameters(), llama.norm_eps), (Some(6_738_415_616), 1e-6));
    }

    #[test]
    fn a_mistral_whose_window_never_slides_is_a_llama() {
        let mistral = |window: Value| read(&json!({"model_type": "mistral", "sliding_window": window}));
        let config = mistral(Value::Null).unwrap();
        assert_eq!((config.key_value_heads, config.num_parameters()), (8, Some(7_241_732_096)));
        assert!(mistral(json!(4096 * 32)).is_ok());
        let message = mistral(json!(4096)).unwrap_err().to_string();
        assert!(message.contains("sliding_window is 4096"), "{message}");
        // The default of Hugging Face slides.
        assert!(read(&json!({"model_type": "mistral"})).is_err());
        assert!(read(&json!({"model_type": "mistral", "max_position_embeddings": 2048})).is_ok());
    }
}
