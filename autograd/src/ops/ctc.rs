//! Connectionist temporal classification.

use tensor::{Ctc, DType, Reduction, Tensor};

use crate::mode::is_grad_enabled;
use crate::reference::reference_vjp;
use crate::step::Need;
use crate::var::Var;

impl Var {
    /// `-log` of the probability that these log-probabilities give to the targets, summed over all alignments.
    ///
    /// # Shape
    /// `[t, n, c]`, targets `[n, s]` or `[sum of target_lengths]`, lengths `[n]` -> a scalar, or `[n]` without reduction;
    /// `[t, c]`, `[s]` and lengths of one element without a batch.
    ///
    /// # Gradient
    /// `dx = dy (e^x - posterior)`, zero beyond the input's length, where the posterior is the probability of class and step
    /// given the target: as in PyTorch the gradient along log-probabilities whose exponentials sum up to 1, as those of a
    /// log-softmax do. A loss of infinity has the gradient NaN, or zero with `zero_infinity`. Keeps `x` and the logarithms
    /// `[n, t, 2 s + 1]` of the forward recursion.
    ///
    /// # Differs
    /// There is a second derivative, by a plain recursion. A class of probability 0 has the gradient 0; PyTorch has NaN.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{Ctc, DType, Tensor};
    /// let x = Var::new(Tensor::zeros([2, 1, 2], DType::F64)).requires_grad_(true);
    /// let (one, two) = (Tensor::from([1i64]), Tensor::from([2i64]));
    /// x.log_softmax(2).ctc_loss(&one, &two, &one, &Ctc::default()).backward();
    /// // In two of three alignments there is a blank at this step.
    /// assert!((x.grad().unwrap().to_vec::<f64>()[0] - (1.0 / 2.0 - 1.0 / 3.0)).abs() < 1e-12);
    /// ```
    #[track_caller]
    pub fn ctc_loss(&self, targets: &Tensor, input_lengths: &Tensor, target_lengths: &Tensor, options: &Ctc) -> Var {
        let (value, saved) = self.tensor().ctc_loss(targets, input_lengths, target_lengths, options);
        let how = Alignment {
            targets: targets.clone(),
            input_lengths: input_lengths.clone(),
            target_lengths: target_lengths.clone(),
            options: *options,
        };
        let x = self.keep();
        let loss = Var::record("ctc_loss", value, [self], move |dy, need| {
            if is_grad_enabled() {
                return vec![how.recorded(&x, dy, need)];
            }
            let lengths = [&how.input_lengths, &how.target_lengths];
            let dx = Tensor::ctc_loss_backward(&dy.tensor(), &x.tensor(), &how.targets, lengths, &saved, &how.options);
            vec![Some(Var::new(dx))]
        });
        loss.reads("targets", targets).reads("input_lengths", input_lengths).reads("target_lengths", target_lengths)
    }
}

/// A stand-in for negative infinity that stays finite in sums and differences, and so in derivatives.
const NEVER: f64 = -1e30;

/// What is aligned, checked by the forward pass.
struct Alignment {
    targets: Tensor,
    input_lengths: Tensor,
    target_lengths: Tensor,
    options: Ctc,
}

impl Alignment {
    /// The gradient, recorded.
    fn recorded(&self, x: &Var, dy: &Var, need: Need<'_>) -> Option<Var> {
        let none = Ctc { reduction: Reduction::None, zero_infinity: false, ..self.options };
        let (losses, _) = x.tensor().ctc_loss(&self.targets, &self.input_lengths, &self.target_lengths, &none);
        let (steps, labels) = (whole(&self.input_lengths), whole(&self.target_lengths));
        let n = steps.len();
        // What each loss of the plain recursion counts in the result: an impossible one has no such number.
        let losses = losses.to_dtype(DType::F64).to_vec::<f64>();
        let share = (0..n).map(|i| match losses[i] {
            _ if steps[i] == 0 => 0.0,
            f64::INFINITY if self.options.zero_infinity => 0.0,
            f64::INFINITY => f64::NAN,
            _ if self.options.reduction == Reduction::Mean => 1.0 / (labels[i].max(1) * n) as f64,
            _ => 1.0,
        });
        let share = Var::new(Tensor::from_vec(share.collect::<Vec<f64>>(), [n]).to_dtype(x.dtype()));
        let each = dy.reshape(if dy.ndim() == 0 { [1] } else { [n] }) * &share;

        let t = x.dim(0);
        let counts: Vec<bool> = (0..t * n).map(|i| i / n >= steps[i % n]).collect();
        let beyond = Tensor::from_vec(counts, [t, n, 1]);
        let batch = |x: &Var| if x.ndim() == 2 { x.unsqueeze(1) } else { x.clone() };
        let normal = (batch(x).exp() * each.reshape([1, n as isize, 1])).masked_fill(&beyond, 0.0).reshape(x.shape());
        let posterior = reference_vjp(|v| self.plain(&batch(&v[0])), &[x], &each, need);
        posterior.into_iter().next().flatten().map(|posterior| normal + posterior)
    }

