//! The log of pushes as the orgs read it: which there are, and how far each org is with those of each of its syncs.
//!
//! ```text
//! accepted ──▶ [log: one value per push, in the store] ──▶ each org named in it, from its own place on
//! ```
//!
//! Here: what is known in memory of the log, rebuilt from the store at the start. Not here: taking a push in and letting
//! it go (`service/pushes.rs`), what an org does with one (`capture/push.rs`).
//!
//! Invariant: an org's place moves here only after the commit that stores it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use orgpipe_store::{Push, PushWrite, Seq, Store, StoreError};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, Semaphore};

use super::store::{OrgStore, Position};
use crate::{
    push::{PushBody, PushHead, PushItems, PushPlace},
    queue_entry::{pack, unpack},
};

/// Orgs that look for the records of pushes at the same time: a push to thousands of orgs is spread over them.
const ORGS_AT_ONCE: usize = 32;
/// How long a look counts as one of these: orgs that do not answer hold up no others.
const TURN_MAX: Duration = Duration::from_millis(500);
/// Bytes of the bodies that are kept in memory, so that the orgs of one push read it once.
const BODIES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The log, shared by all orgs.
#[derive(Debug)]
pub(crate) struct PushLog {
    store: Store,
    /// Held while the log is written.
    writing: AsyncMutex<()>,
    known: Mutex<LogInMemory>,
    turns: Semaphore,
}

#[derive(Debug, Default)]
struct LogInMemory {
    pushes: BTreeMap<Seq, Logged>,
    /// By org and sync.
    places: BTreeMap<String, BTreeMap<String, PushPlace>>,
    /// The ones read last.
    bodies: VecDeque<HeldBody>,
    /// Their bytes, as they are stored.
    bodies_bytes: usize,
    /// Pushes and items that were accepted.
    accepted: (u64, u64),
    /// Pushes that every org has read to their end.
    read: BTreeSet<Seq>,
}

/// What a push asks about, in memory.
#[derive(Debug)]
struct HeldBody {
    number: Seq,
    bytes: usize,
    body: Arc<PushBody>,
}

/// One push of the log.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    /// What it is.
    pub head: Arc<PushHead>,
    /// Bytes that are stored of it.
    pub bytes: usize,
}

impl PushLog {
    /// The log of a store; nothing is known of it yet.
    pub(crate) fn new(store: Store) -> Self {
        let (writing, turns) = (AsyncMutex::default(), Semaphore::new(ORGS_AT_ONCE));
        Self { store, writing, known: Mutex::default(), turns }
    }

    /// Reads all that is known of it at once, and how far the orgs are.
    pub(crate) async fn load(&self) -> Result<(), StoreError> {
        let (store, mut known) = (&self.store, LogInMemory::default());
        for number in store.pushes().await? {
            let Push { head, body } = store.push(number).await?;
            match unpack::<PushHead>(&head) {
                Ok(read) => {
                    let logged = Logged { head: Arc::new(read), bytes: head.len() + body.len() };
                    known.pushes.insert(number, logged);
                }
                Err(error) => tracing::error!(push = number.0, "a push of a later version waits: {error}"),
            }
        }
        let mut named: BTreeSet<(&str, &str)> = BTreeSet::new();
        for Logged { head, .. } in known.pushes.values() {
            named.extend(head.orgs.iter().map(|org| (org.as_str(), head.sync.as_str())));
        }
        let mut places: BTreeMap<String, BTreeMap<String, PushPlace>> = BTreeMap::new();
        for (org, sync) in named {
            let stored = OrgStore::new(store.clone(), org).json(Position::Pushed(sync)).await?;
            let place = stored.and_then(Result::ok).unwrap_or_default();
            places.entry(org.to_owned()).or_default().insert(sync.to_owned(), place);
        }
        known.places = places;
        *self.lock() = known;
        Ok(())
    }

