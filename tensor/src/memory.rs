//! The memory pool: where every tensor's bytes come from and go back to.
//!
//! Memory fresh from the system costs a page fault at the first touch of each page, several times the price of the
//! work done on it. A buffer that is dropped is therefore kept, by size class and uncleared, and handed out again. In a
//! steady loop (a training step) nothing comes from the system after the first rounds.

mod region;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use region::Region;

/// Every buffer starts at a multiple of this: a cache line, and the widest vector register.
const ALIGN: usize = 64;
/// Size classes per doubling of the size: at most a fifth of a buffer is slack.
const STEPS: usize = 4;
/// Buffers up to this size are kept by the thread that drops them first.
const THREAD_CACHED: usize = 56 << 10;
// One that stays with a thread must not hold a region back that others share.
const _: () = assert!(THREAD_CACHED < region::SHARED);
/// So many buffers of one class stay with a thread before the rest go to the global pool, or more of a small size: those
/// of a graph of a thousand small operations, each of which would take the global lock twice.
const PER_THREAD: usize = 16;
/// So many bytes of one class may stay with a thread in any case.
const PER_THREAD_BYTES: usize = 256 << 10;
/// The pool may hold this much, or as much as was ever live at once if that is more.
const POOL_FLOOR: usize = 64 << 20;

/// What tensors hold, bytes and buffers in one number, because one atomic addition costs half of two.
static LIVE: AtomicU64 = AtomicU64::new(0);
static PEAK_LIVE: AtomicUsize = AtomicUsize::new(0);
static SYSTEM: AtomicUsize = AtomicUsize::new(0);
static SYSTEM_ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static COPIES_ON_WRITE: AtomicUsize = AtomicUsize::new(0);

/// One buffer of `size` bytes in [`LIVE`]: units of 16 bytes in the low 40 bits, buffers above.
fn live(size: usize) -> u64 {
    (1 << 40) | (size as u64 / 16)
}

fn bytes_of(live: u64) -> usize {
    (live & ((1 << 40) - 1)) as usize * 16
}

/// A moment's account of tensor memory, from [`stats`]. Sizes are of size classes, so slightly above what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Bytes in buffers that tensors hold.
    pub live_bytes: usize,
    /// Buffers that tensors hold.
    pub live_buffers: usize,
    /// The most that was ever live.
    pub peak_live_bytes: usize,
    /// Bytes of buffers kept for reuse.
    pub pooled_bytes: usize,
    /// How often no kept buffer fitted since the program started, so that new memory was taken.
    pub system_allocations: usize,
    /// How often a write found its tensor shared and copied it first.
    pub copies_on_write: usize,
}

/// The account of this process's tensor memory.
///
/// ```
/// use tensor::{memory, DType, Tensor};
/// let before = memory::stats().live_bytes;
/// let t = Tensor::zeros([1000], DType::F32);
/// assert!(memory::stats().live_bytes >= before + 4000);
/// drop(t);
/// ```
pub fn stats() -> Stats {
    let live = LIVE.load(Relaxed);
    let live_bytes = bytes_of(live);
    Stats {
        live_bytes,
        live_buffers: (live >> 40) as usize,
        peak_live_bytes: PEAK_LIVE.load(Relaxed).max(live_bytes),
        pooled_bytes: pooled(),
        system_allocations: SYSTEM_ALLOCATIONS.load(Relaxed),
        copies_on_write: COPIES_ON_WRITE.load(Relaxed),
    }
}

/// Bytes of buffers that are kept.
fn pooled() -> usize {
    SYSTEM.load(Relaxed).saturating_sub(bytes_of(LIVE.load(Relaxed)))
}

/// Gives the memory kept by the pool and by this thread back to the system. Other threads keep their small caches, and buffers
/// that share a region of memory with one that is held stay in the pool.
pub fn trim() {
    let _ = CACHE.try_with(|cache| cache.borrow_mut().0.clear());
    GLOBAL.lock().unwrap_or_else(|e| e.into_inner()).trim();
}

/// The most physical memory that this process ever occupied, in bytes; `None` where the system does not tell.
pub fn peak_rss_bytes() -> Option<u64> {
    #[cfg(unix)]
    {
        // SAFETY: getrusage fills the zeroed struct it is given; all-zero bytes are a valid rusage.
        let (status, usage) = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            (libc::getrusage(libc::RUSAGE_SELF, &mut usage), usage)
        };
        // Linux counts kilobytes, Apple's systems bytes.
        let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
        (status == 0).then(|| usage.ru_maxrss as u64 * unit)
    }
    #[cfg(not(unix))]
    None
}

