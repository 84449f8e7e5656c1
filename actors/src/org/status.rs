//! What an operator can see of one org at any moment.
//!
//! Here: a board on which the org's actors note what they do. Not here: numbers of records (the store's ledger).

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use orgpipe_salesforce::limits::ApiUsage;
use orgpipe_store::UnixMs;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    desired::DesiredState,
    part::{Part, State},
    schemas::Quarantined,
    subscription::Subscription,
    writes::{BulkJobStatus, UnansweredWrite, WriteWait},
};
use crate::{problem::Problem, receipt::Receipt, severity::Severity};

/// One part as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartStatus {
    /// What it is at.
    pub state: State,
    /// Why, as a sentence; empty when there is nothing to say.
    pub note: String,
    /// What to do; empty when there is nothing to do.
    pub hint: String,
    /// Since when.
    pub since_ms: UnixMs,
    /// Restarts after a failure since the service started.
    pub restarts: u32,
    /// How it ended the last time; empty if it never did.
    pub last_exit: String,
}

/// Everything noted about one org.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct OrgStatus {
    /// What an operator wants of it.
    #[serde(flatten)]
    pub desired: DesiredState,
    /// When its actor was started last.
    pub started_ms: UnixMs,
    /// Restarts of its actor after a failure since the service started; parts count their own.
    pub restarts: u32,
    /// How its actor ended the last time; empty if it never did.
    pub last_exit: String,
    /// By part.
    pub parts: BTreeMap<Part, PartStatus>,
    /// API calls of the org's last 24 hours as Salesforce told last: used, allowed.
    pub api_usage: Option<(u64, u64)>,
    /// API calls that orgpipe made since it started.
    pub calls: u64,
    /// When the last record was written.
    pub last_written_ms: Option<UnixMs>,
    /// From the event's arrival to the record's write, of the last one, milliseconds.
    pub last_lag_ms: Option<u64>,
    /// The event subscription, channel by channel.
    pub subscription: Subscription,
    /// Refreshes under way, by the name of their sync.
    pub refreshes: BTreeMap<String, Reading>,
    /// Syncs whose refresh an operator has paused, with the time.
    pub paused_refreshes: BTreeMap<String, UnixMs>,
    /// When a refresh ended last, by the name of its sync.
    pub refreshed: BTreeMap<String, UnixMs>,
    /// Gaps in the event stream that are being recovered.
    pub open_gaps: usize,
    /// What was done about the last gap.
    pub last_receipt: Option<Receipt>,
    /// Fields that cannot be written, so that records are written without them.
    pub quarantined: Vec<Quarantined>,
    /// Bulk jobs that write, oldest first.
    pub bulk_jobs: Vec<BulkJobStatus>,
    /// Calls that write and have not been answered for long.
    pub unanswered_writes: Vec<UnansweredWrite>,
    /// What records wait for until somebody has mended it.
    pub write_waits: Vec<WriteWait>,
    /// What the doctor said the last time.
    pub doctor: Option<Examined>,
    /// What is wrong although every part runs.
    pub warnings: Vec<Warning>,
    /// Why the login was refused, if it will be again until somebody has done something.
    #[serde(skip)]
    pub(crate) refused: Option<RefusedLogin>,
}

/// Who can do something about a login that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusedLogin {
    /// Somebody in the customer's org: it lets orgpipe in no more.
    ByCustomer,
    /// Whoever keeps the settings, or Salesforce.
    Otherwise,
}

/// Something that somebody should look at, and that holds up nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Warning {
    /// What is wrong, as a sentence without a final stop.
    pub note: String,
    /// What to do.
    pub hint: String,
}

impl From<Problem> for Warning {
    fn from(Problem { reason, hint }: Problem) -> Self {
        Self { note: reason, hint: hint.unwrap_or_default() }
    }
}

/// An examination, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Examined {
    /// When.
    pub at_ms: UnixMs,
    /// The worst finding; none if there was none.
    pub worst: Option<Severity>,
    /// In one sentence.
    pub note: String,
}

/// How far a refresh is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reading {
    /// Only what has changed is read.
    pub changed: bool,
    /// Records read.
    pub records: u64,
    /// Records there were when it began; none if the org did not say.
    pub total: Option<u64>,
    /// When it began.
    pub started_ms: UnixMs,
    /// When all will be read at the pace so far, pauses included; none as long as nobody can say.
    pub ends_ms: Option<UnixMs>,
    /// What it waits for; empty while it reads.
    pub waits: String,
}

impl OrgStatus {
    /// Whether only the customer or an operator can give a login again.
    pub fn is_locked_out(&self) -> bool {
        self.parts.get(&Part::Login).is_some_and(|login| login.state == State::Parked)
    }

