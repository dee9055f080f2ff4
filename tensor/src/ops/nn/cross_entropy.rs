//! Cross-entropy from logits.

use crate::dtype::{Float, dispatch};
use crate::error::OrPanic;
use crate::kernels::cross_entropy::{self as kernel, Terms};
use crate::kernels::math::Math;
use crate::{DType, Error, Result, Tensor};

/// How the losses of the rows become the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reduction {
    /// The losses themselves.
    None,
    /// Their mean (by the weights of the targets, where there are any).
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// Their sum, divided by the size of the first dimension: the mean over a batch of divergences, for `kl_div` only.
    BatchMean,
}

/// Options of [`Tensor::cross_entropy`]; the defaults are PyTorch's.
///
/// ```
/// use tensor::{CrossEntropy, Reduction};
/// let options = CrossEntropy { label_smoothing: 0.1, ..Default::default() };
/// assert_eq!((options.ignore_index, options.reduction), (-100, Reduction::Mean));
/// ```
#[derive(Debug, Clone)]
pub struct CrossEntropy {
    /// A weight `w` for each class, `[c]` (default: none, which is 1 for each).
    pub weight: Option<Tensor>,
    /// Rows with this target count for nothing (default: -100).
    pub ignore_index: i64,
    /// The part `s` of the target's probability that is spread over all classes, in `0..=1` (default: 0).
    pub label_smoothing: f64,
    /// What becomes of the rows' losses (default: their mean).
    pub reduction: Reduction,
}

impl Default for CrossEntropy {
    fn default() -> Self {
        CrossEntropy { weight: None, ignore_index: -100, label_smoothing: 0.0, reduction: Reduction::Mean }
    }
}

/// The class of each target of logits (or log-probabilities) `[c]`, `[n, c]` or `[n, c, d..]`, in row-major order; `None`
/// where it is ignored.
pub(crate) fn classes_of(
    op: &str,
    logits: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    ignore_index: i64,
) -> Result<Vec<Option<usize>>> {
    let fits = match (logits.dims(), target.dims()) {
        ([_], []) => true,
        ([n, _, rest @ ..], [first, others @ ..]) => n == first && rest == others,
        _ => false,
    };
    if !fits {
        return Err(misfit(op, "logits and targets do not fit", logits, target, weight));
    }
    let classes = logits.dims()[class_dim(logits) as usize];
    check_weight(op, logits, target, weight)?;
    if target.dtype() != DType::I64 {
        return Err(Error::dtype(op, format!("needs targets of i64, got {}", target.dtype())));
    }
    let class = |(row, target): (usize, i64)| match usize::try_from(target) {
        _ if target == ignore_index => Ok(None),
        Ok(class) if class < classes => Ok(Some(class)),
        _ => Err(Error::index(op, format!("target {target} of row {row} is no class, must be in 0..{classes}"))),
    };
    target.to_vec::<i64>().into_iter().enumerate().map(class).collect()
}

/// Where the classes are.
pub(crate) fn class_dim(logits: &Tensor) -> isize {
    if logits.ndim() == 1 { 0 } else { 1 }
}

fn check_weight(op: &str, logits: &Tensor, target: &Tensor, weight: Option<&Tensor>) -> Result<()> {
    let classes = logits.dims()[class_dim(logits) as usize];
    match weight {
        Some(w) if w.dims() != [classes] => {
            Err(misfit(op, &format!("needs one weight for each of {classes} classes"), logits, target, weight))
        }
        _ => Ok(()),
    }
}

fn misfit(op: &str, what: &str, logits: &Tensor, target: &Tensor, weight: Option<&Tensor>) -> Error {
    let mut operands = vec![("logits", logits.dims()), ("target", target.dims())];
    operands.extend(weight.map(|w| ("weight", w.dims())));
    Error::shape(op, what, &operands, "[n, c, d..], [n, d..] or probabilities [n, c, d..], weight [c]")
}

