//! Refreshes that read by a Bulk query: one job, every record once, over crashes and whatever may become of the job.
#![expect(clippy::disallowed_methods, reason = "stamps and logins are real times")]

mod support;

use std::collections::BTreeMap;

use orgpipe_reconcile::{
    Mapping, MappingSpec,
    column::{Kinds, note, type_row},
    describe::Describe,
    lookup,
    plan::Decision,
};
use orgpipe_salesforce::{
    bulk::{job, query as bulk},
    call::Call,
    http::HttpClient,
    oauth::{Flow, Login},
    rest::{describe, query},
    soql::Select,
};
use orgpipe_simulator::{CustomField, FieldKind, JobFault, LoggedCall, OrgOptions, Row};
use serde_json::{Value, json};
use support::{Rig, account, domain, eventually};

/// Accounts that the org has; from so many on the rig's refresh reads by a Bulk query.
const COUNT: usize = 1_050;

/// When the accounts were changed last, Unix milliseconds: long ago.
const LONG_AGO: i64 = 1_700_000_000_000;

/// One org with accounts about which nothing is known; pages of 400 records at most, whoever asks.
async fn rig(bulk_from: usize, failpoints: &str) -> Rig {
    let options = OrgOptions { flow: false, ..OrgOptions::named("acme") };
    let edit = |text: String| {
        text.replace("refresh = { ", &format!("refresh = {{ bulk_from = {bulk_from}, "))
            .replace("[service]", "[service]\nqueue_max = 10000")
    };
    let mut rig = Rig::with(vec![options], edit).await;
    for n in 0..COUNT {
        rig.simulator.vendor().set_answer(&domain(n), None);
        let id = rig.org("acme").create("Account", account(n)).expect("an account");
        rig.org("acme").set_stamp("Account", &id, LONG_AGO);
    }
    rig.org("acme").cut_pages(400);
    rig.start_failing(failpoints).await;
    rig.subscribed("acme").await;
    rig
}

/// Of all accounts.
fn ids(rig: &Rig) -> Vec<String> {
    let rows = rig.org("acme").rows("Account");
    rows.iter().filter_map(|row| row["Id"].as_str().map(str::to_owned)).collect()
}

async fn refreshed(rig: &Rig) {
    rig.order("acme", "refresh").await;
    rig.through("acme").await;
}

/// What the refresh has asked for, in order: `count`, `rest` pages, and of the job `create`, `look`, `page N` (with the
/// place of its locator among those given), `leave`. Looks in a row are one.
fn asked(rig: &Rig) -> Vec<String> {
    let mut locators: Vec<String> = Vec::new();
    let mut asked: Vec<String> = Vec::new();
    for LoggedCall { method, path, query, .. } in rig.org("acme").calls() {
        let of_job = path.split_once("/jobs/query").map(|(_, rest)| rest);
        let what = match (method.as_str(), of_job) {
            ("POST", Some(_)) => "create".to_owned(),
            ("GET", Some(rest)) if rest.ends_with("/results") => {
                let at = locators.iter().position(|known| *known == query).unwrap_or_else(|| {
                    locators.push(query);
                    locators.len() - 1
                });
                format!("page {at}")
            }
            ("GET", Some(_)) => "look".to_owned(),
            ("PATCH" | "DELETE", Some(_)) => "leave".to_owned(),
            _ if query.contains("COUNT() FROM Account") => "count".to_owned(),
            _ if query.contains("FROM Account") && query.contains("ORDER BY") => "rest".to_owned(),
            _ => continue,
        };
        if what != "look" || asked.last() != Some(&what) {
            asked.push(what);
        }
    }
    asked
}

/// How often each account was looked up.
fn looked_up(rig: &Rig) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for id in rig.simulator.vendor().requests().into_iter().flat_map(|asked| asked.ids) {
        *times.entry(id).or_default() += 1;
    }
    times
}

/// Queries that read accounts by their IDs, which cost a call per 100.
fn read_again(rig: &Rig) -> Vec<String> {
    let by_id = |call: &LoggedCall| call.query.contains("FROM Account WHERE Id IN");
    rig.org("acme").calls().into_iter().filter(by_id).map(|call| call.query).collect()
}

