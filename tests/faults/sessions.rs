//! Handshakes, subscriptions, logins and positions: S01 to S13.

use super::*;

#[actix_rt::test]
async fn s01_the_balancers_cookie_expires() {
    let scene = recovers(&[("S01", 1, 0)]).await;
    eventually("the orphan to be gone", async || (scene.org(0).cometd_clients() == 1).then_some(())).await;
}

#[actix_rt::test]
async fn s02_an_unknown_client_is_advised_to_stop_and_does_not() {
    recovers(&[("S02", 1, 0)]).await;
}

#[actix_rt::test]
async fn s03_the_server_disconnects_behind_events_which_count() {
    let cases = [("S03", 1, 0), ("S03-bare", 1, 0)];
    let scene = recovers(&cases).await;
    for at in 0..cases.len() {
        let replays = scene.replays(at);
        assert!(
            replays.iter().all(|replay| *replay > scene.position[at]),
            "not asked for again: {replays:?}"
        );
    }
}

#[actix_rt::test]
async fn s04_the_session_is_gone_when_it_subscribes() {
    recovers(&[("S04", 2, 0)]).await;
}

#[actix_rt::test]
async fn s05_good_handshakes_that_lead_nowhere_are_slowed_down() {
    let scene = recovers(&[("S05", 3, 0)]).await;
    let times = scene.times(0, "/meta/handshake");
    let waits: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[0] >= 400 * SCALE && waits[1] >= 800 * SCALE, "a fifth of 2 and 4 s at least: {waits:?}");
}

#[actix_rt::test]
async fn s06_a_dead_token_is_renewed_once() {
    recovers(&[("S06", 1, 1), ("S06-handshake", 2, 1)]).await;

    let mut scene = Scene::of(&["acme"]).await;
    scene.org(0).revoke_tokens();
    scene.poke(0).await;
    scene.publish(0);
    eventually("a login", async || (scene.logins(0) > 0).then_some(())).await;
    scene.right(0).await;
    scene.reacted(0, 1, 1);
}

#[actix_rt::test]
async fn s07_overload_that_looks_like_a_dead_token() {
    recovers(&[("S07", 1, 0)]).await;
}

#[actix_rt::test]
async fn s08_overload_that_looks_like_a_missing_permission() {
    recovers(&[("S08", 2, 0)]).await;
}

#[actix_rt::test]
async fn s09_refused_handshakes_without_what_one_expects_in_them() {
    recovers(&[("S09-no-ext", 2, 0), ("S09-no-error", 2, 0), ("S09-no-advice", 2, 0), ("S09-bare", 2, 0)])
        .await;
}

#[actix_rt::test]
async fn s10_too_many_clients() {
    waits(&[("S10", "concurrent user limit")]).await;
    slows_down(&[("S10-server", "simultaneous connections")]).await;
}

#[actix_rt::test]
async fn s11_the_delivery_allocation_is_spent() {
    let spent = "events daily limit";
    waits(&[("S11", spent), ("S11-connect", spent)]).await;

    // The allocation itself, in place of its error.
    let mut scene = Scene::of(&["acme"]).await;
    scene.streaming(0, "deliveries_max", json!(2)).await;
    scene.publish(0);
    scene.right(0).await;
    scene.publish(0);
    scene.deaf(0, spent).await;
    assert_eq!(scene.logins(0), 0);
    scene.streaming(0, "deliveries_max", Value::Null).await;
    scene.restart(0).await;
    scene.right(0).await;
}

#[actix_rt::test]
async fn s12_the_replay_id_is_too_old() {
    let mut scene = Scene::of(&["wire", "guide"]).await;
    scene.streaming(1, "wording", json!("guide")).await;
    for at in 0..2 {
        // Changed while nobody hears it: no event tells of it.
        scene.account(at, 1);
        scene.control(at, Method::POST, "expire-events", json!(0)).await;
        scene.named(at, "S02").await;
        eventually("everything retained", async || (scene.replays(at).len() == 2).then_some(())).await;
        assert_eq!(scene.replays(at), [scene.position[at], -2]);
        eventually("a gap", async || {
            (scene.subscription(at).await["channels"][CHANNEL]["gaps"] == 1).then_some(())
        })
        .await;
        scene.holds(at, 0..2).await;
        scene.published[at] = 2;
        scene.publish(at);
        scene.holds(at, 0..3).await;
        scene.rig.ledger(&scene.orgs[at], json!({ "open": 0, "dead_letters": 0 })).await;
        scene.reacted(at, 1, 0);
    }
}

/// A second event with a sync of its own.
fn other_event() -> (OrgOptions, impl FnOnce(String) -> String) {
    let field = |name: &str| CustomField {
        object: "Other_Request__e".to_owned(),
        name: name.to_owned(),
        kind: FieldKind::LongText { length: 10_000 },
        required: false,
        external_id: false,
        unique: false,
        computed: false,
    };
    let custom_fields = ["Record_Ids__c", "Object_Type__c", "Reason__c"].map(field).to_vec();
    let options = OrgOptions { flow: false, custom_fields, ..OrgOptions::named("acme") };
    let sync = r#"
[[sync]]
name = "others"
channel = "/event/Other_Request__e"
object = "Account"
keys = { domain = "Website" }
target = "Enrichment__c"
external_id = { field = "External_Id__c", from = "/key" }

[sync.fields]
Account__c = "$Id"
Employee_Count__c = "/employees"

[org_defaults.limits]"#;
    (options, move |text: String| text.replace("\n[org_defaults.limits]", sync))
}

#[actix_rt::test]
async fn s13_the_replay_id_of_one_channel_is_bad_and_the_other_goes_on() {
    let (options, edit) = other_event();
    let mut scene = Scene::with(vec![options], edit).await;
    let id = scene.account(0, 1);
    let other = scene.org(0).publish("Other_Request__e", request(&[id]));
    scene.holds(0, 0..2).await;

    let error = format!(
        "400::The replayId {{{other}}} you provided was invalid.  Please provide a valid ID, -2 to replay all events, or -1 to replay only new events."
    );
    let fault = json!({"at": "subscribe", "channel": "/event/Other_Request__e", "harm": {"refuse": {"error": error}}});
    scene.fault(0, fault).await;
    scene.named(0, "S02").await;
    eventually("the refused channel", async || {
        let asked = scene.org(0).subscribes();
        asked.iter().any(|asked| asked.channel.contains("Other") && asked.replay == -2).then_some(())
    })
    .await;
    scene.published[0] = 2;
    scene.publish(0);
    scene.holds(0, 0..3).await;
    assert_eq!(scene.replays(0), [scene.position[0]]);
    let channels = scene.subscription(0).await["channels"].clone();
    let gaps = |name: &str| channels[name]["gaps"].as_u64();
    assert_eq!((gaps(CHANNEL), gaps("/event/Other_Request__e")), (Some(0), Some(1)), "{channels}");
    scene.reacted(0, 1, 0);
}
