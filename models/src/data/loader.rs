//! The loader: from a data set to batches, epoch by epoch.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nn::StateDict;
use tensor::{DType, Generator, Tensor, random};

use super::epoch::{Make, Place};
use super::{BatchSampler, Collate, Dataset, Epoch, RandomSampler, Sampler, SequentialSampler};
use crate::{Error, Result};

/// How a [`DataLoader`] makes its batches. The defaults are PyTorch's.
#[derive(Debug, Clone)]
pub struct DataLoaderOptions {
    /// Samples per batch (default 1).
    pub batch_size: usize,
    /// Whether the samples come in another random order in each epoch (default no).
    pub shuffle: bool,
    /// Which samples, in which order (default all, one after the other or shuffled).
    pub sampler: Option<Arc<dyn Sampler>>,
    /// Which batches (default those of the sampler's indices, `batch_size` at a time).
    pub batch_sampler: Option<Arc<dyn Sampler<Vec<usize>>>>,
    /// Whether a last batch of fewer samples is left out (default no).
    pub drop_last: bool,
    /// Threads that make batches while the caller works with those it has (default 0: each is made when it is asked for).
    pub num_workers: usize,
    /// How many batches each thread makes ahead of time (default 2).
    pub prefetch_factor: usize,
    /// What orders and augmentation follow from (default: drawn from this thread's default generator, so that
    /// [`manual_seed`](tensor::manual_seed) decides).
    pub seed: Option<u64>,
}

impl Default for DataLoaderOptions {
    fn default() -> DataLoaderOptions {
        DataLoaderOptions {
            batch_size: 1,
            shuffle: false,
            sampler: None,
            batch_sampler: None,
            drop_last: false,
            num_workers: 0,
            prefetch_factor: 2,
            seed: None,
        }
    }
}

/// Batches of a data set: `for (x, y) in &loader` is one epoch, the next loop the next one.
///
/// The order of an epoch is a function of the seed and its number, and the random numbers of a sample are one of the
/// seed, the epoch and the index (and, for an index that a sampler gives again in one epoch, of how often it came
/// before). Whether batches are made by threads, and by how many, changes nothing.
///
/// Its [`state_dict`](DataLoader::state_dict) says where it is, in the middle of an epoch, too: after
/// [`load_state_dict`](DataLoader::load_state_dict) the next loop goes on with the batch that would have been next.
///
/// ```
/// use models::data::{DataLoader, DataLoaderOptions, TensorDataset};
/// use tensor::Tensor;
///
/// let data = TensorDataset::new(Tensor::from([0i64, 1, 2, 3, 4, 5, 6]));
/// let options = DataLoaderOptions { batch_size: 3, shuffle: true, seed: Some(7), ..Default::default() };
/// let loader = DataLoader::with(data.clone(), options.clone());
/// let mut batches = loader.iter();
/// batches.next();
/// let state = loader.state_dict(); // after one batch
/// let rest: Vec<Tensor> = batches.collect();
///
/// let resumed = DataLoader::with(data, DataLoaderOptions { num_workers: 2, ..options });
/// resumed.load_state_dict(&state)?;
/// assert!(resumed.iter().zip(&rest).all(|(a, b)| a.bit_eq(b)));
/// # Ok::<(), models::Error>(())
/// ```
///
/// # Differs
/// In PyTorch a worker is a process with random numbers of its own, an order follows from the global generator, and only
/// `torchdata` resumes. `batch_size=None` (no batches) is not there: iterate over the data set. Threads last for an epoch
/// and share the data set, so there is nothing like `worker_init_fn`, `persistent_workers` or `pin_memory`.
pub struct DataLoader<D: Dataset, B> {
    dataset: Arc<D>,
    batches: Arc<dyn Sampler<Vec<usize>>>,
    collate: Arc<dyn Fn(Vec<D::Sample>) -> B + Send + Sync>,
    num_workers: usize,
    prefetch_factor: usize,
    state: Mutex<State>,
    /// Where the loop is that was started last. Its own, so that an epoch does not hold the loader.
    cursor: Arc<Mutex<Place>>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    seed: u64,
    /// Whether the next loop goes on in the middle of an epoch.
    resumed: bool,
}

