//! What RNN, LSTM and GRU share: layers and directions with their weights, and the walk over the steps of a sequence.
//!
//! Dimensions: `t` steps, `b` batch, `h` hidden. All steps stand below each other, `[rows, features]`, step by step; step
//! `i` has `sizes[i]` rows, which never grow: in a padded batch all are `b`, in a packed one the sequences that have ended
//! are missing. The input's part of a layer is one matrix product for all steps.

use autograd::Var;
use tensor::{DType, Tensor};

use crate::layers::printed;
use crate::utils::rnn::PackedSequence;
use crate::{Member, Parameter, Training, init};

/// One step of a network: the new state from the input's part of the gates and the state before.
pub(super) trait Step {
    /// The name of the layer, for errors.
    const NAME: &'static str;
    /// Rows of the weights for each hidden unit.
    const GATES: usize;
    /// The tensors of a state: the hidden one, and the cell's of an LSTM.
    const STATES: usize;
    /// Whether the bias of the hidden part can be added to the input's part beforehand.
    const JOINED_BIAS: bool;

    /// The state after a step.
    fn step(&self, gates: &Var, state: &[Var], weights: &Weights) -> Vec<Var>;
}

/// The parameters of one direction of one layer.
#[derive(Debug)]
pub(super) struct Weights {
    /// `[gates h, input]`.
    pub ih: Parameter,
    /// `[gates h, output]`.
    pub hh: Parameter,
    /// `[gates h]`, twice.
    pub biases: Option<[Parameter; 2]>,
    /// `[proj, h]`.
    pub hr: Option<Parameter>,
}

/// The options that all of them have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub input_size: usize,
    pub hidden_size: usize,
    pub num_layers: usize,
    pub bias: bool,
    pub batch_first: bool,
    pub dropout: f64,
    pub bidirectional: bool,
    pub proj_size: usize,
    pub dtype: DType,
}

#[derive(Debug)]
pub(super) struct Stack<S> {
    step: S,
    options: Options,
    /// Layer by layer, in each the forward direction and then the backward one.
    weights: Vec<Weights>,
    training: Training,
}

