//! The gradient of a convolution's weights: the product of the patches by the gradient of the result, summed over all
//! places and images.
//!
//! The sum is cut into stretches by the shape; each stretch has sums of its own, which are added up in order at the end.

use std::ops::Range;

use super::patches::{Blocks, Patches, SLACK, gather};
use super::{Axis, Geometry, TASKS, direct};
use crate::kernels::gemm::micro::{Kernel, Left, Tile};
use crate::kernels::gemm::pack::pack_panel;
use crate::kernels::gemm::packed::piece;
use crate::kernels::gemm::{Gemm, Matrix};
use crate::kernels::parallel::{self, SharedMut};
use crate::kernels::simd::vectorised;
use crate::storage::Storage;

/// Rows (channels times taps) of the matrix of patches that a task takes, and columns (places) that it gathers at a time:
/// together they stay in the second-level cache.
const ROWS: usize = 576;
const COLUMNS: usize = 256;
/// Places that a stretch of the sum has at least.
const STRETCH: usize = 1024;
/// Sums that the direct path keeps per weight.
const LANES: usize = 16;

/// `dw`, the gradient of `forward`'s weights for the gradient `dy` of its result.
pub(crate) fn weight<T: Gemm>(g: &Geometry, x: &[T], dy: &[T], dw: &mut [T]) {
    let depth = g.inputs * g.taps();
    if g.batch * g.dims[0].out * g.dims[1].out * depth * g.outputs == 0 {
        dw.fill(T::ZERO);
        return;
    }
    if g.outputs <= direct::ROWS {
        return by_dots(g, x, dy, dw);
    }
    let axes = g.dims.map(Axis::forward);
    let kernel = T::micro_kernel();
    let Kernel { mr, nr, .. } = kernel;
    let blocks = Blocks::new(g.batch, &axes, COLUMNS, 4, false);
    let rows = piece(depth, ROWS, mr);
    let (parts, width) = (depth.div_ceil(rows), g.outputs.next_multiple_of(nr));
    let places = g.batch * g.dims[0].out * g.dims[1].out;
    let stretches = TASKS.div_ceil(g.groups * parts).min(places.div_ceil(STRETCH)).min(blocks.count());
    // The sums of every stretch, group and part.
    let each = rows * width;
    let mut sums = Storage::new(T::DTYPE, stretches * g.groups * parts * each);
    let sums = sums.as_slice_mut::<T>();
    let product = |task: usize, sums: &mut [T]| {
        let (stretch, rest) = (task / (g.groups * parts), task % (g.groups * parts));
        let (group, first) = (rest / parts, rest % parts * rows);
        let blocks_here = stretch * blocks.count() / stretches..(stretch + 1) * blocks.count() / stretches;
        let part = Part { g, axes: &axes, group, rows: first..(first + rows).min(depth), width };
        part.run(x, dy, &blocks, blocks_here, kernel, sums);
    };
    if places * depth * g.outputs * g.groups < 4 * parallel::GRAIN {
        sums.chunks_mut(each).enumerate().for_each(|(i, sums)| product(i, sums));
    } else {
        parallel::for_each_chunk(sums, each, product);
    }
    // Added up and transposed.
    let sums: &[T] = sums;
    parallel::for_each_chunk(dw, (parallel::GRAIN / depth).max(1) * depth, |i, dw| {
        let first = i * (parallel::GRAIN / depth).max(1);
        for (r, dw) in dw.chunks_mut(depth).enumerate() {
            let (group, m) = ((first + r) / g.outputs, (first + r) % g.outputs);
            for (k, dw) in dw.iter_mut().enumerate() {
                let at = |s: usize| ((s * g.groups + group) * parts + k / rows) * each + k % rows * width + m;
                *dw = (1..stretches).fold(sums[at(0)], |sum, s| sum.plus(sums[at(s)]));
            }
        }
    });
}

/// Some rows of the matrix of patches of one group.
struct Part<'a> {
    g: &'a Geometry,
    axes: &'a [Axis; 2],
    group: usize,
    rows: Range<usize>,
    width: usize,
}

