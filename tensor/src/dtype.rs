//! Element types: the run-time [`DType`], the compile-time [`Element`], and the arithmetic that kernels may use.

use std::fmt;

use half::{bf16, f16};

/// The type of a tensor's elements, known at run time.
///
/// The variants are ordered by PyTorch's promotion: the result of an operation on two dtypes is the greater one, but for
/// the two halves, which meet in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DType {
    /// Truth values, one byte each.
    Bool,
    /// Unsigned 8-bit integers.
    U8,
    /// Signed 32-bit integers; arithmetic on them is done in i64 and wraps.
    I32,
    /// Signed 64-bit integers: indices, token ids, classes.
    I64,
    /// IEEE 754 half-precision floats (11 significant bits), for storage and inference; computed in f32.
    F16,
    /// The upper half of an f32 (8 significant bits), for storage and inference; computed in f32.
    BF16,
    /// 32-bit floats, the default of the layers.
    F32,
    /// 64-bit floats, for gradient checks.
    F64,
}

impl DType {
    /// Bytes per element.
    pub fn size_in_bytes(self) -> usize {
        match self {
            DType::Bool | DType::U8 => 1,
            DType::F16 | DType::BF16 => 2,
            DType::I32 | DType::F32 => 4,
            DType::I64 | DType::F64 => 8,
        }
    }

    /// Whether elements are floating-point numbers; only those can require a gradient.
    pub fn is_floating_point(self) -> bool {
        matches!(self, DType::F16 | DType::BF16 | DType::F32 | DType::F64)
    }

    /// The dtype of an operation's result, by PyTorch's promotion table.
    ///
    /// ```
    /// use tensor::DType::*;
    /// assert_eq!(I64.promote(F32), F32);
    /// assert_eq!(Bool.promote(U8), U8);
    /// assert_eq!(F16.promote(BF16), F32);
    /// ```
    pub fn promote(self, other: DType) -> DType {
        match (self, other) {
            (DType::F16, DType::BF16) | (DType::BF16, DType::F16) => DType::F32,
            _ => self.max(other),
        }
    }

    /// f16 or bf16.
    #[inline]
    pub(crate) fn is_half(self) -> bool {
        matches!(self, DType::F16 | DType::BF16)
    }

    /// The dtype in which kernels compute for this one: the halves in f32, i32 in i64, the others as they are.
    #[inline]
    pub(crate) fn compute(self) -> DType {
        match self {
            DType::F16 | DType::BF16 => DType::F32,
            DType::I32 => DType::I64,
            native => native,
        }
    }

    /// `x` as an element of this dtype holds it.
    pub(crate) fn held(self, x: f64) -> f64 {
        dispatch!(all self, T => <T as Element>::from_f64(x).to_f64())
    }

    /// The dtype in which a function like `exp` or `mean` answers: floats keep theirs, the others become f32.
    pub fn to_float(self) -> DType {
        if self.is_floating_point() { self } else { DType::F32 }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::Bool => "bool",
            DType::U8 => "u8",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::F32 => "f32",
            DType::F64 => "f64",
        })
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that a tensor can hold. Sealed: `f32`, `f64`, [`f16`](struct@f16), [`bf16`], `i64`, `i32`, `u8` and
/// `bool`.
pub trait Element:
    sealed::Sealed + Copy + Send + Sync + PartialEq + PartialOrd + Default + fmt::Debug + fmt::Display + 'static
{
    /// The run-time name of this type.
    const DTYPE: DType;

    /// The value as a double (exact but for large `i64`).
    fn to_f64(self) -> f64;
    /// The value as an integer, fractions cut off.
    fn to_i64(self) -> i64;
    /// The nearest value to `x`, ties to the even one; for integers its whole part, for `bool` whether it is not zero.
    ///
    /// Beyond their range i64 and i32 take its end and u8 wraps; NaN is 0.
    fn from_f64(x: f64) -> Self;
    /// The value of an integer (wrapped for smaller integers, `x != 0` for `bool`).
    fn from_i64(x: i64) -> Self;

    /// Conversion to another element type.
    #[inline(always)]
    fn cast<U: Element>(self) -> U {
        if Self::DTYPE.is_floating_point() { U::from_f64(self.to_f64()) } else { U::from_i64(self.to_i64()) }
    }
}

