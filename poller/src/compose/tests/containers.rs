//! What a project's containers say about it.

use std::collections::BTreeMap;

use serde_json::json;

use crate::compose::{
    Container, Mend, Placed, Resolved, beside, had_ended, half_made, mends, missing, strayed,
    unchanged,
};

fn container(name: &str, service: &str, image: &str) -> Container {
    Container {
        id: format!("id-{name}"),
        name: name.to_owned(),
        service: service.to_owned(),
        image: image.to_owned(),
        reference: "w:live".to_owned(),
        hash: "01".to_owned(),
        runs: true,
        was_started: true,
        is_done: false,
        is_to_stay: false,
    }
}

/// As Compose leaves one that it has made and not named yet.
fn half(name: &str) -> Container {
    Container {
        runs: false,
        was_started: false,
        ..container(name, "web", "new")
    }
}

#[test]
fn a_half_made_container_goes_where_the_old_one_is_and_gets_its_name_where_it_is_gone() {
    let (id, to) = ("id-0123456789ab_s-web-1".to_owned(), "s-web-1".to_owned());
    let half = half("0123456789ab_s-web-1");
    let beside = [half.clone(), container("s-web-1", "web", "old")];
    assert!(half_made(&beside).is_some());
    assert_eq!(half_made(&beside[1..]), None);
    assert_eq!(mends(&beside), [Mend::Remove { id: id.clone() }]);
    assert_eq!(mends(&[half]), [Mend::Rename { id, to }]);
}

