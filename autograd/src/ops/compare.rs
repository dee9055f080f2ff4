//! Comparisons, which give masks, and the operations that masks steer.
//!
//! A mask is a plain `Bool` [`Tensor`]: no gradient flows through it.

use tensor::Tensor;

use crate::var::Var;

/// The comparisons by name: with another value, and with a number.
macro_rules! comparison {
    ($($method:ident, $scalar:ident, $symbol:literal;)*) => {
        impl Var {
            $(
                #[doc = concat!("Where `a ", $symbol, " b`, broadcast: a mask, through which no gradient flows.")]
                #[track_caller]
                pub fn $method(&self, other: &Var) -> Tensor {
                    self.tensor().$method(&other.tensor())
                }

                #[doc = concat!("Where `x ", $symbol, " s`: a mask, through which no gradient flows.")]
                #[track_caller]
                pub fn $scalar(&self, s: f64) -> Tensor {
                    self.tensor().$scalar(s)
                }
            )*
        }
    };
}

comparison! {
    eq, eq_scalar, "==";
    ne, ne_scalar, "!=";
    lt, lt_scalar, "<";
    le, le_scalar, "<=";
    gt, gt_scalar, ">";
    ge, ge_scalar, ">=";
}

impl Var {
    /// Where `x` is not a number: a mask.
    #[track_caller]
    pub fn isnan(&self) -> Tensor {
        self.tensor().isnan()
    }

    /// Where `x` is infinite: a mask.
    #[track_caller]
    pub fn isinf(&self) -> Tensor {
        self.tensor().isinf()
    }

    /// Where `x` is finite: a mask.
    #[track_caller]
    pub fn isfinite(&self) -> Tensor {
        self.tensor().isfinite()
    }

    /// `a` where `cond`, else `b`; all three broadcast.
    ///
    /// # Gradient
    /// `dy` to the side that was chosen, zero to the other. Keeps `cond`.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([-4.0, 9.0])).requires_grad_(true);
    /// let positive = x.gt_scalar(0.0);
    /// // The root of the negative number is never taken, so that its gradient cannot spoil the other.
    /// let safe = Var::where_(&positive, &x, &Var::scalar(1.0));
    /// Var::where_(&positive, &safe.sqrt(), &x).sum().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [1.0, 1.0 / 6.0]);
    /// ```
    #[track_caller]
    pub fn where_(cond: &Tensor, a: &Var, b: &Var) -> Var {
        let mask = cond.clone();
        Var::record("where", Tensor::where_(cond, &a.tensor(), &b.tensor()), [a, b], move |dy, need| {
            [need.of(0, || dy.masked_fill(&mask.logical_not(), 0.0)), need.of(1, || dy.masked_fill(&mask, 0.0))]
        })
    }

    /// `x` with `value` put where `mask` holds; the mask broadcasts.
    ///
    /// # Gradient
    /// `dx = dy`, zero where `mask` holds. Keeps `mask`.
    #[track_caller]
    pub fn masked_fill(&self, mask: &Tensor, value: f64) -> Var {
        let kept = mask.clone();
        Var::record_unary("masked_fill", self.tensor().masked_fill(mask, value), self, move |dy| {
            dy.masked_fill(&kept, 0.0)
        })
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    let mut table = vec![
        sample("isnan", &[REAL], same, |v, _| mask(v[0].isnan())),
        sample("isinf", &[REAL], same, |v, _| mask(v[0].isinf())),
        sample("isfinite", &[REAL], same, |v, _| mask(v[0].isfinite())),
        sample("where_", &[REAL, REAL], broadcast, |v, pick| {
            let cond = pick.mask(&v[0].add(&v[1]).shape());
            Var::where_(&cond, &v[0], &v[1]).into()
        }),
        sample("masked_fill", &[REAL], same, |v, pick| v[0].masked_fill(&pick.mask(&v[0].shape()), 3.0).into()),
    ];
    macro_rules! comparisons {
        ($($method:ident, $scalar:ident;)*) => {
            $(
                let compared = |v: &[Var], _: &mut Pick| mask(v[0].$method(&v[1]));
                table.push(sample(stringify!($method), &[DISTINCT, DISTINCT], broadcast, compared));
                table.push(sample(stringify!($scalar), &[NONZERO], same, |v, _| mask(v[0].$scalar(0.0))));
            )*
        };
    }
    comparisons! { eq, eq_scalar; ne, ne_scalar; lt, lt_scalar; le, le_scalar; gt, gt_scalar; ge, ge_scalar; }
    table
}
