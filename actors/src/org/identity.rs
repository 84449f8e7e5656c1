//! Which org the login leads to, and which numbers belong to an org before.
//!
//! Here: what is stored about it. Not here: finding it out (`api/client.rs`), stopping and starting the parts around a
//! change (`supervise/org_changed.rs`).

use orgpipe_store::StoreError;

use super::store::{OrgStore, Position};

/// Why a change made for another org is not written.
pub(crate) const SUPERSEDED: &str =
    "the login leads to another org since it was made, and every record of that one is read instead";

/// Whether the login leads to another org than the last one did; the first one is stored.
pub(crate) async fn is_other(store: &OrgStore, org_id: &str) -> Result<bool, StoreError> {
    if let Some(known) = store.bytes(Position::OrgId).await? {
        return Ok(known != org_id.as_bytes());
    }
    store.put(vec![Position::OrgId.bytes(org_id.as_bytes().to_vec())]).await?;
    Ok(false)
}

/// The number up to which what waits was made of an org before; 0 if the login has always led to this one.
pub(crate) async fn superseded_up_to(store: &OrgStore) -> Result<u64, StoreError> {
    Ok(store.number(Position::SupersededUpTo).await?.unwrap_or_default())
}
