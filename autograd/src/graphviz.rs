//! The computation graph as a drawing: text in the language of Graphviz.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::rc::Rc;

use tensor::{DType, Shape};

use crate::step::{Scalar, Step};
use crate::var::{Origin, Var};

impl Var {
    /// The graph that led to this value, as text for Graphviz: `dot -Tpng graph.dot -o graph.png` draws it.
    ///
    /// The drawing follows the conventions of textbooks and lectures. Each value is a rectangle with the function that
    /// computes it inside and the name of the variable outside; parameters and constants are rectangles too, with their
    /// shape or their number inside; edges have a direction and no labels. Parameters are round at the corners,
    /// constants are grey, this value has a double border.
    ///
    /// `names` gives names to values of any kind, for instance those of a module's `named_parameters()`, and those of the
    /// data: a value with two names shows both, one that is not in the graph is left out. The same graph gives the same
    /// text each time. Nothing of this needs to be done in the forward pass: the graph holds it anyway. What ran without
    /// recording is not in it, so call this on a value that requires a gradient, and
    /// before a backward pass that frees the graph: with what `2.0 / x` and `x.powf(3.0)` kept, their numbers go.
    ///
    /// ```
    /// use autograd::Var;
    /// use tensor::Tensor;
    /// let w = Var::new(Tensor::from([1.0, 2.0])).requires_grad_(true);
    /// let x = Var::new(Tensor::from([3.0, 4.0]));
    /// let loss = (&w * &x).sum() / 2.0;
    /// let dot = loss.to_dot([("w", &w), ("x", &x), ("loss", &loss)]);
    /// assert_eq!(
    ///     dot,
    ///     r##"digraph {
    ///   rankdir=BT
    ///   ordering=in
    ///   nodesep=0.7
    ///   ranksep=0.65
    ///   node [shape=box fontname="Helvetica" fontsize=11 height=0.4 margin="0.12,0.06"]
    ///   edge [arrowsize=0.6]
    ///   n0 [label="parameter\n[2]" xlabel="w" style=rounded]
    ///   n1 [label="constant\n[2]" xlabel="x" style=filled fillcolor="#eeeeee"]
    ///   n2 [label="mul\n[2]"]
    ///   n0 -> n2
    ///   n1 -> n2
    ///   n3 [label="sum"]
    ///   n2 -> n3
    ///   n4 [label="2" style=filled fillcolor="#eeeeee"]
    ///   n5 [label="div" xlabel="loss" peripheries=2]
    ///   n3 -> n5
    ///   n4 -> n5
    /// }
    /// "##
    /// );
    /// ```
    pub fn to_dot<S: Into<String>, V: Borrow<Var>>(&self, names: impl IntoIterator<Item = (S, V)>) -> String {
        let mut drawing = Drawing::new(self);
        for (name, var) in names {
            let var: &Var = var.borrow();
            let key = var.0.origin.borrow().number();
            let names = drawing.names.entry(key).or_default();
            let name = name.into();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        drawing.text()
    }
}

/// A value's number in the creation order, and which output of a step it is.
type Key = (u64, u32);

/// What is drawn for a value.
enum Kind {
    Parameter,
    Constant,
    /// An output of a step.
    Result(Rc<Step>),
}

struct Drawing {
    root: Key,
    /// In creation order, so that inputs stand before what is made from them.
    values: BTreeMap<Key, (Kind, Shape, DType)>,
    names: HashMap<Key, Vec<String>>,
}

impl Drawing {
    fn new(root: &Var) -> Drawing {
        let origin = root.0.origin.borrow().clone();
        let mut drawing = Drawing { root: origin.number(), values: BTreeMap::new(), names: HashMap::new() };
        let mut stack = vec![(origin, root.shape(), root.dtype())];
        while let Some((origin, shape, dtype)) = stack.pop() {
            let key = origin.number();
            if drawing.values.contains_key(&key) {
                continue;
            }
            let kind = match origin {
                Origin::Constant(_) => Kind::Constant,
                Origin::Leaf(leaf) if leaf.requires_grad.get() => Kind::Parameter,
                Origin::Leaf(_) => Kind::Constant,
                Origin::Step(step, _) => {
                    stack.extend(step.edges.iter().map(|edge| (edge.target.clone(), edge.shape.clone(), edge.dtype)));
                    Kind::Result(step)
                }
            };
            drawing.values.insert(key, (kind, shape, dtype));
        }
        drawing
    }

