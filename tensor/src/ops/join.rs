//! Putting tensors together.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::map;
use crate::shape::resolve_dim;
use crate::{Error, Result, Shape, Tensor};

/// The shape of tensors of these shapes one after the other along `dim`, and that dimension. Vectors without an element
/// have no part, whatever the others look like, as in PyTorch.
fn cat_shape(shapes: &[&[usize]], dim: isize) -> Result<(Shape, usize)> {
    let counted = |shape: &&[usize]| **shape != [0];
    let first = shapes.iter().position(counted).unwrap_or(0);
    let mut shape = Shape::from(shapes[first]);
    let dim = resolve_dim("cat", dim, shape.len())?;
    for (i, other) in shapes.iter().enumerate().filter(|(i, other)| *i != first && counted(other)) {
        let clash = (0..shape.len().max(other.len())).find(|&d| d != dim && shape.get(d) != other.get(d));
        if other.len() != shape.len() || clash.is_some() {
            let what = format!("tensor {i} differs from tensor {first} outside dimension {dim}");
            let operands = [(&first.to_string()[..], shapes[first]), (&i.to_string(), other)];
            return Err(Error::shape("cat", what, &operands, "equal sizes in every other dimension"));
        }
        shape.inner_mut()[dim] += other[dim];
    }
    Ok((shape, dim))
}

impl Tensor {
    /// The tensors one after the other along dimension `dim`, in the dtype to which they promote. Vectors without an
    /// element are left out, whatever the shape of the others.
    ///
    /// # Panics
    /// If there is none, they differ in another dimension, or have none.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (a, b) = (Tensor::from([[1i64], [2]]), Tensor::from([[3i64, 4], [5, 6]]));
    /// assert_eq!(Tensor::cat(&[a, b], 1).to_vec::<i64>(), [1, 3, 4, 2, 5, 6]);
    /// ```
    #[track_caller]
    pub fn cat(tensors: &[Tensor], dim: isize) -> Tensor {
        Tensor::try_cat(tensors, dim).or_panic()
    }

    /// [`cat`](Tensor::cat) that returns its error.
    ///
    /// # Errors
    /// If there is no tensor, or they differ in another dimension.
    pub fn try_cat(tensors: &[Tensor], dim: isize) -> Result<Tensor> {
        let Some(dtype) = tensors.iter().map(|t| t.dtype()).reduce(|a, b| a.promote(b)) else {
            return Err(Error::value("cat", "needs at least one tensor"));
        };
        let (shape, dim) = cat_shape(&tensors.iter().map(|t| t.dims()).collect::<Vec<_>>(), dim)?;
        shape.checked_numel()?;
        let outer: usize = shape[..dim].iter().product();
        let inner: usize = shape[dim + 1..].iter().product();
        let row = shape[dim] * inner;
        // Per tensor: its elements before `dim` merged, so that block i of the result is block i of each tensor.
        let counted = tensors.iter().filter(|t| t.dims() != [0]);
        let parts: Vec<Tensor> = counted.map(|t| t.to_dtype(dtype)).collect();
        Ok(dispatch!(all dtype, T => Tensor::build::<T>(&shape, |out| {
            if outer == 1 {
                let mut rest = out;
                for part in &parts {
                    let (head, tail) = rest.split_at_mut(part.numel());
                    map::copy(part.elements::<T>(), head);
                    rest = tail;
                }
                return;
            }
            let mut first = 0;
            for part in &parts {
                let width = part.dims()[dim] * inner;
                map::copy_blocks(part.elements::<T>(), width, out, row, first);
                first += width;
            }
        })))
    }

    /// Tensors of one shape along a new dimension `dim`.
    ///
    /// # Panics
    /// If there is none, or their shapes differ.
    #[track_caller]
    pub fn stack(tensors: &[Tensor], dim: isize) -> Tensor {
        let unsqueezed: Vec<Tensor> = tensors.iter().map(|t| t.unsqueeze(dim)).collect();
        if let Some(other) = tensors.iter().find(|t| t.shape() != tensors[0].shape()) {
            let shapes: [(&str, &[usize]); 2] = [("0", tensors[0].shape()), ("other", other.shape())];
            panic!("{}", Error::shape("stack", "the shapes differ", &shapes, "equal shapes"));
        }
        Tensor::cat(&unsqueezed, dim)
    }

    /// The tensors side by side: vectors one after the other, matrices along their columns (dimension 1).
    ///
    /// # Panics
    /// As [`cat`](Tensor::cat).
    #[track_caller]
    pub fn hstack(tensors: &[Tensor]) -> Tensor {
        let lined: Vec<Tensor> = tensors.iter().map(|t| t.with_dims(1)).collect();
        let dim = lined.first().map_or(0, |t| t.ndim().min(2) as isize - 1);
        Tensor::cat(&lined, dim)
    }

    /// The tensors one below the other along dimension 0; a vector is a row.
    ///
    /// # Panics
    /// As [`cat`](Tensor::cat).
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (a, b) = (Tensor::from([1i64, 2]), Tensor::from([3i64, 4]));
    /// assert_eq!(Tensor::hstack(&[a.clone(), b.clone()]).shape(), &[4]);
    /// assert_eq!(Tensor::vstack(&[a.clone(), b.clone()]).to_vec::<i64>(), [1, 2, 3, 4]);
    /// assert_eq!(Tensor::column_stack(&[a, b]).to_vec::<i64>(), [1, 3, 2, 4]);
    /// ```
    #[track_caller]
    pub fn vstack(tensors: &[Tensor]) -> Tensor {
        Tensor::cat(&tensors.iter().map(|t| t.with_dims(2)).collect::<Vec<_>>(), 0)
    }

    /// The tensors side by side along dimension 1; a vector is a column.
    ///
    /// # Panics
    /// As [`cat`](Tensor::cat).
    #[track_caller]
    pub fn column_stack(tensors: &[Tensor]) -> Tensor {
        let column = |t: &Tensor| if t.ndim() < 2 { t.reshape([t.numel(), 1]) } else { t.clone() };
        Tensor::cat(&tensors.iter().map(column).collect::<Vec<_>>(), 1)
    }

    /// Dimensions of size 1 in front up to `ndim` dimensions.
    fn with_dims(&self, ndim: usize) -> Tensor {
        (self.ndim()..ndim).fold(self.clone(), |t, _| t.unsqueeze(0))
    }
}
