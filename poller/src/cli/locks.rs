//! `towline hold` and `release`: by the control socket when `towline run` has the state directory, else done here, with the
//! state locked.

use towline_protocol::ServiceName;

use super::{Arguments, ask, say, settings, within};
use crate::{
    control::message::{Ask, Line},
    daemon,
    exit::Ending,
    lock::{Asked, INTERRUPTED},
    uptime::Moment,
};

/// Does what is `asked` about the locks of `service`; with `wait` only what is under way with it is waited for.
pub(super) fn change(
    arguments: &Arguments,
    service: &ServiceName,
    asked: Asked,
    wait: bool,
) -> anyhow::Result<Ending> {
    if wait {
        within::refuse_wait(service)?;
    }
    let request = request(service, &asked, wait);
    let said = match ask::ask(&arguments.state_dir, &request)? {
        Some(Line::Done(said)) => said,
        Some(other) => return Err(ask::unexpected(&other)),
        None => {
            let store = ask::open(&arguments.state_dir)?;
            let settings = settings(&arguments.config)?;
            let open = store.open_journals()?;
            let is_left = open.iter().any(|entry| entry.service == *service);
            let mut locks = store.locks();
            let said =
                daemon::change_locks(&mut locks, &settings, service, &asked, &Moment::now())?;
            match asked {
                Asked::Hold { .. } if is_left => format!("{said}; {}", INTERRUPTED),
                Asked::Hold { .. } | Asked::Release { .. } => said,
            }
        }
    };
    say(&format!("{said}\n"))?;
    Ok(Ending::Done)
}

fn request(service: &ServiceName, asked: &Asked, wait: bool) -> Ask {
    let service = service.clone();
    match asked.clone() {
        Asked::Hold {
            name,
            length,
            reason,
        } => Ask::Hold {
            service,
            name,
            length,
            reason,
            wait,
        },
        Asked::Release { name } => Ask::Release { service, name },
    }
}
