//! Values that the tests of several modules begin from.

use towline_protocol::{Digest, Intent, IntentId, Revision, RunSource, Source};

use crate::settings::{Service, Settings};

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
