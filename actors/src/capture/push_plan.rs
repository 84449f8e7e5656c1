//! What an org asks for next of the pushes that wait for it, and what follows from the records that it finds. Pure.
//!
//! Here: merging what stands in several pushes, which record an answer of the org belongs to, and the requests and counts of
//! commit A. Not here: reading (`push`), which pushes wait (`org/push_log.rs`).
//!
//! Invariant: each item of a push is passed over by a place exactly when all its records have been taken in.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use orgpipe_reconcile::{Mapping, RecordProblem, id, identity::Identity, matching, row};
use orgpipe_salesforce::soql::quote;
use orgpipe_store::{Append, BODY_BYTES_MAX, Lane, NewDead, NewRequest, Seq, Subject, UnixMs};
use serde_json::Value;

use super::pages;
use crate::{
    audit_trail::AuditTrail,
    org::store::Position,
    push::{PushBody, PushHead, PushItems, PushPlace},
    queue_entry::{Origin, PushedData, PushedRecord, RequestEntry, Row, pack},
    settings::SyncSettings,
};

/// Bytes of the rows and data in one request, whatever its number of records: well below what the store takes for one.
const REQUEST_BYTES_MAX: usize = BODY_BYTES_MAX / 2;

/// Bytes of the data that one step gives its records; those of one record alone have room in a request.
const STEP_DATA_BYTES_MAX: usize = REQUEST_BYTES_MAX;

/// Characters of an item that name its dead letter.
const KEY_CHARS_MAX: usize = 200;

/// A push that waits, with what it asks about.
pub(super) type WaitingPush = (Seq, Arc<PushHead>, Arc<PushBody>);

/// What records are found by.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    /// External ID of a record of the target.
    ExternalId(String),
    /// Keys of the sync with their values.
    Keys(BTreeMap<String, Value>),
    /// ID of the record itself.
    RecordId(String),
}

/// An item with the pushes that it stands in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PushedItem {
    /// What it is.
    pub item: Item,
    /// Their numbers, and what the newest of them brought.
    pub pushed: PushedRecord,
}

/// Items that are asked for together, each once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PushWindow {
    /// All of one kind.
    pub items: Vec<PushedItem>,
    /// The place behind them.
    pub place: PushPlace,
}

/// The items behind a place of pushes of one kind, at most so many distinct ones.
pub(super) fn window(waiting: &[WaitingPush], from: &PushPlace, items_max: usize) -> PushWindow {
    let mut window = PushWindow { place: from.clone(), ..PushWindow::default() };
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    window.place.within = None;
    for (number, head, body) in
        waiting.iter().filter(|(number, head, _)| !from.is_behind(*number, head.items))
    {
        let begin = if *number == from.number { from.item } else { 0 };
        for at in begin..head.items {
            let Some(item) = item(&body.items, at) else { continue };
            let name = item.name();
            let place = places.get(&name).copied();
            if place.is_none() && window.items.len() == items_max {
                return window;
            }
            let data = body.data.get(at).cloned().flatten();
            let data = data.map(|data| PushedData { push: *number, at_ms: head.at_ms, data });
            let pushed = PushedRecord { by: vec![*number], data };
            if let Some(known) = place.and_then(|place| window.items.get_mut(place)) {
                known.pushed.by.extend(pushed.by);
                known.pushed.by.dedup();
                known.pushed.data = pushed.data;
            } else {
                places.insert(name, window.items.len());
                window.items.push(PushedItem { item, pushed });
            }
            (window.place.number, window.place.item) = (*number, at + 1);
        }
        // Also one that cannot be read.
        (window.place.number, window.place.item) = (*number, head.items);
    }
    window
}

fn item(items: &PushItems, at: usize) -> Option<Item> {
    match items {
        PushItems::ExternalIds(ids) => ids.get(at).map(|id| Item::ExternalId(id.trim().to_owned())),
        PushItems::Keys(keys) => keys.get(at).cloned().map(Item::Keys),
        PushItems::RecordIds(ids) => ids.get(at).cloned().map(Item::RecordId),
    }
}

impl Item {
    /// As it is told.
    pub(super) fn name(&self) -> String {
        match self {
            Self::ExternalId(id) => format!("external ID {id}"),
            Self::Keys(keys) => {
                let pairs: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("key {}", pairs.join(", "))
            }
            Self::RecordId(id) => format!("record {id}"),
        }
    }
}

/// Whether it has to be known how the external ID field tells its values apart before they are asked for: numbers are
/// written otherwise, and two that differ only in case may be one record's or two's.
pub(super) fn needs_identity(items: &[PushedItem]) -> bool {
    let mut folded = BTreeSet::new();
    items.iter().any(|one| match &one.item {
        Item::ExternalId(id) => id.parse::<f64>().is_ok() || !folded.insert(id.to_lowercase()),
        Item::Keys(_) | Item::RecordId(_) => false,
    })
}

