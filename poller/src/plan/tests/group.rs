//! Containers that share a namespace of the one that is replaced, and go with it.

use super::*;

/// The container with these others on the host.
fn among(others: &[Value]) -> Observed {
    let mut observed = observed("ghcr.io/octo-org/web:main");
    observed.all = others.to_vec();
    observed.all.insert(0, observed.container.clone());
    observed
}

fn shares(field: &str, lender: &str) -> Value {
    json!({ (field): format!("container:{lender}") })
}

/// The same, with those that go with it looked at, each on the image of its own tag.
fn accompanied(mut observed: Observed) -> Observed {
    let with = companions(&observed).into_iter().map(|one| {
        let image = one["Image"].as_str().unwrap().to_owned();
        Companion {
            observed: Observed {
                container: one.clone(),
                image: Some(json!({ "Id": image, "Config": {} })),
                all: Vec::new(),
                with: Vec::new(),
                brought: None,
            },
            tagged: Some(image),
            is_well: true,
        }
    });
    observed.with = with.collect();
    observed
}

fn names(observed: &Observed) -> Vec<&str> {
    let names = companions(observed).into_iter();
    names.map(|one| one["Name"].as_str().unwrap()).collect()
}

#[test]
fn those_that_share_a_namespace_by_name_or_id_go_with_it_each_after_the_one_that_it_shares_with() {
    let observed = among(&[
        other("b", shares("IpcMode", "web")),
        other("d", shares("NetworkMode", &"c".repeat(12))),
        other("stranger", shares("NetworkMode", "webber")),
        other("c", shares("PidMode", &ID[..12])),
        other(
            "a",
            json!({ "NetworkMode": format!("container:{ID}"), "PidMode": "container:d" }),
        ),
    ]);
    assert_eq!(names(&observed), ["/b", "/c", "/d", "/a"]);
    assert_eq!(refusal(&observed, None, None), None);
}

#[test]
fn those_that_share_with_each_other_in_a_circle_are_refused() {
    let circle = |own: Value, others: &[Value]| {
        let mut observed = among(others);
        observed.container["HostConfig"] = own.clone();
        observed.all[0] = observed.container.clone();
        let refused = refusal(&observed, None, None).unwrap();
        assert!(companions(&observed).is_empty());
        refused.to_string()
    };
    let a = || {
        other(
            "a",
            json!({ "NetworkMode": "container:web", "PidMode": "container:b" }),
        )
    };
    let b = || other("b", shares("IpcMode", "a"));
    let told = circle(json!({}), &[a(), b()]);
    assert!(
        told.ends_with("in a circle, so that none could be started again: a, b"),
        "{told}"
    );
    let told = circle(
        shares("IpcMode", "a"),
        &[other("a", shares("PidMode", "web"))],
    );
    assert!(told.ends_with(": web, a"), "{told}");
}

#[test]
fn one_that_may_not_be_replaced_itself_is_named_with_whom_it_shares_and_why() {
    let told = |path: [&str; 2], value: Value| {
        let mut last = other("last", shares("PidMode", "vpn"));
        last[path[0]][path[1]] = value;
        let observed = among(&[other("vpn", shares("NetworkMode", "web")), last]);
        refusal(&observed, None, None).map(|refused| refused.to_string())
    };
    let begin = "last, which shares the PID of vpn and would be made anew with it, cannot be: ";
    for (path, value, why) in [
        (
            ["HostConfig", "AutoRemove"],
            json!(true),
            "the container was made with --rm",
        ),
        (["State", "Paused"], json!(true), "the container is paused"),
        (
            ["State", "Dead"],
            json!(true),
            "the container is being removed",
        ),
        (
            ["Config", "Labels"],
            json!({ "com.docker.swarm.task": "" }),
            "the container is a Swarm task",
        ),
        (
            ["HostConfig", "IpcMode"],
            json!("container:gone"),
            "the container shares the IPC of gone, which is gone",
        ),
    ] {
        let told = told(path, value).unwrap();
        let rest = told.strip_prefix(begin);
        // It is named by what it shares first.
        let rest = rest.or_else(|| told.split_once("cannot be: ").map(|(_, rest)| rest));
        assert!(rest.is_some_and(|rest| rest.starts_with(why)), "{told}");
    }
    assert_eq!(told(["State", "Paused"], json!(false)), None);
    let observed = among(&[other("vpn", shares("NetworkMode", "web"))]);
    let own = "vpn".repeat(12);
    let refused = refusal(&observed, Some(&own), None).unwrap().to_string();
    assert!(
        refused.ends_with("this is the container that Towline itself runs in"),
        "{refused}"
    );
}

