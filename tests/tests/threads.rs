//! The bits of a result do not depend on the number of threads: the same checkpoint bytes from 1, 2 and 3 of them.

use models::train::{Length, TrainOptions, train};
use models::{Gpt, GptConfig, TextDataset, Tokenizer, checkpoint};

#[test]
fn a_training_run_writes_the_same_bytes_with_one_two_and_three_threads() {
    // Large enough for every kernel to be spread over threads; with dropout for the parallel random numbers, and without
    // for fused attention, which dropout turns off.
    let text: String = (0..20_000u32).map(|i| char::from(b'a' + (i * i / 7 + i / 3) as u8 % 26)).collect();
    let tokenizer = Tokenizer::chars(&text).unwrap();
    let data = TextDataset::new(&text, &tokenizer, 64).unwrap();
    let run = |threads: usize, dropout: f64| {
        tensor::set_num_threads(threads);
        tensor::manual_seed(7);
        let sizes = GptConfig { layers: 2, heads: 4, dropout, ..GptConfig::new(tokenizer.vocab_size(), 64, 128) };
        let gpt = Gpt::new(sizes).unwrap();
        let options = TrainOptions {
            length: Length::Steps(4),
            batch: 12,
            warmup: 1,
            eval_every: 2,
            eval_batches: 1,
            ..Default::default()
        };
        train(&gpt, &data, &options, |_| {}).unwrap();
        let dir = tempfile::tempdir().unwrap();
        checkpoint::save(dir.path(), &gpt, &tokenizer).unwrap();
        std::fs::read(dir.path().join("model.safetensors")).unwrap()
    };
    for dropout in [0.0, 0.1] {
        let bytes = [1, 2, 3].map(|threads| run(threads, dropout));
        assert!(bytes[0].len() > 1_000_000);
        assert!(bytes[0] == bytes[1], "dropout {dropout}: 1 and 2 threads differ");
        assert!(bytes[0] == bytes[2], "dropout {dropout}: 1 and 3 threads differ");
    }
    tensor::set_num_threads(0);
}
