//! Keys that were answered for more than one record of a sync: to which of them the record of the target belongs.
//!
//! Here: whose it is, who has to be asked again when it is nobody's any more, and what is remembered. Not here: what is
//! written (`verdict`), reading the ledger (`prepared`).
//!
//! Invariant: it belongs to the record that has it, for as long as that one is answered with the key, or to the one that was
//! created last, as the sync says. So no refresh takes it from one record and gives it to another and back.

use std::collections::{BTreeMap, BTreeSet};

use orgpipe_reconcile::{Mapping, id, identity::Identity, row};
use orgpipe_store::{Change, End, LedgerRow, Settle, StoreError, UnixMs};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::verdict::{Given, Wanted};
use crate::{
    audit_trail::{AuditTrail, SharedWith},
    org::{context::OrgContext, store::Position},
    problem::Problem,
    queue_entry::{ChangeEntry, Origin, Row, unpack},
    settings::OnSharedKey,
};

/// Keys that are remembered; of more it is told only in the records' trails.
const KEYS_MAX: usize = 500;
/// Records remembered of each key beside the one that holds it.
const OTHERS_MAX: usize = 20;

/// All shared keys of an org, as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SharedKeys(Vec<SharedKey>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SharedKey {
    sync: String,
    /// As the queue spells it.
    key: String,
    /// The record to which the target's record belongs.
    holder: String,
    /// Records that were answered with the key, too.
    others: BTreeSet<String>,
}

impl SharedKeys {
    /// What an operator should know.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let SharedKey { holder, others, .. } = self.0.first()?;
        let other = others.first().map(String::as_str).unwrap_or_default();
        let count = self.0.len();
        let (keys, were) = if count == 1 { ("key", "was") } else { ("keys", "were") };
        let reason = format!(
            "{count} {keys} {were} answered for more than one record of the org, such as for {holder} and {other}"
        );
        let hint = "Merge the records, or let your API answer a key of its own for each; `on_shared_key` of the sync says for \
                    which of them it is written, and `orgpipe explain` tells it of each record.";
        Some(Problem::new(reason, hint))
    }

    fn find(&self, sync: &str, key: &str) -> Option<&SharedKey> {
        self.0.iter().find(|known| known.sync == sync && known.key == key)
    }

    fn note(&mut self, sync: &str, key: &str, holder: &str, others: impl Iterator<Item = String>) {
        let place = self.0.iter().position(|known| known.sync == sync && known.key == key);
        let place = match place {
            Some(place) => place,
            None if self.0.len() >= KEYS_MAX => return,
            None => {
                let (sync, key, holder) = (sync.to_owned(), key.to_owned(), holder.to_owned());
                self.0.push(SharedKey { sync, key, holder, others: BTreeSet::new() });
                self.0.len() - 1
            }
        };
        let known = &mut self.0[place];
        if known.holder != holder {
            let before = std::mem::replace(&mut known.holder, holder.to_owned());
            known.others.insert(before);
        }
        known.others.extend(others);
        known.others.remove(holder);
        while known.others.len() > OTHERS_MAX {
            known.others.pop_last();
        }
    }

    /// Records of a batch were answered with these keys now. Gives the records that have to be asked again: a key of
    /// theirs is not the holder's any more.
    fn leave(&mut self, sync: &str, now: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
        let left = |record: &str, key: &str| now.get(record).is_some_and(|keys| !keys.contains(key));
        let mut again = BTreeSet::new();
        self.0.retain_mut(|known| {
            if known.sync != sync {
                return true;
            }
            known.others.retain(|other| !left(other, &known.key));
            if left(&known.holder, &known.key) {
                let waiting = known.others.iter().filter(|other| !now.contains_key(*other));
                again.extend(waiting.cloned());
                return false;
            }
            !known.others.is_empty()
        });
        again
    }
}

/// The shared keys while one batch is decided.
#[derive(Debug)]
pub(super) struct Sharing {
    shared: SharedKeys,
    sync: String,
    identity: Identity,
    /// By record of the batch, the keys with which it was answered; none for one about which there is nothing.
    answered: BTreeMap<String, BTreeSet<String>>,
}

impl Sharing {
    /// Begins with what is stored, and with the records about which there is nothing.
    pub(super) fn new(shared: SharedKeys, sync: &str, settle: &Settle) -> Self {
        let nothing = settle.no_data.iter().map(|subject| (subject.record.clone(), BTreeSet::new()));
        Self { shared, sync: sync.to_owned(), identity: Identity::default(), answered: nothing.collect() }
    }

