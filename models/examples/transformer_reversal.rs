//! A transformer learns to reverse sequences: the encoder reads one, the decoder writes it backwards, symbol by symbol.
//!
//!     cargo run --release -p models --example transformer_reversal
//!     cargo run --release -p models --example transformer_reversal -- --epochs 10 --out reverse.safetensors

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use autograd::no_grad;
use clap::Parser;
use models::data::{DataLoader, DataLoaderOptions, VecDataset, random_split};
use models::progress::Progress;
use nn::prelude::*;
use nn::utils::{ClipOptions, clip_grad_norm_};
use optim::{AdamW, AdamWOptions, Optimizer, Scheduler, WarmupCosine};
use tensor::{Generator, Padding, Tensor};

/// The first numbers are for padding, for the start of a target and for its end; symbols follow.
const PAD: i64 = 0;
const START: i64 = 1;
const END: i64 = 2;
const SYMBOLS: usize = 10;
const VOCAB: usize = 3 + SYMBOLS;
/// The least and the greatest length of a sequence.
const LENGTHS: (usize, usize) = (3, 10);
const WIDTH: usize = 32;

/// Train a transformer to reverse sequences of symbols
#[derive(Parser)]
#[command(after_help = "Example:\n  cargo run --release -p models --example transformer_reversal -- --epochs 10 \
                        --out reverse.safetensors")]
struct Options {
    /// The checkpoint [default: a temporary file]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Times that every training sequence is seen
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: u64,
    /// Decides the sequences, the initial weights and the order
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The share of new sequences that must be reversed without a mistake
    #[arg(long, value_name = "X", default_value_t = 0.95)]
    accuracy: f64,
}

/// Sequences and the reversed ones with a start and an end, i64 `[b, s]` and `[b, t]`, padded.
type Batch = (Tensor, Tensor);

fn sequence(rng: &mut Generator) -> Vec<i64> {
    let length = LENGTHS.0 + rng.below(LENGTHS.1 - LENGTHS.0 + 1);
    (0..length).map(|_| 3 + rng.below(SYMBOLS) as i64).collect()
}

fn collate(samples: Vec<Vec<i64>>) -> Batch {
    let padded = |rows: Vec<Vec<i64>>| {
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let pad = |row: &Vec<i64>| {
            let after = (longest - row.len()) as isize;
            Tensor::from_slice(row, [row.len()]).pad(&[0, after], Padding::Constant(PAD as f64))
        };
        Tensor::stack(&rows.iter().map(pad).collect::<Vec<_>>(), 0)
    };
    let reversed = |row: &Vec<i64>| [START].into_iter().chain(row.iter().rev().copied()).chain([END]).collect();
    let targets = samples.iter().map(reversed).collect();
    (padded(samples), padded(targets))
}

/// Embeddings with learned positions around an encoder and a decoder.
#[derive(Module)]
struct Reverser {
    embedding: Embedding,
    positions: Embedding,
    transformer: Transformer,
    head: Linear,
}

impl Reverser {
    fn new() -> Reverser {
        let options = TransformerOptions {
            num_encoder_layers: 2,
            num_decoder_layers: 2,
            dim_feedforward: 4 * WIDTH,
            dropout: 0.0,
            batch_first: true,
            norm_first: true,
            ..Default::default()
        };
        Reverser {
            embedding: Embedding::new(VOCAB, WIDTH),
            positions: Embedding::new(LENGTHS.1 + 2, WIDTH),
            transformer: Transformer::with(WIDTH, 4, options),
            head: Linear::new(WIDTH, VOCAB),
        }
    }

    fn embed(&self, ids: &Tensor) -> Var {
        let places = Tensor::arange(0, ids.dim(1) as i64, 1, DType::I64);
        self.embedding.forward(ids) + self.positions.forward(&places)
    }

    /// What the encoder makes of the sequences `[b, s]`, and where they are padding.
    fn encode(&self, source: &Tensor) -> (Var, AttentionMasks) {
        let padding = AttentionMasks { key_padding_mask: Some(source.eq_scalar(PAD as f64)), ..AttentionMasks::none() };
        (self.transformer.encoder.forward(&self.embed(source), &padding), padding)
    }

    /// Logits `[b, t, vocab]` of the symbol after each of the target's `[b, t]`.
    fn decode(&self, target: &Tensor, memory: &(Var, AttentionMasks)) -> Var {
        let masks = DecoderMasks { tgt: AttentionMasks::causal(), memory: memory.1.clone() };
        self.head.forward(&self.transformer.decoder.forward(&self.embed(target), &memory.0, &masks))
    }

