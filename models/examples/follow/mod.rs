//! The training of a GPT from given first weights on given batches, step by step: what the example `follow_pytorch` does
//! with a text, and a test with a small fixture.

use std::error::Error;

use models::train::adamw;
use models::{GptConfig, checkpoint};
use nn::prelude::*;
use optim::{ClipOptions, Optimizer, WarmupCosine, clip_grad_norm_};
use tensor::safetensors;

/// The loss of each step of a run: weights under Hugging Face's names, `batches` u8 `[steps, b, t + 1]`, and in the
/// metadata the `options`.
pub fn follow(run: safetensors::File, mut watch: impl FnMut(usize, f64)) -> Result<Vec<f64>, Box<dyn Error>> {
    let (_, options) = run.metadata.iter().find(|(key, _)| key == "options").ok_or("the run has no options")?;
    let options: serde_json::Value = serde_json::from_str(options)?;
    let number = |name: &str| options[name].as_f64().ok_or(format!("the run has no option {name}"));
    let size = |name: &str| number(name).map(|size| size as usize);
    let config = GptConfig {
        layers: size("layers")?,
        heads: size("heads")?,
        ..GptConfig::new(size("vocab")?, size("context")?, size("width")?)
    };
    let beta = |i: usize| options["betas"][i].as_f64().ok_or("the run has no option betas");
    let (lr, clip, steps) = (number("lr")?, number("clip")?, size("steps")?);

    let (batches, weights): (Vec<_>, Vec<_>) =
        run.tensors.into_iter().filter(|(name, _)| name != "losses").partition(|(name, _)| name == "batches");
    let batches = batches.first().ok_or("the run has no batches")?.1.to_dtype(DType::I64);
    let model = checkpoint::from_hugging_face(config.into(), weights, Some(DType::F32))?;
    if options["dtype"] == "float64" {
        model.to_dtype(DType::F64);
    }

    let parameters = model.parameters();
    let mut optimizer = adamw(&*model, lr, (beta(0)?, beta(1)?), number("weight_decay")?);
    let schedule = WarmupCosine::new(&mut optimizer, size("warmup")?, steps, number("min_lr")?);
    let mut losses = Vec::with_capacity(steps);
    for step in 0..steps {
        let rate = schedule.rate(lr, step);
        optimizer.set_learning_rates(&[rate, rate]);
        let ids = batches.select(0, step);
        let t = ids.dim(1) - 1;
        let loss = model.loss(&ids.narrow(1, 0, t), &ids.narrow(1, 1, t));
        optimizer.zero_grad();
        loss.backward();
        clip_grad_norm_(&parameters, clip, ClipOptions::default())?;
        optimizer.step();
        losses.push(loss.item::<f64>());
        watch(step + 1, losses[step]);
    }
    Ok(losses)
}
