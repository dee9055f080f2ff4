//! The state of an optimizer as named tensors, which a safetensors file can hold.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;

use nn::StateDict;
use tensor::{DType, Tensor};

use crate::rule::Setting;

/// Everything in a state dict that does not fit an optimizer or a schedule, which is as it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateError {
    pub(crate) name: &'static str,
    pub(crate) problems: Vec<String>,
}

impl StateError {
    /// One line for each thing that does not fit.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "load_state_dict: the state does not fit {}", self.name)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl Error for StateError {}

/// Takes entries out of a state dict one by one and collects what is wrong with them.
pub(crate) struct Reader<'a> {
    dict: &'a StateDict,
    used: HashSet<String>,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    pub fn new(dict: &'a StateDict) -> Reader<'a> {
        Reader { dict, used: HashSet::new(), problems: Vec::new() }
    }

    pub fn has(&self, name: &str) -> bool {
        self.dict.contains_key(name)
    }

    pub fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// The tensor of this name, shape and dtype.
    pub fn tensor(&mut self, name: &str, shape: &[usize], dtype: DType) -> Option<Tensor> {
        self.used.insert(name.to_owned());
        let Some(found) = self.dict.get(name) else {
            self.problem(format!("missing     {name}"));
            return None;
        };
        if found.dims() != shape || found.dtype() != dtype {
            let (found_dtype, found_shape) = (found.dtype(), found.dims());
            self.problem(format!("mis-shaped  {name}: {found_dtype} {found_shape:?}, wanted {dtype} {shape:?}"));
            return None;
        }
        Some(found.clone())
    }

    /// The vectors of this name, one a row; of no more than `most`.
    pub fn rows(&mut self, name: &str, most: usize, len: usize, dtype: DType) -> Option<Vec<Tensor>> {
        let count = self.dict.get(name).and_then(|found| found.dims().first().copied()).unwrap_or(0);
        if count > most {
            self.used.insert(name.to_owned());
            self.problem(format!("too long    {name}: {count} rows, wanted at most {most}"));
            return None;
        }
        let found = self.tensor(name, &[count, len], dtype)?;
        Some((0..count).map(|row| found.select(0, row).copy()).collect())
    }

    /// Text, which stands there as its bytes.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let len = self.dict.get(name).map_or(0, |found| found.numel());
        let bytes = self.tensor(name, &[len], DType::U8)?.to_vec::<u8>();
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub fn number(&mut self, name: &str) -> Option<f64> {
        self.tensor(name, &[], DType::F64).map(|tensor| tensor.item::<f64>())
    }

    pub fn count(&mut self, name: &str) -> Option<u64> {
        let value = self.tensor(name, &[], DType::I64)?.item::<i64>();
        if value < 0 {
            self.problem(format!("negative    {name}: {value}"));
        }
        u64::try_from(value).ok()
    }

    /// All problems, those of names that nobody asked for included.
    pub fn finish(mut self, name: &'static str) -> Result<(), StateError> {
        let unexpected = self.dict.keys().filter(|name| !self.used.contains(*name));
        self.problems.extend(unexpected.map(|name| format!("unexpected  {name}")));
        if self.problems.is_empty() { Ok(()) } else { Err(StateError { name, problems: self.problems }) }
    }
}

/// What hands out the settings of a group, one after the other.
type Settings<'a> = &'a mut dyn FnMut(&'static str, Setting<'_>);

/// Puts down the options of group `position`, whose parameters are `count` from number `first` on.
pub(crate) fn save_options(
    dict: &mut StateDict,
    position: usize,
    first: usize,
    count: usize,
    settings: impl FnOnce(Settings<'_>),
) {
    settings(&mut |name, setting| {
        let tensor = match setting {
            Setting::Number(number) => Tensor::scalar(*number),
            Setting::Pair(pair) => Tensor::from([pair.0, pair.1]),
            Setting::Triple(triple) => Tensor::from([triple.0, triple.1, triple.2]),
            Setting::Count(count) => Tensor::scalar(*count as i64),
            Setting::Flag(flag) => Tensor::scalar(*flag),
            Setting::Choice(chosen, names) => Tensor::from_slice(names[*chosen].as_bytes(), [names[*chosen].len()]),
        };
        dict.insert(format!("param_groups.{position}.{name}"), tensor);
    });
    let numbers: Vec<i64> = (first..first + count).map(|number| number as i64).collect();
    dict.insert(format!("param_groups.{position}.params"), Tensor::from_vec(numbers, [count]));
}

/// Takes over the options of group `position`, see [`save_options`].
pub(crate) fn load_options(
    reader: &mut Reader<'_>,
    position: usize,
    first: usize,
    count: usize,
    settings: impl FnOnce(Settings<'_>),
) {
    settings(&mut |name, setting| {
        let name = format!("param_groups.{position}.{name}");
        match setting {
            Setting::Number(number) => *number = reader.number(&name).unwrap_or(*number),
            Setting::Pair(pair) => {
                if let Some(values) = reader.tensor(&name, &[2], DType::F64) {
                    *pair = (values.get(&[0]), values.get(&[1]));
                }
            }
            Setting::Triple(triple) => {
                if let Some(values) = reader.tensor(&name, &[3], DType::F64) {
                    *triple = (values.get(&[0]), values.get(&[1]), values.get(&[2]));
                }
            }
            Setting::Count(count) => {
                let read = reader.count(&name).and_then(|count| usize::try_from(count).ok());
                *count = read.unwrap_or(*count);
            }
            Setting::Flag(flag) => {
                if let Some(value) = reader.tensor(&name, &[], DType::Bool) {
                    *flag = value.item::<bool>();
                }
            }
            Setting::Choice(chosen, names) => {
                if let Some(found) = reader.text(&name) {
                    match names.iter().position(|name| *name == found) {
                        Some(place) => *chosen = place,
                        None => reader.problem(format!("unknown     {name}: {found:?}, wanted one of {names:?}")),
                    }
                }
            }
        }
    });
    let name = format!("param_groups.{position}.params");
    let numbers = (first..first + count).map(|number| number as i64);
    if let Some(found) = reader.tensor(&name, &[count], DType::I64)
        && !found.to_vec::<i64>().into_iter().eq(numbers)
    {
        reader.problem(format!("mis-ordered {name}: the parameters of the groups are numbered differently"));
    }
}
