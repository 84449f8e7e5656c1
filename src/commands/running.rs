//! Talking to the running service, which owns the store: its admin API.
//!
//! Here: the request, and why there was no answer. Not here: what is asked for (`refresh`, `org`, …).

use std::{error::Error, io, process::ExitCode, time::Duration};

use reqwest::{Certificate, Client, Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use crate::{cli::ServiceArgs, config::Environment, output};

/// The service answers at once; what was asked of it goes on behind it. A replay first ends a poll under way.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A command about many dead letters is as many commits.
const COMMAND: Duration = Duration::from_mins(5);
/// An examination of an org takes as long as its 20 calls do.
const EXAMINATION: Duration = Duration::from_mins(5);

/// A preview: the service gives up after two minutes.
const PREVIEW: Duration = Duration::from_secs(150);

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error("there is no token to ask the service with: {0}")]
    NoToken(String),
    #[error("the file `{file}` of `--ca-file` {what}")]
    Authority { file: String, what: String },
    #[error("there is no answer at {url}")]
    NotRunning {
        url: String,
        #[source]
        cause: reqwest::Error,
    },
    #[error("the certificate of {url} is not trusted: {what}")]
    NotTrusted { url: String, what: String },
    #[error("what answers at {url} is no orgpipe (status {status})")]
    NotOrgpipe { url: String, status: u16 },
    #[error("the service at {url} does not know the token of {from}")]
    WrongToken { url: String, from: String },
    #[error("{text}")]
    Refused { status: u16, text: String, hint: String },
    #[error("{what}")]
    NotInTime { what: String, hint: String },
}

impl CommandError {
    /// Whether the same question may have an answer soon: nobody was there, or the service or a proxy in between has trouble.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::NotRunning { .. } => true,
            Self::NotOrgpipe { status, .. } | Self::Refused { status, .. } => {
                *status >= StatusCode::INTERNAL_SERVER_ERROR.as_u16()
            }
            Self::NoToken(_)
            | Self::Authority { .. }
            | Self::NotTrusted { .. }
            | Self::WrongToken { .. }
            | Self::NotInTime { .. } => false,
        }
    }

    /// What to do about it.
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoToken(_) => {
                "The first token is in the file `data.token` beside the service's data directory: name it with `--token-file`. \
                 `orgpipe tokens add` makes more."
                    .to_owned()
            }
            Self::Authority { .. } => "It must be PEM: `-----BEGIN CERTIFICATE-----`.".to_owned(),
            Self::NotRunning { .. } => {
                "Start the service first (`orgpipe run --config FILE`), or name where it answers with `--url`.".to_owned()
            }
            Self::NotTrusted { .. } => {
                "Name the certificate of your own authority with `--ca-file`, and ask by a name that stands in the service's \
                 certificate."
                    .to_owned()
            }
            Self::NotOrgpipe { .. } => "Name where the service answers with `--url`.".to_owned(),
            Self::WrongToken { .. } => {
                "It was revoked, or it is of another service. If all tokens are lost, stop the service and make a new one with \
                 `orgpipe tokens reset --data-dir FOLDER`."
                    .to_owned()
            }
            Self::NotInTime { hint, .. } => hint.clone(),
            Self::Refused { hint, .. } => return Some(hint.clone()).filter(|hint| !hint.is_empty()),
        })
    }
}

/// What the service answered.
pub(super) struct Answer {
    /// The body.
    pub(super) body: Value,
    /// Where it answers.
    pub(super) url: String,
}

impl Answer {
    /// The text under a key; empty if there is none.
    pub(super) fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_default()
    }
}

