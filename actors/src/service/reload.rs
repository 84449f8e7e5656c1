//! Other settings while the service runs.
//!
//! Here: what differs, and what follows from it. Not here: reading a file (`src/admin/reload.rs`), stopping and starting
//! an org (`supervise/supervisor.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use orgpipe_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Service, StartError, in_force::InForce, ledger::Ledger};
use crate::{
    measure::OrgMeasures,
    settings::{OrgSettings, Settings},
    supervise::supervisor::{Change, OrgError},
};

/// What other settings came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reloaded {
    /// Orgs that are new.
    pub added: Vec<String>,
    /// Orgs that end what is under way and are started afresh.
    pub changed: Vec<String>,
    /// Orgs that end what is under way and stop. What is stored of them stays.
    pub removed: Vec<String>,
    /// How many orgs are not touched.
    pub unchanged: usize,
    /// What was exchanged for all orgs without touching them.
    pub exchanged: Vec<&'static str>,
    /// Keys that differ and are left as they were until the next start.
    pub needs_restart: Vec<&'static str>,
}

/// An org that is not in the settings any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Left {
    /// The name it had.
    pub id: String,
    /// Its ledger.
    pub records: Ledger,
}

impl Service {
    /// Puts other settings to work: orgs that are the same are not touched, changed ones are stopped and started
    /// afresh, new ones started, and those that are gone are stopped; what is stored of them stays.
    pub async fn reload(&self, settings: Settings) -> Result<Reloaded, StartError> {
        let mut in_force = self.in_force.lock().await;
        let InForce { settings: old, common } = &*in_force;
        let needs_restart = needs_restart(old, &settings);
        let settings = Settings {
            data_dir: old.data_dir.clone(),
            vault_key: old.vault_key.clone(),
            durable_against_power_loss: old.durable_against_power_loss,
            cache_bytes: old.cache_bytes,
            ledger_days: old.ledger_days,
            queue_max: old.queue_max,
            traces: old.traces,
            failpoints: old.failpoints.clone(),
            ..settings
        };
        let mut exchanged = common.shared.exchange(old, &settings, common.clock)?;
        if self.alerts.exchange(&settings.alerts) {
            exchanged.push("alerts");
        }
        let mut reloaded = Reloaded { exchanged, needs_restart, ..Reloaded::default() };
        let known: BTreeMap<&str, &Arc<OrgSettings>> =
            old.orgs.iter().map(|org| (org.id.as_str(), org)).collect();
        let mut change = Change { start: Vec::new(), remove: Vec::new() };
        for org in &settings.orgs {
            match known.get(org.id.as_str()) {
                Some(known) if *known == org => {
                    reloaded.unchanged += 1;
                    continue;
                }
                Some(_) => reloaded.changed.push(org.id.clone()),
                None => reloaded.added.push(org.id.clone()),
            }
            let (board, measures) = match self.orgs.get(&org.id) {
                Some(known) => (Arc::clone(&known.board), Arc::clone(&known.measures)),
                None => (Arc::default(), Arc::new(OrgMeasures::new(Arc::clone(&self.measures)))),
            };
            change.start.push(common.context(org, board, measures, settings.failpoints.clone()));
        }
        let stay: BTreeSet<&str> = settings.orgs.iter().map(|org| org.id.as_str()).collect();
        change.remove = known.keys().filter(|id| !stay.contains(*id)).map(|id| (*id).to_owned()).collect();
        reloaded.removed.clone_from(&change.remove);
        // A supervisor that is gone means that the service is stopping.
        let _ = self.supervisor.send(change).await;
        tracing::info!(?reloaded, "the settings were read again");
        in_force.settings = settings;
        Ok(reloaded)
    }

    /// Orgs of which something is stored and which are not in the settings any more. It stays until they come back.
    pub async fn left(&self) -> Result<Vec<Left>, StoreError> {
        let mut left = self.store.orgs().await?;
        left.retain(|(id, _)| self.orgs.get(id).is_none());
        Ok(left.into_iter().map(|(id, counts)| Left { id, records: counts.into() }).collect())
    }

    /// Removes all that is stored of an org that is not in the settings any more, and gives what its ledger was.
    pub async fn purge(&self, id: &str) -> Result<Ledger, OrgError> {
        // Held so that no reload brings it back meanwhile.
        let in_force = self.in_force.lock().await;
        let wanted = in_force.settings.orgs.iter().any(|org| org.id == id);
        if wanted || self.orgs.get(id).is_some() {
            return Err(OrgError::InUse(id.to_owned()));
        }
        self.pushes.write().await.leave_out(id).await?;
        // First, so that it can be purged again if this breaks off.
        self.forget_history(id).await?;
        let counts = self.store.forget(id).await?.ok_or_else(|| OrgError::Unknown(id.to_owned()))?;
        let ledger = Ledger::from(counts);
        tracing::warn!(org = id, ?ledger, "an operator had all removed that was stored of it");
        Ok(ledger)
    }
}

/// Keys that differ and have no effect before the next start.
fn needs_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let keys = [
        ("service.data_dir", old.data_dir != new.data_dir),
        // By default it follows the directory.
        ("service.vault_key_file", old.data_dir == new.data_dir && old.vault_key != new.vault_key),
        ("service.durability", old.durable_against_power_loss != new.durable_against_power_loss),
        ("service.cache_mb", old.cache_bytes != new.cache_bytes),
        ("service.ledger_days", old.ledger_days != new.ledger_days),
        ("service.queue_max", old.queue_max != new.queue_max),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
