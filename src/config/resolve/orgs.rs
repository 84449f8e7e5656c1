//! The orgs: what each means with the defaults, from whichever file it comes, and what no two of them may share.
//!
//! Here: `[org_defaults]` and `[[org]]`. Not here: logins (`login`), syncs (`sync`), single values (`value`).

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use orgpipe_actors::settings::{Limits, OrgSettings, SyncSettings, reading_along};
use orgpipe_reconcile::route::Strategy;
use orgpipe_salesforce::oauth::Login;
use url::Url;

use super::{
    login::{self, Known, LoginSources},
    sync::{self, CheckedSync},
    value::{api_version, base_url, host_names, name, namespace, time_zone},
};
use crate::config::{
    contents::ConnectApp,
    reader::Section,
    report::{Report, SettingLine, closest},
    secrets::Environment,
    tables::{LimitsTable, OrgBasicsTable, OrgTable, SyncTable},
};

/// Where production orgs without a My Domain log in.
const LOGIN_URL: &str = "https://login.salesforce.com";
/// REST and CometD version used unless the file says otherwise (Spring '26).
const API_VERSION: &str = "66.0";
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

/// What an org has unless it says otherwise; a wrong default is reported once, where it stands.
pub(super) struct Defaults {
    login_url: Option<Url>,
    instance_hosts: Vec<String>,
    api_version: Option<String>,
    time_zone: Option<chrono_tz::Tz>,
    namespace: Option<String>,
    limits: LimitsTable,
}

impl Defaults {
    pub(super) fn of(table: Option<&OrgBasicsTable<'_>>, report: &mut Report<'_>) -> Self {
        let basics = table.map(|table| (OrgBasics::of(table, report), table.limits));
        let (basics, limits) = basics.unwrap_or_default();
        Self {
            login_url: basics.login_url.or_else(|| Url::parse(LOGIN_URL).ok()),
            instance_hosts: basics.instance_hosts.unwrap_or_default(),
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
    instance_hosts: Option<Vec<String>>,
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
            instance_hosts: table.instance_hosts.as_ref().and_then(|written| {
                let hint = "Write a name alone, such as \"gateway.example.com\": no `https://`, no port.";
                host_names(section, report, "instance_hosts", written, hint)
            }),
            api_version: table.api_version.as_ref().and_then(|written| api_version(section, report, written)),
            time_zone: table.time_zone.as_ref().and_then(|written| time_zone(section, report, written)),
            namespace: table.namespace.as_ref().and_then(|written| namespace(section, report, written)),
        }
    }
}

/// Where what must be unique stood first.
#[derive(Default)]
struct Seen {
    /// By the name in lower case.
    ids: BTreeMap<String, SettingLine>,
    logins: BTreeMap<String, SettingLine>,
}

/// What all orgs are read with.
pub(super) struct Orgs<'a> {
    pub(super) syncs: Vec<CheckedSync>,
    /// As they are written, in the same order.
    pub(super) sync_tables: &'a [SyncTable<'a>],
    pub(super) defaults: Defaults,
    pub(super) folder: &'a Path,
    pub(super) environment: &'a Environment,
    pub(super) connect: Option<&'a ConnectApp>,
    known: Known,
    seen: Seen,
}

