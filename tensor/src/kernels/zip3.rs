//! Three inputs of one (broadcast) shape, one output, element by element.

use crate::Element;
use crate::kernels::map::{PIECE, Piece};
use crate::kernels::parallel::{self, GRAIN};
use crate::kernels::simd::{Simd, vectorised};
use crate::kernels::walk::Walk;
use crate::tensor::View;

/// A function of three elements, compiled for every vector level.
pub(crate) trait Zip3<T>: Copy + Send + Sync {
    fn call<S: Simd>(self, a: T, b: T, c: T) -> T;
}

vectorised! {
    fn zip3_run<S, T: Element, F: Zip3<T>>(f: F, a: &[T], b: &[T], c: &[T], out: &mut [T]) {
        for (((out, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
            *out = f.call::<S>(a, b, c);
        }
    }
}

/// `out[i] = f(a[i], b[i], c[i])` in row-major order; the layouts have the same shape.
pub(crate) fn zip3<T: Element, F: Zip3<T>>(f: F, [a, b, c]: [View<T>; 3], out: &mut [T]) {
    let walk = Walk::new([a.layout, b.layout, c.layout]);
    let (_, steps) = walk.inner();
    let whole = steps == [1; 3];
    parallel::for_each_chunk(out, GRAIN, |i, out| {
        let first = i * GRAIN;
        let (mut left, mut middle, mut right) = (Piece::new(), Piece::new(), Piece::new());
        walk.for_runs(first..first + out.len(), |position, at, len| {
            let out = &mut out[position - first..][..len];
            for (k, out) in out.chunks_mut(if whole { len } else { PIECE }).enumerate() {
                let (done, len) = (k * PIECE, out.len());
                let a = left.load(a.data, at[0], steps[0], done, len);
                let b = middle.load(b.data, at[1], steps[1], done, len);
                zip3_run(f, a, b, right.load(c.data, at[2], steps[2], done, len), out);
            }
        });
    });
}
