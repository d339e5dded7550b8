//! What the engine says of a service's container, looked at before anything is touched.

use std::collections::BTreeMap;

use towline_protocol::ServiceName;

use super::Found;
use crate::{apply::inspect_service, docker::Docker, plan::Observed, settings::Service};

/// What was found of the container of `service`, and the name of the image that it was made from. `taken` has the services
/// whose containers were found before.
pub(super) async fn look<'a>(
    engine: &Docker,
    service: &'a Service,
    taken: &mut BTreeMap<String, &'a ServiceName>,
) -> (Found, Option<String>) {
    let mut found = Found::default();
    match inspect_service(engine, service).await {
        Ok(observed) => {
            found.line("container", Ok(about_container(&observed)));
            if let Some(other) = taken.insert(observed.id().to_owned(), &service.name) {
                found.problem(&format!("service {other} has the same container"));
            }
            (found, Some(observed.reference().to_owned()))
        }
        Err(error) => {
            found.line("container", Err(error.to_string()));
            (found, None)
        }
    }
}

fn about_container(observed: &Observed) -> String {
    let digest = observed
        .digest()
        .map_or(String::new(), |digest| format!(" at {digest}"));
    let state = if observed.runs() {
        "runs"
    } else {
        "does not run, and will not be started"
    };
    let (name, reference) = (observed.name(), observed.reference());
    format!("{name} {state}, made from {reference}{digest}")
}
