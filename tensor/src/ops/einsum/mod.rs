//! Sums of products written as an equation of subscripts, reduced to views, sums and matrix products.

mod equation;

use equation::{LABELS, Label, resolve};

use crate::error::OrPanic;
use crate::{Dims, Error, ReshapeTarget, Result, Shape, Tensor};

/// What einsum does with its operands, so that the one algorithm serves tensors and what records operations on them.
pub trait Operand: Clone {
    /// The sizes of the dimensions.
    fn sizes(&self) -> Shape;
    /// The diagonal of dimensions `a` and `b` as the last dimension.
    fn take_diagonal(&self, a: isize, b: isize) -> Self;
    /// The dimensions in another order.
    fn reorder(&self, order: &[isize]) -> Self;
    /// The same elements in another shape.
    fn regroup(&self, shape: ReshapeTarget) -> Self;
    /// Dimensions of size 1 repeated to those of `shape`.
    fn stretch(&self, shape: Shape) -> Self;
    /// The sum over `dims`, which go away.
    fn add_up(&self, dims: Dims) -> Self;
    /// The product, element by element, broadcast.
    fn times(&self, other: &Self) -> Self;
    /// The matrix products of a batch.
    fn multiply(&self, other: &Self) -> Self;
}

impl Operand for Tensor {
    fn sizes(&self) -> Shape {
        self.shape().clone()
    }
    fn take_diagonal(&self, a: isize, b: isize) -> Self {
        self.diagonal(0, a, b)
    }
    fn reorder(&self, order: &[isize]) -> Self {
        self.permute(order)
    }
    fn regroup(&self, shape: ReshapeTarget) -> Self {
        self.reshape(shape)
    }
    fn stretch(&self, shape: Shape) -> Self {
        self.broadcast_to(shape)
    }
    fn add_up(&self, dims: Dims) -> Self {
        self.sum_dim(dims, false)
    }
    fn times(&self, other: &Self) -> Self {
        self.mul(other)
    }
    fn multiply(&self, other: &Self) -> Self {
        self.matmul(other)
    }
}

impl Tensor {
    /// The sum of products that `equation` describes (Einstein's convention).
    ///
    /// Each operand has a letter per dimension; letters that the output lacks are summed over. `"ij,jk->ik"` is the matrix
    /// product, `"bij,bjk->bik"` that of batches, `"ii->i"` the diagonal, `"ij->ji"` the transpose, `"i,j->ij"` the outer
    /// product. Without `->` the output has the letters that occur once, in alphabetical order. `...` stands for any number
    /// of dimensions, which broadcast. Sizes of 1 broadcast too; spaces mean nothing.
    ///
    /// With more than two operands, the pair whose product is smallest is multiplied first.
    ///
    /// # Numerics
    /// Products of two operands with a common sum are matrix products: see [`matmul`](Tensor::matmul).
    ///
    /// # Panics
    /// If the equation is malformed, does not fit the operands, or gives one letter two sizes.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (a, b) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([1.0, 10.0]));
    /// assert_eq!(Tensor::einsum("ij,j->i", &[&a, &b]).to_vec::<f64>(), [21.0, 43.0]);
    /// assert_eq!(Tensor::einsum("ii", &[&a]).item::<f64>(), 5.0);
    /// assert_eq!(Tensor::einsum("...j->...", &[&a]).to_vec::<f64>(), [3.0, 7.0]);
    /// ```
    #[track_caller]
    pub fn einsum(equation: &str, operands: &[&Tensor]) -> Tensor {
        einsum(equation, operands).or_panic()
    }

