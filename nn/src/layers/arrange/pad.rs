//! Borders around sequences and images.

use autograd::Var;
use tensor::Padding;

use crate::layers::printed;
use crate::{Forward, Module};

/// How much a padding layer adds on each side, or cuts away where negative: one number for all sides (`1.into()`), or
/// `[left, right]`, or `[left, right, top, bottom]`.
///
/// ```
/// use nn::prelude::*;
/// assert_eq!(PadWidths::<4>::from(2), PadWidths::from([2, 2, 2, 2]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PadWidths<const SIDES: usize>([isize; SIDES]);

impl<const SIDES: usize> From<isize> for PadWidths<SIDES> {
    fn from(all: isize) -> PadWidths<SIDES> {
        PadWidths([all; SIDES])
    }
}

impl<const SIDES: usize> From<[isize; SIDES]> for PadWidths<SIDES> {
    fn from(sides: [isize; SIDES]) -> PadWidths<SIDES> {
        PadWidths(sides)
    }
}

/// Refuses an input that has no such sides: the batch, the channels, and then those padded, or without the batch.
#[track_caller]
fn check(layer: &str, sides: usize, input: &Var) {
    let dims = sides / 2;
    assert!(
        (dims + 1..=dims + 2).contains(&input.ndim()),
        "{layer}: the input has the wrong number of dimensions\n  input {:?}   rule {} or {}",
        &input.shape()[..],
        dims + 1,
        dims + 2,
    );
}

