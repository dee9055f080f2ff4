//! The accuracy of long f32 sums in every layout: within 1e-6 of the sum of absolute values, for data that is hard to add.

use tensor::{DType, Tensor};

/// Ten million, as rows and columns.
const ROWS: usize = 4000;
const COLUMNS: usize = 2500;

/// A cheap uniform number in `0..1` for each index.
fn noise(i: usize) -> f32 {
    ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32
}

/// A name, and the element at each index.
type Data = (&'static str, fn(usize) -> f32);

fn data() -> [Data; 3] {
    [
        // Each addition rounds the same way.
        ("tenths", |_| 0.1),
        // Large numbers that cancel, and small ones between them.
        ("alternating", |i| {
            if i % 2 == 0 {
                1e-3
            } else if i % 4 == 1 {
                1e4
            } else {
                -1e4
            }
        }),
        ("random", |i| (noise(i) - 0.25) * [1e-6, 1.0, -1e3, 1e5][i % 4]),
    ]
}

/// Asserts that `got[o]` is the sum of the elements of group `o`, each given as `(group, element)`.
fn check(what: &str, got: &Tensor, groups: usize, elements: impl Iterator<Item = (usize, f32)>) {
    let (mut sums, mut sizes) = (vec![0f64; groups], vec![0f64; groups]);
    for (group, x) in elements {
        sums[group] += x as f64;
        sizes[group] += x.abs() as f64;
    }
    assert_eq!(got.dtype(), DType::F32);
    for (o, &got) in got.to_vec::<f32>().iter().enumerate() {
        let error = (got as f64 - sums[o]).abs() / sizes[o];
        assert!(error <= 1e-6, "{what}, {o}: {got}, not {}: {error:e} of the sum of absolute values", sums[o]);
    }
}

#[test]
fn ten_million_elements_in_every_layout() {
    for (name, f) in data() {
        let values: Vec<f32> = (0..ROWS * COLUMNS).map(f).collect();
        let t = Tensor::from_slice(&values, [ROWS, COLUMNS]);
        let all = || values.iter().map(|&x| (0, x));
        let rows = || values.iter().enumerate().map(|(i, &x)| (i / COLUMNS, x));
        let columns = || values.iter().enumerate().map(|(i, &x)| (i % COLUMNS, x));
        check(&format!("{name} all"), &t.sum(), 1, all());
        check(&format!("{name} transposed"), &t.t().sum(), 1, all());
        check(&format!("{name} flipped"), &t.flip(&[0, 1]).sum(), 1, all());
        check(&format!("{name} rows"), &t.sum_dim(1, false), ROWS, rows());
        check(&format!("{name} columns"), &t.sum_dim(0, false), COLUMNS, columns());
        check(&format!("{name} rows of the transposed"), &t.t().sum_dim(1, false), COLUMNS, columns());
        check(&format!("{name} columns of the transposed"), &t.t().sum_dim(0, false), ROWS, rows());
        // A few tall columns, and every other column.
        let tall = t.reshape([ROWS * COLUMNS / 5, 5]);
        check(&format!("{name} tall"), &tall.sum_dim(0, false), 5, values.iter().enumerate().map(|(i, &x)| (i % 5, x)));
        let strided = tall.reshape([ROWS * COLUMNS / 2, 2]).select(1, 0);
        check(&format!("{name} strided"), &strided.sum(), 1, values.iter().step_by(2).map(|&x| (0, x)));
        // Short lines, each a sum of its own.
        let short = t.reshape([ROWS * COLUMNS / 50, 50]);
        let groups = || values.iter().enumerate().map(|(i, &x)| (i / 50, x));
        check(&format!("{name} short"), &short.sum_dim(1, false), ROWS * COLUMNS / 50, groups());
    }
}

#[test]
fn what_is_made_of_sums() {
    for (name, f) in data() {
        let n = 10_000_000;
        let values: Vec<f32> = (0..n).map(f).collect();
        let t = Tensor::from_slice(&values, [n]);
        let (sum, size) = values.iter().fold((0f64, 0f64), |(s, a), &x| (s + x as f64, a + x.abs() as f64));
        let mean = sum / n as f64;
        assert!((t.mean().item::<f64>() - mean).abs() <= 1e-6 * size / n as f64, "{name}: mean");
        let spread = values.iter().map(|&x| (x as f64 - mean).powi(2)).sum::<f64>() / (n as f64 - 1.0);
        let squares: f64 = values.iter().map(|&x| (x as f64).powi(2)).sum();
        // A deviation is rounded as the f32 it is.
        assert!((t.var().item::<f64>() - spread).abs() <= 1e-6 * spread + 1e-13 * squares / n as f64, "{name}: var");
        assert!((t.norm().item::<f64>() - squares.sqrt()).abs() <= 1e-6 * squares.sqrt(), "{name}: norm");
        assert!((t.sum_of_squares() - squares).abs() <= 1e-6 * squares, "{name}: sum of squares");
        assert!((t.dot(&t).item::<f64>() - squares).abs() <= 1e-6 * squares, "{name}: dot");
    }
}
