//! Which pushes, images, releases and deployments a rule lets in.

use towline_protocol::{
    ActionsSource, DeploymentSource, PackageSource, PushSource, ReleaseSource, Revision,
};

use super::*;
use crate::settings::Settings;

const REPOSITORY: &str = "octo-org/web";
const ID: u64 = 1_296_269;

/// The service `web` of octo-org/web, with these keys.
fn on(keys: &str) -> Service {
    let text = format!(
        "[relay]\nurl = \"https://towline.example.workers.dev\"\n[service.web]\nrepository = {REPOSITORY:?}\n\
         docker = {{ container = \"web\" }}\nimage = \"ghcr.io/octo-org/web\"\n{keys}\n"
    );
    let settings = Settings::parse(&text, "towline.toml");
    settings.unwrap().services.remove(0)
}

fn of(source: Source, branch: Option<&str>, tag: Option<&str>) -> Intent {
    let sha = intent(7, 1).revision.sha;
    Intent {
        source,
        revision: Revision {
            sha,
            branch: branch.map(str::to_owned),
            tag: tag.map(|tag| tag.parse().unwrap()),
        },
        ..intent(7, 1)
    }
}

fn push_of(repository: &str) -> Source {
    Source::Push(PushSource {
        repository_id: ID,
        repository: repository.to_owned(),
        actor: None,
        url: None,
    })
}

fn package(reference: &str, tag: &str) -> Intent {
    let source = Source::RegistryPackage(PackageSource {
        repository_id: ID,
        repository: REPOSITORY.to_owned(),
        package: "web".to_owned(),
        tag: tag.to_owned(),
        actor: None,
        url: None,
    });
    Intent {
        image: Some(Image {
            reference: Some(format!("{reference}:{tag}")),
            digest: Some(digest('2')),
        }),
        ..of(source, None, None)
    }
}

fn release(tag: &str, prerelease: bool) -> Intent {
    let source = Source::Release(ReleaseSource {
        repository_id: ID,
        repository: REPOSITORY.to_owned(),
        release_id: 5,
        prerelease,
        actor: None,
        url: None,
    });
    of(source, None, Some(tag))
}

fn deployment(environment: &str, branch: Option<&str>) -> Intent {
    let source = Source::Deployment(DeploymentSource {
        repository_id: ID,
        repository: REPOSITORY.to_owned(),
        deployment_id: 6,
        environment: environment.to_owned(),
        task: "deploy".to_owned(),
        actor: None,
        url: None,
    });
    of(source, branch, None)
}

/// What the rule has against it; nothing when it lets it in.
fn against(service: &Service, intent: &Intent) -> String {
    let said = objection(service, intent);
    let lets_in = matches(&"pi".parse().unwrap(), service, intent);
    assert_eq!(lets_in == Match::Yes, said.is_none());
    said.unwrap_or_default()
}

#[test]
fn a_push_is_let_in_by_its_branch_or_its_tag_and_by_nothing_of_the_other() {
    let branches = on("on = \"push\"\nbranch = [\"main\", \"v*\"]");
    let main = of(push_of(REPOSITORY), Some("main"), None);
    assert_eq!(against(&branches, &main), "");
    let dev = of(push_of(REPOSITORY), Some("dev"), None);
    assert_eq!(
        against(&branches, &dev),
        "the branch is \"dev\", and the rule is for main, v*"
    );
    let tag = of(push_of(REPOSITORY), None, Some("v1"));
    assert_eq!(
        against(&branches, &tag),
        "the tag is \"v1\", and the rule is for no tag"
    );
    let tags = on("on = \"push\"\ntag = \"v*\"");
    assert_eq!(against(&tags, &tag), "");
    let branch = of(push_of(REPOSITORY), Some("v1"), None);
    assert_eq!(
        against(&tags, &branch),
        "the branch is \"v1\", and the rule is for no branch"
    );
    let neither = of(push_of(REPOSITORY), None, None);
    assert!(against(&tags, &neither).contains("neither"));
}

#[test]
fn an_image_is_let_in_by_its_tag_when_it_is_the_services_own() {
    let rule = on("on = \"package\"\ntag = \"v*\"");
    let own = "ghcr.io/octo-org/web";
    assert_eq!(against(&rule, &package(own, "v2")), "");
    assert!(against(&rule, &package(own, "latest")).contains("the tag is \"latest\""));
    for other in [
        "ghcr.io/octo-org/api",
        "ghcr.io/mallory/web",
        "web",
        "Not one",
    ] {
        let said = against(&rule, &package(other, "v2"));
        assert!(
            said.contains("the service's is ghcr.io/octo-org/web"),
            "{said}"
        );
    }
    let mut without = package(own, "v2");
    without.image.as_mut().unwrap().digest = None;
    assert_eq!(against(&rule, &without), "the image has no digest");
    without.image = None;
    assert!(against(&rule, &without).contains("the image is \"\""));
}

#[test]
fn another_image_of_the_repository_does_not_stand_in_the_way_of_the_services_own() {
    let mut host = Host::new("");
    host.service = on("on = \"package\"\ntag = \"v*\"");
    let mut own = package("ghcr.io/octo-org/web", "v2");
    let mut other = package("ghcr.io/octo-org/api", "v2");
    (own.seq, other.seq) = (1, 2);
    other.id = intent(7, 2).id;
    let selection = host.receive([own, other]).work(Outcome::Succeeded);
    assert_eq!(host.applied, [1]);
    assert!(selection.settled.is_empty(), "{selection:?}");
}

