//! The table of a model's modules and the sizes of their parameters.

use std::collections::HashSet;
use std::fmt;

use super::{Member, Module};

/// A table with a row for each module that has parameters or buffers of its own; see [`Module::summary`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    rows: Vec<Row>,
    /// The number of elements in all parameters, a tied one counted once.
    pub parameters: usize,
    /// How many of them require a gradient.
    pub trainable: usize,
    /// The number of elements in all buffers.
    pub buffers: usize,
    /// The bytes of all parameters and buffers.
    pub bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    path: String,
    kind: &'static str,
    shapes: String,
    parameters: usize,
    note: &'static str,
}

impl Summary {
    pub(super) fn new(module: &dyn Module) -> Summary {
        let mut summary = Summary { rows: Vec::new(), parameters: 0, trainable: 0, buffers: 0, bytes: 0 };
        let (mut parameters, mut buffers) = (HashSet::new(), Vec::new());
        for (path, module) in module.named_modules() {
            let (mut shapes, mut own, mut tied, mut frozen) = (Vec::new(), 0, 0, 0);
            module.visit(&mut |name, member| match member {
                Member::Parameter(parameter) => {
                    let form = parameter.quantized().map_or(String::new(), |matrix| format!(" {}", matrix.precision()));
                    shapes.push(format!("{name} {}{form}", parameter.shape()));
                    let numel = parameter.numel();
                    own += numel;
                    if !parameters.insert(parameter.id()) {
                        tied += numel;
                        return;
                    }
                    summary.parameters += numel;
                    summary.bytes += parameter.nbytes();
                    if parameter.requires_grad() { summary.trainable += numel } else { frozen += numel }
                }
                Member::Buffer(buffer) => {
                    let value = buffer.value();
                    shapes.push(format!("{name} {}", value.shape()));
                    if !buffers.iter().any(|known| buffer.ptr_eq(known)) {
                        buffers.push(buffer.clone());
                        summary.buffers += value.numel();
                        summary.bytes += value.numel() * value.dtype().size_in_bytes();
                    }
                }
                Member::Module(_) | Member::Training(_) => {}
            });
            if shapes.is_empty() {
                continue;
            }
            let note = if tied > 0 {
                "tied"
            } else if frozen > 0 {
                "frozen"
            } else {
                ""
            };
            let path = if path.is_empty() { ".".to_owned() } else { path };
            summary.rows.push(Row { path, kind: module.type_name(), shapes: shapes.join(", "), parameters: own, note });
        }
        summary
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["module", "type", "shapes", "parameters"].map(str::to_owned);
        let cells = self
            .rows
            .iter()
            .map(|row| [row.path.clone(), row.kind.to_owned(), row.shapes.clone(), grouped(row.parameters)]);
        let cells: Vec<[String; 4]> = std::iter::once(head).chain(cells).collect();
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let [a, b, c, d] = [width(0), width(1), width(2), width(3)];
        let notes = std::iter::once("").chain(self.rows.iter().map(|row| row.note));
        for (row, note) in cells.iter().zip(notes) {
            let [path, kind, shapes, count] = row;
            let line = format!("{path:a$}  {kind:b$}  {shapes:c$}  {count:>d$}  {note}");
            writeln!(f, "{}", line.trim_end())?;
        }
        let Summary { parameters, trainable, buffers, bytes, .. } = *self;
        let frozen = parameters - trainable;
        writeln!(
            f,
            "{} parameters, {} trainable, {} frozen",
            grouped(parameters),
            grouped(trainable),
            grouped(frozen)
        )?;
        if buffers > 0 {
            writeln!(f, "{} elements in buffers", grouped(buffers))?;
        }
        write!(f, "{} in memory", size(bytes))
    }
}

/// `1234567` as `1,234,567`.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes with a unit of 1000.
fn size(bytes: usize) -> String {
    let (mut value, mut unit) = (bytes as f64, "B");
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn numbers_are_grouped_and_sizes_have_units() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 999, 1000, 4_940_000, 3_000_000_000].map(size), ["0 B", "999 B", "1.0 kB", "4.9 MB", "3.0 GB"]);
    }

    #[test]
    fn tied_and_frozen_parameters_count_once_and_are_marked() {
        let first = Linear::new(4, 4);
        let tied = Linear::from_parameters(first.weight.clone(), None);
        let frozen = Linear::with(4, 2, LinearOptions { bias: false, ..Default::default() });
        frozen.requires_grad_(false);
        let summary = sequential![first, tied, frozen].summary();
        assert_eq!((summary.parameters, summary.trainable, summary.bytes), (16 + 4 + 8, 20, 4 * 28));
        let text = summary.to_string();
        let note = |path: &str| text.lines().find(|l| l.starts_with(path)).unwrap().rsplit(' ').next().unwrap();
        assert_eq!((note("0"), note("1"), note("2")), ("20", "tied", "frozen"));
        assert!(text.contains("28 parameters, 20 trainable, 8 frozen\n112 B in memory"), "{text}");
    }
}
