//! The simulated org over HTTP: rows, collections, queries, limits, events, faults.

mod support;

use orgpipe_simulator::{CustomField, FieldKind, FieldRight, Options, OrgOptions, Profile, Right};
use reqwest::Method;
use serde_json::{Value, json};
use support::{World, events, login, row, world};

const ENRICHMENT: &str = "/sobjects/Enrichment__c";
const SYNC_REQUEST: &str = "/event/Sync_Request__e";

fn options() -> Options {
    let field = CustomField {
        object: "Account".to_owned(),
        name: "Group__c".to_owned(),
        kind: FieldKind::Text { length: 20 },
        required: false,
        external_id: true,
        unique: false,
        computed: false,
    };
    Options {
        orgs: vec![OrgOptions {
            custom_fields: vec![field],
            profile: Profile::SystemAdministrator,
            ..OrgOptions::default()
        }],
        ..Options::default()
    }
}

#[test]
fn a_row_is_created_read_changed_and_deleted() {
    world(options(), async |world: &World| {
        let created = world
            .call(Method::POST, "/sobjects/Account", Some(json!({"Name": "Acme", "Website": "acme.com"})))
            .await;
        assert_eq!(created.status(), 201);
        let location = created.headers()["location"].to_str().expect("text").to_owned();
        let body: Value = created.json().await.expect("JSON");
        let id = body["id"].as_str().expect("an id").to_owned();
        assert_eq!(body, json!({"id": id, "success": true, "errors": []}));
        assert_eq!(location, format!("/services/data/v66.0/sobjects/Account/{id}"));
        let path = format!("/sobjects/Account/{id}");
        assert_eq!(world.ask(Method::PATCH, &path, Some(json!({"Website": ""}))).await, (204, Value::Null));
        let read = world.get(&format!("{path}?fields=Name,Website,CreatedById")).await;
        assert_eq!((&read["Name"], &read["Website"]), (&json!("Acme"), &Value::Null));
        assert_eq!(read["CreatedById"], world.org().user_id());
        let (status, refused) = world.ask(Method::PATCH, &path, Some(json!({"Id": id, "Name": "x"}))).await;
        assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("INVALID_FIELD")));
        assert_eq!(world.ask(Method::DELETE, &path, None).await, (204, Value::Null));
        let (status, gone) = world.ask(Method::DELETE, &path, None).await;
        assert_eq!((status, &gone[0]["errorCode"]), (404, &json!("ENTITY_IS_DELETED")));
        assert_eq!(world.ask(Method::GET, &path, None).await.0, 404);
    });
}

#[test]
fn an_upsert_answers_by_what_it_did() {
    world(options(), async |world: &World| {
        let path = format!("{ENRICHMENT}/External_Id__c/a%2Fb%20c");
        let (status, created) = world.ask(Method::PATCH, &path, Some(json!({"Name": "one"}))).await;
        assert_eq!((status, &created["created"]), (201, &json!(true)), "{created}");
        let (status, updated) = world.ask(Method::PATCH, &path, Some(json!({"Name": "two"}))).await;
        assert_eq!((status, &updated["created"], &updated["id"]), (200, &json!(false), &created["id"]));
        assert_eq!(world.get(&path).await["External_Id__c"], "a/b c");
        for name in ["x", "y"] {
            world
                .org()
                .create("Account", row(json!({"Name": name, "Group__c": "g"})))
                .expect("a valid account");
        }
        let (status, several) =
            world.ask(Method::PATCH, "/sobjects/Account/Group__c/G", Some(json!({"Name": "z"}))).await;
        assert_eq!((status, several.as_array().map(Vec::len)), (300, Some(2)));
        for (path, body, status, code) in [
            ("/sobjects/Enrichment__c/External_Id__c/a.inc", json!({}), 404, "NOT_FOUND"),
            ("/sobjects/Enrichment__c/External_Id__c/new?updateOnly=true", json!({}), 404, "NOT_FOUND"),
            ("/sobjects/Enrichment__c/Name/x", json!({}), 404, "NOT_FOUND"),
            ("/sobjects/Enrichmen__c/External_Id__c/x", json!({}), 404, "NOT_FOUND"),
            (
                "/sobjects/Enrichment__c/External_Id__c/x",
                json!({"External_Id__c": "x"}),
                400,
                "INVALID_FIELD",
            ),
            (
                "/sobjects/Enrichment__c/External_Id__c/x",
                json!({"Country_Code__c": "DEU"}),
                400,
                "STRING_TOO_LONG",
            ),
            (
                "/sobjects/Enrichment__c/External_Id__c/x",
                json!({"Founded_On__c": "soon"}),
                400,
                "JSON_PARSER_ERROR",
            ),
        ] {
            let (found, refused) = world.ask(Method::PATCH, path, Some(body)).await;
            assert_eq!((found, &refused[0]["errorCode"]), (status, &json!(code)), "{path}");
        }
    });
}

