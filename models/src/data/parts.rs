//! Parts of data sets, and several data sets as one.

use std::sync::Arc;

use tensor::{Generator, Tensor};

use super::Dataset;

/// The samples of a data set that a list of indices names.
#[derive(Debug, Clone)]
pub struct Subset<D> {
    dataset: D,
    indices: Vec<usize>,
}

impl<D: Dataset> Subset<D> {
    /// The samples at `indices`, in this order.
    ///
    /// # Panics
    /// When an index is not below the length of the data set.
    ///
    /// ```
    /// use models::data::{Dataset, Subset, TensorDataset};
    /// use tensor::{Generator, Tensor};
    ///
    /// let odd = Subset::new(TensorDataset::new(Tensor::from([10i64, 11, 12, 13])), vec![1, 3]);
    /// assert_eq!((odd.len(), odd.get(1, &mut Generator::new(0)).item::<i64>()), (2, 13));
    /// ```
    #[track_caller]
    pub fn new(dataset: D, indices: Vec<usize>) -> Subset<D> {
        let len = dataset.len();
        if let Some(index) = indices.iter().find(|&&index| index >= len) {
            panic!("Subset: index {index} is out of range\n  data set of {len} samples   rule index < {len}");
        }
        Subset { dataset, indices }
    }

    /// Where the samples stand in the data set.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

impl<D: Dataset> Dataset for Subset<D> {
    type Sample = D::Sample;

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn get(&self, index: usize, rng: &mut Generator) -> D::Sample {
        self.dataset.get(self.indices[index], rng)
    }
}

/// The sizes of the parts of a [`random_split`]: `[900, 100]` samples or the fractions `[0.9, 0.1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Parts<const N: usize> {
    /// Numbers of samples; together all of them.
    Lengths([usize; N]),
    /// Fractions of the samples; together 1. Each part has its fraction rounded down, and what is left goes to the first
    /// parts, one sample each.
    Fractions([f64; N]),
}

impl<const N: usize> From<[usize; N]> for Parts<N> {
    fn from(lengths: [usize; N]) -> Self {
        Parts::Lengths(lengths)
    }
}

impl<const N: usize> From<[f64; N]> for Parts<N> {
    fn from(fractions: [f64; N]) -> Self {
        Parts::Fractions(fractions)
    }
}

impl<const N: usize> Parts<N> {
    #[track_caller]
    fn lengths(self, n: usize) -> [usize; N] {
        match self {
            Parts::Lengths(lengths) => {
                let sum = lengths.iter().fold(0usize, |sum, &part| sum.saturating_add(part));
                assert!(
                    sum == n,
                    "random_split: the parts {lengths:?} do not add up\n  data set of {n} samples   rule sum = {n}"
                );
                lengths
            }
            Parts::Fractions(fractions) => {
                let valid = fractions.iter().all(|f| (0.0..=1.0).contains(f));
                assert!(
                    valid && (fractions.iter().sum::<f64>() - 1.0).abs() < 1e-9,
                    "random_split: the fractions {fractions:?} do not add up\n  rule each in [0, 1], sum = 1"
                );
                let mut lengths = fractions.map(|f| (n as f64 * f).floor() as usize);
                let left = n - lengths.iter().sum::<usize>().min(n);
                (0..left).for_each(|i| lengths[i % N] += 1);
                lengths
            }
        }
    }
}

/// Parts of a data set, drawn at random and without overlap: every sample is in one of them.
///
/// # Panics
/// When lengths do not add up to the number of samples, or fractions to 1.
///
/// ```
/// use models::data::{Dataset, TensorDataset, random_split};
/// use tensor::{Generator, Tensor};
///
/// let data = TensorDataset::new(Tensor::from([1i64, 2, 3, 4, 5]));
/// let [train, validation] = random_split(data, [0.6, 0.4], &mut Generator::new(0));
/// assert_eq!((train.len(), validation.len()), (3, 2));
/// ```
#[track_caller]
pub fn random_split<D: Dataset, const N: usize>(
    dataset: D,
    parts: impl Into<Parts<N>>,
    rng: &mut Generator,
) -> [Subset<Arc<D>>; N] {
    let lengths = parts.into().lengths(dataset.len());
    let order = Tensor::randperm_with(dataset.len(), rng).to_vec::<i64>();
    let mut order = order.into_iter().map(|index| index as usize);
    let dataset = Arc::new(dataset);
    lengths.map(|n| Subset { dataset: dataset.clone(), indices: order.by_ref().take(n).collect() })
}

