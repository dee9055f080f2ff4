//! Readers of data files against hostile bytes: whatever a file holds, the answer is a value or an error.

use models::data::csv::{CsvOptions, Table};
use models::data::{idx, npy, npz, text};
use proptest::prelude::*;
use tensor::{DType, Tensor};

fn arrays() -> Vec<Tensor> {
    vec![
        Tensor::from([[1.5f32, -2.0, 3.25], [4.0, f32::NAN, 6.0]]),
        Tensor::from([0u8, 1, 2, 250]),
        Tensor::from([[1.0, 2.0], [3.0, 4.0]]).t(),
        Tensor::from([i32::MIN, 7]),
        Tensor::zeros([0, 2], DType::F64),
        Tensor::scalar(3u8),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    // The only encoder here is the writer's.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.gz");
    let bytes = Tensor::from_slice(bytes, [bytes.len()]);
    idx::save(&path, &bytes).unwrap();
    std::fs::read(path).unwrap()
}

/// Good files of every format, each with a reader that says whether the bytes are good.
type Reader = fn(&[u8]) -> bool;

fn seeds() -> Vec<(Vec<u8>, Reader)> {
    let read_idx: Reader = |bytes| idx::from_bytes(bytes).is_ok();
    let read_npy: Reader = |bytes| npy::from_bytes(bytes).is_ok();
    let read_npz: Reader = |bytes| npz::from_bytes(bytes).is_ok();
    let read_csv: Reader = |bytes| {
        let table = Table::from_bytes(bytes, CsvOptions::default());
        table.is_ok_and(|table| {
            let _ = table.classes(0);
            (0..table.columns()).all(|column| table.column(column, DType::F32).is_ok())
        })
    };
    let mut seeds: Vec<(Vec<u8>, Reader)> = Vec::new();
    for array in arrays() {
        seeds.push((idx::to_bytes(&array).unwrap(), read_idx));
        seeds.push((npy::to_bytes(&array).unwrap(), read_npy));
    }
    let named: Vec<(String, Tensor)> = arrays().into_iter().enumerate().map(|(i, x)| (i.to_string(), x)).collect();
    seeds.push((npz::to_bytes(&named, false).unwrap(), read_npz));
    seeds.push((npz::to_bytes(&named, true).unwrap(), read_npz));
    seeds.push((gzip(&[5; 300]), read_idx));
    seeds.push((b"a,b\n1,2\n\"3\",4.5e1\r\n\n5,6\n".to_vec(), read_csv));
    assert!(seeds.iter().all(|(bytes, read)| read(bytes)));
    seeds
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for (bytes, read) in seeds() {
        // A text without its last lines is a text.
        if bytes.starts_with(b"a,b") {
            continue;
        }
        for end in 0..bytes.len() {
            assert!(!read(&bytes[..end]), "cut at {end} of {}", bytes.len());
        }
    }
}

/// A change of some bytes.
#[derive(Debug, Clone)]
enum Edit {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Fill(prop::sample::Index, usize, u8),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(i, byte)| Edit::Set(i, byte)),
        (at(), 0..8u8).prop_map(|(i, bit)| Edit::Flip(i, bit)),
        (at(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(i, bytes)| Edit::Insert(i, bytes)),
        (at(), 1..20usize).prop_map(|(i, n)| Edit::Remove(i, n)),
        (at(), 1..9usize, prop_oneof![Just(0xff), Just(0), Just(0x7f)]).prop_map(|(i, n, byte)| Edit::Fill(i, n, byte)),
    ]
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    if bytes.is_empty() {
        return;
    }
    let n = bytes.len();
    match edit {
        Edit::Set(i, byte) => bytes[i.index(n)] = *byte,
        Edit::Flip(i, bit) => bytes[i.index(n)] ^= 1 << bit,
        Edit::Insert(i, new) => drop(bytes.splice(i.index(n)..i.index(n), new.iter().copied())),
        Edit::Remove(i, length) => drop(bytes.drain(i.index(n)..n.min(i.index(n) + length))),
        Edit::Fill(i, length, byte) => bytes[i.index(n)..n.min(i.index(n) + length)].fill(*byte),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changed_bytes_never_panic(edits in prop::collection::vec(edit(), 1..6), front in any::<bool>()) {
        for (mut bytes, read) in seeds() {
            // Half of the time only the header is changed, which is where the claims are.
            let mut rest = if front { bytes.split_off(bytes.len().min(64)) } else { vec![] };
            edits.iter().for_each(|edit| apply(&mut bytes, edit));
            bytes.append(&mut rest);
            read(&bytes);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for (_, read) in seeds() {
            read(&bytes);
        }
        // The beginnings of the formats, so that more than the first check is reached.
        for start in [&b"\x93NUMPY\x01\x00"[..], b"\x00\x00\x08\x03", b"\x1f\x8b\x08\x00", b"PK\x03\x04"] {
            let bytes = [start, &bytes].concat();
            let _ = (idx::from_bytes(&bytes), npy::from_bytes(&bytes), npz::from_bytes(&bytes));
        }
    }

    #[test]
    fn arrays_come_back(
        shape in prop::collection::vec(0..4usize, 0..5), seed in any::<u64>(), kind in 0..4usize, compress in any::<bool>()
    ) {
        let mut rng = tensor::Generator::new(seed);
        let dtype = [DType::F32, DType::F64, DType::U8, DType::I32][kind];
        let array = (Tensor::rand_with(&shape[..], DType::F64, &mut rng) * 250.0).to_dtype(dtype);
        prop_assert!(idx::from_bytes(&idx::to_bytes(&array).unwrap()).unwrap().bit_eq(&array));
        prop_assert!(npy::from_bytes(&npy::to_bytes(&array).unwrap()).unwrap().bit_eq(&array));
        let read = npz::from_bytes(&npz::to_bytes(&[("x".into(), array.clone())], compress).unwrap()).unwrap();
        prop_assert!(read.len() == 1 && read[0].1.bit_eq(&array));
    }

    #[test]
    fn tables_come_back(cells in prop::collection::vec((any::<f32>(), any::<i64>(), "[ -~\n]{0,8}"), 0..8)) {
        let finite = |x: f32| if x.is_finite() { x } else { 0.0 };
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let lines = cells.iter().map(|(x, n, text)| format!("{},{n},{}\n", finite(*x), quoted(text)));
        let csv = format!("x,n,text\n{}", lines.collect::<String>());
        let table = Table::from_bytes(csv.as_bytes(), CsvOptions::default()).unwrap();
        prop_assert_eq!(table.rows(), cells.len());
        let column = |at: usize, dtype| table.column(at, dtype).unwrap();
        prop_assert_eq!(column(0, DType::F32).to_vec::<f32>(), cells.iter().map(|c| finite(c.0)).collect::<Vec<_>>());
        prop_assert_eq!(column(1, DType::I64).to_vec::<i64>(), cells.iter().map(|c| c.1).collect::<Vec<_>>());
        let texts: Vec<&str> = cells.iter().map(|c| c.2.trim()).collect();
        prop_assert_eq!(table.strings("text").unwrap(), texts);
    }
}

#[test]
fn what_a_header_claims_is_not_allocated() {
    // Four bytes of data under headers that claim up to 2^64 of them.
    for sizes in [[1u32 << 31, 1 << 10, 1, 1], [u32::MAX; 4], [0, u32::MAX, u32::MAX, u32::MAX]] {
        let mut bytes = vec![0, 0, 0x0e, 4];
        sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes.extend([1, 2, 3, 4]);
        assert!(idx::from_bytes(&bytes).is_err());
        let shape = sizes.map(|size| size.to_string()).join(", ");
        let header = format!("{{'descr': '<f8', 'fortran_order': True, 'shape': ({shape})}}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend([1, 2, 3, 4]);
        assert!(npy::from_bytes(&bytes).is_err());
    }
}

#[test]
fn directories_and_missing_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_path_buf(), dir.path().join("missing")] {
        let messages = [
            idx::load(&path).unwrap_err(),
            npy::load(&path).unwrap_err(),
            npz::load(&path).unwrap_err(),
            text::load(&path).unwrap_err(),
            Table::load(&path, CsvOptions::default()).unwrap_err(),
        ];
        assert!(messages.iter().all(|message| message.to_string().starts_with("cannot read")));
    }
    let into = dir.path().join("no/such/folder");
    let array = Tensor::scalar(1.0);
    for error in [
        idx::save(&into, &array).unwrap_err(),
        npy::save(&into, &array).unwrap_err(),
        npz::save(&into, &[("x".into(), array.clone())]).unwrap_err(),
    ] {
        assert!(error.to_string().starts_with("cannot write"), "{error}");
    }
}
