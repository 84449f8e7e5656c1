//! `auth = { … }`: from an operator's keys to a [`Login`].
//!
//! Here: which keys go with which flow, fetching and checking the secrets. Not here: the flows (`salesforce::oauth`).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use orgpipe_salesforce::oauth::{Flow, Login, check_key, error::LoginError};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::value::url;
use crate::config::{
    reader::{Section, Written},
    report::{Report, closest},
    secrets::{Environment, SecretProblem},
    tables::AuthTable,
};

/// Keys of the JWT flow alone.
const JWT_ONLY: [&str; 4] = ["username", "key_file", "key_env", "audience"];
/// Keys of the client credentials flow alone.
const CLIENT_CREDENTIALS_ONLY: [&str; 1] = ["client_secret_env"];

/// What earlier orgs brought to light: thousands of them share a key file and a host.
#[derive(Debug, Default)]
pub(super) struct Known {
    key_files: BTreeMap<PathBuf, Result<SecretString, KeyProblem>>,
    /// By host, and whether the flow is JWT: why nobody can log in there.
    trials: BTreeMap<(String, bool), Option<LoginError>>,
}

/// Why a key is of no use; what, and what to do.
#[derive(Clone, Debug)]
struct KeyProblem {
    message: String,
    hint: String,
}

/// Where an org logs in, and where its secrets come from.
pub(super) struct LoginSources<'a> {
    pub(super) folder: &'a Path,
    pub(super) environment: &'a Environment,
    pub(super) login_url: Url,
}

/// The login, and a text that is the same for two logins into one org as one user.
pub(super) fn resolve(
    table: &AuthTable<'_>,
    sources: LoginSources<'_>,
    known: &mut Known,
    report: &mut Report<'_>,
) -> Option<(Login, String)> {
    let section = &table.section;
    let hint = "Write `flow = \"jwt\"` or `flow = \"client_credentials\"`.";
    let flow = section.demand(report, "flow", table.flow.as_ref(), hint)?;
    let flow = match flow.value.as_str() {
        "jwt" => {
            refuse(section, &CLIENT_CREDENTIALS_ONLY, "jwt", report);
            let client_id = client_id(table, sources.environment, report);
            let username = username(table, report);
            let key = key(table, &sources, known, report);
            let audience = table.audience.as_ref().map(|written| audience(section, written, report));
            Flow::Jwt {
                client_id: client_id?,
                username: username?,
                key_pem: key?,
                audience: match audience {
                    Some(audience) => Some(audience?),
                    None => None,
                },
            }
        }
        "client_credentials" => {
            refuse(section, &JWT_ONLY, "client_credentials", report);
            let client_id = client_id(table, sources.environment, report);
            let client_secret = variable(
                section,
                "client_secret_env",
                table.client_secret_env.as_ref(),
                "Name the environment variable that holds the consumer secret.",
                sources.environment,
                report,
            );
            Flow::ClientCredentials { client_id: client_id?, client_secret: client_secret? }
        }
        other => {
            let hint = match closest(other, ["jwt", "client_credentials"]) {
                Some(meant) => format!("Did you mean \"{meant}\"?"),
                None => "Write \"jwt\" (recommended) or \"client_credentials\".".to_owned(),
            };
            section.problem(
                report,
                flow.line,
                "flow",
                &format!("is `{other}`, which is no login flow"),
                hint,
            );
            return None;
        }
    };
    let user = match &flow {
        Flow::Jwt { username, .. } => username.to_lowercase(),
        Flow::ClientCredentials { client_id, .. } | Flow::RefreshToken { client_id, .. } => client_id.clone(),
    };
    let login = Login { login_url: sources.login_url, flow, instance_hosts: Vec::new() };
    let identity = format!("{} {user}", login.login_url);
    // A trial that asks nobody. It signs, which takes a millisecond, so orgs that share host and flow share it.
    let sources = (login.host().to_owned(), matches!(login.flow, Flow::Jwt { .. }));
    let refused = known.trials.entry(sources).or_insert_with(|| login.call(0).err());
    match refused {
        None => Some((login, identity)),
        Some(problem) => {
            section.say(report, section.line, &problem.to_string(), problem.hint().unwrap_or_default());
            None
        }
    }
}

fn refuse(section: &Section<'_>, keys: &[&str], flow: &str, report: &mut Report<'_>) {
    for key in keys.iter().filter(|key| section.has(key)) {
        let message = format!("means nothing to the flow `{flow}`");
        section.problem(report, section.line, key, &message, "Remove it, or choose the other flow.");
    }
}

