//! What may come between the machine and its end, and how likely it is in the searches for counterexamples.

use proptest::{collection::vec, prelude::*};

use super::super::Action;

/// Where something may come in between.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment<'a> {
    /// A write of the journal, the closing one included.
    Commit,
    /// The write of a command's process.
    Begun,
    Act(&'a Action),
}

/// What happens at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Works,
    /// Refused, without an effect; of a write: the disk is full.
    Refused,
    /// Refused, after it was done in part.
    RefusedAmid,
    /// Refused, although it was done.
    RefusedYetDone,
    /// `run` asks for another time.
    Postponed,
    DiesBefore,
    /// The process dies while it is at it; a command goes on without it.
    DiesAmid,
    DiesAfter,
    /// The machine is started again in the middle of it.
    Reboot,
    /// The engine is started again in the middle of it, and the same process goes on.
    Blink,
    /// Its program goes on and cannot be ended.
    Outlives,
}

impl Fate {
    pub(super) fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::Refused | Self::RefusedAmid | Self::RefusedYetDone
        )
    }
}

/// The fates one after another, and then nothing more but that everything works.
pub(super) fn in_turn(fates: Vec<Fate>) -> impl FnMut(Moment<'_>) -> Fate {
    let mut fates = fates.into_iter();
    move |_| fates.next().unwrap_or(Fate::Works)
}

/// `fate` at the first action that `is_it` names, and nothing else.
pub(super) fn at_first(
    fate: Fate,
    is_it: impl Fn(&Action) -> bool,
) -> impl FnMut(Moment<'_>) -> Fate {
    let mut has_come = false;
    move |moment| match moment {
        Moment::Act(action) if !has_come && is_it(action) => {
            has_come = true;
            fate
        }
        Moment::Commit | Moment::Begun | Moment::Act(_) => Fate::Works,
    }
}

/// `fate` at the first action that `is_it` names, and the machine is started again when what follows is on record.
pub(super) fn at_first_and_then_a_reboot(
    fate: Fate,
    is_it: impl Fn(&Action) -> bool,
) -> impl FnMut(Moment<'_>) -> Fate {
    let mut then = [fate, Fate::Reboot].into_iter();
    move |moment| match (moment, then.len()) {
        (Moment::Act(action), 2) if is_it(action) => then.next().unwrap_or(Fate::Works),
        (Moment::Commit, 1) => then.next().unwrap_or(Fate::Works),
        (Moment::Commit | Moment::Begun | Moment::Act(_), _) => Fate::Works,
    }
}

/// `fate` at action `at`, counted from 0, and nothing else.
pub(super) fn at_act(at: usize, fate: Fate) -> impl FnMut(Moment<'_>) -> Fate {
    let mut acts = 0;
    move |moment| match moment {
        Moment::Act(_) => {
            acts += 1;
            if acts == at + 1 { fate } else { Fate::Works }
        }
        Moment::Commit | Moment::Begun => Fate::Works,
    }
}

/// The process dies or the machine is started again, now and then.
pub(super) fn an_interruption() -> impl Strategy<Value = Fate> {
    prop_oneof![
        7 => Just(Fate::Works),
        1 => Just(Fate::DiesBefore),
        1 => Just(Fate::DiesAmid),
        1 => Just(Fate::DiesAfter),
        2 => Just(Fate::Reboot),
    ]
}

/// Anything.
fn a_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Works),
        4 => an_interruption(),
        1 => Just(Fate::Blink),
        1 => Just(Fate::Refused),
        1 => Just(Fate::RefusedAmid),
        1 => Just(Fate::RefusedYetDone),
        1 => Just(Fate::Postponed),
        1 => Just(Fate::Outlives),
    ]
}

/// The fates of a play: often one after another, or few and far between, so that the later steps are reached.
pub(super) fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let apart = (0usize..20, a_fate()).prop_map(|(calm, fate)| {
        let works = std::iter::repeat_n(Fate::Works, calm);
        works.chain([fate]).collect::<Vec<_>>()
    });
    prop_oneof![
        vec(a_fate(), 0..80),
        vec(apart, 0..6).prop_map(|fates| fates.concat()),
    ]
}
