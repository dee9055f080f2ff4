//! Reading and adding at positions that another tensor names. Indices have been checked by the caller.

use crate::dtype::Number;
use crate::kernels::parallel::{self, GRAIN};
use crate::kernels::walk::Walk;
use crate::layout::Layout;
use crate::tensor::View;
use crate::{Element, kernels::map};

/// Row `ids[i]` of `x` (along its first dimension) becomes row `i` of `out`.
pub(crate) fn select_rows<T: Element>(x: View<T>, ids: &[i64], out: &mut [T]) {
    let row = x.layout.remove(0);
    let (width, stride) = (row.shape.numel(), x.layout.strides[0]);
    let dense = row.is_contiguous();
    let rows = (GRAIN / width.max(1)).max(1);
    parallel::for_each_chunk(out, rows * width, |i, out| {
        for (out, &id) in out.chunks_mut(width.max(1)).zip(&ids[i * rows..]) {
            let at = (x.layout.offset as isize + id as isize * stride) as usize;
            if dense {
                out.copy_from_slice(&x.data[at..][..width]);
            } else {
                map::copy(View { data: x.data, layout: &Layout { offset: at, ..row.clone() } }, out);
            }
        }
    });
}

/// `out[ids[i]] += source[i]` row by row in order of `i`, where `out` has rows of `width` elements.
///
/// Repeated indices make the order matter, so threads divide the columns, never the rows.
pub(crate) fn add_rows<T: Number>(out: &mut [T], width: usize, ids: &[i64], source: &[T]) {
    /// Columns of a block: a multiple of the cache line, and narrow enough to share out an embedding.
    const COLUMNS: usize = 128;
    let whole = parallel::SharedMut::new(out);
    let columns = if ids.len() * width < GRAIN { width } else { COLUMNS };
    parallel::for_each_block(width.div_ceil(columns.max(1)), |block| {
        let first = block * columns;
        let columns = columns.min(width - first);
        for (i, &id) in ids.iter().enumerate() {
            // SAFETY: this block alone touches columns first .. first + columns, one row at a time.
            let out = unsafe { whole.slice(id as usize * width + first, columns) };
            for (out, &x) in out.iter_mut().zip(&source[i * width + first..]) {
                *out = out.plus(x);
            }
        }
    });
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
