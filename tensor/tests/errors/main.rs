//! Every documented panic is provoked, and its message names the operation, the operands and the rule.

#[macro_use]
mod provoke;

mod conv;
mod corners;
mod dtypes;
mod elementwise;
mod images;
#[cfg(feature = "linalg")]
mod linalg;
mod losses;
mod norms;
mod pool;
mod products;
mod reductions;
mod rest;
mod shapes;

use provoke::panic_of;
use tensor::{DType, Tensor};

#[test]
fn messages_end_the_search() {
    let m = || Tensor::zeros([2, 3], DType::F32);
    let ids = |v: i64| Tensor::from([v]);
    panics! {
        &m() + &Tensor::zeros([2, 4], DType::F32) => "add: cannot broadcast, 3 != 4", "[2, 3]", "[2, 4]", "rule";
        m().reshape([4]) => "reshape: 6 elements do not fit [4]", "[2, 3]";
        m().reshape([-1, -1]) => "more than one -1";
        m().reshape([-1, 4]) => "do not fit";
        m().reshape([-2, 3]) => "negative size -2";
        m().transpose(0, 2) => "transpose: dimension 2 is out of range for a 2-d tensor";
        m().permute(&[0]) => "permute", "each of the 2 dimensions once";
        m().permute(&[0, 0]) => "named twice";
        m().sum_dim(5, false) => "sum_dim: dimension 5";
        m().sum_dim([0, -2], false) => "named twice";
        m().narrow(1, 2, 2) => "narrow: start 2 with 2 elements leaves dimension 1 of size 3";
        m().select(0, 2) => "select: index 2 is out of range for dimension 0 of size 2";
        m().slice(0, 0, 1, 0) => "slice: the step must be positive";
        m().unfold(1, 4, 1) => "unfold", "[2, 3]";
        m().diagonal(0, 0, 0) => "diagonal";
        m().expand([4, 3]) => "expand: the shape cannot be stretched", "[2, 3]", "[4, 3]";
        m().sum_to([4]) => "sum_to";
        m().split(0, 0) => "split";
        m().chunk(0, 0) => "chunk";
        m().flatten(1, 0) => "flatten: start 1 comes after end 0";
        m().item::<f32>() => "item: needs exactly one element, got 6";
        m().get::<f32>(&[2, 0]) => "get: index [2, 0] is out of range for shape [2, 3]";
        m().to_vec::<f64>() => "the element type asked for is not the tensor's dtype";
        Tensor::zeros([2, 2, 2], DType::F32).t() => "t: more than 2 dimensions";
        Tensor::zeros([0], DType::F32).max() => "amax: there is no element to choose from";
        Tensor::zeros([2, 0], DType::F32).argmax(1, false) => "argmax: dimension 1 has no element";
        m().topk(4, 1, true) => "topk: k = 4 exceeds the 3 elements";
        Tensor::from_vec(vec![1.0, 2.0], [3]) => "from_vec: 2 elements given, the shape takes 3";
        Tensor::from_slice(&[1.0], [2]) => "from_slice";
        Tensor::zeros([usize::MAX, 2], DType::F32) => "too many elements";
        m().narrow(0, 0, 0).reshape([0isize, 1 << 62, 1 << 62]) => "too many elements";
        Tensor::scalar(1.0).expand([1usize << 40]).unfold(0, 1 << 39, 1) => "too many elements";
        Tensor::scalar(1.0).expand([1usize << 40, 1 << 40]) => "too many elements";
        Tensor::arange(0.0, 1.0, -1.0, DType::F32) => "arange: no steps of -1 lead from 0 to 1";
        Tensor::arange(0.0, 1.0, 0.0, DType::F32) => "arange";
        Tensor::cat(&[], 0) => "cat: needs at least one tensor";
        Tensor::cat(&[m(), Tensor::zeros([2, 4], DType::F32)], 0) => "cat: tensor 1 differs from tensor 0 outside dimension 0";
        Tensor::stack(&[m(), m().t()], 0) => "stack: the shapes differ";
        m().index_select(0, &ids(2)) => "index_select: index 2 is out of range 0..2";
        m().index_select(0, &ids(-1)) => "index -1";
        m().index_select(0, &Tensor::from([0.0])) => "indices must be i64 or i32, got f64";
        m().index_select(0, &Tensor::zeros([1, 1], DType::I64)) => "index_select: indices are not 1-d";
        m().embedding(&ids(7)) => "embedding: index 7 is out of range 0..2";
        m().select(0, 0).embedding(&ids(0)) => "embedding: the table is not a matrix";
        m().gather(0, &ids(0)) => "gather: the indices do not fit";
        m().scatter_add(0, &Tensor::zeros([1, 1], DType::I64), &Tensor::zeros([0, 1], DType::F32)) => "scatter_add: the source is smaller";
        m().index_add(0, &ids(0), &m()) => "index_add_: the shapes do not fit";
        Tensor::embedding_backward(&m(), &ids(0), 2) => "embedding_backward: the shapes do not fit";
        Tensor::embedding_backward(&m().narrow(0, 0, 1), &ids(2), 2) => "embedding_backward: index 2 is out of range 0..2";
        ids(3).one_hot(3) => "one_hot: index 3 is out of range 0..3";
        ids(0).tril(0) => "tril: needs at least 2 dimensions";
        Tensor::where_(&m(), &m(), &m()) => "where_: the condition must be bool, got f32";
        m().masked_fill(&m(), 0.0) => "masked_fill: the mask must be bool";
        Tensor::from([true]).sub(&Tensor::from([true])) => "sub: not defined for bool; use logical_xor";
        Tensor::from([true]).matmul(&Tensor::from([true])) => "matmul: not defined for bool";
        Tensor::from([true]).neg() => "neg: not defined for bool";
        ids(1).clamp(Some(0.5), None) => "clamp: bound 0.5 does not fit dtype i64";
        ids(1) + 0.5 => "add_scalar: scalar 0.5 does not fit dtype i64";
        ids(1).sum_of_squares() => "sum_of_squares: needs a floating-point tensor, got i64";
        Tensor::randn([2], DType::I64) => "randn: needs a floating-point tensor";
        Tensor::normal(0.0, -1.0, [2], DType::F32) => "normal: the standard deviation";
        Tensor::uniform(1.0, 0.0, [2], DType::F32) => "uniform: needs finite low <= high";
        Tensor::randint(3, 3, [2]) => "randint: there is no integer from 3 to below 3";
        Tensor::bernoulli(1.5, [2], DType::F32) => "bernoulli: a probability lies in [0, 1]";
        Tensor::from([1.0, -1.0]).multinomial(1, true) => "multinomial: a weight is negative or not finite in row 0";
        Tensor::from([1.0, 0.0]).multinomial(2, false) => "multinomial: there are too few positive weights";
        tensor::Generator::new(0).below(0) => "below";
    }
}

#[test]
fn try_forms_return_what_the_methods_panic_with() {
    let t = Tensor::zeros([2, 3], DType::F32);
    let error = t.try_reshape([5]).unwrap_err();
    assert_eq!(error.kind(), tensor::ErrorKind::Shape);
    assert_eq!(error.to_string(), panic_of(|| drop(Tensor::zeros([2, 3], DType::F32).reshape([5]))));
    assert!(Tensor::try_from_vec(vec![1.0], [2]).is_err());
    assert!(Tensor::try_cat(&[t.clone(), t.t()], 0).is_err());
}
