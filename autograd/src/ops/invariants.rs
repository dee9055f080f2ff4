//! Determinants, powers and pseudo-inverses of matrices.

use tensor::{DType, Tensor, power_by_squaring};

use crate::mode::is_grad_enabled;
use crate::ops::solve::transposed;
use crate::ops::unary::zero;
use crate::var::Var;

impl Var {
    /// The determinant of every matrix.
    ///
    /// # Shape
    /// `[.., n, n] -> [..]`
    ///
    /// # Gradient
    /// `dA = dy C` with the matrix `C` of cofactors: `det(A) A^-T` where `A` is well conditioned, and from the singular
    /// value decomposition otherwise, so that the first and second derivatives are right for singular matrices of any rank.
    /// (Third derivatives of a singular matrix need different singular values.) Keeps `A`.
    ///
    /// # Source
    /// Stewart, *On the adjugate matrix*, 1998, section 2.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let a = Var::new(Tensor::from([[1.0, 2.0], [2.0, 4.0]])).requires_grad_(true);
    /// a.det().backward();
    /// assert!(a.grad().unwrap().value().allclose(&Tensor::from([[4.0, -2.0], [-2.0, 1.0]]), 1e-12, 1e-12));
    /// ```
    #[track_caller]
    pub fn det(&self) -> Var {
        let a = self.keep();
        Var::record_unary("det", self.tensor().det(), self, move |dy| matrixwise(dy) * cofactors(&a))
    }

    /// The sign of every matrix's determinant and the logarithm of its absolute value.
    ///
    /// # Shape
    /// `[.., n, n] -> [..], [..]`
    ///
    /// # Gradient
    /// `dA = dlog A^-T`, infinite for a singular matrix; the sign is constant. Keeps `A`.
    ///
    /// # Panics
    /// As [`tensor::Tensor::slogdet`]; with `create_graph` also in the backward pass of a singular matrix, as PyTorch.
    #[track_caller]
    pub fn slogdet(&self) -> (Var, Var) {
        let (sign, log) = self.tensor().slogdet();
        let a = self.keep();
        let ys = Var::record_many("slogdet", vec![sign, log], [self], move |dys, _| {
            let inverse = || if is_grad_enabled() { a.inv() } else { Var::new(a.tensor().inv_ex().0) };
            [dys[1].as_ref().map(|dlog| matrixwise(dlog) * transposed(&inverse()))]
        });
        (ys[0].clone(), ys[1].clone())
    }

    /// The logarithm of every matrix's determinant; NaN where that is negative.
    ///
    /// # Gradient
    /// `dA = dy A^-T`, zero where the determinant is negative. Keeps `A`.
    #[track_caller]
    pub fn logdet(&self) -> Var {
        let (sign, log) = self.slogdet();
        log.masked_fill(&sign.lt_scalar(0.0), f64::NAN)
    }

    /// The product of `n` copies of every matrix; of the inverse for negative `n`, and the identity for `n = 0`.
    ///
    /// # Gradient
    /// That of the products (and the inverse) of which it is put together; zero for `n = 0`.
    #[track_caller]
    pub fn matrix_power(&self, n: i64) -> Var {
        match n {
            0 => Var::record_unary("matrix_power", self.tensor().matrix_power(0), self, zero),
            1.. => {
                // What cannot be multiplied is refused under this name.
                drop(self.tensor().matrix_power(1));
                power_by_squaring(self.clone(), n.unsigned_abs(), Var::matmul)
            }
            _ => power_by_squaring(self.inv(), n.unsigned_abs(), Var::matmul),
        }
    }

    /// The pseudo-inverse `P` of every matrix; see [`tensor::Tensor::pinv`].
    ///
    /// # Gradient
    /// `dA = -P^T dP P^T + (I - A P) dP^T P P^T + P^T P dP^T (I - P A)`, which holds where the rank stays the same. Keeps `A`
    /// and `P`.
    ///
    /// # Source
    /// Golub and Pereyra, *The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
    /// separate*, 1973, theorem 4.3.
    #[track_caller]
    pub fn pinv(&self, rtol: Option<f64>) -> Var {
        let a = self.keep();
        Var::record_output("pinv", self.tensor().pinv(rtol), [self], move |p, dp, _| {
            let (pt, dpt) = (transposed(p), transposed(dp));
            let out = dpt.matmul(p).matmul(&pt);
            let back = pt.matmul(p).matmul(&dpt);
            let inside = pt.matmul(dp).matmul(&pt);
            let da = &out - a.matmul(&p.matmul(&out)) + &back - back.matmul(p).matmul(&a) - inside;
            [Some(da)]
        })
    }
}

/// A number per matrix, to multiply the matrices with.
fn matrixwise(x: &Var) -> Var {
    x.unsqueeze(-1).unsqueeze(-1)
}

