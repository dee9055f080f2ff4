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

mod backward;
mod few;

use std::ops::Range;

use crate::kernels::gemm::Matrix;
use crate::kernels::gemm::micro::{Kernel, Micro};
use crate::kernels::gemm::pack::pack_panel;
use crate::kernels::math::Math;
use crate::kernels::parallel::{self, SharedMut};
use crate::kernels::simd::{Simd, vectorised};
use crate::kernels::walk::Walk;
use crate::storage::Storage;
use crate::tensor::View;

pub(crate) use backward::{Saved, backward};

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
            for (j, row) in tile.chunks_exact_mut(nr).enumerate().skip((queries.start + 1).saturating_sub(first)) {
                let hidden = (first + j - queries.start).min(nr);
                row[..hidden].fill(T::LOWEST);
            }
        }
    }
}

/// The micro-kernel in use and what follows from its sizes.
fn kernel<T: Attend>() -> Kernel<T> {
    let kernel = T::kernel().unwrap_or(Kernel { mr: 4, nr: 16, routine: plain::<T> });
    assert!(kernel.nr <= WIDEST);
    kernel
}

/// A micro-kernel for CPUs that have no better one.
///
/// # Safety
/// See `Routine`.
unsafe fn plain<T: Math>(
    k: usize,
    a: *const T,
    rows: Option<isize>,
    b: *const T,
    acc: *mut T,
    stride: usize,
    load: bool,
) {
    // From one element of A to the next in a column, and in a row.
    let (down, along) = rows.map_or((1, 4), |row| (row, 1));
    let mut sums = [[T::ZERO; 16]; 4];
    for p in 0..k {
        // SAFETY: p < k, so this lies inside the panel.
        let b = unsafe { &*b.add(p * 16).cast::<[T; 16]>() };
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: element p of one of A's four rows.
            let a = unsafe { *a.offset(i as isize * down + p as isize * along) };
            for (sum, &b) in sums.iter_mut().zip(b) {
                *sum += a * b;
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        // SAFETY: the caller promises a block of 4 rows of 16, `stride` apart.
        let row = unsafe { &mut *acc.add(i * stride).cast::<[T; 16]>() };
        for (c, &sum) in row.iter_mut().zip(sums) {
            *c = if load { *c + sum } else { sum };
        }
    }
}

/// `c[i][j] (+)= sum over p of a[p][i] b[p][j]`: some panels of A, one panel of B, C with rows `stride` apart.
struct Product<'a, T> {
    depth: usize,
    /// A's panels start so many elements apart.
    apart: usize,
    /// Whether A is not packed, but its rows lie one after the other, each as long as the depth.
    in_rows: bool,
    a: &'a [T],
    b: &'a [T],
    stride: usize,
    load: bool,
}

impl<T: Attend> Product<'_, T> {
    fn into(self, kernel: Kernel<T>, panels: usize, c: &mut [T]) {
        let Product { depth, apart, in_rows, a, b, stride, load } = self;
        let Kernel { mr, nr, routine } = kernel;
        assert!(panels == 0 || (panels - 1) * apart + depth * mr <= a.len() && depth * nr <= b.len());
        assert!(panels == 0 || (panels * mr - 1) * stride + nr <= c.len());
        for panel in 0..panels {
            // SAFETY: the assertions above keep every access inside a, b and c; the kernel was chosen for this CPU.
            unsafe {
                let to = c.as_mut_ptr().add(panel * mr * stride);
                let rows = in_rows.then_some(depth as isize);
                routine(depth, a.as_ptr().add(panel * apart), rows, b.as_ptr(), to, stride, load);
            }
        }
    }
}

/// Packs rows `rows` of a matrix with `depth` columns: `panel[p][i] = matrix[rows.start + i][p]`, panel after panel.
fn pack<T: Attend>(matrix: Matrix<T>, rows: Range<usize>, unit: usize, depth: usize, to: &mut [T]) {
    if depth == 0 {
        return;
    }
    for (panel, to) in to.chunks_mut(unit * depth).enumerate().take(rows.len().div_ceil(unit)) {
        let first = rows.start + panel * unit;
        pack_panel(matrix.from(first, 0), unit.min(rows.end - first), unit, depth, to);
    }
}

