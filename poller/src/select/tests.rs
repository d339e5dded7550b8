use proptest::prelude::*;
use towline_protocol::Image;

use super::*;
use crate::{
    store::Quarantined,
    testing::{digest, intent, run, service},
    uptime::Waited,
};

/// A host with one service, which keeps what was decided as the store does.
struct Host {
    service: Service,
    intents: Vec<Intent>,
    standings: BTreeMap<IntentId, Standing>,
    seen: Option<Seen>,
    hold: Option<Hold>,
    applied: Vec<u64>,
}

impl Host {
    fn new(more: &str) -> Self {
        Self {
            service: service(more),
            intents: vec![],
            standings: BTreeMap::new(),
            seen: None,
            hold: None,
            applied: vec![],
        }
    }

    fn receive(&mut self, intents: impl IntoIterator<Item = Intent>) -> &mut Self {
        self.intents.extend(intents);
        self.intents.sort_by_key(place);
        self
    }

    fn choose(&self) -> Selection {
        select(&Situation {
            host: &"pi".parse().unwrap(),
            service: &self.service,
            intents: &self.intents,
            standings: &self.standings,
            seen: self.seen.as_ref(),
            hold: self.hold.as_ref(),
            now: "2026-11-20T15:00:00Z".parse().unwrap(),
        })
    }

    fn stands(&mut self, id: &IntentId, outcome: Outcome) {
        let standing = Standing {
            attempt: 1,
            outcome,
            since: Timestamp::UNIX_EPOCH,
            waited: Waited::default(),
            again: false,
            interruptions: 0,
            why: String::new(),
        };
        let before = self.standings.insert(id.clone(), standing);
        assert!(
            before.is_none_or(|before| !before.outcome.is_terminal()),
            "two outcomes for {id}"
        );
    }

    /// Chooses, and applies what was chosen with `outcome`.
    fn work(&mut self, outcome: Outcome) -> Selection {
        let selection = self.choose();
        self.seen = Some(selection.seen.clone());
        for settled in &selection.settled {
            self.stands(&settled.intent, settled.outcome);
        }
        if let Some(intent) = &selection.apply {
            self.stands(&intent.id, outcome);
            self.applied.push(intent.seq);
        }
        selection
    }

    fn outcome_of(&self, seq: u64) -> Option<Outcome> {
        let intent = self.intents.iter().find(|intent| intent.seq == seq)?;
        Some(self.standings.get(&intent.id)?.outcome)
    }
}

fn of_run(seq: u64, number: u64, attempt: u64) -> Intent {
    Intent {
        source: Source::WorkflowRun(run(number, attempt)),
        ..intent(7, seq)
    }
}

fn manual(seq: u64) -> Intent {
    Intent {
        source: Source::Manual {
            by: "olga".to_owned(),
            reason: String::new(),
        },
        ..intent(7, seq)
    }
}

#[test]
fn the_newest_wins_and_the_others_are_superseded() {
    let mut host = Host::new("");
    host.receive((1..=3).map(|seq| intent(7, seq)));
    let selection = host.work(Outcome::Succeeded);
    assert_eq!(selection.apply.unwrap().seq, 3);
    assert_eq!(
        [1, 2].map(|seq| host.outcome_of(seq)),
        [Some(Outcome::Superseded); 2]
    );
    assert_eq!(host.work(Outcome::Succeeded).apply, None);
}