/// Whether inverses of these matrices are precise enough to get cofactors from.
fn is_well_conditioned(a: &Tensor) -> bool {
    let n = a.dim(-1);
    // What is not finite gives NaN on the way through the inverse.
    if n == 0 || !a.isfinite().all().item::<bool>() {
        return true;
    }
    let least = if a.dtype() == DType::F32 { 1e-3 } else { 1e-6 };
    let s = a.svdvals();
    s.narrow(-1, n - 1, 1).gt(&s.narrow(-1, 0, 1).mul_scalar(least)).all().item()
}

/// The matrix of cofactors: `C[i, j] = (-1)^(i + j)` times the determinant of `A` without row `i` and column `j`.
///
/// With `A = U S V^T`, cofactors being multiplicative: `C = det(U) det(V) U cof(S) V^T`, and `cof(S)` is diagonal, each
/// element the product of the other singular values.
fn cofactors(a: &Var) -> Var {
    let kept = a.keep();
    let x = a.value();
    let well = is_well_conditioned(&x);
    let value = if well {
        &x.det().unsqueeze(-1).unsqueeze(-1) * &x.inv_ex().0.transpose(-1, -2)
    } else {
        let (u, s, vh) = x.svd(false);
        let others = s.unsqueeze(-2).expand(x.shape()).masked_fill(&diagonal_mask(&s), 1.0).prod_dim(-1, false);
        &(&u * &others.unsqueeze(-2)).matmul(&vh) * &orientation(&u, &vh)
    };
    Var::record_unary("cofactors", value, a, move |dc| {
        if !well {
            return cofactors_gradient(&kept, dc);
        }
        let (det, k) = (matrixwise(&kept.det()), transposed(&kept.inv()));
        let inner = (dc * &k).sum_dim([-1, -2], true);
        det * (inner * &k - k.matmul(&transposed(dc)).matmul(&k))
    })
}

/// The gradient of `A` from that of its cofactors, for any rank: no division.
///
/// To first order in `F = U^T dA V`, the cofactors of the diagonal `S + F` are `-P[i, j] F[j, i]` beside the diagonal and the
/// sum of `P[i, j] F[j, j]` over `j` other than `i` on it, where `P[i, j]` is the product of all singular values but those
/// two.
fn cofactors_gradient(a: &Var, dc: &Var) -> Var {
    let (u, s, vh) = a.svd(false);
    let (same, n) = (diagonal_mask(&s.tensor()), s.dim(-1));
    let either = same.unsqueeze(1).logical_or(&same.unsqueeze(0));
    let shape = [&s.shape()[..], &[n, n]].concat();
    let all_but_two = s.unsqueeze(-2).unsqueeze(-2).expand(shape).masked_fill(&either, 1.0).prod_dim(-1, false);
    let p = all_but_two.masked_fill(&same, 0.0);
    let g = transposed(&u).matmul(dc).matmul(&transposed(&vh));
    let on = p.matmul(&g.diagonal(0, -2, -1).unsqueeze(-1)).squeeze(-1);
    let f = on.diag_embed(0, -2, -1) - &p * transposed(&g);
    let sign = Var::new(orientation(&u.tensor(), &vh.tensor()));
    u.matmul(&f).matmul(&vh) * sign
}

/// `det(U) det(V)`, which is 1 or -1.
fn orientation(u: &Tensor, vh: &Tensor) -> Tensor {
    (&u.det() * &vh.det()).round().unsqueeze(-1).unsqueeze(-1)
}

