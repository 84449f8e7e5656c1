//! `/limits`: how much of the day's API calls and event deliveries the org has left.
//!
//! Here: the call and the reading of its answer. Not here: how much of it may be spent (the caller).

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{
    call::{Call, CallKind, Reply, VERSION_MARK},
    failure::CallError,
    limits::{ApiUsage, SMALL_TIMEOUT},
};

/// Of some hundred allowances the two that are looked at.
#[derive(Deserialize)]
struct Allowances {
    #[serde(rename = "DailyApiRequests", default, deserialize_with = "allowance")]
    api_requests: Option<Allowance>,
    #[serde(rename = "DailyDeliveredPlatformEvents", default, deserialize_with = "allowance")]
    deliveries: Option<Allowance>,
}

struct Allowance {
    max: i64,
    remaining: i64,
}

/// None unless both numbers are there.
fn allowance<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Allowance>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = |name: &str| value.get(name).and_then(Value::as_i64);
    Ok(number("Max").zip(number("Remaining")).map(|(max, remaining)| Allowance { max, remaining }))
}

/// Asks for the limits; itself an API call, and the running user needs "View Setup and Configuration" (RESTDOC
/// `resources_limits`).
pub fn limits() -> Call {
    Call::get(CallKind::Limits, format!("/services/data/{VERSION_MARK}/limits"), SMALL_TIMEOUT)
}

/// The day's API calls. Other keys come and go with edition and version; they are passed over.
pub fn usage(reply: &Reply) -> Result<ApiUsage, CallError> {
    let answer: Allowances = reply.json_as()?;
    let Some(Allowance { max, remaining }) = answer.api_requests else {
        return Err(reply.unreadable("`DailyApiRequests` with `Max` and `Remaining` is missing"));
    };
    // An org that overruns its allowance for a while shows a negative rest.
    let used = max.saturating_sub(remaining);
    Ok(ApiUsage { used: u64::try_from(used).unwrap_or(0), max: u64::try_from(max).unwrap_or(0) })
}

/// The day's deliveries of platform events to CometD clients and the like, of all subscribers: left, allowed.
pub fn deliveries(reply: &Reply) -> Option<(u64, u64)> {
    let Allowance { max, remaining } = reply.json_as::<Allowances>().ok()?.deliveries?;
    Some((u64::try_from(remaining).unwrap_or(0), u64::try_from(max).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
