//! The settings: from a TOML file to [`Config`], or to a list of everything that is wrong with it.
//!
//! In reading order: `tables` (what an operator may write), `resolve` (what it means), `secrets` (the environment and
//! key files), `certificate` (that of the admin API), `contents` (what comes of it), `report` and `reader` (problems with their lines). Not here: what the
//! settings do.
//!
//! Invariant: no problem and no `Debug` ever shows the value of a secret.

mod certificate;
mod contents;
mod mapped;
mod reader;
mod report;
mod resolve;
mod secrets;
mod tables;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::{Spanned, de::DeTable};

pub(crate) use self::{
    certificate::Certificate,
    contents::{AdminSettings, Config, ConnectApp, ConnectSettings, MetricsSettings, PerOrg, TraceSettings},
    report::Problem,
    secrets::Environment,
};
use self::{
    report::Report,
    resolve::{OrgFile, Origin},
    tables::Tables,
};

/// Bytes of a settings file that are read at all: some tens of thousands of orgs.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The texts that the settings are read from: a file, and those of its folder of orgs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    text: String,
    /// Of the folder of orgs, by file.
    pub(crate) orgs: Vec<(PathBuf, String)>,
}

/// An org that is kept elsewhere, as it would stand in a file of its own.
#[derive(Clone, Debug)]
pub(crate) struct OrgText {
    /// Its name.
    pub(crate) id: String,
    /// One `[[org]]` table.
    pub(crate) toml: String,
    /// Whether it is worked for. One that is not is read all the same: it has its name.
    pub(crate) ready: bool,
}

/// Reads and checks a settings file with the orgs of its folder; on failure every problem found, in the order of files and lines.
/// What only should be otherwise stands in [`Config::warnings`].
pub(crate) fn load(file: &Path, environment: &Environment) -> Result<Config, Vec<Problem>> {
    resolve(&read(file, environment)?, file, environment, &[])
}

/// The texts of a settings file and of its folder of orgs.
pub(crate) fn read(file: &Path, environment: &Environment) -> Result<Sources, Vec<Problem>> {
    let text = environment.read(file, FILE_BYTES_MAX).map_err(|cause| {
        vec![Problem {
            file: file.to_owned(),
            line: None,
            message: format!("the settings cannot be read: {cause}"),
            hint: "Name the file with `--config FILE`; start from a copy of config/one-org.toml.".to_owned(),
        }]
    })?;
    with_orgs(text, file, environment)
}

/// A settings file's text with those of its folder of orgs; relative paths start from the folder of `file`.
pub(crate) fn with_orgs(
    text: String,
    file: &Path,
    environment: &Environment,
) -> Result<Sources, Vec<Problem>> {
    let mut report = Report::new(file, &text);
    let document = toml(&text, &mut report);
    if !report.is_empty() {
        // What follows a broken line may have been read as something else: more problems would be guesses.
        return Err(report.into_problems());
    }
    // Only for the folder's name: what else is wrong is told when all of it is read.
    let tables = Tables::read(document.get_ref(), &mut Report::new(file, &text));
    let folder = file.parent().unwrap_or(Path::new(""));
    let orgs = org_files(&tables, folder, environment, &mut report);
    if report.is_empty() { Ok(Sources { text, orgs }) } else { Err(report.into_problems()) }
}

