//! What holds for any intents in any order.

use super::*;

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
        version: digest(image).into(),
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
                let known = quarantine.iter().find(|one| one.version == digest(image).into());
                let failed_as = known.map(|one| one.sha.clone());
                let ended = match admission(&quarantine, &chosen, &digest(image).into()) {
                    Admission::Free => {
                        tries += 1;
                        let same = failed_as.as_ref().is_none_or(|sha| *sha == chosen.revision.sha);
                        prop_assert!(same, "tried again for another commit");
                        let failed = failed_with(&chosen, image);
                        quarantine.retain(|one| one.version != failed.version);
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
