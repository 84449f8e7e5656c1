//! The pages of one org, of the vendor's API and of the process: whole, live, and used by clicks and by the keyboard.

use orgpipe_simulator::OrgOptions;
use serde_json::{Value, json};

use crate::{
    chromium::{Browser, in_time},
    fleet::{ENTER, live, log_in, shows, tab_to},
    support::{Rig, account, answer, domain, eventually, request},
};

async fn rig(edit: impl FnOnce(String) -> String) -> Rig {
    let mut rig = Rig::with(vec![OrgOptions { flow: false, ..OrgOptions::named("acme") }], edit).await;
    rig.start().await;
    rig.subscribed("acme").await;
    rig
}

/// An account that is asked for; gives its ID.
fn ask_for(rig: &Rig, n: usize) -> String {
    let id = rig.org("acme").create("Account", account(n)).expect("an account");
    rig.org("acme").publish("Sync_Request__e", request(std::slice::from_ref(&id)));
    id
}

/// One record that is written, and so many that your API refuses.
async fn with_letters(letters: usize) -> (Rig, String) {
    let rig = rig(|text| text).await;
    rig.simulator.vendor().set_answer(&domain(0), Some(answer("key-0", 7)));
    let written = ask_for(&rig, 0);
    rig.ledger("acme", json!({ "written": 1 })).await;
    for n in 1..=letters {
        rig.simulator.vendor().refuse(&domain(n), 422);
        ask_for(&rig, n);
        rig.ledger("acme", json!({ "dead_letters": n })).await;
    }
    (rig, written)
}

async fn open(rig: &Rig, browser: &Browser, path: &str) {
    browser.open(&format!("{}{path}", rig.admin)).await;
    browser.element("#main h1").await;
}

#[actix_rt::test]
async fn every_page_is_whole_and_for_everybody() {
    let (rig, written) = with_letters(2).await;
    let browser = Browser::start().await;
    log_in(&rig, &browser).await;
    browser.click("table.fleet tbody th a").await;
    shows(&browser, ".node .name strong", |names| {
        names == ["org", "login", "events", "refresh", "push", "ingest", "writer"]
    })
    .await;
    shows(&browser, "#org .tile .value", |values| values[1] == "1").await;
    live(&browser).await;
    browser.look("org").await;
    browser.click("#forecast-form button").await;
    browser.says("A refresh of accounts reads").await;

    open(&rig, &browser, "/orgs/acme/dead-letters").await;
    browser.click("section h2 a").await;
    shows(&browser, "#letters tbody tr", |rows| rows.len() == 2).await;
    browser.look("org-dead-letters").await;

    open(&rig, &browser, "/orgs/acme/doctor").await;
    browser.says("Not examined since the service started").await;
    browser.click("main button.primary").await;
    browser.says("All that the syncs need is there").await;
    browser.look("org-doctor").await;

    open(&rig, &browser, "/orgs/acme/mapping").await;
    browser.says("fields.Employee_Count__c").await;
    browser.look("org-mapping").await;
    open(&rig, &browser, "/orgs/acme/audit").await;
    browser.look("org-audit").await;

    open(&rig, &browser, "/orgs/acme/records").await;
    browser.look("org-records").await;
    browser.write("#id", &written).await;
    browser.click("#main form[role=search] button").await;
    browser.says("Written at").await;
    browser.look("org-record").await;
    open(&rig, &browser, "/orgs/acme/records?find=nobody").await;
    browser.says("Nothing is known of it").await;

    open(&rig, &browser, "/lookup").await;
    live(&browser).await;
    browser.look("lookup").await;
    open(&rig, &browser, "/process").await;
    live(&browser).await;
    browser.look("process").await;
    browser.is_quiet(&[]).await;

    open(&rig, &browser, "/orgs/nobody").await;
    browser.says("No such org").await;
    browser.look("no-such-org").await;
    browser.is_quiet(&["404"]).await;
    browser.quit().await;
}