/// All was asked by one job; the leave comes after the refresh's end.
async fn by_job(rig: &Rig) {
    eventually("the job's leave", async || asked(rig).contains(&"leave".to_owned()).then_some(())).await;
    assert_eq!(asked(rig), ["count", "create", "look", "page 0", "page 1", "page 2", "leave"]);
}

#[actix_rt::test]
async fn very_many_records_are_read_by_one_bulk_query_and_a_few_by_rest_pages() {
    let large = rig(COUNT, "").await;
    large.org("acme").hold_jobs(true);
    large.order("acme", "refresh").await;
    let reading = eventually("the job to be waited for", async || {
        let reading = large.view("acme").await["refreshes"]["accounts"].clone();
        reading["waits"].as_str().is_some_and(|waits| waits.contains("Bulk query")).then_some(reading)
    })
    .await;
    assert_eq!((&reading["records"], &reading["total"]), (&json!(0), &json!(COUNT)));
    large.org("acme").hold_jobs(false);
    large.through("acme").await;
    by_job(&large).await;
    large.ledger("acme", json!({ "records_in": COUNT, "no_data": COUNT })).await;
    assert!(looked_up(&large).values().all(|times| *times == 1));
    assert_eq!(read_again(&large), Vec::<String>::new(), "no row counts as old");
    let jobs = large.org("acme").calls();
    let statement = |call: &&LoggedCall| call.method == "GET" && call.path.ends_with("/queryAll");
    assert_eq!(jobs.iter().filter(statement).count(), 3, "one query a page tells what has changed");
    let mut pages = jobs.iter().filter(|call| call.path.ends_with("/results"));
    assert!(pages.all(|page| page.query.contains("maxRecords=2500")), "a quarter of `queue_max`");

    // What has changed only, likewise.
    for id in ids(&large) {
        large.org("acme").set_stamp("Account", &id, chrono::Utc::now().timestamp_millis());
    }
    large.org("acme").clear_calls();
    large.order("acme", "refresh?changed=true").await;
    large.through("acme").await;
    by_job(&large).await;

    let small = rig(COUNT + 1, "").await;
    refreshed(&small).await;
    let asked = asked(&small);
    assert!(asked.iter().skip(1).all(|what| what == "rest"), "{asked:?}");
    small.ledger("acme", json!({ "records_in": COUNT, "no_data": COUNT })).await;
}

#[actix_rt::test]
async fn killed_in_the_middle_it_goes_on_with_the_same_job_and_reads_one_page_twice_at_most() {
    // The passes: the job, that it is complete, then its pages, unless it is looked at more than once.
    for (failpoints, killed_at, stored, pages) in [
        ("before-page/acme=abort@4", "page 1", 400, ["page 0", "page 1", "page 1", "page 2"].as_slice()),
        ("after-page/acme=abort@4", "page 1", 800, &["page 0", "page 1", "page 2"]),
        ("after-page/acme=abort@1", "create", 0, &["page 0", "page 1", "page 2"]),
    ] {
        let mut rig = rig(COUNT, failpoints).await;
        rig.order("acme", "refresh").await;
        rig.ended().await;
        assert_eq!(asked(&rig).last().map(String::as_str), Some(killed_at), "{failpoints}");
        rig.start().await;
        // Before it has looked, no refresh is under way.
        rig.ledger("acme", json!({ "records_in": COUNT, "no_data": COUNT })).await;
        rig.through("acme").await;
        let asked = asked(&rig);
        let of_pages: Vec<&str> =
            asked.iter().map(String::as_str).filter(|what| what.starts_with("page")).collect();
        assert_eq!(of_pages, pages, "{failpoints}: {asked:?}");
        assert_eq!(asked.iter().filter(|what| *what == "create").count(), 1, "{asked:?}");
        let looked_up = looked_up(&rig);
        assert_eq!(looked_up.len(), COUNT, "{failpoints}: none is missed");
        // Rows that waited when it was killed count as old; those of pages that were read since do not.
        let again = read_again(&rig).iter().map(|query| query.matches("'001").count()).sum::<usize>();
        assert!(again <= stored, "{failpoints}: {again} of {COUNT} rows were read again by their IDs");
        rig.kill().await;
    }
}

