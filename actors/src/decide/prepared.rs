//! A batch on its way: its records are read and looked up, then it is decided.
//!
//! Here: the order of these steps. Not here: which batch is next, point B, and what a failure does to it (`ingest`), reading
//! from the org (`fetch`), asking the vendor (`lookup`), what a record comes to (`verdict`).
//!
//! Invariant: reading and deciding change nothing, neither on disk nor in the org. All that follows is in the [`Verdict`].
//!
//! While one batch is decided the next one is read already. So what is decided later was read later, and deciding, which is
//! done one batch after the other, sees every change that was decided before.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use orgpipe_reconcile::{
    Mapping,
    identity::Identity,
    matching::{Existing, Match, external_id},
};
use orgpipe_store::{Lane, NewRequest, OpenChanges, Seq, Settle, UnixMs, units};

use super::{
    batch::{Answer, Asked, Batch, Job},
    fetch::{ByExternalId, Children, Fetcher},
    lookup::{Lookups, Pace},
    orphans::{self, Orphans},
    own_form::Remembered,
    parts::in_parts,
    shared_keys::{self, Claim, Sharing},
    verdict,
    waiting::Label,
};
use crate::{
    audit_trail::Hasher,
    org::{
        context::OrgContext,
        describe::{blame, readable},
        select::Calls,
        step_error::StepError,
        store::Position,
    },
    queue_entry::{Origin, RequestEntry, Row, Tally, pack},
    settings::{OnSharedKey, SyncSettings},
    trace::{
        spans::About,
        steps::{StepSpan, Traces},
    },
};

/// Rows and changes of a record that are looked at for the key it was answered with last: an answer may name many.
const CLAIM_ROWS_MAX: usize = 50;

/// Requests that leave the queue together.
#[derive(Debug)]
pub(super) struct PreparedBatch {
    label: Option<Label>,
    /// Their numbers on the queue.
    pub requests: BTreeSet<Seq>,
    /// What they came to so far.
    settle: Settle,
    /// What is to be decided still.
    rest: Option<Rest>,
    /// The traces of what asked for them.
    traces: Traces,
}

/// Records and what is known of them.
#[derive(Debug)]
struct Rest {
    job: Job,
    now_ms: UnixMs,
    hasher: Arc<Hasher>,
    calls: Calls,
    /// `None` for records that are not looked up.
    known: Option<KnownHere>,
}

/// Targets that were read with the records, and what the vendor's API answered.
type KnownHere = (Children, Arc<BTreeMap<String, Answer>>);

/// What was read and answered for a batch, for another one.
#[derive(Clone, Debug)]
pub(super) struct Looked {
    /// With the rows; without the records whose end is known.
    job: Job,
    /// Those ends.
    settle: Settle,
    children: Children,
    answers: Arc<BTreeMap<String, Answer>>,
}

/// What a batch comes to. Nothing has happened yet: that is for whoever has it.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Point B.
    pub settle: Settle,
    /// Requests that come of it, to be taken in before point B, as no other batch would think of them.
    pub again: Vec<NewRequest>,
    /// What the org holds of the wanted records of the target.
    pub existing: Vec<Row>,
    /// How many of those were looked for by queries; none if none was wanted.
    pub looked_for: Option<usize>,
}

impl PreparedBatch {
    /// Reads and looks up the job's records; `settle` has what became of the other requests.
    pub(super) async fn read(
        org: &OrgContext,
        (fetcher, lookups): (&Fetcher, &Lookups),
        label: Option<Label>,
        (job, mut settle): (Option<Job>, Settle),
        hasher: Arc<Hasher>,
        tries: u32,
    ) -> Result<Self, StepError> {
        let numbers = settle.requests.iter().chain(job.iter().flat_map(|job| &job.requests));
        let requests = numbers.copied().collect();
        let Some(mut job) = job else {
            let traces = Traces::unasked(org.id());
            return Ok(Self { label, requests, settle, rest: None, traces });
        };
        settle.requests.append(&mut job.requests);
        let traces = Traces::of(org.id(), org.sampling, job.asked.iter().map(|asked| asked.trail.cause()));
        let about = about(org, "look up", &job);
        let step = traces.step(org.clock, about);
        let read =
            Self::read_records(org, (fetcher, lookups), (&mut job, &mut settle), (&hasher, tries), &step);
        let (calls, known, now_ms) = step.try_work(Box::pin(read), StepError::kind).await?;
        let rest = Some(Rest { job, now_ms, hasher, calls, known });
        Ok(Self { label, requests, settle, rest, traces })
    }

