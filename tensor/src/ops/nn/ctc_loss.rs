//! Connectionist temporal classification: the loss of a sequence of labels whose places in time are not known.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::ctc_loss::{self as kernel, Item};
use crate::ops::nn::cross_entropy::Reduction;
use crate::{DType, Error, Result, Tensor};

const OP: &str = "ctc_loss";

/// Options of [`Tensor::ctc_loss`]; the defaults are PyTorch's.
///
/// ```
/// use tensor::{Ctc, Reduction};
/// let options = Ctc::default();
/// assert_eq!((options.blank, options.reduction, options.zero_infinity), (0, Reduction::Mean, false));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ctc {
    /// The class that says nothing (default: 0).
    pub blank: usize,
    /// What becomes of the losses of the batch (default: the mean, of losses that are divided by the lengths of their
    /// targets, at least 1).
    pub reduction: Reduction,
    /// Whether the loss of a target that is too long for its input is 0, without a gradient, and not infinity (default:
    /// false).
    pub zero_infinity: bool,
}

/// A batch, checked and taken apart.
struct Batch {
    items: Vec<Item>,
    /// `[t, n, c]`.
    dims: [usize; 3],
    /// The states of the longest target.
    width: usize,
}

impl Batch {
    fn new(
        log_probs: &Tensor,
        targets: &Tensor,
        input_lengths: &Tensor,
        target_lengths: &Tensor,
        options: &Ctc,
    ) -> Result<Batch> {
        let misfit = |what: String| {
            let operands = [
                ("log_probs", log_probs.dims()),
                ("targets", targets.dims()),
                ("input_lengths", input_lengths.dims()),
                ("target_lengths", target_lengths.dims()),
            ];
            Error::shape(OP, what, &operands, "[t, n, c] and [n, s] or [sum of target_lengths]; [t, c] and [s]")
        };
        let dims = match *log_probs.dims() {
            [t, n, c] => [t, n, c],
            [t, c] => [t, 1, c],
            _ => return Err(misfit(format!("log_probs has {} dimensions, not 2 or 3", log_probs.ndim()))),
        };
        let [t, n, c] = dims;
        if !log_probs.dtype().is_floating_point() {
            return Err(Error::dtype(OP, format!("needs floating log_probs, got {}", log_probs.dtype())));
        }
        if log_probs.numel() == 0 {
            return Err(misfit("log_probs is empty".into()));
        }
        if options.blank >= c {
            return Err(Error::value(OP, format!("blank {} is no class, must be in 0..{c}", options.blank)));
        }
        let whole = |name: &str, tensor: &Tensor| match tensor.dtype() {
            DType::I64 | DType::I32 | DType::U8 => Ok(tensor.to_dtype(DType::I64).to_vec::<i64>()),
            other => Err(Error::dtype(OP, format!("needs integers for {name}, got {other}"))),
        };
        // With a second dimension targets are rows that padding fills, otherwise they follow each other.
        let padded = match targets.dims() {
            [rows, s] if *rows == n => Some(*s),
            [_] => None,
            _ => return Err(misfit(format!("the targets are not those of a batch of {n}"))),
        };
        let lengths = |name: &str, tensor: &Tensor, most: usize| {
            let lengths = whole(name, tensor)?;
            if lengths.len() != n {
                return Err(misfit(format!("{name} holds {} lengths for a batch of {n}", lengths.len())));
            }
            let checked = |(i, length): (usize, i64)| match usize::try_from(length) {
                Ok(length) if length <= most => Ok(length),
                _ => Err(Error::value(OP, format!("length {length} in {name}[{i}] is not in 0..={most}"))),
            };
            lengths.into_iter().enumerate().map(checked).collect::<Result<Vec<usize>>>()
        };
        let input_lengths = lengths("input_lengths", input_lengths, t)?;
        let target_lengths = lengths("target_lengths", target_lengths, padded.unwrap_or(targets.numel()))?;
        let total: usize = target_lengths.iter().sum();
        if padded.is_none() && total != targets.numel() {
            return Err(misfit(format!("the target_lengths sum up to {total}, there are {} labels", targets.numel())));
        }
        let labels = whole("targets", targets)?;
        let (mut items, mut from) = (Vec::with_capacity(n), 0);
        for (i, (&steps, &length)) in input_lengths.iter().zip(&target_lengths).enumerate() {
            let start = padded.map_or(from, |s| i * s);
            from += length;
            let mut path = vec![options.blank; 2 * length + 1];
            for (k, &label) in labels[start..start + length].iter().enumerate() {
                path[2 * k + 1] = match usize::try_from(label) {
                    Ok(class) if class < c => class,
                    _ => {
                        let what = format!("label {label} of target {i} is no class, must be in 0..{c}");
                        return Err(Error::index(OP, what));
                    }
                };
            }
            items.push(Item { path, steps });
        }
        let width = items.iter().map(|item| item.path.len()).max().unwrap_or(1);
        Ok(Batch { items, dims, width })
    }

