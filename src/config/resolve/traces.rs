//! `[service.traces]`: the collector that traces are sent to.
//!
//! Here: where, with which headers, how many. Not here: sending (`src/traces`).

use std::{path::Path, time::Duration};

use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use super::value::url;
use crate::config::{
    contents::TraceSettings,
    reader::Written,
    report::Report,
    secrets::{Environment, SecretProblem},
    tables::TracesTable,
};

/// Where a collector takes traces, below its address (OTLP Specification, "OTLP/HTTP Request").
const PATH: &str = "/v1/traces";
/// How many of all are sent unless the file says otherwise.
const SAMPLE_RATIO: f64 = 0.01;
/// Seconds for a batch unless the file says otherwise.
const TIMEOUT_SECS: u32 = 10;

pub(super) fn traces(
    table: &TracesTable<'_>,
    folder: &Path,
    environment: &Environment,
    report: &mut Report<'_>,
) -> Option<TraceSettings> {
    let section = &table.section;
    if cfg!(not(feature = "otlp")) {
        let hint = "Take the table out, or build orgpipe with the feature `otlp`, which is on by default.";
        let message = "`[service.traces]` is set, and this orgpipe was built without the feature `otlp`";
        report.add_at(None, message, hint);
        return None;
    }
    let hint = "Write the collector's address, such as `endpoint = \"http://localhost:4318\"`.";
    let endpoint = section.demand(report, "endpoint", table.endpoint.as_ref(), hint);
    let endpoint = endpoint.and_then(|written| endpoint_of(table, written, report));
    let headers = headers(table, folder, environment, report);
    let sample_ratio = match &table.sample_ratio {
        Some(written) if written.value <= 0.0 => {
            let hint = "Choose a share above it, or take the table out to send none.";
            section.problem(report, written.line, "sample_ratio", "is 0, so that no trace is sent", hint);
            None
        }
        Some(written) => Some(written.value),
        None => Some(SAMPLE_RATIO),
    };
    let timeout = table.timeout_secs.as_ref().map_or(TIMEOUT_SECS, |written| written.value);
    Some(TraceSettings {
        endpoint: endpoint?,
        headers: headers?,
        sample_ratio: sample_ratio?,
        timeout: Duration::from_secs(u64::from(timeout)),
    })
}

/// Spans have no secrets, so they may travel in clear; headers may not.
fn endpoint_of(table: &TracesTable<'_>, written: &Written<String>, report: &mut Report<'_>) -> Option<Url> {
    let bare = named(table.headers_env.as_ref()).is_none() && named(table.headers_file.as_ref()).is_none();
    let parsed = Url::parse(&written.value).ok().filter(|url| url.scheme() == "http" && bare);
    let plain = parsed.filter(|url| url.username().is_empty() && url.password().is_none());
    let mut url = match plain {
        Some(url) if !matches!(url.host(), None | Some(Host::Domain(""))) => url,
        _ => url(&table.section, report, "endpoint", written)?,
    };
    if !url.path().ends_with(PATH) {
        let path = format!("{}{PATH}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    Some(url)
}

/// An empty name is none.
fn named(written: Option<&Written<String>>) -> Option<&Written<String>> {
    written.filter(|written| !written.value.is_empty())
}

/// The headers of the variable or the file that is named.
fn headers(
    table: &TracesTable<'_>,
    folder: &Path,
    environment: &Environment,
    report: &mut Report<'_>,
) -> Option<Vec<(String, SecretString)>> {
    let section = &table.section;
    let (key, written, read): (_, _, Result<SecretString, SecretProblem>) =
        match (named(table.headers_env.as_ref()), named(table.headers_file.as_ref())) {
            (None, None) => return Some(Vec::new()),
            (Some(written), Some(_)) => {
                let hint = "Keep one of the two.";
                section.problem(report, written.line, "headers_env", "stands beside `headers_file`", hint);
                return None;
            }
            (Some(written), None) => ("headers_env", written, environment.variable(&written.value)),
            (None, Some(written)) => {
                ("headers_file", written, environment.secret_file(folder, &written.value))
            }
        };
    if !environment.looks() {
        return Some(Vec::new());
    }
    let (message, hint) = match read.map(|text| parsed(text.expose_secret())) {
        Ok(Some(headers)) => return Some(headers),
        Ok(None) => (
            "names headers that cannot be sent".to_owned(),
            "Write them as `name=value`, with commas between, such as `authorization=Bearer abc`.".to_owned(),
        ),
        Err(problem) => (problem.to_string(), problem.hint()),
    };
    section.problem(report, written.line, key, &message, hint);
    None
}

/// Headers as the variable `OTEL_EXPORTER_OTLP_HEADERS` has them; none if one of them is none.
fn parsed(text: &str) -> Option<Vec<(String, SecretString)>> {
    let header = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        HeaderName::from_bytes(name.as_bytes()).ok()?;
        HeaderValue::from_str(value).ok()?;
        Some((name, SecretString::from(value)))
    };
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_the_standard_variable_has_them() {
        let read = |text: &str| {
            let headers = parsed(text)?;
            let shown = headers.iter().map(|(name, value)| format!("{name}: {}", value.expose_secret()));
            Some(shown.collect::<Vec<_>>().join("; "))
        };
        assert_eq!(
            read("Authorization=Bearer a=b, x-team = ops").as_deref(),
            Some("authorization: Bearer a=b; x-team: ops")
        );
        assert_eq!(read(" ").as_deref(), Some(""));
        for wrong in ["authorization", "a b=c", "a=b\nc", "=x"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
