//! The sizes of models that have a name: GPT, GPT-2, GPT-3, LLaMA and Llama 2 to 3.2.

use nn::RotaryScaling;

use crate::{GptConfig, LlamaConfig, ModelConfig};

/// Name, layers, heads, width, context and vocabulary.
///
/// GPT (2018) is here as the sizes that it had: its blocks have their norms behind the sums (post-norm) and there is no last
/// norm, whose `2 c` parameters are the only ones that a [`Gpt`](crate::Gpt) of these sizes has in addition.
///
/// GPT-3's table 2.1 has two misprints: XL cannot have 24 heads of 128 in a width of 2048, it has 16; 13B cannot have a width of
/// 5140 with 40 heads of 128, it has 5120. Its sparse layers of attention have as many parameters as dense ones.
const GPT: [(&str, [usize; 5]); 13] = [
    ("gpt", [12, 12, 768, 512, 40478]),
    ("gpt2-small", [12, 12, 768, 1024, 50257]),
    ("gpt2-medium", [24, 16, 1024, 1024, 50257]),
    ("gpt2-large", [36, 20, 1280, 1024, 50257]),
    ("gpt2-xl", [48, 25, 1600, 1024, 50257]),
    ("gpt3-small", [12, 12, 768, 2048, 50257]),
    ("gpt3-medium", [24, 16, 1024, 2048, 50257]),
    ("gpt3-large", [24, 16, 1536, 2048, 50257]),
    ("gpt3-xl", [24, 16, 2048, 2048, 50257]),
    ("gpt3-2.7b", [32, 32, 2560, 2048, 50257]),
    ("gpt3-6.7b", [32, 32, 4096, 2048, 50257]),
    ("gpt3-13b", [40, 40, 5120, 2048, 50257]),
    ("gpt3-175b", [96, 96, 12288, 2048, 50257]),
];

/// Name, layers, heads, heads of the keys, width, width of the MLP, context and vocabulary; what else differs follows from the
/// generation.
const LLAMA: [(&str, [usize; 7]); 14] = [
    ("llama-7b", [32, 32, 32, 4096, 11008, 2048, 32000]),
    ("llama-13b", [40, 40, 40, 5120, 13824, 2048, 32000]),
    ("llama-33b", [60, 52, 52, 6656, 17920, 2048, 32000]),
    ("llama-65b", [80, 64, 64, 8192, 22016, 2048, 32000]),
    ("llama2-7b", [32, 32, 32, 4096, 11008, 4096, 32000]),
    ("llama2-13b", [40, 40, 40, 5120, 13824, 4096, 32000]),
    ("llama2-70b", [80, 64, 8, 8192, 28672, 4096, 32000]),
    ("llama3-8b", [32, 32, 8, 4096, 14336, 8192, 128_256]),
    ("llama3-70b", [80, 64, 8, 8192, 28672, 8192, 128_256]),
    ("llama3.1-8b", [32, 32, 8, 4096, 14336, 131_072, 128_256]),
    ("llama3.1-70b", [80, 64, 8, 8192, 28672, 131_072, 128_256]),
    ("llama3.1-405b", [126, 128, 8, 16384, 53248, 131_072, 128_256]),
    ("llama3.2-1b", [16, 32, 8, 2048, 8192, 131_072, 128_256]),
    ("llama3.2-3b", [28, 24, 8, 3072, 8192, 131_072, 128_256]),
];

/// The names of all of them.
pub fn names() -> impl Iterator<Item = &'static str> {
    GPT.iter().map(|row| row.0).chain(LLAMA.iter().map(|row| row.0))
}

