//! Lines that come again and again: after some of a kind the rest are counted instead of written.
//!
//! Two lines are of a kind if the same place in the program wrote them about the same org. The first ones within a minute are
//! written, then none until it is over; then one line says how many there were.
//!
//! Here: which lines are held back, pure, and the filter that asks. Not here: how the line about them looks (`lines`).
//!
//! Invariant: the first line of a kind is always written, lines of different orgs never hold each other back, and what is
//! remembered is bounded.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use orgpipe_actors::clock::Clock;
use serde_json::{Map, Value, json};
use tracing::{Event, Level, Metadata, Subscriber, callsite::Identifier};
use tracing_subscriber::{
    layer::{Context, Filter},
    registry::LookupSpan,
};

use super::lines::Fields;

/// For so long lines of a kind are counted together.
pub(super) const WITHIN: Duration = Duration::from_mins(1);
/// Kinds that are counted at a time; lines of others are written all.
const KINDS_MAX: usize = 2_000;
/// Characters kept of the first line of a kind.
const MESSAGE_CHARS_MAX: usize = 300;
/// A line with this field tells what an operator did, and is never held back.
const BY: &str = "by";

/// A place in the program, and the org.
type LineKind = (Identifier, u64);

/// What is remembered of lines. Pure: the time is an argument.
#[derive(Debug)]
pub(super) struct Repeats<K> {
    /// Of each kind so many are written within the time.
    lines_max: u64,
    kinds: HashMap<K, Counted>,
}

#[derive(Debug)]
struct Counted {
    /// When the first came.
    since: Duration,
    lines: u64,
    first: Sample,
}

/// The first line of a kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    level: Level,
    target: String,
    message: String,
    org: Option<String>,
}

/// Lines of a kind that were held back.
#[derive(Debug, PartialEq)]
pub(super) struct HeldBack {
    first: Sample,
    /// How many.
    lines: u64,
    /// Within which time.
    within: Duration,
}

impl<K: Eq + std::hash::Hash> Repeats<K> {
    pub(super) fn new(lines_max: u64) -> Self {
        Self { lines_max, kinds: HashMap::new() }
    }

    /// Whether a line of this kind is written now.
    pub(super) fn admit(&mut self, kind: K, now: Duration, sample: impl FnOnce() -> Sample) -> bool {
        if let Some(counted) = self.kinds.get_mut(&kind) {
            if now < counted.since + WITHIN || counted.lines > self.lines_max {
                // What was held back is told before another minute begins.
                counted.lines += 1;
                return counted.lines <= self.lines_max;
            }
            (counted.since, counted.lines) = (now, 1);
            return true;
        }
        if self.kinds.len() >= KINDS_MAX {
            let lines_max = self.lines_max;
            self.kinds.retain(|_, one| now < one.since + WITHIN || one.lines > lines_max);
        }
        if self.kinds.len() < KINDS_MAX {
            self.kinds.insert(kind, Counted { since: now, lines: 1, first: sample() });
        }
        true
    }

    /// What was held back of the kinds whose time is over; those begin anew.
    pub(super) fn over(&mut self, now: Duration) -> Vec<HeldBack> {
        let over = self.kinds.extract_if(|_, counted| now >= counted.since + WITHIN);
        let lines_max = self.lines_max;
        let over = over.filter(|(_, counted)| counted.lines > lines_max);
        over.map(|(_, Counted { since, lines, first })| HeldBack {
            first,
            lines: lines - lines_max,
            within: now.saturating_sub(since),
        })
        .collect()
    }
}

impl HeldBack {
    /// The line about them.
    pub(super) fn line(&self, lines: super::lines::Lines) -> String {
        let Self { first: Sample { level, target, message, org }, lines: count, within } = self;
        let secs = within.as_secs();
        let message = format!("repeated {} times within {secs} s: {message}", thousands(*count));
        let mut fields = Map::from_iter([
            ("message".to_owned(), Value::from(message)),
            ("repeated".to_owned(), json!(count)),
        ]);
        fields.extend(org.iter().map(|org| ("org".to_owned(), Value::from(org.as_str()))));
        lines.line(*level, target, fields)
    }
}

/// A number with commas.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let first = match digits.len() % 3 {
        0 => 3,
        rest => rest,
    };
    let (head, tail) = digits.split_at(first.min(digits.len()));
    let tail = tail.as_bytes().chunks(3).map(|three| format!(",{}", String::from_utf8_lossy(three)));
    head.to_owned() + &tail.collect::<String>()
}

/// Holds lines back.
#[derive(Debug)]
pub(super) struct RepeatFilter {
    repeats: Mutex<Repeats<LineKind>>,
    clock: Clock,
}

