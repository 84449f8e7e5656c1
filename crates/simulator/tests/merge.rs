//! Merging records, as the administrator does: what becomes of them, of what points to them, and who is told.

mod support;

use orgpipe_simulator::{Options, OrgOptions};
use reqwest::Method;
use serde_json::{Value, json};
use support::{World, events, row, world};

fn options() -> Options {
    Options { orgs: vec![OrgOptions { change_data: true, ..OrgOptions::default() }], ..Options::default() }
}

fn account(world: &World, name: &str) -> String {
    world.org().create("Account", row(json!({"Name": name}))).expect("a valid account")
}

#[test]
fn the_losers_go_to_the_recycle_bin_and_their_children_to_the_master() {
    world(options(), async |world: &World| {
        let org = world.org();
        let (master, loser) = (account(world, "master"), account(world, "loser"));
        org.update("Account", &master, row(json!({"ParentId": loser}))).expect("a parent");
        let contact = json!({"LastName": "Doe", "AccountId": loser});
        let contact = org.create("Contact", row(contact)).expect("a valid contact");
        let enrichment = json!({"External_Id__c": "K", "Account__c": loser});
        let enrichment = org.create("Enrichment__c", row(enrichment)).expect("a valid enrichment");

        let url = format!("{}/orgs/acme/merge/account/{master}", world.simulator.control_url());
        let merge = async |body: Value| {
            world.http.post(&url).json(&body).send().await.expect("an answer").status().as_u16()
        };
        let one_too_many = json!({"losers": [loser, account(world, "b"), account(world, "c")]});
        for refused in [json!({"losers": []}), json!({"losers": [loser, master]}), one_too_many] {
            assert_eq!(merge(refused.clone()).await, 400, "{refused}");
        }
        let refused = json!({"losers": [loser], "fields": {"Nam": "x"}});
        assert_eq!(merge(refused).await, 400);
        assert_eq!(org.get("Contact", &contact).expect("there")["AccountId"], loser, "nothing has happened");

        let done = merge(json!({"losers": [loser], "fields": {"Phone": "1"}})).await;
        assert_eq!(done, 204);
        assert_eq!(org.get("Account", &loser), None);
        assert_eq!(org.get("Contact", &contact).expect("there")["AccountId"], master);
        assert_eq!(org.get("Enrichment__c", &enrichment).expect("there")["Account__c"], master);
        let kept = org.get("Account", &master).expect("it keeps its id");
        assert_eq!((&kept["Phone"], &kept["ParentId"]), (&json!("1"), &Value::Null), "not its own parent");
        let soql = format!("SELECT+IsDeleted,MasterRecordId+FROM+Account+WHERE+Id='{loser}'");
        assert_eq!(world.get(&format!("/query?q={soql}")).await["totalSize"], 0);
        let found = world.get(&format!("/queryAll?q={soql}")).await["records"][0].clone();
        assert_eq!((&found["IsDeleted"], &found["MasterRecordId"]), (&json!(true), &json!(master)));
        assert_eq!(org.deleted("Account", &loser[..15]).expect("in the bin")["Name"], "loser");
        let (status, gone) = world.ask(Method::GET, &format!("/sobjects/Account/{loser}"), None).await;
        assert_eq!((status, gone[0]["errorCode"].as_str()), (404, Some("NOT_FOUND")));
    });
}

#[test]
fn a_merge_is_told_as_deletions_and_one_change_and_the_flow_asks_only_for_a_watched_field() {
    world(options(), async |world: &World| {
        let org = world.org();
        let ids = ["master", "first", "second", "third"].map(|name| account(world, name));
        let [master, first, second, third] = ids.each_ref().map(String::as_str);
        org.create("Account", row(json!({"Name": "child", "ParentId": first}))).expect("a valid account");
        org.merge("Account", master, &[first, second], &row(json!({"Phone": "1"}))).expect("merged");
        org.merge("Account", master, &[third], &row(json!({"Website": "b.example"}))).expect("merged");
        let told: Vec<Value> = events(world, "/event/Sync_Request__e").await;
        let told: Vec<_> =
            told.iter().skip(5).map(|event| (&event["Reason__c"], &event["Record_Ids__c"])).collect();
        assert_eq!(told, [(&json!("Changed"), &json!(master))]);
        let told = events(world, "/data/AccountChangeEvent").await;
        let told: Vec<Value> = told
            .iter()
            .skip(5)
            .map(|event| &event["ChangeEventHeader"])
            .map(|header| json!([header["changeType"], header["recordIds"][0]]))
            .collect();
        let expected = [
            json!(["DELETE", first]),
            json!(["DELETE", second]),
            json!(["UPDATE", master]),
            json!(["DELETE", third]),
            json!(["UPDATE", master]),
        ];
        assert_eq!(told, expected);
    });
}

#[test]
fn nothing_may_refer_to_a_converted_lead_any_more() {
    world(options(), async |world: &World| {
        let org = world.org();
        let lead = json!({"LastName": "Doe", "Company": "Acme"});
        let lead = org.create("Lead", row(lead)).expect("a valid lead");
        let path = "/sobjects/Enrichment__c/External_Id__c/K";
        let link = json!({"Lead__c": lead});
        assert_eq!(world.ask(Method::PATCH, path, Some(link.clone())).await.0, 201);
        org.convert_lead(&lead).expect("converted");
        let (status, refused) = world.ask(Method::PATCH, path, Some(link)).await;
        assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("CANNOT_UPDATE_CONVERTED_LEAD")));
        assert_eq!(org.rows("Enrichment__c")[0]["Lead__c"], lead, "it stays where it was");
    });
}