/// What is known of a block of queries while its tiles pass: per query the greatest score and the sum of the powers.
struct Running<T> {
    max: [T; WIDEST],
    sum: [T; WIDEST],
    /// By how much the last tile shrank what came before it.
    shrink: [T; WIDEST],
}

vectorised! {
    /// Turns a tile of scores into weights relative to the greatest score so far.
    fn weigh<S, T: Math>(nr: usize, tile: &mut [T], running: &mut Running<T>) {
        match nr {
            32 => weigh_columns::<S, T, 32>(tile, running),
            16 => weigh_columns::<S, T, 16>(tile, running),
            _ => weigh_columns::<S, T, 8>(tile, running),
        }
    }

    /// Multiplies the columns of a tile.
    fn scale_columns<S, T: Math>(nr: usize, tile: &mut [T], factors: &[T; WIDEST]) {
        match nr {
            32 => scale_columns_of::<T, 32>(tile, factors),
            16 => scale_columns_of::<T, 16>(tile, factors),
            _ => scale_columns_of::<T, 8>(tile, factors),
        }
    }

    /// Turns a tile of scores into weights, given the logarithm of each query's sum.
    fn weigh_again<S, T: Math>(nr: usize, tile: &mut [T], log_sums: &[T; WIDEST]) {
        match nr {
            32 => weigh_again_columns::<S, T, 32>(tile, log_sums),
            16 => weigh_again_columns::<S, T, 16>(tile, log_sums),
            _ => weigh_again_columns::<S, T, 8>(tile, log_sums),
        }
    }

    /// `ds = p * (dp - shift)`, written over `dp`.
    fn back_through<S, T: Math>(nr: usize, p: &[T], dp: &mut [T], shift: &[T; WIDEST]) {
        match nr {
            32 => back_through_columns::<T, 32>(p, dp, shift),
            16 => back_through_columns::<T, 16>(p, dp, shift),
            _ => back_through_columns::<T, 8>(p, dp, shift),
        }
    }
}

#[inline(always)]
fn weigh_columns<S: Simd, T: Math, const N: usize>(tile: &mut [T], running: &mut Running<T>) {
    let mut max: [T; N] = running.max[..N].try_into().expect("N <= WIDEST");
    let (rows, _) = tile.as_chunks_mut::<N>();
    for row in rows.iter() {
        for (max, &s) in max.iter_mut().zip(row) {
            *max = if s > *max { s } else { *max };
        }
    }
    // Where every key is hidden so far, anything finite serves as the shift: all powers are 0.
    let shift = max.map(|max| if max == T::LOWEST { T::ZERO } else { max });
    let mut sum = [T::ZERO; N];
    for row in rows {
        for l in 0..N {
            row[l] = (row[l] - shift[l]).exp::<S>();
            sum[l] += row[l];
        }
    }
    for l in 0..N {
        let shrink = (running.max[l] - shift[l]).exp::<S>();
        running.shrink[l] = shrink;
        running.sum[l] = running.sum[l] * shrink + sum[l];
        running.max[l] = max[l];
    }
}

#[inline(always)]
fn scale_columns_of<T: Math, const N: usize>(tile: &mut [T], factors: &[T; WIDEST]) {
    for row in tile.as_chunks_mut::<N>().0 {
        for l in 0..N {
            row[l] = row[l] * factors[l];
        }
    }
}

#[inline(always)]
fn weigh_again_columns<S: Simd, T: Math, const N: usize>(tile: &mut [T], log_sums: &[T; WIDEST]) {
    for row in tile.as_chunks_mut::<N>().0 {
        for l in 0..N {
            row[l] = (row[l] - log_sums[l]).exp::<S>();
        }
    }
}

