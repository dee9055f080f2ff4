//! Factorisations of matrices, most of them through `faer`, each on one thread; the matrices of a batch are shared out among threads.
//!
//! Matrices are row-major and contiguous, one after the other. Kernels report what went wrong with a matrix; which error
//! that is, is decided in `ops`.

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::{cholesky, evd, householder, qr, svd, triangular_solve};
use faer::traits::RealField;
use std::ops::Div;

use faer::diag::Diag;
use faer::{Conj, Mat, MatMut, MatRef, Par};

use crate::dtype::Float;
use crate::kernels::gemm::{Add, Gemm, Matrix, Size};
use crate::kernels::parallel::{self, GRAIN};

/// The element types of matrices that can be factored: f32 and f64.
pub(crate) trait Real: Float + RealField {}
impl Real for f32 {}
impl Real for f64 {}

/// `count` equal parts of `x`, which may be empty.
pub(crate) fn parts<T>(mut x: &mut [T], count: usize) -> std::vec::IntoIter<&mut [T]> {
    let each = x.len() / count.max(1);
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        let (part, rest) = x.split_at_mut(each);
        parts.push(part);
        x = rest;
    }
    parts.into_iter()
}

/// Runs `work(i, item)` for every matrix of a batch, in parallel; `cost` is about the number of multiplications for one.
pub(crate) fn for_each_matrix<I: Send>(
    items: impl Iterator<Item = I>,
    cost: usize,
    work: impl Fn(usize, &mut I) + Sync,
) {
    let mut items: Vec<I> = items.collect();
    let together = (GRAIN / cost.max(1)).max(1);
    parallel::for_each_chunk(&mut items, together, |chunk, items| {
        items.iter_mut().enumerate().for_each(|(i, item)| work(chunk * together + i, item));
    });
}

fn with_stack<R>(need: StackReq, f: impl FnOnce(&mut MemStack) -> R) -> R {
    f(MemStack::new(&mut MemBuffer::new(need)))
}

/// A copy in column-major order, which `faer` prefers.
fn columns<T: Real>(a: &[T], rows: usize, columns: usize) -> Mat<T> {
    MatRef::from_row_major_slice(a, rows, columns).to_owned()
}

fn write<T: Real>(from: MatRef<'_, T>, out: &mut [T]) {
    MatMut::from_row_major_slice_mut(out, from.nrows(), from.ncols()).copy_from(from);
}

/// The lower Cholesky factor of `a` (of which the lower triangle is read) into `out`. If the leading minor of order `k` is
/// the first that is not positive: `Err(k)`, and `out` is anything.
pub(crate) fn cholesky<T: Real>(a: &[T], n: usize, out: &mut [T]) -> Result<(), usize> {
    let mut l = columns(a, n, n);
    let need = cholesky::llt::factor::cholesky_in_place_scratch::<T>(n, Par::Seq, Default::default());
    let result = with_stack(need, |stack| {
        let (matrix, none) = (l.as_mut(), Default::default());
        cholesky::llt::factor::cholesky_in_place(matrix, none, Par::Seq, stack, Default::default())
    });
    for i in 0..n {
        for j in 0..n {
            out[i * n + j] = if j <= i { l[(i, j)] } else { T::ZERO };
        }
    }
    match result {
        Ok(_) => Ok(()),
        Err(cholesky::llt::factor::LltError::NonPositivePivot { index }) => Err(index + 1),
    }
}

/// The factors `P A = L U` of a square matrix.
pub(crate) struct Lu<T> {
    n: usize,
    /// L below the diagonal, which is 1, and U; row-major.
    factors: Vec<T>,
    /// The row of A that row `i` of `P A` is.
    rows: Vec<usize>,
    odd: bool,
}

/// Columns that are eliminated before the rest of the matrix follows in one product.
const BLOCK: usize = 32;

impl<T: Real + Gemm> Lu<T> {
    /// Gaussian elimination with partial pivoting, a block of columns at a time (Golub and Van Loan, "Matrix Computations",
    /// section 3.4.8). A zero pivot is passed over, which `faer`'s elimination does not do.
    pub(crate) fn new(a: &[T], n: usize) -> Lu<T> {
        let mut lu = Lu { n, factors: a.to_vec(), rows: (0..n).collect(), odd: false };
        for first in (0..n).step_by(BLOCK) {
            let end = (first + BLOCK).min(n);
            (first..end).for_each(|k| lu.eliminate(k, end));
            // The rows of U beside the block, by forward substitution.
            for i in first + 1..end {
                let (above, row) = lu.factors.split_at_mut(i * n);
                for k in first..i {
                    subtract(row[k], &above[k * n + end..][..n - end], &mut row[end..n]);
                }
            }
            lu.update(first, end);
        }
        lu
    }

