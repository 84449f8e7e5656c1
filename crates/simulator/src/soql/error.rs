//! What Salesforce answers to a query it does not take.
//!
//! Here: code and text, with the place marked as Salesforce marks it. Not here: HTTP.

/// Characters of the query shown before and after the place.
const BEFORE: usize = 30;
const AFTER: usize = 30;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SoqlError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl SoqlError {
    pub(crate) fn malformed(message: &str) -> Self {
        Self { code: "MALFORMED_QUERY", message: message.to_owned() }
    }

    /// With the query around byte `at`, a caret under it, and the column.
    pub(crate) fn at(code: &'static str, text: &str, at: usize, message: &str) -> Self {
        let before: Vec<char> = text[..at].chars().map(flat).collect();
        let after: String = text[at..].chars().take(AFTER).map(flat).collect();
        let shown = before.len().min(BEFORE);
        let head: String = before[before.len() - shown..].iter().collect();
        let message = format!(
            "\n{head}{after}\n{caret:>width$}\nERROR at Row:1:Column:{column}\n{message}",
            caret = '^',
            width = shown + 1,
            column = before.len() + 1,
        );
        Self { code, message }
    }
}

fn flat(letter: char) -> char {
    if letter.is_whitespace() { ' ' } else { letter }
}
