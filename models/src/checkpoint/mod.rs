//! Model directories in the Hugging Face layout of GPT-2 or Llama: `config.json`, `model.safetensors`, `tokenizer.json` and
//! `tokenizer_config.json`.
//!
//! Python's `AutoModelForCausalLM.from_pretrained(dir)` reads what [`save`] writes, and [`load`] reads what
//! `save_pretrained(dir)` writes; of older directories also the tokenizer in `vocab.json` and `merges.txt`.

mod config;
mod end;
mod gpt2;
mod llama;
mod tokenizer;
mod weights;

use std::path::Path;

use tensor::DType;

use crate::weights::Reader;
use crate::{Error, LanguageModel, ModelConfig, Result, Storage, Tokenizer};

pub use config::ConfigFile;
pub use end::{GENERATION_CONFIG, end_tokens};
pub(crate) use tokenizer::need_tokenizer;
pub use tokenizer::{VOCAB_AND_MERGES, load_tokenizer};
pub use weights::{from_hugging_face, to_hugging_face};

/// The file with the sizes of the model.
pub const CONFIG: &str = "config.json";
/// The file with the weights.
pub const WEIGHTS: &str = "model.safetensors";
/// The file with the vocabulary.
pub const TOKENIZER: &str = "tokenizer.json";

/// The file that tells Python's `AutoTokenizer` to take [`TOKENIZER`] as it is, and not for GPT-2's own byte-level one.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// How a directory is written.
#[derive(Debug, Clone)]
pub struct SaveOptions {
    /// The size beyond which the weights are several files with an index (default: that of transformers 5, 50 GB).
    pub max_shard_bytes: u64,
    /// The tokens that end a text (default: the tokenizer's).
    pub eos_token_ids: Option<Vec<i64>>,
}

impl Default for SaveOptions {
    fn default() -> SaveOptions {
        SaveOptions { max_shard_bytes: tensor::safetensors::MAX_SHARD_BYTES, eos_token_ids: None }
    }
}

/// Writes `model` and `tokenizer` into the directory `dir`, which is made when it is not there.
///
/// All files are first written whole beside the old ones and then renamed, so that a process killed while it writes
/// leaves the old files. The renames follow each other at once, the weights first; a file whose contents stay the same
/// is not touched, so saving the same model again is one rename. A process killed between the renames of a *different*
/// model leaves files of both, which [`load`] refuses when their sizes differ.
///
/// # Errors
/// When the directory or a file cannot be written.
pub fn save(dir: &Path, model: &dyn LanguageModel, tokenizer: &Tokenizer) -> Result<()> {
    save_with(dir, model, Some(tokenizer), &SaveOptions::default())
}

