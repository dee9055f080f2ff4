//! The worker threads, which stay awake for a moment after each parallel region. In a training step the next one is
//! microseconds away, and to wake a sleeping thread takes longer than most regions last.
//!
//! A region is opened by its caller, who works on it as well, closes it when no work is left, and waits only for the
//! workers that have entered. One that comes too late finds it closed. So on a busy machine the caller does the work
//! alone and never waits for a thread to which the system has given no core.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, TryLockError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a worker waits awake for the next region.
const AWAKE: Duration = Duration::from_micros(100);
/// Looks at the clock, or gives its core away, after so many looks at the state.
const PATIENCE: u32 = 256;

/// What all threads of a region call until no work is left, each with a number of its own, the caller with 0.
type Job = dyn Fn(usize) + Sync;

/// The region of the moment, in one word, so that to enter it and to close it exclude each other: its number (32 bits),
/// how many workers it wants (16 bits; none once it is closed), and how many are inside (16 bits).
static STATE: AtomicU64 = AtomicU64::new(0);
const INSIDE: u64 = 0xffff;
const WANTED: u64 = 0xffff << 16;
const NUMBER: u32 = 32;

fn number(state: u64) -> u64 {
    state >> NUMBER
}

/// Whether a region wants the worker `index`.
fn wants(state: u64, index: usize) -> bool {
    index < (state & WANTED) as usize >> 16
}

/// The job of the region.
struct Slot(UnsafeCell<Option<*const Job>>);
// SAFETY: written only by the holder of `SEATS` while nobody is inside, read only inside.
unsafe impl Sync for Slot {}
static JOB: Slot = Slot(UnsafeCell::new(None));

/// The first panic of a worker in the region.
static PANIC: Mutex<Option<Box<dyn Any + Send>>> = Mutex::new(None);

/// Where a worker sleeps.
struct Seat {
    asleep: AtomicBool,
    thread: OnceLock<Thread>,
}

/// The workers there are. Whoever holds the lock may open a region.
static SEATS: Mutex<Vec<Arc<Seat>>> = Mutex::new(Vec::new());

/// Calls `job` on this thread and on up to `helpers` workers at the same time, with the same number for a worker each time,
/// and returns when all calls have. Only on this thread while another one has a region open.
///
/// # Panics
/// With the panic of one of the calls, after all have ended.
pub(super) fn run(helpers: usize, job: &(dyn Fn(usize) + Sync), start: fn()) {
    let mut seats = match SEATS.try_lock() {
        Ok(seats) => seats,
        Err(TryLockError::Poisoned(seats)) => seats.into_inner(),
        Err(TryLockError::WouldBlock) => return job(0),
    };
    while seats.len() < helpers.min(WANTED as usize >> 16) {
        // A system that has no thread to give is one with fewer workers.
        let Some(seat) = hire(seats.len(), start) else { break };
        seats.push(seat);
    }
    let helpers = helpers.min(seats.len());

    /// Closes the region, also when the caller's own part panics: the job must not be called after that.
    struct Region {
        panicked: bool,
    }
    impl Drop for Region {
        fn drop(&mut self) {
            STATE.fetch_and(!WANTED, Ordering::SeqCst);
            let mut looks = 0_u32;
            while STATE.load(Ordering::Acquire) & INSIDE != 0 {
                looks += 1;
                if looks.is_multiple_of(PATIENCE) { thread::yield_now() } else { std::hint::spin_loop() }
            }
            if self.panicked {
                // The caller's panic is the one that is told; a worker's must not wait for the next region.
                std::mem::forget(take_panic());
            }
        }
    }
    // SAFETY: only the lifetime changes. The region is closed and empty before this function returns or unwinds, and
    // workers call the job only inside.
    let lasting = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const Job>(job) };
    // SAFETY: we hold the lock, and the last region was left empty: nobody reads this now.
    unsafe { *JOB.0.get() = Some(lasting) };
    let opened = (number(STATE.load(Ordering::Relaxed)).wrapping_add(1) << NUMBER) | (helpers as u64) << 16;
    STATE.store(opened, Ordering::SeqCst);
    {
        let mut region = Region { panicked: true };
        for seat in &seats[..helpers] {
            // Either this sees that the worker sleeps, or the worker sees the region before it falls asleep.
            if seat.asleep.load(Ordering::SeqCst) && seat.asleep.swap(false, Ordering::SeqCst) {
                seat.thread.get().expect("a sleeper has told its name").unpark();
            }
        }
        job(0);
        region.panicked = false;
    }
    // Before another caller can open a region, whose panics are its own.
    let panic = take_panic();
    drop(seats);
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