/// Layers that pad: the number of sides and what they are padded with.
macro_rules! pads {
    ($($(#[$doc:meta])* $name:ident[$sides:literal] = $mode:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Module)]
        #[module(repr = $name::repr)]
        pub struct $name {
            #[module(config)]
            padding: PadWidths<$sides>,
        }

        impl $name {
            /// The layer that adds this much: one number for every side, or one for each.
            pub fn new(padding: impl Into<PadWidths<$sides>>) -> $name {
                $name { padding: padding.into() }
            }

            fn repr(&self) -> String {
                printed::tuple(&self.padding.0)
            }
        }

        impl Forward for $name {
            #[track_caller]
            fn forward(&self, input: &Var) -> Var {
                check(stringify!($name), $sides, input);
                input.pad(&self.padding.0, Padding::$mode)
            }
        }
    )+};
}

/// Layers that pad with a number.
macro_rules! constant_pads {
    ($($(#[$doc:meta])* $name:ident[$sides:literal] $zero:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Module)]
        #[module(repr = $name::repr)]
        pub struct $name {
            #[module(config)]
            padding: PadWidths<$sides>,
            #[module(config)]
            value: f64,
        }

        impl $name {
            /// The layer that adds this much of `value`: one number for every side, or one for each.
            pub fn new(padding: impl Into<PadWidths<$sides>>, value: f64) -> $name {
                $name { padding: padding.into(), value }
            }

            fn repr(&self) -> String {
                format!("padding={}, value={}", printed::tuple(&self.padding.0), printed::float(self.value))
            }
        }

        impl Forward for $name {
            #[track_caller]
            fn forward(&self, input: &Var) -> Var {
                input.pad(&self.padding.0, Padding::Constant(self.value))
            }
        }

        #[doc = concat!("[`", stringify!($name), "`] with zeros.")]
        ///
        /// ```
        /// use nn::prelude::*;
        ///
        /// let x = Var::new(Tensor::ones([1, 1, 2], DType::F32));
        #[doc = concat!("let y = ", stringify!($zero), "::new(1).forward(&x);")]
        /// assert_eq!(y.value().dim(2), 4);
        /// assert_eq!(y.value().sum().item::<f32>(), 2.0);
        /// ```
        #[derive(Debug, Clone, Copy, Module)]
        #[module(repr = $zero::repr)]
        pub struct $zero {
            #[module(config)]
            padding: PadWidths<$sides>,
        }

        impl $zero {
            /// The layer that adds this many zeros: one number for every side, or one for each.
            pub fn new(padding: impl Into<PadWidths<$sides>>) -> $zero {
                $zero { padding: padding.into() }
            }

            fn repr(&self) -> String {
                printed::tuple(&self.padding.0)
            }
        }

        impl Forward for $zero {
            #[track_caller]
            fn forward(&self, input: &Var) -> Var {
                input.pad(&self.padding.0, Padding::Constant(0.0))
            }
        }
    )+};
}

constant_pads! {
    /// Adds a number on both sides of the last dimension, `[left, right]`; negative widths cut away.
    ///
    /// # Shape
    /// `[.., l] -> [.., left + l + right]`.
    ///
    /// # Panics
    /// The forward pass, when more is cut away than there is.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = ConstantPad1d::new([2, -1], 3.5).forward(&Var::new(Tensor::from([[1f32, 2.0]])));
    /// assert_eq!(y.value().to_vec::<f32>(), [3.5, 3.5, 1.0]);
    /// ```
    ConstantPad1d[2] ZeroPad1d;

    /// Adds a number on all sides of the last two dimensions, `[left, right, top, bottom]`; negative widths cut away.
    ///
    /// # Shape
    /// `[.., h, w] -> [.., top + h + bottom, left + w + right]`.
    ///
    /// # Panics
    /// The forward pass, when more is cut away than there is, or the input has fewer than two dimensions.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = ConstantPad2d::new([1, 0, 0, 1], 3.5).forward(&Var::new(Tensor::from([[1f32, 2.0]])));
    /// assert_eq!(y.value().to_vec::<f32>(), [3.5, 1.0, 2.0, 3.5, 3.5, 3.5]);
    /// ```
    ConstantPad2d[4] ZeroPad2d;
}

pads! {
    /// Mirrors the elements at both ends of sequences, `[left, right]`; the border itself is not repeated.
    ///
    /// # Shape
    /// `[n, c, l]` or `[c, l]`.
    ///
    /// # Panics
    /// The forward pass, for other dimensions, and when a width is not below the length.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = ReflectionPad1d::new(2).forward(&Var::new(Tensor::from([[1f32, 2.0, 3.0]])));
    /// assert_eq!(y.value().to_vec::<f32>(), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
    /// ```
    ReflectionPad1d[2] = Reflect;

    /// Mirrors the elements on all sides of images, `[left, right, top, bottom]`; the border itself is not repeated.
    ///
    /// # Shape
    /// `[n, c, h, w]` or `[c, h, w]`.
    ///
    /// # Panics
    /// The forward pass, for other dimensions, and when a width is not below the size.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let x = Var::new(Tensor::ones([1, 3, 4, 4], DType::F32));
    /// assert_eq!(ReflectionPad2d::new([1, 1, 2, 0]).forward(&x).value().dims(), [1, 3, 6, 6]);
    /// ```
    ReflectionPad2d[4] = Reflect;

    /// Repeats the first and the last element of sequences, `[left, right]`.
    ///
    /// # Shape
    /// `[n, c, l]` or `[c, l]`.
    ///
    /// # Panics
    /// The forward pass, for other dimensions, and for an empty sequence.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = ReplicationPad1d::new([2, 1]).forward(&Var::new(Tensor::from([[1f32, 2.0]])));
    /// assert_eq!(y.value().to_vec::<f32>(), [1.0, 1.0, 1.0, 2.0, 2.0]);
    /// ```
    ReplicationPad1d[2] = Replicate;

    /// Repeats the border of images on all sides, `[left, right, top, bottom]`.
    ///
    /// # Shape
    /// `[n, c, h, w]` or `[c, h, w]`.
    ///
    /// # Panics
    /// The forward pass, for other dimensions, and for an empty image.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let x = Var::new(Tensor::ones([1, 3, 4, 4], DType::F32));
    /// assert_eq!(ReplicationPad2d::new(1).forward(&x).value().dims(), [1, 3, 6, 6]);
    /// ```
    ReplicationPad2d[4] = Replicate;

    /// Goes on with the elements from the other end of sequences, `[left, right]`.
    ///
    /// # Shape
    /// `[n, c, l]` or `[c, l]`.
    ///
    /// # Panics
    /// The forward pass, for other dimensions, and when a width is above the length.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = CircularPad1d::new([2, 1]).forward(&Var::new(Tensor::from([[1f32, 2.0, 3.0]])));
    /// assert_eq!(y.value().to_vec::<f32>(), [2.0, 3.0, 1.0, 2.0, 3.0, 1.0]);
    /// ```
    CircularPad1d[2] = Circular;

    /// Goes on with the elements from the other side of images, `[left, right, top, bottom]`.
    ///
    /// # Shape
    /// `[n, c, h, w]` or `[c, h, w]`.
    ///
    /// # Panics
    /// The forward pass, for other dimensions, and when a width is above the size.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let x = Var::new(Tensor::ones([1, 3, 4, 4], DType::F32));
    /// assert_eq!(CircularPad2d::new(1).forward(&x).value().dims(), [1, 3, 6, 6]);
    /// ```
    CircularPad2d[4] = Circular;
}
