//! What `towline status` and `towline history` print for people: tables as wide as the terminal, without colours.
//!
//! The only file that names `comfy_table` and `terminal_size`.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use jiff::Timestamp;
use towline_protocol::{Outcome, Side};

use super::backups::Row;
use crate::{
    backup::size,
    history::Entry,
    status::{DoorbellState, DoorbellStatus, Observed, PendingState, ServiceStatus, Status},
    store::{Cause, CauseKind},
    terminal::printable,
    version::VersionId,
};

/// How wide the terminal is, in columns; `None` when standard output is none, so that lines stay whole for `grep`.
pub(super) fn width() -> Option<u16> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0)
}

/// How many lines have room on the terminal behind standard error, above the cursor's.
pub(super) fn height() -> usize {
    let size = terminal_size::terminal_size_of(std::io::stderr());
    size.map_or(usize::MAX, |(_, height)| {
        usize::from(height.0).saturating_sub(1).max(1)
    })
}

/// How the services stand.
pub(super) fn status(status: &Status, width: Option<u16>) -> String {
    let mut text = about_poller(status);
    // Where all are containers nobody asks what kind of thing one is.
    let tells_kind = status
        .services
        .iter()
        .any(|service| service.kind != "docker");
    let mut header = vec![
        "SERVICE", "COMMIT", "DIGEST", "DEPLOYED", "STATE", "PENDING",
    ];
    if tells_kind {
        header.insert(1, "KIND");
    }
    let mut table = table(&header, width);
    for service in &status.services {
        let since = service
            .deployed
            .as_ref()
            .filter(|_| service.is_as_deployed());
        let mut row = vec![
            service.name.to_string(),
            service
                .sha()
                .map_or_else(none, |sha| sha.short().to_owned()),
            service
                .digest()
                .map_or_else(none, |digest| digest.short().to_owned()),
            since.map_or_else(none, |deployed| time(deployed.since)),
            standing(service),
            doing(service).map_or_else(none, str::to_owned),
        ];
        if tells_kind {
            row.insert(1, printable(&service.kind));
        }
        table.add_row(row);
    }
    text += &lines(&table);
    let notes: String = status.services.iter().flat_map(notes).collect();
    if !notes.is_empty() {
        text += &format!("\n{notes}");
    }
    text
}

/// Who serves, and what is wrong with whom it needs.
fn about_poller(status: &Status) -> String {
    let mut text = match &status.poller {
        Some(poller) => format!(
            "towline {} runs on {} since {}\n",
            poller.version,
            status.host,
            time(poller.since)
        ),
        None => format!("towline run does not run on {}\n", status.host),
    };
    let relay = &status.relay;
    match (&relay.trouble, relay.answered_at) {
        (Some(why), Some(at)) => {
            text += &format!("relay: last answered {}; {}\n", time(at), printable(why));
        }
        (Some(why), None) => text += &format!("relay: {}\n", printable(why)),
        (None, Some(at)) => text += &format!("relay: {} answered {}\n", relay.url, time(at)),
        (None, None) => {}
    }
    if let Some(doorbell) = &relay.doorbell {
        text += &format!("doorbell: {}\n", about_doorbell(doorbell));
    }
    if let Some(why) = &status.engine.trouble {
        text += &format!("engine: {}\n", printable(why));
    }
    let reports = &status.reports;
    if reports.unsent > 0 {
        text += &format!("reports: {} not sent yet\n", reports.unsent);
    }
    if reports.refused > 0 {
        text += &format!(
            "reports: {} refused by the relay for good\n",
            reports.refused
        );
    }
    text + "\n"
}

