use proptest::prelude::*;

mod model;

use super::*;
use model::{Container, Engine, failed, policy};

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Works,
    /// Refused, without an effect.
    Refused,
    /// Refused, although it had its effect.
    RefusedYetDone,
    CrashBefore,
    CrashAfter,
    /// The poller is killed while the engine is at it.
    CrashAmid,
    /// Refused, and the engine is still at it.
    RefusedAmid,
    /// The engine is started again after it, and the poller as well.
    Restart,
    /// The machine is started again after it.
    Reboot,
}

/// A set of old containers; for each, whether it runs and whether it has a restart policy.
#[derive(Clone, Debug)]
struct Scene {
    olds: Vec<(bool, bool)>,
    tagged: bool,
    passes: bool,
}

struct Run {
    before: Engine,
    after: Engine,
    ending: Ending,
    deploy: Deploy,
}

fn scene(scene: &Scene) -> (Engine, Deploy) {
    let mut engine = Engine::new("new", scene.passes);
    let mut members = Vec::new();
    for (at, (runs, armed)) in scene.olds.iter().copied().enumerate() {
        let rule = if armed { "always" } else { "no" };
        let name = format!("web{at}");
        let container = Container {
            port: Some(at),
            ..Container::of(&name, "old", rule, runs)
        };
        engine.containers.insert(format!("old{at}"), container);
        engine.ports.push(name.clone());
        let tag = TagMove {
            reference: format!("img{at}"),
            from: (at == 0).then(|| "old".to_owned()),
            to: "new".to_owned(),
        };
        engine
            .tags
            .extend(tag.from.clone().map(|from| (tag.reference.clone(), from)));
        members.push(Member {
            name,
            old: format!("old{at}"),
            policy: policy(rule),
            runs,
            was_healthy: true,
            was_restarting: false,
            tag: scene.tagged.then_some(tag),
        });
    }
    let other = Container::of("db", "other", "always", true);
    engine.containers.insert("other".to_owned(), other);
    (
        engine,
        Deploy::new(
            "0a1b2c3d".to_owned(),
            members,
            Side::default(),
            Side::default(),
        ),
    )
}

/// Drives the machine as `apply` does: journal, call, event; a crash goes on from the journal.
fn run(of: &Scene, mut fates: impl Iterator<Item = Fate>) -> Run {
    let (mut engine, mut deploy) = scene(of);
    let before = engine.clone();
    for _ in 0..400 {
        let journal = deploy.to_journal().unwrap();
        let Some(action) = deploy.next() else {
            let ending = deploy.ending().unwrap().clone();
            engine.settle();
            return Run {
                before,
                after: engine,
                ending,
                deploy,
            };
        };
        let fate = fates.next().unwrap_or(Fate::Works);
        let resumed = || Deploy::from_journal(&journal).unwrap().resume();
        let event = match fate {
            Fate::CrashBefore | Fate::Refused => None,
            Fate::CrashAmid | Fate::RefusedAmid => {
                engine.act_unheard(&action);
                None
            }
            Fate::Works
            | Fate::CrashAfter
            | Fate::RefusedYetDone
            | Fate::Restart
            | Fate::Reboot => Some(engine.act(&action)),
        };
        deploy = match (fate, event) {
            (Fate::CrashBefore | Fate::CrashAfter | Fate::CrashAmid, _) => resumed(),
            (Fate::Restart, _) => {
                engine.restart();
                resumed()
            }
            (Fate::Reboot, _) => {
                engine.reboot();
                resumed()
            }
            (Fate::Works, Some(event)) => deploy.on(event),
            (Fate::Works | Fate::Refused | Fate::RefusedYetDone | Fate::RefusedAmid, _) => {
                deploy.on(refused())
            }
        };
        assert_always(&before, &engine, &deploy);
    }
    panic!("no end after 400 calls: {deploy:?}");
}

fn refused() -> Event {
    failed("refused")
}

