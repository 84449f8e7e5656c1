//! Numbers, durations and times as people read them at a glance.
//!
//! Here: texts of values. Not here: words for states and parts (`admin::names`).

use chrono::{DateTime, SecondsFormat, Utc};
use orgpipe_store::UnixMs;

/// A whole number with a thin gap between thousands, such as `1 234 567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 * 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            // Narrow, and no line is broken there.
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number of things, such as `1 record` or `2 records`.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count(number))
}

/// A large number in three digits, such as `12.3k`; the whole one up to 9,999.
pub(crate) fn short(number: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let float = number as f64;
    match number {
        0..10_000 => count(number),
        10_000..1_000_000 => scaled(float / 1e3, "k"),
        1_000_000..1_000_000_000 => scaled(float / 1e6, "M"),
        _ => scaled(float / 1e9, "G"),
    }
}

fn scaled(number: f64, unit: &str) -> String {
    if number < 100.0 { format!("{number:.1}{unit}") } else { format!("{number:.0}{unit}") }
}

/// How many of something happen in a while, such as `0.4` or `120`.
pub(crate) fn rate(number: f64) -> String {
    if number <= 0.0 {
        "0".to_owned()
    } else if number < 0.05 {
        "<0.1".to_owned()
    } else if number < 10.0 {
        format!("{number:.1}")
    } else {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is above 10")]
        let whole = number.round() as u64;
        short(whole)
    }
}

/// Milliseconds, such as `340 ms`, `2.4 s` or `3 h 20 min`.
pub(crate) fn millis(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => {
            #[expect(clippy::cast_precision_loss, reason = "it is below 60,000")]
            let secs = millis as f64 / 1_000.0;
            format!("{secs:.1} s")
        }
        _ => seconds(millis / 1_000),
    }
}

/// A fraction of seconds or more, such as `0.4 ms`, `340 ms` or `2.4 s`.
pub(crate) fn duration(secs: f64) -> String {
    if secs < 0.01 {
        return format!("{:.1} ms", secs * 1_000.0);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "durations are not negative")]
    let whole = (secs * 1_000.0).round() as u64;
    millis(whole)
}

/// Seconds in the two largest units, such as `45 s`, `2 min 5 s`, `3 h 20 min` or `2 d 4 h`.
pub(crate) fn seconds(secs: u64) -> String {
    let two = |large: u64, unit: &str, small: u64, lesser: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {lesser}"),
    };
    match secs {
        0..60 => format!("{secs} s"),
        60..3_600 => two(secs / 60, "min", secs % 60, "s"),
        3_600..86_400 => two(secs / 3_600, "h", secs % 3_600 / 60, "min"),
        _ => two(secs / 86_400, "d", secs % 86_400 / 3_600, "h"),
    }
}

/// Bytes, such as `1.4 GB`.
pub(crate) fn bytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let float = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => scaled(float / 1e3, " kB"),
        1_000_000..1_000_000_000 => scaled(float / 1e6, " MB"),
        _ => scaled(float / 1e9, " GB"),
    }
}

/// A part of a whole in percent, such as `7 %`; above all of it, too.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 1.0 { "<1 %".to_owned() } else { format!("{percent:.0} %") }
}

fn utc(at: UnixMs) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(at.0).ok()?)
}

/// As the attribute `datetime` has it.
pub(crate) fn machine_time(at: UnixMs) -> String {
    utc(at).map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
}

/// A moment, such as `2026-03-01 14:02:11 UTC`.
pub(crate) fn moment(at: UnixMs) -> String {
    utc(at).map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default()
}

/// How long ago something was, such as `3 min ago`, in one unit.
pub(crate) fn ago(at: UnixMs, now: UnixMs) -> String {
    let secs = now.0.saturating_sub(at.0) / 1_000;
    match secs {
        0..2 => "now".to_owned(),
        2..60 => format!("{secs} s ago"),
        60..3_600 => format!("{} min ago", secs / 60),
        3_600..86_400 => format!("{} h ago", secs / 3_600),
        _ => format!("{} d ago", secs / 86_400),
    }
}

/// With a capital letter, and with one final stop.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    let Some(first) = letters.next() else { return String::new() };
    first.to_uppercase().chain(letters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        for (number, whole, in_short) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (1_000, "1\u{202f}000", "1\u{202f}000"),
            (12_345, "12\u{202f}345", "12.3k"),
            (123_456, "123\u{202f}456", "123k"),
            (1_234_567, "1\u{202f}234\u{202f}567", "1.2M"),
        ] {
            assert_eq!((count(number).as_str(), short(number).as_str()), (whole, in_short));
        }
        for (number, text) in [(0.0, "0"), (0.01, "<0.1"), (0.44, "0.4"), (9.96, "10.0"), (123.4, "123")] {
            assert_eq!(rate(number), text);
        }
        for (share, text) in [(0.0, "0 %"), (0.004, "<1 %"), (0.5, "50 %"), (1.2, "120 %")] {
            assert_eq!(percent(share), text);
        }
        assert_eq!(bytes(1_400_000_000), "1.4 GB");
    }

    #[test]
    fn durations_have_at_most_two_units() {
        for (secs, text) in
            [(5, "5 s"), (125, "2 min 5 s"), (3_600, "1 h"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")]
        {
            assert_eq!(seconds(secs), text);
        }
        for (ms, text) in [(340, "340 ms"), (2_400, "2.4 s"), (60_000, "1 min")] {
            assert_eq!(millis(ms), text);
        }
    }

    #[test]
    fn moments_are_told_from_now() {
        let now = UnixMs(1_772_373_731_000);
        let before = |secs: u64| UnixMs(now.0 - secs * 1_000);
        for (secs, text) in
            [(1, "now"), (59, "59 s ago"), (61, "1 min ago"), (7_300, "2 h ago"), (90_000, "1 d ago")]
        {
            assert_eq!(ago(before(secs), now), text);
        }
        assert_eq!(moment(now), "2026-03-01 14:02:11 UTC");
        assert_eq!(machine_time(now), "2026-03-01T14:02:11Z");
    }

    #[test]
    fn a_sentence_ends_once() {
        for (text, sentence_of_it) in [("it is full", "It is full."), ("Done.", "Done."), ("", "")] {
            assert_eq!(sentence(text), sentence_of_it);
        }
    }
}
