//! The login leads to another org than before: the org was copied, its sandbox was refreshed, or the settings name
//! another user.
//!
//! Here: what is stored then. Not here: finding it out (`org/api/client.rs`), stopping and starting the parts around it
//! (`org_actor`).
//!
//! What waits was made of the records of the org before, whose IDs may mean nothing here, or another record. So nothing
//! of it is written: a change ends as superseded, a request is read once more in the org as it is now. In the same
//! commit a gap is noted, for which every record of the org is read and compared. No part runs meanwhile, so nothing
//! made of the org before can come behind the mark.

use orgpipe_store::StoreError;

use crate::{
    capture::gap_recovery,
    org::{context::OrgContext, store::Position},
    receipt::GapReason,
};

/// From now on it is this org. To be called while no part runs.
pub(super) async fn record(org: &OrgContext, org_id: String) -> Result<(), StoreError> {
    let superseded_up_to = org.store.progress().await?.given;
    tracing::warn!(
        org = org.id(),
        org_id,
        superseded_up_to = superseded_up_to.0,
        "the login leads to another org; what waits for the one before is given up"
    );
    org.schemas.forget();
    org.board.quarantined(Vec::new());
    let more = vec![
        Position::OrgId.bytes(org_id.into_bytes()),
        Position::SupersededUpTo.seq(superseded_up_to),
        // A copy has our user's ID, too, and may hold what was written to the other one long ago.
        org.store.new_hash_key().await,
    ];
    gap_recovery::note_gap(org, org.settings.channels(), GapReason::OrgChanged, more).await
}