#[test]
fn of_two_half_made_containers_one_gets_the_name() {
    let two = [half("0123456789ab_s-web-1"), half("ba9876543210_s-web-1")];
    let kinds = mends(&two).into_iter();
    let is_rename = |mend: Mend| matches!(mend, Mend::Rename { .. });
    assert_eq!(kinds.map(is_rename).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn whatever_was_started_or_is_called_otherwise_is_nobodys_leftover() {
    let started = container("0123456789ab_s-web-1", "web", "new");
    let others = [
        started,
        half("0123_s-web-1"),
        half("0123456789ag_s-web-1"),
        half("s-web-1"),
    ];
    assert_eq!(mends(&others), []);
}

fn resolved() -> Resolved {
    let config = json!({ "name": "s", "services": {
        "web": { "image": "w:live", "scale": 2 }, "job": { "image": "j:live" }, "db": { "image": "d" },
    } });
    let named = ["web".to_owned(), "job".to_owned()];
    let resolved = Resolved::read(&config, &named).unwrap();
    resolved.with_hashes("web 01\njob 01\ndb 99\n").unwrap()
}

#[test]
fn nothing_is_to_be_done_when_all_that_is_wanted_is_there_and_runs_or_is_done() {
    let images = [("web", "w1"), ("job", "j1")];
    let images: BTreeMap<_, _> = images.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    let job = Container {
        runs: false,
        is_done: true,
        ..container("s-job-1", "job", "j1")
    };
    let web = |number| container(&format!("s-web-{number}"), "web", "w1");
    let there = [web(1), web(2), job.clone()];
    assert!(unchanged(&resolved(), &there, &images));

    assert!(!unchanged(&resolved(), &there[1..], &images), "one of two");
    let mut other = there.clone();
    other[0].image = "w0".to_owned();
    assert!(!unchanged(&resolved(), &other, &images), "another image");
    let mut other = there.clone();
    other[1].hash = "02".to_owned();
    assert!(!unchanged(&resolved(), &other, &images), "other settings");
    let mut other = there;
    other[2].is_done = false;
    assert!(!unchanged(&resolved(), &other, &images), "it failed");
}

#[test]
fn whoever_brings_the_project_up_or_down_meanwhile_is_noticed() {
    let images: BTreeMap<_, _> = [("web".to_owned(), "w1".to_owned())].into();
    let (web, job) = (
        container("s-web-1", "web", "w1"),
        container("s-job-1", "job", "any"),
    );
    let whole = [web, job];
    assert_eq!(strayed(&resolved().wanted, &whole, &images), None);
    let words = strayed(&resolved().wanted, &whole[..1], &images).unwrap();
    assert!(words.starts_with("job has no container"), "{words}");
    let mut other = whole;
    other[0].image = "w0".to_owned();
    let words = strayed(&resolved().wanted, &other, &images).unwrap();
    assert!(words.starts_with("s-web-1 has another image"), "{words}");
}

#[test]
fn what_ran_before_is_missed_by_service_and_image_and_not_by_container() {
    let now = [
        container("s-web-2", "web", "w0"),
        container("s-db-1", "db", "d1"),
    ];
    assert_eq!(
        missing([("web", "w0", true), ("job", "j", false)], &now),
        None
    );
    let words = missing(
        [("web", "w0", true), ("web", "w0", true), ("db", "d0", true)],
        &now,
    );
    let words = words.unwrap();
    assert!(
        words.contains("web (1 of 2 containers run the image w0"),
        "{words}"
    );
    assert!(words.contains("db (0 of 1"), "{words}");
}

#[test]
fn only_what_the_deploy_has_brought_is_beside_what_was_there() {
    let names = ["web", "new", "job", "idle", "others"];
    let now = names.map(|service| container(service, service, "i"));
    let before = [
        ("web", "old", true),
        ("job", "old", false),
        ("idle", "i", false),
    ];
    let found: Vec<_> = beside(&before, &names[..4], &now).collect();
    assert_eq!(found, [&now[1], &now[2]]);
}

#[test]
fn what_is_in_place_counts_what_is_to_stay_of_the_services_that_were_wanted() {
    let job = Container {
        runs: false,
        is_done: true,
        ..container("s-job-1", "job", "one")
    };
    let now = [
        job,
        container("s-web-1", "web", "two"),
        container("s-web-2", "web", "two"),
        container("s-other-1", "other", "three"),
    ];
    let placed = Placed::of("s", &["job", "web"].map(str::to_owned), &now, |_| false);
    let each = placed.services.iter();
    let each: Vec<_> = each
        .map(|(name, one)| (name.as_str(), one.image.as_str(), one.containers))
        .collect();
    assert_eq!(each, [("job", "one", 0), ("web", "two", 2)]);
}

/// A job that is done, an api that publishes a port, and a worker that nothing tells from a job.
fn trio() -> [Container; 3] {
    let job = ended(container("s-job-1", "job", "one"));
    let api = Container {
        is_to_stay: true,
        ..container("s-api-1", "api", "two")
    };
    [job, api, container("s-worker-1", "worker", "three")]
}

/// The same with status 0.
fn ended(container: Container) -> Container {
    Container {
        runs: false,
        is_done: true,
        ..container
    }
}

#[test]
fn what_is_surely_no_job_is_missed_and_the_rest_only_when_nothing_runs_any_more() {
    let wanted = ["job", "api", "worker"].map(str::to_owned);
    let missed = |placed: &Placed, is_up| {
        let missed = wanted.iter().filter(|one| placed.is_missed(one, is_up));
        missed.cloned().collect::<Vec<_>>()
    };
    let first = Placed::of("s", &wanted, &trio(), |_| false);
    assert_eq!(missed(&first, true), ["api"]);
    assert_eq!(missed(&first, false), ["api", "worker"]);
    let ran = |service: &str| service != "api";
    let later = Placed::of("s", &wanted, &trio(), ran);
    assert_eq!(missed(&later, true), ["api", "worker"], "no job that ended");
    let kept = serde_json::to_value(&later).unwrap();
    assert_eq!(serde_json::from_value::<Placed>(kept).unwrap(), later);
}

#[test]
fn only_what_had_ended_when_the_project_was_left_in_place_is_left_alone() {
    let wanted = ["job", "api", "worker"].map(str::to_owned);
    let now = trio();
    let placed = Placed::of("s", &wanted, &now, |_| false);
    let is_left = |now: &[Container]| had_ended(Some(&placed), &wanted, now);
    assert!(is_left(&now));
    for at in [1, 2] {
        let mut stopped = now.clone();
        stopped[at] = ended(stopped[at].clone());
        assert!(!is_left(&stopped), "{}", stopped[at].service);
    }
    assert!(!had_ended(None, &wanted, &now), "nobody knows what it was");
    assert!(had_ended(None, &wanted[1..], &now), "the job is not wanted");
}
