//! `auth = { … }`: from an operator's keys to a [`Login`].
//!
//! Here: which keys go with which flow, and a first try that asks nobody. Not here: fetching and checking the secrets
//! (`credential`), the flows (`salesforce::oauth`).

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::Path,
};

use orgpipe_salesforce::oauth::{Flow, Login, error::LoginError, login_host, refusal::Grant};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    credential::{Kind, Named, SecretFiles, credential},
    value::url,
};
use crate::config::{
    contents::ConnectApp,
    reader::{Section, Written},
    report::{Report, closest},
    secrets::Environment,
    tables::AuthTable,
};

/// The flows, each with the keys that mean something to it beside the client ID.
const FLOWS: [(&str, &[&str]); 4] = [
    ("jwt", &["username", "key_file", "key_env", "audience"]),
    ("client_credentials", &["client_secret_env", "client_secret_file"]),
    (
        "refresh_token",
        &["client_secret_env", "client_secret_file", "refresh_token_env", "refresh_token_file"],
    ),
    (WEB_SERVER, &[]),
];

/// The flow of customers who connect their orgs themselves; its app stands in `[connect]`.
const WEB_SERVER: &str = "web_server";

/// What earlier orgs brought to light: thousands of them share a key file and a host.
#[derive(Debug, Default)]
pub(super) struct Known {
    files: SecretFiles,
    /// By host and kind of flow: why nobody can log in there.
    trials: BTreeMap<(String, Grant), Option<LoginError>>,
}

/// Where an org logs in, and where its secrets come from.
pub(super) struct LoginSources<'a> {
    pub(super) folder: &'a Path,
    pub(super) environment: &'a Environment,
    pub(super) login_url: Url,
    pub(super) instance_hosts: Vec<String>,
    pub(super) connect: Option<&'a ConnectApp>,
}

/// The login, and a text that is the same for two logins into one org as one user, if that can be told.
pub(super) fn resolve(
    table: &AuthTable<'_>,
    sources: LoginSources<'_>,
    known: &mut Known,
    report: &mut Report<'_>,
) -> Option<(Login, Option<String>)> {
    let section = &table.section;
    let hint = "Write `flow = \"jwt\"`, \"client_credentials\", \"refresh_token\" or \"web_server\".";
    let flow = section.demand(report, "flow", table.flow.as_ref(), hint)?;
    let Some((name, keys)) = FLOWS.into_iter().find(|(name, _)| *name == flow.value) else {
        let hint = match closest(&flow.value, FLOWS.map(|(name, _)| name)) {
            Some(meant) => format!("Did you mean \"{meant}\"?"),
            None => {
                "Write \"jwt\" (recommended), \"client_credentials\", \"refresh_token\" or \"web_server\"."
                    .to_owned()
            }
        };
        let message = format!("is `{}`, which is no login flow", flow.value);
        section.problem(report, flow.line, "flow", &message, hint);
        return None;
    };
    refuse(section, name, keys, report);
    if name == WEB_SERVER {
        let login = by_consent(section, flow.line, sources, report)?;
        return Some((login, None));
    }
    let client_id = client_id(table, sources.environment, report);
    let mut secret = |named: Named<'_>, report: &mut Report<'_>| {
        credential(section, named, sources.folder, sources.environment, &mut known.files, report)
    };
    let flow = match name {
        "jwt" => {
            let username = username(table, report);
            let key_pem = secret(key(table), report);
            let audience = table.audience.as_ref().map(|written| audience(section, written, report));
            Flow::Jwt {
                client_id: client_id?,
                username: username?,
                key_pem: key_pem?,
                audience: match audience {
                    Some(audience) => Some(audience?),
                    None => None,
                },
            }
        }
        "client_credentials" => {
            let client_secret = secret(client_secret(table), report);
            Flow::ClientCredentials { client_id: client_id?, client_secret: client_secret? }
        }
        _ => {
            // An app without a secret is a public one.
            let client_secret = match client_secret(table) {
                named if named.is_written(section) => secret(named, report).map(Some),
                _ => Some(None),
            };
            let refresh_token = secret(refresh_token(table), report);
            Flow::RefreshToken {
                client_id: client_id?,
                client_secret: client_secret?,
                refresh_token: Some(refresh_token?),
            }
        }
    };
    let login = Login { login_url: sources.login_url, flow, instance_hosts: sources.instance_hosts };
    // A trial that asks nobody. It signs, which takes a millisecond, so orgs that share host and flow share it.
    let trial = known.trials.entry((login.host().to_owned(), login.grant()));
    let looks = sources.environment.looks();
    let of_key = |problem: &LoginError| matches!(problem, LoginError::Key { .. });
    match trial.or_insert_with(|| login.call(0).err().filter(|problem| looks || !of_key(problem))) {
        None => {
            // Where something stands for the secrets, they are all the same.
            let tells = looks || matches!(login.flow, Flow::Jwt { .. });
            let identity = tells.then(|| identity(&login));
            Some((login, identity))
        }
        Some(problem) => {
            section.say(report, section.line, &problem.to_string(), hint_for(&login.login_url, problem));
            None
        }
    }
}

