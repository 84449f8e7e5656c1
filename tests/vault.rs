//! Refresh tokens over real HTTP: used by one, kept before they are used, lost by no kill but one, and then told so.

mod support;

use std::{fs, path::Path, time::Duration};

use futures_util::future::join_all;
use orgpipe_simulator::OrgOptions;
use serde_json::Value;
use support::{Rig, eventually};

/// An org by a refresh token of the settings, which changes at each use if `rotation`.
async fn rig(rotation: bool) -> Rig {
    let rig = Rig::with(vec![OrgOptions::named("acme")], |text| {
        let (before, rest) = text.split_once("auth = { flow = \"jwt\", client_id = \"").expect("an org by JWT");
        let (client_id, rest) = rest.split_once('"').expect("a client ID");
        let (_, after) = rest.split_once('}').expect("its end");
        format!(
            "{before}auth = {{ flow = \"refresh_token\", client_id = \"{client_id}\", client_secret_file = \"secret\", \
             refresh_token_file = \"token\" }}{after}"
        )
    })
    .await;
    rig.org("acme").set_rotation(rotation);
    rig.write_secret("secret", rig.org("acme").client_secret());
    grant(&rig);
    rig
}

/// The customer's user authorises the app, and the token goes to the settings.
fn grant(rig: &Rig) {
    let user = rig.org("acme").username().to_owned();
    let token = rig.org("acme").grant_refresh_token(&user).expect("such a user");
    rig.write_secret("token", &token);
}

async fn login(rig: &Rig) -> Value {
    rig.view("acme").await["parts"]["login"].clone()
}

/// Waits until the customer has to authorise again, and gives what is told.
async fn ended(rig: &Rig) -> String {
    eventually("it is told that the customer has to authorise again", async || {
        let login = login(rig).await;
        let told = login["note"].as_str().unwrap_or_default().to_owned();
        (login["state"] == "parked" && told.contains("authorise orgpipe again")).then_some(told)
    })
    .await
}

/// That nobody asks for a token any more.
async fn asks_no_more(rig: &Rig) {
    let before = rig.org("acme").token_calls();
    actix_rt::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rig.org("acme").token_calls(), before, "it asks in vain");
}

/// All access tokens end, and something is asked for.
fn expire(rig: &Rig) {
    rig.org("acme").revoke_tokens();
    let account = rig.org("acme").create("Account", support::account(1)).expect("an account");
    rig.org("acme").publish("Sync_Request__e", support::request(&[account]));
}

#[actix_rt::test]
async fn a_kill_at_any_point_of_an_exchange_leaves_it_connected_or_says_what_happened() {
    for (failpoint, lost) in [("before-exchange", false), ("before-grant", true), ("after-grant", false)] {
        for pass in [1, 2] {
            let mut rig = rig(true).await;
            rig.simulator.vendor().set_answer(&support::domain(1), Some(support::answer("k1", 1)));
            let failpoints = format!("{failpoint}/acme=abort@{pass}");
            if pass == 1 {
                rig.launch(&failpoints, "warn");
            } else {
                rig.start_failing(&failpoints).await;
                rig.subscribed("acme").await;
                expire(&rig);
            }
            rig.ended().await;
            let before = rig.org("acme").token_calls();
            rig.start().await;
            if lost {
                let told = ended(&rig).await;
                // Only an exchange shows that the token changes at each use.
                let unclear = told.contains("which is not known yet");
                assert!(told.contains("no revocation by the customer"), "{failpoints}: {told}");
                assert_eq!(unclear, pass == 1, "{failpoints}: {told}");
                assert_eq!(rig.org("acme").token_calls(), before + 1, "{failpoints}");
                asks_no_more(&rig).await;
                grant(&rig);
                assert_eq!(rig.post("reload").await.0, 200);
            }
            rig.subscribed("acme").await;
            assert_eq!(rig.org("acme").grants().len(), 1, "{failpoints}");
        }
    }
}

