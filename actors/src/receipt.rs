//! A gap in the events, and the receipt for it: which records were checked, and what came of it.
//!
//! Here: the reasons and the receipt as they are stored, posted and shown. Not here: how a gap is read again
//! (`capture/gap_recovery.rs`), posting (`vendor/webhook.rs`).

use orgpipe_store::UnixMs;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::time;

/// Why events may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// Salesforce does not know the replay ID any more: it expired, or the org was moved.
    ReplayRefused,
    /// The login leads to another org than before: a copy, or a refreshed sandbox.
    OrgChanged,
    /// Nothing was heard for longer than Salesforce keeps events.
    #[serde(rename = "dark")]
    PastRetention,
    /// The events that came do not follow the last one: their times or replay IDs jump.
    ReplayBroken,
    /// Salesforce says that more changed than change events can tell.
    Overflow,
}

impl GapReason {
    /// As a clause.
    pub fn text(self) -> &'static str {
        match self {
            Self::ReplayRefused => "Salesforce no longer knows the replay ID",
            Self::OrgChanged => "the login leads to another org than before",
            Self::PastRetention => "nothing was heard for longer than Salesforce keeps events",
            Self::ReplayBroken => "the events' times or replay IDs jump, as after a migration of the org",
            Self::Overflow => "more changed than change events can tell",
        }
    }
}

/// What was done about one gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// Unique name of the gap.
    pub id: String,
    /// Why events may have been missing.
    pub reason: GapReason,
    /// On which channels.
    pub channels: Vec<String>,
    /// Events may be missing from then on by the org's clock; none = from the beginning, so all records were checked.
    pub from_ms: Option<UnixMs>,
    /// Until then, when it was seen, by the same clock; later events were heard.
    pub to_ms: UnixMs,
    /// When the last record was through.
    pub closed_ms: UnixMs,
    /// Records read and compared.
    pub checked: u64,
    /// Of them: the org held the right values already.
    pub unchanged: u64,
    /// Of them: your API knows nothing about it, or it is gone.
    pub no_data: u64,
    /// Of them: written, or a still newer change of the same record was.
    pub changed: u64,
    /// Of them: dead letters.
    pub failed: u64,
    /// API calls made to read and compare; those that wrote are not among them.
    pub calls: u64,
    /// Whether the webhook has it; true if there is none.
    pub posted: bool,
}

impl Receipt {
    /// For the log and the page.
    pub fn sentence(&self) -> String {
        let shown = |unix_ms| time(unix_ms).format("%Y-%m-%d %H:%M:%S").to_string();
        let from = self.from_ms.map_or_else(|| "the beginning".to_owned(), shown);
        format!(
            "gap from {from} to {} UTC closed ({}): {} records checked, {} changed, {} failed, {} API calls to check",
            shown(self.to_ms),
            self.reason.text(),
            self.checked,
            self.changed,
            self.failed,
            self.calls
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_says_in_a_sentence_what_was_done() {
        let receipt = Receipt {
            id: "r".into(),
            reason: GapReason::PastRetention,
            channels: vec!["/event/A__e".into()],
            from_ms: Some(UnixMs(0)),
            to_ms: UnixMs(60_000),
            closed_ms: UnixMs(61_000),
            checked: 1_312,
            unchanged: 1_290,
            no_data: 4,
            changed: 17,
            failed: 1,
            calls: 30,
            posted: false,
        };
        let sentence = receipt.sentence();
        for part in
            ["1970-01-01 00:00:00 to 1970-01-01 00:01:00 UTC", "1312 records checked, 17 changed, 1 failed"]
        {
            assert!(sentence.contains(part), "{sentence}");
        }
        let whole = Receipt { from_ms: None, ..receipt };
        assert!(whole.sentence().contains("from the beginning"));
    }
}
