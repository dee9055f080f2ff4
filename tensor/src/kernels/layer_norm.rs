//! Layer normalisation, forward and backward, a row at a time; and the root-mean-square form, which is the same without
//! the means.

use std::borrow::Cow;

use crate::dtype::Float;
use crate::kernels::parallel::{self, SharedMut};
use crate::kernels::rows::{LANES, ahead_of, ask, merge, rows_per_block, sum_of, sum_of_while};
use crate::kernels::simd::vectorised;
use crate::storage::Storage;

/// So many rows at least share a partial sum of the gradients of weight and bias: partial sums of few rows are another
/// array to write and to read.
const LEAST: usize = 16;
/// So many rows at most are added up in their own precision.
const MOST: usize = 64;
/// About so many partial sums there are.
const PARTS: usize = 64;

vectorised! {
    /// Normalises rows, given weight and bias; `mean` (0 if rows are not centred) and `rstd`, the reciprocal of the standard
    /// deviation, have one element for each.
    fn forward_rows<S, T: Float>(
        centred: bool,
        x: &[T],
        affine: (&[T], Option<&[T]>),
        eps: T,
        y: &mut [T],
        mean: &mut [T],
        rstd: &mut [T],
    ) {
        let (weight, bias) = affine;
        let (width, rows) = (weight.len(), mean.len());
        let count = T::of(width as f64);
        let row = |r: usize| &x[r * width..][..width];
        // The second visit takes the differences from the mean: no cancellation.
        let square = |mean: T| move |x: T| (x - mean) * (x - mean);
        // What the first visit adds up; without means it is the second one.
        let first = |x: T| if centred { x } else { x * x };
        let mut sum = sum_of(row(0), first);
        for (r, y) in y.chunks_exact_mut(width).enumerate() {
            let (x, ahead) = (row(r), ahead_of(r, rows, width));
            let squares = if centred {
                mean[r] = sum / count;
                sum_of_while(x, square(mean[r]), |c| {
                    ask(x, ahead, c);
                    ask(y, 0, c);
                })
            } else {
                mean[r] = T::ZERO;
                sum
            };
            rstd[r] = T::ONE / (squares / count + eps).sqrt();
            // The last visit to a row is the first to the next: memory is read and written all the time. Where it is the only
            // one, it asks for what comes after both.
            let (next, moments) = (row((r + 1).min(rows - 1)), (mean[r], rstd[r]));
            let after = if centred { 0 } else { ahead };
            sum = match bias {
                Some(bias) => last_visit(x, moments, [weight, bias], |x, b| x + b, y, (next, after), first),
                None => last_visit(x, moments, [weight, weight], |x, _| x, y, (next, after), first),
            };
        }
    }

    /// The means over one row of `g = dy w` and of `g` times the normalised row. The row's share is added to the gradients of
    /// weight and bias, unless those are empty. The next rows of `dy` and `x` are asked for.
    fn first_visit<S, T: Float>(
        dy: &[T],
        x: &[T],
        weight: &[T],
        moments: (T, T),
        dweight: &mut [T],
        dbias: &mut [T],
        ahead: usize,
    ) -> [T; 2] {
        let (mean, rstd) = moments;
        let count = T::of(x.len() as f64);
        let (mut sum_g, mut sum_gx) = ([T::ZERO; LANES], [T::ZERO; LANES]);
        let add = |sum_g: &mut T, sum_gx: &mut T, (dy, x, w): (T, T, T)| {
            *sum_g += dy * w;
            *sum_gx = S::mul_add(dy * w, x - mean, *sum_gx);
        };
        let add_share = |dw: &mut T, db: &mut T, dy: T, x: T| {
            *dw += dy * (x - mean) * rstd;
            *db += dy;
        };
        let ((dys, dy), (xs, x), (ws, w)) = (dy.as_chunks::<LANES>(), x.as_chunks::<LANES>(), weight.as_chunks::<LANES>());
        let ((dws, dw), (dbs, db)) = (dweight.as_chunks_mut::<LANES>(), dbias.as_chunks_mut::<LANES>());
        let mut shares = dws.iter_mut().zip(dbs);
        for ((dy, x), w) in dys.iter().zip(xs).zip(ws) {
            ask(dy, ahead, 0);
            ask(x, ahead, 0);
            for l in 0..LANES {
                add(&mut sum_g[l], &mut sum_gx[l], (dy[l], x[l], w[l]));
            }
            if let Some((dw, db)) = shares.next() {
                for l in 0..LANES {
                    add_share(&mut dw[l], &mut db[l], dy[l], x[l]);
                }
            }
        }
        for l in 0..dy.len() {
            add(&mut sum_g[l], &mut sum_gx[l], (dy[l], x[l], w[l]));
        }
        for (l, (dw, db)) in dw.iter_mut().zip(db).enumerate() {
            add_share(dw, db, dy[l], x[l]);
        }
        let plus = |a, b| a + b;
        [merge(sum_g, plus) / count, merge(sum_gx, plus) * rstd / count]
    }

    /// The gradient of one row's input, from the means of the [first visit](first_visit). The next one is asked for.
    fn backward_row<S, T: Float>(
        dy: &[T],
        x: &[T],
        weight: &[T],
        moments: (T, T),
        means: [T; 2],
        dx: &mut [T],
        ahead: usize,
    ) {
        let ((mean, rstd), [mean_g, mean_gx]) = (moments, means);
        let of = |(dy, x, w): (T, T, T)| rstd * (dy * w - mean_g - (x - mean) * rstd * mean_gx);
        let ((dys, dy), (xs, x), (ws, w), (dxs, dx)) =
            (dy.as_chunks::<LANES>(), x.as_chunks::<LANES>(), weight.as_chunks::<LANES>(), dx.as_chunks_mut::<LANES>());
        for (((dx, dy), x), w) in dxs.iter_mut().zip(dys).zip(xs).zip(ws) {
            ask(dx, ahead, 0);
            for l in 0..LANES {
                dx[l] = of((dy[l], x[l], w[l]));
            }
        }
        for (l, dx) in dx.iter_mut().enumerate() {
            *dx = of((dy[l], x[l], w[l]));
        }
    }
}

