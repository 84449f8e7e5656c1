//! What an operator may write: every table, every key, its range.
//!
//! Here: names, types and ranges of numbers. Not here: what a value means, defaults and secrets (`resolve`).
//! The meaning, default and price of each key stand in config/example.toml; a test holds the two together.

use std::{collections::BTreeMap, ops::RangeInclusive};

use orgpipe_reconcile::{lookup::RECORDS_MAX, route::Strategy};

use super::{
    mapped::{self, MappedValue},
    reader::{Section, Written},
    report::Report,
};

/// Megabytes of the store's page cache.
/// Orgs with metrics of their own.
const METRICS_ORGS_MAX: RangeInclusive<u32> = 1..=100_000;
const CACHE_MB: RangeInclusive<u32> = 8..=65_536;
/// Days for which the ledger's rows are kept.
const LEDGER_DAYS: RangeInclusive<u32> = 1..=3_650;
/// Records of one org that may wait.
const QUEUE_MAX: RangeInclusive<u32> = 10_000..=100_000_000;
const FREE_MIN_MB: RangeInclusive<u32> = 0..=1_000_000;
/// Orgs that read a page of a refresh at the same time.
const REFRESHES_MAX: RangeInclusive<u32> = 1..=1_000;
/// Calls to the look-up API, per second over all orgs.
const SOURCE_REQUESTS_PER_SECOND: RangeInclusive<u32> = 1..=10_000;
/// Calls to the look-up API in flight, over all orgs.
const SOURCE_CONCURRENT_MAX: RangeInclusive<u32> = 1..=1_000;
/// Seconds for one look-up.
const SOURCE_TIMEOUT_SECS: RangeInclusive<u32> = 1..=300;
/// Records per request of a refresh: at most as many as a look-up carries.
const REFRESH_BATCH: RangeInclusive<u32> = 1..=100;
const _: () = assert!(*REFRESH_BATCH.end() as usize == RECORDS_MAX);
/// Records of a refresh from which a Bulk query is worth its calls; one never reads fewer than two.
const REFRESH_BULK_FROM: RangeInclusive<u32> = 2..=1_000_000_000;
/// Calls per second to one org.
const ORG_REQUESTS_PER_SECOND: RangeInclusive<u32> = 1..=100;
/// Calls in flight to one org; Salesforce lets 25 long ones run at once in a production org.
const ORG_CONCURRENT_MAX: RangeInclusive<u32> = 1..=25;
/// Records in one write from which a Bulk job is worth its calls; a job holds 10,000 at most.
const BULK_FROM: RangeInclusive<u32> = 2..=10_000;
/// Days for which an invitation is good.
const LINK_DAYS: RangeInclusive<u32> = 1..=90;
/// Kept dead letters that are no alert yet.
const DEAD_LETTERS_MAX: RangeInclusive<u32> = 0..=100_000_000;
/// Hours for which a channel may be silent; 0 is for ever.
const NO_EVENT_HOURS: RangeInclusive<u32> = 0..=8_760;
/// Minutes for which a part may fail.
const WAITING_MINUTES: RangeInclusive<u32> = 0..=1_440;
/// Seconds for which something has to be wrong, or right again.
const HOLD_SECS: RangeInclusive<u32> = 0..=3_600;
/// Alerts of a kind that are told in one message.
const GROUP_FROM: RangeInclusive<u32> = 1..=40;
const LINGER_MILLIS: RangeInclusive<u32> = 10..=10_000;

/// Seconds for a batch of spans.
const TRACES_TIMEOUT_SECS: RangeInclusive<u32> = 1..=60;

