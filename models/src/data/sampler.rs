//! Samplers: in which order the samples of an epoch come, and which of them.

use std::fmt::Debug;
use std::sync::Arc;

use tensor::{DType, Generator, Tensor};

/// The order of an epoch: indices of samples, or (`Sampler<Vec<usize>>`) batches of them.
pub trait Sampler<T = usize>: Debug + Send + Sync {
    /// How many there are in an epoch.
    fn len(&self) -> usize;

    /// The whole order of an epoch, whose random numbers come from `rng`.
    fn order(&self, rng: &mut Generator) -> Vec<T>;

    /// Whether an epoch has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T, S: Sampler<T> + ?Sized> Sampler<T> for Arc<S> {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn order(&self, rng: &mut Generator) -> Vec<T> {
        (**self).order(rng)
    }
}

fn permutation(n: usize, rng: &mut Generator) -> impl Iterator<Item = usize> {
    Tensor::randperm_with(n, rng).to_vec::<i64>().into_iter().map(|index| index as usize)
}

/// The indices `0..n` in order.
#[derive(Debug, Clone)]
pub struct SequentialSampler {
    /// The number of samples of the data set.
    pub n: usize,
}

impl Sampler for SequentialSampler {
    fn len(&self) -> usize {
        self.n
    }

    fn order(&self, _: &mut Generator) -> Vec<usize> {
        (0..self.n).collect()
    }
}

/// Indices of `0..n` at random.
///
/// Without replacement, an index comes again only when all others have come, too: more samples than there are means one
/// permutation after the other, as in PyTorch.
///
/// ```
/// use models::data::{RandomSampler, Sampler};
/// use tensor::Generator;
///
/// let mut order = RandomSampler::new(5).order(&mut Generator::new(0));
/// order.sort();
/// assert_eq!(order, [0, 1, 2, 3, 4]);
/// let dice = RandomSampler { replacement: true, num_samples: 100, ..RandomSampler::new(6) };
/// assert_eq!(dice.order(&mut Generator::new(0)).len(), 100);
/// ```
#[derive(Debug, Clone)]
pub struct RandomSampler {
    /// The number of samples of the data set.
    pub n: usize,
    /// Whether each index is drawn from all of them (default no).
    pub replacement: bool,
    /// The number of indices per epoch (default `n`).
    pub num_samples: usize,
}

impl RandomSampler {
    /// A permutation of `0..n` per epoch.
    pub fn new(n: usize) -> RandomSampler {
        RandomSampler { n, replacement: false, num_samples: n }
    }
}

impl Sampler for RandomSampler {
    fn len(&self) -> usize {
        self.num_samples
    }

    /// # Panics
    /// When samples of an empty data set are asked for.
    fn order(&self, rng: &mut Generator) -> Vec<usize> {
        let (n, wanted) = (self.n, self.num_samples);
        assert!(n > 0 || wanted == 0, "RandomSampler: {wanted} samples of an empty data set");
        if wanted == 0 {
            return vec![];
        }
        if self.replacement {
            let drawn = Tensor::randint_with(0, n as i64, [wanted], rng).to_vec::<i64>();
            return drawn.into_iter().map(|index| index as usize).collect();
        }
        let mut order = Vec::with_capacity(wanted);
        while order.len() < wanted {
            order.extend(permutation(n, rng).take(wanted - order.len()));
        }
        order
    }
}

/// Indices drawn with probability proportional to their weights: rare classes as often as frequent ones, say.
///
/// ```
/// use models::data::{Sampler, WeightedRandomSampler};
/// use tensor::Generator;
///
/// let sampler = WeightedRandomSampler::new(&[1.0, 0.0, 3.0], 1000, true);
/// let order = sampler.order(&mut Generator::new(0));
/// let twos = order.iter().filter(|&&index| index == 2).count();
/// assert!((700..800).contains(&twos) && !order.contains(&1));
/// ```
#[derive(Debug, Clone)]
pub struct WeightedRandomSampler {
    weights: Vec<f64>,
    num_samples: usize,
    replacement: bool,
}

