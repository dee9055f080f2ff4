//! The numbers of a schedule as tensors in a state dict.

use tensor::{DType, Tensor};

use crate::state::Reader;

/// One number, or one list of them, that a schedule saves.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A number.
    Number(&'a mut f64),
    /// A count.
    Count(&'a mut u64),
    /// Yes or no.
    Flag(&'a mut bool),
    /// As many numbers as the schedule that is loaded into has.
    Numbers(&'a mut Vec<f64>),
    /// As many counts as the schedule that is loaded into has.
    Counts(&'a mut Vec<u64>),
}

impl Entry<'_> {
    pub(super) fn value(&self) -> Tensor {
        match self {
            Entry::Number(number) => Tensor::scalar(**number),
            Entry::Count(count) => Tensor::scalar(**count as i64),
            Entry::Flag(flag) => Tensor::scalar(**flag),
            Entry::Numbers(numbers) => Tensor::from_slice(numbers, [numbers.len()]),
            Entry::Counts(counts) => {
                Tensor::from_vec(counts.iter().map(|&count| count as i64).collect(), [counts.len()])
            }
        }
    }

    /// Takes over what the state dict has under the name; problems are the reader's.
    pub(super) fn read(&mut self, name: &str, reader: &mut Reader) {
        match self {
            Entry::Number(number) => **number = reader.number(name).unwrap_or(**number),
            Entry::Count(count) => **count = reader.count(name).unwrap_or(**count),
            Entry::Flag(flag) => {
                if let Some(value) = reader.tensor(name, &[], DType::Bool) {
                    **flag = value.item::<bool>();
                }
            }
            Entry::Numbers(numbers) => {
                if let Some(values) = reader.tensor(name, &[numbers.len()], DType::F64) {
                    **numbers = values.to_vec::<f64>();
                }
            }
            Entry::Counts(counts) => {
                if let Some(values) = reader.tensor(name, &[counts.len()], DType::I64) {
                    let values = values.to_vec::<i64>();
                    match values.iter().find(|value| **value < 0) {
                        Some(value) => reader.problem(format!("negative    {name}: {value}")),
                        None => **counts = values.into_iter().map(|value| value as u64).collect(),
                    }
                }
            }
        }
    }
}