fn client_id(table: &AuthTable<'_>, environment: &Environment, report: &mut Report<'_>) -> Option<String> {
    let section = &table.section;
    let hint = "Write the consumer key of the external client app as `client_id`, or name a variable: `client_id_env`.";
    match (section.has("client_id"), section.has("client_id_env")) {
        (true, true) => {
            section.problem(
                report,
                section.line,
                "client_id_env",
                "stands beside `client_id`",
                "Keep one of the two.",
            );
            None
        }
        (true, false) => {
            let written = table.client_id.as_ref()?;
            if written.value.trim().is_empty() {
                section.problem(report, written.line, "client_id", "is empty", hint);
                return None;
            }
            Some(written.value.trim().to_owned())
        }
        (false, _) => {
            variable(section, "client_id_env", table.client_id_env.as_ref(), hint, environment, report)
                .map(|id| id.expose_secret().to_owned())
        }
    }
}

fn username(table: &AuthTable<'_>, report: &mut Report<'_>) -> Option<String> {
    let section = &table.section;
    let hint = "Write the Salesforce user orgpipe works as, such as `username = \"sync@acme.com\"`.";
    let written = section.demand(report, "username", table.username.as_ref(), hint)?;
    let text = written.value.trim();
    if text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()) {
        return Some(text.to_owned());
    }
    section.problem(
        report,
        written.line,
        "username",
        "is no user name of Salesforce: they look like e-mail addresses",
        hint,
    );
    None
}

fn audience(section: &Section<'_>, written: &Written<String>, report: &mut Report<'_>) -> Option<String> {
    url(section, report, "audience", written)?;
    // As written: Salesforce compares the text, and a parsed URL would have gained a slash.
    Some(written.value.clone())
}

fn key(
    table: &AuthTable<'_>,
    sources: &LoginSources<'_>,
    known: &mut Known,
    report: &mut Report<'_>,
) -> Option<SecretString> {
    let section = &table.section;
    let hint = "Name the file of the private key as `key_file`, or a variable that holds it: `key_env`.";
    match (section.has("key_file"), section.has("key_env")) {
        (true, true) => {
            section.problem(
                report,
                section.line,
                "key_env",
                "stands beside `key_file`",
                "Keep one of the two.",
            );
            None
        }
        (true, false) => {
            let written = table.key_file.as_ref()?;
            if written.value.contains("-----BEGIN") || written.value.contains('\n') {
                let message = "holds a key where a path is expected";
                let hint = "Secrets do not stand in this file: move the key to a file, and change the key pair if others saw it.";
                section.problem(report, written.line, "key_file", message, hint);
                return None;
            }
            let path = sources.folder.join(&written.value);
            let key =
                known.key_files.entry(path).or_insert_with_key(|path| read_key(sources.environment, path));
            match key {
                Ok(key) => Some(key.clone()),
                Err(KeyProblem { message, hint }) => {
                    section.problem(report, written.line, "key_file", message, hint.clone());
                    None
                }
            }
        }
        (false, _) => {
            let key =
                variable(section, "key_env", table.key_env.as_ref(), hint, sources.environment, report)?;
            match check_key(key.expose_secret()) {
                Ok(()) => Some(key),
                Err(problem) => {
                    let KeyProblem { message, hint } = unusable(&problem);
                    section.problem(report, section.line, "key_env", &message, hint);
                    None
                }
            }
        }
    }
}

fn read_key(environment: &Environment, path: &Path) -> Result<SecretString, KeyProblem> {
    let key = environment.key_file(path).map_err(|problem: SecretProblem| KeyProblem {
        message: problem.to_string(),
        hint: problem.hint(),
    })?;
    match check_key(key.expose_secret()) {
        Ok(()) => Ok(key),
        Err(problem) => Err(unusable(&problem)),
    }
}

fn unusable(problem: &LoginError) -> KeyProblem {
    let message = match problem {
        LoginError::Key { what } => format!("names a private key that cannot be used: {what}"),
        other => other.to_string(),
    };
    KeyProblem { message, hint: problem.hint().unwrap_or_default() }
}

/// The value of the variable that `key` names.
fn variable(
    section: &Section<'_>,
    key: &str,
    written: Option<&Written<String>>,
    missing_hint: &str,
    environment: &Environment,
    report: &mut Report<'_>,
) -> Option<SecretString> {
    let written = section.demand(report, key, written, missing_hint)?;
    match environment.variable(&written.value) {
        Ok(value) => Some(value),
        Err(problem) => {
            section.problem(report, written.line, key, &problem.to_string(), problem.hint());
            None
        }
    }
}
