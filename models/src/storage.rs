//! How the weights of a model are stored while it writes: in halves or in few bits they take less memory, and as much less is
//! read for each token.

use clap::ValueEnum;
use nn::prelude::*;
use nn::quantize::{Precision, quantizable};

use crate::{Error, LanguageModel, Result};

/// How the matrices of a model are stored, embeddings included; biases, norms and all arithmetic are in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Storage {
    /// 4 bytes per weight.
    F32,
    /// 2 bytes per weight, of which 8 bits are the exponent's.
    Bf16,
    /// 2 bytes per weight, of which 5 bits are the exponent's.
    F16,
    /// A byte per weight and a scale for each row.
    Int8,
    /// Half a byte per weight and a scale for each 32.
    Int4,
}

impl Storage {
    /// Stores the matrices of `model` like this. In few bits they cannot be trained any more.
    ///
    /// # Errors
    /// When weights that are not finite are to be stored in few bits; those before them are stored then.
    ///
    /// ```
    /// use models::{Gpt, GptConfig, Storage};
    /// use nn::prelude::*;
    ///
    /// let gpt = Gpt::new(GptConfig { layers: 2, heads: 2, ..GptConfig::new(100, 16, 64) })?;
    /// let bytes = || gpt.parameters().iter().map(|p| p.nbytes()).sum::<usize>();
    /// let floats = bytes();
    /// Storage::Int8.apply(&gpt)?;
    /// assert!(bytes() < floats / 3);
    /// # Ok::<(), models::Error>(())
    /// ```
    pub fn apply(self, model: &dyn LanguageModel) -> Result<()> {
        let stored = self.of(model);
        model.named_parameters().iter().try_for_each(|(name, p)| stored.put(name, p))?;
        tensor::memory::trim();
        Ok(())
    }

    /// [`apply`](Storage::apply) to one parameter of `model` at a time.
    pub(crate) fn of(self, model: &dyn LanguageModel) -> Stored<'_> {
        let few_bits = match self {
            Storage::Int8 => Some(Precision::Int8),
            Storage::Int4 => Some(Precision::INT4),
            Storage::F32 | Storage::Bf16 | Storage::F16 => None,
        };
        let matrices = match self {
            Storage::Bf16 => DType::BF16,
            Storage::F16 => DType::F16,
            Storage::F32 | Storage::Int8 | Storage::Int4 => DType::F32,
        };
        let chosen = few_bits.map_or(Vec::new(), |_| quantizable(model.as_module()));
        Stored { few_bits, matrices, chosen: chosen.into_iter().map(|(_, weight)| weight).collect() }
    }
}

/// How the parameters of a model are stored: once the value of one is there it is brought into that form, so that there need
/// never be more than one in another form.
pub(crate) struct Stored<'a> {
    few_bits: Option<Precision>,
    /// The dtype of the matrices that are not in few bits; vectors are in f32.
    matrices: DType,
    /// The weights that are in few bits.
    chosen: Vec<&'a Parameter>,
}

impl Stored<'_> {
    /// Stores the value of the parameter `name`.
    ///
    /// # Errors
    /// When it is not finite and to be stored in few bits.
    pub(crate) fn put(&self, name: &str, p: &Parameter) -> Result<()> {
        /// The memory pool would keep floats of this size for the next ones.
        const LARGE: usize = 16 << 20;
        let bytes = p.nbytes();
        match self.few_bits {
            Some(precision) if self.chosen.iter().any(|weight| weight.ptr_eq(p)) => {
                p.quantize(precision).map_err(|e| Error::invalid(format!("{name}: {e}")))?;
            }
            // Quantised before.
            _ if p.quantized().is_some() => {}
            _ => {
                let dtype = if p.ndim() >= 2 { self.matrices } else { DType::F32 };
                if p.dtype() != dtype {
                    p.set_value(p.value().to_dtype(dtype));
                }
            }
        }
        if bytes >= LARGE {
            tensor::memory::trim();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GptConfig, LlamaConfig, ModelConfig};

    #[test]
    fn logits_stay_near_however_the_weights_are_stored() {
        let gpt = GptConfig { layers: 2, heads: 2, ..GptConfig::new(50, 16, 64) };
        for tied in [None, Some(false), Some(true)] {
            stay_near(match tied {
                None => gpt.clone().into(),
                Some(tied) => LlamaConfig { layers: 2, tied, ..LlamaConfig::new(50, 16, 64, 2) }.into(),
            });
        }
    }

    fn stay_near(config: ModelConfig) {
        let gpt = || {
            manual_seed(8);
            config.build().unwrap()
        };
        let ids = Tensor::from([[1_i64, 2, 3, 4, 5, 6]]);
        let expected = no_grad(|| gpt().forward(&ids)).value();
        let scale = expected.abs().max().item::<f32>();
        for (storage, near) in [
            (Storage::F32, 0.0),
            (Storage::Bf16, 2e-2),
            (Storage::F16, 3e-3),
            (Storage::Int8, 3e-2),
            (Storage::Int4, 0.3),
        ] {
            let model = gpt();
            storage.apply(&*model).unwrap();
            let logits = no_grad(|| model.forward(&ids)).value();
            assert_eq!(logits.dtype(), DType::F32);
            let difference = (&logits - &expected).abs().max().item::<f32>();
            assert!(difference <= near * scale, "{storage:?} differs by {difference} of {scale}");
            assert!(storage == Storage::F32 || difference > 0.0);
        }
    }
}