macro_rules! element {
    ($t:ty, $dtype:ident, $from_f64:expr, $from_i64:expr, $to_f64:expr, $to_i64:expr) => {
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPE: DType = DType::$dtype;
            #[inline(always)]
            fn to_f64(self) -> f64 {
                ($to_f64)(self)
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                ($to_i64)(self)
            }
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                ($from_f64)(x)
            }
            #[inline(always)]
            fn from_i64(x: i64) -> Self {
                ($from_i64)(x)
            }
        }
    };
}
element!(f32, F32, |x| x as f32, |x| x as f32, |x| x as f64, |x| x as i64);
element!(f64, F64, |x| x, |x| x as f64, |x| x, |x| x as i64);
// By the trait's name: the types have methods of the same name, which do not round correctly.
element!(f16, F16, |x| f16::from_f32(to_odd(x)), |x| <f16 as Element>::from_f64(x as f64), f16::to_f64, |x: f16| x
    .to_f64()
    as i64);
element!(
    bf16,
    BF16,
    |x| bf16::from_f32(to_odd(x)),
    |x| <bf16 as Element>::from_f64(sticky(x)),
    bf16::to_f64,
    |x: bf16| x.to_f64() as i64
);
element!(i32, I32, |x| x as i32, |x| x as i32, |x| x as f64, |x| x as i64);
element!(i64, I64, |x| x as i64, |x| x, |x| x as f64, |x| x);
element!(u8, U8, |x: f64| x as i64 as u8, |x| x as u8, |x| x as f64, |x| x as i64);
element!(bool, Bool, |x| x != 0.0, |x| x != 0, |x| x as u8 as f64, |x| x as i64);

/// `x` in single precision, rounded to the neighbour with an odd last bit if it lies between two: then rounding once more,
/// to a half, gives what rounding `x` directly would (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums",
/// 2008, section 2).
#[inline(always)]
fn to_odd(x: f64) -> f32 {
    let nearest = x as f32;
    let back = nearest as f64;
    if back == x || x.is_nan() || nearest.to_bits() & 1 == 1 {
        return nearest;
    }
    // The bits of floats of one sign are ordered as their magnitudes.
    f32::from_bits(if back.abs() < x.abs() { nearest.to_bits() + 1 } else { nearest.to_bits() - 1 })
}

/// `x` with the bits that a double does not hold put together in one, so that rounding the double to a bf16 gives what
/// rounding `x` would. (Integers that large are infinite as f16.)
#[inline(always)]
fn sticky(x: i64) -> f64 {
    let low = x & 0x7ff;
    if x.unsigned_abs() < 1 << 53 || low == 0 { x as f64 } else { ((x & !0x7ff) | 0x800) as f64 }
}

/// Arithmetic on the dtypes in which kernels compute, but for `bool`. Integers wrap, as they do in PyTorch.
pub(crate) trait Number: Element {
    const ZERO: Self;
    const ONE: Self;
    /// The identity of `max` (negative infinity for floats).
    const LOWEST: Self;
    /// The identity of `min`.
    const HIGHEST: Self;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn negated(self) -> Self;
    fn is_nan(self) -> bool;
}

/// The float types, with operators and the few functions that every kernel needs.
pub(crate) trait Float:
    Number
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Neg<Output = Self>
    + std::ops::AddAssign
{
    /// `a * b + c` rounded once; only fast where the CPU has the instruction (see `kernels::simd`).
    fn fused_mul_add(self, b: Self, c: Self) -> Self;
    fn sqrt(self) -> Self;
    fn of(x: f64) -> Self;
}

