//! Changing the size of images and sequences. These operations are linear, so that each is the gradient of its gradient.

use std::rc::Rc;

use tensor::{Interpolate, Shape, Tensor};

use crate::var::Var;

impl Var {
    /// `x` with other sizes after the second dimension: elements are repeated, left out, or blended.
    ///
    /// # Shape
    /// `[n, c, d..] -> [n, c, e..]` with one to three dimensions to resize.
    ///
    /// # Gradient
    /// Each element of `dy` goes back to where it came from. Keeps nothing.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::{Interpolate, Tensor};
    /// let x = Var::new(Tensor::from([[[1.0, 2.0]]])).requires_grad_(true);
    /// x.interpolate(&Interpolate { size: Some(vec![5]), ..Default::default() }).sum().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f64>(), [3.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn interpolate(&self, options: &Interpolate) -> Var {
        resize(self, Rc::new(options.clone()))
    }

    /// Channels turned into pixels: each pixel of `c r^2` channels becomes a square of `r` by `r` pixels of `c` channels.
    ///
    /// # Shape
    /// `[.., c * r * r, h, w] -> [.., c, h * r, w * r]`
    ///
    /// # Gradient
    /// `dx` is `dy` turned back by [`Var::pixel_unshuffle`].
    #[track_caller]
    pub fn pixel_shuffle(&self, upscale_factor: usize) -> Var {
        let value = self.tensor().pixel_shuffle(upscale_factor);
        Var::record_unary("pixel_shuffle", value, self, move |dy| dy.pixel_unshuffle(upscale_factor))
    }

    /// Pixels turned into channels: the reverse of [`Var::pixel_shuffle`].
    ///
    /// # Shape
    /// `[.., c, h * r, w * r] -> [.., c * r * r, h, w]`
    ///
    /// # Gradient
    /// `dx` is `dy` turned back by [`Var::pixel_shuffle`].
    #[track_caller]
    pub fn pixel_unshuffle(&self, downscale_factor: usize) -> Var {
        let value = self.tensor().pixel_unshuffle(downscale_factor);
        Var::record_unary("pixel_unshuffle", value, self, move |dy| dy.pixel_shuffle(downscale_factor))
    }

    /// The channels, the second dimension, dealt out anew: those of each of the groups are spread evenly.
    ///
    /// # Shape
    /// `[n, groups * k, ..] -> [n, k * groups, ..]`
    ///
    /// # Gradient
    /// `dx` is `dy` dealt back, in `k` groups.
    #[track_caller]
    pub fn channel_shuffle(&self, groups: usize) -> Var {
        let value = self.tensor().channel_shuffle(groups);
        let back = (self.dim(1) / groups).max(1);
        Var::record_unary("channel_shuffle", value, self, move |dy| dy.channel_shuffle(back))
    }
}

#[track_caller]
fn resize(x: &Var, options: Rc<Interpolate>) -> Var {
    let (value, shape) = (x.tensor().interpolate(&options), x.shape());
    Var::record_unary("interpolate", value, x, move |dy| resize_back(dy, shape.clone(), options.clone()))
}

fn resize_back(dy: &Var, shape: Shape, options: Rc<Interpolate>) -> Var {
    let dx = Tensor::interpolate_backward(&dy.tensor(), &shape, &options);
    Var::record_unary("interpolate_backward", dx, dy, move |ddx| resize(ddx, options.clone()))
}

#[cfg(test)]
pub(crate) fn table() -> Vec<crate::testing::Sample> {
    use crate::testing::*;
    use tensor::InterpolateMode::{Area, Cubic, Linear, Nearest, NearestExact};
    vec![
        sample("interpolate", &[REAL], images, |v, p| {
            let spatial = v[0].ndim() - 2;
            let mode = [Nearest, NearestExact, Linear, Linear, Cubic, Area][p.below(6)];
            let options = match p.coin() {
                true => {
                    Interpolate { size: Some((0..spatial).map(|_| 1 + p.below(6)).collect()), ..Default::default() }
                }
                false => Interpolate { scale_factor: Some(vec![1.0 + 1.7 * p.unit()]), ..Default::default() },
            };
            let (align_corners, recompute_scale_factor) = (matches!(mode, Linear | Cubic) && p.coin(), p.coin());
            v[0].interpolate(&Interpolate { mode, align_corners, recompute_scale_factor, ..options }).into()
        }),
        sample("pixel_shuffle", &[REAL], fours, |v, _| v[0].pixel_shuffle(2).into()),
        sample("pixel_unshuffle", &[REAL], fours, |v, p| v[0].pixel_unshuffle(1 + p.below(2)).into()),
        sample("channel_shuffle", &[REAL], fours, |v, _| v[0].channel_shuffle(1).into()),
        sample("channel_shuffle", &[REAL], channels, |v, p| v[0].channel_shuffle([1, 2, 4][p.below(3)]).into()),
    ]
}

#[cfg(test)]
pub(crate) fn torch() -> Vec<crate::testing::conformance::Torch> {
    use crate::testing::conformance::*;
    use tensor::InterpolateMode;
    fn interpolate(a: &Args) -> Outcome {
        let x = a.var(0, "input")?;
        let (size, scale_factor) = (a.opt_ints(1, "size")?, a.opt_number(2, "scale_factor")?);
        let mode = match &*a.text(3, "mode", "nearest")? {
            "nearest" => InterpolateMode::Nearest,
            "nearest-exact" => InterpolateMode::NearestExact,
            _ => InterpolateMode::Linear,
        };
        done(x.interpolate(&Interpolate {
            size: size.map(|size| size.into_iter().map(|n| n as usize).collect()),
            scale_factor: scale_factor.map(|factor| vec![factor]),
            mode,
            align_corners: a.flag(4, "align_corners", false)?,
            recompute_scale_factor: a.flag(5, "recompute_scale_factor", false)?,
        }))
    }
    vec![
        torch("nn.functional.interpolate:nearest", &["interpolate"], interpolate),
        torch("nn.functional.interpolate:linear", &["interpolate"], interpolate),
        torch("nn.functional.interpolate:bilinear", &["interpolate"], interpolate),
        torch("nn.functional.interpolate:nearest-exact", &["interpolate"], interpolate),
        torch("nn.functional.channel_shuffle", &["channel_shuffle"], |a| {
            done(a.var(0, "input")?.channel_shuffle(a.size(1, "groups")?))
        }),
        torch("nn.functional.pixel_shuffle", &["pixel_shuffle"], |a| {
            done(a.var(0, "input")?.pixel_shuffle(a.size(1, "upscale_factor")?))
        }),
        torch("nn.functional.pixel_unshuffle", &["pixel_unshuffle"], |a| {
            done(a.var(0, "input")?.pixel_unshuffle(a.size(1, "downscale_factor")?))
        }),
    ]
}
