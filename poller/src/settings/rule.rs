//! The keys of `[service.X]` that say what may deploy it.

use toml::de::DeValue;
use towline_protocol::{Channel, Glob};

use super::{
    Rule, RunRule,
    read::{Found, Reader, Table, Told},
    values,
};

const MANUAL_ONLY: &str = "is for a `repository`; a `channel` has manual intents only";

/// A key that may be there, be wrong, or be missing.
type Maybe<T> = Result<Option<Found<T>>, Told>;

/// Reads what may deploy a service.
pub(super) fn rule(table: &mut Table<'_, '_>, reader: &mut Reader<'_>) -> Result<Rule, Told> {
    let repository = table.get(reader, "repository", repository);
    let channel = table.get(reader, "channel", manual_channel);
    let workflow = table.get(reader, "workflow", values::workflow);
    let branch = table.get(reader, "branch", values::branches);
    let manual = table.get(reader, "manual", values::boolean)?;
    let place = reader.place(manual.as_ref().map_or(table.span(), |found| &found.span));
    let manual = manual.is_none_or(|found| found.value);
    let (channel, runs) = match (repository, channel) {
        (Ok(None), Ok(None)) => {
            let expected =
                "the GitHub repository, \"owner/repo\", or `channel` for manual intents only";
            return Err(table.missing(reader, "repository", expected));
        }
        (repository, Ok(None)) => {
            let runs = run_rule(table, reader, workflow, branch);
            (repository?, Some(runs?))
        }
        (Ok(None), channel) => {
            refuse_run_keys(table, reader, workflow, branch)?;
            if !manual {
                let message = "a `channel` has manual intents only, so that nothing could ever deploy this service";
                return Err(reader.tell(table.span(), table.path_of("manual"), message));
            }
            (channel?, None)
        }
        (_, channel) => {
            let span = channel?.map_or(table.span().clone(), |found| found.span);
            let message = "a service has either `repository` or `channel`";
            return Err(reader.tell(&span, table.path_of("channel"), message));
        }
    };
    let channel = channel.ok_or(Told)?.value;
    Ok(Rule {
        channel,
        runs,
        manual,
        place,
    })
}

fn repository(value: &DeValue<'_>) -> Result<Channel, String> {
    Channel::of_repository(values::string(value)?).map_err(|error| error.to_string())
}

fn manual_channel(value: &DeValue<'_>) -> Result<Channel, String> {
    let channel: Channel = values::string(value)?
        .parse()
        .map_err(|error| format!("{error}"))?;
    if channel.is_repository() {
        let message = "expected a name without a slash; for a GitHub repository use `repository`";
        return Err(message.to_owned());
    }
    Ok(channel)
}

/// Both keys are needed: without them any green workflow on any branch would deploy the service.
fn run_rule(
    table: &Table<'_, '_>,
    reader: &mut Reader<'_>,
    workflow: Maybe<String>,
    branch: Maybe<Vec<Glob>>,
) -> Result<RunRule, Told> {
    let workflow = workflow.and_then(|found| {
        let expected = "the file name of the workflow that must succeed, such as \"ci.yml\"";
        found.ok_or_else(|| table.missing(reader, "workflow", expected))
    });
    let branches = branch.and_then(|found| {
        let expected = "the branch that is deployed, such as \"main\"";
        found.ok_or_else(|| table.missing(reader, "branch", expected))
    });
    Ok(RunRule {
        workflow: workflow?.value,
        branches: branches?.value,
    })
}

fn refuse_run_keys(
    table: &Table<'_, '_>,
    reader: &mut Reader<'_>,
    workflow: Maybe<String>,
    branch: Maybe<Vec<Glob>>,
) -> Result<(), Told> {
    let workflow = workflow?.map(|found| ("workflow", found.span));
    let branch = branch?.map(|found| ("branch", found.span));
    let told = [workflow, branch]
        .into_iter()
        .flatten()
        .map(|(key, span)| reader.tell(&span, table.path_of(key), MANUAL_ONLY));
    told.last().map_or(Ok(()), Err)
}
