use std::{net::TcpListener, sync::Mutex, thread};

use serde_json::{Value, json};

use super::{
    fake::{connected, engine, engine_of},
    *,
};
use crate::reference::Reference;

fn message(text: &str) -> String {
    json!({ "message": text }).to_string()
}

fn image() -> Reference {
    format!("127.0.0.1:5000/web@sha256:{}", "0".repeat(64))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn typed_and_raw_calls_use_the_engines_older_api_version() {
    let (address, asked) = engine(|_| (200, "{}".to_owned()));
    let docker = Docker::connect(Some(&address)).await.unwrap();
    docker.container("web").await.unwrap();
    docker.start("web").await.unwrap();
    assert_eq!(
        *asked.lock().unwrap(),
        [
            "GET /v1.41/containers/web/json",
            "POST /v1.41/containers/web/start"
        ]
    );
}

#[tokio::test]
async fn an_engine_whose_api_is_newer_than_what_is_known_here_is_asked_in_the_older_one() {
    for (version, spoken) in [("1.53", "1.51"), ("1.52", "1.51"), ("1.45", "1.45")] {
        let (address, asked) = engine_of(version, |_| (200, "{}".to_owned()));
        let docker = Docker::connect(Some(&address)).await.unwrap();
        docker.container("web").await.unwrap();
        docker.start("web").await.unwrap();
        let asked = asked.lock().unwrap();
        let prefix = format!(" /v{spoken}/");
        assert!(
            asked.len() == 2 && asked.iter().all(|line| line.contains(&prefix)),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn an_engine_at_an_address_of_this_machine_is_known_as_such() {
    let (address, _) = engine(|_| (200, "{}".to_owned()));
    let docker = Docker::connect(Some(&address)).await.unwrap();
    let here = docker.here().await.map(|here| format!("tcp://{here}"));
    assert_eq!(here, Some(address));
}

#[tokio::test]
async fn an_error_inside_of_a_successful_pull_is_an_error() {
    let stream = concat!(
        "{\"status\":\"Pulling from web\"}\r\n",
        "{\"errorDetail\":{\"message\":\"unexpected EOF\"},\"error\":\"unexpected EOF\"}\r\n",
        "{\"status\":\"Status: all is well\"}\r\n"
    );
    let docker = connected(|_| (200, stream.to_owned())).await;
    let error = docker.pull(&image(), &mut |_| ()).await.unwrap_err();
    assert_eq!(error.trouble, RegistryTrouble::Broken);
    assert!(error.to_string().contains("unexpected EOF"), "{error}");
}

#[tokio::test]
async fn a_pull_with_a_line_that_is_no_json_is_an_error() {
    let docker = connected(|_| (200, "{\"status\":\"Pulling\"}\r\n{\"sta!\r\n".to_owned())).await;
    assert!(docker.pull(&image(), &mut |_| ()).await.is_err());
}

#[tokio::test]
async fn none_there_is_a_value_and_what_is_no_json_an_error_with_its_path() {
    let docker = connected(|line| match line {
        line if line.contains("absent") => (404, message("No such container: absent")),
        _ => (200, "<html>".to_owned()),
    })
    .await;
    assert_eq!(docker.container("absent").await, Ok(None));
    let error = docker.container("odd").await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Unexpected(why) if why.contains("/containers/odd/json")),
        "{error}"
    );
}

#[tokio::test]
async fn a_rename_that_was_done_before_is_done() {
    let docker = connected(|line| match line {
        line if line.starts_with("POST") => {
            (400, message("Renaming a container with the same name"))
        }
        _ => (200, json!({ "Name": "/web" }).to_string()),
    })
    .await;
    assert_eq!(docker.rename("abc", "web").await, Ok(()));
    assert!(matches!(
        docker.rename("abc", "other").await,
        Err(EngineError::Refused { status: 400, .. })
    ));
}

#[tokio::test]
async fn a_removal_under_way_is_waited_for() {
    let looked = Mutex::new(0);
    let docker = connected(move |line| {
        if line.starts_with("DELETE") {
            return (
                409,
                message("removal of container abc is already in progress"),
            );
        }
        let mut looked = looked.lock().unwrap();
        *looked += 1;
        if *looked < 3 {
            (200, "{}".to_owned())
        } else {
            (404, message("No such container: abc"))
        }
    })
    .await;
    assert_eq!(docker.remove("abc").await, Ok(()));
}

#[tokio::test]
async fn an_image_goes_with_its_last_tag_and_stays_with_any_other() {
    let (address, asked) = engine(|line| match line {
        line if line.contains("/images/tagged/json") => {
            (200, json!({ "RepoTags": ["octo-org/web:v1"] }).to_string())
        }
        line if line.starts_with("GET") => (200, json!({ "RepoTags": [] }).to_string()),
        line if line.contains("/images/used?") => (409, message("image is being used")),
        _ => (200, "[]".to_owned()),
    });
    let docker = Docker::connect(Some(&address)).await.unwrap();
    for id in ["tagged", "used", "free"] {
        assert_eq!(docker.remove_unnamed(id).await, Ok(()));
    }
    let removals: Vec<String> = asked
        .lock()
        .unwrap()
        .iter()
        .filter(|line| line.starts_with("DELETE"))
        .cloned()
        .collect();
    assert_eq!(removals.len(), 2, "{removals:?}");
    assert!(removals.iter().all(|line| line.contains("force=false")));
}

#[tokio::test]
async fn a_container_that_cannot_be_inspected_is_known_by_what_the_list_tells() {
    let docker = connected(|line| match line {
        line if line.contains("/containers/json") => {
            let broken = json!({
                "Id": "broken", "Names": ["/web/db", "/vpn"], "State": "running", "Labels": { "a": "b" },
                "HostConfig": { "NetworkMode": "container:web" }
            });
            let all = [broken, json!({ "Id": "whole" }), json!({ "Id": "vanished" })];
            (200, Value::from_iter(all).to_string())
        }
        line if line.contains("/containers/broken/") => (500, message("layer does not exist")),
        line if line.contains("/containers/whole/") => (200, json!({ "Id": "whole" }).to_string()),
        _ => (404, message("No such container")),
    })
    .await;
    let all = docker.containers().await.unwrap();
    let broken = json!({
        "Id": "broken", "Name": "/vpn", "State": { "Status": "running", "Running": true },
        "Config": { "Labels": { "a": "b" } }, "HostConfig": { "NetworkMode": "container:web" }
    });
    assert_eq!(all, [broken, json!({ "Id": "whole" })]);
}

#[tokio::test]
async fn a_removal_that_fails_for_a_moment_is_tried_again() {
    let tries = Mutex::new(0);
    let docker = connected(move |_| {
        let mut tries = tries.lock().unwrap();
        *tries += 1;
        match *tries {
            1 | 2 => (500, message("device or resource busy")),
            3 => (204, String::new()),
            _ => (404, message("No such container: abc")),
        }
    })
    .await;
    assert_eq!(docker.remove("abc").await, Ok(()));
}

#[tokio::test]
async fn a_fraction_of_a_second_to_stop_is_never_an_immediate_kill() {
    let (address, asked) = engine(|_| (204, String::new()));
    let docker = Docker::connect(Some(&address)).await.unwrap();
    for ms in [1, 500, 1000, 1001] {
        let grace = Duration::from_millis(ms);
        docker.stop("abc", Some(grace)).await.unwrap();
    }
    let graces: Vec<String> = asked
        .lock()
        .unwrap()
        .iter()
        .map(|line| line.split_once('?').unwrap().1.to_owned())
        .collect();
    assert_eq!(graces, ["t=1", "t=1", "t=1", "t=2"]);
}

#[tokio::test]
async fn a_container_that_is_never_to_be_killed_has_ten_minutes_and_any_other_its_own_time() {
    for (own, sent) in [
        (json!(-1), Some("t=600")),
        (json!(0), None),
        (json!(90), None),
        (Value::Null, None),
    ] {
        let shown = json!({ "Config": { "StopTimeout": own } }).to_string();
        let (address, asked) = engine(move |line| match line {
            line if line.starts_with("GET") => (200, shown.clone()),
            _ => (204, String::new()),
        });
        let docker = Docker::connect(Some(&address)).await.unwrap();
        docker.stop("abc", None).await.unwrap();
        let asked = asked.lock().unwrap();
        let stop = asked.last().unwrap();
        let query = stop.split_once('?').map(|(_, query)| query);
        assert_eq!(query, sent, "{own}: {stop}");
    }
}

#[tokio::test]
async fn a_policy_that_is_refused_for_a_moment_is_set_all_the_same() {
    let (address, asked) = {
        let tries = Mutex::new(0);
        engine(move |_| {
            let mut tries = tries.lock().unwrap();
            *tries += 1;
            if *tries < 3 {
                (500, message("cannot update a stopped container"))
            } else {
                (200, "{}".to_owned())
            }
        })
    };
    let docker = Docker::connect(Some(&address)).await.unwrap();
    assert_eq!(
        docker.set_policy("abc", &json!({ "Name": "no" })).await,
        Ok(())
    );
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_policy_that_a_proxy_refuses_to_set_is_set_when_it_was_that_one_before() {
    let docker = connected(|line| match line {
        line if line.starts_with("POST") => (403, message("Forbidden")),
        _ => {
            let policy = json!({ "Name": "always", "MaximumRetryCount": 0 });
            let host = json!({ "HostConfig": { "RestartPolicy": policy } });
            (200, host.to_string())
        }
    })
    .await;
    let same = json!({ "MaximumRetryCount": 0, "Name": "always" });
    assert_eq!(docker.set_policy("abc", &same).await, Ok(()));
    assert!(matches!(
        docker.set_policy("abc", &json!({ "Name": "no" })).await,
        Err(EngineError::Refused { status: 403, .. })
    ));
}

#[tokio::test]
async fn a_proxy_that_does_not_reach_the_engine_and_one_that_was_updated_count_as_a_lost_engine() {
    for (status, words, is_loss) in [
        (502, "Bad Gateway", true),
        (503, "<html>No server is available</html>", true),
        (504, "Gateway Time-out", true),
        (
            400,
            "client version 1.41 is too old. Minimum supported API version is 1.44",
            true,
        ),
        (400, "Renaming a container with the same name", false),
        (403, "Forbidden", false),
        (404, "No such container: abc", false),
        (500, "device or resource busy", false),
    ] {
        let docker = connected(move |_| (status, message(words))).await;
        let typed = docker.start("abc").await.unwrap_err();
        assert_eq!(typed.is_loss(), is_loss, "{typed}");
        let raw = docker.rename("abc", "web").await.unwrap_err();
        assert_eq!(raw.is_loss(), is_loss, "{raw}");
    }
}

#[tokio::test]
async fn an_engine_that_breaks_off_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().flatten().for_each(drop));
    let error = Docker::connect(Some(&address)).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(&address), "{error}");
}