    /// The calls of that, and what they brought.
    async fn read_records(
        org: &OrgContext,
        (fetcher, lookups): (&Fetcher, &Lookups),
        (job, settle): (&mut Job, &mut Settle),
        (hasher, tries): (&Hasher, u32),
        step: &StepSpan,
    ) -> Result<(Calls, Option<KnownHere>, UnixMs), StepError> {
        let sync = Arc::clone(&job.sync);
        as_readable(org, job).await?;
        let now_ms = org.clock.now_ms();
        let (calls, known) = if job.origin == Origin::Orphan {
            (fetcher.reserve_for_orphans(job, tries).await?, None)
        } else {
            let calls = fetcher.reserve(job, tries).await?;
            let (children, refused) =
                fetcher.records(&calls, job).await.inspect_err(|error| blame(org, &sync.name, error))?;
            let mut asked = std::mem::take(&mut job.asked);
            verdict::dead_letters(batch(org, job, now_ms, hasher), &refused, &mut asked, settle);
            let pace = Pace { records_max: job.sync.lookup_max(), tries };
            let batch = batch(org, job, now_ms, hasher);
            let answers = lookups.ask((batch, step), pace, &mut asked, settle).await?;
            job.asked = asked;
            (calls, Some((children, Arc::new(answers))))
        };
        Ok((calls, known, now_ms))
    }

    /// What is known of its records; none if nothing was looked up.
    pub(super) fn looked(&self) -> Option<Looked> {
        let Some(Rest { job, known: Some((children, answers)), .. }) = &self.rest else { return None };
        let (job, settle) = (job.clone(), self.settle.clone());
        Some(Looked { job, settle, children: children.clone(), answers: Arc::clone(answers) })
    }

    /// The records of another batch as this sync sees them, if nothing has to be read or asked for it that is not known.
    pub(super) async fn of_known(
        org: &OrgContext,
        fetcher: &Fetcher,
        sync: &Arc<SyncSettings>,
        looked: &Looked,
        hasher: Arc<Hasher>,
    ) -> Result<Option<Self>, StepError> {
        let Looked { job: known, settle, children, answers } = looked.clone();
        let asks = |sync: &SyncSettings| (sync.mapping.object().to_owned(), sync.mapping.keys().to_vec());
        let asked = asks(&known.sync);
        let mut job = Job { sync: Arc::clone(sync), hidden_keys: Vec::new(), ..known };
        as_readable(org, &mut job).await?;
        if job.reads() || asks(&job.sync) != asked {
            return Ok(None);
        }
        let (calls, now_ms) = (fetcher.reserve(&job, 0).await?, org.clock.now_ms());
        let known = Some((children.of(&job), answers));
        let rest = Some(Rest { job, now_ms, hasher, calls, known });
        let traces = Traces::unasked(org.id());
        Ok(Some(Self { label: None, requests: BTreeSet::new(), settle, rest, traces }))
    }

    /// The step in which it is decided.
    pub(super) fn deciding(&self, org: &OrgContext) -> Option<StepSpan> {
        let Rest { job, .. } = self.rest.as_ref()?;
        Some(self.traces.step(org.clock, about(org, "decide", job)))
    }

