//! Moving elements between channels and pixels.

use autograd::Var;

use crate::{Forward, Module};

/// A layer with one number: its name, and the `Var` method that takes it.
macro_rules! shuffle {
    ($($(#[$doc:meta])* $name:ident($number:ident) = $method:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Module)]
        #[module(repr = $name::repr)]
        pub struct $name {
            #[module(config)]
            $number: usize,
        }

        impl $name {
            #[doc = concat!("The layer with this `", stringify!($number), "`.")]
            pub fn new($number: usize) -> $name {
                $name { $number }
            }

            fn repr(&self) -> String {
                format!(concat!(stringify!($number), "={}"), self.$number)
            }
        }

        impl Forward for $name {
            #[track_caller]
            fn forward(&self, input: &Var) -> Var {
                input.$method(self.$number)
            }
        }
    )+};
}

shuffle! {
    /// Turns channels into pixels: each pixel of `c r²` channels becomes a square of `r` by `r` pixels of `c` channels.
    ///
    /// # Shape
    /// `[.., c r², h, w] -> [.., c, h r, w r]`.
    ///
    /// # Panics
    /// The forward pass, when `r` is 0 or the channels are no multiple of `r²`.
    ///
    /// # Source
    /// Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
    /// Network", 2016, equation 4.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let x = Var::new(Tensor::ones([1, 8, 2, 3], DType::F32));
    /// assert_eq!(PixelShuffle::new(2).forward(&x).value().dims(), [1, 2, 4, 6]);
    /// ```
    PixelShuffle(upscale_factor) = pixel_shuffle;

    /// Turns pixels into channels: the reverse of [`PixelShuffle`].
    ///
    /// # Shape
    /// `[.., c, h r, w r] -> [.., c r², h, w]`.
    ///
    /// # Panics
    /// The forward pass, when `r` is 0 or height and width are no multiples of it.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let x = Var::new(Tensor::randn([1, 8, 2, 3], DType::F32));
    /// let y = PixelUnshuffle::new(2).forward(&PixelShuffle::new(2).forward(&x));
    /// assert!(y.value().bit_eq(&x.value()));
    /// ```
    PixelUnshuffle(downscale_factor) = pixel_unshuffle;

    /// Deals out the channels anew, so that those of each group are spread evenly.
    ///
    /// # Shape
    /// `[n, groups k, ..] -> [n, k groups, ..]`.
    ///
    /// # Panics
    /// The forward pass, when the groups do not divide the channels.
    ///
    /// # Source
    /// Zhang et al., "ShuffleNet", 2018, section 3.1.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = ChannelShuffle::new(2).forward(&Var::new(Tensor::from([[1f32, 2.0, 3.0, 4.0]])));
    /// assert_eq!(y.value().to_vec::<f32>(), [1.0, 3.0, 2.0, 4.0]);
    /// ```
    ChannelShuffle(groups) = channel_shuffle;
}