/// Whether intents come at once, and if not, why.
fn about_doorbell(doorbell: &DoorbellStatus) -> String {
    let since = doorbell
        .since
        .map_or(String::new(), |at| format!(" since {}", time(at)));
    let trouble = doorbell.trouble.as_deref();
    let why = trouble.map_or(String::new(), |why| format!("; {}", printable(why)));
    let state = match doorbell.state {
        DoorbellState::Off => "off",
        DoorbellState::Connecting => "not connected yet",
        DoorbellState::Connected => "connected",
        DoorbellState::Lost => "not connected",
    };
    format!("{state}{since}{why}")
}

/// What does not fit into the table, a line each.
fn notes(service: &ServiceStatus) -> Vec<String> {
    let mut notes = Vec::new();
    let name = &service.name;
    if service.is_something_else() {
        notes.push(format!(
            "{name}: what runs is not what towline has deployed last\n"
        ));
    }
    if let Some(checkout) = &service.checkout {
        let path = printable(&checkout.path);
        if let Some(trouble) = &checkout.trouble {
            notes.push(format!("{name}: checkout {path}: {}\n", printable(trouble)));
        }
        if !checkout.changes.is_empty() {
            let changes = printable(&checkout.changes.join(", "));
            notes.push(format!(
                "{name}: files of the checkout {path} were changed on this host: {changes}\n"
            ));
        }
    }
    if let Some(trouble) = service.trouble() {
        notes.push(format!(
            "{name}: the version that towline has deployed is not well any more: {}\n",
            printable(&trouble)
        ));
    }
    if let Some(held) = &service.held {
        notes.push(format!(
            "{name}: held since {} until a newer intent comes: {}\n",
            time(held.since),
            printable(&held.why)
        ));
    }
    if let Some(pending) = &service.pending {
        let until = pending
            .until
            .map_or(String::new(), |until| format!(", until {}", time(until)));
        notes.push(format!(
            "{name}: {} intent {}{until}: {}\n",
            word(pending.state),
            pending.intent,
            printable(&pending.why)
        ));
    }
    let needs_operator = service
        .pending
        .as_ref()
        .is_some_and(|pending| pending.state == PendingState::NeedsOperator);
    if let Some(last) = &service.last
        && !needs_operator
        && last.outcome != Outcome::Succeeded
        && last.outcome != Outcome::Unchanged
    {
        notes.push(format!(
            "{name}: the last deploy ended {} as {}: {}\n",
            time(last.at),
            last.outcome.as_str(),
            printable(&last.message)
        ));
    }
    if !service.quarantined.is_empty() {
        let versions: Vec<_> = service.quarantined.iter().map(VersionId::short).collect();
        notes.push(format!("{name}: in quarantine: {}\n", versions.join(", ")));
    }
    notes
}

/// How the last deploys ended.
pub(super) fn history(deploys: &[Entry], width: Option<u16>) -> String {
    if deploys.is_empty() {
        return "no deploy has ended yet\n".to_owned();
    }
    let mut table = table(
        &[
            "TIME", "SERVICE", "OUTCOME", "FROM", "TO", "CAUSE", "SECONDS", "MESSAGE",
        ],
        width,
    );
    // A narrow terminal costs the long texts their room, not the short ones.
    table.set_constraints([ColumnConstraint::ContentWidth; 5]);
    for entry in deploys {
        table.add_row([
            time(entry.at),
            entry.service.to_string(),
            entry.outcome.as_str().to_owned(),
            side(&entry.from),
            side(&entry.to),
            cause(&entry.cause),
            format!("{}.{}", entry.ms / 1000, entry.ms % 1000 / 100),
            printable(&entry.message),
        ]);
    }
    lines(&table)
}

/// The backups that are there.
pub(super) fn backups(found: &[Row], width: Option<u16>) -> String {
    if found.is_empty() {
        return "no backup is there yet\n".to_owned();
    }
    let mut table = table(&["TIME", "SERVICE", "COMMIT", "SIZE", "NAME"], width);
    table.set_constraints([ColumnConstraint::ContentWidth; 5]);
    for row in found {
        table.add_row([
            time(row.at),
            row.service.to_string(),
            row.sha
                .as_ref()
                .map_or_else(none, |sha| sha.short().to_owned()),
            size(row.bytes),
            row.name.to_string(),
        ]);
    }
    let troubles = found.iter().filter_map(|row| row.trouble.as_ref());
    let troubles: String = troubles
        .map(|trouble| format!("\n{}\n", printable(trouble)))
        .collect();
    lines(&table) + &troubles
}

