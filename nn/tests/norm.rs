//! Normalisations: gradients of random configurations, what is independent, running statistics, and what is refused.

mod common;

use common::refuses;
use nn::prelude::*;
use nn::strategy::{batches, channel_norms, check_batch_independence, layer_norms, rms_norms};
use proptest::prelude::*;

const F64: DType = DType::F64;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_of_layer_norm(case in layer_norms()) {
        // Rows that are almost constant have derivatives too steep for central differences.
        let spread = case.input.value().var_dim([-1], 0.0, false).to_vec::<f64>().iter().all(|v| *v > 1e-2);
        prop_assume!(spread);
        case.check_gradients().unwrap();
    }

    #[test]
    fn gradients_of_rms_norm(case in rms_norms()) {
        // Where all is near zero, derivatives are too steep for central differences.
        let wide = case.input.value().square().mean_dim([-1], false).to_vec::<f64>().iter().all(|m| *m > 1e-2);
        prop_assume!(wide);
        case.check_gradients().unwrap();
    }

    #[test]
    fn gradients_by_channel(case in channel_norms()) {
        case.check_gradients().unwrap();
    }

    /// Of a batch norm only in evaluation, if it has statistics for that.
    #[test]
    fn items_are_independent(case in channel_norms()) {
        let (name, x) = (case.module.type_name(), &case.input);
        prop_assume!(!(name == "InstanceNorm2d" && x.ndim() == 3));
        if name.starts_with("BatchNorm") {
            case.module.eval();
            prop_assume!(!case.module.buffers().is_empty());
        }
        check_batch_independence(|x| case.module.forward(x), x).unwrap();
    }

    #[test]
    fn rows_are_independent((layer, root) in (layer_norms(), rms_norms())) {
        prop_assume!(layer.input.ndim() > layer.module.normalized_shape().len());
        check_batch_independence(|x| layer.module.forward(x), &layer.input).unwrap();
        prop_assume!(root.input.ndim() > root.module.normalized_shape().len());
        check_batch_independence(|x| root.module.forward(x), &root.input).unwrap();
    }

    #[test]
    fn norms_of_the_last_dimensions_are_their_plain_formulas(
        (inner, x) in
            prop::collection::vec(1usize..4, 1..3).prop_flat_map(|inner| (Just(inner.clone()), batches(inner))),
        affine: bool, bias: bool, seed: u64,
    ) {
        manual_seed(seed);
        let layer = LayerNormOptions { elementwise_affine: affine, bias, dtype: F64, ..Default::default() };
        let root = RMSNormOptions { elementwise_affine: affine, dtype: F64, ..Default::default() };
        let (layer, root) = (LayerNorm::with(inner.clone(), layer), RMSNorm::with(inner.clone(), root));
        for parameter in [layer.parameters(), root.parameters()].concat() {
            init::normal_(&parameter, 0.5, 1.0);
        }
        let weighted = |x: Tensor, weight: &Option<Parameter>| match weight {
            Some(weight) => x * weight.value(),
            None => x,
        };
        let value = x.value();
        let dims: Vec<isize> = (1..=inner.len() as isize).map(|d| -d).collect();

        let centred = &value - &value.mean_dim(dims.clone(), true);
        let plain = weighted(centred * (value.var_dim(dims.clone(), 0.0, true) + 1e-5).rsqrt(), &layer.weight);
        let plain = layer.bias.iter().fold(plain, |y, bias| y + bias.value());
        prop_assert!(layer.forward(&x).value().allclose(&plain, 1e-9, 1e-9));

        let plain = weighted(&value * &(value.square().mean_dim(dims, true) + f64::EPSILON).rsqrt(), &root.weight);
        prop_assert!(root.forward(&x).value().allclose(&plain, 1e-9, 1e-9));
    }

    /// Without momentum the running statistics are the means of those of all batches.
    #[test]
    fn a_cumulative_average_is_the_mean_over_batches(batches in 1usize..5, seed: u64) {
        manual_seed(seed);
        let norm = BatchNorm1d::with(2, BatchNormOptions { momentum: None, dtype: F64, ..Default::default() });
        let inputs: Vec<Tensor> = (0..batches).map(|_| Tensor::randn([3, 2, 4], F64)).collect();
        inputs.iter().for_each(|x| drop(norm.forward(&Var::new(x.clone()))));
        let mean = |f: &dyn Fn(&Tensor) -> Tensor| {
            inputs.iter().map(f).reduce(|a, b| a + b).expect("there is a batch") * (1.0 / batches as f64)
        };
        let means = mean(&|x| x.mean_dim([0, 2], false));
        let vars = mean(&|x| x.var_dim([0, 2], 1.0, false));
        prop_assert!(norm.running_mean.as_ref().unwrap().value().allclose(&means, 1e-12, 1e-12));
        prop_assert!(norm.running_var.as_ref().unwrap().value().allclose(&vars, 1e-12, 1e-12));
        prop_assert_eq!(norm.num_batches_tracked.as_ref().unwrap().value().item::<i64>(), batches as i64);
    }
}

