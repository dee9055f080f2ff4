//! Sixteen numbers side by side, in the registers of each vector level, and how stored weights become them.
//!
//! Compilers do not turn plain loops over narrow integers and halves into these few instructions.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use half::f16;

#[cfg(target_arch = "x86_64")]
use super::digits;
use crate::kernels::rows::merge;
use crate::kernels::simd::{Portable, Simd};

/// How many there are.
pub(crate) const WIDTH: usize = 16;
/// What a cache line of 4-bit numbers, in 16 words of eight each, is multiplied by.
pub(crate) type Line = [[f32; WIDTH]; 8];

/// Sixteen f32. A type of a vector level is only used in functions that run after its instructions were detected.
pub(crate) trait Lanes: Copy {
    fn splat(x: f32) -> Self;
    fn of_f32(x: &[f32; WIDTH]) -> Self;
    fn of_bf16(bits: &[u16; WIDTH]) -> Self;
    fn of_f16(bits: &[u16; WIDTH]) -> Self;
    /// Bytes in two's complement.
    fn of_i8(bytes: &[u8; WIDTH]) -> Self;
    /// `scale (q - 8)` of the lower four bits of each byte and of the upper four.
    fn of_nibbles(bytes: &[u8; WIDTH], scale: f32) -> [Self; 2];
    /// `q - 8` of the `i`-th four bits of each four bytes, counted from the lowest of the first byte.
    fn of_words(bytes: &[u8; 4 * WIDTH], i: u32) -> Self;
    /// Each of the four bf16 four times.
    fn of_four_bf16(bits: &[u16; 4]) -> Self;
    /// `a * b + self`.
    fn add_product(self, a: Self, b: Self) -> Self;
    fn to_array(self) -> [f32; WIDTH];
    /// The sum of all lanes of both, in pairs.
    fn total(sums: [Self; 2]) -> f32;

    /// Brings what a line of words is multiplied by, element `j` or `j + WIDTH` of a chunk by the lower or the upper four bits of
    /// its byte `j`, into the order in which [`add_words`](Lanes::add_words) wants it.
    fn arrange(line: &mut Line) {
        let flat = *line;
        for (i, x) in line.iter_mut().enumerate() {
            // Byte `i / 2` of word `l`, and of it the lower or the upper half.
            let element = |l: usize| l / 4 * 2 * WIDTH + i % 2 * WIDTH + l % 4 * 4 + i / 2;
            *x = std::array::from_fn(|l| flat.as_flattened()[element(l)]);
        }
    }

    /// Adds the products of the `q - 8` of a line of words with each `x`, which was [arranged](Lanes::arrange), times `scale`. The
    /// sums of all lanes together are what counts.
    #[inline(always)]
    fn add_words<const M: usize>(sums: &mut [[Self; 2]; M], words: &[u8; 4 * WIDTH], x: [&Line; M], scale: Self) {
        widen_and_add(sums, words, x, scale);
    }
}

/// [`Lanes::add_words`] in floating point: a shift and a look-up widen sixteen numbers, and the scale is applied to sums of four
/// products.
#[inline(always)]
fn widen_and_add<V: Lanes, const M: usize>(sums: &mut [[V; 2]; M], words: &[u8; 4 * WIDTH], x: [&Line; M], scale: V) {
    let mut line = [[V::splat(0.0); 2]; M];
    for i in 0..8 {
        let w = V::of_words(words, i as u32);
        for (line, x) in line.iter_mut().zip(&x) {
            line[i % 2] = line[i % 2].add_product(w, V::of_f32(&x[i]));
        }
    }
    for (sums, line) in sums.iter_mut().zip(line) {
        for v in 0..2 {
            sums[v] = sums[v].add_product(line[v], scale);
        }
    }
}

/// For every CPU of the target.
#[derive(Clone, Copy)]
pub(super) struct Plain([f32; WIDTH]);