pub(crate) fn count_copy_on_write() {
    COPIES_ON_WRITE.fetch_add(1, Relaxed);
}

/// The class that serves `bytes`, as an index and a size. Sizes double every `STEPS` classes.
fn class_of(bytes: usize) -> (usize, usize) {
    if bytes <= ALIGN {
        return (0, ALIGN);
    }
    // bytes lies in (2^k, 2^(k+1)]; that octave is cut into STEPS equal parts, each a multiple of ALIGN or of 16.
    let k = usize::BITS - 1 - (bytes - 1).leading_zeros();
    let octave = 1usize << k;
    let part = (octave / STEPS).max(1);
    let step = (bytes - octave).div_ceil(part);
    ((k as usize - 6) * STEPS + step, octave + step * part)
}

/// A buffer's memory: a region of the system's, or a part of one.
struct Block {
    /// Goes back to the system with its last part.
    region: Arc<Region>,
    start: NonNull<u8>,
    class: usize,
    size: usize,
}

// SAFETY: a Block is the only owner of its part of the memory; nothing in it belongs to a thread.
unsafe impl Send for Block {}

impl Block {
    fn from_system(class: usize, size: usize) -> Block {
        let (region, start) = region::part(size);
        SYSTEM.fetch_add(size, Relaxed);
        SYSTEM_ALLOCATIONS.fetch_add(1, Relaxed);
        PEAK_LIVE.fetch_max(bytes_of(LIVE.load(Relaxed)) + size, Relaxed);
        Block { region, start, class, size }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        SYSTEM.fetch_sub(self.size, Relaxed);
    }
}

/// Free blocks by class.
struct FreeLists {
    lists: Vec<Vec<Block>>,
    /// The bytes that the pool still kept when it was last made smaller.
    left: usize,
}

impl FreeLists {
    const fn new() -> FreeLists {
        FreeLists { lists: Vec::new(), left: 0 }
    }

    #[inline]
    fn pop(&mut self, class: usize) -> Option<Block> {
        self.lists.get_mut(class)?.pop()
    }

    fn list(&mut self, class: usize) -> &mut Vec<Block> {
        if self.lists.len() <= class {
            self.lists.resize_with(class + 1, Vec::new);
        }
        &mut self.lists[class]
    }

    fn clear(&mut self) {
        self.lists.clear();
    }

    /// Drops the blocks of those regions of which every part is here.
    fn trim(&mut self) {
        let mut parts: HashMap<*const Region, usize> = HashMap::new();
        for block in self.lists.iter().flatten() {
            *parts.entry(Arc::as_ptr(&block.region)).or_default() += 1;
        }
        let here = |region: &Arc<Region>| parts.get(&Arc::as_ptr(region)).copied().unwrap_or(0);
        region::forget_rest(here);
        // As blocks of a region are dropped, it has fewer parts than were counted.
        self.lists
            .iter_mut()
            .for_each(|list| list.retain(|block| Arc::strong_count(&block.region) > here(&block.region)));
        self.left = pooled();
    }
}

static GLOBAL: Mutex<FreeLists> = Mutex::new(FreeLists::new());

/// A thread's own free blocks; when the thread ends they go to everyone.
struct ThreadCache(FreeLists);

impl Drop for ThreadCache {
    fn drop(&mut self) {
        let mut global = GLOBAL.lock().unwrap_or_else(|e| e.into_inner());
        for block in self.0.lists.drain(..).flatten() {
            global.list(block.class).push(block);
        }
    }
}

thread_local! {
    static CACHE: RefCell<ThreadCache> = const { RefCell::new(ThreadCache(FreeLists::new())) };
}

/// The bytes of one tensor's storage, aligned to [`ALIGN`]. Always initialised, though with anything at all: blocks are
/// zeroed by the system and afterwards hold what their last tensor wrote.
pub(crate) struct Buffer {
    /// `None` only while dropping.
    block: Option<Block>,
}

