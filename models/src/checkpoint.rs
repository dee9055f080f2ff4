//! Model directories in the Hugging Face layout of GPT-2: `config.json`, `model.safetensors`, `tokenizer.json` and
//! `tokenizer_config.json`.
//!
//! Python's `GPT2LMHeadModel.from_pretrained(dir)` reads what [`save`] writes, and [`load`] reads what
//! `save_pretrained(dir)` writes. The two sides differ in names and in the orientation of matrices: Hugging Face's GPT-2
//! stores `[in, out]` ("Conv1D") where a linear layer has `[out, in]`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nn::prelude::*;
use serde::{Deserialize, Serialize};
use tensor::{DType, Tensor};

use crate::{CharTokenizer, Error, Gpt, GptConfig, Result};

/// The file with the sizes of the model.
pub const CONFIG: &str = "config.json";
/// The file with the weights.
pub const WEIGHTS: &str = "model.safetensors";
/// The file with the vocabulary.
pub const TOKENIZER: &str = "tokenizer.json";

/// The file that tells Python's `AutoTokenizer` to take [`TOKENIZER`] as it is, and not for GPT-2's own byte-level one.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

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
/// When it is no JSON, describes no GPT-2 or one with options that [`Gpt`] does not have, or sizes that no model has
/// (see [`GptConfig::check`]).
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

/// Writes `model` and `tokenizer` into the directory `dir`, which is made when it is not there.
///
/// All files are first written whole beside the old ones and then renamed, so that a process killed while it writes
/// leaves the old files; a file whose contents stay the same is not touched.
///
/// # Errors
/// When the directory or a file cannot be written.
pub fn save(dir: &Path, model: &Gpt, tokenizer: &CharTokenizer) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|e| Error::write(dir, e))?;
    let staging = tempfile::Builder::new().prefix(".saving-").tempdir_in(dir).map_err(|e| Error::write(dir, e))?;
    let new = staging.path();
    let write = |name: &str, text: String| {
        tensor::io::write_atomic(new.join(name), text.as_bytes()).map_err(|e| Error::write(&dir.join(name), e))
    };
    write(CONFIG, config_to_json(model.config()))?;
    write(TOKENIZER, tokenizer.to_json())?;
    write(TOKENIZER_CONFIG, tokenizer_config(model.config()))?;
    // Python's libraries refuse a file that does not say which framework's layout it has.
    let metadata = [("format".to_string(), "pt".to_string())];
    tensor::safetensors::save(new.join(WEIGHTS), &to_hugging_face(model), &metadata)
        .map_err(|e| Error::write(&dir.join(WEIGHTS), e))?;
    for name in [CONFIG, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS] {
        let (from, to) = (new.join(name), dir.join(name));
        if name != WEIGHTS && same_contents(&from, &to) {
            continue;
        }
        std::fs::rename(&from, &to).map_err(|e| Error::write(&to, e))?;
    }
    // The renames themselves are on the disk once the directory is.
    #[cfg(unix)]
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| Error::write(dir, e))?;
    Ok(())
}

/// The contents of `tokenizer_config.json`; nothing here reads it.
fn tokenizer_config(config: &GptConfig) -> String {
    let json = serde_json::json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.context,
        "clean_up_tokenization_spaces": false,
    });
    format!("{json:#}\n")
}

fn same_contents(a: &Path, b: &Path) -> bool {
    std::fs::read(a).ok().zip(std::fs::read(b).ok()).is_some_and(|(a, b)| a == b)
}

