//! The refusal of a login.
//!
//! Here: the types alone. Not here: what is refused (`jwt` for assertions, `token` for the rest).

/// Why no token is given: `error` and `error_description`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denied(pub(crate) &'static str, pub(crate) &'static str);

/// A login that failed, as the history has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedLogin {
    pub(crate) denied: Denied,
    /// Whose it was, as far as that is known.
    pub(crate) user: Option<String>,
    /// What the history says of it, if it is not what the client is told.
    pub(crate) status: Option<&'static str>,
}

impl FailedLogin {
    pub(crate) fn of(user: &str, denied: Denied) -> Self {
        Self { denied, user: Some(user.to_owned()), status: None }
    }

    /// `Failed: …`, with the words that the client is told.
    pub(crate) fn status(&self) -> String {
        let Denied(_, text) = self.denied;
        let mut letters = text.chars();
        let told = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        format!("Failed: {}", self.status.map_or(told, str::to_owned))
    }
}

impl From<Denied> for FailedLogin {
    fn from(denied: Denied) -> Self {
        Self { denied, user: None, status: None }
    }
}
