//! Customers who connect their orgs by a link, over real HTTP: from the invitation to a written record, and every way in which
//! it must not go. A browser goes the same way in `tests/browser`.

mod support;

use std::time::Duration;

use orgpipe_simulator::{AppStatus, FieldRight, OrgHandle, OrgOptions, Right};
use reqwest::{Client, StatusCode, header, redirect::Policy};
use serde_json::{Value, json};
use support::{Rig, eventually};

/// Somebody at a browser: it keeps cookies for their hosts and paths, and follows nothing by itself.
struct Browser {
    http: Client,
    cookies: Vec<Kept>,
}

/// A cookie.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    origin: String,
    path: String,
    name: String,
    value: String,
}

/// A page that was shown.
struct Shown {
    status: StatusCode,
    location: Option<String>,
    body: String,
}

impl Browser {
    fn new() -> Self {
        let http = Client::builder().redirect(Policy::none()).build().expect("a client");
        Self { http, cookies: Vec::new() }
    }

    async fn get(&mut self, url: &str) -> Shown {
        self.send(url, self.http.get(url)).await
    }

    async fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Shown {
        self.send(url, self.http.post(url).form(form)).await
    }

    async fn send(&mut self, url: &str, request: reqwest::RequestBuilder) -> Shown {
        let url = url::Url::parse(url).expect("a URL");
        let origin = url.origin().ascii_serialization();
        let fits = |cookie: &&Kept| cookie.origin == origin && url.path().starts_with(&cookie.path);
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(fits)
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        let request =
            if cookies.is_empty() { request } else { request.header(header::COOKIE, cookies.join("; ")) };
        let reply = request.send().await.expect("an answer");
        for cookie in reply.headers().get_all(header::SET_COOKIE) {
            let text = cookie.to_str().expect("text");
            let (name, value) = text.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair");
            let path = text.split(';').find_map(|part| part.trim().strip_prefix("Path=")).unwrap_or("/");
            let kept = Kept {
                origin: origin.clone(),
                path: path.to_owned(),
                name: name.to_owned(),
                value: value.to_owned(),
            };
            self.cookies.retain(|known| (&known.origin, &known.name) != (&kept.origin, &kept.name));
            self.cookies.push(kept);
        }
        let location =
            reply.headers().get(header::LOCATION).map(|url| url.to_str().expect("text").to_owned());
        Shown { status: reply.status(), location, body: reply.text().await.expect("a body") }
    }

    /// Goes on from our page to Salesforce's, logs in and allows (or not); gives the address that leads back.
    async fn consent(&mut self, going: &Shown, org: &OrgHandle, allow: bool) -> String {
        let page = after(&going.body, "http-equiv=\"refresh\" content=\"0; url=", "\"");
        let mut shown = self.get(&page).await;
        let mut at = page;
        for _ in 0..6 {
            if let Some(location) = &shown.location {
                let to = url::Url::parse(&at).expect("a URL").join(location).expect("a URL").to_string();
                if to.contains("/oauth/callback") {
                    return to;
                }
                at.clone_from(&to);
                shown = self.get(&to).await;
                continue;
            }
            let action = after(&shown.body, "action=\"", "\"");
            let to = url::Url::parse(&at).expect("a URL").join(&action).expect("a URL").to_string();
            let mut form: Vec<(String, String)> = hidden(&shown.body);
            if shown.body.contains("id=\"password\"") {
                form.push(("username".to_owned(), org.username().to_owned()));
                form.push(("password".to_owned(), org.password().to_owned()));
            } else {
                let id = if allow { "id=\"oaapprove\"" } else { "id=\"oadeny\"" };
                let button = shown.body.split('<').find(|tag| tag.contains(id)).expect("a button");
                form.push((after(button, "name=\"", "\""), after(button, "value=\"", "\"")));
            }
            let pairs: Vec<(&str, &str)> = form.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            shown = self.post(&to, &pairs).await;
            at = to;
        }
        panic!("no way back: {}", shown.body)
    }
}

