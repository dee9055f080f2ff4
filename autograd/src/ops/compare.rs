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
        .reads("condition", cond)
    }

    /// `x` with `value` put where `mask` holds; both broadcast.
    ///
    /// # Gradient
    /// `dx = dy`, zero where `mask` holds. Keeps `mask`.
    #[track_caller]
    pub fn masked_fill(&self, mask: &Tensor, value: f64) -> Var {
        let kept = mask.clone();
        Var::record_unary("masked_fill", self.tensor().masked_fill(mask, value), self, move |dy| {
            dy.masked_fill(&kept, 0.0)
        })
        .reads("mask", mask)
    }

    /// `x` with the 0-d `value` put where `mask` holds; `x` and the mask broadcast.
    ///
    /// # Gradient
    /// `dx = dy`, zero where `mask` holds; `dvalue` is the sum of `dy` there. Keeps `mask`.
    #[track_caller]
    pub fn masked_fill_tensor(&self, mask: &Tensor, value: &Var) -> Var {
        let kept = mask.clone();
        let y = self.tensor().masked_fill_tensor(mask, &value.tensor());
        Var::record("masked_fill_tensor", y, [self, value], move |dy, need| {
            [need.of(0, || dy.masked_fill(&kept, 0.0)), need.of(1, || dy.masked_fill(&kept.logical_not(), 0.0))]
        })
        .reads("mask", mask)
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
        sample("masked_fill", &[REAL], same, |v, pick| {
            let rows = [&[2], &v[0].shape()[..]].concat();
            let shape = if pick.coin() { &rows[..] } else { &rows[1..] };
            v[0].masked_fill(&pick.mask(shape), 3.0).into()
        }),
        sample("masked_fill_tensor", &[REAL, REAL], same, |v, pick| {
            v[0].masked_fill_tensor(&pick.mask(&v[0].shape()), &v[1].sum()).into()
        }),
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

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    macro_rules! comparisons {
        ($($name:ident)*) => {
            vec![$(torch(stringify!($name), &[stringify!($name)], |a| {
                done(a.var(0, "input")?.$name(&a.var(1, "other")?))
            })),*]
        };
    }
    macro_rules! questions {
        ($($name:ident)*) => {
            vec![$(torch(stringify!($name), &[stringify!($name)], |a| done(a.var(0, "input")?.$name()))),*]
        };
    }
    let mut all = comparisons! { eq ne lt le gt ge };
    all.extend(questions! { isnan isinf isfinite });
    all.push(torch("where", &["where_"], |a| {
        done(Var::where_(&a.tensor(1, "condition")?, &a.var(0, "input")?, &a.var(2, "other")?))
    }));
    all.push(torch("masked_fill", &["masked_fill", "masked_fill_tensor"], |a| {
        let (x, mask) = (a.var(0, "input")?, a.tensor(1, "mask")?);
        done(match a.is_tensor(2, "value") {
            true => x.masked_fill_tensor(&mask, &a.var(2, "value")?),
            false => x.masked_fill(&mask, a.number(2, "value")?),
        })
    }));
    all
}
