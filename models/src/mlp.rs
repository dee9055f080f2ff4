//! The multi-layer perceptron.

use nn::prelude::*;

/// Linear layers with a ReLU after each but the last.
///
/// # Shape
/// `[.., sizes[0]] -> [.., sizes[last]]`.
///
/// ```
/// use models::Mlp;
/// use nn::prelude::*;
/// use tensor::{DType, Tensor};
///
/// let mlp = Mlp::new(&[2, 32, 3]);
/// let y = mlp.forward(&Var::new(Tensor::randn([5, 2], DType::F32)));
/// assert_eq!(y.value().dims(), [5, 3]);
/// assert_eq!(mlp.num_parameters(), 2 * 32 + 32 + 32 * 3 + 3);
/// ```
#[derive(Module)]
pub struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// A perceptron from `sizes[0]` inputs over hidden layers to the last of `sizes` outputs, with PyTorch's
    /// initialisation of `Linear`.
    ///
    /// # Panics
    /// When `sizes` has fewer than two entries.
    #[track_caller]
    pub fn new(sizes: &[usize]) -> Mlp {
        assert!(sizes.len() >= 2, "mlp: sizes {sizes:?} name no input and output");
        Mlp { layers: sizes.windows(2).map(|pair| Linear::new(pair[0], pair[1])).collect() }
    }
}

impl Forward for Mlp {
    fn forward(&self, x: &Var) -> Var {
        let mut layers = self.layers.iter();
        let first = layers.next().expect("at least two sizes make a layer");
        layers.fold(first.forward(x), |x, layer| layer.forward(&x.relu()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::Tensor;

    #[test]
    fn it_is_linear_relu_linear() {
        let mlp = Mlp::new(&[2, 3, 2]);
        let x = Var::new(Tensor::from([[0.5_f32, -1.0], [2.0, 0.25]]));
        let [first, last] = [&mlp.layers[0], &mlp.layers[1]];
        let by_hand = last.forward(&first.forward(&x).relu());
        assert!(mlp.forward(&x).value().bit_eq(&by_hand.value()));
    }

    #[test]
    fn names_are_pytorchs() {
        let names: Vec<String> = Mlp::new(&[1, 2, 3]).named_parameters().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]);
    }

    #[test]
    #[should_panic(expected = "mlp: sizes [3]")]
    fn one_size_is_no_perceptron() {
        Mlp::new(&[3]);
    }
}