/// Drives the machine with a journal that cannot be written from call `lost` on; a crash at call `crash` goes on from
/// what was recorded last, with a journal that works again unless it `stays` lost.
fn run_unrecorded(of: &Scene, lost: usize, crash: usize, stays: bool) -> Run {
    let (mut engine, mut deploy) = scene(of);
    let before = engine.clone();
    let mut recorded = deploy.clone();
    for call in 0..400 {
        if call < lost || (call > crash && !stays) {
            recorded = deploy.clone();
        } else if call == lost {
            deploy = deploy.unrecorded(&recorded, "disk full".to_owned());
        }
        let Some(action) = deploy.next() else {
            let ending = deploy.ending().unwrap().clone();
            return Run {
                before,
                after: engine,
                ending,
                deploy,
            };
        };
        let event = engine.act(&action);
        deploy = if call == crash {
            let resumed = recorded.clone().resume();
            match stays {
                true => resumed.unrecorded(&recorded, "disk full".to_owned()),
                false => resumed,
            }
        } else {
            deploy.on(event)
        };
        assert_always(&before, &engine, &deploy);
    }
    panic!("no end after 400 calls: {deploy:?}");
}

fn assert_always(before: &Engine, engine: &Engine, deploy: &Deploy) {
    let other = |engine: &Engine| Container {
        starts: 0,
        ..engine.containers["other"].clone()
    };
    assert_eq!(
        other(engine),
        other(before),
        "a container of nobody's was changed"
    );
    let over = matches!(deploy.state, State::Committed { .. } | State::Ended { .. });
    for member in &deploy.members {
        assert!(
            over || engine.containers.contains_key(&member.old),
            "the old container went before the commit"
        );
        let pair =
            |name: &str| name == member.name || name.starts_with(&format!("{}--", member.name));
        let armed = engine
            .containers
            .values()
            .filter(|container| pair(&container.name) && container.armed());
        assert!(
            armed.count() <= 1,
            "both of a pair would be started by the engine"
        );
    }
}

/// At rest: one container of each canonical name, as the ending says, and nothing left behind.
fn assert_truthful(run: &Run) {
    let image = match &run.ending {
        Ending::Succeeded { .. } => "new",
        Ending::RolledBack { .. } | Ending::FailedUntouched { .. } => "old",
        Ending::NeedsOperator { .. } => {
            for member in &run.deploy.members {
                assert!(
                    run.after.containers.contains_key(&member.old),
                    "needs_operator keeps the old container"
                );
            }
            return;
        }
    };
    for member in &run.deploy.members {
        let was = &run.before.containers[&member.old];
        let id = run
            .after
            .named(&member.name)
            .expect("the canonical name is held");
        let holder = &run.after.containers[&id];
        assert_eq!(
            (holder.image.as_str(), holder.running),
            (image, was.running)
        );
        assert!(
            holder.policy == was.policy || told(&run.deploy, "restart policy"),
            "a lost policy is told: {:?}",
            run.deploy.notes
        );
    }
    if run.deploy.notes.is_empty() {
        assert!(image == "new" || run.after.tags == run.before.tags);
        assert_eq!(
            run.after.containers.len(),
            run.before.containers.len(),
            "{:?}",
            run.after
        );
    }
}

fn told(deploy: &Deploy, words: &str) -> bool {
    deploy.notes.iter().any(|note| note.contains(words))
}

fn one(passes: bool) -> Scene {
    Scene {
        olds: vec![(true, true)],
        tagged: true,
        passes,
    }
}

/// The calls of a run in which everything works.
fn calls(of: &Scene) -> usize {
    let (mut engine, mut deploy) = scene(of);
    let mut calls = 0;
    while let Some(action) = deploy.next() {
        let event = engine.act(&action);
        deploy = deploy.on(event);
        calls += 1;
    }
    calls
}

#[test]
fn a_good_version_takes_the_name_the_policy_and_the_tag() {
    let run = run(&one(true), std::iter::empty());
    assert_eq!(
        run.ending,
        Ending::Succeeded {
            gate: Some(Gate::Healthy)
        }
    );
    assert_truthful(&run);
    assert_eq!(run.after.tags["img0"], "new");
}

#[test]
fn a_bad_version_leads_back_to_the_same_old_container() {
    let run = run(&one(false), std::iter::empty());
    assert_eq!(
        run.ending,
        Ending::RolledBack {
            why: "gate: unfit".to_owned()
        }
    );
    assert_truthful(&run);
    assert_eq!(run.after.named("web0").as_deref(), Some("old0"));
}

