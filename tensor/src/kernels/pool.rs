//! Pooling: the largest or the mean element of windows of planes, forward and backward, a plane per step.

use crate::dtype::{Float, Number};
use crate::kernels::parallel::{self, GRAIN};

/// A window along one dimension: its elements lie from `start` to before `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The factor that this dimension gives the divisor of a mean.
    pub(crate) count: usize,
}

/// The windows of all outputs of a plane.
pub(crate) struct Windows {
    /// Height and width of the input's planes.
    pub(crate) size: [usize; 2],
    /// Along each dimension a window per output.
    pub(crate) spans: [Vec<Span>; 2],
    /// How far apart a window's elements lie along each dimension.
    pub(crate) step: [usize; 2],
}

impl Windows {
    fn inputs(&self) -> usize {
        self.size[0] * self.size[1]
    }

    fn outputs(&self) -> usize {
        self.spans[0].len() * self.spans[1].len()
    }

    /// How many planes one task takes.
    fn together(&self) -> usize {
        (GRAIN / (self.inputs() + self.outputs()).max(1)).max(1)
    }

    /// The windows in row-major order.
    fn each(&self) -> impl Iterator<Item = (Span, Span)> + '_ {
        self.spans[0].iter().flat_map(|&down| self.spans[1].iter().map(move |&across| (down, across)))
    }
}

/// What stands for the place of a window's largest element when the window has none.
pub(crate) const NOWHERE: i64 = -1;

/// The largest element of each window and its place in the plane: the first of equals, the last NaN if there is one.
pub(crate) fn max<T: Number>(w: &Windows, x: &[T], y: &mut [T], places: Option<&mut [i64]>) {
    let (inputs, outputs, together) = (w.inputs(), w.outputs(), w.together());
    let of_plane = |x: &[T], y: &mut [T], mut places: Option<&mut [i64]>| {
        for (o, (down, across)) in w.each().enumerate() {
            let (mut best, mut place) = (T::LOWEST, NOWHERE);
            for row in (down.start..down.end).step_by(w.step[0]) {
                for at in (row * w.size[1] + across.start..row * w.size[1] + across.end).step_by(w.step[1]) {
                    let value = x[at];
                    if value > best || value.is_nan() || place == NOWHERE {
                        (best, place) = (value, at as i64);
                    }
                }
            }
            y[o] = best;
            if let Some(places) = &mut places {
                places[o] = place;
            }
        }
    };
    let plane = |i: usize| &x[i * inputs..][..inputs];
    match places {
        None => parallel::for_each_chunk(y, together * outputs, |chunk, y| {
            y.chunks_mut(outputs).enumerate().for_each(|(i, y)| of_plane(plane(chunk * together + i), y, None));
        }),
        Some(places) => {
            let shared = parallel::SharedMut::new(places);
            parallel::for_each_chunk(y, together * outputs, |chunk, y| {
                for (i, y) in y.chunks_mut(outputs).enumerate() {
                    let i = chunk * together + i;
                    // SAFETY: each plane belongs to one task.
                    of_plane(plane(i), y, Some(unsafe { shared.slice(i * outputs, outputs) }));
                }
            });
        }
    }
}

/// Adds each output's element of `dy` to `dx` at the place that was largest; planes of `inputs` and of `outputs` elements.
pub(crate) fn scatter<T: Number>(dy: &[T], places: &[i64], [inputs, outputs]: [usize; 2], dx: &mut [T]) {
    let together = (GRAIN / inputs.max(1)).max(1);
    parallel::for_each_chunk(dx, together * inputs, |chunk, dx| {
        for (i, dx) in dx.chunks_mut(inputs).enumerate() {
            let of_plane = (chunk * together + i) * outputs..(chunk * together + i + 1) * outputs;
            dx.fill(T::ZERO);
            for (&dy, &place) in dy[of_plane.clone()].iter().zip(&places[of_plane]) {
                if place != NOWHERE {
                    dx[place as usize] = dx[place as usize].plus(dy);
                }
            }
        }
    });
}

/// The elements of `x` at each output's place, zero where there is none.
pub(crate) fn gather<T: Number>(x: &[T], places: &[i64], [inputs, outputs]: [usize; 2], y: &mut [T]) {
    let together = (GRAIN / outputs.max(1)).max(1);
    parallel::for_each_chunk(y, together * outputs, |chunk, y| {
        for (i, y) in y.chunks_mut(outputs).enumerate() {
            let i = chunk * together + i;
            let x = &x[i * inputs..][..inputs];
            for (y, &place) in y.iter_mut().zip(&places[i * outputs..][..outputs]) {
                *y = if place == NOWHERE { T::ZERO } else { x[place as usize] };
            }
        }
    });
}

/// Independent partial sums of a wide window.
const LANES: usize = 16;

/// The sum of all rows, in lanes: one chain of additions would wait for each of them.
fn sum_in_lanes<'a, T: Number>(rows: impl Iterator<Item = &'a [T]>) -> T {
    let mut lanes = [T::ZERO; LANES];
    for row in rows {
        let (whole, rest) = row.as_chunks::<LANES>();
        for x in whole {
            for l in 0..LANES {
                lanes[l] = lanes[l].plus(x[l]);
            }
        }
        lanes.iter_mut().zip(rest).for_each(|(lane, &x)| *lane = lane.plus(x));
    }
    lanes.into_iter().fold(T::ZERO, T::plus)
}

/// The mean of each window: its sum over `divisor`, or over the product of its counts.
pub(crate) fn mean<T: Number>(w: &Windows, divisor: Option<i64>, x: &[T], y: &mut [T]) {
    let (inputs, outputs, together) = (w.inputs(), w.outputs(), w.together());
    parallel::for_each_chunk(y, together * outputs, |chunk, y| {
        for (i, y) in y.chunks_mut(outputs).enumerate() {
            let x = &x[(chunk * together + i) * inputs..][..inputs];
            for (y, (down, across)) in y.iter_mut().zip(w.each()) {
                let rows = (down.start..down.end).map(|row| &x[row * w.size[1]..][across.start..across.end]);
                let sum = if across.end - across.start < LANES {
                    rows.flatten().fold(T::ZERO, |sum, &x| sum.plus(x))
                } else {
                    sum_in_lanes(rows)
                };
                let divisor = divisor.unwrap_or(down.count.saturating_mul(across.count) as i64);
                *y = match T::DTYPE.is_floating_point() {
                    true if divisor == 0 => sum,
                    // For f32 this is the same as dividing in f32: twice its precision and more rounds to the same.
                    true => T::from_f64(sum.to_f64() / divisor as f64),
                    false => T::from_i64(sum.to_i64().checked_div(divisor).unwrap_or(0)),
                };
            }
        }
    });
}

/// The gradient of [`mean`]'s input.
pub(crate) fn mean_backward<T: Float>(w: &Windows, divisor: Option<i64>, dy: &[T], dx: &mut [T]) {
    let (inputs, outputs, together) = (w.inputs(), w.outputs(), w.together());
    parallel::for_each_chunk(dx, together * inputs, |chunk, dx| {
        for (i, dx) in dx.chunks_mut(inputs).enumerate() {
            dx.fill(T::ZERO);
            let dy = &dy[(chunk * together + i) * outputs..][..outputs];
            for (&dy, (down, across)) in dy.iter().zip(w.each()) {
                let share = dy / T::of(divisor.unwrap_or(down.count.saturating_mul(across.count) as i64) as f64);
                for row in down.start..down.end {
                    for dx in &mut dx[row * w.size[1]..][across.start..across.end] {
                        *dx += share;
                    }
                }
            }
        }
    });
}