impl CrossEntropy {
    fn check_smoothing(&self) -> Result<()> {
        if (0.0..=1.0).contains(&self.label_smoothing) {
            return Ok(());
        }
        Err(Error::value("cross_entropy", format!("label_smoothing {} is not in 0..=1", self.label_smoothing)))
    }

    fn targets(&self, logits: &Tensor, target: &Tensor) -> Result<Vec<Option<usize>>> {
        self.check_smoothing()?;
        classes_of("cross_entropy", logits, target, self.weight.as_ref(), self.ignore_index)
    }

    /// Target probabilities smoothed and weighted, for logits of this shape, and the dimension of the classes.
    #[track_caller]
    fn smoothed(&self, logits: &Tensor, target: &Tensor) -> (Tensor, isize) {
        let (factor, shift, dim) = self.smoothing(logits, target);
        ((target.to_dtype(logits.dtype()) * (1.0 - self.label_smoothing) + shift) * factor, dim)
    }

    /// What target probabilities of these logits are multiplied by after label smoothing (the weights by class), what
    /// smoothing adds to each, and the dimension of the classes.
    ///
    /// # Panics
    /// If shapes do not fit or an option is out of its range.
    #[track_caller]
    pub fn smoothing(&self, logits: &Tensor, target: &Tensor) -> (Tensor, f64, isize) {
        let op = "cross_entropy";
        self.check_smoothing().or_panic();
        if logits.shape() != target.shape() || logits.ndim() == 0 {
            let what = "logits and probabilities differ in shape";
            panic!("{}", misfit(op, what, logits, target, self.weight.as_ref()));
        }
        check_weight(op, logits, target, self.weight.as_ref()).or_panic();
        if self.ignore_index >= 0 {
            let what = format!("ignore_index {} has no meaning for probabilities", self.ignore_index);
            panic!("{}", Error::value(op, what));
        }
        let dim = class_dim(logits);
        let classes = logits.dim(dim);
        let by_class: Vec<usize> = (0..logits.ndim()).map(|d| if d == dim as usize { classes } else { 1 }).collect();
        let factor = match &self.weight {
            Some(weight) => weight.to_dtype(logits.dtype()).reshape(by_class),
            None => Tensor::scalar(1.0).to_dtype(logits.dtype()),
        };
        (factor, self.label_smoothing / classes as f64, dim)
    }

    fn terms<'a, T: Math>(
        &self,
        targets: &'a [Option<usize>],
        weight: Option<&'a Tensor>,
        classes: usize,
    ) -> Terms<'a, T> {
        Terms {
            targets,
            weight: weight.map(|w| w.as_slice::<T>().expect("made contiguous")),
            gain: 1.0 - self.label_smoothing,
            smooth: self.label_smoothing / classes as f64,
        }
    }

    /// What the mean divides by: the weights of the targets that count.
    fn denominator<T: Math>(terms: &Terms<T>) -> f64 {
        terms.targets.iter().flatten().map(|&class| terms.weight_of(class)).sum()
    }
}

