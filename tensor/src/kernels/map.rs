//! One input, one output, element by element.

use crate::Element;
use crate::kernels::parallel::{self, GRAIN};
use crate::kernels::rows::{LANES, ahead_by, ask};
use crate::kernels::simd::{Simd, vectorised};
use crate::kernels::walk::Walk;
use crate::tensor::View;

/// A function of one element, compiled for every vector level.
pub(crate) trait Map<T, U>: Copy + Send + Sync {
    /// Whether a call takes as long as memory does: then the CPU, which looks a few hundred instructions ahead, does not see
    /// the next lines early enough, and they are [asked for](ask).
    const SLOW: bool = false;

    fn call<S: Simd>(self, x: T) -> U;

    /// `call` without what only rare elements need.
    #[inline(always)]
    fn quick<S: Simd>(self, x: T) -> U {
        self.call::<S>(x)
    }

    /// Whether `quick` may be wrong for `x`.
    #[inline(always)]
    fn is_rare(self, _x: T) -> bool {
        false
    }
}

/// Conversion between element types.
#[derive(Clone, Copy)]
pub(crate) struct Cast;
impl<T: Element, U: Element> Map<T, U> for Cast {
    #[inline(always)]
    fn call<S: Simd>(self, x: T) -> U {
        x.cast()
    }
}

vectorised! {
    fn map_run<S, T: Element, U: Element, F: Map<T, U>>(f: F, x: &[T], out: &mut [U]) {
        if !F::SLOW {
            return out.iter_mut().zip(x).for_each(|(out, &x)| *out = f.quick::<S>(x));
        }
        let ((xs, x_rest), (outs, out_rest)) = (x.as_chunks::<LANES>(), out.as_chunks_mut::<LANES>());
        let ahead = ahead_by(AHEAD);
        for (x, out) in xs.iter().zip(outs) {
            ask(x, ahead, 0);
            ask(out, ahead, 0);
            for l in 0..LANES {
                out[l] = f.quick::<S>(x[l]);
            }
        }
        for (&x, out) in x_rest.iter().zip(out_rest) {
            *out = f.quick::<S>(x);
        }
    }
    fn any_rare<S, T: Element, U: Element, F: Map<T, U>>(f: F, x: &[T], _out: &[U]) -> bool {
        x.iter().fold(false, |any, &x| any | f.is_rare(x))
    }
    fn mend_run<S, T: Element, U: Element, F: Map<T, U>>(f: F, x: &[T], out: &mut [U]) {
        for (out, &x) in out.iter_mut().zip(x) {
            if f.is_rare(x) {
                *out = f.call::<S>(x);
            }
        }
    }
    fn map_run_in_place<S, T: Element, F: Map<T, T>>(f: F, x: &mut [T]) {
        for x in x {
            *x = f.call::<S>(*x);
        }
    }
}

/// `out[i] = f(x[i])` in row-major order.
pub(crate) fn map<T: Element, U: Element, F: Map<T, U>>(f: F, x: View<T>, out: &mut [U]) {
    map_runs(x, out, &|x, out| {
        // In parts that stay in the first-level cache for the second look.
        for (x, out) in x.chunks(PART).zip(out.chunks_mut(PART)) {
            map_run(f, x, out);
            if any_rare(f, x, out) {
                mend_run(f, x, out);
            }
        }
    });
}

/// Calls `run` with the stretches of `x` in row-major order, made contiguous, and the places for their results. Compiled
/// once per pair of types, not for every function.
fn map_runs<T: Element, U: Element>(x: View<T>, out: &mut [U], run: &(dyn Fn(&[T], &mut [U]) + Sync)) {
    if let Some(x) = x.as_slice() {
        return parallel::for_each_chunk(out, GRAIN, |i, out| run(&x[i * GRAIN..][..out.len()], out));
    }
    let walk = Walk::new([x.layout]);
    parallel::for_each_chunk(out, GRAIN, |i, out| {
        let first = i * GRAIN;
        let mut piece = Piece::new();
        let (_, [step]) = walk.inner();
        walk.for_runs(first..first + out.len(), |position, [at], len| {
            let out = &mut out[position - first..][..len];
            for (k, out) in out.chunks_mut(piece.len_for(step, len)).enumerate() {
                let done = k * PIECE;
                run(piece.load(x.data, at, step, done, out.len()), out);
            }
        });
    });
}

