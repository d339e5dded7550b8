//! Many stories at a time, since each of them mostly waits.

use std::{collections::VecDeque, sync::Mutex, thread};

/// How many there are at a time.
const SIDE_BY_SIDE: usize = 8;

/// Runs `story` for each of `items`, several at a time; returns what they return, in order.
pub(crate) fn side_by_side<T: Send, R: Send>(
    items: Vec<T>,
    story: impl Fn(usize, T) -> R + Sync,
) -> Vec<R> {
    let queue: Mutex<VecDeque<_>> = Mutex::new(items.into_iter().enumerate().collect());
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop_front();
                    let Some((at, item)) = next else { break };
                    let result = story(at, item);
                    results.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
