//! Reductions and running results.

use tensor::{DType, Tensor};

#[test]
fn reductions_refuse() {
    let m = || Tensor::zeros([2, 3], DType::F32);
    let none = || Tensor::zeros([2, 0], DType::F32);
    let bools = || Tensor::from([true, false]);
    panics! {
        none().amax(1, false) => "amax: there is no element to choose from";
        none().amin([], true) => "amin: there is no element to choose from";
        none().aminmax([], true) => "amin: there is no element to choose from";
        none().argmax(None, false) => "argmax: dimension 0 has no element to choose from";
        none().argmin(None, true) => "argmin: dimension 0 has no element to choose from";
        m().argmin(2, false) => "argmin: dimension 2 is out of range for a 2-d tensor";
        none().median_dim(1, false) => "median_dim: dimension 1 has no element to choose from";
        none().nanmedian_dim(1, false) => "nanmedian_dim: dimension 1 has no element to choose from";
        none().to_dtype(DType::I64).median() => "median: dimension 0 has no element to choose from";
        none().to_dtype(DType::I64).nanmedian() => "nanmedian: dimension 0 has no element to choose from";
        bools().median() => "median: not defined for bool";
        bools().nanmedian() => "nanmedian: not defined for bool";
        bools().median_dim(0, false) => "median_dim: not defined for bool";
        bools().nanmedian_dim(0, false) => "nanmedian_dim: not defined for bool";
        m().var_dim(2, 1.0, false) => "var_dim: dimension 2 is out of range";
        m().count_nonzero([0, -2]) => "count_nonzero: dimension 0 is named twice";
        m().nansum(3, false) => "nansum: dimension 3 is out of range";
        m().nanmean(3, false) => "nanmean: dimension 3 is out of range";
        Tensor::from([1i64]).mean() => "mean_dim: needs a floating-point tensor, got i64; convert with to_dtype first";
        Tensor::from([true]).mean_dim(0, true) => "mean_dim: needs a floating-point tensor, got bool";
        Tensor::from([1i64]).std() => "var_dim: needs a floating-point tensor, got i64";
        Tensor::from([1i64]).nanmean([], false) => "nanmean: needs a floating-point tensor, got i64";
        Tensor::from([1i64]).norm() => "vector_norm: needs a floating-point tensor, got i64";
        m().vector_norm(f64::NAN, [], false) => "vector_norm: the order is NaN";
        none().vector_norm(f64::INFINITY, 1, false) => "vector_norm: there is no element to choose from";
        none().vector_norm(-1.0, [], false) => "vector_norm: there is no element to choose from";
        m().vector_norm(2.0, 2, false) => "vector_norm: dimension 2 is out of range";
        m().cumsum(2) => "cumsum: dimension 2 is out of range";
        m().cumprod(2) => "cumprod: dimension 2 is out of range";
        m().cummax(2) => "cummax: dimension 2 is out of range";
        m().cummin(2) => "cummin: dimension 2 is out of range";
        m().logcumsumexp(-3) => "logcumsumexp: dimension -3 is out of range";
        Tensor::linear_recurrence(&m(), &m(), 2) => "linear_recurrence: dimension 2 is out of range";
        Tensor::linear_recurrence(&m(), &m().t(), 0) => "linear_recurrence: cannot broadcast";
    }
}