#[test]
fn one_that_runs_beside_a_stopped_lender_could_not_be_started_and_beside_a_crashing_one_is_tried() {
    let with = |lender: Value, runs: bool| {
        let mut one = other("app", shares("NetworkMode", "web"));
        one["State"] = json!({ "Running": runs });
        let mut observed = among(&[one]);
        observed.container["State"] = lender;
        observed.all[0] = observed.container.clone();
        refusal(&observed, None, None)
    };
    let stopped = with(json!({ "Running": false }), true).unwrap().to_string();
    assert!(
        stopped.starts_with("app, which shares the network of web ")
            && stopped.contains("web, which does not run"),
        "{stopped}"
    );
    assert_eq!(
        with(json!({ "Running": false }), false),
        None,
        "nothing is started"
    );
    assert_eq!(
        with(json!({ "Running": false, "Restarting": true }), true),
        None
    );
}

#[test]
fn each_is_made_from_its_own_image_and_shares_with_the_member_of_the_set_by_its_id() {
    let observed = accompanied(among(&[
        other("app", shares("NetworkMode", "web")),
        other(
            "side",
            json!({ "IpcMode": "container:app", "PidMode": "container:other" }),
        ),
        other("other", json!({})),
    ]));
    let plan = planned(&observed, &new_image(), None).unwrap();
    let members: Vec<_> = plan
        .deploy
        .members
        .iter()
        .map(|one| (one.name.as_str(), one.tag.is_some()))
        .collect();
    assert_eq!(members, [("web", true), ("app", false), ("side", false)]);
    let made: Vec<_> = plan
        .create
        .iter()
        .map(|(made, image)| (made.body.clone(), image.as_str()))
        .collect();
    let [_, (app, app_image), (side, side_image)] = &made[..] else {
        panic!("{made:?}")
    };
    assert_eq!((*app_image, *side_image), ("sha256:app", "sha256:side"));
    assert_eq!(app["Image"], "ghcr.io/octo-org/app:main");
    assert_eq!(app["HostConfig"]["NetworkMode"], format!("container:{ID}"));
    assert_eq!(app["HostConfig"]["RestartPolicy"]["Name"], "no");
    assert_eq!(
        side["HostConfig"]["IpcMode"],
        format!("container:{}", "app".repeat(12))
    );
    assert_eq!(
        side["HostConfig"]["PidMode"], "container:other",
        "a stranger stays as it is named"
    );
}

#[test]
fn one_whose_tag_has_moved_is_refused_and_one_that_is_made_from_the_deployed_tag_goes_with_it() {
    let mut observed = accompanied(among(&[other("app", shares("NetworkMode", "web"))]));
    let tag: Reference = "ghcr.io/octo-org/web:main".parse().unwrap();
    assert_eq!(strayed(&observed, Some(&tag)), None);
    observed.with[0].tagged = Some("sha256:newer".to_owned());
    for tagged in [observed.with[0].tagged.clone(), None] {
        observed.with[0].tagged = tagged;
        let refused = strayed(&observed, Some(&tag)).unwrap().to_string();
        assert!(
            refused.contains("docker tag sha256:app ghcr.io/octo-org/app:main")
                && refused.starts_with("app, "),
            "{refused}"
        );
    }
    observed.with[0].observed.container["Config"]["Image"] = json!("ghcr.io/octo-org/web:main");
    assert_eq!(strayed(&observed, Some(&tag)), None);
    assert_eq!(own_tag(&observed), Some(tag));
    let plan = planned(&observed, &new_image(), None).unwrap();
    assert_eq!(plan.create[1].1, "sha256:new");
    assert!(strayed(&observed, None).is_some(), "no tag is moved");
}
