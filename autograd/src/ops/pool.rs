//! Pooling.
//!
//! The gradient of max pooling adds up at the places that were largest, and its own gradient reads there; the gradient of
//! average pooling is linear, and its own gradient is average pooling.

use tensor::{AvgPool, MaxPool, PerDim, Tensor};

use crate::record::is_recorded;
use crate::var::Var;

impl Var {
    /// The largest element of each window in one spatial dimension; see [`Tensor::max_pool1d`].
    ///
    /// # Shape
    /// `[n, c, l]` or `[c, l]` -> `[n, c, ..]` or without `n`.
    ///
    /// # Gradient
    /// `dy` at the first largest element of each window (at the last NaN), added up where windows share one. Keeps the
    /// indices.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{MaxPool, Tensor};
    /// let x = Var::new(Tensor::from([[1.0, 3.0, 3.0, 0.0]])).requires_grad_(true);
    /// x.max_pool1d(2, &MaxPool { stride: Some(1.into()), ..Default::default() }).sum().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.0, 2.0, 1.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn max_pool1d(&self, kernel: impl Into<PerDim>, options: &MaxPool) -> Var {
        match is_recorded(&[self]) {
            true => self.max_pool1d_with_indices(kernel, options).0,
            false => Var::new(self.tensor().max_pool1d(kernel, options)),
        }
    }

    /// The largest element of each window in two spatial dimensions; see [`Tensor::max_pool2d`].
    ///
    /// # Shape
    /// `[n, c, h, w]` or `[c, h, w]` -> `[n, c, .., ..]` or without `n`.
    ///
    /// # Gradient
    /// As [`max_pool1d`](Var::max_pool1d).
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{MaxPool, Tensor};
    /// let x = Var::new(Tensor::from([[[1.0, 3.0], [2.0, 0.0]]])).requires_grad_(true);
    /// x.max_pool2d(2, &MaxPool::default()).sum().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.0, 1.0, 0.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn max_pool2d(&self, kernel: impl Into<PerDim>, options: &MaxPool) -> Var {
        match is_recorded(&[self]) {
            true => self.max_pool2d_with_indices(kernel, options).0,
            false => Var::new(self.tensor().max_pool2d(kernel, options)),
        }
    }

    /// [`max_pool1d`](Var::max_pool1d), and where each element was found; see [`Tensor::max_pool1d_with_indices`].
    ///
    /// # Gradient
    /// As [`max_pool1d`](Var::max_pool1d).
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{MaxPool, Tensor};
    /// let (_, indices) = Var::new(Tensor::from([[1.0, 3.0]])).max_pool1d_with_indices(2, &MaxPool::default());
    /// assert_eq!(indices.to_vec::<i64>(), [1]);
    /// ```
    #[track_caller]
    pub fn max_pool1d_with_indices(&self, kernel: impl Into<PerDim>, options: &MaxPool) -> (Var, Tensor) {
        largest("max_pool1d", self, self.tensor().max_pool1d_with_indices(kernel, options), 1)
    }

    /// [`max_pool2d`](Var::max_pool2d), and where each element was found; see [`Tensor::max_pool2d_with_indices`].
    ///
    /// # Gradient
    /// As [`max_pool1d`](Var::max_pool1d).
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{MaxPool, Tensor};
    /// let (_, indices) = Var::new(Tensor::from([[[1.0], [3.0]]])).max_pool2d_with_indices([2, 1], &MaxPool::default());
    /// assert_eq!(indices.to_vec::<i64>(), [1]);
    /// ```
    #[track_caller]
    pub fn max_pool2d_with_indices(&self, kernel: impl Into<PerDim>, options: &MaxPool) -> (Var, Tensor) {
        largest("max_pool2d", self, self.tensor().max_pool2d_with_indices(kernel, options), 2)
    }

    /// The mean of each window in one spatial dimension; see [`Tensor::avg_pool1d`].
    ///
    /// # Shape
    /// `[n, c, l]` or `[c, l]` -> `[n, c, ..]` or without `n`.
    ///
    /// # Gradient
    /// To each element of a window `dy` over what its sum was divided by. Keeps nothing.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{AvgPool, Tensor};
    /// let x = Var::new(Tensor::from([[1.0, 3.0, 2.0]])).requires_grad_(true);
    /// x.avg_pool1d(2, &AvgPool { stride: Some(1.into()), ..Default::default() }).sum().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.5, 1.0, 0.5]);
    /// ```
    #[track_caller]
    pub fn avg_pool1d(&self, kernel: impl Into<PerDim>, options: &AvgPool) -> Var {
        mean(self, &Mean::Line(kernel.into(), options.clone()))
    }

    /// The mean of each window in two spatial dimensions; see [`Tensor::avg_pool2d`].
    ///
    /// # Shape
    /// `[n, c, h, w]` or `[c, h, w]` -> `[n, c, .., ..]` or without `n`.
    ///
    /// # Gradient
    /// As [`avg_pool1d`](Var::avg_pool1d).
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{AvgPool, Tensor};
    /// let x = Var::new(Tensor::from([[[1.0, 3.0], [2.0, 0.0]]])).requires_grad_(true);
    /// x.avg_pool2d(2, &AvgPool::default()).sum().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.25; 4]);
    /// ```
    #[track_caller]
    pub fn avg_pool2d(&self, kernel: impl Into<PerDim>, options: &AvgPool) -> Var {
        mean(self, &Mean::Plane(kernel.into(), options.clone()))
    }

    /// The means of windows that cover the last dimension; see [`Tensor::adaptive_avg_pool1d`].
    ///
    /// # Gradient
    /// As [`avg_pool1d`](Var::avg_pool1d).
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([[1.0, 2.0, 3.0]])).requires_grad_(true);
    /// x.adaptive_avg_pool1d(2).sum().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.5, 1.0, 0.5]);
    /// ```
    #[track_caller]
    pub fn adaptive_avg_pool1d(&self, output: usize) -> Var {
        mean(self, &Mean::AdaptiveLine(output))
    }

    /// The means of windows that cover the last two dimensions; see [`Tensor::adaptive_avg_pool2d`].
    ///
    /// # Gradient
    /// As [`avg_pool1d`](Var::avg_pool1d).
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{DType, Tensor};
    /// let x = Var::new(Tensor::ones([2, 3, 5, 7], DType::F32));
    /// assert_eq!(x.adaptive_avg_pool2d(1).shape()[..], [2, 3, 1, 1]);
    /// ```
    #[track_caller]
    pub fn adaptive_avg_pool2d(&self, output: impl Into<PerDim>) -> Var {
        mean(self, &Mean::AdaptivePlane(output.into()))
    }

    /// The largest elements of windows that cover the last dimension; see [`Tensor::adaptive_max_pool1d`].
    ///
    /// # Gradient
    /// As [`max_pool1d`](Var::max_pool1d).
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([[1.0, 2.0, 3.0]]));
    /// assert_eq!(x.adaptive_max_pool1d(2).value().to_vec::<f64>(), [2.0, 3.0]);
    /// ```
    #[track_caller]
    pub fn adaptive_max_pool1d(&self, output: usize) -> Var {
        match is_recorded(&[self]) {
            true => self.adaptive_max_pool1d_with_indices(output).0,
            false => Var::new(self.tensor().adaptive_max_pool1d(output)),
        }
    }

    /// The largest elements of windows that cover the last two dimensions; see [`Tensor::adaptive_max_pool2d`].
    ///
    /// # Gradient
    /// As [`max_pool1d`](Var::max_pool1d).
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([[[1.0, 2.0], [3.0, 4.0]]]));
    /// assert_eq!(x.adaptive_max_pool2d([1, 2]).value().to_vec::<f64>(), [3.0, 4.0]);
    /// ```
    #[track_caller]
    pub fn adaptive_max_pool2d(&self, output: impl Into<PerDim>) -> Var {
        match is_recorded(&[self]) {
            true => self.adaptive_max_pool2d_with_indices(output).0,
            false => Var::new(self.tensor().adaptive_max_pool2d(output)),
        }
    }

    /// [`adaptive_max_pool1d`](Var::adaptive_max_pool1d), and where each element was found; see
    /// [`Tensor::adaptive_max_pool1d_with_indices`].
    ///
    /// # Gradient
    /// As [`max_pool1d`](Var::max_pool1d).
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let (_, indices) = Var::new(Tensor::from([[1.0, 2.0, 3.0]])).adaptive_max_pool1d_with_indices(2);
    /// assert_eq!(indices.to_vec::<i64>(), [1, 2]);
    /// ```
    #[track_caller]
    pub fn adaptive_max_pool1d_with_indices(&self, output: usize) -> (Var, Tensor) {
        largest("adaptive_max_pool1d", self, self.tensor().adaptive_max_pool1d_with_indices(output), 1)
    }

    /// [`adaptive_max_pool2d`](Var::adaptive_max_pool2d), and where each element was found; see
    /// [`Tensor::adaptive_max_pool2d_with_indices`].
    ///
    /// # Gradient
    /// As [`max_pool1d`](Var::max_pool1d).
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let (_, indices) = Var::new(Tensor::from([[[1.0, 2.0], [3.0, 4.0]]])).adaptive_max_pool2d_with_indices(1);
    /// assert_eq!(indices.to_vec::<i64>(), [3]);
    /// ```
    #[track_caller]
    pub fn adaptive_max_pool2d_with_indices(&self, output: impl Into<PerDim>) -> (Var, Tensor) {
        largest("adaptive_max_pool2d", self, self.tensor().adaptive_max_pool2d_with_indices(output), 2)
    }
}

