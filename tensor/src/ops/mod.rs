//! The public methods of the tensor: shapes, dtypes and errors. The arithmetic is in `kernels`.

pub(crate) mod arithmetic;
mod assign;
mod binary;
mod bitwise;
mod compare;
mod create;
mod diagonal;
pub(crate) mod division;
pub mod einsum;
mod elementwise;
mod index;
mod indexing;
pub(crate) mod indices;
mod join;
#[cfg(feature = "linalg")]
pub(crate) mod linalg;
mod masks;
pub(crate) mod matmul;
pub(crate) mod nn;
mod order;
pub(crate) mod pad;
pub(crate) mod parts;
mod products;
pub(crate) mod promotion;
mod reduce;
pub(crate) mod repeat;
mod sampling;
mod scan;
pub(crate) mod scatter;
mod search;
pub(crate) mod sequence;
mod special;
mod statistics;
mod ternary;
pub(crate) mod unique;
mod vector_norm;
mod views;
