//! The weights of a directory: which tensor is which parameter, in what orientation and dtype.

use std::collections::{BTreeMap, BTreeSet};

use nn::prelude::*;

use super::{CONFIG, gpt2, llama};
use crate::{Error, LanguageModel, ModelConfig, Result, Storage, weights};

/// What is said once about a family's files.
pub(super) struct Layout {
    /// What names begin with; checkpoints of the bare transformer leave it out, and the head never has it.
    pub prefix: &'static str,
    /// The token embedding, which may be the head.
    pub embedding: &'static str,
    /// Whether a tensor, named without the prefix, is none of the weights.
    pub is_ignored: fn(&str) -> bool,
}

/// The head.
const HEAD: &str = "lm_head.weight";

/// One parameter: its name here, its name there without the prefix, its shape there, and whether it is turned.
pub(super) struct Entry {
    pub ours: String,
    pub theirs: String,
    pub shape: Vec<usize>,
    pub turned: bool,
}

impl Entry {
    pub(super) fn new(ours: &str, theirs: &str, shape: &[usize]) -> Entry {
        Entry { ours: ours.into(), theirs: theirs.into(), shape: shape.to_vec(), turned: false }
    }
}

fn layout(config: &ModelConfig) -> Layout {
    match config {
        ModelConfig::Gpt(_) => gpt2::LAYOUT,
        ModelConfig::Llama(_) => llama::LAYOUT,
    }
}

fn entries(config: &ModelConfig) -> Vec<Entry> {
    match config {
        ModelConfig::Gpt(config) => gpt2::entries(config),
        ModelConfig::Llama(config) => llama::entries(config),
    }
}

/// Tensors that can be looked at one by one.
pub(super) trait Source {
    /// Name, dtype and shape of each.
    fn tensors(&self) -> Vec<(String, DType, Vec<usize>)>;

    /// The tensor of this name.
    fn read(&self, name: &str) -> Result<Tensor>;
}

impl Source for BTreeMap<String, Tensor> {
    fn tensors(&self) -> Vec<(String, DType, Vec<usize>)> {
        self.iter().map(|(name, tensor)| (name.clone(), tensor.dtype(), tensor.dims().to_vec())).collect()
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        Ok(self[name].clone())
    }
}

impl Source for weights::Reader {
    fn tensors(&self) -> Vec<(String, DType, Vec<usize>)> {
        // Whether every dtype is known was asked before.
        let known = |info: &weights::Info| Some((info.name.clone(), info.known_dtype()?, info.shape.clone()));
        weights::Reader::tensors(self).iter().filter_map(known).collect()
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        self.tensor(name)
    }
}

/// The weights of `model` under Hugging Face's names and in its orientation; a head that is the token embedding does not stand
/// there a second time, and low-rank adapters are merged into their weights.
pub fn to_hugging_face(model: &dyn LanguageModel) -> Vec<(String, Tensor)> {
    let (config, weights) = (model.config(), nn::lora::merged_state_dict(model));
    let prefix = layout(&config).prefix;
    let named = |entry: Entry| {
        let tensor = &weights[&entry.ours];
        let prefix = if entry.theirs == HEAD { "" } else { prefix };
        (format!("{prefix}{}", entry.theirs), if entry.turned { tensor.t() } else { tensor.clone() })
    };
    entries(&config).into_iter().map(named).collect()
}

/// A model from weights under Hugging Face's names, with or without the family's prefix. The parameters become `dtype`, or stay
/// what they are.
///
/// Where the config ties the head to the token embedding and there is a head too, equal ones are one, as in transformers; of a
/// Llama whose two differ, the model has both, untied, and its config says so.
///
/// # Errors
/// Names every missing, unexpected and mis-shaped tensor at once, or says that the head of a GPT-2 is not its token embedding.
pub fn from_hugging_face(
    config: ModelConfig,
    tensors: Vec<(String, Tensor)>,
    dtype: Option<DType>,
) -> Result<Box<dyn LanguageModel>> {
    let count = tensors.len();
    let tensors: BTreeMap<String, Tensor> = tensors.into_iter().collect();
    if tensors.len() < count {
        return Err(Error::invalid("a tensor's name stands there twice"));
    }
    model_from(config, &tensors, dtype, None)
}

