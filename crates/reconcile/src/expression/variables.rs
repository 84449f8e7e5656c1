//! The names under which an expression finds what it may take.

/// The customer's record: the fields that the expression names.
pub(super) const RECORD: &str = "record";
/// One object of what the vendor answered.
pub(super) const ANSWER: &str = "answer";
/// The org's name in the settings.
pub(super) const ORG: &str = "org";
/// The time of the decision.
pub(super) const NOW: &str = "now";
pub(super) const VARIABLES: [&str; 4] = [RECORD, ANSWER, ORG, NOW];
