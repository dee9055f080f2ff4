//! Shapes, indices, order and creation: bad arguments.

use tensor::{DType, Ellipsis, Indexing, Padding, ScatterReduce, Tensor, slice};

fn m() -> Tensor {
    Tensor::zeros([2, 3], DType::F32)
}

fn ids<const N: usize>(ids: [i64; N]) -> Tensor {
    Tensor::from(ids)
}

#[test]
fn views_and_parts() {
    panics! {
        m().t().view([6]) => "view: strides [1, 3] need a copy; use reshape";
        m().unflatten(1, [2, -1]) => "unflatten: 3 elements do not fit [2, -1]";
        m().unflatten(1, [0usize; 0]) => "unflatten: 3 elements do not fit []";
        Tensor::zeros([1], DType::F32).unflatten(0, [0usize; 0]) => "unflatten: there are no sizes";
        m().movedim([0, 1], 0) => "movedim: 2 dimensions go to 1 places";
        m().movedim([0, 0], [0, 1]) => "movedim: dimension 0 is named twice";
        m().expand([2, 2, -3]) => "expand: size -3 in [2, 2, -3]";
        m().expand([-1, 2, 3]) => "expand: size -1";
        m().broadcast_to([3, 3]) => "broadcast_to: the shape cannot be stretched";
        Tensor::broadcast_tensors(&[m(), m().t()]) => "broadcast_tensors: cannot broadcast, 2 != 3";
        m().narrow(1, -4, 1) => "narrow: start -4 is out of range for dimension 1 of size 3";
        m().select(1, -4) => "select: index -4 is out of range for dimension 1 of size 3";
        m().select(0, 0).fliplr() => "fliplr: needs at least 2 dimensions";
        Tensor::scalar(0.0).flipud() => "flipud: needs at least 1 dimension";
        m().rot90(1, [0, -2]) => "rot90: the two dimensions are the same";
        m().split([1, 1], 1) => "split: sizes [1, 1] do not add up to 3, the size of dimension 1";
        m().tensor_split(0, 1) => "tensor_split: the number of pieces must be positive";
        m().unbind(2) => "unbind: dimension 2 is out of range";
        m().repeat([2]) => "repeat: 1 counts for 2 dimensions";
        m().repeat([usize::MAX, 2]) => "too many elements";
        m().repeat_interleave(&ids([1, 2]), 1) => "repeat_interleave: counts for 3 slices", "[2]";
        m().repeat_interleave(&ids([1, -2]), 0) => "repeat_interleave: a count is negative: -2";
        m().repeat_interleave(&Tensor::from([1.0, 2.0]), 0) => "repeat_interleave: counts must be integers, got f64";
        m().roll(&[], &[]) => "roll: 0 shifts for 0 dimensions";
        m().roll(&[1, 2], &[0]) => "roll: 2 shifts for 1 dimensions";
        m().pad(&[1], Padding::Constant(0.0)) => "pad: pad [1] does not fit 2 dimensions";
        m().pad(&[1; 6], Padding::Constant(0.0)) => "does not fit 2 dimensions";
        m().pad(&[-2, -2], Padding::Constant(0.0)) => "pad: pad [-2, -2] cuts away more than the 3 elements of dimension 1";
        m().pad(&[3, 0], Padding::Reflect) => "pad: Reflect padding [3, 0] is too wide for dimension -1 of size 3", "less than";
        m().pad(&[4, 0], Padding::Circular) => "pad: Circular padding [4, 0] is too wide";
        Tensor::zeros([0], DType::F32).pad(&[1, 0], Padding::Replicate) => "pad: Replicate padding", "not empty";
        Tensor::cat(&[Tensor::scalar(0.0)], 0) => "cat: dimension 0 is out of range for a 0-d tensor";
        Tensor::vstack(&[m(), m().t()]) => "cat: tensor 1 differs from tensor 0 outside dimension 0";
        Tensor::hstack(&[m(), m().t()]) => "cat: tensor 1 differs";
        Tensor::column_stack(&[]) => "cat: needs at least one tensor";
    }
}

