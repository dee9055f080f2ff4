//! Convolution and both its gradients against nested loops, over random sizes and options.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tensor::{Conv, ConvPadding, ConvTranspose, DType, Generator, Tensor};

/// A convolution in two dimensions (in one: of height 1).
#[derive(Clone, Debug)]
struct Case {
    batch: usize,
    groups: usize,
    inputs: usize,
    outputs: usize,
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    line: bool,
    seed: u64,
}

impl Case {
    fn out(&self) -> Option<[usize; 2]> {
        let out = |d: usize| {
            let extent = self.dilation[d] * (self.kernel[d] - 1) + 1;
            let room = (self.size[d] + 2 * self.padding[d]).checked_sub(extent)?;
            Some(room / self.stride[d] + 1)
        };
        Some([out(0)?, out(1)?])
    }

    fn options(&self) -> Conv {
        let per_dim = |n: [usize; 2]| if self.line { n[1].into() } else { n.into() };
        Conv {
            stride: per_dim(self.stride),
            padding: ConvPadding::Zeros(per_dim(self.padding)),
            dilation: per_dim(self.dilation),
            groups: self.groups,
        }
    }

    /// Calls `f` with the flat indices in `x`, `w` and `y` of every product of the convolution.
    fn terms(&self, mut f: impl FnMut(usize, usize, usize)) {
        let out = self.out().expect("a kernel that fits");
        let (channels, results) = (self.groups * self.inputs, self.groups * self.outputs);
        for n in 0..self.batch {
            for o in 0..results {
                for c in 0..self.inputs {
                    for (oy, ox) in (0..out[0]).flat_map(|y| (0..out[1]).map(move |x| (y, x))) {
                        for (ky, kx) in (0..self.kernel[0]).flat_map(|y| (0..self.kernel[1]).map(move |x| (y, x))) {
                            let iy = (oy * self.stride[0] + ky * self.dilation[0]).wrapping_sub(self.padding[0]);
                            let ix = (ox * self.stride[1] + kx * self.dilation[1]).wrapping_sub(self.padding[1]);
                            if iy >= self.size[0] || ix >= self.size[1] {
                                continue;
                            }
                            let channel = o / self.outputs * self.inputs + c;
                            f(
                                ((n * channels + channel) * self.size[0] + iy) * self.size[1] + ix,
                                ((o * self.inputs + c) * self.kernel[0] + ky) * self.kernel[1] + kx,
                                ((n * results + o) * out[0] + oy) * out[1] + ox,
                            );
                        }
                    }
                }
            }
        }
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let channels = (0usize..3, 1usize..4, 1usize..6, 1usize..7);
    let pair = |range: std::ops::Range<usize>| [range.clone(), range];
    let sizes = ([1usize..12, 1..40], pair(1..5), pair(1..4), pair(0..4), pair(1..4));
    (channels, sizes, any::<bool>(), any::<u64>()).prop_map(|(channels, sizes, line, seed)| {
        let (batch, groups, inputs, outputs) = channels;
        let (mut size, mut kernel, mut stride, mut padding, mut dilation) = sizes;
        if line {
            (size[0], kernel[0], stride[0], padding[0], dilation[0]) = (1, 1, 1, 0, 1);
        }
        Case { batch, groups, inputs, outputs, size, kernel, stride, padding, dilation, line, seed }
    })
}

/// Sizes that reach every path: the micro-kernel with and without edges, pieces of long rows, several depths.
fn large() -> Vec<Case> {
    let case = |batch, groups, inputs, outputs, size, kernel, stride, padding, dilation| Case {
        batch,
        groups,
        inputs,
        outputs,
        size,
        kernel,
        stride,
        padding,
        dilation,
        line: false,
        seed: 1,
    };
    vec![
        case(2, 1, 50, 30, [14, 14], [3, 3], [1, 1], [1, 1], [1, 1]),
        case(3, 1, 20, 26, [7, 7], [3, 3], [2, 2], [1, 1], [1, 1]),
        case(1, 1, 3, 16, [40, 40], [7, 7], [2, 2], [3, 3], [1, 1]),
        case(1, 2, 4, 13, [1, 1000], [1, 5], [1, 3], [0, 2], [1, 2]),
        case(1, 1, 2, 5, [3, 900], [2, 3], [1, 1], [1, 1], [1, 2]),
        case(1, 1, 1, 4, [30, 30], [25, 25], [1, 1], [3, 3], [1, 1]),
        case(2, 40, 1, 1, [20, 33], [3, 3], [1, 1], [1, 1], [1, 1]),
        case(2, 8, 1, 2, [19, 18], [5, 3], [2, 2], [2, 1], [1, 2]),
        case(1, 1, 70, 3, [9, 9], [3, 3], [1, 1], [0, 0], [1, 1]),
        case(2, 1, 24, 40, [17, 17], [1, 1], [1, 1], [0, 0], [1, 1]),
        case(2, 2, 24, 40, [9, 9], [1, 1], [2, 2], [0, 0], [1, 1]),
        case(1, 1, 1, 1, [1, 9000], [1, 3], [1, 1], [0, 1], [1, 1]),
        case(1, 1, 13, 70, [2, 2], [3, 3], [1, 1], [2, 2], [1, 1]),
    ]
}

fn check(case: &Case, dtype: DType) -> Result<(), String> {
    let Some(out) = case.out() else { return Ok(()) };
    let mut g = Generator::new(case.seed);
    let mut values = |n: usize| -> Vec<f64> {
        // Whole numbers are exact in any order of the sums; the floats are compared with a tolerance.
        let values = (Tensor::rand_with([n], DType::F64, &mut g) * 8.0 - 4.0).to_vec::<f64>();
        if dtype.is_floating_point() { values } else { values.into_iter().map(f64::trunc).collect() }
    };
    let (channels, results) = (case.groups * case.inputs, case.groups * case.outputs);
    let plane = |size: [usize; 2]| if case.line { vec![size[1]] } else { size.to_vec() };
    let x_size = [vec![case.batch, channels], plane(case.size)].concat();
    let w_size = [vec![results, case.inputs], plane(case.kernel)].concat();
    let y_size = [vec![case.batch, results], plane(out)].concat();
    let numel = |size: &[usize]| size.iter().product::<usize>();
    let (x, w, dy) = (values(numel(&x_size)), values(numel(&w_size)), values(numel(&y_size)));
    let (b, b_in) = (values(results), values(channels));
    let cast = |values: &[f64], size: &[usize]| Tensor::from_slice(values, size).to_dtype(dtype);
    let (xt, wt, dyt) = (cast(&x, &x_size), cast(&w, &w_size), cast(&dy, &y_size));
    let (bt, bt_in) = (cast(&b, &[results]), cast(&b_in, &[channels]));

    let mut y: Vec<f64> = (0..dy.len()).map(|i| b[i / (out[0] * out[1]) % results]).collect();
    let mut dx: Vec<f64> = (0..x.len()).map(|i| b_in[i / (case.size[0] * case.size[1]) % channels]).collect();
    let mut dw = vec![0.0; w.len()];
    case.terms(|i, k, o| {
        y[o] += w[k] * x[i];
        dx[i] += w[k] * dy[o];
        dw[k] += x[i] * dy[o];
    });

    let options = case.options();
    let transposed = ConvTranspose {
        stride: options.stride.clone(),
        padding: if case.line { case.padding[1].into() } else { case.padding.into() },
        output_padding: {
            // What the size of the input exceeds the least that has this result by.
            let extra = [0, 1].map(|d| {
                let extent = case.dilation[d] * (case.kernel[d] - 1) + 1;
                (case.size[d] + 2 * case.padding[d] - extent) % case.stride[d]
            });
            if case.line { extra[1].into() } else { extra.into() }
        },
        groups: case.groups,
        dilation: options.dilation.clone(),
    };
    let got = if case.line {
        [
            ("y", xt.conv1d(&wt, Some(&bt), &options)),
            ("dx", dyt.conv_transpose1d(&wt, Some(&bt_in), &transposed)),
            ("dw", Tensor::conv1d_weight(&xt, &w_size, &dyt, &options)),
        ]
    } else {
        [
            ("y", xt.conv2d(&wt, Some(&bt), &options)),
            ("dx", dyt.conv_transpose2d(&wt, Some(&bt_in), &transposed)),
            ("dw", Tensor::conv2d_weight(&xt, &w_size, &dyt, &options)),
        ]
    };
    let tolerance = match dtype {
        DType::F64 => 1e-12,
        DType::F32 => 1e-5,
        _ => 0.0,
    };
    let depth = (case.inputs * case.kernel[0] * case.kernel[1]) as f64;
    for ((name, got), (want, size)) in got.iter().zip([(&y, &y_size), (&dx, &x_size), (&dw, &w_size)]) {
        if got.dims() != &size[..] || got.dtype() != dtype {
            return Err(format!("{name}: {:?} {} instead of {size:?}", got.dims(), got.dtype()));
        }
        let terms = if *name == "dw" { (case.batch * out[0] * out[1]) as f64 } else { depth.max(results as f64) };
        for (i, (got, want)) in got.to_dtype(DType::F64).to_vec::<f64>().iter().zip(want).enumerate() {
            if (got - want).abs() > tolerance * (want.abs() + 16.0 * terms) {
                return Err(format!("{name}[{i}] is {got} instead of {want}"));
            }
        }
    }
    // Without a bias, and the gradient op by its own name.
    let size = &x_size[..];
    let (plain, named) = if case.line {
        (xt.conv1d(&wt, None, &options), Tensor::conv1d_input(size, &wt, &dyt, &options))
    } else {
        (xt.conv2d(&wt, None, &options), Tensor::conv2d_input(size, &wt, &dyt, &options))
    };
    let spread = |bias: &Tensor| bias.reshape([&[1, -1], &vec![1; size.len() - 2][..]].concat());
    let close = |a: &Tensor, b: &Tensor| {
        a.to_dtype(DType::F64).allclose(&b.to_dtype(DType::F64), tolerance * 100.0, tolerance * 100.0 * depth)
    };
    if !close(&(&plain + &spread(&bt)), &got[0].1) || !close(&(&named + &spread(&bt_in)), &got[1].1) {
        return Err("the result without a bias differs".into());
    }
    Ok(())
}

fn prove(dtype: DType, cases_to_run: u32) {
    for case in large() {
        check(&case, dtype).unwrap_or_else(|error| panic!("{dtype} {case:?}: {error}"));
    }
    // Always the same cases: a failure can be repeated, and no run fails by chance.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config { cases: cases_to_run, failure_persistence: None, ..Config::default() };
    let result =
        TestRunner::new_with_rng(config, rng).run(&cases(), |case| check(&case, dtype).map_err(TestCaseError::fail));
    result.unwrap_or_else(|error| panic!("{dtype}: {error}"));
}

#[test]
fn doubles() {
    prove(DType::F64, 400);
}

#[test]
fn singles() {
    prove(DType::F32, 200);
}

#[test]
fn integers() {
    prove(DType::I64, 100);
}

#[test]
fn any_layout_and_no_batch() {
    let mut g = Generator::new(1);
    let (x, w) =
        (Tensor::randn_with([5, 4, 6], DType::F64, &mut g), Tensor::randn_with([3, 3, 2, 6], DType::F64, &mut g));
    let (x, w) = (x.transpose(0, 2).flip(&[1]), w.transpose(1, 3));
    let options = Conv { padding: 1.into(), ..Default::default() };
    let whole = x.contiguous().unsqueeze(0).conv2d(&w.contiguous(), None, &options);
    assert!(x.conv2d(&w, None, &options).bit_eq(&whole.squeeze(0)));
    let dy = Tensor::scalar(1.0).expand(whole.dims());
    let plain = Tensor::conv2d_weight(&x.contiguous().unsqueeze(0), w.dims(), &dy.contiguous(), &options);
    assert!(Tensor::conv2d_weight(&x, w.dims(), &dy.squeeze(0), &options).bit_eq(&plain));
}

#[test]
fn same_is_as_large_as_the_input_with_the_odd_zero_at_the_end() {
    let x = Tensor::from([[1.0, 2.0, 3.0]]);
    let same = Conv { padding: ConvPadding::Same, ..Default::default() };
    let y = x.conv1d(&Tensor::from([[[1.0, 10.0]]]), None, &same);
    assert_eq!(y.to_vec::<f64>(), [21.0, 32.0, 3.0]);
    let y = x.conv1d(&Tensor::from([[[1.0, 10.0]]]), None, &Conv { padding: ConvPadding::Valid, ..Default::default() });
    assert_eq!(y.to_vec::<f64>(), [21.0, 32.0]);
}

#[test]
fn infinities_stay_where_they_are() {
    let mut x = vec![0.0f32; 2 * 5 * 5];
    x[7] = f32::INFINITY;
    let x = Tensor::from_vec(x, [1, 2, 5, 5]);
    for outputs in [1, 40] {
        let y = x.conv2d(&Tensor::ones([outputs, 2, 3, 3], DType::F32), None, &Conv::default());
        let infinite = y.to_vec::<f32>().iter().filter(|y| y.is_infinite()).count();
        assert_eq!((infinite, y.to_vec::<f32>().iter().any(|y| y.is_nan())), (6 * outputs, false));
    }
}

#[test]
fn halves_are_computed_in_single_precision() {
    let mut g = Generator::new(3);
    let x = Tensor::randn_with([1, 8, 9, 9], DType::F32, &mut g).to_dtype(DType::BF16);
    let w = Tensor::randn_with([4, 8, 3, 3], DType::F32, &mut g).to_dtype(DType::BF16);
    let y = x.conv2d(&w, None, &Conv::default());
    let wide = x.to_dtype(DType::F32).conv2d(&w.to_dtype(DType::F32), None, &Conv::default());
    assert!(y.bit_eq(&wide.to_dtype(DType::BF16)));
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let mut g = Generator::new(2);
    let x = Tensor::randn_with([4, 32, 20, 20], DType::F32, &mut g);
    let w = Tensor::randn_with([48, 32, 3, 3], DType::F32, &mut g);
    let options = Conv { padding: 1.into(), ..Default::default() };
    let run = |threads: usize| {
        tensor::set_num_threads(threads);
        let y = x.conv2d(&w, None, &options);
        let dx = Tensor::conv2d_input(x.dims(), &w, &y, &options);
        let dw = Tensor::conv2d_weight(&x, w.dims(), &y, &options);
        tensor::set_num_threads(0);
        [y, dx, dw]
    };
    for (one, many) in run(1).iter().zip(run(3)) {
        assert!(one.bit_eq(&many));
    }
}
