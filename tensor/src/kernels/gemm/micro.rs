//! The micro-kernels: a block of C held in vector registers while panels of A and B stream by.

use crate::dtype::Float;
use crate::kernels::simd::Level;
#[cfg(target_arch = "x86_64")]
use crate::kernels::simd::{prefetch, prefetch_far};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Where a micro-kernel finds `mr` rows of A.
#[derive(Clone, Copy)]
pub(crate) enum Left<T> {
    /// In a packed panel, column by column.
    Panel(*const T),
    /// In the matrix, whose rows are contiguous and lie `apart`. With `below`, the rows below come next and are asked for.
    Rows { from: *const T, apart: isize, below: bool },
    /// In the matrix, whose columns are contiguous and lie `apart`; they are packed `to` a panel on the way.
    Columns { from: *const T, apart: isize, to: *mut T },
}

/// What memory is asked for while a block is computed: a line at `from`, one `apart` from it, and so on, a few in the time
/// of a line of A.
#[derive(Clone, Copy)]
pub(crate) struct Ahead<T> {
    pub(crate) from: *const T,
    pub(crate) apart: isize,
}

/// A block of C to compute: `acc[i][j] = sum over p of a[i][p] * b[p][j]`, plus `add[i][j]`; `mr` rows of `nr`, which lie
/// `stride` apart in `acc`.
#[derive(Clone, Copy)]
pub(crate) struct Tile<T> {
    pub(crate) k: usize,
    pub(crate) a: Left<T>,
    /// A packed panel.
    pub(crate) b: *const T,
    pub(crate) acc: *mut T,
    pub(crate) stride: usize,
    /// Where the rows to add begin, and how far apart they lie.
    pub(crate) add: Option<(*const T, usize)>,
    pub(crate) ahead: Option<Ahead<T>>,
}

impl<T> Tile<T> {
    /// A tile to which nothing is added, or with `load` what it held.
    pub(crate) fn new(k: usize, a: Left<T>, b: *const T, acc: *mut T, stride: usize, load: bool) -> Tile<T> {
        Tile { k, a, b, acc, stride, add: load.then_some((acc.cast_const(), stride)), ahead: None }
    }
}

/// Computes a tile.
///
/// # Safety
/// `a` must have `k * mr` elements (or `mr` rows of `k`, or `k` columns of `mr` and room for the panel), `b` `k * nr`, `acc`
/// and what is added `mr` rows of `nr`, and the CPU the kernel's instructions.
pub(crate) type Routine<T> = unsafe fn(Tile<T>);

/// A micro-kernel and the sizes of its block.
#[derive(Clone, Copy)]
pub(crate) struct Kernel<T> {
    pub(crate) mr: usize,
    pub(crate) nr: usize,
    pub(crate) routine: Routine<T>,
    /// A routine for the same panels that may leave out rows and columns beyond the first `height` and `width`, of which
    /// there is at least one; `acc` must be as large as for the whole block.
    pub(crate) smaller: fn(height: usize, width: usize) -> Routine<T>,
}

/// Blocks of at least so many rows ask for the rows below with their first panel of B only, those of fewer (of AVX2) with each:
/// either was measured to be faster by a twentieth.
const ONCE: usize = 12;

impl<T> Kernel<T> {
    /// Whether the rows of A below are asked for with the first panel of B, or with another one.
    pub(crate) fn asks_below(&self, first: bool) -> bool {
        first || self.mr < ONCE
    }
}

/// Float types that have micro-kernels on some CPUs.
pub(crate) trait Micro: Float {
    /// The kernel for a vector level; `None` where there is none, or this CPU cannot run it.
    fn kernel_for(level: Level) -> Option<Kernel<Self>>;