#[test]
fn a_stopped_container_is_replaced_and_stays_stopped() {
    let run = run(
        &Scene {
            olds: vec![(false, true)],
            ..one(false)
        },
        std::iter::empty(),
    );
    assert_eq!(run.ending, Ending::Succeeded { gate: None });
    assert_truthful(&run);
}

#[test]
fn a_failure_at_each_call_ends_truthfully_and_before_the_stop_untouched() {
    for (at, fate) in
        (0..calls(&one(true))).flat_map(|at| [(at, Fate::Refused), (at, Fate::RefusedYetDone)])
    {
        let fates = std::iter::repeat_n(Fate::Works, at).chain([fate]);
        let run = run(&one(true), fates);
        assert_truthful(&run);
        match at {
            0..=2 => assert!(
                matches!(run.ending, Ending::FailedUntouched { .. }),
                "{at}: {:?}",
                run.ending
            ),
            3..=8 => assert!(
                matches!(run.ending, Ending::RolledBack { .. }),
                "{at}: {:?}",
                run.ending
            ),
            9..=11 => assert!(
                matches!(run.ending, Ending::NeedsOperator { .. }),
                "{at}: {:?}",
                run.ending
            ),
            _ => assert!(
                matches!(run.ending, Ending::Succeeded { .. }),
                "{at}: {:?}",
                run.ending
            ),
        }
    }
}

/// Drives one deploy against an engine that refuses some calls, each of them always.
fn run_refusing(of: &Scene, refuses: impl Fn(&Action) -> bool) -> Run {
    let (mut engine, mut deploy) = scene(of);
    let before = engine.clone();
    while let Some(action) = deploy.next() {
        let event = if refuses(&action) {
            refused()
        } else {
            engine.act(&action)
        };
        deploy = deploy.on(event);
        assert_always(&before, &engine, &deploy);
    }
    let ending = deploy.ending().unwrap().clone();
    Run {
        before,
        after: engine,
        ending,
        deploy,
    }
}

fn sets(policy: &'static str) -> impl Fn(&Action) -> bool {
    move |action| matches!(action, Action::SetPolicy { policy: to, .. } if to["Name"] == policy)
}

#[test]
fn a_policy_that_may_not_be_taken_leaves_the_host_as_it_was() {
    let run = run_refusing(&one(true), sets("no"));
    assert!(
        matches!(&run.ending, Ending::FailedUntouched { why } if why.contains("disarm")),
        "{:?}",
        run.ending
    );
    assert_eq!(run.after.containers, run.before.containers);
}

#[test]
fn a_policy_that_may_not_even_be_looked_after_leaves_the_old_version_running() {
    let run = run_refusing(&one(true), |action| {
        matches!(action, Action::SetPolicy { .. })
    });
    assert!(
        matches!(&run.ending, Ending::RolledBack { why } if why.contains("disarm")),
        "{:?}",
        run.ending
    );
    assert_eq!(run.after.containers, run.before.containers);
    assert!(told(&run.deploy, "restart policy back: refused"));
}

#[test]
fn a_policy_that_cannot_be_given_back_is_told_and_the_old_version_serves_all_the_same() {
    let run = run_refusing(&one(false), sets("always"));
    assert!(
        matches!(&run.ending, Ending::RolledBack { why } if why.contains("gate")),
        "{:?}",
        run.ending
    );
    assert!(told(&run.deploy, "restart policy back: refused"));
    assert_truthful(&run);
    assert!(run.after.containers["old0"].running);
}

#[test]
fn a_refused_start_of_the_old_version_needs_an_operator_whatever_became_of_its_policy() {
    let refuses = |action: &Action| {
        sets("always")(action) || matches!(action, Action::Start { id } if id == "old0")
    };
    let run = run_refusing(&one(false), refuses);
    assert!(
        matches!(&run.ending, Ending::NeedsOperator { why } if why.contains("start the old")),
        "{:?}",
        run.ending
    );
    assert!(told(&run.deploy, "restart policy back"));
}

#[test]
fn a_crash_at_each_call_goes_back_before_the_new_version_runs_and_forth_after_it() {
    for (at, fate) in
        (0..calls(&one(true))).flat_map(|at| [(at, Fate::CrashBefore), (at, Fate::CrashAfter)])
    {
        let fates = std::iter::repeat_n(Fate::Works, at).chain([fate]);
        let run = run(&one(true), fates);
        assert_truthful(&run);
        let succeeded = matches!(run.ending, Ending::Succeeded { .. });
        assert_eq!(
            succeeded,
            at > 6 || (at == 6 && fate == Fate::CrashAfter),
            "{at} {fate:?}: {:?}",
            run.ending
        );
    }
}

