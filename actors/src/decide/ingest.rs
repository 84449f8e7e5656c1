//! IngestActor: the oldest requests → read → look up → match → diff → changes.
//!
//! Here: which batches are under way, point B, and what a failure does to the queue. Not here: which requests go together
//! (`pace`, `batch`), the steps of one batch (`draft`).
//!
//! Until commit B nothing has happened: any failure leaves the requests where they are, and they are tried again.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use actix::WeakRecipient;
use futures_util::future::{OptionFuture, join};
use orgpipe_reconcile::lookup;
use orgpipe_salesforce::error::ErrorClass;
use orgpipe_store::{Append, Settle, StoreError};

use super::{
    batch::{self, Job},
    draft::Draft,
    gather::Gather,
    halt::Halt,
    lately::Lately,
    pace::{self, Label, Pace},
};
use crate::{
    deliver::budget::patience,
    failpoint::Point,
    parcel::Origin,
    retry::{Delays, until},
    supervise::{
        context::OrgContext,
        moved,
        org::Bell,
        status::{Part, State},
        worker::{Next, Work},
    },
    trail::Hasher,
};

/// Name of the position that holds the key of the hashes in the ledger: random, and never changed.
const HASH_KEY: &str = "hash-key";

/// Look-ups of one batch that are under way together, at most: as many as the vendor's API has room for.
const WIDTH_MAX: usize = 8;

/// Records looked at to choose a batch from: a full one may stand behind one that is under way and one that waits to
/// become full.
const HEAD_RECORDS: u64 = ((2 * WIDTH_MAX + 1) * lookup::RECORDS_MAX) as u64;
/// The same while some wait because they could not be decided: others may stand behind many of those.
const HEAD_RECORDS_HALTED: u64 = 10_000;

/// A batch to be read, and what it belongs to. Its other half is what became of requests that nobody can read.
type Chosen = (Option<Label>, (Option<Job>, Settle));

/// Takes requests off the ingress queue of one org.
pub(crate) struct Ingest {
    org: Arc<OrgContext>,
    bell: WeakRecipient<Bell>,
    gather: Gather,
    lately: Lately,
    /// `None` until its key has been read.
    hasher: Option<Arc<Hasher>>,
    /// The number up to which requests are of an org before; read once.
    void: Option<u64>,
    pace: Pace,
    /// Looked up, to be decided.
    draft: Option<Draft>,
    /// Look-ups that the next batch may be as large as: one after a failure, and more again from success to success.
    width: usize,
    delays: Delays,
}

impl Ingest {
    /// Begins with the oldest request on disk.
    pub(crate) fn new(org: Arc<OrgContext>, bell: WeakRecipient<Bell>) -> Self {
        let delays = Delays::new(Duration::from_millis(500), Duration::from_mins(1));
        let lately = Lately::since(org.clock.now_ms());
        Self {
            gather: Gather::new(Arc::clone(&org)),
            org,
            bell,
            lately,
            hasher: None,
            void: None,
            pace: Pace::default(),
            draft: None,
            width: WIDTH_MAX,
            delays,
        }
    }

    /// Decides what is looked up, and meanwhile looks up what is next.
    async fn advance(&mut self) -> Result<Next, StoreError> {
        let org = Arc::clone(&self.org);
        org.pass(Point::Ingest);
        let draft = self.draft.take();
        let (next, then) = match self.choose(draft.as_ref()).await? {
            ControlFlow::Continue(next) => (Some(next), Next::Again),
            ControlFlow::Break(then) => (None, then),
        };
        if draft.is_none() && next.is_none() {
            return Ok(then);
        }
        let hasher = self.hasher().await?;
        let (gather, about) = (&self.gather, draft.as_ref().map(Draft::about));
        let decided = OptionFuture::from(draft.map(|draft| self.decide(draft)));
        let read = OptionFuture::from(next.map(async |(label, job)| {
            let draft = Draft::read(&org, gather, label.clone(), job, hasher).await;
            (label, draft)
        }));
        let (decided, read) = join(decided, read).await;
        let halted = matches!(decided, Some(Err(_)));
        let same = halted && read.as_ref().map(|(label, _)| label) == about.as_ref();
        if let Some((label, decided)) = about.zip(decided) {
            self.ended(label, decided)?;
        }
        match read {
            // Requests of one label wait together, so that none of them says too soon that all is well.
            Some((_, Ok(draft))) if !same => self.draft = Some(draft),
            Some((label, Err(halt))) if !same => self.ended(label, Err(halt))?,
            Some(_) | None => {}
        }
        Ok(Next::Again)
    }

