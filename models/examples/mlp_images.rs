//! A multi-layer perceptron learns to read digits: MNIST's files if there are any, else digits drawn here.
//!
//!     cargo run --release -p models --example mlp_images
//!     cargo run --release -p models --example mlp_images -- --data mnist

mod images;

use std::process::ExitCode;

use clap::Parser;
use images::{Images, Options, Recipe};
use nn::prelude::*;

/// Two hidden layers over the pixels, with dropout against learning the training images by heart.
fn mlp(images: &Images) -> Sequential {
    sequential![
        Flatten::new(),
        Linear::new(images.height * images.width, 128),
        ReLU::new(),
        Dropout::new(0.2),
        Linear::new(128, 64),
        ReLU::new(),
        Linear::new(64, images.classes)
    ]
}

fn main() -> ExitCode {
    images::main(
        Options::parse(),
        Recipe {
            model: mlp,
            // The pixels as they are: for a perceptron, a shifted image is another image.
            augment: |image, _| image,
            accuracy: 0.94,
        },
    )
}
