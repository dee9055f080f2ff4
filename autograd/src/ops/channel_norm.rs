//! Normalisation by channels: of a group, of a batch, of an item.

use smallvec::SmallVec;
use tensor::{BatchNorm, Tensor};

use crate::mode::is_grad_enabled;
use crate::record::Kept;
use crate::reference::reference_vjp;
use crate::step::Need;
use crate::var::Var;

impl Var {
    /// `(x - mean) / sqrt(var + eps) * weight + bias` over groups of channels, with the population's variance; weight and
    /// bias have a number per channel.
    ///
    /// # Shape
    /// `x [n, c, ..]`, weight and bias `[c]`.
    ///
    /// # Gradient
    /// With `n` the normalised value, `r = 1 / sqrt(var + eps)`, `g = dy weight` and means over a group: `dx = r (g -
    /// mean(g) - n mean(g n))`, `dweight = sum dy n`, `dbias = sum dy`. Keeps `x`, `weight`, and two numbers per group.
    ///
    /// # Source
    /// Wu and He, *Group Normalization*, 2018.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([[[1.0, 3.0], [10.0, 30.0]]]));
    /// assert_eq!(x.group_norm(2, None, None, 0.0).value().to_vec::<f64>(), [-1.0, 1.0, -1.0, 1.0]);
    /// ```
    #[track_caller]
    pub fn group_norm(&self, num_groups: usize, weight: Option<&Var>, bias: Option<&Var>, eps: f64) -> Var {
        let value = |var: Option<&Var>| var.map(Var::value);
        let (value, mean, rstd) =
            self.tensor().group_norm(num_groups, value(weight).as_ref(), value(bias).as_ref(), eps);
        let reference = move |v: &[Var]| {
            let (x, shape) = (&v[0], v[0].shape());
            let groups = x.reshape([shape[0], num_groups, shape[1..].iter().product::<usize>() / num_groups]);
            let away = &groups - groups.mean_dim(2, true);
            let n = &away * (away.square().mean_dim(2, true) + eps).rsqrt();
            weighted(n.reshape(&shape), &v[1..])
        };
        self.normed("group_norm", value, weight, bias, reference, move |dy, x, w, need| {
            Tensor::group_norm_backward(dy, x, &mean, &rstd, num_groups, w, need)
        })
    }

    /// `(x - mean) / sqrt(var + eps) * weight + bias` per channel: in training with the mean and the population's variance
    /// of the batch, otherwise with the `running` mean and variance. Nothing is changed in place: the new running
    /// statistics, if there are running ones and `training`, are returned beside the result.
    ///
    /// # Shape
    /// `x [n, c, ..]`, all others `[c]`.
    ///
    /// # Gradient
    /// In training as [`Var::group_norm`] with means over a channel of the batch; otherwise `dx = dy weight / sqrt(var +
    /// eps)`. Keeps `x`, `weight`, and two numbers per channel.
    ///
    /// # Source
    /// Ioffe and Szegedy, *Batch Normalization*, 2015.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{BatchNorm, Tensor};
    /// let x = Var::new(Tensor::from([[1.0], [3.0]]));
    /// let (y, _) = x.batch_norm(None, None, None, &BatchNorm { training: true, eps: 0.0, ..Default::default() });
    /// assert_eq!(y.value().to_vec::<f64>(), [-1.0, 1.0]);
    /// ```
    #[track_caller]
    pub fn batch_norm(
        &self,
        running: Option<(&Tensor, &Tensor)>,
        weight: Option<&Var>,
        bias: Option<&Var>,
        options: &BatchNorm,
    ) -> (Var, Option<(Tensor, Tensor)>) {
        let value = |var: Option<&Var>| var.map(Var::value);
        let normed = self.tensor().batch_norm(running, value(weight).as_ref(), value(bias).as_ref(), options);
        let (mean, rstd, BatchNorm { training, eps, .. }) = (normed.mean, normed.rstd, *options);
        let (fixed_mean, fixed_rstd) = (mean.clone(), rstd.clone());
        let reference = move |v: &[Var]| {
            let x = &v[0];
            if !training {
                let spread = |t: &Tensor| Var::new(t.to_dtype(x.dtype()).reshape(by_channel(x)));
                return weighted((x - spread(&fixed_mean)) * spread(&fixed_rstd), &v[1..]);
            }
            let dims: Vec<isize> = (0..x.ndim() as isize).filter(|&d| d != 1).collect();
            let away = x - x.mean_dim(&dims[..], true);
            let n = &away * (away.square().mean_dim(&dims[..], true) + eps).rsqrt();
            weighted(n, &v[1..])
        };
        let y = self.normed("batch_norm", normed.output, weight, bias, reference, move |dy, x, w, need| {
            Tensor::batch_norm_backward(dy, x, &mean, &rstd, w, training, need)
        });
        (y, normed.running)
    }

