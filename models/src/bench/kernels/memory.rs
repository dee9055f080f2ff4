//! Kernels that memory limits.

use std::hint::black_box;

use nn::prelude::*;
use nn::utils::get_total_norm;
use optim::{AdamW, AdamWOptions, Optimizer};
use tensor::limits::Stream;
use tensor::{CrossEntropy, DType, Generator, Precision, QuantizedMatrix, Tensor};

use super::{Kernel, Work};
use crate::Preset;

/// Columns of the softmax: the keys of a long context.
const KEYS: usize = 1024;

/// Arrays of `bytes`, or of the nearest whole number of rows below.
pub(super) fn list(bytes: usize) -> Vec<Kernel> {
    let n = bytes / size_of::<f32>();
    let (c, vocab) = (Preset::Gpt2.sizes().width, Preset::Gpt2.bench_vocab());
    let mut kernels = element_wise(n);
    kernels.extend(normalisations((n / c).max(1), c));
    kernels.extend(softmax((n / KEYS).max(1)));
    kernels.extend(cross_entropy((n / vocab).max(1), vocab));
    kernels.extend(embedding((n / c).max(1), vocab.min(n / c).max(1), c));
    kernels.extend(parameters(n));
    kernels.extend(matrix_vector(bytes, 4 * c, c));
    kernels
}

/// The bytes of `arrays` arrays of `n` numbers.
fn arrays(arrays: usize, n: usize, stream: Stream) -> Work {
    Work::Bytes((arrays * n * size_of::<f32>()) as f64, stream)
}

/// A matrix of the same random row again and again, made at the speed of memory.
fn rows(rows: usize, columns: usize) -> Tensor {
    Tensor::randn([1, columns], DType::F32).expand([rows, columns]).contiguous()
}

fn element_wise(n: usize) -> Vec<Kernel> {
    let array = move || rows(n.div_ceil(4096), 4096).reshape([-1]).narrow(0, 0, n);
    vec![
        Kernel::new("sum", arrays(1, n, Stream::Read), move || {
            let x = array();
            move || drop(black_box(x.sum()))
        }),
        Kernel::new("add", arrays(3, n, Stream::Triad), move || {
            let (x, y) = (array(), array());
            move || drop(black_box(&x + &y))
        }),
        Kernel::new("gelu forward", arrays(2, n, Stream::Copy), move || {
            let x = array();
            move || drop(black_box(x.gelu_tanh()))
        }),
        Kernel::new("gelu backward", arrays(3, n, Stream::Triad), move || {
            let (x, dy) = (array(), array());
            move || drop(black_box(Tensor::gelu_tanh_backward(&x, &dy)))
        }),
        // Its backward pass is the same call on the gradient.
        Kernel::new("dropout", arrays(2, n, Stream::Copy), move || {
            let (x, key) = (array(), Generator::new(0).next_key());
            move || drop(black_box(x.dropout(0.1, key)))
        }),
    ]
}

fn normalisations(n: usize, c: usize) -> Vec<Kernel> {
    let forward = arrays(2, n * c, Stream::Copy);
    let backward = arrays(3, n * c, Stream::Triad);
    let vector = move || Tensor::ones([c], DType::F32);
    vec![
        Kernel::new("layer norm forward", forward, move || {
            let (x, w, b) = (rows(n, c), vector(), vector());
            move || drop(black_box(x.layer_norm(1, Some(&w), Some(&b), 1e-5)))
        }),
        Kernel::new("layer norm backward", backward, move || {
            let (x, dy, w) = (rows(n, c), rows(n, c), vector());
            let (_, mean, rstd) = x.layer_norm(1, Some(&w), None, 1e-5);
            move || drop(black_box(Tensor::layer_norm_backward(&dy, &x, &mean, &rstd, 1, Some(&w), [true; 3])))
        }),
        Kernel::new("rms norm forward", forward, move || {
            let (x, w) = (rows(n, c), vector());
            move || drop(black_box(x.rms_norm(1, Some(&w), None)))
        }),
        Kernel::new("rms norm backward", backward, move || {
            let (x, dy, w) = (rows(n, c), rows(n, c), vector());
            let (_, rstd) = x.rms_norm(1, Some(&w), None);
            move || drop(black_box(Tensor::rms_norm_backward(&dy, &x, &rstd, 1, Some(&w), [true; 2])))
        }),
        // The gradient of a layer's bias.
        Kernel::new("sum of rows", arrays(1, n * c, Stream::Read), move || {
            let dy = rows(n, c);
            move || drop(black_box(dy.sum_dim(0, false)))
        }),
    ]
}

