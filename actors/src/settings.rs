//! The settings the actors run on: typed, checked, with nothing left to parse.
//!
//! Here: plain data. Not here: how an operator writes them (`src/config`), which also proves that they make sense.

mod alerts;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use chrono::NaiveTime;
use orgpipe_reconcile::{
    EventFields, Mapping,
    lookup::RECORDS_MAX,
    route::Strategy,
    system::{CHANGED_AT, CHANGED_BY, CREATED_AT},
};
use orgpipe_salesforce::oauth::Login;
use secrecy::{ExposeSecret, SecretString};

pub use self::alerts::{AlertSettings, ReceiverKind, ReceiverSettings};
use crate::{failpoint::Failpoints, sealing::SealingKey, trace::Sampling};

/// Everything the service needs to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Directory of the durable store; one process owns it.
    pub data_dir: PathBuf,
    /// The key that seals secrets in it.
    pub vault_key: VaultKey,
    /// True: a commit also survives a power cut (`fdatasync`). False: a killed process only.
    pub durable_against_power_loss: bool,
    /// Bytes of page cache the store may keep.
    pub cache_bytes: u64,
    /// Days for which it is kept how each record ended.
    pub ledger_days: u32,
    /// Bytes that must stay free on the disk of `data_dir`; with less nothing more is taken in.
    pub free_bytes_min: u64,
    /// Records of one org that may wait: at half of them refreshes pause, at all of them events are not fetched.
    pub queue_max: u64,
    /// Orgs that read a page of a refresh at the same time, 1 or more.
    pub refreshes_max: usize,
    /// The vendor's look-up API.
    pub source: SourceSettings,
    /// Where receipts are posted, if anywhere.
    pub webhook: Option<WebhookSettings>,
    /// When something is an alert, and who is told.
    pub alerts: AlertSettings,
    /// One entry per customer's org.
    pub orgs: Vec<Arc<OrgSettings>>,
    /// How many of the traces are told.
    pub traces: Sampling,
    /// Where tests let it fail; empty in earnest.
    pub failpoints: Failpoints,
}

/// Where the key that seals secrets at rest comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultKey {
    /// From the environment.
    Given(Box<SealingKey>),
    /// From this file, which is made if it is not there and nothing was sealed yet.
    File(PathBuf),
}

/// The vendor's look-up API (`config/openapi.json`).
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Where batches are posted.
    pub url: url::Url,
    /// Sent as a bearer token, if there is one.
    pub token: Option<SecretString>,
    /// Calls per second over all orgs, 1 or more.
    pub requests_per_second: u32,
    /// Calls in flight over all orgs, 1 or more.
    pub concurrent_max: u32,
    /// How long one call may take.
    pub timeout: Duration,
}

/// Where the vendor's own systems are told what happened.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Where JSON is posted.
    pub url: url::Url,
    /// Sent as a bearer token, if there is one.
    pub token: Option<SecretString>,
}

impl PartialEq for SourceSettings {
    fn eq(&self, other: &Self) -> bool {
        let Self { url, token, requests_per_second, concurrent_max, timeout } = self;
        *url == other.url
            && same(token.as_ref(), other.token.as_ref())
            && *requests_per_second == other.requests_per_second
            && *concurrent_max == other.concurrent_max
            && *timeout == other.timeout
    }
}

impl PartialEq for WebhookSettings {
    fn eq(&self, other: &Self) -> bool {
        let Self { url, token } = self;
        *url == other.url && same(token.as_ref(), other.token.as_ref())
    }
}

fn same(one: Option<&SecretString>, other: Option<&SecretString>) -> bool {
    one.map(ExposeSecret::expose_secret) == other.map(ExposeSecret::expose_secret)
}

/// One customer's org.
#[derive(Clone, Debug, PartialEq)]
pub struct OrgSettings {
    /// The operator's name for the org, unique.
    pub id: String,
    /// How to log in.
    pub login: Login,
    /// REST and CometD version, such as `66.0`.
    pub api_version: String,
    /// Schedules run in this time zone.
    pub time_zone: chrono_tz::Tz,
    /// Namespace of the installed package; empty when unmanaged.
    pub namespace: String,
    /// Ceilings for our use of the org's API.
    pub limits: Limits,
    /// What is kept up to date in this org.
    pub syncs: Vec<Arc<SyncSettings>>,
}

