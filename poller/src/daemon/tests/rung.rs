//! What the doorbell brings, and how it stands.

use std::net::{TcpListener, TcpStream};

use towline_protocol::ToHub;
use tungstenite::{Message, WebSocket};

use super::{run::Rounds, *};
use crate::{
    doorbell::{Event, Lost},
    status::DoorbellState,
};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

fn ring(host: &mut Host, seqs: &[u64]) {
    let intents = seqs.iter().map(|seq| testing::intent(7, *seq)).collect();
    host.poller.note_bell(Event::Rung(intents)).unwrap();
}

fn lost() -> Event {
    Event::Lost {
        why: Lost::Silent,
        again_in: HALF_A_MINUTE,
    }
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
    host.poller.say_hello(Instant::now());
    assert_eq!(host.poller.poll_interval(HALF_A_MINUTE), HALF_A_MINUTE);
    host.poller.note_bell(Event::Connected).unwrap();
    assert_eq!(host.poller.poll_interval(HALF_A_MINUTE), 60 * HALF_A_MINUTE);
    let hours = 1000 * HALF_A_MINUTE;
    assert_eq!(host.poller.poll_interval(hours), hours);
    host.poller.note_bell(lost()).unwrap();
    assert_eq!(host.poller.poll_interval(HALF_A_MINUTE), HALF_A_MINUTE);
    let status = host.poller.bell.status();
    assert_eq!(status.state, DoorbellState::Lost);
    assert!(status.trouble.unwrap().contains("does not answer"));
}

/// A host whose first poll was answered just now, and whose doorbell knows what to say.
fn polled() -> (Host, Rounds) {
    let mut host = Host::new();
    host.receive(&[testing::intent(7, 3)]);
    host.poller.start_doorbell();
    host.poller.say_hello(Instant::now());
    let now = Instant::now();
    let mut rounds = Rounds::default();
    rounds.next_poll = Some(now + HALF_A_MINUTE);
    rounds.answered = Some(now);
    (host, rounds)
}

/// What the loop does with `event`; returns in how many seconds it polls next.
fn next_poll(host: &mut Host, rounds: &mut Rounds, event: Event) -> u64 {
    host.poller
        .note_event(rounds, event, HALF_A_MINUTE)
        .unwrap();
    let next = rounds.next_poll.unwrap();
    next.saturating_duration_since(Instant::now()).as_secs()
}

#[tokio::test]
async fn a_connection_puts_the_next_poll_off_and_its_loss_brings_it_back() {
    let (mut host, mut rounds) = polled();
    let connected = next_poll(&mut host, &mut rounds, Event::Connected);
    assert!((1500..=1980).contains(&connected), "{connected}");
    let lost = next_poll(&mut host, &mut rounds, lost());
    assert!(lost <= 33, "{lost}");
}

#[tokio::test]
async fn neither_a_connection_nor_its_loss_shortens_the_rest_of_a_relay_in_trouble() {
    let (mut host, mut rounds) = polled();
    let now = Instant::now();
    (rounds.poll_failures, rounds.next_poll) = (3, Some(now + 20 * HALF_A_MINUTE));
    for event in [Event::Connected, lost()] {
        let next = next_poll(&mut host, &mut rounds, event);
        assert!((500..=600).contains(&next), "{next}");
    }
}

#[tokio::test]
async fn connections_that_do_not_last_are_one_loss_until_one_does() {
    let (mut host, mut rounds) = polled();
    let turn = |host: &mut Host, rounds: &mut Rounds, event| next_poll(host, rounds, event);
    for _ in 0..2 {
        turn(&mut host, &mut rounds, Event::Connected);
        assert!(host.poller.bell.is_steady());
        turn(&mut host, &mut rounds, lost());
    }
    let since = host.poller.bell.status().since;
    for _ in 0..3 {
        let next = turn(&mut host, &mut rounds, Event::Connected);
        assert!(next <= 33, "{next}");
        let bell = &host.poller.bell;
        assert!(bell.is_connected() && !bell.is_steady());
        turn(&mut host, &mut rounds, lost());
        assert_eq!(host.poller.bell.status().since, since);
    }
    turn(&mut host, &mut rounds, Event::Connected);
    let bell = &mut host.poller.bell;
    let lasts = bell.pause(Instant::now()).unwrap();
    bell.end_trial(Instant::now());
    assert!(!bell.is_steady(), "not before its time");
    let later = Instant::now() + lasts;
    bell.end_trial(later);
    assert!(bell.is_steady());
    assert_eq!(bell.pause(later), None);
}

