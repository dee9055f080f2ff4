//! Sequences of different lengths in one batch: padded, and packed without the padding.

use std::borrow::Borrow;

use autograd::Var;
use tensor::{Padding, Tensor};

/// A batch of sequences without padding: the rows of all that have a first step, then of all that have a second one, and
/// so on, the longest sequence first. Made by [`pack_padded_sequence`].
#[derive(Debug, Clone)]
pub struct PackedSequence {
    data: Var,
    batch_sizes: Vec<usize>,
    /// Where each sequence of the sorted batch stood, and where each one stands in it; `None` when it was sorted before.
    order: Option<(Tensor, Tensor)>,
}

impl PackedSequence {
    /// `[sum of all lengths, ..]`.
    pub fn data(&self) -> &Var {
        &self.data
    }

    /// How many sequences have each step.
    pub fn batch_sizes(&self) -> &[usize] {
        &self.batch_sizes
    }

    /// For each sequence of the sorted batch, its place in the batch as it was given.
    pub fn sorted_indices(&self) -> Option<&Tensor> {
        self.order.as_ref().map(|(sorted, _)| sorted)
    }

    /// For each sequence of the batch as it was given, its place in the sorted one.
    pub fn unsorted_indices(&self) -> Option<&Tensor> {
        self.order.as_ref().map(|(_, unsorted)| unsorted)
    }

    /// The same sequences with other data for each step.
    ///
    /// # Panics
    /// When the data has not one row for each step of each sequence.
    #[track_caller]
    pub fn with_data(&self, data: Var) -> PackedSequence {
        let rows: usize = self.batch_sizes.iter().sum();
        let fits = data.shape().first() == Some(&rows);
        assert!(
            fits,
            "PackedSequence: the data has another number of rows\n  data {}   rule [{rows}, ..]",
            data.shape()
        );
        PackedSequence { data, batch_sizes: self.batch_sizes.clone(), order: self.order.clone() }
    }

    /// The lengths of the sequences, in the order of the batch as it was given.
    pub fn lengths(&self) -> Vec<usize> {
        let batch = self.batch_sizes[0];
        let sorted = (0..batch).map(|i| self.batch_sizes.iter().filter(|&&size| size > i).count());
        let sorted: Vec<usize> = sorted.collect();
        self.places().iter().map(|&place| sorted[place]).collect()
    }

    /// For each sequence of the batch as it was given, its place in the sorted one.
    fn places(&self) -> Vec<usize> {
        match self.unsorted_indices() {
            Some(unsorted) => unsorted.to_vec::<i64>().into_iter().map(|place| place as usize).collect(),
            None => (0..self.batch_sizes[0]).collect(),
        }
    }
}

/// Packs a padded batch: keeps the first `lengths[i]` steps of sequence `i`.
///
/// With `enforce_sorted` (PyTorch's default) the lengths must descend; otherwise the batch is sorted here, and recurrent
/// layers and [`pad_packed_sequence`] put it back in order.
///
/// # Shape
/// `[t, b, ..]`, or `[b, t, ..]` with `batch_first`.
///
/// # Gradient
/// Each step gets that of its row; the padding gets zeros.
///
/// # Panics
/// When there is no sequence, or not one length for each, one is 0 or longer than the batch, or they do not descend where
/// they must.
///
/// ```
/// use nn::prelude::*;
/// use nn::utils::rnn::{pack_padded_sequence, pad_packed_sequence};
///
/// let x = Var::new(Tensor::ones([2, 5, 3], DType::F32));
/// let packed = pack_padded_sequence(&x, &[4, 2], true, true);
/// assert_eq!((packed.data().shape().to_vec(), packed.batch_sizes()), (vec![6, 3], &[2, 2, 1, 1][..]));
/// let lstm = LSTM::new(3, 8);
/// let (output, (h, _)) = lstm.forward_packed(&packed, None);
/// let (padded, lengths) = pad_packed_sequence(&output, true, 0.0, None);
/// assert_eq!((padded.shape().to_vec(), lengths), (vec![2, 4, 8], vec![4, 2]));
/// // The last state is that after each sequence's own last step.
/// assert!(h.value().i((0, 1)).bit_eq(&padded.value().i((1, 1))));
/// ```
#[track_caller]
pub fn pack_padded_sequence(input: &Var, lengths: &[usize], batch_first: bool, enforce_sorted: bool) -> PackedSequence {
    let name = "pack_padded_sequence";
    assert!(
        input.ndim() >= 2,
        "{name}: the input has fewer than two dimensions\n  input {}   rule [t, b, ..]",
        input.shape()
    );
    let x = if batch_first { input.transpose(0, 1) } else { input.clone() };
    let (t, b) = (x.dim(0), x.dim(1));
    let (given, input) = (lengths.len(), input.shape());
    assert!(b > 0, "{name}: there is no sequence\n  input {input}");
    assert!(given == b, "{name}: there are {given} lengths for {b} sequences\n  input {input}");
    let (shortest, longest) = (lengths.iter().min().copied().unwrap_or(0), lengths.iter().max().copied().unwrap_or(0));
    assert!(shortest > 0, "{name}: a length is 0, must be at least 1\n  lengths {lengths:?}");
    assert!(longest <= t, "{name}: a length is beyond the {t} steps\n  lengths {lengths:?}   input {input}");
    let sorted_before = lengths.windows(2).all(|pair| pair[0] >= pair[1]);
    assert!(
        sorted_before || !enforce_sorted,
        "{name}: the lengths do not descend; sort the batch, or pass enforce_sorted = false\n  lengths {lengths:?}"
    );

    let mut places: Vec<usize> = (0..b).collect();
    places.sort_by_key(|&place| std::cmp::Reverse(lengths[place]));
    let batch_sizes: Vec<usize> =
        (0..longest).map(|step| lengths.iter().filter(|&&length| length > step).count()).collect();
    let rows = batch_sizes
        .iter()
        .enumerate()
        .flat_map(|(step, &size)| places[..size].iter().map(move |place| step * b + place));
    let rows: Vec<i64> = rows.map(|row| row as i64).collect();
    let count = rows.len();
    let data = x.flatten(0, 1).index_select(0, &Tensor::from_vec(rows, [count]));
    // As PyTorch: the order is kept whenever it was left open, even if it turns out to be the given one.
    let order = (!enforce_sorted).then(|| {
        let mut back = vec![0i64; b];
        places.iter().enumerate().for_each(|(sorted, &place)| back[place] = sorted as i64);
        let sorted = places.iter().map(|&place| place as i64).collect();
        (Tensor::from_vec(sorted, [b]), Tensor::from_vec(back, [b]))
    });
    PackedSequence { data, batch_sizes, order }
}

