//! Metrics of single orgs: for which of them, and from what is known of each to samples.
//!
//! Here: these. Not here: metrics of the whole service (`service`), which are told in any case.

use std::{fmt::Result, sync::Arc};

use orgpipe_actors::{ChannelNumbers, Fleet, FleetRow, Ledger, OrgNumbers, State};

use super::{
    catalogue as metric,
    service::{ends, flag, imbalance},
    writer::{Writer, moment, number, secs},
};
use crate::{
    admin::names,
    config::{MetricsSettings, PerOrg},
};

/// For which orgs there are metrics, by their place in the rows. Where there are too many, those in trouble come first.
pub(super) fn chosen(rows: &[FleetRow], settings: MetricsSettings) -> Vec<usize> {
    let most = settings.orgs_max as usize;
    let trouble = |place: &usize| is_in_trouble(&rows[*place]);
    let mut chosen: Vec<usize> = match settings.per_org {
        PerOrg::None => Vec::new(),
        PerOrg::Trouble => (0..rows.len()).filter(trouble).collect(),
        PerOrg::All => (0..rows.len()).collect(),
    };
    if chosen.len() > most {
        chosen.sort_by_key(|place| !trouble(place));
        chosen.truncate(most);
        chosen.sort_unstable();
    }
    chosen
}

fn is_in_trouble(row: &FleetRow) -> bool {
    let state = match row.state {
        State::Running | State::Paused | State::Draining => false,
        State::Starting | State::Waiting | State::Parked | State::Stopped => true,
    };
    let counted = [row.dead_letters_kept, row.channels_deaf, row.open_gaps];
    let told = row.waits.is_empty() && row.quarantined.is_empty() && row.warnings.is_empty();
    state || counted.iter().any(|count| *count > 0) || !told
}

/// The orgs for which there are metrics.
#[derive(Debug)]
pub(super) struct ScrapedOrgs {
    pub(super) fleet: Arc<Fleet>,
    /// Their places in the fleet's rows.
    pub(super) places: Vec<usize>,
    /// The rest of what is known, of those that are still there.
    pub(super) numbers: Vec<OrgNumbers>,
}

impl ScrapedOrgs {
    pub(super) fn write(&self, to: &mut Writer<'_>) -> Result {
        let states = self.rows().map(|row| ([org(row), ("state", names::state(row.state))], 1.0));
        to.gauges(&metric::ORG_STATE, states)?;
        self.ledger(to)?;
        self.work(to)?;
        self.budget(to)?;
        self.parts(to)?;
        self.subscriptions(to)?;
        self.channels(to)
    }

    fn rows(&self) -> impl Iterator<Item = &FleetRow> {
        self.places.iter().map(|place| &self.fleet.rows[*place])
    }

    fn ledgers(&self) -> impl Iterator<Item = (&FleetRow, &Ledger)> {
        self.rows().filter_map(|row| Some((row, row.records.as_ref()?)))
    }

    fn ledger(&self, to: &mut Writer<'_>) -> Result {
        to.counters(&metric::ORG_EVENTS, self.rows().map(|row| ([org(row)], row.events)))?;
        to.counters(
            &metric::ORG_RECORDS_IN,
            self.ledgers().map(|(row, records)| ([org(row)], records.records_in)),
        )?;
        let ended = self
            .ledgers()
            .flat_map(|(row, records)| ends(records).map(|(end, count)| ([org(row), ("end", end)], count)));
        to.counters(&metric::ORG_RECORDS_ENDED, ended)?;
        let open = self.ledgers().map(|(row, records)| ([org(row)], number(records.open)));
        to.gauges(&metric::ORG_RECORDS_OPEN, open)?;
        let imbalances = self.ledgers().map(|(row, records)| ([org(row)], imbalance(records)));
        to.gauges(&metric::ORG_IMBALANCE, imbalances)?;
        let kept = self.rows().map(|row| ([org(row)], number(row.dead_letters_kept)));
        to.gauges(&metric::ORG_LETTERS_KEPT, kept)
    }

    fn work(&self, to: &mut Writer<'_>) -> Result {
        let lag = self.rows().filter_map(|row| Some(([org(row)], secs(row.lag_ms?))));
        to.gauges(&metric::ORG_LAG, lag)?;
        let written = self.rows().filter_map(|row| Some(([org(row)], moment(row.last_written_ms?))));
        to.gauges(&metric::ORG_LAST_WRITTEN, written)?;
        let refreshed = self.numbers.iter().flat_map(|one| {
            one.refreshed.iter().map(|(sync, at)| ([of(one), ("sync", sync.as_str())], moment(*at)))
        });
        to.gauges(&metric::ORG_LAST_REFRESH, refreshed)?;
        let running = self.rows().map(|row| ([org(row)], number(row.refreshes.len() as u64)));
        to.gauges(&metric::ORG_REFRESHES, running)?;
        let gaps = self.rows().map(|row| ([org(row)], number(row.open_gaps)));
        to.gauges(&metric::ORG_GAPS, gaps)?;
        let quarantined = self.rows().flat_map(|row| {
            row.quarantined
                .iter()
                .map(|one| ([org(row), ("object", one.object.as_str()), ("field", one.field.as_str())], 1.0))
        });
        to.gauges(&metric::ORG_QUARANTINED, quarantined)
    }