    /// The losses `[n]` by a recursion over values that are recorded: the forward variables of the whole batch at a time.
    /// Where a target is impossible the loss is some large number.
    fn plain(&self, x: &Var) -> Var {
        let (steps, lengths) = (whole(&self.input_lengths), whole(&self.target_lengths));
        let (t, n, longest) = (x.dim(0), steps.len(), lengths.iter().max().copied().unwrap_or(0));
        let (w, labels) = (2 * longest + 1, whole(&self.targets));
        let mut path = vec![self.options.blank as i64; n * w];
        let mut from = 0;
        for (i, &length) in lengths.iter().enumerate() {
            let start = if self.targets.ndim() == 2 { i * self.targets.dim(1) } else { from };
            from += length;
            for s in 0..length {
                path[i * w + 2 * s + 1] = labels[start + s] as i64;
            }
        }
        let stays = (0..n * w).map(|i| i % w < 2 || path[i] == path[i - 2]).collect::<Vec<bool>>();
        let (stays, late) = (Tensor::from_vec(stays, [n, w]), Tensor::from_vec((0..w).map(|s| s >= 2).collect(), [w]));
        let path = Tensor::from_vec(path, [n, w]);

        let x = x.clamp(Some(NEVER), None);
        let emitted = |step: usize| x.select(0, step).gather(1, &path);
        let shifted = |alpha: &Var, by: usize| {
            let never = Var::new(Tensor::full([n, by.min(w)], NEVER, x.dtype()));
            if by < w { Var::cat(&[never, alpha.narrow(1, 0, w - by)], 1) } else { never }
        };
        let mut alpha = emitted(0).masked_fill(&late, NEVER);
        for step in 1..t {
            let from = [alpha.clone(), shifted(&alpha, 1), shifted(&alpha, 2).masked_fill(&stays, NEVER)];
            let next = Var::stack(&from, 0).logsumexp(0, false) + emitted(step);
            let goes_on = Tensor::from_vec(steps.iter().map(|&steps| step < steps).collect::<Vec<bool>>(), [n, 1]);
            alpha = Var::where_(&goes_on, &next, &alpha);
        }
        let at = |state: &dyn Fn(usize) -> i64| {
            alpha.gather(1, &Tensor::from_vec(lengths.iter().map(|&s| state(s)).collect::<Vec<i64>>(), [n, 1]))
        };
        let empty = Tensor::from_vec(lengths.iter().map(|&s| s == 0).collect::<Vec<bool>>(), [n, 1]);
        let (blank, label) = (at(&|s| 2 * s as i64), at(&|s| (2 * s as i64 - 1).max(0)).masked_fill(&empty, NEVER));
        blank.logaddexp(&label).neg().reshape([n])
    }
}

