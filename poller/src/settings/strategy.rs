//! The keys of `[service.X]` by which the new version runs beside the old one for a while: `strategy` and what belongs to
//! start-first.

use std::time::Duration;

use toml::de::DeValue;

use super::{
    StartFirst,
    read::{Reader, Table, Told, described},
    values,
};

/// How long both versions are there under the name unless the file says otherwise: several times what a resolver with
/// `valid=1s` keeps the old address for.
const DRAIN: Duration = Duration::from_secs(5);

/// The keys that belong to start-first.
const ITS_KEYS: [&str; 3] = ["drain", "fallback", "shared_volumes"];

/// Reads how one version takes the other's place; `None` is stop-first.
pub(super) fn strategy(
    table: &mut Table<'_, '_>,
    reader: &mut Reader<'_>,
) -> Result<Option<StartFirst>, Told> {
    let strategy = table.get(reader, "strategy", is_start_first);
    let drain = table.get(reader, "drain", values::duration);
    let fallback = table.get(reader, "fallback", |value| match value.as_str() {
        Some("stop-first") => Ok(()),
        _ => Err(format!(
            "expected \"stop-first\", found {}",
            described(value)
        )),
    });
    let shared_volumes = table.get(reader, "shared_volumes", |value| {
        let expected = "expected where a volume is mounted in the container such as \"/data\", or a list of these";
        values::one_or_many(value, expected, |value| place(value, expected))
    });
    if strategy?.is_some_and(|found| found.value) {
        return Ok(Some(StartFirst {
            drain: drain?.map_or(DRAIN, |found| found.value),
            may_stop_first: fallback?.is_some(),
            shared_volumes: shared_volumes?.map(|found| found.value).unwrap_or_default(),
        }));
    }
    let mut told = None;
    for key in ITS_KEYS.into_iter().filter(|key| table.has(key)) {
        let message = "is for strategy = \"start-first\": write that too, or take this away";
        told = Some(reader.tell(&table.span_of(key), table.path_of(key), message));
    }
    told.map_or(Ok(None), Err)
}

fn is_start_first(value: &DeValue<'_>) -> Result<bool, String> {
    match value.as_str() {
        Some("stop-first") => Ok(false),
        Some("start-first") => Ok(true),
        _ => Err(format!(
            "expected \"stop-first\" or \"start-first\", found {}",
            described(value)
        )),
    }
}

/// A place in the container, without a slash at its end.
fn place(value: &DeValue<'_>, expected: &str) -> Result<String, String> {
    let text = value.as_str().map(|text| text.trim_end_matches('/'));
    text.filter(|text| text.starts_with('/'))
        .map(str::to_owned)
        .ok_or_else(|| format!("{expected}, found {}", described(value)))
}
