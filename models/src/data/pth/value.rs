//! What a checkpoint holds, as plain values.

use std::fmt;

use tensor::Tensor;

use crate::Result;

/// A value in a checkpoint; `T` stands in the place of its tensors.
#[derive(Debug, Clone)]
pub enum Value<T = Tensor> {
    /// A tensor or a parameter.
    Tensor(T),
    /// A dictionary, in its order.
    Dict(Vec<(Key, Value<T>)>),
    /// A list or a tuple.
    List(Vec<Value<T>>),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Str(String),
    /// A truth value.
    Bool(bool),
    /// Python's `None`.
    None,
}

/// The key of an entry of a dictionary.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// A text.
    Str(String),
    /// A whole number, as optimizers number their parameters.
    Int(i64),
}

impl PartialEq<str> for Key {
    fn eq(&self, name: &str) -> bool {
        matches!(self, Key::Str(text) if text == name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Str(text) => f.write_str(text),
            Key::Int(number) => write!(f, "{number}"),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Str(text) => write!(f, "{text:?}"),
            Key::Int(number) => write!(f, "{number}"),
        }
    }
}

impl<T> Value<T> {
    /// The entry `key` of a dictionary.
    ///
    /// ```
    /// use models::data::pth::{Key, Value};
    /// let whole: Value = Value::Dict(vec![(Key::Str("epoch".into()), Value::Int(3))]);
    /// assert!(matches!(whole.get("epoch"), Some(Value::Int(3))));
    /// assert!(whole.get("loss").is_none());
    /// ```
    pub fn get(&self, key: &str) -> Option<&Value<T>> {
        match self {
            Value::Dict(entries) => entries.iter().find(|(k, _)| *k == *key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// What kind of value this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Tensor(_) => "a tensor",
            Value::Dict(_) => "a dictionary",
            Value::List(_) => "a list",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Str(_) => "a text",
            Value::Bool(_) => "a truth value",
            Value::None => "None",
        }
    }

    /// The same value with each tensor replaced by what `f` makes of it. Checkpoints are not nested deeply.
    pub(super) fn try_map<U>(self, f: &mut impl FnMut(T) -> Result<U>) -> Result<Value<U>> {
        Ok(match self {
            Value::Tensor(tensor) => Value::Tensor(f(tensor)?),
            Value::Dict(entries) => {
                let entries = entries.into_iter().map(|(key, value)| Ok((key, value.try_map(f)?)));
                Value::Dict(entries.collect::<Result<_>>()?)
            }
            Value::List(items) => Value::List(items.into_iter().map(|item| item.try_map(f)).collect::<Result<_>>()?),
            Value::Int(number) => Value::Int(number),
            Value::Float(number) => Value::Float(number),
            Value::Str(text) => Value::Str(text),
            Value::Bool(truth) => Value::Bool(truth),
            Value::None => Value::None,
        })
    }
}
