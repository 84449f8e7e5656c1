//! Talking to the running service, which owns the store: its admin API.
//!
//! Here: the request, and why there was no answer. Not here: what is asked for (`refresh`, `org`, …).

use std::{net::SocketAddr, path::Path, process::ExitCode, time::Duration};

use reqwest::Method;
use serde_json::Value;
use url::Url;

use crate::{
    config::{self, Environment},
    output,
};

/// The service answers at once; what was asked of it goes on behind it. A replay first ends a poll under way.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error("there is no answer at http://{listen}")]
    NotRunning {
        listen: SocketAddr,
        #[source]
        cause: reqwest::Error,
    },
    #[error("{0}")]
    Refused(String),
}

/// What the service answered.
pub(super) struct Answer {
    /// The body.
    pub(super) body: Value,
    /// Where it listens.
    pub(super) listen: SocketAddr,
}

impl Answer {
    /// The text under a key; empty if there is none.
    pub(super) fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_default()
    }
}

/// Reads from the service of these settings; a failure is printed and comes back as the exit code.
pub(super) fn get(settings: &Path, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, ExitCode> {
    with(settings, async |running| {
        let body = running.ask(Method::GET, path, query).await?;
        Ok(Answer { body, listen: running.listen })
    })
}

/// Posts to the service of these settings; a failure is printed and comes back as the exit code.
pub(super) fn post(settings: &Path, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, ExitCode> {
    with(settings, async |running| {
        let body = running.post(path, query).await?;
        Ok(Answer { body, listen: running.listen })
    })
}

/// Talks to the service of these settings; a failure is printed and comes back as the exit code.
pub(super) fn with<T>(
    settings: &Path,
    talk: impl AsyncFnOnce(Running) -> Result<T, CommandError>,
) -> Result<T, ExitCode> {
    let config = config::load(settings, &Environment::of_process())
        .map_err(|problems| output::problems(settings, &problems))?;
    match actix_rt::System::new().block_on(talk(Running { listen: config.listen })) {
        Ok(done) => Ok(done),
        Err(error @ CommandError::NotRunning { .. }) => {
            Err(output::failure(&error, Some("Start the service first: orgpipe run --config FILE.")))
        }
        Err(error @ CommandError::Refused(_)) => Err(output::failure(&error, None)),
    }
}

/// The service that is to be running there.
pub(super) struct Running {
    /// Where it listens.
    pub(super) listen: SocketAddr,
}

impl Running {
    /// Reads something.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, CommandError> {
        self.ask(Method::GET, path, query).await
    }

    /// Gives a command.
    pub(super) async fn post(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, CommandError> {
        self.ask(Method::POST, path, query).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, CommandError> {
        let listen = self.listen;
        let unreachable =
            |cause: reqwest::Error| CommandError::NotRunning { listen, cause: cause.without_url() };
        let mut url = Url::parse(&format!("http://{listen}/"))
            .map_err(|cause| CommandError::Refused(cause.to_string()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(["api", "v1"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().map_err(unreachable)?;
        let reply = client.request(method, url).send().await.map_err(unreachable)?;
        let accepted = reply.status().is_success();
        let answer: Value = reply.json().await.map_err(unreachable)?;
        if accepted {
            return Ok(answer);
        }
        let text = |key: &str| answer[key].as_str().unwrap_or_default();
        let mut refusal = format!("{}. {}", text("error"), text("hint"));
        for problem in answer["problems"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            refusal.push('\n');
            refusal.push_str(problem);
        }
        Err(CommandError::Refused(refusal))
    }
}
