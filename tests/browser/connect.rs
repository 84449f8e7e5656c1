//! Customers who connect their orgs, in a browser: our pages and Salesforce's in turn, from the link to a written record.

use std::time::Duration;

use orgpipe_simulator::{AppStatus, FieldRight, OrgHandle, OrgOptions, Right};
use serde_json::{Value, json};

use crate::{
    chromium::Browser,
    support::{Rig, account, answer, domain, eventually, free_port, request},
};

/// How soon a change in a new org is to be written.
const LIVE: Duration = Duration::from_secs(10);

/// A service without an org; the admins of the simulator's orgs may connect them.
async fn rig(orgs: &[&str]) -> Rig {
    let port = free_port();
    let options = orgs.iter().map(|name| OrgOptions { flow: false, ..OrgOptions::named(name) }).collect();
    let mut rig = Rig::with(options, |text| {
        let (before, _) = text.split_once("\n[[org]]").expect("orgs");
        let before = before.replace("reserve = 0.0", "reserve = 0.2");
        before.replace("listen = \"127.0.0.1:0\"", &format!("listen = \"127.0.0.1:{port}\""))
    })
    .await;
    let base = format!("http://127.0.0.1:{port}");
    let client_id = rig.org(orgs[0]).client_id().to_owned();
    let connect = format!(
        "\n[connect]\nbase_url = \"{base}\"\nvendor = \"Example Inc.\"\n\
         client_id = \"{client_id}\"\nclient_secret_file = \"secret\"\n"
    );
    let path = rig.folder.path().join("orgpipe.toml");
    let text = std::fs::read_to_string(&path).expect("settings");
    rig.write("orgpipe.toml", &[text, connect].concat());
    rig.write_secret("secret", rig.org(orgs[0]).client_secret());
    for org in orgs {
        rig.org(org).register_redirect_uri(&format!("{base}/oauth/callback"));
        rig.org(org).set_rotation(true);
        rig.org(org).create("Account", account(0)).expect("an account");
    }
    rig.start().await;
    rig
}

async fn invite(rig: &Rig, org: &str, body: Value) -> String {
    let url = format!("{}/api/v1/orgs/{org}/invite", rig.admin);
    let reply = rig.http.post(url).json(&body).send().await.expect("an answer");
    assert_eq!(reply.status(), 201);
    let made: Value = reply.json().await.expect("JSON");
    made["link"].as_str().expect("a link").to_owned()
}

/// From the page of a link to Salesforce's login page, by an org's address as somebody types it.
async fn choose(browser: &Browser, address: &str) {
    browser.click("input[name=kind][value=domain]").await;
    browser.write("#domain", address).await;
    browser.click("form button").await;
}

/// Logs in at Salesforce's page, up to the page that asks for leave, or to what comes in its place.
async fn log_in(browser: &Browser, org: &OrgHandle) {
    browser.write("#username", org.username()).await;
    browser.write("#password", org.password()).await;
    browser.click("#Login").await;
}

/// An event of the org is written in time.
async fn is_live(rig: &Rig, org: &str, n: usize) {
    let key = format!("key-{n}");
    rig.simulator.vendor().set_answer(&domain(n), Some(answer(&key, 7)));
    rig.subscribed(org).await;
    let account = rig.org(org).create("Account", account(n)).expect("an account");
    rig.org(org).publish("Sync_Request__e", request(&[account]));
    let written = eventually("a written record", async || rig.enrichment(org, &key));
    tokio::time::timeout(LIVE, written).await.unwrap_or_else(|_| panic!("nothing was written in {LIVE:?}"));
}

#[actix_rt::test]
async fn a_customer_connects_an_org_in_a_browser_and_its_events_are_written() {
    let rig = rig(&["acme", "globex"]).await;
    let (acme, globex) = (rig.org("acme"), rig.org("globex"));
    let browser = Browser::start().await;
    browser.open(&invite(&rig, "acme", json!({})).await).await;
    browser.says("Connect your Salesforce org with Example Inc.").await;
    browser.look("connect").await;
    choose(&browser, "acme.example").await;
    browser.element("[role=alert]").await;
    browser.look("connect-wrong-address").await;
    browser.element("input[value=domain]:checked").await;
    browser.element("#domain[value='acme.example']").await;

    choose(&browser, &acme.base_url()).await;
    browser.element("#Login").await;
    browser.look("salesforce-login").await;
    browser.write("#username", acme.username()).await;
    browser.write("#password", "wrong").await;
    browser.click("#Login").await;
    browser.element("#error").await;
    log_in(&browser, acme).await;
    browser.element("#oaapprove").await;
    browser.look("salesforce-consent").await;
    browser.click("#oaapprove").await;
    browser.says("Your org is connected").await;
    browser.says("All that Example Inc. needs is there").await;
    browser.look("connected").await;
    is_live(&rig, "acme", 1).await;

    // The page once more, by "back" and "reload": nothing is spoilt.
    browser.driver.refresh().await.expect("a page");
    let said = browser.says("belongs to no request").await;
    assert!(!said.contains("not connected"), "it is: {said}");
    browser.look("callback-again").await;
    is_live(&rig, "acme", 2).await;

    // Another org at the second time.
    let link = invite(&rig, "acme", json!({ "login_url": globex.base_url() })).await;
    browser.open(&link).await;
    browser.says("This org is connected already").await;
    browser.look("connect-again").await;
    browser.click("form button").await;
    log_in(&browser, globex).await;
    browser.click("#oaapprove").await;
    browser.says("this link is for").await;
    browser.look("another-org").await;
    // The same org under a second name.
    browser.open(&invite(&rig, "other", json!({ "login_url": acme.base_url() })).await).await;
    browser.click("form button").await;
    log_in(&browser, acme).await;
    browser.click("#oaapprove").await;
    browser.says("connected already, under another name").await;
    browser.look("taken").await;
    is_live(&rig, "acme", 3).await;
    browser.quit().await;
}