/// A table's place in the file, and its keys.
pub(super) type Keys = (&'static str, &'static [&'static str]);

const TOP: Keys =
    ("", &["service", "source", "webhook", "alerts", "notify", "connect", "sync", "org_defaults", "org"]);
const SERVICE: Keys = (
    "service",
    &[
        "data_dir",
        "vault_key_env",
        "vault_key_file",
        "orgs_dir",
        "listen",
        "tls",
        "behind_proxy",
        "metrics",
        "hosts",
        "durability",
        "cache_mb",
        "ledger_days",
        "free_min_mb",
        "queue_max",
        "refreshes_max",
        "traces",
    ],
);
const METRICS: Keys = ("service.metrics", &["per_org", "orgs_max"]);
const TRACES: Keys =
    ("service.traces", &["endpoint", "headers_env", "headers_file", "sample_ratio", "timeout_secs"]);
const TLS: Keys = ("service.tls", &["cert_file", "key_file"]);
const SOURCE: Keys =
    ("source", &["url", "token_env", "requests_per_second", "concurrent_max", "timeout_secs"]);
const WEBHOOK: Keys = ("webhook", &["url", "token_env"]);
const ALERTS: Keys = (
    "alerts",
    &[
        "base_url",
        "dead_letters_max",
        "no_event_hours",
        "waiting_minutes",
        "hold_secs",
        "clear_secs",
        "group_from",
    ],
);
const NOTIFY: Keys = (
    "notify",
    &[
        "name",
        "kind",
        "url",
        "url_env",
        "url_file",
        "secret_env",
        "secret_file",
        "alerts",
        "orgs",
        "severity_min",
    ],
);
const CONNECT: Keys =
    ("connect", &["base_url", "vendor", "client_id", "client_secret_env", "client_secret_file", "link_days"]);
const SYNC: Keys = (
    "sync",
    &[
        "name",
        "channel",
        "event",
        "object",
        "keys",
        "match",
        "target",
        "external_id",
        "write",
        "on_refused_field",
        "on_shared_key",
        "fields",
        "refresh",
    ],
);
const EVENT: Keys = ("sync.event", &["ids", "object", "reason", "correlation_id", "watch"]);
const EXTERNAL_ID: Keys = ("sync.external_id", &["field", "from"]);
const REFRESH: Keys =
    ("sync.refresh", &["where", "schedule", "changes", "window", "batch", "bulk_from", "on_deleted"]);
const ORG_DEFAULTS: Keys =
    ("org_defaults", &["login_url", "instance_hosts", "api_version", "time_zone", "namespace", "limits"]);
const LIMITS: Keys = (
    "org_defaults.limits",
    &[
        "daily_share",
        "reserve",
        "requests_per_second",
        "concurrent_max",
        "bulk_from",
        "strategy",
        "linger_millis",
    ],
);
const ORG: Keys = (
    "org",
    &[
        "id",
        "login_url",
        "instance_hosts",
        "auth",
        "api_version",
        "time_zone",
        "namespace",
        "limits",
        "syncs",
        "sync",
    ],
);
/// What one org may have otherwise than the sync says; the example's sync has the name.
pub(super) const ORG_SYNC: Keys = (
    "org.sync.account_enrichment",
    &["keys", "target", "external_id", "on_refused_field", "on_shared_key", "fields", "refresh"],
);
const AUTH: Keys = (
    "org.auth",
    &[
        "flow",
        "client_id",
        "client_id_env",
        "username",
        "key_file",
        "key_env",
        "audience",
        "client_secret_env",
        "client_secret_file",
        "refresh_token_env",
        "refresh_token_file",
    ],
);

/// Every table and its keys, for the test that reads config/example.toml.
#[cfg(test)]
pub(super) const ALL: &[Keys] = &[
    TOP,
    SERVICE,
    TLS,
    TRACES,
    SOURCE,
    WEBHOOK,
    ALERTS,
    NOTIFY,
    CONNECT,
    SYNC,
    EVENT,
    EXTERNAL_ID,
    REFRESH,
    ORG_DEFAULTS,
    LIMITS,
    ORG,
    ORG_SYNC,
    AUTH,
];

/// The whole file.
#[derive(Debug)]
pub(super) struct Tables<'t> {
    pub(super) service: Option<ServiceTable<'t>>,
    pub(super) source: Option<SourceTable<'t>>,
    pub(super) webhook: Option<WebhookTable<'t>>,
    pub(super) alerts: Option<AlertsTable<'t>>,
    pub(super) notify: Vec<NotifyTable<'t>>,
    pub(super) connect: Option<ConnectTable<'t>>,
    pub(super) syncs: Vec<SyncTable<'t>>,
    pub(super) org_defaults: Option<OrgBasicsTable<'t>>,
    pub(super) orgs: Vec<OrgTable<'t>>,
}

/// `[service]`.
#[derive(Debug)]
pub(super) struct ServiceTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) data_dir: Option<Written<String>>,
    pub(super) vault_key_env: Option<Written<String>>,
    pub(super) vault_key_file: Option<Written<String>>,
    pub(super) orgs_dir: Option<Written<String>>,
    pub(super) listen: Option<Written<String>>,
    pub(super) tls: Option<TlsTable<'t>>,
    pub(super) behind_proxy: Option<Written<bool>>,
    pub(super) metrics: Option<MetricsTable<'t>>,
    pub(super) hosts: Option<Vec<Written<String>>>,
    pub(super) durability: Option<Written<String>>,
    pub(super) cache_mb: Option<Written<u32>>,
    pub(super) ledger_days: Option<Written<u32>>,
    pub(super) free_min_mb: Option<Written<u32>>,
    pub(super) queue_max: Option<Written<u32>>,
    pub(super) refreshes_max: Option<Written<u32>>,
    pub(super) traces: Option<TracesTable<'t>>,
}

