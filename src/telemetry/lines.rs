//! How a line of the log looks.
//!
//! Here: its fields, of the event and of the spans that it is written in, as text and as JSON. Not here: which lines there are
//! (`telemetry`, `repeats`), what a span is about (`orgpipe_actors`).
//!
//! Invariant: `org`, `channel`, `sync`, `correlation_id` and `trace_id` stand at the top of a line where they are known, whoever
//! wrote it; what the line itself says goes before what its spans say.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{DefaultFields, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// What a line takes over from the spans that it is written in.
const OF_SPANS: &[&str] = &["org", "channel", "sync", "correlation_id", "trace_id"];
/// Where the text of an event stands.
const MESSAGE: &str = "message";

/// The fields of spans that lines take over, as JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpanFields;

impl<'w> FormatFields<'w> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut read = Fields::default();
        fields.record(&mut read);
        read.0.retain(|name, _| OF_SPANS.contains(&name.as_str()));
        if read.0.is_empty() { Ok(()) } else { write!(writer, "{}", Value::Object(read.0)) }
    }

    /// Those are all known when a span begins.
    fn add_fields(&self, _: &'w mut FormattedFields<Self>, _: &tracing::span::Record<'_>) -> fmt::Result {
        Ok(())
    }
}

/// The form of all lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    /// One JSON object a line.
    pub json: bool,
}

impl<S> FormatEvent<S, SpanFields> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, SpanFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let mut of_spans = Map::new();
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let Some(fields) = extensions.get::<FormattedFields<SpanFields>>() else { continue };
            // The innermost comes first and is the closest.
            for (name, value) in serde_json::from_str::<Map<_, _>>(&fields.fields).unwrap_or_default() {
                of_spans.entry(name).or_insert(value);
            }
        }
        let mut own = Fields::default();
        event.record(&mut own);
        of_spans.retain(|name, _| !own.0.contains_key(name));
        if self.json {
            own.0.append(&mut of_spans);
            return json(&mut writer, level, target, own.0);
        }
        head(&mut writer, level, target)?;
        DefaultFields::new().format_fields(writer.by_ref(), event)?;
        text(&mut writer, &of_spans)?;
        writeln!(writer)
    }
}

impl Lines {
    /// The same line of something that is no event.
    pub(super) fn line(self, level: Level, target: &str, fields: Map<String, Value>) -> String {
        let mut line = String::new();
        let mut writer = Writer::new(&mut line);
        // Writing to a text cannot fail.
        let _ = if self.json {
            json(&mut writer, level, target, fields)
        } else {
            plain(&mut writer, level, target, fields)
        };
        line
    }
}

fn plain(writer: &mut Writer<'_>, level: Level, target: &str, mut fields: Map<String, Value>) -> fmt::Result {
    head(writer, level, target)?;
    if let Some(Value::String(message)) = fields.remove(MESSAGE) {
        write!(writer, "{message}")?;
    }
    text(writer, &fields)?;
    writeln!(writer)
}

/// Time, level and target, as `tracing_subscriber` writes them.
fn head(writer: &mut Writer<'_>, level: Level, target: &str) -> fmt::Result {
    let (dim, end, colour) = match level {
        _ if !writer.has_ansi_escapes() => ("", "", ""),
        Level::ERROR => ("\u{1b}[2m", "\u{1b}[0m", "\u{1b}[31m"),
        Level::WARN => ("\u{1b}[2m", "\u{1b}[0m", "\u{1b}[33m"),
        Level::INFO => ("\u{1b}[2m", "\u{1b}[0m", "\u{1b}[32m"),
        Level::DEBUG => ("\u{1b}[2m", "\u{1b}[0m", "\u{1b}[34m"),
        Level::TRACE => ("\u{1b}[2m", "\u{1b}[0m", "\u{1b}[35m"),
    };
    write!(writer, "{dim}")?;
    SystemTime.format_time(writer)?;
    write!(writer, "{end} {colour}{level:>5}{end} {dim}{target}:{end} ")
}

/// Further fields of a text line.
fn text(writer: &mut Writer<'_>, fields: &Map<String, Value>) -> fmt::Result {
    for name in OF_SPANS {
        if let Some(value) = fields.get(*name) {
            write!(writer, " {name}={value}")?;
        }
    }
    for (name, value) in fields.iter().filter(|(name, _)| !OF_SPANS.contains(&name.as_str())) {
        write!(writer, " {name}={value}")?;
    }
    Ok(())
}

fn json(writer: &mut Writer<'_>, level: Level, target: &str, mut fields: Map<String, Value>) -> fmt::Result {
    let mut timestamp = String::new();
    SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
    let message = fields.remove(MESSAGE).unwrap_or_else(|| Value::String(String::new()));
    let (timestamp, target) = (Value::String(timestamp), Value::from(target));
    write!(
        writer,
        "{{\"timestamp\":{timestamp},\"level\":\"{level}\",\"target\":{target},\"message\":{message}"
    )?;
    for (name, value) in
        fields.iter().filter(|(name, _)| !["timestamp", "level", "target"].contains(&name.as_str()))
    {
        write!(writer, ",{}:{value}", Value::from(name.as_str()))?;
    }
    writeln!(writer, "}}")
}

/// Fields as JSON.
#[derive(Debug, Default)]
pub(super) struct Fields(pub(super) Map<String, Value>);

impl Fields {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.add(field, text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tracing_subscriber::{fmt, layer::SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(json: bool, log: impl FnOnce()) -> String {
        let to = Written::default();
        let writer = to.clone();
        let layer = fmt::layer()
            .with_ansi(false)
            .fmt_fields(SpanFields)
            .event_format(Lines { json })
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = to.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn log() {
        let part = tracing::error_span!("part", org = "acme", part = "ingest");
        let step =
            tracing::error_span!("step", org = "other", sync = "accounts", trace_id = %"ab", records = 7);
        part.in_scope(|| {
            step.in_scope(|| tracing::warn!(org = "acme", wait_secs = 1.5, why = ?"x", "it {}", "waits"));
        });
    }

    #[test]
    fn a_line_of_json_has_the_fields_of_its_spans_at_the_top() {
        let line = written(true, log);
        let mut parsed: Value = serde_json::from_str(&line).expect("JSON");
        assert!(line.starts_with("{\"timestamp\":\"20") && line.ends_with("}\n"), "{line}");
        parsed.as_object_mut().unwrap().remove("timestamp");
        let expected = json!({
            "level": "WARN", "target": module_path!(), "message": "it waits", "wait_secs": 1.5, "why": "\"x\"",
            "org": "acme", "sync": "accounts", "trace_id": "ab",
        });
        assert_eq!(parsed, expected, "what the line says goes before what its spans say");
    }

    #[test]
    fn a_line_of_text_ends_with_what_its_spans_say() {
        let line = written(false, log);
        let expected = format!(
            " WARN {}: it waits org=\"acme\" wait_secs=1.5 why=\"x\" sync=\"accounts\" trace_id=\"ab\"\n",
            module_path!()
        );
        assert!(line.ends_with(&expected), "{line}");
        let alone = written(false, || tracing::info!(n = 1, "alone"));
        assert!(alone.ends_with(&format!("  INFO {}: alone n=1\n", module_path!())), "{alone}");
    }

    #[test]
    fn no_field_takes_the_place_of_what_each_line_has() {
        let line = written(true, || tracing::info!(level = "none", target = "x", "\"quoted\"\nand on"));
        let parsed: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&parsed["level"], &parsed["message"]), (&json!("INFO"), &json!("\"quoted\"\nand on")));
    }
}