#[test]
fn a_service_that_was_taken_back_waits_for_a_newer_intent() {
    let mut host = Host::new("");
    host.hold = Some(Hold {
        channel: "octo-org/web".parse().unwrap(),
        place: Mark { epoch: 7, seq: 2 },
        since: Timestamp::UNIX_EPOCH,
        why: "taken back".to_owned(),
    });
    host.receive([1, 2].map(manual));
    let selection = host.work(Outcome::Succeeded);
    assert_eq!(selection.apply, None);
    assert_eq!(host.outcome_of(2), Some(Outcome::Superseded));
    assert!(
        selection.settled[1].message.contains("taken back at 1970"),
        "{selection:?}"
    );
    host.receive([manual(3)]).work(Outcome::Succeeded);
    assert_eq!(host.applied, [3]);
    let mut elsewhere = Host::new("");
    elsewhere.hold = Some(Hold {
        channel: "another".parse().unwrap(),
        ..host.hold.unwrap()
    });
    elsewhere.receive([manual(1)]).work(Outcome::Succeeded);
    assert_eq!(
        elsewhere.applied,
        [1],
        "numbers say nothing about another channel's"
    );
}

#[test]
fn a_run_that_finishes_after_a_later_one_is_stale() {
    let mut host = Host::new("");
    host.receive([of_run(1, 11, 1)]).work(Outcome::Succeeded);
    host.receive([of_run(2, 10, 1)]).work(Outcome::Succeeded);
    assert_eq!(host.outcome_of(2), Some(Outcome::Stale));
    assert_eq!(host.applied, [1]);
}

#[test]
fn a_run_that_finishes_after_a_later_one_is_stale_in_the_same_answer_too() {
    let mut host = Host::new("");
    host.receive([of_run(1, 11, 1), of_run(2, 10, 1)])
        .work(Outcome::Succeeded);
    assert_eq!(host.outcome_of(2), Some(Outcome::Stale));
    assert_eq!(host.applied, [1]);
}

#[test]
fn the_newest_run_again_is_applied_and_an_old_run_again_is_stale() {
    let mut host = Host::new("");
    host.receive([of_run(1, 10, 1)]).work(Outcome::RolledBack);
    host.receive([of_run(2, 10, 2)]).work(Outcome::Succeeded);
    host.receive([of_run(3, 9, 2)]).work(Outcome::Succeeded);
    assert_eq!(host.applied, [1, 2]);
    assert_eq!(host.outcome_of(3), Some(Outcome::Stale));
}

#[test]
fn runs_of_another_workflow_or_branch_make_nothing_stale() {
    let mut host = Host::new("");
    let mut other_workflow = of_run(1, 50, 1);
    if let Source::WorkflowRun(run) = &mut other_workflow.source {
        run.workflow_id = 78;
    }
    let mut other_branch = of_run(2, 60, 1);
    other_branch.revision.branch = Some("dev".to_owned());
    host.receive([other_workflow, other_branch, of_run(3, 10, 1)]);
    assert_eq!(host.work(Outcome::Succeeded).apply.unwrap().seq, 3);
    assert_eq!(host.outcome_of(2), None);
}

#[test]
fn what_fills_a_gap_later_is_superseded_by_what_was_applied_before() {
    let mut host = Host::new("");
    host.receive([manual(9)]).work(Outcome::Succeeded);
    host.receive([manual(5), of_run(6, 1, 1)]);
    host.work(Outcome::Succeeded);
    assert_eq!(host.applied, [9]);
    assert_eq!(host.outcome_of(5), Some(Outcome::Superseded));
    assert_eq!(host.outcome_of(6), Some(Outcome::Superseded));
}

#[test]
fn after_a_move_to_another_repository_its_first_intent_is_applied() {
    let mut host = Host::new("");
    host.receive([manual(900)]).work(Outcome::Succeeded);
    let channel: Channel = "octo-org/site".parse().unwrap();
    host.service.rule.channel = channel.clone();
    let first = Intent {
        channel: channel.clone(),
        ..manual(3)
    };
    host.intents = vec![first];
    host.work(Outcome::Succeeded);
    assert_eq!(host.applied, [900, 3]);
    let older = Intent {
        channel,
        ..manual(2)
    };
    host.receive([older]).work(Outcome::Succeeded);
    assert_eq!(host.outcome_of(2), Some(Outcome::Superseded));
}

