//! The dtype of an operation's result, from its operands.

use crate::{DType, Error, Tensor};

/// What a dtype counts: truth values, integers, reals.
pub(crate) fn kind(dtype: DType) -> u8 {
    if dtype.is_floating_point() { 2 } else { (dtype != DType::Bool) as u8 }
}

/// The dtype in which operands meet; see [`Tensor::result_type`].
pub(crate) fn result_type(operands: &[&Tensor]) -> DType {
    let of = |scalars: bool| {
        let alike = operands.iter().filter(|t| (t.ndim() == 0) == scalars);
        alike.map(|t| t.dtype()).reduce(DType::promote)
    };
    match (of(false), of(true)) {
        (Some(tensors), Some(scalars)) if kind(tensors) < kind(scalars) => tensors.promote(scalars),
        (Some(tensors), _) => tensors,
        (None, scalars) => scalars.expect("an operand"),
    }
}

/// Refuses integers and bools by the dtype of the tensor, before it becomes that in which kernels compute.
#[track_caller]
pub(crate) fn require_float(op: &str, dtype: DType) {
    if !dtype.is_floating_point() {
        let what = format!("needs a floating-point tensor, got {dtype}; convert with to_dtype first");
        panic!("{}", Error::dtype(op, what));
    }
}

impl Tensor {
    /// The dtype of the result of an operation on both tensors, as PyTorch's: by [`DType::promote`], but where only one of
    /// them is 0-d, its dtype counts only if it is of a higher kind (bools, integers, floats).
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// let (x, i) = (Tensor::zeros([2], DType::F32), Tensor::zeros([2], DType::I64));
    /// assert_eq!(x.result_type(&Tensor::zeros([2], DType::F64)), DType::F64);
    /// assert_eq!(x.result_type(&Tensor::scalar(0.5f64)), DType::F32);
    /// assert_eq!(i.result_type(&Tensor::scalar(0.5f64)), DType::F64);
    /// ```
    #[inline]
    pub fn result_type(&self, other: &Tensor) -> DType {
        if self.dtype() == other.dtype() { self.dtype() } else { result_type(&[self, other]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_decides_only_by_its_kind() {
        let of = |dtype, shape: &[usize]| Tensor::zeros(shape, dtype);
        let meet = |a, b| of(a, &[2]).result_type(&of(b, &[]));
        use DType::*;
        assert_eq!([meet(F32, F64), meet(F16, F32), meet(U8, I64), meet(BF16, F16)], [F32, F16, U8, BF16]);
        assert_eq!([meet(Bool, U8), meet(I64, F16), meet(I64, Bool), meet(F32, I64)], [U8, F16, I64, F32]);
        assert_eq!(of(F32, &[]).result_type(&of(F64, &[])), F64);
        assert_eq!(of(F64, &[]).result_type(&of(F32, &[0])), F32);
        assert_eq!((of(F32, &[2]) * &of(F64, &[])).dtype(), F32);
        assert_eq!(result_type(&[&of(F32, &[]), &of(U8, &[1]), &of(I64, &[1])]), F32);
    }

    #[test]
    fn a_scalar_is_rounded_before_it_is_compared() {
        assert!(Tensor::from([0.1f32]).eq(&Tensor::scalar(0.1f64)).item::<bool>());
    }
}
