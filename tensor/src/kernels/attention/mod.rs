//! Tiled attention: `softmax(q k^T scale + mask) v` and its gradients, without ever holding the scores of more than one
//! tile (Dao et al., "FlashAttention", 2022).
//!
//! A task is one head (or some of its queries). It takes a block of `nr` queries at a time and walks over the keys in
//! tiles. Everything is held transposed, one row per key and one column per query: so the softmax over keys runs down
//! the columns with no sums across a vector, and a tile of weights is already the packed operand that the GEMM's
//! micro-kernel wants for the product with the values.
//!
//! A few queries, as in decoding, take another way: see `few`.
//!
//! In the names, `t` marks transposed tiles, and a panel is an operand packed for the micro-kernel: `panel[p][i]`.

mod ahead;
mod backward;
mod few;
mod operands;
mod tile;

use std::ops::Range;

use crate::kernels::gemm::micro::{Kernel, Left, Micro, Tile};
use crate::kernels::gemm::{Matrix, plain};
use crate::kernels::math::Math;
use crate::kernels::parallel::{self, SharedMut};
use crate::kernels::walk::Walk;
use crate::storage::Storage;
use crate::tensor::View;

use ahead::Ahead;
pub(crate) use backward::{Saved, backward};
use operands::{RowsMut, copy_rows, pack_columns, pack_rows, scale, turn, write_rows};
use tile::{Running, hide, scale_columns, settle, weigh};

/// Micro-kernel panels of keys in a tile.
const PANELS: usize = 20;
/// The widest block of queries.
const WIDEST: usize = 32;
/// Fewer multiplications than this are one task.
const SMALL: usize = 64 * 1024;
/// With fewer heads than this, the queries of a head are shared between tasks.
const ENOUGH: usize = 16;

/// Float types that attention runs in.
pub(crate) trait Attend: Math + Micro {}
impl<T: Math + Micro> Attend for T {}

/// The matrices `[t, d]` of all heads of an operand laid out as `[.., t, d]`.
pub(crate) struct Heads<'a, T> {
    data: &'a [T],
    starts: Vec<usize>,
    strides: [isize; 2],
}

impl<'a, T: crate::Element> Heads<'a, T> {
    pub(crate) fn new(x: View<'a, T>) -> Self {
        let d = x.layout.shape.len() - 2;
        let walk = Walk::over(&x.layout.shape[..d], [&x.layout.strides[..d]], [x.layout.offset]);
        let (_, [step]) = walk.inner();
        let mut starts = Vec::with_capacity(walk.total());
        walk.for_runs(0..walk.total(), |_, [at], len| {
            starts.extend((0..len as isize).map(|i| (at as isize + i * step) as usize));
        });
        Heads { data: x.data, starts, strides: [x.layout.strides[d], x.layout.strides[d + 1]] }
    }

    fn of(&self, head: usize) -> Matrix<'a, T> {
        Matrix { data: self.data, offset: self.starts[head], row: self.strides[0], column: self.strides[1] }
    }
}

/// The operands of an attention, all heads of them.
pub(crate) struct Problem<'a, T> {
    pub(crate) q: Heads<'a, T>,
    pub(crate) k: Heads<'a, T>,
    pub(crate) v: Heads<'a, T>,
    /// Added to the scaled scores, `[tq, tk]`.
    pub(crate) mask: Option<Heads<'a, T>>,
    pub(crate) causal: bool,
    pub(crate) scale: T,
    /// Queries, keys, features of a query, features of a value.
    pub(crate) size: Size,
    /// Heads side by side in the outputs, whose memory is `[b, t, h, d]`.
    pub(crate) across: usize,
}

#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) tq: usize,
    pub(crate) tk: usize,
    pub(crate) d: usize,
    pub(crate) dv: usize,
}

