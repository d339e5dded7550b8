//! What a service accepts and would do, in words.

use std::path::Path;

use towline_protocol::ServiceName;

use super::super::accepts;
use crate::settings::{
    Backup, Call, Choice, Command, Compose, Git, HealthCheck, Hook, HttpProbe, OnFailure,
    OnInterrupt, Parts, Probe, Rolling, Service, StartFirst, Work,
};

/// What `service` accepts and would do, each on a line.
pub(super) fn about_service(service: &Service) -> String {
    let rule = &service.rule;
    let mut accepts = accepts::about_events(&rule.events, &rule.channel);
    if rule.manual {
        accepts.push(format!("manual intents on channel {}", rule.channel));
    }
    let mut lines = vec![("accepts", accepts.join("; "))];
    if !service.after.is_empty() {
        lines.push(("comes after", about_after(&service.after)));
    }
    lines.extend(match &service.work {
        Work::Docker { container, rolling } => {
            let choice = about_choice(container, *rolling);
            let strategy = service.start_first.as_ref().map(about_start_first);
            let lines = [("image", about_image(service)), ("replaces", choice)];
            let strategy = strategy.map(|what| ("starts first", what));
            lines.into_iter().chain(strategy).collect()
        }
        Work::Parts(parts) => about_parts(service, parts),
    });
    lines.extend(hook(service.hooks.before.as_ref()).map(|what| ("asks before", what)));
    lines.push(("keeps", about_keep(service.keep)));
    lines.push(("passes when", about_health(service)));
    lines.extend(hook(service.hooks.after.as_ref()).map(|what| ("asks after", what)));
    let lines = lines.into_iter();
    let lines: String = lines
        .map(|(key, what)| format!("  {key}: {what}\n"))
        .collect();
    format!("{}:\n{lines}", service.name)
}

/// Which containers are replaced, and how if they may be several.
fn about_choice(container: &Choice, rolling: Rolling) -> String {
    if matches!(container, Choice::Name(_)) {
        return container.to_string();
    }
    let at_a_time = match rolling.max_parallel {
        1 => "one".to_owned(),
        several => several.to_string(),
    };
    let failure = match rolling.on_failure {
        OnFailure::Rollback => "takes all of them back",
        OnFailure::Pause => "leaves those that have passed, and waits for `towline resolve`",
    };
    format!("{container}, {at_a_time} at a time; a failure {failure}")
}

/// How the new version takes over.
fn about_start_first(start_first: &StartFirst) -> String {
    let StartFirst {
        drain,
        may_stop_first,
        shared_volumes,
    } = start_first;
    let drain = seconds(*drain);
    let otherwise = match may_stop_first {
        true => "the old one is stopped first",
        false => "it is refused",
    };
    let shared = match shared_volumes.join(", ") {
        none if none.is_empty() => none,
        places => format!("; both may write to {places}"),
    };
    format!(
        "the new version takes over the name when it has passed, and {drain} later the old one is stopped; where that is not \
         possible, {otherwise}{shared}"
    )
}

/// A hook, in words; its arguments are not told, since they may be secret.
pub(in super::super) fn hook(hook: Option<&Hook>) -> Option<String> {
    let hook = hook?;
    let (argv, place) = match &hook.call {
        Call::Run(argv) => (argv, "on this host".to_owned()),
        Call::Exec { argv, of: None } => (argv, "in the container".to_owned()),
        Call::Exec {
            argv,
            of: Some(service),
        } => (argv, format!("in a container of {service}")),
    };
    let program = argv.first().map_or("", String::as_str);
    let more = if argv.len() > 1 { " ..." } else { "" };
    let limit = seconds(hook.timeout);
    Some(format!("{program}{more}, {place}, for at most {limit}"))
}

fn about_after(after: &[ServiceName]) -> String {
    let names: Vec<_> = after.iter().map(|name| name.as_str()).collect();
    format!(
        "{}; an intent for any of these too is applied there first, and here only if that ends well",
        names.join(", ")
    )
}

fn about_image(service: &Service) -> String {
    let wait = seconds(service.image_wait);
    match &service.image {
        Some(template) => format!("{template}, waited for up to {wait}"),
        None => {
            format!("the reference that the container was made with, waited for up to {wait}")
        }
    }
}

