//! The gradients of attention, from weights that are computed again tile by tile.

use super::ahead::Ahead;
use super::operands::{copy_rows, pack_columns, pack_rows, row_products, scale, turn, write_rows};
use super::tile::{back_through, weigh_again};
use super::{Attend, Heads, PANELS, Problem, Product, Scratch, Size, WIDEST, kernel, run};
use crate::kernels::gemm::Matrix;
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
            nr * d_across,
            nr * dv_across,
            tile * nr,
            tile * nr,
            d_down * nr,
            nr * size.d,
        ];
        let mut storage = Storage::new(T::DTYPE, sizes.iter().sum());
        let mut scratch = Scratch { rest: storage.as_slice_mut::<T>() };
        // Once per head: keys and values copied by key, and keys packed by feature; then the sums over all queries.
        let [k_rows, v_rows, k_columns, dk_sum, dv_sum] = [0, 1, 2, 3, 4].map(|i| scratch.take(sizes[i]));
        // Packed per block of queries: by query, and by feature.
        let [q_panel, dout_panel, q_columns, dout_columns] = [5, 6, 7, 8].map(|i| scratch.take(sizes[i]));
        let [weights_t, dscores_t, dq_t, dq_rows] = [9, 10, 11, 12].map(|i| scratch.take(sizes[i]));
        let scales = [problem.scale; WIDEST];
        let mut ahead = look_ahead(problem, saved, [&dq, &dk, &dv], head + 1);
        copy_rows(k, size.tk, size.d, k_rows);
        copy_rows(v, size.tk, size.dv, v_rows);
        // From the copy, whose rows lie close together.
        let copied = Matrix { data: k_rows, offset: 0, row: size.d as isize, column: 1 };
        pack_columns(copied, size.tk, size.d, mr, size.tk, k_columns);
        dk_sum.fill(T::ZERO);
        dv_sum.fill(T::ZERO);
        for start in (0..size.tq).step_by(nr) {
            let queries = start..(start + nr).min(size.tq);
            pack_rows(q, queries.clone(), nr, size.d, q_panel);
            pack_rows(dout, queries.clone(), nr, size.dv, dout_panel);
            scale(q_panel, problem.scale);
            // Queries beyond the last one have infinite sums, and so weigh nothing.
            let mut log_sums = [T::HIGHEST; WIDEST];
            log_sums[..queries.len()].copy_from_slice(&saved.log_sums[head * size.tq + start..][..queries.len()]);
            let mut means = [T::ZERO; WIDEST];
            row_products(out.from(start, 0), dout.from(start, 0), size.dv, &mut means[..queries.len()]);
            if queries.len() < nr {
                // Queries that only fill the block up must not add anything.
                q_columns.fill(T::ZERO);
                dout_columns.fill(T::ZERO);
            }
            pack_columns(q.from(start, 0), queries.len(), size.d, nr, nr, q_columns);
            pack_columns(dout.from(start, 0), queries.len(), size.dv, nr, nr, dout_columns);
            let count = problem.keys(&queries);
            for j in (0..count).step_by(tile) {
                let count = tile.min(count - j);
                let panels = count.div_ceil(mr);
                let product = |depth, a, b| {
                    let apart = mr * depth;
                    Product { depth, apart, row: Some(depth), a, b, stride: nr, load: false }
                };
                product(size.d, &k_rows[j * size.d..], q_panel).into(kernel, panels, weights_t, &mut ahead);
                problem.mask_tile(head, &queries, j, nr, &mut weights_t[..count * nr]);
                let weights = &mut weights_t[..count * nr];
                if scores_matter {
                    product(size.dv, &v_rows[j * size.dv..], dout_panel).into(kernel, panels, dscores_t, &mut ahead);
                    back_through(nr, weights, &log_sums, &mut dscores_t[..count * nr], &means);
                } else {
                    weigh_again(nr, weights, &log_sums);
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
                        row: None,
                        a: if size.d > 0 { &k_columns[j * mr..] } else { &[] },
                        b: dscores_t,
                        stride: nr,
                        load: j > 0,
                    };
                    product.into(kernel, d_down / mr, dq_t, &mut ahead);
                }
                // Keys that only fill the last panel up must not add anything.
                weights_t[count * nr..panels * mr * nr].fill(T::ZERO);
                dscores_t[count * nr..panels * mr * nr].fill(T::ZERO);
                // A tile is one row per key as it is; queries before a panel's first key do not see it.
                let mut add_products = |tile_t: &[T], columns: &[T], sum: &mut [T], width: usize| {
                    for key in (0..panels).map(|panel| panel * mr) {
                        let hidden = if problem.causal { (j + key).saturating_sub(start) } else { 0 };
                        for across in (0..width).step_by(nr) {
                            let product = Product {
                                depth: nr - hidden,
                                apart: 0,
                                row: Some(nr),
                                a: &tile_t[key * nr + hidden..],
                                b: &columns[(across + hidden) * nr..],
                                stride: width,
                                load: true,
                            };
                            product.into(kernel, 1, &mut sum[key * width + across..], &mut ahead);
                        }
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
            if count == 0 {
                dq_t.fill(T::ZERO);
            }
            turn(dq_t, nr, size.d, dq_rows);
            // SAFETY: each row belongs to one query of one head, and so to one task.
            let mut dq = unsafe { problem.rows(dq, head, start, size.tq, size.d) };
            write_rows(dq_rows, size.d, &scales[..queries.len()], &mut dq);
        }
        let ones = [T::ONE; WIDEST];
        for (out, sum, width, across, factors) in
            [(&dk, dk_sum, size.d, d_across, &scales), (&dv, dv_sum, size.dv, dv_across, &ones)]
        {
            let Some(out) = out else { continue };
            for j in (0..size.tk).step_by(WIDEST) {
                // SAFETY: each row belongs to one key of one head, and so to one task.
                let mut out = unsafe { problem.rows(out, head, j, size.tk, width) };
                write_rows(&sum[j * across..], across, &factors[..WIDEST.min(size.tk - j)], &mut out);
            }
        }
    };
    run(problem.heads(), problem.heads() * size.tq * size.tk * (size.d + size.dv), work);
}

/// What is to be asked for before `head` comes, if there is such a head.
fn look_ahead<T: Attend>(
    problem: &Problem<T>,
    saved: &Saved<T>,
    gradients: [&Option<SharedMut<T>>; 3],
    head: usize,
) -> Ahead<T> {
    let mut ahead = Ahead::new();
    if head >= problem.heads() {
        return ahead;
    }
    let Size { tq, tk, d, dv } = problem.size;
    for (out, (rows, width)) in gradients.into_iter().zip([(tq, d), (tk, d), (tk, dv)]) {
        if let Some(out) = out {
            ahead.write(out, problem.row(head, 0, rows, width), problem.across * width, rows, width);
        }
    }
    for (operand, rows, width) in
        [(&saved.out, tq, dv), (&saved.dout, tq, dv), (&problem.q, tq, d), (&problem.v, tk, dv), (&problem.k, tk, d)]
    {
        ahead.read(operand.of(head), rows, width);
    }
    ahead
}