/// The login of an org that a customer connects: with the app of `[connect]`, and a token that is not here.
fn by_consent(
    section: &Section<'_>,
    line: usize,
    sources: LoginSources<'_>,
    report: &mut Report<'_>,
) -> Option<Login> {
    for key in ["client_id", "client_id_env"].into_iter().filter(|key| section.has(key)) {
        let message = format!("means nothing to the flow `{WEB_SERVER}`");
        section.problem(
            report,
            section.line,
            key,
            &message,
            "Write it into `[connect]`: all orgs have one app.",
        );
    }
    let Some(ConnectApp { client_id, client_secret }) = sources.connect else {
        let hint = "Write `[connect]` with `base_url` and the app's `client_id`.";
        section.problem(report, line, "flow", "is `web_server`, and there is no usable `[connect]`", hint);
        return None;
    };
    let (client_id, client_secret) = (client_id.clone(), client_secret.clone());
    let flow = Flow::RefreshToken { client_id, client_secret, refresh_token: None };
    Some(Login { login_url: sources.login_url, flow, instance_hosts: sources.instance_hosts })
}

/// Two logins with the same text lead into one org as one user.
fn identity(login: &Login) -> String {
    let who = match &login.flow {
        Flow::Jwt { username, .. } => username.to_lowercase(),
        Flow::ClientCredentials { client_id, .. } => client_id.clone(),
        // One app serves many orgs; only the token says which.
        Flow::RefreshToken { refresh_token, .. } => {
            let mut mark = DefaultHasher::new();
            refresh_token.as_ref().map(ExposeSecret::expose_secret).hash(&mut mark);
            format!("{:016x}", mark.finish())
        }
    };
    format!("{} {who}", login.login_url)
}

/// What to do about a host that nobody can log in at; the right one follows from what people copy from their browser.
fn hint_for(login_url: &Url, problem: &LoginError) -> String {
    match login_host::correct(login_url.as_str()) {
        Ok(meant) if meant.host_str() != login_url.host_str() => {
            format!("Write `login_url = \"{}\"`.", meant.as_str().trim_end_matches('/'))
        }
        Ok(_) | Err(_) => problem.hint().unwrap_or_default(),
    }
}

fn refuse(section: &Section<'_>, flow: &str, keys: &[&str], report: &mut Report<'_>) {
    let mut refused = Vec::new();
    for key in FLOWS.into_iter().flat_map(|(_, keys)| keys) {
        if keys.contains(key) || refused.contains(key) || !section.has(key) {
            continue;
        }
        refused.push(*key);
        let flows = FLOWS.into_iter().filter(|(_, keys)| keys.contains(key)).map(|(name, _)| name);
        let hint = format!("Remove it, or choose the flow {}.", flows.collect::<Vec<_>>().join(" or "));
        section.problem(report, section.line, key, &format!("means nothing to the flow `{flow}`"), hint);
    }
}

fn key<'a>(table: &'a AuthTable<'_>) -> Named<'a> {
    Named {
        kind: Kind::PrivateKey,
        env: ("key_env", table.key_env.as_ref()),
        file: ("key_file", table.key_file.as_ref()),
        missing: "Name the file of the private key as `key_file`, or a variable that holds it: `key_env`.",
    }
}

fn client_secret<'a>(table: &'a AuthTable<'_>) -> Named<'a> {
    app_secret(table.client_secret_env.as_ref(), table.client_secret_file.as_ref())
}

/// `client_secret_env` or `client_secret_file`, as they are written.
pub(super) fn app_secret<'a>(
    env: Option<&'a Written<String>>,
    file: Option<&'a Written<String>>,
) -> Named<'a> {
    Named {
        kind: Kind::Word,
        env: ("client_secret_env", env),
        file: ("client_secret_file", file),
        missing: "Name the environment variable that holds the consumer secret, or its file: `client_secret_file`.",
    }
}

fn refresh_token<'a>(table: &'a AuthTable<'_>) -> Named<'a> {
    Named {
        kind: Kind::Word,
        env: ("refresh_token_env", table.refresh_token_env.as_ref()),
        file: ("refresh_token_file", table.refresh_token_file.as_ref()),
        missing: "Name the file of the refresh token as `refresh_token_file`, or a variable that holds it: \
                  `refresh_token_env`.",
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
