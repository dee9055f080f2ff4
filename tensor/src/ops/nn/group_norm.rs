//! Group normalisation.

use crate::dtype::dispatch;
use crate::kernels::channel_norm::{self as kernel, Pull};
use crate::ops::nn::layer_norm::read;
use crate::{DType, Error, Tensor};

/// The sizes of an input `[n, c, ..]`.
#[derive(Clone, Copy)]
pub(crate) struct Channels {
    pub(crate) n: usize,
    pub(crate) c: usize,
    /// Elements of one channel of one item.
    pub(crate) inner: usize,
}

impl Tensor {
    /// The sizes of this input after checking that `parameters` have one number per channel.
    #[track_caller]
    pub(crate) fn channels(&self, op: &str, parameters: &[(&str, Option<&Tensor>)]) -> Channels {
        let (n, c, rest): (usize, usize, &[usize]) = match self.dims() {
            [n, c, rest @ ..] => (*n, *c, rest),
            // As in PyTorch; only batch normalisation comes here with it.
            [0] if op.starts_with("batch_norm") => (0, 0, &[]),
            dims => panic!("{}", Error::shape(op, "there are no channels", &[("input", dims)], "[n, c, ..]")),
        };
        if !self.dtype().is_floating_point() {
            panic!("{}", Error::dtype(op, format!("needs a floating-point tensor, got {}", self.dtype())));
        }
        for (name, parameter) in parameters {
            let Some(p) = parameter else { continue };
            if p.dims() != [c] {
                let shapes: [(&str, &[usize]); 2] = [("input", self.dims()), (name, p.dims())];
                let what = format!("the {name} does not have one number for each of {c} channels");
                panic!("{}", Error::shape(op, what, &shapes, "[n, c, ..] and [c]"));
            }
            if !p.is_parameter_for(self) {
                panic!("{}", Error::dtype(op, format!("the input is {}, the {name} {}", self.dtype(), p.dtype())));
            }
        }
        Channels { n, c, inner: rest.iter().product() }
    }