fn take_panic() -> Option<Box<dyn Any + Send>> {
    PANIC.lock().unwrap_or_else(|e| e.into_inner()).take()
}

/// Starts worker `index`, which calls `start` first.
fn hire(index: usize, start: fn()) -> Option<Arc<Seat>> {
    let seat = Arc::new(Seat { asleep: AtomicBool::new(false), thread: OnceLock::new() });
    let own = seat.clone();
    let work = move || {
        own.thread.set(thread::current()).expect("a seat has one worker");
        start();
        // With more threads than cores, one that waits awake only takes a core from one that works.
        let awake = if thread::available_parallelism().is_ok_and(|cores| index + 1 < cores.get()) {
            AWAKE
        } else {
            Duration::ZERO
        };
        let mut last = 0;
        loop {
            last = wait(index, last, &own, awake);
            serve(index, last);
        }
    };
    thread::Builder::new().name(format!("gradus-{index}")).spawn(work).ok()?;
    Some(seat)
}

/// Waits for a region after number `last` that wants worker `index`.
fn wait(index: usize, last: u64, seat: &Seat, awake: Duration) -> u64 {
    let (mut begun, mut looks) = (Instant::now(), 0_u32);
    let open = |state: u64| number(state) != last && wants(state, index);
    loop {
        let state = STATE.load(Ordering::SeqCst);
        if open(state) {
            seat.asleep.store(false, Ordering::SeqCst);
            return number(state);
        }
        looks = looks.wrapping_add(1);
        if !looks.is_multiple_of(PATIENCE) || begun.elapsed() < awake {
            std::hint::spin_loop();
        } else if !seat.asleep.swap(true, Ordering::SeqCst) {
            // More looks, with the mark set; then sleep.
            continue;
        } else {
            thread::park();
            begun = Instant::now();
        }
    }
}

/// Takes part in the region with the number `of`, unless it is closed by now.
fn serve(index: usize, of: u64) {
    let enter = |state: u64| (number(state) == of && wants(state, index)).then_some(state + 1);
    if STATE.fetch_update(Ordering::AcqRel, Ordering::Acquire, enter).is_err() {
        return;
    }
    // SAFETY: inside a region, whose caller has put the job there and waits for us before it ends.
    let job = unsafe { &*(*JOB.0.get()).expect("an open region has a job") };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(index + 1))) {
        let mut first = PANIC.lock().unwrap_or_else(|e| e.into_inner());
        match *first {
            None => *first = Some(panic),
            // To drop what somebody panicked with might panic again, and this thread must leave the region.
            Some(_) => std::mem::forget(panic),
        }
    }
    STATE.fetch_sub(1, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Each of `blocks` once, by whoever comes first.
    fn count(helpers: usize, blocks: usize, each: impl Fn(usize) + Sync) {
        let next = AtomicUsize::new(0);
        let job = |_| {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= blocks {
                    return;
                }
                each(i);
            }
        };
        run(helpers, &job, || ());
    }

    #[test]
    fn every_block_is_done_once_whoever_asks_and_however_long_the_workers_slept() {
        let ask = |asker: usize| {
            for round in 0..300 {
                let done: Vec<AtomicUsize> = (0..50).map(|_| AtomicUsize::new(0)).collect();
                count(1 + (asker + round) % 4, done.len(), |i| {
                    done[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1));
                if round % 100 == 99 {
                    thread::sleep(10 * AWAKE);
                }
            }
        };
        thread::scope(|scope| (0..3).for_each(|asker| drop(scope.spawn(move || ask(asker)))));
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_workers_go_on() {
        for round in 0..50 {
            let panicked = catch_unwind(|| count(3, 20, |i| assert!(i != round % 20, "block {i}"))).unwrap_err();
            assert_eq!(*panicked.downcast::<String>().unwrap(), format!("block {}", round % 20));
            let sum = AtomicUsize::new(0);
            count(3, 20, |i| {
                sum.fetch_add(i, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), 190);
        }
    }

    #[test]
    fn when_all_panic_one_panic_is_told() {
        for _ in 0..50 {
            assert!(catch_unwind(|| count(3, 20, |i| panic!("block {i}"))).is_err());
            count(3, 20, |_| ());
        }
    }

    #[test]
    fn what_a_job_asks_for_itself_is_done_where_it_is_asked() {
        let sum = AtomicUsize::new(0);
        count(2, 10, |i| {
            count(2, 10, |j| {
                sum.fetch_add(10 * i + j, Ordering::Relaxed);
            })
        });
        assert_eq!(sum.into_inner(), 4950);
    }
}