/// Ceilings for our use of one org's API.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Share of the org's 24 h API calls that may be ours, 0 to 1.
    pub daily_share: f64,
    /// Share of the org's 24 h API calls that must stay free for the customer, 0 to 1.
    pub reserve: f64,
    /// Our API calls per second.
    pub requests_per_second: u32,
    /// Our API calls in flight.
    pub concurrent_max: u32,
    /// Records in one write from which Bulk API 2.0 is used.
    pub bulk_from: usize,
    /// Whether that number or the price in API calls decides between REST and Bulk.
    pub strategy: Strategy,
    /// Least time from one batch of live changes to the next; the first after a quiet time does not wait.
    pub linger: Duration,
}

/// One kind of data kept up to date: which event asks for it, how it is looked up, where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncSettings {
    /// The operator's name for it, unique.
    pub name: String,
    /// Streaming channel with the namespace applied, such as `/event/Sync_Request__e`.
    pub channel: String,
    /// What an event on it says.
    pub event: EventShape,
    /// Keys, target and fields.
    pub mapping: Mapping,
    /// Scheduled reading of all records; none = live only.
    pub refresh: Option<RefreshSettings>,
    /// What becomes of a record of which the org refuses the value of a field.
    pub on_refused_field: OnRefusedField,
    /// Whose the record of the target is when several records were answered with its key.
    pub on_shared_key: OnSharedKey,
    /// Keys of the settings that this org has otherwise than the sync says for all, such as `target` and `fields.Name__c`.
    pub own: BTreeSet<String>,
}

/// What an event on a sync's channel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventShape {
    /// A platform event that asks for records: names of its fields, namespace applied.
    Request(EventFields),
    /// Change Data Capture: a record of the sync's object has changed.
    Change {
        /// Fields of the object whose change matters; empty = all.
        watch: Vec<String>,
    },
}

/// Times of day in the org's time zone. The end may be before the start: then it passes midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayWindow {
    /// It begins then.
    pub from: NaiveTime,
    /// It ends then.
    pub to: NaiveTime,
}

/// When and what to refresh.
#[derive(Clone, Debug, PartialEq)]
pub struct RefreshSettings {
    /// SOQL condition on the source object.
    pub condition: Option<String>,
    /// Five-field cron expression in the org's time zone; none = on demand only.
    pub schedule: Option<String>,
    /// When only what has changed is read, likewise.
    pub changes: Option<String>,
    /// In which it may run; none = always.
    pub window: Option<DayWindow>,
    /// Records per look-up, 1 to 100; of live ones, too.
    pub batch: usize,
    /// Records from which a run reads by a Bulk query instead of REST pages.
    pub bulk_from: u64,
    /// What becomes of the target's records whose own record is gone.
    pub on_deleted: OnDeleted,
}

/// What becomes of a record of the target after the record that it was made for has been deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDeleted {
    /// It stays as it is.
    #[default]
    Keep,
    /// Its mapped fields are emptied.
    Clear,
    /// It is deleted.
    Delete,
}

/// What becomes of a record of which the org refuses the value of a field, such as one that a restricted picklist does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRefusedField {
    /// The record is a dead letter.
    #[default]
    DeadLetter,
    /// The field is left out, and the rest of the record is written.
    LeaveOut,
}

/// Whose a record of the target is when several records of the org were answered with its key, and what becomes of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnSharedKey {
    /// It stays with the one that has it; each other one is a dead letter.
    #[default]
    DeadLetter,
    /// It stays with the one that has it; nothing is written for the others.
    First,
    /// It goes to the one that was created last; nothing is written for the others.
    Newest,
}

/// The syncs of one org, each of which reads with its records what it needs beside its own mapping: of a record that is the target
/// itself what others write there, and who changed it last; and when it was created, where the newest of several has a key.
pub fn reading_along(syncs: Vec<SyncSettings>) -> Vec<Arc<SyncSettings>> {
    let along = |sync: &SyncSettings| {
        let mut along: Vec<String> = Vec::new();
        if sync.mapping.is_record_itself() {
            let same = |other: &&SyncSettings| other.mapping.target() == sync.mapping.target();
            along.extend(syncs.iter().filter(same).flat_map(|other| other.mapping.target_fields()));
            along.extend([CHANGED_BY, CHANGED_AT].map(str::to_owned));
        }
        along.extend((sync.on_shared_key == OnSharedKey::Newest).then(|| CREATED_AT.to_owned()));
        along
    };
    let all: Vec<Vec<String>> = syncs.iter().map(along).collect();
    let reading = |(sync, along): (SyncSettings, Vec<String>)| {
        let mapping = sync.mapping.clone().reading_along(along);
        Arc::new(SyncSettings { mapping, ..sync })
    };
    syncs.into_iter().zip(all).map(reading).collect()
}