    /// `(x - mean) / sqrt(var + eps) * weight + bias` over groups of channels, with the population's variance; weight and
    /// bias have a number per channel. Returns the result, the means and `1 / sqrt(var + eps)` (both in f32 for the
    /// halves).
    ///
    /// # Shape
    /// `[n, c, ..]`, weight and bias `[c]` `-> [n, c, ..], [n, num_groups], [n, num_groups]`
    /// # Numerics
    /// The variance is computed from differences to the mean.
    /// # Panics
    /// If the groups do not divide the channels, the shapes or dtypes do not fit, or there is but a single element per group.
    /// # Source
    /// Wu and He, "Group Normalization", 2018, equations 1 to 7.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([[[1.0, 3.0], [10.0, 30.0]]]);
    /// let (y, mean, _) = x.group_norm(2, None, None, 0.0);
    /// assert_eq!((y.to_vec::<f64>(), mean.to_vec::<f64>()), (vec![-1.0, 1.0, -1.0, 1.0], vec![2.0, 20.0]));
    /// ```
    #[track_caller]
    pub fn group_norm(
        &self,
        num_groups: usize,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> (Tensor, Tensor, Tensor) {
        let sizes = self.channels("group_norm", &[("weight", weight), ("bias", bias)]);
        let Channels { n, c, inner } = sizes;
        let per_group = sizes.per_group("group_norm", self, num_groups);
        if inner == 0 || n * per_group * inner == 1 {
            let what = if inner == 0 { "channels have no elements" } else { "a group is a single element" };
            panic!("{}", Error::shape("group_norm", what, &[("input", self.dims())], "[n, c, ..] with a variance"));
        }
        let x = self.widen().contiguous();
        let (weight, bias) = (numbers(weight), numbers(bias));
        let len = per_group * inner;
        dispatch!(float x.dtype(), "group_norm", T => {
            let moments = kernel::moments(read::<T>(&x), len);
            // An empty input has statistics all the same.
            let moment = |i: usize| moments.get(i).copied().unwrap_or([0.0; 2]);
            let rstd = |group: usize| 1.0 / (moment(group)[1] / len as f64 + eps).sqrt();
            let y = Tensor::build::<T>(self.shape(), |y| {
                kernel::apply(read::<T>(&x), inner, |row| {
                    let (channel, group) = (row % c, row / per_group);
                    [moment(group)[0], rstd(group) * at(&weight, channel, 1.0), at(&bias, channel, 0.0)]
                }, y)
            });
            let stats = |f: &dyn Fn(usize) -> f64| {
                let all: Vec<f64> = (0..n * num_groups).map(f).collect();
                Tensor::from_vec(all, [n, num_groups]).to_dtype(x.dtype())
            };
            (y.to_dtype(self.dtype()), stats(&|group| moment(group)[0]), stats(&rstd))
        })
    }

    /// The gradients of [`group_norm`](Tensor::group_norm) with respect to input, weight and bias, of which those in
    /// `need` are computed: with `h = (x - mean) rstd`, `g = dy * weight` and means over a group,
    ///
    /// ```text
    /// dx = rstd (g - mean(g) - h mean(g h)),   dweight = sum of dy h,   dbias = sum of dy   (over a channel)
    /// ```
    ///
    /// # Panics
    /// If the shapes or dtypes do not fit.
    #[allow(clippy::too_many_arguments)]
    #[track_caller]
    pub fn group_norm_backward(
        dy: &Tensor,
        x: &Tensor,
        mean: &Tensor,
        rstd: &Tensor,
        num_groups: usize,
        weight: Option<&Tensor>,
        need: [bool; 3],
    ) -> [Option<Tensor>; 3] {
        let op = "group_norm_backward";
        let sizes = x.channels(op, &[("weight", weight)]);
        let Channels { n, c, inner } = sizes;
        let per_group = sizes.per_group(op, x, num_groups);
        if dy.shape() != x.shape() || mean.dims() != [n, num_groups] || rstd.dims() != mean.dims() {
            let shapes: [(&str, &[usize]); 4] =
                [("dy", dy.dims()), ("x", x.dims()), ("mean", mean.dims()), ("rstd", rstd.dims())];
            let what = "the gradient or what was saved does not fit the input";
            panic!("{}", Error::shape(op, what, &shapes, "[n, c, ..] and [n, num_groups]"));
        }
        let dtype = x.dtype();
        let (dy, x) = (dy.to_dtype(dtype.compute()).contiguous(), x.widen().contiguous());
        let (mean, rstd, weight) = (doubles(mean), doubles(rstd), numbers(weight));
        dispatch!(float x.dtype(), op, T => {
            // One row per channel of an item.
            let sums = kernel::gradient_sums(read::<T>(&dy), read::<T>(&x), inner, |row| mean[row / per_group]);
            let dx = || Tensor::build::<T>(x.shape(), |dx| {
                let len = (per_group * inner) as f64;
                let means: Vec<[f64; 2]> = sums.chunks(per_group).enumerate().map(|(group, sums)| {
                    let total = |which: usize| -> f64 {
                        let weighted = |(i, sum): (usize, &[f64; 2])| {
                            at(&weight, group % num_groups * per_group + i, 1.0) * sum[which]
                        };
                        sums.iter().enumerate().map(weighted).sum()
                    };
                    [total(0) / len, total(1) * rstd[group] / len]
                }).collect();
                kernel::pull(read::<T>(&dy), read::<T>(&x), inner, |row| {
                    let group = row / per_group;
                    let [mean_g, mean_gh] = means[group];
                    Pull {
                        scale: rstd[group] * at(&weight, row % c, 1.0),
                        mean: mean[group],
                        slope: -rstd[group] * rstd[group] * mean_gh,
                        shift: -rstd[group] * mean_g,
                    }
                }, dx)
            });
            let by_channel = |f: &dyn Fn(usize) -> f64| {
                let sum = |channel: usize| -> f64 { (0..sums.len() / c).map(|i| f(i * c + channel)).sum() };
                Tensor::from_vec((0..c).map(sum).collect::<Vec<f64>>(), [c])
            };
            // Those of parameters are not rounded to a half, as these may be f32 beside it.
            let parameter = |f: &dyn Fn(usize) -> f64| by_channel(f).to_dtype(dtype.compute());
            [
                need[0].then(|| dx().to_dtype(dtype)),
                need[1].then(|| parameter(&|row| sums[row][1] * rstd[row / per_group])),
                need[2].then(|| parameter(&|row| sums[row][0])),
            ]
        })
    }
}

impl Channels {
    /// Channels in a group.
    #[track_caller]
    fn per_group(self, op: &str, x: &Tensor, num_groups: usize) -> usize {
        if num_groups == 0 || self.c == 0 || !self.c.is_multiple_of(num_groups) {
            let what = format!("{} channels do not make {num_groups} groups", self.c);
            panic!("{}", Error::shape(op, what, &[("input", x.dims())], "[n, num_groups * k, ..]"));
        }
        self.c / num_groups
    }
}

/// The numbers of a parameter.
pub(crate) fn doubles(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64).to_vec()
}

/// The numbers of a parameter that may be missing.
pub(crate) fn numbers(parameter: Option<&Tensor>) -> Option<Vec<f64>> {
    parameter.map(doubles)
}

/// A parameter's number for a channel.
pub(crate) fn at(numbers: &Option<Vec<f64>>, channel: usize, default: f64) -> f64 {
    numbers.as_ref().map_or(default, |numbers| numbers[channel])
}
