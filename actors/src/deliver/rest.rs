//! Writing a few records: one by upsert, up to 200 by sObject Collections; what goes by record ID always by those.
//!
//! Here: one call, and the calls that are under way beside each other because one of them is not answered for long. Not here:
//! what to write (`writer`), what an answer means (`step`).
//!
//! Invariant: a change is in at most one call at a time; while it is, the store has it as taken.
//! Invariant: a call goes on whatever the writer waits for, as it may hold what the writer waits for: a place among the org's
//! calls, or the login.

use std::{collections::BTreeMap, panic::resume_unwind, sync::Arc, time::Duration};

use orgpipe_reconcile::{Operation, Row, route::COLLECTIONS_MAX};
use orgpipe_salesforce::{
    limits::COLLECTION_RECORDS_MAX,
    rest::{RowResult, collections, upsert, versions},
};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::{outgoing::Outgoing, resend::Way};
use crate::{
    org::{context::OrgContext, step_error::StepError},
    priority::Priority,
};

// Otherwise the route would be chosen for other calls than are made here.
const _: () = assert!(COLLECTIONS_MAX == COLLECTION_RECORDS_MAX);

/// How long a call is waited for before others are made beside it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// After so long an answer, or none, fewer records are sent together.
pub(super) const SLOW: Duration = Duration::from_secs(20);
/// Calls beside each other, of which all but the last have not been answered for [`PATIENCE`].
const UNDER_WAY_MAX: usize = 3;

/// A call that has been answered, or will not be.
#[derive(Debug)]
pub(super) struct AnsweredWrite {
    /// What was in it.
    pub part: Vec<Outgoing>,
    /// What it brought.
    pub answer: Result<Vec<RowResult>, StepError>,
    /// When it was made (time since start).
    pub since: Duration,
    /// Who asked.
    pub priority: Priority,
}

/// A call that is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unanswered {
    /// When it was made (time since start).
    pub since: Duration,
    /// Records in it.
    pub records: usize,
}

/// The calls under way.
#[derive(Default)]
pub(super) struct UnderWay {
    calls: JoinSet<(u64, AnsweredWrite)>,
    unanswered: BTreeMap<u64, Unanswered>,
    last: u64,
}

impl UnderWay {
    /// Makes a call for changes of one target and operation.
    pub(super) fn start(&mut self, org: &Arc<OrgContext>, priority: Priority, part: Vec<Outgoing>) {
        self.last += 1;
        let (number, since) = (self.last, org.clock.monotonic());
        self.unanswered.insert(number, Unanswered { since, records: part.len() });
        let org = Arc::clone(org);
        let call = async move {
            let answer = send(&org, priority, &part).await;
            (number, AnsweredWrite { part, answer, since, priority })
        };
        self.calls.spawn_local(call.in_current_span());
    }

    /// The next answer, if one comes within this time.
    pub(super) async fn next(&mut self, patience: Duration) -> Option<AnsweredWrite> {
        match tokio::time::timeout(patience, self.calls.join_next()).await.ok()?? {
            Ok((number, answered)) => {
                self.unanswered.remove(&number);
                Some(answered)
            }
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The thread ends.
            Err(_) => None,
        }
    }

    /// Those that are not answered yet.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = Unanswered> {
        self.unanswered.values().copied()
    }

    /// Whether none is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.unanswered.is_empty()
    }

    /// Whether another call may be made beside them. The last place is for what has never been without an answer.
    pub(super) fn has_room(&self, suspect: bool) -> bool {
        self.unanswered.len() < UNDER_WAY_MAX - usize::from(suspect)
    }
}

/// Whether the org answers at all: asked by what costs no API call and needs no right.
pub(super) async fn answers(org: &OrgContext) -> bool {
    org.api.call(Priority::Live, &versions::versions()).await.is_ok_and(|reply| reply.is_success())
}

async fn send(
    org: &OrgContext,
    priority: Priority,
    changes: &[Outgoing],
) -> Result<Vec<RowResult>, StepError> {
    let Some(first) = changes.first() else { return Ok(Vec::new()) };
    let (target, field) = (first.entry.target.as_str(), first.entry.external_id_field.as_str());
    let operation = first.entry.operation;
    if (changes.len(), operation, first.resend.way) == (1, Operation::Upsert, Way::Usual)
        && let Some(call) = upsert::one(target, field, &first.entry.external_id, &first.entry.fields)
    {
        return Ok(vec![upsert::result(&org.api.call(priority, &call).await?)?]);
    }
    let rows: Vec<(&str, &Row)> =
        changes.iter().map(|change| (change.key().1, &change.entry.fields)).collect();
    let call = match operation {
        Operation::Upsert => collections::upsert(target, field, &rows),
        Operation::Update => collections::update(target, &rows),
        Operation::Delete => {
            let ids: Vec<&str> = rows.iter().map(|(id, _)| *id).collect();
            collections::delete(&ids)
        }
    };
    Ok(collections::results(&org.api.call(priority, &call).await?, rows.len())?)
}
