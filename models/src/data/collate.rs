//! Samples put together to batches.

use tensor::Tensor;

/// Samples that can be put together to a batch.
///
/// | samples | batch |
/// | --- | --- |
/// | [`Tensor`]s of one shape `[..]` | a tensor `[n, ..]` |
/// | numbers and truth values | a tensor `[n]` |
/// | tuples | a tuple of batches |
/// | `Vec`s of one length | a `Vec` of batches |
/// | `Result`s | the batch, or the first error |
/// | `String`s | a `Vec` of them |
///
/// Other samples, or other batches, take a function of one's own: see
/// [`DataLoader::with_collate`](crate::data::DataLoader::with_collate).
///
/// ```
/// use models::data::Collate;
/// use tensor::Tensor;
///
/// let samples = vec![(Tensor::from([1.0, 2.0]), 0i64), (Tensor::from([3.0, 4.0]), 1)];
/// let (x, y) = Collate::collate(samples);
/// assert_eq!((x.dims(), y.to_vec::<i64>()), (&[2, 2][..], vec![0, 1]));
/// ```
pub trait Collate: Sized + Send + 'static {
    /// What samples become.
    type Batch: Send + 'static;

    /// The batch of `samples`, of which there is at least one.
    ///
    /// # Panics
    /// When the samples do not fit each other: tensors of different shapes, `Vec`s of different lengths.
    fn collate(samples: Vec<Self>) -> Self::Batch;
}

impl Collate for Tensor {
    type Batch = Tensor;

    fn collate(samples: Vec<Tensor>) -> Tensor {
        let first = samples.first().expect("a batch has a sample").shape();
        if let Some((i, other)) = samples.iter().enumerate().find(|(_, sample)| sample.shape() != first) {
            panic!(
                "collate: sample {i} of the batch has another shape than the first\n  first {first}   sample {i} {}   \
                 rule equal shapes, or a collate function of your own (DataLoader::with_collate)",
                other.shape()
            );
        }
        Tensor::stack(&samples, 0)
    }
}

macro_rules! numbers {
    ($($t:ty),*) => {$(
        impl Collate for $t {
            type Batch = Tensor;

            fn collate(samples: Vec<$t>) -> Tensor {
                let n = samples.len();
                Tensor::from_vec(samples, [n])
            }
        }
    )*};
}
numbers!(f32, f64, i64, i32, u8, bool);

impl Collate for String {
    type Batch = Vec<String>;

    fn collate(samples: Vec<String>) -> Vec<String> {
        samples
    }
}

impl<S: Collate> Collate for Vec<S> {
    type Batch = Vec<S::Batch>;

    fn collate(samples: Vec<Vec<S>>) -> Vec<S::Batch> {
        let parts = samples.first().map_or(0, Vec::len);
        let mut columns: Vec<Vec<S>> = (0..parts).map(|_| Vec::with_capacity(samples.len())).collect();
        for (i, sample) in samples.into_iter().enumerate() {
            let n = sample.len();
            assert!(
                n == parts,
                "collate: sample {i} of the batch has another number of parts than the first\n  first {parts}   \
                 sample {i} {n}   rule equal numbers"
            );
            columns.iter_mut().zip(sample).for_each(|(column, part)| column.push(part));
        }
        columns.into_iter().map(S::collate).collect()
    }
}

impl<S: Collate, E: Send + 'static> Collate for Result<S, E> {
    type Batch = Result<S::Batch, E>;

    fn collate(samples: Vec<Result<S, E>>) -> Result<S::Batch, E> {
        samples.into_iter().collect::<Result<Vec<S>, E>>().map(S::collate)
    }
}

macro_rules! tuples {
    ($(($($part:ident $column:ident $at:tt),+)),*) => {$(
        impl<$($part: Collate),+> Collate for ($($part,)+) {
            type Batch = ($($part::Batch,)+);

            fn collate(samples: Vec<Self>) -> Self::Batch {
                $(let mut $column = Vec::with_capacity(samples.len());)+
                for sample in samples {
                    $($column.push(sample.$at);)+
                }
                ($($part::collate($column),)+)
            }
        }
    )*};
}
tuples!((A a 0), (A a 0, B b 1), (A a 0, B b 1, C c 2), (A a 0, B b 1, C c 2, D d 3));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_sample_has_its_batch() {
        let pairs = vec![vec![1.0f32, 2.0], vec![3.0, 4.0], vec![5.0, 6.0]];
        let columns: Vec<Vec<f32>> = Collate::collate(pairs).iter().map(|column| column.to_vec()).collect();
        assert_eq!(columns, [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]);
        let words = vec![("a".to_string(), true, 7u8), ("b".to_string(), false, 8)];
        let (words, flags, bytes) = Collate::collate(words);
        assert_eq!(
            (words, flags.to_vec::<bool>(), bytes.to_vec::<u8>()),
            (vec!["a".into(), "b".into()], vec![true, false], vec![7, 8])
        );
        assert_eq!(Collate::collate(vec![(1i32,), (2,)]).0.to_vec::<i32>(), [1, 2]);
        assert_eq!(Collate::collate(vec![Ok::<f64, String>(1.0), Ok(2.0)]).unwrap().to_vec::<f64>(), [1.0, 2.0]);
        let failed = Collate::collate(vec![Ok(1i64), Err("first"), Err("second")]);
        assert_eq!(failed.unwrap_err(), "first");
    }

    #[test]
    #[should_panic(
        expected = "collate: sample 1 of the batch has another shape than the first\n  first [1]   sample 1 [2]"
    )]
    fn tensors_of_different_shapes_are_refused() {
        Tensor::collate(vec![Tensor::from([1.0]), Tensor::from([1.0, 2.0])]);
    }

    #[test]
    #[should_panic(
        expected = "collate: sample 2 of the batch has another number of parts than the first\n  first 1   sample 2 0"
    )]
    fn lists_of_different_lengths_are_refused() {
        Collate::collate(vec![vec![1i64], vec![2], vec![]]);
    }
}
