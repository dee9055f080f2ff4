//! Convolutions: gradients of random configurations, what transposing, shifting and batching mean, initial values, and what
//! is refused.

mod common;

use autograd::gradgradcheck;
use common::refuses;
use nn::prelude::*;
use nn::strategy::{
    Case, check_batch_independence, convolutional_networks, convolutions, maybe_batches, transposed_convolutions,
};
use proptest::prelude::*;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Whether the input has a dimension of the batch.
fn is_batch(case: &Case<Box<dyn Forward>>) -> bool {
    case.input.ndim() == if case.module.type_name().ends_with("1d") { 3 } else { 4 }
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn gradients(case in convolutions()) {
        case.check_gradients().unwrap();
    }

    #[test]
    fn gradients_of_transposed(case in transposed_convolutions()) {
        case.check_gradients().unwrap();
    }

    #[test]
    fn items_are_independent(case in prop_oneof![convolutions(), transposed_convolutions()]) {
        prop_assume!(is_batch(&case));
        check_batch_independence(|x| case.module.forward(x), &case.input).unwrap();
    }

    /// `<conv(x), y> = <x, transposed(y)>` for one weight, whatever `x` and `y`.
    #[test]
    fn transposing_is_the_adjoint(
        batch in maybe_batches(), kernel in [1usize..4, 1usize..4], stride in [1usize..4, 1usize..4],
        dilation in [1usize..3, 1usize..3], padding in 0usize..2, more in [0usize..4, 0usize..4], seed: u64,
    ) {
        manual_seed(seed);
        let dtype = DType::F64;
        let down = ConvOptions {
            stride: stride.into(), padding: padding.into(), dilation: dilation.into(), bias: false, dtype,
            ..Default::default()
        };
        let up = ConvTransposeOptions {
            stride: stride.into(), padding: padding.into(), dilation: dilation.into(), bias: false, dtype,
            ..Default::default()
        };
        let (conv, transposed) = (Conv2d::with(2, 3, kernel, down), ConvTranspose2d::with(3, 2, kernel, up));
        transposed.load_state_dict(&conv.state_dict()).unwrap();
        let size = [0, 1].map(|d| dilation[d] * (kernel[d] - 1) + 1 + more[d]);
        let x = Var::new(Tensor::randn([&batch[..], &[2], &size].concat(), dtype));
        let there = conv.forward(&x);
        let y = Var::new(Tensor::randn(there.shape(), dtype));
        let back = transposed.forward_with_output_size(&y, &x.shape());
        let (a, b) = ((there * y).sum().item::<f64>(), (x * back).sum().item::<f64>());
        prop_assert!((a - b).abs() <= 1e-10 * (1.0 + a.abs()), "{a} {b}");
    }

    /// With circular padding, shifting the input shifts the output.
    #[test]
    fn circular_convolution_commutes_with_shifts(
        kernel in 1usize..4, size in 4usize..7, shift in -5isize..6, seed: u64,
    ) {
        manual_seed(seed);
        let options = ConvOptions {
            padding: ConvPadding::Same, padding_mode: PaddingMode::Circular, dtype: DType::F64, ..Default::default()
        };
        let conv = Conv1d::with(2, 3, kernel, options);
        let x = Var::new(Tensor::randn([2, 2, size], DType::F64));
        let (a, b) = (conv.forward(&x.roll(&[shift], &[-1])), conv.forward(&x).roll(&[shift], &[-1]));
        prop_assert!(a.value().allclose(&b.value(), 1e-12, 1e-12));
    }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn whole_networks(case in convolutional_networks()) {
        case.check_gradients().unwrap();
        case.module.eval();
        check_batch_independence(|x| case.module.forward(x), &case.input).unwrap();
    }
}

/// The gradients' gradients, through everything that such a network is made of.
#[test]
fn second_derivatives_of_a_network() {
    // No two elements come near a tie in the max pooling.
    manual_seed(8);
    let around = ConvOptions { padding: 1.into(), padding_mode: PaddingMode::Circular, ..conv() };
    let model = sequential![
        Conv2d::with(1, 2, 3, around),
        BatchNorm2d::with(2, BatchNormOptions { eps: 0.1, ..Default::default() }),
        Tanh::new(),
        MaxPool2d::new(2),
        ConvTranspose2d::with(2, 2, 2, ConvTransposeOptions { stride: 2.into(), ..up() }),
        GroupNorm::with(1, 2, GroupNormOptions { eps: 0.1, ..Default::default() }),
        AvgPool2d::new(2),
        Flatten::new(),
        RMSNorm::with(8, RMSNormOptions { eps: Some(0.1), ..Default::default() }),
    ];
    model.to_dtype(DType::F64);
    let x = Var::new(Tensor::randn([2, 1, 4, 4], DType::F64)).requires_grad_(true);
    gradgradcheck(|x| model.forward(&x[0]), &[x], Default::default()).unwrap();
}

