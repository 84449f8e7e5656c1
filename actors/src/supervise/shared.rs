//! What all orgs share and an operator can exchange while they run.
//!
//! Here: the ways to the vendor's systems, the turns for reading pages, and the list of the orgs there are. Not here:
//! what belongs to one org (`context`), when something is exchanged (`Service::reload`).

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::Semaphore;

use super::context::OrgContext;
use crate::{
    capture::webhook::Webhook,
    clock::Clock,
    decide::lookup::Source,
    settings::{Settings, SourceSettings, WebhookSettings},
};

/// The ways out, as they are now. Whoever has them keeps them for one piece of work only.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    /// To the vendor's API.
    pub source: Arc<Source>,
    /// To where receipts are posted.
    pub webhook: Option<Arc<Webhook>>,
    /// Turns for reading pages, handed out in order.
    pub pages: Arc<Semaphore>,
}

/// The ways out, to be exchanged.
#[derive(Debug)]
pub(crate) struct Shared(RwLock<Ways>);

impl Shared {
    /// Nothing is sent yet. Fails only if the TLS library cannot start.
    pub(crate) fn new(settings: &Settings, clock: Clock) -> Result<Self, reqwest::Error> {
        Ok(Self(RwLock::new(Ways {
            source: source(&settings.source, clock)?,
            webhook: webhook(settings.webhook.as_ref())?,
            pages: turns(settings),
        })))
    }

    /// The ways as they are now.
    pub(crate) fn ways(&self) -> Ways {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Exchanges what differs between these settings, and gives the names of their tables and keys. With an error,
    /// nothing is exchanged. Calls under way end on the old ways.
    pub(crate) fn exchange(
        &self,
        old: &Settings,
        new: &Settings,
        clock: Clock,
    ) -> Result<Vec<&'static str>, reqwest::Error> {
        let (mut ways, mut exchanged) = (self.ways(), Vec::new());
        if old.source != new.source {
            ways.source = source(&new.source, clock)?;
            exchanged.push("source");
        }
        if old.webhook != new.webhook {
            ways.webhook = webhook(new.webhook.as_ref())?;
            exchanged.push("webhook");
        }
        if old.refreshes_max != new.refreshes_max {
            ways.pages = turns(new);
            exchanged.push("service.refreshes_max");
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ways;
        Ok(exchanged)
    }
}

fn source(settings: &SourceSettings, clock: Clock) -> Result<Arc<Source>, reqwest::Error> {
    Source::new(settings.clone(), clock).map(Arc::new)
}

fn webhook(settings: Option<&WebhookSettings>) -> Result<Option<Arc<Webhook>>, reqwest::Error> {
    Ok(settings.cloned().map(Webhook::new).transpose()?.map(Arc::new))
}

fn turns(settings: &Settings) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(settings.refreshes_max.max(1)))
}

/// The orgs there are, by name: written by the supervisor, read by whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Directory(RwLock<BTreeMap<String, Arc<OrgContext>>>);

impl Directory {
    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<OrgContext>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// One of them.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<OrgContext>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// It is there from now on, in the place of the one of that name.
    pub(crate) fn put(&self, org: Arc<OrgContext>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(org.id().to_owned(), org);
    }

    /// It is not there any more.
    pub(crate) fn remove(&self, id: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
