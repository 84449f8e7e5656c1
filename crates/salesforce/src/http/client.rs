//! The HTTP client: one for all orgs, which shares connections and never mixes tokens.
//!
//! Here: sending, reading bounded bodies, and whether a broken exchange had reached Salesforce.
//! Not here: meaning, retries, and renewing a token; any HTTP status is an answer.
//!
//! Invariant: a token goes to its own `instance_url` and nowhere else. Redirects are not followed, and no path leads to
//! another host.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use reqwest::{
    Client, RequestBuilder, Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, SET_COOKIE},
    redirect::Policy,
};
use secrecy::ExposeSecret;
use tokio::time::{error::Elapsed, timeout};
use url::Url;

use super::{
    HttpClient, LoginReply,
    body::{BodyBudget, BodyTooLarge, HeldBody},
};
use crate::{
    call::{Body, Call, Method, Reply, VERSION_MARK},
    cometd::{Answer, Failure},
    failure::CallError,
    limits::{
        ApiUsage, CONNECT_TIMEOUT, DOWNLOAD_BYTES_MAX, LOGIN_TIMEOUT, REPLY_BYTES_MAX, SMALL_REPLY_BYTES_MAX,
        SMALL_TIMEOUT, TRANSFER_TIMEOUT,
    },
    oauth::{
        Login, LoginCall, Token, answer,
        attempts::{Again, Attempts},
        error::LoginError,
        exposed,
    },
};

/// Names [`CLIENT`](crate::call::CLIENT).
const CALL_OPTIONS: (&str, &str) = ("sforce-call-options", "client=orgpipe");
/// Who we are for proxies and logs.
const USER_AGENT: &str = concat!("orgpipe/", env!("CARGO_PKG_VERSION"));
/// The answer's header with the org's use of its API calls.
const LIMIT_INFO: &str = "sforce-limit-info";
/// Idle connections kept per host: a poll's and a call's.
const IDLE_PER_HOST_MAX: usize = 2;
/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// How often a silent connection is probed; long polls are silent for minutes.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Bytes of a login's answer; a token has some hundred.
const LOGIN_BYTES_MAX: usize = 256 * 1024;
/// How long the body of an answer with events may pause.
const BODY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Why an exchange brought no answer.
enum ExchangeError {
    /// Nothing was sent.
    Unreachable(String),
    /// Something may have been sent.
    TimedOut(String),
    /// Something may have been sent.
    Broken(String),
    /// The body was not read to its end.
    TooLarge { status: u16, limit: BodyTooLarge },
}

fn too_large(limit: BodyTooLarge) -> String {
    match limit {
        BodyTooLarge::Bytes(bytes) => format!("it is larger than {bytes} bytes"),
        BodyTooLarge::Values(values) => format!("it has more than {values} values"),
    }
}

impl From<ExchangeError> for CallError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Unreachable(text) => Self::Transport { text, sent: false },
            ExchangeError::TimedOut(text) | ExchangeError::Broken(text) => {
                Self::Transport { text, sent: true }
            }
            ExchangeError::TooLarge { status, limit } => Self::Unreadable { status, what: too_large(limit) },
        }
    }
}

impl HttpClient {
    /// A client with its own connections; makes none yet. Proxies are taken from the usual environment variables.
    pub fn new() -> Result<Self, CallError> {
        let client = Client::builder()
            .redirect(Policy::none())
            .http1_only()
            .gzip(true)
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_keepalive(KEEPALIVE)
            .build();
        match client {
            Ok(http) => Ok(Self { http, bodies: BodyBudget::default() }),
            Err(error) => Err(CallError::Transport { text: causes(&error), sent: false }),
        }
    }

    /// Logs in, with the other audience or signed anew where Salesforce wants it so. `now_secs` = seconds since 1970.
    pub async fn login(&self, login: &Login, now_secs: i64) -> Result<Token, LoginError> {
        self.log_in(login, now_secs).await.token
    }

    /// The same, with what else the last answer told, also when it is a refusal.
    pub async fn log_in(&self, login: &Login, now_secs: i64) -> LoginReply {
        let (mut attempts, mut now_secs) = (Attempts::new(login), now_secs);
        loop {
            let reply = self.ask_for_token(attempts.login(), now_secs).await;
            let again = reply.token.as_ref().err().map_or(Again::Never, |error| attempts.refused(error));
            if again != Again::Now {
                return reply;
            }
            now_secs = reply.date.as_deref().and_then(secs_of_date).unwrap_or(now_secs);
        }
    }

    /// Asks for a token once, whatever the answer.
    pub async fn ask_for_token(&self, login: &Login, now_secs: i64) -> LoginReply {
        let answer = match login.call(now_secs) {
            Ok(call) => self.post_form(login.host(), call).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(reply) => LoginReply {
                token: login.token(&reply),
                refresh_token: answer::refresh_token(&reply),
                date: reply.header("date").map(str::to_owned),
            },
            Err(error) => LoginReply { token: Err(error), refresh_token: None, date: None },
        }
    }

