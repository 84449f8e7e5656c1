//! The REST calls of a step: one after the other, and one beside another that is not answered for long.
//!
//! ```text
//! waiting ──start──▶ under way ──answered──▶ step::ends ──▶ outcomes ──▶ commit C
//!    ▲                   │ no answer for 5 s     ├─▶ again (halves, or without a field): waiting
//!    └── put back ◀──────┘ the next is made      └─▶ undecided: put back, and the step waits
//! ```
//!
//! Here: who waits for whom. Not here: the calls (`rest`), what an answer means (`step`), how large calls may be (`pace`).
//!
//! Invariant: a change that was handed over is under way, has its end, or was put back.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use orgpipe_salesforce::error::ApiError;
use orgpipe_store::{Outcome, Seq, UnixMs};

use super::{
    commit::{Commit, CommittedEnds},
    outcome::Moment,
    outgoing::Outgoing,
    pace::WritePace,
    rest::{self, AnsweredWrite, PATIENCE, SLOW, UnderWay},
    step::{self, Circumstances, Reached},
};
use crate::{
    org::{context::OrgContext, describe::is_closed, step_error::StepError, writes::UnansweredWrite},
    priority::Priority,
};

/// Changes of which it is remembered in memory when they were sent alone last.
const ALONE_MAX: usize = 1_000;
/// How long a call is waited for of which one before was not answered or refused whole.
const SUSPECT_PATIENCE: Duration = Duration::from_secs(1);

/// What became of the calls that were to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// All of them.
    All,
    /// There was no room for all beside those that are not answered: the rest was put back.
    Some,
}

/// The REST calls of one org.
pub(super) struct Sender {
    org: Arc<OrgContext>,
    commit: Commit,
    under_way: UnderWay,
    /// By sequence number: when a call of that change alone was made last that brought nothing (time since start).
    alone: BTreeMap<Seq, Duration>,
    /// How large calls may be just now.
    pub pace: WritePace,
}

impl Sender {
    /// No call is under way.
    pub(super) fn new(org: Arc<OrgContext>, commit: Commit) -> Self {
        Self {
            org,
            commit,
            under_way: UnderWay::default(),
            alone: BTreeMap::new(),
            pace: WritePace::default(),
        }
    }

    /// Whether no call is without an answer.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Whether any call may be made now.
    pub(super) fn has_room(&self) -> bool {
        self.under_way.has_room(false)
    }

    /// Calls that have not been answered for long, for the operator.
    pub(super) fn unanswered(&self) -> Vec<UnansweredWrite> {
        let (now, now_ms) = (self.org.clock.monotonic(), self.org.clock.now_ms());
        let told = self.under_way.unanswered().filter(|one| now >= one.since + PATIENCE).map(|one| {
            let since_ms = now_ms.saturating_sub(now.saturating_sub(one.since));
            UnansweredWrite { records: one.records as u64, since_ms }
        });
        told.collect()
    }

    /// Takes the answers that have come meanwhile.
    pub(super) async fn collect(&mut self) -> Result<(), StepError> {
        if self.is_idle() {
            return Ok(());
        }
        let mut waiting = VecDeque::new();
        while let Some(answered) = self.under_way.next(Duration::ZERO).await {
            let priority = answered.priority;
            self.take(answered, &mut waiting).await?;
            let calls = waiting.drain(..).collect();
            self.send(priority, calls).await?;
        }
        Ok(())
    }

    /// Makes these calls. One that cannot be made now, or is left when another one ends the step, is put back.
    pub(super) async fn send(
        &mut self,
        priority: Priority,
        calls: Vec<Vec<Outgoing>>,
    ) -> Result<Made, StepError> {
        let (mut waiting, mut left) = (VecDeque::from(calls), Vec::new());
        let made = self.make(priority, &mut waiting, &mut left).await;
        left.extend(waiting.into_iter().flatten().map(|change| change.seq));
        if left.is_empty() {
            return made.map(|()| Made::All);
        }
        self.commit.put_back(left).await?;
        made.map(|()| Made::Some)
    }