    /// The sum of products over dimensions `dims` of this tensor and `other_dims` of the other, paired in order; the
    /// remaining dimensions stay, this tensor's first. In a pair a size of 1 stretches.
    ///
    /// # Panics
    /// If the lists differ in length, or name a dimension that is not there or a pair of different sizes.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// let (a, b) = (Tensor::ones([2, 3, 4], DType::F32), Tensor::ones([4, 5, 3], DType::F32));
    /// assert_eq!(a.tensordot(&b, &[1, 2], &[2, 0]).dims(), [2, 5]);
    /// ```
    #[track_caller]
    pub fn tensordot(&self, other: &Tensor, dims: &[isize], other_dims: &[isize]) -> Tensor {
        tensordot(self, other, dims, other_dims).or_panic()
    }
}

/// [`Tensor::einsum`] for any kind of operand.
///
/// # Errors
/// If the equation is malformed, does not fit the operands, or gives one label two sizes.
pub fn einsum<T: Operand>(equation: &str, operands: &[&T]) -> Result<T> {
    let shapes: Vec<Shape> = operands.iter().map(|operand| operand.sizes()).collect();
    let (inputs, output) = resolve(equation, &shapes)?;
    let mut sizes = vec![1; LABELS];
    for (labels, shape) in inputs.iter().zip(&shapes) {
        labels.iter().zip(shape.iter()).filter(|(_, size)| **size != 1).for_each(|(&label, &size)| sizes[label] = size);
    }
    let mut terms: Vec<Term<T>> =
        operands.iter().zip(inputs).map(|(&operand, labels)| Term::new(operand.clone(), labels, &sizes)).collect();
    loop {
        for i in 0..terms.len() {
            let needed = needed(&terms, &[i], &output);
            terms[i].keep_only(&needed);
        }
        if terms.len() == 1 {
            break;
        }
        let (i, j) = cheapest_pair(&terms, &output, &sizes);
        let needed = needed(&terms, &[i, j], &output);
        let b = terms.remove(j);
        terms[i] = terms[i].multiply(&b, &needed, &sizes);
    }
    Ok(terms[0].arranged(&output))
}

/// [`Tensor::tensordot`] for any kind of operand.
///
/// # Errors
/// If the lists differ in length, or name a dimension that is not there or a pair of different sizes.
pub fn tensordot<T: Operand>(a: &T, b: &T, a_dims: &[isize], b_dims: &[isize]) -> Result<T> {
    let (a_shape, b_shape) = (a.sizes(), b.sizes());
    let shapes: [(&str, &[usize]); 2] = [("lhs", &a_shape), ("rhs", &b_shape)];
    let broken =
        |what: String| Error::shape("tensordot", what, &shapes, "as many dimensions from both, of equal sizes or 1");
    if a_dims.len() != b_dims.len() {
        return Err(broken(format!("{} dimensions of one operand, {} of the other", a_dims.len(), b_dims.len())));
    }
    let resolve = |dims: &[isize], shape: &Shape| match dims {
        [] => Ok(Default::default()),
        dims => Dims::from(dims).resolve("tensordot", shape.len()),
    };
    let (a_dims, b_dims) = (resolve(a_dims, &a_shape)?, resolve(b_dims, &b_shape)?);
    let (mut a_full, mut b_full) = (a_shape.to_vec(), b_shape.to_vec());
    for (&i, &j) in a_dims.iter().zip(&b_dims) {
        match (a_shape[i], b_shape[j]) {
            (m, n) if m == n => {}
            (1, n) => a_full[i] = n,
            (m, 1) => b_full[j] = m,
            (m, n) => return Err(broken(format!("dimension {i} has size {m}, dimension {j} has size {n}"))),
        }
    }
    let (a_shape, b_shape) = (Shape::from(a_full), Shape::from(b_full));
    let (a, b) = (&a.stretch(a_shape.clone()), &b.stretch(b_shape.clone()));
    let rest = |dims: &[usize], n: usize| (0..n).filter(|d| !dims.contains(d)).collect::<Vec<_>>();
    let (rows, columns) = (rest(&a_dims, a_shape.len()), rest(&b_dims, b_shape.len()));
    let size = |shape: &Shape, dims: &[usize]| dims.iter().map(|&d| shape[d]).collect::<Vec<_>>();
    let group = |operand: &T, [first, second]: [&[usize]; 2]| {
        let (shape, order) = (operand.sizes(), [first, second].concat());
        let sizes = [first, second].map(|dims| size(&shape, dims).iter().product::<usize>());
        operand.reorder(&signed(&order)).regroup(sizes.into())
    };
    let product = group(a, [&rows, &a_dims]).multiply(&group(b, [&b_dims, &columns]));
    Ok(product.regroup([size(&a_shape, &rows), size(&b_shape, &columns)].concat().into()))
}

