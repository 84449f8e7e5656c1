//! Every metric: its name, what kind it is, its labels and what it means.
//!
//! Here: the table from which the help texts and `config/METRICS.md` come. Not here: the values (`service`, `orgs`, `process`).
//!
//! Invariant: a metric with the label `org` is called `orgpipe_org_…`, and no other is: so no sum counts anything twice.

#[cfg(test)]
use std::fmt::Write as _;

/// What kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricKind {
    /// It only grows, until the process or what it counts begins anew.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many fell into each class.
    Histogram,
}

/// One metric.
#[derive(Debug)]
pub(super) struct Metric {
    /// Its name; a counter's has `_total` behind it where it is read.
    pub(super) name: &'static str,
    pub(super) kind: MetricKind,
    pub(super) labels: &'static [&'static str],
    /// A sentence without a full stop.
    pub(super) help: &'static str,
}

impl Metric {
    /// As Prometheus knows it.
    #[cfg(test)]
    pub(super) fn full_name(&self) -> String {
        match self.kind {
            MetricKind::Counter => format!("{}_total", self.name),
            MetricKind::Gauge | MetricKind::Histogram => self.name.to_owned(),
        }
    }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Histogram, labels, help }
}

// One line each, as it is a table.
#[rustfmt::skip]
mod table {
    use super::{Metric, counter, gauge, histogram};

    pub(in super::super) const BUILD_INFO: Metric = gauge("orgpipe_build_info", &["version", "os", "arch"], "1, with the version that runs");
    pub(in super::super) const READY: Metric = gauge("orgpipe_ready", &[], "1 while /readyz answers that the service is ready");
    pub(in super::super) const ORGS: Metric = gauge("orgpipe_orgs", &["state"], "Orgs by state");
    pub(in super::super) const ORGS_LEFT_OUT: Metric = gauge("orgpipe_metrics_orgs_left_out", &[], "Orgs without metrics of their own, by service.metrics in the settings");

    pub(in super::super) const EVENTS: Metric = counter("orgpipe_events", &[], "Events stored since the service started");
    pub(in super::super) const EVENT_TO_WRITTEN: Metric = histogram("orgpipe_event_to_written_seconds", &[], "From the arrival of an event to the write of a record that it asked for");
    pub(in super::super) const RECORDS_IN: Metric = counter("orgpipe_records_in", &[], "Records asked for by events, refreshes and pushes; kept over a restart");
    pub(in super::super) const RECORDS_ENDED: Metric = counter("orgpipe_records_ended", &["end"], "Records by how they ended; kept over a restart");
    pub(in super::super) const RECORDS_OPEN: Metric = gauge("orgpipe_records_open", &[], "Records under way");
    pub(in super::super) const IMBALANCE: Metric = gauge("orgpipe_ledger_imbalance", &[], "Records in, less those ended and open; anything but 0 is a bug");
    pub(in super::super) const LETTERS_KEPT: Metric = gauge("orgpipe_dead_letters_kept", &[], "Dead letters that wait for somebody to retry or discard them");
    pub(in super::super) const ORGS_WITH_LETTERS: Metric = gauge("orgpipe_orgs_with_dead_letters", &[], "Orgs of which some are kept");
    pub(in super::super) const BUDGET_WAITING: Metric = gauge("orgpipe_orgs_waiting_for_calls", &[], "Orgs in which work stands still for want of API calls");
    pub(in super::super) const QUARANTINED: Metric = gauge("orgpipe_quarantined_fields", &[], "Fields that cannot be written or read, so records go on without");
    pub(in super::super) const REFRESHES: Metric = gauge("orgpipe_refreshes_running", &[], "Refreshes under way");
    pub(in super::super) const GAPS: Metric = gauge("orgpipe_gaps_open", &[], "Gaps in the events that are being healed");
    pub(in super::super) const PUSHES: Metric = counter("orgpipe_pushes", &[], "Pushes taken in since the service started");
    pub(in super::super) const PUSH_ITEMS: Metric = counter("orgpipe_push_items", &[], "Items in them");
    pub(in super::super) const PUSHES_KEPT: Metric = gauge("orgpipe_pushes_kept", &[], "Pushes that are kept, with what became of them");
    pub(in super::super) const PUSHES_WAITING: Metric = gauge("orgpipe_pushes_waiting", &[], "Of these, those that an org has still to read");
    pub(in super::super) const ALERTS: Metric = gauge("orgpipe_alerts", &["kind"], "Alerts that stand, by kind; `orgpipe alerts` and the dashboard show each with the next step");
    pub(in super::super) const NOTIFY_FAILING: Metric = gauge("orgpipe_notify_failing", &["receiver"], "1 while a receiver of alerts does not take them, as of the last try");
    pub(in super::super) const NOTIFY_WAITING: Metric = gauge("orgpipe_notify_messages_waiting", &["receiver"], "Messages that a receiver of alerts has still to take");