/// `traces` of the service.
#[derive(Debug)]
pub(super) struct TracesTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) endpoint: Option<Written<String>>,
    pub(super) headers_env: Option<Written<String>>,
    pub(super) headers_file: Option<Written<String>>,
    pub(super) sample_ratio: Option<Written<f64>>,
    pub(super) timeout_secs: Option<Written<u32>>,
}

/// `metrics` of the service.
#[derive(Debug)]
pub(super) struct MetricsTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) per_org: Option<Written<String>>,
    pub(super) orgs_max: Option<Written<u32>>,
}

/// `tls` of the service.
#[derive(Debug)]
pub(super) struct TlsTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) cert_file: Option<Written<String>>,
    pub(super) key_file: Option<Written<String>>,
}

/// `[source]`.
#[derive(Debug)]
pub(super) struct SourceTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) url: Option<Written<String>>,
    pub(super) token_env: Option<Written<String>>,
    pub(super) requests_per_second: Option<Written<u32>>,
    pub(super) concurrent_max: Option<Written<u32>>,
    pub(super) timeout_secs: Option<Written<u32>>,
}

/// `[webhook]`.
#[derive(Debug)]
pub(super) struct WebhookTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) url: Option<Written<String>>,
    pub(super) token_env: Option<Written<String>>,
}

/// `[alerts]`.
#[derive(Debug)]
pub(super) struct AlertsTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) base_url: Option<Written<String>>,
    pub(super) dead_letters_max: Option<Written<u32>>,
    pub(super) no_event_hours: Option<Written<u32>>,
    pub(super) waiting_minutes: Option<Written<u32>>,
    pub(super) hold_secs: Option<Written<u32>>,
    pub(super) clear_secs: Option<Written<u32>>,
    pub(super) group_from: Option<Written<u32>>,
}

/// `[[notify]]`.
#[derive(Debug)]
pub(super) struct NotifyTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) name: Option<Written<String>>,
    pub(super) kind: Option<Written<String>>,
    pub(super) url: Option<Written<String>>,
    pub(super) url_env: Option<Written<String>>,
    pub(super) url_file: Option<Written<String>>,
    pub(super) secret_env: Option<Written<String>>,
    pub(super) secret_file: Option<Written<String>>,
    pub(super) alerts: Option<Vec<Written<String>>>,
    pub(super) orgs: Option<Vec<Written<String>>>,
    pub(super) severity_min: Option<Written<String>>,
}

/// `[connect]`.
#[derive(Debug)]
pub(super) struct ConnectTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) base_url: Option<Written<String>>,
    pub(super) vendor: Option<Written<String>>,
    pub(super) client_id: Option<Written<String>>,
    pub(super) client_secret_env: Option<Written<String>>,
    pub(super) client_secret_file: Option<Written<String>>,
    pub(super) link_days: Option<Written<u32>>,
}

/// `[[sync]]`.
#[derive(Debug)]
pub(super) struct SyncTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) name: Option<Written<String>>,
    pub(super) channel: Option<Written<String>>,
    pub(super) event: Option<EventTable<'t>>,
    pub(super) object: Option<Written<String>>,
    pub(super) keys: Option<BTreeMap<String, Written<String>>>,
    pub(super) matching: Option<Written<String>>,
    pub(super) target: Option<Written<String>>,
    pub(super) external_id: Option<ExternalIdTable<'t>>,
    pub(super) write: Option<Written<String>>,
    pub(super) on_refused_field: Option<Written<String>>,
    pub(super) on_shared_key: Option<Written<String>>,
    pub(super) fields: Option<BTreeMap<String, MappedValue>>,
    pub(super) refresh: Option<RefreshTable<'t>>,
}

