//! The keys of `[[service.X.health]]`.

use std::{ops::Range, time::Duration};

use toml::de::DeValue;

use super::{
    HealthCheck, HttpProbe, JsonProbe, Probe,
    read::{Found, Reader, Table, Told, described},
    values, work,
};

/// How long the new version has to answer unless the file says otherwise.
const WITHIN: Duration = Duration::from_secs(60);

/// Reads the checks of a service. Those of `is_beside_the_old` are made while the old version runs too.
pub(super) fn health(
    table: &mut Table<'_, '_>,
    kind: work::Kind,
    is_beside_the_old: bool,
    reader: &mut Reader<'_>,
) -> Result<Vec<HealthCheck>, Told> {
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
        .map(|entry| {
            let table = Table::at(path.clone(), entry, reader)?;
            check(table, kind, is_beside_the_old, reader)
        })
        .collect();
    checks.into_iter().collect()
}

/// What an entry asks for, by the key that says so.
enum Kind {
    Tried(Probe),
    Docker,
}

/// One of these keys with its value, if it is there.
type Asked = Result<Option<Found<Kind>>, Told>;

fn check(
    mut table: Table<'_, '_>,
    service: work::Kind,
    is_beside_the_old: bool,
    reader: &mut Reader<'_>,
) -> Result<HealthCheck, Told> {
    let http = http(&mut table, reader);
    let tcp = table.get(reader, "tcp", values::tcp_address);
    let exec = table.get(reader, "exec", values::command);
    let docker = table.get(reader, "docker", |value| match value.as_bool() {
        Some(true) => Ok(()),
        _ => Err(format!("expected true, found {}", described(value))),
    });
    let within = table.get(reader, "within", values::duration);
    let tcp = tcp.map(|tcp| tcp.map(|it| it.map(|it| Kind::Tried(Probe::Tcp(it)))));
    let exec = exec.map(|exec| exec.map(|it| it.map(|it| Kind::Tried(Probe::Exec(it)))));
    let docker = docker.map(|docker| docker.map(|it| it.map(|()| Kind::Docker)));
    let kinds = [
        ("http", http),
        ("tcp", tcp),
        ("exec", exec),
        ("docker", docker),
    ];
    let kind = the_only(kinds, &table, reader);
    let stable_for = table.get(reader, "stable_for", |_| {
        Err::<(), _>("is for all checks together: write it under [service.NAME]".to_owned())
    });
    let possible = refuse_impossible(service, kind.as_ref().ok(), &table, reader);
    let clear = match is_beside_the_old {
        true => refuse_ambiguous(kind.as_ref().ok(), &table, reader),
        false => Ok(()),
    };
    table.finish(reader, &[]);
    possible?;
    clear?;
    let within = within?.map(|found| found.value);
    stable_for?;
    Ok(match kind? {
        Kind::Tried(probe) => HealthCheck::Tried {
            probe,
            within: within.unwrap_or(WITHIN),
        },
        Kind::Docker => HealthCheck::Docker { within },
    })
}

/// Refuses a check that a service of this kind can never pass.
fn refuse_impossible(
    service: work::Kind,
    kind: Option<&Kind>,
    table: &Table<'_, '_>,
    reader: &mut Reader<'_>,
) -> Result<(), Told> {
    let (key, message) = match (service, kind) {
        (work::Kind::Host, Some(Kind::Docker)) => {
            ("docker", "a checkout and a command have no container")
        }
        (work::Kind::Project, Some(Kind::Tried(Probe::Exec(_)))) => (
            "exec",
            "a project has several containers: write a `healthcheck` in its file, and docker = true here",
        ),
        (work::Kind::Project | work::Kind::Host, Some(Kind::Tried(probe)))
            if probe.needs_address() =>
        {
            let key = if table.has("http") { "http" } else { "tcp" };
            (
                key,
                "{container} is for `docker`: ask a port of this host, such as 127.0.0.1:8080",
            )
        }
        _ => return Ok(()),
    };
    Err(reader.tell(&table.span_of(key), table.path_of(key), message))
}

/// Refuses a check that the old version would answer in the new one's place.
fn refuse_ambiguous(
    kind: Option<&Kind>,
    table: &Table<'_, '_>,
    reader: &mut Reader<'_>,
) -> Result<(), Told> {
    let (key, instead) = match kind {
        Some(Kind::Tried(probe)) if probe.needs_address() => return Ok(()),
        Some(Kind::Tried(Probe::Http(_))) => ("http", "http://{container}:8080/health".to_owned()),
        Some(Kind::Tried(Probe::Tcp(address))) => {
            ("tcp", format!("{{container}}:{}", address.port()))
        }
        Some(Kind::Tried(Probe::Exec(_)) | Kind::Docker) | None => return Ok(()),
    };
    let message = format!(
        "with strategy = \"start-first\" the old version runs meanwhile and would answer: ask the new one at its own \
         address, {key} = \"{instead}\", or by exec or docker = true"
    );
    Err(reader.tell(&table.span_of(key), table.path_of(key), message))
}

/// The one kind that an entry has.
fn the_only(
    kinds: [(&'static str, Asked); 4],
    table: &Table<'_, '_>,
    reader: &mut Reader<'_>,
) -> Result<Kind, Told> {
    let mut there = Vec::new();
    for (key, kind) in kinds {
        there.extend(kind?.map(|found| (key, found)));
    }
    let mut there = there.into_iter();
    let Some((first, kind)) = there.next() else {
        return Err(table.missing(
            reader,
            "http",
            "the address to ask; or tcp = \"HOST:PORT\", exec = [\"COMMAND\"], or docker = true for the image's own healthcheck",
        ));
    };
    match there.next() {
        None => Ok(kind.value),
        Some((second, other)) => {
            let message = format!("is an entry of its own beside `{first}`");
            Err(reader.tell(&other.span, table.path_of(second), message))
        }
    }
}

/// `http` with the keys that say what the answer must be.
fn http(table: &mut Table<'_, '_>, reader: &mut Reader<'_>) -> Asked {
    let url = table.get(reader, "http", values::http_url);
    let status = table.get(reader, "status", values::status);
    let contains = table.get(reader, "contains", values::some_text);
    let json = json(table, reader);
    let (url, status, contains, json) = (url?, status?, contains?, json?);
    let Some(url) = url else {
        let spans = [
            ("status", status.map(|found| found.span)),
            ("contains", contains.map(|found| found.span)),
            ("json", json.map(|found| found.span)),
        ];
        for (key, span) in spans {
            if let Some(span) = span {
                return Err(reader.tell(&span, table.path_of(key), "is for an `http` check"));
            }
        }
        return Ok(None);
    };
    Ok(Some(url.map(|url| {
        Kind::Tried(Probe::Http(HttpProbe {
            url,
            status: status.map(|found| found.value),
            contains: contains.map(|found| found.value),
            json: json.map(|found| found.value),
        }))
    })))
}

/// What an `http` check's answer must hold as JSON.
fn json(
    table: &mut Table<'_, '_>,
    reader: &mut Reader<'_>,
) -> Result<Option<Found<JsonProbe>>, Told> {
    let Some(raw) = table.raw("json") else {
        return Ok(None);
    };
    let span: Range<usize> = raw.span();
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
    Ok(Some(Found { value, span }))
}