fn after(text: &str, before: &str, until: &str) -> String {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(until).expect("its end").0.replace("&#38;", "&").replace("&amp;", "&")
}

fn hidden(body: &str) -> Vec<(String, String)> {
    let inputs = body.split("<input").skip(1).filter(|input| input.contains("type=\"hidden\""));
    inputs.map(|input| (after(input, "name=\"", "\""), after(input, "value=\"", "\""))).collect()
}

/// A service that starts with no org at all; the simulator has `acme` and `globex`, whose admins may connect them.
async fn rig() -> Rig {
    let orgs = vec![OrgOptions::named("acme"), OrgOptions::named("globex")];
    let port = support::free_port();
    let mut rig = Rig::with(orgs, |text| {
        let (before, _) = text.split_once("\n[[org]]").expect("orgs");
        let before = before.replace("reserve = 0.0", "reserve = 0.2");
        before.replace("listen = \"127.0.0.1:0\"", &format!("listen = \"127.0.0.1:{port}\""))
    })
    .await;
    let base = format!("http://127.0.0.1:{port}");
    let connect = format!(
        "\n[connect]\nbase_url = \"{base}\"\nvendor = \"Example Inc.\"\nclient_id = \"{}\"\nclient_secret_file = \"secret\"\n",
        rig.org("acme").client_id()
    );
    let path = rig.folder.path().join("orgpipe.toml");
    let text = std::fs::read_to_string(&path).expect("settings") + &connect;
    rig.write("orgpipe.toml", &text);
    rig.write_secret("secret", rig.org("acme").client_secret());
    for org in ["acme", "globex"] {
        rig.org(org).register_redirect_uri(&format!("{base}/oauth/callback"));
        rig.org(org).set_rotation(true);
        rig.org(org).create("Account", support::account(0)).expect("an account");
    }
    rig.start().await;
    rig
}

async fn invite(rig: &Rig, org: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/api/v1/orgs/{org}/invite", rig.admin);
    let reply = rig.http.post(url).json(&body).send().await.expect("an answer");
    (reply.status().as_u16(), reply.json().await.expect("JSON"))
}

async fn link(rig: &Rig, org: &str) -> String {
    let (status, answer) = invite(rig, org, json!({})).await;
    assert_eq!(status, 201, "{answer}");
    answer["link"].as_str().expect("a link").to_owned()
}

/// From the link to the address that leads back from Salesforce.
async fn consented(rig: &Rig, browser: &mut Browser, link: &str, org: &str, allow: bool) -> String {
    let shown = browser.get(link).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    let address = rig.org(org).base_url();
    let going = browser.post(link, &[("kind", "domain"), ("domain", &address)]).await;
    assert_eq!(going.status, 200, "{}", going.body);
    browser.consent(&going, rig.org(org), allow).await
}

async fn writes(rig: &Rig, org: &str, n: usize) {
    let key = format!("key-{n}");
    rig.simulator.vendor().set_answer(&support::domain(n), Some(support::answer(&key, 7)));
    rig.subscribed(org).await;
    let account = rig.org(org).create("Account", support::account(n)).expect("an account");
    rig.org(org).publish("Sync_Request__e", support::request(&[account]));
    eventually("the record is written", async || rig.enrichment(org, &key)).await;
}

async fn listed(rig: &Rig) -> Value {
    let url = format!("{}/api/v1/orgs", rig.admin);
    rig.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
}