impl Lanes for Plain {
    #[inline(always)]
    fn splat(x: f32) -> Plain {
        Plain([x; WIDTH])
    }
    #[inline(always)]
    fn of_f32(x: &[f32; WIDTH]) -> Plain {
        Plain(*x)
    }
    #[inline(always)]
    fn of_bf16(bits: &[u16; WIDTH]) -> Plain {
        Plain(bits.map(|bits| f32::from_bits((bits as u32) << 16)))
    }
    #[inline(always)]
    fn of_f16(bits: &[u16; WIDTH]) -> Plain {
        Plain(bits.map(|bits| f16::from_bits(bits).to_f32()))
    }
    #[inline(always)]
    fn of_i8(bytes: &[u8; WIDTH]) -> Plain {
        Plain(bytes.map(|byte| byte as i8 as f32))
    }
    #[inline(always)]
    fn of_nibbles(bytes: &[u8; WIDTH], scale: f32) -> [Plain; 2] {
        let number = |q: u8| scale * (q as i8 - 8) as f32;
        [Plain(bytes.map(|byte| number(byte & 15))), Plain(bytes.map(|byte| number(byte >> 4)))]
    }
    #[inline(always)]
    fn of_words(bytes: &[u8; 4 * WIDTH], i: u32) -> Plain {
        let words = bytes.as_chunks().0;
        Plain(std::array::from_fn(|l| ((u32::from_le_bytes(words[l]) >> (4 * i)) & 15) as f32 - 8.0))
    }
    #[inline(always)]
    fn of_four_bf16(bits: &[u16; 4]) -> Plain {
        Plain(std::array::from_fn(|l| f32::from_bits((bits[l / 4] as u32) << 16)))
    }
    #[inline(always)]
    fn add_product(self, a: Plain, b: Plain) -> Plain {
        Plain(std::array::from_fn(|l| Portable::mul_add(a.0[l], b.0[l], self.0[l])))
    }
    #[inline(always)]
    fn to_array(self) -> [f32; WIDTH] {
        self.0
    }
    #[inline(always)]
    fn total([low, high]: [Plain; 2]) -> f32 {
        merge(std::array::from_fn::<f32, WIDTH, _>(|l| low.0[l] + high.0[l]), |a, b| a + b)
    }
}

/// What four bits stand for.
#[cfg(target_arch = "x86_64")]
const VALUES: [f32; WIDTH] = [-8., -7., -6., -5., -4., -3., -2., -1., 0., 1., 2., 3., 4., 5., 6., 7.];

/// Where the bytes of lanes come from when each of four 16-bit numbers becomes the upper half of four lanes: the highest bit
/// stands for a zero.
#[cfg(target_arch = "x86_64")]
const SPREAD: [u8; 4 * WIDTH] = {
    let mut from = [0x80; 4 * WIDTH];
    let mut l = 0;
    while l < WIDTH {
        from[4 * l + 2] = (l / 4 * 2) as u8;
        from[4 * l + 3] = (l / 4 * 2 + 1) as u8;
        l += 1;
    }
    from
};

/// One register of AVX-512, on a CPU that may also have VNNI: products of bytes, four of which are added up in a lane.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx512<const VNNI: bool>(__m512);