    /// What an operator wants of it, if that is not to run; else the state that matters most: parked before waiting before
    /// starting before running.
    pub fn worst(&self) -> State {
        match self.desired {
            DesiredState::Run => {}
            DesiredState::Drain { .. } => return State::Draining,
            DesiredState::Pause => return State::Paused,
        }
        if self.parts.is_empty() {
            return State::Starting;
        }
        let states = || self.parts.values().map(|part| part.state);
        [State::Parked, State::Waiting, State::Starting, State::Running]
            .into_iter()
            .find(|wanted| states().any(|state| state == *wanted))
            .unwrap_or(State::Stopped)
    }

    /// What stands of the writes, for somebody to look at.
    pub(crate) fn standing_writes(&self) -> Vec<Problem> {
        let jobs = self.bulk_jobs.iter().filter_map(BulkJobStatus::problem);
        let unanswered = self.unanswered_writes.iter().map(|write| write.problem());
        jobs.chain(unanswered).chain(self.write_waits.iter().map(WriteWait::problem)).collect()
    }

    /// The first part that is not running, and why.
    pub fn trouble(&self) -> Option<(Part, &PartStatus)> {
        self.parts
            .iter()
            .find(|(_, part)| matches!(part.state, State::Parked | State::Waiting))
            .map(|(name, part)| (*name, part))
    }
}

/// How long a wait is told of after its records were to be sent again.
const WAIT_TOLD: Duration = Duration::from_mins(2);

/// The board of one org.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<OrgStatus>);

impl Board {
    /// All that is noted.
    pub(crate) fn status(&self) -> OrgStatus {
        self.lock().clone()
    }

