//! Joining tensors and taking them apart.

use std::borrow::Borrow;

use tensor::{Cuts, Indexing, Shape, Sizes, Tensor, resolve_dim};

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
        // A vector without an element has no part, whatever the result's shape.
        let length = |input: &Tensor| if input.dims() == [0] { None } else { Some(input.dim(dim)) };
        let lengths: Vec<Option<usize>> = values.iter().map(length).collect();
        Var::record("cat", value, inputs, move |dy, need| {
            let mut start = 0;
            let part = |(i, len): (usize, &Option<usize>)| {
                let part = need.of(i, || match *len {
                    Some(len) => dy.narrow(dim, start, len),
                    None => Var::new(Tensor::zeros([0], dy.dtype())),
                });
                start += len.unwrap_or(0);
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

    /// The values side by side: vectors one after another, matrices along their columns.
    ///
    /// # Gradient
    /// To each its part of `dy`, a view.
    #[track_caller]
    pub fn hstack<V: Borrow<Var>>(vars: &[V]) -> Var {
        let lined = with_dims(vars, 1);
        let dim = lined.first().map_or(0, |var| var.ndim().min(2) as isize - 1);
        Var::cat(&lined, dim)
    }

    /// The values one below another; a vector is a row.
    ///
    /// # Gradient
    /// To each its part of `dy`, a view.
    #[track_caller]
    pub fn vstack<V: Borrow<Var>>(vars: &[V]) -> Var {
        Var::cat(&with_dims(vars, 2), 0)
    }

    /// The values side by side along dimension 1; a vector is a column.
    ///
    /// # Gradient
    /// To each its part of `dy`, a view.
    #[track_caller]
    pub fn column_stack<V: Borrow<Var>>(vars: &[V]) -> Var {
        let column = |var: &Var| if var.ndim() < 2 { var.reshape([var.numel(), 1]) } else { var.clone() };
        Var::cat(&vars.iter().map(|var| column(var.borrow())).collect::<Vec<_>>(), 1)
    }

    /// Over the grid that vectors span, each of them as a value that is constant in all other dimensions.
    ///
    /// # Gradient
    /// To each its `dy`, summed over the other dimensions.
    #[track_caller]
    pub fn meshgrid<V: Borrow<Var>>(vars: &[V], indexing: Indexing) -> Vec<Var> {
        let values: Vec<Tensor> = vars.iter().map(|var| var.borrow().value()).collect();
        let grids = Tensor::meshgrid(&values, indexing);
        let n = grids.len();
        let grid = |(d, (var, grid)): (usize, (&V, Tensor))| {
            // Where the vector runs, as the dimensions lie in the result.
            let along = if indexing == Indexing::Xy && n > 1 && d < 2 { 1 - d } else { d };
            let shape = var.borrow().shape();
            Var::record_unary("meshgrid", grid, var.borrow(), move |dy| {
                let others: Vec<isize> = (0..n).filter(|&other| other != along).map(|other| other as isize).collect();
                if others.is_empty() { dy.reshape(&shape) } else { dy.sum_dim(others, false).reshape(&shape) }
            })
        };
        vars.iter().zip(grids).enumerate().map(grid).collect()
    }

    /// All combinations of an element of each vector, a row for each.
    ///
    /// # Gradient
    /// To each its `dy`, summed over the rows in which an element stands.
    #[track_caller]
    pub fn cartesian_prod<V: Borrow<Var>>(vars: &[V]) -> Var {
        let columns: Vec<Var> = Var::meshgrid(vars, Indexing::Ij).iter().map(Var::ravel).collect();
        if columns.len() == 1 { columns[0].clone() } else { Var::stack(&columns, 1) }
    }

    /// Pieces along `dim`: of one size (the last may be shorter), or of each size in a list.
    ///
    /// # Gradient
    /// The pieces' gradients joined: one copy for all of them.
    #[track_caller]
    pub fn split(&self, sizes: impl Into<Sizes>, dim: isize) -> Vec<Var> {
        let pieces = self.tensor().split(sizes, dim);
        self.joined("split", pieces, dim)
    }

    /// Pieces along `dim`: `n` of nearly equal size, or cut before each position of a list.
    ///
    /// # Gradient
    /// To `x` the pieces' gradients in their places; this copies.
    #[track_caller]
    pub fn tensor_split(&self, cuts: impl Into<Cuts>, dim: isize) -> Vec<Var> {
        let cuts = cuts.into();
        let pieces = self.tensor().tensor_split(cuts.clone(), dim);
        if let Cuts::Pieces(_) = cuts {
            return self.joined("tensor_split", pieces, dim);
        }
        // Cuts out of order make pieces that overlap.
        let bounds = |(k, piece): (usize, &Tensor)| {
            let Cuts::Before(cuts) = &cuts else { unreachable!("the other case returned") };
            let start = if k == 0 { 0 } else { cuts[k - 1] };
            (start, piece.dim(dim))
        };
        let n = self.dim(dim) as isize;
        let parts: Vec<(isize, usize)> = pieces.iter().enumerate().map(bounds).collect();
        let clamped = |start: isize| if start < 0 { (start + n).max(0) } else { start.min(n) };
        parts.into_iter().map(|(start, len)| self.narrow(dim, clamped(start), len)).collect()
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

/// The values with dimensions of size 1 in front up to `ndim` dimensions.
fn with_dims<V: Borrow<Var>>(vars: &[V], ndim: usize) -> Vec<Var> {
    let with = |var: &Var| (var.ndim()..ndim).fold(var.clone(), |var, _| var.unsqueeze(0));
    vars.iter().map(|var| with(var.borrow())).collect()
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
        sample("hstack", &[REAL, REAL], same, |v, _| Var::hstack(v).into()),
        sample("vstack", &[REAL, REAL], same, |v, _| Var::vstack(v).into()),
        sample("column_stack", &[REAL, REAL], same, |v, _| Var::column_stack(v).into()),
        sample("meshgrid", &[REAL, REAL, REAL], vectors, |v, p| {
            Var::meshgrid(v, if p.coin() { Indexing::Ij } else { Indexing::Xy })
        }),
        sample("cartesian_prod", &[REAL, REAL], vectors, |v, _| Var::cartesian_prod(v).into()),
        sample("split", &[REAL], rows, |v, p| v[0].split(1 + p.below(3), p.dim(v[0].ndim()))),
        sample("split", &[REAL], rows, |v, p| {
            let dim = p.dim(v[0].ndim());
            let first = p.below(v[0].dim(dim) + 1);
            v[0].split([first, v[0].dim(dim) - first], dim)
        }),
        sample("tensor_split", &[REAL], rows, |v, p| v[0].tensor_split(1 + p.below(3), p.dim(v[0].ndim()))),
        sample("tensor_split", &[REAL], rows, |v, p| {
            let cuts = [p.below(7) as isize - 3, p.below(7) as isize - 3];
            v[0].tensor_split(cuts, p.dim(v[0].ndim()))
        }),
        sample("chunk", &[REAL], rows, |v, p| v[0].chunk(1 + p.below(3), p.dim(v[0].ndim()))),
        sample("unbind", &[REAL], rows, |v, p| v[0].unbind(p.dim(v[0].ndim()))),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    fn split(a: &Args) -> Outcome {
        let (x, dim) = (a.var(0, "input")?, a.int_or(2, "dim", 0)?);
        done(match a.raw(1, "split_size") {
            Some(Arg::List(_)) => x.split(a.sizes(1, "split_size")?, dim),
            _ => x.split(a.size(1, "split_size")?, dim),
        })
    }
    fn indexing(a: &Args) -> Result<Indexing, Skip> {
        Ok(if a.text(usize::MAX, "indexing", "ij")? == "xy" { Indexing::Xy } else { Indexing::Ij })
    }
    vec![
        torch("cat", &["cat"], |a| done(Var::cat(&a.vars(0, "tensors")?, a.int_or(1, "dim", 0)?))),
        torch("hstack", &["hstack"], |a| done(Var::hstack(&a.vars(0, "tensors")?))),
        torch("vstack", &["vstack"], |a| done(Var::vstack(&a.vars(0, "tensors")?))),
        torch("column_stack", &["column_stack"], |a| done(Var::column_stack(&a.vars(0, "tensors")?))),
        torch("cartesian_prod", &["cartesian_prod"], |a| {
            let vectors: Result<Vec<Var>, Skip> = (0..a.len()).map(|i| a.var(i, "tensors")).collect();
            done(Var::cartesian_prod(&vectors?))
        }),
        torch("stack", &["stack"], |a| done(Var::stack(&a.vars(0, "tensors")?, a.int_or(1, "dim", 0)?))),
        torch("split", &["split"], split),
        torch("split:list_args", &["split"], split),
        torch("split_with_sizes", &["split"], split),
        torch("chunk", &["chunk"], |a| done(a.var(0, "input")?.chunk(a.size(1, "chunks")?, a.int_or(2, "dim", 0)?))),
        torch("tensor_split", &["tensor_split"], |a| {
            let (x, dim) = (a.var(0, "input")?, a.int_or(2, "dim", 0)?);
            let cuts = match a.raw(1, "indices_or_sections") {
                Some(Arg::Tensor(t)) if t.ndim() == 0 => Cuts::Pieces(t.item::<i64>() as usize),
                Some(Arg::Tensor(t)) => Cuts::Before(t.to_vec::<i64>().into_iter().map(|at| at as isize).collect()),
                Some(Arg::List(_)) => Cuts::Before(a.ints(1, "indices_or_sections")?),
                _ => Cuts::Pieces(a.size(1, "indices_or_sections")?),
            };
            done(x.tensor_split(cuts, dim))
        }),
        torch("unbind", &["unbind"], |a| done(a.var(0, "input")?.unbind(a.int_or(1, "dim", 0)?))),
        torch("meshgrid:variadic_tensors", &["meshgrid"], |a| {
            let vectors: Result<Vec<Var>, Skip> = (0..a.len()).map(|i| a.var(i, "tensors")).collect();
            done(Var::meshgrid(&vectors?, indexing(a)?))
        }),
        torch("meshgrid:list_of_tensors", &["meshgrid"], |a| done(Var::meshgrid(&a.vars(0, "tensors")?, indexing(a)?))),
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
    fn a_vector_without_elements_joins_anything() {
        let x = Var::new(Tensor::from([[1.0], [2.0]])).requires_grad_(true);
        let nothing = Var::new(Tensor::from_vec(Vec::<f64>::new(), [0])).requires_grad_(true);
        Var::cat(&[&nothing, &x], 1).square().sum().backward();
        assert_eq!(x.grad().unwrap().to_vec::<f64>(), [2.0, 4.0]);
        assert_eq!(nothing.grad().unwrap().shape(), [0]);
    }

    #[test]
    fn one_tensor_joined_with_itself() {
        let x = Var::new(Tensor::from([1.0, 2.0])).requires_grad_(true);
        Var::cat(&[&x, &x], 0).sum().backward();
        assert_eq!(x.grad().unwrap().to_vec::<f64>(), [2.0, 2.0]);
    }
}
