//! Batch normalisation.

use crate::dtype::dispatch;
use crate::kernels::channel_norm::{self as kernel, Pull};
use crate::ops::nn::group_norm::{Channels, at, doubles, numbers};
use crate::ops::nn::layer_norm::read;
use crate::{Error, Tensor};

/// Options of [`Tensor::batch_norm`]; the defaults are those of PyTorch's function.
///
/// ```
/// let options = tensor::BatchNorm { training: true, ..Default::default() };
/// assert_eq!((options.momentum, options.eps), (0.1, 1e-5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNorm {
    /// Whether to normalise by the batch's statistics rather than by the running ones (default: false).
    pub training: bool,
    /// The part of the batch's statistics in the new running ones (default: 0.1).
    pub momentum: f64,
    /// Added to the variance (default: 1e-5).
    pub eps: f64,
}

impl Default for BatchNorm {
    fn default() -> Self {
        BatchNorm { training: false, momentum: 0.1, eps: 1e-5 }
    }
}

/// What [`Tensor::batch_norm`] gives.
#[derive(Debug, Clone)]
pub struct BatchNormed {
    /// The normalised input.
    pub output: Tensor,
    /// The mean of each channel by which it was normalised, `[c]`.
    pub mean: Tensor,
    /// `1 / sqrt(var + eps)` of each channel, `[c]`.
    pub rstd: Tensor,
    /// The new running mean and variance, when training with running ones.
    pub running: Option<(Tensor, Tensor)>,
}

/// The rows that the kernels see: channels of items, or where these are short whole channels, brought together.
struct Rows {
    x: Tensor,
    sizes: Channels,
    len: usize,
    gathered: bool,
}

/// Shorter channels of items are brought together.
const SHORT: usize = 32;

impl Rows {
    /// The operand, widened, in the order of the rows.
    fn arrange(x: &Tensor, gathered: bool) -> Tensor {
        let x = x.widen();
        if gathered { x.movedim(1, 0).contiguous() } else { x.contiguous() }
    }

    fn new(x: &Tensor, sizes: Channels) -> Rows {
        let gathered = sizes.inner < SHORT && sizes.n > 1;
        let len = if gathered { sizes.n * sizes.inner } else { sizes.inner };
        Rows { x: Rows::arrange(x, gathered), sizes, len, gathered }
    }

    fn channel(&self, row: usize) -> usize {
        row % self.sizes.c
    }

    /// A result in the shape of the input.
    fn back(&self, y: Tensor) -> Tensor {
        if self.gathered { y.movedim(0, 1) } else { y }
    }

    /// Sums over the rows of each channel.
    fn by_channel<const N: usize>(&self, rows: &[[f64; N]], f: impl Fn([f64; N]) -> [f64; N]) -> Vec<[f64; N]> {
        let mut sums = vec![[0.0; N]; self.sizes.c];
        for (row, &numbers) in rows.iter().enumerate() {
            let sum = &mut sums[self.channel(row)];
            sum.iter_mut().zip(f(numbers)).for_each(|(sum, x)| *sum += x);
        }
        sums
    }
}

/// How many elements a channel has.
fn count(sizes: Channels) -> f64 {
    (sizes.n * sizes.inner) as f64
}