#[test]
fn training_changes_the_statistics_without_gradients_too_and_evaluation_never() {
    manual_seed(3);
    let layers: [Box<dyn Forward>; 4] = [
        Box::new(BatchNorm1d::new(2)),
        Box::new(BatchNorm2d::new(2)),
        Box::new(InstanceNorm1d::with(2, InstanceNormOptions { track_running_stats: true, ..Default::default() })),
        Box::new(InstanceNorm2d::with(2, InstanceNormOptions { track_running_stats: true, ..Default::default() })),
    ];
    for layer in &layers {
        let name = layer.type_name();
        let shape: &[usize] = if name.ends_with("1d") { &[3, 2, 4] } else { &[3, 2, 2, 2] };
        let x = Var::new(Tensor::randn(shape, DType::F32));
        let state = |layer: &dyn Forward| layer.state_dict().into_values().collect::<Vec<_>>();
        let equal = |a: &[Tensor], b: &[Tensor]| a.iter().zip(b).all(|(a, b)| a.bit_eq(b));
        let start = state(&**layer);
        layer.eval();
        layer.forward(&x);
        assert!(equal(&start, &state(&**layer)), "{name}");
        layer.train();
        no_grad(|| layer.forward(&x));
        let trained = state(&**layer);
        assert!(!equal(&start, &trained), "{name}");
        layer.eval();
        layer.forward(&x);
        assert!(equal(&trained, &state(&**layer)), "{name}");
    }
}

#[test]
fn statistics_are_reset() {
    let x = Var::new(Tensor::from([[[1f32, 2.0], [3.0, 5.0]]]).unsqueeze(0));
    let (batch, instance) = (
        BatchNorm2d::new(1),
        InstanceNorm2d::with(1, InstanceNormOptions { track_running_stats: true, ..Default::default() }),
    );
    let (start, instance_start) = (batch.state_dict(), instance.state_dict());
    batch.forward(&x);
    instance.forward(&x);
    batch.reset_running_stats();
    instance.reset_running_stats();
    for (before, after) in [(start, batch.state_dict()), (instance_start, instance.state_dict())] {
        assert!(before.iter().all(|(name, value)| value.bit_eq(&after[name])));
    }
    let (batch, instance) = (
        BatchNorm1d::new(1),
        InstanceNorm1d::with(1, InstanceNormOptions { track_running_stats: true, ..Default::default() }),
    );
    let x = Var::new(Tensor::from([[[1f32, 2.0]]]));
    batch.forward(&x);
    instance.forward(&x);
    batch.reset_running_stats();
    instance.reset_running_stats();
    for buffers in [batch.buffers(), instance.buffers()] {
        let values: Vec<f64> = buffers.iter().map(|b| b.value().to_dtype(F64).to_vec::<f64>()[0]).collect();
        assert_eq!(values, [0.0, 1.0, 0.0]);
    }
}

#[test]
fn norms_start_as_the_identity_of_what_is_normalised() {
    let layers: [Box<dyn Module>; 7] = [
        Box::new(LayerNorm::new([2, 3])),
        Box::new(RMSNorm::new([2, 3])),
        Box::new(GroupNorm::new(2, 4)),
        Box::new(BatchNorm1d::new(3)),
        Box::new(BatchNorm2d::new(3)),
        Box::new(InstanceNorm1d::with(3, InstanceNormOptions { affine: true, ..Default::default() })),
        Box::new(InstanceNorm2d::with(3, InstanceNormOptions { affine: true, ..Default::default() })),
    ];
    for layer in &layers {
        for (name, parameter) in layer.named_parameters() {
            let expected = if name == "weight" { 1.0 } else { 0.0 };
            assert!(parameter.value().bit_eq(&Tensor::full(parameter.shape(), expected, DType::F32)), "{name}");
        }
    }
}

