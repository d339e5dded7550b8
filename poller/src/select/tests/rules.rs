//! Which intents a service's rule lets in.

use super::*;

#[test]
fn a_rule_lets_in_its_workflow_by_name_or_path_and_its_branches_only() {
    let host = "pi".parse().unwrap();
    let by_name = service("");
    let verdict = |change: &dyn Fn(&mut Intent)| {
        let mut intent = intent(7, 1);
        change(&mut intent);
        matches(&host, &by_name, &intent)
    };
    let of_run = |change: &dyn Fn(&mut RunSource)| {
        verdict(&|intent| {
            if let Source::WorkflowRun(run) = &mut intent.source {
                change(run);
            }
        })
    };
    assert_eq!(verdict(&|_| {}), Match::Yes);
    assert_eq!(
        verdict(&|i| i.revision.branch = Some("release/2".to_owned())),
        Match::Yes
    );
    assert_eq!(
        verdict(&|i| i.revision.branch = Some("main2".to_owned())),
        Match::No
    );
    assert_eq!(verdict(&|i| i.revision.branch = None), Match::No);
    assert_eq!(
        verdict(&|i| i.revision.tag = Some("main".parse().unwrap())),
        Match::No
    );
    assert_eq!(
        verdict(&|i| i.channel = "octo-org/other".parse().unwrap()),
        Match::No
    );
    assert_eq!(
        verdict(&|i| i.hosts = vec!["nas".parse().unwrap()]),
        Match::No
    );
    assert_eq!(verdict(&|i| i.hosts = vec![host.clone()]), Match::Yes);
    assert_eq!(
        verdict(&|i| i.service = Some("api".parse().unwrap())),
        Match::No
    );
    assert_eq!(verdict(&|i| i.source = Source::Unknown), Match::No);
    assert_eq!(
        of_run(&|run| run.workflow = "ci.yml".to_owned()),
        Match::Yes
    );
    assert_eq!(
        of_run(&|run| run.workflow = ".github/workflows/x/ci.yml".to_owned()),
        Match::No
    );
    assert_eq!(
        of_run(&|run| run.workflow = ".github/workflows/xci.yml".to_owned()),
        Match::No
    );
    assert_eq!(
        of_run(&|run| run.repository = "mallory/web".to_owned()),
        Match::No
    );
}

#[test]
fn a_manual_intent_may_name_a_service_and_an_image_and_can_be_refused_by_the_file() {
    let host = "pi".parse().unwrap();
    let mut wanted = manual(1);
    wanted.service = Some("web".parse().unwrap());
    wanted.image = Some(Image {
        reference: Some("registry.example/web:v2".to_owned()),
        digest: None,
    });
    assert_eq!(matches(&host, &service(""), &wanted), Match::Yes);
    assert_eq!(matches(&host, &service(""), &manual(1)), Match::Yes);
    let Match::Refused(reason) = matches(&host, &service("manual = false"), &wanted) else {
        panic!("not refused");
    };
    assert_eq!(reason, "towline.toml:8: manual = false in [service.web]");
}

#[test]
fn an_order_for_another_image_is_refused_and_what_waits_keeps_its_turn() {
    let mut host = Host::new("image = \"ghcr.io/octo-org/web:{sha}\"");
    host.receive([intent(7, 1)]).work(Outcome::Waiting);
    let ordered = |seq, reference: &str| Intent {
        image: Some(Image {
            reference: Some(reference.to_owned()),
            digest: None,
        }),
        ..manual(seq)
    };
    let others = ["ghcr.io/octo-org/api:v1", "web:v1", "no image"];
    let seqs = 2..;
    host.receive(seqs.zip(others).map(|(seq, name)| ordered(seq, name)));
    let selection = host.work(Outcome::Waiting);
    assert_eq!(selection.apply.map(|one| one.seq), Some(1));
    for (settled, name) in selection.settled.iter().zip(others) {
        let why = format!(
            "towline.toml:3: [service.web]: the image is {name:?}, and the service's is ghcr.io/octo-org/web"
        );
        assert_eq!(
            (settled.outcome, &settled.message),
            (Outcome::Refused, &why)
        );
    }
    assert_eq!(selection.settled.len(), others.len());
    host.receive([ordered(5, "ghcr.io/octo-org/web:v1")]);
    let selection = host.choose();
    assert_eq!(selection.apply.map(|one| one.seq), Some(5));
    assert_eq!(selection.settled[0].outcome, Outcome::Superseded);
}

#[test]
fn an_intent_for_the_service_by_name_that_the_rule_does_not_allow_is_refused_and_told() {
    let mut forged = intent(7, 1);
    forged.service = Some("web".parse().unwrap());
    forged.revision.branch = Some("evil".to_owned());
    let mut host = Host::new("");
    let selection = host.receive([forged]).work(Outcome::Succeeded);
    assert_eq!(selection.settled[0].outcome, Outcome::Refused);
    assert!(
        selection.settled[0].message.starts_with("towline.toml:3:"),
        "{}",
        selection.settled[0].message
    );
    assert_eq!(host.applied, [0u64; 0]);
}
