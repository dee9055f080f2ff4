//! `config.json`: the sizes of a model, the dtype of its weights and its special tokens, for every family.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tensor::DType;

use super::{gpt2, llama};
use crate::{Error, ModelConfig, Result};

/// What `config.json` says.
///
/// ```
/// use models::checkpoint::ConfigFile;
/// use models::{GptConfig, ModelConfig};
/// use tensor::DType;
///
/// let gpt2 = ConfigFile::from_json(r#"{"model_type": "gpt2", "torch_dtype": "float16"}"#)?;
/// // What is absent has the default of Hugging Face's `GPT2Config`.
/// assert_eq!(gpt2.model.num_parameters(), Some(124_439_808));
/// assert_eq!((gpt2.dtype, gpt2.eos_token_ids), (Some(DType::F16), vec![50256]));
///
/// let tiny = ConfigFile::new(GptConfig::new(5, 4, 8));
/// assert_eq!(ConfigFile::from_json(&tiny.to_json())?, tiny);
/// # Ok::<(), models::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigFile {
    /// The sizes of the model.
    pub model: ModelConfig,
    /// The dtype of the parameters: `dtype`, which older versions call `torch_dtype`.
    pub dtype: Option<DType>,
    /// The token with which a text begins.
    pub bos_token_id: Option<i64>,
    /// The tokens that end a text.
    pub eos_token_ids: Vec<i64>,
}

impl ConfigFile {
    /// A file about a model without special tokens, whose parameters may have any dtype.
    pub fn new(model: impl Into<ModelConfig>) -> ConfigFile {
        ConfigFile { model: model.into(), dtype: None, bos_token_id: None, eos_token_ids: Vec::new() }
    }

    /// Reads the contents of a `config.json`, of the family that its `model_type` names: `gpt2`, `llama`, or a `mistral` whose
    /// window never slides, which computes as a Llama does.
    ///
    /// # Errors
    /// When it is no JSON, describes no model that is here or one with options that it does not have, or sizes that no model
    /// has (see [`ModelConfig::check`]).
    pub fn from_json(text: &str) -> Result<ConfigFile> {
        let no_config = |e: serde_json::Error| Error::invalid(format!("no valid config: {e}"));
        let json: Value = serde_json::from_str(text).map_err(no_config)?;
        let common = Common::deserialize(&json).map_err(no_config)?;
        if common.quantization_config.is_some_and(|value| !value.is_null()) {
            return Err(Error::invalid("quantization_config: quantised weights are not read"));
        }
        let (model, specials) = match common.model_type.as_deref() {
            Some("gpt2") => gpt2::config_from_json(&json)?,
            Some(family @ ("llama" | "mistral")) => llama::config_from_json(family, &json)?,
            Some(other) => {
                let what =
                    format!("the model_type is {other:?}; gpt2, llama, and mistral without a sliding window are read");
                return Err(Error::invalid(what));
            }
            None => return Err(Error::invalid("there is no model_type")),
        };
        model.check()?;
        let dtype = common.dtype.or(common.torch_dtype).as_deref().map(dtype_from_name).transpose()?.flatten();
        let eos_token_ids = specials.eos_token_id.map_or(Vec::new(), TokenIds::into_vec);
        Ok(ConfigFile { model, dtype, bos_token_id: specials.bos_token_id, eos_token_ids })
    }

    /// The contents of `config.json`.
    pub fn to_json(&self) -> String {
        let json = match &self.model {
            ModelConfig::Gpt(config) => gpt2::config_to_json(config, self.specials()),
            ModelConfig::Llama(config) => llama::config_to_json(config, self.specials()),
        };
        let mut json = json.expect("a struct of numbers and strings has a JSON form");
        if let (Some(dtype), Some(object)) = (self.dtype, json.as_object_mut()) {
            object.insert("dtype".into(), dtype_name(dtype).into());
        }
        format!("{json:#}\n")
    }

    fn specials(&self) -> Specials {
        let eos_token_id = match self.eos_token_ids[..] {
            [] => None,
            [id] => Some(TokenIds::One(id)),
            _ => Some(TokenIds::Several(self.eos_token_ids.clone())),
        };
        Specials { bos_token_id: self.bos_token_id, eos_token_id }
    }
}

