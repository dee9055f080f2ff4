//! Reductions: sums, products, extrema over some of the dimensions.
//!
//! Elements are folded in short blocks with many independent lanes (so that the loop vectorises and errors stay small),
//! blocks into a wider accumulator, and long reductions are cut into segments, by their shape alone, whose results are
//! merged in order. Nothing here depends on the number of threads.

use crate::dtype::{Float, Number};
use crate::kernels::map::{PIECE, Piece};
use crate::kernels::parallel::{self, GRAIN, SharedMut};
use crate::kernels::rows::{Aligned, LANES, ahead_by, ask, merge};
use crate::kernels::simd::{Simd, vectorised};
use crate::kernels::walk::Walk;
use crate::layout::Layout;
use crate::tensor::View;
use crate::{Element, Shape};

/// A reduction: elements enter lanes, lanes enter an accumulator, the accumulator gives the result.
pub(crate) trait Reduce<T>: Copy + Send + Sync {
    type Lane: Copy + Send + Sync;
    type Acc: Copy + Send + Sync;
    type Out: Element;
    fn lane(self) -> Self::Lane;
    fn step<S: Simd>(self, lane: Self::Lane, x: T) -> Self::Lane;
    fn start(self) -> Self::Acc;
    fn take(self, acc: Self::Acc, lane: Self::Lane) -> Self::Acc;
    fn merge(self, a: Self::Acc, b: Self::Acc) -> Self::Acc;
    fn finish(self, acc: Self::Acc) -> Self::Out;
}

