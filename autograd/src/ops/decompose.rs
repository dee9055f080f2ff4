//! Factors of matrices: Cholesky, QR, singular values, eigenvalues.

use tensor::{QrMode, Tensor, Triangle, Triangular};

use crate::ops::solve::transposed;
use crate::record::is_recorded;
use crate::var::Var;

const LOWER: Triangular = Triangular { upper: false, left: true, unitriangular: false };

impl Var {
    /// The Cholesky factor `L` of every positive-definite matrix `A = L L^T`, or with `upper` the factor `U = L^T`.
    ///
    /// # Gradient
    /// `dA = L^-T S L^-1` with `S` the symmetric matrix whose lower triangle is that of `L^T dL / 2`: a symmetric matrix,
    /// although only one triangle of `A` is read, as in PyTorch. Keeps the factor.
    ///
    /// # Source
    /// Murray, *Differentiation of the Cholesky decomposition*, 2016, equation 9.
    #[track_caller]
    pub fn cholesky(&self, upper: bool) -> Var {
        Var::record_output("cholesky", self.tensor().cholesky(upper), [self], move |y, dy, _| {
            let lower = |x: &Var| if upper { transposed(x) } else { x.clone() };
            let (l, dl) = (lower(y), lower(dy));
            let half = transposed(&l).matmul(&dl).tril(0) * 0.5;
            let s = &half + transposed(&half.tril(-1));
            let left = transposed(&l).solve_triangular(&s, Triangular { upper: true, ..LOWER });
            [Some(l.solve_triangular(&left, Triangular { left: false, ..LOWER }))]
        })
    }

    /// `A = Q R` with orthonormal columns in `Q` and an upper triangular `R`, for every matrix.
    ///
    /// # Gradient
    /// For at least as many rows as columns `dA = (dQ + Q S) R^-T`, where `S` is the symmetric matrix whose upper triangle
    /// is that of `dR R^T - Q^T dQ`. Of a wide matrix the first columns `A1 = Q R1` have that gradient with `dQ + A2 dR2^T`
    /// in the place of `dQ`, and the others `A2 = Q R2` have `Q dR2`. Keeps `Q` and `R` (and `A` of a wide matrix).
    ///
    /// # Panics
    /// As [`tensor::Tensor::qr`]; in the backward pass for the complete factors of a matrix with more rows than columns: the
    /// added columns are no function of the matrix.
    ///
    /// # Differs
    /// PyTorch refuses the gradient of [`QrMode::R`], which is given here.
    ///
    /// # Source
    /// Roberts and Roberts, *QR and LQ decomposition matrix backpropagation algorithms for square, wide, and deep matrices*,
    /// 2020; Walter and Lehmann, *Algorithmic differentiation of linear algebra functions*, 2018.
    #[track_caller]
    pub fn qr(&self, mode: QrMode) -> (Var, Var) {
        if mode == QrMode::R && is_recorded(&[self]) {
            let (q, r) = self.qr(QrMode::Reduced);
            return (Var::new(Tensor::zeros([0], q.dtype())), r);
        }
        let (q, r) = self.tensor().qr(mode);
        let a = self.keep();
        let ys = Var::record_many_outputs("qr", vec![q, r], [self], move |ys, dys, _| {
            let (q, r) = (&ys[0], &ys[1]);
            let (m, n) = (q.dim(-2), r.dim(-1));
            assert!(
                q.dim(-1) == m.min(n),
                "backward: `qr` has no derivative for the complete factors of more rows than columns"
            );
            let [dq, dr] = [0, 1].map(|i| dys[i].clone());
            if m >= n {
                return [Some(qr_gradient(q, r, dq.as_ref(), dr.as_ref()))];
            }
            let (first, rest) = (r.narrow(-1, 0, m), a.narrow(-1, m, n - m));
            let Some(dr) = dr else {
                let left = qr_gradient(q, &first, dq.as_ref(), None);
                return [Some(crate::ops::parts::among_zeros(&left, -1, 0, n))];
            };
            let dr2 = dr.narrow(-1, m, n - m);
            let from_rest = rest.matmul(&transposed(&dr2));
            let dq = dq.map_or(from_rest.clone(), |dq| dq + &from_rest);
            let left = qr_gradient(q, &first, Some(&dq), Some(&dr.narrow(-1, 0, m)));
            [Some(Var::cat(&[left, q.matmul(&dr2)], -1))]
        });
        (ys[0].clone(), ys[1].clone())
    }

