//! How the demo looks: a table, a line, a summary. Pure.
//!
//! Here: from the service's view to text. Not here: what happens in the demo (`demo`).

use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Table, TableComponent, presets};
use orgpipe_actors::OrgView;

use crate::admin::names;

/// Orgs in the table; it must fit on a screen.
const ROWS_MAX: usize = 16;

/// The first orgs, with the sum of all below.
pub(super) fn table(orgs: &[OrgView]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_style(TableComponent::HeaderLines, '─').set_header([
        "org",
        "state",
        "records in",
        "written",
        "unchanged",
        "no data",
        "superseded",
        "dead letters",
        "open",
        "lag",
        "API calls",
    ]);
    for org in orgs.iter().take(ROWS_MAX) {
        let lag = org.status.last_lag_ms.map(|millis| format!("{millis} ms")).unwrap_or_default();
        let mut row = vec![org.id.clone(), names::state(org.state).to_owned()];
        row.extend(numbers(org).map(|number| number.to_string()));
        row.extend([lag, org.status.calls.to_string()]);
        table.add_row(aligned(row));
    }
    if orgs.len() > ROWS_MAX {
        table.add_row([format!("… {} more", orgs.len() - ROWS_MAX)]);
    }
    let mut row = vec!["all".to_owned(), String::new()];
    row.extend(sum(orgs).map(|number| number.to_string()));
    row.extend([String::new(), orgs.iter().map(|org| org.status.calls).sum::<u64>().to_string()]);
    table.add_row(aligned(row));
    let troubles = orgs.iter().take(ROWS_MAX).filter_map(|org| {
        let (part, why) = org.status.trouble()?;
        Some(format!("\n{}, {}: {}", org.id, names::part(part), why.note))
    });
    format!("{table}{}", troubles.collect::<String>())
}

/// One line for a log.
pub(super) fn line(since: Duration, orgs: &[OrgView]) -> String {
    let [records_in, written, unchanged, no_data, superseded, dead, open] = sum(orgs);
    format!(
        "{:>4} s  in {records_in} = written {written} + unchanged {unchanged} + no data {no_data} + superseded \
         {superseded} + dead letters {dead} + open {open}",
        since.as_secs()
    )
}

/// The last word: the numbers, and that they add up.
pub(super) fn summary(orgs: &[OrgView]) -> String {
    let [records_in, written, unchanged, no_data, superseded, dead, open] = sum(orgs);
    let ends = written + unchanged + no_data + superseded + dead + open;
    let sign = if records_in == ends { "=" } else { "≠" };
    let calls: u64 = orgs.iter().map(|org| org.status.calls).sum();
    format!(
        "records in      {records_in:>8}\n\
         written         {written:>8}\n\
         unchanged       {unchanged:>8}\n\
         no data         {no_data:>8}\n\
         superseded      {superseded:>8}\n\
         dead letters    {dead:>8}\n\
         open            {open:>8}\n\
         {records_in} in {sign} {ends} accounted for; {calls} API calls"
    )
}

fn aligned(row: Vec<String>) -> Vec<Cell> {
    let align = |place| if place < 2 { CellAlignment::Left } else { CellAlignment::Right };
    row.into_iter().enumerate().map(|(place, text)| Cell::new(text).set_alignment(align(place))).collect()
}

fn numbers(org: &OrgView) -> [u64; 7] {
    let records = org.records.unwrap_or_default();
    [
        records.records_in,
        records.written,
        records.unchanged,
        records.no_data,
        records.superseded,
        records.dead_letters,
        records.open,
    ]
}

fn sum(orgs: &[OrgView]) -> [u64; 7] {
    orgs.iter().map(numbers).fold([0; 7], |mut sum, numbers| {
        for (sum, number) in sum.iter_mut().zip(numbers) {
            *sum += number;
        }
        sum
    })
}
