//! Change events: which records changed, and whether that matters to a sync.
//!
//! Here: reading a `ChangeEventHeader` (Change Data Capture Developer Guide, "Change Event Message Structure", "Gap
//! Events", "Overflow Events"). Not here: the channel (`salesforce::cometd`), the records themselves: a change event
//! may lack what did not change, so every record is read anew.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{
    compound::FieldName,
    id::{self, Fault},
    id_list::RecordIds,
    mapping::Mapping,
    row::{self, Row},
};

/// What Salesforce writes by itself in each save.
const SYSTEM_FIELDS: [&str; 3] = ["LastModifiedDate", "LastModifiedById", "SystemModstamp"];
/// Stands for "too many to list" in overflow events.
const NO_ID: &str = "000000000000000AAA";

/// What a change event asks of one sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeRequest {
    /// These records changed, or may have (a gap event says no more); never empty.
    Records(RecordIds),
    /// Any record of the object may have changed in a transaction that ended then, Unix milliseconds.
    Anything {
        /// None when the event does not say.
        since_ms: Option<u64>,
    },
    /// Nothing: another object, a deletion, a field nobody watches, or our own write.
    Nothing,
}

/// Why a change event cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeProblem {
    /// It is no change event.
    #[error("the event has no `ChangeEventHeader` with `entityName` and `recordIds`")]
    NoHeader,
    /// Something in the list is no record ID.
    #[error("entry {place} of `recordIds` {}", fault.sentence())]
    NotAnId {
        /// Its place in the list, counted from 1.
        place: usize,
        /// What is wrong with it.
        fault: Fault,
    },
}

impl ChangeProblem {
    /// What to do about it.
    pub fn hint(&self) -> String {
        "Check that the sync's channel carries change events; then start a refresh of the sync.".to_owned()
    }
}

/// By what our own writes are known.
#[derive(Clone, Copy, Debug)]
pub struct Ourselves<'a> {
    /// The ID of the user that orgpipe works as, once it is known.
    pub user: Option<&'a str>,
    /// What each of our calls names itself (`Sforce-Call-Options`).
    pub client: &'a str,
}

/// Reads a change event's payload. `watch`: fields of the object whose change matters, empty = all.
///
/// Our own write is one by our user, and by our client where one is named, that changed only fields which the sync itself
/// writes; it is passed over, so that no loop can start. While our user is not known, our client alone is enough. Whatever cannot be told apart for sure is asked for: that costs a look-up, the other error would
/// cost data.
pub fn parse_change(
    payload: &Row,
    mapping: &Mapping,
    watch: &[String],
    ourselves: Ourselves<'_>,
) -> Result<ChangeRequest, ChangeProblem> {
    let header = row::get(payload, "ChangeEventHeader").and_then(Value::as_object);
    let header = header.ok_or(ChangeProblem::NoHeader)?;
    let text = |name| header.get(name).and_then(Value::as_str);
    let entity = text("entityName").ok_or(ChangeProblem::NoHeader)?;
    if !entity.eq_ignore_ascii_case(mapping.object()) {
        return Ok(ChangeRequest::Nothing);
    }
    let kind = text("changeType").unwrap_or_default();
    let anything =
        ChangeRequest::Anything { since_ms: header.get("commitTimestamp").and_then(Value::as_u64) };
    if kind.ends_with("OVERFLOW") {
        return Ok(anything);
    }
    if kind.ends_with("DELETE") && !kind.ends_with("UNDELETE") {
        return Ok(ChangeRequest::Nothing);
    }
    if kind == "UPDATE" && (!is_watched(header, watch) || is_own(header, mapping, ourselves)) {
        return Ok(ChangeRequest::Nothing);
    }
    let ids = header.get("recordIds").and_then(Value::as_array).filter(|ids| !ids.is_empty());
    let (mut seen, mut found) = (BTreeSet::new(), RecordIds::default());
    for (place, listed) in ids.ok_or(ChangeProblem::NoHeader)?.iter().enumerate() {
        let listed = listed.as_str().unwrap_or_default();
        // `001*` stands for many records of one object.
        if listed.ends_with('*') || listed == NO_ID {
            return Ok(anything);
        }
        found.add(&mut seen, place + 1, listed);
    }
    Ok(ChangeRequest::Records(found))
}

/// The changed fields, if the event names them. Those that were emptied or that are sent as a difference are listed
/// beside the others in some forms of the event.
fn changed(header: &Map<String, Value>) -> Option<Vec<FieldName>> {
    let mut all = Vec::new();
    for list in ["changedFields", "nulledFields", "diffFields"] {
        let Some(fields) = header.get(list).filter(|fields| !fields.is_null()) else { continue };
        for field in fields.as_array()? {
            all.push(FieldName::of(field.as_str()?));
        }
    }
    (!all.is_empty()).then_some(all)
}

/// Whether a field that changed may be one of those; the whole of a compound field stands for its parts and back.
fn is_watched(header: &Map<String, Value>, watch: &[String]) -> bool {
    let Some(changed) = changed(header).filter(|_| !watch.is_empty()) else { return true };
    let watch: Vec<FieldName> = watch.iter().map(|name| FieldName::of(name)).collect();
    changed.iter().any(|changed| watch.iter().any(|watched| watched.meets(changed)))
}

/// What the client of a change called itself: `com/salesforce/api/rest/66.0;client=orgpipe`. A change by no API has no
/// origin, and one by a client that does not name itself has no name in it ("ChangeEventHeader Fields": `changeOrigin`).
fn client(origin: &str) -> Option<&str> {
    origin.rsplit_once(";client=").map(|(_, client)| client.trim_end_matches('/'))
}

/// A part of a compound field is ours if its own field is; of a whole nobody knows which part has changed.
fn is_own(header: &Map<String, Value>, mapping: &Mapping, ourselves: Ourselves<'_>) -> bool {
    let text = |name| header.get(name).and_then(Value::as_str);
    let user = text("commitUser").and_then(id::canonical);
    let client = text("changeOrigin").and_then(client);
    let ours = match user.zip(ourselves.user.and_then(id::canonical)) {
        Some((user, ours)) => user == ours && client.is_none_or(|client| client == ourselves.client),
        None => client == Some(ourselves.client),
    };
    let written = |name: &FieldName| {
        let fields = mapping.fields().iter().map(|(field, _)| field.as_str());
        fields
            .chain([mapping.key_field()])
            .chain(SYSTEM_FIELDS)
            .any(|own| own.eq_ignore_ascii_case(&name.flat))
    };
    ours && mapping.target().eq_ignore_ascii_case(mapping.object())
        && changed(header).is_some_and(|fields| fields.iter().all(written))
}

#[cfg(test)]
mod tests;
