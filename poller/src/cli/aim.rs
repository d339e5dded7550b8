//! What `towline deploy NAME` is aimed at, and at which relay. Pure but for the host's file, which is read when needed.

use anyhow::{Context, bail};
use towline_protocol::{Channel, ServiceName};

use crate::settings::{Relay, RelayUrl, Settings, Work};

/// The environment variable that may hold the relay's address.
pub(super) const RELAY_VARIABLE: &str = "TOWLINE_RELAY";

/// The host's file, `None` where there is none: an operator's own machine has none.
pub(super) type File<'a> = &'a dyn Fn() -> anyhow::Result<Option<Settings>>;

/// What an intent is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Aim {
    /// The channel.
    pub(super) channel: Channel,
    /// The one service; `None` is each whose rule matches.
    pub(super) service: Option<ServiceName>,
    /// Whether the host's file says that the service is put at a commit, without which nothing can be done.
    pub(super) by_commit: bool,
}

/// What `name` means: a repository, a service of the host's file, else a channel.
pub(super) fn aim(
    name: &str,
    service: Option<&ServiceName>,
    file: File<'_>,
) -> anyhow::Result<Aim> {
    if name.contains('/') {
        return Ok(Aim {
            channel: Channel::of_repository(name)?,
            service: service.cloned(),
            by_commit: false,
        });
    }
    let known = match service {
        Some(_) => None,
        None => named(name, file)?,
    };
    match known {
        Some(aim) => Ok(aim),
        None => Ok(Aim {
            channel: name.parse()?,
            service: service.cloned(),
            by_commit: false,
        }),
    }
}

/// The service of that name in the host's file.
fn named(name: &str, file: File<'_>) -> anyhow::Result<Option<Aim>> {
    let Some(settings) = file()? else {
        return Ok(None);
    };
    let mut services = settings.services.iter();
    let Some(found) = services.find(|service| service.name.as_str() == name) else {
        return Ok(None);
    };
    let own = &found.rule.channel;
    let other = settings.channels().into_iter();
    let other = other.filter(|channel| channel != own);
    if let Some(channel) = other.into_iter().find(|channel| channel.as_str() == name) {
        bail!(
            "{name} is a service of this host's file, and the channel of others; for the service say: towline deploy \
             {own} --service {name}; for those on channel {channel} say: towline deploy {channel} --service NAME"
        );
    }
    Ok(Some(Aim {
        channel: own.clone(),
        service: Some(found.name.clone()),
        by_commit: match &found.work {
            Work::Docker { .. } => false,
            Work::Parts(parts) => parts.git.is_some(),
        },
    }))
}