impl Part<'_> {
    /// `sums[k, m] = sum over the blocks' places of patch[k, place] * dy[m, place]`.
    fn run<T: Gemm>(&self, x: &[T], dy: &[T], blocks: &Blocks, which: Range<usize>, kernel: Kernel<T>, sums: &mut [T]) {
        let Part { g, axes, width, .. } = *self;
        let Kernel { mr, nr, routine, .. } = kernel;
        let (taps, height) = (g.taps(), self.rows.len().next_multiple_of(mr));
        let channels = self.rows.start / taps..(self.rows.end - 1) / taps + 1;
        let (size, places) = (axes[0].size * axes[1].size, axes[0].out * axes[1].out);
        // Rows that lie a multiple of a page apart would compete for the same few lines of the first-level cache.
        let pitch = blocks.longest().next_multiple_of(64) + 16;
        let mut a = Storage::new(T::DTYPE, height * pitch + 16);
        let mut b = Storage::new(T::DTYPE, width * blocks.longest());
        let (a, b) = (a.as_slice_mut::<T>(), b.as_slice_mut::<T>());
        // Rows that only fill up the last block of the micro-kernel.
        a[self.rows.len() * pitch..].fill(T::ZERO);
        let mut copy: Option<Storage> = None;
        let first = which.start;
        for block in which {
            let columns = blocks.range(block);
            let deep = columns.len();
            let patches = Patches::new(axes, columns, usize::MAX);
            let needed = channels.len() * patches.plane + SLACK;
            let copy = match &mut copy {
                Some(copy) if copy.as_slice::<T>().len() >= needed => copy,
                copy => copy.insert(Storage::new(T::DTYPE, needed)),
            };
            let copy = copy.as_slice_mut::<T>();
            let start = |image: usize, channel: usize| ((image * g.groups + self.group) * g.inputs + channel) * size;
            patches.copy(axes, x, start, channels.clone(), copy);
            let from = self.rows.start - channels.start * taps;
            gather(copy, patches.plane, &patches.taps, from..from + self.rows.len(), &patches.runs, pitch, a);
            for panel in (0..g.outputs).step_by(nr) {
                let count = nr.min(g.outputs - panel);
                for run in joined(&patches) {
                    let channel = (run.image * g.groups + self.group) * g.outputs + panel;
                    let offset = channel * places + run.place;
                    let matrix = Matrix { data: dy, offset, row: places as isize, column: 1 };
                    let to = &mut b[panel * deep + run.start * nr..][..run.len * nr];
                    pack_panel(matrix, count, nr, run.len, to);
                }
            }
            for row in (0..self.rows.len()).step_by(mr) {
                let a = &a[row * pitch..][..(mr - 1) * pitch + deep];
                for panel in (0..width).step_by(nr) {
                    let b = &b[panel * deep..][..nr * deep];
                    let to = &mut sums[row * width + panel..][..(mr - 1) * width + nr];
                    // SAFETY: the slices show that A, B and the block of sums are as large as the kernel reads and writes.
                    unsafe {
                        let a = Left::Rows {
                            from: a.as_ptr(),
                            apart: pitch as isize,
                            below: kernel.asks_below(panel == 0),
                        };
                        routine(Tile::new(deep, a, b.as_ptr(), to.as_mut_ptr(), width, block != first));
                    };
                }
            }
        }
    }
}

/// The runs with those of one image joined: the gradient of the result has no gaps between rows.
fn joined(patches: &Patches) -> Vec<super::patches::Run> {
    let mut joined: Vec<super::patches::Run> = Vec::new();
    for run in &patches.runs {
        match joined.last_mut() {
            Some(last) if last.image == run.image => last.len += run.len,
            _ => joined.push(*run),
        }
    }
    joined
}

vectorised! {
    /// Adds the products of two rows to the sums, lane by lane.
    fn add_products<S, T: Gemm>(x: &[T], y: &[T], sums: &mut [T; LANES]) {
        let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
        let mut lanes = *sums;
        for (x, y) in xs.iter().zip(ys) {
            for l in 0..LANES {
                lanes[l] = T::multiply_add::<S>(x[l], y[l], lanes[l]);
            }
        }
        for ((lane, &x), &y) in lanes.iter_mut().zip(x_rest).zip(y_rest) {
            *lane = T::multiply_add::<S>(x, y, *lane);
        }
        *sums = lanes;
    }
}

/// For few output channels per group: each weight's gradient is a sum over the runs of the result.
fn by_dots<T: Gemm>(g: &Geometry, x: &[T], dy: &[T], dw: &mut [T]) {
    /// Places of one block: its copy and its gradients stay in the first-level cache.
    const PLACES: usize = 4096;
    let axes = g.dims.map(Axis::forward);
    let blocks = Blocks::new(g.batch, &axes, PLACES, LANES, true);
    let (taps, size, places) = (g.taps(), axes[0].size * axes[1].size, axes[0].out * axes[1].out);
    let patches: Vec<Patches> = (0..blocks.count()).map(|i| Patches::new(&axes, blocks.range(i), usize::MAX)).collect();
    let out = SharedMut::new(dw);
    // A task is an input channel: it has weights of its own.
    parallel::for_each_block(g.groups * g.inputs, |task| {
        let (group, channel) = (task / g.inputs, task % g.inputs);
        let plane = patches.iter().map(|p| p.plane).max().unwrap_or(0);
        let mut copy = Storage::new(T::DTYPE, plane + SLACK);
        let copy = copy.as_slice_mut::<T>();
        let mut sums = vec![[T::ZERO; LANES]; g.outputs * taps];
        for patches in &patches {
            let start = |image: usize, _: usize| (image * g.groups * g.inputs + task) * size;
            patches.copy(&axes, x, start, 0..1, copy);
            for (m, sums) in sums.chunks_mut(taps).enumerate() {
                for run in &patches.runs {
                    let at = ((run.image * g.groups + group) * g.outputs + m) * places + run.place;
                    let dy = &dy[at..][..run.len];
                    for (sums, tap) in sums.iter_mut().zip(&patches.taps) {
                        add_products(&copy[run.source + tap..][..run.len], dy, sums);
                    }
                }
            }
        }
        for (m, sums) in sums.chunks(taps).enumerate() {
            let at = ((group * g.outputs + m) * g.inputs + channel) * taps;
            // SAFETY: the weights of an input channel belong to its task.
            let dw = unsafe { out.slice(at, taps) };
            for (dw, sums) in dw.iter_mut().zip(sums) {
                *dw = sums.iter().fold(T::ZERO, |a, &b| a.plus(b));
            }
        }
    });
}
