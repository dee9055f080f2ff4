//! Running results along one dimension.

use tensor::Tensor;

use crate::var::Var;

impl Var {
    /// The running sum along `dim`.
    ///
    /// # Gradient
    /// `dx_i = sum_{j >= i} dy_j`.
    #[track_caller]
    pub fn cumsum(&self, dim: isize) -> Var {
        Var::record_unary("cumsum", self.tensor().cumsum(dim), self, move |dy| dy.flip(&[dim]).cumsum(dim).flip(&[dim]))
    }

    /// The running product along `dim`.
    ///
    /// # Gradient
    /// `dx_i = y_{i-1} g_i`, where `g_i = dy_i + x_{i+1} g_{i+1}` runs backwards: no division, so that it holds at zeros.
    /// Keeps `x` and `y`.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([2.0, 0.0, 3.0])).requires_grad_(true);
    /// x.cumprod(0).sum().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [1.0, 8.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn cumprod(&self, dim: isize) -> Var {
        let x = self.keep();
        Var::record_output("cumprod", self.tensor().cumprod(dim), [self], move |y, dy, _| {
            [Some(match y.ndim() {
                0 => dy.clone(),
                _ => backwards(&x, dy, dim) * delayed(y, 1.0, dim),
            })]
        })
    }

    /// The greatest elements so far along `dim` and their indices, the last one among equals.
    ///
    /// # Gradient
    /// `dy` to the elements at the indices. Keeps the indices.
    #[track_caller]
    pub fn cummax(&self, dim: isize) -> (Var, Tensor) {
        let (values, indices) = self.tensor().cummax(dim);
        (self.picked("cummax", values, &indices, dim, true), indices)
    }

    /// The least elements so far along `dim` and their indices, the last one among equals.
    ///
    /// # Gradient
    /// As [`Var::cummax`].
    #[track_caller]
    pub fn cummin(&self, dim: isize) -> (Var, Tensor) {
        let (values, indices) = self.tensor().cummin(dim);
        (self.picked("cummin", values, &indices, dim, true), indices)
    }

    /// `log sum e^x` of the elements so far along `dim`, without overflow.
    ///
    /// # Gradient
    /// `dx_i = sum_{j >= i} dy_j e^(x_i - y_j)`, every factor of which is at most 1; zero where `x` is negative infinity.
    /// Keeps `x` and `y`.
    #[track_caller]
    pub fn logcumsumexp(&self, dim: isize) -> Var {
        let x = self.keep();
        Var::record_output("logcumsumexp", self.tensor().logcumsumexp(dim), [self], move |y, dy, _| {
            // e^(a - b), 0 for an a of negative infinity whatever b.
            let ratio = |a: &Var, b: &Var| {
                let nothing = a.tensor().eq_scalar(f64::NEG_INFINITY);
                (a - b).masked_fill(&nothing, f64::NEG_INFINITY).exp()
            };
            [Some(match y.ndim() {
                0 => dy.clone(),
                _ => {
                    // g_i = dy_i + e^(y_i - y_{i+1}) g_{i+1}; after the last comes nothing, however great it is.
                    let (last_first, dy) = (y.flip(&[dim]), dy.flip(&[dim]));
                    let decay = ratio(&last_first, &delayed(&last_first, f64::INFINITY, dim));
                    let g = Var::linear_recurrence(&decay, &dy, dim).flip(&[dim]);
                    ratio(&x, y) * g
                }
            })]
        })
    }

    /// `y_i = a_i y_{i-1} + b_i` along `dim`, from `y_0 = b_0` on; `a` and `b` broadcast.
    ///
    /// # Gradient
    /// `db_i = dy_i + a_{i+1} db_{i+1}`, which runs backwards, and `da_i = y_{i-1} db_i`. Keeps `a` and `y`.
    #[track_caller]
    pub fn linear_recurrence(a: &Var, b: &Var, dim: isize) -> Var {
        let kept = a.keep_for(&[a, b]);
        let value = Tensor::linear_recurrence(&a.tensor(), &b.tensor(), dim);
        Var::record_output("linear_recurrence", value, [a, b], move |y, dy, need| {
            if y.ndim() == 0 {
                return [need.of(0, || dy * 0.0), need.of(1, || dy.clone())];
            }
            let g = backwards(&kept.expand(y.shape()), dy, dim);
            [need.of(0, || &g * delayed(y, 0.0, dim)), need.of(1, || g.clone())]
        })
    }
}