#[actix_rt::test]
async fn what_the_org_lacks_is_told_until_it_is_mended() {
    let rig = rig(&["acme"]).await;
    let acme = rig.org("acme");
    let rights = ["Industry__c", "Employee_Count__c"]
        .map(|field| Right::Field("Enrichment__c".to_owned(), field.to_owned(), FieldRight::Edit));
    for right in &rights {
        acme.take_right(right.clone());
    }
    let browser = Browser::start().await;
    browser.open(&invite(&rig, "acme", json!({ "login_url": acme.base_url() })).await).await;
    browser.look("connect-settled").await;
    browser.click("form button").await;
    log_in(&browser, acme).await;
    browser.click("#oaapprove").await;
    browser.says("something is missing").await;
    let said = browser.says("Enrichment__c.Industry__c").await;
    assert!(said.contains("Enrichment__c.Employee_Count__c"), "{said}");
    browser.look("something-missing").await;
    acme.give_right(rights[0].clone());
    browser.click("form[action$='/check'] button").await;
    eventually("one finding less", async || {
        let said = browser.says("something is missing").await;
        (!said.contains("Enrichment__c.Industry__c")).then_some(())
    })
    .await;
    acme.give_right(rights[1].clone());
    browser.click("form[action$='/check'] button").await;
    let said = browser.says("look again in").await;
    assert!(said.contains("Your org is connected") && !said.contains("not connected"), "{said}");
    browser.look("looked-too-soon").await;
    eventually("a look that is taken", async || {
        actix_rt::time::sleep(Duration::from_secs(2)).await;
        browser.click("form[action$='/check'] button").await;
        let said = browser.says("Your org is connected").await;
        said.contains("All that Example Inc. needs is there").then_some(())
    })
    .await;
    is_live(&rig, "acme", 1).await;
    browser.quit().await;
}

#[actix_rt::test]
async fn whoever_says_no_or_comes_too_late_is_told_what_to_do() {
    let rig = rig(&["acme"]).await;
    let acme = rig.org("acme");
    let browser = Browser::start().await;
    let link = invite(&rig, "acme", json!({})).await;
    browser.open(&link).await;
    choose(&browser, &acme.base_url()).await;
    log_in(&browser, acme).await;
    browser.click("#oadeny").await;
    browser.says("Your org is not connected").await;
    browser.look("denied").await;

    browser.click("form button").await;
    browser.says("Connect your Salesforce org with Example Inc.").await;
    acme.set_app(AppStatus::NotInstalled);
    choose(&browser, &acme.base_url()).await;
    log_in(&browser, acme).await;
    browser.says("Your org is not connected").await;
    let said = browser.says("nstall").await;
    browser.look("not-installed").await;
    assert!(!said.contains("orgpipe"), "customers know the vendor, not us: {said}");
    acme.set_app(AppStatus::Blocked);
    browser.click("form button").await;
    choose(&browser, &acme.base_url()).await;
    log_in(&browser, acme).await;
    browser.says("block").await;
    browser.look("blocked").await;
    acme.set_app(AppStatus::Installed);

    // A newer link ends the older one; and one that was cut is none.
    let newer = invite(&rig, "acme", json!({ "days": 1 })).await;
    browser.open(&link).await;
    browser.says("no longer valid").await;
    browser.look("replaced-link").await;
    browser.open(&newer[..newer.len() - 3]).await;
    browser.says("not complete").await;
    browser.look("cut-link").await;
    browser.open(&format!("{}/oauth/callback", rig.admin)).await;
    browser.says("no answer of Salesforce's").await;
    browser.look("callback-by-hand").await;
    let orgs = rig.http.get(format!("{}/api/v1/orgs", rig.admin)).send().await.expect("an answer");
    assert_eq!(orgs.json::<Value>().await.expect("JSON")["orgs"], json!([]), "nothing was connected");
    browser.quit().await;
}
