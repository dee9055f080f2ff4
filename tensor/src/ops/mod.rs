//! The public methods of the tensor: shapes, dtypes and errors. The arithmetic is in `kernels`.

pub(crate) mod arithmetic;
mod binary;
mod bitwise;
mod compare;
mod create;
mod diagonal;
pub(crate) mod division;
pub mod einsum;
mod elementwise;
mod index;
mod join;
pub(crate) mod matmul;
pub(crate) mod nn;
mod order;
mod products;
mod reduce;
mod special;
mod ternary;
mod views;
