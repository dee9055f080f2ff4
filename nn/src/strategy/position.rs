//! Positional encodings.

use proptest::prelude::*;
use tensor::DType;

use super::{Case, cases, sizes};
use crate::{
    Forward, LearnedPositions, LearnedPositionsOptions, RelativePositions, RelativePositionsOptions, RotaryPositions,
    RotaryPositionsOptions, SinusoidalPositions, SinusoidalPositionsOptions,
};

/// Rotary positions with any options.
pub fn rotary_positions() -> impl Strategy<Value = Case<RotaryPositions>> {
    let sizes = (0usize..4, 0usize..3, sizes());
    cases((sizes, 1.5..20.0f64, any::<bool>()), |&((pairs, rest, t), base, interleaved)| {
        let (head_dim, rotary_dim) = (2 * pairs + rest, Some(2 * pairs));
        let options = RotaryPositionsOptions { base, rotary_dim, interleaved };
        (RotaryPositions::with(head_dim, options), vec![t, head_dim])
    })
}

/// Learned and sinusoidal positions, for inputs with the batch first.
pub fn added_positions() -> impl Strategy<Value = Case<Box<dyn Forward>>> {
    cases((sizes(), sizes(), 0usize..3, any::<bool>()), |&(t, d, more, learned)| {
        let layer: Box<dyn Forward> = if learned {
            Box::new(LearnedPositions::with(t + more, d, LearnedPositionsOptions::default()))
        } else {
            Box::new(SinusoidalPositions::with(d, SinusoidalPositionsOptions { base: 20.0, ..Default::default() }))
        };
        (layer, vec![t, d])
    })
}

/// Relative positions with any options, and an input for queries, keys and values.
pub fn relative_positions() -> impl Strategy<Value = Case<RelativePositions>> {
    cases((0usize..4, sizes(), sizes(), any::<bool>()), |&(max_distance, d, t, values)| {
        let options = RelativePositionsOptions { values, dtype: DType::F64 };
        (RelativePositions::with(max_distance, d, options), vec![t, d])
    })
}