/// [`from_hugging_face`] that reads one tensor after the other, and stores each as `storage` says: there is never more in memory
/// than the model and one tensor.
pub(super) fn model_from(
    mut config: ModelConfig,
    source: &dyn Source,
    dtype: Option<DType>,
    storage: Option<Storage>,
) -> Result<Box<dyn LanguageModel>> {
    config.check()?;
    let mut found = Found::new(&config, source)?;
    found.tie(&mut config, source)?;
    // The name in the file of each parameter.
    let mut names = Vec::new();
    for Entry { ours, theirs, shape: needs, turned } in entries(&config) {
        match found.by_name.remove(&theirs) {
            None => found.problems.missing.push(theirs),
            Some((_, _, has)) if has != needs => {
                found.problems.mis_shaped.push(format!("{theirs} is {has:?}, needs {needs:?}"))
            }
            Some((_, dtype, _)) if !dtype.is_floating_point() => {
                found.problems.mis_shaped.push(format!("{theirs} holds {dtype:?}, needs floats"))
            }
            Some((name, _, _)) => names.push((ours, name, turned)),
        }
    }
    found.problems.unexpected.extend(found.by_name.into_keys());
    found.problems.check()?;

    let model = nn::init::skip_init(|| config.build())?;
    let mut stored = storage.map(|storage| storage.of(&*model));
    let mut parameters: BTreeMap<String, Parameter> = model.named_parameters().into_iter().collect();
    for (ours, name, turned) in names {
        let parameter = parameters.remove(&ours).expect("every entry is a parameter");
        // Nothing but the parameter holds the value when it is stored, so that its memory is free afterwards.
        parameter.set_value({
            let tensor = source.read(&name)?;
            let tensor = if turned { tensor.t().contiguous() } else { tensor };
            tensor.to_dtype(dtype.unwrap_or(tensor.dtype()))
        });
        if let Some(stored) = &stored {
            stored.put(&name, &parameter)?;
        }
    }
    if stored.take().is_some() {
        tensor::memory::trim();
    }
    assert!(parameters.is_empty(), "every parameter is an entry");
    Ok(model)
}

/// The tensors of a file by their names without prefix: the whole name, the dtype and the shape.
struct Found {
    by_name: BTreeMap<String, (String, DType, Vec<usize>)>,
    problems: Problems,
}

impl Found {
    fn new(config: &ModelConfig, source: &dyn Source) -> Result<Found> {
        let (layout, tensors) = (layout(config), source.tensors());
        // Each block needs tensors of its own: a config with more blocks than the file has tensors need not be unfolded.
        if config.layers() > tensors.len() {
            let (layers, found) = (config.layers(), tensors.len());
            return Err(Error::invalid(format!("{CONFIG} has {layers} layers, but there are only {found} tensors")));
        }
        let (mut by_name, mut problems) = (BTreeMap::new(), Problems::default());
        for (name, dtype, shape) in tensors {
            let bare = name.strip_prefix(layout.prefix).unwrap_or(&name).to_string();
            if (layout.is_ignored)(&bare) {
                continue;
            }
            if let Some((other, ..)) = by_name.insert(bare, (name, dtype, shape)) {
                problems.unexpected.push(format!("{other} (twice)"));
            }
        }
        Ok(Found { by_name, problems })
    }

    /// Decides what is the head of a model whose config ties it to the token embedding.
    fn tie(&mut self, config: &mut ModelConfig, source: &dyn Source) -> Result<()> {
        let embedding = layout(config).embedding;
        let tied = match config {
            ModelConfig::Gpt(_) => true,
            ModelConfig::Llama(config) => config.tied,
        };
        if !tied || !self.by_name.contains_key(HEAD) {
            return Ok(());
        }
        let Some((name, dtype, shape)) = self.by_name.get(embedding) else {
            // Either of the two names will do for what is one tensor.
            let head = self.by_name.remove(HEAD).expect("looked up above");
            self.by_name.insert(embedding.into(), head);
            return Ok(());
        };
        let (head, head_dtype, head_shape) = &self.by_name[HEAD];
        if dtype == head_dtype && shape == head_shape && source.read(name)?.bit_eq(&source.read(head)?) {
            self.by_name.remove(HEAD);
            return Ok(());
        }
        match config {
            ModelConfig::Llama(config) => config.tied = false,
            ModelConfig::Gpt(_) => {
                let what = "is not the token embedding, and a GPT-2 here has no head of its own";
                return Err(Error::invalid(format!("{HEAD} {what}")));
            }
        }
        Ok(())
    }
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
    use crate::{GptConfig, LlamaConfig};

    fn gpt() -> ModelConfig {
        GptConfig { layers: 2, heads: 2, ..GptConfig::new(5, 4, 8) }.into()
    }

    fn llama(tied: bool) -> ModelConfig {
        let config = LlamaConfig { layers: 2, key_value_heads: 1, mlp_width: 12, tied, ..LlamaConfig::new(5, 4, 8, 2) };
        LlamaConfig { attention_bias: tied, mlp_bias: tied, ..config }.into()
    }

    fn bare(name: &str) -> String {
        name.trim_start_matches("transformer.").trim_start_matches("model.").to_string()
    }

    #[track_caller]
    fn assert_same(a: &dyn LanguageModel, b: &dyn LanguageModel) {
        let (a, b) = (a.state_dict(), b.state_dict());
        assert!(a.keys().eq(b.keys()));
        for (name, a) in &a {
            assert!(a.bit_eq(&b[name]), "{name}");
        }
    }

    fn refused(config: ModelConfig, tensors: Vec<(String, Tensor)>) -> String {
        from_hugging_face(config, tensors, None).err().expect("must be refused").to_string()
    }