    /// Brings the largest element of column `k` to the diagonal and eliminates below it, in columns up to `end`.
    fn eliminate(&mut self, k: usize, end: usize) {
        let (n, a) = (self.n, &mut self.factors);
        let size = |a: &[T], i: usize| a[i * n + k].to_f64().abs();
        let best = (k + 1..n).fold(k, |best, i| if size(a, i) > size(a, best) { i } else { best });
        if best != k {
            let (above, below) = a.split_at_mut(best * n);
            above[k * n..][..n].swap_with_slice(&mut below[..n]);
            self.rows.swap(k, best);
            self.odd = !self.odd;
        }
        let (above, below) = a.split_at_mut((k + 1) * n);
        let pivot_row = &above[k * n..];
        if pivot_row[k] == T::ZERO {
            return;
        }
        for row in below.chunks_mut(n) {
            row[k] = Div::div(row[k], pivot_row[k]);
            subtract(row[k], &pivot_row[k + 1..end], &mut row[k + 1..end]);
        }
    }

    /// Subtracts from what lies below and right of the block the product of the block's L and U.
    fn update(&mut self, first: usize, end: usize) {
        let (n, left) = (self.n, self.n - end);
        if left == 0 {
            return;
        }
        let mut product = vec![T::ZERO; left * left];
        let part =
            |i: usize, j: usize| Matrix { data: &self.factors[..], offset: i * n + j, row: n as isize, column: 1 };
        let size = Size { m: left, k: end - first, n: left };
        T::gemm(size, part(end, first), part(first, end), Add::Nothing, &mut product);
        for (row, product) in self.factors[end * n..].chunks_mut(n).zip(product.chunks(left)) {
            row[end..].iter_mut().zip(product).for_each(|(x, &y)| *x = x.minus(y));
        }
    }

    /// The diagonal of U.
    pub(crate) fn pivots(&self) -> impl Iterator<Item = T> + '_ {
        (0..self.n).map(|i| self.factors[i * self.n + i])
    }

    /// The number (from 1) of the first pivot that is zero, 0 if there is none.
    pub(crate) fn zero_pivot(&self) -> usize {
        self.pivots().position(|pivot| pivot == T::ZERO).map_or(0, |i| i + 1)
    }

    /// Whether `P` is an odd permutation.
    pub(crate) fn is_odd(&self) -> bool {
        self.odd
    }

    /// The solution of `A X = B` for `B` with `k` columns.
    pub(crate) fn solve(&self, b: &[T], k: usize, out: &mut [T]) {
        let mut x = Mat::from_fn(self.n, k, |i, j| b[self.rows[i] * k + j]);
        let factors = MatRef::from_row_major_slice(&self.factors, self.n, self.n);
        triangular_solve::solve_unit_lower_triangular_in_place(factors, x.as_mut(), Par::Seq);
        triangular_solve::solve_upper_triangular_in_place(factors, x.as_mut(), Par::Seq);
        write(x.as_ref(), out);
    }
}

/// `to -= factor * row`.
fn subtract<T: Float>(factor: T, row: &[T], to: &mut [T]) {
    to.iter_mut().zip(row).for_each(|(to, &x)| *to = to.minus(factor.times(x)));
}

/// The solution of `A X = B` for triangular `A` of `n` rows and `B` with `k` columns; the other triangle is not read.
pub(crate) fn solve_triangular<T: Real>(a: &[T], [upper, unit]: [bool; 2], b: &[T], [n, k]: [usize; 2], out: &mut [T]) {
    let (a, mut x) = (MatRef::from_row_major_slice(a, n, n), columns(b, n, k));
    let solve = match (upper, unit) {
        (false, false) => triangular_solve::solve_lower_triangular_in_place,
        (false, true) => triangular_solve::solve_unit_lower_triangular_in_place,
        (true, false) => triangular_solve::solve_upper_triangular_in_place,
        (true, true) => triangular_solve::solve_unit_upper_triangular_in_place,
    };
    solve(a, x.as_mut(), Par::Seq);
    write(x.as_ref(), out);
}

