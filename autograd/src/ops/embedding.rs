//! Rows of a table.

use tensor::Tensor;

use crate::ops::index::added_at;
use crate::var::Var;

impl Var {
    /// The rows of this table `[n, d]` at `ids` of any shape.
    ///
    /// # Shape
    /// `[n, d]`, ids `[..]` -> `[.., d]`.
    ///
    /// # Gradient
    /// `dy` added up at the rows that were read. Keeps `ids`.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let table = Var::new(Tensor::from([[1.0], [2.0], [3.0]])).requires_grad_(true);
    /// table.embedding(&Tensor::from([2i64, 0, 2])).sum().backward();
    /// assert_eq!(table.grad().unwrap().to_vec::<f64>(), [1.0, 0.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn embedding(&self, ids: &Tensor) -> Var {
        let (shape, kept) = (self.shape(), ids.clone());
        let rows = Var::record_unary("embedding", self.tensor().embedding(ids), self, move |dy| {
            let (ids, rows) = (kept.reshape([kept.numel()]), dy.reshape([kept.numel(), shape[1]]));
            added_at(&rows, &shape, 0, &ids)
        });
        rows.also_read(&[("ids", ids)])
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![sample("embedding", &[REAL], table_of_rows, |v, p| v[0].embedding(&p.ids(&[2, 3], v[0].dim(0))).into())]
}
