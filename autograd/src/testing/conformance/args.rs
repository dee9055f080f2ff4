//! The arguments of a sample, as an adapter reads them.

use std::cell::RefCell;

use serde_json::Value;
use tensor::{DType, Tensor};

use super::fixture::{self, dtype_named};
use crate::Var;

/// Why a sample has no counterpart here.
#[derive(Debug)]
pub(crate) struct Skip(pub String);

/// A reason as the `Err` of an adapter.
pub(crate) fn skip<T>(why: impl Into<String>) -> Result<T, Skip> {
    Err(Skip(why.into()))
}

/// One argument of PyTorch's call.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    /// A dtype by name: ours, or PyTorch's where there is no such one here.
    Dtype(String),
    List(Vec<Arg>),
    Tensor(Var),
    Slice([Option<isize>; 3]),
    Ellipsis,
}

impl Arg {
    fn parse(value: &Value) -> Arg {
        match value {
            Value::Null => Arg::None,
            Value::Bool(b) => Arg::Bool(*b),
            Value::Number(n) => n.as_i64().map_or_else(|| Arg::Float(n.as_f64().expect("a number")), Arg::Int),
            Value::String(s) => Arg::Str(s.clone()),
            Value::Array(items) => Arg::List(items.iter().map(Arg::parse).collect()),
            Value::Object(o) if o.contains_key("t") => {
                let var = Var::new(fixture::input(value));
                Arg::Tensor(if o.contains_key("g") { var.requires_grad_(true) } else { var })
            }
            Value::Object(o) => match o.iter().next().expect("an object says what it is") {
                (key, Value::String(s)) if key == "f" => Arg::Float(s.parse().expect("inf or nan")),
                (key, Value::String(s)) if key == "dtype" => Arg::Dtype(s.clone()),
                (key, Value::Array(bounds)) if key == "slice" => {
                    Arg::Slice(std::array::from_fn(|i| bounds[i].as_i64().map(|b| b as isize)))
                }
                (key, _) if key == "ellipsis" => Arg::Ellipsis,
                other => panic!("an argument of an unknown kind: {other:?}"),
            },
        }
    }

    fn leaves<'a>(&'a self, found: &mut Vec<&'a Var>) {
        match self {
            Arg::Tensor(var) if var.requires_grad() => found.push(var),
            Arg::List(items) => items.iter().for_each(|item| item.leaves(found)),
            _ => {}
        }
    }

    fn number(&self) -> Option<f64> {
        match *self {
            Arg::Int(x) => Some(x as f64),
            Arg::Float(x) => Some(x),
            Arg::Bool(x) => Some(x as u8 as f64),
            _ => None,
        }
    }

    fn int(&self) -> Option<i64> {
        if let Arg::Int(x) = self { Some(*x) } else { None }
    }

    pub fn ints(&self) -> Option<Vec<isize>> {
        match self {
            Arg::Int(x) => Some(vec![*x as isize]),
            Arg::List(items) => items.iter().map(|item| item.int().map(|x| x as isize)).collect(),
            _ => None,
        }
    }

    fn vars(&self) -> Option<Vec<Var>> {
        let Arg::List(items) = self else { return None };
        items.iter().map(|item| if let Arg::Tensor(var) = item { Some(var.clone()) } else { None }).collect()
    }
}

/// The arguments of one sample. Each is asked for by position and by name, since PyTorch takes most both ways; whatever
/// is not `None` must have been read in the end.
pub(crate) struct Args {
    positional: Vec<Arg>,
    named: Vec<(String, Arg)>,
    read: RefCell<Vec<bool>>,
}

impl Args {
    pub fn parse(sample: &Value) -> Args {
        let positional: Vec<Arg> = sample["args"].as_array().expect("a list").iter().map(Arg::parse).collect();
        let named = sample.get("kwargs").and_then(Value::as_object);
        let named: Vec<(String, Arg)> =
            named.into_iter().flatten().map(|(name, value)| (name.clone(), Arg::parse(value))).collect();
        let read = RefCell::new(vec![false; positional.len() + named.len()]);
        Args { positional, named, read }
    }