impl<D> DataLoader<D, <D::Sample as Collate>::Batch>
where
    D: Dataset + 'static,
    D::Sample: Collate,
{
    /// The samples of `dataset` one by one in order, each as a batch of one.
    pub fn new(dataset: D) -> Self {
        DataLoader::with(dataset, DataLoaderOptions::default())
    }

    /// Batches of `dataset`.
    ///
    /// # Panics
    /// When `batch_size` or `prefetch_factor` is 0, or options contradict each other: `shuffle` with a `sampler`, a
    /// `batch_sampler` with any of `batch_size`, `shuffle`, `sampler` and `drop_last`.
    #[track_caller]
    pub fn with(dataset: D, options: DataLoaderOptions) -> Self {
        DataLoader::with_collate(dataset, options, D::Sample::collate)
    }
}

impl<D: Dataset + 'static, B: Send + 'static> DataLoader<D, B> {
    /// Batches of `dataset`, each made of its samples by `collate`: padded to one length, for instance.
    ///
    /// ```
    /// use models::data::{DataLoader, DataLoaderOptions, VecDataset};
    /// use tensor::{DType, Padding, Tensor};
    ///
    /// let data = VecDataset::new(vec![Tensor::from([1i64, 2, 3]), Tensor::from([4i64])]);
    /// let padded = |samples: Vec<Tensor>| {
    ///     let longest = samples.iter().map(|s| s.dim(0)).max().unwrap_or(0);
    ///     let pad = |s: &Tensor| s.pad(&[0, (longest - s.dim(0)) as isize], Padding::Constant(0.0));
    ///     Tensor::stack(&samples.iter().map(pad).collect::<Vec<_>>(), 0)
    /// };
    /// let options = DataLoaderOptions { batch_size: 2, ..Default::default() };
    /// let batch = DataLoader::with_collate(data, options, padded).iter().next().unwrap();
    /// assert_eq!(batch.to_vec::<i64>(), [1, 2, 3, 4, 0, 0]);
    /// ```
    ///
    /// # Panics
    /// As [`with`](DataLoader::with).
    #[track_caller]
    pub fn with_collate(
        dataset: D,
        options: DataLoaderOptions,
        collate: impl Fn(Vec<D::Sample>) -> B + Send + Sync + 'static,
    ) -> DataLoader<D, B> {
        let DataLoaderOptions { batch_size, shuffle, sampler, batch_sampler, drop_last, .. } = options;
        assert!(batch_size > 0, "DataLoader: batch_size must be at least 1");
        assert!(options.prefetch_factor > 0, "DataLoader: prefetch_factor must be at least 1");
        let len = dataset.len();
        let batches = match batch_sampler {
            Some(batches) => {
                assert!(
                    batch_size == 1 && !shuffle && sampler.is_none() && !drop_last,
                    "DataLoader: a batch_sampler excludes batch_size, shuffle, sampler and drop_last"
                );
                batches
            }
            None => {
                assert!(!(shuffle && sampler.is_some()), "DataLoader: a sampler excludes shuffle");
                let sampler = sampler.unwrap_or_else(|| match shuffle {
                    true => Arc::new(RandomSampler::new(len)),
                    false => Arc::new(SequentialSampler { n: len }),
                });
                Arc::new(BatchSampler::new(sampler, batch_size, drop_last))
            }
        };
        let seed = options.seed.unwrap_or_else(|| {
            let key = random::with_default(Generator::next_key);
            generator(key.seed, &[key.counter]).state().0
        });
        DataLoader {
            dataset: Arc::new(dataset),
            batches,
            collate: Arc::new(collate),
            num_workers: options.num_workers,
            prefetch_factor: options.prefetch_factor,
            state: Mutex::new(State { seed, resumed: false }),
            cursor: Arc::new(Mutex::new(Place { epoch: 0, batch: 0 })),
        }
    }

