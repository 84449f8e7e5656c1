//! Who may ask at all: this machine by its own name, and no web page of somebody else.
//!
//! Here: the decision over a request's head, and the headers that every answer has. Not here: what is asked (the handlers).
//!
//! A web page that an operator visits can send requests to this machine. It cannot read the answers, unless its own name
//! leads to this machine (DNS rebinding); so the name in `Host` must be one of ours. And a command is refused if a browser
//! says that another page sent it (Fetch Metadata, "Sec-Fetch-Site"; Fetch, "Origin").

use std::net::IpAddr;

use actix_web::{
    Error, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::{InternalError, QueryPayloadError},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap},
        uri::Authority,
    },
    middleware::{DefaultHeaders, Next},
    web::{Data, QueryConfig},
};
use serde::Deserialize;
use serde_json::json;

/// For a path that takes no query: any name in one is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

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
    #[error("the request has a body, and this API reads none")]
    Body,
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
            Self::Body => "Put what you want to say into the query, behind the `?` of the address.",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Host(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::OtherSite(_) => StatusCode::FORBIDDEN,
            Self::Body => StatusCode::BAD_REQUEST,
        }
    }
}

/// Answers a request, or refuses it.
pub(super) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let hosts = request.app_data::<Data<Hosts>>().cloned().unwrap_or_default();
    // Whether the process lives is nobody's secret, and who asks for it may use any name.
    let open = request.path() == "/healthz";
    match judge(request.method(), request.headers(), &hosts) {
        Err(refusal) if !open => {
            tracing::warn!(path = request.path(), "a request to the admin API was refused: {refusal}");
            let body = json!({ "error": refusal.to_string(), "hint": refusal.hint() });
            let refused = HttpResponse::build(refusal.status()).json(body);
            Ok(request.into_response(refused).map_into_right_body())
        }
        Ok(()) | Err(_) => Ok(next.call(request).await?.map_into_left_body()),
    }
}

fn judge(method: &Method, headers: &HeaderMap, hosts: &Hosts) -> Result<(), Refusal> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let host = text(header::HOST).unwrap_or_default();
    if !is_ours(&host, hosts) {
        return Err(Refusal::Host(host.chars().filter(|char| !char.is_control()).take(100).collect()));
    }
    if [Method::GET, Method::HEAD].contains(method) {
        return Ok(());
    }
    // A browser sends the one or the other; who sends neither is none.
    let (site, origin) = (text(header::HeaderName::from_static("sec-fetch-site")), text(header::ORIGIN));
    match (site.as_deref(), origin.as_deref()) {
        (Some("same-origin" | "none"), _) | (None, None) => {}
        (Some(site), _) => return Err(Refusal::OtherSite(format!("Sec-Fetch-Site: {site:.20}"))),
        (None, Some(origin)) => {
            if origin.split_once("://").is_none_or(|(_, authority)| !authority.eq_ignore_ascii_case(&host)) {
                return Err(Refusal::OtherSite("its Origin is not this host".to_owned()));
            }
        }
    }
    let length = text(header::CONTENT_LENGTH);
    if length.is_some_and(|length| length != "0") || headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::Body);
    }
    Ok(())
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

/// What browsers may do with any answer: show it, and send its forms back to where it came from.
pub(super) fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"))
        .add((header::CACHE_CONTROL, "no-store"))
}

/// A query that cannot be read, or that has a name nobody knows, is answered with the names there are.
pub(super) fn queries() -> QueryConfig {
    QueryConfig::default().error_handler(|error, _| {
        let what = match &error {
            QueryPayloadError::Deserialize(cause) => cause.to_string(),
            other => other.to_string(),
        };
        let hint = "Nothing was done; correct the name and ask again.";
        let body = json!({ "error": format!("the query cannot be taken: {what}"), "hint": hint });
        InternalError::from_response(error, HttpResponse::BadRequest().json(body)).into()
    })
}

#[cfg(test)]
mod tests {
    use actix_web::{HttpMessage as _, test::TestRequest};

    use super::*;

    fn judged(method: Method, head: &[(&'static str, &str)]) -> Result<(), Refusal> {
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
        type Case<'a> = (&'a [(&'static str, &'static str)], bool);
        let host = ("host", "127.0.0.1:8787");
        let cases: &[Case<'_>] = &[
            (&[], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:8787")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("origin", "http://127.0.0.1:8787")], true),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:8787")], false),
            (&[("origin", "http://127.0.0.1:9999")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "null")], false),
            (&[("origin", "")], false),
        ];
        for (head, answered) in cases {
            let head: Vec<_> = std::iter::once(host).chain(head.iter().copied()).collect();
            assert_eq!(judged(Method::POST, &head).is_ok(), *answered, "{head:?}");
            assert_eq!(judged(Method::GET, &head), Ok(()), "what is read may be asked for: {head:?}");
        }
    }

    #[test]
    fn a_body_that_nobody_reads_is_refused() {
        let host = ("host", "localhost");
        for (head, answered) in [
            (("content-length", "0"), true),
            (("content-length", "12"), false),
            (("transfer-encoding", "chunked"), false),
        ] {
            assert_eq!(judged(Method::POST, &[host, head]).is_ok(), answered, "{head:?}");
        }
    }
}