#[test]
fn a_login_is_sent_in_the_alphabet_that_engines_read_and_is_not_shown() {
    let request = hyper::Request::builder()
        .uri("http://engine/images/create")
        .header("X-Registry-Auth", "ab+/+w==");
    let request = request
        .body(bollard::body_full(hyper::body::Bytes::new()))
        .unwrap();
    let request = repaired(request, "/v1.41");
    let login = request.headers().get("x-registry-auth").unwrap();
    assert_eq!(login, "ab-_-w==");
    assert!(!format!("{login:?}").contains("ab-_"), "{login:?}");
}

/// A container that is on the networks as `networks` says; what it is asked to do succeeds.
async fn joined(networks: Value) -> Vec<String> {
    let (address, asked) = engine(move |line| match line.starts_with("GET") {
        true => {
            let shown = json!({ "NetworkSettings": { "Networks": networks } });
            (200, shown.to_string())
        }
        false => (200, String::new()),
    });
    let docker = Docker::connect(Some(&address)).await.unwrap();
    let endpoint = json!({ "Aliases": ["api", "web"] });
    let place = |network: &str| crate::spec::Connect {
        network: network.to_owned(),
        endpoint: endpoint.clone(),
    };
    docker
        .join("abc", &[place("front"), place("back")])
        .await
        .unwrap();
    let asked = asked.lock().unwrap();
    let changes = asked.iter().filter(|line| line.starts_with("POST"));
    changes
        .map(|line| line.trim_start_matches("POST /v1.41/networks/").to_owned())
        .collect()
}

#[tokio::test]
async fn a_container_is_given_names_on_its_networks_once_whatever_was_done_before() {
    let with = |aliases: &[&str]| json!({ "Aliases": aliases });
    let new = json!({ "front": with(&["0123456789ab"]), "back": { "Aliases": null } });
    let all = [
        "front/disconnect",
        "front/connect",
        "back/disconnect",
        "back/connect",
    ];
    assert_eq!(joined(new).await, all);
    let in_between = json!({ "back": with(&["api"]) });
    assert_eq!(joined(in_between).await, all[1..]);
    let done = with(&["api", "web", "0123456789ab"]);
    let by_id =
        json!({ "front": done, "renamed": { "NetworkID": "back", "Aliases": ["web", "api"] } });
    assert_eq!(joined(by_id).await, Vec::<String>::new());
}
