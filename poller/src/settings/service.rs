//! The keys of `[service.X]`, except those of its rule (`rule`).

use std::{ops::Range, time::Duration};

use toml::{Spanned, de::DeValue};
use towline_protocol::ServiceName;

use super::{
    HealthCheck, HttpProbe, JsonProbe, Service, Work,
    read::{Found, Reader, Table, Told, described},
    rule, values,
};
use crate::reference::Template;

/// How long an image may be missing unless the file says otherwise.
const IMAGE_WAIT: Duration = Duration::from_secs(5 * 60);

/// How long the new version has to answer unless the file says otherwise.
const HEALTH_WITHIN: Duration = Duration::from_secs(60);

/// How many versions are kept unless the file says otherwise: the current one and the one before.
const KEEP: u32 = 2;

/// Keys of `[service.X]` that the design has and this version has not.
const LATER: [&str; 7] = [
    "compose", "git", "command", "backup", "user", "keep_env", "hooks",
];

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
    let rule = rule::rule(&mut table, reader);
    let image = table.get(reader, "image", |value| {
        let text = values::string(value)?;
        Template::parse(text).map_err(|error| format!("{error}, found {}", described(value)))
    });
    let image_wait = table.get(reader, "image_wait", values::duration);
    let stop_timeout = table.get(reader, "stop_timeout", values::duration);
    let keep = table.get(reader, "keep", values::keep);
    let work = docker(&mut table, reader);
    let health = health(&mut table, reader);
    table.finish(reader, &LATER);
    Ok(Service {
        name: name?,
        rule: rule?,
        image: image?.map(|found| found.value),
        image_wait: image_wait?.map_or(IMAGE_WAIT, |found| found.value),
        keep: keep?.map_or(KEEP, |found| found.value),
        work: work?,
        health: health?,
        stop_timeout: stop_timeout?.map(|found| found.value),
    })
}

fn docker(table: &mut Table<'_, '_>, reader: &mut Reader<'_>) -> Result<Work, Told> {
    let Some(raw) = table.raw("docker") else {
        return Err(table.missing(
            reader,
            "docker",
            "say which container is replaced: docker = { container = \"NAME\" }",
        ));
    };
    let mut docker = Table::at(table.path_of("docker"), raw, reader)?;
    let container = docker.require(
        reader,
        "container",
        "the name of the container that is replaced",
        values::container,
    );
    docker.finish(reader, &["label"]);
    Ok(Work::Docker {
        container: container?.value,
    })
}

fn health(table: &mut Table<'_, '_>, reader: &mut Reader<'_>) -> Result<Vec<HealthCheck>, Told> {
    let Some(raw) = table.raw("health") else {
        return Ok(Vec::new());
    };
    let path = table.path_of("health");
    let entries = if let DeValue::Array(list) = raw.get_ref() {
        &**list
    } else if let DeValue::Table(_) = raw.get_ref() {
        std::slice::from_ref(raw)
    } else {
        let message = format!("expected [[{path}]], found {}", described(raw.get_ref()));
        return Err(reader.tell(&raw.span(), path, message));
    };
    let checks: Vec<_> = entries
        .iter()
        .map(|entry| health_check(Table::at(path.clone(), entry, reader)?, reader))
        .collect();
    checks.into_iter().collect()
}

fn health_check(mut table: Table<'_, '_>, reader: &mut Reader<'_>) -> Result<HealthCheck, Told> {
    let http = table.get(reader, "http", values::http_url);
    let docker = table.get(reader, "docker", |value| match value.as_bool() {
        Some(true) => Ok(()),
        _ => Err(format!("expected true, found {}", described(value))),
    });
    let status = table.get(reader, "status", values::status);
    let contains = table.get(reader, "contains", values::some_text);
    let json = json(&mut table, reader);
    let within = table.get(reader, "within", values::duration);
    let check = match (http?, docker?) {
        (Some(http), None) => Ok(HealthCheck::Http {
            probe: HttpProbe {
                url: http.value,
                status: status?.map(|found| found.value),
                contains: contains?.map(|found| found.value),
                json: json?.map(|found| found.value),
            },
            within: within?.map_or(HEALTH_WITHIN, |found| found.value),
        }),
        (None, Some(_)) => {
            let spans = [
                ("status", status?.map(|f| f.span)),
                ("contains", contains?.map(|f| f.span)),
                ("json", json?.map(|f| f.span)),
            ];
            for (key, span) in spans {
                if let Some(span) = span {
                    return Err(reader.tell(&span, table.path_of(key), "is for an `http` check"));
                }
            }
            Ok(HealthCheck::Docker {
                within: within?.map(|found| found.value),
            })
        }
        (Some(_), Some(docker)) => Err(reader.tell(
            &docker.span,
            table.path_of("docker"),
            "is an entry of its own beside `http`",
        )),
        (None, None) => Err(table.missing(
            reader,
            "http",
            "the address to ask, or docker = true for the image's own healthcheck",
        )),
    };
    table.finish(reader, &["tcp", "exec", "stable_for"]);
    check
}

/// What an `http` check's answer must hold as JSON.
fn json(
    table: &mut Table<'_, '_>,
    reader: &mut Reader<'_>,
) -> Result<Option<Found<JsonProbe>>, Told> {
    let Some(raw) = table.raw("json") else {
        return Ok(None);
    };
    let mut json = Table::at(table.path_of("json"), raw, reader)?;
    let expected = "where in the answer to look, such as \"/status\"";
    let pointer = json.require(reader, "pointer", expected, values::json_pointer);
    let expected = "what must stand there: text, a number, true or false";
    let equals = json.require(reader, "equals", expected, values::scalar);
    json.finish(reader, &[]);
    let value = JsonProbe {
        pointer: pointer?.value,
        equals: equals?.value,
    };
    let span = raw.span();
    Ok(Some(Found { value, span }))
}

/// Two services must not fight over one container.
pub(super) fn refuse_shared_containers(
    services: &[Service],
    spans: &[Range<usize>],
    reader: &mut Reader<'_>,
) {
    for (at, (service, span)) in services.iter().zip(spans).enumerate() {
        let Work::Docker { container } = &service.work;
        let other = services
            .iter()
            .take(at)
            .find(|other| other.work == service.work);
        if let Some(other) = other {
            let key = format!("service.{}.docker.container", service.name);
            let message = format!(
                "service {} has the container {container:?} already",
                other.name
            );
            reader.tell(span, key, message);
        }
    }
}
