//! Convolution, its input gradient and its weight gradient: three operations whose derivatives are each other.
//!
//! All three are derivatives of one form that is linear in the input `x`, the weight `w` and the gradient `dy` of the
//! result: the sum of `dy conv(x, w)`. So every derivative of any order is one of the three again.

use smallvec::SmallVec;
use tensor::{Conv, ConvTranspose, Tensor};

use crate::var::Var;

impl Var {
    /// Convolution in one spatial dimension; see [`Tensor::conv1d`].
    ///
    /// # Shape
    /// `x [n, c, l]` or `[c, l]`, `weight [o, c / groups, k]`, `bias [o]` -> `[n, o, ..]` or without `n`.
    ///
    /// # Gradient
    /// `dx` is [`conv1d_input`](Var::conv1d_input) of the weight and `dy`, `dweight` is
    /// [`conv1d_weight`](Var::conv1d_weight) of `x` and `dy`, `dbias` the sum of `dy` over all but the channels. Keeps `x`
    /// and the weight, each only for the gradient of the other.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{Conv, Tensor};
    /// let x = Var::new(Tensor::from([[1.0, 2.0, 3.0]]));
    /// let w = Var::new(Tensor::from([[[1.0, -1.0]]])).requires_grad_(true);
    /// x.conv1d(&w, None, &Conv::default()).sum().backward();
    /// assert_eq!(w.grad().unwrap().to_vec::<f64>(), [3.0, 5.0]);
    /// ```
    #[track_caller]
    pub fn conv1d(&self, weight: &Var, bias: Option<&Var>, options: &Conv) -> Var {
        convolve(self, weight, bias, options, 1)
    }

    /// Convolution in two spatial dimensions; see [`Tensor::conv2d`].
    ///
    /// # Shape
    /// `x [n, c, h, w]` or `[c, h, w]`, `weight [o, c / groups, kh, kw]`, `bias [o]` -> `[n, o, .., ..]` or without `n`.
    ///
    /// # Gradient
    /// As [`conv1d`](Var::conv1d).
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{Conv, DType, Tensor};
    /// let x = Var::new(Tensor::ones([1, 3, 8, 8], DType::F32));
    /// let w = Var::new(Tensor::ones([16, 3, 3, 3], DType::F32)).requires_grad_(true);
    /// let y = x.conv2d(&w, None, &Conv { stride: 2.into(), padding: 1.into(), ..Default::default() });
    /// assert_eq!(y.shape()[..], [1, 16, 4, 4]);
    /// ```
    #[track_caller]
    pub fn conv2d(&self, weight: &Var, bias: Option<&Var>, options: &Conv) -> Var {
        convolve(self, weight, bias, options, 2)
    }

    /// The gradient of a [`conv1d`](Var::conv1d) by its input; see [`Tensor::conv1d_input`].
    ///
    /// # Shape
    /// `weight [o, c / groups, k]`, `dy [n, o, ..]` -> `input_size [n, c, l]`; all but the weight without `n` likewise.
    ///
    /// # Gradient
    /// With the gradient `g` of the result: by the weight [`conv1d_weight`](Var::conv1d_weight) of `g` and `dy`, by `dy`
    /// [`conv1d`](Var::conv1d) of `g` and the weight. Keeps the weight and `dy`.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{Conv, Tensor};
    /// let (w, dy) = (Var::new(Tensor::from([[[1.0, -1.0]]])), Var::new(Tensor::from([[1.0, 2.0]])));
    /// let dx = Var::conv1d_input(&[1, 3], &w, &dy, &Conv::default());
    /// assert_eq!(dx.value().to_vec::<f64>(), [1.0, 1.0, -2.0]);
    /// ```
    #[track_caller]
    pub fn conv1d_input(input_size: &[usize], weight: &Var, dy: &Var, options: &Conv) -> Var {
        let value = Tensor::conv1d_input(input_size, &weight.tensor(), &dy.tensor(), options);
        input_gradient("conv1d_input", value, dy, weight, None, options.clone(), 1)
    }

