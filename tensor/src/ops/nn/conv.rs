//! Convolution in one and two spatial dimensions, its input gradient (which is transposed convolution) and its weight
//! gradient.

use crate::dtype::dispatch;
use crate::error::OrPanic;
use crate::kernels::conv::{self, Dim, Geometry};
use crate::ops::nn::spatial::{PerDim, planes, read, with_spatial};
use crate::{DType, Error, Result, Tensor};

/// Zeros around the input of a convolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConvPadding {
    /// So many on either side of each spatial dimension.
    Zeros(PerDim),
    /// As many as give the result the size of the input, an odd one at the end; only with stride 1.
    Same,
    /// None.
    Valid,
}

impl<N: Into<PerDim>> From<N> for ConvPadding {
    fn from(n: N) -> ConvPadding {
        ConvPadding::Zeros(n.into())
    }
}

/// The options of a convolution, PyTorch's names and defaults, for one spatial dimension and for two.
///
/// ```
/// use tensor::{Conv, ConvPadding};
/// let half = Conv { stride: 2.into(), padding: 1.into(), ..Default::default() };
/// let same = Conv { padding: ConvPadding::Same, dilation: [1, 2].into(), ..Default::default() };
/// assert_eq!((half.groups, same.stride), (1, 1.into()));
/// ```
#[derive(Clone, Debug)]
pub struct Conv {
    /// How far the kernel moves from one output to the next; 1.
    pub stride: PerDim,
    /// Zeros around the input; none.
    pub padding: ConvPadding,
    /// How far apart the elements of the input lie that neighbouring elements of the kernel meet; 1.
    pub dilation: PerDim,
    /// In so many groups the channels are split; outputs see the inputs of their group only; 1.
    pub groups: usize,
}

impl Default for Conv {
    fn default() -> Conv {
        Conv { stride: 1.into(), padding: 0.into(), dilation: 1.into(), groups: 1 }
    }
}

/// The options of a transposed convolution: those of the convolution whose input gradient it is.
#[derive(Clone, Debug)]
pub struct ConvTranspose {
    /// How far apart neighbouring inputs put the kernel in the result; 1.
    pub stride: PerDim,
    /// So much is cut off on either side of the result; 0.
    pub padding: PerDim,
    /// So much is added at the end of the result, since several sizes convolve to the same one; 0.
    pub output_padding: PerDim,
    /// The groups of channels; 1.
    pub groups: usize,
    /// How far apart neighbouring elements of the kernel land; 1.
    pub dilation: PerDim,
}

impl Default for ConvTranspose {
    fn default() -> ConvTranspose {
        let (one, zero) = (|| PerDim::from(1), || PerDim::from(0));
        ConvTranspose { stride: one(), padding: zero(), output_padding: zero(), groups: 1, dilation: one() }
    }
}

impl ConvTranspose {
    /// The convolution that this transposes.
    ///
    /// ```
    /// use tensor::{ConvTranspose, ConvPadding};
    /// let up = ConvTranspose { stride: 2.into(), ..Default::default() };
    /// assert_eq!((up.conv().stride, up.conv().padding), (2.into(), ConvPadding::from(0)));
    /// ```
    pub fn conv(&self) -> Conv {
        let padding = ConvPadding::Zeros(self.padding.clone());
        Conv { stride: self.stride.clone(), padding, dilation: self.dilation.clone(), groups: self.groups }
    }
}

/// The name of an operation for one spatial dimension or two.
fn name(dims: usize, line: &'static str, plane: &'static str) -> &'static str {
    if dims == 1 { line } else { plane }
}