/// `event = { … }` in a sync.
#[derive(Debug)]
pub(super) struct EventTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) ids: Option<Written<String>>,
    pub(super) object: Option<Written<String>>,
    pub(super) reason: Option<Written<String>>,
    pub(super) correlation_id: Option<Written<String>>,
    pub(super) watch: Option<Vec<Written<String>>>,
}

/// `external_id = { … }` in a sync.
#[derive(Debug)]
pub(super) struct ExternalIdTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) field: Option<Written<String>>,
    pub(super) from: Option<MappedValue>,
}

/// `refresh = { … }` in a sync.
#[derive(Debug)]
pub(super) struct RefreshTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) condition: Option<Written<String>>,
    pub(super) schedule: Option<Written<String>>,
    pub(super) changes: Option<Written<String>>,
    pub(super) window: Option<Written<String>>,
    pub(super) batch: Option<Written<u32>>,
    pub(super) bulk_from: Option<Written<u32>>,
    pub(super) on_deleted: Option<Written<String>>,
}

/// What `[org_defaults]` and `[[org]]` share.
#[derive(Debug)]
pub(super) struct OrgBasicsTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) login_url: Option<Written<String>>,
    pub(super) instance_hosts: Option<Vec<Written<String>>>,
    pub(super) api_version: Option<Written<String>>,
    pub(super) time_zone: Option<Written<String>>,
    pub(super) namespace: Option<Written<String>>,
    pub(super) limits: LimitsTable,
}

/// `limits`; a key that is not there is taken from the next wider table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LimitsTable {
    pub(super) daily_share: Option<f64>,
    pub(super) reserve: Option<f64>,
    pub(super) requests_per_second: Option<u32>,
    pub(super) concurrent_max: Option<u32>,
    pub(super) bulk_from: Option<u32>,
    pub(super) strategy: Option<Strategy>,
    pub(super) linger_millis: Option<u32>,
}

/// `[[org]]`.
#[derive(Debug)]
pub(super) struct OrgTable<'t> {
    pub(super) basics: OrgBasicsTable<'t>,
    pub(super) id: Option<Written<String>>,
    pub(super) auth: Option<AuthTable<'t>>,
    pub(super) syncs: Option<Vec<Written<String>>>,
    /// `[org.sync.NAME]`, by the names: what of a sync this org has otherwise.
    pub(super) overrides: Vec<(String, Section<'t>)>,
}

/// `auth = { … }` in an org.
#[derive(Debug)]
pub(super) struct AuthTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) flow: Option<Written<String>>,
    pub(super) client_id: Option<Written<String>>,
    pub(super) client_id_env: Option<Written<String>>,
    pub(super) username: Option<Written<String>>,
    pub(super) key_file: Option<Written<String>>,
    pub(super) key_env: Option<Written<String>>,
    pub(super) audience: Option<Written<String>>,
    pub(super) client_secret_env: Option<Written<String>>,
    pub(super) client_secret_file: Option<Written<String>>,
    pub(super) refresh_token_env: Option<Written<String>>,
    pub(super) refresh_token_file: Option<Written<String>>,
}

/// The orgs of a file that has nothing else.
pub(super) fn orgs_alone<'t>(table: &'t toml::de::DeTable<'t>, report: &mut Report<'_>) -> Vec<OrgTable<'t>> {
    let top = Section::top(table);
    top.allow(&["org"], alone, report);
    top.sections(report, "org", "id").into_iter().map(|section| org(section, report)).collect()
}

/// A hint for what stands in the settings file only.
fn alone(key: &str) -> Option<String> {
    TOP.1
        .contains(&key)
        .then(|| "Here are `[[org]]` tables alone; the rest stands in the settings file.".to_owned())
}

impl<'t> Tables<'t> {
    /// Reads all tables; wrong types and unknown keys go to the report.
    pub(super) fn read(table: &'t toml::de::DeTable<'t>, report: &mut Report<'_>) -> Self {
        let top = Section::top(table);
        top.allow(TOP.1, plural, report);
        Self {
            service: top.section(report, "service").map(|section| service(section, report)),
            source: top.section(report, "source").map(|section| source(section, report)),
            webhook: top.section(report, "webhook").map(|section| webhook(section, report)),
            alerts: top.section(report, "alerts").map(|section| alerts(section, report)),
            notify: top
                .sections(report, "notify", "name")
                .into_iter()
                .map(|section| notify(section, report))
                .collect(),
            connect: top.section(report, "connect").map(|section| connect(section, report)),
            syncs: top
                .sections(report, "sync", "name")
                .into_iter()
                .map(|section| sync(section, report))
                .collect(),
            org_defaults: top.section(report, "org_defaults").map(|section| {
                section.allow(ORG_DEFAULTS.1, secret, report);
                basics(section, report)
            }),
            orgs: top.sections(report, "org", "id").into_iter().map(|section| org(section, report)).collect(),
        }
    }
}

