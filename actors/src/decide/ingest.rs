//! IngestActor: the oldest requests → read → look up → match → diff → changes.
//!
//! Here: the order of these steps and what a failure of each does to the queue. Not here: which requests go together
//! (`batch`), reading from the org (`gather`), asking the vendor (`ask`), what a record comes to (`verdict`).
//!
//! Until commit B nothing has happened: any failure leaves the requests where they are, and they are tried again.

use std::{sync::Arc, time::Duration};

use actix::WeakRecipient;
use orgpipe_reconcile::{
    lookup,
    matching::{Existing, fold},
};
use orgpipe_salesforce::error::ErrorClass;
use orgpipe_store::{Append, Settle, units};

use super::{
    ask,
    batch::{self, Batch, Job, text},
    gather::Gather,
    halt::Halt,
    lately::Lately,
    orphans::{self, Orphans},
    pace::{self, Pace},
    verdict,
};
use crate::{
    capture::heal::TALLY,
    failpoint::Point,
    parcel::{Origin, Tally, pack},
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

/// Records looked at to choose a batch from: a full one may stand behind one that waits to become full.
const HEAD_RECORDS: u64 = 2 * lookup::RECORDS_MAX as u64;

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
            delays,
        }
    }

    async fn advance(&mut self) -> Result<Next, Halt> {
        let org = Arc::clone(&self.org);
        org.pass(Point::Ingest);
        let head = org.store.ingress_head(org.id(), HEAD_RECORDS).await?;
        if head.is_empty() {
            return Ok(Next::Idle);
        }
        let now = org.clock.monotonic();
        let stretch = pace::stretch(org.settings.limits.strategy, org.line.spent());
        let head = match pace::choose(head, |sync| self.pace.wait(sync, stretch, now)) {
            Ok(head) => head,
            Err(wait) => return Ok(Next::After(wait)),
        };
        let void = match self.void {
            Some(void) => void,
            None => *self.void.insert(moved::void_up_to(&org).await?),
        };
        let mut settle = Settle::default();
        if let Some(job) = batch::take(&org.settings.syncs, head, void, org.clock.now_ms(), &mut settle) {
            if job.origin == Origin::Live {
                self.pace.began(&job.sync.name, now);
            }
            let gap = job.gap.clone();
            self.decide(job, &mut settle).await?;
            if let Some(gap) = gap {
                self.count(&gap, &mut settle).await?;
            }
        }
        let changes = !settle.changes.is_empty();
        settle.at_ms = org.clock.now_ms();
        org.pass(Point::BeforeB);
        org.store.settle(org.id(), settle).await?;
        org.pass(Point::AfterB);
        if changes && let Some(bell) = self.bell.upgrade() {
            let _ = bell.try_send(Bell::Egress);
        }
        Ok(Next::Again)
    }

    /// Counts what the batch came to for the gap's receipt, in the batch's own commit.
    async fn count(&self, gap: &str, settle: &mut Settle) -> Result<(), Halt> {
        let stored = self.org.store.position(self.org.id(), TALLY).await?;
        let mut tally = Tally::of(gap, stored.as_deref());
        tally.unchanged += units(&settle.unchanged);
        tally.no_data += units(&settle.no_data);
        tally.failed += settle.dead.iter().map(|dead| u64::from(dead.subject.units)).sum::<u64>();
        tally.changes += settle.changes.iter().map(|change| units(&change.subjects)).sum::<u64>();
        tally.calls += self.gather.calls();
        settle.positions.push((TALLY.to_owned(), pack(&tally)));
        Ok(())
    }

    async fn decide(&mut self, mut job: Job<'_>, settle: &mut Settle) -> Result<(), Halt> {
        let org = Arc::clone(&self.org);
        let mapping = &job.sync.mapping;
        let gap = job.gap.take();
        let now_ms = org.clock.now_ms();
        let hasher = self.hasher().await?;
        let (origin, received_ms) = (job.origin, job.received_ms);
        let batch = Batch { mapping, origin, gap: gap.as_deref(), received_ms, now_ms, hasher: &hasher };
        self.gather.begin();
        if origin == Origin::Orphan {
            return self.bereave(job, batch, settle).await;
        }
        self.lately.check(job.origin, job.received_ms, now_ms, &mut job.asked);
        let plan = self.gather.plan(&job).await?;
        let children = self.gather.records(&plan, &mut job).await?;
        let answers = ask::look_up(&org, batch, &mut job.asked, settle).await?;
        settle.requests.append(&mut job.requests);
        let mut wanted = verdict::wanted(batch, job.asked, &answers, settle);
        if wanted.is_empty() {
            return Ok(());
        }
        let target = self.gather.target(&plan, mapping.target()).await?;
        for wanted in &mut wanted {
            wanted.desired.fields.retain(|field, _| target.writes(field));
        }
        let keys: Vec<String> = wanted.iter().map(|wanted| wanted.desired.external_id.clone()).collect();
        // Before the query: a change that ends in between makes us write too much, never too little.
        let folded: Vec<String> = keys.iter().map(|key| fold(key)).collect();
        let open = org.store.open_changes(org.id(), mapping.target(), folded).await?;
        let found = self.gather.existing(&plan, mapping, &target, keys, children).await?;
        let existing = Existing::new(&found, mapping.external_id_field());
        verdict::compare(batch, wanted, &existing, &open, &target.describe, settle);
        Ok(())
    }

    /// Decides about records of the target that have lost their own record, by what the org holds of them now.
    async fn bereave(&self, mut job: Job<'_>, batch: Batch<'_>, settle: &mut Settle) -> Result<(), Halt> {
        let (org, mapping) = (&self.org, batch.mapping);
        let plan = self.gather.plan_orphans(&job).await?;
        let target = self.gather.target(&plan, mapping.target()).await?;
        let links = org.settings.links(mapping.target());
        let field = mapping.external_id_field();
        let keys = job.asked.iter().filter_map(|asked| asked.row.as_ref()).filter_map(|row| text(row, field));
        // Before the query: what ends in between is seen by it, and nothing begins, as changes are decided here only.
        let open = &org.store.open_changes(org.id(), mapping.target(), keys.map(fold).collect()).await?;
        let rows = &self.gather.orphans(&plan, &job, &target, &links).await?;
        let on_deleted = job.sync.refresh.as_ref().map(|refresh| refresh.on_deleted).unwrap_or_default();
        settle.requests.append(&mut job.requests);
        orphans::bereave(
            batch,
            job.asked,
            Orphans { on_deleted, rows, links: &links, open },
            &target,
            settle,
        );
        Ok(())
    }

    async fn hasher(&mut self) -> Result<Arc<Hasher>, Halt> {
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

    fn note(&mut self, halt: &Halt) -> Duration {
        if let Halt::Call(error) = halt
            && error.class() == ErrorClass::Schema
        {
            for sync in &self.org.settings.syncs {
                self.org.schemas.doubt(sync.mapping.target());
            }
        }
        let wait = self.delays.next(self.org.clock.dice());
        let wait = halt.retry_in().unwrap_or(wait);
        let again_at_ms = if let Halt::Call(error) = halt { error.again_at_ms() } else { None };
        let wait = until(again_at_ms, self.org.clock.now_ms(), wait);
        let hint = halt.hint();
        let note = format!("the next batch waits: {halt}");
        self.org.board.set(Part::Ingest, State::Waiting, &note, &hint, self.org.clock.now_ms());
        tracing::warn!(org = self.org.id(), wait_secs = wait.as_secs_f32(), "{note}. {hint}");
        wait
    }
}

impl Work for Ingest {
    async fn step(mut self) -> (Self, Next) {
        let next = match self.advance().await {
            Ok(next) => {
                self.delays.reset();
                self.org.board.running(Part::Ingest, self.org.clock.now_ms());
                next
            }
            Err(halt) => Next::After(self.note(&halt)),
        };
        (self, next)
    }
}
