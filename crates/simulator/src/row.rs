//! The form in which records travel through the simulator.
//!
//! Here: the type alone. Not here: which fields a record has (`data/object`) and what they hold (`data/value`).

/// One record: field names to values, as in Salesforce's JSON.
pub type Row = serde_json::Map<String, serde_json::Value>;
