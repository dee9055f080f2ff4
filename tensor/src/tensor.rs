//! The tensor itself: storage plus layout, access to the elements, and copy-on-write.

use std::sync::Arc;

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels;
use crate::layout::Layout;
use crate::memory;
use crate::shape::resolve_dim;
use crate::storage::Storage;
use crate::{DType, Element, Error, Result, Shape};

/// An n-dimensional array of numbers of one [`DType`].
///
/// Cloning is cheap and shares the memory, and yet a tensor is a *value*: whoever writes to one that is shared gets a
/// copy of its own first, so nobody's tensor changes behind their back. Views (`transpose`, `narrow`, `expand`, ..)
/// share memory too and cost nothing.
///
/// ```
/// use tensor::Tensor;
/// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
/// let mut b = a.clone();
/// b.mul_scalar_(10.0);
/// assert_eq!(a.to_vec::<f64>(), [1.0, 2.0, 3.0, 4.0]);
/// assert_eq!(b.t().to_vec::<f64>(), [10.0, 30.0, 20.0, 40.0]);
/// ```
#[derive(Clone)]
pub struct Tensor {
    storage: Arc<Storage>,
    layout: Layout,
}

/// A tensor of one element type seen by a kernel: its whole storage and where its elements lie in it.
#[derive(Clone, Copy)]
pub(crate) struct View<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) layout: &'a Layout,
}

impl<'a, T> View<'a, T> {
    /// The elements in row-major order, if they lie that way.
    #[inline]
    pub(crate) fn as_slice(&self) -> Option<&'a [T]> {
        self.layout.is_contiguous().then(|| &self.data[self.layout.offset..][..self.layout.shape.numel()])
    }
}

impl Tensor {
    // Making tensors ------------------------------------------------------------------------------------------------

    /// A fresh contiguous tensor whose elements `fill` must all write: they start out as anything.
    #[track_caller]
    pub(crate) fn build<T: Element>(shape: impl Into<Shape>, fill: impl FnOnce(&mut [T])) -> Tensor {
        let shape = shape.into();
        let mut storage = Storage::new(T::DTYPE, shape.checked_numel().or_panic());
        fill(storage.as_slice_mut::<T>());
        Tensor { storage: Arc::new(storage), layout: Layout::contiguous(shape) }
    }

    /// The elements of `storage`, which must be as many as the shape has, in row-major order.
    pub(crate) fn from_storage(storage: Storage, shape: impl Into<Shape>) -> Tensor {
        Tensor { storage: Arc::new(storage), layout: Layout::contiguous(shape.into()) }
    }

    /// The same memory seen through another layout, which must stay inside it.
    pub(crate) fn with_layout(&self, layout: Layout) -> Tensor {
        Tensor { storage: self.storage.clone(), layout }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    // Properties ----------------------------------------------------------------------------------------------------

    /// The sizes of the dimensions.
    #[inline]
    pub fn shape(&self) -> &Shape {
        &self.layout.shape
    }

    /// The sizes of the dimensions as a slice.
    #[inline]
    pub fn dims(&self) -> &[usize] {
        &self.layout.shape
    }

    /// The size of dimension `dim`, which may count from the end.
    ///
    /// # Panics
    /// If there is no such dimension.
    #[track_caller]
    pub fn dim(&self, dim: isize) -> usize {
        self.dims()[resolve_dim("dim", dim, self.ndim()).or_panic()]
    }

    /// The number of dimensions; 0 for a scalar.
    #[inline]
    pub fn ndim(&self) -> usize {
        self.layout.shape.len()
    }

    /// The number of elements.
    #[inline]
    pub fn numel(&self) -> usize {
        self.layout.shape.numel()
    }

    /// The type of the elements.
    #[inline]
    pub fn dtype(&self) -> DType {
        self.storage.dtype()
    }

    /// How far apart, in elements, neighbours along each dimension lie.
    #[inline]
    pub fn strides(&self) -> &[isize] {
        &self.layout.strides
    }

    /// Whether the elements lie in row-major order without gaps.
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.layout.is_contiguous()
    }

