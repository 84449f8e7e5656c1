//! Bulk API 2.0 over HTTP: ingest jobs to their three result files, query jobs page by page.

mod support;

use std::time::Duration;

use orgpipe_simulator::{Options, OrgOptions, Profile};
use reqwest::Method;
use serde_json::{Value, json};
use support::{World, login, row, world};

const INGEST: &str = "/jobs/ingest";

/// Jobs take 2 s of simulated time; here that is some milliseconds.
fn options() -> Options {
    let org = OrgOptions { profile: Profile::SystemAdministrator, ..OrgOptions::default() };
    Options { orgs: vec![org], time_scale: 200.0, ..Options::default() }
}

async fn create(world: &World) -> Value {
    let job = json!({"object": "Enrichment__c", "operation": "upsert", "externalIdFieldName": "External_Id__c", "contentType": "CSV", "lineEnding": "LF"});
    let (status, job) = world.ask(Method::POST, INGEST, Some(job)).await;
    assert_eq!((status, &job["state"]), (200, &json!("Open")), "{job}");
    job
}

async fn upload(world: &World, job: &Value, csv: &str) -> u16 {
    let url = format!("{}/{}", world.org().base_url(), job["contentUrl"].as_str().expect("a path"));
    let put =
        world.http.put(url).bearer_auth(&world.token).header("Content-Type", "text/csv").body(csv.to_owned());
    put.send().await.expect("an answer").status().as_u16()
}

fn path(job: &Value, rest: &str) -> String {
    format!("{INGEST}/{}{rest}", job["id"].as_str().expect("an id"))
}

