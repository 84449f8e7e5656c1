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

/// Asks for all objects that the running user may see (RESTDOC `resources_describeGlobal`).
pub fn objects() -> Call {
    Call::get(format!("/services/data/{VERSION_MARK}/sobjects"), SMALL_TIMEOUT)
}

/// Their names.
pub fn names(reply: &Reply) -> Result<Vec<String>, CallError> {
    let answer = reply.json()?;
    let list = answer.get("sobjects").and_then(Value::as_array);
    let list = list.ok_or_else(|| reply.unreadable("a list of objects without `sobjects`"))?;
    let names = list.iter().filter_map(|object| object.get("name")?.as_str());
    Ok(names.map(str::to_owned).collect())
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

    #[test]
    fn the_list_of_objects_is_read_by_name() {
        let body = r#"{"encoding":"UTF-8","sobjects":[{"name":"Account"},{"name":"a__B__c"},{"label":"x"}]}"#;
        assert_eq!(names(&reply(200, body)).unwrap(), ["Account", "a__B__c"]);
        assert!(matches!(names(&reply(200, "{}")), Err(CallError::Unreadable { .. })));
    }
}
