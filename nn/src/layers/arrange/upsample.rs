//! Changing the size of images and sequences.

use autograd::Var;
use tensor::{Interpolate, InterpolateMode};

use crate::layers::printed;
use crate::{Forward, Module};

/// Where the new elements of [`Upsample`] come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UpsampleMode {
    /// The nearest element, in sequences, images and volumes.
    #[default]
    Nearest,
    /// The nearest by the centres, where `Nearest` rounds down.
    NearestExact,
    /// A blend of two neighbours in sequences.
    Linear,
    /// A blend of four neighbours in images.
    Bilinear,
    /// A blend of eight neighbours in volumes.
    Trilinear,
    /// A blend of sixteen neighbours in images.
    Bicubic,
    /// The mean of what a new element covers.
    Area,
}

impl UpsampleMode {
    fn name(self) -> &'static str {
        match self {
            UpsampleMode::Nearest => "nearest",
            UpsampleMode::NearestExact => "nearest-exact",
            UpsampleMode::Linear => "linear",
            UpsampleMode::Bilinear => "bilinear",
            UpsampleMode::Trilinear => "trilinear",
            UpsampleMode::Bicubic => "bicubic",
            UpsampleMode::Area => "area",
        }
    }

    /// The mode of the function, and how many dimensions it resizes if it is particular about that.
    fn plain(self) -> (InterpolateMode, Option<usize>) {
        match self {
            UpsampleMode::Nearest => (InterpolateMode::Nearest, None),
            UpsampleMode::NearestExact => (InterpolateMode::NearestExact, None),
            UpsampleMode::Linear => (InterpolateMode::Linear, Some(1)),
            UpsampleMode::Bilinear => (InterpolateMode::Linear, Some(2)),
            UpsampleMode::Trilinear => (InterpolateMode::Linear, Some(3)),
            UpsampleMode::Bicubic => (InterpolateMode::Cubic, Some(2)),
            UpsampleMode::Area => (InterpolateMode::Area, None),
        }
    }
}

/// Options of [`Upsample`]. Either the size or the factor must be given: one number for all dimensions, or one for each.
#[derive(Debug, Clone, Default)]
pub struct UpsampleOptions {
    /// The new sizes (default: none).
    pub size: Option<Vec<usize>>,
    /// By how much the sizes grow (default: none).
    pub scale_factor: Option<Vec<f64>>,
    /// Where the new elements come from (default: the nearest).
    pub mode: UpsampleMode,
    /// Whether the centres of the corner elements stay where they are, rather than the edges; for the linear and the cubic
    /// modes (default: false).
    pub align_corners: bool,
    /// Whether positions follow from the sizes, which are whole numbers, rather than from the factor (default: false).
    pub recompute_scale_factor: bool,
}

/// Gives images and sequences another size: [`Var::interpolate`] as a module.
///
/// # Shape
/// `[n, c, d..] -> [n, c, e..]` with one to three dimensions to resize.
///
/// # Panics
/// The forward pass, when the dimensions of the input are not those of the mode, there is not one size or factor for each,
/// or one becomes 0.
///
/// # Differs
/// [`new`](Upsample::new) takes the factor, PyTorch's first argument is the size. What cannot work is refused at once
/// rather than by the first forward pass.
///
/// ```
/// use nn::prelude::*;
///
/// let x = Var::new(Tensor::from([[[1f32, 2.0]]]));
/// assert_eq!(Upsample::new(2.0).forward(&x).value().to_vec::<f32>(), [1.0, 1.0, 2.0, 2.0]);
///
/// let options = UpsampleOptions { size: Some(vec![3]), mode: UpsampleMode::Linear, align_corners: true, ..Default::default() };
/// let layer = Upsample::with(options);
/// assert_eq!(layer.forward(&x).value().to_vec::<f32>(), [1.0, 1.5, 2.0]);
/// assert_eq!(layer.to_string(), "Upsample(size=3, mode='linear')");
/// ```
#[derive(Debug, Clone, Module)]
#[module(repr = Upsample::repr)]
pub struct Upsample {
    #[module(config)]
    options: UpsampleOptions,
}

impl Upsample {
    /// The nearest elements, in sizes that are `scale_factor` times those of the input, rounded down.
    pub fn new(scale_factor: f64) -> Upsample {
        Upsample::with(UpsampleOptions { scale_factor: Some(vec![scale_factor]), ..Default::default() })
    }

    /// The layer with options.
    ///
    /// # Panics
    /// When not exactly one of `size` and `scale_factor` is given, `recompute_scale_factor` is on without a factor, or
    /// `align_corners` for another mode than the linear and the cubic ones.
    #[track_caller]
    pub fn with(options: UpsampleOptions) -> Upsample {
        assert!(
            options.size.is_some() != options.scale_factor.is_some(),
            "Upsample: needs a size or a scale_factor, and not both\n  size {:?}   scale_factor {:?}",
            options.size,
            options.scale_factor,
        );
        assert!(
            options.size.is_none() || !options.recompute_scale_factor,
            "Upsample: recompute_scale_factor is for a scale_factor, the size is {:?}",
            options.size
        );
        let blends = matches!(options.mode.plain().0, InterpolateMode::Linear | InterpolateMode::Cubic);
        assert!(
            blends || !options.align_corners,
            "Upsample: align_corners is for the linear and the cubic modes, the mode is {:?}",
            options.mode
        );
        Upsample { options }
    }

    fn repr(&self) -> String {
        let one_or_all = |items: Vec<String>| match &items[..] {
            [one] => one.clone(),
            _ => printed::tuple(&items),
        };
        let UpsampleOptions { size, scale_factor, mode, .. } = &self.options;
        let what = match (scale_factor, size) {
            (Some(factors), _) => {
                format!("scale_factor={}", one_or_all(factors.iter().map(|&f| printed::float(f)).collect()))
            }
            (None, size) => format!("size={}", one_or_all(size.iter().flatten().map(usize::to_string).collect())),
        };
        format!("{what}, mode='{}'", mode.name())
    }
}

impl Forward for Upsample {
    #[track_caller]
    fn forward(&self, input: &Var) -> Var {
        let UpsampleOptions { size, scale_factor, mode, align_corners, recompute_scale_factor } = &self.options;
        let (plain, dims) = mode.plain();
        let spatial = input.ndim().saturating_sub(2);
        assert!(
            dims.is_none_or(|dims| dims == spatial),
            "Upsample: the mode is for other dimensions\n  input {:?}   mode {mode:?}   rule [n, c, ..] with {} more",
            &input.shape()[..],
            dims.unwrap_or_default(),
        );
        let size = size.clone().map(|size| if size.len() == 1 { vec![size[0]; spatial] } else { size });
        input.interpolate(&Interpolate {
            size,
            scale_factor: scale_factor.clone(),
            mode: plain,
            align_corners: *align_corners,
            recompute_scale_factor: *recompute_scale_factor,
        })
    }
}
