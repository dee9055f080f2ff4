//! What every language model here can do, and what it remembers while it writes.
//!
//! Dims: `b` batch, `t` time (tokens), `c` channels (the width), `v` vocabulary.

use nn::prelude::*;
use tensor::{CrossEntropy, DType, Tensor};

use crate::{GptConfig, LlamaConfig, Result};

/// The sizes of a language model of any kind.
///
/// ```
/// use models::{GptConfig, ModelConfig};
///
/// let config = ModelConfig::from(GptConfig { layers: 12, heads: 12, ..GptConfig::new(50257, 1024, 768) });
/// assert_eq!((config.context(), config.num_parameters()), (1024, Some(124_439_808)));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum ModelConfig {
    /// Of a [`Gpt`](crate::Gpt).
    Gpt(GptConfig),
    /// Of a [`Llama`](crate::Llama).
    Llama(LlamaConfig),
}

impl From<GptConfig> for ModelConfig {
    fn from(config: GptConfig) -> ModelConfig {
        ModelConfig::Gpt(config)
    }
}

impl From<LlamaConfig> for ModelConfig {
    fn from(config: LlamaConfig) -> ModelConfig {
        ModelConfig::Llama(config)
    }
}

impl ModelConfig {
    /// Number of tokens in the vocabulary.
    pub fn vocab(&self) -> usize {
        match self {
            ModelConfig::Gpt(config) => config.vocab,
            ModelConfig::Llama(config) => config.vocab,
        }
    }

    /// Number of tokens that the model sees at once.
    pub fn context(&self) -> usize {
        match self {
            ModelConfig::Gpt(config) => config.context,
            ModelConfig::Llama(config) => config.context,
        }
    }

    /// Number of blocks.
    pub fn layers(&self) -> usize {
        match self {
            ModelConfig::Gpt(config) => config.layers,
            ModelConfig::Llama(config) => config.layers,
        }
    }

    /// Numbers per token between the blocks.
    pub fn width(&self) -> usize {
        match self {
            ModelConfig::Gpt(config) => config.width,
            ModelConfig::Llama(config) => config.width,
        }
    }

    /// Probability that a number is dropped in training.
    pub fn dropout(&self) -> f64 {
        match self {
            ModelConfig::Gpt(config) => config.dropout,
            ModelConfig::Llama(config) => config.dropout,
        }
    }

    /// The same model with another dropout.
    pub fn with_dropout(mut self, p: f64) -> ModelConfig {
        match &mut self {
            ModelConfig::Gpt(config) => config.dropout = p,
            ModelConfig::Llama(config) => config.dropout = p,
        }
        self
    }

    /// Checks that such a model can exist.
    ///
    /// # Errors
    /// As the `check` of the configuration that it is.
    pub fn check(&self) -> Result<()> {
        match self {
            ModelConfig::Gpt(config) => config.check(),
            ModelConfig::Llama(config) => config.check(),
        }
    }

    /// The number of parameters, computed without making any; `None` when it does not fit a `u64`.
    pub fn num_parameters(&self) -> Option<u64> {
        match self {
            ModelConfig::Gpt(config) => config.num_parameters(),
            ModelConfig::Llama(config) => config.num_parameters(),
        }
    }

    /// A new model with these sizes and first weights drawn from the default generator.
    ///
    /// # Errors
    /// As [`ModelConfig::check`].
    pub fn build(&self) -> Result<Box<dyn LanguageModel>> {
        Ok(match self {
            ModelConfig::Gpt(config) => Box::new(crate::Gpt::new(config.clone())?),
            ModelConfig::Llama(config) => Box::new(crate::Llama::new(config.clone())?),
        })
    }
}

