//! Conversions between dtypes: exact where the target holds the value, else rounded once to the nearest, ties to even.

use tensor::{DType, Element, Tensor, bf16, f16};

/// A half type, described by its bits alone, so that nothing here leans on the conversions under test.
trait Half: Element {
    const SIGNIFICAND_BITS: u32;
    const BIAS: i32;
    fn of_bits(bits: u16) -> Self;
    fn bits(self) -> u16;

    /// The value of a pattern of bits; the next power of two beyond the largest finite ones for infinity, NaN for NaN.
    fn value(bits: u16) -> f64 {
        let magnitude = (bits & 0x7fff) as u32;
        let (exponent, fraction) =
            (magnitude >> Self::SIGNIFICAND_BITS, magnitude & ((1 << Self::SIGNIFICAND_BITS) - 1));
        let unit = |e: i32| 2f64.powi(e - Self::BIAS - Self::SIGNIFICAND_BITS as i32);
        let largest = (1u32 << (15 - Self::SIGNIFICAND_BITS)) - 1;
        let size = match exponent {
            0 => fraction as f64 * unit(1),
            e if e == largest && fraction != 0 => f64::NAN,
            e => (fraction + (1 << Self::SIGNIFICAND_BITS)) as f64 * unit(e as i32),
        };
        if bits >> 15 == 1 { -size } else { size }
    }

    fn is_infinite(bits: u16) -> bool {
        bits & 0x7fff == ((1 << (15 - Self::SIGNIFICAND_BITS)) - 1) << Self::SIGNIFICAND_BITS
    }
}

impl Half for f16 {
    const SIGNIFICAND_BITS: u32 = 10;
    const BIAS: i32 = 15;
    fn of_bits(bits: u16) -> Self {
        f16::from_bits(bits)
    }
    fn bits(self) -> u16 {
        self.to_bits()
    }
}

impl Half for bf16 {
    const SIGNIFICAND_BITS: u32 = 7;
    const BIAS: i32 = 127;
    fn of_bits(bits: u16) -> Self {
        bf16::from_bits(bits)
    }
    fn bits(self) -> u16 {
        self.to_bits()
    }
}

fn all<H: Half>() -> Tensor {
    Tensor::from_vec((0..=u16::MAX).map(H::of_bits).collect(), [1 << 16])
}

fn bits<H: Half>(t: &Tensor) -> Vec<u16> {
    t.to_vec::<H>().into_iter().map(H::bits).collect()
}

fn every_pattern_goes_there_and_back<H: Half>() {
    let halves = all::<H>();
    let (single, double) = (halves.to_dtype(DType::F32), halves.to_dtype(DType::F64));
    for (pattern, (s, d)) in (0..=u16::MAX).zip(single.to_vec::<f32>().into_iter().zip(double.to_vec::<f64>())) {
        let expected = match H::is_infinite(pattern) {
            true => f64::INFINITY.copysign(H::value(pattern)),
            false => H::value(pattern),
        };
        let same = |x: f64| x.to_bits() == expected.to_bits() || x.is_nan() && expected.is_nan();
        assert!(same(d) && same(s as f64), "{pattern:#x}: {s:e} {d:e} instead of {expected:e}");
    }
    for wide in [single, double] {
        for (pattern, back) in (0..=u16::MAX).zip(bits::<H>(&wide.to_dtype(H::DTYPE))) {
            let nan = |bits: u16| H::value(bits).is_nan() && !H::is_infinite(bits);
            assert!(pattern == back || nan(pattern) && nan(back), "{pattern:#x} comes back as {back:#x}");
        }
    }
}

#[test]
fn every_f16_goes_there_and_back() {
    every_pattern_goes_there_and_back::<f16>();
}

#[test]
fn every_bf16_goes_there_and_back() {
    every_pattern_goes_there_and_back::<bf16>();
}

