//! Measurements: a training step, tokens written one after the other, the cost of small operations, and how near each
//! kernel comes to what the machine can do.

mod decode;
pub mod kernels;
mod ops;
mod train;

pub use decode::{DecodeSpeed, decode, decode_memory};
pub use kernels::kernels;
pub use ops::{OpsSpeed, ops};
pub use train::{TrainSpeed, train};

/// The middle of `times`, or the mean of the two in the middle; sorts them.
fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    let n = times.len();
    (times[(n - 1) / 2] + times[n / 2]) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_pythons() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