    /// Nobody else writes the log meanwhile.
    pub(crate) async fn write(&self) -> LogWriter<'_> {
        LogWriter { log: self, _writing: self.writing.lock().await }
    }

    /// All pushes, oldest first.
    pub(crate) fn all(&self) -> Vec<(Seq, Logged)> {
        self.lock().pushes.iter().map(|(number, logged)| (*number, logged.clone())).collect()
    }

    /// One push, if it is there.
    pub(crate) fn get(&self, number: Seq) -> Option<Logged> {
        self.lock().pushes.get(&number).cloned()
    }

    /// The one that came with this key.
    pub(crate) fn keyed(&self, key: &str) -> Option<(Seq, Arc<PushHead>)> {
        let known = self.lock();
        let is_of = |logged: &Logged| logged.head.idempotency_key.as_deref() == Some(key);
        let found = known.pushes.iter().find(|(_, logged)| is_of(logged));
        found.map(|(number, logged)| (*number, Arc::clone(&logged.head)))
    }

    /// Pushes and items that were accepted since the start.
    pub(crate) fn accepted(&self) -> (u64, u64) {
        self.lock().accepted
    }

    /// The number of the newest push.
    pub(crate) fn newest(&self) -> Seq {
        self.lock().pushes.last_key_value().map(|(number, _)| *number).unwrap_or_default()
    }

    /// The pushes from a number on that an org has not read to their end, oldest first, at most so many.
    pub(crate) fn waiting(&self, org: &str, sync: &str, from: Seq, most: usize) -> Vec<(Seq, Arc<PushHead>)> {
        let known = self.lock();
        let place = known.place(org, sync);
        let waits = |number: Seq, head: &PushHead| {
            head.sync == sync
                && head.orgs.binary_search_by(|named| named.as_str().cmp(org)).is_ok()
                && !place.is_some_and(|place| place.is_behind(number, head.items))
        };
        let from = place.map(|place| place.number).unwrap_or_default().max(from);
        let waiting = known.pushes.range(from..).filter(|(number, logged)| waits(**number, &logged.head));
        waiting.map(|(number, logged)| (*number, Arc::clone(&logged.head))).take(most).collect()
    }

    /// Whether an org has still to look for records of this push.
    pub(crate) fn is_searching(&self, org: &str, number: Seq, head: &PushHead) -> bool {
        let known = self.lock();
        !known.place(org, &head.sync).is_some_and(|place| place.is_behind(number, head.items))
    }

    /// Whether every org has read the push to its end, as far as that was found out.
    pub(crate) fn is_read(&self, number: Seq) -> bool {
        self.lock().read.contains(&number)
    }

    /// Every org has.
    pub(crate) fn read(&self, number: Seq) {
        self.lock().read.insert(number);
    }

    /// How far an org is with the pushes of a sync.
    pub(crate) fn place(&self, org: &str, sync: &str) -> PushPlace {
        self.lock().place(org, sync).cloned().unwrap_or_default()
    }

    /// An org's new place is on disk.
    pub(crate) fn passed(&self, org: &str, sync: &str, place: PushPlace) {
        self.lock().places.entry(org.to_owned()).or_default().insert(sync.to_owned(), place);
    }

    /// What a push asks about.
    pub(crate) async fn body(&self, number: Seq) -> Result<Arc<PushBody>, StoreError> {
        let is_it = |held: &&HeldBody| held.number == number;
        let held = self.lock().bodies.iter().find(is_it).map(|held| Arc::clone(&held.body));
        if let Some(body) = held {
            return Ok(body);
        }
        let stored = self.store.push(number).await?;
        // One of a later version asks for nothing that is known here.
        let body = unpack(&stored.body).unwrap_or_else(|error| {
            tracing::error!(push = number.0, "what a push asks about cannot be read: {error}");
            PushBody { items: PushItems::ExternalIds(Vec::new()), data: Vec::new() }
        });
        let (body, bytes) = (Arc::new(body), stored.body.len());
        let mut known = self.lock();
        known.bodies.push_back(HeldBody { number, bytes, body: Arc::clone(&body) });
        known.bodies_bytes += bytes;
        while known.bodies_bytes > BODIES_BYTES_MAX
            && let Some(oldest) = known.bodies.pop_front()
        {
            known.bodies_bytes -= oldest.bytes;
        }
        Ok(body)
    }

    /// Looks for records when it is this org's turn.
    pub(crate) async fn in_turn<T>(&self, look: impl Future<Output = T>) -> T {
        let turn = self.turns.acquire().await;
        let mut look = pin!(look);
        if let Ok(done) = tokio::time::timeout(TURN_MAX, &mut look).await {
            return done;
        }
        drop(turn);
        look.await
    }

    fn lock(&self) -> MutexGuard<'_, LogInMemory> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogInMemory {
    fn place(&self, org: &str, sync: &str) -> Option<&PushPlace> {
        self.places.get(org)?.get(sync)
    }
}

/// Whoever writes the log.
pub(crate) struct LogWriter<'a> {
    log: &'a PushLog,
    _writing: AsyncMutexGuard<'a, ()>,
}

impl LogWriter<'_> {
    /// Adds a push, and lets others go in the same commit. Gives back its number.
    pub(crate) async fn add(
        &self,
        head: PushHead,
        body: &PushBody,
        remove: Vec<Seq>,
    ) -> Result<Seq, StoreError> {
        let push = Push { head: pack(&head), body: pack(body) };
        let bytes = push.head.len() + push.body.len();
        let write = PushWrite { add: Some(push), remove: remove.clone(), ..PushWrite::default() };
        let number = self.log.store.write_pushes(write).await?.unwrap_or_default();
        let mut known = self.log.lock();
        known.forget(&remove);
        known.accepted.0 += 1;
        known.accepted.1 += head.items as u64;
        known.pushes.insert(number, Logged { head: Arc::new(head), bytes });
        Ok(number)
    }

    /// Lets pushes go.
    pub(crate) async fn remove(&self, remove: Vec<Seq>) -> Result<(), StoreError> {
        let write = PushWrite { remove: remove.clone(), ..PushWrite::default() };
        self.log.store.write_pushes(write).await?;
        self.log.lock().forget(&remove);
        Ok(())
    }

    /// No push is for this org any more.
    pub(crate) async fn leave_out(&self, org: &str) -> Result<(), StoreError> {
        let without = |(number, logged): (Seq, Logged)| {
            let mut head = (*logged.head).clone();
            head.orgs.binary_search_by(|named| named.as_str().cmp(org)).ok().map(|at| {
                head.orgs.remove(at);
                (number, head)
            })
        };
        let changed: Vec<(Seq, PushHead)> = self.log.all().into_iter().filter_map(without).collect();
        if !changed.is_empty() {
            let heads = changed.iter().map(|(number, head)| (*number, pack(head))).collect();
            self.log.store.write_pushes(PushWrite { heads, ..PushWrite::default() }).await?;
        }
        let mut known = self.log.lock();
        for (number, head) in changed {
            if let Some(logged) = known.pushes.get_mut(&number) {
                logged.head = Arc::new(head);
            }
        }
        known.places.remove(org);
        Ok(())
    }
}

impl LogInMemory {
    fn forget(&mut self, numbers: &[Seq]) {
        for number in numbers {
            self.pushes.remove(number);
            self.read.remove(number);
            self.bodies.retain(|held| held.number != *number);
        }
        self.bodies_bytes = self.bodies.iter().map(|held| held.bytes).sum();
    }
}
