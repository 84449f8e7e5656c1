//! What the org holds about a batch.
//!
//! Here: its records, the targets that hang on them, those that have the same external ID, and those that have lost
//! their record; what the calls for it will come to. Not here: what follows from it (`verdict`, `orphans`).

use std::{
    cell::{Ref, RefCell},
    collections::BTreeMap,
    sync::Arc,
    time::Duration,
};

use orgpipe_reconcile::{
    Mapping, RecordProblem,
    describe::Describe,
    identity::Identity,
    matching::{Existing, KEYS_MAX, Match, take_children},
    system::{CHANGED_AT, CHANGED_BY, CREATED_AT},
};
use orgpipe_salesforce::{
    limits::{COLUMNS_URL_BYTES_MAX, IN_LIST_MAX},
    rest::describe,
    soql::{Select, quote},
};
use orgpipe_store::UnixMs;

use super::{
    batch::{Asked, Job, id_of},
    verdict::created_ms,
};
use crate::{
    org::{
        context::OrgContext,
        describe::describe_target,
        schemas::{self, Target},
        select::{Calls, Selected, WhenUnreadable, is_unreadable, select_among, select_in},
        step_error::StepError,
    },
    queue_entry::Row,
};

// Otherwise one query as it is planned here would be two as it is sent.
const _: () = assert!(KEYS_MAX <= IN_LIST_MAX);

/// Reads from one org.
pub(super) struct Fetcher {
    org: Arc<OrgContext>,
    /// By sync, under which name the targets are read with the record, and when that was read; `None` if they cannot.
    relationships: RefCell<BTreeMap<String, (Duration, Option<String>)>>,
}

/// Targets that were read with their records, or are those.
#[derive(Clone, Debug)]
pub(super) struct Children {
    rows: Vec<Row>,
    /// Changes of the org that had ended before.
    ended: u64,
}

impl Children {
    /// Those of another mapping for the same records, as known at the same time: only records that are targets themselves.
    pub(super) fn of(&self, job: &Job) -> Self {
        Self { rows: itself(job), ended: self.ended }
    }
}

/// Targets that were found by their external IDs.
#[derive(Debug)]
pub(super) struct ByExternalId {
    /// As the org holds them.
    pub rows: Vec<Row>,
    /// External IDs that the org refuses to be asked about, and why.
    pub refused: BTreeMap<String, RecordProblem>,
    /// How many were looked for by queries.
    pub looked_for: usize,
}

impl Fetcher {
    /// Knows nothing yet.
    pub(super) fn new(org: Arc<OrgContext>) -> Self {
        Self { org, relationships: RefCell::default() }
    }

    /// What is known of relationships is in doubt: an error blames the schema.
    pub(super) fn doubt(&self) {
        self.relationships.borrow_mut().clear();
    }

    /// Sets aside what the batch will take before its first call, so that none is spent on half a batch.
    pub(super) async fn reserve(&self, job: &Job, tries: u32) -> Result<Calls, StepError> {
        let reads = job.reads();
        let describes = self.known(job.sync.mapping.target()).is_none();
        let relates = job.reads_children() && self.known_relationship(&job.sync.name).is_none();
        let queries = job.asked.len().div_ceil(KEYS_MAX) * (1 + usize::from(reads));
        let calls = queries + usize::from(describes) + usize::from(relates);
        self.set_aside(job, calls, tries).await
    }

    async fn set_aside(&self, job: &Job, calls: usize, tries: u32) -> Result<Calls, StepError> {
        Ok(Calls::new(self.org.api.reserve(job.origin, calls).await?, tries))
    }

