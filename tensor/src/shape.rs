//! Shapes, dimension arguments, and the rules that several operations share.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

use crate::{Error, Result};

/// Tensors of up to this many dimensions keep shape and strides inline.
pub(crate) const INLINE: usize = 5;

/// The sizes of a tensor's dimensions; `[]` is a scalar. Dereferences to `[usize]`.
///
/// ```
/// use tensor::Shape;
/// let shape = Shape::from([2, 3]);
/// assert_eq!(shape.numel(), 6);
/// assert_eq!(shape[1], 3);
/// ```
#[derive(PartialEq, Eq, Hash, Default)]
pub struct Shape(SmallVec<[usize; INLINE]>);

impl Clone for Shape {
    #[inline]
    fn clone(&self) -> Shape {
        Shape(copied(&self.0))
    }
}

/// A copy that goes through registers when it is short: no call, and no vector loads of words that were just stored.
#[inline]
pub(crate) fn copied<T: Copy + Default>(from: &[T]) -> SmallVec<[T; INLINE]> {
    if from.len() > INLINE {
        return SmallVec::from_slice(from);
    }
    let at = |i: usize| from.get(i).copied().unwrap_or_default();
    SmallVec::from_buf_and_len([at(0), at(1), at(2), at(3), at(4)], from.len())
}

impl Shape {
    /// The number of elements; 1 for a scalar, 0 as soon as one size is 0.
    #[inline]
    pub fn numel(&self) -> usize {
        self.0.iter().product()
    }

    /// The number of elements, or an error when it does not fit in memory's address space.
    pub fn checked_numel(&self) -> Result<usize> {
        let fits = |n: usize| n <= (isize::MAX as usize) / 16;
        // A zero size makes the tensor empty whatever the other sizes claim, but their product must still be sane.
        let product =
            self.0.iter().filter(|&&n| n != 0).try_fold(1usize, |p, &n| p.checked_mul(n).filter(|&p| fits(p)));
        match product {
            Some(p) => Ok(if self.0.contains(&0) { 0 } else { p }),
            None => Err(Error::shape("shape", "too many elements for this machine", &[("shape", &self.0)], "")),
        }
    }

    /// The strides of a row-major tensor of this shape, in elements.
    #[inline]
    pub(crate) fn contiguous_strides(&self) -> Strides {
        if self.0.len() <= INLINE {
            // In registers, as in `copied`: dimensions that are not there count as 1.
            let size = |d: usize| self.0.get(d).map_or(1, |&size| size.max(1) as isize);
            let (three, two, one) = (size(4), size(4) * size(3), size(4) * size(3) * size(2));
            return Strides::from_buf_and_len([one * size(1), one, two, three, 1], self.0.len());
        }
        let mut strides = Strides::from_elem(0, self.0.len());
        let mut stride = 1;
        for d in (0..self.0.len()).rev() {
            strides[d] = stride;
            stride *= self.0[d].max(1) as isize;
        }
        strides
    }

    /// The sizes as a vector.
    pub fn to_vec(&self) -> Vec<usize> {
        self.0.to_vec()
    }

    pub(crate) fn inner_mut(&mut self) -> &mut SmallVec<[usize; INLINE]> {
        &mut self.0
    }
}

/// Strides in elements; negative after `flip`, zero after `expand`.
pub(crate) type Strides = SmallVec<[isize; INLINE]>;