#[actix_rt::test]
async fn a_job_that_comes_to_nothing_is_followed_by_rest_pages_and_no_second_job() {
    let fault = |aborted, message: &str| JobFault { after_rows: 0, aborted, message: message.to_owned() };
    let refusal = |code: &str, message: &str| json!([{ "errorCode": code, "message": message }]).to_string();
    let quota =
        refusal("LIMIT_EXCEEDED", "Max bulk v2 query jobs (10000) per 24 hrs has been reached (10021).");
    let entity = refusal("INVALIDENTITY", "Entity 'Account' is not supported by the Bulk API.");
    let locator = refusal("INVALID_QUERY_LOCATOR", "invalid query locator");
    let version = refusal("API_ERROR", "The job was created with API version 65.0");
    let rig = rig(COUNT, "").await;
    let org = rig.org("acme");
    let created = ["count", "create", "look"];
    let none: [&str; 0] = [];
    for (what, break_it, before) in [
        ("failed", &(|| org.end_next_job(fault(false, ""))) as &dyn Fn(), created.as_slice()),
        ("failed, with a reason", &|| org.end_next_job(fault(false, "InternalServerError : x")), &created),
        ("aborted", &|| org.end_next_job(fault(true, "")), &created),
        ("quota", &|| org.answer_next("/jobs/query", 400, &quota, 1), &["count", "create"]),
        ("entity", &|| org.answer_next("/jobs/query", 400, &entity, 1), &["count", "create"]),
        ("lost answer", &|| org.lose_answers("/jobs/query", 1), &["count", "create"]),
        (
            "locator",
            &|| org.answer_next("/results", 400, &locator, 1),
            &["count", "create", "look", "page 0"],
        ),
        (
            "version",
            &|| org.answer_next("/results", 409, &version, 1),
            &["count", "create", "look", "page 0"],
        ),
        ("not described", &|| org.answer_next("/Account/describe", 404, "[]", 1), &["count"]),
        ("cut three times", &|| org.halve_answers("/results", 3), &none),
    ] {
        org.clear_calls();
        rig.simulator.vendor().clear_requests();
        break_it();
        refreshed(&rig).await;
        let asked = asked(&rig);
        assert!(before.iter().eq(asked.iter().take(before.len())), "{what}: {asked:?}");
        let (jobs, rest) = (
            asked.iter().filter(|what| *what == "create").count(),
            asked.iter().filter(|what| *what == "rest").count(),
        );
        assert!(jobs <= 1 && rest == 1, "{what}: {asked:?}");
        assert_eq!(looked_up(&rig).len(), COUNT, "{what}");
    }
}

#[actix_rt::test]
async fn results_that_are_gone_are_followed_by_rest_pages() {
    let mut rig = rig(COUNT, "after-page/acme=abort@3").await;
    rig.order("acme", "refresh").await;
    rig.ended().await;
    rig.org("acme").expire_jobs();
    rig.org("acme").clear_calls();
    rig.start().await;
    rig.ledger("acme", json!({ "records_in": COUNT + 400, "no_data": COUNT + 400 })).await;
    rig.through("acme").await;
    let asked = asked(&rig);
    assert_eq!(asked, ["page 0", "leave", "rest"], "the page after the first one, which is gone");
    assert_eq!(looked_up(&rig).len(), COUNT);
    rig.kill().await;
}

#[actix_rt::test]
async fn a_record_changed_since_the_job_began_is_read_again_and_no_other() {
    let rig = rig(COUNT, "").await;
    let (org, ids) = (rig.org("acme"), ids(&rig));
    org.hold_jobs(true);
    rig.order("acme", "refresh").await;
    eventually("the job", async || asked(&rig).contains(&"create".to_owned()).then_some(())).await;
    org.update("Account", &ids[7], account(COUNT + 7)).expect("changed");
    org.delete("Account", &ids[9]).expect("deleted");
    org.hold_jobs(false);
    rig.through("acme").await;
    let again = read_again(&rig);
    assert_eq!(again.len(), 1, "{again:#?}");
    assert!(again[0].contains(&ids[7]) && !again[0].contains(&ids[8]), "{again:#?}");
}

