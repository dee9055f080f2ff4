//! What a sample's inputs are made of: random arguments, and the rules that turn a random shape into shapes that fit an
//! operation.

use tensor::{DType, Tensor};

use crate::Var;
use crate::strategy::Stream;

/// Arguments that are no inputs: a stream of numbers that a seed fixes.
pub(crate) struct Pick(pub(super) Stream);

impl Pick {
    pub fn new(seed: u64) -> Pick {
        Pick(Stream::new(seed))
    }

    /// Evenly in 0 to 1.
    pub fn unit(&mut self) -> f64 {
        self.0.unit()
    }

    /// 0 to `n - 1`; 0 for `n = 0`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0.below(n)
    }

    pub fn coin(&mut self) -> bool {
        self.0.coin()
    }

    /// A dimension of `ndim`, counted from either end.
    pub fn dim(&mut self, ndim: usize) -> isize {
        let dim = self.below(ndim) as isize;
        if self.coin() { dim - ndim as isize } else { dim }
    }

    /// None (which means all), one or two of `ndim` dimensions.
    pub fn dims(&mut self, ndim: usize) -> Vec<isize> {
        let order = self.order(ndim);
        order[..self.below(3).min(ndim)].to_vec()
    }

    /// The dimensions in any order.
    pub fn order(&mut self, ndim: usize) -> Vec<isize> {
        let mut order: Vec<isize> = (0..ndim as isize).collect();
        self.0.shuffle(&mut order);
        order
    }

    /// A mask.
    pub fn mask(&mut self, shape: &[usize]) -> Tensor {
        let values: Vec<bool> = (0..shape.iter().product()).map(|_| self.coin()).collect();
        Tensor::from_vec(values, shape)
    }

    /// Indices below `n`.
    pub fn ids(&mut self, shape: &[usize], n: usize) -> Tensor {
        let values: Vec<i64> = (0..shape.iter().product()).map(|_| self.below(n) as i64).collect();
        Tensor::from_vec(values, shape)
    }

    /// A shape that broadcasts to `shape`.
    pub fn unbroadcast(&mut self, shape: &[usize]) -> Vec<usize> {
        self.0.unbroadcast(shape)
    }
}

/// A mask or an index as a result, so that its layouts are compared too; it has no gradient, as central differences
/// confirm.
pub(crate) fn mask(t: Tensor) -> Vec<Var> {
    vec![Var::new(t.to_dtype(DType::F64))]
}

// Rules that make the inputs' shapes out of a random one.

pub(crate) fn same(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    vec![shape.to_vec(); n]
}

pub(crate) fn broadcast(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    (0..n).map(|_| if pick.coin() { shape.to_vec() } else { pick.unbroadcast(shape) }).collect()
}

fn with_ndim(shape: &[usize], least: usize) -> Vec<usize> {
    [&vec![2; least.saturating_sub(shape.len())], shape].concat()
}

pub(crate) fn at_least_1d(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    vec![with_ndim(shape, 1); n]
}

pub(crate) fn at_least_2d(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    vec![with_ndim(shape, 2); n]
}

pub(crate) fn matrix(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    vec![with_ndim(shape, 2)[..2].to_vec(); n]
}

/// Vectors of lengths of their own.
pub(crate) fn vectors(_: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    (0..n).map(|_| vec![pick.below(4)]).collect()
}

/// Without empty dimensions, for what needs an element.
pub(crate) fn nonempty(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    vec![shape.iter().map(|&s| s.max(1)).collect(); n]
}

/// At least 1-d, without empty dimensions.
pub(crate) fn rows(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    nonempty(&with_ndim(shape, 1), pick, n)
}

/// At least two elements along every dimension.
pub(crate) fn several(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    vec![with_ndim(shape, 1).iter().map(|&s| s.max(2)).collect(); n]
}

/// At least 1-d, every size even.
pub(crate) fn doubled(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    vec![with_ndim(shape, 1).iter().map(|&s| 2 * s).collect(); n]
}

/// Two factors of a matrix product: vectors, matrices, batches that broadcast.
pub(crate) fn products(shape: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
    let batch = &shape[..shape.len().min(1)];
    let (m, k, n) = (pick.below(4), pick.below(4), pick.below(4));
    let operand = |pick: &mut Pick, rows: usize, columns: usize| {
        let batch = if pick.coin() { batch.to_vec() } else { pick.unbroadcast(batch) };
        [&batch[..], &[rows, columns]].concat()
    };
    match pick.below(5) {
        0 => vec![vec![k], vec![k]],
        1 => vec![vec![k], operand(pick, k, n)],
        2 => vec![operand(pick, m, k), vec![k]],
        _ => vec![operand(pick, m, k), operand(pick, k, n)],
    }
}

/// Input, weight and bias of a linear layer.
pub(crate) fn linear_shapes(shape: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
    let (inputs, outputs) = (1 + pick.below(3), 1 + pick.below(3));
    let batch = &shape[..shape.len().min(2)];
    vec![[batch, &[inputs]].concat(), vec![outputs, inputs], vec![outputs]]
}

/// An embedding table.
pub(crate) fn table_of_rows(_: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
    vec![vec![1 + pick.below(4), 1 + pick.below(3)]]
}

