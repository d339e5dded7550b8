//! A web app in a git checkout with data beside it, as it runs on a Raspberry Pi: relay, binary, git and processes together.

use std::{fs, os::unix::fs::MetadataExt};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use towline_protocol::Role;
use towline_tests::{
    child::Process, git_server::GitServer, github::Delivery, host::Host, http::get, place::toy,
    relay::token, site::Site, user,
};

use crate::{
    relay,
    whole_way::{PATIENCE, queued, reported},
};

/// Puts what the lock file names into a folder that git ignores, and nothing else.
const INSTALL: &str = "#!/bin/sh\nset -e\nrm -rf vendor\nmkdir vendor\n\
    while read -r name version; do echo \"$version\" >\"vendor/$name\"; done <deps.lock\n";
/// Brings a version in place: its dependencies, then its data.
const UPDATE: &str = "#!/bin/sh\nset -e\n./install\n./migrate\n";
/// Adds what the second version needs to the data.
const MIGRATE: &str = "#!/bin/sh\necho \"schema-2\" >>\"$DATA/visits\"\n";
/// Loses what the data were.
const LOSE: &str = "#!/bin/sh\necho \"migrating to schema 3\"\necho schema-3 >\"$DATA/visits\"\n";
/// The third version's data are those of the second.
const KEEP: &str = "#!/bin/sh\n";

/// The app on a host with a poller that runs.
struct Pi {
    site: Site,
    _server: GitServer,
    host: Host,
    towline: Process,
}

impl Pi {
    fn new() -> Result<Self> {
        let files = [
            (".gitignore", "vendor/\n"),
            ("deps.lock", "clock 1.0\n"),
            ("install", INSTALL),
            ("migrate", KEEP),
            ("update", UPDATE),
        ];
        let site = Site::start(&toy()?, "v1", &files, user::other())?;
        let server = site.code.over_http()?;
        assert_eq!(site.page(PATIENCE)?, "toy v1 first");
        let pi = token(Role::Host, "raspberry-pi", &["octo-org/*"])?;
        let host = Host::new(&relay()?.url, &pi, &section(&site))?;
        let mut towline = host.run()?;
        towline.line(PATIENCE, |line| line.contains("running"))?;
        Ok(Self {
            site,
            _server: server,
            host,
            towline,
        })
    }

    /// CI has succeeded on this commit, in its run of this number: how the host says that it ended.
    fn ci_succeeds(&self, number: u64, sha: &str) -> Result<Value> {
        let delivery = Delivery::run(number, sha)?.of("octo-org/site", 741);
        let report = reported(&queued(&delivery)?, "raspberry-pi", "site");
        report.with_context(|| self.towline.output())
    }

    /// Somebody uses the app.
    fn visit(&self) -> Result<()> {
        get(&format!("{}visit", self.site.url()), &[])?;
        Ok(())
    }

    /// What is installed: names and versions.
    fn installed(&self) -> Result<Vec<String>> {
        let mut installed = vec![];
        for file in fs::read_dir(self.site.path("checkout/vendor"))? {
            let file = file?;
            let version = fs::read_to_string(file.path())?;
            let name = file.file_name();
            installed.push(format!("{} {}", name.display(), version.trim()));
        }
        installed.sort();
        Ok(installed)
    }

    /// All that git, the commands, the app and a restored backup have written is its user's.
    fn belongs_to_its_user(&self) -> Result<()> {
        let owner = |name: &str| -> Result<u32> { Ok(fs::metadata(self.site.path(name))?.uid()) };
        let user = owner("checkout")?;
        assert_ne!(user, 0, "root is nobody that a service should run as");
        for written in [
            "checkout/VERSION",
            "checkout/vendor/clock",
            "data",
            "data/visits",
        ] {
            assert_eq!(owner(written)?, user, "{written}");
        }
        Ok(())
    }

    /// The outcomes of its deploys and the commits that they were from and to, the newest first.
    fn history(&self) -> Result<Vec<Value>> {
        let history = self.host.json(&["history"])?;
        let deploys = history["deploys"].as_array().context("no deploys")?;
        let told = |one: &Value| json!([one["outcome"], one["from"]["sha"], one["to"]["sha"]]);
        Ok(deploys.iter().map(told).collect())
    }
}

