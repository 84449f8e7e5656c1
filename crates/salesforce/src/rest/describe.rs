//! What an object looks like to the running user. A field hidden from that user is simply absent.

use serde_json::Value;

use crate::{
    Row,
    call::{Call, Reply, VERSION_MARK, segment},
    failure::CallError,
    limits::SMALL_TIMEOUT,
};

/// A description as received; it has at least a list of fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// The JSON.
    pub row: Row,
    /// When it was changed last, to be given back with the next question.
    pub last_modified: Option<String>,
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

/// Asks for an object's fields (RESTDOC `resources_sobject_describe`); with the time that an earlier answer told, only if
/// they have changed since (RESTDOC `intro_rest_conditional_requests`).
pub fn describe(object: &str, last_modified: Option<&str>) -> Call {
    let path = format!("/services/data/{VERSION_MARK}/sobjects/{}/describe", segment(object));
    let mut call = Call::get(path, SMALL_TIMEOUT);
    call.headers.extend(last_modified.map(|time| ("If-Modified-Since", time.to_owned())));
    call
}

/// The description; none if it is as it was.
pub fn parse(reply: &Reply) -> Result<Option<Described>, CallError> {
    if reply.status == 304 {
        return Ok(None);
    }
    match reply.json()? {
        Value::Object(row) if row.get("fields").is_some_and(Value::is_array) => {
            Ok(Some(Described { row, last_modified: reply.header("last-modified").map(str::to_owned) }))
        }
        _ => Err(reply.unreadable("a description without a list of fields")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{call::reply, error::ErrorClass};

    #[test]
    fn a_description_has_fields_and_may_be_as_it_was() {
        let call = describe("A__c", None);
        assert_eq!(
            (call.path.as_str(), call.headers.len()),
            ("/services/data/{v}/sobjects/A__c/describe", 0)
        );
        let time = "Wed, 25 Nov 2026 14:00:00 GMT";
        assert_eq!(describe("A__c", Some(time)).headers, [("If-Modified-Since", time.to_owned())]);
        let mut fresh = reply(200, r#"{"name":"A__c","fields":[]}"#);
        fresh.headers.push(("last-modified".to_owned(), time.to_owned()));
        let described = parse(&fresh).unwrap().expect("a description");
        assert_eq!(
            (described.row["name"].as_str(), described.last_modified.as_deref()),
            (Some("A__c"), Some(time))
        );
        assert_eq!(parse(&reply(304, "")).unwrap(), None);
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
