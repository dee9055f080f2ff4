//! Who waits for gradients in a backward pass, and what has come for them so far.

use std::collections::BTreeMap;
use std::rc::Rc;

use smallvec::{SmallVec, smallvec};

use crate::step::Step;
use crate::var::{Leaf, Origin, Var};

/// Who waits for gradients.
pub(crate) enum Receiver {
    Leaf(Rc<Leaf>),
    Step(Rc<Step>),
}

/// One gradient per output of a step, or the one of a leaf.
pub(crate) type Gradients = SmallVec<[Option<Var>; 1]>;

/// Someone who waits, with what has come so far.
pub(crate) struct Waiting {
    seq: u64,
    pub(crate) receiver: Receiver,
    pub(crate) gradients: Gradients,
}

/// All who wait, to be visited from the youngest to the oldest.
#[derive(Default)]
pub(crate) struct Pending {
    /// Younger than everyone in the map, which most steps of a graph thus never enter.
    youngest: Option<Waiting>,
    older: BTreeMap<u64, Waiting>,
}

impl Pending {
    pub(crate) fn pop(&mut self) -> Option<Waiting> {
        self.youngest.take().or_else(|| self.older.pop_last().map(|(_, waiting)| waiting))
    }

    /// Takes away what has come for `target`, if anything has.
    pub(crate) fn take(&mut self, target: &Origin) -> Option<Var> {
        let (seq, output) = target.number();
        let waiting = match &mut self.youngest {
            Some(youngest) if youngest.seq == seq => Some(youngest),
            _ => self.older.get_mut(&seq),
        };
        waiting.and_then(|waiting| waiting.gradients[output as usize].take())
    }

    /// What has come for the step or leaf of `target`, which waits from now on.
    pub(crate) fn gradients(&mut self, target: &Origin) -> &mut Gradients {
        let seq = target.number().0;
        let waiting = || match target {
            Origin::Constant(_) => unreachable!("a constant has no gradient"),
            Origin::Leaf(leaf) => Waiting { seq, receiver: Receiver::Leaf(leaf.clone()), gradients: smallvec![None] },
            Origin::Step(step, _) => {
                let gradients = smallvec![None; step.outputs as usize];
                Waiting { seq, receiver: Receiver::Step(step.clone()), gradients }
            }
        };
        let first = self.youngest.as_ref().map(|youngest| youngest.seq);
        if first.or_else(|| self.older.last_key_value().map(|(&seq, _)| seq)) < Some(seq) {
            let displaced = self.youngest.replace(waiting());
            self.older.extend(displaced.map(|waiting| (waiting.seq, waiting)));
        }
        match &mut self.youngest {
            Some(youngest) if youngest.seq == seq => &mut youngest.gradients,
            _ => &mut self.older.entry(seq).or_insert_with(waiting).gradients,
        }
    }
}
