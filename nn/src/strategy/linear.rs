//! Linear and bilinear layers.

use proptest::prelude::*;

use super::{Case, cases, sizes};
use crate::{Bilinear, Linear, LinearOptions};

/// Linear layers of any sizes, with a bias or without.
pub fn linears() -> impl Strategy<Value = Case<Linear>> {
    cases((sizes(), sizes(), any::<bool>()), |&(inputs, outputs, bias)| {
        (Linear::with(inputs, outputs, LinearOptions { bias, ..Default::default() }), vec![inputs])
    })
}

/// Bilinear layers of any sizes, with a bias or without. The input holds both inputs, the first one first.
pub fn bilinears() -> impl Strategy<Value = Case<Bilinear>> {
    cases((sizes(), sizes(), sizes(), any::<bool>()), |&(first, second, outputs, bias)| {
        (Bilinear::with(first, second, outputs, LinearOptions { bias, ..Default::default() }), vec![first + second])
    })
}
