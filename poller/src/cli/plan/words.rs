//! A plan in words: numbered steps, each by the name that its report has, and what the way back would be.

use towline_protocol::{Intent, Outcome, ServiceName};

use super::{super::check::hook, intent::UNKNOWN_RUN};
use crate::{
    apply::{self, sequence::Ahead},
    backup::size,
    git, machine,
    sequence::{AS_BEFORE, About, Ending, Sequence, Step, Version, Which},
    settings::{Command, Service},
};

/// Variables of a deploy that are not known before it begins, or another one at each command.
const NOT_YET: [&str; 4] = [
    "TOWLINE_INTENT",
    "TOWLINE_ATTEMPT",
    "TOWLINE_DEPLOY",
    "TOWLINE_STEP",
];

/// Steps that touch nothing.
const LOOKING: [&str; 3] = ["fetch", "resolve", "pull"];

/// Steps that ask the checks.
const GATES: [&str; 2] = ["gate", "gate again"];

/// The steps of a deploy that would begin, and what else is to be said of them.
pub(super) struct Told {
    /// Name and words of each step, in their order.
    pub(super) steps: Vec<(String, String)>,
    /// More lines, each with what it is about.
    pub(super) rest: Vec<(&'static str, String)>,
}

/// How a deploy that would not begin ends; a problem unless there is nothing to do.
pub(super) fn ends(outcome: Outcome, why: &str) -> Result<String, String> {
    let would = match outcome {
        Outcome::Unchanged => return Ok(format!("  unchanged: {why}\n")),
        Outcome::Waiting => "put off",
        Outcome::Quarantined => "kept out by quarantine",
        Outcome::Refused => "refused",
        Outcome::Succeeded
        | Outcome::RolledBack
        | Outcome::FailedUntouched
        | Outcome::NeedsOperator
        | Outcome::Applying
        | Outcome::Superseded
        | Outcome::Stale
        | Outcome::Expired => "given up before anything is touched",
    };
    Err(format!("it would be {would}: {why}"))
}

impl Told {
    /// What is to be said of a service made of parts; `gate` is what it must pass, in words.
    pub(super) fn of_parts(ahead: &Ahead, service: &Service, intent: &Intent, gate: &str) -> Self {
        let sequence = &ahead.sequence;
        // A project's containers are looked at even so.
        let is_checked = !service.health.is_empty() || sequence.parts.compose.is_some();
        let fetch = ahead
            .fetch
            .iter()
            .map(|_| ("fetch".to_owned(), fetch(ahead)));
        let wanted = sequence.before.project.as_ref();
        let wanted = wanted.map(|project| project.wanted.join(", "));
        let planned = sequence.planned().into_iter().map(|(step, words)| {
            let name = step.to_string();
            let words = match (step, ahead.backup) {
                (Step::BackUp, Some(bytes)) => {
                    format!("{words} (at most {}), named by its time", size(bytes))
                }
                (Step::BackUp, None) => format!("{words}, named by its time"),
                (Step::Gate, _) if is_checked => format!("wait until {gate}"),
                (Step::Gate, _) => gate.to_owned(),
                (Step::Stop | Step::StopAgain | Step::Run | Step::Start, _) => {
                    let argv = words.strip_prefix(&format!("{name}: "));
                    argv.unwrap_or(&words).to_owned()
                }
                (Step::Up, _) => match &wanted {
                    Some(wanted) => format!("{words}: {wanted}"),
                    None => words,
                },
                (Step::CheckOut, _) => words + &lost(ahead),
                (Step::Tag | Step::Look, _) => words,
            };
            (name, words)
        });
        let mut rest = Vec::new();
        if let Some(command) = &sequence.parts.command {
            rest.push((
                "commands",
                commands(command, sequence, &service.name, intent),
            ));
        }
        rest.push(("way back", way_back(sequence, is_checked)));
        Self {
            steps: with_hooks(service, joined(fetch.chain(images(ahead)).chain(planned))),
            rest,
        }
    }