    /// The mean loss of a batch.
    fn loss(&self, (source, target): &Batch) -> Var {
        let t = target.dim(1);
        let (given, wanted) = (target.narrow(1, 0, t - 1), target.narrow(1, 1, t - 1));
        let logits = self.decode(&given, &self.encode(source));
        let ignore_padding = CrossEntropy { ignore_index: PAD, ..Default::default() };
        CrossEntropyLoss::with(ignore_padding).forward(&logits.transpose(1, 2), &wanted)
    }

    /// A start and the `length` likeliest symbols after it, one by one; what follows an end means nothing.
    fn write(&self, source: &Tensor, length: usize) -> Tensor {
        let memory = self.encode(source);
        let mut written = Tensor::full([source.dim(0), 1], START as f64, DType::I64);
        for _ in 0..length {
            let last = self.decode(&written, &memory).value().select(1, -1);
            written = Tensor::cat(&[written, last.argmax(-1, true)], 1);
        }
        written
    }
}

/// The loss, and the share of sequences that are reversed without a mistake.
fn evaluate(model: &Reverser, batches: impl IntoIterator<Item = Batch>) -> (f64, f64) {
    let training = model.is_training();
    model.eval();
    let (mut loss, mut right, mut count) = (0.0, 0.0, 0.0);
    no_grad(|| {
        for batch in batches {
            let (source, target) = &batch;
            let n = source.dim(0) as f64;
            loss += n * model.loss(&batch).item::<f64>();
            // What comes after the end does not count.
            let written = model.write(source, target.dim(1) - 1);
            let agrees = written.eq(target).logical_or(&target.eq_scalar(PAD as f64));
            right += agrees.all_dim(-1, false).sum().item::<f64>();
            count += n;
        }
    });
    model.set_training(training);
    (loss / count, right / count)
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    manual_seed(options.seed);
    let mut rng = Generator::new(options.seed);
    let data = VecDataset::new((0..8000).map(|_| sequence(&mut rng)).collect());
    let [train, validation, test] = random_split(data, [0.9, 0.05, 0.05], &mut rng);
    let loading =
        |batch_size, shuffle| DataLoaderOptions { batch_size, shuffle, seed: Some(options.seed), ..Default::default() };
    let train = DataLoader::with_collate(train, loading(64, true), collate);
    let validation = DataLoader::with_collate(validation, loading(200, false), collate);
    let test = DataLoader::with_collate(test, loading(200, false), collate);

    let model = Reverser::new();
    println!("{}", model.summary());
    let mut optimizer = AdamW::with(model.parameters(), AdamWOptions { lr: 3e-3, ..Default::default() });
    let steps = train.len() * options.epochs as usize;
    let mut schedule = WarmupCosine::new(&mut optimizer, steps / 10, steps, 1e-5);
    let mut progress = Progress::new();
    for epoch in 0..options.epochs {
        let mut sum = 0.0;
        for (i, batch) in train.epoch(epoch).enumerate() {
            let loss = model.loss(&batch);
            optimizer.zero_grad();
            loss.backward();
            clip_grad_norm_(&model.parameters(), 1.0, ClipOptions::default())?;
            optimizer.step();
            schedule.step(&mut optimizer);
            sum += loss.item::<f64>();
            let message = format!("epoch {}  loss {:.4}", epoch + 1, sum / (i + 1) as f64);
            progress.update(epoch as usize * train.len() + i + 1, steps, &message);
        }
        let (loss, right) = evaluate(&model, &validation);
        progress.line(&format!(
            "epoch {}/{}  train loss {:.4}  validation loss {loss:.4}  reversed {:6.2}%",
            epoch + 1,
            options.epochs,
            sum / train.len() as f64,
            100.0 * right
        ));
    }
    progress.finish();

    // What is tested is what the checkpoint holds: a new model that takes over the saved state.
    let temporary = tempfile::tempdir()?;
    let path = options.out.clone().unwrap_or(temporary.path().join("reverser.safetensors"));
    save_file(&model.state_dict(), &path)?;
    let loaded = Reverser::new();
    loaded.load_state_dict(&load_file(&path)?)?;
    let (loss, right) = evaluate(&loaded, &test);
    println!("test loss {loss:.4}  reversed {:.2}%", 100.0 * right);
    let example = Tensor::from([[3i64, 4, 5, 6, 7]]);
    println!("{:?} -> {:?}", example.to_vec::<i64>(), no_grad(|| loaded.write(&example, 6)).to_vec::<i64>());
    match right >= options.accuracy {
        true => Ok(()),
        false => {
            Err(format!("{right:.4} of the sequences are reversed, {} was to be reached", options.accuracy).into())
        }
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
