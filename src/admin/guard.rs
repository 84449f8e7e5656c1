//! From where a request may come at all: for a name of this service, from no web page of somebody else, with a token.
//!
//! Here: the decision over a request's head, and the headers that every answer has. Not here: who a token belongs to
//! (`access`), which role a path takes (`routes`).
//!
//! A web page that an operator visits can send requests to this machine. It cannot read the answers, unless its own name
//! leads to this machine (DNS rebinding); so the name in `Host` must be one of ours. And a command is refused if a browser
//! says that another page sent it (Fetch Metadata, "Sec-Fetch-Site"; Fetch, "Origin"). A command that a cookie vouches for must say that
//! a page of ours sent it, as a cookie comes along by itself; whoever has a token of their own need say nothing.

use std::net::IpAddr;

use actix_web::{
    Error, HttpMessage as _, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderValue},
        uri::Authority,
    },
    middleware::{DefaultHeaders, Next},
    web::Data,
};
use serde_json::json;

use super::{
    access::{Access, Caller, Denied},
    routes,
};

/// Where it is told whether the process lives.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];
/// What a browser accepts when it shows a page.
const HTML: &[u8] = b"text/html";

/// Names under which the admin API is asked for, beside those of this machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    /// As in `service.hosts`.
    pub names: Vec<String>,
    /// `service.listen` is an address that other machines reach, so that any address may be the right one.
    pub beyond_loopback: bool,
}

/// Why a request is not answered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("the request is for the host `{0}`, which is none of this service's names")]
    Host(String),
    #[error("the request was sent by a web page of another site ({0})")]
    OtherSite(String),
}

impl Refusal {
    fn hint(&self) -> &'static str {
        match self {
            Self::Host(_) => {
                "Ask for 127.0.0.1 or localhost, or add the name to `service.hosts` in the settings."
            }
            Self::OtherSite(_) => {
                "Use the service's own page, the command line, or a client that is no browser."
            }
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Host(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::OtherSite(_) => StatusCode::FORBIDDEN,
        }
    }
}

/// Answers a request, or refuses it.
pub(super) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    match look(&request) {
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller.viewer());
                request.extensions_mut().insert(caller);
            }
            Ok(next.call(request).await?.map_into_left_body())
        }
        Err(stopped) => {
            let answer = stopped.answer(request.path());
            Ok(request.into_response(answer).map_into_right_body())
        }
    }
}

/// Why a request goes no further.
#[derive(Debug)]
enum Stopped {
    /// It may not come from there.
    Refused(Refusal),
    /// It comes from nobody who is known; whether a browser shows the answer.
    Denied(Denied, bool),
}

impl Stopped {
    fn answer(&self, path: &str) -> HttpResponse {
        match self {
            Self::Refused(refusal) => {
                // A link to connect by is a secret.
                let path = if path.starts_with("/connect/") { "/connect/…" } else { path };
                tracing::warn!(path, "a request to the admin API was refused: {refusal}");
                let body = json!({ "error": refusal.to_string(), "hint": refusal.hint() });
                HttpResponse::build(refusal.status()).json(body)
            }
            Self::Denied(denied, to_browser) => denied.answer(*to_browser),
        }
    }
}

/// Who asks, if it must be somebody.
fn look(request: &ServiceRequest) -> Result<Option<Caller>, Stopped> {
    let (method, headers, path) = (request.method(), request.headers(), request.path());
    // Whether the service lives and works is nobody's secret, and who asks for it may use any name.
    if PROBES.contains(&path) {
        return Ok(None);
    }
    let hosts = request.app_data::<Data<Hosts>>().cloned().unwrap_or_default();
    let sender = judge(method, headers, &hosts).map_err(Stopped::Refused)?;
    if routes::is_open(method, path) {
        return Ok(None);
    }
    let accepts = headers.get(header::ACCEPT).map(HeaderValue::as_bytes).unwrap_or_default();
    let to_browser = !path.starts_with("/api/") && accepts.windows(HTML.len()).any(|part| part == HTML);
    let access = request.app_data::<Data<Access>>().ok_or(Stopped::Denied(Denied::NoToken, to_browser))?;
    let caller = access.caller(headers).map_err(|denied| Stopped::Denied(denied, to_browser))?;
    if caller.by_cookie && sender == Sender::Unknown && !is_read(method) {
        let what = "it does not say which page sent it".to_owned();
        return Err(Stopped::Refused(Refusal::OtherSite(what)));
    }
    Ok(Some(caller))
}

/// Whether the method only reads.
fn is_read(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}

