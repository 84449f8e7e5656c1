//! From tables to typed settings: what each value means, and whether it makes sense.
//!
//! Here: service, source, orgs, defaults. `listen`, `sync` and `login` have files of their own, `value` has the single values.
//! Not here: keys and ranges (`tables`), reading the environment (`secrets`).
//!
//! Invariant: a check that fails is in the report; `None` alone never explains anything.

mod alerts;
mod channel;
mod connect;
mod credential;
mod listen;
mod login;
mod metrics;
mod modes;
mod orgs;
mod package;
mod sync;
mod traces;
mod value;
mod vault;

use std::{collections::BTreeMap, path::Path, time::Duration};

use orgpipe_actors::{
    Failpoints, Sampling,
    settings::{Settings, SourceSettings, VaultKey, WebhookSettings},
};
use secrecy::{ExposeSecret, SecretString};

use self::{
    orgs::{Defaults, Orgs},
    value::url,
};
use super::{
    contents::Config,
    reader::{Section, Written},
    report::Report,
    secrets::Environment,
    tables::{OrgBasicsTable, OrgTable, ServiceTable, SourceTable, Tables, WebhookTable},
};

/// Megabytes of page cache unless the file says otherwise.
const CACHE_MB: u32 = 64;
/// Days for which the ledger's rows are kept, unless the file says otherwise.
const LEDGER_DAYS: u32 = 30;
/// Records of one org that may wait, unless the file says otherwise.
const QUEUE_MAX: u32 = 1_000_000;
const FREE_MIN_MB: u32 = 200;
/// Orgs that read a page of a refresh at the same time unless the file says otherwise.
const REFRESHES_MAX: u32 = 8;
const BYTES_PER_MB: u64 = 1024 * 1024;

/// A file of orgs beside the settings, or an org of the store.
pub(super) struct OrgFile<'t> {
    /// What stands in it.
    pub(super) orgs: Vec<OrgTable<'t>>,
    /// What is wrong with it.
    pub(super) report: Report<'t>,
    /// Where it comes from.
    pub(super) origin: Origin,
}

/// Where a text with orgs comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A file of the folder.
    Folder,
    /// The store: what is wrong with it leaves out this one alone.
    Stored,
    /// The same, of an org that is not worked for yet: it has its name, and nothing else.
    Reserved,
}

/// The settings a file means, with the orgs of others; relative paths start from `folder`.
pub(super) fn config(
    tables: &Tables<'_>,
    folder: &Path,
    environment: &Environment,
    files: &mut [OrgFile<'_>],
    report: &mut Report<'_>,
) -> Option<Config> {
    let admin = listen::resolve(tables.service.as_ref(), folder, environment, report);
    let service = service(tables.service.as_ref(), folder, environment, report);
    let traces = match tables.service.as_ref().and_then(|table| table.traces.as_ref()) {
        Some(table) => traces::traces(table, folder, environment, report).map(Some),
        None => Some(None),
    };
    let source = source(tables.source.as_ref(), environment, report);
    let webhook = match &tables.webhook {
        Some(table) => webhook(table, environment, report).map(Some),
        None => Some(None),
    };
    let all = tables.orgs.iter().chain(files.iter().flat_map(|file| &file.orgs));
    let syncs = sync::all(&tables.syncs, &namespaces(tables.org_defaults.as_ref(), all), report);
    let defaults = Defaults::of(tables.org_defaults.as_ref(), report);
    let connect = match &tables.connect {
        Some(table) => connect::connect(table, folder, environment, report).map(Some),
        None => Some(None),
    };
    let connect_url = connect.as_ref().and_then(Option::as_ref).map(|connect| &connect.base_url);
    let from = alerts::From { folder, environment };
    let alerts = alerts::alerts(tables.alerts.as_ref(), &tables.notify, connect_url, from, report);
    if tables.orgs.is_empty() && files.is_empty() && tables.connect.is_none() {
        let hint = "Write `[[org]]` with `id` and `auth`, once for each customer's org, or `[connect]` to invite them.";
        report.warn_at(None, "there is no org", hint);
    }
    let app = connect.as_ref().and_then(Option::as_ref).map(|connect| &connect.app);
    let mut orgs = Orgs::new((syncs, &tables.syncs), defaults, folder, environment, app);
    let mut resolved: Vec<_> = tables.orgs.iter().map(|table| orgs.resolve(table, report)).collect();
    for file in files.iter_mut().filter(|file| file.origin == Origin::Folder) {
        resolved.extend(file.orgs.iter().map(|table| orgs.resolve(table, &mut file.report)));
    }
    for file in files.iter_mut().filter(|file| file.origin != Origin::Folder) {
        for table in &file.orgs {
            let id = table.id.as_ref().map(|id| id.value.as_str()).unwrap_or_default();
            if let Some(place) = orgs.place_of(id) {
                let hint =
                    format!("Take one of the two out, the one of the store by `orgpipe orgs remove {id}`.");
                let message = format!("org \"{id}\" is there already, {}", place.told(&file.report));
                file.report.add_at(None, message, hint);
                continue;
            }
            // What is wrong with one of these is that one's trouble, and stands in its report.
            let org = orgs.resolve(table, &mut file.report);
            if file.origin == Origin::Stored && file.report.is_empty() {
                resolved.extend(org.map(Some));
            }
        }
    }
    let (admin, service, source) = (admin?, service?, source?);
    let (webhook, connect, alerts) = (webhook?, connect?, alerts?);
    let traces = traces?;
    Some(Config {
        admin,
        connect,
        orgs_left_out: BTreeMap::new(),
        warnings: Vec::new(),
        settings: Settings {
            data_dir: service.data_dir,
            vault_key: service.vault_key,
            durable_against_power_loss: service.durable_against_power_loss,
            cache_bytes: service.cache_bytes,
            ledger_days: service.ledger_days,
            free_bytes_min: service.free_bytes_min,
            queue_max: service.queue_max,
            refreshes_max: service.refreshes_max,
            source,
            webhook,
            alerts,
            orgs: resolved.into_iter().collect::<Option<Vec<_>>>()?,
            traces: traces.as_ref().map_or(Sampling::NONE, |traces| Sampling::ratio(traces.sample_ratio)),
            failpoints: Failpoints::default(),
        },
        traces,
    })
}

/// The namespaces of all orgs, as they are written.
fn namespaces<'a>(
    defaults: Option<&OrgBasicsTable<'_>>,
    orgs: impl Iterator<Item = &'a OrgTable<'a>>,
) -> Vec<String> {
    let written = |table: &OrgBasicsTable<'_>| table.namespace.as_ref().map(|written| written.value.clone());
    let default = defaults.and_then(written).unwrap_or_default();
    orgs.map(|org| written(&org.basics).unwrap_or_else(|| default.clone())).collect()
}