/// The settings that texts mean, with the orgs that are `stored`; relative paths start from the folder of `file`.
///
/// What is wrong with a stored org, or that it has the name of another one, leaves out that one alone and stands in
/// [`Config::orgs_left_out`].
pub(crate) fn resolve(
    sources: &Sources,
    file: &Path,
    environment: &Environment,
    stored: &[OrgText],
) -> Result<Config, Vec<Problem>> {
    let text = sources.text.as_str();
    let mut report = Report::new(file, text);
    let document = toml(text, &mut report);
    if !report.is_empty() {
        return Err(report.into_problems());
    }
    let tables = Tables::read(document.get_ref(), &mut report);
    let folder = file.parent().unwrap_or(Path::new(""));
    let beside = sources.orgs.iter().map(|(file, text)| (file.clone(), text.as_str(), Origin::Folder));
    let kept = stored.iter().map(|org| {
        let origin = if org.ready { Origin::Stored } else { Origin::Reserved };
        (PathBuf::from(format!("store, org {}", org.id)), org.toml.as_str(), origin)
    });
    let texts: Vec<(PathBuf, &str, Origin)> = beside.chain(kept).collect();
    let documents: Vec<_> = texts
        .iter()
        .map(|(file, text, _)| {
            let mut report = Report::new(file, text);
            (toml(text, &mut report), report)
        })
        .collect();
    let mut files: Vec<OrgFile<'_>> = Vec::with_capacity(documents.len());
    for ((document, read), (file, text, origin)) in documents.iter().zip(&texts) {
        let mut report = Report::new(file, text);
        let orgs =
            if read.is_empty() { tables::orgs_alone(document.get_ref(), &mut report) } else { Vec::new() };
        report.take(read);
        files.push(OrgFile { orgs, report, origin: *origin });
    }
    let config = resolve::config(&tables, folder, environment, &mut files, &mut report);
    let mut orgs_left_out = BTreeMap::new();
    let (mut problems, mut warnings) = report.into_parts();
    let of_store = sources.orgs.iter().map(|_| None).chain(stored.iter().map(Some));
    for (file, org) in files.into_iter().zip(of_store) {
        let (its_problems, its_warnings) = file.report.into_parts();
        warnings.extend(its_warnings);
        match org {
            Some(org) if !its_problems.is_empty() => drop(orgs_left_out.insert(org.id.clone(), its_problems)),
            Some(_) => {}
            None => problems.extend(its_problems),
        }
    }
    match config {
        Some(config) if problems.is_empty() => Ok(Config { orgs_left_out, warnings, ..config }),
        _ => Err(problems),
    }
}

/// A text as TOML; what is none of it goes to the report.
fn toml<'t>(text: &'t str, report: &mut Report<'_>) -> Spanned<DeTable<'t>> {
    let (document, mistakes) = DeTable::parse_recoverable(text);
    for mistake in &mistakes {
        let line = mistake.span().map(|span| report.line_at(span.start));
        report.add_at(
            line,
            format!("this is not TOML: {}", mistake.message()),
            "Correct the line; texts stand in double quotes, see https://toml.io.",
        );
    }
    document
}

/// The files of `orgs_dir` with their texts.
fn org_files(
    tables: &Tables<'_>,
    folder: &Path,
    environment: &Environment,
    report: &mut Report<'_>,
) -> Vec<(PathBuf, String)> {
    let Some((section, written)) = tables
        .service
        .as_ref()
        .and_then(|table| Some((&table.section, table.orgs_dir.as_ref()?)))
        .filter(|(_, written)| !written.value.is_empty())
    else {
        return Vec::new();
    };
    let dir = folder.join(&written.value);
    let hint =
        "Name a folder that the user that runs orgpipe can read; each `*.toml` in it has `[[org]]` tables.";
    let cannot = |report: &mut Report<'_>, what: &Path, cause: &str| {
        let message = format!("names `{}`, which cannot be read: {cause}", what.display());
        section.problem(report, written.line, "orgs_dir", &message, hint);
    };
    let files = match environment.toml_files(&dir) {
        Ok(files) => files,
        Err(cause) => {
            cannot(report, &dir, &cause);
            return Vec::new();
        }
    };
    let mut texts = Vec::with_capacity(files.len());
    for file in files {
        match environment.read(&file, FILE_BYTES_MAX) {
            Ok(text) => texts.push((file, text)),
            Err(cause) => cannot(report, &file, &cause),
        }
    }
    texts
}

#[cfg(test)]
mod tests;