#[tokio::test]
async fn reports_that_the_doorbell_has_lost_sight_of_go_by_request() {
    let (mut host, mut rounds) = polled();
    next_poll(&mut host, &mut rounds, Event::Connected);
    let heard = || Delivery::default();
    let unanswered = || Delivery {
        unanswered: true,
        ..Delivery::default()
    };
    let poller = &mut host.poller;
    assert!(poller.outbox.way(&poller.bell).is_some());
    poller.note_sent(unanswered(), HALF_A_MINUTE).unwrap();
    assert!(poller.outbox.way(&poller.bell).is_none());
    poller.note_sent(heard(), HALF_A_MINUTE).unwrap();
    assert!(poller.outbox.way(&poller.bell).is_some());
}

#[tokio::test]
async fn a_pause_of_reports_ends_when_there_is_nothing_to_send() {
    let mut host = Host::new();
    let now = Instant::now();
    host.poller.outbox.hold(now);
    assert_eq!(host.poller.outbox.pause(now), Some(Duration::ZERO));
    assert!(!host.poller.send().unwrap());
    assert_eq!(host.poller.outbox.pause(now), None);
}

/// The next hello that a relay gets.
fn hello(hub: &mut WebSocket<TcpStream>) -> Vec<String> {
    loop {
        if let Message::Text(text) = hub.read().unwrap()
            && let ToHub::Hello(hello) = serde_json::from_str(text.as_str()).unwrap()
        {
            return hello.marks.values().map(ToString::to_string).collect();
        }
    }
}

/// The relay's end of the doorbell of a host that has read up to 3.
fn hub(host: &mut Host) -> WebSocket<TcpStream> {
    let relay = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", relay.local_addr().unwrap());
    let token = Secret::new("tl1.e30.AAAA");
    host.poller.bell = Bell::new(Route::direct(url.parse().unwrap()), token);
    host.poller.start_doorbell();
    host.receive(&[testing::intent(7, 3)]);
    host.poller.say_hello(Instant::now());
    let (stream, _) = relay.accept().unwrap();
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    tungstenite::accept(stream).unwrap()
}

#[tokio::test]
async fn after_a_ring_that_could_not_be_kept_the_hub_hears_at_once_how_far_the_host_has_read() {
    let mut host = Host::new();
    let mut hub = hub(&mut host);
    assert_eq!(hello(&mut hub), ["7.3"]);
    host.poller.store.tamper(&fill_disk("intent"));
    let rung = Event::Rung(vec![testing::intent(7, 4)]);
    assert!(host.poller.note_bell(rung).is_err());
    host.poller.say_hello(Instant::now());
    assert_eq!(hello(&mut hub), ["7.3"]);
}

#[tokio::test]
async fn a_hello_that_cannot_be_put_together_is_tried_again_soon_and_forgets_no_ring() {
    let mut host = Host::new();
    let mut hub = hub(&mut host);
    assert_eq!(hello(&mut hub), ["7.3"]);
    host.poller.store.tamper(&fill_disk("intent"));
    let rung = Event::Rung(vec![testing::intent(7, 4)]);
    assert!(host.poller.note_bell(rung).is_err());
    host.poller.store.tamper("ALTER TABLE mark RENAME TO gone");
    host.poller.say_hello(Instant::now());
    let pause = host.poller.bell.pause(Instant::now());
    assert!(pause.is_some_and(|pause| pause <= LOCAL_RETRY && !pause.is_zero()));
    host.poller.store.tamper("ALTER TABLE gone RENAME TO mark");
    host.poller.say_hello(Instant::now() + LOCAL_RETRY);
    assert_eq!(hello(&mut hub), ["7.3"]);
    assert_eq!(host.poller.bell.pause(Instant::now()), None);
}