/// Lengths and labels, which are not negative where anything reads them.
fn whole(t: &Tensor) -> Vec<usize> {
    t.to_dtype(DType::I64).to_vec::<i64>().into_iter().map(|x| x.max(0) as usize).collect()
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    fn logits(_: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
        vec![vec![1 + pick.below(3), 1 + pick.below(4), 2 + pick.below(2)]]
    }
    vec![sample("ctc_loss", &[REAL], logits, |v, p| {
        // The gradient is that of log-probabilities, so the inputs become such, and not contiguous ones.
        let x = v[0].log_softmax(2).transpose(0, 1);
        let (t, n, c) = (x.dim(0), x.dim(1), x.dim(2));
        let (steps, lengths) = (p.ids(&[n], t + 1), p.ids(&[n], 3));
        let blank = p.below(c);
        let labels = p.ids(&[n, 2], c - 1);
        let labels = &labels + &labels.ge_scalar(blank as f64).to_dtype(DType::I64);
        let rows = whole(&lengths).into_iter().enumerate();
        let targets = match p.coin() {
            true => Tensor::cat(&rows.map(|(i, s)| labels.select(0, i).narrow(0, 0, s)).collect::<Vec<_>>(), 0),
            false => labels,
        };
        let reduction = [Reduction::None, Reduction::Sum, Reduction::Mean][p.below(3)];
        let options = Ctc { blank, reduction, zero_infinity: true };
        let x = if n == 1 && p.coin() { x.squeeze(1) } else { x };
        x.ctc_loss(&targets, &steps, &lengths, &options).into()
    })]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{REAL, agrees_with_reference};
    use crate::{GradOptions, grad};

    fn lengths(lengths: &[i64]) -> Tensor {
        Tensor::from_slice(lengths, [lengths.len()])
    }

    #[test]
    fn the_recursion_agrees_with_its_reference() {
        let targets = Tensor::from([[1i64, 2, 2], [3, 1, 0], [0, 0, 0]]);
        let (steps, labels) = (lengths(&[7, 6, 3]), lengths(&[3, 2, 0]));
        let options = Ctc { reduction: Reduction::None, ..Default::default() };
        let how = Alignment {
            targets: targets.clone(),
            input_lengths: steps.clone(),
            target_lengths: labels.clone(),
            options,
        };
        agrees_with_reference(
            &[REAL],
            &[&[7, 3, 4]],
            |v| v[0].log_softmax(2).ctc_loss(&targets, &steps, &labels, &options),
            |v| how.plain(&v[0].log_softmax(2)),
        );
    }

    /// The gradients with nothing recorded and with everything.
    fn gradients(x: &Tensor, targets: &Tensor, [steps, labels]: [&Tensor; 2], options: &Ctc) -> [Vec<f64>; 2] {
        [false, true].map(|create_graph| {
            let x = Var::new(x.clone()).requires_grad_(true);
            let loss = x.ctc_loss(targets, steps, labels, options).sum();
            let options = GradOptions { create_graph, ..Default::default() };
            grad(&[&loss], &[&x], options)[0].clone().expect("a gradient").to_vec()
        })
    }

    #[test]
    fn impossible_targets_are_the_same_when_recorded() {
        let x = Tensor::full([2, 2, 3], (1.0f64 / 3.0).ln(), DType::F64);
        // Two equal labels need three steps; no step at all says nothing.
        let (targets, labels) = (Tensor::from([[1i64, 1], [2, 2]]), lengths(&[2, 1]));
        for (zero_infinity, steps) in [(false, [2, 1]), (true, [2, 1]), (true, [0, 2]), (false, [2, 0])] {
            let options = Ctc { reduction: Reduction::Sum, zero_infinity, ..Default::default() };
            let [plain, recorded] = gradients(&x, &targets, [&lengths(&steps), &labels], &options);
            assert_eq!(plain.iter().any(|x| x.is_nan()), !zero_infinity, "{plain:?}");
            for (a, b) in plain.iter().zip(&recorded) {
                assert!((a - b).abs() < 1e-12 || a.is_nan() && b.is_nan(), "{plain:?} {recorded:?}");
            }
        }
    }

    #[test]
    fn a_class_of_probability_zero_has_no_gradient() {
        let (half, never) = (0.5f64.ln(), f64::NEG_INFINITY);
        let x = Tensor::from([[half, half, never], [half, half, never]]);
        let (one, two) = (lengths(&[1]), lengths(&[2]));
        let [plain, recorded] = gradients(&x, &one, [&two, &one], &Ctc::default());
        for gradient in [plain, recorded] {
            let expected = [0.5 - 1.0 / 3.0, 0.5 - 2.0 / 3.0, 0.0].repeat(2);
            assert!(gradient.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{gradient:?}");
        }
    }
}
