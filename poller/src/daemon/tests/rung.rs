//! What the doorbell brings, and how it stands.

use super::*;
use crate::{
    doorbell::{Event, Lost},
    status::DoorbellState,
};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

fn ring(host: &mut Host, seqs: &[u64]) {
    let intents = seqs.iter().map(|seq| testing::intent(7, *seq)).collect();
    host.poller.note_bell(Event::Rung(intents)).unwrap();
}

fn mark(host: &Host) -> Option<Mark> {
    let channel = "octo-org/web".parse().unwrap();
    host.poller.store.mark(&channel).unwrap()
}

fn kept(host: &Host) -> Vec<u64> {
    let channel = "octo-org/web".parse().unwrap();
    let intents = host.poller.store.intents(&channel).unwrap();
    intents.iter().map(|intent| intent.seq).collect()
}

#[tokio::test]
async fn what_is_rung_is_taken_in_once_in_whatever_order_and_a_gap_is_due_at_the_hub_at_once() {
    let mut host = Host::new();
    host.receive(&[testing::intent(7, 3)]);
    ring(&mut host, &[5, 4, 5]);
    ring(&mut host, &[4, 3, 1]);
    assert_eq!((mark(&host).unwrap().seq, kept(&host)), (5, vec![3, 4, 5]));
    let now = Instant::now();
    assert_eq!(host.poller.gap_pause(now), None);
    ring(&mut host, &[8]);
    assert_eq!(
        (mark(&host).unwrap().seq, kept(&host)),
        (5, vec![3, 4, 5, 8])
    );
    assert_eq!(host.poller.gap_pause(Instant::now()), Some(Duration::ZERO));
    assert_eq!(host.poller.gaps().unwrap().len(), 1);
}

#[tokio::test]
async fn a_ring_for_a_channel_without_a_mark_of_another_channel_or_from_the_future_changes_nothing()
{
    let mut host = Host::new();
    ring(&mut host, &[4]);
    assert_eq!((mark(&host), kept(&host)), (None, vec![]));
    host.receive(&[testing::intent(7, 3)]);
    let mut foreign = testing::intent(7, 4);
    foreign.channel = "octo-org/other".parse().unwrap();
    let future = testing::intent(u64::MAX, 4);
    let rung = Event::Rung(vec![foreign, future]);
    host.poller.note_bell(rung).unwrap();
    assert_eq!((mark(&host).unwrap().seq, kept(&host)), (3, vec![3]));
}

#[tokio::test]
async fn polls_are_rare_only_while_the_doorbell_is_connected() {
    let mut host = Host::new();
    host.receive(&[testing::intent(7, 3)]);
    host.poller.start_doorbell();
    host.poller.say_hello();
    assert_eq!(host.poller.poll_interval(HALF_A_MINUTE), HALF_A_MINUTE);
    host.poller.note_bell(Event::Connected).unwrap();
    assert_eq!(host.poller.poll_interval(HALF_A_MINUTE), 60 * HALF_A_MINUTE);
    let hours = 1000 * HALF_A_MINUTE;
    assert_eq!(host.poller.poll_interval(hours), hours);
    let lost = Event::Lost {
        why: Lost::Silent,
        again_in: HALF_A_MINUTE,
    };
    host.poller.note_bell(lost).unwrap();
    assert_eq!(host.poller.poll_interval(HALF_A_MINUTE), HALF_A_MINUTE);
    let status = host.poller.bell.status();
    assert_eq!(status.state, DoorbellState::Lost);
    assert!(status.trouble.unwrap().contains("does not answer"));
}