/// Between each finite value and the next (infinity after the largest): the middle is a tie, and the numbers beside it are
/// not, however close they are.
fn rounds_to_nearest<H: Half>() {
    let (mut doubles, mut singles) = ((vec![], vec![]), (vec![], vec![]));
    for lower in (0..0x7fff).take_while(|&bits| !H::is_infinite(bits)) {
        let upper = lower + 1;
        let even = if lower % 2 == 0 { lower } else { upper };
        let middle = (H::value(lower) + H::value(upper)) / 2.0;
        for sign in [0u16, 0x8000] {
            let signed = |x: f64| if sign == 0 { x } else { -x };
            for (x, expected) in [(middle, even), (middle.next_down(), lower), (middle.next_up(), upper)] {
                doubles.0.push(signed(x));
                doubles.1.push(expected | sign);
            }
            let narrow = middle as f32;
            assert_eq!(narrow as f64, middle, "an f32 holds the middle");
            for (x, expected) in [(narrow, even), (narrow.next_down(), lower), (narrow.next_up(), upper)] {
                singles.0.push(signed(x as f64) as f32);
                singles.1.push(expected | sign);
            }
        }
    }
    let check = |x: Tensor, expected: Vec<u16>| {
        let got = bits::<H>(&x.to_dtype(H::DTYPE));
        let wrong = got.iter().zip(&expected).position(|(got, expected)| got != expected);
        assert!(
            wrong.is_none(),
            "{:e} became {:#x} instead of {:#x}",
            x.get::<f64>(&[wrong.unwrap()]),
            got[wrong.unwrap()],
            expected[wrong.unwrap()]
        );
    };
    let n = doubles.0.len();
    check(Tensor::from_vec(doubles.0, [n]), doubles.1);
    check(Tensor::from_vec(singles.0, [n]), singles.1);
}

#[test]
fn f16_rounds_to_nearest() {
    rounds_to_nearest::<f16>();
}

#[test]
fn f16_ends() {
    let ends = [65519.99, 65520.0, f64::MAX, f64::NEG_INFINITY, 2f64.powi(-25), 2f64.powi(-25).next_up(), -0.0];
    assert_eq!(bits::<f16>(&Tensor::from(ends).to_dtype(DType::F16)), [0x7bff, 0x7c00, 0x7c00, 0xfc00, 0, 1, 0x8000]);
    assert_eq!(bits::<bf16>(&Tensor::from([true, false]).to_dtype(DType::BF16)), [0x3f80, 0]);
}

#[test]
fn bf16_rounds_to_nearest() {
    rounds_to_nearest::<bf16>();
}

#[test]
fn whole_numbers_are_rounded_once() {
    // Between two bf16s, beyond what a double holds: the last bit decides.
    for exponent in 53..63 {
        let (lower, step) = (1i64 << exponent, 1i64 << (exponent - 7));
        let middle = lower + step / 2;
        for (x, expected) in [(middle - 1, lower), (middle, lower), (middle + 1, lower + step)] {
            for (x, expected) in [(x, expected), (-x, -expected)] {
                assert_eq!(Tensor::scalar(x).to_dtype(DType::BF16).item::<i64>(), expected, "{x}");
            }
        }
    }
    let x = Tensor::from([65519i64, 65520, 2049, 2051, i64::MAX]).to_dtype(DType::F16);
    assert_eq!(x.to_vec::<f16>().map(f16::to_f32), [65504.0, f32::INFINITY, 2048.0, 2052.0, f32::INFINITY]);
    assert_eq!(Tensor::from([i64::MIN]).to_dtype(DType::BF16).item::<f64>(), i64::MIN as f64);
    assert_eq!(Tensor::from([(1i64 << 24) + 1]).to_dtype(DType::F32).item::<f64>(), 16777216.0);
}

trait Map<T> {
    fn map<U>(self, f: impl Fn(T) -> U) -> Vec<U>;
}
impl<T> Map<T> for Vec<T> {
    fn map<U>(self, f: impl Fn(T) -> U) -> Vec<U> {
        self.into_iter().map(f).collect()
    }
}

