//! What a dead letter is retried as. Pure.
//!
//! Here: the requests in its place, or why there are none. Not here: who may ask for it (`dead_letters`), the commit in
//! which they take its place (the store).

use std::collections::BTreeMap;

use orgpipe_reconcile::{id, lookup};
use orgpipe_store::{DeadLetter, Lane, NewRequest, Subject, UnixMs};

use crate::{
    audit_trail::AuditTrail,
    capture::requests,
    problem::Problem,
    queue_entry::{ChangeEntry, EventEntry, Origin, RequestEntry, pack, unpack},
    settings::OrgSettings,
};

/// The requests in the place of a dead letter; or why there are none, and what to do about it.
pub(super) fn again(
    org: &OrgSettings,
    letter: &DeadLetter,
    now_ms: UnixMs,
) -> Result<Vec<NewRequest>, Problem> {
    let requests = if let Ok(change) = unpack::<ChangeEntry>(&letter.body) {
        known_sync(org, &change.sync)?;
        let mut records: BTreeMap<String, &[u8]> = BTreeMap::new();
        for Subject { record, trail, .. } in &letter.subjects {
            if let Some(id) = id::canonical(record) {
                records.entry(id).or_insert(trail);
            }
        }
        if records.is_empty() {
            records.insert(change.source_id, &[]);
        }
        records.into_iter().map(|(id, trail)| request(&change.sync, vec![id], trail, now_ms)).collect()
    } else if let Ok(asked) = unpack::<RequestEntry>(&letter.body) {
        known_sync(org, &asked.sync)?;
        let trail = letter.subjects.first().map(|subject| subject.trail.as_slice()).unwrap_or_default();
        asked
            .ids
            .chunks(lookup::RECORDS_MAX)
            .map(|ids| request(&asked.sync, ids.to_vec(), trail, now_ms))
            .collect()
    } else if let Ok(event) = unpack::<EventEntry>(&letter.body) {
        requests::read_again(org, event, now_ms)?
    } else {
        let hint = "Discard it, and refresh the org to make up for it.";
        return Err(Problem::new("what is kept of it cannot be read", hint));
    };
    if requests.is_empty() {
        return Err(Problem::new("it asks for no record", "Discard it."));
    }
    Ok(requests)
}

fn known_sync(org: &OrgSettings, name: &str) -> Result<(), Problem> {
    if org.syncs.iter().any(|sync| sync.name == name) {
        return Ok(());
    }
    let reason = format!("the settings have no sync `{name}` for this org any more");
    Err(Problem::new(reason, "Bring the sync back, or discard the dead letter."))
}

