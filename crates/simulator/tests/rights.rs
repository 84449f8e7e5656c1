//! The integration user may what the package's permission sets give, and not what is taken away.

mod support;

use orgpipe_simulator::{FieldRight, ObjectRight, Options, OrgOptions, Right};
use reqwest::Method;
use serde_json::{Value, json};
use support::{World, row, world};

const KEY: &str = "/sobjects/Enrichment__c/External_Id__c/k";

fn object(name: &str, right: ObjectRight) -> Right {
    Right::Object(name.to_owned(), right)
}

fn field(object: &str, name: &str, right: FieldRight) -> Right {
    Right::Field(object.to_owned(), name.to_owned(), right)
}

/// Status and error code; empty where all is well.
async fn asked(world: &World, method: Method, path: &str, body: Option<Value>) -> (u16, String) {
    let (status, body) = world.ask(method, path, body).await;
    (status, body[0]["errorCode"].as_str().unwrap_or_default().to_owned())
}

async fn flags(world: &World, object: &str, name: &str) -> Option<(bool, bool)> {
    let described = world.get(&format!("/sobjects/{object}/describe")).await;
    let fields = described["fields"].as_array().expect("fields").clone();
    let field = fields.into_iter().find(|field| field["name"] == name)?;
    Some((field["createable"] == true, field["updateable"] == true))
}