/// What would be done to the parts of a service, in the order in which it would be.
fn about_parts(service: &Service, parts: &Parts) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(user) = &parts.user {
        lines.push(("as", format!("the user {user}")));
    }
    let command = parts.command.as_ref();
    let words = |argv: &Vec<String>| format!("{argv:?}");
    lines.extend(command.and_then(|command| Some(("stops by", words(command.stop.as_ref()?)))));
    lines.extend(parts.backup.as_ref().map(about_backup));
    lines.extend(parts.git.as_ref().map(about_git));
    lines.extend(parts.compose.as_ref().map(|it| about_compose(it, service)));
    lines.extend(command.map(|command| about_run(command, &parts.dir())));
    lines.extend(command.and_then(|command| Some(("starts by", words(command.start.as_ref()?)))));
    lines.extend(command.map(|command| about_way_back(command, parts)));
    lines
}

fn about_backup(backup: &Backup) -> (&'static str, String) {
    let paths: Vec<_> = backup.paths.iter().map(|path| path.display()).collect();
    let restored = match backup.restore {
        true => "restored when going back",
        false => "never restored by itself",
    };
    let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
    let what = format!(
        "{}; the newest {} kept, {restored}",
        paths.join(", "),
        backup.keep
    );
    ("backs up", what)
}

fn about_git(git: &Git) -> (&'static str, String) {
    let changes = if git.discard_changes {
        "changes made here are thrown away"
    } else {
        "refused where something was changed here"
    };
    let (path, remote) = (git.path.display(), &git.remote);
    (
        "checks out",
        format!("the commit from {remote} in {path}; {changes}"),
    )
}

fn about_compose(compose: &Compose, service: &Service) -> (&'static str, String) {
    let services = match compose.services.join(", ") {
        all if all.is_empty() => "all services".to_owned(),
        some => some,
    };
    let profiles = match compose.profiles.join(", ") {
        none if none.is_empty() => String::new(),
        some => format!(" with the profiles {some}"),
    };
    let project = compose.project.as_ref();
    let project = project.map_or(String::new(), |name| format!(" as the project {name}"));
    let (file, wait) = (compose.file.display(), seconds(service.image_wait));
    let what =
        format!("{services} of {file}{project}{profiles}; images are waited for up to {wait}");
    ("brings up", what)
}

fn about_run(command: &Command, dir: &Path) -> (&'static str, String) {
    let (dir, timeout) = (dir.display(), seconds(command.timeout));
    let what = format!(
        "{:?} in {dir}, each command for at most {timeout}",
        command.run
    );
    ("runs", what)
}

fn about_way_back(command: &Command, parts: &Parts) -> (&'static str, String) {
    let by = match &command.rollback {
        Some(argv) => format!("{argv:?}"),
        None if parts.git.is_some() => "the commit before".to_owned(),
        None => "nothing, so that a failure waits for an operator".to_owned(),
    };
    let interrupted = match command.on_interrupt {
        OnInterrupt::Rerun => "is run again",
        OnInterrupt::Rollback => "is taken back",
        OnInterrupt::Ask => "waits for an operator",
    };
    (
        "goes back by",
        format!("{by}; what was interrupted {interrupted}"),
    )
}

fn about_keep(keep: u32) -> String {
    match keep {
        1 => "the current version only, so that there is none to go back to".to_owned(),
        2 => "the current version and the one before".to_owned(),
        more => format!("the current version and {} before", more - 1),
    }
}

/// What `service` must pass.
pub(in crate::cli) fn about_health(service: &Service) -> String {
    let stable_for = service.stable_for.map_or(String::new(), |window| {
        format!("; and nothing goes wrong for {}", seconds(window))
    });
    if service.health.is_empty() {
        let without = match &service.work {
            Work::Docker { .. } => {
                "the image's own healthcheck says healthy, or without one it keeps running"
            }
            Work::Parts(parts) if parts.compose.is_some() => {
                "the healthchecks of its containers say healthy, and those without one keep running or end with status 0"
            }
            Work::Parts(_) => {
                "nothing checks it: that nothing failed is all that is known then (weak); say what must answer, such as \
                 health = [{ http = \"http://127.0.0.1:PORT/\" }], or a program, health = [{ exec = [\"PROGRAM\"] }]"
            }
        };
        return format!("{without}{stable_for}");
    }
    let place = match &service.work {
        Work::Docker { .. } => " in the container",
        Work::Parts(_) => "",
    };
    let each = service.health.iter().map(|check| match check {
        HealthCheck::Tried { probe, within } => {
            format!("{} within {}", about_probe(probe, place), seconds(*within))
        }
        HealthCheck::Docker { within } => {
            let within = within.map_or(String::new(), |within| {
                format!(" within {}", seconds(within))
            });
            format!("its healthcheck says healthy{within}")
        }
    });
    each.collect::<Vec<_>>().join("; ") + &stable_for
}

