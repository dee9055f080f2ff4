//! Changing the size of images and sequences.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::resample::{self as kernel, Middle, Tap};
use crate::ops::nn::layer_norm::read;
use crate::{DType, Error, Result, Shape, Tensor};

/// Where the elements of a resized tensor come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InterpolateMode {
    /// The element at `floor(i scale)`.
    #[default]
    Nearest,
    /// The nearest element by the centres: at `floor((i + 1/2) scale)`.
    NearestExact,
    /// A blend of the two neighbours along each dimension: PyTorch's linear, bilinear or trilinear.
    Linear,
    /// A blend of the four neighbours along each dimension, by cubic convolution: PyTorch's bicubic.
    Cubic,
    /// The mean of the elements that a new one covers: adaptive average pooling.
    Area,
}

impl InterpolateMode {
    /// Whether new elements are blends of several, with weights that are no whole numbers.
    fn blends(self) -> bool {
        !matches!(self, InterpolateMode::Nearest | InterpolateMode::NearestExact)
    }
}

/// Options of [`Tensor::interpolate`]; the defaults are PyTorch's. Either the size or the factor must be given.
///
/// ```
/// use tensor::{Interpolate, InterpolateMode};
/// let twice = Interpolate { scale_factor: Some(vec![2.0]), mode: InterpolateMode::Linear, ..Default::default() };
/// assert!(!twice.align_corners);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interpolate {
    /// The new sizes, one for each dimension after the second.
    pub size: Option<Vec<usize>>,
    /// By how much the sizes grow, one number for each dimension after the second, or one for all.
    pub scale_factor: Option<Vec<f64>>,
    /// Where the elements come from (default: the nearest).
    pub mode: InterpolateMode,
    /// Whether the centres of the corner elements stay where they are, rather than the tensor's edges; for the linear and
    /// the cubic mode (default: false).
    pub align_corners: bool,
    /// Whether positions follow from the sizes, which are whole numbers, rather than from the factor (default: false).
    pub recompute_scale_factor: bool,
}

const OP: &str = "interpolate";

/// Where the new elements of one dimension come from.
enum Source {
    /// Each from two old ones at most.
    Pairs(Vec<Tap>),
    /// Each from several: a sum of columns, in each of which a new element takes one old one times a weight.
    Columns { to: usize, columns: Vec<Column> },
}

struct Column {
    ids: Tensor,
    weights: Vec<f64>,
}

impl Source {
    /// The number of new elements.
    fn len(&self) -> usize {
        match self {
            Source::Pairs(taps) => taps.len(),
            Source::Columns { to, .. } => *to,
        }
    }

    /// `x` with dimension `d` resized.
    fn apply(&self, x: &Tensor, d: usize, blends: bool) -> Tensor {
        match self {
            Source::Pairs(taps) if !blends => x.index_select(d as isize, &ids(taps)),
            Source::Pairs(taps) => {
                let x = x.contiguous();
                let to = resized(x.dims(), d, taps.len());
                dispatch!(float x.dtype(), OP, T => Tensor::build::<T>(to, |y| {
                    kernel::forward(read::<T>(&x), middle(x.dims(), d, x.dims()[d], taps), y)
                }))
            }
            Source::Columns { to, columns } => {
                let zeros = Tensor::zeros(resized(x.dims(), d, *to), x.dtype());
                columns.iter().fold(zeros, |y, column| {
                    y + x.index_select(d as isize, &column.ids) * column.along(d, x.ndim(), x.dtype())
                })
            }
        }
    }

