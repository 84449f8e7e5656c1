//! What a refresh will cost, told before it begins. Pure.
//!
//! Here: the number of API calls, and the sentence. Not here: counting the records (`service`), holding a refresh back
//! (`org/api/budget.rs`).

use orgpipe_reconcile::{
    matching::KEYS_MAX,
    route::{self, Strategy},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    capture::{bulk_pages, pages::PAGE},
    deliver::bulk::ROWS_MAX,
    settings::Limits,
};

/// One sync's refresh, as it would be now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Forecast {
    /// Name of the sync.
    pub sync: String,
    /// Records it would read; null if the org does not say.
    pub records: Option<u64>,
    /// API calls it would take if nothing has changed.
    pub calls: Option<u64>,
    /// All of it, as a sentence.
    pub sentence: String,
}

impl Forecast {
    /// For so many records, in an org with so many calls a day if that is known. `by_bulk`: from so many on they are read
    /// by a Bulk query. `itself`: they are the targets themselves, so that nothing is matched.
    #[expect(clippy::cast_precision_loss, reason = "call counts stay far below 2^52")]
    pub(crate) fn new(
        sync: &str,
        (records, itself): (u64, bool),
        by_bulk: u64,
        limits: Limits,
        day: Option<u64>,
    ) -> Self {
        let calls = reading(records, itself, by_bulk);
        let more = writing(records, limits.bulk_from, limits.strategy);
        let part = day
            .filter(|day| *day > 0)
            .map_or(String::new(), |day| format!(", {:.1} % of the day", 100.0 * calls as f64 / day as f64));
        let sentence = format!(
            "a refresh of {sync} reads {} records and will take about {} calls{part}; up to {} more to write, if all \
             have changed",
            thousands(records),
            thousands(calls),
            thousands(more)
        );
        Self { sync: sync.to_owned(), records: Some(records), calls: Some(calls), sentence }
    }

    /// Where the records could not be counted.
    pub(crate) fn unknown(sync: &str, why: &str) -> Self {
        let sentence = format!("what a refresh of {sync} takes is not known: {why}");
        Self { sync: sync.to_owned(), records: None, calls: None, sentence }
    }
}

/// A describe, the reading, a query for so many that are matched.
fn reading(records: u64, itself: bool, by_bulk: u64) -> u64 {
    let matched = if itself { 0 } else { records };
    1 + pages(records, by_bulk) + matched.div_ceil(KEYS_MAX as u64)
}

/// A query for each page and one behind the last full one, or what a Bulk query takes.
pub(crate) fn pages(records: u64, by_bulk: u64) -> u64 {
    if records >= by_bulk { bulk_pages::calls(records) } else { records / PAGE as u64 + 1 }
}

/// What it takes to write so many records of one object.
pub(crate) fn writing(records: u64, bulk_from: usize, strategy: Strategy) -> u64 {
    let calls = |count| route::calls(count, bulk_from, strategy) as u64;
    let rest = usize::try_from(records % ROWS_MAX as u64).unwrap_or(ROWS_MAX);
    records / ROWS_MAX as u64 * calls(ROWS_MAX) + calls(rest)
}

/// `1,234,567`
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::org;

    #[test]
    fn a_forecast_is_one_sentence() {
        let limits = Limits { bulk_from: 10, strategy: Strategy::Count, ..org().limits };
        let of = |records, day| Forecast::new("accounts", (records, false), 100_000, limits, day);
        let forecast = of(20_000, Some(100_000));
        assert_eq!(forecast.calls, Some(112));
        let itself = Forecast::new("accounts", (20_000, true), 100_000, limits, None);
        assert_eq!(itself.calls, Some(12), "a describe and the pages");
        assert_eq!(
            forecast.sentence,
            "a refresh of accounts reads 20,000 records and will take about 112 calls, 0.1 % of the day; up to 16 more \
             to write, if all have changed"
        );
        for (records, calls) in [(0, 2), (1, 3), (1_999, 12), (2_000, 13), (99_999, 551), (100_000, 525)] {
            assert_eq!(of(records, None).calls, Some(calls), "{records}");
        }
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!((thousands(999), thousands(1_000)), ("999".to_owned(), "1,000".to_owned()));
    }
}
