//! What is asked for together, and what the answers come to.

use orgpipe_reconcile::describe::Describe;
use serde_json::json;

use super::*;
use crate::{push::PushPart, queue_entry::unpack, settings::tests::org};

const A: &str = "0015000000Gv7qJAAR";
const B: &str = "0015000000Gv7qKAAR";

fn waiting(number: u64, items: PushItems, data: Vec<Option<Vec<Value>>>) -> WaitingPush {
    let head = PushHead {
        v: 1,
        sync: "accounts".into(),
        kind: items.kind(),
        items: items.len(),
        orgs: vec!["acme".into()],
        at_ms: UnixMs(number * 10),
        idempotency_key: None,
        digest: String::new(),
    };
    (Seq(number), Arc::new(head), Arc::new(PushBody { items, data }))
}

fn ids(number: u64, ids: &[&str]) -> WaitingPush {
    waiting(number, PushItems::ExternalIds(ids.iter().map(|id| (*id).to_owned()).collect()), Vec::new())
}

fn keys(number: u64, value: Value) -> WaitingPush {
    let items = serde_json::from_value(value).expect("keys");
    waiting(number, PushItems::Keys(items), Vec::new())
}

fn place(number: u64, item: usize) -> PushPlace {
    PushPlace { number: Seq(number), item, within: None }
}

fn row(value: Value) -> Row {
    let Value::Object(row) = value else { unreachable!() };
    row
}

/// Name and pushes of each.
fn told(items: &[PushedItem]) -> Vec<(String, Vec<u64>)> {
    items.iter().map(|one| (one.item.name(), one.pushed.by.iter().map(|push| push.0).collect())).collect()
}

fn found(found: &FoundRecords) -> Vec<(&str, Vec<u64>)> {
    found
        .iter()
        .map(|(id, (_, pushed))| (id.as_str(), pushed.by.iter().map(|push| push.0).collect()))
        .collect()
}

#[test]
fn what_stands_in_several_pushes_is_asked_once_and_the_place_is_behind_all_of_it() {
    let all = [ids(3, &["a", "b", "a"]), ids(5, &[" b ", "c"]), ids(8, &["d", "a"])];
    let name = |id: &str| format!("external ID {id}");
    for (from, most, expected, behind) in [
        (
            place(0, 0),
            9,
            vec![("a", vec![3, 8]), ("b", vec![3, 5]), ("c", vec![5]), ("d", vec![8])],
            place(8, 2),
        ),
        (place(0, 0), 2, vec![("a", vec![3]), ("b", vec![3, 5])], place(5, 1)),
        (place(5, 1), 2, vec![("c", vec![5]), ("d", vec![8])], place(8, 1)),
        (place(3, 3), 1, vec![("b", vec![5])], place(5, 1)),
        (place(8, 2), 9, vec![], place(8, 2)),
    ] {
        let PushWindow { items, place } = window(&all, &from, most);
        let expected: Vec<_> = expected.into_iter().map(|(id, by)| (name(id), by)).collect();
        assert_eq!((told(&items), place), (expected, behind), "{most} behind {from:?}");
    }
    let part = PushPart { items: 1, last: Seq(3), after: A.into() };
    let within = PushPlace { within: Some(part), ..place(0, 0) };
    assert_eq!(window(&all[..1], &within, 1), window(&all[..1], &place(0, 0), 1), "the same items once more");
}

#[test]
fn the_newest_push_says_what_is_known_of_an_item() {
    let data = |n: u32| Some(vec![json!({ "n": n })]);
    let push = |number, data| waiting(number, PushItems::ExternalIds(vec!["a".into()]), vec![data]);
    for (first, second, expected) in
        [(data(1), data(2), data(2)), (data(1), None, None), (None, data(2), data(2))]
    {
        let PushWindow { items, .. } = window(&[push(1, first), push(2, second)], &place(0, 0), 9);
        assert_eq!(items[0].pushed.data.clone().map(|data| data.data), expected);
    }
}

#[test]
fn a_record_is_found_by_its_target_as_the_field_tells_ids_apart() {
    let sensitive =
        json!({ "name": "T", "fields": [{ "name": "K", "type": "string", "caseSensitive": true }] });
    let sensitive = Identity::of(&Describe::from_json(&row(sensitive)).expect("a describe"), "K");
    let all = [ids(1, &["acme", "ACME"]), ids(2, &["Acme"])];
    let PushWindow { items, .. } = window(&all, &place(0, 0), 9);
    assert!(needs_identity(&items) && !needs_identity(&items[..1]));
    let rows = [
        row(json!({ "Id": "a00000000000001", "K": "acme", "Account__c": A })),
        row(json!({ "Id": "a00000000000002", "K": "other", "Account__c": B })),
        row(json!({ "Id": "a00000000000003", "K": "ACME", "Account__c": null })),
    ];
    let by = |identity| by_external_id(&items, &rows, ("K", "Account__c"), identity);
    assert_eq!(found(&by(Identity::default())), [(A, vec![1, 2])], "all three are one");
    assert_eq!(found(&by(sensitive)), [(A, vec![1])]);

    let number = json!({ "name": "T", "fields": [{ "name": "K", "type": "double" }] });
    let number = Identity::of(&Describe::from_json(&row(number)).expect("a describe"), "K");
    let PushWindow { items, .. } = window(&[ids(1, &["7", "x", "7.0"])], &place(0, 0), 9);
    assert!(needs_identity(&items));
    assert_eq!(literals(&items, number), ["7"]);
    assert_eq!(literals(&items, Identity::default()).len(), 3);
}

