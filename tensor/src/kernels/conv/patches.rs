//! Gathering the patches of a block of outputs.
//!
//! The rows of the input that a block reads are copied once, padded, and split by their residue modulo the step. In that
//! copy the element for a tap and an output lies at the tap's place plus the output's, and the elements of neighbouring
//! outputs are neighbours: gathering a patch knows no edges and no strides.

use std::ops::Range;

use super::Axis;
use crate::dtype::Number;
use crate::kernels::simd::vectorised;

/// What may be read, but not used, behind the last element that counts.
pub(super) const SLACK: usize = 64;

/// How the outputs (of one channel, over all images) are cut into blocks: pieces of a row if rows are long, else
/// stretches of whatever rows and images there are.
pub(super) struct Blocks {
    row: usize,
    total: usize,
    len: usize,
    per_row: Option<usize>,
}

impl Blocks {
    /// Blocks of at most `most` outputs; with `whole` they are of whole rows where these are short enough.
    pub(super) fn new(batch: usize, axes: &[Axis; 2], most: usize, unit: usize, whole: bool) -> Blocks {
        let row = axes[1].out;
        let total = batch * axes[0].out * row;
        let even = |n: usize, unit: usize| n.div_ceil(n.div_ceil(most)).next_multiple_of(unit);
        if row > most {
            let len = even(row, unit);
            return Blocks { row, total, len, per_row: Some(row.div_ceil(len)) };
        }
        let len = if whole { most / row * row } else { even(total, unit) };
        Blocks { row, total, len, per_row: None }
    }

    pub(super) fn count(&self) -> usize {
        match self.per_row {
            Some(per_row) => self.total / self.row * per_row,
            None => self.total.div_ceil(self.len),
        }
    }

    /// The outputs of block `i`, counted over rows and images.
    pub(super) fn range(&self, i: usize) -> Range<usize> {
        match self.per_row {
            Some(per_row) => {
                let (start, piece) = (i / per_row * self.row, i % per_row * self.len);
                start + piece..start + (piece + self.len).min(self.row)
            }
            None => i * self.len..((i + 1) * self.len).min(self.total),
        }
    }

    /// The largest block.
    pub(super) fn longest(&self) -> usize {
        self.len.min(if self.per_row.is_some() { self.row } else { self.total })
    }
}

/// Neighbouring outputs in one row of one image.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// Where the first one's elements lie in the copy, relative to the taps' places.
    pub(super) source: usize,
    /// The first one's number in the block.
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) image: usize,
    /// Where the first one lies in the plane of outputs.
    pub(super) to: usize,
    /// Its number in that plane, whatever its place.
    pub(super) place: usize,
}

/// The rows of one image that a block reads.
struct Lines {
    image: usize,
    first: isize,
    count: usize,
}

/// A block of outputs: its runs, and how the copy of the input is laid out.
pub(super) struct Patches {
    pub(super) runs: Vec<Run>,
    /// Where the elements of each tap lie in a channel of the copy.
    pub(super) taps: Vec<usize>,
    /// The elements of the copy of one channel.
    pub(super) plane: usize,
    lines: Vec<Lines>,
    /// The residues in use, and how many elements of each a row has.
    residues: Vec<usize>,
    width: usize,
    /// The first element's number within its residue.
    first: isize,
}

impl Patches {
    /// Runs never cross a multiple of `cut` outputs from the start of the block.
    pub(super) fn new(axes: &[Axis; 2], block: Range<usize>, cut: usize) -> Patches {
        let [down, across] = axes;
        let (row, image) = (across.out, down.out * across.out);
        let one_row = block.start / row == (block.end - 1) / row;
        // A piece of a row needs only its own columns.
        let (x0, x1) = if one_row { (block.start % row, (block.end - 1) % row + 1) } else { (0, row) };
        let step = across.step as isize;
        let quotient = |offset: isize| offset.div_euclid(step);
        let residue = |offset: isize| offset.rem_euclid(step) as usize;
        let least = across.offsets.iter().copied().map(quotient).min().unwrap_or(0);
        let most = across.offsets.iter().copied().map(quotient).max().unwrap_or(0);
        let mut residues: Vec<usize> = across.offsets.iter().copied().map(residue).collect();
        residues.sort_unstable();
        residues.dedup();
        let width = x1 - x0 + (most - least) as usize;
        let pitch = residues.len() * width;
        let top = down.offsets.iter().copied().min().unwrap_or(0);
        let bottom = down.offsets.iter().copied().max().unwrap_or(0);

        let (mut lines, mut runs) = (Vec::new(), Vec::new());
        let mut rows = 0;
        for i in block.start / image..=(block.end - 1) / image {
            let (start, end) = (block.start.max(i * image) - i * image, block.end.min((i + 1) * image) - i * image);
            let (y0, y1) = (start / row, (end - 1) / row);
            let mut place = start;
            while place < end {
                let (y, x) = (place / row, place % row);
                let at = i * image + place - block.start;
                let len = (row - x).min(end - place).min(cut - at % cut);
                runs.push(Run {
                    source: (rows + (y - y0) * down.step) * pitch + x - x0,
                    start: at,
                    len,
                    image: i,
                    to: (down.first + y * down.apart) * across.length + across.first + x * across.apart,
                    place,
                });
                place += len;
            }
            let count = (y1 - y0) * down.step + (bottom - top) as usize + 1;
            lines.push(Lines { image: i, first: (y0 * down.step) as isize + top, count });
            rows += count;
        }
        let mut taps = Vec::with_capacity(down.offsets.len() * across.offsets.len());
        for &dy in &down.offsets {
            for &dx in &across.offsets {
                let slot = residues.iter().position(|&r| r == residue(dx)).expect("one of them");
                taps.push((dy - top) as usize * pitch + slot * width + (quotient(dx) - least) as usize);
            }
        }
        Patches { runs, taps, plane: rows * pitch, lines, residues, width, first: x0 as isize + least }
    }