macro_rules! float {
    ($t:ty) => {
        impl Number for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const LOWEST: Self = <$t>::NEG_INFINITY;
            const HIGHEST: Self = <$t>::INFINITY;
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self - other
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self * other
            }
            #[inline(always)]
            fn negated(self) -> Self {
                -self
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self != self
            }
        }
        impl Float for $t {
            #[inline(always)]
            fn fused_mul_add(self, b: Self, c: Self) -> Self {
                self.mul_add(b, c)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }
            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $t
            }
        }
    };
}
float!(f32);
float!(f64);

macro_rules! integer {
    ($t:ty) => {
        impl Number for $t {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            const LOWEST: Self = <$t>::MIN;
            const HIGHEST: Self = <$t>::MAX;
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn negated(self) -> Self {
                self.wrapping_neg()
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }
        }
    };
}
integer!(i64);
integer!(u8);

/// Runs `$body` with `$t` standing for the element type of `$dtype`; the arm lists say which dtypes there are: `all`, or
/// of those in which kernels compute (see [`DType::compute`]) the numbers, the widest, or the floats.
macro_rules! dispatch {
    (all $dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::DType::Bool => {
                type $t = bool;
                $body
            }
            $crate::DType::U8 => {
                type $t = u8;
                $body
            }
            $crate::DType::I32 => {
                type $t = i32;
                $body
            }
            $crate::DType::I64 => {
                type $t = i64;
                $body
            }
            $crate::DType::F16 => {
                type $t = half::f16;
                $body
            }
            $crate::DType::BF16 => {
                type $t = half::bf16;
                $body
            }
            $crate::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::DType::F64 => {
                type $t = f64;
                $body
            }
        }
    };
    (number $dtype:expr, $op:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::DType::U8 => {
                type $t = u8;
                $body
            }
            $crate::DType::I64 => {
                type $t = i64;
                $body
            }
            $crate::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::DType::F64 => {
                type $t = f64;
                $body
            }
            $crate::DType::Bool => panic!("{}: not defined for bool; convert with to_dtype first", $op),
            other => unreachable!("{}: {other} is computed in {}", $op, other.compute()),
        }
    };
    (wide $dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::DType::F64 => {
                type $t = f64;
                $body
            }
            other => {
                assert_eq!(other, $crate::DType::I64, "converted to one of the wide dtypes before");
                type $t = i64;
                $body
            }
        }
    };
    (float $dtype:expr, $op:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::DType::F64 => {
                type $t = f64;
                $body
            }
            other => panic!("{}: needs a floating-point tensor, got {other}", $op),
        }
    };
}
pub(crate) use dispatch;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;

    #[test]
    fn a_half_is_the_nearest_to_a_double() {
        // One and the next f16, their midpoint (a tie, to even), and the doubles beside it.
        let (one, next) = (f16::from_bits(0x3c00), f16::from_bits(0x3c01));
        let middle = (one.to_f64() + next.to_f64()) / 2.0;
        for (x, expected) in [(middle, one), (middle.next_up(), next), (middle.next_down(), one)] {
            assert_eq!(<f16 as Element>::from_f64(x), expected, "{x:e}");
            assert_eq!(<f16 as Element>::from_f64(-x), -expected, "{x:e}");
        }
        assert_eq!(<bf16 as Element>::from_f64(f64::MAX), bf16::INFINITY);
        assert!(<bf16 as Element>::from_f64(f64::NAN).is_nan());
    }

    #[test]
    fn halves_and_i32_go_through_the_operations() {
        let x = Tensor::from([1.5, -2.0, 0.25]);
        for dtype in [DType::F16, DType::BF16] {
            let h = x.to_dtype(dtype);
            let y = (&h * &h + 1.0).exp().sum();
            assert_eq!(y.dtype(), dtype);
            assert!(y.to_dtype(DType::F64).allclose(&(&x * &x + 1.0).exp().sum(), 2e-2, 0.0));
        }
        let i = Tensor::from([i32::MAX, 2, 3]);
        assert_eq!((&i + &i).to_vec::<i32>(), [-2, 4, 6]);
        assert_eq!(i.sum().item::<i64>(), i32::MAX as i64 + 5);
        assert_eq!(i.matmul(&Tensor::from([0i32, 1, 1])).to_vec::<i32>(), [5]);
    }
}
