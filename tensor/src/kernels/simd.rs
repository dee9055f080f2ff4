//! Which vector instructions a kernel may use, decided when the program runs.
//!
//! A kernel is written once, as a plain loop that the compiler can vectorise. The [`vectorised!`] macro compiles that
//! loop several times, for AVX-512, for AVX2 with FMA, and for whatever every CPU of the target has, and picks the best
//! one that this CPU supports. Nobody needs a `target-cpu` flag.

use std::sync::OnceLock;

use crate::dtype::Float;

/// The vector levels, from the least to the most capable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What every CPU of the target architecture has (SSE2, NEON).
    Portable,
    /// AVX2, FMA and F16C: 8 floats.
    Avx2,
    /// AVX-512 F, BW, DQ, VL: 16 floats.
    Avx512,
}

/// The level in use: the CPU's best, or the lower one named by the environment variable `GRADUS_SIMD`
/// (`portable`, `avx2`, `avx512`), which is read once.
#[inline]
pub(crate) fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let wanted = match std::env::var("GRADUS_SIMD").as_deref() {
            Ok("portable") => Level::Portable,
            Ok("avx2") => Level::Avx2,
            _ => Level::Avx512,
        };
        wanted.min(supported())
    })
}

/// The best level of this CPU.
#[cfg(target_arch = "x86_64")]
pub(crate) fn supported() -> Level {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (true, true) => Level::Avx512,
        (true, false) => Level::Avx2,
        _ => Level::Portable,
    }
}

/// The best level of this CPU.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn supported() -> Level {
    Level::Portable
}

/// Asks for the cache line at an address, which need not be one that the program has.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    ask_for::<T, false>(at);
}

/// The same for a line that is not needed soon: it comes into the second-level cache only.
#[inline(always)]
pub(crate) fn prefetch_far<T>(at: *const T) {
    ask_for::<T, true>(at);
}

#[inline(always)]
fn ask_for<T, const FAR: bool>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
        // SAFETY: every CPU of this architecture has the instruction, a hint that reads nothing, whatever the address.
        unsafe { if FAR { _mm_prefetch::<_MM_HINT_T1>(at.cast()) } else { _mm_prefetch::<_MM_HINT_T0>(at.cast()) } }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// What a kernel body may ask of the level that it is compiled for.
pub(crate) trait Simd: Copy + Send + Sync {
    /// Whether a fused multiply-add is one instruction here (as a library call it would be very slow).
    const FMA: bool;

    /// `a * b + c`, fused where that is fast.
    #[inline(always)]
    fn mul_add<T: Float>(a: T, b: T, c: T) -> T {
        if Self::FMA { a.fused_mul_add(b, c) } else { a * b + c }
    }
}

/// Code for every CPU of the target.
#[derive(Clone, Copy)]
pub(crate) struct Portable;
impl Simd for Portable {
    const FMA: bool = cfg!(target_arch = "aarch64");
}

/// Code that runs only where FMA was detected.
#[derive(Clone, Copy)]
pub(crate) struct Fused;
impl Simd for Fused {
    const FMA: bool = true;
}

/// Defines functions whose body is compiled once per vector level and chosen at run time.
///
/// The first type parameter stands for the level (`S::mul_add`); callers do not see it. Type parameters take one bound.
///
/// ```text
/// vectorised! {
///     /// `y += a * x`.
///     pub(crate) fn axpy<S, T: Float>(a: T, x: &[T], y: &mut [T]) {
///         for (y, &x) in y.iter_mut().zip(x) { *y = S::mul_add(a, x, *y); }
///     }
/// }
/// ```
macro_rules! vectorised {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident<$s:ident $(, $g:ident: $bound:path)*>
        ($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block)*) => {$(
        $(#[$meta])*
        $vis fn $name<$($g: $bound),*>($($arg: $ty),*) $(-> $ret)? {
            #[allow(clippy::too_many_arguments)]
            #[inline(always)]
            fn body<$s: $crate::kernels::simd::Simd $(, $g: $bound)*>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                use $crate::kernels::simd::{Fused, Level, level};

                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512<$($g: $bound),*>($($arg: $ty),*) $(-> $ret)? {
                    body::<Fused $(, $g)*>($($arg),*)
                }
                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx2,fma")]
                fn avx2<$($g: $bound),*>($($arg: $ty),*) $(-> $ret)? {
                    body::<Fused $(, $g)*>($($arg),*)
                }
                match level() {
                    // SAFETY: level() reports AVX-512 only after detecting every feature that is enabled here.
                    Level::Avx512 => return unsafe { avx512::<$($g),*>($($arg),*) },
                    // SAFETY: as above, for AVX2 and FMA.
                    Level::Avx2 => return unsafe { avx2::<$($g),*>($($arg),*) },
                    Level::Portable => {}
                }
            }
            body::<$crate::kernels::simd::Portable $(, $g)*>($($arg),*)
        }
    )*};
}
pub(crate) use vectorised;
