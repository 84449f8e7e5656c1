//! What a test does to an org's events and its CometD endpoint.
//!
//! Here: the handle's part of it. Not here: the endpoint (`cometd`).

use super::OrgHandle;
use crate::cometd::{self, CometdFault, LoggedMessage, LoggedSubscribe, Streaming};
use crate::row::Row;

impl OrgHandle {
    /// Publishes an event as the administrator; the answer is its replay id. A payload the org's event would refuse
    /// goes out as it is, so that a test can send what no org sends.
    pub fn publish(&self, event: &str, payload: Row) -> i64 {
        let checked = self.org.state().tables.event(event, &payload);
        self.org.cometd.publish(event, checked.unwrap_or(payload), &self.org.facts.admin_user)
    }

    /// Publishes a payload as it is on any channel, which thereby exists: `/data/ChangeEvents`, `/event/My__chn`. The
    /// answer is its replay id.
    pub fn publish_on(&self, channel: &str, payload: Row) -> i64 {
        self.org.cometd.publish_on(channel, payload)
    }

    /// The next requests to the CometD endpoint that fit go wrong so.
    pub fn cometd_fault(&self, fault: CometdFault) {
        self.org.cometd.add_faults(vec![fault]);
    }

    /// The faults of this name (`S01`, `S03-bare`, …), one after the other; false if there is no such name.
    pub fn cometd_fault_named(&self, name: &str) -> bool {
        let Some(faults) = cometd::named(name) else { return false };
        self.org.cometd.add_faults(faults);
        true
    }

    /// Forgets the CometD faults that are still to come.
    pub fn clear_cometd_faults(&self) {
        self.org.cometd.clear_faults();
    }

    /// How the CometD endpoint behaves.
    pub fn streaming(&self) -> Streaming {
        self.org.cometd.settings()
    }

    /// Changes how the CometD endpoint behaves.
    pub fn set_streaming(&self, streaming: Streaming) {
        self.org.cometd.set_settings(streaming);
    }

    /// The Bayeux messages since the start, or since `clear_subscribes`, oldest first.
    pub fn cometd_messages(&self) -> Vec<LoggedMessage> {
        self.org.cometd.messages()
    }

    /// CometD sessions alive now.
    pub fn cometd_clients(&self) -> u64 {
        self.org.cometd.usage().clients
    }

    /// Events delivered by CometD in the last 24 hours.
    pub fn deliveries(&self) -> u64 {
        self.org.cometd.usage().delivered_day
    }

    /// Forgets all retained events; the next one of each channel has this replay id, though the org is the same: after an
    /// instance refresh.
    pub fn restart_replay_ids(&self, next: i64) {
        self.org.cometd.restart_replay_ids(next);
    }

    /// The CometD subscribe requests since the start, or since `clear_subscribes`.
    pub fn subscribes(&self) -> Vec<LoggedSubscribe> {
        self.org.cometd.subscribes()
    }

    /// Forgets the subscribe requests and Bayeux messages so far.
    pub fn clear_subscribes(&self) {
        self.org.cometd.clear_log();
    }

    /// Ends every CometD session: the next poll answers `403::Unknown client`.
    pub fn drop_sessions(&self) {
        self.org.cometd.drop_sessions();
    }

    /// Events go before their time, as after 72 hours: all but the newest `keep` of each channel.
    pub fn expire_events(&self, keep: usize) {
        self.org.cometd.expire_events(keep);
    }
}