    /// Copies `channels` of the input, of which channel `c` of image `i` starts at `start(i, c)`, into `to`.
    pub(super) fn copy<T: Number>(
        &self,
        axes: &[Axis; 2],
        x: &[T],
        start: impl Fn(usize, usize) -> usize,
        channels: Range<usize>,
        to: &mut [T],
    ) {
        let [down, across] = axes;
        let step = across.step as isize;
        let used = channels.len() * self.plane;
        to[used..used + SLACK].fill(T::ZERO);
        let mut rows = to[..used].chunks_exact_mut(self.width.max(1));
        for c in channels {
            for lines in &self.lines {
                let plane = &x[start(lines.image, c)..][..down.size * across.size];
                for y in lines.first..lines.first + lines.count as isize {
                    for &residue in &self.residues {
                        let to = rows.next().expect("as many as were counted");
                        if y < 0 || y >= down.size as isize {
                            to.fill(T::ZERO);
                            continue;
                        }
                        let row = &plane[y as usize * across.size..][..across.size];
                        // Element j is input (first + j) * step + residue.
                        let at = self.first * step + residue as isize;
                        let low = if at < 0 { (-at + step - 1) / step } else { 0 }.min(to.len() as isize) as usize;
                        let high = (across.size as isize - at + step - 1).div_euclid(step);
                        let high = (high.max(0) as usize).clamp(low, to.len());
                        to[..low].fill(T::ZERO);
                        to[high..].fill(T::ZERO);
                        if low == high {
                            continue;
                        }
                        let row = &row[(at + low as isize * step) as usize..];
                        if step == 1 {
                            to[low..high].copy_from_slice(&row[..high - low]);
                        } else {
                            to[low..high].iter_mut().zip(row.iter().step_by(across.step)).for_each(|(to, &x)| *to = x);
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn pack_units<T: Number, const U: usize>(copy: &[T], channels: &[usize], taps: &[usize], runs: &[Run], to: &mut [T]) {
    let mut rows = to;
    for &channel in channels {
        for &tap in taps {
            for run in runs {
                // A whole unit at a time: what is too much is overwritten by the next run, or the next row.
                let x = copy[channel + tap + run.source..].first_chunk::<U>().expect("the copy has slack");
                rows[run.start % U..][..U].copy_from_slice(x);
            }
            rows = &mut std::mem::take(&mut rows)[U..];
        }
    }
}

vectorised! {
    /// One panel: for each channel (by its place in the copy) and tap a row of `unit` elements, one per output. `to` has
    /// room for a row more.
    pub(super) fn pack<S, T: Number>(
        copy: &[T],
        channels: &[usize],
        taps: &[usize],
        runs: &[Run],
        unit: usize,
        to: &mut [T],
    ) {
        match unit {
            32 => pack_units::<T, 32>(copy, channels, taps, runs, to),
            16 => pack_units::<T, 16>(copy, channels, taps, runs, to),
            _ => {
                assert_eq!(unit, 8, "the micro-kernels have 8, 16 or 32 columns");
                pack_units::<T, 8>(copy, channels, taps, runs, to)
            }
        }
    }

    /// The rows of the matrix of patches, `pitch` apart: one for each channel and tap, of which those in `range`, counted
    /// from the first channel's first tap.
    pub(super) fn gather<S, T: Number>(
        copy: &[T],
        plane: usize,
        taps: &[usize],
        range: Range<usize>,
        runs: &[Run],
        pitch: usize,
        to: &mut [T],
    ) {
        const U: usize = 16;
        for (row, k) in range.enumerate() {
            let place = k / taps.len() * plane + taps[k % taps.len()];
            for run in runs {
                for j in (0..run.len).step_by(U) {
                    let x = copy[place + run.source + j..].first_chunk::<U>().expect("the copy has slack");
                    to[row * pitch + run.start + j..][..U].copy_from_slice(x);
                }
            }
        }
    }
}