impl Tensor {
    /// `(x - mean) / sqrt(var + eps) * weight + bias` per channel: in training with the mean and the population's variance
    /// of the batch, otherwise with the `running` mean and variance.
    ///
    /// Nothing is changed in place: in training the new running statistics, `(1 - momentum) old + momentum batch` with the
    /// variance by Bessel's correction, are part of what is returned. A batch without elements leaves them as they are.
    ///
    /// # Shape
    /// `x [n, c, ..]`, all others `[c]`; an empty `x [0]` has no channels.
    /// # Numerics
    /// The variance is computed from differences to the mean.
    /// # Panics
    /// If the shapes or dtypes do not fit, when not training without running statistics, or when training with a single
    /// element per channel.
    /// # Source
    /// Ioffe and Szegedy, "Batch Normalization", 2015, algorithm 1.
    ///
    /// ```
    /// use tensor::{BatchNorm, Tensor};
    /// let x = Tensor::from([[1.0], [3.0]]);
    /// let running = (Tensor::from([0.0]), Tensor::from([1.0]));
    /// let training = BatchNorm { training: true, momentum: 0.5, eps: 0.0 };
    /// let y = x.batch_norm(Some((&running.0, &running.1)), None, None, &training);
    /// assert_eq!(y.output.to_vec::<f64>(), [-1.0, 1.0]);
    /// let (mean, var) = y.running.unwrap();
    /// assert_eq!((mean.item::<f64>(), var.item::<f64>()), (1.0, 1.5));
    /// ```
    #[track_caller]
    pub fn batch_norm(
        &self,
        running: Option<(&Tensor, &Tensor)>,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        options: &BatchNorm,
    ) -> BatchNormed {
        let op = "batch_norm";
        let (old_mean, old_var) = running.unzip();
        let parameters =
            [("weight", weight), ("bias", bias), ("running mean", old_mean), ("running variance", old_var)];
        let sizes = self.channels(op, &parameters);
        if options.training && sizes.n * sizes.inner == 1 {
            let what = "training needs more than one element per channel";
            panic!("{}", Error::shape(op, what, &[("input", self.dims())], "[n, c, ..]"));
        }
        let rows = Rows::new(self, sizes);
        let (weight, bias) = (numbers(weight), numbers(bias));
        let dtype = rows.x.dtype();
        dispatch!(float dtype, op, T => {
            // Per channel the mean and the variance of the population.
            let stats: Vec<[f64; 2]> = match (options.training, running) {
                (true, _) => {
                    let moments = kernel::moments(read::<T>(&rows.x), rows.len);
                    let parts = count(sizes) / rows.len as f64;
                    let means = rows.by_channel(&moments, |m| [m[0] / parts, 0.0]);
                    // The spread within the rows, and that of their means.
                    let mut stats = means;
                    for (row, [mean, scatter]) in moments.iter().enumerate() {
                        let [centre, sum] = &mut stats[rows.channel(row)];
                        *sum += scatter + rows.len as f64 * (mean - *centre).powi(2);
                    }
                    stats.iter().map(|[mean, sum]| [*mean, sum / count(sizes)]).collect()
                }
                (false, Some((mean, var))) => {
                    doubles(mean).into_iter().zip(doubles(var)).map(|(mean, var)| [mean, var]).collect()
                }
                (false, None) => panic!("{}", Error::value(op, "running statistics are needed when not training")),
            };
            let rstd = |channel: usize| 1.0 / (stats[channel][1] + options.eps).sqrt();
            let y = Tensor::build::<T>(rows.x.shape(), |y| {
                kernel::apply(read::<T>(&rows.x), rows.len, |row| {
                    let channel = rows.channel(row);
                    [stats[channel][0], rstd(channel) * at(&weight, channel, 1.0), at(&bias, channel, 0.0)]
                }, y)
            });
            let by_channel = |f: &dyn Fn(usize) -> f64| Tensor::from_vec((0..sizes.c).map(f).collect(), [sizes.c]);
            let running = running.filter(|_| options.training).map(|(mean, var)| {
                if count(sizes) == 0.0 {
                    return (mean.clone(), var.clone());
                }
                let bessel = count(sizes) / (count(sizes) - 1.0);
                let mixed = |old: &Tensor, new: &dyn Fn(usize) -> f64| {
                    let old_values = doubles(old);
                    let mix = |c: usize| (1.0 - options.momentum) * old_values[c] + options.momentum * new(c);
                    by_channel(&mix).to_dtype(old.dtype())
                };
                (mixed(mean, &|c| stats[c][0]), mixed(var, &|c| stats[c][1] * bessel))
            });
            BatchNormed {
                output: rows.back(y).to_dtype(self.dtype()),
                mean: by_channel(&|c| stats[c][0]).to_dtype(dtype),
                rstd: by_channel(&rstd).to_dtype(dtype),
                running,
            }
        })
    }

