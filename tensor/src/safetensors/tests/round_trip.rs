//! What is written is read again, in every way, and is what the `safetensors` crate would have written.

use std::borrow::Cow;
use std::collections::HashMap;

use ::safetensors::tensor::{Dtype as FileDtype, SafeTensors, View, serialize};
use proptest::prelude::*;

use super::*;
use crate::dtype::dispatch;
use crate::safetensors::header::file_dtype;
use crate::storage::Storage;
use crate::{Element, Generator, bf16, f16};

#[test]
fn what_is_written_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.safetensors");
    let metadata = text(&[("z", "last"), ("format", "pt"), ("a \"b\"", "ü\n")]);
    save(&path, &sample(), &metadata).unwrap();
    let read = load(&path).unwrap();
    assert_eq!(read.metadata, text(&[("a \"b\"", "ü\n"), ("format", "pt"), ("z", "last")]));
    assert_same(&read.tensors, &sample());
    assert_eq!(listing(directory.path()), ["x.safetensors"], "no temporary file is left");
    assert_eq!(std::fs::read(&path).unwrap(), to_bytes(&sample(), &metadata).unwrap());

    // Tensors one by one, in any order, by several threads.
    let reader = Reader::open(&path).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for (name, tensor) in sample().into_iter().rev() {
                    assert!(reader.tensor(&name).unwrap().bit_eq(&tensor), "{name}");
                }
            });
        }
    });
    let total: usize = sample().iter().map(|(_, t)| t.numel() * t.dtype().size_in_bytes()).sum();
    assert_eq!((reader.bytes(), reader.names().len()), (total as u64, sample().len()));
    assert_eq!(reader.file_of(reader.info("z").unwrap()), path);
    for (name, tensor) in sample() {
        let info = reader.info(&name).unwrap();
        assert_eq!((info.name(), info.dtype(), info.shape()), (name.as_str(), Some(tensor.dtype()), tensor.shape()));
    }
}

