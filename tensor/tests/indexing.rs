//! Random indexings, read and written as PyTorch does (`tests/scripts/indexing.py` makes the cases).

use std::panic::catch_unwind;

use tensor::{DType, Index, Tensor};

fn numbers<T: TryFrom<i64>>(text: &str) -> Vec<T> {
    let number = |word: &str| T::try_from(word.parse().expect("a number")).ok().expect("in range");
    text.split(',').filter(|word| !word.is_empty()).map(number).collect()
}

fn index(word: &str) -> Index {
    let parts: Vec<&str> = word.split(':').collect();
    let ids = || Tensor::from_vec(numbers::<i64>(parts[2]), numbers::<usize>(parts[1]));
    match parts[0] {
        "i" => Index::At(parts[1].parse().expect("a position")),
        "s" => Index::Slice {
            start: parts[1].parse().ok(),
            end: parts[2].parse().ok(),
            step: parts[3].parse().expect("a step"),
        },
        "n" => Index::NewAxis,
        "e" => Index::Ellipsis,
        "b" => Index::Flag(parts[1] == "1"),
        "t" => Index::Tensor(ids()),
        "m" => Index::Tensor(ids().to_dtype(DType::Bool)),
        other => panic!("an index of an unknown kind: {other}"),
    }
}

fn check(line: &str) {
    let parts: Vec<&str> = line.split(';').collect();
    let shape = numbers::<usize>(parts[0]);
    let indices: Vec<Index> = parts[1].split(' ').filter(|word| !word.is_empty()).map(index).collect();
    let n = shape.iter().product::<usize>() as i64;
    let x = Tensor::arange(0, n, 1, DType::I64).reshape(&shape[..]);
    // The same elements, laid out otherwise.
    let order: Vec<isize> = (0..x.ndim() as isize).rev().collect();
    let strange = x.permute(&order).contiguous().permute(&order);
    if parts[2] == "error" {
        let refused = catch_unwind(|| x.i(&indices[..])).is_err();
        return assert!(refused, "PyTorch refuses {line}");
    }
    for x in [x, strange] {
        let y = x.i(&indices[..]);
        assert_eq!(y.dims(), numbers::<usize>(parts[2]), "{line}");
        assert_eq!(y.to_vec::<i64>(), numbers::<i64>(parts[3]), "{line}");
        if parts[4] != "-" {
            let values = Tensor::arange(100, 100 + y.numel() as i64, 1, DType::I64).reshape(y.shape());
            let written = x.index_put(&indices[..], &values, false);
            assert_eq!(written.to_vec::<i64>(), numbers::<i64>(parts[4]), "{line}");
            // What is added where nothing is named twice is the difference.
            let added = x.index_put(&indices[..], &(&values - &y), true);
            assert!(added.bit_eq(&written), "{line}");
        }
    }
}

#[test]
fn as_pytorch_reads_and_writes() {
    let cases = include_str!("../../tests/fixtures/indexing.txt");
    let lines: Vec<&str> = cases.lines().skip(1).collect();
    assert!(lines.len() >= 600 && lines.iter().filter(|line| !line.ends_with("error")).count() > 400);
    lines.into_iter().for_each(check);
}
