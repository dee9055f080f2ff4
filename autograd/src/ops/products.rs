//! Products of vectors, matrices and batches with fixed ranks, and sums of such a product with another value.

use crate::var::Var;

impl Var {
    /// The product of two matrices.
    ///
    /// # Shape
    /// `[m, k] @ [k, n] -> [m, n]`
    ///
    /// # Gradient
    /// `da = dy b^T`, `db = a^T dy`. Keeps each operand if the other needs a gradient.
    #[track_caller]
    pub fn mm(&self, other: &Var) -> Var {
        let (a, b) = (self.keep_for(&[other]), other.keep_for(&[self]));
        Var::record("mm", self.tensor().mm(&other.tensor()), [self, other], move |dy, need| {
            [need.of(0, || dy.mm(&b.t())), need.of(1, || a.t().mm(dy))]
        })
    }

    /// The products of two batches of matrices, which do not broadcast.
    ///
    /// # Shape
    /// `[b, m, k] @ [b, k, n] -> [b, m, n]`
    ///
    /// # Gradient
    /// `da = dy b^T`, `db = a^T dy` for each matrix. Keeps each operand if the other needs a gradient.
    #[track_caller]
    pub fn bmm(&self, other: &Var) -> Var {
        let (a, b) = (self.keep_for(&[other]), other.keep_for(&[self]));
        Var::record("bmm", self.tensor().bmm(&other.tensor()), [self, other], move |dy, need| {
            [need.of(0, || dy.bmm(&b.transpose(1, 2))), need.of(1, || a.transpose(1, 2).bmm(dy))]
        })
    }

    /// The product of a matrix and a vector.
    ///
    /// # Shape
    /// `[m, k] @ [k] -> [m]`
    ///
    /// # Gradient
    /// `dmatrix = dy x vector`, `dvector = matrix^T dy`. Keeps each operand if the other needs a gradient.
    #[track_caller]
    pub fn mv(&self, vector: &Var) -> Var {
        let (a, v) = (self.keep_for(&[vector]), vector.keep_for(&[self]));
        Var::record("mv", self.tensor().mv(&vector.tensor()), [self, vector], move |dy, need| {
            [need.of(0, || dy.outer(&v)), need.of(1, || a.t().mv(dy))]
        })
    }

    /// `sum a[i] b[i]` of two vectors, which do not broadcast.
    ///
    /// # Gradient
    /// `da = dy b`, `db = dy a`. Keeps each operand if the other needs a gradient.
    #[track_caller]
    pub fn dot(&self, other: &Var) -> Var {
        let (a, b) = (self.keep_for(&[other]), other.keep_for(&[self]));
        Var::record("dot", self.tensor().dot(&other.tensor()), [self, other], move |dy, need| {
            [need.of(0, || dy * &*b), need.of(1, || dy * &*a)]
        })
    }

    /// `y[i, j] = a[i] b[j]`.
    ///
    /// # Shape
    /// `[m] x [n] -> [m, n]`
    ///
    /// # Gradient
    /// `da = dy b`, `db = dy^T a`. Keeps each operand if the other needs a gradient.
    #[track_caller]
    pub fn outer(&self, other: &Var) -> Var {
        let (a, b) = (self.keep_for(&[other]), other.keep_for(&[self]));
        Var::record("outer", self.tensor().outer(&other.tensor()), [self, other], move |dy, need| {
            [need.of(0, || dy.mv(&b)), need.of(1, || dy.t().mv(&a))]
        })
    }

    /// The sum of products over the last dimension of both; a scalar multiplies the other operand.
    ///
    /// # Shape
    /// `[a.., k], [b.., k] -> [a.., b..]`
    ///
    /// # Gradient
    /// With the leading dimensions of both as rows: `da = dy b`, `db = dy^T a`. Keeps each operand if the other needs a
    /// gradient.
    #[track_caller]
    pub fn inner(&self, other: &Var) -> Var {
        if self.ndim() == 0 || other.ndim() == 0 {
            return self.mul(other);
        }
        let (a, b) = (self.keep_for(&[other]), other.keep_for(&[self]));
        let (a_shape, b_shape) = (self.shape(), other.shape());
        Var::record("inner", self.tensor().inner(&other.tensor()), [self, other], move |dy, need| {
            let rows = |shape: &[usize]| shape[..shape.len() - 1].iter().product::<usize>();
            let (m, n) = (rows(&a_shape), rows(&b_shape));
            let dy = dy.reshape([m, n]);
            let flat = |x: &Var, rows: usize| x.reshape([rows, x.dim(-1)]);
            [
                need.of(0, || dy.mm(&flat(&b, n)).reshape(&a_shape)),
                need.of(1, || dy.t().mm(&flat(&a, m)).reshape(&b_shape)),
            ]
        })
    }