#[actix_rt::test]
async fn an_invited_customer_connects_and_the_org_is_live_without_a_restart_and_after_one() {
    let mut rig = rig().await;
    let link = link(&rig, "acme").await;
    assert_eq!(listed(&rig).await["orgs"], json!([]), "an invitation alone is no org");
    let mut browser = Browser::new();
    let back = consented(&rig, &mut browser, &link, "acme", true).await;
    let done = browser.get(&back).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert!(done.body.contains("Your org is connected"), "{}", done.body);
    writes(&rig, "acme", 1).await;
    let stored = listed(&rig).await["stored"][0].clone();
    assert_eq!((&stored["id"], &stored["in_file"]), (&json!("acme"), &json!(false)), "{stored}");
    assert_eq!(stored["by"], "first", "under the token's name: {stored}");
    rig.kill().await;
    rig.start().await;
    writes(&rig, "acme", 2).await;
    // The address that led back is of no more use, neither here nor to anybody else.
    for mut browser in [browser, Browser::new()] {
        let again = browser.get(&back).await;
        assert_eq!(again.status, 400, "{}", again.body);
    }
    // Connected again by the same customer, with a new grant.
    let mut browser = Browser::new();
    let back = consented(&rig, &mut browser, &link_again(&rig).await, "acme", true).await;
    let done = browser.get(&back).await;
    assert_eq!(done.status, 200, "{}", done.body);
    writes(&rig, "acme", 3).await;
    // Removed, it stops; its records stay until they are purged.
    let (status, removed) = rig.post("orgs/acme/remove").await;
    assert_eq!(status, 200, "{removed}");
    eventually("it has stopped", async || (listed(&rig).await["orgs"] == json!([])).then_some(())).await;
    assert_eq!(listed(&rig).await["left"][0]["id"], "acme");
}

async fn link_again(rig: &Rig) -> String {
    link(rig, "acme").await
}

#[actix_rt::test]
async fn a_parked_org_is_connected_again() {
    let rig = rig().await;
    let mut browser = Browser::new();
    let back = consented(&rig, &mut browser, &link(&rig, "acme").await, "acme", true).await;
    assert_eq!(browser.get(&back).await.status, 200);
    writes(&rig, "acme", 1).await;
    rig.org("acme").revoke_grants();
    rig.org("acme").revoke_tokens();
    eventually("it is parked", async || {
        let login = rig.view("acme").await["parts"]["login"].clone();
        let invites = login["hint"].as_str().is_some_and(|hint| hint.contains("orgpipe orgs invite acme"));
        (login["state"] == "parked" && invites).then_some(())
    })
    .await;
    let out = rig.command(&["orgs", "list"]).output().await.expect("it ends");
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(told.contains("parked") && told.contains("orgpipe orgs invite acme"), "{told}");
    let again = link(&rig, "acme").await;
    let shown = browser.get(&again).await;
    assert!(shown.body.contains("Please connect it again"), "{}", shown.body);
    let back = consented(&rig, &mut browser, &again, "acme", true).await;
    assert_eq!(browser.get(&back).await.status, 200);
    writes(&rig, "acme", 2).await;
}

#[actix_rt::test]
async fn whoever_is_not_meant_connects_nothing() {
    let rig = rig().await;
    let mut browser = Browser::new();
    let first = link(&rig, "acme").await;
    let (base, token) = first.rsplit_once('/').expect("a link");
    // Links that are none.
    let mut changed = token.to_owned();
    let middle = changed.len() / 2;
    changed.replace_range(middle..=middle, if &changed[middle..=middle] == "a" { "b" } else { "a" });
    for wrong in [changed.as_str(), "x", "a.b.c", &"a".repeat(5_000)] {
        let shown = browser.get(&format!("{base}/{wrong}")).await;
        assert_eq!(shown.status, 404, "{wrong}: {}", shown.body);
    }
    // A newer link ends the older one, also one under way.
    let back = consented(&rig, &mut browser, &first, "acme", true).await;
    let second = link(&rig, "acme").await;
    let shown = browser.get(&back).await;
    assert_eq!(shown.status, 404, "{}", shown.body);
    assert_eq!(browser.get(&first).await.status, 404);
    // A consent that was begun in one browser is not ended in another: nobody connects his org by somebody else's click.
    let back = consented(&rig, &mut browser, &second, "acme", true).await;
    let shown = Browser::new().get(&back).await;
    assert_eq!(shown.status, 400, "{}", shown.body);
    // Denied, and not installed: what to do is told.
    let denied = consented(&rig, &mut browser, &second, "acme", false).await;
    let shown = browser.get(&denied).await;
    assert_eq!(shown.status, 409, "{}", shown.body);
    rig.org("acme").set_app(AppStatus::NotInstalled);
    let back = consented(&rig, &mut browser, &second, "acme", true).await;
    let shown = browser.get(&back).await;
    assert!(shown.body.to_lowercase().contains("install"), "{}", shown.body);
    rig.org("acme").set_app(AppStatus::Installed);
    // Invented answers.
    for query in
        ["", "?code=x", "?state=x", "?code=x&state=y", "?code=a&code=b&state=c", "?error=%00&state=%ff"]
    {
        let shown = browser.get(&format!("{}/oauth/callback{query}", rig.admin)).await;
        assert_eq!(shown.status, 400, "{query}: {}", shown.body);
    }
    assert_eq!(listed(&rig).await["orgs"], json!([]), "nothing was connected");
    assert!(rig.org("acme").grants().len() <= 5);
}

