//! The machine that runs the pickle of a checkpoint: a stack of objects, and a memory of those to be used again.
//!
//! It knows the instructions that `torch.save` writes for tensors and plain values (protocols 2 to 5). None of them runs
//! anything: a name that is called is one of [`Global`](super::torch::Global).

use std::borrow::Cow;
use std::collections::HashMap;

use super::objects::{Id, Object, Objects, refused};
use super::opcodes::{self as op};
use super::torch::{Global, Storage, would_run};
use crate::{Error, Result};

/// The objects that the pickle `bytes` makes, and the one that it is.
///
/// # Errors
/// When it is damaged, or makes anything but tensors and plain values.
pub(super) fn unpickle(bytes: &[u8]) -> Result<(Objects<'_>, Id)> {
    let mut machine =
        Machine { bytes, objects: Objects::default(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    loop {
        if let Some(top) = machine.step()? {
            return Ok((machine.objects, top));
        }
    }
}

struct Machine<'a> {
    /// What has not been read.
    bytes: &'a [u8],
    objects: Objects<'a>,
    stack: Vec<Id>,
    /// The heights of the stack that are marked.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    /// Runs one instruction; the object at the end.
    fn step(&mut self) -> Result<Option<Id>> {
        let [code] = self.number()?;
        match code {
            op::PROTO => match self.number()? {
                [..=5] => {}
                [version] => return Err(refused(format!("pickle protocol {version} is not known"))),
            },
            op::FRAME => drop(self.number::<8>()?),
            op::STOP => return self.pop().map(Some),

            op::NONE => self.make(Object::None)?,
            op::NEWTRUE => self.make(Object::Bool(true))?,
            op::NEWFALSE => self.make(Object::Bool(false))?,
            op::BININT => {
                let number = i32::from_le_bytes(self.number()?);
                self.make(Object::Int(number.into()))?
            }
            op::BININT1 => {
                let [number] = self.number()?;
                self.make(Object::Int(number.into()))?
            }
            op::BININT2 => {
                let number = u16::from_le_bytes(self.number()?);
                self.make(Object::Int(number.into()))?
            }
            op::LONG1 => {
                let [length] = self.number()?;
                self.long(length.into())?
            }
            op::LONG4 => {
                let length = u32::from_le_bytes(self.number()?);
                self.long(length.into())?
            }
            op::BINFLOAT => {
                let number = f64::from_be_bytes(self.number()?);
                self.make(Object::Float(number))?
            }
            op::SHORT_BINUNICODE => {
                let [length] = self.number()?;
                self.text(length.into())?
            }
            op::BINUNICODE => {
                let length = u32::from_le_bytes(self.number()?);
                self.text(length.into())?
            }
            op::BINUNICODE8 => {
                let length = u64::from_le_bytes(self.number()?);
                self.text(length)?
            }

            op::MARK => self.marks.push(self.stack.len()),
            op::EMPTY_TUPLE => self.make(Object::Tuple(Vec::new()))?,
            op::TUPLE1 => self.tuple(1)?,
            op::TUPLE2 => self.tuple(2)?,
            op::TUPLE3 => self.tuple(3)?,
            op::TUPLE => {
                let items = self.marked()?;
                self.make(Object::Tuple(items))?
            }
            op::EMPTY_LIST => self.make(Object::List(Vec::new()))?,
            op::APPEND => {
                let item = self.pop()?;
                self.append(vec![item])?
            }
            op::APPENDS => {
                let items = self.marked()?;
                self.append(items)?
            }
            op::EMPTY_DICT => self.make(Object::Dict(Vec::new()))?,
            op::SETITEM => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])?
            }
            op::SETITEMS => {
                let items = self.marked()?;
                self.set_items(&items)?
            }

            op::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name)?
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Object::Str(module), Object::Str(name)) = (self.objects.get(module), self.objects.get(name))
                else {
                    return Err(refused("a name is no text"));
                };
                let (module, name) = (module.clone(), name.clone());
                self.global(&module, &name)?
            }
            op::REDUCE => {
                let (args, function) = (self.pop()?, self.pop()?);
                let &Object::Global(function) = self.objects.get(function) else {
                    return Err(refused("something is called that is no function"));
                };
                let made = function.call(args, &mut self.objects)?;
                self.stack.push(made);
            }
            op::BUILD => {
                // The attributes of a state dict, such as the versions of its modules.
                let state = self.pop()?;
                match (self.objects.get(self.top()?), self.objects.get(state)) {
                    (Object::Dict(_), Object::Dict(_)) => {}
                    _ => return Err(refused("attributes are set of something else than a dictionary")),
                }
            }
            op::BINPERSID => {
                let id = self.pop()?;
                let storage = Storage::find(id, &self.objects)?;
                self.make(Object::Storage(storage))?
            }

            op::PUT => {
                let index = self.index()?;
                self.put(index)?
            }
            op::BINPUT => {
                let [index] = self.number()?;
                self.put(index.into())?
            }
            op::LONG_BINPUT => {
                let index = u32::from_le_bytes(self.number()?);
                self.put(index.into())?
            }
            op::MEMOIZE => self.put(self.memo.len() as u64)?,
            op::GET => {
                let index = self.index()?;
                self.recall(index)?
            }
            op::BINGET => {
                let [index] = self.number()?;
                self.recall(index.into())?
            }
            op::LONG_BINGET => {
                let index = u32::from_le_bytes(self.number()?);
                self.recall(index.into())?
            }

            op::INST => return Err(would_run(&self.line()?, &self.line()?)),
            op::BINBYTES | op::SHORT_BINBYTES | op::BINBYTES8 | op::BYTEARRAY8 => {
                return Err(Error::invalid("the checkpoint holds bytes; tensors, numbers and texts are read"));
            }
            op::EMPTY_SET | op::FROZENSET => {
                return Err(Error::invalid(
                    "the checkpoint holds a set; tensors, numbers, texts, lists and dicts are read",
                ));
            }
            other => {
                return Err(match op::name(other) {
                    Some(name) => Error::invalid(format!(
                        "the checkpoint uses the pickle instruction {name}; only what tensors and plain values need is read"
                    )),
                    None => refused(format!("{other:#04x} is no pickle instruction")),
                });
            }
        }
        Ok(None)
    }

    // Bytes ---------------------------------------------------------------------------------------------------------

    fn take(&mut self, n: u64) -> Result<&'a [u8]> {
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        let (taken, rest) = self.bytes.split_at_checked(n).ok_or_else(|| refused("its pickle ends too early"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N as u64)?.try_into().expect("as many bytes as were taken"))
    }

    /// What stands before the next line break, which is dropped.
    fn line(&mut self) -> Result<Cow<'a, str>> {
        let length = self.bytes.iter().position(|&b| b == b'\n').unwrap_or(self.bytes.len());
        let line = self.take(length as u64)?;
        self.take(1)?;
        Ok(String::from_utf8_lossy(line))
    }

    /// A place in the memo, in decimal digits.
    fn index(&mut self) -> Result<u64> {
        self.line()?.parse().map_err(|_| refused("a place in the memo is no number"))
    }

    fn text(&mut self, length: u64) -> Result<()> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| refused("a text is not UTF-8"))?;
        self.make(Object::Str(text.into()))
    }

    /// A whole number of `length` bytes, little-endian, in two's complement.
    fn long(&mut self, length: u64) -> Result<()> {
        let bytes = self.take(length)?;
        if bytes.len() > 8 {
            let length = bytes.len();
            return Err(Error::invalid(format!("the checkpoint has a whole number of {length} bytes; 8 are read")));
        }
        let sign = if bytes.last().is_some_and(|&b| b >= 0x80) { 0xff } else { 0 };
        let mut number = [sign; 8];
        number[..bytes.len()].copy_from_slice(bytes);
        self.make(Object::Int(i64::from_le_bytes(number)))
    }

    // The stack -----------------------------------------------------------------------------------------------------

    fn make(&mut self, object: Object<'a>) -> Result<()> {
        let id = self.objects.add(object)?;
        self.stack.push(id);
        Ok(())
    }

    /// The topmost object above the last mark.
    fn top(&self) -> Result<Id> {
        match self.stack.len() > self.marks.last().copied().unwrap_or(0) {
            true => Ok(self.stack[self.stack.len() - 1]),
            false => Err(refused("its pickle takes more from the stack than is there")),
        }
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// The objects above the last mark, which goes with them.
    fn marked(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or_else(|| refused("its pickle has no mark on the stack"))?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, n: usize) -> Result<()> {
        let mut items = (0..n).map(|_| self.pop()).collect::<Result<Vec<Id>>>()?;
        items.reverse();
        self.make(Object::Tuple(items))
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let list = self.top()?;
        match self.objects.get_mut(list) {
            Object::List(list) => list.extend(items),
            _ => return Err(refused("something is appended to what is no list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<()> {
        let dict = self.top()?;
        match (self.objects.get_mut(dict), items.as_chunks()) {
            (Object::Dict(dict), (pairs, [])) => dict.extend(pairs.iter().map(|&[key, value]| (key, value))),
            (Object::Dict(_), _) => return Err(refused("a key has no value")),
            _ => return Err(refused("an item is set of what is no dictionary")),
        }
        Ok(())
    }

    // Names and the memo --------------------------------------------------------------------------------------------

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        let global = Global::find(module, name)?;
        self.make(Object::Global(global))
    }

    fn put(&mut self, index: u64) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u64) -> Result<()> {
        let id = *self.memo.get(&index).ok_or_else(|| refused("its pickle recalls what it has not stored"))?;
        self.stack.push(id);
        Ok(())
    }
}