impl RepeatFilter {
    /// Lets so many lines of a kind through within the time.
    pub(super) fn new(lines_max: u64) -> Self {
        Self { repeats: Mutex::new(Repeats::new(lines_max)), clock: Clock::start() }
    }

    /// What was held back of the kinds whose time is over, or of all.
    pub(super) fn over(&self, all: bool) -> Vec<HeldBack> {
        let now = self.clock.monotonic();
        self.repeats().over(if all { now + WITHIN } else { now })
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats<LineKind>> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this line is written.
    fn admits<S>(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let metadata = event.metadata();
        // Whoever asks for these wants them all.
        if *metadata.level() > Level::INFO {
            return true;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields(mut fields) = fields;
        if fields.contains_key(BY) {
            return true;
        }
        let mut text = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (org, message) = (text("org"), text("message").unwrap_or_default());
        // All lines about an org name it, or are written within a span that does.
        let org = org.or_else(|| org_of_spans(event, context));
        let mut hasher = DefaultHasher::new();
        org.hash(&mut hasher);
        let sample = || Sample {
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
            org: org.clone(),
        };
        self.repeats().admit((metadata.callsite(), hasher.finish()), self.clock.monotonic(), sample)
    }
}

fn org_of_spans<S>(event: &Event<'_>, context: &Context<'_, S>) -> Option<String>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    context.event_scope(event)?.find_map(|span| {
        let extensions = span.extensions();
        let fields =
            extensions.get::<tracing_subscriber::fmt::FormattedFields<super::lines::SpanFields>>()?;
        let fields: Map<String, Value> = serde_json::from_str(&fields.fields).ok()?;
        Some(fields.get("org")?.as_str()?.to_owned())
    })
}

impl<S> Filter<S> for &'static RepeatFilter
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        self.admits(event, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(org: &str) -> Sample {
        Sample { level: Level::WARN, target: "t".into(), message: "it waits".into(), org: Some(org.into()) }
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn after_some_lines_of_a_kind_the_rest_are_counted() {
        let mut repeats = Repeats::new(3);
        // Kind, second, whether it is written.
        for (kind, second, written) in [
            ("a", 0, true),
            ("a", 1, true),
            ("b", 1, true),
            ("a", 2, true),
            ("a", 3, false),
            ("a", 59, false),
            ("b", 59, true),
            ("b", 61, true),
        ] {
            let admitted = repeats.admit(kind, secs(second), || sample(kind));
            assert_eq!(admitted, written, "{kind} at {second}");
        }
        assert_eq!(repeats.over(secs(59)), []);
        let told = HeldBack { first: sample("a"), lines: 2, within: secs(61) };
        assert_eq!(repeats.over(secs(61)), [told]);
        assert!(repeats.admit("a", secs(62), || sample("a")), "it begins anew");
        assert_eq!(repeats.over(secs(1_000)), [], "nothing was held back of it");
    }

    #[test]
    fn what_was_held_back_is_told_even_if_nobody_looked_for_long() {
        let mut repeats = Repeats::new(1);
        assert!(repeats.admit("a", secs(0), || sample("a")));
        for second in [1, 2, 300] {
            assert!(!repeats.admit("a", secs(second), || sample("a")), "{second}");
        }
        let told = HeldBack { first: sample("a"), lines: 3, within: secs(301) };
        assert_eq!(repeats.over(secs(301)), [told]);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_no_first_line_is_held_back() {
        let mut repeats = Repeats::new(1);
        for kind in 0..3 * KINDS_MAX {
            assert!(repeats.admit(kind, secs(0), || sample("x")), "{kind}");
        }
        assert_eq!(repeats.kinds.len(), KINDS_MAX);
        assert!(!repeats.admit(0, secs(1), || sample("x")));
        // Those whose time is over make room, unless something of them is to be told.
        assert!(repeats.admit(3 * KINDS_MAX, secs(100), || sample("x")));
        assert_eq!(repeats.kinds.len(), 2);
        assert_eq!(repeats.over(secs(100)).len(), 1);
    }

    #[test]
    fn the_line_about_them_is_of_their_own_level_and_org() {
        let held = HeldBack { first: sample("acme"), lines: 1_234, within: secs(60) };
        let line = held.line(super::super::lines::Lines { json: false });
        let end = "  WARN t: repeated 1,234 times within 60 s: it waits org=\"acme\" repeated=1234\n";
        assert!(line.ends_with(end), "{line}");
        let line = held.line(super::super::lines::Lines { json: true });
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(
            (&line["org"], &line["repeated"], &line["level"]),
            (&json!("acme"), &json!(1_234), &json!("WARN"))
        );
    }

    #[test]
    fn numbers_have_commas() {
        for (number, text) in [(7, "7"), (123, "123"), (1_234, "1,234"), (1_000_000, "1,000,000")] {
            assert_eq!(thousands(number), text);
        }
    }
}