// SAFETY: shared access to a Buffer only reads its memory.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// At least `bytes` bytes with unspecified (but initialised) contents.
    #[inline]
    pub(crate) fn new(bytes: usize) -> Buffer {
        let (class, size) = class_of(bytes);
        let cached = match size <= THREAD_CACHED {
            true => CACHE.try_with(|cache| cache.borrow_mut().0.pop(class)).unwrap_or(None),
            false => None,
        };
        let block = match cached {
            Some(block) => block,
            None => Buffer::from_elsewhere(class, size),
        };
        LIVE.fetch_add(live(block.size), Relaxed);
        Buffer { block: Some(block) }
    }

    /// A block that this thread does not have.
    #[cold]
    fn from_elsewhere(class: usize, size: usize) -> Block {
        let global = GLOBAL.lock().unwrap_or_else(|e| e.into_inner()).pop(class);
        global.unwrap_or_else(|| Block::from_system(class, size))
    }

    /// The first byte; the memory behind it is at least as long as was asked for.
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.block.as_ref().expect("present until dropped").start.as_ptr()
    }

    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.block.as_ref().expect("present until dropped").size
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let block = self.block.take().expect("dropped once");
        // The peak is only worth reading when memory shrinks; this catches the moment before.
        let live = bytes_of(LIVE.fetch_sub(live(block.size), Relaxed));
        if live > PEAK_LIVE.load(Relaxed) {
            PEAK_LIVE.fetch_max(live, Relaxed);
        }
        let mut block = Some(block);
        if block.as_ref().is_some_and(|b| b.size <= THREAD_CACHED) {
            // While the thread ends its cache may be gone already; then the block goes to the global pool.
            let _ = CACHE.try_with(|cache| {
                let mut cache = cache.borrow_mut();
                let (class, size) = block.as_ref().map_or((0, ALIGN), |b| (b.class, b.size));
                let list = cache.0.list(class);
                if list.len() < PER_THREAD.max(PER_THREAD_BYTES / size) {
                    list.extend(block.take());
                }
            });
        }
        let Some(block) = block else { return };
        let full = pooled() > POOL_FLOOR.max(PEAK_LIVE.load(Relaxed));
        if full && !region::is_part(block.size) {
            return;
        }
        let mut global = GLOBAL.lock().unwrap_or_else(|e| e.into_inner());
        global.list(block.class).push(block);
        // A part goes back with all others of its region only. To look for such regions takes time; what was left the last time
        // may be left again.
        if full && pooled() > 2 * global.left {
            global.trim();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_monotone_tight_and_unique() {
        let mut last = class_of(1);
        for bytes in (1..5000).chain([1 << 20, (1 << 20) + 1, 3 << 30]) {
            let (class, size) = class_of(bytes);
            assert!(size >= bytes, "{bytes} does not fit {size}");
            assert!(size <= bytes.max(ALIGN) + bytes / STEPS + 1, "{bytes} wastes {}", size - bytes);
            assert!(last == (class, size) || (class > last.0 && size > last.1), "{bytes}: {last:?} {class} {size}");
            last = (class, size);
        }
    }

    #[test]
    fn buffers_are_aligned_and_come_back() {
        let buffer = Buffer::new(100_000);
        assert_eq!(buffer.as_ptr() as usize % ALIGN, 0);
        assert!(buffer.capacity() >= 100_000);
        drop(buffer);
        // Other tests use the pool at the same time, so only the shape of the account can be asserted here; the exact
        // accounting of a training loop is tested in a process of its own.
        assert!(stats().pooled_bytes > 0);
    }

    #[test]
    fn a_region_goes_back_when_all_of_its_parts_are_kept() {
        let block = |(region, start): (Arc<Region>, NonNull<u8>), size: usize| {
            SYSTEM.fetch_add(size, Relaxed);
            Block { region, start, class: class_of(size).0, size }
        };
        // Regions of this test alone: one of which all parts are kept, one of which one part is held, and one of one block.
        let (mut lists, mut whole, mut torn) = (FreeLists::new(), None, None);
        let mut keep = |block: Block| lists.list(block.class).push(block);
        let size = 96 << 10;
        let parts: Vec<Block> = (0..3).map(|_| block(region::cut(&mut whole, size), size)).collect();
        drop(whole);
        let back = Arc::downgrade(&parts[0].region);
        parts.into_iter().for_each(&mut keep);
        let held = block(region::cut(&mut torn, size), size);
        (0..2).for_each(|_| keep(block(region::cut(&mut torn, size), size)));
        drop(torn);
        keep(block(region::part(3 << 20), 3 << 20));
        lists.trim();
        assert_eq!(back.strong_count(), 0);
        assert_eq!(lists.lists.iter().flatten().count(), 2);
        drop(held);
        lists.trim();
        assert_eq!(lists.lists.iter().flatten().count(), 0);
    }
}
