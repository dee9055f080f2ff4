//! A training loop in a steady state: no memory from the system, none kept from step to step, no parameter copied.
//! The account is the whole process's, so this file holds one test.

use models::train::adamw;
use models::{Gpt, GptConfig, LanguageModel};
use nn::prelude::*;
use optim::{ClipOptions, Optimizer, clip_grad_norm_};
use tensor::memory;

#[test]
fn a_thousand_steps_need_no_more_memory_than_two() {
    manual_seed(1);
    // Dropout takes the plain path through attention, no dropout the fused one.
    for (threads, dropout) in [(1, 0.0), (1, 0.1), (0, 0.0), (0, 0.1)] {
        tensor::set_num_threads(threads);
        let gpt = Gpt::new(GptConfig { layers: 2, heads: 2, dropout, ..GptConfig::new(29, 16, 32) }).unwrap();
        let mut optimizer = adamw(&gpt, 1e-3, (0.9, 0.95), 0.1);
        let parameters = gpt.parameters();
        let mut accounts = Vec::new();
        for _ in 0..1000 {
            let tokens = Tensor::randint(0, 29, [4, 17]);
            let (x, y) = (tokens.narrow(1, 0, 16), tokens.narrow(1, 1, 16));
            let loss = gpt.loss(&x, &y);
            optimizer.zero_grad();
            loss.backward();
            clip_grad_norm_(&parameters, 1.0, ClipOptions::default()).unwrap();
            optimizer.step();
            drop((tokens, x, y, loss));
            accounts.push(memory::stats());
        }
        let (steady, last) = (accounts[1], accounts[999]);
        for (step, account) in accounts.iter().enumerate().skip(1) {
            assert_eq!(account.live_bytes, steady.live_bytes, "dropout {dropout}, step {}", step + 1);
            assert_eq!(account.live_buffers, steady.live_buffers, "dropout {dropout}, step {}", step + 1);
        }
        assert_eq!(last.copies_on_write, 0, "a training step copies no shared tensor");
        let fresh = last.system_allocations - accounts[99].system_allocations;
        // Which thread does a block is chance: at any step a worker may need a buffer of a class for the first time, which
        // it then keeps. One thread needs none, and a buffer lost in each step would make 900.
        assert!(fresh <= if threads == 1 { 0 } else { 16 }, "{fresh} buffers come from the system in a steady state");
    }
    let last = memory::stats();
    memory::trim();
    assert!(memory::stats().pooled_bytes < last.pooled_bytes);
}
