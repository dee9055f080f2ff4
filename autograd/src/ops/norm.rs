//! Normalisation over the last dimensions.

use smallvec::SmallVec;
use tensor::{DType, Tensor};

use crate::mode::is_grad_enabled;
use crate::reference::reference_vjp;
use crate::var::Var;

impl Var {
    /// `(x - mean) / sqrt(variance + eps) * weight + bias` over the last `norm_dims` dimensions, with the variance of
    /// the population.
    ///
    /// # Shape
    /// `weight` and `bias` have the shape of the last `norm_dims` dimensions; the result has that of `x`.
    ///
    /// # Gradient
    /// With `n` the normalised value, `r = 1 / sqrt(variance + eps)` and `g = dy weight`: `dx = r (g - mean(g) - n
    /// mean(g n))`, `dweight = sum dy n`, `dbias = sum dy`. Keeps `x`, `weight`, and a mean and an `r` per row.
    ///
    /// # Differs
    /// The weight may be a half beside an input of f32.
    ///
    /// # Source
    /// Ba, Kiros and Hinton, *Layer Normalization*, 2016.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([[1.0, 3.0], [5.0, 5.0]]));
    /// let y = x.layer_norm(1, None, None, 0.0001);
    /// assert!(y.value().allclose(&Tensor::from([[-1.0, 1.0], [0.0, 0.0]]), 1e-3, 1e-3));
    /// ```
    #[track_caller]
    pub fn layer_norm(&self, norm_dims: usize, weight: Option<&Var>, bias: Option<&Var>, eps: f64) -> Var {
        let value = |var: Option<&Var>| var.map(Var::value);
        let (value, mean, rstd) =
            self.tensor().layer_norm(norm_dims, value(weight).as_ref(), value(bias).as_ref(), eps);
        let inputs: SmallVec<[&Var; 3]> = [self].into_iter().chain(weight).chain(bias).collect();
        let (weighted, biased) = (weight.is_some(), bias.is_some());
        let x = self.keep_for(&inputs);
        let w = weight.map(|weight| weight.keep_for(&inputs));
        Var::record("layer_norm", value, inputs, move |dy, need| {
            let (at_weight, at_bias) = (weighted.then_some(1), biased.then_some(1 + weighted as usize));
            let is_needed = |at: Option<usize>| at.is_some_and(|i| need.is(i));
            if is_grad_enabled() {
                let inputs: SmallVec<[&Var; 3]> = std::iter::once(&*x).chain(w.as_deref()).collect();
                let mut grads = reference_vjp(|v| normalised(v, norm_dims, eps), &inputs, dy, need);
                // Whatever the rest, the bias is added last.
                grads.extend(biased.then(|| is_needed(at_bias).then(|| dy.clone())));
                return grads;
            }
            let wanted = [need.is(0), is_needed(at_weight), is_needed(at_bias)];
            let w = w.as_ref().map(|w| w.value());
            let [dx, dw, db] =
                Tensor::layer_norm_backward(&dy.tensor(), &x.tensor(), &mean, &rstd, norm_dims, w.as_ref(), wanted)
                    .map(|grad| grad.map(Var::new));
            [Some(dx), weighted.then_some(dw), biased.then_some(db)].into_iter().flatten().collect()
        })
    }
}

