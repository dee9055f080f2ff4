//! Convolution, its input gradient and its weight gradient, in two spatial dimensions (one-dimensional is height 1).
//!
//! The first two are *correlations*: each output is a sum over input channels and taps of a weight times an input element,
//! whose place is affine in the output's place. A convolution is one correlation. Its input gradient is one for each
//! residue of the place modulo the stride: the places of one residue meet the same taps, and all of them, so nothing is
//! multiplied by zeros between the strides, and nothing is added up from several tasks.
//!
//! A correlation is a matrix product with the patches of the input. Blocks of patches that stay in the second-level cache
//! are gathered straight into the panels that the micro-kernel reads; the matrix of all patches never exists. Which
//! path runs, and how the work is cut, depends on the shape alone.

mod direct;
mod panels;
mod patches;
mod weight;

use crate::kernels::gemm::{self, Gemm, Matrix, Size};
use crate::kernels::parallel::SharedMut;

pub(crate) use weight::weight;

/// Tasks that a kernel wants at least, so that many threads find work; fixed, so that results do not depend on threads.
const TASKS: usize = 16;

/// One spatial dimension of a convolution: output `o` at tap `t` reads input `o * stride + t * dilation - pad`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dim {
    pub(crate) size: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) pad: usize,
    pub(crate) out: usize,
}

/// The sizes of a convolution; channels are counted per group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    pub(crate) groups: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) dims: [Dim; 2],
}

impl Geometry {
    fn taps(&self) -> usize {
        self.dims[0].kernel * self.dims[1].kernel
    }

    /// Whether the patches are the input itself.
    fn is_pointwise(&self) -> bool {
        self.dims.iter().all(|d| d.kernel == 1 && d.stride == 1 && d.pad == 0 && d.out == d.size)
    }
}

/// One spatial dimension of a correlation.
struct Axis {
    /// How many outputs there are.
    out: usize,
    /// How many inputs there are.
    size: usize,
    /// Output `o` at tap `t` reads input `o * step + offsets[t]`, a zero where there is none.
    step: usize,
    offsets: Vec<isize>,
    /// The kernel's index of each tap.
    taps: Vec<usize>,
    /// Output `o` lies at index `first + o * apart` of a dimension of `length`.
    first: usize,
    apart: usize,
    length: usize,
}

impl Axis {
    /// A convolution's.
    fn forward(d: Dim) -> Axis {
        let offsets = (0..d.kernel).map(|t| (t * d.dilation) as isize - d.pad as isize).collect();
        let (taps, out) = ((0..d.kernel).collect(), d.out);
        Axis { out, size: d.size, step: d.stride, offsets, taps, first: 0, apart: 1, length: out }
    }

    /// An input gradient's at the places whose residue modulo the stride is `residue`.
    fn backward(d: Dim, residue: usize) -> Axis {
        let stride = d.stride as isize;
        let offset = |t: usize| (residue + d.pad) as isize - (t * d.dilation) as isize;
        let taps: Vec<usize> = (0..d.kernel).filter(|&t| offset(t) % stride == 0).collect();
        let offsets = taps.iter().map(|&t| offset(t) / stride).collect();
        let out = (d.size - residue).div_ceil(d.stride);
        Axis { out, size: d.out, step: 1, offsets, taps, first: residue, apart: d.stride, length: d.size }
    }
}

/// A correlation: sizes, and where the weight of an output channel, input channel and tap lies.
struct Correlation {
    batch: usize,
    groups: usize,
    /// Channels per group that are read, and that are written.
    inputs: usize,
    outputs: usize,
    axes: [Axis; 2],
    /// How far apart the weights of neighbouring groups, outputs, inputs, and kernel rows lie.
    weight: [usize; 4],
}

impl Correlation {
    fn taps(&self) -> usize {
        self.axes[0].taps.len() * self.axes[1].taps.len()
    }

    /// The size of a plane of the output.
    fn plane(&self) -> usize {
        self.axes[0].length * self.axes[1].length
    }

