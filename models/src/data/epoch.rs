//! One pass over a loader's batches, made here or ahead of time by threads.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Makes the batch of a number, or nothing if it is told to stop on the way.
pub(super) type Make<B> = Arc<dyn Fn(usize, &AtomicBool) -> Option<B> + Send + Sync>;

/// The place of the next batch: of which epoch, and how many of it came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub epoch: u64,
    pub batch: usize,
}

/// The batches of an epoch, in order; see [`DataLoader`](crate::data::DataLoader).
///
/// # Panics
/// With the message of a panic in the data set, a transform or the collate function, on whatever thread it was.
///
/// Dropping the iterator ends its threads: each finishes the sample it is at.
pub struct Epoch<B> {
    make: Make<B>,
    place: Place,
    batches: usize,
    /// The loader's notes of where it is.
    cursor: Arc<Mutex<Place>>,
    workers: Option<Workers<B>>,
}

impl<B: Send + 'static> Epoch<B> {
    /// The batches from `place` on of an epoch with `batches` of them; `num_workers` threads have up to
    /// `prefetch_factor` batches each in stock.
    pub(super) fn new(
        make: Make<B>,
        place: Place,
        batches: usize,
        cursor: Arc<Mutex<Place>>,
        num_workers: usize,
        prefetch_factor: usize,
    ) -> Epoch<B> {
        let todo = place.batch.min(batches)..batches;
        let needed = num_workers.min(todo.len());
        let workers = (needed > 0).then(|| Workers::start(&make, todo, needed, prefetch_factor));
        let epoch = Epoch { make, place, batches, cursor, workers };
        epoch.note();
        epoch
    }
}

impl<B> Epoch<B> {
    /// Tells the loader what comes next: the next batch, or after the last one the next epoch.
    fn note(&self) {
        let next = match self.place.batch < self.batches {
            true => self.place,
            false => Place { epoch: self.place.epoch.saturating_add(1), batch: 0 },
        };
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// The number of this epoch.
    pub fn number(&self) -> u64 {
        self.place.epoch
    }
}

impl<B> Iterator for Epoch<B> {
    type Item = B;

    fn next(&mut self) -> Option<B> {
        if self.place.batch >= self.batches {
            return None;
        }
        // Until a batch is made there is none: nothing comes after one that ends in a panic.
        let batches = std::mem::take(&mut self.batches);
        let made = match &mut self.workers {
            None => (self.make)(self.place.batch, &AtomicBool::new(false)),
            Some(workers) => match workers.next() {
                Ok(batch) => Some(batch),
                Err(panic) => {
                    // No thread may outlive the loop.
                    self.workers = None;
                    resume_unwind(panic)
                }
            },
        };
        self.batches = batches;
        self.place.batch += 1;
        self.note();
        made
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batches.saturating_sub(self.place.batch);
        (left, Some(left))
    }
}

impl<B> ExactSizeIterator for Epoch<B> {}

impl<B> std::iter::FusedIterator for Epoch<B> {}

/// Threads that make batches. Each makes every n-th and hands it over through a channel of its own: taken from one after
/// the other, the batches come in order, and a full channel makes its thread wait.
struct Workers<B> {
    channels: VecDeque<Receiver<thread::Result<B>>>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl<B: Send + 'static> Workers<B> {
    fn start(make: &Make<B>, todo: std::ops::Range<usize>, n: usize, prefetch_factor: usize) -> Workers<B> {
        let mut workers = Workers { channels: VecDeque::new(), threads: Vec::new(), stop: Arc::default() };
        for i in 0..n {
            // One more batch than lie in the channel is in the thread's hands. The channel has its memory from the start,
            // so it is no longer than there are batches.
            let (sender, receiver) = sync_channel(prefetch_factor.min(todo.len()) - 1);
            let (make, stop) = (make.clone(), workers.stop.clone());
            let mut mine = todo.clone().skip(i).step_by(n);
            let work = move || {
                mine.try_for_each(|batch| {
                    let made = catch_unwind(AssertUnwindSafe(|| make(batch, &stop))).transpose()?;
                    let failed = made.is_err();
                    sender.send(made).ok().filter(|()| !failed)
                });
            };
            let thread = thread::Builder::new().name(format!("data worker {i}")).spawn(work);
            workers.threads.push(thread.unwrap_or_else(|e| panic!("DataLoader: cannot start a thread: {e}")));
            workers.channels.push_back(receiver);
        }
        workers
    }
}

impl<B> Workers<B> {
    /// The next batch, or the panic that it ended in.
    fn next(&mut self) -> thread::Result<B> {
        self.channels.rotate_left(1);
        let channel = self.channels.back().expect("there is at least one thread");
        channel.recv().expect("a thread sends what it makes, or the panic")
    }
}

impl<B> Drop for Workers<B> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A thread that waits to hand over a batch gets an error, and ends.
        self.channels.clear();
        for thread in self.threads.drain(..) {
            // Its panics were caught in it.
            let _ = thread.join();
        }
    }
}
