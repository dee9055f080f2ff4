//! Checkpoints as PyTorch writes them, read to the bit, and those of an attacker, refused.

use std::collections::BTreeMap;

use models::data::pth::{self, Key, Value};
use proptest::prelude::*;
use proptest::sample::Index;
use tensor::Tensor;
use tests::Fixture;

fn fixture() -> Fixture {
    let fixture = Fixture::load("pth");
    assert!(fixture.metadata("versions").contains("torch"));
    fixture
}

fn file(fixture: &Fixture, case: &str) -> Vec<u8> {
    fixture.get(case, "file").to_vec::<u8>()
}

/// The tensors in a value, by the keys that lead to them.
fn tensors(value: &Value, path: &str, into: &mut Vec<(String, Tensor)>) {
    let below = |key: &dyn std::fmt::Display| format!("{path}.{key}").trim_start_matches('.').to_string();
    match value {
        Value::Tensor(tensor) => into.push((path.to_string(), tensor.clone())),
        Value::Dict(entries) => entries.iter().for_each(|(key, value)| tensors(value, &below(key), into)),
        Value::List(items) => items.iter().enumerate().for_each(|(i, value)| tensors(value, &below(&i), into)),
        _ => {}
    }
}

fn good(fixture: &Fixture) -> Vec<String> {
    fixture.cases().into_iter().filter(|case| !case.starts_with("refused_")).collect()
}

#[test]
fn every_tensor_is_read_to_the_bit() {
    let fixture = fixture();
    let cases = good(&fixture);
    assert!(cases.len() >= 15);
    for case in cases {
        let value = pth::from_bytes(&file(&fixture, &case)).unwrap_or_else(|e| panic!("{case}: {e}"));
        let mut read = Vec::new();
        tensors(&value, "", &mut read);
        let expected: BTreeMap<String, Tensor> = fixture.parts(&case, "array.").into_iter().collect();
        assert_eq!(read.len(), expected.len(), "{case}");
        for (path, tensor) in read {
            assert!(tensor.bit_eq(&expected[&path]), "{case} {path}:\n{tensor}\n{}", expected[&path]);
        }
    }
}

#[test]
fn views_stay_views_and_shared_memory_is_shared() {
    let fixture = fixture();
    let views = pth::state_dict_from_bytes(&file(&fixture, "views")).unwrap();
    let names: Vec<&str> = views.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..4], ["whole", "t", "row", "column"]);
    let of = |name: &str| &views.iter().find(|(n, _)| n == name).unwrap().1;
    for name in ["t", "row", "column", "block", "steps", "expanded", "diagonal", "windows"] {
        assert!(of(name).shares_storage_with(of("whole")), "{name}");
    }
    assert!(!of("permuted").shares_storage_with(of("whole")));
    assert_eq!(of("t").strides(), [1, 6]);
    assert_eq!(of("expanded").strides()[1], 0);
    assert_eq!(of("permuted").strides(), [1, 12, 4]);
    let tied = pth::state_dict_from_bytes(&file(&fixture, "tied")).unwrap();
    assert!(tied[0].1.is_set_to(&tied[1].1));
    // Copy on write: nobody's tensor changes with another.
    let mut first = tied[0].1.clone();
    first.mul_scalar_(2.0);
    assert!(!first.bit_eq(&tied[1].1) && tied[0].1.bit_eq(&tied[1].1));
}