    /// The gradient of a [`conv2d`](Var::conv2d) by its input; see [`Tensor::conv2d_input`].
    ///
    /// # Shape
    /// `weight [o, c / groups, kh, kw]`, `dy [n, o, .., ..]` -> `input_size [n, c, h, w]`; likewise without `n`.
    ///
    /// # Gradient
    /// As [`conv1d_input`](Var::conv1d_input).
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{Conv, DType, Tensor};
    /// let (w, dy) = (Tensor::ones([1, 1, 2, 2], DType::F32), Tensor::ones([1, 2, 2], DType::F32));
    /// let dx = Var::conv2d_input(&[1, 3, 3], &Var::new(w), &Var::new(dy), &Conv::default());
    /// assert_eq!(dx.value().get::<f32>(&[0, 1, 1]), 4.0);
    /// ```
    #[track_caller]
    pub fn conv2d_input(input_size: &[usize], weight: &Var, dy: &Var, options: &Conv) -> Var {
        let value = Tensor::conv2d_input(input_size, &weight.tensor(), &dy.tensor(), options);
        input_gradient("conv2d_input", value, dy, weight, None, options.clone(), 2)
    }

    /// The gradient of a [`conv1d`](Var::conv1d) of `x` by its weight; see [`Tensor::conv1d_weight`].
    ///
    /// # Shape
    /// `x [n, c, l]`, `dy [n, o, ..]` -> `weight_size [o, c / groups, k]`; likewise without `n`.
    ///
    /// # Gradient
    /// With the gradient `g` of the result: by `x` [`conv1d_input`](Var::conv1d_input) of `g` and `dy`, by `dy`
    /// [`conv1d`](Var::conv1d) of `x` and `g`. Keeps `x` and `dy`.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{Conv, Tensor};
    /// let (x, dy) = (Var::new(Tensor::from([[1.0, 2.0, 3.0]])), Var::new(Tensor::from([[1.0, 2.0]])));
    /// let dw = Var::conv1d_weight(&x, &[1, 1, 2], &dy, &Conv::default());
    /// assert_eq!(dw.value().to_vec::<f64>(), [5.0, 8.0]);
    /// ```
    #[track_caller]
    pub fn conv1d_weight(x: &Var, weight_size: &[usize], dy: &Var, options: &Conv) -> Var {
        let value = Tensor::conv1d_weight(&x.tensor(), weight_size, &dy.tensor(), options);
        weight_gradient("conv1d_weight", value, x, dy, options.clone(), 1)
    }

    /// The gradient of a [`conv2d`](Var::conv2d) of `x` by its weight; see [`Tensor::conv2d_weight`].
    ///
    /// # Shape
    /// `x [n, c, h, w]`, `dy [n, o, .., ..]` -> `weight_size [o, c / groups, kh, kw]`; likewise without `n`.
    ///
    /// # Gradient
    /// As [`conv1d_weight`](Var::conv1d_weight).
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{Conv, DType, Tensor};
    /// let (x, dy) = (Tensor::ones([2, 1, 3, 3], DType::F32), Tensor::ones([2, 1, 2, 2], DType::F32));
    /// let dw = Var::conv2d_weight(&Var::new(x), &[1, 1, 2, 2], &Var::new(dy), &Conv::default());
    /// assert_eq!(dw.value().to_vec::<f32>(), [8.0; 4]);
    /// ```
    #[track_caller]
    pub fn conv2d_weight(x: &Var, weight_size: &[usize], dy: &Var, options: &Conv) -> Var {
        let value = Tensor::conv2d_weight(&x.tensor(), weight_size, &dy.tensor(), options);
        weight_gradient("conv2d_weight", value, x, dy, options.clone(), 2)
    }