impl<S: Step> Stack<S> {
    #[track_caller]
    pub fn new(step: S, options: Options) -> Stack<S> {
        let Options { input_size, hidden_size, num_layers, dropout, bidirectional, proj_size, .. } = options;
        let name = S::NAME;
        assert!(
            input_size > 0 && hidden_size > 0 && num_layers > 0,
            "{name}: input_size {input_size}, hidden_size {hidden_size} and num_layers {num_layers} must be above 0"
        );
        assert!(
            (0.0..=1.0).contains(&dropout),
            "{name}: the probability of dropout is not between 0 and 1, p = {dropout}"
        );
        assert!(proj_size < hidden_size, "{name}: proj_size {proj_size} must be below hidden_size {hidden_size}");
        let directions = if bidirectional { 2 } else { 1 };
        let output = if proj_size > 0 { proj_size } else { hidden_size };
        let bound = 1.0 / (hidden_size as f64).sqrt();
        let draw = |shape: &[usize]| {
            let parameter = init::empty_parameter(shape.to_vec(), options.dtype);
            init::uniform_(&parameter, -bound, bound);
            parameter
        };
        let rows = S::GATES * hidden_size;
        let weights = (0..num_layers * directions).map(|i| {
            let input = if i < directions { input_size } else { output * directions };
            Weights {
                ih: draw(&[rows, input]),
                hh: draw(&[rows, output]),
                biases: options.bias.then(|| [draw(&[rows]), draw(&[rows])]),
                hr: (proj_size > 0).then(|| draw(&[proj_size, hidden_size])),
            }
        });
        Stack { step, options, weights: weights.collect(), training: Training::new() }
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    fn directions(&self) -> usize {
        if self.options.bidirectional { 2 } else { 1 }
    }

    /// The features of the hidden state.
    fn output_size(&self) -> usize {
        if self.options.proj_size > 0 { self.options.proj_size } else { self.options.hidden_size }
    }

    /// The outputs for a padded batch and the last states, `[layers directions, b, ..]` each.
    #[track_caller]
    pub fn forward(&self, input: &Var, state: &[&Var]) -> (Var, Vec<Var>) {
        let (name, features, shape) = (S::NAME, self.options.input_size, input.shape());
        let first = self.options.batch_first;
        if !(2..=3).contains(&shape.len()) || shape[shape.len() - 1] != features {
            let rule = if first { "[b, t, .. or [t, .." } else { "[t, b, .. or [t, .." }
                .replace("..", &format!("{features}]"));
            panic!("{name}: the input does not fit\n  input {shape}   rule {rule}");
        }
        let batched = shape.len() == 3;
        let x = match (batched, first) {
            (false, _) => input.unsqueeze(1),
            (true, true) => input.transpose(0, 1),
            (true, false) => input.clone(),
        };
        let (t, b) = (x.dim(0), x.dim(1));
        assert!(t > 0, "{name}: the sequence has no steps\n  input {shape}");
        self.check_states(state, batched.then_some(b), &shape);
        let state: Vec<Var> = state.iter().map(|s| if batched { (*s).clone() } else { s.unsqueeze(1) }).collect();
        let (out, last) = self.run(&x.reshape([t * b, features]), &vec![b; t], &state);
        let out = out.reshape([t, b, out.dim(1)]);
        let out = match (batched, first) {
            (false, _) => out.squeeze(1),
            (true, true) => out.transpose(0, 1),
            (true, false) => out,
        };
        let last = last.into_iter().map(|s| if batched { s } else { s.squeeze(1) }).collect();
        (out, last)
    }

    /// The outputs for a packed batch and the last states, in the order of the batch before it was sorted.
    #[track_caller]
    pub fn forward_packed(&self, input: &PackedSequence, state: &[&Var]) -> (PackedSequence, Vec<Var>) {
        let (name, features) = (S::NAME, self.options.input_size);
        let shape = input.data().shape();
        assert!(
            shape.len() == 2 && shape[1] == features,
            "{name}: the packed input does not fit\n  data {shape}   rule [.., {features}]"
        );
        self.check_states(state, Some(input.batch_sizes()[0]), &shape);
        let order = |states: Vec<Var>, indices: Option<&Tensor>| match indices {
            Some(indices) => states.iter().map(|state| state.index_select(1, indices)).collect(),
            None => states,
        };
        let state = order(state.iter().map(|state| (*state).clone()).collect(), input.sorted_indices());
        let (out, last) = self.run(input.data(), input.batch_sizes(), &state);
        (input.with_data(out), order(last, input.unsorted_indices()))
    }

    /// Refuses first states that do not fit a batch of `b`, or a single sequence. This comes before they are put in another
    /// order, which would take rows from a larger batch without a word.
    #[track_caller]
    fn check_states(&self, states: &[&Var], b: Option<usize>, input: &[usize]) {
        for (given, size) in states.iter().zip(self.state_sizes()) {
            let rule: Vec<usize> = [self.weights.len()].into_iter().chain(b).chain([size]).collect();
            assert!(
                given.shape() == rule[..],
                "{}: a state does not fit\n  state {}   rule {rule:?}   input {input:?}",
                S::NAME,
                given.shape()
            );
        }
    }

    /// All layers over all steps.
    fn run(&self, input: &Var, sizes: &[usize], state: &[Var]) -> (Var, Vec<Var>) {
        let (directions, b) = (self.directions(), sizes[0]);
        let count = self.weights.len();
        let states: Vec<Vec<Var>> = if state.is_empty() {
            let zeros = |size: usize| Var::new(Tensor::zeros([b, size], input.dtype()));
            let start: Vec<Var> = self.state_sizes().into_iter().map(zeros).collect();
            vec![start; count]
        } else {
            let all: Vec<Vec<Var>> = state.iter().map(|state| state.unbind(0)).collect();
            (0..count).map(|i| all.iter().map(|states| states[i].clone()).collect()).collect()
        };
        let mut last: Vec<Vec<Var>> = vec![Vec::new(); S::STATES];
        let mut x = input.clone();
        for (layer, starts) in states.chunks(directions).enumerate() {
            let mut outputs = Vec::new();
            for (direction, start) in starts.iter().enumerate() {
                let weights = &self.weights[layer * directions + direction];
                let (output, end) = self.run_direction(&x, sizes, start, weights, direction == 1);
                outputs.push(output);
                last.iter_mut().zip(end).for_each(|(all, state)| all.push(state));
            }
            x = if directions == 1 { outputs.remove(0) } else { Var::cat(&outputs, 1) };
            let dropout = self.options.dropout;
            if layer + 1 < self.options.num_layers && dropout > 0.0 && self.training.get() {
                x = x.dropout(dropout);
            }
        }
        (x, last.iter().map(|states| Var::stack(states, 0)).collect())
    }

    fn state_sizes(&self) -> Vec<usize> {
        [self.output_size(), self.options.hidden_size][..S::STATES].to_vec()
    }

    /// One direction of one layer. A sequence that ends leaves its state behind; backwards, it joins with its start.
    fn run_direction(
        &self,
        x: &Var,
        sizes: &[usize],
        start: &[Var],
        weights: &Weights,
        backwards: bool,
    ) -> (Var, Vec<Var>) {
        let bias = weights.biases.as_ref().map(|[ih, hh]| if S::JOINED_BIAS { &**ih + &**hh } else { Var::clone(ih) });
        let gates = x.linear(&weights.ih, bias.as_ref()).split(sizes.to_vec(), 0);
        let rows = |states: &[Var], from: usize, to: usize| -> Vec<Var> {
            if from == 0 && to == states[0].dim(0) {
                return states.to_vec();
            }
            states.iter().map(|state| state.narrow(0, from, to - from)).collect()
        };
        let joined = |above: &[Var], below: &[Var]| -> Vec<Var> {
            above.iter().zip(below).map(|(above, below)| Var::cat(&[above, below], 0)).collect()
        };
        let steps = sizes.len();
        let mut outputs = Vec::with_capacity(steps);
        let mut state: Vec<Var>;
        if backwards {
            state = rows(start, 0, sizes[steps - 1]);
            for i in (0..steps).rev() {
                let present = state[0].dim(0);
                if sizes[i] > present {
                    state = joined(&state, &rows(start, present, sizes[i]));
                }
                state = self.step.step(&gates[i], &state, weights);
                outputs.push(state[0].clone());
            }
            outputs.reverse();
        } else {
            state = start.to_vec();
            let mut ended: Vec<Vec<Var>> = Vec::new();
            for (gates, &size) in gates.iter().zip(sizes) {
                let present = state[0].dim(0);
                if size < present {
                    ended.push(rows(&state, size, present));
                    state = rows(&state, 0, size);
                }
                state = self.step.step(gates, &state, weights);
                outputs.push(state[0].clone());
            }
            // The shortest sequences ended first and stand last.
            state = ended.iter().rev().fold(state, |state, ended| joined(&state, ended));
        }
        (Var::cat(&outputs, 0), state)
    }

    pub fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, Member<'a>)) {
        for (i, weights) in self.weights.iter().enumerate() {
            let suffix = if i % self.directions() == 1 { "_reverse" } else { "" };
            let layer = i / self.directions();
            let mut hand = |name: &str, parameter: &'a Parameter| {
                each(&format!("{name}_l{layer}{suffix}"), Member::Parameter(parameter));
            };
            hand("weight_ih", &weights.ih);
            hand("weight_hh", &weights.hh);
            if let Some([ih, hh]) = &weights.biases {
                hand("bias_ih", ih);
                hand("bias_hh", hh);
            }
            if let Some(hr) = &weights.hr {
                hand("weight_hr", hr);
            }
        }
        each("training", Member::Training(&self.training));
    }

    pub fn repr(&self) -> String {
        let Options {
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, ..
        } = self.options;
        let mut text = format!("{input_size}, {hidden_size}");
        let mut add = |present: bool, name: &str, value: String| {
            if present {
                text += &format!(", {name}={value}");
            }
        };
        add(proj_size > 0, "proj_size", proj_size.to_string());
        add(num_layers != 1, "num_layers", num_layers.to_string());
        add(!bias, "bias", printed::flag(bias).to_owned());
        add(batch_first, "batch_first", printed::flag(batch_first).to_owned());
        add(dropout != 0.0, "dropout", printed::float(dropout));
        add(bidirectional, "bidirectional", printed::flag(bidirectional).to_owned());
        text
    }
}

/// The walk, the name and the printed form of a layer whose only field is a `Stack`.
macro_rules! stacked {
    ($layer:ident) => {
        impl $crate::Module for $layer {
            fn type_name(&self) -> &'static str {
                stringify!($layer)
            }

            fn visit<'a>(&'a self, each: &mut dyn FnMut(&str, $crate::Member<'a>)) {
                self.stack.visit(each);
            }

            fn extra_repr(&self) -> String {
                self.stack.repr()
            }
        }

        impl std::fmt::Display for $layer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::AsModule::as_module(self).fmt(f)
            }
        }

        impl $layer {
            /// The features of the input.
            pub fn input_size(&self) -> usize {
                self.stack.options().input_size
            }

            /// The features of the hidden state.
            pub fn hidden_size(&self) -> usize {
                self.stack.options().hidden_size
            }
        }
    };
}
pub(super) use stacked;