    /// The inputs that require a gradient, in order.
    pub fn leaves(&self) -> Vec<&Var> {
        let mut found = Vec::new();
        self.positional.iter().chain(self.named.iter().map(|(_, arg)| arg)).for_each(|arg| arg.leaves(&mut found));
        found
    }

    /// The names of the arguments that nobody read.
    pub fn unread(&self) -> Vec<String> {
        let positions = (0..self.positional.len()).map(|i| i.to_string());
        let names = positions.chain(self.named.iter().map(|(name, _)| name.clone()));
        let args = self.positional.iter().chain(self.named.iter().map(|(_, arg)| arg));
        let all = names.zip(args).zip(self.read.borrow().clone());
        all.filter(|((_, arg), read)| !read && !matches!(arg, Arg::None)).map(|((name, _), _)| name).collect()
    }

    /// How many positional arguments there are, the input included.
    pub fn len(&self) -> usize {
        self.positional.len()
    }

    /// The argument at position `i`, or else of this name, if it is there and not `None`.
    pub fn raw(&self, i: usize, name: &str) -> Option<&Arg> {
        let (at, arg) = match self.positional.get(i) {
            Some(arg) => (i, arg),
            None => {
                let at = self.named.iter().position(|(n, _)| n == name)?;
                (self.positional.len() + at, &self.named[at].1)
            }
        };
        self.read.borrow_mut()[at] = true;
        if let Arg::None = arg { None } else { Some(arg) }
    }

    fn get<T>(&self, i: usize, name: &str, kind: &str, f: impl Fn(&Arg) -> Option<T>) -> Result<Option<T>, Skip> {
        match self.raw(i, name) {
            None => Ok(None),
            Some(arg) => match f(arg) {
                Some(value) => Ok(Some(value)),
                None => skip(format!("`{name}` that is not {kind}")),
            },
        }
    }

    fn must<T>(found: Option<T>, name: &str) -> Result<T, Skip> {
        found.map_or_else(|| skip(format!("no `{name}`")), Ok)
    }

    /// A tensor, with its gradient.
    pub fn var(&self, i: usize, name: &str) -> Result<Var, Skip> {
        Args::must(self.opt_var(i, name)?, name)
    }

    /// A tensor that may be missing.
    pub fn opt_var(&self, i: usize, name: &str) -> Result<Option<Var>, Skip> {
        self.get(i, name, "a tensor", |arg| if let Arg::Tensor(var) = arg { Some(var.clone()) } else { None })
    }

    /// A tensor of constants: indices, masks, operands of what has no gradient.
    pub fn tensor(&self, i: usize, name: &str) -> Result<Tensor, Skip> {
        Ok(self.var(i, name)?.value())
    }

    /// A tensor of constants that may be missing.
    pub fn opt_tensor(&self, i: usize, name: &str) -> Result<Option<Tensor>, Skip> {
        Ok(self.opt_var(i, name)?.map(|var| var.value()))
    }

    /// A list of tensors.
    pub fn vars(&self, i: usize, name: &str) -> Result<Vec<Var>, Skip> {
        Args::must(self.get(i, name, "a list of tensors", Arg::vars)?, name)
    }

    /// True if a tensor stands here, false for a number or nothing.
    pub fn is_tensor(&self, i: usize, name: &str) -> bool {
        matches!(self.raw(i, name), Some(Arg::Tensor(_)))
    }

    /// A number of any kind.
    pub fn number(&self, i: usize, name: &str) -> Result<f64, Skip> {
        Args::must(self.opt_number(i, name)?, name)
    }

    /// A number that may be missing.
    pub fn opt_number(&self, i: usize, name: &str) -> Result<Option<f64>, Skip> {
        self.get(i, name, "a number", Arg::number)
    }

