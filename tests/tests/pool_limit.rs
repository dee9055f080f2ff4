//! The pool keeps no more than was ever live at once, whatever sizes come and go.
//! The account is the whole process's, so this file holds one test.

use tensor::{DType, Tensor, memory};

#[test]
fn buffers_of_many_sizes_do_not_add_up() {
    const LIVE: usize = 96 << 20;
    // Sizes of which many share a region, and larger ones.
    for size in [64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 3072] {
        let size = size << 10;
        let tensors: Vec<Tensor> = (0..LIVE / size).map(|_| Tensor::zeros([size], DType::U8)).collect();
        drop(tensors);
        let stats = memory::stats();
        assert!(stats.peak_live_bytes < 2 * LIVE, "{stats:?}");
        assert!(stats.pooled_bytes <= stats.peak_live_bytes + LIVE / 8, "{size}: {stats:?}");
    }
}
