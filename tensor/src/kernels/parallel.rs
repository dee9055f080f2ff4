//! The one place where work is spread over threads.
//!
//! Work is cut into numbered blocks by its shape alone; threads take the next number until none is left. Which thread
//! does a block never matters to the result, so the bits do not depend on the number of threads.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::workers;

/// Element-wise work smaller than this stays on the caller's thread: waking another costs more than it saves.
pub(crate) const GRAIN: usize = 16 * 1024;

/// More threads than this are never used: no machine gains by them, and a slip in a variable should not ask for millions.
const MOST: usize = 1024;

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Set on worker threads and while the caller works on blocks: work inside work runs in place.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// How many threads kernels use, the calling one included: [`set_num_threads`]' number, else the environment variable
/// `GRADUS_NUM_THREADS` (1 to 1024), else the number of CPUs available.
pub fn num_threads() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => {
            static DEFAULT: OnceLock<usize> = OnceLock::new();
            *DEFAULT.get_or_init(|| {
                let named = std::env::var("GRADUS_NUM_THREADS")
                    .ok()
                    .and_then(|n| n.parse().ok())
                    .filter(|n| (1..=MOST).contains(n));
                named.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get().min(MOST)))
            })
        }
        n => n,
    }
}

/// Makes kernels use `n` threads (at most 1024) from now on; 0 restores the default. Results do not depend on it.
///
/// The threads work for one kernel at a time: one that is called meanwhile, from another thread, runs on that thread alone.
///
/// ```
/// tensor::set_num_threads(1);
/// assert_eq!(tensor::num_threads(), 1);
/// tensor::set_num_threads(0);
/// ```
pub fn set_num_threads(n: usize) {
    THREADS.store(n.min(MOST), Ordering::Relaxed);
}

/// Calls `work(i)` once for each `i` in `0..blocks`, on several threads when there is more than one block.
#[inline]
pub(crate) fn for_each_block(blocks: usize, work: impl Fn(usize) + Sync) {
    if blocks <= 1 {
        (0..blocks).for_each(work);
    } else {
        run(blocks, &work);
    }
}

/// [`for_each_block`] behind a trait object: compiled once, not for every kernel.
fn run(blocks: usize, work: &(dyn Fn(usize) + Sync)) {
    let threads = num_threads().min(blocks);
    if threads <= 1 || INSIDE.get() {
        return (0..blocks).for_each(work);
    }
    let next = AtomicUsize::new(0);
    let take = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= blocks {
                break;
            }
            work(i);
        }
    };
    // The guard also resets the mark when a block panics and the panic passes through here.
    struct Mark;
    impl Drop for Mark {
        fn drop(&mut self) {
            INSIDE.set(false);
        }
    }
    INSIDE.set(true);
    let _mark = Mark;
    workers::run(threads - 1, &take, || INSIDE.set(true));
}

/// Calls `work(i, chunk)` for each chunk of `len` elements of `out` (the last may be shorter), in parallel.
pub(crate) fn for_each_chunk<T: Send>(out: &mut [T], len: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    let (total, len) = (out.len(), len.max(1));
    if total <= len {
        if total > 0 {
            work(0, out);
        }
        return;
    }
    let start = SharedMut::new(out);
    for_each_block(total.div_ceil(len), |i| {
        let from = i * len;
        // SAFETY: chunks of different i do not overlap, and for_each_block calls each i once.
        work(i, unsafe { start.slice(from, len.min(total - from)) });
    });
}

/// A mutable slice that several threads write, each its own part.
#[derive(Clone, Copy)]
pub(crate) struct SharedMut<T> {
    start: *mut T,
    len: usize,
}

// SAFETY: the pointer is only turned into slices by `slice`, whose caller promises that they do not overlap.
unsafe impl<T: Send> Sync for SharedMut<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for SharedMut<T> {}

impl<T> SharedMut<T> {
    pub(crate) fn new(slice: &mut [T]) -> Self {
        SharedMut { start: slice.as_mut_ptr(), len: slice.len() }
    }

    /// Elements `from .. from + len`.
    ///
    /// # Safety
    /// The slice behind this must still be borrowed, and no two slices alive at the same time may overlap.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice(&self, from: usize, len: usize) -> &mut [T] {
        assert!(from <= self.len && len <= self.len - from, "a block leaves its buffer");
        // SAFETY: in bounds by the assertion; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }

    /// The first element, for kernels that compute addresses of their own.
    pub(crate) fn as_ptr(&self) -> *mut T {
        self.start
    }
}
