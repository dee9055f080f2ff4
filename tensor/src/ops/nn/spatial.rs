//! Numbers per spatial dimension, as convolution and pooling take them.

use smallvec::SmallVec;

use crate::{Error, Result, Tensor};

/// A number per spatial dimension: one for all of them (`2.into()`), or one each (`[2, 1].into()`).
///
/// ```
/// use tensor::{Conv, PerDim};
/// let both = Conv { stride: 2.into(), padding: [1, 0].into(), ..Default::default() };
/// assert_eq!(both.stride, PerDim::from([2]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerDim(SmallVec<[usize; 2]>);

impl From<usize> for PerDim {
    fn from(n: usize) -> PerDim {
        PerDim(SmallVec::from_slice(&[n]))
    }
}
impl<const N: usize> From<[usize; N]> for PerDim {
    fn from(n: [usize; N]) -> PerDim {
        PerDim(SmallVec::from_slice(&n))
    }
}
impl From<&[usize]> for PerDim {
    fn from(n: &[usize]) -> PerDim {
        PerDim(SmallVec::from_slice(n))
    }
}
impl From<Vec<usize>> for PerDim {
    fn from(n: Vec<usize>) -> PerDim {
        PerDim(SmallVec::from_vec(n))
    }
}
impl From<&PerDim> for PerDim {
    fn from(n: &PerDim) -> PerDim {
        n.clone()
    }
}

impl PerDim {
    /// The numbers as they were given: one for all dimensions, or one each.
    ///
    /// ```
    /// use tensor::PerDim;
    /// assert_eq!((PerDim::from(2).numbers(), PerDim::from([2, 1]).numbers()), (&[2][..], &[2, 1][..]));
    /// ```
    pub fn numbers(&self) -> &[usize] {
        &self.0
    }

    /// The numbers of `dims` (1 or 2) dimensions, in two: a line is a plane of height 1, whose numbers are `line`.
    pub(crate) fn resolve(&self, op: &str, name: &str, dims: usize, line: usize) -> Result<[usize; 2]> {
        match (dims, &self.0[..]) {
            (1, &[n]) => Ok([line, n]),
            (2, &[n]) => Ok([n, n]),
            (2, &[height, width]) => Ok([height, width]),
            (_, given) => Err(Error::value(op, format!("{name} {given:?} does not have one number, or {dims}"))),
        }
    }

    /// [`resolve`](PerDim::resolve), refusing zeros.
    pub(crate) fn positive(&self, op: &str, name: &str, dims: usize) -> Result<[usize; 2]> {
        let numbers = self.resolve(op, name, dims, 1)?;
        if numbers.contains(&0) {
            return Err(Error::value(op, format!("{name} must be greater than zero, got {:?}", &self.0[..])));
        }
        Ok(numbers)
    }
}

/// `[batch, channels, height, width]` of an input with `dims` spatial dimensions and maybe a batch dimension.
pub(crate) fn planes(op: &str, shape: &[usize], dims: usize) -> Result<[usize; 4]> {
    match (dims, shape) {
        (1, &[c, w]) => Ok([1, c, 1, w]),
        (1, &[n, c, w]) => Ok([n, c, 1, w]),
        (2, &[c, h, w]) => Ok([1, c, h, w]),
        (2, &[n, c, h, w]) => Ok([n, c, h, w]),
        _ => {
            let rule = if dims == 1 { "[n, c, l] or [c, l]" } else { "[n, c, h, w] or [c, h, w]" };
            let what = format!("the input is {}-d", shape.len());
            Err(Error::shape(op, what, &[("input", shape)], rule))
        }
    }
}

/// `shape` with the last `dims` sizes (and with the channels, if `channels` says so) replaced.
pub(crate) fn with_spatial(shape: &[usize], dims: usize, channels: Option<usize>, spatial: [usize; 2]) -> Vec<usize> {
    let lead = shape.len() - dims;
    let mut new = shape[..lead].to_vec();
    if let Some(channels) = channels {
        new[lead - 1] = channels;
    }
    new.extend_from_slice(&spatial[2 - dims..]);
    new
}

/// The elements of a tensor that was made contiguous.
pub(crate) fn read<T: crate::Element>(t: &Tensor) -> &[T] {
    t.as_slice::<T>().expect("made contiguous")
}
