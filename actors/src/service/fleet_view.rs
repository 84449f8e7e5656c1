//! What is told of all orgs at once: a row for each, and the totals.
//!
//! Here: these as values, and how they follow from an org's status and counts; pure. Not here: when they are made (`fleet`),
//! what is told of one org alone ([`OrgView`](super::OrgView)).

use orgpipe_store::{KeptCounts, UnixMs};
use serde::Serialize;
use utoipa::ToSchema;

use super::ledger::{Ledger, RoomView};
use crate::{
    org::{
        api::gate::{BudgetView, BudgetWait},
        part::{Part, State},
        schemas::Quarantined,
        status::{OrgStatus, PartStatus, Reading, Warning},
        subscription::Subscription,
        writes::{BulkJobStatus, WriteWait},
    },
    problem::Problem,
};

/// All orgs at one moment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Fleet {
    /// When.
    pub at_ms: UnixMs,
    /// When the service was started.
    pub started_ms: UnixMs,
    /// All of them together.
    pub totals: FleetTotals,
    /// Where all records have ended whose orgs are stored, also those that are not in the settings any more; none when the
    /// store does not answer.
    pub stored: Option<Ledger>,
    /// Room on the disk of the data directory.
    pub room: RoomView,
    /// One for each, by name.
    pub rows: Vec<FleetRow>,
}

/// One org among all.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FleetRow {
    /// The operator's name for it.
    pub id: String,
    /// What an operator wants of it if that is not to run, else the worst of its parts' states.
    pub state: State,
    /// The part that speaks for its trouble: the first that is parked, else the first that waits.
    pub part: Option<Part>,
    /// Why, as a sentence without a final stop; empty when there is no trouble.
    pub note: String,
    /// What to do; empty when there is nothing to do.
    pub hint: String,
    /// Since when that part is in trouble.
    pub since_ms: Option<UnixMs>,
    /// Only the customer can give a login again.
    pub locked_out: bool,
    /// Where its records have ended; none when the store has stopped.
    pub records: Option<Ledger>,
    /// Records under way.
    pub open: u64,
    /// Dead letters that are kept.
    pub dead_letters_kept: u64,
    /// From the event's arrival to the record's write, of the last one, milliseconds.
    pub lag_ms: Option<u64>,
    /// When the last record was written since the service started.
    pub last_written_ms: Option<UnixMs>,
    /// Events stored since the service started, over all channels.
    pub events: u64,
    /// When the last event was stored, or, before the first since the service started, when that at the stored position was
    /// published.
    pub last_event_ms: Option<UnixMs>,
    /// Channels of events.
    pub channels: u64,
    /// Of these, those that Salesforce does not deliver.
    pub channels_deaf: u64,
    /// The channel whose position is the oldest.
    pub position_channel: String,
    /// How old that position is.
    pub position_age_secs: Option<u64>,
    /// How long Salesforce keeps its events.
    pub retention_secs: u64,
    /// API calls of the org's last 24 hours, by everybody; none until Salesforce has told.
    pub api_used: Option<u64>,
    /// API calls the org may make in 24 hours.
    pub api_allowed: Option<u64>,
    /// Of those used, ours.
    pub ours: u64,
    /// Ours may be so many.
    pub share: u64,
    /// So many stay free for the customer.
    pub reserve: u64,
    /// API calls of ours since the service started.
    pub calls: u64,
    /// What stands still for want of API calls.
    pub waits: Vec<BudgetWait>,
    /// Fields that records are read or written without.
    pub quarantined: Vec<Quarantined>,
    /// Refreshes under way.
    pub refreshes: Vec<FleetRefresh>,
    /// Gaps in the events that are being healed.
    pub open_gaps: u64,
    /// What is wrong although every part runs.
    pub warnings: Vec<Warning>,
    /// Restarts after a failure since the service started, of its actor and of all parts.
    pub restarts: u32,
}

/// A refresh under way.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FleetRefresh {
    /// The sync's name.
    pub sync: String,
    /// How far it is.
    #[serde(flatten)]
    pub reading: Reading,
}

/// Orgs by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct StateCounts {
    /// Nothing heard yet.
    pub starting: u64,
    /// As they should be.
    pub running: u64,
    /// Something is tried again.
    pub waiting: u64,
    /// Something needs somebody.
    pub parked: u64,
    /// What is open is finished, then they pause.
    pub draining: u64,
    /// An operator paused them.
    pub paused: u64,
    /// No part of them runs.
    pub stopped: u64,
}

