//! Hello, rings, pings and ends of connections.

use tungstenite::protocol::CloseFrame;

use super::*;

#[tokio::test]
async fn a_host_says_who_it_is_and_is_rung() {
    let (route, hubs) = relay();
    let mut bell = start(route, timing());
    let (mut hub, asked) = hubs.recv().unwrap();
    assert_eq!(asked.path, "/v1/doorbell");
    assert_eq!(
        asked.header("authorization"),
        Some("Bearer tl1.e30.hunter2")
    );
    assert_eq!(asked.header("towline-protocol"), Some("1"));
    assert_eq!(heard(&mut hub), ToHub::Hello(hello("7.3")));
    connected(&mut bell).await;
    send(&mut hub, &ring(4));
    send(&mut hub, &ring(5));
    assert_eq!(rung(&mut bell, 2).await, [4, 5]);
}

#[tokio::test]
async fn nothing_is_connected_before_it_is_known_what_to_say() {
    let (route, hubs) = relay();
    let token = Secret::new("tl1.e30.hunter2");
    let bell = Doorbell::start_timed(route, token, timing()).unwrap();
    let waited = hubs.recv_timeout(Duration::from_millis(100));
    assert!(waited.is_err(), "it connected without a hello");
    bell.say(hello("7.3"), false);
    hubs.recv().unwrap();
}

#[tokio::test]
async fn what_is_not_understood_or_was_not_asked_for_is_harmless_and_told_once() {
    let (route, hubs) = relay();
    let mut bell = start(route, timing());
    let (mut hub, _) = hubs.recv().unwrap();
    let mut foreign = intent(7, 9);
    foreign.channel = "octo-org/other".parse().unwrap();
    // Before its hello is even read.
    send(&mut hub, &ring(6));
    for text in [
        "{",
        "pong",
        r#"{"type":"ring","intent":{"seq":5}}"#,
        r#"{"type":"sing"}"#,
        "[]",
    ] {
        hub.send(Message::text(text)).unwrap();
    }
    hub.send(Message::binary(vec![0, 159, 146])).unwrap();
    hub.send(Message::Ping("x".into())).unwrap();
    send(
        &mut hub,
        &ToHost::Ack {
            ids: vec!["99".to_owned()],
        },
    );
    let intent = Box::new(foreign);
    send(&mut hub, &ToHost::Ring { intent });
    for seq in [6, 5, 4] {
        send(&mut hub, &ring(seq));
    }
    connected(&mut bell).await;
    let (mut seqs, mut odd) = (Vec::new(), 0);
    while seqs.len() < 4 {
        match next(&mut bell).await {
            Event::Rung(intents) => seqs.extend(intents.iter().map(|intent| intent.seq)),
            Event::Odd(_) => odd += 1,
            Event::Connected | Event::Lost { .. } => panic!("it was lost"),
        }
    }
    assert_eq!((seqs, odd), (vec![6, 6, 5, 4], 1));
}

#[tokio::test]
async fn hello_is_said_again_when_it_is_to_be_heard_now_and_else_on_the_next_connection() {
    let (route, hubs) = relay();
    let mut bell = start(route, timing());
    let (mut hub, _) = hubs.recv().unwrap();
    assert_eq!(heard(&mut hub), ToHub::Hello(hello("7.3")));
    bell.say(hello("7.4"), false);
    let mut changed = hello("7.5");
    changed.services.push(ServiceState {
        name: "web".parse().unwrap(),
        channel: "octo-org/web".parse().unwrap(),
        kind: "docker".to_owned(),
        running: None,
    });
    bell.say(changed.clone(), true);
    assert_eq!(heard(&mut hub), ToHub::Hello(changed.clone()));
    connected(&mut bell).await;
    changed.marks = hello("7.6").marks;
    bell.say(changed.clone(), false);
    send(&mut hub, &ring(7));
    rung(&mut bell, 1).await;
    drop(hub);
    assert!(matches!(lost(&mut bell).await, Lost::Broken { .. }));
    let (mut hub, _) = hubs.recv().unwrap();
    assert_eq!(heard(&mut hub), ToHub::Hello(changed));
    connected(&mut bell).await;
}

#[tokio::test]
async fn a_relay_that_is_silent_is_left_and_one_that_answers_pings_is_not() {
    let (route, hubs) = relay();
    let mut quick = timing();
    quick.rhythm = Rhythm {
        every: Duration::from_millis(50),
        within: Duration::from_secs(3),
    };
    let mut bell = start(route, quick);
    let (mut hub, _) = hubs.recv().unwrap();
    assert_eq!(heard(&mut hub), ToHub::Hello(hello("7.3")));
    for _ in 0..3 {
        assert_eq!(hub.read().unwrap(), Message::text("ping"));
        hub.send(Message::text("pong")).unwrap();
    }
    connected(&mut bell).await;
    // It answers no more.
    assert_eq!(lost(&mut bell).await, Lost::Silent);
    hubs.recv().expect("it connects again");
}

#[tokio::test]
async fn why_the_relay_ends_a_connection_is_told() {
    let restarting = Lost::Closed {
        code: 1012,
        reason: "bye".to_owned(),
    };
    for (code, wanted) in [(1012, restarting), (4001, Lost::Replaced)] {
        let (route, hubs) = relay();
        let mut bell = start(route, timing());
        let (mut hub, _) = hubs.recv().unwrap();
        let frame = CloseFrame {
            code: code.into(),
            reason: "bye".into(),
        };
        hub.close(Some(frame)).unwrap();
        connected(&mut bell).await;
        assert_eq!(lost(&mut bell).await, wanted);
    }
}

#[tokio::test]
async fn more_rings_than_find_room_are_asked_for_again_when_there_is_room() {
    let (route, hubs) = relay();
    let mut bell = start(route, timing());
    let (mut hub, _) = hubs.recv().unwrap();
    assert_eq!(heard(&mut hub), ToHub::Hello(hello("7.3")));
    connected(&mut bell).await;
    let most = WAITING as u64;
    for seq in 4..4 + most + 200 {
        send(&mut hub, &ring(seq));
    }
    // Its pong says that all of them were read.
    hub.send(Message::Ping("read?".into())).unwrap();
    while !matches!(hub.read().unwrap(), Message::Pong(_)) {}
    let seqs = rung(&mut bell, WAITING).await;
    assert_eq!(seqs, (4..4 + most).collect::<Vec<_>>());
    let read = hello(&format!("7.{}", 3 + most));
    bell.say(read.clone(), false);
    assert_eq!(heard(&mut hub), ToHub::Hello(read));
    send(&mut hub, &ring(4 + most));
    assert_eq!(rung(&mut bell, 1).await, [4 + most]);
}

#[tokio::test]
async fn a_doorbell_that_is_not_wanted_any_more_says_goodbye_at_once() {
    let (route, hubs) = relay();
    let mut bell = start(route, timing());
    let (mut hub, _) = hubs.recv().unwrap();
    connected(&mut bell).await;
    drop(bell);
    let begun = Instant::now();
    let goodbye = loop {
        if let Message::Close(goodbye) = hub.read().unwrap() {
            break goodbye.unwrap();
        }
    };
    assert_eq!(u16::from(goodbye.code), 1000);
    assert!(begun.elapsed() < Duration::from_secs(5), "it stayed");
}
