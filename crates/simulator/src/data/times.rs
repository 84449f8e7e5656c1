//! Dates and instants as text.
//!
//! Here: reading what clients send, printing what Salesforce prints. Not here: the clock.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};

/// `2026-01-31T10:00:00.000+0000`, as in query and row answers.
pub(crate) fn instant_text(ms: i64) -> String {
    at(ms).format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
}

/// `2026-01-31T10:00:00.000Z`, as in event payloads and CSV results.
pub(crate) fn zulu_text(ms: i64) -> String {
    at(ms).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Unix milliseconds of an ISO 8601 instant: zone `Z`, `+hh:mm`, `+hhmm`, or none for UTC; fraction optional.
pub(crate) fn parse_instant(text: &str) -> Option<i64> {
    let zoned = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z")
        .or_else(|_| DateTime::parse_from_rfc3339(text));
    let ms = match zoned {
        Ok(instant) => instant.timestamp_millis(),
        Err(_) => {
            NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?.and_utc().timestamp_millis()
        }
    };
    in_range(at(ms).date_naive()).then_some(ms)
}

/// The date `yyyy-MM-dd` in its canonical text.
pub(crate) fn parse_date(text: &str) -> Option<String> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (text.len() == 10 && in_range(date)).then(|| date.to_string())
}

/// Salesforce keeps the years 1700 to 4000.
fn in_range(date: NaiveDate) -> bool {
    use chrono::Datelike;
    (1700..=4000).contains(&date.year())
}

fn at(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_every_form_and_printed_in_one() {
        for text in [
            "2026-01-31T10:00:00Z",
            "2026-01-31T10:00:00.000Z",
            "2026-01-31T11:00:00+01:00",
            "2026-01-31T11:00:00.000+0100",
            "2026-01-31T10:00:00",
        ] {
            assert_eq!(
                parse_instant(text).map(instant_text).as_deref(),
                Some("2026-01-31T10:00:00.000+0000"),
                "{text}"
            );
        }
        for text in ["", "2026-01-31", "2026-13-01T00:00:00Z", "1500-01-01T00:00:00Z", "yesterday"] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_four_two_two() {
        assert_eq!(parse_date("2026-01-31").as_deref(), Some("2026-01-31"));
        for text in ["2026-02-30", "2026-1-1", "31.01.2026", "9999-01-01"] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }
}