/// Reads from the service; a failure is printed and comes back as the exit code.
pub(super) fn get(service: &ServiceArgs, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, ExitCode> {
    with(service, async |running| {
        let body = running.get(path, query).await?;
        Ok(Answer { body, url: running.url() })
    })
}

/// Gives the service a command; a failure is printed and comes back as the exit code.
pub(super) fn post(service: &ServiceArgs, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, ExitCode> {
    with(service, async |running| {
        let body = running.post(path, query).await?;
        Ok(Answer { body, url: running.url() })
    })
}

/// Talks to the service; a failure is printed and comes back as the exit code.
pub(super) fn with<T>(
    service: &ServiceArgs,
    talk: impl AsyncFnOnce(Running) -> Result<T, CommandError>,
) -> Result<T, ExitCode> {
    let talked = Running::new(service, &Environment::of_process())
        .and_then(|running| actix_rt::System::new().block_on(talk(running)));
    talked.map_err(|error| output::failure(&error, error.hint().as_deref()))
}

/// The service that is to be running there.
pub(super) struct Running {
    client: Client,
    base: Url,
    token: SecretString,
    /// Where the token comes from.
    from: String,
}

impl Running {
    fn new(service: &ServiceArgs, environment: &Environment) -> Result<Self, CommandError> {
        let (token, from) = environment.service_token(&service.token_file).map_err(CommandError::NoToken)?;
        let mut client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        if let Some(file) = &service.ca_file {
            let wrong = |what: String| CommandError::Authority { file: file.display().to_string(), what };
            let text = environment.certificates(file);
            let text = text.map_err(|cause| wrong(format!("cannot be read: {cause}")))?;
            let authorities = Certificate::from_pem_bundle(text.as_bytes());
            let authorities = authorities.ok().filter(|authorities| !authorities.is_empty());
            let authorities =
                authorities.ok_or_else(|| wrong("has no certificate that can be read".to_owned()))?;
            client = client.tls_certs_merge(authorities);
        }
        let base = service.url.clone();
        let client = client.build().map_err(|cause| CommandError::NotRunning { url: shown(&base), cause })?;
        Ok(Self { client, base, token, from })
    }

    /// Where it answers, without a `/` at the end.
    pub(super) fn url(&self) -> String {
        shown(&self.base)
    }

    /// Reads something.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, CommandError> {
        self.ask(Method::GET, path, query, (None, &[]), TIMEOUT).await
    }

    /// Gives a command.
    pub(super) async fn post(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, CommandError> {
        self.ask(Method::POST, path, query, (None, &[]), COMMAND).await
    }

    /// Gives a command with a body.
    pub(super) async fn send(&self, path: &[&str], body: &Value) -> Result<Value, CommandError> {
        self.send_with(path, body, &[]).await
    }

    /// The same with headers.
    pub(super) async fn send_with(
        &self,
        path: &[&str],
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Result<Value, CommandError> {
        self.ask(Method::POST, path, &[], (Some(body), headers), TIMEOUT).await
    }

    /// Has an org examined.
    pub(super) async fn examine(&self, org: &str) -> Result<Value, CommandError> {
        self.ask(Method::POST, &["orgs", org, "doctor"], &[], (None, &[]), EXAMINATION).await
    }

    /// Has records of an org looked at.
    pub(super) async fn preview(&self, org: &str, body: &Value) -> Result<Value, CommandError> {
        self.ask(Method::POST, &["orgs", org, "preview"], &[], (Some(body), &[]), PREVIEW).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        (body, headers): (Option<&Value>, &[(&str, &str)]),
        timeout: Duration,
    ) -> Result<Value, CommandError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.client.request(method, url).timeout(timeout);
        let request = request.bearer_auth(self.token.expose_secret());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = if let Some(body) = body { request.json(body) } else { request };
        let reply = request.send().await.map_err(|cause| self.unreachable(cause))?;
        let status = reply.status();
        let not_orgpipe = || CommandError::NotOrgpipe { url: self.url(), status: status.as_u16() };
        let answer: Value = reply.json().await.map_err(|_| not_orgpipe())?;
        if status.is_success() {
            return Ok(answer);
        }
        // What orgpipe refuses it says so.
        let [error, hint] = ["error", "hint"].map(|key| answer[key].as_str().map(str::to_owned));
        let (Some(error), Some(hint)) = (error, hint) else { return Err(not_orgpipe()) };
        if status == StatusCode::UNAUTHORIZED {
            return Err(CommandError::WrongToken { url: self.url(), from: self.from.clone() });
        }
        let problems = answer["problems"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let lines: Vec<String> = [error].into_iter().chain(problems.map(str::to_owned)).collect();
        Err(CommandError::Refused { status: status.as_u16(), text: lines.join("\n"), hint })
    }

    fn unreachable(&self, cause: reqwest::Error) -> CommandError {
        match not_trusted(&cause) {
            Some(what) => CommandError::NotTrusted { url: self.url(), what },
            None => CommandError::NotRunning { url: self.url(), cause: cause.without_url() },
        }
    }
}

fn shown(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// What is wrong with the service's certificate, if that is the cause.
fn not_trusted(cause: &reqwest::Error) -> Option<String> {
    let mut next: Option<&(dyn Error + 'static)> = cause.source();
    while let Some(error) = next {
        if let Some(tls @ rustls::Error::InvalidCertificate(_)) = tls_error(error) {
            return Some(tls.to_string());
        }
        next = error.source();
    }
    None
}

/// What an error of `io` carries is not its source, and it may carry another one.
fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => tls_error(io.get_ref()?),
        None => error.downcast_ref::<rustls::Error>(),
    }
}
