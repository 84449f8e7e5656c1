//! The orgs there are, by name.
//!
//! Here: the list, written by the supervisor and read by whoever asks. Not here: which of them run (`supervisor`).

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::org::context::OrgContext;

/// The orgs there are, by name: written by the supervisor, read by whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Directory(RwLock<BTreeMap<String, Arc<OrgContext>>>);

impl Directory {
    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<OrgContext>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// One of them.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<OrgContext>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// It is there from now on, in the place of the one of that name.
    pub(crate) fn put(&self, org: Arc<OrgContext>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(org.id().to_owned(), org);
    }

    /// It is not there any more.
    pub(crate) fn remove(&self, id: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
