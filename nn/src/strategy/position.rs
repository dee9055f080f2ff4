//! Positional encodings.

use proptest::prelude::*;
use tensor::DType;

use super::{Case, cases, sizes};
use crate::{
    Forward, LearnedPositions, LearnedPositionsOptions, RelativePositions, RelativePositionsOptions, RotaryPositions,
    RotaryPositionsOptions, RotaryScaling, SinusoidalPositions, SinusoidalPositionsOptions,
};

/// Rotary positions with any options.
pub fn rotary_positions() -> impl Strategy<Value = Case<RotaryPositions>> {
    let sizes = (0usize..4, 0usize..3, sizes());
    let original_context = 1usize..8;
    let scaling = (1.0..8.0f64, original_context).prop_flat_map(|(factor, original_context)| {
        let llama3 = RotaryScaling::Llama3 { factor, low_freq_factor: 0.2, high_freq_factor: 0.8, original_context };
        let linear = RotaryScaling::Linear { factor };
        prop_oneof![Just(RotaryScaling::None), Just(linear), Just(llama3)]
    });
    cases((sizes, 1.5..20.0f64, any::<bool>(), scaling), |&((pairs, rest, t), base, interleaved, scaling)| {
        let (head_dim, rotary_dim) = (2 * pairs + rest, Some(2 * pairs));
        let options = RotaryPositionsOptions { base, rotary_dim, interleaved, scaling };
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
