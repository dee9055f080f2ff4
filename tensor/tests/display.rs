//! Printing, compared with PyTorch's: `tests/scripts/display.py` made the texts from the same tensors.

use tensor::{DType, Tensor};

const SCALES: [f64; 11] = [1e-45, 1e-30, 1e-10, 1e-5, 1e-4, 1e-3, 1.0, 1e2, 1e5, 1e9, 1e30];
const SPECIAL: [f64; 9] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.5, -2.25, 1000.0, 3e-5];

/// The script's generator.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    fn unit(&mut self) -> f64 {
        self.next() as f64 * 2f64.powi(-31)
    }

    fn of(&mut self, kind: &str) -> f64 {
        match kind {
            "unit" => self.unit(),
            "signed" => self.unit() * 8.0 - 4.0,
            "mixed" => (self.unit() - 0.5) * SCALES[self.next() as usize % SCALES.len()],
            "whole" => (self.next() % 2001) as f64 - 1000.0,
            "few" => (self.next() % 5) as f64,
            "large" => self.next() as f64 - 1e9,
            "halves" => (self.next() % 41) as f64 * 0.5 - 10.0,
            "ties" => (self.next() % 4001) as f64 * 0.00625 - 10.0,
            "special" => SPECIAL[self.next() as usize % SPECIAL.len()],
            "tiny" => self.unit() * 1e-40,
            "small" => self.unit() * 1e-3,
            "huge" => self.unit() * 1e30,
            "hundreds" => self.unit() * 300.0 - 100.0,
            "zero" => 0.0,
            "negative_zero" => -0.0,
            _ => panic!("unknown kind {kind}"),
        }
    }
}

fn make(dtype: &str, shape: &[usize], kind: &str, seed: u64) -> Tensor {
    let mut numbers = Numbers(seed);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| numbers.of(kind)).collect();
    let floats = || Tensor::from_slice(&values, shape);
    let integers = || Tensor::from_vec(values.iter().map(|&x| x as i64).collect(), shape);
    match dtype {
        "bool" => integers().to_dtype(DType::Bool),
        "u8" => {
            Tensor::from_vec(values.iter().map(|&x| (x as i64).rem_euclid(256)).collect(), shape).to_dtype(DType::U8)
        }
        "i32" => integers().to_dtype(DType::I32),
        "i64" => integers(),
        "f16" => floats().to_dtype(DType::F32).to_dtype(DType::F16),
        "bf16" => floats().to_dtype(DType::F32).to_dtype(DType::BF16),
        "f32" => floats().to_dtype(DType::F32),
        "f64" => floats(),
        _ => panic!("unknown dtype {dtype}"),
    }
}

#[test]
fn tensors_print_as_in_pytorch() {
    let text = include_str!("../../tests/fixtures/display.txt");
    let mut count = 0;
    for entry in text.split("=== ").skip(1) {
        let (head, body) = entry.trim_end().split_once('\n').expect("a head and a text");
        let (dtype, rest) = head.split_once(" [").expect("a dtype");
        let (shape, rest) = rest.split_once("] ").expect("a shape");
        let (kind, seed) = rest.split_once(' ').expect("a kind");
        let shape: Vec<usize> = shape.split(", ").filter(|s| !s.is_empty()).map(|s| s.parse().unwrap()).collect();
        let t = make(dtype, &shape, kind, seed.parse().unwrap());
        let shown = t.to_string();
        let got = shown.strip_prefix("tensor(").expect("the prefix");
        assert!(
            got.starts_with(body) && got[body.len()..].starts_with(','),
            "{head}\nours\n{shown}\nPyTorch's\n{body}"
        );
        let suffix: String = got[body.len()..].split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(suffix, format!(", shape={shape:?}, dtype={dtype})"));
        // Any layout of the same elements prints alike.
        if shape.len() > 1 {
            assert_eq!(t.transpose(0, 1).contiguous().transpose(0, 1).to_string(), shown);
        }
        count += 1;
    }
    assert!(count > 200, "{count}");
}

/// What does not fit on the last line goes to the next, as PyTorch does it.
#[test]
fn suffixes_are_wrapped() {
    let lines =
        |n: i64| Tensor::arange(0.0, n as f64, 1.0, DType::I64).to_string().lines().map(str::len).collect::<Vec<_>>();
    assert_eq!(lines(3).len(), 1);
    for n in 3..60 {
        assert!(lines(n).iter().all(|&len| len <= 81), "{n}: {:?}", lines(n));
    }
}