    pub(in super::super) const LOOKUP_DURATION: Metric = histogram("orgpipe_lookup_duration_seconds", &[], "How long calls to your look-up API took, however they ended");
    pub(in super::super) const LOOKUPS: Metric = counter("orgpipe_lookups", &["result"], "Look-ups by result; with `breaker_open` no call was made");
    pub(in super::super) const LOOKUPS_UNUSABLE: Metric = counter("orgpipe_lookup_unusable_answers", &[], "Look-ups whose result was `ok` and whose answer could not be used");
    pub(in super::super) const BREAKER: Metric = gauge("orgpipe_lookup_breaker_state", &["state"], "1 for the state of the breaker before your look-up API: closed, open (it is left alone), half_open (one call finds out)");
    pub(in super::super) const CALL_DURATION: Metric = histogram("orgpipe_salesforce_call_duration_seconds", &["kind"], "How long requests to Salesforce took by kind; `cometd_connect` is held open until there are events");
    pub(in super::super) const CALLS: Metric = counter("orgpipe_salesforce_calls", &["kind", "result"], "Requests to Salesforce by kind and result");

    pub(in super::super) const FREE: Metric = gauge("orgpipe_data_free_bytes", &[], "Bytes free on the disk of the data directory");
    pub(in super::super) const FREE_MIN: Metric = gauge("orgpipe_data_free_min_bytes", &[], "Bytes of it that must stay free; below, nothing is taken in");
    pub(in super::super) const STORE_READS: Metric = counter("orgpipe_store_reads", &["call"], "Calls that read from the store");
    pub(in super::super) const STORE_ENTRIES: Metric = counter("orgpipe_store_entries_read", &[], "Entries that were read and decoded for them");
    pub(in super::super) const COMMIT_DURATION: Metric = histogram("orgpipe_store_commit_duration_seconds", &[], "How long commits took, flush included");
    pub(in super::super) const COMMIT_CALLS: Metric = histogram("orgpipe_store_commit_calls", &[], "Calls answered behind one commit");
    pub(in super::super) const TRACE_SPANS: Metric = counter("orgpipe_trace_spans", &["result"], "Spans for the collector of `service.traces`: sent, or lost, as it did not take them or there was no room");
    pub(in super::super) const THREAD_UP: Metric = gauge("orgpipe_thread_up", &["thread"], "1, or 0 while a thread stands still and all that runs on it waits");
    pub(in super::super) const THREAD_STALLS: Metric = counter("orgpipe_thread_stalls", &["thread"], "Times that a thread stood still for more than 250 ms");
    pub(in super::super) const THREAD_LONGEST: Metric = gauge("orgpipe_thread_longest_stall_seconds", &["thread"], "The longest of these since the service started");
    pub(in super::super) const THREAD_RESTARTS: Metric = counter("orgpipe_thread_restarts", &["thread"], "Times that a thread ended and was replaced");
    pub(in super::super) const PROCESS_START: Metric = gauge("process_start_time_seconds", &[], "When the service started, Unix time");
    pub(in super::super) const PROCESS_CPU: Metric = counter("process_cpu_seconds", &[], "CPU time of the process, user and system; Linux only");
    pub(in super::super) const PROCESS_RESIDENT: Metric = gauge("process_resident_memory_bytes", &[], "Resident memory; Linux only");
    pub(in super::super) const PROCESS_VIRTUAL: Metric = gauge("process_virtual_memory_bytes", &[], "Virtual memory; Linux only");
    pub(in super::super) const PROCESS_FDS: Metric = gauge("process_open_fds", &[], "Open file descriptors; Linux only");
    pub(in super::super) const PROCESS_FDS_MAX: Metric = gauge("process_max_fds", &[], "File descriptors that may be open; Linux only");
    pub(in super::super) const PROCESS_THREADS: Metric = gauge("process_threads", &[], "Threads of the process; Linux only");

