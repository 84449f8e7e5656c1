//! `orgpipe tokens ACTION`: the tokens by which the running service knows who asks.
//!
//! Here: which questions, and how an answer looks. Not here: what a token is (`admin`).

use std::{path::Path, process::ExitCode};

use chrono::DateTime;
use orgpipe_actors::clock::Clock;
use orgpipe_store::Store;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::running;
use crate::{
    admin::{self, FirstToken, TokenError},
    cli::{TokensAction, TokensAddArgs, TokensArgs},
    output,
};

/// Does what was asked for.
pub(crate) fn run(args: &TokensArgs) -> ExitCode {
    let done = match &args.action {
        TokensAction::Add(args) => add(args),
        TokensAction::List(args) => running::get(&args.service, &["tokens"], &[]).map(|answer| {
            let tokens = answer.body["tokens"].as_array().into_iter().flatten();
            tokens.for_each(|token| output::line(&line(token)));
        }),
        TokensAction::Revoke(args) => {
            let revoked = running::post(&args.service, &["tokens", &args.name, "revoke"], &[]);
            revoked.map(|_| output::line(&format!("the token {} is revoked", args.name)))
        }
        TokensAction::Reset(args) => reset(&args.data_dir),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit,
    }
}

fn add(args: &TokensAddArgs) -> Result<(), ExitCode> {
    let body = json!({ "name": args.name, "role": args.role });
    let made = running::with(&args.service, async |running| running.send(&["tokens"], &body).await)?;
    // Alone on its line, so that a script takes it as it is.
    output::line(made["token"].as_str().unwrap_or_default());
    Ok(())
}

fn line(token: &Value) -> String {
    let text = |key: &str| output::part(token[key].as_str().unwrap_or_default());
    let made = token["created_ms"].as_i64().and_then(DateTime::from_timestamp_millis);
    let made = made.map(|at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
    format!("{made}  {:<8} {}", text("role"), text("name"))
}

fn reset(data_dir: &Path) -> Result<(), ExitCode> {
    let failed = |error: &TokenError| output::failure(error, error.hint().as_deref());
    let store = Store::open_existing(data_dir).map_err(|error| failed(&error.into()))?;
    let made = actix_rt::System::new().block_on(async {
        let made = admin::reset(&store, data_dir, Clock::start().now_ms()).await?;
        store.close().await?;
        Ok(made)
    });
    let FirstToken { secret, file, unwritten } = made.map_err(|error| failed(&error))?;
    output::line(secret.expose_secret());
    let file = file.display();
    let gone = "All tokens before are revoked.";
    output::line(&match unwritten {
        None => format!("{gone} This one, of the role admin, is also in {file}."),
        Some(cause) => format!(
            "{gone} Keep this one, of the role admin: it could not be written to {file}, because {cause}."
        ),
    });
    Ok(())
}
