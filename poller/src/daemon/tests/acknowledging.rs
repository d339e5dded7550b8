//! Each intent that was received is acknowledged once, whatever the disk, the relay and the process do.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*};
use towline_protocol::{IntentId, Report};

use super::*;

/// What happens next.
#[derive(Clone, Debug)]
enum Turn {
    /// The relay answers with these of its intents.
    Poll {
        first: u64,
        count: u64,
        is_fresh: bool,
    },
    /// From now on this table takes nothing, as on a full disk.
    Fills(&'static str),
    /// The disk has room again.
    Frees,
    /// The process dies, and another one comes.
    Restarts,
    /// Reports are sent; the relay may be away, or its answer may be lost.
    Sends { is_heard: bool, is_answered: bool },
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let poll =
        (1..40u64, 0..12u64, any::<bool>()).prop_map(|(first, count, is_fresh)| Turn::Poll {
            first,
            count,
            is_fresh,
        });
    let sends = any::<(bool, bool)>().prop_map(|(is_heard, is_answered)| Turn::Sends {
        is_heard,
        is_answered,
    });
    let full = prop::sample::select(vec!["spool", "intent", "mark"]).prop_map(Turn::Fills);
    let turn = prop_oneof![6 => poll, 4 => sends, 1 => full, 2 => Just(Turn::Frees), 1 => Just(Turn::Restarts)];
    vec(turn, 1..30)
}

/// A host, and the acknowledgements that its relay has heard.
struct World {
    poller: Option<Poller>,
    dir: TempDir,
    heard: Vec<IntentId>,
    /// The acknowledgements that were sent and not answered.
    repeated: BTreeSet<IntentId>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            poller: Some(order::poller(&dir)),
            dir,
            heard: Vec::new(),
            repeated: BTreeSet::new(),
        }
    }

    fn poller(&mut self) -> &mut Poller {
        self.poller.as_mut().unwrap()
    }

    fn take(&mut self, turn: &Turn) {
        match turn {
            Turn::Poll {
                first,
                count,
                is_fresh,
            } => {
                let intents: Vec<_> = (*first..first + count).map(manual).collect();
                // What a full disk does not take is asked for again.
                let _ = self.poller().take_in(answer(7, &intents), *is_fresh);
            }
            Turn::Fills(table) => {
                let store = &self.poller().store;
                store.tamper("DROP TRIGGER IF EXISTS full");
                store.tamper(&fill_disk(table));
            }
            Turn::Frees => self.poller().store.tamper("DROP TRIGGER IF EXISTS full"),
            Turn::Restarts => {
                self.poller = None;
                self.poller = Some(order::poller(&self.dir));
            }
            Turn::Sends {
                is_heard,
                is_answered,
            } => self.send(*is_heard, *is_answered),
        }
    }

    fn send(&mut self, is_heard: bool, is_answered: bool) {
        let spooled = self.poller().store.spooled(9).unwrap();
        let intents = spooled.iter().map(|one| one.report.intent.clone());
        if is_heard {
            self.heard.extend(intents.clone());
        }
        if is_heard && !is_answered {
            self.repeated.extend(intents);
        }
        if is_heard && is_answered {
            let delivery = Delivery {
                taken: spooled,
                ..Delivery::default()
            };
            self.poller().note_delivery(delivery).unwrap();
        }
    }

    fn unsent(&mut self) -> Vec<Report> {
        let spooled = self.poller().store.spooled(999).unwrap().into_iter();
        spooled.map(|one| one.report).collect()
    }

    fn look(&mut self) -> Result<(), TestCaseError> {
        let channel = "octo-org/web".parse().unwrap();
        let received = self.poller().store.intents(&channel).unwrap();
        let unsent = self.unsent();
        prop_assert!(
            unsent
                .iter()
                .all(|one| one.service.is_none() && one.outcome.is_none())
        );
        let unsent: Vec<_> = unsent.into_iter().map(|one| one.intent).collect();
        let known: BTreeSet<_> = received.iter().map(|one| &one.id).collect();
        prop_assert!(
            unsent
                .iter()
                .chain(&self.heard)
                .all(|id| known.contains(id))
        );
        for id in known {
            let times = |all: &[IntentId]| all.iter().filter(|one| *one == id).count();
            let (waits, heard) = (times(&unsent), times(&self.heard));
            if self.repeated.contains(id) {
                prop_assert!(
                    heard >= 1 && waits <= 1,
                    "{id}: {waits} wait, {heard} heard"
                );
            } else {
                prop_assert_eq!(waits + heard, 1, "{}: {} wait, {} heard", id, waits, heard);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn each_intent_that_is_received_waits_to_be_acknowledged_or_was(turns in turns()) {
        let mut world = World::new();
        for turn in &turns {
            world.take(turn);
            world.look()?;
        }
    }
}

#[tokio::test]
async fn an_acknowledgement_names_the_services_that_the_intent_is_for() {
    let elsewhere = Intent {
        hosts: vec!["nas".parse().unwrap()],
        ..manual(1)
    };
    let mut of_a_branch = testing::intent(7, 2);
    of_a_branch.revision.branch = Some("feature".to_owned());
    let mut refused = of_a_branch.clone();
    (refused.id, refused.seq) = (manual(3).id, 3);
    refused.service = Some("web".parse().unwrap());
    let intents = [elsewhere, of_a_branch, refused, manual(4)];
    let mut host = Host::new();
    host.poller.take_in(answer(7, &intents), false).unwrap();
    let matched = |host: &Host| -> Vec<_> {
        let spooled = host.poller.store.spooled(9).unwrap().into_iter();
        let acknowledged = spooled.filter(|one| one.report.service.is_none());
        acknowledged
            .map(|one| (one.report.attempt, one.report.matched))
            .collect()
    };
    let web = vec!["web".parse::<ServiceName>().unwrap()];
    let expected = [vec![], vec![], web.clone(), web].map(|names| (1, names));
    assert_eq!(matched(&host), expected);
    host.work().await.unwrap();
    assert_eq!(matched(&host), expected);
    assert!(
        host.poller.store.history(None, 9).unwrap().len() == 1,
        "only the refusal"
    );
    assert_eq!(host.poller.outcomes, [Outcome::Refused]);
}
