//! Requests as bytes, so that nothing stands between a test and what it wants to send, and what comes back.
//!
//! Here: putting a request together and taking its answers apart. Not here: which requests (`inputs`).

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How long an answer may take; a server that waits for more gives up before.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request before it is bytes.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Vec<u8>,
    /// Path and query.
    pub(crate) target: Vec<u8>,
    pub(crate) version: &'static str,
    /// Lines of the head, without their ends.
    pub(crate) head: Vec<Vec<u8>>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str, host: &str, token: &str) -> Self {
        let mut request = Self {
            method: method.into(),
            target: target.into(),
            version: "HTTP/1.1",
            head: Vec::new(),
            body: Vec::new(),
        };
        request.line("Host", host);
        request.line("Connection", "close");
        if !token.is_empty() {
            request.line("Authorization", &format!("Bearer {token}"));
        }
        request
    }

    pub(crate) fn line(&mut self, name: &str, value: &str) {
        self.head.push(format!("{name}: {value}").into_bytes());
    }

    /// Takes out the lines of that name.
    pub(crate) fn without(&mut self, name: &str) {
        let start = format!("{name}:").into_bytes();
        self.head.retain(|line| !line.starts_with(&start));
    }

    /// Gives it a body with a length and a type.
    pub(crate) fn with_body(&mut self, kind: &str, body: impl Into<Vec<u8>>) {
        self.body = body.into();
        self.without("Content-Length");
        self.without("Content-Type");
        self.line("Content-Length", &self.body.len().to_string());
        if !kind.is_empty() {
            self.line("Content-Type", kind);
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let first = [&self.method[..], b" ", &self.target, b" ", self.version.as_bytes(), b"\r\n"].concat();
        let head: Vec<u8> = self.head.iter().flat_map(|line| [line, &b"\r\n"[..]].concat()).collect();
        [first, head, b"\r\n".to_vec(), self.body.clone()].concat()
    }
}

/// All that came back on one connection.
#[derive(Debug)]
pub(crate) struct Answer {
    /// As text; what is no UTF-8 in it is replaced.
    pub(crate) text: String,
    /// The status of each answer; a request that is taken for two has two.
    pub(crate) statuses: Vec<u16>,
}

impl Answer {
    /// The head of the first answer.
    pub(crate) fn head(&self) -> &str {
        self.text.split("\r\n\r\n").next().unwrap_or_default()
    }

    pub(crate) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    pub(crate) fn has_header(&self, name: &str) -> bool {
        let start = format!("{name}:");
        self.head().lines().any(|line| line.to_ascii_lowercase().starts_with(&start))
    }
}

/// Sends the bytes and reads until the other side ends; a connection that is cut is an answer, too.
pub(crate) async fn send(address: &str, bytes: &[u8]) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let mut received = Vec::new();
        let (mut from, mut to) = stream.split();
        let write = async {
            // It may have answered and hung up before all is sent.
            let _ = to.write_all(bytes).await;
            let _ = to.shutdown().await;
        };
        let read = async {
            let _ = from.read_to_end(&mut received).await;
        };
        futures_util::future::join(write, read).await;
        received
    };
    let received = tokio::time::timeout(PATIENCE, exchange).await;
    let received = received.unwrap_or_else(|_| {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        panic!("it was left waiting for more than {PATIENCE:?}: {start:?}")
    });
    let text = String::from_utf8_lossy(&received).into_owned();
    // That it may go on is no answer yet.
    let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").map(str::to_owned).unwrap_or(text);
    let statuses = text.split("HTTP/1.").skip(1).filter_map(|rest| rest.get(2..5)?.parse().ok()).collect();
    Answer { text, statuses }
}