/// [`save`] with options, and without a tokenizer if there is none.
///
/// # Errors
/// As [`save`].
///
/// ```
/// use models::checkpoint::{self, SaveOptions};
/// use models::{LanguageModel, Llama, LlamaConfig};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let dir = folder.path();
/// let llama = Llama::new(LlamaConfig::new(10, 8, 16, 4))?;
/// checkpoint::save_with(dir, &llama, None, &SaveOptions { max_shard_bytes: 100_000, ..Default::default() })?;
/// assert!(dir.join("model.safetensors.index.json").is_file() == (4 * llama.config().num_parameters().unwrap() > 100_000));
/// assert_eq!(checkpoint::load_model(dir)?.config(), LanguageModel::config(&llama));
/// # Ok::<(), models::Error>(())
/// ```
pub fn save_with(
    dir: &Path,
    model: &dyn LanguageModel,
    tokenizer: Option<&Tokenizer>,
    options: &SaveOptions,
) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|e| Error::write(dir, e))?;
    let staging = tempfile::Builder::new().prefix(".saving-").tempdir_in(dir).map_err(|e| Error::write(dir, e))?;
    let new = staging.path();
    let write = |name: &str, text: &str| {
        tensor::io::write_atomic(new.join(name), text.as_bytes()).map_err(|e| Error::write(&dir.join(name), e))
    };
    let end = tokenizer.and_then(Tokenizer::end_of_text);
    let file = ConfigFile {
        dtype: dtype_of(model),
        // GPT-2 begins a text with the token that ends the one before.
        bos_token_id: tokenizer.and_then(Tokenizer::beginning_of_text).or(end),
        eos_token_ids: options.eos_token_ids.clone().unwrap_or(end.into_iter().collect()),
        ..ConfigFile::new(model.config())
    };
    write(CONFIG, &file.to_json())?;
    if let Some(tokenizer) = tokenizer {
        write(TOKENIZER, tokenizer.to_json())?;
        write(TOKENIZER_CONFIG, &tokenizer_config(model.context(), tokenizer))?;
    }
    // Python's libraries refuse a file that does not say which framework's layout it has.
    let metadata = [("format".to_string(), "pt".to_string())];
    tensor::safetensors::save_sharded(dir, "model", &to_hugging_face(model), &metadata, options.max_shard_bytes)
        .map_err(|e| Error::write(&dir.join(WEIGHTS), e))?;
    for name in [CONFIG, TOKENIZER, TOKENIZER_CONFIG] {
        let (from, to) = (new.join(name), dir.join(name));
        if from.exists() && !same_contents(&from, &to) {
            std::fs::rename(&from, &to).map_err(|e| Error::write(&to, e))?;
        }
    }
    // The renames themselves are on the disk once the directory is.
    #[cfg(unix)]
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| Error::write(dir, e))?;
    Ok(())
}

/// The contents of `tokenizer_config.json`; nothing here reads it.
fn tokenizer_config(context: usize, tokenizer: &Tokenizer) -> String {
    let mut json = serde_json::json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "clean_up_tokenization_spaces": false,
    });
    for (name, id) in [("bos_token", tokenizer.beginning_of_text()), ("eos_token", tokenizer.end_of_text())] {
        if let Some(token) = id.and_then(|id| tokenizer.id_to_token(id)) {
            json[name] = token.into();
        }
    }
    format!("{json:#}\n")
}

/// The dtype of the parameters, if they have one.
fn dtype_of(model: &dyn LanguageModel) -> Option<DType> {
    let mut dtypes = model.parameters().into_iter().map(|p| p.dtype());
    dtypes.next().filter(|first| dtypes.all(|dtype| dtype == *first))
}

fn same_contents(a: &Path, b: &Path) -> bool {
    std::fs::read(a).ok().zip(std::fs::read(b).ok()).is_some_and(|(a, b)| a == b)
}

/// Reads the sizes of the model in the directory `dir`, and no weights: those need not be there.
///
/// # Errors
/// When `config.json` is missing, or describes no model that is here.
///
/// ```
/// use models::{Gpt, GptConfig, LanguageModel, checkpoint};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let dir = folder.path();
/// let gpt = Gpt::new(GptConfig::new(10, 8, 16))?;
/// checkpoint::save_with(dir, &gpt, None, &Default::default())?;
/// assert_eq!(checkpoint::load_config(dir)?, LanguageModel::config(&gpt));
/// # Ok::<(), models::Error>(())
/// ```
pub fn load_config(dir: &Path) -> Result<ModelConfig> {
    Ok(config_file(dir)?.model)
}

fn config_file(dir: &Path) -> Result<ConfigFile> {
    let path = dir.join(CONFIG);
    let text = std::fs::read_to_string(&path).map_err(|e| Error::read(&path, e))?;
    ConfigFile::from_json(&text).map_err(|e| Error::in_file(&path, e))
}

