//! Load with a known truth: what the look-up API knows only ever grows, so an old value written late is seen.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{Rig, answer, eventually, request};

/// Accounts in each org.
const ACCOUNTS: usize = 24;
/// Records of an event that is written by Bulk API.
pub(crate) const BULK: usize = 12;

/// The accounts of some orgs and what must be known about them in the end.
pub(crate) struct Load {
    orgs: Vec<LoadedOrg>,
    version: u32,
}

struct LoadedOrg {
    name: String,
    /// Record ID, domain, external ID.
    accounts: Vec<(String, String, String)>,
    /// By external ID.
    truth: BTreeMap<String, u32>,
    published: usize,
}

impl Load {
    /// Makes the accounts.
    pub(crate) fn new(rig: &Rig) -> Self {
        let orgs = rig.simulator.orgs().iter().map(|org| {
            let account = |n: usize| {
                let domain = format!("company{n}.{}.example", org.name());
                let row = [("Name".to_owned(), json!(domain)), ("Website".to_owned(), json!(domain))];
                let id = org.create("Account", row.into_iter().collect()).expect("an account");
                (id, domain, format!("{}-{n}", org.name()))
            };
            let accounts = (0..ACCOUNTS).map(account).collect();
            LoadedOrg { name: org.name().to_owned(), accounts, truth: BTreeMap::new(), published: 0 }
        });
        Self { orgs: orgs.collect(), version: 0 }
    }

    /// Changes what is known about `count` accounts of an org, from the `first` on, and publishes one event for them.
    pub(crate) fn change(&mut self, rig: &Rig, org: usize, first: usize, count: usize) {
        let ids = self.learn(rig, org, first, count);
        let org = &mut self.orgs[org];
        org.published += count;
        rig.org(&org.name).publish("Sync_Request__e", request(&ids));
    }

    /// Changes what is known about accounts of an org, and publishes nothing. Gives their record IDs.
    pub(crate) fn learn(&mut self, rig: &Rig, org: usize, first: usize, count: usize) -> Vec<String> {
        self.version += 1;
        let org = &mut self.orgs[org];
        let mut ids = Vec::new();
        for n in 0..count {
            let (id, domain, key) = &org.accounts[(first + n) % ACCOUNTS];
            rig.simulator.vendor().set_answer(domain, Some(answer(key, self.version)));
            org.truth.insert(key.clone(), self.version);
            ids.push(id.clone());
        }
        ids
    }

    /// Waits until an org holds what was learned last about one of its accounts.
    pub(crate) async fn arrives(&self, rig: &Rig, org: usize, account: usize) {
        let org = &self.orgs[org];
        let key = &org.accounts[account].2;
        let wanted = Some(f64::from(org.truth[key]));
        eventually("the record", async || {
            let row = rig.enrichment(&org.name, key)?;
            (row["Employee_Count__c"].as_f64() == wanted).then_some(())
        })
        .await;
    }

    /// Waits until nothing is open and the orgs hold the truth; then checks ledger and the log of writes.
    pub(crate) async fn all_is_well(&self, rig: &Rig) {
        for org in &self.orgs {
            // An event is stored once, however often the process died around it.
            let expected = json!({ "records_in": org.published, "open": 0, "dead_letters": 0 });
            rig.ledger(&org.name, expected).await;
            self.org_holds_the_truth(rig, org).await;
        }
    }

    /// The same after a refresh, with which more has come in than was published.
    pub(crate) async fn the_truth_is_held(&self, rig: &Rig) {
        for org in &self.orgs {
            self.org_holds_the_truth(rig, org).await;
            rig.ledger(&org.name, json!({ "open": 0, "dead_letters": 0 })).await;
        }
    }

    async fn org_holds_the_truth(&self, rig: &Rig, org: &LoadedOrg) {
        eventually(&format!("the truth in {}", org.name), async || {
            let rows = rig.org(&org.name).rows("Enrichment__c");
            let held = |key: &str| {
                let row = rows.iter().find(|row| row["External_Id__c"] == *key)?;
                row["Employee_Count__c"].as_f64()
            };
            org.truth.iter().all(|(key, version)| held(key) == Some(f64::from(*version))).then_some(())
        })
        .await;
        let rows = rig.org(&org.name).rows("Enrichment__c");
        let keys: BTreeSet<_> = rows.iter().map(|row| row["External_Id__c"].as_str()).collect();
        assert_eq!(rows.len(), keys.len(), "{}: no record was made twice", org.name);
        let mut newest: BTreeMap<String, u64> = BTreeMap::new();
        for write in rig.org(&org.name).writes() {
            let key = write.row["External_Id__c"].as_str().expect("an external ID").to_owned();
            // A CSV carries text, JSON a number.
            let version = &write.row["Employee_Count__c"];
            let version = version.as_u64().or_else(|| version.as_str()?.parse().ok()).expect("a version");
            let before = newest.entry(key).or_default();
            assert!(version >= *before, "{}: {version} was written over {before}: {write:?}", org.name);
            *before = version;
        }
    }
}

/// What was done to one Bulk job.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BulkJob {
    /// Uploads.
    pub(crate) sent: usize,
    /// Times it was closed or aborted.
    pub(crate) ended: usize,
    /// Times its results were read.
    pub(crate) read: usize,
}

/// The Bulk jobs of an org by ID, as far as the calls tell.
pub(crate) fn bulk_jobs(rig: &Rig, org: &str) -> BTreeMap<String, BulkJob> {
    let mut jobs: BTreeMap<String, BulkJob> = BTreeMap::new();
    let mut opened = 0;
    for call in rig.org(org).calls().iter().filter(|call| call.status < 300) {
        let Some((_, rest)) = call.path.split_once("/jobs/ingest") else { continue };
        let parts: Vec<&str> = rest.trim_matches('/').split('/').collect();
        if parts[0].is_empty() {
            opened += usize::from(call.method == "POST");
            continue;
        }
        let job = jobs.entry(parts[0].to_owned()).or_default();
        match (call.method.as_str(), &parts[1..]) {
            ("PUT", ["batches"]) => job.sent += 1,
            ("PATCH", []) => job.ended += 1,
            ("GET", ["successfulResults"]) => job.read += 1,
            _ => {}
        }
    }
    // The call that opens a job does not say its ID: what was never touched again has none here.
    for n in jobs.len()..opened {
        jobs.insert(format!("untouched {n}"), BulkJob::default());
    }
    jobs
}