/// `x[i] = f(x[i])`.
pub(crate) fn map_in_place<T: Element, F: Map<T, T>>(f: F, x: &mut [T]) {
    parallel::for_each_chunk(x, GRAIN, |_, x| map_run_in_place(f, x));
}

/// Copies `x` into row-major order.
pub(crate) fn copy<T: Element>(x: View<T>, out: &mut [T]) {
    let walk = Walk::new([x.layout]);
    let (_, [step]) = walk.inner();
    parallel::for_each_chunk(out, GRAIN, |i, out| {
        let first = i * GRAIN;
        walk.for_runs(first..first + out.len(), |position, [at], len| {
            load(x.data, at, step, &mut out[position - first..][..len]);
        });
    });
}

/// Copies `x`, cut into blocks of `width` elements in row-major order, to `out`: block `i` goes to `i * row + first`.
pub(crate) fn copy_blocks<T: Element>(x: View<T>, width: usize, out: &mut [T], row: usize, first: usize) {
    let walk = Walk::new([x.layout]);
    let (_, [step]) = walk.inner();
    if width == 0 {
        return;
    }
    let rows = (GRAIN / row).max(1);
    parallel::for_each_chunk(out, rows * row, |i, out| {
        for (k, out) in out.chunks_mut(row).enumerate() {
            let from = (i * rows + k) * width;
            walk.for_runs(from..from + width, |position, [at], len| {
                load(x.data, at, step, &mut out[first + position - from..][..len]);
            });
        }
    });
}

/// How many elements ahead a slow function asks for memory.
pub(crate) const AHEAD: usize = 1024;

/// Elements that are mapped before the rare ones among them are looked for.
const PART: usize = 2048;

/// So many elements of a strided run are brought together at a time, in a buffer that stays in the first-level cache.
pub(crate) const PIECE: usize = 256;

/// Makes strided runs look contiguous, so that every kernel needs only a contiguous inner loop.
pub(crate) struct Piece<T> {
    buffer: [T; PIECE],
}

impl<T: Element> Piece<T> {
    #[inline]
    pub(crate) fn new() -> Self {
        Piece { buffer: [T::default(); PIECE] }
    }

    /// How much of a run of `len` elements is taken at once: all of it when it is contiguous.
    #[inline]
    pub(crate) fn len_for(&self, step: isize, len: usize) -> usize {
        if step == 1 { len } else { PIECE }
    }

    /// Elements `done .. done + len` of the run that starts at `at`.
    #[inline]
    pub(crate) fn load<'a>(&'a mut self, data: &'a [T], at: usize, step: isize, done: usize, len: usize) -> &'a [T] {
        if step == 1 {
            return &data[at + done..][..len];
        }
        let from = (at as isize + done as isize * step) as usize;
        load(data, from, step, &mut self.buffer[..len]);
        &self.buffer[..len]
    }
}

/// `out[i] = data[at + i * step]`.
#[inline]
fn load<T: Element>(data: &[T], at: usize, step: isize, out: &mut [T]) {
    match step {
        1 => out.copy_from_slice(&data[at..][..out.len()]),
        0 => out.fill(data[at]),
        _ => {
            let last = at as isize + (out.len() as isize - 1) * step;
            assert!(at < data.len() && last >= 0 && (last as usize) < data.len(), "a run leaves its storage");
            for (i, out) in out.iter_mut().enumerate() {
                // SAFETY: positions lie between the first and the last, which were just checked.
                *out = unsafe { *data.get_unchecked((at as isize + i as isize * step) as usize) };
            }
        }
    }
}
