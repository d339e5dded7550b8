//! `towline check --plan`: what it says is what the deploy that follows does, and nothing is touched before.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt, path::Path};

use super::{
    checkouts::{APP, UPDATE, World, text},
    commands::{ask_for, commit, host},
    taken_back::at_b,
    *,
};

impl Host {
    /// What `check --plan` of this commit says, and its status and complaint.
    pub(crate) fn plan(&self, sha: &str, more: &[&str]) -> (String, i32, String) {
        let arguments = [&["check", "--plan", sha], more].concat();
        let output = self.command(&arguments).output().unwrap();
        let said = String::from_utf8(output.stdout.clone()).unwrap();
        let (status, log) = ended(output);
        (said, status, log)
    }
}

/// The names of the numbered steps in a plan.
fn names(plan: &str) -> Vec<&str> {
    let step = |line: &'_ str| -> Option<usize> { line.trim().split_once(". ")?.0.parse().ok() };
    let lines = plan.lines().filter(|line| step(line).is_some());
    lines
        .map(|line| line.split_once(". ").unwrap().1.split_once(':').unwrap().0)
        .collect()
}

/// Every file below `folder`, with its content, mode and time of change.
fn files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let content = match meta.is_file() {
                true => fs::read(&path).unwrap(),
                false => Vec::new(),
            };
            if meta.is_dir() {
                folders.push(path.clone());
            }
            let stamp = (content, meta.mode(), meta.mtime(), meta.mtime_nsec());
            all.insert(path, stamp);
        }
    }
    all
}

#[test]
fn a_plan_names_the_steps_of_the_deploy_that_follows_and_touches_nothing() {
    let world = World::new(&format!("{APP}env = {{ PASSWORD = \"correct-horse\" }}\n"));
    let first = world.head();
    let second = world.commit(&UPDATE.replace("-e", "-f"));
    assert_eq!(world.deploy(1, &second).0, 0);
    let new = world.commit(UPDATE);
    let seen = |name| files(&world.host.path(name));
    let before = [seen("state"), seen("app"), seen("data")];
    assert!(!before[0].is_empty() && !before[1].is_empty());

    let (said, status, log) = world.host.plan(&new, &[]);
    assert_eq!((status, log.as_str()), (0, ""), "{said}");
    assert!(
        [seen("state"), seen("app"), seen("data")] == before,
        "{said}"
    );
    for part in [
        format!("web (command): commit {} of branch main", &new[..7]),
        "not fetched yet".to_owned(),
        format!("check out {} in ", &new[..7]),
        format!("(now {})", &second[..7]),
        format!("TOWLINE_SHA={new}"),
        format!("TOWLINE_PREVIOUS_SHA={second}"),
        "and PASSWORD of command.env".to_owned(),
        format!("check out {} in ", &second[..7]),
        "restore ".to_owned(),
    ] {
        assert!(said.contains(&part), "{part} is not in {said}");
    }
    assert!(
        !said.contains("correct-horse") && !said.contains(&first[..7]),
        "{said}"
    );

    let (status, log, told) = world.deploy(2, &new);
    assert_eq!(status, 0, "{log}");
    let times = told["steps"].as_array().unwrap().iter();
    let times: Vec<_> = times.map(|step| text(step, "step")).collect();
    assert_eq!(names(&said), times, "{said}");

    let (said, status, log) = world.host.plan(&new, &[]);
    assert_eq!((status, log.as_str()), (0, ""), "{said}");
    assert!(
        said.contains("unchanged: ") && names(&said).is_empty(),
        "{said}"
    );
    let (said, status, _) = world.host.plan(&second, &[]);
    assert!(
        status == 0 && said.contains("which is here already"),
        "{said}"
    );
}