#[test]
fn a_collection_answers_record_by_record() {
    world(options(), async |world: &World| {
        let record = |key: &str, country: &str| json!({"attributes": {"type": "Enrichment__c"}, "External_Id__c": key, "Country_Code__c": country});
        let path = "/composite/sobjects/Enrichment__c/External_Id__c";
        let send = async |records: Value, all: bool| {
            world.ask(Method::PATCH, path, Some(json!({"allOrNone": all, "records": records}))).await
        };
        let (status, results) =
            send(json!([record("a", "DE"), record("b", "DEU"), record("c", "FR")]), false).await;
        assert_eq!(status, 200);
        assert_eq!(
            [&results[0]["created"], &results[1]["success"], &results[2]["success"]],
            [true, false, true]
        );
        let error = &results[1]["errors"][0];
        assert_eq!(
            (&error["statusCode"], &error["fields"]),
            (&json!("STRING_TOO_LONG"), &json!(["Country_Code__c"]))
        );
        let (_, results) = send(json!([record("a", "AT"), record("d", "DEU")]), true).await;
        assert_eq!(results[0]["errors"][0]["statusCode"], "ALL_OR_NONE_OPERATION_ROLLED_BACK");
        assert_eq!(
            world.query("SELECT Id FROM Enrichment__c WHERE Country_Code__c = 'AT'").await["totalSize"],
            0
        );
        let (_, results) =
            send(json!([record("e", "AT"), record("E", "AT"), record("f", "AT")]), false).await;
        assert_eq!(results[1]["errors"][0]["message"], "Duplicate external id specified: e");
        assert_eq!(
            [&results[0]["success"], &results[1]["success"], &results[2]["success"]],
            [false, false, true]
        );
        world.org().lock_next_rows(1);
        let (_, results) = send(json!([record("a", "CH"), record("c", "CH")]), false).await;
        assert_eq!(results[0]["errors"][0]["statusCode"], "UNABLE_TO_LOCK_ROW");
        assert_eq!((&results[1]["success"], &results[1]["created"]), (&json!(true), &json!(false)));
        let many: Vec<Value> = (0..201).map(|n| record(&n.to_string(), "DE")).collect();
        for (records, code) in [
            (json!([]), "REQUIRED_FIELD_MISSING"),
            (json!(many), "EXCEEDED_ID_LIMIT"),
            (json!([{"External_Id__c": "x"}]), "INVALID_TYPE"),
            (
                json!([record("x", "DE"), {"attributes": {"type": "Enrichment__c"}, "External_Id__c": "y", "Match_Score__c": "much"}]),
                "JSON_PARSER_ERROR",
            ),
        ] {
            let (status, refused) = send(records, false).await;
            assert_eq!((status, &refused[0]["errorCode"]), (400, &json!(code)));
        }
        assert_eq!(
            world.query("SELECT Id FROM Enrichment__c WHERE External_Id__c = 'x'").await["totalSize"],
            0
        );
    });
}

#[test]
fn a_query_comes_in_pages_that_add_up() {
    world(options(), async |world: &World| {
        for n in 0..450 {
            world
                .org()
                .create("Contact", row(json!({"LastName": format!("{n:03}")})))
                .expect("a valid contact");
        }
        let soql = [("q", "SELECT LastName FROM Contact ORDER BY LastName")];
        let first =
            world.http.get(world.url("/query")).query(&soql).header("Sforce-Query-Options", "batchSize=200");
        let mut page: Value =
            first.bearer_auth(&world.token).send().await.expect("an answer").json().await.expect("JSON");
        let mut names = Vec::new();
        loop {
            assert_eq!(page["totalSize"], 450);
            names.extend(
                page["records"].as_array().expect("records").iter().map(|record| record["LastName"].clone()),
            );
            let Some(next) = page["nextRecordsUrl"].as_str() else { break };
            assert_eq!(page["done"], false);
            page =
                world.get(next.strip_prefix("/services/data/v66.0").expect("a path of this version")).await;
        }
        assert_eq!(names, (0..450).map(|n| json!(format!("{n:03}"))).collect::<Vec<_>>());
        let (status, lost) = world.ask(Method::GET, "/query/0r8000000000001AAA-200", None).await;
        assert_eq!((status, &lost[0]["errorCode"]), (400, &json!("INVALID_QUERY_LOCATOR")));
        assert_eq!(
            world.query("SELECT COUNT() FROM Contact").await,
            json!({"totalSize": 450, "done": true, "records": []})
        );
    });
}

