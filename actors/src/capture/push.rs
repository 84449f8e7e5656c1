//! `PushActor`: finds in one org the records whose data the vendor says has changed, and puts them on the ingress queue.
//!
//! Here: one step, which asks for some of the items that wait, and its commit. Not here: which items and which records
//! (`push_plan`), taking a push in (`service/pushes.rs`), the log (`org/push_log.rs`).
//!
//! Started by: `OrgActor`, one per org. Takes: `Wake` and `Stop`. Asks: the org, the store and the log of pushes. Sends:
//! `Arrived` to the ingest. If it dies: a fresh one goes on behind the last stored place.
//!
//! Invariant: how far the pushes of a sync have been read is stored in the commit that stores what was found up to there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use actix::{Actor, Context, Handler};
use orgpipe_reconcile::{RecordProblem, identity::Identity, matching::KEYS_MAX};
use orgpipe_salesforce::{error::ErrorClass, rest::query, soql::Select};
use orgpipe_store::{Seq, StoreError, UnixMs};
use tracing::Instrument as _;

use super::{
    pages,
    push_plan::{self, FoundRecords, PushWindow, PushedItem, WaitingPush},
    push_statement,
    waits::{FailureTime, Waits},
};
use crate::{
    failpoint::Point,
    org::{
        context::OrgContext,
        culprit::{may_be_one_records, problem},
        describe::{blame, describe_target, readable},
        messages::OrgLink,
        part::{Part, State},
        select::{Calls, WhenUnreadable, select_among},
        step_error::StepError,
    },
    priority::Priority,
    problem::Problem,
    push::{PushHead, PushKind, PushPart, PushPlace},
    queue_entry::{Origin, Row},
    retry::Delays,
    runtime::worker::{self, Next, Steps, Stop, Wake, Work, Worker},
    settings::SyncSettings,
    trace::{
        Cause, TraceContext,
        spans::{self, About},
        steps::Traces,
    },
};

/// Items that one step asks for.
const ITEMS_MAX: usize = 5 * KEYS_MAX;
/// Pushes that one step reads.
const PUSHES_MAX: usize = 200;
/// Values that few records have, of each type that a key may have.
const OTHER_LITERALS: [&str; 3] = ["'000000000000000AAA'", "-1", "true"];
/// How often an org whose queue is full looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Finds the records of pushes in one org.
pub(crate) struct PushActor(Steps<RecordFinder>);

impl PushActor {
    /// Goes on behind the stored places.
    pub(crate) fn new(org: Arc<OrgContext>, link: OrgLink) -> Self {
        Self(Steps::new(RecordFinder::new(org, link)))
    }
}

impl Worker for PushActor {
    type Work = RecordFinder;

    fn steps(&mut self) -> &mut Steps<RecordFinder> {
        &mut self.0
    }
}

impl Actor for PushActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        worker::wake(self, context);
    }
}

impl Handler<Wake> for PushActor {
    type Result = ();

    fn handle(&mut self, _: Wake, context: &mut Self::Context) {
        worker::wake(self, context);
    }
}

impl Handler<Stop> for PushActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        worker::stop(self, context);
    }
}

/// The work of a [`PushActor`].
pub(crate) struct RecordFinder {
    org: Arc<OrgContext>,
    link: OrgLink,
    delays: Delays,
    waits: Waits,
    /// Items that the next step asks for by keys at most: fewer while one of them may be refused.
    keys_max: usize,
    /// By sync, the newest push that was there when none waited.
    seen: BTreeMap<String, Seq>,
    /// Targets of which a selection was refused, so that they are described before the next one.
    refused: BTreeSet<String>,
}

/// What a step found.
struct FoundStep {
    found: FoundRecords,
    /// Items that the org refuses to be asked about, and why.
    refused: Vec<(PushedItem, RecordProblem)>,
    place: PushPlace,
    /// Before the org was asked: a change after that may not be in the rows.
    read_ms: UnixMs,
}

impl RecordFinder {
    fn new(org: Arc<OrgContext>, link: OrgLink) -> Self {
        let delays = Delays::new(Duration::from_secs(1), Duration::from_mins(5));
        Self {
            org,
            link,
            delays,
            waits: Waits::default(),
            keys_max: KEYS_MAX,
            seen: BTreeMap::new(),
            refused: BTreeSet::new(),
        }
    }

