//! From delivered events to requests for the ingress queue. Pure.
//!
//! Here: what an event asks of each sync of its channel, and the position behind it. Not here: how an event's fields
//! are spelt (`reconcile::{event, change}`), storing (`cometd`), reading an event of a dead letter
//! (`dead_letters/again.rs`).
//!
//! Invariant: what an event asks for ends in requests, dead letters or an overflow of its channel, unless it asks for
//! nothing; whichever it is, the position moves on behind it in the same commit.

use std::collections::BTreeMap;

use orgpipe_reconcile::{
    Row,
    change::{ChangeProblem, ChangeRequest, Ourselves, parse_change},
    event::parse_request,
    id_list::RecordIds,
    lookup::RECORDS_MAX,
};
use orgpipe_salesforce::{
    call::CLIENT,
    cometd::{Batch, Event},
};
use orgpipe_store::{Append, BODY_BYTES_MAX, Lane, NewDead, NewRequest, Subject, UnixMs};
use serde_json::{Value, json};

use crate::{
    clock::moment,
    org::store::Position,
    problem::Problem,
    queue_entry::{EventEntry, Origin, RequestEntry, pack},
    settings::{EventShape, OrgSettings, SyncSettings},
};

/// Bytes of an event that a dead letter keeps. Salesforce's own bound is 1 MB an event (Platform Events Developer Guide,
/// "Platform Event Allocations"), and the letter has to fit in the store.
const EVENT_BYTES_MAX: usize = 2 * 1024 * 1024;
const _: () = assert!(EVENT_BYTES_MAX < BODY_BYTES_MAX);
/// Bytes kept of each text of a larger one.
const TEXT_BYTES_MAX: usize = 1_000;
/// Elements kept of each of its lists and objects.
const ITEMS_MAX: usize = 200;
/// Bytes kept of a name that somebody else chose: an event's ID, a field's.
const NAME_BYTES_MAX: usize = 100;

/// When the event at a batch's new position was published: as the event says, never in the future,
/// and now if it does not say, by the org's clock. None when the position stays.
pub(super) fn position_ms(batch: &Batch, org_now_ms: UnixMs) -> Option<UnixMs> {
    batch.position.as_ref()?;
    Some(batch.events.last().and_then(published_ms).unwrap_or(org_now_ms).min(org_now_ms))
}

/// When an event was published by Salesforce's clock, if it says.
pub(super) fn published_ms(event: &Event) -> Option<UnixMs> {
    let payload = &event.data["payload"];
    payload["ChangeEventHeader"]["commitTimestamp"].as_u64().map(UnixMs).or_else(|| {
        // Platform events end the time with `Z`, in older versions with `+0000`.
        let text = payload["CreatedDate"].as_str()?.replace("+0000", "Z");
        moment(&chrono::DateTime::parse_from_rfc3339(&text).ok()?)
    })
}

/// An event that asks for records, as its trace names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AskingEvent {
    /// Where it came.
    pub channel: String,
    /// Its ID.
    pub id: String,
    /// Its correlation ID, if it has one.
    pub correlation_id: Option<String>,
}

/// What one answer's events come to.
#[derive(Debug, Default)]
pub(super) struct Came {
    /// Events that ask for records.
    pub events: Vec<AskingEvent>,
    /// Requests, unreadable events as dead letters, and the channels' new positions.
    pub(super) append: Append,
    /// Channels on which any record may have changed since then (none = nobody knows): too many
    /// changes for change events. To be noted before `append` is stored.
    pub(super) overflows: BTreeMap<String, Option<UnixMs>>,
}

impl Came {
    /// An event asks for records, perhaps of several syncs.
    fn asks(&mut self, channel: &str, id: String, correlation_id: Option<&str>) {
        let event = AskingEvent {
            channel: channel.to_owned(),
            id,
            correlation_id: correlation_id.map(str::to_owned),
        };
        if self.events.last() != Some(&event) {
            self.events.push(event);
        }
    }
}

