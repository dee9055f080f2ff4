//! The rate at which products with one row read their weights, beside the rate of a plain sum over as much memory:
//! `cargo run --release -p tensor --example decode_bandwidth [ROWS]`.

use std::hint::black_box;
use std::time::Instant;

use tensor::{DType, Precision, QuantizedMatrix, Tensor, set_num_threads};

/// The shortest of some rounds of `f` over each of `count` matrices in turn, in seconds per matrix.
fn time(count: usize, mut f: impl FnMut(usize)) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..12 {
        let start = Instant::now();
        (0..count).for_each(&mut f);
        best = best.min(start.elapsed().as_secs_f64() / count as f64);
    }
    best
}

fn main() {
    let m: usize = std::env::args().nth(1).map_or(1, |m| m.parse().expect("a number of rows"));
    println!("{m} rows; GB/s of stored weights (10^9 weights/s)");
    println!(
        "{:>14} {:>7} {:>7} {:>14} {:>14} {:>14} {:>14} {:>14}",
        "weight", "threads", "sum", "f32", "bf16", "f16", "int8", "int4/32"
    );
    for [n, k] in [[2304, 768], [3072, 768], [768, 3072], [50257, 768]] {
        // So many that no cache holds them, as in a model.
        let count = (400_000_000 / (n * k * 4)).max(2);
        let x = Tensor::randn([m, k], DType::F32);
        let floats: Vec<Tensor> = (0..count).map(|_| Tensor::randn([n, k], DType::F32)).collect();
        let halves = |dtype| floats.iter().map(|w| w.to_dtype(dtype)).collect::<Vec<Tensor>>();
        let quantised = |precision| {
            let one = |w| QuantizedMatrix::quantize(w, precision).expect("finite weights");
            floats.iter().map(one).collect::<Vec<QuantizedMatrix>>()
        };
        let (bf16, f16) = (halves(DType::BF16), halves(DType::F16));
        let (int8, int4) = (quantised(Precision::Int8), quantised(Precision::INT4));
        for threads in [1, 2] {
            set_num_threads(threads);
            let rate = |bytes: usize, seconds: f64| {
                format!("{:.1} ({:.1})", bytes as f64 / seconds / 1e9, (n * k) as f64 / seconds / 1e9)
            };
            let sum = n as f64 * k as f64 * 4.0 / time(count, |i| drop(black_box(floats[i].sum()))) / 1e9;
            let dense = |w: &[Tensor]| {
                let seconds = time(count, |i| drop(black_box(x.linear(&w[i], None))));
                rate(n * k * w[0].dtype().size_in_bytes(), seconds)
            };
            let packed = |w: &[QuantizedMatrix]| {
                let seconds = time(count, |i| drop(black_box(w[i].linear(&x, None))));
                rate(w[0].nbytes(), seconds)
            };
            println!(
                "{:>14} {threads:>7} {sum:>7.1} {:>14} {:>14} {:>14} {:>14} {:>14}",
                format!("[{n}, {k}]"),
                dense(&floats),
                dense(&bf16),
                dense(&f16),
                packed(&int8),
                packed(&int4)
            );
        }
    }
}
