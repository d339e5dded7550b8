//! What a deploy shows while it goes on: at a terminal (util-linux's `script` makes one) and in a log.

use std::process::{Command, Stdio};

use crate::{
    ordered::{receive, run, service, until},
    roll_back::Host,
};

/// What a command shows at a terminal of so many columns.
fn at_a_terminal(host: &Host, arguments: &[&str], terminal: &str, columns: u16) -> String {
    let command = host.command(arguments);
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    let words: Vec<_> = words.map(|word| format!("'{}'", word.display())).collect();
    let line = format!("stty rows 24 cols {columns}; {}", words.join(" "));
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", terminal)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// What was written over: the lines that end with a return and what follows them.
fn written_over(shown: &str) -> Vec<&str> {
    let lines = shown.split(['\r', '\n', '\u{1b}']);
    lines.filter(|line| line.contains("pulling")).collect()
}

const STEPS: [&str; 8] = [
    "pulled sha256:",
    "created the new container",
    "stopped the old container",
    "swapped: ",
    "started the new container",
    "passed http://127.0.0.1:",
    "healthy",
    "committed",
];

fn tells_each_step_once(text: &str) {
    for step in STEPS {
        let lines = text.lines().filter(|line| line.contains(step));
        assert_eq!(lines.count(), 1, "{step}: {text}");
    }
}

/// A service on v1 with v2 to come.
async fn with_news(name: &'static str) -> Host {
    let mut host = Host::on_v1(name, 2, "toy v", &[]).await;
    host.scene.release("v2", "ok", &[]);
    receive(&mut host);
    host.let_go();
    host
}

#[tokio::test]
async fn a_deploy_at_a_terminal_shows_its_layers_and_then_each_step() {
    let host = with_news("shown").await;
    let shown = at_a_terminal(&host, &["once"], "xterm", 200);
    let pulling = written_over(&shown);
    assert!(
        pulling
            .iter()
            .any(|line| line.contains("shown: pulling: ") && line.contains("1 layers")),
        "{shown:?}"
    );
    assert!(shown.contains("\u{1b}[2K"), "written over: {shown:?}");
    tells_each_step_once(&shown);
}

#[tokio::test]
async fn a_narrow_terminal_cuts_what_is_written_over() {
    let host = with_news("narrow").await;
    let shown = at_a_terminal(&host, &["once"], "xterm", 20);
    let pulling = written_over(&shown);
    assert!(!pulling.is_empty(), "{shown:?}");
    for line in pulling {
        // The rest of an escape sequence is no column.
        let text = line.trim_start_matches("[2K");
        assert!(text.chars().count() <= 20, "{text:?}");
    }
}

#[tokio::test]
async fn a_terminal_that_can_do_nothing_and_a_log_get_a_line_a_step_and_nothing_else() {
    let host = with_news("logged").await;
    let log = host.say(&["once"]).err;
    tells_each_step_once(&log);
    assert!(log.contains(": 1 layer, ") && log.contains(" MB"), "{log}");
    let host = with_news("dumb").await;
    let dumb = at_a_terminal(&host, &["once"], "dumb", 80);
    tells_each_step_once(&dumb);
    for text in [log, dumb] {
        assert!(
            !text.contains("pulling") && !text.contains('\u{1b}'),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_order_to_a_running_towline_shows_the_same_at_its_terminal() {
    let mut host = Host::on_v1("shownby", 2, "toy v", &[]).await;
    host.scene.release("v2", "500", &[]);
    receive(&mut host);
    let _run = run(&mut host);
    until("v2 has failed", || {
        service(&host)["last"]["outcome"] == "rolled_back"
    });
    host.scene.release("v3", "ok", &[]);
    let shown = at_a_terminal(&host, &["retry", "shownby"], "xterm", 200);
    assert!(
        written_over(&shown)
            .iter()
            .any(|line| line.contains("shownby: pulling: ")),
        "{shown:?}"
    );
    tells_each_step_once(&shown);
    assert!(shown.contains("\nsucceeded: "), "{shown:?}");
}