#[actix_rt::test]
async fn two_hundred_calls_that_meet_an_ended_token_come_to_one_exchange() {
    let mut rig = rig(true).await;
    rig.start().await;
    rig.subscribed("acme").await;
    let path = "orgs/acme/limits";
    assert_eq!(rig.post(path).await.0, 200);
    let before = rig.org("acme").token_calls();
    rig.org("acme").revoke_tokens();
    let answers = join_all((0..200).map(|_| rig.post(path))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    assert_eq!(rig.org("acme").token_calls() - before, 1);
}

#[actix_rt::test]
async fn a_revocation_is_told_once_and_not_asked_about_again_until_an_operator_says_so() {
    let mut rig = rig(false).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig.org("acme").revoke_grants();
    rig.org("acme").revoke_tokens();
    let told = ended(&rig).await;
    assert!(told.contains("it was revoked in the org, or has expired"), "{told}");
    asks_no_more(&rig).await;
    let before = rig.org("acme").token_calls();
    rig.order("acme", "resume").await;
    eventually("it is tried once", async || (rig.org("acme").token_calls() > before).then_some(())).await;
    ended(&rig).await;
    asks_no_more(&rig).await;
    // Over a restart, too.
    rig.terminate().await;
    let before = rig.org("acme").token_calls();
    rig.start().await;
    ended(&rig).await;
    assert_eq!(rig.org("acme").token_calls(), before);
    grant(&rig);
    assert_eq!(rig.post("reload").await.0, 200);
    rig.subscribed("acme").await;
}

#[actix_rt::test]
async fn an_old_token_of_a_copy_is_told_apart_and_named() {
    let mut rig = rig(true).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig.terminate().await;
    let (data, copy) = (rig.folder.path().join("data"), rig.folder.path().join("copy"));
    copy_dir(&data, &copy);
    rig.start().await;
    rig.subscribed("acme").await;
    rig.terminate().await;
    fs::remove_dir_all(&data).expect("removed");
    fs::rename(&copy, &data).expect("put back");
    rig.start().await;
    let told = ended(&rig).await;
    assert!(told.contains("a copy of it was used elsewhere"), "{told}");
    asks_no_more(&rig).await;
}

#[actix_rt::test]
async fn a_request_that_meets_another_one_is_made_again() {
    let mut rig = rig(false).await;
    rig.start().await;
    rig.subscribed("acme").await;
    let org = rig.org("acme");
    org.hold_token_requests(true);
    let token = fs::read_to_string(rig.folder.path().join("token")).expect("a token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token.trim()),
        ("client_id", org.client_id()),
        ("client_secret", org.client_secret()),
    ];
    let url = format!("{}/services/oauth2/token", org.base_url());
    let other = actix_rt::spawn(reqwest::Client::new().post(url).form(&form).send());
    eventually("the other one is held", async || (org.token_requests_held() == 1).then_some(())).await;
    expire(&rig);
    eventually("they meet", async || {
        let met = |login: &orgpipe_simulator::LoggedLogin| login.status.contains("already being processed");
        org.login_history().iter().any(met).then_some(())
    })
    .await;
    org.hold_token_requests(false);
    assert_eq!(other.await.expect("it ends").expect("an answer").status(), 200);
    rig.subscribed("acme").await;
}

#[actix_rt::test]
async fn stopping_revokes_nothing_and_waits_for_a_token_request() {
    let mut rig = rig(true).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig.org("acme").hold_token_requests(true);
    expire(&rig);
    let held = async || (rig.org("acme").token_requests_held() == 1).then_some(());
    eventually("a token request is under way", held).await;
    rig.signal("-TERM").await;
    // Longer than the steps under way are waited for.
    actix_rt::time::sleep(Duration::from_secs(8)).await;
    rig.org("acme").hold_token_requests(false);
    rig.ended().await;
    assert_eq!(rig.org("acme").grants().len(), 1);
    rig.start().await;
    rig.subscribed("acme").await;
}

#[actix_rt::test]
async fn no_token_and_no_key_stands_in_the_data_directory() {
    let mut rig = rig(true).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig.terminate().await;
    let key = fs::read_to_string(rig.folder.path().join("data.key")).expect("a key");
    let tokens: Vec<String> = rig.org("acme").grants().into_iter().map(|grant| grant.refresh_token).collect();
    let first = fs::read_to_string(rig.folder.path().join("token")).expect("a token");
    for file in files(&rig.folder.path().join("data")) {
        let bytes = fs::read(&file).expect("readable");
        for secret in tokens.iter().chain([&first]).map(|text| text.trim()).chain([key.trim()]) {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a secret stands in {}", file.display());
        }
    }
    // Without the key no token is used, and none is made in its place.
    fs::write(rig.folder.path().join("data.key"), "wrong").expect("written");
    let out = rig.command(&["run"]).output().await.expect("it ends");
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && told.contains("data.key holds no vault key"), "{told}");
    assert!(!told.contains(key.trim()), "{told}");
    fs::remove_file(rig.folder.path().join("data.key")).expect("removed");
    let out = rig.command(&["run"]).output().await.expect("it ends");
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        !out.status.success() && told.contains("there is no vault key") && told.contains("`acme`"),
        "{told}"
    );
    assert!(!rig.folder.path().join("data.key").exists());
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy_dir(&entry, &target);
        } else {
            fs::copy(&entry, &target).expect("copied");
        }
    }
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
