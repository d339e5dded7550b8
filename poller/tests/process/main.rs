//! The `towline` command as a process: what it prints, how it ends, what it does when the world is not as it should be.
//!
//! The relay is a fake on loopback, the engine is not there: whole deploys are the whole-system tests' business.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use relay::{Relay, manual, news};
use tempfile::TempDir;
use towline::{
    report,
    store::{End, Store},
};
use towline_protocol::{IntentId, Outcome};

mod control;
mod relay;
mod state;

const KEY: &str = "a key for tests of thirty-two bytes or more";

/// A host with its file, its token and its state, and no engine.
struct Host {
    dir: TempDir,
}

impl Host {
    fn new(port: u16, more: &str) -> Self {
        let host = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let file = format!(
            "[relay]\nurl = \"http://127.0.0.1:{port}\"\ntoken_file = \"token\"\n\n[service.web]\n\
             repository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n{more}\n\
             [service.web.docker]\ncontainer = \"web\"\n"
        );
        fs::write(host.path("towline.toml"), file).unwrap();
        let token = towline(&[
            "token",
            "--role",
            "host",
            "--name",
            "pi",
            "--channel",
            "octo-org/*",
        ])
        .env("TOKEN_KEY", KEY)
        .output()
        .unwrap();
        assert!(token.status.success());
        fs::write(host.path("token"), token.stdout).unwrap();
        fs::set_permissions(host.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = towline(arguments);
        command
            .arg("--config")
            .arg(self.path("towline.toml"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .env(
                "DOCKER_HOST",
                format!("unix://{}", self.path("no-engine.sock").display()),
            );
        command
    }

    /// Runs `towline once` and returns its status and log.
    fn once(&self) -> (i32, String) {
        ended(self.command(&["once"]).output().unwrap())
    }
}

fn towline(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towline"));
    command.args(arguments).env_clear();
    command
}

fn ended(output: Output) -> (i32, String) {
    let log = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), log)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "waited too long until {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn help_is_0_and_a_wrong_call_is_2() {
    let status = |arguments: &[&str]| towline(arguments).output().unwrap().status.code();
    assert_eq!(
        [&["--help"], &["--version"]].map(|call| status(call)),
        [Some(0); 2]
    );
    for wrong in [
        &[][..],
        &["onc"],
        &["run", "--interval", "0s"],
        &["token", "--key", "secret"],
    ] {
        assert_eq!(status(wrong), Some(2), "{wrong:?}");
    }
}

#[test]
fn help_says_what_each_exit_status_means() {
    let help = towline(&["--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for meaning in [
        "1 could not do its work",
        "still waited for",
        "4 an operator",
    ] {
        assert!(help.contains(meaning), "{help}");
    }
}

#[test]
fn a_number_that_is_none_is_told_what_it_may_be() {
    let told = |call: &[&str]| {
        let output = towline(call).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{call:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let token = ["token", "--role", "host", "--name", "pi", "--channel", "*"];
    for number in ["x", "0", "-1", "1.5"] {
        let generation = format!("--gen={number}");
        let said = told(&[&token[..], &[generation.as_str()]].concat());
        assert!(
            said.contains("use a whole number, 1 for the first"),
            "{said}"
        );
        let said = told(&["history", &format!("--limit={number}")]);
        assert!(said.contains("use a whole number from 1 to 1000"), "{said}");
    }
}

#[test]
fn a_token_is_the_only_thing_on_standard_output_and_its_key_is_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("key"), format!("{KEY}\n")).unwrap();
    let call = [
        "token",
        "--role",
        "operator",
        "--name",
        "olga",
        "--channel",
        "*",
        "--gen",
        "3",
        "--key-file",
        "key",
    ];
    let output = towline(&call).current_dir(&dir).output().unwrap();
    let token = String::from_utf8(output.stdout).unwrap();
    let claims = towline_protocol::TokenKey::new(towline_protocol::Secret::new(KEY))
        .unwrap()
        .verify(token.strip_suffix('\n').unwrap())
        .unwrap();
    assert_eq!((claims.name.as_str(), claims.generation), ("olga", 3));
    assert_eq!(output.stderr, b"");
    fs::write(dir.path().join("key"), "too short").unwrap();
    let (status, log) = ended(towline(&call).current_dir(&dir).output().unwrap());
    assert_eq!(status, 1);
    assert!(
        log.contains("at least 32 bytes") && !log.contains("too short"),
        "{log}"
    );
}

#[test]
fn check_tells_every_mistake_of_the_file() {
    let host = Host::new(1, "colour = \"red\"\nimage_wait = 5");
    let (status, log) = ended(host.command(&["check"]).output().unwrap());
    assert_eq!(status, 1);
    assert!(
        log.contains("2 mistakes in") && log.contains("towline.toml:9: service.web.colour"),
        "{log}"
    );
    assert!(
        log.contains("towline.toml:10: service.web.image_wait: expected a duration"),
        "{log}"
    );
}

#[test]
fn check_says_what_a_service_accepts_and_an_engine_or_token_that_is_missing_is_a_problem() {
    let host = Host::new(1, "");
    let output = host.command(&["check"]).output().unwrap();
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    let (status, log) = ended(output);
    assert_eq!((status, log.trim()), (1, "towline: 1 problem"), "{said}");
    assert!(
        said.contains("successful runs of ci.yml in octo-org/web on main"),
        "{said}"
    );
    assert!(said.contains("container: PROBLEM: not looked at"), "{said}");
    fs::remove_file(host.path("token")).unwrap();
    let output = host.command(&["check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("token: PROBLEM: cannot read the token")
    );
}

#[test]
fn check_reads_the_file_of_logins_although_the_engine_does_not_answer() {
    let host = Host::new(1, "image = \"registry.example/web:{sha}\"");
    let file = fs::read_to_string(host.path("towline.toml")).unwrap();
    let file = format!("registry_auth_file = \"logins.json\"\n{file}");
    fs::write(host.path("towline.toml"), file).unwrap();
    fs::write(host.path("logins.json"), "{ no json").unwrap();
    let output = host.command(&["check"]).output().unwrap();
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(ended(output), (1, "towline: 2 problems\n".to_owned()));
    assert!(
        said.contains("registry: PROBLEM:") && said.contains("logins.json"),
        "{said}"
    );
}

#[test]
fn nothing_to_do_is_0_and_nothing_is_reported() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    let (status, log) = host.once();
    assert_eq!(status, 0, "{log}");
    assert_eq!(relay.outcomes(), []);
}

#[test]
fn a_relay_that_does_not_answer_like_one_is_a_clear_error_and_1() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    let refusal = r#"{"error":{"code":"bad_token","message":"no such token"}}"#.to_owned();
    let answers = [
        (
            "401 Unauthorized",
            "application/json",
            refusal,
            "does not accept this host's token (401): no such token",
        ),
        (
            "200 OK",
            "text/html",
            "<html>".to_owned(),
            "expected JSON, found \"text/html\"",
        ),
        (
            "200 OK",
            "application/json",
            " ".repeat(10 << 20),
            "longer than 1048576 bytes",
        ),
        ("302 Found", "text/plain", String::new(), "redirects (302)"),
    ];
    for (status, kind, body, told) in answers {
        relay.change(|state| state.intents = (status, kind, body));
        let (status, log) = host.once();
        assert_eq!(status, 1, "{log}");
        assert!(log.contains(told), "{log}");
        let token = fs::read_to_string(host.path("token")).unwrap();
        assert!(!log.contains(token.trim()), "the token is in the log");
    }
    let (status, log) = Host::new(9, "").once();
    assert_eq!(status, 1);
    assert!(log.contains("cannot reach the relay"), "{log}");
}

#[test]
fn a_missing_token_is_1() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    fs::remove_file(host.path("token")).unwrap();
    let (status, log) = host.once();
    assert_eq!(status, 1);
    assert!(log.contains("cannot read the token"), "{log}");
}

