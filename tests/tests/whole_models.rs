//! Whole models, retyped from PyTorch line by line: they load the files that PyTorch saved, give its output, and train
//! along its trajectory; what is saved here loads there (`scripts/whole_models.py check`).

use std::path::PathBuf;

use nn::prelude::*;
use nn::utils::clip_grad_norm_;
use optim::{
    AdamW, AdamWOptions, ClipOptions, ExponentialLR, OneCycleLR, Optimizer, ParamGroup, RMSprop, RMSpropOptions, SGD,
    SGDOptions, Scheduler, StepLR,
};
use tests::{Fixture, assert_close};

const STEPS: usize = 20;

/// What PyTorch's script has as a class.
trait Whole: Module {
    fn output(&self, inputs: &[Tensor]) -> Var;
    fn loss(&self, inputs: &[Tensor]) -> Var;
    /// The optimizer, the schedule, and the norm that gradients are cut to.
    fn optimizer(&self) -> (Box<dyn Optimizer>, Box<dyn Scheduler>, Option<f64>);
}

#[derive(Module)]
struct Convnet {
    features: Sequential,
    classifier: Linear,
}

impl Convnet {
    fn new() -> Convnet {
        let no_bias = ConvOptions { padding: 1.into(), bias: false, ..Default::default() };
        let grouped = ConvOptions { groups: 2, ..Default::default() };
        Convnet {
            features: sequential![
                Conv2d::with(2, 4, 3, no_bias),
                BatchNorm2d::new(4),
                ReLU::new(),
                MaxPool2d::new(2),
                Conv2d::with(4, 6, 3, grouped),
                GroupNorm::new(3, 6),
                SiLU::new(),
                AdaptiveAvgPool2d::new(1),
                Flatten::new(),
            ],
            classifier: Linear::new(6, 3),
        }
    }
}

impl Forward for Convnet {
    fn forward(&self, x: &Var) -> Var {
        self.classifier.forward(&self.features.forward(x))
    }
}

impl Whole for Convnet {
    fn output(&self, inputs: &[Tensor]) -> Var {
        self.forward(&Var::new(inputs[0].clone()))
    }

    fn loss(&self, inputs: &[Tensor]) -> Var {
        let smooth = CrossEntropy { label_smoothing: 0.1, ..Default::default() };
        CrossEntropyLoss::with(smooth).forward(&self.output(inputs), &inputs[1])
    }

    fn optimizer(&self) -> (Box<dyn Optimizer>, Box<dyn Scheduler>, Option<f64>) {
        let options = SGDOptions { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 1e-3, ..Default::default() };
        let mut optimizer = SGD::with(self.parameters(), options);
        let schedule = StepLR::new(&mut optimizer, 7, 0.5);
        (Box::new(optimizer), Box::new(schedule), Some(1.0))
    }
}

#[derive(Module)]
struct Tagger {
    embedding: Embedding,
    lstm: LSTM,
    norm: LayerNorm,
    head: Linear,
}

impl Tagger {
    fn new() -> Tagger {
        let embedding = EmbeddingOptions { padding_idx: Some(0), ..Default::default() };
        let lstm = LSTMOptions { num_layers: 2, bidirectional: true, batch_first: true, ..Default::default() };
        Tagger {
            embedding: Embedding::with(11, 6, embedding),
            lstm: LSTM::with(6, 5, lstm),
            norm: LayerNorm::new(10),
            head: Linear::new(10, 4),
        }
    }
}

impl Whole for Tagger {
    fn output(&self, inputs: &[Tensor]) -> Var {
        let (hidden, _) = self.lstm.forward(&self.embedding.forward(&inputs[0]), None);
        self.head.forward(&self.norm.forward(&hidden))
    }

    fn loss(&self, inputs: &[Tensor]) -> Var {
        CrossEntropyLoss::new().forward(&self.output(inputs).transpose(1, 2), &inputs[1])
    }

    fn optimizer(&self) -> (Box<dyn Optimizer>, Box<dyn Scheduler>, Option<f64>) {
        let options = RMSpropOptions { lr: 1e-2, momentum: 0.5, centered: true, ..Default::default() };
        let mut optimizer = RMSprop::with(self.parameters(), options);
        let schedule = ExponentialLR::new(&mut optimizer, 0.95);
        (Box::new(optimizer), Box::new(schedule), None)
    }
}