    /// Whether both tensors look at the same memory.
    pub fn shares_storage_with(&self, other: &Tensor) -> bool {
        Arc::ptr_eq(&self.storage, &other.storage)
    }

    /// Whether both tensors are the same view of the same memory.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert!(a.is_set_to(&a.clone()));
    /// assert!(!a.is_set_to(&a.t()) && !a.is_set_to(&a.copy()));
    /// ```
    pub fn is_set_to(&self, other: &Tensor) -> bool {
        self.shares_storage_with(other) && self.layout == other.layout
    }

    // Reading elements ----------------------------------------------------------------------------------------------

    /// What a kernel needs to read this tensor. Panics if `T` is not its dtype.
    #[inline]
    pub(crate) fn elements<T: Element>(&self) -> View<'_, T> {
        View { data: self.storage.as_slice::<T>(), layout: &self.layout }
    }

    /// The elements in row-major order without copying, if they lie that way.
    ///
    /// # Panics
    /// If `T` is not the tensor's dtype.
    #[inline]
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        self.elements::<T>().as_slice()
    }

    /// The bytes of the elements in row-major order and in this machine's byte order, if they lie that way.
    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        let size = self.dtype().size_in_bytes();
        let elements = || &self.storage.as_bytes()[self.layout.offset * size..][..self.numel() * size];
        self.is_contiguous().then(elements)
    }

    /// The elements in row-major order.
    ///
    /// # Panics
    /// If `T` is not the tensor's dtype; convert with [`to_dtype`](Tensor::to_dtype) first.
    #[track_caller]
    pub fn to_vec<T: Element>(&self) -> Vec<T> {
        let whole = self.contiguous();
        whole.as_slice::<T>().expect("just made contiguous").to_vec()
    }

    /// The only element, converted to `T`.
    ///
    /// # Panics
    /// If the tensor does not have exactly one element.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x: f64 = Tensor::from([1.0f32, 2.0, 3.0]).sum().item();
    /// assert_eq!(x, 6.0);
    /// ```
    #[track_caller]
    pub fn item<T: Element>(&self) -> T {
        if self.numel() != 1 {
            let what = format!("needs exactly one element, got {}", self.numel());
            panic!("{}", Error::shape("item", what, &[("tensor", self.shape())], ""));
        }
        self.element(self.layout.offset)
    }

    /// The element at `index`, converted to `T`.
    ///
    /// # Panics
    /// If the index is not inside the shape.
    #[track_caller]
    pub fn get<T: Element>(&self, index: &[usize]) -> T {
        if index.len() != self.ndim() || index.iter().zip(self.dims()).any(|(i, n)| i >= n) {
            let what = format!("index {index:?} is out of range for shape {:?}", self.dims());
            panic!("{}", Error::index("get", what));
        }
        self.element(self.layout.position(index))
    }

    fn element<U: Element>(&self, position: usize) -> U {
        dispatch!(all self.dtype(), T => self.storage.as_slice::<T>()[position].cast())
    }

    /// Whether both tensors have the same dtype, shape and bits (so that NaN equals itself and 0.0 differs from -0.0).
    pub fn bit_eq(&self, other: &Tensor) -> bool {
        fn bytes<T: Element>(t: &Tensor) -> Vec<u64> {
            let bits = |x: T| if T::DTYPE.is_floating_point() { x.to_f64().to_bits() } else { x.to_i64() as u64 };
            t.to_vec::<T>().into_iter().map(bits).collect()
        }
        self.dtype() == other.dtype()
            && self.shape() == other.shape()
            && dispatch!(all self.dtype(), T => bytes::<T>(self) == bytes::<T>(other))
    }

    // Copies and writes ---------------------------------------------------------------------------------------------

    /// This tensor in row-major order; itself if it is so already.
    pub fn contiguous(&self) -> Tensor {
        if self.is_contiguous() { self.clone() } else { self.copy() }
    }

    /// A contiguous tensor of its own with the same elements.
    pub fn copy(&self) -> Tensor {
        dispatch!(all self.dtype(), T => Tensor::build::<T>(self.shape(), |out| kernels::map::copy(self.elements::<T>(), out)))
    }

    /// This tensor with elements of type `dtype`; itself if it has them already. Float to integer cuts fractions off.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// let t = Tensor::from([1.7f32, -1.7]).to_dtype(DType::I64);
    /// assert_eq!(t.to_vec::<i64>(), [1, -1]);
    /// ```
    pub fn to_dtype(&self, dtype: DType) -> Tensor {
        if dtype == self.dtype() {
            return self.clone();
        }
        dispatch!(all self.dtype(), T => dispatch!(all dtype, U =>
            Tensor::build::<U>(self.shape(), |out| kernels::map::map(kernels::map::Cast, self.elements::<T>(), out))))
    }

    /// This tensor in the dtype in which kernels compute; itself if it has it already.
    pub(crate) fn widen(&self) -> Tensor {
        self.to_dtype(self.dtype().compute())
    }

    /// `f` of this tensor in the dtype in which kernels compute, its result converted back (for the halves: rounded once).
    #[inline]
    #[track_caller]
    pub(crate) fn through_compute(&self, f: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        let dtype = self.dtype();
        match dtype.compute() {
            compute if compute == dtype => f(self),
            compute => f(&self.to_dtype(compute)).to_dtype(dtype),
        }
    }

    /// The elements for writing, in row-major order. A tensor that is shared, or not contiguous, is copied first.
    ///
    /// # Panics
    /// If `T` is not the tensor's dtype.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let a = Tensor::from([1.0, 2.0]);
    /// let mut b = a.clone();
    /// b.as_slice_mut::<f64>()[0] = 7.0;
    /// assert_eq!((a.get::<f64>(&[0]), b.get::<f64>(&[0])), (1.0, 7.0));
    /// ```
    pub fn as_slice_mut<T: Element>(&mut self) -> &mut [T] {
        assert_eq!(T::DTYPE, self.dtype(), "the element type asked for is not the tensor's dtype");
        self.own();
        let range = self.layout.offset..self.layout.offset + self.numel();
        let storage = Arc::get_mut(&mut self.storage).expect("a sole owner, checked above");
        &mut storage.as_slice_mut::<T>()[range]
    }

    /// Makes this tensor the only owner of its memory, in row-major order, so that a write changes nobody else's.
    pub(crate) fn own(&mut self) {
        if !self.is_sole_owner() {
            memory::count_copy_on_write();
            *self = self.copy();
        }
    }

    /// Whether a write needs no copy: nobody else holds the memory, it is no mapped file, and the elements lie in
    /// row-major order.
    pub(crate) fn is_sole_owner(&mut self) -> bool {
        self.layout.is_contiguous() && Arc::get_mut(&mut self.storage).is_some_and(|storage| storage.is_writable())
    }

    /// `self` if nobody else holds it and it could hold the result of an operation with `other` in place.
    pub(crate) fn takes_result_of(&mut self, other: &Tensor) -> bool {
        self.dtype() == other.dtype() && (self.shape() == other.shape() || other.ndim() == 0) && self.is_sole_owner()
    }
}

impl From<&Tensor> for Tensor {
    fn from(tensor: &Tensor) -> Tensor {
        tensor.clone()
    }
}

/// Checks that vectors from outside have as many elements as their shape says.
pub(crate) fn check_len(op: &str, len: usize, shape: &Shape) -> Result<()> {
    match shape.checked_numel()? {
        n if n == len => Ok(()),
        n => Err(Error::shape(op, format!("{len} elements given, the shape takes {n}"), &[("shape", shape)], "")),
    }
}