/// Reads the model of the directory `dir`. Its parameters have the dtype that the config names, as in transformers, or that of
/// the file where it names none.
///
/// The weights are those of `model.safetensors`, or of what else [`find`](crate::weights::find) finds: several files, or
/// PyTorch's `pytorch_model.bin`. They are read one by one, so that no more than the model and one tensor is in memory.
///
/// # Errors
/// When a file is missing or damaged, or the files do not fit each other.
pub fn load_model(dir: &Path) -> Result<Box<dyn LanguageModel>> {
    load_model_as(dir, None)
}

/// [`load_model`] with parameters of this dtype: halves for half the memory, f32 to train.
///
/// # Errors
/// As [`load_model`].
pub fn load_model_as(dir: &Path, dtype: impl Into<Option<DType>>) -> Result<Box<dyn LanguageModel>> {
    load_with(dir, dtype.into(), None, |dir| Reader::open(dir))
}

/// [`load_model`] without reading the weights: those of safetensors files are mapped into memory and read where and when they
/// are used, so that a large model is there at once, and several processes share one copy of it.
///
/// **For local files that you trust to stay as they are** as long as there is the model: a file that another program
/// overwrites in place changes the model under way, and one that is cut short ends this process; see
/// [`Reader::open_mapped`]. [`save`] is no danger, it renames.
///
/// A parameter that is not used as it stands in the file is copied into memory: one that becomes another dtype, that is written
/// to (in training, all of them), and the matrices of a GPT-2 in the layers, which lie transposed in its files. So this is for
/// Llama in the dtype in which it is to compute.
///
/// # Errors
/// As [`load_model`], and when the system cannot map files.
///
/// ```
/// use models::{Llama, LlamaConfig, checkpoint};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let dir = folder.path();
/// let llama = Llama::new(LlamaConfig::new(10, 8, 16, 4))?;
/// checkpoint::save_with(dir, &llama, None, &Default::default())?;
/// let mapped = checkpoint::load_model_mapped(dir)?;
/// assert_eq!(mapped.vocab(), 10);
/// # Ok::<(), models::Error>(())
/// ```
pub fn load_model_mapped(dir: &Path) -> Result<Box<dyn LanguageModel>> {
    load_with(dir, None, None, |dir| Reader::open_mapped(dir))
}

fn load_with(
    dir: &Path,
    dtype: Option<DType>,
    storage: Option<Storage>,
    open: impl FnOnce(&Path) -> Result<Reader>,
) -> Result<Box<dyn LanguageModel>> {
    let config = config_file(dir)?;
    let reader = open(dir)?;
    let at = |e| match e {
        Error::Invalid(what) => Error::in_file(reader.files().path(), what),
        other => other,
    };
    if let Some(info) = reader.tensors().iter().find(|info| info.known_dtype().is_none()) {
        let (name, dtype) = (&info.name, &info.dtype);
        return Err(at(Error::invalid(format!("{name:?} is {dtype}, a dtype that is not supported here"))));
    }
    weights::model_from(config.model, &reader, dtype.or(config.dtype), storage).map_err(at)
}

/// Reads the model and the tokenizer of the directory `dir`.
///
/// # Errors
/// As [`load_model`] and [`load_tokenizer`], when there is no tokenizer, and when it has more tokens than the model.
pub fn load(dir: &Path) -> Result<(Box<dyn LanguageModel>, Tokenizer)> {
    load_stored(dir, None)
}

