//! Tables of vectors.

use proptest::prelude::*;
use proptest::sample::select;
use tensor::{DType, Tensor};

use super::{batch_shapes, seeded, sizes};
use crate::{Embedding, EmbeddingBag, EmbeddingBagMode, EmbeddingBagOptions, EmbeddingOptions, Module};

/// Embedding tables without options, and indices that fit.
pub fn embeddings() -> impl Strategy<Value = (Embedding, Tensor)> {
    (sizes(), sizes(), batch_shapes(), any::<u64>())
        .prop_map(|(rows, columns, shape, seed)| drawn(rows, columns, shape, seed, EmbeddingOptions::default()))
}

/// Embedding tables with any options, those options, and indices that fit.
pub fn embeddings_with_options() -> impl Strategy<Value = (Embedding, EmbeddingOptions, Tensor)> {
    let norms = (prop::option::of(0.2..2.0f64), select(&[1.0, 2.0, 3.0, f64::INFINITY][..]));
    (
        sizes(),
        sizes(),
        batch_shapes(),
        prop::option::of(any::<prop::sample::Index>()),
        norms,
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(|(rows, columns, shape, padding, (max_norm, norm_type), scale_grad_by_freq, seed)| {
            let padding_idx = padding.map(|padding| padding.index(rows) as isize);
            let dtype = DType::F64;
            let options = EmbeddingOptions { padding_idx, max_norm, norm_type, scale_grad_by_freq, dtype };
            let (table, ids) = drawn(rows, columns, shape, seed, options);
            (table, options, ids)
        })
}

fn drawn(rows: usize, columns: usize, shape: Vec<usize>, seed: u64, options: EmbeddingOptions) -> (Embedding, Tensor) {
    seeded(seed, || {
        let table = Embedding::with(rows, columns, options);
        table.to_dtype(DType::F64);
        (table, Tensor::randint(0, rows as i64, shape))
    })
}

/// Bags of embeddings in each mode, perhaps with padding: the layer, its options, the indices, and the offsets where bags begin.
/// Some bags are empty.
pub fn embedding_bags() -> impl Strategy<Value = (EmbeddingBag, EmbeddingBagOptions, Tensor, Tensor)> {
    let modes = select(&[EmbeddingBagMode::Sum, EmbeddingBagMode::Mean, EmbeddingBagMode::Max][..]);
    let bags = prop::collection::vec(0usize..4, 0..4);
    let padding = prop::option::of(any::<prop::sample::Index>());
    (sizes(), sizes(), bags, modes, padding, any::<bool>(), any::<u64>()).prop_map(
        |(rows, columns, bags, mode, padding, include_last_offset, seed)| {
            let padding_idx = padding.map(|padding| padding.index(rows) as isize);
            let options =
                EmbeddingBagOptions { mode, padding_idx, include_last_offset, dtype: DType::F64, ..Default::default() };
            let mut offsets = vec![0i64];
            offsets.extend(bags.iter().scan(0, |end, &n| {
                *end += n as i64;
                Some(*end)
            }));
            let total = *offsets.last().expect("one for the start");
            if !include_last_offset {
                offsets.pop();
            }
            let (layer, ids) = seeded(seed, || {
                let layer = EmbeddingBag::with(rows, columns, options);
                // All different, since a maximum has kinks at ties; and the padding's zeros would hide that it counts.
                let order = Tensor::randn([rows * columns], DType::F64).argsort(0, false).to_dtype(DType::F64);
                let even = order * (4.0 / (rows * columns) as f64) - 2.0;
                layer.weight.set_value(even.reshape([rows, columns]));
                (layer, Tensor::randint(0, rows as i64, if offsets.is_empty() { [0] } else { [total as usize] }))
            });
            let count = offsets.len();
            (layer, options, ids, Tensor::from_vec(offsets, [count]))
        },
    )
}
