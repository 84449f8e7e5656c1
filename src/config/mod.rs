//! The settings: from a TOML file to [`Config`], or to a list of everything that is wrong with it.
//!
//! In reading order: `tables` (what an operator may write), `resolve` (what it means), `secrets` (the environment and
//! key files), `certificate` (that of the admin API), `contents` (what comes of it), `report` and `reader` (problems with their lines). Not here: what the
//! settings do.
//!
//! Invariant: no problem and no `Debug` ever shows the value of a secret.

mod certificate;
mod contents;
mod reader;
mod report;
mod resolve;
mod secrets;
mod tables;

use std::path::Path;

pub(crate) use self::{
    certificate::Certificate,
    contents::{AdminSettings, Config},
    report::Problem,
    secrets::Environment,
};
use self::{report::Report, tables::Tables};

/// Bytes of a settings file that are read at all: some tens of thousands of orgs.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Reads and checks a settings file; on failure every problem found, in the order of their lines.
pub(crate) fn load(file: &Path, environment: &Environment) -> Result<Config, Vec<Problem>> {
    match environment.read(file, FILE_BYTES_MAX) {
        Ok(text) => parse(&text, file, environment),
        Err(cause) => Err(vec![Problem {
            file: file.to_owned(),
            line: None,
            message: format!("the settings cannot be read: {cause}"),
            hint: "Name the file with `--config FILE`; start from a copy of config/one-org.toml.".to_owned(),
        }]),
    }
}

/// The same for text that is at hand; relative paths in it start from the folder of `file`.
pub(crate) fn parse(text: &str, file: &Path, environment: &Environment) -> Result<Config, Vec<Problem>> {
    let mut report = Report::new(file, text);
    let (document, mistakes) = toml::de::DeTable::parse_recoverable(text);
    for mistake in &mistakes {
        let line = mistake.span().map(|span| report.line_at(span.start));
        report.add_at(
            line,
            format!("this is not TOML: {}", mistake.message()),
            "Correct the line; texts stand in double quotes, see https://toml.io.",
        );
    }
    if !mistakes.is_empty() {
        // What follows a broken line may have been read as something else: more problems would be guesses.
        return Err(report.into_problems());
    }
    let tables = Tables::read(document.get_ref(), &mut report);
    let folder = file.parent().unwrap_or(Path::new(""));
    let config = resolve::config(&tables, folder, environment, &mut report);
    match config {
        Some(config) if report.is_empty() => Ok(config),
        _ => Err(report.into_problems()),
    }
}

#[cfg(test)]
mod tests;
