//! The printed tree of a module.

use std::fmt;

use super::Module;

/// PyTorch's printed tree. The alternate form, `{:#}`, adds to each module the number of its parameters' elements, and
/// to a module with parameters of its own their shapes.
///
/// ```
/// use nn::prelude::*;
///
/// let model = sequential![Linear::new(6, 4), ReLU::new()];
/// assert_eq!(
///     format!("{model:#}"),
///     "Sequential(  # 28
///   (0): Linear(in_features=6, out_features=4, bias=True)  # 28: weight [4, 6], bias [4]
///   (1): ReLU()
/// )"
/// );
/// ```
impl fmt::Display for dyn Module + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&tree(self, f.alternate()))
    }
}

/// In a list, equal neighbours are folded into `(0-3): 4 x ...`.
fn tree(module: &dyn Module, counts: bool) -> String {
    let folds = module.type_name() == "ModuleList";
    let mut blocks: Vec<(String, String, usize)> = Vec::new();
    for (name, child) in module.named_children() {
        let text = tree(child, counts).replace('\n', "\n  ");
        match blocks.last_mut() {
            Some((_, last, count)) if folds && *last == text => *count += 1,
            _ => blocks.push((name, text, 1)),
        }
    }
    let lines = blocks.iter().map(|(name, text, count)| match (count, name.parse::<usize>()) {
        (2.., Ok(first)) => format!("\n  ({first}-{}): {count} x {text}", first + count - 1),
        _ => format!("\n  ({name}): {text}"),
    });
    let lines: String = lines.collect();
    let (name, extra) = (module.type_name(), module.extra_repr());
    let note = if counts { note(module) } else { String::new() };
    match (lines.is_empty(), extra.is_empty()) {
        // PyTorch starts a new line before an extra of several lines.
        (true, _) if extra.contains('\n') => format!("{name}({note}\n  {}\n)", extra.replace('\n', "\n  ")),
        (true, _) => format!("{name}({extra}){note}"),
        (false, true) => format!("{name}({note}{lines}\n)"),
        (false, false) => format!("{name}({note}\n  {}{lines}\n)", extra.replace('\n', "\n  ")),
    }
}

/// `  # 28: weight [4, 6], bias [4]`, or nothing for a module without parameters.
fn note(module: &dyn Module) -> String {
    let shapes: Vec<String> =
        own_parameters(module).into_iter().map(|(name, shape, form)| format!("{name} {shape:?}{form}")).collect();
    match (module.num_parameters(), shapes.is_empty()) {
        (0, _) => String::new(),
        (count, true) => format!("  # {count}"),
        (count, false) => format!("  # {count}: {}", shapes.join(", ")),
    }
}

/// The names and shapes of the parameters that belong to the module itself, and how they are quantised if they are.
fn own_parameters(module: &dyn Module) -> Vec<(String, Vec<usize>, String)> {
    let mut own = Vec::new();
    module.visit(&mut |name, member| {
        if let super::Member::Parameter(parameter) = member {
            let form = parameter.quantized().map_or(String::new(), |matrix| format!(" {}", matrix.precision()));
            own.push((name.to_owned(), parameter.shape().to_vec(), form));
        }
    });
    own
}