    /// The gradient of [`apply`](Source::apply) for an input with `n` elements in dimension `d`.
    fn give_back(&self, dy: &Tensor, d: usize, n: usize, blends: bool) -> Tensor {
        let to = resized(dy.dims(), d, n);
        match self {
            Source::Pairs(taps) if !blends => Tensor::zeros(to, dy.dtype()).index_add(d as isize, &ids(taps), dy),
            Source::Pairs(taps) => {
                let dy = dy.contiguous();
                dispatch!(float dy.dtype(), "interpolate_backward", T => Tensor::build::<T>(to, |dx| {
                    kernel::backward(read::<T>(&dy), middle(dy.dims(), d, n, taps), dx)
                }))
            }
            Source::Columns { columns, .. } => columns.iter().fold(Tensor::zeros(to, dy.dtype()), |dx, column| {
                dx.index_add(d as isize, &column.ids, &(dy * column.along(d, dy.ndim(), dy.dtype())))
            }),
        }
    }

    /// For each new element the old ones with their weights. Where one has fewer than another, its last one is taken in
    /// parts: a weight of zero would make NaN of infinities.
    fn columns(elements: Vec<Vec<(usize, f64)>>) -> Source {
        let count = elements.iter().map(Vec::len).max().unwrap_or(0);
        let column = |k: usize| {
            let part = |element: &Vec<(usize, f64)>| {
                let last = element.len() - 1;
                let (place, weight) = element[k.min(last)];
                (place as i64, if k < last { weight } else { weight / (count - last) as f64 })
            };
            let (ids, weights) = elements.iter().map(part).unzip();
            Column { ids: Tensor::from_vec::<i64>(ids, [elements.len()]), weights }
        };
        Source::Columns { to: elements.len(), columns: (0..count).map(column).collect() }
    }
}

impl Column {
    /// The weights, to be multiplied along dimension `d` of a tensor of `ndim` dimensions.
    fn along(&self, d: usize, ndim: usize, dtype: DType) -> Tensor {
        let mut shape = vec![1; ndim];
        shape[d] = self.weights.len();
        Tensor::from_vec(self.weights.clone(), shape).to_dtype(dtype)
    }
}

impl Interpolate {
    /// For each dimension after the second where its new elements come from.
    fn plan(&self, dims: &[usize]) -> Result<Vec<Source>> {
        let fail = |what: &str| Error::shape(OP, what, &[("input", dims)], "[n, c, d..] with one to three d");
        let spatial = &dims[dims.len().min(2)..];
        if spatial.is_empty() || spatial.len() > 3 {
            return Err(fail("there are not one to three dimensions to resize"));
        }
        if self.align_corners && !matches!(self.mode, InterpolateMode::Linear | InterpolateMode::Cubic) {
            return Err(Error::value(OP, "align_corners is for the linear and the cubic mode"));
        }
        let factors = match (&self.size, &self.scale_factor) {
            (Some(size), None) if size.len() == spatial.len() => vec![None; spatial.len()],
            (None, Some(factors)) if factors.len() == 1 => vec![Some(factors[0]); spatial.len()],
            (None, Some(factors)) if factors.len() == spatial.len() => factors.iter().copied().map(Some).collect(),
            (Some(_), Some(_)) | (None, None) => {
                return Err(Error::value(OP, "needs a size or a scale_factor, and not both"));
            }
            _ => return Err(fail("there is not one size or factor for each dimension to resize")),
        };
        let one = |(d, (&n, factor)): (usize, (&usize, Option<f64>))| {
            let to = match (factor, &self.size) {
                (Some(factor), _) => (n as f64 * factor).floor() as usize,
                (None, size) => size.as_ref().map_or(0, |size| size[d]),
            };
            Shape::from([to]).checked_numel()?;
            if n == 0 || to == 0 {
                return Err(fail("a size is 0"));
            }
            let factor = factor.filter(|_| !self.recompute_scale_factor);
            Ok(match self.mode {
                InterpolateMode::Cubic => {
                    Source::columns((0..to).map(|i| cubic(self.position(i, n, to, factor), n)).collect())
                }
                InterpolateMode::Area => Source::columns((0..to).map(|i| area(i, n, to)).collect()),
                _ => Source::Pairs((0..to).map(|i| self.tap(i, n, to, factor)).collect()),
            })
        };
        spatial.iter().zip(factors).enumerate().map(one).collect()
    }