#[actix_rt::test]
async fn a_dead_letter_is_retried_by_a_click_and_all_of_a_reason_are_thrown_away() {
    let (rig, _) = with_letters(3).await;
    let browser = Browser::start().await;
    log_in(&rig, &browser).await;
    open(&rig, &browser, "/orgs/acme/dead-letters").await;
    live(&browser).await;
    browser.click("section h2 a").await;
    shows(&browser, "#letters tbody tr", |rows| rows.len() == 3).await;

    // Nothing chosen is nothing done, and that is said.
    browser.click("#letters button[value=retry]").await;
    browser.says("No dead letter was chosen").await;

    // What is ticked stays so while the page is brought up to date.
    rig.simulator.vendor().set_answer(&domain(3), Some(answer("key-3", 9)));
    browser.click("#letters tbody tr:first-child input").await;
    browser.run("window.same = true").await;
    rig.simulator.vendor().set_answer(&domain(9), Some(answer("key-9", 9)));
    ask_for(&rig, 9);
    rig.ledger("acme", json!({ "written": 2 })).await;
    browser.run("htmx.trigger(document.body, 'live')").await;
    let ticked = "return document.querySelectorAll('#letters input:checked').length";
    assert_eq!(browser.run(ticked).await, 1);
    browser.click("#letters button[value=retry]").await;
    browser.says("1 dead letter is retried").await;
    shows(&browser, "#letters tbody tr", |rows| rows.len() == 2).await;
    rig.ledger("acme", json!({ "written": 3 })).await;
    assert!(rig.enrichment("acme", "key-3").is_some());
    assert_eq!(browser.run("return window.same").await, json!(true), "the page was loaded again");

    // What cannot be taken back is asked first.
    browser.click("#letters tbody tr:first-child input").await;
    for (answered, left) in [("no", 2), ("yes", 1)] {
        browser.click("#letters button[value=discard]").await;
        browser.element("dialog[open]").await;
        browser.click(&format!("dialog button[value={answered}]")).await;
        shows(&browser, "#letters tbody tr", |rows| rows.len() == left).await;
    }
    browser.says("1 dead letter is thrown away").await;
    browser.click("section .head .danger").await;
    browser.element("dialog[open]").await;
    browser.look("org-dead-letters-ask").await;
    browser.click("dialog button[value=no]").await;
    assert_eq!(browser.texts("#letters tbody tr").await.len(), 1, "nothing was done");
    browser.click("section .head .danger").await;
    browser.click("dialog[open] button[value=yes]").await;
    browser.says("No dead letters").await;
    browser.look("org-dead-letters-none").await;
    browser.is_quiet(&[]).await;
    browser.quit().await;
}

#[actix_rt::test]
async fn a_refresh_is_started_by_a_click_and_its_bar_moves() {
    const RECORDS: usize = 8_000;
    // Slow enough to be seen.
    let rig = rig(|text| text.replace("requests_per_second = 100\n", "requests_per_second = 2\n")).await;
    rig.org("acme").cut_pages(500);
    for n in 0..RECORDS {
        rig.simulator.vendor().set_answer(&domain(n), None);
        rig.org("acme").create("Account", account(n)).expect("an account");
    }
    let browser = Browser::start().await;
    log_in(&rig, &browser).await;
    open(&rig, &browser, "/orgs/acme").await;
    live(&browser).await;
    browser.run("window.same = true").await;
    browser.click("#refresh-1 form button").await;
    browser.says("The refresh of accounts begins").await;
    let mut seen: Vec<Value> = Vec::new();
    let script = "return document.querySelector('#refresh-1 progress')?.value ?? null";
    let moved = in_time(async || {
        let value = browser.run(script).await;
        if value.is_number() && seen.last() != Some(&value) {
            seen.push(value);
        }
        seen.len() >= 3
    });
    assert!(moved.await, "the bar shows {seen:?}");
    assert!(seen.windows(2).all(|two| two[0].as_f64() < two[1].as_f64()), "{seen:?}");
    browser.look("org-refresh").await;
    rig.ledger("acme", json!({ "records_in": RECORDS, "no_data": RECORDS })).await;
    shows(&browser, "#refresh-1 .badge", |badges| badges == ["not running"]).await;
    assert_eq!(browser.run("return window.same").await, json!(true), "the page was loaded again");
    browser.is_quiet(&[]).await;
    browser.quit().await;
}