/// Records a max pooling over `dims` spatial dimensions.
#[track_caller]
fn largest(name: &'static str, x: &Var, (value, indices): (Tensor, Tensor), dims: usize) -> (Var, Tensor) {
    let (shape, kept) = (x.shape(), indices.clone());
    let y = Var::record_unary(name, value, x, move |dy| scattered(dy, &kept, &shape, dims));
    (y, indices)
}

/// `dy` added up at `indices` in planes of the input's shape.
fn scattered(dy: &Var, indices: &Tensor, shape: &[usize], dims: usize) -> Var {
    let (value, kept) = (Tensor::max_pool_backward(&dy.tensor(), indices, shape, dims), indices.clone());
    Var::record_unary("max_pool_backward", value, dy, move |g| gathered(g, &kept, dims))
}

/// The elements of `x` at `indices` of its planes.
fn gathered(x: &Var, indices: &Tensor, dims: usize) -> Var {
    let (shape, kept) = (x.shape(), indices.clone());
    let value = x.tensor().max_pool_gather(indices, dims);
    Var::record_unary("max_pool_gather", value, x, move |dy| scattered(dy, &kept, &shape, dims))
}

/// An average pooling with its options.
#[derive(Clone)]
enum Mean {
    Line(PerDim, AvgPool),
    Plane(PerDim, AvgPool),
    AdaptiveLine(usize),
    AdaptivePlane(PerDim),
}