impl Var {
    /// `x / sqrt(mean(x^2) + eps) * weight` over the last `norm_dims` dimensions; without `eps` it is the machine epsilon.
    ///
    /// # Shape
    /// `weight` has the shape of the last `norm_dims` dimensions; the result has that of `x`.
    ///
    /// # Gradient
    /// With `r = 1 / sqrt(mean(x^2) + eps)`, `n = x r` and `g = dy weight`: `dx = r (g - n mean(g n))`, `dweight = sum dy
    /// n`. Keeps `x`, `weight`, and an `r` per row.
    ///
    /// # Differs
    /// The weight may be a half beside an input of f32.
    ///
    /// # Source
    /// Zhang and Sennrich, *Root Mean Square Layer Normalization*, 2019.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let x = Var::new(Tensor::from([[3.0, -3.0]]));
    /// assert!(x.rms_norm(1, None, None).value().allclose(&Tensor::from([[1.0, -1.0]]), 1e-12, 0.0));
    /// ```
    #[track_caller]
    pub fn rms_norm(&self, norm_dims: usize, weight: Option<&Var>, eps: Option<f64>) -> Var {
        let (value, rstd) = self.tensor().rms_norm(norm_dims, weight.map(Var::value).as_ref(), eps);
        let inputs: SmallVec<[&Var; 2]> = [self].into_iter().chain(weight).collect();
        let x = self.keep_for(&inputs);
        let w = weight.map(|weight| weight.keep_for(&inputs));
        Var::record("rms_norm", value, inputs, move |dy, need| {
            if is_grad_enabled() {
                let inputs: SmallVec<[&Var; 2]> = std::iter::once(&*x).chain(w.as_deref()).collect();
                return reference_vjp(|v| scaled(v, norm_dims, eps), &inputs, dy, need);
            }
            let wanted = [need.is(0), w.is_some() && need.is(1)];
            let w = w.as_ref().map(|w| w.value());
            let [dx, dw] = Tensor::rms_norm_backward(&dy.tensor(), &x.tensor(), &rstd, norm_dims, w.as_ref(), wanted)
                .map(|grad| grad.map(Var::new));
            [Some(dx), w.is_some().then_some(dw)].into_iter().flatten().collect()
        })
    }
}

/// The plain reference of the root-mean-square form, of `x` and, if there is one, the weight.
fn scaled(inputs: &[Var], norm_dims: usize, eps: Option<f64>) -> Var {
    let x = &inputs[0];
    let eps = eps.unwrap_or(if x.dtype() == DType::F64 { f64::EPSILON } else { f32::EPSILON as f64 });
    let dims: Vec<isize> = (1..=norm_dims as isize).map(|d| -d).collect();
    let n = x * (x.square().mean_dim(&dims[..], true) + eps).rsqrt();
    // One of weight and input may be f32 beside a half.
    inputs[1..].iter().fold(n, |n, weight| n * weight).to_dtype(x.dtype())
}