/// `y = shift((x - mean) rstd weight, bias)`, and meanwhile the sum of `f` over the row `next`. What lies `after` elements beyond
/// `y` and `next` is asked for.
#[inline(always)]
fn last_visit<T: Float>(
    x: &[T],
    (mean, rstd): (T, T),
    [weight, bias]: [&[T]; 2],
    shift: impl Fn(T, T) -> T,
    y: &mut [T],
    (next, after): (&[T], usize),
    f: impl Fn(T) -> T,
) -> T {
    let mut sums = [T::ZERO; LANES];
    let [(xs, x), (ws, w), (bs, b), (nexts, next)] = [x, weight, bias, next].map(|row| row.as_chunks::<LANES>());
    let (ys, y) = y.as_chunks_mut::<LANES>();
    let of = |x: T, w: T, b: T| shift((x - mean) * rstd * w, b);
    for ((((y, x), w), b), next) in ys.iter_mut().zip(xs).zip(ws).zip(bs).zip(nexts) {
        ask(next, after, 0);
        ask(y, after, 0);
        for l in 0..LANES {
            y[l] = of(x[l], w[l], b[l]);
            sums[l] += f(next[l]);
        }
    }
    for (l, y) in y.iter_mut().enumerate() {
        *y = of(x[l], w[l], b[l]);
        sums[l] += f(next[l]);
    }
    merge(sums, |a, b| a + b)
}

/// Weight and bias of a layer norm, each as long as a row.
#[derive(Clone, Copy)]
pub(crate) struct Affine<'a, T> {
    pub(crate) weight: Option<&'a [T]>,
    pub(crate) bias: Option<&'a [T]>,
}

/// The weight; ones if there is none: to multiply by 1 changes nothing, and costs less than another loop.
fn weight_or_ones<T: Float>(weight: Option<&[T]>, width: usize) -> Cow<'_, [T]> {
    weight.map_or_else(|| vec![T::ONE; width].into(), Cow::from)
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
    let (rows, weight) = (rows_per_block(width), weight_or_ones(affine.weight, width));
    parallel::for_each_chunk(y, rows * width, |i, y| {
        let (first, count) = (i * rows, y.len() / width);
        // SAFETY: blocks of rows do not overlap.
        let (mean, rstd) = unsafe { (mean.slice(first, count), rstd.slice(first, count)) };
        let x = &x[first * width..][..y.len()];
        forward_rows(centred, x, (&weight, affine.bias), T::of(eps), y, mean, rstd);
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
/// are added up in blocks of rows, in double precision beyond a few of them, and the blocks in order.
pub(crate) fn backward<T: Float>(s: Saved<T>, width: usize, [dx, dweight, dbias]: [Option<&mut [T]>; 3]) {
    let total = s.mean.len();
    let (sums, least) = match (&dweight, &dbias) {
        (None, None) => (0, 1),
        _ => (2 * width, (total / PARTS).max(LEAST)),
    };
    let rows = rows_per_block(width).max(least);
    let mut partial = vec![0.0; total.div_ceil(rows) * sums];
    let (dx, shared) = (dx.map(SharedMut::new), SharedMut::new(&mut partial));
    let weight = weight_or_ones(s.weight, width);
    parallel::for_each_block_with(
        total.div_ceil(rows),
        || {
            let mut few = Storage::new(T::DTYPE, sums);
            few.as_slice_mut().fill(T::ZERO);
            few
        },
        |few, block| {
            let few = few.as_slice_mut::<T>();
            // SAFETY: the sums of a block belong to it alone.
            let many = unsafe { shared.slice(block * sums, sums) };
            let (first, count) = (block * rows, rows.min(total - block * rows));
            let of = |r: usize| {
                let (row, at) = (first + r, (first + r) * width);
                (&s.dy[at..][..width], &s.x[at..][..width], (s.mean[row], s.rstd[row]))
            };
            let mut visit = |r: usize| {
                let ((dy, x, moments), (dw, db)) = (of(r), few.split_at_mut(sums / 2));
                let [mean_g, mean_gx] = first_visit(dy, x, &weight, moments, dw, db, ahead_of(r, count, width));
                if (r + 1).is_multiple_of(MOST) || r + 1 == count {
                    for (many, few) in many.iter_mut().zip(few.iter_mut()) {
                        *many += few.to_f64();
                        *few = T::ZERO;
                    }
                }
                [if s.centred { mean_g } else { T::ZERO }, mean_gx]
            };
            for r in 0..count {
                let means = visit(r);
                if let Some(dx) = &dx {
                    let (dy, x, moments) = of(r);
                    // SAFETY: each row belongs to one block.
                    let dx = unsafe { dx.slice((first + r) * width, width) };
                    backward_row(dy, x, &weight, moments, means, dx, ahead_of(r, count, width));
                }
            }
        },
    );
    for (first, out) in [(0, dweight), (width, dbias)] {
        let Some(out) = out else { continue };
        let mut total = vec![0.0; width];
        for sums in partial.chunks((2 * width).max(1)) {
            total.iter_mut().zip(&sums[first..]).for_each(|(total, sum)| *total += sum);
        }
        out.iter_mut().zip(total).for_each(|(out, total)| *out = T::of(total));
    }
}
