//! Batches: which requests of the queue are decided together, and what is known of their records. Pure.
//!
//! Here: the way from stored requests to a [`Job`]. Not here: when a batch is due (`scheduler`), reading (`fetch`).

use std::{collections::BTreeMap, sync::Arc};

use orgpipe_reconcile::{Mapping, id, row};
use orgpipe_store::{NewDead, Request, Seq, Settle, Subject, UnixMs};
use serde_json::Value;

use crate::{
    audit_trail::{AuditTrail, Hasher},
    org::identity::SupersededUpTo,
    queue_entry::{Origin, PushedData, PushedRecord, RequestEntry, Row, pack, unpack},
    settings::{OnSharedKey, SyncSettings},
};

/// Characters shown of what should have been a record ID.
const ID_CHARS_SHOWN: usize = 18;

/// Requests of one sync that are looked up together.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Whose records they are.
    pub sync: Arc<SyncSettings>,
    /// Why they are asked for.
    pub origin: Origin,
    /// The gap whose records they are.
    pub gap: Option<String>,
    /// When the oldest came.
    pub received_ms: UnixMs,
    /// Their numbers on the queue.
    pub requests: Vec<Seq>,
    /// Their records, each once.
    pub asked: Vec<Asked>,
    /// Fields that the sync takes keys from and that cannot be read now.
    pub hidden_keys: Vec<String>,
}

impl Job {
    /// Whether a record is to be read from the org still.
    pub(super) fn reads(&self) -> bool {
        self.asked.iter().any(Asked::unread)
    }

    /// Targets are read with the records only where none of those was brought along: a refresh page has no targets.
    pub(super) fn reads_children(&self) -> bool {
        self.sync.mapping.parent_field().is_some() && self.asked.iter().all(Asked::unread)
    }

    /// Rows that were brought along without all that is wanted of them are read once more: a field was in quarantine
    /// when they were read, or the settings were others.
    pub(super) fn drop_partial_rows(&mut self) {
        let mapping = &self.sync.mapping;
        if self.origin != Origin::Orphan {
            for asked in &mut self.asked {
                asked.row.take_if(|row| !mapping.is_whole(row));
            }
        }
    }
}

/// A record of the batch, before the look-up's answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    /// 18 characters.
    pub id: String,
    /// How many requests asked for it.
    pub units: u32,
    /// As read from the org; `None` when it is not there any more or not visible.
    pub row: Option<Row>,
    /// The pushes that asked for it, each of which is one of the `units`.
    pub pushes: Vec<Seq>,
    /// What the newest request says that a look-up would answer; none: it is looked up.
    pub given: Option<PushedData>,
    /// When it was first asked for.
    pub since_ms: UnixMs,
    /// By what it was first asked for, and what was found out since.
    pub trail: AuditTrail,
}

impl Asked {
    /// Whether it is to be read from the org still.
    pub(super) fn unread(&self) -> bool {
        self.row.is_none() && !self.id.is_empty()
    }

    /// As the ledger names it.
    pub(super) fn subject(self) -> Subject {
        let Self { id: record, units, since_ms: asked_ms, trail, pushes, .. } = self;
        Subject { record, units, asked_ms, trail: trail.pack(), pushes }
    }
}

/// What the batch was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch<'a> {
    /// The org's name in the settings.
    pub org: &'a str,
    /// The mapping of its sync.
    pub mapping: &'a Mapping,
    /// Why it was asked for.
    pub origin: Origin,
    /// The gap whose records they are.
    pub gap: Option<&'a str>,
    /// When its oldest request came.
    pub received_ms: UnixMs,
    /// When it is decided.
    pub now_ms: UnixMs,
    /// Makes the hashes for the ledger.
    pub hasher: &'a Hasher,
    /// Fields that the sync takes keys from and that cannot be read now.
    pub hidden_keys: &'a [String],
    /// Whose a record of the target is that several records want.
    pub on_shared_key: OnSharedKey,
}

