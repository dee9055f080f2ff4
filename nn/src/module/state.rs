//! State dicts: the named tensors of a module, and how they are loaded.

use std::error::Error;
use std::fmt;

use indexmap::IndexMap;
use tensor::Tensor;

use super::{Buffer, Member, Module, Parameter, walk};

/// The tensors of a module under their dotted names, in order.
pub type StateDict = IndexMap<String, Tensor>;

/// How a state dict is loaded.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// Refuse missing and unexpected keys (default), instead of reporting them.
    pub strict: bool,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions { strict: true }
    }
}

/// The keys that a load that was not strict passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Names of the module that the state dict lacks; their values are as before.
    pub missing_keys: Vec<String>,
    /// Names of the state dict that the module lacks.
    pub unexpected_keys: Vec<String>,
}

/// Everything that does not fit between a state dict and a module; the module is as it was before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadError {
    /// Names of the module that the state dict lacks, each with the closest name among the unexpected ones, if one is near
    /// and is found within a limited time.
    pub missing: Vec<(String, Option<String>)>,
    /// Names of the state dict that the module lacks, each with the closest name among the missing ones, likewise.
    pub unexpected: Vec<(String, Option<String>)>,
    /// Name, shape in the state dict, shape in the module.
    pub mis_shaped: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Two names of one tied parameter for which the state dict has different values.
    pub contradicting: Vec<(String, String)>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "load_state_dict: {} missing, {} unexpected, {} mis-shaped",
            self.missing.len(),
            self.unexpected.len(),
            self.mis_shaped.len()
        )?;
        if !self.contradicting.is_empty() {
            write!(f, ", {} contradicting", self.contradicting.len())?;
        }
        let suggestion = |closest: &Option<String>| match closest {
            Some(name) => format!("; closest is {name}"),
            None => String::new(),
        };
        for (name, closest) in &self.missing {
            write!(f, "\n  missing     {name}{}", suggestion(closest))?;
        }
        for (name, closest) in &self.unexpected {
            write!(f, "\n  unexpected  {name}{}", suggestion(closest))?;
        }
        for (name, found, wanted) in &self.mis_shaped {
            write!(f, "\n  mis-shaped  {name}: {found:?} in the state dict, {wanted:?} in the module")?;
        }
        for (first, second) in &self.contradicting {
            write!(f, "\n  tied        {first} and {second} are one parameter, with two values in the state dict")?;
        }
        Ok(())
    }
}

impl Error for LoadError {}

enum Slot<'a> {
    Parameter(&'a Parameter),
    Buffer(&'a Buffer),
}

impl Slot<'_> {
    fn value(&self) -> Tensor {
        match self {
            Slot::Parameter(parameter) => parameter.value(),
            Slot::Buffer(buffer) => buffer.value(),
        }
    }

    fn set(&self, value: Tensor) {
        match self {
            Slot::Parameter(parameter) => parameter.set_value(value),
            Slot::Buffer(buffer) => buffer.set(value),
        }
    }

    fn is(&self, other: &Slot) -> bool {
        match (self, other) {
            (Slot::Parameter(a), Slot::Parameter(b)) => a.ptr_eq(b),
            (Slot::Buffer(a), Slot::Buffer(b)) => a.ptr_eq(b),
            _ => false,
        }
    }
}

/// Loads what `wanted` says by name; the rest of the module does not count.
pub(crate) fn load_where(
    module: &dyn Module,
    dict: &StateDict,
    options: LoadOptions,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<LoadReport, LoadError> {
    let mut slots: IndexMap<String, Slot> = IndexMap::new();
    walk(module, &mut |name, member| match member {
        _ if !wanted(name) => {}
        Member::Parameter(parameter) => drop(slots.insert(name.to_owned(), Slot::Parameter(parameter))),
        Member::Buffer(buffer) if buffer.is_persistent() => {
            slots.insert(name.to_owned(), Slot::Buffer(buffer));
        }
        _ => {}
    });

    let mut error = LoadError::default();
    let mut loads: Vec<(&str, &Slot, Tensor)> = Vec::new();
    let mut missing: Vec<(&String, &Slot)> = Vec::new();
    for (name, slot) in &slots {
        let Some(found) = dict.get(name) else {
            missing.push((name, slot));
            continue;
        };
        let present = slot.value();
        if found.dims() != present.dims() {
            error.mis_shaped.push((name.clone(), found.dims().to_vec(), present.dims().to_vec()));
            continue;
        }
        let value = found.to_dtype(present.dtype());
        match loads.iter().find(|(_, other, _)| other.is(slot)) {
            Some((first, _, known)) if !known.bit_eq(&value) => {
                error.contradicting.push(((*first).to_owned(), name.clone()));
            }
            _ => loads.push((name, slot, value)),
        }
    }
    // One name of a tied parameter is enough, whether that one fits or not.
    missing.retain(|(_, slot)| !slots.iter().any(|(name, other)| dict.contains_key(name) && other.is(slot)));

    let missing: Vec<String> = missing.into_iter().map(|(name, _)| name.clone()).collect();
    let unexpected: Vec<String> = dict.keys().filter(|name| !slots.contains_key(*name)).cloned().collect();
    if options.strict {
        let mut steps = SEARCH_STEPS;
        error.missing = with_closest(&missing, &unexpected, &mut steps);
        error.unexpected = with_closest(&unexpected, &missing, &mut steps);
    }
    if error != LoadError::default() {
        return Err(error);
    }
    for (_, slot, value) in loads {
        slot.set(value);
    }
    Ok(LoadReport { missing_keys: missing, unexpected_keys: unexpected })
}

/// How many steps the search for close names may take in one load. A file may hold any number of names of any length; those
/// that the search does not reach are reported without a suggestion.
const SEARCH_STEPS: usize = 20_000_000;

/// Each name with the candidate at the smallest edit distance, unless even that one shares less than half of the name.
fn with_closest(names: &[String], candidates: &[String], steps: &mut usize) -> Vec<(String, Option<String>)> {
    let spelled: Vec<Vec<char>> = candidates.iter().map(|candidate| candidate.chars().collect()).collect();
    let mut closest = |name: &String| {
        let name: Vec<char> = name.chars().collect();
        let mut best: Option<(usize, usize)> = None;
        for (i, candidate) in spelled.iter().enumerate() {
            let half = name.len().max(candidate.len()) / 2;
            // Only what is nearer than the best so far is of use, and no distance is below the difference of the lengths.
            let limit = best.map_or(half, |(distance, _)| half.min(distance.saturating_sub(1)));
            *steps = steps.checked_sub(1)?;
            if name.len().abs_diff(candidate.len()) > limit {
                continue;
            }
            let distance = edit_distance(&name, candidate, steps)?;
            if distance <= limit {
                best = Some((distance, i));
            }
        }
        best.map(|(_, i)| candidates[i].clone())
    };
    names.iter().map(|name| (name.clone(), closest(name))).collect()
}

/// Insertions, deletions and replacements of single characters that turn `a` into `b`; nothing when that takes more steps
/// than there are left.
fn edit_distance(a: &[char], b: &[char], steps: &mut usize) -> Option<usize> {
    // Names of one model share much at both ends, which costs no edits.
    let common = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[common..], &b[common..]);
    let ending = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - ending], &b[..b.len() - ending]);
    let wanted = a.len().saturating_mul(b.len()).saturating_add(common + ending);
    if wanted > *steps {
        *steps = 0;
        return None;
    }
    *steps -= wanted;
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    Some(row[b.len()])
}
