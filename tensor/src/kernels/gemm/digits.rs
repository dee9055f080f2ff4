//! Products of 4-bit numbers with floats by instructions for bytes.
//!
//! The floats become whole numbers of three signed digits to the base 256, with one scale for a line of 128 of them; the sums of
//! products are exact until they become floats again.

use std::arch::x86_64::*;

use super::lanes::{Line, WIDTH};

/// The greatest magnitude in a line becomes this whole number: nearly what three digits from -128 to 127 hold, so that an element is
/// off by half a unit to one in the last place of a float as large as the greatest.
const GREATEST: f32 = 8_300_000.0;
/// Where in an arranged line the vector lies from which sums begin, and the one of the scale; before them there are two vectors of
/// bytes, for the lower and the upper four bits, for each digit from the lowest on.
const START: usize = 6;
const SCALE: usize = 7;
/// What was added to the 4-bit numbers.
const OFFSET: i8 = 8;

/// Brings a line of floats into digits. A line with an element that is not finite gets the scale NaN, as all sums of it will be.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn arrange(line: &mut Line) {
    // SAFETY: each load reads the array of 64 bytes that it is given.
    let x = unsafe { line.each_ref().map(|x| _mm512_loadu_ps(x.as_ptr())) };
    let (mut most, mut finite) = (_mm512_setzero_ps(), true);
    for x in x {
        most = _mm512_max_ps(most, _mm512_abs_ps(x));
        // The difference is NaN for an infinity as well.
        finite &= _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(_mm512_sub_ps(x, x), x) == 0;
    }
    // No smaller than a normal number, below which scales have few bits.
    let scale = (_mm512_reduce_max_ps(most) / GREATEST).max(f32::MIN_POSITIVE);
    let inverse = _mm512_set1_ps(1.0 / scale);
    let mut bytes = [[0_u8; 4 * WIDTH]; START];
    for (i, x) in x.into_iter().enumerate() {
        // Vectors for lower and upper bits take turns, and four of each make a line of bytes.
        let (part, upper) = (i / 2, i % 2);
        let mut rest = _mm512_cvtps_epi32(_mm512_mul_ps(x, inverse));
        for digit in 0..3 {
            let to = &mut bytes[2 * digit + upper][WIDTH * part..][..WIDTH];
            // SAFETY: there is room for sixteen bytes.
            unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(rest)) };
            // What is left without the digit, which is a byte from -128 to 127.
            rest = _mm512_srai_epi32::<8>(_mm512_add_epi32(rest, _mm512_set1_epi32(128)));
        }
    }
    // SAFETY: as above.
    let digits = unsafe { bytes.each_ref().map(|x| _mm512_loadu_si512(x.as_ptr().cast())) };
    let (zero, offset) = (_mm512_setzero_si512(), _mm512_set1_epi8(OFFSET));
    let start = _mm512_sub_epi32(zero, products(zero, [offset; 2], digits));
    let scale = _mm512_set1_ps(if finite { scale } else { f32::NAN });
    let all = digits.into_iter().chain([start, _mm512_castps_si512(scale)]);
    for (to, x) in line.iter_mut().zip(all) {
        // SAFETY: there is room for 64 bytes.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), x) };
    }
}

/// `start` plus the sums of products in each word, with the lower and the upper bits of its bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn products(start: __m512i, [lower, upper]: [__m512i; 2], digits: [__m512i; START]) -> __m512i {
    let mut sums = [start, _mm512_setzero_si512(), _mm512_setzero_si512()];
    for (digit, sum) in sums.iter_mut().enumerate() {
        *sum = _mm512_dpbusd_epi32(*sum, lower, digits[2 * digit]);
        *sum = _mm512_dpbusd_epi32(*sum, upper, digits[2 * digit + 1]);
    }
    // A sum of eight products fits into 30 bits: though its parts may overflow, it comes out right.
    let [low, middle, high] = sums;
    let high = _mm512_add_epi32(_mm512_slli_epi32::<8>(middle), _mm512_slli_epi32::<16>(high));
    _mm512_add_epi32(low, high)
}

