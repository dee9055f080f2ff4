//! Linear layers with low-rank adapters.

use crate::harness::*;
use models::{Gpt, GptConfig, LanguageModel};
use nn::lora::{LoraOptions, add_lora, lora_state_dict, merge_lora};
use optim::{AdamW, AdamWOptions, Optimizer};
use tests::assert_close;

fn adapted(rank: usize, alpha: f64, target: Option<&str>, model: impl Forward) -> Case {
    let targets = target.into_iter().map(str::to_owned).collect();
    add_lora(&model, &LoraOptions { rank, alpha, targets, ..Default::default() });
    layer(model)
}

cases! { "lora":
    "adapted" => adapted(2, 16.0, None, Linear::new(4, 3)),
    "adapted_no_bias" =>
        adapted(1, 0.5, None, Linear::with(4, 3, LinearOptions { bias: false, ..Default::default() })),
    "adapted_mlp" => adapted(8, 8.0, Some("2"), sequential![Linear::new(4, 5), Tanh::new(), Linear::new(5, 2)]),
}

#[test]
fn a_gpt_is_fine_tuned_by_its_adapters_alone_and_merged() {
    manual_seed(2);
    let gpt = Gpt::new(GptConfig { layers: 2, heads: 2, ..GptConfig::new(11, 8, 16) }).unwrap();
    let base = gpt.state_dict();
    let adapted = add_lora(&gpt, &LoraOptions { rank: 4, ..Default::default() });
    let names = ["attention.out_proj", "up", "down"];
    let expected: Vec<String> = (0..2).flat_map(|i| names.map(|name| format!("blocks.{i}.{name}"))).collect();
    assert_eq!(adapted, expected);

    let ids = Tensor::randint(0, 11, [4, 9]);
    let (inputs, targets) = (ids.narrow(1, 0, 8), ids.narrow(1, 1, 8));
    // All parameters, with weight decay: those without a gradient are left alone.
    let mut optimizer =
        AdamW::with(gpt.parameters(), AdamWOptions { lr: 0.02, weight_decay: 0.1, ..Default::default() });
    let before = gpt.loss(&inputs, &targets).item::<f32>();
    for _ in 0..40 {
        optimizer.zero_grad();
        gpt.loss(&inputs, &targets).backward();
        optimizer.step();
    }
    let after = gpt.loss(&inputs, &targets).item::<f32>();
    assert!(after < 0.9 * before, "{before} -> {after}");
    let now = gpt.state_dict();
    assert!(base.iter().all(|(name, value)| value.bit_eq(&now[name])));
    assert_eq!(now.len(), base.len() + lora_state_dict(&gpt).len());

    let expected = gpt.forward(&inputs).value();
    merge_lora(&gpt);
    assert_close("the logits of the merged model", &gpt.forward(&inputs).value(), &expected, 1e-5);
    assert!(gpt.state_dict().keys().eq(base.keys()));
}
