//! Mapped files: the same tensors as those that are read, at no cost, and safe from writes.

use super::*;
use crate::memory;

fn saved(tensors: &[(String, Tensor)]) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.safetensors");
    save(&path, tensors, &[]).unwrap();
    (directory, path)
}

/// Whether the tensor looks at a mapped file.
fn is_mapped(tensor: &mut Tensor) -> bool {
    // Nobody else has it, and yet it cannot be written.
    !tensor.is_sole_owner()
}

#[test]
fn mapped_tensors_equal_those_that_are_read() {
    let (_directory, path) = saved(&sample());
    let mapped = Reader::open_mapped(&path).unwrap();
    assert_same(&mapped.read_all().unwrap().tensors, &load(&path).unwrap().tensors);
    for (name, _) in sample() {
        let mut tensor = mapped.tensor(&name).unwrap();
        let copied = matches!(tensor.dtype(), DType::Bool | DType::I64) || tensor.numel() == 0;
        assert_eq!(is_mapped(&mut tensor), !copied, "{name}");
    }
    let x = Tensor::randn([64, 48], DType::F32);
    let (_directory, path) = saved(&[("x".into(), x.clone())]);
    let mapped = Reader::open_mapped(&path).unwrap().tensor("x").unwrap();
    // Views of it, and kernels on it.
    assert!(mapped.t().matmul(&mapped).bit_eq(&x.t().matmul(&x)));
    assert!(mapped.narrow(0, 3, 9).flip(&[1]).exp().bit_eq(&x.narrow(0, 3, 9).flip(&[1]).exp()));
}

#[test]
fn a_write_copies_and_leaves_the_file_alone() {
    let (_directory, path) = saved(&[("w".into(), Tensor::from([1.0f32, 2.0, 3.0]))]);
    let before = std::fs::read(&path).unwrap();
    let reader = Reader::open_mapped(&path).unwrap();
    let writes: [fn(&mut Tensor); 4] = [
        |w| w.mul_scalar_(2.0),
        |w| w.as_slice_mut::<f32>().fill(7.0),
        |w| w.assign_(|w| w.narrow(0, 1, 2), &Tensor::from([0.0f32])),
        |w| *w = &*w + 1.0,
    ];
    for write in writes {
        let mut w = reader.tensor("w").unwrap();
        assert!(is_mapped(&mut w));
        let mut plain = Tensor::from([1.0f32, 2.0, 3.0]);
        write(&mut w);
        write(&mut plain);
        assert!(w.bit_eq(&plain) && !is_mapped(&mut w));
        assert_eq!(reader.tensor("w").unwrap().to_vec::<f32>(), [1.0, 2.0, 3.0]);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[test]
fn the_mapping_lives_as_long_as_a_tensor_of_it() {
    let x = Tensor::randn([50_000], DType::F32);
    let (directory, path) = saved(&[("x".into(), x.clone()), ("y".into(), Tensor::scalar(1.0))]);
    let (mapped, part) = {
        let reader = Reader::open_mapped(&path).unwrap();
        let mapped = reader.tensor("x").unwrap();
        let part = mapped.narrow(0, 40_000, 10);
        (mapped, part)
    };
    // Replaced and then removed, the file that was mapped is still what it was.
    save(&path, &[("x".into(), Tensor::zeros([50_000], DType::F32))], &[]).unwrap();
    assert!(mapped.bit_eq(&x));
    drop(mapped);
    #[cfg(unix)]
    drop(directory);
    assert!(part.bit_eq(&x.narrow(0, 40_000, 10)));
}

/// Older writers do not pad the header, or put small dtypes first: such tensors are copied.
#[test]
fn tensors_that_are_not_aligned_are_copied() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.safetensors");
    for padding in 0..8 {
        let header = r#"{"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}}"#;
        let header = header.to_string() + &" ".repeat(padding);
        let mut bytes = file(&header, 9);
        let begin = bytes.len() - 8;
        bytes[begin..].copy_from_slice(&[1.5f32.to_le_bytes(), (-2.0f32).to_le_bytes()].concat());
        std::fs::write(&path, &bytes).unwrap();
        let mut w = Reader::open_mapped(&path).unwrap().tensor("w").unwrap();
        assert_eq!(w.to_vec::<f32>(), [1.5, -2.0]);
        assert_eq!(is_mapped(&mut w), begin.is_multiple_of(4), "{begin}");
    }
}

#[test]
fn several_threads_read_one_mapping() {
    let x = Tensor::randn([1000, 100], DType::F64);
    let (_directory, path) = saved(&[("x".into(), x.clone())]);
    let reader = Reader::open_mapped(&path).unwrap();
    let shared = reader.tensor("x").unwrap();
    std::thread::scope(|scope| {
        for row in 0..8 {
            let (reader, shared, x) = (&reader, shared.clone(), &x);
            scope.spawn(move || {
                let mut own = reader.tensor("x").unwrap();
                own.mul_scalar_(2.0);
                assert!(own.bit_eq(&(x * 2.0)));
                assert!(shared.select(0, row).bit_eq(&x.select(0, row)));
            });
        }
    });
    assert!(memory::stats().copies_on_write >= 8);
}
