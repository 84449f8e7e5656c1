//! The log: level and format.
//!
//! Here: setting it up once. Not here: how a line looks (`lines`), which lines are held back (`repeats`), the spans that are
//! sent to a collector (`traces`), results of commands (`output`), which never go through the log.
//!
//! Invariant: an event is one line, whatever an org or your API has put into a text; only a filter that names them has
//! libraries tell what they store and send.

mod lines;
mod repeats;

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    sync::OnceLock,
    thread,
    time::Duration,
};

use tracing_subscriber::{
    EnvFilter, Layer, filter::FilterExt as _, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use self::{
    lines::{Lines, SpanFields},
    repeats::RepeatFilter,
};
#[cfg(feature = "otlp")]
use crate::traces::layer::{OurSpans, SpanLayer};
use crate::{
    cli::{LogArgs, LogFormat},
    transcript,
};

/// How often it is looked whether there are lines to be told of that were held back.
const LOOK_FOR_REPEATS: Duration = Duration::from_secs(1);

/// What holds lines back, and how the lines about those look.
static REPEATS: OnceLock<(RepeatFilter, Lines)> = OnceLock::new();

/// Libraries that tell at `debug` and `trace` what is stored and sent: records, and tokens.
const QUIET: &str = "sled=info,hyper=info,hyper_util=info,reqwest=info,h2=info,rustls=info,actix_http=info,\
                     actix_web=info,actix_server=info,mio=info";

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    /// The filter is none.
    #[error("`{filter}` is no log filter")]
    Filter {
        /// As typed.
        filter: String,
        /// What the parser says.
        #[source]
        cause: tracing_subscriber::filter::ParseError,
    },
    /// There can be no further thread.
    #[error("the thread of the log cannot be started")]
    Thread(#[source] io::Error),
    /// Set up twice in one process.
    #[error("the log is set up already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Sends the log to standard error; `default` is the filter when none was given.
pub(crate) fn init(args: &LogArgs, default: &str) -> Result<(), TelemetryError> {
    let filter = args.log.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(with_quiet(filter))
        .map_err(|cause| TelemetryError::Filter { filter: filter.to_owned(), cause })?;
    // A closed standard error must not end the service, hence no complaints about failed writes.
    let colours = matches!(args.log_format, LogFormat::Text) && std::io::stderr().is_terminal();
    let writer = move || OneLine { to: io::stderr(), colours };
    let form = Lines { json: matches!(args.log_format, LogFormat::Json) };
    let lines = fmt::layer()
        .with_writer(writer)
        .with_ansi(colours)
        .log_internal_errors(false)
        .fmt_fields(SpanFields)
        .event_format(form);
    let lines = match repeats(args.log_repeats, form)? {
        Some(repeats) => lines.with_filter(filter.and(repeats)).boxed(),
        None => lines.with_filter(filter).boxed(),
    };
    let registry = tracing_subscriber::registry().with(lines);
    #[cfg(feature = "otlp")]
    let registry = registry.with(SpanLayer::new().with_filter(OurSpans));
    match transcript::log_file() {
        None => registry.try_init(),
        Some(file) => {
            let everything =
                fmt::layer().with_writer(move || file).with_ansi(false).log_internal_errors(false);
            let filter = EnvFilter::new(format!("{QUIET},trace"));
            registry.with(everything.with_filter(filter)).try_init()
        }
    }
    .map_err(TelemetryError::Twice)?;
    // By this it is known that nothing was held back.
    tracing::trace!("the log begins");
    Ok(())
}

/// What holds lines back; none if all are to be written.
fn repeats(lines_max: u64, form: Lines) -> Result<Option<&'static RepeatFilter>, TelemetryError> {
    if lines_max == 0 {
        return Ok(None);
    }
    let (repeats, _) = REPEATS.get_or_init(|| (RepeatFilter::new(lines_max), form));
    let tell = || {
        loop {
            thread::sleep(LOOK_FOR_REPEATS);
            tell_repeats(false);
        }
    };
    thread::Builder::new().name("orgpipe-log".to_owned()).spawn(tell).map_err(TelemetryError::Thread)?;
    Ok(Some(repeats))
}

/// Writes what was held back and not told yet. To be called at the end.
pub(crate) fn end() {
    tell_repeats(true);
}

fn tell_repeats(all: bool) {
    let Some((repeats, form)) = REPEATS.get() else { return };
    for held_back in repeats.over(all) {
        let _ = OneLine { to: io::stderr(), colours: false }.write(held_back.line(*form).as_bytes());
    }
}

/// The filter with what keeps libraries quiet, unless all are asked for less than that anyway.
fn with_quiet(filter: &str) -> String {
    let of_all = filter.split(',').rfind(|directive| !directive.contains('='));
    let less = ["off", "error", "warn"];
    if of_all.is_some_and(|level| less.iter().any(|less| level.trim().eq_ignore_ascii_case(less))) {
        return filter.to_owned();
    }
    // Of two directives for one target the later one counts.
    format!("{QUIET},{filter}")
}

/// Writes each event, which comes in one piece, as one line.
struct OneLine<W> {
    to: W,
    /// The formatter colours its lines; it escapes what a value brings along.
    colours: bool,
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.to.write_all(one_line(&String::from_utf8_lossy(event), self.colours).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// What would end the line or steer a terminal is written as JSON writes it; the end of the line stays.
fn one_line(event: &str, colours: bool) -> String {
    let (text, end) = event.strip_suffix('\n').map_or((event, ""), |text| (text, "\n"));
    let mut line = String::with_capacity(event.len());
    for c in text.chars() {
        match c {
            '\u{1b}' if colours => line.push(c),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if crate::output::is_steering(c) => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_stands_in_it() {
        for (event, line) in [
            ("WARN said: a\nERROR b\r\n\n", "WARN said: a\\nERROR b\\r\\n\n"),
            ("a\u{1b}[2J\u{9b}\u{2028}\u{202e}b", "a\\u001b[2J\\u009b\\u2028\\u202eb"),
            ("plain ü\n", "plain ü\n"),
        ] {
            assert_eq!(one_line(event, false), line);
        }
        assert_eq!(one_line("\u{1b}[33mWARN\u{1b}[0m a\nb\n", true), "\u{1b}[33mWARN\u{1b}[0m a\\nb\n");
    }

    #[test]
    fn no_library_tells_more_than_all_are_asked_for() {
        for asked in ["off", "warn", "ERROR", "warn,orgpipe_actors=trace", "orgpipe=info,error"] {
            assert_eq!(with_quiet(asked), asked);
        }
        for asked in ["info", "debug", "orgpipe=warn"] {
            assert!(with_quiet(asked).starts_with(QUIET), "{asked}");
        }
    }

    #[test]
    fn libraries_that_show_values_are_quiet_unless_they_are_named() {
        for (asked, sled) in [("trace", "sled=info"), ("sled=trace", "sled=trace")] {
            let filter = EnvFilter::new(with_quiet(asked)).to_string();
            let of_sled: Vec<&str> = filter.split(',').filter(|one| one.starts_with("sled=")).collect();
            assert_eq!(of_sled, [sled], "{filter}");
        }
    }
}
