//! The page of all orgs, with 3 and with 2,000: live, filtered, by keyboard, on a phone, and when its connection is lost.

use orgpipe_simulator::OrgOptions;
use serde_json::{Value, json};

use crate::{
    chromium::{Browser, in_time},
    support::{Rig, account, answer, domain, eventually, free_port, request},
};

/// Keys as WebDriver names them.
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";

/// A row of the table by its org.
fn row(org: &str) -> String {
    format!("#org-{org}")
}

/// Logs the browser in, at the page of all orgs.
pub(crate) async fn log_in(rig: &Rig, browser: &Browser) {
    browser.open(&format!("{}/login?token={}", rig.admin, rig.first_token())).await;
    browser.element("#fleet").await;
    live(browser).await;
}

pub(crate) async fn live(browser: &Browser) {
    browser.element("body[data-connection=live]").await;
}

/// Three orgs that run.
async fn three() -> Rig {
    three_at(0).await
}

/// The same, with the dashboard at a port.
async fn three_at(port: u16) -> Rig {
    let names = ["acme", "globex", "initech"];
    let orgs = names.map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) });
    let listen = format!("listen = \"127.0.0.1:{port}\"");
    let mut rig = Rig::with(orgs.into(), |text| text.replace("listen = \"127.0.0.1:0\"", &listen)).await;
    for name in &names[1..] {
        rig.write_secret(&format!("{name}.key"), rig.org(name).private_key_pem());
    }
    let path = rig.folder.path().join("orgpipe.toml");
    let mut text = std::fs::read_to_string(&path).expect("settings");
    for name in &names[1..] {
        let (before, after) = text.split_once(&format!("id = \"{name}\"")).expect("an org");
        let after = after.replacen("jwt.key", &format!("{name}.key"), 1);
        text = format!("{before}id = \"{name}\"{after}");
    }
    rig.write("orgpipe.toml", &text);
    rig.start().await;
    for name in names {
        rig.subscribed(name).await;
    }
    rig
}

/// An event that asks for a record, which is written.
fn event(rig: &Rig, org: &str, n: usize) {
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(&format!("key-{n}"), 7)));
    let account = rig.org(org).create("Account", account(n)).expect("an account");
    rig.org(org).publish("Sync_Request__e", request(&[account]));
}

/// Waits until the texts of a selector fit.
pub(crate) async fn shows(browser: &Browser, css: &str, fits: impl Fn(&[String]) -> bool) {
    let mut last = Vec::new();
    let came = in_time(async || {
        last = browser.texts(css).await;
        fits(&last)
    });
    assert!(came.await, "{css} is {last:#?}");
}

#[actix_rt::test]
async fn three_orgs_are_seen_at_a_glance_and_changes_come_by_themselves() {
    let rig = three().await;
    let browser = Browser::start().await;
    log_in(&rig, &browser).await;
    shows(&browser, "table.fleet .badge", |states| states == ["running"; 3]).await;
    browser.says("Nothing needs attention").await;
    browser.look("fleet-3").await;

    // What happens is seen on the same page, which is never loaded again.
    browser.run("window.same = true; document.querySelector('#q').focus()").await;
    event(&rig, "acme", 1);
    rig.ledger("acme", json!({ "written": 1 })).await;
    let lag = format!("{} td[data-name=Lag]", row("acme"));
    shows(&browser, &lag, |texts| texts.first().is_some_and(|text| text.ends_with('s'))).await;
    rig.simulator.vendor().refuse(&domain(2), 422);
    event_refused(&rig, "globex", 2).await;
    let letters = format!("{} td[data-name='Dead letters']", row("globex"));
    shows(&browser, &letters, |texts| texts == ["1"]).await;
    rig.order("initech", "pause").await;
    let state = format!("{} .badge", row("initech"));
    shows(&browser, &state, |texts| texts == ["paused"]).await;
    assert_eq!(browser.run("return window.same").await, json!(true), "the page was loaded again");
    assert_eq!(browser.run("return document.activeElement.id").await, "q", "the focus stays");
    browser.look("fleet-3-busy").await;
    browser.is_quiet(&[]).await;
    browser.quit().await;
}

async fn event_refused(rig: &Rig, org: &str, n: usize) {
    let account = rig.org(org).create("Account", account(n)).expect("an account");
    rig.org(org).publish("Sync_Request__e", request(&[account]));
    rig.ledger(org, json!({ "dead_letters": 1 })).await;
}