impl SyncSettings {
    /// Records that the vendor's API is asked about with one call.
    pub(crate) fn lookup_max(&self) -> usize {
        self.refresh.as_ref().map_or(RECORDS_MAX, |refresh| refresh.batch.clamp(1, RECORDS_MAX))
    }
}

impl OrgSettings {
    /// The channels of the syncs, each once.
    pub(crate) fn channels(&self) -> Vec<String> {
        let channels: BTreeSet<&String> = self.syncs.iter().map(|sync| &sync.channel).collect();
        channels.into_iter().cloned().collect()
    }

    /// Whether a field of a target may be left out of what a sync writes, as its value was refused: where the sync says so, and
    /// never the link to the record that it was written for.
    pub(crate) fn leaves_out(&self, sync: &str, target: &str, field: &str) -> bool {
        self.syncs_leaving_out(sync)
            && !self.links(target).iter().any(|link| link.eq_ignore_ascii_case(field))
    }

    /// Whether a sync leaves fields out whose values are refused.
    pub(crate) fn syncs_leaving_out(&self, sync: &str) -> bool {
        let known = self.syncs.iter().find(|known| known.name == sync);
        known.is_some_and(|sync| sync.on_refused_field == OnRefusedField::LeaveOut)
    }

    /// Whether any of the syncs makes records of a target.
    pub(crate) fn makes(&self, target: &str) -> bool {
        self.syncs.iter().any(|sync| sync.mapping.target() == target && sync.mapping.makes())
    }

    /// The fields of a target that hold the ID of the record that each of its records was made for, in any of the syncs.
    pub(crate) fn links(&self, target: &str) -> Vec<String> {
        let syncs = self.syncs.iter().filter(|sync| sync.mapping.target() == target);
        syncs.flat_map(|sync| sync.mapping.links().map(str::to_owned)).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use orgpipe_reconcile::{MappingSpec, Operation};
    use orgpipe_salesforce::oauth::Flow;

    use super::*;

    /// An org with one sync, `accounts`, for the tests of this crate.
    pub(crate) fn org() -> OrgSettings {
        org_that(Operation::Upsert)
    }

    /// The same, whose sync does this to records of the target that differ.
    pub(crate) fn org_that(operation: Operation) -> OrgSettings {
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let mapping = Mapping::new(MappingSpec {
            sync: "accounts".into(),
            object: "Account".into(),
            keys: pairs(&[("domain", "Website")]),
            target: "Enrichment__c".into(),
            external_id_field: "External_Id__c".into(),
            external_id_from: "/key".into(),
            fields: [("Account__c", "$Id"), ("Employee_Count__c", "/employees")]
                .map(|(field, from)| (field.to_owned(), from.into()))
                .into(),
            operation,
            matching: orgpipe_reconcile::mapping::Matching::ExternalId,
            namespace: String::new(),
        })
        .expect("a right mapping");
        let event = EventFields {
            ids: "Record_Ids__c".into(),
            object: Some("Object_Type__c".into()),
            reason: None,
            correlation_id: None,
        };
        let refresh = RefreshSettings {
            condition: None,
            schedule: None,
            changes: None,
            window: None,
            batch: 100,
            bulk_from: 100_000,
            on_deleted: OnDeleted::Keep,
        };
        let flow = Flow::ClientCredentials { client_id: "id".into(), client_secret: "secret".into() };
        OrgSettings {
            id: "acme".into(),
            login: Login {
                login_url: "https://acme.my.salesforce.com".parse().expect("a URL"),
                flow,
                instance_hosts: Vec::new(),
            },
            api_version: "66.0".into(),
            time_zone: chrono_tz::UTC,
            namespace: String::new(),
            limits: Limits {
                daily_share: 0.25,
                reserve: 0.2,
                requests_per_second: 10,
                concurrent_max: 5,
                bulk_from: 10,
                strategy: Strategy::Count,
                linger: Duration::from_secs(1),
            },
            syncs: vec![Arc::new(SyncSettings {
                name: "accounts".into(),
                channel: "/event/Sync_Request__e".into(),
                event: EventShape::Request(event),
                mapping,
                refresh: Some(refresh),
                on_refused_field: OnRefusedField::default(),
                on_shared_key: OnSharedKey::default(),
                own: BTreeSet::new(),
            })],
        }
    }
}
