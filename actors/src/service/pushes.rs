//! Pushes: taking one in for many orgs, and telling what became of it.
//!
//! ```text
//! asked for ─▶ checked ─▶ [log] ─▶ answered ┆ each org finds its records ─▶ A ─▶ B ─▶ C, counted per push
//! ```
//!
//! Here: which orgs one is for, whether it may come in, which ones make room, and what is shown of them. Not here: what a push
//! may ask about (`push`), how it is shown (`push_view`), finding the records (`capture/push.rs`), counting (the store).
//!
//! Invariant: a push is answered only after it is on disk, and the same key finds it for as long as it is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use orgpipe_store::{BODY_BYTES_MAX, PushCounts, Seq, StoreError, UnixMs};

use super::{
    Service,
    push_error::PushError,
    push_view::{AcceptedPush, OrgPush, PushNumbers, PushTally, PushView},
};
use crate::{
    capture::refresh,
    failpoint::Point,
    org::{context::OrgContext, push_log::Logged},
    push::{NewPush, PUSH_ITEMS_MAX, PushBody, PushHead, PushItems, PushKind, PushProblem},
    queue_entry::pack,
    settings::SyncSettings,
    supervise::supervisor::Pushed,
};

/// What is kept; pushes that are through make room.
const KEPT_MAX: PushesKept = PushesKept { pushes: 10_000, bytes: 64 * 1024 * 1024, counts: 200_000 };
/// How long a push is kept. An org that has not read it by then refreshes the sync instead.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// How long an org has at least to read a push. After that it makes room where some is needed, and the org refreshes the sync.
const PATIENCE: Duration = Duration::from_hours(1);
/// How often it is looked which are too old.
const LOOK: Duration = Duration::from_mins(1);
/// Orgs that are told of one push.
const ORGS_SHOWN_MAX: usize = 1_000;

/// How much there is of pushes.
#[derive(Clone, Copy, Debug)]
pub(super) struct PushesKept {
    /// Pushes.
    pub(super) pushes: usize,
    /// Bytes of all of them.
    pub(super) bytes: usize,
    /// What orgs have counted for them, over all orgs.
    pub(super) counts: u64,
}

impl PushesKept {
    /// Whether one more has room within these.
    fn fits(self, bytes: usize, max: Self) -> bool {
        self.pushes < max.pushes && self.bytes + bytes <= max.bytes && self.counts < max.counts
    }
}

impl Service {
    /// Takes a push in: it is on disk when this returns.
    ///
    /// # Errors
    /// It asks for what there is not, or too much waits; nothing is stored then.
    pub async fn push(&self, new: NewPush) -> Result<AcceptedPush, PushError> {
        self.push_within(new, KEPT_MAX, PATIENCE).await
    }