/// Every parameter is uniform on plus and minus `bound`.
#[track_caller]
fn assert_uniform(layer: &impl Module, bound: f64) {
    for (name, parameter) in layer.named_parameters() {
        let value = parameter.value();
        let largest = value.abs().max().item::<f64>();
        assert!(largest <= bound && largest > 0.98 * bound, "{name}: {largest}, not {bound}");
        let (mean, var) = (value.mean().item::<f64>(), value.var().item::<f64>());
        assert!(mean.abs() < 0.1 * bound, "{name}: mean {mean}");
        assert!((var / (bound * bound / 3.0) - 1.0).abs() < 0.1, "{name}: variance {var}");
    }
}

#[test]
fn parameters_start_uniform_within_the_bound_of_their_fan() {
    manual_seed(1);
    let dtype = DType::F64;
    assert_uniform(&Conv1d::with(8, 900, 2, ConvOptions { dtype, ..Default::default() }), 0.25);
    let grouped = ConvOptions { groups: 3, dtype, ..Default::default() };
    // 12 / 3 channels of 2 x 2.
    assert_uniform(&Conv2d::with(12, 900, 2, grouped), 0.25);
    let transposed = ConvTransposeOptions { dtype, ..Default::default() };
    // The fan of a transposed convolution is that of the outputs.
    assert_uniform(&ConvTranspose1d::with(3, 800, 2, transposed.clone()), 0.025);
    let grouped = ConvTransposeOptions { groups: 2, ..transposed };
    assert_uniform(&ConvTranspose2d::with(4, 800, [1, 4], grouped), 0.025);
    assert_eq!(Conv2d::new(0, 2, 3).bias.unwrap().to_vec::<f32>(), [0.0; 2]);
}

#[test]
fn options_that_need_a_dtype_or_no_bias_are_taken() {
    let options = ConvOptions { dtype: DType::BF16, bias: false, ..Default::default() };
    let conv = Conv1d::with(1, 1, 2, options);
    assert!(conv.bias.is_none() && conv.weight.dtype() == DType::BF16);
    let y = conv.forward(&Var::new(Tensor::ones([1, 3], DType::BF16)));
    assert_eq!((y.dtype(), y.value().dims()), (DType::BF16, &[1, 2][..]));
    assert_eq!((conv.in_channels(), conv.out_channels(), conv.kernel_size()), (1, 1, &[2][..]));
    let conv = Conv2d::new(3, 4, [1, 2]);
    assert_eq!((conv.in_channels(), conv.out_channels(), conv.kernel_size()), (3, 4, &[1, 2][..]));
}

fn conv() -> ConvOptions {
    ConvOptions::default()
}

fn up() -> ConvTransposeOptions {
    ConvTransposeOptions::default()
}

