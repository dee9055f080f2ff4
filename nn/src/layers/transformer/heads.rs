//! Query, key and value in heads, and the masks over them as one.
//!
//! Dimensions: `b` batch, `t` queries, `s` keys, `h` heads, `d` the width of a head.

use autograd::Var;
use tensor::{DType, Tensor};

use super::AttentionMasks;

/// Query, key and value in heads: `[b, h, t, d]`, `[b, h, s, d]`, `[b, h, s, d]`.
pub(super) struct Heads {
    pub q: Var,
    pub k: Var,
    pub v: Var,
    /// How many of the last keys are none of the input's.
    pub added: usize,
}

impl Heads {
    /// The masks as one, in the sense of scaled dot-product attention: `true` where attention is allowed, or numbers
    /// that are added to the scores; and whether it is causal besides.
    #[track_caller]
    pub fn allowed(&self, masks: &AttentionMasks) -> (Option<Tensor>, bool) {
        for (name, mask) in [("attn_mask", &masks.attn_mask), ("key_padding_mask", &masks.key_padding_mask)] {
            // Of numbers that are not floating one cannot tell whether they block or are added.
            let dtype = mask.as_ref().map_or(DType::Bool, Tensor::dtype);
            let known = dtype == DType::Bool || dtype.is_floating_point();
            assert!(known, "MultiheadAttention: {name} is {dtype}, must be bool or floating");
        }
        if self.added == 0 {
            return (self.of_input(masks), masks.is_causal);
        }
        let (t, s) = (self.q.dim(2), self.k.dim(2) - self.added);
        let mut masks = masks.clone();
        if masks.is_causal {
            let ahead = Tensor::ones([t, s], DType::Bool).triu(1);
            masks.attn_mask = Some(match &masks.attn_mask {
                None => ahead,
                Some(mask) if mask.dtype() == DType::Bool => mask.logical_or(&ahead),
                Some(mask) => mask.masked_fill(&ahead, f64::NEG_INFINITY),
            });
        }
        // Everything may look at the keys that were added.
        let wider = self.of_input(&masks).map(|mask| {
            let mut shape = mask.dims().to_vec();
            shape[3] = self.added;
            let open = match mask.dtype() {
                DType::Bool => Tensor::ones(shape, DType::Bool),
                dtype => Tensor::zeros(shape, dtype),
            };
            Tensor::cat(&[mask, open], -1)
        });
        (wider, false)
    }

    /// The masks of the input's own keys as one.
    #[track_caller]
    fn of_input(&self, masks: &AttentionMasks) -> Option<Tensor> {
        let [b, h, t] = [self.q.dim(0), self.q.dim(1), self.q.dim(2)];
        let s = self.k.dim(2) - self.added;
        let attention = masks.attn_mask.as_ref().map(|mask| match *mask.dims() {
            [rows, columns] if [rows, columns] == [t, s] => mask.reshape([1, 1, t, s]),
            [each, rows, columns] if [each, rows, columns] == [b * h, t, s] => mask.reshape([b, h, t, s]),
            _ => panic!(
                "MultiheadAttention: attn_mask does not fit\n  mask {}   rule [{t}, {s}] or [{}, {t}, {s}]",
                mask.shape(),
                b * h
            ),
        });
        let padding = masks.key_padding_mask.as_ref().map(|mask| match *mask.dims() {
            [rows, columns] if [rows, columns] == [b, s] => mask.reshape([b, 1, 1, s]),
            [columns] if (1, s) == (b, columns) => mask.reshape([1, 1, 1, s]),
            _ => panic!("MultiheadAttention: key_padding_mask does not fit\n  mask {}   rule [{b}, {s}]", mask.shape()),
        });
        let dtype = self.q.dtype();
        let additive = |mask: &Tensor| match mask.dtype() {
            DType::Bool => Tensor::zeros(mask.shape(), dtype).masked_fill(mask, f64::NEG_INFINITY),
            _ => mask.to_dtype(dtype),
        };
        match (attention, padding) {
            (None, None) => None,
            (Some(mask), None) | (None, Some(mask)) if mask.dtype() == DType::Bool => Some(mask.logical_not()),
            (Some(mask), None) | (None, Some(mask)) => Some(mask.to_dtype(dtype)),
            (Some(a), Some(b)) if a.dtype() == DType::Bool && b.dtype() == DType::Bool => {
                Some(a.logical_or(&b).logical_not())
            }
            (Some(a), Some(b)) => Some(&additive(&a) + &additive(&b)),
        }
    }
}
