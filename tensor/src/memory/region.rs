//! Memory from the system: large and small buffers have regions of their own, those between share them.
//!
//! Large and shared regions lie in pages of two megabytes, where Linux has them: one fault instead of 512, and as many fewer
//! translations of addresses while a buffer is read.

use std::alloc;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use super::ALIGN;

/// The size of a huge page.
const HUGE_PAGE: usize = 2 << 20;
/// From this size on a buffer has a region for itself, which begins at a huge page.
const ALONE: usize = 7 << 18;
/// From this size on smaller buffers lie side by side in shared regions.
pub(super) const SHARED: usize = 64 << 10;
/// The size of a region from which parts are cut.
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
    /// `size` bytes of zeros; the first lies at a multiple of `align`.
    fn new(size: usize, align: usize) -> (Arc<Region>, NonNull<u8>) {
        // The slack for alignment is added by hand: zeroed memory of small alignment comes from calloc, which mostly
        // gets large sizes as untouched zero pages, while an aligned request would be cleared (touched) at once.
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
pub(super) struct Rest {
    region: Arc<Region>,
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: as for a region.
unsafe impl Send for Rest {}

static REST: Mutex<Option<Rest>> = Mutex::new(None);

/// `size` bytes that nobody else has, at a multiple of [`ALIGN`], and the region that they lie in.
pub(super) fn part(size: usize) -> (Arc<Region>, NonNull<u8>) {
    match size {
        ..SHARED => Region::new(size, ALIGN),
        SHARED..ALONE => cut(&mut REST.lock().unwrap_or_else(|e| e.into_inner()), size),
        ALONE.. => {
            // A last page that would be much larger than what it holds stays small.
            let whole = size.next_multiple_of(HUGE_PAGE);
            let huge = if whole - size <= size / 4 { whole } else { whole - HUGE_PAGE };
            Region::in_huge_pages(whole, huge)
        }
    }
}

/// Whether a buffer of this size shares a region.
pub(super) fn is_part(size: usize) -> bool {
    (SHARED..ALONE).contains(&size)
}

/// The same, cut from a region that others share.
pub(super) fn cut(rest: &mut Option<Rest>, size: usize) -> (Arc<Region>, NonNull<u8>) {
    debug_assert!(size.is_multiple_of(ALIGN), "the next part is aligned like this one");
    let Rest { region, start, bytes } = rest.take().filter(|rest| rest.bytes >= size).unwrap_or_else(|| {
        let (region, start) = Region::in_huge_pages(REGION, REGION);
        Rest { region, start, bytes: REGION }
    });
    // SAFETY: there are `bytes` bytes, and `size` is no more.
    let next = unsafe { start.add(size) };
    *rest = Some(Rest { region: region.clone(), start: next, bytes: bytes - size });
    (region, start)
}

/// Lets go of what is left of a region, if so many other parts as `kept` tells are all that there are.
pub(super) fn forget_rest(kept: impl Fn(&Arc<Region>) -> usize) {
    let mut rest = REST.lock().unwrap_or_else(|e| e.into_inner());
    rest.take_if(|rest| Arc::strong_count(&rest.region) == kept(&rest.region) + 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_zero_aligned_and_nobody_elses() {
        let sizes = [64, SHARED - 64, SHARED, 96 << 10, 1 << 20, ALONE - (1 << 18), ALONE, 5 << 20];
        let parts: Vec<_> = (0..40).map(|i| (sizes[i % sizes.len()], part(sizes[i % sizes.len()]))).collect();
        for (i, (size, (_, start))) in parts.iter().enumerate() {
            let align = if *size >= ALONE { HUGE_PAGE } else { ALIGN };
            assert!(start.as_ptr().addr().is_multiple_of(align), "{size}");
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
    fn what_is_left_is_used_before_a_new_region_and_a_region_ends_with_its_last_part() {
        let mut rest = None;
        let mut parts: Vec<_> = (0..200).map(|_| cut(&mut rest, SHARED).0).collect();
        let all = REGION / SHARED;
        assert!(parts[..all].iter().all(|part| Arc::ptr_eq(part, &parts[0])));
        assert!(parts[all..].iter().all(|part| Arc::ptr_eq(part, &parts[all])));
        let (first, second) = (Arc::downgrade(&parts[0]), Arc::downgrade(&parts[all]));
        let last = parts.swap_remove(3);
        parts.clear();
        assert_eq!((first.strong_count(), second.strong_count()), (1, 1));
        drop((last, rest));
        assert_eq!((first.strong_count(), second.strong_count()), (0, 0));
    }
}