#[actix_rt::test]
async fn one_salesforce_org_has_one_name_and_one_name_one_salesforce_org() {
    let rig = rig().await;
    let mut browser = Browser::new();
    let back = consented(&rig, &mut browser, &link(&rig, "acme").await, "acme", true).await;
    assert_eq!(browser.get(&back).await.status, 200);
    writes(&rig, "acme", 1).await;
    // The same Salesforce org under another name.
    let back = consented(&rig, &mut browser, &link(&rig, "other").await, "acme", true).await;
    let shown = browser.get(&back).await;
    assert!(shown.status == 409 && shown.body.contains("connected already"), "{}", shown.body);
    // Another Salesforce org under the same name.
    let url = rig.org("globex").base_url();
    let (status, answer) = invite(&rig, "acme", json!({ "login_url": url })).await;
    assert_eq!(status, 201, "{answer}");
    let link = answer["link"].as_str().expect("a link").to_owned();
    let shown = browser.get(&link).await;
    assert!(!shown.body.contains("Which org?"), "the host is settled: {}", shown.body);
    let going = browser.post(&link, &[]).await;
    let back = browser.consent(&going, rig.org("globex"), true).await;
    let shown = browser.get(&back).await;
    assert!(shown.status == 409 && shown.body.contains("this link is for"), "{}", shown.body);
    writes(&rig, "acme", 2).await;
}

#[actix_rt::test]
async fn addresses_that_people_paste_are_corrected_or_explained() {
    let rig = rig().await;
    let link = link(&rig, "acme").await;
    let mut browser = Browser::new();
    for (typed, host) in [
        (
            "https://acme.lightning.force.com/lightning/page/home",
            "https://acme.my.salesforce.com/services/oauth2/authorize",
        ),
        (
            "acme--uat.sandbox.lightning.force.com",
            "https://acme--uat.sandbox.my.salesforce.com/services/oauth2/authorize",
        ),
    ] {
        let shown = browser.post(&link, &[("kind", "domain"), ("domain", typed)]).await;
        assert!(shown.body.contains(host), "{typed}: {}", shown.body);
        assert!(shown.body.contains("code_challenge_method=S256"), "{}", shown.body);
    }
    for (kind, host) in
        [("production", "https://login.salesforce.com/"), ("sandbox", "https://test.salesforce.com/")]
    {
        let shown = browser.post(&link, &[("kind", kind)]).await;
        assert!(shown.body.contains(host), "{kind}: {}", shown.body);
    }
    for typed in [
        "",
        "acme",
        "https://evil.example/",
        "https://evil.example/.my.salesforce.com",
        "sync@acme.example",
        "<script>",
    ] {
        let shown = browser.post(&link, &[("kind", "domain"), ("domain", typed)]).await;
        assert_eq!(shown.status, 422, "{typed}: {}", shown.body);
        assert!(
            shown.body.contains("Go to Salesforce") && !shown.body.contains("<script>"),
            "{}",
            shown.body
        );
    }
}

