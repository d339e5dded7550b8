//! A container that is replaced.

use anyhow::Result;
use towline_tests::docker::{Web, push};

use crate::story::{PATIENCE, Story};

const SHA: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";

pub(crate) fn show() -> Result<()> {
    let story = Story::begin();
    let relay = story.relay()?;
    push("web", "v1", "ok")?;
    let web = Web::start("web", "v1")?;
    let page = web.page(PATIENCE)?;
    story.tell(&format!("web v1 runs on this host and answers {page:?}"));
    let (_host, mut towline) = story.towline(&relay, &web.section())?;
    let pushed = push("web", "v2", "ok")?;
    let digest = pushed
        .rsplit_once('@')
        .map_or(&*pushed, |(_, digest)| digest);
    let short = digest.get(..19).unwrap_or(digest);
    story.tell(&format!("CI has pushed web v2 as {short}"));

    let intent = story.deliver(&relay, 2, SHA)?;
    let pulled = format!("pulled {digest}");
    let steps = [
        ("picked up", "picked up by the host".to_owned()),
        (&*pulled, format!("pulled by digest, {short}")),
        (
            "started the new container",
            "swapped: the old container waits, the new one has started".to_owned(),
        ),
        (
            "healthy",
            "healthy: the new one answers and has not restarted".to_owned(),
        ),
    ];
    story.follow(&mut towline, &steps)?;
    story.reported(&relay, &intent, "web")?;
    story.end(towline, &web.page(PATIENCE)?, "toy v2")
}