/// Reads one answer's events. `own_user`: the ID of the user that orgpipe works as; `org_now_ms`: the time by the org's clock.
pub(super) fn read(
    org: &OrgSettings,
    own_user: Option<&str>,
    batches: Vec<Batch>,
    now_ms: UnixMs,
    org_now_ms: UnixMs,
) -> Came {
    let mut came = Came::default();
    for batch in batches {
        let append = &mut came.append;
        if let Some(published_ms) = position_ms(&batch, org_now_ms) {
            append.positions.push(Position::Published(&batch.channel).moment(published_ms));
        }
        let reader = Reader { org, own_user, channel: &batch.channel, origin: Origin::Live, now_ms };
        for event in batch.events {
            reader.add(&event, &mut came);
        }
        let append = &mut came.append;
        if let Some(position) = batch.position {
            append.positions.push(Position::ReplayId(&batch.channel).bytes(position));
            append.positions.push(Position::Heard(&batch.channel).moment(org_now_ms));
        }
    }
    came
}

/// Reads one stored event again, under the settings as they are now.
///
/// # Errors
/// Why it still cannot be read, and what to do about it.
pub(crate) fn read_again(
    org: &OrgSettings,
    EventEntry { channel, event: data, cut, .. }: EventEntry,
    now_ms: UnixMs,
) -> Result<Vec<NewRequest>, Problem> {
    if let Some(bytes) = cut {
        let reason = format!("the event had {bytes} bytes, and only its beginning was kept");
        return Err(Problem::new(reason, "Have it published once more, or discard the dead letter."));
    }
    if !org.syncs.iter().any(|sync| sync.channel == channel) {
        let reason = format!("the settings have no sync on `{channel}` for this org any more");
        return Err(Problem::new(reason, "Bring the sync back, or discard the dead letter."));
    }
    let event = &data["event"];
    let uuid = event["EventUuid"].as_str().filter(|uuid| !uuid.is_empty()).map(str::to_owned);
    let event = Event { replay_id: event["replayId"].as_i64(), uuid, data };
    let mut came = Came::default();
    let reader = Reader { org, own_user: None, channel: &channel, origin: Origin::Retry, now_ms };
    reader.add(&event, &mut came);
    match came.append.dead.pop() {
        Some(dead) => Err(Problem::new(dead.reason, dead.hint)),
        None => Ok(came.append.requests),
    }
}

/// What is needed to read the events of one channel.
struct Reader<'a> {
    org: &'a OrgSettings,
    own_user: Option<&'a str>,
    channel: &'a str,
    /// Why it is read.
    origin: Origin,
    now_ms: UnixMs,
}

/// What an event asks of one sync.
#[derive(Debug)]
enum AskedOfSync {
    Records {
        ids: Vec<String>,
        /// Entries of the event's list that are no record IDs.
        bad: Vec<Problem>,
        correlation_id: Option<String>,
    },
    Anything {
        since_ms: Option<UnixMs>,
    },
    /// The sync is about another object, and another sync may take the event.
    NotMine,
    Nothing,
}

