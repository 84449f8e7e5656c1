//! The statement by which the records of keys are asked for. Pure.
//!
//! Here: how many items have room in one, which fields are read, and why an item is not asked about. Not here: asking (`push`), merging items (`push_plan`).

use orgpipe_reconcile::{Mapping, RecordProblem};
use orgpipe_salesforce::{limits::QUERY_URL_BYTES_MAX, soql::Select};

use super::{
    pages,
    push_plan::{self, Item, PushWindow, PushedItem, WaitingPush},
};
use crate::push::PushPlace;

/// As long as any ID: a statement that has room with it has room for the pages behind the first, too.
const ANY_ID: &str = "000000000000000AAA";

/// The items behind a place that are asked for by one field, and the page of records that have them: as many as have room in a
/// URL, at most so many. No statement: the mapping, as far as it can be read, lacks a key of each of them.
pub(super) fn by_key_field(
    mapping: &Mapping,
    waiting: &[WaitingPush],
    from: &PushPlace,
    mut items_max: usize,
) -> (PushWindow, Option<Select>) {
    loop {
        let window = by_one_field(mapping, waiting, from, items_max);
        let asked: Vec<(&str, String)> =
            window.items.iter().filter_map(|one| push_plan::field_of(mapping, &one.item)).collect();
        let Some((field, _)) = asked.first() else { return (window, None) };
        let literals: Vec<String> = asked.iter().map(|(_, literal)| literal.clone()).collect();
        let bare = Select::from(mapping.object()).where_among(field, &literals);
        let bare = bare.order_by("Id").limit(pages::PAGE).fields(["Id"]);
        let bare = bare.fields(mapping.keys().iter().map(|(_, field)| field.clone()));
        let whole = bare.clone().fields(mapping.read_fields());
        let behind = from.within.as_ref().map(|within| within.after.as_str());
        let has_room =
            |select: &Select| select.clone().and_gt("Id", behind.unwrap_or(ANY_ID)).fits(QUERY_URL_BYTES_MAX);
        let page = |select: Select| match behind {
            Some(after) => select.and_gt("Id", after),
            None => select,
        };
        if has_room(&whole) {
            return (window, Some(page(whole)));
        }
        // Rows that lack something are read once more when they are looked up.
        if has_room(&bare) || window.items.len() == 1 || behind.is_some() {
            return (window, Some(page(bare)));
        }
        items_max = window.items.len() / 2;
    }
}

/// The items behind a place that are asked for by one field, with values of one type.
fn by_one_field(
    mapping: &Mapping,
    waiting: &[WaitingPush],
    from: &PushPlace,
    items_max: usize,
) -> PushWindow {
    let window = push_plan::window(waiting, from, items_max);
    let alike = |one: &PushedItem| {
        push_plan::field_of(mapping, &one.item).map(|(field, literal)| {
            let (is_text, is_number) = (literal.starts_with('\''), literal.parse::<f64>().is_ok());
            (field, is_text, is_number)
        })
    };
    let first = window.items.first().and_then(alike);
    let same = window.items.iter().take_while(|one| alike(one) == first).count();
    if same == window.items.len() { window } else { push_plan::window(waiting, from, same) }
}

/// Why nothing is asked about an item, if the mapping as far as it can be `read` lacks one of its keys.
pub(super) fn missing_key(mapping: &Mapping, read: &Mapping, item: &Item) -> RecordProblem {
    let missing = match item {
        Item::Keys(keys) => keys.keys().find(|key| !read.keys().iter().any(|(known, _)| known == *key)),
        Item::ExternalId(_) | Item::RecordId(_) => None,
    };
    let key = missing.map(String::as_str).unwrap_or_default();
    let object = mapping.object();
    if let Some((_, field)) = mapping.keys().iter().find(|(known, _)| known == key) {
        let message = format!("{object} has no such field, or the integration user may not read it");
        let hint =
            format!("Let the integration user read `{field}` of {object}, or take it out of the sync.");
        RecordProblem::new(field, message, hint)
    } else {
        let hint = "Name the keys that the sync has now.";
        RecordProblem::new(key, "the sync has no such key any more", hint)
    }
}

/// Why nothing is asked about external IDs, if no field of the target leads to the record that one hangs on.
pub(super) fn no_lookup(mapping: &Mapping) -> RecordProblem {
    let message = format!("the sync writes `$Id` to no field of {} any more", mapping.target());
    RecordProblem::new(mapping.key_field(), message, "Name the records by the keys of the sync.")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use orgpipe_store::{Seq, UnixMs};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        push::{PushBody, PushHead, PushItems, PushKind, PushPart},
        settings::tests::org,
    };

    fn keys(value: Value) -> Vec<WaitingPush> {
        let items: PushItems = PushItems::Keys(serde_json::from_value(value).expect("keys"));
        let head = PushHead {
            v: 1,
            sync: "accounts".into(),
            kind: PushKind::Keys,
            items: items.len(),
            orgs: vec!["acme".into()],
            at_ms: UnixMs(1),
            idempotency_key: None,
            digest: String::new(),
        };
        vec![(Seq(1), Arc::new(head), Arc::new(PushBody { items, data: Vec::new() }))]
    }

    #[test]
    fn values_of_one_type_are_asked_for_together_and_what_lacks_a_key_is_told_by_itself() {
        let org = org();
        let mapping = &org.syncs[0].mapping;
        for (first, second, together) in [
            (json!({ "domain": "a" }), json!({ "domain": "b" }), 2),
            (json!({ "domain": "a" }), json!({ "domain": 7 }), 1),
            (json!({ "domain": 7 }), json!({ "domain": 8.5 }), 2),
            (json!({ "domain": 7 }), json!({ "domain": true }), 1),
            (json!({ "domain": "a" }), json!({ "domain": "a", "country": "DE" }), 1),
        ] {
            let waiting = keys(json!([first, second]));
            let (window, select) = by_key_field(mapping, &waiting, &PushPlace::default(), 9);
            assert_eq!((window.items.len(), select.is_some()), (together, true), "{first} {second}");
        }
        let waiting = keys(json!([{ "country": "DE" }, { "domain": "a" }]));
        let (window, select) = by_key_field(mapping, &waiting, &PushPlace::default(), 9);
        assert_eq!((window.items.len(), window.place.item, select.is_some()), (1, 1, false));
        let problem = missing_key(mapping, mapping, &window.items[0].item);
        assert!(problem.to_string().contains("no such key any more"), "{problem}");
    }

    #[test]
    fn a_statement_that_has_room_has_it_for_the_pages_behind_the_first_too() {
        let org = org();
        let mapping = &org.syncs[0].mapping;
        for chars in 400..=440 {
            let items: Vec<Value> = (0..100).map(|n| json!({ "domain": format!("{n:0chars$}") })).collect();
            let waiting = keys(json!(items));
            let from = PushPlace::default();
            let (first, _) = by_key_field(mapping, &waiting, &from, 100);
            let part = PushPart { items: first.items.len(), last: Seq(1), after: ANY_ID.to_owned() };
            let within = PushPlace { within: Some(part), ..from };
            let (window, select) = by_key_field(mapping, &waiting, &within, first.items.len());
            assert_eq!(window.items.len(), first.items.len(), "{chars}");
            assert!(select.is_some_and(|select| select.fits(QUERY_URL_BYTES_MAX)), "{chars}");
        }
    }
}