#[actix_rt::test]
async fn a_fleet_without_an_org_says_what_to_do() {
    let mut rig = Rig::with(vec![OrgOptions::named("acme")], |text| {
        text.split_once("\n[[org]]").expect("orgs").0.to_owned()
    })
    .await;
    rig.start().await;
    let browser = Browser::start().await;
    log_in(&rig, &browser).await;
    browser.says("orgpipe orgs invite").await;
    browser.look("fleet-0").await;
    browser.is_quiet(&[]).await;
    browser.quit().await;
}

/// One org that runs, and so many whose app the customer has not let in, so that they wait for somebody.
async fn many(orgs: usize) -> Rig {
    let org = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let mut rig = Rig::with(vec![org], |text| text).await;
    let path = rig.folder.path().join("orgpipe.toml");
    let mut text = std::fs::read_to_string(&path).expect("settings");
    let login = rig.org("acme").base_url();
    for n in 0..orgs {
        let org = format!(
            "\n[[org]]\nid = \"customer-{n:04}\"\nlogin_url = \"{login}\"\n\
             auth = {{ flow = \"jwt\", client_id = \"nobody\", username = \"u@{n}.example\", key_file = \"jwt.key\" }}\n"
        );
        text.push_str(&org);
    }
    rig.write("orgpipe.toml", &text);
    rig.start_logged("error").await;
    rig.subscribed("acme").await;
    rig
}

#[actix_rt::test]
async fn two_thousand_orgs_are_filtered_sorted_searched_and_paged() {
    let rig = many(2_000).await;
    let browser = Browser::start().await;
    log_in(&rig, &browser).await;
    shows(&browser, "#state-all .number", |texts| texts == ["2\u{202f}001"]).await;
    browser.element("#state-waiting").await;
    browser.run("window.same = true").await;
    // The worst first, so that the one that runs is on the last page; and one line tells of all that are alike.
    assert_eq!(browser.texts("table.fleet tbody tr").await.len(), 50);
    browser.look("fleet-2000").await;

    browser.click("#state-running").await;
    shows(&browser, "table.fleet tbody th", |orgs| orgs == ["acme"]).await;
    assert!(browser.driver.current_url().await.expect("an address").query() == Some("state=running"));
    browser.click("#state-all").await;
    shows(&browser, "table.fleet tbody th", |orgs| orgs.len() == 50).await;

    browser.click("a.sort[title^='Name']").await;
    shows(&browser, "table.fleet tbody th", |orgs| orgs.first().is_some_and(|org| org == "acme")).await;
    assert!(browser.has("th[aria-sort=ascending]").await);
    browser.click("#after").await;
    shows(&browser, "table.fleet tbody th", |orgs| orgs.first().is_some_and(|org| org == "customer-0049"))
        .await;
    browser.says("51–100 of 2\u{202f}001 orgs").await;
    let address = browser.driver.current_url().await.expect("an address");
    assert_eq!(address.query(), Some("sort=org&page=2"));
    // The address alone shows the same; and "back" goes back.
    browser.run("window.same = true; history.back()").await;
    shows(&browser, "table.fleet tbody th", |orgs| orgs.first().is_some_and(|org| org == "acme")).await;
    browser.open(address.as_str()).await;
    shows(&browser, "table.fleet tbody th", |orgs| orgs.first().is_some_and(|org| org == "customer-0049"))
        .await;

    browser.write("#q", "R-01").await;
    shows(&browser, "table.fleet tbody th", |orgs| orgs.len() == 50 && orgs[0] == "customer-0100").await;
    eventually("the address of the search", async || {
        let address = browser.driver.current_url().await.ok()?;
        (address.query() == Some("q=r-01&sort=org")).then_some(())
    })
    .await;
    assert_eq!(browser.run("return document.activeElement.id").await, "q", "one can go on typing");
    browser.write("#q", "nobody at all").await;
    browser.says("No org fits").await;
    browser.look("fleet-no-match").await;
    browser.is_quiet(&[]).await;
    browser.quit().await;
}

/// Presses Tab until the focus is on an element of this selector.
pub(crate) async fn tab_to(browser: &Browser, css: &str) {
    for _ in 0..120 {
        browser.driver.type_keys(TAB).await.expect("a key");
        let script = "return document.activeElement.matches(arguments[0])";
        if browser.driver.execute(script, vec![json!(css)]).await == Ok(Value::Bool(true)) {
            return;
        }
    }
    panic!("Tab does not lead to {css}");
}

