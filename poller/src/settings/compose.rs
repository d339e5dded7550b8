//! The keys of `compose`: a project that is brought up.

use std::path::PathBuf;

use toml::{Spanned, de::DeValue};

use super::{
    Compose, names,
    read::{Found, Reader, Table, Told},
    values,
};

/// Reads a project; `has_git` is whether its file may lie in a checkout.
pub(super) fn compose(
    path: String,
    raw: &Spanned<DeValue<'_>>,
    has_git: bool,
    reader: &mut Reader<'_>,
) -> Result<Compose, Told> {
    let mut table = Table::at(path, raw, reader)?;
    let expected = "the Compose file, such as \"/srv/stack/compose.yml\"";
    let file = table.require(reader, "file", expected, names::plain);
    let file = file.and_then(|found| rooted(found, "file", has_git, &table, reader));
    let project = table.get(reader, "project", names::project);
    let services = table.get(reader, "services", |value| {
        let expected = "expected a service of the Compose file or a list of them";
        values::one_or_many(value, expected, names::compose_service)
    });
    let profiles = table.get(reader, "profiles", |value| {
        let expected = "expected a profile of the Compose file or a list of them";
        values::one_or_many(value, expected, names::profile)
    });
    let env_file = match table.get(reader, "env_file", names::plain) {
        Ok(Some(found)) => rooted(found, "env_file", has_git, &table, reader).map(Some),
        Ok(None) => Ok(None),
        Err(told) => Err(told),
    };
    table.finish(reader, &[]);
    Ok(Compose {
        file: file?,
        project: project?.map(|found| found.value),
        services: services?.map_or_else(Vec::new, |found| found.value),
        profiles: profiles?.map_or_else(Vec::new, |found| found.value),
        env_file: env_file?,
    })
}

/// A path that begins at the checkout needs one.
fn rooted(
    found: Found<PathBuf>,
    key: &str,
    has_git: bool,
    table: &Table<'_, '_>,
    reader: &mut Reader<'_>,
) -> Result<PathBuf, Told> {
    if has_git || found.value.is_absolute() {
        return Ok(found.value);
    }
    let message = format!(
        "expected an absolute path, found {:?}: only with `git` may it begin at the checkout",
        found.value
    );
    Err(reader.tell(&found.span, table.path_of(key), message))
}
