//! Largest and smallest elements.

use tensor::{DType, Dims, Tensor};

use crate::ops::reduce::Over;
use crate::var::Var;

impl Var {
    /// The largest element, 0-d.
    ///
    /// # Gradient
    /// `dy` shared evenly among all elements equal to the maximum. Keeps `x` and `y`.
    #[track_caller]
    pub fn max(&self) -> Var {
        let (x, over) = (self.keep(), Over::new("max", self, &Dims::default(), false));
        Var::record_output("max", self.tensor().max(), [self], move |y, dy, _| {
            [Some(share_among_ties(&x, y, dy, &over))]
        })
    }

    /// The smallest element, 0-d.
    ///
    /// # Gradient
    /// As [`Var::max`].
    #[track_caller]
    pub fn min(&self) -> Var {
        let (x, over) = (self.keep(), Over::new("min", self, &Dims::default(), false));
        Var::record_output("min", self.tensor().min(), [self], move |y, dy, _| {
            [Some(share_among_ties(&x, y, dy, &over))]
        })
    }

    /// The largest element over `dims`; an empty list means all.
    ///
    /// # Gradient
    /// `dy` shared evenly among all elements equal to the maximum. Keeps `x` and `y`.
    #[track_caller]
    pub fn amax(&self, dims: impl Into<Dims>, keepdim: bool) -> Var {
        let (x, over) = (self.keep(), Over::new("amax", self, &dims.into(), keepdim));
        let value = self.tensor().amax(&over.dims, keepdim);
        Var::record_output("amax", value, [self], move |y, dy, _| [Some(share_among_ties(&x, y, dy, &over))])
    }

    /// The smallest element over `dims`; an empty list means all.
    ///
    /// # Gradient
    /// As [`Var::amax`].
    #[track_caller]
    pub fn amin(&self, dims: impl Into<Dims>, keepdim: bool) -> Var {
        let (x, over) = (self.keep(), Over::new("amin", self, &dims.into(), keepdim));
        let value = self.tensor().amin(&over.dims, keepdim);
        Var::record_output("amin", value, [self], move |y, dy, _| [Some(share_among_ties(&x, y, dy, &over))])
    }

    /// The smallest and the largest element over `dims`: [`Var::amin`] and [`Var::amax`].
    ///
    /// # Gradient
    /// The sum of theirs.
    #[track_caller]
    pub fn aminmax(&self, dims: impl Into<Dims>, keepdim: bool) -> (Var, Var) {
        let dims = dims.into();
        (self.amin(&dims, keepdim), self.amax(dims, keepdim))
    }

    /// The largest elements along `dim` and their indices.
    ///
    /// # Gradient
    /// `dy` to the element at the index. Keeps the indices.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([[1.0, 5.0], [7.0, 7.0]])).requires_grad_(true);
    /// let (values, indices) = x.max_dim(1, false);
    /// assert_eq!(indices.to_vec::<i64>(), [1, 0]);
    /// values.sum().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.0, 1.0, 1.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn max_dim(&self, dim: isize, keepdim: bool) -> (Var, Tensor) {
        let (values, indices) = self.tensor().max_dim(dim, keepdim);
        (self.picked("max_dim", values, &indices, dim, keepdim), indices)
    }

    /// The smallest elements along `dim` and their indices.
    ///
    /// # Gradient
    /// As [`Var::max_dim`].
    #[track_caller]
    pub fn min_dim(&self, dim: isize, keepdim: bool) -> (Var, Tensor) {
        let (values, indices) = self.tensor().min_dim(dim, keepdim);
        (self.picked("min_dim", values, &indices, dim, keepdim), indices)
    }

    /// The index of the largest element along `dim`, or among all for `None`: no gradient flows through it.
    #[track_caller]
    pub fn argmax(&self, dim: impl Into<Option<isize>>, keepdim: bool) -> Tensor {
        self.tensor().argmax(dim, keepdim)
    }

    /// The index of the smallest element along `dim`, or among all for `None`: no gradient flows through it.
    #[track_caller]
    pub fn argmin(&self, dim: impl Into<Option<isize>>, keepdim: bool) -> Tensor {
        self.tensor().argmin(dim, keepdim)
    }

    /// `values`, which were picked from this at `indices` along `dim` by a kernel of their own.
    #[track_caller]
    pub(crate) fn picked(
        &self,
        name: &'static str,
        values: Tensor,
        indices: &Tensor,
        dim: isize,
        keepdim: bool,
    ) -> Var {
        let (shape, indices) = (self.shape(), indices.clone());
        Var::record_unary(name, values, self, move |dy| {
            let zeros = Var::new(Tensor::zeros(&shape, dy.dtype()));
            if shape.is_empty() {
                return dy.reshape(&shape);
            }
            match keepdim {
                true => zeros.scatter_add(dim, &indices, dy),
                false => zeros.scatter_add(dim, &indices.unsqueeze(dim), &dy.unsqueeze(dim)),
            }
        })
    }
}

