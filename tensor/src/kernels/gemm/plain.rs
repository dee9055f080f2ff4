//! The micro-kernel of every type and CPU that has no vector kernel of its own: a block of C in local variables.

use super::micro::Kernel;
use crate::dtype::Number;

const MR: usize = 6;
const NR: usize = 8;

/// A kernel that the compiler vectorises as well as it can.
pub(crate) fn kernel<T: Number>() -> Kernel<T> {
    Kernel { mr: MR, nr: NR, routine: routine::<T> }
}

/// See [`super::micro::Routine`].
unsafe fn routine<T: Number>(
    k: usize,
    a: *const T,
    rows: Option<isize>,
    b: *const T,
    acc: *mut T,
    stride: usize,
    load: bool,
) {
    let mut sums = [[T::ZERO; NR]; MR];
    let (row, column) = rows.map_or((1, MR as isize), |row| (row, 1));
    for p in 0..k {
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: element p of row i of A.
            let x = unsafe { *a.offset(i as isize * row + p as isize * column) };
            for (j, sum) in sums.iter_mut().enumerate() {
                // SAFETY: element j of row p of the panel of B.
                *sum = sum.plus(x.times(unsafe { *b.add(p * NR + j) }));
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        for (j, &sum) in sums.iter().enumerate() {
            // SAFETY: the caller promises a block of MR rows of NR elements, `stride` apart.
            unsafe {
                let to = acc.add(i * stride + j);
                *to = if load { (*to).plus(sum) } else { sum };
            }
        }
    }
}
