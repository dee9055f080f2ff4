//! Functions of two tensors with broadcasting and type promotion, and the in-place forms.

use crate::dtype::{Float, Number, dispatch};
use crate::error::OrPanic;
use crate::kernels::map::{self, Map};
use crate::kernels::simd::Simd;
use crate::kernels::zip::{self, Zip};
use crate::ops::promotion::kind;
use crate::shape::broadcast_shapes;
use crate::{DType, Element, Error, Tensor};

#[derive(Clone, Copy)]
pub(crate) struct Add;
#[derive(Clone, Copy)]
pub(crate) struct Sub;
#[derive(Clone, Copy)]
pub(crate) struct Mul;
#[derive(Clone, Copy)]
pub(crate) struct Div;
#[derive(Clone, Copy)]
pub(crate) struct Maximum;
#[derive(Clone, Copy)]
pub(crate) struct Minimum;

/// A function of two elements of any dtype in which kernels compute numbers.
pub(crate) trait ZipNumbers: Zip<f32, f32> + Zip<f64, f64> + Zip<i64, i64> + Zip<u8, u8> {}
impl<F: Zip<f32, f32> + Zip<f64, f64> + Zip<i64, i64> + Zip<u8, u8>> ZipNumbers for F {}

macro_rules! zip {
    ($op:ident, $bound:ident, |$a:ident, $b:ident| $body:expr) => {
        impl<T: $bound> Zip<T, T> for $op {
            #[inline(always)]
            fn call<S: Simd>(self, $a: T, $b: T) -> T {
                $body
            }
        }
    };
}
zip!(Add, Number, |a, b| a.plus(b));
zip!(Sub, Number, |a, b| a.minus(b));
zip!(Mul, Number, |a, b| a.times(b));
zip!(Div, Float, |a, b| a / b);
// A NaN on either side wins, as in PyTorch.
zip!(Maximum, Number, |a, b| if a > b || a.is_nan() { a } else { b });
zip!(Minimum, Number, |a, b| if a < b || a.is_nan() { a } else { b });

/// A function of two elements with its second argument fixed.
#[derive(Clone, Copy)]
struct Right<F, T>(F, T);
impl<T: Element, U, F: Zip<T, U>> Map<T, U> for Right<F, T> {
    #[inline(always)]
    fn call<S: Simd>(self, x: T) -> U {
        self.0.call::<S>(x, self.1)
    }
}

/// A function of two elements with its first argument fixed.
#[derive(Clone, Copy)]
struct Left<F, T>(F, T);
impl<T: Element, U, F: Zip<T, U>> Map<T, U> for Left<F, T> {
    #[inline(always)]
    fn call<S: Simd>(self, x: T) -> U {
        self.0.call::<S>(self.1, x)
    }
}

/// Both operands stretched to their common shape, as views.
#[track_caller]
pub(crate) fn broadcast(op: &str, a: &Tensor, b: &Tensor) -> (Tensor, Tensor) {
    if a.shape() == b.shape() {
        return (a.clone(), b.clone());
    }
    let shape = broadcast_shapes(op, a.shape(), b.shape()).or_panic();
    let stretch = |t: &Tensor| t.with_layout(t.layout().expand(op, &shape).or_panic());
    (stretch(a), stretch(b))
}

/// `f(a, b)` for operands of one dtype `T`.
#[track_caller]
pub(crate) fn zip_with<T: Element, U: Element, F: Zip<T, U>>(op: &str, f: F, a: &Tensor, b: &Tensor) -> Tensor {
    if a.shape() == b.shape() {
        return Tensor::build::<U>(a.shape(), |out| zip::zip(f, a.elements::<T>(), b.elements::<T>(), out));
    }
    let (a, b) = broadcast(op, a, b);
    Tensor::build::<U>(a.shape(), |out| zip::zip(f, a.elements::<T>(), b.elements::<T>(), out))
}

/// Both operands in `dtype`; no copy where it is theirs already.
fn both(dtype: DType, a: &Tensor, b: &Tensor) -> (Tensor, Tensor) {
    (a.to_dtype(dtype), b.to_dtype(dtype))
}

