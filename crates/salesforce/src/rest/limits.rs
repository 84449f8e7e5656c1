//! `/limits`: how much of the day's API calls and event deliveries the org has left.
//!
//! Here: the call and the reading of its answer. Not here: how much of it may be spent (the caller).

use serde_json::Value;

use crate::{
    call::{Call, Reply, VERSION_MARK},
    failure::CallError,
    limits::{ApiUsage, SMALL_TIMEOUT},
};

/// Asks for the limits; itself an API call, and the running user needs "View Setup and Configuration" (RESTDOC
/// `resources_limits`).
pub fn limits() -> Call {
    Call::get(format!("/services/data/{VERSION_MARK}/limits"), SMALL_TIMEOUT)
}

/// The day's API calls. Other keys come and go with edition and version; they are passed over.
pub fn usage(reply: &Reply) -> Result<ApiUsage, CallError> {
    let answer = reply.json()?;
    let number = |name: &str| answer.get("DailyApiRequests")?.get(name).and_then(Value::as_i64);
    let (Some(max), Some(remaining)) = (number("Max"), number("Remaining")) else {
        return Err(reply.unreadable("`DailyApiRequests` with `Max` and `Remaining` is missing"));
    };
    // An org that overruns its allowance for a while shows a negative rest.
    let used = max.saturating_sub(remaining);
    Ok(ApiUsage { used: u64::try_from(used).unwrap_or(0), max: u64::try_from(max).unwrap_or(0) })
}

/// The day's deliveries of platform events to CometD clients and the like, of all subscribers: left, allowed.
pub fn deliveries(reply: &Reply) -> Option<(u64, u64)> {
    let answer = reply.json().ok()?;
    let number = |name: &str| answer.get("DailyDeliveredPlatformEvents")?.get(name).and_then(Value::as_i64);
    let (max, remaining) = (number("Max")?, number("Remaining")?);
    Some((u64::try_from(remaining).unwrap_or(0), u64::try_from(max).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
