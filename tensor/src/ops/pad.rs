//! Padding: elements added around a tensor, or cut away.

use crate::error::OrPanic;
use crate::{Error, Shape, Tensor};

/// What [`Tensor::pad`] adds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Padding {
    /// One value.
    Constant(f64),
    /// The elements mirrored at the border, which is not repeated.
    Reflect,
    /// The element at the border.
    Replicate,
    /// The elements from the other end.
    Circular,
}

impl Tensor {
    /// `pad[0]` elements added before and `pad[1]` after the last dimension, `pad[2]` and `pad[3]` around the one before
    /// it, and so on; negative numbers cut elements away.
    ///
    /// # Panics
    /// If `pad` has an odd length or more than two numbers for a dimension, cuts away more than there is, or asks a
    /// border for more than it has (reflect: less than the dimension; circular: at most what is left of it), or if the
    /// tensor holds integers and the constant is a fraction or out of their range.
    ///
    /// # Differs
    /// PyTorch pads by reflection, replication and in a circle only the last one to three dimensions of tensors with one
    /// or two more; here any may be padded.
    ///
    /// ```
    /// use tensor::{Padding, Tensor};
    /// let t = Tensor::from([[1i64, 2, 3]]);
    /// assert_eq!(t.pad(&[2, 1], Padding::Constant(0.0)).to_vec::<i64>(), [0, 0, 1, 2, 3, 0]);
    /// assert_eq!(t.pad(&[2, -1], Padding::Reflect).to_vec::<i64>(), [3, 2, 1, 2]);
    /// assert_eq!(t.pad(&[0, 2], Padding::Replicate).to_vec::<i64>(), [1, 2, 3, 3, 3]);
    /// assert_eq!(t.pad(&[1, 1], Padding::Circular).to_vec::<i64>(), [3, 1, 2, 3, 1]);
    /// ```
    #[track_caller]
    pub fn pad(&self, pad: &[isize], mode: Padding) -> Tensor {
        let shape = self.padded(pad);
        let Padding::Constant(value) = mode else {
            let padded = self.pad_positions(pad, mode).into_iter();
            return padded.fold(self.clone(), |x, (dim, positions)| x.index_select(dim, &positions));
        };
        let cut = |x: Tensor, (i, pad): (usize, &[isize])| {
            let dim = -1 - i as isize;
            let (before, after) = (pad[0].min(0).unsigned_abs(), pad[1].min(0).unsigned_abs());
            x.narrow(dim, before, x.dim(dim) - before - after)
        };
        let inner = pad.chunks(2).enumerate().fold(self.clone(), cut);
        if shape == inner.dims() {
            return inner;
        }
        let mut out = self.filling("pad", value).expand(shape).copy();
        let place = |x: &Tensor| {
            let at = |x: Tensor, (i, pad): (usize, &[isize])| {
                let dim = -1 - i as isize;
                x.narrow(dim, pad[0].max(0), inner.dim(dim))
            };
            pad.chunks(2).enumerate().fold(x.clone(), at)
        };
        out.assign_(place, &inner);
        out
    }

    /// The shape after padding.
    #[track_caller]
    fn padded(&self, pad: &[isize]) -> Vec<usize> {
        let fail = |what: String| -> ! {
            let rule = "two numbers for each of the last dimensions";
            panic!("{}", Error::shape("pad", what, &[("tensor", self.shape())], rule))
        };
        if !pad.len().is_multiple_of(2) || pad.len() > 2 * self.ndim() {
            fail(format!("pad {pad:?} does not fit {} dimensions", self.ndim()));
        }
        let mut shape = self.dims().to_vec();
        let last = shape.len();
        for (i, pad) in pad.chunks(2).enumerate() {
            let size = &mut shape[last - 1 - i];
            let n = *size as isize;
            if n.saturating_add(pad[0].min(0)).saturating_add(pad[1].min(0)) < 0 {
                fail(format!("pad {pad:?} cuts away more than the {n} elements of dimension {}", last - 1 - i));
            }
            *size = n.saturating_add(pad[0]).saturating_add(pad[1]) as usize;
        }
        Shape::from(&shape).checked_numel().or_panic();
        shape
    }

    /// For each padded dimension the positions that its elements come from.
    ///
    /// # Panics
    /// As [`pad`](Tensor::pad).
    #[track_caller]
    pub fn pad_positions(&self, pad: &[isize], mode: Padding) -> Vec<(isize, Tensor)> {
        let shape = self.padded(pad);
        let mut positions = Vec::new();
        for (i, pad) in pad.chunks(2).enumerate().filter(|(_, pad)| pad[0] != 0 || pad[1] != 0) {
            let dim = -1 - i as isize;
            let n = self.dim(dim) as isize;
            let widest = pad[0].max(pad[1]);
            // What is left when elements are cut away: the circle runs through that only.
            let (first, left) = (-pad[0].min(0), n + pad[0].min(0) + pad[1].min(0));
            let (fits, rule) = match mode {
                Padding::Reflect => (widest < n, "less than the dimension"),
                Padding::Circular => (widest <= left, "at most what is left of the dimension"),
                _ => (n > 0 || widest <= 0, "the dimension is not empty"),
            };
            if !fits {
                let what = format!("{mode:?} padding {pad:?} is too wide for dimension {dim} of size {n}");
                panic!("{}", Error::shape("pad", what, &[("tensor", self.shape())], rule));
            }
            let source = |at: isize| match mode {
                Padding::Reflect if at < 0 => -at,
                Padding::Reflect if at >= n => 2 * (n - 1) - at,
                Padding::Circular => first + (at - first).rem_euclid(left.max(1)),
                _ => at.clamp(0, n - 1),
            };
            let len = shape[shape.len() - 1 - i];
            positions
                .push((dim, Tensor::from_vec((0..len as isize).map(|k| source(k - pad[0]) as i64).collect(), [len])));
        }
        positions
    }
}
