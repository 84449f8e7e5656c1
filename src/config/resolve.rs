//! From tables to typed settings: what each value means, and whether it makes sense.
//!
//! Here: service, source, orgs, defaults. `listen`, `sync` and `login` have files of their own, `value` has the single values.
//! Not here: keys and ranges (`tables`), reading the environment (`secrets`).
//!
//! Invariant: a check that fails is in the report; `None` alone never explains anything.

mod channel;
mod listen;
mod login;
mod package;
mod sync;
mod value;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use orgpipe_actors::{
    Failpoints,
    settings::{Limits, OrgSettings, Settings, SourceSettings, WebhookSettings},
};
use orgpipe_reconcile::route::Strategy;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use self::{
    login::{Known, LoginSources},
    sync::CheckedSync,
    value::{api_version, base_url, duplicate, name, namespace, time_zone, url},
};
use super::{
    contents::Config,
    reader::{Section, Written},
    report::{Report, closest},
    secrets::Environment,
    tables::{LimitsTable, OrgBasicsTable, OrgTable, ServiceTable, SourceTable, Tables, WebhookTable},
};

/// REST and CometD version used unless the file says otherwise (Spring '26).
const API_VERSION: &str = "66.0";
/// Where production orgs without a My Domain log in.
const LOGIN_URL: &str = "https://login.salesforce.com";
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

const LIMITS: Limits = Limits {
    daily_share: 0.25,
    reserve: 0.20,
    requests_per_second: 10,
    concurrent_max: 5,
    bulk_from: 10,
    strategy: Strategy::Count,
    linger: Duration::from_secs(1),
};
/// Between two batches that end in one sObject Collections call each, unless the file says otherwise; the value above is
/// for those that end in Bulk jobs, eight calls each.
const LINGER_COST: Duration = Duration::from_millis(500);

/// The settings a file means; relative paths start from `folder`.
pub(super) fn config(
    tables: &Tables<'_>,
    folder: &Path,
    environment: &Environment,
    report: &mut Report<'_>,
) -> Option<Config> {
    let admin = listen::resolve(tables.service.as_ref(), folder, environment, report);
    let service = service(tables.service.as_ref(), folder, report);
    let source = source(tables.source.as_ref(), environment, report);
    let webhook = match &tables.webhook {
        Some(table) => webhook(table, environment, report).map(Some),
        None => Some(None),
    };
    let syncs = sync::all(&tables.syncs, &namespaces(tables.org_defaults.as_ref(), &tables.orgs), report);
    let defaults = Defaults::of(tables.org_defaults.as_ref(), report);
    if tables.orgs.is_empty() {
        let hint = "Write `[[org]]` with `id` and `auth`, once for each customer's org.";
        report.add_at(None, "there is no org", hint);
    }
    let mut orgs =
        Orgs { syncs, defaults, folder, environment, known: Known::default(), seen: Seen::default() };
    let resolved: Vec<_> = tables.orgs.iter().map(|table| orgs.resolve(table, report)).collect();
    let (admin, service, source, webhook) = (admin?, service?, source?, webhook?);
    Some(Config {
        admin,
        settings: Settings {
            data_dir: service.data_dir,
            durable_against_power_loss: service.durable_against_power_loss,
            cache_bytes: service.cache_bytes,
            ledger_days: service.ledger_days,
            free_bytes_min: service.free_bytes_min,
            queue_max: service.queue_max,
            refreshes_max: service.refreshes_max,
            source,
            webhook,
            orgs: resolved.into_iter().collect::<Option<Vec<_>>>()?,
            failpoints: Failpoints::default(),
        },
    })
}

/// The namespaces of all orgs, as they are written.
fn namespaces(defaults: Option<&OrgBasicsTable<'_>>, orgs: &[OrgTable<'_>]) -> Vec<String> {
    let written = |table: &OrgBasicsTable<'_>| table.namespace.as_ref().map(|written| written.value.clone());
    let default = defaults.and_then(written).unwrap_or_default();
    orgs.iter().map(|org| written(&org.basics).unwrap_or_else(|| default.clone())).collect()
}

