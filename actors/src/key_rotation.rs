//! Another vault key: everything that the present one has sealed is sealed by the next one.
//!
//! Here: the order, so that a crash at any point leaves a data directory that can be brought on. Not here: one org's value
//! (`org/grant_store.rs`), the files (`sealing/key_file.rs`).
//!
//! 1. The present key opens something, or there is nothing to open.
//! 2. The next key is durable in a file of its own.
//! 3. Each value is sealed by it, one commit each; one that is so already is passed over.
//! 4. The next key's file takes the place of the present one's.
//!
//! While both files are there no service starts, and this is done once more. A key of the environment has no file: there
//! both keys are given once more.

use std::path::Path;

use orgpipe_store::{RegistryWrite, Store, StoreError};
use serde::Serialize;

use crate::{
    failpoint::{Failpoints, Point},
    org::{
        grant_store::{SealedBy, reseal, sealed_by},
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
    /// Orgs whose refresh token the next key seals now; those that it had sealed before a crash are among them.
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
    /// The next one is the present one.
    #[error("the next vault key is the present one")]
    SameKey,
    /// It is not the key that sealed what is there.
    #[error("the vault key opens none of the {orgs} refresh tokens that are stored; nothing was changed")]
    OpensNothing {
        /// How many orgs have one.
        orgs: usize,
    },
    /// It was changed, and what was to be kept of that is not.
    #[error("the vault key was changed, but that is not kept in the audit: {0}")]
    NotKept(#[source] StoreError),
}

impl RotationError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Store(error) | Self::NotKept(error) => return error.hint(),
            Self::File(error) => error.hint().to_owned(),
            Self::NoKey => "It is made when the service starts first; there is nothing to change.".to_owned(),
            Self::NoNext => {
                "Put the next key into another variable, and name that with `--next-key-env NAME`.".to_owned()
            }
            Self::NextIsMade => "Leave out `--next-key-env`.".to_owned(),
            Self::SameKey => {
                "Put another one, made by `openssl rand -base64 32`, into that variable.".to_owned()
            }
            Self::OpensNothing { .. } => {
                "Put back the key that this data directory was last used with, and change it then.".to_owned()
            }
        })
    }
}

/// Changes the vault key of these settings' data directory. `next`: the next key where the present one comes from the
/// environment; the operator gives it to the service afterwards. `kept`: what is stored of it once it is done. No service may
/// run meanwhile.
///
/// # Errors
/// A service has the data directory open, a key cannot be read or made, or the present key opens nothing of what is sealed;
/// all is as it was then. Or the disk fails: what is sealed by the next key already stays so, and a second call goes on.
pub async fn rotate_vault_key(
    settings: &Settings,
    next: Option<SealingKey>,
    kept: RegistryWrite,
) -> Result<KeyRotation, RotationError> {
    match (&settings.vault_key, &next) {
        (VaultKey::Given(_), None) => return Err(RotationError::NoNext),
        (VaultKey::File(_), Some(_)) => return Err(RotationError::NextIsMade),
        (VaultKey::Given(present), Some(next)) if **present == *next => return Err(RotationError::SameKey),
        (VaultKey::Given(_), Some(_)) | (VaultKey::File(_), None) => {}
    }
    let store = Store::open_existing(&settings.data_dir)?;
    // The keys are read while nobody else can have the directory, and so can change them.
    let rotated = match (&settings.vault_key, next) {
        (VaultKey::Given(present), Some(next)) => match find(&store, present, Some(&next)).await {
            Ok(found) => reseal_all(found, &settings.failpoints, &next).await,
            Err(error) => Err(error),
        },
        (VaultKey::Given(_), None) => Err(RotationError::NoNext),
        (VaultKey::File(path), _) => in_file(&store, settings, path).await,
    };
    let kept = if rotated.is_ok() { store.register(vec![kept]).await } else { Ok(()) };
    let closed = store.close().await;
    let rotation = rotated?;
    kept.map_err(RotationError::NotKept)?;
    closed?;
    Ok(rotation)
}

/// The next key is made beside the present one's file, and takes its place.
async fn in_file(store: &Store, settings: &Settings, path: &Path) -> Result<KeyRotation, RotationError> {
    let present = key_file::read(path)?.ok_or(RotationError::NoKey)?;
    let coming = key_file::next(path);
    // There already if a change was cut off.
    let next = key_file::read(&coming)?;
    let found = find(store, &present, next.as_ref()).await?;
    let next = match next {
        Some(next) => next,
        None => key_file::make(&coming)?,
    };
    let rotation = reseal_all(found, &settings.failpoints, &next).await?;
    key_file::replace(path)?;
    Ok(rotation)
}

/// What is sealed, by which key.
struct SealedGrants {
    /// By the present one, with what it opened.
    by_present: Vec<(OrgStore, Vec<u8>)>,
    /// By the next one.
    by_next: usize,
    /// By neither.
    unreadable: Vec<String>,
}

