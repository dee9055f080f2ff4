//! Diagonals taken out of matrices and put into them; `diagonal` itself is a view.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::shape::resolve_dim;
use crate::{DType, Error, Tensor};

impl Tensor {
    /// A matrix with this vector on its diagonal, or the diagonal of this matrix (a copy); `offset` counts diagonals above
    /// the main one.
    ///
    /// # Shape
    /// `[n] -> [n + |offset|, n + |offset|]`, `[m, n] -> [k]`
    /// # Panics
    /// If this is neither a vector nor a matrix.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let m = Tensor::from([1i64, 2]).diag(0);
    /// assert_eq!(m.to_vec::<i64>(), [1, 0, 0, 2]);
    /// assert_eq!(m.diag(0).to_vec::<i64>(), [1, 2]);
    /// ```
    #[track_caller]
    pub fn diag(&self, offset: isize) -> Tensor {
        match self.ndim() {
            1 => self.diag_embed(offset, 0, 1),
            2 => self.diagonal(offset, 0, 1).copy(),
            _ => panic!("{}", Error::shape("diag", "needs a vector or a matrix", &[("tensor", self.dims())], "")),
        }
    }

    /// Matrices of zeros with the last dimension of this tensor on their diagonal, `offset` diagonals above the main one;
    /// `a` and `b` are the places of the rows and the columns among the dimensions of the result.
    ///
    /// # Shape
    /// `[.., n] -> [.., n + |offset|, n + |offset|]` for `a = -2` and `b = -1`
    /// # Panics
    /// If this is a scalar, or the dimensions are out of range or the same.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let m = Tensor::from([[1i64], [2]]).diag_embed(1, -2, -1);
    /// assert_eq!(m.to_vec::<i64>(), [0, 1, 0, 0, 0, 2, 0, 0]);
    /// ```
    #[track_caller]
    pub fn diag_embed(&self, offset: isize, a: isize, b: isize) -> Tensor {
        let shape = [("tensor", self.dims())];
        let Some((&n, batch)) = self.dims().split_last() else {
            panic!("{}", Error::shape("diag_embed", "a scalar has no diagonal", &shape, "[.., n]"));
        };
        let resolve = |dim: isize| resolve_dim("diag_embed", dim, self.ndim() + 1).or_panic();
        let (a, b) = (resolve(a), resolve(b));
        if a == b {
            panic!("{}", Error::shape("diag_embed", "the two dimensions are the same", &shape, ""));
        }
        let side = n + offset.unsigned_abs();
        let (above, below) = (offset.max(0) as usize, offset.min(0).unsigned_abs());
        let x = self.contiguous();
        let matrix = dispatch!(all self.dtype(), T => Tensor::build::<T>([batch, &[side, side]].concat(), |out| {
            out.fill(T::default());
            let rows = x.as_slice::<T>().expect("made contiguous").chunks(n.max(1));
            for (row, matrix) in rows.zip(out.chunks_mut((side * side).max(1))) {
                row.iter().enumerate().for_each(|(i, &x)| matrix[(below + i) * side + above + i] = x);
            }
        }));
        // The rows and columns go to their places, the lower place first.
        let last = matrix.ndim() as isize;
        let mut order: Vec<isize> = (0..last - 2).collect();
        let (row, column) = (last - 2, last - 1);
        let places = if a < b { [(a, row), (b, column)] } else { [(b, column), (a, row)] };
        places.into_iter().for_each(|(place, dim)| order.insert(place, dim));
        matrix.permute(&order)
    }

    /// The sum of the diagonal of a matrix; integers add up in i64.
    ///
    /// # Panics
    /// If this is not a matrix.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).trace().item::<f64>(), 6.0);
    /// ```
    #[track_caller]
    pub fn trace(&self) -> Tensor {
        if self.ndim() != 2 {
            panic!("{}", Error::shape("trace", "needs a matrix", &[("tensor", self.dims())], "[m, n]"));
        }
        if self.dtype() == DType::Bool {
            panic!("{}", Error::dtype("trace", "not defined for bool; convert with to_dtype first"));
        }
        self.diagonal(0, 0, 1).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagonals_go_in_and_come_out_again() {
        let x = Tensor::arange(1.0, 13.0, 1.0, DType::I64).reshape([2, 2, 3]);
        for offset in [-4, -1, 0, 1, 2, 5] {
            for (a, b) in [(0, 1), (1, 0), (-2, -1), (3, 0), (1, 3), (2, 1)] {
                let m = x.diag_embed(offset, a, b);
                assert!(m.diagonal(offset, a, b).bit_eq(&x), "offset {offset}, dims {a} {b}: {m}");
                assert_eq!(m.sum().item::<i64>(), 78);
            }
        }
        assert_eq!(Tensor::zeros([2, 0], DType::F32).diag_embed(2, -2, -1).dims(), [2, 2, 2]);
        assert_eq!(Tensor::zeros([0], DType::F32).diag(0).dims(), [0, 0]);
    }
}