#[actix_rt::test]
async fn all_of_it_is_used_by_the_keyboard_alone() {
    let rig = many(60).await;
    let browser = Browser::start().await;
    log_in(&rig, &browser).await;
    shows(&browser, "#state-all .number", |texts| texts == ["61"]).await;
    // The first stop leads past the navigation.
    tab_to(&browser, "a.skip").await;
    browser.driver.type_keys(ENTER).await.expect("a key");
    assert_eq!(browser.run("return document.activeElement.id").await, "main");
    tab_to(&browser, "#state-running").await;
    let outlined = "return getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(browser.run(outlined).await, "solid", "the focus is seen");
    browser.driver.type_keys(ENTER).await.expect("a key");
    shows(&browser, "table.fleet tbody th", |orgs| orgs == ["acme"]).await;
    assert_eq!(browser.run("return document.activeElement.id").await, "state-running", "the focus stays");
    browser.open(&rig.admin).await;
    tab_to(&browser, "#q").await;
    browser.driver.type_keys("customer-003").await.expect("keys");
    shows(&browser, "table.fleet tbody th", |orgs| orgs.len() == 10).await;
    tab_to(&browser, "a.sort").await;
    browser.driver.type_keys(ENTER).await.expect("a key");
    browser.element("th[aria-sort=ascending]").await;
    browser.open(&rig.admin).await;
    tab_to(&browser, "#after").await;
    browser.driver.type_keys(ENTER).await.expect("a key");
    browser.says("51–61 of 61 orgs").await;
    browser.is_quiet(&[]).await;
    browser.quit().await;
}

#[actix_rt::test]
async fn a_lost_connection_is_told_and_mended_by_itself() {
    let mut rig = three_at(free_port()).await;
    let browser = Browser::start().await;
    log_in(&rig, &browser).await;
    browser.online(false).await;
    browser.says("Connection to orgpipe lost").await;
    browser.look("fleet-lost").await;
    browser.online(true).await;
    live(&browser).await;
    assert!(
        !browser
            .driver
            .find(".banner")
            .await
            .expect("a banner")
            .text()
            .await
            .expect("a text")
            .contains("lost")
    );

    // What happened meanwhile is seen, and all that is said on the console is that nobody answered.
    browser.online(false).await;
    browser.element("body[data-connection=lost]").await;
    event(&rig, "acme", 1);
    rig.ledger("acme", json!({ "written": 1 })).await;
    browser.online(true).await;
    let lag = format!("{} td[data-name=Lag]", row("acme"));
    shows(&browser, &lag, |texts| texts.first().is_some_and(|text| text.ends_with('s'))).await;
    browser.is_quiet(&["ERR_INTERNET_DISCONNECTED", "ERR_NETWORK_CHANGED"]).await;

    // A stop does not wait for pages that are open.
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(9), rig.terminate()).await;
    assert!(stopped.expect("it stops").success());
    browser.says("Connection to orgpipe lost").await;
    // Whoever is logged in still is when it has been started again.
    rig.start().await;
    live(&browser).await;
    rig.order("globex", "pause").await;
    let state = format!("{} .badge", row("globex"));
    shows(&browser, &state, |texts| texts == ["paused"]).await;
    browser.quit().await;
}

#[actix_rt::test]
async fn whoever_is_logged_out_meanwhile_is_told() {
    let rig = three().await;
    let token = rig.token("jo", "read").await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/login?token={token}", rig.admin)).await;
    live(&browser).await;
    let (status, _) = rig.post("tokens/jo/revoke").await;
    assert_eq!(status, 200);
    browser.says("You are logged out").await;
    browser.look("fleet-logged-out").await;
    browser.click("#mend a").await;
    browser.element("#token").await;
    browser.is_quiet(&["401"]).await;
    browser.quit().await;
}

#[actix_rt::test]
async fn the_theme_is_chosen_and_kept() {
    let rig = three().await;
    let browser = Browser::start().await;
    log_in(&rig, &browser).await;
    let theme = "return document.documentElement.dataset.theme ?? 'system'";
    assert_eq!(browser.run(theme).await, "system");
    for chosen in ["light", "dark"] {
        browser.click("#theme").await;
        assert_eq!(browser.run(theme).await, chosen);
        browser.driver.refresh().await.expect("a page");
        live(&browser).await;
        assert_eq!(browser.run(theme).await, chosen, "it is kept");
        browser.picture(&format!("theme-{chosen}")).await;
    }
    browser.click("#theme").await;
    assert_eq!(browser.run(theme).await, "system");
    browser.quit().await;
}