#[test]
fn what_cannot_be_made_is_refused() {
    refuses! {
        Conv1d::new(1, 1, [2, 2]) =>
            "Conv1d: kernel_size does not have one number, or 1\n  kernel_size [2, 2]";
        Conv2d::with(1, 1, 3, ConvOptions { padding: [1, 1, 1].into(), ..conv() }) =>
            "Conv2d: padding does not have one number, or 2\n  padding [1, 1, 1]";
        Conv2d::with(4, 6, 3, ConvOptions { groups: 4, ..conv() }) =>
            "Conv2d: the groups do not divide the channels\n  groups 4   in_channels 4   out_channels 6";
        Conv1d::with(4, 6, 3, ConvOptions { groups: 0, ..conv() }) =>
            "Conv1d: the groups do not divide the channels\n  groups 0   in_channels 4   out_channels 6";
        {
            let options = ConvOptions { padding: ConvPadding::Same, stride: [1, 2].into(), ..conv() };
            Conv2d::with(1, 1, 3, options)
        } => "Conv2d: padding `same` needs stride 1\n  stride [1, 2]";
        ConvTranspose1d::with(1, 1, 3, ConvTransposeOptions { stride: [1, 1].into(), ..up() }) =>
            "ConvTranspose1d: stride does not have one number, or 1\n  stride [1, 1]";
        ConvTranspose2d::with(3, 2, 3, ConvTransposeOptions { groups: 2, ..up() }) =>
            "ConvTranspose2d: the groups do not divide the channels\n  groups 2   in_channels 3   out_channels 2";
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    refuses! {
        Conv1d::new(3, 2, 2).forward(&zeros(&[4, 5])) =>
            "conv1d: the input has 4 channels, the weight takes 3";
        Conv2d::new(3, 2, 4).forward(&zeros(&[1, 3, 5, 3])) =>
            "conv2d: the kernel with dilation extends over 4 of the padded size 3";
        Conv2d::new(3, 2, 4).forward(&zeros(&[3, 5])) => "conv2d: the input is 2-d";
        {
            let options = ConvOptions { padding: 3.into(), padding_mode: PaddingMode::Reflect, ..conv() };
            Conv1d::with(1, 1, 2, options).forward(&zeros(&[1, 3]))
        } => "pad: Reflect padding [3, 3] is too wide for dimension -1 of size 3";
        {
            let options = ConvOptions { padding: 4.into(), padding_mode: PaddingMode::Circular, ..conv() };
            Conv1d::with(1, 1, 2, options).forward(&zeros(&[1, 3]))
        } => "pad: Circular padding [4, 4] is too wide for dimension -1 of size 3";
        Conv1d::new(3, 2, 4).forward(&zeros(&[1, 3, 3])) =>
            "conv1d: the kernel with dilation extends over 4 of the padded size 3";
        Conv2d::new(3, 2, 2).forward(&zeros(&[1, 4, 5, 5])) => "conv2d: the input has 4 channels, the weight takes 3";
        {
            let options = ConvOptions { padding: [0, 3].into(), padding_mode: PaddingMode::Reflect, ..conv() };
            Conv2d::with(1, 1, 2, options).forward(&zeros(&[1, 3, 3]))
        } => "pad: Reflect padding [3, 3] is too wide for dimension -1 of size 3";
        ConvTranspose2d::new(3, 2, 2).forward(&zeros(&[4, 5, 5])) =>
            "conv_transpose2d: the input has 4 channels, the weight takes 3";
        ConvTranspose1d::with(1, 1, 2, ConvTransposeOptions { padding: 2.into(), ..up() }).forward(&zeros(&[1, 2])) =>
            "conv_transpose1d: the result would have size -1";
        {
            let options = ConvTransposeOptions { output_padding: [0, 1].into(), ..up() };
            ConvTranspose2d::with(1, 1, 2, options).forward(&zeros(&[1, 2, 2]))
        } => "conv_transpose2d: output_padding [0, 1] is not below stride";
        ConvTranspose1d::new(3, 2, 2).forward(&zeros(&[4, 5])) =>
            "conv_transpose1d: the input has 4 channels, the weight takes 3";
        {
            let options = ConvTransposeOptions { padding: 2.into(), ..up() };
            ConvTranspose2d::with(1, 1, 2, options).forward(&zeros(&[1, 2, 3]))
        } => "conv_transpose2d: the result would have size -1";
        {
            let options = ConvTransposeOptions { output_padding: 1.into(), ..up() };
            ConvTranspose1d::with(1, 1, 2, options).forward(&zeros(&[1, 2]))
        } => "conv_transpose1d: output_padding [0, 1] is not below stride";
        ConvTranspose1d::new(1, 1, 2).forward_with_output_size(&zeros(&[1, 2]), &[1, 1, 3]) =>
            "ConvTranspose1d: output_size has neither 1 nor 2 numbers\n  output_size [1, 1, 3]   input [1, 2]";
        ConvTranspose2d::new(1, 1, 2).forward_with_output_size(&zeros(&[2]), &[3, 3]) =>
            "ConvTranspose2d: the input is 1-d\n  input [2]   rule [n, c, ..] or [c, ..]";
        {
            let layer = ConvTranspose2d::with(1, 1, 3, ConvTransposeOptions { stride: [2, 1].into(), ..up() });
            layer.forward_with_output_size(&zeros(&[1, 3, 3]), &[9, 5])
        } => "ConvTranspose2d: no output_padding gives the result this size\n  \
             output_size [9, 5]   rule [7, 5] to [8, 5]   input [1, 3, 3]";
    }
}

fn zeros(shape: &[usize]) -> Var {
    Var::new(Tensor::zeros(shape, DType::F32))
}