    /// Transposed convolution in one spatial dimension, which is [`conv1d_input`](Var::conv1d_input) with this value as the
    /// gradient, plus `bias`; see [`Tensor::conv_transpose1d`].
    ///
    /// # Shape
    /// `x [n, c, l]` or `[c, l]`, `weight [c, o / groups, k]`, `bias [o]` -> `[n, o, ..]` or without `n`.
    ///
    /// # Gradient
    /// `dx` is [`conv1d`](Var::conv1d) of `dy` and the weight, `dweight` is [`conv1d_weight`](Var::conv1d_weight) of `dy` and
    /// `x`, `dbias` the sum of `dy` over all but the channels. Keeps `x` and the weight.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{ConvTranspose, Tensor};
    /// let up = ConvTranspose { stride: 2.into(), ..Default::default() };
    /// let (x, w) = (Var::new(Tensor::from([[1.0, 2.0]])), Var::new(Tensor::from([[[1.0, 1.0]]])));
    /// assert_eq!(x.conv_transpose1d(&w, None, &up).value().to_vec::<f64>(), [1.0, 1.0, 2.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn conv_transpose1d(&self, weight: &Var, bias: Option<&Var>, options: &ConvTranspose) -> Var {
        let b = bias.map(Var::value);
        let value = self.tensor().conv_transpose1d(&weight.tensor(), b.as_ref(), options);
        input_gradient("conv_transpose1d", value, self, weight, bias, options.conv(), 1)
    }

    /// Transposed convolution in two spatial dimensions, which is [`conv2d_input`](Var::conv2d_input) with this value as the
    /// gradient, plus `bias`; see [`Tensor::conv_transpose2d`].
    ///
    /// # Shape
    /// `x [n, c, h, w]` or `[c, h, w]`, `weight [c, o / groups, kh, kw]`, `bias [o]` -> `[n, o, .., ..]` or without `n`.
    ///
    /// # Gradient
    /// As [`conv_transpose1d`](Var::conv_transpose1d).
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{ConvTranspose, DType, Tensor};
    /// let (x, w) = (Tensor::ones([1, 3, 4, 4], DType::F32), Tensor::ones([3, 2, 2, 2], DType::F32));
    /// let up = ConvTranspose { stride: 2.into(), ..Default::default() };
    /// assert_eq!(Var::new(x).conv_transpose2d(&Var::new(w), None, &up).shape()[..], [1, 2, 8, 8]);
    /// ```
    #[track_caller]
    pub fn conv_transpose2d(&self, weight: &Var, bias: Option<&Var>, options: &ConvTranspose) -> Var {
        let b = bias.map(Var::value);
        let value = self.tensor().conv_transpose2d(&weight.tensor(), b.as_ref(), options);
        input_gradient("conv_transpose2d", value, self, weight, bias, options.conv(), 2)
    }
}

#[track_caller]
fn convolve(x: &Var, weight: &Var, bias: Option<&Var>, options: &Conv, dims: usize) -> Var {
    let b = bias.map(Var::value);
    let (name, value) = match dims {
        1 => ("conv1d", x.tensor().conv1d(&weight.tensor(), b.as_ref(), options)),
        _ => ("conv2d", x.tensor().conv2d(&weight.tensor(), b.as_ref(), options)),
    };
    let (of_x, of_w) = (x.shape(), weight.shape());
    let (kept_x, kept_w) = (x.keep_for(&[weight]), weight.keep_for(&[x]));
    let (options, is_biased) = (options.clone(), bias.is_some());
    let inputs: SmallVec<[&Var; 3]> = [x, weight].into_iter().chain(bias).collect();
    Var::record(name, value, inputs, move |dy, need| {
        let dx = || match dims {
            1 => Var::conv1d_input(&of_x, &kept_w, dy, &options),
            _ => Var::conv2d_input(&of_x, &kept_w, dy, &options),
        };
        let dw = || match dims {
            1 => Var::conv1d_weight(&kept_x, &of_w, dy, &options),
            _ => Var::conv2d_weight(&kept_x, &of_w, dy, &options),
        };
        let db = is_biased.then(|| need.of(2, || sum_to_channels(dy, dims)));
        [need.of(0, dx), need.of(1, dw)].into_iter().chain(db).collect::<SmallVec<[_; 3]>>()
    })
}