    /// Where the weight of each tap lies, relative to that of the kernel's first element.
    fn tap_weights(&self) -> Vec<usize> {
        let [down, across] = &self.axes;
        down.taps.iter().flat_map(|&ty| across.taps.iter().map(move |&tx| ty * self.weight[3] + tx)).collect()
    }

    fn run<T: Gemm>(&self, x: &[T], w: &[T], bias: Option<&[T]>, y: SharedMut<T>) {
        if self.batch * self.groups * self.outputs * self.axes[0].out * self.axes[1].out == 0 {
            return;
        }
        if self.outputs <= direct::ROWS || self.inputs * self.taps() == 0 {
            direct::run(self, x, w, bias, y)
        } else {
            panels::run(self, x, w, bias, y)
        }
    }
}

/// `y = conv(x, w) + bias`. All operands are row-major: `x [batch, groups * inputs, .., ..]`,
/// `w [groups * outputs, inputs, .., ..]`, `y [batch, groups * outputs, .., ..]`.
pub(crate) fn forward<T: Gemm>(g: &Geometry, x: &[T], w: &[T], bias: Option<&[T]>, y: &mut [T]) {
    if g.is_pointwise() && g.outputs > direct::ROWS {
        return pointwise(g, false, x, w, bias, y);
    }
    let taps = g.taps();
    let correlation = Correlation {
        batch: g.batch,
        groups: g.groups,
        inputs: g.inputs,
        outputs: g.outputs,
        axes: g.dims.map(Axis::forward),
        weight: [g.outputs * g.inputs * taps, g.inputs * taps, taps, g.dims[1].kernel],
    };
    correlation.run(x, w, bias, SharedMut::new(y));
}

/// `dx`, the gradient of `forward`'s input for the gradient `dy` of its result, plus `bias`.
pub(crate) fn input<T: Gemm>(g: &Geometry, dy: &[T], w: &[T], bias: Option<&[T]>, dx: &mut [T]) {
    if g.is_pointwise() && g.inputs > direct::ROWS {
        return pointwise(g, true, dy, w, bias, dx);
    }
    let taps = g.taps();
    let dx = SharedMut::new(dx);
    let [down, across] = g.dims;
    for row in 0..down.stride.min(down.size) {
        for column in 0..across.stride.min(across.size) {
            let correlation = Correlation {
                batch: g.batch,
                groups: g.groups,
                inputs: g.outputs,
                outputs: g.inputs,
                axes: [Axis::backward(down, row), Axis::backward(across, column)],
                weight: [g.outputs * g.inputs * taps, taps, g.inputs * taps, across.kernel],
            };
            correlation.run(dy, w, bias, dx);
        }
    }
}

/// A convolution with kernels of one element is a product of matrices per image and group: of the weights, transposed for
/// the input gradient, by the channels of all places.
fn pointwise<T: Gemm>(g: &Geometry, transposed: bool, x: &[T], w: &[T], bias: Option<&[T]>, y: &mut [T]) {
    let places = g.dims[0].out * g.dims[1].out;
    let weights = |i: usize| {
        let offset = i % g.groups * g.outputs * g.inputs;
        let w = Matrix { data: w, offset, row: g.inputs as isize, column: 1 };
        if transposed { w.transposed() } else { w }
    };
    let (m, k) = if transposed { (g.inputs, g.outputs) } else { (g.outputs, g.inputs) };
    let channels = |i: usize| Matrix { data: x, offset: i * k * places, row: places as isize, column: 1 };
    let bias = bias.map(|bias| {
        move |i: usize, c: &mut [T]| {
            let bias = &bias[i % g.groups * m..][..m];
            c.chunks_mut(places).zip(bias).for_each(|(row, &b)| row.fill(b));
        }
    });
    let start = bias.as_ref().map(|start| start as gemm::Start<T>);
    gemm::batched(Size { m, k, n: places }, weights, channels, start, g.batch * g.groups, y);
}