/// Defines binary methods on numbers. Bools are computed as u8 and turned back, which makes + "or" and * "and".
macro_rules! number_operations {
    ($($(#[$doc:meta])* $name:ident: $f:ident;)*) => { impl Tensor {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $name(&self, other: &Tensor) -> Tensor {
            let dtype = self.result_type(other);
            if dtype == DType::Bool {
                if stringify!($name) == "sub" {
                    panic!("{}", Error::dtype("sub", "not defined for bool; use logical_xor"));
                }
                return self.to_dtype(DType::U8).$name(&other.to_dtype(DType::U8)).to_dtype(DType::Bool);
            }
            let compute = dtype.compute();
            dispatch!(number compute, stringify!($name), T => {
                if self.dtype() == compute && other.dtype() == compute {
                    return zip_with::<T, T, _>(stringify!($name), $f, self, other);
                }
                let (a, b) = both(compute, self, other);
                zip_with::<T, T, _>(stringify!($name), $f, &a, &b).to_dtype(dtype)
            })
        }
    )*}};
}
number_operations! {
    /// `a + b`.
    ///
    /// # Shape
    /// Broadcast: sizes are aligned at the last dimension, and a size of 1 stretches.
    /// # Panics
    /// If the shapes do not broadcast.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let column = Tensor::from([[1.0], [2.0]]);
    /// assert_eq!(column.add(&Tensor::from([10.0, 20.0])).to_vec::<f64>(), [11.0, 21.0, 12.0, 22.0]);
    /// ```
    add: Add;
    /// `a - b`, broadcast.
    ///
    /// # Panics
    /// If the shapes do not broadcast, or both operands are bool.
    sub: Sub;
    /// `a * b`, element by element, broadcast.
    mul: Mul;
    /// The greater of `a` and `b`, broadcast; NaN if either is.
    maximum: Maximum;
    /// The lesser of `a` and `b`, broadcast; NaN if either is.
    minimum: Minimum;
}

/// Defines binary methods that answer in floats.
macro_rules! float_operations {
    ($($(#[$doc:meta])* $name:ident: $f:ident;)*) => { impl Tensor {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $name(&self, other: &Tensor) -> Tensor {
            let dtype = self.result_type(other).to_float();
            let (a, b) = both(dtype.compute(), self, other);
            let result = dispatch!(float a.dtype(), stringify!($name), T => {
                zip_with::<T, T, _>(stringify!($name), $f, &a, &b)
            });
            if result.dtype() == dtype { result } else { result.to_dtype(dtype) }
        }
    )*}};
}
float_operations! {
    /// `a / b` in floats, broadcast.
    div: Div;
}

/// Which side of the operation the scalar is on.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Left,
    Right,
}

/// A scalar in the tensor's dtype. Scalars do not promote, so a fraction has no place in an integer tensor.
#[track_caller]
pub(crate) fn scalar_in(op: &str, dtype: DType, scalar: f64) -> f64 {
    if !dtype.is_floating_point() && scalar.fract() != 0.0 {
        let what = format!("scalar {scalar} does not fit dtype {dtype}; convert the tensor with to_dtype first");
        panic!("{}", Error::dtype(op, what));
    }
    scalar
}

/// A number that elements of `dtype` are to become. Integers take whole numbers in their range, of which u8, as in
/// PyTorch, has the negative ones too: they wrap. Anything but 0 is true.
#[track_caller]
pub(crate) fn fill_value(op: &str, dtype: DType, value: f64) -> f64 {
    let range = match dtype {
        DType::U8 => -255.0..=255.0,
        DType::I32 => i32::MIN as f64..=i32::MAX as f64,
        DType::I64 => i64::MIN as f64..=i64::MAX as f64,
        _ => return value,
    };
    if value.fract() != 0.0 || !range.contains(&value) {
        let why = if range.contains(&value) { "a fraction" } else { "out of range" };
        panic!("{}", Error::dtype(op, format!("scalar {value} does not fit dtype {dtype}: it is {why}")));
    }
    value
}

#[track_caller]
fn with_scalar<F>(op: &str, f: F, x: &Tensor, scalar: f64, side: Side) -> Tensor
where
    F: ZipNumbers,
{
    let scalar = scalar_in(op, x.dtype(), scalar);
    x.through_compute(|x| {
        dispatch!(number x.dtype(), op, T => Tensor::build::<T>(x.shape(), |out| match side {
            Side::Right => map::map(Right(f, <T as Element>::from_f64(scalar)), x.elements::<T>(), out),
            Side::Left => map::map(Left(f, <T as Element>::from_f64(scalar)), x.elements::<T>(), out),
        }))
    })
}

