//! Files that are damaged, cut off, or made to do harm: each is an error that says what is wrong.

use super::*;
use crate::ErrorKind;

/// What is said of a file with this header and so many bytes of data, which must be the same in every way of reading.
#[track_caller]
fn said(header: &str, data: usize) -> String {
    said_of(&file(header, data))
}

#[track_caller]
fn said_of(bytes: &[u8]) -> String {
    let message = refused(from_bytes(bytes));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.safetensors");
    std::fs::write(&path, bytes).unwrap();
    for opened in [Reader::open(&path), Reader::open_mapped(&path)] {
        assert_eq!(refused(opened.and_then(|r| r.read_all())), format!("{}: {message}", path.display()));
    }
    assert!(message.starts_with("safetensors: "), "{message}");
    message
}

#[track_caller]
fn assert_said(header: &str, data: usize, what: &str) {
    let said = said(header, data);
    assert!(said.contains(what), "{said}");
}

#[test]
fn a_file_cut_anywhere_or_with_something_appended_is_refused() {
    let good = to_bytes(&sample(), &text(&[("format", "pt")])).unwrap();
    for end in 0..good.len() {
        said_of(&good[..end]);
    }
    let said = said_of(&[&good[..], b"x"].concat());
    assert!(said.contains("it was cut off, or something was appended"), "{said}");
    assert!(said_of(b"1234567").contains("7 bytes are too few"));
}

/// Whatever one byte is changed to, the file is refused or read; nothing panics, and nothing of a wild size is made.
#[test]
fn a_file_with_any_byte_changed_is_refused_or_read() {
    let good = to_bytes(&sample()[..4], &text(&[("format", "pt")])).unwrap();
    let mut read = 0;
    for at in 0..good.len() {
        for change in [1, 0x10, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= change;
            read += from_bytes(&bad).is_ok() as usize;
        }
    }
    // Names, text and numbers may well be others.
    assert!(read > 0);
}

