//! How requests reach Salesforce: over HTTP, or in tests to an org that is made up.
//!
//! Here: the seam below the client. Not here: what is sent (`orgpipe_salesforce`), when (`client`, `capture/cometd.rs`).

use std::{fmt::Debug, time::Duration};

use futures_util::future::{FutureExt as _, LocalBoxFuture};
use orgpipe_salesforce::{
    call::{Call, Reply},
    cometd::{Answer, Failure},
    failure::CallError,
    http::{HttpClient, LoginReply},
    oauth::{Login, Token, error::LoginError},
};
use secrecy::SecretString;

/// Takes pieces of a large answer.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), CallError>;

/// One message of the event subscription.
#[derive(Debug)]
pub(crate) struct Post<'a> {
    /// Suffix of the endpoint's path.
    pub suffix: &'a str,
    /// The message as JSON.
    pub message: String,
    /// The session's cookies, as one header.
    pub cookies: Option<&'a str>,
    /// The answer begins within this time.
    pub begin_within: Duration,
}

/// A login's answer.
#[derive(Debug)]
pub(crate) struct LoginAnswer {
    /// What it gave.
    pub token: Result<Token, LoginError>,
    /// The refresh token to use next, if one came with it, whatever else is wrong with the answer.
    pub refresh_token: Option<SecretString>,
    /// Its header `Date`, if there was an answer.
    pub date: Option<String>,
}

/// The way to an org's hosts.
pub(crate) trait Transport: Debug + Send + Sync {
    /// Asks for a token, once.
    fn login<'a>(&'a self, login: &'a Login, now_secs: i64) -> LocalBoxFuture<'a, LoginAnswer>;

    /// Makes a call; an answer of any status is `Ok`.
    fn send<'a>(
        &'a self,
        token: &'a Token,
        api_version: &'a str,
        call: &'a Call,
    ) -> LocalBoxFuture<'a, Result<Reply, CallError>>;

    /// The same for a large answer, which `each` is handed piece by piece.
    fn download<'a>(
        &'a self,
        token: &'a Token,
        api_version: &'a str,
        call: &'a Call,
        each: Each<'a>,
    ) -> LocalBoxFuture<'a, Result<Reply, CallError>>;

    /// Posts a message to the event endpoint.
    fn post_cometd<'a>(
        &'a self,
        token: &'a Token,
        api_version: &'a str,
        post: Post<'a>,
    ) -> LocalBoxFuture<'a, Result<Answer, Failure>>;
}

impl Transport for HttpClient {
    fn login<'a>(&'a self, login: &'a Login, now_secs: i64) -> LocalBoxFuture<'a, LoginAnswer> {
        async move {
            let LoginReply { token, refresh_token, date } = self.ask_for_token(login, now_secs).await;
            LoginAnswer { token, refresh_token, date }
        }
        .boxed_local()
    }

    fn send<'a>(
        &'a self,
        token: &'a Token,
        api_version: &'a str,
        call: &'a Call,
    ) -> LocalBoxFuture<'a, Result<Reply, CallError>> {
        Self::send(self, token, api_version, call).boxed_local()
    }

    fn download<'a>(
        &'a self,
        token: &'a Token,
        api_version: &'a str,
        call: &'a Call,
        each: Each<'a>,
    ) -> LocalBoxFuture<'a, Result<Reply, CallError>> {
        Self::download(self, token, api_version, call, each).boxed_local()
    }

    fn post_cometd<'a>(
        &'a self,
        token: &'a Token,
        api_version: &'a str,
        Post { suffix, message, cookies, begin_within }: Post<'a>,
    ) -> LocalBoxFuture<'a, Result<Answer, Failure>> {
        Self::post_cometd(self, token, api_version, suffix, message, cookies, begin_within).boxed_local()
    }
}