/// Records `value`, the input gradient for `weight` and `dy` (which a transposed convolution calls its input) plus `bias`.
#[track_caller]
fn input_gradient(
    name: &'static str,
    value: Tensor,
    dy: &Var,
    weight: &Var,
    bias: Option<&Var>,
    options: Conv,
    dims: usize,
) -> Var {
    let (of_w, of_dy) = (weight.shape(), dy.shape());
    let (kept_dy, kept_w) = (dy.keep_for(&[weight]), weight.keep_for(&[dy]));
    let is_biased = bias.is_some();
    let inputs: SmallVec<[&Var; 3]> = [dy, weight].into_iter().chain(bias).collect();
    Var::record(name, value, inputs, move |g, need| {
        let ddy = || cut(convolve(g, &kept_w, None, &options, dims), &of_dy);
        let dw = || match dims {
            1 => Var::conv1d_weight(g, &of_w, &kept_dy, &options),
            _ => Var::conv2d_weight(g, &of_w, &kept_dy, &options),
        };
        let db = is_biased.then(|| need.of(2, || sum_to_channels(g, dims)));
        [need.of(0, ddy), need.of(1, dw)].into_iter().chain(db).collect::<SmallVec<[_; 3]>>()
    })
}

/// Records `value`, the weight gradient for `x` and `dy`.
#[track_caller]
fn weight_gradient(name: &'static str, value: Tensor, x: &Var, dy: &Var, options: Conv, dims: usize) -> Var {
    let (of_x, of_dy) = (x.shape(), dy.shape());
    let (kept_x, kept_dy) = (x.keep_for(&[dy]), dy.keep_for(&[x]));
    Var::record(name, value, [x, dy], move |g, need| {
        let dx = || match dims {
            1 => Var::conv1d_input(&of_x, g, &kept_dy, &options),
            _ => Var::conv2d_input(&of_x, g, &kept_dy, &options),
        };
        let ddy = || cut(convolve(&kept_x, g, None, &options, dims), &of_dy);
        [need.of(0, dx), need.of(1, ddy)]
    })
}

/// A convolution's result without the outputs that `dy` lacks.
fn cut(y: Var, dy: &[usize]) -> Var {
    (0..dy.len()).filter(|&d| y.shape()[d] > dy[d]).fold(y.clone(), |y, d| y.narrow(d as isize, 0, dy[d]))
}

/// The gradient of a bias.
fn sum_to_channels(dy: &Var, dims: usize) -> Var {
    let places = (1..=dims as isize).map(|d| -d);
    let batch = (dy.ndim() == dims + 2).then_some(0);
    dy.sum_dim(batch.into_iter().chain(places).collect::<Vec<isize>>(), false)
}

/// Shapes of an input, a weight and a bias, and the random options for them.
#[cfg(test)]
mod samples {
    use super::*;
    use crate::testing::Pick;

    fn shapes(shape: &[usize], p: &mut Pick, dims: usize, is_transposed: bool) -> Vec<Vec<usize>> {
        let (groups, a, b) = (1 + p.below(2), 1 + p.below(2), 1 + p.below(2));
        let batch = if p.coin() { vec![] } else { vec![shape.first().map_or(2, |&n| n.min(2))] };
        let sizes: Vec<usize> = (0..dims).map(|_| 2 + p.below(2)).collect();
        let kernel: Vec<usize> = (0..dims).map(|_| 1 + p.below(3)).collect();
        let (weight, outputs) = match is_transposed {
            false => (vec![groups * b, a], groups * b),
            true => (vec![groups * a, b], groups * b),
        };
        vec![[&batch[..], &[groups * a], &sizes].concat(), [&weight[..], &kernel].concat(), vec![outputs]]
    }

    pub fn line(shape: &[usize], p: &mut Pick, n: usize) -> Vec<Vec<usize>> {
        shapes(shape, p, 1, false)[..n].to_vec()
    }
    pub fn plane(shape: &[usize], p: &mut Pick, n: usize) -> Vec<Vec<usize>> {
        shapes(shape, p, 2, false)[..n].to_vec()
    }
    pub fn line_transposed(shape: &[usize], p: &mut Pick, _: usize) -> Vec<Vec<usize>> {
        shapes(shape, p, 1, true)
    }
    pub fn plane_transposed(shape: &[usize], p: &mut Pick, _: usize) -> Vec<Vec<usize>> {
        shapes(shape, p, 2, true)
    }