/// A packed batch as a padded one, in the order in which it was given, and the lengths of its sequences: the inverse of
/// [`pack_padded_sequence`].
///
/// The result has `total_length` steps, by default as many as the longest sequence.
///
/// # Shape
/// `[t, b, ..]`, or `[b, t, ..]` with `batch_first`.
///
/// # Panics
/// When `total_length` is below the longest length.
#[track_caller]
pub fn pad_packed_sequence(
    sequence: &PackedSequence,
    batch_first: bool,
    padding_value: f64,
    total_length: Option<usize>,
) -> (Var, Vec<usize>) {
    let (longest, b) = (sequence.batch_sizes.len(), sequence.batch_sizes[0]);
    let t = total_length.unwrap_or(longest);
    assert!(t >= longest, "pad_packed_sequence: total_length is {t}, below the longest sequence's {longest}");
    let (places, lengths) = (sequence.places(), sequence.lengths());
    let data = &sequence.data;
    let (count, mut shape) = (data.dim(0), data.shape().to_vec());
    // One more row, of padding, which stands wherever a sequence has ended.
    shape[0] = 1;
    let padding = Var::new(Tensor::full(shape.clone(), padding_value, data.dtype()));
    let mut first = 0;
    let mut rows = Vec::with_capacity(t * b);
    for step in 0..t {
        rows.extend((0..b).map(|i| if step < lengths[i] { (first + places[i]) as i64 } else { count as i64 }));
        first += sequence.batch_sizes.get(step).copied().unwrap_or(0);
    }
    let padded = Var::cat(&[data, &padding], 0).index_select(0, &Tensor::from_vec(rows, [t * b]));
    shape.splice(0..1, [t, b]);
    let padded = padded.reshape(shape);
    (if batch_first { padded.transpose(0, 1) } else { padded }, lengths)
}

/// Sequences of different lengths in one batch, the shorter ones padded at the end.
///
/// # Shape
/// Each `[length, ..] -> [t, b, ..]` with the longest length `t`, or `[b, t, ..]` with `batch_first`.
///
/// # Panics
/// When there is no sequence, one has no dimension, or they differ in more than their lengths.
///
/// ```
/// use nn::prelude::*;
/// use nn::utils::rnn::pad_sequence;
///
/// let [a, b] = [3, 1].map(|length| Var::new(Tensor::ones([length], DType::F32)));
/// assert_eq!(pad_sequence(&[a, b], true, 0.0).to_vec::<f32>(), [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
/// ```
#[track_caller]
pub fn pad_sequence<V: Borrow<Var>>(sequences: &[V], batch_first: bool, padding_value: f64) -> Var {
    let shapes: Vec<Vec<usize>> = sequences.iter().map(|sequence| sequence.borrow().shape().to_vec()).collect();
    assert!(!shapes.is_empty(), "pad_sequence: there is no sequence");
    let alike = shapes.iter().all(|shape| !shape.is_empty() && shape[1..] == shapes[0][1..]);
    assert!(
        alike,
        "pad_sequence: the sequences differ in more than their lengths\n  sequences {shapes:?}   rule [length, ..]"
    );
    let t = shapes.iter().map(|shape| shape[0]).max().unwrap_or(0);
    let padded = sequences.iter().zip(&shapes).map(|(sequence, shape)| {
        // The last dimension comes first in the list of paddings.
        let mut pad = vec![0; 2 * shape.len()];
        pad[2 * shape.len() - 1] = (t - shape[0]) as isize;
        sequence.borrow().pad(&pad, Padding::Constant(padding_value))
    });
    let padded: Vec<Var> = padded.collect();
    Var::stack(&padded, if batch_first { 0 } else { 1 })
}

/// [`pad_sequence`] and [`pack_padded_sequence`] in one.
///
/// # Panics
/// As those.
#[track_caller]
pub fn pack_sequence<V: Borrow<Var>>(sequences: &[V], enforce_sorted: bool) -> PackedSequence {
    // First, for it refuses sequences that have no length.
    let padded = pad_sequence(sequences, false, 0.0);
    let lengths: Vec<usize> = sequences.iter().map(|sequence| sequence.borrow().dim(0)).collect();
    pack_padded_sequence(&padded, &lengths, false, enforce_sorted)
}
