//! Lengths, directions and distances of vectors, and attention, which compares them.

use nn::functional as F;
use tensor::Attention;

use crate::harness::*;

fn cosine(layer: CosineSimilarity) -> Case {
    module(layer, |m, x| m.forward(x.var(0), x.var(1)))
}

fn distance(layer: PairwiseDistance) -> Case {
    module(layer, |m, x| m.forward(x.var(0), x.var(1)))
}

fn attention(options: Attention) -> Case {
    function(move |x| F::scaled_dot_product_attention(x.var(0), x.var(1), x.var(2), &options))
}

fn masked() -> Case {
    function(|x| {
        let options = Attention { mask: Some(x.tensor(3).clone()), ..Default::default() };
        F::scaled_dot_product_attention(x.var(0), x.var(1), x.var(2), &options)
    })
}

cases! { "similarity":
    "normalize" => function(|x| F::normalize(x.var(0), 2.0, 1, 1e-12)),
    "normalize_options" => function(|x| F::normalize(x.var(0), 3.0, -1, 1e-3)),
    "cosine_similarity" => function(|x| F::cosine_similarity(x.var(0), x.var(1), 1, 1e-8)),
    "cosine_similarity_options" => function(|x| F::cosine_similarity(x.var(0), x.var(1), -1, 1.0)),
    "cosine_similarity_module" => cosine(CosineSimilarity::new()),
    "cosine_similarity_module_options" => cosine(CosineSimilarity::with(-1, 1.0)),
    "pairwise_distance_module" => distance(PairwiseDistance::new()),
    "pairwise_distance_module_options" => distance(PairwiseDistance::with(3.0, 1e-3, true)),
    "pairwise_distance" => function(|x| F::pairwise_distance(x.var(0), x.var(1), 2.0, 1e-6, false)),
    "pairwise_distance_options" => function(|x| F::pairwise_distance(x.var(0), x.var(1), 1.0, 1e-3, true)),
    "attention" => attention(Attention::default()),
    "attention_causal" => attention(Attention { is_causal: true, ..Default::default() }),
    "attention_scale" => attention(Attention { scale: Some(0.3), ..Default::default() }),
    "attention_bool_mask" => masked(),
    "attention_float_mask" => masked(),
    "attention_gqa" => attention(Attention { enable_gqa: true, ..Default::default() }),
}