/// The sizes of the model of this name.
///
/// GPT (2018) and GPT-3 are here as the sizes that they had, for [`Gpt`](crate::Gpt): GPT had its norms behind the sums, not
/// before them, and none at the end; GPT-3 had sparse attention in every second layer. The misprints of GPT-3's table 2.1 are
/// resolved (XL has 16 heads of 128, 13B a width of 5120).
///
/// # Source
/// Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training"; Radford et al. 2019, table 2; Brown et al.
/// 2020, table 2.1; Touvron et al. 2023, "LLaMA", table 2, and "Llama 2"; Grattafiori et al. 2024, table 3; for Llama 3.2 the
/// `config.json` of its models.
///
/// ```
/// use models::published;
///
/// assert_eq!(published::config("gpt3-175b").unwrap().num_parameters(), Some(174_604_259_328));
/// assert_eq!(published::config("llama3.2-1b").unwrap().num_parameters(), Some(1_235_814_400));
/// assert_eq!(published::config("gpt5"), None);
/// ```
pub fn config(name: &str) -> Option<ModelConfig> {
    let name = if name == "gpt2" { "gpt2-small" } else { name };
    if let Some((_, [layers, heads, width, context, vocab])) = GPT.iter().find(|row| row.0 == name).copied() {
        return Some(GptConfig { layers, heads, dropout: 0.1, ..GptConfig::new(vocab, context, width) }.into());
    }
    let (_, [layers, heads, key_value_heads, width, mlp_width, context, vocab]) =
        LLAMA.iter().find(|row| row.0 == name).copied()?;
    let rotary =
        |factor| RotaryScaling::Llama3 { factor, low_freq_factor: 1.0, high_freq_factor: 4.0, original_context: 8192 };
    let rope_scaling = match name {
        name if name.starts_with("llama3.1-") => rotary(8.0),
        name if name.starts_with("llama3.2-") => rotary(32.0),
        _ => RotaryScaling::None,
    };
    let norm_eps = if name.starts_with("llama-") { 1e-6 } else { 1e-5 };
    let rope_theta = if name.starts_with("llama3") { 500_000.0 } else { 10_000.0 };
    let tied = name.starts_with("llama3.2-");
    let config = LlamaConfig::new(vocab, context, width, heads);
    let config = LlamaConfig { layers, key_value_heads, mlp_width, norm_eps, rope_theta, rope_scaling, tied, ..config };
    Some(config.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `tests/scripts/hf_models.py` counted on the meta device.
    const COUNTED: &str = include_str!("../tests/hf/published.txt");

    #[test]
    fn counts_are_those_of_transformers() {
        let mut counted: Vec<&str> = Vec::new();
        for (name, count) in COUNTED.lines().filter_map(|line| line.split_once(' ')) {
            let config = config(name).unwrap_or_else(|| panic!("{name}"));
            config.check().unwrap();
            assert_eq!(config.num_parameters(), Some(count.parse().unwrap()), "{name}");
            counted.push(if name == "gpt2" { "gpt2-small" } else { name });
        }
        assert_eq!(counted, names().collect::<Vec<_>>());
    }

    #[test]
    fn rounded_figures_of_the_papers_are_met() {
        let within = |name: &str, figure: f64, tolerance: f64| {
            let count = config(name).unwrap().num_parameters().unwrap() as f64;
            assert!((count / figure - 1.0).abs() <= tolerance, "{name}: {count} and {figure}");
        };
        let gpt3 =
            [("small", 125e6), ("medium", 350e6), ("large", 760e6), ("xl", 1.3e9), ("2.7b", 2.7e9), ("6.7b", 6.7e9)];
        for (name, figure) in gpt3.into_iter().chain([("13b", 13e9), ("175b", 175e9)]) {
            within(&format!("gpt3-{name}"), figure, 0.02);
        }
        for (name, figure) in [("gpt", 117e6), ("llama-7b", 6.7e9), ("llama-13b", 13.0e9), ("llama-33b", 32.5e9)] {
            within(name, figure, 0.01);
        }
        within("llama-65b", 65.2e9, 0.01);
    }

    #[test]
    fn heads_have_the_widths_of_the_papers() {
        for (name, [_, heads, width, ..]) in GPT {
            let widths = match name {
                "gpt3-large" => 96,
                "gpt3-2.7b" => 80,
                name if ["gpt3-xl", "gpt3-6.7b", "gpt3-13b", "gpt3-175b"].contains(&name) => 128,
                _ => 64,
            };
            assert_eq!(width / heads, widths, "{name}");
        }
    }
}