    /// New element `i` of `to`, from `n` old ones.
    fn tap(&self, i: usize, n: usize, to: usize, factor: Option<f64>) -> Tap {
        let nearest = |shift: f32| {
            // In single precision, as PyTorch: at the edges between elements its rounding decides.
            let scale = factor.map_or(n as f32 / to as f32, |factor| (1.0 / factor) as f32);
            let first = (((i as f32 + shift) * scale).floor() as usize).min(n - 1);
            Tap { first, second: first, weight: 0.0 }
        };
        match self.mode {
            InterpolateMode::Nearest => nearest(0.0),
            InterpolateMode::NearestExact => nearest(0.5),
            _ => {
                let at = self.position(i, n, to, factor).max(0.0);
                let first = (at as usize).min(n - 1);
                Tap { first, second: (first + 1).min(n - 1), weight: (at - first as f64).min(1.0) }
            }
        }
    }

    /// Where new element `i` of `to` lies among `n` old ones, whose centres are at whole numbers.
    fn position(&self, i: usize, n: usize, to: usize, factor: Option<f64>) -> f64 {
        match (self.align_corners, to) {
            (true, 1) => 0.0,
            (true, _) => i as f64 * ((n - 1) as f64 / (to - 1) as f64),
            (false, _) => {
                let scale = factor.map_or(n as f64 / to as f64, |factor| 1.0 / factor);
                (i as f64 + 0.5) * scale - 0.5
            }
        }
    }
}

/// The four old elements around `at`, the border repeated, weighted by the cubic that is PyTorch's (and common): with the
/// slope `A` at distance 1, where it and its derivative are continuous.
fn cubic(at: f64, n: usize) -> Vec<(usize, f64)> {
    const A: f64 = -0.75;
    let first = at.floor().min((n - 1) as f64);
    let t = (at - first).clamp(0.0, 1.0);
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
    let place = |k: usize| (first + k as f64 - 1.0).clamp(0.0, (n - 1) as f64) as usize;
    weights.into_iter().enumerate().map(|(k, weight)| (place(k), weight)).collect()
}

/// The old elements that new element `i` of `to` covers, if only in part, in equal shares.
fn area(i: usize, n: usize, to: usize) -> Vec<(usize, f64)> {
    let (start, end) = (i * n / to, ((i + 1) * n).div_ceil(to));
    (start..end).map(|place| (place, 1.0 / (end - start) as f64)).collect()
}

/// Positions as indices.
fn ids(taps: &[Tap]) -> Tensor {
    Tensor::from_vec(taps.iter().map(|tap| tap.first as i64).collect(), [taps.len()])
}

/// The sizes before, at and after dimension `d`, with `n` for the one in the middle.
fn middle<'a>(dims: &[usize], d: usize, n: usize, taps: &'a [Tap]) -> Middle<'a> {
    Middle { n, inner: dims[d + 1..].iter().product(), taps }
}

fn resized(dims: &[usize], d: usize, n: usize) -> Shape {
    dims.iter().enumerate().map(|(k, &size)| if k == d { n } else { size }).collect()
}