/// From where a request that may come comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    /// From a page of this service, as the browser says.
    OwnPage,
    /// Nothing says it: from no browser, or it only reads.
    Unknown,
}

fn judge(method: &Method, headers: &HeaderMap, hosts: &Hosts) -> Result<Sender, Refusal> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let host = text(header::HOST).unwrap_or_default();
    if !is_ours(&host, hosts) {
        return Err(Refusal::Host(host.chars().filter(|char| !char.is_control()).take(100).collect()));
    }
    if is_read(method) {
        return Ok(Sender::Unknown);
    }
    // A browser sends the one or the other; who sends neither is none.
    let (site, origin) = (text(header::HeaderName::from_static("sec-fetch-site")), text(header::ORIGIN));
    match (site.as_deref(), origin.as_deref()) {
        (Some("same-origin"), _) => Ok(Sender::OwnPage),
        (Some("none"), _) | (None, None) => Ok(Sender::Unknown),
        (Some(site), _) => Err(Refusal::OtherSite(format!("Sec-Fetch-Site: {site:.20}"))),
        (None, Some(origin)) => {
            if origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(&host)) {
                Ok(Sender::OwnPage)
            } else {
                Err(Refusal::OtherSite("its Origin is not this host".to_owned()))
            }
        }
    }
}

/// Whether `host`, a name or an address with or without a port, means this service.
fn is_ours(host: &str, hosts: &Hosts) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    match name.parse::<IpAddr>() {
        // No name leads to an address that stands in the request itself.
        Ok(address) => address.is_loopback() || hosts.beyond_loopback,
        Err(_) => {
            name.eq_ignore_ascii_case("localhost")
                || hosts.names.iter().any(|ours| ours.eq_ignore_ascii_case(name))
        }
    }
}

/// What browsers may do with any answer: show it. A page says itself what more it may (`dashboard`).
pub(super) fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
        ))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "same-origin"))
        .add((header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"))
        .add((header::CACHE_CONTROL, "no-store"))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn judged(method: Method, head: &[(&'static str, &str)]) -> Result<Sender, Refusal> {
        let hosts = Hosts { names: vec!["orgpipe.internal".to_owned()], beyond_loopback: false };
        let request = TestRequest::default().method(method);
        let request = head.iter().fold(request, |request, pair| request.insert_header(*pair)).to_request();
        judge(request.method(), request.headers(), &hosts)
    }

    #[test]
    fn a_request_is_for_a_name_of_this_service() {
        for (host, answered) in [
            ("127.0.0.1:8787", true),
            ("127.9.9.9", true),
            ("[::1]:8787", true),
            ("localhost:8787", true),
            ("LOCALHOST", true),
            ("orgpipe.internal:443", true),
            ("Orgpipe.Internal", true),
            ("", false),
            ("evil.example", false),
            ("evil.example:8787", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("localhost@evil.example", false),
            ("10.0.0.1:8787", false),
            ("a b", false),
        ] {
            for method in [Method::GET, Method::POST] {
                let found = judged(method.clone(), &[("host", host)]);
                assert_eq!(found.is_ok(), answered, "{method} {host}: {found:?}");
            }
        }
        let hosts = Hosts { names: Vec::new(), beyond_loopback: true };
        assert!(is_ours("10.0.0.1:8787", &hosts) && !is_ours("evil.example", &hosts));
    }

    #[test]
    fn a_command_of_another_sites_page_is_refused() {
        type Case<'a> = (&'a [(&'static str, &'static str)], Option<Sender>);
        let host = ("host", "127.0.0.1:8787");
        let cases: &[Case<'_>] = &[
            (&[], Some(Sender::Unknown)),
            (
                &[("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:8787")],
                Some(Sender::OwnPage),
            ),
            (&[("sec-fetch-site", "none")], Some(Sender::Unknown)),
            (&[("origin", "http://127.0.0.1:8787")], Some(Sender::OwnPage)),
            (&[("sec-fetch-site", "cross-site")], None),
            (&[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:8787")], None),
            (&[("origin", "http://127.0.0.1:9999")], None),
            (&[("origin", "https://evil.example")], None),
            (&[("origin", "null")], None),
            (&[("origin", "")], None),
        ];
        for (head, answered) in cases {
            let head: Vec<_> = std::iter::once(host).chain(head.iter().copied()).collect();
            assert_eq!(judged(Method::POST, &head).ok(), *answered, "{head:?}");
            assert_eq!(
                judged(Method::GET, &head),
                Ok(Sender::Unknown),
                "what is read may be asked for: {head:?}"
            );
        }
    }
}
