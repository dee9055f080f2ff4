//! The differentiable operations, one family per file. A method is [`tensor::Tensor`]'s method of the same name plus
//! its pullback, written next to it; each file ends with the table that enters its operations into the property tests
//! of `crate::testing`.

pub(crate) mod activation;
pub(crate) mod arithmetic;
pub(crate) mod attention;
pub(crate) mod binary;
pub(crate) mod compare;
pub(crate) mod create;
pub(crate) mod diagonal;
pub(crate) mod division;
pub(crate) mod dropout;
pub(crate) mod einsum;
pub(crate) mod embedding;
pub(crate) mod extremum;
pub(crate) mod index;
pub(crate) mod join;
pub(crate) mod logic;
pub(crate) mod loss;
pub(crate) mod matmul;
pub(crate) mod norm;
pub(crate) mod order;
pub(crate) mod pair_loss;
pub(crate) mod parts;
pub(crate) mod piecewise;
pub(crate) mod products;
pub(crate) mod reduce;
pub(crate) mod repeat;
pub(crate) mod scatter;
pub(crate) mod search;
pub(crate) mod shape;
pub(crate) mod smooth;
pub(crate) mod softmax;
pub(crate) mod special;
pub(crate) mod ternary;
pub(crate) mod trigonometry;
pub(crate) mod unary;
