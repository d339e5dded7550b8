//! What a program sees: its arguments, its variables, its user, its streams.

use std::{os::unix::fs::chown, process::Command};

use super::*;

#[tokio::test]
async fn arguments_arrive_as_they_are_and_no_shell_reads_them() {
    let odd = [
        "a b",
        "'\"",
        "$HOME `id` $(id); rm",
        "two\nlines",
        "*",
        "",
        "ünïcode",
        "-n",
    ];
    let argv = [&["/usr/bin/printf", "<%s>"][..], &odd].concat();
    let wanted: String = odd.iter().map(|argument| format!("<{argument}>")).collect();
    assert_eq!(ended(&order(&argv)).await.tail, wanted);
}

#[tokio::test]
async fn the_environment_is_exactly_what_is_promised() {
    let mut env = order(&["env"]);
    env.env = vec![
        ("TOWLINE_SHA".to_owned(), "abc".to_owned()),
        ("LANG".to_owned(), "de_DE.UTF-8".to_owned()),
    ];
    env.user = Some("daemon".to_owned());
    let seen = match ended_as(&env).await {
        Some(ended) => ended.tail,
        None => return,
    };
    let mut seen: Vec<_> = seen.lines().collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            "HOME=/usr/sbin",
            "LANG=de_DE.UTF-8",
            "LOGNAME=daemon",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "SHELL=/usr/sbin/nologin",
            "TOWLINE_SHA=abc",
            "USER=daemon",
        ]
    );
}

/// Runs it as root; without root the refusal is what is looked at.
async fn ended_as(order: &Order) -> Option<Ended> {
    if is_root() {
        return Some(ended(order).await);
    }
    let refusal = refused(order).await;
    assert!(matches!(refusal, Refusal::NotRoot { .. }), "{refusal:?}");
    None
}

pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

#[tokio::test]
async fn nothing_of_our_own_environment_is_seen() {
    // Cargo has set it for this test, and so it is in the environment of whoever starts the program.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let tail = ended(&script(
        "env; cat /proc/$PPID/environ >/dev/null 2>&1; cat /proc/self/environ",
    ))
    .await
    .tail;
    assert!(
        tail.contains("LANG=C.UTF-8") && !tail.contains("CARGO"),
        "{tail}"
    );
}

#[tokio::test]
async fn it_is_the_user_with_all_its_groups_and_cannot_go_back() {
    let mut order = script("id -u; id -g; id -G; grep -E '^(Uid|Gid|CapEff):' /proc/self/status");
    order.user = Some("nobody".to_owned());
    let Some(ended) = ended_as(&order).await else {
        return;
    };
    let id = |flag| {
        let said = Command::new("id").args([flag, "nobody"]).output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    };
    let (uid, gid) = (id("-u"), id("-g"));
    let wanted = [uid.clone(), gid.clone(), id("-G")];
    let lines: Vec<_> = ended.tail.lines().collect();
    assert_eq!(lines[..3], wanted);
    assert_eq!(lines[3], format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}"));
    assert_eq!(lines[4], format!("Gid:\t{gid}\t{gid}\t{gid}\t{gid}"));
    assert_eq!(lines[5].trim_end_matches('0'), "CapEff:\t");
}

#[tokio::test]
async fn it_begins_in_its_folder_with_a_plain_mask_and_a_program_may_lie_there() {
    let dir = folder();
    executable(&dir, "deploy", "#!/bin/sh\npwd\numask\n");
    let mut order = order(&["./deploy"]);
    order.dir = dir.path().to_owned();
    let there = fs::canonicalize(dir.path()).unwrap();
    assert_eq!(
        ended(&order).await.tail,
        format!("{}\n0022\n", there.display())
    );
}

#[tokio::test]
async fn standard_input_is_empty_or_what_it_is_given() {
    assert_eq!(ended(&order(&["cat"])).await.tail, "");
    let kind = script("readlink /proc/self/fd/0");
    assert_eq!(ended(&kind).await.tail, "/dev/null\n");
    let mut given = order(&["cat"]);
    given.stdin = Some(b"a secret\n".repeat(400));
    assert_eq!(ended(&given).await.tail.len(), 3600);
}

#[tokio::test]
async fn it_has_no_terminal_no_other_file_and_hears_a_broken_pipe() {
    let open = ended(&script("ls -1 /proc/$$/fd")).await.tail;
    let mut open: Vec<_> = open.lines().collect();
    open.sort_unstable();
    assert_eq!(open, ["0", "1", "2"]);
    let terminal = ended(&script("(: < /dev/tty) 2>/dev/null || echo none"))
        .await
        .tail;
    assert_eq!(terminal, "none\n");
    assert_hears_everything(&ended(&masks()).await.tail);
}

/// Says what it ignores and what it blocks.
fn masks() -> Order {
    script(
        "while read -r name mask; do case $name in SigIgn:|SigBlk:) echo $mask;; esac; done < /proc/$$/status",
    )
}

fn assert_hears_everything(masks: &str) {
    let masks: Vec<_> = masks.lines().collect();
    assert_eq!(masks.len(), 2, "{masks:?}");
    for mask in masks {
        // Bits from 31 on are the C library's own.
        let mask = u64::from_str_radix(mask, 16).unwrap() & 0x7fff_ffff;
        assert_eq!(mask, 0, "blocked or ignored");
    }
}

#[tokio::test]
async fn what_towline_was_told_not_to_hear_its_programs_hear() {
    let dir = folder();
    let deaf = "env --ignore-signal=HUP,INT,QUIT,TERM,CHLD --block-signal=USR1,ALRM";
    let towline = env!("CARGO_BIN_EXE_towline");
    let deaf = format!("#!/bin/sh\nexec {deaf} '{towline}' \"$@\"\n");
    let launcher = Launcher(executable(&dir, "deaf", &deaf));
    let run = process::run(&launcher, &masks(), &mut |_| Ok(()), &mut |_| ()).await;
    assert_hears_everything(&run.unwrap().tail);
}

#[tokio::test]
async fn a_folder_of_another_user_is_gone_into_as_that_user() {
    let dir = folder();
    let inner = dir.path().join("own");
    fs::create_dir(&inner).unwrap();
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o700)).unwrap();
    let mut order = order(&["pwd"]);
    order.dir = inner.clone();
    order.user = Some("nobody".to_owned());
    if !is_root() {
        return;
    }
    let refusal = refused(&order).await;
    assert!(
        matches!(&refusal, Refusal::Dir { user, .. } if user == "nobody"),
        "{refusal}"
    );
    let uid = Command::new("id")
        .args(["-u", "nobody"])
        .output()
        .unwrap()
        .stdout;
    let uid = String::from_utf8(uid).unwrap().trim().parse().unwrap();
    chown(&inner, Some(uid), None).unwrap();
    let there = fs::canonicalize(&inner).unwrap();
    assert_eq!(ended(&order).await.tail, format!("{}\n", there.display()));
}