    /// To be decided as if it were this time.
    pub(super) fn at(mut self, now_ms: UnixMs) -> Self {
        if let Some(rest) = &mut self.rest {
            rest.now_ms = now_ms;
        }
        self
    }

    /// What its requests belong to; `None` if nobody can read them.
    pub(super) fn about(&self) -> Option<Label> {
        self.label.clone()
    }

    /// Whether its requests were live.
    pub(super) fn is_live(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.job.origin == Origin::Live)
    }

    /// Compares with what the org holds.
    pub(super) async fn decide(self, org: &OrgContext, fetcher: &Fetcher) -> Result<Verdict, StepError> {
        let Self { mut settle, rest, .. } = self;
        let (mut again, mut existing, mut looked_for) = (Vec::new(), Vec::new(), None);
        let Some(Rest { mut job, now_ms, hasher, calls, known }) = rest else {
            return Ok(Verdict { settle, again, existing, looked_for });
        };
        let asked = std::mem::take(&mut job.asked);
        let batch = batch(org, &job, now_ms, &hasher);
        match known {
            Some((children, answers)) => {
                let event_id = asked.first().map(|asked| asked.trail.event_id.clone()).unwrap_or_default();
                let mut wanted = Vec::new();
                for record in asked {
                    wanted.extend(verdict::wanted(batch, vec![record], &answers, &mut settle));
                    // Expressions may take their time for each, and the thread is not this batch's alone.
                    tokio::task::yield_now().await;
                }
                let before = shared_keys::stored(org).await?;
                let mut sharing = Sharing::new(before.clone(), batch.mapping.sync(), &settle);
                let wanted = (wanted, children, &mut sharing);
                (existing, looked_for) =
                    match_and_diff(org, fetcher, &calls, batch, wanted, &mut settle).await?;
                let (shared, left) = sharing.end();
                if shared != before {
                    settle.positions.push(Position::SharedKeys.json(&shared));
                }
                again.extend(ask_again(&job, &event_id, left, org.clock.now_ms()));
            }
            None => handle_deleted(org, fetcher, &calls, (&job, batch), asked, &mut settle).await?,
        }
        if let Some(gap) = &job.gap {
            count(org, gap, calls.made(), &mut settle).await?;
        }
        Ok(Verdict { settle, again, existing, looked_for })
    }
}

/// What a step with these records is about.
fn about<'a>(org: &'a OrgContext, what: &'static str, job: &'a Job) -> About<'a> {
    let sync = &job.sync.name;
    About { org: org.id(), name: (what, sync), sync: Some(sync), records: Some(job.asked.len() as u64) }
}

/// The job without what cannot be read now; a row that lacks something of the rest is to be read once more.
async fn as_readable(org: &OrgContext, job: &mut Job) -> Result<(), StepError> {
    let sync = Arc::clone(&job.sync);
    if let Cow::Owned(part) = readable(org, job.origin, &sync).await? {
        job.hidden_keys = hidden_keys(&sync.mapping, &part.mapping);
        job.sync = Arc::new(part);
    }
    job.drop_partial_rows();
    Ok(())
}

/// The fields of keys that a mapping lacks while they cannot be read.
fn hidden_keys(whole: &Mapping, left: &Mapping) -> Vec<String> {
    let hidden = whole.keys().iter().filter(|key| !left.keys().contains(key));
    hidden.map(|(_, field)| field.clone()).collect()
}

fn batch<'a>(org: &'a OrgContext, job: &'a Job, now_ms: UnixMs, hasher: &'a Hasher) -> Batch<'a> {
    let Job { sync, origin, gap, received_ms, hidden_keys, .. } = job;
    let on_shared_key = sync.on_shared_key;
    Batch {
        org: org.id(),
        mapping: &sync.mapping,
        origin: *origin,
        gap: gap.as_deref(),
        received_ms: *received_ms,
        now_ms,
        hasher,
        hidden_keys,
        on_shared_key,
    }
}