    /// The singular value decomposition `A = U diag(S) Vh` of every matrix: `(U, S, Vh)`.
    ///
    /// # Gradient
    /// With `E[i, j] = s[j]^2 - s[i]^2` (1 on the diagonal) and `skew(X) = X - X^T`:
    /// `dA = U (skew(U^T dU) / E S + S skew(V^T dV) / E + dS) V^T`, plus `(I - U U^T) dU S^-1 V^T` for more rows than columns
    /// and `U S^-1 dV^T (I - V V^T)` for fewer. It is a number only where the singular values differ (and are not 0, in the
    /// last two terms), and means something only for a function that does not change with the signs of the vectors. The
    /// columns that complete `U` or `V` for `full_matrices` are no function of `A`: their gradient is left out, as in
    /// PyTorch. For `S` alone, `dA = U dS V^T` everywhere. Keeps the factors.
    ///
    /// # Source
    /// Giles, 2008, section 3.5; Seeger et al., *Auto-differentiating linear algebra*, 2017.
    #[track_caller]
    pub fn svd(&self, full_matrices: bool) -> (Var, Var, Var) {
        let (u, s, vh) = self.tensor().svd(full_matrices);
        let ys = Var::record_many_outputs("svd", vec![u, s, vh], [self], |ys, dys, _| {
            let (m, n, k) = (ys[0].dim(-2), ys[2].dim(-1), ys[1].dim(-1));
            let (u, s, vh) = (ys[0].narrow(-1, 0, k), &ys[1], ys[2].narrow(-2, 0, k));
            let du = dys[0].as_ref().map(|du| du.narrow(-1, 0, k));
            let dvh = dys[2].as_ref().map(|dvh| dvh.narrow(-2, 0, k));
            let (row, column) = (s.unsqueeze(-2), s.unsqueeze(-1));
            let mut inner = match &dys[1] {
                Some(ds) if du.is_none() && dvh.is_none() => return [Some((&u * ds.unsqueeze(-2)).matmul(&vh))],
                Some(ds) => ds.diag_embed(0, -2, -1),
                None => Var::new(Tensor::zeros([&ys[0].shape()[..ys[0].ndim() - 2], &[k, k]].concat(), s.dtype())),
            };
            let gaps = row.square() - column.square() + Var::new(Tensor::eye(k, s.dtype()));
            let skew = |x: Var| (&x - transposed(&x)) / &gaps;
            if let Some(du) = &du {
                inner = inner + skew(transposed(&u).matmul(du)) * &row;
            }
            if let Some(dvh) = &dvh {
                inner = inner + &column * skew(vh.matmul(&transposed(dvh)));
            }
            let mut left = u.matmul(&inner);
            if let Some(du) = du.filter(|_| m > k) {
                let scaled = du / &row;
                left = left + &scaled - u.matmul(&transposed(&u).matmul(&scaled));
            }
            let mut da = left.matmul(&vh);
            if let Some(dvh) = dvh.filter(|_| n > k) {
                let scaled = dvh / &column;
                da = da + u.matmul(&(&scaled - scaled.matmul(&transposed(&vh)).matmul(&vh)));
            }
            [Some(da)]
        });
        (ys[0].clone(), ys[1].clone(), ys[2].clone())
    }

    /// The singular values of every matrix in descending order.
    ///
    /// # Gradient
    /// `dA = U dS V^T`; the second derivative is a number only where the singular values differ. Keeps the factors.
    #[track_caller]
    pub fn svdvals(&self) -> Var {
        if is_recorded(&[self]) { self.svd(false).1 } else { Var::new(self.tensor().svdvals()) }
    }

    /// The eigenvalues `w` of every symmetric matrix in ascending order, and its eigenvectors `V` as columns.
    ///
    /// # Gradient
    /// `dA = V (skew(V^T dV) / (2 E) + dw) V^T` with `E[i, j] = w[j] - w[i]` (1 on the diagonal) and `skew(X) = X - X^T`. As
    /// in PyTorch it is symmetric, although only one triangle of `A` is read. It is a number only where the eigenvalues
    /// differ, and means something only for a function that does not change with the signs of the vectors. For `w` alone,
    /// `dA = V dw V^T` everywhere. Keeps `w` and `V`.
    ///
    /// # Source
    /// Giles, 2008, section 3.1; Seeger et al., 2017.
    #[track_caller]
    pub fn eigh(&self, triangle: Triangle) -> (Var, Var) {
        let (w, v) = self.tensor().eigh(triangle);
        let ys = Var::record_many_outputs("eigh", vec![w, v], [self], |ys, dys, _| {
            let (w, v) = (&ys[0], &ys[1]);
            let (dw, dv) = (&dys[0], &dys[1]);
            let Some(dv) = dv else {
                return [dw.as_ref().map(|dw| (v * dw.unsqueeze(-2)).matmul(&transposed(v)))];
            };
            let gaps = w.unsqueeze(-2) - w.unsqueeze(-1) + Var::new(Tensor::eye(w.dim(-1), w.dtype()));
            let k = transposed(v).matmul(dv);
            let turn = (&k - transposed(&k)) * 0.5 / gaps;
            let inner = match dw {
                Some(dw) => turn + dw.diag_embed(0, -2, -1),
                None => turn,
            };
            [Some(v.matmul(&inner).matmul(&transposed(v)))]
        });
        (ys[0].clone(), ys[1].clone())
    }