    /// Asks an org's host for its list of versions, which takes no token: whether it answers, and what time it is there.
    pub async fn greet(&self, login: &Login) -> Result<Reply, CallError> {
        let url = in_org(&login.login_url, "/services/data/");
        let url = url.ok_or_else(|| ExchangeError::Unreachable("it is no web address".to_owned()))?;
        match self.exchange(self.http.get(url).timeout(SMALL_TIMEOUT), SMALL_REPLY_BYTES_MAX).await {
            Ok((status, headers, body)) => Ok(reply(status, &headers, body)),
            Err(error) => Err(error.into()),
        }
    }

    /// Posts a form to one of a host's OAuth endpoints; an answer of any status is `Ok`.
    pub async fn post_form(&self, host: &str, call: LoginCall) -> Result<Reply, LoginError> {
        let request = self
            .http
            .post(call.url)
            .timeout(LOGIN_TIMEOUT)
            .header(ACCEPT, "application/json")
            .form(&exposed(&call.form));
        let broken = |text, sent| LoginError::Transport { host: host.to_owned(), text, sent };
        match self.exchange(request, LOGIN_BYTES_MAX).await {
            Ok((status, headers, body)) => Ok(reply(status, &headers, body)),
            Err(ExchangeError::Unreachable(text)) => Err(broken(text, false)),
            Err(ExchangeError::TimedOut(text) | ExchangeError::Broken(text)) => Err(broken(text, true)),
            Err(ExchangeError::TooLarge { status, limit }) => {
                Err(LoginError::Unreadable { status, what: too_large(limit) })
            }
        }
    }

    /// Sends a call to the token's org. `api_version` = such as `66.0`.
    pub async fn send(&self, token: &Token, api_version: &str, call: &Call) -> Result<Reply, CallError> {
        match self.exchange(self.request(token, api_version, call)?, call.answer_bytes_max).await {
            Ok((status, headers, body)) => Ok(reply(status, &headers, body)),
            Err(error) => Err(error.into()),
        }
    }

    /// The same for a large answer: what a successful one carries is handed on piece by piece, and the reply's body is
    /// empty. An error of `each` ends it.
    pub async fn download(
        &self,
        token: &Token,
        api_version: &str,
        call: &Call,
        each: &mut dyn FnMut(&[u8]) -> Result<(), CallError>,
    ) -> Result<Reply, CallError> {
        let request = self.request(token, api_version, call)?;
        let mut response = request.send().await.map_err(exchange_error)?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        if !(200..300).contains(&status) {
            let body = body_of(response, self.bodies.body(call.answer_bytes_max), TRANSFER_TIMEOUT).await?;
            return Ok(reply(status, &headers, body));
        }
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await.map_err(exchange_error)? {
            bytes += chunk.len();
            if bytes > DOWNLOAD_BYTES_MAX {
                let limit = BodyTooLarge::Bytes(DOWNLOAD_BYTES_MAX);
                return Err(ExchangeError::TooLarge { status, limit }.into());
            }
            each(&chunk)?;
        }
        Ok(reply(status, &headers, Bytes::new()))
    }

    fn request(&self, token: &Token, api_version: &str, call: &Call) -> Result<RequestBuilder, CallError> {
        let path = call.path.replace(VERSION_MARK, &format!("v{api_version}"));
        let method = match call.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Patch => reqwest::Method::PATCH,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let unsent = |text| CallError::Transport { text, sent: false };
        let request = self.to_org(method, token, &path).map_err(unsent)?.timeout(call.timeout);
        let request = if call.query.is_empty() { request } else { request.query(&call.query) };
        let request = request.headers(headers_of(call).map_err(unsent)?);
        Ok(match &call.body {
            Body::None => request,
            Body::Json(json) => request.body(json.clone()),
            Body::Form(form) => request.form(form),
            Body::Csv(csv) => request.body(csv.clone()),
        })
    }

    /// Posts one message to the CometD endpoint. `suffix` is appended to its URL; the answer must begin within
    /// `begin_within`. Its body may take longer, while it flows: many events over a slow network are no reason to ask for them again.
    pub async fn post_cometd(
        &self,
        token: &Token,
        api_version: &str,
        suffix: &str,
        message: String,
        cookies: Option<&str>,
        begin_within: Duration,
    ) -> Result<Answer, Failure> {
        let path = format!("/cometd/{api_version}{suffix}");
        let request = self.to_org(reqwest::Method::POST, token, &path).map_err(Failure::Unreachable)?;
        let request = request
            .timeout(begin_within.saturating_add(TRANSFER_TIMEOUT))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json; charset=UTF-8")
            .body(message);
        let request = match cookies {
            Some(cookies) => request.header(COOKIE, cookies),
            None => request,
        };
        let body = self.bodies.body(REPLY_BYTES_MAX);
        match exchange_in_time(request, body, begin_within, BODY_PAUSE_MAX).await {
            Ok((status, headers, body)) => {
                let cookies = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
                Ok(Answer { status, set_cookies: cookies.map(str::to_owned).collect(), body })
            }
            Err(ExchangeError::Unreachable(text)) => Err(Failure::Unreachable(text)),
            Err(ExchangeError::TimedOut(_)) => Err(Failure::TimedOut),
            Err(ExchangeError::Broken(text)) => Err(Failure::Broken(text)),
            Err(ExchangeError::TooLarge { limit, .. }) => Err(Failure::TooLarge(too_large(limit))),
        }
    }

