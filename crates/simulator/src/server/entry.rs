//! A request to an org, from the socket to the part that answers it and back.
//!
//! Here: which part answers, faults, the log. Not here: the answers themselves.

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::body::{BodyStream, SizedStream};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;

use crate::answer::{Answer, FollowUp, JSON};
use crate::api::{self, Call};
use crate::clock::Clock;
use crate::cometd::{CometdRequest, Delivery, WrittenPart};
use crate::faults::{self, HttpFaultEffect};
use crate::log::LoggedCall;
use crate::oauth::authorize::{self, CONSENT_PATH};
use crate::oauth::{self, TokenRequest};
use crate::org::Org;

/// Longest request line and header block. Source: Help article 000386264.
const HEAD_MAX: usize = 16_384;

/// Answers any request to an org.
pub(crate) async fn org(request: HttpRequest, body: Bytes, org: web::Data<Org>) -> HttpResponse {
    let org = org.into_inner();
    let mut delay = org.facts.answer_after;
    let path = format!("/{}", request.path().trim_start_matches('/'));
    let is_token_call = request.method() == "POST" && path == "/services/oauth2/token";
    if is_token_call {
        org.state().logins.token_calls += 1;
    }
    let effect = org.state().faults.trigger(&path);
    let mut delivery = Delivery::Whole;
    let (mut answer, cookies, counted) = if let Some(HttpFaultEffect::Status(status)) = effect {
        let (content_type, body) = faults::body(status);
        (Answer::text(status, content_type, body.into_bytes()), Vec::new(), false)
    } else if let Some(HttpFaultEffect::Answer { status, body }) = &effect {
        (Answer::text(*status, faults::content_type(body), body.clone().into_bytes()), Vec::new(), false)
    } else if let Some(HttpFaultEffect::Zeros(count)) = effect {
        let mut packed = Answer::text(200, JSON, faults::packed_zeros(count));
        packed.headers.push(("Content-Encoding", "gzip".to_owned()));
        (packed, Vec::new(), false)
    } else if let Some(elsewhere) = moved(&org, &request, &path) {
        (elsewhere, Vec::new(), false)
    } else if !org.available.load(Ordering::SeqCst) && !path.starts_with("/cometd/") {
        (Answer::error(503, "SERVER_UNAVAILABLE", "Server Unavailable"), Vec::new(), false)
    } else if let Some(refused) = too_long(&request) {
        (refused, Vec::new(), false)
    } else if let Some(rest) = path.strip_prefix("/cometd/") {
        let (answer, cookies, how) = cometd(&org, &request, rest, body).await;
        delivery = how;
        (answer, cookies, false)
    } else if is_token_call {
        delay = Duration::ZERO;
        (oauth::token(org.clone(), login_request(&request, &body)).await, Vec::new(), false)
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
    if let Some(FollowUp::Job(id)) = &answer.follow {
        actix_rt::spawn(api::advance(org.clone(), id.clone()));
    }
    if !delay.is_zero() {
        actix_rt::time::sleep(delay).await;
    }
    if let Some(HttpFaultEffect::Late(late_ms)) = effect {
        actix_rt::time::sleep(Duration::from_millis(late_ms)).await;
    }
    if effect == Some(HttpFaultEffect::Half) {
        answer.body.truncate(answer.body.len() / 2);
    }
    if effect == Some(HttpFaultEffect::LoseAnswer) {
        delivery = Delivery::Cut { written: WrittenPart::Nothing, chunked: false };
    }
    match delivery {
        // Until the client hangs up.
        Delivery::Never => std::future::pending::<()>().await,
        Delivery::Late { ms } => org.clock.sleep(Duration::from_millis(ms)).await,
        Delivery::Whole | Delivery::Cut { .. } | Delivery::Drip { .. } => {}
    }
    if let Some(date) = date(&org) {
        answer.headers.push(("Date", date));
    }
    respond(answer, &cookies, delivery, &org.clock)
}

/// What the org's clock says, if it is not ours.
fn date(org: &Org) -> Option<String> {
    let ms = org.clock.is_wrong().then(|| org.clock.wall_ms())?;
    let date = chrono::DateTime::from_timestamp_millis(ms)?;
    Some(date.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// The redirect of a request that still goes to the org's old address. Logins are on another host, which stays.
fn moved(org: &Org, request: &HttpRequest, path: &str) -> Option<Answer> {
    let to = org.state().instance_url.clone()?;
    let there = header(request, "host").is_some_and(|host| to.ends_with(&format!("//{host}")));
    let is_login = ["/services/oauth2/", "/login", "/setup/"].iter().any(|start| path.starts_with(start));
    if there || is_login {
        return None;
    }
    let mut answer = Answer::text(302, "text/html;charset=UTF-8", Vec::new());
    answer.headers.push(("Location", format!("{to}{path}")));
    Some(answer)
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
        header(request, "Sforce-Call-Options").unwrap_or_default().clone_into(&mut call.options);
        header(request, "If-Modified-Since").unwrap_or_default().clone_into(&mut call.if_modified_since);
        return api::handle(org, &mut state, &call, token);
    }
    let asked = || login_request(request, &body);
    let name = authorize::cookie_name(org);
    let session = || cookies(request).find(|(known, _)| *known == name).map(|(_, value)| value);
    free(match (request.method().as_str(), path) {
        ("GET", "/services/oauth2/authorize") => authorize::authorize(org, &mut state, &asked(), session()),
        ("POST", "/login") => authorize::log_in(org, &mut state, &asked()),
        ("GET", CONSENT_PATH) => authorize::ask(org, &mut state, &asked(), session()),
        ("POST", CONSENT_PATH) => authorize::decide(org, &mut state, &asked(), session()),
        ("POST" | "GET", "/services/oauth2/revoke") => oauth::revoke(org, &mut state, &asked()),
        ("POST", "/services/oauth2/introspect") => oauth::introspect(org, &state, &asked()),
        ("GET" | "POST", "/services/oauth2/userinfo") => oauth::identity(org, &mut state, token),
        ("GET", path) if path.starts_with("/id/") => {
            let asked = asked();
            oauth::identity(org, &mut state, token.or_else(|| asked.field("oauth_token")))
        }
        _ => Answer::not_found(),
    })
}

/// A request to one of the OAuth endpoints: the form, what the query adds to it, and whose it is.
fn login_request(request: &HttpRequest, body: &Bytes) -> TokenRequest {
    let fields = [body.as_ref(), request.query_string().as_bytes()];
    TokenRequest {
        form: fields.iter().flat_map(|part| url::form_urlencoded::parse(part).into_owned()).collect(),
        basic: basic(request),
        host: header(request, "host").unwrap_or_default().to_lowercase(),
        from: request.peer_addr().map(|peer| peer.ip()),
    }
}

/// `/cometd/66.0`, `/cometd/66.0/` and `/cometd/66.0/connect` are one resource.
async fn cometd(
    org: &Org,
    request: &HttpRequest,
    rest: &str,
    body: Bytes,
) -> (Answer, Vec<String>, Delivery) {
    if request.method() != "POST" {
        let answer = Answer::text(405, "text/plain;charset=UTF-8", b"Only POST allowed".to_vec());
        return (answer, Vec::new(), Delivery::Whole);
    }
    let (version, path_suffix) = rest.split_once('/').unwrap_or((rest, ""));
    let request = {
        let mut state = org.state();
        let token = streaming_token(request);
        let user = token.and_then(|token| state.logins.tokens.user(token, org.clock.now_ms()));
        CometdRequest {
            version: version.to_owned(),
            path_suffix: path_suffix.to_owned(),
            has_token: token.is_some(),
            token_ok: user.is_some(),
            channels_known: org.channels(&state),
            channels_denied: user.as_ref().map(|user| org.channels_denied(&state, user)).unwrap_or_default(),
            user_id: user.unwrap_or_default(),
            cookies: cookies(request).map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body,
        }
    };
    let reply = org.cometd.answer(request).await;
    let content_type = if reply.body.starts_with('<') { "text/html;charset=UTF-8" } else { JSON };
    let mut answer = Answer::text(reply.status, content_type, reply.body.into_bytes());
    answer.headers.extend(reply.location.map(|location| ("Location", location)));
    (answer, reply.set_cookies, reply.delivery)
}

fn respond(answer: Answer, cookies: &[String], delivery: Delivery, clock: &Clock) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    for (name, value) in &answer.headers {
        response.insert_header((*name, value.as_str()));
    }
    for cookie in cookies {
        response.append_header(("Set-Cookie", cookie.as_str()));
    }
    if answer.body.is_empty() && delivery == Delivery::Whole {
        return response.finish();
    }
    response.content_type(answer.content_type);
    let mut body = Bytes::from(answer.body);
    match delivery {
        Delivery::Cut { written, chunked } => {
            // More is promised than comes, then the connection closes.
            response.insert_header(("Content-Encoding", "identity"));
            let promised = body.len() as u64 + 1;
            let kept = match written {
                WrittenPart::Nothing => 0,
                WrittenPart::Half => body.len() / 2,
                WrittenPart::All => body.len(),
            };
            body.truncate(kept);
            let broken = Err::<Bytes, std::io::Error>(std::io::ErrorKind::ConnectionReset.into());
            let parts = stream::iter((!body.is_empty()).then_some(Ok(body)).into_iter().chain([broken]));
            if chunked {
                response.body(BodyStream::new(parts))
            } else {
                response.body(SizedStream::new(promised, parts))
            }
        }
        Delivery::Drip { pieces, every_ms } => {
            response.insert_header(("Content-Encoding", "identity"));
            let size = body.len().div_ceil(pieces.max(1)).max(1);
            let clock = clock.clone();
            let pieces = stream::unfold(body, move |mut left| {
                let clock = clock.clone();
                async move {
                    if left.is_empty() {
                        return None;
                    }
                    clock.sleep(Duration::from_millis(every_ms)).await;
                    let piece = left.split_to(size.min(left.len()));
                    Some((Ok::<Bytes, std::io::Error>(piece), left))
                }
            });
            response.body(BodyStream::new(pieces))
        }
        Delivery::Whole | Delivery::Late { .. } | Delivery::Never => response.body(body),
    }
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

/// The token of a request to the CometD endpoint, which takes one without a scheme as well: several clients send it so.
fn streaming_token(request: &HttpRequest) -> Option<&str> {
    let bare = || {
        let value = header(request, AUTHORIZATION.as_str())?.trim();
        (!value.is_empty() && !value.contains(' ')).then_some(value)
    };
    bearer(request).or_else(bare)
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

fn cookies(request: &HttpRequest) -> impl Iterator<Item = (&str, &str)> {
    let all = request.headers().get_all("cookie").filter_map(|value| value.to_str().ok());
    all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}
