//! Indexing as Python writes it: `x.i((.., 1..3, &ids, NewAxis))` reads `x[:, 1:3, ids, None]`, and `index_put` writes
//! there.

use crate::dtype::{Number, dispatch};
use crate::error::OrPanic;
use crate::kernels::index;
use crate::layout::Layout;
use crate::ops::index::Negative;
use crate::ops::indices::{Index, Indices};
use crate::ops::scatter::require_dtype;
use crate::{DType, Error, Shape, Tensor, broadcast_shapes};

/// What indices mean for a tensor of one layout: which blocks of memory they name, and how the result lies.
struct Plan {
    /// The indexed elements as a view, with the dimensions that tensors index in their places.
    view: Layout,
    /// The view without those dimensions.
    block: Layout,
    /// Where the block of each combination of indices starts.
    starts: Vec<usize>,
    /// The shape to which the index tensors were broadcast.
    chosen: Shape,
    /// The place in the result at which the dimensions of `chosen` stand.
    place: usize,
    /// False if no tensor indexes: the result is the view.
    advanced: bool,
}

impl Plan {
    #[track_caller]
    fn new(op: &str, x: &Tensor, indices: &[Index]) -> Plan {
        let (view, tensors) = basic(op, x, indices);
        let tensors = masks_as_indices(op, &view, tensors);
        let layout = view.layout().clone();
        let dims: Vec<usize> = (0..tensors.len()).filter(|&d| tensors[d].is_some()).collect();
        let broadcast = |shape: Shape, &d: &usize| {
            let ids = tensors[d].as_ref().expect("chosen above");
            broadcast_shapes(op, &shape, ids.shape())
        };
        let chosen = dims.iter().try_fold(Shape::default(), broadcast).or_panic();
        let block = dims.iter().rev().fold(layout.clone(), |block, &d| block.remove(d));
        // As in PyTorch, an index that reads nothing is not looked at.
        let reads = if dims.is_empty() || block.shape.numel() == 0 { 0 } else { chosen.numel() };
        let mut starts = vec![layout.offset as isize; reads];
        for &d in &dims {
            let ids = tensors[d].as_ref().expect("chosen above");
            if chosen.numel() > 0 && layout.shape[d] == 0 {
                panic!("{}", Error::index(op, format!("an index into dimension {d}, which is empty")));
            }
            let ids = if reads == 0 { ids.ravel().narrow(0, 0, 0) } else { ids.expand(&chosen) };
            let ids = Tensor::indices(op, &ids, layout.shape[d], Negative::FromEnd);
            let ids = ids.as_slice::<i64>().expect("contiguous");
            starts.iter_mut().zip(ids).for_each(|(start, &id)| *start += id as isize * layout.strides[d]);
        }
        let starts = starts.into_iter().map(|start| start as usize).collect();
        let adjacent = dims.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let place = if adjacent { dims.first().copied().unwrap_or(0) } else { 0 };
        Plan { view: layout, block, starts, chosen, place, advanced: !dims.is_empty() }
    }

    /// The result's shape, as it is indexed with the chosen dimensions in front.
    fn fronted(&self) -> Vec<usize> {
        [&self.chosen[..], &self.block.shape].concat()
    }

    /// Moves the chosen dimensions from the front to their place, or back.
    fn placed(&self, t: &Tensor, back: bool) -> Tensor {
        let n = self.chosen.len() as isize;
        let (front, there): (Vec<isize>, Vec<isize>) = (0..n).map(|d| (d, d + self.place as isize)).unzip();
        match (n, back) {
            (0, _) => t.clone(),
            (_, false) => t.movedim(front, there),
            (_, true) => t.movedim(there, front),
        }
    }
}

