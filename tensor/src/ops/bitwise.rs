//! Logic on the bits of integers.

use crate::kernels::map::{self, Map};
use crate::kernels::simd::Simd;
use crate::kernels::zip::Zip;
use crate::ops::arithmetic::zip_with;
use crate::{DType, Error, Tensor};

/// Both dtypes promoted; floats have no bits to speak of.
#[track_caller]
fn promoted(op: &str, a: &Tensor, b: &Tensor) -> DType {
    let dtype = a.result_type(b);
    if dtype.is_floating_point() {
        panic!("{}", Error::dtype(op, format!("needs integers or bools, got {dtype}")));
    }
    dtype
}

/// Defines operations on bits, computed in i64, whose lowest bits are those of every smaller dtype; bools by their logical
/// counterpart.
macro_rules! bitwise {
    ($($(#[$doc:meta])* $name:ident, $logical:ident: |$a:ident, $b:ident| $body:expr;)*) => { impl Tensor {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// For floats.
        #[track_caller]
        pub fn $name(&self, other: &Tensor) -> Tensor {
            #[derive(Clone, Copy)]
            struct F;
            impl Zip<i64, i64> for F {
                #[inline(always)]
                fn call<S: Simd>(self, $a: i64, $b: i64) -> i64 {
                    $body
                }
            }
            let dtype = promoted(stringify!($name), self, other);
            if dtype == DType::Bool {
                return self.$logical(other);
            }
            let (a, b) = (self.to_dtype(DType::I64), other.to_dtype(DType::I64));
            zip_with::<i64, i64, _>(stringify!($name), F, &a, &b).to_dtype(dtype)
        }
    )*}};
}
bitwise! {
    /// The bits that both integers have, broadcast; for bools the logical "and".
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([6i64, -1]).bitwise_and(&Tensor::from([3i64])).to_vec::<i64>(), [2, 3]);
    /// ```
    bitwise_and, logical_and: |a, b| a & b;
    /// The bits that at least one of the integers has, broadcast; for bools the logical "or".
    bitwise_or, logical_or: |a, b| a | b;
    /// The bits that exactly one of the integers has, broadcast; for bools the logical "exclusive or".
    bitwise_xor, logical_xor: |a, b| a ^ b;
}

impl Tensor {
    /// All bits turned over; for bools the negation.
    ///
    /// # Panics
    /// For floats.
    #[track_caller]
    pub fn bitwise_not(&self) -> Tensor {
        #[derive(Clone, Copy)]
        struct Not;
        impl Map<i64, i64> for Not {
            #[inline(always)]
            fn call<S: Simd>(self, x: i64) -> i64 {
                !x
            }
        }
        let dtype = promoted("bitwise_not", self, self);
        if dtype == DType::Bool {
            return self.logical_not();
        }
        let x = self.to_dtype(DType::I64);
        Tensor::build::<i64>(x.shape(), |out| map::map(Not, x.elements::<i64>(), out)).to_dtype(dtype)
    }
}