impl WeightedRandomSampler {
    /// `num_samples` indices per epoch, of `0..weights.len()`, with weights that need not add up to 1.
    ///
    /// # Panics
    /// When a weight is negative or not finite, or so is their sum, or fewer weights are positive than are needed: one, or
    /// without replacement `num_samples`.
    #[track_caller]
    pub fn new(weights: &[f64], num_samples: usize, replacement: bool) -> WeightedRandomSampler {
        if let Some((i, w)) = weights.iter().enumerate().find(|(_, w)| !w.is_finite() || **w < 0.0) {
            panic!("WeightedRandomSampler: weight {i} is {w}\n  rule finite and >= 0");
        }
        let sum: f64 = weights.iter().sum();
        assert!(sum.is_finite(), "WeightedRandomSampler: the weights add up to {sum}\n  rule a finite sum");
        let positive = weights.iter().filter(|&&w| w > 0.0).count();
        let needed = if replacement { num_samples.min(1) } else { num_samples };
        assert!(
            positive >= needed,
            "WeightedRandomSampler: {num_samples} samples with {positive} positive weights\n  rule at least {needed}"
        );
        WeightedRandomSampler { weights: weights.to_vec(), num_samples, replacement }
    }
}

impl Sampler for WeightedRandomSampler {
    fn len(&self) -> usize {
        self.num_samples
    }

    fn order(&self, rng: &mut Generator) -> Vec<usize> {
        let positive = || self.weights.iter().enumerate().filter(|(_, w)| **w > 0.0);
        if self.replacement {
            let mut sum = 0.0;
            let ends = positive().map(|(i, w)| {
                sum += w;
                (i, sum)
            });
            let ends: Vec<(usize, f64)> = ends.collect();
            let at = |u: f64| {
                let place = ends.partition_point(|(_, end)| *end <= u * sum);
                // Rounding may reach the very end.
                ends[place.min(ends.len() - 1)].0
            };
            let drawn = Tensor::rand_with([self.num_samples], DType::F64, rng).to_vec::<f64>();
            return drawn.into_iter().map(at).collect();
        }
        // The first of independent exponential clocks with the weights as rates is each with probability w / sum, and
        // so on with those that are left (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
        let waits = Tensor::exponential_with(1.0, [self.weights.len()], DType::F64, rng).to_vec::<f64>();
        let mut rings: Vec<(f64, usize)> = positive().map(|(i, w)| (waits[i] / w, i)).collect();
        rings.sort_by(|a, b| a.0.total_cmp(&b.0));
        rings.into_iter().take(self.num_samples).map(|(_, i)| i).collect()
    }
}

/// The given indices in random order.
#[derive(Debug, Clone)]
pub struct SubsetRandomSampler {
    /// The indices.
    pub indices: Vec<usize>,
}

impl Sampler for SubsetRandomSampler {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn order(&self, rng: &mut Generator) -> Vec<usize> {
        permutation(self.indices.len(), rng).map(|i| self.indices[i]).collect()
    }
}

/// The indices of another sampler in batches.
///
/// ```
/// use models::data::{BatchSampler, Sampler, SequentialSampler};
/// use tensor::Generator;
///
/// let batches = BatchSampler::new(SequentialSampler { n: 5 }, 2, false);
/// assert_eq!(batches.order(&mut Generator::new(0)), [vec![0, 1], vec![2, 3], vec![4]]);
/// ```
#[derive(Debug, Clone)]
pub struct BatchSampler<S> {
    sampler: S,
    batch_size: usize,
    drop_last: bool,
}

impl<S: Sampler> BatchSampler<S> {
    /// Batches of `batch_size` indices; a last one with fewer is left out if `drop_last` says so.
    ///
    /// # Panics
    /// When `batch_size` is 0.
    #[track_caller]
    pub fn new(sampler: S, batch_size: usize, drop_last: bool) -> BatchSampler<S> {
        assert!(batch_size > 0, "BatchSampler: the batch size must be at least 1");
        BatchSampler { sampler, batch_size, drop_last }
    }
}

impl<S: Sampler> Sampler<Vec<usize>> for BatchSampler<S> {
    fn len(&self) -> usize {
        let n = self.sampler.len();
        if self.drop_last { n / self.batch_size } else { n.div_ceil(self.batch_size) }
    }

