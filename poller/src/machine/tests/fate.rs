//! What may come between the machine and its end, and how likely it is in the searches for counterexamples.

use proptest::{collection::vec, prelude::*};

use super::super::Action;

/// Where something may come in between. A commit is a write of the journal, the closing one included.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment<'a> {
    Commit,
    Call(&'a Action),
}

/// What happens at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    Works,
    /// Refused, without an effect; at a commit: the disk is full.
    Refused,
    /// Refused, although it had its effect; of a commit only the closing one.
    RefusedYetDone,
    DiesBefore,
    DiesAfter,
    /// The process dies while the engine is at it.
    DiesAmid,
    /// Refused, and the engine is still at it.
    RefusedAmid,
    /// The engine is started again after it, and the poller as well.
    Restart,
    /// The machine is started again after it.
    Reboot,
    /// The engine is started again in the middle of it, before it had an effect, and the same process goes on.
    Blink,
    /// The same, after it had its effect.
    BlinkAfter,
    /// Before it a human does this to the member, counted round.
    Human(Deed, usize),
}

/// What a human may do to one of a pair with `docker`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Deed {
    RemovesOld,
    RemovesNew,
    StopsOld,
    StopsNew,
    StartsOld,
    RenamesOld,
    RenamesNew,
    /// Runs a container of their own under the canonical name, if that is free.
    TakesName,
}

impl Fate {
    /// Whether it is a refusal or a human's doing, after which no engine has to bring up anything.
    pub(super) fn hinders(self) -> bool {
        match self {
            Self::Refused | Self::RefusedYetDone | Self::RefusedAmid | Self::Human(..) => true,
            Self::Works
            | Self::DiesBefore
            | Self::DiesAfter
            | Self::DiesAmid
            | Self::Restart
            | Self::Reboot
            | Self::Blink
            | Self::BlinkAfter => false,
        }
    }
}

/// The fates one after another, and then nothing more but that everything works.
pub(super) fn in_turn(fates: Vec<Fate>) -> impl FnMut(Moment<'_>) -> Fate {
    let mut fates = fates.into_iter();
    move |_| fates.next().unwrap_or(Fate::Works)
}

/// The fates of the calls one after another; every commit works.
pub(super) fn of_calls(fates: impl IntoIterator<Item = Fate>) -> impl FnMut(Moment<'_>) -> Fate {
    let mut fates = fates.into_iter();
    move |moment| match moment {
        Moment::Commit => Fate::Works,
        Moment::Call(_) => fates.next().unwrap_or(Fate::Works),
    }
}

/// `fate` at call `at`, counted from 0, and nothing else.
pub(super) fn at_call(at: usize, fate: Fate) -> impl FnMut(Moment<'_>) -> Fate {
    of_calls(std::iter::repeat_n(Fate::Works, at).chain([fate]))
}

/// The calls that `refuses` names are refused, always.
pub(super) fn refusing(refuses: impl Fn(&Action) -> bool) -> impl FnMut(Moment<'_>) -> Fate {
    move |moment| match moment {
        Moment::Call(action) if refuses(action) => Fate::Refused,
        Moment::Commit | Moment::Call(_) => Fate::Works,
    }
}

/// The process dies now and then.
pub(super) fn a_crash() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Works),
        1 => Just(Fate::DiesBefore),
        1 => Just(Fate::DiesAfter),
        1 => Just(Fate::DiesAmid),
    ]
}

/// The process dies, the engine or the whole machine is started again.
pub(super) fn an_interruption() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => a_crash(),
        1 => proptest::sample::select(vec![Fate::Restart, Fate::Reboot, Fate::Blink, Fate::BlinkAfter]),
    ]
}

/// The process dies, or something is refused.
pub(super) fn a_failure() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => a_crash(),
        1 => Just(Fate::Refused),
        1 => Just(Fate::RefusedYetDone),
        1 => Just(Fate::RefusedAmid),
    ]
}

/// Anything.
fn a_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Works),
        4 => an_interruption(),
        2 => a_failure(),
        1 => a_deed(),
    ]
}

/// The fates of a play: often one after another, or few and far between, so that the later steps are reached.
pub(super) fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let apart = (0usize..30, a_fate()).prop_map(|(calm, fate)| {
        let works = std::iter::repeat_n(Fate::Works, calm);
        works.chain([fate]).collect::<Vec<_>>()
    });
    prop_oneof![
        vec(a_fate(), 0..100),
        vec(apart, 0..8).prop_map(|fates| fates.concat()),
    ]
}

fn a_deed() -> impl Strategy<Value = Fate> {
    let deed = prop_oneof![
        Just(Deed::RemovesOld),
        Just(Deed::RemovesNew),
        Just(Deed::StopsOld),
        Just(Deed::StopsNew),
        Just(Deed::StartsOld),
        Just(Deed::RenamesOld),
        Just(Deed::RenamesNew),
        Just(Deed::TakesName),
    ];
    (deed, 0usize..3).prop_map(|(deed, member)| Fate::Human(deed, member))
}