fn softmax(n: usize) -> Vec<Kernel> {
    vec![
        Kernel::new("softmax forward", arrays(2, n * KEYS, Stream::Copy), move || {
            let x = rows(n, KEYS);
            move || drop(black_box(x.softmax(-1)))
        }),
        Kernel::new("softmax backward", arrays(3, n * KEYS, Stream::Triad), move || {
            let (y, dy) = (rows(n, KEYS).softmax(-1), rows(n, KEYS));
            move || drop(black_box(Tensor::softmax_backward(&y, &dy, -1)))
        }),
    ]
}

fn cross_entropy(n: usize, vocab: usize) -> Vec<Kernel> {
    let operands = move || (rows(n, vocab), Tensor::randint(0, vocab as i64, [n]), CrossEntropy::default());
    vec![
        Kernel::new("cross-entropy forward", arrays(1, n * vocab, Stream::Read), move || {
            let (logits, target, options) = operands();
            move || drop(black_box(logits.cross_entropy(&target, &options)))
        }),
        Kernel::new("cross-entropy backward", arrays(2, n * vocab, Stream::Copy), move || {
            let (logits, target, options) = operands();
            let (loss, saved) = logits.cross_entropy(&target, &options);
            let dloss = loss.full_like(1.0);
            move || drop(black_box(Tensor::cross_entropy_backward(&dloss, &logits, &target, &saved, &options)))
        }),
    ]
}

/// Random rows of a table.
fn embedding(n: usize, vocab: usize, c: usize) -> Vec<Kernel> {
    let ids = move || Tensor::randint(0, vocab as i64, [n]);
    // Backward: the gradients of the rows are read, that of the table is written.
    let backward = Work::Bytes(((n + vocab) * c * size_of::<f32>()) as f64, Stream::Copy);
    vec![
        Kernel::new("embedding forward", arrays(2, n * c, Stream::Copy), move || {
            let (table, ids) = (rows(vocab, c), ids());
            move || drop(black_box(table.embedding(&ids)))
        }),
        Kernel::new("embedding backward", backward, move || {
            let (dy, ids) = (rows(n, c), ids());
            move || drop(black_box(Tensor::embedding_backward(&dy, &ids, vocab)))
        }),
    ]
}

/// What is done to all parameters after a backward pass.
fn parameters(n: usize) -> Vec<Kernel> {
    let parameter = move || {
        let parameter = Parameter::new(rows(n.div_ceil(4096), 4096).reshape([-1]).narrow(0, 0, n).contiguous());
        parameter.set_grad(Some(Var::new(parameter.value().full_like(1e-3))));
        vec![parameter]
    };
    vec![
        Kernel::new("gradient norm", arrays(1, n, Stream::Read), move || {
            let parameters = parameter();
            move || _ = black_box(get_total_norm(&parameters, 2.0))
        }),
        // The parameter and two averages are changed, the gradient is read.
        Kernel::new("adamw", arrays(7, n, Stream::Update), move || {
            let mut optimizer = AdamW::with(parameter(), AdamWOptions::default());
            move || optimizer.step()
        }),
    ]
}

/// One row times so many matrices that no cache holds them, as a model has when it writes a token.
fn matrix_vector(bytes: usize, out: usize, c: usize) -> Vec<Kernel> {
    let vector = move || Tensor::randn([1, c], DType::F32);
    let matrix = move || Tensor::randn([out, c], DType::F32);
    let floats = |dtype: DType| {
        let each = out * c * dtype.size_in_bytes();
        let count = (bytes / each).max(1);
        let work = Work::Bytes((count * each) as f64, Stream::Read);
        Kernel::new(format!("matrix-vector {dtype}"), work, move || {
            let (x, w) = (vector(), matrix());
            // Adding 0 makes an array of its own of each.
            let matrices: Vec<Tensor> = (0..count).map(|_| w.add_scalar(0.0).to_dtype(dtype)).collect();
            move || matrices.iter().for_each(|w| drop(black_box(x.linear(w, None))))
        })
    };
    let few_bits = |name: &str, precision: Precision| {
        let quantised = move |w: &Tensor| QuantizedMatrix::quantize(w, precision).expect("finite numbers");
        let each = out * quantised(&Tensor::zeros([1, c], DType::F32)).nbytes();
        let count = (bytes / each).max(1);
        let work = Work::Bytes((count * each) as f64, Stream::Read);
        Kernel::new(format!("matrix-vector {name}"), work, move || {
            let (x, w) = (vector(), matrix());
            let matrices: Vec<QuantizedMatrix> = (0..count).map(|_| quantised(&w)).collect();
            move || matrices.iter().for_each(|w| drop(black_box(w.linear(&x, None))))
        })
    };
    vec![floats(DType::F32), floats(DType::BF16), few_bits("int8", Precision::Int8), few_bits("int4", Precision::INT4)]
}
