//! What is wrong with a record, one thing after the other, and what is mended.
//!
//! Here: plain data, and how much of it is kept. Not here: the letter that it stands in (`dead_letter.rs`).

/// Errors kept of a letter.
pub const LETTER_ERRORS_MAX: usize = 20;
/// Fields named by one error.
pub(crate) const ERROR_FIELDS_MAX: usize = 50;
/// Bytes of a field's name or a code in an error.
pub(crate) const ERROR_NAME_BYTES_MAX: usize = 255;
/// Bytes of an error's text.
pub(crate) const ERROR_TEXT_BYTES_MAX: usize = 1_000;

/// One thing that is wrong with a record, as whoever refused it said. Without the record's values: whoever gives it here has
/// taken them out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterError {
    /// The code of whoever refused it; empty if it was refused by ourselves.
    pub code: String,
    /// Its text.
    pub message: String,
    /// The fields that it blames.
    pub fields: Vec<String>,
}

impl LetterError {
    /// As much of it as is kept.
    pub(crate) fn bounded(self) -> Self {
        let Self { code, message, mut fields } = self;
        fields.truncate(ERROR_FIELDS_MAX);
        let fields = fields.into_iter().map(|field| beginning(field, ERROR_NAME_BYTES_MAX)).collect();
        Self {
            code: beginning(code, ERROR_NAME_BYTES_MAX),
            message: beginning(message, ERROR_TEXT_BYTES_MAX),
            fields,
        }
    }
}

/// As many of them as are kept.
pub(crate) fn bounded(errors: Vec<LetterError>) -> Vec<LetterError> {
    errors.into_iter().take(LETTER_ERRORS_MAX).map(LetterError::bounded).collect()
}

fn beginning(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

/// What is as its sync wants it, so that letters about it are needed no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// The sync.
    pub sync: String,
    /// The record that it was asked for.
    pub record: String,
    /// The record of the target, by target and key; none if nothing is to be written for `record` at all, so that all of its
    /// letters go.
    pub key: Option<(String, String)>,
}