    /// The eigenvalues of every symmetric matrix in ascending order.
    ///
    /// # Gradient
    /// `dA = V dw V^T`; see [`Var::eigh`]. The second derivative is a number only where the eigenvalues differ. Keeps `w`
    /// and `V`.
    #[track_caller]
    pub fn eigvalsh(&self, triangle: Triangle) -> Var {
        if is_recorded(&[self]) { self.eigh(triangle).0 } else { Var::new(self.tensor().eigvalsh(triangle)) }
    }
}

/// The gradient of `A` from those of `Q` and `R`, for at least as many rows as columns.
fn qr_gradient(q: &Var, r: &Var, dq: Option<&Var>, dr: Option<&Var>) -> Var {
    let of_r = dr.map(|dr| dr.matmul(&transposed(r)));
    let of_q = dq.map(|dq| -transposed(q).matmul(dq));
    let both = of_r.into_iter().chain(of_q).reduce(|a, b| a + b).expect("one of the gradients");
    let s = both.triu(0) + transposed(&both.triu(1));
    let right = q.matmul(&s);
    let right = dq.map_or(right.clone(), |dq| dq + &right);
    // Times the inverse of R^T, a lower triangle.
    transposed(r).solve_triangular(&right, Triangular { left: false, ..LOWER })
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    fn tall(shape: &[usize], p: &mut Pick, n: usize) -> Vec<Vec<usize>> {
        let mut shape = square_matrices(shape, p, n)[0].clone();
        let d = shape.len();
        shape[d - 2] += p.below(3);
        vec![shape]
    }
    fn wide(shape: &[usize], p: &mut Pick, n: usize) -> Vec<Vec<usize>> {
        let mut shape = square_matrices(shape, p, n)[0].clone();
        let d = shape.len();
        shape[d - 1] += p.below(3);
        vec![shape]
    }
    fn triangle(p: &mut Pick) -> Triangle {
        if p.coin() { Triangle::Upper } else { Triangle::Lower }
    }
    /// A symmetric matrix whose eigenvalues lie well apart.
    fn symmetric(x: &Var) -> Var {
        let x = spread(x);
        &x + transposed(&x)
    }
    /// What of a decomposition does not change with the vectors' signs.
    fn projectors(u: &Var) -> Var {
        u.unsqueeze(-2) * u.unsqueeze(-3)
    }
    vec![
        sample("cholesky", &[REAL], square_matrices, |v, p| {
            let n = v[0].dim(-1);
            let shift = Var::new(Tensor::eye(n, v[0].dtype()) * (n as f64 + 1.0));
            (v[0].matmul(&transposed(&v[0])) + shift).cholesky(p.coin()).into()
        }),
        sample("qr", &[REAL], tall, |v, p| {
            let (q, r) = regular(&v[0]).qr(if p.coin() { QrMode::Reduced } else { QrMode::R });
            vec![q, r]
        }),
        sample("qr", &[REAL], wide, |v, p| {
            let (q, r) = regular(&v[0]).qr(if p.coin() { QrMode::Reduced } else { QrMode::Complete });
            vec![q, r]
        }),
        sample("svd", &[REAL], tall, |v, p| {
            let (u, s, vh) = spread(&v[0]).svd(p.coin());
            let k = s.dim(-1);
            let (u, vh) = (u.narrow(-1, 0, k), vh.narrow(-2, 0, k));
            vec![projectors(&u), projectors(&transposed(&vh)), (u * s.unsqueeze(-2).sin()).matmul(&vh)]
        }),
        sample("svd", &[REAL], wide, |v, p| {
            let (u, s, vh) = spread(&v[0]).svd(p.coin());
            let vh = vh.narrow(-2, 0, s.dim(-1));
            vec![projectors(&transposed(&vh)), (u * s.unsqueeze(-2).sin()).matmul(&vh)]
        }),
        sample("svdvals", &[REAL], tall, |v, _| spread(&v[0]).svdvals().into()),
        sample("eigh", &[REAL], square_matrices, |v, p| {
            let (w, vectors) = symmetric(&v[0]).eigh(triangle(p));
            vec![projectors(&vectors), w]
        }),
        sample("eigvalsh", &[REAL], square_matrices, |v, p| symmetric(&v[0]).eigvalsh(triangle(p)).into()),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    fn triangle(a: &Args) -> Result<Triangle, Skip> {
        Ok(if a.text(1, "UPLO", "L")? == "U" { Triangle::Upper } else { Triangle::Lower })
    }
    vec![
        torch("linalg.cholesky", &["cholesky"], |a| done(a.var(0, "A")?.cholesky(a.flag(1, "upper", false)?))),
        torch("linalg.qr", &["qr"], |a| {
            let mode = match &*a.text(1, "mode", "reduced")? {
                "r" => QrMode::R,
                "complete" => QrMode::Complete,
                _ => QrMode::Reduced,
            };
            done(a.var(0, "A")?.qr(mode))
        }),
        torch("linalg.svd", &["svd"], |a| {
            let (x, full) = (a.var(0, "A")?, a.flag(1, "full_matrices", true)?);
            let (m, n) = (x.dim(-2), x.dim(-1));
            if full && m.abs_diff(n) > 1 && m.min(n) > 0 {
                return skip("two or more columns that complete a basis, which any rotation of them does as well");
            }
            let (u, s, vh) = x.svd(full);
            done((u.abs(), s, vh.abs()))
        }),
        torch("linalg.svdvals", &["svdvals"], |a| done(a.var(0, "A")?.svdvals())),
        torch("linalg.eigh", &["eigh"], |a| {
            let (w, v) = a.var(0, "A")?.eigh(triangle(a)?);
            done((w, v.abs()))
        }),
        torch("linalg.eigvalsh", &["eigvalsh"], |a| done(a.var(0, "A")?.eigvalsh(triangle(a)?))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(x: Tensor) -> Var {
        Var::new(x).requires_grad_(true)
    }

    #[test]
    fn values_of_simple_gradients() {
        let a = leaf(Tensor::from([[4.0, 0.0], [0.0, 9.0]]));
        a.cholesky(false).sum().backward();
        // d sqrt(x) = 1 / (2 sqrt(x)); the element below the diagonal is a[1, 0] / 2, spread over both triangles.
        let expected = Tensor::from([[0.25, 0.25], [0.25, 1.0 / 6.0]]);
        assert!(a.grad().unwrap().value().allclose(&expected, 1e-14, 1e-14));
        let a = leaf(Tensor::from([[2.0, 7.0], [1.0, 2.0]]));
        a.eigvalsh(Triangle::Lower).select(0, 1).backward();
        // The greatest eigenvalue, 3, belongs to (1, 1) / sqrt(2).
        assert!(a.grad().unwrap().value().allclose(&Tensor::full([2, 2], 0.5, a.dtype()), 1e-14, 1e-14));
    }

    #[test]
    fn singular_values_alone_need_no_gaps() {
        let a = leaf(Tensor::eye(3, tensor::DType::F64));
        a.svdvals().sum().backward();
        assert!(a.grad().unwrap().value().allclose(&Tensor::eye(3, a.dtype()), 1e-14, 1e-14));
        let zeros = leaf(Tensor::zeros([2, 3], a.dtype()));
        zeros.svd(false).1.sum().backward();
        assert!(zeros.grad().unwrap().isfinite().all().item::<bool>());
    }

    #[test]
    fn without_a_gradient_no_vectors_are_computed() {
        let a = Var::new(Tensor::eye(2, tensor::DType::F32));
        assert_eq!(a.svdvals().to_vec::<f32>(), [1.0, 1.0]);
        assert_eq!(a.eigvalsh(Triangle::Upper).to_vec::<f32>(), [1.0, 1.0]);
        assert_eq!(a.qr(QrMode::R).0.shape(), [0]);
    }

    #[test]
    #[should_panic(expected = "backward: `qr` has no derivative for the complete factors of more rows than columns")]
    fn added_columns_refuse() {
        leaf(Tensor::from([[1.0], [2.0]])).qr(QrMode::Complete).1.sum().backward();
    }
}