#[test]
fn indexing() {
    panics! {
        m().i((0, 0, 0)) => "i: 3 indices for 2 dimensions", "[2, 3]";
        m().i((Ellipsis, Ellipsis)) => "i: more than one Ellipsis";
        m().i((.., 3)) => "select: index 3 is out of range for dimension 1 of size 3";
        m().i(slice(.., 0)) => "slice: the step must be positive";
        m().i(ids([2])) => "i: index 2 is out of range -2..2";
        m().i(Tensor::from([0.0])) => "i: indices must be i64 or i32, got f64";
        m().i((&ids([0, 1]), &ids([0, 1, 2]))) => "i: cannot broadcast, 2 != 3";
        m().i(Tensor::from([true, false, true])) => "i: the mask does not fit at dimension 0", "mask [3]";
        m().index_put(0, &Tensor::from([1.0f32, 2.0]), false) => "index_put: the shape cannot be stretched", "[2]", "[3]";
        m().index_put(0, &Tensor::from([1.0]), false) => "index_put: the source is f64, the tensor f32";
        m().assign_(|x| x.copy(), &Tensor::scalar(0f32)) => "assign_: the view is none of this tensor";
        m().assign_(|x| x.t(), &Tensor::scalar(0.0)) => "assign_: the source is f64, the tensor f32";
        m().slice_scatter(&m(), 1, 0, 2, 1) => "slice_scatter: the source differs from the part", "[2, 2]";
        m().select_scatter(&m(), 1, 0) => "select_scatter: the source differs from the part";
        m().diagonal_scatter(&m(), 0, 0, 1) => "diagonal_scatter: the source differs from the part";
    }
}

#[test]
fn positions() {
    let (row, one) = (Tensor::zeros([1, 3], DType::F32), ids([0]));
    panics! {
        Tensor::scalar(1.0).index_select(0, &ids([0, 0])) => "index_select: a scalar has one element";
        m().gather(0, &Tensor::zeros([3, 4], DType::I64)) => "gather: the indices do not fit";
        m().gather(0, &Tensor::zeros([1, 3], DType::U8)) => "gather: indices must be i64 or i32, got u8";
        m().take(&ids([6])) => "take: index 6 is out of range -6..6";
        m().take_along_dim(&one, 0) => "take_along_dim: the numbers of dimensions differ";
        m().take_along_dim(&Tensor::zeros([5, 2], DType::I64), 1) => "take_along_dim: cannot broadcast";
        m().scatter(0, &Tensor::zeros([1, 3], DType::I64), &Tensor::zeros([1, 3], DType::F64)) =>
            "scatter: the source is f64, the tensor f32";
        m().scatter(0, &Tensor::full([1, 3], 2.0, DType::I64), &row) => "scatter: index 2 is out of range 0..2";
        m().scatter_value(0, &Tensor::zeros([1], DType::I64), 1.0) => "scatter: the indices do not fit";
        m().scatter_reduce(0, &Tensor::zeros([2, 3], DType::I64), &row, ScatterReduce::Sum, true) =>
            "scatter_reduce: the source is smaller than the indices";
        m().index_add(0, &one, &row.select(0, 0)) => "index_add: the shapes do not fit";
        m().index_copy(0, &one, &m()) => "index_copy: the shapes do not fit";
        m().index_copy(0, &ids([-1]), &row) => "index_copy: index -1 is out of range 0..2";
        m().index_copy(0, &one, &row.to_dtype(DType::F64)) => "index_copy: the source is f64, the tensor f32";
        m().index_fill(0, &ids([-3]), 0.0) => "index_fill: index -3 is out of range -2..2";
        m().index_fill_tensor(0, &one, &Tensor::from([0f32])) => "index_fill_tensor: not a scalar", "[1]";
        m().index_fill_tensor(0, &one, &Tensor::scalar(0.0)) => "index_fill_tensor: the source is f64, the tensor f32";
        m().put(&ids([0, 1]), &Tensor::from([1f32]), false) => "put: the numbers of elements differ";
        m().put(&ids([6]), &Tensor::from([1f32]), false) => "put: index 6 is out of range -6..6";
        m().masked_select(&ids([1])) => "masked_select: the mask must be bool, got i64";
        m().masked_scatter(&ids([1]), &m()) => "masked_scatter: the mask must be bool";
        m().masked_scatter(&Tensor::from([true]), &row) => "masked_scatter: the source has 3 elements, the mask holds 6 times";
        m().masked_scatter(&Tensor::from([true]), &ids([1])) => "masked_scatter: the source is i64, the tensor f32";
        Tensor::from_vec(Vec::<i64>::new(), [0]).one_hot(None) => "one_hot: no index tells the number of classes";
        ids([-1]).one_hot(None) => "one_hot: index -1 is out of range 0..0";
        Tensor::from([1.0]).one_hot(2) => "one_hot: indices must be i64 or i32, got f64";
    }
}

