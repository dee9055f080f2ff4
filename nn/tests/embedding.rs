//! Tables of vectors and bags of them: rows, gradients, padding, norms, and what is refused.

mod common;

use common::refuses;
use nn::gradcheck_parameters;
use nn::prelude::*;
use nn::strategy::{embedding_bags, embeddings, embeddings_with_options};
use proptest::prelude::*;

const F64: DType = DType::F64;

/// `EmbeddingBag` from its definition, bag by bag.
fn bags_by_hand(layer: &EmbeddingBag, options: &EmbeddingBagOptions, ids: &Tensor, offsets: &Tensor) -> Var {
    let mut bounds = offsets.to_vec::<i64>();
    if !options.include_last_offset {
        bounds.push(ids.numel() as i64);
    }
    let ids = ids.to_vec::<i64>();
    let nothing = Var::new(Tensor::zeros([0, layer.embedding_dim()], F64));
    let bags = bounds.windows(2).map(|bound| {
        let read = ids[bound[0] as usize..bound[1] as usize].iter();
        let read: Vec<i64> = read.copied().filter(|&id| options.padding_idx != Some(id as isize)).collect();
        let rows = layer.weight.embedding(&Tensor::from_slice(&read, [read.len()]));
        match options.mode {
            _ if read.is_empty() => Var::new(Tensor::zeros([layer.embedding_dim()], F64)),
            EmbeddingBagMode::Sum => rows.sum_dim(0, false),
            EmbeddingBagMode::Mean => rows.mean_dim(0, false),
            EmbeddingBagMode::Max => rows.amax(0, false),
        }
    });
    let bags: Vec<Var> = bags.collect();
    if bags.is_empty() { nothing } else { Var::stack(&bags, 0) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables((table, ids) in embeddings()) {
        let y = table.forward(&ids);
        prop_assert_eq!(&y.shape()[..ids.ndim()], ids.dims());
        let flat = ids.reshape([ids.numel()]);
        let rows = table.weight.value().index_select(0, &flat);
        prop_assert!(y.value().reshape([ids.numel(), table.embedding_dim()]).bit_eq(&rows));
        gradcheck_parameters(&table, || table.forward(&ids).tanh(), Default::default()).unwrap();
    }

    #[test]
    fn tables_with_options((table, options, ids) in embeddings_with_options()) {
        let (n, d) = (table.num_embeddings(), table.embedding_dim());
        let before = table.weight.to_vec::<f64>();
        let y = table.forward(&ids);
        let after = table.weight.to_vec::<f64>();
        let flat = ids.to_vec::<i64>();
        let often = |row: usize| flat.iter().filter(|&&id| id as usize == row).count();
        for row in 0..n {
            let (old, new) = (&before[row * d..][..d], &after[row * d..][..d]);
            let powers = |p: f64| old.iter().map(|x| x.abs().powf(p)).sum::<f64>().powf(1.0 / p);
            let norm = match options.norm_type {
                f64::INFINITY => old.iter().fold(0f64, |most, x| most.max(x.abs())),
                p => powers(p),
            };
            let scale = match options.max_norm {
                Some(limit) if norm > limit && often(row) > 0 => limit / (norm + 1e-7),
                _ => 1.0,
            };
            prop_assert!(old.iter().zip(new).all(|(old, new)| (old * scale - new).abs() < 1e-12));
        }
        let rows = Tensor::from_slice(&after, [n, d]).embedding(&ids);
        prop_assert!(y.value().bit_eq(&rows));

        let dy = Tensor::linspace(-1.0, 2.0, y.numel(), F64).reshape(y.shape());
        (&y * Var::new(dy.clone())).sum().backward();
        let dy = dy.to_vec::<f64>();
        let mut expected = vec![0f64; n * d];
        for (place, &id) in flat.iter().enumerate().filter(|&(_, &id)| options.padding_idx != Some(id as isize)) {
            let share = if options.scale_grad_by_freq { often(id as usize) as f64 } else { 1.0 };
            for k in 0..d {
                expected[id as usize * d + k] += dy[place * d + k] / share;
            }
        }
        let found = table.weight.grad().unwrap().value();
        prop_assert!(found.allclose(&Tensor::from_vec(expected, [n, d]), 1e-12, 1e-12));
    }

    #[test]
    fn bags((layer, options, ids, offsets) in embedding_bags()) {
        let (y, by_hand) = (layer.forward(&ids, Some(&offsets), None), bags_by_hand(&layer, &options, &ids, &offsets));
        prop_assert!(y.value().allclose(&by_hand.value(), 1e-12, 1e-12), "{} {}", y.value(), by_hand.value());
        gradcheck_parameters(&layer, || layer.forward(&ids, Some(&offsets), None).tanh(), Default::default()).unwrap();
    }

    #[test]
    fn a_bag_does_not_see_the_others((layer, options, ids, offsets) in embedding_bags()) {
        prop_assume!(!options.include_last_offset);
        let together = layer.forward(&ids, Some(&offsets), None).value();
        let mut bounds = offsets.to_vec::<i64>();
        bounds.push(ids.numel() as i64);
        for (bag, bound) in bounds.windows(2).enumerate() {
            let own = ids.narrow(0, bound[0] as usize, (bound[1] - bound[0]) as usize);
            let alone = layer.forward(&own, Some(&Tensor::from([0i64])), None).value();
            prop_assert!(alone.allclose(&together.narrow(0, bag, 1), 1e-12, 1e-12));
        }
    }

    #[test]
    fn factors_of_a_sum(n in 0usize..4, width in 1usize..4, seed: u64) {
        manual_seed(seed);
        let options = EmbeddingBagOptions { mode: EmbeddingBagMode::Sum, dtype: F64, ..Default::default() };
        let layer = EmbeddingBag::with(4, 3, options);
        let ids = Tensor::randint(0, 4, [n, width]);
        let factors = Var::new(Tensor::randn([n, width], F64)).requires_grad_(true);
        let y = |v: &[Var]| layer.forward(&ids, None, Some(&v[0])).tanh();
        autograd::gradcheck(y, std::slice::from_ref(&factors), Default::default()).unwrap();
        gradcheck_parameters(&layer, || y(std::slice::from_ref(&factors)), Default::default()).unwrap();
    }
}

#[test]
fn padding_starts_at_zero_and_stays_there() {
    let options = EmbeddingOptions { padding_idx: Some(-2), ..Default::default() };
    let table = Embedding::with(5, 3, options);
    assert_eq!(table.to_string(), "Embedding(5, 3, padding_idx=3)");
    let zero = |weight: &Parameter| weight.value().narrow(0, 3, 1).eq_scalar(0.0).all().item::<bool>();
    assert!(zero(&table.weight));
    assert_eq!(table.weight.value().count_nonzero([]).item::<i64>(), 12);
    table.forward(&Tensor::from([3i64, 1, 3])).sum().backward();
    assert_eq!(table.weight.grad().unwrap().value().sum_dim(1, false).to_vec::<f32>(), [0.0, 3.0, 0.0, 0.0, 0.0]);
    let bags = EmbeddingBag::with(5, 3, EmbeddingBagOptions { padding_idx: Some(3), ..Default::default() });
    assert!(zero(&bags.weight));
}

#[test]
fn a_known_table_keeps_its_padding_and_is_trained_on_request() {
    let vectors = Tensor::from([[1f64, 2.0], [3.0, 4.0]]);
    let frozen = Embedding::from_pretrained(vectors.clone(), true);
    assert!(!frozen.weight.requires_grad() && frozen.weight.value().bit_eq(&vectors));
    assert!(!frozen.forward(&Tensor::from([0i64])).requires_grad());
    let options = EmbeddingOptions { padding_idx: Some(0), ..Default::default() };
    let trained = Embedding::from_pretrained_with(vectors.clone(), false, options);
    assert!(trained.weight.requires_grad() && trained.weight.value().bit_eq(&vectors));
    let bags = EmbeddingBag::from_pretrained(vectors.clone(), true);
    assert!(!bags.weight.requires_grad());
    assert_eq!(bags.forward(&Tensor::from([[0i64, 1]]), None, None).to_vec::<f64>(), [2.0, 3.0]);
}

#[test]
fn shortening_is_in_place_and_leaves_older_graphs_alone() {
    let table = Embedding::from_pretrained(Tensor::from([[3f64, 4.0], [0.1, 0.1]]), false);
    let squares = table.weight.square().sum();
    functional::embedding_renorm_(&table.weight, &Tensor::from([0i64, 1]), 1.0, 2.0);
    assert!(table.weight.value().allclose(&Tensor::from([[0.6, 0.8], [0.1, 0.1]]), 0.0, 1e-7));
    assert!(table.weight.is_leaf() && table.weight.requires_grad());
    squares.backward();
    assert_eq!(table.weight.grad().unwrap().to_vec::<f64>(), [6.0, 8.0, 0.2, 0.2]);
}

#[test]
fn refusals() {
    let (table, bags) = (Embedding::new(5, 3), EmbeddingBag::new(5, 3));
    let ids = Tensor::from([1i64, 2, 4]);
    let bag = |options: EmbeddingBagOptions, offsets: &[i64]| {
        EmbeddingBag::with(5, 3, options).forward(&ids, Some(&Tensor::from_slice(offsets, [offsets.len()])), None)
    };
    let plain = EmbeddingBagOptions::default();
    let sum = EmbeddingBagOptions { mode: EmbeddingBagMode::Sum, ..plain };
    let factors = Var::new(Tensor::ones([2], DType::F32));
    refuses! {
        table.forward(&Tensor::from([5i64])) => "embedding: index 5 is out of range 0..5";
        table.forward(&Tensor::from([-1i64])) => "embedding: index -1 is out of range";
        Embedding::with(5, 3, EmbeddingOptions { padding_idx: Some(5), ..Default::default() }) => "embedding: the padding is no row of the table\n  padding_idx 5   rows 5";
        EmbeddingBag::with(5, 3, EmbeddingBagOptions { padding_idx: Some(-6), ..plain }) => "padding_idx -6   rows 5";
        functional::embedding(&ids, &table.weight, &EmbeddingOptions { padding_idx: Some(7), ..Default::default() }) => "padding_idx 7 is no row of 5";
        functional::embedding_renorm_(&table.weight, &Tensor::from([5i64]), 1.0, 2.0) => "embedding: index 5 is out of range 0..5";
        functional::embedding_renorm_(&(&*table.weight * 2.0), &ids, 1e-3, 2.0) => "this is the result of `mul`";
        Embedding::from_pretrained(Tensor::zeros([3], DType::F32), true) => "Embedding: the vectors are no matrix of floats\n  embeddings [3] f32   rule [num_embeddings, embedding_dim]";
        Embedding::from_pretrained_with(Tensor::zeros([3, 2], DType::F32), true, EmbeddingOptions { padding_idx: Some(3), ..Default::default() }) => "padding_idx 3   rows 3";
        EmbeddingBag::from_pretrained(Tensor::zeros([3, 2], DType::I64), true) => "EmbeddingBag: the vectors are no matrix of floats\n  embeddings [3, 2] i64";
        bags.forward(&ids, None, None) => "embedding_bag: the indices are no bags\n  ids [3]   offsets None   rule [b, n] alone, or [l] and [b]";
        bags.forward(&ids.reshape([1, 3]), Some(&Tensor::from([0i64])), None) => "ids [1, 3]   offsets Some([1])";
        bag(plain, &[1, 2]) => "embedding_bag: the offsets do not cut the indices into bags\n  offsets [1, 2]   indices 3   rule 0 <= .. <= 3";
        bag(plain, &[0, 2, 1]) => "offsets [0, 2, 1]   indices 3";
        bag(plain, &[0, 4]) => "offsets [0, 4]   indices 3";
        bag(EmbeddingBagOptions { include_last_offset: true, ..plain }, &[0, 2]) => "embedding_bag: the last offset is not the number of indices\n  offsets [0, 2]   indices 3";
        bag(EmbeddingBagOptions { mode: EmbeddingBagMode::Max, scale_grad_by_freq: true, ..plain }, &[0]) => "embedding_bag: scale_grad_by_freq is for the sum and the mean";
        bags.forward(&ids.reshape([1, 3]), None, Some(&factors)) => "embedding_bag: per_sample_weights are for the sum, the mode is Mean";
        EmbeddingBag::with(5, 3, sum).forward(&ids.reshape([1, 3]), None, Some(&factors)) => "embedding_bag: there is not one factor for each index\n  ids [1, 3]   per_sample_weights [2]   rule equal shapes";
        bags.forward(&Tensor::from([[1f32]]), None, None) => "embedding_bag: indices and offsets must be i64 or i32, got f32";
        bags.forward(&ids, Some(&Tensor::from([0f32])), None) => "embedding_bag: indices and offsets must be i64 or i32, got f32";
        functional::embedding_renorm_(&table.weight, &Tensor::from([1u8]), 1.0, 2.0) => "embedding_renorm_: indices and offsets must be i64 or i32, got u8";
        bags.forward(&Tensor::from([[5i64]]), None, None) => "embedding: index 5 is out of range 0..5";
    }
}