#[test]
fn what_the_hosts_file_refuses_is_reported_with_its_line_and_3() {
    let relay = Relay::start();
    relay.change(|state| state.intents = news(&[manual(1)]));
    let host = Host::new(relay.port, "manual = false");
    let (status, log) = host.once();
    assert_eq!(status, 3, "{log}");
    assert_eq!(relay.outcomes(), [("web".to_owned(), "refused".to_owned())]);
    let message = relay.change(|state| state.heard[0]["message"].to_string());
    assert!(
        message.contains("towline.toml:9: manual = false"),
        "{message}"
    );
    assert_eq!(host.once().0, 0, "told once, and nothing to do then");
    assert_eq!(relay.outcomes().len(), 1);
}

#[test]
fn a_new_intent_for_a_service_that_needs_an_operator_is_4_until_it_is_resolved() {
    let relay = Relay::start();
    relay.change(|state| state.intents = news(&[manual(1)]));
    let host = Host::new(relay.port, "");
    {
        let mut store = Store::open(&host.path("state")).unwrap();
        let web = "web".parse().unwrap();
        let failed = report::blank(
            IntentId::of_key("an earlier one"),
            &web,
            1,
            Outcome::NeedsOperator,
            Timestamp::now(),
        );
        store.close_journal("0", &web, &End::of(failed)).unwrap();
    }
    for _ in 0..2 {
        let (status, log) = host.once();
        assert_eq!(status, 4, "{log}");
        assert!(
            log.contains("see to it, then run `towline resolve web`"),
            "{log}"
        );
        assert!(!log.contains("picked up"), "{log}");
    }
    let resolved = host.command(&["resolve", "web"]).output().unwrap();
    assert!(resolved.status.success());
    let (status, log) = host.once();
    assert_eq!(status, 1, "now the engine is missed");
    assert!(log.contains("picked up"), "{log}");
}

