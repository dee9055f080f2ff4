//! Pooling: gradients of random configurations, what the indices say, and what is refused.

mod common;

use common::refuses;
use nn::prelude::*;
use nn::strategy::{adaptive_poolings, check_batch_independence, poolings};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients(case in prop_oneof![poolings(), adaptive_poolings()]) {
        case.check_gradients().unwrap();
    }

    #[test]
    fn items_are_independent(case in prop_oneof![poolings(), adaptive_poolings()]) {
        prop_assume!(case.input.ndim() == if case.module.type_name().ends_with("1d") { 3 } else { 4 });
        check_batch_independence(|x| case.module.forward(x), &case.input).unwrap();
    }

    /// The input at the indices is the result.
    #[test]
    fn indices_say_where_the_largest_were(case in prop_oneof![poolings(), adaptive_poolings()]) {
        let (module, x) = (case.module.as_module(), &case.input);
        let dims = if module.type_name().ends_with("1d") { 1 } else { 2 };
        let found = if let Some(pool) = module.downcast_ref::<MaxPool1d>() {
            pool.forward_with_indices(x)
        } else if let Some(pool) = module.downcast_ref::<MaxPool2d>() {
            pool.forward_with_indices(x)
        } else if let Some(pool) = module.downcast_ref::<AdaptiveMaxPool1d>() {
            pool.forward_with_indices(x)
        } else if let Some(pool) = module.downcast_ref::<AdaptiveMaxPool2d>() {
            pool.forward_with_indices(x)
        } else {
            return Err(TestCaseError::reject("averages have no indices"));
        };
        let (y, indices) = (found.0.value(), found.1);
        prop_assert!(y.bit_eq(&case.module.forward(x).value()));
        let planes = x.value().flatten(-dims, -1);
        let there = planes.gather(-1, &indices.flatten(-dims, -1));
        prop_assert!(there.bit_eq(&y.flatten(-dims, -1)));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let max = MaxPool::default;
    let average = AvgPool::default;
    refuses! {
        MaxPool1d::new([2, 2]) =>
            "MaxPool1d: kernel_size does not have one number, or 1\n  kernel_size [2, 2]";
        MaxPool2d::with(2, MaxPool { dilation: [1, 1, 1].into(), ..max() }) =>
            "MaxPool2d: dilation does not have one number, or 2\n  dilation [1, 1, 1]";
        AvgPool1d::with(2, AvgPool { stride: Some([1, 1].into()), ..average() }) =>
            "AvgPool1d: stride does not have one number, or 1\n  stride [1, 1]";
        AvgPool2d::with(2, AvgPool { padding: [1, 1, 1].into(), ..average() }) =>
            "AvgPool2d: padding does not have one number, or 2\n  padding [1, 1, 1]";
        MaxPool2d::new([3, 1]).forward(&zeros(&[1, 2, 2])) => "max_pool2d: a window of 3 does not fit";
        MaxPool1d::with(3, MaxPool { padding: 2.into(), ..max() }).forward(&zeros(&[1, 4])) =>
            "max_pool1d: padding 2 is more than half of the window of 3";
        AvgPool1d::new(3).forward(&zeros(&[1, 2])) => "avg_pool1d: a window of 3 does not fit";
        AvgPool2d::with(3, AvgPool { padding: 2.into(), ..average() }).forward(&zeros(&[1, 4, 4])) =>
            "avg_pool2d: padding 2 is more than half of the window of 3";
        AvgPool1d::with(2, AvgPool { divisor_override: Some(0), ..average() }).forward(&zeros(&[1, 4])) =>
            "avg_pool1d: divisor_override must not be 0";
        AdaptiveAvgPool1d::new(2).forward(&zeros(&[3, 0])) => "adaptive_avg_pool1d: a spatial dimension is empty";
        AdaptiveMaxPool1d::new(2).forward(&zeros(&[3])) => "adaptive_max_pool1d: the input is 1-d";
        AdaptiveMaxPool2d::new(2).forward(&zeros(&[1, 3, 0])) => "adaptive_max_pool2d: a dimension is empty";
        MaxPool1d::new(3).forward(&zeros(&[1, 2])) => "max_pool1d: a window of 3 does not fit";
        MaxPool2d::with(2, MaxPool { padding: 2.into(), ..max() }).forward(&zeros(&[1, 4, 4])) =>
            "max_pool2d: padding 2 is more than half of the window of 2";
        AvgPool2d::new(3).forward(&zeros(&[1, 2, 4])) => "avg_pool2d: a window of 3 does not fit";
        AvgPool1d::with(2, AvgPool { padding: 2.into(), ..average() }).forward(&zeros(&[1, 4])) =>
            "avg_pool1d: padding 2 is more than half of the window of 2";
        {
            let options = AvgPool { divisor_override: Some(0), ..average() };
            AvgPool2d::with(2, options).forward(&zeros(&[1, 4, 4]))
        } => "avg_pool2d: divisor_override must not be 0";
        AdaptiveAvgPool1d::new(2).forward(&zeros(&[3])) => "adaptive_avg_pool1d: the input is 1-d";
        AdaptiveAvgPool2d::new(2).forward(&zeros(&[1, 0, 3])) =>
            "adaptive_avg_pool2d: a spatial dimension is empty";
        AdaptiveAvgPool2d::new([None, Some(2)]).forward(&zeros(&[3])) =>
            "adaptive_avg_pool2d: the input is 1-d";
        AdaptiveMaxPool1d::new(2).forward(&zeros(&[0, 3])) => "adaptive_max_pool1d: a dimension is empty";
        AdaptiveMaxPool2d::new(2).forward(&zeros(&[2, 3])) => "adaptive_max_pool2d: the input is 2-d";
    }
}

fn zeros(shape: &[usize]) -> Var {
    Var::new(Tensor::zeros(shape, DType::F32))
}