fn about_probe(probe: &Probe, place: &str) -> String {
    match probe {
        Probe::Http(HttpProbe {
            url,
            status,
            contains,
            json,
        }) => {
            let status = status.map_or("200 to 299".to_owned(), |status| status.to_string());
            let text = contains
                .as_ref()
                .map_or(String::new(), |text| format!(" and {text:?} in it"));
            let json = json.as_ref().map_or(String::new(), |json| {
                format!(" and {} at {:?} of its JSON", json.equals, json.pointer)
            });
            format!("{url} answers {status}{text}{json}")
        }
        Probe::Tcp(address) => format!("{address} takes a connection"),
        Probe::Exec(command) => format!("{command:?} ends with status 0{place}"),
    }
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{settings::Settings, testing::service};

    #[test]
    fn what_a_service_accepts_and_does_is_told_in_words() {
        let plain = about_service(&service("manual = false"));
        let health = "keep = 3\nstable_for = \"20s\"\nimage = \"ghcr.io/octo-org/web:sha-{short_sha}\"\nhealth = [{ http = \"http://127.0.0.1:8080/health\", contains = \"ok\", json = { pointer = \"/db/up\", equals = true } }, { docker = true, within = \"1500ms\" }, { tcp = \"{container}:5432\" }, { exec = [\"pg_isready\", \"-q\"], within = \"5s\" }]";
        let full = about_service(&service(health));
        let beside = "strategy = \"start-first\"\nshared_volumes = [\"/cache\"]\nhealth = [{ docker = true }]";
        let beside = about_service(&service(beside));
        let fallback = "strategy = \"start-first\"\ndrain = \"30s\"\nfallback = \"stop-first\"";
        let fallback = about_service(&service(fallback));
        insta::assert_snapshot!([plain, full, beside, fallback].concat());
    }

    #[test]
    fn everything_that_may_deploy_a_service_is_told_in_words() {
        let accepts = |lines: &str| {
            let text = format!(
                "[relay]\nurl = \"https://towline.example.workers.dev\"\n[service.web]\nrepository = \"octo-org/web\"\n\
                 docker = {{ container = \"web\" }}\nimage = \"ghcr.io/octo-org/web\"\n{lines}\n"
            );
            let settings = Settings::parse(&text, "towline.toml").unwrap();
            let about = about_service(&settings.services[0]);
            let line = about.lines().find(|line| line.contains("accepts")).unwrap();
            format!("{}\n", line.trim())
        };
        let all = "on = [\"workflow\", \"push\", \"package\", \"release\", \"deployment\"]\nworkflow = \"ci.yml\"\n\
                   branch = [\"main\", \"release/*\"]\ntag = \"v*\"\nenvironment = \"live\"\nprerelease = true";
        let told = [
            all,
            "on = \"push\"\nbranch = \"main\"",
            "on = \"push\"\ntag = [\"v1.*\", \"v2.*\"]\nmanual = false",
            "on = \"release\"",
            "on = \"deployment\"\nenvironment = \"live\"",
            "on = []",
        ];
        insta::assert_snapshot!(told.map(accepts).concat());
    }

    #[test]
    fn what_would_be_done_to_the_parts_of_a_service_is_told_in_words() {
        let about = |lines: &str| {
            let text = format!(
                "[relay]\nurl = \"https://towline.example.workers.dev\"\n[service.app]\nchannel = \"apps\"\n{lines}\n"
            );
            about_service(&Settings::parse(&text, "towline.toml").unwrap().services[0])
        };
        let told = [
            "git = { path = \"/srv/app\" }",
            "user = \"pi\"\ngit = { path = \"/srv/app\", remote = \"up\", discard_changes = true }\n\
             backup = { paths = [\"/srv/data\", \"/srv/db\"], keep = 3, restore = true }\nhealth = [{ exec = [\"./well.sh\"] }]\n\
             command = { stop = [\"systemctl\", \"stop\", \"app\"], run = [\"./update.sh\"], start = [\"systemctl\", \"start\", \"app\"], env = { TOKEN = \"hidden\" } }",
            "command = { run = [\"make\"], rollback = [\"make\", \"back\"], dir = \"/srv\", on_interrupt = \"rerun\" }\nkeep = 1",
            "compose = { file = \"/srv/c.yml\" }\nbackup = { paths = \"/srv/data\" }",
            "compose = { file = \"/srv/c.yml\", project = \"stack\", services = [\"api\", \"web\"], profiles = \"live\" }\nhealth = [{ docker = true }]",
        ];
        let told = told.map(about).concat();
        assert!(!told.contains("hidden"), "{told}");
        insta::assert_snapshot!(told);
    }
}