#[test]
fn a_release_is_let_in_by_its_tag_and_a_pre_release_only_on_purpose() {
    let any = on("on = \"release\"");
    assert_eq!(against(&any, &release("v1", false)), "");
    assert!(against(&any, &release("v1", true)).contains("prerelease = true"));
    let some = on("on = \"release\"\ntag = \"v2.*\"\nprerelease = true");
    assert_eq!(against(&some, &release("v2.0-rc1", true)), "");
    assert_eq!(against(&some, &release("v2.0", false)), "");
    assert!(against(&some, &release("v1.9", false)).contains("the tag is \"v1.9\""));
    let mut without = release("v2.0", false);
    without.revision.tag = None;
    assert_eq!(against(&some, &without), "the release has no tag");
}

#[test]
fn a_deployment_is_let_in_by_its_environment_and_by_its_branch_where_the_rule_has_one() {
    let live = on("on = \"deployment\"\nenvironment = \"live\"");
    assert_eq!(against(&live, &deployment("live", Some("main"))), "");
    assert_eq!(against(&live, &deployment("live", None)), "");
    assert!(against(&live, &deployment("staging", Some("main"))).contains("environment"));
    assert!(against(&live, &deployment("Live", None)).contains("environment"));
    let main = on("on = \"deployment\"\nenvironment = \"live\"\nbranch = \"main\"");
    assert_eq!(against(&main, &deployment("live", Some("main"))), "");
    assert!(against(&main, &deployment("live", Some("dev"))).contains("the branch is \"dev\""));
    assert_eq!(
        against(&main, &deployment("live", None)),
        "the deployment is of no branch"
    );
}

#[test]
fn a_rule_lets_in_what_it_names_and_nothing_of_another_kind() {
    let intents = [
        (intent(7, 1), "workflow runs"),
        (of(push_of(REPOSITORY), Some("main"), None), "pushes"),
        (package("ghcr.io/octo-org/web", "v1"), "published images"),
        (release("v1", false), "releases"),
        (deployment("live", Some("main")), "deployments"),
    ];
    let rules = [
        "workflow = \"ci.yml\"\nbranch = \"*\"",
        "on = \"push\"\nbranch = \"*\"\ntag = \"*\"",
        "on = \"package\"\ntag = \"*\"",
        "on = \"release\"\nprerelease = true",
        "on = \"deployment\"\nenvironment = \"*\"",
    ];
    for (at, keys) in rules.into_iter().enumerate() {
        let service = on(keys);
        for (of, (intent, what)) in intents.iter().enumerate() {
            let said = against(&service, intent);
            let expected = match at == of {
                true => String::new(),
                false => format!("the rule is not for {what}"),
            };
            assert_eq!(said, expected, "{keys}");
        }
    }
    let manual_only = on("on = []");
    for (intent, _) in &intents {
        assert_eq!(against(&manual_only, intent), "it has manual intents only");
    }
}

#[test]
fn another_repositorys_event_is_never_let_in_whatever_channel_it_comes_on() {
    let rule = on("on = \"push\"\nbranch = \"*\"");
    let forged = of(push_of("mallory/web"), Some("main"), None);
    assert_eq!(against(&rule, &forged), "the push is of \"mallory/web\"");
    let mut own = of(push_of("Octo-Org/Web"), Some("main"), None);
    assert_eq!(against(&rule, &own), "");
    own.channel = "mallory/web".parse().unwrap();
    let host = "pi".parse().unwrap();
    assert_eq!(matches(&host, &rule, &own), Match::No);
}

#[test]
fn a_job_of_github_actions_counts_as_manual() {
    let source = Source::Actions(ActionsSource {
        repository_id: ID,
        repository_owner_id: 1,
        repository: "octo-org/deploy".to_owned(),
        workflow: ".github/workflows/redeploy.yml".to_owned(),
        run_id: 1,
        run_number: 2,
        run_attempt: 1,
        event: "workflow_dispatch".to_owned(),
        actor: None,
        reason: String::new(),
    });
    let asked = of(source, None, None);
    assert_eq!(against(&service(""), &asked), "");
    let host = "pi".parse().unwrap();
    let Match::Refused(why) = matches(&host, &service("manual = false"), &asked) else {
        panic!("not refused");
    };
    assert_eq!(why, "towline.toml:8: manual = false in [service.web]");
}

#[test]
fn of_several_kinds_the_newest_number_wins_and_a_run_is_stale_only_beside_runs() {
    let mut host = Host::new("");
    host.service = on("on = [\"workflow\", \"release\"]\nworkflow = \"ci.yml\"\nbranch = \"main\"");
    let released = |seq| Intent {
        seq,
        id: intent(7, seq).id,
        ..release("v1", false)
    };
    host.receive([of_run(1, 9, 1), released(2)]);
    let first = host.work(Outcome::Succeeded);
    assert_eq!(first.settled[0].outcome, Outcome::Superseded);
    host.receive([of_run(3, 8, 1), released(4)]);
    host.work(Outcome::Succeeded);
    assert_eq!(host.outcome_of(3), Some(Outcome::Stale));
    assert_eq!(host.applied, [2, 4]);
}