    /// The number of batches per epoch.
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    /// Whether an epoch has no batch.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The data set.
    pub fn dataset(&self) -> &D {
        &self.dataset
    }

    /// The epoch and the number of the batch in it that would be next.
    ///
    /// Loops that run at the same time share this place: it is that of the one which gave a batch last. What the next loop
    /// is follows from it, so that two loops may be the same epoch; [`epoch`](DataLoader::epoch) says which is meant.
    pub fn position(&self) -> (u64, usize) {
        let place = self.place();
        (place.epoch, place.batch)
    }

    /// The batches of the next epoch, or after [`load_state_dict`](DataLoader::load_state_dict) those that were left.
    ///
    /// The first epoch is number 0. Leaving a loop early is leaving its epoch: the next loop is the next epoch.
    ///
    /// # Panics
    /// When a sampler gives an index that the data set does not have, or an empty batch.
    #[track_caller]
    pub fn iter(&self) -> Epoch<B> {
        let resumed = std::mem::take(&mut self.lock().resumed);
        let mut place = self.place();
        if place.batch > 0 && !resumed {
            place = Place { epoch: place.epoch.saturating_add(1), batch: 0 };
        }
        self.start(place)
    }

    /// All batches of the epoch of this number, whatever came before.
    ///
    /// # Panics
    /// As [`iter`](DataLoader::iter).
    #[track_caller]
    pub fn epoch(&self, epoch: u64) -> Epoch<B> {
        self.lock().resumed = false;
        self.start(Place { epoch, batch: 0 })
    }

    #[track_caller]
    fn start(&self, place: Place) -> Epoch<B> {
        let (seed, epoch) = (self.lock().seed, place.epoch);
        let batches = self.draws(&self.batches.order(&mut generator(seed, &[epoch])));
        let n = batches.len();
        let (dataset, collate) = (self.dataset.clone(), self.collate.clone());
        let make: Make<B> = Arc::new(move |batch, stop: &AtomicBool| {
            let mut samples = Vec::with_capacity(batches[batch].len());
            for &(index, before) in &batches[batch] {
                if stop.load(Ordering::Relaxed) {
                    return None;
                }
                let path = [epoch, index as u64, before];
                samples.push(with_default_generator(seed, &path, || dataset.get(index, &mut generator(seed, &path))));
            }
            Some(with_default_generator(seed, &[epoch, batch as u64], || collate(samples)))
        });
        Epoch::new(make, place, n, self.cursor.clone(), self.num_workers, self.prefetch_factor)
    }