/// An operand, or the product of some, with a different label for each dimension.
struct Term<T> {
    value: T,
    labels: Vec<Label>,
}

fn signed(dims: &[usize]) -> Vec<isize> {
    dims.iter().map(|&d| d as isize).collect()
}

impl<T: Operand> Term<T> {
    /// An operand with its diagonals taken, and without dimensions of size 1 that another operand stretches: the product
    /// broadcasts over what a factor lacks.
    fn new(value: T, labels: Vec<Label>, sizes: &[usize]) -> Term<T> {
        let mut term = Term { value, labels };
        while let Some((a, b)) = repeated(&term.labels) {
            term.value = term.value.take_diagonal(a as isize, b as isize);
            term.labels.remove(b);
            let label = term.labels.remove(a);
            term.labels.push(label);
        }
        let shape = term.value.sizes();
        let stays = |d: usize| shape[d] == sizes[term.labels[d]];
        let kept: Vec<usize> = (0..shape.len()).filter(|&d| stays(d)).collect();
        if kept.len() < shape.len() {
            term.value = term.value.regroup(kept.iter().map(|&d| shape[d]).collect::<Vec<usize>>().into());
            term.labels = kept.iter().map(|&d| term.labels[d]).collect();
        }
        term
    }

    /// Sums over the labels that are not in `needed`.
    fn keep_only(&mut self, needed: &[Label]) {
        let gone: Vec<isize> =
            (0..self.labels.len()).filter(|&d| !needed.contains(&self.labels[d])).map(|d| d as isize).collect();
        if !gone.is_empty() {
            self.value = self.value.add_up(gone.into());
            self.labels.retain(|label| needed.contains(label));
        }
    }

    /// The dimensions in the order of `labels`.
    fn arranged(&self, labels: &[Label]) -> T {
        let place = |label: &Label| self.labels.iter().position(|l| l == label).expect("a label of this term");
        let order: Vec<usize> = labels.iter().map(place).collect();
        if order.iter().enumerate().all(|(to, &from)| to == from) {
            return self.value.clone();
        }
        self.value.reorder(&signed(&order))
    }

    /// The product, summed over the common labels that are not in `needed`.
    fn multiply(&self, other: &Term<T>, needed: &[Label], sizes: &[usize]) -> Term<T> {
        let of =
            |labels: &[Label], f: &dyn Fn(&Label) -> bool| labels.iter().copied().filter(|l| f(l)).collect::<Vec<_>>();
        let batch = of(&self.labels, &|l| other.labels.contains(l) && needed.contains(l));
        let summed = of(&self.labels, &|l| other.labels.contains(l) && !needed.contains(l));
        let rows = of(&self.labels, &|l| !other.labels.contains(l));
        let columns = of(&other.labels, &|l| !self.labels.contains(l));
        let size = |labels: &[Label]| labels.iter().map(|&l| sizes[l]).collect::<Vec<usize>>();
        let labels = [&batch[..], &rows, &columns].concat();
        let value = if summed.is_empty() {
            let a = self.arranged(&[&batch[..], &rows].concat());
            let b = other.arranged(&[&batch[..], &columns].concat());
            let ones = |labels: &[Label]| vec![1; labels.len()];
            let a = a.regroup([size(&batch), size(&rows), ones(&columns)].concat().into());
            a.times(&b.regroup([size(&batch), ones(&rows), size(&columns)].concat().into()))
        } else {
            let group = |term: &Term<T>, parts: [&[Label]; 3]| {
                let sizes = parts.map(|part| size(part).iter().product::<usize>());
                term.arranged(&parts.concat()).regroup(sizes.into())
            };
            let product = group(self, [&batch, &rows, &summed]).multiply(&group(other, [&batch, &summed, &columns]));
            product.regroup(size(&labels).into())
        };
        Term { value, labels }
    }
}