/// The first requests of one sync and origin, their records each once. Requests nobody can read or whose sync is gone
/// from the settings become dead letters, so that they do not block the queue. The rows that `superseded` ones brought along
/// do not count, as they are of an org that the login led to before.
pub(super) fn take(
    syncs: &[Arc<SyncSettings>],
    head: &[&Request],
    superseded: SupersededUpTo,
    now_ms: UnixMs,
    settle: &mut Settle,
) -> Option<Job> {
    let mut job: Option<Job> = None;
    let mut places = BTreeMap::new();
    for &request in head {
        let mut entry: RequestEntry = match unpack(&request.body) {
            Ok(entry) => entry,
            Err(problem) => {
                let hint = "Report this as a bug of orgpipe, with the version that ran before.";
                dead_letter(settle, request, &problem.to_string(), hint, now_ms);
                continue;
            }
        };
        let Some(sync) = syncs.iter().find(|sync| sync.name == entry.sync) else {
            let reason = format!("the settings have no sync `{}` for this org any more", entry.sync);
            dead_letter(settle, request, &reason, "Bring the sync back, then refresh it.", now_ms);
            if let Some(letter) = settle.dead.last_mut() {
                letter.subject.pushes = entry.pushed.into_iter().flat_map(|pushed| pushed.by).collect();
            }
            continue;
        };
        let gap = (entry.origin == Origin::Heal).then(|| entry.event_id.clone());
        let job = job.get_or_insert_with(|| Job {
            sync: Arc::clone(sync),
            origin: entry.origin,
            gap: gap.clone(),
            received_ms: entry.received_ms,
            requests: Vec::new(),
            asked: Vec::new(),
            hidden_keys: Vec::new(),
        });
        if job.sync.name != entry.sync || job.origin != entry.origin || job.gap != gap {
            break;
        }
        if superseded.covers(request.seq) {
            entry.rows = None;
        }
        job.requests.push(request.seq);
        let bad = no_ids(&mut entry, request, now_ms);
        let lost = bad.iter().map(|letter| letter.subject.units).sum();
        let records = request.records.saturating_sub(lost);
        settle.dead.extend(bad);
        add(job, &mut places, entry, records);
    }
    job
}

