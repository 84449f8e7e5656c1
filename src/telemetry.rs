//! The log: level and format.
//!
//! Here: setting it up once. Not here: results of commands (`output`), which never go through the log.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::cli::{LogArgs, LogFormat};

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
    /// Set up twice in one process.
    #[error("the log is set up already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Sends the log to standard error; `default` is the filter when none was given.
pub(crate) fn init(args: &LogArgs, default: &str) -> Result<(), TelemetryError> {
    let filter = args.log.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(filter)
        .map_err(|cause| TelemetryError::Filter { filter: filter.to_owned(), cause })?;
    // A closed standard error must not end the service, hence no complaints about failed writes.
    let lines = fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(filter);
    match args.log_format {
        LogFormat::Text => registry.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    }
    .map_err(TelemetryError::Twice)
}
