//! Pushes: taking one in for many orgs, and telling what became of it.
//!
//! ```text
//! asked for ─▶ checked ─▶ [log] ─▶ answered ┆ each org finds its records ─▶ A ─▶ B ─▶ C, counted per push
//! ```
//!
//! Here: which orgs one is for, whether it may come in, which ones make room, and what is shown of them. Not here: what a push
//! may ask about (`push`), finding the records (`capture/push.rs`), counting (the store).
//!
//! Invariant: a push is answered only after it is on disk, and the same key finds it for as long as it is kept.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use orgpipe_store::{PushCounts, Seq, StoreError, UnixMs};
use serde::Serialize;

use super::Service;
use crate::{
    failpoint::Point,
    org::{context::OrgContext, push_log::Logged},
    problem::Hint as _,
    push::{NewPush, PUSH_ITEMS_MAX, PushBody, PushHead, PushItems, PushKind, PushProblem},
    queue_entry::pack,
    settings::SyncSettings,
    supervise::supervisor::Pushed,
};

/// Pushes that are kept; those that are through make room.
const PUSHES_MAX: usize = 10_000;
/// Bytes of all of them.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// What orgs have counted for them, over all orgs.
const COUNTS_MAX: u64 = 200_000;
/// How long a push is kept. An org that has not read it by then refreshes the sync instead.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// How often it is looked which are too old.
const LOOK: Duration = Duration::from_mins(1);
/// Orgs that are told of one push.
const ORGS_SHOWN_MAX: usize = 1_000;

/// Why a push was not taken in, or is not shown.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// What it asks about.
    #[error(transparent)]
    Problem(#[from] PushProblem),
    /// No such org.
    #[error("there is no org `{0}`")]
    UnknownOrg(String),
    /// No such sync in any org.
    #[error("no org has a sync `{0}`")]
    UnknownSync(String),
    /// An org that is named has no such sync.
    #[error("org `{org}` has no sync `{sync}`")]
    NoSync {
        /// The org.
        org: String,
        /// The sync.
        sync: String,
    },
    /// Record IDs are of one org.
    #[error("record IDs are those of one org, and the push is for {0}")]
    RecordIdsOf(String),
    /// The target has no lookup by which its record is found.
    #[error(
        "in org `{org}` the sync `{sync}` writes no `$Id` to {target}, so an external ID leads to no record"
    )]
    NoLookup {
        /// The org.
        org: String,
        /// The sync.
        sync: String,
        /// Its target.
        target: String,
    },
    /// A key that the sync does not have.
    #[error("item {place} of the push has a key `{key}`, and the sync `{sync}` has {}", known.join(", "))]
    UnknownKey {
        /// Place of the item, from 0.
        place: usize,
        /// The key.
        key: String,
        /// The sync.
        sync: String,
        /// Its keys.
        known: Vec<String>,
    },
    /// The same key came with another push.
    #[error("the `Idempotency-Key` came with another push before, which has number {0}")]
    OtherPush(Seq),
    /// Too much waits.
    #[error("{waiting} pushes of {bytes} bytes wait for orgs to read them, and no more are taken in")]
    TooMany {
        /// Pushes that are kept.
        waiting: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// No such push.
    #[error("there is no push {0}")]
    Unknown(Seq),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PushError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Problem(problem) => return problem.hint(),
            Self::UnknownOrg(_) => "`orgpipe orgs list` shows the orgs there are.".to_owned(),
            Self::UnknownSync(_) | Self::NoSync { .. } => {
                "Name a sync as the settings do, and orgs that have it.".to_owned()
            }
            Self::RecordIdsOf(_) => "Name it with `org`, and push to each org by itself.".to_owned(),
            Self::NoLookup { .. } => {
                "Push the sync's keys or the record IDs instead, or map a lookup of the target, such as `Account__c = \"$Id\"`."
                    .to_owned()
            }
            Self::UnknownKey { .. } => "Name the keys as `keys` of the sync does.".to_owned(),
            Self::OtherPush(_) => {
                "Nothing was taken. Use a key of its own for each push, and the same one only to repeat it.".to_owned()
            }
            Self::TooMany { .. } => {
                "Look which orgs are behind: `orgpipe push --show`. Push again later, or refresh the sync.".to_owned()
            }
            Self::Unknown(_) => {
                "It never was, it is older than 7 days, or it made room for newer ones: GET /api/v1/changes lists them."
                    .to_owned()
            }
            Self::Store(error) => return error.hint(),
        })
    }
}