    /// `beta x + alpha (a @ b)`, `x` broadcast to the shape of the product; with `beta = 0`, `x` is not read.
    ///
    /// # Shape
    /// `x` broadcasts to `[m, n]`; `[m, k] @ [k, n]`
    ///
    /// # Gradient
    /// `dx = beta dy` summed over what was broadcast, `da = alpha dy b^T`, `db = alpha a^T dy`. Keeps `a` and `b` as
    /// [`Var::mm`] does.
    #[track_caller]
    pub fn addmm(&self, a: &Var, b: &Var, beta: f64, alpha: f64) -> Var {
        let value = self.tensor().addmm(&a.tensor(), &b.tensor(), beta, alpha);
        let (left, right) = (a.keep_for(&[b]), b.keep_for(&[a]));
        Var::record("addmm", value, [self, a, b], move |dy, need| {
            [need.of(0, || dy * beta), need.of(1, || dy.mm(&right.t()) * alpha), need.of(2, || left.t().mm(dy) * alpha)]
        })
    }

    /// `beta x + alpha (matrix @ vector)`; see [`Var::addmm`].
    ///
    /// # Shape
    /// `x` broadcasts to `[m]`; `[m, k] @ [k]`
    ///
    /// # Gradient
    /// `dx = beta dy` summed over what was broadcast, `dmatrix = alpha dy x vector`, `dvector = alpha matrix^T dy`. Keeps
    /// the matrix and the vector as [`Var::mv`] does.
    #[track_caller]
    pub fn addmv(&self, matrix: &Var, vector: &Var, beta: f64, alpha: f64) -> Var {
        let value = self.tensor().addmv(&matrix.tensor(), &vector.tensor(), beta, alpha);
        let (a, v) = (matrix.keep_for(&[vector]), vector.keep_for(&[matrix]));
        Var::record("addmv", value, [self, matrix, vector], move |dy, need| {
            [need.of(0, || dy * beta), need.of(1, || dy.outer(&v) * alpha), need.of(2, || a.t().mv(dy) * alpha)]
        })
    }

    /// `beta x[b] + alpha (a[b] @ b[b])` for each item of a batch; see [`Var::addmm`].
    ///
    /// # Shape
    /// `x` broadcasts to `[b, m, n]`; `[b, m, k] @ [b, k, n]`
    ///
    /// # Gradient
    /// `dx = beta dy` summed over what was broadcast, `da = alpha dy b^T`, `db = alpha a^T dy`. Keeps `a` and `b` as
    /// [`Var::bmm`] does.
    #[track_caller]
    pub fn baddbmm(&self, a: &Var, b: &Var, beta: f64, alpha: f64) -> Var {
        let value = self.tensor().baddbmm(&a.tensor(), &b.tensor(), beta, alpha);
        let (left, right) = (a.keep_for(&[b]), b.keep_for(&[a]));
        Var::record("baddbmm", value, [self, a, b], move |dy, need| {
            [
                need.of(0, || dy * beta),
                need.of(1, || dy.bmm(&right.transpose(1, 2)) * alpha),
                need.of(2, || left.transpose(1, 2).bmm(dy) * alpha),
            ]
        })
    }

    /// `beta x + alpha sum over b of (a[b] @ b[b])`; see [`Var::addmm`].
    ///
    /// # Shape
    /// `x` broadcasts to `[m, n]`; `[b, m, k] @ [b, k, n]`
    ///
    /// # Gradient
    /// `dx = beta dy` summed over what was broadcast, `da[b] = alpha dy b[b]^T`, `db[b] = alpha a[b]^T dy`. Keeps `a` and
    /// `b` as [`Var::bmm`] does.
    #[track_caller]
    pub fn addbmm(&self, a: &Var, b: &Var, beta: f64, alpha: f64) -> Var {
        let value = self.tensor().addbmm(&a.tensor(), &b.tensor(), beta, alpha);
        let (left, right) = (a.keep_for(&[b]), b.keep_for(&[a]));
        Var::record("addbmm", value, [self, a, b], move |dy, need| {
            [
                need.of(0, || dy * beta),
                need.of(1, || dy.matmul(&right.transpose(1, 2)) * alpha),
                need.of(2, || left.transpose(1, 2).matmul(dy) * alpha),
            ]
        })
    }