    pub(in super::super) const ORG_STATE: Metric = gauge("orgpipe_org_state", &["org", "state"], "1 for the state the org is in");
    pub(in super::super) const ORG_EVENTS: Metric = counter("orgpipe_org_events", &["org"], "Events stored since the service started");
    pub(in super::super) const ORG_RECORDS_IN: Metric = counter("orgpipe_org_records_in", &["org"], "Records asked for by events, refreshes and pushes; kept over a restart");
    pub(in super::super) const ORG_RECORDS_ENDED: Metric = counter("orgpipe_org_records_ended", &["org", "end"], "Records by how they ended; kept over a restart");
    pub(in super::super) const ORG_RECORDS_OPEN: Metric = gauge("orgpipe_org_records_open", &["org"], "Records under way");
    pub(in super::super) const ORG_IMBALANCE: Metric = gauge("orgpipe_org_ledger_imbalance", &["org"], "Records in, less those ended and open; anything but 0 is a bug");
    pub(in super::super) const ORG_LETTERS_KEPT: Metric = gauge("orgpipe_org_dead_letters_kept", &["org"], "Dead letters that wait for somebody to retry or discard them");
    pub(in super::super) const ORG_LAG: Metric = gauge("orgpipe_org_lag_seconds", &["org"], "From the arrival of the last written record's request to its write");
    pub(in super::super) const ORG_LAST_WRITTEN: Metric = gauge("orgpipe_org_last_written_timestamp_seconds", &["org"], "When the last record was written, Unix time");
    pub(in super::super) const ORG_LAST_REFRESH: Metric = gauge("orgpipe_org_last_refresh_timestamp_seconds", &["org", "sync"], "When a refresh of the sync ended last, Unix time; kept over a restart");
    pub(in super::super) const ORG_REFRESHES: Metric = gauge("orgpipe_org_refreshes_running", &["org"], "Refreshes under way");
    pub(in super::super) const ORG_CALLS: Metric = counter("orgpipe_org_salesforce_calls", &["org"], "Requests to Salesforce of all kinds since the service started");
    pub(in super::super) const ORG_CALLS_FAILED: Metric = counter("orgpipe_org_salesforce_call_failures", &["org"], "Those whose result was not `ok`");
    pub(in super::super) const ORG_API_USED: Metric = gauge("orgpipe_org_api_calls_used", &["org"], "API calls of the org's last 24 hours, by everybody");
    pub(in super::super) const ORG_API_ALLOWED: Metric = gauge("orgpipe_org_api_calls_allowed", &["org"], "API calls the org may make in 24 hours");
    pub(in super::super) const ORG_API_OURS: Metric = gauge("orgpipe_org_api_calls_ours", &["org"], "Those of the last 24 hours that orgpipe made");
    pub(in super::super) const ORG_API_SHARE: Metric = gauge("orgpipe_org_api_calls_share", &["org"], "Calls of 24 hours that orgpipe may make");
    pub(in super::super) const ORG_API_RESERVE: Metric = gauge("orgpipe_org_api_calls_reserve", &["org"], "Calls that stay free for the customer");
    pub(in super::super) const ORG_API_RATIO: Metric = gauge("orgpipe_org_api_used_ratio", &["org"], "Used part of the calls the org may make, by everybody");
    pub(in super::super) const ORG_BUDGET_PAUSED: Metric = gauge("orgpipe_org_budget_paused", &["org", "work"], "1 for work that stands still for want of API calls");
    pub(in super::super) const ORG_PART_STATE: Metric = gauge("orgpipe_org_part_state", &["org", "part", "state"], "1 for the state a part of the org is in");
    pub(in super::super) const ORG_PART_RESTARTS: Metric = counter("orgpipe_org_part_restarts", &["org", "part"], "Restarts of a part after a failure");
    pub(in super::super) const ORG_QUARANTINED: Metric = gauge("orgpipe_org_quarantined_field", &["org", "object", "field"], "1 for a field that cannot be written or read, so records go on without");
    pub(in super::super) const ORG_GAPS: Metric = gauge("orgpipe_org_gaps_open", &["org"], "Gaps in the events that are being healed");
    pub(in super::super) const ORG_HANDSHAKES: Metric = counter("orgpipe_org_handshakes", &["org"], "CometD sessions that Salesforce agreed to");
    pub(in super::super) const ORG_FAULTS: Metric = counter("orgpipe_org_subscription_faults", &["org", "class"], "Troubles of the event subscription by kind");
    pub(in super::super) const ORG_REPLIED: Metric = gauge("orgpipe_org_subscription_last_reply_timestamp_seconds", &["org"], "When Salesforce last answered the subscription, Unix time; a poll is answered within 2 minutes");
    pub(in super::super) const ORG_CHANNEL_UP: Metric = gauge("orgpipe_org_channel_up", &["org", "channel"], "1 while Salesforce delivers the channel, 0 while it is deaf");
    pub(in super::super) const ORG_CHANNEL_EVENTS: Metric = counter("orgpipe_org_channel_events", &["org", "channel"], "Events stored since the service started");
    pub(in super::super) const ORG_CHANNEL_GAPS: Metric = counter("orgpipe_org_channel_gaps", &["org", "channel"], "Times that events may have been missed");
    pub(in super::super) const ORG_CHANNEL_LAST: Metric = gauge("orgpipe_org_channel_last_event_timestamp_seconds", &["org", "channel"], "When the last event was stored, Unix time");
    pub(in super::super) const ORG_CHANNEL_AGE: Metric = gauge("orgpipe_org_channel_position_age_seconds", &["org", "channel"], "Age of the event at the stored position");
    pub(in super::super) const ORG_CHANNEL_RETENTION: Metric = gauge("orgpipe_org_channel_retention_seconds", &["org", "channel"], "How long Salesforce keeps events");