#[test]
fn the_rest_of_a_checkpoint_is_plain_values() {
    let fixture = fixture();
    let whole = pth::from_bytes(&file(&fixture, "nested")).unwrap();
    let get = |key: &str| whole.get(key).unwrap_or_else(|| panic!("{key}"));
    assert!(matches!(get("epoch"), Value::Int(3)));
    assert!(matches!(get("loss"), Value::Float(0.5)));
    assert!(matches!(get("name"), Value::Str(name) if name == "na\u{ef}ve"));
    assert!(matches!(get("done"), Value::Bool(false)));
    assert!(matches!(get("extra"), Value::None));
    assert!(matches!(get("seed"), &Value::Int(seed) if seed == -(1 << 62)));
    assert!(matches!(get("dtype"), Value::Str(name) if name == "torch.bfloat16"));
    assert!(matches!(get("device"), Value::Str(name) if name == "cpu"));
    let Value::List(sizes) = get("sizes") else { panic!("sizes") };
    assert!(matches!(sizes[..], [Value::Int(2), Value::Int(3)]));
    let Value::List(pair) = get("pair") else { panic!("pair") };
    let [Value::Int(1), Value::List(inner)] = &pair[..] else { panic!("pair") };
    assert!(matches!(&inner[..], [Value::Float(2.5), Value::Str(x)] if x == "x"));
    // Optimizers number their parameters.
    let Some(Value::Dict(state)) = get("optimizer").get("state") else { panic!("state") };
    assert!(state.iter().map(|(key, _)| key).eq(&[Key::Int(0), Key::Int(1)]));
    let Some(Value::List(groups)) = get("optimizer").get("param_groups") else { panic!("param_groups") };
    assert!(matches!(groups[0].get("lr"), Some(Value::Float(0.25))));
    assert!(matches!(groups[1].get("betas"), Some(Value::List(betas)) if betas.len() == 2));
}

