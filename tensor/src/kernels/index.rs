//! Reading and adding at positions that another tensor names. Indices have been checked by the caller.

use crate::dtype::Number;
use crate::kernels::parallel::{self, GRAIN};
use crate::kernels::rows::{LANES, ask_anywhere};
use crate::kernels::simd::vectorised;
use crate::kernels::walk::Walk;
use crate::layout::Layout;
use crate::tensor::View;
use crate::{Element, kernels::map};

/// So many rows ahead one is asked for that lies anywhere.
const AHEAD: usize = 2;

/// Row `ids[i]` of `x` (along its first dimension) becomes row `i` of `out`.
pub(crate) fn select_rows<T: Element>(x: View<T>, ids: &[i64], out: &mut [T]) {
    let row = x.layout.remove(0);
    let (width, stride) = (row.shape.numel(), x.layout.strides[0]);
    let dense = row.is_contiguous();
    let rows = (GRAIN / width.max(1)).max(1);
    parallel::for_each_chunk(out, rows * width, |i, out| {
        let ids = &ids[i * rows..];
        let at = |r: usize| (x.layout.offset as isize + ids[r] as isize * stride) as usize;
        for (r, out) in out.chunks_mut(width.max(1)).enumerate() {
            let (next, at) = (at((r + AHEAD).min(ids.len() - 1)), at(r));
            if dense && width < LANES {
                // Too short to wait for.
                out.copy_from_slice(&x.data[at..][..width]);
            } else if dense {
                copy_row(out, &x.data[at..][..width], &x.data[next..][..width]);
            } else {
                map::copy(View { data: x.data, layout: &Layout { offset: at, ..row.clone() } }, out);
            }
        }
    });
}

/// Fewer rows are cut into strips for threads.
const FEW: usize = 64;

/// `out[r] = sum of source[i] where ids[i] = r`, in order of `i`, where `out` has rows of `width` elements.
pub(crate) fn sum_rows<T: Number>(out: &mut [T], width: usize, ids: &[i64], source: &[T]) {
    let rows = out.len() / width.max(1);
    if ids.len() * width < GRAIN || rows < FEW || is_sparse(ids, rows) {
        out.fill(T::ZERO);
        return add_rows(out, width, ids, source);
    }
    let (order, ends) = by_row(ids, rows);
    // Rows of a block: so many that it takes about as many additions as elsewhere.
    let block = (GRAIN / width / ids.len().div_ceil(rows)).max(1);
    // Each row is written once: what is not added to is cleared where the others are added up.
    parallel::for_each_chunk(out, block * width, |i, out| {
        let mut at = if i == 0 { 0 } else { ends[i * block - 1] };
        let source_row = |at: usize| &source[order[at.min(order.len() - 1)] * width..][..width];
        for (out, &end) in out.chunks_exact_mut(width).zip(&ends[i * block..]) {
            if at == end {
                out.fill(T::ZERO);
                continue;
            }
            copy_row(out, source_row(at), source_row(at + AHEAD));
            for at in at + 1..end {
                add_row(out, source_row(at), source_row(at + AHEAD));
            }
            at = end;
        }
    });
}

/// `out[ids[i]] += source[i]` row by row in order of `i`, where `out` has rows of `width` elements.
///
/// Repeated indices make the order matter: one block takes all that is added to a row of `out`, or to a strip of it where
/// rows are few.
pub(crate) fn add_rows<T: Number>(out: &mut [T], width: usize, ids: &[i64], source: &[T]) {
    /// Columns of a strip: a multiple of the cache line.
    const STRIP: usize = 128;
    if ids.len() * width < GRAIN {
        let rows = ids.iter().zip(source.chunks(width.max(1)));
        return rows.for_each(|(&id, x)| add_row(&mut out[id as usize * width..][..width], x, x));
    }
    let rows = out.len() / width;
    let order = if is_sparse(ids, rows) { sorted(ids) } else { by_row(ids, rows).0 };
    let columns = if rows < FEW { STRIP.min(width) } else { width };
    // Blocks of about as many additions: each takes the rows whose additions begin in its part of the order.
    let part = (GRAIN / columns).max(1);
    let (parts, strips) = (ids.len().div_ceil(part), width.div_ceil(columns));
    let whole = parallel::SharedMut::new(out);
    parallel::for_each_block(parts * strips, |block| {
        let (from, first) = (block / strips * part, block % strips * columns);
        let columns = columns.min(width - first);
        let id = |at: usize| ids[order[at]];
        let mut at = from;
        while at > 0 && at < ids.len() && id(at) == id(at - 1) {
            at += 1;
        }
        while at < ids.len().min(from + part) {
            let row = id(at);
            // SAFETY: all additions to these columns of the row belong to the block in whose part they begin.
            let out = unsafe { whole.slice(row as usize * width + first, columns) };
            while at < ids.len() && id(at) == row {
                let [x, next] =
                    [at, (at + 1).min(ids.len() - 1)].map(|at| &source[order[at] * width + first..][..columns]);
                add_row(out, x, next);
                at += 1;
            }
        }
    });
}