    /// Each index together with how often it came before in the epoch.
    #[track_caller]
    fn draws(&self, batches: &[Vec<usize>]) -> Vec<Vec<(usize, u64)>> {
        let len = self.dataset.len();
        let mut times = vec![0u64; len];
        let mut count = |&index: &usize| {
            let Some(times) = times.get_mut(index) else {
                panic!("DataLoader: the sampler gave index {index}\n  data set of {len} samples   rule index < {len}");
            };
            *times += 1;
            (index, *times - 1)
        };
        let batch = |batch: &Vec<usize>| {
            assert!(!batch.is_empty(), "DataLoader: the batch sampler gave an empty batch");
            batch.iter().map(&mut count).collect()
        };
        batches.iter().map(batch).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self) -> Place {
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the loader is: the `epoch`, the `batch` that would be next, the number of `batches` of an epoch and the
    /// `seed` (its bits), each an i64 without dimensions. A safetensors file can hold it beside a model.
    pub fn state_dict(&self) -> StateDict {
        let place = self.place();
        let entries = [
            ("epoch", place.epoch),
            ("batch", place.batch as u64),
            ("batches", self.len() as u64),
            ("seed", self.lock().seed),
        ];
        entries.into_iter().map(|(name, n)| (name.to_string(), Tensor::scalar(n as i64))).collect()
    }

    /// Makes the next [`iter`](DataLoader::iter) go on where the loader was whose state this is: with its seed, in its
    /// epoch, after the batches that it had given.
    ///
    /// The data set and the options that decide about batches must be the same as then; the number of threads need not.
    ///
    /// # Errors
    /// When an entry is missing, unknown or no i64 without dimensions, or the epoch has another number of batches; the
    /// loader is as it was then.
    pub fn load_state_dict(&self, state: &StateDict) -> Result<()> {
        const NAMES: [&str; 4] = ["epoch", "batch", "batches", "seed"];
        if let Some(name) = state.keys().find(|name| !NAMES.contains(&name.as_str())) {
            return Err(Error::invalid(format!("the state of a data loader has no entry {name:?}")));
        }
        let entry = |name: &str| match state.get(name) {
            Some(n) if n.dtype() == DType::I64 && n.ndim() == 0 => Ok(n.item::<i64>()),
            Some(n) => Err(Error::invalid(format!(
                "{name} in the state of a data loader is {} {:?}, not an i64 without dimensions",
                n.dtype(),
                n.dims()
            ))),
            None => Err(Error::invalid(format!("the state of a data loader lacks {name}"))),
        };
        let [epoch, batch, batches, seed] = NAMES.map(entry);
        let (epoch, batch, batches, seed) = (epoch?, batch?, batches?, seed?);
        let here = self.len();
        if usize::try_from(batches) != Ok(here) {
            return Err(Error::invalid(format!(
                "the state is that of a data loader with {batches} batches per epoch, this one has {here}"
            )));
        }
        let place = u64::try_from(epoch).ok().filter(|&epoch| epoch < i64::MAX as u64).zip(usize::try_from(batch).ok());
        let Some((epoch, batch)) = place.filter(|&(_, batch)| batch == 0 || batch < here) else {
            return Err(Error::invalid(format!(
                "the state of a data loader is in epoch {epoch} at batch {batch}, of {batches}"
            )));
        };
        *self.lock() = State { seed: seed as u64, resumed: true };
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = Place { epoch, batch };
        Ok(())
    }
}

impl<D: Dataset + 'static, B: Send + 'static> IntoIterator for &DataLoader<D, B> {
    type Item = B;
    type IntoIter = Epoch<B>;

    fn into_iter(self) -> Epoch<B> {
        self.iter()
    }
}

impl<D: Dataset, B> fmt::Debug for DataLoader<D, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("DataLoader");
        shown.field("samples", &self.dataset.len()).field("batches", &self.batches.len()).field("state", &self.state);
        shown.field("num_workers", &self.num_workers).finish_non_exhaustive()
    }
}

/// A generator that is a function of the seed and of the numbers in `path`, which say what it is for.
fn generator(seed: u64, path: &[u64]) -> Generator {
    // The numbers are stirred in one by one with the mixing function of SplitMix64 (Steele, Lea and Flood, "Fast
    // splittable pseudorandom number generators", 2014), which maps different numbers to different ones.
    let mix = |z: u64| {
        let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    Generator::new(path.iter().fold(mix(seed), |mixed, &n| mix(mixed ^ n)))
}

/// Calls `f` with this thread's default generator in a state of the path's own: what `f` draws from it, instead of from
/// the generator it was given, does not depend on the thread either, and the caller's sequence goes on undisturbed.
fn with_default_generator<R>(seed: u64, path: &[u64], f: impl FnOnce() -> R) -> R {
    struct Restore((u64, u64));
    impl Drop for Restore {
        fn drop(&mut self) {
            random::set_state(self.0);
        }
    }
    let _restore = Restore(random::get_state());
    // Other numbers than those of the generator that a sample is given.
    random::set_state(generator(!seed, path).state());
    f()
}