// SAFETY of the blocks here: the CPU has AVX-512 F, by the rule of the trait, and each load reads the array that it is given.
#[cfg(target_arch = "x86_64")]
impl<const VNNI: bool> Lanes for Avx512<VNNI> {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_set1_ps(x) })
    }
    #[inline(always)]
    fn of_f32(x: &[f32; WIDTH]) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_loadu_ps(x.as_ptr()) })
    }
    #[inline(always)]
    fn of_bf16(bits: &[u16; WIDTH]) -> Self {
        // SAFETY: see above.
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(bits.as_ptr().cast()));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide)))
        }
    }
    #[inline(always)]
    fn of_f16(bits: &[u16; WIDTH]) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(bits.as_ptr().cast())) })
    }
    #[inline(always)]
    fn of_i8(bytes: &[u8; WIDTH]) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(bytes.as_ptr().cast()))) })
    }
    #[inline(always)]
    fn of_nibbles(bytes: &[u8; WIDTH], scale: f32) -> [Self; 2] {
        // SAFETY: see above.
        unsafe {
            // A register holds all sixteen values, from which the lowest four bits of each lane choose.
            let values = _mm512_mul_ps(_mm512_set1_ps(scale), _mm512_loadu_ps(VALUES.as_ptr()));
            let low = _mm512_cvtepu8_epi32(_mm_loadu_si128(bytes.as_ptr().cast()));
            let high = _mm512_srli_epi32::<4>(low);
            [Self(_mm512_permutexvar_ps(low, values)), Self(_mm512_permutexvar_ps(high, values))]
        }
    }
    #[inline(always)]
    fn of_words(bytes: &[u8; 4 * WIDTH], i: u32) -> Self {
        // SAFETY: see above.
        unsafe {
            let words = _mm512_srlv_epi32(_mm512_loadu_si512(bytes.as_ptr().cast()), _mm512_set1_epi32(4 * i as i32));
            Self(_mm512_permutexvar_ps(words, _mm512_loadu_ps(VALUES.as_ptr())))
        }
    }
    #[inline(always)]
    fn of_four_bf16(bits: &[u16; 4]) -> Self {
        // SAFETY: see above; the CPU has AVX-512 BW as well.
        unsafe {
            let four = _mm512_set1_epi64(bits.as_ptr().cast::<i64>().read_unaligned());
            Self(_mm512_castsi512_ps(_mm512_shuffle_epi8(four, _mm512_loadu_si512(SPREAD.as_ptr().cast()))))
        }
    }
    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
    }
    #[inline(always)]
    fn to_array(self) -> [f32; WIDTH] {
        let mut out = [0.0; WIDTH];
        // SAFETY: see above; the array has room for sixteen.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) };
        out
    }
    #[inline(always)]
    fn total([low, high]: [Self; 2]) -> f32 {
        // SAFETY: see above; the CPU has AVX-512 DQ as well.
        unsafe {
            let sum = _mm512_add_ps(low.0, high.0);
            total_of_eight(_mm256_add_ps(_mm512_castps512_ps256(sum), _mm512_extractf32x8_ps::<1>(sum)))
        }
    }
    #[inline(always)]
    fn arrange(line: &mut Line) {
        if VNNI {
            // SAFETY: see above; the CPU has AVX-512 BW and VNNI as well.
            unsafe { digits::arrange(line) };
        } else {
            Plain::arrange(line);
        }
    }
    #[inline(always)]
    fn add_words<const M: usize>(sums: &mut [[Self; 2]; M], words: &[u8; 4 * WIDTH], x: [&Line; M], scale: Self) {
        if VNNI {
            for (sums, x) in sums.iter_mut().zip(x) {
                // SAFETY: see above; the CPU has AVX-512 VNNI as well.
                sums[0].0 = unsafe { digits::add_words(sums[0].0, words, x, scale.0) };
            }
        } else {
            widen_and_add(sums, words, x, scale);
        }
    }
}