    async fn advance(&mut self) -> Result<Next, StoreError> {
        let org = Arc::clone(&self.org);
        org.pass(Point::Push);
        let mut next = Next::Idle;
        for sync in &org.settings.syncs {
            let newest = org.pushes.newest();
            let seen = self.seen.get(&sync.name).copied().unwrap_or_default();
            let waiting = org.pushes.waiting(org.id(), &sync.name, seen, PUSHES_MAX);
            if waiting.is_empty() {
                self.seen.insert(sync.name.clone(), newest);
                self.waits.reset(&sync.name);
                continue;
            }
            let then = match self.waits.left(&sync.name, org.clock.monotonic()) {
                Some(wait) => Next::After(wait),
                None if org.store.counts().await?.open() >= org.queue_max / 2 => Next::After(LOOK_AGAIN),
                None => {
                    let stepped = self.advance_sync(sync, &waiting).await;
                    self.settle(sync, stepped)?
                }
            };
            next = next.sooner(then);
        }
        Ok(next)
    }

    /// What failed waits by itself.
    fn settle(&mut self, sync: &SyncSettings, stepped: Result<(), StepError>) -> Result<Next, StoreError> {
        let error = match stepped {
            Ok(()) => {
                self.waits.reset(&sync.name);
                return Ok(Next::Again);
            }
            // A queue that is full by now and a step that is too large are the sync's own trouble, not the store's.
            Err(StepError::Store(error))
                if !matches!(error, StoreError::Full { .. } | StoreError::TooLarge { .. }) =>
            {
                return Err(error);
            }
            Err(error) => error,
        };
        let org = &self.org;
        blame(org, &sync.name, &error);
        let problem = Problem::of(&format!("a push to `{}` waits", sync.name), &error);
        let clock = &org.clock;
        let at = FailureTime { now: clock.monotonic(), now_ms: clock.now_ms(), jitter: clock.jitter() };
        let wait = self.waits.failed(&sync.name, problem.clone(), at);
        tracing::warn!(org = org.id(), wait_secs = wait.as_secs_f32(), "{problem}");
        Ok(Next::After(wait))
    }

    /// Finds the records of some items, and takes them in: point A.
    async fn advance_sync(
        &mut self,
        sync: &SyncSettings,
        heads: &[(Seq, Arc<PushHead>)],
    ) -> Result<(), StepError> {
        let org = Arc::clone(&self.org);
        let Some((_, first)) = heads.first() else { return Ok(()) };
        let kind = first.kind;
        let from = org.pushes.place(org.id(), &sync.name);
        let (mut waiting, mut items): (Vec<WaitingPush>, usize) = (Vec::new(), 0);
        for (number, head) in heads.iter().take_while(|(_, head)| head.kind == kind) {
            let begun = from.within.as_ref().is_some_and(|within| *number > within.last);
            if begun || items >= ITEMS_MAX {
                break;
            }
            items += head.items - if *number == from.number { from.item.min(head.items) } else { 0 };
            waiting.push((*number, Arc::clone(head), org.pushes.body(*number).await?));
        }
        let numbers: Vec<String> = waiting.iter().map(|(number, ..)| number.to_string()).collect();
        let causes = numbers.iter().map(|number| push(number));
        let name = ("find", sync.name.as_str());
        let about = About { org: org.id(), name, sync: Some(&sync.name), records: Some(items as u64) };
        let step = Traces::of(org.id(), org.sampling, causes).step(org.clock, about);
        step.try_work(Box::pin(self.take_in(sync, kind, &waiting, &from)), StepError::kind).await
    }

    /// The same of some pushes of one kind.
    async fn take_in(
        &mut self,
        sync: &SyncSettings,
        kind: PushKind,
        waiting: &[WaitingPush],
        from: &PushPlace,
    ) -> Result<(), StepError> {
        let org = Arc::clone(&self.org);
        let step = match kind {
            PushKind::ExternalIds => self.by_external_ids(sync, waiting, from).await?,
            PushKind::Keys => match self.by_keys(sync, waiting, from).await? {
                Some(step) => step,
                None => return Ok(()),
            },
            PushKind::RecordIds => {
                let PushWindow { items, place } = push_plan::window(waiting, from, ITEMS_MAX);
                let (found, refused) = (push_plan::by_record_id(&items), Vec::new());
                FoundStep { found, refused, place, read_ms: org.clock.now_ms() }
            }
        };
        let FoundStep { found, refused, place, read_ms } = step;
        let append = push_plan::append(sync, found, refused, &place, (read_ms, org.clock.now_ms()));
        org.pass(Point::BeforePush);
        let appended = org.store.append(append).await?;
        org.pass(Point::AfterPush);
        for (number, head, _) in waiting {
            if place.is_behind(*number, head.items) {
                // The trace's first span, told now that it has an end.
                let root = TraceContext::root(org.id(), push(&number.to_string()), org.sampling);
                drop(spans::run(org.id(), ("push", &sync.name), root, head.at_ms, head.items as u64));
            }
        }
        org.pushes.passed(org.id(), &sync.name, place);
        self.link.arrived(appended).await;
        Ok(())
    }

