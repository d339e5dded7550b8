//! Medians, spreads and gaps. Pure.

use std::time::{Duration, Instant};

/// The middle value, or the mean of both; not a number when there is none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (Some(value), 1) => *value,
        (Some(upper), _) => f64::midpoint(sorted[middle - 1], *upper),
        (None, _) => f64::NAN,
    }
}

/// The value that so large a part (0 to 1) of them does not exceed, by the nearest rank; not a number when there is none.
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

/// `median (min–max) unit, n = count`
pub(crate) fn spread(values: &[f64], digits: usize, unit: &str) -> String {
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!(
        "**{:.digits$}{unit}** ({min:.digits$}–{max:.digits$}), n = {}",
        median(values),
        values.len()
    )
}

/// The longest time between two that follow each other.
pub(crate) fn longest_gap(mut times: Vec<Instant>) -> Duration {
    times.sort();
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<_> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(
            (quantile(&values, 0.5), quantile(&values, 0.99)),
            (50.0, 99.0)
        );
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn a_spread_names_its_extremes_and_its_count() {
        let shown = spread(&[0.25, 1.0, 0.5], 2, " ms");
        assert_eq!(shown, "**0.50 ms** (0.25–1.00), n = 3");
    }

    #[test]
    fn the_longest_gap_is_between_neighbours_in_time() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let gap = longest_gap(vec![at(100), at(0), at(30), at(160)]);
        assert_eq!(gap, Duration::from_millis(70));
        assert_eq!(longest_gap(vec![begun]), Duration::ZERO);
    }
}