fn table(header: &[&str], width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    if let Some(width) = width {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    table
}

/// The table without the room that cells leave at both ends of a line.
fn lines(table: &Table) -> String {
    let lines = table.lines().map(|line| {
        let line = line.trim_end();
        format!("{}\n", line.strip_prefix(' ').unwrap_or(line))
    });
    lines.collect()
}

fn none() -> String {
    "-".to_owned()
}

/// To the second, in UTC.
fn time(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second())
        .unwrap_or(at)
        .to_string()
}

/// What is to be done, or why nothing is.
fn doing(service: &ServiceStatus) -> Option<&'static str> {
    let pending = service.pending.as_ref();
    let held = service.held.as_ref().map(|_| "held");
    pending.map(|pending| word(pending.state)).or(held)
}

fn word(state: PendingState) -> &'static str {
    match state {
        PendingState::Queued => "queued",
        PendingState::Waiting => "waiting",
        PendingState::Applying => "applying",
        PendingState::Interrupted => "interrupted",
        PendingState::NeedsOperator => "needs operator",
    }
}

/// How what the service is made of stands: its container, else the containers of its project, else its checkout.
fn standing(service: &ServiceStatus) -> String {
    let unknown = || "unknown".to_owned();
    if let Some(observed) = &service.observed {
        return state(observed);
    }
    if let Some(containers) = &service.containers {
        let well = containers.iter().filter(|one| one.is_well()).count();
        return match containers.len() {
            0 => "absent".to_owned(),
            all if all == well => format!("{all} well"),
            all => format!("{well} of {all} well"),
        };
    }
    match (service.kind.as_str(), &service.checkout) {
        ("docker" | "compose", _) => unknown(),
        (_, None) => none(),
        (_, Some(checkout)) if checkout.commit.is_none() => unknown(),
        (_, Some(checkout)) if checkout.changes.is_empty() => "clean".to_owned(),
        (_, Some(_)) => "changed".to_owned(),
    }
}

fn state(observed: &Observed) -> String {
    let state = printable(&observed.state);
    match (&observed.health, observed.exit_code) {
        (Some(health), _) => format!("{state} ({})", printable(health)),
        (None, Some(code)) => format!("{state} ({code})"),
        (None, None) => state,
    }
}

/// The commit, or else the digest.
fn side(side: &Side) -> String {
    let sha = side.sha.as_ref().map(|sha| sha.short());
    let digest = side.digest.as_ref().map(|digest| digest.short());
    sha.or(digest).map_or_else(none, str::to_owned)
}

fn cause(cause: &Cause) -> String {
    let by = cause
        .by
        .as_ref()
        .map_or(String::new(), |by| format!(" by {}", printable(by)));
    match cause.kind {
        CauseKind::WorkflowRun => format!("run{}{by}", of(cause.run_number.as_ref())),
        CauseKind::Push => format!(
            "push{}{by}",
            of(cause.tag.as_ref().or(cause.branch.as_ref()))
        ),
        CauseKind::RegistryPackage => format!("image{}{by}", of(cause.tag.as_ref())),
        CauseKind::Release => format!("release{}{by}", of(cause.tag.as_ref())),
        CauseKind::Deployment => format!("deployment{}{by}", of(cause.environment.as_ref())),
        CauseKind::Actions => format!("job of run{}{by}", of(cause.run_number.as_ref())),
        CauseKind::Manual => format!("operator{by}"),
        CauseKind::Rollback => format!("rollback{by}"),
        CauseKind::Unknown => none(),
    }
}

