//! Values that the tests of several modules begin from.

use serde_json::json;
use towline_protocol::{Digest, Intent, IntentId, Revision, RunSource, Side, Source};

use crate::{
    machine::{Deploy, Member},
    settings::{Service, Settings},
    store::JournalEntry,
};

pub(crate) mod net;

/// The commit that the intents name.
pub(crate) const SHA: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";

/// An intent of a run on `main` of octo-org/web, whose run number is its number.
pub(crate) fn intent(epoch: u64, seq: u64) -> Intent {
    Intent {
        id: IntentId::of_key(&format!("{epoch}.{seq}")),
        channel: "octo-org/web".parse().unwrap(),
        epoch,
        seq,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        expires_at: None,
        source: Source::WorkflowRun(run(seq, 1)),
        revision: Revision {
            sha: Some(SHA.parse().unwrap()),
            branch: Some("main".to_owned()),
            tag: None,
        },
        image: None,
        service: None,
        hosts: vec![],
    }
}

/// The beginning of a deploy to `web`, one container that runs.
pub(crate) fn deploy() -> Deploy {
    let member = Member {
        name: "web".to_owned(),
        old: "abc".to_owned(),
        policy: json!({ "Name": "no" }),
        runs: true,
        was_healthy: true,
        was_restarting: false,
        tag: None,
    };
    let side = Side::default();
    Deploy::new("0a1b2c3d".to_owned(), vec![member], side.clone(), side)
}

/// The journal of the deploy 0a1b2c3d of `web`, with this text.
pub(crate) fn journal_entry(body: &str) -> JournalEntry {
    JournalEntry {
        deploy: "0a1b2c3d".to_owned(),
        service: "web".parse().unwrap(),
        intent: intent(1, 1).id,
        attempt: 1,
        body: body.to_owned(),
        on_purpose: None,
        begun: None,
    }
}

/// A digest whose digits are all `digit`.
pub(crate) fn digest(digit: char) -> Digest {
    let digits: String = std::iter::repeat_n(digit, 64).collect();
    format!("sha256:{digits}").parse().unwrap()
}

/// A run of octo-org/web's `ci.yml`.
pub(crate) fn run(run_number: u64, run_attempt: u64) -> RunSource {
    RunSource {
        repository_id: 1_296_269,
        repository: "Octo-Org/Web".to_owned(),
        workflow_id: 77,
        workflow: ".github/workflows/ci.yml".to_owned(),
        run_id: 30_433_642 + run_number,
        run_number,
        run_attempt,
        event: "push".to_owned(),
        actor: Some("octocat".to_owned()),
        url: None,
    }
}

/// The service `web`, with `more` under its header.
pub(crate) fn service(more: &str) -> Service {
    settings(more).services.remove(0)
}

/// A host's file with that service.
pub(crate) fn settings(more: &str) -> Settings {
    let text = format!(
        "[relay]\nurl = \"https://towline.example.workers.dev\"\n[service.web]\nrepository = \"octo-org/web\"\n\
         workflow = \"ci.yml\"\nbranch = [\"main\", \"release/*\"]\ndocker = {{ container = \"web\" }}\n{more}\n"
    );
    Settings::parse(&text, "towline.toml").unwrap()
}

/// What always holds, whatever fails or dies: each is searched for a counterexample, and is shown to find one in a
/// mutant of what it is about. `docs/architecture.md` has the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Property {
    /// 1. At rest exactly one container has the canonical name, and it runs if it should: the new version when nothing
    ///    was in its way.
    AtRest,
    /// 2. Until the commit is on record the old container and its volumes are there, with nothing changed but name,
    ///    restart policy and run state.
    OldKept,
    /// 3. At every instant at most one of a pair has a restart policy, so that the engine starts at most one by itself.
    OneArmed,
    /// 4. A recovery comes to an end, and recovering again ends the same.
    Recovers,
    /// 5. What is reported is what is there.
    Truthful,
    /// 6. What was seen never goes back; an intent's try has one outcome; what was superseded is never applied.
    InOrder,
    /// 7. A replacement from the same image changes nothing, twice; from another one each field is the new default
    ///    where it was the old one, and else stays.
    Faithful,
    /// 8. Containers that are nobody's of ours, and all volumes, are never changed.
    StrangersKept,
    /// 9. A journal that was cut short or changed is noticed, or means the same.
    DamageSeen,
    /// 10. A version that failed here is not tried again by itself.
    NoLoop,
    /// 11. Nothing is begun with a service that is held off, and nothing that came meanwhile is lost by it.
    HeldOff,
    /// 12. An intent is begun with a service only when those before it have taken it, and comes to an end with each.
    Behind,
    /// 13. Start-first each container that ran is served for at every instant, by its old version or by one that has passed
    ///     the gate, and nobody is led to one that has not; rolling, no more are down at once than may be.
    Served,
}

/// The properties that a run has broken, each with how.
pub(crate) type Broken = std::collections::BTreeMap<Property, String>;
