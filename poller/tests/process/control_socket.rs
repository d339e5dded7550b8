//! The control socket of `towline run`: whose it is, what may be in its place, what is said to whom.

use std::os::unix::{fs::FileTypeExt, net::UnixStream};

use super::{
    control::{Run, ask, json_of, said},
    *,
};

#[test]
fn the_socket_is_its_owners_alone_and_goes_away_with_the_run() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    let run = Run::of(&host);
    let found = fs::symlink_metadata(host.path("state/control")).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    run.terminate();
    assert!(!host.path("state/control").exists());
}

#[test]
fn what_a_killed_run_leaves_is_passed_over_and_replaced() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    drop(Run::of(&host));
    assert!(host.path("state/control").exists());
    assert!(json_of(&host, &["status", "--json"])["poller"].is_null());
    Run::of(&host).terminate();
}

#[test]
fn a_file_or_link_in_the_sockets_place_is_left_alone_and_run_goes_on() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    drop(Store::open(&host.path("state")).unwrap());
    fs::write(host.path("precious"), "precious").unwrap();
    std::os::unix::fs::symlink(host.path("precious"), host.path("state/control")).unwrap();
    let run = host
        .command(&["run", "--interval", "1s"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut run = Run(run);
    until("it polls", || relay.change(|state| state.polls > 0));
    let mut log = run.0.stderr.take().unwrap();
    run.terminate();
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    assert!(
        text.contains("no control socket") && text.contains("is there and no socket"),
        "{text}"
    );
    assert_eq!(
        fs::read_to_string(host.path("precious")).unwrap(),
        "precious"
    );
}

#[test]
fn a_state_directory_too_deep_for_a_socket_costs_only_the_socket() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    let deep = host.path(&"d".repeat(120));
    let mut run = towline(&["run", "--config"]);
    run.arg(host.path("towline.toml"))
        .arg("--state-dir")
        .arg(&deep);
    let mut run = Run(run.stderr(Stdio::piped()).spawn().unwrap());
    until("it polls", || relay.change(|state| state.polls > 0));
    let mut log = run.0.stderr.take().unwrap();
    run.terminate();
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    assert!(text.contains("choose a shorter --state-dir"), "{text}");
}

#[test]
fn what_is_no_request_is_refused_and_the_next_one_is_answered() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    let run = Run::of(&host);
    let long = format!("{{\"v\":1,\"ask\":\"{}\"}}\n", "x".repeat(1 << 20));
    for (request, code, told) in [
        ("garbage\n", "bad_request", "one line of JSON"),
        (&long, "bad_request", "at most 4096 bytes"),
        (
            "{\"v\":1,\"ask\":\"reboot\"}\n",
            "bad_request",
            "\"status\"",
        ),
        (
            "{\"v\":2,\"ask\":\"status\"}\n",
            "version",
            "restart the service",
        ),
    ] {
        let answer = ask(&host, request).unwrap();
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert!(
            answer["error"]["message"].as_str().unwrap().contains(told),
            "{answer}"
        );
    }
    said(&host, &["status"]);
    run.terminate();
}

#[test]
fn clients_that_say_nothing_keep_nobody_out_for_long() {
    let relay = Relay::start();
    let host = Host::new(relay.port, "");
    let run = Run::of(&host);
    let silent: Vec<_> = (0..50)
        .map(|_| UnixStream::connect(host.path("state/control")).unwrap())
        .collect();
    said(&host, &["status"]);
    drop(silent);
    run.terminate();
}