#[test]
fn what_an_older_version_has_seen_counts_on() {
    let old = r#"{"newest":{"epoch":7,"seq":9},"runs":[]}"#;
    let mut host = Host::new("");
    host.seen = Some(serde_json::from_str(old).unwrap());
    host.receive([manual(5)]).work(Outcome::Succeeded);
    assert_eq!(host.outcome_of(5), Some(Outcome::Superseded));
}

#[test]
fn a_waiting_intent_is_chosen_again_until_a_newer_one_comes() {
    let mut host = Host::new("");
    host.receive([intent(7, 1)]).work(Outcome::Waiting);
    assert_eq!(host.work(Outcome::Waiting).apply.unwrap().seq, 1);
    host.receive([intent(7, 2)]).work(Outcome::Succeeded);
    assert_eq!(host.outcome_of(1), Some(Outcome::Superseded));
}

impl Host {
    /// Has intent `seq` tried once more though it has ended, as after an interruption.
    fn again(&mut self, seq: u64) {
        let intent = self.intents.iter().find(|intent| intent.seq == seq);
        let id = &intent.unwrap().id;
        self.standings.get_mut(id).unwrap().again = true;
    }
}

#[test]
fn what_is_to_be_tried_again_is_chosen_while_it_is_the_newest() {
    let mut host = Host::new("");
    host.receive([manual(1)]).work(Outcome::RolledBack);
    assert_eq!(host.choose().apply, None);
    host.again(1);
    let selection = host.choose();
    assert_eq!(
        (selection.apply, selection.settled.len()),
        (Some(manual(1)), 0)
    );
    host.receive([manual(2)]);
    let selection = host.work(Outcome::Succeeded);
    assert_eq!(selection.apply.unwrap().seq, 2);
    assert_eq!(selection.settled, [], "it has its outcome already");
    assert_eq!(host.choose().apply, None, "nothing leads back");
}

#[test]
fn what_is_to_be_tried_again_supersedes_what_came_before_it() {
    let mut host = Host::new("");
    host.receive([manual(2)]).work(Outcome::RolledBack);
    host.again(2);
    let selection = host.receive([manual(1)]).choose();
    assert_eq!(selection.apply.unwrap().seq, 2);
    assert_eq!(selection.settled[0].outcome, Outcome::Superseded);
}

#[test]
fn what_is_stale_expired_or_refused_meanwhile_is_not_tried_again_and_nothing_more_is_told() {
    let mut stale = Host::new("");
    stale.receive([of_run(1, 10, 1)]).work(Outcome::RolledBack);
    stale.again(1);
    let mut seen = stale.seen.clone().unwrap();
    seen.note(&run(11, 1));
    stale.seen = Some(seen);
    let mut expired = Host::new("");
    expired.receive([manual(1)]).work(Outcome::RolledBack);
    expired.again(1);
    expired.intents[0].expires_at = Some(Timestamp::UNIX_EPOCH);
    let mut refused = Host::new("");
    refused.receive([manual(1)]).work(Outcome::RolledBack);
    refused.again(1);
    refused.service = service("manual = false");
    for host in [stale, expired, refused] {
        let selection = host.choose();
        assert_eq!((selection.apply, selection.settled), (None, vec![]));
    }
}

#[test]
fn an_expired_intent_is_told_and_gives_way_to_an_older_one() {
    let mut host = Host::new("");
    let mut late = manual(2);
    late.expires_at = Some("2026-11-20T15:00:00Z".parse().unwrap());
    let selection = host.receive([intent(7, 1), late]).work(Outcome::Succeeded);
    assert_eq!(selection.settled[0].outcome, Outcome::Expired);
    assert!(selection.settled[0].message.contains("this host's clock"));
    assert_eq!(host.applied, [1]);
}

