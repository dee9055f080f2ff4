//! Solvers and decompositions of matrices and batches of them: shapes, dtypes and what is refused.

mod decompose;
mod invariants;
mod solve;

pub use decompose::{QrMode, Triangle};
pub use invariants::power_by_squaring;
pub use solve::{Triangular, solves_for_vector};

use crate::error::OrPanic;
use crate::kernels::linalg::Real;
use crate::{DType, Error, Result, Shape, Tensor};

/// A batch of matrices `[.., m, n]` in f32 or f64, contiguous.
struct Matrices {
    elements: Tensor,
    /// The leading dimensions.
    batch: Vec<usize>,
    m: usize,
    n: usize,
}

impl Matrices {
    #[track_caller]
    fn of(op: &'static str, a: &Tensor) -> Matrices {
        let (m, n) = Matrices::sizes(op, a);
        Matrices { elements: a.contiguous(), batch: a.dims()[..a.ndim() - 2].to_vec(), m, n }
    }

    /// The numbers of rows and columns.
    #[track_caller]
    fn sizes(op: &'static str, a: &Tensor) -> (usize, usize) {
        check_dtype(op, a.dtype()).or_panic();
        match a.dims() {
            [.., m, n] => (*m, *n),
            _ => panic!("{}", Error::shape(op, "needs at least 2 dimensions", &[("a", a.dims())], "[.., m, n]")),
        }
    }

    #[track_caller]
    fn square(op: &'static str, a: &Tensor) -> Matrices {
        let matrices = Matrices::of(op, a);
        if matrices.m != matrices.n {
            let what = format!("the matrices are not square, {} != {}", matrices.m, matrices.n);
            panic!("{}", Error::shape(op, what, &[("a", a.dims())], "[.., n, n]"));
        }
        matrices
    }

    /// How many matrices there are.
    fn count(&self) -> usize {
        self.batch.iter().product()
    }

    /// The leading dimensions and then `sizes`.
    fn shape(&self, sizes: &[usize]) -> Shape {
        [&self.batch, sizes].concat().into()
    }

    /// Matrix `i`.
    fn get<T: Real>(&self, i: usize) -> &[T] {
        let each = self.m * self.n;
        &self.elements.as_slice::<T>().expect("made contiguous")[i * each..][..each]
    }

    /// About the number of multiplications that a factorisation takes.
    fn cost(&self) -> usize {
        self.m * self.n * self.m.min(self.n)
    }
}

/// Refuses what is not f32 or f64: halves are too coarse to factor, and integers have no inverses.
fn check_dtype(op: &str, dtype: DType) -> Result<()> {
    match dtype {
        DType::F32 | DType::F64 => Ok(()),
        other => Err(Error::dtype(op, format!("needs f32 or f64, got {other}; convert with to_dtype first"))),
    }
}

/// Fresh tensors that are filled together.
fn build<T: Real, const N: usize>(shapes: [Shape; N], fill: impl FnOnce([&mut [T]; N])) -> [Tensor; N] {
    let mut tensors = shapes.map(|shape| Tensor::zeros(shape, T::DTYPE));
    fill(tensors.each_mut().map(|tensor| tensor.as_slice_mut::<T>()));
    tensors
}

/// The first matrix of a batch with an `info` other than 0 as words, and that number.
fn first_failure(info: &Tensor) -> Option<(String, i64)> {
    let codes = info.to_vec::<i64>();
    let at = codes.iter().position(|&code| code != 0)?;
    let which = if info.ndim() == 0 { "the matrix".to_string() } else { format!("matrix {at} of the batch") };
    Some((which, codes[at]))
}