/// Input, weight and bias of a layer norm over the last one or two dimensions.
pub(crate) fn normalised_shapes(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let x: Vec<usize> = with_ndim(shape, 2).iter().map(|&s| s.max(2)).collect();
    let last = x[x.len() - 1 - pick.below(2)..].to_vec();
    [vec![x], vec![last; n - 1]].concat()
}

/// An input and a weight that is one number or one per channel.
pub(crate) fn channels_and_weight(shape: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
    let channels = if shape.len() < 2 { 1 } else { shape[1] };
    vec![shape.to_vec(), [vec![], vec![1], vec![channels]][pick.below(3)].clone()]
}

/// An input `[n, 4, ..]` with several elements, and numbers per channel.
pub(crate) fn channels(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let mut x: Vec<usize> = with_ndim(shape, 2).iter().map(|&s| s.max(2)).collect();
    x[1] = 4;
    [vec![x], vec![vec![4]; n - 1]].concat()
}

/// Queries, keys and values of attention heads.
pub(crate) fn heads(shape: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
    let batch: Vec<usize> = with_ndim(shape, 2)[..2].iter().map(|&s| s.max(1)).collect();
    let (t, s, d) = (1 + pick.below(3), 1 + pick.below(3), 1 + pick.below(3));
    let with = |rows: usize| [&batch[..], &[rows, d]].concat();
    vec![with(t), with(s), with(s)]
}

/// Queries of twice or three times as many heads as keys and values.
pub(crate) fn grouped_heads(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let mut shapes = heads(shape, pick, n);
    shapes[0][1] *= 2 + pick.below(2);
    shapes
}

/// Queries, keys, values and a mask that broadcasts.
pub(crate) fn masked_heads(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let mut shapes = heads(shape, pick, n);
    let scores = [&shapes[0][..3], &shapes[1][2..3]].concat();
    shapes.push(pick.unbroadcast(&scores));
    shapes
}

/// At least 3-d, the last three sizes 4 (or 0 where the shape has that).
pub(crate) fn fours(shape: &[usize], _: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let mut shape = with_ndim(shape, 3);
    shape.iter_mut().rev().take(3).for_each(|s| *s = if *s == 0 { 0 } else { 4 });
    vec![shape; n]
}

/// Images or sequences, `[n, c, d..]` with one to three `d`.
pub(crate) fn images(shape: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
    let outer = [shape.first().map_or(2, |&n| n), 1 + pick.below(2)];
    let inner = (0..1 + pick.below(3)).map(|_| 1 + pick.below(4));
    vec![outer.into_iter().chain(inner).collect()]
}

/// Logits `[c]`, `[n, c]` or `[n, c, d..]`.
pub(crate) fn class_logits(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let mut shape = shape.to_vec();
    shape.insert(shape.len().min(1), 2 + pick.below(3));
    vec![shape; n]
}

/// Square matrices, some of them in a batch.
#[cfg(feature = "linalg")]
pub(crate) fn square_matrices(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let side = pick.below(4);
    vec![[&shape[..shape.len().min(1)], &[side, side]].concat(); n]
}

/// The matrices and right-hand sides of linear systems: batches that broadcast, of one column or of several.
#[cfg(feature = "linalg")]
pub(crate) fn systems_with_matrices(shape: &[usize], pick: &mut Pick, _: usize) -> Vec<Vec<usize>> {
    let batch = &shape[..shape.len().min(1)];
    let (n, k) = (pick.below(4), pick.below(3));
    let side = |pick: &mut Pick, columns: usize| {
        let batch = if pick.coin() { batch.to_vec() } else { pick.unbroadcast(batch) };
        [&batch[..], &[n, columns]].concat()
    };
    vec![side(pick, n), side(pick, k)]
}

/// The same, and vectors as right-hand sides: one, or one per matrix.
#[cfg(feature = "linalg")]
pub(crate) fn systems(shape: &[usize], pick: &mut Pick, n: usize) -> Vec<Vec<usize>> {
    let mut sides = systems_with_matrices(shape, pick, n);
    let a = sides[0].clone();
    match pick.below(3) {
        0 => sides[1] = vec![a[a.len() - 1]],
        1 => sides[1] = a[..a.len() - 1].to_vec(),
        _ => {}
    }
    sides
}

/// A well-conditioned matrix made of one with elements up to 2: small numbers and a large diagonal.
#[cfg(feature = "linalg")]
pub(crate) fn regular(x: &Var) -> Var {
    x * 0.3 + diagonal_of(x, |_| 3.0)
}

/// The same with singular values that lie well apart.
#[cfg(feature = "linalg")]
pub(crate) fn spread(x: &Var) -> Var {
    x * 0.1 + diagonal_of(x, |i| 2.0 + 2.5 * i as f64)
}

#[cfg(feature = "linalg")]
fn diagonal_of(x: &Var, f: impl Fn(usize) -> f64) -> Var {
    let (m, n) = (x.dim(-2), x.dim(-1));
    let d = Tensor::from_vec((0..m.max(n)).map(f).collect(), [m.max(n)]).to_dtype(x.dtype());
    Var::new(d.diag(0).narrow(0, 0, m).narrow(1, 0, n))
}
