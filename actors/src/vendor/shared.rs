//! What all orgs share and an operator can exchange while they run.
//!
//! Here: the clients of the vendor's systems, and the turns for reading pages. Not here: what belongs to one org
//! (`org/context.rs`), when something is exchanged (`service/reload.rs`).

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Semaphore;

use super::{lookup::LookupClient, webhook::Webhook};
use crate::{
    clock::Clock,
    measure::Measures,
    settings::{Settings, SourceSettings, WebhookSettings},
};

/// The clients as they are now. Whoever has them keeps them for one piece of work only.
#[derive(Clone, Debug)]
pub(crate) struct VendorClients {
    /// To the vendor's API.
    pub lookup: Arc<LookupClient>,
    /// To where receipts are posted.
    pub webhook: Option<Arc<Webhook>>,
    /// Turns for reading pages, handed out in order.
    pub pages: Arc<Semaphore>,
}

/// The clients, to be exchanged.
#[derive(Debug)]
pub(crate) struct Shared {
    clients: RwLock<VendorClients>,
    /// What all clients count on, one after the other.
    measures: Arc<Measures>,
}

impl Shared {
    /// Nothing is sent yet. Fails only if the TLS library cannot start.
    pub(crate) fn new(
        settings: &Settings,
        measures: Arc<Measures>,
        clock: Clock,
    ) -> Result<Self, reqwest::Error> {
        let clients = RwLock::new(VendorClients {
            lookup: lookup_client(&settings.source, &measures, clock)?,
            webhook: webhook(settings.webhook.as_ref())?,
            pages: turns(settings),
        });
        Ok(Self { clients, measures })
    }

    /// Clients that are made up.
    #[cfg(test)]
    pub(crate) fn over(clients: VendorClients) -> Self {
        Self { clients: RwLock::new(clients), measures: Arc::default() }
    }

    /// The clients as they are now.
    pub(crate) fn clients(&self) -> VendorClients {
        self.clients.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Exchanges what differs between these settings, and gives the names of their tables and keys. With an error,
    /// nothing is exchanged. Calls under way end on the old clients.
    pub(crate) fn exchange(
        &self,
        old: &Settings,
        new: &Settings,
        clock: Clock,
    ) -> Result<Vec<&'static str>, reqwest::Error> {
        let (mut vendor, mut exchanged) = (self.clients(), Vec::new());
        if old.source != new.source {
            vendor.lookup = lookup_client(&new.source, &self.measures, clock)?;
            exchanged.push("source");
        }
        if old.webhook != new.webhook {
            vendor.webhook = webhook(new.webhook.as_ref())?;
            exchanged.push("webhook");
        }
        if old.refreshes_max != new.refreshes_max {
            vendor.pages = turns(new);
            exchanged.push("service.refreshes_max");
        }
        *self.clients.write().unwrap_or_else(PoisonError::into_inner) = vendor;
        Ok(exchanged)
    }
}

fn lookup_client(
    settings: &SourceSettings,
    measures: &Arc<Measures>,
    clock: Clock,
) -> Result<Arc<LookupClient>, reqwest::Error> {
    LookupClient::new(settings.clone(), Arc::clone(measures), clock).map(Arc::new)
}

fn webhook(settings: Option<&WebhookSettings>) -> Result<Option<Arc<Webhook>>, reqwest::Error> {
    Ok(settings.cloned().map(Webhook::new).transpose()?.map(Arc::new))
}

fn turns(settings: &Settings) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(settings.refreshes_max.max(1)))
}
