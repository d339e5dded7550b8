//! `docs/examples/redeploy.yml` as GitHub's runner would run it: its scripts, a stand-in for GitHub's issuer, and the
//! relay in workerd.

use std::{fs, thread};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use towline_tests::{
    issuer::REQUEST_TOKEN,
    place,
    simulated::Simulated,
    workflow::{Job, Ran, Values},
};

use crate::actions::{PUBLIC_URL, world};

/// The repository that the issuer's tokens are for, and so the channel.
const CHANNEL: &str = "octo-org/web";

fn example() -> Result<String> {
    let path = place::root().join("docs/examples/redeploy.yml");
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// Somebody fills in the form and presses the button; `more` is added to the runner's environment.
fn press(inputs: &[(&str, &str)], more: &[(&str, &str)]) -> Result<Ran> {
    let world = world()?;
    let mut values = Values::from(
        [
            ("vars.TOWLINE_RELAY", PUBLIC_URL),
            ("github.repository", "Octo-Org/Web"),
            ("github.sha", &"c".repeat(40)),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let inputs = inputs.iter();
    values.extend(inputs.map(|(name, value)| (format!("inputs.{name}"), (*value).to_owned())));
    // The relay's address leads to where it really is.
    let home = TempDir::new()?;
    let (public, real) = (address(PUBLIC_URL), address(&world.relay.url));
    let curl = format!("connect-to = \"{public}:{real}\"\nnoproxy = \"*\"\n");
    fs::write(home.path().join(".curlrc"), curl)?;
    let home = home.path().display().to_string();
    let request_url = world.issuer.request_url();
    let runner = [
        ("CURL_HOME", home.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", &request_url),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", REQUEST_TOKEN),
        ("PAUSE", "0.2"),
        ("WAIT", "60"),
    ];
    Job::parse(&example()?, "redeploy")?.run(&values, &[&runner, more].concat())
}

fn address(url: &str) -> &str {
    url.trim_start_matches("http://")
}

/// Presses the button for a host that acts meanwhile; `more` is added to the runner's environment.
fn press_while(
    name: &str,
    inputs: &[(&str, &str)],
    more: &[(&str, &str)],
    host: impl FnOnce(&Simulated<'_>, &Value) -> Result<()> + Send,
) -> Result<(Ran, Value)> {
    let simulated = Simulated::new(&world()?.relay, name)?;
    simulated.greets(CHANNEL)?;
    let inputs = [inputs, &[("hosts", name)]].concat();
    thread::scope(|scope| {
        let host = scope.spawn(|| {
            let intent = simulated.finds(CHANNEL)?;
            host(&simulated, &intent)?;
            anyhow::Ok(intent)
        });
        let ran = press(&inputs, more)?;
        let intent = host.join().map_err(|_| anyhow::anyhow!("the host"))?;
        let intent = intent.with_context(|| ran.log.clone())?;
        Ok((ran, intent))
    })
}

fn id(intent: &Value) -> &str {
    intent["id"].as_str().unwrap_or_default()
}

#[test]
fn the_button_ends_well_when_the_host_is_healthy_and_its_log_holds_no_secret() -> Result<()> {
    let typed = r#""; exit 0; $(echo was run >&2) `id` ${{ github.token }} '|' \"#;
    let image = format!("ghcr.io/octo-org/web:v2@sha256:{}", "d".repeat(64));
    let inputs = [("reason", typed), ("image", &image), ("service", "web")];
    let (ran, intent) = press_while("healthy", &inputs, &[], |host, intent| {
        host.acknowledges(id(intent), &["web"])?;
        host.says(id(intent), "succeeded", "web: v1 -> v2 in 3.4 s", "")
    })?;
    assert!(ran.well, "{}", ran.log);
    assert!(
        ran.log
            .contains("healthy web: succeeded: v1 -> v2 in 3.4 s"),
        "{}",
        ran.log
    );
    assert!(ran.log.ends_with("done: 1 succeeded\n"), "{}", ran.log);
    assert!(
        ran.summary
            .contains("| healthy | web | ✅ succeeded: v1 -&gt; v2"),
        "{}",
        ran.summary
    );
    let source = &intent["source"];
    assert_eq!(
        (&source["kind"], &source["reason"]),
        (&json!("actions"), &json!(typed))
    );
    assert_eq!(
        (&intent["channel"], &intent["service"]),
        (&json!(CHANNEL), &json!("web"))
    );
    assert_eq!(
        intent["image"]["digest"],
        format!("sha256:{}", "d".repeat(64))
    );
    assert_eq!(intent["revision"]["sha"], json!(null));
    for line in ran
        .log
        .lines()
        .filter(|line| line.contains("eyJ") || line.contains("tlt1."))
    {
        assert!(line.starts_with("::add-mask::"), "{line}");
    }
    for hidden in [REQUEST_TOKEN, "was run"] {
        assert!(!ran.log.contains(hidden), "{}", ran.log);
    }
    Ok(())
}

#[test]
fn without_an_image_the_commit_that_it_runs_on_is_asked_for() -> Result<()> {
    let (ran, intent) = press_while("commit", &[], &[], |host, intent| {
        host.acknowledges(id(intent), &["web"])?;
        host.says(id(intent), "unchanged", "", "")
    })?;
    assert!(ran.well, "{}", ran.log);
    assert_eq!(intent["revision"]["sha"], "c".repeat(40));
    assert_eq!(
        (&intent["image"], &intent["service"]),
        (&json!(null), &json!(null))
    );
    Ok(())
}

#[test]
fn a_host_that_went_back_fails_the_job_and_its_last_words_command_nothing() -> Result<()> {
    let log = "starting\n::add-mask::done\n##[error]no such table";
    let goes_back = |host: &Simulated<'_>, intent: &Value| {
        host.acknowledges(id(intent), &["web"])?;
        host.says(
            id(intent),
            "rolled_back",
            "web: it | [answered](x) <500>",
            log,
        )
    };
    let (quiet, _) = press_while("went-quietly", &[], &[], goes_back)?;
    assert!(
        !quiet.well && !quiet.log.contains("starting"),
        "{}",
        quiet.log
    );
    let (ran, _) = press_while("went-back", &[], &[("LOGS", "yes")], goes_back)?;
    assert!(!ran.well, "{}", ran.log);
    assert!(
        ran.log
            .contains("went-back web: rolled_back: it | [answered](x) <500>\n  | starting\n"),
        "{}",
        ran.log
    );
    assert!(
        ran.log
            .contains("::error title=Deploy failed::not healthy: went-back web\n"),
        "{}",
        ran.log
    );
    assert!(
        ran.summary
            .contains("❌ rolled&#95;back: it &#124; &#91;answered&#93;&#40;x&#41; &lt;500&gt; |"),
        "{}",
        ran.summary
    );
    let before = ran.log.split("##[error]").next().unwrap_or_default();
    let stops = before.matches("::stop-commands::").count();
    let resumed = before
        .lines()
        .filter(|line| line.len() == 40 && line.ends_with("::"));
    assert_eq!(
        stops,
        resumed.count() + 1,
        "the runner takes no commands there: {}",
        ran.log
    );
    Ok(())
}

#[test]
fn a_job_that_brought_nothing_about_does_not_end_well() -> Result<()> {
    let (ran, _) = press_while("late", &[], &[], |host, intent| {
        host.acknowledges(id(intent), &["web"])?;
        host.says(id(intent), "superseded", "web: number 9 came after it", "")
    })?;
    assert!(!ran.well, "{}", ran.log);
    let told = "nothing was deployed: late web had something newer";
    assert!(ran.log.contains(told), "{}", ran.log);
    assert!(!ran.summary.contains('✅'), "{}", ran.summary);
    Ok(())
}

#[test]
fn a_host_that_never_answers_fails_the_job_after_its_time_by_name() -> Result<()> {
    Simulated::new(&world()?.relay, "mute")?.greets(CHANNEL)?;
    let ran = press(&[("hosts", "mute, nobody")], &[("WAIT", "1")])?;
    assert!(!ran.well, "{}", ran.log);
    assert!(
        ran.log.contains("mute: has not acknowledged it"),
        "{}",
        ran.log
    );
    let told = "not healthy: nobody; not heard of within 1 seconds: mute";
    assert!(ran.log.contains(told), "{}", ran.log);
    assert!(ran.summary.contains("| mute |"), "{}", ran.summary);
    Ok(())
}

#[test]
fn a_refusal_and_a_wrong_set_up_fail_the_job_with_the_reason() -> Result<()> {
    for (inputs, more, reason) in [
        (&[("sha", "main")][..], &[][..], "the relay refused (400): "),
        (&[("hosts", "Pi")], &[], "the relay refused (400): "),
        (
            &[],
            &[("RELAY", "")],
            "set the repository's variable TOWLINE_RELAY",
        ),
        (
            &[],
            &[("RELAY", "http://relay.example")],
            "set the repository's variable TOWLINE_RELAY",
        ),
        (
            &[],
            &[("ACTIONS_ID_TOKEN_REQUEST_URL", "")],
            "the job needs the permission id-token: write",
        ),
        (
            &[],
            &[("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "another")],
            "GitHub gave no OIDC token",
        ),
        (
            &[],
            &[("CHANNEL", "octo-org/other")],
            "the relay refused (403): ",
        ),
    ] {
        let ran = press(inputs, more)?;
        assert!(!ran.well, "{reason}: {}", ran.log);
        let told = format!("::error title=Not deployed::{reason}");
        assert!(ran.log.contains(&told), "{reason}: {}", ran.log);
    }
    Ok(())
}

#[test]
fn what_is_typed_is_in_no_script_and_no_secret_of_ours_is_at_github() -> Result<()> {
    let job = Job::parse(&example()?, "redeploy")?;
    assert!(!job.steps().is_empty());
    for step in job.steps() {
        assert!(!step.run.contains("${{"), "{}", step.run);
    }
    let example = example()?;
    assert!(!example.contains("secrets."));
    assert!(example.contains("permissions:\n  id-token: write"));
    assert!(!example.contains("contents:"));
    Ok(())
}