    /// What the loss of each item is multiplied by before the losses are added up.
    fn share(&self, item: &Item, reduction: Reduction) -> f64 {
        let length = (item.path.len() - 1) / 2;
        if reduction == Reduction::Mean { 1.0 / (length.max(1) * self.items.len()) as f64 } else { 1.0 }
    }
}

impl Tensor {
    /// `-log` of the probability of the targets: the sum over every alignment, which spreads the labels over the steps of
    /// the input, repeats them, and puts blanks between them (between two equal labels at least one), of the product of
    /// the probabilities of its classes.
    ///
    /// Beside the loss this returns what the way back needs: the logarithms `[n, t, 2 s + 1]` of the probabilities of all
    /// beginnings of alignments, in f64.
    ///
    /// # Shape
    /// `log_probs [t, n, c]`, targets `[n, s]` (filled up with anything) or `[sum of target_lengths]` (one after the
    /// other), lengths `[n]` -> a scalar, or `[n]` without reduction. Without a batch `[t, c]`, `[s]` and lengths of one
    /// element -> a scalar.
    ///
    /// # Numerics
    /// In logarithms and in double precision. A target that is too long for its input has the loss infinity, or 0 with
    /// `zero_infinity`. The mean divides each loss by the length of its target (at least 1) and then takes the mean.
    ///
    /// # Panics
    /// If shapes or dtypes do not fit, `log_probs` is empty, a length is out of range, or a label or the blank is no class.
    ///
    /// # Differs
    /// PyTorch does not look at the labels: one that is no class reads some other memory there.
    ///
    /// # Source
    /// Graves et al., "Connectionist Temporal Classification: Labelling Unsegmented Sequence Data with Recurrent Neural
    /// Networks", 2006, section 4.1, equations 6 to 8.
    ///
    /// ```
    /// use tensor::{Ctc, DType, Tensor};
    /// // Two steps, the classes blank and `a`, all equally likely: `a-`, `-a` and `aa` of four alignments say `a`.
    /// let log_probs = Tensor::full([2, 1, 2], 0.5f64.ln(), DType::F64);
    /// let one = Tensor::from([1i64]);
    /// let (loss, _) = log_probs.ctc_loss(&one, &Tensor::from([2i64]), &one, &Ctc::default());
    /// assert!((loss.item::<f64>() + 0.75f64.ln()).abs() < 1e-12);
    /// ```
    #[track_caller]
    pub fn ctc_loss(
        &self,
        targets: &Tensor,
        input_lengths: &Tensor,
        target_lengths: &Tensor,
        options: &Ctc,
    ) -> (Tensor, Tensor) {
        let batch = Batch::new(self, targets, input_lengths, target_lengths, options).or_panic();
        let ([t, n, _], w) = (batch.dims, batch.width);
        let x = self.widen();
        let mut losses = vec![0.0; n];
        let alphas = Tensor::build::<f64>([n, t, w], |alphas| {
            dispatch!(float x.dtype(), OP, T => {
                kernel::forward(x.elements::<T>(), batch.dims, w, &batch.items, &mut losses, alphas);
            })
        });
        if options.zero_infinity {
            losses.iter_mut().filter(|loss| **loss == f64::INFINITY).for_each(|loss| *loss = 0.0);
        }
        let shared = batch.items.iter().zip(&losses).map(|(item, loss)| loss * batch.share(item, options.reduction));
        let loss = match options.reduction {
            Reduction::None if self.ndim() == 2 => Tensor::scalar(losses[0]),
            Reduction::None => Tensor::from_vec(losses, [n]),
            Reduction::Sum | Reduction::Mean => Tensor::scalar(shared.sum::<f64>()),
            Reduction::BatchMean => panic!("{}", Error::value(OP, "BatchMean is a reduction of kl_div only")),
        };
        (loss.to_dtype(self.dtype()), alphas)
    }