/// A causal language model: from tokens to the logits of those that follow.
///
/// The trainer, generation, checkpoints and the `gpt` command take a `&dyn LanguageModel`.
///
/// ```
/// use models::{Cache, Gpt, GptConfig, LanguageModel};
/// use nn::prelude::*;
///
/// let gpt = Gpt::new(GptConfig { layers: 2, heads: 2, ..GptConfig::new(10, 8, 16) })?;
/// let model: &dyn LanguageModel = &gpt;
/// model.eval();
/// let whole = no_grad(|| model.forward(&Tensor::from([[1_i64, 2, 3]])));
///
/// // The same, with the third token after the first two:
/// let mut cache = Cache::new(&model.config());
/// let next = no_grad(|| {
///     model.hidden_cached(&Tensor::from([[1_i64, 2]]), &mut cache);
///     model.head(&model.hidden_cached(&Tensor::from([[3_i64]]), &mut cache))
/// });
/// assert!(next.value().allclose(&whole.value().narrow(1, 2, 1), 1e-5, 1e-5));
/// # Ok::<(), models::Error>(())
/// ```
pub trait LanguageModel: Module {
    /// The sizes of the model.
    fn config(&self) -> ModelConfig;

    /// What the last norm gives: a vector for each position.
    ///
    /// # Shape
    /// i64 `[b, t] -> [b, t, c]` with `t <= context`.
    ///
    /// # Panics
    /// When `t` is more than the context or an id is outside the vocabulary.
    fn hidden(&self, ids: &Tensor) -> Var;

    /// [`hidden`](LanguageModel::hidden) of the tokens that follow those in `cache`, which takes them up.
    ///
    /// For inference: in evaluation mode and under [`no_grad`].
    ///
    /// # Shape
    /// i64 `[b, t] -> [b, t, c]`.
    ///
    /// # Panics
    /// When the context has no room for them, an id is outside the vocabulary, or gradients are recorded.
    fn hidden_cached(&self, ids: &Tensor, cache: &mut Cache) -> Var;

    /// Logits from hidden vectors.
    ///
    /// # Shape
    /// `[.., c] -> [.., v]`.
    fn head(&self, x: &Var) -> Var;

    /// The logits of the token that follows each position.
    ///
    /// # Shape
    /// i64 `[b, t] -> [b, t, v]` with `t <= context`.
    ///
    /// # Panics
    /// As [`hidden`](LanguageModel::hidden).
    #[track_caller]
    fn forward(&self, ids: &Tensor) -> Var {
        self.head(&self.hidden(ids))
    }

    /// The mean cross-entropy of `targets` given `ids`, in nats per token.
    ///
    /// # Shape
    /// i64 `[b, t]`, i64 `[b, t] -> []`.
    ///
    /// # Panics
    /// As [`hidden`](LanguageModel::hidden), and when a target is outside the vocabulary.
    #[track_caller]
    fn loss(&self, ids: &Tensor, targets: &Tensor) -> Var {
        let logits = self.forward(ids).flatten(0, 1);
        logits.cross_entropy(&targets.flatten(0, 1), &CrossEntropy::default())
    }

    /// Number of tokens in the vocabulary.
    fn vocab(&self) -> usize {
        self.config().vocab()
    }

    /// Number of tokens that the model sees at once.
    fn context(&self) -> usize {
        self.config().context()
    }
}

/// `x` as the arithmetic of a model takes it: halves, in which parameters may be stored, become f32.
pub(crate) fn activations(x: Var) -> Var {
    if matches!(x.dtype(), DType::F16 | DType::BF16) { x.to_dtype(DType::F32) } else { x }
}

