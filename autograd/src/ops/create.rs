//! The tensors made from nothing, which have no gradient; here for the table of operations and PyTorch's samples.

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use tensor::{DType, Tensor};

    use crate::testing::*;
    vec![
        sample("arange", &[REAL], same, |_, p| mask(Tensor::arange(p.unit(), 3.0, 0.25, DType::F64))),
        sample("linspace", &[REAL], same, |_, p| mask(Tensor::linspace(p.unit(), 3.0, p.below(5), DType::F64))),
        sample("logspace", &[REAL], same, |_, p| mask(Tensor::logspace(p.unit(), 3.0, p.below(5), 2.0, DType::F64))),
        sample("eye", &[REAL], same, |_, p| mask(Tensor::eye([p.below(4), p.below(4)], DType::F64))),
        sample("full", &[REAL], same, |_, p| mask(Tensor::full([p.below(4)], p.unit(), DType::F64))),
        sample("zeros", &[REAL], same, |_, p| mask(Tensor::zeros([p.below(4)], DType::F64))),
        sample("ones", &[REAL], same, |_, p| mask(Tensor::ones([p.below(4)], DType::F64))),
        sample("zeros_like", &[REAL], same, |v, _| mask(v[0].value().zeros_like())),
        sample("ones_like", &[REAL], same, |v, _| mask(v[0].value().ones_like())),
        sample("full_like", &[REAL], same, |v, p| mask(v[0].value().full_like(p.unit()))),
        sample("tril_indices", &[REAL], same, |_, p| mask(Tensor::tril_indices(p.below(4), p.below(4), 0))),
        sample("triu_indices", &[REAL], same, |_, p| mask(Tensor::triu_indices(p.below(4), p.below(4), 0))),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use tensor::{DType, Tensor};

    use crate::testing::conformance::*;
    /// The dtype asked for.
    fn dtype(a: &Args, default: DType) -> Result<DType, Skip> {
        // A tensor made from nothing requires no gradient here.
        a.flag(usize::MAX, "requires_grad", false)?;
        Ok(a.opt_dtype(usize::MAX, "dtype")?.unwrap_or(default))
    }
    /// A bound, which PyTorch takes as a 0-d tensor too.
    fn bound(a: &Args, i: usize, name: &str) -> Result<f64, Skip> {
        if a.is_tensor(i, name) { Ok(a.tensor(i, name)?.item()) } else { a.number(i, name) }
    }
    fn triangle(a: &Args, f: fn(usize, usize, isize) -> Tensor) -> Outcome {
        let (rows, columns, offset) = (a.size(0, "row")?, a.size(1, "col")?, a.int_or(2, "offset", 0)?);
        done(f(rows, columns, offset).to_dtype(dtype(a, DType::I64)?))
    }
    vec![
        torch("arange", &["arange"], |a| {
            let fraction = |i| matches!(a.raw(i, "end"), Some(Arg::Float(_)));
            let whole = !(0..a.len().max(2)).any(fraction);
            let dtype = dtype(a, if whole { DType::I64 } else { DType::F32 })?;
            let (start, end) = match (a.len(), a.opt_number(1, "end")?) {
                (_, Some(end)) => (a.number(0, "start")?, end),
                (_, None) => (0.0, a.number(0, "end")?),
            };
            let step = a.number_or(2, "step", 1.0)?;
            done(match whole {
                true => Tensor::arange(start as i64, end as i64, step as i64, dtype),
                false => Tensor::arange(start, end, step, dtype),
            })
        }),
        torch("linspace", &["linspace"], |a| {
            let (start, end) = (bound(a, 0, "start")?, bound(a, 1, "end")?);
            done(Tensor::linspace(start, end, a.size(2, "steps")?, dtype(a, DType::F32)?))
        }),
        torch("logspace", &["logspace"], |a| {
            let (start, end, base) = (bound(a, 0, "start")?, bound(a, 1, "end")?, a.number_or(3, "base", 10.0)?);
            done(Tensor::logspace(start, end, a.size(2, "steps")?, base, dtype(a, DType::F32)?))
        }),
        torch("eye", &["eye"], |a| {
            let rows = a.size(0, "n")?;
            done(Tensor::eye([rows, a.size_or(1, "m", rows)?], dtype(a, DType::F32)?))
        }),
        torch("full", &["full"], |a| {
            done(Tensor::full(a.sizes(0, "size")?, a.number(1, "fill_value")?, dtype(a, DType::F32)?))
        }),
        torch("zeros", &["zeros"], |a| done(Tensor::zeros(a.sizes(0, "size")?, dtype(a, DType::F32)?))),
        torch("ones", &["ones"], |a| done(Tensor::ones(a.sizes(0, "size")?, dtype(a, DType::F32)?))),
        torch("zeros_like", &["zeros_like"], |a| {
            let x = a.tensor(0, "input")?;
            done(x.zeros_like().to_dtype(dtype(a, x.dtype())?))
        }),
        torch("ones_like", &["ones_like"], |a| {
            let x = a.tensor(0, "input")?;
            done(x.ones_like().to_dtype(dtype(a, x.dtype())?))
        }),
        torch("full_like", &["full_like"], |a| {
            let x = a.tensor(0, "input")?;
            done(Tensor::full(x.shape(), a.number(1, "fill_value")?, dtype(a, x.dtype())?))
        }),
        torch("tril_indices", &["tril_indices"], |a| triangle(a, Tensor::tril_indices)),
        torch("triu_indices", &["triu_indices"], |a| triangle(a, Tensor::triu_indices)),
    ]
}