#[test]
fn each_right_shows_in_what_is_answered_and_comes_back() {
    world(Options::default(), async |world: &World| {
        let org = world.org();
        org.create("Account", row(json!({"Name": "Acme", "Website": "a.example"}))).expect("an account");
        let query = |object: &str, field: &str| format!("/query?q=SELECT+{field}+FROM+{object}");
        let upsert = || Some(json!({"Website__c": "a.example"}));
        let (read, edit) = (FieldRight::Read, FieldRight::Edit);
        let cases = [
            (
                field("Account", "Website", read),
                (Method::GET, query("Account", "Website"), None),
                (400, "INVALID_FIELD"),
            ),
            (
                field("Enrichment__c", "Website__c", read),
                (Method::PATCH, KEY.to_owned(), upsert()),
                (400, "INVALID_FIELD"),
            ),
            (
                field("Enrichment__c", "Website__c", edit),
                (Method::PATCH, KEY.to_owned(), upsert()),
                (400, "INVALID_FIELD_FOR_INSERT_UPDATE"),
            ),
            (
                object("Account", ObjectRight::Read),
                (Method::GET, query("Account", "Id"), None),
                (400, "INVALID_TYPE"),
            ),
            (
                object("Enrichment__c", ObjectRight::Read),
                (Method::PATCH, KEY.to_owned(), upsert()),
                (404, "NOT_FOUND"),
            ),
            (
                object("Enrichment__c", ObjectRight::Edit),
                (Method::PATCH, KEY.to_owned(), upsert()),
                (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"),
            ),
            (
                Right::Setting("Sync_Settings__c".to_owned()),
                (Method::GET, query("Sync_Settings__c", "SetupOwnerId"), None),
                (400, "INVALID_TYPE"),
            ),
            (Right::ApiEnabled, (Method::GET, "/limits".to_owned(), None), (403, "API_DISABLED_FOR_ORG")),
            (
                Right::PermissionSet("Sync_Integration".to_owned()),
                (Method::GET, "/sobjects/Enrichment__c/describe".to_owned(), None),
                (404, "NOT_FOUND"),
            ),
            (
                Right::Package,
                (Method::GET, "/sobjects/Enrichment__c/describe".to_owned(), None),
                (404, "NOT_FOUND"),
            ),
        ];
        assert_eq!(world.ask(Method::PATCH, KEY, upsert()).await.0, 201);
        for (right, (method, path, body), (status, code)) in cases {
            let (before, _) = asked(world, method.clone(), &path, body.clone()).await;
            assert!((200..300).contains(&before), "{right:?}: {before}");
            org.take_right(right.clone());
            let found = asked(world, method.clone(), &path, body.clone()).await;
            assert_eq!((found.0, found.1.as_str()), (status, code), "{right:?}");
            org.give_right(right);
            assert_eq!(asked(world, method, &path, body).await.0, before);
        }
        assert_eq!(flags(world, "Enrichment__c", "Website__c").await, Some((true, true)));
        org.take_right(field("Enrichment__c", "Website__c", edit));
        assert_eq!(flags(world, "Enrichment__c", "Website__c").await, Some((false, false)));
        assert_eq!(flags(world, "Account", "Website").await, Some((false, false)));
        assert_eq!(flags(world, "Account", "Industry").await, None, "no permission set gives it");
        org.give_right(field("account", "industry", read));
        assert_eq!(flags(world, "Account", "Industry").await, Some((false, false)));
        let refused = asked(world, Method::POST, "/sobjects/Account", Some(json!({"Name": "x"}))).await;
        assert_eq!(refused, (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY".to_owned()));
        assert_eq!(world.query("SELECT COUNT() FROM Account").await["totalSize"], 1);
        org.take_right(object("Account", ObjectRight::ViewAll));
        assert_eq!(world.query("SELECT COUNT() FROM Account").await["totalSize"], 0);
    });
}

#[test]
fn what_is_required_too_long_or_of_a_wrong_type_is_refused_as_the_contract_says() {
    let acme = OrgOptions { namespace: "acmeco".to_owned(), ..OrgOptions::default() };
    world(Options { orgs: vec![acme], ..Options::default() }, async |world: &World| {
        for (body, code) in [
            (json!({"Name": "x"}), "REQUIRED_FIELD_MISSING"),
            (
                json!({"acmeco__External_Id__c": "a", "acmeco__Content_Hash__c": "0".repeat(65)}),
                "STRING_TOO_LONG",
            ),
            (json!({"acmeco__External_Id__c": "a", "acmeco__Founded_On__c": "soon"}), "JSON_PARSER_ERROR"),
            (
                json!({"acmeco__External_Id__c": "a", "acmeco__Status__c": "Maybe"}),
                "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            ),
            (json!({"External_Id__c": "a"}), "INVALID_FIELD"),
        ] {
            let found = asked(world, Method::POST, "/sobjects/acmeco__Enrichment__c", Some(body)).await;
            assert_eq!(found, (400, code.to_owned()));
        }
    });
}

#[test]
fn an_event_is_subscribed_to_with_read_and_published_with_create() {
    world(Options::default(), async |world: &World| {
        let subscribe = async || {
            let post = async |message: Value, cookie: &str| {
                let url = format!("{}/cometd/66.0", world.org().base_url());
                let request = world.http.post(url).bearer_auth(&world.token).header("Cookie", cookie);
                let reply = request.json(&json!([message])).send().await.expect("an answer");
                let cookies = reply.headers().get_all("set-cookie").iter();
                let cookies: Vec<String> = cookies
                    .filter_map(|value| value.to_str().ok()?.split(';').next())
                    .map(str::to_owned)
                    .collect();
                (reply.json::<Value>().await.expect("JSON"), cookies.join("; "))
            };
            let hello = json!({"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]});
            let (hello, cookie) = post(hello, "").await;
            let channel = "/event/Sync_Request__e";
            let subscribe = json!({"channel": "/meta/subscribe", "clientId": hello[0]["clientId"], "subscription": channel});
            post(subscribe, &cookie).await.0[0]["error"].as_str().unwrap_or_default().to_owned()
        };
        let publish = async || {
            let event = json!({"Object_Type__c": "Account", "Reason__c": "Manual"});
            asked(world, Method::POST, "/sobjects/Sync_Request__e", Some(event)).await
        };
        assert_eq!((subscribe().await.as_str(), publish().await.0), ("", 201));
        world.org().take_right(object("Sync_Request__e", ObjectRight::Create));
        assert_eq!(subscribe().await, "");
        assert_eq!(publish().await.1, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY");
        world.org().take_right(object("Sync_Request__e", ObjectRight::Read));
        assert!(subscribe().await.starts_with("403::Subscriber does not have access"));
        world.org().take_right(Right::Package);
        assert!(subscribe().await.starts_with("400::The channel you requested"));
    });
}

#[test]
fn the_app_the_row_and_the_clock_are_the_orgs_own() {
    let taken = vec![Right::SettingRow];
    let orgs = vec![OrgOptions { taken, ..OrgOptions::default() }];
    world(Options { orgs, ..Options::default() }, async |world: &World| {
        let org = world.org();
        assert_eq!(org.rows("Sync_Settings__c").len(), 0);
        org.give_right(Right::SettingRow);
        assert_eq!(org.rows("Sync_Settings__c")[0]["Suppress_All__c"], true);
        let login = async || {
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", org.client_id()),
                ("client_secret", org.client_secret()),
            ];
            let url = format!("{}/services/oauth2/token", org.base_url());
            let reply = world.http.post(url).form(&form).send().await.expect("an answer");
            (reply.status().as_u16(), reply.headers()["date"].to_str().expect("text").to_owned())
        };
        let (status, date) = login().await;
        assert_eq!(status, 200);
        org.set_clock_ahead(10 * 365 * 86_400);
        assert_ne!(login().await.1[12..16], date[12..16], "another year");
        org.take_right(Right::AppApproved);
        assert_eq!(login().await.0, 400);
        assert_eq!(world.ask(Method::GET, "/limits", None).await.0, 200, "a session goes on");
    });
}
