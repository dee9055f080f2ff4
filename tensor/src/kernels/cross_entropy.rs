//! Cross-entropy from logits: one visit to each row forwards, one backwards, and no table of log-probabilities.

use crate::kernels::math::Math;
use crate::kernels::parallel::{self, SharedMut};
use crate::kernels::rows::{LANES, Rows, ahead_by, ask, max_of, merge, rows_per_block, sum_of, sum_of_pairs};
use crate::kernels::simd::vectorised;
use crate::tensor::View;

/// What the loss of a row is made of: `-gain * log p[target] - smooth * sum over c of weight[c] log p[c]`.
pub(crate) struct Terms<'a, T> {
    /// The class of each row; `None` for a row that is ignored.
    pub(crate) targets: &'a [Option<usize>],
    /// A weight per class, 1 if absent.
    pub(crate) weight: Option<&'a [T]>,
    /// `1 - label_smoothing`.
    pub(crate) gain: f64,
    /// `label_smoothing / classes`.
    pub(crate) smooth: f64,
}

impl<T: Math> Terms<'_, T> {
    /// The weight of a class.
    pub(crate) fn weight_of(&self, class: usize) -> f64 {
        self.weight.map_or(1.0, |weight| weight[class].to_f64())
    }

    fn sum_of_weights(&self, classes: usize) -> f64 {
        self.weight.map_or(classes as f64, |weight| weight.iter().map(|w| w.to_f64()).sum())
    }
}

/// Logits that are worked on before anybody asks whether they are far greater than those before; so far ahead memory is
/// asked for.
const PART: usize = 4096;
/// If the sum of a part's powers is greater, a logit exceeds the one from which they are measured; if it is not, none does by more
/// than its logarithm, 9.02: few enough that differences keep their digits.
const MOST: f64 = 2.0 * PART as f64;

vectorised! {
    /// Lanes of the sum of the powers `e^(x - from)`. Those beyond `e^88` are only that.
    fn powers<S, T: Math>(x: &[T], from: T) -> [T; LANES] {
        // As long as all logits are negative infinity any finite number will do: the powers are 0.
        let from = if from == T::LOWEST { T::ZERO } else { from };
        let mut sums = [T::ZERO; LANES];
        let greatest = T::of(88.0);
        let take = |sum: &mut T, x: T| {
            let x = x - from;
            // NaN stays what it is.
            let (power, rest) = (if x > greatest { greatest } else { x }).exp_factors::<S>();
            *sum = S::mul_add(power, rest, *sum);
        };
        let ((whole, rest), ahead) = (x.as_chunks::<LANES>(), ahead_by(PART));
        for (c, chunk) in whole.iter().enumerate() {
            ask(x, ahead, c);
            for l in 0..LANES {
                take(&mut sums[l], chunk[l]);
            }
        }
        for (l, &x) in rest.iter().enumerate() {
            take(&mut sums[l], x);
        }
        sums
    }

    /// A logit of the row that no other exceeds by more than 9.02, and the sum of `e^(x - logit)`, in one pass through memory.
    ///
    /// Powers are measured from the greatest logit of the first part that is not all negative infinity. A part with a far greater
    /// one is done again, measured from the greatest of its own.
    fn normaliser<S, T: Math>(x: &[T]) -> (T, T) {
        let (mut from, mut sums) = (T::LOWEST, [T::ZERO; LANES]);
        for x in x.chunks(PART) {
            if from == T::LOWEST {
                from = max_of(x);
            }
            let mut added = powers(x, from);
            if merge(added, |a, b| a + b) > T::of(MOST) {
                let greatest = max_of(x);
                let shrink = (from - greatest).exp_below::<S>();
                from = greatest;
                sums.iter_mut().for_each(|sum| *sum = *sum * shrink);
                added = powers(x, from);
            }
            sums.iter_mut().zip(added).for_each(|(sum, added)| *sum += added);
        }
        // No probabilities come of nothing but negative infinities.
        let none = from == T::LOWEST && !x.is_empty();
        (from, if none { T::of(f64::NAN) } else { merge(sums, |a, b| a + b) })
    }

    /// The sum of `x - from` over a row.
    fn depth<S, T: Math>(x: &[T], from: T) -> T {
        sum_of(x, |x| x - from)
    }

    /// The sum of `w (x - from)` over a row.
    fn depth_weighted<S, T: Math>(x: &[T], w: &[T], from: T) -> T {
        sum_of_pairs(x, w, |sum, x, w| S::mul_add(x - from, w, sum))
    }

    /// `dx = scale * e^(x - from) - shift`.
    fn gradient<S, T: Math>(x: &[T], from: T, scale: T, shift: T, dx: &mut [T]) {
        for (dx, &x) in dx.iter_mut().zip(x) {
            *dx = (x - from).exp_below::<S>() * scale - shift;
        }
    }

    /// `dx = scale * e^(x - from) - shift * w`.
    fn gradient_weighted<S, T: Math>(x: &[T], from: T, scale: T, shift: T, w: &[T], dx: &mut [T]) {
        for ((dx, &x), &w) in dx.iter_mut().zip(x).zip(w) {
            *dx = (x - from).exp_below::<S>() * scale - shift * w;
        }
    }
}

