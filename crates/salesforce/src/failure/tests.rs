//! Answers that bring no result.

use crate::call::tests::reply;

use super::*;

#[test]
fn a_truncated_body_is_unreadable_and_worth_a_retry() {
    let error = reply(200, r#"[{"id":"001"#).json().unwrap_err();
    assert!(matches!(error, CallError::Unreadable { status: 200, .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Transient);
}