/// `sums` plus the products of the `q - 8` of 16 words with an [arranged](arrange) line, times `scale`.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn add_words(sums: __m512, words: &[u8; 4 * WIDTH], x: &Line, scale: __m512) -> __m512 {
    // SAFETY: each load reads the array of 64 bytes that it is given.
    let (words, x) = unsafe {
        (_mm512_loadu_si512(words.as_ptr().cast()), x.each_ref().map(|x| _mm512_loadu_si512(x.as_ptr().cast())))
    };
    let four_bits = _mm512_set1_epi32(0x0f0f_0f0f);
    let lower = _mm512_and_si512(words, four_bits);
    let upper = _mm512_and_si512(_mm512_srli_epi32::<4>(words), four_bits);
    let digits = [x[0], x[1], x[2], x[3], x[4], x[5]];
    let total = _mm512_cvtepi32_ps(products(x[START], [lower, upper], digits));
    // The scales one after the other: their product may leave the range of normal numbers where the result does not.
    _mm512_fmadd_ps(_mm512_mul_ps(total, _mm512_castsi512_ps(x[SCALE])), scale, sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::lanes::{Avx2, Avx512, Lanes, Plain};
    use crate::kernels::simd::{Level, supported};
    use crate::{DType, Generator, Tensor};

    /// The sum of the products of a line of words with `x`, times `scale`.
    type Product = fn(&[u8; 4 * WIDTH], &Line, f32) -> f32;

    fn product<V: Lanes>(words: &[u8; 4 * WIDTH], x: &Line, scale: f32) -> f32 {
        let (mut x, mut sums) = (*x, [[V::splat(0.0); 2]]);
        V::arrange(&mut x);
        V::add_words(&mut sums, words, [&x], V::splat(scale));
        V::total(sums[0])
    }

    /// That of each level which this CPU has.
    fn levels() -> Vec<Product> {
        let mut levels: Vec<Product> = vec![product::<Plain>];
        if supported() >= Level::Avx2 {
            levels.push(product::<Avx2>);
        }
        if supported() >= Level::Avx512 {
            levels.push(product::<Avx512<false>>);
            if is_x86_feature_detected!("avx512vnni") {
                levels.push(product::<Avx512<true>>);
            }
        }
        levels
    }

    #[test]
    fn every_level_multiplies_lines_of_words() {
        let mut g = Generator::new(7);
        // The last has elements of all magnitudes, the one before it none but subnormal ones.
        let factors: [fn(usize) -> f32; 5] =
            [|_| 1.0, |_| 1e35, |_| 0.0, |_| 1e-41, |i| [1e-6, -1e-3, 1.0, -300.0][i % 4]];
        for round in 0..200 {
            let words: [u8; 4 * WIDTH] = Tensor::randint_with(0, 256, [64], &mut g).to_vec::<i64>()[..]
                .iter()
                .map(|&byte| if round < 5 { 0xff * (round % 2) as u8 } else { byte as u8 })
                .collect::<Vec<_>>()
                .try_into()
                .expect("64 bytes");
            let mut flat = Tensor::randn_with([128], DType::F32, &mut g).to_vec::<f32>();
            flat.iter_mut().enumerate().for_each(|(i, x)| *x *= factors[round % 5](i));
            let line = |flat: &[f32]| -> Line { std::array::from_fn(|i| *flat[WIDTH * i..].first_chunk().unwrap()) };
            let number = |byte: u8, upper: bool| ((byte >> (4 * upper as u32)) & 15) as f64 - 8.0;
            let products = (0..128).map(|i| {
                let byte = words[i / (2 * WIDTH) * WIDTH + i % WIDTH];
                0.5 * number(byte, i % (2 * WIDTH) >= WIDTH) * flat[i] as f64
            });
            let expected: f64 = products.sum();
            let most = flat.iter().fold(GREATEST * f32::MIN_POSITIVE, |most, x| most.max(x.abs())) as f64;
            for (level, product) in levels().iter().enumerate() {
                let y = product(&words, &line(&flat), 0.5) as f64;
                // As many roundings as products, of numbers up to eight times the greatest.
                assert!(
                    (y - expected).abs() <= 128.0 * 4.0 * most * 2.0_f64.powi(-24),
                    "{level}, {round}: {y} {expected}"
                );
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut flat = flat.clone();
                    flat[round % 128] = bad;
                    assert!(!product(&words, &line(&flat), 0.5).is_finite(), "{level}, {round}: {bad}");
                }
            }
        }
    }

    #[test]
    fn scales_at_the_ends_of_the_range_and_the_greatest_sums_do_no_harm() {
        let near = |y: f32, expected: f64| (y as f64 / expected - 1.0).abs() < 1e-6;
        for product in levels() {
            for x in [1.5, -1.5] {
                for (byte, q) in [(0x00, -8.0), (0xff, 7.0)] {
                    assert!(near(product(&[byte; 64], &[[x; WIDTH]; 8], 1.0), 128.0 * q * x as f64), "{x} {byte}");
                }
            }
            // In digits the product of the scales would be 0 in the first case and infinity in the second.
            assert!(near(product(&[0x99; 64], &[[0.1; WIDTH]; 8], 1.2e-38), 128.0 * 0.1 * 1.2e-38));
            assert_eq!(product(&[0x88; 64], &[[1e8; WIDTH]; 8], 4e37), 0.0);
        }
    }
}
