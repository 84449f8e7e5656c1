//! What is said of an expression that cannot work, and of one that did not work for a record.
//!
//! Here: the values. Not here: what is wrong with which (`expression`, `term`, `types`, `convert`).

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Flaw {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// Why an expression has no value for a record. Never holds a value of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>, hint: &str) -> Self {
        Self { message: message.into(), hint: hint.to_owned() }
    }
}