#[derive(Module)]
struct Translator {
    embedding: Embedding,
    transformer: Transformer,
    head: Linear,
}

impl Translator {
    fn new() -> Translator {
        let options = TransformerOptions {
            num_encoder_layers: 1,
            num_decoder_layers: 2,
            dim_feedforward: 12,
            dropout: 0.0,
            activation: Activation::GELU,
            batch_first: true,
            norm_first: true,
            ..Default::default()
        };
        let embedding = Embedding::new(9, 8);
        let head = Linear::from_parameters(embedding.weight.clone(), None);
        Translator { embedding, transformer: Transformer::with(8, 2, options), head }
    }
}

impl Whole for Translator {
    fn output(&self, inputs: &[Tensor]) -> Var {
        let [source, target] = [0, 1].map(|i| self.embedding.forward(&inputs[i]));
        self.head.forward(&self.transformer.forward(&source, &target, &TransformerMasks::causal()))
    }

    fn loss(&self, inputs: &[Tensor]) -> Var {
        CrossEntropyLoss::new().forward(&self.output(inputs).flatten(0, 1), &inputs[2].flatten(0, -1))
    }

    fn optimizer(&self) -> (Box<dyn Optimizer>, Box<dyn Scheduler>, Option<f64>) {
        let (matrices, rest) = self.parameters().into_iter().partition(|p| p.ndim() >= 2);
        let group = |params, weight_decay| ParamGroup::new(params, AdamWOptions { weight_decay, ..Default::default() });
        let mut optimizer = AdamW::with_groups(vec![group(matrices, 0.1), group(rest, 0.0)]);
        let schedule = OneCycleLR::new(&mut optimizer, 1e-2, STEPS + 1);
        (Box::new(optimizer), Box::new(schedule), Some(0.5))
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/whole")
}

fn check(name: &str, model: impl Whole) {
    model.to_dtype(DType::F64);
    let saved = load_file(folder().join(format!("{name}.safetensors"))).unwrap();
    model.load_state_dict(&saved).unwrap_or_else(|e| panic!("{name}: {e}"));

    // The same weights, written here, are the file that PyTorch is known to load.
    let here = folder().join(format!("{name}.here.safetensors"));
    if std::env::var_os("GRADUS_WRITE_FIXTURES").is_some() {
        save_file(&model.state_dict(), &here).unwrap();
    }
    let written = tempfile::tempdir().unwrap();
    let again = written.path().join("again.safetensors");
    save_file(&model.state_dict(), &again).unwrap();
    let bytes = |path: &PathBuf| std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(
        bytes(&again) == bytes(&here),
        "{name}: what is written here has changed; check it with PyTorch and commit it"
    );

    let run = Fixture::load(&format!("whole/{name}.run"));
    let inputs: Vec<Tensor> = run.under("in.").into_iter().map(|(_, tensor)| tensor).collect();
    model.eval();
    assert_close(&format!("{name}: output"), &no_grad(|| model.output(&inputs)).value(), &run.tensor("out"), 1e-12);

    model.train();
    let (mut optimizer, mut schedule, clip) = model.optimizer();
    for (step, expected) in run.tensor("losses").to_vec::<f64>().into_iter().enumerate() {
        optimizer.zero_grad();
        let loss = model.loss(&inputs);
        loss.backward();
        if let Some(norm) = clip {
            clip_grad_norm_(&model.parameters(), norm, ClipOptions::default()).unwrap();
        }
        optimizer.step();
        schedule.step(&mut *optimizer);
        let loss = loss.item::<f64>();
        assert!(
            (loss - expected).abs() <= 1e-9 * expected,
            "{name}: the loss of step {step} is {loss}, not {expected}"
        );
    }
    let after = run.under("after.");
    let state = model.state_dict();
    assert_eq!(after.len(), state.len());
    for (key, expected) in after {
        assert_close(&format!("{name}: {key} after {STEPS} steps"), &state[&key], &expected, 1e-8);
    }
}

#[test]
fn a_convolutional_net_trains_as_in_pytorch() {
    check("convnet", Convnet::new());
}

#[test]
fn a_recurrent_net_trains_as_in_pytorch() {
    check("tagger", Tagger::new());
}

#[test]
fn a_transformer_with_a_tied_head_trains_as_in_pytorch() {
    check("translator", Translator::new());
}
