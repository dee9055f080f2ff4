//! What reading, mapping and writing a checkpoint takes of tensor memory; in a process of its own, whose account is exact.

use tensor::safetensors::{Reader, save};
use tensor::{DType, Tensor, memory};

#[test]
fn checkpoints_take_no_more_tensor_memory_than_their_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let bytes = 16 << 20;
    let x = Tensor::ones([2048, bytes / 4 / 2048], DType::F32);
    // Not contiguous: put in order in pieces of a megabyte, not as a whole.
    let before = memory::stats().live_bytes;
    save(&path, &[("x".into(), x.t())], &[]).unwrap();
    assert!(memory::stats().peak_live_bytes < before + bytes / 4);
    drop(x);

    let before = memory::stats();
    let reader = Reader::open_mapped(&path).unwrap();
    let mapped = reader.tensor("x").unwrap();
    let after = memory::stats();
    assert_eq!((after.live_bytes, after.live_buffers), (before.live_bytes, before.live_buffers));
    // A write is counted: the copy that it makes.
    let mut written = mapped.clone();
    written.mul_scalar_(2.0);
    let after = memory::stats();
    assert_eq!(after.live_buffers, before.live_buffers + 1);
    assert_eq!(after.copies_on_write, before.copies_on_write + 1);
    drop(written);

    let read = Reader::open(&path).unwrap().tensor("x").unwrap();
    assert_eq!(memory::stats().live_buffers, before.live_buffers + 1, "one buffer, the tensor's own");
    assert!(read.bit_eq(&mapped));
}
