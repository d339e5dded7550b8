//! The pages, each with what it takes for granted, and what must have come of it.

use std::process::Command;

use anyhow::{Result, ensure};
use towline_tests::{
    checkout::Checkout,
    docker::{docker, push},
};

use crate::world::World;

/// The commit that the pages name.
const COMMIT: &str = "8d1e6f0c52f2a4c0b7d9a3e15f64c2b8a9d07e31";

/// The last line that was printed must be this.
#[track_caller]
fn ends_with(said: &str, wanted: &str) {
    assert_eq!(said.lines().last().map(str::trim), Some(wanted), "{said}");
}

/// Done in a world whose engine is to be left without the containers and volumes of the page.
fn tidied(said: Result<String>) -> Result<String> {
    for name in ["web", "stack-api-1", "stack-db-1"] {
        docker(&["rm", "--force", "--volumes", name])?;
    }
    said
}

#[test]
fn commands() -> Result<()> {
    let world = World::of("docs/guides/command.md")?;
    let last = format!(
        "asked octo-org/site --sha {COMMIT}\ntowline once\ncat /srv/site/current/index.html\n"
    );
    ends_with(&world.done("", &last)?, &format!("commit {COMMIT}"));
    Ok(())
}

#[test]
fn containers() -> Result<()> {
    let world = World::of("docs/guides/containers.md")?;
    push("octo-org/web", "main", "ok")?;
    push("octo-org/web", "sha-8d1e6f0", "ok")?;
    let last = format!(
        "asked octo-org/web --sha {COMMIT}\ntowline once\ncurl --silent http://127.0.0.1:8080/health\n"
    );
    ends_with(&tidied(world.done("", &last))?, "toy sha-8d1e6f0");
    Ok(())
}

#[test]
fn projects() -> Result<()> {
    let mut world = World::of("docs/guides/compose.md")?;
    for tag in ["latest", COMMIT] {
        push("octo-org/api", tag, "ok")?;
    }
    let database = push("postgres", "17", "ok")?;
    let (image, _) = database.split_once('@').unwrap_or_default();
    world.means("postgres:17", &format!("{image}:17"));
    let last = format!(
        "towline check\nasked octo-org/stack --sha {COMMIT}\ntowline once\ncurl --silent http://127.0.0.1:8080/health\n"
    );
    ends_with(&tidied(world.done("", &last))?, &format!("toy {COMMIT}"));
    Ok(())
}

/// Without the login, which goes over https alone.
#[test]
fn checkouts() -> Result<()> {
    let mut world = World::of("docs/guides/git.md")?;
    let update = [("update.sh", "#!/bin/sh\necho $TOWLINE_SHA >built\n")];
    let code = Checkout::new(&update)?;
    let server = code.over_http()?;
    let address = "https://github.com/octo-org/app.git";
    world.means(address, &format!("{}/origin.git", server.url));
    world.means(", credential_file = \"/etc/towline/app.login\"", "");
    let sha = code.commit("the next", &[("VERSION", "2")])?;
    let deploy = format!("towline check\nasked octo-org/app --sha {sha}\ntowline once\n");
    world.before("git -C /srv/app status", &deploy);
    let said = world.done("", "cat /srv/systemctl /srv/app/built\n")?;
    ensure!(
        said.contains("HEAD detached at") && said.contains("\nrestart app\n"),
        "{said}"
    );
    ends_with(&said, &sha);
    Ok(())
}

#[test]
fn backups() -> Result<()> {
    let mut world = World::of("docs/guides/backups.md")?;
    let migrate = [(
        "scripts/update.sh",
        "#!/bin/sh\necho migrated >/srv/nutricount/data/visits\n",
    )];
    let code = Checkout::new(&migrate)?;
    let server = code.over_http()?;
    let first = format!(
        "sudo -u pi git clone {}/origin.git /home/pi/nutricount\n\
         install -d -o pi -g pi /srv/nutricount /srv/nutricount/data\n\
         echo first | sudo -u pi tee /srv/nutricount/data/visits",
        server.url
    );
    let sha = code.commit("the next", &[("VERSION", "2")])?;
    let deploy = format!(
        "asked octo-org/nutricount --sha {sha}\ntowline once\ncat /srv/nutricount/data/visits\n"
    );
    world.before("sudo towline backups", &deploy);
    world.means(
        "20261121T221500Z-3484a3f.tar.gz",
        "$(ls /var/lib/towline/backups/nutricount)",
    );
    let said = world.done(&first, "echo; cat /srv/nutricount/data/visits\n")?;
    ensure!(
        said.contains("\nmigrated\n") && said.contains("srv/nutricount/data/visits"),
        "{said}"
    );
    ends_with(&said, "first");
    Ok(())
}

/// A poller that is there, and that the relay knows of a moment later.
const RUN: &str = "towline run --interval 1s &\npoller=$!\ntrap 'kill $poller' EXIT\n\
    until towline status | grep '^doorbell: connected'; do sleep 1; done\nsleep 1";
const WEB: &str =
    "docker run --detach --name web --publish 127.0.0.1:8080:8080 $REGISTRY/octo-org/web:main\n";

#[test]
fn deploys_by_hand() -> Result<()> {
    let mut world = World::of("docs/guides/redeploy.md")?;
    for tag in ["main", "v2"] {
        push("octo-org/web", tag, "ok")?;
    }
    let intent = "in_tg4psyhzwjpb46d4i3apvchtou";
    world.means(intent, "$(cat ~/intent)");
    world.serves("[service.web]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\ndocker = { container = \"web\" }\n");
    let run = format!("{WEB}{RUN}");
    world.before(
        "towline follow",
        "asked octo-org/web --image $REGISTRY/octo-org/web:v2 >~/intent",
    );
    let said = tidied(world.done(&run, "curl --silent http://127.0.0.1:8080/health\n"))?;
    ensure!(said.contains("pi web: unchanged"), "{said}");
    ensure!(said.lines().any(|line| line.trim() == "toy v2"), "{said}");
    Ok(())
}

#[test]
fn units() -> Result<()> {
    let analyze = Command::new("systemd-analyze").arg("--version").output();
    ensure!(
        analyze.is_ok(),
        "no systemd-analyze to verify units with: install systemd"
    );
    let world = World::of("docs/guides/systemd.md")?;
    let first = "install -D -m 755 /bin/true /home/pi/nutricount/serve\n\
                 install -m 644 docs/examples/towline.service /etc/systemd/system/\n";
    let said = world.done(first, "cat /srv/systemctl\n")?;
    ends_with(&said, "enable --now nutricount.socket");
    Ok(())
}

#[test]
fn first_steps() -> Result<()> {
    let mut world = World::of("README.md")?;
    for tag in ["main", "sha-8d1e6f0", "v2"] {
        push("your-org/web", tag, "ok")?;
    }
    world.means("COMMIT", COMMIT);
    world.means("target/release/towline", "towline");
    let web = WEB.replace("octo-org", "your-org");
    let first = format!(
        "{web}cp docs/examples/towline.service \"$WORLD\"/bin/towline \"$WORLD\"/home\ncd ~\ncp ../token pi.token\n"
    );
    world.before("towline deploy", RUN);
    let said = tidied(world.done(&first, "curl --silent http://127.0.0.1:8080/health\n"))?;
    ensure!(said.lines().any(|line| line.trim() == "toy v2"), "{said}");
    Ok(())
}
