//! Convolutions and transposed convolutions, batched and not.

use nn::functional as F;
use tensor::{Conv, ConvTranspose};

use crate::harness::*;

use PaddingMode::{Circular, Reflect, Replicate};

fn options() -> ConvOptions {
    ConvOptions::default()
}

fn around(padding_mode: PaddingMode, padding: impl Into<ConvPadding>) -> ConvOptions {
    ConvOptions { padding_mode, padding: padding.into(), ..options() }
}

fn same(padding_mode: PaddingMode) -> ConvOptions {
    ConvOptions { padding_mode, padding: ConvPadding::Same, ..options() }
}

fn up() -> ConvTransposeOptions {
    ConvTransposeOptions::default()
}

fn line_of_size(layer: ConvTranspose1d, size: &'static [usize]) -> Case {
    module(layer, move |m, x| m.forward_with_output_size(x.var(0), size))
}

fn image_of_size(layer: ConvTranspose2d, size: &'static [usize]) -> Case {
    module(layer, move |m, x| m.forward_with_output_size(x.var(0), size))
}

fn functions(x: &Inputs) -> Vec<Var> {
    let [line, image, weight, kernel, bias] = [0, 1, 2, 3, 4].map(|i| x.var(i));
    let halving = Conv { stride: 2.into(), padding: 1.into(), ..Default::default() };
    let same = Conv { padding: ConvPadding::Same, dilation: [2, 1].into(), ..Default::default() };
    let doubling = ConvTranspose { stride: 2.into(), output_padding: 1.into(), ..Default::default() };
    let cut = ConvTranspose { padding: 1.into(), ..Default::default() };
    vec![
        F::conv1d(line, weight, Some(bias), &halving),
        F::conv2d(image, kernel, Some(bias), &same),
        F::conv_transpose1d(line, weight, Some(bias), &doubling),
        F::conv_transpose2d(image, kernel, None, &cut),
    ]
}

