//! Values where PyTorch's own samples do not go; the expected numbers are PyTorch's.

use tensor::DType::{BF16, F16, F32, F64, I32, I64};
use tensor::{BatchNorm, Generator, Padding, Reduction, Tensor};

#[test]
fn whole_numbers_between_fractions() {
    let space = |start, end, n| Tensor::linspace(start, end, n, I64).to_vec::<i64>();
    assert_eq!(space(0.9, 3.1, 3), [0, 1, 3]);
    assert_eq!(space(-2.7, 7.9, 7), [-2, 0, 1, 2, 4, 5, 7]);
    assert_eq!(space(5.5, -3.2, 5), [5, 3, 1, -1, -3]);
    assert_eq!(Tensor::logspace(0.9, 2.3, 4, 10.0, I32).to_vec::<i32>(), [1, 4, 21, 100]);
}

#[test]
fn replacements_are_not_replaced_again() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let x = Tensor::from([nan, inf, -inf]);
    assert_eq!(x.nan_to_num(5.0, Some(-inf), Some(3.0)).to_vec::<f64>(), [5.0, -inf, 3.0]);
    let y = x.nan_to_num(inf, Some(nan), Some(nan)).to_vec::<f64>();
    assert!(y[0] == inf && y[1].is_nan() && y[2].is_nan());
}

#[test]
fn numbers_on_the_edges_of_a_histogram() {
    let tenths = Tensor::from([0.1f32, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
    assert_eq!(tenths.histc(10, 0.0, 1.0).to_vec::<f32>(), [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    // 15 / 22 * 22 is less than 15.
    assert_eq!(Tensor::from([15.0]).histc(22, 0.0, 22.0).get::<f64>(&[15]), 1.0);
}

#[test]
fn losses_of_nothing_and_of_scalars() {
    let none = Tensor::zeros([0], F64);
    for loss in [none.l1_loss(&none, Reduction::Sum), none.mse_loss(&none, Reduction::Sum)] {
        assert!(loss.item::<f64>().is_sign_positive());
    }
    let (single, double) = (Tensor::ones([2], F32), Tensor::ones((), F64));
    assert_eq!(single.kl_div(&double, Reduction::Mean, false).dtype(), F32);
    assert_eq!(single.mse_loss(&double, Reduction::Mean).dtype(), F64);
}

#[test]
fn batches_without_elements() {
    let training = BatchNorm { training: true, ..Default::default() };
    assert_eq!(Tensor::zeros([0], F32).batch_norm(None, None, None, &training).output.dims(), [0]);
    let (mean, var) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
    let running = Tensor::zeros([0, 2], F64).batch_norm(Some((&mean, &var)), None, None, &training).running;
    let (new_mean, new_var) = running.expect("training");
    assert!(new_mean.bit_eq(&mean) && new_var.bit_eq(&var));
}

#[test]
fn halves_with_single_precision_parameters_are_rounded_once() {
    let mut g = Generator::new(8);
    let mut rand = |shape: &[usize]| Tensor::randn_with(shape, F32, &mut g);
    let (w, b, wide) = (rand(&[6]), rand(&[6]), rand(&[4, 6]));
    for half in [F16, BF16] {
        let x = wide.to_dtype(half);
        let same = |y: Tensor, of: &dyn Fn(&Tensor) -> Tensor| {
            assert!(y.bit_eq(&of(&x.to_dtype(F32)).to_dtype(half)));
        };
        let layer = |x: &Tensor| x.layer_norm(1, Some(&w), Some(&b), 1e-5).0;
        same(layer(&x), &layer);
        let group = |x: &Tensor| x.group_norm(2, Some(&w), Some(&b), 1e-5).0;
        same(group(&x), &group);
        let batch = |x: &Tensor| {
            let options = BatchNorm { training: true, ..Default::default() };
            x.batch_norm(Some((&b, &w)), Some(&w), Some(&b), &options).output
        };
        same(batch(&x), &batch);
        let rms = |x: &Tensor| x.rms_norm(1, Some(&w), Some(1e-5)).0;
        same(rms(&x), &rms);
    }
}

#[test]
fn padding_of_nothing() {
    assert_eq!(Tensor::zeros([0], F64).pad(&[1, 2], Padding::Constant(1.0)).to_vec::<f64>(), [1.0; 3]);
}

#[test]
fn far_out_gelu_has_the_slopes_0_and_1() {
    for dtype in [F32, F64] {
        let x = Tensor::from_slice(&[-1e30, -2e13, -40.0, 40.0, 2e13, 1e30], [6]).to_dtype(dtype);
        let slopes = Tensor::gelu_tanh_backward(&x, &x.full_like(1.0)).to_dtype(F64);
        assert_eq!(slopes.to_vec::<f64>(), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    }
}