/// What it was of, where that is known.
fn of(name: Option<&impl ToString>) -> String {
    name.map_or(String::new(), |name| {
        format!(" {}", printable(&name.to_string()))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known() -> Status {
        let digest = crate::testing::digest('a');
        let (sha, intent) = (crate::testing::SHA, crate::testing::intent(7, 1).id);
        let at = "2026-11-20T15:00:00.5Z";
        let seen = |state: &str, digest| json!({ "state": state, "health": null, "exit_code": null, "started_at": at, "reference": "registry.example/web:live", "digest": digest });
        let mut web = seen("running", json!(digest));
        web["health"] = json!("healthy");
        let mut api = seen("exited", json!(null));
        api["exit_code"] = json!(137);
        serde_json::from_value(json!({
            "format": 1, "at": at, "host": "pi",
            "poller": { "version": "9.9.9", "pid": 7, "since": at },
            "relay": { "url": "https://relay.example", "answered_at": at, "trouble": null,
                "doorbell": { "state": "connected", "since": at, "trouble": null } },
            "reports": { "unsent": 2, "refused": 1 },
            "engine": { "trouble": null },
            "services": [
                { "name": "web", "container": "web",
                  "deployed": { "sha": sha, "digest": digest, "intent": intent, "since": at },
                  "observed": web, "pending": null,
                  "last": { "outcome": "succeeded", "intent": intent, "at": at, "message": "" } },
                { "name": "api", "container": "api",
                  "deployed": { "sha": sha, "digest": digest, "intent": intent, "since": at },
                  "observed": api,
                  "pending": { "state": "needs_operator", "intent": intent, "sha": sha, "why": "both\u{1b}[2Jcontainers\nare kept", "since": at, "until": null },
                  "last": { "outcome": "needs_operator", "intent": intent, "at": at, "message": "both" } },
                { "name": "db", "container": "db", "deployed": null, "observed": seen("running", json!(digest)), "pending": null,
                  "last": { "outcome": "rolled_back", "intent": intent, "at": at, "message": "it did not come up" },
                  "quarantined": [crate::testing::digest('b'), crate::testing::digest('c')] },
                { "name": "mail", "container": "mail", "deployed": { "sha": sha, "digest": digest, "intent": intent, "since": at },
                  "observed": seen("restarting", json!(digest)), "pending": null, "last": null,
                  "held": { "since": at, "why": "taken back on purpose" } }
            ]
        }))
        .unwrap()
    }

    #[test]
    fn a_status_for_people_says_what_runs_and_what_is_wrong_and_commands_no_terminal() {
        insta::assert_snapshot!(status(&known(), None));
    }

    #[test]
    fn a_poller_that_does_not_run_and_whoever_does_not_answer_are_told() {
        let mut known = known();
        known.poller = None;
        known.relay.trouble = Some("cannot reach the relay".to_owned());
        known.relay.doorbell = known.relay.doorbell.map(|doorbell| DoorbellStatus {
            state: DoorbellState::Lost,
            trouble: Some("the relay hung up".to_owned()),
            ..doorbell
        });
        known.engine.trouble = Some("the Docker engine does not answer".to_owned());
        for service in &mut known.services {
            (service.observed, service.deployed) = (None, None);
        }
        insta::assert_snapshot!(status(&known, None));
    }

    #[test]
    fn services_of_other_kinds_are_told_by_their_checkouts_and_all_their_containers() {
        let mut known = known();
        let one = |service: &str, state: &str, code: Option<i64>| {
            json!({ "service": service, "state": state, "health": null, "exit_code": code, "started_at": null,
                    "reference": null, "digest": null })
        };
        let at = "2026-11-20T15:00:00Z";
        let sha = crate::testing::SHA;
        let deployed = json!({ "sha": sha, "digest": null, "intent": null, "since": at });
        let checkout = |changes: &[&str], trouble: Option<&str>| json!({ "path": "/srv/app", "commit": trouble.map_or(Some(sha), |_| None), "branch": null, "changes": changes, "trouble": trouble });
        let service = |name: &str, kind: &str, containers, checkout| {
            json!({ "name": name, "kind": kind, "container": null, "deployed": deployed, "observed": null,
            "pending": null, "last": null, "containers": containers, "checkout": checkout })
        };
        let null = || json!(null);
        known.services = serde_json::from_value(json!([
            service(
                "stack",
                "compose",
                json!([one("api", "running", None), one("job", "exited", Some(0))]),
                null()
            ),
            service(
                "broken",
                "compose",
                json!([one("api", "running", None), one("job", "exited", Some(3))]),
                null()
            ),
            service("gone", "compose", json!([]), null()),
            service("unasked", "compose", null(), null()),
            service("pi", "command", null(), checkout(&[], None)),
            service("edited", "git", null(), checkout(&["app.py"], None)),
            service(
                "foreign",
                "git",
                null(),
                checkout(&[], Some("it is another user's"))
            ),
            service("plain", "command", null(), null()),
        ]))
        .unwrap();
        insta::assert_snapshot!(status(&known, None));
    }

    #[test]
    fn what_caused_a_deploy_is_told_for_each_kind_of_cause() {
        let told = |mut source: serde_json::Value, branch: Option<&str>, tag: Option<&str>| {
            source["repository_id"] = json!(7);
            source["repository"] = json!("octo-org/web");
            source["actor"] = json!("octocat");
            let mut intent = crate::testing::intent(7, 1);
            intent.source = serde_json::from_value(source).unwrap();
            intent.revision.branch = branch.map(str::to_owned);
            intent.revision.tag = tag.map(|tag| tag.parse().unwrap());
            cause(&Cause::of(&intent))
        };
        let push = || json!({ "kind": "push" });
        assert_eq!(
            told(push(), Some("ma\u{1b}in"), None),
            "push ma in by octocat"
        );
        assert_eq!(told(push(), None, Some("v1")), "push v1 by octocat");
        let package = json!({ "kind": "registry_package", "package": "web", "tag": "v1" });
        assert_eq!(told(package, None, None), "image v1 by octocat");
        let release = json!({ "kind": "release", "release_id": 5 });
        assert_eq!(told(release, None, Some("v1")), "release v1 by octocat");
        let deployment = json!({ "kind": "deployment", "deployment_id": 5, "environment": "live", "task": "deploy" });
        assert_eq!(
            told(deployment, Some("main"), None),
            "deployment live by octocat"
        );
        let actions = json!({ "kind": "actions", "repository_owner_id": 1, "workflow": "x.yml", "run_id": 1,
                              "run_number": 12, "run_attempt": 1, "event": "workflow_dispatch" });
        assert_eq!(told(actions, None, None), "job of run 12 by octocat");
    }

    #[test]
    fn a_history_is_as_wide_as_the_terminal() {
        let side = json!({ "sha": crate::testing::SHA, "digest": null });
        let entry = json!({
            "at": "2026-11-20T15:00:00.5Z", "service": "web", "outcome": "rolled_back", "intent": crate::testing::intent(7, 1).id,
            "attempt": 1, "from": side, "to": { "sha": null, "digest": crate::testing::digest('b') },
            "cause": { "kind": "workflow_run", "run_number": 12, "by": "octocat" }, "ms": 65_432,
            "message": "http://127.0.0.1:8080/health answered 500 for 60 s, so that the version before serves again"
        });
        let deploys: Vec<Entry> = serde_json::from_value(json!([entry])).unwrap();
        let narrow = history(&deploys, Some(100));
        assert!(
            narrow.lines().all(|line| line.chars().count() <= 100),
            "{narrow}"
        );
        insta::assert_snapshot!(format!("{}\n{narrow}", history(&deploys, None)));
        assert_eq!(history(&[], None), "no deploy has ended yet\n");
    }
}