/// The loss of each row, and its [normaliser] for the way back.
pub(crate) fn forward<T: Math>(logits: View<T>, classes: usize, terms: &Terms<T>, loss: &mut [f64], saved: &mut [T]) {
    let (rows, block) = (Rows::new(logits, classes), rows_per_block(classes));
    let weights = terms.sum_of_weights(classes);
    let saved = SharedMut::new(saved);
    parallel::for_each_chunk(loss, block, |i, loss| {
        let mut buffer = Vec::new();
        let x = rows.get(i * block, loss.len(), &mut buffer);
        for (r, (loss, x)) in loss.iter_mut().zip(x.chunks_exact(classes.max(1))).enumerate() {
            let row = i * block + r;
            let (from, sum_of_powers) = normaliser(x);
            // SAFETY: each row belongs to one block.
            unsafe { saved.slice(2 * row, 2) }.copy_from_slice(&[from, sum_of_powers]);
            // Everything is measured from about the greatest logit, so that large ones cost no digits.
            let log = sum_of_powers.to_f64().ln();
            *loss = match terms.targets[row] {
                None => 0.0,
                Some(class) => {
                    let hit = terms.gain * terms.weight_of(class) * (log - (x[class].to_f64() - from.to_f64()));
                    let rest = || match terms.weight {
                        None => depth(x, from).to_f64(),
                        Some(w) => depth_weighted(x, w, from).to_f64(),
                    };
                    if terms.smooth == 0.0 { hit } else { hit + terms.smooth * (log * weights - rest()) }
                }
            };
        }
    });
}