#[actix_rt::test]
async fn pages_with_too_many_bytes_become_smaller() {
    let long = CustomField {
        object: "Account".to_owned(),
        name: "Long__c".to_owned(),
        kind: FieldKind::LongText { length: 32_000 },
        required: false,
        external_id: false,
        unique: false,
        computed: false,
    };
    let options = OrgOptions { flow: false, custom_fields: vec![long], ..OrgOptions::named("acme") };
    let edit = |text: String| {
        text.replace("refresh = { ", "refresh = { bulk_from = 2, ")
            .replace(r#"Industry__c = "/industry""#, r#"Industry__c = "$Long__c""#)
    };
    let mut rig = Rig::with(vec![options], edit).await;
    for n in 0..300 {
        rig.simulator.vendor().set_answer(&domain(n), None);
        let long = ("Long__c".to_owned(), json!("d".repeat(32_000)));
        rig.org("acme")
            .create("Account", account(n).into_iter().chain([long]).collect())
            .expect("an account");
    }
    rig.start().await;
    rig.subscribed("acme").await;
    refreshed(&rig).await;
    let calls = rig.org("acme").calls();
    let pages = calls.iter().filter(|call| call.path.ends_with("/results"));
    let sizes: Vec<&str> = pages.filter_map(|page| page.query.split(['=', '&']).nth(1)).collect();
    assert_eq!(sizes, ["20000", "5000", "1250", "312", "78", "78", "78", "78"]);
    rig.ledger("acme", json!({ "records_in": 300, "no_data": 300 })).await;
    assert_eq!(looked_up(&rig).len(), 300);
}

/// The fields of all kinds that an account may have.
fn kinds() -> Vec<(&'static str, FieldKind, Value)> {
    let values = || vec!["Cold".to_owned(), "Hot".to_owned()];
    vec![
        ("Text__c", FieldKind::Text { length: 80 }, json!("a \"b\", c")),
        ("Area__c", FieldKind::TextArea, json!("one\ntwo")),
        ("Long__c", FieldKind::LongText { length: 1_000 }, json!("one\n\n\"two\",three")),
        ("Url__c", FieldKind::Url, json!("https://a.example/?b=c,d")),
        ("Phone__c", FieldKind::Phone, json!("+49 30 1234")),
        ("Email__c", FieldKind::Email, json!("x@a.example")),
        ("Pick__c", FieldKind::Picklist { values: values(), restricted: true }, json!("Hot")),
        ("Multi__c", FieldKind::MultiPicklist { values: values(), restricted: true }, json!("Cold;Hot")),
        ("Number__c", FieldKind::Number { precision: 18, scale: 2 }, json!(912_260_031.25)),
        ("Whole__c", FieldKind::Number { precision: 18, scale: 0 }, json!(50_000_000)),
        ("Small__c", FieldKind::Number { precision: 18, scale: 6 }, json!(0.0005)),
        ("Money__c", FieldKind::Currency { precision: 18, scale: 2 }, json!(-12.5)),
        ("Share__c", FieldKind::Percent { precision: 5, scale: 1 }, json!(7)),
        ("Int__c", FieldKind::Integer { digits: 8 }, json!(12_000)),
        ("Flag__c", FieldKind::Checkbox, json!(true)),
        ("Day__c", FieldKind::Date, json!("2026-01-31")),
        ("Instant__c", FieldKind::DateTime, json!("2026-01-31T10:00:00.000+0000")),
        ("Other__c", FieldKind::Lookup { to: "Account".to_owned(), children: String::new() }, Value::Null),
    ]
}

/// A client of the simulated org without the service.
struct Direct {
    http: HttpClient,
    token: orgpipe_salesforce::oauth::Token,
}

impl Direct {
    async fn call(&self, call: &Call) -> orgpipe_salesforce::call::Reply {
        self.http.send(&self.token, "66.0", call).await.expect("an answer")
    }
}

#[actix_rt::test]
async fn a_row_read_by_bulk_and_by_rest_leads_to_the_same_look_up_and_the_same_record() {
    let custom = |(name, kind, _): &(&str, FieldKind, Value)| CustomField {
        object: "Account".to_owned(),
        name: (*name).to_owned(),
        kind: kind.clone(),
        required: false,
        external_id: false,
        unique: false,
        computed: false,
    };
    let custom_fields = kinds().iter().map(custom).collect();
    let options = OrgOptions { flow: false, custom_fields, ..OrgOptions::named("acme") };
    let rig = Rig::with(vec![options], |text| text).await;
    let org = rig.org("acme");
    let full = kinds().into_iter().map(|(name, _, value)| (name.to_owned(), value));
    let parent = org.create("Account", full.chain(account(1)).collect::<Row>()).expect("an account");
    let child =
        Row::from_iter([("ParentId".to_owned(), json!(parent)), ("Other__c".to_owned(), json!(parent))]);
    org.create("Account", account(2).into_iter().chain(child).collect()).expect("an account");

    let mut paths: Vec<String> = vec!["CreatedDate".into(), "OwnerId".into(), "Owner.IsActive".into()];
    for (name, ..) in kinds() {
        paths.extend([name.to_owned(), format!("Other__r.{name}")]);
    }
    let keys = paths.iter().map(|path| (path.to_lowercase(), path.clone())).collect();
    let fields = paths
        .iter()
        .enumerate()
        .map(|(n, path)| (format!("F{n}__c"), format!("${path}").as_str().into()))
        .collect();
    let mapping = Mapping::new(MappingSpec {
        sync: "accounts".into(),
        object: "Account".into(),
        keys,
        target: "Copy__c".into(),
        external_id_field: "Key__c".into(),
        external_id_from: "$Id".into(),
        fields,
        ..MappingSpec::default()
    })
    .expect("a right mapping");

    let http = HttpClient::new().expect("a client");
    let flow = Flow::ClientCredentials {
        client_id: org.client_id().into(),
        client_secret: org.client_secret().into(),
    };
    let login = Login { login_url: org.base_url().parse().expect("a URL"), flow, instance_hosts: Vec::new() };
    let token = http.login(&login, chrono::Utc::now().timestamp()).await.expect("a token");
    let org = Direct { http, token };
    let select = Select::from("Account").fields(mapping.read_fields());
    let rest = query::page(&org.call(&query::query(&select.to_soql())).await).expect("a page").records;

    let describe = |reply| describe::parse(&reply).expect("readable").expect("a description").row;
    let account = describe(org.call(&describe::describe("Account", None)).await);
    let user = describe(org.call(&describe::describe("User", None)).await);
    let [account, user] = [account, user].map(|row| Describe::from_json(&row).expect("usable"));
    let mut kinds = Kinds::new();
    for path in mapping.read_fields() {
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", &path));
        let object = if parent == "Owner" { &user } else { &account };
        assert!(note(&mut kinds, &path, object.field(name).expect("a field")), "{path}");
    }
    let made = job::info(&org.call(&bulk::create(&select.to_soql())).await).expect("a job");
    eventually("the job's end", async || {
        job::info(&org.call(&bulk::status(&made.id)).await).expect("a job").state.is_final().then_some(())
    })
    .await;
    let page = org.call(&bulk::results(&made.id, None, 10)).await;
    let mut by_bulk: Vec<Row> =
        bulk::rows(&page.body).expect("a page").collect::<Result<_, _>>().expect("rows");
    for row in &mut by_bulk {
        type_row(&kinds, row);
    }
    by_bulk.sort_by_key(|row| row["Id"].to_string());

    assert_eq!((rest.len(), by_bulk.len()), (2, 2));
    assert_eq!(lookup::body(&mapping, "acme", &by_bulk), lookup::body(&mapping, "acme", &rest));
    for (bulk, rest) in by_bulk.iter().zip(&rest) {
        let decision = Decision { org: "acme", now: chrono::DateTime::UNIX_EPOCH, correlation_id: "" };
        let desired = |row| mapping.desired(row, &json!({}), decision).expect("a record");
        assert_eq!(desired(bulk), desired(rest));
    }
    assert_eq!(lookup::body(&mapping, "acme", &rest)["records"][1]["keys"]["other__r.flag__c"], true);
}
