//! Operands seen as rows: what the kernels of softmax, cross-entropy and their like read.

use crate::Element;
use crate::dtype::Float;
use crate::kernels::parallel::GRAIN;
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
        let (_, [step]) = self.walk.inner();
        buffer.clear();
        self.walk.for_runs(range, |_, [at], len| {
            if step == 1 {
                buffer.extend_from_slice(&self.data[at..][..len]);
            } else {
                buffer.extend((0..len as isize).map(|i| self.data[(at as isize + i * step) as usize]));
            }
        });
        buffer
    }
}

/// How many rows of `len` elements one block takes.
pub(crate) fn rows_per_block(len: usize) -> usize {
    (GRAIN / len.max(1)).max(1)
}

/// Independent lanes of a row's fold: twice the widest register of f32.
pub(crate) const LANES: usize = 32;

/// The sum of `f(i, x[i])`, in lanes.
///
/// The lanes are added in pairs at the end, so that the rounding error grows with the length of a lane only.
#[inline(always)]
pub(crate) fn sum_of<T: Float>(len: usize, f: impl Fn(usize) -> T) -> T {
    fold(len, T::ZERO, |sum, i| sum + f(i), |a, b| a + b)
}

/// The greatest of `x`, NaN aside; negative infinity for an empty row.
#[inline(always)]
pub(crate) fn max_of<T: Float>(x: &[T]) -> T {
    let greater = |a: T, b: T| if b > a { b } else { a };
    fold(x.len(), T::LOWEST, |max, i| greater(max, x[i]), greater)
}

#[inline(always)]
fn fold<T: Float>(len: usize, start: T, step: impl Fn(T, usize) -> T, merge: impl Fn(T, T) -> T) -> T {
    let mut lanes = [start; LANES];
    let whole = len / LANES * LANES;
    let mut i = 0;
    while i < whole {
        for (l, lane) in lanes.iter_mut().enumerate() {
            *lane = step(*lane, i + l);
        }
        i += LANES;
    }
    for (l, lane) in lanes.iter_mut().enumerate().take(len - whole) {
        *lane = step(*lane, whole + l);
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for l in 0..width {
            lanes[l] = merge(lanes[l], lanes[l + width]);
        }
    }
    lanes[0]
}
