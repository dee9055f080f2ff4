//! Quantising lets go of the floats. In a process of its own, whose account of memory nobody else changes.

use nn::prelude::*;
use nn::quantize::{Precision, QuantizeOptions, quantize};
use tensor::memory;

#[test]
fn live_memory_falls_to_a_quarter_and_a_seventh() {
    for (precision, parts) in [(Precision::Int8, 3.9..4.0), (Precision::INT4, 7.0..7.2)] {
        let empty = memory::stats().live_bytes;
        let model = sequential![Linear::new(512, 2048), GELU::new(), Linear::new(2048, 512)];
        let before = memory::stats().live_bytes - empty;
        quantize(&model, &QuantizeOptions { precision, ..Default::default() }).unwrap();
        let after = memory::stats().live_bytes - empty;
        // The biases stay: 2560 numbers of f32, and a little for small buffers.
        let weights = (after - 4 * 2560) as f64;
        let ratio = (4 * 2 * 512 * 2048) as f64 / weights;
        assert!(parts.start - 0.1 < ratio && ratio < parts.end, "{precision}: {before} bytes to {after}, {ratio}");
        let x = Var::new(Tensor::ones([1, 512], DType::F32));
        assert_eq!(no_grad(|| model.forward(&x)).value().dims(), [1, 512]);
        // Nothing of the floats comes back with a product.
        assert!(memory::stats().live_bytes - empty < after + 64 * 1024);
    }
}