/// What a model has seen of a batch of texts: the keys and values of every layer, and how much of each row is padding.
///
/// Rows of different lengths are made equal by padding on the left, which no token looks at and which counts for no
/// position.
///
/// ```
/// use models::{Cache, Gpt, GptConfig, LanguageModel};
/// use nn::prelude::*;
///
/// let gpt = Gpt::new(GptConfig { layers: 1, heads: 2, ..GptConfig::new(10, 8, 16) })?;
/// gpt.eval();
/// let alone = no_grad(|| gpt.hidden(&Tensor::from([[4_i64, 5]])));
/// let mut cache = Cache::new(&gpt.config().clone().into()).with_padding(vec![0, 1]);
/// let both = no_grad(|| gpt.hidden_cached(&Tensor::from([[1_i64, 2, 3], [0, 4, 5]]), &mut cache));
/// assert!(both.value().select(0, 1).narrow(0, 1, 2).allclose(&alone.value().select(0, 0), 1e-5, 1e-5));
/// # Ok::<(), models::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cache {
    layers: Vec<KeyValueCache>,
    padding: Vec<usize>,
}

impl Cache {
    /// An empty cache for a model of these sizes, with room for its whole context.
    pub fn new(config: &ModelConfig) -> Cache {
        Cache::with_capacity(config, config.context())
    }

    /// An empty cache with room for `capacity` positions, at most the context.
    pub fn with_capacity(config: &ModelConfig, capacity: usize) -> Cache {
        let capacity = capacity.min(config.context());
        Cache { layers: vec![KeyValueCache::new(capacity); config.layers()], padding: Vec::new() }
    }

    /// Begins anew with a batch in which row `i` has `padding[i]` tokens that do not count before its own.
    pub fn with_padding(mut self, padding: Vec<usize>) -> Cache {
        self.clear(padding);
        self
    }

    /// Forgets everything and begins anew with this padding of the rows; none for a batch without. The memory stays
    /// reserved.
    pub fn clear(&mut self, padding: Vec<usize>) {
        self.layers.iter_mut().for_each(KeyValueCache::clear);
        self.padding = if padding.iter().all(|&n| n == 0) { Vec::new() } else { padding };
    }

    /// The number of positions seen, padding included.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, KeyValueCache::len)
    }

    /// Whether nothing was seen yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of positions that there is room for.
    pub fn capacity(&self) -> usize {
        self.layers.first().map_or(0, KeyValueCache::capacity)
    }

    /// Takes the rows `rows` of the batch, in this order; a row may be taken several times.
    ///
    /// # Panics
    /// When there is no such row.
    #[track_caller]
    pub fn select(&mut self, rows: &[usize]) {
        let ids: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let ids = Tensor::from_vec(ids, [rows.len()]);
        self.layers.iter_mut().for_each(|layer| layer.select(&ids));
        if !self.padding.is_empty() {
            self.padding = rows.iter().map(|&row| self.padding[row]).collect();
        }
    }

    /// The cache of each layer.
    pub fn layers_mut(&mut self) -> impl Iterator<Item = &mut KeyValueCache> {
        self.layers.iter_mut()
    }

    /// The positions of the next `t` tokens: i64 `[t]`, or `[b, t]` with padding, whose own position is 0.
    pub fn positions(&self, t: usize) -> Tensor {
        let from = self.len();
        if self.padding.is_empty() {
            return Tensor::arange(from as f64, (from + t) as f64, 1.0, DType::I64);
        }
        let positions: Vec<i64> =
            self.padding.iter().flat_map(|&n| (from..from + t).map(move |i| i.saturating_sub(n) as i64)).collect();
        Tensor::from_vec(positions, [self.padding.len(), t])
    }

    /// What the next `t` tokens may look at, where that is not simply everything up to themselves: bool `[b, 1, t, s]` with the
    /// `s` positions seen so far and these, so that `t` tokens at once take `b t s` bytes.
    pub fn mask(&self, t: usize) -> Option<Tensor> {
        if self.padding.is_empty() {
            return None;
        }
        let (from, s) = (self.len(), self.len() + t);
        let row = |n: usize| (from..s).flat_map(move |i| (0..s).map(move |j| n <= j && j <= i));
        let allowed: Vec<bool> = self.padding.iter().flat_map(|&n| row(n)).collect();
        Some(Tensor::from_vec(allowed, [self.padding.len(), 1, t, s]))
    }
}
