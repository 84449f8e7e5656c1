//! What an object looks like to the running user. A field hidden from that user is simply absent.

use serde_json::Value;

use crate::{
    Row,
    call::{Call, Reply, VERSION_MARK, segment},
    error::CallError,
    limits::SMALL_TIMEOUT,
};

/// Asks for an object's fields (RESTDOC `resources_sobject_describe`).
pub fn describe(object: &str) -> Call {
    Call::get(format!("/services/data/{VERSION_MARK}/sobjects/{}/describe", segment(object)), SMALL_TIMEOUT)
}

/// The description as received; it has at least a list of fields.
pub fn parse(reply: &Reply) -> Result<Row, CallError> {
    match reply.json()? {
        Value::Object(row) if row.get("fields").is_some_and(Value::is_array) => Ok(row),
        _ => Err(reply.unreadable("a description without a list of fields")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{call::reply, error::ErrorClass};

    #[test]
    fn a_description_has_fields() {
        assert_eq!(describe("A__c").path, "/services/data/{v}/sobjects/A__c/describe");
        assert_eq!(parse(&reply(200, r#"{"name":"A__c","fields":[]}"#)).unwrap()["name"], "A__c");
        assert!(matches!(parse(&reply(200, r#"{"name":"A__c"}"#)), Err(CallError::Unreadable { .. })));
        let missing = r#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#;
        assert_eq!(parse(&reply(404, missing)).unwrap_err().class(), ErrorClass::Schema);
    }
}