    async fn make(
        &mut self,
        priority: Priority,
        waiting: &mut VecDeque<Vec<Outgoing>>,
        left: &mut Vec<Seq>,
    ) -> Result<(), StepError> {
        while let Some(part) = waiting.pop_front() {
            if part.is_empty() {
                continue;
            }
            let suspect = part.iter().any(|change| change.resend.halvings > 0);
            if !self.under_way.has_room(suspect) {
                left.extend(part.iter().map(|change| change.seq));
                continue;
            }
            let records = part.len();
            // One call at a time, so that what is written is also recorded when a later one fails.
            self.under_way.start(&self.org, priority, part);
            match self.under_way.next(if suspect { SUSPECT_PATIENCE } else { PATIENCE }).await {
                Some(answered) => self.take(answered, waiting).await?,
                None => self.pace.slow(records),
            }
        }
        Ok(())
    }

    /// Gives the changes of an answered call their end; what is to be sent at once comes first in `waiting`.
    async fn take(
        &mut self,
        AnsweredWrite { part, answer, since, priority }: AnsweredWrite,
        waiting: &mut VecDeque<Vec<Outgoing>>,
    ) -> Result<(), StepError> {
        let org = Arc::clone(&self.org);
        let Some(target) = part.first().map(|change| change.entry.target.clone()) else { return Ok(()) };
        let slow = org.clock.monotonic().saturating_sub(since) >= SLOW;
        let reached = match &answer {
            Err(error) if step::is_unanswered(error) => self.reached(since, &part).await,
            _ => Reached::Others,
        };
        if step::blames_schema(&answer) {
            org.schemas.doubt(&target);
        }
        let closed = step::is_denied(&answer) && is_closed(&org, priority, &target).await;
        let too_slow = answer.as_ref().err().and_then(StepError::refusal).is_some_and(ApiError::is_too_slow);
        let (records, answered) = (part.len(), answer.is_ok());
        let received_ms = oldest(&part);
        let moment = Moment { now_ms: org.clock.now_ms(), jitter: org.clock.jitter() };
        let settings = Arc::clone(&org.settings);
        let may_leave_out = |change: &Outgoing, field: &str| {
            settings.leaves_out(&change.entry.sync, &change.entry.target, field)
        };
        let known =
            Circumstances { moment, closed, reached, slow: slow || too_slow, may_leave_out: &may_leave_out };
        let ends = step::ends(part, answer, known);
        if slow || too_slow {
            self.pace.slow(records);
        } else if answered {
            self.pace.answered(records, ends.limited, org.clock.monotonic());
        }
        org.board.write_waits(&target, &ends.waits, ends.again_ms(), moment.now_ms);
        for part in ends.again.into_iter().rev() {
            if part.iter().any(|change| !change.left_out.is_empty()) {
                self.commit.sent(&part).await?;
            }
            waiting.push_front(part);
        }
        for (seq, outcome) in &ends.outcomes {
            if !matches!(outcome, Outcome::Retry { .. }) {
                self.alone.remove(seq);
            }
        }
        if !ends.outcomes.is_empty() {
            let committed = CommittedEnds { outcomes: ends.outcomes, target_ids: ends.target_ids };
            self.commit.resolve(committed, None, received_ms).await?;
        }
        let Some((numbers, error)) = ends.undecided else { return Ok(()) };
        self.commit.put_back(numbers).await?;
        Err(error)
    }

    /// Whom a call without an answer may be due to.
    async fn reached(&mut self, since: Duration, part: &[Outgoing]) -> Reached {
        let mut before = since;
        if let [change] = part {
            if self.alone.len() >= ALONE_MAX {
                self.alone.clear();
            }
            // What was answered since its own last try counts as well.
            before = self.alone.insert(change.seq, since).unwrap_or(since);
        }
        if self.pace.answered_since(before) {
            return Reached::Others;
        }
        if rest::answers(&self.org).await { Reached::Org } else { Reached::Nobody }
    }
}

/// When the oldest of their requests came.
fn oldest(changes: &[Outgoing]) -> Option<UnixMs> {
    changes.iter().map(|change| change.entry.received_ms).min()
}
