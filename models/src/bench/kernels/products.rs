//! Kernels that arithmetic limits: matrix products, convolution, attention.

use std::hint::black_box;

use clap::ValueEnum;
use tensor::{Attention, Conv, DType, Tensor};

use super::{Form, Kernel, Product, Work};
use crate::Preset;

/// Every size is divided by `by`.
pub(super) fn list(by: usize) -> Vec<Kernel> {
    let size = |n: usize| (n / by).max(1);
    let mut kernels: Vec<Kernel> = [512, 1024, 2048]
        .into_iter()
        .map(|n| matmul(format!("matmul {n}"), Product { m: size(n), k: size(n), n: size(n), form: Form::Nn }))
        .collect();
    for &preset in Preset::value_variants() {
        let sizes = preset.sizes();
        let (rows, c) = (size(sizes.batch * sizes.context), size(sizes.width));
        let head = size(preset.bench_vocab());
        for (layer, out, input) in
            [("qkv", 3 * c, c), ("proj", c, c), ("up", 4 * c, c), ("down", c, 4 * c), ("head", head, c)]
        {
            for (pass, product) in [
                ("forward", Product { m: rows, k: input, n: out, form: Form::Nt }),
                ("input", Product { m: rows, k: out, n: input, form: Form::Nn }),
                ("weight", Product { m: out, k: rows, n: input, form: Form::Tn }),
            ] {
                kernels.push(matmul(format!("matmul {preset} {layer} {pass}"), product));
            }
        }
    }
    kernels.extend(convolution("3x3 of 64 channels", [8, size(64), size(56)], size(64), 3, 1));
    kernels.extend(convolution("7x7 of an image", [8, 3, size(224)], size(64), 7, 2));
    for &preset in Preset::value_variants() {
        let s = preset.sizes();
        kernels.extend(attention(preset.name(), [size(s.batch), s.heads, size(s.context), s.width / s.heads]));
    }
    kernels.extend(attention("1024", [size(4), 12, size(1024), 64]));
    kernels
}

fn matmul(name: String, product: Product) -> Kernel {
    let Product { m, k, n, form } = product;
    let matrix = |rows: usize, columns: usize| Tensor::randn([rows, columns], DType::F32);
    let kernel = Kernel::new(name, Work::Flops(2.0 * m as f64 * k as f64 * n as f64), move || {
        let (a, b) = match form {
            Form::Nn => (matrix(m, k), matrix(k, n)),
            Form::Nt => (matrix(m, k), matrix(n, k)),
            Form::Tn => (matrix(k, m), matrix(k, n)),
        };
        move || {
            black_box(match form {
                Form::Nn => a.matmul(&b),
                Form::Nt => a.linear(&b, None),
                Form::Tn => a.t().matmul(&b),
            });
        }
    });
    Kernel { product: Some(product), ..kernel }
}

/// A square kernel over square images `[n, c, side, side]`, and its two gradients, each of which takes as much.
fn convolution(name: &str, [n, c, side]: [usize; 3], out: usize, kernel: usize, stride: usize) -> Vec<Kernel> {
    let options = Conv { stride: stride.into(), padding: (kernel / 2).into(), ..Default::default() };
    let x = move || Tensor::randn([n, c, side, side], DType::F32);
    let w = move || Tensor::randn([out, c, kernel, kernel], DType::F32);
    let to = (side + 2 * (kernel / 2) - kernel) / stride + 1;
    let dy = move || Tensor::randn([n, out, to, to], DType::F32);
    let work = Work::Flops(2.0 * (n * out * to * to) as f64 * (c * kernel * kernel) as f64);
    let name = |pass: &str| format!("conv2d {name} {pass}");
    let [forward, input, weight] = [options.clone(), options.clone(), options];
    vec![
        Kernel::new(name("forward"), work, move || {
            let (x, w, options) = (x(), w(), forward.clone());
            move || drop(black_box(x.conv2d(&w, None, &options)))
        }),
        Kernel::new(name("input"), work, move || {
            let (w, dy, options) = (w(), dy(), input.clone());
            move || drop(black_box(Tensor::conv2d_input(&[n, c, side, side], &w, &dy, &options)))
        }),
        Kernel::new(name("weight"), work, move || {
            let (x, dy, options) = (x(), dy(), weight.clone());
            move || drop(black_box(Tensor::conv2d_weight(&x, &[out, c, kernel, kernel], &dy, &options)))
        }),
    ]
}

/// Causal attention over `[b, h, t, d]`: two products of `t x t x d` per head forward and five backward (the scores once
/// more, and the gradients of values, weights, queries and keys), of which the mask leaves a half.
fn attention(name: &str, [b, h, t, d]: [usize; 4]) -> Vec<Kernel> {
    let product = (2 * b * h * t * t * d) as f64;
    let options = || Attention { is_causal: true, ..Default::default() };
    // Heads side by side, as a layer's output has them.
    let heads = move || Tensor::randn([b, t, h, d], DType::F32).transpose(1, 2);
    vec![
        Kernel::new(format!("attention {name} forward"), Work::Flops(product), move || {
            let (q, k, v, options) = (heads(), heads(), heads(), options());
            move || drop(black_box(Tensor::attention(&q, &k, &v, &options)))
        }),
        Kernel::new(format!("attention {name} backward"), Work::Flops(2.5 * product), move || {
            let (q, k, v, dout, options) = (heads(), heads(), heads(), heads(), options());
            let (out, log_sums) = Tensor::attention(&q, &k, &v, &options);
            let need = [true, true, true, false];
            move || {
                black_box(Tensor::attention_backward(&dout, &q, &k, &v, &out, &log_sums, &options, need));
            }
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flops(name: &str) -> f64 {
        let list = list(1);
        let kernel = list.iter().find(|kernel| kernel.name == name).unwrap_or_else(|| panic!("{name}"));
        match kernel.work {
            Work::Flops(flops) => flops,
            Work::Bytes(..) => panic!("{name} is limited by memory"),
        }
    }

    #[test]
    fn operations_are_counted() {
        assert_eq!(flops("matmul 1024"), 2.0 * 1024f64.powi(3));
        // 12 windows of 64 tokens through [384, 128].
        let qkv = 2.0 * 768.0 * 128.0 * 384.0;
        for pass in ["forward", "input", "weight"] {
            assert_eq!(flops(&format!("matmul nano-cpu qkv {pass}")), qkv, "{pass}");
            assert_eq!(flops(&format!("matmul gpt2 head {pass}")), 2.0 * 256.0 * 768.0 * 50257.0, "{pass}");
            // 8 images, 64 x 56 x 56 numbers each of 64 x 3 x 3 products; 64 x 112 x 112 of 3 x 7 x 7.
            let three = 2.0 * 8.0 * (64 * 56 * 56) as f64 * (64 * 9) as f64;
            assert_eq!(flops(&format!("conv2d 3x3 of 64 channels {pass}")), three, "{pass}");
            let seven = 2.0 * 8.0 * (64 * 112 * 112) as f64 * (3 * 49) as f64;
            assert_eq!(flops(&format!("conv2d 7x7 of an image {pass}")), seven, "{pass}");
        }
        // 48 heads of 64 queries and keys of 32 numbers; half of two products.
        assert_eq!(flops("attention nano-cpu forward"), 2.0 * 48.0 * 64.0 * 64.0 * 32.0);
        assert_eq!(flops("attention nano-cpu backward"), 5.0 * 48.0 * 64.0 * 64.0 * 32.0);
    }
}