impl<'a> Orgs<'a> {
    /// No org was read yet.
    pub(super) fn new(
        (syncs, sync_tables): (Vec<CheckedSync>, &'a [SyncTable<'a>]),
        defaults: Defaults,
        folder: &'a Path,
        environment: &'a Environment,
        connect: Option<&'a ConnectApp>,
    ) -> Self {
        let (known, seen) = (Known::default(), Seen::default());
        Self { syncs, sync_tables, defaults, folder, environment, connect, known, seen }
    }

    /// Where an org of this name was written, if it was.
    pub(super) fn place_of(&self, id: &str) -> Option<&SettingLine> {
        self.seen.ids.get(&id.to_lowercase())
    }

    /// One org of the file that the report is on.
    pub(super) fn resolve(
        &mut self,
        table: &OrgTable<'_>,
        report: &mut Report<'_>,
    ) -> Option<Arc<OrgSettings>> {
        let section = &table.basics.section;
        let hint = "Give the org a name of your own, such as `id = \"acme\"`.";
        let id = section.demand(report, "id", table.id.as_ref(), hint).and_then(|written| {
            let place = report.place(written.line);
            if let Some(earlier) = self.seen.ids.insert(written.value.to_lowercase(), place) {
                let message = format!("is the same as {}", earlier.told(report));
                section.problem(report, written.line, "id", &message, "Rename one of the two, or remove it.");
            }
            name(section, report, "id", written)
        });
        let basics = OrgBasics::of(&table.basics, report);
        let login_url = basics.login_url.or_else(|| self.defaults.login_url.clone());
        let instance_hosts = basics.instance_hosts.unwrap_or_else(|| self.defaults.instance_hosts.clone());
        let login = self.login(table, login_url, instance_hosts, report);
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
        instance_hosts: Vec<String>,
        report: &mut Report<'_>,
    ) -> Option<Login> {
        let section = &table.basics.section;
        let hint = "Write `auth = { flow = \"jwt\", … }`; config/one-org.toml has a whole one.";
        let auth = section.demand(report, "auth", table.auth.as_ref(), hint)?;
        let (folder, environment, login_url) = (self.folder, self.environment, login_url?);
        let sources = LoginSources { folder, environment, login_url, instance_hosts, connect: self.connect };
        let (login, identity) = login::resolve(auth, sources, &mut self.known, report)?;
        let place = report.place(section.line);
        if let Some(earlier) = identity.and_then(|identity| self.seen.logins.insert(identity, place)) {
            let message = format!(
                "logs in as the org {} does, so both would write the same records",
                earlier.told(report)
            );
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
    ) -> Option<Vec<Arc<SyncSettings>>> {
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
                        self.no_such_sync(section, written.line, "syncs", &written.value, report);
                        right = false;
                    }
                }
                let is_chosen = |sync: &&CheckedSync| names.iter().any(|written| written.value == sync.name);
                self.syncs.iter().filter(is_chosen).collect()
            }
        };
        let namespace = namespace?;
        let own = self.own_syncs(table, &chosen, namespace, report);
        let chosen: Vec<&CheckedSync> = chosen
            .into_iter()
            .map(|sync| own.iter().find(|own| own.name == sync.name).unwrap_or(sync))
            .collect();
        if !own.is_empty() {
            for (place, message, hint) in sync::disagreements(&chosen) {
                let message = format!("sync \"{}\": `refresh.on_deleted` {message}", chosen[place].name);
                section.say(report, section.line, &message, hint);
            }
        }
        let mut syncs = Vec::with_capacity(chosen.len());
        for sync in chosen {
            match sync.for_org(namespace) {
                Ok(settings) => syncs.extend(settings),
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
        if let Some(message) = sync::written_twice(&syncs) {
            right = false;
            let hint = "Take the field out of one of them, as each would undo what the other has written.";
            section.say(report, section.line, &message, hint);
        }
        if let Some(message) = sync::spelt_twice(&syncs) {
            right = false;
            let hint = "Spell it in both as Salesforce does, so that what they write to one record is known to be of one.";
            section.say(report, section.line, &message, hint);
        }
        right.then(|| reading_along(syncs))
    }

    /// The syncs that the org has otherwise, as it has them.
    fn own_syncs(
        &self,
        table: &OrgTable<'_>,
        chosen: &[&CheckedSync],
        namespace: &str,
        report: &mut Report<'_>,
    ) -> Vec<CheckedSync> {
        let mut own = Vec::new();
        for (name, section) in &table.overrides {
            let place = self.syncs.iter().position(|sync| sync.name == *name);
            let Some((sync, below)) =
                place.and_then(|place| Some((&self.syncs[place], self.sync_tables.get(place)?)))
            else {
                self.no_such_sync(&table.basics.section, section.line, "sync", name, report);
                continue;
            };
            if !chosen.iter().any(|chosen| chosen.name == *name) {
                let hint = format!("Name `{name}` in `syncs`, or remove the table.");
                section.say(report, section.line, "the org does not have this sync", hint);
            }
            own.extend(sync.with(section, below, namespace, report));
        }
        own
    }

    fn no_such_sync(
        &self,
        section: &Section<'_>,
        line: usize,
        key: &str,
        name: &str,
        report: &mut Report<'_>,
    ) {
        let names: Vec<&str> = self.syncs.iter().map(|sync| sync.name.as_str()).collect();
        let hint = match closest(name, names.iter().copied()) {
            Some(meant) => format!("Did you mean `{meant}`?"),
            None if names.is_empty() => "Write `[[sync]]` first.".to_owned(),
            None => format!("There are: {}.", names.join(", ")),
        };
        section.problem(report, line, key, &format!("names `{name}`, but no sync has this name"), hint);
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
