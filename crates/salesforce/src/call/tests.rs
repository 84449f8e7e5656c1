//! Paths that stay inside the org. Also the reply that other tests read.

use super::*;

/// An answer without headers.
pub(crate) fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    Reply { status, headers: Vec::new(), body: body.into(), usage: None }
}

#[test]
fn a_segment_cannot_change_the_path() {
    for (text, encoded) in [
        ("a/b", "a%2Fb"),
        ("a b+c", "a%20b%2Bc"),
        ("50%", "50%25"),
        ("x?y#z", "x%3Fy%23z"),
        ("A-1_~.", "A-1_~."),
    ] {
        assert_eq!(segment(text), encoded);
    }
}

#[test]
fn a_link_never_leaves_the_instance() {
    for (link, path) in [
        ("/services/data/v66.0/query/01g-2000", "/services/data/v66.0/query/01g-2000"),
        ("services/data/v66.0/jobs/ingest/750/batches", "/services/data/v66.0/jobs/ingest/750/batches"),
        ("https://other.example/services/x?a=b%20c#d", "/services/x?a=b%20c"),
        ("//other.example/x", "/other.example/x"),
        ("https://other.example", "/"),
        ("", "/"),
    ] {
        assert_eq!(local_path(link), path);
    }
}
