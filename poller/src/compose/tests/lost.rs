//! Whether a `docker compose up` that failed has lost its engine.

use crate::compose::ComposeError;

fn is_loss(said: &str) -> bool {
    let (how, said) = ("ended with status 1".to_owned(), said.to_owned());
    ComposeError::NotUp { how, said }.is_loss()
}

#[test]
fn an_engine_that_goes_away_under_an_up_is_lost_and_one_that_refuses_is_not() {
    for away in [
        " Container web-1 Recreate\nCannot connect to the Docker daemon at unix:///run/docker.sock. Is the docker daemon running?",
        "error during connect: Post \"http://%2Frun%2Fdocker.sock/v1.47/containers/abc/start\": EOF",
        " Container web-1 Stopping\nunexpected EOF",
        "read unix @->/run/docker.sock: read: connection reset by peer",
        "dial unix /run/docker.sock: connect: connection refused",
    ] {
        assert!(is_loss(away), "{away}");
    }
    for refused in [
        "Error response from daemon: driver failed programming external connectivity",
        "Error response from daemon: dial tcp 10.0.0.1:443: connect: connection refused",
        "dependency failed to start: container db-1 is unhealthy",
        "",
    ] {
        assert!(!is_loss(refused), "{refused}");
    }
}