    /// A number with a default.
    pub fn number_or(&self, i: usize, name: &str, default: f64) -> Result<f64, Skip> {
        Ok(self.opt_number(i, name)?.unwrap_or(default))
    }

    /// A whole number: a dimension, a size.
    pub fn int(&self, i: usize, name: &str) -> Result<isize, Skip> {
        Args::must(self.opt_int(i, name)?, name)
    }

    /// A whole number that may be missing.
    pub fn opt_int(&self, i: usize, name: &str) -> Result<Option<isize>, Skip> {
        self.get(i, name, "a whole number", |arg| arg.int().map(|x| x as isize))
    }

    /// A whole number with a default.
    pub fn int_or(&self, i: usize, name: &str, default: isize) -> Result<isize, Skip> {
        Ok(self.opt_int(i, name)?.unwrap_or(default))
    }

    /// A whole number that Rust's types keep from being negative.
    pub fn size(&self, i: usize, name: &str) -> Result<usize, Skip> {
        let size = self.int(i, name)?;
        size.try_into().or_else(|_| skip(format!("a negative `{name}`, which `usize` excludes")))
    }

    /// A non-negative whole number with a default.
    pub fn size_or(&self, i: usize, name: &str, default: usize) -> Result<usize, Skip> {
        if self.raw(i, name).is_none() { Ok(default) } else { self.size(i, name) }
    }

    /// Whole numbers, given as one or as a list; `None` if missing.
    pub fn opt_ints(&self, i: usize, name: &str) -> Result<Option<Vec<isize>>, Skip> {
        self.get(i, name, "a list of whole numbers", Arg::ints)
    }

    /// Whole numbers, given as one or as a list.
    pub fn ints(&self, i: usize, name: &str) -> Result<Vec<isize>, Skip> {
        Args::must(self.opt_ints(i, name)?, name)
    }

    /// Non-negative whole numbers, given as one or as a list.
    pub fn sizes(&self, i: usize, name: &str) -> Result<Vec<usize>, Skip> {
        let sizes = self.ints(i, name)?;
        let sizes: Option<Vec<usize>> = sizes.into_iter().map(|s| s.try_into().ok()).collect();
        sizes.map_or_else(|| skip(format!("a negative number in `{name}`, which `usize` excludes")), Ok)
    }

    /// Whole numbers from position `i` on: a list, or the rest of the arguments.
    pub fn rest(&self, i: usize, name: &str) -> Result<Vec<isize>, Skip> {
        if self.len() <= i + 1 {
            return self.ints(i, name);
        }
        (i..self.len()).map(|i| self.int(i, name)).collect()
    }

    /// Dimensions to reduce over: missing or empty means all.
    pub fn dims(&self, i: usize, name: &str) -> Result<Vec<isize>, Skip> {
        Ok(self.opt_ints(i, name)?.unwrap_or_default())
    }

    /// A flag with a default.
    pub fn flag(&self, i: usize, name: &str, default: bool) -> Result<bool, Skip> {
        let flag = |arg: &Arg| if let Arg::Bool(b) = arg { Some(*b) } else { None };
        Ok(self.get(i, name, "a bool", flag)?.unwrap_or(default))
    }

    /// A word with a default.
    pub fn text(&self, i: usize, name: &str, default: &str) -> Result<String, Skip> {
        let text = |arg: &Arg| if let Arg::Str(s) = arg { Some(s.clone()) } else { None };
        Ok(self.get(i, name, "a string", text)?.unwrap_or_else(|| default.to_string()))
    }

    /// A dtype that may be missing.
    pub fn opt_dtype(&self, i: usize, name: &str) -> Result<Option<DType>, Skip> {
        let named = |arg: &Arg| if let Arg::Dtype(s) = arg { Some(s.clone()) } else { None };
        match self.get(i, name, "a dtype", named)? {
            None => Ok(None),
            Some(name) => {
                dtype_named(&name).map_or_else(|| skip(format!("{name}, which is no dtype here")), |d| Ok(Some(d)))
            }
        }
    }
}