impl<T: Attend> Problem<'_, T> {
    fn heads(&self) -> usize {
        self.q.starts.len()
    }

    /// Keys that a block of queries can see.
    fn keys(&self, queries: &Range<usize>) -> usize {
        if self.causal { self.size.tk.min(queries.end) } else { self.size.tk }
    }

    /// The rows of `head` from row `t` on in an output of `len` rows of `width` elements per head.
    ///
    /// # Safety
    /// Nobody else may use them as long as what this returns lives.
    unsafe fn rows<'b>(
        &self,
        out: &'b SharedMut<T>,
        head: usize,
        t: usize,
        len: usize,
        width: usize,
    ) -> RowsMut<'b, T> {
        // SAFETY: passed on to the caller.
        unsafe { RowsMut::new(out, self.row(head, t, len, width), self.across * width, width) }
    }

    /// Where row `t` of `head` lies in an output of `len` rows of `width` elements per head.
    fn row(&self, head: usize, t: usize, len: usize, width: usize) -> usize {
        ((head / self.across * len + t) * self.across + head % self.across) * width
    }

    /// Adds the masks to a tile of scores whose first row is key `first`.
    fn mask_tile(&self, head: usize, queries: &Range<usize>, first: usize, nr: usize, tile: &mut [T]) {
        if let Some(mask) = &self.mask {
            let mask = mask.of(head);
            for (j, row) in tile.chunks_exact_mut(nr).enumerate() {
                for (i, s) in queries.clone().zip(row) {
                    *s += mask.data[mask.at(i, first + j)];
                }
            }
        }
        if self.causal {
            // The first row whose key comes after the first query.
            let seen = (queries.start + 1).saturating_sub(first);
            hide(nr, tile, seen, first + seen - queries.start);
        }
    }
}

/// The micro-kernel in use and what follows from its sizes.
fn kernel<T: Attend>() -> Kernel<T> {
    let kernel = T::kernel().unwrap_or_else(plain::kernel);
    assert!(kernel.nr <= WIDEST);
    kernel
}

/// `c[i][j] (+)= sum over p of a[p][i] b[p][j]`: some panels of A, one panel of B, C with rows `stride` apart.
struct Product<'a, T> {
    depth: usize,
    /// A's panels start so many elements apart.
    apart: usize,
    /// If A is not packed, how far apart its rows lie.
    row: Option<usize>,
    a: &'a [T],
    b: &'a [T],
    stride: usize,
    load: bool,
}

impl<T: Attend> Product<'_, T> {
    fn into(self, kernel: Kernel<T>, panels: usize, c: &mut [T], ahead: &mut Ahead<T>) {
        let Product { depth, apart, row, a, b, stride, load } = self;
        let Kernel { mr, nr, routine, .. } = kernel;
        let panel = row.map_or(depth * mr, |row| (mr - 1) * row + depth);
        assert!(panels == 0 || (panels - 1) * apart + panel <= a.len() && depth * nr <= b.len());
        assert!(panels == 0 || (panels * mr - 1) * stride + nr <= c.len());
        for panel in 0..panels {
            // SAFETY: the assertions above keep every access inside a, b and c; the kernel was chosen for this CPU.
            unsafe {
                let to = c.as_mut_ptr().add(panel * mr * stride);
                let a = a.as_ptr().add(panel * apart);
                let a = match row {
                    // They are a copy, and in the cache.
                    Some(row) => Left::Rows { from: a, apart: row as isize, below: false },
                    None => Left::Panel(a),
                };
                routine(Tile::new(depth, a, b.as_ptr(), to, stride, load));
            }
            ahead.step();
        }
    }
}

/// Ends what is done to a row in a loop over rows. Without it the compiler would gather elements from several rows into a
/// vector, instead of taking those that lie side by side, or call `memcpy` for a few elements.
#[inline(always)]
fn end_row() {
    std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::AcqRel);
}

/// The memory of a task, handed out in pieces.
struct Scratch<'a, T> {
    rest: &'a mut [T],
}

impl<'a, T> Scratch<'a, T> {
    fn take(&mut self, len: usize) -> &'a mut [T] {
        let (piece, rest) = std::mem::take(&mut self.rest).split_at_mut(len);
        self.rest = rest;
        piece
    }
}

