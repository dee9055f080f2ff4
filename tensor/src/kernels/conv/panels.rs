//! Correlations with many output channels: a matrix product of the weights by patches that are gathered block by block.

use super::patches::{Blocks, Patches, Run, SLACK, pack};
use super::{Correlation, TASKS};
use crate::kernels::gemm::Gemm;
use crate::kernels::gemm::micro::{Kernel, Left, Tile};
use crate::kernels::gemm::packed::piece;
use crate::kernels::parallel::{self, SharedMut};
use crate::storage::Storage;

/// Depth (channels times taps) of a packed block, unless one channel has more taps.
const DEPTH: usize = 384;
/// Outputs of one block: with `DEPTH` they make a packed block that stays in the second-level cache.
const COLUMNS: usize = 384;
/// The largest block of a micro-kernel, in elements.
const LARGEST: usize = 12 * 32;

/// The weights in the order in which the micro-kernel reads them.
struct Packed<T> {
    data: Storage,
    /// Elements of one group.
    group: usize,
    marker: std::marker::PhantomData<T>,
}

/// How the channels are cut: so many at a time, each with so many taps.
#[derive(Clone, Copy)]
struct Depth {
    channels: usize,
    taps: usize,
}

impl<T: Gemm> Packed<T> {
    fn new(c: &Correlation, w: &[T], depth: Depth, mr: usize) -> Packed<T> {
        let taps = c.tap_weights();
        let panels = c.outputs.div_ceil(mr);
        let group = panels * mr * c.inputs * taps.len();
        let mut data = Storage::new(T::DTYPE, c.groups * group);
        let out = SharedMut::new(data.as_slice_mut::<T>());
        let pack = |task: usize| {
            let (g, panel) = (task / panels, task % panels);
            let rows = mr.min(c.outputs - panel * mr);
            for first in (0..c.inputs).step_by(depth.channels) {
                let channels = depth.channels.min(c.inputs - first);
                let deep = channels * depth.taps;
                let at = g * group + first * depth.taps * panels * mr + panel * mr * deep;
                // SAFETY: every group's every panel of every depth has a place of its own.
                let to = unsafe { out.slice(at, mr * deep) };
                if rows < mr {
                    to.fill(T::ZERO);
                }
                for q in 0..rows {
                    let row = g * c.weight[0] + (panel * mr + q) * c.weight[1];
                    let mut to = to[q..].iter_mut().step_by(mr);
                    for channel in first..first + channels {
                        for (tap, to) in taps.iter().zip(&mut to) {
                            *to = w[row + channel * c.weight[2] + tap];
                        }
                    }
                }
            }
        };
        if group * c.groups < parallel::GRAIN {
            (0..c.groups * panels).for_each(pack);
        } else {
            parallel::for_each_block(c.groups * panels, pack);
        }
        Packed { data, group, marker: std::marker::PhantomData }
    }

    /// The panel of rows `row..` of group `g` for the channels from `first` on.
    fn panel(&self, g: usize, row: usize, first: usize, deep: usize, rows: usize, taps: usize) -> &[T] {
        &self.data.as_slice::<T>()[g * self.group + first * taps * rows + row * deep..]
    }
}

pub(super) fn run<T: Gemm>(c: &Correlation, x: &[T], w: &[T], bias: Option<&[T]>, y: SharedMut<T>) {
    let kernel = T::micro_kernel();
    let taps = c.taps();
    let most = (DEPTH / taps).max(1);
    let depth = Depth { channels: c.inputs.div_ceil(c.inputs.div_ceil(most)), taps };
    let packed = Packed::new(c, w, depth, kernel.mr);
    // Few outputs make smaller blocks, so that there are enough of them.
    let columns = c.batch * c.axes[0].out * c.axes[1].out * c.groups;
    let columns = columns.div_ceil(TASKS).clamp(3 * kernel.nr, COLUMNS);
    let blocks = Blocks::new(c.batch, &c.axes, columns, kernel.nr, false);
    // With very few the channels are shared out too, though each task then gathers the same patches.
    let tasks = blocks.count() * c.groups;
    let most = c.outputs.div_ceil((TASKS / 2).div_ceil(tasks)).max(4 * kernel.mr);
    let rows = piece(c.outputs, most, kernel.mr);
    let parts = c.outputs.div_ceil(rows);
    let work = |task: usize| {
        let (block, rest) = (task / (c.groups * parts), task % (c.groups * parts));
        let (g, first) = (rest / parts, rest % parts * rows);
        let columns = blocks.range(block);
        let patches = Patches::new(&c.axes, columns.clone(), kernel.nr);
        let task = Task { c, g, rows: first..(first + rows).min(c.outputs), columns: columns.len(), patches, bias };
        task.run(x, &packed, depth, kernel, &y);
    };
    let total = blocks.count() * c.groups * parts;
    if c.outputs * c.inputs * taps * blocks.longest() * tasks < 4 * parallel::GRAIN {
        (0..total).for_each(work);
    } else {
        parallel::for_each_block(total, work);
    }
}

/// A block of outputs, and the output channels that a task computes there.
struct Task<'a, T> {
    c: &'a Correlation,
    g: usize,
    rows: std::ops::Range<usize>,
    columns: usize,
    patches: Patches,
    bias: Option<&'a [T]>,
}