#[inline(always)]
fn back_through_columns<T: Math, const N: usize>(p: &[T], dp: &mut [T], shift: &[T; WIDEST]) {
    for (p, dp) in p.as_chunks::<N>().0.iter().zip(dp.as_chunks_mut::<N>().0) {
        for l in 0..N {
            dp[l] = p[l] * (dp[l] - shift[l]);
        }
    }
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
        let [k_panels, v_panels, q_panel, scores_t, out_t, rows] = sizes.map(|len| scratch.take(len));
        let end = (first + share * nr).min(tq);
        let keys = problem.keys(&(first..end));
        pack(k, 0..keys, mr, d, k_panels);
        pack_columns(v, keys, dv, mr, tk, v_panels);
        for start in (first..end).step_by(nr) {
            let queries = start..(start + nr).min(end);
            pack(q, queries.clone(), nr, d, q_panel);
            q_panel.iter_mut().for_each(|q| *q = *q * problem.scale);
            let mut running = Running { max: [T::LOWEST; WIDEST], sum: [T::ZERO; WIDEST], shrink: [T::ZERO; WIDEST] };
            out_t.fill(T::ZERO);
            let keys = problem.keys(&queries);
            for j in (0..keys).step_by(tile) {
                let count = tile.min(keys - j);
                let a = &k_panels[j * d..];
                let product =
                    Product { depth: d, apart: mr * d, in_rows: false, a, b: q_panel, stride: nr, load: false };
                product.into(kernel, count.div_ceil(mr), scores_t);
                let weights_t = &mut scores_t[..count * nr];
                problem.mask_tile(head, &queries, j, nr, weights_t);
                weigh(nr, weights_t, &mut running);
                if j > 0 {
                    scale_columns(nr, out_t, &running.shrink);
                }
                let a = &v_panels[j * mr..];
                let apart = tk * mr;
                let product = Product { depth: count, apart, in_rows: false, a, b: weights_t, stride: nr, load: j > 0 };
                product.into(kernel, padded_dv / mr, out_t);
            }
            turn(out_t, nr, dv, rows);
            for (l, i) in queries.enumerate() {
                let sum = running.sum[l];
                let (factor, log_sum) = if sum == T::ZERO {
                    (T::ZERO, T::HIGHEST)
                } else {
                    (T::ONE / sum, running.max[l] + T::of(sum.to_f64().ln()))
                };
                // SAFETY: each row belongs to one query of one head, and so to one task.
                let (row, saved) =
                    unsafe { (out.slice(problem.row(head, i, tq, dv), dv), log_sums.slice(head * tq + i, 1)) };
                saved[0] = log_sum;
                row.iter_mut().zip(&rows[l * dv..]).for_each(|(x, &y)| *x = y * factor);
            }
        }
    };
    run(heads * shares, heads * tq * tk * (d + dv), work);
}

/// Packs the columns of a matrix with `depth` rows: `panel[p][i] = matrix[p][i]`, panels `room * unit` elements apart.
fn pack_columns<T: Attend>(matrix: Matrix<T>, depth: usize, columns: usize, unit: usize, room: usize, to: &mut [T]) {
    if depth == 0 || columns == 0 {
        return;
    }
    for (panel, to) in to.chunks_mut(room * unit).enumerate().take(columns.div_ceil(unit)) {
        let first = panel * unit;
        let width = unit.min(columns - first);
        pack_panel(matrix.from(0, first).transposed(), width, unit, depth, &mut to[..depth * unit]);
    }
}

/// From one column per query, `[feature][nr]`, to one row per query, `[query][features]`.
fn turn<T: Attend>(columns: &[T], nr: usize, features: usize, to: &mut [T]) {
    if features > 0 {
        pack_panel(Matrix { data: columns, offset: 0, row: nr as isize, column: 1 }, features, features, nr, to);
    }
}

fn run(tasks: usize, work: usize, task: impl Fn(usize) + Sync) {
    if work < SMALL { (0..tasks).for_each(task) } else { parallel::for_each_block(tasks, task) }
}
