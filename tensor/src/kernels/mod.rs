//! The arithmetic: all loops, all `unsafe`, all parallelism. Kernels know slices and layouts; shapes, dtypes and
//! errors are settled by the methods in `ops` that call them.

pub(crate) mod attention;
pub(crate) mod channel_norm;
pub(crate) mod conv;
pub(crate) mod cpu;
pub(crate) mod cross_entropy;
pub(crate) mod ctc_loss;
pub(crate) mod divide;
pub(crate) mod dropout;
pub(crate) mod gemm;
pub(crate) mod index;
pub(crate) mod layer_norm;
pub mod limits;
#[cfg(feature = "linalg")]
pub(crate) mod linalg;
pub(crate) mod lines;
pub(crate) mod map;
pub(crate) mod math;
pub(crate) mod optimizer;
pub(crate) mod pair_loss;
pub(crate) mod parallel;
pub(crate) mod pool;
pub(crate) mod quantized;
pub(crate) mod reduce;
pub(crate) mod resample;
pub(crate) mod rows;
pub(crate) mod simd;
pub(crate) mod softmax;
pub(crate) mod walk;
mod workers;
pub(crate) mod zip;
pub(crate) mod zip3;
