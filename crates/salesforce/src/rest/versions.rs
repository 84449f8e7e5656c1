//! The API versions an org offers.

use serde_json::Value;

use crate::{
    call::{Call, Reply},
    failure::CallError,
    limits::SMALL_TIMEOUT,
};

/// Asks for the versions; costs no API call (RESTDOC `resources_versions`).
pub fn versions() -> Call {
    Call { cost: 0, ..Call::get("/services/data/", SMALL_TIMEOUT) }
}

/// Versions such as `66.0`, in Salesforce's order: oldest first.
pub fn parse(reply: &Reply) -> Result<Vec<String>, CallError> {
    let answer = reply.json()?;
    let items = answer.as_array().ok_or_else(|| reply.unreadable("the list of versions is no list"))?;
    let versions: Vec<_> = items
        .iter()
        .filter_map(|item| item.get("version").and_then(Value::as_str))
        .map(str::to_owned)
        .collect();
    if versions.is_empty() {
        return Err(reply.unreadable("the list of versions is empty"));
    }
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::reply;

    #[test]
    fn versions_are_free_and_listed_in_order() {
        let call = versions();
        assert_eq!((call.path.as_str(), call.cost), ("/services/data/", 0));
        let body = r#"[{"label":"Winter '26","url":"/services/data/v65.0","version":"65.0"},
                       {"label":"Spring '26","url":"/services/data/v66.0","version":"66.0"}]"#;
        assert_eq!(parse(&reply(200, body)).unwrap(), ["65.0", "66.0"]);
        for body in ["[]", "{}", r#"[{"label":"x"}]"#, "<html>"] {
            assert!(matches!(parse(&reply(200, body)), Err(CallError::Unreadable { .. })), "{body}");
        }
    }
}
