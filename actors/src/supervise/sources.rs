//! Which fields of the syncs' own objects cannot be read in an org: they are left out of what is read, asked and written.
//!
//! ```text
//!          an error blames the schema; describe says: gone               describe says: there again
//! read ───────────────────────────────────────────────────▶ quarantined ───────────────────────────▶ read
//! ```
//!
//! Here: describing an object once it is blamed, and telling about it. Not here: what is left of a mapping
//! (`reconcile::drift`), fields that cannot be written (`schemas`). While nothing is amiss no call is made.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use orgpipe_reconcile::drift::{Reach, Readable, Unfit, reach, remaining};
use orgpipe_salesforce::{error::ErrorClass, failure::CallError, rest::describe};

use super::{
    context::OrgContext,
    schemas::{Quarantined, TRUST_IN_QUARANTINE},
};
use crate::{deliver::budget::Priority, settings::SyncSettings};

/// Objects described for one sync at a time: its own and those that its paths lead over.
const DESCRIBES_MAX: usize = 10;

/// Why a sync's records cannot be read now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceHalt {
    /// Salesforce or the way there.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Nothing is left to ask with, or to match with.
    #[error("sync `{sync}` waits: {unfit}")]
    Unfit {
        /// Its name.
        sync: String,
        /// What is missing.
        unfit: Unfit,
    },
}

impl SourceHalt {
    /// What an operator can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Call(error) => error.hint(),
            Self::Unfit { unfit, .. } => Some(unfit.hint()),
        }
    }
}

/// What is known of the objects that the syncs read. Pure: time is an argument.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// By sync: what it cannot read. One that can read all has no entry.
    unread: BTreeMap<String, Unread>,
    /// Syncs whose reading was refused for the schema, until their object has been described.
    doubted: BTreeSet<String>,
    /// For the operator: each field once.
    pub(super) quarantined: Vec<Quarantined>,
}

#[derive(Debug)]
struct Unread {
    object: String,
    paths: BTreeSet<String>,
    /// When that was found (time since start).
    read: Duration,
}

impl Sources {
    /// An error blames the schema of what the sync reads.
    pub(super) fn doubt(&mut self, sync: &str) {
        self.doubted.insert(sync.to_owned());
    }

    fn is_due(&self, sync: &str, now: Duration) -> bool {
        let aged = |unread: &Unread| now >= unread.read + TRUST_IN_QUARANTINE;
        self.doubted.contains(sync) || self.unread.get(sync).is_some_and(aged)
    }

    fn unread(&self, sync: &str) -> BTreeSet<String> {
        self.unread.get(sync).map(|unread| unread.paths.clone()).unwrap_or_default()
    }

    /// Takes in what a sync cannot read; gives back the fields that are new in quarantine, and those that are back.
    fn take(
        &mut self,
        sync: &str,
        object: &str,
        paths: BTreeSet<String>,
        now: Duration,
        now_ms: u64,
    ) -> (Vec<Quarantined>, Vec<Quarantined>) {
        self.doubted.remove(sync);
        if paths.is_empty() {
            self.unread.remove(sync);
        } else {
            self.unread.insert(sync.to_owned(), Unread { object: object.to_owned(), paths, read: now });
        }
        let all =
            self.unread.values().flat_map(|unread| unread.paths.iter().map(|path| (&unread.object, path)));
        let all: BTreeSet<(&String, &String)> = all.collect();
        let before = std::mem::take(&mut self.quarantined);
        let mut entered = Vec::new();
        for (object, path) in all {
            let known = before.iter().find(|one| one.object == *object && one.field == *path);
            let one = known.cloned().unwrap_or_else(|| Quarantined::unread(object, path, now_ms));
            if known.is_none() {
                entered.push(one.clone());
            }
            self.quarantined.push(one);
        }
        let left = before.into_iter().filter(|one| !self.quarantined.contains(one)).collect();
        (entered, left)
    }
}

/// An error of reading a sync's records: if it blames the schema, the object is described before it is read again.
pub(crate) fn blame(org: &OrgContext, sync: &str, error: &CallError) {
    if error.class() == ErrorClass::Schema {
        org.schemas.sources(|sources| sources.doubt(sync));
    }
}