/// Sums of floats: lanes in their own type, blocks in double precision.
macro_rules! float_sum {
    ($(#[$doc:meta])* $name:ident, $out:ident, |$lane:ident, $x:ident| $step:expr, |$acc:ident| $finish:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name;
        impl<T: Float> Reduce<T> for $name {
            type Lane = T;
            type Acc = f64;
            type Out = $out;
            #[inline(always)]
            fn lane(self) -> T {
                T::ZERO
            }
            #[inline(always)]
            fn step<S: Simd>(self, $lane: T, $x: T) -> T {
                $step
            }
            #[inline(always)]
            fn start(self) -> f64 {
                0.0
            }
            #[inline(always)]
            fn take(self, acc: f64, lane: T) -> f64 {
                acc + lane.to_f64()
            }
            #[inline(always)]
            fn merge(self, a: f64, b: f64) -> f64 {
                a + b
            }
            #[inline(always)]
            fn finish(self, $acc: f64) -> $out {
                $finish
            }
        }
    };
}
float_sum!(
    /// The sum of floats, accumulated in double precision beyond a block.
    Sum, T, |lane, x| lane + x, |acc| T::of(acc)
);
float_sum!(
    /// The sum of squares of floats, accumulated in double precision beyond a block.
    SumOfSquares, f64, |lane, x| S::mul_add(x, x, lane), |acc| acc
);

/// The sum of `f(x)` in double precision, for functions that leave the range of single precision.
#[derive(Clone, Copy)]
pub(crate) struct PowerSum<F>(pub(crate) F);
impl<T: Float, F: Fn(f64) -> f64 + Copy + Send + Sync> Reduce<T> for PowerSum<F> {
    type Lane = f64;
    type Acc = f64;
    type Out = f64;
    #[inline(always)]
    fn lane(self) -> f64 {
        0.0
    }
    #[inline(always)]
    fn step<S: Simd>(self, lane: f64, x: T) -> f64 {
        lane + (self.0)(x.to_f64())
    }
    #[inline(always)]
    fn start(self) -> f64 {
        0.0
    }
    #[inline(always)]
    fn take(self, acc: f64, lane: f64) -> f64 {
        acc + lane
    }
    #[inline(always)]
    fn merge(self, a: f64, b: f64) -> f64 {
        a + b
    }
    #[inline(always)]
    fn finish(self, acc: f64) -> f64 {
        acc
    }
}

/// The sum of the squared distances from the mean, in double precision: numbers come in by Welford's update, and parts are
/// merged with what their means differ by.
#[derive(Clone, Copy)]
pub(crate) struct SquaredDeviations;
impl<T: Float> Reduce<T> for SquaredDeviations {
    /// Count, mean, and the sum of squares.
    type Lane = (f64, f64, f64);
    type Acc = (f64, f64, f64);
    type Out = f64;
    #[inline(always)]
    fn lane(self) -> Self::Lane {
        (0.0, 0.0, 0.0)
    }
    #[inline(always)]
    fn step<S: Simd>(self, (n, mean, squares): Self::Lane, x: T) -> Self::Lane {
        let (n, x) = (n + 1.0, x.to_f64());
        let distance = x - mean;
        let mean = mean + distance / n;
        (n, mean, squares + distance * (x - mean))
    }
    #[inline(always)]
    fn start(self) -> Self::Acc {
        (0.0, 0.0, 0.0)
    }
    #[inline(always)]
    fn take(self, acc: Self::Acc, lane: Self::Lane) -> Self::Acc {
        Reduce::<T>::merge(self, acc, lane)
    }
    #[inline(always)]
    fn merge(self, a: Self::Acc, b: Self::Acc) -> Self::Acc {
        if a.0 == 0.0 || b.0 == 0.0 {
            return if a.0 == 0.0 { b } else { a };
        }
        let (n, apart) = (a.0 + b.0, b.1 - a.1);
        (n, a.1 + apart * (b.0 / n), a.2 + b.2 + apart * apart * (a.0 * b.0 / n))
    }
    #[inline(always)]
    fn finish(self, (_, _, squares): Self::Acc) -> f64 {
        squares
    }
}

/// Reductions whose lane, accumulator and result are one type.
macro_rules! simple {
    ($(#[$doc:meta])* $name:ident, $bound:ident, $t:ident, $out:ty, $start:expr, |$a:ident, $x:ident| $body:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name;
        impl<$t: $bound> Reduce<$t> for $name {
            type Lane = $out;
            type Acc = $out;
            type Out = $out;
            #[inline(always)]
            fn lane(self) -> $out {
                $start
            }
            #[inline(always)]
            fn step<S: Simd>(self, $a: $out, x: $t) -> $out {
                let $x: $out = x.cast();
                $body
            }
            #[inline(always)]
            fn start(self) -> $out {
                $start
            }
            #[inline(always)]
            fn take(self, $a: $out, $x: $out) -> $out {
                $body
            }
            #[inline(always)]
            fn merge(self, $a: $out, $x: $out) -> $out {
                $body
            }
            #[inline(always)]
            fn finish(self, acc: $out) -> $out {
                acc
            }
        }
    };
}
simple!(
    /// The sum of integers.
    SumInteger, Number, T, i64, 0, |a, x| a.wrapping_add(x)
);
simple!(
    /// The product.
    Prod, Number, T, T, T::ONE, |a, x| a.times(x)
);
simple!(
    /// The greatest element; NaN if there is one.
    Max, Number, T, T, T::LOWEST, |a, x| if x > a || x.is_nan() { x } else { a }
);
simple!(
    /// The least element; NaN if there is one.
    Min, Number, T, T, T::HIGHEST, |a, x| if x < a || x.is_nan() { x } else { a }
);
simple!(
    /// Whether any element is not zero.
    Any, Element, T, bool, false, |a, x| a | x
);
simple!(
    /// Whether all elements are not zero.
    All, Element, T, bool, true, |a, x| a & x
);

/// Elements folded before the lanes are emptied into the accumulator.
const BLOCK: usize = 1024;
/// A longer reduction is cut into segments of so many elements, which may run in parallel.
const SEGMENT: usize = 64 * 1024;
/// Columns folded side by side: whole rows of many a model, so that memory is read in one stream, and few enough for the
/// first-level cache.
const COLUMNS: usize = 1024;
/// Columns of a block of a matrix that is cut by columns, not by rows.
const STRIP: usize = 256;
/// About so many elements ahead, in whole rows, memory is asked for where rows are folded.
const AHEAD: usize = 1536;
/// No more segments of columns than about so many: what each gives is another array to write and to read.
const SEGMENTS: usize = 128;
/// Rows folded into column lanes before these are emptied into the accumulators.
const ROWS: usize = 64;

vectorised! {
    /// Folds a contiguous run into `acc`.
    fn fold_run<S, T: Element, R: Reduce<T>>(r: R, acc: R::Acc, x: &[T]) -> R::Acc {
        let mut acc = acc;
        for block in x.chunks(BLOCK) {
            if block.len() < LANES {
                // Too short for lanes: one lane in order.
                acc = r.take(acc, block.iter().fold(r.lane(), |lane, &x| r.step::<S>(lane, x)));
                continue;
            }
            let mut lanes = [r.lane(); LANES];
            let (whole, rest) = block.as_chunks::<LANES>();
            for x in whole {
                for (lane, &x) in lanes.iter_mut().zip(x) {
                    *lane = r.step::<S>(*lane, x);
                }
            }
            for (lane, &x) in lanes.iter_mut().zip(rest) {
                *lane = r.step::<S>(*lane, x);
            }
            // In pairs: one after the other they would take longer than the block.
            let mut accs = [r.start(); LANES];
            for (acc, &lane) in accs.iter_mut().zip(&lanes) {
                *acc = r.take(*acc, lane);
            }
            acc = r.merge(acc, merge(accs, |a, b| r.merge(a, b)));
        }
        acc
    }

    /// Folds a row of elements into one lane per column. The row that lies `ahead` of it is [asked for](ask).
    fn fold_row<S, T: Element, R: Reduce<T>>(r: R, lanes: &mut [R::Lane], x: &[T], ahead: usize) {
        let ((xs, x_rest), (chunks, rest)) = (x.as_chunks::<LANES>(), lanes.as_chunks_mut::<LANES>());
        for (c, (lanes, xs)) in chunks.iter_mut().zip(xs).enumerate() {
            ask(x, ahead, c);
            for l in 0..LANES {
                lanes[l] = r.step::<S>(lanes[l], xs[l]);
            }
        }
        for (lane, &x) in rest.iter_mut().zip(x_rest) {
            *lane = r.step::<S>(*lane, x);
        }
    }
}

/// Reduces dimensions `dims` of `x`; `out` has the remaining ones in row-major order.
pub(crate) fn reduce<T: Element, R: Reduce<T>>(r: R, x: View<T>, dims: &[usize], out: &mut [R::Out]) {
    let pick = |reduced: bool| -> Layout {
        let kept = (0..x.layout.shape.len()).filter(|d| dims.contains(d) == reduced);
        let order: Vec<usize> = kept.collect();
        Layout { offset: if reduced { 0 } else { x.layout.offset }, ..x.layout.permute(&order) }
    };
    let (kept, over) = (pick(false), pick(true));
    let (outputs, inputs) = (Walk::new([&kept]), Walk::new([&over]));
    let (columns, [column_step]) = outputs.inner();
    let (_, [row_step]) = inputs.inner();
    if column_step == 1 && columns > 1 && row_step != 1 && inputs.total() > 1 {
        reduce_columns(r, x.data, &outputs, &inputs, out);
    } else {
        reduce_rows(r, x.data, &outputs, &inputs, out);
    }
}

/// Each output folds a stretch of its own, contiguous at best.
fn reduce_rows<T: Element, R: Reduce<T>>(r: R, x: &[T], outputs: &Walk<1>, inputs: &Walk<1>, out: &mut [R::Out]) {
    let n = inputs.total();
    let (_, [step]) = inputs.inner();
    // Offsets of `inputs` are relative to an output's first element and may be negative: they wrap, and wrap back here.
    let fold = |base: usize, range: std::ops::Range<usize>| {
        let mut acc = r.start();
        let mut piece = Piece::new();
        inputs.for_runs(range, |_, [at], len| {
            let size = piece.len_for(step, len);
            for done in (0..len).step_by(size) {
                let run = piece.load(x, base.wrapping_add(at), step, done, size.min(len - done));
                acc = fold_run(r, acc, run);
            }
        });
        acc
    };
    let base_of = |o: usize| {
        let mut base = 0;
        outputs.for_runs(o..o + 1, |_, [at], _| base = at);
        base
    };
    let segments = n.div_ceil(SEGMENT).max(1);
    if segments == 1 {
        let (_, [out_step]) = outputs.inner();
        let chunk = (GRAIN / n.max(1)).max(1);
        parallel::for_each_chunk(out, chunk, |i, out| {
            let first = i * chunk;
            outputs.for_runs(first..first + out.len(), |position, [at], len| {
                for j in 0..len {
                    let base = (at as isize + j as isize * out_step) as usize;
                    out[position - first + j] = r.finish(fold(base, 0..n));
                }
            });
        });
        return;
    }
    let mut partial = vec![r.start(); out.len() * segments];
    parallel::for_each_chunk(&mut partial, 1, |i, slot| {
        let (o, s) = (i / segments, i % segments);
        slot[0] = fold(base_of(o), s * SEGMENT..((s + 1) * SEGMENT).min(n));
    });
    for (out, parts) in out.iter_mut().zip(partial.chunks(segments)) {
        *out = r.finish(parts.iter().fold(r.start(), |acc, &part| r.merge(acc, part)));
    }
}

/// Neighbouring outputs lie side by side in memory: whole rows are folded at once, one lane per column.
fn reduce_columns<T: Element, R: Reduce<T>>(r: R, x: &[T], outputs: &Walk<1>, inputs: &Walk<1>, out: &mut [R::Out]) {
    let (columns, _) = outputs.inner();
    let (rows, (_, [row_step])) = (inputs.total(), inputs.inner());
    let segment = (SEGMENT / columns).max(ROWS).max(rows / SEGMENTS);
    let segments = rows.div_ceil(segment).max(1);
    let groups = out.len() / columns;
    // partial[group][segment][column]
    let mut partial = vec![r.start(); groups * segments * columns];
    let tall = segments * groups == 1;
    // A single group and segment is cut by columns instead, at a multiple of the lanes' number.
    let width = if tall && rows * columns > GRAIN { STRIP.min(columns) } else { columns };
    parallel::for_each_chunk(&mut partial, width, |i, accs| {
        let (part, first_column) = (i * width / columns, i * width % columns);
        let (group, s) = (part / segments, part % segments);
        let mut base = 0;
        outputs.for_runs(group * columns..group * columns + 1, |_, [at], _| base = at);
        for (k, accs) in accs.chunks_mut(COLUMNS).enumerate() {
            let base = base + first_column + k * COLUMNS;
            let mut lanes = Aligned([r.lane(); COLUMNS]);
            let lanes = &mut lanes.0[..accs.len()];
            let mut filled = 0;
            let ahead = ahead_by((row_step as usize).wrapping_mul((AHEAD / lanes.len()).max(1)));
            let mut empty = |lanes: &mut [R::Lane]| {
                for (acc, lane) in accs.iter_mut().zip(lanes) {
                    *acc = r.take(*acc, *lane);
                    *lane = r.lane();
                }
            };
            inputs.for_runs(s * segment..((s + 1) * segment).min(rows), |_, [at], len| {
                for j in 0..len {
                    let at = base.wrapping_add((at as isize + j as isize * row_step) as usize);
                    fold_row(r, lanes, &x[at..][..lanes.len()], ahead);
                    filled += 1;
                    if filled % ROWS == 0 {
                        empty(lanes);
                    }
                }
            });
            empty(lanes);
        }
    });
    merge_segments(r, &partial, columns, segments, out);
}

/// The results of the columns: what their segments gave, `partial[group][segment][column]`, merged in order.
fn merge_segments<T: Element, R: Reduce<T>>(
    r: R,
    partial: &[R::Acc],
    columns: usize,
    segments: usize,
    out: &mut [R::Out],
) {
    if segments == 1 {
        return out.iter_mut().zip(partial).for_each(|(out, &part)| *out = r.finish(r.merge(r.start(), part)));
    }
    let out = SharedMut::new(out);
    let strips = columns.div_ceil(STRIP);
    let work = |block: usize| {
        let (group, first) = (block / strips, block % strips * STRIP);
        let width = STRIP.min(columns - first);
        // Segment by segment, not column by column: neighbours lie side by side in memory.
        let mut accs = [r.start(); STRIP];
        for segment in partial[group * segments * columns..][..segments * columns].chunks_exact(columns) {
            for (acc, &part) in accs.iter_mut().zip(&segment[first..][..width]) {
                *acc = r.merge(*acc, part);
            }
        }
        // SAFETY: strips of different blocks do not overlap.
        let out = unsafe { out.slice(group * columns + first, width) };
        out.iter_mut().zip(accs).for_each(|(out, acc)| *out = r.finish(acc));
    };
    let blocks = partial.len() / (segments * columns) * strips;
    if partial.len() < GRAIN { (0..blocks).for_each(work) } else { parallel::for_each_block(blocks, work) }
}

/// The shape that is left of `shape`: `dims` removed, or of size 1 with `keepdim`.
pub(crate) fn reduced_shape(shape: &[usize], dims: &[usize], keepdim: bool) -> Shape {
    let size = |(d, &n): (usize, &usize)| match (dims.contains(&d), keepdim) {
        (true, true) => Some(1),
        (true, false) => None,
        (false, _) => Some(n),
    };
    shape.iter().enumerate().filter_map(size).collect()
}

const _: () = assert!(PIECE <= BLOCK && BLOCK.is_multiple_of(LANES));
