//! Which API a number of writes takes.

use super::*;

#[test]
fn the_count_decides_the_lane() {
    let cases = [
        (0, 10, WriteLane::One, 0),
        (1, 10, WriteLane::One, 1),
        (1, 1, WriteLane::One, 1),
        (2, 10, WriteLane::Collections, 1),
        (9, 10, WriteLane::Collections, 1),
        (10, 10, WriteLane::Bulk, 8),
        (500, 10, WriteLane::Bulk, 8),
        (2, 1, WriteLane::Bulk, 8),
        (999, 1_000, WriteLane::Collections, 5),
    ];
    for (count, bulk_from, lane, cost) in cases {
        assert_eq!(route(count, bulk_from, Strategy::Count), lane, "{count} from {bulk_from}");
        assert_eq!(calls(count, bulk_from, Strategy::Count), cost, "{count} from {bulk_from}");
    }
}

#[test]
fn by_cost_a_job_is_opened_only_where_collections_take_as_many_calls() {
    let cases = [
        (1, WriteLane::One, 1),
        (10, WriteLane::Collections, 1),
        (201, WriteLane::Collections, 2),
        (1_400, WriteLane::Collections, 7),
        (1_401, WriteLane::Bulk, 8),
        (10_000, WriteLane::Bulk, 8),
    ];
    for (count, lane, cost) in cases {
        assert_eq!(route(count, 10, Strategy::Cost), lane, "{count}");
        assert_eq!(calls(count, 10, Strategy::Cost), cost, "{count}");
    }
}
