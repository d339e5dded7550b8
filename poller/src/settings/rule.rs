//! The keys of `[service.X]` that say what may deploy it: from where. What of that is `events`.

use toml::de::DeValue;
use towline_protocol::Channel;

use super::{
    Events, Rule,
    events::Keys,
    read::{Reader, Table, Told},
    values,
};

const MANUAL_ONLY: &str = "is for a `repository`; a `channel` has manual intents only";

/// Reads what may deploy a service.
pub(super) fn rule(table: &mut Table<'_, '_>, reader: &mut Reader<'_>) -> Result<Rule, Told> {
    let repository = table.get(reader, "repository", repository);
    let channel = table.get(reader, "channel", manual_channel);
    let keys = Keys::read(table, reader);
    let manual = table.get(reader, "manual", values::boolean);
    let (channel, events) = match (repository, channel) {
        (Ok(None), Ok(None)) => {
            let expected =
                "the GitHub repository, \"owner/repo\", or `channel` for manual intents only";
            return Err(table.missing(reader, "repository", expected));
        }
        (repository, Ok(None)) => {
            let events = keys.events(table, reader);
            (repository?, events?)
        }
        (Ok(None), channel) => {
            keys.refuse(table, reader, MANUAL_ONLY)?;
            (channel?, Events::default())
        }
        (_, channel) => {
            let span = channel?.map_or(table.span().clone(), |found| found.span);
            let message = "a service has either `repository` or `channel`";
            return Err(reader.tell(&span, table.path_of("channel"), message));
        }
    };
    let manual = manual?;
    let place = reader.place(manual.as_ref().map_or(table.span(), |found| &found.span));
    let manual = manual.is_none_or(|found| found.value);
    if events.is_empty() && !manual {
        let message = "nothing but manual intents could deploy this service, so that nothing could ever deploy it";
        return Err(reader.tell(table.span(), table.path_of("manual"), message));
    }
    let channel = channel.ok_or(Told)?.value;
    Ok(Rule {
        channel,
        events,
        manual,
        place,
    })
}

fn repository(value: &DeValue<'_>) -> Result<Channel, String> {
    let text = values::string(value)?;
    let channel = Channel::of_repository(text);
    let is_address = channel.is_err() || text.ends_with(".git");
    match meant(text).filter(|_| is_address) {
        Some(meant) => Err(format!(
            "expected \"owner/repo\", and this is an address; write {meant:?}"
        )),
        None => channel.map_err(|error| error.to_string()),
    }
}

/// The repository that an address stands for, as a browser or git has it; a login in it is left out.
fn meant(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    // git's short form has a colon behind the host.
    let path = match (scheme, rest.split_once(':')) {
        ("", Some((_, path))) => path,
        ("", None) if rest.split('/').count() < 3 => rest,
        _ => {
            let (host, path) = rest.split_once('/')?;
            let is_host = !scheme.is_empty() || host.contains('.');
            is_host.then_some(path)?
        }
    };
    let mut parts = path.split(['/', '?', '#']).filter(|part| !part.is_empty());
    let (owner, name) = (parts.next()?, parts.next()?);
    let name = name.strip_suffix(".git").unwrap_or(name);
    let meant = format!("{owner}/{name}");
    Channel::of_repository(&meant).is_ok().then_some(meant)
}

fn manual_channel(value: &DeValue<'_>) -> Result<Channel, String> {
    let channel: Channel = values::string(value)?
        .parse()
        .map_err(|error| format!("{error}"))?;
    if channel.is_repository() {
        let message = "expected a name without a slash; for a GitHub repository use `repository`";
        return Err(message.to_owned());
    }
    Ok(channel)
}
