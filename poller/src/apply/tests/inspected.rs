//! Which container an inspection shows, and which of them is refused.

use super::*;

#[tokio::test]
async fn a_stranger_whose_id_begins_like_the_name_is_not_the_container() {
    let answer = |line: &str| match line {
        line if line.contains("/containers/web/") => (200, shown("web0ff", "stranger").to_string()),
        line if line.contains("/containers/json") => (200, "[]".to_owned()),
        _ => (404, json!({ "message": "none" }).to_string()),
    };
    let docker = connected(answer).await;
    let error = inspect_service(&docker, &service("web")).await.unwrap_err();
    assert!(
        matches!(&error, InspectError::Refused(Refusal::Absent(name)) if name == "web"),
        "{error}"
    );
}

#[tokio::test]
async fn the_container_of_that_name_is_the_one() {
    let answer = |line: &str| match line {
        line if line.contains("/containers/web/") => (200, shown("abc", "web").to_string()),
        line if line.contains("/containers/json") => (200, "[]".to_owned()),
        _ => (404, json!({ "message": "none" }).to_string()),
    };
    let docker = connected(answer).await;
    let found = inspect_service(&docker, &service("web")).await.unwrap();
    let ids: Vec<_> = found.iter().map(crate::plan::Observed::id).collect();
    assert_eq!(ids, ["abc"]);
}

#[tokio::test]
async fn the_container_that_publishes_the_engines_port_is_refused() {
    let port = Arc::new(OnceLock::new());
    let published = Arc::clone(&port);
    let (address, _) = engine(move |line| match line {
        line if line.contains("/containers/web/") => {
            let mut shown = shown("abc", "web");
            let binding = json!([{ "HostIp": "0.0.0.0", "HostPort": published.get() }]);
            shown["NetworkSettings"] = json!({ "Ports": { "2375/tcp": binding } });
            (200, shown.to_string())
        }
        line if line.contains("/containers/json") => (200, "[]".to_owned()),
        _ => (404, json!({ "message": "none" }).to_string()),
    });
    port.set(address.rsplit(':').next().map(str::to_owned))
        .unwrap();
    let docker = Docker::connect(Some(&address)).await.unwrap();
    let error = inspect_service(&docker, &service("web")).await.unwrap_err();
    assert!(
        matches!(&error, InspectError::Refused(Refusal::Proxy)),
        "{error}"
    );
}