#[test]
fn a_retry_of_what_cannot_be_retried_says_so_and_is_1() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "manual = false");
    relay.change(|state| state.intents = news(&[manual(1)]));
    assert_eq!(host.once().0, 3);
    for (service, told) in [
        ("api", "there is no [service.api] in the host's file"),
        (
            "web",
            "no intent is known for web that could be tried again",
        ),
    ] {
        let (status, log) = ended(host.command(&["retry", service]).output().unwrap());
        assert_eq!(status, 1, "{log}");
        assert!(log.contains(told), "{log}");
    }
    assert_eq!(
        host.command(&["retry"]).output().unwrap().status.code(),
        Some(2)
    );
}

#[test]
fn a_retry_tries_what_waits_for_the_engine_and_reports_as_once_does() {
    let relay = Relay::start();
    relay.change(|state| state.intents = news(&[manual(1), manual(2)]));
    let host = Host::new(relay.port, "");
    relay.change(|state| state.reports.0 = "503 Service Unavailable");
    assert_eq!(host.once().0, 1);
    relay.change(|state| state.reports.0 = "202 Accepted");
    let (status, log) = ended(host.command(&["retry", "web"]).output().unwrap());
    assert_eq!(status, 1, "{log}");
    assert!(
        log.contains("to be tried again") && log.contains("does not answer"),
        "{log}"
    );
    assert_eq!(
        relay.outcomes(),
        [("web".to_owned(), "superseded".to_owned())]
    );
}

#[test]
fn a_service_whose_channel_the_token_is_not_for_does_not_stop_the_others() {
    let relay = Relay::start();
    relay.change(|state| state.intents = news(&[manual(1)]));
    let host = Host::new(relay.port, "manual = false");
    let file = fs::read_to_string(host.path("towline.toml")).unwrap();
    let foreign = "[service.api]\nrepository = \"mallory/api\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
                   docker = { container = \"api\" }\n";
    fs::write(host.path("towline.toml"), file.clone() + foreign).unwrap();
    let (status, log) = host.once();
    assert_eq!(status, 3, "{log}");
    assert!(log.contains("not for this channel"), "{log}");
    assert_eq!(relay.outcomes(), [("web".to_owned(), "refused".to_owned())]);
    let asked = relay.change(|state| state.asked.clone());
    assert!(
        asked.contains("web") && !asked.contains("mallory"),
        "{asked}"
    );
    assert_eq!(host.once().0, 1, "the file and the token do not fit");
    // With no channel left the relay says what it thinks of the token.
    let only = file.replace("octo-org/web", "mallory/web");
    fs::write(host.path("towline.toml"), only).unwrap();
    assert_eq!(host.once().0, 1);
    assert!(relay.change(|state| state.asked.contains("mallory")));
}

#[test]
fn a_disk_that_fails_later_does_not_hide_how_a_deploy_ended() {
    let relay = Relay::start();
    let mut for_api = manual(2);
    for_api["service"] = "api".into();
    relay.change(|state| state.intents = news(&[manual(1), for_api]));
    let host = Host::new(relay.port, "");
    let mut file = fs::read_to_string(host.path("towline.toml")).unwrap();
    file += "[service.api]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\n\
             manual = false\ndocker = { container = \"api\" }\n";
    fs::write(host.path("towline.toml"), file).unwrap();
    drop(Store::open(&host.path("state")).unwrap());
    let full = "CREATE TRIGGER full BEFORE INSERT ON seen WHEN NEW.key = 'web'
                BEGIN SELECT RAISE(FAIL, 'disk is full'); END";
    let db = rusqlite::Connection::open(host.path("state/state.db")).unwrap();
    db.execute_batch(full).unwrap();
    drop(db);
    let (status, log) = host.once();
    assert!(log.contains("disk is full"), "{log}");
    assert_eq!(status, 3, "{log}");
    assert_eq!(relay.outcomes(), [("api".to_owned(), "refused".to_owned())]);
}

#[test]
fn an_engine_that_is_down_costs_no_intent() {
    let relay = Relay::start();
    relay.change(|state| state.intents = news(&[manual(1), manual(2)]));
    let host = Host::new(relay.port, "");
    for _ in 0..2 {
        let (status, log) = host.once();
        assert_eq!(status, 1, "{log}");
        assert!(
            log.contains("picked up") && log.contains("does not answer"),
            "{log}"
        );
        assert_eq!(
            relay.outcomes(),
            [("web".to_owned(), "superseded".to_owned())]
        );
    }
}

#[test]
fn a_clock_that_is_years_off_applies_nothing_that_may_be_too_late_and_says_so() {
    let years = SignedDuration::from_hours(3 * 365 * 24);
    let hour = SignedDuration::from_hours(1);
    let told = |made: Timestamp| {
        let mut intent = manual(1);
        intent["created_at"] = made.to_string().into();
        intent["expires_at"] = (made + hour).to_string().into();
        let relay = Relay::start();
        relay.change(|state| state.intents = news(&[intent]));
        let (status, log) = Host::new(relay.port, "").once();
        assert!(!log.contains("picked up"), "{log}");
        (status, log, relay.outcomes())
    };
    let expired = ("web".to_owned(), "expired".to_owned());
    let (status, log, outcomes) = told(Timestamp::now() - years);
    assert_eq!((status, outcomes), (0, vec![expired]), "{log}");
    assert!(log.contains("this host's clock says"), "{log}");
    let (status, log, outcomes) = told(Timestamp::now() + years);
    assert_eq!((status, outcomes), (1, vec![]), "{log}");
    assert!(log.contains("waits until the clock is right"), "{log}");
}

#[test]
fn a_hub_that_is_years_ahead_of_the_hosts_clock_is_not_believed() {
    let relay = Relay::start();
    let (status, kind, body) = news(&[manual(1)]);
    let years = SignedDuration::from_hours(3 * 365 * 24);
    let epoch = (Timestamp::now() + years).as_millisecond();
    let body = body.replace("\"epoch\":7", &format!("\"epoch\":{epoch}"));
    relay.change(|state| state.intents = (status, kind, body));
    let (_, log) = Host::new(relay.port, "").once();
    assert!(log.contains("is this host's clock right"), "{log}");
    assert!(!log.contains("picked up"), "{log}");
    assert_eq!(relay.outcomes(), []);
}

#[test]
fn the_hub_is_asked_for_a_gap_and_when_it_cannot_answer_the_mailbox_still_counts() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "manual = false");
    assert_eq!(host.once().0, 0);
    relay.change(|state| state.intents = news(&[manual(3)]));
    let (status, log) = host.once();
    assert_eq!(status, 3, "{log}");
    assert!(log.contains("cannot serve now (503)"), "{log}");
    assert_eq!(relay.outcomes().len(), 1);
    relay.change(|state| state.fresh = news(&[manual(1), manual(2), manual(3)]));
    assert_eq!(host.once().0, 3);
    assert_eq!(relay.outcomes().len(), 3);
    relay.change(|state| state.polls = 0);
    assert_eq!(host.once().0, 0);
    assert_eq!(
        relay.change(|state| state.polls),
        1,
        "no gap is left to ask for"
    );
}