/// Takes out of a request what is no record ID, as requests of an older version may have: a query with it would be refused
/// for all the records that it asks for.
fn no_ids(entry: &mut RequestEntry, request: &Request, now_ms: UnixMs) -> Vec<NewDead> {
    let (mut ids, mut kept, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    let mut pushed = std::mem::take(&mut entry.pushed).into_iter();
    for raw in std::mem::take(&mut entry.ids) {
        let pushed = pushed.next();
        match id::check(&raw) {
            Ok(id) => {
                ids.push(id);
                kept.extend(pushed);
            }
            Err(fault) => faults.push((raw, fault, pushed.map(|pushed| pushed.by).unwrap_or_default())),
        }
    }
    (entry.ids, entry.pushed) = (ids, kept);
    let letter = |(raw, fault, pushes): (String, id::Fault, Vec<Seq>)| {
        let key =
            format!("{} of request {}", raw.chars().take(ID_CHARS_SHOWN).collect::<String>(), request.seq);
        NewDead {
            subject: Subject {
                record: key.clone(),
                units: units_of(&pushes),
                asked_ms: now_ms,
                trail: Vec::new(),
                pushes,
            },
            sync: entry.sync.clone(),
            key,
            reason: format!("what was asked for {}", fault.sentence()),
            hint: "Ask for the record again, by the ID that Salesforce gives it.".to_owned(),
            errors: Vec::new(),
            body: pack(&RequestEntry { ids: vec![raw], rows: None, pushed: Vec::new(), ..entry.clone() }),
            at_ms: now_ms,
        }
    };
    faults.into_iter().map(letter).collect()
}

/// The record counts as often as it was asked for, so that the ledger adds up; it is read once. `places` knows where each
/// stands.
fn add(job: &mut Job, places: &mut BTreeMap<String, usize>, entry: RequestEntry, records: u32) {
    let RequestEntry { sync, origin, ids, rows, pushed: said, event_id, correlation_id, received_ms, .. } =
        entry;
    let since_ms = received_ms;
    let trail = AuditTrail::new(&sync, origin, &event_id, correlation_id.as_deref());
    let mut rows: BTreeMap<String, Row> =
        rows.unwrap_or_default().into_iter().filter_map(|row| Some((id_of(&row)?, row))).collect();
    let mut left = records;
    let mut said = said.into_iter();
    for raw in &ids {
        let id = id::canonical(raw).unwrap_or_else(|| raw.clone());
        let row = rows.remove(&id);
        let PushedRecord { by: pushes, data: given } = said.next().unwrap_or_default();
        let units = units_of(&pushes);
        left = left.saturating_sub(units);
        if let Some(asked) = places.get(&id).and_then(|place| job.asked.get_mut(*place)) {
            asked.units += units;
            asked.row = row.or(asked.row.take());
            asked.pushes.extend(pushes);
            asked.given = given;
        } else {
            places.insert(id.clone(), job.asked.len());
            let mut trail = trail.clone();
            // The newest push that asked for this record, not for any of the request.
            if let Some(newest) = pushes.iter().max().filter(|_| origin == Origin::Push) {
                trail.event_id = newest.to_string();
            }
            job.asked.push(Asked { id, units, row, pushes, given, since_ms, trail });
        }
    }
    // Rows of a refresh without an ID cannot be: they are counted as records without data.
    if left > 0 {
        let (row, pushes, given) = (None, Vec::new(), None);
        job.asked.push(Asked { id: String::new(), units: left, row, pushes, given, since_ms, trail });
    }
}

/// How often a record was asked for by a request: once by each push, and once by what is none.
fn units_of(pushes: &[Seq]) -> u32 {
    u32::try_from(pushes.len()).unwrap_or(u32::MAX).max(1)
}

fn dead_letter(settle: &mut Settle, request: &Request, reason: &str, hint: &str, now_ms: UnixMs) {
    settle.requests.push(request.seq);
    let key = format!("request {}", request.seq);
    let (units, trail) = (request.records, Vec::new());
    settle.dead.push(NewDead {
        subject: Subject { record: key.clone(), units, asked_ms: now_ms, trail, pushes: Vec::new() },
        sync: String::new(),
        key,
        reason: reason.to_owned(),
        hint: hint.to_owned(),
        errors: Vec::new(),
        body: request.body.clone(),
        at_ms: now_ms,
    });
}

/// The record's ID, 18 characters.
pub(super) fn id_of(row: &Row) -> Option<String> {
    text(row, "Id").and_then(id::canonical)
}

/// The text that a field holds.
pub(super) fn text<'row>(row: &'row Row, field: &str) -> Option<&'row str> {
    row::get(row, field).and_then(Value::as_str)
}

/// What the vendor's API answered about one record it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    /// One object per target record; empty if nothing is known.
    pub data: Vec<Value>,
    /// When.
    pub at_ms: UnixMs,
    /// `parent-id` of the call's `traceparent`; empty if no call was made.
    pub parent: String,
    /// Number of the push that brought it, if one did.
    pub push: Option<Seq>,
}

impl From<PushedData> for Answer {
    fn from(PushedData { push, at_ms, data }: PushedData) -> Self {
        Self { data, at_ms, parent: String::new(), push: Some(push) }
    }
}

#[cfg(test)]
mod tests {
    use orgpipe_store::Lane;

    use super::*;
    use crate::settings::tests::org;

    fn request(seq: u64, sync: &str, origin: Origin, ids: &[&str]) -> Request {
        let entry = RequestEntry {
            v: 1,
            sync: sync.into(),
            origin,
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            rows: None,
            pushed: Vec::new(),
            event_id: String::new(),
            correlation_id: None,
            received_ms: UnixMs(seq),
        };
        let records = u32::try_from(ids.len()).unwrap_or_default();
        Request { seq: Seq(seq), lane: Lane::Live, records, body: pack(&entry) }
    }

    const A: &str = "0015000000Gv7qJ";
    const B: &str = "0015000000Gv7qKAAR";

    #[test]
    fn requests_of_one_sync_are_one_batch_and_a_record_asked_twice_is_read_once() {
        let org = org();
        let head = [
            request(1, "accounts", Origin::Live, &[A, B]),
            request(2, "accounts", Origin::Live, &["0015000000Gv7qJAAR"]),
            request(3, "accounts", Origin::Refresh, &[B]),
        ];
        let mut settle = Settle::default();
        let head: Vec<&Request> = head.iter().collect();
        let job =
            take(&org.syncs, &head, SupersededUpTo::nothing(), UnixMs(9), &mut settle).expect("a batch");
        assert_eq!((job.requests.as_slice(), job.received_ms), ([Seq(1), Seq(2)].as_slice(), UnixMs(1)));
        let units: Vec<u32> = job.asked.iter().map(|asked| asked.units).collect();
        assert_eq!(units, [2, 1]);
        assert!(settle.dead.is_empty());
    }