#[test]
fn a_restart_of_the_engine_or_the_machine_at_each_call_ends_with_one_version_serving() {
    for (at, fate) in
        (0..calls(&one(true))).flat_map(|at| [(at, Fate::Restart), (at, Fate::Reboot)])
    {
        let fates = std::iter::repeat_n(Fate::Works, at).chain([fate]);
        let run = run(&one(true), fates);
        assert_truthful(&run);
        assert!(
            !matches!(run.ending, Ending::NeedsOperator { .. }),
            "{at} {fate:?}: {:?}",
            run.ending
        );
    }
}

#[test]
fn an_old_container_that_is_still_being_stopped_is_not_taken_for_one_that_serves() {
    let stop = 3;
    for fate in [Fate::CrashAmid, Fate::RefusedAmid] {
        let run = run(
            &one(true),
            std::iter::repeat_n(Fate::Works, stop).chain([fate]),
        );
        assert!(
            matches!(&run.ending, Ending::RolledBack { why } if why.contains("stop")),
            "{fate:?}: {:?}",
            run.ending
        );
        assert_truthful(&run);
        assert_eq!(
            run.after.containers["old0"].starts, 2,
            "it was started anew"
        );
    }
}

#[test]
fn an_old_container_whose_stop_cannot_be_recorded_is_not_stopped() {
    let stop = 3;
    let run = run_unrecorded(&one(true), stop, usize::MAX, false);
    assert!(
        matches!(
            run.ending,
            Ending::FailedUntouched { .. } | Ending::RolledBack { .. }
        ),
        "{:?}",
        run.ending
    );
    assert_truthful(&run);
    assert_eq!(
        run.after.containers["old0"].starts, 1,
        "it served all along"
    );
}

#[test]
fn a_gate_in_which_the_process_dies_each_time_is_given_up() {
    let fates =
        std::iter::repeat_n(Fate::Works, 8).chain(std::iter::repeat_n(Fate::CrashBefore, 12));
    let run = run(&one(true), fates);
    assert!(
        matches!(&run.ending, Ending::RolledBack { why } if why == "interrupted (gate)"),
        "{:?}",
        run.ending
    );
    assert_truthful(&run);
}

#[test]
fn an_old_container_that_somebody_removed_needs_an_operator_and_nothing_more_is_touched() {
    let (mut engine, mut deploy) = scene(&one(true));
    while !matches!(deploy.next(), Some(Action::Stop { .. })) {
        let event = engine.act(&deploy.next().unwrap());
        deploy = deploy.on(event);
    }
    engine.containers.remove("old0");
    let untouched = engine.containers.clone();
    let event = engine.act(&deploy.next().unwrap());
    deploy = deploy.on(event);
    assert!(
        matches!(deploy.ending(), Some(Ending::NeedsOperator { why }) if why.contains("removed"))
    );
    assert_eq!((deploy.next(), engine.containers), (None, untouched));
}

#[test]
fn a_name_that_somebody_took_meanwhile_needs_an_operator_who_is_told_both_reasons() {
    let (mut engine, mut deploy) = scene(&one(true));
    while let Some(action) = deploy.next() {
        if matches!(&action, Action::Rename { to, .. } if to == "web0")
            && engine.named("web0").is_none()
        {
            let stranger = Container::of("web0", "new", "no", true);
            engine.containers.insert("stranger".to_owned(), stranger);
        }
        let event = engine.act(&action);
        deploy = deploy.on(event);
    }
    let Some(Ending::NeedsOperator { why }) = deploy.ending() else {
        panic!("{deploy:?}")
    };
    assert!(
        why.contains("promote: web0 is taken")
            && why.contains("could not give the old container its name back"),
        "{why}"
    );
    assert!(engine.containers.contains_key("old0") && engine.containers.contains_key("new1"));
}