#[actix_rt::test]
async fn orgs_are_added_with_a_login_of_their_own_and_a_clash_is_an_error() {
    let mut rig = rig().await;
    let (login_url, client_id, username) = {
        let org = rig.org("globex");
        (org.base_url(), org.client_id().to_owned(), org.username().to_owned())
    };
    rig.write_secret("globex.key", rig.org("globex").private_key_pem());
    let table = json!({ "id": "globex", "login_url": login_url, "time_zone": "Europe/Berlin",
        "auth": { "flow": "jwt", "client_id": client_id, "username": username, "key_file": "globex.key" } });
    let add = async |rig: &Rig, body: &Value| {
        let url = format!("{}/api/v1/orgs", rig.admin);
        let reply = rig.http.post(url).json(body).send().await.expect("an answer");
        (reply.status().as_u16(), reply.json::<Value>().await.expect("JSON"))
    };
    for (wrong, told) in [
        (json!({}), "no `id`"),
        (json!({ "id": "a b" }), "`id`"),
        (json!({ "id": "globex", "time_zone": "Berlin" }), "time_zone"),
        (json!({ "id": "globex", "colour": "red" }), "colour"),
        (json!({ "id": "globex", "auth": { "flow": "jwt" } }), "client_id"),
    ] {
        let (status, answer) = add(&rig, &wrong).await;
        assert!((400..500).contains(&status), "{wrong}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(told)), "{wrong}: {answer}");
    }
    let (status, answer) = add(&rig, &table).await;
    assert_eq!(status, 201, "{answer}");
    writes(&rig, "globex", 1).await;
    assert_eq!(add(&rig, &table).await.0, 409, "once");
    let (status, answer) = invite(&rig, "globex", json!({})).await;
    assert!(
        status == 409 && answer["hint"].as_str().is_some_and(|hint| hint.contains("web_server")),
        "{answer}"
    );
    // A file with the same name is refused while it runs; at a start the file counts, and the org of the store says why it does not.
    let path = rig.folder.path().join("orgpipe.toml");
    let text = std::fs::read_to_string(&path).expect("settings");
    let both = format!("{text}\n[[org]]\nid = \"globex\"\nauth = {{ flow = \"web_server\" }}\n");
    rig.write("orgpipe.toml", &both);
    let (status, answer) = rig.post("reload").await;
    assert_eq!(status, 422, "{answer}");
    assert!(
        answer["problems"][0].as_str().is_some_and(|problem| problem.contains("is there already")),
        "{answer}"
    );
    writes(&rig, "globex", 2).await;
    rig.terminate().await;
    rig.start().await;
    let stored = listed(&rig).await["stored"][0].clone();
    let told = stored["problems"][0].as_str().unwrap_or_default().to_owned();
    assert!(told.contains("is there already") && told.contains("orgs remove globex"), "{stored}");
    rig.terminate().await;
    rig.write("orgpipe.toml", &text);
    rig.start().await;
    writes(&rig, "globex", 3).await;
}

#[actix_rt::test]
async fn an_org_of_a_file_is_connected_by_a_link_too() {
    let mut rig = rig().await;
    rig.terminate().await;
    let path = rig.folder.path().join("orgpipe.toml");
    let text = std::fs::read_to_string(&path).expect("settings");
    let org = format!(
        "\n[[org]]\nid = \"acme\"\nlogin_url = \"{}\"\nauth = {{ flow = \"web_server\" }}\n",
        rig.org("acme").base_url()
    );
    rig.write("orgpipe.toml", &(text + &org));
    rig.start().await;
    eventually("it waits to be connected", async || {
        let login = rig.view("acme").await["parts"]["login"].clone();
        login["note"].as_str().is_some_and(|note| note.contains("not connected")).then_some(())
    })
    .await;
    let link = link(&rig, "acme").await;
    let mut browser = Browser::new();
    let going = browser.post(&link, &[]).await;
    let back = browser.consent(&going, rig.org("acme"), true).await;
    let done = browser.get(&back).await;
    assert_eq!(done.status, 200, "{}", done.body);
    writes(&rig, "acme", 1).await;
}

/// What one customer does must not stop the others.
#[actix_rt::test]
async fn a_click_never_stops_what_runs_and_applies_no_half_written_file() {
    let mut rig = rig().await;
    let mut browser = Browser::new();
    let acme = link(&rig, "acme").await;
    let globex = link(&rig, "globex").await;
    // The name of an invited org is taken, whatever its case, before anybody has connected it.
    let (status, answer) = invite(&rig, "Acme", json!({})).await;
    assert_eq!(status, 422, "{answer}");
    let back = consented(&rig, &mut browser, &acme, "acme", true).await;
    // The file is being edited just now.
    let path = rig.folder.path().join("orgpipe.toml");
    let text = std::fs::read_to_string(&path).expect("settings");
    rig.write("orgpipe.toml", "[[org]\nid = ");
    assert_eq!(browser.get(&back).await.status, 200);
    writes(&rig, "acme", 1).await;
    rig.write("orgpipe.toml", &text.replace("name = \"accounts\"", "name = \"renamed\""));
    let back = consented(&rig, &mut browser, &globex, "globex", true).await;
    assert_eq!(browser.get(&back).await.status, 200);
    writes(&rig, "acme", 2).await;
    writes(&rig, "globex", 3).await;
    // A file that would take an org of the store out of work is refused as a whole.
    let without = text.split("\n[connect]").next().expect("settings").to_owned();
    rig.write("orgpipe.toml", &without);
    let (status, answer) = rig.post("reload").await;
    assert!(status == 422 && answer.to_string().contains("no usable `[connect]`"), "{answer}");
    writes(&rig, "acme", 4).await;
    // At a start it leaves out those, and the service runs.
    rig.terminate().await;
    rig.start().await;
    let stored = listed(&rig).await["stored"].clone();
    assert!(stored[0]["problems"].to_string().contains("[connect]"), "{stored}");
    rig.write("orgpipe.toml", &text);
    assert_eq!(rig.post("reload").await.0, 200);
    writes(&rig, "acme", 5).await;
}

#[actix_rt::test]
async fn what_is_not_kept_is_given_back_and_the_other_approvals_stay() {
    let rig = rig().await;
    let mut browser = Browser::new();
    let back = consented(&rig, &mut browser, &link(&rig, "acme").await, "acme", true).await;
    assert_eq!(browser.get(&back).await.status, 200);
    writes(&rig, "acme", 1).await;
    let other = link(&rig, "other").await;
    for _ in 0..6 {
        let back = consented(&rig, &mut browser, &other, "acme", true).await;
        assert_eq!(browser.get(&back).await.status, 409);
    }
    assert_eq!(rig.org("acme").grants().len(), 1, "the one that is used");
    rig.org("acme").revoke_tokens();
    writes(&rig, "acme", 2).await;
}

#[actix_rt::test]
async fn two_orgs_are_connected_in_one_browser_at_a_time() {
    let rig = rig().await;
    let mut browser = Browser::new();
    let (acme, globex) = (link(&rig, "acme").await, link(&rig, "globex").await);
    let first = consented(&rig, &mut browser, &acme, "acme", true).await;
    let second = consented(&rig, &mut browser, &globex, "globex", true).await;
    for back in [first, second] {
        let done = browser.get(&back).await;
        assert_eq!(done.status, 200, "{}", done.body);
    }
    writes(&rig, "acme", 1).await;
    writes(&rig, "globex", 2).await;
}

#[actix_rt::test]
async fn a_removal_is_not_undone_and_no_link_or_code_is_logged() {
    let mut rig = rig().await;
    rig.terminate().await;
    rig.start_logged("trace").await;
    let link = link(&rig, "acme").await;
    let mut browser = Browser::new();
    let back = consented(&rig, &mut browser, &link, "acme", true).await;
    assert_eq!(rig.post("orgs/acme/remove").await.0, 200);
    assert_eq!(browser.get(&back).await.status, 404);
    assert_eq!(listed(&rig).await["stored"], json!([]));
    // Asked for by a name that is none of ours, with the link in the address.
    let foreign = rig.http.get(&link).header("host", "evil.example").send().await.expect("an answer");
    assert_eq!(foreign.status(), 421);
    let (log, token) = (rig.logged(), link.rsplit_once('/').expect("a link").1);
    let code = url::Url::parse(&back)
        .expect("a URL")
        .query_pairs()
        .find(|(name, _)| name == "code")
        .expect("a code")
        .1
        .into_owned();
    for secret in [token, &code, rig.org("acme").client_secret()] {
        assert!(!log.contains(secret), "a secret stands in the log");
    }
    assert!(log.contains("/connect/…"), "the refusal does");
}

#[actix_rt::test]
async fn an_org_of_the_store_leads_to_salesforce_and_nowhere_else() {
    let rig = rig().await;
    let add = async |body: Value| {
        let url = format!("{}/api/v1/orgs", rig.admin);
        let reply = rig.http.post(url).json(&body).send().await.expect("an answer");
        (reply.status().as_u16(), reply.json::<Value>().await.expect("JSON"))
    };
    for (body, told) in [
        (json!({ "id": "x", "login_url": "https://evil.example" }), "login_url"),
        (
            json!({ "id": "x", "login_url": "https://acme.my.salesforce.com", "instance_hosts": ["evil.example"] }),
            "instance_hosts",
        ),
        (json!({ "id": "x", "time_zone": null }), "null"),
    ] {
        let (status, answer) = add(body.clone()).await;
        assert!(
            status == 400 && answer["error"].as_str().is_some_and(|error| error.contains(told)),
            "{body}: {answer}"
        );
    }
    let (status, answer) =
        add(json!({ "id": "x", "login_url": "https://acme.lightning.force.com/lightning" })).await;
    assert_eq!(status, 201, "{answer}");
    let (status, answer) = invite(&rig, "x", json!({ "login_url": "https://evil.example" })).await;
    assert_eq!(status, 400, "{answer}");
}

#[actix_rt::test]
async fn what_is_missing_is_told_to_the_customers_admin_until_it_is_there() {
    let rig = rig().await;
    let link = link(&rig, "acme").await;
    let read = || Right::Field("Enrichment__c".to_owned(), "Industry__c".to_owned(), FieldRight::Edit);
    rig.org("acme").take_right(read());
    let mut browser = Browser::new();
    let back = consented(&rig, &mut browser, &link, "acme", true).await;
    let shown = browser.get(&back).await;
    assert!(
        shown.body.contains("something is missing") && shown.body.contains("Industry__c"),
        "{}",
        shown.body
    );
    rig.org("acme").give_right(read());
    actix_rt::time::sleep(Duration::from_secs(1)).await;
    let shown = browser.post(&format!("{link}/check"), &[]).await;
    assert!(shown.body.contains("Your org is connected"), "{}", shown.body);
    assert!(!shown.body.contains("something is missing"), "{}", shown.body);
}

#[actix_rt::test]
async fn the_command_line_invites_lists_and_removes() {
    let rig = rig().await;
    let run = async |arguments: &[&str]| {
        let out = rig.command(arguments).output().await.expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.success(), text(&out.stdout), text(&out.stderr))
    };
    let (done, out, err) = run(&["orgs", "invite", "acme", "--days", "3"]).await;
    assert!(done && out.lines().next().is_some_and(|line| line.contains("/connect/")), "{out}{err}");
    let (done, out, _) = run(&["orgs", "list"]).await;
    assert!(done && out.contains("acme") && out.contains("invited"), "{out}");
    let (done, out, _) = run(&["orgs", "show", "acme"]).await;
    assert!(done && out.contains("\"by_consent\": true"), "{out}");
    let (done, _, err) = run(&["orgs", "show", "nobody"]).await;
    assert!(!done && err.contains("there is no org `nobody`"), "{err}");
    let (done, out, _) = run(&["orgs", "remove", "acme"]).await;
    assert!(done && out.contains("is removed"), "{out}");
    rig.write("more.toml", "[[org]]\nid = \"wayne\"\ntime_zone = \"Europe/Berlin\"\n");
    let file = rig.folder.path().join("more.toml");
    let (done, out, err) = run(&["orgs", "add", file.to_str().expect("text")]).await;
    assert!(done && out.contains("orgpipe orgs invite wayne"), "{out}{err}");
}