impl<T: Gemm> Task<'_, T> {
    fn run(&self, x: &[T], packed: &Packed<T>, depth: Depth, kernel: Kernel<T>, y: &SharedMut<T>) {
        let Task { c, patches, .. } = self;
        let Kernel { mr, nr, .. } = kernel;
        let (size, panels) = (c.axes[0].size * c.axes[1].size, self.columns.div_ceil(nr));
        let most = depth.channels * depth.taps;
        let mut copy = Storage::new(T::DTYPE, depth.channels * patches.plane + SLACK);
        let mut b = Storage::new(T::DTYPE, panels * nr * most + nr);
        let (copy, b) = (copy.as_slice_mut::<T>(), b.as_slice_mut::<T>());
        let places: Vec<usize> = (0..depth.channels).map(|c| c * patches.plane).collect();
        // The runs of a panel lie side by side, as no run crosses from one panel to the next.
        let bounds: Vec<usize> =
            (0..=panels).map(|panel| patches.runs.partition_point(|run| run.start < panel * nr)).collect();
        let height = c.outputs.next_multiple_of(mr);
        for first in (0..c.inputs).step_by(depth.channels) {
            let channels = depth.channels.min(c.inputs - first);
            let deep = channels * depth.taps;
            let start = |image: usize, channel: usize| ((image * c.groups + self.g) * c.inputs + channel) * size;
            patches.copy(&c.axes, x, start, first..first + channels, copy);
            for panel in 0..panels {
                let runs = &patches.runs[bounds[panel]..bounds[panel + 1]];
                let to = &mut b[panel * nr * deep..][..nr * deep + nr];
                pack(copy, &places[..channels], &patches.taps, runs, nr, to);
            }
            for row in self.rows.clone().step_by(mr) {
                let a = packed.panel(self.g, row, first, deep, height, depth.taps);
                for panel in 0..panels {
                    let runs = &patches.runs[bounds[panel]..bounds[panel + 1]];
                    let b = &b[panel * nr * deep..][..nr * deep];
                    self.tile(kernel, deep, &a[..mr * deep], b, runs, row, first == 0, y);
                }
            }
        }
    }

    /// One block of the micro-kernel: `mr` channels of the outputs of one panel.
    #[allow(clippy::too_many_arguments, reason = "the innermost step, called in one place")]
    fn tile(
        &self,
        kernel: Kernel<T>,
        deep: usize,
        a: &[T],
        b: &[T],
        runs: &[Run],
        row: usize,
        is_first: bool,
        y: &SharedMut<T>,
    ) {
        let Kernel { mr, nr, routine, .. } = kernel;
        let c = self.c;
        let plane = c.plane();
        let height = mr.min(self.rows.end - row);
        let bias = if is_first { self.bias.map(|bias| &bias[self.g * c.outputs + row..][..height]) } else { None };
        let (front, back) = (runs[0], runs[runs.len() - 1]);
        let width = back.start + back.len - front.start;
        let at = |run: &Run, r: usize| ((run.image * c.groups + self.g) * c.outputs + row + r) * plane + run.to;
        let apart = c.axes[1].apart;
        // The last place minus the first: a panel of one image without gaps is written where it belongs.
        let in_place = front.image == back.image && back.to + back.len == front.to + width && apart == 1;
        if height == mr && width == nr && in_place {
            if let Some(bias) = bias {
                for (r, &b) in bias.iter().enumerate() {
                    // SAFETY: a part of a row of this task's outputs, which no other task writes.
                    unsafe { y.slice(at(&front, r), nr) }.fill(b);
                }
            }
            // SAFETY: the slice shows that the last row of the block lies inside the output, and no other task writes here.
            unsafe {
                y.slice(at(&front, mr - 1), nr);
                let to = y.as_ptr().add(at(&front, 0));
                let load = !is_first || bias.is_some();
                routine(Tile::new(deep, Left::Panel(a.as_ptr()), b.as_ptr(), to, plane, load));
            }
            return;
        }
        let mut sums = [T::ZERO; LARGEST];
        // SAFETY: `sums` has room for the whole block, and the panels are complete.
        unsafe { routine(Tile::new(deep, Left::Panel(a.as_ptr()), b.as_ptr(), sums.as_mut_ptr(), nr, false)) };
        for run in runs {
            for r in 0..height {
                let sums = &sums[r * nr + run.start - front.start..][..run.len];
                // SAFETY: as above; tasks share rows only in pieces that do not overlap.
                let to = unsafe { y.slice(at(run, r), (run.len - 1) * apart + 1) };
                put(sums, apart, is_first, bias.map(|bias| bias[r]), to);
            }
        }
    }
}

/// Writes `sums`, with the bias, to elements `apart`, or adds them to what these hold.
pub(super) fn put<T: Gemm>(sums: &[T], apart: usize, is_first: bool, bias: Option<T>, to: &mut [T]) {
    let to = to.iter_mut().step_by(apart).zip(sums);
    match (is_first, bias) {
        (true, None) => to.for_each(|(to, &sum)| *to = sum),
        (true, Some(bias)) => to.for_each(|(to, &sum)| *to = sum.plus(bias)),
        (false, _) => to.for_each(|(to, &sum)| *to = to.plus(sum)),
    }
}
