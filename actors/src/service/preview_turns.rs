//! Which previews may be made: one of an org at a time, and few at all.
//!
//! Here: the rule. Not here: making them (`previews`).

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Previews at a time: each holds the records of its sample, and all that was answered about them.
const AT_ONCE_MAX: usize = 2;

/// Those under way. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct PreviewTurns {
    orgs: Arc<Mutex<BTreeSet<String>>>,
    turns: Arc<Semaphore>,
}

/// A preview under way; over when dropped.
#[derive(Debug)]
pub(super) struct BegunPreview<'t> {
    turns: &'t PreviewTurns,
    org: String,
}

impl Default for PreviewTurns {
    fn default() -> Self {
        Self { orgs: Arc::default(), turns: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }
}

impl PreviewTurns {
    /// Begins one of an org, unless one is under way.
    pub(super) fn begin(&self, org: &str) -> Option<BegunPreview<'_>> {
        let mut orgs = self.orgs.lock().unwrap_or_else(PoisonError::into_inner);
        orgs.insert(org.to_owned()).then(|| BegunPreview { turns: self, org: org.to_owned() })
    }
}

impl BegunPreview<'_> {
    /// Waits until few enough are under way; none is told to wait for ever, as each has its time.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.turns.acquire().await.ok()
    }
}

impl Drop for BegunPreview<'_> {
    fn drop(&mut self) {
        self.turns.orgs.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.org);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_org_has_one_preview_at_a_time() {
        let turns = PreviewTurns::default();
        let first = turns.begin("acme").expect("the first");
        assert!(turns.begin("acme").is_none(), "one is under way");
        let other = turns.begin("globex").expect("another org's");
        drop((first, other));
        assert!(turns.begin("acme").is_some(), "it is over");
    }
}