    /// What is to be said of a container; `gate` is what it must pass, in words.
    pub(super) fn of_container(ahead: &apply::Ahead, service: &Service, gate: &str) -> Self {
        let is_here = match ahead.is_here {
            true => "which is here already",
            false => "not here yet, so that whether it can run here is not known",
        };
        let first = [
            ("resolve", format!("{} is {}", ahead.wanted, ahead.digest)),
            ("pull", format!("the image, {is_here}")),
        ];
        let first = first.map(|(name, words)| (name.to_owned(), words));
        let planned = ahead.deploy.planned().into_iter();
        let planned = planned.map(|(name, words)| match name.as_str() {
            "gate" => (name, format!("wait until {gate}")),
            "drain" => (name, words + &drain(service)),
            _ => (name, words),
        });
        let (back, ending) = ahead.deploy.way_back();
        let needs_operator = matches!(ending, Some(machine::Ending::NeedsOperator { .. }));
        let with = ahead.deploy.companions().iter().map(|one| &*one.name);
        let with = with.collect::<Vec<_>>().join(", ");
        let with = (!with.is_empty()).then(|| {
            let words = format!("{with}, made anew since they share a namespace");
            ("with it", words)
        });
        let back = ("way back", back_words(&back, needs_operator));
        let notes = ahead.deploy.notes.iter();
        let notes = notes.map(|note| ("note", note.clone()));
        let rest = with.into_iter().chain(notes).chain([back]).collect();
        Self {
            steps: with_hooks(service, first.into_iter().chain(planned).collect()),
            rest,
        }
    }

    /// All of it, a line each.
    pub(super) fn lines(&self) -> String {
        let steps = self.steps.iter().enumerate();
        let steps = steps.map(|(at, (name, words))| format!("  {}. {name}: {words}\n", at + 1));
        let rest = self.rest.iter();
        let rest = rest.map(|(key, words)| format!("  {key}: {words}\n"));
        steps.chain(rest).collect()
    }
}

/// For how long the old container is left.
fn drain(service: &Service) -> String {
    let start_first = service.start_first.as_ref();
    start_first.map_or_else(String::new, |start_first| {
        format!(", for {} s", start_first.drain.as_secs_f64())
    })
}

/// The steps with the hooks in their places: before what touches anything, and right after the gate that has the last word.
fn with_hooks(service: &Service, mut steps: Vec<(String, String)>) -> Vec<(String, String)> {
    let is_looking = |(name, _): &(String, String)| LOOKING.contains(&name.as_str());
    let first = steps.iter().position(|step| !is_looking(step));
    if let (Some(at), Some(words)) = (first, hook(service.hooks.before.as_ref())) {
        steps.insert(at, ("before".to_owned(), words));
    }
    let is_gate = |(name, _): &(String, String)| GATES.contains(&name.as_str());
    let gate = steps.iter().rposition(is_gate);
    if let (Some(at), Some(words)) = (gate, hook(service.hooks.after.as_ref())) {
        steps.insert(at + 1, ("after".to_owned(), words));
    }
    steps
}

/// The steps, with those of one name in one line, as a report counts their time.
fn joined(steps: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, words) in steps {
        match all.last_mut().filter(|last| last.0 == name) {
            Some(last) => last.1 += &format!("; {words}"),
            None => all.push((name, words)),
        }
    }
    all
}

/// What is known of the images of a Compose project.
fn images(ahead: &Ahead) -> Vec<(String, String)> {
    if ahead.sequence.parts.compose.is_none() {
        return Vec::new();
    }
    let (resolve, pull) = match &ahead.images {
        Some(images) => {
            let digests = images.iter().filter_map(|one| {
                let digest = one.digest.as_ref()?;
                Some(format!("{} is {digest}", one.reference))
            });
            let pulls = images.iter().map(|one| match one.is_new {
                false => format!("{}, which is here already", one.reference),
                true => format!(
                    "{}, not here yet, so that whether it can run here is not known",
                    one.reference
                ),
            });
            (
                digests.collect::<Vec<_>>().join("; "),
                pulls.collect::<Vec<_>>().join("; "),
            )
        }
        None => (
            "what the Compose file of the commit names, which is not known before it is fetched"
                .to_owned(),
            "what of that is not here; which local tags are moved is not known either".to_owned(),
        ),
    };
    vec![("resolve".to_owned(), resolve), ("pull".to_owned(), pull)]
}