/// A request for records, by what they were asked for first.
fn request(sync: &str, ids: Vec<String>, trail: &[u8], now_ms: UnixMs) -> NewRequest {
    let trail: Option<AuditTrail> = unpack(trail).ok();
    let (event_id, correlation_id) =
        trail.map(|trail| (trail.event_id, trail.correlation_id)).unwrap_or_default();
    let records = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    let entry = RequestEntry {
        v: 1,
        sync: sync.to_owned(),
        origin: Origin::Retry,
        ids,
        rows: None,
        pushed: Vec::new(),
        event_id,
        correlation_id,
        received_ms: now_ms,
    };
    NewRequest { lane: Lane::Live, records, body: pack(&entry) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use orgpipe_reconcile::Operation;
    use orgpipe_store::Seq;

    use super::*;
    use crate::{queue_entry::Row, settings::tests::org};

    const A: &str = "0015000000Gv7qJAAR";
    const B: &str = "0015000000Gv7qKAAR";

    fn subject(record: &str, event: &str) -> Subject {
        let (origin, event_id, correlation_id) = (Origin::Live, event.to_owned(), Some("c".to_owned()));
        let trail = AuditTrail::new("accounts", origin, &event_id, correlation_id.as_deref()).pack();
        Subject { record: record.to_owned(), units: 1, asked_ms: UnixMs(3), trail, pushes: Vec::new() }
    }

    fn letter(subjects: Vec<Subject>, body: Vec<u8>) -> DeadLetter {
        let (target, key, reason) = (String::new(), "key".into(), "Why it Ended".into());
        DeadLetter {
            seq: Seq(9),
            sync: String::new(),
            first_ms: UnixMs(5),
            last_ms: UnixMs(5),
            count: 1,
            errors: Vec::new(),
            seen: Seq(9),
            retried: false,
            subjects,
            target,
            key,
            reason,
            hint: String::new(),
            attempts: 0,
            body,
        }
    }

    fn change(sync: &str) -> Vec<u8> {
        pack(&ChangeEntry {
            v: 1,
            sync: sync.into(),
            target: "Enrichment__c".into(),
            external_id_field: "External_Id__c".into(),
            external_id: "K".into(),
            operation: Operation::Upsert,
            target_id: None,
            fields: Row::new(),
            receipts: Vec::new(),
            fingerprint: String::new(),
            source_id: A.into(),
            origin: Origin::Refresh,
            gap: None,
            received_ms: UnixMs(1),
        })
    }

    fn asked(sync: &str, ids: &[&str]) -> Vec<u8> {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let (origin, event_id, correlation_id) = (Origin::Heal, "gap".into(), None);
        pack(&RequestEntry {
            v: 1,
            sync: sync.into(),
            origin,
            ids,
            rows: None,
            pushed: Vec::new(),
            event_id,
            correlation_id,
            received_ms: UnixMs(1),
        })
    }

    fn event(channel: &str, payload: &serde_json::Value) -> Vec<u8> {
        let event = json!({ "event": { "replayId": 4, "EventUuid": "u" }, "payload": payload });
        pack(&EventEntry { v: 1, channel: channel.into(), event, cut: None })
    }

    /// IDs and event of each request, all of which are right otherwise.
    fn asks(letter: &DeadLetter) -> Result<Vec<(Vec<String>, String)>, String> {
        let requests = again(&org(), letter, UnixMs(77)).map_err(|Problem { reason, hint }| {
            assert!(hint.is_some(), "{reason}");
            reason
        })?;
        let one = |request: NewRequest| {
            let entry: RequestEntry = unpack(&request.body).expect("readable");
            assert_eq!((request.lane, request.records as usize), (Lane::Live, entry.ids.len()));
            assert_eq!(
                (entry.origin, entry.received_ms, entry.sync.as_str()),
                (Origin::Retry, UnixMs(77), "accounts")
            );
            (entry.ids, entry.event_id)
        };
        Ok(requests.into_iter().map(one).collect())
    }

    #[test]
    fn a_letter_is_retried_as_requests_for_its_records() {
        let good = json!({ "Record_Ids__c": A, "Object_Type__c": "Account" });
        let one = |id: &str, event: &str| (vec![id.to_owned()], event.to_owned());
        let cases = [
            (
                letter(vec![subject(A, "e1"), subject(B, "e2")], change("accounts")),
                vec![one(A, "e1"), one(B, "e2")],
            ),
            (letter(vec![subject("", "e1")], change("accounts")), vec![one(A, "")]),
            (letter(vec![subject(B, "e1")], asked("accounts", &[B])), vec![one(B, "e1")]),
            (letter(vec![subject("event u", "")], event("/event/Sync_Request__e", &good)), vec![one(A, "u")]),
        ];
        for (letter, expected) in cases {
            assert_eq!(asks(&letter), Ok(expected));
        }
    }

    #[test]
    fn a_letter_that_asks_for_nothing_stays_with_the_reason() {
        let lead = json!({ "Record_Ids__c": A, "Object_Type__c": "Lead" });
        let cases = [
            (change("gone"), "no sync `gone`"),
            (asked("gone", &[A]), "no sync `gone`"),
            (asked("accounts", &[]), "no record"),
            (event("/event/Sync_Request__e", &lead), "no sync takes"),
            (event("/event/Gone__e", &lead), "no sync on `/event/Gone__e`"),
            (b"rubbish".to_vec(), "cannot be read"),
        ];
        for (body, expected) in cases {
            let why = asks(&letter(vec![subject(A, "e")], body)).expect_err(expected);
            assert!(why.contains(expected), "{why}");
        }
    }
}
