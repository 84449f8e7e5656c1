//! Values that the org keeps in another form than they were sent in: they differ, and are not written again.
//!
//! Here: what is remembered of the records of a batch, and what follows for the fields that differ. Not here: when a value
//! counts as kept (`fingerprint`), what else is compared (`verdict`).
//!
//! Read is only what is remembered of records that are there and differ, once for a batch: most batches read nothing.

use std::collections::BTreeMap;

use orgpipe_reconcile::Row;
use orgpipe_store as store;

use crate::{
    audit_trail::Hasher,
    fingerprint::{Fingerprint, RecordLook},
    org::{context::OrgContext, step_error::StepError},
};

/// What is remembered of records of a batch.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// The ID of our own user.
    user: String,
    by_key: BTreeMap<String, Fingerprint>,
}

/// What is remembered of one.
#[derive(Debug)]
pub(super) struct RememberedOne<'a> {
    user: &'a str,
    fingerprint: Option<&'a Fingerprint>,
}

/// What came of a look at a record.
#[derive(Debug, Default)]
pub(super) struct OwnForm {
    /// Fields that the org keeps in a form of its own, unchanged since.
    pub fields: Vec<String>,
    /// What is known of the record now.
    pub fingerprint: Fingerprint,
    /// It is more than is stored, or less.
    is_news: bool,
}

impl Remembered {
    /// Reads what is remembered of these records, by key.
    pub(super) async fn read(org: &OrgContext, target: &str, keys: Vec<String>) -> Result<Self, StepError> {
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let by_key = org.store.fingerprints(target, keys).await?;
        if by_key.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self { user: org.api.session(None).await?.token.user_id, by_key })
    }

    /// What is remembered of the record with this key.
    pub(super) fn of(&self, key: &str) -> RememberedOne<'_> {
        RememberedOne { user: &self.user, fingerprint: self.by_key.get(key) }
    }
}

impl RememberedOne<'_> {
    /// Takes out of the differing fields of a record those that the org only keeps in a form of its own.
    pub(super) fn take(&self, hasher: &Hasher, row: &Row, differing: &mut Row) -> OwnForm {
        let Some(before) = self.fingerprint else { return OwnForm::default() };
        let look = RecordLook { hasher, user: self.user, row };
        let fingerprint = before.clone().looked(look);
        let mut fields = Vec::new();
        differing.retain(|name, value| {
            let kept = fingerprint.keeps(look, name, value);
            if kept {
                fields.push(name.clone());
            }
            !kept
        });
        OwnForm { fields, is_news: fingerprint != *before, fingerprint }
    }
}

impl OwnForm {
    /// What is to be stored where no change of the record follows, which would store it.
    pub(super) fn news(&self, target: &str, key: &str) -> Option<store::Fingerprint> {
        let (target, key, bytes) = (target.to_owned(), key.to_owned(), self.fingerprint.bytes());
        self.is_news.then_some(store::Fingerprint { target, key, bytes })
    }
}
