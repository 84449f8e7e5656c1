//! Secrets that a variable or a file holds: `key_env` or `key_file`, and the like.
//!
//! Here: the choice between the two keys, reading, checking, and who else can read the file. Not here: which flow needs which
//! secret (`login`), the environment itself (`secrets`).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use orgpipe_salesforce::oauth::{check_key, error::LoginError};
use secrecy::{ExposeSecret, SecretString};

use crate::config::{
    reader::{Section, Written},
    report::Report,
    secrets::{Environment, SecretProblem, one_word, pem},
};

/// What a secret is for, which says how it has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Signs assertions.
    PrivateKey,
    /// What Salesforce gave out: a consumer secret, a refresh token.
    Word,
}

/// The keys that may name one secret, as they are written.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) kind: Kind,
    pub(super) env: (&'static str, Option<&'a Written<String>>),
    pub(super) file: (&'static str, Option<&'a Written<String>>),
    /// What to do if neither is there.
    pub(super) missing: &'static str,
}

/// Why a secret is of no use; what, and what to do.
#[derive(Clone, Debug)]
struct Unusable {
    message: String,
    hint: String,
}

impl From<SecretProblem> for Unusable {
    fn from(problem: SecretProblem) -> Self {
        Self { message: problem.to_string(), hint: problem.hint() }
    }
}

/// Files that were read for earlier orgs: thousands of them share one.
#[derive(Debug, Default)]
pub(super) struct SecretFiles {
    read: BTreeMap<(PathBuf, Kind), Result<SecretString, Unusable>>,
}

impl Named<'_> {
    /// Whether one of the keys is there.
    pub(super) fn is_written(&self, section: &Section<'_>) -> bool {
        stands(section, self.env) || stands(section, self.file)
    }
}

/// Whether the key is there; an empty text is as if it were not.
fn stands(section: &Section<'_>, (key, written): (&str, Option<&Written<String>>)) -> bool {
    section.has(key) && written.is_none_or(|written| !written.value.is_empty())
}

/// The secret; what keeps it from being used goes to the report.
pub(super) fn credential(
    section: &Section<'_>,
    named: Named<'_>,
    folder: &Path,
    environment: &Environment,
    files: &mut SecretFiles,
    report: &mut Report<'_>,
) -> Option<SecretString> {
    let ((env, variable), (file, path)) = (named.env, named.file);
    match (stands(section, named.env), stands(section, named.file)) {
        (true, true) => {
            let message = format!("stands beside `{file}`");
            section.problem(report, section.line, env, &message, "Keep one of the two.");
            None
        }
        (false, true) => {
            let written = path?;
            if written.value.contains("-----BEGIN") || written.value.contains('\n') {
                let message = "holds a key where a path is expected";
                let hint = "Secrets do not stand in this file: move the key to a file, and change the key pair if others saw it.";
                section.problem(report, written.line, file, message, hint);
                return None;
            }
            let path = folder.join(&written.value);
            if !files.read.contains_key(&(path.clone(), named.kind)) {
                warn_if_open(section, file, written.line, &path, environment, report);
            }
            let secret = files.read.entry((path, named.kind)).or_insert_with(|| {
                let text = environment.secret_file(folder, &written.value).map_err(Unusable::from);
                text.and_then(|text| checked(named.kind, text, environment))
            });
            secret
                .clone()
                .map_err(|why| section.problem(report, written.line, file, &why.message, why.hint))
                .ok()
        }
        (_, false) => {
            let written = section.demand(report, env, variable, named.missing)?;
            let secret = environment.variable(&written.value).map_err(Unusable::from);
            let secret = secret.and_then(|text| checked(named.kind, text, environment));
            secret.map_err(|why| section.problem(report, written.line, env, &why.message, why.hint)).ok()
        }
    }
}

/// Whoever reads a private key or a refresh token can do in the org what we can.
fn warn_if_open(
    section: &Section<'_>,
    key: &str,
    line: usize,
    path: &Path,
    environment: &Environment,
    report: &mut Report<'_>,
) {
    if let Some(mode) = environment.mode_for_others(path) {
        let path = path.display();
        let message =
            format!("names `{path}`, which others on this machine can read or change (mode {mode:o})");
        section.warn(
            report,
            line,
            key,
            &message,
            format!("Run `chmod 600 {path}` as the user that runs orgpipe."),
        );
    }
}

fn checked(kind: Kind, text: SecretString, environment: &Environment) -> Result<SecretString, Unusable> {
    match kind {
        // Something stands for it.
        Kind::PrivateKey if !environment.looks() => Ok(text),
        Kind::Word => Ok(one_word(text)?),
        Kind::PrivateKey => {
            let key = pem(&text);
            match check_key(key.expose_secret()) {
                Ok(()) => Ok(key),
                Err(problem) => {
                    let message = match &problem {
                        LoginError::Key { what } => {
                            format!("names a private key that cannot be used: {what}")
                        }
                        other => other.to_string(),
                    };
                    Err(Unusable { message, hint: problem.hint().unwrap_or_default() })
                }
            }
        }
    }
}
