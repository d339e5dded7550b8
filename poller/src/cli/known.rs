//! Which services there are to name, for whoever has named one that there is not. Pure but for the host's file, which is read.

use std::{collections::BTreeSet, path::Path};

use anyhow::bail;
use towline_protocol::ServiceName;

use super::settings_if_there;
use crate::settings::Settings;

/// Refuses a service that neither the host's file at `config` names nor `past`, which has those that something is kept of.
/// Without a file that can be read nobody knows which there are, and none is refused.
///
/// # Errors
/// Which there are.
pub(super) fn known(
    service: &ServiceName,
    config: &Path,
    past: &BTreeSet<ServiceName>,
) -> anyhow::Result<()> {
    let Ok(Some(settings)) = settings_if_there(config) else {
        return Ok(());
    };
    let named = names(&settings);
    if named.contains(service) || past.contains(service) {
        return Ok(());
    }
    let gone: Vec<_> = past.difference(&named).collect();
    let named = listed(&named);
    match gone.is_empty() {
        true => bail!("no service {service} is known; the host's file names {named}"),
        false => bail!(
            "no service {service} is known; the host's file names {named}, and does not name any more: {}",
            listed(gone)
        ),
    }
}

fn names(settings: &Settings) -> BTreeSet<ServiceName> {
    let services = settings.services.iter();
    services.map(|service| service.name.clone()).collect()
}

/// Names in a row.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a ServiceName>) -> String {
    let names: Vec<_> = names.into_iter().map(ServiceName::as_str).collect();
    names.join(", ")
}