fn service<'t>(section: Section<'t>, report: &mut Report<'_>) -> ServiceTable<'t> {
    section.allow(SERVICE.1, gone, report);
    ServiceTable {
        data_dir: section.text(report, "data_dir"),
        vault_key_env: section.text(report, "vault_key_env"),
        vault_key_file: section.text(report, "vault_key_file"),
        orgs_dir: section.text(report, "orgs_dir"),
        listen: section.text(report, "listen"),
        tls: section.section(report, "tls").map(|section| {
            section.allow(TLS.1, secret, report);
            TlsTable {
                cert_file: section.text(report, "cert_file"),
                key_file: section.text(report, "key_file"),
                section,
            }
        }),
        behind_proxy: section.flag(report, "behind_proxy"),
        metrics: section.section(report, "metrics").map(|section| {
            section.allow(METRICS.1, secret, report);
            MetricsTable {
                per_org: section.text(report, "per_org"),
                orgs_max: section.whole(report, "orgs_max", METRICS_ORGS_MAX),
                section,
            }
        }),
        hosts: section.texts(report, "hosts"),
        durability: section.text(report, "durability"),
        cache_mb: section.whole(report, "cache_mb", CACHE_MB),
        ledger_days: section.whole(report, "ledger_days", LEDGER_DAYS),
        free_min_mb: section.whole(report, "free_min_mb", FREE_MIN_MB),
        queue_max: section.whole(report, "queue_max", QUEUE_MAX),
        refreshes_max: section.whole(report, "refreshes_max", REFRESHES_MAX),
        traces: section.section(report, "traces").map(|section| {
            section.allow(TRACES.1, headers, report);
            TracesTable {
                endpoint: section.text(report, "endpoint"),
                headers_env: section.text(report, "headers_env"),
                headers_file: section.text(report, "headers_file"),
                sample_ratio: section.share(report, "sample_ratio"),
                timeout_secs: section.whole(report, "timeout_secs", TRACES_TIMEOUT_SECS),
                section,
            }
        }),
        section,
    }
}

fn source<'t>(section: Section<'t>, report: &mut Report<'_>) -> SourceTable<'t> {
    section.allow(SOURCE.1, secret, report);
    SourceTable {
        url: section.text(report, "url"),
        token_env: section.text(report, "token_env"),
        requests_per_second: section.whole(report, "requests_per_second", SOURCE_REQUESTS_PER_SECOND),
        concurrent_max: section.whole(report, "concurrent_max", SOURCE_CONCURRENT_MAX),
        timeout_secs: section.whole(report, "timeout_secs", SOURCE_TIMEOUT_SECS),
        section,
    }
}

fn webhook<'t>(section: Section<'t>, report: &mut Report<'_>) -> WebhookTable<'t> {
    section.allow(WEBHOOK.1, secret, report);
    WebhookTable { url: section.text(report, "url"), token_env: section.text(report, "token_env"), section }
}

fn alerts<'t>(section: Section<'t>, report: &mut Report<'_>) -> AlertsTable<'t> {
    section.allow(ALERTS.1, nothing, report);
    AlertsTable {
        base_url: section.text(report, "base_url"),
        dead_letters_max: section.whole(report, "dead_letters_max", DEAD_LETTERS_MAX),
        no_event_hours: section.whole(report, "no_event_hours", NO_EVENT_HOURS),
        waiting_minutes: section.whole(report, "waiting_minutes", WAITING_MINUTES),
        hold_secs: section.whole(report, "hold_secs", HOLD_SECS),
        clear_secs: section.whole(report, "clear_secs", HOLD_SECS),
        group_from: section.whole(report, "group_from", GROUP_FROM),
        section,
    }
}

