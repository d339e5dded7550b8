//! The keys of `git`: a checkout that is put at the intent's commit.

use toml::{Spanned, de::DeValue};

use super::{
    Git, names,
    read::{Reader, Table, Told},
    values,
};

/// Where commits come from unless the file says otherwise.
const REMOTE: &str = "origin";

/// Reads a checkout.
pub(super) fn git(
    path: String,
    raw: &Spanned<DeValue<'_>>,
    reader: &mut Reader<'_>,
) -> Result<Git, Told> {
    let mut table = Table::at(path, raw, reader)?;
    let expected = "the checkout's folder, such as \"/srv/app\"";
    let path = table.require(reader, "path", expected, names::below_root);
    let remote = table.get(reader, "remote", names::remote);
    let credential_file = table.get(reader, "credential_file", names::below_root);
    let discard_changes = table.get(reader, "discard_changes", values::boolean);
    table.finish(reader, &[]);
    Ok(Git {
        path: path?.value,
        remote: remote?.map_or(REMOTE.to_owned(), |found| found.value),
        credential_file: credential_file?.map(|found| found.value),
        discard_changes: discard_changes?.is_some_and(|found| found.value),
    })
}
