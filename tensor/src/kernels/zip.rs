//! Two or three inputs of one (broadcast) shape, one output, element by element.

use crate::Element;
use crate::kernels::map::{AHEAD, PIECE, Piece};
use crate::kernels::parallel::{self, GRAIN};
use crate::kernels::rows::{LANES, ahead_by, ask};
use crate::kernels::simd::{Simd, vectorised};
use crate::kernels::walk::Walk;
use crate::tensor::View;

/// A function of two elements, compiled for every vector level.
pub(crate) trait Zip<T, U>: Copy + Send + Sync {
    /// Whether a call takes as long as memory does: see [`Map::SLOW`](crate::kernels::map::Map::SLOW).
    const SLOW: bool = false;

    fn call<S: Simd>(self, a: T, b: T) -> U;
}

vectorised! {
    fn zip_run<S, T: Element, U: Element, F: Zip<T, U>>(f: F, a: &[T], b: &[T], out: &mut [U]) {
        if !F::SLOW {
            return out.iter_mut().zip(a).zip(b).for_each(|((out, &a), &b)| *out = f.call::<S>(a, b));
        }
        let ((xs, a_rest), (ys, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        let (outs, out_rest) = out.as_chunks_mut::<LANES>();
        let ahead = ahead_by(AHEAD);
        for ((a, b), out) in xs.iter().zip(ys).zip(outs) {
            ask(a, ahead, 0);
            ask(b, ahead, 0);
            ask(out, ahead, 0);
            for l in 0..LANES {
                out[l] = f.call::<S>(a[l], b[l]);
            }
        }
        for ((&a, &b), out) in a_rest.iter().zip(b_rest).zip(out_rest) {
            *out = f.call::<S>(a, b);
        }
    }
    fn zip_run_in_place<S, T: Element, F: Zip<T, T>>(f: F, a: &mut [T], b: &[T]) {
        for (a, &b) in a.iter_mut().zip(b) {
            *a = f.call::<S>(*a, b);
        }
    }
}

/// How much of a run of `len` elements is taken at once: all of it only if every operand is contiguous in it.
fn piece_len(steps: &[isize], len: usize) -> usize {
    if steps.iter().all(|&s| s == 1) { len } else { PIECE }
}

/// `out[i] = f(a[i], b[i])` in row-major order; the layouts have the same shape.
pub(crate) fn zip<T: Element, U: Element, F: Zip<T, U>>(f: F, a: View<T>, b: View<T>, out: &mut [U]) {
    zip_runs(a, b, out, &|a, b, out| zip_run(f, a, b, out));
}

/// What `zip_runs` calls for a stretch of both operands and of the result.
type ZipRun<'a, T, U> = &'a (dyn Fn(&[T], &[T], &mut [U]) + Sync);

/// Calls `run` with stretches of both operands in row-major order, made contiguous, and the places for their results.
fn zip_runs<T: Element, U: Element>(a: View<T>, b: View<T>, out: &mut [U], run: ZipRun<T, U>) {
    if let (Some(a), Some(b)) = (a.as_slice(), b.as_slice()) {
        return parallel::for_each_chunk(out, GRAIN, |i, out| {
            let range = i * GRAIN..i * GRAIN + out.len();
            run(&a[range.clone()], &b[range], out);
        });
    }
    let walk = Walk::new([a.layout, b.layout]);
    let (_, steps) = walk.inner();
    parallel::for_each_chunk(out, GRAIN, |i, out| {
        let first = i * GRAIN;
        let (mut left, mut right) = (Piece::new(), Piece::new());
        walk.for_runs(first..first + out.len(), |position, at, len| {
            let out = &mut out[position - first..][..len];
            for (k, out) in out.chunks_mut(piece_len(&steps, len)).enumerate() {
                let (done, len) = (k * PIECE, out.len());
                let a = left.load(a.data, at[0], steps[0], done, len);
                run(a, right.load(b.data, at[1], steps[1], done, len), out);
            }
        });
    });
}

/// `a[i] = f(a[i], b[i])`, where `b` is laid out over the shape of the contiguous `a`.
pub(crate) fn zip_in_place<T: Element, F: Zip<T, T>>(f: F, a: &mut [T], b: View<T>) {
    zip_runs_in_place(a, b, &|a, b| zip_run_in_place(f, a, b));
}

/// As [`zip_runs`], with the result in the place of the first operand.
fn zip_runs_in_place<T: Element>(a: &mut [T], b: View<T>, run: &(dyn Fn(&mut [T], &[T]) + Sync)) {
    if let Some(b) = b.as_slice() {
        return parallel::for_each_chunk(a, GRAIN, |i, a| {
            let len = a.len();
            run(a, &b[i * GRAIN..][..len]);
        });
    }
    let walk = Walk::new([b.layout]);
    let (_, steps) = walk.inner();
    parallel::for_each_chunk(a, GRAIN, |i, a| {
        let first = i * GRAIN;
        let mut right = Piece::new();
        walk.for_runs(first..first + a.len(), |position, [at], len| {
            let a = &mut a[position - first..][..len];
            for (k, a) in a.chunks_mut(piece_len(&steps, len)).enumerate() {
                let len = a.len();
                run(a, right.load(b.data, at, steps[0], k * PIECE, len));
            }
        });
    });
}

/// `out[i] = if condition[i] { a[i] } else { b[i] }`; the layouts have the same shape.
pub(crate) fn select<T: Element>(condition: View<bool>, a: View<T>, b: View<T>, out: &mut [T]) {
    let walk = Walk::new([condition.layout, a.layout, b.layout]);
    let (_, steps) = walk.inner();
    parallel::for_each_chunk(out, GRAIN, |i, out| {
        let first = i * GRAIN;
        let (mut which, mut left, mut right) = (Piece::new(), Piece::new(), Piece::new());
        walk.for_runs(first..first + out.len(), |position, at, len| {
            let out = &mut out[position - first..][..len];
            for (k, out) in out.chunks_mut(piece_len(&steps, len)).enumerate() {
                let (done, len) = (k * PIECE, out.len());
                let which = which.load(condition.data, at[0], steps[0], done, len);
                let a = left.load(a.data, at[1], steps[1], done, len);
                let b = right.load(b.data, at[2], steps[2], done, len);
                for (((out, &which), &a), &b) in out.iter_mut().zip(which).zip(a).zip(b) {
                    *out = if which { a } else { b };
                }
            }
        });
    });
}