/// Two dimensions with one label.
fn repeated(labels: &[Label]) -> Option<(usize, usize)> {
    (0..labels.len()).find_map(|b| labels[..b].iter().position(|&l| l == labels[b]).map(|a| (a, b)))
}

/// The labels that the output or a term outside `these` has.
fn needed<T>(terms: &[Term<T>], these: &[usize], output: &[Label]) -> Vec<Label> {
    let others = terms.iter().enumerate().filter(|(i, _)| !these.contains(i)).flat_map(|(_, term)| &term.labels);
    others.chain(output).copied().collect()
}

/// The pair of terms whose product adds the fewest elements to what they have.
fn cheapest_pair<T>(terms: &[Term<T>], output: &[Label], sizes: &[usize]) -> (usize, usize) {
    let count = |labels: &mut dyn Iterator<Item = &Label>| labels.map(|&l| sizes[l] as f64).product::<f64>();
    let pairs = (0..terms.len()).flat_map(|i| (i + 1..terms.len()).map(move |j| (i, j)));
    let growth = |&(i, j): &(usize, usize)| {
        let (a, b, needed) = (&terms[i].labels, &terms[j].labels, needed(terms, &[i, j], output));
        let mut union = a.iter().chain(b.iter().filter(|l| !a.contains(l))).filter(|l| needed.contains(l));
        count(&mut union) - count(&mut a.iter()) - count(&mut b.iter())
    };
    pairs.min_by(|a, b| growth(a).total_cmp(&growth(b))).expect("at least two terms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Generator};

    /// Every element of the output by its definition: over all values of all letters.
    fn plain(inputs: &[&str], output: &str, operands: &[&Tensor]) -> Tensor {
        let letters: Vec<char> = {
            let mut all: Vec<char> = inputs.join("").chars().collect();
            all.sort();
            all.dedup();
            all
        };
        let size = |c: char| {
            let sizes = inputs.iter().zip(operands).flat_map(|(s, t)| s.chars().zip(t.dims().to_vec()));
            sizes.filter(|(l, _)| *l == c).map(|(_, n)| n).fold(1, |size, n| if n == 1 { size } else { n })
        };
        let sizes: Vec<usize> = letters.iter().map(|&c| size(c)).collect();
        let shape: Vec<usize> = output.chars().map(size).collect();
        let mut sums = vec![0.0; shape.iter().product()];
        for mut rest in 0..sizes.iter().product::<usize>() {
            let mut index = vec![0; letters.len()];
            for d in (0..letters.len()).rev() {
                index[d] = rest % sizes[d];
                rest /= sizes[d];
            }
            let at = |c: char| index[letters.iter().position(|&l| l == c).unwrap()];
            let factor = |(s, t): (&&str, &&Tensor)| {
                let index: Vec<usize> = s.chars().zip(t.dims()).map(|(c, &n)| if n == 1 { 0 } else { at(c) }).collect();
                t.get::<f64>(&index)
            };
            let place = output.chars().fold(0, |place, c| place * size(c) + at(c));
            sums[place] += inputs.iter().zip(operands).map(factor).product::<f64>();
        }
        Tensor::from_vec(sums, shape)
    }

    #[test]
    fn equations_mean_what_they_say() {
        let mut g = Generator::new(5);
        let cases: [(&str, &[&[usize]]); 16] = [
            ("ij,jk->ik", &[&[2, 3], &[3, 4]]),
            ("bij,bjk->bik", &[&[2, 3, 4], &[2, 4, 5]]),
            ("bij,bjk->kib", &[&[2, 3, 4], &[2, 4, 5]]),
            ("ii->i", &[&[3, 3]]),
            ("iii->", &[&[3, 3, 3]]),
            ("iji,jj->ij", &[&[3, 2, 3], &[2, 2]]),
            ("i,j,k->kij", &[&[2], &[3], &[4]]),
            ("ij,jk,kl,l->i", &[&[2, 3], &[3, 4], &[4, 5], &[5]]),
            ("ab,bc,ca->", &[&[2, 3], &[3, 4], &[4, 2]]),
            ("ij,ij->ij", &[&[2, 3], &[2, 3]]),
            ("ij,ij->", &[&[2, 3], &[1, 3]]),
            ("ij,j->ij", &[&[2, 1], &[4]]),
            ("ij,kj->ik", &[&[2, 0], &[3, 0]]),
            ("ijk,Aj->kA", &[&[2, 3, 4], &[5, 3]]),
            (",i->i", &[&[], &[3]]),
            ("aij,ajk,akl->il", &[&[2, 3, 4], &[1, 4, 2], &[2, 2, 3]]),
        ];
        for (equation, shapes) in cases {
            let tensors: Vec<Tensor> = shapes.iter().map(|s| Tensor::randn_with(*s, DType::F64, &mut g)).collect();
            let operands: Vec<&Tensor> = tensors.iter().collect();
            let (inputs, output) = equation.split_once("->").unwrap();
            let expected = plain(&inputs.split(',').collect::<Vec<_>>(), output, &operands);
            let got = Tensor::einsum(equation, &operands);
            assert!(got.shape() == expected.shape() && got.allclose(&expected, 1e-12, 1e-12), "{equation}: {got}");
        }
    }

    #[test]
    fn outputs_that_are_not_written_and_ellipses() {
        let t = |shape: &[usize]| Tensor::ones(shape, DType::F64);
        let shape = |equation: &str, shapes: &[&[usize]]| {
            let tensors: Vec<Tensor> = shapes.iter().map(|s| t(s)).collect();
            Tensor::einsum(equation, &tensors.iter().collect::<Vec<_>>()).shape().to_vec()
        };
        assert_eq!(shape("ba", &[&[2, 3]]), [3, 2]);
        assert_eq!(shape("aB", &[&[2, 3]]), [3, 2]);
        assert_eq!(shape("ij, jk", &[&[2, 3], &[3, 4]]), [2, 4]);
        assert_eq!(shape("i...->...", &[&[3, 4, 5]]), [4, 5]);
        assert_eq!(shape("i...j->...", &[&[2, 4, 3]]), [4]);
        assert_eq!(shape("...ij,...jk->...ik", &[&[5, 1, 2, 3], &[6, 3, 4]]), [5, 6, 2, 4]);
        assert_eq!(shape("b...,a...", &[&[2, 3, 1], &[4, 5]]), [3, 5, 4, 2]);
        assert_eq!(shape("...ik, ...j -> ij", &[&[1, 2, 3], &[3]]), [2, 3]);
        assert_eq!(shape("->", &[&[]]), [0usize; 0]);
        assert_eq!(shape("i...->i", &[&[3]]), [3]);
    }

    #[test]
    fn tensordot_pairs_dimensions() {
        let mut g = Generator::new(6);
        let (a, b) =
            (Tensor::randn_with([2, 3, 4], DType::F64, &mut g), Tensor::randn_with([4, 5, 3], DType::F64, &mut g));
        let expected = Tensor::einsum("ijk,klj->il", &[&a, &b]);
        assert!(a.tensordot(&b, &[1, -1], &[2, 0]).allclose(&expected, 1e-12, 1e-12));
        assert_eq!(a.tensordot(&b, &[], &[]).dims(), [2, 3, 4, 4, 5, 3]);
    }
}
