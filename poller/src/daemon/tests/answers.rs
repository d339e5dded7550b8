//! What an answer of the relay does to the inbox and to what is asked next.

use super::*;

#[tokio::test]
async fn the_tag_of_an_answer_counts_only_when_the_answer_is_on_disk() {
    let mut host = Host::new();
    host.poller.store.tamper(&fill_disk("mark"));
    let news = answer(7, &[manual(1)]);
    host.poller.take_in(news.clone(), false).unwrap_err();
    assert_eq!(host.poller.tag, None);
    host.poller.store.tamper("DROP TRIGGER full");
    host.poller.take_in(news.clone(), false).unwrap();
    assert_eq!(host.poller.tag, news.tag);
}

#[tokio::test]
async fn a_hub_from_the_far_future_freezes_nothing() {
    let mut host = Host::new();
    let far = answer(u64::MAX, &[testing::intent(u64::MAX, 1)]);
    host.poller.take_in(far, false).unwrap();
    assert_eq!(host.poller.tag, None, "the relay is to tell it again");
    host.poller.take_in(answer(7, &[manual(1)]), false).unwrap();
    let channel = "octo-org/web".parse().unwrap();
    let mark = host.poller.store.mark(&channel).unwrap();
    assert_eq!(mark, Some(Mark { epoch: 7, seq: 1 }));
}

#[tokio::test]
async fn a_hub_without_an_end_is_left_alone_after_some_answers() {
    let mut host = Host::new();
    let endless = |seq| {
        let mut endless = answer(7, &[manual(seq)]);
        for news in endless.channels.values_mut() {
            news.news.head = 1 << 60;
        }
        endless
    };
    for first in [1, 10, 19] {
        host.poller.gaps.clear();
        host.poller.take_in(endless(first), false).unwrap();
        let mut asked = 0;
        while !host.poller.gaps().unwrap().is_empty() {
            asked += 1;
            assert!(asked < 50, "it is asked for ever");
            host.poller.take_in(endless(first + asked), true).unwrap();
        }
        assert_eq!(asked, 8);
    }
}
