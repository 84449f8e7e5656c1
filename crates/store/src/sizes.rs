//! What is too large to be stored.
//!
//! Here: one check per call, made before anything else. Not here: how much may wait (`append.rs`).

use crate::{
    commands::{
        Append, BODY_BYTES_MAX, FINGERPRINT_BYTES_MAX, HISTORY_VALUE_BYTES_MAX, NAME_BYTES_MAX, NewDead,
        Push, REGISTRY_VALUE_BYTES_MAX, RegistryWrite, Settle, Subject, TEXT_BYTES_MAX, TRAIL_BYTES_MAX,
    },
    error::StoreError,
    seq::Seq,
};

const _: () = assert!(NAME_BYTES_MAX < u16::MAX as usize);
const _: () = assert!(2 * BODY_BYTES_MAX + 4 * (NAME_BYTES_MAX + TEXT_BYTES_MAX) < u32::MAX as usize);
/// Bytes of a subject beside its record, trail and pushes, at most.
const SUBJECT_BYTES_MAX: usize = 32;
/// Bytes of a number, at most.
const NUMBER_BYTES_MAX: usize = 10;

/// An org's name.
pub(crate) fn org(org: &str) -> Result<(), StoreError> {
    at_most(org, "name of an org", org.len(), NAME_BYTES_MAX)
}

/// The name of a position, target, key or job.
pub(crate) fn name(org: &str, what: &'static str, name: &str) -> Result<(), StoreError> {
    at_most(org, what, name.len(), NAME_BYTES_MAX)
}

/// A body.
pub(crate) fn body(org: &str, body: &[u8]) -> Result<(), StoreError> {
    body_bytes(org, body.len())
}

/// The same by its size.
pub(crate) fn body_bytes(org: &str, bytes: usize) -> Result<(), StoreError> {
    at_most(org, "body", bytes, BODY_BYTES_MAX)
}

/// A text for operators that has been cut already.
pub(crate) fn text(org: &str, text: &str) -> Result<(), StoreError> {
    at_most(org, "text", text.len(), TEXT_BYTES_MAX)
}

/// The errors of a letter.
pub(crate) fn letter_errors(org: &str, errors: usize, errors_max: usize) -> Result<(), StoreError> {
    at_most(org, "list of errors", errors, errors_max)
}

/// What led to a record's end.
pub(crate) fn trail_bytes(org: &str, bytes: usize) -> Result<(), StoreError> {
    at_most(org, "trail", bytes, TRAIL_BYTES_MAX)
}

/// What is remembered of a record.
pub(crate) fn fingerprint(org: &str, bytes: &[u8]) -> Result<(), StoreError> {
    at_most(org, "fingerprint", bytes.len(), FINGERPRINT_BYTES_MAX)
}

/// The list of a job's changes.
pub(crate) fn changes(org: &str, changes: &[Seq]) -> Result<(), StoreError> {
    at_most(org, "list of changes", size_of_val(changes), BODY_BYTES_MAX)
}

/// Everything in an append.
pub(crate) fn append(org: &str, append: &Append) -> Result<(), StoreError> {
    positions(org, &append.positions)?;
    append.ended_positions.iter().try_for_each(|position| name(org, "name of a position", position))?;
    append.requests.iter().try_for_each(|request| body(org, &request.body))?;
    dead(org, &append.dead)
}

/// Positions that are set.
pub(crate) fn positions(org: &str, positions: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
    positions.iter().try_for_each(|(position, value)| {
        name(org, "name of a position", position)?;
        body(org, value)
    })
}

/// Everything in a settle.
pub(crate) fn settle(org: &str, settle: &Settle) -> Result<(), StoreError> {
    for change in &settle.changes {
        name(org, "name of a target", &change.target)?;
        name(org, "key of a change", &change.key)?;
        body(org, &change.body)?;
        subjects(org, &change.subjects)?;
    }
    for one in &settle.fingerprints {
        name(org, "name of a target", &one.target)?;
        name(org, "key of a record", &one.key)?;
        fingerprint(org, &one.bytes)?;
    }
    subjects(org, &settle.unchanged)?;
    subjects(org, &settle.no_data)?;
    dead(org, &settle.dead)
}

/// A push, which belongs to no org.
pub(crate) fn push(push: &Push) -> Result<(), StoreError> {
    body("", &push.head)?;
    body("", &push.body)
}

/// A value of the history, with its name.
pub(crate) fn history(name: &str, value: &[u8]) -> Result<(), StoreError> {
    at_most(name, "name of a value of the history", name.len(), NAME_BYTES_MAX)?;
    at_most(name, "value of the history", value.len(), HISTORY_VALUE_BYTES_MAX)
}

/// A value of the registry, with its kind and name.
pub(crate) fn registry(write: &RegistryWrite) -> Result<(), StoreError> {
    let RegistryWrite { kind, name, value } = write;
    registered(kind, name, value.as_ref().map_or(0, Vec::len))
}

/// The same by the value's size.
pub(crate) fn registered(kind: &str, name: &str, bytes: usize) -> Result<(), StoreError> {
    let sizes = [
        ("kind", kind.len(), NAME_BYTES_MAX),
        ("name", name.len(), NAME_BYTES_MAX),
        ("value", bytes, REGISTRY_VALUE_BYTES_MAX),
    ];
    match sizes.into_iter().find(|(_, bytes, bytes_max)| bytes > bytes_max) {
        Some((what, bytes, bytes_max)) => Err(StoreError::RegistryValue { what, bytes, bytes_max }),
        None => Ok(()),
    }
}

/// A text for operators, cut to what is kept of it.
pub(crate) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

fn dead(org: &str, dead: &[NewDead]) -> Result<(), StoreError> {
    dead.iter().try_for_each(|letter| {
        name(org, "name of a sync", &letter.sync)?;
        subjects(org, std::slice::from_ref(&letter.subject))?;
        body(org, &letter.body)
    })
}

/// The subjects of one end or change; together they fit in an entry.
fn subjects(org: &str, subjects: &[Subject]) -> Result<(), StoreError> {
    for subject in subjects {
        name(org, "name of a record", &subject.record)?;
        trail_bytes(org, subject.trail.len())?;
    }
    let bytes = subjects.iter().map(|Subject { record, trail, pushes, .. }| {
        record.len() + trail.len() + NUMBER_BYTES_MAX * pushes.len() + SUBJECT_BYTES_MAX
    });
    at_most(org, "list of subjects", bytes.sum(), BODY_BYTES_MAX)
}

fn at_most(org: &str, what: &'static str, bytes: usize, bytes_max: usize) -> Result<(), StoreError> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(StoreError::TooLarge { org: org.chars().take(64).collect(), what, bytes, bytes_max })
}
