//! Running a program, from the order to its end.

use tokio::time::Instant;

use super::{
    Ended, Identity, Launcher, MAX_STDOUT, Order, ProcessError,
    program::{Left, Program},
    streams::Streams,
};

/// What is told among the program's own words.
const LEFT_RUNNING: &str = "(towline has ended what this program had left running; what shall stay belongs to a supervisor)";

/// Runs a program to its end. `begun` is told which process it will be before it may go, and can stop it; `line` gets
/// what it says, line by line and within bounds, for the log.
///
/// What it has left running in its session is ended after it, and [`ProcessError::Outlived`] where that cannot be. When this is
/// dropped, all of it is asked to end and soon killed; whether it has ended is not waited for.
///
/// # Errors
/// See [`ProcessError::has_run`]: but for two rare cases the program has not run then. An exit status is no error.
pub async fn run(
    launcher: &Launcher,
    order: &Order,
    begun: &mut dyn FnMut(&Identity) -> Result<(), String>,
    line: &mut dyn FnMut(&str),
) -> Result<Ended, ProcessError> {
    let (mut streams, stdout, stderr) =
        Streams::new(order.capture).map_err(ProcessError::Launch)?;
    let program = Program::launch(launcher, order, stdout, stderr);
    let mut program = program.map_err(ProcessError::Launch)?;
    begun(&program.ready(order).await?).map_err(ProcessError::NotBegun)?;
    let since = Instant::now();
    let ended = tokio::select! {
        ended = program.play(order) => Some(ended?),
        _overflow = streams.pump(line) => None,
    };
    let ended = ended.filter(|_| streams.drain(line).is_ok());
    let Some((how, left)) = ended else {
        return Err(match program.end(order.grace).await {
            Left::Nobody | Left::Ended => ProcessError::TooMuch {
                program: program.name().to_owned(),
                max: MAX_STDOUT,
            },
            Left::Stays => program.outlived(None, streams.output.tail()),
        });
    };
    if left == Left::Stays {
        return Err(program.outlived(Some(how), streams.output.tail()));
    }
    let others_ended = left.were_ended(how);
    if others_ended {
        streams.output.note(LEFT_RUNNING, line);
    }
    Ok(Ended {
        how,
        others_ended,
        tail: streams.output.tail(),
        stdout: streams.stdout,
        took: since.elapsed(),
    })
}