    /// The gradients of [`batch_norm`](Tensor::batch_norm) with respect to input, weight and bias, of which those in `need`
    /// are computed: with `h = (x - mean) rstd` and sums and means over a channel,
    ///
    /// ```text
    /// dweight = sum dy h,   dbias = sum dy
    /// dx = rstd weight (dy - mean(dy) - h mean(dy h))   in training,   rstd weight dy   otherwise
    /// ```
    ///
    /// # Panics
    /// If the shapes or dtypes do not fit.
    #[allow(clippy::too_many_arguments)]
    #[track_caller]
    pub fn batch_norm_backward(
        dy: &Tensor,
        x: &Tensor,
        mean: &Tensor,
        rstd: &Tensor,
        weight: Option<&Tensor>,
        training: bool,
        need: [bool; 3],
    ) -> [Option<Tensor>; 3] {
        let op = "batch_norm_backward";
        let sizes = x.channels(op, &[("weight", weight), ("mean", Some(mean)), ("rstd", Some(rstd))]);
        if dy.shape() != x.shape() {
            let shapes: [(&str, &[usize]); 2] = [("dy", dy.dims()), ("x", x.dims())];
            panic!("{}", Error::shape(op, "the gradient does not fit the input", &shapes, "equal shapes"));
        }
        let rows = Rows::new(x, sizes);
        let dtype = x.dtype();
        let dy = Rows::arrange(&dy.to_dtype(dtype.compute()), rows.gathered);
        let (mean, rstd, weight) = (doubles(mean), doubles(rstd), numbers(weight));
        dispatch!(float rows.x.dtype(), op, T => {
            let (x, dy) = (read::<T>(&rows.x), read::<T>(&dy));
            let sums = if training || need[1] || need[2] {
                rows.by_channel(&kernel::gradient_sums(dy, x, rows.len, |row| mean[rows.channel(row)]), |sums| sums)
            } else {
                vec![]
            };
            let dx = || {
                let dx = Tensor::build::<T>(rows.x.shape(), |dx| kernel::pull(dy, x, rows.len, |row| {
                    let channel = rows.channel(row);
                    let r = rstd[channel];
                    let scale = r * at(&weight, channel, 1.0);
                    let [sum, product] = if training { sums[channel] } else { [0.0; 2] };
                    let slope = -scale * r * r * product / count(sizes);
                    Pull { scale, mean: mean[channel], slope, shift: -scale * sum / count(sizes) }
                }, dx));
                rows.back(dx).to_dtype(dtype)
            };
            let by_channel = |f: &dyn Fn(usize) -> f64| {
                Tensor::from_vec((0..sizes.c).map(f).collect::<Vec<f64>>(), [sizes.c])
            };
            // Those of parameters are not rounded to a half, as these may be f32 beside it.
            let parameter = |f: &dyn Fn(usize) -> f64| by_channel(f).to_dtype(dtype.compute());
            // A sum of nothing is zero, also where nothing has no deviation to divide by.
            let dweight = |c: usize| if count(sizes) == 0.0 { 0.0 } else { sums[c][1] * rstd[c] };
            [
                need[0].then(dx),
                need[1].then(|| parameter(&dweight)),
                need[2].then(|| parameter(&|c| sums[c][0])),
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    #[test]
    fn the_gradients_of_parameters_by_no_rows_are_zero() {
        let (x, training) = (Tensor::zeros([0, 2], DType::F64), BatchNorm { training: true, ..Default::default() });
        let BatchNormed { output, mean, rstd, .. } = x.batch_norm(None, None, None, &training);
        let weight = Tensor::ones([2], DType::F64);
        let [dx, dw, db] = Tensor::batch_norm_backward(&output, &x, &mean, &rstd, Some(&weight), true, [true; 3]);
        assert_eq!(dx.unwrap().dims(), [0, 2]);
        assert_eq!((dw.unwrap().to_vec::<f64>(), db.unwrap().to_vec::<f64>()), (vec![0.0; 2], vec![0.0; 2]));
    }
}