    /// The records of these were answered with their keys.
    pub(super) fn answered(&mut self, wanted: &[Wanted], identity: Identity) {
        self.identity = identity;
        for one in wanted.iter().flat_map(|one| std::iter::once(one).chain(&one.rivals)) {
            for record in &one.records {
                let key = identity.key(&one.desired.key);
                self.answered.entry(record.id.clone()).or_default().insert(key);
            }
        }
    }

    /// The key of a wanted record.
    pub(super) fn key(&self, wanted: &Wanted) -> String {
        self.identity.key(&wanted.desired.key)
    }

    /// Who had a key when it was known last that several records share it.
    pub(super) fn remembered(&self, key: &str) -> Option<&str> {
        self.shared.find(&self.sync, key).map(|known| known.holder.as_str())
    }

    /// Whether a record is in the batch.
    pub(super) fn is_answered(&self, record: &str) -> bool {
        self.answered.contains_key(record)
    }

    /// Whether a record of the batch was answered with this key.
    pub(super) fn claims(&self, record: &str, key: &str) -> bool {
        self.answered.get(record).is_some_and(|keys| keys.contains(key))
    }

    /// Gives a wanted record to one of those who were answered with its key, and notes that in the trails of all. `holder`: who
    /// has it and still claims it.
    pub(super) fn give(&mut self, on: OnSharedKey, mut wanted: Wanted, holder: Option<Claim>) -> Given {
        let key = self.key(&wanted);
        let rivals = std::mem::take(&mut wanted.rivals);
        let mut all: Vec<Wanted> = std::iter::once(wanted).chain(rivals).collect();
        let claims: Vec<Claim> = all.iter().map(Claim::of).collect();
        let owner = owner(on, &claims, holder.as_ref());
        let ids = claims.iter().map(|claim| claim.record.clone());
        let before = self.shared.find(&self.sync, &key).filter(|known| known.holder == owner);
        let told = before.map(|known| known.others.clone()).unwrap_or_default();
        if claims.iter().any(|claim| claim.record != owner) {
            let holder = holder.map(|holder| holder.record);
            self.shared.note(&self.sync, &key, &owner, ids.chain(holder));
        }
        let known = self.shared.find(&self.sync, &key).filter(|known| known.holder == owner);
        let beside = known.and_then(|known| known.others.first()).cloned();
        let mut yielding = Vec::new();
        let place = claims.iter().position(|claim| claim.record == owner);
        let mut own = place.map(|place| all.swap_remove(place));
        for record in own.iter_mut().flat_map(|own| &mut own.records) {
            record.trail.shared = beside.clone().map(SharedWith::Holds);
        }
        for mut record in all.into_iter().flat_map(|one| one.records) {
            record.trail.shared = Some(SharedWith::Yields(owner.clone()));
            yielding.push(record);
        }
        Given { key, owner, own, yielding, told }
    }

    /// What is to be remembered, and the records that have to be asked again.
    pub(super) fn end(mut self) -> (SharedKeys, BTreeSet<String>) {
        let again = self.shared.leave(&self.sync, &self.answered);
        (self.shared, again)
    }
}

/// A record of the customer's that was answered with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// Its ID, 18 characters.
    pub record: String,
    /// When it was created; none if nobody asked.
    pub created_ms: Option<UnixMs>,
}

impl Claim {
    fn of(wanted: &Wanted) -> Self {
        Self { record: wanted.desired.source_id.clone(), created_ms: wanted.created_ms }
    }
}

/// Whose a record of the target is: of those of the batch who want it, in the order in which they were asked for, and the one
/// who has it already.
fn owner(on: OnSharedKey, claims: &[Claim], holder: Option<&Claim>) -> String {
    let owner = match on {
        OnSharedKey::DeadLetter | OnSharedKey::First => holder.or_else(|| claims.first()),
        OnSharedKey::Newest => {
            // Of those created in the same second the higher ID, so that it is the same one in every refresh.
            let newest = |claim: &&Claim| (claim.created_ms, claim.record.clone());
            claims.iter().chain(holder).max_by_key(newest)
        }
    };
    owner.map(|claim| claim.record.clone()).unwrap_or_default()
}

/// What is stored of an org.
pub(crate) async fn stored(org: &OrgContext) -> Result<SharedKeys, StoreError> {
    let stored = org.store.json(Position::SharedKeys).await?;
    Ok(stored.and_then(Result::ok).unwrap_or_default())
}