/// The weights of `model` under Hugging Face's names and in its orientation; the tied head stands once, as `wte`.
pub fn to_hugging_face(model: &Gpt) -> Vec<(String, Tensor)> {
    let weights = model.state_dict();
    let turn = |tensor: &Tensor, turned: bool| if turned { tensor.t() } else { tensor.clone() };
    let named = |entry: Entry| (format!("{PREFIX}{}", entry.theirs), turn(&weights[&entry.ours], entry.turned));
    entries(model.config()).into_iter().map(named).collect()
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

/// Reads the model of the directory `dir`.
///
/// # Errors
/// When a file is missing or damaged, or the files do not fit each other.
pub fn load_model(dir: &Path) -> Result<Gpt> {
    let path = dir.join(CONFIG);
    let text = std::fs::read_to_string(&path).map_err(|e| Error::read(&path, e))?;
    let config = config_from_json(&text).map_err(|e| Error::in_file(&path, e))?;
    let path = dir.join(WEIGHTS);
    let file = tensor::safetensors::load(&path).map_err(Error::invalid)?;
    from_hugging_face(config, file.tensors).map_err(|e| Error::in_file(&path, e))
}

/// Reads the model and the tokenizer of the directory `dir`.
///
/// # Errors
/// As [`load_model`] and [`CharTokenizer::load`], and when the tokenizer has another vocabulary size than the model.
pub fn load(dir: &Path) -> Result<(Gpt, CharTokenizer)> {
    let tokenizer = CharTokenizer::load(&dir.join(TOKENIZER))?;
    let model = load_model(dir)?;
    let (has, needs) = (tokenizer.vocab_size(), model.config().vocab);
    if has != needs {
        return Err(Error::in_file(dir, format!("{TOKENIZER} has {has} tokens, {CONFIG} has {needs}")));
    }
    Ok((model, tokenizer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn tiny() -> (Gpt, CharTokenizer) {
        let config = GptConfig { layers: 2, heads: 2, dropout: 0.25, norm_eps: 1e-6, ..GptConfig::new(5, 4, 8) };
        (Gpt::new(config).unwrap(), CharTokenizer::from_text("abcde").unwrap())
    }

    /// The message of the error, of one line, that loading `dir` gives.
    fn refused(dir: &Path) -> String {
        let message = load(dir).err().expect("must be refused").to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    }

    #[test]
    fn a_directory_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("deep/run");
        let (model, tokenizer) = tiny();
        save(&out, &model, &tokenizer).unwrap();
        let (read, read_tokenizer) = load(&out).unwrap();
        assert_eq!(read.config(), model.config());
        assert_eq!(read_tokenizer, tokenizer);
        for ((name, a), (_, b)) in model.state_dict().iter().zip(&read.state_dict()) {
            assert!(a.bit_eq(b), "{name}");
        }
        // Only the four files are left, and writing again replaces the weights.
        let mut names: Vec<_> = std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG]);
        let other = Gpt::new(model.config().clone()).unwrap();
        save(&out, &other, &tokenizer).unwrap();
        assert!(load(&out).unwrap().0.tokens_value().bit_eq(&other.tokens_value()));
    }

    impl Gpt {
        fn tokens_value(&self) -> Tensor {
            self.state_dict()["tokens.weight"].clone()
        }
    }

    #[test]
    fn the_file_is_hugging_faces() {
        let dir = tempfile::tempdir().unwrap();
        let (model, tokenizer) = tiny();
        save(dir.path(), &model, &tokenizer).unwrap();
        let tensor::safetensors::File { tensors, metadata } =
            tensor::safetensors::load(dir.path().join(WEIGHTS)).unwrap();
        assert_eq!(metadata, [("format".to_string(), "pt".to_string())]);
        assert_eq!(tensors.len(), 2 + 2 * 12 + 2);
        let shape = |name: &str| tensors.iter().find(|(n, _)| n == name).map(|(_, t)| t.dims().to_vec());
        assert_eq!(shape("transformer.wte.weight"), Some(vec![5, 8]));
        assert_eq!(shape("transformer.h.1.attn.c_attn.weight"), Some(vec![8, 24]));
        assert_eq!(shape("transformer.h.0.mlp.c_proj.weight"), Some(vec![32, 8]));
        assert_eq!(shape("lm_head.weight"), None);
        let config: Value = serde_json::from_str(&std::fs::read_to_string(dir.path().join(CONFIG)).unwrap()).unwrap();
        for (key, value) in [
            ("model_type", json!("gpt2")),
            ("architectures", json!(["GPT2LMHeadModel"])),
            ("vocab_size", json!(5)),
            ("n_positions", json!(4)),
            ("n_ctx", json!(4)),
            ("n_embd", json!(8)),
            ("n_layer", json!(2)),
            ("n_head", json!(2)),
            ("n_inner", Value::Null),
            ("activation_function", json!("gelu_new")),
            ("layer_norm_epsilon", json!(1e-6)),
            ("attn_pdrop", json!(0.25)),
            ("initializer_range", json!(0.02)),
            ("tie_word_embeddings", json!(true)),
            ("eos_token_id", Value::Null),
        ] {
            assert_eq!(config[key], value, "{key}");
        }
    }

    #[test]
    fn names_without_prefix_and_extra_buffers_are_read() {
        let (model, _) = tiny();
        let mut tensors: Vec<(String, Tensor)> = to_hugging_face(&model)
            .into_iter()
            .map(|(name, tensor)| (name.trim_start_matches(PREFIX).to_string(), tensor.to_dtype(DType::F64)))
            .collect();
        tensors.push(("h.0.attn.bias".into(), Tensor::ones([1, 1, 4, 4], DType::U8)));
        tensors.push(("transformer.h.1.attn.masked_bias".into(), Tensor::scalar(-1e4_f32)));
        tensors.push(("lm_head.weight".into(), Tensor::zeros([5, 8], DType::F32)));
        let read = from_hugging_face(model.config().clone(), tensors).unwrap();
        assert!(read.tokens_value().bit_eq(&model.tokens_value()));
    }

    #[test]
    fn every_tensor_that_does_not_fit_is_named_at_once() {
        let (model, _) = tiny();
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

    #[test]
    fn configs_that_describe_another_model_are_refused() {
        let good: Value = serde_json::from_str(&config_to_json(tiny().0.config())).unwrap();
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

    #[test]
    fn damaged_directories_are_refused_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        assert!(refused(dir.path()).contains(TOKENIZER));
        let (model, tokenizer) = tiny();
        save(dir.path(), &model, &tokenizer).unwrap();
        let weights = std::fs::read(at(WEIGHTS)).unwrap();

        for length in [0, 4, 8, 100, weights.len() / 2, weights.len() - 1] {
            std::fs::write(at(WEIGHTS), &weights[..length]).unwrap();
            assert!(refused(dir.path()).contains(WEIGHTS));
        }
        std::fs::remove_file(at(WEIGHTS)).unwrap();
        assert!(refused(dir.path()).contains(WEIGHTS));
        std::fs::write(at(WEIGHTS), &weights).unwrap();

        // A config that claims more than the file holds is noticed before anything of that size is made.
        let config = GptConfig { layers: 100_000_000, ..model.config().clone() };
        std::fs::write(at(CONFIG), config_to_json(&config)).unwrap();
        assert!(refused(dir.path()).contains("100000000 layers"));
        let config = GptConfig { vocab: 1 << 40, ..model.config().clone() };
        std::fs::write(at(CONFIG), config_to_json(&config)).unwrap();
        assert!(refused(dir.path()).contains("wte.weight is [5, 8], needs [1099511627776, 8]"));

        std::fs::write(at(CONFIG), config_to_json(model.config())).unwrap();
        std::fs::write(at(TOKENIZER), CharTokenizer::from_text("abc").unwrap().to_json()).unwrap();
        assert!(refused(dir.path()).contains("3 tokens, config.json has 5"));
        std::fs::write(at(CONFIG), [0xff, 0xfe]).unwrap();
        assert!(refused(dir.path()).contains(CONFIG));
    }
}