    #[cfg(test)]
    pub(in super::super) const ALL: &[&Metric] = &[
        &BUILD_INFO, &READY, &ORGS, &ORGS_LEFT_OUT,
        &EVENTS, &EVENT_TO_WRITTEN, &RECORDS_IN, &RECORDS_ENDED, &RECORDS_OPEN, &IMBALANCE, &LETTERS_KEPT, &ORGS_WITH_LETTERS,
        &BUDGET_WAITING, &QUARANTINED, &REFRESHES, &GAPS, &PUSHES, &PUSH_ITEMS, &PUSHES_KEPT, &PUSHES_WAITING,
        &ALERTS, &NOTIFY_FAILING, &NOTIFY_WAITING,
        &LOOKUP_DURATION, &LOOKUPS, &LOOKUPS_UNUSABLE, &BREAKER, &CALL_DURATION, &CALLS,
        &FREE, &FREE_MIN, &STORE_READS, &STORE_ENTRIES, &COMMIT_DURATION, &COMMIT_CALLS, &TRACE_SPANS,
        &THREAD_UP, &THREAD_STALLS, &THREAD_LONGEST, &THREAD_RESTARTS,
        &PROCESS_START, &PROCESS_CPU, &PROCESS_RESIDENT, &PROCESS_VIRTUAL, &PROCESS_FDS, &PROCESS_FDS_MAX, &PROCESS_THREADS,
        &ORG_STATE, &ORG_EVENTS, &ORG_RECORDS_IN, &ORG_RECORDS_ENDED, &ORG_RECORDS_OPEN, &ORG_IMBALANCE, &ORG_LETTERS_KEPT,
        &ORG_LAG, &ORG_LAST_WRITTEN, &ORG_LAST_REFRESH, &ORG_REFRESHES, &ORG_CALLS, &ORG_CALLS_FAILED,
        &ORG_API_USED, &ORG_API_ALLOWED, &ORG_API_OURS, &ORG_API_SHARE, &ORG_API_RESERVE, &ORG_API_RATIO, &ORG_BUDGET_PAUSED,
        &ORG_PART_STATE, &ORG_PART_RESTARTS, &ORG_QUARANTINED, &ORG_GAPS, &ORG_HANDSHAKES, &ORG_FAULTS, &ORG_REPLIED,
        &ORG_CHANNEL_UP, &ORG_CHANNEL_EVENTS, &ORG_CHANNEL_GAPS, &ORG_CHANNEL_LAST, &ORG_CHANNEL_AGE, &ORG_CHANNEL_RETENTION,
    ];
}

pub(super) use self::table::*;

/// The text of `config/METRICS.md`.
#[cfg(test)]
fn reference() -> String {
    let mut text = "# Metrics\n\nWhat `GET /metrics` tells, in the order it does. This page is made from the code; a test holds it to it.\n\n\
        Metrics with the label `org` are called `orgpipe_org_…`; `service.metrics` in the settings says for which orgs they are told. \
        All others are of the whole service and are always told. Times are Unix seconds.\n\n\
        | metric | kind | labels | meaning |\n|---|---|---|---|\n"
        .to_owned();
    for metric in ALL {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a text does not fail.
        let _ =
            writeln!(text, "| `{}` | {kind} | {} | {} |", metric.full_name(), labels.join(", "), metric.help);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    const FILE: &str = "config/METRICS.md";

    #[test]
    fn the_reference_says_what_the_code_says() {
        let written =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)).unwrap_or_default();
        assert_eq!(
            written,
            reference(),
            "write it anew: cargo nextest run --run-ignored all write_the_reference"
        );
    }

    #[test]
    #[ignore = "it writes the file"]
    fn write_the_reference() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE), reference())
            .expect("the file is written");
    }

    #[test]
    fn names_follow_the_conventions() {
        let mut names = BTreeSet::new();
        for metric in ALL {
            let name = metric.name;
            assert!(names.insert(name), "{name} stands twice");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!(!name.ends_with("_total"), "{name}: it is added where it is read");
            assert_eq!(metric.labels.contains(&"org"), name.starts_with("orgpipe_org_"), "{name}");
            assert!(!metric.help.is_empty() && !metric.help.ends_with('.'), "{name}");
            for unit in ["milli", "micro", "_ms", "_mb", "_kb", "percent", "minutes", "hours"] {
                assert!(!name.contains(unit), "{name}: base units only");
            }
        }
    }
}
