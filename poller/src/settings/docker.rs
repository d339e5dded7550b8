//! The keys of `[service.X.docker]`: which container is replaced.

use toml::{Spanned, de::DeValue};

use super::{
    Choice,
    read::{Reader, Table, Told},
    values,
};

/// Reads which container a service has.
pub(super) fn docker(
    path: String,
    raw: &Spanned<DeValue<'_>>,
    reader: &mut Reader<'_>,
) -> Result<Choice, Told> {
    let mut table = Table::at(path, raw, reader)?;
    let container = table.get(reader, "container", values::container);
    let label = table.get(reader, "label", values::label);
    let container = match (container?, label?) {
        (Some(container), None) => Ok(Choice::Name(container.value)),
        (None, Some(label)) => Ok(Choice::Label(label.value)),
        (Some(_), Some(label)) => {
            let message = "a service has either `container` or `label`";
            Err(reader.tell(&label.span, table.path_of("label"), message))
        }
        (None, None) => Err(table.missing(
            reader,
            "container",
            "the name of the container that is replaced, or `label` for the only one that has it",
        )),
    };
    table.finish(reader, &[]);
    container
}
