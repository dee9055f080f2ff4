//! Layer normalisation.

use crate::dtype::dispatch;
use crate::kernels::layer_norm::{self, Affine, Saved};
use crate::{Element, Error, Tensor};

impl Tensor {
    /// `(x - mean) / sqrt(var + eps) * weight + bias` over the last `norm_dims` dimensions, with the population's
    /// variance; returns the result, the means and `1 / sqrt(var + eps)`.
    ///
    /// # Shape
    /// `[lead.., norm..]`, weight and bias `[norm..]` `-> [lead.., norm..], [lead..], [lead..]`
    /// # Numerics
    /// The variance is computed from differences to the mean.
    /// # Panics
    /// If the shapes or dtypes do not fit, or the dtype is not floating.
    /// # Source
    /// Ba, Kiros and Hinton, "Layer Normalization", 2016, equation 4.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (y, mean, _) = Tensor::from([[1.0, 3.0], [5.0, 5.0]]).layer_norm(1, None, None, 0.0);
    /// assert_eq!((y.get::<f64>(&[0, 0]), mean.to_vec::<f64>()), (-1.0, vec![2.0, 5.0]));
    /// ```
    #[track_caller]
    pub fn layer_norm(
        &self,
        norm_dims: usize,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> (Tensor, Tensor, Tensor) {
        let lead = self.check_norm("layer_norm", norm_dims, &[("weight", weight), ("bias", bias)]);
        let (stats, width) = (&self.dims()[..lead], self.dims()[lead..].iter().product());
        let x = self.contiguous();
        let (weight, bias) = (weight.map(Tensor::contiguous), bias.map(Tensor::contiguous));
        let (mut mean, mut rstd) = (Tensor::zeros(stats, self.dtype()), Tensor::zeros(stats, self.dtype()));
        let y = dispatch!(float self.dtype(), "layer_norm", T => Tensor::build::<T>(self.shape(), |y| {
            let affine = Affine { weight: weight.as_ref().map(read::<T>), bias: bias.as_ref().map(read::<T>) };
            let x = x.as_slice::<T>().expect("contiguous");
            layer_norm::forward(x, width, affine, eps, y, mean.as_slice_mut::<T>(), rstd.as_slice_mut::<T>());
        }));
        (y, mean, rstd)
    }

    /// The gradients of [`layer_norm`](Tensor::layer_norm) with respect to input, weight and bias, of which those in
    /// `need` are computed: with `h = (x - mean) rstd` and `g = dy * weight`,
    ///
    /// ```text
    /// dx = rstd (g - mean(g) - h mean(g h)),   dweight = sum over rows of dy h,   dbias = sum over rows of dy
    /// ```
    ///
    /// # Panics
    /// If the shapes or dtypes do not fit, or the dtype is not floating.
    #[track_caller]
    pub fn layer_norm_backward(
        dy: &Tensor,
        x: &Tensor,
        mean: &Tensor,
        rstd: &Tensor,
        norm_dims: usize,
        weight: Option<&Tensor>,
        need: [bool; 3],
    ) -> [Option<Tensor>; 3] {
        let lead = x.check_norm("layer_norm_backward", norm_dims, &[("weight", weight)]);
        if dy.shape() != x.shape() || mean.dims() != &x.dims()[..lead] || rstd.dims() != mean.dims() {
            let shapes: [(&str, &[usize]); 4] =
                [("dy", dy.dims()), ("x", x.dims()), ("mean", mean.dims()), ("rstd", rstd.dims())];
            let what = "the gradient or what was saved does not fit the input";
            panic!("{}", Error::shape("layer_norm_backward", what, &shapes, "[lead.., norm..] and [lead..]"));
        }
        let norm = &x.dims()[lead..];
        let width = norm.iter().product();
        let (mean, rstd) = (mean.contiguous(), rstd.contiguous());
        let (dy, x) = (dy.contiguous(), x.contiguous());
        let weight = weight.map(Tensor::contiguous);
        dispatch!(float x.dtype(), "layer_norm_backward", T => {
            let saved = Saved {
                dy: read::<T>(&dy),
                x: read::<T>(&x),
                weight: weight.as_ref().map(read::<T>),
                mean: read::<T>(&mean),
                rstd: read::<T>(&rstd),
            };
            let dx = need[0].then(|| {
                Tensor::build::<T>(x.shape(), |dx| layer_norm::backward_input(saved, width, dx))
            });
            let (mut dweight, mut dbias) = (None, None);
            if need[1] || need[2] {
                let mut db = Tensor::zeros(norm, x.dtype());
                let dw = Tensor::build::<T>(norm, |dw| {
                    layer_norm::backward_affine(saved, width, dw, db.as_slice_mut::<T>())
                });
                (dweight, dbias) = (need[1].then_some(dw), need[2].then_some(db));
            }
            [dx, dweight, dbias]
        })
    }

    /// The number of leading dimensions, after checking that `parameters` have the shape of the others.
    #[track_caller]
    fn check_norm(&self, op: &str, norm_dims: usize, parameters: &[(&str, Option<&Tensor>)]) -> usize {
        let Some(lead) = self.ndim().checked_sub(norm_dims).filter(|_| norm_dims > 0) else {
            let what = format!("cannot normalise over {norm_dims} dimensions");
            panic!("{}", Error::shape(op, what, &[("input", self.shape())], "1 up to all dimensions"));
        };
        for (name, parameter) in parameters {
            let Some(p) = parameter else { continue };
            if p.dims() != &self.dims()[lead..] {
                let shapes: [(&str, &[usize]); 2] = [("input", self.shape()), (name, p.shape())];
                let what = format!("the {name} does not have the shape of the last {norm_dims} dimensions");
                panic!("{}", Error::shape(op, what, &shapes, "[lead.., norm..] and [norm..]"));
            }
            if p.dtype() != self.dtype() {
                panic!("{}", Error::dtype(op, format!("the input is {}, the {name} {}", self.dtype(), p.dtype())));
            }
        }
        lead
    }
}

/// The elements of a tensor that was made contiguous.
fn read<T: Element>(t: &Tensor) -> &[T] {
    t.as_slice::<T>().expect("made contiguous")
}