/// The external IDs as they stand in a statement, each once.
pub(super) fn literals(items: &[PushedItem], identity: Identity) -> Vec<String> {
    let literal = |one: &PushedItem| match &one.item {
        Item::ExternalId(id) if identity.is_number() => identity.number(id).map(|_| identity.key(id)),
        Item::ExternalId(id) => Some(quote(id)),
        Item::Keys(_) | Item::RecordId(_) => None,
    };
    let mut known = BTreeSet::new();
    items.iter().filter_map(literal).filter(|literal| known.insert(literal.clone())).collect()
}

/// Records that were found, by ID, each with what pushes say about it.
pub(super) type FoundRecords = BTreeMap<String, (Option<Row>, PushedRecord)>;

/// The records that the found ones of the target hang on.
pub(super) fn by_external_id(
    items: &[PushedItem],
    rows: &[Row],
    (field, link): (&str, &str),
    identity: Identity,
) -> FoundRecords {
    let mut places: BTreeMap<String, Vec<&PushedItem>> = BTreeMap::new();
    for one in items {
        if let Item::ExternalId(external_id) = &one.item {
            places.entry(identity.key(external_id)).or_default().push(one);
        }
    }
    let (mut found, mut room) = (FoundRecords::new(), STEP_DATA_BYTES_MAX);
    for target in rows {
        let record = row::get(target, link).and_then(Value::as_str).and_then(id::canonical);
        let external_id = matching::external_id(target, field);
        let (Some(record), Some(external_id)) = (record, external_id) else { continue };
        for one in places.get(&identity.key(&external_id)).into_iter().flatten() {
            add(&mut found, &mut room, record.clone(), None, &one.pushed);
        }
    }
    found
}

/// The field that an item's records are asked for by: that of its first key, as the mapping has them. None if the mapping
/// lacks one of its keys: by the others alone it would find records that are not meant.
pub(super) fn field_of<'m>(mapping: &'m Mapping, item: &Item) -> Option<(&'m str, String)> {
    let Item::Keys(keys) = item else { return None };
    if !keys.keys().all(|key| mapping.keys().iter().any(|(known, _)| known == key)) {
        return None;
    }
    let (key, field) = mapping.keys().iter().find(|(key, _)| keys.contains_key(key))?;
    let literal = match &keys[key] {
        Value::String(text) => quote(text.trim()),
        other => other.to_string(),
    };
    Some((field, literal))
}

/// Those of the items whose keys all have the values of a row.
pub(super) fn by_keys(mapping: &Mapping, items: &[PushedItem], rows: Vec<Row>) -> FoundRecords {
    let (mut found, mut room) = (FoundRecords::new(), STEP_DATA_BYTES_MAX);
    for record in rows {
        let Some(id) = pages::id_of(&record).as_deref().and_then(id::canonical) else { continue };
        let fits = |one: &&PushedItem| match &one.item {
            Item::Keys(keys) => mapping
                .keys()
                .iter()
                .all(|(key, field)| keys.get(key).is_none_or(|value| same(row::at(&record, field), value))),
            Item::ExternalId(_) | Item::RecordId(_) => false,
        };
        for one in items.iter().filter(fits) {
            add(&mut found, &mut room, id.clone(), Some(&record), &one.pushed);
        }
    }
    found
}

/// As the org compares them: text whatever its case.
fn same(held: Option<&Value>, asked: &Value) -> bool {
    match (held, asked) {
        (Some(Value::String(held)), Value::String(asked)) => {
            held.trim().to_lowercase() == asked.trim().to_lowercase()
        }
        (Some(Value::Number(held)), Value::Number(asked)) => held.as_f64() == asked.as_f64(),
        (Some(held), asked) => held == asked,
        (None, _) => false,
    }
}

/// The records that are named themselves.
pub(super) fn by_record_id(items: &[PushedItem]) -> FoundRecords {
    let (mut found, mut room) = (FoundRecords::new(), STEP_DATA_BYTES_MAX);
    for one in items {
        if let Item::RecordId(id) = &one.item {
            add(&mut found, &mut room, id.clone(), None, &one.pushed);
        }
    }
    found
}

