//! Linear and bilinear maps.

use autograd::Var;

/// [`Var::linear`].
#[track_caller]
pub fn linear(input: &Var, weight: &Var, bias: Option<&Var>) -> Var {
    input.linear(weight, bias)
}

/// `y[o] = x₁ᵀ W[o] x₂ + b[o]`.
///
/// # Shape
/// `x₁ [.., i]`, `x₂ [.., j]` with the same leading dimensions, weight `[o, i, j]`, bias `[o] -> [.., o]`.
///
/// # Gradient
/// That of the two matrix products it is made of: `dW[o] = Σ dy[o] x₁ x₂ᵀ`, `dx₁ = Σ dy[o] W[o] x₂`, `dx₂ = Σ dy[o] W[o]ᵀ x₁`.
///
/// # Panics
/// When the sizes do not fit together.
///
/// ```
/// use nn::prelude::*;
///
/// let (x1, x2) = (Var::new(Tensor::from([[1f64, 2.0]])), Var::new(Tensor::from([[3f64]])));
/// let weight = Var::new(Tensor::from([[[1f64], [10.0]]]));
/// assert_eq!(functional::bilinear(&x1, &x2, &weight, None).to_vec::<f64>(), [63.0]);
/// ```
#[track_caller]
pub fn bilinear(input1: &Var, input2: &Var, weight: &Var, bias: Option<&Var>) -> Var {
    let (shape1, shape2, sizes) = (input1.shape(), input2.shape(), weight.shape());
    let fits = match (&shape1[..], &shape2[..], &sizes[..]) {
        ([outer1 @ .., a], [outer2 @ .., b], [o, i, j]) => {
            outer1 == outer2 && a == i && b == j && bias.is_none_or(|bias| bias.shape()[..] == [*o])
        }
        _ => false,
    };
    assert!(
        fits,
        "bilinear: the sizes do not fit together\n  input1 {:?}   input2 {:?}   weight {:?}   bias {:?}   \
         rule [.., i], [.., j], [o, i, j], [o]",
        &shape1[..],
        &shape2[..],
        &sizes[..],
        bias.map(|bias| bias.shape().to_vec()),
    );
    let (o, i, j) = (sizes[0], sizes[1], sizes[2]);
    let outer = &shape1[..shape1.len() - 1];
    let n = outer.iter().product::<usize>();
    // x₁ meets all matrices at once; each row of the result is a batch of one matrix for x₂.
    let rows = input1.reshape([n, i]).matmul(&weight.permute(&[1, 0, 2]).reshape([i, o * j]));
    let y = rows.reshape([n, o, j]).matmul(&input2.reshape([n, j, 1]));
    let y = y.reshape([outer, &[o]].concat());
    bias.map_or(y.clone(), |bias| y + bias)
}