    /// Fetches the rows that the requests did not bring along, and with them the targets that hang on them.
    /// What is not found stays `None`. The other half of the answer is which records the org refuses to be asked about.
    pub(super) async fn records(
        &self,
        calls: &Calls,
        job: &mut Job,
    ) -> Result<(Children, BTreeMap<String, RecordProblem>), StepError> {
        self.drop_outdated_rows(job).await?;
        let hanging = self.relationship(calls, job).await?;
        let ended = self.ended().await?;
        let missing: Vec<String> =
            job.asked.iter().filter(|asked| asked.unread()).map(|asked| asked.id.clone()).collect();
        if missing.is_empty() {
            return Ok((Children { rows: itself(job), ended }, BTreeMap::new()));
        }
        let mapping = &job.sync.mapping;
        let target = self.known(mapping.target());
        let writes = |field: &String| target.as_ref().is_none_or(|target| target.writes(field));
        let alone = Select::from(mapping.object()).fields(mapping.read_fields());
        let children = hanging.as_ref().map(|name| {
            let fields = ["Id".to_owned(), mapping.key_field().to_owned()];
            Select::from(name)
                .fields(fields)
                .fields(self.compared(mapping.target()).filter(writes))
                .fields(changed_by(target.as_ref()))
                .as_field()
        });
        // Targets with very many fields have no room beside the records, and are found by their external IDs.
        let with_children = children
            .map(|children| alone.clone().fields([children]))
            .filter(|whole| whole.fits(COLUMNS_URL_BYTES_MAX));
        let literals: Vec<String> = missing.iter().map(|id| quote(id)).collect();
        let read_alone = select_among(&self.org, calls, &alone, "Id", &literals, WhenUnreadable::Halved);
        let (selected, hanging) = match &with_children {
            None => (read_alone.await?, None),
            Some(select) => {
                match select_among(&self.org, calls, select, "Id", &literals, WhenUnreadable::Told).await {
                    // A record with more targets than a page holds: those are found by their external IDs.
                    Err(error) if is_unreadable(&error) => (read_alone.await?, None),
                    selected => (selected?, hanging),
                }
            }
        };
        let Selected { mut rows, refused } = selected;
        let mut children = hanging.and_then(|name| take_children(&mut rows, &name)).unwrap_or_default();
        let mut rows = by_id(rows);
        for asked in &mut job.asked {
            if asked.row.is_none() {
                asked.row = rows.remove(&asked.id);
            }
        }
        children.extend(itself(job));
        let by_literal = |id: &String| Some((id.clone(), refused.get(&quote(id))?.clone()));
        let refused = missing.iter().filter_map(by_literal).collect();
        Ok((Children { rows: children, ended }, refused))
    }

    /// A row that was brought along and is the target itself does not tell what it holds if we have written to it since.
    async fn drop_outdated_rows(&self, job: &mut Job) -> Result<(), StepError> {
        if !job.sync.mapping.is_record_itself() {
            return Ok(());
        }
        let brought = job.asked.iter().filter(|asked| asked.row.is_some()).map(|asked| asked.id.clone());
        let written = self.org.store.fingerprints(job.sync.mapping.target(), brought.collect()).await?;
        let (now_ms, org_now_ms) = (self.org.clock.now_ms(), self.org.api.time().now_ms());
        for asked in &mut job.asked {
            let read_ms = org_now_ms.saturating_sub(now_ms.since(asked.since_ms));
            if written.get(&asked.id).is_some_and(|written| written.is_written_since(read_ms)) {
                asked.row = None;
            }
        }
        Ok(())
    }

    /// The targets that have one of these external IDs, or record IDs. To be called once it is known which of them have an open change:
    /// what was read with the records was read before, so it counts only if nothing has ended since.
    pub(super) async fn existing(
        &self,
        calls: &Calls,
        mapping: &Mapping,
        target: &Target,
        keys: Vec<String>,
        children: Children,
    ) -> Result<ByExternalId, StepError> {
        let field = mapping.key_field();
        let select = Select::from(mapping.target())
            .fields(["Id".to_owned(), field.to_owned()])
            .fields(self.compared(mapping.target()).filter(|field| target.writes(field)))
            .fields(changed_by(Some(target)));
        let stale = self.ended().await? != children.ended;
        let mut found = if stale { Vec::new() } else { children.rows };
        let identity = Identity::of(&target.describe, field);
        let here = Existing::new(&found, field, identity);
        let missing: Vec<String> = keys.into_iter().filter(|key| here.find(key) == Match::None).collect();
        let (mut refused, looked_for) = (BTreeMap::new(), missing.len());
        if !missing.is_empty() {
            let literal = |key: &String| if identity.is_number() { identity.key(key) } else { quote(key) };
            let literals: Vec<String> = missing.iter().map(literal).collect();
            let selected =
                select_among(&self.org, calls, &select, field, &literals, WhenUnreadable::Halved).await?;
            found.extend(selected.rows);
            let by_literal = |key: &String| Some((key.clone(), selected.refused.get(&literal(key))?.clone()));
            refused = missing.iter().filter_map(by_literal).collect();
        }
        Ok(ByExternalId { rows: found, refused, looked_for })
    }