/// The sum of eight lanes, in pairs.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
fn total_of_eight(x: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

/// Two registers of AVX2.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx2([__m256; 2]);

/// Both halves from one expression. A closure would be compiled without the vector instructions, and called.
#[cfg(target_arch = "x86_64")]
macro_rules! halves {
    ($at:ident = [$low:literal, $high:literal] => $half:expr) => {
        Avx2([
            {
                let $at = $low;
                $half
            },
            {
                let $at = $high;
                $half
            },
        ])
    };
}

// SAFETY of the blocks here: the CPU has AVX2, FMA and F16C, by the rule of the trait, and the loads read the halves of the
// array that they are given.
#[cfg(target_arch = "x86_64")]
impl Lanes for Avx2 {
    #[inline(always)]
    fn splat(x: f32) -> Avx2 {
        // SAFETY: see above.
        Avx2(unsafe { [_mm256_set1_ps(x); 2] })
    }
    #[inline(always)]
    fn of_f32(x: &[f32; WIDTH]) -> Avx2 {
        // SAFETY: see above.
        Avx2(unsafe { [_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x.as_ptr().add(8))] })
    }
    #[inline(always)]
    fn of_bf16(bits: &[u16; WIDTH]) -> Avx2 {
        // SAFETY: see above.
        halves!(at = [0, 8] => unsafe {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(bits.as_ptr().add(at).cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
        })
    }
    #[inline(always)]
    fn of_f16(bits: &[u16; WIDTH]) -> Avx2 {
        // SAFETY: see above.
        halves!(at = [0, 8] => unsafe { _mm256_cvtph_ps(_mm_loadu_si128(bits.as_ptr().add(at).cast())) })
    }
    #[inline(always)]
    fn of_i8(bytes: &[u8; WIDTH]) -> Avx2 {
        // SAFETY: see above.
        halves!(at = [0, 8] => unsafe {
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(bytes.as_ptr().add(at).cast())))
        })
    }
    #[inline(always)]
    fn of_nibbles(bytes: &[u8; WIDTH], scale: f32) -> [Avx2; 2] {
        /// `scale (q - 8)`.
        #[inline]
        #[target_feature(enable = "avx2")]
        fn number(q: __m256i, scale: f32) -> __m256 {
            let whole = _mm256_cvtepi32_ps(_mm256_sub_epi32(q, _mm256_set1_epi32(8)));
            _mm256_mul_ps(_mm256_set1_ps(scale), whole)
        }
        // SAFETY: see above.
        let low = halves!(at = [0, 8] => unsafe {
            let bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes.as_ptr().add(at).cast()));
            number(_mm256_and_si256(bytes, _mm256_set1_epi32(15)), scale)
        });
        // SAFETY: see above.
        let high = halves!(at = [0, 8] => unsafe {
            let bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes.as_ptr().add(at).cast()));
            number(_mm256_srli_epi32::<4>(bytes), scale)
        });
        [low, high]
    }
    #[inline(always)]
    fn of_words(bytes: &[u8; 4 * WIDTH], i: u32) -> Avx2 {
        // SAFETY: see above.
        halves!(at = [0, 32] => unsafe {
            let words = _mm256_loadu_si256(bytes.as_ptr().add(at).cast());
            let words = _mm256_srlv_epi32(words, _mm256_set1_epi32(4 * i as i32));
            let whole = _mm256_sub_epi32(_mm256_and_si256(words, _mm256_set1_epi32(15)), _mm256_set1_epi32(8));
            _mm256_cvtepi32_ps(whole)
        })
    }
    #[inline(always)]
    fn of_four_bf16(bits: &[u16; 4]) -> Avx2 {
        // SAFETY: see above; both halves of the table are read.
        halves!(at = [0, 32] => unsafe {
            let four = _mm256_set1_epi64x(bits.as_ptr().cast::<i64>().read_unaligned());
            let spread = _mm256_loadu_si256(SPREAD.as_ptr().add(at).cast());
            _mm256_castsi256_ps(_mm256_shuffle_epi8(four, spread))
        })
    }
    #[inline(always)]
    fn add_product(self, a: Avx2, b: Avx2) -> Avx2 {
        // SAFETY: see above.
        halves!(v = [0, 1] => unsafe { _mm256_fmadd_ps(a.0[v], b.0[v], self.0[v]) })
    }
    #[inline(always)]
    fn to_array(self) -> [f32; WIDTH] {
        let mut out = [0.0; WIDTH];
        // SAFETY: see above; the array has room for twice eight.
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr(), self.0[0]);
            _mm256_storeu_ps(out.as_mut_ptr().add(8), self.0[1]);
        }
        out
    }
    #[inline(always)]
    fn total([low, high]: [Avx2; 2]) -> f32 {
        // SAFETY: see above.
        unsafe {
            let sums = [_mm256_add_ps(low.0[0], high.0[0]), _mm256_add_ps(low.0[1], high.0[1])];
            total_of_eight(_mm256_add_ps(sums[0], sums[1]))
        }
    }
}

