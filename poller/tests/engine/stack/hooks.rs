//! A project's hooks: in which of its containers they run, and what follows from their ends.

use towline_protocol::Outcome;

use super::deployed::{Deployed, service};

impl Deployed {
    /// The same project with this hook.
    fn hooked(&mut self, key: &str, hook: &str) {
        self.service = service(&self.stack, &format!("hooks = {{ {key} = {hook} }}\n"));
    }

    fn release_all(&self, version: &str) {
        self.stack.release("api", version);
        self.stack.release("worker", version);
    }
}

const ENV: &str = "{ exec = [\"/toy\", \"env\"], service = \"worker\" }";

#[tokio::test]
async fn a_hook_of_a_project_runs_in_the_service_that_it_names_and_is_passed_over_where_none_runs()
{
    let mut deployed = Deployed::new("hooked").await;
    deployed.hooked("before", ENV);
    // Nothing runs yet, in which it could be executed.
    let applied = deployed.deploy().await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{applied:?}");

    let (before, worker) = (deployed.seen().await, deployed.stack.only("worker").await);
    deployed.release_all("v2");
    let refused = deployed.deploy().await;
    assert_eq!(refused.outcome, Outcome::FailedUntouched, "{refused:?}");
    let host = format!("HOSTNAME={}", &worker.id[..12]);
    assert!(refused.log_tail.contains(&host), "{refused:?}");
    assert_eq!(deployed.seen().await, before);

    deployed.hooked("after", ENV);
    let back = deployed.deploy().await;
    assert_eq!(back.outcome, Outcome::RolledBack, "{back:?}");
    assert!(back.log_tail.contains("HOSTNAME="), "{back:?}");
    assert!(!back.log_tail.contains(&host), "{back:?}");
    assert_eq!(deployed.seen().await, before);

    let unknown = "{ exec = [\"/toy\", \"env\"], service = \"workr\" }";
    deployed.hooked("before", unknown);
    let refused = deployed.deploy().await;
    assert_eq!(refused.outcome, Outcome::Refused, "{refused:?}");
    assert_eq!(
        refused.message,
        "hooks.before.service: the project has no service \"workr\"; it has api, worker"
    );

    deployed.hooked(
        "after",
        "{ exec = [\"/toy\", \"health\"], service = \"api\" }",
    );
    deployed.release_all("v3");
    let applied = deployed.deploy().await;
    assert_eq!(applied.outcome, Outcome::Succeeded, "{applied:?}");
}