/// The plain reference without its bias, of `x` and, if there is one, the weight.
fn normalised(inputs: &[Var], norm_dims: usize, eps: f64) -> Var {
    let x = &inputs[0];
    let dims: Vec<isize> = (1..=norm_dims as isize).map(|d| -d).collect();
    let away = x - x.mean_dim(&dims[..], true);
    let n = &away * (away.square().mean_dim(&dims[..], true) + eps).rsqrt();
    // One of weight and input may be f32 beside a half.
    inputs[1..].iter().fold(n, |n, weight| n * weight).to_dtype(x.dtype())
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    vec![
        sample("layer_norm", &[DISTINCT, REAL, REAL], normalised_shapes, |v, _| {
            v[0].layer_norm(v[1].ndim(), Some(&v[1]), Some(&v[2]), 1e-2).into()
        }),
        sample("layer_norm", &[DISTINCT, REAL], normalised_shapes, |v, _| {
            v[0].layer_norm(v[1].ndim(), Some(&v[1]), None, 1e-2).into()
        }),
        sample("layer_norm", &[DISTINCT], several, |v, _| v[0].layer_norm(1, None, None, 1e-2).into()),
        sample("rms_norm", &[REAL, REAL], normalised_shapes, |v, _| {
            v[0].rms_norm(v[1].ndim(), Some(&v[1]), Some(1e-2)).into()
        }),
        sample("rms_norm", &[NONZERO], several, |v, _| v[0].rms_norm(1, None, None).into()),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    /// How many dimensions are normalised: their sizes must be those of the input.
    fn norm_dims(a: &Args, x: &Var) -> Result<usize, Skip> {
        let sizes = a.sizes(1, "normalized_shape")?;
        if !x.shape().ends_with(&sizes) {
            return skip("sizes to normalise over, of which there are only numbers here");
        }
        Ok(sizes.len())
    }
    vec![
        torch("nn.functional.layer_norm", &["layer_norm"], |a| {
            let (x, weight, bias) = (a.var(0, "input")?, a.opt_var(2, "weight")?, a.opt_var(3, "bias")?);
            let eps = a.number_or(4, "eps", 1e-5)?;
            done(x.layer_norm(norm_dims(a, &x)?, weight.as_ref(), bias.as_ref(), eps))
        }),
        torch("nn.functional.rms_norm", &["rms_norm"], |a| {
            let (x, weight) = (a.var(0, "input")?, a.opt_var(2, "weight")?);
            done(x.rms_norm(norm_dims(a, &x)?, weight.as_ref(), a.opt_number(3, "eps")?))
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{REAL, agrees_with_reference};

    #[test]
    fn layer_norm_agrees_with_its_reference() {
        for (norm_dims, shape) in [(1, &[37][..]), (2, &[5, 37])] {
            let shapes = &[&[3, 5, 37], shape, shape];
            agrees_with_reference(
                &[REAL; 3],
                shapes,
                |v| v[0].layer_norm(norm_dims, Some(&v[1]), Some(&v[2]), 1e-5),
                |v| normalised(&v[..2], norm_dims, 1e-5) + &v[2],
            );
            agrees_with_reference(
                &[REAL; 1],
                &shapes[..1],
                |v| v[0].layer_norm(norm_dims, None, None, 1e-5),
                |v| normalised(&v[..1], norm_dims, 1e-5),
            );
        }
    }

    #[test]
    fn rms_norm_agrees_with_its_reference() {
        for (norm_dims, shape) in [(1, &[37][..]), (2, &[5, 37])] {
            let shapes = &[&[3, 5, 37], shape];
            agrees_with_reference(
                &[REAL; 2],
                shapes,
                |v| v[0].rms_norm(norm_dims, Some(&v[1]), None),
                |v| scaled(v, norm_dims, None),
            );
            agrees_with_reference(
                &[REAL],
                &shapes[..1],
                |v| v[0].rms_norm(norm_dims, None, Some(0.1)),
                |v| scaled(v, norm_dims, Some(0.1)),
            );
        }
    }

    #[test]
    fn a_frozen_weight_gets_no_gradient() {
        let x = Var::new(Tensor::from([[1.0, 2.0, 4.0]])).requires_grad_(true);
        let w = Var::new(Tensor::from([1.0, 2.0, 3.0]));
        let b = Var::new(Tensor::from([0.0, 0.0, 0.0])).requires_grad_(true);
        x.layer_norm(1, Some(&w), Some(&b), 1e-5).sum().backward();
        assert!(w.grad().is_none());
        assert_eq!(b.grad().unwrap().to_vec::<f64>(), [1.0, 1.0, 1.0]);
        assert!(x.grad().is_some());
    }

    #[test]
    fn weights_of_a_half_serve_an_input_of_f32() {
        let [x, w, b] = [[3, 4].as_slice(), &[4], &[4]].map(|shape| Tensor::randn(shape, DType::F32));
        for half in [DType::F16, DType::BF16] {
            let halves = [w.to_dtype(half), b.to_dtype(half)];
            type Norm = fn(&[Var; 3]) -> Var;
            let norms: [Norm; 2] = [
                |[x, w, b]| x.layer_norm(1, Some(w), Some(b), 1e-5),
                |[x, w, b]| x.rms_norm(1, Some(w), Some(1e-5)) + b,
            ];
            for (norm, create_graph) in norms.iter().flat_map(|norm| [(norm, false), (norm, true)]) {
                let run = |w: Tensor, b: Tensor| {
                    let inputs = [x.clone(), w, b].map(|t| Var::new(t).requires_grad_(true));
                    let y = norm(&inputs);
                    let options = crate::GradOptions { create_graph, ..Default::default() };
                    let grads = crate::grad(&[&y.square().sum()], &inputs.iter().collect::<Vec<_>>(), options);
                    (y.value(), grads.into_iter().flatten().map(|g| g.value()).collect::<Vec<_>>())
                };
                let (y, grads) = run(halves[0].clone(), halves[1].clone());
                let (wide_y, wide_grads) = run(halves[0].to_dtype(DType::F32), halves[1].to_dtype(DType::F32));
                assert!(y.bit_eq(&wide_y) && grads[0].bit_eq(&wide_grads[0]));
                for i in [1, 2] {
                    assert!(grads[i].bit_eq(&wide_grads[i].to_dtype(half)), "{half}, parameter {i}");
                }
            }
        }
    }
}
