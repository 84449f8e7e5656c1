//! Pages of records, and those that would lose some.

use super::*;
use crate::call::tests::reply;

#[test]
fn the_statement_is_a_parameter_and_the_next_page_a_path() {
    let call = query("SELECT Id FROM A WHERE T > 2026-01-01T00:00:00Z");
    assert_eq!(call.path, "/services/data/{v}/query");
    assert_eq!(call.query, [("q".to_owned(), "SELECT Id FROM A WHERE T > 2026-01-01T00:00:00Z".to_owned())]);
    assert!(call.idempotent);
    for url in [
        "/services/data/v66.0/query/01gx-2000",
        "https://a.my.salesforce.com/services/data/v66.0/query/01gx-2000",
    ] {
        assert_eq!(next(url).path, "/services/data/v66.0/query/01gx-2000");
    }
}

#[test]
fn only_done_tells_the_end() {
    let rows = r#"[{"attributes":{"type":"A"},"Id":"001","Parent":null}]"#;
    for (rest, next) in [
        (r#""done":true"#, None),
        (r#""done":true,"nextRecordsUrl":"/x""#, None),
        (r#""done":false,"nextRecordsUrl":"/x""#, Some("/x")),
    ] {
        let page = page(&reply(200, format!(r#"{{"totalSize":7,{rest},"records":{rows}}}"#))).unwrap();
        assert_eq!((page.total, page.records.len(), page.next.as_deref()), (7, 1, next), "{rest}");
        assert_eq!(page.records[0]["Id"], "001");
    }
}

#[test]
fn what_would_lose_records_is_unreadable() {
    for body in [
        r#"{"totalSize":7,"done":false,"records":[]}"#,
        r#"{"totalSize":7,"records":[]}"#,
        r#"{"done":true,"records":[]}"#,
        r#"{"totalSize":7,"done":true}"#,
        r#"{"totalSize":1,"done":true,"records":[null]}"#,
        r#"{"totalSize":1,"done":true,"records":[{"Kids":{"totalSize":9,"done":false,"records":[]}}]}"#,
        r#"{"totalSize":1,"done":true,"records":[{"Id":"0"#,
        "[]",
        "<html>login</html>",
    ] {
        assert!(matches!(page(&reply(200, body)), Err(CallError::Unreadable { .. })), "{body}");
    }
    let empty = r#"{"totalSize":0,"done":true,"records":[]}"#;
    assert!(page(&reply(200, empty)).unwrap().records.is_empty());
}
