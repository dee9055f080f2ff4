//! Numbers, flags and tuples as Python prints them: a printed layer looks the same here and there.

use std::fmt::Display;

use crate::Parameter;

/// `1.0`, `0.01`, `1e-05`: the shortest digits that give the number back, with an exponent below 1e-4 and from 1e16 on.
pub(crate) fn float(x: f64) -> String {
    let magnitude = x.abs();
    if x.is_nan() {
        return "nan".to_owned();
    }
    if x.is_infinite() || magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
        return format!("{x:?}");
    }
    let text = format!("{x:e}");
    let (digits, exponent) = text.split_once('e').expect("the format has an exponent");
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// `True` or `False`.
pub(crate) fn flag(flag: bool) -> &'static str {
    if flag { "True" } else { "False" }
}

/// `, precision=int8` for a quantised parameter, else nothing.
pub(crate) fn precision(parameter: &Parameter) -> String {
    parameter.quantized().map_or(String::new(), |matrix| format!(", precision={}", matrix.precision()))
}

/// `(1, 2)`, and `(1,)` for one.
pub(crate) fn tuple<T: Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(T::to_string).collect();
    let comma = if items.len() == 1 { "," } else { "" };
    format!("({}{comma})", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_python_does() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.01, "0.01"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (-1.5e-12, "-1.5e-12"),
            (1.0 / 3.0, "0.3333333333333333"),
            (123456789012345.0, "123456789012345.0"),
            (1e16, "1e+16"),
            (2.5e-101, "2.5e-101"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
        ];
        for (x, text) in cases {
            assert_eq!(float(x), text);
        }
        assert_eq!([flag(true), flag(false)], ["True", "False"]);
        assert_eq!([tuple::<i32>(&[]), tuple(&[1]), tuple(&[1, 2])], ["()", "(1,)", "(1, 2)"]);
    }
}