#[test]
fn records_are_found_by_all_keys_of_an_item() {
    let org = org();
    let mapping = &org.syncs[0].mapping;
    let all = [
        keys(1, json!([{ "domain": "acme.com" }, { "domain": "ACME.com" }])),
        keys(2, json!([{ "domain": "x" }])),
    ];
    let PushWindow { items, .. } = window(&all, &place(0, 0), 9);
    assert_eq!(field_of(mapping, &items[0].item), Some(("Website", "'acme.com'".to_owned())));
    let rows = vec![row(json!({ "Id": A, "Website": "Acme.com" })), row(json!({ "Id": B, "Website": null }))];
    let by = by_keys(mapping, &items, rows);
    assert_eq!(found(&by), [(A, vec![1])]);
    assert!(by[A].0.is_some(), "its row comes along");
}

#[test]
fn requests_and_counts_add_up_and_what_is_refused_is_a_letter() {
    let org = org();
    let sync = &org.syncs[0];
    let many: Vec<String> = (0..250).map(|n| format!("001{n:012}AAA")).collect();
    let all = [
        waiting(1, PushItems::RecordIds(many.clone()), Vec::new()),
        waiting(2, PushItems::RecordIds(many[..10].to_vec()), vec![Some(vec![json!({ "key": "k" })]); 10]),
    ];
    let PushWindow { mut items, place } = window(&all, &place(0, 0), 1_000);
    let lost = items.pop().expect("one");
    let problem = RecordProblem::new("K", "no", "Do this.");
    let append = append(sync, by_record_id(&items), vec![(lost, problem)], &place, (UnixMs(5), UnixMs(6)));
    assert_eq!(append.found, [(Seq(1), 250), (Seq(2), 10)]);
    let records: u32 = append.requests.iter().map(|request| request.records).sum();
    assert_eq!((append.requests.len(), records), (3, 259));
    let first: RequestEntry = unpack(&append.requests[0].body).expect("readable");
    assert_eq!((first.ids.len(), first.pushed.len(), first.event_id.as_str()), (100, 100, "2"));
    let both = &first.pushed[0];
    assert_eq!(
        (both.by.as_slice(), both.data.as_ref().map(|data| data.at_ms)),
        ([Seq(1), Seq(2)].as_slice(), Some(UnixMs(20)))
    );
    let [letter] = append.dead.as_slice() else { panic!("one letter") };
    assert_eq!((letter.subject.units, letter.subject.pushes.as_slice()), (1, [Seq(1)].as_slice()));
    assert!(letter.hint.contains("push it again"), "{}", letter.hint);
}

#[test]
fn a_record_that_several_items_lead_to_has_the_data_of_all_or_is_looked_up() {
    let data = |n: u32| Some(vec![json!({ "n": n })]);
    let target = |id: &str| row(json!({ "Id": "a00000000000001", "K": id, "Account__c": A }));
    for (second, expected) in [(data(2), Some(vec![json!({ "n": 1 }), json!({ "n": 2 })])), (None, None)] {
        let items = PushItems::ExternalIds(vec!["a".into(), "b".into()]);
        let PushWindow { items, .. } = window(&[waiting(4, items, vec![data(1), second])], &place(0, 0), 9);
        let rows = [target("a"), target("b")];
        let by = by_external_id(&items, &rows, ("K", "Account__c"), Identity::default());
        assert_eq!(found(&by), [(A, vec![4])], "one record, counted once");
        assert_eq!(by[A].1.data.clone().map(|data| data.data), expected);
    }
}

#[test]
fn an_item_with_a_key_that_the_sync_lacks_is_not_asked_about_by_the_others() {
    let org = org();
    let all = [keys(1, json!([{ "domain": "acme.com", "country": "DE" }, { "country": "DE" }]))];
    let PushWindow { items, .. } = window(&all, &place(0, 0), 9);
    for one in &items {
        assert_eq!(field_of(&org.syncs[0].mapping, &one.item), None, "{}", one.item.name());
    }
}

#[test]
fn data_that_has_no_room_in_a_step_is_looked_up() {
    let long = json!("x".repeat(REQUEST_BYTES_MAX / 4));
    let all = [waiting(1, PushItems::ExternalIds(vec!["a".into()]), vec![Some(vec![long])])];
    let PushWindow { items, .. } = window(&all, &place(0, 0), 9);
    let target =
        |n: u32| row(json!({ "Id": "a00000000000001", "K": "a", "Account__c": format!("001{n:012}AAA") }));
    let rows: Vec<Row> = (0..2_000).map(target).collect();
    let found = by_external_id(&items, &rows, ("K", "Account__c"), Identity::default());
    let brought = found.values().filter(|(_, pushed)| pushed.data.is_some()).count();
    assert_eq!((found.len(), brought), (2_000, 3), "all are found, and few bring what was pushed");
}