impl Deref for Shape {
    type Target = [usize];
    #[inline]
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0[..], f)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0[..], f)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    #[inline]
    fn from(sizes: [usize; N]) -> Self {
        Shape(SmallVec::from_slice(&sizes))
    }
}
impl From<&[usize]> for Shape {
    #[inline]
    fn from(sizes: &[usize]) -> Self {
        Shape(SmallVec::from_slice(sizes))
    }
}
impl From<Vec<usize>> for Shape {
    fn from(sizes: Vec<usize>) -> Self {
        Shape(SmallVec::from_vec(sizes))
    }
}
impl From<&Vec<usize>> for Shape {
    fn from(sizes: &Vec<usize>) -> Self {
        Shape(SmallVec::from_slice(sizes))
    }
}
impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}
impl From<()> for Shape {
    fn from((): ()) -> Self {
        Shape::default()
    }
}
impl From<usize> for Shape {
    fn from(size: usize) -> Self {
        Shape::from([size])
    }
}
impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(sizes: I) -> Self {
        Shape(sizes.into_iter().collect())
    }
}
impl PartialEq<[usize]> for Shape {
    fn eq(&self, other: &[usize]) -> bool {
        **self == *other
    }
}
impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, other: &[usize; N]) -> bool {
        **self == other[..]
    }
}

/// Which dimensions an operation runs over: one, several, or (an empty list) all. Negative ones count from the end.
#[derive(Debug, Clone, Default)]
pub struct Dims(SmallVec<[isize; INLINE]>);

impl From<isize> for Dims {
    fn from(dim: isize) -> Self {
        Dims(SmallVec::from_slice(&[dim]))
    }
}
impl<const N: usize> From<[isize; N]> for Dims {
    fn from(dims: [isize; N]) -> Self {
        Dims(SmallVec::from_slice(&dims))
    }
}
impl From<&[isize]> for Dims {
    fn from(dims: &[isize]) -> Self {
        Dims(SmallVec::from_slice(dims))
    }
}
impl From<Vec<isize>> for Dims {
    fn from(dims: Vec<isize>) -> Self {
        Dims(SmallVec::from_vec(dims))
    }
}
impl From<&Dims> for Dims {
    fn from(dims: &Dims) -> Self {
        dims.clone()
    }
}

impl Dims {
    /// The dimensions as non-negative numbers in the order given; all of them when none was given.
    pub fn resolve(&self, op: &str, ndim: usize) -> Result<SmallVec<[usize; INLINE]>> {
        if self.0.is_empty() {
            return Ok((0..ndim).collect());
        }
        let mut resolved = SmallVec::new();
        for &dim in &self.0 {
            // PyTorch lets dim 0 and -1 name the only element of a scalar.
            if ndim == 0 && (dim == 0 || dim == -1) {
                continue;
            }
            let dim = resolve_dim(op, dim, ndim)?;
            if resolved.contains(&dim) {
                return Err(Error::index(op, format!("dimension {dim} is named twice in {:?}", self.0.as_slice())));
            }
            resolved.push(dim);
        }
        Ok(resolved)
    }
}

/// Dimension `dim` of `ndim` as a non-negative number.
pub fn resolve_dim(op: &str, dim: isize, ndim: usize) -> Result<usize> {
    let n = ndim as isize;
    if (-n..n).contains(&dim) {
        Ok((if dim < 0 { dim + n } else { dim }) as usize)
    } else {
        let range = if n == 0 { "a scalar has none".to_string() } else { format!("must be in {}..{}", -n, n) };
        Err(Error::index(op, format!("dimension {dim} is out of range for a {ndim}-d tensor: {range}")))
    }
}

/// The common shape of `a` and `b`: sizes are aligned at the last dimension, and a 1 stretches.
///
/// ```
/// let shape = tensor::broadcast_shapes("add", &[3, 1], &[2, 1, 4]).unwrap();
/// assert_eq!(shape, [2, 3, 4]);
/// ```
pub fn broadcast_shapes(op: &str, a: &[usize], b: &[usize]) -> Result<Shape> {
    if a == b {
        return Ok(Shape::from(a));
    }
    let n = a.len().max(b.len());
    let size = |s: &[usize], d: usize| if d + s.len() >= n { s[d + s.len() - n] } else { 1 };
    (0..n)
        .map(|d| match (size(a, d), size(b, d)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            (x, y) => Err(Error::shape(
                op,
                format!("cannot broadcast, {x} != {y} at dimension {}", d as isize - n as isize),
                &[("lhs", a), ("rhs", b)],
                "sizes aligned at the last dimension are equal, or one of them is 1",
            )),
        })
        .collect()
}