/// `out` and the logarithm of the sum of each query's powers, which is infinite where a query may see nothing at all
/// (so that its weights come out as zero on the way back). `out` is `[b, tq, h, dv]`, `log_sums` `[b, h, tq]`.
pub(crate) fn forward<T: Attend>(problem: &Problem<T>, out: &mut [T], log_sums: &mut [T]) {
    if few::suits(problem) {
        return few::forward(problem, out, log_sums);
    }
    let Size { tq, tk, d, dv } = problem.size;
    let kernel = kernel::<T>();
    let Kernel { mr, nr, .. } = kernel;
    let heads = problem.heads();
    let blocks = tq.div_ceil(nr);
    // Shared queries cost a second packing of the keys, so a share has several blocks.
    let share = if heads >= ENOUGH { blocks.max(1) } else { blocks.div_ceil(ENOUGH.div_ceil(heads.max(1))).max(4) };
    let shares = blocks.div_ceil(share);
    let (out, log_sums) = (SharedMut::new(out), SharedMut::new(log_sums));
    let (tile, padded_keys, padded_dv) = (PANELS * mr, tk.next_multiple_of(mr), dv.next_multiple_of(mr));
    let work = |task: usize| {
        let (head, first) = (task / shares, task % shares * share * nr);
        let (q, k, v) = (problem.q.of(head), problem.k.of(head), problem.v.of(head));
        let sizes = [padded_keys * d, padded_dv * tk, nr * d, tile * nr, padded_dv * nr, nr * dv];
        let mut storage = Storage::new(T::DTYPE, sizes.iter().sum());
        let mut scratch = Scratch { rest: storage.as_slice_mut::<T>() };
        let [k_rows, v_panels, q_panel, scores_t, out_t, rows] = sizes.map(|len| scratch.take(len));
        let end = (first + share * nr).min(tq);
        let mut ahead = Ahead::new();
        // A thread takes its heads one after the other.
        let next = head + 1;
        if shares == 1 && next < heads {
            for (operand, rows, width) in [(&problem.v, tk, dv), (&problem.q, tq, d), (&problem.k, tk, d)] {
                ahead.read(operand.of(next), rows, width);
            }
            ahead.write(&out, problem.row(next, 0, tq, dv), problem.across * dv, tq, dv);
        }
        let keys = problem.keys(&(first..end));
        copy_rows(k, keys, d, &mut k_rows[..keys.next_multiple_of(mr) * d]);
        pack_columns(v, keys, dv, mr, tk, v_panels);
        for start in (first..end).step_by(nr) {
            let queries = start..(start + nr).min(end);
            pack_rows(q, queries.clone(), nr, d, q_panel);
            scale(q_panel, problem.scale);
            let mut running = Running::new();
            let keys = problem.keys(&queries);
            for j in (0..keys).step_by(tile) {
                let count = tile.min(keys - j);
                let a = &k_rows[j * d..];
                let product = Product { depth: d, apart: mr * d, row: Some(d), a, b: q_panel, stride: nr, load: false };
                product.into(kernel, count.div_ceil(mr), scores_t, &mut ahead);
                let weights_t = &mut scores_t[..count * nr];
                problem.mask_tile(head, &queries, j, nr, weights_t);
                weigh(nr, weights_t, &mut running);
                if j > 0 {
                    scale_columns(nr, out_t, &running.shrink);
                }
                let apart = tk * mr;
                let a = if dv > 0 { &v_panels[j * mr..] } else { &[] };
                let product = Product { depth: count, apart, row: None, a, b: weights_t, stride: nr, load: j > 0 };
                product.into(kernel, padded_dv / mr, out_t, &mut ahead);
            }
            let [factors, sums] = settle(&running);
            if keys == 0 {
                out_t.fill(T::ZERO);
            }
            turn(out_t, nr, dv, rows);
            // SAFETY: each number belongs to one query of one head, and so to one task.
            let saved = unsafe { log_sums.slice(head * tq + start, queries.len()) };
            saved.copy_from_slice(&sums[..queries.len()]);
            // SAFETY: as above, for the rows.
            let mut out = unsafe { problem.rows(&out, head, start, tq, dv) };
            write_rows(rows, dv, &factors[..queries.len()], &mut out);
        }
    };
    run(heads * shares, heads * tq * tk * (d + dv), work);
}

fn run(tasks: usize, work: usize, task: impl Fn(usize) + Sync) {
    if work < SMALL { (0..tasks).for_each(task) } else { parallel::for_each_block(tasks, task) }
}
