//! Which fields of the syncs' own objects cannot be read in an org: they are left out of what is read, asked and written.
//!
//! ```text
//!          an error blames the schema; describe says: gone               describe says: there again
//! read ───────────────────────────────────────────────────▶ quarantined ───────────────────────────▶ read
//! ```
//!
//! Here: describing an object once it is blamed, and telling about it. Not here: what is left of a mapping
//! (`reconcile::drift`), fields that cannot be written (`schemas`). While nothing is amiss no call is made.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use orgpipe_reconcile::{
    describe::Describe,
    drift::{Drift, Reach, Readable, drifted, reach, remaining},
};
use orgpipe_salesforce::{error::ErrorClass, failure::CallError, rest::describe};

use super::{
    api::gate::Reservation,
    context::OrgContext,
    schemas::{FreshDescribe, Quarantined, Target, lacks_right},
    step_error::StepError,
};
use crate::{priority::Priority, settings::SyncSettings};

/// How long it is believed which rights on an object the running user has, once one was missing.
const RIGHTS_BELIEVED: Duration = Duration::from_secs(30);
/// Objects described for one sync at a time: its own and those that its paths lead over.
const DESCRIBES_MAX: usize = 10;

/// An error of reading a sync's records: if it blames the schema, the object is described before it is read again.
pub(crate) fn blame(org: &OrgContext, sync: &str, error: &StepError) {
    if error.class() == Some(ErrorClass::Schema) {
        org.schemas.sources(|sources| sources.doubt(sync));
    }
}

/// The sync as far as its object can be read: without what is in quarantine.
pub(crate) async fn readable<'a>(
    org: &OrgContext,
    priority: impl Into<Priority>,
    sync: &'a SyncSettings,
) -> Result<Cow<'a, SyncSettings>, StepError> {
    let now = org.clock.monotonic();
    if org.schemas.sources(|sources| sources.is_due(&sync.name, now)) {
        look(org, priority.into(), sync).await?;
    }
    let unread = org.schemas.sources(|sources| sources.unread(&sync.name));
    if unread.is_empty() {
        return Ok(Cow::Borrowed(sync));
    }
    let mapping = remaining(&sync.mapping, &unread)
        .map_err(|unfit| StepError::Unfit { sync: sync.name.clone(), unfit })?;
    Ok(Cow::Owned(SyncSettings { mapping, ..sync.clone() }))
}

/// Describes the sync's object, and says loudly which fields enter and leave quarantine.
async fn look(org: &OrgContext, priority: Priority, sync: &SyncSettings) -> Result<(), StepError> {
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
        let described = match org.api.call(priority, &describe::describe(&object, None)).await {
            Ok(reply) => describe::parse(&reply)?.map(|described| Readable::from_json(&described.row)),
            // A parent that may not be seen; without the sync's own object there is nothing to tell.
            Err(error) if error.class() == Some(ErrorClass::Schema) && object != own => None,
            Err(error) => return Err(error),
        };
        known.insert(object, described);
    }
    let gone = paths.iter().filter(|path| reach(own, path, &known) == Reach::Gone).cloned().collect();
    let now_ms = org.clock.now_ms();
    let (entered, left) = org.schemas.sources(|sources| sources.take(&sync.name, own, gone, now, now_ms));
    tell(org, &entered, &left, "read");
    Ok(())
}

/// Says loudly which fields have entered and left quarantine.
fn tell(org: &OrgContext, entered: &[Quarantined], left: &[Quarantined], done: &str) {
    if org.is_aside {
        return;
    }
    for one in entered {
        tracing::error!(org = org.id(), "{}", one.sentence());
    }
    for Quarantined { object, field, .. } in left {
        tracing::warn!(
            org = org.id(),
            "{object}.{field} is {done} again; refresh the sync to make up for it"
        );
    }
    org.board.quarantined(org.schemas.all_quarantined());
}

/// Whether the running user lacks a right on a target, so that records wait until it is given: asked once more if that was not
/// done just now. Where it cannot be asked, the right may be missing.
pub(crate) async fn is_closed(org: &OrgContext, priority: Priority, object: &str) -> bool {
    let now = org.clock.monotonic();
    let makes = org.settings.makes(object);
    match org.schemas.closed(object, makes) {
        Some((closed, read)) if now < read + RIGHTS_BELIEVED => return closed,
        Some(_) | None => {}
    }
    // Whether a changed right counts as a change of the object is not known: the whole is read.
    org.schemas.doubt(object);
    let looked = match org.api.reserve(priority, 1).await {
        Ok(reservation) => describe_target(org, &reservation, object).await,
        Err(error) => Err(error),
    };
    match looked {
        Ok(Target { describe, .. }) => lacks_right(&describe, makes),
        Err(error) => {
            tracing::warn!(org = org.id(), object, "the rights on it are in doubt: {error}");
            true
        }
    }
}

/// Looks once more at a target that was closed to the running user when it was described last.
pub(crate) async fn look_at_closed(org: &OrgContext, priority: Priority, object: &str) {
    if org.schemas.closed(object, org.settings.makes(object)).is_some_and(|(closed, _)| closed) {
        is_closed(org, priority, object).await;
    }
}

/// Reads a target's describe with a call of the plan, and says loudly which fields enter and leave quarantine.
pub(crate) async fn describe_target(
    org: &OrgContext,
    plan: &Reservation,
    object: &str,
) -> Result<Target, StepError> {
    let last_modified = org.schemas.known().last_modified(object);
    let call = describe::describe(object, last_modified.as_deref());
    let now = org.clock.monotonic();
    let reply = org.api.call_reserved(plan, &call).await?;
    let Some(described) = describe::parse(&reply)? else {
        let confirmed = org.schemas.known().confirmed(object, now);
        return confirmed
            .ok_or_else(|| CallError::Unreadable { status: 304, what: "no description".to_owned() }.into());
    };
    let describe = Describe::from_json(&described.row)
        .map_err(|cause| StepError::Unusable { object: object.to_owned(), cause })?;
    let syncs = org.settings.syncs.iter().filter(|sync| sync.mapping.target() == object);
    let mut drift: Vec<(String, Drift)> = syncs.flat_map(|sync| drifted(&sync.mapping, &describe)).collect();
    let may_write = describe.may_update() || org.settings.makes(object) && describe.may_create();
    if !may_write {
        // Nothing of the object may be written, which says nothing about its fields: they stay in what waits.
        drift.retain(|(_, drift)| *drift != Drift::ReadOnly);
    }
    drift.sort_unstable();
    drift.dedup();
    let fresh = FreshDescribe { describe, last_modified: described.last_modified };
    let (target, entered, left) = org.schemas.known().take(object, fresh, drift, now, org.clock.now_ms());
    tell(org, &entered, &left, "written");
    Ok(target)
}
