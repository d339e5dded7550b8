//! Several containers that are checked together, of which some may end.

use std::collections::BTreeMap;

use super::*;

/// An engine with these containers: each shows, look after look, the next of its states, the last one from then on. It cannot look
/// where that is `null`.
async fn of(containers: &[(&str, &str, Vec<Value>)]) -> Docker {
    let shown = containers.iter().map(|(id, policy, states)| {
        let states = states.iter().map(|state| {
            if state.is_null() {
                return json!({ "message": "no answer this time" }).to_string();
            }
            let policy = json!({ "RestartPolicy": { "Name": policy } });
            json!({ "State": state, "RestartCount": 0, "HostConfig": policy }).to_string()
        });
        ((*id).to_owned(), states.collect::<Vec<_>>())
    });
    let shown: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(shown.collect());
    connected(move |line| {
        let mut shown = shown.lock().unwrap();
        let named = |(id, _): &(&String, &mut Vec<String>)| line.contains(&format!("/{id}/json"));
        let Some((_, states)) = shown.iter_mut().find(named) else {
            return (404, json!({ "message": "No such container" }).to_string());
        };
        let state = states[0].clone();
        if states.len() > 1 {
            states.remove(0);
        }
        match state.starts_with("{\"message\"") {
            true => (500, state),
            false => (200, state),
        }
    })
    .await
}

fn member(id: &str, must_run: bool) -> Member {
    Member {
        id: id.to_owned(),
        name: Some(id.to_owned()),
        must_run,
        secrets: Secrets::default(),
    }
}

fn done() -> Value {
    json!({ "Running": false, "ExitCode": 0, "StartedAt": "a" })
}

/// The gate's verdict on `web`, which runs, and `job`, with this restart policy and these states.
async fn beside_web(policy: &str, job: Vec<Value>, must_run: bool) -> Verdict {
    let docker = of(&[("web", "no", vec![runs()]), ("job", policy, job)]).await;
    let members = [member("web", true), member("job", must_run)];
    let brief = Some(Duration::from_millis(10));
    gate_set(&docker, &members, &[], brief, Duration::ZERO, &|_| ())
        .await
        .unwrap()
}

#[tokio::test]
async fn what_has_done_its_work_is_well_and_what_should_run_on_is_not() {
    assert_eq!(beside_web("no", vec![done()], false).await, Ok(Gate::Weak));
    let soon = vec![runs(), runs(), done()];
    assert_eq!(beside_web("on-failure", soon, false).await, Ok(Gate::Weak));
    let ended = Err("job: it ended with status 0".to_owned());
    assert_eq!(beside_web("no", vec![done()], true).await, ended);
    for policy in ["always", "unless-stopped"] {
        assert_eq!(beside_web(policy, vec![done()], false).await, ended);
    }
}

#[tokio::test]
async fn one_of_several_that_fails_is_named() {
    let failed = beside_web("no", vec![ended_with_1()], false).await;
    assert_eq!(failed, Err("job: it ended with status 1".to_owned()));
    let restarted = beside_web("on-failure", vec![runs(), restarts()], false).await;
    assert_eq!(
        restarted,
        Err("job: it restarted after it ended with status 1".to_owned())
    );
    let docker = of(&[("web", "no", vec![runs()])]).await;
    let members = [member("web", true), member("gone", false)];
    let verdict = gate_set(&docker, &members, &[], None, Duration::ZERO, &|_| ()).await;
    assert_eq!(
        verdict.unwrap(),
        Err("gone: the container was removed".to_owned())
    );
}

#[tokio::test]
async fn what_was_never_started_has_not_done_its_work() {
    let created = |at: &str| json!({ "Running": false, "ExitCode": 0, "StartedAt": at });
    for at in ["0001-01-01T00:00:00Z", ""] {
        let verdict = beside_web("no", vec![created(at)], false).await;
        assert!(verdict.is_err(), "{at:?}: {verdict:?}");
    }
}

#[tokio::test]
async fn the_healthchecks_that_are_there_count_and_the_rest_must_run() {
    let verdict = async |web: Vec<Value>, job: Vec<Value>| {
        let docker = of(&[("web", "no", web), ("job", "no", job)]).await;
        let members = [member("web", true), member("job", false)];
        let brief = Some(Duration::from_millis(10));
        gate_set(&docker, &members, &[], brief, Duration::ZERO, &|_| ())
            .await
            .unwrap()
    };
    let late = vec![own("starting"), own("starting"), own("healthy")];
    assert_eq!(verdict(late.clone(), vec![runs()]).await, Ok(Gate::Weak));
    assert_eq!(verdict(late, vec![done()]).await, Ok(Gate::Healthy));
    let sick = vec![own("healthy"), own("healthy"), own("unhealthy")];
    assert_eq!(
        verdict(sick, vec![runs()]).await,
        Err("web: it was healthy, and then unhealthy".to_owned())
    );
}

#[tokio::test]
async fn a_check_for_dockers_own_needs_a_container_that_has_one() {
    let check = [HealthCheck::Docker {
        within: Some(Duration::from_millis(50)),
    }];
    let members = [member("web", true), member("job", false)];
    let verdict = async |web: Value| {
        let docker = of(&[("web", "no", vec![web]), ("job", "no", vec![runs()])]).await;
        assert_eq!(
            is_well_set(&docker, &members, &check).await,
            gate_set(
                &docker,
                &members,
                &check,
                Some(Duration::ZERO),
                Duration::ZERO,
                &|_| ()
            )
            .await
            .map(|verdict| verdict.is_ok())
        );
        gate_set(&docker, &members, &check, None, Duration::ZERO, &|_| ())
            .await
            .unwrap()
    };
    let none = Err("no container has a healthcheck".to_owned());
    assert_eq!(verdict(runs()).await, none);
    assert_eq!(verdict(own("healthy")).await, Ok(Gate::Healthy));
    let why = "web: not healthy within 0.05 s: unhealthy";
    assert_eq!(verdict(own("unhealthy")).await, Err(why.to_owned()));
}