#[test]
fn order_and_counts() {
    let x = || Tensor::from([1.0, 2.0, 3.0]);
    panics! {
        Tensor::from([true]).topk(1, 0, true) => "topk: not defined for bool";
        x().kthvalue(0, 0, false) => "kthvalue: k = 0 is not in 1..=3 for dimension 0";
        x().kthvalue(4, 0, false) => "kthvalue: k = 4 is not in 1..=3";
        Tensor::from([true]).kthvalue(1, 0, false) => "kthvalue: not defined for bool";
        x().sort(1, false) => "sort: dimension 1 is out of range";
        Tensor::zeros([2, 0], DType::F32).unique(0) => "unique: the slices along dimension 0 have no element";
        Tensor::zeros([2, 0], DType::F32).unique_consecutive(0) => "unique_consecutive: the slices";
        Tensor::scalar(1.0).searchsorted(&x(), false, None) => "searchsorted: the shapes do not fit";
        m().searchsorted(&Tensor::zeros([3, 1], DType::F32), false, None) => "searchsorted: the shapes do not fit";
        x().searchsorted(&x(), false, Some(&ids([0]))) => "searchsorted: the sorter does not fit";
        x().searchsorted(&x(), false, Some(&ids([0, 1, 3]))) => "searchsorted: index 3 is out of range 0..3";
        Tensor::from([true]).searchsorted(&Tensor::from([true]), false, None) => "searchsorted: not defined for bool";
        x().bucketize(&m(), false) => "bucketize: the boundaries are not 1-d";
        x().bincount(None, 0) => "bincount: counts integers, got f64";
        ids([-2, 1]).bincount(None, 0) => "bincount: a number is negative: -2";
        ids([1, 2]).bincount(Some(&x()), 0) => "bincount: the shapes do not fit";
        m().to_dtype(DType::I64).bincount(None, 0) => "bincount: the shapes do not fit";
        ids([1]).histc(2, 0.0, 1.0) => "histc: needs a floating-point tensor, got i64";
        x().histc(0, 0.0, 1.0) => "histc: no 0 bins lie between 0 and 1";
        x().histc(2, 1.0, 0.0) => "histc: no 2 bins lie between 1 and 0";
        Tensor::from([f64::NAN]).histc(2, 0.0, 0.0) => "histc: no 2 bins";
    }
}

#[test]
fn creation() {
    panics! {
        Tensor::eye([1, 2, 3], DType::F32) => "eye: not the shape of a matrix";
        Tensor::arange(0, 3, 0, DType::I64) => "arange: no steps of 0 lead from 0 to 3";
        Tensor::arange(0, 3, -1, DType::I64) => "arange: no steps of -1 lead from 0 to 3";
        Tensor::arange(0.0, f64::INFINITY, 1.0, DType::F32) => "arange: no steps";
        Tensor::arange(f64::NEG_INFINITY, 0.0, 1.0, DType::F32) => "arange: no steps";
        Tensor::arange(0, 1, 1, DType::Bool) => "arange: there is no sequence of bools";
        Tensor::linspace(0.0, 1.0, 2, DType::Bool) => "linspace: there is no sequence of bools";
        Tensor::logspace(0.0, 1.0, 2, 2.0, DType::Bool) => "logspace: there is no sequence of bools";
        Tensor::meshgrid(&[], Indexing::Ij) => "meshgrid: needs at least one tensor";
        Tensor::meshgrid(&[m()], Indexing::Ij) => "meshgrid: not a vector", "[2, 3]";
        Tensor::meshgrid(&[ids([1]), Tensor::from([1.0])], Indexing::Xy) => "meshgrid: i64 and f64 in one grid";
        Tensor::cartesian_prod(&[]) => "meshgrid: needs at least one tensor";
        ids([1]).rand_like() => "rand: needs a floating-point tensor";
        ids([1]).randn_like() => "randn: needs a floating-point tensor";
        m().randint_like(2, 2) => "randint: there is no integer from 2 to below 2";
        ids([1]).bernoulli_each() => "bernoulli_each: needs a floating-point tensor";
        Tensor::from([1.5]).bernoulli_each() => "bernoulli_each: a probability lies in [0, 1], got 1.5";
        Tensor::normal_each(&ids([1]), &ids([1])) => "randn: needs a floating-point tensor";
        Tensor::normal_each(&m(), &m().t()) => "normal_each: cannot broadcast";
        Tensor::normal_each(&m(), &Tensor::scalar(-1f32)) => "normal_each: a standard deviation is negative";
        Tensor::exponential(0.0, [1], DType::F32) => "exponential: the rate must be positive and finite, got 0";
    }
}
