//! Activations as modules, one family per file. Each is the `Var` method of its name.

mod exponential;
mod gated;
mod parametric;
mod piecewise;
mod shrink;
mod smooth;
mod softmax;

pub use exponential::*;
pub use gated::*;
pub use parametric::*;
pub use piecewise::*;
pub use shrink::*;
pub use smooth::*;
pub use softmax::*;

/// Activations without options: the type, its `new`, and its forward pass, which is the `Var` method given.
macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident = $method:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, Module)]
        pub struct $name;

        impl $name {
            /// The activation.
            pub fn new() -> $name {
                $name
            }
        }

        impl Forward for $name {
            #[track_caller]
            fn forward(&self, input: &Var) -> Var {
                input.$method()
            }
        }
    )+};
}

/// Activations with one number: its name, PyTorch's default, how it is printed, and the `Var` method that takes it.
macro_rules! with_number {
    ($($(#[$doc:meta])* $name:ident($number:ident = $default:literal, $printed:literal) = $method:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Module)]
        #[module(repr = $name::repr)]
        pub struct $name {
            #[module(config)]
            $number: f64,
        }

        impl $name {
            #[doc = concat!("The activation with `", stringify!($number), "` ", stringify!($default), ", PyTorch's default.")]
            pub fn new() -> $name {
                $name::with($default)
            }

            #[doc = concat!("The activation with this `", stringify!($number), "`.")]
            pub fn with($number: f64) -> $name {
                $name { $number }
            }

            fn repr(&self) -> String {
                format!($printed, $crate::layers::printed::float(self.$number))
            }
        }

        impl Default for $name {
            fn default() -> $name {
                $name::new()
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

/// Activations along a dimension.
macro_rules! along_dim {
    ($($(#[$doc:meta])* $name:ident = |$input:ident, $dim:ident| $forward:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Module)]
        #[module(repr = $name::repr)]
        pub struct $name {
            #[module(config)]
            dim: isize,
        }

        impl $name {
            /// The activation along `dim`, which may be negative.
            pub fn new(dim: isize) -> $name {
                $name { dim }
            }

            fn repr(&self) -> String {
                format!("dim={}", self.dim)
            }
        }

        impl Forward for $name {
            #[track_caller]
            fn forward(&self, $input: &Var) -> Var {
                let $dim = self.dim;
                $forward
            }
        }
    )+};
}

use {along_dim, plain, with_number};