#[test]
fn an_empty_file_is_a_file() {
    let bytes = to_bytes(&[], &[]).unwrap();
    assert_eq!(bytes, b"\x08\0\0\0\0\0\0\0{}      ");
    let read = from_bytes(&bytes).unwrap();
    assert!(read.tensors.is_empty() && read.metadata.is_empty());
    // Metadata that says null is none, as for the crate.
    assert!(from_bytes(&file(r#"{"__metadata__":null}"#, 0)).unwrap().metadata.is_empty());
}

/// The same tensors for the crate's own writer.
struct Plain(FileDtype, Vec<usize>, Vec<u8>);

impl Plain {
    fn of(tensor: &Tensor) -> Plain {
        let mut bytes = Vec::new();
        let n = tensor.numel();
        macro_rules! put {
            ($t:ty) => {
                tensor.to_vec::<$t>().iter().for_each(|x| bytes.extend(x.to_le_bytes()))
            };
        }
        match tensor.dtype() {
            DType::Bool => bytes.extend(tensor.to_vec::<bool>().iter().map(|&x| x as u8)),
            DType::U8 => put!(u8),
            DType::I32 => put!(i32),
            DType::I64 => put!(i64),
            DType::F16 => put!(f16),
            DType::BF16 => put!(bf16),
            DType::F32 => put!(f32),
            DType::F64 => put!(f64),
        }
        assert_eq!(bytes.len(), n * tensor.dtype().size_in_bytes());
        Plain(file_dtype(tensor.dtype()), tensor.dims().to_vec(), bytes)
    }
}

impl View for &Plain {
    fn dtype(&self) -> FileDtype {
        self.0
    }
    fn shape(&self) -> &[usize] {
        &self.1
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.2)
    }
    fn data_len(&self) -> usize {
        self.2.len()
    }
}

/// The crate's bytes, which have at most one entry of metadata in a fixed order.
fn by_the_crate(tensors: &[(String, Tensor)], metadata: &[(String, String)]) -> Vec<u8> {
    let plain: Vec<(String, Plain)> = tensors.iter().map(|(name, t)| (name.clone(), Plain::of(t))).collect();
    let metadata: Option<HashMap<_, _>> = (!metadata.is_empty()).then(|| metadata.iter().cloned().collect());
    serialize(plain.iter().map(|(name, plain)| (name, plain)), metadata).unwrap()
}

#[test]
fn the_bytes_are_those_of_the_crate() {
    for metadata in [text(&[]), text(&[("format", "pt")])] {
        assert_eq!(to_bytes(&sample(), &metadata).unwrap(), by_the_crate(&sample(), &metadata));
    }
    // With several entries the crate's order is arbitrary, here it is not.
    let metadata = text(&[("b", "2"), ("c", "3"), ("a", "1")]);
    let bytes = to_bytes(&sample(), &metadata).unwrap();
    let (len, header) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().clone().unwrap(), metadata.into_iter().collect());
    assert!(bytes[8..8 + len].starts_with(br#"{"__metadata__":{"a":"1","b":"2","c":"3"},"#));
    assert_eq!((8 + len) % 8, 0, "the data is aligned");
}

/// Tensors that are longer than a piece, in orders that differ from that of the file.
#[test]
fn large_tensors_of_any_layout_are_put_in_order() {
    let base = Tensor::randn_with([3, 300, 400], DType::F32, &mut Generator::new(1));
    let long = Tensor::randn_with([2, 2, 270_000], DType::F32, &mut Generator::new(2));
    let tensors: Vec<(String, Tensor)> = [
        base.clone(),
        base.transpose(0, 2),
        base.transpose(1, 2),
        base.flip(&[0, 2]),
        base.narrow(2, 1, 397),
        // One row is more than a piece.
        long.flip(&[2]),
        long.transpose(0, 1),
        Tensor::from([1.0f32, 2.0]).reshape([2, 1]).expand([2, 400_000]),
    ]
    .into_iter()
    .enumerate()
    .map(|(i, t)| (i.to_string(), t))
    .collect();
    let bytes = to_bytes(&tensors, &[]).unwrap();
    assert_same(&from_bytes(&bytes).unwrap().tensors, &tensors);
    assert!(bytes == by_the_crate(&tensors, &[]));
}

#[test]
fn the_order_of_bytes_is_turned_around_element_by_element() {
    let mut bytes = [1, 2, 3, 4, 5, 6, 7, 8];
    crate::safetensors::write::reverse_each(&mut bytes, 4);
    assert_eq!(bytes, [4, 3, 2, 1, 8, 7, 6, 5]);
    crate::safetensors::write::reverse_each(&mut bytes, 1);
    assert_eq!(bytes, [4, 3, 2, 1, 8, 7, 6, 5]);
}

const DTYPES: [DType; 8] =
    [DType::Bool, DType::U8, DType::I32, DType::I64, DType::F16, DType::BF16, DType::F32, DType::F64];

/// A tensor of any dtype, shape and layout, with any bits.
fn tensors() -> impl Strategy<Value = Tensor> {
    let shape = prop::collection::vec(0usize..5, 0..5);
    (prop::sample::select(&DTYPES[..]), shape, any::<u64>(), 0..5u8).prop_map(|(dtype, shape, seed, layout)| {
        let bits = Tensor::randint_with(i64::MIN, i64::MAX, shape.clone(), &mut Generator::new(seed));
        let words = bits.to_vec::<i64>();
        let x = dispatch!(all dtype, T => {
            let bytes: Vec<u8> = words.iter().flat_map(|x| x.to_le_bytes()).collect();
            let len = words.len();
            let file = Storage::from_bytes(dtype, len, |into| {
                into.copy_from_slice(&bytes[..into.len()]);
                if T::DTYPE == DType::Bool { into.iter_mut().for_each(|b| *b &= 1) }
                Ok(())
            });
            Tensor::from_storage(file.unwrap().unwrap(), shape.clone())
        });
        match layout {
            1 if x.ndim() > 1 => x.transpose(0, -1),
            2 if x.ndim() > 0 => x.flip(&[0]),
            3 if x.ndim() > 0 && x.dim(-1) > 1 => x.narrow(-1, 1, x.dim(-1) - 1),
            4 => x.unsqueeze(0).expand([&[3], x.dims()].concat()),
            _ => x,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Written and read in each way, tensors are the same to the bit, and so are the bytes.
    #[test]
    fn any_tensors_come_back(tensors in prop::collection::vec(tensors(), 0..8), limit in 0u64..2000) {
        let tensors: Vec<_> = tensors.into_iter().enumerate().map(|(i, t)| (format!("t.{i}"), t)).collect();
        let metadata = text(&[("format", "pt")]);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("one.safetensors");
        save(&path, &tensors, &metadata).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        prop_assert_eq!(&bytes, &by_the_crate(&tensors, &metadata));
        assert_same(&from_bytes(&bytes).unwrap().tensors, &tensors);
        save_sharded(directory.path(), "model", &tensors, &metadata, limit).unwrap();
        for path in [&path, directory.path()] {
            for reader in [Reader::open(path).unwrap(), Reader::open_mapped(path).unwrap()] {
                let read = reader.read_all().unwrap();
                assert_same(&read.tensors, &tensors);
                prop_assert_eq!(&read.metadata, &metadata);
            }
        }
    }
}