    /// The same with so much that is kept at most, and for so long at least for orgs that are behind.
    pub(super) async fn push_within(
        &self,
        new: NewPush,
        max: PushesKept,
        patience: Duration,
    ) -> Result<AcceptedPush, PushError> {
        let new = new.checked()?;
        let writer = self.pushes.write().await;
        // As the orgs were then: the same push is the same, whatever has become of them since.
        if let Some(key) = &new.idempotency_key
            && let Some((number, known)) = self.pushes.keyed(key)
        {
            if known.digest != new.digest() {
                return Err(PushError::OtherPush(number));
            }
            return Ok(AcceptedPush::new(number, &known, true));
        }
        let orgs = self.orgs_of(&new)?;
        let first = orgs.first().cloned();
        let names = orgs.iter().map(|org| org.id().to_owned()).collect();
        let (head, body) = new.stored(names, self.clock.now_ms());
        let remove = self.make_room(&head, &body, max, patience).await?;
        let pass = |point| first.iter().for_each(|org| org.pass(point));
        pass(Point::BeforeAccept);
        let told = head.clone();
        let number = writer.add(head, &body, remove).await?;
        pass(Point::AfterAccept);
        drop(writer);
        let answer = AcceptedPush::new(number, &told, false);
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
        // Most orgs have the same keys, and the items are held against them once.
        let mut checked: BTreeSet<Vec<String>> = BTreeSet::new();
        for org in named {
            match org.settings.syncs.iter().find(|sync| sync.name == new.sync) {
                Some(sync) => {
                    let keys = sync.mapping.keys().iter().map(|(key, _)| key.clone()).collect();
                    if checked.insert(keys) || new.items.kind() != PushKind::Keys {
                        check_items(org.id(), sync, &new.items)?;
                    }
                    orgs.push(Arc::clone(&org));
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
            (PushItems::RecordIds(_), Some(orgs)) if orgs.len() != 1 => {
                Err(PushError::RecordIdsOf(format!("{} orgs", orgs.len())))
            }
            _ => Ok(orgs),
        }
    }

    /// The oldest pushes that are through, as many as have to go for this one. If that is not enough, the oldest of those that
    /// orgs have had the time to read: these orgs read all records of the sync instead.
    async fn make_room(
        &self,
        head: &PushHead,
        body: &PushBody,
        max: PushesKept,
        patience: Duration,
    ) -> Result<Vec<Seq>, PushError> {
        let (head_bytes, body_bytes) = (pack(head).len(), pack(body).len());
        if head_bytes.max(body_bytes) > BODY_BYTES_MAX {
            return Err(PushProblem::TooLong(body_bytes).into());
        }
        let (bytes, all) = (head_bytes + body_bytes, self.pushes.all());
        let mut left = PushesKept {
            pushes: all.len(),
            bytes: all.iter().map(|(_, logged)| logged.bytes).sum(),
            counts: self.store.push_counts_kept().await?,
        };
        let (mut remove, mut behind) = (Vec::new(), Vec::new());
        let behind_ms = head.at_ms.saturating_sub(patience);
        for (number, logged) in all {
            if left.fits(bytes, max) {
                break;
            }
            let searching = self.searching(number, &logged.head);
            if !searching.is_empty() {
                let refreshes = searching.values().all(|org| refreshes(org, &logged.head.sync));
                if refreshes && logged.head.at_ms <= behind_ms {
                    behind.push((number, logged, searching));
                }
                continue;
            }
            let counted = self.store.push_counts(number).await?;
            if counted.iter().any(|(org, counts)| self.orgs.get(org).is_some() && counts.open() > 0) {
                continue;
            }
            left.pushes -= 1;
            left.bytes -= logged.bytes;
            left.counts = left.counts.saturating_sub(counted.len() as u64);
            remove.push(number);
        }
        for (number, logged, searching) in behind {
            if left.fits(bytes, max) {
                break;
            }
            let counted = self.store.push_counts(number).await?.len();
            if !self.make_up_to_all(number, &logged.head, searching).await {
                continue;
            }
            left.pushes -= 1;
            left.bytes -= logged.bytes;
            left.counts = left.counts.saturating_sub(counted as u64);
            remove.push(number);
        }
        if left.fits(bytes, max) {
            Ok(remove)
        } else {
            Err(PushError::TooMany { waiting: left.pushes, bytes: left.bytes })
        }
    }

    /// The orgs that have still to look for the records of a push, and that still are what it is for.
    fn searching(&self, number: Seq, head: &PushHead) -> BTreeMap<String, Arc<OrgContext>> {
        if self.pushes.is_read(number) {
            return BTreeMap::new();
        }
        let searching = |org: &Arc<OrgContext>| {
            has_sync(org, &head.sync) && self.pushes.is_searching(org.id(), number, head)
        };
        let orgs = head.orgs.iter().filter_map(|org| self.orgs.get(org)).filter(searching);
        let orgs: BTreeMap<String, Arc<OrgContext>> = orgs.map(|org| (org.id().to_owned(), org)).collect();
        if orgs.is_empty() {
            self.pushes.read(number);
        }
        orgs
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
            let searches = searching.contains_key(org);
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
            let searching = self.searching(number, &logged.head);
            if self.make_up_to_all(number, &logged.head, searching).await {
                gone.push(number);
            }
        }
        if !gone.is_empty() {
            self.pushes.write().await.remove(gone).await?;
        }
        Ok(())
    }

    /// Has the orgs that have not read a push read all records of its sync instead. False if it has to be tried again.
    async fn make_up_to_all(
        &self,
        number: Seq,
        head: &PushHead,
        searching: BTreeMap<String, Arc<OrgContext>>,
    ) -> bool {
        let mut all = true;
        for org in searching.into_values() {
            all &= self.make_up_for(&org, number, &head.sync).await;
        }
        all
    }

    /// An org that is parked or down finds the refresh when it starts. False if it has to be tried again.
    async fn make_up_for(&self, org: &OrgContext, push: Seq, sync: &str) -> bool {
        let push = push.0;
        if !refreshes(org, sync) {
            let message =
                "a push that was not read in time is forgotten; its sync has no `refresh` to make up for it";
            tracing::error!(org = org.id(), push, sync, "{message}");
            return true;
        }
        let made_up = match self.refresh(org.id(), Some(sync), false).await {
            Ok(_) => Ok(()),
            Err(_) => refresh::begin(org, sync, false).await,
        };
        match made_up {
            Ok(()) => {
                let message =
                    "a push that was not read in time is forgotten; all records of its sync are read instead";
                tracing::warn!(org = org.id(), push, sync, "{message}");
                true
            }
            Err(error) => {
                tracing::error!(
                    org = org.id(),
                    push,
                    sync,
                    "a push that was not read in time stays: {error}"
                );
                false
            }
        }
    }
}

/// Whether all records of a sync can be read instead of those that a push leads to.
fn refreshes(org: &OrgContext, sync: &str) -> bool {
    org.settings.syncs.iter().any(|known| known.name == sync && known.refresh.is_some())
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