fn notify<'t>(section: Section<'t>, report: &mut Report<'_>) -> NotifyTable<'t> {
    section.allow(NOTIFY.1, notify_secret, report);
    NotifyTable {
        name: section.text(report, "name"),
        kind: section.text(report, "kind"),
        url: section.text(report, "url"),
        url_env: section.text(report, "url_env"),
        url_file: section.text(report, "url_file"),
        secret_env: section.text(report, "secret_env"),
        secret_file: section.text(report, "secret_file"),
        alerts: section.texts(report, "alerts"),
        orgs: section.texts(report, "orgs"),
        severity_min: section.text(report, "severity_min"),
        section,
    }
}

/// A hint for a secret that stands in the file.
fn notify_secret(key: &str) -> Option<String> {
    matches!(key, "secret" | "key" | "routing_key" | "token").then(|| {
        "Secrets do not stand in this file; write `secret_env = \"PAGERDUTY_KEY\"` instead.".to_owned()
    })
}

fn connect<'t>(section: Section<'t>, report: &mut Report<'_>) -> ConnectTable<'t> {
    section.allow(CONNECT.1, secret, report);
    ConnectTable {
        base_url: section.text(report, "base_url"),
        vendor: section.text(report, "vendor"),
        client_id: section.text(report, "client_id"),
        client_secret_env: section.text(report, "client_secret_env"),
        client_secret_file: section.text(report, "client_secret_file"),
        link_days: section.whole(report, "link_days", LINK_DAYS),
        section,
    }
}

/// Reads a `[[sync]]`.
pub(super) fn sync<'t>(section: Section<'t>, report: &mut Report<'_>) -> SyncTable<'t> {
    section.allow(SYNC.1, nothing, report);
    SyncTable {
        name: section.text(report, "name"),
        channel: section.text(report, "channel"),
        event: section.section(report, "event").map(|section| {
            section.allow(EVENT.1, nothing, report);
            EventTable {
                ids: section.text(report, "ids"),
                object: section.text(report, "object"),
                reason: section.text(report, "reason"),
                correlation_id: section.text(report, "correlation_id"),
                watch: section.texts(report, "watch"),
                section,
            }
        }),
        object: section.text(report, "object"),
        keys: section.pairs(report, "keys"),
        matching: section.text(report, "match"),
        target: section.text(report, "target"),
        external_id: section.section(report, "external_id").map(|section| {
            section.allow(EXTERNAL_ID.1, nothing, report);
            ExternalIdTable {
                field: section.text(report, "field"),
                from: mapped::value(&section, report, "from"),
                section,
            }
        }),
        write: section.text(report, "write"),
        on_refused_field: section.text(report, "on_refused_field"),
        on_shared_key: section.text(report, "on_shared_key"),
        fields: mapped::values(&section, report, "fields"),
        refresh: section.section(report, "refresh").map(|section| {
            section.allow(REFRESH.1, nothing, report);
            RefreshTable {
                condition: section.text(report, "where"),
                schedule: section.text(report, "schedule"),
                changes: section.text(report, "changes"),
                window: section.text(report, "window"),
                batch: section.whole(report, "batch", REFRESH_BATCH),
                bulk_from: section.whole(report, "bulk_from", REFRESH_BULK_FROM),
                on_deleted: section.text(report, "on_deleted"),
                section,
            }
        }),
        section,
    }
}

fn basics<'t>(section: Section<'t>, report: &mut Report<'_>) -> OrgBasicsTable<'t> {
    OrgBasicsTable {
        login_url: section.text(report, "login_url"),
        instance_hosts: section.texts(report, "instance_hosts"),
        api_version: section.text(report, "api_version"),
        time_zone: section.text(report, "time_zone"),
        namespace: section.text(report, "namespace"),
        limits: section
            .section(report, "limits")
            .map_or_else(LimitsTable::default, |section| limits(&section, report)),
        section,
    }
}

