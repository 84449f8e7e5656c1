//! Refresh tokens over real HTTP: used by one, kept before they are used, lost by no kill but one, and then told so.

mod support;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use futures_util::future::join_all;
use orgpipe_simulator::OrgOptions;
use serde_json::{Value, json};
use support::{
    Rig,
    cli::{order, ordered},
    eventually,
};

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

/// Orgs by refresh tokens that change at each use; the service has been connected to each of them, and is stopped.
async fn connected_once(orgs: &[&str], edit: impl FnOnce(String) -> String, key: Option<&str>) -> Rig {
    let without_flow = |org: &&str| OrgOptions { flow: false, ..OrgOptions::named(org) };
    let mut rig = Rig::with(orgs.iter().map(without_flow).collect(), |text| text).await;
    let mut text = edit(rig.settings());
    for name in orgs {
        let org = rig.org(name);
        org.set_rotation(true);
        let (id, user) = (org.client_id(), org.username());
        let jwt = format!(r#"flow = "jwt", client_id = "{id}", username = "{user}", key_file = "jwt.key""#);
        let by_token = format!(
            r#"flow = "refresh_token", client_id = "{id}", client_secret_file = "{name}.secret", refresh_token_file = "{name}.token""#
        );
        text = text.replace(&jwt, &by_token);
        rig.write_secret(&format!("{name}.secret"), org.client_secret());
        rig.write_secret(&format!("{name}.token"), &org.grant_refresh_token(user).expect("such a user"));
    }
    rig.write("orgpipe.toml", &text);
    rig.variables.extend(key.map(|key| (KEY_VARIABLE, key.to_owned())));
    connect(&mut rig, orgs).await;
    rig
}

/// Starts it, waits until it is connected to each of these orgs by the grant of before, and stops it.
async fn connect(rig: &mut Rig, orgs: &[&str]) {
    rig.start().await;
    for org in orgs {
        rig.subscribed(org).await;
        assert_eq!(rig.org(org).grants().len(), 1, "{org}");
    }
    rig.terminate().await;
}

const KEY_VARIABLE: &str = "ORGPIPE_VAULT_KEY";
const NEXT_VARIABLE: &str = "NEXT_VAULT_KEY";
const ROTATE: &[&str] = &["vault", "rotate-key"];
const ROTATE_BY_VARIABLE: &[&str] = &["vault", "rotate-key", "--next-key-env", NEXT_VARIABLE];
/// 32 bytes each.
const KEYS: [&str; 3] = [
    "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
    "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
    "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=",
];

fn with_key_variable(text: &str) -> String {
    text.replace("[service]", &format!("[service]\nvault_key_env = \"{KEY_VARIABLE}\""))
}

#[actix_rt::test]
async fn the_vault_key_is_changed_and_no_customer_has_to_connect_again() {
    let orgs = ["acme", "globex"];
    let mut rig = connected_once(&orgs, |text| text, None).await;
    let file = rig.folder.path().join("data.key");
    let before = fs::read_to_string(&file).expect("a key");
    let said = ordered(&rig, ROTATE).await;
    assert!(said.contains("tokens of 2 orgs are sealed by the next key"), "{said}");
    let after = fs::read_to_string(&file).expect("a key");
    assert!(before != after && !said.contains(after.trim()), "{said}");
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    let key_files = files(rig.folder.path()).into_iter().filter(|path| {
        fs::read_to_string(path)
            .is_ok_and(|text| [&before, &after].iter().any(|key| text.contains(key.trim())))
    });
    assert_eq!(key_files.collect::<Vec<_>>(), [file.as_path()], "neither key stands anywhere else");
    connect(&mut rig, &orgs).await;

    // While it runs its key stays. It is killed only once it has what it logs in for: an exchange that is cut off is another test's.
    rig.start().await;
    for org in orgs {
        rig.subscribed(org).await;
    }
    let (done, said) = order(&rig, ROTATE).await;
    assert!(!done && said.contains("is in use by process"), "{said}");
    assert_eq!(fs::read_to_string(&file).expect("a key"), after);
    rig.kill().await;

    // The former key opens nothing; nor is it thrown away, as it may be that of another data directory.
    fs::write(&file, &before).expect("written");
    let (done, said) = order(&rig, ROTATE).await;
    assert!(!done && said.contains("opens none of the 2 refresh tokens"), "{said}");
    assert_eq!(fs::read_to_string(&file).expect("a key"), before);
    fs::write(&file, &after).expect("written");
    connect(&mut rig, &orgs).await;
}

#[actix_rt::test]
async fn a_change_of_the_vault_key_that_dies_half_way_is_told_and_goes_on() {
    let orgs = ["acme", "globex"];
    let mut rig = connected_once(&orgs, |text| text, None).await;
    let failing =
        rig.command(ROTATE).env("ORGPIPE_TEST_FAILPOINTS", "before-reseal/globex=abort").output().await;
    assert!(!failing.expect("it ends").status.success());
    assert!(rig.folder.path().join("data.key.next").exists());
    let (done, said) = order(&rig, &["run"]).await;
    assert!(!done && said.contains("change of the vault key was cut off"), "{said}");
    assert!(said.contains("Run `orgpipe vault rotate-key` once more"), "{said}");
    let said = ordered(&rig, ROTATE).await;
    assert!(said.contains("tokens of 2 orgs are sealed by the next key"), "{said}");
    assert!(!rig.folder.path().join("data.key.next").exists());
    connect(&mut rig, &orgs).await;
}

#[actix_rt::test]
async fn a_vault_key_of_the_environment_is_changed_for_that_of_another_variable() {
    let mut rig = connected_once(&["acme"], |text| with_key_variable(&text), Some(KEYS[0])).await;
    for (arguments, next, expected) in [
        (ROTATE, None, "`--next-key-env NAME`"),
        (ROTATE_BY_VARIABLE, None, "`NEXT_VAULT_KEY`, which is not set"),
        (ROTATE_BY_VARIABLE, Some("short"), "a vault key is 32 random bytes in Base64"),
        (ROTATE_BY_VARIABLE, Some(KEYS[0]), "the next vault key is the present one"),
    ] {
        rig.variables.extend(next.map(|next| (NEXT_VARIABLE, next.to_owned())));
        let (done, said) = order(&rig, arguments).await;
        assert!(!done && said.contains(expected), "{expected}: {said}");
    }
    rig.variables.push((NEXT_VARIABLE, KEYS[1].to_owned()));
    let said = ordered(&rig, ROTATE_BY_VARIABLE).await;
    assert!(
        said.contains("token of 1 org is sealed") && said.contains("give the service the next key"),
        "{said}"
    );
    // Once more is no harm: so it goes on after a crash.
    assert!(ordered(&rig, ROTATE_BY_VARIABLE).await.contains("token of 1 org is sealed"));
    // By the former key nothing is used.
    rig.start().await;
    eventually("the complaint", async || {
        login(&rig).await["note"]
            .as_str()
            .filter(|note| note.contains("another vault key sealed it"))
            .map(drop)
    })
    .await;
    rig.terminate().await;
    rig.variables.push((KEY_VARIABLE, KEYS[1].to_owned()));
    connect(&mut rig, &["acme"]).await;
}

#[actix_rt::test]
async fn an_org_whose_token_neither_key_opens_is_named() {
    let orgs = ["acme", "globex"];
    let mut rig = connected_once(&orgs, |text| with_key_variable(&text), Some(KEYS[0])).await;
    rig.variables.push((KEY_VARIABLE, KEYS[1].to_owned()));
    rig.start().await;
    eventually("the complaint", async || {
        login(&rig).await["note"]
            .as_str()
            .filter(|note| note.contains("another vault key sealed it"))
            .map(drop)
    })
    .await;
    rig.terminate().await;
    // What is stored of the one goes, and it comes back with the key of now.
    let settings = fs::read_to_string(rig.folder.path().join("orgpipe.toml")).expect("settings");
    let (without, globex) = settings.split_at(settings.rfind("[[org]]").expect("two orgs"));
    assert!(globex.contains("globex"), "{globex}");
    rig.write("orgpipe.toml", without);
    rig.start().await;
    assert!((200..300).contains(&rig.post("orgs/globex/purge").await.0));
    rig.terminate().await;
    rig.write("orgpipe.toml", &settings);
    let token = rig.org("globex").grant_refresh_token(rig.org("globex").username()).expect("such a user");
    rig.write_secret("globex.token", &token);
    rig.start().await;
    rig.subscribed("globex").await;
    rig.terminate().await;
    rig.variables.push((NEXT_VARIABLE, KEYS[2].to_owned()));
    let (done, said) = order(&rig, ROTATE_BY_VARIABLE).await;
    assert!(!done && said.contains("token of 1 org is sealed"), "{said}");
    assert!(said.contains("org `acme`: neither key opens its refresh token"), "{said}");
}

#[actix_rt::test]
async fn an_export_has_what_customers_granted_and_keys_of_hashes_only_if_asked() {
    let mut rig = connected_once(&["acme"], |text| text, None).await;
    rig.simulator.vendor().set_answer(&support::domain(1), Some(support::answer("k1", 1)));
    rig.start().await;
    rig.subscribed("acme").await;
    let account = rig.org("acme").create("Account", support::account(1)).expect("an account");
    rig.org("acme").publish("Sync_Request__e", support::request(std::slice::from_ref(&account)));
    rig.ledger("acme", json!({ "written": 1 })).await;
    rig.terminate().await;
    let folder = rig.folder.path().to_owned();
    let path = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let all = ordered(&rig, &["store", "export", &path("all"), "--with-secrets"]).await;
    let some = ordered(&rig, &["store", "export", &path("some")]).await;
    assert!(!all.contains("secrets are left out") && some.contains("3 secrets are left out"), "{all}{some}");
    let secrets = |name: &str| {
        let text = fs::read_to_string(path(name)).expect("an export");
        [r#""name":"grant""#, r#""name":"hash-key""#, r#""registry":"admin token""#]
            .map(|secret| text.contains(secret))
    };
    assert_eq!((secrets("all"), secrets("some")), ([true; 3], [false; 3]));

    let data = rig.folder.path().join("data");
    fs::rename(&data, rig.folder.path().join("before")).expect("moved");
    let said = ordered(&rig, &["store", "import", &path("all")]).await;
    assert!(!said.contains("without secrets"), "{said}");
    connect(&mut rig, &["acme"]).await;

    fs::remove_dir_all(&data).expect("removed");
    let said = ordered(&rig, &["store", "import", &path("some")]).await;
    assert!(said.contains("made without secrets") && said.contains("have to connect again"), "{said}");
    ordered(&rig, &["store", "verify"]).await;
    let org = rig.org("acme");
    org.revoke_grants();
    rig.write_secret("acme.token", &org.grant_refresh_token(org.username()).expect("such a user"));
    rig.start().await;
    rig.subscribed("acme").await;
    rig.org("acme").publish("Sync_Request__e", support::request(&[account]));
    rig.ledger("acme", json!({ "records_in": 2, "written": 1, "unchanged": 1, "open": 0 })).await;
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
