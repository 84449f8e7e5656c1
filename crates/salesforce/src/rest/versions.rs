//! The API versions an org offers.
//!
//! Here: the call and the reading of its answer. Not here: which version is used (the settings).

use serde_json::Value;

use crate::{
    call::{Call, CallKind, Reply},
    failure::CallError,
    limits::SMALL_TIMEOUT,
};

/// Asks for the versions; costs no API call (RESTDOC `resources_versions`).
pub fn versions() -> Call {
    Call { cost: 0, ..Call::get(CallKind::Versions, "/services/data/", SMALL_TIMEOUT) }
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
mod tests;
