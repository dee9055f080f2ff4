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