#[test]
fn a_rule_lets_in_its_workflow_by_name_or_path_and_its_branches_only() {
    let host = "pi".parse().unwrap();
    let by_name = service("");
    let verdict = |change: &dyn Fn(&mut Intent)| {
        let mut intent = intent(7, 1);
        change(&mut intent);
        matches(&host, &by_name, &intent)
    };
    let of_run = |change: &dyn Fn(&mut RunSource)| {
        verdict(&|intent| {
            if let Source::WorkflowRun(run) = &mut intent.source {
                change(run);
            }
        })
    };
    assert_eq!(verdict(&|_| {}), Match::Yes);
    assert_eq!(
        verdict(&|i| i.revision.branch = Some("release/2".to_owned())),
        Match::Yes
    );
    assert_eq!(
        verdict(&|i| i.revision.branch = Some("main2".to_owned())),
        Match::No
    );
    assert_eq!(verdict(&|i| i.revision.branch = None), Match::No);
    assert_eq!(
        verdict(&|i| i.revision.tag = Some("main".parse().unwrap())),
        Match::No
    );
    assert_eq!(
        verdict(&|i| i.channel = "octo-org/other".parse().unwrap()),
        Match::No
    );
    assert_eq!(
        verdict(&|i| i.hosts = vec!["nas".parse().unwrap()]),
        Match::No
    );
    assert_eq!(verdict(&|i| i.hosts = vec![host.clone()]), Match::Yes);
    assert_eq!(
        verdict(&|i| i.service = Some("api".parse().unwrap())),
        Match::No
    );
    assert_eq!(verdict(&|i| i.source = Source::Unknown), Match::No);
    assert_eq!(
        of_run(&|run| run.workflow = "ci.yml".to_owned()),
        Match::Yes
    );
    assert_eq!(
        of_run(&|run| run.workflow = ".github/workflows/x/ci.yml".to_owned()),
        Match::No
    );
    assert_eq!(
        of_run(&|run| run.workflow = ".github/workflows/xci.yml".to_owned()),
        Match::No
    );
    assert_eq!(
        of_run(&|run| run.repository = "mallory/web".to_owned()),
        Match::No
    );
}

#[test]
fn a_manual_intent_may_name_a_service_and_an_image_and_can_be_refused_by_the_file() {
    let host = "pi".parse().unwrap();
    let mut wanted = manual(1);
    wanted.service = Some("web".parse().unwrap());
    wanted.image = Some(Image {
        reference: Some("registry.example/web:v2".to_owned()),
        digest: None,
    });
    assert_eq!(matches(&host, &service(""), &wanted), Match::Yes);
    assert_eq!(matches(&host, &service(""), &manual(1)), Match::Yes);
    let Match::Refused(reason) = matches(&host, &service("manual = false"), &wanted) else {
        panic!("not refused");
    };
    assert_eq!(reason, "towline.toml:8: manual = false in [service.web]");
}

#[test]
fn an_intent_for_the_service_by_name_that_the_rule_does_not_allow_is_refused_and_told() {
    let mut forged = intent(7, 1);
    forged.service = Some("web".parse().unwrap());
    forged.revision.branch = Some("evil".to_owned());
    let mut host = Host::new("");
    let selection = host.receive([forged]).work(Outcome::Succeeded);
    assert_eq!(selection.settled[0].outcome, Outcome::Refused);
    assert!(
        selection.settled[0].message.starts_with("towline.toml:3:"),
        "{}",
        selection.settled[0].message
    );
    assert_eq!(host.applied, [0u64; 0]);
}

#[derive(Clone, Debug)]
struct Arrival {
    seq: u64,
    run: Option<(u64, u64)>,
    branch: &'static str,
    ended: Outcome,
}

fn arrivals() -> impl Strategy<Value = Vec<Vec<Arrival>>> {
    let outcome = prop_oneof![
        Just(Outcome::Succeeded),
        Just(Outcome::RolledBack),
        Just(Outcome::Waiting),
    ];
    let arrival = (
        1u64..30,
        proptest::option::of((1u64..12, 1u64..3)),
        prop_oneof![4 => Just("main"), 1 => Just("dev")],
        outcome,
    )
        .prop_map(|(seq, run, branch, ended)| Arrival {
            seq,
            run,
            branch,
            ended,
        });
    proptest::collection::vec(proptest::collection::vec(arrival, 0..5), 1..15)
}

