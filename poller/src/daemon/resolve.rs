//! Taking note that an operator has seen to a service, and saying what is left for them to tidy up.

use towline_protocol::ServiceName;

use super::Declined;
use crate::{
    settings::{Settings, Work},
    status::leftovers,
    store::Store,
};

/// Lets `service` be deployed again. Returns what is to be said about it, with the containers of an earlier deploy that
/// are still there. A service that the host's file does not name is resolved only if it needs it.
///
/// # Errors
/// [`Declined::Unknown`] and [`Declined::Store`]: nothing has changed.
pub async fn resolve(
    store: &mut Store,
    settings: &Settings,
    service: &ServiceName,
    docker_host: Option<&str>,
) -> Result<String, Declined> {
    let mut services = settings.services.iter();
    let known = services.find(|one| one.name == *service);
    if known.is_none() && store.blocked(service)?.is_none() {
        return Err(Declined::Unknown(service.clone()));
    }
    let was_needed = store.resolve(service)?;
    let left = match known.map(|service| &service.work) {
        Some(Work::Docker { container }) => leftovers(docker_host, container).await,
        Some(Work::Parts(_)) | None => Ok(Vec::new()),
    };
    Ok(said(service, was_needed, left))
}

fn said(service: &ServiceName, was_needed: bool, left: Result<Vec<String>, String>) -> String {
    let mut said = if was_needed {
        format!("{service} may be deployed again")
    } else {
        format!("{service} was not waiting for an operator")
    };
    match left {
        Ok(left) if left.is_empty() => {}
        Ok(left) => said.push_str(&format!(
            "; still there from an earlier deploy: {}. When you do not need them any more, remove them with `docker rm`",
            left.join(", ")
        )),
        Err(why) if was_needed => said.push_str(&format!(
            "; what is left of the failed deploy is not known: {why}"
        )),
        Err(_) => {}
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_named_with_what_to_do() {
        let web: ServiceName = "web".parse().unwrap();
        let left = || vec!["web--old-0a1b2c3d (exited)".to_owned()];
        let text = said(&web, true, Ok(left()));
        assert!(
            text.starts_with("web may be deployed again; still there")
                && text.contains("web--old-0a1b2c3d (exited)")
                && text.contains("docker rm"),
            "{text}"
        );
        assert_eq!(said(&web, true, Ok(vec![])), "web may be deployed again");
    }

    #[test]
    fn an_engine_that_does_not_answer_is_told_only_when_something_may_be_left() {
        let web: ServiceName = "web".parse().unwrap();
        let silent = || Err("no answer".to_owned());
        assert!(said(&web, true, silent()).ends_with("is not known: no answer"));
        assert_eq!(
            said(&web, false, silent()),
            "web was not waiting for an operator"
        );
    }
}
