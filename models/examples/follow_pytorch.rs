//! Trains a GPT from given first weights on given batches, for comparison with PyTorch: reads a run as
//! `tests/scripts/gpt_training.py` writes it, and writes the loss of each step (`losses`, f64).
//!
//!     python tests/scripts/gpt_training.py follow --data input.txt       # both sides, and the comparison
//!     cargo run --release -p models --example follow_pytorch -- RUN.safetensors LOSSES.safetensors

mod follow;

use std::error::Error;
use std::time::Instant;

use follow::follow;
use tensor::{Tensor, safetensors};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [run, out] = &args[..] else {
        // Without arguments there is nothing to compare: say how it is used.
        println!("usage: follow_pytorch RUN.safetensors LOSSES.safetensors");
        return Ok(());
    };
    let start = Instant::now();
    let losses = follow(safetensors::load(run)?, |step, loss| {
        if step % 10 == 0 {
            eprintln!("here: step {step}  loss {loss:.4}  {:.0}s", start.elapsed().as_secs_f64());
        }
    })?;
    let n = losses.len();
    safetensors::save(out, &[("losses".to_string(), Tensor::from_vec(losses, [n]))], &[])?;
    Ok(())
}
