//! How a tensor's elements lie in its storage: shape, strides and offset. Views are layouts, nothing else.

use smallvec::SmallVec;

use crate::shape::{INLINE, Strides, copied, resolve_dim};
use crate::{Error, Result, Shape};

/// Element `[i0, i1, ..]` lies at `offset + i0 * strides[0] + i1 * strides[1] + ..`, counted in elements.
///
/// Invariant: for a non-empty shape every reachable position lies inside the storage. Each constructor below keeps it,
/// and the kernels' unchecked accesses rest on it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) shape: Shape,
    pub(crate) strides: Strides,
    pub(crate) offset: usize,
}

impl Clone for Layout {
    #[inline]
    fn clone(&self) -> Layout {
        Layout { shape: self.shape.clone(), strides: copied(&self.strides), offset: self.offset }
    }
}

impl Layout {
    #[inline]
    pub(crate) fn contiguous(shape: Shape) -> Self {
        let strides = shape.contiguous_strides();
        Layout { shape, strides, offset: 0 }
    }

    /// Row-major without gaps (sizes of 1 may have any stride; an empty tensor is contiguous).
    #[inline]
    pub(crate) fn is_contiguous(&self) -> bool {
        let mut expected = 1isize;
        for (&size, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if size != 1 {
                if stride != expected {
                    return self.shape.numel() == 0;
                }
                expected *= size as isize;
            }
        }
        true
    }

    /// The storage position of the element at `index` (which must be in range).
    pub(crate) fn position(&self, index: &[usize]) -> usize {
        let shift: isize = index.iter().zip(&self.strides).map(|(&i, &s)| i as isize * s).sum();
        (self.offset as isize + shift) as usize
    }

    pub(crate) fn transpose(&self, a: usize, b: usize) -> Layout {
        let mut view = self.clone();
        view.shape.inner_mut().swap(a, b);
        view.strides.swap(a, b);
        view
    }

    /// `order` must be a permutation of the dimensions.
    pub(crate) fn permute(&self, order: &[usize]) -> Layout {
        Layout {
            shape: order.iter().map(|&d| self.shape[d]).collect(),
            strides: order.iter().map(|&d| self.strides[d]).collect(),
            offset: self.offset,
        }
    }

    pub(crate) fn unsqueeze(&self, dim: usize) -> Layout {
        let mut view = self.clone();
        // The stride of a size-1 dimension is never used; this value keeps contiguous layouts looking contiguous.
        let stride = if dim < self.strides.len() { self.strides[dim] * self.shape[dim] as isize } else { 1 };
        view.shape.inner_mut().insert(dim, 1);
        view.strides.insert(dim, stride);
        view
    }

    pub(crate) fn remove(&self, dim: usize) -> Layout {
        let mut view = self.clone();
        view.shape.inner_mut().remove(dim);
        view.strides.remove(dim);
        view
    }

    pub(crate) fn expand(&self, op: &str, to: &Shape) -> Result<Layout> {
        let missing = to.len().checked_sub(self.shape.len());
        let fits = |lead: usize| self.shape.iter().zip(&to[lead..]).all(|(&have, &want)| have == want || have == 1);
        match missing {
            Some(lead) if fits(lead) => {
                to.checked_numel()?;
                let mut strides = Strides::from_elem(0, to.len());
                for (d, (&size, &stride)) in self.shape.iter().zip(&self.strides).enumerate() {
                    strides[lead + d] = if size == to[lead + d] { stride } else { 0 };
                }
                Ok(Layout { shape: to.clone(), strides, offset: self.offset })
            }
            _ => Err(Error::shape(
                op,
                "the shape cannot be stretched to the target",
                &[("from", &self.shape), ("to", to)],
                "aligned at the last dimension, each size is equal or 1",
            )),
        }
    }

    /// Elements `start, start + step, ..` of dimension `dim`, `len` of them.
    pub(crate) fn slice(&self, op: &str, dim: isize, start: usize, len: usize, step: usize) -> Result<Layout> {
        let d = resolve_dim(op, dim, self.shape.len())?;
        let size = self.shape[d];
        let end =
            if len == 0 { Some(start) } else { (len - 1).checked_mul(step).and_then(|e| e.checked_add(start + 1)) };
        if start > size || end.is_none_or(|end| end > size) {
            let what = format!("start {start} with {len} elements leaves dimension {d} of size {size}");
            return Err(Error::shape(op, what, &[("tensor", &self.shape)], "start + length <= size"));
        }
        let mut view = self.clone();
        view.shape.inner_mut()[d] = len;
        // The stride of a single element is never used, and might not even fit.
        if len > 1 {
            view.strides[d] *= step as isize;
        }
        // An empty view stays where it was, so that the offset of every layout is inside its storage.
        if view.shape.numel() > 0 {
            view.offset = (view.offset as isize + start as isize * self.strides[d]) as usize;
        }
        Ok(view)
    }

