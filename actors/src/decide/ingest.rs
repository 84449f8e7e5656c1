//! `IngestActor`: the oldest requests → read → look up → match → diff → changes.
//!
//! Here: which batches are under way, point B, and what a failure does to the queue. Not here: which requests go
//! together (`scheduler`, `batch`), which of them are in memory (`window`), the steps of one batch (`prepared`).
//!
//! Started by: `OrgActor`, one per org. Takes: `Arrived` from the subscription and the refresh, which it answers at
//! once, `Wake` and `Stop`. Asks: the org, the vendor's API and the store. Sends: `Decided` to the writer,
//! `Wakeup::Refresh` when there is room for pages. If it dies: a fresh one begins with the oldest request on disk.
//!
//! Invariant: until commit B nothing has happened. Any failure leaves the requests where they are, and they are tried
//! again.

use std::{cell::RefCell, collections::BTreeSet, ops::ControlFlow, rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Context, Handler, MessageResult};
use futures_util::future::{OptionFuture, join};
use orgpipe_reconcile::lookup;
use orgpipe_salesforce::error::ErrorClass;
use orgpipe_store::{Append, Seq, Settle, StoreError};
use tracing::Instrument as _;

use super::{
    batch::{self, Job},
    fetch::Fetcher,
    freshness::FreshnessGuard,
    lookup::Lookups,
    prepared::{PreparedBatch, Verdict},
    scheduler::{self, Scheduler},
    waiting::Label,
    window::{BYTES_MAX, RequestWindow},
};
use crate::{
    failpoint::Point,
    org::{
        api::budget::patience,
        context::OrgContext,
        identity::SupersededUpTo,
        messages::{Arrived, OrgLink, Wakeup},
        part::{Part, State},
        step_error::StepError,
    },
    problem::{Hint, Problem},
    queue_entry::Origin,
    retry::{Delays, until},
    runtime::worker::{self, LOOK_AGAIN, Next, Steps, Stop, Wake, Work, Worker},
    trace::spans,
};

/// Look-ups of one batch that are under way together, at most: as many as the vendor's API has room for.
const WIDTH_MAX: usize = 8;

/// Records looked at to choose a batch from: a full one may stand behind one that is under way and one that waits to
/// become full.
const HEAD_RECORDS: u64 = ((2 * WIDTH_MAX + 1) * lookup::RECORDS_MAX) as u64;
/// The same while some wait because they could not be decided: others may stand behind many of those.
const HEAD_RECORDS_HALTED: u64 = 10_000;

/// A batch to be read, and what it belongs to. Its other half is what became of requests that nobody can read.
type Chosen = (Option<Label>, (Option<Job>, Settle));

/// Decides what becomes of the requests of one org.
pub(crate) struct IngestActor {
    steps: Steps<Ingest>,
    window: Rc<RefCell<RequestWindow>>,
}

impl IngestActor {
    /// Begins with the oldest request on disk.
    pub(crate) fn new(org: Arc<OrgContext>, link: OrgLink) -> Self {
        let window = Rc::new(RefCell::new(RequestWindow::new(org.memory.share(BYTES_MAX))));
        Self { steps: Steps::new(Ingest::new(org, link, Rc::clone(&window))), window }
    }
}

impl Worker for IngestActor {
    type Work = Ingest;

    fn steps(&mut self) -> &mut Steps<Ingest> {
        &mut self.steps
    }
}

impl Actor for IngestActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        worker::wake(self, context);
    }
}

impl Handler<Arrived> for IngestActor {
    type Result = MessageResult<Arrived>;

    fn handle(&mut self, Arrived(appended): Arrived, context: &mut Self::Context) -> Self::Result {
        let delivery = self.window.borrow_mut().arrived(appended);
        worker::wake(self, context);
        MessageResult(delivery)
    }
}

impl Handler<Wake> for IngestActor {
    type Result = ();

    fn handle(&mut self, _: Wake, context: &mut Self::Context) {
        self.window.borrow_mut().look();
        worker::wake(self, context);
    }
}

impl Handler<Stop> for IngestActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        worker::stop(self, context);
    }
}

/// The work of an [`IngestActor`].
pub(crate) struct Ingest {
    org: Arc<OrgContext>,
    link: OrgLink,
    window: Rc<RefCell<RequestWindow>>,
    /// When the disk was looked at last for requests that no message brought (time since start).
    looked: Duration,
    fetcher: Fetcher,
    lookups: Lookups,
    freshness: FreshnessGuard,
    /// Which requests are of an org before; `None` until it has been read.
    superseded: Option<SupersededUpTo>,
    scheduler: Scheduler,
    /// Looked up, to be decided.
    prepared: Option<PreparedBatch>,
    /// Look-ups that the next batch may be as large as: one after a failure, and more again from success to success.
    width: usize,
    delays: Delays,
}

