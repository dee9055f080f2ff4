//! Solvers and decompositions.

use tensor::{DType, QrMode, Tensor, Triangle, Triangular};

#[test]
fn shapes_and_dtypes_that_do_not_fit() {
    let z = |shape: &[usize]| Tensor::zeros(shape, DType::F64);
    let eye = || Tensor::eye(3, DType::F64);
    let how = Triangular::default();
    panics! {
        z(&[3, 2]).cholesky(false) => "cholesky: the matrices are not square, 3 != 2", "a [3, 2]";
        z(&[3]).cholesky(false) => "cholesky: needs at least 2 dimensions";
        z(&[3]).cholesky(true) => "cholesky: needs at least 2 dimensions";
        z(&[3, 2]).cholesky_ex(true) => "cholesky_ex: the matrices are not square";
        Tensor::eye(2, DType::I64).cholesky(false) => "cholesky: needs f32 or f64, got i64";
        Tensor::eye(2, DType::F16).inv() => "inv: needs f32 or f64, got f16";
        z(&[2, 3, 2]).inv() => "inv: the matrices are not square";
        z(&[2, 3]).inv_ex() => "inv_ex: the matrices are not square";
        z(&[3, 2]).det() => "det: the matrices are not square";
        z(&[3]).det() => "det: needs at least 2 dimensions";
        z(&[3, 2]).slogdet() => "slogdet: the matrices are not square";
        z(&[3, 2]).logdet() => "slogdet: the matrices are not square";
        z(&[3, 2]).eigh(Triangle::Lower) => "eigh: the matrices are not square";
        z(&[3, 2]).eigvalsh(Triangle::Lower) => "eigvalsh: the matrices are not square";
        z(&[3]).qr(QrMode::Reduced) => "qr: needs at least 2 dimensions";
        Tensor::eye(2, DType::BF16).qr(QrMode::R) => "qr: needs f32 or f64, got bf16";
        z(&[3]).svd(true) => "svd: needs at least 2 dimensions";
        z(&[]).svdvals() => "svdvals: needs at least 2 dimensions";
        z(&[3]).pinv(None) => "pinv: needs at least 2 dimensions";
        z(&[3, 2]).matrix_power(2) => "matrix_power: needs square matrices", "a [3, 2]";
        z(&[3]).matrix_power(0) => "matrix_power: needs square matrices";
        Tensor::from([[true]]).matrix_power(2) => "matrix_power: not defined for bool";
        Tensor::eye(2, DType::I64).matrix_power(-1) => "inv: needs f32 or f64, got i64";
        z(&[3, 2]).solve(&z(&[3]), true) => "solve: the matrices are not square";
        eye().solve(&z(&[4, 2]), true) => "solve: the sides do not fit, 3 != 4", "a [3, 3]", "b [4, 2]";
        eye().solve(&z(&[4]), true) => "solve: the sides do not fit, 3 != 4";
        eye().solve(&z(&[2, 4, 3]), true) => "solve: the sides do not fit, 3 != 4";
        eye().solve(&z(&[3, 2]), false) => "solve: the sides do not fit, 3 != 2";
        eye().solve(&z(&[]), true) => "solve: needs at least 2 dimensions";
        z(&[2, 3, 3]).solve(&z(&[5, 3, 1]), true) => "solve: batch dimensions do not broadcast, [2] and [5]";
        eye().solve_triangular(&z(&[3]), how) => "solve_triangular: needs at least 2 dimensions";
        eye().solve_triangular(&z(&[2, 2]), how) => "solve_triangular: the sides do not fit, 3 != 2";
        eye().solve_triangular(&z(&[3]), Triangular { left: false, ..how }) => "solve_triangular: needs at least 2 dimensions";
        z(&[3, 1]).cholesky_solve(&z(&[3]), false) => "cholesky_solve: needs at least 2 dimensions";
        z(&[3, 1]).cholesky_solve(&z(&[2, 2]), false) => "solve_triangular: the sides do not fit, 2 != 3";
    }
}

#[test]
fn matrices_without_an_answer() {
    let singular = || Tensor::from([[1.0, 2.0], [2.0, 4.0]]);
    let batch = || Tensor::stack(&[Tensor::eye(2, DType::F64), singular()], 0);
    let nan = || Tensor::from([[f64::NAN, 0.0], [0.0, 1.0]]);
    panics! {
        singular().inv() => "inv: the matrix is singular: pivot 2 is zero";
        batch().inv() => "inv: matrix 1 of the batch is singular: pivot 2 is zero";
        singular().solve(&Tensor::from([1.0, 1.0]), true) => "solve: the matrix is singular: pivot 2 is zero";
        batch().solve(&Tensor::from([1.0, 1.0]), true) => "solve: matrix 1 of the batch is singular";
        Tensor::zeros([2, 2], DType::F32).matrix_power(-1) => "inv: the matrix is singular: pivot 1 is zero";
        (-Tensor::eye(3, DType::F64)).cholesky(false) => "cholesky: the matrix is not positive-definite: its leading minor of order 1 is not positive";
        (batch() - 1.0).cholesky(true) => "cholesky: matrix 0 of the batch is not positive-definite: its leading minor of order 1";
        Tensor::from([[4.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).cholesky(false) => "its leading minor of order 2 is not positive";
        nan().cholesky(false) => "its leading minor of order 1 is not positive";
        nan().svd(false) => "svd: the matrix has an element that is not finite";
        Tensor::stack(&[Tensor::eye(2, DType::F64), nan()], 0).svdvals() => "svdvals: matrix 1 of the batch has an element that is not finite";
    }
}