impl Tensor {
    /// `y[n, o, i] = bias[o] + sum over c, t of w[o, c, t] x[n, c, i stride + t dilation - padding]`: the cross-correlation
    /// that is called convolution, in one spatial dimension.
    ///
    /// # Shape
    /// `x [n, c, l]` or `[c, l]`, `weight [o, c / groups, k]`, `bias [o]` -> `[n, o, (l + 2 padding - dilation (k - 1) -
    /// 1) / stride + 1]` (rounded down) or without `n`.
    ///
    /// # Numerics
    /// The order of the sums depends on the shape and the kind of CPU, not on the number of threads. Integers wrap.
    ///
    /// # Panics
    /// If the shapes or dtypes do not fit, the dtype is bool, the kernel is larger than the padded input, or an option is
    /// out of its range.
    ///
    /// ```
    /// use tensor::{Conv, Tensor};
    /// let x = Tensor::from([[1.0, 2.0, 3.0, 4.0]]);
    /// let y = x.conv1d(&Tensor::from([[[1.0, -1.0]]]), None, &Conv::default());
    /// assert_eq!(y.to_vec::<f64>(), [-1.0, -1.0, -1.0]);
    /// ```
    #[track_caller]
    pub fn conv1d(&self, weight: &Tensor, bias: Option<&Tensor>, options: &Conv) -> Tensor {
        convolve(self, weight, bias, options, 1)
    }

    /// [`conv1d`](Tensor::conv1d) in two spatial dimensions.
    ///
    /// # Shape
    /// `x [n, c, h, w]` or `[c, h, w]`, `weight [o, c / groups, kh, kw]`, `bias [o]` -> `[n, o, .., ..]`, sizes as there.
    ///
    /// # Panics
    /// As [`conv1d`](Tensor::conv1d).
    ///
    /// ```
    /// use tensor::{Conv, DType, ConvPadding, Tensor};
    /// let (x, w) = (Tensor::ones([1, 2, 3, 3], DType::F32), Tensor::ones([4, 2, 3, 3], DType::F32));
    /// let same = Conv { padding: ConvPadding::Same, ..Default::default() };
    /// let y = x.conv2d(&w, None, &same);
    /// assert_eq!(y.dims(), [1, 4, 3, 3]);
    /// assert_eq!((y.get::<f32>(&[0, 0, 0, 0]), y.get::<f32>(&[0, 0, 1, 1])), (8.0, 18.0));
    /// ```
    #[track_caller]
    pub fn conv2d(&self, weight: &Tensor, bias: Option<&Tensor>, options: &Conv) -> Tensor {
        convolve(self, weight, bias, options, 2)
    }

    /// The gradient of a [`conv1d`](Tensor::conv1d) by its input, which has the shape `input_size`; `dy` may lack outputs at
    /// the end.
    ///
    /// # Shape
    /// `weight [o, c / groups, k]`, `dy [n, o, out]` -> `input_size [n, c, l]`; all but the weight without `n` likewise.
    ///
    /// # Panics
    /// If the shapes or dtypes do not fit.
    ///
    /// ```
    /// use tensor::{Conv, Tensor};
    /// let (w, dy) = (Tensor::from([[[1.0, -1.0]]]), Tensor::from([[1.0, 0.0, 2.0]]));
    /// let dx = Tensor::conv1d_input(&[1, 4], &w, &dy, &Conv::default());
    /// assert_eq!(dx.to_vec::<f64>(), [1.0, -1.0, 2.0, -2.0]);
    /// ```
    #[track_caller]
    pub fn conv1d_input(input_size: &[usize], weight: &Tensor, dy: &Tensor, options: &Conv) -> Tensor {
        input_gradient(input_size, weight, dy, options, 1)
    }

    /// The gradient of a [`conv2d`](Tensor::conv2d) by its input, which has the shape `input_size`; `dy` may lack outputs at
    /// the end.
    ///
    /// # Shape
    /// `weight [o, c / groups, kh, kw]`, `dy [n, o, .., ..]` -> `input_size [n, c, h, w]`; likewise without `n`.
    ///
    /// # Panics
    /// If the shapes or dtypes do not fit.
    ///
    /// ```
    /// use tensor::{Conv, DType, Tensor};
    /// let (w, dy) = (Tensor::ones([1, 1, 2, 2], DType::F32), Tensor::ones([1, 2, 2], DType::F32));
    /// let dx = Tensor::conv2d_input(&[1, 3, 3], &w, &dy, &Conv::default());
    /// assert_eq!(dx.to_vec::<f32>(), [1.0, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0]);
    /// ```
    #[track_caller]
    pub fn conv2d_input(input_size: &[usize], weight: &Tensor, dy: &Tensor, options: &Conv) -> Tensor {
        input_gradient(input_size, weight, dy, options, 2)
    }