    fn text(&self) -> String {
        // A name stands to the left of its box: the next box must not come so close that it could belong to that one.
        let shown = self.names.iter().filter(|(key, _)| self.values.contains_key(key));
        let longest = shown.map(|(_, names)| names.join(" = ").chars().count()).max().unwrap_or(0);
        let apart = (15.0 + 8.0 * longest as f64).clamp(70.0, 200.0) / 100.0;
        let mut text = format!(
            "digraph {{\n  rankdir=BT\n  ordering=in\n  nodesep={apart}\n  ranksep=0.65\n  node [shape=box \
             fontname=\"Helvetica\" fontsize=11 height=0.4 margin=\"0.12,0.06\"]\n  edge [arrowsize=0.6]\n"
        );
        let mut ids: HashMap<Key, usize> = HashMap::new();
        let mut count = 0;
        // Writing to a string cannot fail.
        let mut node = |text: &mut String, inside: &str, outside: Option<&str>, style: &str| -> usize {
            let _ = write!(text, "  n{count} [label=\"{}\"", escape(inside));
            if let Some(outside) = outside {
                let _ = write!(text, " xlabel=\"{}\"", escape(outside));
            }
            let _ = writeln!(text, "{style}]");
            count += 1;
            count - 1
        };
        const CONSTANT: &str = " style=filled fillcolor=\"#eeeeee\"";
        for (key, (kind, shape, dtype)) in &self.values {
            let name = self.names.get(key).map(|names| names.join(" = "));
            let inside = |function: &str| label(function, shape, *dtype);
            let border = if *key == self.root { " peripheries=2" } else { "" };
            let (inside, style) = match kind {
                Kind::Parameter => (inside("parameter"), " style=rounded"),
                Kind::Constant => (inside("constant"), CONSTANT),
                Kind::Result(step) if step.outputs > 1 => (inside(&format!("{} {}", step.name, key.1)), ""),
                Kind::Result(step) => (inside(step.name), ""),
            };
            let mut operands: Vec<usize> = Vec::new();
            if let Kind::Result(step) = kind {
                let scalar = step.pullback.borrow().as_ref().map_or(Scalar::None, |pullback| pullback.scalar());
                let mut number = |x: f64| node(&mut text, &short(x), None, CONSTANT);
                operands.extend(if let Scalar::Left(x) = scalar { Some(number(x)) } else { None });
                operands.extend(step.edges.iter().map(|edge| ids[&edge.target.number()]));
                operands.extend(if let Scalar::Right(x) = scalar { Some(number(x)) } else { None });
                for (name, shape, dtype) in step.watch.borrow().iter().flat_map(|watch| &watch.reads) {
                    operands.push(node(&mut text, &label("constant", shape, *dtype), Some(name), CONSTANT));
                }
            }
            let id = node(&mut text, &inside, name.as_deref(), &format!("{style}{border}"));
            for operand in operands {
                let _ = writeln!(text, "  n{operand} -> n{id}");
            }
            ids.insert(*key, id);
        }
        text += "}\n";
        text
    }
}

/// The function, then the shape unless it is that of a scalar, and the dtype unless it is an ordinary one.
fn label(function: &str, shape: &Shape, dtype: DType) -> String {
    let shape = if shape.is_empty() { String::new() } else { shape.to_string() };
    match dtype {
        DType::F32 | DType::F64 => format!("{function}\n{shape}").trim_end().to_string(),
        _ => format!("{function}\n{shape} {dtype}").replace("\n ", "\n"),
    }
}

/// A number in at most six digits.
fn short(x: f64) -> String {
    let exact = x.to_string();
    match exact.len() {
        ..=8 => exact,
        _ => {
            let scientific = format!("{x:.5e}");
            let short = scientific.parse::<f64>().expect("a number just printed").to_string();
            if short.len() <= 12 { short } else { scientific }
        }
    }
}

/// Text as it stands between the quotation marks of a label.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