#[test]
fn headers_that_claim_too_much_are_refused_before_memory_is_taken() {
    let mut huge = file("{}", 0);
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(said_of(&huge).contains("more than the 100000000 that the format allows"));
    huge[..8].copy_from_slice(&100_000_000u64.to_le_bytes());
    assert!(said_of(&huge).contains("claims 100000000 bytes, 2 are left"));
    let entry =
        |shape: &str, offsets: &str| format!(r#"{{"x":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#);
    // Sizes that overflow, on the way or at the end, and offsets that do when the header's length is added.
    let most = u64::MAX;
    assert_said(&entry(&format!("[{most},{most}]"), "[0,16]"), 16, "no machine has that many bytes");
    assert_said(&entry(&format!("[{}]", 1u64 << 62), "[0,0]"), 0, "no machine has that many bytes");
    assert_said(&entry("[4294967296,4294967296,0]", "[0,0]"), 0, "no machine has that many bytes");
    assert_said(&entry("[0,4294967296,4294967296]", "[0,0]"), 0, "too many elements for this machine");
    let bytes = |n: u64| format!(r#"{{"x":{{"dtype":"U8","shape":[{n}],"data_offsets":[0,{n}]}}}}"#);
    assert_said(&bytes(most - 3), 4, "no machine has that many bytes");
    assert_said(&bytes(most / 8), 4, "the file has 4");
    assert_said(&bytes(1 << 40), 4, "the file has 4");
    assert_said(&entry("[4]", "[0,18446744073709551616]"), 16, "\"x\": invalid");
}

#[test]
fn bytes_that_are_nobodys_or_two_tensors_are_refused() {
    let two = |a: &str, b: &str| {
        format!(
            r#"{{"a":{{"dtype":"F32","shape":[1],"data_offsets":{a}}},"b":{{"dtype":"F32","shape":[1],"data_offsets":{b}}}}}"#
        )
    };
    assert_eq!(from_bytes(&file(&two("[4,8]", "[0,4]"), 8)).unwrap().tensors.len(), 2);
    assert_said(&two("[0,4]", "[2,6]"), 8, r#"the bytes of "b" overlap those of "a""#);
    assert_said(&two("[0,4]", "[0,4]"), 4, r#"the bytes of "b" overlap those of "a""#);
    assert_said(&two("[0,4]", "[8,12]"), 12, r#"the bytes 4 to 8 of the data, before "b", belong to no tensor"#);
    assert_said(&two("[4,8]", "[8,12]"), 12, r#"the bytes 0 to 4 of the data, before "a", belong to no tensor"#);
    assert_said(&two("[0,4]", "[4,3]"), 4, "its offsets are 4 and 3");
    assert_said(&two("[0,4]", "[4,12]"), 12, r#""b", F32 [1], takes 4 bytes, its offsets are 4 and 12"#);
    assert_said(&two("[0,4]", "[4,8]"), 4, "describes 8 bytes of data, the file has 4");
    assert_said("{}", 4, "describes 0 bytes of data, the file has 4");
}

#[test]
fn headers_of_another_form_are_refused() {
    let entry = |fields: &str| format!(r#"{{"x":{{{fields}}}}}"#);
    let good = r#""dtype":"U8","shape":[1],"data_offsets":[0,1]"#;
    assert!(from_bytes(&file(&entry(good), 1)).is_ok());
    assert!(from_bytes(&file(&(entry(good) + "  "), 1)).is_ok(), "spaces at the end are padding");
    assert_said(&(entry(good) + "{}"), 1, "trailing characters");
    assert_said(&(" ".to_string() + &entry(good)), 1, "does not begin with {");
    assert_said("[]", 0, "does not begin with {");
    assert_said("", 0, "does not begin with {");
    assert_said(&entry(r#""dtype":"U8","shape":[-1],"data_offsets":[0,1]"#), 1, r#""x": invalid value: integer `-1`"#);
    assert_said(&entry(r#""dtype":"U8","shape":[1.0],"data_offsets":[0,1]"#), 1, r#""x": invalid type"#);
    assert_said(&entry(r#""dtype":"U8","shape":1,"data_offsets":[0,1]"#), 1, r#""x": invalid type"#);
    assert_said(&entry(r#""dtype":"U8","shape":[1],"data_offsets":[-1,1]"#), 1, r#""x": invalid value"#);
    assert_said(&entry(r#""dtype":"U8","shape":[1],"data_offsets":[0]"#), 1, r#""x": invalid length"#);
    assert_said(&entry(r#""dtype":"U9","shape":[1],"data_offsets":[0,1]"#), 1, r#""x": unknown variant `U9`"#);
    assert_said(&entry(r#""dtype":"U8","shape":[1]"#), 1, r#""x": missing field `data_offsets`"#);
    assert_said(&entry(&(good.to_string() + r#","dtype":"I8""#)), 1, r#""x": duplicate field `dtype`"#);
    assert_said(r#"{"x":7}"#, 1, r#""x": invalid type"#);
    assert_said(r#"{"__metadata__":{"a":1}}"#, 0, r#""__metadata__": "a": invalid type"#);
    let ones = vec!["1"; 65].join(",");
    assert_said(&entry(&format!(r#""dtype":"U8","shape":[{ones}],"data_offsets":[0,1]"#)), 1, "has 65 dimensions");
    // Not UTF-8, and nested as deep as the header is long.
    let mut latin = file(&entry(good), 1);
    latin[10] = 0xe9;
    said_of(&latin);
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_said(&format!(r#"{{"x":{deep}}}"#), 1, r#"the header is wrong: "x": "#);
    assert_said(&entry(&format!(r#""dtype":"U8","shape":{deep},"data_offsets":[0,1]"#)), 1, r#""x": invalid type"#);
    // What an entry has beside its three fields is passed over, without recursion.
    assert!(from_bytes(&file(&entry(&format!(r#"{good},"more":{deep}"#)), 1)).is_ok());
    assert_said(&entry(&format!(r#"{good},"more":{}"#, "[".repeat(100_000))), 1, r#""x": "#);
}

#[test]
fn names_that_stand_twice_are_refused() {
    let entry = |from: usize| format!(r#""x":{{"dtype":"U8","shape":[1],"data_offsets":[{from},{}]}}"#, from + 1);
    assert_said(&format!("{{{},{}}}", entry(0), entry(1)), 2, r#"two tensors are named "x""#);
    // With the same offsets, too, where a map that keeps the last entry would see nothing wrong.
    assert_said(&format!("{{{},{}}}", entry(0), entry(0)), 1, r#"two tensors are named "x""#);
    assert_said(r#"{"__metadata__":{"a":"1","a":"1"}}"#, 0, r#""a" stands there twice"#);
    assert_said(r#"{"__metadata__":{},"__metadata__":{}}"#, 0, r#""__metadata__" stands there twice"#);

    let twice = [("a".to_string(), Tensor::scalar(1.0)), ("a".to_string(), Tensor::scalar(2.0))];
    assert!(refused(to_bytes(&twice, &[])).contains(r#"two tensors are named "a""#));
    let text = text(&[("k", "1"), ("k", "2")]);
    assert!(refused(to_bytes(&[], &text)).contains(r#"two entries of the metadata are named "k""#));
    assert!(refused(to_bytes(&[("__metadata__".into(), Tensor::scalar(1.0))], &[])).contains("no tensor can be named"));
}

#[test]
fn bools_are_zero_or_one() {
    let header = r#"{"x":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}}"#;
    let mut bytes = file(header, 3);
    assert_eq!(from_bytes(&bytes).unwrap().tensors[0].1.to_vec::<bool>(), [true; 3]);
    for bad in [2, 0x80, 0xff] {
        *bytes.last_mut().unwrap() = bad;
        assert!(said_of(&bytes).contains(r#""x" is BOOL, and a byte of it is neither 0 nor 1"#));
    }
}

/// The format's dtypes that have none here can be listed; the others in the file can be read.
#[test]
fn dtypes_that_do_not_exist_here_are_listed_and_not_read() {
    let foreign = [
        ("F4", 4),
        ("F6_E2M3", 6),
        ("F6_E3M2", 6),
        ("I8", 8),
        ("F8_E5M2", 8),
        ("F8_E4M3", 8),
        ("F8_E8M0", 8),
        ("F8_E4M3FNUZ", 8),
        ("F8_E5M2FNUZ", 8),
        ("I16", 16),
        ("U16", 16),
        ("U32", 32),
        ("C64", 64),
        ("U64", 64),
    ];
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.safetensors");
    for (dtype, bits) in foreign {
        let len = 8 * bits / 8;
        let header = format!(
            r#"{{"w":{{"dtype":"{dtype}","shape":[2,4],"data_offsets":[0,{len}]}},"b":{{"dtype":"U8","shape":[1],"data_offsets":[{len},{}]}}}}"#,
            len + 1
        );
        std::fs::write(&path, file(&header, len + 1)).unwrap();
        for reader in [Reader::open(&path).unwrap(), Reader::open_mapped(&path).unwrap()] {
            let info = reader.info("w").unwrap();
            assert_eq!((info.dtype(), info.dtype_name().as_str()), (None, dtype));
            assert_eq!((info.shape().to_vec(), info.numel(), info.bytes()), (vec![2, 4], 8, len as u64));
            assert_eq!(reader.tensor("b").unwrap().to_vec::<u8>(), [1]);
            let error = reader.tensor("w").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DType);
            let (message, path) = (refused::<()>(Err(error)), path.display());
            assert!(message.starts_with(&format!("{path}: safetensors: \"w\" is {dtype}, a dtype")), "{message}");
            assert!(reader.read_all().is_err());
        }
        assert!(from_bytes(&file(&header, len + 1)).is_err());
    }
    // Five elements of four bits fill no whole number of bytes.
    assert_said(r#"{"x":{"dtype":"F4","shape":[5],"data_offsets":[0,2]}}"#, 2, "its last byte is not full");
}

#[test]
fn what_is_no_file_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("x.safetensors");
    let error = load(&missing).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().starts_with(&missing.display().to_string()));
    let said = refused(load(directory.path()));
    assert!(said.contains("neither model.safetensors nor model.safetensors.index.json"), "{said}");
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    assert!(said_of(pointer).contains("git lfs pull"));
    #[cfg(unix)]
    assert!(refused(load("/dev/zero")).contains("/dev/zero: is not a regular file"));
}

#[test]
fn a_file_that_shrinks_while_it_is_open_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.safetensors");
    save(&path, &[("w".into(), Tensor::ones([100], DType::F32))], &[]).unwrap();
    let reader = Reader::open(&path).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(200).unwrap();
    let error = reader.tensor("w").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().starts_with(&path.display().to_string()));
    assert!(refused(reader.tensor("v")).contains(r#"there is no tensor "v" among the 1"#));
}