/// What is known of the commit.
fn fetch(ahead: &Ahead) -> String {
    let Some(fetch) = &ahead.fetch else {
        return String::new();
    };
    let sha = ahead.sequence.before.new.sha.as_ref();
    let sha = sha.map_or("", |sha| sha.short());
    let is_here = match fetch.is_here {
        true => "which is here already",
        false => "not fetched yet, so that files in its way are not known",
    };
    let is_on_branch = match fetch.is_on_branch {
        true => "",
        false => {
            "; whether it is there, on a branch of the rule, is not known before, since the history here is cut off"
        }
    };
    format!("{sha} from {}, {is_here}{is_on_branch}", fetch.remote)
}

/// What the checkout throws away, if anything.
fn lost(ahead: &Ahead) -> String {
    let lost = ahead.fetch.iter().map(|fetch| &fetch.lost);
    let lost = lost.filter(|lost| !lost.is_empty());
    lost.map(|lost| {
        format!(
            ", which throws away what was changed here: {}",
            git::few(lost)
        )
    })
    .collect()
}

/// Who runs the commands, where, and what they are told. The values of `command.env` may be secrets: only their names.
fn commands(
    command: &Command,
    sequence: &Sequence,
    service: &ServiceName,
    intent: &Intent,
) -> String {
    let user = sequence.parts.user.as_ref();
    let user = user.map_or(String::new(), |user| format!("as {user} "));
    let about = About {
        service,
        channel: Some(&intent.channel),
        intent: &intent.id,
        attempt: 1,
    };
    let variables = sequence.variables(about, Which::Run.word(), Version::New);
    let told = variables.iter();
    let unknown = UNKNOWN_RUN.to_string();
    let told = told.filter(|(name, value)| match name.as_str() {
        "TOWLINE_RUN_NUMBER" => **value != unknown,
        name => !NOT_YET.contains(&name),
    });
    let told: Vec<_> = told
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let own: Vec<_> = command.env.keys().map(String::as_str).collect();
    let own = match own.join(", ") {
        none if none.is_empty() => String::new(),
        names => format!(", and {names} of command.env"),
    };
    format!(
        "{user}in {}, each for at most {} s, with {}{own}",
        sequence.parts.dir().display(),
        command.timeout.as_secs_f64(),
        told.join(" ")
    )
}

/// What a new version that does not pass its checks would lead to.
fn way_back(sequence: &Sequence, is_checked: bool) -> String {
    let (mut steps, ending) = sequence.way_back();
    if !is_checked {
        steps.retain(|step| step != AS_BEFORE);
    }
    let needs_operator = matches!(ending, Some(Ending::NeedsOperator { .. }));
    if steps.is_empty() && needs_operator {
        return "none: after a failure an operator is needed".to_owned();
    }
    let command = sequence.parts.command.as_ref();
    let has_rollback = command.is_some_and(|command| command.rollback.is_some());
    let untold = match has_rollback && sequence.before.old.sha.is_none() {
        true => "; `rollback` has no TOWLINE_SHA then, since the commit before is not known",
        false => "",
    };
    back_words(&steps, needs_operator) + untold
}

fn back_words(steps: &[String], needs_operator: bool) -> String {
    let steps = match steps.join("; ") {
        none if none.is_empty() => "nothing is done".to_owned(),
        steps => steps,
    };
    match needs_operator {
        true => format!("{steps}; then an operator is needed"),
        false => steps,
    }
}
