//! A run of a refresh: how far it is.
//!
//! Here: what is stored, and what an operator sees of it. Pure. Not here: reading (`refresh`).
//!
//! Invariant: it is a value in the store, not in memory, so it goes on behind its last stored page.

use std::time::Duration;

use orgpipe_store::UnixMs;
use serde::{Deserialize, Serialize};

use super::{bulk_pages::QueryJob, pages::Cursor};
use crate::org::status::Reading;

/// Where a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// Names the run in the requests it makes.
    pub id: String,
    /// How far it is.
    #[serde(flatten)]
    pub cursor: Cursor,
    /// Records read.
    pub records: u64,
    /// When it began.
    pub started_ms: UnixMs,
    /// The same by the org's clock, once it has answered: what changes from then on, the run may not see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_started_ms: Option<UnixMs>,
    /// Records there were then, if the org said.
    #[serde(default)]
    pub total: Option<u64>,
    /// The Bulk query that it reads by; none: it reads REST pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<QueryJob>,
    /// All is read; now the target's records are read whose own record is gone, from behind this ID on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphans: Option<String>,
}

impl Run {
    /// A run that starts now.
    pub(super) fn new(id: String, cursor: Cursor, now_ms: UnixMs) -> Self {
        let (org_started_ms, total, job, orphans) = (None, None, None, None);
        Self { id, cursor, records: 0, started_ms: now_ms, org_started_ms, total, job, orphans }
    }

    /// Only what has changed is read.
    pub(super) fn changed(&self) -> bool {
        self.cursor.changed.is_some()
    }

    /// For an operator; `waits` is what it waits for, if it does.
    pub(super) fn reading(&self, now_ms: UnixMs, waits: Option<&str>) -> Reading {
        let passed = now_ms.since(self.started_ms).as_millis();
        let ends_ms = self.total.filter(|_| self.records > 0).map(|total| {
            let whole = passed * u128::from(total.max(self.records)) / u128::from(self.records);
            let whole = Duration::from_millis(u64::try_from(whole).unwrap_or(u64::MAX));
            self.started_ms.saturating_add(whole)
        });
        Reading {
            changed: self.changed(),
            records: self.records,
            total: self.total,
            started_ms: self.started_ms,
            ends_ms,
            waits: waits
                .or_else(|| self.job.as_ref().and_then(QueryJob::waits))
                .unwrap_or_default()
                .to_owned(),
        }
    }
}
