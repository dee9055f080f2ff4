//! Running results along one dimension: sums, products, extrema, and the recurrence behind their gradients.

use crate::dtype::{Number, dispatch};
use crate::error::OrPanic;
use crate::kernels::lines::{self, Lines};
use crate::kernels::parallel::{self, GRAIN};
use crate::shape::broadcast_shapes;
use crate::{DType, Element, Tensor};

/// Lines of any number type, for [`Tensor::scan`].
trait Scan {
    fn run<T: Number>(line: &[T], out: &mut [T]);
}

/// f32 is added up in double precision.
struct Sums;
impl Scan for Sums {
    fn run<T: Number>(line: &[T], out: &mut [T]) {
        if T::DTYPE.is_floating_point() {
            let mut sum = 0.0;
            for (&x, out) in line.iter().zip(out) {
                sum += x.to_f64();
                *out = T::from_f64(sum);
            }
        } else {
            let mut sum = T::ZERO;
            for (&x, out) in line.iter().zip(out) {
                sum = sum.plus(x);
                *out = sum;
            }
        }
    }
}

struct Products;
impl Scan for Products {
    fn run<T: Number>(line: &[T], out: &mut [T]) {
        let mut product = T::ONE;
        for (&x, out) in line.iter().zip(out) {
            product = product.times(x);
            *out = product;
        }
    }
}

impl Tensor {
    /// A line of results for each line along `dim`; integers and bools go to i64.
    #[track_caller]
    fn scan<F: Scan>(&self, op: &str, dim: isize) -> Tensor {
        let x = if self.dtype().is_floating_point() { self.clone() } else { self.to_dtype(DType::I64) };
        x.through_compute(|x| dispatch!(wide x.dtype(), T => x.scan_lines::<T, T>(op, dim, F::run::<T>)))
    }

    /// Calls `f(line, results)` for each line along `dim`.
    #[track_caller]
    fn scan_lines<T: Element, U: Element>(&self, op: &str, dim: isize, f: impl Fn(&[T], &mut [U]) + Sync) -> Tensor {
        let x = if self.ndim() == 0 { self.reshape([1usize]) } else { self.clone() };
        let d = x.resolve(op, dim);
        // Lines are written one after the other; the dimension is moved back to its place as a view.
        let mut shape = x.layout().remove(d).shape.to_vec();
        shape.push(x.dims()[d]);
        let lines = Lines::new(x.elements::<T>(), d);
        let out = Tensor::build::<U>(shape, |out| lines.map(lines.len, out, f)).movedim(-1, d as isize);
        if self.ndim() == 0 { out.reshape(self.shape()) } else { out }
    }

    /// The running sum along `dim`: element `i` is the sum of elements `0..=i`. Integers and bools are summed in i64.
    ///
    /// # Numerics
    /// f32 is added up in double precision.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([1.0, 2.0, 3.0]).cumsum(0).to_vec::<f64>(), [1.0, 3.0, 6.0]);
    /// ```
    #[track_caller]
    pub fn cumsum(&self, dim: isize) -> Tensor {
        self.scan::<Sums>("cumsum", dim)
    }

    /// The running product along `dim`: element `i` is the product of elements `0..=i`. Integers and bools are multiplied
    /// in i64.
    #[track_caller]
    pub fn cumprod(&self, dim: isize) -> Tensor {
        self.scan::<Products>("cumprod", dim)
    }

    /// The greatest elements so far along `dim`, and where they were: the last one among equals, NaN above all.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let (values, indices) = Tensor::from([1i64, 3, 2, 3]).cummax(0);
    /// assert_eq!((values.to_vec::<i64>(), indices.to_vec::<i64>()), (vec![1, 3, 3, 3], vec![0, 1, 1, 3]));
    /// ```
    #[track_caller]
    pub fn cummax(&self, dim: isize) -> (Tensor, Tensor) {
        let x = self.ordered().reshape(self.shape());
        let indices = dispatch!(number x.dtype(), "cummax", T => {
            x.scan_lines::<T, i64>("cummax", dim, lines::running_argmax)
        });
        (self.gather(dim, &indices), indices)
    }

    /// The least elements so far along `dim`, and where they were: the last one among equals, NaN below all.
    #[track_caller]
    pub fn cummin(&self, dim: isize) -> (Tensor, Tensor) {
        let x = self.ordered().reshape(self.shape());
        let indices = dispatch!(number x.dtype(), "cummin", T => {
            x.scan_lines::<T, i64>("cummin", dim, lines::running_argmin)
        });
        (self.gather(dim, &indices), indices)
    }

    /// `log sum e^x` of the elements so far along `dim`, in floats, without overflow.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let y = Tensor::from([f64::NEG_INFINITY, 1e4, 1e4]).logcumsumexp(0);
    /// assert_eq!(y.to_vec::<f64>(), [f64::NEG_INFINITY, 1e4, 1e4 + 2f64.ln()]);
    /// ```
    #[track_caller]
    pub fn logcumsumexp(&self, dim: isize) -> Tensor {
        self.to_dtype(self.dtype().to_float()).through_compute(|x| {
            dispatch!(float x.dtype(), "logcumsumexp", T => {
                x.scan_lines::<T, T>("logcumsumexp", dim, lines::running_logsumexp)
            })
        })
    }

    /// `y_i = a_i y_(i-1) + b_i` along `dim`, from `y_0 = b_0` on, in floats; `a` and `b` are broadcast.
    ///
    /// Running sums (`a = 1`), decaying averages and the gradients of running products are of this form.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let y = Tensor::linear_recurrence(&Tensor::scalar(0.5), &Tensor::from([8.0, 0.0, 1.0]), 0);
    /// assert_eq!(y.to_vec::<f64>(), [8.0, 4.0, 3.0]);
    /// ```
    #[track_caller]
    pub fn linear_recurrence(a: &Tensor, b: &Tensor, dim: isize) -> Tensor {
        let dtype = a.result_type(b).to_float();
        let shape = broadcast_shapes("linear_recurrence", a.shape(), b.shape()).or_panic();
        if shape.is_empty() {
            return b.to_dtype(dtype);
        }
        crate::shape::resolve_dim("linear_recurrence", dim, shape.len()).or_panic();
        let lines = |t: &Tensor| t.to_dtype(dtype.compute()).expand(&shape).movedim(dim, -1).contiguous();
        let (a, b) = (lines(a), lines(b));
        let len = b.dim(-1).max(1);
        let y = dispatch!(float b.dtype(), "linear_recurrence", T => {
            let (x, z) = (a.as_slice::<T>().expect("made contiguous"), b.as_slice::<T>().expect("made contiguous"));
            let chunk = (GRAIN / len).max(1) * len;
            Tensor::build::<T>(b.shape(), |y| parallel::for_each_chunk(y, chunk, |i, y| {
                for (j, y) in y.chunks_mut(len).enumerate() {
                    let at = i * chunk + j * len;
                    lines::recurrence(&x[at..][..len], &z[at..][..len], y);
                }
            }))
        });
        y.to_dtype(dtype).movedim(-1, dim)
    }
}
