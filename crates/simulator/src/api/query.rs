//! `GET /query` and its further pages.
//!
//! Here: pages and their size. Not here: SOQL itself (`soql`).

use serde_json::{Value, json};

use super::call::Call;
use crate::answer::Answer;
use crate::data::Schema;
use crate::org::OrgState;
use crate::org::cursors::Page;
use crate::soql::{self, Plan};

/// Source: REST guide "Query Options Header".
const PAGE_MIN: usize = 200;
const PAGE_MAX: usize = 2_000;

pub(crate) fn first(
    state: &mut OrgState,
    seen: &Schema,
    call: &Call,
    user: &str,
    with_deleted: bool,
) -> Answer {
    let Some(text) = call.parameter("q") else {
        return Answer::error(400, "MALFORMED_QUERY", "A query string has to be specified");
    };
    let base = call.base();
    let plan = match soql::plan(seen, text) {
        Ok(plan) => Plan { with_deleted, ..plan },
        Err(error) => return Answer::soql(&error),
    };
    let found = soql::find(&state.tables, &plan, &base);
    if plan.count_only {
        return Answer::json(200, &json!({"totalSize": found.total, "done": true, "records": []}));
    }
    let id = state.tables.new_id("0r8");
    let page = state.cursors.open(id, user, page_size(&call.query_options), found.records);
    show(page, &base)
}

pub(crate) fn next(state: &mut OrgState, call: &Call, locator: &str, user: &str) -> Answer {
    match state.cursors.page(locator, user) {
        Some(page) => show(page, &call.base()),
        None => Answer::error(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
    }
}

/// From `Sforce-Query-Options: batchSize=N`.
fn page_size(options: &str) -> usize {
    let size = options
        .split([',', ';'])
        .find_map(|option| option.trim().strip_prefix("batchSize=")?.trim().parse().ok());
    size.unwrap_or(PAGE_MAX).clamp(PAGE_MIN, PAGE_MAX)
}

fn show(page: Page, base: &str) -> Answer {
    let mut body = json!({"totalSize": page.total, "done": page.next.is_none()});
    if let Some(next) = page.next {
        body["nextRecordsUrl"] = json!(format!("{base}/query/{next}"));
    }
    body["records"] = Value::from(page.records);
    Answer::json(200, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_sizes_are_held_to_what_salesforce_allows() {
        for (options, size) in [
            ("", 2_000),
            ("batchSize=200", 200),
            ("batchSize=5", 200),
            ("batchSize=9999", 2_000),
            ("x", 2_000),
        ] {
            assert_eq!(page_size(options), size, "{options}");
        }
    }
}