/// The record that the wanted one hangs on, or will by the changes on egress. Without a lookup to the record nobody could tell
/// but by what is `remembered`.
pub(super) fn hangs_on(
    mapping: &Mapping,
    found: Option<&Row>,
    open: Option<&Vec<Vec<u8>>>,
    remembered: Option<&str>,
) -> Option<String> {
    let sync = mapping.sync();
    let entries = open.into_iter().flatten().rev().filter_map(|body| unpack::<ChangeEntry>(body).ok());
    // What is done about a record of the target that has lost its own is made for nobody, and names the target itself.
    let of_sync = |entry: &ChangeEntry| entry.sync == sync && entry.origin != Origin::Orphan;
    let by_change = entries.filter(of_sync).map(|entry| entry.source_id).next();
    by_change.or_else(|| match mapping.links().next() {
        Some(link) => row::get(found?, link).and_then(Value::as_str).and_then(id::canonical),
        None => remembered.map(str::to_owned),
    })
}

fn yields(trail: &AuditTrail) -> bool {
    matches!(trail.shared, Some(SharedWith::Yields(_)))
}

/// Whether the record was answered with this key the last time that the sync asked for it: what the ledger and what is
/// open say.
pub(super) fn still_claims(rows: &[LedgerRow], changes: &[Change], sync: &str, key: &str) -> bool {
    let trail = |bytes: &[u8]| unpack::<AuditTrail>(bytes).ok().filter(|trail| trail.sync == sync);
    // That a letter went says nothing new of its record.
    let ended = rows.iter().filter(|row| row.end != End::Closed).filter_map(|row| {
        let trail = trail(&row.subject.trail)?;
        let key = match row.end {
            End::Unchanged => trail.key,
            // What was refused once, or could not be compared, still hangs on the record for which it was wanted.
            End::Dead | End::Retried | End::Discarded if yields(&trail) => None,
            End::Dead | End::Retried | End::Discarded if row.target.is_empty() => trail.key,
            End::Written | End::Superseded | End::Dead | End::Retried | End::Discarded => {
                Some(row.key.clone())
            }
            End::NoData | End::Closed => None,
        };
        Some((row.subject.asked_ms, key))
    });
    let open = changes.iter().flat_map(|change| {
        let subjects = change.subjects.iter().filter(|subject| trail(&subject.trail).is_some());
        subjects.map(|subject| (subject.asked_ms, Some(change.key.clone())))
    });
    let all: Vec<(UnixMs, Option<String>)> = ended.chain(open).collect();
    let Some(newest) = all.iter().map(|(asked_ms, _)| *asked_ms).max() else { return false };
    all.iter().any(|(asked_ms, one)| *asked_ms == newest && one.as_deref() == Some(key))
}

#[cfg(test)]
mod tests {
    use orgpipe_reconcile::Operation;
    use orgpipe_store::{Seq, Subject};

    use super::*;
    use crate::queue_entry::pack;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn whoever_waits_for_a_key_is_asked_again_once_its_holder_has_left_it() {
        let mut shared = SharedKeys::default();
        shared.note("accounts", "k", "001A", set(&["001A", "001B", "001C"]).into_iter());
        assert!(shared.problem().is_some_and(|problem| problem.reason.contains("001A and 001B")));
        let now = |record: &str, keys: &[&str]| BTreeMap::from([(record.to_owned(), set(keys))]);
        assert_eq!(shared.leave("accounts", &now("001A", &["k"])), set(&[]), "it holds on");
        assert_eq!(shared.leave("leads", &now("001A", &[])), set(&[]), "another sync");
        assert_eq!(shared.leave("accounts", &now("001C", &["other"])), set(&[]), "it waits no more");
        assert_eq!(shared.leave("accounts", &now("001A", &["other"])), set(&["001B"]));
        assert_eq!((shared.problem(), shared.0.len()), (None, 0));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut shared = SharedKeys::default();
        for n in 0..KEYS_MAX + 5 {
            shared.note("accounts", &format!("k{n}"), "001A", (0..50).map(|n| format!("001B{n:02}")));
        }
        assert_eq!((shared.0.len(), shared.0[0].others.len()), (KEYS_MAX, OTHERS_MAX));
    }

    fn claim(record: &str, created_ms: u64) -> Claim {
        Claim { record: record.to_owned(), created_ms: Some(UnixMs(created_ms)) }
    }

