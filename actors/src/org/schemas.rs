//! What an org says about the targets of its syncs, and which of their fields are in quarantine: they cannot be written,
//! so the rest of each record is written without them.
//!
//! ```text
//!             describe says: gone or read-only                  describe says: writable again
//! written ───────────────────────────────────────▶ quarantined ───────────────────────────────▶ written
//! ```
//!
//! Here: how long a describe is trusted, and telling about quarantines. Not here: what has drifted
//! (`reconcile::drift`), who leaves the fields out (`decide/fetch.rs`, `deliver/writer.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use orgpipe_reconcile::{Row, describe::Describe, drift::Drift};
use orgpipe_store::UnixMs;
use serde::Serialize;
use utoipa::ToSchema;

/// How long a describe is trusted. An error that blames the schema ends that at once.
pub(crate) const TRUST: Duration = Duration::from_hours(1);
/// The same while fields are in quarantine, so that they come back soon.
pub(crate) const TRUST_IN_QUARANTINE: Duration = Duration::from_mins(5);

/// What cannot be done with a field in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// It is a field of a sync's own object.
    Read,
    /// It is a field of a target.
    Write,
}

impl Access {
    /// What is not done with a field in quarantine.
    pub fn done(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "written",
        }
    }
}

/// A field that is not written or not read, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Quarantined {
    /// API name of the object.
    pub object: String,
    /// API name of the field.
    pub field: String,
    /// What cannot be done with it.
    pub access: Access,
    /// Why, as a clause.
    pub why: &'static str,
    /// What to do about it.
    pub hint: &'static str,
    /// Since when.
    pub since_ms: UnixMs,
}

impl Quarantined {
    fn new(object: &str, field: &str, drift: Drift, now_ms: UnixMs) -> Self {
        let (why, hint) = match drift {
            Drift::Gone => (
                "the org has no such field, or the integration user may not see it",
                "Install the package's latest version and assign its permission set, or take the field out of \
                 the sync; then refresh the sync.",
            ),
            Drift::ReadOnly => (
                "the integration user may not write it",
                "Assign the package's permission set, or take the field out of the sync; then refresh the sync.",
            ),
        };
        let (object, field, access) = (object.to_owned(), field.to_owned(), Access::Write);
        Self { object, field, access, why, hint, since_ms: now_ms }
    }

    /// A field, or a dotted path, of a sync's own object.
    pub(crate) fn unread(object: &str, field: &str, now_ms: UnixMs) -> Self {
        let why = "the org has no such field, or the integration user may not see it";
        let hint = "Let the integration user read it, or take it out of the sync; then refresh the sync.";
        let (object, field, access) = (object.to_owned(), field.to_owned(), Access::Read);
        Self { object, field, access, why, hint, since_ms: now_ms }
    }

    /// For the log and the page.
    pub fn sentence(&self) -> String {
        let done = match self.access {
            Access::Read => "read",
            Access::Write => "written",
        };
        format!("{}.{} is not {done}: {}. {}", self.object, self.field, self.why, self.hint)
    }
}

/// A target as the org describes it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its fields.
    pub describe: Arc<Describe>,
    /// Names of those in quarantine, in lower case.
    quarantined: Arc<BTreeSet<String>>,
}

impl Target {
    /// Whether a field of this name, in any case, is written.
    pub(crate) fn writes(&self, field: &str) -> bool {
        !self.quarantined.contains(&field.to_ascii_lowercase())
    }
}

/// The targets of one org. Shared by its actors.
#[derive(Debug, Default)]
pub(crate) struct Schemas(Mutex<Known>);

/// A describe as it was just read.
#[derive(Debug)]
pub(super) struct FreshDescribe {
    pub describe: Describe,
    /// When the object was changed last, as the answer's header spells it; to ask only for changes.
    pub last_modified: Option<String>,
}