/// The elements one place later along `dim`, `first` before them; the last one is left out.
fn delayed(x: &Var, first: f64, dim: isize) -> Var {
    let n = x.dim(dim);
    if n == 0 {
        return x.clone();
    }
    let edge = Var::new(Tensor::full_like(&x.tensor().narrow(dim, 0, 1), first));
    Var::cat(&[edge, x.narrow(dim, 0, n - 1)], dim)
}

/// `g_i = dy_i + a_{i+1} g_{i+1}` along `dim`.
fn backwards(a: &Var, dy: &Var, dim: isize) -> Var {
    let a = delayed(&a.flip(&[dim]), 0.0, dim);
    Var::linear_recurrence(&a, &dy.flip(&[dim]), dim).flip(&[dim])
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("cumsum", &[REAL], at_least_1d, |v, p| v[0].cumsum(p.dim(v[0].ndim())).into()),
        sample("cumprod", &[REAL], at_least_1d, |v, p| v[0].cumprod(p.dim(v[0].ndim())).into()),
        sample("cummax", &[DISTINCT], at_least_1d, |v, p| v[0].cummax(p.dim(v[0].ndim())).0.into()),
        sample("cummin", &[DISTINCT], at_least_1d, |v, p| v[0].cummin(p.dim(v[0].ndim())).0.into()),
        sample("logcumsumexp", &[REAL], at_least_1d, |v, p| v[0].logcumsumexp(p.dim(v[0].ndim())).into()),
        sample("linear_recurrence", &[REAL, REAL], at_least_1d, |v, p| {
            let a = if p.coin() { v[0].clone() } else { v[0].sum_dim(p.dim(v[0].ndim()), true) };
            Var::linear_recurrence(&a, &v[1], p.dim(v[1].ndim())).into()
        }),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    fn converted(a: &Args) -> Result<(Var, isize), Skip> {
        let x = a.var(0, "input")?;
        let x = a.opt_dtype(9, "dtype")?.map_or_else(|| x.clone(), |dtype| x.to_dtype(dtype));
        Ok((x, a.int(1, "dim")?))
    }
    vec![
        torch("cumsum", &["cumsum"], |a| converted(a).and_then(|(x, dim)| done(x.cumsum(dim)))),
        torch("cumprod", &["cumprod"], |a| converted(a).and_then(|(x, dim)| done(x.cumprod(dim)))),
        torch("cummax", &["cummax"], |a| done(a.var(0, "input")?.cummax(a.int(1, "dim")?))),
        torch("cummin", &["cummin"], |a| done(a.var(0, "input")?.cummin(a.int(1, "dim")?))),
        torch("logcumsumexp", &["logcumsumexp"], |a| done(a.var(0, "input")?.logcumsumexp(a.int(1, "dim")?))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gradient_at;

    const NOTHING: f64 = f64::NEG_INFINITY;

    #[test]
    fn products_with_zeros() {
        let x = [Var::new(Tensor::from([2.0, 0.0, 3.0, 0.0, 4.0])).requires_grad_(true)];
        crate::gradcheck(|v| v[0].cumprod(0), &x, Default::default()).unwrap();
        crate::gradgradcheck(|v| v[0].cumprod(0), &x, Default::default()).unwrap();
    }

    #[test]
    fn ties_and_excluded_elements() {
        assert_eq!(gradient_at(&[1.0, 3.0, 3.0, 2.0], |x| x.cummax(0).0), [1.0, 1.0, 2.0, 0.0]);
        assert_eq!(gradient_at(&[1.0, 1.0, 3.0], |x| x.cummin(0).0), [1.0, 2.0, 0.0]);
        assert_eq!(gradient_at(&[NOTHING, NOTHING, 1.0], |x| x.logcumsumexp(0)), [0.0, 0.0, 1.0]);
        assert_eq!(gradient_at(&[1e4, -1e4], |x| x.logcumsumexp(0)), [2.0, 0.0]);
    }

    #[test]
    fn scalars() {
        let x = Var::new(Tensor::scalar(3.0)).requires_grad_(true);
        (x.cumprod(0) + x.logcumsumexp(-1) + x.cumsum(0) + Var::linear_recurrence(&x, &x, 0)).backward();
        assert_eq!(x.grad().unwrap().item::<f64>(), 4.0);
    }
}
