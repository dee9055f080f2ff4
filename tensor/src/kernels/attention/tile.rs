//! What is done to a tile between the products: one row per key, one column for each of the block's queries.

use super::{WIDEST, end_row};
use crate::kernels::math::Math;
use crate::kernels::simd::{Simd, vectorised};

/// What is known of a block of queries while its tiles pass: per query the greatest score and the sum of the powers.
pub(super) struct Running<T> {
    max: [T; WIDEST],
    sum: [T; WIDEST],
    /// By how much the last tile shrank what came before it.
    pub(super) shrink: [T; WIDEST],
}

impl<T: Math> Running<T> {
    pub(super) fn new() -> Self {
        Running { max: [T::LOWEST; WIDEST], sum: [T::ZERO; WIDEST], shrink: [T::ZERO; WIDEST] }
    }
}

/// Calls a function for the number of columns, which the loops over a row need to know when they are compiled.
macro_rules! for_width {
    ($nr:expr, $name:ident::<$($g:ty),+>($($arg:expr),+)) => {
        match $nr {
            32 => $name::<$($g,)+ 32>($($arg),+),
            16 => $name::<$($g,)+ 16>($($arg),+),
            _ => $name::<$($g,)+ 8>($($arg),+),
        }
    };
}

vectorised! {
    /// Hides keys from the queries before them: row `seen` from the first `hidden` columns, and each row after it from one
    /// column more.
    pub(super) fn hide<S, T: Math>(nr: usize, tile: &mut [T], seen: usize, hidden: usize) {
        for_width!(nr, hide_columns::<T>(tile, seen, hidden))
    }

    /// Turns a tile of scores into weights relative to the greatest score so far.
    pub(super) fn weigh<S, T: Math>(nr: usize, tile: &mut [T], running: &mut Running<T>) {
        for_width!(nr, weigh_columns::<S, T>(tile, running))
    }

    /// What each query's mean is to be multiplied by, and the logarithm of its sum of powers.
    pub(super) fn settle<S, T: Math>(running: &Running<T>) -> [[T; WIDEST]; 2] {
        let (mut factors, mut log_sums) = ([T::ZERO; WIDEST], [T::HIGHEST; WIDEST]);
        for l in 0..WIDEST {
            let sum = running.sum[l];
            let seen = sum != T::ZERO;
            factors[l] = if seen { T::ONE / sum } else { T::ZERO };
            log_sums[l] = if seen { running.max[l] + sum.log::<S>() } else { T::HIGHEST };
        }
        [factors, log_sums]
    }

    /// Multiplies each column of a tile by a factor of its own.
    pub(super) fn scale_columns<S, T: Math>(nr: usize, tile: &mut [T], factors: &[T; WIDEST]) {
        for_width!(nr, scale_columns_of::<T>(tile, factors))
    }

    /// Turns a tile of scores into weights, given the logarithm of each query's sum.
    pub(super) fn weigh_again<S, T: Math>(nr: usize, tile: &mut [T], log_sums: &[T; WIDEST]) {
        for_width!(nr, weigh_again_columns::<S, T>(tile, log_sums))
    }

    /// The same, and `ds = p * (dp - shift)` with the weights `p`, written over `dp`.
    pub(super) fn back_through<S, T: Math>(
        nr: usize,
        tile: &mut [T],
        log_sums: &[T; WIDEST],
        dp: &mut [T],
        shift: &[T; WIDEST],
    ) {
        for_width!(nr, back_through_columns::<S, T>(tile, log_sums, dp, shift))
    }
}

#[inline(always)]
fn hide_columns<T: Math, const N: usize>(tile: &mut [T], seen: usize, hidden: usize) {
    // Seen from the right place on, this says how great the score in each column may be: compared in whole vectors. A score
    // that is no number becomes an infinite one, whose weight is no number either.
    let mut limits = [T::HIGHEST; 2 * WIDEST];
    limits[..WIDEST].fill(T::LOWEST);
    for (j, row) in tile.as_chunks_mut::<N>().0.iter_mut().enumerate().skip(seen) {
        let limits: [T; N] = *limits[WIDEST - (hidden + j - seen).min(N)..].first_chunk().expect("N <= WIDEST");
        let mut scores = *row;
        for l in 0..N {
            scores[l] = if scores[l] < limits[l] { scores[l] } else { limits[l] };
        }
        *row = scores;
        end_row();
    }
}

#[inline(always)]
fn weigh_columns<S: Simd, T: Math, const N: usize>(tile: &mut [T], running: &mut Running<T>) {
    let mut max: [T; N] = running.max[..N].try_into().expect("N <= WIDEST");
    let (rows, _) = tile.as_chunks_mut::<N>();
    for row in rows.iter() {
        for (max, &s) in max.iter_mut().zip(row) {
            *max = if s > *max { s } else { *max };
        }
    }
    // Where every key is hidden so far, anything finite serves as the shift: all powers are 0.
    let shift = max.map(|max| if max == T::LOWEST { T::ZERO } else { max });
    let mut sum = [T::ZERO; N];
    for row in rows {
        for l in 0..N {
            row[l] = (row[l] - shift[l]).exp_below::<S>();
            sum[l] += row[l];
        }
    }
    for l in 0..N {
        let shrink = (running.max[l] - shift[l]).exp_below::<S>();
        running.shrink[l] = shrink;
        running.sum[l] = running.sum[l] * shrink + sum[l];
        running.max[l] = max[l];
    }
}

#[inline(always)]
fn scale_columns_of<T: Math, const N: usize>(tile: &mut [T], factors: &[T; WIDEST]) {
    let factors: [T; N] = factors[..N].try_into().expect("N <= WIDEST");
    for row in tile.as_chunks_mut::<N>().0 {
        for l in 0..N {
            row[l] = row[l] * factors[l];
        }
        end_row();
    }
}

#[inline(always)]
fn weigh_again_columns<S: Simd, T: Math, const N: usize>(tile: &mut [T], log_sums: &[T; WIDEST]) {
    let log_sums: [T; N] = log_sums[..N].try_into().expect("N <= WIDEST");
    for row in tile.as_chunks_mut::<N>().0 {
        for l in 0..N {
            row[l] = (row[l] - log_sums[l]).exp_below::<S>();
        }
        end_row();
    }
}

#[inline(always)]
fn back_through_columns<S: Simd, T: Math, const N: usize>(
    tile: &mut [T],
    log_sums: &[T; WIDEST],
    dp: &mut [T],
    shift: &[T; WIDEST],
) {
    let [log_sums, shift]: [[T; N]; 2] = [log_sums, shift].map(|x| x[..N].try_into().expect("N <= WIDEST"));
    for (p, dp) in tile.as_chunks_mut::<N>().0.iter_mut().zip(dp.as_chunks_mut::<N>().0) {
        for l in 0..N {
            p[l] = (p[l] - log_sums[l]).exp_below::<S>();
        }
        for l in 0..N {
            dp[l] = p[l] * (dp[l] - shift[l]);
        }
        end_row();
    }
}