#[actix_rt::test]
async fn charts_are_drawn_of_what_happened() {
    let (rig, _) = with_letters(0).await;
    let browser = Browser::start().await;
    log_in(&rig, &browser).await;
    open(&rig, &browser, "/orgs/acme?span=1h").await;
    live(&browser).await;
    // The first point is there when the first minute is over.
    let drawn = "const box = document.querySelector('.chart canvas'); if (!box) return 0; \
                 const pixels = box.getContext('2d').getImageData(0, 0, box.width, box.height).data; \
                 return pixels.filter((value, n) => n % 4 === 3 && value > 0).length";
    eventually("a chart", async || {
        browser.run("htmx.trigger(document.body, 'live')").await;
        (browser.run(drawn).await.as_u64() > Some(100)).then_some(())
    })
    .await;
    assert_eq!(browser.texts(".charts figcaption").await.len(), 4);
    browser.look("org-charts").await;
    browser.click(".chips a[href$='span=7d']").await;
    browser.element(".chips a[aria-current][href$='span=7d']").await;
    browser.is_quiet(&[]).await;
    browser.quit().await;
}

#[actix_rt::test]
async fn an_org_is_paused_and_resumed_by_the_keyboard_alone() {
    let (rig, _) = with_letters(0).await;
    let browser = Browser::start().await;
    log_in(&rig, &browser).await;
    open(&rig, &browser, "/orgs/acme").await;
    live(&browser).await;
    tab_to(&browser, ".title .danger").await;
    browser.driver.type_keys(ENTER).await.expect("a key");
    browser.element("dialog[open]").await;
    tab_to(&browser, "dialog button[value=yes]").await;
    browser.driver.type_keys(ENTER).await.expect("a key");
    browser.says("acme is paused").await;
    shows(&browser, ".title .badge", |states| states == ["paused"]).await;
    tab_to(&browser, ".title .primary").await;
    browser.driver.type_keys(ENTER).await.expect("a key");
    shows(&browser, ".title .badge", |states| states == ["running"]).await;

    // A button that has the focus says what it does, whatever the page has become.
    browser.run("document.querySelector('#command-restart button').focus()").await;
    rig.order("acme", "pause").await;
    shows(&browser, ".title .badge", |states| states == ["paused"]).await;
    let misnamed = "return [...document.querySelectorAll('.title form')].filter((form) => \
        !form.action.endsWith(`/${form.querySelector('button').textContent.toLowerCase()}`)).length";
    assert_eq!(browser.run(misnamed).await, 0);

    // A page that does not follow by itself is loaded again after a command.
    open(&rig, &browser, "/orgs/acme/mapping").await;
    browser.click("#command-resume button").await;
    browser.says("acme is resumed").await;
    shows(&browser, ".title .badge", |states| states.first().is_some_and(|state| state != "paused")).await;
    browser.is_quiet(&[]).await;
    browser.quit().await;
}

#[actix_rt::test]
async fn whoever_may_only_read_sees_why_nothing_can_be_done_and_no_values() {
    let (rig, written) = with_letters(1).await;
    let token = rig.token("jo", "read").await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/login?token={token}", rig.admin)).await;
    live(&browser).await;
    open(&rig, &browser, "/orgs/acme").await;
    let disabled =
        "return [...document.querySelectorAll('#main button')].every((one) => one.disabled && one.title)";
    assert_eq!(browser.run(disabled).await, json!(true));
    assert!(!browser.texts(".tabs a").await.contains(&"Records".to_owned()));
    open(&rig, &browser, "/orgs/acme/dead-letters").await;
    browser.click("section h2 a").await;
    shows(&browser, "#letters tbody tr", |rows| rows.len() == 1).await;
    assert_eq!(browser.run(disabled).await, json!(true));
    browser.open(&format!("{}/orgs/acme/records?find={written}", rig.admin)).await;
    browser.says("operate").await;
    browser.is_quiet(&["403"]).await;
    browser.quit().await;
}
