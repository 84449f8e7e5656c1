//! The client against a socket that answers with prepared bytes, broken ones included.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;
use crate::{
    bulk::job,
    call::CLIENT,
    limits::ASSERTION_SECS,
    oauth::{Flow, refusal::LoginClass},
    rest::{limits, query, versions},
};

/// Takes one connection after the other; each gets one answer and is closed. Ends with the requests it saw.
async fn server(answers: Vec<Vec<u8>>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut seen = Vec::new();
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            seen.push(request_of(&mut socket).await);
            // A client that has had enough may close first.
            let _ = socket.write_all(&answer).await;
        }
        seen
    });
    (url, task)
}

/// Head and body, by `content-length`.
async fn request_of(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = socket.read(&mut part).await.unwrap();
        assert!(count > 0, "the request ended early: {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return text;
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

fn token(url: &str) -> Token {
    Token {
        access_token: "00D!s3cret".into(),
        instance_url: Url::parse(url).unwrap(),
        org_id: "00Dx0000000BV7zEAG".into(),
        user_id: "005x00000012Q9PAAU".into(),
        refresh_token: None,
        scope: None,
    }
}

async fn send(answer: Vec<u8>, call: &Call) -> (Result<Reply, CallError>, String) {
    let (url, task) = server(vec![answer]).await;
    let reply = HttpClient::new().unwrap().send(&token(&url), "66.0", call).await;
    (reply, task.await.unwrap().remove(0))
}

#[tokio::test]
async fn a_call_carries_version_token_and_name() {
    let headers = "Sforce-Limit-Info: api-usage=18/5000; per-app-api-usage=1/2(appName=x)\r\n";
    let (reply, request) =
        send(answer("200 OK", headers, "[]"), &query::query("SELECT Id FROM A WHERE B > '+'")).await;
    let reply = reply.unwrap();
    assert_eq!((reply.status, &reply.body[..]), (200, &b"[]"[..]));
    assert_eq!(reply.usage, Some(ApiUsage { used: 18, max: 5000 }));
    assert!(
        request.starts_with(
            "GET /services/data/v66.0/query?q=SELECT+Id+FROM+A+WHERE+B+%3E+%27%2B%27 HTTP/1.1\r\n"
        ),
        "{request}"
    );
    for line in [
        "authorization: Bearer 00D!s3cret",
        &format!("sforce-call-options: client={CLIENT}"),
        &format!("user-agent: {USER_AGENT}"),
        "accept: application/json",
        "accept-encoding: gzip",
    ] {
        assert!(request.lines().any(|found| found == line), "{line} is not in {request}");
    }
}

#[tokio::test]
async fn bodies_go_out_as_what_they_are() {
    let upload = job::upload("services/data/v66.0/jobs/ingest/750/batches", Bytes::from_static(b"X__c\nk\n"));
    let (reply, request) = send(answer("201 Created", "", ""), &upload).await;
    assert_eq!(reply.unwrap().status, 201);
    assert!(
        request.starts_with("PUT /services/data/v66.0/jobs/ingest/750/batches HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("content-type: text/csv") && request.ends_with("\r\n\r\nX__c\nk\n"),
        "{request}"
    );

    let (_, request) = send(answer("200 OK", "", "{}"), &job::close("750")).await;
    assert!(request.starts_with("PATCH /services/data/v66.0/jobs/ingest/750 "), "{request}");
    assert!(
        request.contains("content-type: application/json")
            && request.ends_with(r#"{"state":"UploadComplete"}"#)
    );

    let (_, request) = send(answer("200 OK", "", ""), &job::results("750", job::ResultKind::Failed)).await;
    assert!(request.contains("accept: text/csv\r\n") && !request.contains("application/json"), "{request}");
}

#[tokio::test]
async fn any_status_is_an_answer_and_no_redirect_is_followed() {
    for (status, headers, body) in [
        ("401 Unauthorized", "", r#"[{"errorCode":"INVALID_SESSION_ID","message":"m"}]"#),
        ("302 Found", "Location: https://elsewhere.example/login\r\n", ""),
        ("503 Service Unavailable", "", "<html>"),
        ("204 No Content", "", ""),
    ] {
        let answer = answer(status, headers, body);
        let (reply, _) = send(answer, &limits::limits()).await;
        let reply = reply.unwrap();
        assert_eq!(reply.status.to_string(), status[..3]);
        assert_eq!((&reply.body[..], reply.usage), (body.as_bytes(), None));
        assert_eq!(reply.header("location").is_some(), !headers.is_empty());
    }
}

#[tokio::test]
async fn a_cut_connection_may_have_reached_salesforce() {
    let call = limits::limits();
    for cut in ["", "HTTP/1.1 200 OK\r\ncontent-", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\""] {
        let (reply, _) = send(cut.as_bytes().to_vec(), &call).await;
        let Err(CallError::Transport { text, sent: true }) = reply else { panic!("{cut}: {reply:?}") };
        assert!(!text.contains("127.0.0.1") && !text.contains("s3cret"), "{text}");
    }
}

#[tokio::test]
async fn a_refused_connection_has_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = HttpClient::new().unwrap();
    let reply = client.send(&token(&url), "66.0", &limits::limits()).await;
    assert!(matches!(&reply, Err(CallError::Transport { sent: false, .. })), "{reply:?}");
    let answer =
        client.post_cometd(&token(&url), "66.0", "", "[]".into(), None, Duration::from_secs(5)).await;
    assert!(matches!(&answer, Err(Failure::Unreachable(_))), "{answer:?}");
    let login = client.login(&credentials(&url), 0).await;
    assert!(matches!(&login, Err(LoginError::Transport { sent: false, .. })), "{login:?}");
}

#[tokio::test]
async fn silence_ends_with_the_calls_own_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = HttpClient::new().unwrap();
    let call = Call { timeout: Duration::from_millis(50), ..limits::limits() };
    let reply = client.send(&token(&url), "66.0", &call).await;
    assert!(matches!(&reply, Err(CallError::Transport { sent: true, .. })), "{reply:?}");
    let answer =
        client.post_cometd(&token(&url), "66.0", "", "[]".into(), None, Duration::from_millis(50)).await;
    assert_eq!(answer, Err(Failure::TimedOut));
}

/// A slow network is not a dead one.
#[tokio::test]
async fn a_body_may_take_longer_than_its_beginning_while_it_flows() {
    let patience = Duration::from_millis(200);
    for (pause_ms, whole) in [(60, true), (600, false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            request_of(&mut socket).await;
            for part in ["HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n1", "2", "3", "4", "5", "6", "7"] {
                // A client that has had enough may close first.
                let _ = socket.write_all(part.as_bytes()).await;
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            }
        });
        let answer =
            exchange_in_time(Client::new().get(&url), BodyBudget::default().body(100), patience, patience)
                .await;
        match answer {
            Ok((200, _, body)) if whole => assert_eq!(&body[..], b"1234567"),
            Err(ExchangeError::TimedOut(_)) if !whole => {}
            _ => panic!("with pauses of {pause_ms} ms"),
        }
        task.abort();
    }
}

#[tokio::test]
async fn bodies_are_bounded_announced_or_not() {
    let request = |url: &str| Client::new().get(url);
    let client = HttpClient::new().unwrap();
    let announced = answer("200 OK", "", &"x".repeat(11));
    let chunked =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\nghijk\r\n0\r\n\r\n"
            .to_vec();
    for answer in [announced, chunked] {
        let (url, task) = server(vec![answer.clone(), answer]).await;
        let refused = client.exchange(request(&url), 10).await;
        assert!(matches!(
            refused,
            Err(ExchangeError::TooLarge { status: 200, limit: BodyTooLarge::Bytes(10) })
        ));
        assert!(matches!(client.exchange(request(&url), 11).await, Ok((200, _, body)) if body.len() == 11));
        task.await.unwrap();
    }
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\nx", REPLY_BYTES_MAX + 1);
    let (reply, _) = send(huge.into_bytes(), &versions::versions()).await;
    assert!(matches!(&reply, Err(CallError::Unreadable { status: 200, .. })), "{reply:?}");
}

#[tokio::test]
async fn a_compressed_body_is_unpacked() {
    let body = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x8b, 0x8e, 5, 0, 0x29, 0xbb, 0x4c, 0x0d, 2, 0, 0, 0];
    let mut answer =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len())
            .into_bytes();
    answer.extend(body);
    let (reply, _) = send(answer, &limits::limits()).await;
    assert_eq!(&reply.unwrap().body[..], b"[]");
}