/// What failed with an intent whose image was the digest of this number.
fn failed_with(intent: &Intent, image: char) -> Quarantined {
    Quarantined {
        digest: digest(image),
        sha: intent.revision.sha.clone(),
        intent: Some(intent.id.clone()),
        channel: intent.channel.clone(),
        place: place(intent),
        since: Timestamp::UNIX_EPOCH,
        why: String::new(),
        on_purpose: false,
    }
}

proptest! {
    #[test]
    fn a_bad_version_is_tried_once_for_each_new_intent_at_most(
        // The commit of each intent, and whether the tag has its image or still the first one's; then some looks.
        intents in proptest::collection::vec((0u8..3, any::<bool>(), 1usize..5), 1..12),
    ) {
        let mut host = Host::new("");
        let mut quarantine: Vec<Quarantined> = vec![];
        for (number, (commit, is_pushed, looks)) in (1u64..).zip(intents) {
            let mut asked = manual(number);
            asked.revision.sha = Some(commit.to_string().repeat(40).parse().unwrap());
            host.receive([asked.clone()]);
            let image = if is_pushed { char::from(b'0' + commit) } else { '0' };
            let mut tries = 0;
            for _ in 0..looks {
                let Some(chosen) = host.choose().apply else { break };
                let known = quarantine.iter().find(|one| one.digest == digest(image));
                let failed_as = known.map(|one| one.sha.clone());
                let ended = match admission(&quarantine, &chosen, &digest(image)) {
                    Admission::Free => {
                        tries += 1;
                        let same = failed_as.as_ref().is_none_or(|sha| *sha == chosen.revision.sha);
                        prop_assert!(same, "tried again for another commit");
                        let failed = failed_with(&chosen, image);
                        quarantine.retain(|one| one.digest != failed.digest);
                        quarantine.push(failed);
                        Outcome::RolledBack
                    }
                    Admission::Later(failed) => {
                        prop_assert_ne!(&failed.sha, &chosen.revision.sha);
                        Outcome::Waiting
                    }
                    Admission::Never(_) => Outcome::Quarantined,
                };
                prop_assert!(failed_as.is_some() || ended == Outcome::RolledBack, "held without a reason");
                host.work(ended);
            }
            prop_assert!(tries <= 1, "{tries} failing deploys for one intent");
        }
    }

    #[test]
    fn each_match_gets_one_outcome_and_the_service_never_goes_back(batches in arrivals()) {
        let mut host = Host::new("");
        let mut runs_applied: Vec<(u64, u64)> = vec![];
        for batch in batches {
            let ended = batch.first().map_or(Outcome::Succeeded, |first| first.ended);
            for arrival in batch {
                if host.intents.iter().any(|intent| intent.seq == arrival.seq) {
                    continue;
                }
                let mut intent = match arrival.run {
                    Some((number, attempt)) => of_run(arrival.seq, number, attempt),
                    None => manual(arrival.seq),
                };
                intent.revision.branch = Some(arrival.branch.to_owned());
                host.receive([intent]);
            }
            let selection = host.work(ended);
            if let Some(Intent { source: Source::WorkflowRun(run), .. }) = &selection.apply {
                let run = (run.run_number, run.run_attempt);
                prop_assert!(runs_applied.iter().all(|before| *before <= run), "an older run was applied");
                runs_applied.push(run);
            }
        }
        let ascending = host.applied.windows(2).all(|two| two[0] <= two[1]);
        prop_assert!(ascending, "an older intent was applied: {:?}", host.applied);
        host.work(Outcome::Succeeded);
        for intent in &host.intents {
            let matched = matches(&"pi".parse().unwrap(), &host.service, intent) == Match::Yes;
            let settled = host.standings.get(&intent.id).is_some_and(|standing| standing.outcome.is_terminal());
            prop_assert_eq!(matched, settled, "{}", intent.seq);
        }
    }
}
