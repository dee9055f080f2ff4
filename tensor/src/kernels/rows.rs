//! Operands seen as rows: what the kernels of softmax, cross-entropy and their like read.

use crate::Element;
use crate::dtype::Float;
use crate::kernels::cpu::Reading;
use crate::kernels::parallel::GRAIN;
use crate::kernels::simd::{Simd, prefetch, prefetch_far};
use crate::kernels::walk::Walk;
use crate::tensor::View;

/// The rows (stretches of `len` elements in row-major order) of an operand of any layout.
pub(crate) struct Rows<'a, T> {
    data: &'a [T],
    walk: Walk<1>,
    len: usize,
    /// All elements, when they lie in row-major order.
    flat: Option<&'a [T]>,
}

impl<'a, T: Element> Rows<'a, T> {
    pub(crate) fn new(x: View<'a, T>, len: usize) -> Self {
        let flat = x.layout.is_contiguous().then(|| match x.layout.shape.numel() {
            0 => &[],
            n => &x.data[x.layout.offset..][..n],
        });
        Rows { data: x.data, walk: Walk::new([x.layout]), len, flat }
    }

    /// Rows `first .. first + count`, one after the other; brought together in `buffer` if they do not lie so.
    pub(crate) fn get<'b>(&self, first: usize, count: usize, buffer: &'b mut Vec<T>) -> &'b [T]
    where
        'a: 'b,
    {
        let range = first * self.len..(first + count) * self.len;
        if let Some(flat) = self.flat {
            return &flat[range];
        }
        let (run, [step]) = self.walk.inner();
        if step == 1 || run != self.len {
            buffer.clear();
            self.walk.for_runs(range, |_, [at], len| {
                if step == 1 {
                    buffer.extend_from_slice(&self.data[at..][..len]);
                } else {
                    buffer.extend((0..len as isize).map(|i| self.data[(at as isize + i * step) as usize]));
                }
            });
            return buffer;
        }
        // The elements of one row lie far apart, but neighbouring rows often lie side by side: they are read together.
        let mut starts = Vec::with_capacity(count);
        self.walk.for_runs(range, |_, [at], _| starts.push(at as isize));
        buffer.resize(count * self.len, T::default());
        for (group, buffer) in starts.chunks(TOGETHER).zip(buffer.chunks_mut(TOGETHER * self.len)) {
            for i in 0..self.len {
                for (r, start) in group.iter().enumerate() {
                    buffer[r * self.len + i] = self.data[(start + i as isize * step) as usize];
                }
            }
        }
        buffer
    }
}

/// Rows gathered at a time when their elements lie apart: a cache line of f32.
const TOGETHER: usize = 16;

/// How many rows of `len` elements one block takes.
pub(crate) fn rows_per_block(len: usize) -> usize {
    (GRAIN / len.max(1)).max(1)
}

/// Independent lanes of a row's fold (a power of 2): four of the widest registers of f32, as many as hide the latency of an
/// addition. A loop over fewer is unrolled before it is vectorised, and then comes out in pieces of two numbers.
pub(crate) const LANES: usize = 64;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Something that begins with a cache line: a vector that lies in two lines is loaded and stored twice.
#[repr(align(64))]
pub(crate) struct Aligned<T>(pub(crate) T);

/// How many elements ahead of what is worked on a stream is asked for: `elements`, but 0 on CPUs that find streams better by
/// themselves. To ask for what is worked on changes nothing.
#[inline(always)]
pub(crate) fn ahead_by(elements: usize) -> usize {
    if Reading::of_this_cpu() == Reading::FewFar { 0 } else { elements }
}

/// How far ahead of row `r` of `count` the next one is asked for; the last one has none.
#[inline(always)]
pub(crate) fn ahead_of(r: usize, count: usize, width: usize) -> usize {
    ahead_by(if r + 1 < count { width } else { 0 })
}

