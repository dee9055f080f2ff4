//! The data loader: what an epoch contains, that threads change nothing, resuming, and what is refused.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use models::data::{
    BatchSampler, DataLoader, DataLoaderOptions, Dataset, RandomSampler, Sampler, SequentialSampler,
    SubsetRandomSampler, TensorDataset, VecDataset, WeightedRandomSampler,
};
use nn::StateDict;
use proptest::prelude::*;
use tensor::{DType, Generator, Tensor};

/// The index of each sample, a number drawn from its generator, and one from the thread's default generator.
struct Noisy {
    len: usize,
}

impl Dataset for Noisy {
    type Sample = (i64, Tensor, Tensor);

    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, index: usize, rng: &mut Generator) -> Self::Sample {
        (index as i64, Tensor::rand_with([2], DType::F64, rng), Tensor::rand([], DType::F64))
    }
}

type Batch = (Tensor, Tensor, Tensor);

fn same(a: &[Batch], b: &[Batch]) -> bool {
    let equal = |(a, b): (&Batch, &Batch)| a.0.bit_eq(&b.0) && a.1.bit_eq(&b.1) && a.2.bit_eq(&b.2);
    a.len() == b.len() && a.iter().zip(b).all(equal)
}

fn indices(batches: &[Batch]) -> Vec<i64> {
    batches.iter().flat_map(|batch| batch.0.to_vec::<i64>()).collect()
}

fn options() -> impl Strategy<Value = DataLoaderOptions> {
    (1..8usize, any::<bool>(), any::<bool>(), 0..4usize, 1..4usize, any::<u64>()).prop_map(
        |(batch_size, shuffle, drop_last, num_workers, prefetch_factor, seed)| DataLoaderOptions {
            batch_size,
            shuffle,
            drop_last,
            num_workers,
            prefetch_factor,
            seed: Some(seed),
            ..Default::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_sample_comes_once_per_epoch(options in options(), len in 0..40usize, epoch in 0..5u64) {
        let loader = DataLoader::with(Noisy { len }, options.clone());
        let batches: Vec<Batch> = loader.epoch(epoch).collect();
        prop_assert_eq!(batches.len(), loader.len());
        let size = options.batch_size;
        let expected = if options.drop_last { len / size } else { len.div_ceil(size) };
        prop_assert_eq!(batches.len(), expected);
        prop_assert!(batches.iter().rev().skip(1).all(|batch| batch.0.numel() == size));
        prop_assert!(!options.drop_last || batches.iter().all(|batch| batch.0.numel() == size));
        let mut seen = indices(&batches);
        prop_assert!(options.shuffle || seen.is_sorted());
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), if options.drop_last { len / size * size } else { len });
        prop_assert!(seen.iter().all(|&index| (index as usize) < len));
    }

    #[test]
    fn the_number_of_workers_changes_nothing(options in options(), len in 1..40usize, epoch in 0..3u64) {
        let run = |num_workers| {
            let loader = DataLoader::with(Noisy { len }, DataLoaderOptions { num_workers, ..options.clone() });
            loader.epoch(epoch).collect::<Vec<Batch>>()
        };
        let alone = run(0);
        prop_assert!(same(&alone, &run(1)) && same(&alone, &run(3)));
    }

    #[test]
    fn resuming_anywhere_goes_on_as_if_nothing_had_happened(options in options(), len in 1..40usize, stop in 0..30usize,
            workers in 0..4usize) {
        let loader = DataLoader::with(Noisy { len }, options.clone());
        let whole: Vec<Batch> = (0..3).flat_map(|epoch| loader.epoch(epoch)).collect();
        let stop = stop.min(whole.len());

        let first = DataLoader::with(Noisy { len }, options.clone());
        let mut got: Vec<Batch> = (0..3).flat_map(|_| first.iter()).take(stop).collect();
        let state = first.state_dict();
        // Another seed and other threads: the state decides, and they do not matter.
        let second = DataLoader::with(Noisy { len }, DataLoaderOptions { seed: Some(99), num_workers: workers, ..options });
        second.load_state_dict(&state).unwrap();
        let (epoch, batch) = second.position();
        prop_assert_eq!(epoch as usize * loader.len() + batch, stop);
        got.extend((epoch..3).flat_map(|_| second.iter()));
        prop_assert!(same(&whole, &got));
        // Nobody is in the middle of an epoch any more.
        prop_assert_eq!(second.position(), (3, 0));
    }

    #[test]
    fn samplers_decide_and_repeats_differ(n in 1..20usize, samples in 1..60usize, seed in any::<u64>()) {
        let sampler = RandomSampler { replacement: true, num_samples: samples, ..RandomSampler::new(n) };
        let options = DataLoaderOptions {
            batch_size: 7, sampler: Some(Arc::new(sampler)), num_workers: 2, seed: Some(seed), ..Default::default()
        };
        let batches: Vec<Batch> = DataLoader::with(Noisy { len: n }, options).iter().collect();
        prop_assert_eq!(indices(&batches).len(), samples);
        // The same index again in one epoch has other random numbers.
        let drawn: HashSet<u64> =
            batches.iter().flat_map(|batch| batch.1.to_vec::<f64>()).map(f64::to_bits).collect();
        prop_assert_eq!(drawn.len(), 2 * samples);
    }
}