#[tokio::test]
async fn a_message_goes_to_cometd_and_all_cookies_come_back() {
    let headers = "Set-Cookie: BAYEUX_BROWSER=a; Path=/cometd/\r\nSet-Cookie: sfdc-stream=!b=; path=/\r\n";
    let (url, task) = server(vec![answer("200 OK", headers, "[{}]")]).await;
    let client = HttpClient::new().unwrap();
    let timeout = Duration::from_secs(30);
    let answer = client
        .post_cometd(&token(&url), "66.0", "/connect", r#"[{"id":"1"}]"#.into(), Some("a=b; c=d"), timeout)
        .await
        .unwrap();
    assert_eq!(answer.set_cookies, ["BAYEUX_BROWSER=a; Path=/cometd/", "sfdc-stream=!b=; path=/"]);
    assert_eq!((answer.status, &answer.body[..]), (200, &b"[{}]"[..]));
    let request = task.await.unwrap().remove(0);
    assert!(request.starts_with("POST /cometd/66.0/connect HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains("\r\ncookie: a=b; c=d\r\n") && request.contains("content-type: application/json")
    );
    assert!(request.ends_with("\r\n\r\n[{\"id\":\"1\"}]"), "{request}");
}

fn credentials(url: &str) -> Login {
    let flow = Flow::ClientCredentials { client_id: "key".into(), client_secret: "a&b=c".into() };
    Login { login_url: Url::parse(url).unwrap(), flow, instance_hosts: Vec::new() }
}

#[tokio::test]
async fn a_login_is_one_form() {
    let body = r#"{"access_token":"t","instance_url":"http://127.0.0.1:9",
        "id":"http://x/id/00Dx0000000BV7z/005x00000012Q9P"}"#;
    let refusal = r#"{"error":"rate_limit_exceeded","error_description":"login rate exceeded"}"#;
    let (url, task) = server(vec![answer("200 OK", "", body), answer("400 Bad Request", "", refusal)]).await;
    let client = HttpClient::new().unwrap();
    let token = client.login(&credentials(&url), 0).await.unwrap();
    assert_eq!(token.instance_url.as_str(), "http://127.0.0.1:9/");
    let error = client.login(&credentials(&url), 0).await.unwrap_err();
    assert_eq!(error.class(), LoginClass::RateLimited);
    let request = task.await.unwrap().remove(0);
    assert!(request.starts_with("POST /services/oauth2/token HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\ngrant_type=client_credentials&client_id=key&client_secret=a%26b%3Dc"));
    assert!(!request.contains("authorization"), "{request}");
}

#[tokio::test]
async fn a_refused_audience_is_changed_once() {
    let refusal = r#"{"error":"invalid_grant","error_description":"audience is invalid"}"#;
    let refusal = || answer("400 Bad Request", "", refusal);
    let (url, task) = server(vec![refusal(), refusal()]).await;
    let error = HttpClient::new().unwrap().login(&by_jwt(&url), 0).await.unwrap_err();
    assert_eq!(error.class(), LoginClass::Audience);
    let requests = task.await.unwrap();
    assert_eq!(requests.len(), 2);
    assert_ne!(requests[0], requests[1]);
}

#[tokio::test]
async fn an_assertion_called_invalid_is_signed_anew_by_the_orgs_clock_once() {
    let refusal = r#"{"error":"invalid_grant","error_description":"invalid assertion"}"#;
    let headers = "date: Sun, 29 Nov 2026 12:00:00 GMT\r\n";
    let refusal = || answer("400 Bad Request", headers, refusal);
    let (url, task) = server(vec![refusal(), refusal()]).await;
    let error = HttpClient::new().unwrap().login(&by_jwt(&url), 1_000).await.unwrap_err();
    assert!(error.class() == LoginClass::Resign && error.is_permanent(), "{error}");
    let requests = task.await.unwrap();
    let expirations: Vec<i64> = requests.iter().map(|request| expiration(request)).collect();
    assert_eq!(expirations, [1_000 + ASSERTION_SECS, 1_795_953_600 + ASSERTION_SECS]);
}

/// `exp` of the assertion in a request.
fn expiration(request: &str) -> i64 {
    let assertion = request.rsplit_once("assertion=").unwrap().1;
    let claims = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(assertion).unwrap().claims;
    claims["exp"].as_i64().unwrap()
}

/// The new refresh token must reach the caller even though the answer's host is one that no token is sent to.
#[tokio::test]
async fn a_rotated_refresh_token_is_told_with_an_answer_that_is_refused() {
    let body = r#"{"access_token":"t","refresh_token":"5Aep.new","instance_url":"https://elsewhere.example",
        "id":"https://x/id/00Dx0000000BV7z/005x00000012Q9P"}"#;
    let refusal = r#"{"error":"invalid_grant","refresh_token":"5Aep.none"}"#;
    let answers = vec![answer("200 OK", "", body), answer("400 Bad Request", "", refusal)];
    let (url, task) = server(answers).await;
    let flow = Flow::RefreshToken {
        client_id: "key".into(),
        client_secret: None,
        refresh_token: Some("5Aep!old=".into()),
    };
    let login = Login { login_url: Url::parse(&url).unwrap(), flow, instance_hosts: Vec::new() };
    let client = HttpClient::new().unwrap();
    let reply = client.log_in(&login, 0).await;
    assert!(matches!(reply.token, Err(LoginError::Instance { .. })), "{reply:?}");
    assert_eq!(reply.refresh_token.unwrap().expose_secret(), "5Aep.new");
    let refused = client.log_in(&login, 0).await;
    assert_eq!(refused.token.unwrap_err().class(), LoginClass::Reauthorise);
    assert!(refused.refresh_token.is_none());
    let request = task.await.unwrap().remove(0);
    assert!(
        request.ends_with("\r\n\r\ngrant_type=refresh_token&refresh_token=5Aep%21old%3D&client_id=key"),
        "{request}"
    );
}

fn by_jwt(url: &str) -> Login {
    let flow = Flow::Jwt {
        client_id: "key".into(),
        username: "u@x.example".into(),
        key_pem: crate::oauth::tests::PKCS8.into(),
        audience: None,
    };
    Login { login_url: Url::parse(url).unwrap(), flow, instance_hosts: Vec::new() }
}

#[test]
fn no_path_leads_out_of_the_org() {
    let instance = Url::parse("https://acme.my.salesforce.com").unwrap();
    for path in ["//other.example/x", "/@other.example/", "/..//other.example"] {
        let url = in_org(&instance, path).unwrap();
        assert_eq!(url.host_str(), Some("acme.my.salesforce.com"), "{path}");
    }
    for path in ["", "@other.example/", ".other.example/", ":8443/x", "https://other.example/"] {
        assert_eq!(in_org(&instance, path), None, "{path}");
    }
}