/// A push that is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AcceptedPush {
    /// Its number.
    pub number: Seq,
    /// Name of the sync.
    pub sync: String,
    /// Items in it.
    pub items: usize,
    /// Orgs it is for.
    pub orgs: usize,
    /// Whether it had been taken in before, with the same key.
    pub repeated: bool,
}

/// What became of the records that a push asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PushTally {
    /// Records that were found; the sum of all that follow.
    pub found: u64,
    /// In the org now.
    pub written: u64,
    /// The org held it already.
    pub unchanged: u64,
    /// Nothing is known about it, or it is gone.
    pub no_data: u64,
    /// A later request for the same record took its place.
    pub superseded: u64,
    /// It cannot be written; see the dead letter.
    pub dead: u64,
    /// Still under way.
    pub open: u64,
}

impl PushTally {
    fn add(&mut self, counts: PushCounts) {
        self.found += counts.found;
        self.written += counts.written;
        self.unchanged += counts.unchanged;
        self.no_data += counts.no_data;
        self.superseded += counts.superseded;
        self.dead += counts.dead;
        self.open += counts.open();
    }
}

/// A push in one org.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrgPush {
    /// The org.
    pub org: String,
    /// Whether it has still to look for records.
    pub searching: bool,
    /// Its records.
    #[serde(flatten)]
    pub tally: PushTally,
}

/// A push as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PushView {
    /// Its number.
    pub number: Seq,
    /// Name of the sync.
    pub sync: String,
    /// Which list it has.
    pub kind: PushKind,
    /// Items in it.
    pub items: usize,
    /// When it was accepted.
    pub at_ms: UnixMs,
    /// Orgs it is for, without those that are gone since.
    pub orgs_total: usize,
    /// Orgs that have still to look for records.
    pub searching: usize,
    /// Whether all is through.
    pub done: bool,
    /// The records of all orgs.
    #[serde(flatten)]
    pub tally: PushTally,
    /// The orgs that have found something or have still to look, by name, as far as they are told one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub orgs: Vec<OrgPush>,
}

/// What waits of the pushes, and what came since the service started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PushNumbers {
    /// Pushes that are kept.
    pub kept: usize,
    /// Of these, those that an org has still to read.
    pub waiting: usize,
    /// Pushes that were accepted.
    pub accepted: u64,
    /// Their items.
    pub items: u64,
}

impl Service {
    /// Takes a push in: it is on disk when this returns.
    ///
    /// # Errors
    /// It asks for what there is not, or too much waits; nothing is stored then.
    pub async fn push(&self, new: NewPush) -> Result<AcceptedPush, PushError> {
        let new = new.checked()?;
        let writer = self.pushes.write().await;
        // As the orgs were then: the same push is the same, whatever has become of them since.
        if let Some(key) = &new.idempotency_key
            && let Some((number, known)) = self.pushes.keyed(key)
        {
            if known.digest != new.digest() {
                return Err(PushError::OtherPush(number));
            }
            return Ok(accepted(number, &known, true));
        }
        let orgs = self.orgs_of(&new)?;
        let first = orgs.first().cloned();
        let names = orgs.iter().map(|org| org.id().to_owned()).collect();
        let (head, body) = new.stored(names, self.clock.now_ms());
        let remove = self.make_room(&head, &body).await?;
        let pass = |point| first.iter().for_each(|org| org.pass(point));
        pass(Point::BeforeAccept);
        let told = head.clone();
        let number = writer.add(head, &body, remove).await?;
        pass(Point::AfterAccept);
        drop(writer);
        let answer = accepted(number, &told, false);
        tracing::info!(
            push = number.0,
            sync = told.sync,
            items = told.items,
            orgs = answer.orgs,
            "a push came in"
        );
        // A full mailbox costs time only: each org looks by itself.
        let _ = self.supervisor.try_send(Pushed(told.orgs));
        Ok(answer)
    }

