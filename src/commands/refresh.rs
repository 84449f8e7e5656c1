//! `orgpipe refresh ORG`: asks the running service, which owns the store, to read all records of an org again.

use std::{process::ExitCode, time::Duration};

use serde_json::Value;
use url::Url;

use crate::{
    cli::RefreshArgs,
    config::{self, Environment},
    output,
};

/// The service answers at once; the refresh itself goes on behind it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why no refresh was begun.
#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error("there is no answer at http://{listen}")]
    NotRunning {
        listen: std::net::SocketAddr,
        #[source]
        cause: reqwest::Error,
    },
    #[error("{0}")]
    Refused(String),
}

/// Asks for a refresh and prints what was begun.
pub(crate) fn run(args: &RefreshArgs) -> ExitCode {
    let config = match config::load(&args.config, &Environment::of_process()) {
        Ok(config) => config,
        Err(problems) => return output::problems(&args.config, &problems),
    };
    match actix_rt::System::new().block_on(ask(config.listen, args)) {
        Ok(syncs) => {
            output::line(&format!(
                "org {}: refresh of {syncs} begun; status on http://{}",
                args.org, config.listen
            ));
            ExitCode::SUCCESS
        }
        Err(error @ RefreshError::NotRunning { .. }) => {
            output::failure(&error, Some("Start the service first: orgpipe run --config FILE."))
        }
        Err(error @ RefreshError::Refused(_)) => output::failure(&error, None),
    }
}

async fn ask(listen: std::net::SocketAddr, args: &RefreshArgs) -> Result<String, RefreshError> {
    let unreachable = |cause| RefreshError::NotRunning { listen, cause };
    let mut url =
        Url::parse(&format!("http://{listen}/")).map_err(|cause| RefreshError::Refused(cause.to_string()))?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().extend(["api", "v1", "orgs", &args.org, "refresh"]);
    }
    if let Some(sync) = &args.sync {
        url.query_pairs_mut().append_pair("sync", sync);
    }
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().map_err(unreachable)?;
    let reply = client.post(url).send().await.map_err(|cause| unreachable(cause.without_url()))?;
    let accepted = reply.status().is_success();
    let answer: Value = reply.json().await.map_err(|cause| unreachable(cause.without_url()))?;
    if accepted {
        let names = answer["syncs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        return Ok(names.collect::<Vec<_>>().join(", "));
    }
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    Err(RefreshError::Refused(format!("{}. {}", text("error"), text("hint"))))
}
