//! Reading and adding at indices. Indices are plain `I64` [`Tensor`]s.

use tensor::{Shape, Tensor};

use crate::ops::shape::among_zeros;
use crate::var::Var;

impl Var {
    /// The slices at `ids` (1-d) along `dim`.
    ///
    /// # Gradient
    /// `dy` added up at `ids`. Keeps `ids`.
    #[track_caller]
    pub fn index_select(&self, dim: isize, ids: &Tensor) -> Var {
        let (shape, kept) = (self.shape(), ids.clone());
        Var::record_unary("index_select", self.tensor().index_select(dim, ids), self, move |dy| {
            added_at(dy, &shape, dim, &kept)
        })
    }

    /// `y[i][j] = x[ids[i][j]][j]` (for `dim = 0`): for each place of `ids` the element at that index along `dim`.
    ///
    /// # Gradient
    /// `dy` added up at `ids`. Keeps `ids`.
    #[track_caller]
    pub fn gather(&self, dim: isize, ids: &Tensor) -> Var {
        let (shape, kept) = (self.shape(), ids.clone());
        Var::record_unary("gather", self.tensor().gather(dim, ids), self, move |dy| {
            Var::new(Tensor::zeros(&shape, dy.dtype())).scatter_add(dim, &kept, dy)
        })
    }

    /// `x` with the elements of `src` added at `ids` along `dim`; the reverse of [`Var::gather`].
    ///
    /// # Gradient
    /// `dx = dy`, `dsrc = dy` gathered at `ids`. Keeps `ids`.
    #[track_caller]
    pub fn scatter_add(&self, dim: isize, ids: &Tensor, src: &Var) -> Var {
        let (shape, kept) = (src.shape(), ids.clone());
        let value = self.tensor().scatter_add(dim, ids, &src.tensor());
        Var::record("scatter_add", value, [self, src], move |dy, need| {
            // A source may be larger than the indices; what lies beside them had no part.
            let fill = |dsrc: Var| (0..shape.len()).fold(dsrc, |dsrc, d| among_zeros(&dsrc, d as isize, 0, shape[d]));
            [need.of(0, || dy.clone()), need.of(1, || fill(dy.gather(dim, &kept)))]
        })
    }

    /// `x` with the slices of `src` added at `ids` (1-d) along `dim`; the reverse of [`Var::index_select`].
    ///
    /// # Gradient
    /// `dx = dy`, `dsrc = dy` selected at `ids`. Keeps `ids`.
    #[track_caller]
    pub fn index_add(&self, dim: isize, ids: &Tensor, src: &Var) -> Var {
        let kept = ids.clone();
        let value = self.tensor().index_add(dim, ids, &src.tensor());
        Var::record("index_add", value, [self, src], move |dy, need| {
            [need.of(0, || dy.clone()), need.of(1, || dy.index_select(dim, &kept))]
        })
    }

    /// The lower triangle of the last two dimensions, zeros above the `k`-th diagonal.
    ///
    /// # Gradient
    /// The same triangle of `dy`.
    #[track_caller]
    pub fn tril(&self, k: isize) -> Var {
        Var::record_unary("tril", self.tensor().tril(k), self, move |dy| dy.tril(k))
    }

    /// The upper triangle of the last two dimensions, zeros below the `k`-th diagonal.
    ///
    /// # Gradient
    /// The same triangle of `dy`.
    #[track_caller]
    pub fn triu(&self, k: isize) -> Var {
        Var::record_unary("triu", self.tensor().triu(k), self, move |dy| dy.triu(k))
    }
}

/// `shape` with the size of `dim` in front.
fn moved_first(shape: &Shape, dim: isize) -> Shape {
    let dim = dim.rem_euclid(shape.len() as isize) as usize;
    std::iter::once(shape[dim]).chain((0..shape.len()).filter(|&d| d != dim).map(|d| shape[d])).collect()
}

/// The reverse of [`Var::index_select`]: a tensor of `shape` with the slices of `dy` added to zeros at `ids` along
/// `dim`.
pub(crate) fn added_at(dy: &Var, shape: &Shape, dim: isize, ids: &Tensor) -> Var {
    // The kernel adds to rows, so the dimension goes first and comes back as a view.
    let mut rows = Tensor::zeros(moved_first(shape, dim), dy.dtype());
    rows.index_add_(ids, &dy.tensor().movedim(dim, 0));
    let kept = ids.clone();
    Var::record_unary("index_add", rows.movedim(0, dim), dy, move |ddx| ddx.index_select(dim, &kept))
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("index_select", &[REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].index_select(dim, &p.ids(&[4], v[0].dim(dim))).into()
        }),
        sample("gather", &[REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].gather(dim, &p.ids(&v[0].shape(), v[0].dim(dim))).into()
        }),
        sample("scatter_add", &[REAL, REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].scatter_add(dim, &p.ids(&v[1].shape(), v[0].dim(dim)), &v[1]).into()
        }),
        sample("scatter_add", &[REAL, REAL], rows, |v, p| {
            let ids = p.ids(&v[0].shape(), v[0].dim(0)).narrow(0, 0, 1);
            v[0].scatter_add(0, &ids, &v[1]).into()
        }),
        sample("index_add", &[REAL, REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            v[0].index_add(dim, &p.ids(&[v[1].dim(dim)], v[0].dim(dim)), &v[1]).into()
        }),
        sample("tril", &[REAL], at_least_2d, |v, p| v[0].tril(p.below(3) as isize - 1).into()),
        sample("triu", &[REAL], at_least_2d, |v, p| v[0].triu(p.below(3) as isize - 1).into()),
    ]
}
