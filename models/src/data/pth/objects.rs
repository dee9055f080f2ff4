//! The objects that a pickle makes, and the plain value that they come to.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use super::torch::{Global, Storage, TensorInfo};
use super::{Key, Value};
use crate::{Error, Result};

/// As many objects may a pickle make, and as many may its value have when each is counted as often as it occurs.
const OBJECTS: usize = 1 << 21;

/// So many dictionaries and lists may stand in each other.
const DEPTH: usize = 100;

/// The error of a pickle that says something that PyTorch does not say.
pub(super) fn refused(what: impl fmt::Display) -> Error {
    Error::invalid(format!("the checkpoint is damaged: {what}"))
}

/// The place of an object.
pub(super) type Id = u32;

/// One object; those in it are named by their places, so that they may share others, or even hold themselves.
pub(super) enum Object<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Cow<'a, str>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(TensorInfo),
}

/// All objects of a pickle.
#[derive(Default)]
pub(super) struct Objects<'a>(Vec<Object<'a>>);

impl<'a> Objects<'a> {
    pub fn add(&mut self, object: Object<'a>) -> Result<Id> {
        if self.0.len() == OBJECTS {
            return Err(Error::invalid(format!("the checkpoint has more than {OBJECTS} objects")));
        }
        self.0.push(object);
        Ok(self.0.len() as Id - 1)
    }

    pub fn get(&self, id: Id) -> &Object<'a> {
        &self.0[id as usize]
    }

    pub fn get_mut(&mut self, id: Id) -> &mut Object<'a> {
        &mut self.0[id as usize]
    }

    /// The items of a tuple.
    pub fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub fn int(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            &Object::Int(number) => Some(number),
            _ => None,
        }
    }

    /// The plain value of an object.
    ///
    /// # Errors
    /// When it holds itself, is nested deeply or large by holding the same objects often, or has parts that are no values.
    pub fn value(&self, id: Id) -> Result<Value<TensorInfo>> {
        Unfold { objects: self, left: OBJECTS, open: Vec::new() }.value(id)
    }
}

/// The unfolding of objects to a value.
struct Unfold<'a> {
    objects: &'a Objects<'a>,
    /// How much more the value may have.
    left: usize,
    /// The objects inside of which this is.
    open: Vec<Id>,
}

impl Unfold<'_> {
    fn spend(&mut self, cost: usize) -> Result<()> {
        let left = self.left.checked_sub(cost);
        self.left = left.ok_or_else(|| Error::invalid("the checkpoint holds the same objects too often"))?;
        Ok(())
    }

    fn value(&mut self, id: Id) -> Result<Value<TensorInfo>> {
        self.spend(1)?;
        let objects = self.objects;
        Ok(match objects.get(id) {
            Object::None => Value::None,
            &Object::Bool(truth) => Value::Bool(truth),
            &Object::Int(number) => Value::Int(number),
            &Object::Float(number) => Value::Float(number),
            Object::Str(text) => Value::Str(self.text(text)?),
            Object::Global(Global::Dtype(elements)) => Value::Str(format!("torch.{}", elements.name)),
            Object::Tensor(info) => {
                self.spend(info.shape.len())?;
                Value::Tensor(info.clone())
            }
            Object::List(items) | Object::Tuple(items) => {
                self.enter(id)?;
                let items = items.iter().map(|&item| self.value(item)).collect::<Result<_>>()?;
                self.open.pop();
                Value::List(items)
            }
            Object::Dict(entries) => {
                self.enter(id)?;
                let dict = self.dict(entries)?;
                self.open.pop();
                Value::Dict(dict)
            }
            Object::Global(global) => return Err(refused(format!("{global:?} stands in the place of a value"))),
            Object::Storage(_) => {
                return Err(Error::invalid("the checkpoint holds a storage without a tensor; only tensors are read"));
            }
        })
    }

    fn enter(&mut self, id: Id) -> Result<()> {
        if self.open.contains(&id) {
            return Err(Error::invalid("the checkpoint has an object that holds itself"));
        }
        if self.open.len() == DEPTH {
            return Err(Error::invalid(format!("the checkpoint is nested more than {DEPTH} times")));
        }
        self.open.push(id);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<String> {
        self.spend(text.len() / 32)?;
        Ok(text.to_string())
    }

    /// As in Python, a later entry of the same key replaces the value of the earlier one and keeps its place.
    fn dict(&mut self, entries: &[(Id, Id)]) -> Result<Vec<(Key, Value<TensorInfo>)>> {
        let mut places = HashMap::new();
        let mut dict: Vec<(Key, Value<TensorInfo>)> = Vec::new();
        for &(key, value) in entries {
            let key = match self.objects.get(key) {
                Object::Str(text) => Key::Str(self.text(text)?),
                &Object::Int(number) => Key::Int(number),
                _ => return Err(Error::invalid("the checkpoint has a key that is neither a text nor a whole number")),
            };
            let value = self.value(value)?;
            match places.get(&key) {
                Some(&at) => {
                    let entry: &mut (Key, _) = &mut dict[at];
                    entry.1 = value;
                }
                None => {
                    places.insert(key.clone(), dict.len());
                    dict.push((key, value));
                }
            }
        }
        Ok(dict)
    }
}