/// The samples of several data sets, one after the other.
///
/// ```
/// use models::data::{ConcatDataset, Dataset, TensorDataset};
/// use tensor::{Generator, Tensor};
///
/// let [a, b] = [Tensor::from([1i64, 2]), Tensor::from([3i64])].map(TensorDataset::new);
/// let both = ConcatDataset::new(vec![a, b]);
/// assert_eq!((both.len(), both.get(2, &mut Generator::new(0)).item::<i64>()), (3, 3));
/// ```
#[derive(Debug, Clone)]
pub struct ConcatDataset<D> {
    datasets: Vec<D>,
    /// Where the samples of each data set end.
    ends: Vec<usize>,
}

impl<D: Dataset> ConcatDataset<D> {
    /// The samples of `datasets`, which are of one type (a `Box<dyn Dataset<Sample = ..>>` makes different ones one).
    pub fn new(datasets: Vec<D>) -> ConcatDataset<D> {
        let mut end = 0;
        let count = |dataset: &D| {
            end += dataset.len();
            end
        };
        ConcatDataset { ends: datasets.iter().map(count).collect(), datasets }
    }
}

impl<D: Dataset> Dataset for ConcatDataset<D> {
    type Sample = D::Sample;

    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn get(&self, index: usize, rng: &mut Generator) -> D::Sample {
        let which = self.ends.partition_point(|&end| end <= index);
        let before = if which == 0 { 0 } else { self.ends[which - 1] };
        self.datasets[which].get(index - before, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::super::TensorDataset;
    use super::*;

    fn numbers(n: i64) -> TensorDataset<Tensor> {
        TensorDataset::new(Tensor::from_vec((0..n).collect::<Vec<i64>>(), [n as usize]))
    }

    fn values(dataset: &impl Dataset<Sample = Tensor>) -> Vec<i64> {
        (0..dataset.len()).map(|i| dataset.get(i, &mut Generator::new(0)).item()).collect()
    }

    #[test]
    fn a_split_takes_every_sample_once_and_follows_its_seed() {
        let split = |seed| random_split(numbers(10), [5, 0, 3, 2], &mut Generator::new(seed)).map(|part| values(&part));
        let parts = split(1);
        assert_eq!(parts.each_ref().map(Vec::len), [5, 0, 3, 2]);
        let mut all = parts.concat();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        assert_eq!(split(1), parts);
        assert_ne!(split(2), parts);
    }

    #[test]
    fn what_fractions_leave_goes_to_the_first_parts() {
        // torch.utils.data.random_split(range(11), [0.5, 0.3, 0.2]) has lengths 6, 3, 2; of 10 thirds: 4, 3, 3.
        assert_eq!(Parts::from([0.5, 0.3, 0.2]).lengths(11), [6, 3, 2]);
        assert_eq!(Parts::from([1.0 / 3.0; 3]).lengths(10), [4, 3, 3]);
        assert_eq!(Parts::from([1.0, 0.0]).lengths(0), [0, 0]);
    }

    #[test]
    fn concatenated_data_sets_may_be_empty_and_of_different_types() {
        let boxed: Vec<Box<dyn Dataset<Sample = Tensor>>> = vec![
            Box::new(numbers(0)),
            Box::new(numbers(2)),
            Box::new(numbers(0)),
            Box::new(numbers(3).map(|x, _| x * 10.0)),
        ];
        assert_eq!(values(&ConcatDataset::new(boxed)), [0, 1, 0, 10, 20]);
        assert!(ConcatDataset::<TensorDataset<Tensor>>::new(vec![]).is_empty());
    }

    #[test]
    #[should_panic(expected = "Subset: index 3 is out of range\n  data set of 3 samples   rule index < 3")]
    fn an_index_beyond_the_data_set_is_refused() {
        Subset::new(numbers(3), vec![0, 3]);
    }

    #[test]
    #[should_panic(expected = "random_split: the parts [2, 2] do not add up\n  data set of 5 samples   rule sum = 5")]
    fn lengths_must_add_up() {
        random_split(numbers(5), [2, 2], &mut Generator::new(0));
    }

    #[test]
    #[should_panic(expected = "random_split: the fractions [0.5, 0.6] do not add up")]
    fn fractions_must_add_up() {
        random_split(numbers(5), [0.5, 0.6], &mut Generator::new(0));
    }

    #[test]
    #[should_panic(expected = "TensorDataset: the tensors have different numbers of rows\n  rows [2, 3]")]
    fn rows_must_be_equally_many() {
        TensorDataset::new((Tensor::from([1.0, 2.0]), Tensor::from([1.0, 2.0, 3.0])));
    }

    #[test]
    #[should_panic(expected = "TensorDataset: a tensor without dimensions has no rows")]
    fn a_scalar_has_no_rows() {
        TensorDataset::new(Tensor::scalar(1.0));
    }
}
