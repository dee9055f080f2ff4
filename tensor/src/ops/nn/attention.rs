//! Attention.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::attention::{self as kernel, Attend, Heads, Problem, Saved, Size};
use crate::shape::broadcast_shapes;
use crate::{DType, Error, Result, Shape, Tensor};

/// Options of [`Tensor::attention`]; the defaults are PyTorch's.
///
/// ```
/// let causal = tensor::Attention { is_causal: true, ..Default::default() };
/// assert!(causal.mask.is_none() && causal.scale.is_none());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Attention {
    /// Broadcasts to `[.., tq, tk]`. Bool: true where a query may see a key. Float: added to the scaled scores
    /// (default: none).
    pub mask: Option<Tensor>,
    /// Query `i` sees the keys `0..=i` only, together with whatever the mask allows (default: false).
    pub is_causal: bool,
    /// What the scores are multiplied by (default: `1 / sqrt(d)`).
    pub scale: Option<f64>,
    /// Whether keys and values may have fewer heads than queries, in the dimension before the last two: each of them serves
    /// as many heads of queries in a row as it takes (default: false).
    pub enable_gqa: bool,
    /// The probability with which each weight is dropped, in `0..=1`; for `Var::scaled_dot_product_attention`, which draws
    /// (default: 0).
    pub dropout_p: f64,
}

/// The operands brought to common batch dimensions.
struct Operands {
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Option<Tensor>,
    batch: Shape,
    size: Size,
    /// How many heads of queries share a head of keys, and of values.
    shared: [usize; 2],
}

const RULE: &str = "q [.., tq, d], k [.., tk, d], v [.., tk, e] -> [.., tq, e]";

impl Attention {
    fn operands(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Operands> {
        let op = "attention";
        let fail = |what: &str| {
            let mut operands = vec![("q", q.dims()), ("k", k.dims()), ("v", v.dims())];
            operands.extend(self.mask.as_ref().map(|mask| ("mask", mask.dims())));
            Error::shape(op, what, &operands, RULE)
        };
        let ([q_batch @ .., tq, d], [k_batch @ .., tk, k_d], [v_batch @ .., v_t, dv]) = (q.dims(), k.dims(), v.dims())
        else {
            return Err(fail("each operand needs at least two dimensions"));
        };
        if d != k_d {
            return Err(fail("queries and keys have different features"));
        }
        if tk != v_t {
            return Err(fail("there is not one value for each key"));
        }
        if q.dtype() != k.dtype() || q.dtype() != v.dtype() {
            return Err(Error::dtype(op, format!("dtypes differ: {}, {}, {}", q.dtype(), k.dtype(), v.dtype())));
        }
        if self.dropout_p != 0.0 {
            return Err(Error::value(op, "dropout is drawn by Var::scaled_dot_product_attention"));
        }
        // Operands of fewer heads count as if theirs were repeated.
        let shared_by = |other: &[usize]| match (q_batch.last(), other.last()) {
            (Some(&h), Some(&less)) if self.enable_gqa && h != less => match less > 0 && h.is_multiple_of(less) {
                true => Ok(h / less),
                false => Err(fail("the heads of the queries are no multiple of those of the keys or values")),
            },
            _ => Ok(1),
        };
        let shared = [shared_by(k_batch)?, shared_by(v_batch)?];
        let repeated = |batch: &[usize], shared: usize| {
            let mut batch = batch.to_vec();
            batch.last_mut().into_iter().for_each(|h| *h *= shared);
            batch
        };
        let batch = broadcast_shapes(op, q_batch, &repeated(k_batch, shared[0]))
            .and_then(|batch| broadcast_shapes(op, &batch, &repeated(v_batch, shared[1])))
            .map_err(|_| fail("the batch dimensions do not broadcast"))?;
        let with = |rows: usize, columns: usize| -> Shape { batch.iter().copied().chain([rows, columns]).collect() };
        let stretch =
            |x: &Tensor, rows: usize, columns: usize| Ok(x.with_layout(x.layout().expand(op, &with(rows, columns))?));
        // In row-major order a head that stays while the group goes on is the head repeated.
        let stretch_shared = |x: &Tensor, rows: usize, columns: usize, shared: usize| match (shared, batch.split_last())
        {
            (2.., Some((&h, outer))) => {
                let to: Shape = outer.iter().copied().chain([h / shared, shared, rows, columns]).collect();
                Ok(x.unsqueeze(-3).with_layout(x.unsqueeze(-3).layout().expand(op, &to)?))
            }
            _ => stretch(x, rows, columns),
        };
        let mask = match &self.mask {
            None => None,
            Some(mask) => {
                // The logarithm of a truth value is what it adds to a score: 0 or negative infinity.
                let added = mask.to_dtype(q.dtype());
                let added = if mask.dtype() == DType::Bool { added.log() } else { added };
                Some(stretch(&added, *tq, *tk).map_err(|_| fail("the mask does not broadcast to [.., tq, tk]"))?)
            }
        };
        Ok(Operands {
            q: stretch(q, *tq, *d)?,
            k: stretch_shared(k, *tk, *d, shared[0])?,
            v: stretch_shared(v, *tk, *dv, shared[1])?,
            mask,
            size: Size { tq: *tq, tk: *tk, d: *d, dv: *dv },
            batch,
            shared,
        })
    }
}

impl Operands {
    fn problem<T: Attend>(&self, options: &Attention) -> Problem<'_, T> {
        Problem {
            q: Heads::new(self.q.elements()),
            k: Heads::new(self.k.elements()),
            v: Heads::new(self.v.elements()),
            mask: self.mask.as_ref().map(|mask| Heads::new(mask.elements())),
            causal: options.is_causal,
            scale: T::of(options.scale.unwrap_or(1.0 / (self.size.d as f64).sqrt())),
            size: self.size,
            across: self.across(),
        }
    }

