//! The micro-kernels: a block of C held in vector registers while panels of A and B stream by.

use crate::dtype::Float;
use crate::kernels::simd::Level;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// `acc[i][j] = sum over p of a[i][p] * b[p][j]`: `mr` rows of `nr`, which lie `stride` apart in `acc`; with `load` the sums
/// are added to what `acc` holds. `b` is a packed panel; so is `a`, unless `rows` says how far apart the rows of a matrix
/// lie from which `a` is read as it is.
///
/// # Safety
/// `a` must have `k * mr` elements (or `mr` rows of `k`), `b` `k * nr`, `acc` `(mr - 1) * stride + nr`, and the CPU the
/// kernel's instructions.
pub(crate) type Routine<T> =
    unsafe fn(k: usize, a: *const T, rows: Option<isize>, b: *const T, acc: *mut T, stride: usize, load: bool);

/// A micro-kernel and the sizes of its block.
#[derive(Clone, Copy)]
pub(crate) struct Kernel<T> {
    pub(crate) mr: usize,
    pub(crate) nr: usize,
    pub(crate) routine: Routine<T>,
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

/// Defines `Micro` for a float type: per level the registers of a row of the block, its rows, and the instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! micro {
    ($t:ty: $($level:ident($features:literal) $name:ident, $vector:ty, $lanes:literal, $mr:literal,
        $zero:ident, $load:ident, $store:ident, $set:ident, $fma:ident;)*) => {
        $(
            /// See [`Routine`].
            #[target_feature(enable = $features)]
            unsafe fn $name(
                k: usize,
                a: *const $t,
                rows: Option<isize>,
                b: *const $t,
                acc: *mut $t,
                stride: usize,
                load: bool,
            ) {
                const MR: usize = $mr;
                const NV: usize = 2;
                let mut sums = [[$zero(); NV]; MR];
                let load_b = |p: usize| -> [$vector; NV] {
                    // SAFETY: called with p < k, so this lies inside the panel.
                    unsafe { [$load(b.add(p * NV * $lanes)), $load(b.add(p * NV * $lanes + $lanes))] }
                };
                let mut add = |i: usize, a: $t, b: &[$vector; NV]| {
                    for (sum, &b) in sums[i].iter_mut().zip(b) {
                        *sum = $fma($set(a), b, *sum);
                    }
                };
                match rows {
                    None => {
                        for p in 0..k {
                            let b = load_b(p);
                            // SAFETY: p < k and i < MR.
                            (0..MR).for_each(|i| add(i, unsafe { *a.add(p * MR + i) }, &b));
                        }
                    }
                    // One pointer for three rows, which the addressing modes of the CPU reach from it.
                    Some(row) => {
                        let mut at: [*const $t; MR / 3] = std::array::from_fn(|g| a.wrapping_offset(3 * g as isize * row));
                        for p in 0..k {
                            let b = load_b(p);
                            for (g, at) in at.iter_mut().enumerate() {
                                // SAFETY: element p of rows 3g to 3g + 2; the pointer ends at most one past its row.
                                unsafe {
                                    add(3 * g, **at, &b);
                                    add(3 * g + 1, *at.offset(row), &b);
                                    add(3 * g + 2, *at.offset(2 * row), &b);
                                    *at = at.wrapping_add(1);
                                }
                            }
                        }
                    }
                }
                for (i, sums) in sums.iter().enumerate() {
                    for (v, &sum) in sums.iter().enumerate() {
                        // SAFETY: the caller promises a block of MR rows of NV vectors, `stride` apart.
                        unsafe {
                            let to = acc.add(i * stride + v * $lanes);
                            let sum = if load { $fma($set(1.0), sum, $load(to)) } else { sum };
                            $store(to, sum);
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
                    $(Level::$level => Some(Kernel { mr: $mr, nr: 2 * $lanes, routine: $name }),)*
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