fn section(site: &Site) -> String {
    let data = site.path("data").display().to_string();
    let user = user::other().map_or_else(String::new, |user| format!("user = {user:?}\n"));
    format!(
        r#"[service.site]
{user}repository = "octo-org/site"
workflow = "ci.yml"
branch = "main"
stable_for = "1s"
git = {{ path = {:?} }}
backup = {{ paths = [{data:?}], restore = true }}
health = [{{ http = {:?}, contains = "toy", within = "6s" }}]

[service.site.command]
run = ["./update"]
rollback = ["./install"]
stop = {:?}
start = {:?}
timeout = "60s"
env = {{ DATA = {data:?} }}
"#,
        site.path("checkout").display().to_string(),
        site.url(),
        site.command("stop"),
        site.command("start"),
    )
}

impl Pi {
    /// The second version has other dependencies and a migration of the data. Returns its commit.
    fn is_updated(&self) -> Result<String> {
        let first = self.site.code.head()?;
        let files = [("deps.lock", "clock 2.0\npump 0.3\n"), ("migrate", MIGRATE)];
        let second = self.site.commit("v2", "ok", &files)?;
        let report = self.ci_succeeds(2, &second)?;
        for (key, told) in [("outcome", "succeeded"), ("gate", "healthy")] {
            assert_eq!(report[key], told, "{report}");
        }
        for (side, commit) in [("from", first), ("to", second.clone())] {
            assert_eq!(report[side]["sha"], commit, "{report}");
        }
        let steps = report["steps"].as_array().into_iter().flatten();
        let steps: Vec<_> = steps.map(|one| one["step"].clone()).collect();
        let all = [
            "fetch", "stop", "backup", "checkout", "run", "start", "gate",
        ];
        assert_eq!(steps, all);
        assert_eq!(self.installed()?, ["clock 2.0", "pump 0.3"]);
        Ok(second)
    }

    /// The third version loses the data, and answers 500. Returns its commit.
    fn survives_a_broken_commit(&self, second: &str) -> Result<String> {
        let files = [("deps.lock", "clock 3.0\n"), ("migrate", LOSE)];
        let broken = self.site.commit("v3", "500", &files)?;
        let report = self.ci_succeeds(3, &broken)?;
        assert_eq!(report["outcome"], "rolled_back", "{report}");
        let text = |key: &str| report[key].as_str().unwrap_or_default().to_owned();
        assert!(text("message").contains("it answered 500"), "{report}");
        assert!(
            text("log_tail").contains("migrating to schema 3"),
            "{report}"
        );
        assert_eq!(self.site.code.head()?, second);
        assert_eq!(self.installed()?, ["clock 2.0", "pump 0.3"]);
        let status = self.host.json(&["status"])?["services"][0].clone();
        for (of, commit) in [("deployed", "sha"), ("checkout", "commit")] {
            assert_eq!(status[of][commit], second, "{status}");
        }
        let failed = json!([format!("commit:{broken}")]);
        assert_eq!(status["quarantined"], failed, "{status}");
        Ok(broken)
    }

    /// The fix is one more commit, which is returned.
    fn gets_the_fix(&self) -> Result<String> {
        let files = [("deps.lock", "clock 3.1\n"), ("migrate", KEEP)];
        let fix = self.site.commit("v4", "ok", &files)?;
        let report = self.ci_succeeds(4, &fix)?;
        assert_eq!(report["outcome"], "succeeded", "{report}");
        assert_eq!(self.installed()?, ["clock 3.1"]);
        Ok(fix)
    }
}

#[test]
fn an_app_with_its_data_is_updated_survives_a_broken_commit_and_gets_the_fix() -> Result<()> {
    let pi = Pi::new()?;
    let first = pi.site.code.head()?;
    pi.visit()?;
    let second = pi.is_updated()?;
    let data = "first,visit,schema-2";
    assert_eq!(pi.site.page(PATIENCE)?, format!("toy v2 {data}"));
    pi.visit()?;
    let broken = pi.survives_a_broken_commit(&second)?;
    assert_eq!(pi.site.page(PATIENCE)?, format!("toy v2 {data},visit"));
    pi.belongs_to_its_user()?;
    let fix = pi.gets_the_fix()?;
    assert_eq!(pi.site.page(PATIENCE)?, format!("toy v4 {data},visit"));
    let told = [
        json!(["succeeded", second, fix]),
        json!(["rolled_back", second, broken]),
        json!(["succeeded", first, second]),
    ];
    assert_eq!(pi.history()?, told, "each was tried once");
    Ok(())
}
