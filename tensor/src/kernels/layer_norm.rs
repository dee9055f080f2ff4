//! Layer normalisation, forward and backward, a row at a time; and the root-mean-square form, which is the same without
//! the means.

use crate::dtype::Float;
use crate::kernels::parallel::{self, SharedMut};
use crate::kernels::rows::{LANES, rows_per_block, sum_of, sum_of_pairs};
use crate::kernels::simd::vectorised;

/// At least so many rows share a partial sum of the gradients of weight and bias.
const ROWS: usize = 16;

vectorised! {
    /// Normalises one row; returns its mean (0 if rows are not centred) and the reciprocal of its standard deviation.
    fn forward_row<S, T: Float>(
        centred: bool,
        x: &[T],
        weight: Option<&[T]>,
        bias: Option<&[T]>,
        eps: T,
        y: &mut [T],
    ) -> (T, T) {
        let count = T::of(x.len() as f64);
        let mean = if centred { sum_of(x, |x| x) / count } else { T::ZERO };
        // The second pass takes the differences from the mean: no cancellation.
        let variance = sum_of(x, |x| (x - mean) * (x - mean)) / count;
        let rstd = T::ONE / (variance + eps).sqrt();
        for (y, &x) in y.iter_mut().zip(x) {
            *y = (x - mean) * rstd;
        }
        if let Some(weight) = weight {
            y.iter_mut().zip(weight).for_each(|(y, &w)| *y = *y * w);
        }
        if let Some(bias) = bias {
            y.iter_mut().zip(bias).for_each(|(y, &b)| *y += b);
        }
        (mean, rstd)
    }

    /// The gradient of one row's input.
    fn backward_row<S, T: Float>(
        centred: bool,
        dy: &[T],
        x: &[T],
        weight: Option<&[T]>,
        mean: T,
        rstd: T,
        dx: &mut [T],
    ) {
        let count = T::of(x.len() as f64);
        // dx serves as room for the gradient of the normalised row.
        match weight {
            Some(weight) => dx.iter_mut().zip(dy).zip(weight).for_each(|((g, &dy), &w)| *g = dy * w),
            None => dx.copy_from_slice(dy),
        }
        let mean_g = if centred { sum_of(dx, |g| g) / count } else { T::ZERO };
        let mean_gx = sum_of_pairs::<T, LANES>(dx, x, |sum, g, x| S::mul_add(g, x - mean, sum)) * rstd / count;
        for (dx, &x) in dx.iter_mut().zip(x) {
            *dx = rstd * (*dx - mean_g - (x - mean) * rstd * mean_gx);
        }
    }

    /// Adds one row's share to the gradients of weight and bias.
    fn add_row<S, T: Float>(dy: &[T], x: &[T], mean: T, rstd: T, dweight: &mut [T], dbias: &mut [T]) {
        for ((dw, &dy), &x) in dweight.iter_mut().zip(dy).zip(x) {
            *dw += dy * (x - mean) * rstd;
        }
        for (db, &dy) in dbias.iter_mut().zip(dy) {
            *db += dy;
        }
    }
}

/// Weight and bias of a layer norm, each as long as a row.
#[derive(Clone, Copy)]
pub(crate) struct Affine<'a, T> {
    pub(crate) weight: Option<&'a [T]>,
    pub(crate) bias: Option<&'a [T]>,
}

/// `x` in rows of `width` elements; per row one mean and one reciprocal standard deviation.
#[allow(clippy::too_many_arguments)]
pub(crate) fn forward<T: Float>(
    centred: bool,
    x: &[T],
    width: usize,
    affine: Affine<T>,
    eps: f64,
    y: &mut [T],
    mean: &mut [T],
    rstd: &mut [T],
) {
    let (mean, rstd) = (SharedMut::new(mean), SharedMut::new(rstd));
    let rows = rows_per_block(width);
    parallel::for_each_chunk(y, rows * width, |i, y| {
        let (first, count) = (i * rows, y.len() / width);
        // SAFETY: blocks of rows do not overlap.
        let (mean, rstd) = unsafe { (mean.slice(first, count), rstd.slice(first, count)) };
        for (r, y) in y.chunks_mut(width).enumerate() {
            let x = &x[(first + r) * width..][..width];
            (mean[r], rstd[r]) = forward_row(centred, x, affine.weight, affine.bias, T::of(eps), y);
        }
    });
}

/// What the backward pass reads.
#[derive(Clone, Copy)]
pub(crate) struct Saved<'a, T> {
    /// Whether the rows' means were taken off.
    pub(crate) centred: bool,
    pub(crate) dy: &'a [T],
    pub(crate) x: &'a [T],
    pub(crate) weight: Option<&'a [T]>,
    pub(crate) mean: &'a [T],
    pub(crate) rstd: &'a [T],
}

/// The gradients of input, weight and bias, of those that are wanted, in one pass over the rows. Those of weight and bias
/// are added up in blocks of rows, the blocks in order and in double precision.
pub(crate) fn backward<T: Float>(s: Saved<T>, width: usize, [dx, dweight, dbias]: [Option<&mut [T]>; 3]) {
    let total = s.mean.len();
    let (sums, least) = if dweight.is_some() || dbias.is_some() { (2 * width, ROWS) } else { (0, 1) };
    let rows = rows_per_block(width).max(least);
    let mut partial = vec![T::ZERO; total.div_ceil(rows) * sums];
    let (dx, shared) = (dx.map(SharedMut::new), SharedMut::new(&mut partial));
    parallel::for_each_block(total.div_ceil(rows), |block| {
        // SAFETY: the sums of a block belong to it alone.
        let (dw, db) = unsafe { shared.slice(block * sums, sums) }.split_at_mut(sums / 2);
        for row in block * rows..((block + 1) * rows).min(total) {
            let at = row * width..(row + 1) * width;
            let (dy, x, mean, rstd) = (&s.dy[at.clone()], &s.x[at.clone()], s.mean[row], s.rstd[row]);
            if let Some(dx) = &dx {
                // SAFETY: each row belongs to one block.
                backward_row(s.centred, dy, x, s.weight, mean, rstd, unsafe { dx.slice(at.start, width) });
            }
            if sums > 0 {
                add_row(dy, x, mean, rstd, dw, db);
            }
        }
    });
    for (first, out) in [(0, dweight), (width, dbias)] {
        let Some(out) = out else { continue };
        let mut total = vec![0.0; width];
        for sums in partial.chunks((2 * width).max(1)) {
            total.iter_mut().zip(&sums[first..]).for_each(|(total, sum)| *total += sum.to_f64());
        }
        out.iter_mut().zip(total).for_each(|(out, total)| *out = T::of(total));
    }
}
