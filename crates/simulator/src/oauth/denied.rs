//! The refusal of a login.
//!
//! Here: the type alone. Not here: what is refused (`jwt` for assertions, the parent module for the rest).

/// Why no token is given: `error` and `error_description`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denied(pub(crate) &'static str, pub(crate) &'static str);