#[test]
fn each_epoch_has_another_order_and_other_noise() {
    let options = DataLoaderOptions { batch_size: 4, shuffle: true, seed: Some(1), ..Default::default() };
    let loader = DataLoader::with(Noisy { len: 20 }, options.clone());
    let (a, b): (Vec<Batch>, Vec<Batch>) = (loader.iter().collect(), loader.iter().collect());
    assert_ne!(indices(&a), indices(&b));
    let noise = |batches: &[Batch], index: i64| {
        let batch = batches.iter().find(|batch| batch.0.to_vec::<i64>().contains(&index)).unwrap();
        let at = batch.0.to_vec::<i64>().iter().position(|&i| i == index).unwrap();
        batch.1.to_vec::<f64>()[2 * at]
    };
    assert_ne!(noise(&a, 3), noise(&b, 3));
    // The noise belongs to the sample, not to its place: in order it is the same.
    let in_order = DataLoader::with(Noisy { len: 20 }, DataLoaderOptions { shuffle: false, ..options.clone() });
    assert_eq!(noise(&a, 3), noise(&in_order.epoch(0).collect::<Vec<_>>(), 3));
    // Another seed is another order, and both follow `manual_seed` when none is given.
    let order = |seed| {
        let loader = DataLoader::with(Noisy { len: 20 }, DataLoaderOptions { seed, ..options.clone() });
        indices(&loader.epoch(0).collect::<Vec<_>>())
    };
    assert_ne!(order(Some(1)), order(Some(2)));
    let seeded = |seed| {
        tensor::manual_seed(seed);
        order(None)
    };
    assert_eq!(seeded(5), seeded(5));
    assert_ne!(seeded(5), seeded(6));
}

#[test]
fn the_callers_random_numbers_go_on_undisturbed() {
    let draw = |num_workers| {
        tensor::manual_seed(3);
        let options = DataLoaderOptions { num_workers, seed: Some(0), ..Default::default() };
        let loader = DataLoader::with(Noisy { len: 5 }, options);
        let numbers: Vec<f64> = loader.iter().map(|_| Tensor::rand([], DType::F64).item()).collect();
        numbers
    };
    assert_eq!(draw(0), draw(2));
}

#[test]
fn a_loop_that_was_left_is_over() {
    let options = DataLoaderOptions { batch_size: 2, num_workers: 1, ..Default::default() };
    let loader = DataLoader::with(Noisy { len: 10 }, options);
    assert_eq!(loader.position(), (0, 0));
    for (i, _) in loader.iter().enumerate() {
        if i == 1 {
            break;
        }
    }
    assert_eq!(loader.position(), (0, 2));
    let next = loader.iter();
    assert_eq!((next.number(), next.len()), (1, 5));
    assert_eq!(next.count(), 5);
    assert_eq!(loader.position(), (2, 0));
    assert_eq!(loader.epoch(7).number(), 7);
}

#[test]
fn loops_at_the_same_time_are_epochs_of_their_own() {
    for num_workers in [0, 2] {
        let options =
            DataLoaderOptions { batch_size: 3, shuffle: true, num_workers, seed: Some(4), ..Default::default() };
        let loader = DataLoader::with(Noisy { len: 10 }, options.clone());
        let mut outer: Vec<Batch> = Vec::new();
        let mut inner: Vec<Vec<Batch>> = Vec::new();
        for batch in &loader {
            outer.push(batch);
            inner.push(loader.iter().collect());
        }
        let alone = DataLoader::with(Noisy { len: 10 }, options);
        let epoch = |n| alone.epoch(n).collect::<Vec<Batch>>();
        assert!(same(&outer, &epoch(0)) && inner.len() == 4);
        // Each inner loop is the one after the epoch that gave a batch last: after the outer loop's last one that is over.
        assert!(inner.iter().all(|batches| same(batches, &epoch(1))));
        assert_eq!(loader.position(), (2, 0));
    }
}