impl Reader<'_> {
    fn add(&self, event: &Event, came: &mut Came) {
        let syncs: Vec<&SyncSettings> =
            self.org.syncs.iter().map(AsRef::as_ref).filter(|sync| sync.channel == self.channel).collect();
        let asked: Result<Vec<_>, Problem> = syncs.iter().map(|sync| self.ask(sync, event)).collect();
        match asked {
            Ok(asked) if asked.iter().all(|asked| matches!(asked, AskedOfSync::NotMine)) => {
                let objects: Vec<&str> = syncs.iter().map(|sync| sync.mapping.object()).collect();
                let hint = format!(
                    "This channel's syncs take {}; add a sync for the other object.",
                    objects.join(", ")
                );
                let reason = "the event asks for an object that no sync takes";
                self.dead_letter(event, Problem::new(reason, hint), came);
            }
            Ok(asked) => {
                let mut bad: Vec<Problem> = Vec::new();
                for (sync, asked) in syncs.into_iter().zip(asked) {
                    for entry in self.take(sync, asked, event, came) {
                        // Two syncs may have read the same list.
                        if !bad.contains(&entry) {
                            bad.push(entry);
                        }
                    }
                }
                for problem in bad {
                    self.dead_letter(event, problem, came);
                }
            }
            Err(problem) => self.dead_letter(event, problem, came),
        }
    }

    fn ask(&self, sync: &SyncSettings, event: &Event) -> Result<AskedOfSync, Problem> {
        let empty = Row::new();
        let payload = event.data.get("payload").and_then(Value::as_object).unwrap_or(&empty);
        match &sync.event {
            EventShape::Request(fields) => {
                let request = parse_request(payload, fields, &self.org.namespace)
                    .map_err(|problem| Problem::from(&problem))?;
                let object = request.object.as_deref();
                Ok(if object.is_none_or(|object| object.eq_ignore_ascii_case(sync.mapping.object())) {
                    let bad =
                        request.bad.iter().map(|bad| Problem::new(bad.to_string(), bad.hint())).collect();
                    AskedOfSync::Records { ids: request.ids, bad, correlation_id: request.correlation_id }
                } else {
                    AskedOfSync::NotMine
                })
            }
            EventShape::Change { watch } => {
                let ourselves = Ourselves { user: self.own_user, client: CLIENT };
                let request = parse_change(payload, &sync.mapping, watch, ourselves)
                    .map_err(|problem| Problem::from(&problem))?;
                Ok(match request {
                    ChangeRequest::Records(RecordIds { ids, bad }) => {
                        let problem = |place, fault| ChangeProblem::NotAnId { place, fault };
                        let bad = bad.iter().map(|bad| problem(bad.place, bad.fault));
                        let bad = bad.map(|problem| Problem::from(&problem)).collect();
                        AskedOfSync::Records { ids, bad, correlation_id: None }
                    }
                    ChangeRequest::Anything { since_ms } => {
                        AskedOfSync::Anything { since_ms: since_ms.map(UnixMs) }
                    }
                    ChangeRequest::Nothing => AskedOfSync::Nothing,
                })
            }
        }
    }

    /// Makes requests of what is asked for, and gives back the entries that cannot be.
    fn take(&self, sync: &SyncSettings, asked: AskedOfSync, event: &Event, came: &mut Came) -> Vec<Problem> {
        match asked {
            AskedOfSync::Records { ids, bad, correlation_id } => {
                if !ids.is_empty() {
                    came.asks(self.channel, name(event), correlation_id.as_deref());
                }
                for ids in ids.chunks(RECORDS_MAX) {
                    let entry = RequestEntry {
                        v: 1,
                        sync: sync.name.clone(),
                        origin: self.origin,
                        ids: ids.to_vec(),
                        rows: None,
                        pushed: Vec::new(),
                        event_id: name(event),
                        correlation_id: correlation_id.clone(),
                        received_ms: self.now_ms,
                    };
                    came.append.requests.push(NewRequest {
                        lane: Lane::Live,
                        records: u32::try_from(ids.len()).unwrap_or(u32::MAX),
                        body: pack(&entry),
                    });
                }
                bad
            }
            AskedOfSync::Anything { since_ms } => {
                let known = came.overflows.entry(self.channel.to_owned()).or_insert(since_ms);
                *known = known.zip(since_ms).map(|(one, other)| one.min(other));
                Vec::new()
            }
            AskedOfSync::NotMine | AskedOfSync::Nothing => Vec::new(),
        }
    }

    fn dead_letter(&self, event: &Event, problem: Problem, came: &mut Came) {
        let key = format!("event {}", name(event));
        let (trail, pushes) = (Vec::new(), Vec::new());
        let subject = Subject { record: key.clone(), units: 1, asked_ms: self.now_ms, trail, pushes };
        came.append.dead.push(NewDead {
            subject,
            sync: String::new(),
            key,
            reason: problem.reason,
            hint: problem.hint.unwrap_or_default(),
            errors: Vec::new(),
            body: kept(self.channel, &event.data),
            at_ms: self.now_ms,
        });
    }
}

