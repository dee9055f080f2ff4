//! An LSTM learns to remember: somewhere in a sequence stands a mark, and the symbol after it is asked for at the end,
//! however long ago that was.
//!
//!     cargo run --release -p models --example lstm_sequence
//!     cargo run --release -p models --example lstm_sequence -- --epochs 8 --out remember.safetensors

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use autograd::no_grad;
use clap::Parser;
use models::data::{DataLoader, DataLoaderOptions, VecDataset, random_split};
use models::progress::Progress;
use nn::prelude::*;
use nn::utils::rnn::pack_padded_sequence;
use nn::utils::{ClipOptions, clip_grad_norm_};
use optim::{Adam, AdamOptions, OneCycleLR, Optimizer, Scheduler};
use tensor::{Generator, Padding, Tensor};

/// The symbols that may be asked for are 0 to 7; the next number is the mark.
const SYMBOLS: usize = 8;
const MARK: i64 = SYMBOLS as i64;
/// The least and the greatest length of a sequence.
const LENGTHS: (usize, usize) = (10, 30);

/// Train an LSTM to recall the symbol after a mark
#[derive(Parser)]
#[command(after_help = "Example:\n  cargo run --release -p models --example lstm_sequence -- --epochs 8 \
                        --out remember.safetensors")]
struct Options {
    /// The checkpoint [default: a temporary file]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Times that every training sequence is seen
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: u64,
    /// Decides the sequences, the initial weights and the order
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The accuracy on new sequences that must be reached
    #[arg(long, value_name = "X", default_value_t = 0.98)]
    accuracy: f64,
}

/// Sequences i64 `[b, t]` padded at the end, their lengths, and the symbol that each asks for, i64 `[b]`.
type Batch = (Tensor, Vec<usize>, Tensor);

/// Random symbols with one mark among them, and the symbol after it.
fn sequence(rng: &mut Generator) -> (Tensor, i64) {
    let length = LENGTHS.0 + rng.below(LENGTHS.1 - LENGTHS.0 + 1);
    let mut ids: Vec<i64> = (0..length).map(|_| rng.below(SYMBOLS) as i64).collect();
    let mark = rng.below(length - 1);
    ids[mark] = MARK;
    let answer = ids[mark + 1];
    (Tensor::from_vec(ids, [length]), answer)
}

fn collate(samples: Vec<(Tensor, i64)>) -> Batch {
    let lengths: Vec<usize> = samples.iter().map(|(ids, _)| ids.dim(0)).collect();
    let longest = lengths.iter().max().copied().unwrap_or(0);
    let padded = samples.iter().map(|(ids, _)| ids.pad(&[0, (longest - ids.dim(0)) as isize], Padding::Constant(0.0)));
    let answers: Vec<i64> = samples.iter().map(|(_, answer)| *answer).collect();
    (Tensor::stack(&padded.collect::<Vec<_>>(), 0), lengths, Tensor::from_slice(&answers, [answers.len()]))
}

/// An embedding, an LSTM, and a linear layer over the LSTM's last state.
#[derive(Module)]
struct Recall {
    embedding: Embedding,
    lstm: LSTM,
    head: Linear,
}

impl Recall {
    fn new() -> Recall {
        Recall {
            embedding: Embedding::new(SYMBOLS + 1, 16),
            lstm: LSTM::with(16, 64, LSTMOptions { batch_first: true, ..Default::default() }),
            head: Linear::new(64, SYMBOLS),
        }
    }

    /// Logits `[b, symbols]`. The sequences are packed: the state is that after each one's own last step.
    fn forward(&self, ids: &Tensor, lengths: &[usize]) -> Var {
        let packed = pack_padded_sequence(&self.embedding.forward(ids), lengths, true, false);
        let (_, (hidden, _)) = self.lstm.forward_packed(&packed, None);
        self.head.forward(&hidden.squeeze(0))
    }
}

/// A mean loss and the share of right answers.
#[derive(Default)]
struct Metrics {
    loss: f64,
    right: f64,
    count: f64,
}

impl Metrics {
    fn add(&mut self, logits: &Tensor, answers: &Tensor, loss: f64) {
        let n = answers.numel() as f64;
        self.loss += n * loss;
        self.right += logits.argmax(-1, false).eq(answers).sum().item::<f64>();
        self.count += n;
    }

    fn accuracy(&self) -> f64 {
        self.right / self.count
    }
}

impl std::fmt::Display for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "loss {:.4} accuracy {:6.2}%", self.loss / self.count, 100.0 * self.accuracy())
    }
}

fn evaluate(model: &Recall, batches: impl IntoIterator<Item = Batch>) -> Metrics {
    let mut metrics = Metrics::default();
    no_grad(|| {
        for (ids, lengths, answers) in batches {
            let logits = model.forward(&ids, &lengths);
            let loss = CrossEntropyLoss::new().forward(&logits, &answers);
            metrics.add(&logits.value(), &answers, loss.item::<f64>());
        }
    });
    metrics
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    manual_seed(options.seed);
    let mut rng = Generator::new(options.seed);
    let data = VecDataset::new((0..6000).map(|_| sequence(&mut rng)).collect());
    let [train, validation, test] = random_split(data, [0.8, 0.1, 0.1], &mut rng);
    let loading =
        |batch_size, shuffle| DataLoaderOptions { batch_size, shuffle, seed: Some(options.seed), ..Default::default() };
    let train = DataLoader::with_collate(train, loading(32, true), collate);
    let validation = DataLoader::with_collate(validation, loading(200, false), collate);
    let test = DataLoader::with_collate(test, loading(200, false), collate);

    let model = Recall::new();
    println!("{model}\n{} parameters", model.num_parameters());
    let mut optimizer = Adam::with(model.parameters(), AdamOptions::default());
    let steps = train.len() * options.epochs as usize;
    let mut schedule = OneCycleLR::new(&mut optimizer, 1e-2, steps);
    let loss_fn = CrossEntropyLoss::new();
    let mut progress = Progress::new();
    for epoch in 0..options.epochs {
        let mut metrics = Metrics::default();
        for (i, (ids, lengths, answers)) in train.epoch(epoch).enumerate() {
            let logits = model.forward(&ids, &lengths);
            let loss = loss_fn.forward(&logits, &answers);
            optimizer.zero_grad();
            loss.backward();
            clip_grad_norm_(&model.parameters(), 1.0, ClipOptions::default())?;
            optimizer.step();
            schedule.step(&mut optimizer);
            metrics.add(&logits.value(), &answers, loss.item::<f64>());
            progress.update(epoch as usize * train.len() + i + 1, steps, &format!("epoch {}  {metrics}", epoch + 1));
        }
        let validated = evaluate(&model, &validation);
        progress.line(&format!("epoch {}/{}  train {metrics}  validation {validated}", epoch + 1, options.epochs));
    }
    progress.finish();

    // What is tested is what the checkpoint holds: a new network that takes over the saved state.
    let temporary = tempfile::tempdir()?;
    let path = options.out.clone().unwrap_or(temporary.path().join("recall.safetensors"));
    save_file(&model.state_dict(), &path)?;
    let loaded = Recall::new();
    loaded.load_state_dict(&load_file(&path)?)?;
    let tested = evaluate(&loaded, &test);
    println!("test {tested}");
    match tested.accuracy() >= options.accuracy {
        true => Ok(()),
        false => {
            Err(format!("the accuracy is {:.4}, {} was to be reached", tested.accuracy(), options.accuracy).into())
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
