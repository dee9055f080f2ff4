//! Named sizes of a GPT.

use clap::ValueEnum;

/// A named size; `--layers` and its like change a part of it.
///
/// ```
/// use models::Preset;
///
/// assert_eq!(Preset::Baby.sizes().width, 384);
/// assert_eq!(Preset::NanoCpu.to_string(), "nano-cpu");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// nanoGPT's model for a CPU: a minute or two of training.
    NanoCpu,
    /// nanoGPT's "baby" character model: an hour or two.
    Baby,
    /// GPT-2 small with a short context: to measure speed.
    Gpt2,
}

/// What a [`Preset`] stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Transformer blocks.
    pub layers: usize,
    /// Attention heads in each block.
    pub heads: usize,
    /// Numbers per token.
    pub width: usize,
    /// Tokens that the model sees at once.
    pub context: usize,
    /// Windows per training step.
    pub batch: usize,
}

impl Preset {
    /// Layers, heads, width, context and batch.
    pub fn sizes(self) -> Sizes {
        let (layers, heads, width, context, batch) = match self {
            Preset::NanoCpu => (4, 4, 128, 64, 12),
            Preset::Baby => (6, 6, 384, 256, 16),
            Preset::Gpt2 => (12, 12, 768, 64, 4),
        };
        Sizes { layers, heads, width, context, batch }
    }

    /// The vocabulary of `gpt bench`; in training the tokenizer decides it.
    pub fn bench_vocab(self) -> usize {
        match self {
            Preset::NanoCpu | Preset::Baby => 65,
            Preset::Gpt2 => 50257,
        }
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Preset::NanoCpu => "nano-cpu",
            Preset::Baby => "baby",
            Preset::Gpt2 => "gpt2",
        }
    }
}

impl std::fmt::Display for Preset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_knows_each_by_its_name() {
        for preset in Preset::value_variants() {
            assert_eq!(Preset::from_str(preset.name(), false), Ok(*preset));
            assert_eq!(preset.sizes().width % preset.sizes().heads, 0);
        }
    }
}