/// Runs `$call`, in which `$v` stands for the lanes of the level in use, inside a function that may use its instructions.
macro_rules! at_level {
    (fn $name:ident<$f:ident: $bound:path, $v:ident>($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        pub(crate) fn $name<$f: $bound>($($arg: $ty),*) {
            #[allow(clippy::too_many_arguments)]
            #[inline(always)]
            fn body<$f: $bound, $v: $crate::kernels::gemm::lanes::Lanes>($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                use $crate::kernels::gemm::lanes::{Avx2, Avx512};
                use $crate::kernels::simd::{Level, level};

                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
                fn avx512<$f: $bound>($($arg: $ty),*) {
                    body::<$f, Avx512<false>>($($arg),*)
                }
                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
                fn vnni<$f: $bound>($($arg: $ty),*) {
                    body::<$f, Avx512<true>>($($arg),*)
                }
                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx2,fma,f16c")]
                fn avx2<$f: $bound>($($arg: $ty),*) {
                    body::<$f, Avx2>($($arg),*)
                }
                match level() {
                    // SAFETY: level() reports AVX-512 only after detecting every feature that is enabled here but VNNI.
                    Level::Avx512 if is_x86_feature_detected!("avx512vnni") => return unsafe { vnni::<$f>($($arg),*) },
                    // SAFETY: as above; here VNNI is not enabled.
                    Level::Avx512 => return unsafe { avx512::<$f>($($arg),*) },
                    // SAFETY: as above, for AVX2, FMA and F16C.
                    Level::Avx2 => return unsafe { avx2::<$f>($($arg),*) },
                    Level::Portable => {}
                }
            }
            body::<$f, $crate::kernels::gemm::lanes::Plain>($($arg),*)
        }
    };
}
pub(super) use at_level;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::simd::{Level, supported};

    /// All the ways to sixteen numbers, of bytes and halves made from `seed`.
    fn all<V: Lanes>(seed: u32) -> Vec<[f32; WIDTH]> {
        let halves: [u16; WIDTH] = std::array::from_fn(|i| (seed * WIDTH as u32 + i as u32) as u16);
        let bytes = halves.map(|half| half as u8);
        let floats = halves.map(|half| half as f32 - 30000.0);
        let [low, high] = V::of_nibbles(&bytes, 0.375);
        let (x, y) = (V::of_f32(&floats), V::of_i8(&bytes));
        let words: [u8; 4 * WIDTH] = std::array::from_fn(|i| (seed as usize * 31 + i * 37) as u8);
        let four = std::array::from_fn(|i| halves[i]);
        let mut all = vec![
            x,
            y,
            V::of_bf16(&halves),
            V::of_f16(&halves),
            low,
            high,
            V::splat(0.5).add_product(x, y),
            V::of_four_bf16(&four),
        ];
        all.extend((0..8).map(|i| V::of_words(&words, i)));
        all.into_iter().map(V::to_array).collect()
    }

    #[test]
    fn every_level_widens_every_pattern_to_its_value() {
        for seed in 0..4096 {
            let plain = all::<Plain>(seed);
            let mut levels = Vec::new();
            #[cfg(target_arch = "x86_64")]
            {
                if supported() >= Level::Avx2 {
                    levels.push(all::<Avx2>(seed));
                }
                if supported() >= Level::Avx512 {
                    levels.push(all::<Avx512<false>>(seed));
                }
            }
            let values = [2, 3].map(|kind| {
                std::array::from_fn::<f32, WIDTH, _>(|i| {
                    let bits = (seed * WIDTH as u32 + i as u32) as u16;
                    if kind == 2 { half::bf16::from_bits(bits).to_f32() } else { f16::from_bits(bits).to_f32() }
                })
            });
            let same = |x: f32, y: f32| x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
            let equal = |x: &[f32; WIDTH], y: &[f32; WIDTH]| x.iter().zip(y).all(|(&x, &y)| same(x, y));
            assert!(equal(&plain[2], &values[0]) && equal(&plain[3], &values[1]), "{seed}");
            for level in levels {
                for (kind, (x, y)) in level.iter().zip(&plain).enumerate() {
                    assert!(equal(x, y), "{seed} {kind}: {x:?} {y:?}");
                }
            }
        }
    }
}