fn limits(section: &Section<'_>, report: &mut Report<'_>) -> LimitsTable {
    section.allow(LIMITS.1, nothing, report);
    let share = |report: &mut Report<'_>, key: &str, senseless: f64, why: &str| {
        let share = section.share(report, key)?;
        // Exact on purpose: only the very ends of the range are senseless.
        if share.value.to_bits() == senseless.to_bits() {
            section.problem(
                report,
                share.line,
                key,
                &format!("is {senseless}, {why}"),
                "Choose a share in between.",
            );
            return None;
        }
        Some(share.value)
    };
    let strategy = section.text(report, "strategy").and_then(|written| match written.value.as_str() {
        "count" => Some(Strategy::Count),
        "cost" => Some(Strategy::Cost),
        other => {
            let message = format!("is `{other}`, which is no strategy");
            let hint =
                "Write \"count\" (from `bulk_from` records on Bulk API 2.0) or \"cost\" (fewest API calls).";
            section.problem(report, written.line, "strategy", &message, hint);
            None
        }
    });
    LimitsTable {
        strategy,
        daily_share: share(report, "daily_share", 0.0, "which forbids every call"),
        reserve: share(report, "reserve", 1.0, "which leaves orgpipe no call"),
        requests_per_second: section
            .whole(report, "requests_per_second", ORG_REQUESTS_PER_SECOND)
            .map(|written| written.value),
        concurrent_max: section
            .whole(report, "concurrent_max", ORG_CONCURRENT_MAX)
            .map(|written| written.value),
        bulk_from: section.whole(report, "bulk_from", BULK_FROM).map(|written| written.value),
        linger_millis: section.whole(report, "linger_millis", LINGER_MILLIS).map(|written| written.value),
    }
}

fn org<'t>(section: Section<'t>, report: &mut Report<'_>) -> OrgTable<'t> {
    section.allow(ORG.1, secret, report);
    OrgTable {
        id: section.text(report, "id"),
        auth: section.section(report, "auth").map(|section| auth(section, report)),
        syncs: section.texts(report, "syncs"),
        overrides: overrides(&section, report),
        basics: basics(section, report),
    }
}

fn overrides<'t>(section: &Section<'t>, report: &mut Report<'_>) -> Vec<(String, Section<'t>)> {
    let overrides = section.named_sections(report, "sync");
    for (_, section) in &overrides {
        section.allow(ORG_SYNC.1, everywhere, report);
    }
    overrides
}

fn auth<'t>(section: Section<'t>, report: &mut Report<'_>) -> AuthTable<'t> {
    section.allow(AUTH.1, secret, report);
    AuthTable {
        flow: section.text(report, "flow"),
        client_id: section.text(report, "client_id"),
        client_id_env: section.text(report, "client_id_env"),
        username: section.text(report, "username"),
        key_file: section.text(report, "key_file"),
        key_env: section.text(report, "key_env"),
        audience: section.text(report, "audience"),
        client_secret_env: section.text(report, "client_secret_env"),
        client_secret_file: section.text(report, "client_secret_file"),
        refresh_token_env: section.text(report, "refresh_token_env"),
        refresh_token_file: section.text(report, "refresh_token_file"),
        section,
    }
}

fn nothing(_: &str) -> Option<String> {
    None
}

/// A hint for a key of a sync that is the same in all orgs.
fn everywhere(key: &str) -> Option<String> {
    let hint =
        "It is the same for all orgs of a sync; write a sync of its own, and choose by the orgs' `syncs`.";
    SYNC.1.contains(&key).then(|| hint.to_owned())
}

/// A hint for a key that an earlier version knew.
fn gone(key: &str) -> Option<String> {
    let instead = "The admin API asks for a token by now. Write `behind_proxy = true` where a proxy in front of it speaks TLS, \
                   or `tls = { cert_file = \"…\", key_file = \"…\" }`; with one of them `listen` may be any address.";
    (key == "listen_beyond_loopback").then(|| instead.to_owned())
}

/// A hint for headers written into the file.
fn headers(key: &str) -> Option<String> {
    let hint = "Headers may be secrets, so they do not stand in this file; write `headers_env = \"TRACES_HEADERS\"` instead.";
    (key == "headers").then(|| hint.to_owned())
}

/// A hint for a secret written into the file.
fn secret(key: &str) -> Option<String> {
    let instead = match key {
        "token" | "api_key" => "token_env = \"SOURCE_TOKEN\"",
        "client_secret" | "secret" | "password" => "client_secret_env = \"SF_CLIENT_SECRET\"",
        "refresh_token" => "refresh_token_file = \"secrets/refresh-token\"",
        "key" | "private_key" => "key_file = \"secrets/jwt.key\"",
        _ => return None,
    };
    Some(format!("Secrets do not stand in this file; write `{instead}` instead."))
}

/// A hint for tables called by their plural.
fn plural(key: &str) -> Option<String> {
    match key {
        "syncs" => Some("Write `[[sync]]`, once for each sync.".to_owned()),
        "orgs" => Some("Write `[[org]]`, once for each org.".to_owned()),
        "alert" => Some("Write `[alerts]`.".to_owned()),
        _ => None,
    }
}