/// Whether to count for every row would take longer than to compare ids.
fn is_sparse(ids: &[i64], rows: usize) -> bool {
    rows / 4 > ids.len()
}

/// The positions of `ids` in order of their ids and, for the same id, in their own.
fn sorted(ids: &[i64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|&i| ids[i]);
    order
}

/// The same for ids below `rows`, by counting; and where in this order the positions of each row end.
fn by_row(ids: &[i64], rows: usize) -> (Vec<usize>, Vec<usize>) {
    let mut next = vec![0; rows + 1];
    ids.iter().for_each(|&id| next[id as usize + 1] += 1);
    for row in 0..rows {
        next[row + 1] += next[row];
    }
    let mut order = vec![0; ids.len()];
    for (i, &id) in ids.iter().enumerate() {
        let at = &mut next[id as usize];
        order[*at] = i;
        *at += 1;
    }
    (order, next)
}

vectorised! {
    /// `out = x`. The row that is `next` is [asked for](ask_anywhere): it may lie anywhere.
    fn copy_row<S, T: Element>(out: &mut [T], x: &[T], next: &[T]) {
        let ((xs, x_rest), (outs, out_rest)) = (x.as_chunks::<LANES>(), out.as_chunks_mut::<LANES>());
        for (c, (out, x)) in outs.iter_mut().zip(xs).enumerate() {
            ask_anywhere(next, c);
            *out = *x;
        }
        out_rest.copy_from_slice(x_rest);
    }

    /// `out += x`. The row that is `next` is asked for.
    fn add_row<S, T: Number>(out: &mut [T], x: &[T], next: &[T]) {
        let ((xs, x_rest), (outs, out_rest)) = (x.as_chunks::<LANES>(), out.as_chunks_mut::<LANES>());
        for (c, (out, x)) in outs.iter_mut().zip(xs).enumerate() {
            ask_anywhere(next, c);
            for l in 0..LANES {
                out[l] = out[l].plus(x[l]);
            }
        }
        for (out, &x) in out_rest.iter_mut().zip(x_rest) {
            *out = out.plus(x);
        }
    }
}

/// `out[p] = x[p with ids[p] in place of its dim-th index]` for the positions `p` of `ids`.
pub(crate) fn gather<T: Element>(x: View<T>, dim: usize, ids: View<i64>, out: &mut [T]) {
    let along = x.layout.strides[dim];
    let walk = Walk::over(
        &ids.layout.shape,
        [&ids.layout.strides, &fixed(x.layout, dim).strides],
        [ids.layout.offset, x.layout.offset],
    );
    let (_, steps) = walk.inner();
    parallel::for_each_chunk(out, GRAIN, |i, out| {
        let first = i * GRAIN;
        walk.for_runs(first..first + out.len(), |position, at, len| {
            for (j, out) in out[position - first..][..len].iter_mut().enumerate() {
                let [id, base] = [0, 1].map(|k| at[k] as isize + j as isize * steps[k]);
                *out = x.data[(base + ids.data[id as usize] as isize * along) as usize];
            }
        });
    });
}

/// `combine(out[p with ids[p] in place of its dim-th index], source[p])` in row-major order of `p`.
pub(crate) fn scatter<T: Element>(
    out: &mut [T],
    layout: &Layout,
    dim: usize,
    ids: View<i64>,
    source: View<T>,
    combine: impl Fn(&mut T, T),
) {
    let along = layout.strides[dim];
    let walk = Walk::over(
        &ids.layout.shape,
        [&ids.layout.strides, &source.layout.strides, &fixed(layout, dim).strides],
        [ids.layout.offset, source.layout.offset, 0],
    );
    let (_, steps) = walk.inner();
    walk.for_runs(0..walk.total(), |_, at, len| {
        for j in 0..len {
            let [id, from, base] = [0, 1, 2].map(|k| at[k] as isize + j as isize * steps[k]);
            let to = &mut out[(base + ids.data[id as usize] as isize * along) as usize];
            combine(to, source.data[from as usize]);
        }
    });
}