    /// Heads that lie side by side in the results.
    fn across(&self) -> usize {
        self.batch.last().copied().unwrap_or(1)
    }

    /// The memory of a result: `[b.., t, h, d]`.
    fn memory(&self, t: usize, d: usize) -> Shape {
        match self.batch.split_last() {
            Some((&h, outer)) => outer.iter().copied().chain([t, h, d]).collect(),
            None => Shape::from([t, d]),
        }
    }

    /// A gradient of all heads, added up over those that shared one.
    fn summed(&self, x: Tensor, shared: usize) -> Tensor {
        match self.batch.split_last() {
            Some((&h, outer)) if shared > 1 => {
                let (t, d) = (x.dim(-2), x.dim(-1));
                let split: Shape = outer.iter().copied().chain([h / shared, shared, t, d]).collect();
                x.reshape(split).sum_dim(-3, false)
            }
            _ => x,
        }
    }

    /// A result seen as `[b.., h, t, d]`.
    fn heads_first(&self, x: Tensor) -> Tensor {
        if self.batch.is_empty() { x } else { x.transpose(-3, -2) }
    }
}

impl Tensor {
    /// `softmax(q k^T scale + mask) v`: each query's mean of the values, weighted by how well the keys match it.
    ///
    /// The scores are computed tile by tile and never stored; tiles that the causal mask hides are skipped. Beside the
    /// output this returns the logarithm of each query's sum of powers, `[.., tq]`, for
    /// [`attention_backward`](Tensor::attention_backward).
    ///
    /// # Shape
    /// `q [.., tq, d]`, `k [.., tk, d]`, `v [.., tk, e]` -> `[.., tq, e]`; batch dimensions broadcast, and with `enable_gqa`
    /// keys and values may have fewer heads, which are read again and not copied. The memory of the
    /// output is `[b.., tq, h, e]`, so that `transpose(-3, -2)` and a reshape to `[b.., tq, h * e]` cost nothing.
    ///
    /// # Numerics
    /// The greatest score is subtracted, as it becomes known. A query that may see no key at all gets zeros, as in
    /// PyTorch since version 2.5.
    ///
    /// # Panics
    /// If shapes or dtypes do not fit.
    ///
    /// # Source
    /// Vaswani et al., "Attention Is All You Need", 2017, equation 1; Dao et al., "FlashAttention", 2022.
    ///
    /// ```
    /// use tensor::{Attention, Tensor};
    /// let x = Tensor::from([[1.0, 0.0], [0.0, 1.0]]);
    /// let (y, _) = Tensor::attention(&x, &x, &x, &Attention { is_causal: true, ..Default::default() });
    /// assert_eq!(y.select(0, 0).to_vec::<f64>(), [1.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, options: &Attention) -> (Tensor, Tensor) {
        let operands = options.operands(q, k, v).or_panic();
        if q.dtype().is_half() {
            let (out, log_sums) = Tensor::attention(&q.widen(), &k.widen(), &v.widen(), options);
            return (out.to_dtype(q.dtype()), log_sums);
        }
        let Size { tq, dv, .. } = operands.size;
        let rows: Shape = operands.batch.iter().copied().chain([tq]).collect();
        dispatch!(float q.dtype(), "attention", T => {
            let problem = operands.problem::<T>(options);
            let mut log_sums = Tensor::build::<T>(rows, |_| {});
            let out = Tensor::build::<T>(operands.memory(tq, dv), |out| {
                kernel::forward(&problem, out, log_sums.as_slice_mut::<T>());
            });
            (operands.heads_first(out), log_sums)
        })
    }

    /// The gradients of [`attention`](Tensor::attention) by `q`, `k`, `v` and the mask, of which those in `need` are
    /// computed, from that of its output and what it returned.
    ///
    /// With `p` the weights and `dp = dout v^T`: `ds = p (dp - sum dout out)`, `dq = scale ds k`, `dk = scale ds^T q`,
    /// `dv = p^T dout`, `dmask = ds`. Where batch dimensions were broadcast the gradients have the full shape, that of the
    /// mask `[.., tq, tk]` always. The memory of the first three is `[b.., t, h, d]`, as the output's.
    ///
    /// # Panics
    /// If shapes or dtypes do not fit.
    #[allow(clippy::too_many_arguments)]
    #[track_caller]
    pub fn attention_backward(
        dout: &Tensor,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        out: &Tensor,
        log_sums: &Tensor,
        options: &Attention,
        need: [bool; 4],
    ) -> [Option<Tensor>; 4] {
        let operands = options.operands(q, k, v).or_panic();
        let Size { tq, tk, d, dv } = operands.size;
        let expected: Shape = operands.batch.iter().copied().chain([tq, dv]).collect();
        if dout.shape() != &expected || out.shape() != &expected || log_sums.dims() != &expected[..expected.len() - 1] {
            let shapes: &[(&str, &[usize])] =
                &[("dout", dout.dims()), ("out", out.dims()), ("log_sums", log_sums.dims())];
            let what = "the gradient and what was saved do not fit the operands";
            panic!("{}", Error::shape("attention_backward", what, shapes, RULE));
        }
        if q.dtype().is_half() {
            let (dout, out) = (dout.to_dtype(DType::F32), out.widen());
            let (wide_q, k, v) = (q.widen(), k.widen(), v.widen());
            let grads = Tensor::attention_backward(&dout, &wide_q, &k, &v, &out, log_sums, options, need);
            return grads.map(|grad| grad.map(|g| g.to_dtype(q.dtype())));
        }
        let log_sums = log_sums.contiguous();
        let dout = dout.to_dtype(q.dtype());
        dispatch!(float q.dtype(), "attention_backward", T => {
            let problem = operands.problem::<T>(options);
            let saved = Saved {
                out: Heads::new(out.elements()),
                dout: Heads::new(dout.elements()),
                log_sums: log_sums.as_slice::<T>().expect("made contiguous"),
            };
            let sizes = [(tq, d), (tk, d), (tk, dv)];
            let mut gradients: [Option<Tensor>; 3] = std::array::from_fn(|i| {
                need[i].then(|| Tensor::build::<T>(operands.memory(sizes[i].0, sizes[i].1), |_| {}))
            });
            let mut dmask = need[3].then(|| {
                let shape: Shape = operands.batch.iter().copied().chain([tq, tk]).collect();
                Tensor::zeros(shape, q.dtype())
            });
            let wanted = gradients.each_mut().map(|gradient| gradient.as_mut().map(|g| g.as_slice_mut::<T>()));
            kernel::backward(&problem, &saved, wanted, dmask.as_mut().map(|g| g.as_slice_mut::<T>()));
            let [dq, dk, dv] = gradients.map(|gradient| gradient.map(|g| operands.heads_first(g)));
            let [by_key, by_value] = operands.shared;
            [dq, dk.map(|g| operands.summed(g, by_key)), dv.map(|g| operands.summed(g, by_value)), dmask]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;

    /// Value and gradients by whole score matrices.
    fn plain(q: &Tensor, k: &Tensor, v: &Tensor, dout: &Tensor, options: &Attention) -> [Tensor; 5] {
        let scale = options.scale.unwrap_or(1.0 / (q.dim(-1) as f64).sqrt());
        let mut scores = q.matmul(&k.transpose(-1, -2)) * scale;
        if options.is_causal {
            let hidden = Tensor::ones([q.dim(-2), k.dim(-2)], DType::U8).triu(1).to_dtype(DType::Bool);
            scores = scores.masked_fill(&hidden, f64::NEG_INFINITY);
        }
        scores = match &options.mask {
            Some(mask) if mask.dtype() == DType::Bool => scores.masked_fill(&mask.logical_not(), f64::NEG_INFINITY),
            Some(mask) => scores + mask,
            None => scores,
        };
        let p = scores.softmax(-1);
        let p = p.masked_fill(&p.isnan(), 0.0);
        let dscores = Tensor::softmax_backward(&p, &dout.matmul(&v.transpose(-1, -2)), -1);
        let ds = &dscores * scale;
        [p.matmul(v), ds.matmul(k), ds.transpose(-1, -2).matmul(q), p.transpose(-1, -2).matmul(dout), dscores]
    }

    fn check(q: &Tensor, k: &Tensor, v: &Tensor, options: &Attention, tolerance: f64) {
        let (out, log_sums) = Tensor::attention(q, k, v, options);
        let dout = Tensor::randn_with(out.shape(), q.dtype(), &mut Generator::new(9));
        let gradients = |need| Tensor::attention_backward(&dout, q, k, v, &out, &log_sums, options, need);
        let [dq, dk, dv, dmask] = gradients([true; 4]).map(|gradient| gradient.expect("asked for"));
        // What is computed alone is the same as what is computed with the others.
        for alone in 0..4 {
            let some = gradients(std::array::from_fn(|i| i == alone));
            for (i, (gradient, all)) in some.iter().zip([&dq, &dk, &dv, &dmask]).enumerate() {
                assert_eq!(gradient.is_some(), i == alone);
                assert!(gradient.as_ref().is_none_or(|gradient| gradient.bit_eq(all)));
            }
        }
        let expected = plain(q, k, v, &dout, options);
        let got = [out, dq, dk, dv, dmask];
        for (name, (x, y)) in ["out", "dq", "dk", "dv", "dmask"].iter().zip(got.iter().zip(&expected)) {
            assert_eq!(x.shape(), y.shape(), "{name}");
            let worst = if x.numel() == 0 { 0.0 } else { (x - y).abs().max().item::<f64>() };
            assert!(worst <= tolerance, "{name}: off by {worst} for {:?} {:?}", q.dims(), k.dims());
        }
    }

    fn options(g: &mut Generator, round: usize, tq: usize, tk: usize) -> Attention {
        let mask = match round % 3 {
            1 => Some(Tensor::bernoulli_with(0.7, [tq, tk], DType::Bool, g)),
            2 => Some(Tensor::randn_with([2, 1, tq, tk], DType::F64, g)),
            _ => None,
        };
        Attention { mask, is_causal: round % 2 == 1, scale: (round % 4 == 2).then_some(0.3), ..Default::default() }
    }

    #[test]
    fn values_and_gradients_are_those_of_the_plain_composition() {
        let mut g = Generator::new(5);
        let sizes =
            [(1, 1, 1, 1), (5, 7, 3, 2), (33, 33, 8, 8), (64, 100, 32, 40), (300, 260, 24, 17), (2, 500, 13, 70)];
        for (round, (tq, tk, d, dv)) in sizes.into_iter().cycle().take(18).enumerate() {
            let mut rand = |t: usize, d: usize| Tensor::randn_with([2, 3, t, d], DType::F64, &mut g);
            let (q, k, v) = (rand(tq, d), rand(tk, d), rand(tk, dv));
            let options = options(&mut g, round / 6 + round, tq, tk);
            check(&q, &k, &v, &options, 1e-11);
            let narrow = |x: &Tensor| x.to_dtype(DType::F32);
            let mask = options.mask.as_ref().map(|m| if m.dtype() == DType::Bool { m.clone() } else { narrow(m) });
            check(&narrow(&q), &narrow(&k), &narrow(&v), &Attention { mask, ..options }, 2e-4);
        }
    }

    #[test]
    fn short_texts_with_heads_side_by_side_skip_what_is_hidden() {
        let mut g = Generator::new(11);
        for (tq, tk, d, dv) in
            [(64, 64, 32, 32), (64, 64, 64, 64), (50, 90, 48, 20), (90, 50, 16, 80), (256, 256, 8, 4)]
        {
            let mut rand = |t: usize, d: usize| Tensor::randn_with([2, t, 3, d], DType::F64, &mut g).transpose(1, 2);
            let (q, k, v) = (rand(tq, d), rand(tk, d), rand(tk, dv));
            for is_causal in [true, false] {
                let options = Attention { is_causal, ..Default::default() };
                check(&q, &k, &v, &options, 1e-11);
                let [q, k, v] = [&q, &k, &v].map(|x| x.to_dtype(DType::F32));
                check(&q, &k, &v, &options, 2e-4);
                // Features that lie apart.
                let [q, k, v] = [&q, &k, &v].map(|x| x.transpose(2, 3).contiguous().transpose(2, 3));
                check(&q, &k, &v, &options, 2e-4);
            }
        }
    }

    #[test]
    fn weights_too_small_to_matter_are_zero() {
        let mut g = Generator::new(12);
        let mut rand = || Tensor::randn_with([2, 70, 16], DType::F32, &mut g);
        let (q, k, v) = (rand(), rand(), rand());
        for is_causal in [true, false] {
            let bias = Tensor::arange(0.0, 70.0, 1.0, DType::F32) * -30.0;
            check(&q, &k, &v, &Attention { mask: Some(bias), is_causal, ..Default::default() }, 2e-4);
        }
    }

    #[test]
    fn what_is_no_number_stays_with_those_who_see_it() {
        let mut g = Generator::new(13);
        let mut rand = || Tensor::randn_with([64, 32], DType::F32, &mut g);
        let (q, k, v) = (rand(), rand(), rand());
        let row = Tensor::arange(0.0, 64.0, 1.0, DType::F32).eq_scalar(40.0).unsqueeze(1);
        let k = k.masked_fill(&row, f64::NAN);
        let (out, log_sums) = Tensor::attention(&q, &k, &v, &Attention { is_causal: true, ..Default::default() });
        assert!(out.narrow(0, 0, 40).isfinite().all().item::<bool>());
        assert!(out.narrow(0, 40, 24).isnan().all().item::<bool>());
        assert!(log_sums.narrow(0, 0, 40).isfinite().all().item::<bool>());
    }

    #[test]
    fn views_of_one_buffer_and_odd_layouts_are_read_as_they_lie() {
        let mut g = Generator::new(6);
        let qkv = Tensor::randn_with([2, 40, 3, 4, 16], DType::F64, &mut g).permute(&[2, 0, 3, 1, 4]);
        let causal = Attention { is_causal: true, ..Default::default() };
        check(&qkv.select(0, 0), &qkv.select(0, 1), &qkv.select(0, 2), &causal, 1e-12);
        let (out, _) = Tensor::attention(&qkv.select(0, 0), &qkv.select(0, 1), &qkv.select(0, 2), &causal);
        assert!(out.transpose(1, 2).is_contiguous());
        let x = Tensor::randn_with([3, 20, 30], DType::F64, &mut g);
        check(&x.flip(&[1]), &x.flip(&[-1]), &x.flip(&[0]), &causal, 1e-12);
        check(&x.transpose(1, 2), &x.transpose(1, 2), &x.transpose(1, 2), &causal, 1e-12);
        let one = x.narrow(0, 1, 1).expand([3, 20, 30]);
        check(&x, &one, &one, &Attention::default(), 1e-12);
        check(&x.select(0, 0), &x.select(0, 1), &x.select(0, 2), &causal, 1e-12);
    }

    #[test]
    fn empty_sizes_have_their_results() {
        let x = |t: usize, d: usize| Tensor::zeros([2, t, d], DType::F32);
        for (tq, tk, d, dv) in [(0, 3, 2, 2), (3, 0, 2, 2), (3, 4, 0, 2), (3, 4, 2, 0), (9, 300, 0, 2), (9, 300, 2, 0)]
        {
            check(&x(tq, d), &x(tk, d), &x(tk, dv), &Attention { scale: Some(1.0), ..Default::default() }, 1e-6);
        }
    }

    #[test]
    fn a_query_that_sees_nothing_gets_zeros_and_gives_none() {
        let mut g = Generator::new(7);
        let x = Tensor::randn_with([40, 8], DType::F32, &mut g);
        let mask = Tensor::arange(0.0, 40.0, 1.0, DType::F32).gt_scalar(2.0).unsqueeze(1);
        let options = Attention { mask: Some(mask), ..Default::default() };
        check(&x, &x, &x, &options, 1e-4);
        let (out, _) = Tensor::attention(&x, &x, &x, &options);
        assert_eq!(out.narrow(0, 0, 3).abs().max().item::<f32>(), 0.0);
    }

    #[test]
    fn fewer_heads_of_keys_and_values_are_repeated() {
        let mut g = Generator::new(10);
        let mut rand = |h: usize, t: usize, d: usize| Tensor::randn_with([2, h, t, d], DType::F64, &mut g);
        let (q, dout) = (rand(6, 35, 8), rand(6, 35, 5));
        for (by_key, by_value) in [(3, 3), (2, 6), (6, 1)] {
            let (k, v) = (rand(6 / by_key, 21, 8), rand(6 / by_value, 21, 5));
            let repeated = |x: &Tensor, n: usize| {
                let [b, h, t, d] = x.dims() else { panic!("4-d") };
                x.unsqueeze(2).expand([*b, *h, n, *t, *d]).reshape([*b, h * n, *t, *d])
            };
            let summed = |x: &Tensor, n: usize| {
                let [b, h, t, d] = x.dims() else { panic!("4-d") };
                x.reshape([*b, h / n, n, *t, *d]).sum_dim(2, false)
            };
            let options = Attention { is_causal: true, enable_gqa: true, ..Default::default() };
            let [expected, dq, dk, dv, _] = plain(&q, &repeated(&k, by_key), &repeated(&v, by_value), &dout, &options);
            let (out, log_sums) = Tensor::attention(&q, &k, &v, &options);
            let need = [true, true, true, false];
            let got = Tensor::attention_backward(&dout, &q, &k, &v, &out, &log_sums, &options, need);
            assert!(out.allclose(&expected, 1e-11, 1e-11));
            for (got, expected) in got.iter().flatten().zip([dq, summed(&dk, by_key), summed(&dv, by_value)]) {
                assert!(got.shape() == expected.shape() && got.allclose(&expected, 1e-11, 1e-11));
            }
        }
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let x = Tensor::randn_with([50, 4], DType::F32, &mut Generator::new(8)) * 1e3;
        let (out, log_sums) = Tensor::attention(&x, &x, &x, &Attention::default());
        assert!(out.isfinite().all().item::<bool>() && log_sums.isfinite().all().item::<bool>());
    }

    #[test]
    fn mistakes_are_explained() {
        let x = |shape: &[usize]| Tensor::zeros(shape, DType::F32);
        let message = |q: &[usize], k: &[usize], v: &[usize], mask: Option<&[usize]>| {
            let options = Attention { mask: mask.map(x), ..Default::default() };
            options.operands(&x(q), &x(k), &x(v)).err().expect("must not fit").to_string()
        };
        assert!(message(&[3], &[3], &[3], None).contains("at least two dimensions"));
        assert!(message(&[5, 3], &[5, 4], &[5, 4], None).contains("different features"));
        assert!(message(&[5, 3], &[5, 3], &[6, 3], None).contains("one value for each key"));
        assert!(message(&[2, 5, 3], &[3, 5, 3], &[3, 5, 3], None).contains("do not broadcast"));
        assert!(message(&[5, 3], &[5, 3], &[5, 3], Some(&[4, 5])).contains("mask [4, 5]"));
        let refused = |options: Attention, heads: usize| {
            let (q, k) = (x(&[4, 5, 3]), x(&[heads, 5, 3]));
            options.operands(&q, &k, &k).err().expect("must not fit").to_string()
        };
        let shared = Attention { enable_gqa: true, ..Default::default() };
        assert!(refused(shared, 3).contains("are no multiple of those of the keys"));
        assert!(refused(Attention { dropout_p: 0.1, ..Default::default() }, 4).contains("dropout is drawn by"));
    }
}
