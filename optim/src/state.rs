//! The state of an optimizer as named tensors, which a safetensors file can hold.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;

use nn::StateDict;
use tensor::{DType, Tensor};

use crate::descent::{Descent, Kept};
use crate::rule::{Rule, Setting};

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

pub(crate) fn save<R: Rule>(optimizer: &Descent<R>) -> StateDict {
    let mut dict = StateDict::new();
    for (number, kept) in optimizer.kept.iter().enumerate() {
        let Some(kept) = kept else { continue };
        dict.insert(format!("state.{number}.step"), Tensor::scalar(kept.step as i64));
        for (name, tensor) in names(optimizer, number).iter().zip(&kept.tensors) {
            dict.insert(format!("state.{number}.{name}"), tensor.clone());
        }
    }
    let mut first = 0;
    for (position, group) in optimizer.groups.iter().enumerate() {
        group.options.clone().settings(&mut |name, setting| {
            let tensor = match setting {
                Setting::Number(number) => Tensor::scalar(*number),
                Setting::Pair(pair) => Tensor::from([pair.0, pair.1]),
                Setting::Flag(flag) => Tensor::scalar(*flag),
            };
            dict.insert(format!("param_groups.{position}.{name}"), tensor);
        });
        let numbers: Vec<i64> = (first..first + group.params.len() as i64).collect();
        first += group.params.len() as i64;
        let count = numbers.len();
        dict.insert(format!("param_groups.{position}.params"), Tensor::from_vec(numbers, [count]));
    }
    dict
}

pub(crate) fn load<R: Rule>(optimizer: &mut Descent<R>, dict: &StateDict) -> Result<(), StateError> {
    let mut reader = Reader::new(dict);
    let mut loaded = optimizer.clone();

    let mut first = 0;
    for (position, group) in loaded.groups.iter_mut().enumerate() {
        let prefix = format!("param_groups.{position}");
        group.options.settings(&mut |name, setting| {
            let name = format!("{prefix}.{name}");
            match setting {
                Setting::Number(number) => *number = reader.number(&name).unwrap_or(*number),
                Setting::Pair(pair) => {
                    if let Some(values) = reader.tensor(&name, &[2], DType::F64) {
                        *pair = (values.get::<f64>(&[0]), values.get::<f64>(&[1]));
                    }
                }
                Setting::Flag(flag) => {
                    if let Some(value) = reader.tensor(&name, &[], DType::Bool) {
                        *flag = value.item::<bool>();
                    }
                }
            }
        });
        if let Err(problem) = group.options.check() {
            reader.problem(format!("unusable    {prefix}: {problem}"));
        }
        let count = group.params.len();
        let numbers: Vec<i64> = (first..first + count as i64).collect();
        first += count as i64;
        let name = format!("{prefix}.params");
        if let Some(found) = reader.tensor(&name, &[count], DType::I64)
            && found.to_vec::<i64>() != numbers
        {
            reader.problem(format!("mis-ordered {name}: the parameters of the groups are numbered differently"));
        }
    }

    let parameters: Vec<_> = loaded.groups.iter().flat_map(|group| group.params.clone()).collect();
    for (number, parameter) in parameters.iter().enumerate() {
        // A parameter that never had a gradient has no state.
        let step_name = format!("state.{number}.step");
        loaded.kept[number] = None;
        if !reader.has(&step_name) {
            continue;
        }
        let step = reader.count(&step_name).unwrap_or(0);
        let names = names(&loaded, number).iter();
        let tensors = names
            .filter_map(|name| reader.tensor(&format!("state.{number}.{name}"), &parameter.shape(), parameter.dtype()));
        let tensors = tensors.collect();
        loaded.kept[number] = Some(Kept { step, tensors });
    }
    reader.finish(R::NAME)?;
    *optimizer = loaded;
    Ok(())
}

/// The names of the tensors kept for a parameter: those of its group's rule.
fn names<R: Rule>(optimizer: &Descent<R>, number: usize) -> &'static [&'static str] {
    let mut before = 0;
    let group = optimizer.groups.iter().find(|group| {
        before += group.params.len();
        number < before
    });
    group.expect("every parameter is in a group").options.kept()
}