    /// The next batch, beside the one under way; or when to look again.
    async fn choose(&mut self, draft: Option<&Draft>) -> Result<ControlFlow<Next, Chosen>, StoreError> {
        let org = Arc::clone(&self.org);
        let records = if self.pace.is_clear() { HEAD_RECORDS } else { HEAD_RECORDS_HALTED };
        let mut head = org.store.ingress_head(org.id(), records).await?;
        head.retain(|request| draft.is_none_or(|draft| !draft.requests.contains(&request.seq)));
        if head.is_empty() {
            if draft.is_none() {
                self.pace.clear();
            }
            return Ok(ControlFlow::Break(Next::Idle));
        }
        let now = org.clock.monotonic();
        let linger = org.settings.limits.linger.mul_f64(patience(org.line.spent()));
        // A free place is taken; for the first all orgs take turns.
        let width = self.width.min(1 + org.ways().source.free());
        let wait = |label: &Label, records| self.pace.wait(label, records, linger, now);
        let syncs = &org.settings.syncs;
        let lookup_max = |label: &Label| {
            let sync = syncs.iter().find(|sync| sync.name == label.sync);
            sync.map_or(lookup::RECORDS_MAX, |sync| sync.lookup_max())
        };
        let (label, requests) = match pace::choose(head, |label| width * lookup_max(label), wait) {
            Ok(chosen) => chosen,
            Err(wait) => return Ok(ControlFlow::Break(Next::After(wait))),
        };
        let void = match self.void {
            Some(void) => void,
            None => *self.void.insert(moved::void_up_to(&org).await?),
        };
        let (mut settle, now_ms) = (Settle::default(), org.clock.now_ms());
        let mut job = batch::take(syncs, requests, void, now_ms, &mut settle);
        if let Some(job) = job.as_mut().filter(|job| job.origin != Origin::Orphan) {
            self.lately.check(job.origin, job.received_ms, now_ms, &mut job.asked);
        }
        if let Some(label) = &label {
            self.pace.began(label, now);
        }
        Ok(ControlFlow::Continue((label, (job, settle))))
    }

    /// Point B.
    async fn decide(&self, draft: Draft) -> Result<(), Halt> {
        let (org, live) = (&self.org, draft.is_live());
        let mut settle = draft.decide(org, &self.gather).await?;
        let changes = !settle.changes.is_empty();
        settle.at_ms = org.clock.now_ms();
        org.pass(Point::BeforeB);
        org.store.settle(org.id(), settle).await?;
        org.pass(Point::AfterB);
        if let Some(bell) = self.bell.upgrade() {
            if changes {
                let _ = bell.try_send(Bell::Egress);
            }
            if !live {
                let _ = bell.try_send(Bell::Refresh);
            }
        }
        Ok(())
    }

    async fn hasher(&mut self) -> Result<Arc<Hasher>, StoreError> {
        if let Some(hasher) = &self.hasher {
            return Ok(Arc::clone(hasher));
        }
        let org = &self.org;
        let stored = org.store.position(org.id(), HASH_KEY).await?;
        let key = if let Some(key) = stored {
            key
        } else {
            let key = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes).concat();
            let positions = vec![(HASH_KEY.to_owned(), key.clone())];
            org.store.append(org.id(), Append { positions, ..Append::default() }).await?;
            key
        };
        let hasher = Arc::new(Hasher::new(&key));
        self.hasher = Some(Arc::clone(&hasher));
        Ok(hasher)
    }

    /// A batch of this label is decided, or stays on the queue.
    fn ended(&mut self, label: Option<Label>, how: Result<(), Halt>) -> Result<(), StoreError> {
        match (how, label) {
            (Ok(()), label) => {
                self.width = (2 * self.width).min(WIDTH_MAX);
                if let Some(label) = label {
                    self.pace.decided(&label);
                }
            }
            (Err(Halt::Store(error)), _) => return Err(error),
            (Err(halt), Some(label)) => {
                self.width = 1;
                self.halt(&label, &halt);
            }
            // Of requests that nobody can read nothing is asked.
            (Err(_), None) => {}
        }
        Ok(())
    }

    /// Requests of this label wait, and stay on the queue.
    fn halt(&mut self, label: &Label, halt: &Halt) {
        let org = &self.org;
        if let Halt::Call(error) = halt
            && error.class() == ErrorClass::Schema
        {
            self.gather.doubt();
            for sync in &org.settings.syncs {
                org.schemas.doubt(sync.mapping.target());
            }
        }
        let again_at_ms = if let Halt::Call(error) = halt { error.again_at_ms() } else { None };
        let due = |wait| until(again_at_ms, org.clock.now_ms(), halt.retry_in().unwrap_or(wait));
        let wait = self.pace.halted(label, org.clock.monotonic(), org.clock.dice(), due);
        self.note(&halt.to_string(), &halt.hint(), wait);
    }

    fn note(&self, why: &str, hint: &str, wait: Duration) {
        let note = format!("the next batch waits: {why}");
        self.org.board.set(Part::Ingest, State::Waiting, &note, hint, self.org.clock.now_ms());
        tracing::warn!(org = self.org.id(), wait_secs = wait.as_secs_f32(), "{note}. {hint}");
    }
}

impl Work for Ingest {
    async fn step(mut self) -> (Self, Next) {
        let next = match self.advance().await {
            Ok(next) => {
                self.delays.reset();
                if self.pace.is_clear() {
                    self.org.board.running(Part::Ingest, self.org.clock.now_ms());
                }
                next
            }
            Err(error) => {
                let wait = self.delays.next(self.org.clock.dice());
                self.note(&error.to_string(), &error.hint().unwrap_or_default(), wait);
                Next::After(wait)
            }
        };
        (self, next)
    }
}
