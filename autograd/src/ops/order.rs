//! Order along one dimension: sorting, the largest and smallest few, the k-th.

use tensor::Tensor;

use crate::var::Var;

impl Var {
    /// The elements along `dim` in ascending or descending order, and their indices.
    ///
    /// # Gradient
    /// `dy` to the elements at the indices. Keeps the indices.
    #[track_caller]
    pub fn sort(&self, dim: isize, descending: bool) -> (Var, Tensor) {
        let (values, indices) = self.tensor().sort(dim, descending);
        (self.picked("sort", values, &indices, dim, true), indices)
    }

    /// The indices that bring the elements along `dim` into order: no gradient flows through them.
    #[track_caller]
    pub fn argsort(&self, dim: isize, descending: bool) -> Tensor {
        self.tensor().argsort(dim, descending)
    }

    /// The elements in ascending order along the first dimension.
    ///
    /// # Gradient
    /// `dy` to the elements at the indices. Keeps the indices.
    #[track_caller]
    pub fn msort(&self) -> Var {
        self.sort(0, false).0
    }

    /// The `k` largest (or, if not `largest`, smallest) elements along `dim`, the most extreme first, and their indices.
    ///
    /// # Gradient
    /// `dy` to the elements at the indices. Keeps the indices.
    #[track_caller]
    pub fn topk(&self, k: usize, dim: isize, largest: bool) -> (Var, Tensor) {
        let (values, indices) = self.tensor().topk(k, dim, largest);
        (self.picked("topk", values, &indices, dim, true), indices)
    }

    /// The `k`-th smallest element along `dim`, counted from 1, and its index.
    ///
    /// # Gradient
    /// `dy` to the element at the index. Keeps the indices.
    #[track_caller]
    pub fn kthvalue(&self, k: usize, dim: isize, keepdim: bool) -> (Var, Tensor) {
        let (values, indices) = self.tensor().kthvalue(k, dim, keepdim);
        (self.picked("kthvalue", values, &indices, dim, keepdim), indices)
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("sort", &[DISTINCT], rows, |v, p| v[0].sort(p.dim(v[0].ndim()), p.coin()).0.into()),
        sample("argsort", &[DISTINCT], rows, |v, p| mask(v[0].argsort(p.dim(v[0].ndim()), p.coin()))),
        sample("msort", &[DISTINCT], rows, |v, _| v[0].msort().into()),
        sample("topk", &[DISTINCT], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].topk(1 + p.below(v[0].dim(dim)), dim, p.coin()).0.into()
        }),
        sample("kthvalue", &[DISTINCT], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].kthvalue(1 + p.below(v[0].dim(dim)), dim, p.coin()).0.into()
        }),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![
        torch("sort", &["sort"], |a| {
            let (dim, descending) = (a.int_or(1, "dim", -1)?, a.flag(2, "descending", false)?);
            // Ours is always stable.
            a.flag(3, "stable", false)?;
            done(a.var(0, "input")?.sort(dim, descending))
        }),
        torch("argsort", &["argsort"], |a| {
            let (dim, descending) = (a.int_or(1, "dim", -1)?, a.flag(2, "descending", false)?);
            a.flag(3, "stable", false)?;
            done(a.var(0, "input")?.argsort(dim, descending))
        }),
        torch("msort", &["msort"], |a| done(a.var(0, "input")?.msort())),
        torch("topk", &["topk"], |a| {
            let (dim, largest) = (a.int_or(2, "dim", -1)?, a.flag(3, "largest", true)?);
            // Ours is always sorted.
            a.flag(4, "sorted", true)?;
            done(a.var(0, "input")?.topk(a.size(1, "k")?, dim, largest))
        }),
        torch("kthvalue", &["kthvalue"], |a| {
            let (dim, keepdim) = (a.int_or(2, "dim", -1)?, a.flag(3, "keepdim", false)?);
            let x = a.var(0, "input")?;
            let (values, indices) = x.kthvalue(a.size(1, "k")?, dim, keepdim);
            let stretched = if keepdim || x.ndim() == 0 { values.value() } else { values.value().unsqueeze(dim) };
            let equal = x.value().eq(&stretched).to_dtype(tensor::DType::I64);
            if equal.numel() > 0 && equal.sum_dim(dim, false).max().item::<i64>() > 1 {
                return skip("the index among equal elements, which PyTorch leaves open");
            }
            done((values, indices))
        }),
    ]
}
