//! The one place where work is spread over threads.
//!
//! Work is cut into numbered blocks by its shape alone. Each thread begins with its own part of the numbers, from one kernel
//! to the next the same, so that it finds in its caches what it wrote there; then it helps the others. Which thread does a
//! block never matters to the result, so the bits do not depend on the number of threads.

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

/// The largest number of parts into which blocks are cut for threads.
const PARTS: usize = 32;

/// The part of the blocks that belongs to a thread, on a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Part {
    next: AtomicUsize,
    end: usize,
}

/// The blocks that a thread does: those of its own part, and when that is done, what the others have not begun.
pub(crate) struct Blocks<'a> {
    parts: &'a [Part],
    own: usize,
    left: usize,
}

impl Iterator for Blocks<'_> {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        for left in (1..=self.left).rev() {
            let part = &self.parts[(self.own + self.parts.len() - left) % self.parts.len()];
            let i = part.next.fetch_add(1, Ordering::Relaxed);
            if i < part.end {
                self.left = left;
                return Some(i);
            }
        }
        self.left = 0;
        None
    }
}

/// Calls `work(i)` once for each `i` in `0..blocks`, on several threads when there is more than one block.
#[inline]
pub(crate) fn for_each_block(blocks: usize, work: impl Fn(usize) + Sync) {
    if blocks <= 1 {
        (0..blocks).for_each(work);
    } else {
        run(blocks, &|blocks| blocks.for_each(&work));
    }
}

/// [`for_each_block`] with something that each thread makes for itself and keeps from block to block. What `work` computes
/// must not depend on which blocks the thread did before.
pub(crate) fn for_each_block_with<S>(blocks: usize, make: impl Fn() -> S + Sync, work: impl Fn(&mut S, usize) + Sync) {
    run(blocks, &|blocks| {
        let mut own = None;
        blocks.for_each(|i| work(own.get_or_insert_with(&make), i));
    });
}

/// Calls `share` on several threads, which take the blocks from the iterator that they are given. Behind a trait object:
/// compiled once, not for every kernel.
fn run(blocks: usize, share: &(dyn Fn(Blocks) + Sync)) {
    let threads = if INSIDE.get() { 1 } else { num_threads().min(blocks) };
    let mut parts: [Part; PARTS] = std::array::from_fn(|_| Part::default());
    let parts = &mut parts[..threads.clamp(1, PARTS)];
    let count = parts.len();
    for (i, part) in parts.iter_mut().enumerate() {
        *part = Part { next: AtomicUsize::new(i * blocks / count), end: (i + 1) * blocks / count };
    }
    let take = |thread: usize| share(Blocks { parts, own: thread % count, left: count });
    if threads <= 1 {
        return take(0);
    }
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

// SAFETY: whoever uses the pointer, by `slice` or as it is, promises that the parts of different threads do not overlap.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_done_once_with_what_its_thread_made() {
        for (blocks, threads) in [(0, 1), (1, 4), (7, 2), (50, 3), (50, 64), (3, 8)] {
            set_num_threads(threads);
            let done: Vec<AtomicUsize> = (0..blocks).map(|_| AtomicUsize::new(0)).collect();
            let made = AtomicUsize::new(0);
            let make = || (made.fetch_add(1, Ordering::Relaxed), std::thread::current().id());
            for_each_block_with(blocks, make, |own, i| {
                assert_eq!(own.1, std::thread::current().id());
                done[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1));
            assert!(made.into_inner() <= threads.min(blocks));
        }
        set_num_threads(0);
    }

    #[test]
    fn a_thread_does_its_own_part_first_and_then_helps() {
        let parts: Vec<Part> =
            [(0, 3), (3, 5), (5, 9)].map(|(first, end)| Part { next: AtomicUsize::new(first), end }).into();
        let mut second = Blocks { parts: &parts, own: 1, left: parts.len() };
        let mut third = Blocks { parts: &parts, own: 2, left: parts.len() };
        assert_eq!([second.next(), second.next(), third.next()], [Some(3), Some(4), Some(5)]);
        assert_eq!(second.by_ref().collect::<Vec<_>>(), [6, 7, 8, 0, 1, 2]);
        assert_eq!(third.next(), None);
    }
}
