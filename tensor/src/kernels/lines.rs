//! Operations along the lines of one dimension: sorting, running sums, positions of extrema.

use crate::Element;
use crate::dtype::Number;
use crate::kernels::parallel::{self, GRAIN};
use crate::kernels::walk::Walk;
use crate::layout::Layout;
use crate::tensor::View;

/// The lines of `x` along dimension `dim`, in row-major order of the other dimensions.
pub(crate) struct Lines<'a, T> {
    data: &'a [T],
    others: Layout,
    pub(crate) len: usize,
    step: isize,
}

impl<'a, T: Element> Lines<'a, T> {
    pub(crate) fn new(x: View<'a, T>, dim: usize) -> Self {
        Lines { data: x.data, others: x.layout.remove(dim), len: x.layout.shape[dim], step: x.layout.strides[dim] }
    }

    /// Calls `f(i, line)` for lines `first .. first + count`; `line(k)` is the line's k-th element.
    fn for_range(&self, first: usize, count: usize, mut f: impl FnMut(usize, &dyn Fn(usize) -> T)) {
        let walk = Walk::new([&self.others]);
        let (_, [between]) = walk.inner();
        walk.for_runs(first..first + count, |position, [at], len| {
            for j in 0..len {
                let base = at as isize + j as isize * between;
                f(position + j, &|k| self.data[(base + k as isize * self.step) as usize]);
            }
        });
    }

    /// One result per line.
    pub(crate) fn fold<U: Send>(&self, out: &mut [U], f: impl Fn(&dyn Fn(usize) -> T) -> U + Sync) {
        let chunk = (GRAIN / self.len.max(1)).max(1);
        parallel::for_each_chunk(out, chunk, |i, out| {
            let first = i * chunk;
            self.for_range(first, out.len(), |line, x| out[line - first] = f(x));
        });
    }

    /// A new line of `width` results per line, one after the other in `out`.
    pub(crate) fn map<U: Send>(&self, width: usize, out: &mut [U], f: impl Fn(&[T], &mut [U]) + Sync) {
        let chunk = (GRAIN / self.len.max(1)).max(1);
        parallel::for_each_chunk(out, chunk * width, |i, out| {
            let mut line = vec![T::default(); self.len];
            let first = i * chunk;
            self.for_range(first, out.len() / width.max(1), |l, x| {
                line.iter_mut().enumerate().for_each(|(k, slot)| *slot = x(k));
                f(&line, &mut out[(l - first) * width..][..width]);
            });
        });
    }
}

/// The position of the greatest of `len` elements, the first one among equals; a NaN is the greatest of all.
pub(crate) fn argmax<T: Number>(len: usize, x: &dyn Fn(usize) -> T) -> usize {
    let mut best = (0, x(0));
    for k in 1..len {
        let candidate = x(k);
        if !best.1.is_nan() && (candidate > best.1 || candidate.is_nan()) {
            best = (k, candidate);
        }
    }
    best.0
}

/// The position of the least of `len` elements, the first one among equals; a NaN is the least of all.
pub(crate) fn argmin<T: Number>(len: usize, x: &dyn Fn(usize) -> T) -> usize {
    let mut best = (0, x(0));
    for k in 1..len {
        let candidate = x(k);
        if !best.1.is_nan() && (candidate < best.1 || candidate.is_nan()) {
            best = (k, candidate);
        }
    }
    best.0
}

/// The positions that sort `line`; equal elements keep their order, and NaN counts as the greatest.
pub(crate) fn argsort<T: Number>(line: &[T], descending: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..line.len()).collect();
    let ascending = |a: T, b: T| a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    order.sort_by(|&i, &j| if descending { ascending(line[j], line[i]) } else { ascending(line[i], line[j]) });
    order
}
