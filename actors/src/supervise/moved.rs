//! The login leads to another org than before: the org was copied, its sandbox was refreshed, or the settings name
//! another user.
//!
//! Here: what is stored about which org it is, and from when on. Not here: finding it out (`line`), stopping and
//! starting the parts around it (`org`).
//!
//! What waits was made of the records of the org before, whose IDs may mean nothing here, or another record. So nothing
//! of it is written: a change ends as superseded, a request is read once more in the org as it is now. In the same
//! commit a gap is noted, for which every record of the org is read and compared. No part runs meanwhile, so nothing
//! made of the org before can come behind the mark.

use orgpipe_store::{Append, Store, StoreError};

use super::context::OrgContext;
use crate::capture::{
    cometd::channels,
    heal::{self, GapReason},
};

/// Name of the position that holds the ID of the org that the login leads to, 18 characters.
const ORG_ID: &str = "org-id";
/// Name of the position that holds the number up to which what waits was made of an org before, in decimal.
const VOID: &str = "void-up-to";

/// Why such a change is not written.
pub(crate) const SUPERSEDED: &str =
    "the login leads to another org since it was made, and every record of that one is read instead";

/// Whether the login leads to another org than the last one did; the first one is stored.
pub(super) async fn is_other(store: &Store, org: &str, org_id: &str) -> Result<bool, StoreError> {
    if let Some(known) = store.position(org, ORG_ID).await? {
        return Ok(known != org_id.as_bytes());
    }
    let positions = vec![(ORG_ID.to_owned(), org_id.as_bytes().to_vec())];
    store.append(org, Append { positions, ..Append::default() }).await?;
    Ok(false)
}

/// From now on it is this org. To be called while no part runs.
pub(super) async fn record(org: &OrgContext, org_id: String) -> Result<(), StoreError> {
    let void = org.store.progress(org.id()).await?.given;
    tracing::warn!(
        org = org.id(),
        org_id,
        void,
        "the login leads to another org; what waits for the one before is given up"
    );
    org.schemas.forget();
    org.board.quarantined(Vec::new());
    let more =
        vec![(ORG_ID.to_owned(), org_id.into_bytes()), (VOID.to_owned(), void.to_string().into_bytes())];
    heal::note_gap(org, channels(org), GapReason::OrgChanged, more).await
}

/// The number up to which what waits was made of an org before; 0 if the login has always led to this one.
pub(crate) async fn void_up_to(org: &OrgContext) -> Result<u64, StoreError> {
    let stored = org.store.position(org.id(), VOID).await?;
    Ok(stored.and_then(|text| String::from_utf8(text).ok()?.parse().ok()).unwrap_or_default())
}
