//! Putting tensors together.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::map;
use crate::shape::resolve_dim;
use crate::{Error, Result, Shape, Tensor};

/// The shape of tensors of these shapes one after the other along dimension `dim`.
fn cat_shape(shapes: &[&[usize]], dim: usize) -> Result<Shape> {
    let mut shape = Shape::from(shapes[0]);
    for (i, other) in shapes.iter().enumerate().skip(1) {
        let clash = (0..shape.len().max(other.len())).find(|&d| d != dim && shape.get(d) != other.get(d));
        if other.len() != shape.len() || clash.is_some() {
            let what = format!("tensor {i} differs from tensor 0 outside dimension {dim}");
            let rule = "equal sizes in every other dimension";
            return Err(Error::shape("cat", what, &[("0", shapes[0]), (&i.to_string(), other)], rule));
        }
        shape.inner_mut()[dim] += other[dim];
    }
    Ok(shape)
}

impl Tensor {
    /// The tensors one after the other along dimension `dim`.
    ///
    /// # Panics
    /// If there is none, or they differ in another dimension.
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
        let Some(first) = tensors.first() else {
            return Err(Error::value("cat", "needs at least one tensor"));
        };
        let dim = resolve_dim("cat", dim, first.ndim())?;
        let dtype = tensors.iter().map(|t| t.dtype()).fold(first.dtype(), |a, b| a.promote(b));
        let shape = cat_shape(&tensors.iter().map(|t| t.dims()).collect::<Vec<_>>(), dim)?;
        shape.checked_numel()?;
        let outer: usize = shape[..dim].iter().product();
        let inner: usize = shape[dim + 1..].iter().product();
        let row = shape[dim] * inner;
        // Per tensor: its elements before `dim` merged, so that block i of the result is block i of each tensor.
        let parts: Vec<Tensor> = tensors.iter().map(|t| t.to_dtype(dtype)).collect();
        Ok(dispatch!(all dtype, T => Tensor::build::<T>(&shape, |out| {
            if outer == 1 {
                let mut rest = out;
                for part in &parts {
                    let (head, tail) = rest.split_at_mut(part.numel());
                    map::copy(part.view::<T>(), head);
                    rest = tail;
                }
                return;
            }
            let mut first = 0;
            for part in &parts {
                let width = part.dims()[dim] * inner;
                map::copy_blocks(part.view::<T>(), width, out, row, first);
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
}