/// The elements of `out` that `layout` shows become those of `source`, whose layout has the same shape.
pub(crate) fn assign<T: Element>(out: &mut [T], layout: &Layout, source: View<T>) {
    let walk = Walk::new([layout, source.layout]);
    let (_, steps) = walk.inner();
    walk.for_runs(0..walk.total(), |_, at, len| match steps {
        [1, 1] => out[at[0]..][..len].copy_from_slice(&source.data[at[1]..][..len]),
        _ => {
            for j in 0..len as isize {
                out[(at[0] as isize + j * steps[0]) as usize] = source.data[(at[1] as isize + j * steps[1]) as usize];
            }
        }
    });
}

/// Block `i` of `out` becomes what lies at `starts[i]` of `x`, laid out as `block` says (whose offset is not used).
pub(crate) fn select_blocks<T: Element>(x: &[T], block: &Layout, starts: &[usize], out: &mut [T]) {
    let width = block.shape.numel();
    let rows = (GRAIN / width.max(1)).max(1);
    let dense = block.is_contiguous();
    parallel::for_each_chunk(out, rows * width, |i, out| {
        for (out, &at) in out.chunks_mut(width.max(1)).zip(&starts[i * rows..]) {
            if dense {
                out.copy_from_slice(&x[at..][..width]);
            } else {
                map::copy(View { data: x, layout: &Layout { offset: at, ..block.clone() } }, out);
            }
        }
    });
}

/// `combine(element at starts[i] of out, laid out as block says; element of source[i])` in order of `i`. The shape of
/// `source` is that of `starts`, then that of `block`.
pub(crate) fn combine_blocks<T: Element>(
    out: &mut [T],
    block: &Layout,
    starts: &[usize],
    source: View<T>,
    combine: impl Fn(&mut T, T),
) {
    let between = source.layout.strides[0];
    for (i, &start) in starts.iter().enumerate() {
        let from = (source.layout.offset as isize + i as isize * between) as usize;
        if block.shape.is_empty() {
            combine(&mut out[start], source.data[from]);
            continue;
        }
        let walk = Walk::over(&block.shape, [&block.strides, &source.layout.strides[1..]], [start, from]);
        let (_, steps) = walk.inner();
        walk.for_runs(0..walk.total(), |_, at, len| {
            for j in 0..len as isize {
                let [to, from] = [0, 1].map(|k| (at[k] as isize + j * steps[k]) as usize);
                combine(&mut out[to], source.data[from]);
            }
        });
    }
}

/// `layout` with dimension `dim` held at index 0.
fn fixed(layout: &Layout, dim: usize) -> Layout {
    let mut fixed = layout.clone();
    fixed.strides[dim] = 0;
    fixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_added_in_order_of_their_positions() {
        // Few and many rows, some of them never named, one named most of the time.
        for (rows, width, count) in [(3, 200, 900), (1000, 40, 3000), (70, 1, 20_000), (5, 7, 9), (90_000, 2, 20_000)] {
            let ids: Vec<i64> = (0..count).map(|i: i64| if i % 3 == 0 { 2 } else { i * i % rows as i64 }).collect();
            let source: Vec<f32> = (0..count as usize * width).map(|i| ((i * 7919) % 1013) as f32 / 7.0).collect();
            let mut out = vec![0.5; rows * width];
            let mut plain = out.clone();
            add_rows(&mut out, width, &ids, &source);
            for (&id, source) in ids.iter().zip(source.chunks(width)) {
                plain[id as usize * width..][..width].iter_mut().zip(source).for_each(|(out, x)| *out += x);
            }
            assert!(out == plain, "{rows} rows of {width}");
            let (mut sums, mut plain) = (vec![f32::NAN; rows * width], vec![0.0; rows * width]);
            sum_rows(&mut sums, width, &ids, &source);
            add_rows(&mut plain, width, &ids, &source);
            assert!(sums == plain, "{rows} rows of {width}");
        }
    }
}