/// The gradient of the logits, for rows whose losses have the gradients `upstream(row)`.
pub(crate) fn backward<T: Math>(
    logits: View<T>,
    classes: usize,
    terms: &Terms<T>,
    saved: &[T],
    upstream: impl Fn(usize) -> f64 + Sync,
    dx: &mut [T],
) {
    let (rows, block) = (Rows::new(logits, classes), rows_per_block(classes));
    let weights = terms.sum_of_weights(classes);
    parallel::for_each_chunk(dx, block * classes, |i, dx| {
        let mut buffer = Vec::new();
        let x = rows.get(i * block, dx.len() / classes, &mut buffer);
        for (r, (x, dx)) in x.chunks_exact(classes.max(1)).zip(dx.chunks_exact_mut(classes.max(1))).enumerate() {
            let row = i * block + r;
            let Some(class) = terms.targets[row] else {
                dx.fill(T::ZERO);
                continue;
            };
            let dloss = upstream(row);
            let (from, sum_of_powers) = (saved[2 * row], saved[2 * row + 1].to_f64());
            let hit = dloss * terms.gain * terms.weight_of(class);
            let scale = T::of((hit + dloss * terms.smooth * weights) / sum_of_powers);
            let shift = T::of(dloss * terms.smooth);
            match terms.weight {
                Some(w) if terms.smooth != 0.0 => gradient_weighted(x, from, scale, shift, w, dx),
                _ => gradient(x, from, scale, shift, dx),
            }
            dx[class] = dx[class] - T::of(hit);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normaliser_does_not_depend_on_where_the_greatest_logit_stands() {
        const HIDDEN: f32 = f32::NEG_INFINITY;
        let logit = |i: usize| ((i * 7919) % 1013) as f32 / 50.0 - 10.0;
        for n in [1, 70, PART, 3 * PART + 5] {
            // From part to part a little, or so much that powers are measured anew.
            for rising in [0.0, 0.002, 0.01, -0.01] {
                // At first all are plain, then some and then a whole part hidden.
                for hidden in [0, n / 2, n - 1] {
                    let x: Vec<f32> =
                        (0..n).map(|i| if i < hidden { HIDDEN } else { logit(i) + rising * i as f32 }).collect();
                    let (from, sum) = normaliser(&x);
                    let want: f64 = x.iter().map(|&x| (x as f64 - from as f64).exp()).sum();
                    assert!(x.contains(&from) && x.iter().all(|&x| x <= from + 9.02), "{n} {rising} {hidden}");
                    assert!((sum as f64 / want - 1.0).abs() < 1e-6, "{n} {rising} {hidden}: {sum}, not {want}");
                }
            }
        }
    }

    #[test]
    fn logits_far_beyond_all_powers_and_near_the_limit_are_noticed() {
        for step in [0.9, 8.9, 9.1, 100.0, 1e4, 1e38] {
            let x: Vec<f32> =
                (0..3 * PART).map(|i| (i / PART) as f32 * step + if i % PART == 0 { 0.0 } else { -0.1 }).collect();
            let (from, sum) = normaliser(&x);
            let want: f64 = x.iter().map(|&x| (x as f64 - from as f64).exp()).sum();
            assert!((sum as f64 / want - 1.0).abs() < 1e-6, "{step}: {sum}, not {want}");
        }
        let mut x = vec![-3e38_f32; 2 * PART];
        x[PART + 1] = 3e38;
        assert_eq!(normaliser(&x), (3e38, 1.0));
        // One logit a little above stays, many of them become the measure.
        let mut x = vec![0.0_f32; 2 * PART];
        x[PART + 1] = 7.0;
        assert_eq!(normaliser(&x).0, 0.0);
        x[PART..].fill(1.0);
        assert_eq!(normaliser(&x).0, 1.0);
    }

    #[test]
    fn the_normaliser_of_doubles_is_measured_anew_as_well() {
        // Each part exceeds those before by 9 or more, and the last by more than powers reach.
        let step = |i: usize| [0.0, 9.0, 30.0, 800.0][i / PART];
        let x: Vec<f64> = (0..4 * PART).map(|i| step(i) + (i % 97) as f64 / 50.0).collect();
        let (from, sum) = normaliser(&x);
        let want: f64 = x.iter().map(|&x| (x - from).exp()).sum();
        assert!(from == 801.92 && (sum / want - 1.0).abs() < 1e-13, "{from}: {sum}, not {want}");
    }

    #[test]
    fn rows_without_a_number_have_no_normaliser() {
        for special in [f32::NAN, f32::INFINITY] {
            let mut x = vec![1.0; 2 * PART];
            x[PART + 3] = special;
            assert!(normaliser(&x).1.is_nan(), "{special}");
            x[..PART].fill(f32::NEG_INFINITY);
            assert!(normaliser(&x).1.is_nan(), "{special} after hidden ones");
        }
        assert!(normaliser(&[f32::NEG_INFINITY; PART + 1]).1.is_nan());
        assert_eq!(normaliser::<f32>(&[]), (f32::NEG_INFINITY, 0.0));
    }
}