/// All orgs together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct FleetTotals {
    /// How many there are.
    pub orgs: u64,
    /// By state.
    pub states: StateCounts,
    /// Where their records have ended.
    pub records: Ledger,
    /// Dead letters that are kept.
    pub dead_letters_kept: u64,
    /// Orgs of which some are.
    pub orgs_with_dead_letters: u64,
    /// Events stored since the service started.
    pub events: u64,
    /// API calls of ours since the service started.
    pub calls: u64,
    /// The longest of their last lags, milliseconds.
    pub lag_ms_max: Option<u64>,
    /// API calls of the last 24 hours, by everybody, of the orgs that told.
    pub api_used: u64,
    /// API calls that these may make in 24 hours.
    pub api_allowed: u64,
    /// Of those used, ours.
    pub ours: u64,
    /// Ours may be so many.
    pub share: u64,
    /// Orgs in which something waits for API calls.
    pub budget_waiting: u64,
    /// Fields in quarantine.
    pub quarantined: u64,
    /// Refreshes under way.
    pub refreshes: u64,
    /// Gaps that are being healed.
    pub open_gaps: u64,
}

impl FleetRow {
    /// One org's, by its status and counts; `org_ms` is the time in the org.
    pub(crate) fn new(
        id: &str,
        status: &OrgStatus,
        kept: Option<KeptCounts>,
        budget: BudgetView,
        org_ms: UnixMs,
    ) -> Self {
        let trouble = trouble(status);
        let (channels, oldest) = (&status.subscription.channels, oldest(&status.subscription, org_ms));
        let records = kept.map(|kept| Ledger::from(kept.counts));
        let open = records.map_or(0, |records| records.open);
        let (channel, age_secs, retention_secs) = oldest.unwrap_or_default();
        let text = |text: fn(&PartStatus) -> &str| {
            trouble.map(|(_, part)| text(part)).unwrap_or_default().to_owned()
        };
        let refreshes = status.refreshes.iter();
        let refreshes =
            refreshes.map(|(sync, reading)| FleetRefresh { sync: sync.clone(), reading: reading.clone() });
        Self {
            id: id.to_owned(),
            state: status.worst(),
            part: trouble.map(|(name, _)| name),
            note: text(|part| &part.note),
            hint: text(|part| &part.hint),
            since_ms: trouble.map(|(_, part)| part.since_ms),
            locked_out: status.is_locked_out(),
            records,
            open,
            dead_letters_kept: kept.map_or(0, |kept| kept.dead_letters),
            lag_ms: status.last_lag_ms,
            last_written_ms: status.last_written_ms,
            events: channels.values().map(|channel| channel.events).sum(),
            last_event_ms: channels.values().filter_map(|one| one.last_event_ms.or(one.position_ms)).max(),
            channels: channels.len() as u64,
            channels_deaf: channels.values().filter(|one| one.state == State::Waiting).count() as u64,
            position_channel: channel.to_owned(),
            position_age_secs: age_secs,
            retention_secs,
            api_used: budget.used.or(status.api_usage.map(|(used, _)| used)),
            api_allowed: budget.allowed.or(status.api_usage.map(|(_, allowed)| allowed)),
            ours: budget.ours,
            share: budget.share,
            reserve: budget.reserve,
            calls: status.calls,
            waits: budget.waits,
            quarantined: status.quarantined.clone(),
            refreshes: refreshes.collect(),
            open_gaps: status.open_gaps as u64,
            warnings: warnings(status, records.is_some_and(|records| records.open == 0)),
            restarts: status.restarts + status.parts.values().map(|part| part.restarts).sum::<u32>(),
        }
    }

    /// That the org's clock and ours differ, if they do, comes first among the warnings.
    pub(crate) fn with_skew(mut self, skew: Option<Problem>) -> Self {
        self.warnings.splice(0..0, skew.map(Warning::from));
        self
    }
}

/// The part that needs somebody, or the first that tries again.
fn trouble(status: &OrgStatus) -> Option<(Part, &PartStatus)> {
    let parked = status.parts.iter().find(|(_, part)| part.state == State::Parked);
    parked.map(|(name, part)| (*name, part)).or_else(|| status.trouble())
}

/// The channel with the oldest position, how old that is, and how long its events are kept.
fn oldest(subscription: &Subscription, org_ms: UnixMs) -> Option<(&str, Option<u64>, u64)> {
    let ages = subscription.channels.iter().map(|(name, channel)| {
        let age = channel.position_ms.map(|position_ms| org_ms.since(position_ms).as_secs());
        (name.as_str(), age, channel.retention_secs)
    });
    ages.max_by_key(|(_, age, _)| *age)
}

/// What stands of the writes; where nothing is open, no record waits for somebody any more.
fn warnings(status: &OrgStatus, nothing_is_open: bool) -> Vec<Warning> {
    let jobs = status.bulk_jobs.iter().filter_map(BulkJobStatus::problem);
    let unanswered = status.unanswered_writes.iter().map(|write| write.problem());
    let waits = status.write_waits.iter().filter(|_| !nothing_is_open).map(WriteWait::problem);
    jobs.chain(unanswered).chain(waits).map(Warning::from).collect()
}