/// Decides about wanted records; gives back what the org holds of them, and how many were looked for by queries.
async fn match_and_diff(
    org: &OrgContext,
    fetcher: &Fetcher,
    calls: &Calls,
    batch: Batch<'_>,
    (wanted, children, sharing): (Vec<verdict::Wanted>, Children, &mut Sharing),
    settle: &mut Settle,
) -> Result<(Vec<Row>, Option<usize>), StepError> {
    if wanted.is_empty() {
        return Ok((Vec::new(), None));
    }
    let mapping = batch.mapping;
    let target = fetcher.target(calls, mapping.target()).await?;
    let identity = Identity::of(&target.describe, mapping.key_field());
    let wanted = verdict::fitting(batch, wanted, &target.describe, settle);
    sharing.answered(&wanted, identity);
    if wanted.is_empty() {
        return Ok((Vec::new(), None));
    }
    let keys: Vec<String> = wanted.iter().map(|wanted| wanted.desired.key.clone()).collect();
    // Before the query: a change that ends in between makes us write too much, never too little.
    let folded: Vec<String> = keys.iter().map(|key| identity.key(key)).collect();
    let open = org.store.open_changes(mapping.target(), folded).await?;
    let found = fetcher.existing(calls, mapping, &target, keys, children).await?;
    let ByExternalId { rows: found, refused, looked_for } = found;
    let wanted = verdict::without(batch, wanted, &refused, settle);
    let existing = Existing::new(&found, mapping.key_field(), identity);
    let wanted = verdict::still_there(batch, wanted, &existing, settle);
    let mut wanted = give(org, (fetcher, calls), batch, wanted, (&existing, &open), sharing, settle).await?;
    for wanted in &mut wanted {
        wanted.desired.retain(|field| target.writes(field));
    }
    let differing = verdict::differing_keys(batch, &wanted, &existing, &open, &target.describe);
    let remembered = Remembered::read(org, mapping.target(), differing).await?;
    in_parts(wanted, |part| {
        verdict::compare(batch, part, &existing, (&open, &remembered), &target.describe, settle);
    })
    .await;
    Ok((found, Some(looked_for)))
}