struct Service {
    data_dir: std::path::PathBuf,
    vault_key: VaultKey,
    durable_against_power_loss: bool,
    cache_bytes: u64,
    ledger_days: u32,
    free_bytes_min: u64,
    queue_max: u64,
    refreshes_max: usize,
}

fn service(
    table: Option<&ServiceTable<'_>>,
    folder: &Path,
    environment: &Environment,
    report: &mut Report<'_>,
) -> Option<Service> {
    let data_dir = table.and_then(|table| table.data_dir.as_ref());
    if let (Some(table), Some(written)) = (table, data_dir)
        && written.value.trim().is_empty()
    {
        table.section.problem(
            report,
            written.line,
            "data_dir",
            "is empty",
            "Name a folder, such as \"data\".",
        );
    }
    let durable = match table.and_then(|table| Some((table, table.durability.as_ref()?))) {
        None => Some(true),
        Some((_, written)) if written.value == "power" => Some(true),
        Some((_, written)) if written.value == "process" => Some(false),
        Some((table, written)) => {
            let hint = "Write \"power\" (survives a power cut) or \"process\" (faster, survives a killed process only).";
            let message = format!("is `{}`, which is no durability", written.value);
            table.section.problem(report, written.line, "durability", &message, hint);
            None
        }
    };
    let number = |written: Option<&Option<Written<u32>>>, default: u32| {
        written.and_then(Option::as_ref).map_or(default, |written| written.value)
    };
    let data_dir = folder.join(data_dir.map_or("data", |written| written.value.as_str()));
    let vault_key = vault::vault_key(table, &data_dir, folder, environment, report);
    modes::warn_if_open(table, &data_dir, vault_key.as_ref(), environment, report);
    Some(Service {
        data_dir,
        vault_key: vault_key?,
        durable_against_power_loss: durable?,
        cache_bytes: u64::from(number(table.map(|table| &table.cache_mb), CACHE_MB)) * BYTES_PER_MB,
        ledger_days: number(table.map(|table| &table.ledger_days), LEDGER_DAYS),
        free_bytes_min: u64::from(number(table.map(|table| &table.free_min_mb), FREE_MIN_MB)) * BYTES_PER_MB,
        queue_max: u64::from(number(table.map(|table| &table.queue_max), QUEUE_MAX)),
        refreshes_max: number(table.map(|table| &table.refreshes_max), REFRESHES_MAX) as usize,
    })
}

fn source(
    table: Option<&SourceTable<'_>>,
    environment: &Environment,
    report: &mut Report<'_>,
) -> Option<SourceSettings> {
    let url_hint =
        "Write where your API takes look-ups, such as `url = \"https://api.example.com/v1/lookup\"`.";
    let Some(table) = table else {
        report.add_at(None, "`[source]` is missing", url_hint);
        return None;
    };
    let section = &table.section;
    let address = section.demand(report, "url", table.url.as_ref(), url_hint);
    let address = address.and_then(|written| url(section, report, "url", written));
    let token = match &table.token_env {
        None => None,
        Some(written) => Some(token(section, written, environment, report)?),
    };
    let or = |written: &Option<Written<u32>>, default: u32| {
        written.as_ref().map_or(default, |written| written.value)
    };
    Some(SourceSettings {
        url: address?,
        token,
        requests_per_second: or(&table.requests_per_second, 50),
        concurrent_max: or(&table.concurrent_max, 16),
        timeout: Duration::from_secs(u64::from(or(&table.timeout_secs, 30))),
    })
}

fn webhook(
    table: &WebhookTable<'_>,
    environment: &Environment,
    report: &mut Report<'_>,
) -> Option<WebhookSettings> {
    let section = &table.section;
    let hint = "Write where receipts are posted, such as `url = \"https://ops.example.com/orgpipe\"`.";
    let address = section.demand(report, "url", table.url.as_ref(), hint);
    let address = address.and_then(|written| url(section, report, "url", written));
    let token = match &table.token_env {
        None => None,
        Some(written) => Some(token(section, written, environment, report)?),
    };
    Some(WebhookSettings { url: address?, token })
}

fn token(
    section: &Section<'_>,
    written: &Written<String>,
    environment: &Environment,
    report: &mut Report<'_>,
) -> Option<SecretString> {
    let (message, hint) = match environment.variable(&written.value) {
        Ok(token) if token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) => return Some(token),
        Ok(_) => (
            format!("names `{}`, whose value has characters no HTTP header carries", written.value),
            "Give the variable the bare token: visible ASCII characters without blanks.".to_owned(),
        ),
        Err(problem) => (problem.to_string(), problem.hint()),
    };
    section.problem(report, written.line, "token_env", &message, hint);
    None
}