#[test]
fn the_state_dict_is_found_where_it_is() {
    let fixture = fixture();
    let names = |case: &str| -> Vec<String> {
        let tensors = pth::state_dict_from_bytes(&file(&fixture, case)).unwrap_or_else(|e| panic!("{case}: {e}"));
        tensors.into_iter().map(|(name, _)| name).collect()
    };
    // Under "model", although there are tensors beside it; under "state_dict" rather than "model".
    assert_eq!(names("nested"), ["weight", "bias"]);
    assert_eq!(names("lightning"), ["a"]);
    let module = names("module");
    assert_eq!(module[..2], ["0.weight", "0.bias"]);
    assert!(module.contains(&"1.num_batches_tracked".to_string()) && module.len() == 7);
    for (case, says) in [("scalar", "holds a tensor, no state dict"), ("list", "holds a list, no state dict")] {
        let message = pth::state_dict_from_bytes(&file(&fixture, case)).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn files_are_read_as_their_bytes_are_and_listed_without_their_elements() {
    let fixture = fixture();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.pth");
    for case in good(&fixture) {
        std::fs::write(&path, file(&fixture, &case)).unwrap();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        tensors(&pth::load(&path).unwrap(), "", &mut a);
        tensors(&pth::from_bytes(&file(&fixture, &case)).unwrap(), "", &mut b);
        assert!(a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && a.1.bit_eq(&b.1)) && a.len() == b.len(), "{case}");
    }
    // Dtypes that are missing here are listed all the same, and refused by name when they are read.
    for (case, dtype, bytes) in [("int16", "int16", 2), ("uint16", "uint16", 2), ("float8", "float8_e4m3fn", 2)] {
        std::fs::write(&path, file(&fixture, &format!("refused_{case}"))).unwrap();
        let Value::Tensor(info) = pth::outline(&path).unwrap() else { panic!("{case}") };
        assert_eq!((info.dtype_name(), info.bytes(), info.dtype()), (dtype, bytes, None));
    }
    std::fs::write(&path, file(&fixture, "refused_system")).unwrap();
    let message = pth::load_state_dict(&path).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: the checkpoint would run", path.display())), "{message}");
    assert!(pth::load(dir.path()).unwrap_err().to_string().starts_with("cannot read"));
    assert!(pth::outline(dir.path().join("none")).unwrap_err().to_string().starts_with("cannot read"));
}

#[test]
fn what_is_more_than_tensors_is_refused_by_name() {
    let fixture = fixture();
    let mut expected = BTreeMap::from([
        ("system", "the checkpoint would run posix.system; only tensors are read"),
        ("system_inside", "the checkpoint would run os.system; only tensors are read"),
        ("exec", "would run builtins.exec"),
        ("eval_protocol_0", "would run __builtin__.eval"),
        ("inst", "would run os.system"),
        ("getattr", "would run torch.load"),
        ("object", "would run collections.Counter"),
        ("numpy", "would run numpy._core.multiarray.scalar"),
        ("extension", "the pickle instruction EXT1"),
        ("bytes", "holds bytes"),
        ("set", "holds a set"),
        ("sparse", "would run torch._utils._rebuild_sparse_tensor"),
        ("complex", "dtype torch.complex64 has no dtype here"),
        ("conjugated", "conjugated or negated"),
        ("int16", "dtype torch.int16 has no dtype here"),
        ("uint16", "dtype torch.uint16 has no dtype here"),
        ("float8", "dtype torch.float8_e4m3fn has no dtype here"),
        ("quantised", "would run torch"),
        ("storage", "a storage without a tensor"),
        ("large_integer", "a whole number of 9 bytes"),
        ("key", "a key that is neither a text nor a whole number"),
        ("legacy", "PyTorch before 1.6; load it in Python and save it again"),
        ("torchscript", "a TorchScript model; save the state_dict()"),
        ("no_pickle", "no PyTorch checkpoint: the archive has no data.pkl"),
        ("byteorder", "neither little nor big"),
        ("text_length", "its pickle ends too early"),
        ("text_length_64", "its pickle ends too early"),
        ("long_length", "its pickle ends too early"),
        ("numel", "x/data/0 has 16 bytes, which are not 1152921504606846976 elements of float32"),
        ("numel_overflow", "x/data/0 has 16 bytes"),
        ("numel_negative", "a storage of -4 elements"),
        ("bomb_expanded", "repeats its elements more often than is plausible"),
        ("bomb_shape", "does not fit into memory"),
        ("bomb_views", "repeats its elements more often than is plausible"),
        ("dimensions", "a tensor of 5000 dimensions, at most 64"),
        ("offset", "shape [2], strides [1] and offset 3 leaves its storage of 4 elements"),
        ("offset_negative", "begins before its storage"),
        ("offset_large", "leaves its storage"),
        ("stride", "leaves its storage"),
        ("stride_negative", "the strides of a tensor are not whole numbers from 0"),
        ("stride_overflow", "leaves its storage"),
        ("size_negative", "the sizes of a tensor are not whole numbers from 0"),
        ("strides_missing", "a tensor of 2 dimensions, at most 64, with 1 strides"),
        ("no_storage", "it has no entry \"x/data/1\""),
        ("path", "it has no entry \"x/data/../data/0\""),
        ("short_storage", "x/data/0 has 3 bytes"),
        ("wrong_checksum", "has not the size or the checksum"),
        ("holds_itself", "an object that holds itself"),
        ("holds_itself_deeply", "an object that holds itself"),
        ("deep", "nested more than 100 times"),
        ("deep_tuples", "nested more than 100 times"),
        ("laughs", "holds the same objects too often"),
        ("long_laughs", "holds the same objects too often"),
        ("underflow", "takes more from the stack than is there"),
        ("below_mark", "takes more from the stack than is there"),
        ("no_mark", "no mark on the stack"),
        ("no_memo", "recalls what it has not stored"),
        ("no_stop", "its pickle ends too early"),
        ("not_utf8", "a text is not UTF-8"),
        ("half_item", "a key has no value"),
        ("append_to_dict", "appended to what is no list"),
        ("call_a_number", "something is called that is no function"),
        ("call_a_dtype", "is called with 0 arguments"),
        ("build_a_list", "attributes are set of something else than a dictionary"),
        ("class_itself", "stands in the place of a value"),
        ("protocol", "pickle protocol 9 is not known"),
        ("instruction", "0xfe is no pickle instruction"),
    ]);
    for case in fixture.cases() {
        let Some(name) = case.strip_prefix("refused_") else { continue };
        let says = expected.remove(name).unwrap_or_else(|| panic!("what should {name} say?"));
        let start = std::time::Instant::now();
        let message = pth::from_bytes(&file(&fixture, &case)).map(|_| ()).expect_err(name).to_string();
        assert!(message.contains(says) && !message.contains('\n'), "{name} should say {says:?}: {message}");
        assert!(message.len() < 300, "{message}");
        assert!(start.elapsed().as_secs() < 5, "{name} takes {:?}", start.elapsed());
    }
    assert!(expected.is_empty(), "no such files: {expected:?}");
}

#[test]
fn a_checkpoint_is_listed_with_its_plain_values() {
    let fixture = fixture();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pytorch_model.bin");
    std::fs::write(&path, file(&fixture, "nested")).unwrap();
    // The only weights of a model directory.
    let files = models::weights::find(dir.path()).unwrap();
    let (tensors, values) = models::weights::list(&files).unwrap();
    let weight = tensors.iter().find(|info| info.name == "model.weight").unwrap();
    assert_eq!((weight.dtype.as_str(), &weight.shape[..], weight.bytes), ("f32", &[1, 2][..], 8));
    assert!(tensors.iter().any(|info| info.name == "optimizer.state.0.exp_avg"));
    for (key, text) in [("epoch", "3"), ("extra", "None"), ("optimizer.param_groups.0.betas", "[0.9, 0.999]")] {
        assert!(values.contains(&(key.into(), text.into())), "{key}: {values:?}");
    }
    let (read, _) = models::weights::load(dir.path()).unwrap();
    assert_eq!(read.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["weight", "bias"]);
    // Safetensors are preferred where there are both.
    tensor::safetensors::save(dir.path().join("model.safetensors"), &read[..1], &[]).unwrap();
    assert_eq!(models::weights::load(dir.path()).unwrap().0.len(), 1);
}

/// `archive` without the checksums of its entries, so that changes of their bytes go unnoticed.
fn without_checksums(mut archive: Vec<u8>) -> Vec<u8> {
    let records: Vec<usize> = (0..archive.len() - 20).filter(|&at| archive[at..].starts_with(b"PK\x01\x02")).collect();
    records.iter().for_each(|at| archive[at + 16..at + 20].fill(0));
    archive
}

/// An archive of entries that are not compressed and have no checksums.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    let four = |n: usize| (n as u32).to_le_bytes();
    for (name, data) in entries {
        let sizes = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &four(data.len()), &four(data.len())].concat();
        let common = [&sizes[..], &(name.len() as u16).to_le_bytes(), &[0, 0]].concat();
        let (at, name) = (archive.len(), name.as_bytes());
        directory.extend([b"PK\x01\x02\x14\x00", &common[..], &[0; 10], &four(at), name].concat());
        archive.extend([b"PK\x03\x04", &common[..], name, data].concat());
    }
    let count = (entries.len() as u16).to_le_bytes();
    let end = [b"PK\x05\x06\0\0\0\0", &count[..], &count, &four(directory.len()), &four(archive.len()), &[0, 0]];
    [&archive[..], &directory, &end.concat()].concat()
}