    #[test]
    fn the_owner_is_the_one_who_has_it_or_the_newest_in_whatever_order_they_come() {
        use OnSharedKey::{DeadLetter, First, Newest};
        let (a, b, c) = (claim("001A", 5), claim("001B", 9), claim("001C", 9));
        for (on, claims, holder, expected) in [
            (First, vec![&a, &b], None, "001A"),
            (First, vec![&b, &a], None, "001B"),
            (First, vec![&a, &b], Some(&b), "001B"),
            (DeadLetter, vec![&a], Some(&c), "001C"),
            (DeadLetter, vec![&a, &c], Some(&a), "001A"),
            (Newest, vec![&a, &b], None, "001B"),
            (Newest, vec![&b, &a], Some(&a), "001B"),
            (Newest, vec![&c, &b, &a], Some(&a), "001C"),
            (Newest, vec![&a], Some(&b), "001B"),
            (Newest, vec![&b], Some(&a), "001B"),
        ] {
            let all: Vec<Claim> = claims.iter().map(|claim| (*claim).clone()).collect();
            assert_eq!(owner(on, &all, holder), expected, "{on:?} {claims:?} {holder:?}");
        }
    }

    fn row(sync: &str, end: End, asked_ms: u64, key: &str) -> LedgerRow {
        let mut trail = AuditTrail::new(sync, Origin::Refresh, "run", None);
        trail.target(key);
        let subject = Subject {
            record: "001A".into(),
            units: 1,
            asked_ms: UnixMs(asked_ms),
            trail: trail.pack(),
            pushes: Vec::new(),
        };
        let (seq, tries, ended_ms) = (Some(Seq(1)), 1, UnixMs(asked_ms + 5));
        let texts = || String::new();
        let (target, target_id, reason, by) = (texts(), texts(), texts(), texts());
        LedgerRow { subject, end, ended_ms, seq, tries, target, key: key.into(), target_id, reason, by }
    }

    #[test]
    fn what_is_done_about_a_record_without_its_own_makes_nobody_its_holder() {
        let org = crate::settings::tests::org();
        let mapping = &org.syncs[0].mapping;
        let entry = |origin, source_id: &str, operation| {
            pack(&ChangeEntry {
                v: 1,
                sync: "accounts".into(),
                target: "Enrichment__c".into(),
                external_id_field: "External_Id__c".into(),
                external_id: "one".into(),
                operation,
                target_id: None,
                fields: Row::new(),
                receipts: Vec::new(),
                fingerprint: String::new(),
                source_id: source_id.into(),
                origin,
                gap: None,
                received_ms: UnixMs(5),
            })
        };
        for operation in [Operation::Update, Operation::Delete] {
            let orphan = entry(Origin::Orphan, "a0X000000000001AAA", operation);
            let own = entry(Origin::Live, "001000000000001AAA", Operation::Upsert);
            let of = |open: &[&Vec<u8>]| {
                let open: Vec<Vec<u8>> = open.iter().map(|entry| (*entry).clone()).collect();
                hangs_on(mapping, None, Some(&open), None)
            };
            assert_eq!(of(&[&orphan]), None, "{operation:?}");
            assert_eq!(of(&[&own, &orphan]).as_deref(), Some("001000000000001AAA"), "{operation:?}");
        }
    }

    #[test]
    fn a_record_claims_the_keys_of_its_last_answer_and_no_others() {
        let rows = [
            row("leads", End::Written, 9, "elsewhere"),
            row("accounts", End::Unchanged, 8, "one"),
            row("accounts", End::Written, 8, "two"),
            row("accounts", End::Written, 3, "before"),
        ];
        for (key, claims) in [("one", true), ("two", true), ("before", false), ("elsewhere", false)] {
            assert_eq!(still_claims(&rows, &[], "accounts", key), claims, "{key}");
        }
        let before = row("accounts", End::Written, 8, "one");
        for end in [End::Dead, End::Retried, End::Discarded] {
            let refused = LedgerRow { target: "Enrichment__c".into(), ..row("accounts", end, 9, "one") };
            let uncompared = LedgerRow { key: "letter".into(), ..row("accounts", end, 9, "one") };
            let mut yielded = row("accounts", end, 9, "one");
            let mut trail: AuditTrail = unpack(&yielded.subject.trail).expect("a trail");
            trail.shared = Some(SharedWith::Yields("001B".into()));
            yielded.subject.trail = trail.pack();
            for (last, claims) in [(refused, true), (uncompared, true), (yielded, false)] {
                assert_eq!(still_claims(&[last, before.clone()], &[], "accounts", "one"), claims, "{end:?}");
            }
        }
        let nothing = [row("accounts", End::NoData, 9, "one")];
        assert!(!still_claims(&nothing, &[], "accounts", "one"));
        assert!(!still_claims(&[], &[], "accounts", "one"));
    }
}