#[tokio::test]
async fn a_project_is_well_when_each_of_it_runs_or_is_done() {
    let well = async |job: Value, must_run| {
        let docker = of(&[("web", "no", vec![runs()]), ("job", "no", vec![job])]).await;
        let members = [member("web", true), member("job", must_run)];
        is_well_set(&docker, &members, &[]).await.unwrap()
    };
    assert!(well(runs(), true).await && well(done(), false).await);
    assert!(!well(done(), true).await && !well(ended_with_1(), false).await);
    assert!(!well(restarts(), false).await && !well(own("unhealthy"), false).await);
}

#[tokio::test]
async fn an_old_project_must_be_as_well_as_it_was_and_no_better() {
    let back = async |web: Vec<Value>, was_healthy| {
        let docker = of(&[("web", "no", web), ("job", "no", vec![done()])]).await;
        let members = [member("web", true), member("job", false)];
        returned_set(&docker, &members, &[], was_healthy)
            .await
            .unwrap()
    };
    assert_eq!(back(vec![runs()], true).await, Ok(()));
    assert_eq!(back(vec![own("healthy")], true).await, Ok(()));
    let again = vec![runs(), restarts()];
    assert_eq!(
        back(again.clone(), true).await,
        Err("web: it restarted after it ended with status 1".to_owned())
    );
    assert_eq!(back(again, false).await, Ok(()));
    let ended = Err("web: it ended with status 1".to_owned());
    assert_eq!(back(vec![ended_with_1()], true).await, ended);
    assert_eq!(back(vec![ended_with_1()], false).await, ended);
}

#[tokio::test]
async fn a_container_that_is_started_again_and_again_is_told_before_the_answer_of_the_check() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let check = HealthCheck::Tried {
        probe: Probe::Tcp(address.to_string().parse().unwrap()),
        within: Duration::from_secs(2),
    };
    let restarted = json!({ "Running": true, "StartedAt": "b", "ExitCode": 0 });
    let states = vec![runs(), restarts(), restarted];
    let docker = of(&[("web", "always", states)]).await;
    let members = [member("web", true)];
    let verdict = gate_set(&docker, &members, &[check], None, Duration::ZERO, &|_| ()).await;
    let why = verdict.unwrap().unwrap_err();
    let told = format!(
        "web: it restarted after it ended with status 1; tcp {address} was not good within 2 s: "
    );
    assert!(why.starts_with(&told), "{why}");
}

#[tokio::test]
async fn a_verdict_stays_where_the_engine_cannot_look_for_the_last_words() {
    let states = vec![runs(), ended_with_1(), Value::Null];
    let verdict = beside_web("no", states, false).await;
    assert_eq!(verdict, Err("job: it ended with status 1".to_owned()));
}

#[tokio::test]
async fn the_last_words_of_one_tell_no_secret_of_another() {
    let docker = connected(|line| {
        if line.contains("/logs?") {
            let words = "cannot log in with correct-horse\n";
            return (200, words.to_owned());
        }
        let (state, env) = match line.contains("/job/") {
            true => (ended_with_1(), "GREETING=hello"),
            false => (runs(), "DB_PASSWORD=correct-horse"),
        };
        let config = json!({ "Env": [env], "Tty": true });
        let shown = json!({ "State": state, "RestartCount": 0, "Config": config });
        (200, shown.to_string())
    })
    .await;
    let members = [member("web", true), member("job", false)];
    let verdict = gate_set(&docker, &members, &[], None, Duration::ZERO, &|_| ()).await;
    let told = "job: it ended with status 1, and said last \"cannot log in with ***\"";
    assert_eq!(verdict.unwrap(), Err(told.to_owned()));
}

#[tokio::test]
async fn a_secret_that_only_the_project_knows_is_hidden_before_what_is_said_is_cut() {
    let long = format!("{}://app:correct-horse@db", "x".repeat(185));
    let words = format!("{long}\n");
    let sick = json!({ "Status": "unhealthy", "Log": [{ "Output": long }] });
    let sick = json!({ "Running": true, "StartedAt": "a", "Health": sick });
    let mut member = member("web", true);
    member.secrets.add("correct-horse");
    let check = [HealthCheck::Docker {
        within: Some(Duration::ZERO),
    }];
    for (state, told) in [(ended_with_1(), "said last"), (sick, "unhealthy: xxx")] {
        let words = words.clone();
        let docker = connected(move |line| {
            if line.contains("/logs?") {
                return (200, words.clone());
            }
            let config = json!({ "Tty": true });
            let shown = json!({ "State": state, "RestartCount": 0, "Config": config });
            (200, shown.to_string())
        })
        .await;
        let members = std::slice::from_ref(&member);
        let verdict = gate_set(&docker, members, &check, None, Duration::ZERO, &|_| ()).await;
        let why = verdict.unwrap().unwrap_err();
        assert!(why.contains(told) && why.contains("://app:***"), "{why}");
    }
}