/// Asks for elements `c LANES .. (c + 1) LANES` of a row that is worked on later, `ahead` elements after this one.
///
/// A kernel that visits each row several times has memory idle in all visits but the first. It is kept busy with the next
/// row: one visit asks for what is to be read, another for what is to be written (which is read first as well).
#[inline(always)]
pub(crate) fn ask<T>(row: &[T], ahead: usize, c: usize) {
    lines(row, ahead, c).for_each(prefetch);
}

/// The same for a row that may lie anywhere, which no CPU finds by itself.
#[inline(always)]
pub(crate) fn ask_anywhere<T>(row: &[T], c: usize) {
    if Reading::of_this_cpu() == Reading::FewFar {
        lines(row, 0, c).for_each(prefetch_far);
    } else {
        ask(row, 0, c);
    }
}

/// The cache lines of elements `c LANES .. (c + 1) LANES` beyond the first `ahead`.
#[inline(always)]
fn lines<T>(row: &[T], ahead: usize, c: usize) -> impl Iterator<Item = *const T> {
    let first = row.as_ptr().wrapping_add(ahead.wrapping_add(c * LANES));
    (0..LANES * size_of::<T>() / LINE).map(move |line| first.wrapping_byte_add(line * LINE))
}

/// The sum of `f(x)` over a row, in lanes.
///
/// The lanes are added in pairs at the end, so that the rounding error grows with the length of a lane only.
#[inline(always)]
pub(crate) fn sum_of<T: Float>(x: &[T], f: impl Fn(T) -> T) -> T {
    sum_of_while(x, f, |_| ())
}

/// [`sum_of`] with a call of `meanwhile(c)` along with chunk `c`, to [ask](ask) for others.
#[inline(always)]
pub(crate) fn sum_of_while<T: Float>(x: &[T], f: impl Fn(T) -> T, meanwhile: impl Fn(usize)) -> T {
    fold(x, T::ZERO, |sum, x| sum + f(x), |a, b| a + b, meanwhile)
}

/// The sum of `x[i] * y[i]` over a row, in lanes.
#[inline(always)]
pub(crate) fn dot_of<S: Simd, T: Float>(x: &[T], y: &[T]) -> T {
    sum_of_pairs(x, y, |sum, x, y| S::mul_add(x, y, sum))
}

/// The sum over two rows side by side, in lanes: `add(sum, x, y)` adds what a pair of elements gives.
#[inline(always)]
pub(crate) fn sum_of_pairs<T: Float>(x: &[T], y: &[T], add: impl Fn(T, T, T) -> T) -> T {
    let mut lanes = [T::ZERO; LANES];
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in xs.iter().zip(ys) {
        for l in 0..LANES {
            lanes[l] = add(lanes[l], x[l], y[l]);
        }
    }
    for ((lane, &x), &y) in lanes.iter_mut().zip(x_rest).zip(y_rest) {
        *lane = add(*lane, x, y);
    }
    merge(lanes, |a, b| a + b)
}

/// The greatest of `x`, NaN aside; negative infinity for an empty row.
#[inline(always)]
pub(crate) fn max_of<T: Float>(x: &[T]) -> T {
    let greater = |a: T, b: T| if b > a { b } else { a };
    fold(x, T::LOWEST, greater, greater, |_| ())
}

/// Folds a row in lanes; `meanwhile(c)` is called along with chunk `c`.
#[inline(always)]
fn fold<T: Float>(
    x: &[T],
    start: T,
    step: impl Fn(T, T) -> T,
    combine: impl Fn(T, T) -> T,
    meanwhile: impl Fn(usize),
) -> T {
    let mut lanes = [start; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for (c, x) in whole.iter().enumerate() {
        meanwhile(c);
        for l in 0..LANES {
            lanes[l] = step(lanes[l], x[l]);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = step(*lane, x);
    }
    merge(lanes, combine)
}

/// The lanes put together in pairs; `N` is a power of 2.
#[inline(always)]
pub(crate) fn merge<A: Copy, const N: usize>(mut lanes: [A; N], combine: impl Fn(A, A) -> A) -> A {
    let mut width = N;
    while width > 1 {
        width /= 2;
        for l in 0..width {
            lanes[l] = combine(lanes[l], lanes[l + width]);
        }
    }
    lanes[0]
}