    /// [`Var::batch_norm`] of each item by itself: `training` in the options means to use the items' statistics, whose
    /// means over the batch enter the running ones.
    ///
    /// # Shape
    /// `x [n, c, ..]` with more than one element per channel, all others `[c]`.
    ///
    /// # Gradient
    /// As [`Var::group_norm`] with a group per channel.
    ///
    /// # Panics
    /// As `batch_norm`, and when there is a single element per channel of an item to get statistics from.
    ///
    /// # Source
    /// Ulyanov, Vedaldi and Lempitsky, *Instance Normalization*, 2016.
    #[track_caller]
    pub fn instance_norm(
        &self,
        running: Option<(&Tensor, &Tensor)>,
        weight: Option<&Var>,
        bias: Option<&Var>,
        options: &BatchNorm,
    ) -> (Var, Option<(Tensor, Tensor)>) {
        if !options.training {
            return self.batch_norm(running, weight, bias, options);
        }
        let shape = self.shape();
        let elements: usize = shape.iter().skip(2).product();
        if elements == 1 || shape.len() < 2 {
            let what = "statistics of an item need more than one element per channel";
            panic!("{}", tensor::Error::shape("instance_norm", what, &[("input", &shape)], "[n, c, ..]"));
        }
        let y = self.group_norm(shape[1], weight, bias, options.eps);
        let running = running.map(|(mean, var)| {
            let items = self.value().reshape([shape[0], shape[1], elements]);
            let mixed = |old: &Tensor, new: Tensor| {
                let new = new.mean_dim(0, false).to_dtype(old.dtype());
                old * (1.0 - options.momentum) + new * options.momentum
            };
            (mixed(mean, items.mean_dim(2, false)), mixed(var, items.var_dim(2, 1.0, false)))
        });
        (y, running)
    }

    /// A normalisation with a weight and a bias: its value, its plain reference without the bias, its fused gradients.
    #[track_caller]
    fn normed(
        &self,
        name: &'static str,
        value: Tensor,
        weight: Option<&Var>,
        bias: Option<&Var>,
        reference: impl Fn(&[Var]) -> Var + 'static,
        fused: impl Fn(&Tensor, &Tensor, Option<&Tensor>, [bool; 3]) -> [Option<Tensor>; 3] + 'static,
    ) -> Var {
        let inputs: SmallVec<[&Var; 3]> = [self].into_iter().chain(weight).chain(bias).collect();
        let (weighted, biased) = (weight.is_some(), bias.is_some());
        let x = self.keep_for(&inputs);
        let w: Option<Kept> = weight.map(|weight| weight.keep_for(&inputs));
        Var::record(name, value, inputs, move |dy, need: Need<'_>| {
            let needs = |there: bool, at: usize| there && need.is(at);
            let (dweight, dbias) = (needs(weighted, 1), needs(biased, 1 + weighted as usize));
            if is_grad_enabled() {
                let inputs: SmallVec<[&Var; 3]> = std::iter::once(&*x).chain(w.as_deref()).collect();
                let mut grads = reference_vjp(&reference, &inputs, dy, need);
                // The bias is added last.
                let over: Vec<isize> = (0..x.ndim() as isize).filter(|&d| d != 1).collect();
                grads.extend(biased.then(|| dbias.then(|| dy.sum_dim(&over[..], false))));
                return grads;
            }
            let w = w.as_ref().map(|w| w.value());
            let [dx, dw, db] = fused(&dy.tensor(), &x.tensor(), w.as_ref(), [need.is(0), dweight, dbias])
                .map(|grad| grad.map(Var::new));
            [Some(dx), weighted.then_some(dw), biased.then_some(db)].into_iter().flatten().collect()
        })
    }
}