cases! { "conv":
    "conv1d" => layer(Conv1d::new(4, 3, 3)),
    "conv1d_unbatched" => layer(Conv1d::new(4, 3, 3)),
    "conv1d_no_bias" => layer(Conv1d::with(2, 3, 3, ConvOptions { bias: false, ..options() })),
    "conv1d_stride" => layer(Conv1d::with(2, 3, 3, ConvOptions { stride: 2.into(), padding: 1.into(), ..options() })),
    "conv1d_dilation" => {
        layer(Conv1d::with(2, 3, 3, ConvOptions { padding: 2.into(), dilation: 2.into(), ..options() }))
    },
    "conv1d_groups" => layer(Conv1d::with(4, 6, 2, ConvOptions { groups: 2, ..options() })),
    "conv1d_depthwise" => layer(Conv1d::with(3, 6, 3, ConvOptions { groups: 3, bias: false, ..options() })),
    "conv1d_same" => layer(Conv1d::with(2, 3, 4, ConvOptions { padding: ConvPadding::Same, ..options() })),
    "conv1d_valid" => {
        layer(Conv1d::with(2, 3, 4, ConvOptions { padding: ConvPadding::Valid, stride: 2.into(), ..options() }))
    },
    "conv1d_reflect" => layer(Conv1d::with(2, 3, 3, around(Reflect, 2))),
    "conv1d_reflect_unbatched" => layer(Conv1d::with(2, 3, 3, around(Reflect, 1))),
    "conv1d_reflect_same" => layer(Conv1d::with(2, 3, 4, same(Reflect))),
    "conv1d_replicate" => layer(Conv1d::with(2, 3, 3, around(Replicate, 2))),
    "conv1d_replicate_unbatched" => layer(Conv1d::with(2, 3, 3, around(Replicate, 1))),
    "conv1d_replicate_same" => layer(Conv1d::with(2, 3, 4, same(Replicate))),
    "conv1d_circular" => layer(Conv1d::with(2, 3, 3, around(Circular, 2))),
    "conv1d_circular_unbatched" => layer(Conv1d::with(2, 3, 3, around(Circular, 1))),
    "conv1d_circular_same" => layer(Conv1d::with(2, 3, 4, same(Circular))),

    "conv2d" => layer(Conv2d::new(3, 4, 3)),
    "conv2d_unbatched" => layer(Conv2d::new(3, 4, 3)),
    "conv2d_pairs" => {
        let (stride, padding, dilation) = ([2, 1].into(), [0, 1].into(), [1, 2].into());
        layer(Conv2d::with(2, 3, [3, 2], ConvOptions { stride, padding, dilation, ..options() }))
    },
    "conv2d_no_bias" => layer(Conv2d::with(2, 3, 2, ConvOptions { stride: 2.into(), bias: false, ..options() })),
    "conv2d_one_by_one" => layer(Conv2d::new(4, 3, 1)),
    "conv2d_groups" => layer(Conv2d::with(4, 2, 2, ConvOptions { groups: 2, padding: 1.into(), ..options() })),
    "conv2d_depthwise" => layer(Conv2d::with(3, 3, 3, ConvOptions { groups: 3, padding: 1.into(), ..options() })),
    "conv2d_same" => {
        let dilation = [3, 1].into();
        layer(Conv2d::with(2, 3, [2, 3], ConvOptions { padding: ConvPadding::Same, dilation, ..options() }))
    },
    "conv2d_valid" => layer(Conv2d::with(2, 3, 2, ConvOptions { padding: ConvPadding::Valid, ..options() })),
    "conv2d_reflect" => layer(Conv2d::with(2, 3, 3, ConvOptions { stride: 2.into(), ..around(Reflect, [2, 1]) })),
    "conv2d_reflect_unbatched" => {
        layer(Conv2d::with(2, 2, [3, 2], ConvOptions { bias: false, ..around(Reflect, [2, 1]) }))
    },
    "conv2d_reflect_same" => layer(Conv2d::with(2, 3, [2, 3], same(Reflect))),
    "conv2d_replicate" => layer(Conv2d::with(2, 3, 3, ConvOptions { stride: 2.into(), ..around(Replicate, [2, 1]) })),
    "conv2d_replicate_unbatched" => {
        layer(Conv2d::with(2, 2, [3, 2], ConvOptions { bias: false, ..around(Replicate, [2, 1]) }))
    },
    "conv2d_replicate_same" => layer(Conv2d::with(2, 3, [2, 3], same(Replicate))),
    "conv2d_circular" => layer(Conv2d::with(2, 3, 3, ConvOptions { stride: 2.into(), ..around(Circular, [2, 1]) })),
    "conv2d_circular_unbatched" => {
        layer(Conv2d::with(2, 2, [3, 2], ConvOptions { bias: false, ..around(Circular, [2, 1]) }))
    },
    "conv2d_circular_same" => layer(Conv2d::with(2, 3, [2, 3], same(Circular))),
    "conv2d_reflect_valid" => layer(Conv2d::with(2, 3, 2, around(Reflect, ConvPadding::Valid))),
    "conv2d_no_images" => layer(Conv2d::new(2, 3, 2)),

    "conv_transpose1d" => layer(ConvTranspose1d::new(3, 2, 3)),
    "conv_transpose1d_unbatched" => {
        layer(ConvTranspose1d::with(3, 2, 3, ConvTransposeOptions { stride: 2.into(), ..up() }))
    },
    "conv_transpose1d_no_bias" => layer(ConvTranspose1d::with(3, 2, 2, ConvTransposeOptions { bias: false, ..up() })),
    "conv_transpose1d_options" => {
        let (stride, padding, output_padding, dilation) = (3.into(), 1.into(), 2.into(), 2.into());
        let options = ConvTransposeOptions { stride, padding, output_padding, dilation, ..up() };
        layer(ConvTranspose1d::with(3, 2, 3, options))
    },
    "conv_transpose1d_groups" => {
        layer(ConvTranspose1d::with(4, 6, 3, ConvTransposeOptions { stride: 2.into(), groups: 2, ..up() }))
    },
    "conv_transpose1d_output_size" => {
        let options = ConvTransposeOptions { stride: 2.into(), output_padding: 1.into(), ..up() };
        line_of_size(ConvTranspose1d::with(3, 2, 3, options), &[9])
    },
    "conv_transpose1d_output_shape" => {
        let options = ConvTransposeOptions { stride: 2.into(), ..up() };
        line_of_size(ConvTranspose1d::with(3, 2, 3, options), &[2, 2, 10])
    },
    "conv_transpose1d_output_unbatched" => {
        let options = ConvTransposeOptions { stride: 3.into(), dilation: 2.into(), ..up() };
        line_of_size(ConvTranspose1d::with(3, 2, 3, options), &[2, 16])
    },

    "conv_transpose2d" => layer(ConvTranspose2d::new(3, 2, 3)),
    "conv_transpose2d_unbatched" => {
        layer(ConvTranspose2d::with(3, 2, 2, ConvTransposeOptions { stride: 2.into(), ..up() }))
    },
    "conv_transpose2d_no_bias" => layer(ConvTranspose2d::with(3, 2, 2, ConvTransposeOptions { bias: false, ..up() })),
    "conv_transpose2d_pairs" => {
        let (stride, padding, output_padding, dilation) =
            ([2, 3].into(), [1, 0].into(), [1, 2].into(), [2, 1].into());
        let options = ConvTransposeOptions { stride, padding, output_padding, dilation, ..up() };
        layer(ConvTranspose2d::with(2, 3, [3, 2], options))
    },
    "conv_transpose2d_groups" => {
        let options = ConvTransposeOptions { stride: 2.into(), padding: 1.into(), groups: 2, ..up() };
        layer(ConvTranspose2d::with(4, 2, 3, options))
    },
    "conv_transpose2d_output_size" => {
        let options = ConvTransposeOptions { stride: 2.into(), padding: 1.into(), ..up() };
        image_of_size(ConvTranspose2d::with(2, 3, 3, options), &[6, 3])
    },
    "conv_transpose2d_output_shape" => {
        let options = ConvTransposeOptions { stride: 2.into(), ..up() };
        image_of_size(ConvTranspose2d::with(2, 3, 3, options), &[9, 9, 5, 6])
    },
    "conv_transpose2d_output_unbatched" => {
        let options = ConvTransposeOptions { stride: [1, 2].into(), ..up() };
        image_of_size(ConvTranspose2d::with(2, 3, 3, options), &[4, 6])
    },

    "functions" => function(functions),
    "autoencoder" => {
        let (stride, padding) = (2.into(), 1.into());
        let doubling = ConvTransposeOptions { stride: 2.into(), padding: 1.into(), output_padding: 1.into(), ..up() };
        layer(sequential![
            Conv2d::with(1, 3, 3, ConvOptions { stride, padding, ..options() }),
            Tanh::new(),
            ConvTranspose2d::with(3, 1, 3, doubling),
        ])
    },
}
