//! Reports over the doorbell.

use towline_protocol::Outcome;

use super::*;
use crate::report::blank;

fn batch(ids: &[i64]) -> Vec<Spooled> {
    let one = |id: &i64| Spooled {
        id: *id,
        report: blank(
            intent(7, 1).id,
            &"web".parse().unwrap(),
            u32::try_from(*id).unwrap(),
            Outcome::Succeeded,
            jiff::Timestamp::UNIX_EPOCH,
        ),
    };
    ids.iter().map(one).collect()
}

fn report(hub: &mut Hub) -> (String, Report) {
    loop {
        if let ToHub::Report { id, report } = heard(hub) {
            return (id.unwrap(), *report);
        }
    }
}

fn ids(delivery: &Delivery) -> Vec<i64> {
    let mut ids: Vec<_> = delivery.taken.iter().map(|one| one.id).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn reports_go_by_their_own_names_and_are_taken_when_acknowledged() {
    let (route, hubs) = relay();
    let mut bell = start(route, timing());
    let (mut hub, _) = hubs.recv().unwrap();
    connected(&mut bell).await;
    let sent = bell.deliver(batch(&[7, 12]));
    let mut names = Vec::new();
    for _ in 0..2 {
        let (name, report) = report(&mut hub);
        assert_eq!(name, report.attempt.to_string());
        names.push(name);
    }
    let ids_of_others = vec!["7".to_owned(), "in_x".to_owned()];
    send(&mut hub, &ToHost::Ack { ids: ids_of_others });
    send(&mut hub, &ToHost::Ack { ids: names });
    let delivery = timeout(MOMENT, sent).await.unwrap().unwrap();
    assert_eq!((ids(&delivery), delivery.unanswered), (vec![7, 12], false));
}

#[tokio::test]
async fn batches_are_under_way_side_by_side() {
    let (route, hubs) = relay();
    let mut bell = start(route, timing());
    let (mut hub, _) = hubs.recv().unwrap();
    connected(&mut bell).await;
    let (first, second) = (bell.deliver(batch(&[7])), bell.deliver(batch(&[12])));
    let names = [report(&mut hub).0, report(&mut hub).0];
    for name in names.into_iter().rev() {
        send(&mut hub, &ToHost::Ack { ids: vec![name] });
    }
    for (sent, id) in [(second, 12), (first, 7)] {
        let delivery = timeout(MOMENT, sent).await.unwrap().unwrap();
        assert_eq!((ids(&delivery), delivery.unanswered), (vec![id], false));
    }
}

#[tokio::test]
async fn reports_that_nobody_acknowledges_are_given_back() {
    let (route, hubs) = relay();
    let hurried = Timing {
        ack: Duration::from_secs(3),
        ..timing()
    };
    let mut bell = start(route, hurried);
    let (mut hub, _) = hubs.recv().unwrap();
    connected(&mut bell).await;
    let sent = bell.deliver(batch(&[7, 12]));
    let (name, _) = report(&mut hub);
    send(
        &mut hub,
        &ToHost::Ack {
            ids: vec![name.clone()],
        },
    );
    let delivery = timeout(MOMENT, sent).await.unwrap().unwrap();
    assert!(delivery.unanswered);
    assert_eq!(ids(&delivery), [name.parse::<i64>().unwrap()]);
}

#[tokio::test]
async fn a_connection_that_is_lost_gives_reports_back_and_without_one_they_are_not_kept() {
    let (route, hubs) = relay();
    let mut bell = start(route, timing());
    let (mut hub, _) = hubs.recv().unwrap();
    connected(&mut bell).await;
    let sent = bell.deliver(batch(&[7]));
    report(&mut hub);
    drop((hub, hubs));
    let delivery = timeout(MOMENT, sent).await.unwrap().unwrap();
    assert!(delivery.unanswered && delivery.taken.is_empty());
    let nobody = start(
        direct(1),
        Timing {
            rest: 1.0,
            ..timing()
        },
    );
    let delivery = timeout(MOMENT, nobody.deliver(batch(&[7]))).await;
    assert!(delivery.unwrap().unwrap().unanswered);
}

#[tokio::test]
async fn what_finds_no_room_in_a_frame_is_not_sent() {
    let (route, hubs) = relay();
    let mut bell = start(route, timing());
    let many = |count| {
        let one = |number| ServiceState {
            name: format!("web{number}").parse().unwrap(),
            channel: "octo-org/web".parse().unwrap(),
            kind: "docker".to_owned(),
            running: None,
        };
        (0..count).map(one).collect()
    };
    let (mut hub, _) = hubs.recv().unwrap();
    connected(&mut bell).await;
    heard(&mut hub);
    let mut long = batch(&[7]);
    long[0].report.log_tail = "x".repeat(towline_protocol::MAX_REQUEST_BODY);
    let delivery = timeout(MOMENT, bell.deliver(long)).await.unwrap().unwrap();
    assert!(delivery.unanswered && delivery.taken.is_empty());
    let services = many(1000);
    bell.say(
        Hello {
            services,
            ..hello("7.3")
        },
        true,
    );
    assert_eq!(heard(&mut hub), ToHub::Hello(hello("7.3")));
}

#[tokio::test]
async fn what_is_mentioned_has_no_name_of_its_own_and_comes_before_what_is_sent_later() {
    let (route, hubs) = relay();
    let mut bell = start(route, timing());
    let (mut hub, _) = hubs.recv().unwrap();
    connected(&mut bell).await;
    let mut applying = batch(&[1]).remove(0).report;
    applying.outcome = Some(Outcome::Applying);
    bell.mention(applying.clone());
    let sent = bell.deliver(batch(&[1]));
    let mentioned = loop {
        if let ToHub::Report { id, report } = heard(&mut hub) {
            break (id, *report);
        }
    };
    assert_eq!(mentioned, (None, applying.clone()));
    let (name, last) = report(&mut hub);
    assert_eq!(last.outcome, Some(Outcome::Succeeded));
    let names = vec![applying.intent.to_string(), name];
    send(&mut hub, &ToHost::Ack { ids: names });
    let delivery = timeout(MOMENT, sent).await.unwrap().unwrap();
    assert_eq!(ids(&delivery), [1]);
}