    /// The gradient of a [`conv1d`](Tensor::conv1d) of `x` by its weight, which has the shape `weight_size`; `dy` may lack
    /// outputs at the end.
    ///
    /// # Shape
    /// `x [n, c, l]`, `dy [n, o, out]` -> `weight_size [o, c / groups, k]`; likewise without `n`.
    ///
    /// # Panics
    /// If the shapes or dtypes do not fit.
    ///
    /// ```
    /// use tensor::{Conv, Tensor};
    /// let (x, dy) = (Tensor::from([[1.0, 2.0, 3.0, 4.0]]), Tensor::from([[1.0, 0.0, 2.0]]));
    /// let dw = Tensor::conv1d_weight(&x, &[1, 1, 2], &dy, &Conv::default());
    /// assert_eq!(dw.to_vec::<f64>(), [7.0, 10.0]);
    /// ```
    #[track_caller]
    pub fn conv1d_weight(x: &Tensor, weight_size: &[usize], dy: &Tensor, options: &Conv) -> Tensor {
        weight_gradient(x, weight_size, dy, options, 1)
    }

    /// The gradient of a [`conv2d`](Tensor::conv2d) of `x` by its weight, which has the shape `weight_size`; `dy` may lack
    /// outputs at the end.
    ///
    /// # Shape
    /// `x [n, c, h, w]`, `dy [n, o, .., ..]` -> `weight_size [o, c / groups, kh, kw]`; likewise without `n`.
    ///
    /// # Panics
    /// If the shapes or dtypes do not fit.
    ///
    /// ```
    /// use tensor::{Conv, DType, Tensor};
    /// let (x, dy) = (Tensor::ones([2, 1, 3, 3], DType::F32), Tensor::ones([2, 1, 2, 2], DType::F32));
    /// let dw = Tensor::conv2d_weight(&x, &[1, 1, 2, 2], &dy, &Conv::default());
    /// assert_eq!(dw.to_vec::<f32>(), [8.0; 4]);
    /// ```
    #[track_caller]
    pub fn conv2d_weight(x: &Tensor, weight_size: &[usize], dy: &Tensor, options: &Conv) -> Tensor {
        weight_gradient(x, weight_size, dy, options, 2)
    }

