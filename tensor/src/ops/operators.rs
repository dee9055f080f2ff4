//! The operators `+ - * /` and the sign, for tensors and numbers.

use crate::{DType, Tensor};

/// Operators for every mixture of owned and borrowed operands. An owned left operand that nobody else holds lends its
/// memory to the result.
macro_rules! operator {
    ($trait:ident, $method:ident, $in_place:expr, $scalar:ident, $reversed:expr) => {
        impl std::ops::$trait<&Tensor> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                Tensor::$method(self, other)
            }
        }
        impl std::ops::$trait<Tensor> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                Tensor::$method(self, &other)
            }
        }
        impl std::ops::$trait<&Tensor> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(mut self, other: &Tensor) -> Tensor {
                if self.dtype() != DType::Bool && self.takes_result_of(other) {
                    let in_place: Option<fn(&mut Tensor, &Tensor)> = $in_place;
                    if let Some(in_place) = in_place {
                        in_place(&mut self, other);
                        return self;
                    }
                }
                Tensor::$method(&self, other)
            }
        }
        impl std::ops::$trait<Tensor> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                std::ops::$trait::$method(self, &other)
            }
        }
        impl std::ops::$trait<f64> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, scalar: f64) -> Tensor {
                self.$scalar(scalar)
            }
        }
        impl std::ops::$trait<f64> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, scalar: f64) -> Tensor {
                self.$scalar(scalar)
            }
        }
        impl std::ops::$trait<&Tensor> for f64 {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, tensor: &Tensor) -> Tensor {
                $reversed(tensor, self)
            }
        }
        impl std::ops::$trait<Tensor> for f64 {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, tensor: Tensor) -> Tensor {
                $reversed(&tensor, self)
            }
        }
    };
}
operator!(Add, add, Some(Tensor::add_), add_scalar, Tensor::add_scalar);
operator!(Sub, sub, Some(Tensor::sub_), sub_scalar, Tensor::rsub_scalar);
operator!(Mul, mul, Some(Tensor::mul_), mul_scalar, Tensor::mul_scalar);
operator!(Div, div, None, div_scalar, Tensor::rdiv_scalar);

impl std::ops::Neg for &Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        Tensor::neg(self)
    }
}
impl std::ops::Neg for Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        Tensor::neg(&self)
    }
}