    /// Options under which the kernel fits.
    pub fn conv(x: &[usize], w: &[usize], p: &mut Pick) -> Conv {
        let dims = w.len() - 2;
        let dilation: Vec<usize> = (0..dims).map(|_| 1 + p.below(2)).collect();
        let padding: Vec<usize> = (0..dims)
            .map(|d| {
                let missing = (dilation[d] * (w[2 + d] - 1) + 1).saturating_sub(x[x.len() - dims + d]);
                missing.div_ceil(2) + p.below(2)
            })
            .collect();
        let stride: Vec<usize> = (0..dims).map(|_| 1 + p.below(3)).collect();
        let groups = x[x.len() - dims - 1] / w[1];
        Conv { stride: stride.into(), padding: padding.into(), dilation: dilation.into(), groups }
    }

    pub fn transposed(w: &[usize], bias: &[usize], p: &mut Pick) -> ConvTranspose {
        let dims = w.len() - 2;
        let stride: Vec<usize> = (0..dims).map(|_| 1 + p.below(3)).collect();
        // Nothing is cut off unless there is something beside it.
        let padding: Vec<usize> = (0..dims).map(|d| p.below(2).min((w[2 + d] - 1) / 2)).collect();
        let dilation = 1 + p.below(2);
        // Below the dilation is enough, though the convolution of the result then has more outputs than this has inputs.
        let output_padding: Vec<usize> = stride.iter().map(|&s| p.below(s.max(dilation))).collect();
        ConvTranspose {
            stride: stride.into(),
            padding: padding.into(),
            output_padding: output_padding.into(),
            groups: bias[0] / w[1],
            dilation: dilation.into(),
        }
    }

