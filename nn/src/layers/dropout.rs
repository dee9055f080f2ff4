//! Random zeros in training.

use autograd::Var;

use crate::layers::printed;
use crate::{Forward, Module, Training, functional};

/// A kind of dropout: the type, its probability and its mode, and the function that it calls in training.
macro_rules! dropout {
    ($($(#[$doc:meta])* $name:ident = $function:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Module)]
        #[module(repr = $name::repr)]
        pub struct $name {
            #[module(config)]
            p: f64,
            training: Training,
        }

        impl $name {
            /// Dropout with probability `p` (PyTorch's default is 0.5).
            ///
            /// # Panics
            /// When `p` is not in `0..=1`.
            #[track_caller]
            pub fn new(p: f64) -> $name {
                let name = stringify!($name);
                assert!((0.0..=1.0).contains(&p), "{name}: the probability is not between 0 and 1, p = {p}");
                $name { p, training: Training::new() }
            }

            /// The probability of a zero.
            pub fn p(&self) -> f64 {
                self.p
            }

            /// Whether a forward pass draws a mask: in training, with `p` above zero.
            pub fn is_active(&self) -> bool {
                self.training.get() && self.p > 0.0
            }

            fn repr(&self) -> String {
                format!("p={}, inplace=False", printed::float(self.p))
            }
        }

        impl Forward for $name {
            #[track_caller]
            fn forward(&self, input: &Var) -> Var {
                functional::$function(input, self.p, self.training.get())
            }
        }
    )+};
}

dropout! {
    /// In training `y = x * m / (1 - p)` where each `m` is 0 with probability `p`, else 1; in evaluation `y = x`.
    ///
    /// # Gradient
    /// The same mask and scale; the mask is drawn again rather than kept.
    ///
    /// # Source
    /// Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014, section 4.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let dropout = Dropout::new(0.5);
    /// let x = Var::new(Tensor::ones([8], DType::F32));
    /// assert!(dropout.forward(&x).value().to_vec::<f32>().iter().all(|&y| y == 0.0 || y == 2.0));
    /// dropout.eval();
    /// assert!(dropout.forward(&x).value().bit_eq(&x.value()));
    /// ```
    Dropout = dropout;

    /// [`Dropout`] of whole channels of sequences.
    ///
    /// # Shape
    /// `[n, c, l]`, or `[c, l]` without a batch.
    ///
    /// # Panics
    /// For an input of other than two or three dimensions.
    ///
    /// # Source
    /// Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015, section 3.2.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = Dropout1d::new(0.5).forward(&Var::new(Tensor::ones([4, 2], DType::F32))).to_vec::<f32>();
    /// assert!(y.chunks(2).all(|channel| channel == [0.0; 2] || channel == [2.0; 2]));
    /// ```
    Dropout1d = dropout1d;

    /// [`Dropout`] of whole channels of images.
    ///
    /// # Shape
    /// `[n, c, ..]`. As in PyTorch three dimensions are `[n, c, l]`, not an image without a batch.
    ///
    /// # Panics
    /// For an input of fewer than two dimensions.
    ///
    /// # Source
    /// Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015, section 3.2.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = Dropout2d::new(0.5).forward(&Var::new(Tensor::ones([1, 4, 1, 2], DType::F32))).to_vec::<f32>();
    /// assert!(y.chunks(2).all(|channel| channel == [0.0; 2] || channel == [2.0; 2]));
    /// ```
    Dropout2d = dropout2d;

    /// Dropout that keeps mean 0 and variance 1, for networks of [`SELU`](crate::SELU): in training
    /// `y = a (x m - α (1 - m)) + a α p` where each `m` is 0 with probability `p`, else 1; see
    /// [`functional::alpha_dropout`](crate::functional::alpha_dropout).
    ///
    /// # Gradient
    /// `dx = dy m a`.
    ///
    /// # Source
    /// Klambauer et al., "Self-Normalizing Neural Networks", 2017, section "New Dropout Technique".
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = AlphaDropout::new(0.5).forward(&Var::new(Tensor::zeros([8], DType::F64))).value().unique(None).values;
    /// assert!(y.numel() <= 2);
    /// ```
    AlphaDropout = alpha_dropout;

    /// [`AlphaDropout`] of whole channels.
    ///
    /// # Shape
    /// `[n, c, ..]`.
    ///
    /// # Panics
    /// For an input of fewer than two dimensions.
    ///
    /// ```
    /// use nn::prelude::*;
    ///
    /// let y = FeatureAlphaDropout::new(0.5).forward(&Var::new(Tensor::ones([2, 3, 4], DType::F64)));
    /// assert!(y.to_vec::<f64>().chunks(4).all(|channel| channel.iter().all(|y| *y == channel[0])));
    /// ```
    FeatureAlphaDropout = feature_alpha_dropout;
}
