//! A GPT trained here follows the same GPT trained by PyTorch, from the same weights on the same batches, step by step.
//!
//! `scripts/gpt_training.py make-tiny` writes the fixture; its `follow` compares a larger model on a text.

#[path = "../../models/examples/follow/mod.rs"]
mod follow;

use tensor::safetensors;

#[test]
fn two_hundred_losses_are_pytorchs() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/gpt_training.safetensors");
    let run = safetensors::load(path).unwrap();
    let (_, theirs) = run.tensors.iter().find(|(name, _)| name == "losses").unwrap();
    let theirs = theirs.to_vec::<f64>();
    let ours = follow::follow(run, |_, _| ()).unwrap();
    assert_eq!((ours.len(), theirs.len()), (200, 200));
    // A model that did not learn would follow anybody.
    assert!(theirs[199] < 0.7 * theirs[0], "{} {}", theirs[0], theirs[199]);
    for (step, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        assert!((a - b).abs() <= 1e-10, "step {}: {a} here, {b} in PyTorch", step + 1);
    }
}