    /// Positions `offset + i0 * strides[0] + ..` among the elements of this layout, which is contiguous.
    pub(crate) fn as_strided(&self, shape: Shape, strides: &[isize], offset: usize) -> Result<Layout> {
        let size = self.shape.numel();
        let refused = |what: String| {
            let operands: [(&str, &[usize]); 2] = [("tensor", &self.shape), ("shape", &shape)];
            Err(Error::shape("as_strided", what, &operands, "0 <= offset + sum of index * stride < elements"))
        };
        if strides.len() != shape.len() {
            return refused(format!("{} strides for {} dimensions", strides.len(), shape.len()));
        }
        if shape.checked_numel()? == 0 {
            return Ok(Layout { strides: shape.contiguous_strides(), shape, offset: self.offset });
        }
        // The first and the last position that the indices reach.
        let (mut first, mut last) = (Some(offset as i128), Some(offset as i128));
        for (&n, &stride) in shape.iter().zip(strides) {
            let reach = (n as i128 - 1).checked_mul(stride as i128);
            let end = if stride < 0 { &mut first } else { &mut last };
            *end = end.zip(reach).and_then(|(end, reach)| end.checked_add(reach));
        }
        match (first, last) {
            (Some(0..), Some(last)) if last < size as i128 => {
                // The stride of a single element is never used; left as it is, it might overflow what is made from it.
                let used = shape.iter().zip(strides).map(|(&n, &stride)| if n == 1 { 1 } else { stride });
                Ok(Layout { strides: used.collect(), offset: self.offset + offset, shape })
            }
            _ => refused(format!("strides {strides:?} from {offset} on leave the {size} elements")),
        }
    }

    pub(crate) fn flip(&self, dims: &[usize]) -> Layout {
        let mut view = self.clone();
        for &d in dims {
            if self.shape.numel() > 0 {
                view.offset = (view.offset as isize + (self.shape[d] as isize - 1) * self.strides[d]) as usize;
            }
            view.strides[d] = -view.strides[d];
        }
        view
    }

    /// The same elements under another shape, if strides can express it; `shape` has as many elements as this one.
    pub(crate) fn reshape(&self, shape: &Shape) -> Option<Layout> {
        if self.is_contiguous() {
            return Some(Layout { strides: shape.contiguous_strides(), shape: shape.clone(), offset: self.offset });
        }
        // Merge what can be merged, then hand the runs out to the new dimensions from the last one on.
        let merged = merge(&self.shape, [&self.strides]);
        let mut groups = merged.iter().rev();
        let mut strides = Strides::from_elem(1, shape.len());
        let (mut left, mut stride) = (1usize, 1isize);
        for d in (0..shape.len()).rev() {
            if shape[d] == 1 {
                continue;
            }
            if left == 1 {
                let (size, [s]) = groups.next()?;
                (left, stride) = (*size, *s);
            }
            if left % shape[d] != 0 {
                return None;
            }
            strides[d] = stride;
            stride *= shape[d] as isize;
            left /= shape[d];
        }
        (left == 1 && groups.next().is_none()).then(|| Layout { shape: shape.clone(), strides, offset: self.offset })
    }
}

/// The dimensions of `shape` with sizes of 1 dropped and neighbours merged wherever all operands' strides allow it:
/// `(size, stride of each operand)` from the outermost to the innermost.
pub(crate) fn merge<const N: usize>(
    shape: &[usize],
    strides: [&[isize]; N],
) -> SmallVec<[(usize, [isize; N]); INLINE]> {
    let mut merged: SmallVec<[(usize, [isize; N]); INLINE]> = SmallVec::new();
    for (d, &size) in shape.iter().enumerate() {
        if size == 1 {
            continue;
        }
        let steps: [isize; N] = std::array::from_fn(|k| strides[k][d]);
        if let Some((outer, outer_steps)) = merged.last_mut()
            && (0..N).all(|k| outer_steps[k] == steps[k] * size as isize)
        {
            *outer *= size;
            *outer_steps = steps;
        } else {
            merged.push((size, steps));
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_keeps_only_real_jumps() {
        let layout = Layout::contiguous([2, 1, 3, 4].into());
        assert_eq!(merge(&layout.shape, [&layout.strides]).as_slice(), &[(24, [1])]);
        let t = Layout::contiguous([2, 3, 4].into()).transpose(0, 1);
        assert_eq!(merge(&t.shape, [&t.strides]).len(), 3);
    }

    #[test]
    fn strides_stay_inside() {
        let ten = Layout { offset: 3, ..Layout::contiguous([10].into()) };
        let of = |shape: &[usize], strides: &[isize], offset| ten.as_strided(shape.into(), strides, offset);
        let view = of(&[2, 3], &[-4, 2], 5).unwrap();
        assert_eq!((view.position(&[0, 0]), view.position(&[1, 0]), view.position(&[1, 2])), (8, 4, 8));
        assert_eq!(of(&[], &[], 9).unwrap().position(&[]), 12);
        assert_eq!(of(&[1, 2], &[isize::MAX, 1], 0).unwrap().strides.as_slice(), &[1, 1]);
        // Nothing is in an empty view, wherever it lies; repeated elements take no memory.
        assert_eq!(of(&[0, 5], &[isize::MAX, isize::MIN], usize::MAX).unwrap().offset, 3);
        assert_eq!(of(&[1 << 40], &[0], 9).unwrap().shape.numel(), 1 << 40);
        for (shape, strides, offset) in [
            (&[2][..], &[1, 1][..], 0),
            (&[], &[], 10),
            (&[], &[], usize::MAX),
            (&[2], &[10], 0),
            (&[2, 2], &[5, 5], 0),
            (&[2], &[-1], 0),
            (&[usize::MAX], &[isize::MAX], usize::MAX),
            (&[usize::MAX], &[isize::MIN], 0),
            (&[2, 2], &[isize::MAX, isize::MIN], 5),
            (&[usize::MAX, 2], &[0, 0], 0),
        ] {
            assert!(of(shape, strides, offset).is_err(), "{shape:?} {strides:?} {offset}");
        }
    }

    #[test]
    fn reshape_of_a_view_is_a_view_only_when_strides_allow() {
        let t = Layout::contiguous([2, 3, 4].into()).permute(&[1, 0, 2]);
        assert!(t.reshape(&[6, 4].into()).is_none());
        assert_eq!(t.reshape(&[3, 2, 2, 2].into()).unwrap().strides.as_slice(), &[4, 12, 2, 1]);
    }
}