    /// The kernel for the level in use.
    fn kernel() -> Option<Kernel<Self>> {
        Self::kernel_for(crate::kernels::simd::level())
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl<T: Float> Micro for T {
    fn kernel_for(_: Level) -> Option<Kernel<T>> {
        None
    }
}

/// So many columns of A before they are needed memory is asked for them.
#[cfg(target_arch = "x86_64")]
const FAR: isize = 16;

/// The same pointer, of which the compiler then knows nothing: it stays in one register, to which offsets are added. Otherwise
/// the sum of it and each offset is kept, and there are more of those than registers. What is loaded from both is loaded twice.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn in_a_register<T>(pointer: *const T) -> *const T {
    let mut address = pointer.addr();
    // SAFETY: there is no instruction.
    unsafe { std::arch::asm!("/* {} */", inout(reg) address, options(pure, nomem, nostack, preserves_flags)) };
    pointer.with_addr(address)
}

/// Defines `Micro` for a float type: per level the registers of a row of the block, its rows, and the instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! micro {
    ($t:ty: $($level:ident($features:literal) $name:ident, $vector:ty, $lanes:literal, $mr:literal,
        $zero:ident, $load:ident, $store:ident, $set:ident, $fma:ident;)*) => {
        $(
            /// See [`Routine`]: the first `H` rows of the block, a multiple of three, and `V` vectors of each.
            unsafe fn $name<const H: usize, const V: usize>(tile: Tile<$t>) {
                // SAFETY: as for this function.
                unsafe {
                    match tile.a {
                        Left::Rows { below: true, .. } => run::<H, V, true>(tile),
                        _ => run::<H, V, false>(tile),
                    }
                }

                /// `BELOW` is whether the rows below are asked for: a constant, at which the loop need not look.
                #[target_feature(enable = $features)]
                unsafe fn run<const H: usize, const V: usize, const BELOW: bool>(tile: Tile<$t>) {
                    const MR: usize = $mr;
                    const NR: usize = 2 * $lanes;
                    const LINE: usize = 64 / size_of::<$t>();
                    // As many terms as there are lines of A for each group of three rows.
                    const PART: usize = LINE / (MR / 3);
                    // A multiply-add of AVX-512 can load and spread a number by itself: two instructions for a row of two
                    // vectors, where a number that is spread first takes three. They count where another program on the same
                    // core takes every other cycle. A CPU that loads two numbers at a time does so for about half of the rows,
                    // and it is no gain where the address is a sum of two registers, as for two of three rows in place.
                    const TWICE: bool = NR * size_of::<$t>() == 128;
                    let Tile { k, a, b, acc, stride, add: more, ahead } = tile;
                    let mut sums = [[$zero(); V]; H];
                    let load_b = |p: usize| -> [$vector; V] {
                        // SAFETY: called with p < k, so this lies inside the panel.
                        std::array::from_fn(|v| unsafe { $load(b.add(p * NR + v * $lanes)) })
                    };
                    // The number of A for each vector may come from a place of its own.
                    let mut add = |i: usize, a: *const $t, again: *const $t, b: &[$vector; V]| {
                        for (v, (sum, &b)) in sums[i].iter_mut().zip(b).enumerate() {
                            // SAFETY: called with pointers to an element of A.
                            *sum = $fma($set(unsafe { if v == 0 { *a } else { *again } }), b, *sum);
                        }
                    };
                    // One line is asked for in the time of a part; without a wish it is one that is there already.
                    let Ahead { from: mut line, apart } = ahead.unwrap_or(Ahead { from: b, apart: 0 });
                    // C is needed last; it is asked for row by row, because all of it at once would keep A and B waiting.
                    let ask_for_c = |i: usize| (0..V).for_each(|v| prefetch(acc.wrapping_add(i * stride + v * $lanes)));
                    match a {
                        Left::Panel(a) => {
                            let (mut a, mut again) = (a, if TWICE { in_a_register(a) } else { a });
                            let mut step = |a: *const $t, again: *const $t, p: usize, s: usize| {
                                let b = load_b(p + s);
                                // Element i of column p + s, where p + s < k; the pointers stand at column p.
                                for i in 0..H {
                                    let place = s * MR + i;
                                    let again = if i % 2 == 0 { again } else { a };
                                    add(i, a.wrapping_add(place), again.wrapping_add(place), &b);
                                }
                            };
                            let whole = k / PART * PART;
                            for start in (0..whole).step_by(PART) {
                                prefetch_far(line);
                                line = line.wrapping_offset(apart);
                                for s in 0..PART {
                                    if start < H && start + s < H {
                                        ask_for_c(start + s);
                                    }
                                    step(a, again, start, s);
                                }
                                a = in_a_register(a.wrapping_add(PART * MR));
                                again = if TWICE { in_a_register(again.wrapping_add(PART * MR)) } else { a };
                            }
                            (whole..k).for_each(|p| step(a, again, whole, p - whole));
                        }
                        Left::Rows { from: a, apart: row, .. } => {
                            // One pointer for three rows, which the addressing modes of the CPU reach from it.
                            let mut at: [*const $t; MR / 3] =
                                std::array::from_fn(|g| a.wrapping_offset(3 * g as isize * row));
                            let mut again = at;
                            if TWICE {
                                again.iter_mut().for_each(|at| *at = in_a_register(*at));
                            }
                            let mut step = |at: &[*const $t; MR / 3], again: &[*const $t; MR / 3], p: usize, s: usize| {
                                let b = load_b(p + s);
                                for g in 0..H / 3 {
                                    // Element p + s of rows 3g to 3g + 2, of which the pointers stand at element p.
                                    let (first, again) = (at[g].wrapping_add(s), again[g].wrapping_add(s));
                                    let (second, third) = (first.wrapping_offset(row), first.wrapping_offset(2 * row));
                                    add(3 * g, first, again, &b);
                                    add(3 * g + 1, second, second, &b);
                                    add(3 * g + 2, third, third, &b);
                                }
                            };
                            // The rows below come next, and are too many for the CPU to guess. While it works on a line of
                            // each row, a line of each of those is asked for, three at a time; into the second-level cache,
                            // because in the first they would drive out the lines that are being read.
                            let whole = k / LINE * LINE;
                            for start in (0..whole).step_by(LINE) {
                                let mut below = a.wrapping_offset(MR as isize * row).wrapping_add(start);
                                for g in 0..MR / 3 {
                                    for i in 0..3 {
                                        if BELOW {
                                            prefetch_far(below.wrapping_offset(i * row));
                                        }
                                        if start == 0 && 3 * g < H {
                                            ask_for_c(3 * g + i as usize);
                                        }
                                    }
                                    prefetch_far(line);
                                    line = line.wrapping_offset(apart);
                                    below = below.wrapping_offset(3 * row);
                                    (0..PART).for_each(|s| step(&at, &again, start + g * PART, s));
                                    at.iter_mut().for_each(|at| *at = in_a_register(at.wrapping_add(PART)));
                                    if TWICE {
                                        again.iter_mut().for_each(|at| *at = in_a_register(at.wrapping_add(PART)));
                                    } else {
                                        again = at;
                                    }
                                }
                            }
                            (whole..k).for_each(|p| step(&at, &again, whole, p - whole));
                        }
                        Left::Columns { from, apart, to } => {
                            for p in 0..k {
                                if p < H {
                                    ask_for_c(p);
                                }
                                let column = from.wrapping_offset(p as isize * apart);
                                let far = column.wrapping_offset(FAR * apart);
                                prefetch(far);
                                prefetch(far.wrapping_add(MR - 1));
                                let b = load_b(p);
                                let again = if TWICE { in_a_register(column) } else { column };
                                for i in 0..H {
                                    let again = if i % 2 == 0 { again } else { column };
                                    add(i, column.wrapping_add(i), again.wrapping_add(i), &b);
                                }
                                // SAFETY: column p of A, and its place in the panel.
                                unsafe { *to.add(p * MR).cast::<[$t; MR]>() = *column.cast::<[$t; MR]>() };
                            }
                        }
                    }
                    for (i, sums) in sums.iter().enumerate() {
                        for (v, &sum) in sums.iter().enumerate() {
                            // SAFETY: the caller promises blocks of MR rows of NR.
                            unsafe {
                                let sum = match more {
                                    Some((more, apart)) => $fma($set(1.0), sum, $load(more.add(i * apart + v * $lanes))),
                                    None => sum,
                                };
                                $store(acc.add(i * stride + v * $lanes), sum);
                            }
                        }
                    }
                }
            }
        )*
        impl Micro for $t {
            fn kernel_for(level: Level) -> Option<Kernel<$t>> {
                if level > crate::kernels::simd::supported() {
                    return None;
                }
                match level {
                    $(Level::$level => Some(Kernel {
                        mr: $mr,
                        nr: 2 * $lanes,
                        routine: $name::<$mr, 2>,
                        smaller: |height, width| {
                            const fn rows(n: usize) -> usize {
                                if n < $mr { n } else { $mr }
                            }
                            let narrow: [Routine<$t>; 4] =
                                [$name::<3, 1>, $name::<6, 1>, $name::<{ rows(9) }, 1>, $name::<{ rows(12) }, 1>];
                            let wide: [Routine<$t>; 4] =
                                [$name::<3, 2>, $name::<6, 2>, $name::<{ rows(9) }, 2>, $name::<{ rows(12) }, 2>];
                            let threes = (height.min($mr) - 1) / 3;
                            if width <= $lanes { narrow[threes] } else { wide[threes] }
                        },
                    }),)*
                    _ => None,
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
micro! { f32:
    Avx512("avx512f") f32_avx512, __m512, 16, 12, _mm512_setzero_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_fmadd_ps;
    Avx2("avx2,fma") f32_avx2, __m256, 8, 6, _mm256_setzero_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps;
}
#[cfg(target_arch = "x86_64")]
micro! { f64:
    Avx512("avx512f") f64_avx512, __m512d, 8, 12, _mm512_setzero_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_set1_pd, _mm512_fmadd_pd;
    Avx2("avx2,fma") f64_avx2, __m256d, 4, 6, _mm256_setzero_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_set1_pd, _mm256_fmadd_pd;
}
