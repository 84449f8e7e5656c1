//! The statement by which the records of keys are asked for. Pure.
//!
//! Here: how many items have room in one, and which fields are read. Not here: asking (`push`), merging items (`push_plan`).

use orgpipe_reconcile::Mapping;
use orgpipe_salesforce::{limits::QUERY_URL_BYTES_MAX, soql::Select};

use super::{
    pages,
    push_plan::{self, PushWindow, PushedItem, WaitingPush},
};
use crate::push::PushPlace;

/// The items behind a place that are asked for by one field, and the page of records that have them: as many as have room in a
/// URL, at most so many. No statement: the mapping has none of their keys.
pub(super) fn by_key_field(
    mapping: &Mapping,
    read: &Mapping,
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
        let select = Select::from(mapping.object()).where_among(field, &literals);
        let select = match &from.within {
            Some(within) => select.and_gt("Id", &within.after),
            None => select,
        };
        let select = select.order_by("Id").limit(pages::PAGE).fields(["Id"]);
        let select = select.fields(mapping.keys().iter().map(|(_, field)| field.clone()));
        let whole = select.clone().fields(read.read_fields());
        if whole.fits(QUERY_URL_BYTES_MAX) {
            return (window, Some(whole));
        }
        // Rows that lack something are read once more when they are looked up.
        if select.fits(QUERY_URL_BYTES_MAX) || window.items.len() == 1 || from.within.is_some() {
            return (window, Some(select));
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
        push_plan::field_of(mapping, &one.item).map(|(field, literal)| (field, literal.starts_with('\'')))
    };
    let first = window.items.first().and_then(alike);
    let same = window.items.iter().take_while(|one| alike(one) == first).count();
    if same == window.items.len() { window } else { push_plan::window(waiting, from, same) }
}