/// Does what needs no tensor: a view, and for each of its dimensions the tensor that indexes it.
#[track_caller]
fn basic(op: &str, x: &Tensor, indices: &[Index]) -> (Tensor, Vec<Option<Tensor>>) {
    let takes = |index: &Index| match index {
        Index::At(_) | Index::Slice { .. } => 1,
        Index::Tensor(t) if is_mask(t) => t.ndim(),
        Index::Tensor(_) => 1,
        Index::Ellipsis | Index::NewAxis | Index::Flag(_) => 0,
    };
    let used: usize = indices.iter().map(takes).sum();
    let ellipses = indices.iter().filter(|i| matches!(i, Index::Ellipsis)).count();
    let Some(left) = x.ndim().checked_sub(used) else {
        let what = format!("{used} indices for {} dimensions", x.ndim());
        panic!("{}", Error::shape(op, what, &[("tensor", x.shape())], "at most an index for each dimension"));
    };
    if ellipses > 1 {
        panic!("{}", Error::value(op, "more than one Ellipsis"));
    }
    let (mut view, mut tensors) = (x.clone(), Vec::new());
    for index in indices {
        let dim = tensors.len() as isize;
        match index {
            Index::At(at) => view = view.select(dim, *at),
            Index::Slice { start, end, step } => {
                view = view.slice(dim, start.unwrap_or(0), end.unwrap_or(isize::MAX), *step);
                tensors.push(None);
            }
            Index::Ellipsis => tensors.extend(std::iter::repeat_n(None, left)),
            Index::NewAxis => {
                view = view.unsqueeze(dim);
                tensors.push(None);
            }
            Index::Flag(flag) => {
                view = view.unsqueeze(dim);
                tensors.push(Some(positions_of_flag(*flag)));
            }
            Index::Tensor(t) if is_mask(t) && t.ndim() == 0 => {
                view = view.unsqueeze(dim);
                tensors.push(Some(positions_of_flag(t.item::<bool>())));
            }
            Index::Tensor(t) if t.ndim() == 0 && !t.dtype().is_floating_point() => {
                view = view.select(dim, t.item::<i64>());
            }
            Index::Tensor(t) => {
                tensors.push(Some(t.clone()));
                // The other dimensions of a mask.
                tensors.extend((1..takes(index)).map(|_| None));
            }
        }
    }
    tensors.resize(view.ndim(), None);
    (view, tensors)
}

/// Bools and, as in PyTorch, bytes say for each element whether it is wanted.
fn is_mask(t: &Tensor) -> bool {
    matches!(t.dtype(), DType::Bool | DType::U8)
}

fn positions_of_flag(flag: bool) -> Tensor {
    Tensor::zeros([usize::from(flag)], DType::I64)
}

/// A mask becomes the indices of the places where it holds, a tensor for each dimension that it covers.
#[track_caller]
fn masks_as_indices(op: &str, view: &Tensor, mut tensors: Vec<Option<Tensor>>) -> Vec<Option<Tensor>> {
    for d in 0..tensors.len() {
        let Some(mask) = tensors[d].clone().filter(is_mask) else { continue };
        if mask.dims() != &view.dims()[d..d + mask.ndim()] {
            let shapes: [(&str, &[usize]); 2] = [("mask", mask.shape()), ("tensor", view.shape())];
            panic!("{}", Error::shape(op, format!("the mask does not fit at dimension {d}"), &shapes, "equal sizes"));
        }
        for (k, ids) in mask.nonzero().unbind(1).into_iter().enumerate() {
            tensors[d + k] = Some(ids);
        }
    }
    tensors
}

impl Tensor {
    /// The elements that `indices` name, as Python's `x[..]` reads them: integers (negative ones from the end), ranges,
    /// [`slice`](crate::slice()) for ranges with a step, `..` for a whole dimension, [`Ellipsis`](crate::Ellipsis) for all that are left over, [`NewAxis`](crate::NewAxis),
    /// tensors of indices (i64, i32), and masks (bool). Dimensions without an index stay whole.
    ///
    /// A view unless a tensor or a mask indexes. (Clippy takes a literal `1..-1` for a slip; [`slice`](Tensor::slice) with a
    /// dimension does not look like one.)
    ///
    /// # Shape
    /// Index tensors are broadcast to one shape, which takes the place of the dimensions that they index if those are
    /// neighbours (after integers have taken theirs away), and comes first otherwise. A mask of `k` dimensions counts as `k`
    /// tensors of the positions at which it holds.
    ///
    /// # Panics
    /// If there are more indices than dimensions or two ellipses, an index is out of range, a step is 0, a mask does not
    /// fit the dimensions that it covers, or index tensors do not broadcast or are floats.
    ///
    /// ```
    /// use tensor::{DType, Ellipsis, NewAxis, Tensor};
    /// let x = Tensor::arange(0.0, 24.0, 1.0, DType::I64).reshape([2, 3, 4]);
    /// assert_eq!(x.i((1, 0, -1)).item::<i64>(), 15);
    /// assert_eq!(x.i((.., 1..3, 2)).to_vec::<i64>(), [6, 10, 18, 22]);
    /// assert_eq!(x.i((Ellipsis, NewAxis)).shape(), &[2, 3, 4, 1]);
    /// let ids = Tensor::from([2i64, 0]);
    /// assert_eq!(x.i((.., &ids, 0)).to_vec::<i64>(), [8, 0, 20, 12]);
    /// assert_eq!(x.i(&x.gt_scalar(20.0)).to_vec::<i64>(), [21, 22, 23]);
    /// ```
    #[track_caller]
    pub fn i(&self, indices: impl Indices) -> Tensor {
        let plan = Plan::new("i", self, &indices.indices());
        if !plan.advanced {
            return self.with_layout(plan.view);
        }
        let found = dispatch!(all self.dtype(), T => Tensor::build::<T>(plan.fronted(), |out| {
            index::select_blocks(self.elements::<T>().data, &plan.block, &plan.starts, out)
        }));
        plan.placed(&found, false)
    }

