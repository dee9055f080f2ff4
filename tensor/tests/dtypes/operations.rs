//! Operations on i32 and the halves are those on i64 and f32, converted at the end; and what integers and bools give.

use tensor::{Attention, CrossEntropy, DType, Generator, RoundingMode, Tensor, bf16, f16};

type Op = (&'static str, fn(&Tensor, &Tensor) -> Tensor);

macro_rules! ops {
    ($($name:ident: |$x:pat_param, $y:pat_param| $call:expr;)*) => { &[$((stringify!($name), |$x, $y| $call)),*] };
}

/// On everything but bool.
const NUMBERS: &[Op] = ops! {
    add: |x, y| x.add(y); sub: |x, y| x.sub(y); mul: |x, y| x.mul(y); div: |x, y| x.div(y);
    maximum: |x, y| x.maximum(y); minimum: |x, y| x.minimum(y); fmax: |x, y| x.fmax(y); fmin: |x, y| x.fmin(y);
    pow: |x, y| x.abs().pow(&y.abs()); atan2: |x, y| x.atan2(y); hypot: |x, y| x.hypot(y);
    logaddexp: |x, y| x.logaddexp(y); xlogy: |x, y| x.xlogy(y); copysign: |x, y| x.copysign(y);
    remainder: |x, y| x.remainder(y); fmod: |x, y| x.fmod(y); floor_divide: |x, y| x.floor_divide(y);
    div_trunc: |x, y| x.div_mode(y, RoundingMode::Trunc); remainder_scalar: |x, _| x.remainder_scalar(3.0);
    fmod_scalar: |x, _| x.fmod_scalar(3.0); div_mode_scalar: |x, _| x.div_mode_scalar(2.0, RoundingMode::Floor);
    add_scalar: |x, _| x + 3.0; sub_scalar: |x, _| x - 3.0; mul_scalar: |x, _| x * -3.0; div_scalar: |x, _| x / 3.0;
    rsub_scalar: |x, _| 3.0 - x; rdiv_scalar: |x, _| 3.0 / x; add_scaled: |x, y| x.add_scaled(y, 2.0);
    addcmul: |x, y| x.addcmul(y, y, 2.0); owned: |x, y| (x.copy() + y) * y - y;
    eq: |x, y| x.eq(y); ne: |x, y| x.ne(y); lt: |x, y| x.lt(y); le: |x, y| x.le(y); gt: |x, y| x.gt(y);
    ge: |x, y| x.ge(y); eq_scalar: |x, _| x.eq_scalar(2.0); lt_scalar: |x, _| x.lt_scalar(2.0);
    logical_and: |x, y| x.logical_and(y); logical_xor: |x, y| x.logical_xor(y); logical_not: |x, _| x.logical_not();
    isclose: |x, y| x.isclose(y, 0.1, 0.1, false);
    where_: |x, y| Tensor::where_(&x.gt(y), x, y); masked_fill: |x, y| x.masked_fill(&x.gt(y), 7.0);
    clamp: |x, _| x.clamp(Some(1.0), Some(5.0)); clamp_tensor: |x, y| x.clamp_tensor(Some(y), None);
    neg: |x, _| x.neg(); abs: |x, _| x.abs(); sign: |x, _| x.sign(); square: |x, _| x.square(); relu: |x, _| x.relu();
    floor: |x, _| x.floor(); ceil: |x, _| x.ceil(); round: |x, _| x.round(); trunc: |x, _| x.trunc();
    exp: |x, _| x.exp(); exp2: |x, _| x.exp2(); expm1: |x, _| x.expm1(); log: |x, _| x.log(); log1p: |x, _| x.log1p();
    log2: |x, _| x.log2(); log10: |x, _| x.log10(); sqrt: |x, _| x.sqrt(); rsqrt: |x, _| x.rsqrt();
    reciprocal: |x, _| x.reciprocal(); sin: |x, _| x.sin(); cos: |x, _| x.cos(); tan: |x, _| x.tan();
    asin: |x, _| x.asin(); acos: |x, _| x.acos(); atan: |x, _| x.atan(); sinh: |x, _| x.sinh(); cosh: |x, _| x.cosh();
    tanh: |x, _| x.tanh(); asinh: |x, _| x.asinh(); acosh: |x, _| x.acosh(); atanh: |x, _| x.atanh();
    sigmoid: |x, _| x.sigmoid(); erf: |x, _| x.erf(); erfc: |x, _| x.erfc(); erfinv: |x, _| x.erfinv();
    sinc: |x, _| x.sinc(); silu: |x, _| x.silu(); gelu: |x, _| x.gelu(); gelu_tanh: |x, _| x.gelu_tanh();
    logit: |x, _| x.logit(Some(0.1)); nan_to_num: |x, _| x.nan_to_num(0.0, None, None);
    isnan: |x, _| x.isnan(); isinf: |x, _| x.isinf(); isfinite: |x, _| x.isfinite();
    powf: |x, _| x.powf(3.0); powf_fraction: |x, _| x.powf(1.5); rpow_scalar: |x, _| x.abs().rpow_scalar(2.0);
    sum: |x, _| x.sum(); sum_dim: |x, _| x.sum_dim(0, true); prod: |x, _| x.prod(); amax: |x, _| x.amax(1, false);
    amin: |x, _| x.amin(0, false); any: |x, _| x.any().to_dtype(DType::Bool); count_nonzero: |x, _| x.count_nonzero([]);
    cumsum: |x, _| x.cumsum(1); cumprod: |x, _| x.cumprod(1); cummax: |x, _| x.cummax(1).0; cummin: |x, _| x.cummin(1).1;
    logsumexp: |x, _| x.logsumexp(1, false); logcumsumexp: |x, _| x.logcumsumexp(0); nansum: |x, _| x.nansum(0, false);
    argmax: |x, _| x.argmax(1, false); argmin: |x, _| x.argmin(0, true); max_dim: |x, _| x.max_dim(0, false).0;
    median: |x, _| x.median(); sort: |x, _| x.sort(1, true).0; argsort: |x, _| x.argsort(0, false);
    topk: |x, _| x.topk(2, 1, true).0; unique: |x, _| x.unique(None).values;
    softmax: |x, _| x.softmax(1); log_softmax: |x, _| x.log_softmax(0); glu: |x, _| x.glu(1);
    matmul: |x, y| x.matmul(&y.t()); linear: |x, y| x.linear(y, Some(&y.select(1, 0))); outer: |x, y| x.select(0, 0).outer(&y.select(0, 1));
    addmm: |x, y| x.t().matmul(x).addmm(&x.t(), y, 2.0, 3.0); kron: |x, y| x.kron(y);
    gather: |x, _| x.gather(1, &Tensor::from([[1i64], [0], [3]])); index_select: |x, _| x.index_select(0, &Tensor::from([2i64, 0]));
    scatter_add: |x, y| x.scatter_add(0, &Tensor::zeros([3, 4], DType::I64), y);
    index_add: |x, y| x.index_add(0, &Tensor::from([1i64, 1, 0]), y); index_fill: |x, _| x.index_fill(0, &Tensor::from([1i64]), 7.0);
    cat: |x, y| Tensor::cat(&[x.clone(), y.clone()], 0); tril: |x, _| x.tril(0); flip: |x, _| x.flip(&[0, 1]);
    add_: |x, y| changed(x, |x| x.add_(y)); sub_: |x, y| changed(x, |x| x.sub_(y)); mul_: |x, y| changed(x, |x| x.mul_(y));
    add_scaled_: |x, y| changed(x, |x| x.add_scaled_(y, 2.0)); mul_scalar_: |x, _| changed(x, |x| x.mul_scalar_(3.0));
    fill_: |x, _| changed(x, |x| x.fill_(7.0)); copy_: |x, y| changed(x, |x| x.copy_(y));
};

/// On floats alone.
const FLOATS: &[Op] = ops! {
    mean: |x, _| x.mean(); mean_dim: |x, _| x.mean_dim(1, true); var: |x, _| x.var(); var_dim: |x, _| x.var_dim(0, 0.0, false);
    std: |x, _| x.std(); var_mean: |x, _| x.var_mean().1; nanmean: |x, _| x.nanmean(0, false); norm: |x, _| x.norm();
    vector_norm: |x, _| x.vector_norm(3.0, 1, false); lerp: |x, y| x.lerp(y, 0.3); lerp_tensor: |x, y| x.lerp_tensor(y, y);
    addcdiv: |x, y| x.addcdiv(y, y, 0.3); round_decimals: |x, _| x.round_decimals(1); frac: |x, _| x.frac();
    elu: |x, _| x.elu(1.0); softplus: |x, _| x.softplus(1.0, 20.0); mish: |x, _| x.mish(); logsigmoid: |x, _| x.logsigmoid();
    gelu_backward: |x, y| Tensor::gelu_backward(x, y); softmax_backward: |x, y| Tensor::softmax_backward(x, y, 1);
    layer_norm: |x, y| x.layer_norm(1, Some(&y.select(0, 0)), Some(&y.select(0, 1)), 1e-5).0;
    dropout: |x, _| x.dropout(0.5, Generator::new(1).next_key());
    attention: |x, y| Tensor::attention(x, y, y, &Attention::default()).0;
    cross_entropy: |x, _| x.cross_entropy(&Tensor::from([0i64, 3, 1]), &CrossEntropy::default()).0;
    mul_fraction: |x, _| x * 0.3; add_fraction: |x, _| x + 0.3; powf_3: |x, _| x.powf(-2.0); rpow: |x, _| x.rpow_scalar(0.3);
};

fn changed(x: &Tensor, f: impl Fn(&mut Tensor)) -> Tensor {
    let mut x = x.clone();
    f(&mut x);
    x
}

/// Two matrices, one of them in another layout.
fn operands(dtype: DType, whole: bool) -> (Tensor, Tensor) {
    let mut g = Generator::new(5);
    let (x, y) =
        (Tensor::randn_with([3, 4], DType::F64, &mut g) * 3.0, Tensor::randn_with([4, 3], DType::F64, &mut g) * 2.0);
    let y = Tensor::where_(&y.abs().lt_scalar(1.0), &Tensor::scalar(1.5), &y);
    let (x, y) = if whole { (x.trunc(), y.trunc()) } else { (x, y) };
    (x.to_dtype(dtype), y.to_dtype(dtype).t())
}

#[test]
fn halves_are_computed_in_f32_and_rounded_once() {
    for dtype in [DType::F16, DType::BF16] {
        for whole in [false, true] {
            let (x, y) = operands(dtype, whole);
            let (wide_x, wide_y) = (x.to_dtype(DType::F32), y.to_dtype(DType::F32));
            for (name, op) in NUMBERS.iter().chain(FLOATS) {
                let (got, wide) = (op(&x, &y), op(&wide_x, &wide_y));
                let expected = if wide.dtype() == DType::F32 { wide.to_dtype(dtype) } else { wide };
                // Several operations in one closure round in between.
                let single = !matches!(*name, "owned" | "rpow_scalar" | "addmm" | "outer");
                let same = if single { same(&got, &expected) } else { got.dtype() == dtype && near(&got, &expected) };
                assert!(same, "{name} of {dtype}: {got}\ninstead of {expected}");
            }
        }
    }
}

/// The same dtype, shape and bits, whatever the sign of a NaN.
fn same(a: &Tensor, b: &Tensor) -> bool {
    let plain = |t: &Tensor| Tensor::where_(&t.isnan(), &t.full_like(f64::NAN), t);
    match a.dtype().is_floating_point() {
        true => a.dtype() == b.dtype() && plain(a).bit_eq(&plain(b)),
        false => a.bit_eq(b),
    }
}

fn near(a: &Tensor, b: &Tensor) -> bool {
    a.isclose(b, 2e-2, 2e-2, true).all().item()
}

#[test]
fn i32_is_computed_in_i64_and_wraps() {
    let (x, y) = operands(DType::I32, true);
    for (x, y) in [(x.clone(), y.clone()), (&x * 700_000_000.0, y)] {
        let (wide_x, wide_y) = (x.to_dtype(DType::I64), y.to_dtype(DType::I64));
        let (small_x, small_y) = (x.to_dtype(DType::U8), y.to_dtype(DType::U8));
        for (name, op) in NUMBERS {
            let (got, wide, small) = (op(&x, &y), op(&wide_x, &wide_y), op(&small_x, &small_y));
            // What keeps u8 keeps i32.
            let dtype = if small.dtype() == DType::U8 { DType::I32 } else { small.dtype() };
            let alike = got.dtype() == dtype && same(&got, &wide.to_dtype(dtype));
            assert!(alike, "{name}: {got}\ninstead of {wide}");
        }
    }
}

#[test]
fn integers_and_bools_give_what_pytorch_gives() {
    let (i, u, b) = (Tensor::from([2i64, 3, -2]), Tensor::from([2u8, 3, 250]), Tensor::from([true, false, true]));
    assert_eq!(u.neg().to_vec::<u8>(), [254, 253, 6]);
    assert_eq!(u.abs().to_vec::<u8>(), [2, 3, 250]);
    assert_eq!(u.sign().to_vec::<u8>(), [1, 1, 1]);
    assert_eq!(u.square().to_vec::<u8>(), [4, 9, 36]);
    assert_eq!((1.0 - &u).to_vec::<u8>(), [255, 254, 7]);
    assert_eq!((&u + 300.0).to_vec::<u8>(), [46, 47, 38]);
    assert_eq!((&u * -1.0).to_vec::<u8>(), [254, 253, 6]);
    assert_eq!(i.powf(2.0).to_vec::<i64>(), [4, 9, 4]);
    assert_eq!(i.powf(0.0).to_vec::<i64>(), [1, 1, 1]);
    assert_eq!(u.powf(3.0).to_vec::<u8>(), [8, 27, 40]);
    assert_eq!(b.powf(2.0).to_vec::<i64>(), [1, 0, 1]);
    assert_eq!(i.abs().powf(0.5).dtype(), DType::F32);
    assert_eq!(i.rpow_scalar(2.0).to_vec::<i64>(), [4, 8, 0]);
    assert_eq!(b.rpow_scalar(2.0).to_vec::<i64>(), [2, 1, 2]);
    assert_eq!(Tensor::from([1i64, -1, 0]).pow(&Tensor::from([-1i64, -3, -1])).to_vec::<i64>(), [1, -1, 0]);
    assert_eq!(u.pow(&Tensor::from([2i32, 3, 2])).to_vec::<i32>(), [4, 27, 62500]);
    assert_eq!(b.square().to_vec::<i64>(), [1, 0, 1]);
    assert_eq!(b.add(&b).to_vec::<bool>(), [true, false, true]);
    assert_eq!(b.mul(&b.logical_not()).to_vec::<bool>(), [false; 3]);
    assert_eq!(b.maximum(&b.logical_not()).to_vec::<bool>(), [true; 3]);
    assert!(b.max().item::<bool>() && !b.min().item::<bool>() && b.max().dtype() == DType::Bool);
    assert_eq!((b.sum().dtype(), b.sum().item::<i64>()), (DType::I64, 2));
    assert_eq!(u.cumprod(0).to_vec::<i64>(), [2, 6, 1500]);
    assert_eq!(u.cumsum(0).to_vec::<i64>(), [2, 5, 255]);
    assert_eq!(Tensor::full([2], -1.0, DType::U8).to_vec::<u8>(), [255, 255]);
    assert_eq!(Tensor::full([2], 0.5, DType::Bool).to_vec::<bool>(), [true, true]);
    assert_eq!(b.masked_fill(&b, 0.5).to_vec::<bool>(), [true, false, true]);
}

#[test]
fn in_place_operations_keep_the_dtype() {
    let b = Tensor::from([true, false, true]);
    assert_eq!(changed(&b, |x| x.add_(&Tensor::from([false, true, true]))).to_vec::<bool>(), [true; 3]);
    assert_eq!(changed(&b, |x| x.mul_(&Tensor::from([false, true, true]))).to_vec::<bool>(), [false, false, true]);
    let u = Tensor::from([2u8, 3, 250]);
    assert_eq!(changed(&u, |x| x.add_(&Tensor::from([2i64, 3, -2]))).to_vec::<u8>(), [4, 6, 248]);
    assert_eq!(changed(&u, |x| x.add_scaled_(&u, 2.0)).to_vec::<u8>(), [6, 9, 238]);
    // In the dtype of both, rounded once: in this tensor's dtype the number to add would be half a step, which is a tie.
    let x = Tensor::from([f16::from_f32(1.0)]);
    assert_eq!(
        changed(&x, |x| x.add_(&Tensor::from([2f32.powi(-11) + 2f32.powi(-23)]))).item::<f64>(),
        1.0 + 2f64.powi(-10)
    );
    let x = Tensor::from([1f32]);
    assert_eq!(
        changed(&x, |x| x.add_(&Tensor::from([2f64.powi(-24) + 2f64.powi(-50)]))).item::<f64>(),
        1.0 + 2f64.powi(-23)
    );
}

#[test]
fn sums_of_halves_are_rounded_once() {
    let ones = Tensor::ones([10_000], DType::F16);
    assert_eq!(ones.sum().item::<f64>(), 10_000.0);
    assert_eq!(ones.to_dtype(DType::BF16).mean().item::<f64>(), 1.0);
    let large = Tensor::full([4], 60_000.0, DType::F16);
    assert_eq!((large.mean().item::<f64>(), large.sum().item::<f64>()), (60_000.0, f64::INFINITY));
    let sums = Tensor::from([2048.0, 1.0, 1.0, 1.0]).to_dtype(DType::F16).cumsum(0);
    assert_eq!(sums.to_dtype(DType::F64).to_vec::<f64>(), [2048.0, 2048.0, 2050.0, 2052.0]);
}

#[test]
fn random_halves_lie_in_their_ranges() {
    let mut g = Generator::new(3);
    for dtype in [DType::F16, DType::BF16] {
        for (low, high) in [(0.0, 1.0), (-1.0, 3.0), (0.1, 0.3)] {
            let u = Tensor::uniform_with(low, high, [100_000], dtype, &mut g);
            let held = |x: f64| Tensor::scalar(x).to_dtype(dtype).item::<f64>();
            assert_eq!(u.dtype(), dtype);
            assert!(u.min().item::<f64>() >= held(low) && u.max().item::<f64>() < held(high), "{dtype} {low} {high}");
            assert!((u.to_dtype(DType::F64).mean().item::<f64>() - (low + high) / 2.0).abs() < 0.02);
        }
        let n = Tensor::randn_with([100_000], dtype, &mut g);
        assert!(n.dtype() == dtype && (n.to_dtype(DType::F64).var().item::<f64>() - 1.0).abs() < 0.02);
        let p = Tensor::bernoulli_with(0.5, [1000], dtype, &mut g).sum().item::<f64>();
        assert!((400.0..600.0).contains(&p));
    }
    assert!(Tensor::scalar(bf16::ONE).item::<f64>() == 1.0);
}
