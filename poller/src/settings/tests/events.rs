//! What of a repository deploys a service.

use towline_protocol::Glob;

use super::*;

/// The good file, its service `web` with these lines in place of workflow and branch.
fn web(lines: &str) -> Result<Service, Vec<String>> {
    let text = GOOD.replace("workflow = \"ci.yml\"\nbranch = \"main\"", lines);
    let told =
        |told: Vec<Mistake>| -> Vec<String> { told.iter().map(Mistake::to_string).collect() };
    let settings = Settings::parse(&text, "towline.toml").map_err(told)?;
    let web = settings.services.into_iter().nth(1);
    Ok(web.unwrap())
}

fn events(lines: &str) -> Events {
    web(lines).unwrap().rule.events
}

/// The only mistake.
#[track_caller]
fn told(lines: &str) -> String {
    let mut told = web(lines).unwrap_err();
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

fn globs(names: &[&str]) -> Vec<Glob> {
    names.iter().map(|name| Glob::new(*name)).collect()
}

#[test]
fn without_on_it_is_workflow_runs_alone() {
    let runs = RunRule {
        workflow: "ci.yml".to_owned(),
        branches: globs(&["main"]),
    };
    let expected = Events {
        runs: Some(runs),
        ..Events::default()
    };
    let keys = "workflow = \"ci.yml\"\nbranch = \"main\"";
    assert_eq!(events(keys), expected);
    assert_eq!(events(&format!("on = \"workflow\"\n{keys}")), expected);
    assert_eq!(events(&format!("on = [\"workflow\"]\n{keys}")), expected);
}

#[test]
fn each_kind_takes_the_keys_that_are_its_own() {
    let pushes = events("on = \"push\"\nbranch = [\"main\", \"release/*\"]").pushes;
    let branches = globs(&["main", "release/*"]);
    let tags = vec![];
    assert_eq!(pushes, Some(PushRule { branches, tags }));
    let packages = events("on = \"package\"\ntag = \"v*\"").packages;
    let tags = globs(&["v*"]);
    assert_eq!(packages, Some(PackageRule { tags }));
    let releases = events("on = \"release\"").releases;
    let any = ReleaseRule {
        tags: vec![],
        prerelease: false,
    };
    assert_eq!(releases, Some(any));
    let releases = events("on = \"release\"\ntag = \"v2.*\"\nprerelease = true").releases;
    let some = ReleaseRule {
        tags: globs(&["v2.*"]),
        prerelease: true,
    };
    assert_eq!(releases, Some(some));
    let deployments = events("on = \"deployment\"\nenvironment = \"the shop, live\"").deployments;
    let rule = DeploymentRule {
        environments: globs(&["the shop, live"]),
        branches: vec![],
    };
    assert_eq!(deployments, Some(rule));
}

#[test]
fn several_kinds_share_their_keys_and_nothing_else_counts() {
    let both = events("on = [\"push\", \"deployment\"]\nbranch = \"main\"\nenvironment = \"live\"");
    let branches = globs(&["main"]);
    assert_eq!(both.pushes.unwrap().branches, branches);
    assert_eq!(both.deployments.unwrap().branches, branches);
    assert_eq!(
        (both.runs, both.packages, both.releases),
        (None, None, None)
    );
}

#[test]
fn with_nothing_of_the_repository_manual_intents_are_left_unless_they_are_refused() {
    assert!(events("on = []").is_empty());
    assert!(told("on = []\nmanual = false").contains("nothing could ever deploy it"));
}

#[test]
fn a_word_that_on_does_not_know_is_told_with_those_that_it_does() {
    let expected =
        r#"expected "workflow", "push", "package", "release" or "deployment", or a list of these"#;
    for (on, found) in [
        ("\"workflow_run\"", "\"workflow_run\""),
        ("[\"push\", \"pull_request\"]", "\"pull_request\""),
        ("true", "true"),
        ("[[\"push\"]]", "a value of type array"),
    ] {
        let told = told(&format!("on = {on}\nworkflow = \"ci.yml\""));
        let wanted = format!("towline.toml:8: service.web.on: {expected}, found {found}");
        assert_eq!(told, wanted);
    }
}

#[test]
fn a_key_that_is_missing_for_its_kind_is_told() {
    for (lines, key) in [
        ("on = \"workflow\"\nbranch = \"main\"", "workflow"),
        ("on = \"workflow\"\nworkflow = \"ci.yml\"", "branch"),
        ("on = \"push\"", "branch"),
        ("on = \"package\"", "tag"),
        ("on = \"deployment\"", "environment"),
        ("on = [\"package\", \"push\"]\nbranch = \"main\"", "tag"),
    ] {
        let told = told(lines);
        let wanted = format!("service.web.{key}: is missing");
        assert!(told.contains(&wanted), "{lines}: {told}");
    }
}

#[test]
fn a_key_that_nothing_in_on_heeds_is_told_because_it_would_keep_nothing_out() {
    let runs = "workflow = \"ci.yml\"\nbranch = \"main\"";
    for (lines, key, by) in [
        (
            &format!("{runs}\ntag = \"v*\"")[..],
            "tag",
            r#""push", "package" or "release""#,
        ),
        (
            &format!("{runs}\nenvironment = \"live\""),
            "environment",
            r#""deployment""#,
        ),
        (
            &format!("{runs}\nprerelease = true"),
            "prerelease",
            r#""release""#,
        ),
        (
            "on = \"release\"\nbranch = \"main\"",
            "branch",
            r#""workflow", "push" or "deployment""#,
        ),
        (
            "on = \"push\"\nbranch = \"main\"\nworkflow = \"ci.yml\"",
            "workflow",
            r#""workflow""#,
        ),
        (
            "on = []\nbranch = \"main\"",
            "branch",
            r#""workflow", "push" or "deployment""#,
        ),
    ] {
        let told = told(lines);
        let wanted = format!("service.web.{key}: counts only with `on` = {by}");
        assert!(told.ends_with(&wanted), "{lines}: {told}");
    }
}

#[test]
fn a_channel_for_manual_intents_has_none_of_the_keys() {
    for line in [
        "on = \"push\"",
        "branch = \"main\"",
        "tag = \"v*\"",
        "environment = \"live\"",
        "prerelease = true",
    ] {
        let found = after(
            "channel = \"tools\"",
            &format!("channel = \"tools\"\n{line}"),
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("is for a `repository`"), "{found:?}");
    }
}

#[test]
fn a_branch_that_git_does_not_allow_is_told_with_what_was_meant() {
    let branch = |branch: &str| told(&format!("workflow = \"ci.yml\"\nbranch = {branch}"));
    let full = branch("\"refs/heads/main\"");
    assert!(
        full.contains("expected the branch's name alone, \"main\""),
        "{full}"
    );
    for impossible in [
        "refs/tags/v1",
        "main dev",
        "^main$",
        "v[0-9]",
        "feature/",
        "/main",
        "a..b",
        "-main",
        "main?",
        "x.lock",
    ] {
        let told = branch(&format!("{impossible:?}"));
        assert!(told.contains("no branch is called"), "{impossible}: {told}");
    }
    assert!(branch("[\"main\", 7]").contains("found 7"));
    for possible in [
        "feature/*",
        "*",
        "v1.*",
        "ünïcode",
        "a@b",
        "main,dev",
        "#12",
    ] {
        let lines = format!("workflow = \"ci.yml\"\nbranch = {possible:?}");
        assert_eq!(events(&lines).runs.unwrap().branches, globs(&[possible]));
    }
}

#[test]
fn a_tag_that_can_never_come_is_told() {
    let tag = |tag: &str| told(&format!("on = \"release\"\ntag = {tag}"));
    let full = tag("\"refs/tags/v1\"");
    assert!(
        full.contains("expected the tag's name alone, \"v1\""),
        "{full}"
    );
    for impossible in ["release/*", "v 1", ".x", "^v", "é", &"x".repeat(129)] {
        let told = tag(&format!("{impossible:?}"));
        assert!(
            told.contains("leaves other tags alone"),
            "{impossible}: {told}"
        );
    }
    assert!(tag("[]").contains("found an empty list"));
    assert!(told("on = \"deployment\"\nenvironment = \" \"").contains("expected an environment"));
}

/// What is told of an image's placeholder for a service with these lines.
fn of_image(tag: &str, lines: &str) -> Vec<String> {
    let image = format!("image = \"ghcr.io/octo-org/web:{tag}\"");
    let text = GOOD
        .replace("image = \"ghcr.io/octo-org/web:sha-{short_sha}\"", &image)
        .replace("workflow = \"ci.yml\"\nbranch = \"main\"", lines);
    let parsed = Settings::parse(&text, "towline.toml");
    let told = parsed.err().unwrap_or_default();
    told.iter().map(Mistake::to_string).collect()
}

#[test]
fn a_placeholder_that_something_never_fills_is_told() {
    let runs = "workflow = \"ci.yml\"\nbranch = \"main\"";
    let pushes = "on = \"push\"\nbranch = \"main\"";
    let both = "on = \"push\"\nbranch = \"main\"\ntag = \"v*\"";
    let deployments = "on = \"deployment\"\nenvironment = \"live\"";
    for (tag, lines, who) in [
        ("{tag}", runs, "a workflow run"),
        ("{run_number}", pushes, "a push"),
        ("{tag}", pushes, "the push of a branch"),
        ("{tag}", both, "the push of a branch"),
        ("{branch}", both, "the push of a tag"),
        ("x-{branch}", "on = \"release\"", "a release"),
        ("{sha}-{run_number}", "on = \"release\"", "a release"),
        ("{tag}", deployments, "a deployment"),
        ("{run_number}", deployments, "a deployment"),
    ] {
        let told = of_image(tag, lines);
        assert_eq!(told.len(), 1, "{tag}, {lines}: {told:?}");
        assert!(told[0].contains("service.web.image: {"), "{told:?}");
        assert!(
            told[0].contains(&format!("never known for {who}")),
            "{told:?}"
        );
    }
}

#[test]
fn a_placeholder_that_everything_may_fill_is_fine() {
    for (tag, lines) in [
        (
            "{branch}-{short_sha}-{run_number}",
            "workflow = \"ci.yml\"\nbranch = \"main\"",
        ),
        ("{tag}", "on = \"release\""),
        ("{sha}", "on = \"release\""),
        ("{tag}", "on = [\"push\", \"release\"]\ntag = \"v*\""),
        ("{branch}", "on = \"push\"\nbranch = \"main\""),
        ("{tag}", "on = \"package\"\ntag = \"v*\""),
        ("{tag}", "on = []"),
        ("{sha}", "on = \"deployment\"\nenvironment = \"live\""),
    ] {
        let told = of_image(tag, lines);
        assert!(told.is_empty(), "{tag}, {lines}: {told:?}");
    }
}

#[test]
fn published_images_need_the_name_of_the_one_that_counts() {
    let lines = "on = \"package\"\ntag = \"v*\"";
    let text = GOOD
        .replace("image = \"ghcr.io/octo-org/web:sha-{short_sha}\"\n", "")
        .replace("workflow = \"ci.yml\"\nbranch = \"main\"", lines);
    let told = mistakes(&text);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("service.web.image: is missing: which of the repository's images"),
        "{told:?}"
    );
}
