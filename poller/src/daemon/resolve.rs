//! Taking note that an operator has seen to a service, and saying what is left for them to tidy up.

use towline_protocol::ServiceName;

use super::Declined;
use crate::{
    backup::Shelf,
    settings::{Parts, Settings, Work},
    status::{CheckoutStatus, Seen, Sought, leftovers, look},
    store::Store,
};

/// Lets `service` be deployed again. Returns what is to be said about it: the containers of an earlier deploy that are still
/// there, and what is in place of a service that is no container. A service that the host's file does not name is resolved only if it needs it.
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
        return Err(Declined::unknown(service, settings));
    }
    let was_needed = store.resolve(service)?;
    let left = match known.map(|service| &service.work) {
        Some(Work::Docker { container, .. }) => {
            let left = leftovers(docker_host, container).await;
            about_containers(was_needed, left)
        }
        Some(Work::Parts(parts)) if was_needed => {
            let seen = look(docker_host, &[Sought::Parts(parts.clone(), None)]).await;
            let shelf = Shelf::of(store.dir(), service.clone());
            let backup = shelf
                .names()
                .ok()
                .and_then(|names| names.into_iter().next());
            let backup = backup.map(|name| shelf.archive(&name).display().to_string());
            about_parts(service, parts, &seen, backup.as_deref())
        }
        Some(Work::Parts(_)) | None => String::new(),
    };
    Ok(said(service, was_needed) + &left)
}

fn said(service: &ServiceName, was_needed: bool) -> String {
    if was_needed {
        format!("{service} may be deployed again")
    } else {
        format!("{service} was not waiting for an operator")
    }
}

fn about_containers(was_needed: bool, left: Result<Vec<String>, String>) -> String {
    match left {
        Ok(left) if left.is_empty() => String::new(),
        Ok(left) => format!(
            "; still there from an earlier deploy: {}. When you do not need them any more, remove them with `docker rm`",
            left.join(", ")
        ),
        Err(why) if was_needed => {
            format!("; what is left of the failed deploy is not known: {why}")
        }
        Err(_) => String::new(),
    }
}

/// What is in place of a service made of parts, as far as that can be seen; `backup` is its newest one.
fn about_parts(service: &ServiceName, parts: &Parts, seen: &Seen, backup: Option<&str>) -> String {
    let shown = seen.services.first();
    let checkout = shown.and_then(|shown| shown.checkout.as_ref());
    let containers = shown.and_then(|shown| shown.containers.as_ref());
    let mut said = Vec::new();
    said.extend(checkout.map(about_checkout));
    said.extend(containers.map(|containers| {
        let each = containers.iter().map(|one| {
            let name = one.observed.name.as_deref().unwrap_or(&one.service);
            format!("{name} ({})", one.observed.state)
        });
        let each: Vec<_> = each.collect();
        let none = if each.is_empty() { "none" } else { "" };
        format!("the project's containers are {}{none}", each.join(", "))
    }));
    said.extend(
        seen.engine
            .as_ref()
            .map(|why| format!("its containers are not known: {why}")),
    );
    if parts.command.is_some() {
        said.push("how far its commands came only you can see".to_owned());
    }
    said.extend(
        backup.map(|backup| format!("its newest backup is {backup} (`towline restore {service}`)")),
    );
    said.iter().map(|part| format!("; {part}")).collect()
}

fn about_checkout(checkout: &CheckoutStatus) -> String {
    let path = &checkout.path;
    match (&checkout.commit, &checkout.trouble) {
        (Some(commit), None) => {
            let changed = if checkout.changes.is_empty() {
                String::new()
            } else {
                format!(", with changes of {}", checkout.changes.join(", "))
            };
            format!("the checkout {path} is at {}{changed}", commit.short())
        }
        (Some(commit), Some(trouble)) => {
            format!(
                "the checkout {path} is at {}, and {trouble}",
                commit.short()
            )
        }
        (None, trouble) => {
            let why = trouble.as_deref().unwrap_or("nothing is known of it");
            format!("the checkout {path}: {why}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Shown;

    fn web() -> ServiceName {
        "web".parse().unwrap()
    }

    #[test]
    fn what_is_left_is_named_with_what_to_do() {
        let text = about_containers(true, Ok(vec!["web--old-0a1b2c3d (exited)".to_owned()]));
        assert!(
            text.starts_with("; still there")
                && text.contains("web--old-0a1b2c3d (exited)")
                && text.contains("docker rm"),
            "{text}"
        );
        assert_eq!(about_containers(true, Ok(vec![])), "");
        assert_eq!(said(&web(), true), "web may be deployed again");
    }

    #[test]
    fn an_engine_that_does_not_answer_is_told_only_when_something_may_be_left() {
        let silent = || Err("no answer".to_owned());
        assert!(about_containers(true, silent()).ends_with("is not known: no answer"));
        assert_eq!(about_containers(false, silent()), "");
        assert_eq!(said(&web(), false), "web was not waiting for an operator");
    }

    #[test]
    fn what_is_in_place_of_a_checkout_and_its_commands_is_told_with_the_way_to_its_data() {
        let text = "[relay]\nurl = \"https://towline.example.workers.dev\"\n[service.web]\nrepository = \"octo-org/web\"\n\
                    workflow = \"ci.yml\"\nbranch = \"main\"\ngit = { path = \"/srv/app\" }\ncommand = { run = [\"./update\"] }\n";
        let settings = Settings::parse(text, "towline.toml").unwrap();
        let Work::Parts(parts) = &settings.services[0].work else {
            panic!("it is made of parts");
        };
        let checkout = |changes: &[&str], commit: Option<&str>| CheckoutStatus {
            path: "/srv/app".to_owned(),
            commit: commit.map(|sha| sha.parse().unwrap()),
            branch: None,
            changes: changes.iter().map(|path| (*path).to_owned()).collect(),
            trouble: commit.is_none().then(|| "git is missing".to_owned()),
        };
        let told = |checkout, backup| {
            let shown = Shown {
                checkout: Some(checkout),
                ..Shown::default()
            };
            let seen = Seen {
                engine: None,
                services: vec![shown],
            };
            about_parts(&web(), parts, &seen, backup)
        };
        let sha = Some(crate::testing::SHA);
        assert_eq!(
            told(checkout(&["app.py"], sha), Some("/backups/one.tar.gz")),
            "; the checkout /srv/app is at 3484a3f, with changes of app.py; how far its commands came only you can see; \
             its newest backup is /backups/one.tar.gz (`towline restore web`)"
        );
        let unknown = told(checkout(&[], None), None);
        assert!(
            unknown.starts_with("; the checkout /srv/app: git is missing;"),
            "{unknown}"
        );
    }
}
