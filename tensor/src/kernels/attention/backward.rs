//! The gradients of attention, from weights that are computed again tile by tile.

use super::{
    Attend, Heads, PANELS, Problem, Product, Scratch, WIDEST, back_through, kernel, pack, pack_columns, run, turn,
    weigh_again,
};
use crate::kernels::parallel::SharedMut;
use crate::storage::Storage;

/// What the way back needs besides the operands.
pub(crate) struct Saved<'a, T> {
    pub(crate) out: Heads<'a, T>,
    pub(crate) dout: Heads<'a, T>,
    /// `[b, h, tq]`.
    pub(crate) log_sums: &'a [T],
}

/// The gradients of `q`, `k` and `v`, with memory `[b, t, h, d]` each; of those that are not wanted nothing is computed.
///
/// With `p` the weights, recomputed tile by tile: `dv = p^T dout`, `ds = p (dout v^T - sum dout out)`, `dq = scale ds k`,
/// `dk = scale ds^T q`. `ds` itself, `[b, h, tq, tk]`, is the gradient of the mask: of it only what is not zero is written.
pub(crate) fn backward<T: Attend>(
    problem: &Problem<T>,
    saved: &Saved<T>,
    wanted: [Option<&mut [T]>; 3],
    dscores: Option<&mut [T]>,
) {
    let size = problem.size;
    let kernel = kernel::<T>();
    let (mr, nr) = (kernel.mr, kernel.nr);
    let [dq, dk, dv] = wanted.map(|gradient| gradient.map(SharedMut::new));
    let dscores = dscores.map(SharedMut::new);
    let scores_matter = dq.is_some() || dk.is_some() || dscores.is_some();
    let (tile, keys) = (PANELS * mr, size.tk.next_multiple_of(mr));
    let padded = |n: usize| (n.next_multiple_of(mr), n.next_multiple_of(nr));
    let ((d_down, d_across), (_, dv_across)) = (padded(size.d), padded(size.dv));
    let work = |head: usize| {
        let (q, k, v) = (problem.q.of(head), problem.k.of(head), problem.v.of(head));
        let (out, dout) = (saved.out.of(head), saved.dout.of(head));
        let sizes = [
            keys * size.d,
            keys * size.dv,
            d_down * size.tk,
            keys * d_across,
            keys * dv_across,
            nr * size.d,
            nr * size.dv,
            nr * size.dv,
            nr * d_across,
            nr * dv_across,
            tile * nr,
            tile * nr,
            d_down * nr,
            nr * size.d,
        ];
        let mut storage = Storage::new(T::DTYPE, sizes.iter().sum());
        let mut scratch = Scratch { rest: storage.as_slice_mut::<T>() };
        // Packed once per head: keys and values by key, and keys by feature; then the sums over all queries.
        let [k_panels, v_panels, k_columns, dk_sum, dv_sum] = [0, 1, 2, 3, 4].map(|i| scratch.take(sizes[i]));
        // Packed per block of queries: by query, and by feature.
        let [q_panel, dout_panel, out_panel, q_columns, dout_columns] = [5, 6, 7, 8, 9].map(|i| scratch.take(sizes[i]));
        let [weights_t, dscores_t, dq_t, dq_rows] = [10, 11, 12, 13].map(|i| scratch.take(sizes[i]));
        pack(k, 0..size.tk, mr, size.d, k_panels);
        pack(v, 0..size.tk, mr, size.dv, v_panels);
        pack_columns(k, size.tk, size.d, mr, size.tk, k_columns);
        dk_sum.fill(T::ZERO);
        dv_sum.fill(T::ZERO);
        for start in (0..size.tq).step_by(nr) {
            let queries = start..(start + nr).min(size.tq);
            pack(q, queries.clone(), nr, size.d, q_panel);
            pack(dout, queries.clone(), nr, size.dv, dout_panel);
            pack(out, queries.clone(), nr, size.dv, out_panel);
            q_panel.iter_mut().for_each(|q| *q = *q * problem.scale);
            // Queries beyond the last one have infinite sums, and so weigh nothing.
            let mut log_sums = [T::HIGHEST; WIDEST];
            log_sums[..queries.len()].copy_from_slice(&saved.log_sums[head * size.tq + start..][..queries.len()]);
            let mut means = [T::ZERO; WIDEST];
            for (out, dout) in out_panel.chunks_exact(nr).zip(dout_panel.chunks_exact(nr)) {
                means.iter_mut().zip(out).zip(dout).for_each(|((mean, &o), &g)| *mean += o * g);
            }
            if queries.len() < nr {
                // Queries that only fill the block up must not add anything.
                q_columns.fill(T::ZERO);
                dout_columns.fill(T::ZERO);
            }
            pack_columns(q.from(start, 0), queries.len(), size.d, nr, nr, q_columns);
            pack_columns(dout.from(start, 0), queries.len(), size.dv, nr, nr, dout_columns);
            q_columns.iter_mut().for_each(|q| *q = *q * problem.scale);
            dq_t.fill(T::ZERO);
            let count = problem.keys(&queries);
            for j in (0..count).step_by(tile) {
                let count = tile.min(count - j);
                let panels = count.div_ceil(mr);
                let product = |depth, a, b, load| {
                    let apart = mr * depth;
                    Product { depth, apart, in_rows: false, a, b, stride: nr, load }
                };
                product(size.d, &k_panels[j * size.d..], q_panel, false).into(kernel, panels, weights_t);
                problem.mask_tile(head, &queries, j, nr, &mut weights_t[..count * nr]);
                weigh_again(nr, &mut weights_t[..count * nr], &log_sums);
                if scores_matter {
                    product(size.dv, &v_panels[j * size.dv..], dout_panel, false).into(kernel, panels, dscores_t);
                    back_through(nr, &weights_t[..count * nr], &mut dscores_t[..count * nr], &means);
                }
                if let Some(dscores) = &dscores {
                    for (l, i) in queries.clone().enumerate() {
                        // SAFETY: each row belongs to one query of one head, and so to one task.
                        let row = unsafe { dscores.slice((head * size.tq + i) * size.tk + j, count) };
                        row.iter_mut().enumerate().for_each(|(key, x)| *x = dscores_t[key * nr + l]);
                    }
                }
                if dq.is_some() {
                    let product = Product {
                        depth: count,
                        apart: size.tk * mr,
                        in_rows: false,
                        a: &k_columns[j * mr..],
                        b: dscores_t,
                        stride: nr,
                        load: j > 0,
                    };
                    product.into(kernel, d_down / mr, dq_t);
                }
                // Keys that only fill the last panel up must not add anything.
                weights_t[count * nr..panels * mr * nr].fill(T::ZERO);
                dscores_t[count * nr..panels * mr * nr].fill(T::ZERO);
                // A tile is one row per key as it is.
                let add_products = |tile_t: &[T], columns: &[T], sum: &mut [T], width: usize| {
                    for across in (0..width).step_by(nr) {
                        let b = &columns[across * nr..];
                        let product = Product {
                            depth: nr,
                            apart: mr * nr,
                            in_rows: true,
                            a: tile_t,
                            b,
                            stride: width,
                            load: true,
                        };
                        product.into(kernel, panels, &mut sum[across..]);
                    }
                };
                if dv.is_some() {
                    add_products(weights_t, dout_columns, &mut dv_sum[j * dv_across..], dv_across);
                }
                if dk.is_some() {
                    add_products(dscores_t, q_columns, &mut dk_sum[j * d_across..], d_across);
                }
            }
            let Some(dq) = &dq else { continue };
            turn(dq_t, nr, size.d, dq_rows);
            for (l, i) in queries.enumerate() {
                // SAFETY: each row belongs to one query of one head, and so to one task.
                let row = unsafe { dq.slice(problem.row(head, i, size.tq, size.d), size.d) };
                row.iter_mut().zip(&dq_rows[l * size.d..]).for_each(|(x, &y)| *x = y * problem.scale);
            }
        }
        for (out, sum, width, across) in [(&dk, dk_sum, size.d, d_across), (&dv, dv_sum, size.dv, dv_across)] {
            let Some(out) = out else { continue };
            for j in 0..size.tk {
                // SAFETY: each row belongs to one key of one head, and so to one task.
                let row = unsafe { out.slice(problem.row(head, j, size.tk, width), width) };
                row.copy_from_slice(&sum[j * across..][..width]);
            }
        }
    };
    run(problem.heads(), problem.heads() * size.tq * size.tk * (size.d + size.dv), work);
}
