//! Previews: what a sync would do with some records of an org.
//!
//! Here: whether one may be made now, and for how long. Not here: making it (`preview`).

use std::{sync::Arc, time::Duration};

use super::Service;
use crate::{
    preview::{self, Plan, Preview, PreviewCost, PreviewError, PreviewRequest},
    settings::SyncSettings,
    supervise::supervisor::OrgError,
};

/// How long one may take, the wait for its turn included.
const TIME_MAX: Duration = Duration::from_mins(2);

impl Service {
    /// What a preview takes. Asks nobody.
    ///
    /// # Errors
    /// As [`Self::preview`], as far as that is known without asking.
    pub fn preview_cost(&self, id: &str, request: PreviewRequest) -> Result<PreviewCost, PreviewError> {
        let org = self.known(id)?;
        let plan = Plan::new(&org, request)?;
        preview::stands(&org).map_or_else(|| Ok(plan.cost()), Err)
    }

    /// The syncs of an org, and what a preview of each takes.
    ///
    /// # Errors
    /// There is no such org.
    pub fn preview_costs(&self, id: &str) -> Result<Vec<(String, PreviewCost)>, OrgError> {
        let org = self.known(id)?;
        let cost = |sync: &Arc<SyncSettings>| (sync.name.clone(), preview::usual_cost(sync));
        Ok(org.settings.syncs.iter().map(cost).collect())
    }

    /// What a sync would do with some records of an org: reads and looks them up, and writes nothing.
    ///
    /// # Errors
    /// The org has no such sync, is not worked for, does not answer in time, or has a preview under way.
    pub async fn preview(&self, id: &str, request: PreviewRequest) -> Result<Preview, PreviewError> {
        let org = self.known(id)?;
        let plan = Plan::new(&org, request)?;
        if let Some(error) = preview::stands(&org) {
            return Err(error);
        }
        let begun = self.preview_turns.begin(id).ok_or_else(|| PreviewError::UnderWay(id.to_owned()))?;
        let made = async {
            let _turn = begun.turn().await;
            preview::preview(&org, &plan).await
        };
        let secs = TIME_MAX.as_secs();
        let too_slow = |_| PreviewError::TooSlow { org: id.to_owned(), secs };
        tokio::time::timeout(TIME_MAX, made).await.map_err(too_slow)?
    }
}
