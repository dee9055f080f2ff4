//! The bits of a result do not depend on the number of threads.

use tensor::{Attention, CrossEntropy, DType, Generator, Tensor, set_num_threads};

/// Everything here that is spread over threads, on operands large enough to be.
fn results() -> Vec<(&'static str, Tensor)> {
    let mut g = Generator::new(3);
    let mut rand = |shape: &[usize]| Tensor::randn_with(shape, DType::F32, &mut g);
    let (x, w, b, dy) = (rand(&[300, 700]), rand(&[450, 700]), rand(&[450]), rand(&[300, 700]));
    let batch = rand(&[9, 70, 80]);
    let (y, mean, rstd) = x.layer_norm(1, None, None, 1e-5);
    let [dx, _, _] = Tensor::layer_norm_backward(&dy, &x, &mean, &rstd, 1, None, [true, false, false]);
    let options = CrossEntropy::default();
    let target = Tensor::arange(0.0, 300.0, 1.0, DType::I64);
    let (loss, saved) = x.cross_entropy(&target, &options);
    let dlogits = Tensor::cross_entropy_backward(&Tensor::scalar(1f32), &x, &target, &saved, &options);
    let qkv = rand(&[2, 150, 3, 5, 24]).permute(&[2, 0, 3, 1, 4]);
    let (q, k, v) = (qkv.select(0, 0), qkv.select(0, 1), qkv.select(0, 2));
    let causal = Attention { is_causal: true, ..Default::default() };
    let (out, log_sums) = Tensor::attention(&q, &k, &v, &causal);
    let gradients = Tensor::attention_backward(&v, &q, &k, &v, &out, &log_sums, &causal, [true; 4]);
    let [dq, dk, dv, dmask] = gradients.map(|gradient| gradient.expect("asked for"));
    let (one, _) = Tensor::attention(&dy.narrow(1, 0, 40), &x.narrow(1, 0, 40), &x.narrow(1, 0, 40), &causal);
    let (image, dimage) = (rand(&[2, 6, 90, 110]), rand(&[2, 6, 90, 110]));
    let (groups, mean, rstd) = image.group_norm(3, None, None, 1e-5);
    let [dgroups, dgroups_weight, _] =
        Tensor::group_norm_backward(&dimage, &image, &mean, &rstd, 3, None, [true, true, false]);
    let training = tensor::BatchNorm { training: true, ..Default::default() };
    let channels = image.batch_norm(None, None, None, &training);
    let (mean, rstd) = (&channels.mean, &channels.rstd);
    let [dchannels, _, _] = Tensor::batch_norm_backward(&dimage, &image, mean, rstd, None, true, [true, false, false]);
    vec![
        ("linear", x.linear(&w, Some(&b))),
        ("weight gradient", x.t().matmul(&dy)),
        ("row", x.narrow(0, 0, 1).matmul(&w.t())),
        ("column", x.matmul(&w.select(0, 0))),
        ("batch", batch.matmul(&batch.transpose(1, 2))),
        ("softmax", x.softmax(-1)),
        ("softmax of columns", x.softmax(0)),
        ("softmax_backward", Tensor::softmax_backward(&x.softmax(-1), &dy, -1)),
        ("log_softmax", x.log_softmax(-1)),
        ("layer_norm", y),
        ("layer_norm_backward", dx.expect("asked for")),
        ("gelu", x.gelu()),
        ("gelu_tanh_backward", Tensor::gelu_tanh_backward(&x, &dy)),
        ("cross_entropy", loss),
        ("cross_entropy_backward", dlogits),
        ("attention", out),
        ("attention of one head", one),
        ("dq", dq),
        ("dk", dk),
        ("dv", dv),
        ("dmask", dmask),
        ("mse_loss", x.mse_loss(&dy, tensor::Reduction::Mean)),
        ("group_norm", groups),
        ("group_norm_backward", dgroups.expect("asked for")),
        ("group_norm_backward weight", dgroups_weight.expect("asked for")),
        ("batch_norm", channels.output),
        ("batch_norm_backward", dchannels.expect("asked for")),
        ("sum", x.sum()),
        ("sum of columns", x.sum_dim(0, false)),
    ]
}

#[test]
fn one_two_and_three_threads_agree_bit_for_bit() {
    set_num_threads(1);
    let alone = results();
    for threads in [2, 3] {
        set_num_threads(threads);
        for ((name, a), (_, b)) in alone.iter().zip(results()) {
            assert!(a.bit_eq(&b), "{name} with {threads} threads");
        }
    }
    set_num_threads(0);
}
