//! How the containers of one label are replaced when there are several: how many at a time, and what a failure does to those
//! that have passed.

use toml::de::DeValue;

use super::{
    read::{Reader, Table, Told, described},
    values,
};

/// The most containers that may be replaced at a time.
const MAX_PARALLEL: u32 = 100;

/// How several containers of one service are replaced one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rolling {
    /// How many are replaced at a time, each batch gated before the next; at least 1.
    pub max_parallel: usize,
    /// What the failure of a batch does to those before it.
    pub on_failure: OnFailure,
}

impl Default for Rolling {
    fn default() -> Self {
        Self {
            max_parallel: 1,
            on_failure: OnFailure::default(),
        }
    }
}

/// What becomes of the containers that have passed when a later one does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// All of them go back.
    #[default]
    Rollback,
    /// They keep the new version, and an operator is asked.
    Pause,
}

/// Reads how several containers are replaced; `has_label` is whether there can be several.
pub(super) fn rolling(
    table: &mut Table<'_, '_>,
    has_label: bool,
    reader: &mut Reader<'_>,
) -> Result<Rolling, Told> {
    let max_parallel = table.get(reader, "max_parallel", max_parallel);
    let on_failure = table.get(reader, "on_failure", on_failure);
    let mut told = None;
    for key in ["max_parallel", "on_failure"] {
        if table.has(key) && !has_label {
            let message = "is for several containers, which only a `label` leads to";
            told = Some(reader.tell(&table.span_of(key), table.path_of(key), message));
        }
    }
    if let Some(told) = told {
        return Err(told);
    }
    let usual = Rolling::default();
    Ok(Rolling {
        max_parallel: max_parallel?.map_or(usual.max_parallel, |found| found.value),
        on_failure: on_failure?.map_or(usual.on_failure, |found| found.value),
    })
}

fn max_parallel(value: &DeValue<'_>) -> Result<usize, String> {
    let number = values::number(value).filter(|number| (1..=MAX_PARALLEL).contains(number));
    let number = number.and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| {
        format!(
            "expected how many containers are replaced at a time, from 1 to {MAX_PARALLEL}, found {}",
            described(value)
        )
    })
}

fn on_failure(value: &DeValue<'_>) -> Result<OnFailure, String> {
    match value.as_str() {
        Some("rollback") => Ok(OnFailure::Rollback),
        Some("pause") => Ok(OnFailure::Pause),
        _ => Err(format!(
            "expected \"rollback\" or \"pause\", found {}",
            described(value)
        )),
    }
}
