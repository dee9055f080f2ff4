//! Element types: the run-time [`DType`], the compile-time [`Element`], and the arithmetic that kernels may use.

use std::fmt;

/// The type of a tensor's elements, known at run time.
///
/// The variants are ordered by PyTorch's promotion: the result of an operation on two dtypes is the greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DType {
    /// Truth values, one byte each.
    Bool,
    /// Unsigned 8-bit integers.
    U8,
    /// Signed 64-bit integers: indices, token ids, classes.
    I64,
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
            DType::F32 => 4,
            DType::I64 | DType::F64 => 8,
        }
    }

    /// Whether elements are floating-point numbers; only those can require a gradient.
    pub fn is_floating_point(self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    /// The dtype of an operation's result, by PyTorch's promotion table.
    ///
    /// ```
    /// use tensor::DType::*;
    /// assert_eq!(I64.promote(F32), F32);
    /// assert_eq!(Bool.promote(U8), U8);
    /// ```
    pub fn promote(self, other: DType) -> DType {
        self.max(other)
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
            DType::I64 => "i64",
            DType::F32 => "f32",
            DType::F64 => "f64",
        })
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that a tensor can hold. Sealed: `f32`, `f64`, `i64`, `u8` and `bool`.
pub trait Element:
    sealed::Sealed + Copy + Send + Sync + PartialEq + PartialOrd + Default + fmt::Debug + fmt::Display + 'static
{
    /// The run-time name of this type.
    const DTYPE: DType;

    /// The value as a double (exact but for large `i64`).
    fn to_f64(self) -> f64;
    /// The value as an integer, fractions cut off.
    fn to_i64(self) -> i64;
    /// The nearest value to `x` (fractions cut off for integers, `x != 0` for `bool`).
    fn from_f64(x: f64) -> Self;
    /// The value of an integer (wrapped for `u8`, `x != 0` for `bool`).
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
element!(i64, I64, |x| x as i64, |x| x, |x| x as f64, |x| x);
element!(u8, U8, |x: f64| x as i64 as u8, |x| x as u8, |x| x as f64, |x| x as i64);
element!(bool, Bool, |x| x != 0.0, |x| x != 0, |x| x as u8 as f64, |x| x as i64);

/// Arithmetic on every dtype but `bool`. Integers wrap, as they do in PyTorch.
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

/// Runs `$body` with `$t` standing for the element type of `$dtype`; the arm lists say which dtypes there are.
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