#[test]
fn fractions_are_cut_off() {
    let x = Tensor::from([1.7, -1.7, 0.5, -0.5, 255.9]);
    for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
        let x = x.narrow(0, 0, 4).to_dtype(dtype);
        assert_eq!(x.to_dtype(DType::I64).to_vec::<i64>(), [1, -1, 0, 0], "{dtype}");
        assert_eq!(x.to_dtype(DType::I32).to_vec::<i32>(), [1, -1, 0, 0], "{dtype}");
        assert_eq!(x.to_dtype(DType::U8).to_vec::<u8>(), [1, 255, 0, 0], "{dtype}");
        assert_eq!(x.to_dtype(DType::Bool).to_vec::<bool>(), [true; 4], "{dtype}");
    }
    assert_eq!(x.to_dtype(DType::U8).to_vec::<u8>(), [1, 255, 0, 0, 255]);
    let far = Tensor::from([3e9, -3e9, f64::INFINITY, f64::NAN]);
    assert_eq!(far.to_dtype(DType::I32).to_vec::<i32>(), [i32::MAX, i32::MIN, i32::MAX, 0]);
    assert_eq!(far.to_dtype(DType::I64).to_vec::<i64>(), [3_000_000_000, -3_000_000_000, i64::MAX, 0]);
    // Integers wrap.
    assert_eq!(Tensor::from([(1i64 << 32) + 5, 300]).to_dtype(DType::I32).to_vec::<i32>(), [5, 300]);
    assert_eq!(Tensor::from([-1i32, 300]).to_dtype(DType::U8).to_vec::<u8>(), [255, 44]);
}

#[test]
fn files_hold_every_dtype() {
    let values = Tensor::from([1.0, -0.0, 2.5, 65504.0, 0.0]);
    let dtypes = [
        (DType::Bool, "BOOL"),
        (DType::U8, "U8"),
        (DType::I32, "I32"),
        (DType::I64, "I64"),
        (DType::F16, "F16"),
        (DType::BF16, "BF16"),
        (DType::F32, "F32"),
        (DType::F64, "F64"),
    ];
    let mut tensors: Vec<(String, Tensor)> =
        dtypes.iter().map(|(dtype, name)| (name.to_string(), values.to_dtype(*dtype))).collect();
    tensors.push(("every f16".into(), all::<f16>()));
    tensors.push(("every bf16".into(), all::<bf16>().reshape([256, 256]).t()));
    let bytes = tensor::safetensors::to_bytes(&tensors, &[]).unwrap();
    let header = String::from_utf8_lossy(&bytes[..2000]).into_owned();
    for (_, name) in dtypes {
        assert!(header.contains(&format!("\"dtype\":\"{name}\"")), "{name} in {header}");
    }
    let file = tensor::safetensors::from_bytes(&bytes).unwrap();
    assert_eq!(file.tensors.len(), tensors.len());
    for (name, tensor) in &tensors {
        let (_, read) = file.tensors.iter().find(|(n, _)| n == name).unwrap();
        assert_eq!((read.dtype(), read.shape()), (tensor.dtype(), tensor.shape()), "{name}");
        match read.dtype() {
            DType::F16 => assert_eq!(bits::<f16>(read), bits::<f16>(tensor), "{name}"),
            DType::BF16 => assert_eq!(bits::<bf16>(read), bits::<bf16>(tensor), "{name}"),
            _ => assert!(read.bit_eq(tensor), "{name}"),
        }
    }
}

#[test]
fn small_dtypes_print_like_the_others() {
    let x = Tensor::from([[1.0, -2.5], [0.1, 300.0]]);
    let text = "tensor([[ 1.0000e+00, -2.5000e+00],\n        [ 1.0010e-01,  3.0000e+02]], shape=[2, 2], dtype=bf16)";
    assert_eq!(x.to_dtype(DType::BF16).to_string(), text);
    let text = "tensor([ 1.0000, -2.5000], shape=[2], dtype=f16)";
    assert_eq!(x.select(0, 0).to_dtype(DType::F16).to_string(), text);
    assert_eq!(Tensor::from([1i32, -20]).to_string(), "tensor([  1, -20], shape=[2], dtype=i32)");
}