    /// Transposed convolution in one spatial dimension: each input puts the kernel, times its value, into the result. It
    /// is the input gradient of the convolution with the same weight and options ([`conv1d_input`](Tensor::conv1d_input)),
    /// with this tensor as the gradient of the result, plus `bias`.
    ///
    /// # Shape
    /// `x [n, c, l]` or `[c, l]`, `weight [c, o / groups, k]`, `bias [o]` -> `[n, o, (l - 1) stride - 2 padding + dilation
    /// (k - 1) + output_padding + 1]` or without `n`.
    ///
    /// # Panics
    /// If the shapes or dtypes do not fit, the dtype is bool, the result would have no element, an option is out of its
    /// range, or `output_padding` is not below `stride` or `dilation`.
    ///
    /// ```
    /// use tensor::{ConvTranspose, Tensor};
    /// let up = ConvTranspose { stride: 2.into(), ..Default::default() };
    /// let y = Tensor::from([[1.0, 2.0]]).conv_transpose1d(&Tensor::from([[[1.0, 1.0]]]), None, &up);
    /// assert_eq!(y.to_vec::<f64>(), [1.0, 1.0, 2.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn conv_transpose1d(&self, weight: &Tensor, bias: Option<&Tensor>, options: &ConvTranspose) -> Tensor {
        transposed(self, weight, bias, options, 1)
    }

    /// [`conv_transpose1d`](Tensor::conv_transpose1d) in two spatial dimensions, the input gradient of
    /// [`conv2d`](Tensor::conv2d).
    ///
    /// # Shape
    /// `x [n, c, h, w]` or `[c, h, w]`, `weight [c, o / groups, kh, kw]`, `bias [o]` -> `[n, o, .., ..]`, sizes as there.
    ///
    /// # Panics
    /// As [`conv_transpose1d`](Tensor::conv_transpose1d).
    ///
    /// ```
    /// use tensor::{ConvTranspose, DType, Tensor};
    /// let (x, w) = (Tensor::ones([1, 3, 4, 4], DType::F32), Tensor::ones([3, 2, 2, 2], DType::F32));
    /// let up = ConvTranspose { stride: 2.into(), ..Default::default() };
    /// assert_eq!(x.conv_transpose2d(&w, None, &up).dims(), [1, 2, 8, 8]);
    /// ```
    #[track_caller]
    pub fn conv_transpose2d(&self, weight: &Tensor, bias: Option<&Tensor>, options: &ConvTranspose) -> Tensor {
        transposed(self, weight, bias, options, 2)
    }
}

#[track_caller]
fn convolve(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: &Conv, dims: usize) -> Tensor {
    let op = name(dims, "conv1d", "conv2d");
    let g = geometry(op, x.dims(), weight.dims(), options, dims).or_panic();
    let channels = g.groups * g.outputs;
    check_operands(op, [("input", x), ("weight", weight)], bias, channels).or_panic();
    correlate(op, &g, x, weight, bias, with_spatial(x.dims(), dims, Some(channels), g.dims.map(|d| d.out)), false)
}

#[track_caller]
fn input_gradient(size: &[usize], weight: &Tensor, dy: &Tensor, options: &Conv, dims: usize) -> Tensor {
    let op = name(dims, "conv1d_input", "conv2d_input");
    let mut g = geometry(op, size, weight.dims(), options, dims).or_panic();
    check_operands(op, [("dy", dy), ("weight", weight)], None, 0).or_panic();
    check_result(op, &mut g, size, dy.dims(), dims).or_panic();
    correlate(op, &g, dy, weight, None, size.to_vec(), true)
}

#[track_caller]
fn weight_gradient(x: &Tensor, size: &[usize], dy: &Tensor, options: &Conv, dims: usize) -> Tensor {
    let op = name(dims, "conv1d_weight", "conv2d_weight");
    let mut g = geometry(op, x.dims(), size, options, dims).or_panic();
    check_operands(op, [("input", x), ("dy", dy)], None, 0).or_panic();
    check_result(op, &mut g, x.dims(), dy.dims(), dims).or_panic();
    let dtype = x.dtype();
    let (x, dy) = (x.widen().contiguous(), dy.widen().contiguous());
    let dw = dispatch!(number x.dtype(), op, T => Tensor::build::<T>(size, |dw| {
        conv::weight(&g, read::<T>(&x), read::<T>(&dy), dw)
    }));
    dw.to_dtype(dtype)
}

#[track_caller]
fn transposed(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: &ConvTranspose, dims: usize) -> Tensor {
    let op = name(dims, "conv_transpose1d", "conv_transpose2d");
    let size = conv_transpose_size(op, x.dims(), weight.dims(), options, dims).or_panic();
    let mut g = geometry(op, &size, weight.dims(), &options.conv(), dims).or_panic();
    check_operands(op, [("input", x), ("weight", weight)], bias, g.groups * g.inputs).or_panic();
    check_result(op, &mut g, &size, x.dims(), dims).or_panic();
    correlate(op, &g, x, weight, bias, size, true)
}