/// What every family's config may say.
#[derive(Deserialize)]
struct Common {
    model_type: Option<String>,
    dtype: Option<String>,
    torch_dtype: Option<String>,
    quantization_config: Option<Value>,
}

/// The special tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Specials {
    pub bos_token_id: Option<i64>,
    pub eos_token_id: Option<TokenIds>,
}

/// A token or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum TokenIds {
    One(i64),
    Several(Vec<i64>),
}

impl TokenIds {
    pub(super) fn into_vec(self) -> Vec<i64> {
        match self {
            TokenIds::One(id) => vec![id],
            TokenIds::Several(ids) => ids,
        }
    }
}

/// The dtype that PyTorch calls so; none for `auto`.
fn dtype_from_name(name: &str) -> Result<Option<DType>> {
    match name.strip_prefix("torch.").unwrap_or(name) {
        "float32" | "float" => Ok(Some(DType::F32)),
        "float64" | "double" => Ok(Some(DType::F64)),
        "bfloat16" => Ok(Some(DType::BF16)),
        "float16" | "half" => Ok(Some(DType::F16)),
        "auto" => Ok(None),
        _ => Err(Error::invalid(format!("the dtype {name:?} is not float32, float64, bfloat16 or float16"))),
    }
}

fn dtype_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F64 => "float64",
        DType::BF16 => "bfloat16",
        DType::F16 => "float16",
        _ => "float32",
    }
}

/// Refuses an option that has another value than the only one that is computed here.
pub(super) fn only<T: PartialEq + std::fmt::Debug>(option: &str, is: T, supported: T) -> Result<()> {
    if is == supported {
        return Ok(());
    }
    Err(Error::invalid(format!("{option} is {is:?}, only {supported:?} is supported")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GptConfig;
    use serde_json::json;

    fn read(json: Value) -> Result<ConfigFile> {
        ConfigFile::from_json(&json.to_string())
    }

    #[test]
    fn special_tokens_and_dtypes_are_read_and_written() {
        let mut file = ConfigFile::new(GptConfig::new(9, 4, 8));
        for (ids, written) in [(vec![], Value::Null), (vec![3], json!(3)), (vec![3, 8], json!([3, 8]))] {
            file.eos_token_ids = ids;
            file.bos_token_id = Some(1);
            let json: Value = serde_json::from_str(&file.to_json()).unwrap();
            assert_eq!((&json["eos_token_id"], &json["bos_token_id"]), (&written, &json!(1)));
            assert_eq!(read(json).unwrap(), file);
        }
        for dtype in [DType::F32, DType::F64, DType::BF16, DType::F16] {
            file.dtype = Some(dtype);
            assert_eq!(ConfigFile::from_json(&file.to_json()).unwrap().dtype, Some(dtype));
            let older = json!({"model_type": "gpt2", "torch_dtype": dtype_name(dtype)});
            assert_eq!(read(older).unwrap().dtype, Some(dtype));
        }
        assert_eq!(read(json!({"model_type": "gpt2", "dtype": "auto"})).unwrap().dtype, None);
    }

    #[test]
    fn other_models_are_refused_by_name() {
        for (json, says) in [
            (json!({"model_type": "qwen2"}), "the model_type is \"qwen2\""),
            (json!({"model_type": null}), "no model_type"),
            (json!({}), "no model_type"),
            (json!([1]), "no valid config"),
            (json!({"model_type": 7}), "no valid config"),
            (json!({"model_type": "gpt2", "dtype": "int8"}), "the dtype \"int8\""),
            (json!({"model_type": "gpt2", "eos_token_id": "end"}), "no valid"),
            (json!({"model_type": "llama", "quantization_config": {"bits": 4}}), "quantization_config"),
        ] {
            let message = read(json).unwrap_err().to_string();
            assert!(message.contains(says), "{says}: {message}");
        }
        assert!(ConfigFile::from_json("").is_err());
        assert!(ConfigFile::from_json(&"[".repeat(100_000)).is_err());
    }
}