/// A record that several items lead to has the data of all of them, if each has some. What has no room is looked up, with all
/// that comes after it.
fn add(found: &mut FoundRecords, room: &mut usize, record: String, row: Option<&Row>, pushed: &PushedRecord) {
    let data = pushed.data.as_ref().filter(|_| *room > 0).filter(|data| {
        *room = room.saturating_sub(data.data.iter().map(pages::bytes_of).sum::<usize>() + 1);
        *room > 0
    });
    let Some((_, known)) = found.get_mut(&record) else {
        let pushed = PushedRecord { by: pushed.by.clone(), data: data.cloned() };
        found.insert(record, (row.cloned(), pushed));
        return;
    };
    known.by.extend(&pushed.by);
    known.by.sort_unstable();
    known.by.dedup();
    known.data = known.data.take().zip(data).map(|(mut data, more)| {
        data.data.extend(more.data.iter().cloned());
        PushedData { push: data.push.max(more.push), at_ms: data.at_ms.min(more.at_ms), ..data }
    });
}

/// Commit A: requests for the found records, dead letters for the items that the org refuses to be asked about, what both count
/// for each push, and the place behind them.
pub(super) fn append(
    sync: &SyncSettings,
    found: FoundRecords,
    refused: Vec<(PushedItem, RecordProblem)>,
    place: &PushPlace,
    (read_ms, now_ms): (UnixMs, UnixMs),
) -> Append {
    let mut counts: BTreeMap<Seq, u64> = BTreeMap::new();
    let asked = found.values().flat_map(|(_, pushed)| &pushed.by);
    for push in asked.chain(refused.iter().flat_map(|(one, _)| &one.pushed.by)) {
        *counts.entry(*push).or_default() += 1;
    }
    Append {
        positions: vec![Position::Pushed(&sync.name).json(place)],
        requests: requests(sync, found, read_ms),
        dead: refused.into_iter().map(|(one, problem)| letter(sync, one, &problem, now_ms)).collect(),
        found: counts.into_iter().collect(),
        ..Append::default()
    }
}

fn requests(sync: &SyncSettings, found: FoundRecords, read_ms: UnixMs) -> Vec<NewRequest> {
    let (mut requests, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (id, (row, pushed)) in found {
        let size = row.as_ref().map_or(0, pages::bytes_of_row)
            + pushed.data.iter().flat_map(|data| &data.data).map(pages::bytes_of).sum::<usize>();
        if part.len() == sync.lookup_max() || (!part.is_empty() && bytes + size > REQUEST_BYTES_MAX) {
            requests.push(request(sync, std::mem::take(&mut part), read_ms));
            bytes = 0;
        }
        bytes += size;
        part.push((id, row, pushed));
    }
    if !part.is_empty() {
        requests.push(request(sync, part, read_ms));
    }
    requests
}

fn request(
    sync: &SyncSettings,
    part: Vec<(String, Option<Row>, PushedRecord)>,
    read_ms: UnixMs,
) -> NewRequest {
    let newest = part.iter().flat_map(|(_, _, pushed)| &pushed.by).max().copied().unwrap_or_default();
    let records = part.iter().map(|(_, _, pushed)| pushed.by.len()).sum::<usize>();
    let (mut ids, mut rows, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for (id, row, pushed) in part {
        ids.push(id);
        all.push(pushed);
        rows.extend(row.map(|mut row| {
            // Type and URL of the record, which are never looked at.
            row.remove("attributes");
            row
        }));
    }
    let entry = RequestEntry {
        v: 1,
        sync: sync.name.clone(),
        origin: Origin::Push,
        ids,
        rows: Some(rows).filter(|rows| !rows.is_empty()),
        pushed: all,
        event_id: newest.to_string(),
        correlation_id: None,
        received_ms: read_ms,
    };
    NewRequest { lane: Lane::Live, records: u32::try_from(records).unwrap_or(u32::MAX), body: pack(&entry) }
}

/// An item that nothing can be found by.
fn letter(sync: &SyncSettings, one: PushedItem, problem: &RecordProblem, now_ms: UnixMs) -> NewDead {
    let PushedItem { item, pushed: PushedRecord { by: pushes, .. } } = one;
    let newest = pushes.last().copied().unwrap_or_default().to_string();
    let key: String = item.name().chars().take(KEY_CHARS_MAX).collect();
    let trail = AuditTrail::new(&sync.name, Origin::Push, &newest, None).pack();
    let units = u32::try_from(pushes.len()).unwrap_or(u32::MAX);
    let entry = RequestEntry {
        v: 1,
        sync: sync.name.clone(),
        origin: Origin::Push,
        ids: Vec::new(),
        rows: None,
        pushed: Vec::new(),
        event_id: newest,
        correlation_id: None,
        received_ms: now_ms,
    };
    NewDead {
        subject: Subject { record: key.clone(), units, asked_ms: now_ms, trail, pushes },
        sync: sync.name.clone(),
        key,
        reason: format!("nothing can be found by it: {problem}"),
        hint: format!("{} Then push it again, and discard the letter.", problem.hint),
        errors: Vec::new(),
        body: pack(&entry),
        at_ms: now_ms,
    }
}

#[cfg(test)]
mod tests;