/// Asks until the job has ended.
async fn ended(world: &World, path: &str) -> Value {
    for _ in 0..500 {
        let job = world.get(path).await;
        if !["Open", "UploadComplete", "InProgress"].contains(&job["state"].as_str().expect("a state")) {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the job at {path} does not end");
}

async fn run(world: &World, csv: &str) -> Value {
    let job = create(world).await;
    assert_eq!(upload(world, &job, csv).await, 201);
    let (status, closed) =
        world.ask(Method::PATCH, &path(&job, ""), Some(json!({"state": "UploadComplete"}))).await;
    assert_eq!((status, &closed["state"]), (200, &json!("UploadComplete")));
    assert!(closed.get("contentUrl").is_none() && closed.get("lineEnding").is_none());
    ended(world, &path(&job, "")).await
}

/// A result file: its header line, and its other lines in order of text.
async fn file(world: &World, path: &str) -> (String, Vec<String>) {
    let reply = world.call(Method::GET, path, None).await;
    assert_eq!(
        (reply.status().as_u16(), reply.headers()["content-type"].to_str().ok()),
        (200, Some("text/csv"))
    );
    let text = reply.text().await.expect("text");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let header = if lines.is_empty() { String::new() } else { lines.remove(0) };
    lines.sort();
    (header, lines)
}

#[test]
fn an_ingest_job_ends_in_three_files() {
    world(options(), async |world: &World| {
        world.org().create("Account", row(json!({"Name": "Acme"}))).expect("a valid account");
        let csv = "External_Id__c,Name,Annual_Revenue__c,Country_Code__c,Founded_On__c,Id\n\
                   a,\"A, \"\"1\"\"\",912260031,DE,1999-12-31,\n\
                   b,B,5,DEU,,\n\
                   c,C,#N/A,,soon,\n\
                   d,D,,,,\nD,D,,,,\n";
        let job = run(world, csv).await;
        assert_eq!(job["state"], "JobComplete");
        assert_eq!((&job["numberRecordsProcessed"], &job["numberRecordsFailed"]), (&json!(5), &json!(4)));
        assert_eq!((&job["jobType"], &job["apiVersion"]), (&json!("V2Ingest"), &json!(66.0)));
        let (header, lines) = file(world, &path(&job, "/successfulResults/")).await;
        assert_eq!(
            header,
            "\"sf__Id\",\"sf__Created\",External_Id__c,Name,Annual_Revenue__c,Country_Code__c,Founded_On__c,Id"
        );
        assert!(
            lines[0]
                .ends_with(",\"true\",\"a\",\"A, \"\"1\"\"\",\"9.12260031E8\",\"DE\",\"1999-12-31\",\"\""),
            "{}",
            lines[0]
        );
        let (header, lines) = file(world, &path(&job, "/failedResults")).await;
        assert!(header.starts_with("\"sf__Id\",\"sf__Error\",External_Id__c"));
        let has = |words: &str| assert!(lines.iter().any(|line| line.contains(words)), "{words}: {lines:?}");
        has(
            "\"STRING_TOO_LONG:Country Code: data value too large: DEU (max length=2):Country_Code__c --\",\"b\"",
        );
        has(
            "\"INVALID_FIELD:Failed to deserialize field at col 4. Due to, 'soon' is not a valid value for the type xsd:date:Founded_On__c --\",\"c\"",
        );
        has("\"DUPLICATE_VALUE:Duplicate external id specified: d:External_Id__c --\",\"D\"");
        assert_eq!(file(world, &path(&job, "/unprocessedrecords/")).await.1, Vec::<String>::new());
        let stored = world.query("SELECT Name, Annual_Revenue__c FROM Enrichment__c").await;
        assert_eq!((&stored["records"][0]["Name"], &stored["totalSize"]), (&json!("A, \"1\""), &json!(1)));
        assert_eq!(world.ask(Method::DELETE, &path(&job, ""), None).await.0, 204);
        assert_eq!(world.ask(Method::GET, &path(&job, ""), None).await.0, 404);
    });
}

#[test]
fn a_job_as_a_whole_fails_for_its_csv() {
    world(options(), async |world: &World| {
        for (csv, message) in [
            ("External_Id__c,Nam\na,b\n", "InvalidBatch : Field name not found : Nam"),
            ("\u{feff}External_Id__c\na\n", "InvalidBatch : Field name not found : \u{feff}External_Id__c"),
            (
                "External_Id__c\r\na\r\n",
                "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF",
            ),
        ] {
            let job = run(world, csv).await;
            assert_eq!((&job["state"], &job["errorMessage"]), (&json!("Failed"), &json!(message)));
            assert_eq!((&job["numberRecordsProcessed"], &job["numberRecordsFailed"]), (&json!(0), &json!(0)));
        }
    });
}

#[test]
fn a_job_can_be_refused_aborted_and_lose_rows() {
    world(options(), async |world: &World| {
        for (job, code) in [
            (json!({"object": "Enrichmen__c", "operation": "insert"}), "INVALIDENTITY"),
            (json!({"object": "Enrichment__c", "operation": "merge"}), "INVALIDJOB"),
            (
                json!({"object": "Enrichment__c", "operation": "upsert", "externalIdFieldName": "Name"}),
                "INVALIDJOB",
            ),
        ] {
            let (status, refused) = world.ask(Method::POST, INGEST, Some(job)).await;
            assert_eq!((status, &refused[0]["errorCode"]), (400, &json!(code)));
        }
        world.org().hold_jobs(true);
        let job = create(world).await;
        assert_eq!(upload(world, &job, "External_Id__c\na\nb\n").await, 201);
        assert_eq!(upload(world, &job, "External_Id__c\nc\n").await, 400, "one upload per job");
        let change = async |state: &str| {
            world.ask(Method::PATCH, &path(&job, ""), Some(json!({"state": state}))).await
        };
        assert_eq!(change("UploadComplete").await.0, 200);
        assert_eq!(
            world.ask(Method::GET, &path(&job, "/successfulResults"), None).await.0,
            400,
            "not before its end"
        );
        assert_eq!(change("Aborted").await.1["state"], "Aborted");
        assert_eq!(change("UploadComplete").await.1[0]["errorCode"], "INVALIDJOBSTATE");
        assert_eq!(file(world, &path(&job, "/unprocessedRecords")).await.1, ["\"a\"", "\"b\""]);
        world.org().hold_jobs(false);
        world.org().lose_bulk_rows(1);
        let job = run(world, "External_Id__c\na\nb\nc\n").await;
        assert_eq!(job["numberRecordsProcessed"], 2);
        assert_eq!(file(world, &path(&job, "/successfulResults")).await.1.len(), 2);
        assert_eq!(world.org().rows("Enrichment__c").len(), 2, "one row is in no file and not stored");
    });
}

#[test]
fn a_query_job_comes_in_pages() {
    world(options(), async |world: &World| {
        for n in 0..5 {
            world
                .org()
                .create("Account", row(json!({"Name": format!("A{n}"), "AnnualRevenue": 20_000_000})))
                .expect("valid");
        }
        let soql = "SELECT Owner.Username, Name, AnnualRevenue, NumberOfEmployees FROM Account";
        let (status, job) =
            world.ask(Method::POST, "/jobs/query", Some(json!({"operation": "query", "query": soql}))).await;
        assert_eq!((status, &job["state"]), (200, &json!("UploadComplete")), "{job}");
        let base = format!("/jobs/query/{}", job["id"].as_str().expect("an id"));
        assert_eq!(ended(world, &base).await["numberRecordsProcessed"], 5);
        let mut names = Vec::new();
        let mut locator = String::new();
        while locator != "null" {
            let more = if locator.is_empty() { String::new() } else { format!("&locator={locator}") };
            let page = world.call(Method::GET, &format!("{base}/results?maxRecords=2{more}"), None).await;
            let header = |name: &str| page.headers()[name].to_str().expect("text").to_owned();
            locator = header("sforce-locator");
            let count: usize = header("sforce-numberofrecords").parse().expect("a number");
            let text = page.text().await.expect("text");
            let mut lines = text.lines();
            assert_eq!(
                lines.next(),
                Some("\"Owner.Username\",\"Name\",\"AnnualRevenue\",\"NumberOfEmployees\"")
            );
            let lines: Vec<&str> = lines.collect();
            assert_eq!(lines.len(), count);
            names.extend(lines.iter().map(|line| (*line).to_owned()));
        }
        names.sort_unstable();
        let admin = world.org().admin_username();
        assert_eq!(names[4], format!("\"{admin}\",\"A4\",\"2.0E7\",\"\""));
        assert_eq!(names.len(), 5);
        world.org().cut_pages(3);
        let page = world.call(Method::GET, &format!("{base}/results"), None).await;
        assert_eq!(page.headers()["sforce-numberofrecords"], "3", "pages have a size of their own");
        let other = format!("{}/services/data/v65.0{base}/results", world.org().base_url());
        let conflict = world.http.get(other).bearer_auth(&world.token).send().await.expect("an answer");
        assert_eq!(conflict.status(), 409);
        world.org().expire_jobs();
        assert_eq!(world.call(Method::GET, &format!("{base}/results"), None).await.status(), 404);
        for (soql, code) in
            [("SELECT COUNT() FROM Account", "API_ERROR"), ("SELECT Foo FROM Account", "INVALID_FIELD")]
        {
            let (status, refused) = world
                .ask(Method::POST, "/jobs/query", Some(json!({"operation": "query", "query": soql})))
                .await;
            assert_eq!((status, &refused[0]["errorCode"]), (400, &json!(code)));
        }
    });
}

#[test]
fn a_bulk_change_by_a_customer_is_one_event_per_100_accounts() {
    let org = OrgOptions { daily_calls: 1_000, ..OrgOptions::default() };
    world(Options { orgs: vec![org], ..options() }, async |world: &World| {
        let admin = login(&world.http, world.org(), world.org().admin_username()).await;
        let create = json!({"object": "Account", "operation": "insert", "lineEnding": "LF"});
        let send = async |method: Method, path: &str, body: Value| {
            let request = world.http.request(method, world.url(path)).bearer_auth(&admin).json(&body);
            request.send().await.expect("an answer").json::<Value>().await.expect("JSON")
        };
        let job = send(Method::POST, INGEST, create).await;
        let csv = (0..450).fold("Name\n".to_owned(), |csv, n| csv + &format!("A{n}\n"));
        let put = world
            .http
            .put(world.url(&path(&job, "/batches")))
            .bearer_auth(&admin)
            .header("Content-Type", "text/csv");
        assert_eq!(put.body(csv).send().await.expect("an answer").status(), 201);
        send(Method::PATCH, &path(&job, ""), json!({"state": "UploadComplete"})).await;
        assert_eq!(ended(world, &path(&job, "")).await["numberRecordsFailed"], 0);
        let limits = world.get("/limits").await;
        assert_eq!(limits["HourlyPublishedPlatformEvents"], json!({"Max": 50_000, "Remaining": 49_995}));
    });
}