/// The relay: what was said on the command line, else by the environment, else by the host's file.
pub(super) fn relay(
    said: Option<&RelayUrl>,
    variable: Option<&str>,
    file: File<'_>,
) -> anyhow::Result<Relay> {
    // Which authorities count is a matter of the machine, whoever names the relay. A file that cannot be read names none.
    let ca_file = || file().ok().flatten()?.relay.ca_file;
    let at = |url| Relay {
        url,
        token_file: None,
        ca_file: ca_file(),
        doorbell: false,
    };
    if let Some(url) = said {
        return Ok(at(url.clone()));
    }
    if let Some(text) = variable.filter(|text| !text.trim().is_empty()) {
        let url = text.trim().parse().map_err(anyhow::Error::msg);
        let url = url.with_context(|| format!("${RELAY_VARIABLE} is not a relay's address"));
        return Ok(at(url?));
    }
    let settings = file()?.with_context(|| {
        format!("no relay: say --relay URL or set ${RELAY_VARIABLE}; there is no host's file here that names one")
    })?;
    Ok(settings.relay)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[relay]\nurl = \"https://relay.example\"\n\
        [service.web]\nrepository = \"octo-org/web\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\ndocker = { container = \"web\" }\n\
        [service.jobs]\nchannel = \"jobs\"\ndocker = { container = \"jobs\" }\n\
        [service.both]\nrepository = \"octo-org/both\"\nworkflow = \"ci.yml\"\nbranch = \"main\"\ndocker = { container = \"both\" }\n\
        [service.other]\nchannel = \"both\"\ndocker = { container = \"other\" }\n";

    fn a_file() -> anyhow::Result<Option<Settings>> {
        Ok(Some(Settings::parse(FILE, "towline.toml").unwrap()))
    }

    fn no_file() -> anyhow::Result<Option<Settings>> {
        Ok(None)
    }

    fn unreadable() -> anyhow::Result<Option<Settings>> {
        bail!("permission denied")
    }

    fn at(name: &str, service: Option<&str>, file: File<'_>) -> anyhow::Result<(String, String)> {
        let service = service.map(|name| name.parse().unwrap());
        let aim = aim(name, service.as_ref(), file)?;
        let service = aim.service.map_or("every", |_| "one");
        Ok((aim.channel.to_string(), service.to_owned()))
    }

    fn is(channel: &str, service: &str) -> (String, String) {
        (channel.to_owned(), service.to_owned())
    }

    #[test]
    fn a_service_of_the_hosts_file_is_meant_by_its_name_alone() {
        assert_eq!(at("web", None, &a_file).unwrap(), is("octo-org/web", "one"));
        assert_eq!(at("jobs", None, &a_file).unwrap(), is("jobs", "one"));
    }

    #[test]
    fn what_has_a_slash_is_a_repository_in_any_case_and_needs_no_file() {
        let wanted = is("octo-org/web", "every");
        assert_eq!(at("Octo-Org/Web", None, &unreadable).unwrap(), wanted);
        let one = is("octo-org/web", "one");
        assert_eq!(at("octo-org/web", Some("web"), &unreadable).unwrap(), one);
    }

    #[test]
    fn what_no_file_knows_is_a_channel_and_beside_a_service_it_always_is() {
        assert_eq!(at("web", None, &no_file).unwrap(), is("web", "every"));
        assert_eq!(at("fleet", None, &a_file).unwrap(), is("fleet", "every"));
        assert_eq!(
            at("web", Some("web"), &unreadable).unwrap(),
            is("web", "one")
        );
        let error = at("Web", None, &no_file).unwrap_err().to_string();
        assert!(error.contains("channel \"Web\" is not valid"), "{error}");
    }

    #[test]
    fn a_name_that_may_mean_two_things_is_not_guessed() {
        let error = at("both", None, &a_file).unwrap_err().to_string();
        assert!(error.contains("octo-org/both --service both"), "{error}");
        assert!(at("web", None, &unreadable).is_err());
    }

    #[test]
    fn the_relay_is_the_command_lines_else_the_environments_else_the_files() {
        let said: RelayUrl = "https://said.example".parse().unwrap();
        let url = |said, variable, file: File<'_>| {
            relay(said, variable, file).map(|relay| relay.url.to_string())
        };
        let told = url(Some(&said), Some("https://variable.example"), &unreadable);
        assert_eq!(told.unwrap(), "https://said.example");
        let own = relay(Some(&said), None, &a_file).unwrap().ca_file;
        assert_eq!(
            own.is_some(),
            a_file().unwrap().unwrap().relay.ca_file.is_some()
        );
        let told = url(None, Some("https://variable.example/\n"), &unreadable);
        assert_eq!(told.unwrap(), "https://variable.example");
        assert_eq!(
            url(None, Some(""), &a_file).unwrap(),
            "https://relay.example"
        );
        let none = url(None, None, &no_file).unwrap_err().to_string();
        assert!(
            none.contains("--relay") && none.contains("TOWLINE_RELAY"),
            "{none}"
        );
        let clear = url(None, Some("http://relay.example"), &a_file).unwrap_err();
        assert!(format!("{clear:#}").contains("in the clear"), "{clear:#}");
    }
}
