//! Variances, medians, counts, and sums that pass over NaN.

use tensor::{DType, Dims, Tensor};

use crate::ops::extremum::share_among_ties;
use crate::ops::reduce::Over;
use crate::record::is_recorded;
use crate::var::Var;

impl Var {
    /// The variance of all elements with Bessel's correction, 0-d.
    ///
    /// # Gradient
    /// As [`Var::var_dim`].
    #[track_caller]
    pub fn var(&self) -> Var {
        self.var_dim([], 1.0, false)
    }

    /// The variance over `dims`: `sum (x - mean)^2 / (n - correction)`; an empty list means all.
    ///
    /// # Gradient
    /// `dx = dy 2 (x - mean) / (n - correction)`. Where `n` does not exceed the correction it is infinite, or NaN at the
    /// mean. Keeps `x`.
    #[track_caller]
    pub fn var_dim(&self, dims: impl Into<Dims>, correction: f64, keepdim: bool) -> Var {
        let over = Over::new("var_dim", self, &dims.into(), keepdim);
        let value = self.tensor().var_dim(&over.dims, correction, keepdim);
        self.variance("var_dim", value, over, correction)
    }

    /// The standard deviation of all elements with Bessel's correction, 0-d.
    ///
    /// # Gradient
    /// As [`Var::std_dim`].
    #[track_caller]
    pub fn std(&self) -> Var {
        self.std_dim([], 1.0, false)
    }

    /// The standard deviation over `dims`: the root of [`Var::var_dim`].
    ///
    /// # Gradient
    /// `dx = dy (x - mean) / ((n - correction) y)`, zero where `y = 0`. Keeps `x` and `y`.
    #[track_caller]
    pub fn std_dim(&self, dims: impl Into<Dims>, correction: f64, keepdim: bool) -> Var {
        let over = Over::new("std_dim", self, &dims.into(), keepdim);
        let value = self.tensor().std_dim(&over.dims, correction, keepdim);
        self.deviation("std_dim", value, over, correction)
    }

    /// The variance (with Bessel's correction) and the mean of all elements, 0-d.
    ///
    /// # Gradient
    /// The sum of those of [`Var::var`] and [`Var::mean`].
    #[track_caller]
    pub fn var_mean(&self) -> (Var, Var) {
        self.var_mean_dim([], 1.0, false)
    }

    /// The variance and the mean over `dims`: [`Var::var_dim`] and [`Var::mean_dim`] in one.
    ///
    /// # Gradient
    /// The sum of theirs. Keeps `x`.
    #[track_caller]
    pub fn var_mean_dim(&self, dims: impl Into<Dims>, correction: f64, keepdim: bool) -> (Var, Var) {
        let over = Over::new("var_mean_dim", self, &dims.into(), keepdim);
        let (var, mean) = self.tensor().var_mean_dim(&over.dims, correction, keepdim);
        let mean = self.average("var_mean_dim", mean, over.clone());
        (self.variance("var_mean_dim", var, over, correction), mean)
    }

    /// The standard deviation (with Bessel's correction) and the mean of all elements, 0-d.
    ///
    /// # Gradient
    /// The sum of those of [`Var::std`] and [`Var::mean`].
    #[track_caller]
    pub fn std_mean(&self) -> (Var, Var) {
        self.std_mean_dim([], 1.0, false)
    }

    /// The standard deviation and the mean over `dims`: [`Var::std_dim`] and [`Var::mean_dim`] in one.
    ///
    /// # Gradient
    /// The sum of theirs. Keeps `x` and the deviation.
    #[track_caller]
    pub fn std_mean_dim(&self, dims: impl Into<Dims>, correction: f64, keepdim: bool) -> (Var, Var) {
        let over = Over::new("std_mean_dim", self, &dims.into(), keepdim);
        let (std, mean) = self.tensor().std_mean_dim(&over.dims, correction, keepdim);
        let mean = self.average("std_mean_dim", mean, over.clone());
        (self.deviation("std_mean_dim", std, over, correction), mean)
    }

