//! How several containers of one service stand together. Pure.

use towline_protocol::Digest;

use super::{Observed, ServiceStatus, look::nothing};

/// All of them as one: what is wrong with one is wrong with all, and a digest is theirs that each of them has.
pub(super) fn together(all: &[Observed]) -> Observed {
    let unwell = all.iter().find(|one| one.trouble().is_some());
    let is_starting = |one: &&Observed| one.health.as_deref() == Some("starting");
    let shown = unwell.or_else(|| all.iter().find(is_starting));
    let Some(shown) = shown.or(all.first()).cloned() else {
        return nothing("absent");
    };
    let digest = all.first().and_then(|first| first.digest.clone());
    Observed {
        name: None,
        started_at: all.iter().filter_map(|one| one.started_at).max(),
        restarts: all.iter().map(|one| one.restarts).sum(),
        digest: digest.filter(|digest| all.iter().all(|one| one.digest.as_ref() == Some(digest))),
        ..shown
    }
}

/// What is wrong with the first of them that is not well, with its name.
pub(super) fn trouble(all: &[Observed]) -> Option<String> {
    all.iter().find_map(|one| {
        let trouble = one.trouble()?;
        Some(format!("{}: {trouble}", one.called()))
    })
}

impl Observed {
    /// Whether it is as it should be.
    pub fn is_well(&self) -> bool {
        self.trouble().is_none() && self.state != "created"
    }

    fn called(&self) -> &str {
        self.name.as_deref().unwrap_or("a container")
    }
}

impl ServiceStatus {
    /// Which version how many of its containers have, where they do not all have the same.
    pub fn mixed(&self) -> Option<String> {
        let mut versions: Vec<(Option<&Digest>, Vec<&str>)> = Vec::new();
        for one in &self.replicas {
            let digest = one.digest.as_ref();
            match versions.iter_mut().find(|(known, _)| *known == digest) {
                Some((_, names)) => names.push(one.called()),
                None => versions.push((digest, vec![one.called()])),
            }
        }
        if versions.len() < 2 {
            return None;
        }
        let told = versions.iter().map(|(digest, names)| {
            let version = digest.map_or("an unknown version", Digest::short);
            let (has, of) = (names.len(), self.replicas.len());
            format!("{has} of {of} have {version} ({})", names.join(", "))
        });
        Some(told.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::digest;

    fn one(name: &str, state: &str, version: char) -> Observed {
        serde_json::from_value(json!({
            "name": name, "state": state, "health": null, "exit_code": null, "started_at": "2026-11-20T15:00:00Z",
            "restarts": 1, "reference": null, "digest": digest(version)
        }))
        .unwrap()
    }

    fn service(replicas: Vec<Observed>) -> ServiceStatus {
        let service = serde_json::from_value::<ServiceStatus>(json!({
            "name": "web", "container": null, "label": "app=web", "pending": null, "last": null, "observed": null,
            "deployed": { "sha": null, "digest": digest('a'), "intent": null, "since": "2026-11-20T15:00:00Z" }
        }));
        ServiceStatus {
            observed: Some(together(&replicas)),
            replicas,
            ..service.unwrap()
        }
    }

    #[test]
    fn of_several_containers_one_that_is_not_well_is_told_by_its_name() {
        let well = service(vec![
            one("web-1", "running", 'a'),
            one("web-2", "running", 'a'),
        ]);
        assert_eq!((well.trouble(), well.mixed()), (None, None));
        assert_eq!(well.digest(), Some(&digest('a')));
        let unwell = service(vec![
            one("web-1", "running", 'a'),
            one("web-2", "exited", 'a'),
        ]);
        assert_eq!(unwell.trouble().as_deref(), Some("web-2: it ended"));
        let seen = unwell.observed.unwrap();
        assert_eq!((seen.state.as_str(), seen.restarts), ("exited", 2));
    }

    #[test]
    fn where_not_all_have_the_same_version_none_is_told_as_the_services_but_each_with_its_containers()
     {
        let mixed = service(vec![
            one("web-1", "running", 'b'),
            one("web-2", "running", 'a'),
            one("web-3", "running", 'a'),
        ]);
        assert_eq!(mixed.digest(), None);
        assert!(mixed.is_something_else());
        let told = "1 of 3 have bbbbbbbbbbbb (web-1), 2 of 3 have aaaaaaaaaaaa (web-2, web-3)";
        assert_eq!(mixed.mixed().as_deref(), Some(told));
    }
}