#[test]
fn calls_are_counted_logged_and_in_the_end_refused() {
    let org = OrgOptions { daily_calls: 3, per_app_usage: true, ..OrgOptions::default() };
    world(Options { orgs: vec![org], ..Options::default() }, async |world: &World| {
        world.org().clear_calls();
        let first = world.call(Method::GET, "/sobjects/Enrichment__c/describe", None).await;
        let usage = "api-usage=1/3; per-app-api-usage=1/3(appName=simulated-app)";
        assert_eq!(first.headers()["sforce-limit-info"], usage);
        let described: Value = first.json().await.expect("JSON");
        let fields = described["fields"].as_array().expect("fields");
        let key = fields.iter().find(|field| field["name"] == "External_Id__c").expect("the key");
        assert_eq!(
            [&key["externalId"], &key["idLookup"], &key["unique"], &key["caseSensitive"], &key["nillable"]],
            [true, true, true, false, false]
        );
        assert_eq!((&key["type"], &key["length"]), (&json!("string"), &json!(100)));
        assert_eq!(world.get("/limits").await["DailyApiRequests"], json!({"Max": 3, "Remaining": 1}));
        assert_eq!(world.ask(Method::GET, "/query?q=SELECT+Id+FROM+Foo", None).await.0, 400);
        let (status, refused) = world.ask(Method::GET, "/limits", None).await;
        assert_eq!((status, &refused[0]["errorCode"]), (403, &json!("REQUEST_LIMIT_EXCEEDED")));
        assert_eq!(refused[0]["message"], "TotalRequests Limit exceeded.");
        world.org().revoke_tokens();
        let (status, refused) = world.ask(Method::GET, "/limits", None).await;
        assert_eq!((status, &refused[0]["errorCode"]), (401, &json!("INVALID_SESSION_ID")));
        let versions = world
            .http
            .get(format!("{}/services/data/", world.org().base_url()))
            .send()
            .await
            .expect("an answer");
        assert!(versions.headers().get("sforce-limit-info").is_none());
        let log: Vec<(u16, bool)> =
            world.org().calls().iter().map(|call| (call.status, call.counted)).collect();
        assert_eq!(log, [(200, true), (200, true), (400, true), (403, false), (401, false), (200, false)]);
        assert_eq!(world.org().calls()[2].query, "q=SELECT Id FROM Foo");
    });
}

#[test]
fn the_flow_reports_other_peoples_changes_only() {
    world(options(), async |world: &World| {
        let (org, http) = (world.org(), &world.http);
        let id = org.create("Account", row(json!({"Name": "Acme"}))).expect("a valid account");
        org.update("Account", &id, row(json!({"Phone": "1"}))).expect("no watched field");
        org.update("Account", &id, row(json!({"Website": "acme.com"}))).expect("a watched field");
        let ours = world
            .ask(Method::PATCH, &format!("/sobjects/Account/{id}"), Some(json!({"Website": "ours.com"})))
            .await;
        assert_eq!(ours.0, 204);
        let admin = login(http, org, org.admin_username()).await;
        let path = world.url(&format!("/sobjects/Account/{id}"));
        let theirs = http
            .patch(path)
            .bearer_auth(&admin)
            .json(&json!({"Name": "Acme 2"}))
            .send()
            .await
            .expect("an answer");
        assert_eq!(theirs.status(), 204);
        let settings = json!({"SetupOwnerId": org.org_id(), "Suppress_Account__c": true});
        org.create("Sync_Settings__c", row(settings)).expect("a valid setting");
        org.update("Account", &id, row(json!({"Name": "Acme 3"}))).expect("a watched field");
        let (status, queued) = world
            .ask(
                Method::POST,
                "/sobjects/Sync_Request__e",
                Some(json!({"Object_Type__c": "Lead", "Reason__c": "Manual"})),
            )
            .await;
        assert_eq!((status, &queued["errors"][0]["statusCode"]), (201, &json!("OPERATION_ENQUEUED")));
        let seen = events(world, SYNC_REQUEST).await;
        let reasons: Vec<&Value> = seen.iter().map(|payload| &payload["Reason__c"]).collect();
        assert_eq!(reasons, ["Created", "Changed", "Changed", "Manual"]);
        for payload in &seen[..3] {
            assert_eq!(
                (&payload["Record_Ids__c"], &payload["Object_Type__c"]),
                (&json!(id), &json!("Account"))
            );
            assert_ne!(payload["CreatedById"], org.user_id());
        }
        assert_eq!(
            (&seen[3]["Record_Ids__c"], &seen[3]["CreatedById"]),
            (&Value::Null, &json!(org.user_id()))
        );
        assert_eq!(org.subscribes()[0].replay, -2);
    });
}

