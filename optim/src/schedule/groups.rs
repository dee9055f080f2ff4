//! What a schedule asks of the optimizer's groups.

use crate::Optimizer;

/// One number for each group, from one for all or one for each.
#[track_caller]
pub(super) fn for_groups(what: &str, numbers: &[f64], groups: usize) -> Vec<f64> {
    match numbers {
        [number] => vec![*number; groups],
        _ => {
            let given = numbers.len();
            assert!(given == groups, "{what}: there are {given} numbers for {groups} groups");
            numbers.to_vec()
        }
    }
}

/// Refuses to move a momentum that does not exist.
#[track_caller]
pub(super) fn check_momentum(name: &str, optimizer: &dyn Optimizer) {
    let all = optimizer.momentums().iter().all(Option::is_some);
    assert!(all, "{name}: the optimizer has neither momentum nor betas; set cycle_momentum to false");
}