    /// This tensor with `values` (broadcast) in the place of what [`i`](Tensor::i) reads with the same indices, or with
    /// `accumulate` added to it. Of several values that go to one place, the last one stays or all of them add up.
    ///
    /// # Panics
    /// As [`i`](Tensor::i), and if the dtypes differ or `values` cannot be stretched to what is indexed.
    ///
    /// ```
    /// use tensor::{DType, Tensor};
    /// let x = Tensor::zeros([2, 3], DType::F64);
    /// assert_eq!(x.index_put((.., 1), &Tensor::scalar(5.0), false).to_vec::<f64>(), [0.0, 5.0, 0.0, 0.0, 5.0, 0.0]);
    /// let ids = Tensor::from([0i64, 0]);
    /// assert_eq!(x.index_put((0, &ids), &Tensor::scalar(1.0), true).to_vec::<f64>(), [2.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn index_put(&self, indices: impl Indices, values: &Tensor, accumulate: bool) -> Tensor {
        require_dtype("index_put", self, values);
        let indices = indices.indices();
        if accumulate && self.dtype() == DType::Bool {
            let (x, values) = (self.to_dtype(DType::I64), values.to_dtype(DType::I64));
            return x.index_put(indices, &values, true).to_dtype(DType::Bool);
        }
        let wide = if accumulate { (self.widen(), values.widen()) } else { (self.clone(), values.clone()) };
        let (mut out, values) = (wide.0.copy(), wide.1);
        let plan = Plan::new("index_put", &out, &indices);
        let (starts, source) = if plan.advanced {
            // The values in the order of the starts, whatever the result looks like.
            let mut shape = plan.fronted();
            shape = plan.placed(&Tensor::zeros((), DType::Bool).expand(shape), false).dims().to_vec();
            let source = plan.placed(&stretched(&values, shape.into()), true);
            let rows = [&[plan.chosen.numel()], &plan.block.shape[..]].concat();
            (plan.starts, source.reshape(rows))
        } else {
            (vec![plan.view.offset], stretched(&values, plan.view.shape.clone()).unsqueeze(0))
        };
        fn add<T: Number>(to: &mut T, x: T) {
            *to = to.plus(x);
        }
        match accumulate {
            true => dispatch!(number out.dtype(), "index_put", T => {
                let out = out.as_slice_mut::<T>();
                index::combine_blocks(out, &plan.block, &starts, source.elements::<T>(), add::<T>)
            }),
            false => dispatch!(all out.dtype(), T => {
                let put = |to: &mut T, x: T| *to = x;
                index::combine_blocks(out.as_slice_mut::<T>(), &plan.block, &starts, source.elements::<T>(), put)
            }),
        }
        out.to_dtype(self.dtype())
    }
}

/// Values stretched to what is assigned to; dimensions of size 1 that they have too many in front do not count.
#[track_caller]
fn stretched(values: &Tensor, shape: Shape) -> Tensor {
    let extra = values.ndim().saturating_sub(shape.len());
    let spare = values.dims().iter().take(extra).take_while(|&&size| size == 1).count();
    let values = (0..spare).fold(values.clone(), |values, _| values.squeeze(0));
    values.with_layout(values.layout().expand("index_put", &shape).or_panic())
}
