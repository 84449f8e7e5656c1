//! Which org the login leads to, and which numbers belong to an org before.
//!
//! Here: what is stored about it. Not here: finding it out (`api/client.rs`), stopping and starting the parts around a
//! change (`supervise/org_changed.rs`).

use orgpipe_store::{Seq, StoreError};

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

/// The number up to which what waits was made of an org before; none if the login has always led to this one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SupersededUpTo(Option<Seq>);

impl SupersededUpTo {
    /// As it is stored.
    pub(crate) async fn read(store: &OrgStore) -> Result<Self, StoreError> {
        Ok(Self(store.seq(Position::SupersededUpTo).await?))
    }

    /// Nothing is.
    #[cfg(test)]
    pub(crate) fn nothing() -> Self {
        Self(None)
    }

    /// Whether the request or change of this number was made of an org before.
    pub(crate) fn covers(self, seq: Seq) -> bool {
        self.0.is_some_and(|up_to| seq <= up_to)
    }
}