impl Tensor {
    /// `loss = -(1 - s) w[t] log p[t] - s/c sum over j of w[j] log p[j]` with `p = softmax(logits)`, for the target class
    /// `t` of each row.
    ///
    /// Log-probabilities are never stored. Beside the loss this returns what the way back needs, two numbers per target:
    /// a logit `x0` that no other exceeds by more than 8, and the sum of `e^(x - x0)`. A target of floats is
    /// [probabilities](Tensor::cross_entropy_probs), for which there is nothing to save.
    ///
    /// # Shape
    /// `logits [c]`, `[n, c]` or `[n, c, d..]`, `target []`, `[n]` or `[n, d..]` of i64 -> a scalar, or the shape of the
    /// target without reduction.
    ///
    /// # Numerics
    /// Stable for logits of any size. The mean divides by the sum of the weights of the targets that are not ignored, so
    /// it is NaN when all are.
    ///
    /// # Panics
    /// If shapes or dtypes do not fit, or a target is neither a class nor `ignore_index`.
    ///
    /// ```
    /// use tensor::{CrossEntropy, Tensor};
    /// let logits = Tensor::from([[2.0, 2.0], [1e4, 0.0]]);
    /// let (loss, _) = logits.cross_entropy(&Tensor::from([0i64, 0]), &CrossEntropy::default());
    /// assert!((loss.item::<f64>() - 0.5 * 2f64.ln()).abs() < 1e-12);
    /// ```
    #[track_caller]
    pub fn cross_entropy(&self, target: &Tensor, options: &CrossEntropy) -> (Tensor, Tensor) {
        if self.dtype().is_half() {
            let (loss, saved) = self.widen().cross_entropy(target, options);
            return (loss.to_dtype(self.dtype()), saved);
        }
        if target.dtype().is_floating_point() {
            return (self.cross_entropy_probs(target, options), Tensor::zeros([0, 2], self.dtype()));
        }
        let targets = options.targets(self, target).or_panic();
        let logits = self.movedim(class_dim(self), -1);
        let (n, classes) = (targets.len(), logits.dim(-1));
        let weight = options.weight.as_ref().map(|w| w.to_dtype(self.dtype()).contiguous());
        dispatch!(float self.dtype(), "cross_entropy", T => {
            let terms = options.terms::<T>(&targets, weight.as_ref(), classes);
            let mut losses = vec![0.0; n];
            let saved = Tensor::build::<T>([n, 2], |saved| {
                kernel::forward(logits.elements::<T>(), classes, &terms, &mut losses, saved);
            });
            let total = || losses.iter().sum::<f64>();
            let loss = match options.reduction {
                Reduction::None => Tensor::build::<T>(target.shape(), |out| {
                    out.iter_mut().zip(&losses).for_each(|(out, &x)| *out = T::of(x))
                }),
                Reduction::Sum => Tensor::scalar(T::of(total())),
                Reduction::Mean => Tensor::scalar(T::of(total() / CrossEntropy::denominator(&terms))),
                Reduction::BatchMean => {
                    panic!("{}", Error::value("cross_entropy", "BatchMean is a reduction of kl_div only"))
                }
            };
            (loss, saved)
        })
    }

    /// The gradient of [`cross_entropy`](Tensor::cross_entropy) by its logits, from the gradient of the loss and what the
    /// forward pass saved.
    ///
    /// `dx[j] = g ((1 - s) w[t] (p[j] - [j = t]) + s/c (p[j] sum w - w[j]))` in one pass, where `g` is the gradient of
    /// the row's loss.
    ///
    /// # Panics
    /// As the forward pass, and if `dloss` does not have the loss's shape.
    #[track_caller]
    pub fn cross_entropy_backward(
        dloss: &Tensor,
        logits: &Tensor,
        target: &Tensor,
        saved: &Tensor,
        options: &CrossEntropy,
    ) -> Tensor {
        if logits.dtype().is_half() {
            let wide = |logits: &Tensor| Tensor::cross_entropy_backward(dloss, logits, target, saved, options);
            return logits.through_compute(wide);
        }
        let targets = options.targets(logits, target).or_panic();
        let moved = logits.movedim(class_dim(logits), -1);
        let (n, classes) = (targets.len(), moved.dim(-1));
        let expected: &[usize] = if options.reduction == Reduction::None { target.dims() } else { &[] };
        if dloss.dims() != expected || saved.dims() != [n, 2] {
            let operands: &[(&str, &[usize])] =
                &[("dloss", dloss.dims()), ("logits", logits.dims()), ("saved", saved.dims())];
            let what = "the gradient does not have the shape of the loss";
            panic!("{}", Error::shape("cross_entropy_backward", what, operands, "saved [n, 2]"));
        }
        let weight = options.weight.as_ref().map(|w| w.to_dtype(logits.dtype()).contiguous());
        let dloss = dloss.to_dtype(DType::F64).to_vec::<f64>();
        dispatch!(float logits.dtype(), "cross_entropy", T => {
            let terms = options.terms::<T>(&targets, weight.as_ref(), classes);
            let saved = saved.contiguous();
            let saved = saved.as_slice::<T>().expect("made contiguous");
            let mean = if options.reduction == Reduction::Mean { CrossEntropy::denominator(&terms) } else { 1.0 };
            let each = options.reduction == Reduction::None;
            let upstream = |row: usize| if each { dloss[row] } else { dloss[0] / mean };
            Tensor::build::<T>(moved.shape(), |dx| {
                kernel::backward(moved.elements::<T>(), classes, &terms, saved, upstream, dx);
            })
            .movedim(-1, class_dim(logits))
        })
    }