async fn find(
    store: &Store,
    present: &SealingKey,
    next: Option<&SealingKey>,
) -> Result<SealedGrants, RotationError> {
    let mut found = SealedGrants { by_present: Vec::new(), by_next: 0, unreadable: Vec::new() };
    for (org, _) in store.orgs().await? {
        let org = OrgStore::new(store.clone(), &org);
        match sealed_by(&org, present, next).await? {
            SealedBy::Nobody => {}
            SealedBy::Present(grant) => found.by_present.push((org, grant)),
            SealedBy::Next => found.by_next += 1,
            SealedBy::Another => found.unreadable.push(org.org().to_owned()),
        }
    }
    // Such a key is that of another data directory, or a wrong one: it is not thrown away.
    let opens_nothing = found.by_present.is_empty() && found.by_next == 0;
    if opens_nothing && !found.unreadable.is_empty() {
        return Err(RotationError::OpensNothing { orgs: found.unreadable.len() });
    }
    Ok(found)
}

async fn reseal_all(
    found: SealedGrants,
    failpoints: &Failpoints,
    next: &SealingKey,
) -> Result<KeyRotation, RotationError> {
    let SealedGrants { by_present, by_next, unreadable } = found;
    for (org, grant) in &by_present {
        failpoints.pass(Point::BeforeReseal, org.org());
        reseal(org, grant, next).await?;
    }
    Ok(KeyRotation { resealed: by_present.len() + by_next, unreadable })
}

#[cfg(test)]
mod tests {
    use orgpipe_store::{Durability, Options};
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::{org::store::Position, sealing::tests::key};

    fn other_key() -> SealingKey {
        SealingKey::parse(SealingKey::generate().expose_secret()).expect("a key")
    }

    /// A store in memory with a grant of each of these orgs, sealed by that key; `plain` has none.
    async fn filled(orgs: &[(&str, &SealingKey)]) -> Store {
        let options = Options {
            durability: Durability::Process,
            cache_bytes: 1,
            depth_max: 1_000,
            ledger_days: 1,
            free_bytes_min: 0,
        };
        let store = Store::in_memory(options).expect("a store");
        for (org, key) in orgs {
            let org = OrgStore::new(store.clone(), org);
            reseal(&org, format!("granted by {}", org.org()).as_bytes(), key).await.expect("stored");
        }
        let plain = OrgStore::new(store.clone(), "plain");
        plain.put(vec![Position::OrgId.bytes(b"00D".to_vec())]).await.expect("stored");
        store
    }

    async fn counts(store: &Store, present: &SealingKey, next: &SealingKey) -> (usize, usize, Vec<String>) {
        let found = find(store, present, Some(next)).await.expect("one of them is right");
        (found.by_present.len(), found.by_next, found.unreadable)
    }

    #[actix_rt::test]
    async fn a_change_that_was_cut_off_goes_on_where_it_stopped() {
        let (present, next, lost) = (key(), other_key(), other_key());
        let store =
            filled(&[("acme", &next), ("globex", &present), ("initech", &lost), ("umbrella", &present)])
                .await;
        let unreadable = vec!["initech".to_owned()];
        assert_eq!(counts(&store, &present, &next).await, (2, 1, unreadable.clone()));
        let before = OrgStore::new(store.clone(), "acme").bytes(Position::Grant).await.expect("readable");
        for already in [1, 3] {
            let found = find(&store, &present, Some(&next)).await.expect("right keys");
            assert_eq!(found.by_next, already);
            let rotation = reseal_all(found, &Failpoints::default(), &next).await.expect("stored");
            assert_eq!(rotation, KeyRotation { resealed: 3, unreadable: unreadable.clone() });
        }
        for org in ["acme", "globex", "umbrella"] {
            let org = OrgStore::new(store.clone(), org);
            let sealed = sealed_by(&org, &next, None).await.expect("readable");
            assert!(matches!(sealed, SealedBy::Present(grant) if grant.ends_with(org.org().as_bytes())));
        }
        let after = OrgStore::new(store.clone(), "acme").bytes(Position::Grant).await.expect("readable");
        assert_eq!(before, after, "what is sealed by the next key already is left as it is");
    }

    #[actix_rt::test]
    async fn a_key_that_opens_nothing_is_not_changed() {
        let (present, next, other) = (key(), other_key(), other_key());
        let store = filled(&[("acme", &other), ("globex", &other)]).await;
        let error = find(&store, &present, Some(&next)).await.err().expect("refused");
        assert!(matches!(error, RotationError::OpensNothing { orgs: 2 }), "{error}");
        let store = filled(&[]).await;
        assert_eq!(
            counts(&store, &present, &next).await,
            (0, 0, Vec::new()),
            "where nothing is sealed, any will do"
        );
    }
}
