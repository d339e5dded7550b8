//! What a refusal in the middle does to a deploy, and what is asked of an engine for one of several containers.

use std::sync::{
    LazyLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::json;

use super::*;
use crate::{
    docker::fake::engine,
    machine::Action,
    settings::Settings,
    testing::{deploy, journal_entry},
};

/// A deploy's drive on this engine.
fn drive_with(
    engine: Docker,
    service: Option<&Service>,
    create: Vec<(CreateRequest, String)>,
) -> Drive<'_> {
    static LAUNCHER: LazyLock<Launcher> = LazyLock::new(Launcher::own);
    Drive {
        engine: Cow::Owned(engine),
        service,
        create,
        recorded: None,
        launcher: &LAUNCHER,
        entry: journal_entry(""),
        clock: StepClock::default(),
    }
}

#[tokio::test]
async fn a_container_whose_creation_was_not_answered_makes_room_for_a_whole_one() {
    let half_made = AtomicBool::new(true);
    let (address, asked) = engine(move |line| {
        let is_taken = half_made.load(Ordering::Relaxed);
        let labels = json!({ "towline.deploy": "0a1b2c3d" });
        match line {
            line if line.starts_with("DELETE") => {
                half_made.store(false, Ordering::Relaxed);
                (204, String::new())
            }
            line if line.contains("/create") && is_taken => {
                (409, json!({ "message": "is already in use" }).to_string())
            }
            line if line.contains("/create") => (201, json!({ "Id": "whole" }).to_string()),
            line if line.contains("/whole/") => (
                200,
                json!({ "Id": "whole", "Image": "sha256:2" }).to_string(),
            ),
            _ => {
                let name = "/web--new-0a1b2c3d";
                let shown = json!({ "Id": "half", "Name": name, "Config": { "Labels": labels } });
                (200, shown.to_string())
            }
        }
    });
    let engine = Docker::connect(Some(&address)).await.unwrap();
    let request = CreateRequest {
        body: json!({}),
        connect: Vec::new(),
        disconnect: None,
    };
    let with = drive_with(engine, None, vec![(request, "sha256:2".to_owned())]);
    let action = deploy().next().unwrap();
    let acted = act(&with, &deploy(), &action, &|_| ()).await.unwrap();
    let id = "whole".to_owned();
    assert_eq!(acted.event, Event::Created { id });
    let asked = asked.lock().unwrap();
    let removed = asked.iter().find(|line| line.starts_with("DELETE"));
    assert!(
        removed.is_some_and(|line| line.contains("/half?")),
        "{asked:?}"
    );
}

/// A deploy of `web` and of `app`, which shares with it; the new ones are called `new` and `newapp` by their ids.
fn accompanied() -> Deploy {
    let deploy = deploy();
    let mut members = deploy.members.clone();
    members.push(members[0].clone());
    members[1].name = "app".to_owned();
    members[1].old = "oldapp".to_owned();
    let side = deploy.from.clone();
    let mut deploy = Deploy::new(deploy.deploy, members, side.clone(), side).accompanied();
    for id in ["new", "newapp"] {
        let id = id.to_owned();
        deploy = deploy.on(Event::Created { id });
    }
    deploy
}

async fn called(with: &Drive<'_>, action: &Action) -> String {
    let acted = act(with, &accompanied(), action, &|_| ()).await.unwrap();
    assert_eq!(acted.event, Event::Done);
    acted.log.text
}

#[tokio::test]
async fn a_services_time_to_stop_is_not_that_of_what_shares_with_it() {
    let (address, asked) = engine(|line| match line {
        line if line.contains("/stop") => (204, String::new()),
        _ => (200, json!({ "Config": { "StopTimeout": 3 } }).to_string()),
    });
    let engine = Docker::connect(Some(&address)).await.unwrap();
    let text = "[relay]\nurl = \"https://towline.example.workers.dev\"\n[service.web]\nrepository = \"octo-org/web\"\n\
                workflow = \"ci.yml\"\nbranch = \"main\"\ndocker = { container = \"web\" }\nstop_timeout = \"1s\"\n";
    let settings = Settings::parse(text, "towline.toml").unwrap();
    let with = drive_with(engine, settings.services.first(), Vec::new());
    for id in ["abc", "new", "oldapp", "newapp"] {
        let id = id.to_owned();
        called(&with, &Action::Stop { id }).await;
    }
    let asked = asked.lock().unwrap();
    let stops = asked.iter().filter(|line| line.starts_with("POST"));
    let stops: Vec<_> = stops
        .map(|line| (line.contains("app/"), line.contains("t=1")))
        .collect();
    let own = (false, true);
    let companions = (true, false);
    assert_eq!(stops, [own, own, companions, companions], "{asked:?}");
}

#[tokio::test]
async fn one_that_shares_is_started_once_what_it_shares_has_said_how_it_is() {
    let looks = AtomicUsize::new(0);
    let (address, asked) = engine(move |line| {
        let shown = match line {
            line if line.contains("/start") => return (204, String::new()),
            line if line.contains("/newapp/") => {
                json!({ "HostConfig": { "NetworkMode": "container:new", "PidMode": "" } })
            }
            _ => {
                let is_first = looks.fetch_add(1, Ordering::Relaxed) < 2;
                let status = if is_first { "starting" } else { "healthy" };
                json!({ "State": { "Running": true, "Health": { "Status": status } } })
            }
        };
        (200, shown.to_string())
    });
    let engine = Docker::connect(Some(&address)).await.unwrap();
    let with = drive_with(engine, None, Vec::new());
    for id in ["new", "newapp"] {
        let id = id.to_owned();
        called(&with, &Action::Start { id }).await;
    }
    let asked = asked.lock().unwrap();
    let is_of = |line: &&String, of: &str| line.contains(&format!("/{of}/"));
    let told: Vec<_> = asked
        .iter()
        .map(|line| (is_of(&line, "newapp"), line.starts_with("POST")))
        .collect();
    let (look, lender, start) = ((true, false), (false, false), (true, true));
    assert_eq!(
        told,
        [(false, true), look, lender, lender, lender, start],
        "{asked:?}"
    );
}

#[tokio::test]
async fn the_log_of_one_of_several_says_first_whose_it_is() {
    let (address, _) = engine(|line| match line {
        line if line.contains("/logs?") => (200, "it is broken\n".to_owned()),
        _ => (200, json!({ "Config": { "Tty": true } }).to_string()),
    });
    let engine = Docker::connect(Some(&address)).await.unwrap();
    let with = drive_with(engine, None, Vec::new());
    let save = |id: &str| Action::SaveLog { id: id.to_owned() };
    let (own, app) = (
        called(&with, &save("new")).await,
        called(&with, &save("newapp")).await,
    );
    assert!(
        own.starts_with("== web\n") && own.contains("it is broken"),
        "{own}"
    );
    assert!(app.starts_with("== app\n"), "{app}");
    let alone = act(&with, &deploy(), &save("new"), &|_| ()).await.unwrap();
    assert!(!alone.log.text.contains("=="), "{}", alone.log.text);
}