/// What is known of the targets. Pure: time is an argument.
#[derive(Debug, Default)]
pub(super) struct Known {
    targets: BTreeMap<String, Entry>,
    /// Targets that an error blames, until they have been read anew.
    doubted: BTreeSet<String>,
    quarantined: Vec<Quarantined>,
    /// The objects that the syncs read.
    sources: Sources,
}

#[derive(Debug)]
struct Entry {
    target: Target,
    /// When it was read (time since start).
    read: Duration,
    last_modified: Option<String>,
}

impl Known {
    fn fresh(&self, object: &str, now: Duration) -> Option<Target> {
        let Entry { target, read, .. } = self.targets.get(object)?;
        let trust = if target.quarantined.is_empty() { TRUST } else { TRUST_IN_QUARANTINE };
        (now < *read + trust && !self.doubted.contains(object)).then(|| target.clone())
    }

    /// To ask only for changes. Not while there is a quarantine or a doubt: whether a changed permission counts as a
    /// change of the object is not known.
    pub(super) fn last_modified(&self, object: &str) -> Option<String> {
        let entry = self.targets.get(object)?;
        let sure = entry.target.quarantined.is_empty() && !self.doubted.contains(object);
        entry.last_modified.clone().filter(|_| sure)
    }

    /// It is as it was.
    pub(super) fn confirmed(&mut self, object: &str, now: Duration) -> Option<Target> {
        let entry = self.targets.get_mut(object)?;
        entry.read = now;
        Some(entry.target.clone())
    }

    /// Takes a describe in; gives back the fields that are new in quarantine, and those that are back.
    pub(super) fn take(
        &mut self,
        object: &str,
        fresh: FreshDescribe,
        drifted: Vec<(String, Drift)>,
        now: Duration,
        now_ms: UnixMs,
    ) -> (Target, Vec<Quarantined>, Vec<Quarantined>) {
        self.doubted.remove(object);
        let quarantined = Arc::new(drifted.iter().map(|(field, _)| field.to_ascii_lowercase()).collect());
        let target = Target { describe: Arc::new(fresh.describe), quarantined };
        let entry = Entry { target: target.clone(), read: now, last_modified: fresh.last_modified };
        self.targets.insert(object.to_owned(), entry);
        let before: Vec<Quarantined> = self.quarantined.extract_if(.., |one| one.object == object).collect();
        let mut entered = Vec::new();
        for (field, drift) in drifted {
            let mut one = Quarantined::new(object, &field, drift, now_ms);
            match before.iter().find(|known| known.field == field) {
                Some(known) => one.since_ms = known.since_ms,
                None => entered.push(one.clone()),
            }
            self.quarantined.push(one);
        }
        let left = before.into_iter().filter(|known| target.writes(&known.field)).collect();
        (target, entered, left)
    }
}

impl Schemas {
    /// A target as it was described lately; none if it has to be read.
    pub(crate) fn fresh(&self, object: &str, now: Duration) -> Option<Target> {
        self.known().fresh(object, now)
    }

    /// Whether the running user lacks a right on the target, and when that was described (time since start). `makes`: whether
    /// records of it are made.
    pub(super) fn closed(&self, object: &str, makes: bool) -> Option<(bool, Duration)> {
        let known = self.known();
        let Entry { target, read, .. } = known.targets.get(object)?;
        Some((lacks_right(&target.describe, makes), *read))
    }

    /// Whether the target has been described since the start.
    pub(crate) fn is_described(&self, object: &str) -> bool {
        self.known().targets.contains_key(object)
    }

    /// An error blames the target's schema.
    pub(crate) fn doubt(&self, object: &str) {
        self.known().doubted.insert(object.to_owned());
    }

    /// The targets that are doubted.
    pub(crate) fn doubted(&self) -> Vec<String> {
        self.known().doubted.iter().cloned().collect()
    }