/// The sync as far as its object can be read: without what is in quarantine.
pub(crate) async fn readable<'a>(
    org: &OrgContext,
    priority: impl Into<Priority>,
    sync: &'a SyncSettings,
) -> Result<Cow<'a, SyncSettings>, SourceHalt> {
    let now = org.clock.monotonic();
    if org.schemas.sources(|sources| sources.is_due(&sync.name, now)) {
        look(org, priority.into(), sync).await?;
    }
    let unread = org.schemas.sources(|sources| sources.unread(&sync.name));
    if unread.is_empty() {
        return Ok(Cow::Borrowed(sync));
    }
    let mapping = remaining(&sync.mapping, &unread)
        .map_err(|unfit| SourceHalt::Unfit { sync: sync.name.clone(), unfit })?;
    Ok(Cow::Owned(SyncSettings { mapping, ..sync.clone() }))
}

/// Describes the sync's object, and says loudly which fields enter and leave quarantine.
async fn look(org: &OrgContext, priority: Priority, sync: &SyncSettings) -> Result<(), CallError> {
    let (own, paths) = (sync.mapping.object(), sync.mapping.read_fields());
    let now = org.clock.monotonic();
    let mut known: BTreeMap<String, Option<Readable>> = BTreeMap::new();
    let missing = |known: &BTreeMap<_, _>| {
        paths.iter().find_map(|path| match reach(own, path, known) {
            Reach::Describe(object) => Some(object),
            Reach::Readable | Reach::Gone => None,
        })
    };
    while let Some(object) = missing(&known).filter(|_| known.len() < DESCRIBES_MAX) {
        let described = match org.line.call(priority, &describe::describe(&object, None)).await {
            Ok(reply) => describe::parse(&reply)?.map(|described| Readable::from_json(&described.row)),
            // A parent that may not be seen; without the sync's own object there is nothing to tell.
            Err(error) if error.class() == ErrorClass::Schema && object != own => None,
            Err(error) => return Err(error),
        };
        known.insert(object, described);
    }
    let gone = paths.iter().filter(|path| reach(own, path, &known) == Reach::Gone).cloned().collect();
    let now_ms = org.clock.now_ms();
    let (entered, left) = org.schemas.sources(|sources| sources.take(&sync.name, own, gone, now, now_ms));
    for one in entered {
        tracing::error!(org = org.id(), "{}", one.sentence());
    }
    for Quarantined { object, field, .. } in left {
        tracing::warn!(org = org.id(), "{object}.{field} is read again; refresh the sync to make up for it");
    }
    org.board.quarantined(org.schemas.all_quarantined());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_in_quarantine_as_long_as_any_sync_misses_it_and_is_looked_at_every_five_minutes() {
        let secs = Duration::from_secs;
        let paths = |path: &str| BTreeSet::from([path.to_owned()]);
        let mut sources = Sources::default();
        assert!(!sources.is_due("a", secs(9_999)), "nothing is amiss");
        sources.doubt("a");
        assert!(sources.is_due("a", secs(0)) && !sources.is_due("b", secs(0)));
        let (entered, left) = sources.take("a", "Account", paths("Website"), secs(0), 5);
        assert_eq!((entered.len(), left.len()), (1, 0));
        assert!(entered[0].sentence().contains("Account.Website is not read: "), "{}", entered[0].sentence());
        assert!(!sources.is_due("a", secs(299)) && sources.is_due("a", secs(300)));
        let (entered, left) = sources.take("b", "Account", paths("Website"), secs(10), 6);
        assert_eq!((entered.len(), left.len(), sources.quarantined[0].since_ms), (0, 0, 5));
        let (_, left) = sources.take("a", "Account", BTreeSet::new(), secs(300), 7);
        assert_eq!((left.len(), sources.unread("a").len(), sources.unread("b").len()), (0, 0, 1));
        let (_, left) = sources.take("b", "Account", BTreeSet::new(), secs(310), 8);
        assert_eq!((left.len(), sources.quarantined.len()), (1, 0));
    }
}