impl Tensor {
    /// This tensor with other sizes after the second dimension: elements are repeated, left out, or blended.
    ///
    /// # Shape
    /// `[n, c, d..] -> [n, c, e..]` with one to three dimensions to resize.
    ///
    /// # Numerics
    /// u8 is blended in f32 and rounded after each dimension, halves upwards, as in PyTorch.
    ///
    /// # Panics
    /// If not exactly one of size and factor is given for each dimension, a size is 0, or for integers and bools (but u8 in
    /// the linear mode) where elements are blended.
    ///
    /// # Differs
    /// The cubic mode resizes one or three dimensions too, PyTorch's only two; and it takes no u8.
    ///
    /// # Source
    /// Keys, "Cubic convolution interpolation for digital image processing", 1981, for the cubic mode.
    ///
    /// ```
    /// use tensor::{Interpolate, InterpolateMode, Tensor};
    /// let x = Tensor::from([[[0.0, 2.0]]]);
    /// let twice = Interpolate { scale_factor: Some(vec![2.0]), ..Default::default() };
    /// assert_eq!(x.interpolate(&twice).to_vec::<f64>(), [0.0, 0.0, 2.0, 2.0]);
    /// let linear = Interpolate { mode: InterpolateMode::Linear, ..twice };
    /// assert_eq!(x.interpolate(&linear).to_vec::<f64>(), [0.0, 0.5, 1.5, 2.0]);
    /// let mean = Interpolate { size: Some(vec![1]), mode: InterpolateMode::Area, ..Default::default() };
    /// assert_eq!(x.interpolate(&mean).to_vec::<f64>(), [1.0]);
    /// ```
    #[track_caller]
    pub fn interpolate(&self, options: &Interpolate) -> Tensor {
        let plan = options.plan(self.dims()).or_panic();
        let bytes = self.dtype() == DType::U8 && options.mode == InterpolateMode::Linear;
        if options.mode.blends() && !bytes {
            self.require_float(OP);
        }
        let through = |x: &Tensor| {
            // The last dimension goes first; but for the rounding of bytes the order does not matter.
            plan.iter().enumerate().rev().fold(x.clone(), |x, (d, source)| {
                let y = source.apply(&x, d + 2, options.mode.blends());
                if bytes { (y + 0.5).floor() } else { y }
            })
        };
        if !options.mode.blends() {
            return through(self);
        }
        let wide = if bytes { self.to_dtype(DType::F32) } else { self.clone() };
        wide.through_compute(through).to_dtype(self.dtype())
    }

    /// The gradient of [`interpolate`](Tensor::interpolate) for an input of shape `dims`: each element of `dy` goes back
    /// to where it came from.
    ///
    /// # Panics
    /// As the forward pass, and if `dy` does not have the result's shape.
    #[track_caller]
    pub fn interpolate_backward(dy: &Tensor, dims: &[usize], options: &Interpolate) -> Tensor {
        let plan = options.plan(dims).or_panic();
        let expected: Vec<usize> = dims[..2].iter().copied().chain(plan.iter().map(Source::len)).collect();
        if dy.dims() != expected {
            let shapes: [(&str, &[usize]); 2] = [("dy", dy.dims()), ("result", &expected)];
            let what = "the gradient does not have the shape of the result";
            panic!("{}", Error::shape("interpolate_backward", what, &shapes, "equal shapes"));
        }
        if options.mode.blends() {
            dy.require_float("interpolate_backward");
        }
        dy.through_compute(|dy| {
            plan.iter()
                .enumerate()
                .fold(dy.clone(), |dy, (d, source)| source.give_back(&dy, d + 2, dims[d + 2], options.mode.blends()))
        })
    }

