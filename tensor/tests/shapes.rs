//! Corner values of shapes, order and creation, as PyTorch 2.15 gives them.

use tensor::{DType, Ellipsis, NewAxis, Padding, ScatterReduce, Tensor, slice};

const NAN: f64 = f64::NAN;

fn ids<const N: usize>(ids: [i64; N]) -> Tensor {
    Tensor::from(ids)
}

fn nothing(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F64)
}

#[test]
fn ranges_of_every_kind() {
    let x = Tensor::arange(0, 6, 1, DType::I64);
    let read = |t: Tensor| t.to_vec::<i64>();
    assert_eq!(read(x.i(1..3)), [1, 2]);
    assert_eq!(read(x.i(4..)), [4, 5]);
    assert_eq!(read(x.i(..-4)), [0, 1]);
    assert_eq!(read(x.i(1..=2)), [1, 2]);
    let (two, last) = (2, -1);
    assert_eq!(read(x.i(3..=last)), [3, 4, 5]);
    assert_eq!(read(x.i(..=-2)), [0, 1, 2, 3, 4]);
    assert_eq!(read(x.i(slice(.., 4))), [0, 4]);
    assert_eq!(x.i(5..two).shape(), &[0]);
    assert_eq!(read(x.i(-99..99)), [0, 1, 2, 3, 4, 5]);
    let n = x.numel();
    assert_eq!(x.i(n - 1).item::<i64>(), 5);
    assert_eq!(x.i((NewAxis, Ellipsis, NewAxis)).shape(), &[1, 6, 1]);
    assert_eq!(x.i(()).shape(), &[6]);
    assert_eq!(x.i((.., true)).shape(), &[6, 1]);
    assert_eq!(Tensor::scalar(3i64).i(Tensor::scalar(false)).shape(), &[0]);
    // Bytes are a mask, other integers indices.
    assert_eq!(read(x.i(Tensor::from([1u8, 0, 0, 0, 0, 1]))), [0, 5]);
    assert_eq!(read(x.i(Tensor::from([1i32, 0]))), [1, 0]);
}

#[test]
fn parts_of_nothing() {
    let shapes = |parts: Vec<Tensor>| parts.iter().map(|t| t.shape().to_vec()).collect::<Vec<_>>();
    assert_eq!(shapes(nothing(&[0, 3]).chunk(3, 0)), vec![vec![0, 3]; 3]);
    assert_eq!(shapes(nothing(&[0]).split(0, 0)), [[0]]);
    assert_eq!(shapes(nothing(&[7]).tensor_split(3, 0)), [[3], [2], [2]]);
    assert_eq!(shapes(nothing(&[7]).tensor_split([2, 1, 9, -1], 0)), [[2], [0], [6], [0], [1]]);
    assert_eq!(nothing(&[3]).unfold(0, 0, 1).shape(), &[4, 0]);
    assert_eq!(Tensor::cat(&[nothing(&[0]), nothing(&[2, 3])], 1).shape(), &[2, 3]);
    assert_eq!(nothing(&[2]).repeat([0, 2]).shape(), &[0, 4]);
    assert_eq!(nothing(&[0, 3, 3]).pad(&[1, 2], Padding::Reflect).shape(), &[0, 3, 6]);
    assert_eq!(nothing(&[5]).gather(0, &Tensor::zeros([2, 0], DType::U8)).shape(), &[2, 0]);
    assert_eq!(nothing(&[0]).take(&Tensor::zeros([0], DType::I64)).shape(), &[0]);
    assert_eq!(Tensor::scalar(3.0).nonzero().shape(), &[1, 0]);
    assert_eq!(nothing(&[5, 0]).argwhere().shape(), &[0, 2]);
    assert_eq!(nothing(&[2, 0]).unique(1).values.shape(), &[2, 0]);
    assert_eq!(Tensor::zeros([0], DType::I64).bincount(None, 2).to_vec::<i64>(), [0, 0]);
    assert_eq!(Tensor::zeros([0], DType::I64).one_hot(3).shape(), &[0, 3]);
    assert_eq!(nothing(&[0]).histc(3, 0.0, 0.0).to_vec::<f64>(), [0.0; 3]);
    assert_eq!(nothing(&[3]).topk(0, 0, true).1.shape(), &[0]);
    assert_eq!(Tensor::scalar(1.0).kthvalue(1, 0, true).0.shape(), &[0usize; 0]);
}

