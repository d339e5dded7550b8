//! Whether the programs of a service's commands are there when they are called, of which commits may bring and take away some.

use std::path::Path;

use towline_protocol::Sha;

use super::{
    Host,
    checkout::Tree,
    command,
    halt::{Halt, refuse},
};
use crate::{
    process::{CRLF, Head, NO_FORMAT, ProcessError, Refusal},
    sequence::{Before, Checkout, Sequence},
    settings::Parts,
};

/// What is known of a program in the checkout.
enum Found {
    /// It is brought by the commit, or lies there and can be run.
    There,
    /// Nothing is there by that name.
    Absent,
    /// It is there, and cannot be run, for this reason.
    Refused(String),
}

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
            match find(host, parts, before, commit, argv, file).await? {
                Found::There => can_be_run(host, parts, key, commit, program, file).await?,
                Found::Absent if key == "rollback" => {}
                Found::Absent => {
                    let commit = commit.short();
                    let message = format!("command.{key}: commit {commit} has no {program}");
                    return Err(Halt::Unfit(message));
                }
                Found::Refused(why) => return refuse(format!("command.{key}: {why}")),
            }
        } else if let Some(why) = command::refusal(host, parts, argv).await {
            return refuse(format!("command.{key}: {why}"));
        }
    }
    can_go_back(host, parts, before).await
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
        Head::Text if !found.head.is_empty() => Err(Halt::Unfit(format!("{what} {NO_FORMAT}"))),
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
                    return refuse(format!(
                        "{what} names in its first line what cannot be run: {why}"
                    ));
                }
            }
            Ok(())
        }
        // Of one without any bytes nothing is known.
        Head::Script { .. } | Head::Text | Head::Other => Ok(()),
    }
}

/// Whether what leads back to the commit that is left can be run there: `start`, and `rollback` if that commit has it.
async fn can_go_back(host: Host<'_>, parts: &Parts, before: &Before) -> Result<(), Halt> {
    let (Some(command), Some(at)) = (&parts.command, &before.checkout) else {
        return Ok(());
    };
    let all = [("start", &command.start), ("rollback", &command.rollback)];
    for (key, argv) in all {
        let Some(argv) = argv else { continue };
        let program = argv.first().map_or("", String::as_str);
        let Some(file) = parts.in_checkout(program) else {
            continue;
        };
        let commit = at.commit.short();
        let why = match find_left(host, parts, at, argv, &file).await? {
            Found::There => continue,
            // See `fit_way_back`.
            Found::Absent if key == "rollback" => continue,
            Found::Absent => format!("has no {program}, so that nothing could start it again"),
            Found::Refused(why) => format!("could not be gone back to: {why}"),
        };
        return refuse(format!(
            "command.{key}: commit {commit}, which is left, {why}; put the program beside the checkout, or check out a \
             commit that has it by hand"
        ));
    }
    Ok(())
}

/// Takes `rollback` out of a deploy from a commit that has no such program: the checkout alone leads back then. One that is
/// there and cannot be run has been refused by [`can_run`].
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
    let found = find_left(host, parts, at, argv, &file).await;
    // A git that is in trouble says so where it is needed.
    if !matches!(found, Ok(Found::Absent)) {
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

/// What `file` of the checkout, the program of `argv`, is when `commit` is checked out: brought by it, or left alone because git
/// does not track it.
async fn find(
    host: Host<'_>,
    parts: &Parts,
    before: &Before,
    commit: &Sha,
    argv: &[String],
    file: &Path,
) -> Result<Found, Halt> {
    let (Some(tree), Some(at)) = (Tree::of(parts, host), &before.checkout) else {
        return Ok(Found::There);
    };
    if tree.may_bring(commit, file).await? {
        return Ok(Found::There);
    }
    if tree.may_bring(&at.commit, file).await? {
        return Ok(Found::Absent);
    }
    Ok(lies_there(host, parts, argv).await)
}

/// What it is in the commit that is left, which lies there now, but for changes that are to be thrown away.
async fn find_left(
    host: Host<'_>,
    parts: &Parts,
    at: &Checkout,
    argv: &[String],
    file: &Path,
) -> Result<Found, Halt> {
    let discards = parts.git.as_ref().is_some_and(|git| git.discard_changes);
    let tree = Tree::of(parts, host).filter(|_| discards);
    match tree {
        Some(tree) if tree.may_bring(&at.commit, file).await? => Ok(Found::There),
        Some(_) | None => Ok(lies_there(host, parts, argv).await),
    }
}

/// What lies in the checkout as the program of `argv`.
async fn lies_there(host: Host<'_>, parts: &Parts, argv: &[String]) -> Found {
    match command::refused(host, parts, argv).await {
        None => Found::There,
        Some(ProcessError::Refused(Refusal::Missing { .. })) => Found::Absent,
        // Its folder may come and go with a commit, too.
        Some(ProcessError::Refused(Refusal::Dir { dir, .. })) if !dir.exists() => Found::Absent,
        Some(why) => Found::Refused(why.to_string()),
    }
}
