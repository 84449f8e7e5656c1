//! Numbers of single orgs, for the metrics: what the fleet's rows do not tell.
//!
//! Here: reading them off an org's board and instruments, without a copy of its status. Not here: what all orgs come to
//! (`fleet`), names and units (the program's admin API).

use orgpipe_store::UnixMs;

use super::Service;
use crate::{
    measure::OrgMeasuresView,
    org::{
        context::OrgContext,
        part::{Part, State},
    },
};

/// Numbers of one org.
#[derive(Clone, Debug)]
pub struct OrgNumbers {
    /// The operator's name for it.
    pub id: String,
    /// Its parts, what each is at, and how often it was started afresh after a failure.
    pub parts: Vec<(Part, State, u32)>,
    /// Its channels.
    pub channels: Vec<ChannelNumbers>,
    /// Event sessions that Salesforce agreed to.
    pub handshakes: u64,
    /// Troubles of the event subscription by kind.
    pub faults: Vec<(&'static str, u64)>,
    /// When Salesforce last answered the subscription.
    pub last_reply_ms: Option<UnixMs>,
    /// When a refresh of a sync ended last, by the sync's name.
    pub refreshed: Vec<(String, UnixMs)>,
    /// What was counted of it.
    pub measures: OrgMeasuresView,
}

/// Numbers of one channel.
#[derive(Clone, Debug)]
pub struct ChannelNumbers {
    /// Its name.
    pub name: String,
    /// Whether Salesforce delivers it.
    pub up: bool,
    /// Events stored since the service started.
    pub events: u64,
    /// Times that events may have been missed.
    pub gaps: u64,
    /// When the last event was stored.
    pub last_event_ms: Option<UnixMs>,
    /// How old the event at the stored position is.
    pub position_age_secs: Option<u64>,
    /// How long Salesforce keeps events.
    pub retention_secs: u64,
}

impl Service {
    /// Numbers of one org; none if there is none of that name.
    pub fn org_numbers(&self, id: &str) -> Option<OrgNumbers> {
        Some(numbers(&*self.orgs.get(id)?))
    }
}

fn numbers(org: &OrgContext) -> OrgNumbers {
    let (measures, org_ms) = (org.measures.view(), org.api.time().now_ms());
    org.board.look(|status| OrgNumbers {
        id: org.id().to_owned(),
        parts: status.parts.iter().map(|(part, one)| (*part, one.state, one.restarts)).collect(),
        channels: status
            .subscription
            .channels
            .iter()
            .map(|(name, channel)| ChannelNumbers {
                name: name.clone(),
                up: channel.state == State::Running,
                events: channel.events,
                gaps: channel.gaps,
                last_event_ms: channel.last_event_ms,
                position_age_secs: channel.position_ms.map(|at| org_ms.since(at).as_secs()),
                retention_secs: channel.retention_secs,
            })
            .collect(),
        handshakes: status.subscription.handshakes,
        faults: status.subscription.faults.iter().map(|(kind, count)| (*kind, *count)).collect(),
        last_reply_ms: status.subscription.last_reply_ms,
        refreshed: status.refreshed.iter().map(|(sync, at)| (sync.clone(), *at)).collect(),
        measures,
    })
}
