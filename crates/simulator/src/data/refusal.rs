//! Why one record was not written.
//!
//! Here: the error of a record, in Salesforce's codes and words, and what a test sees of it.
//! Not here: errors of a whole request (`api/`).

use std::{borrow::Cow, fmt};

/// One record's error. Its text may hold the record's value, as Salesforce's does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `STRING_TOO_LONG`, …: `errorCode` in one answer, `statusCode` in another.
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) fields: Vec<String>,
    /// Set if the value was not of the field's type: REST refuses the whole request, Bulk only the row.
    pub(crate) wrong_type: Option<Box<WrongType>>,
    /// What is wrong with the record besides.
    pub(crate) further: Vec<Refusal>,
}

/// A value that is no value of the field's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrongType {
    /// XML Schema's name of the type: `double`, `date`, …
    pub(crate) expected: &'static str,
    pub(crate) value: String,
}

impl Refusal {
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            fields: Vec::new(),
            wrong_type: None,
            further: Vec::new(),
        }
    }

    pub(crate) fn on(mut self, field: &str) -> Self {
        self.fields.push(field.to_owned());
        self
    }

    /// A JSON value of a wrong type, in the words of Salesforce's JSON reader.
    pub(crate) fn wrong_type(expected: &'static str, token: &str, value: &str) -> Self {
        let message = format!(
            "Cannot deserialize instance of {expected} from {token} value {value} or request may be missing a \
             required field at [line:1, column:1]"
        );
        let wrong_type = Some(Box::new(WrongType { expected, value: value.to_owned() }));
        Self {
            code: "JSON_PARSER_ERROR".into(),
            message,
            fields: Vec::new(),
            wrong_type,
            further: Vec::new(),
        }
    }

    pub(crate) fn no_column(field: &str, object: &str) -> Self {
        Self::new("INVALID_FIELD", format!("No such column '{field}' on sobject of type {object}"))
    }

    pub(crate) fn no_object(object: &str) -> Self {
        Self::new("INVALID_TYPE", format!("sObject type '{object}' is not supported."))
    }
}

/// Why a test's own write was refused: Salesforce's code and message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct WriteError {
    /// Salesforce's error code, such as `STRING_TOO_LONG`.
    pub code: String,
    /// Salesforce's message.
    pub message: String,
}

impl From<Refusal> for WriteError {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code.into_owned(), message: refusal.message }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.code, self.message)
    }
}