    /// By what the records of the target are found, over as few queries as it takes.
    async fn by_external_ids(
        &mut self,
        sync: &SyncSettings,
        waiting: &[WaitingPush],
        from: &PushPlace,
    ) -> Result<FoundStep, StepError> {
        let (org, mapping) = (Arc::clone(&self.org), &sync.mapping);
        let PushWindow { items, place } = push_plan::window(waiting, from, ITEMS_MAX);
        let (target, field) = (mapping.target(), mapping.key_field());
        let mut step =
            FoundStep { found: FoundRecords::new(), refused: Vec::new(), place, read_ms: UnixMs(0) };
        let Some(link) = mapping.links().next() else {
            let message =
                "a push by external IDs finds nothing, as the sync writes no `$Id` to its target any more";
            tracing::warn!(org = org.id(), sync = sync.name, items = items.len(), "{message}");
            let problem = push_statement::no_lookup(mapping);
            step.refused = items.into_iter().map(|one| (one, problem.clone())).collect();
            return Ok(step);
        };
        let look = async {
            let identity = self.identity(target, field, &items).await?;
            let read_ms = org.clock.now_ms();
            let literals = push_plan::literals(&items, identity);
            let reserved = org.api.reserve(Priority::Live, literals.len().div_ceil(KEYS_MAX)).await?;
            let calls = Calls::new(reserved, 0);
            let select = Select::from(target).fields(["Id", field, link]);
            let selected =
                select_among(&org, &calls, &select, field, &literals, WhenUnreadable::Halved).await?;
            Ok((identity, read_ms, selected))
        };
        let looked: Result<_, StepError> = org.pushes.in_turn(look).await;
        if looked.as_ref().is_err_and(|error| error.class() == Some(ErrorClass::Schema)) {
            org.schemas.doubt(target);
            self.refused.insert(target.to_owned());
        }
        let (identity, read_ms, selected) = looked?;
        step.read_ms = read_ms;
        step.found = push_plan::by_external_id(&items, &selected.rows, (field, link), identity);
        step.refused = refused(items, &selected.refused, identity);
        Ok(step)
    }

    /// How the external ID field tells its values apart; described only where that matters before anything is found.
    async fn identity(&self, target: &str, field: &str, items: &[PushedItem]) -> Result<Identity, StepError> {
        let org = &self.org;
        let known = match org.schemas.fresh(target, org.clock.monotonic()) {
            None if push_plan::needs_identity(items) || self.refused.contains(target) => {
                let plan = org.api.reserve(Priority::Live, 1).await?;
                Some(describe_target(org, &plan, target).await?)
            }
            known => known,
        };
        Ok(known.map(|target| Identity::of(&target.describe, field)).unwrap_or_default())
    }

