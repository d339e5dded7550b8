//! An order's body and its key.

use super::small_and_whole;
use crate::manual::{self, Key, MAX_HOSTS, MAX_KEY, MAX_REASON, Ordered};

/// What somebody sends to order an intent: what is taken is small, becomes an intent that is, and the same again is the same.
pub fn order(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(Some(key)) = manual::idempotency_key(Some(&text)) {
        assert!(!key.is_empty() && key.len() <= MAX_KEY && key.is_ascii());
    }
    let Ok(order) = manual::read(input) else {
        return;
    };
    assert!(order.hosts.len() <= MAX_HOSTS && order.hosts.is_sorted());
    assert!(order.reason.len() <= MAX_REASON && !order.reason.contains('\n'));
    let operator = "ops".parse().expect("a name");
    let candidate = manual::by_operator(order, &operator, &Key::Given("1".to_owned()));
    let again = small_and_whole(candidate.clone());
    let again = manual::ordered(&candidate, true, again);
    assert!(matches!(again, Ordered::Again(_)));
}