/// Counts how many samples were asked for.
struct Counting(Arc<AtomicUsize>);

impl Dataset for Counting {
    type Sample = i64;

    fn len(&self) -> usize {
        1000
    }

    fn get(&self, index: usize, _: &mut Generator) -> i64 {
        self.0.fetch_add(1, Ordering::SeqCst);
        index as i64
    }
}

#[test]
fn prefetching_is_bounded_and_ends_with_the_iterator() {
    let count = Arc::new(AtomicUsize::new(0));
    let options = DataLoaderOptions { batch_size: 5, num_workers: 3, prefetch_factor: 2, ..Default::default() };
    let loader = DataLoader::with(Counting(count.clone()), options);
    let mut epoch = loader.iter();
    for taken in 1..=4 {
        assert!(epoch.next().is_some());
        std::thread::sleep(Duration::from_millis(20));
        // What was taken, and at most two batches ahead on each of the three threads.
        let asked = count.load(Ordering::SeqCst);
        assert!(asked <= 5 * (taken + 3 * 2), "{asked} after {taken}");
    }
    // They do work ahead: without it, 20 samples would have been asked for.
    let late = Instant::now() + Duration::from_secs(20);
    while count.load(Ordering::SeqCst) <= 20 {
        assert!(Instant::now() < late, "no thread works ahead");
        std::thread::yield_now();
    }
    drop(epoch);
    let asked = count.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(count.load(Ordering::SeqCst), asked, "the threads are gone");
    // Only the loader holds the data set now.
    drop(loader);
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn stock_is_no_larger_than_the_epoch() {
    let options = DataLoaderOptions { num_workers: 2, prefetch_factor: usize::MAX, ..Default::default() };
    let loader = DataLoader::with(VecDataset::new(vec![1i64, 2, 3]), options);
    assert_eq!(loader.iter().map(|batch| batch.item::<i64>()).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_dropped_iterator_stops_its_threads_between_samples() {
    struct Slow(Arc<AtomicUsize>);
    impl Dataset for Slow {
        type Sample = i64;
        fn len(&self) -> usize {
            100_000
        }
        fn get(&self, index: usize, _: &mut Generator) -> i64 {
            self.0.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(1));
            index as i64
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let options = DataLoaderOptions { batch_size: 100_000, num_workers: 1, ..Default::default() };
    let epoch = DataLoader::with(Slow(count.clone()), options).iter();
    while count.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    drop(epoch);
    // The batch would have taken 100 seconds; dropping waits for the sample at hand only.
    assert!(count.load(Ordering::SeqCst) < 50_000);
    assert_eq!(Arc::strong_count(&count), 1);
}

/// The message of the panic that `f` ends in.
fn panics(f: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).expect_err("it must panic");
    let text = panic.downcast_ref::<String>().cloned();
    text.unwrap_or_else(|| panic.downcast_ref::<&str>().expect("a message").to_string())
}

#[test]
fn a_panic_of_a_worker_reaches_the_caller_with_its_message() {
    for num_workers in [0, 1, 2, 5] {
        let data = VecDataset::new((0..20i64).collect()).map(|i, _| {
            assert!(i != 13, "sample {i} is broken");
            i
        });
        let options = DataLoaderOptions { batch_size: 3, num_workers, ..Default::default() };
        let loader = DataLoader::with(data, options);
        let mut epoch = loader.iter();
        let mut got = Vec::new();
        let message = panics(|| got.extend((&mut epoch).map(|batch| batch.numel())));
        assert_eq!(message, "sample 13 is broken");
        assert!(epoch.next().is_none(), "nothing comes after the panic");
    }
    let loader = DataLoader::with_collate(
        VecDataset::new(vec![1i64]),
        DataLoaderOptions { num_workers: 1, ..Default::default() },
        |_: Vec<i64>| -> i64 { panic!("cannot collate") },
    );
    assert_eq!(panics(|| assert!(loader.iter().next().is_none())), "cannot collate");
}

#[test]
fn other_samplers_fit_in() {
    let data = || TensorDataset::new(Tensor::from([10i64, 11, 12, 13, 14]));
    let run = |options: DataLoaderOptions| {
        let batches = DataLoader::with(data(), DataLoaderOptions { seed: Some(2), ..options }).iter();
        batches.map(|batch| batch.to_vec::<i64>()).collect::<Vec<_>>()
    };
    let sampler: Arc<dyn Sampler> = Arc::new(SubsetRandomSampler { indices: vec![0, 2, 4] });
    let mut got = run(DataLoaderOptions { sampler: Some(sampler), ..Default::default() }).concat();
    got.sort_unstable();
    assert_eq!(got, [10, 12, 14]);
    let sampler = WeightedRandomSampler::new(&[0.0, 1.0, 0.0, 0.0, 0.0], 4, true);
    let options = DataLoaderOptions { batch_size: 3, sampler: Some(Arc::new(sampler)), ..Default::default() };
    assert_eq!(run(options), [vec![11, 11, 11], vec![11]]);
    let batches = BatchSampler::new(SequentialSampler { n: 5 }, 4, true);
    let options = DataLoaderOptions { batch_sampler: Some(Arc::new(batches)), ..Default::default() };
    assert_eq!(run(options), [[10, 11, 12, 13]]);
}

#[test]
fn the_defaults_are_batches_of_one_in_order() {
    let loader = DataLoader::new(TensorDataset::new((Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([5i64, 6]))));
    assert_eq!((loader.len(), loader.is_empty(), loader.dataset().len()), (2, false, 2));
    let batches: Vec<_> = loader.iter().map(|(x, y)| (x.to_vec::<f64>(), y.to_vec::<i64>())).collect();
    assert_eq!(batches, [(vec![1.0, 2.0], vec![5]), (vec![3.0, 4.0], vec![6])]);
    assert!(format!("{loader:?}").contains("samples: 2, batches: 2"));
}

#[test]
fn samples_that_fail_fail_their_batch() {
    let data = VecDataset::new(vec!["1", "2", "x", "4"]).map(|text, _| text.parse::<i64>());
    let options = DataLoaderOptions { batch_size: 2, num_workers: 2, ..Default::default() };
    let batches: Vec<_> = DataLoader::with(data, options).iter().collect();
    assert_eq!(batches[0].as_ref().unwrap().to_vec::<i64>(), [1, 2]);
    assert!(batches[1].is_err());
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let sequential = || Some(Arc::new(SequentialSampler { n: 3 }) as Arc<dyn Sampler>);
    let batches = || Some(Arc::new(BatchSampler::new(SequentialSampler { n: 3 }, 2, false)) as Arc<_>);
    let default = DataLoaderOptions::default;
    for (options, says) in [
        (DataLoaderOptions { batch_size: 0, ..default() }, "batch_size must be at least 1"),
        (DataLoaderOptions { prefetch_factor: 0, ..default() }, "prefetch_factor must be at least 1"),
        (DataLoaderOptions { shuffle: true, sampler: sequential(), ..default() }, "a sampler excludes shuffle"),
        (DataLoaderOptions { shuffle: true, batch_sampler: batches(), ..default() }, "a batch_sampler excludes"),
        (DataLoaderOptions { batch_size: 2, batch_sampler: batches(), ..default() }, "a batch_sampler excludes"),
        (DataLoaderOptions { drop_last: true, batch_sampler: batches(), ..default() }, "a batch_sampler excludes"),
        (
            DataLoaderOptions { sampler: sequential(), batch_sampler: batches(), ..default() },
            "a batch_sampler excludes",
        ),
    ] {
        let message = panics(|| drop(DataLoader::with(Noisy { len: 3 }, options)));
        assert!(message.contains(says), "{message}");
    }
    let options = DataLoaderOptions { sampler: sequential(), ..default() };
    let message = panics(|| drop(DataLoader::with(Noisy { len: 2 }, options).iter()));
    assert!(message.contains("the sampler gave index 2\n  data set of 2 samples   rule index < 2"), "{message}");

    #[derive(Debug)]
    struct Empty;
    impl Sampler<Vec<usize>> for Empty {
        fn len(&self) -> usize {
            1
        }
        fn order(&self, _: &mut Generator) -> Vec<Vec<usize>> {
            vec![vec![]]
        }
    }
    let options = DataLoaderOptions { batch_sampler: Some(Arc::new(Empty)), ..default() };
    let message = panics(|| drop(DataLoader::with(Noisy { len: 2 }, options).iter()));
    assert!(message.contains("the batch sampler gave an empty batch"), "{message}");
}

#[test]
fn a_state_that_does_not_fit_is_refused() {
    let loader = DataLoader::with(Noisy { len: 10 }, DataLoaderOptions { batch_size: 3, ..Default::default() });
    loader.iter().next();
    let good = loader.state_dict();
    let refused = |change: &dyn Fn(&mut StateDict), says: &str| {
        let mut state = good.clone();
        change(&mut state);
        let message = loader.load_state_dict(&state).unwrap_err().to_string();
        assert!(message.contains(says) && !message.contains('\n'), "{message}");
        assert_eq!(loader.position(), (0, 1));
    };
    let set = |name: &'static str, value: Tensor| move |s: &mut StateDict| drop(s.insert(name.into(), value.clone()));
    refused(&|s| drop(s.shift_remove("epoch")), "lacks epoch");
    refused(&set("speed", Tensor::scalar(1i64)), "no entry \"speed\"");
    refused(&set("batch", Tensor::scalar(1.0)), "batch in the state of a data loader is f64 []");
    refused(&set("seed", Tensor::from([1i64])), "seed in the state of a data loader is i64 [1]");
    refused(&set("batches", Tensor::scalar(5i64)), "5 batches per epoch, this one has 4");
    refused(&set("batch", Tensor::scalar(4i64)), "in epoch 0 at batch 4, of 4");
    refused(&set("batch", Tensor::scalar(-1i64)), "at batch -1");
    refused(&set("epoch", Tensor::scalar(-2i64)), "in epoch -2");
    // The entries come back from a file, whatever their order.
    let bytes = tensor::safetensors::to_bytes(&good.clone().into_iter().collect::<Vec<_>>(), &[]).unwrap();
    let read: StateDict = tensor::safetensors::from_bytes(&bytes).unwrap().tensors.into_iter().collect();
    loader.load_state_dict(&read).unwrap();
    assert_eq!(loader.iter().len(), 3);
}

#[test]
fn a_training_run_resumed_inside_an_epoch_ends_with_the_same_weights() {
    use nn::prelude::*;
    use optim::{Adam, Optimizer};

    let mut rng = Generator::new(0);
    let data = TensorDataset::new((
        Tensor::randn_with([30, 4], DType::F32, &mut rng),
        Tensor::randn_with([30, 1], DType::F32, &mut rng),
    ))
    .map(|(x, y), rng| (x + Tensor::randn_with([4], DType::F32, rng) * 0.1, y));
    let data = Arc::new(data);
    let setting = |num_workers| {
        tensor::manual_seed(0);
        let model = Linear::new(4, 1);
        let optimizer = Adam::new(model.parameters());
        let options =
            DataLoaderOptions { batch_size: 4, shuffle: true, num_workers, seed: Some(8), ..Default::default() };
        (model, optimizer, DataLoader::with(data.clone(), options))
    };
    let step = |model: &Linear, optimizer: &mut Adam, (x, y): (Tensor, Tensor)| {
        let loss = (model.forward(&Var::new(x)) - Var::new(y)).square().mean();
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
    };
    let (model, mut optimizer, loader) = setting(0);
    (0..3).flat_map(|_| loader.iter()).for_each(|batch| step(&model, &mut optimizer, batch));

    // Stopped after eleven of 24 steps, saved to files, and gone on with from these by a process that knows nothing else.
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (first, mut stepped, loader) = setting(2);
    (0..3).flat_map(|_| loader.iter()).take(11).for_each(|batch| step(&first, &mut stepped, batch));
    save_file(&first.state_dict(), path("model")).unwrap();
    save_file(&stepped.state_dict(), path("optimizer")).unwrap();
    save_file(&loader.state_dict(), path("loader")).unwrap();
    let (second, mut stepped, loader) = setting(1);
    second.load_state_dict(&load_file(path("model")).unwrap()).unwrap();
    stepped.load_state_dict(&load_file(path("optimizer")).unwrap()).unwrap();
    loader.load_state_dict(&load_file(path("loader")).unwrap()).unwrap();
    let (epoch, batch) = loader.position();
    assert_eq!((epoch, batch), (1, 3));
    (epoch..3).flat_map(|_| loader.iter()).for_each(|batch| step(&second, &mut stepped, batch));
    for (name, value) in model.state_dict() {
        assert!(second.state_dict()[&name].bit_eq(&value), "{name}");
    }
}
