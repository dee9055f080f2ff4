//! What the examples on images share: options, images from IDX files, training, metrics and the checkpoint.

mod digits;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use autograd::no_grad;
use clap::Parser;
use models::data::{DataLoader, DataLoaderOptions, Dataset, TensorDataset, idx, random_split};
use models::progress::Progress;
use nn::prelude::*;
use optim::{AdamW, AdamWOptions, Optimizer, Scheduler, WarmupCosine};
use tensor::{DType, Generator, Tensor};

/// The files of MNIST, gzipped or not.
const FILES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Train a network on images in IDX files, the format of MNIST
#[derive(Debug, Parser)]
#[command(after_help = concat!(
    "Example:\n  cargo run --release -p models --example ",
    env!("CARGO_CRATE_NAME"),
    " -- --data mnist --epochs 3 --out mnist.safetensors"
))]
pub struct Options {
    /// A directory with train-images-idx3-ubyte and so on, gzipped or not [default: digits are drawn]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The checkpoint [default: a temporary file]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Times that every training image is seen
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: u64,
    /// Images per step
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    batch: usize,
    /// The largest learning rate
    #[arg(long, value_name = "X", default_value_t = 3e-3, value_parser = positive)]
    lr: f64,
    /// Threads that prepare images
    #[arg(long, value_name = "N", default_value_t = 1)]
    workers: usize,
    /// Decides the initial weights, the order of the images and how they are changed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The accuracy on the test images that must be reached [default: what the network reaches on drawn digits]
    #[arg(long, value_name = "X")]
    accuracy: Option<f64>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "must be a whole number of at least 1".to_string())
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|x: &f64| *x > 0.0 && x.is_finite());
    number.ok_or_else(|| "must be a positive number".to_string())
}

/// What differs between the examples.
pub struct Recipe {
    /// Makes the network.
    pub model: fn(&Images) -> Sequential,
    /// Changes a training image, f32 `[1, height, width]` in 0..1, at random.
    pub augment: fn(Tensor, &mut Generator) -> Tensor,
    /// The accuracy to reach.
    pub accuracy: f64,
}

/// Images u8 `[n, height, width]` with their classes i64 `[n]`, to train and to test with.
pub struct Images {
    train: TensorDataset<(Tensor, Tensor)>,
    test: TensorDataset<(Tensor, Tensor)>,
    /// Of an image, in pixels.
    pub height: usize,
    /// Of an image, in pixels.
    pub width: usize,
    /// The number of classes.
    pub classes: usize,
}

impl Images {
    /// Reads the four files of a directory.
    fn load(dir: &Path) -> Result<Images, Box<dyn Error>> {
        let read = |name: &str| {
            let plain = dir.join(name);
            if plain.exists() { idx::load(plain) } else { idx::load(dir.join(format!("{name}.gz"))) }
        };
        let [images, labels, test_images, test_labels] = FILES.map(read);
        let (images, labels, test_images, test_labels) = (images?, labels?, test_images?, test_labels?);
        let wrong = |what: String| format!("{}: {what}", dir.display());
        for (images, labels) in [(&images, &labels), (&test_images, &test_labels)] {
            let bytes = images.dtype() == DType::U8 && labels.dtype() == DType::U8;
            if !bytes || images.ndim() != 3 || labels.dims() != &images.dims()[..1] {
                let found =
                    format!("{} {:?} and {} {:?}", images.dtype(), images.dims(), labels.dtype(), labels.dims());
                return Err(wrong(format!("images and labels are {found}, not u8 [n, h, w] and u8 [n]")).into());
            }
            let (n, size) = (images.dim(0), &images.dims()[1..]);
            if n < 10 || size.iter().any(|&side| side < 4) || test_images.dims().get(1..) != Some(size) {
                let rule = "at least 10 of at least 4 x 4 pixels, the test images as large as the others";
                return Err(wrong(format!("the images are {:?}, not {rule}", images.dims())).into());
            }
        }
        let (height, width, classes) = (images.dim(1), images.dim(2), labels.max().item::<i64>() as usize + 1);
        if test_labels.max().item::<i64>() as usize >= classes {
            return Err(wrong("a class of the test images is missing in training".to_string()).into());
        }
        let pairs = |images, labels: Tensor| TensorDataset::new((images, labels.to_dtype(DType::I64)));
        let (train, test) = (pairs(images, labels), pairs(test_images, test_labels));
        Ok(Images { train, test, height, width, classes })
    }
}

/// Draws digits and writes them as MNIST's files.
fn draw(dir: &Path, seed: u64) -> models::Result<()> {
    let mut rng = Generator::new(seed);
    for (files, n) in [(&FILES[..2], 4000), (&FILES[2..], 1000)] {
        let (images, labels) = digits::draw(n, &mut rng);
        idx::save(dir.join(format!("{}.gz", files[0])), &images)?;
        idx::save(dir.join(format!("{}.gz", files[1])), &labels)?;
    }
    Ok(())
}

