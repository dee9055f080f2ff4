//! Dropout: the random bits of a draw, many at a time.
//!
//! They are those of the generator that [`DrawKey::block`] gives, ChaCha with 8 rounds (Bernstein, "ChaCha, a variant of
//! Salsa20", 2008), whose blocks of 16 numbers do not depend on one another: here each lane of a vector works on a block of
//! its own. Of a number only the comparison with the threshold is kept.

use crate::DrawKey;
use crate::dtype::Float;
use crate::kernels::parallel;
use crate::kernels::rows::{LANES, ask};
use crate::kernels::simd::vectorised;
use crate::random::BLOCK;

/// Numbers of a block of the generator.
const WORDS: usize = 16;
/// Blocks worked on side by side.
const SIDE: usize = 64;
/// Numbers of so many blocks.
const PART: usize = SIDE * WORDS;
/// The bit of each number of a block.
const BIT: [u32; WORDS] = {
    let mut bits = [0; WORDS];
    let mut w = 0;
    while w < WORDS {
        bits[w] = 1 << w;
        w += 1;
    }
    bits
};

/// One word of the state of each block.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Word([u32; SIDE]);

/// The quarter round on four words of the state.
#[inline(always)]
fn quarter(state: &mut [Word; WORDS], words: [usize; 4]) {
    let [a, b, c, d] = state.get_disjoint_mut(words).expect("four different words");
    for (((at_a, at_b), at_c), at_d) in a.0.iter_mut().zip(&mut b.0).zip(&mut c.0).zip(&mut d.0) {
        let (mut a, mut b, mut c, mut d) = (*at_a, *at_b, *at_c, *at_d);
        a = a.wrapping_add(b);
        d = (d ^ a).rotate_left(16);
        c = c.wrapping_add(d);
        b = (b ^ c).rotate_left(12);
        a = a.wrapping_add(b);
        d = (d ^ a).rotate_left(8);
        c = c.wrapping_add(d);
        b = (b ^ c).rotate_left(7);
        (*at_a, *at_b, *at_c, *at_d) = (a, b, c, d);
    }
}

/// Rounds on the columns and on the diagonals of the state.
#[inline(always)]
fn two_rounds(state: &mut [Word; WORDS]) {
    // Not a loop: the words' places are constants.
    quarter(state, [0, 4, 8, 12]);
    quarter(state, [1, 5, 9, 13]);
    quarter(state, [2, 6, 10, 14]);
    quarter(state, [3, 7, 11, 15]);
    quarter(state, [0, 5, 10, 15]);
    quarter(state, [1, 6, 11, 12]);
    quarter(state, [2, 7, 8, 13]);
    quarter(state, [3, 4, 9, 14]);
}

vectorised! {
    /// Which numbers of the blocks `first .. first + SIDE` are at least `threshold`: a bit for each number of a block. What
    /// the bits will be applied to is asked for meanwhile.
    fn kept<S, T: Float>(key: [u32; 8], first: u32, threshold: u32, bits: &mut [u32; SIDE], x: &[T], out: &[T]) {
        let mut start = [0; WORDS];
        // "expand 32-byte k"
        start[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
        start[4..12].copy_from_slice(&key);
        let mut start = start.map(|word| Word([word; SIDE]));
        start[12].0.iter_mut().zip(first..).for_each(|(number, block)| *number = block);
        let mut state = start;
        for i in 0..4 {
            for c in i * PART / LANES / 4..(i + 1) * PART / LANES / 4 {
                ask(x, 0, c);
                ask(out, 0, c);
            }
            two_rounds(&mut state);
        }
        *bits = [0; SIDE];
        for ((state, start), bit) in state.iter().zip(&start).zip(BIT) {
            for ((bits, state), start) in bits.iter_mut().zip(&state.0).zip(&start.0) {
                *bits |= if state.wrapping_add(*start) >= threshold { bit } else { 0 };
            }
        }
    }

    /// `out = scale x` where a bit is set, else 0.
    fn apply<S, T: Float>(bits: &[u32], scale: T, x: &[T], out: &mut [T]) {
        for ((out, x), &bits) in out.chunks_mut(WORDS).zip(x.chunks(WORDS)).zip(bits) {
            for ((out, &x), bit) in out.iter_mut().zip(x).zip(&BIT) {
                *out = if bits & bit != 0 { x * scale } else { T::ZERO };
            }
        }
    }
}

/// `out = scale x` where the draw's number is at least `threshold`, else 0.
pub(crate) fn dropout<T: Float>(key: DrawKey, threshold: u32, scale: T, x: &[T], out: &mut [T]) {
    parallel::for_each_chunk(out, BLOCK, |i, out| {
        let mut bits = [0; SIDE];
        let x = &x[i * BLOCK..][..out.len()];
        for (k, (out, x)) in out.chunks_mut(PART).zip(x.chunks(PART)).enumerate() {
            kept(key.words(i), (k * SIDE) as u32, threshold, &mut bits, x, out);
            apply(&bits, scale, x, out);
        }
    });
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn the_kept_elements_are_those_of_the_generator() {
        let key = DrawKey { seed: 0x0123_4567_89ab_cdef, counter: (7 << 32) + 5 };
        let x: Vec<f32> = (0..2 * BLOCK + 1000).map(|i| 1.0 + i as f32).collect();
        for threshold in [0, 1 << 30, u32::MAX] {
            let mut out = vec![f32::NAN; x.len()];
            dropout(key, threshold, 2.0, &x, &mut out);
            for (i, (out, x)) in out.chunks(BLOCK).zip(x.chunks(BLOCK)).enumerate() {
                let mut rng = key.block(i);
                for (out, x) in out.iter().zip(x) {
                    assert_eq!(*out, if rng.random::<u32>() >= threshold { 2.0 * x } else { 0.0 }, "{i}");
                }
            }
        }
    }
}
