//! Another vault key: everything that the present one has sealed is sealed by the next one.
//!
//! Here: the order, so that a crash at any point leaves a data directory that can be brought on. Not here: one org's value
//! (`org/grant_store.rs`), the files (`sealing/key_file.rs`).
//!
//! 1. The next key is durable in a file of its own.
//! 2. Each value is sealed by it, one commit each; one that is so already is passed over.
//! 3. The next key's file takes the place of the present one's.
//!
//! While both files are there no service starts, and this is done once more.

use orgpipe_store::{Durability, Options, Store, StoreError};
use serde::Serialize;

use crate::{
    org::{
        grant_store::{Resealed, reseal},
        store::OrgStore,
    },
    sealing::{
        SealingKey,
        key_file::{self, KeyFileError},
    },
    settings::{Settings, VaultKey},
};

/// What a change of the vault key came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeyRotation {
    /// Orgs whose refresh token the next key seals now.
    pub resealed: usize,
    /// Orgs whose refresh token neither key opens; it is left as it is.
    pub unreadable: Vec<String>,
}

/// Why the vault key was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The data directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of a key.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// Nothing was sealed yet.
    #[error("there is no vault key yet")]
    NoKey,
    /// Where the next key is to come from is not said, or cannot be followed.
    #[error("the vault key comes from a variable, and where the next one comes from is not said")]
    NoNext,
    /// It comes from a file, which is replaced.
    #[error("the vault key stands in a file, in which the next one is made")]
    NextIsMade,
}

impl RotationError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Store(error) => return error.hint(),
            Self::File(error) => error.hint().to_owned(),
            Self::NoKey => "It is made when the service starts first; there is nothing to change.".to_owned(),
            Self::NoNext => {
                "Put the next key into another variable, and name that with `--next-key-env NAME`.".to_owned()
            }
            Self::NextIsMade => "Leave out `--next-key-env`.".to_owned(),
        })
    }
}

/// Changes the vault key of these settings' data directory. `next`: the next key where the present one comes from the
/// environment; the operator gives it to the service afterwards. No service may run meanwhile.
pub async fn rotate_vault_key(
    settings: &Settings,
    next: Option<SealingKey>,
) -> Result<KeyRotation, RotationError> {
    let options = Options {
        durability: Durability::Power,
        cache_bytes: settings.cache_bytes,
        depth_max: settings.queue_max,
        ledger_days: settings.ledger_days,
        free_bytes_min: settings.free_bytes_min,
    };
    match (&settings.vault_key, next) {
        (VaultKey::Given(_), None) => Err(RotationError::NoNext),
        (VaultKey::File(_), Some(_)) => Err(RotationError::NextIsMade),
        (VaultKey::Given(old), Some(next)) => {
            let store = Store::open(&settings.data_dir, options)?;
            let rotation = reseal_all(&store, old, &next).await;
            store.close().await?;
            Ok(rotation?)
        }
        (VaultKey::File(path), None) => {
            let old = key_file::read(path)?.ok_or(RotationError::NoKey)?;
            let store = Store::open(&settings.data_dir, options)?;
            let rotation = async {
                let coming = key_file::next(path);
                let next = match key_file::read(&coming)? {
                    Some(next) => next,
                    None => key_file::make(&coming)?,
                };
                let rotation = reseal_all(&store, &old, &next).await?;
                key_file::replace(path)?;
                Ok::<_, RotationError>(rotation)
            };
            let rotation = rotation.await;
            store.close().await?;
            rotation
        }
    }
}

async fn reseal_all(store: &Store, old: &SealingKey, next: &SealingKey) -> Result<KeyRotation, StoreError> {
    let mut rotation = KeyRotation::default();
    for (org, _) in store.orgs().await? {
        match reseal(&OrgStore::new(store.clone(), &org), old, next).await? {
            Resealed::Nothing => {}
            Resealed::Done => rotation.resealed += 1,
            Resealed::Unreadable => rotation.unreadable.push(org),
        }
    }
    Ok(rotation)
}
