//! How many API calls are used, by what remains.

use super::*;
use crate::call::tests::reply;

#[test]
fn use_is_what_no_longer_remains() {
    for (body, used, max) in [
        (r#"{"DailyApiRequests":{"Max":15000,"Remaining":14998}}"#, 2, 15_000),
        (r#"{"DailyApiRequests":{"Max":5,"Remaining":0,"App":{"Max":0,"Remaining":0}},"X":{}}"#, 5, 5),
        (r#"{"DailyApiRequests":{"Max":5,"Remaining":-2}}"#, 7, 5),
        (r#"{"DailyApiRequests":{"Max":0,"Remaining":0}}"#, 0, 0),
    ] {
        assert_eq!(usage(&reply(200, body)), Ok(ApiUsage { used, max }), "{body}");
    }
    assert!(matches!(usage(&reply(200, r#"{"Other":{"Max":1}}"#)), Err(CallError::Unreadable { .. })));
}