    #[track_caller]
    fn variance(&self, name: &'static str, value: Tensor, over: Over, correction: f64) -> Var {
        let x = self.keep();
        Var::record_unary(name, value, self, move |dy| variance_backward(&x, dy, &over, correction))
    }

    #[track_caller]
    fn deviation(&self, name: &'static str, value: Tensor, over: Over, correction: f64) -> Var {
        let x = self.keep();
        Var::record_output(name, value, [self], move |y, dy, _| {
            let constant = y.tensor().eq_scalar(0.0);
            let scale = (dy / (y.masked_fill(&constant, 1.0) * 2.0)).masked_fill(&constant, 0.0);
            [Some(variance_backward(&x, &scale, &over, correction))]
        })
    }

    #[track_caller]
    fn average(&self, name: &'static str, value: Tensor, over: Over) -> Var {
        Var::record_unary(name, value, self, move |dy| (over.stretch(dy) / over.count()).expand(&over.shape))
    }

    /// How many elements over `dims` differ from zero; an empty list means all. No gradient flows through it.
    #[track_caller]
    pub fn count_nonzero(&self, dims: impl Into<Dims>) -> Tensor {
        self.tensor().count_nonzero(dims)
    }

    /// The sum over `dims`, to which NaN adds nothing; an empty list means all.
    ///
    /// # Gradient
    /// `dx = dy`, zero at NaN. Keeps a mask.
    #[track_caller]
    pub fn nansum(&self, dims: impl Into<Dims>, keepdim: bool) -> Var {
        let over = Over::new("nansum", self, &dims.into(), keepdim);
        let (value, nan) = (self.tensor().nansum(&over.dims, keepdim), self.nan_mask());
        Var::record_unary("nansum", value, self, move |dy| {
            over.stretch(dy).masked_fill(nan.as_ref().expect("kept for the gradient"), 0.0)
        })
    }

    /// The mean over `dims` of the elements that are not NaN; an empty list means all.
    ///
    /// # Gradient
    /// `dx = dy / count`, zero at NaN. Keeps a mask.
    #[track_caller]
    pub fn nanmean(&self, dims: impl Into<Dims>, keepdim: bool) -> Var {
        let over = Over::new("nanmean", self, &dims.into(), keepdim);
        let (value, nan) = (self.tensor().nanmean(&over.dims, keepdim), self.nan_mask());
        Var::record_unary("nanmean", value, self, move |dy| {
            let nan = nan.as_ref().expect("kept for the gradient");
            // A half could not hold a large count.
            let count = nan.logical_not().sum_dim(&over.dims, true).to_dtype(dy.dtype().promote(DType::F32));
            (over.stretch(dy) / Var::new(count)).masked_fill(nan, 0.0)
        })
    }

    /// Where NaN is, if a gradient will ask.
    fn nan_mask(&self) -> Option<Tensor> {
        is_recorded(&[self]).then(|| self.tensor().isnan())
    }

    /// The element in the middle of all in order, the lower one of two, 0-d.
    ///
    /// # Gradient
    /// `dy` shared evenly among all elements equal to the median. Keeps `x` and `y`.
    #[track_caller]
    pub fn median(&self) -> Var {
        self.middle("median", self.tensor().median())
    }

    /// The element in the middle of all that are not NaN, the lower one of two, 0-d.
    ///
    /// # Gradient
    /// As [`Var::median`].
    #[track_caller]
    pub fn nanmedian(&self) -> Var {
        self.middle("nanmedian", self.tensor().nanmedian())
    }

    #[track_caller]
    fn middle(&self, name: &'static str, value: Tensor) -> Var {
        let (x, over) = (self.keep(), Over::new(name, self, &Dims::default(), false));
        Var::record_output(name, value, [self], move |y, dy, _| [Some(share_among_ties(&x, y, dy, &over))])
    }

    /// The middle elements along `dim`, the lower one of two, and their indices.
    ///
    /// # Gradient
    /// `dy` to the element at the index. Keeps the indices.
    #[track_caller]
    pub fn median_dim(&self, dim: isize, keepdim: bool) -> (Var, Tensor) {
        let (values, indices) = self.tensor().median_dim(dim, keepdim);
        (self.picked("median_dim", values, &indices, dim, keepdim), indices)
    }

