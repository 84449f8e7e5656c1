//! Faults a test asks an org for.
//!
//! Here: which request is hit and how. Not here: performing it (`server.rs`).

use serde::Deserialize;

/// How a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Harm {
    /// Answered with this status, without being done.
    Status(u16),
    /// Done, but the connection breaks in the middle of the answer.
    LoseAnswer,
}

/// The next `count` requests whose path contains `path` are harmed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Fault {
    pub(crate) path: String,
    pub(crate) harm: Harm,
    pub(crate) count: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.waiting.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The harm due to a request to this path, counted down.
    pub(crate) fn strike(&mut self, path: &str) -> Option<Harm> {
        let at = self.waiting.iter().position(|fault| fault.count > 0 && path.contains(&fault.path))?;
        let fault = &mut self.waiting[at];
        fault.count -= 1;
        let harm = fault.harm;
        if fault.count == 0 {
            self.waiting.remove(at);
        }
        Some(harm)
    }
}

/// What Salesforce's edge or application server sends with such a status: (content type, body).
pub(crate) fn body(status: u16) -> (&'static str, String) {
    let json = |code: &str, message: &str| {
        ("application/json;charset=UTF-8", format!(r#"[{{"message":"{message}","errorCode":"{code}"}}]"#))
    };
    match status {
        401 => json("INVALID_SESSION_ID", "Session expired or invalid"),
        403 => json("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
        406 => ("text/plain", String::new()),
        420 => ("text/html", "<html><body>We are setting things up. Please wait.</body></html>".to_owned()),
        429 => json("REQUEST_LIMIT_EXCEEDED", "Too many requests"),
        500 => {
            json("UNKNOWN_EXCEPTION", "An unexpected error occurred. Please include this ErrorId: 1-1 (1)")
        }
        503 => json("SERVER_UNAVAILABLE", "Server Unavailable"),
        _ => ("text/html", format!("<html><body><h1>{status}</h1></body></html>")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_matching_paths_as_often_as_asked() {
        let mut faults = Faults::default();
        faults.add(Fault { path: "/composite".to_owned(), harm: Harm::Status(503), count: 2 });
        let strikes = ["/a/query", "/a/composite/sobjects", "/a/composite", "/a/composite"]
            .map(|path| faults.strike(path));
        assert_eq!(strikes, [None, Some(Harm::Status(503)), Some(Harm::Status(503)), None]);
    }
}
