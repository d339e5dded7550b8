//! The keys of `[service.X.docker]`: which container is replaced, or which containers, and how.

use toml::{Spanned, de::DeValue};

use super::{
    Choice, Work,
    read::{Reader, Table, Told},
    rolling::rolling,
    values,
};

/// Reads which container or containers a service has.
pub(super) fn docker(
    path: String,
    raw: &Spanned<DeValue<'_>>,
    reader: &mut Reader<'_>,
) -> Result<Work, Told> {
    let mut table = Table::at(path, raw, reader)?;
    let has_label = table.has("label");
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
            "the name of the container that is replaced, or `label` for all that have it",
        )),
    };
    let rolling = rolling(&mut table, has_label, reader);
    table.finish(reader, &[]);
    Ok(Work::Docker {
        container: container?,
        rolling: rolling?,
    })
}
