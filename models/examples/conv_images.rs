//! A convolutional network learns to read digits: MNIST's files if there are any, else digits drawn here.
//!
//!     cargo run --release -p models --example conv_images
//!     cargo run --release -p models --example conv_images -- --data mnist --epochs 3

mod images;

use std::process::ExitCode;

use clap::Parser;
use images::{Images, Options, Recipe};
use nn::prelude::*;
use tensor::{Generator, Padding, Tensor};

/// Two blocks of convolution, normalisation, ReLU and pooling, each of which halves the image; then a linear layer.
fn conv_net(images: &Images) -> Sequential {
    let block = |from: usize, to: usize| {
        let same = ConvOptions { padding: ConvPadding::Same, ..Default::default() };
        sequential![Conv2d::with(from, to, 3, same), BatchNorm2d::new(to), ReLU::new(), MaxPool2d::new(2)]
    };
    sequential![
        block(1, 12),
        block(12, 24),
        Flatten::new(),
        Dropout::new(0.2),
        Linear::new(24 * (images.height / 4) * (images.width / 4), images.classes)
    ]
}

/// The image moved by up to two pixels in either direction, another way in each epoch.
fn shifted(image: Tensor, rng: &mut Generator) -> Tensor {
    let mut shift = || rng.below(5) as isize - 2;
    let (right, down) = (shift(), shift());
    image.pad(&[right, -right, down, -down], Padding::Constant(0.0))
}

fn main() -> ExitCode {
    images::main(Options::parse(), Recipe { model: conv_net, augment: shifted, accuracy: 0.98 })
}
