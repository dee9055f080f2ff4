//! Equations of subscripts: reading them, and matching them with the shapes of the operands.

use std::ops::Range;

use crate::shape::broadcast_shapes;
use crate::{Error, Result, Shape};

/// A dimension's name: 0 to 51 are the letters in the order A to Z, a to z; then come the dimensions under an ellipsis.
pub(super) type Label = usize;
const LETTERS: usize = 52;
/// More dimensions than an ellipsis ever covers.
pub(super) const LABELS: usize = LETTERS + 64;

/// One side of a comma: its letters, and where the ellipsis stands among them.
struct Subscripts {
    letters: Vec<Label>,
    ellipsis: Option<usize>,
}

/// Reads the subscripts at `range` of an equation.
fn parse(equation: &str, range: Range<usize>, whose: &str) -> Result<Subscripts> {
    let bytes = equation.as_bytes();
    let fail = |what: String| Err(Error::value("einsum", format!("{what} in {equation:?}")));
    let (mut letters, mut ellipsis, mut at) = (Vec::new(), None, range.start);
    while at < range.end {
        match bytes[at] {
            b' ' => {}
            letter @ b'A'..=b'Z' => letters.push((letter - b'A') as Label),
            letter @ b'a'..=b'z' => letters.push((letter - b'a') as Label + 26),
            b'.' if !equation[at..range.end].starts_with("...") => {
                return fail(format!("{whose} has a '.' at position {at} that is not part of '...'"));
            }
            b'.' if ellipsis.is_some() => return fail(format!("{whose} has a second '...' at position {at}")),
            b'.' => {
                ellipsis = Some(letters.len());
                at += 2;
            }
            _ => {
                let other = equation[at..].chars().next().expect("a character starts here");
                return fail(format!("{whose} has {other:?} at position {at}; subscripts are letters"));
            }
        }
        at += 1;
    }
    Ok(Subscripts { letters, ellipsis })
}

fn name(label: Label) -> String {
    match label {
        0..26 => ((b'A' + label as u8) as char).to_string(),
        26..LETTERS => ((b'a' + label as u8 - 26) as char).to_string(),
        _ => "...".to_string(),
    }
}

/// The labels of every operand's dimensions and of the output's.
pub(super) fn resolve(equation: &str, shapes: &[Shape]) -> Result<(Vec<Vec<Label>>, Vec<Label>)> {
    let fail = |what: String| {
        let names: Vec<String> = (0..shapes.len()).map(|i| format!("operand {i}")).collect();
        let operands: Vec<(&str, &[usize])> =
            names.iter().map(String::as_str).zip(shapes.iter().map(|s| &s[..])).collect();
        Err(Error::shape("einsum", format!("{what} in {equation:?}"), &operands, ""))
    };
    let (inputs, output) = match equation.find("->") {
        Some(at) => (0..at, Some(at + 2..equation.len())),
        None => (0..equation.len(), None),
    };
    let mut parsed = Vec::new();
    let mut start = 0;
    for (i, term) in equation[inputs].split(',').enumerate() {
        parsed.push(parse(equation, start..start + term.len(), &format!("operand {i}"))?);
        start += term.len() + 1;
    }
    if parsed.len() != shapes.len() || shapes.is_empty() {
        let given = shapes.len();
        return fail(format!("the equation has subscripts for {} operands, {given} were given,", parsed.len()));
    }
    let mut covered = Vec::new();
    for (i, (term, shape)) in parsed.iter().zip(shapes).enumerate() {
        let (n, ndim) = (term.letters.len(), shape.len());
        if if term.ellipsis.is_some() { n > ndim } else { n != ndim } {
            return fail(format!("operand {i} has {ndim} dimensions and {n} subscripts"));
        }
        covered.push(ndim - n);
    }
    // Dimensions under ellipses are aligned at the last one, as in broadcasting.
    let widest = covered.iter().copied().max().unwrap_or(0);
    if widest > LABELS - LETTERS {
        return fail(format!("an ellipsis covers {widest} dimensions, more than {}", LABELS - LETTERS));
    }
    let under = |n: usize| (LABELS - n..LABELS).collect::<Vec<Label>>();
    let spread = |term: &Subscripts, n: usize| {
        let at = term.ellipsis.unwrap_or(term.letters.len());
        [&term.letters[..at], &under(n), &term.letters[at..]].concat()
    };
    let labels: Vec<Vec<Label>> = parsed.iter().zip(&covered).map(|(term, &n)| spread(term, n)).collect();
    check_sizes(&labels, shapes, fail)?;
    let count = |label: Label| labels.iter().flatten().filter(|l| **l == label).count();
    let Some(range) = output else {
        let once = (0..LETTERS).filter(|&letter| count(letter) == 1);
        return Ok((labels.clone(), under(widest).into_iter().chain(once).collect()));
    };
    let term = parse(equation, range, "the output")?;
    for (i, &letter) in term.letters.iter().enumerate() {
        if term.letters[..i].contains(&letter) {
            return fail(format!("the output has the subscript {} twice", name(letter)));
        }
        if count(letter) == 0 {
            return fail(format!("no operand has the output's subscript {}", name(letter)));
        }
    }
    let output = spread(&term, if term.ellipsis.is_some() { widest } else { 0 });
    Ok((labels, output))
}

/// Within an operand a repeated label has one size; across operands sizes of 1 broadcast.
fn check_sizes<T>(labels: &[Vec<Label>], shapes: &[Shape], fail: impl Fn(String) -> Result<T>) -> Result<()> {
    let mut seen: Vec<Option<(usize, usize)>> = vec![None; LABELS];
    for (i, (labels, shape)) in labels.iter().zip(shapes).enumerate() {
        for (d, (&label, &size)) in labels.iter().zip(shape.iter()).enumerate() {
            if let Some(e) = labels[..d].iter().position(|&l| l == label)
                && shape[e] != size
            {
                let subscript = name(label);
                return fail(format!("subscript {subscript} of operand {i} has sizes {} and {size}", shape[e]))
                    .map(|_| ());
            }
            match seen[label] {
                Some((j, other)) if broadcast_shapes("einsum", &[other], &[size]).is_err() => {
                    let subscript = name(label);
                    return fail(format!(
                        "subscript {subscript} has size {other} in operand {j} and {size} in operand {i}"
                    ))
                    .map(|_| ());
                }
                Some((_, other)) if other != 1 => {}
                _ => seen[label] = Some((i, size)),
            }
        }
    }
    Ok(())
}