/// [`load`] for inference, with the weights stored like this as soon as each is read: no more memory is used than the model
/// takes so, and one of its tensors.
///
/// # Errors
/// As [`load`] and [`Storage::apply`].
///
/// ```
/// use models::{Gpt, GptConfig, Storage, Tokenizer, checkpoint};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let dir = folder.path();
/// let tokenizer = Tokenizer::chars("abc")?;
/// checkpoint::save(dir, &Gpt::new(GptConfig { heads: 2, ..GptConfig::new(3, 8, 16) })?, &tokenizer)?;
/// let (model, _) = checkpoint::load_stored(dir, Some(Storage::Int8))?;
/// assert_eq!(model.vocab(), 3);
/// # Ok::<(), models::Error>(())
/// ```
pub fn load_stored(dir: &Path, storage: Option<Storage>) -> Result<(Box<dyn LanguageModel>, Tokenizer)> {
    let tokenizer = need_tokenizer(dir)?;
    let model = load_with(dir, None, storage, |dir| Reader::open(dir))?;
    let (has, needs) = (tokenizer.vocab_size(), model.vocab());
    // Some models have more rows than their tokenizer has tokens, for the sake of speed.
    if has > needs {
        return Err(Error::in_file(dir, format!("the tokenizer has {has} tokens, {CONFIG} has {needs}")));
    }
    Ok((model, tokenizer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Gpt, GptConfig};
    use nn::prelude::*;
    use serde_json::{Value, json};

    fn tiny() -> (Gpt, Tokenizer) {
        let config = GptConfig { layers: 2, heads: 2, dropout: 0.25, norm_eps: 1e-6, ..GptConfig::new(5, 4, 8) };
        (Gpt::new(config).unwrap(), Tokenizer::chars("abcde").unwrap())
    }

    /// The message of the error, of one line, that loading `dir` gives.
    pub(super) fn refused(dir: &Path) -> String {
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
        assert_eq!(read.config(), model.config().clone().into());
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
        let tokens = |model: &dyn LanguageModel| model.state_dict()["tokens.weight"].clone();
        assert!(tokens(&*load(&out).unwrap().0).bit_eq(&tokens(&other)));
    }

    #[test]
    fn weights_stored_one_by_one_are_those_of_a_model_stored_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (model, tokenizer) = tiny();
        save(dir.path(), &model, &tokenizer).unwrap();
        let ids = Tensor::from([[0_i64, 1, 2, 3]]);
        for storage in [Storage::F32, Storage::Bf16, Storage::F16, Storage::Int8, Storage::Int4] {
            let (whole, _) = load(dir.path()).unwrap();
            storage.apply(&*whole).unwrap();
            let (one_by_one, _) = load_stored(dir.path(), Some(storage)).unwrap();
            let bytes = |model: &dyn LanguageModel| {
                model.parameters().iter().map(|p| (p.dtype(), p.nbytes())).collect::<Vec<_>>()
            };
            assert_eq!(bytes(&*whole), bytes(&*one_by_one));
            let logits = |model: &dyn LanguageModel| {
                model.eval();
                no_grad(|| model.forward(&ids)).value()
            };
            assert!(logits(&*whole).bit_eq(&logits(&*one_by_one)), "{storage:?}");
        }
        model.parameters()[0].set_value(Tensor::full([5, 8], f64::NAN, DType::F32));
        save(dir.path(), &model, &tokenizer).unwrap();
        let message = load_stored(dir.path(), Some(Storage::Int8)).err().expect("must be refused").to_string();
        assert!(message.contains("transformer.wte.weight"), "{message}");
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
        std::fs::write(at(CONFIG), ConfigFile::new(config).to_json()).unwrap();
        assert!(refused(dir.path()).contains("100000000 layers"));
        let config = GptConfig { vocab: 1 << 40, ..model.config().clone() };
        std::fs::write(at(CONFIG), ConfigFile::new(config).to_json()).unwrap();
        assert!(refused(dir.path()).contains("wte.weight is [5, 8], needs [1099511627776, 8]"));

        std::fs::write(at(CONFIG), ConfigFile::new(model.config().clone()).to_json()).unwrap();
        std::fs::write(at(TOKENIZER), Tokenizer::chars("abcdef").unwrap().to_json()).unwrap();
        assert!(refused(dir.path()).contains("6 tokens, config.json has 5"));
        std::fs::write(at(CONFIG), [0xff, 0xfe]).unwrap();
        assert!(refused(dir.path()).contains(CONFIG));
    }
}
