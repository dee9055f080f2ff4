//! Rows of a table.

use tensor::{DType, Tensor};

use crate::engine::into_tensor;
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
        let rows = Var::record("embedding", self.tensor().embedding(ids), [self], move |dy, need| {
            let (ids, rows) = (kept.reshape([kept.numel()]), dy.reshape([kept.numel(), shape[1]]));
            let Some(so_far) = need.take_so_far(0) else { return [Some(added_at(&rows, &shape, 0, &ids))] };
            // A table that is the model's last layer as well has a gradient in every row already.
            let mut sum = into_tensor(so_far);
            sum.index_add_(&ids, &rows.tensor());
            [Some(Var::new(sum))]
        });
        rows.reads("ids", ids)
    }

    /// [`Var::embedding`] with PyTorch's two ways to change its gradient.
    ///
    /// # Gradient
    /// As `embedding`, but the row `padding_idx`, which may count from the end, gets none; and with `scale_grad_by_freq` each
    /// row's is divided by how often the row was read. Keeps `ids` and a factor for each.
    ///
    /// # Panics
    /// If there is no row `padding_idx`.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let table = Var::new(Tensor::from([[1.0], [2.0]])).requires_grad_(true);
    /// table.embedding_with(&Tensor::from([0i64, 1, 1]), Some(0), false).sum().backward();
    /// assert_eq!(table.grad().unwrap().to_vec::<f64>(), [0.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn embedding_with(&self, ids: &Tensor, padding_idx: Option<isize>, scale_grad_by_freq: bool) -> Var {
        let value = self.tensor().embedding(ids);
        let (shape, flat) = (self.shape(), ids.reshape([ids.numel()]));
        let padding = padding_idx.map(|at| {
            tensor::resolve_dim("embedding_with", at, shape[0]).unwrap_or_else(|_| {
                let what = format!("padding_idx {at} is no row of {}", shape[0]);
                panic!("{}", tensor::Error::index("embedding_with", what))
            })
        });
        // What each gradient of a row read is multiplied by. A half could not count to more than a few hundred or thousand.
        let dtype = self.dtype().promote(DType::F32);
        let mut factors = Tensor::ones([flat.numel()], dtype);
        if scale_grad_by_freq {
            let ones = factors.clone();
            let counts = Tensor::zeros([shape[0]], dtype).index_add(0, &flat, &ones);
            factors = factors / counts.index_select(0, &flat);
        }
        if let Some(padding) = padding {
            factors = factors.masked_fill(&flat.eq_scalar(padding as f64), 0.0);
        }
        let factors = factors.unsqueeze(1);
        let dropped = factors.eq_scalar(0.0);
        Var::record_unary("embedding", value, self, move |dy| {
            let rows = dy.reshape([flat.numel(), shape[1]]) * Var::new(factors.clone());
            added_at(&rows.masked_fill(&dropped, 0.0), &shape, 0, &flat)
        })
        .reads("ids", ids)
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("embedding", &[REAL], table_of_rows, |v, p| v[0].embedding(&p.ids(&[2, 3], v[0].dim(0))).into()),
        sample("embedding_with", &[REAL], table_of_rows, |v, p| {
            v[0].embedding_with(&p.ids(&[2, 3], v[0].dim(0)), None, false).into()
        }),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    vec![torch("nn.functional.embedding", &["embedding"], |a| {
        let (table, ids) = (a.var(0, "weight")?, a.tensor(1, "input")?);
        let padding = a.opt_int(2, "padding_idx")?;
        let scale = a.flag(5, "scale_grad_by_freq", false)?;
        if a.opt_number(3, "max_norm")?.is_some() {
            return skip("`max_norm`, which changes the table in place");
        }
        done(table.embedding_with(&ids, padding, scale))
    })]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(padding_idx: Option<isize>, scale_grad_by_freq: bool) -> Vec<f64> {
        let table = Var::new(Tensor::from([[1.0], [2.0], [3.0]])).requires_grad_(true);
        let ids = Tensor::from([2i64, 0, 2, 1]);
        table.embedding_with(&ids, padding_idx, scale_grad_by_freq).sum().backward();
        table.grad().unwrap().to_vec()
    }

    #[test]
    fn gradients_of_padding_and_of_rows_read_often() {
        assert_eq!(gradient(None, false), [1.0, 1.0, 2.0]);
        assert_eq!(gradient(Some(-1), false), [1.0, 1.0, 0.0]);
        assert_eq!(gradient(Some(0), true), [0.0, 1.0, 1.0]);
    }

    /// As a language model that reads its table as the last layer's weight: what came for the table first is taken over.
    #[test]
    fn a_table_with_a_gradient_from_elsewhere_gets_the_sum() {
        let ids = Tensor::from([2i64, 0, 2]);
        let loss = |table: &Var| {
            let rows = table.embedding(&ids);
            (&rows.matmul(&table.t()) * &rows.sum()).square().sum()
        };
        let made = || Var::new(Tensor::from([[0.5, -1.0], [2.0, 0.25], [1.5, -0.5]])).requires_grad_(true);
        let (plain, recorded, inner) = (made(), made(), made());
        loss(&plain).backward();
        // A recorded pass adds gradients up without this.
        loss(&recorded).backward_with(crate::BackwardOptions { create_graph: true, ..Default::default() });
        assert!(plain.grad().unwrap().tensor().allclose(&recorded.grad().unwrap().tensor(), 1e-14, 0.0));
        recorded.zero_grad();
        // Nor may it change what others hold: the same values come again, and a leaf's gradient grows by as much.
        let held = plain.grad().unwrap().value();
        loss(&plain).backward();
        assert!(plain.grad().unwrap().tensor().allclose(&(&held * 2.0), 1e-14, 0.0));
        // A table that is itself computed.
        loss(&(&inner * 1.0)).backward();
        assert!(inner.grad().unwrap().tensor().allclose(&held, 1e-14, 0.0));
        // What came first may be one number seen as many.
        let spread = made();
        (spread.embedding(&ids).sum() + spread.sum()).backward();
        assert_eq!(spread.grad().unwrap().to_vec::<f64>(), [2.0, 2.0, 1.0, 1.0, 3.0, 3.0]);
        let dtable = crate::grad(&[&loss(&inner)], &[&inner], Default::default())[0].clone().unwrap();
        assert!(dtable.tensor().allclose(&held, 1e-14, 0.0));
    }

    /// Central differences cannot show it: the row counts, but gets no gradient.
    #[test]
    fn padding_gets_no_gradient_of_any_order() {
        let table = Var::new(Tensor::from([[1.0], [2.0]])).requires_grad_(true);
        let y = table.embedding_with(&Tensor::from([0i64, 1]), Some(0), false).square().sum();
        let create = crate::GradOptions { create_graph: true, ..Default::default() };
        let dtable = crate::grad(&[&y], &[&table], create)[0].clone().unwrap();
        assert_eq!(dtable.value().to_vec::<f64>(), [0.0, 4.0]);
        dtable.sum().backward();
        assert_eq!(table.grad().unwrap().to_vec::<f64>(), [0.0, 2.0]);
    }

    #[test]
    #[should_panic(expected = "embedding_with: padding_idx 2 is no row of 2")]
    fn padding_is_a_row() {
        Var::new(Tensor::from([[1.0], [2.0]])).embedding_with(&Tensor::from([0i64]), Some(2), false);
    }
}
