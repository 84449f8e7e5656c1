//! The service as a whole, on a disk and in real time, with orgs that nobody has connected: they ask nobody for anything.

use std::{path::Path, sync::Arc, time::Duration};

use orgpipe_salesforce::oauth::{Flow, Login};
use tempfile::TempDir;

use super::Service;
use crate::{
    failpoint::Failpoints,
    org::{grant::Grant, grant_store::GrantStore, store::OrgStore},
    sealing,
    settings::{Settings, SourceSettings, VaultKey, tests::org},
};

fn settings(folder: &Path, orgs: &[&str]) -> Settings {
    let orgs = orgs.iter().map(|id| {
        let mut org = org();
        let flow = Flow::RefreshToken { client_id: "id".into(), client_secret: None, refresh_token: None };
        (org.id, org.login) = ((*id).to_owned(), Login { flow, ..org.login });
        Arc::new(org)
    });
    Settings {
        data_dir: folder.join("data"),
        vault_key: VaultKey::Given(Box::new(sealing::tests::key())),
        durable_against_power_loss: false,
        cache_bytes: 1 << 20,
        ledger_days: 1,
        free_bytes_min: 0,
        queue_max: 1_000,
        refreshes_max: 1,
        source: SourceSettings {
            url: "http://127.0.0.1:9/lookup".parse().expect("a URL"),
            token: None,
            requests_per_second: 1,
            concurrent_max: 1,
            timeout: Duration::from_secs(1),
        },
        webhook: None,
        orgs: orgs.collect(),
        failpoints: Failpoints::default(),
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn store(service: &Service, org: &str) -> OrgStore {
    OrgStore::new(service.store.clone(), org)
}

/// What an org's token request holds while it is under way.
fn grants(service: &Service, org: &str) -> GrantStore {
    service.grants.of(store(service, org), Failpoints::default())
}

#[actix::test]
async fn a_stop_waits_for_an_exchange_longer_than_for_anything_else() {
    let folder = folder();
    let service = Service::start(settings(folder.path(), &["acme"])).expect("it starts");
    let grants = grants(&service, "acme");
    let held = grants.hold().await;
    let exchange = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        held.put(&Grant::new("next", service.clock().now_ms())).await.expect("the store is still open");
        drop(held);
    };
    let (drained, ()) = tokio::join!(service.drain(Duration::from_millis(100)), exchange);
    drained.expect("it closes");
}
