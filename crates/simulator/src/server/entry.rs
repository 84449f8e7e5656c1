//! A request to an org, from the socket to the part that answers it and back.
//!
//! Here: which part answers, faults, the log. Not here: the answers themselves.

use std::sync::atomic::Ordering;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;

use crate::api::{self, Answer, Call, Follow};
use crate::cometd::CometdRequest;
use crate::faults::{self, Harm};
use crate::log::LoggedCall;
use crate::oauth;
use crate::org::Org;

/// Longest request line and header block. Source: Help article 000386264.
const HEAD_MAX: usize = 16_384;

/// Answers any request to an org.
pub(crate) async fn org(request: HttpRequest, body: Bytes, org: web::Data<Org>) -> HttpResponse {
    let org = org.into_inner();
    let path = format!("/{}", request.path().trim_start_matches('/'));
    let harm = org.state().faults.strike(&path);
    let (answer, cookies, counted) = if let Some(Harm::Status(status)) = harm {
        let (content_type, body) = faults::body(status);
        (Answer::text(status, content_type, body.into_bytes()), Vec::new(), false)
    } else if !org.available.load(Ordering::SeqCst) {
        (Answer::error(503, "SERVER_UNAVAILABLE", "Server Unavailable"), Vec::new(), false)
    } else if let Some(refused) = too_long(&request) {
        (refused, Vec::new(), false)
    } else if let Some(rest) = path.strip_prefix("/cometd/") {
        let (answer, cookies) = cometd(&org, &request, rest, body).await;
        (answer, cookies, false)
    } else {
        let handled = rest(&org, &request, &path, body);
        (handled.answer, Vec::new(), handled.counted)
    };
    org.state().calls.push(LoggedCall {
        method: request.method().to_string(),
        path,
        query: percent_encoding::percent_decode_str(&request.query_string().replace('+', " "))
            .decode_utf8_lossy()
            .into_owned(),
        status: answer.status,
        counted,
    });
    if let Some(Follow::Job(id)) = &answer.follow {
        actix_rt::spawn(api::advance(org, id.clone()));
    }
    respond(answer, &cookies, harm == Some(Harm::LoseAnswer))
}

fn rest(org: &Org, request: &HttpRequest, path: &str, body: Bytes) -> api::Handled {
    let free = |answer| api::Handled { answer, counted: false };
    let token = bearer(request);
    let mut state = org.state();
    if path == "/services/data" || path.starts_with("/services/data/") {
        if header(request, AUTHORIZATION.as_str()).is_some() && token.is_none() {
            return free(Answer::error(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"));
        }
        let mut call = Call::new(request.method().as_str(), path, request.query_string(), body);
        call.content_type = header(request, CONTENT_TYPE.as_str()).unwrap_or_default().to_lowercase();
        header(request, "Sforce-Query-Options").unwrap_or_default().clone_into(&mut call.query_options);
        return api::handle(org, &mut state, &call, token);
    }
    let form = || -> Vec<(String, String)> {
        let body = url::form_urlencoded::parse(&body).into_owned();
        body.chain(url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned()).collect()
    };
    let field = |name: &str| {
        form().into_iter().find(|(key, _)| key == name).map_or_else(String::new, |(_, value)| value)
    };
    free(match (request.method().as_str(), path) {
        ("POST", "/services/oauth2/token") => oauth::token(org, &mut state, &form(), basic(request)),
        ("POST" | "GET", "/services/oauth2/revoke") => oauth::revoke(&mut state, &field("token")),
        ("POST", "/services/oauth2/introspect") => oauth::introspect(org, &mut state, &field("token")),
        ("GET" | "POST", "/services/oauth2/userinfo") => oauth::identity(org, &mut state, token),
        ("GET", path) if path.starts_with("/id/") => oauth::identity(org, &mut state, token),
        _ => Answer::not_found(),
    })
}

/// `/cometd/66.0`, `/cometd/66.0/` and `/cometd/66.0/connect` are one resource.
async fn cometd(org: &Org, request: &HttpRequest, rest: &str, body: Bytes) -> (Answer, Vec<String>) {
    if request.method() != "POST" {
        return (
            Answer::error(405, "METHOD_NOT_ALLOWED", "HTTP Method not allowed. Allowed are POST"),
            Vec::new(),
        );
    }
    let (version, path_suffix) = rest.split_once('/').unwrap_or((rest, ""));
    let cookies = request
        .headers()
        .get_all("cookie")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    let cookies = cookies
        .filter_map(|pair| pair.trim().split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let request = {
        let mut state = org.state();
        let user = bearer(request).and_then(|token| state.sessions.user(token, org.clock.now_ms()));
        CometdRequest {
            version: version.to_owned(),
            path_suffix: path_suffix.to_owned(),
            token_ok: user.is_some(),
            channels_known: Org::channels(&state),
            user_id: user.unwrap_or_default(),
            cookies: cookies.collect(),
            body,
        }
    };
    let reply = org.cometd.answer(request).await;
    let content_type = if reply.body.starts_with('<') { "text/html;charset=UTF-8" } else { api::JSON };
    (Answer::text(reply.status, content_type, reply.body.into_bytes()), reply.set_cookies)
}

fn respond(answer: Answer, cookies: &[String], lose: bool) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    for (name, value) in &answer.headers {
        response.insert_header((*name, value.as_str()));
    }
    for cookie in cookies {
        response.append_header(("Set-Cookie", cookie.as_str()));
    }
    if lose {
        // A length is promised, nothing comes, the connection breaks.
        response.insert_header(("Content-Encoding", "identity"));
        let broken =
            stream::once(async { Err::<Bytes, std::io::Error>(std::io::ErrorKind::ConnectionReset.into()) });
        return response.content_type(answer.content_type).body(SizedStream::new(1_000, broken));
    }
    if answer.body.is_empty() {
        return response.finish();
    }
    response.content_type(answer.content_type).body(answer.body)
}

/// 414 for the line alone, 431 for line and headers together.
fn too_long(request: &HttpRequest) -> Option<Answer> {
    let line = request.uri().to_string().len();
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let status = match (line > HEAD_MAX, line + headers > HEAD_MAX) {
        (true, _) => 414,
        (false, true) => 431,
        (false, false) => return None,
    };
    Some(Answer::text(status, "text/html", Vec::new()))
}

/// The token of `Bearer T` or `OAuth T`.
fn bearer(request: &HttpRequest) -> Option<&str> {
    let (scheme, token) = header(request, AUTHORIZATION.as_str())?.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("Bearer") || scheme.eq_ignore_ascii_case("OAuth");
    known.then(|| token.trim())
}

/// The client's id and secret of `Basic …`.
fn basic(request: &HttpRequest) -> Option<(String, String)> {
    let encoded = header(request, AUTHORIZATION.as_str())?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}
