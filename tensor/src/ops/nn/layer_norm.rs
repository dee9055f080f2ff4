//! Layer normalisation.

use crate::dtype::dispatch;
use crate::kernels::layer_norm::{self, Affine, Saved};
use crate::{Element, Error, Tensor};

impl Tensor {
    /// `(x - mean) / sqrt(var + eps) * weight + bias` over the last `norm_dims` dimensions, with the population's
    /// variance; returns the result, the means and `1 / sqrt(var + eps)` (both in f32 for the halves).
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
        if self.dtype().is_half() {
            let (weight, bias) = (weight.map(Tensor::widen), bias.map(Tensor::widen));
            let (y, mean, rstd) = self.widen().layer_norm(norm_dims, weight.as_ref(), bias.as_ref(), eps);
            return (y.to_dtype(self.dtype()), mean, rstd);
        }
        let (stats, width) = (&self.dims()[..lead], self.dims()[lead..].iter().product());
        let x = self.contiguous();
        let wide = |parameter: &Tensor| parameter.widen().contiguous();
        let (weight, bias) = (weight.map(wide), bias.map(wide));
        let (mut mean, mut rstd) = (Tensor::zeros(stats, self.dtype()), Tensor::zeros(stats, self.dtype()));
        let y = dispatch!(float self.dtype(), "layer_norm", T => Tensor::build::<T>(self.shape(), |y| {
            let affine = Affine { weight: weight.as_ref().map(read::<T>), bias: bias.as_ref().map(read::<T>) };
            let x = x.as_slice::<T>().expect("contiguous");
            layer_norm::forward(true, x, width, affine, eps, y, mean.as_slice_mut::<T>(), rstd.as_slice_mut::<T>());
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
        if x.dtype().is_half() {
            let weight = weight.map(Tensor::widen);
            let (dy, wide) = (dy.widen(), x.widen());
            let grads = Tensor::layer_norm_backward(&dy, &wide, mean, rstd, norm_dims, weight.as_ref(), need);
            let [dx, dweight, dbias] = grads;
            // The parameters may be f32: their gradients are not rounded to a half.
            return [dx.map(|dx| dx.to_dtype(x.dtype())), dweight, dbias];
        }
        let norm = &x.dims()[lead..];
        let width = norm.iter().product();
        let (mean, rstd) = (mean.contiguous(), rstd.contiguous());
        let (dy, x) = (dy.contiguous(), x.contiguous());
        let weight = weight.map(|weight| weight.widen().contiguous());
        dispatch!(float x.dtype(), "layer_norm_backward", T => {
            let saved = Saved {
                centred: true,
                dy: read::<T>(&dy),
                x: read::<T>(&x),
                weight: weight.as_ref().map(read::<T>),
                mean: read::<T>(&mean),
                rstd: read::<T>(&rstd),
            };
            let mut affine = [need[1], need[2]].map(|need| need.then(|| Tensor::zeros(norm, x.dtype())));
            let [dweight, dbias] = affine.each_mut().map(|of| of.as_mut().map(Tensor::as_slice_mut::<T>));
            let dx = if need[0] {
                Some(Tensor::build::<T>(x.shape(), |dx| layer_norm::backward(saved, width, [Some(dx), dweight, dbias])))
            } else {
                layer_norm::backward(saved, width, [None, dweight, dbias]);
                None
            };
            let [dweight, dbias] = affine;
            [dx, dweight, dbias]
        })
    }

    /// The number of leading dimensions, after checking that `parameters` have the shape of the others.
    #[track_caller]
    pub(crate) fn check_norm(&self, op: &str, norm_dims: usize, parameters: &[(&str, Option<&Tensor>)]) -> usize {
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
            // Weights may also be halves beside an input of f32, which is how models of halves are computed.
            if !p.is_parameter_for(self) && !self.is_parameter_for(p) {
                panic!("{}", Error::dtype(op, format!("the input is {}, the {name} {}", self.dtype(), p.dtype())));
            }
        }
        lead
    }

    /// Whether this may be the weight of a normalisation of `x`, or its statistics, by its dtype: that of `x`, or f32 beside
    /// a half.
    pub(crate) fn is_parameter_for(&self, x: &Tensor) -> bool {
        self.dtype() == x.dtype() || (x.dtype().is_half() && self.dtype() == x.dtype().compute())
    }
}

/// The elements of a tensor that was made contiguous.
pub(crate) fn read<T: Element>(t: &Tensor) -> &[T] {
    t.as_slice::<T>().expect("made contiguous")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Generator};

    /// Rows that do and do not fill the lanes of the kernel, in one block and in several, against the composition of plain
    /// operations.
    #[test]
    fn value_and_gradients_are_those_of_the_plain_composition() {
        let mut g = Generator::new(4);
        for (rows, width) in [(3, 1), (4, 7), (5, 32), (2, 67), (40, 300), (0, 5), (200, 67), (300, 300)] {
            let mut rand = |shape: &[usize]| Tensor::randn_with(shape, DType::F64, &mut g);
            let (x, dy, w, b) = (rand(&[rows, width]), rand(&[rows, width]), rand(&[width]), rand(&[width]));
            let (y, mean, rstd) = x.layer_norm(1, Some(&w), Some(&b), 1e-5);
            let h = (&x - &x.mean_dim(1, true)) / &(x.var_dim(1, 0.0, true) + 1e-5).sqrt();
            let [dx, dw, db] = Tensor::layer_norm_backward(&dy, &x, &mean, &rstd, 1, Some(&w), [true; 3]);
            let dh = &dy * &w;
            let inner = &dh - &dh.mean_dim(1, true) - &h * &(&dh * &h).mean_dim(1, true);
            let expected =
                [&h * &w + &b, inner * &rstd.unsqueeze(1), (&dy * &h).sum_dim(0, false), dy.sum_dim(0, false)];
            for (name, (got, want)) in ["y", "dx", "dw", "db"].iter().zip([Some(y), dx, dw, db].iter().zip(&expected)) {
                assert!(
                    got.as_ref().expect("asked for").allclose(want, 1e-9, 1e-9),
                    "{name} of {rows} rows of {width}"
                );
            }
        }
    }

    #[test]
    fn a_gradient_that_does_not_fit_is_refused() {
        let x = Tensor::zeros([2, 3], DType::F32);
        let (_, mean, rstd) = x.layer_norm(1, None, None, 1e-5);
        let wrong = Tensor::zeros([3, 3], DType::F32);
        let call = || Tensor::layer_norm_backward(&wrong, &x, &mean, &rstd, 1, None, [true; 3]);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err());
    }
}
