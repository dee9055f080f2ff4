//! Memory of the system, which large buffers have for themselves and smaller ones share.
//!
//! A page is two megabytes where the system has such ones: one fault instead of 512, and as many fewer translations of
//! addresses while a buffer is read. (Linux is asked for them; elsewhere the pages are as large as they are.)

use std::alloc;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use super::ALIGN;

/// The size of a huge page.
const HUGE_PAGE: usize = 2 << 20;
/// From this size on a buffer begins at a huge page.
const ALONE: usize = 7 << 18;
/// From this size on smaller buffers lie side by side in huge pages.
const SHARED: usize = 64 << 10;
/// Bytes of which parts are cut.
const REGION: usize = 4 * HUGE_PAGE;

/// Memory that came from the system, and goes back to it when dropped.
pub(super) struct Region {
    base: NonNull<u8>,
    layout: alloc::Layout,
}

// SAFETY: a Region is the only owner of its memory; nothing in it belongs to a thread.
unsafe impl Send for Region {}
// SAFETY: a shared Region gives no access to its memory.
unsafe impl Sync for Region {}

impl Region {
    /// `size` bytes of zeros, and where the first lies that is at a multiple of `align`.
    fn new(size: usize, align: usize) -> (Arc<Region>, NonNull<u8>) {
        // The slack for alignment is added by hand: zeroed memory of small alignment comes from calloc, which gets
        // large sizes as untouched zero pages, while an aligned request would be cleared (touched) at once.
        let layout = alloc::Layout::from_size_align(size + align, 16).expect("a tensor's size fits the address space");
        // SAFETY: the layout's size is not zero.
        let base = unsafe { alloc::alloc_zeroed(layout) };
        let Some(base) = NonNull::new(base) else { alloc::handle_alloc_error(layout) };
        // SAFETY: the padding is less than `align`, which the allocation has beyond `size`.
        let start = unsafe { base.add(base.align_offset(align)) };
        (Arc::new(Region { base, layout }), start)
    }

    /// The same at a huge page; the first `huge` bytes are to lie in such ones.
    fn in_huge_pages(size: usize, huge: usize) -> (Arc<Region>, NonNull<u8>) {
        let (region, start) = Region::new(size, HUGE_PAGE);
        #[cfg(target_os = "linux")]
        // SAFETY: pages inside our own allocation; the advice changes no contents, its failure no matter.
        unsafe {
            libc::madvise(start.as_ptr().cast(), huge, libc::MADV_HUGEPAGE);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = huge;
        (region, start)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `base` came from alloc_zeroed with this same layout, and this is its only owner.
        unsafe { alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}

/// What is left of the region of which parts are cut.
struct Rest {
    region: Arc<Region>,
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: as for a region.
unsafe impl Send for Rest {}

static REST: Mutex<Option<Rest>> = Mutex::new(None);

/// `size` bytes, a multiple of the alignment of buffers, that nobody else has, and the region that they lie in.
pub(super) fn part(size: usize) -> (Arc<Region>, NonNull<u8>) {
    match size {
        ..SHARED => Region::new(size, ALIGN),
        SHARED..ALONE => cut(size),
        ALONE.. => {
            // A last page that would be much larger than what it holds stays small.
            let whole = size.next_multiple_of(HUGE_PAGE);
            let huge = if whole - size <= size / 4 { whole } else { whole - HUGE_PAGE };
            Region::in_huge_pages(whole, huge)
        }
    }
}

/// The same as a part of a region.
fn cut(size: usize) -> (Arc<Region>, NonNull<u8>) {
    let mut rest = REST.lock().unwrap_or_else(|e| e.into_inner());
    let Rest { region, start, bytes } = rest.take().filter(|rest| rest.bytes >= size).unwrap_or_else(|| {
        let (region, start) = Region::in_huge_pages(REGION, REGION);
        Rest { region, start, bytes: REGION }
    });
    // SAFETY: there are `bytes` bytes, and `size` is no more.
    let next = unsafe { start.add(size) };
    *rest = Some(Rest { region: region.clone(), start: next, bytes: bytes - size });
    (region, start)
}

/// Cuts the next part of a new region, so that the last one can go back to the system.
pub(super) fn forget_rest() {
    *REST.lock().unwrap_or_else(|e| e.into_inner()) = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_zero_aligned_and_nobody_elses() {
        let sizes = [64, SHARED - 64, SHARED, 96 << 10, 1 << 20, ALONE - (1 << 18), ALONE, 5 << 20];
        let parts: Vec<_> = (0..40).map(|i| (sizes[i % sizes.len()], part(sizes[i % sizes.len()]))).collect();
        for (i, (size, (_, start))) in parts.iter().enumerate() {
            assert!(start.as_ptr().addr().is_multiple_of(ALIGN), "{size}");
            // SAFETY: the part's own bytes.
            let bytes = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), *size) };
            assert!(bytes.iter().all(|&b| b == 0), "{size}");
            bytes.fill(i as u8 + 1);
        }
        for (i, (size, (_, start))) in parts.iter().enumerate() {
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(start.as_ptr(), *size) };
            assert!(bytes.iter().all(|&b| b == i as u8 + 1), "{size}");
        }
    }

    #[test]
    fn what_is_left_is_used_before_a_new_region() {
        let parts: Vec<_> = (0..200).map(|_| cut(SHARED).0).collect();
        let mut regions: Vec<_> = parts.iter().map(Arc::as_ptr).collect();
        regions.dedup();
        // Other tests cut parts meanwhile, so that a few more may be needed.
        assert!(regions.len() < 20, "{}", regions.len());
        assert!(parts.iter().any(|region| Arc::strong_count(region) > 10));
    }
}