#[test]
fn not_a_number_is_greatest_and_equals_nothing() {
    let x = Tensor::from([1.0, NAN, 0.0, NAN]);
    assert_eq!(x.argsort(0, false).to_vec::<i64>(), [2, 0, 1, 3]);
    assert_eq!(x.argsort(0, true).to_vec::<i64>(), [1, 3, 0, 2]);
    assert_eq!(x.topk(2, 0, true).1.to_vec::<i64>(), [1, 3]);
    assert_eq!(x.kthvalue(3, 0, false).1.item::<i64>(), 1);
    let found = x.unique(None);
    assert_eq!(found.inverse.to_vec::<i64>(), [1, 2, 0, 3]);
    assert_eq!(found.counts.to_vec::<i64>(), [1; 4]);
    assert_eq!(Tensor::from([NAN, NAN, 1.0]).unique_consecutive(None).inverse.to_vec::<i64>(), [0, 1, 2]);
    let sorted = Tensor::from([0.0, 1.0, NAN]);
    for right in [false, true] {
        assert_eq!(sorted.searchsorted(&Tensor::from([NAN, 2.0]), right, None).to_vec::<i64>(), [3, 3]);
    }
}

#[test]
fn slices_in_order() {
    let found = Tensor::from([[3i64, 1], [1, 2], [3, 1]]).unique(0);
    assert_eq!(found.values.to_vec::<i64>(), [1, 2, 3, 1]);
    assert_eq!(found.inverse.to_vec::<i64>(), [1, 0, 1]);
    assert_eq!(found.counts.to_vec::<i64>(), [1, 2]);
}

#[test]
fn sequences() {
    let whole = |start: f64, end: f64, step: f64| Tensor::arange(start, end, step, DType::I64).to_vec::<i64>();
    assert_eq!(whole(0.5, 3.0, 0.5), [0; 5]);
    assert_eq!(whole(0.5, 3.0, 1.2), [0, 1, 2]);
    let big = 1i64 << 60;
    assert_eq!(Tensor::arange(big, big + 3, 1, DType::I64).to_vec::<i64>(), [big, big + 1, big + 2]);
    assert_eq!(Tensor::arange(250, 260, 1, DType::U8).to_vec::<u8>(), [250, 251, 252, 253, 254, 255, 0, 1, 2, 3]);
    assert_eq!(Tensor::arange(i64::MIN, i64::MAX, i64::MAX, DType::I64).numel(), 3);
    assert_eq!(Tensor::arange(0.0f32, 1.0, 0.1, DType::F32).numel(), 10);
    assert_eq!(Tensor::linspace(-5.0, 5.0, 4, DType::I64).to_vec::<i64>(), [-5, -1, 1, 5]);
    assert_eq!(Tensor::logspace(0.0, 3.0, 5, 2.0, DType::I64).to_vec::<i64>(), [1, 1, 2, 4, 8]);
    assert_eq!(Tensor::linspace(2.0, 9.0, 1, DType::F64).to_vec::<f64>(), [2.0]);
    assert_eq!(Tensor::eye([0, 3], DType::F32).shape(), &[0, 3]);
    assert_eq!(Tensor::tril_indices(3, 4, 1).to_vec::<i64>()[9..], [0, 1, 0, 1, 2, 0, 1, 2, 3]);
}