/// Says whose each wanted record is, and settles those who get nothing of it. Gives back what is to be compared.
async fn give(
    org: &OrgContext,
    (fetcher, calls): (&Fetcher, &Calls),
    batch: Batch<'_>,
    wanted: Vec<verdict::Wanted>,
    (existing, open): (&Existing<'_>, &OpenChanges),
    sharing: &mut Sharing,
    settle: &mut Settle,
) -> Result<Vec<verdict::Wanted>, StepError> {
    let mut holders = Vec::with_capacity(wanted.len());
    for wanted in &wanted {
        holders.push(holder(org, batch, wanted, (existing, open), sharing).await?);
    }
    let mut created = BTreeMap::new();
    if batch.on_shared_key == OnSharedKey::Newest {
        let of_batch = |holder: &&String| sharing.is_answered(holder);
        let others: BTreeSet<&String> = holders.iter().flatten().filter(|holder| !of_batch(holder)).collect();
        let others: Vec<String> = others.into_iter().cloned().collect();
        created = fetcher.created(calls, batch.mapping.object(), &others).await?;
    }
    let mut own = Vec::with_capacity(wanted.len());
    for (wanted, holder) in wanted.into_iter().zip(holders) {
        let holder = holder.map(|record| {
            let created_ms = created.get(&record).copied().flatten();
            Claim { record, created_ms }
        });
        let found = existing.find(&wanted.desired.key);
        let given = sharing.give(batch.on_shared_key, wanted, holder);
        own.extend(verdict::given(batch, given, &found, settle));
    }
    Ok(own)
}

/// Who has a wanted record, if that one still claims it.
async fn holder(
    org: &OrgContext,
    batch: Batch<'_>,
    wanted: &verdict::Wanted,
    (existing, open): (&Existing<'_>, &OpenChanges),
    sharing: &Sharing,
) -> Result<Option<String>, StepError> {
    let key = sharing.key(wanted);
    let found = match existing.find(&wanted.desired.key) {
        Match::One(row) => Some(row),
        Match::None | Match::Many(_) => None,
    };
    Ok(match shared_keys::hangs_on(batch.mapping, found, open.get(&key), sharing.remembered(&key)) {
        Some(holder) if sharing.is_answered(&holder) => {
            Some(holder).filter(|holder| sharing.claims(holder, &key))
        }
        Some(holder) => {
            let rows = org.store.rows(&holder, CLAIM_ROWS_MAX).await?;
            let changes = org.store.changes_of(&holder, CLAIM_ROWS_MAX).await?;
            let sync = batch.mapping.sync();
            shared_keys::still_claims(&rows, &changes, sync, &key).then_some(holder)
        }
        None => None,
    })
}

/// A request for records that may have a record of the target now which belonged to another one before.
fn ask_again(job: &Job, event_id: &str, left: BTreeSet<String>, now_ms: UnixMs) -> Option<NewRequest> {
    if left.is_empty() {
        return None;
    }
    let origin = match job.origin {
        Origin::Live | Origin::Push => job.origin,
        Origin::Refresh | Origin::Heal | Origin::Retry | Origin::Orphan => Origin::Refresh,
    };
    let records = u32::try_from(left.len()).unwrap_or(u32::MAX);
    let entry = RequestEntry {
        v: 1,
        sync: job.sync.name.clone(),
        origin,
        ids: left.into_iter().collect(),
        rows: None,
        pushed: Vec::new(),
        event_id: event_id.to_owned(),
        correlation_id: None,
        received_ms: now_ms,
    };
    let lane = if origin == Origin::Refresh { Lane::Refresh } else { Lane::Live };
    Some(NewRequest { lane, records, body: pack(&entry) })
}

/// Decides about records of the target that have lost their own record, by what the org holds of them now.
async fn handle_deleted(
    org: &OrgContext,
    fetcher: &Fetcher,
    calls: &Calls,
    (job, batch): (&Job, Batch<'_>),
    asked: Vec<Asked>,
    settle: &mut Settle,
) -> Result<(), StepError> {
    let mapping = batch.mapping;
    let target = fetcher.target(calls, mapping.target()).await?;
    let links = org.settings.links(mapping.target());
    let field = mapping.key_field();
    let identity = Identity::of(&target.describe, field);
    let keys = asked.iter().filter_map(|asked| asked.row.as_ref()).filter_map(|row| external_id(row, field));
    let keys = keys.map(|key| identity.key(&key)).collect();
    // Before the query: what ends in between is seen by it, and nothing begins, as changes are decided here only.
    let open = &org.store.open_changes(mapping.target(), keys).await?;
    let rows = &fetcher.orphans(calls, mapping, &asked, &target, &links).await?;
    let on_deleted = job.sync.refresh.as_ref().map(|refresh| refresh.on_deleted).unwrap_or_default();
    orphans::handle_deleted(batch, asked, Orphans { on_deleted, rows, links: &links, open }, &target, settle);
    Ok(())
}

/// Counts what the batch came to for the gap's receipt, in the batch's own commit.
async fn count(org: &OrgContext, gap: &str, calls: u64, settle: &mut Settle) -> Result<(), StepError> {
    let stored = org.store.bytes(Position::GapTally).await?;
    let mut tally = Tally::of(gap, stored.as_deref());
    tally.unchanged += units(&settle.unchanged);
    tally.no_data += units(&settle.no_data);
    tally.failed += settle.dead.iter().map(|dead| u64::from(dead.subject.units)).sum::<u64>();
    tally.changes += settle.changes.iter().map(|change| units(&change.subjects)).sum::<u64>();
    tally.calls += calls;
    settle.positions.push(Position::GapTally.json(&tally));
    Ok(())
}