    /// When these records were created, those that are there.
    pub(super) async fn created(
        &self,
        calls: &Calls,
        object: &str,
        ids: &[String],
    ) -> Result<BTreeMap<String, Option<UnixMs>>, StepError> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let select = Select::from(object).fields(["Id", CREATED_AT]);
        let rows = by_id(select_in(&self.org, calls, &select, "Id", ids).await?.rows);
        Ok(rows.into_iter().map(|(id, row)| (id, created_ms(&row))).collect())
    }

    /// Sets aside what records of the target without their own record will take.
    pub(super) async fn reserve_for_orphans(&self, job: &Job, tries: u32) -> Result<Calls, StepError> {
        let queries = job.asked.len().div_ceil(KEYS_MAX);
        let calls = queries + usize::from(self.known(job.sync.mapping.target()).is_none());
        self.set_aside(job, calls, tries).await
    }

    /// Those records of the target as they are now, by ID.
    pub(super) async fn orphans(
        &self,
        calls: &Calls,
        mapping: &Mapping,
        asked: &[Asked],
        target: &Target,
        links: &[String],
    ) -> Result<BTreeMap<String, Row>, StepError> {
        let written = mapping.target_fields().into_iter().chain(links.iter().cloned());
        let select = Select::from(mapping.target())
            .fields(["Id", mapping.key_field()])
            .fields(written.filter(|field| target.writes(field)));
        let ids: Vec<String> = asked.iter().map(|asked| asked.id.clone()).collect();
        Ok(by_id(select_in(&self.org, calls, &select, "Id", &ids).await?.rows))
    }

    /// What is known of the target's fields, described anew if that is too long ago.
    pub(super) async fn target(&self, calls: &Calls, object: &str) -> Result<Target, StepError> {
        if let Some(known) = self.known(object) {
            return Ok(known.clone());
        }
        describe_target(&self.org, calls.next(), object).await
    }

    /// The name under which targets are read with the record, if they are to be and if the org has one for them.
    async fn relationship(&self, calls: &Calls, job: &Job) -> Result<Option<String>, StepError> {
        let mapping = &job.sync.mapping;
        let Some(field) = mapping.parent_field().filter(|_| job.reads_children()) else { return Ok(None) };
        if let Some(known) = self.known_relationship(&job.sync.name) {
            return Ok(known.clone());
        }
        let reply =
            self.org.api.call_reserved(calls.next(), &describe::describe(mapping.object(), None)).await?;
        let described = describe::parse(&reply)?;
        let name = described
            .and_then(|described| Describe::child_relationship(&described.row, mapping.target(), field));
        if name.is_none() && !self.org.is_aside {
            tracing::warn!(
                org = self.org.id(),
                sync = job.sync.name,
                "{} lists no records of {} by `{field}`, so they are matched by external ID",
                mapping.object(),
                mapping.target()
            );
        }
        let known = (self.org.clock.monotonic(), name.clone());
        self.relationships.borrow_mut().insert(job.sync.name.clone(), known);
        Ok(name)
    }

    fn known_relationship(&self, sync: &str) -> Option<Ref<'_, Option<String>>> {
        let known = Ref::filter_map(self.relationships.borrow(), |relationships| {
            let (read, name) = relationships.get(sync)?;
            (self.org.clock.monotonic() < *read + schemas::TRUST).then_some(name)
        });
        known.ok()
    }

    fn known(&self, object: &str) -> Option<Target> {
        self.org.schemas.fresh(object, self.org.clock.monotonic())
    }

    /// The fields that any sync writes to this target. All of them are read wherever one of them is compared, so that what
    /// another sync sent is seen before this one writes to the record.
    fn compared(&self, target: &str) -> impl Iterator<Item = String> {
        let syncs = self.org.settings.syncs.iter().filter(move |sync| sync.mapping.target() == target);
        syncs.flat_map(|sync| sync.mapping.target_fields())
    }

    async fn ended(&self) -> Result<u64, StepError> {
        Ok(self.org.store.progress().await?.ended_changes)
    }
}

/// Who changed a record of the target last, and when, as far as it has such fields.
fn changed_by(target: Option<&Target>) -> impl Iterator<Item = &'static str> {
    let has = move |field: &&str| target.is_none_or(|target| target.describe.field(field).is_some());
    [CHANGED_BY, CHANGED_AT].into_iter().filter(has)
}

/// The records of a job that are targets themselves.
fn itself(job: &Job) -> Vec<Row> {
    let rows = job.asked.iter().filter_map(|asked| asked.row.clone());
    if job.sync.mapping.is_record_itself() { rows.collect() } else { Vec::new() }
}

fn by_id(rows: Vec<Row>) -> BTreeMap<String, Row> {
    rows.into_iter().filter_map(|row| Some((id_of(&row)?, row))).collect()
}
