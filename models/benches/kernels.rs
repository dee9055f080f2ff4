//! The kernels of `gpt bench kernels`, one benchmark each, after the limits that their rates are to be compared with:
//! `cargo bench -p models --bench kernels -- "gelu"`.
//!
//! Operations are counted as items: `Gitem/s` is GFLOP/s. The variable `GRADUS_NUM_THREADS` sets the number of threads.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use models::bench::kernels::{KernelOptions, Limits, Work, list};
use tensor::limits::Stream;

fn main() {
    // Cargo says so when something is to be measured, and not when calls are tested.
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    if asked("--bench") && !asked("--list") {
        print_limits();
    }
    divan::main();
}

fn print_limits() {
    let Limits { fma, streams } = Limits::measure(&KernelOptions::default());
    println!("limits with {} threads: {:.1} Gitem/s of fused multiply-adds", tensor::num_threads(), fma / 1e9);
    for (stream, rate) in Stream::ALL.iter().zip(streams) {
        println!("{:>8.1} GB/s of the stream `{}`", rate / 1e9, stream.name());
    }
}

fn names() -> Vec<String> {
    list(KernelOptions::default().bytes).into_iter().map(|kernel| kernel.name).collect()
}

#[divan::bench(args = names(), sample_count = 10, sample_size = 1)]
fn kernels(bencher: Bencher, name: &str) {
    let mut list = list(KernelOptions::default().bytes).into_iter();
    let kernel = list.find(|kernel| kernel.name == name).expect("the names are the list's");
    let mut call = kernel.prepare();
    // The first call fills the memory pool.
    call();
    match kernel.work {
        Work::Flops(flops) => bencher.counter(ItemsCount::new(flops as u64)).bench_local(call),
        Work::Bytes(bytes, _) => bencher.counter(BytesCount::new(bytes as u64)).bench_local(call),
    }
}
