//! Metrics as Prometheus reads them: what the service says of its orgs, in numbers.
//!
//! Here: names and units. Not here: counting; every scrape asks the service and forgets.

use std::sync::atomic::AtomicU64;

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use orgpipe_actors::{OrgView, PushNumbers, RoomView, Service, State, ThreadStatus};
use orgpipe_store::{Read, Reads, UnixMs};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::{names, query::NoQuery};

/// Of the text that `encode` writes.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;

/// Whether the process lives
///
/// The only path that is answered under any name in `Host`.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "alive",
    tag = "service",
    responses((status = 200, description = "It does.", content_type = "text/plain", body = String))
)]
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// Metrics for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "getMetrics",
    tag = "service",
    responses(
        (status = 200, description = "OpenMetrics text.", content_type = "application/openmetrics-text", body = String),
    )
)]
pub(super) async fn show(service: Data<Service>, _: Query<NoQuery>) -> HttpResponse {
    let reads = service.store_reads();
    let pushes = service.push_numbers();
    match text(&service.orgs().await, &service.threads(), &service.room().await, &reads, pushes) {
        Ok(text) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(text),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

fn text(
    orgs: &[OrgView],
    threads: &[ThreadStatus],
    room: &RoomView,
    reads: &Reads,
    pushes: PushNumbers,
) -> Result<String, std::fmt::Error> {
    let mut metrics = Metrics { registry: Registry::with_prefix("orgpipe") };
    metrics.room(room);
    metrics.reads(reads);
    metrics.pushes(pushes);
    metrics.ledger(orgs);
    metrics.calls(orgs);
    metrics.parts(orgs);
    metrics.quarantine(orgs);
    metrics.subscriptions(orgs);
    metrics.channels(orgs);
    metrics.threads(threads);
    let mut text = String::new();
    encode(&mut text, &metrics.registry)?;
    Ok(text)
}

struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// A counter; `_total` is added to its name.
    fn counters(&mut self, name: &str, help: &str) -> Counters {
        let family = Counters::default();
        self.registry.register(name, help, family.clone());
        family
    }

    fn gauges(&mut self, name: &str, help: &str) -> Gauges {
        let family = Gauges::default();
        self.registry.register(name, help, family.clone());
        family
    }

    /// A gauge in seconds; `_seconds` is added to its name.
    fn seconds(&mut self, name: &str, help: &str) -> Gauges {
        let family = Gauges::default();
        self.registry.register_with_unit(name, help, Unit::Seconds, family.clone());
        family
    }

    fn room(&mut self, room: &RoomView) {
        let free = self.gauges("data_free_bytes", "Bytes free on the disk of the data directory");
        let least =
            self.gauges("data_free_bytes_min", "Bytes of it that must stay free; below, nothing is taken in");
        if let Some(bytes) = room.free_bytes {
            set(&free, &Labels::new(), number(bytes));
        }
        set(&least, &Labels::new(), number(room.free_bytes_min));
    }

    fn reads(&mut self, reads: &Reads) {
        let calls = self.counters("store_reads", "Calls that read from the store since the service started");
        for read in Read::ALL {
            add(&calls, &vec![("call", read.name().to_owned())], reads.of(read));
        }
        let entries = self.counters("store_entries_read", "Entries that were read and decoded for them");
        add(&entries, &Labels::new(), reads.entries());
    }

    fn pushes(&mut self, pushes: PushNumbers) {
        let accepted = self.counters("pushes", "Pushes taken in since the service started");
        add(&accepted, &Labels::new(), pushes.accepted);
        let items = self.counters("push_items", "Items in them");
        add(&items, &Labels::new(), pushes.items);
        let kept = self.gauges("pushes_kept", "Pushes that are kept, with what became of them");
        set(&kept, &Labels::new(), number(pushes.kept as u64));
        let waiting = self.gauges("pushes_waiting", "Of these, those that an org has still to read");
        set(&waiting, &Labels::new(), number(pushes.waiting as u64));
    }

    fn ledger(&mut self, orgs: &[OrgView]) {
        let asked = self.counters("records_in", "Records asked for by events and refreshes");
        let ended = self.counters("records_ended", "Records by how they ended");
        let open = self.gauges("records_open", "Records under way");
        let imbalance =
            self.gauges("ledger_imbalance", "Records in, less those ended and open; anything but 0 is a bug");
        for org in orgs {
            let Some(records) = org.records else { continue };
            add(&asked, &of(org), records.records_in);
            let ends = [
                ("written", records.written),
                ("unchanged", records.unchanged),
                ("no_data", records.no_data),
                ("superseded", records.superseded),
                ("dead_letter", records.dead_letters),
            ];
            for (end, count) in ends {
                add(&ended, &with(org, "end", end), count);
            }
            set(&open, &of(org), number(records.open));
            let found = ends.iter().map(|(_, count)| count).sum::<u64>() + records.open;
            set(&imbalance, &of(org), number(records.records_in) - number(found));
        }
    }

    fn calls(&mut self, orgs: &[OrgView]) {
        let calls = self.counters("api_calls", "API calls made to the org since the service started");
        let used = self.gauges("org_api_calls_used", "API calls of the org's last 24 hours, by everybody");
        let max = self.gauges("org_api_calls_max", "API calls the org may make in 24 hours");
        let lag = self.seconds("lag", "From the arrival of the last written record's event to its write");
        let written = self.seconds("last_written_timestamp", "When the last record was written, Unix time");
        for org in orgs {
            let status = &org.status;
            add(&calls, &of(org), status.calls);
            if let Some(usage) = status.api_usage {
                set(&used, &of(org), number(usage.0));
                set(&max, &of(org), number(usage.1));
            }
            set_millis(&lag, &of(org), status.last_lag_ms);
            set_time(&written, &of(org), status.last_written_ms);
        }
    }

    fn parts(&mut self, orgs: &[OrgView]) {
        let state = self.gauges("part_state", "1 for the state a part of the org is in");
        let restarts = self.counters("part_restarts", "Restarts of a part after a failure");
        for org in orgs {
            for (part, status) in &org.status.parts {
                let mut labels = with(org, "part", names::part(*part));
                add(&restarts, &labels, u64::from(status.restarts));
                labels.push(("state", names::state(status.state).to_owned()));
                set(&state, &labels, 1.0);
            }
        }
    }

    fn quarantine(&mut self, orgs: &[OrgView]) {
        let fields = self.gauges(
            "quarantined_field",
            "1 for a field that cannot be written or read, so records go on without",
        );
        for org in orgs {
            for one in &org.status.quarantined {
                let mut labels = with(org, "object", &one.object);
                labels.push(("field", one.field.clone()));
                set(&fields, &labels, 1.0);
            }
        }
    }

    fn subscriptions(&mut self, orgs: &[OrgView]) {
        let handshakes = self.counters("handshakes", "CometD sessions that Salesforce agreed to");
        let faults = self.counters("subscription_faults", "Troubles of the event subscription by kind");
        let replied = self.seconds(
            "subscription_last_reply_timestamp",
            "When Salesforce last answered the subscription, Unix time; a poll is answered within 2 minutes",
        );
        for org in orgs {
            let subscription = &org.status.subscription;
            add(&handshakes, &of(org), subscription.handshakes);
            for (class, count) in &subscription.faults {
                add(&faults, &with(org, "class", class), *count);
            }
            set_time(&replied, &of(org), subscription.last_reply_ms);
        }
    }

    fn threads(&mut self, threads: &[ThreadStatus]) {
        let up =
            self.gauges("thread_up", "1, or 0 while a thread stands still and all that runs on it waits");
        let stalls = self.counters("thread_stalls", "Times that a thread stood still for more than 250 ms");
        let longest = self.seconds("thread_longest_stall", "The longest of these since the service started");
        let restarts = self.counters("thread_restarts", "Times that a thread ended and was replaced");
        for thread in threads {
            let labels = vec![("thread", thread.name.clone())];
            set(&up, &labels, if thread.note.is_empty() { 1.0 } else { 0.0 });
            add(&stalls, &labels, thread.stalls);
            set(&longest, &labels, number(thread.longest_stall_ms) / 1000.0);
            add(&restarts, &labels, u64::from(thread.restarts));
        }
    }

    fn channels(&mut self, orgs: &[OrgView]) {
        let up = self.gauges("channel_up", "1 while Salesforce delivers the channel, 0 while it is deaf");
        let events = self.counters("channel_events", "Events stored since the service started");
        let gaps = self.counters("channel_gaps", "Times that events may have been missed");
        let last = self.seconds("channel_last_event_timestamp", "When the last event was stored, Unix time");
        let age = self.seconds("channel_position_age", "Age of the event at the stored position");
        let kept = self.seconds("channel_retention", "How long Salesforce keeps events");
        for org in orgs {
            for (name, channel) in &org.status.subscription.channels {
                let labels = with(org, "channel", name);
                set(&up, &labels, if channel.state == State::Running { 1.0 } else { 0.0 });
                add(&events, &labels, channel.events);
                add(&gaps, &labels, channel.gaps);
                set_time(&last, &labels, channel.last_event_ms);
                if let Some(secs) = channel.position_age_secs {
                    set(&age, &labels, number(secs));
                }
                set(&kept, &labels, number(channel.retention_secs));
            }
        }
    }
}

fn of(org: &OrgView) -> Labels {
    vec![("org", org.id.clone())]
}

fn with(org: &OrgView, key: &'static str, value: &str) -> Labels {
    vec![("org", org.id.clone()), (key, value.to_owned())]
}

fn add(family: &Counters, labels: &Labels, count: u64) {
    family.get_or_create_owned(labels).inc_by(count);
}

fn set(family: &Gauges, labels: &Labels, value: f64) {
    family.get_or_create_owned(labels).set(value);
}

fn set_time(family: &Gauges, labels: &Labels, at: Option<UnixMs>) {
    set_millis(family, labels, at.map(|at| at.0));
}

fn set_millis(family: &Gauges, labels: &Labels, millis: Option<u64>) {
    if let Some(millis) = millis {
        set(family, labels, number(millis) / 1000.0);
    }
}

/// Exact up to 2^53, which no count here reaches.
#[expect(clippy::cast_precision_loss, reason = "metrics are floating point")]
fn number(count: u64) -> f64 {
    count as f64
}