    /// The gradient of [`ctc_loss`](Tensor::ctc_loss) by log-probabilities that are a log-softmax, from the gradient of
    /// the loss and what the forward pass saved: `dx = dloss (e^x - posterior)`, where the posterior is the probability,
    /// given the target, that the alignment has this class at this step.
    ///
    /// As in PyTorch this is the gradient along log-probabilities whose exponentials sum up to 1. After a log-softmax it
    /// gives what the derivative `-dloss posterior` gives.
    ///
    /// # Panics
    /// As the forward pass, and if `dloss` or `saved` do not have the shapes of its results.
    #[track_caller]
    pub fn ctc_loss_backward(
        dloss: &Tensor,
        log_probs: &Tensor,
        targets: &Tensor,
        [input_lengths, target_lengths]: [&Tensor; 2],
        saved: &Tensor,
        options: &Ctc,
    ) -> Tensor {
        let batch = Batch::new(log_probs, targets, input_lengths, target_lengths, options).or_panic();
        let ([t, n, _], w) = (batch.dims, batch.width);
        let each = options.reduction == Reduction::None && log_probs.ndim() == 3;
        let expected: &[usize] = if each { &[n] } else { &[] };
        if dloss.dims() != expected || saved.dims() != [n, t, w] {
            let operands: &[(&str, &[usize])] =
                &[("dloss", dloss.dims()), ("log_probs", log_probs.dims()), ("saved", saved.dims())];
            let what = "the gradient does not have the shape of the loss";
            panic!("{}", Error::shape("ctc_loss_backward", what, operands, "saved [n, t, 2 s + 1]"));
        }
        let dloss = dloss.to_dtype(DType::F64).to_vec::<f64>();
        let share = |(i, item)| dloss[if each { i } else { 0 }] * batch.share(item, options.reduction);
        let dlosses: Vec<f64> = batch.items.iter().enumerate().map(share).collect();
        let saved = saved.contiguous();
        let alphas = saved.as_slice::<f64>().expect("made contiguous");
        log_probs.through_compute(|x| {
            dispatch!(float x.dtype(), OP, T => Tensor::build::<T>(x.shape(), |dx| {
                let how = (&dlosses[..], options.zero_infinity);
                kernel::backward(x.elements::<T>(), batch.dims, w, &batch.items, alphas, how, dx);
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;

    fn log_probs(shape: [usize; 3]) -> Tensor {
        Tensor::randn_with(shape, DType::F64, &mut Generator::new(5)).log_softmax(2)
    }

    fn lengths(lengths: &[i64]) -> Tensor {
        Tensor::from_slice(lengths, [lengths.len()])
    }

    /// The probability of a target by the sum over all sequences of classes.
    fn enumerated(x: &Tensor, item: usize, steps: usize, target: &[usize], blank: usize) -> f64 {
        let c = x.dims()[2];
        let mut total = 0.0;
        for code in 0..c.pow(steps as u32) {
            let classes: Vec<usize> = (0..steps).map(|t| code / c.pow(t as u32) % c).collect();
            let mut said = classes.clone();
            said.dedup();
            said.retain(|&class| class != blank);
            if said == target {
                total += (0..steps).map(|t| x.get::<f64>(&[t, item, classes[t]])).sum::<f64>().exp();
            }
        }
        total
    }

    #[test]
    fn the_recursion_sums_over_every_alignment() {
        let x = log_probs([5, 3, 3]);
        let targets = Tensor::from([[1i64, 2, 99], [2, 2, 99], [1, 2, 1]]);
        for (inputs, outputs) in [([5i64, 4, 5], [2i64, 2, 3]), ([3, 3, 5], [1, 2, 0]), ([5, 2, 0], [0, 1, 0])] {
            for blank in [0, 1] {
                // With class 1 as the blank the targets say something else.
                let targets =
                    if blank == 1 { targets.masked_fill(&targets.eq_scalar(1.0), 0.0) } else { targets.clone() };
                let options = Ctc { blank, reduction: Reduction::None, ..Default::default() };
                let (loss, _) = x.ctc_loss(&targets, &lengths(&inputs), &lengths(&outputs), &options);
                for i in 0..3 {
                    let target: Vec<usize> =
                        (0..outputs[i] as usize).map(|s| targets.get::<i64>(&[i, s]) as usize).collect();
                    let expected = -enumerated(&x, i, inputs[i] as usize, &target, blank).ln();
                    assert!((loss.get::<f64>(&[i]) - expected).abs() < 1e-12, "{inputs:?} {outputs:?} {i}: {loss}");
                }
            }
        }
    }

    #[test]
    fn the_gradient_is_that_of_normalised_log_probabilities() {
        let logits = Tensor::randn_with([2, 4, 3], DType::F64, &mut Generator::new(9)).transpose(0, 1);
        let (targets, inputs, outputs) = (Tensor::from([1i64, 1, 2]), lengths(&[4, 3]), lengths(&[2, 1]));
        for reduction in [Reduction::None, Reduction::Sum, Reduction::Mean] {
            let options = Ctc { reduction, ..Default::default() };
            let value = |logits: &Tensor| {
                let (loss, _) = logits.log_softmax(2).ctc_loss(&targets, &inputs, &outputs, &options);
                if reduction == Reduction::None { (loss * Tensor::from([0.5, -2.0])).sum() } else { loss * 3.0 }
                    .item::<f64>()
            };
            let x = logits.log_softmax(2);
            let (_, saved) = x.ctc_loss(&targets, &inputs, &outputs, &options);
            let dloss = if reduction == Reduction::None { Tensor::from([0.5, -2.0]) } else { Tensor::scalar(3.0) };
            let dx = Tensor::ctc_loss_backward(&dloss, &x, &targets, [&inputs, &outputs], &saved, &options);
            for at in 0..logits.numel() {
                let bump = |h: f64| {
                    let mut moved = logits.to_vec::<f64>();
                    moved[at] += h;
                    value(&Tensor::from_vec(moved, logits.shape()))
                };
                let slope = (bump(1e-6) - bump(-1e-6)) / 2e-6;
                assert!((slope - dx.to_vec::<f64>()[at]).abs() < 1e-8, "{reduction:?} {at}: {slope} {dx}");
            }
        }
    }

    #[test]
    fn impossible_targets_and_unlikely_classes() {
        let inf = f64::INFINITY;
        // Two equal labels need three steps.
        let x = log_probs([2, 1, 3]);
        let (targets, two) = (Tensor::from([[1i64, 1]]), lengths(&[2]));
        let run = |zero_infinity: bool| {
            let options = Ctc { zero_infinity, reduction: Reduction::Sum, ..Default::default() };
            let (loss, saved) = x.ctc_loss(&targets, &two, &two, &options);
            let dx = Tensor::ctc_loss_backward(&Tensor::scalar(1.0), &x, &targets, [&two, &two], &saved, &options);
            (loss.item::<f64>(), dx.to_vec::<f64>())
        };
        let (loss, dx) = run(false);
        assert!(loss == inf && dx.iter().all(|dx| dx.is_nan()));
        assert_eq!(run(true), (0.0, vec![0.0; 6]));

        // A class of probability 0 that no alignment needs, and NaN where none looks.
        let x = Tensor::from([[0.5f64.ln(), 0.5f64.ln(), -inf], [0.5f64.ln(), 0.5f64.ln(), f64::NAN]]);
        let one = Tensor::scalar(1i64);
        let (loss, saved) = x.ctc_loss(&Tensor::from([1i64]), &one, &one, &Ctc::default());
        let dx = Tensor::ctc_loss_backward(
            &Tensor::scalar(1.0),
            &x,
            &Tensor::from([1i64]),
            [&one, &one],
            &saved,
            &Ctc::default(),
        );
        assert!((loss.item::<f64>() - 2f64.ln()).abs() < 1e-15);
        assert!(dx.allclose(&Tensor::from([[0.5, -0.5, 0.0], [0.0, 0.0, 0.0]]), 1e-15, 1e-15), "{dx}");
        let nan = x.narrow(0, 1, 1);
        assert!(nan.ctc_loss(&Tensor::from([2i64]), &one, &one, &Ctc::default()).0.item::<f64>().is_nan());
    }

    #[test]
    fn long_inputs_do_not_underflow() {
        let x = Tensor::full([4000, 1, 4], 0.25f64.ln(), DType::F64);
        let (steps, none) = (lengths(&[4000]), lengths(&[0]));
        let (loss, _) = x.ctc_loss(&Tensor::zeros([0], DType::I64), &steps, &none, &Ctc::default());
        assert!((loss.item::<f64>() / (4000.0 * 4f64.ln()) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        type Arguments = (Tensor, Tensor, Tensor, Tensor, Ctc);
        type Case = (fn(&mut Arguments), &'static str);
        let good = || (log_probs([5, 2, 4]), Tensor::from([[1i64, 2], [3, 3]]), lengths(&[5, 4]), lengths(&[2, 1]));
        let with = |change: fn(&mut Arguments)| {
            let (x, targets, inputs, outputs) = good();
            let mut all = (x, targets, inputs, outputs, Ctc::default());
            change(&mut all);
            Batch::new(&all.0, &all.1, &all.2, &all.3, &all.4).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(with(|_| {}), "");
        let cases: [Case; 13] = [
            (
                |a| a.0 = log_probs([5, 2, 4]).select(0, 0).select(0, 0),
                "ctc_loss: log_probs has 1 dimensions, not 2 or 3\n  log_probs [4]   targets [2, 2]",
            ),
            (|a| a.0 = a.0.to_dtype(DType::I64), "ctc_loss: needs floating log_probs, got i64"),
            (|a| a.0 = a.0.narrow(0, 0, 0), "ctc_loss: log_probs is empty\n"),
            (|a| a.4.blank = 4, "ctc_loss: blank 4 is no class, must be in 0..4"),
            (|a| a.1 = a.1.to_dtype(DType::F64), "ctc_loss: needs integers for targets, got f64"),
            (|a| a.1 = a.1.unsqueeze(0), "ctc_loss: the targets are not those of a batch of 2\n"),
            (|a| a.2 = lengths(&[5]), "ctc_loss: input_lengths holds 1 lengths for a batch of 2\n"),
            (|a| a.2 = lengths(&[5, 6]), "ctc_loss: length 6 in input_lengths[1] is not in 0..=5"),
            (|a| a.3 = lengths(&[3, 1]), "ctc_loss: length 3 in target_lengths[0] is not in 0..=2"),
            (|a| a.3 = lengths(&[-1, 1]), "ctc_loss: length -1 in target_lengths[0] is not in 0..=2"),
            (|a| a.1 = lengths(&[1, 2]), "ctc_loss: the target_lengths sum up to 3, there are 2 labels\n"),
            (|a| a.1 = Tensor::from([[1i64, 4], [3, 3]]), "ctc_loss: label 4 of target 0 is no class, must be in 0..4"),
            (
                |a| a.1 = Tensor::from([[1i64, 0], [-1, 3]]),
                "ctc_loss: label -1 of target 1 is no class, must be in 0..4",
            ),
        ];
        for (change, message) in cases {
            let found = with(change);
            assert!(found.starts_with(message), "{found} instead of {message}");
        }
        // What fills a row up is not looked at.
        assert_eq!(with(|a| a.1 = Tensor::from([[1i64, 2], [3, 99]])), "");
    }

    #[test]
    #[should_panic(expected = "ctc_loss_backward: the gradient does not have the shape of the loss\n  dloss [3]")]
    fn the_gradient_has_the_shape_of_the_loss() {
        let (x, targets, two) = (log_probs([5, 2, 4]), Tensor::from([[1i64, 2], [3, 3]]), lengths(&[2, 2]));
        let (_, saved) = x.ctc_loss(&targets, &two, &two, &Ctc::default());
        Tensor::ctc_loss_backward(&Tensor::from([1.0, 1.0, 1.0]), &x, &targets, [&two, &two], &saved, &Ctc::default());
    }

    #[test]
    #[should_panic(expected = "ctc_loss: BatchMean is a reduction of kl_div only")]
    fn there_is_no_mean_over_the_batch_alone() {
        let options = Ctc { reduction: Reduction::BatchMean, ..Default::default() };
        let two = lengths(&[2, 2]);
        log_probs([5, 2, 4]).ctc_loss(&Tensor::from([[1i64, 2], [3, 3]]), &two, &two, &options);
    }
}