fn name(event: &Event) -> String {
    let uuid = event.uuid.as_deref().map(short);
    uuid.or_else(|| event.replay_id.map(|id| id.to_string())).unwrap_or_default()
}

/// A name that somebody else chose, as much of it as is kept.
fn short(name: &str) -> String {
    name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_owned()
}

/// What a dead letter keeps of an event: all of it if there is room, else the beginnings of its texts, else what names it.
fn kept(channel: &str, data: &Value) -> Vec<u8> {
    let entry = |event, cut| pack(&EventEntry { v: 1, channel: channel.to_owned(), event, cut });
    let whole = entry(data.clone(), None);
    if whole.len() <= EVENT_BYTES_MAX {
        return whole;
    }
    let cut = Some(whole.len());
    let beginnings = entry(beginnings(data), cut);
    if beginnings.len() <= EVENT_BYTES_MAX {
        return beginnings;
    }
    let event = &data["event"];
    let name = json!({ "replayId": event["replayId"].as_i64(), "EventUuid": event["EventUuid"].as_str().map(short) });
    entry(json!({ "event": name }), cut)
}

/// A value with at most so much of each of its texts, and of the elements of each list.
fn beginnings(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(&text[..text.floor_char_boundary(TEXT_BYTES_MAX)]),
        Value::Array(items) => items.iter().take(ITEMS_MAX).map(beginnings).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().take(ITEMS_MAX);
            fields.map(|(name, value)| (short(name), beginnings(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::org;

    fn event(replay_id: i64, payload: &Value) -> Event {
        let data = json!({ "event": { "replayId": replay_id }, "payload": payload });
        Event { replay_id: Some(replay_id), uuid: None, data }
    }

    fn append(events: Vec<Event>) -> Append {
        let batch = Batch { channel: "/event/Sync_Request__e".into(), events, position: Some(b"9".to_vec()) };
        read(&org(), None, vec![batch], UnixMs(7), UnixMs(8)).append
    }

    fn ids(count: usize) -> String {
        (0..count).map(|n| format!("001{n:012}AAA")).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn an_event_becomes_requests_of_at_most_a_hundred_and_its_position_goes_along() {
        let append =
            append(vec![event(9, &json!({ "Record_Ids__c": ids(150), "Object_Type__c": "account" }))]);
        let records: Vec<u32> = append.requests.iter().map(|request| request.records).collect();
        assert_eq!(records, [100, 50]);
        let entry: RequestEntry = crate::queue_entry::unpack(&append.requests[1].body).expect("readable");
        assert_eq!((entry.sync.as_str(), entry.ids.len(), entry.received_ms), ("accounts", 50, UnixMs(7)));
        let place = |name: &str, value: &[u8]| (format!("{name} /event/Sync_Request__e"), value.to_vec());
        let stored = [place("channel-time", b"8"), place("channel", b"9"), place("heard", b"8")];
        assert_eq!(append.positions, stored);
        assert!(append.dead.is_empty());
    }

    #[test]
    fn a_position_is_as_old_as_its_event_says() {
        let cases = [
            (json!({ "CreatedDate": "1970-01-01T00:00:02.500Z" }), 2_500),
            (json!({ "CreatedDate": "1970-01-01T00:00:03+0000" }), 3_000),
            (json!({ "CreatedDate": "2999-01-01T00:00:00Z" }), 9_000),
            (json!({ "ChangeEventHeader": { "commitTimestamp": 4_000 } }), 4_000),
            (json!({ "CreatedDate": "soon" }), 9_000),
        ];
        for (payload, expected) in cases {
            let events = vec![event(1, &json!({})), event(9, &payload)];
            let batch = Batch { channel: "/event/A__e".into(), events, position: Some(b"9".to_vec()) };
            assert_eq!(position_ms(&batch, UnixMs(9_000)), Some(UnixMs(expected)), "{payload}");
        }
    }

    #[test]
    fn an_event_that_is_too_large_to_be_kept_is_a_letter_that_fits_and_says_so() {
        let text = "é".repeat(5_500_000);
        let many: Vec<u32> = (0..1_000_000).collect();
        let wide: serde_json::Map<String, Value> =
            (0..3_000).map(|n| (format!("F{n}__c"), json!("x".repeat(5_000)))).collect();
        let small = json!({ "Record_Ids__c": null });
        for payload in [json!({ "Text__c": text }), json!({ "Many__c": many }), Value::Object(wide), small] {
            let mut large = event(9, &payload);
            large.uuid = Some("u".repeat(70_000));
            let bytes = pack(&large.data).len();
            let append = append(vec![large]);
            let [dead] = append.dead.as_slice() else { panic!("one dead letter of {bytes} bytes") };
            assert!(dead.body.len() <= EVENT_BYTES_MAX && dead.key.len() < 200, "{}", dead.body.len());
            assert_eq!(append.positions.len(), 3);
            let kept: EventEntry = crate::queue_entry::unpack(&dead.body).expect("readable");
            assert_eq!(
                (kept.event["event"]["replayId"].as_i64(), kept.cut.is_some()),
                (Some(9), bytes > EVENT_BYTES_MAX)
            );
            if kept.cut.is_some() {
                let problem = read_again(&org(), kept, UnixMs(8)).expect_err("it is not all there");
                assert!(problem.reason.contains("only its beginning was kept"), "{problem}");
            }
        }
    }

    #[test]
    fn long_names_of_an_event_do_not_keep_its_records_out() {
        let payload = json!({ "Record_Ids__c": ids(1), "Correlation_Id__c": "c".repeat(5_000_000) });
        let mut named = event(9, &payload);
        named.uuid = Some("u".repeat(5_000_000));
        let append = append(vec![named]);
        let [request] = append.requests.as_slice() else { panic!("one request: {:?}", append.dead) };
        assert!(request.body.len() < 2_000, "{}", request.body.len());
    }

    #[test]
    fn what_cannot_be_read_is_a_dead_letter_and_the_position_moves_on() {
        let cases = [
            (json!({}), "no text in `Record_Ids__c`"),
            (json!({ "Record_Ids__c": "nonsense" }), "entry 1"),
            (json!({ "Record_Ids__c": ids(1), "Object_Type__c": "Lead" }), "no sync takes"),
        ];
        for (payload, expected) in cases {
            let append = append(vec![event(9, &payload)]);
            let [dead] = append.dead.as_slice() else { panic!("one dead letter: {:?}", append.dead) };
            assert!(dead.reason.contains(expected) && !dead.hint.is_empty(), "{}", dead.reason);
            assert_eq!((append.requests.len(), append.positions.len()), (0, 3));
        }
    }

    #[test]
    fn each_bad_entry_of_a_list_is_a_letter_of_its_own_and_the_others_are_requested() {
        let list = format!("({}; 001000000000001ZZZ; [x]; {})", ids(1), ids(2).split_off(19));
        let append = append(vec![event(9, &json!({ "Record_Ids__c": list }))]);
        let records: Vec<u32> = append.requests.iter().map(|request| request.records).collect();
        assert_eq!(records, [2]);
        let reasons: Vec<&str> = append.dead.iter().map(|dead| dead.reason.as_str()).collect();
        let [check, other] = reasons.as_slice() else { panic!("two letters: {reasons:?}") };
        assert!(check.contains("entry 2") && check.contains("last three characters"), "{check}");
        assert!(other.contains("entry 3"), "{other}");
        assert!(append.dead.iter().all(|dead| dead.subject.units == 1 && !dead.hint.is_empty()));
    }
}
