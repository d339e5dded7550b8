//! What this host says of itself: to the hub when its doorbell connects, and by `POST /v1/hello` where it has none.
//!
//! Not here: when it is said (`daemon`), how it travels (`relay_client`).

use towline_protocol::{Channel, Hello, ServiceState};

use crate::{
    settings::{Service, Settings},
    store::{Store, StoreError},
};

/// Who is there and what it has: the marks as they are on disk, the services of the host's file, and what the last deploys
/// have brought, unless an operator was needed since: then nobody knows. What belongs to a channel of `left_out`, which the token is not for, is not told.
///
/// # Errors
/// When the database refuses or a row is damaged.
pub fn hello(
    store: &Store,
    settings: &Settings,
    left_out: &[Channel],
) -> Result<Hello, StoreError> {
    let is_asked = |channel: &Channel| !left_out.contains(channel);
    let channels = settings.channels().into_iter().filter(is_asked);
    let marks = channels.map(|channel| {
        let mark = store.mark(&channel)?.unwrap_or_default();
        Ok::<_, StoreError>((channel, mark))
    });
    let services = settings.services.iter();
    let services = services.filter(|service| is_asked(&service.rule.channel));
    Ok(Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        marks: marks.collect::<Result<_, _>>()?,
        services: services
            .map(|service| state(store, service))
            .collect::<Result<_, _>>()?,
    })
}

fn state(store: &Store, service: &Service) -> Result<ServiceState, StoreError> {
    let running = match store.is_unsure(&service.name)? {
        true => None,
        false => store.running(&service.name)?,
    };
    Ok(ServiceState {
        name: service.name.clone(),
        channel: service.rule.channel.clone(),
        kind: service.work.kind().to_owned(),
        running: running.map(|running| running.side),
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;
    use towline_protocol::{Mark, Outcome, Report, Side};

    use super::*;
    use crate::{
        report::blank,
        store::{End, Running},
        testing::{SHA, digest, intent, settings},
    };

    const SITE: &str = "[service.site]\nchannel = \"site\"\ndocker = { container = \"site\" }";

    #[test]
    fn a_host_tells_how_far_it_has_read_and_what_its_deploys_have_brought() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let settings = settings(SITE);
        let at = Mark { epoch: 7, seq: 1 };
        let web = &settings.services[1];
        let now = Timestamp::UNIX_EPOCH;
        let (intent, side) = (
            intent(7, 1),
            Side {
                sha: Some(SHA.parse().unwrap()),
                digest: Some(digest('a')),
            },
        );
        let report = blank(intent.id.clone(), &web.name, 1, Outcome::Succeeded, now);
        store
            .receive(&web.rule.channel, at, std::slice::from_ref(&intent), |_| {
                report.clone()
            })
            .unwrap();
        let end = End {
            running: Some(Running {
                side: side.clone(),
                version: None,
                revision: None,
                placed: None,
                intent: Some(intent.id.clone()),
                since: now,
                unwell: None,
            }),
            ..End::of(report.clone())
        };
        store.close_journal("0", &web.name, &end).unwrap();
        let failed = Report {
            outcome: Some(Outcome::NeedsOperator),
            ..report
        };
        let told = hello(&store, &settings, &[]).unwrap();
        assert_eq!(
            serde_json::to_value(&told).unwrap(),
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "marks": { "octo-org/web": "7.1", "site": "0.0" },
                "services": [
                    { "name": "site", "channel": "site", "kind": "docker", "running": null },
                    { "name": "web", "channel": "octo-org/web", "kind": "docker", "running": side },
                ],
            })
        );
        let ends = End::of(failed);
        store.close_journal("1", &web.name, &ends).unwrap();
        store.resolve(&web.name).unwrap();
        let told = hello(&store, &settings, &[]).unwrap();
        assert_eq!(told.services[1].running, None, "an operator was needed");
    }

    #[test]
    fn what_the_token_is_not_for_is_not_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let told = hello(&store, &settings(SITE), &["octo-org/web".parse().unwrap()]).unwrap();
        let channels: Vec<_> = told.marks.keys().map(Channel::as_str).collect();
        assert_eq!(channels, ["site"]);
        assert_eq!(told.services.len(), 1);
    }
}