    /// The orgs that a push is for, if each of them can find its records.
    fn orgs_of(&self, new: &NewPush) -> Result<Vec<Arc<OrgContext>>, PushError> {
        let sync_of =
            |org: &OrgContext| org.settings.syncs.iter().find(|sync| sync.name == new.sync).cloned();
        let named = match &new.orgs {
            None => self.orgs.all(),
            Some(names) => {
                let known = |name: &String| {
                    self.orgs.get(name).ok_or_else(|| PushError::UnknownOrg(name.chars().take(100).collect()))
                };
                names.iter().map(known).collect::<Result<_, _>>()?
            }
        };
        let mut orgs = Vec::with_capacity(named.len());
        for org in named {
            match sync_of(&org) {
                Some(sync) => {
                    check_items(org.id(), &sync, &new.items)?;
                    orgs.push(org);
                }
                None if new.orgs.is_none() => {}
                None => {
                    return Err(PushError::NoSync {
                        org: org.id().to_owned(),
                        sync: new.sync.chars().take(100).collect(),
                    });
                }
            }
        }
        if orgs.is_empty() {
            return Err(PushError::UnknownSync(new.sync.chars().take(100).collect()));
        }
        match (&new.items, &new.orgs) {
            (PushItems::RecordIds(_), None) => Err(PushError::RecordIdsOf("all orgs".to_owned())),
            (PushItems::RecordIds(_), Some(names)) if names.len() != 1 => {
                Err(PushError::RecordIdsOf(format!("{} orgs", names.len())))
            }
            _ => Ok(orgs),
        }
    }

    /// The oldest pushes that are through, as many as have to go for this one.
    async fn make_room(&self, head: &PushHead, body: &PushBody) -> Result<Vec<Seq>, PushError> {
        let bytes = pack(head).len() + pack(body).len();
        let all = self.pushes.all();
        let mut left = all.len();
        let mut held = all.iter().map(|(_, logged)| logged.bytes).sum::<usize>();
        let mut counts = self.store.push_counts_kept().await?;
        let mut remove = Vec::new();
        let fits = |left: usize, held: usize, counts: u64| {
            left < PUSHES_MAX && held + bytes <= BYTES_MAX && counts < COUNTS_MAX
        };
        for (number, logged) in all {
            if fits(left, held, counts) {
                break;
            }
            let counted = self.store.push_counts(number).await?;
            let open = counted.iter().any(|(org, counts)| self.orgs.get(org).is_some() && counts.open() > 0);
            if open || !self.searching(number, &logged.head).is_empty() {
                continue;
            }
            (left, held, counts) =
                (left - 1, held - logged.bytes, counts.saturating_sub(counted.len() as u64));
            remove.push(number);
        }
        if fits(left, held, counts) {
            Ok(remove)
        } else {
            Err(PushError::TooMany { waiting: left, bytes: held })
        }
    }

    /// The orgs that have still to look for the records of a push, and that still are what it is for.
    fn searching(&self, number: Seq, head: &PushHead) -> Vec<Arc<OrgContext>> {
        let searching = |org: &Arc<OrgContext>| {
            has_sync(org, &head.sync) && self.pushes.is_searching(org.id(), number, head)
        };
        head.orgs.iter().filter_map(|org| self.orgs.get(org)).filter(searching).collect()
    }

    /// The newest pushes, at most so many, without what is told org by org.
    pub async fn pushes(&self, limit: usize) -> Result<Vec<PushView>, StoreError> {
        let mut views = Vec::new();
        for (number, logged) in self.pushes.all().into_iter().rev().take(limit) {
            views.push(PushView { orgs: Vec::new(), ..self.push_view(number, &logged).await? });
        }
        Ok(views)
    }

    /// One push, org by org.
    pub async fn pushed(&self, number: Seq) -> Result<PushView, PushError> {
        let logged = self.pushes.get(number).ok_or(PushError::Unknown(number))?;
        Ok(self.push_view(number, &logged).await?)
    }

    async fn push_view(&self, number: Seq, logged: &Logged) -> Result<PushView, StoreError> {
        let head = &logged.head;
        // Before the counts: what is found meanwhile is told as open rather than not at all.
        let searching = self.searching(number, head);
        let counts: BTreeMap<String, PushCounts> =
            self.store.push_counts(number).await?.into_iter().collect();
        let (mut tally, mut orgs) = (PushTally::default(), Vec::new());
        let mut orgs_total = 0;
        for org in head.orgs.iter().filter(|org| self.orgs.get(org).is_some()) {
            orgs_total += 1;
            let counted = counts.get(org).copied().unwrap_or_default();
            tally.add(counted);
            let searches = searching.iter().any(|known| known.id() == org);
            if (searches || counted.found > 0) && orgs.len() < ORGS_SHOWN_MAX {
                let mut own = PushTally::default();
                own.add(counted);
                orgs.push(OrgPush { org: org.clone(), searching: searches, tally: own });
            }
        }
        Ok(PushView {
            number,
            sync: head.sync.clone(),
            kind: head.kind,
            items: head.items,
            at_ms: head.at_ms,
            orgs_total,
            searching: searching.len(),
            done: searching.is_empty() && tally.open == 0,
            tally,
            orgs,
        })
    }

