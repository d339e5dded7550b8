//! The keys of `backup`: what is put aside before anything is changed.

use std::path::PathBuf;

use toml::{Spanned, de::DeValue};

use super::{
    Backup, names,
    read::{Reader, Table, Told, described},
    values,
};

/// How many backups are kept unless the file says otherwise.
const KEEP: u32 = 5;
/// The most that the file may ask for.
const MAX_KEEP: u32 = 1000;

/// Reads what is backed up.
pub(super) fn backup(
    path: String,
    raw: &Spanned<DeValue<'_>>,
    reader: &mut Reader<'_>,
) -> Result<Backup, Told> {
    let mut table = Table::at(path, raw, reader)?;
    let expected = "what is backed up, such as [\"/srv/app/data\"]";
    let paths = table.require(reader, "paths", expected, paths);
    let keep = table.get(reader, "keep", keep);
    let restore = table.get(reader, "restore", values::boolean);
    table.finish(reader, &[]);
    Ok(Backup {
        paths: paths?.value,
        keep: keep?.map_or(KEEP, |found| found.value),
        restore: restore?.is_some_and(|found| found.value),
    })
}

/// Places that are backed up one by one: one inside another would be there twice.
fn paths(value: &DeValue<'_>) -> Result<Vec<PathBuf>, String> {
    let expected = "expected a path or a list of paths";
    let paths = values::one_or_many(value, expected, names::below_root)?;
    for (at, path) in paths.iter().enumerate() {
        let other = paths.iter().enumerate();
        let mut other = other.filter(|(other, _)| *other != at);
        if let Some((_, outer)) = other.find(|(_, other)| path.starts_with(other)) {
            return Err(format!("{path:?} is backed up with {outer:?} already"));
        }
    }
    Ok(paths)
}

fn keep(value: &DeValue<'_>) -> Result<u32, String> {
    values::number(value)
        .filter(|keep| (1..=MAX_KEEP).contains(keep))
        .ok_or_else(|| {
            format!(
                "expected how many backups are kept, from 1 to {MAX_KEEP}, found {}",
                described(value)
            )
        })
}