struct Service {
    data_dir: std::path::PathBuf,
    durable_against_power_loss: bool,
    cache_bytes: u64,
    ledger_days: u32,
    free_bytes_min: u64,
    queue_max: u64,
    refreshes_max: usize,
}

fn service(table: Option<&ServiceTable<'_>>, folder: &Path, report: &mut Report<'_>) -> Option<Service> {
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
    Some(Service {
        data_dir: folder.join(data_dir.map_or("data", |written| written.value.as_str())),
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

/// What an org has unless it says otherwise; a wrong default is reported once, where it stands.
struct Defaults {
    login_url: Option<Url>,
    api_version: Option<String>,
    time_zone: Option<chrono_tz::Tz>,
    namespace: Option<String>,
    limits: LimitsTable,
}

impl Defaults {
    fn of(table: Option<&OrgBasicsTable<'_>>, report: &mut Report<'_>) -> Self {
        let basics = table.map(|table| (OrgBasics::of(table, report), table.limits));
        let (basics, limits) = basics.unwrap_or_default();
        Self {
            login_url: basics.login_url.or_else(|| Url::parse(LOGIN_URL).ok()),
            api_version: basics.api_version.or_else(|| Some(API_VERSION.to_owned())),
            time_zone: basics.time_zone.or(Some(chrono_tz::UTC)),
            namespace: basics.namespace.or_else(|| Some(String::new())),
            limits,
        }
    }
}

/// The checked values of what an org and the defaults share; `None` = not written, or reported.
#[derive(Default)]
struct OrgBasics {
    login_url: Option<Url>,
    api_version: Option<String>,
    time_zone: Option<chrono_tz::Tz>,
    namespace: Option<String>,
}

impl OrgBasics {
    fn of(table: &OrgBasicsTable<'_>, report: &mut Report<'_>) -> Self {
        let section = &table.section;
        Self {
            login_url: table
                .login_url
                .as_ref()
                .and_then(|written| base_url(section, report, "login_url", written)),
            api_version: table.api_version.as_ref().and_then(|written| api_version(section, report, written)),
            time_zone: table.time_zone.as_ref().and_then(|written| time_zone(section, report, written)),
            namespace: table.namespace.as_ref().and_then(|written| namespace(section, report, written)),
        }
    }
}

/// Line and label of what came earlier in the file, by what must be unique.
#[derive(Default)]
struct Seen {
    ids: BTreeMap<String, usize>,
    logins: BTreeMap<String, usize>,
}

struct Orgs<'a> {
    syncs: Vec<CheckedSync>,
    defaults: Defaults,
    folder: &'a Path,
    environment: &'a Environment,
    known: Known,
    seen: Seen,
}

impl Orgs<'_> {
    fn resolve(&mut self, table: &OrgTable<'_>, report: &mut Report<'_>) -> Option<Arc<OrgSettings>> {
        let section = &table.basics.section;
        let hint = "Give the org a name of your own, such as `id = \"acme\"`.";
        let id = section.demand(report, "id", table.id.as_ref(), hint).and_then(|written| {
            duplicate(section, report, "id", written, &mut self.seen.ids);
            name(section, report, "id", written)
        });
        let basics = OrgBasics::of(&table.basics, report);
        let login_url = basics.login_url.or_else(|| self.defaults.login_url.clone());
        let login = self.login(table, login_url, report);
        let namespace = basics.namespace.or_else(|| self.defaults.namespace.clone());
        let syncs = self.syncs_of(table, namespace.as_deref(), report);
        Some(Arc::new(OrgSettings {
            id: id?,
            login: login?,
            api_version: basics.api_version.or_else(|| self.defaults.api_version.clone())?,
            time_zone: basics.time_zone.or(self.defaults.time_zone)?,
            namespace: namespace?,
            limits: limits(table.basics.limits, self.defaults.limits),
            syncs: syncs?,
        }))
    }

    fn login(
        &mut self,
        table: &OrgTable<'_>,
        login_url: Option<Url>,
        report: &mut Report<'_>,
    ) -> Option<orgpipe_salesforce::oauth::Login> {
        let section = &table.basics.section;
        let hint = "Write `auth = { flow = \"jwt\", … }`; config/one-org.toml has a whole one.";
        let auth = section.demand(report, "auth", table.auth.as_ref(), hint)?;
        let sources =
            LoginSources { folder: self.folder, environment: self.environment, login_url: login_url? };
        let (login, identity) = login::resolve(auth, sources, &mut self.known, report)?;
        if let Some(line) = self.seen.logins.insert(identity, section.line) {
            let message =
                format!("logs in as the org on line {line} does, so both would write the same records");
            let hint = "Keep one of the two; one org can have several syncs.";
            section.say(report, section.line, &message, hint);
            return None;
        }
        Some(login)
    }

    fn syncs_of(
        &self,
        table: &OrgTable<'_>,
        namespace: Option<&str>,
        report: &mut Report<'_>,
    ) -> Option<Vec<Arc<orgpipe_actors::settings::SyncSettings>>> {
        let section = &table.basics.section;
        let mut right = true;
        let chosen: Vec<&CheckedSync> = match &table.syncs {
            None if section.has("syncs") => return None,
            None => self.syncs.iter().collect(),
            Some(names) => {
                if names.is_empty() {
                    let hint = "Remove the key to have all syncs, or remove the org.";
                    section.problem(
                        report,
                        section.line,
                        "syncs",
                        "is empty, so the org would get nothing",
                        hint,
                    );
                    right = false;
                }
                for (place, written) in names.iter().enumerate() {
                    if names[..place].iter().any(|earlier| earlier.value == written.value) {
                        let message = format!("names `{}` twice", written.value);
                        section.problem(report, written.line, "syncs", &message, "Remove one of them.");
                        right = false;
                    }
                    if !self.syncs.iter().any(|sync| sync.name == written.value) {
                        self.no_such_sync(section, written.line, &written.value, report);
                        right = false;
                    }
                }
                let is_chosen = |sync: &&CheckedSync| names.iter().any(|written| written.value == sync.name);
                self.syncs.iter().filter(is_chosen).collect()
            }
        };
        let namespace = namespace?;
        let mut syncs = Vec::with_capacity(chosen.len());
        for sync in chosen {
            match sync.for_org(namespace) {
                Ok(settings) => syncs.extend(settings.map(Arc::new)),
                Err(problems) => {
                    right = false;
                    for problem in problems {
                        let message =
                            format!("sync \"{}\" with namespace `{namespace}`: {problem}", sync.name);
                        section.say(report, section.line, &message, problem.hint.clone());
                    }
                }
            }
        }
        right.then_some(syncs)
    }

    fn no_such_sync(&self, section: &Section<'_>, line: usize, name: &str, report: &mut Report<'_>) {
        let names: Vec<&str> = self.syncs.iter().map(|sync| sync.name.as_str()).collect();
        let hint = match closest(name, names.iter().copied()) {
            Some(meant) => format!("Did you mean `{meant}`?"),
            None if names.is_empty() => "Write `[[sync]]` first.".to_owned(),
            None => format!("There are: {}.", names.join(", ")),
        };
        section.problem(report, line, "syncs", &format!("names `{name}`, but no sync has this name"), hint);
    }
}

fn limits(org: LimitsTable, defaults: LimitsTable) -> Limits {
    let bulk_from = org.bulk_from.or(defaults.bulk_from).and_then(|count| usize::try_from(count).ok());
    let strategy = org.strategy.or(defaults.strategy).unwrap_or(LIMITS.strategy);
    let linger = match strategy {
        Strategy::Count => LIMITS.linger,
        Strategy::Cost => LINGER_COST,
    };
    let linger_millis = org.linger_millis.or(defaults.linger_millis);
    Limits {
        daily_share: org.daily_share.or(defaults.daily_share).unwrap_or(LIMITS.daily_share),
        reserve: org.reserve.or(defaults.reserve).unwrap_or(LIMITS.reserve),
        requests_per_second: org
            .requests_per_second
            .or(defaults.requests_per_second)
            .unwrap_or(LIMITS.requests_per_second),
        concurrent_max: org.concurrent_max.or(defaults.concurrent_max).unwrap_or(LIMITS.concurrent_max),
        bulk_from: bulk_from.unwrap_or(LIMITS.bulk_from),
        strategy,
        linger: linger_millis.map_or(linger, |millis| Duration::from_millis(millis.into())),
    }
}