/// An average pooling; its gradient is [`mean_backward`].
#[track_caller]
fn mean(x: &Var, pooling: &Mean) -> Var {
    let t = x.tensor();
    let (name, value) = match pooling {
        Mean::Line(kernel, options) => ("avg_pool1d", t.avg_pool1d(kernel, options)),
        Mean::Plane(kernel, options) => ("avg_pool2d", t.avg_pool2d(kernel, options)),
        Mean::AdaptiveLine(output) => ("adaptive_avg_pool1d", t.adaptive_avg_pool1d(*output)),
        Mean::AdaptivePlane(output) => ("adaptive_avg_pool2d", t.adaptive_avg_pool2d(output)),
    };
    let (shape, pooling) = (x.shape(), pooling.clone());
    Var::record_unary(name, value, x, move |dy| mean_backward(dy, &shape, &pooling))
}

/// The gradient of [`mean`] for inputs of `shape`; its own gradient is [`mean`].
#[track_caller]
fn mean_backward(dy: &Var, shape: &[usize], pooling: &Mean) -> Var {
    let t = dy.tensor();
    let (name, value) = match pooling {
        Mean::Line(kernel, options) => ("avg_pool1d_backward", Tensor::avg_pool1d_backward(&t, shape, kernel, options)),
        Mean::Plane(kernel, options) => {
            ("avg_pool2d_backward", Tensor::avg_pool2d_backward(&t, shape, kernel, options))
        }
        Mean::AdaptiveLine(_) => ("adaptive_avg_pool1d_backward", Tensor::adaptive_avg_pool1d_backward(&t, shape)),
        Mean::AdaptivePlane(_) => ("adaptive_avg_pool2d_backward", Tensor::adaptive_avg_pool2d_backward(&t, shape)),
    };
    let pooling = pooling.clone();
    Var::record_unary(name, value, dy, move |g| mean(g, &pooling))
}

