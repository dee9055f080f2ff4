//! Steps of scaled gradients.

use autograd::Var;
use nn::Parameter;
use optim::{clip_coefficient, clip_grad_norm_, get_total_norm};
use tensor::{DType, Generator, Tensor};

use crate::list::EVERY;

/// As `clip_grad_norm_` before a step, to the bit, but that the gradients stay.
#[test]
fn a_scaled_step_is_a_step_after_clipping() {
    for dtype in [DType::F32, DType::F64] {
        for (name, make) in EVERY.iter().filter(|(name, _)| !name.starts_with("LBFGS")) {
            let mut g = Generator::new(3);
            let made = || [2, 3].map(|n| Parameter::new(Tensor::ones([n, 3], dtype)));
            let (clipped, scaled) = (made(), made());
            let (mut first, mut second) = (make(clipped.to_vec()), make(scaled.to_vec()));
            // Gradients far above the norm, and below.
            for size in [10.0, 0.01, 3.0] {
                for (a, b) in clipped.iter().zip(&scaled) {
                    let gradient = Tensor::randn_with(a.shape(), dtype, &mut g) * size;
                    a.set_grad(Some(Var::new(gradient.copy())));
                    b.set_grad(Some(Var::new(gradient)));
                }
                let before = scaled.each_ref().map(|p| p.grad().unwrap().value());
                let norm = get_total_norm(&scaled, 2.0);
                assert_eq!(clip_grad_norm_(&clipped, 1.0, Default::default()).unwrap(), norm);
                first.step();
                second.step_scaled(clip_coefficient(1.0, norm));
                for ((a, b), before) in clipped.iter().zip(&scaled).zip(before) {
                    assert!(a.value().bit_eq(&b.value()), "{name} {dtype} {size}");
                    assert!(b.grad().unwrap().value().bit_eq(&before), "{name}");
                }
            }
        }
    }
}