    /// Fields of the target that are in quarantine.
    pub(crate) fn quarantined(&self, object: &str) -> BTreeSet<String> {
        let known = self.known();
        let of_target = known.quarantined.iter().filter(|one| one.object == object);
        of_target.map(|one| one.field.clone()).collect()
    }

    /// Takes the fields in quarantine out of a record that is about to be written.
    pub(crate) fn strip(&self, object: &str, fields: &mut Row) {
        if let Some(Entry { target, .. }) = self.known().targets.get(object) {
            fields.retain(|field, _| target.writes(field));
        }
    }

    /// What is known of the objects that the syncs read.
    pub(crate) fn sources<T>(&self, what: impl FnOnce(&mut Sources) -> T) -> T {
        what(&mut self.known().sources)
    }

    /// All fields in quarantine.
    pub(crate) fn all_quarantined(&self) -> Vec<Quarantined> {
        let known = self.known();
        known.quarantined.iter().chain(&known.sources.quarantined).cloned().collect()
    }

    /// The login leads to another org: all that was described is of the one before.
    pub(crate) fn forget(&self) {
        *self.known() = Known::default();
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a right is missing without which nothing can be written; Create is needed only where records are made.
pub(super) fn lacks_right(describe: &Describe, makes: bool) -> bool {
    !describe.may_update() || (makes && !describe.may_create())
}

/// What is known of the objects that the syncs read. Pure: time is an argument.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// By sync: what it cannot read. One that can read all has no entry.
    unread: BTreeMap<String, Unread>,
    /// Syncs whose reading was refused for the schema, until their object has been described.
    doubted: BTreeSet<String>,
    /// For the operator: each field once.
    pub(crate) quarantined: Vec<Quarantined>,
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
    pub(crate) fn doubt(&mut self, sync: &str) {
        self.doubted.insert(sync.to_owned());
    }

    pub(super) fn is_due(&self, sync: &str, now: Duration) -> bool {
        let aged = |unread: &Unread| now >= unread.read + TRUST_IN_QUARANTINE;
        self.doubted.contains(sync) || self.unread.get(sync).is_some_and(aged)
    }

    pub(super) fn unread(&self, sync: &str) -> BTreeSet<String> {
        self.unread.get(sync).map(|unread| unread.paths.clone()).unwrap_or_default()
    }

    /// Takes in what a sync cannot read; gives back the fields that are new in quarantine, and those that are back.
    pub(super) fn take(
        &mut self,
        sync: &str,
        object: &str,
        paths: BTreeSet<String>,
        now: Duration,
        now_ms: UnixMs,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn describe() -> FreshDescribe {
        let json = serde_json::json!({ "name": "A__c", "fields": [] });
        let describe = Describe::from_json(json.as_object().expect("an object")).expect("readable");
        FreshDescribe { describe, last_modified: Some("then".into()) }
    }

    #[test]
    fn a_field_enters_quarantine_once_and_leaves_it_by_itself() {
        let mut known = Known::default();
        let gone = || vec![("F__c".to_owned(), Drift::Gone)];
        let (target, entered, left) = known.take("A__c", describe(), gone(), secs(0), UnixMs(5));
        assert_eq!(
            (entered.len(), left.len(), target.writes("f__C"), target.writes("G__c")),
            (1, 0, false, true)
        );
        assert!(entered[0].sentence().contains("A__c.F__c is not written: the org has no such field"));
        assert!(known.fresh("A__c", secs(299)).is_some());
        assert!(known.fresh("A__c", secs(300)).is_none(), "looked at soon again");
        assert_eq!(known.last_modified("A__c"), None, "and whole");
        let (_, entered, left) = known.take("A__c", describe(), gone(), secs(300), UnixMs(6));
        assert_eq!((entered, left, known.quarantined[0].since_ms), (vec![], vec![], UnixMs(5)));
        let (target, entered, left) = known.take("A__c", describe(), vec![], secs(600), UnixMs(7));
        assert_eq!(
            (entered.len(), left.len(), target.writes("F__c"), known.quarantined.len()),
            (0, 1, true, 0)
        );
    }

    #[test]
    fn a_target_of_which_no_records_are_made_is_open_without_the_right_to_create() {
        for (create, update, closed, closed_to_makers) in
            [(false, true, false, true), (true, true, false, false), (true, false, true, true)]
        {
            let json = serde_json::json!({ "name": "A__c", "createable": create, "updateable": update, "fields": [] });
            let describe = Describe::from_json(json.as_object().expect("an object")).expect("readable");
            let schemas = Schemas::default();
            let fresh = FreshDescribe { describe, last_modified: None };
            schemas.known().take("A__c", fresh, vec![], secs(0), UnixMs(5));
            let told = [false, true].map(|makes| schemas.closed("A__c", makes));
            assert_eq!(
                told,
                [Some((closed, secs(0))), Some((closed_to_makers, secs(0)))],
                "{create} {update}"
            );
        }
    }

    #[test]
    fn nothing_is_known_of_another_org() {
        let schemas = Schemas::default();
        schemas.known().take("A__c", describe(), vec![("F__c".to_owned(), Drift::Gone)], secs(0), UnixMs(5));
        schemas.sources(|sources| sources.doubt("a"));
        assert!(schemas.fresh("A__c", secs(1)).is_some());
        schemas.forget();
        assert!(schemas.fresh("A__c", secs(1)).is_none() && schemas.all_quarantined().is_empty());
    }

    #[test]
    fn a_describe_is_trusted_for_an_hour_then_only_changes_are_asked_for_and_a_doubt_ends_both() {
        let mut known = Known::default();
        known.take("A__c", describe(), vec![], secs(0), UnixMs(0));
        assert!(known.fresh("A__c", secs(3_599)).is_some() && known.fresh("A__c", secs(3_600)).is_none());
        assert_eq!(known.last_modified("A__c").as_deref(), Some("then"));
        assert!(known.confirmed("A__c", secs(3_600)).is_some() && known.fresh("A__c", secs(7_000)).is_some());
        known.doubted.insert("A__c".to_owned());
        assert!(known.fresh("A__c", secs(7_000)).is_none() && known.last_modified("A__c").is_none());
        known.take("A__c", describe(), vec![], secs(7_000), UnixMs(0));
        assert!(known.fresh("A__c", secs(7_000)).is_some());
    }

    #[test]
    fn a_field_is_in_quarantine_as_long_as_any_sync_misses_it_and_is_looked_at_every_five_minutes() {
        let secs = Duration::from_secs;
        let paths = |path: &str| BTreeSet::from([path.to_owned()]);
        let mut sources = Sources::default();
        assert!(!sources.is_due("a", secs(9_999)), "nothing is amiss");
        sources.doubt("a");
        assert!(sources.is_due("a", secs(0)) && !sources.is_due("b", secs(0)));
        let (entered, left) = sources.take("a", "Account", paths("Website"), secs(0), UnixMs(5));
        assert_eq!((entered.len(), left.len()), (1, 0));
        assert!(entered[0].sentence().contains("Account.Website is not read: "), "{}", entered[0].sentence());
        assert!(!sources.is_due("a", secs(299)) && sources.is_due("a", secs(300)));
        let (entered, left) = sources.take("b", "Account", paths("Website"), secs(10), UnixMs(6));
        assert_eq!((entered.len(), left.len(), sources.quarantined[0].since_ms), (0, 0, UnixMs(5)));
        let (_, left) = sources.take("a", "Account", BTreeSet::new(), secs(300), UnixMs(7));
        assert_eq!((left.len(), sources.unread("a").len(), sources.unread("b").len()), (0, 0, 1));
        let (_, left) = sources.take("b", "Account", BTreeSet::new(), secs(310), UnixMs(8));
        assert_eq!((left.len(), sources.quarantined.len()), (1, 0));
    }
}
