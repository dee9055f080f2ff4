//! Printing: columns aligned, large tensors summarised, dtype and shape shown. The rules are PyTorch's.

use std::fmt;

use crate::{DType, Tensor};

/// A tensor of more elements is summarised.
const THRESHOLD: usize = 1000;
/// So many slices are shown at each end of a summarised dimension.
const EDGE: usize = 3;
/// Digits after the decimal point.
const PRECISION: usize = 4;
/// Lines are broken before they get longer.
const LINE_WIDTH: usize = 80;

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summarise = self.numel() > THRESHOLD;
        let style = Style::of(self, summarise);
        let mut text = String::from("tensor(");
        if self.numel() == 0 {
            text += "[]";
        } else {
            print(self, &style, summarise, text.len(), &mut text);
        }
        write!(f, "{text}, shape={:?}, dtype={})", self.dims(), self.dtype())
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How the elements of one tensor are written, so that they line up.
struct Style {
    dtype: DType,
    /// Every finite value is whole: `1.` rather than `1.0000`.
    whole: bool,
    scientific: bool,
    width: usize,
}

impl Style {
    fn of(t: &Tensor, summarise: bool) -> Style {
        let shown = if summarise { edges(t) } else { t.clone() };
        let values = shown.to_dtype(DType::F64).to_vec::<f64>();
        let finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
        let whole = finite.iter().all(|x| x.fract() == 0.0);
        let magnitudes = finite.iter().map(|x| x.abs()).filter(|&x| x != 0.0);
        let (low, high) = magnitudes.fold((f64::INFINITY, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
        let spread = high / low > 1000.0;
        let scientific =
            t.dtype().is_floating_point() && high > 0.0 && (high > 1e8 || spread || (!whole && low < 1e-4));
        let mut style = Style { dtype: t.dtype(), whole, scientific, width: 0 };
        style.width = (0..values.len()).map(|i| style.write_one(&shown, i, values[i]).len()).max().unwrap_or(0);
        style
    }

    /// Element `i` of the contiguous `t`, whose value as a double is `x`, without padding.
    fn write_one(&self, t: &Tensor, i: usize, x: f64) -> String {
        match self.dtype {
            DType::Bool => (x != 0.0).to_string(),
            // Large integers are not exact as doubles.
            DType::I64 => t.reshape([-1]).get::<i64>(&[i]).to_string(),
            DType::U8 | DType::I32 => (x as i32).to_string(),
            _ if x.is_nan() => "nan".into(),
            _ if x.is_infinite() => if x > 0.0 { "inf" } else { "-inf" }.into(),
            _ if self.scientific => {
                let text = format!("{x:.PRECISION$e}");
                let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
                format!("{digits}e{sign}{exponent:0>2}")
            }
            _ if self.whole => format!("{x:.0}."),
            _ => format!("{x:.PRECISION$}"),
        }
    }

    fn write(&self, scalar: &Tensor) -> String {
        let text = self.write_one(scalar, 0, scalar.item());
        format!("{text:>width$}", width = self.width)
    }
}

/// The slices that a summary shows, as one tensor.
fn edges(t: &Tensor) -> Tensor {
    (0..t.ndim() as isize).fold(t.clone(), |t, dim| {
        let n = t.dim(dim);
        if n <= 2 * EDGE {
            return t;
        }
        Tensor::cat(&[t.narrow(dim, 0, EDGE), t.narrow(dim, n - EDGE, EDGE)], dim)
    })
}

/// Appends `t` to `text`; the first bracket stands at column `indent`.
fn print(t: &Tensor, style: &Style, summarise: bool, indent: usize, text: &mut String) {
    if t.ndim() == 0 {
        *text += &style.write(t);
        return;
    }
    let n = t.dims()[0];
    let cut = summarise && n > 2 * EDGE;
    let shown = (0..n).filter(|&i| !cut || i < EDGE || i >= n - EDGE);
    text.push('[');
    if t.ndim() == 1 {
        let per_line = ((LINE_WIDTH.saturating_sub(indent)) / (style.width + 2)).max(1);
        for (column, i) in shown.enumerate() {
            if column > 0 {
                *text += if column % per_line == 0 { ",\n" } else { ", " };
                if column % per_line == 0 {
                    *text += &" ".repeat(indent + 1);
                }
            }
            if cut && column == EDGE {
                *text += "..., ";
            }
            *text += &style.write(&t.select(0, i));
        }
    } else {
        let gap = format!(",{}{}", "\n".repeat(t.ndim() - 1), " ".repeat(indent + 1));
        for (row, i) in shown.enumerate() {
            if row > 0 {
                *text += &gap;
            }
            if cut && row == EDGE {
                *text += "...";
                *text += &gap;
            }
            print(&t.select(0, i), style, summarise, indent + 1, text);
        }
    }
    text.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_line_up() {
        let t = Tensor::from([[1.0f32, -2.5], [10.0, 0.125]]);
        let expected = "tensor([[ 1.0000, -2.5000],\n        [10.0000,  0.1250]], shape=[2, 2], dtype=f32)";
        assert_eq!(t.to_string(), expected);
        assert_eq!(Tensor::from([1.0, 2.0]).to_string(), "tensor([1., 2.], shape=[2], dtype=f64)");
        assert_eq!(Tensor::from([1e-6, 1.0]).to_string(), "tensor([1.0000e-06, 1.0000e+00], shape=[2], dtype=f64)");
        assert_eq!(Tensor::from([1.0, 2e3]).to_string(), "tensor([1.0000e+00, 2.0000e+03], shape=[2], dtype=f64)");
        assert_eq!(Tensor::from([f64::NAN, 1.0]).to_string(), "tensor([nan,  1.], shape=[2], dtype=f64)");
    }

    #[test]
    fn other_dtypes_scalars_and_empty_tensors() {
        assert_eq!(Tensor::scalar(3i64).to_string(), "tensor(3, shape=[], dtype=i64)");
        assert_eq!(Tensor::from([true, false]).to_string(), "tensor([ true, false], shape=[2], dtype=bool)");
        assert_eq!(Tensor::zeros([0, 3], DType::U8).to_string(), "tensor([], shape=[0, 3], dtype=u8)");
        assert_eq!(Tensor::scalar(i64::MAX).to_string(), "tensor(9223372036854775807, shape=[], dtype=i64)");
    }

    #[test]
    fn large_tensors_are_summarised() {
        let t = Tensor::arange(0.0, 2000.0, 1.0, DType::I64);
        let expected = "tensor([   0,    1,    2, ..., 1997, 1998, 1999], shape=[2000], dtype=i64)";
        assert_eq!(t.to_string(), expected);
        let lines = t.reshape([100, 20]).to_string();
        assert_eq!(lines.lines().count(), 7);
        assert!(lines.contains("\n        ...,\n"));
    }
}
