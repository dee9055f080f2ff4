//! Memory asked for before it is needed: while a head is computed, the rows of the next one come into the second-level cache.

use crate::kernels::gemm::Matrix;
use crate::kernels::parallel::SharedMut;
use crate::kernels::simd::prefetch_far;

/// Rows asked for after each block of the micro-kernel: the fewest with which short texts, too, get through theirs.
const ROWS: usize = 8;

/// The rows that are still to be asked for, those of the operand that was added last first.
pub(super) struct Ahead<T> {
    left: Vec<Rows<T>>,
}

struct Rows<T> {
    next: *const T,
    apart: isize,
    count: usize,
    width: usize,
}

impl<T> Ahead<T> {
    pub(super) fn new() -> Self {
        Ahead { left: Vec::with_capacity(8) }
    }

    /// Adds `count` rows of `width` elements of an operand.
    pub(super) fn read(&mut self, matrix: Matrix<T>, count: usize, width: usize) {
        let next = matrix.data.as_ptr().wrapping_add(matrix.offset);
        self.add(Rows { next, apart: matrix.row, count, width });
    }

    /// Adds `count` rows of `width` elements, `apart` elements apart, of an output.
    pub(super) fn write(&mut self, out: &SharedMut<T>, first: usize, apart: usize, count: usize, width: usize) {
        self.add(Rows { next: out.as_ptr().wrapping_add(first), apart: apart as isize, count, width });
    }

    fn add(&mut self, rows: Rows<T>) {
        if rows.count > 0 {
            self.left.push(rows);
        }
    }

    /// Asks for the next few rows.
    #[inline]
    pub(super) fn step(&mut self) {
        for _ in 0..ROWS {
            let Some(rows) = self.left.last_mut() else { return };
            (0..rows.width).step_by(64 / size_of::<T>()).for_each(|i| prefetch_far(rows.next.wrapping_add(i)));
            rows.next = rows.next.wrapping_offset(rows.apart);
            rows.count -= 1;
            if rows.count == 0 {
                self.left.pop();
            }
        }
    }
}