    /// What `look` takes of it, without a copy of all; it should not take long, as the org's actors wait for it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&OrgStatus) -> T) -> T {
        look(&self.lock())
    }

    /// The login was refused, for this reason; none: it works, or fails in a way that passes by itself.
    pub(crate) fn refused_login(&self, refused: Option<RefusedLogin>) {
        self.lock().refused = refused;
    }

    /// Notes something about the subscription; its part follows from its channels.
    pub(crate) fn subscription(&self, now_ms: UnixMs, note: impl FnOnce(&mut Subscription)) {
        let mut status = self.lock();
        note(&mut status.subscription);
        let (state, problem) = status.subscription.summary();
        set(&mut status, Part::Events, state, problem.as_ref(), now_ms);
    }

    /// Notes what a part is at, where nothing is wrong.
    pub(crate) fn set(&self, part: Part, state: State, now_ms: UnixMs) {
        set(&mut self.lock(), part, state, None, now_ms);
    }

    /// Notes what a part is at, and why; `since_ms` moves only when the state or the reason changes.
    pub(crate) fn trouble(&self, part: Part, state: State, problem: &Problem, now_ms: UnixMs) {
        set(&mut self.lock(), part, state, Some(problem), now_ms);
    }

    /// What an operator wants now.
    pub(crate) fn desired(&self, desired: DesiredState) {
        self.lock().desired = desired;
    }

    /// The org has other settings from now on: what was noted of channels and refreshes may be gone.
    pub(crate) fn replaced(&self) {
        let mut status = self.lock();
        status.subscription.channels.clear();
        status.refreshes.clear();
        status.refreshed.clear();
    }

    /// The doctor was there.
    pub(crate) fn examined(&self, examined: Examined) {
        self.lock().doctor = Some(examined);
    }

    /// The org's actor is started.
    pub(crate) fn org_started(&self, now_ms: UnixMs) {
        self.lock().started_ms = now_ms;
    }

    /// The org's actor ended by itself.
    pub(crate) fn org_ended(&self, exit: &str) {
        let mut status = self.lock();
        exit.clone_into(&mut status.last_exit);
        status.restarts += 1;
    }

    /// A part does what it should.
    pub(crate) fn running(&self, part: Part, now_ms: UnixMs) {
        self.set(part, State::Running, now_ms);
    }

    /// A part ended and is started again.
    pub(crate) fn ended(&self, part: Part, exit: &str, restarts: u32, now_ms: UnixMs) {
        let mut status = self.lock();
        let entry = entry(&mut status, part, now_ms);
        exit.clone_into(&mut entry.last_exit);
        entry.restarts = restarts;
    }

    /// One more API call, and what Salesforce told about the day's.
    pub(crate) fn called(&self, usage: Option<ApiUsage>) {
        let mut status = self.lock();
        status.calls += 1;
        status.api_usage = usage.map(|usage| (usage.used, usage.max)).or(status.api_usage);
    }

    /// A record was written whose request had come at `received_ms`.
    pub(crate) fn written(&self, received_ms: UnixMs, now_ms: UnixMs) {
        let mut status = self.lock();
        status.last_written_ms = Some(now_ms);
        status.last_lag_ms = Some(now_ms.0.saturating_sub(received_ms.0));
    }

    /// A sync is being refreshed; `None`: not any more.
    pub(crate) fn refreshing(&self, sync: &str, reading: Option<Reading>) {
        let mut status = self.lock();
        match reading {
            Some(reading) => drop(status.refreshes.insert(sync.to_owned(), reading)),
            None => drop(status.refreshes.remove(sync)),
        }
    }

    /// An operator has paused a sync's refresh then; `None`: it is not paused any more.
    pub(crate) fn refresh_paused(&self, sync: &str, since_ms: Option<UnixMs>) {
        let mut status = self.lock();
        match since_ms {
            Some(since_ms) => drop(status.paused_refreshes.insert(sync.to_owned(), since_ms)),
            None => drop(status.paused_refreshes.remove(sync)),
        }
    }

    /// The refreshes of these syncs are paused, and no others.
    pub(crate) fn paused_refreshes(&self, paused: BTreeMap<String, UnixMs>) {
        self.lock().paused_refreshes = paused;
    }

    /// Since when a sync's refresh is paused.
    pub(crate) fn refresh_paused_since(&self, sync: &str) -> Option<UnixMs> {
        self.lock().paused_refreshes.get(sync).copied()
    }

    /// A refresh of a sync ended then.
    pub(crate) fn refreshed(&self, sync: &str, at_ms: UnixMs) {
        self.lock().refreshed.insert(sync.to_owned(), at_ms);
    }

    /// So many gaps are open; a receipt replaces the last one.
    pub(crate) fn gaps(&self, open: usize, receipt: Option<Receipt>) {
        let mut status = self.lock();
        status.open_gaps = open;
        status.last_receipt = receipt.or_else(|| status.last_receipt.take());
    }

    /// The Bulk jobs and the calls that are under way, and no others. What was waited for and did not come again is over.
    pub(crate) fn writing(&self, jobs: Vec<BulkJobStatus>, unanswered: Vec<UnansweredWrite>, now_ms: UnixMs) {
        let mut status = self.lock();
        (status.bulk_jobs, status.unanswered_writes) = (jobs, unanswered);
        status.write_waits.retain(|wait| now_ms <= wait.again_ms.saturating_add(WAIT_TOLD));
    }

    /// Records for `target` wait for somebody to mend what these codes name, and are sent again by `again_ms`; none: none
    /// waits.
    pub(crate) fn write_waits(
        &self,
        target: &str,
        waits: &BTreeMap<String, Problem>,
        again_ms: Option<UnixMs>,
        now_ms: UnixMs,
    ) {
        let Some(again_ms) = again_ms else { return };
        let mut status = self.lock();
        for (code, why) in waits {
            let known = |wait: &&mut WriteWait| wait.target == target && wait.code == *code;
            if let Some(wait) = status.write_waits.iter_mut().find(known) {
                wait.again_ms = wait.again_ms.max(again_ms);
                continue;
            }
            let (note, hint) = (why.reason.clone(), why.hint.clone().unwrap_or_default());
            let (code, target) = (code.clone(), target.to_owned());
            status.write_waits.push(WriteWait { code, target, note, hint, since_ms: now_ms, again_ms });
        }
    }

    /// These fields are in quarantine, and no others.
    pub(crate) fn quarantined(&self, fields: Vec<Quarantined>) {
        self.lock().quarantined = fields;
    }

    /// A panic elsewhere must not spread through the board.
    fn lock(&self) -> MutexGuard<'_, OrgStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set(status: &mut OrgStatus, part: Part, state: State, problem: Option<&Problem>, now_ms: UnixMs) {
    let entry = entry(status, part, now_ms);
    let note = problem.map_or("", |problem| problem.reason.as_str());
    let hint = problem.and_then(|problem| problem.hint.as_deref()).unwrap_or_default();
    if entry.state != state || entry.note != note {
        note.clone_into(&mut entry.note);
        hint.clone_into(&mut entry.hint);
        (entry.state, entry.since_ms) = (state, now_ms);
    }
}

fn entry(status: &mut OrgStatus, part: Part, now_ms: UnixMs) -> &mut PartStatus {
    status.parts.entry(part).or_insert_with(|| PartStatus {
        state: State::Starting,
        note: String::new(),
        hint: String::new(),
        since_ms: now_ms,
        restarts: 0,
        last_exit: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_part_speaks_for_the_org_and_since_moves_with_the_state() {
        let board = Board::default();
        assert_eq!(board.status().worst(), State::Starting);
        board.running(Part::Ingest, UnixMs(1));
        let problem = Problem::new("the login was refused", "look at the key");
        board.trouble(Part::Login, State::Waiting, &problem, UnixMs(2));
        board.trouble(Part::Login, State::Waiting, &problem, UnixMs(9));
        let status = board.status();
        assert_eq!(status.worst(), State::Waiting);
        let (part, why) = status.trouble().expect("the login waits");
        assert_eq!((part, why.since_ms, why.hint.as_str()), (Part::Login, UnixMs(2), "look at the key"));
        board.running(Part::Login, UnixMs(10));
        assert_eq!(board.status().worst(), State::Running);
        board.desired(DesiredState::Pause);
        assert_eq!(board.status().worst(), State::Paused);
    }
}
