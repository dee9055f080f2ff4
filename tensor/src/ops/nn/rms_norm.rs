//! Root-mean-square normalisation.

use crate::dtype::dispatch;
use crate::kernels::layer_norm::{self, Affine, Saved};
use crate::ops::nn::layer_norm::read;
use crate::{DType, Error, Tensor};

impl Tensor {
    /// `x / sqrt(mean(x^2) + eps) * weight` over the last `norm_dims` dimensions; returns the result and
    /// `1 / sqrt(mean(x^2) + eps)` (in f32 for the halves). Without `eps` it is the machine epsilon of the dtype that the
    /// computation runs in.
    ///
    /// # Shape
    /// `[lead.., norm..]`, weight `[norm..]` `-> [lead.., norm..], [lead..]`
    /// # Panics
    /// If the shapes or dtypes do not fit, or the dtype is not floating.
    /// # Source
    /// Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019, equation 4.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (y, _) = Tensor::from([[3.0, 3.0]]).rms_norm(1, None, Some(0.0));
    /// assert_eq!(y.to_vec::<f64>(), [1.0, 1.0]);
    /// ```
    #[track_caller]
    pub fn rms_norm(&self, norm_dims: usize, weight: Option<&Tensor>, eps: Option<f64>) -> (Tensor, Tensor) {
        let lead = self.check_norm("rms_norm", norm_dims, &[("weight", weight)]);
        self.require_float("rms_norm");
        let wide = self.widen().contiguous();
        let eps = eps.unwrap_or(if wide.dtype() == DType::F64 { f64::EPSILON } else { f32::EPSILON as f64 });
        let (stats, width) = (&self.dims()[..lead], self.dims()[lead..].iter().product());
        let weight = weight.map(|w| w.widen().contiguous());
        let (mut mean, mut rstd) = (Tensor::zeros(stats, wide.dtype()), Tensor::zeros(stats, wide.dtype()));
        let y = dispatch!(float wide.dtype(), "rms_norm", T => Tensor::build::<T>(self.shape(), |y| {
            let affine = Affine { weight: weight.as_ref().map(read::<T>), bias: None };
            let (mean, rstd) = (mean.as_slice_mut::<T>(), rstd.as_slice_mut::<T>());
            layer_norm::forward(false, read::<T>(&wide), width, affine, eps, y, mean, rstd);
        }));
        (y.to_dtype(self.dtype()), rstd)
    }

    /// The gradients of [`rms_norm`](Tensor::rms_norm) with respect to input and weight, of which those in `need` are
    /// computed: with `h = x rstd` and `g = dy * weight`,
    ///
    /// ```text
    /// dx = rstd (g - h mean(g h)),   dweight = sum over rows of dy h
    /// ```
    ///
    /// # Panics
    /// If the shapes or dtypes do not fit, or the dtype is not floating.
    #[track_caller]
    pub fn rms_norm_backward(
        dy: &Tensor,
        x: &Tensor,
        rstd: &Tensor,
        norm_dims: usize,
        weight: Option<&Tensor>,
        need: [bool; 2],
    ) -> [Option<Tensor>; 2] {
        let lead = x.check_norm("rms_norm_backward", norm_dims, &[("weight", weight)]);
        if dy.shape() != x.shape() || rstd.dims() != &x.dims()[..lead] {
            let shapes: [(&str, &[usize]); 3] = [("dy", dy.dims()), ("x", x.dims()), ("rstd", rstd.dims())];
            let what = "the gradient or what was saved does not fit the input";
            panic!("{}", Error::shape("rms_norm_backward", what, &shapes, "[lead.., norm..] and [lead..]"));
        }
        let (norm, dtype) = (&x.dims()[lead..], x.dtype());
        let width = norm.iter().product();
        let (dy, x, rstd) = (dy.to_dtype(dtype.compute()).contiguous(), x.widen().contiguous(), rstd.contiguous());
        let weight = weight.map(|w| w.widen().contiguous());
        let mean = Tensor::zeros(rstd.shape(), rstd.dtype());
        dispatch!(float x.dtype(), "rms_norm_backward", T => {
            let saved = Saved {
                centred: false,
                dy: read::<T>(&dy),
                x: read::<T>(&x),
                weight: weight.as_ref().map(read::<T>),
                mean: read::<T>(&mean),
                rstd: read::<T>(&rstd),
            };
            let mut dweight = need[1].then(|| Tensor::zeros(norm, x.dtype()));
            let dw = dweight.as_mut().map(Tensor::as_slice_mut::<T>);
            let dx = if need[0] {
                Some(Tensor::build::<T>(x.shape(), |dx| layer_norm::backward(saved, width, [Some(dx), dw, None])))
            } else {
                layer_norm::backward(saved, width, [None, dw, None]);
                None
            };
            // That of the weight, which may be f32, is not rounded to a half.
            [dx.map(|dx| dx.to_dtype(dtype)), dweight]
        })
    }
}
