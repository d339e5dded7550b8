//! What the operator allows, limits and shares: rows of settings, each on a container of its own.

use super::{Pair, Row, engine_knows, settings};

#[tokio::test]
async fn limits_are_kept() {
    let mut pair = Pair::new("limits").await;
    let rows: &[Row<'_>] = &[
        ("memory", &["--memory", "64m", "--memory-swap", "96m"]),
        ("memory, soft", &["--memory-reservation", "32m"]),
        (
            "CPU",
            &["--cpus", "0.5", "--cpu-shares", "512", "--cpuset-cpus", "0"],
        ),
        ("processes", &["--pids-limit", "50"]),
        (
            "ulimits",
            &["--ulimit", "nofile=512:1024", "--ulimit", "core=0"],
        ),
        ("out of memory", &["--oom-score-adj", "17"]),
        ("shared memory", &["--shm-size", "8m"]),
        (
            "log",
            &[
                "--log-driver",
                "json-file",
                "--log-opt",
                "max-size=1m",
                "--log-opt",
                "max-file=2",
            ],
        ),
    ];
    pair.assert_kept(rows).await;
}

#[tokio::test]
async fn restart_policies_are_kept() {
    let mut pair = Pair::new("policies").await;
    let rows: &[Row<'_>] = &[
        ("always", &["--restart", "always"]),
        ("unless stopped", &["--restart", "unless-stopped"]),
        ("on failure", &["--restart", "on-failure"]),
        ("on failure, counted", &["--restart", "on-failure:5"]),
    ];
    pair.assert_kept(rows).await;
}

#[tokio::test]
async fn privileges_are_kept_and_none_are_added() {
    let mut pair = Pair::new("privileges").await;
    let rows: &[Row<'_>] = &[
        (
            "capabilities",
            &["--cap-drop", "ALL", "--cap-add", "SYS_NICE"],
        ),
        (
            "security options",
            &[
                "--security-opt",
                "no-new-privileges",
                "--security-opt",
                "seccomp=unconfined",
            ],
        ),
        (
            "system paths",
            &["--security-opt", "systempaths=unconfined"],
        ),
        ("read-only", &["--read-only"]),
        (
            "user and groups",
            &["--user", "1000:1000", "--group-add", "17"],
        ),
        (
            "devices",
            &[
                "--device",
                "/dev/null:/dev/mine:r",
                "--device-cgroup-rule",
                "c 42:* rmw",
            ],
        ),
        ("sysctls", &["--sysctl", "net.core.somaxconn=99"]),
        ("terminal", &["--tty", "--interactive"]),
    ];
    pair.assert_kept(rows).await;
}

#[tokio::test]
async fn namespaces_and_runtime_are_kept() {
    let mut pair = Pair::new("namespaces").await;
    let rows: &[Row<'_>] = &[
        ("host's processes", &["--pid", "host"]),
        ("host's IPC", &["--ipc", "host"]),
        ("no IPC", &["--ipc", "none"]),
        ("shareable IPC", &["--ipc", "shareable"]),
        ("host's names", &["--uts", "host"]),
        ("host's users", &["--userns", "host"]),
        ("runtime", &["--runtime", "io.containerd.runc.v2"]),
        ("init", &["--init"]),
    ];
    pair.assert_kept(rows).await;
}

#[tokio::test]
async fn how_it_is_stopped_named_and_connected_is_kept() {
    let mut pair = Pair::new("called").await;
    let rows: &[Row<'_>] = &[
        ("stop signal", &["--stop-signal", "SIGINT"]),
        ("stop timeout", &["--stop-timeout", "3"]),
        ("hostname", &["--hostname", "chosen"]),
        (
            "domain name",
            &["--hostname", "chosen", "--domainname", "example.test"],
        ),
        (
            "extra hosts",
            &[
                "--add-host",
                "db:10.1.2.3",
                "--add-host",
                "gateway:host-gateway",
            ],
        ),
        (
            "DNS",
            &[
                "--dns",
                "10.9.9.9",
                "--dns-search",
                "example.test",
                "--dns-option",
                "ndots:2",
            ],
        ),
        ("host's network", &["--network", "host"]),
        ("no network", &["--network", "none"]),
        (
            "any port",
            &["--publish", "127.0.0.1::8080", "--expose", "9090"],
        ),
    ];
    pair.assert_kept(rows).await;
}

/// What this machine may not be able to start all the same.
#[tokio::test]
async fn full_privileges_and_a_gpu_that_is_not_here_are_asked_for_again() {
    let mut pair = Pair::new("asked").await;
    let rows: &[Row<'_>] = &[
        ("/HostConfig/Privileged", &["--privileged"]),
        ("/HostConfig/DeviceRequests/0/Count", &["--gpus", "all"]),
    ];
    for (field, arguments) in rows {
        let before = pair.make(arguments);
        assert_ne!(before.pointer(field), pair.plain.pointer(field), "{field}");
        for after in pair.replace_twice(field).await {
            assert_eq!(settings(&after), settings(&before), "{field}");
        }
    }
}

#[tokio::test]
async fn what_only_newer_engines_know_is_kept() {
    let mut pair = Pair::new("newer").await;
    if engine_knows((1, 44)).await {
        let rows: &[Row<'_>] = &[
            ("annotations", &["--annotation", "org.example.key=value"]),
            (
                "healthcheck at the start",
                &[
                    "--health-cmd",
                    "/toy health",
                    "--health-start-interval",
                    "2s",
                ],
            ),
        ];
        pair.assert_kept(rows).await;
    }
}