/// True where the last two indices are the same, for as many as `s` has in its last dimension.
fn diagonal_mask(s: &Tensor) -> Tensor {
    Tensor::eye(s.dim(-1), DType::Bool)
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    fn oblong(shape: &[usize], p: &mut Pick, n: usize) -> Vec<Vec<usize>> {
        let mut shape = square_matrices(shape, p, n)[0].clone();
        let d = shape.len() - 1 - p.below(2);
        shape[d] += p.below(3);
        vec![shape]
    }
    vec![
        sample("det", &[REAL], square_matrices, |v, _| v[0].det().into()),
        sample("det", &[REAL], square_matrices, |v, _| {
            // Of rank 1.
            v[0].narrow(-1, 0, v[0].dim(-1).min(1)).matmul(&v[0].narrow(-2, 0, v[0].dim(-2).min(1))).det().into()
        }),
        sample("slogdet", &[REAL], square_matrices, |v, _| {
            let (sign, log) = regular(&v[0]).slogdet();
            vec![sign, log]
        }),
        sample("logdet", &[REAL], square_matrices, |v, _| regular(&v[0]).logdet().into()),
        sample("matrix_power", &[REAL], square_matrices, |v, p| {
            regular(&(&v[0] * 0.3)).matrix_power([-2, 0, 1, 3, 5][p.below(5)]).into()
        }),
        sample("pinv", &[REAL], oblong, |v, _| regular(&v[0]).pinv(None).into()),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![
        torch("linalg.det", &["det"], |a| done(a.var(0, "A")?.det())),
        torch("linalg.slogdet", &["slogdet"], |a| done(a.var(0, "A")?.slogdet())),
        torch("linalg.pinv", &["pinv"], |a| {
            let rtol = match a.raw(2, "rtol") {
                Some(Arg::Tensor(t)) if t.numel() == 1 => Some(t.item::<f64>()),
                Some(Arg::Tensor(_)) => return skip("a tolerance for each matrix"),
                _ => a.opt_number(2, "rtol")?,
            };
            if a.flag(3, "hermitian", false)? {
                return skip("`hermitian`");
            }
            done(a.var(0, "A")?.pinv(rtol))
        }),
        torch("logdet", &["logdet"], |a| done(a.var(0, "input")?.logdet())),
        torch("linalg.matrix_power", &["matrix_power"], |a| done(a.var(0, "A")?.matrix_power(a.int(1, "n")? as i64))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GradOptions, grad, gradcheck, gradgradcheck};

    fn leaf(x: Tensor) -> Var {
        Var::new(x).requires_grad_(true)
    }

    /// An orthogonal matrix.
    fn turn(n: usize) -> Tensor {
        let values = (0..n * n).map(|i| (i as f64 * 1.7).sin()).collect();
        Tensor::from_vec(values, [n, n]).qr(tensor::QrMode::Reduced).0
    }

    #[test]
    fn determinants_of_every_rank_and_of_equal_singular_values() {
        let (u, v) = (turn(4), turn(4).t());
        for s in [
            [1.0; 4],
            [2.0, 1.0, 1.0, 0.0],
            [2.0, 2.0, 0.0, 0.0],
            [1.0, 0.0, 0.0, 0.0],
            [0.0; 4],
            [3.0, 1.0, 1e-9, 1e-9],
        ] {
            let a = leaf(u.matmul(&Tensor::from(s).diag(0)).matmul(&v));
            gradcheck(|x| x[0].det(), std::slice::from_ref(&a), Default::default())
                .unwrap_or_else(|e| panic!("{s:?}: {e}"));
            gradgradcheck(|x| x[0].det(), &[a], Default::default()).unwrap_or_else(|e| panic!("{s:?}: {e}"));
        }
    }

    #[test]
    fn both_ways_to_the_cofactors_agree() {
        let a = turn(3) * 2.0 + 1.0;
        assert!(is_well_conditioned(&a));
        let dc = Var::new(turn(3));
        let kept = leaf(a);
        let c = cofactors(&kept);
        let [plain] =
            &grad(&[&c], &[&kept], GradOptions { grad_outputs: Some(vec![dc.clone()]), ..Default::default() })[..]
        else {
            panic!("one gradient")
        };
        let other = cofactors_gradient(&kept, &dc);
        assert!(plain.as_ref().unwrap().value().allclose(&other.value(), 1e-12, 1e-12));
    }

    #[test]
    fn a_third_derivative() {
        // det(t I) = t^3.
        let t = leaf(Tensor::scalar(2.0));
        let eye = Var::new(Tensor::eye(3, DType::F64));
        let create = || GradOptions { create_graph: true, ..Default::default() };
        let mut y = (&t * &eye).det();
        for expected in [12.0, 12.0, 6.0] {
            y = grad(&[&y], &[&t], create())[0].clone().unwrap();
            assert!((y.item::<f64>() - expected).abs() < 1e-10, "{y}");
        }
    }

    #[test]
    fn logarithms_of_singular_and_of_negative_determinants() {
        let a = leaf(Tensor::from([[1.0, 2.0], [2.0, 4.0]]));
        a.slogdet().1.backward();
        assert!(a.grad().unwrap().isinf().all().item::<bool>());
        let negative = leaf(Tensor::from([[-1.0]]));
        let y = negative.logdet();
        assert!(y.item::<f64>().is_nan());
        y.backward();
        assert_eq!(negative.grad().unwrap().to_vec::<f64>(), [0.0]);
        let nan = leaf(Tensor::from([[f64::NAN]]));
        nan.det().backward();
        assert!(nan.det().isnan().item::<bool>());
    }

    #[test]
    fn powers_of_integers_and_of_zero() {
        let a = leaf(Tensor::from([[f64::NAN]]));
        a.matrix_power(0).sum().backward();
        assert_eq!(a.grad().unwrap().to_vec::<f64>(), [0.0]);
        assert_eq!(Var::new(Tensor::from([[2i64]])).matrix_power(5).item::<i64>(), 32);
    }
}
