//! Element types: promotion, conversion and what operations make of the small ones.

use tensor::DType::{self, *};
use tensor::{Element, Generator, Tensor, bf16, f16, safetensors};

const ALL: [DType; 8] = [Bool, U8, I32, I64, F16, BF16, F32, F64];

#[test]
fn promotion_is_pytorchs_table() {
    // torch.promote_types(row, column), PyTorch 2.15.
    let table = [
        [Bool, U8, I32, I64, F16, BF16, F32, F64],
        [U8, U8, I32, I64, F16, BF16, F32, F64],
        [I32, I32, I32, I64, F16, BF16, F32, F64],
        [I64, I64, I64, I64, F16, BF16, F32, F64],
        [F16, F16, F16, F16, F16, F32, F32, F64],
        [BF16, BF16, BF16, BF16, F32, BF16, F32, F64],
        [F32, F32, F32, F32, F32, F32, F32, F64],
        [F64, F64, F64, F64, F64, F64, F64, F64],
    ];
    for (a, row) in ALL.into_iter().zip(table) {
        for (b, expected) in ALL.into_iter().zip(row) {
            assert_eq!(a.promote(b), expected, "{a} with {b}");
            let sum = &Tensor::ones([2], a) + &Tensor::ones([1], b);
            assert_eq!(sum.dtype(), expected, "{a} + {b}");
        }
    }
}

/// Every half survives the way through each wider float, and so do its bits.
fn every_pattern_survives<H: Element>(from_bits: fn(u16) -> H, bits: fn(H) -> u16) {
    let all: Vec<H> = (0..=u16::MAX).map(from_bits).collect();
    let t = Tensor::from_slice(&all, [all.len()]);
    for wide in [F32, F64] {
        let back = t.to_dtype(wide).to_dtype(H::DTYPE).to_vec::<H>();
        for (&x, &y) in all.iter().zip(&back) {
            let nan = x.to_f64().is_nan();
            assert!(if nan { y.to_f64().is_nan() } else { bits(x) == bits(y) }, "{:#06x} by {wide}", bits(x));
        }
    }
}

#[test]
fn halves_survive_the_way_through_wider_floats() {
    every_pattern_survives(f16::from_bits, f16::to_bits);
    every_pattern_survives(bf16::from_bits, bf16::to_bits);
}

/// Between each finite half and the next: a little below and above their middle goes to the nearer one, the middle to the
/// one with an even last bit; from f32 and from f64, rounded once.
fn every_gap_is_rounded_to_nearest<H: Element>(from_bits: fn(u16) -> H, bits: fn(H) -> u16) {
    let (mut doubles, mut expected) = (Vec::new(), Vec::new());
    for b in 0..u16::MAX >> 1 {
        let (low, high) = (from_bits(b).to_f64(), from_bits(b + 1).to_f64());
        if !high.is_finite() {
            break;
        }
        let middle = (low + high) / 2.0;
        for (x, nearest) in [(middle.next_down(), b), (middle, b + (b & 1)), (middle.next_up(), b + 1)] {
            doubles.extend([x, -x]);
            expected.extend([nearest, nearest | 0x8000]);
        }
    }
    assert!(doubles.len() > 100_000);
    let t = Tensor::from_slice(&doubles, [doubles.len()]);
    let rounded = t.to_dtype(H::DTYPE).to_vec::<H>();
    for ((x, rounded), expected) in doubles.iter().zip(rounded).zip(&expected) {
        assert_eq!(bits(rounded), *expected, "{x:e}");
    }
    // In f32 the middles are exact, and so are their neighbours.
    let middles: Vec<f64> = doubles.chunks(6).map(|c| c[2]).collect();
    for (middle, expected) in middles.iter().zip(expected.chunks(6)) {
        let middle = *middle as f32;
        let near = Tensor::from([middle.next_down(), middle, middle.next_up()]).to_dtype(H::DTYPE).to_vec::<H>();
        assert_eq!(
            near.into_iter().map(bits).collect::<Vec<_>>(),
            [expected[0], expected[2], expected[4]],
            "{middle:e}"
        );
    }
}

