//! Every failure of Salesforce's event endpoint that clients have met, S01 to S32: how the service reacts, by what the
//! simulator logged, and that the records end right.
//!
//! Faults are asked for over the simulator's control API. The simulator's clock runs ten times as fast as real; the
//! service's own waits after trouble are real, so where they are minutes an operator's restart ends them.

mod support;

use std::ops::Range;

use orgpipe_simulator::{CustomField, FieldKind, OrgHandle, OrgOptions, Row};
use reqwest::Method;
use serde_json::{Value, json};
use support::{Rig, account, answer, domain, eventually, request};

const CHANNEL: &str = "/event/Sync_Request__e";
/// Accounts of one org have numbers of their own.
const ACCOUNTS: usize = 10_000;
/// How much faster than the service the simulator's clock runs.
const SCALE: i64 = 10;

/// The service and simulated orgs, each with one event stored and nothing logged yet.
struct Scene {
    rig: Rig,
    orgs: Vec<String>,
    /// Events published by org.
    published: Vec<usize>,
    /// Replay ID of the last event before the faults, by org.
    position: Vec<i64>,
}

impl Scene {
    /// One org for each name.
    async fn of(orgs: &[&str]) -> Self {
        let options = orgs.iter().map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) });
        Self::with(options.collect(), |text| text).await
    }

    async fn with(options: Vec<OrgOptions>, edit: impl FnOnce(String) -> String) -> Self {
        let orgs: Vec<String> = options.iter().map(|options| options.name.clone()).collect();
        let mut rig = Rig::with(options, edit).await;
        rig.start().await;
        let count = orgs.len();
        let mut scene = Self { rig, orgs, published: vec![0; count], position: vec![0; count] };
        for at in 0..count {
            let name = scene.orgs[at].clone();
            eventually("the subscription", async || {
                let view = scene.rig.view(&name).await;
                (view["subscription"]["channels"][CHANNEL]["state"] == "running").then_some(())
            })
            .await;
            scene.position[at] = scene.publish(at);
        }
        for at in 0..count {
            scene.right(at).await;
            scene.org(at).clear_calls();
            scene.org(at).clear_subscribes();
        }
        scene
    }

    fn org(&self, at: usize) -> &OrgHandle {
        self.rig.org(&self.orgs[at])
    }

    /// Does something over the control API.
    async fn control(&self, at: usize, method: Method, path: &str, body: Value) {
        let url = format!("{}/orgs/{}/{path}", self.rig.simulator.control_url(), self.orgs[at]);
        let reply = reqwest::Client::new().request(method, url).json(&body).send().await.expect("an answer");
        let status = reply.status();
        assert!(status.is_success(), "{path}: {status} {}", reply.text().await.unwrap_or_default());
    }

    async fn named(&self, at: usize, name: &str) {
        self.control(at, Method::POST, &format!("cometd-faults/{name}"), Value::Null).await;
    }

    async fn fault(&self, at: usize, fault: Value) {
        self.control(at, Method::POST, "cometd-faults", fault).await;
    }

    async fn streaming(&self, at: usize, key: &str, value: Value) {
        let mut terms = json!(self.org(at).streaming());
        terms[key] = value;
        self.control(at, Method::PUT, "streaming", terms).await;
    }

    /// A poll that is held is answered, so that the next one meets what has changed.
    async fn poke(&self, at: usize) {
        self.fault(at, json!({"at": "connect", "harm": {"merge": {}}})).await;
    }

    /// A new account, known to the look-up API.
    fn account(&self, at: usize, n: usize) -> String {
        let n = at * ACCOUNTS + n;
        self.rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 7)));
        self.org(at).create("Account", account(n)).expect("an account")
    }

    /// Publishes an event for a new account; gives its replay ID.
    fn publish(&mut self, at: usize) -> i64 {
        let id = self.account(at, self.published[at]);
        self.published[at] += 1;
        self.org(at).publish("Sync_Request__e", request(&[id]))
    }

    /// Waits until each event published has become one record, none twice, and the ledger says so.
    async fn right(&self, at: usize) {
        let count = self.published[at];
        let ledger = json!({ "records_in": count, "written": count, "open": 0, "dead_letters": 0 });
        self.rig.ledger(&self.orgs[at], ledger).await;
        self.holds(at, 0..count).await;
    }

    /// Waits for the records of these accounts.
    async fn holds(&self, at: usize, accounts: Range<usize>) {
        let expected: Vec<Value> = accounts.map(|n| json!(format!("K{}", at * ACCOUNTS + n))).collect();
        eventually("the records", async || {
            let rows = self.org(at).rows("Enrichment__c");
            let held = |key: &Value| {
                let row = rows.iter().find(|row| row.get("External_Id__c") == Some(key));
                row.is_some_and(|row| row["Employee_Count__c"] == json!(7.0))
            };
            expected.iter().all(held).then_some(())
        })
        .await;
    }

    fn times(&self, at: usize, channel: &str) -> Vec<i64> {
        let messages = self.org(at).cometd_messages().into_iter();
        messages.filter(|message| message.channel == channel).map(|message| message.at_ms).collect()
    }

    fn handshakes(&self, at: usize) -> usize {
        self.times(at, "/meta/handshake").len()
    }

    fn logins(&self, at: usize) -> usize {
        let calls = self.org(at).calls();
        calls.iter().filter(|call| call.path == "/services/oauth2/token").count()
    }

    /// Replay options asked for on the channel.
    fn replays(&self, at: usize) -> Vec<i64> {
        let asked = self.org(at).subscribes().into_iter().filter(|asked| asked.channel == CHANNEL);
        asked.map(|asked| asked.replay).collect()
    }

    /// What the admin API says of the subscription.
    async fn subscription(&self, at: usize) -> Value {
        self.rig.view(&self.orgs[at]).await["subscription"].clone()
    }

    /// Waits until the channel is deaf for this reason, and gives what is said of it.
    async fn deaf(&self, at: usize, reason: &str) -> Value {
        eventually(&format!("`{reason}` in what is said of {}", self.orgs[at]), async || {
            let channel = self.subscription(at).await["channels"][CHANNEL].clone();
            let said = channel["note"].as_str().unwrap_or_default().contains(reason);
            (said && channel["state"] == "waiting").then_some(channel)
        })
        .await
    }

    /// An operator's order, which ends any wait.
    async fn restart(&self, at: usize) {
        let url = format!("{}/api/v1/orgs/{}/restart", self.rig.admin, self.orgs[at]);
        let reply = reqwest::Client::new().post(url).send().await.expect("an answer");
        assert!(reply.status().is_success(), "{}", reply.status());
    }

    fn reacted(&self, at: usize, handshakes: usize, logins: usize) {
        let found = (self.handshakes(at), self.logins(at));
        assert_eq!(found, (handshakes, logins), "handshakes and logins of {}", self.orgs[at]);
    }
}