/// The gradient of an element `y` of `x`: evenly to the elements equal to it. A NaN goes to the NaN.
pub(crate) fn share_among_ties(x: &Var, y: &Var, dy: &Var, over: &Over) -> Var {
    let y = over.stretch(&y.detach()).value();
    let mut chosen = x.tensor().eq(&y);
    if y.isnan().any().item::<bool>() {
        chosen = chosen.logical_or(&x.tensor().isnan().logical_and(&y.isnan()));
    }
    // A half could not count many ties.
    let chosen = chosen.to_dtype(x.dtype().promote(DType::F32));
    let ties = chosen.sum_dim(over.dims.clone(), true);
    over.stretch(dy) * Var::new(chosen / ties)
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("max", &[DISTINCT], nonempty, |v, _| v[0].max().into()),
        sample("min", &[DISTINCT], nonempty, |v, _| v[0].min().into()),
        sample("amax", &[DISTINCT], nonempty, |v, p| v[0].amax(p.dims(v[0].ndim()), p.coin()).into()),
        sample("amin", &[DISTINCT], nonempty, |v, p| v[0].amin(p.dims(v[0].ndim()), p.coin()).into()),
        sample("aminmax", &[DISTINCT], nonempty, |v, p| {
            let (least, greatest) = v[0].aminmax(p.dims(v[0].ndim()), p.coin());
            vec![least, greatest]
        }),
        sample("max_dim", &[DISTINCT], rows, |v, p| v[0].max_dim(p.dim(v[0].ndim()), p.coin()).0.into()),
        sample("min_dim", &[DISTINCT], rows, |v, p| v[0].min_dim(p.dim(v[0].ndim()), p.coin()).0.into()),
        sample("argmax", &[DISTINCT], rows, |v, p| mask(v[0].argmax(p.dim(v[0].ndim()), p.coin()))),
        sample("argmin", &[DISTINCT], rows, |v, p| mask(v[0].argmin(p.dim(v[0].ndim()), p.coin()))),
        sample("argmax", &[DISTINCT], nonempty, |v, p| mask(v[0].argmax(None, p.coin()))),
        sample("argmin", &[DISTINCT], nonempty, |v, p| mask(v[0].argmin(None, p.coin()))),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    /// Input, dimensions, keepdim.
    fn reduced(a: &Args) -> Result<(Var, Vec<isize>, bool), Skip> {
        let x = a.var(0, "input")?;
        if a.raw(9, "out").is_some() {
            return skip("`out`: results are values of their own here");
        }
        if x.ndim() > 64 {
            return skip("more than 64 dimensions, which are allowed here");
        }
        Ok((x, a.dims(1, "dim")?, a.flag(2, "keepdim", false)?))
    }
    fn position(a: &Args) -> Result<(Var, Option<isize>, bool), Skip> {
        Ok((a.var(0, "input")?, a.opt_int(1, "dim")?, a.flag(2, "keepdim", false)?))
    }
    vec![
        torch("amax", &["amax"], |a| reduced(a).and_then(|(x, dims, keepdim)| done(x.amax(dims, keepdim)))),
        torch("amin", &["amin"], |a| reduced(a).and_then(|(x, dims, keepdim)| done(x.amin(dims, keepdim)))),
        torch("aminmax", &["aminmax"], |a| reduced(a).and_then(|(x, dims, keepdim)| done(x.aminmax(dims, keepdim)))),
        torch("max:reduction_no_dim", &["max"], |a| done(a.var(0, "input")?.max())),
        torch("min:reduction_no_dim", &["min"], |a| done(a.var(0, "input")?.min())),
        torch("max:reduction_with_dim", &["max_dim"], |a| {
            done(a.var(0, "input")?.max_dim(a.int(1, "dim")?, a.flag(2, "keepdim", false)?))
        }),
        torch("min:reduction_with_dim", &["min_dim"], |a| {
            done(a.var(0, "input")?.min_dim(a.int(1, "dim")?, a.flag(2, "keepdim", false)?))
        }),
        torch("argmax", &["argmax"], |a| position(a).and_then(|(x, dim, keepdim)| done(x.argmax(dim, keepdim)))),
        torch("argmin", &["argmin"], |a| position(a).and_then(|(x, dim, keepdim)| done(x.argmin(dim, keepdim)))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gradient_at;

    #[test]
    fn ties() {
        assert_eq!(gradient_at(&[3.0, 1.0, 3.0], Var::max), [0.5, 0.0, 0.5]);
        assert_eq!(gradient_at(&[1.0, 1.0, 3.0], Var::min), [0.5, 0.5, 0.0]);
        assert_eq!(gradient_at(&[3.0, 1.0, 3.0], |x| x.amax(0, false)), [0.5, 0.0, 0.5]);
        assert_eq!(gradient_at(&[3.0, 1.0, 3.0], |x| x.amin(0, true)), [0.0, 1.0, 0.0]);
        assert_eq!(gradient_at(&[3.0, 1.0, 3.0], |x| x.max_dim(0, false).0), [1.0, 0.0, 0.0]);
        assert_eq!(gradient_at(&[3.0, f64::NAN, 3.0], Var::max), [0.0, 1.0, 0.0]);
    }
}