/// A whole number of any type, as sizes and positions are given: `reshape([2, -1])`, `select(0, -1)`.
pub trait Whole: Copy {
    /// The number as a signed integer; one that is too large becomes the greatest there is.
    fn signed(self) -> isize;
}
macro_rules! whole {
    ($($t:ty),*) => {$(
        impl Whole for $t {
            fn signed(self) -> isize {
                isize::try_from(self).unwrap_or(if self > 0 { isize::MAX } else { isize::MIN })
            }
        }
    )*};
}
whole!(usize, isize, i32, i64);

/// The target of a `reshape` or an `expand`: sizes, and -1 for the one that follows from the rest.
#[derive(Debug, Clone)]
pub struct ReshapeTarget(SmallVec<[isize; INLINE]>);

impl<S: Whole, const N: usize> From<[S; N]> for ReshapeTarget {
    fn from(sizes: [S; N]) -> Self {
        ReshapeTarget(sizes.iter().map(|s| s.signed()).collect())
    }
}
impl<S: Whole> From<&[S]> for ReshapeTarget {
    fn from(sizes: &[S]) -> Self {
        ReshapeTarget(sizes.iter().map(|s| s.signed()).collect())
    }
}
impl<S: Whole> From<Vec<S>> for ReshapeTarget {
    fn from(sizes: Vec<S>) -> Self {
        ReshapeTarget(sizes.iter().map(|s| s.signed()).collect())
    }
}
impl From<&Shape> for ReshapeTarget {
    fn from(shape: &Shape) -> Self {
        ReshapeTarget(shape.iter().map(|&s| s as isize).collect())
    }
}
impl From<Shape> for ReshapeTarget {
    fn from(shape: Shape) -> Self {
        ReshapeTarget::from(&shape)
    }
}

impl From<()> for ReshapeTarget {
    fn from((): ()) -> Self {
        ReshapeTarget(SmallVec::new())
    }
}

impl ReshapeTarget {
    /// The shape that this target gives a tensor of shape `from` which `op` reshapes; -1 is whatever is left.
    pub fn resolve(&self, op: &str, from: &Shape) -> Result<Shape> {
        let fail = |what: String| Err(Error::shape(op, what, &[("from", from)], "the number of elements stays"));
        let numel = from.numel();
        let mut known = 1usize;
        let mut unknown = None;
        for (d, &size) in self.0.iter().enumerate() {
            match size {
                -1 if unknown.is_none() => unknown = Some(d),
                -1 => return fail(format!("more than one -1 in {:?}", self.0.as_slice())),
                s if s < 0 => return fail(format!("negative size {s} in {:?}", self.0.as_slice())),
                s => known = known.saturating_mul(s as usize),
            }
        }
        let mut shape: Shape = self.0.iter().map(|&s| s.max(0) as usize).collect();
        match unknown {
            Some(d) if known > 0 && numel.is_multiple_of(known) => shape.0[d] = numel / known,
            Some(_) if known == 0 => return fail(format!("-1 is ambiguous in {:?}", self.0.as_slice())),
            None if known == numel => {}
            _ => return fail(format!("{numel} elements do not fit {:?}", self.0.as_slice())),
        }
        shape.checked_numel()?;
        Ok(shape)
    }

    /// The shape to which `op` stretches a tensor of shape `from`; -1 leaves a size as it is.
    pub(crate) fn stretched(&self, op: &str, from: &Shape) -> Result<Shape> {
        let lead = self.0.len().saturating_sub(from.len());
        let size = |(d, &size): (usize, &isize)| match size {
            -1 if d >= lead => Ok(from[d - lead]),
            s if s >= 0 => Ok(s as usize),
            s => {
                let what = format!("size {s} in {:?}", self.0.as_slice());
                Err(Error::shape(op, what, &[("from", from)], "-1 only for a dimension that there is"))
            }
        };
        self.0.iter().enumerate().map(size).collect()
    }
}