impl Tensor {
    /// `x + scalar`, in the tensor's dtype.
    ///
    /// # Panics
    /// If the tensor holds integers and the scalar a fraction.
    #[track_caller]
    pub fn add_scalar(&self, scalar: f64) -> Tensor {
        with_scalar("add_scalar", Add, self, scalar, Side::Right)
    }

    /// `x - scalar`, in the tensor's dtype.
    #[track_caller]
    pub fn sub_scalar(&self, scalar: f64) -> Tensor {
        with_scalar("sub_scalar", Sub, self, scalar, Side::Right)
    }

    /// `x * scalar`, in the tensor's dtype.
    #[track_caller]
    pub fn mul_scalar(&self, scalar: f64) -> Tensor {
        with_scalar("mul_scalar", Mul, self, scalar, Side::Right)
    }

    /// `x / scalar`, in floats.
    #[track_caller]
    pub fn div_scalar(&self, scalar: f64) -> Tensor {
        self.to_dtype(self.dtype().to_float()).through_compute(|x| {
            dispatch!(float x.dtype(), "div_scalar", T => Tensor::build::<T>(x.shape(), |out| {
                map::map(Right(Div, <T as Element>::from_f64(scalar)), x.elements::<T>(), out)
            }))
        })
    }

    /// `scalar - x`, in the tensor's dtype.
    #[track_caller]
    pub fn rsub_scalar(&self, scalar: f64) -> Tensor {
        with_scalar("rsub_scalar", Sub, self, scalar, Side::Left)
    }

    /// `scalar / x`, in floats.
    #[track_caller]
    pub fn rdiv_scalar(&self, scalar: f64) -> Tensor {
        self.to_dtype(self.dtype().to_float()).through_compute(|x| {
            dispatch!(float x.dtype(), "rdiv_scalar", T => Tensor::build::<T>(x.shape(), |out| {
                map::map(Left(Div, <T as Element>::from_f64(scalar)), x.elements::<T>(), out)
            }))
        })
    }

    /// Changes this tensor in the dtype in which kernels compute and converts the result back.
    #[track_caller]
    pub(crate) fn assign(&mut self, change: impl FnOnce(&mut Tensor)) {
        self.assign_in(self.dtype().compute(), change)
    }

    /// Changes this tensor in `dtype` and converts the result back.
    #[track_caller]
    fn assign_in(&mut self, dtype: DType, change: impl FnOnce(&mut Tensor)) {
        let mut wide = self.to_dtype(dtype);
        change(&mut wide);
        self.copy_(&wide);
    }

    // In place -------------------------------------------------------------------------------------------------------

    /// The dtype of an operation with `other`, whose result this tensor must be able to take.
    #[track_caller]
    fn in_place_dtype(&self, op: &str, other: &Tensor) -> DType {
        let (own, common) = (self.dtype(), self.result_type(other));
        if kind(common) > kind(own) {
            let what =
                format!("the result is {common}, which a tensor of {own} cannot hold; convert it with to_dtype first");
            panic!("{}", Error::dtype(op, what));
        }
        common
    }

    /// `self = f(self, other)`, copying first if the memory is shared.
    #[track_caller]
    fn zip_in_place<F>(&mut self, op: &str, f: F, other: &Tensor)
    where
        F: ZipNumbers,
    {
        let common = self.in_place_dtype(op, other);
        if common == DType::Bool {
            if op == "sub_" {
                panic!("{}", Error::dtype(op, "not defined for bool; use logical_xor"));
            }
            // As outside of a tensor's place: + is "or" and * is "and".
            return self.assign_in(DType::U8, |x| x.zip_in_place(op, f, &other.to_dtype(DType::U8)));
        }
        if common.compute() != self.dtype() {
            return self.assign_in(common.compute(), |x| x.zip_in_place(op, f, &other.to_dtype(common.compute())));
        }
        let stretched;
        let other = if other.dtype() == common && other.shape() == self.shape() {
            other
        } else {
            let converted = other.to_dtype(common);
            stretched = converted.with_layout(converted.layout().expand(op, self.shape()).or_panic());
            &stretched
        };
        dispatch!(number self.dtype(), op, T => zip::zip_in_place(f, self.as_slice_mut::<T>(), other.elements::<T>()))
    }