#[test]
fn a_plan_refuses_what_the_deploy_would_refuse_in_its_words() {
    let world = World::new(APP);
    let new = world.commit(UPDATE);
    world.host.script("app/update", "changed here");
    let (said, status, log) = world.host.plan(&new, &[]);
    assert_eq!(
        (status, log.as_str()),
        (1, "towline: 1 problem\n"),
        "{said}"
    );
    let (_, _, told) = world.deploy(1, &new);
    let why = text(&told, "message");
    assert!(
        why.contains("update") && said.contains(why),
        "{why} is not in {said}"
    );
    let (said, status, _) = world.host.plan(&new, &["--branch", "next"]);
    assert!(
        status == 1 && said.contains("it would not be accepted") && said.contains("is \"next\""),
        "{said}"
    );
}

#[test]
fn a_plan_of_a_commit_that_the_remote_does_not_have_says_so_and_writes_nothing() {
    let world = World::new(APP);
    world.git("work", &["checkout", "-q", "-b", "next"]);
    world.git(
        "work",
        &["commit", "-q", "--allow-empty", "-m", "elsewhere"],
    );
    world.git("work", &["push", "-q", "../srv/app.git", "next"]);
    let elsewhere = world.git("work", &["rev-parse", "HEAD"]);
    world.git("work", &["checkout", "-q", "main"]);
    let older = world.commit(&UPDATE.replace("-e", "-f"));
    let newest = world.commit(UPDATE);
    let seen = || files(&world.host.path("app"));
    let before = seen();
    let nowhere = "0".repeat(40);
    for (sha, why) in [
        (&nowhere, format!("main is {}", &newest[..7])),
        (
            &elsewhere,
            format!("commit {} is not on main of ", &elsewhere[..7]),
        ),
    ] {
        let (said, status, _) = world.host.plan(sha, &[]);
        assert!(status == 1 && said.contains(&why), "{said}");
    }
    let (said, status, _) = world.host.plan(&older, &[]);
    assert!(
        status == 0 && !said.contains("is not known before"),
        "{said}"
    );
    assert!(seen() == before, "{said}");
    let (_, _, told) = world.deploy(1, &elsewhere);
    let why = format!("commit {} is not on main of ", &elsewhere[..7]);
    assert!(text(&told, "message").contains(&why), "{told}");
}

#[test]
fn a_plan_says_what_only_a_fetch_can_tell() {
    let world = World::new(APP);
    let older = world.commit(&UPDATE.replace("-e", "-f"));
    world.commit(UPDATE);
    let url = world.git("app", &["remote", "get-url", "origin"]);
    let whole = world.host.path("app");
    fs::rename(&whole, world.host.path("whole")).unwrap();
    world.git(".", &["clone", "-q", "--depth=1", url.trim(), "app"]);
    let (said, status, _) = world.host.plan(&older, &[]);
    let open = "whether it is there, on a branch of the rule, is not known before, since the history here is cut off";
    assert!(status == 0 && said.contains(open), "{said}");
    fs::remove_dir_all(&whole).unwrap();
    fs::rename(world.host.path("whole"), &whole).unwrap();
    world.git("app", &["commit", "-q", "--allow-empty", "-m", "made here"]);
    let local = world.head();
    let (said, status, _) = world.host.plan(&local, &[]);
    let why = format!("commit {} is not on main of ", &local[..7]);
    assert!(status == 1 && said.contains(&why), "{said}");
}

#[test]
fn a_plan_tells_that_the_way_back_of_a_first_deploy_knows_no_commit() {
    let command = "[service.web.command]\nrun = [\"true\"]\nrollback = [\"true\"]\n";
    let host = Host::with(1, command);
    let (said, _, _) = host.plan(&"a".repeat(40), &[]);
    assert!(
        said.contains("`rollback` has no TOWLINE_SHA then"),
        "{said}"
    );
    let world = World::new(&format!("{APP}rollback = [\"true\"]\n"));
    let next = world.commit(UPDATE);
    let (said, _, _) = world.host.plan(&next, &[]);
    assert!(
        said.contains("way back: ") && !said.contains("has no TOWLINE_SHA"),
        "{said}"
    );
}

