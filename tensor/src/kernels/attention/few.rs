//! Attention of a few queries, as in decoding: limited by the memory that keys and values are read from, each once per
//! query and as they lie.

use super::operands::row;
use super::{Attend, Problem};
use crate::kernels::gemm::Matrix;
use crate::kernels::math::Math;
use crate::kernels::parallel::SharedMut;
use crate::kernels::rows::{max_of, merge, sum_of};
use crate::kernels::simd::{Simd, vectorised};
use crate::storage::Storage;

/// Up to so many queries; the tiles of more are filled well enough.
const QUERIES: usize = 4;
/// Independent partial sums of a score, and features that are added up together: whole registers of every level.
const LANES: usize = 16;
/// Keys whose scores are computed side by side.
const KEYS: usize = 4;
/// Features whose means are held in registers while the values pass: eight of AVX2, the fewest that hide the latency.
const FEATURES: usize = 64;

/// Whether this is the way for a problem: its few queries look at rows that are contiguous and not empty.
pub(super) fn suits<T: Attend>(problem: &Problem<T>) -> bool {
    problem.size.tq <= QUERIES && problem.size.d > 0 && problem.k.strides[1] == 1 && problem.v.strides[1] == 1
}

/// See [`forward`](super::forward).
pub(super) fn forward<T: Attend>(problem: &Problem<T>, out: &mut [T], log_sums: &mut [T]) {
    let size = problem.size;
    let (out, log_sums) = (SharedMut::new(out), SharedMut::new(log_sums));
    let work = |head: usize| {
        let (q, k, v) = (problem.q.of(head), problem.k.of(head), problem.v.of(head));
        let mut storage = Storage::new(T::DTYPE, size.d + size.tk);
        let (query, scores) = storage.as_slice_mut::<T>().split_at_mut(size.d);
        for i in 0..size.tq {
            query.iter_mut().enumerate().for_each(|(p, x)| *x = q.data[q.at(i, p)] * problem.scale);
            let scores = &mut scores[..problem.keys(&(i..i + 1))];
            score(query, k, scores);
            if let Some(mask) = &problem.mask {
                let mask = mask.of(head);
                scores.iter_mut().enumerate().for_each(|(j, s)| *s += mask.data[mask.at(i, j)]);
            }
            // SAFETY: each row belongs to one query of one head, and so to one task.
            let (row, log_sum) = unsafe {
                let row = out.slice(problem.row(head, i, size.tq, size.dv), size.dv);
                (row, log_sums.slice(head * size.tq + i, 1))
            };
            log_sum[0] = mean(scores, v, row);
        }
    };
    super::run(problem.heads(), problem.heads() * size.tq * size.tk * (size.d + size.dv), work);
}

vectorised! {
    /// `scores[j] = sum over p of query[p] k[j][p]`.
    fn score<S, T: Math>(query: &[T], k: Matrix<T>, scores: &mut [T]) {
        let (groups, rest) = scores.as_chunks_mut::<KEYS>();
        for (g, scores) in groups.iter_mut().enumerate() {
            *scores = dots::<S, T, KEYS>(query, &k, g * KEYS);
        }
        let done = groups.len() * KEYS;
        for (j, score) in rest.iter_mut().enumerate() {
            [*score] = dots::<S, T, 1>(query, &k, done + j);
        }
    }

    /// `row = sum over j of softmax(scores)[j] v[j]`; gives the logarithm of the sum of the scores' powers, which is
    /// infinite, with a mean of zeros, where every key is hidden.
    fn mean<S, T: Math>(scores: &mut [T], v: Matrix<T>, row: &mut [T]) -> T {
        let max = max_of(scores);
        let shift = if max == T::LOWEST { T::ZERO } else { max };
        scores.iter_mut().for_each(|s| *s = (*s - shift).exp::<S>());
        let sum = sum_of(scores, |power| power);
        let (factor, log_sum) = if sum == T::ZERO {
            (T::ZERO, T::HIGHEST)
        } else {
            (T::ONE / sum, shift + T::of(sum.to_f64().ln()))
        };
        let mut first = 0;
        while row.len() - first >= FEATURES {
            add_up::<S, T, FEATURES>(scores, &v, first, factor, &mut row[first..]);
            first += FEATURES;
        }
        while row.len() - first >= LANES {
            add_up::<S, T, LANES>(scores, &v, first, factor, &mut row[first..]);
            first += LANES;
        }
        for (p, x) in row.iter_mut().enumerate().skip(first) {
            let sum = scores.iter().enumerate().fold(T::ZERO, |sum, (j, &w)| S::mul_add(w, v.data[v.at(j, p)], sum));
            *x = sum * factor;
        }
        log_sum
    }
}

/// The scores of `N` keys from `first` on.
#[inline(always)]
fn dots<S: Simd, T: Math, const N: usize>(query: &[T], k: &Matrix<T>, first: usize) -> [T; N] {
    let keys: [&[T]; N] = std::array::from_fn(|j| row(k, first + j, query.len()));
    let (whole, rest) = query.as_chunks::<LANES>();
    let chunks = keys.map(|key| key.as_chunks::<LANES>().0);
    let mut sums = [[T::ZERO; LANES]; N];
    for (c, query) in whole.iter().enumerate() {
        for (sums, key) in sums.iter_mut().zip(&chunks) {
            for l in 0..LANES {
                sums[l] = S::mul_add(query[l], key[c][l], sums[l]);
            }
        }
    }
    let done = whole.len() * LANES;
    for (sums, key) in sums.iter_mut().zip(&keys) {
        for ((sum, &x), &y) in sums.iter_mut().zip(rest).zip(&key[done..]) {
            *sum = S::mul_add(x, y, *sum);
        }
    }
    sums.map(|sums| merge(sums, |a, b| a + b))
}

/// `row[l] = factor * sum over j of weights[j] v[j][first + l]` for `N` features.
#[inline(always)]
fn add_up<S: Simd, T: Math, const N: usize>(weights: &[T], v: &Matrix<T>, first: usize, factor: T, row: &mut [T]) {
    let mut sums = [T::ZERO; N];
    for (j, &w) in weights.iter().enumerate() {
        let value = v.data[v.at(j, first)..].first_chunk::<N>().expect("a value has all its features");
        for l in 0..N {
            sums[l] = S::mul_add(w, value[l], sums[l]);
        }
    }
    row[..N].iter_mut().zip(sums).for_each(|(x, sum)| *x = sum * factor);
}