    /// `self += other`, computed in the dtype to which both promote and converted to this one; `other` is broadcast.
    ///
    /// # Panics
    /// If `other` cannot be stretched to this shape, or this tensor holds integers (bools) and `other` floats (numbers).
    ///
    /// ```
    /// use tensor::Tensor;
    /// let mut x = Tensor::from([250u8, 1]);
    /// x.add_(&Tensor::from([10i64]));
    /// assert_eq!(x.to_vec::<u8>(), [4, 11]);
    /// ```
    #[track_caller]
    pub fn add_(&mut self, other: &Tensor) {
        self.zip_in_place("add_", Add, other)
    }

    /// `self -= other`, as [`add_`](Tensor::add_).
    ///
    /// # Panics
    /// As [`add_`](Tensor::add_), and if both hold bools.
    #[track_caller]
    pub fn sub_(&mut self, other: &Tensor) {
        self.zip_in_place("sub_", Sub, other)
    }

    /// `self *= other`, as [`add_`](Tensor::add_).
    ///
    /// # Panics
    /// As [`add_`](Tensor::add_).
    #[track_caller]
    pub fn mul_(&mut self, other: &Tensor) {
        self.zip_in_place("mul_", Mul, other)
    }

    /// `self += scale * other`, in one pass.
    ///
    /// # Panics
    /// As [`add_`](Tensor::add_), if both hold bools, or if the tensors hold integers and `scale` is a fraction.
    #[track_caller]
    pub fn add_scaled_(&mut self, other: &Tensor, scale: f64) {
        #[derive(Clone, Copy)]
        struct AddScaled<T>(T);
        impl<T: Float> Zip<T, T> for AddScaled<T> {
            #[inline(always)]
            fn call<S: Simd>(self, a: T, b: T) -> T {
                S::mul_add(self.0, b, a)
            }
        }
        let common = self.in_place_dtype("add_scaled_", other);
        let other = other.with_layout(other.layout().expand("add_scaled_", self.shape()).or_panic());
        if !common.is_floating_point() {
            let sum = self.add_scaled(&other, scale);
            return self.copy_(&sum);
        }
        if common.compute() != self.dtype() {
            return self.assign_in(common.compute(), |x| x.add_scaled_(&other.to_dtype(common.compute()), scale));
        }
        let other = other.to_dtype(common);
        dispatch!(float self.dtype(), "add_scaled_", T => {
            zip::zip_in_place(AddScaled(T::of(scale)), self.as_slice_mut::<T>(), other.elements::<T>())
        })
    }

    /// `self *= scalar`.
    ///
    /// # Panics
    /// For bool, or if the tensor holds integers and the scalar is a fraction.
    #[track_caller]
    pub fn mul_scalar_(&mut self, scalar: f64) {
        let scalar = scalar_in("mul_scalar_", self.dtype(), scalar);
        if self.dtype().compute() != self.dtype() {
            return self.assign(|x| x.mul_scalar_(scalar));
        }
        dispatch!(number self.dtype(), "mul_scalar_", T =>
            self.map_in_place::<T, _>(Right(Mul, <T as Element>::from_f64(scalar))))
    }

    /// Sets every element to `value`.
    ///
    /// # Panics
    /// As [`full`](Tensor::full).
    #[track_caller]
    pub fn fill_(&mut self, value: f64) {
        let value = fill_value("fill_", self.dtype(), value);
        // The old elements do not matter: a shared tensor is replaced rather than copied and overwritten.
        if !self.is_sole_owner() {
            *self = Tensor::full(self.shape(), value, self.dtype());
            return;
        }
        dispatch!(all self.dtype(), T => self.as_slice_mut::<T>().fill(T::from_f64(value)))
    }

    /// Sets every element to zero.
    pub fn zero_(&mut self) {
        self.fill_(0.0)
    }

    /// Sets every element to that of `source`, which is broadcast and converted.
    #[track_caller]
    pub fn copy_(&mut self, source: &Tensor) {
        let source = source.to_dtype(self.dtype());
        let source = source.with_layout(source.layout().expand("copy_", self.shape()).or_panic());
        if !self.is_sole_owner() {
            *self = source.copy();
            return;
        }
        dispatch!(all self.dtype(), T => map::copy(source.elements::<T>(), self.as_slice_mut::<T>()))
    }
}