    /// Channels turned into pixels: each pixel of `c r^2` channels becomes a square of `r` by `r` pixels of `c` channels.
    ///
    /// # Shape
    /// `[.., c * r * r, h, w] -> [.., c, h * r, w * r]`
    ///
    /// # Panics
    /// If there are fewer than three dimensions, `r` is 0, or the channels are no multiple of `r^2`.
    ///
    /// # Source
    /// Shi et al., "Real-Time Single Image and Video Super-Resolution", 2016, equation 4.
    ///
    /// ```
    /// use tensor::Tensor;
    /// let x = Tensor::from([[[1i64]], [[2]], [[3]], [[4]]]);
    /// assert_eq!(x.pixel_shuffle(2).to_vec::<i64>(), [1, 2, 3, 4]);
    /// assert_eq!(x.pixel_shuffle(2).dims(), [1, 2, 2]);
    /// ```
    #[track_caller]
    pub fn pixel_shuffle(&self, upscale_factor: usize) -> Tensor {
        let r = upscale_factor;
        let [batch @ .., c, h, w] = self.dims() else {
            panic!(
                "{}",
                Error::shape("pixel_shuffle", "fewer than 3 dimensions", &[("input", self.dims())], "[.., c, h, w]")
            );
        };
        if r.checked_mul(r).is_none_or(|square| square == 0 || !c.is_multiple_of(square)) {
            let what = format!("{c} channels do not make squares of {r} by {r} pixels");
            panic!("{}", Error::shape("pixel_shuffle", what, &[("input", self.dims())], "[.., c * r * r, h, w]"));
        }
        let c = c / (r * r);
        let split: Shape = batch.iter().copied().chain([c, r, r, *h, *w]).collect();
        let joined: Shape = batch.iter().copied().chain([c, h * r, w * r]).collect();
        self.reshape(split).permute(&ordered(batch.len(), [0, 3, 1, 4, 2])).reshape(joined)
    }

    /// Pixels turned into channels: the reverse of [`pixel_shuffle`](Tensor::pixel_shuffle).
    ///
    /// # Shape
    /// `[.., c, h * r, w * r] -> [.., c * r * r, h, w]`
    ///
    /// # Panics
    /// If there are fewer than three dimensions, `r` is 0, or the last two sizes are no multiples of `r`.
    #[track_caller]
    pub fn pixel_unshuffle(&self, downscale_factor: usize) -> Tensor {
        let r = downscale_factor;
        let [batch @ .., c, h, w] = self.dims() else {
            let what = "fewer than 3 dimensions";
            panic!("{}", Error::shape("pixel_unshuffle", what, &[("input", self.dims())], "[.., c, h, w]"));
        };
        if r == 0 || !h.is_multiple_of(r) || !w.is_multiple_of(r) {
            let what = format!("{h} by {w} pixels do not make squares of {r} by {r}");
            panic!("{}", Error::shape("pixel_unshuffle", what, &[("input", self.dims())], "[.., c, h * r, w * r]"));
        }
        let (h, w) = (h / r, w / r);
        let split: Shape = batch.iter().copied().chain([*c, h, r, w, r]).collect();
        let joined: Shape = batch.iter().copied().chain([c * r * r, h, w]).collect();
        self.reshape(split).permute(&ordered(batch.len(), [0, 2, 4, 1, 3])).reshape(joined)
    }

    /// The channels, the second dimension, dealt out anew: those of each of the groups are spread evenly.
    ///
    /// # Shape
    /// `[n, groups * k, ..] -> [n, k * groups, ..]`
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    ///
    /// # Source
    /// Zhang et al., "ShuffleNet", 2018, section 3.1.
    ///
    /// ```
    /// use tensor::Tensor;
    /// assert_eq!(Tensor::from([[1i64, 2, 3, 4]]).channel_shuffle(2).to_vec::<i64>(), [1, 3, 2, 4]);
    /// ```
    #[track_caller]
    pub fn channel_shuffle(&self, groups: usize) -> Tensor {
        match self.dims() {
            [n, c, rest @ ..] if groups > 0 && c.is_multiple_of(groups) => {
                let split: Shape = [*n, groups, c / groups].into_iter().chain(rest.iter().copied()).collect();
                self.reshape(split).transpose(1, 2).reshape(self.shape())
            }
            dims => {
                let what = format!("there are no {groups} groups of channels");
                panic!("{}", Error::shape("channel_shuffle", what, &[("input", dims)], "[n, groups * k, ..]"));
            }
        }
    }
}

/// An order of the last five dimensions, after `batch` that stay.
fn ordered(batch: usize, last: [usize; 5]) -> Vec<isize> {
    (0..batch).chain(last.map(|d| batch + d)).map(|d| d as isize).collect()
}