/// A fault by name, and the handshakes and logins that it shall lead to.
type Case = (&'static str, usize, usize);

/// Strikes subscriptions that stand at a stored position, one org for each case. In each the event published next, and
/// one more, must become one record each; a new session must ask for what comes behind the stored position.
async fn recovers(cases: &[Case]) -> Scene {
    let names: Vec<String> = cases.iter().map(|(name, ..)| name.to_lowercase()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    strikes(Scene::of(&names).await, cases).await
}

/// The same, in a scene that has an org for each case.
async fn strikes(mut scene: Scene, cases: &[Case]) -> Scene {
    for (at, (name, ..)) in cases.iter().enumerate() {
        scene.named(at, name).await;
        scene.publish(at);
    }
    for (at, (name, handshakes, logins)) in cases.iter().enumerate() {
        eventually("the reaction", async || (scene.handshakes(at) >= *handshakes).then_some(())).await;
        scene.right(at).await;
        scene.publish(at);
        scene.right(at).await;
        scene.reacted(at, *handshakes, *logins);
        let replays = scene.replays(at);
        assert!(replays.iter().all(|replay| *replay >= scene.position[at]), "{name}: {replays:?}");
        assert_eq!(replays.is_empty(), *handshakes == 0, "{name}: {replays:?}");
    }
    scene
}

/// Strikes subscriptions so that they must wait for minutes: they say why and leave the login alone. When an operator
/// restarts them after the trouble is over, nothing is missing.
async fn waits(cases: &[(&'static str, &str)]) {
    let names: Vec<String> = cases.iter().map(|(name, _)| name.to_lowercase()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut scene = Scene::of(&names).await;
    for (at, (name, _)) in cases.iter().enumerate() {
        scene.named(at, name).await;
    }
    for (at, (name, reason)) in cases.iter().enumerate() {
        scene.deaf(at, reason).await;
        assert!(scene.handshakes(at) <= 1, "{name} is not hammered");
        assert_eq!(scene.logins(at), 0, "{name} is not about the login");
        scene.control(at, Method::DELETE, "cometd-faults", Value::Null).await;
        scene.publish(at);
        scene.org(at).clear_subscribes();
        scene.restart(at).await;
        scene.right(at).await;
        assert_eq!(scene.replays(at), [scene.position[at]], "{name}: the position was kept");
    }
}

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
    waits(&[("S07", "too busy")]).await;
}

#[actix_rt::test]
async fn s08_overload_that_looks_like_a_missing_permission() {
    waits(&[("S08", "too busy")]).await;
}

#[actix_rt::test]
async fn s09_refused_handshakes_without_what_one_expects_in_them() {
    recovers(&[("S09-no-ext", 2, 0), ("S09-no-error", 2, 0), ("S09-no-advice", 2, 0), ("S09-bare", 2, 0)])
        .await;
}

#[actix_rt::test]
async fn s10_too_many_clients() {
    waits(&[("S10", "concurrent user limit"), ("S10-server", "simultaneous connections")]).await;
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

#[actix_rt::test]
async fn s14_an_answer_breaks_off_after_its_events_left_the_queue() {
    let cases = [("S14-nothing", 1, 0), ("S14-half", 1, 0), ("S14-half-chunked", 1, 0), ("S14-all", 1, 0)];
    let scene = recovers(&cases).await;
    for at in 0..cases.len() {
        assert_eq!(scene.replays(at), [scene.position[at]], "what was lost is asked for again");
    }
}

#[actix_rt::test]
async fn s15_a_poll_that_another_one_cancelled() {
    recovers(&[("S15-cancelled", 1, 0)]).await;
}

/// Together, since all wait for an answer until they give up.
#[actix_rt::test]
async fn s15_s21_s31_an_answer_comes_too_late_or_never() {
    let scene = Scene::of(&["s15", "s31", "s21"]).await;
    for at in 0..2 {
        // Told that polls are held for a second, the watchdog does not wait for two minutes.
        let advice = json!({"interval": 0, "timeout": 1_000, "reconnect": "retry"});
        scene.fault(at, json!({"at": "connect", "harm": {"merge": {"advice": advice}}})).await;
        eventually("the next poll", async || (!scene.times(at, "/meta/connect").is_empty()).then_some(()))
            .await;
    }
    let scene = strikes(scene, &[("S15", 1, 0), ("S31", 1, 0), ("S21-hangs", 2, 0)]).await;
    for at in 0..2 {
        assert_eq!(scene.replays(at), [scene.position[at]], "what nobody heard is asked for again");
    }
    eventually("the orphan to be gone", async || (scene.org(2).cometd_clients() == 1).then_some(())).await;
}

#[actix_rt::test]
async fn s16_answers_of_proxies_and_bodies_that_are_no_list() {
    let cases = [
        ("S16-500", 1, 0),
        ("S16-502", 1, 0),
        ("S16-503", 1, 0),
        ("S16-html", 1, 0),
        ("S16-empty", 1, 0),
        ("S16-none", 1, 0),
        ("S16-null", 1, 0),
        ("S16-odd", 0, 0),
    ];
    recovers(&cases).await;
}

#[actix_rt::test]
async fn s17_a_body_that_trickles() {
    recovers(&[("S17-drip", 0, 0)]).await;
}

#[actix_rt::test]
async fn s17_five_thousand_events_in_one_answer_of_more_than_ten_megabytes() {
    let mut scene = Scene::of(&["acme"]).await;
    scene.streaming(0, "answer_events_max", json!(10_000)).await;
    scene.streaming(0, "answer_bytes_max", json!(50_000_000)).await;
    scene.rig.kill().await;
    let ids: Vec<String> = (1..51).map(|n| scene.account(0, n)).collect();
    let padded = |ids: &[String], padding: String| {
        let mut payload = request(ids);
        payload.insert("Padding__c".to_owned(), json!(padding));
        payload
    };
    for n in 0..5_000 {
        scene.org(0).publish("Sync_Request__e", padded(&ids[n % 50..=n % 50], "é".repeat(1_100)));
    }
    scene.org(0).publish("Sync_Request__e", padded(&ids[..1], "語".repeat(350_000)));
    scene.rig.start().await;
    scene.rig.ledger("acme", json!({ "records_in": 5_002, "open": 0, "dead_letters": 0 })).await;
    scene.holds(0, 0..51).await;
    // A machine that is busy with other things may be too slow for the 4 s that a session lives here without a poll.
    let replays = scene.replays(0);
    assert!(replays[0] == scene.position[0] && replays.is_sorted_by(|one, next| one < next), "{replays:?}");
    let peak = scene.rig.peak_memory_mb();
    assert!(peak < 500, "{peak} MB");
}

#[actix_rt::test]
async fn s18_events_stand_where_one_does_not_look_for_them() {
    let mut scene = Scene::of(&["acme"]).await;
    // Published between handshake and subscribe: in the answer to the subscribe.
    scene.fault(0, json!({"at": "handshake", "harm": {"delay": 5_000}})).await;
    scene.named(0, "S02").await;
    eventually("a handshake", async || (scene.handshakes(0) == 1).then_some(())).await;
    scene.publish(0);
    scene.right(0).await;
    // Published between subscribe and connect: in the answer to the first connect.
    scene.fault(0, json!({"at": "subscribe", "harm": {"delay": 5_000}})).await;
    scene.named(0, "S02").await;
    eventually("a subscribe", async || (scene.replays(0).len() == 2).then_some(())).await;
    scene.publish(0);
    scene.right(0).await;
    // An event of a channel nobody asked for, ahead of one that was.
    scene.named(0, "S18-stray").await;
    scene.publish(0);
    scene.right(0).await;
    scene.reacted(0, 2, 0);
}

#[actix_rt::test]
async fn s19_a_channel_fails_after_a_new_handshake_and_is_asked_for_again() {
    let mut scene = Scene::of(&["acme", "denied", "polls"]).await;
    scene.streaming(1, "hold_ms", json!(11_000)).await;
    scene.streaming(2, "polls_deliver_only", json!(true)).await;
    for (at, name) in ["S19", "S19-denied", "S19"].into_iter().enumerate() {
        scene.named(at, name).await;
        scene.publish(at);
    }
    scene.right(0).await;
    scene.right(2).await;
    // Asked for again beside the poll that was held: the first one after a handshake is not.
    let asked = scene.times(0, "/meta/subscribe")[2];
    let polls = scene.times(0, "/meta/connect").into_iter().filter(|poll| *poll < asked).count();
    assert!(polls <= 2, "{polls} polls before the channel was asked for a third time");
    // The event came beside the poll, so it was asked for once more, in a session of its own. Where it comes with the
    // poll, the session stays.
    scene.reacted(0, 2, 0);
    scene.reacted(2, 1, 0);

    let denied = scene.deaf(1, "does not have access").await;
    assert!(denied["hint"].as_str().is_some_and(|hint| hint.contains("permission")), "{denied}");
    // The session lives: it goes on polling.
    let polls = scene.times(1, "/meta/connect").len();
    eventually("more polls", async || (scene.times(1, "/meta/connect").len() > polls + 2).then_some(()))
        .await;
    scene.reacted(1, 1, 0);
    scene.control(1, Method::DELETE, "cometd-faults", Value::Null).await;
    scene.restart(1).await;
    scene.right(1).await;
}

#[actix_rt::test]
async fn s20_the_work_on_events_stalls_and_polls_go_on() {
    let mut scene = Scene::of(&["acme"]).await;
    scene.rig.simulator.vendor().set_down(true);
    eventually("40 s of simulated time", async || {
        scene.publish(0);
        let times = scene.times(0, "/meta/connect");
        (times.last()? - times.first()? > 45_000).then_some(())
    })
    .await;
    scene.rig.ledger("acme", json!({ "open": scene.published[0] - 1 })).await;
    scene.rig.simulator.vendor().set_down(false);
    scene.right(0).await;
    scene.reacted(0, 0, 0);
}

#[actix_rt::test]
async fn s21_a_handshake_is_done_and_its_reply_lost() {
    let scene = recovers(&[("S21", 2, 0)]).await;
    eventually("the orphan to be gone", async || (scene.org(0).cometd_clients() == 1).then_some(())).await;
}

#[actix_rt::test]
async fn s22_cookies_are_set_anew_in_a_session() {
    recovers(&[("S22", 0, 0), ("S22-browser", 1, 0)]).await;
}

#[actix_rt::test]
async fn s23_cookies_do_not_arrive_or_are_another_users() {
    let scene = recovers(&[("S23", 1, 0), ("S23-user", 1, 0)]).await;
    for at in 0..2 {
        let set = scene.org(at).cometd_messages();
        let handshake = set.iter().find(|message| message.channel == "/meta/handshake").expect("one");
        assert!(!handshake.has_cookie, "the new session begins with an empty jar");
    }
}

#[actix_rt::test]
async fn s24_the_server_takes_us_for_several_clients() {
    let scene = strikes(polled(&["s24"]).await, &[("S24", 0, 0)]).await;
    assert!(longest_pause(&scene) >= 2_000 * SCALE, "the interval is kept");
    assert_eq!(scene.subscription(0).await["faults"]["session"], 1, "it is told");
}

/// Orgs in which the poll that is held is logged.
async fn polled(orgs: &[&str]) -> Scene {
    let scene = Scene::of(orgs).await;
    for at in 0..orgs.len() {
        scene.poke(at).await;
        eventually("the next poll", async || (!scene.times(at, "/meta/connect").is_empty()).then_some(()))
            .await;
    }
    scene
}

/// The longest time between two polls.
fn longest_pause(scene: &Scene) -> i64 {
    let times = scene.times(0, "/meta/connect");
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

#[actix_rt::test]
async fn s25_replay_ids_begin_lower_and_an_id_is_used_for_another_event() {
    let mut scene = Scene::of(&["acme"]).await;
    let same = scene.position[0];
    scene.control(0, Method::PUT, "next-replay-id", json!(same)).await;
    assert_eq!(scene.publish(0), same);
    scene.right(0).await;
    scene.control(0, Method::PUT, "next-replay-id", json!(5)).await;
    assert_eq!(scene.publish(0), 5);
    scene.right(0).await;
    scene.named(0, "S02").await;
    scene.publish(0);
    scene.right(0).await;
    assert_eq!(scene.replays(0).first(), Some(&5), "the position went down with the IDs");
}

#[actix_rt::test]
async fn s26_events_that_come_twice_have_one_effect() {
    recovers(&[("S26", 0, 0), ("S26-other-id", 0, 0)]).await;
}

/// Events that name no change, only that there were some: the records are read again, and where no record is named, all
/// that changed since.
#[actix_rt::test]
async fn s27_changes_that_were_not_sent_are_read_again() {
    let channel = "/data/ChangeEvents";
    let orgs = vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }];
    let mut rig = Rig::with(orgs, |text| text.replace(CHANNEL, channel)).await;
    let org = rig.org("acme").clone();
    let publish = |kind: &str, ids: &[&str]| {
        let header =
            json!({"entityName": "Account", "recordIds": ids, "changeType": kind, "commitTimestamp": 0});
        org.publish_on(channel, Row::from_iter([("ChangeEventHeader".to_owned(), header)]));
    };
    // The channel is there once something was published on it.
    publish("DELETE", &["001000000000001AAA"]);
    rig.start().await;
    rig.subscribed("acme").await;
    let ids: Vec<String> = (0..4)
        .map(|n| {
            rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("K{n}"), 7)));
            org.create("Account", account(n)).expect("an account")
        })
        .collect();

    publish("GAP_UPDATE", &[&ids[0]]);
    rig.ledger("acme", json!({ "records_in": 1, "written": 1 })).await;
    publish("UPDATE", &[&ids[0], &ids[1]]);
    rig.ledger("acme", json!({ "records_in": 3, "written": 2, "unchanged": 1 })).await;
    publish("UPDATE", &["001*"]);
    rig.ledger("acme", json!({ "records_in": 7, "written": 4, "unchanged": 3 })).await;
    publish("GAP_OVERFLOW", &["000000000000000AAA"]);
    rig.ledger(
        "acme",
        json!({ "records_in": 11, "written": 4, "unchanged": 7, "open": 0, "dead_letters": 0 }),
    )
    .await;
}

#[actix_rt::test]
async fn s28_advice_of_other_sizes() {
    let scene = polled(&["s28", "s28-negative"]).await;
    let scene = strikes(scene, &[("S28", 0, 0), ("S28-negative", 0, 0)]).await;
    let pause = longest_pause(&scene);
    assert!((1_500 * SCALE..60_000 * SCALE).contains(&pause), "1,500 ms, neither s nor nothing: {pause}");
}

#[actix_rt::test]
async fn s29_a_dead_token_of_one_customer_leaves_the_others_alone() {
    let mut scene = Scene::of(&["acme", "globex"]).await;
    scene.org(0).revoke_tokens();
    scene.poke(0).await;
    scene.poke(1).await;
    for at in 0..2 {
        scene.publish(at);
    }
    eventually("a login", async || (scene.logins(0) == 1).then_some(())).await;
    for at in 0..2 {
        scene.right(at).await;
        scene.reacted(at, 1 - at, 1 - at);
    }
    assert_eq!((scene.replays(0).len(), scene.replays(1).len()), (1, 0));
}

#[actix_rt::test]
async fn s30_the_org_has_another_address() {
    recovers(&[("S30", 1, 1), ("S30-login", 1, 1)]).await;

    let mut scene = Scene::of(&["acme"]).await;
    let there = scene.org(0).base_url().replace("127.0.0.1", "localhost");
    scene.control(0, Method::PUT, "instance-url", json!(there)).await;
    scene.poke(0).await;
    scene.publish(0);
    scene.right(0).await;
    scene.reacted(0, 1, 1);
}

#[actix_rt::test]
async fn s32_the_process_is_killed_between_taking_an_event_and_storing_it() {
    let mut scene = Scene::of(&["acme"]).await;
    for round in 0..3 {
        scene.publish(0);
        if round > 0 {
            let polls = scene.times(0, "/meta/connect").len();
            eventually("a poll", async || (scene.times(0, "/meta/connect").len() > polls).then_some(()))
                .await;
            scene.publish(0);
        }
        scene.rig.kill().await;
        scene.rig.start().await;
        scene.right(0).await;
    }
}

/// Whatever Salesforce does where public material leaves it open: the session is forgotten, an answer breaks off, the
/// token dies, and nothing is missing.
#[actix_rt::test]
async fn the_answers_to_open_questions_make_no_difference() {
    let cases = [
        ("batches", json!(false)),
        ("unknown_advice", json!("none")),
        ("auth_status", json!(401)),
        ("payload_format", json!(false)),
        ("foreign_ids", json!(false)),
        ("redelivers", json!(true)),
        ("sticky_ms", json!(30_000)),
        ("hang_up", json!("unnoticed")),
        ("wording", json!("guide")),
        ("wording", json!("stock")),
        ("polls_deliver_only", json!(true)),
    ];
    let names: Vec<String> = cases.iter().enumerate().map(|(at, (key, _))| format!("{key}{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut scene = Scene::of(&names).await;
    for (at, (key, value)) in cases.iter().enumerate() {
        scene.streaming(at, key, value.clone()).await;
    }
    for trouble in 0..3 {
        for at in 0..cases.len() {
            match trouble {
                0 => scene.org(at).drop_sessions(),
                1 => scene.named(at, "S14-half").await,
                _ => scene.org(at).revoke_tokens(),
            }
            scene.publish(at);
        }
        for at in 0..cases.len() {
            scene.right(at).await;
        }
    }
    for (at, name) in names.iter().enumerate() {
        assert_eq!(scene.logins(at), 1, "one dead token in {name}");
    }
}
