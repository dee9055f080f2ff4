//! Products, equations and diagonals.

use tensor::{DType, Tensor};

#[test]
fn products_say_which_operand_is_wrong() {
    let z = |shape: &[usize]| Tensor::zeros(shape, DType::F32);
    let (m, b, v) = (|| z(&[2, 3]), || z(&[2, 3, 4]), || z(&[3]));
    let bools = || Tensor::from([true, false]);
    panics! {
        m().mm(&m()) => "mm: inner dimensions differ, 3 != 2", "lhs [2, 3]", "rule [m, k] @ [k, n]";
        m().mm(&v()) => "mm: the rhs must be 2-d, it is 1-d";
        b().mm(&m()) => "mm: the lhs must be 2-d, it is 3-d";
        b().bmm(&z(&[5, 4, 2])) => "bmm: batch sizes differ, 2 != 5";
        b().bmm(&z(&[2, 3, 2])) => "bmm: inner dimensions differ, 4 != 3";
        b().bmm(&m()) => "bmm: the rhs must be 3-d";
        m().mv(&z(&[2])) => "mv: inner dimensions differ, 3 != 2";
        v().mv(&v()) => "mv: the lhs must be 2-d";
        v().dot(&z(&[2])) => "dot: inner dimensions differ, 3 != 2";
        v().dot(&z(&[3, 1])) => "dot: the rhs must be 1-d";
        v().outer(&m()) => "outer: the rhs must be 1-d";
        bools().dot(&bools()) => "dot: not defined for bool";
        m().inner(&z(&[5, 2])) => "inner: last dimensions differ, 3 != 2";
        z(&[2]).addmm(&m(), &z(&[3, 4]), 1.0, 1.0) => "addmm: the input does not broadcast to the product's shape [2, 4]", "input [2]";
        m().addmm(&m(), &m(), 1.0, 1.0) => "addmm: inner dimensions differ, 3 != 2";
        z(&[1, 2]).addmv(&m(), &v(), 0.0, 1.0) => "addmv: the input does not broadcast to the product's shape [2]";
        m().addmv(&m(), &m(), 1.0, 1.0) => "addmv: the rhs must be 1-d";
        m().baddbmm(&b(), &m(), 1.0, 1.0) => "baddbmm: the rhs must be 3-d";
        z(&[3]).baddbmm(&b(), &z(&[2, 4, 5]), 1.0, 1.0) => "baddbmm: the input does not broadcast to the product's shape [2, 3, 5]";
        b().addbmm(&b(), &z(&[2, 4, 5]), 1.0, 1.0) => "addbmm: the input does not broadcast to the product's shape [3, 5]";
        m().addbmm(&b(), &b(), 1.0, 1.0) => "addbmm: inner dimensions differ, 4 != 3";
        b().tensordot(&m(), &[0, 1], &[0]) => "tensordot: 2 dimensions of one operand, 1 of the other";
        b().tensordot(&m(), &[2], &[1]) => "tensordot: dimension 2 has size 4, dimension 1 has size 3";
        b().tensordot(&m(), &[3], &[1]) => "tensordot: dimension 3 is out of range";
    }
}

#[test]
fn equations_say_what_is_wrong_with_them() {
    let z = |shape: &[usize]| Tensor::zeros(shape, DType::F32);
    let m = || z(&[2, 3]);
    panics! {
        Tensor::einsum("ij,jk", &[&m()]) => "einsum: the equation has subscripts for 2 operands, 1 were given, in \"ij,jk\"";
        Tensor::einsum("ij", &[&m(), &m()]) => "subscripts for 1 operands, 2 were given";
        Tensor::einsum("", &[]) => "subscripts for 1 operands, 0 were given";
        Tensor::einsum("i1", &[&m()]) => "einsum: operand 0 has '1' at position 1; subscripts are letters in \"i1\"";
        Tensor::einsum("ij,jé", &[&m(), &m()]) => "operand 1 has 'é' at position 4";
        Tensor::einsum("ij-i", &[&m()]) => "operand 0 has '-' at position 2";
        Tensor::einsum("ij->i->j", &[&m()]) => "the output has '-' at position 5";
        Tensor::einsum("ij..", &[&m()]) => "operand 0 has a '.' at position 2 that is not part of '...'";
        Tensor::einsum("...i...", &[&m()]) => "operand 0 has a second '...' at position 4";
        Tensor::einsum("ij->......", &[&m()]) => "the output has a second '...'";
        Tensor::einsum("ij->.j", &[&m()]) => "the output has a '.' at position 4";
        Tensor::einsum("ijk", &[&m()]) => "operand 0 has 2 dimensions and 3 subscripts", "[2, 3]";
        Tensor::einsum("i", &[&m()]) => "operand 0 has 2 dimensions and 1 subscripts";
        Tensor::einsum("ijk...", &[&m()]) => "operand 0 has 2 dimensions and 3 subscripts";
        Tensor::einsum("ij,jk", &[&m(), &z(&[4, 5])]) => "subscript j has size 3 in operand 0 and 4 in operand 1";
        Tensor::einsum("ii", &[&m()]) => "subscript i of operand 0 has sizes 2 and 3";
        Tensor::einsum("ii", &[&z(&[1, 3])]) => "subscript i of operand 0 has sizes 1 and 3";
        Tensor::einsum("...,...", &[&m(), &z(&[4])]) => "subscript ... has size 3 in operand 0 and 4 in operand 1";
        Tensor::einsum("ij->ii", &[&m()]) => "the output has the subscript i twice";
        Tensor::einsum("ij->iz", &[&m()]) => "no operand has the output's subscript z";
        Tensor::einsum("...", &[&z(&[1; 65])]) => "an ellipsis covers 65 dimensions, more than 64";
    }
}

#[test]
fn diagonals_need_matrices() {
    let z = |shape: &[usize]| Tensor::zeros(shape, DType::F32);
    panics! {
        z(&[2, 3, 4]).diag(0) => "diag: needs a vector or a matrix", "[2, 3, 4]";
        z(&[]).diag(0) => "diag: needs a vector or a matrix";
        z(&[]).diag_embed(0, -2, -1) => "diag_embed: a scalar has no diagonal";
        z(&[2]).diag_embed(0, 0, 0) => "diag_embed: the two dimensions are the same";
        z(&[2]).diag_embed(0, 0, 2) => "diag_embed: dimension 2 is out of range";
        z(&[2]).trace() => "trace: needs a matrix";
        Tensor::from([[true]]).trace() => "trace: not defined for bool";
    }
}
