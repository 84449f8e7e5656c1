//! What a test makes go wrong in an org: requests, records, Bulk jobs, logins, quotas and the org's address.
//!
//! Here: the handle's part of it. Not here: what a fault does (`faults`, `server/entry`), CometD (`streaming`).

use std::sync::atomic::Ordering;

use super::OrgHandle;
use crate::faults::{ChunkFault, HttpFault, HttpFaultEffect, JobFault, RowFault};
use crate::org::authorizations::Authorizations;
use crate::org::grants::Grants;

impl OrgHandle {
    /// The org's address changes: logins tell this instance URL, requests to another host are redirected to it. `None`
    /// = back. It must lead here, such as `http://localhost:PORT`.
    pub fn move_to(&self, instance_url: Option<&str>) {
        self.org.state().instance_url = instance_url.map(str::to_owned);
    }

    /// Ends every session: the next call with an old token answers 401.
    pub fn revoke_tokens(&self) {
        self.org.state().logins.tokens.end_all();
    }

    /// While set, every login answers 400 with this `error` and `error_description`, such as `invalid_grant` and
    /// `user hasn't approved this consumer`. `None` lets users in again.
    pub fn refuse_logins(&self, refusal: Option<(&str, &str)>) {
        let refusal = refusal.map(|(error, text)| (error.to_owned(), text.to_owned()));
        self.org.state().logins.refused = refusal;
    }

    /// A record looks as if it was last changed then (real Unix milliseconds): one whose transaction ended late, or one
    /// of many that a mass update stamped alike.
    pub fn set_stamp(&self, object: &str, id: &str, unix_ms: i64) {
        self.org.state().tables.set_stamp(object, id, unix_ms);
    }

    /// Pages of queries, of Bulk ones too, hold at most so many records, as with wide ones.
    pub fn cut_pages(&self, records_max: usize) {
        self.org.state().cursors.records_max = records_max;
    }

    /// The next `count` requests for a further page find their cursor gone.
    pub fn lose_cursors(&self, count: u32) {
        self.org.state().cursors.lose = count;
    }

    /// The org is moved: it has another id, its replay ids begin anew, all events, sessions and approvals of the app are
    /// gone. Records and users stay.
    pub fn migrate(&self) {
        let mut state = self.org.state();
        let moved = state.tables.new_id("00D");
        state.new_org_id = Some(moved);
        state.logins.tokens.end_all();
        state.logins.grants = Grants::default();
        state.logins.authorizations = Authorizations::default();
        drop(state);
        self.org.cometd.migrate();
    }

    /// While not available every request answers 503.
    pub fn set_available(&self, available: bool) {
        self.org.available.store(available, Ordering::SeqCst);
        self.org.cometd.set_available(available);
    }

    /// The next `count` requests whose path contains `path` are not done and answer this HTTP status.
    pub fn fail_next(&self, path: &str, status: u16, count: u32) {
        self.org.state().faults.add(HttpFault {
            path: path.to_owned(),
            effect: HttpFaultEffect::Status(status),
            count,
        });
    }

    /// The next `count` requests whose path contains `path` are done, but their answers break off.
    pub fn lose_answers(&self, path: &str, count: u32) {
        self.org.state().faults.add(HttpFault {
            path: path.to_owned(),
            effect: HttpFaultEffect::LoseAnswer,
            count,
        });
    }

    /// The next `count` requests whose path contains `path` are not done and answer this status and body.
    pub fn answer_next(&self, path: &str, status: u16, body: &str, count: u32) {
        let effect = HttpFaultEffect::Answer { status, body: body.to_owned() };
        self.org.state().faults.add(HttpFault { path: path.to_owned(), effect, count });
    }

    /// The next `count` requests whose path contains `path` are answered with a small packed body that unpacks to a list
    /// of so many zeros.
    pub fn zeros_next(&self, path: &str, zeros: usize, count: u32) {
        let effect = HttpFaultEffect::Zeros(zeros);
        self.org.state().faults.add(HttpFault { path: path.to_owned(), effect, count });
    }

    /// The next `count` requests whose path contains `path` are done, but half of the answer's body is missing.
    pub fn halve_answers(&self, path: &str, count: u32) {
        self.org.state().faults.add(HttpFault {
            path: path.to_owned(),
            effect: HttpFaultEffect::Half,
            count,
        });
    }

    /// A record that a client writes is refused.
    pub fn refuse_row(&self, fault: RowFault) {
        self.org.state().row_faults.add(fault);
    }

    /// Transactions of more than so many records are refused whole, as by a limit of the customer's automation; `None` = back.
    pub fn refuse_chunks(&self, fault: Option<ChunkFault>) {
        self.org.state().chunk_fault = fault;
    }

    /// While it is read-only, every record that a client writes is refused, as during Salesforce's maintenance.
    pub fn set_read_only(&self, read_only: bool) {
        self.org.state().read_only = read_only;
    }

    /// Versions of the API below this one, such as 67, are served no more: every path of theirs answers 404, and the list of
    /// versions lacks them. 0 = back.
    pub fn serve_versions_from(&self, version: u32) {
        self.org.state().versions_from = version;
    }

    /// The next `count` requests whose path contains `path` are done, and answered so many real milliseconds later.
    pub fn answer_late(&self, path: &str, late_ms: u64, count: u32) {
        let effect = HttpFaultEffect::Late(late_ms);
        self.org.state().faults.add(HttpFault { path: path.to_owned(), effect, count });
    }

    /// The next Bulk job that is closed, or that queries, ends so.
    pub fn end_next_job(&self, fault: JobFault) {
        self.org.state().jobs.end_next = Some(Box::new(fault));
    }

    /// Bulk jobs that have ended are gone with their results, as after seven days.
    pub fn expire_jobs(&self) {
        self.org.state().jobs.expire();
    }

    /// Forgets the faults that are still to come.
    pub fn clear_faults(&self) {
        self.org.state().faults.clear();
    }

    /// The next `count` records written by a client are refused with `UNABLE_TO_LOCK_ROW`.
    pub fn lock_next_rows(&self, count: u32) {
        self.org.state().locked_writes = count;
    }

    /// Keeps Bulk jobs `InProgress` until set back.
    pub fn hold_jobs(&self, held: bool) {
        self.org.state().jobs.held = held;
    }

    /// So many rows of the next Bulk job are neither written nor listed in a result file, as when the daily batch
    /// allocation is exceeded.
    pub fn lose_bulk_rows(&self, count: usize) {
        self.org.state().jobs.lose_rows = count;
    }

    /// Makes it look as if so many API calls had been made in the last 24 hours.
    pub fn set_calls_used(&self, used: u64) {
        let now = self.org.clock.now_ms();
        self.org.state().quota.set_used(now, used);
    }
}