    /// Sends, and reads the answer to its end.
    async fn exchange(
        &self,
        request: RequestBuilder,
        bytes_max: usize,
    ) -> Result<(u16, HeaderMap, Bytes), ExchangeError> {
        exchange_in_time(request, self.bodies.body(bytes_max), TRANSFER_TIMEOUT, TRANSFER_TIMEOUT).await
    }

    /// A request to the token's org, with what every request has.
    fn to_org(&self, method: reqwest::Method, token: &Token, path: &str) -> Result<RequestBuilder, String> {
        let url = in_org(&token.instance_url, path).ok_or("the path leads out of the org")?;
        let bearer = format!("Bearer {}", token.access_token.expose_secret());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|_| "the token cannot stand in a header")?;
        bearer.set_sensitive(true);
        Ok(self
            .http
            .request(method, url)
            .header(AUTHORIZATION, bearer)
            .header(CALL_OPTIONS.0, CALL_OPTIONS.1))
    }
}

/// The URL of a path in an org; `None` if the path would change the host.
fn in_org(instance: &Url, path: &str) -> Option<Url> {
    let origin = instance.origin();
    let url = Url::parse(&format!("{}{path}", origin.ascii_serialization())).ok()?;
    (path.starts_with('/') && url.origin() == origin).then_some(url)
}

/// Content type and the call's own headers; those replace what is usual.
fn headers_of(call: &Call) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    let content_type = match &call.body {
        Body::Json(_) => Some("application/json; charset=UTF-8"),
        Body::Csv(_) => Some("text/csv; charset=UTF-8"),
        Body::None | Body::Form(_) => None,
    };
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    for (name, value) in &call.headers {
        let value =
            HeaderValue::try_from(value).map_err(|_| format!("the header `{name}` cannot be sent"))?;
        let name =
            reqwest::header::HeaderName::try_from(*name).map_err(|_| "a header's name cannot be sent")?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Sends, and reads the answer to its end; it must begin within `head`, and its body must not pause for longer than
/// `pause`, beside what it waits for room.
async fn exchange_in_time(
    request: RequestBuilder,
    body: HeldBody,
    head: Duration,
    pause: Duration,
) -> Result<(u16, HeaderMap, Bytes), ExchangeError> {
    let mut response = timeout(head, request.send()).await.map_err(late)?.map_err(exchange_error)?;
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    Ok((status, headers, body_of(response, body, pause).await?))
}

async fn body_of(
    mut response: Response,
    mut body: HeldBody,
    pause: Duration,
) -> Result<Bytes, ExchangeError> {
    let status = response.status().as_u16();
    body.expect(response.content_length().unwrap_or(0))
        .map_err(|limit| ExchangeError::TooLarge { status, limit })?;
    while let Some(piece) = timeout(pause, response.chunk()).await.map_err(late)?.map_err(exchange_error)? {
        body.push(&piece).await.map_err(|limit| ExchangeError::TooLarge { status, limit })?;
    }
    Ok(body.done())
}

/// The moment of a header `Date`, in seconds since 1970.
fn secs_of_date(date: &str) -> Option<i64> {
    Some(chrono::DateTime::parse_from_rfc2822(date).ok()?.timestamp())
}

fn late(_: Elapsed) -> ExchangeError {
    ExchangeError::TimedOut("no answer in time".to_owned())
}

/// Only before there is a connection it is sure that nothing was sent.
fn exchange_error(error: reqwest::Error) -> ExchangeError {
    let error = error.without_url();
    let text = causes(&error);
    if error.is_builder() || error.is_connect() {
        ExchangeError::Unreachable(text)
    } else if error.is_timeout() {
        ExchangeError::TimedOut(text)
    } else {
        ExchangeError::Broken(text)
    }
}

/// The error and what led to it, in one line, without the URL.
fn causes(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    texts.dedup();
    texts.join(": ")
}

fn reply(status: u16, headers: &HeaderMap, body: Bytes) -> Reply {
    let text = |name: &reqwest::header::HeaderName, value: &HeaderValue| {
        value.to_str().ok().map(|value| (name.as_str().to_owned(), value.to_owned()))
    };
    let headers: Vec<_> = headers.iter().filter_map(|(name, value)| text(name, value)).collect();
    let usage = headers.iter().find(|(name, _)| name == LIMIT_INFO);
    let usage = usage.and_then(|(_, value)| ApiUsage::from_header(value));
    Reply { status, headers, body, usage }
}

#[cfg(test)]
mod tests;