#[test]
fn reports_are_kept_while_the_relay_takes_none_and_one_that_it_never_takes_blocks_nothing() {
    let relay = Relay::start();
    relay.change(|state| {
        state.intents = news(&[manual(1)]);
        state.reports = (
            "503 Service Unavailable",
            "application/json",
            "{}".to_owned(),
        );
    });
    let host = Host::new(relay.port, "manual = false");
    assert_eq!(host.once().0, 3);
    let (status, log) = host.once();
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("reports are kept"), "{log}");
    // A proxy's own refusal is not the relay's, so that it puts nothing aside.
    relay.change(|state| state.reports.0 = "403 Forbidden");
    let (status, log) = host.once();
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("without the error of a relay"), "{log}");
    let refusal = r#"{"error": {"code": "bad_request", "message": "because"}}"#;
    relay.change(|state| {
        state.reports.0 = "400 Bad Request";
        state.reports.2 = refusal.to_owned();
    });
    let (status, log) = host.once();
    assert_eq!(status, 0, "{log}");
    assert!(log.contains("put aside"), "{log}");
    relay.change(|state| {
        state.reports.0 = "202 Accepted";
        state.intents = news(&[manual(1), manual(2)]);
    });
    assert_eq!(host.once().0, 3);
    assert_eq!(relay.outcomes().len(), 1, "only the second one");
}

#[test]
fn run_keeps_going_when_the_relay_fails_and_ends_on_sigterm() {
    let relay = Relay::start();
    relay.change(|state| state.intents.0 = "500 Internal Server Error");
    let host = Host::new(relay.port, "manual = false");
    let mut run = host
        .command(&["run", "--interval", "1s"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("it has failed and asked again", || {
        relay.change(|state| state.polls > 1)
    });
    relay.change(|state| state.intents = news(&[manual(1)]));
    until("the refusal is reported", || !relay.outcomes().is_empty());
    let killed = Command::new("sh")
        .args(["-c", &format!("kill -TERM {}", run.id())])
        .status()
        .unwrap();
    assert!(killed.success());
    let begun = Instant::now();
    let status = run.wait().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let mut log = String::new();
    run.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("cannot serve now (500)")
            && log.contains("answers again")
            && log.contains("stopped"),
        "{log}"
    );
}