    fn order(&self, rng: &mut Generator) -> Vec<Vec<usize>> {
        let order = self.sampler.order(rng);
        let whole = |batch: &&[usize]| !self.drop_last || batch.len() == self.batch_size;
        order.chunks(self.batch_size).filter(whole).map(<[usize]>::to_vec).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(order: &[usize], n: usize) -> Vec<usize> {
        let mut counts = vec![0; n];
        order.iter().for_each(|&i| counts[i] += 1);
        counts
    }

    #[test]
    fn without_replacement_whole_permutations_come_first() {
        let sampler = RandomSampler { num_samples: 23, ..RandomSampler::new(10) };
        let order = sampler.order(&mut Generator::new(4));
        assert_eq!(counts(&order[..10], 10), [1; 10]);
        assert_eq!(counts(&order[10..20], 10), [1; 10]);
        assert_ne!(order[..10], order[10..20]);
        assert!(order.len() == 23 && counts(&order[20..], 10).iter().all(|&n| n <= 1));
    }

    #[test]
    fn with_replacement_every_index_is_as_likely() {
        let sampler = RandomSampler { replacement: true, num_samples: 50_000, ..RandomSampler::new(5) };
        for n in counts(&sampler.order(&mut Generator::new(1)), 5) {
            // Mean 10000, standard deviation 89.
            assert!((9_600..10_400).contains(&n), "{n}");
        }
    }

    #[test]
    fn weights_are_probabilities() {
        let weights = [2.0, 0.0, 1.0, 5.0];
        let sampler = WeightedRandomSampler::new(&weights, 80_000, true);
        for (n, w) in counts(&sampler.order(&mut Generator::new(2)), 4).iter().zip(weights) {
            assert!((*n as f64 - 10_000.0 * w).abs() < 600.0, "{n} {w}");
        }
        // Without replacement, the first follows the weights, and the second those that are left.
        let sampler = WeightedRandomSampler::new(&weights, 3, false);
        let (mut first, mut second) = (vec![0; 4], vec![0; 4]);
        for seed in 0..8000 {
            let order = sampler.order(&mut Generator::new(seed));
            assert!(counts(&order, 4) == [1, 0, 1, 1]);
            first[order[0]] += 1;
            second[order[1]] += 1;
        }
        assert!((first[3] as f64 / 8000.0 - 5.0 / 8.0).abs() < 0.03, "{first:?}");
        // P(second is 0) = P(first is 2) 2/7 + P(first is 3) 2/3.
        let expected = 1.0 / 8.0 * 2.0 / 7.0 + 5.0 / 8.0 * 2.0 / 3.0;
        assert!((second[0] as f64 / 8000.0 - expected).abs() < 0.03, "{second:?}");
    }

    #[test]
    fn a_subset_comes_in_another_order() {
        let sampler = SubsetRandomSampler { indices: (10..40).collect() };
        let mut order = sampler.order(&mut Generator::new(0));
        assert_ne!(order, sampler.indices);
        order.sort_unstable();
        assert!(order == sampler.indices && sampler.len() == 30);
    }

    #[test]
    fn empty_orders_are_fine() {
        let mut rng = Generator::new(0);
        assert!(RandomSampler::new(0).order(&mut rng).is_empty() && RandomSampler::new(0).is_empty());
        assert!(WeightedRandomSampler::new(&[], 0, true).order(&mut rng).is_empty());
        assert!(BatchSampler::new(SequentialSampler { n: 2 }, 3, true).order(&mut rng).is_empty());
    }

    #[test]
    #[should_panic(expected = "RandomSampler: 3 samples of an empty data set")]
    fn nothing_cannot_be_sampled() {
        RandomSampler { num_samples: 3, ..RandomSampler::new(0) }.order(&mut Generator::new(0));
    }

    #[test]
    #[should_panic(expected = "WeightedRandomSampler: weight 1 is -0.5")]
    fn weights_are_not_negative() {
        WeightedRandomSampler::new(&[1.0, -0.5], 1, true);
    }

    #[test]
    #[should_panic(expected = "WeightedRandomSampler: the weights add up to inf\n  rule a finite sum")]
    fn weights_have_a_sum() {
        WeightedRandomSampler::new(&[1e308, 1e308], 1, true);
    }

    #[test]
    #[should_panic(expected = "WeightedRandomSampler: 2 samples with 1 positive weights\n  rule at least 2")]
    fn without_replacement_there_must_be_enough() {
        WeightedRandomSampler::new(&[1.0, 0.0], 2, false);
    }

    #[test]
    #[should_panic(expected = "BatchSampler: the batch size must be at least 1")]
    fn a_batch_has_a_sample() {
        BatchSampler::new(SequentialSampler { n: 2 }, 0, false);
    }
}
