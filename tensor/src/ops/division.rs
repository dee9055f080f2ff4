//! Division with a rounded quotient, and remainders.

use crate::kernels::divide::{FloorQuotient, Fmod, Quotient, Remainder};
use crate::ops::arithmetic::ZipNumbers;
use crate::ops::binary::number_zip;
use crate::{DType, Error, Tensor};

/// How a quotient becomes an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundingMode {
    /// Towards zero, as Rust's `/` does.
    Trunc,
    /// Down, as Python's `//` does.
    Floor,
}

/// `f(a, b)`, which must not divide integers by zero.
#[track_caller]
fn divide<F: ZipNumbers>(op: &str, f: F, a: &Tensor, b: &Tensor) -> Tensor {
    let dtype = a.result_type(b);
    if !dtype.is_floating_point() && dtype != DType::Bool && b.to_dtype(dtype).eq_scalar(0.0).any().item::<bool>() {
        panic!("{}", Error::value(op, "an integer is divided by zero"));
    }
    number_zip(op, f, a, b)
}

impl Tensor {
    /// `a / b` rounded to an integer, broadcast. Integers stay integers.
    ///
    /// # Panics
    /// If an integer is divided by zero, or both operands are bool.
    ///
    /// ```
    /// use tensor::{RoundingMode, Tensor};
    /// let (a, b) = (Tensor::from([-7i64, 7]), Tensor::from([2i64]));
    /// assert_eq!(a.div_mode(&b, RoundingMode::Trunc).to_vec::<i64>(), [-3, 3]);
    /// assert_eq!(a.div_mode(&b, RoundingMode::Floor).to_vec::<i64>(), [-4, 3]);
    /// ```
    #[track_caller]
    pub fn div_mode(&self, other: &Tensor, mode: RoundingMode) -> Tensor {
        match mode {
            RoundingMode::Trunc => divide("div_mode", Quotient, self, other),
            RoundingMode::Floor => divide("div_mode", FloorQuotient, self, other),
        }
    }

    /// `x / divisor` rounded to an integer, in the tensor's dtype.
    ///
    /// # Panics
    /// As [`div_mode`](Tensor::div_mode), and if the tensor holds integers and the divisor is a fraction.
    #[track_caller]
    pub fn div_mode_scalar(&self, divisor: f64, mode: RoundingMode) -> Tensor {
        self.div_mode(&self.number("div_mode_scalar", divisor), mode)
    }

    /// `a / b` rounded down: [`div_mode`](Tensor::div_mode) with [`RoundingMode::Floor`].
    #[track_caller]
    pub fn floor_divide(&self, other: &Tensor) -> Tensor {
        self.div_mode(other, RoundingMode::Floor)
    }

    /// `a - b floor(a / b)`, broadcast: it has the sign of `b`, as Python's `%`.
    ///
    /// # Panics
    /// If an integer is divided by zero, or both operands are bool.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (a, b) = (Tensor::from([-7.0, 7.0]), Tensor::from([3.0]));
    /// assert_eq!(a.remainder(&b).to_vec::<f64>(), [2.0, 1.0]);
    /// assert_eq!(a.fmod(&b).to_vec::<f64>(), [-1.0, 1.0]);
    /// ```
    #[track_caller]
    pub fn remainder(&self, other: &Tensor) -> Tensor {
        divide("remainder", Remainder, self, other)
    }

    /// `x - divisor floor(x / divisor)`, in the tensor's dtype.
    ///
    /// # Panics
    /// As [`remainder`](Tensor::remainder), and if the tensor holds integers and the divisor is a fraction.
    #[track_caller]
    pub fn remainder_scalar(&self, divisor: f64) -> Tensor {
        self.remainder(&self.number("remainder_scalar", divisor))
    }

    /// `a - b trunc(a / b)`, broadcast: it has the sign of `a`, as Rust's `%`.
    ///
    /// # Panics
    /// If an integer is divided by zero, or both operands are bool.
    #[track_caller]
    pub fn fmod(&self, other: &Tensor) -> Tensor {
        divide("fmod", Fmod, self, other)
    }

    /// `x - divisor trunc(x / divisor)`, in the tensor's dtype.
    ///
    /// # Panics
    /// As [`fmod`](Tensor::fmod), and if the tensor holds integers and the divisor is a fraction.
    #[track_caller]
    pub fn fmod_scalar(&self, divisor: f64) -> Tensor {
        self.fmod(&self.number("fmod_scalar", divisor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_at_zero_and_infinity() {
        let (a, b) = (Tensor::from([1.0, -1.0, 0.0, f64::INFINITY]), Tensor::from([0.0, 0.0, 0.0, 2.0]));
        let floor = a.floor_divide(&b).to_vec::<f64>();
        assert_eq!(floor[..2], [f64::INFINITY, f64::NEG_INFINITY]);
        assert!(floor[2].is_nan() && floor[3].is_nan());
        assert!(a.remainder(&b).isnan().all().item::<bool>());
        // 1 / 0.1 is rounded up to 10, yet nine tenths fit.
        assert_eq!(Tensor::from([1.0]).div_mode_scalar(0.1, RoundingMode::Floor).item::<f64>(), 9.0);
    }

    #[test]
    fn integers_keep_their_dtype() {
        let a = Tensor::from([i64::MIN, -7, 7]);
        assert_eq!(a.div_mode_scalar(-1.0, RoundingMode::Trunc).to_vec::<i64>(), [i64::MIN, 7, -7]);
        assert_eq!(a.remainder_scalar(-4.0).to_vec::<i64>(), [0, -3, -1]);
        assert_eq!(a.fmod_scalar(-4.0).to_vec::<i64>(), [0, -3, 3]);
        assert_eq!(Tensor::from([7u8]).div_mode_scalar(2.0, RoundingMode::Floor).to_vec::<u8>(), [3]);
    }
}
