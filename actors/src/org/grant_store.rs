//! Where a customer's grant is kept: sealed, beside the org's positions.
//!
//! Here: reading and storing it, by one at a time, and the end of that at a stop. Not here: what follows from an answer
//! (`grant`), asking (`api/vault.rs`).
//!
//! Invariant: whoever holds a [`Held`] is the only one who can exchange the org's refresh token, and has read it after
//! that: a copy from before may be an ended token, whose use would end the grant.
//! Invariant: once [`Grants::rest`] has come back after [`Grants::close`], no exchange is under way, and none begins.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use orgpipe_store::{Store, StoreError, UnixMs};
use tokio::sync::OwnedMutexGuard;

use super::{
    grant::Grant,
    store::{Moved, OrgStore, Position},
};
use crate::{
    failpoint::Failpoints,
    queue_entry::{pack, unpack},
    sealing::SealingKey,
};

/// Why a stored grant cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It does not open.
    #[error("the stored refresh token cannot be read: {0}")]
    Sealed(String),
}

/// What all orgs share of their grants.
#[derive(Clone, Debug)]
pub(crate) struct Grants {
    key: SealingKey,
    /// By org; an org has one for as long as the process lives, whatever becomes of its settings.
    locks: Arc<Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>>,
    closing: Arc<AtomicBool>,
}

impl Grants {
    /// Grants sealed by this key.
    pub(crate) fn new(key: SealingKey) -> Self {
        Self { key, locks: Arc::default(), closing: Arc::default() }
    }

    /// From now on no token request is begun by a grant, as its answer could not be stored any more.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    /// Waits until nobody holds a grant.
    pub(crate) async fn rest(&self) {
        let locks: Vec<_> =
            self.locks.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for lock in locks {
            drop(lock.lock().await);
        }
    }

    /// A key for one other purpose.
    pub(crate) fn derived_key(&self, purpose: &str) -> Vec<u8> {
        self.key.derived(purpose)
    }

    /// The grant of one org.
    pub(crate) fn of(&self, store: OrgStore, failpoints: Failpoints) -> GrantStore {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = Arc::clone(locks.entry(store.org().to_owned()).or_default());
        GrantStore { store, key: self.key.clone(), lock, closing: Arc::clone(&self.closing), failpoints }
    }
}

/// The grant of one org, and where else things about its login are stored.
#[derive(Clone, Debug)]
pub(crate) struct GrantStore {
    /// The org's store.
    pub store: OrgStore,
    /// Where tests let a token request fail.
    pub failpoints: Failpoints,
    key: SealingKey,
    lock: Arc<tokio::sync::Mutex<()>>,
    closing: Arc<AtomicBool>,
}

impl GrantStore {
    /// Whether the service stops. To be looked at while a grant is held, before it is used.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Waits until nobody else holds it.
    pub(crate) async fn hold(&self) -> Held<'_> {
        Held { grants: self, _turn: Arc::clone(&self.lock).lock_owned().await }
    }

    /// The stored grant, to look at: it may be another one a moment later.
    pub(crate) async fn look(&self) -> Result<Option<Grant>, GrantError> {
        let Some(sealed) = self.store.bytes(Position::Grant).await? else { return Ok(None) };
        let opened = self.key.open(&place(self.store.org()), &sealed);
        let opened = opened.map_err(|problem| GrantError::Sealed(problem.to_string()))?;
        unpack(&opened).map(Some).map_err(|problem| GrantError::Sealed(problem.to_string()))
    }
}

/// The right to exchange an org's refresh token.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    grants: &'a GrantStore,
    _turn: OwnedMutexGuard<()>,
}

impl Held<'_> {
    /// The grant to use; none if there is none.
    pub(crate) async fn read(
        &self,
        settings: Option<&str>,
        now_ms: UnixMs,
    ) -> Result<Option<Grant>, GrantError> {
        // Of one that cannot be read nobody can say whether it is the token of the settings, used already: that is not used.
        let stored = self.grants.look().await?;
        Ok(Grant::current(stored, settings, now_ms))
    }

    /// Stores it, durably.
    pub(crate) async fn put(&self, grant: &Grant) -> Result<(), StoreError> {
        self.grants.store.put(vec![sealed(&self.grants.key, self.grants.store.org(), grant)]).await
    }
}

/// A grant as a commit takes it.
fn sealed(key: &SealingKey, org: &str, grant: &Grant) -> Moved {
    Position::Grant.bytes(key.seal(&place(org), &pack(grant)))
}

/// What a sealed grant is bound to.
fn place(org: &str) -> String {
    format!("grant {org}")
}

/// Orgs of which a sealed grant is stored, by name.
pub(crate) async fn sealed_orgs(store: &Store) -> Result<Vec<String>, StoreError> {
    let mut sealed = Vec::new();
    for (org, _) in store.orgs().await? {
        if OrgStore::new(store.clone(), &org).bytes(Position::Grant).await?.is_some() {
            sealed.push(org);
        }
    }
    Ok(sealed)
}

/// Which of two keys opens an org's stored grant.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum SealedBy {
    /// There is none.
    Nobody,
    /// The next key.
    Next,
    /// The present key; with it, what it opened.
    Present(Vec<u8>),
    /// Neither of them.
    Another,
}

/// Looks which key has sealed an org's grant. Without a `next` key only the present one is tried.
pub(crate) async fn sealed_by(
    store: &OrgStore,
    present: &SealingKey,
    next: Option<&SealingKey>,
) -> Result<SealedBy, StoreError> {
    let Some(sealed) = store.bytes(Position::Grant).await? else { return Ok(SealedBy::Nobody) };
    let place = place(store.org());
    if next.is_some_and(|next| next.open(&place, &sealed).is_ok()) {
        return Ok(SealedBy::Next);
    }
    Ok(present.open(&place, &sealed).map_or(SealedBy::Another, SealedBy::Present))
}

/// Seals by another key what [`sealed_by`] has opened. To be called while no service runs.
pub(crate) async fn reseal(store: &OrgStore, opened: &[u8], next: &SealingKey) -> Result<(), StoreError> {
    store.put(vec![Position::Grant.bytes(next.seal(&place(store.org()), opened))]).await
}
