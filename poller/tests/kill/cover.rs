//! Which recoveries are killed again.

use std::collections::BTreeSet;

/// Those of the recoveries, each the first kill and the points passed afterwards, that together pass all points.
pub(crate) fn cover(recoveries: Vec<(String, Vec<String>)>) -> Vec<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut chosen = Vec::new();
    for (first, passed) in recoveries.into_iter().rev() {
        let known = seen.len();
        seen.extend(passed.iter().cloned());
        if seen.len() > known {
            chosen.push([vec![first], passed].concat());
        }
    }
    chosen
}