/// The convolution of `x`, or the input gradient for it.
#[track_caller]
fn correlate(
    op: &str,
    g: &Geometry,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    shape: Vec<usize>,
    is_input: bool,
) -> Tensor {
    let dtype = x.dtype();
    let (x, weight) = (x.widen().contiguous(), weight.widen().contiguous());
    let bias = bias.map(|bias| bias.widen().contiguous());
    let y = dispatch!(number x.dtype(), op, T => Tensor::build::<T>(shape, |y| {
        let (x, w, bias) = (read::<T>(&x), read::<T>(&weight), bias.as_ref().map(read::<T>));
        if is_input { conv::input(g, x, w, bias, y) } else { conv::forward(g, x, w, bias, y) }
    }));
    y.to_dtype(dtype)
}

/// The sizes of a convolution of an input of shape `x` with a weight of shape `w`, after checking them.
fn geometry(op: &str, x: &[usize], w: &[usize], options: &Conv, dims: usize) -> Result<Geometry> {
    let [batch, channels, height, width] = planes(op, x, dims)?;
    let rule = if dims == 1 { "[o, c / groups, k]" } else { "[o, c / groups, kh, kw]" };
    let operands: [(&str, &[usize]); 2] = [("input", x), ("weight", w)];
    let wrong = |what: String| Err(Error::shape(op, what, &operands, rule));
    let kernel = match (dims, w) {
        (1, &[_, _, k]) => [1, k],
        (2, &[_, _, kh, kw]) => [kh, kw],
        _ => return wrong(format!("the weight is {}-d", w.len())),
    };
    let stride = options.stride.positive(op, "stride", dims)?;
    let dilation = options.dilation.positive(op, "dilation", dims)?;
    let groups = options.groups;
    if groups == 0 {
        return Err(Error::value(op, "groups must be greater than zero, got 0"));
    }
    if w[0] == 0 || !w[0].is_multiple_of(groups) {
        return wrong(format!("{} output channels are not a positive multiple of {groups} groups", w[0]));
    }
    if w[1].checked_mul(groups) != Some(channels) {
        return wrong(format!("the input has {channels} channels, the weight takes {} in {groups} groups", w[1]));
    }
    if kernel.contains(&0) {
        return wrong("the kernel is empty".into());
    }
    if [height, width].contains(&0) && batch > 0 && channels > 0 {
        return wrong("a spatial dimension is empty, only batch and channels may be".into());
    }
    let size = [height, width];
    let mut resolved = [Dim { size: 0, kernel: 1, stride: 1, dilation: 1, pad: 0, out: 0 }; 2];
    let zeros = match &options.padding {
        ConvPadding::Zeros(padding) => Some(padding.resolve(op, "padding", dims, 0)?),
        ConvPadding::Valid => Some([0, 0]),
        ConvPadding::Same if stride != [1, 1] => {
            return Err(Error::value(op, format!("padding `same` needs stride 1, got {stride:?}")));
        }
        ConvPadding::Same => None,
    };
    for d in 0..2 {
        // Wide enough for any options.
        let extent = dilation[d] as i128 * (kernel[d] as i128 - 1) + 1;
        let (before, total) = match zeros {
            Some(pad) => (pad[d] as i128, 2 * pad[d] as i128),
            None => ((extent - 1) / 2, extent - 1),
        };
        let padded = size[d] as i128 + total;
        if padded < extent || padded > isize::MAX as i128 / 4 {
            return wrong(format!("the kernel with dilation extends over {extent} of the padded size {padded}"));
        }
        let out = ((padded - extent) / stride[d] as i128 + 1) as usize;
        resolved[d] = Dim {
            size: size[d],
            kernel: kernel[d],
            stride: stride[d],
            dilation: dilation[d],
            pad: before as usize,
            out,
        };
    }
    Ok(Geometry { batch, groups, inputs: w[1], outputs: w[0] / groups, dims: resolved })
}

