//! PyTorch's table of promotion.

use tensor::{DType, Tensor};

/// `python -c "import torch; ..torch.promote_types(a, b).."` of torch 2.15 for each pair, in this order.
const ORDER: [&str; 8] = ["bool", "u8", "i32", "i64", "f16", "bf16", "f32", "f64"];
const TABLE: [&str; 8] = [
    "bool u8   i32  i64  f16  bf16 f32  f64",
    "u8   u8   i32  i64  f16  bf16 f32  f64",
    "i32  i32  i32  i64  f16  bf16 f32  f64",
    "i64  i64  i64  i64  f16  bf16 f32  f64",
    "f16  f16  f16  f16  f16  f32  f32  f64",
    "bf16 bf16 bf16 bf16 f32  bf16 f32  f64",
    "f32  f32  f32  f32  f32  f32  f32  f64",
    "f64  f64  f64  f64  f64  f64  f64  f64",
];

fn named(name: &str) -> DType {
    use DType::*;
    [Bool, U8, I32, I64, F16, BF16, F32, F64].into_iter().find(|dtype| dtype.to_string() == name).expect("a dtype")
}

#[test]
fn two_dtypes_meet_where_pytorch_has_them_meet() {
    for (a, row) in ORDER.into_iter().zip(TABLE) {
        for (b, expected) in ORDER.into_iter().zip(row.split_whitespace()) {
            let (a, b, expected) = (named(a), named(b), named(expected));
            assert_eq!(a.promote(b), expected, "{a} with {b}");
            let (x, y) = (Tensor::ones([2], a), Tensor::ones([2], b));
            let float = expected.to_float();
            for (op, got, expected) in [
                ("mul", x.mul(&y), expected),
                ("add", x.add(&y), expected),
                ("maximum", x.maximum(&y), expected),
                ("div", x.div(&y), float),
                ("atan2", x.atan2(&y), float),
                ("where_", Tensor::where_(&Tensor::from([true, false]), &x, &y), expected),
                ("cat", Tensor::cat(&[x.clone(), y.clone()], 0), expected),
                ("eq", x.eq(&y), DType::Bool),
            ] {
                assert_eq!(got.dtype(), expected, "{op} of {a} and {b}");
                let ones = got.to_dtype(DType::F64).eq_scalar(1.0).all().item::<bool>();
                assert!(ones || matches!(op, "add" | "atan2"), "{op} of {a} and {b}");
            }
            if expected != DType::Bool {
                assert_eq!(x.matmul(&y).dtype(), expected, "matmul of {a} and {b}");
                assert_eq!(x.matmul(&y).item::<f64>(), 2.0, "matmul of {a} and {b}");
                assert_eq!(x.sub(&y).dtype(), expected, "sub of {a} and {b}");
            }
        }
    }
}

#[test]
fn a_number_does_not_promote() {
    for name in &ORDER[1..] {
        let x = Tensor::full([2], 2.0, named(name));
        for y in [&x + 1.0, &x - 1.0, &x * 2.0, 1.0 - &x, x.remainder_scalar(2.0), x.clamp(Some(1.0), None)] {
            assert_eq!(y.dtype(), x.dtype(), "{name}");
        }
        assert_eq!((&x / 2.0).dtype(), x.dtype().to_float(), "{name}");
    }
    // A number is not rounded to a half before it takes part.
    let x = Tensor::from([1000.0]).to_dtype(DType::F16);
    assert_eq!((&x * 1e-8).item::<f64>(), 1.0013580322265625e-05);
}
