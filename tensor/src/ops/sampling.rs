//! Drawing with parameters that are tensors themselves, and in the shape of another tensor.

use rand::RngExt;

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::random::{self, DrawKey, Generator};
use crate::{DType, Element, Error, Shape, Tensor, broadcast_shapes};

impl Tensor {
    /// Uniform in `[0, 1)`; shape and dtype are this tensor's.
    ///
    /// # Panics
    /// For integers and bools.
    #[track_caller]
    pub fn rand_like(&self) -> Tensor {
        Tensor::rand(self.shape(), self.dtype())
    }

    /// Normal with mean 0 and standard deviation 1; shape and dtype are this tensor's.
    ///
    /// # Panics
    /// For integers and bools.
    #[track_caller]
    pub fn randn_like(&self) -> Tensor {
        Tensor::randn(self.shape(), self.dtype())
    }

    /// Whole numbers, uniform in `low..high`; shape and dtype are this tensor's.
    ///
    /// # Panics
    /// Unless `low < high`.
    #[track_caller]
    pub fn randint_like(&self, low: i64, high: i64) -> Tensor {
        Tensor::randint(low, high, self.shape()).to_dtype(self.dtype())
    }

    /// 1 with the probability that each element of this tensor names, else 0; shape and dtype are this tensor's.
    ///
    /// # Panics
    /// For integers and bools, or if a probability is not in `[0, 1]`.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([0.0, 1.0]).bernoulli_each().to_vec::<f64>(), [0.0, 1.0]);
    /// ```
    #[track_caller]
    pub fn bernoulli_each(&self) -> Tensor {
        let key = random::with_default(Generator::next_key);
        bernoulli_each(self, key)
    }

    /// [`bernoulli_each`](Tensor::bernoulli_each) drawn from `generator`.
    #[track_caller]
    pub fn bernoulli_each_with(&self, generator: &mut Generator) -> Tensor {
        bernoulli_each(self, generator.next_key())
    }

    /// Normal with a mean and a standard deviation for each element; the two are broadcast to each other.
    ///
    /// # Panics
    /// For integers and bools, if the shapes do not broadcast, or a standard deviation is negative.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let drawn = Tensor::normal_each(&Tensor::from([1.0, 2.0]), &Tensor::scalar(0.0));
    /// assert_eq!(drawn.to_vec::<f64>(), [1.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn normal_each(mean: &Tensor, std: &Tensor) -> Tensor {
        normal_each(mean, std, |shape, dtype| Tensor::randn(shape, dtype))
    }

    /// [`normal_each`](Tensor::normal_each) drawn from `generator`.
    #[track_caller]
    pub fn normal_each_with(mean: &Tensor, std: &Tensor, generator: &mut Generator) -> Tensor {
        normal_each(mean, std, |shape, dtype| Tensor::randn_with(shape, dtype, generator))
    }

    /// `n` indices (i64) per row, drawn with probability proportional to the row's non-negative weights, which need not
    /// add up to 1.
    ///
    /// # Shape
    /// `[.., c] -> [.., n]`
    /// # Panics
    /// If a weight is negative or not finite, a row has no positive weight, or (without replacement) fewer than `n`.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let drawn = Tensor::from([0.0, 3.0, 0.0]).multinomial(5, true);
    /// assert_eq!(drawn.to_vec::<i64>(), [1; 5]);
    /// ```
    #[track_caller]
    pub fn multinomial(&self, n: usize, replacement: bool) -> Tensor {
        let key = random::with_default(Generator::next_key);
        multinomial(self, n, replacement, key)
    }

    /// [`multinomial`](Tensor::multinomial) drawn from `generator`.
    #[track_caller]
    pub fn multinomial_with(&self, n: usize, replacement: bool, generator: &mut Generator) -> Tensor {
        multinomial(self, n, replacement, generator.next_key())
    }
}

#[track_caller]
fn bernoulli_each(p: &Tensor, key: DrawKey) -> Tensor {
    let drawn = |p: &Tensor| {
        dispatch!(float p.dtype(), "bernoulli_each", T => {
            let p = p.contiguous();
            let probabilities = p.as_slice::<T>().expect("contiguous");
            if let Some(bad) = probabilities.iter().find(|p| !(0.0..=1.0).contains(&p.to_f64())) {
                panic!("{}", Error::value("bernoulli_each", format!("a probability lies in [0, 1], got {bad}")));
            }
            let mut units = vec![0.0; probabilities.len()];
            key.fill(&mut units, |rng| rng.random::<f64>());
            Tensor::build::<T>(p.shape(), |out| {
                for ((out, &p), unit) in out.iter_mut().zip(probabilities).zip(units) {
                    *out = T::from_i64((unit < p.to_f64()) as i64);
                }
            })
        })
    };
    if p.dtype().is_half() { p.through_compute(drawn) } else { drawn(p) }
}

#[track_caller]
fn normal_each(mean: &Tensor, std: &Tensor, randn: impl FnOnce(Shape, DType) -> Tensor) -> Tensor {
    let shape = broadcast_shapes("normal_each", mean.shape(), std.shape()).or_panic();
    if std.lt_scalar(0.0).any().item::<bool>() {
        panic!("{}", Error::value("normal_each", "a standard deviation is negative"));
    }
    let noise = randn(shape, mean.dtype().promote(std.dtype()));
    mean.add(&noise.mul(std))
}

#[track_caller]
fn multinomial(weights: &Tensor, n: usize, replacement: bool, key: DrawKey) -> Tensor {
    let c = weights.dim(-1);
    let weights_f64 = weights.to_dtype(DType::F64).to_vec::<f64>();
    let mut drawn = Vec::new();
    for (i, row) in weights_f64.chunks(c.max(1)).enumerate() {
        let mut row = row.to_vec();
        let fail = |what: &str| -> ! { panic!("{}", Error::value("multinomial", format!("{what} in row {i}"))) };
        if row.iter().any(|w| !w.is_finite() || *w < 0.0) {
            fail("a weight is negative or not finite");
        }
        if row.iter().filter(|&&w| w > 0.0).count() < if replacement { 1.min(n) } else { n } {
            fail("there are too few positive weights");
        }
        let mut rng = key.block(i);
        for _ in 0..n {
            let mut left = rng.random::<f64>() * row.iter().sum::<f64>();
            // Rounding may use up all the weight; then it is the last one that has any.
            let mut chosen = row.iter().rposition(|&w| w > 0.0).unwrap_or(0);
            for (j, &w) in row.iter().enumerate() {
                if w > 0.0 && left < w {
                    chosen = j;
                    break;
                }
                left -= w;
            }
            drawn.push(chosen as i64);
            if !replacement {
                row[chosen] = 0.0;
            }
        }
    }
    let mut shape = weights.dims().to_vec();
    *shape.last_mut().expect("dim(-1) exists") = n;
    Tensor::from_vec(drawn, shape)
}
