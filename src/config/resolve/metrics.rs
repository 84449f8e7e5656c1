//! How much the metrics tell.
//!
//! Here: `metrics` of the service. Not here: the metrics (`src/admin/metrics.rs`).

use crate::config::{
    contents::{MetricsSettings, PerOrg},
    report::Report,
    tables::MetricsTable,
};

/// Orgs with metrics of their own unless the file says otherwise: some 60,000 numbers at a scrape.
const ORGS_MAX: u32 = 1_000;

/// All of it.
pub(super) fn resolve(table: Option<&MetricsTable<'_>>, report: &mut Report<'_>) -> Option<MetricsSettings> {
    let orgs_max = table.and_then(|table| table.orgs_max.as_ref()).map_or(ORGS_MAX, |written| written.value);
    let Some((table, written)) = table.and_then(|table| Some((table, table.per_org.as_ref()?))) else {
        return Some(MetricsSettings { per_org: PerOrg::All, orgs_max });
    };
    let per_org = match written.value.as_str() {
        "all" => PerOrg::All,
        "trouble" => PerOrg::Trouble,
        "none" => PerOrg::None,
        other => {
            let message = format!("is `{other}`, which is not known");
            let hint = "Write \"all\", \"trouble\" or \"none\".";
            table.section.problem(report, written.line, "per_org", &message, hint);
            return None;
        }
    };
    Some(MetricsSettings { per_org, orgs_max })
}
