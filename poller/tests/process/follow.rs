//! `towline follow`, and `deploy --wait`: what is shown while a deploy goes on, and how they end.

use serde_json::json;

use super::{
    desk::{Desk, ID, all, no, queued, stands},
    *,
};

#[test]
fn waiting_tells_each_change_once_and_ends_well_when_all_have() {
    let desk = Desk::answering(
        &[queued()],
        &[
            stands(&[("pi", json!(null), None), ("nas", json!([]), None)]),
            no("503 Service Unavailable"),
            stands(&[
                ("pi", json!(["web"]), Some("applying")),
                ("nas", json!([]), None),
            ]),
            stands(&[
                ("pi", json!(["web"]), Some("succeeded")),
                ("nas", json!([]), None),
            ]),
        ],
    );
    let (exit, out, log) = all(desk.towline(&["deploy", "octo-org/web", "--wait"]));
    assert_eq!((exit, out), (0, format!("{ID}\n")), "{log}");
    let said: Vec<_> = log.lines().skip(1).collect();
    let wanted = [
        "towline: nas: has no service that it is for",
        "towline: pi: has not acknowledged it, last heard of 2026-11-20T15:00:01Z",
        "towline: the relay cannot serve now (503): because of this; asking on",
        "towline: the relay answers again",
        "towline: pi web: applying: it answered 500",
        "towline: pi web: succeeded: it answered 500",
        "towline: 1 succeeded",
    ];
    assert_eq!(said, wanted);
}

#[test]
fn a_host_that_went_back_is_3_with_its_last_words_and_an_operators_case_4() {
    for (outcome, status) in [
        ("rolled_back", 3),
        ("refused", 3),
        ("needs_operator", 4),
        ("superseded", 0),
    ] {
        let desk = Desk::answering(
            &[queued()],
            &[stands(&[("pi", json!(["web"]), Some(outcome))])],
        );
        let (exit, _, log) = all(desk.towline(&["follow", ID]));
        assert_eq!(exit, status, "{log}");
        assert_eq!(log.contains("  | two"), status != 0, "{log}");
        let told = log.matches("it answered 500").count();
        assert_eq!(told, 1, "{log}");
    }
}

#[test]
fn a_host_that_never_answers_ends_the_wait_at_its_time_by_name() {
    let hosts = [
        ("pi", json!(["web"]), Some("succeeded")),
        ("nas", json!(null), None),
    ];
    let desk = Desk::answering(&[queued()], &[stands(&hosts)]);
    let (exit, _, log) = all(desk.towline(&["follow", ID, "--timeout", "1s"]));
    assert_eq!(exit, 1, "{log}");
    assert!(log.contains("gave up after 1 s"), "{log}");
    assert!(log.contains("  nas: has not acknowledged it"), "{log}");
}

#[test]
fn nobody_there_a_relay_that_is_gone_and_a_refusal_end_with_1() {
    let desk = Desk::answering(&[queued()], &[stands(&[])]);
    let (exit, _, log) = all(desk.towline(&["deploy", "octo-org/web", "--wait"]));
    assert_eq!(exit, 1, "{log}");
    assert!(
        log.contains("no host was seen on channel octo-org/web"),
        "{log}"
    );
    let gone = Desk::gone();
    let (exit, _, log) = all(gone.towline(&["follow", ID, "--timeout", "1s"]));
    assert_eq!(exit, 1, "{log}");
    assert!(
        log.contains("was not to be asked") && log.contains("cannot reach"),
        "{log}"
    );
    let desk = Desk::answering(&[queued()], &[no("404 Not Found")]);
    let (exit, _, log) = all(desk.towline(&["follow", ID]));
    assert_eq!((exit, desk.heard().len()), (1, 1), "{log}");
    assert!(log.contains("does not know it"), "{log}");
}

#[test]
fn a_ticket_will_do_to_follow_and_not_to_deploy() {
    let desk = Desk::answering(
        &[queued()],
        &[stands(&[("pi", json!(["web"]), Some("unchanged"))])],
    );
    let with_ticket = |call: &[&str]| {
        let mut command = desk.towline(call);
        command.env("TOWLINE_TOKEN", "a.ticket");
        all(command)
    };
    let (exit, _, log) = with_ticket(&["follow", ID]);
    assert_eq!(exit, 0, "{log}");
    assert!(desk.heard()[0].contains("authorization: Bearer a.ticket"));
    assert_eq!(with_ticket(&["deploy", "octo-org/web"]).0, 1);
}

#[test]
fn at_a_terminal_each_host_has_one_line_that_is_written_over_and_stays() {
    let desk = Desk::answering(
        &[queued()],
        &[
            stands(&[("pi", json!(["web"]), Some("applying"))]),
            stands(&[
                ("nas", json!([]), None),
                ("pi", json!(["web"]), Some("succeeded")),
            ]),
        ],
    );
    let command = desk.towline(&["follow", ID]);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| format!("'{}'", word.display())).collect();
    let line = format!("stty rows 24 cols 80; {}", words.join(" "));
    let mut terminal = Command::new("script");
    terminal
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("TERM", "xterm")
        .env("PATH", std::env::var_os("PATH").unwrap())
        .stdin(Stdio::null());
    let output = terminal.output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{shown}");
    let over = shown.find("pi web: applying").unwrap();
    let up = shown[over..].find("\u{1b}[").unwrap() + over;
    assert!(shown[up..].contains("pi web: succeeded"), "{shown:?}");
    assert!(shown[up..].contains("nas: has no service"), "{shown:?}");
    assert!(
        shown.trim_end().ends_with("towline: 1 succeeded"),
        "{shown:?}"
    );
}