impl Ingest {
    fn new(org: Arc<OrgContext>, link: OrgLink, window: Rc<RefCell<RequestWindow>>) -> Self {
        let delays = Delays::new(Duration::from_millis(500), Duration::from_mins(1));
        let freshness = FreshnessGuard::since(org.clock.now_ms());
        Self {
            fetcher: Fetcher::new(Arc::clone(&org)),
            lookups: Lookups::new(Arc::clone(&org)),
            looked: org.clock.monotonic(),
            org,
            link,
            window,
            freshness,
            superseded: None,
            scheduler: Scheduler::default(),
            prepared: None,
            width: WIDTH_MAX,
            delays,
        }
    }

    /// Decides what is looked up, and meanwhile looks up what is next.
    async fn advance(&mut self) -> Result<Next, StoreError> {
        let org = Arc::clone(&self.org);
        org.pass(Point::Ingest);
        let prepared = self.prepared.take();
        let (next, then) = match self.choose(prepared.as_ref()).await? {
            ControlFlow::Continue(next) => (Some(next), Next::Again),
            ControlFlow::Break(then) => (None, then),
        };
        if prepared.is_none() && next.is_none() {
            return Ok(then);
        }
        let hasher = org.store.hasher().await?;
        let tries = next
            .as_ref()
            .and_then(|(label, _)| label.as_ref())
            .map_or(0, |label| self.scheduler.tries(label));
        let (readers, about) = ((&self.fetcher, &self.lookups), prepared.as_ref().map(PreparedBatch::about));
        let decided = OptionFuture::from(prepared.map(|prepared| self.decide(prepared)));
        let read = OptionFuture::from(next.map(async |(label, job)| {
            let prepared = PreparedBatch::read(&org, readers, label.clone(), job, hasher, tries).await;
            (label, prepared)
        }));
        let (decided, read) = Box::pin(join(decided, read)).await;
        if read.is_some() {
            self.freshness.looked_up(org.clock.now_ms());
        }
        let halted = matches!(decided, Some(Err(_)));
        let same = halted && read.as_ref().map(|(label, _)| label) == about.as_ref();
        if let Some((label, decided)) = about.zip(decided) {
            self.ended(label, decided)?;
        }
        match read {
            // Requests of one label wait together, so that none of them says too soon that all is well.
            Some((_, Ok(prepared))) if !same => self.prepared = Some(prepared),
            Some((label, Err(error))) if !same => self.ended(label, Err(error))?,
            Some(_) | None => {}
        }
        Ok(Next::Again)
    }

    /// Records looked at to choose a batch from.
    fn head_records(&self) -> u64 {
        if self.scheduler.is_clear() { HEAD_RECORDS } else { HEAD_RECORDS_HALTED }
    }

    /// Reads what messages did not bring, so that enough is at hand to choose from.
    async fn refill(&mut self, under_way: &BTreeSet<Seq>) -> Result<(), StoreError> {
        let now = self.org.clock.monotonic();
        if now >= self.looked + LOOK_AGAIN {
            self.looked = now;
            self.window.borrow_mut().look();
        }
        let records = self.head_records();
        loop {
            let missing = self.window.borrow().missing(records, under_way);
            let Some((lane, after)) = missing else { return Ok(()) };
            let head = self.org.store.ingress_behind(lane, after, records).await?;
            self.window.borrow_mut().read(lane, head);
        }
    }

