//! Dropout.

use tensor::{DrawKey, Generator, random};

use crate::var::Var;

impl Var {
    /// Zero with probability `p`, otherwise `x / (1 - p)`; drawn from this thread's default generator. This is PyTorch's
    /// function in training; outside of it there is nothing to call.
    ///
    /// # Gradient
    /// `dx` is `dy` with the same elements dropped. Keeps the key of the draw, no mask.
    ///
    /// # Source
    /// Srivastava et al., *Dropout*, 2014.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{DType, Tensor};
    /// tensor::manual_seed(0);
    /// let x = Var::new(Tensor::ones([1000], DType::F32)).requires_grad_(true);
    /// let y = x.dropout(0.25);
    /// y.sum().backward();
    /// assert!(x.grad().unwrap().value().bit_eq(&y.value()));
    /// ```
    #[track_caller]
    pub fn dropout(&self, p: f64) -> Var {
        self.dropped(p, random::with_default(Generator::next_key))
    }

    /// [`Var::dropout`] drawn from `generator`.
    ///
    /// # Gradient
    /// As [`Var::dropout`].
    #[track_caller]
    pub fn dropout_with(&self, p: f64, generator: &mut Generator) -> Var {
        self.dropped(p, generator.next_key())
    }

    /// The key decides which elements are dropped, so the pullback is the same operation.
    #[track_caller]
    fn dropped(&self, p: f64, key: DrawKey) -> Var {
        Var::record_unary("dropout", self.tensor().dropout(p, key), self, move |dy| dy.dropped(p, key))
    }
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("dropout", &[REAL], same, |v, p| {
            tensor::manual_seed(p.below(9) as u64);
            v[0].dropout(0.4).into()
        }),
        sample("dropout_with", &[REAL], same, |v, p| {
            v[0].dropout_with(0.4, &mut Generator::new(p.below(9) as u64)).into()
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gradient_at;
    use tensor::Tensor;

    #[test]
    fn nothing_and_all_dropped() {
        let x = [1.0, -2.0, f64::INFINITY];
        assert_eq!(Var::new(Tensor::from(x)).dropout(0.0).value().to_vec::<f64>(), x);
        assert_eq!(Var::new(Tensor::from(x)).dropout(1.0).value().to_vec::<f64>(), [0.0; 3]);
        assert_eq!(gradient_at(&x, |x| x.dropout(0.0)), [1.0; 3]);
        assert_eq!(gradient_at(&x, |x| x.dropout(1.0)), [0.0; 3]);
    }
}