    /// What waits of the pushes, and what came.
    pub fn push_numbers(&self) -> PushNumbers {
        let all = self.pushes.all();
        let waits = |(number, logged): &&(Seq, Logged)| !self.searching(*number, &logged.head).is_empty();
        let (accepted, items) = self.pushes.accepted();
        PushNumbers { kept: all.len(), waiting: all.iter().filter(waits).count(), accepted, items }
    }

    /// Lets pushes go that are too old, for as long as the service runs.
    pub(super) async fn forget_old_pushes(self) {
        while self.supervisor.connected() {
            if let Err(error) = self.forget_pushes_before(self.clock.now_ms().saturating_sub(KEPT)).await {
                tracing::error!("pushes that are too old stay: {error}");
            }
            actix_rt::time::sleep(LOOK).await;
        }
    }

    /// Lets pushes go that were accepted before. An org that has not read one by then reads all records of the sync instead.
    pub(crate) async fn forget_pushes_before(&self, oldest_ms: UnixMs) -> Result<(), StoreError> {
        let mut gone = Vec::new();
        for (number, logged) in self.pushes.all() {
            if logged.head.at_ms >= oldest_ms {
                continue;
            }
            let mut all = true;
            for org in self.searching(number, &logged.head) {
                all &= self.make_up_for(&org, number, &logged.head.sync).await;
            }
            if all {
                gone.push(number);
            }
        }
        if !gone.is_empty() {
            self.pushes.write().await.remove(gone).await?;
        }
        Ok(())
    }

    /// False if it has to be tried again.
    async fn make_up_for(&self, org: &OrgContext, push: Seq, sync: &str) -> bool {
        let org = org.id();
        let refreshes = self.orgs.get(org).is_some_and(|org| {
            org.settings.syncs.iter().any(|known| known.name == sync && known.refresh.is_some())
        });
        if !refreshes {
            let message =
                "a push has waited for 7 days and is forgotten; its sync has no `refresh` to make up for it";
            tracing::error!(org, push = push.0, sync, "{message}");
            return true;
        }
        match self.refresh(org, Some(sync), false).await {
            Ok(_) => {
                let message =
                    "a push has waited for 7 days and is forgotten; all records of its sync are read instead";
                tracing::warn!(org, push = push.0, sync, "{message}");
                true
            }
            Err(error) => {
                tracing::error!(org, push = push.0, sync, "a push that is too old stays: {error}");
                false
            }
        }
    }
}

fn accepted(number: Seq, head: &PushHead, repeated: bool) -> AcceptedPush {
    AcceptedPush { number, sync: head.sync.clone(), items: head.items, orgs: head.orgs.len(), repeated }
}

fn has_sync(org: &OrgContext, sync: &str) -> bool {
    org.settings.syncs.iter().any(|known| known.name == sync)
}

/// Whether an org can find the records of these items. Pure.
fn check_items(org: &str, sync: &SyncSettings, items: &PushItems) -> Result<(), PushError> {
    let mapping = &sync.mapping;
    match items {
        PushItems::ExternalIds(_) if mapping.links().next().is_none() => Err(PushError::NoLookup {
            org: org.to_owned(),
            sync: sync.name.clone(),
            target: mapping.target().to_owned(),
        }),
        PushItems::Keys(items) => {
            let known: Vec<String> = mapping.keys().iter().map(|(key, _)| key.clone()).collect();
            let unknown = items.iter().take(PUSH_ITEMS_MAX).enumerate().find_map(|(place, keys)| {
                let key = keys.keys().find(|key| !known.contains(key))?;
                Some((place, key.chars().take(100).collect()))
            });
            match unknown {
                Some((place, key)) => {
                    Err(PushError::UnknownKey { place, key, sync: sync.name.clone(), known })
                }
                None => Ok(()),
            }
        }
        PushItems::ExternalIds(_) | PushItems::RecordIds(_) => Ok(()),
    }
}