    /// The middle elements along `dim` among those that are not NaN, and their indices.
    ///
    /// # Gradient
    /// `dy` to the element at the index. Keeps the indices.
    #[track_caller]
    pub fn nanmedian_dim(&self, dim: isize, keepdim: bool) -> (Var, Tensor) {
        let (values, indices) = self.tensor().nanmedian_dim(dim, keepdim);
        (self.picked("nanmedian_dim", values, &indices, dim, keepdim), indices)
    }
}

/// The gradient of the variance of `x`.
fn variance_backward(x: &Var, dy: &Var, over: &Over, correction: f64) -> Var {
    let (mean, free) = (x.mean_dim(&over.dims, true), over.count() - correction);
    if free > 0.0 {
        return over.stretch(dy) * ((x - mean) * (2.0 / free));
    }
    let at_mean = x.tensor().eq(&mean.tensor());
    let slope = Tensor::full(&over.shape, f64::INFINITY, x.dtype()).masked_fill(&at_mean, f64::NAN);
    over.stretch(dy) * Var::new(slope)
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    fn both((a, b): (Var, Var)) -> Vec<Var> {
        vec![a, b]
    }
    vec![
        sample("var", &[REAL], several, |v, _| v[0].var().into()),
        sample("var_dim", &[REAL], several, |v, p| v[0].var_dim(p.dims(v[0].ndim()), 0.5, p.coin()).into()),
        sample("std", &[DISTINCT], several, |v, _| v[0].std().into()),
        sample("std_dim", &[DISTINCT], several, |v, p| v[0].std_dim(p.dims(v[0].ndim()), 0.5, p.coin()).into()),
        sample("var_mean", &[REAL], several, |v, _| both(v[0].var_mean())),
        sample("var_mean_dim", &[REAL], several, |v, p| both(v[0].var_mean_dim(p.dims(v[0].ndim()), -2.0, p.coin()))),
        sample("std_mean", &[DISTINCT], several, |v, _| both(v[0].std_mean())),
        sample("std_mean_dim", &[DISTINCT], several, |v, p| {
            both(v[0].std_mean_dim(p.dims(v[0].ndim()), 0.0, p.coin()))
        }),
        sample("count_nonzero", &[REAL], same, |v, p| mask(v[0].floor().count_nonzero(p.dims(v[0].ndim())))),
        sample("nansum", &[REAL], same, |v, p| v[0].nansum(p.dims(v[0].ndim()), p.coin()).into()),
        sample("nanmean", &[REAL], nonempty, |v, p| v[0].nanmean(p.dims(v[0].ndim()), p.coin()).into()),
        sample("median", &[DISTINCT], nonempty, |v, _| v[0].median().into()),
        sample("nanmedian", &[DISTINCT], nonempty, |v, _| v[0].nanmedian().into()),
        sample("median_dim", &[DISTINCT], rows, |v, p| v[0].median_dim(p.dim(v[0].ndim()), p.coin()).0.into()),
        sample("nanmedian_dim", &[DISTINCT], rows, |v, p| v[0].nanmedian_dim(p.dim(v[0].ndim()), p.coin()).0.into()),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    /// Input, dimensions, correction, keepdim. `unbiased` alone may stand in the place of the dimensions.
    fn moments(a: &Args) -> Result<(Var, Vec<isize>, f64, bool), Skip> {
        let x = a.var(0, "input")?;
        if let Some(&Arg::Bool(unbiased)) = a.raw(1, "dim") {
            return Ok((x, vec![], unbiased as u8 as f64, false));
        }
        let default = a.flag(2, "unbiased", true)? as u8 as f64;
        let keepdim = a.flag(3, "keepdim", false)?;
        Ok((x, a.dims(1, "dim")?, a.number_or(9, "correction", default)?, keepdim))
    }
    let var =
        |a: &Args| moments(a).and_then(|(x, dims, correction, keepdim)| done(x.var_dim(dims, correction, keepdim)));
    let std =
        |a: &Args| moments(a).and_then(|(x, dims, correction, keepdim)| done(x.std_dim(dims, correction, keepdim)));
    vec![
        torch("var", &["var_dim"], var),
        torch("var:unbiased", &["var_dim"], var),
        torch("std", &["std_dim"], std),
        torch("std:unbiased", &["std_dim"], std),
        torch("var_mean", &["var_mean_dim"], |a| {
            moments(a).and_then(|(x, dims, correction, keepdim)| done(x.var_mean_dim(dims, correction, keepdim)))
        }),
        torch("var_mean:unbiased", &["var_mean_dim"], |a| {
            moments(a).and_then(|(x, dims, correction, keepdim)| done(x.var_mean_dim(dims, correction, keepdim)))
        }),
        torch("std_mean:unbiased", &["std_mean_dim"], |a| {
            moments(a).and_then(|(x, dims, correction, keepdim)| done(x.std_mean_dim(dims, correction, keepdim)))
        }),
        torch("nansum", &["nansum"], |a| {
            done(a.var(0, "input")?.nansum(a.dims(1, "dim")?, a.flag(2, "keepdim", false)?))
        }),
        torch("nanmean", &["nanmean"], |a| {
            done(a.var(0, "input")?.nanmean(a.dims(1, "dim")?, a.flag(2, "keepdim", false)?))
        }),
        torch("nanmedian", &["nanmedian", "nanmedian_dim"], |a| {
            let (x, dim, keepdim) = (a.var(0, "input")?, a.opt_int(1, "dim")?, a.flag(2, "keepdim", false)?);
            dim.map_or_else(|| done(x.nanmedian()), |dim| done(x.nanmedian_dim(dim, keepdim)))
        }),
        torch("std_mean", &["std_mean_dim"], |a| {
            moments(a).and_then(|(x, dims, correction, keepdim)| done(x.std_mean_dim(dims, correction, keepdim)))
        }),
        torch("count_nonzero", &["count_nonzero"], |a| done(a.var(0, "input")?.count_nonzero(a.dims(1, "dim")?))),
        torch("median", &["median", "median_dim"], |a| {
            let (x, dim, keepdim) = (a.var(0, "input")?, a.opt_int(1, "dim")?, a.flag(2, "keepdim", false)?);
            dim.map_or_else(|| done(x.median()), |dim| done(x.median_dim(dim, keepdim)))
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gradient_at;

    const NAN: f64 = f64::NAN;

    #[test]
    fn a_constant_has_no_slope_of_deviation() {
        assert_eq!(gradient_at(&[2.0, 2.0, 2.0], |x| x.std_dim(0, 1.0, false)), [0.0; 3]);
    }

    #[test]
    fn too_few_for_the_correction() {
        assert_eq!(gradient_at(&[1.0, 1.0, 2.0], |x| x.var_dim(0, 4.0, false)), [f64::INFINITY; 3]);
        for slope in [gradient_at(&[1.0], Var::var), gradient_at(&[1.0, 2.0], |x| x.std_dim(0, 3.0, false))] {
            assert!(slope.iter().all(|dx| dx.is_nan()), "{slope:?}");
        }
    }

    #[test]
    fn ties_and_nan() {
        assert_eq!(gradient_at(&[1.0, 2.0, 2.0, 3.0], Var::median), [0.0, 0.5, 0.5, 0.0]);
        assert_eq!(gradient_at(&[1.0, 2.0, 2.0, 3.0], |x| x.median_dim(0, false).0), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(gradient_at(&[1.0, NAN, 2.0, NAN], Var::median), [0.0, 0.5, 0.0, 0.5]);
        assert_eq!(gradient_at(&[1.0, NAN, 2.0, NAN], Var::nanmedian), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(gradient_at(&[1.0, NAN, 2.0], |x| x.nansum([], false)), [1.0, 0.0, 1.0]);
        assert_eq!(gradient_at(&[1.0, NAN, 2.0], |x| x.nanmean(0, true)), [0.5, 0.0, 0.5]);
    }
}
