//! Positions: what attention, which takes its input for a set, is told about the order.
//!
//! Dimensions: `b` batch, `t` queries or inputs, `s` keys, `h` heads, `d` features.

mod alibi;
mod learned;
mod relative;
mod rotary;
mod scaling;
mod sinusoidal;

pub use alibi::*;
pub use learned::*;
pub use relative::*;
pub use rotary::*;
pub use scaling::*;
pub use sinusoidal::*;

use std::cell::RefCell;

use autograd::Var;
use tensor::{DType, Tensor};

/// `base^(-2i / d)` for the pairs `i` of `d` features; half a pair counts.
fn rates(base: f64, d: usize) -> Vec<f64> {
    (0..d.div_ceil(2)).map(|i| base.powf(-((2 * i) as f64) / d as f64)).collect()
}

/// The angles `position * rate` of `len` positions from `offset` on: `[len, rates]` in f64.
fn angles(offset: usize, len: usize, rates: &[f64]) -> Tensor {
    let positions = (0..len).map(|i| offset as f64 + i as f64);
    let angles: Vec<f64> = positions.flat_map(|position| rates.iter().map(move |rate| position * rate)).collect();
    Tensor::from_vec(angles, [len, rates.len()])
}

/// What was computed for the last positions that were asked for: in training they are always the same.
#[derive(Debug)]
struct Last<T>(RefCell<Option<(Key, T)>>);

/// Offset, number of positions, and dtype.
type Key = (usize, usize, DType);

impl<T: Clone> Last<T> {
    fn new() -> Last<T> {
        Last(RefCell::new(None))
    }

    fn get(&self, key: Key, compute: impl FnOnce() -> T) -> T {
        if let Some((known, value)) = &*self.0.borrow()
            && *known == key
        {
            return value.clone();
        }
        let value = compute();
        drop(self.0.replace(Some((key, value.clone()))));
        value
    }
}

/// The dimension of `x` that counts positions.
#[track_caller]
fn sequence_dim(layer: &str, x: &Var, d: usize, seq_dim: isize) -> usize {
    let (shape, n) = (x.shape(), x.ndim() as isize);
    let resolved = if seq_dim < 0 { seq_dim + n } else { seq_dim };
    assert!(
        (0..n - 1).contains(&resolved) && shape[shape.len() - 1] == d,
        "{layer}: the input does not fit\n  input {shape}   rule [.., {d}] with positions in dimension {seq_dim}"
    );
    resolved as usize
}

/// `x + rows`, where row `i` of `[t, d]` belongs to the position `i` of the dimension `dim`.
fn add_rows(x: &Var, rows: &Var, dim: usize) -> Var {
    let mut shape = vec![1; x.ndim()];
    shape[dim] = rows.dim(0);
    shape[x.ndim() - 1] = rows.dim(1);
    x + &rows.reshape(shape)
}
