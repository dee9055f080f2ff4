//! Walking several operands of one shape in step, whatever their layouts.

use std::ops::Range;

use smallvec::SmallVec;

use crate::layout::{Layout, merge};
use crate::shape::INLINE;

/// `N` operands of the same shape, visited in row-major order as runs: stretches of the innermost merged dimension,
/// in which each operand advances by a fixed stride.
pub(crate) struct Walk<const N: usize> {
    /// Outer dimensions, then the inner one; never empty.
    dims: SmallVec<[(usize, [isize; N]); INLINE]>,
    start: [usize; N],
    total: usize,
}

impl<const N: usize> Walk<N> {
    /// The layouts must have equal shapes.
    pub(crate) fn new(operands: [&Layout; N]) -> Self {
        debug_assert!(operands.iter().all(|o| o.shape == operands[0].shape));
        Self::over(&operands[0].shape, operands.map(|o| &o.strides[..]), operands.map(|o| o.offset))
    }

    /// The same from bare strides and offsets.
    pub(crate) fn over(shape: &[usize], strides: [&[isize]; N], start: [usize; N]) -> Self {
        let mut dims = merge(shape, strides);
        if dims.is_empty() {
            dims.push((1, [0; N]));
        }
        Walk { dims, start, total: shape.iter().product() }
    }

    /// Elements visited in all.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Length of a run, and each operand's stride in it.
    pub(crate) fn inner(&self) -> (usize, [isize; N]) {
        self.dims[self.dims.len() - 1]
    }

    /// Calls `run(position of the first element in row-major order, its offset in each operand, length)` for the runs
    /// that make up `range` of the elements in row-major order. Runs at the ends of the range may be partial.
    #[inline]
    pub(crate) fn for_runs(&self, range: Range<usize>, mut run: impl FnMut(usize, [usize; N], usize)) {
        if range.is_empty() {
            return;
        }
        let (inner, steps) = self.inner();
        let outer = &self.dims[..self.dims.len() - 1];
        let mut position = range.start;
        let mut within = position % inner;
        let mut row = position / inner;
        let mut index: SmallVec<[usize; INLINE]> = SmallVec::from_elem(0, outer.len());
        let mut offsets = self.start.map(|o| o as isize);
        for d in (0..outer.len()).rev() {
            let (size, strides) = outer[d];
            index[d] = row % size;
            row /= size;
            for k in 0..N {
                offsets[k] += index[d] as isize * strides[k];
            }
        }
        loop {
            let len = (inner - within).min(range.end - position);
            let at: [usize; N] = std::array::from_fn(|k| (offsets[k] + within as isize * steps[k]) as usize);
            run(position, at, len);
            position += len;
            if position >= range.end {
                return;
            }
            within = 0;
            for d in (0..outer.len()).rev() {
                let (size, strides) = outer[d];
                index[d] += 1;
                if index[d] < size {
                    (0..N).for_each(|k| offsets[k] += strides[k]);
                    break;
                }
                index[d] = 0;
                (0..N).for_each(|k| offsets[k] -= (size as isize - 1) * strides[k]);
            }
        }
    }
}