/// The shape of a transposed convolution's result.
fn conv_transpose_size(op: &str, x: &[usize], w: &[usize], options: &ConvTranspose, dims: usize) -> Result<Vec<usize>> {
    let [_, channels, height, width] = planes(op, x, dims)?;
    let rule = if dims == 1 { "[c, o / groups, k]" } else { "[c, o / groups, kh, kw]" };
    let operands: [(&str, &[usize]); 2] = [("input", x), ("weight", w)];
    let wrong = |what: String| Err(Error::shape(op, what, &operands, rule));
    let kernel = match (dims, w) {
        (1, &[_, _, k]) => [1, k],
        (2, &[_, _, kh, kw]) => [kh, kw],
        _ => return wrong(format!("the weight is {}-d", w.len())),
    };
    let stride = options.stride.positive(op, "stride", dims)?;
    let dilation = options.dilation.positive(op, "dilation", dims)?;
    let padding = options.padding.resolve(op, "padding", dims, 0)?;
    let extra = options.output_padding.resolve(op, "output_padding", dims, 0)?;
    if channels != w[0] {
        return wrong(format!("the input has {channels} channels, the weight takes {}", w[0]));
    }
    let mut size = [0; 2];
    for (d, n) in [height, width].into_iter().enumerate() {
        if extra[d] >= stride[d].max(dilation[d]) {
            let what = format!("output_padding {extra:?} is not below stride {stride:?} or dilation {dilation:?}");
            return Err(Error::value(op, what));
        }
        let (n, k) = (n as i128 - 1, kernel[d] as i128 - 1);
        let out = n * stride[d] as i128 - 2 * padding[d] as i128 + dilation[d] as i128 * k + extra[d] as i128 + 1;
        if out < 1 || out > isize::MAX as i128 / 4 {
            return wrong(format!("the result would have size {out}"));
        }
        size[d] = out as usize;
    }
    let outputs = w[1].checked_mul(options.groups).filter(|&o| o > 0);
    let Some(outputs) = outputs else {
        return wrong(format!("{} output channels in each of {} groups", w[1], options.groups));
    };
    Ok(with_spatial(x, dims, Some(outputs), size))
}

/// Checks that the operands have one dtype, and that there is a bias per output channel.
fn check_operands(op: &str, operands: [(&str, &Tensor); 2], bias: Option<&Tensor>, channels: usize) -> Result<()> {
    let [(first, a), (second, b)] = operands;
    let all = [(second, b)].into_iter().chain(bias.map(|bias| ("bias", bias)));
    for (name, operand) in all {
        if operand.dtype() != a.dtype() {
            return Err(Error::dtype(op, format!("the {first} is {}, the {name} {}", a.dtype(), operand.dtype())));
        }
    }
    if a.dtype() == DType::Bool {
        return Err(Error::dtype(op, "not defined for bool; convert with to_dtype first"));
    }
    match bias {
        Some(bias) if bias.dims() != [channels] => {
            let what = format!("the bias does not have one number for each of {channels} output channels");
            Err(Error::shape(op, what, &[(second, b.dims()), ("bias", bias.dims())], "bias [o]"))
        }
        _ => Ok(()),
    }
}

/// Fits the sizes to the gradient `dy` of the convolution's result, which may lack outputs at the end.
fn check_result(op: &str, g: &mut Geometry, x: &[usize], dy: &[usize], dims: usize) -> Result<()> {
    let whole = with_spatial(x, dims, Some(g.groups * g.outputs), g.dims.map(|d| d.out));
    let lead = x.len() - dims;
    if dy.len() != whole.len() || dy[..lead] != whole[..lead] || dy.iter().zip(&whole).any(|(n, most)| n > most) {
        let what = format!("the gradient does not have the shape {whole:?} of the convolution's result");
        return Err(Error::shape(op, what, &[("input", x), ("dy", dy)], ""));
    }
    for (d, &n) in (2 - dims..2).zip(&dy[lead..]) {
        g.dims[d].out = n;
    }
    Ok(())
}