    #[test]
    fn names_without_prefix_and_extra_buffers_are_read() {
        for config in [gpt(), llama(true), llama(false)] {
            let model = config.build().unwrap();
            let mut tensors: Vec<(String, Tensor)> =
                to_hugging_face(&*model).into_iter().map(|(name, tensor)| (bare(&name), tensor)).collect();
            if let ModelConfig::Gpt(_) = config {
                tensors.push(("h.0.attn.bias".into(), Tensor::ones([1, 1, 4, 4], DType::U8)));
                tensors.push(("transformer.h.1.attn.masked_bias".into(), Tensor::scalar(-1e4_f32)));
            } else {
                tensors.push(("model.layers.1.self_attn.rotary_emb.inv_freq".into(), Tensor::ones([2], DType::F32)));
            }
            assert_same(&*from_hugging_face(config, tensors, None).unwrap(), &*model);
        }
    }

    #[test]
    fn parameters_keep_their_dtype_or_become_another() {
        for (config, dtype) in [(gpt(), DType::BF16), (llama(false), DType::F16), (llama(true), DType::F64)] {
            let model = config.build().unwrap();
            let rounded: Vec<(String, Tensor)> =
                to_hugging_face(&*model).into_iter().map(|(name, tensor)| (name, tensor.to_dtype(dtype))).collect();
            let kept = from_hugging_face(config.clone(), rounded.clone(), None).unwrap();
            let single = from_hugging_face(config, rounded.clone(), Some(DType::F32)).unwrap();
            for ((name, theirs), (_, ours)) in rounded.iter().zip(to_hugging_face(&*kept)) {
                assert!(ours.bit_eq(theirs), "{name}");
            }
            let ids = Tensor::from([[1_i64, 2, 0]]);
            let [a, b] = [&kept, &single].map(|model| model.forward(&ids).value());
            assert_eq!(a.dtype(), if dtype == DType::F64 { DType::F64 } else { DType::F32 });
            assert!(a.allclose(&b.to_dtype(a.dtype()), 1e-5, 1e-6), "halves are storage: {a} and {b}");
            // Gradients of halves are halves.
            kept.loss(&ids, &ids).backward();
            assert!(kept.parameters().iter().all(|p| p.grad().is_some_and(|g| g.dtype() == dtype)));
        }
    }

    #[test]
    fn a_head_beside_a_tied_embedding() {
        for config in [gpt(), llama(true)] {
            let model = config.build().unwrap();
            let embedding = layout(&config).embedding;
            let with_head = |head: &Tensor| {
                let mut tensors = to_hugging_face(&*model);
                tensors.push((HEAD.into(), head.clone()));
                tensors
            };
            let tokens = to_hugging_face(&*model).into_iter().find(|(name, _)| name.ends_with(embedding)).unwrap().1;
            // The same again, or under the head's name alone.
            assert_same(&*from_hugging_face(config.clone(), with_head(&tokens), None).unwrap(), &*model);
            let mut alone = with_head(&tokens);
            alone.retain(|(name, _)| !name.ends_with(embedding));
            assert_same(&*from_hugging_face(config.clone(), alone, None).unwrap(), &*model);
            // Another one.
            let other = with_head(&(&tokens + 1.0));
            if let ModelConfig::Gpt(_) = config {
                assert!(refused(config, other).contains("lm_head.weight is not the token embedding"));
            } else {
                let read = from_hugging_face(config, other, None).unwrap();
                assert!(matches!(read.config(), ModelConfig::Llama(config) if !config.tied));
                assert!(read.state_dict()[HEAD].bit_eq(&(&tokens + 1.0)));
            }
        }
    }

    #[test]
    fn every_tensor_that_does_not_fit_is_named_at_once() {
        let model = gpt().build().unwrap();
        let mut tensors = to_hugging_face(&*model);
        tensors.retain(|(name, _)| name != "transformer.ln_f.bias");
        tensors[0].1 = Tensor::zeros([6, 8], DType::F32);
        tensors[2].1 = Tensor::zeros([8], DType::I64);
        tensors.push(("transformer.extra".into(), Tensor::scalar(0f32)));
        tensors.push(("wpe.weight".into(), Tensor::zeros([4, 8], DType::F32)));
        let message = refused(gpt(), tensors);
        for part in [
            "missing: ln_f.bias",
            "unexpected: extra, transformer.wpe.weight (twice)",
            "wte.weight is [6, 8], needs [5, 8]",
            "h.0.ln_1.weight holds",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(refused(gpt(), Vec::new()).contains("2 layers, but there are only 0 tensors"));

        let mut tensors = to_hugging_face(&*llama(false).build().unwrap());
        tensors.retain(|(name, _)| name != HEAD && name != "model.layers.1.mlp.up_proj.weight");
        tensors.iter_mut().for_each(|(_, tensor)| *tensor = tensor.flatten(0, -1));
        tensors.push(("model.layers.0.self_attn.q_proj.bias".into(), Tensor::zeros([8], DType::F32)));
        let message = refused(llama(false), tensors);
        for part in [
            "missing: layers.1.mlp.up_proj.weight, lm_head.weight",
            "unexpected: layers.0.self_attn.q_proj.bias",
            "layers.0.self_attn.k_proj.weight is [32], needs [4, 8]",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let twice = vec![("a".to_string(), Tensor::scalar(0f32)), ("a".to_string(), Tensor::scalar(0f32))];
        assert!(refused(gpt(), twice).contains("twice"));
    }
}
