//! The keys of `[service.X.hooks]`: what runs before a deploy, and when its new version has passed its checks.

use std::time::Duration;

use toml::{Spanned, de::DeValue};

use super::{
    Call, Hook, Hooks, names,
    read::{Reader, Table, Told},
    values,
    work::Kind,
};

/// How long a hook may take unless the file says otherwise.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Reads the hooks of a service of this kind.
pub(super) fn hooks(
    table: &mut Table<'_, '_>,
    kind: Kind,
    reader: &mut Reader<'_>,
) -> Result<Hooks, Told> {
    let Some(raw) = table.raw("hooks") else {
        return Ok(Hooks::default());
    };
    let mut hooks = Table::at(table.path_of("hooks"), raw, reader)?;
    let mut read = |key| {
        let raw = hooks.raw(key)?;
        Some(hook(hooks.path_of(key), raw, kind, reader))
    };
    let (before, after) = (read("before"), read("after"));
    hooks.finish(reader, &[]);
    Ok(Hooks {
        before: before.transpose()?,
        after: after.transpose()?,
    })
}

fn hook(
    path: String,
    raw: &Spanned<DeValue<'_>>,
    kind: Kind,
    reader: &mut Reader<'_>,
) -> Result<Hook, Told> {
    let mut table = Table::at(path, raw, reader)?;
    let run = table.get(reader, "run", names::argv);
    let exec = table.get(reader, "exec", values::command);
    let of = table.get(reader, "service", values::some_text);
    let timeout = table.get(reader, "timeout", values::duration);
    let possible = refuse_impossible(kind, &table, reader);
    let call = match (run, exec, of) {
        (Ok(Some(run)), Ok(None), Ok(_)) => Ok(Call::Run(run.value)),
        (Ok(None), Ok(Some(exec)), Ok(of)) => Ok(Call::Exec {
            argv: exec.value,
            of: of.map(|found| found.value),
        }),
        (Ok(Some(_)), Ok(Some(exec)), Ok(_)) => {
            let message = "a hook is either `run`, on this host, or `exec`, in a container";
            Err(reader.tell(&exec.span, table.path_of("exec"), message))
        }
        (Ok(None), Ok(None), Ok(_)) => {
            let expected =
                "the program that is run on this host; or `exec` for one in the container";
            Err(table.missing(reader, "run", expected))
        }
        (Err(told), _, _) | (_, Err(told), _) | (_, _, Err(told)) => Err(told),
    };
    table.finish(reader, &[]);
    possible?;
    Ok(Hook {
        call: call?,
        timeout: timeout?.map_or(TIMEOUT, |found| found.value),
    })
}

/// Refuses what no service of this kind can do, and what says too little or too much.
fn refuse_impossible(
    kind: Kind,
    table: &Table<'_, '_>,
    reader: &mut Reader<'_>,
) -> Result<(), Told> {
    let (has_exec, has_service) = (table.has("exec"), table.has("service"));
    let (key, message) = match kind {
        Kind::Host if has_exec => (
            "exec",
            "a checkout and a command have no container: use `run`",
        ),
        Kind::Project if has_exec && !has_service => {
            let expected =
                "which service of the project, such as \"db\": it has several containers";
            return Err(table.missing(reader, "service", expected));
        }
        Kind::Container | Kind::Host | Kind::Project
            if has_service && !(has_exec && kind == Kind::Project) =>
        {
            ("service", "is for `exec` in a container of a project")
        }
        Kind::Container | Kind::Host | Kind::Project => return Ok(()),
    };
    Err(reader.tell(&table.span_of(key), table.path_of(key), message))
}
