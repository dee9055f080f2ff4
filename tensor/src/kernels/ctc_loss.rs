//! Connectionist temporal classification: the recursions over all alignments, forwards and backwards, one item of a batch
//! after the other.
//!
//! Dimensions: `t` steps, `n` items of the batch, `c` classes, `w` states (a target of `s` labels has `2 s + 1`).

use crate::kernels::math::Math;
use crate::kernels::parallel::{self, GRAIN, SharedMut};
use crate::kernels::rows::Rows;
use crate::kernels::simd::vectorised;
use crate::tensor::View;

/// What is to be aligned in one item.
pub(crate) struct Item {
    /// The class of each state: the labels, with a blank before, between and after them.
    pub(crate) path: Vec<usize>,
    /// How many steps of the input count.
    pub(crate) steps: usize,
}

impl Item {
    /// Whether state `s` may follow `s - 2`: the blank between two labels is left out, unless they are the same.
    fn skips(&self, s: usize) -> bool {
        s >= 2 && self.path[s] != self.path[s - 2]
    }

    /// The logarithm of the probability of the target, from the forward variables.
    fn log_likelihood(&self, alpha: &[f64], w: usize) -> f64 {
        let states = self.path.len();
        match self.steps {
            // Nothing is read: that is the empty target and no other.
            0 if states == 1 => 0.0,
            0 => f64::NEG_INFINITY,
            steps => {
                let last = &alpha[(steps - 1) * w..][..states];
                let label = if states > 1 { last[states - 2] } else { f64::NEG_INFINITY };
                log_sum([last[states - 1], label, f64::NEG_INFINITY])
            }
        }
    }
}

/// The logarithm of a sum of exponentials.
fn log_sum(terms: [f64; 3]) -> f64 {
    let max = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        // Negative infinity, or NaN if there is one.
        return terms.iter().sum();
    }
    max + terms.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
}

/// How many items one block takes: a state costs about as much as 16 elements of a simple operation.
fn items_per_block(t: usize, w: usize) -> usize {
    (GRAIN / (16 * t * w).max(1)).max(1)
}

/// The losses of the items, and `alpha[n, t, s]`: the logarithm of the probability of all beginnings of alignments that
/// are in state `s` at step `t`.
pub(crate) fn forward<T: Math>(
    log_probs: View<T>,
    [t, n, c]: [usize; 3],
    w: usize,
    items: &[Item],
    losses: &mut [f64],
    alphas: &mut [f64],
) {
    let rows = Rows::new(log_probs, c);
    let alphas = SharedMut::new(alphas);
    let block = items_per_block(t, w);
    parallel::for_each_chunk(losses, block, |b, losses| {
        let mut buffer = Vec::new();
        for (i, loss) in losses.iter_mut().enumerate() {
            let (i, item) = (b * block + i, &items[b * block + i]);
            // SAFETY: each item belongs to one block.
            let alpha = unsafe { alphas.slice(i * t * w, t * w) };
            alpha.fill(f64::NEG_INFINITY);
            for step in 0..item.steps {
                let x = rows.get(step * n + i, 1, &mut buffer);
                let (before, now) = alpha.split_at_mut(step * w);
                for (s, &class) in item.path.iter().enumerate() {
                    let reached = match step.checked_sub(1) {
                        None if s < 2 => 0.0,
                        None => f64::NEG_INFINITY,
                        Some(last) => {
                            let from = |far: usize, open: bool| match s.checked_sub(far) {
                                Some(s) if open => before[last * w + s],
                                _ => f64::NEG_INFINITY,
                            };
                            log_sum([from(0, true), from(1, true), from(2, item.skips(s))])
                        }
                    };
                    // What is never reached stays so, whatever the input holds there.
                    if reached > f64::NEG_INFINITY || reached.is_nan() {
                        now[s] = reached + x[class].to_f64();
                    }
                }
            }
            *loss = -item.log_likelihood(alpha, w);
        }
    });
}

vectorised! {
    /// `dx = scale e^x`.
    fn probabilities<S, T: Math>(x: &[T], scale: T, dx: &mut [T]) {
        for (dx, &x) in dx.iter_mut().zip(x) {
            *dx = x.exp::<S>() * scale;
        }
    }
}

/// `dx = dloss (e^x - posterior)`: what flows to the log-probabilities, for losses whose gradients are `dlosses`.
/// `zero_infinity` says that a loss of infinity has none.
pub(crate) fn backward<T: Math>(
    log_probs: View<T>,
    [t, n, c]: [usize; 3],
    w: usize,
    items: &[Item],
    alphas: &[f64],
    (dlosses, zero_infinity): (&[f64], bool),
    dx: &mut [T],
) {
    let rows = Rows::new(log_probs, c);
    let dx = SharedMut::new(dx);
    let block = items_per_block(t, w);
    parallel::for_each_block(n.div_ceil(block), |b| {
        let mut buffer = Vec::new();
        let mut ahead = Vec::new();
        for i in b * block..n.min((b + 1) * block) {
            let item = &items[i];
            // SAFETY: each item belongs to one block, and its rows overlap with those of no other.
            let row = |step: usize| unsafe { dx.slice((step * n + i) * c, c) };
            let alpha = &alphas[i * t * w..][..t * w];
            let loss = -item.log_likelihood(alpha, w);
            let impossible = loss == f64::INFINITY;
            let counted = if impossible && zero_infinity { 0 } else { item.steps };
            (counted..t).for_each(|step| row(step).fill(T::ZERO));
            if impossible {
                (0..counted).for_each(|step| row(step).fill(T::of(f64::NAN)));
                continue;
            }
            // The logarithm of the probability of all ends of alignments from state `s` on, its own step included.
            let states = item.path.len();
            ahead.clear();
            ahead.resize(states, f64::NEG_INFINITY);
            for step in (0..item.steps).rev() {
                let x = rows.get(step * n + i, 1, &mut buffer);
                let dx = row(step);
                probabilities(x, T::of(dlosses[i]), dx);
                for (s, &class) in item.path.iter().enumerate() {
                    // Only states from `s` on are read, which are still those of the next step.
                    let to = |far: usize, open: bool| if open { ahead[s + far] } else { f64::NEG_INFINITY };
                    let beta = match step + 1 == item.steps {
                        true if s + 2 >= states => 0.0,
                        true => f64::NEG_INFINITY,
                        false => {
                            let skips = s + 2 < states && item.skips(s + 2);
                            log_sum([to(0, true), to(1, s + 1 < states), to(2, skips)])
                        }
                    };
                    let posterior = (alpha[step * w + s] + beta + loss).exp();
                    dx[class] = dx[class] - T::of(dlosses[i] * posterior);
                    ahead[s] = beta + x[class].to_f64();
                }
            }
        }
    });
}