    #[test]
    fn a_record_is_told_with_the_push_that_asked_for_it_not_with_another_of_its_request() {
        let org = org();
        let pushed = |by: &[u64]| PushedRecord { by: by.iter().copied().map(Seq).collect(), data: None };
        let mut head = request(1, "accounts", Origin::Push, &[A, B]);
        let entry: RequestEntry = unpack(&head.body).expect("readable");
        let pushed = vec![pushed(&[3]), pushed(&[3, 8])];
        head.body = pack(&RequestEntry { pushed, event_id: "8".into(), ..entry });
        head.records = 3;
        let mut settle = Settle::default();
        let job =
            take(&org.syncs, &[&head], SupersededUpTo::nothing(), UnixMs(9), &mut settle).expect("a batch");
        let events: Vec<&str> = job.asked.iter().map(|asked| asked.trail.event_id.as_str()).collect();
        assert_eq!(events, ["3", "8"]);
    }

    #[test]
    fn a_row_that_lacks_what_is_wanted_now_is_read_again_but_not_an_orphans() {
        for (origin, row, kept) in [
            (Origin::Refresh, serde_json::json!({ "Id": B, "Website": null }), true),
            (Origin::Refresh, serde_json::json!({ "Id": B }), false),
            (Origin::Orphan, serde_json::json!({ "Id": B }), true),
        ] {
            let org = org();
            let trail = AuditTrail::new("accounts", origin, "", None);
            let row = row.as_object().cloned();
            let (pushes, given) = (Vec::new(), None);
            let asked =
                vec![Asked { id: B.into(), units: 1, row, pushes, given, since_ms: UnixMs(1), trail }];
            let sync = Arc::clone(&org.syncs[0]);
            let (requests, hidden_keys) = (vec![Seq(1)], Vec::new());
            let mut job =
                Job { sync, origin, gap: None, received_ms: UnixMs(1), requests, asked, hidden_keys };
            job.drop_partial_rows();
            assert_eq!(job.asked[0].row.is_some(), kept, "{origin:?}");
        }
    }

    #[test]
    fn what_is_no_record_id_is_a_letter_of_its_own() {
        let org = org();
        let head = [request(1, "accounts", Origin::Live, &[A, "001000000000001ZZZ", B])];
        let mut settle = Settle::default();
        let job = take(
            &org.syncs,
            &head.iter().collect::<Vec<_>>(),
            SupersededUpTo::nothing(),
            UnixMs(9),
            &mut settle,
        )
        .expect("a batch");
        let ids: Vec<&str> = job.asked.iter().map(|asked| asked.id.as_str()).collect();
        assert_eq!(ids, ["0015000000Gv7qJAAR", B]);
        let [dead] = settle.dead.as_slice() else { panic!("one letter: {:?}", settle.dead) };
        assert_eq!((dead.subject.units, dead.hint.is_empty()), (1, false));
        assert!(dead.reason.contains("last three characters"), "{}", dead.reason);
    }

    #[test]
    fn what_nobody_can_read_does_not_block_the_queue() {
        let org = org();
        let mut broken = request(1, "accounts", Origin::Live, &[A]);
        broken.body.truncate(5);
        let head =
            [broken, request(2, "gone", Origin::Live, &[A, B]), request(3, "accounts", Origin::Live, &[A])];
        let mut settle = Settle::default();
        let head: Vec<&Request> = head.iter().collect();
        let job =
            take(&org.syncs, &head, SupersededUpTo::nothing(), UnixMs(9), &mut settle).expect("the third");
        assert_eq!((job.requests, settle.requests.as_slice()), (vec![Seq(3)], [Seq(1), Seq(2)].as_slice()));
        let dead: Vec<u32> = settle.dead.iter().map(|dead| dead.subject.units).collect();
        assert_eq!(dead, [1, 2]);
        assert!(settle.dead[1].reason.contains("`gone`"));
    }
}
