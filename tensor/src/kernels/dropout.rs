//! Dropout: the random numbers of a draw, many at a time.
//!
//! They are those of the generator that [`DrawKey::block`] gives, ChaCha with 8 rounds (Bernstein, "ChaCha, a variant of
//! Salsa20", 2008), whose blocks of 16 numbers do not depend on one another: here each lane of a vector works on a block of
//! its own. Neighbouring elements get numbers of different blocks, so that none has to change its lane.

use crate::DrawKey;
use crate::dtype::Float;
use crate::kernels::parallel;
use crate::kernels::rows::{LANES, ahead_by, ask};
use crate::kernels::simd::vectorised;
use crate::random::BLOCK;

/// Numbers of a block of the generator.
const WORDS: usize = 16;
/// Blocks worked on side by side. Part of the format: with another number each element would get another random one.
const SIDE: usize = 32;
/// Elements that get the numbers of so many blocks: element `e` that of block `e % SIDE` and of its word `e / SIDE`.
const PART: usize = SIDE * WORDS;

/// One word of the state of each block.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Word([u32; SIDE]);

/// `a + b`.
#[inline(always)]
fn sum(a: Word, b: Word) -> Word {
    let mut out = a;
    out.0.iter_mut().zip(b.0).for_each(|(a, b)| *a = a.wrapping_add(b));
    out
}

/// The bits in which `a` and `b` differ, rotated.
#[inline(always)]
fn mixed(a: Word, b: Word, rotation: u32) -> Word {
    let mut out = a;
    out.0.iter_mut().zip(b.0).for_each(|(a, b)| *a = (*a ^ b).rotate_left(rotation));
    out
}

/// The quarter round on four words of the state: word by word, so that as much as there is room for stays in registers.
#[inline(always)]
fn quarter(state: &mut [Word; WORDS], [a, b, c, d]: [usize; 4]) {
    state[a] = sum(state[a], state[b]);
    state[d] = mixed(state[d], state[a], 16);
    state[c] = sum(state[c], state[d]);
    state[b] = mixed(state[b], state[c], 12);
    state[a] = sum(state[a], state[b]);
    state[d] = mixed(state[d], state[a], 8);
    state[c] = sum(state[c], state[d]);
    state[b] = mixed(state[b], state[c], 7);
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
    /// `out = scale x` where the number from blocks `first .. first + SIDE` is at least `threshold`, else 0. What comes after
    /// `x` and `out`, or they themselves, is [asked for](ahead_by) meanwhile.
    fn part<S, T: Float>(key: [u32; 8], first: u32, threshold: u32, scale: T, x: &[T; PART], out: &mut [T; PART]) {
        // "expand 32-byte k"
        let constants = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
        let mut start = [Word([0; SIDE]); WORDS];
        for (start, word) in start.iter_mut().zip(constants.into_iter().chain(key)) {
            *start = Word([word; SIDE]);
        }
        start[12].0.iter_mut().zip(first..).for_each(|(number, block)| *number = block);
        let (mut state, ahead) = (start, ahead_by(PART));
        for i in 0..4 {
            for c in i * PART / LANES / 4..(i + 1) * PART / LANES / 4 {
                ask(x, ahead, c);
                ask(out, ahead, c);
            }
            two_rounds(&mut state);
        }
        for (w, (state, start)) in state.iter().zip(&start).enumerate() {
            let (x, out) = (&x[w * SIDE..][..SIDE], &mut out[w * SIDE..][..SIDE]);
            for l in 0..SIDE {
                out[l] = if state.0[l].wrapping_add(start.0[l]) >= threshold { x[l] * scale } else { T::ZERO };
            }
        }
    }
}

/// `out = scale x` where the draw's number is at least `threshold`, else 0.
pub(crate) fn dropout<T: Float>(key: DrawKey, threshold: u32, scale: T, x: &[T], out: &mut [T]) {
    parallel::for_each_chunk(out, BLOCK, |i, out| {
        let x = &x[i * BLOCK..][..out.len()];
        let ((outs, out_rest), (xs, x_rest)) = (out.as_chunks_mut::<PART>(), x.as_chunks::<PART>());
        for (k, (out, x)) in outs.iter_mut().zip(xs).enumerate() {
            part(key.words(i), (k * SIDE) as u32, threshold, scale, x, out);
        }
        if !x_rest.is_empty() {
            let (mut x, mut out) = ([T::ZERO; PART], [T::ZERO; PART]);
            x[..x_rest.len()].copy_from_slice(x_rest);
            part(key.words(i), (xs.len() * SIDE) as u32, threshold, scale, &x, &mut out);
            out_rest.copy_from_slice(&out[..x_rest.len()]);
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
                for (out, x) in out.chunks(PART).zip(x.chunks(PART)) {
                    let numbers: Vec<u32> = (0..PART).map(|_| rng.random()).collect();
                    for (e, (out, x)) in out.iter().zip(x).enumerate() {
                        let kept = numbers[e % SIDE * WORDS + e / SIDE] >= threshold;
                        assert_eq!(*out, if kept { 2.0 * x } else { 0.0 }, "{i}: {e}");
                    }
                }
            }
        }
    }
}