    /// `-sum over j of w[j] q[j] log softmax(logits)[j]` for target probabilities `t`, with label smoothing `s` for
    /// `q = (1 - s) t + s / c`.
    ///
    /// # Shape
    /// Logits and target `[c]`, `[n, c]` or `[n, c, d..]` -> a scalar, or the shape without the classes.
    ///
    /// # Numerics
    /// The mean divides by the number of distributions, whatever the weights.
    ///
    /// # Panics
    /// If the shapes do not fit, or `ignore_index` names a class.
    ///
    /// ```
    /// use tensor::{CrossEntropy, Tensor};
    /// let loss = Tensor::from([0.0, 0.0]).cross_entropy_probs(&Tensor::from([0.3, 0.7]), &CrossEntropy::default());
    /// assert!((loss.item::<f64>() - 2f64.ln()).abs() < 1e-12);
    /// ```
    #[track_caller]
    pub fn cross_entropy_probs(&self, target: &Tensor, options: &CrossEntropy) -> Tensor {
        let (q, dim) = options.smoothed(self, target);
        if self.dtype().is_half() {
            return self.through_compute(|x| x.cross_entropy_probs(target, options));
        }
        let losses = -(self.log_softmax(dim) * q).sum_dim(dim, false);
        match options.reduction {
            Reduction::Mean => losses.sum() / losses.numel() as f64,
            reduction => losses.reduced("cross_entropy", reduction),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;

    /// The rows' losses from whole log-probabilities, and what the mean divides by.
    fn plain(x: &Tensor, target: &[i64], options: &CrossEntropy) -> (Vec<f64>, f64) {
        let (n, c) = (x.dims()[0], x.dims()[1]);
        let p = x.to_dtype(DType::F64).log_softmax(1).to_vec::<f64>();
        let w = options.weight.as_ref().map_or(vec![1.0; c], |w| w.to_dtype(DType::F64).to_vec());
        let counts = |i: usize| target[i] != options.ignore_index;
        let s = options.label_smoothing;
        let loss = |i: usize| {
            let row = &p[i * c..(i + 1) * c];
            let t = target[i] as usize;
            let all: f64 = row.iter().zip(&w).map(|(p, w)| p * w).sum();
            -(1.0 - s) * w[t] * row[t] - s / c as f64 * all
        };
        let losses = (0..n).map(|i| if counts(i) { loss(i) } else { 0.0 }).collect();
        (losses, (0..n).filter(|&i| counts(i)).map(|i| w[target[i] as usize]).sum())
    }

    fn value(x: &Tensor, target: &Tensor, dloss: &Tensor, options: &CrossEntropy) -> f64 {
        (x.cross_entropy(target, options).0 * dloss).sum().item()
    }

    #[test]
    fn every_option_in_value_and_gradient() {
        let mut g = Generator::new(2);
        let (n, c) = (7, 40);
        let x = Tensor::randn_with([c, n], DType::F64, &mut g).t() * 3.0;
        let ids = [3, -100, 39, 0, 3, 5, 17];
        let target = Tensor::from(ids);
        let weight = Tensor::rand_with([c], DType::F64, &mut g) + 0.1;
        for round in 0..18 {
            let options = CrossEntropy {
                weight: (round % 2 == 1).then(|| weight.clone()),
                ignore_index: if round % 4 < 2 { -100 } else { 3 },
                label_smoothing: [0.0, 0.3, 1.0][round / 6],
                reduction: [Reduction::None, Reduction::Sum, Reduction::Mean][round % 3],
            };
            let ids = ids.map(|t| if t == -100 { options.ignore_index } else { t });
            let target = if options.ignore_index == 3 { Tensor::from(ids) } else { target.clone() };
            let (losses, weights) = plain(&x, &ids, &options);
            let total: f64 = losses.iter().sum();
            let expected = match options.reduction {
                Reduction::None => Tensor::from_vec(losses, [n]),
                Reduction::Sum => Tensor::scalar(total),
                _ => Tensor::scalar(total / weights),
            };
            let (loss, saved) = x.cross_entropy(&target, &options);
            assert!(loss.allclose(&expected, 1e-12, 1e-12), "{options:?}\n{loss} {expected}");
            let (narrow, _) = x.to_dtype(DType::F32).cross_entropy(&target, &options);
            assert!(narrow.to_dtype(DType::F64).allclose(&expected, 1e-5, 1e-5));

            let dloss = Tensor::randn_with(loss.shape(), DType::F64, &mut g);
            let dx = Tensor::cross_entropy_backward(&dloss, &x, &target, &saved, &options);
            for (i, j) in [(0, 3), (0, 4), (1, 1), (2, 39), (4, 0), (5, 5), (6, 16)] {
                let nudged = |h: f64| {
                    let mut x = x.clone();
                    x.as_slice_mut::<f64>()[i * c + j] += h;
                    value(&x, &target, &dloss, &options)
                };
                let slope = (nudged(1e-5) - nudged(-1e-5)) / 2e-5;
                let got = dx.get::<f64>(&[i, j]);
                assert!((slope - got).abs() < 1e-7, "{options:?} at {i}, {j}: {slope} {got}");
            }
        }
    }

    #[test]
    fn large_logits_keep_their_digits() {
        let x = Tensor::from([[1e4f32, 1e4 - 1.0], [-1e4, -1e4 - 1.0]]);
        let target = Tensor::from([1i64, 1]);
        let (loss, saved) = x.cross_entropy(&target, &CrossEntropy::default());
        let expected = 1.0 + (1.0 + (-1f64).exp()).ln();
        assert!((loss.item::<f64>() - expected).abs() < 1e-6);
        let dx = Tensor::cross_entropy_backward(&Tensor::scalar(2f32), &x, &target, &saved, &CrossEntropy::default());
        let p = 1.0 / (1.0 + (-1f32).exp());
        assert!(dx.allclose(&Tensor::from([[p, -p], [p, -p]]), 1e-6, 0.0));
    }

    #[test]
    fn nothing_to_count_gives_nan_and_no_gradient() {
        let x = Tensor::from([[1.0, 2.0]]);
        let target = Tensor::from([-100i64]);
        let (loss, saved) = x.cross_entropy(&target, &CrossEntropy::default());
        assert!(loss.item::<f64>().is_nan());
        let dx = Tensor::cross_entropy_backward(&Tensor::scalar(1.0), &x, &target, &saved, &CrossEntropy::default());
        assert_eq!(dx.to_vec::<f64>(), [0.0, 0.0]);
    }

    #[test]
    fn mistakes_are_explained() {
        let x = Tensor::zeros([2, 3], DType::F32);
        let options = CrossEntropy::default();
        let message = |t: &Tensor| options.targets(&x, t).unwrap_err().to_string();
        assert_eq!(message(&Tensor::from([0i64, 3])), "cross_entropy: target 3 of row 1 is no class, must be in 0..3");
        assert!(message(&Tensor::from([0i64])).contains("logits [2, 3]   target [1]"));
        assert!(message(&Tensor::from([0u8, 1])).contains("targets of i64"));
        let weighted = CrossEntropy { weight: Some(Tensor::zeros([2], DType::F32)), ..options };
        assert!(weighted.targets(&x, &Tensor::from([0i64, 0])).unwrap_err().to_string().contains("one weight"));
    }
}