    fn budget(&self, to: &mut Writer<'_>) -> Result {
        let calls = self.numbers.iter().map(|one| ([of(one)], one.measures.calls_total()));
        to.counters(&metric::ORG_CALLS, calls)?;
        let failed = self.numbers.iter().map(|one| ([of(one)], one.measures.calls_failed));
        to.counters(&metric::ORG_CALLS_FAILED, failed)?;
        let used = self.rows().filter_map(|row| Some(([org(row)], number(row.api_used?))));
        to.gauges(&metric::ORG_API_USED, used)?;
        let known = || self.rows().filter_map(|row| Some((row, row.api_allowed?)));
        to.gauges(&metric::ORG_API_ALLOWED, known().map(|(row, allowed)| ([org(row)], number(allowed))))?;
        to.gauges(&metric::ORG_API_OURS, self.rows().map(|row| ([org(row)], number(row.ours))))?;
        to.gauges(&metric::ORG_API_SHARE, known().map(|(row, _)| ([org(row)], number(row.share))))?;
        to.gauges(&metric::ORG_API_RESERVE, known().map(|(row, _)| ([org(row)], number(row.reserve))))?;
        let ratio = known()
            .filter_map(|(row, allowed)| Some(([org(row)], number(row.api_used?) / number(allowed.max(1)))));
        to.gauges(&metric::ORG_API_RATIO, ratio)?;
        let paused = self.rows().flat_map(|row| {
            row.waits.iter().map(|wait| ([org(row), ("work", names::priority(wait.work))], 1.0))
        });
        to.gauges(&metric::ORG_BUDGET_PAUSED, paused)
    }

    fn parts(&self, to: &mut Writer<'_>) -> Result {
        let parts = || self.numbers.iter().flat_map(|one| one.parts.iter().map(move |part| (one, part)));
        let states = parts().map(|(one, (part, state, _))| {
            ([of(one), ("part", names::part(*part)), ("state", names::state(*state))], 1.0)
        });
        to.gauges(&metric::ORG_PART_STATE, states)?;
        let restarts = parts().map(|(one, (part, _, restarts))| {
            ([of(one), ("part", names::part(*part))], u64::from(*restarts))
        });
        to.counters(&metric::ORG_PART_RESTARTS, restarts)
    }

    fn subscriptions(&self, to: &mut Writer<'_>) -> Result {
        let handshakes = self.numbers.iter().map(|one| ([of(one)], one.handshakes));
        to.counters(&metric::ORG_HANDSHAKES, handshakes)?;
        let faults = self
            .numbers
            .iter()
            .flat_map(|one| one.faults.iter().map(|(class, count)| ([of(one), ("class", *class)], *count)));
        to.counters(&metric::ORG_FAULTS, faults)?;
        let replied = self.numbers.iter().filter_map(|one| Some(([of(one)], moment(one.last_reply_ms?))));
        to.gauges(&metric::ORG_REPLIED, replied)
    }

    fn channels(&self, to: &mut Writer<'_>) -> Result {
        let channels =
            || self.numbers.iter().flat_map(|one| one.channels.iter().map(move |channel| (one, channel)));
        let labelled = || channels().map(|(one, channel)| (at(one, channel), channel));
        to.gauges(&metric::ORG_CHANNEL_UP, labelled().map(|(labels, one)| (labels, flag(one.up))))?;
        to.counters(&metric::ORG_CHANNEL_EVENTS, labelled().map(|(labels, one)| (labels, one.events)))?;
        to.counters(&metric::ORG_CHANNEL_GAPS, labelled().map(|(labels, one)| (labels, one.gaps)))?;
        let last = labelled().filter_map(|(labels, one)| Some((labels, moment(one.last_event_ms?))));
        to.gauges(&metric::ORG_CHANNEL_LAST, last)?;
        let age = labelled().filter_map(|(labels, one)| Some((labels, number(one.position_age_secs?))));
        to.gauges(&metric::ORG_CHANNEL_AGE, age)?;
        let kept = labelled().map(|(labels, one)| (labels, number(one.retention_secs)));
        to.gauges(&metric::ORG_CHANNEL_RETENTION, kept)
    }
}

fn org(row: &FleetRow) -> (&'static str, &str) {
    ("org", &row.id)
}

fn of(one: &OrgNumbers) -> (&'static str, &str) {
    ("org", &one.id)
}

fn at<'o>(one: &'o OrgNumbers, channel: &'o ChannelNumbers) -> [(&'static str, &'o str); 2] {
    [of(one), ("channel", &channel.name)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::fleet::samples::row;

    #[test]
    fn the_settings_choose_the_orgs_and_where_there_are_too_many_those_in_trouble_come_first() {
        let rows: Vec<FleetRow> = ["a", "b", "c", "d"]
            .map(|id| match id {
                "b" => FleetRow { dead_letters_kept: 1, ..row(id) },
                "d" => FleetRow { state: State::Parked, ..row(id) },
                _ => row(id),
            })
            .into();
        for (per_org, orgs_max, places) in [
            (PerOrg::All, 10, vec![0, 1, 2, 3]),
            (PerOrg::All, 3, vec![0, 1, 3]),
            (PerOrg::All, 1, vec![1]),
            (PerOrg::Trouble, 10, vec![1, 3]),
            (PerOrg::Trouble, 1, vec![1]),
            (PerOrg::None, 10, vec![]),
        ] {
            assert_eq!(
                chosen(&rows, MetricsSettings { per_org, orgs_max }),
                places,
                "{per_org:?} {orgs_max}"
            );
        }
    }
}