impl FleetTotals {
    /// One org more.
    pub(crate) fn add(&mut self, row: &FleetRow) {
        self.orgs += 1;
        *self.states.of_mut(row.state) += 1;
        self.records = self.records.and(row.records.unwrap_or_default());
        self.dead_letters_kept += row.dead_letters_kept;
        self.orgs_with_dead_letters += u64::from(row.dead_letters_kept > 0);
        self.events += row.events;
        self.calls += row.calls;
        self.lag_ms_max = self.lag_ms_max.max(row.lag_ms);
        if let (Some(used), Some(allowed)) = (row.api_used, row.api_allowed) {
            self.api_used += used;
            self.api_allowed += allowed;
        }
        self.ours += row.ours;
        self.share += row.share;
        self.budget_waiting += u64::from(!row.waits.is_empty());
        self.quarantined += row.quarantined.len() as u64;
        self.refreshes += row.refreshes.len() as u64;
        self.open_gaps += row.open_gaps;
    }
}

impl StateCounts {
    /// Orgs in one state.
    pub fn of(mut self, state: State) -> u64 {
        *self.of_mut(state)
    }

    fn of_mut(&mut self, state: State) -> &mut u64 {
        match state {
            State::Starting => &mut self.starting,
            State::Running => &mut self.running,
            State::Waiting => &mut self.waiting,
            State::Parked => &mut self.parked,
            State::Draining => &mut self.draining,
            State::Paused => &mut self.paused,
            State::Stopped => &mut self.stopped,
        }
    }
}

impl Ledger {
    /// Of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            records_in: self.records_in + other.records_in,
            written: self.written + other.written,
            unchanged: self.unchanged + other.unchanged,
            no_data: self.no_data + other.no_data,
            superseded: self.superseded + other.superseded,
            dead_letters: self.dead_letters + other.dead_letters,
            open: self.open + other.open,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use orgpipe_store::Counts;

    use super::*;
    use crate::{org::status::Board, priority::Priority};

    fn budget() -> BudgetView {
        let wait =
            BudgetWait { work: Priority::Refresh, why: "the share is used up".into(), until_ms: UnixMs(9) };
        BudgetView {
            allowed: Some(100),
            used: Some(60),
            ours: 40,
            share: 50,
            planned: 0,
            reserve: 10,
            requests_per_second: 1,
            concurrent_max: 1,
            waits: vec![wait],
        }
    }

    fn kept(open: u64) -> KeptCounts {
        let counts =
            Counts { records_in: 7 + open, written: 4, dead: 3, open_egress: open, ..Counts::default() };
        KeptCounts { counts, dead_letters: 2 }
    }

    #[test]
    fn a_row_tells_of_the_parked_part_the_oldest_position_and_what_is_kept() {
        let board = Board::default();
        let problem = |reason: &str| Problem::new(reason, "look");
        board.trouble(Part::Login, State::Waiting, &problem("no answer"), UnixMs(1));
        board.trouble(Part::Writer, State::Parked, &problem("it failed too often"), UnixMs(2));
        board.subscription(UnixMs(5_000), |subscription| {
            subscription.wanted("/event/A__e", Some(UnixMs(4_000)), UnixMs(5_000));
            subscription.wanted("/event/B__e", Some(UnixMs(1_000)), UnixMs(5_000));
            subscription.stored("/event/A__e", 3, None, UnixMs(6_000));
        });
        board.write_waits(
            "T__c",
            &BTreeMap::from([("LOCKED".into(), problem("locked"))]),
            Some(UnixMs(9)),
            UnixMs(5),
        );
        let row = |kept| board.look(|status| FleetRow::new("acme", status, kept, budget(), UnixMs(61_000)));
        let told = row(Some(kept(5)));
        assert_eq!(
            (told.state, told.part, told.since_ms),
            (State::Parked, Some(Part::Writer), Some(UnixMs(2)))
        );
        assert_eq!((told.note.as_str(), told.hint.as_str()), ("it failed too often", "look"));
        assert_eq!((told.position_channel.as_str(), told.position_age_secs), ("/event/B__e", Some(60)));
        assert_eq!((told.events, told.last_event_ms, told.channels), (3, Some(UnixMs(6_000)), 2));
        assert_eq!((told.open, told.dead_letters_kept, told.warnings.len()), (5, 2, 1));
        assert_eq!(row(Some(kept(0))).warnings, [], "nothing is open, so nothing waits");
        assert_eq!(row(None).records, None, "the store has stopped");

        let mut totals = FleetTotals::default();
        totals.add(&told);
        totals.add(&row(Some(kept(1))));
        assert_eq!((totals.orgs, totals.states.of(State::Parked), totals.dead_letters_kept), (2, 2, 4));
        assert_eq!((totals.records.records_in, totals.records.open), (20, 6));
        assert_eq!((totals.api_used, totals.api_allowed, totals.budget_waiting), (120, 200, 2));
    }
}