#[test]
fn halves_are_rounded_to_nearest_even_once() {
    every_gap_is_rounded_to_nearest(f16::from_bits, f16::to_bits);
    every_gap_is_rounded_to_nearest(bf16::from_bits, bf16::to_bits);
    let ends = [65519.99, 65520.0, f64::MAX, f64::NEG_INFINITY, 2f64.powi(-25), 2f64.powi(-25).next_up(), -0.0];
    let halves: Vec<u16> = Tensor::from(ends).to_dtype(F16).to_vec::<f16>().into_iter().map(f16::to_bits).collect();
    assert_eq!(halves, [0x7bff, 0x7c00, 0x7c00, 0xfc00, 0, 1, 0x8000]);
}

#[test]
fn conversions_between_the_other_dtypes() {
    let t = Tensor::from([-1.9, 0.0, 0.5, 300.7]);
    assert_eq!(t.to_dtype(I64).to_vec::<i64>(), [-1, 0, 0, 300]);
    assert_eq!(t.to_dtype(I32).to_vec::<i32>(), [-1, 0, 0, 300]);
    assert_eq!(t.to_dtype(Bool).to_vec::<bool>(), [true, false, true, true]);
    assert_eq!(Tensor::from([-1i64, 256, 1 << 40]).to_dtype(U8).to_vec::<u8>(), [255, 0, 0]);
    assert_eq!(Tensor::from([1i64 << 32, i64::MIN]).to_dtype(I32).to_vec::<i32>(), [0, 0]);
    assert_eq!(Tensor::from([true, false]).to_dtype(BF16).to_vec::<bf16>(), [bf16::ONE, bf16::ZERO]);
    assert_eq!(Tensor::from([f16::from_f32(2.5)]).to_dtype(I32).to_vec::<i32>(), [2]);
}

#[test]
fn a_sum_of_halves_is_rounded_once() {
    // In f16 itself the sum would stop growing at 2048.
    assert_eq!(Tensor::ones([5000], F16).sum().item::<f64>(), 5000.0);
    assert_eq!(Tensor::ones([5000], BF16).mean().item::<f64>(), 1.0);
    assert_eq!(Tensor::full([10], 1e-4, F16).sum().dtype(), F16);
}

#[test]
fn small_dtypes_go_through_files() {
    let mut g = Generator::new(1);
    let draw = |dtype| (Tensor::randn_with([3, 5], F64, &mut g) * 100.0).to_dtype(dtype).t();
    let tensors: Vec<(String, Tensor)> = ALL.map(draw).into_iter().map(|t| (t.dtype().to_string(), t)).collect();
    let file = safetensors::from_bytes(&safetensors::to_bytes(&tensors, &[]).unwrap()).unwrap();
    for (name, t) in tensors {
        let (_, read) = file.tensors.iter().find(|(n, _)| *n == name).unwrap();
        assert!(read.bit_eq(&t), "{name}");
    }
}

#[test]
fn random_halves_stay_in_their_range() {
    let mut g = Generator::new(5);
    for dtype in [F16, BF16] {
        let u = Tensor::uniform_with(1.0, 1.01, [10_000], dtype, &mut g);
        assert_eq!(u.dtype(), dtype);
        assert!(u.to_dtype(F64).to_vec::<f64>().iter().all(|x| (1.0..1.01).contains(x)));
        assert_eq!(Tensor::randn_with([3], dtype, &mut g).dtype(), dtype);
    }
}

#[test]
fn in_place_operations_keep_their_dtype() {
    let mut bytes = Tensor::from([250u8, 1]);
    bytes.add_(&Tensor::from([10i64, 10]));
    assert_eq!(bytes.to_vec::<u8>(), [4, 11]);
    let mut half = Tensor::from([f16::ONE]);
    half.mul_(&Tensor::from([3.0]));
    assert_eq!((half.dtype(), half.item::<f64>()), (F16, 3.0));
    let mut flags = Tensor::from([true, false]);
    flags.add_(&Tensor::from([true]));
    assert_eq!(flags.to_vec::<bool>(), [true, true]);
    flags.mul_(&Tensor::from([true, false]));
    assert_eq!(flags.to_vec::<bool>(), [true, false]);
}
