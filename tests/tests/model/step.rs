//! What the world may do next.

use proptest::{collection::vec, prelude::*};

/// How many steps a play has at least.
pub(super) const LEAST: usize = 20;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A delivery of this cause arrives, maybe not for the first time.
    Deliver { cause: u32 },
    /// So many new causes arrive at once on one channel.
    Burst { channel: usize, count: u32 },
    /// Time passes.
    Pass { ms: u64 },
    /// A host polls from a place, which keeps what it reads for that long; the answer takes its time.
    Poll {
        host: usize,
        place: usize,
        keep_ms: u64,
        after_ms: u64,
    },
    /// What becomes of the next put for which nothing is said yet.
    NextPut(Fate),
    /// A statement in the hub fails, after so many that work.
    SqlFails { after: u32 },
    /// The alarm cannot be set the next time.
    AlarmFails,
    /// The alarm that is set is lost.
    LoseAlarm,
    /// The hub is dropped from memory.
    Evict,
    /// The hub loses its storage and is made anew.
    LoseStorage,
    /// The hub forgets all intents but the newest of each channel.
    Prune,
    /// The hourly cron trigger.
    Cron,
    /// A host opens a socket.
    Connect { host: usize },
    /// A host's socket ends.
    Disconnect { host: usize },
    /// A host's socket is dead, which nobody has noticed yet.
    Mute { host: usize },
    /// A host's poller dies, maybe while it takes in the next answer.
    Crash { host: usize, at: Point },
}

/// Where a poller dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    Now,
    BeforeCommit,
    AfterCommit,
}

/// What becomes of a put.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fate {
    /// When KV has it, if ever.
    pub(super) lands_ms: Option<u64>,
    /// How long after that the hub is answered.
    pub(super) answer_ms: u64,
    /// Whether the answer says that it worked.
    pub(super) ok: bool,
}

impl Fate {
    pub(super) const WORKS: Self = Self {
        lands_ms: Some(150),
        answer_ms: 50,
        ok: true,
    };
}

fn fate() -> impl Strategy<Value = Fate> {
    let ms = || prop_oneof![3 => 10u64..900, 2 => 900u64..9_000, 3 => 9_000u64..90_000];
    let lands =
        (ms(), 0u64..4_000, proptest::bool::weighted(0.8)).prop_map(|(ms, answer_ms, ok)| Fate {
            lands_ms: Some(ms),
            answer_ms,
            ok,
        });
    let fails = ms().prop_map(|answer_ms| Fate {
        lands_ms: None,
        answer_ms,
        ok: false,
    });
    prop_oneof![2 => lands, 1 => fails]
}

fn step() -> impl Strategy<Value = Step> {
    let host = || 0usize..2;
    let ms = prop_oneof![4 => 0u64..300, 4 => 300u64..3_000, 3 => 3_000u64..15_000, 2 => 15_000u64..70_000];
    let keep_ms = prop_oneof![Just(0u64), 0u64..=60_000, Just(60_000u64)];
    let after_ms = prop_oneof![3 => 0u64..300, 1 => 300u64..8_000];
    let at = prop_oneof![
        Just(Point::Now),
        Just(Point::BeforeCommit),
        Just(Point::AfterCommit)
    ];
    // Few, or more than a mailbox holds.
    let count = prop_oneof![3 => 2u32..6, 1 => 17u32..24];
    prop_oneof![
        10 => (0u32..12).prop_map(|cause| Step::Deliver { cause }),
        3 => (0usize..2, count).prop_map(|(channel, count)| Step::Burst { channel, count }),
        14 => ms.prop_map(|ms| Step::Pass { ms }),
        10 => (host(), 0usize..2, keep_ms, after_ms)
            .prop_map(|(host, place, keep_ms, after_ms)| Step::Poll { host, place, keep_ms, after_ms }),
        6 => fate().prop_map(Step::NextPut),
        2 => (0u32..9).prop_map(|after| Step::SqlFails { after }),
        1 => Just(Step::AlarmFails),
        1 => Just(Step::LoseAlarm),
        2 => Just(Step::Evict),
        1 => Just(Step::LoseStorage),
        1 => Just(Step::Prune),
        1 => Just(Step::Cron),
        4 => host().prop_map(|host| Step::Connect { host }),
        1 => host().prop_map(|host| Step::Disconnect { host }),
        1 => host().prop_map(|host| Step::Mute { host }),
        3 => (host(), at).prop_map(|(host, at)| Step::Crash { host, at }),
    ]
}

/// A whole play: what an earlier hub left in KV, if so with an epoch from the future, and what happens then.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    pub(super) left_behind: bool,
    pub(super) steps: Vec<Step>,
}

pub(super) fn steps() -> impl Strategy<Value = Steps> {
    (proptest::bool::weighted(0.2), vec(step(), LEAST..2 * LEAST))
        .prop_map(|(left_behind, steps)| Steps { left_behind, steps })
}