    /// By keys, a page of records at a time. None: fewer items are to be asked for.
    async fn by_keys(
        &mut self,
        sync: &SyncSettings,
        waiting: &[WaitingPush],
        from: &PushPlace,
    ) -> Result<Option<FoundStep>, StepError> {
        let org = Arc::clone(&self.org);
        let read = readable(&org, Priority::Live, sync).await?;
        // A key whose field cannot be read is neither asked with nor compared.
        let (mapping, within) = (&read.mapping, from.within.as_ref());
        let items_max = within.map_or(self.keys_max, |within| within.items);
        let (window, select) = push_statement::by_key_field(mapping, waiting, from, items_max);
        let PushWindow { items, place } = window;
        let (none, refused) = (FoundRecords::new(), Vec::new());
        let Some(select) = select else {
            let message =
                "items of a push find nothing, as the sync lacks a key of theirs or it cannot be read";
            tracing::warn!(org = org.id(), sync = sync.name, items = items.len(), "{message}");
            let told = |one: PushedItem| {
                let problem = push_statement::missing_key(&sync.mapping, mapping, &one.item);
                (one, problem)
            };
            let refused = items.into_iter().map(told).collect();
            return Ok(Some(FoundStep { found: none, refused, place, read_ms: org.clock.now_ms() }));
        };
        let look = async { (org.clock.now_ms(), self.page(&select).await) };
        let (read_ms, rows) = org.pushes.in_turn(look).await;
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                // Values of another type than the field's are refused as if the field were wrong: all of them alike.
                let alike = error.class() == Some(ErrorClass::Schema);
                let field = items.first().and_then(|one| push_plan::field_of(mapping, &one.item));
                let field = field.map_or("Id", |(field, _)| field);
                // The first page tells, so that none has been read of these items yet.
                let may_be_theirs = within.is_none() && (alike || may_be_one_records(&error));
                if !may_be_theirs || !self.is_sound(&select, field).await {
                    return Err(error);
                }
                if items.len() > 1 && !alike {
                    self.keys_max = items.len() / 2;
                    return Ok(None);
                }
                let told = problem(field, &error);
                let refused = items.into_iter().map(|one| (one, told.clone())).collect();
                return Ok(Some(FoundStep { found: none, refused, place, read_ms }));
            }
        };
        self.keys_max = (2 * self.keys_max).min(KEYS_MAX);
        let after = rows.last().filter(|_| rows.len() >= pages::PAGE).and_then(pages::id_of);
        let place = match after {
            // The same items once more, behind the last of these records.
            Some(after) => {
                let part = PushPart { items: items.len(), last: place.number, after };
                PushPlace { within: Some(part), ..from.clone() }
            }
            None => place,
        };
        let found = push_plan::by_keys(mapping, &items, rows);
        Ok(Some(FoundStep { found, refused, place, read_ms }))
    }

    /// One page, also where Salesforce cuts it.
    async fn page(&self, select: &Select) -> Result<Vec<Row>, StepError> {
        let (mut rows, mut call) = (Vec::new(), query::query(&select.to_soql()));
        loop {
            let page = query::page(&self.org.api.call(Priority::Live, &call).await?)?;
            rows.extend(page.records);
            let Some(next) = page.next else { return Ok(rows) };
            call = query::next(&next);
        }
    }

    /// Whether the org answers the same question about some other value, so that a refusal is due to the values.
    async fn is_sound(&self, select: &Select, field: &str) -> bool {
        for literal in OTHER_LITERALS {
            let other = Select::from(select.object()).fields(select.names().to_vec());
            let other = other.where_among(field, &[literal.to_owned()]).limit(1);
            if self.page(&other).await.is_ok() {
                return true;
            }
        }
        false
    }
}

/// The items whose literals were refused.
fn refused(
    items: Vec<PushedItem>,
    refused: &BTreeMap<String, RecordProblem>,
    identity: Identity,
) -> Vec<(PushedItem, RecordProblem)> {
    if refused.is_empty() {
        return Vec::new();
    }
    let told = |one: PushedItem| {
        let literals = push_plan::literals(std::slice::from_ref(&one), identity);
        let problem = literals.first().and_then(|literal| refused.get(literal))?.clone();
        Some((one, problem))
    };
    items.into_iter().filter_map(told).collect()
}

/// What a push's requests are asked for by.
fn push(number: &str) -> Cause<'_> {
    Cause { origin: Origin::Push, event_id: number, correlation_id: None }
}

impl Work for RecordFinder {
    async fn step(mut self) -> (Self, Next) {
        let part = spans::part(self.org.id(), "push");
        let next = match Box::pin(self.advance()).instrument(part).await {
            Ok(next) => {
                self.delays.reset();
                let now_ms = self.org.clock.now_ms();
                match self.waits.problem() {
                    Some(problem) => self.org.board.trouble(Part::Push, State::Waiting, problem, now_ms),
                    None => self.org.board.running(Part::Push, now_ms),
                }
                next
            }
            Err(error) => {
                let wait = self.delays.next(self.org.clock.jitter());
                let problem = Problem::of("pushes wait", &error);
                self.org.board.trouble(Part::Push, State::Waiting, &problem, self.org.clock.now_ms());
                tracing::warn!(org = self.org.id(), wait_secs = wait.as_secs_f32(), "{problem}");
                Next::After(wait)
            }
        };
        (self, next)
    }
}