/// The shape in which numbers per channel broadcast over `x`; one of a single dimension is empty and has no channels.
fn by_channel(x: &Var) -> Vec<usize> {
    if x.ndim() < 2 {
        return x.shape().to_vec();
    }
    x.shape().iter().enumerate().map(|(d, &n)| if d == 1 { n } else { 1 }).collect()
}

/// The normalised value times the weight, if there is one, which may be f32 beside a half.
fn weighted(n: Var, weight: &[Var]) -> Var {
    let (spread, dtype) = (by_channel(&n), n.dtype());
    weight.iter().fold(n, |n, w| n * w.reshape(&spread[..])).to_dtype(dtype)
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    const EPS: f64 = 1e-2;
    fn options(p: &mut Pick) -> BatchNorm {
        BatchNorm { training: p.below(3) > 0, eps: EPS, ..Default::default() }
    }
    fn running() -> (Tensor, Tensor) {
        (Tensor::from([0.5, -0.5, 0.0, 1.0]), Tensor::from([1.0, 0.5, 2.0, 0.1]))
    }
    vec![
        sample("group_norm", &[DISTINCT, REAL, REAL], channels, |v, p| {
            v[0].group_norm([1, 2, 4][p.below(if v[0].ndim() > 2 { 3 } else { 2 })], Some(&v[1]), Some(&v[2]), EPS)
                .into()
        }),
        sample("group_norm", &[DISTINCT], channels, |v, _| v[0].group_norm(2, None, None, EPS).into()),
        sample("batch_norm", &[DISTINCT, REAL, REAL], channels, |v, p| {
            let (mean, var) = running();
            v[0].batch_norm(Some((&mean, &var)), Some(&v[1]), Some(&v[2]), &options(p)).0.into()
        }),
        sample("batch_norm", &[DISTINCT], channels, |v, _| {
            v[0].batch_norm(None, None, None, &BatchNorm { training: true, momentum: 0.1, eps: EPS }).0.into()
        }),
        sample("instance_norm", &[DISTINCT, REAL, REAL], channels, |v, p| {
            let (mean, var) = running();
            let x = if v[0].ndim() == 2 { v[0].unsqueeze(0).transpose(1, 2) } else { v[0].clone() };
            x.instance_norm(Some((&mean, &var)), Some(&v[1]), Some(&v[2]), &options(p)).0.into()
        }),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    /// The result, and the running statistics if they were changed: those are results in the fixture too.
    fn results((y, running): (Var, Option<(Tensor, Tensor)>), momentum: f64) -> Outcome {
        match running {
            Some((mean, var)) if momentum != 0.0 => done((y, mean, var)),
            _ => done(y),
        }
    }
    fn running(a: &Args) -> Result<Option<(Tensor, Tensor)>, Skip> {
        Ok(a.opt_tensor(1, "running_mean")?.zip(a.opt_tensor(2, "running_var")?))
    }
    vec![
        torch("nn.functional.group_norm", &["group_norm"], |a| {
            let (x, groups) = (a.var(0, "input")?, a.size(1, "num_groups")?);
            let (weight, bias) = (a.opt_var(2, "weight")?, a.opt_var(3, "bias")?);
            done(x.group_norm(groups, weight.as_ref(), bias.as_ref(), a.number_or(4, "eps", 1e-5)?))
        }),
        torch("nn.functional.batch_norm", &["batch_norm"], |a| {
            let (x, running) = (a.var(0, "input")?, running(a)?);
            let (weight, bias) = (a.opt_var(3, "weight")?, a.opt_var(4, "bias")?);
            let (training, momentum) = (a.flag(5, "training", false)?, a.number_or(6, "momentum", 0.1)?);
            let options = BatchNorm { training, momentum, eps: a.number_or(7, "eps", 1e-5)? };
            let running = running.as_ref().map(|(mean, var)| (mean, var));
            // An empty batch changes no statistics.
            let momentum = if x.numel() == 0 { 0.0 } else { momentum };
            results(x.batch_norm(running, weight.as_ref(), bias.as_ref(), &options), momentum)
        }),
        torch("nn.functional.instance_norm", &["instance_norm"], |a| {
            let (x, running) = (a.var(0, "input")?, running(a)?);
            let (weight, bias) = (a.opt_var(3, "weight")?, a.opt_var(4, "bias")?);
            let (training, momentum) = (a.flag(5, "use_input_stats", true)?, a.number_or(6, "momentum", 0.1)?);
            let options = BatchNorm { training, momentum, eps: a.number_or(7, "eps", 1e-5)? };
            let running = running.as_ref().map(|(mean, var)| (mean, var));
            if training && momentum == 0.0 && x.dtype() == tensor::DType::F32 {
                return skip("running statistics that PyTorch's rounding changes with a momentum of 0");
            }
            results(x.instance_norm(running, weight.as_ref(), bias.as_ref(), &options), momentum)
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Domain, REAL, agrees_with_reference};

    fn plain(n: Var, v: &[Var]) -> Var {
        let spread = by_channel(&n);
        weighted(n, &v[1..2]) + v[2].reshape(&spread[..])
    }

    /// Short channels, which are gathered, and long ones.
    const SHAPES: [&[usize]; 3] = [&[5, 6], &[3, 6, 7], &[2, 6, 5, 9]];

    #[test]
    fn group_norm_agrees_with_its_reference() {
        for shape in SHAPES {
            for groups in [1, 2, 3] {
                agrees_with_reference(
                    &[REAL; 3],
                    &[shape, &[6], &[6]],
                    |v| v[0].group_norm(groups, Some(&v[1]), Some(&v[2]), 1e-2),
                    |v| {
                        let rows = v[0].reshape([shape[0] as isize, groups as isize, -1]);
                        plain(rows.layer_norm(1, None, None, 1e-2).reshape(shape), v)
                    },
                );
            }
        }
    }

    #[test]
    fn batch_norm_agrees_with_its_reference() {
        let training = BatchNorm { training: true, eps: 1e-2, ..Default::default() };
        let (mean, var) = (Tensor::full([6], 0.3, tensor::DType::F32), Tensor::full([6], 1.7, tensor::DType::F32));
        for shape in SHAPES {
            agrees_with_reference(
                &[REAL; 3],
                &[shape, &[6], &[6]],
                |v| v[0].batch_norm(None, Some(&v[1]), Some(&v[2]), &training).0,
                |v| {
                    let rows = v[0].transpose(0, 1).reshape([6isize, -1]).layer_norm(1, None, None, 1e-2);
                    let turned: Vec<usize> = [&[6], &shape[..1], &shape[2..]].concat();
                    plain(rows.reshape(turned).transpose(0, 1), v)
                },
            );
            agrees_with_reference(
                &[Domain::Range(-1.0, 1.0); 3],
                &[shape, &[6], &[6]],
                |v| {
                    let in_dtype = |t: &Tensor| t.to_dtype(v[0].dtype());
                    let running = (in_dtype(&mean), in_dtype(&var));
                    let options = BatchNorm { eps: 1e-2, ..Default::default() };
                    v[0].batch_norm(Some((&running.0, &running.1)), Some(&v[1]), Some(&v[2]), &options).0
                },
                |v| plain((&v[0] - mean.get::<f64>(&[0])) / (var.get::<f64>(&[0]) + 1e-2).sqrt(), v),
            );
        }
    }

    #[test]
    fn a_half_may_have_single_precision_parameters() {
        use tensor::DType::{BF16, F16, F32};
        let ones = |shape: &[usize], dtype| Var::new(Tensor::ones(shape, dtype)).requires_grad_(true);
        for half in [F16, BF16] {
            let x = Var::new(Tensor::arange(0.0, 72.0, 1.0, F32).sin().to_dtype(half).reshape([3, 4, 6]));
            let x = x.requires_grad_(true);
            let (w, b, last) = (ones(&[4], F32), ones(&[4], F32), ones(&[6], F32));
            let running = (Tensor::zeros([4], F32), Tensor::ones([4], F32));
            let options = BatchNorm { training: true, ..Default::default() };
            let running = Some((&running.0, &running.1));
            let (batch, new) = x.batch_norm(running, Some(&w), Some(&b), &options);
            assert_eq!(new.expect("training").0.dtype(), F32);
            let results = [
                (batch, &w),
                (x.instance_norm(running, Some(&w), Some(&b), &options).0, &w),
                (x.group_norm(2, Some(&w), Some(&b), 1e-5), &w),
                (x.layer_norm(1, Some(&last), Some(&last), 1e-5), &last),
                (x.rms_norm(1, Some(&last), None), &last),
            ];
            for (y, weight) in results {
                assert_eq!(y.dtype(), half);
                let once = crate::GradOptions { retain_graph: Some(true), ..Default::default() };
                let twice = crate::GradOptions { create_graph: true, ..Default::default() };
                let loss = y.square().sum();
                let plain = crate::grad(&[&loss], &[&x, weight], once);
                let recorded = crate::grad(&[&loss], &[&x, weight], twice);
                for (a, b) in plain.iter().zip(&recorded) {
                    let (a, b) = (a.as_ref().expect("used").value(), b.as_ref().expect("used").value());
                    assert_eq!(a.dtype(), b.dtype());
                    let wide = |t: &Tensor| t.to_dtype(tensor::DType::F64);
                    assert!(wide(&a).allclose(&wide(&b), 0.1, 0.2), "{a} {b}");
                }
                let dtype = |i: usize| plain[i].as_ref().expect("used").dtype();
                assert_eq!((dtype(0), dtype(1)), (half, F32));
            }
        }
    }

    #[test]
    #[should_panic(expected = "instance_norm: statistics of an item need more than one element per channel")]
    fn an_item_of_single_elements_has_no_statistics() {
        let training = BatchNorm { training: true, ..Default::default() };
        Var::new(Tensor::from([[1.0, 2.0]])).instance_norm(None, None, None, &training);
    }

    #[test]
    fn a_large_mean_costs_no_digits() {
        let x = Tensor::arange(0.0, 64.0, 1.0, tensor::DType::F32).sin().reshape([2, 1, 32]);
        let far = Var::new(&x + 4096.0);
        let near = (Var::new(&far.value() - 4096.0)).group_norm(1, None, None, 1e-5);
        assert!(far.group_norm(1, None, None, 1e-5).value().allclose(&near.value(), 0.0, 1e-3));
        let training = BatchNorm { training: true, ..Default::default() };
        let near = Var::new(&far.value() - 4096.0).batch_norm(None, None, None, &training).0;
        assert!(far.batch_norm(None, None, None, &training).0.value().allclose(&near.value(), 0.0, 1e-3));
    }
}
