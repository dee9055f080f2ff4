//! Largest and smallest elements.

use tensor::{Dims, Tensor};

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

    /// The index of the largest element along `dim`: no gradient flows through it.
    #[track_caller]
    pub fn argmax(&self, dim: isize, keepdim: bool) -> Tensor {
        self.tensor().argmax(dim, keepdim)
    }

    /// The index of the smallest element along `dim`: no gradient flows through it.
    #[track_caller]
    pub fn argmin(&self, dim: isize, keepdim: bool) -> Tensor {
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

/// The gradient of a maximum or minimum `y` of `x`: evenly to the elements equal to it.
fn share_among_ties(x: &Var, y: &Var, dy: &Var, over: &Over) -> Var {
    let chosen = x.tensor().eq(&over.stretch(&y.detach()).tensor()).to_dtype(x.dtype());
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
        sample("max_dim", &[DISTINCT], rows, |v, p| v[0].max_dim(p.dim(v[0].ndim()), p.coin()).0.into()),
        sample("min_dim", &[DISTINCT], rows, |v, p| v[0].min_dim(p.dim(v[0].ndim()), p.coin()).0.into()),
        sample("argmax", &[DISTINCT], rows, |v, p| mask(v[0].argmax(p.dim(v[0].ndim()), p.coin()))),
        sample("argmin", &[DISTINCT], rows, |v, p| mask(v[0].argmin(p.dim(v[0].ndim()), p.coin()))),
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
    }
}