    /// The Kronecker product.
    ///
    /// # Shape
    /// `[m, n], [p, q] -> [m p, n q]`; a value of fewer dimensions gets leading ones.
    ///
    /// # Gradient
    /// With `dy` as blocks, one per element of `a`: `da` is the sum of block times `b`, `db` the sum over the elements of
    /// `a` of element times block. Keeps each operand if the other needs a gradient.
    #[track_caller]
    pub fn kron(&self, other: &Var) -> Var {
        let value = self.tensor().kron(&other.tensor());
        let (a, b) = (self.keep_for(&[other]), other.keep_for(&[self]));
        let (a_shape, b_shape) = (self.shape(), other.shape());
        Var::record("kron", value, [self, other], move |dy, need| {
            let ndim = a_shape.len().max(b_shape.len());
            let padded = |shape: &[usize]| [vec![1; ndim - shape.len()], shape.to_vec()].concat();
            let (m, n) = (padded(&a_shape), padded(&b_shape));
            let apart: Vec<usize> = m.iter().zip(&n).flat_map(|(&m, &n)| [m, n]).collect();
            let spread = |x: &Var, sizes: &[usize], first: bool| {
                x.reshape(sizes.iter().flat_map(|&n| if first { [n, 1] } else { [1, n] }).collect::<Vec<usize>>())
            };
            let dy = dy.reshape(apart);
            let sum = |x: Var, shape: Vec<usize>, to: &[usize]| x.sum_to(shape).reshape(to);
            let with_ones = |sizes: &[usize], first: bool| -> Vec<usize> {
                sizes.iter().flat_map(|&n| if first { [n, 1] } else { [1, n] }).collect()
            };
            [
                need.of(0, || sum(&dy * spread(&b, &n, false), with_ones(&m, true), &a_shape)),
                need.of(1, || sum(&dy * spread(&a, &m, true), with_ones(&n, false), &b_shape)),
            ]
        })
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    fn sizes(pick: &mut Pick) -> [usize; 4] {
        std::array::from_fn(|_| pick.below(4))
    }
    fn matrices(_: &[usize], p: &mut Pick, _: usize) -> Vec<Vec<usize>> {
        let [m, k, n, _] = sizes(p);
        vec![vec![m, k], vec![k, n]]
    }
    fn batches(_: &[usize], p: &mut Pick, _: usize) -> Vec<Vec<usize>> {
        let [m, k, n, b] = sizes(p);
        vec![vec![b, m, k], vec![b, k, n]]
    }
    fn matrix_and_vector(_: &[usize], p: &mut Pick, _: usize) -> Vec<Vec<usize>> {
        let [m, k, ..] = sizes(p);
        vec![vec![m, k], vec![k]]
    }
    fn vectors(_: &[usize], p: &mut Pick, _: usize) -> Vec<Vec<usize>> {
        let n = p.below(4);
        vec![vec![n]; 2]
    }
    fn two_vectors(_: &[usize], p: &mut Pick, _: usize) -> Vec<Vec<usize>> {
        let [m, n, ..] = sizes(p);
        vec![vec![m], vec![n]]
    }
    fn rows_of(shape: &[usize], p: &mut Pick, _: usize) -> Vec<Vec<usize>> {
        let [m, n, k, kind] = sizes(p);
        match kind {
            0 => vec![vec![], shape.to_vec()],
            1 => vec![vec![m, n, k], vec![k]],
            _ => vec![vec![m, k], vec![n, k]],
        }
    }
    fn any_two(shape: &[usize], p: &mut Pick, _: usize) -> Vec<Vec<usize>> {
        let [m, n, ndim, _] = sizes(p);
        vec![shape.to_vec(), [m, n][..ndim.min(2)].to_vec()]
    }
    fn addend_in_front(mut factors: Vec<Vec<usize>>, sum: &[usize], p: &mut Pick) -> Vec<Vec<usize>> {
        let addend = if p.coin() { sum.to_vec() } else { p.unbroadcast(sum) };
        factors.insert(0, addend);
        factors
    }
    vec![
        sample("mm", &[REAL, REAL], matrices, |v, _| v[0].mm(&v[1]).into()),
        sample("bmm", &[REAL, REAL], batches, |v, _| v[0].bmm(&v[1]).into()),
        sample("mv", &[REAL, REAL], matrix_and_vector, |v, _| v[0].mv(&v[1]).into()),
        sample("dot", &[REAL, REAL], vectors, |v, _| v[0].dot(&v[1]).into()),
        sample("outer", &[REAL, REAL], two_vectors, |v, _| v[0].outer(&v[1]).into()),
        sample("inner", &[REAL, REAL], rows_of, |v, _| v[0].inner(&v[1]).into()),
        sample(
            "addmm",
            &[REAL, REAL, REAL],
            |shape, p, n| {
                let factors = matrices(shape, p, n);
                let sum = [factors[0][0], factors[1][1]];
                addend_in_front(factors, &sum, p)
            },
            |v, p| v[0].addmm(&v[1], &v[2], p.below(2) as f64 * 0.7, 1.3).into(),
        ),
        sample(
            "addmv",
            &[REAL, REAL, REAL],
            |shape, p, n| {
                let factors = matrix_and_vector(shape, p, n);
                let sum = [factors[0][0]];
                addend_in_front(factors, &sum, p)
            },
            |v, _| v[0].addmv(&v[1], &v[2], 0.7, 1.3).into(),
        ),
        sample(
            "baddbmm",
            &[REAL, REAL, REAL],
            |shape, p, n| {
                let factors = batches(shape, p, n);
                let sum = [factors[0][0], factors[0][1], factors[1][2]];
                addend_in_front(factors, &sum, p)
            },
            |v, _| v[0].baddbmm(&v[1], &v[2], 0.7, 1.3).into(),
        ),
        sample(
            "addbmm",
            &[REAL, REAL, REAL],
            |shape, p, n| {
                let factors = batches(shape, p, n);
                let sum = [factors[0][1], factors[1][2]];
                addend_in_front(factors, &sum, p)
            },
            |v, _| v[0].addbmm(&v[1], &v[2], 0.7, 1.3).into(),
        ),
        sample("kron", &[REAL, REAL], any_two, |v, _| v[0].kron(&v[1]).into()),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    fn two(a: &Args, b: &str) -> Result<(crate::Var, crate::Var), Skip> {
        Ok((a.var(0, "input")?, a.var(1, b)?))
    }
    fn sum(a: &Args, f: fn(&crate::Var, &crate::Var, &crate::Var, f64, f64) -> crate::Var) -> Outcome {
        let (x, l, r) = (a.var(0, "input")?, a.var(1, "mat1")?, a.var(2, "mat2")?);
        done(f(&x, &l, &r, a.number_or(3, "beta", 1.0)?, a.number_or(4, "alpha", 1.0)?))
    }
    vec![
        torch("mm", &["mm"], |a| two(a, "mat2").and_then(|(x, y)| done(x.mm(&y)))),
        torch("bmm", &["bmm"], |a| two(a, "mat2").and_then(|(x, y)| done(x.bmm(&y)))),
        torch("mv", &["mv"], |a| two(a, "vec").and_then(|(x, y)| done(x.mv(&y)))),
        torch("dot", &["dot"], |a| two(a, "tensor").and_then(|(x, y)| done(x.dot(&y)))),
        torch("outer", &["outer"], |a| two(a, "vec2").and_then(|(x, y)| done(x.outer(&y)))),
        torch("kron", &["kron"], |a| two(a, "other").and_then(|(x, y)| done(x.kron(&y)))),
        torch("inner", &["inner"], |a| two(a, "other").and_then(|(x, y)| done(x.inner(&y)))),
        torch("addmm", &["addmm"], |a| sum(a, crate::Var::addmm)),
        torch("addmv", &["addmv"], |a| sum(a, crate::Var::addmv)),
        torch("addbmm", &["addbmm"], |a| sum(a, crate::Var::addbmm)),
        torch("baddbmm", &["baddbmm"], |a| sum(a, crate::Var::baddbmm)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::{DType, Tensor};

    #[test]
    fn an_input_that_is_not_read_gets_zeros() {
        let x = Var::new(Tensor::full([2], f64::NAN, DType::F64)).requires_grad_(true);
        let (a, b) = (Var::new(Tensor::from([[1.0], [2.0]])), Var::new(Tensor::from([[3.0, 4.0]])));
        let y = x.addmm(&a, &b, 0.0, 1.0);
        assert_eq!(y.to_vec::<f64>(), [3.0, 4.0, 6.0, 8.0]);
        y.sum().backward();
        assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.0, 0.0]);
    }
}
