//! Writes the logits of a text under the model of a directory into a safetensors file, for comparison with Python:
//! the tensors `ids` i64 `[1, t]` and `logits` f32 `[1, t, v]`.
//!
//!     cargo run --release -p models --example logits -- runs/nano-cpu "pub fn new" logits.safetensors
//!     python tests/scripts/hf_models.py check runs/nano-cpu logits.safetensors

use std::error::Error;
use std::path::Path;

use autograd::no_grad;
use models::checkpoint;
use nn::prelude::*;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, text, out] = &args[..] else {
        // Without arguments there is nothing to compare: say how it is used.
        println!("usage: logits MODEL_DIR TEXT OUT.safetensors");
        return Ok(());
    };
    let (model, tokenizer) = checkpoint::load(Path::new(model))?;
    model.eval();
    let ids = tokenizer.encode(text)?;
    let ids = Tensor::from_slice(&ids, [1, ids.len()]);
    let logits = no_grad(|| model.forward(&ids).value());
    println!("{} tokens, logits {:?}", ids.numel(), logits.dims());
    let tensors = [("ids".to_string(), ids), ("logits".to_string(), logits)];
    tensor::safetensors::save(out, &tensors, &[])?;
    Ok(())
}
