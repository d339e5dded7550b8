//! A git checkout that is put at what CI has built, and whose app is restarted by a command.

use std::path::Path;

use anyhow::Result;
use towline_tests::{place::toy, site::Site};

use crate::story::{PATIENCE, Story};

pub(crate) fn show() -> Result<()> {
    let story = Story::begin();
    story.tell(
        "there is neither root nor DOCKER_HOST, so that this shows a git checkout and a command; with one of them it shows containers",
    );
    let relay = story.relay()?;
    let site = Site::start(Path::new(&toy()?), "v1", &[], None)?;
    let page = site.page(PATIENCE)?;
    story.tell(&format!("site v1 runs on this host and answers {page:?}"));
    let (_host, mut towline) = story.towline(&relay, &site.section())?;
    let sha = site.commit("v2", "ok", &[])?;
    let short = sha.get(..7).unwrap_or(&sha);
    story.tell(&format!("v2 is pushed to main as commit {short}"));

    let intent = story.deliver(&relay, 2, &sha)?;
    let steps = [
        ("picked up", "picked up by the host".to_owned()),
        (
            "checked out",
            format!("checked out: the clone is at {short}"),
        ),
        ("healthy", "healthy: the restarted app answers".to_owned()),
    ];
    story.follow(&mut towline, &steps)?;
    story.reported(&relay, &intent, "site")?;
    story.end(towline, &site.page(PATIENCE)?, "toy v2 first")
}
