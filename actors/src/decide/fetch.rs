//! What the org holds about a batch.
//!
//! Here: its records, the targets that hang on them, those that have the same external ID, and those that have lost
//! their record; what the calls for it will come to. Not here: what follows from it (`verdict`, `orphans`).

use std::{
    cell::{Cell, Ref, RefCell},
    collections::BTreeMap,
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use orgpipe_reconcile::{
    Mapping, RecordProblem,
    describe::Describe,
    identity::Identity,
    matching::{Existing, KEYS_MAX, Match, take_children},
};
use orgpipe_salesforce::{
    failure::CallError,
    limits::{IN_LIST_MAX, QUERY_URL_BYTES_MAX},
    rest::{describe, query},
    soql::{Select, quote},
};

use super::{
    batch::{Asked, Job, id_of},
    culprit::{may_be_one_records, problem},
};
use crate::{
    org::{
        api::gate::Reservation,
        context::OrgContext,
        describe::describe_target,
        schemas::{self, Target},
        step_error::StepError,
    },
    queue_entry::Row,
};

// Otherwise one query as it is planned here would be two as it is sent.
const _: () = assert!(KEYS_MAX <= IN_LIST_MAX);

/// How often in a row a batch has waited when an answer that cannot be read is held against the record that it is about, if
/// the org's answers about others can be read. Before, the org or a proxy may mend it.
const UNREADABLE_TRIES: u32 = 3;

/// Reads from one org.
pub(super) struct Fetcher {
    org: Arc<OrgContext>,
    /// By sync, under which name the targets are read with the record, and when that was read; `None` if they cannot.
    relationships: RefCell<BTreeMap<String, (Duration, Option<String>)>>,
}

/// The API calls of one batch.
#[derive(Debug)]
pub(super) struct Calls {
    reservation: Reservation,
    made: Cell<u64>,
    /// How often in a row batches of its kind could not be decided.
    tries: u32,
}

impl Calls {
    /// How many were made so far.
    pub(super) fn made(&self) -> u64 {
        self.made.get()
    }

    /// One more is made: from this reservation.
    fn next(&self) -> &Reservation {
        self.made.set(self.made.get() + 1);
        &self.reservation
    }
}

/// What a selection came to.
#[derive(Debug, Default)]
struct Selected {
    rows: Vec<Row>,
    /// Literals that the org refuses to be asked about, and why.
    refused: BTreeMap<String, RecordProblem>,
}

/// What becomes of a selection when an answer cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unreadable {
    /// It is asked for in halves.
    Halved,
    /// It fails: there is another way.
    Told,
}

/// Targets that were read with their records.
#[derive(Debug)]
pub(super) struct Children {
    rows: Vec<Row>,
    /// Changes of the org that had ended before.
    ended: u64,
}