#[test]
fn leads_have_a_flow_and_only_the_settings_row_keeps_it_quiet_about_us() {
    world(options(), async |world: &World| {
        let org = world.org();
        let lead = json!({"LastName": "Doe", "Company": "Acme", "Website": "acme.com"});
        let lead = org.create("Lead", row(lead)).expect("a valid lead");
        org.update("Lead", &lead, row(json!({"Title": "Dr"}))).expect("no watched field");
        org.update("Lead", &lead, row(json!({"Email": "doe@acme.com"}))).expect("a watched field");
        let account = org.convert_lead(&lead).expect("a lead that can be converted");
        assert_eq!(org.get("Lead", &lead).expect("it stays")["ConvertedAccountId"], account);
        org.update("Lead", &lead, row(json!({"Email": "d@acme.com"}))).expect("converted: nobody asks");
        let enrichment = json!({"External_Id__c": "k"});
        assert_eq!(world.ask(Method::POST, ENRICHMENT, Some(enrichment)).await.0, 201, "has no flow");
        let rows = org.rows("Sync_Settings__c");
        assert_eq!((&rows[0]["SetupOwnerId"], rows.len()), (&json!(org.user_id()), 1));
        let save = async |name: &str| {
            let path = format!("/sobjects/Account/{account}");
            assert_eq!(world.ask(Method::PATCH, &path, Some(json!({"Name": name}))).await.0, 204);
        };
        save("exempt").await;
        org.delete("Sync_Settings__c", rows[0]["Id"].as_str().expect("an id")).expect("it can be deleted");
        save("not exempt").await;
        let seen = events(world, SYNC_REQUEST).await;
        let told: Vec<(&str, &str)> = seen
            .iter()
            .map(|payload| (payload["Object_Type__c"].as_str(), payload["Reason__c"].as_str()))
            .map(|(object, reason)| (object.expect("text"), reason.expect("text")))
            .collect();
        let expected = [
            ("Lead", "Created"),
            ("Lead", "Changed"),
            ("Account", "Created"),
            ("Lead", "Converted"),
            ("Account", "Changed"),
        ];
        assert_eq!(told, expected);
    });
}

#[test]
fn faults_strike_as_often_as_asked() {
    world(options(), async |world: &World| {
        let org = world.org();
        org.fail_next("/query", 503, 1);
        assert_eq!(world.ask(Method::GET, "/query?q=SELECT+Id+FROM+Account", None).await.0, 503);
        assert_eq!(world.ask(Method::GET, "/query?q=SELECT+Id+FROM+Account", None).await.0, 200);
        org.lose_answers(ENRICHMENT, 1);
        let request = world
            .http
            .patch(world.url(&format!("{ENRICHMENT}/External_Id__c/lost")))
            .bearer_auth(&world.token);
        let lost = match request.json(&json!({"Name": "lost"})).send().await {
            Ok(reply) => reply.bytes().await.is_err(),
            Err(_) => true,
        };
        assert!(lost, "the answer breaks off");
        assert_eq!(org.rows("Enrichment__c").len(), 1, "but the record is there");
        org.set_available(false);
        assert_eq!(world.ask(Method::GET, "/limits", None).await.0, 503);
        org.set_available(true);
        assert_eq!(world.ask(Method::GET, "/limits", None).await.0, 200);
        let long = format!("/query?q={}", "x".repeat(17_000));
        assert_eq!(world.call(Method::GET, &long, None).await.status(), 414);
        let headed = world
            .http
            .get(world.url("/limits"))
            .header("X-Long", "x".repeat(16_500))
            .send()
            .await
            .expect("an answer");
        assert_eq!(headed.status(), 431);
    });
}

#[test]
fn a_description_tells_its_age_and_hides_what_a_permission_hides() {
    world(Options::default(), async |world: &World| {
        let path = "/sobjects/Enrichment__c/describe";
        let first = world.call(Method::GET, path, None).await;
        let age = first.headers()["last-modified"].to_str().expect("text").to_owned();
        let asked = |since: &str| {
            world.http.get(world.url(path)).bearer_auth(&world.token).header("If-Modified-Since", since)
        };
        assert_eq!(asked(&age).send().await.expect("an answer").status(), 304);
        let before = "Thu, 01 Jan 1970 00:00:00 GMT";
        assert_eq!(asked(before).send().await.expect("an answer").status(), 200);

        let field = async |name: &str| {
            let described = world.get(path).await;
            let fields = described["fields"].as_array().expect("fields").clone();
            fields.into_iter().find(|field| field["name"] == name)
        };
        let right = |right| Right::Field("Enrichment__c".into(), "Industry__c".into(), right);
        world.org().take_right(right(FieldRight::Edit));
        assert_eq!(field("Industry__c").await.expect("seen")["updateable"], false);
        world.org().take_right(right(FieldRight::Read));
        assert_eq!(field("Industry__c").await, None);
    });
}