/// `A = Q R` by Householder reflections, with the signs of LAPACK's. The lengths of `q` and `r` say how many columns and
/// rows are wanted.
pub(crate) fn qr<T: Real>(a: &[T], [m, n]: [usize; 2], q: &mut [T], r: &mut [T]) {
    let mut factors = columns(a, m, n);
    let size = m.min(n);
    let block = qr::no_pivoting::factor::recommended_block_size::<T>(m, n);
    let mut coefficients = Mat::zeros(block, size);
    let need = qr::no_pivoting::factor::qr_in_place_scratch::<T>(m, n, block, Par::Seq, Default::default());
    with_stack(need, |stack| {
        let (matrix, coefficients) = (factors.as_mut(), coefficients.as_mut());
        qr::no_pivoting::factor::qr_in_place(matrix, coefficients, Par::Seq, stack, Default::default());
    });
    for (i, row) in r.chunks_mut(n.max(1)).enumerate() {
        for (j, r) in row.iter_mut().enumerate() {
            *r = if j >= i && i < size { factors[(i, j)] } else { T::ZERO };
        }
    }
    let width = q.len() / m.max(1);
    if width > 0 {
        let mut columns = Mat::identity(m, width);
        let need = householder::apply_block_householder_sequence_on_the_left_in_place_scratch::<T>(m, block, width);
        with_stack(need, |stack| {
            householder::apply_block_householder_sequence_on_the_left_in_place_with_conj(
                factors.as_ref().subcols(0, size),
                coefficients.as_ref(),
                Conj::No,
                columns.as_mut(),
                Par::Seq,
                stack,
            );
        });
        write(columns.as_ref(), q);
    }
}

/// `a` times a power of 2 that brings its greatest element near 1, and the inverse of that power. The iterations below
/// square elements, which must neither overflow nor vanish.
fn scaled<T: Real>(a: impl Fn(usize, usize) -> T, [m, n]: [usize; 2]) -> (Mat<T>, T) {
    let mut greatest = 0f64;
    for i in 0..m {
        for j in 0..n {
            greatest = greatest.max(a(i, j).to_f64().abs());
        }
    }
    let most = if T::DTYPE.size_in_bytes() == 4 { 120 } else { 1000 };
    let exponent = if greatest > 0.0 { (greatest.log2() as i32).clamp(-most, most) } else { 0 };
    let (down, up) = (<T as Float>::of(2f64.powi(-exponent)), <T as Float>::of(2f64.powi(exponent)));
    (Mat::from_fn(m, n, |i, j| a(i, j).times(down)), up)
}

/// `A = U diag(s) V^T`, the singular values in descending order. The lengths of `u` and `vt` say how many columns and rows
/// are wanted: none, as many as there are singular values, or all. False if the iteration did not converge.
#[must_use]
pub(crate) fn svd<T: Real>(a: &[T], [m, n]: [usize; 2], u: &mut [T], s: &mut [T], vt: &mut [T]) -> bool {
    let (matrix, up) = scaled(|i, j| a[i * n + j], [m, n]);
    let (left, right) = (u.len() / m.max(1), vt.len() / n.max(1));
    let compute = |columns: usize, full: usize| match columns {
        0 => svd::ComputeSvdVectors::No,
        c if c == full => svd::ComputeSvdVectors::Full,
        _ => svd::ComputeSvdVectors::Thin,
    };
    let (compute_u, compute_v) = (compute(left, m), compute(right, n));
    let mut values = Diag::zeros(m.min(n));
    let (mut us, mut vs) = (Mat::zeros(m, left), Mat::zeros(n, right));
    let need = svd::svd_scratch::<T>(m, n, compute_u, compute_v, Par::Seq, Default::default());
    let result = with_stack(need, |stack| {
        let (us, vs) = ((left > 0).then(|| us.as_mut()), (right > 0).then(|| vs.as_mut()));
        svd::svd(matrix.as_ref(), values.as_mut(), us, vs, Par::Seq, stack, Default::default())
    });
    s.iter_mut().enumerate().for_each(|(i, s)| *s = values[i].times(up));
    if left > 0 {
        write(us.as_ref(), u);
    }
    if right > 0 {
        write(vs.as_ref().transpose(), vt);
    }
    result.is_ok()
}

/// `A = V diag(w) V^T` for the symmetric matrix of which one triangle of `a` is read; the eigenvalues ascend. No vectors
/// are computed into an empty `v`. False if the iteration did not converge.
#[must_use]
pub(crate) fn eigh<T: Real>(a: &[T], n: usize, upper: bool, w: &mut [T], v: &mut [T]) -> bool {
    let element = |i: usize, j: usize| if (i < j) == upper { a[i * n + j] } else { a[j * n + i] };
    let (matrix, up) = scaled(element, [n, n]);
    let wanted = !v.is_empty();
    let compute = if wanted { evd::ComputeEigenvectors::Yes } else { evd::ComputeEigenvectors::No };
    let (mut values, mut vectors) = (Diag::zeros(n), Mat::zeros(n, n));
    let need = evd::self_adjoint_evd_scratch::<T>(n, compute, Par::Seq, Default::default());
    let result = with_stack(need, |stack| {
        let vectors = wanted.then(|| vectors.as_mut());
        evd::self_adjoint_evd(matrix.as_ref(), values.as_mut(), vectors, Par::Seq, stack, Default::default())
    });
    w.iter_mut().enumerate().for_each(|(i, w)| *w = values[i].times(up));
    if wanted {
        write(vectors.as_ref(), v);
    }
    result.is_ok()
}