#[test]
fn a_plan_of_commands_needs_neither_engine_nor_state_nor_relay_and_tells_where_nothing_leads_back()
{
    let host = Host::with(
        1,
        "[service.web.command]\nrun = [\"true\", \"two words\"]\n",
    );
    let sha = "a".repeat(40);
    let (said, status, log) = host.plan(&sha, &["--service", "web"]);
    assert_eq!((status, log.as_str()), (0, ""), "{said}");
    assert_eq!(names(&said), ["run", "gate"], "{said}");
    assert!(said.contains("1. run: true \"two words\""), "{said}");
    let none = "way back: none: after a failure an operator is needed";
    assert!(said.contains(none), "{said}");
    assert!(said.contains("gate: nothing checks it"), "{said}");
    assert!(!host.path("state").exists());
    let (said, status, log) = host.plan(&sha, &["--service", "other"]);
    assert_eq!((said.as_str(), status), ("", 1));
    assert!(log.contains("it names web"), "{log}");
}

#[test]
fn a_plan_says_first_that_an_operator_is_needed_and_ends_as_a_refused_one() {
    let relay = Relay::start();
    let host = host(&relay, "false", "");
    ask_for(&relay, &[commit(1, 'a')]);
    assert_eq!(host.once().0, 4);
    let next = "b".repeat(40);
    let (said, status, log) = host.plan(&next, &[]);
    assert_eq!(
        (status, log.as_str()),
        (1, "towline: 1 problem\n"),
        "{said}"
    );
    let first = said.lines().nth(1).unwrap();
    assert!(
        first.contains("PROBLEM: an operator is needed") && first.contains("towline resolve web"),
        "{said}"
    );
    assert!(names(&said).contains(&"run"), "{said}");
    let resolved = host.command(&["resolve", "web"]).output().unwrap();
    assert!(resolved.status.success());
    let (said, status, _) = host.plan(&next, &[]);
    assert!(status == 0 && !said.contains("PROBLEM"), "{said}");
}

#[test]
fn a_plan_tells_what_an_operator_has_taken_back_and_what_only_a_newer_intent_brings() {
    let relay = Relay::start();
    let host = at_b(&relay);
    let [a, b, c] = ['a', 'b', 'c'].map(|digit| digit.to_string().repeat(40));
    assert_eq!(host.plan(&c, &[]).1, 0);
    let back = host.command(&["rollback", "web"]).output().unwrap();
    assert!(back.status.success(), "{back:?}");
    let mut elsewhere = commit(3, 'b');
    elsewhere["service"] = "other".into();
    ask_for(&relay, &[commit(2, 'b'), elsewhere]);
    let (status, log) = host.once();
    assert_eq!(status, 0, "{log}");

    let (said, status, log) = host.plan(&b, &[]);
    assert_eq!(
        (status, log.as_str()),
        (1, "towline: 2 problems\n"),
        "{said}"
    );
    for part in [
        "PROBLEM: held since ",
        "this commit's intent came before",
        "PROBLEM: in quarantine",
        "was taken back here",
        "towline retry web",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(names(&said).contains(&"run"), "{said}");
    let (said, status, _) = host.plan(&c, &[]);
    assert!(status == 0 && said.contains("held: since "), "{said}");
    let (said, status, _) = host.plan(&a, &[]);
    assert!(status == 0 && said.contains("unchanged: "), "{said}");
}

#[test]
fn a_plan_in_a_partial_clone_has_git_fetch_nothing() {
    let world = World::new(APP);
    world.git("srv/app.git", &["config", "uploadpack.allowFilter", "true"]);
    let url = world.git("app", &["remote", "get-url", "origin"]);
    fs::remove_dir_all(world.host.path("app")).unwrap();
    let clone = ["clone", "-q", "--filter=blob:none", url.trim(), "app"];
    world.git(".", &clone);
    let new = world.commit(&format!("{UPDATE}# newer\n"));
    let seen = || files(&world.host.path("app"));
    let before = seen();
    let (said, status, _) = world.host.plan(&new, &[]);
    assert!(status == 0 && said.contains("not fetched yet"), "{said}");
    assert!(seen() == before, "{said}");
    let (status, log, _) = world.deploy(1, &new);
    assert_eq!((status, world.head()), (0, new), "{log}");
}
