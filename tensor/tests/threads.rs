//! The bits of a result do not depend on the number of threads.

use tensor::{
    Attention, AvgPool, Conv, CrossEntropy, DType, Generator, Interpolate, InterpolateMode, MaxPool, Reduction,
};
use tensor::{Tensor, set_num_threads};

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
    let mut all = shaped(&image, &x, &batch);
    all.extend(vec![
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
    ]);
    all
}

/// What reads windows, lines, indices and matrices.
fn shaped(image: &Tensor, x: &Tensor, batch: &Tensor) -> Vec<(&'static str, Tensor)> {
    let mut g = Generator::new(4);
    let mut rand = |shape: &[usize]| Tensor::randn_with(shape, DType::F32, &mut g);
    let (wide, narrow, deep) = (rand(&[20, 6, 3, 3]), rand(&[3, 6, 5, 5]), rand(&[6, 1, 3, 3]));
    let strided = Conv { stride: 2.into(), padding: 1.into(), ..Default::default() };
    let grouped = Conv { groups: 6, ..strided.clone() };
    let y = image.conv2d(&wide, None, &strided);
    let depthwise = image.conv2d(&deep, None, &grouped);
    let (largest, places) = image.max_pool2d_with_indices(3, &MaxPool::default());
    let average = AvgPool { padding: 1.into(), ..Default::default() };
    let means = image.avg_pool2d(3, &average);
    let linear = Interpolate {
        size: Some(vec![131, 77]),
        mode: InterpolateMode::Linear,
        align_corners: true,
        ..Default::default()
    };
    let resized = image.interpolate(&linear);
    let ids = Tensor::arange(0, 300, 1, DType::I64) * 7.0;
    let ids = ids.remainder_scalar(50.0);
    let shaped = vec![
        ("conv2d, narrow", image.conv2d(&narrow, None, &Conv::default())),
        ("conv2d_input", Tensor::conv2d_input(image.dims(), &wide, &y, &strided)),
        ("conv2d_weight", Tensor::conv2d_weight(image, wide.dims(), &y, &strided)),
        ("depthwise conv2d_input", Tensor::conv2d_input(image.dims(), &deep, &depthwise, &grouped)),
        ("depthwise conv2d_weight", Tensor::conv2d_weight(image, deep.dims(), &depthwise, &grouped)),
        ("conv2d", y),
        ("depthwise conv2d", depthwise),
        ("max_pool_backward", Tensor::max_pool_backward(&largest, &places, image.dims(), 2)),
        ("max_pool2d", largest),
        ("avg_pool2d_backward", Tensor::avg_pool2d_backward(&means, image.dims(), 3, &average)),
        ("avg_pool2d", means),
        ("adaptive_avg_pool2d", image.adaptive_avg_pool2d([7, 5])),
        ("interpolate_backward", Tensor::interpolate_backward(&resized, image.dims(), &linear)),
        ("interpolate", resized),
        ("cumsum", x.cumsum(0)),
        ("logcumsumexp", x.logcumsumexp(1)),
        ("linear_recurrence", Tensor::linear_recurrence(&(x * 0.1), x, 1)),
        ("sort", x.sort(0, true).1),
        ("median", x.median_dim(1, false).0),
        ("unique", (x * 10.0).round().unique(None).counts),
        ("std", x.std_dim(0, 1.0, false)),
        ("var of all", x.var()),
        ("norm", x.vector_norm(3.0, 1, false)),
        ("prod", (x * 0.01 + 1.0).prod()),
        ("logsumexp", x.logsumexp(0, false)),
        ("index_add", Tensor::zeros([50, 700], DType::F32).index_add(0, &ids, x)),
        ("scatter_add", Tensor::zeros([300, 50], DType::F32).scatter_add(1, &ids.unsqueeze(0).expand([300, 300]), x)),
        ("einsum", Tensor::einsum("bij,bkj->ik", &[batch, batch])),
        ("huber_loss", x.huber_loss(&x.flip(&[0]), Reduction::Sum, 1.0)),
        ("dot", x.ravel().dot(&x.flip(&[1]).ravel())),
        ("rms_norm", x.rms_norm(1, None, None).0),
    ];
    #[cfg(feature = "linalg")]
    let shaped = {
        let square = batch.matmul(&batch.transpose(1, 2)) + Tensor::eye(70, DType::F32);
        let mut shaped = shaped;
        shaped.extend([
            ("solve", square.solve(batch, true)),
            ("det", (&square * 0.01).det()),
            ("cholesky", square.cholesky(false)),
            ("svd", batch.svd(false).0),
            ("eigh", square.eigvalsh(tensor::Triangle::Lower)),
            ("inv of one", x.narrow(1, 0, 300).inv()),
        ]);
        shaped
    };
    shaped
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
