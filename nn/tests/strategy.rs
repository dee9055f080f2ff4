//! The strategies for modules prove the library's layers, and find layers that are wrong.

use autograd::gradcheck;
use nn::MultiheadAttentionOptions;
use nn::prelude::*;
use nn::strategy::{batches, cases, linears, networks, sizes};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestError, TestRunner};
use tensor::random;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn batches_fit(x in batches([2, 3])) {
        prop_assert!(x.shape().ends_with(&[2, 3]) && x.requires_grad() && x.dtype() == DType::F64);
        gradcheck(|v| v[0].exp(), &[x], Default::default()).unwrap();
    }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn whole_networks(case in networks()) {
        case.check_gradients().unwrap();
    }

    #[test]
    fn attention(
        case in cases((1usize..3, 1usize..3, any::<bool>()), |&(heads, width, bias)| {
            let options = MultiheadAttentionOptions { bias, batch_first: true, ..Default::default() };
            (MultiheadAttention::with(heads * width, heads, options), vec![2, heads * width])
        })
    ) {
        // It takes one dimension of batch.
        let flat = |x: &Var| x.reshape([x.numel() / (2 * x.dim(-1)).max(1), 2, x.dim(-1)]);
        case.check_gradients_of(|module, x| {
            let x = flat(x);
            module.forward(&x, &x, &x, &AttentionMasks::causal())
        }).unwrap();
    }
}

/// `w x + b` whose bias gets half its gradient.
#[derive(Module)]
struct Wrong {
    linear: Linear,
    bias: Parameter,
}

impl Forward for Wrong {
    fn forward(&self, x: &Var) -> Var {
        let half = Var::record_unary("half", self.bias.value(), &self.bias, |dy| dy * 0.5);
        self.linear.forward(x) + half
    }
}

#[test]
fn a_wrong_layer_shrinks_to_a_small_one_that_is_shown() {
    let build = |&(n, m): &(usize, usize)| {
        let bias = Parameter::new(Tensor::ones([m], DType::F32));
        (Wrong { linear: Linear::new(n, m), bias }, vec![n])
    };
    let rng = TestRunner::deterministic().rng().clone();
    let found = TestRunner::new_with_rng(config(64), rng).run(&cases((sizes(), sizes()), build), |case| {
        case.check_gradients().map_err(|error| TestCaseError::fail(error.to_string()))
    });
    let Err(TestError::Fail(reason, smallest)) = found else { panic!("{found:?}") };
    assert!(reason.message().contains("of bias is"), "{reason}");
    assert_eq!((smallest.module.linear.in_features(), smallest.module.linear.out_features()), (1, 1));
    let text = format!("{smallest:?}");
    assert!(
        text.starts_with("Wrong(") && text.contains("linear.weight: ") && text.contains("input with strides"),
        "{text}"
    );
}

#[test]
fn the_threads_generator_is_left_alone_and_cases_can_be_repeated() {
    let before = random::get_state();
    let draw = || {
        let mut runner = TestRunner::deterministic();
        let trees = (0..5).map(|_| linears().new_tree(&mut runner).unwrap().current());
        trees.map(|case| case.module.weight.value()).collect::<Vec<_>>()
    };
    let (first, second) = (draw(), draw());
    assert!(first.iter().zip(&second).all(|(a, b)| a.bit_eq(b)));
    assert_eq!(random::get_state(), before);
}
