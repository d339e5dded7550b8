//! The keys of `[service.X]`, except those of its rule (`rule`), of what it is (`work`) and its checks (`health`).

use std::{ops::Range, time::Duration};

use toml::{Spanned, de::DeValue};
use towline_protocol::ServiceName;

use super::{
    Rule, Service, events, health, hooks, order, placeholder,
    read::{Found, Reader, Table, Told, described},
    rule, strategy, values,
    work::{self, Kind},
};
use crate::reference::Template;

/// How long an image may be missing unless the file says otherwise.
const IMAGE_WAIT: Duration = Duration::from_secs(5 * 60);

/// How many versions are kept unless the file says otherwise: the current one and the one before.
const KEEP: u32 = 2;

/// Keys of `[service.X]` that the design has and this version has not.
const LATER: [&str; 1] = ["keep_env"];

/// Reads `[service.NAME]`; `header` is where the name stands.
pub(super) fn service(
    name: &str,
    header: &Range<usize>,
    value: &Spanned<DeValue<'_>>,
    reader: &mut Reader<'_>,
) -> Result<Service, Told> {
    let path = format!("service.{name}");
    let mut table = Table::at(path.clone(), value, reader)?;
    let name: Result<ServiceName, Told> = name
        .parse()
        .map_err(|error| reader.tell(header, path, format!("{error}")));
    let kind = Kind::of(&table);
    let by_images = events::names_images(&table);
    let rule = rule::rule(&mut table, reader);
    let after = table.get(reader, "after", order::after);
    let image = table.get(reader, "image", |value| {
        let text = values::string(value)?;
        Template::parse(text).map_err(|error| format!("{error}, found {}", described(value)))
    });
    if let (Ok(rule), Ok(image)) = (&rule, &image) {
        check_image(kind, rule, image.as_ref(), &table, reader);
    }
    let image_wait = table.get(reader, "image_wait", values::duration);
    let stop_timeout = table.get(reader, "stop_timeout", values::duration);
    let keep = table.get(reader, "keep", values::keep);
    let work = work::work(&mut table, reader);
    let stable_for = table.get(reader, "stable_for", values::duration);
    let start_first = strategy::strategy(&mut table, reader);
    let is_beside_the_old = matches!(start_first, Ok(Some(_)));
    let health = health::health(&mut table, kind, is_beside_the_old, reader);
    let hooks = hooks::hooks(&mut table, kind, reader);
    work::refuse_misplaced(kind, &table, reader);
    work::refuse_events(kind, by_images, &table, reader);
    table.finish(reader, &LATER);
    Ok(Service {
        name: name?,
        rule: rule?,
        after: after?.map(|found| found.value).unwrap_or_default(),
        image: image?.map(|found| found.value),
        image_wait: image_wait?.map_or(IMAGE_WAIT, |found| found.value),
        keep: keep?.map_or(KEEP, |found| found.value),
        work: work?,
        start_first: start_first?,
        health: health?,
        stable_for: stable_for?.map(|found| found.value),
        stop_timeout: stop_timeout?.map(|found| found.value),
        hooks: hooks?,
    })
}

/// Whether what deploys the service can say which image.
fn check_image(
    kind: Kind,
    rule: &Rule,
    image: Option<&Found<Template>>,
    table: &Table<'_, '_>,
    reader: &mut Reader<'_>,
) {
    match image {
        Some(image) => {
            if let Some(message) = placeholder::unfilled(&image.value, &rule.events) {
                reader.tell(&image.span, table.path_of("image"), message);
            }
        }
        None if rule.events.packages.is_some() && !kind.goes_by_commit(table) => {
            let expected =
                "which of the repository's images deploys it, such as \"ghcr.io/octo-org/web\"";
            table.missing(reader, "image", expected);
        }
        None => {}
    }
}