/// Shapes and random options.
#[cfg(test)]
mod samples {
    use super::*;
    use crate::testing::Pick;

    fn shape(shape: &[usize], p: &mut Pick, dims: usize) -> Vec<Vec<usize>> {
        let batch = if p.coin() { vec![] } else { vec![shape.first().copied().unwrap_or(2)] };
        let rest: Vec<usize> = (0..dims).map(|_| 2 + p.below(4)).collect();
        vec![[&batch[..], &[1 + p.below(2)], &rest].concat()]
    }

    pub fn line(s: &[usize], p: &mut Pick, _: usize) -> Vec<Vec<usize>> {
        shape(s, p, 1)
    }
    pub fn plane(s: &[usize], p: &mut Pick, _: usize) -> Vec<Vec<usize>> {
        shape(s, p, 2)
    }

    pub fn max(p: &mut Pick) -> (usize, MaxPool) {
        let kernel = 1 + p.below(2);
        let stride = p.coin().then(|| (1 + p.below(3)).into());
        let padding = p.below(kernel / 2 + 1).into();
        (kernel, MaxPool { stride, padding, ceil_mode: p.coin(), ..Default::default() })
    }

    pub fn avg(p: &mut Pick) -> (usize, AvgPool) {
        let kernel = 1 + p.below(2);
        let stride = p.coin().then(|| (1 + p.below(3)).into());
        let padding = p.below(kernel / 2 + 1).into();
        let divisor_override = p.coin().then_some(-3);
        (kernel, AvgPool { stride, padding, ceil_mode: p.coin(), count_include_pad: p.coin(), divisor_override })
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    fn both((y, indices): (Var, Tensor)) -> Vec<Var> {
        [vec![y], mask(indices)].concat()
    }
    vec![
        sample("max_pool1d", &[DISTINCT], samples::line, |v, p| {
            let (kernel, options) = samples::max(p);
            v[0].max_pool1d(kernel, &options).into()
        }),
        sample("max_pool2d", &[DISTINCT], samples::plane, |v, p| {
            let (kernel, options) = samples::max(p);
            let dilation = if v[0].dim(-1) > 2 { 1 + p.below(2) } else { 1 };
            v[0].max_pool2d(kernel, &MaxPool { dilation: [1, dilation].into(), ..options }).into()
        }),
        sample("max_pool1d_with_indices", &[DISTINCT], samples::line, |v, p| {
            let (kernel, options) = samples::max(p);
            both(v[0].max_pool1d_with_indices(kernel, &options))
        }),
        sample("max_pool2d_with_indices", &[DISTINCT], samples::plane, |v, p| {
            let (kernel, options) = samples::max(p);
            both(v[0].max_pool2d_with_indices(kernel, &options))
        }),
        sample("avg_pool1d", &[REAL], samples::line, |v, p| {
            let (kernel, options) = samples::avg(p);
            v[0].avg_pool1d(kernel, &options).into()
        }),
        sample("avg_pool2d", &[REAL], samples::plane, |v, p| {
            let (kernel, options) = samples::avg(p);
            v[0].avg_pool2d(kernel, &options).into()
        }),
        sample("adaptive_avg_pool1d", &[REAL], samples::line, |v, p| v[0].adaptive_avg_pool1d(p.below(5)).into()),
        sample("adaptive_avg_pool2d", &[REAL], samples::plane, |v, p| {
            v[0].adaptive_avg_pool2d([p.below(4), 1 + p.below(5)]).into()
        }),
        sample("adaptive_max_pool1d", &[DISTINCT], samples::line, |v, p| v[0].adaptive_max_pool1d(p.below(5)).into()),
        sample("adaptive_max_pool2d", &[DISTINCT], samples::plane, |v, p| {
            v[0].adaptive_max_pool2d([p.below(4), 1 + p.below(5)]).into()
        }),
        sample("adaptive_max_pool1d_with_indices", &[DISTINCT], samples::line, |v, p| {
            both(v[0].adaptive_max_pool1d_with_indices(p.below(5)))
        }),
        sample("adaptive_max_pool2d_with_indices", &[DISTINCT], samples::plane, |v, p| {
            both(v[0].adaptive_max_pool2d_with_indices([p.below(4), 1 + p.below(5)]))
        }),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;

    fn sizes(a: &Args, i: usize, name: &str, default: usize) -> Result<PerDim, Skip> {
        Ok(a.opt_ints(i, name)?.map_or(Ok(vec![default]), |_| a.sizes(i, name))?.into())
    }
    fn stride(a: &Args) -> Result<Option<PerDim>, Skip> {
        // An empty list is as good as none.
        match a.opt_ints(2, "stride")? {
            Some(stride) if !stride.is_empty() => Ok(Some(a.sizes(2, "stride")?.into())),
            _ => Ok(None),
        }
    }
    fn max(a: &Args) -> Result<(Var, PerDim, MaxPool, bool), Skip> {
        let options = MaxPool {
            stride: stride(a)?,
            padding: sizes(a, 3, "padding", 0)?,
            dilation: sizes(a, 4, "dilation", 1)?,
            ceil_mode: a.flag(5, "ceil_mode", false)?,
        };
        let kernel = a.sizes(1, "kernel_size")?.into();
        Ok((a.var(0, "input")?, kernel, options, a.flag(6, "return_indices", false)?))
    }
    fn avg(a: &Args) -> Result<(Var, PerDim, AvgPool), Skip> {
        let options = AvgPool {
            stride: stride(a)?,
            padding: sizes(a, 3, "padding", 0)?,
            ceil_mode: a.flag(4, "ceil_mode", false)?,
            count_include_pad: a.flag(5, "count_include_pad", true)?,
            divisor_override: a.opt_int(6, "divisor_override")?.map(|n| n as i64),
        };
        Ok((a.var(0, "input")?, a.sizes(1, "kernel_size")?.into(), options))
    }
    /// The output size of an adaptive pooling; `None` in it stands for the size of the input.
    fn output(a: &Args, dims: usize) -> Result<(Var, Vec<usize>), Skip> {
        let x = a.var(0, "input")?;
        let size = match a.raw(1, "output_size") {
            Some(Arg::List(list)) if list.iter().any(|n| matches!(n, Arg::None)) => list
                .iter()
                .enumerate()
                .map(|(i, n)| match n {
                    Arg::Int(n) => *n as usize,
                    _ => x.dim(i as isize - dims as isize),
                })
                .collect(),
            _ => a.sizes(1, "output_size")?,
        };
        Ok((x, size))
    }
    fn one(size: Vec<usize>) -> usize {
        match size[..] {
            [size] => size,
            _ => panic!("one size is needed, which the type of the argument says"),
        }
    }
    vec![
        torch("nn.functional.max_pool1d", &["max_pool1d", "max_pool1d_with_indices"], |a| {
            let (x, kernel, options, indices) = max(a)?;
            match indices {
                true => done(x.max_pool1d_with_indices(kernel, &options)),
                false => done(x.max_pool1d(kernel, &options)),
            }
        }),
        torch("nn.functional.max_pool2d", &["max_pool2d", "max_pool2d_with_indices"], |a| {
            let (x, kernel, options, indices) = max(a)?;
            match indices {
                true => done(x.max_pool2d_with_indices(kernel, &options)),
                false => done(x.max_pool2d(kernel, &options)),
            }
        }),
        torch("nn.functional.avg_pool1d", &["avg_pool1d"], |a| {
            let (x, kernel, options) = avg(a)?;
            done(x.avg_pool1d(kernel, &options))
        }),
        torch("nn.functional.avg_pool2d", &["avg_pool2d"], |a| {
            let (x, kernel, options) = avg(a)?;
            done(x.avg_pool2d(kernel, &options))
        }),
        torch("nn.functional.adaptive_avg_pool1d", &["adaptive_avg_pool1d"], |a| {
            let (x, size) = output(a, 1)?;
            done(x.adaptive_avg_pool1d(one(size)))
        }),
        torch("nn.functional.adaptive_avg_pool2d", &["adaptive_avg_pool2d"], |a| {
            let (x, size) = output(a, 2)?;
            done(x.adaptive_avg_pool2d(size))
        }),
        torch("nn.functional.adaptive_max_pool1d", &["adaptive_max_pool1d", "adaptive_max_pool1d_with_indices"], |a| {
            let ((x, size), indices) = (output(a, 1)?, a.flag(2, "return_indices", false)?);
            match indices {
                true => done(x.adaptive_max_pool1d_with_indices(one(size))),
                false => done(x.adaptive_max_pool1d(one(size))),
            }
        }),
        torch("nn.functional.adaptive_max_pool2d", &["adaptive_max_pool2d", "adaptive_max_pool2d_with_indices"], |a| {
            let ((x, size), indices) = (output(a, 2)?, a.flag(2, "return_indices", false)?);
            match indices {
                true => done(x.adaptive_max_pool2d_with_indices(size)),
                false => done(x.adaptive_max_pool2d(size)),
            }
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::DType;

    fn gradient(x: &[f64], f: impl Fn(&Var) -> Var) -> Vec<f64> {
        let x = Var::new(Tensor::from_slice(x, [1, x.len()])).requires_grad_(true);
        f(&x).sum().backward();
        x.grad().expect("a leaf's gradient").to_vec()
    }

    #[test]
    fn ties_go_to_the_first_and_nan_wins() {
        let options = MaxPool::default();
        assert_eq!(gradient(&[2.0, 2.0, 1.0, 2.0], |x| x.max_pool1d(4, &options)), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(gradient(&[2.0, f64::NAN, f64::NAN, 3.0], |x| x.max_pool1d(4, &options)), [0.0, 0.0, 1.0, 0.0]);
        let low = [f64::NEG_INFINITY; 3];
        let padded = MaxPool { padding: 1.into(), ..Default::default() };
        assert_eq!(gradient(&low, |x| x.max_pool1d(2, &padded)), [1.0, 1.0, 0.0]);
    }

    #[test]
    fn a_window_without_elements_has_no_gradient() {
        let options = MaxPool { padding: 1.into(), stride: Some(1.into()), dilation: 3.into(), ..Default::default() };
        let (y, indices) = Var::new(Tensor::from([[1.0, 2.0]])).max_pool1d_with_indices(2, &options);
        assert_eq!((y.value().to_vec::<f64>(), indices.to_vec::<i64>()), (vec![f64::NEG_INFINITY], vec![-1]));
        assert_eq!(gradient(&[1.0, 2.0], |x| x.max_pool1d(2, &options)), [0.0, 0.0]);
    }

    #[test]
    fn integers_and_halves() {
        let x = Tensor::from([[5i64, -2, 7, -8]]);
        assert_eq!(x.max_pool1d(2, &MaxPool::default()).to_vec::<i64>(), [5, 7]);
        // Cut off towards zero.
        assert_eq!(x.avg_pool1d(2, &AvgPool::default()).to_vec::<i64>(), [1, 0]);
        let half = x.to_dtype(DType::F16);
        assert_eq!(half.avg_pool1d(2, &AvgPool::default()).dtype(), DType::F16);
    }
}