#[test]
fn writes_to_places() {
    let (x, zero) = (ids([1, 2]), ids([0, 0]));
    let mean = x.scatter_reduce(0, &zero, &ids([-4, 0]), ScatterReduce::Mean, true);
    assert_eq!(mean.to_vec::<i64>(), [-1, 2]);
    let least = x.scatter_reduce(0, &zero, &ids([7, 5]), ScatterReduce::Amin, false);
    assert_eq!(least.to_vec::<i64>(), [5, 2]);
    let nan = Tensor::from([1.0]).scatter_reduce(0, &ids([0]), &Tensor::from([NAN]), ScatterReduce::Amax, true);
    assert!(nan.item::<f64>().is_nan());
    let bools = Tensor::from([true, false]);
    assert_eq!(bools.scatter_add(0, &zero, &bools).to_vec::<bool>(), [true, false]);
    assert_eq!(bools.index_add(0, &ids([1, 1]), &bools).to_vec::<bool>(), [true, true]);
    assert_eq!(bools.index_put(ids([1, 1]), &bools, true).to_vec::<bool>(), [true, true]);
    assert_eq!(x.index_fill(0, &ids([0]), 2.0).to_vec::<i64>(), [2, 2]);
    assert_eq!(x.slice_scatter(&Tensor::from([0.5]), 0, 0, 1, 1).to_vec::<i64>(), [0, 2]);
    let half = x.to_dtype(DType::BF16).index_put(&zero, &x.to_dtype(DType::BF16), true);
    assert_eq!(half.to_dtype(DType::F64).to_vec::<f64>(), [4.0, 2.0]);
    // A write never shows in another tensor.
    let mut view = x.narrow(0, 0, 2);
    view.assign_(|t| t.flip(&[0]), &ids([8, 9]));
    assert_eq!((view.to_vec::<i64>(), x.to_vec::<i64>()), (vec![9, 8], vec![1, 2]));
}

#[test]
fn padding_with_cuts() {
    let x = Tensor::arange(0.0, 6.0, 1.0, DType::F64).reshape([1, 6]);
    let padded = |pad: [isize; 2], mode: Padding| x.pad(&pad, mode).to_vec::<f64>();
    assert_eq!(padded([-1, 2], Padding::Reflect), [1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 3.0]);
    assert_eq!(padded([2, -1], Padding::Reflect), [2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(padded([-1, 2], Padding::Replicate), [1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0]);
    assert_eq!(padded([-1, 2], Padding::Circular), [1.0, 2.0, 3.0, 4.0, 5.0, 1.0, 2.0]);
    assert_eq!(padded([-4, 1], Padding::Constant(7.0)), [4.0, 5.0, 7.0]);
    assert_eq!(x.pad(&[-3, -3], Padding::Constant(7.0)).shape(), &[1, 0]);
}

#[test]
fn draws_with_tensors_as_parameters() {
    let mut g = tensor::Generator::new(4);
    let p = Tensor::from([0.0f32, 0.25, 1.0]).expand([20_000, 3]);
    let shares = p.bernoulli_each_with(&mut g).mean_dim(0, false).to_vec::<f32>();
    assert!(shares[0] == 0.0 && (shares[1] - 0.25).abs() < 0.02 && shares[2] == 1.0, "{shares:?}");
    let drawn =
        Tensor::normal_each_with(&Tensor::from([1.0, 5.0]), &Tensor::full([20_000, 1], 2.0, DType::F64), &mut g);
    let means = drawn.mean_dim(0, false).to_vec::<f64>();
    assert!((means[0] - 1.0).abs() < 0.1 && (means[1] - 5.0).abs() < 0.1, "{means:?}");
    assert!((drawn.std_dim(0, 1.0, false).to_vec::<f64>()[0] - 2.0).abs() < 0.1);
    let waits = Tensor::exponential_with(4.0, [20_000], DType::F64, &mut g);
    assert!((waits.mean().item::<f64>() - 0.25).abs() < 0.02 && waits.min().item::<f64>() >= 0.0);
    let like = Tensor::zeros([3, 2], DType::F32).randint_like(5, 7);
    assert!(like.dtype() == DType::F32 && like.to_vec::<f32>().iter().all(|&x| x == 5.0 || x == 6.0));
    assert_eq!(like.rand_like().shape(), like.randn_like().shape());
}
