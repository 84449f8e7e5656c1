//! What nobody can guess: the stuff of tokens.
//!
//! Here: the text alone. Not here: what a test may want to repeat, which has a seed (`OrgState::rng`).

/// So many times 32 hexadecimal digits.
pub(crate) fn random_text(parts: usize) -> String {
    (0..parts).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect()
}