/// A mean loss and the share of images whose class was found.
#[derive(Default)]
struct Metrics {
    loss: f64,
    right: f64,
    images: f64,
}

impl Metrics {
    fn add(&mut self, logits: &Tensor, classes: &Tensor, loss: f64) {
        let n = classes.numel() as f64;
        self.loss += n * loss;
        self.right += logits.argmax(-1, false).eq(classes).sum().item::<f64>();
        self.images += n;
    }

    fn loss(&self) -> f64 {
        self.loss / self.images
    }

    fn accuracy(&self) -> f64 {
        self.right / self.images
    }
}

impl std::fmt::Display for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "loss {:.4} accuracy {:5.2}%", self.loss(), 100.0 * self.accuracy())
    }
}

/// The metrics of a network in evaluation mode.
fn evaluate<D>(model: &Sequential, loader: &DataLoader<D, (Tensor, Tensor)>) -> Metrics
where
    D: Dataset + 'static,
{
    let mut metrics = Metrics::default();
    model.eval();
    no_grad(|| {
        for (x, y) in loader {
            let logits = model.forward(&Var::new(x));
            let loss = CrossEntropyLoss::new().forward(&logits, &y);
            metrics.add(&logits.value(), &y, loss.item::<f64>());
        }
    });
    metrics
}

/// Bytes to f32 in 0..1, with a channel: `[h, w] -> [1, h, w]`.
fn pixels(image: &Tensor) -> Tensor {
    (image.to_dtype(DType::F32) / 255.0).unsqueeze(0)
}

/// Trains a network, saves it, loads it again, tests that; the result is the exit code of the example.
pub fn main(options: Options, recipe: Recipe) -> ExitCode {
    match run(&options, &recipe) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options, recipe: &Recipe) -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    if options.data.is_none() {
        draw(temporary.path(), 1)?;
    }
    let images = Images::load(options.data.as_deref().unwrap_or(temporary.path()))?;
    tensor::manual_seed(options.seed);
    let model = (recipe.model)(&images);
    println!("{model}\n{} parameters", model.num_parameters());

    // A tenth of the training images shows how well the network does on images that it does not learn.
    let [train, validation] = random_split(images.train.clone(), [0.9, 0.1], &mut Generator::new(options.seed));
    let augment = recipe.augment;
    let train = train.map(move |(image, class), rng| (augment(pixels(&image), rng), class));
    let as_it_is = |(image, class): (Tensor, Tensor), _: &mut Generator| (pixels(&image), class);
    let loading = |shuffle| DataLoaderOptions {
        batch_size: options.batch,
        shuffle,
        num_workers: options.workers,
        seed: Some(options.seed),
        ..Default::default()
    };
    let train = DataLoader::with(train, loading(true));
    let validation = DataLoader::with(validation.map(as_it_is), loading(false));
    let test = DataLoader::with(images.test.clone().map(as_it_is), loading(false));

    let mut optimizer = AdamW::with(model.parameters(), AdamWOptions { lr: options.lr, ..Default::default() });
    let steps = train.len() * options.epochs as usize;
    let mut schedule = WarmupCosine::new(&mut optimizer, steps / 10, steps, options.lr / 100.0);
    let loss_fn = CrossEntropyLoss::new();
    let mut progress = Progress::new();
    for epoch in 0..options.epochs {
        let mut metrics = Metrics::default();
        model.train();
        for (i, (x, y)) in train.epoch(epoch).enumerate() {
            let logits = model.forward(&Var::new(x));
            let loss = loss_fn.forward(&logits, &y);
            optimizer.zero_grad();
            loss.backward();
            optimizer.step();
            schedule.step(&mut optimizer);
            metrics.add(&logits.value(), &y, loss.item::<f64>());
            let done = epoch as usize * train.len() + i + 1;
            progress.update(done, steps, &format!("epoch {}  {metrics}", epoch + 1));
        }
        let validated = evaluate(&model, &validation);
        progress.line(&format!("epoch {}/{}  train {metrics}  validation {validated}", epoch + 1, options.epochs));
    }
    progress.finish();

    // What is tested is what the checkpoint holds: a new network that takes over the saved state.
    let path = options.out.clone().unwrap_or(temporary.path().join("images.safetensors"));
    save_file(&model.state_dict(), &path)?;
    let loaded = (recipe.model)(&images);
    loaded.load_state_dict(&load_file(&path)?)?;
    let tested = evaluate(&loaded, &test);
    println!("test {tested}");
    let wanted = options.accuracy.unwrap_or(recipe.accuracy);
    match tested.accuracy() >= wanted {
        true => Ok(()),
        false => Err(format!("the accuracy is {:.4}, {wanted} was to be reached", tested.accuracy()).into()),
    }
}
