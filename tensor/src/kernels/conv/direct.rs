//! Correlations with few output channels per group, depthwise ones above all: sums in registers, straight from the
//! padded copy of the input.

use super::panels::put;
use super::patches::{Blocks, Patches, Run, SLACK};
use super::{Correlation, TASKS};
use crate::kernels::gemm::Gemm;
use crate::kernels::parallel::{self, SharedMut};
use crate::kernels::simd::vectorised;
use crate::storage::Storage;

/// Up to so many output channels per group this is faster than filling up a block of the micro-kernel.
pub(super) const ROWS: usize = 3;
/// Outputs of one block: a channel of it stays in the first-level cache.
const COLUMNS: usize = 4096;
/// Channels that are added up before the sums go back to memory.
const CHANNELS: usize = 16;
/// Outputs side by side whose sums are kept in a register, and runs that are computed together.
const LANES: usize = 16;
const TOGETHER: usize = 4;

vectorised! {
    /// The sums of `LANES` outputs from `j` on of each of the `runs`: `weights[k] * copy[places[k] + ..]` added up.
    fn sums<S, T: Gemm>(
        copy: &[T],
        places: &[usize],
        weights: &[T],
        runs: [usize; TOGETHER],
    ) -> [[T; LANES]; TOGETHER] {
        let mut sums = [[T::ZERO; LANES]; TOGETHER];
        for (&place, &w) in places.iter().zip(weights) {
            for (sums, run) in sums.iter_mut().zip(runs) {
                let x = copy[place + run..].first_chunk::<LANES>().expect("the copy has slack");
                for (sum, &x) in sums.iter_mut().zip(x) {
                    *sum = T::multiply_add::<S>(w, x, *sum);
                }
            }
        }
        sums
    }
}

pub(super) fn run<T: Gemm>(c: &Correlation, x: &[T], w: &[T], bias: Option<&[T]>, y: SharedMut<T>) {
    let blocks = Blocks::new(c.batch, &c.axes, COLUMNS, LANES, true);
    let taps = c.tap_weights();
    // Groups are joined to tasks that are worth a thread's attention.
    let each = blocks.longest() * c.outputs * (c.inputs * taps.len() + 1);
    let groups = ((1 << 17) / each.max(1)).clamp(1, c.groups.div_ceil(TASKS.div_ceil(blocks.count())));
    let parts = c.groups.div_ceil(groups);
    let work = |task: usize| {
        let (block, first) = (task / parts, task % parts * groups);
        let patches = Patches::new(&c.axes, blocks.range(block), usize::MAX);
        let channels = CHANNELS.min(c.inputs);
        let mut copy = Storage::new(T::DTYPE, channels * patches.plane + SLACK);
        for g in first..(first + groups).min(c.groups) {
            group(c, g, &patches, &taps, channels, x, w, bias, copy.as_slice_mut::<T>(), &y);
        }
    };
    let total = blocks.count() * parts;
    if each * blocks.count() * c.groups < 2 * parallel::GRAIN {
        (0..total).for_each(work);
    } else {
        parallel::for_each_block(total, work);
    }
}

#[allow(clippy::too_many_arguments, reason = "the body of a loop, called in one place")]
fn group<T: Gemm>(
    c: &Correlation,
    g: usize,
    patches: &Patches,
    taps: &[usize],
    most: usize,
    x: &[T],
    w: &[T],
    bias: Option<&[T]>,
    copy: &mut [T],
    y: &SharedMut<T>,
) {
    let (size, plane, apart) = (c.axes[0].size * c.axes[1].size, c.plane(), c.axes[1].apart);
    let mut first = 0;
    loop {
        let channels = most.min(c.inputs - first);
        let start = |image: usize, channel: usize| ((image * c.groups + g) * c.inputs + channel) * size;
        patches.copy(&c.axes, x, start, first..first + channels, copy);
        let places: Vec<usize> =
            (0..channels).flat_map(|c| patches.taps.iter().map(move |tap| c * patches.plane + tap)).collect();
        for m in 0..c.outputs {
            let row = g * c.weight[0] + m * c.weight[1];
            let weights: Vec<T> = (first..first + channels)
                .flat_map(|channel| taps.iter().map(move |tap| w[row + channel * c.weight[2] + tap]))
                .collect();
            let bias = if first == 0 { bias.map(|bias| bias[g * c.outputs + m]) } else { None };
            let at = |run: &Run| ((run.image * c.groups + g) * c.outputs + m) * plane + run.to;
            for runs in patches.runs.chunks(TOGETHER) {
                // Blocks are of whole rows, or one piece of a row: the runs are equally long.
                for j in (0..runs[0].len).step_by(LANES) {
                    let sources = std::array::from_fn(|r| runs[r.min(runs.len() - 1)].source + j);
                    let sums = sums(copy, &places, &weights, sources);
                    for (run, sums) in runs.iter().zip(&sums) {
                        let len = LANES.min(run.len - j);
                        // SAFETY: a part of a row that belongs to this task alone.
                        let to = unsafe { y.slice(at(run) + j * apart, (len - 1) * apart + 1) };
                        put(&sums[..len], apart, first == 0, bias, to);
                    }
                }
            }
        }
        first += channels;
        if first >= c.inputs {
            break;
        }
    }
}