#[test]
fn a_damaged_an_empty_and_a_newer_journal_are_told_apart() {
    let (_, deploy) = scene(&one(true));
    let text = deploy.to_journal().unwrap();
    assert_eq!(Deploy::from_journal(&text).unwrap(), deploy);
    let newer = text.replacen("\"format\":1", "\"format\":2", 1);
    assert!(matches!(
        Deploy::from_journal(&newer),
        Err(JournalError::Newer { found: 2 })
    ));
    let half = text.get(..text.len() / 2).unwrap();
    assert!(matches!(
        Deploy::from_journal(half),
        Err(JournalError::Damaged(_))
    ));
    let none = Deploy {
        members: Vec::new(),
        ..deploy
    }
    .to_journal()
    .unwrap();
    assert!(matches!(
        Deploy::from_journal(&none),
        Err(JournalError::Empty)
    ));
}

#[test]
fn an_old_container_that_cannot_be_removed_is_told_by_its_name() {
    let run = run_refusing(&one(true), |action| matches!(action, Action::Remove { .. }));
    assert!(matches!(run.ending, Ending::Succeeded { .. }));
    let parked = &run.after.containers["old0"].name;
    assert!(told(&run.deploy, &format!("docker rm {parked}")));
}

#[test]
fn a_journal_whose_parts_do_not_fit_together_needs_an_operator() {
    let (_, mut deploy) = scene(&one(true));
    assert_eq!(deploy.clone().or_stuck(), deploy, "one under way goes on");
    deploy.state = State::Replacing {
        step: Step::Promote,
        at: 0,
        new: Vec::new(),
    };
    assert_eq!(deploy.next(), None);
    let deploy = deploy.or_stuck();
    assert!(
        matches!(deploy.ending(), Some(Ending::NeedsOperator { why }) if why.contains("Promote")),
        "{deploy:?}"
    );
    assert_eq!(deploy.clone().or_stuck(), deploy);
}

fn a_scene() -> impl Strategy<Value = Scene> {
    (
        proptest::collection::vec(any::<(bool, bool)>(), 1..4),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(olds, tagged, passes)| Scene {
            olds,
            tagged,
            passes,
        })
}

fn a_crash() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Works),
        1 => Just(Fate::CrashBefore),
        1 => Just(Fate::CrashAfter),
        1 => Just(Fate::CrashAmid),
    ]
}

fn a_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => a_crash(),
        1 => Just(Fate::Refused),
        1 => Just(Fate::RefusedYetDone),
        1 => Just(Fate::RefusedAmid),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn crashes_anywhere_again_and_again_end_with_one_version_serving(
        scene in a_scene(), fates in proptest::collection::vec(a_crash(), 0..60),
    ) {
        let run = run(&scene, fates.into_iter());
        prop_assert!(!matches!(run.ending, Ending::NeedsOperator { .. }), "{:?}", run.ending);
        assert_truthful(&run);
    }

    #[test]
    fn whatever_fails_or_crashes_the_ending_says_what_is_there(
        scene in a_scene(), fates in proptest::collection::vec(a_fate(), 0..60),
    ) {
        assert_truthful(&run(&scene, fates.into_iter()));
    }

    #[test]
    fn a_journal_that_cannot_be_written_any_more_never_leaves_the_service_down(
        scene in a_scene(), lost in 1usize..40, crash in 1usize..60, stays in any::<bool>(),
    ) {
        let run = run_unrecorded(&scene, lost, crash, stays);
        prop_assert!(!matches!(run.ending, Ending::NeedsOperator { .. }), "{:?}", run.ending);
        assert_truthful(&run);
    }

    #[test]
    fn one_failure_on_the_way_never_needs_an_operator(scene in a_scene(), at in 0usize..1000, yet_done in any::<bool>()) {
        let forth = calls(&Scene { passes: true, ..scene.clone() });
        let committed = scene.olds.iter().map(|(runs, armed)| usize::from(*armed) + usize::from(*runs) + 1).sum::<usize>();
        let committed = committed + usize::from(scene.olds.iter().any(|(runs, _)| *runs));
        let at = at % (forth - committed);
        let fate = if yet_done { Fate::RefusedYetDone } else { Fate::Refused };
        let run = run(&scene, std::iter::repeat_n(Fate::Works, at).chain([fate]));
        prop_assert!(!matches!(run.ending, Ending::NeedsOperator { .. }), "{:?}", run.ending);
        assert_truthful(&run);
    }
}
