//! The service as a whole, on a disk and in real time, with orgs that nobody has connected: they ask nobody for anything.

use std::{fs, path::Path, sync::Arc, time::Duration};

use orgpipe_salesforce::oauth::{Flow, Login};
use orgpipe_store::Read;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tempfile::TempDir;

use super::{Service, StartError, fleet_view::Fleet, push_error::PushError, pushes::PushesKept};
use crate::{
    failpoint::Failpoints,
    history::{chart::HistorySpan, levels::Level},
    org::{
        grant::Grant,
        grant_store::GrantStore,
        store::{OrgStore, Position},
    },
    push::{NewPush, PushItems, PushPlace},
    sealing::{self, SealingKey},
    settings::{AlertSettings, Settings, SourceSettings, VaultKey, tests::org},
    trace::Sampling,
};

fn settings(folder: &Path, orgs: &[&str]) -> Settings {
    let orgs = orgs.iter().map(|id| {
        let mut org = org();
        let flow = Flow::RefreshToken { client_id: "id".into(), client_secret: None, refresh_token: None };
        (org.id, org.login) = (
            (*id).to_owned(),
            Login { flow, login_url: "https://127.0.0.1:9".parse().expect("a URL"), ..org.login },
        );
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
        alerts: AlertSettings::default(),
        orgs: orgs.collect(),
        traces: Sampling::NONE,
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
    let service = Service::start(settings(folder.path(), &["acme"])).await.expect("it starts");
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

#[actix::test]
async fn no_vault_key_is_made_where_another_has_sealed_something() {
    let folder = folder();
    let key = folder.path().join("data.key");
    // The org is in the settings no more; what it has stored stays.
    let settings = Settings { vault_key: VaultKey::File(key.clone()), ..settings(folder.path(), &[]) };
    let service = Service::start(settings.clone()).await.expect("the first start makes a key");
    assert!(key.exists());
    let token = SecretString::from("5Aep861.secret");
    service.grant("acme", "id", &token).await.expect("it is stored");
    service.drain(Duration::from_secs(5)).await.expect("it closes");
    drop(service);
    let text = fs::read_to_string(&key).expect("a key");
    fs::remove_file(&key).expect("removed");
    let Err(error) = Service::start(settings.clone()).await else { panic!("it starts without its key") };
    let hint = error.hint().unwrap_or_default();
    assert!(matches!(&error, StartError::VaultKey(_)) && error.to_string().contains("`acme`"), "{error}");
    assert!(hint.contains("openssl rand -base64 32") && hint.contains("connect again"), "{hint}");
    assert!(!key.exists(), "none is made");
    fs::write(&key, text).expect("put back");
    let service = Service::start(settings.clone()).await.expect("with its key it starts");
    let grant = grants(&service, "acme").look().await.expect("it opens").expect("a grant");
    assert_eq!(grant.token(), "5Aep861.secret");
    service.drain(Duration::from_secs(5)).await.expect("it closes");
    drop(service);
    // Another one is the operator's decision.
    fs::write(&key, SealingKey::generate().expose_secret()).expect("written");
    let service = Service::start(settings).await.expect("it starts");
    grants(&service, "acme").look().await.expect_err("another key sealed it");
    service.drain(Duration::from_secs(5)).await.expect("it closes");
}

#[actix::test]
async fn a_customer_who_connects_keeps_no_reload_waiting() {
    let folder = folder();
    let settings = settings(folder.path(), &["acme"]);
    let service = Service::start(settings.clone()).await.expect("it starts");
    let grants = grants(&service, "acme");
    // A token request of the org is under way, and may take long.
    let held = grants.hold().await;
    let (connects, token) = (service.clone(), SecretString::from("first"));
    let granted = actix_rt::spawn(async move { connects.grant("acme", "id", &token).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let reload = tokio::time::timeout(Duration::from_secs(5), service.reload(settings)).await;
    reload.expect("it does not wait").expect("the same settings");
    assert!(!granted.is_finished(), "it has to wait");
    drop(held);
    granted.await.expect("it ends").expect("it is stored");
    assert_eq!(grants.look().await.expect("it opens").expect("a grant").token(), "first");
    service.drain(Duration::from_secs(5)).await.expect("it closes");
}

#[actix::test]
async fn a_salesforce_org_is_known_by_all_that_is_stored() {
    let folder = folder();
    let service = Service::start(settings(folder.path(), &["acme"])).await.expect("it starts");
    for (id, org_id) in [("acme", "00D000000000001EAA"), ("globex", "00D000000000002EAA")] {
        let known = Position::OrgId.bytes(org_id.as_bytes().to_vec());
        store(&service, id).put(vec![known]).await.expect("a store");
    }
    for (org_id, id) in [
        ("00D000000000001EAA", Some("acme")),
        // It is not in the settings, and all that is stored of it stays until it is purged.
        ("00D000000000002EAA", Some("globex")),
        ("00D000000000003EAA", None),
    ] {
        assert_eq!(service.org_of(org_id).await.expect("a store").as_deref(), id, "{org_id}");
    }
    service.purge("globex").await.expect("it is gone from the settings");
    assert_eq!(service.org_of("00D000000000002EAA").await.expect("a store"), None);
    service.drain(Duration::from_secs(5)).await.expect("it closes");
}

fn external_ids(ids: &[&str]) -> NewPush {
    let items = PushItems::ExternalIds(ids.iter().map(|id| (*id).to_owned()).collect());
    NewPush { sync: "accounts".into(), orgs: None, items, data: Vec::new(), idempotency_key: None }
}

#[actix::test]
async fn a_push_that_no_org_reads_is_forgotten_in_the_end_and_all_is_refreshed_instead() {
    let folder = folder();
    let service = Service::start(settings(folder.path(), &["acme"])).await.expect("it starts");
    let push = NewPush { idempotency_key: Some("k".into()), ..external_ids(&["a"]) };
    let accepted = service.push(push.clone()).await.expect("it is taken");
    let at_ms = service.pushed(accepted.number).await.expect("it is kept").at_ms;
    service.forget_pushes_before(at_ms).await.expect("a store");
    let run = store(&service, "acme").bytes(Position::Run("accounts")).await.expect("a store");
    assert!(service.pushed(accepted.number).await.is_ok() && run.is_none(), "it is not too old");
    let later = service.clock().now_ms().saturating_add(Duration::from_secs(1));
    for _ in 0..100 {
        // The org may be just starting.
        service.forget_pushes_before(later).await.expect("a store");
        if service.pushed(accepted.number).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(matches!(service.pushed(accepted.number).await, Err(PushError::Unknown(_))));
    let run = store(&service, "acme").bytes(Position::Run("accounts")).await.expect("a store");
    assert!(run.is_some(), "all records are read instead");
    assert!(!service.push(push).await.expect("it is taken").repeated, "its key went with it");
    service.drain(Duration::from_millis(100)).await.expect("it closes");
}

#[actix::test]
async fn pushes_that_are_through_make_room_and_those_that_wait_do_not() {
    const HOUR: Duration = Duration::from_hours(1);
    let folder = folder();
    let service = Service::start(settings(folder.path(), &["acme"])).await.expect("it starts");
    let max = PushesKept { pushes: 2, bytes: 10_000, counts: 10 };
    let one = service.push_within(external_ids(&["a"]), max, HOUR).await.expect("room").number;
    let two = service.push_within(external_ids(&["b"]), max, HOUR).await.expect("room").number;
    let third = service.push_within(external_ids(&["c"]), max, HOUR).await.expect_err("both wait");
    assert!(matches!(third, PushError::TooMany { waiting: 2, .. }) && third.hint().is_some(), "{third}");
    service.pushes.passed("acme", "accounts", PushPlace { number: one, item: 1, within: None });
    service.push_within(external_ids(&["c"]), max, HOUR).await.expect("the first makes room");
    assert!(service.pushed(one).await.is_err() && service.pushed(two).await.is_ok());
    let long = "x".repeat(900);
    service.pushes.passed("acme", "accounts", PushPlace { number: two, item: 1, within: None });
    let few = PushesKept { bytes: 1_000, ..max };
    let full = service.push_within(external_ids(&[&long]), few, HOUR).await.expect_err("too many bytes");
    assert!(matches!(full, PushError::TooMany { .. }), "{full}");
    service.drain(Duration::from_millis(100)).await.expect("it closes");
}

#[actix::test]
async fn a_push_that_an_org_does_not_read_stops_no_others_for_long() {
    let folder = folder();
    let service = Service::start(settings(folder.path(), &["acme"])).await.expect("it starts");
    let max = PushesKept { pushes: 1, bytes: 10_000, counts: 10 };
    let hour = Duration::from_hours(1);
    let one = service.push_within(external_ids(&["a"]), max, hour).await.expect("room").number;
    service.push_within(external_ids(&["b"]), max, hour).await.expect_err("the org has an hour to read it");
    let run = async || store(&service, "acme").bytes(Position::Run("accounts")).await.expect("a store");
    assert!(run().await.is_none() && service.pushed(one).await.is_ok());
    service.push_within(external_ids(&["b"]), max, Duration::ZERO).await.expect("the first makes room");
    assert!(matches!(service.pushed(one).await, Err(PushError::Unknown(_))));
    assert!(run().await.is_some(), "all records are read instead");
    service.drain(Duration::from_millis(100)).await.expect("it closes");
}

#[actix::test]
async fn all_orgs_are_looked_at_once_for_all_who_ask_within_a_second() {
    let folder = folder();
    let service = Service::start(settings(folder.path(), &["acme", "globex"])).await.expect("it starts");
    let (one, other) = tokio::join!(service.fleet(), service.fleet());
    assert!(Arc::ptr_eq(&one, &other), "one is made for both");
    let ids: Vec<&str> = one.rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!((ids, one.totals.orgs), (vec!["acme", "globex"], 2));
    assert_eq!(one.rows[0].records, Some(crate::Ledger::default()));
    let reads = service.store_reads();
    service.make_fleet().await;
    let reads = service.store_reads().since(&reads);
    assert_eq!((reads.of(Read::Orgs), reads.of(Read::Counts)), (1, 0), "one call for the counts of all");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(!Arc::ptr_eq(&one, &service.fleet().await), "it is too old");
    service.drain(Duration::from_millis(100)).await.expect("it closes");
    assert!(service.make_fleet().await.rows[0].records.is_none(), "the store is closed");
}

#[actix::test]
async fn what_orgs_used_before_the_start_is_told_without_a_wait_for_the_store() {
    let folder = folder();
    let ids = ["acme", "globex"];
    let service = Service::start(settings(folder.path(), &ids)).await.expect("it starts");
    let hour = service.clock().now_ms().0 / 3_600_000;
    for id in ids {
        let used = json!({ "v": 1, "max": 1_000, "ours": [[hour, 5]] }).to_string().into_bytes();
        store(&service, id).put(vec![Position::ApiCalls.bytes(used)]).await.expect("a store");
        service.pause(id).await.expect("it rests after a restart, too");
    }
    service.drain(Duration::from_secs(5)).await.expect("it closes");
    drop(service);
    let service = Service::start(settings(folder.path(), &ids)).await.expect("it starts");
    let ours = |fleet: &Fleet| fleet.rows.iter().map(|row| row.ours).collect::<Vec<_>>();
    // Somebody reads already, and the fleet does not wait for them.
    let turn = Arc::clone(&service.budget_reads).try_acquire_owned().expect("the first");
    assert_eq!(ours(&service.make_fleet().await), [0, 0]);
    drop(turn);
    let mut told = Vec::new();
    for _ in 0..100 {
        told = ours(&service.make_fleet().await);
        if told == [5, 5] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(told, [5, 5]);
    service.drain(Duration::from_millis(100)).await.expect("it closes");
}

/// All events that are told of an org in the last hour.
async fn events(service: &Service, org: &str) -> u64 {
    let history = service.history(Some(org), HistorySpan::Hour).await.expect("a history");
    history.points.iter().filter_map(|point| point.events).sum()
}

#[actix::test]
async fn a_clock_that_was_set_back_costs_no_minute_of_the_history() {
    let folder = folder();
    let service = Service::start(settings(folder.path(), &["acme"])).await.expect("it starts");
    let measures = Arc::clone(&service.orgs.get("acme").expect("an org").measures);
    service.count_history().await.expect("a store");
    assert_eq!(events(&service, "acme").await, 0);
    for _ in 0..2 {
        measures.events(3);
        if let Some(last) = &mut service.history.0.lock().await.last {
            *last += 30;
        }
        service.count_history().await.expect("a store");
    }
    assert_eq!(events(&service, "acme").await, 6);
    service.drain(Duration::from_millis(100)).await.expect("it closes");
}

#[actix::test]
async fn a_history_is_read_once_for_all_who_ask_for_it_within_a_minute() {
    let folder = folder();
    let service = Service::start(settings(folder.path(), &["acme"])).await.expect("it starts");
    service.count_history().await.expect("a store");
    let reads = service.store_reads();
    for _ in 0..3 {
        events(&service, "acme").await;
    }
    let reads = service.store_reads().since(&reads).of(Read::History);
    assert!(reads <= 1, "{reads}");
    service.drain(Duration::from_millis(100)).await.expect("it closes");
}

#[actix::test]
async fn a_stop_waits_for_the_history_only_so_long_and_does_not_tidy_it() {
    let folder = folder();
    let service = Service::start(settings(folder.path(), &["acme"])).await.expect("it starts");
    service.count_history().await.expect("a store");
    let old = Level::Journal.key(1, "");
    let held = service.history.0.lock().await;
    let counted = tokio::time::timeout(Duration::from_secs(5), service.count_last(Duration::from_millis(50)));
    counted.await.expect("it gives up");
    drop(held);
    let stands = async || {
        let known = service.history.0.lock().await;
        known.index.as_ref().is_some_and(|index| index.contains_key(&old))
    };
    service.history.0.lock().await.index.get_or_insert_default().insert(old.clone(), 1);
    service.count_last(Duration::from_secs(5)).await;
    assert!(stands().await, "the next start has time for it");
    service.count_history().await.expect("a store");
    assert!(!stands().await, "it is too old");
    service.history.0.lock().await.index.get_or_insert_default().insert(old.clone(), 1);
    service.phase.drain();
    service.count_history().await.expect("a store");
    assert!(stands().await, "it stops");
    service.drain(Duration::from_millis(100)).await.expect("it closes");
}