/// Instructions as checkpoints have them, and numbers at the ends of their ranges.
fn instruction() -> impl Strategy<Value = Vec<u8>> {
    let text = |text: &[u8]| [&[0x8c, text.len() as u8], text].concat();
    let long = |n: i64| [&[0x8a, 8][..], &n.to_le_bytes()].concat();
    let name = |name: &str| format!("c{name}\n").into_bytes();
    let mut all: Vec<Vec<u8>> = b"N)]}(ttttRRRQsuaeb.".iter().map(|&code| vec![code]).collect();
    all.extend([0x85, 0x86, 0x87, 0x88, 0x89, 0x93, 0x94].map(|code| vec![code]));
    all.extend([text(b"storage"), text(b"0"), text(b"0"), text(b"cpu"), text(b"torch"), text(b"Size"), text(b"")]);
    all.extend([0, 1, 2, 4, -1, i64::MAX, i64::MIN, 1 << 40].map(long));
    all.extend((0..4u8).flat_map(|i| [vec![b'q', i], vec![b'h', i], vec![b'K', i]]));
    let names =
        ["torch._utils\n_rebuild_tensor_v2", "torch._utils\n_rebuild_tensor_v3", "torch._utils\n_rebuild_parameter"];
    all.extend(names.map(name));
    all.extend(["torch\nFloatStorage", "torch\nBoolStorage", "torch.storage\nUntypedStorage"].map(name));
    all.extend(["torch\nfloat32", "torch\nSize", "torch\ndevice", "collections\nOrderedDict"].map(name));
    // Whole tensors, so that many are reached.
    let storage =
        [&b"("[..], &text(b"storage"), b"ctorch\nFloatStorage\n", &text(b"0"), &text(b"cpu"), b"K\x04tQ"].concat();
    let begin = [&b"ctorch._utils\n_rebuild_tensor_v2\n("[..], &storage].concat();
    all.extend([begin.clone(), begin.clone(), [&begin[..], b"K\x00K\x02\x85K\x02\x85\x89NtR"].concat()]);
    all.push(b"NNtR".to_vec());
    prop::sample::select(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn changed_bytes_never_panic(
        case in any::<Index>(),
        edits in prop::collection::vec((any::<Index>(), prop_oneof![any::<u8>(), Just(0), Just(0xff)]), 1..5),
        removed in prop::option::weighted(0.2, (any::<Index>(), 1..12usize)),
        early in any::<bool>(),
    ) {
        thread_local! {
            static FILES: Vec<Vec<u8>> = {
                let fixture = fixture();
                good(&fixture).iter().map(|case| without_checksums(file(&fixture, case))).collect()
            };
        }
        let mut bytes = FILES.with(|files| files[case.index(files.len())].clone());
        // Half of the time only the pickle is changed, which comes first.
        let n = if early { bytes.len().min(700) } else { bytes.len() };
        edits.iter().for_each(|(at, byte)| bytes[at.index(n)] = *byte);
        if let Some((at, length)) = removed {
            let at = at.index(n);
            bytes.drain(at..n.min(at + length));
        }
        let _ = (pth::from_bytes(&bytes), pth::state_dict_from_bytes(&bytes));
    }

    #[test]
    fn any_instructions_are_refused_or_read(
        instructions in prop::collection::vec(instruction(), 0..60), storage in prop::collection::vec(any::<u8>(), 16)
    ) {
        let pickle = [&[0x80, 2][..], &instructions.concat(), b"."].concat();
        let _ = pth::from_bytes(&archive(&[("x/data.pkl", &pickle), ("x/data/0", &storage)]));
    }

    #[test]
    fn any_view_is_its_elements(
        dims in prop::collection::vec((0..4i64, 0..6i64), 0..4), offset in 0..8i64, len in 0..16usize
    ) {
        let number = |n: i64| [&[0x8a, 8][..], &n.to_le_bytes()].concat();
        let tuple = |numbers: Vec<i64>| [b"(", &numbers.into_iter().flat_map(number).collect::<Vec<u8>>()[..], b"t"].concat();
        let pickle = [
            &b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nByteStorage\nX\x01\0\0\x000N"[..],
            &number(len as i64), b"tQ", &number(offset),
            &tuple(dims.iter().map(|d| d.0).collect()), &tuple(dims.iter().map(|d| d.1).collect()), b"\x89NtR.",
        ].concat();
        let storage: Vec<u8> = (0..len as u8).collect();
        let read = pth::from_bytes(&archive(&[("x/data.pkl", &pickle), ("x/data/0", &storage)]));
        // The places of all elements in row-major order.
        let mut places = vec![offset];
        for (size, stride) in &dims {
            places = places.iter().flat_map(|place| (0..*size).map(move |i| place + i * stride)).collect();
        }
        match read {
            Ok(Value::Tensor(read)) => {
                prop_assert_eq!(read.to_vec::<u8>(), places.iter().map(|&place| place as u8).collect::<Vec<u8>>());
                prop_assert_eq!(read.ndim(), dims.len());
            }
            Ok(_) => prop_assert!(false, "no tensor"),
            Err(error) => {
                prop_assert!(error.to_string().contains("leaves its storage"), "{}", error);
                prop_assert!(places.iter().any(|&place| place >= len as i64), "{}", error);
            }
        }
    }
}
