//! Products with weights in few bits do not depend on the number of threads. In a process of its own, which may set it.

use tensor::{DType, Generator, Precision, QuantizedMatrix, Tensor, set_num_threads};

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let mut g = Generator::new(1);
    let w = Tensor::randn_with([700, 515], DType::F32, &mut g);
    for precision in [Precision::Int8, Precision::INT4, Precision::Int4 { group: 64 }] {
        for m in [1, 3, 8, 9, 100] {
            let x = Tensor::randn_with([m, 515], DType::F32, &mut g);
            let run = |threads| {
                set_num_threads(threads);
                let q = QuantizedMatrix::quantize(&w, precision).unwrap();
                (q.linear(&x, None), x.linear(&w.to_dtype(DType::BF16), None), q.dequantize())
            };
            let (one, four) = (run(1), run(4));
            assert!(one.0.bit_eq(&four.0) && one.1.bit_eq(&four.1) && one.2.bit_eq(&four.2), "{precision} {m}");
        }
    }
}
