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
/// The columns that `tensor(` takes.
const INDENT: usize = 7;

impl fmt::Display for Tensor {
    /// As PyTorch prints it; a precision (`{:.2}`) sets the digits after the point, 4 if there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::from("tensor(");
        if self.numel() == 0 {
            text += "[]";
        } else {
            let summarise = self.numel() > THRESHOLD;
            let style = Style::of(self, summarise, f.precision().unwrap_or(PRECISION));
            print(self, &style, summarise, INDENT, &mut text);
        }
        // What does not fit on the last line goes to the next.
        let mut column = text.len() - text.rfind('\n').map_or(0, |end| end + 1) + 2;
        for suffix in [format!("shape={:?}", self.dims()), format!("dtype={}", self.dtype())] {
            let fits = column + suffix.len() + 2 <= LINE_WIDTH;
            text += if fits { ", " } else { ",\n       " };
            column = if fits { column + 2 } else { INDENT } + suffix.len();
            text += &suffix;
        }
        write!(f, "{text})")
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How the elements of one tensor are written, so that they line up.
struct Style {
    precision: usize,
    /// Every finite value is whole: `1.` rather than `1.0000`.
    whole: bool,
    scientific: bool,
    width: usize,
}

impl Style {
    fn of(t: &Tensor, summarise: bool, precision: usize) -> Style {
        let shown = if summarise { edges(t) } else { t.clone() };
        let mut style = Style { precision, whole: true, scientific: false, width: 1 };
        let mut texts = Vec::new();
        if t.dtype().is_floating_point() {
            // Zeros, infinities and NaN have no say, not even in the width.
            let values = shown.to_dtype(DType::F64).to_vec::<f64>();
            let values: Vec<f64> = values.into_iter().filter(|x| x.is_finite() && *x != 0.0).collect();
            let magnitudes = || values.iter().map(|x| x.abs());
            let (low, high) = (magnitudes().fold(f64::INFINITY, f64::min), magnitudes().fold(0.0, f64::max));
            style.whole = values.iter().all(|x| x.fract() == 0.0);
            style.scientific = !values.is_empty() && (high / low > 1000.0 || high > 1e8 || low < 1e-4);
            texts.extend(values.into_iter().map(|x| style.float(x)));
        } else {
            each(&shown, |element| texts.push(style.write(element)));
        }
        style.width = texts.iter().map(String::len).fold(1, usize::max);
        style
    }

    /// A float without padding.
    fn float(&self, x: f64) -> String {
        let precision = self.precision;
        match x {
            x if x.is_nan() => "nan".into(),
            x if x.is_infinite() => if x > 0.0 { "inf" } else { "-inf" }.into(),
            x if self.scientific => {
                let text = format!("{x:.precision$e}");
                let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
                format!("{digits}e{sign}{exponent:0>2}")
            }
            x if self.whole => format!("{x:.0}."),
            x => format!("{x:.precision$}"),
        }
    }

    fn write(&self, element: Scalar) -> String {
        let text = match element {
            Scalar::Float(x) => self.float(x),
            Scalar::Integer(x) => x.to_string(),
            Scalar::Bool(x) => if x { "True" } else { "False" }.into(),
        };
        format!("{text:>width$}", width = self.width)
    }
}

/// One element.
#[derive(Clone, Copy)]
enum Scalar {
    Float(f64),
    Integer(i64),
    Bool(bool),
}

/// Calls `f` with the elements in row-major order.
fn each(t: &Tensor, mut f: impl FnMut(Scalar)) {
    if t.dtype().is_floating_point() {
        t.to_dtype(DType::F64).to_vec::<f64>().into_iter().for_each(|x| f(Scalar::Float(x)));
    } else if t.dtype() == DType::Bool {
        t.to_vec::<bool>().into_iter().for_each(|x| f(Scalar::Bool(x)));
    } else {
        t.to_dtype(DType::I64).to_vec::<i64>().into_iter().for_each(|x| f(Scalar::Integer(x)));
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
        each(t, |element| *text += &style.write(element));
        return;
    }
    let n = t.dims()[0];
    let cut = summarise && n > 2 * EDGE;
    text.push('[');
    if t.ndim() == 1 {
        let mut items = Vec::new();
        each(&if cut { edges(t) } else { t.clone() }, |element| items.push(style.write(element)));
        if cut {
            items.insert(EDGE, " ...".into());
        }
        let per_line = (LINE_WIDTH.saturating_sub(indent) / (style.width + 2)).max(1);
        let lines: Vec<String> = items.chunks(per_line).map(|line| line.join(", ")).collect();
        *text += &lines.join(&format!(",\n{}", " ".repeat(indent + 1)));
    } else {
        let gap = format!(",{}{}", "\n".repeat(t.ndim() - 1), " ".repeat(indent + 1));
        for (row, i) in (0..n).filter(|&i| !cut || i < EDGE || i >= n - EDGE).enumerate() {
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
    fn scalars_empty_tensors_and_precision() {
        assert_eq!(Tensor::scalar(3i64).to_string(), "tensor(3, shape=[], dtype=i64)");
        assert_eq!(Tensor::from([true, false]).to_string(), "tensor([ True, False], shape=[2], dtype=bool)");
        assert_eq!(Tensor::zeros([0, 3], DType::U8).to_string(), "tensor([], shape=[0, 3], dtype=u8)");
        assert_eq!(Tensor::scalar(i64::MAX).to_string(), "tensor(9223372036854775807, shape=[], dtype=i64)");
        assert_eq!(format!("{:.2}", Tensor::from([0.125, -1.0])), "tensor([ 0.12, -1.00], shape=[2], dtype=f64)");
        assert_eq!(format!("{:.1}", Tensor::from([1e-9])), "tensor([1.0e-09], shape=[1], dtype=f64)");
    }
}