#[test]
fn a_conversion_leaves_the_count_an_integer() {
    let norm = BatchNorm1d::new(2);
    norm.to_dtype(DType::BF16);
    let y = norm.forward(&Var::new(Tensor::from([[1f32, 2.0], [3.0, 5.0]]).to_dtype(DType::BF16)));
    assert_eq!(y.dtype(), DType::BF16);
    let dtypes: Vec<DType> = norm.state_dict().values().map(Tensor::dtype).collect();
    assert_eq!(dtypes, [DType::BF16, DType::BF16, DType::BF16, DType::BF16, DType::I64]);
    assert_eq!(norm.num_batches_tracked.unwrap().value().item::<i64>(), 1);
}

#[test]
fn what_does_not_fit_is_refused() {
    let tracked = InstanceNormOptions { track_running_stats: true, ..Default::default() };
    refuses! {
        LayerNorm::new(4).forward(&zeros(&[2, 3])) =>
            "layer_norm: the last dimensions are not the normalised ones\n  input [2, 3]   rule [.., [4]]";
        RMSNorm::new([2, 4]).forward(&zeros(&[4])) =>
            "rms_norm: the last dimensions are not the normalised ones\n  input [4]   rule [.., [2, 4]]";
        GroupNorm::new(3, 4) =>
            "GroupNorm: the groups do not divide the channels\n  num_groups 3   num_channels 4";
        GroupNorm::new(2, 4).forward(&zeros(&[2, 6, 3])) =>
            "group_norm: the weight does not have one number for each of 6 channels";
        GroupNorm::new(4, 4).forward(&zeros(&[1, 4])) => "group_norm: a group is a single element";
        GroupNorm::new(2, 4).forward(&zeros(&[2, 4, 0])) => "group_norm: channels have no elements";
        BatchNorm1d::new(3).forward(&zeros(&[3])) =>
            "BatchNorm1d: the input is 1-d\n  input [3]   rule [n, c] or [n, c, l]";
        BatchNorm2d::new(3).forward(&zeros(&[3, 3, 3])) =>
            "BatchNorm2d: the input is 3-d\n  input [3, 3, 3]   rule [n, c, h, w]";
        BatchNorm2d::new(3).forward(&zeros(&[2, 4, 3, 3])) =>
            "batch_norm: the weight does not have one number for each of 4 channels";
        BatchNorm1d::new(3).forward(&zeros(&[1, 3])) =>
            "batch_norm: training needs more than one element per channel";
        {
            let norm = BatchNorm1d::with(3, BatchNormOptions { track_running_stats: false, ..Default::default() });
            norm.eval();
            norm.forward(&zeros(&[1, 3]))
        } => "batch_norm: training needs more than one element per channel";
        {
            let norm = BatchNorm1d::with(3, BatchNormOptions { eps: 0.0, ..Default::default() });
            norm.forward(&zeros(&[2, 3]))
        } => "batch_norm: eps must be positive in training\n  eps 0";
        {
            let norm = BatchNorm1d::with(3, BatchNormOptions { eps: -1.0, ..Default::default() });
            norm.eval();
            norm.forward(&zeros(&[2, 3]))
        } => "batch_norm: eps must not be negative\n  eps -1";
        InstanceNorm1d::new(3).forward(&zeros(&[3])) =>
            "InstanceNorm1d: the input is 1-d\n  input [3]   rule [n, c, l] or [c, l]";
        InstanceNorm2d::new(3).forward(&zeros(&[3, 2])) =>
            "InstanceNorm2d: the input is 2-d\n  input [3, 2]   rule [n, c, h, w] or [c, h, w]";
        InstanceNorm1d::with(3, tracked).forward(&zeros(&[4, 2])) =>
            "InstanceNorm1d: the input has 4 channels, the layer 3\n  input [4, 2]";
        InstanceNorm2d::with(3, tracked).forward(&zeros(&[2, 4, 2, 2])) =>
            "InstanceNorm2d: the input has 4 channels, the layer 3\n  input [2, 4, 2, 2]";
        InstanceNorm1d::new(3).forward(&zeros(&[2, 3, 0])) => "channels have no elements";
        InstanceNorm1d::new(3).forward(&zeros(&[3, 1])) =>
            "instance_norm: statistics of an item need more than one element per channel";
        InstanceNorm2d::new(3).forward(&zeros(&[2, 3, 1, 1])) =>
            "instance_norm: statistics of an item need more than one element per channel";
    }
}

fn zeros(shape: &[usize]) -> Var {
    Var::new(Tensor::zeros(shape, DType::F32))
}
