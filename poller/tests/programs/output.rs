//! What is kept of what a program says.

use super::*;

#[tokio::test]
async fn both_streams_come_in_order_line_by_line() {
    let (ended, lines) = told(&script("echo one; echo two >&2; echo three; printf four")).await;
    assert_eq!(lines, ["one", "two", "three", "four"]);
    let ended = ended.unwrap();
    assert_eq!(
        (ended.tail.as_str(), ended.stdout.len()),
        ("one\ntwo\nthree\nfour", 0)
    );
}

#[tokio::test]
async fn captured_output_is_data_and_in_no_line_and_no_tail() {
    let mut order = script("echo '{\"a\": 1}'; echo trouble >&2");
    order.capture = true;
    let (ended, lines) = told(&order).await;
    let ended = ended.unwrap();
    assert_eq!(ended.stdout, b"{\"a\": 1}\n");
    assert_eq!(
        (ended.tail.as_str(), lines),
        ("trouble\n", vec!["trouble".to_owned()])
    );
}

#[tokio::test]
async fn more_data_than_is_taken_in_ends_the_program() {
    let mut order = order(&["cat", "/dev/zero"]);
    order.capture = true;
    let error = told(&order).await.0.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cat wrote more than 4 MiB to its standard output; it was ended"
    );
    assert!(error.has_run());
}

#[tokio::test]
async fn a_hundred_megabytes_leave_a_short_log_a_tail_and_no_memory() {
    let before = resident();
    let (ended, lines) = told(&script(
        "yes | head -c 50000000; head -c 50000000 /dev/zero; echo; echo end",
    ))
    .await;
    let ended = ended.unwrap();
    assert_eq!(ended.how, How::Exited(0));
    assert!(ended.tail.len() <= process::MAX_TAIL && ended.tail.ends_with("\nend\n"));
    let told: usize = lines.iter().map(String::len).sum();
    assert!(told < 1 << 20, "{told}");
    assert!(
        lines
            .iter()
            .any(|line| line.ends_with("lines are left out here)"))
    );
    let grown = resident().saturating_sub(before);
    assert!(grown < 40 << 10, "{grown} KiB");
}

/// KiB of memory of this process, other tests' included.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
