//! The event that asks for a sync: which records, why.
//!
//! Here: reading a payload. Not here: the channel (`salesforce::cometd`), the records themselves.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    id,
    name::namespaced,
    row::{self, Row},
};

/// Record IDs in one event. The package publishes at most 100; a vendor's own event may carry more.
pub const IDS_MAX: usize = 200;
/// Characters of an ID list read at all: IDs of 18 characters, a comma and a few blanks each.
const LIST_CHARS_MAX: usize = 32_768;
/// Characters kept of reason and correlation ID.
const NOTE_CHARS_MAX: usize = 255;

/// Names of the event's fields; the namespace is added where it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFields {
    /// Comma-separated record IDs.
    pub ids: String,
    /// The object's API name.
    pub object: Option<String>,
    /// Why the sync is asked for.
    pub reason: Option<String>,
    /// Joins the event with logs of the org.
    pub correlation_id: Option<String>,
}

/// What an event asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRequest {
    /// The object's API name, if the event names it.
    pub object: Option<String>,
    /// Record IDs of 18 characters, each once, in the event's order; never empty.
    pub ids: Vec<String>,
    /// Why, if the event says.
    pub reason: Option<String>,
    /// Joins the event with logs of the org.
    pub correlation_id: Option<String>,
}

/// Why an event asks for nothing we can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventProblem {
    /// The field of IDs is missing or no text.
    #[error("the event has no text in `{field}`")]
    NoIds {
        /// The field that was looked for.
        field: String,
    },
    /// Something in the list is no record ID.
    #[error("entry {place} of `{field}` is no record ID of 15 or 18 characters")]
    NotAnId {
        /// The field that was read.
        field: String,
        /// Its place in the list, counted from 1.
        place: usize,
    },
    /// More IDs than an event may carry.
    #[error("`{field}` carries more than {IDS_MAX} record IDs")]
    TooMany {
        /// The field that was read.
        field: String,
    },
}

impl EventProblem {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoIds { field } => {
                format!(
                    "Let `event.ids` name the event's field of record IDs, or fill `{field}` when publishing."
                )
            }
            Self::NotAnId { .. } => "Publish record IDs separated by commas, nothing else.".to_owned(),
            Self::TooMany { .. } => format!("Publish several events of at most {IDS_MAX} records."),
        }
    }
}

/// Reads an event's payload.
pub fn parse_request(
    payload: &Row,
    fields: &EventFields,
    namespace: &str,
) -> Result<EventRequest, EventProblem> {
    let note =
        |name: &Option<String>| name.as_ref().and_then(|name| note(payload, &namespaced(namespace, name)));
    Ok(EventRequest {
        ids: ids(payload, namespaced(namespace, &fields.ids))?,
        object: note(&fields.object),
        reason: note(&fields.reason),
        correlation_id: note(&fields.correlation_id),
    })
}

fn ids(payload: &Row, field: String) -> Result<Vec<String>, EventProblem> {
    let Some(list) = row::get(payload, &field).and_then(Value::as_str) else {
        return Err(EventProblem::NoIds { field });
    };
    if list.len() > LIST_CHARS_MAX {
        return Err(EventProblem::TooMany { field });
    }
    let mut seen = BTreeSet::new();
    let mut ids = Vec::new();
    for (place, text) in list.split(',').map(str::trim).enumerate().filter(|(_, text)| !text.is_empty()) {
        let Some(id) = id::canonical(text) else {
            return Err(EventProblem::NotAnId { field, place: place + 1 });
        };
        if seen.insert(id.clone()) {
            ids.push(id);
        }
    }
    match ids.len() {
        0 => Err(EventProblem::NoIds { field }),
        count if count > IDS_MAX => Err(EventProblem::TooMany { field }),
        _ => Ok(ids),
    }
}

fn note(payload: &Row, field: &str) -> Option<String> {
    let text = row::get(payload, field)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.chars().take(NOTE_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests;
