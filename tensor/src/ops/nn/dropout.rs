//! Dropout whose mask is never stored.

use crate::dtype::{Float, Number, dispatch};
use crate::kernels::dropout;
use crate::{DrawKey, Error, Tensor};

impl Tensor {
    /// `x / (1 - p)` where the draw `key` says "keep", which it does with probability `1 - p`, and 0 elsewhere.
    ///
    /// The mask is a function of `key` and the position alone, so the same call on the gradient is the backward pass.
    ///
    /// # Panics
    /// If `p` is not in `[0, 1]` or the dtype is not floating.
    /// # Source
    /// Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014, section 4, scaled in
    /// training rather than in evaluation.
    ///
    /// ```
    /// use tensor::{DType, Generator, Tensor};
    /// let key = Generator::new(1).next_key();
    /// let y = Tensor::ones([1000], DType::F64).dropout(0.5, key);
    /// assert!(y.to_vec::<f64>().iter().all(|&v| v == 0.0 || v == 2.0));
    /// assert!((y.mean().item::<f64>() - 1.0).abs() < 0.2);
    /// ```
    #[track_caller]
    pub fn dropout(&self, p: f64, key: DrawKey) -> Tensor {
        if !(0.0..=1.0).contains(&p) {
            panic!("{}", Error::value("dropout", format!("a probability lies in [0, 1], got {p}")));
        }
        if self.dtype().is_half() {
            return self.through_compute(|x| x.dropout(p, key));
        }
        let x = self.contiguous();
        dispatch!(float self.dtype(), "dropout", T => Tensor::build::<T>(self.shape(), |out| {
            // Kept when a uniform 32-bit integer is not below the threshold.
            match u32::try_from((p * 2f64.powi(32)) as u64) {
                Ok(threshold) => {
                    let x = x.as_slice::<T>().expect("contiguous");
                    dropout::dropout(key, threshold, T::of(1.0 / (1.0 - p)), x, out);
                }
                Err(_) => out.fill(T::ZERO),
            }
        }))
    }
}
