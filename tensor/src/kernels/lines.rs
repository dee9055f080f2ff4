//! Operations along the lines of one dimension: sorting, running sums, positions of extrema.

use crate::Element;
use crate::dtype::{Float, Number};
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

/// The position of the middle element of `line`, the lower one of two, the first one among equals. A NaN is the median of
/// its line, or, with `pass_nan`, is left out if anything else is there.
pub(crate) fn median<T: Number>(line: &[T], pass_nan: bool) -> usize {
    let nan = line.iter().position(|x| x.is_nan());
    let mut order: Vec<usize> = (0..line.len()).filter(|&i| !line[i].is_nan()).collect();
    match nan {
        Some(first) if !pass_nan || order.is_empty() => first,
        _ => {
            let middle = (order.len() - 1) / 2;
            let ascending =
                |&i: &usize, &j: &usize| line[i].partial_cmp(&line[j]).expect("NaN was left out").then(i.cmp(&j));
            *order.select_nth_unstable_by(middle, ascending).1
        }
    }
}

/// `y[i] = a[i] y[i - 1] + b[i]` along a line; the first is `b[0]`, whatever `a[0]`.
pub(crate) fn recurrence<T: Float>(a: &[T], b: &[T], y: &mut [T]) {
    let mut last = None;
    for ((&a, &b), y) in a.iter().zip(b).zip(y) {
        *y = last.map_or(b, |last| a * last + b);
        last = Some(*y);
    }
}

/// The positions of the greatest elements so far, the last one among equals; a NaN is the greatest of all.
pub(crate) fn running_argmax<T: Number>(line: &[T], out: &mut [i64]) {
    let mut best = 0;
    for (i, (&x, out)) in line.iter().zip(out).enumerate() {
        if x.is_nan() || x >= line[best] {
            best = i;
        }
        *out = best as i64;
    }
}

/// The positions of the least elements so far, the last one among equals; a NaN is the least of all.
pub(crate) fn running_argmin<T: Number>(line: &[T], out: &mut [i64]) {
    let mut best = 0;
    for (i, (&x, out)) in line.iter().zip(out).enumerate() {
        if x.is_nan() || x <= line[best] {
            best = i;
        }
        *out = best as i64;
    }
}

/// `log sum e^x` of the elements so far: `greatest + log(sum)`, where `sum` is that of `e^(x - greatest)`.
pub(crate) fn running_logsumexp<T: Float>(line: &[T], out: &mut [T]) {
    let (mut greatest, mut sum) = (f64::NEG_INFINITY, 0.0);
    for (&x, out) in line.iter().zip(out) {
        let x = x.to_f64();
        if x > greatest {
            sum = sum * (greatest - x).exp() + 1.0;
            greatest = x;
        } else if x == greatest {
            // Equal infinities would differ by NaN.
            sum += 1.0;
        } else {
            sum += (x - greatest).exp();
        }
        *out = T::of(if greatest == f64::NEG_INFINITY && !sum.is_nan() { greatest } else { greatest + sum.ln() });
    }
}

/// The positions that sort `line`; equal elements keep their order, and NaN counts as the greatest.
pub(crate) fn argsort<T: Number>(line: &[T], descending: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..line.len()).collect();
    let ascending = |a: T, b: T| a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    order.sort_by(|&i, &j| if descending { ascending(line[j], line[i]) } else { ascending(line[i], line[j]) });
    order
}
