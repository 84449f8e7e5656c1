//! The event that asks for a sync: which records, why.
//!
//! Here: reading a payload. Not here: the channel (`salesforce::cometd`), the records themselves.

use serde_json::Value;

use crate::{
    id_list::{self, BadId, RecordIds},
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
    /// A list of record IDs.
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
    /// Record IDs of 18 characters, each once, in the event's order.
    pub ids: Vec<String>,
    /// What stands among them and is none; never empty if there are no IDs.
    pub bad: Vec<EventProblem>,
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
    #[error("entry {} of `{field}` {}", bad.place, bad.fault.sentence())]
    NotAnId {
        /// The field that was read.
        field: String,
        /// What is wrong with which entry.
        bad: BadId,
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
            Self::NotAnId { field, bad } if bad.cut => format!(
                "The list ends at 255 characters, so it was cut; publish it in a longer field than `{field}`, or fewer IDs."
            ),
            Self::NotAnId { .. } => {
                "Publish record IDs as Salesforce gives them, with commas between; the list's other records are taken."
                    .to_owned()
            }
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
    let field = namespaced(namespace, &fields.ids);
    let RecordIds { ids, bad } = ids(payload, &field)?;
    let bad = bad.into_iter().map(|bad| EventProblem::NotAnId { field: field.clone(), bad }).collect();
    Ok(EventRequest {
        ids,
        bad,
        object: note(&fields.object),
        reason: note(&fields.reason),
        correlation_id: note(&fields.correlation_id),
    })
}

fn ids(payload: &Row, field: &str) -> Result<RecordIds, EventProblem> {
    let too_many = || EventProblem::TooMany { field: field.to_owned() };
    let no_ids = || EventProblem::NoIds { field: field.to_owned() };
    let list = row::get(payload, field).and_then(Value::as_str).ok_or_else(no_ids)?;
    if list.len() > LIST_CHARS_MAX {
        return Err(too_many());
    }
    let found = id_list::read(list);
    match (found.ids.len(), found.bad.len()) {
        (0, 0) => Err(no_ids()),
        (good, bad) if good > IDS_MAX || bad > IDS_MAX => Err(too_many()),
        _ => Ok(found),
    }
}

fn note(payload: &Row, field: &str) -> Option<String> {
    let text = row::get(payload, field)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.chars().take(NOTE_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests;
