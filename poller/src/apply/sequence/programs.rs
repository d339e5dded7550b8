//! Whether the programs of a service's commands are there when they are called, of which commits may bring and take away some.

use std::path::Path;

use towline_protocol::{Outcome, Sha};

use super::{Host, checkout::Tree, command, halt::Halt};
use crate::{
    process::{CRLF, Head},
    sequence::{Before, Sequence},
    settings::Parts,
};

/// Whether all commands can be run, each in the commit that it is called in; of `rollback` see [`fit_way_back`].
pub(super) async fn can_run(host: Host<'_>, parts: &Parts, before: &Before) -> Result<(), Halt> {
    let Some(command) = &parts.command else {
        return Ok(());
    };
    let new = before.new.sha.as_ref();
    let all = [
        // It is called first before the checkout: what lies there now counts.
        ("stop", command.stop.as_ref(), None),
        // And on the way back, before the checkout too.
        ("stop", command.stop.as_ref(), new),
        ("run", Some(&command.run), new),
        ("rollback", command.rollback.as_ref(), new),
        ("start", command.start.as_ref(), new),
    ];
    for (key, argv, commit) in all {
        let Some(argv) = argv else { continue };
        let program = argv.first().map_or("", String::as_str);
        let file = parts.in_checkout(program);
        if let (Some(file), Some(commit)) = (&file, commit) {
            if key != "rollback" && !is_there(host, parts, before, commit, argv, file).await? {
                let commit = commit.short();
                let message = format!("command.{key}: commit {commit} has no {program}");
                return Err(Halt::Unfit(message));
            }
            if key != "rollback" {
                can_be_run(host, parts, key, commit, program, file).await?;
            }
        } else if let Some(why) = command::refusal(host, parts, argv).await {
            let message = format!("command.{key}: {why}");
            return Err(Halt::Over(Outcome::Refused, message));
        }
    }
    can_start_again(host, parts, before).await
}

/// Whether the system can run `file`, the program of the command `key`, as the commit has it. What `run` needs must be there;
/// the interpreter of others may be what it brings.
async fn can_be_run(
    host: Host<'_>,
    parts: &Parts,
    key: &str,
    commit: &Sha,
    program: &str,
    file: &Path,
) -> Result<(), Halt> {
    let Some(tree) = Tree::of(parts, host) else {
        return Ok(());
    };
    let Some(found) = tree.program(commit, file).await? else {
        return Ok(());
    };
    let what = format!("command.{key}: {program} of commit {}", commit.short());
    if !found.is_executable {
        let path = file.display();
        let message = format!(
            "{what} may not be executed; commit it after git update-index --chmod=+x {path}"
        );
        return Err(Halt::Unfit(message));
    }
    match Head::read(&found.head) {
        Head::CarriageReturn => Err(Halt::Unfit(format!("{what} {CRLF}"))),
        Head::Script {
            interpreter,
            by_env,
        } if key == "run" => {
            let is_elsewhere = |name: &String| {
                !name.contains('/') || name.starts_with('/') && parts.in_checkout(name).is_none()
            };
            // The kernel looks for one without a slash in the folder.
            let interpreter = Some(interpreter).filter(|name| name.contains('/'));
            let all = interpreter.into_iter().chain(by_env);
            for name in all.filter(is_elsewhere) {
                if let Some(why) = command::no_interpreter(host, parts, name).await {
                    let message =
                        format!("{what} names in its first line what cannot be run: {why}");
                    return Err(Halt::Over(Outcome::Refused, message));
                }
            }
            Ok(())
        }
        // Without `#!` it may be what a filter of git's makes a program of.
        Head::Script { .. } | Head::Text | Head::Other => Ok(()),
    }
}

/// Whether the commit that is left has the program by which it would be started again.
async fn can_start_again(host: Host<'_>, parts: &Parts, before: &Before) -> Result<(), Halt> {
    let start = parts.command.as_ref().and_then(|it| it.start.as_ref());
    let (Some(argv), Some(at)) = (start, &before.checkout) else {
        return Ok(());
    };
    let program = argv.first().map_or("", String::as_str);
    let Some(file) = parts.in_checkout(program) else {
        return Ok(());
    };
    if is_there(host, parts, before, &at.commit, argv, &file).await? {
        return Ok(());
    }
    let commit = at.commit.short();
    let message = format!(
        "command.start: commit {commit}, which is left, has no {program}, so that nothing could start it again; put the \
         program beside the checkout, or check out a commit that has it by hand"
    );
    Err(Halt::Over(Outcome::Refused, message))
}

/// Takes `rollback` out of a deploy from a commit that has no such program: the checkout alone leads back then.
pub(super) async fn fit_way_back(host: Host<'_>, sequence: &mut Sequence) {
    let (parts, before) = (&sequence.parts, &sequence.before);
    let rollback = parts.command.as_ref().and_then(|it| it.rollback.as_ref());
    let (Some(argv), Some(at)) = (rollback, &before.checkout) else {
        return;
    };
    let program = argv.first().map_or("", String::as_str);
    let Some(file) = parts.in_checkout(program) else {
        return;
    };
    let found = is_there(host, parts, before, &at.commit, argv, &file).await;
    // A git that is in trouble says so where it is needed.
    if found.unwrap_or(true) {
        return;
    }
    let commit = at.commit.short();
    let note = format!(
        "commit {commit} has no {program}, so that nothing but the checkout leads back to it"
    );
    sequence.notes.push(note);
    if let Some(command) = &mut sequence.parts.command {
        command.rollback = None;
    }
}

/// Whether `file` of the checkout, the program of `argv`, is there when `commit` is checked out: brought by it, or left alone
/// because git does not track it.
async fn is_there(
    host: Host<'_>,
    parts: &Parts,
    before: &Before,
    commit: &Sha,
    argv: &[String],
    file: &Path,
) -> Result<bool, Halt> {
    let (Some(tree), Some(at)) = (Tree::of(parts, host), &before.checkout) else {
        return Ok(true);
    };
    if tree.may_bring(commit, file).await? {
        return Ok(true);
    }
    let is_tracked = tree.may_bring(&at.commit, file).await?;
    Ok(!is_tracked && command::refusal(host, parts, argv).await.is_none())
}
