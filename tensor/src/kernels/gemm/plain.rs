//! The micro-kernel of every type and CPU that has no vector kernel of its own: a block of C in local variables.

use super::micro::{Kernel, Left, Tile};
use crate::dtype::Number;

const MR: usize = 6;
const NR: usize = 8;

/// A kernel that the compiler vectorises as well as it can.
pub(crate) fn kernel<T: Number>() -> Kernel<T> {
    Kernel { mr: MR, nr: NR, routine: routine::<T>, smaller: |_, _| routine::<T> }
}

/// See [`super::micro::Routine`].
unsafe fn routine<T: Number>(tile: Tile<T>) {
    let Tile { k, a, b, acc, stride, add, .. } = tile;
    let mut sums = [[T::ZERO; NR]; MR];
    let (a, row, column) = match a {
        Left::Panel(a) => (a, 1, MR as isize),
        Left::Rows { from, apart, .. } => (from, apart, 1),
        Left::Columns { .. } => unreachable!("only vector kernels pack on the way"),
    };
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
            // SAFETY: the caller promises blocks of MR rows of NR elements.
            unsafe {
                let more = add.map_or(T::ZERO, |(add, apart)| *add.add(i * apart + j));
                *acc.add(i * stride + j) = more.plus(sum);
            }
        }
    }
}
