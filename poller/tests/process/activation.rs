//! A plain process that takes its socket from systemd: deploys of it refuse nobody.

use std::{
    collections::BTreeSet,
    net::{TcpListener, TcpStream},
    path::Path,
    process::Child,
};

use serde_json::json;
use towline_tests::prober::{Prober, asked};

use super::*;

/// The app behind `systemd-socket-activate`, which stands for systemd: it listens, and passes the socket to a small
/// supervisor that starts the app anew when it has ended.
struct App {
    systemd: Child,
    port: u16,
}

impl App {
    /// Serves what is in `host`'s folder `app`; `None` where there is no systemd.
    fn start(host: &Host) -> Option<Self> {
        let tests = tests();
        let built = Command::new(tests.join("toy/build")).output().unwrap();
        let toy = String::from_utf8(built.stdout).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder = |name: &str| {
            fs::create_dir_all(host.path(name)).unwrap();
            host.path(name)
        };
        fs::write(folder("app").join("VERSION"), "first").unwrap();
        fs::write(host.path("app/MODE"), "ok").unwrap();
        fs::write(folder("unit").join("wanted"), "").unwrap();
        let systemd = Command::new("systemd-socket-activate")
            .arg(format!("--listen=127.0.0.1:{port}"))
            .arg(format!("--setenv=TOY_ROOT={}", host.path("app").display()))
            .arg("--setenv=PATH")
            .arg(tests.join("toy/supervise"))
            .arg(host.path("unit"))
            .arg(toy.trim())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        until("systemd listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        until("the app is up", || host.path("unit/pid").exists());
        Some(Self { systemd, port })
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let pid = self.systemd.id().to_string();
        let _ = Command::new("kill").arg(pid).status();
        let _ = self.systemd.wait();
    }
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests")
        .canonicalize()
        .unwrap()
}

/// A host with a command service that writes down which commit it serves, and restarts the app.
fn host(relay: &Relay) -> Host {
    let host = Host::new(relay.port, "");
    let file = fs::read_to_string(host.path("towline.toml")).unwrap();
    let (file, _) = file.split_once("[service.web.docker]").unwrap();
    let service = tests().join("toy/service");
    let file = format!(
        "{file}\n[service.web.command]\ndir = \"{}\"\n\
         run = [\"/bin/sh\", \"-c\", \"printf %s $TOWLINE_SHORT_SHA > VERSION\"]\n\
         start = [\"{}\", \"{}\", \"restart\"]\n",
        host.path("app").display(),
        service.display(),
        host.path("unit").display(),
    );
    fs::write(host.path("towline.toml"), file).unwrap();
    host
}

#[test]
fn no_request_is_refused_while_a_process_with_a_passed_socket_is_deployed() {
    let relay = Relay::start();
    let host = host(&relay);
    let Some(app) = App::start(&host) else { return };
    assert_eq!(asked(app.port).unwrap(), "toy first");
    let prober = Prober::of(app.port);
    let mut intents = Vec::new();
    for seq in 1..=3 {
        let mut intent = manual(seq);
        let sha = seq.to_string().repeat(40);
        intent["revision"] = json!({ "sha": sha });
        intent.as_object_mut().unwrap().remove("image");
        intents.push(intent);
        relay.change(|state| state.intents = news(&intents));
        let (status, log) = host.once();
        assert_eq!(status, 0, "{log}");
        assert_eq!(
            asked(app.port).unwrap(),
            format!("toy {}", &sha[..7]),
            "{log}"
        );
    }
    let (count, answers) = prober.end();
    let versions = ["toy 1111111", "toy 2222222", "toy 3333333", "toy first"];
    let versions: BTreeSet<_> = versions.map(|version| Ok(version.to_owned())).into();
    assert_eq!(answers, versions, "of {count} requests");
}
