//! Linear and bilinear layers, distances, and layers that only give their input another shape.

mod common;

use common::refuses;
use nn::prelude::*;
use nn::strategy::{bilinears, check_batch_independence, linears};
use proptest::prelude::*;

const F64: DType = DType::F64;

fn zeros(shape: &[usize]) -> Var {
    Var::new(Tensor::zeros(shape, DType::F32))
}

fn both(layer: &Bilinear, x: &Var) -> Var {
    let (first, second) = (layer.in1_features(), layer.in2_features());
    layer.forward(&x.narrow(-1, 0, first), &x.narrow(-1, first, second))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn linear(case in linears()) {
        case.check_gradients().unwrap();
        let shape = case.module.forward(&case.input).shape();
        prop_assert_eq!(&shape[..shape.len() - 1], &case.input.shape()[..shape.len() - 1]);
        prop_assert_eq!(shape.last(), Some(&case.module.out_features()));
        if case.input.ndim() > 1 {
            check_batch_independence(|x| case.module.forward(x), &case.input).unwrap();
        }
    }

    #[test]
    fn bilinear(case in bilinears()) {
        case.check_gradients_of(both).unwrap();
        if case.input.ndim() > 1 {
            check_batch_independence(|x| both(&case.module, x), &case.input).unwrap();
        }
    }

    #[test]
    fn bilinear_is_a_sum_of_products(case in bilinears()) {
        let (layer, x) = (&case.module, case.input.value());
        let (first, second) = (layer.in1_features(), layer.in2_features());
        let (x1, x2) = (x.narrow(-1, 0, first).unsqueeze(-1), x.narrow(-1, first, second).unsqueeze(-2));
        let products = (&x1 * &x2).unsqueeze(-3);
        let mut expected = (&products * &layer.weight.value()).sum_dim([-1, -2], false);
        if let Some(bias) = &layer.bias {
            expected = &expected + &bias.value();
        }
        prop_assert!(both(layer, &case.input).value().allclose(&expected, 1e-12, 1e-12));
    }
}

#[test]
fn distances_have_pytorchs_defaults() {
    let (a, b) = (Var::new(Tensor::randn([4, 3], F64)), Var::new(Tensor::randn([4, 3], F64)));
    assert!(CosineSimilarity::default().forward(&a, &b).value().bit_eq(&a.cosine_similarity(&b, 1, 1e-8).value()));
    let distance = PairwiseDistance::default().forward(&a, &b);
    assert!(distance.value().bit_eq(&a.pairwise_distance(&b, 2.0, 1e-6, false).value()));
    check_batch_independence(|a| PairwiseDistance::new().forward(a, &b.narrow(0, 0, 1)), &a).unwrap();
}

#[test]
fn bilinear_starts_uniform_within_its_bound() {
    manual_seed(1);
    let layer = Bilinear::with(16, 30, 600, LinearOptions { dtype: F64, ..Default::default() });
    for parameter in layer.parameters() {
        let value = parameter.value();
        let largest = value.abs().max().item::<f64>();
        assert!(largest <= 0.25 && largest > 0.249, "{largest}");
        assert!(value.mean().item::<f64>().abs() < 0.02);
        assert!((value.var().item::<f64>() - 0.0625 / 3.0).abs() < 2e-3);
    }
}

#[test]
fn flatten_joins_what_it_is_told_and_unflatten_cuts_it_again() {
    let x = zeros(&[2, 3, 4, 5]);
    assert_eq!(Flatten::new().forward(&x).shape(), [2, 60]);
    let inner = Flatten::with(FlattenOptions { start_dim: 1, end_dim: 2 });
    assert_eq!(inner.forward(&x).shape(), [2, 12, 5]);
    assert_eq!(Unflatten::new(-2, [3, -1]).forward(&inner.forward(&x)).shape(), [2, 3, 4, 5]);
}

#[test]
fn refusals() {
    let bilinear = Bilinear::new(3, 4, 2);
    refuses! {
        bilinear.forward(&zeros(&[2, 3]), &zeros(&[3, 4])) => "bilinear: the sizes do not fit together", "input1 [2, 3]   input2 [3, 4]";
        bilinear.forward(&zeros(&[2, 3]), &zeros(&[2, 3])) => "weight [2, 3, 4]   bias Some([2])   rule [.., i], [.., j], [o, i, j], [o]";
        functional::bilinear(&zeros(&[3]), &zeros(&[4]), &zeros(&[2, 3, 4]), Some(&zeros(&[3]))) => "bias Some([3])";
        functional::bilinear(&zeros(&[]), &zeros(&[4]), &zeros(&[2, 3, 4]), None) => "input1 []";
        Bilinear::new(0, 4, 2) => "Bilinear: in1_features must be greater than 0";
        CosineSimilarity::new().forward(&zeros(&[2, 3]), &zeros(&[2, 4])) => "cosine_similarity: cannot broadcast, 3 != 4";
        CosineSimilarity::with(2, 1e-8).forward(&zeros(&[2, 3]), &zeros(&[2, 3])) => "dimension 2 is out of range";
        PairwiseDistance::new().forward(&zeros(&[2, 3]), &zeros(&[2, 4])) => "cannot broadcast";
        Unflatten::new(1, [2, 2]).forward(&zeros(&[2, 5])) => "unflatten: 5 elements do not fit [2, 2]";
    }
}
