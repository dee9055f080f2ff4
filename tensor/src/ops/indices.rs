//! What can stand between the brackets of [`Tensor::i`]: numbers, ranges, tensors, and the words for all the rest.

use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use crate::{Tensor, Whole};

/// One index of [`Tensor::i`].
#[derive(Debug, Clone)]
pub enum Index {
    /// One element: the dimension goes away.
    At(isize),
    /// Every `step`-th element from `start` to before `end`, as Python reads these bounds.
    Slice {
        /// Where it starts; `None` for the first element.
        start: Option<isize>,
        /// Where it ends; `None` for behind the last element.
        end: Option<isize>,
        /// How far it advances, at least 1.
        step: usize,
    },
    /// As many whole dimensions as the other indices leave over.
    Ellipsis,
    /// A new dimension of size 1.
    NewAxis,
    /// A new dimension of size 1, or of size 0 for `false`.
    Flag(bool),
    /// The elements at these indices, or where this mask holds.
    Tensor(Tensor),
}

/// In [`Tensor::i`], as many whole dimensions as the other indices leave over: Python's `...`.
#[derive(Debug, Clone, Copy)]
pub struct Ellipsis;

/// In [`Tensor::i`], a new dimension of size 1: Python's `None`.
#[derive(Debug, Clone, Copy)]
pub struct NewAxis;

/// A range with a step, for [`Tensor::i`]: Python's `start:end:step`.
///
/// ```
/// use tensor::{Tensor, slice};
/// assert_eq!(Tensor::from([0i64, 1, 2, 3, 4]).i(slice(1.., 2)).to_vec::<i64>(), [1, 3]);
/// ```
///
/// # Panics
/// When it is used, if `step` is 0.
pub fn slice(range: impl Into<Index>, step: usize) -> Index {
    match range.into() {
        Index::Slice { start, end, .. } => Index::Slice { start, end, step },
        other => other,
    }
}

macro_rules! from_integer {
    ($($t:ty),*) => {$(
        impl From<$t> for Index {
            fn from(index: $t) -> Index {
                Index::At(Whole::signed(index))
            }
        }
        from_range!($t, Range, |r| (Some(r.start), Some(r.end)));
        from_range!($t, RangeFrom, |r| (Some(r.start), None));
        from_range!($t, RangeTo, |r| (None, Some(r.end)));
        // The element behind the last one, -1, is the end.
        from_range!($t, RangeInclusive, |r| (Some(*r.start()), after(*r.end())));
        from_range!($t, RangeToInclusive, |r| (None, after(r.end)));
    )*};
}
macro_rules! from_range {
    ($t:ty, $range:ident, |$r:ident| $bounds:expr) => {
        impl From<$range<$t>> for Index {
            fn from($r: $range<$t>) -> Index {
                let (start, end): (Option<$t>, Option<$t>) = $bounds;
                Index::Slice { start: start.map(Whole::signed), end: end.map(Whole::signed), step: 1 }
            }
        }
    };
}
/// The end of a range that includes `last`; none if that is -1, the last element.
fn after<T: TryFrom<isize> + Whole>(last: T) -> Option<T> {
    let end = last.signed().checked_add(1).filter(|&end| end != 0)?;
    T::try_from(end).ok()
}
from_integer!(i32, i64, isize, usize);

impl From<RangeFull> for Index {
    fn from(_: RangeFull) -> Index {
        Index::Slice { start: None, end: None, step: 1 }
    }
}
impl From<Ellipsis> for Index {
    fn from(_: Ellipsis) -> Index {
        Index::Ellipsis
    }
}
impl From<NewAxis> for Index {
    fn from(_: NewAxis) -> Index {
        Index::NewAxis
    }
}
impl From<bool> for Index {
    fn from(flag: bool) -> Index {
        Index::Flag(flag)
    }
}
impl From<&Tensor> for Index {
    fn from(ids: &Tensor) -> Index {
        Index::Tensor(ids.clone())
    }
}
impl From<Tensor> for Index {
    fn from(ids: Tensor) -> Index {
        Index::Tensor(ids)
    }
}

/// What [`Tensor::i`] takes: one index, a tuple of up to six, or a list of [`Index`].
pub trait Indices {
    /// The indices in order.
    fn indices(self) -> Vec<Index>;
}
macro_rules! single {
    ($($t:ty),* $(,)?) => {$(
        impl Indices for $t {
            fn indices(self) -> Vec<Index> {
                vec![self.into()]
            }
        }
    )*};
}
macro_rules! single_ranges {
    ($($t:ty),*) => {$(
        single!($t, Range<$t>, RangeFrom<$t>, RangeTo<$t>, RangeInclusive<$t>, RangeToInclusive<$t>);
    )*};
}
single_ranges!(i32, i64, isize, usize);
single!(RangeFull, Ellipsis, NewAxis, bool, &Tensor, Tensor, Index);
impl Indices for () {
    fn indices(self) -> Vec<Index> {
        Vec::new()
    }
}
impl Indices for Vec<Index> {
    fn indices(self) -> Vec<Index> {
        self
    }
}
impl Indices for &[Index] {
    fn indices(self) -> Vec<Index> {
        self.to_vec()
    }
}
macro_rules! tuples {
    ($(($($name:ident)+))*) => {$(
        impl<$($name: Into<Index>),+> Indices for ($($name,)+) {
            #[allow(non_snake_case, reason = "a type parameter names its value too")]
            fn indices(self) -> Vec<Index> {
                let ($($name,)+) = self;
                vec![$($name.into()),+]
            }
        }
    )*};
}
tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }
