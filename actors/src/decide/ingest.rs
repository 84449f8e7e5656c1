//! IngestActor: the oldest requests → read → look up → match → diff → changes.
//!
//! Here: the order of these steps and what a failure of each does to the queue. Not here: what a record comes to
//! (`verdict`), HTTP (`lookup`, `supervise::line`).
//!
//! Until commit B nothing has happened: any failure leaves the requests where they are, and they are tried again.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use actix::WeakRecipient;
use orgpipe_reconcile::{
    RecordProblem,
    describe::Describe,
    id, lookup,
    matching::{Existing, KEYS_MAX, Match, fold, take_children},
    row,
};
use orgpipe_salesforce::{
    error::{CallError, ErrorClass},
    limits::QUERY_URL_BYTES_MAX,
    rest::{describe, query},
    soql::Select,
};
use orgpipe_store::{Append, NewDead, Request, Settle, StoreError, Subject, units};
use serde_json::Value;

use super::{
    lately::Lately,
    lookup::{ANSWER_BYTES_MAX, Answered, SourceError},
    pace::{self, Pace},
    verdict::{self, Answer, Asked, Batch, Orphans},
};
use crate::{
    capture::heal::TALLY,
    deliver::gate::Plan,
    failpoint::Point,
    parcel::{Origin, RequestParcel, Row, Tally, pack, unpack},
    retry::{Delays, until},
    settings::SyncSettings,
    supervise::{
        context::OrgContext,
        moved,
        org::Bell,
        schemas::{self, SchemaError, Target},
        status::{Part, State},
        worker::{Next, Work},
    },
    trail::{Hasher, Trail},
};

/// Name of the position that holds the key of the hashes in the ledger: random, and never changed.
const HASH_KEY: &str = "hash-key";

/// Records looked at to choose a batch from: a full one may stand behind one that waits to become full.
const HEAD_RECORDS: u64 = 2 * lookup::RECORDS_MAX as u64;

/// Takes requests off the ingress queue of one org.
pub(crate) struct Ingest {
    org: Arc<OrgContext>,
    bell: WeakRecipient<Bell>,
    lately: Lately,
    /// `None` until its key has been read.
    hasher: Option<Arc<Hasher>>,
    /// By sync, under which name the targets are read with the record, and when that was read; `None` if they cannot.
    relationships: BTreeMap<String, (Duration, Option<String>)>,
    /// API calls made for the batch under way.
    calls: Cell<u64>,
    /// The number up to which requests are of an org before; read once.
    void: Option<u64>,
    pace: Pace,
    delays: Delays,
}

/// Why a batch stays on the queue.
#[derive(Debug, thiserror::Error)]
enum Halt {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl Halt {
    fn hint(&self) -> String {
        match self {
            Self::Store(error) => error.hint().unwrap_or_default(),
            Self::Call(error) | Self::Schema(SchemaError::Call(error)) => error.hint().unwrap_or_default(),
            Self::Source(error) => error.hint().to_owned(),
            Self::Schema(SchemaError::Unusable { .. }) => {
                "Check the target's API name and the integration user's permissions.".to_owned()
            }
        }
    }

    fn retry_in(&self) -> Option<Duration> {
        match self {
            Self::Source(SourceError::Down { retry_in, .. }) => Some(*retry_in),
            _ => None,
        }
    }
}

/// Requests of one sync that are looked up together.
struct Job<'a> {
    sync: &'a SyncSettings,
    origin: Origin,
    /// The gap that is healed.
    gap: Option<String>,
    received_ms: u64,
    requests: Vec<u64>,
    asked: Vec<Asked>,
}

impl Job<'_> {
    /// Targets are read with the records only where none of those was brought along: a refresh page has no targets.
    fn reads_children(&self) -> bool {
        let unread = |asked: &Asked| asked.row.is_none() && !asked.id.is_empty();
        self.sync.mapping.parent_field().is_some() && self.asked.iter().all(unread)
    }
}

impl Ingest {
    /// Begins with the oldest request on disk.
    pub(crate) fn new(org: Arc<OrgContext>, bell: WeakRecipient<Bell>) -> Self {
        let delays = Delays::new(Duration::from_millis(500), Duration::from_mins(1));
        let lately = Lately::since(org.clock.now_ms());
        Self {
            org,
            bell,
            relationships: BTreeMap::new(),
            lately,
            hasher: None,
            calls: Cell::new(0),
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
        if let Some(job) = gather(&org.settings.syncs, head, void, org.clock.now_ms(), &mut settle) {
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
        tally.calls += self.calls.take();
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
        self.calls.set(0);
        if origin == Origin::Orphan {
            return self.bereave(job, batch, settle).await;
        }
        self.lately.check(job.origin, job.received_ms, now_ms, &mut job.asked);
        let plan = self.plan(&job).await?;
        let hanging = self.relationship(&plan, &job).await?;
        let ended = org.store.counts(org.id()).await?.ended();
        let children = self.read(&mut job, &plan, hanging.as_deref()).await?;
        let ask: Vec<Row> = job
            .asked
            .iter()
            .filter_map(|asked| asked.row.as_ref())
            .filter(|row| lookup::has_keys(mapping, row))
            .cloned()
            .collect();
        let answers = self.look_up(batch, &ask, &mut job.asked, settle).await?;
        settle.requests.append(&mut job.requests);
        let mut wanted = verdict::wanted(batch, job.asked, &answers, settle);
        if wanted.is_empty() {
            return Ok(());
        }
        let target = self.target(&plan, mapping.target()).await?;
        for wanted in &mut wanted {
            wanted.desired.fields.retain(|field, _| target.writes(field));
        }
        let keys: Vec<String> = wanted.iter().map(|wanted| wanted.desired.external_id.clone()).collect();
        // Before the query: a change that ends in between makes us write too much, never too little.
        let folded: Vec<String> = keys.iter().map(|key| fold(key)).collect();
        let open: BTreeSet<String> = org.store.open_keys(org.id(), mapping.target(), folded).await?;
        let select = Select::from(mapping.target())
            .fields(["Id".to_owned(), mapping.external_id_field().to_owned()])
            .fields(mapping.target_fields().into_iter().filter(|field| target.writes(field)));
        // What was read with the records was read before the open keys, so it counts only if nothing has ended since.
        let stale = org.store.counts(org.id()).await?.ended() != ended;
        let mut found = if stale { Vec::new() } else { children };
        let here = Existing::new(&found, mapping.external_id_field());
        let missing: Vec<String> = keys.into_iter().filter(|key| here.find(key) == Match::None).collect();
        if !missing.is_empty() {
            found.extend(self.select_in(&plan, &select, mapping.external_id_field(), &missing).await?);
        }
        let existing = Existing::new(&found, mapping.external_id_field());
        verdict::compare(batch, wanted, &existing, &open, &target.describe, settle);
        Ok(())
    }

    /// Decides about records of the target that have lost their own record, by what the org holds of them now.
    async fn bereave(&self, mut job: Job<'_>, batch: Batch<'_>, settle: &mut Settle) -> Result<(), Halt> {
        let (org, mapping) = (&self.org, batch.mapping);
        let calls = 1 + usize::from(self.known(mapping.target()).is_none());
        let plan = org.line.plan(job.origin, calls).await?;
        let target = self.target(&plan, mapping.target()).await?;
        let links = org.settings.links(mapping.target());
        let field = mapping.external_id_field();
        let written = mapping.target_fields().into_iter().chain(links.clone());
        let select = Select::from(mapping.target())
            .fields(["Id", field])
            .fields(written.filter(|field| target.writes(field)));
        let keys = job.asked.iter().filter_map(|asked| asked.row.as_ref()).filter_map(|row| text(row, field));
        // Before the query: what ends in between is seen by it, and nothing begins, as changes are decided here only.
        let open = &org.store.open_keys(org.id(), mapping.target(), keys.map(fold).collect()).await?;
        let ids: Vec<String> = job.asked.iter().map(|asked| asked.id.clone()).collect();
        let rows = self.select_in(&plan, &select, "Id", &ids).await?;
        let rows = &rows.into_iter().filter_map(|row| Some((id_of(&row)?, row))).collect();
        let on_deleted = job.sync.refresh.as_ref().map(|refresh| refresh.on_deleted).unwrap_or_default();
        settle.requests.append(&mut job.requests);
        let orphans = Orphans { on_deleted, rows, links: &links, open };
        verdict::bereave(batch, job.asked, orphans, &target, settle);
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

    /// Sets aside what the batch will take before its first call, so that none is spent on half a batch.
    async fn plan(&self, job: &Job<'_>) -> Result<Plan, CallError> {
        let reads = job.asked.iter().any(|asked| asked.row.is_none() && !asked.id.is_empty());
        let describes = self.known(job.sync.mapping.target()).is_none();
        let relates = job.reads_children() && self.known_relationship(&job.sync.name).is_none();
        let calls = 1 + usize::from(reads) + usize::from(describes) + usize::from(relates);
        self.org.line.plan(job.origin, calls).await
    }

    /// The name under which targets are read with the record, if they are to be and if the org has one for them.
    async fn relationship(&mut self, plan: &Plan, job: &Job<'_>) -> Result<Option<String>, Halt> {
        let mapping = &job.sync.mapping;
        let Some(field) = mapping.parent_field().filter(|_| job.reads_children()) else { return Ok(None) };
        if let Some(known) = self.known_relationship(&job.sync.name) {
            return Ok(known.clone());
        }
        self.called();
        let reply = self.org.line.planned(plan, &describe::describe(mapping.object(), None)).await?;
        let described = describe::parse(&reply)?;
        let name = described
            .and_then(|described| Describe::child_relationship(&described.row, mapping.target(), field));
        if name.is_none() {
            tracing::warn!(
                org = self.org.id(),
                sync = job.sync.name,
                "{} lists no records of {} by `{field}`, so they are matched by external ID",
                mapping.object(),
                mapping.target()
            );
        }
        self.relationships.insert(job.sync.name.clone(), (self.org.clock.monotonic(), name.clone()));
        Ok(name)
    }

    fn known_relationship(&self, sync: &str) -> Option<&Option<String>> {
        let (read, name) = self.relationships.get(sync)?;
        (self.org.clock.monotonic() < *read + schemas::TRUST).then_some(name)
    }

    /// Fetches the rows that the request did not bring along, and with them the targets that hang on them as `hanging`.
    /// What is not found stays `None`.
    async fn read(&self, job: &mut Job<'_>, plan: &Plan, hanging: Option<&str>) -> Result<Vec<Row>, Halt> {
        let missing = job.asked.iter().filter(|asked| asked.row.is_none() && !asked.id.is_empty());
        let missing: Vec<String> = missing.map(|asked| asked.id.clone()).collect();
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let mapping = &job.sync.mapping;
        let target = self.known(mapping.target());
        let writes = |field: &String| target.as_ref().is_none_or(|target| target.writes(field));
        let children = hanging.map(|name| {
            let fields = ["Id".to_owned(), mapping.external_id_field().to_owned()];
            Select::from(name)
                .fields(fields)
                .fields(mapping.target_fields().into_iter().filter(writes))
                .as_field()
        });
        let select = Select::from(mapping.object()).fields(mapping.read_fields()).fields(children);
        let mut rows = self.select_in(plan, &select, "Id", &missing).await?;
        let children = hanging.and_then(|name| take_children(&mut rows, name)).unwrap_or_default();
        let mut rows: BTreeMap<String, Row> =
            rows.into_iter().filter_map(|row| Some((id_of(&row)?, row))).collect();
        for asked in &mut job.asked {
            if asked.row.is_none() {
                asked.row = rows.remove(&asked.id);
            }
        }
        Ok(children)
    }

    /// Asks the vendor. A batch that is refused is halved until the record that is refused stands alone: that one is
    /// a dead letter, and is taken out of `asked`.
    async fn look_up(
        &self,
        batch: Batch<'_>,
        rows: &[Row],
        asked: &mut Vec<Asked>,
        settle: &mut Settle,
    ) -> Result<BTreeMap<String, Answer>, Halt> {
        let mut answers = BTreeMap::new();
        let mut parts: Vec<&[Row]> = rows.chunks(lookup::RECORDS_MAX).rev().collect();
        while let Some(part) = parts.pop() {
            let body = lookup::body(batch.mapping, self.org.id(), part).to_string();
            let source = self.org.ways().source;
            match source.ask(body).await {
                Ok(Answered { body, parent }) => {
                    let mut found = lookup::parse(&body, ANSWER_BYTES_MAX).map_err(|problem| {
                        let hint = problem.hint();
                        source.answered_rubbish(&format!("{problem}. {}", hint.trim_end_matches('.')))
                    })?;
                    let at_ms = self.org.clock.now_ms();
                    for id in part.iter().filter_map(id_of) {
                        let data = found.remove(&id).unwrap_or_default();
                        answers.insert(id, Answer { data, at_ms, parent: parent.clone() });
                    }
                }
                Err(SourceError::Refused { .. }) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(error @ SourceError::Refused { .. }) => {
                    let id = part.first().and_then(id_of).unwrap_or_default();
                    if let Some(place) = asked.iter().position(|asked| asked.id == id) {
                        let record = asked.remove(place);
                        let problem = RecordProblem::new("Id", error.to_string(), error.hint());
                        settle.dead.push(verdict::dead(batch, record.subject(), &problem));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(answers)
    }

    fn known(&self, object: &str) -> Option<Target> {
        self.org.schemas.fresh(object, self.org.clock.monotonic())
    }

    async fn target(&self, plan: &Plan, object: &str) -> Result<Target, Halt> {
        if let Some(known) = self.known(object) {
            return Ok(known);
        }
        self.called();
        Ok(schemas::read(&self.org, plan, object).await?)
    }

    /// All records whose `field` is one of `values`, over as many queries as URL and list lengths ask for.
    async fn select_in(
        &self,
        plan: &Plan,
        select: &Select,
        field: &str,
        values: &[String],
    ) -> Result<Vec<Row>, CallError> {
        let mut rows = Vec::new();
        for part in values.chunks(KEYS_MAX).flat_map(|keys| select.chunks(field, keys, QUERY_URL_BYTES_MAX)) {
            let soql = select.clone().where_in(field, part).to_soql();
            let mut call = query::query(&soql);
            loop {
                self.called();
                let page = query::page(&self.org.line.planned(plan, &call).await?)?;
                rows.extend(page.records);
                let Some(next) = page.next else { break };
                call = query::next(&next);
            }
        }
        Ok(rows)
    }

    fn called(&self) {
        self.calls.set(self.calls.get() + 1);
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

/// The first requests of one sync and origin, their records each once. Requests nobody can read or whose sync is gone
/// from the settings become dead letters, so that they do not block the queue. Up to number `void` they are of an org
/// that the login led to before, so the rows they brought along do not count.
fn gather<'a>(
    syncs: &'a [Arc<SyncSettings>],
    head: Vec<Request>,
    void: u64,
    now_ms: u64,
    settle: &mut Settle,
) -> Option<Job<'a>> {
    let mut job: Option<Job<'a>> = None;
    for request in head {
        let mut parcel: RequestParcel = match unpack(&request.body) {
            Ok(parcel) => parcel,
            Err(problem) => {
                let hint = "Report this as a bug of orgpipe, with the version that ran before.";
                bury(settle, request, &problem.to_string(), hint, now_ms);
                continue;
            }
        };
        let Some(sync) = syncs.iter().find(|sync| sync.name == parcel.sync) else {
            let reason = format!("the settings have no sync `{}` for this org any more", parcel.sync);
            bury(settle, request, &reason, "Bring the sync back, then refresh it.", now_ms);
            continue;
        };
        let gap = (parcel.origin == Origin::Heal).then(|| parcel.event_id.clone());
        let job = job.get_or_insert_with(|| Job {
            sync,
            origin: parcel.origin,
            gap: gap.clone(),
            received_ms: parcel.received_ms,
            requests: Vec::new(),
            asked: Vec::new(),
        });
        if job.sync.name != parcel.sync || job.origin != parcel.origin || job.gap != gap {
            break;
        }
        if request.seq <= void {
            parcel.rows = None;
        }
        job.requests.push(request.seq);
        add(job, parcel, request.records);
    }
    job
}

/// The record counts as often as it was asked for, so that the ledger adds up; it is read once.
fn add(job: &mut Job<'_>, parcel: RequestParcel, records: u32) {
    let RequestParcel { sync, origin, ids, rows, event_id, correlation_id, received_ms: since_ms, .. } =
        parcel;
    let trail = Trail::new(&sync, origin, &event_id, correlation_id.as_deref());
    let mut rows: BTreeMap<String, Row> =
        rows.unwrap_or_default().into_iter().filter_map(|row| Some((id_of(&row)?, row))).collect();
    let mut left = records;
    for raw in &ids {
        let id = id::canonical(raw).unwrap_or_else(|| raw.clone());
        let row = rows.remove(&id);
        left = left.saturating_sub(1);
        match job.asked.iter_mut().find(|asked| asked.id == id) {
            Some(asked) => {
                asked.units += 1;
                asked.row = row.or(asked.row.take());
            }
            None => job.asked.push(Asked { id, units: 1, row, since_ms, trail: trail.clone() }),
        }
    }
    // Rows of a refresh without an ID cannot be: they are counted as records without data.
    if left > 0 {
        job.asked.push(Asked { id: String::new(), units: left, row: None, since_ms, trail });
    }
}

fn bury(settle: &mut Settle, request: Request, reason: &str, hint: &str, now_ms: u64) {
    settle.requests.push(request.seq);
    let key = format!("request {}", request.seq);
    let (units, trail) = (request.records, Vec::new());
    settle.dead.push(NewDead {
        subject: Subject { record: key.clone(), units, asked_ms: now_ms, trail },
        key,
        reason: reason.to_owned(),
        hint: hint.to_owned(),
        body: request.body,
        at_ms: now_ms,
    });
}

fn id_of(row: &Row) -> Option<String> {
    text(row, "Id").and_then(id::canonical)
}

fn text<'row>(row: &'row Row, field: &str) -> Option<&'row str> {
    row::get(row, field).and_then(Value::as_str)
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

#[cfg(test)]
mod tests {
    use orgpipe_store::Lane;

    use super::*;
    use crate::settings::tests::org;

    fn request(seq: u64, sync: &str, origin: Origin, ids: &[&str]) -> Request {
        let parcel = RequestParcel {
            v: 1,
            sync: sync.into(),
            origin,
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            rows: None,
            event_id: String::new(),
            correlation_id: None,
            received_ms: seq,
        };
        let records = u32::try_from(ids.len()).unwrap_or_default();
        Request { seq, lane: Lane::Live, records, body: pack(&parcel) }
    }

    const A: &str = "0015000000Gv7qJ";
    const B: &str = "0015000000Gv7qKAAR";

    #[test]
    fn requests_of_one_sync_are_one_batch_and_a_record_asked_twice_is_read_once() {
        let org = org();
        let head = vec![
            request(1, "accounts", Origin::Live, &[A, B]),
            request(2, "accounts", Origin::Live, &["0015000000Gv7qJAAR"]),
            request(3, "accounts", Origin::Refresh, &[B]),
        ];
        let mut settle = Settle::default();
        let job = gather(&org.syncs, head, 0, 9, &mut settle).expect("a batch");
        assert_eq!((job.requests.as_slice(), job.received_ms), ([1, 2].as_slice(), 1));
        let units: Vec<u32> = job.asked.iter().map(|asked| asked.units).collect();
        assert_eq!(units, [2, 1]);
        assert!(settle.dead.is_empty());
    }

    #[test]
    fn what_nobody_can_read_does_not_block_the_queue() {
        let org = org();
        let mut broken = request(1, "accounts", Origin::Live, &[A]);
        broken.body.truncate(5);
        let head = vec![
            broken,
            request(2, "gone", Origin::Live, &[A, B]),
            request(3, "accounts", Origin::Live, &[A]),
        ];
        let mut settle = Settle::default();
        let job = gather(&org.syncs, head, 0, 9, &mut settle).expect("the third");
        assert_eq!((job.requests, settle.requests.as_slice()), (vec![3], [1, 2].as_slice()));
        let dead: Vec<u32> = settle.dead.iter().map(|dead| dead.subject.units).collect();
        assert_eq!(dead, [1, 2]);
        assert!(settle.dead[1].reason.contains("`gone`"));
    }
}