/// Targets that were found by their external IDs.
#[derive(Debug)]
pub(super) struct ByExternalId {
    /// As the org holds them.
    pub rows: Vec<Row>,
    /// External IDs that the org refuses to be asked about, and why.
    pub refused: BTreeMap<String, RecordProblem>,
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
        let reservation = self.org.api.reserve(job.origin, calls).await?;
        Ok(Calls { reservation, made: Cell::new(0), tries })
    }

    /// Fetches the rows that the requests did not bring along, and with them the targets that hang on them.
    /// What is not found stays `None`. The other half of the answer is which records the org refuses to be asked about.
    pub(super) async fn records(
        &self,
        calls: &Calls,
        job: &mut Job,
    ) -> Result<(Children, BTreeMap<String, RecordProblem>), StepError> {
        let hanging = self.relationship(calls, job).await?;
        let ended = self.ended().await?;
        let missing: Vec<String> =
            job.asked.iter().filter(|asked| asked.unread()).map(|asked| asked.id.clone()).collect();
        if missing.is_empty() {
            return Ok((Children { rows: Vec::new(), ended }, BTreeMap::new()));
        }
        let mapping = &job.sync.mapping;
        let target = self.known(mapping.target());
        let writes = |field: &String| target.as_ref().is_none_or(|target| target.writes(field));
        let children = hanging.as_ref().map(|name| {
            let fields = ["Id".to_owned(), mapping.external_id_field().to_owned()];
            Select::from(name)
                .fields(fields)
                .fields(mapping.target_fields().into_iter().filter(writes))
                .as_field()
        });
        let alone = Select::from(mapping.object()).fields(mapping.read_fields());
        let with_children = children.map(|children| alone.clone().fields([children]));
        let literals: Vec<String> = missing.iter().map(|id| quote(id)).collect();
        let read_alone = self.select_among(calls, &alone, "Id", &literals, Unreadable::Halved);
        let (selected, hanging) = match &with_children {
            None => (read_alone.await?, None),
            Some(select) => {
                match self.select_among(calls, select, "Id", &literals, Unreadable::Told).await {
                    // A record with more targets than a page holds: those are found by their external IDs.
                    Err(error) if is_unreadable(&error) => (read_alone.await?, None),
                    selected => (selected?, hanging),
                }
            }
        };
        let Selected { mut rows, refused } = selected;
        let children = hanging.and_then(|name| take_children(&mut rows, &name)).unwrap_or_default();
        let mut rows = by_id(rows);
        for asked in &mut job.asked {
            if asked.row.is_none() {
                asked.row = rows.remove(&asked.id);
            }
        }
        let by_literal = |id: &String| Some((id.clone(), refused.get(&quote(id))?.clone()));
        let refused = missing.iter().filter_map(by_literal).collect();
        Ok((Children { rows: children, ended }, refused))
    }

    /// The targets that have one of these external IDs. To be called once it is known which of them have an open change:
    /// what was read with the records was read before, so it counts only if nothing has ended since.
    pub(super) async fn existing(
        &self,
        calls: &Calls,
        mapping: &Mapping,
        target: &Target,
        keys: Vec<String>,
        children: Children,
    ) -> Result<ByExternalId, StepError> {
        let field = mapping.external_id_field();
        let select = Select::from(mapping.target())
            .fields(["Id".to_owned(), field.to_owned()])
            .fields(mapping.target_fields().into_iter().filter(|field| target.writes(field)));
        let stale = self.ended().await? != children.ended;
        let mut found = if stale { Vec::new() } else { children.rows };
        let identity = Identity::of(&target.describe, field);
        let here = Existing::new(&found, field, identity);
        let missing: Vec<String> = keys.into_iter().filter(|key| here.find(key) == Match::None).collect();
        let mut refused = BTreeMap::new();
        if !missing.is_empty() {
            let literal = |key: &String| if identity.is_number() { identity.key(key) } else { quote(key) };
            let literals: Vec<String> = missing.iter().map(literal).collect();
            let selected = self.select_among(calls, &select, field, &literals, Unreadable::Halved).await?;
            found.extend(selected.rows);
            let by_literal = |key: &String| Some((key.clone(), selected.refused.get(&literal(key))?.clone()));
            refused = missing.iter().filter_map(by_literal).collect();
        }
        Ok(ByExternalId { rows: found, refused })
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
            .fields(["Id", mapping.external_id_field()])
            .fields(written.filter(|field| target.writes(field)));
        let ids: Vec<String> = asked.iter().map(|asked| asked.id.clone()).collect();
        Ok(by_id(self.select_in(calls, &select, "Id", &ids).await?.rows))
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
        if name.is_none() {
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

    async fn ended(&self) -> Result<u64, StepError> {
        Ok(self.org.store.progress().await?.ended_changes)
    }

    /// All records whose `field` of text is one of `values`.
    async fn select_in(
        &self,
        calls: &Calls,
        select: &Select,
        field: &str,
        values: &[String],
    ) -> Result<Selected, StepError> {
        let literals: Vec<String> = values.iter().map(|value| quote(value)).collect();
        self.select_among(calls, select, field, &literals, Unreadable::Halved).await
    }

    /// All records whose `field` is one of these literals, over as many queries as URL and list lengths ask for. They are
    /// under way together, as far as the org's gate lets them. A query that is refused for good or whose answer cannot be
    /// read is asked in halves until the literal that it is due to stands alone.
    async fn select_among(
        &self,
        calls: &Calls,
        select: &Select,
        field: &str,
        literals: &[String],
        unreadable: Unreadable,
    ) -> Result<Selected, StepError> {
        let may_be_one_records = |error: &StepError| {
            may_be_one_records(error) || is_unreadable(error) && unreadable == Unreadable::Halved
        };
        let parts =
            literals.chunks(KEYS_MAX).flat_map(|keys| select.chunks(field, keys, QUERY_URL_BYTES_MAX));
        let mut parts: Vec<Vec<String>> = parts.map(<[String]>::to_vec).collect();
        let (mut selected, mut answered, mut culprits) = (Selected::default(), false, Vec::new());
        while !parts.is_empty() {
            let asked = parts.iter().map(|part| self.query(calls, select.clone().where_among(field, part)));
            let answers = join_all(asked).await;
            for (mut part, answer) in std::mem::take(&mut parts).into_iter().zip(answers) {
                match answer {
                    Ok(rows) => {
                        answered = true;
                        selected.rows.extend(rows);
                    }
                    Err(error) if !may_be_one_records(&error) => return Err(error),
                    Err(_) if part.len() > 1 => {
                        let second = part.split_off(part.len() / 2);
                        parts.extend([part, second]);
                    }
                    Err(error) if is_unreadable(&error) && calls.tries < UNREADABLE_TRIES => {
                        return Err(error);
                    }
                    Err(error) => culprits.extend(part.pop().map(|literal| (literal, error))),
                }
            }
        }
        let Some((_, error)) = culprits.first() else { return Ok(selected) };
        // Nobody's fault but the statement's, or the org's, unless the org answers it for another value.
        if !answered
            && self.query(calls, select.clone().where_among(field, &[unknown(&literals[0])])).await.is_err()
        {
            tracing::debug!(org = self.org.id(), field, "no value is answered: {error}");
            let (_, error) = culprits.swap_remove(0);
            return Err(error);
        }
        selected.refused =
            culprits.iter().map(|(literal, error)| (literal.clone(), problem(field, error))).collect();
        Ok(selected)
    }

    async fn query(&self, calls: &Calls, select: Select) -> Result<Vec<Row>, StepError> {
        let (mut rows, mut call) = (Vec::new(), query::query(&select.to_soql()));
        loop {
            let page = query::page(&self.org.api.call_reserved(calls.next(), &call).await?)?;
            rows.extend(page.records);
            let Some(next) = page.next else { return Ok(rows) };
            call = query::next(&next);
        }
    }
}

/// Too large, cut off or garbled: if not by a proxy, by a value of one of the records.
fn is_unreadable(error: &StepError) -> bool {
    matches!(error, StepError::Call(CallError::Unreadable { .. }))
}

/// A literal of the same kind that no record has.
fn unknown(literal: &str) -> String {
    if literal.starts_with('\'') { quote("000000000000000AAA") } else { "-1".to_owned() }
}

fn by_id(rows: Vec<Row>) -> BTreeMap<String, Row> {
    rows.into_iter().filter_map(|row| Some((id_of(&row)?, row))).collect()
}
