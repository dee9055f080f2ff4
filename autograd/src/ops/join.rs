//! Joining tensors and taking them apart.

use std::borrow::Borrow;

use tensor::{Shape, Tensor, resolve_dim};

use crate::var::Var;

impl Var {
    /// The tensors one after another along `dim`.
    ///
    /// # Gradient
    /// To each its part of `dy`, a view.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let (a, b) = (Var::new(Tensor::from([1.0, 2.0])), Var::new(Tensor::from([3.0])).requires_grad_(true));
    /// Var::cat(&[a, b.clone()], 0).square().sum().backward();
    /// assert_eq!(b.grad().unwrap().to_vec::<f64>(), [6.0]);
    /// ```
    #[track_caller]
    pub fn cat<V: Borrow<Var>>(vars: &[V], dim: isize) -> Var {
        let inputs: Vec<&Var> = vars.iter().map(Borrow::borrow).collect();
        let values: Vec<Tensor> = inputs.iter().map(|input| input.value()).collect();
        let value = Tensor::cat(&values, dim);
        let lengths: Vec<usize> = values.iter().map(|value| value.dim(dim)).collect();
        Var::record("cat", value, inputs, move |dy, need| {
            let mut start = 0;
            let part = |(i, &len): (usize, &usize)| {
                let part = need.of(i, || dy.narrow(dim, start, len));
                start += len;
                part
            };
            lengths.iter().enumerate().map(part).collect::<Vec<_>>()
        })
    }

    /// The tensors, all of one shape, along a new dimension `dim`.
    ///
    /// # Gradient
    /// To each its part of `dy`, a view.
    #[track_caller]
    pub fn stack<V: Borrow<Var>>(vars: &[V], dim: isize) -> Var {
        let inputs: Vec<&Var> = vars.iter().map(Borrow::borrow).collect();
        let values: Vec<Tensor> = inputs.iter().map(|input| input.value()).collect();
        let n = inputs.len();
        Var::record("stack", Tensor::stack(&values, dim), inputs, move |dy, need| {
            (0..n).map(|i| need.of(i, || dy.select(dim, i))).collect::<Vec<_>>()
        })
    }

    /// Pieces of `size` along `dim`; the last may be shorter.
    ///
    /// # Gradient
    /// The pieces' gradients joined: one copy for all of them.
    #[track_caller]
    pub fn split(&self, size: usize, dim: isize) -> Vec<Var> {
        let pieces = self.tensor().split(size, dim);
        self.joined("split", pieces, dim)
    }

    /// `n` pieces of nearly equal size along `dim`, or fewer when there are not as many elements.
    ///
    /// # Gradient
    /// The pieces' gradients joined: one copy for all of them.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([1.0, 2.0, 3.0, 4.0])).requires_grad_(true);
    /// let halves = x.chunk(2, 0);
    /// (&halves[0] * &halves[1]).sum().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [3.0, 4.0, 1.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn chunk(&self, n: usize, dim: isize) -> Vec<Var> {
        let pieces = self.tensor().chunk(n, dim);
        self.joined("chunk", pieces, dim)
    }

    /// The elements along `dim`, which goes away.
    ///
    /// # Gradient
    /// The elements' gradients stacked: one copy for all of them.
    #[track_caller]
    pub fn unbind(&self, dim: isize) -> Vec<Var> {
        let pieces = self.tensor().unbind(dim);
        let shape = self.shape();
        let at = resolve_dim("unbind", dim, shape.len()).unwrap_or_else(|error| panic!("{error}"));
        Var::record_many("unbind", pieces, [self], move |dys, _| {
            let piece: Shape = shape.iter().enumerate().filter(|(d, _)| *d != at).map(|(_, &n)| n).collect();
            let shapes = vec![piece; dys.len()];
            [Some(Var::stack(&filled(dys, &shapes), at as isize))]
        })
    }

    /// `pieces` of this along `dim`.
    #[track_caller]
    fn joined(&self, name: &'static str, pieces: Vec<Tensor>, dim: isize) -> Vec<Var> {
        let shapes: Vec<Shape> = pieces.iter().map(|piece| piece.shape().clone()).collect();
        Var::record_many(name, pieces, [self], move |dys, _| [Some(Var::cat(&filled(dys, &shapes), dim))])
    }
}

/// The gradients with zeros, which take no memory, in place of those that are missing.
fn filled(dys: &[Option<Var>], shapes: &[Shape]) -> Vec<Var> {
    let dtype = dys.iter().flatten().next().expect("a pass reaches a step with at least one gradient").dtype();
    let zeros = |shape: &Shape| Var::new(Tensor::zeros((), dtype).expand(shape));
    dys.iter().zip(shapes).map(|(dy, shape)| dy.clone().unwrap_or_else(|| zeros(shape))).collect()
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("cat", &[REAL, REAL, REAL], at_least_1d, |v, p| Var::cat(v, p.dim(v[0].ndim())).into()),
        sample("stack", &[REAL, REAL, REAL], same, |v, p| Var::stack(v, p.dim(v[0].ndim() + 1)).into()),
        sample("split", &[REAL], rows, |v, p| v[0].split(1 + p.below(3), p.dim(v[0].ndim()))),
        sample("chunk", &[REAL], rows, |v, p| v[0].chunk(1 + p.below(3), p.dim(v[0].ndim()))),
        sample("unbind", &[REAL], rows, |v, p| v[0].unbind(p.dim(v[0].ndim()))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_without_part_in_the_result_gets_zeros() {
        let x = Var::new(Tensor::from([1.0, 2.0, 3.0, 4.0, 5.0])).requires_grad_(true);
        x.split(2, 0)[1].sum().backward();
        assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.0, 0.0, 1.0, 1.0, 0.0]);
        x.zero_grad();
        x.unbind(0)[4].backward();
        assert_eq!(x.grad().unwrap().to_vec::<f64>(), [0.0, 0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn one_tensor_joined_with_itself() {
        let x = Var::new(Tensor::from([1.0, 2.0])).requires_grad_(true);
        Var::cat(&[&x, &x], 0).sum().backward();
        assert_eq!(x.grad().unwrap().to_vec::<f64>(), [2.0, 2.0]);
    }
}