    /// The next batch, beside the one under way; or when to look again.
    async fn choose(
        &mut self,
        prepared: Option<&PreparedBatch>,
    ) -> Result<ControlFlow<Next, Chosen>, StoreError> {
        let none = BTreeSet::new();
        let under_way = prepared.map_or(&none, |prepared| &prepared.requests);
        self.refill(under_way).await?;
        let org = Arc::clone(&self.org);
        let superseded = match self.superseded {
            Some(superseded) => superseded,
            None => *self.superseded.insert(SupersededUpTo::read(&org.store).await?),
        };
        let window = self.window.borrow();
        let head = window.waiting(self.head_records(), under_way);
        if head.is_empty() {
            if prepared.is_none() {
                self.scheduler.clear();
            }
            return Ok(ControlFlow::Break(Next::Idle));
        }
        let now = org.clock.monotonic();
        let linger = org.settings.limits.linger.mul_f64(patience(org.api.spent()));
        // A free place is taken; for the first all orgs take turns.
        let width = self.width.min(1 + org.vendor().lookup.free());
        let wait = |label: &Label, records| self.scheduler.wait(label, records, linger, now);
        let syncs = &org.settings.syncs;
        let lookup_max = |label: &Label| {
            let sync = syncs.iter().find(|sync| sync.name == label.sync);
            sync.map_or(lookup::RECORDS_MAX, |sync| sync.lookup_max())
        };
        let (label, requests) = match scheduler::choose(&head, |label| width * lookup_max(label), wait) {
            Ok(chosen) => chosen,
            Err(wait) => return Ok(ControlFlow::Break(Next::After(wait))),
        };
        let (mut settle, now_ms) = (Settle::default(), org.clock.now_ms());
        let mut job = batch::take(syncs, &requests, superseded, now_ms, &mut settle);
        if let Some(job) = job.as_mut().filter(|job| job.origin != Origin::Orphan) {
            self.freshness.check(job.origin, job.received_ms, now_ms, &mut job.asked);
        }
        if let Some(label) = &label {
            self.scheduler.began(label, now);
        }
        Ok(ControlFlow::Continue((label, (job, settle))))
    }

    /// Decides a batch: point B.
    async fn decide(&self, prepared: PreparedBatch) -> Result<(), StepError> {
        match prepared.deciding(&self.org) {
            Some(step) => step.try_work(Box::pin(self.settle(prepared)), StepError::kind).await,
            None => self.settle(prepared).await,
        }
    }

    async fn settle(&self, prepared: PreparedBatch) -> Result<(), StepError> {
        let (org, live) = (&self.org, prepared.is_live());
        let requests = prepared.requests.clone();
        let Verdict { mut settle, again, .. } = prepared.decide(org, &self.fetcher).await?;
        if !again.is_empty() {
            let appended = org.store.append(Append { requests: again, ..Append::default() }).await?;
            self.window.borrow_mut().arrived(appended);
        }
        settle.at_ms = org.clock.now_ms();
        org.pass(Point::BeforeB);
        let settled = org.store.settle(settle).await?;
        org.pass(Point::AfterB);
        self.window.borrow_mut().settled(&requests);
        self.link.decided(settled).await;
        if !live {
            self.link.wake(Wakeup::Refresh);
        }
        Ok(())
    }

    /// A batch of this label is decided, or stays on the queue.
    fn ended(&mut self, label: Option<Label>, how: Result<(), StepError>) -> Result<(), StoreError> {
        match (how, label) {
            (Ok(()), label) => {
                self.width = (2 * self.width).min(WIDTH_MAX);
                if let Some(label) = label {
                    self.scheduler.decided(&label);
                }
            }
            (Err(StepError::Store(error)), _) => return Err(error),
            (Err(error), Some(label)) => {
                self.width = 1;
                self.error(&label, &error);
            }
            // Of requests that nobody can read nothing is asked.
            (Err(_), None) => {}
        }
        Ok(())
    }

    /// Requests of this label wait, and stay on the queue.
    fn error(&mut self, label: &Label, error: &StepError) {
        let org = &self.org;
        if error.class() == Some(ErrorClass::Schema) {
            self.fetcher.doubt();
            for sync in &org.settings.syncs {
                org.schemas.doubt(sync.mapping.target());
            }
        }
        let due = |wait: Duration| {
            until(error.again_at_ms(), org.clock.now_ms(), wait.max(error.retry_in().unwrap_or_default()))
        };
        let wait = self.scheduler.halted(label, org.clock.monotonic(), org.clock.jitter(), due);
        self.note(error, wait);
    }

    fn note(&self, error: &impl Hint, wait: Duration) {
        let problem = Problem::of("the next batch waits", error);
        self.org.board.trouble(Part::Ingest, State::Waiting, &problem, self.org.clock.now_ms());
        tracing::warn!(org = self.org.id(), wait_secs = wait.as_secs_f32(), "{problem}");
    }
}

impl Work for Ingest {
    async fn step(mut self) -> (Self, Next) {
        let part = spans::part(self.org.id(), "ingest");
        let next = match Box::pin(self.advance()).instrument(part).await {
            Ok(next) => {
                self.delays.reset();
                if self.scheduler.is_clear() {
                    self.org.board.running(Part::Ingest, self.org.clock.now_ms());
                }
                next
            }
            Err(error) => {
                let wait = self.delays.next(self.org.clock.jitter());
                self.note(&error, wait);
                Next::After(wait)
            }
        };
        (self, next)
    }
}