    /// A convolution's result, as an input for the operations that are its gradients: smooth in both operands.
    pub fn result(x: &Var, w: &Var, options: &Conv) -> Var {
        if w.ndim() == 3 { x.conv1d(w, None, options) } else { x.conv2d(w, None, options) }
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("conv1d", &[REAL, REAL, REAL], samples::line, |v, p| {
            v[0].conv1d(&v[1], p.coin().then_some(&v[2]), &samples::conv(&v[0].shape(), &v[1].shape(), p)).into()
        }),
        sample("conv2d", &[REAL, REAL, REAL], samples::plane, |v, p| {
            v[0].conv2d(&v[1], p.coin().then_some(&v[2]), &samples::conv(&v[0].shape(), &v[1].shape(), p)).into()
        }),
        sample("conv1d_input", &[REAL, REAL], samples::line, |v, p| {
            let options = samples::conv(&v[0].shape(), &v[1].shape(), p);
            let dy = samples::result(&v[0], &v[1], &options);
            Var::conv1d_input(&v[0].shape(), &v[1], &dy, &options).into()
        }),
        sample("conv2d_input", &[REAL, REAL], samples::plane, |v, p| {
            let options = samples::conv(&v[0].shape(), &v[1].shape(), p);
            let dy = samples::result(&v[0], &v[1], &options);
            Var::conv2d_input(&v[0].shape(), &v[1], &dy, &options).into()
        }),
        sample("conv1d_weight", &[REAL, REAL], samples::line, |v, p| {
            let options = samples::conv(&v[0].shape(), &v[1].shape(), p);
            let dy = samples::result(&v[0], &v[1], &options);
            Var::conv1d_weight(&v[0], &v[1].shape(), &dy, &options).into()
        }),
        sample("conv2d_weight", &[REAL, REAL], samples::plane, |v, p| {
            let options = samples::conv(&v[0].shape(), &v[1].shape(), p);
            let dy = samples::result(&v[0], &v[1], &options);
            Var::conv2d_weight(&v[0], &v[1].shape(), &dy, &options).into()
        }),
        sample("conv_transpose1d", &[REAL, REAL, REAL], samples::line_transposed, |v, p| {
            let options = samples::transposed(&v[1].shape(), &v[2].shape(), p);
            v[0].conv_transpose1d(&v[1], p.coin().then_some(&v[2]), &options).into()
        }),
        sample("conv_transpose2d", &[REAL, REAL, REAL], samples::plane_transposed, |v, p| {
            let options = samples::transposed(&v[1].shape(), &v[2].shape(), p);
            v[0].conv_transpose2d(&v[1], p.coin().then_some(&v[2]), &options).into()
        }),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    use tensor::ConvPadding;

    fn conv(a: &Args) -> Result<(Var, Var, Option<Var>, Conv), Skip> {
        let padding = match a.raw(4, "padding") {
            Some(Arg::Str(mode)) if mode == "same" => ConvPadding::Same,
            Some(Arg::Str(_)) => ConvPadding::Valid,
            None => 0.into(),
            Some(_) => a.sizes(4, "padding")?.into(),
        };
        let stride = a.opt_ints(3, "stride")?.map_or(Ok(vec![1]), |_| a.sizes(3, "stride"))?.into();
        let dilation = a.opt_ints(5, "dilation")?.map_or(Ok(vec![1]), |_| a.sizes(5, "dilation"))?.into();
        let options = Conv { stride, padding, dilation, groups: a.size_or(6, "groups", 1)? };
        Ok((a.var(0, "input")?, a.var(1, "weight")?, a.opt_var(2, "bias")?, options))
    }
    fn transposed(a: &Args) -> Result<(Var, Var, Option<Var>, ConvTranspose), Skip> {
        let sizes =
            |i: usize, name: &str, default: usize| a.opt_ints(i, name)?.map_or(Ok(vec![default]), |_| a.sizes(i, name));
        let options = ConvTranspose {
            stride: sizes(3, "stride", 1)?.into(),
            padding: sizes(4, "padding", 0)?.into(),
            output_padding: sizes(5, "output_padding", 0)?.into(),
            groups: a.size_or(6, "groups", 1)?,
            dilation: sizes(7, "dilation", 1)?.into(),
        };
        Ok((a.var(0, "input")?, a.var(1, "weight")?, a.opt_var(2, "bias")?, options))
    }
    vec![
        torch("nn.functional.conv1d", &["conv1d"], |a| {
            let (x, w, b, options) = conv(a)?;
            done(x.conv1d(&w, b.as_ref(), &options))
        }),
        torch("nn.functional.conv2d", &["conv2d"], |a| {
            let (x, w, b, options) = conv(a)?;
            done(x.conv2d(&w, b.as_ref(), &options))
        }),
        torch("nn.functional.conv_transpose1d", &["conv_transpose1d"], |a| {
            let (x, w, b, options) = transposed(a)?;
            done(x.conv_transpose1d(&w, b.as_ref(), &options))
        }),
        torch("nn.functional.conv_transpose2d", &["conv_transpose2d"], |a| {
            let (x, w, b, options) = transposed(a)?;
            done(x.conv_transpose2d(&w, b.as_ref(), &options))
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::DType;

    #[test]
    fn a_frozen_operand_costs_nothing_and_is_not_kept() {
        let x = Var::new(Tensor::ones([1, 2, 4, 4], DType::F64)).requires_grad_(true);
        let w = Var::new(Tensor::ones([3, 2, 3, 3], DType::F64));
        let b = Var::new(Tensor::zeros([3], DType::F64)).requires_grad_(true);
        x.conv2d(&w, Some(&b), &Conv::default()).sum().backward();
        assert!(w.grad().is_none());
        assert_eq!(b.grad().unwrap().to_vec::<f64>(), [4.0; 3]);
        assert_eq!(x.grad().unwrap().value().get::<f64>(&[0, 0, 1, 1]), 12.0);
    }

    #[test]
    fn third_derivatives_are_convolutions_too() {
        let x = Var::new(Tensor::from([[1.0, -2.0, 0.5, 3.0]])).requires_grad_(true);
        let w = Var::new(Tensor::from([[[0.5, -1.0]]])).requires_grad_(true);
        // The cube of a convolution, whose third derivatives by one weight are sums of 6 x^3.
        let gradient = |y: &Var| {
            let options = crate::GradOptions { create_graph: true, ..Default::default() };
            crate::grad(&[y], &[&w], options)[0].clone().expect("a gradient").select(2, 0).sum()
        };
        let y = x.conv1d(&w, None, &Conv::default());
        let third = gradient(&gradient(&gradient(&(&y * &y * &y).sum())));
        assert_eq!(third.value().item::<f64>(), 6.0 * (1.0 - 8.0 + 0.125));
    }
}
