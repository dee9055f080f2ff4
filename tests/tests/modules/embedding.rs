//! Tables of vectors, and bags of them. What `max_norm` leaves of the table is a second output.

use crate::harness::*;

fn table(options: EmbeddingOptions) -> Case {
    module(Embedding::with(5, 3, options), |m, x| m.forward(x.tensor(0)))
}

fn shortened_table(options: EmbeddingOptions) -> Case {
    module(Embedding::with(5, 3, options), |m, x| (m.forward(x.tensor(0)), m.weight.value()))
}

/// Indices and offsets.
fn bag(mode: EmbeddingBagMode, options: EmbeddingBagOptions) -> Case {
    let bag = EmbeddingBag::with(5, 3, EmbeddingBagOptions { mode, ..options });
    module(bag, |m, x| m.forward(x.tensor(0), Some(x.tensor(1)), None))
}

/// A bag for each row of indices.
fn rows(mode: EmbeddingBagMode, options: EmbeddingBagOptions) -> Case {
    let bag = EmbeddingBag::with(5, 3, EmbeddingBagOptions { mode, ..options });
    module(bag, |m, x| m.forward(x.tensor(0), None, None))
}

fn shortened(mode: EmbeddingBagMode, options: EmbeddingBagOptions) -> Case {
    let bag = EmbeddingBag::with(5, 3, EmbeddingBagOptions { mode, ..options });
    module(bag, |m, x| (m.forward(x.tensor(0), Some(x.tensor(1)), None), m.weight.value()))
}

fn weighted(options: EmbeddingBagOptions) -> Case {
    let bag = EmbeddingBag::with(5, 3, EmbeddingBagOptions { mode: Sum, ..options });
    module(bag, |m, x| m.forward(x.tensor(0), Some(x.tensor(1)), Some(x.var(2))))
}

use EmbeddingBagMode::{Max, Mean, Sum};

fn plain() -> EmbeddingBagOptions {
    EmbeddingBagOptions::default()
}

fn last_offset() -> EmbeddingBagOptions {
    EmbeddingBagOptions { include_last_offset: true, ..plain() }
}

fn padding(row: isize) -> EmbeddingBagOptions {
    EmbeddingBagOptions { padding_idx: Some(row), ..plain() }
}

fn max_norm() -> EmbeddingBagOptions {
    EmbeddingBagOptions { max_norm: Some(0.75), ..plain() }
}

cases! { "embedding":
    "embedding" => table(EmbeddingOptions::default()),
    "embedding_one_index" => table(EmbeddingOptions::default()),
    "embedding_no_indices" => table(EmbeddingOptions::default()),
    "embedding_padding" => table(EmbeddingOptions { padding_idx: Some(1), ..Default::default() }),
    "embedding_padding_from_the_end" => table(EmbeddingOptions { padding_idx: Some(-1), ..Default::default() }),
    "embedding_max_norm" => shortened_table(EmbeddingOptions { max_norm: Some(0.75), ..Default::default() }),
    "embedding_max_norm_1" => {
        shortened_table(EmbeddingOptions { max_norm: Some(1.0), norm_type: 1.0, ..Default::default() })
    },
    "embedding_max_norm_inf" => {
        shortened_table(EmbeddingOptions { max_norm: Some(0.5), norm_type: f64::INFINITY, ..Default::default() })
    },
    "embedding_frequency" => table(EmbeddingOptions { scale_grad_by_freq: true, ..Default::default() }),
    "embedding_everything" => shortened_table(EmbeddingOptions {
        padding_idx: Some(4),
        max_norm: Some(1.0),
        norm_type: 3.0,
        scale_grad_by_freq: true,
        ..Default::default()
    }),
    "embedding_frozen" => {
        let frozen = Embedding::from_pretrained(Tensor::zeros([5, 3], DType::F32), true);
        module(frozen, |m, x| m.forward(x.tensor(0)))
    },
    "embedding_pretrained" => {
        let options = EmbeddingOptions { padding_idx: Some(2), ..Default::default() };
        let trained = Embedding::from_pretrained_with(Tensor::zeros([5, 3], DType::F32), false, options);
        module(trained, |m, x| m.forward(x.tensor(0)))
    },
    "bag_sum" => bag(Sum, plain()),
    "bag_sum_rows" => rows(Sum, plain()),
    "bag_sum_last_offset" => bag(Sum, last_offset()),
    "bag_sum_padding" => bag(Sum, padding(4)),
    "bag_sum_padding_alone" => rows(Sum, padding(-1)),
    "bag_sum_max_norm" => shortened(Sum, max_norm()),
    "bag_sum_no_indices" => bag(Sum, plain()),
    "bag_mean" => bag(Mean, plain()),
    "bag_mean_rows" => rows(Mean, plain()),
    "bag_mean_last_offset" => bag(Mean, last_offset()),
    "bag_mean_padding" => bag(Mean, padding(4)),
    "bag_mean_padding_alone" => rows(Mean, padding(-1)),
    "bag_mean_max_norm" => shortened(Mean, max_norm()),
    "bag_mean_no_indices" => bag(Mean, plain()),
    "bag_max" => bag(Max, plain()),
    "bag_max_rows" => rows(Max, plain()),
    "bag_max_last_offset" => bag(Max, last_offset()),
    "bag_max_padding" => bag(Max, padding(4)),
    "bag_max_padding_alone" => rows(Max, padding(-1)),
    "bag_max_max_norm" => shortened(Max, max_norm()),
    "bag_max_no_indices" => bag(Max, plain()),
    "bag_mean_frequency" => bag(Mean, EmbeddingBagOptions { scale_grad_by_freq: true, norm_type: 1.0, ..plain() }),
    "bag_sum_frequency" => bag(Sum, EmbeddingBagOptions { scale_grad_by_freq: true, ..plain() }),
    "bag_weighted" => weighted(plain()),
    "bag_weighted_padding" => weighted(padding(4)),
    "bag_weighted_rows" => {
        let bag = EmbeddingBag::with(5, 3, EmbeddingBagOptions { mode: Sum, ..plain() });
        module(bag, |m, x| m.forward(x.tensor(0), None, Some(x.var(1))))
    },
    "bag_everything" => {
        let norm = EmbeddingBagOptions { max_norm: Some(1.0), norm_type: 3.0, ..plain() };
        shortened(Mean, EmbeddingBagOptions { scale_grad_by_freq: true, padding_idx: Some(0), ..norm })
    },
    "bag_max_ties" => function(|x| {
        let max = EmbeddingBagOptions { mode: Max, ..plain() };
        functional::embedding_bag(x.tensor(0), x.var(1), None, None, &max)
    }),
}
