//! What the engine says of a service's containers, looked at before anything is touched.

use std::collections::BTreeMap;

use towline_protocol::ServiceName;

use super::Found;
use crate::{
    apply::inspect_service,
    docker::Docker,
    health,
    plan::{Observed, Way, choose_way, own_tag, strayed},
    settings::Service,
};

/// What was found of the containers of `service`, and the name of the image that the first was made from. `taken` has the
/// services whose containers were found before.
pub(super) async fn look<'a>(
    engine: &Docker,
    service: &'a Service,
    taken: &mut BTreeMap<String, &'a ServiceName>,
) -> (Found, Option<String>) {
    let mut found = Found::default();
    match inspect_service(engine, service).await {
        Ok(all) => {
            if all.len() > 1 {
                let words = format!("{} that are replicas of one another", all.len());
                found.line("containers", Ok(words));
            }
            for observed in &all {
                found.line("container", Ok(about_container(observed)));
                about_companions(&mut found, observed);
                if let Some(other) = taken.insert(observed.id().to_owned(), &service.name) {
                    found.problem(&format!("service {other} has the same container"));
                }
                if let Some(why) = unhealthy_forever(service, observed) {
                    found.line("health.docker", Err(why));
                }
                if let Some(way) = way(service, observed) {
                    found.line("strategy", way);
                }
            }
            let reference = all.first().map(|observed| observed.reference().to_owned());
            (found, reference)
        }
        Err(error) => {
            found.line("container", Err(error.to_string()));
            (found, None)
        }
    }
}

/// Those that are replaced with it.
fn about_companions(found: &mut Found, observed: &Observed) {
    let names: Vec<_> = observed
        .with
        .iter()
        .map(|one| one.observed.name())
        .collect();
    if names.is_empty() {
        return;
    }
    match strayed(observed, own_tag(observed).as_ref()) {
        None => found.line("with it", Ok(names.join(", "))),
        Some(refused) => found.line("with it", Err(refused.to_string())),
    }
}

/// Why no version will ever be healthy, as far as the container shows that there is.
fn unhealthy_forever(service: &Service, observed: &Observed) -> Option<String> {
    if !health::asks_for_own(&service.health) || health::has_own(&observed.container) {
        return None;
    }
    let name = observed.name();
    let why = if observed.image.as_ref().is_some_and(health::has_own) {
        format!(
            "{name} turns the healthcheck of its image off, so that no version passes docker = true; make the container \
             without that, or check it by http, tcp or exec"
        )
    } else {
        format!(
            "neither {name} nor its image has a healthcheck, so that no version passes docker = true whose image does not \
             bring one; write a HEALTHCHECK in the Dockerfile, or check it by http, tcp or exec"
        )
    };
    Some(why)
}

/// Whether the new version can be started first, where the host's file asks for that.
fn way(service: &Service, observed: &Observed) -> Option<Result<String, String>> {
    let asked = service.start_first.as_ref()?;
    // An image that is still to come may bring a healthcheck, which nobody should count on.
    let is_checked = !service.health.is_empty() || health::has_own(&observed.container);
    let way = choose_way(Some(asked), observed, None, is_checked);
    Some(match way {
        Ok(Way::StartFirst) => Ok("start-first".to_owned()),
        Ok(Way::StopFirst(None)) => Ok("stop-first, since the container does not run".to_owned()),
        Ok(Way::StopFirst(Some(why))) => Ok(format!("stop-first: {why}")),
        Err(refused) => Err(refused.to_string()),
    })
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
