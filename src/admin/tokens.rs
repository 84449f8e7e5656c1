//! Who may ask: tokens, each with a name and a role, kept in the store's registry as hashes.
//!
//! Here: making, telling, adding, listing and revoking them, and the file with the first one. Not here: requests
//! (`access`, `token_commands`).
//!
//! Invariant: there is always a token of the role `admin`; the first one is made at the first start.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use clap::ValueEnum;
use orgpipe_actors::Service;
use orgpipe_store::{RegistryWrite, Store, StoreError, UnixMs};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::secret::{self, NoChance, SecretHash};
use crate::audit_log;

/// What the store's registry calls them.
pub(crate) const TOKEN_KIND: &str = "admin token";
/// In front of each token.
const PREFIX: &str = "op_";
/// Name of the one that is made at the first start.
const FIRST: &str = "first";
/// How many there may be.
const TOKENS_MAX: usize = 1_000;
/// Characters of a token's name.
const NAME_CHARS_MAX: usize = 64;

/// What a token lets its owner do; each lets do what those before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Look at everything but the values of records.
    Read,
    /// Also give commands to orgs and about dead letters, examine orgs, and see values of records.
    Operate,
    /// Also remove what is stored of an org, and give out and revoke tokens.
    Admin,
}

impl Role {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

/// A token, without what it is itself.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// Under which what its owner does is remembered.
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) hash: SecretHash,
    pub(super) created_ms: UnixMs,
}

/// A token as it is stored under its name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredToken {
    role: Role,
    sha256: String,
    created_ms: UnixMs,
}

impl Token {
    /// A token of that name, and what its owner has to show.
    fn new(name: &str, role: Role, created_ms: UnixMs) -> Result<(Self, SecretString), NoChance> {
        let secret = secret::random(PREFIX)?;
        let hash = SecretHash::of(secret.expose_secret());
        Ok((Self { name: name.to_owned(), role, hash, created_ms }, secret))
    }

    fn write(&self) -> RegistryWrite {
        let Self { name, role, hash, created_ms } = self;
        let stored = StoredToken { role: *role, sha256: hash.to_hex(), created_ms: *created_ms };
        let value = serde_json::to_vec(&stored).expect("plain values become JSON");
        RegistryWrite { kind: TOKEN_KIND.to_owned(), name: name.clone(), value: Some(value) }
    }

    fn read(name: String, value: &[u8]) -> Result<Self, TokenError> {
        let stored = serde_json::from_slice::<StoredToken>(value).ok();
        let read = stored
            .and_then(|stored| Some((SecretHash::from_hex(&stored.sha256)?, stored.role, stored.created_ms)));
        let Some((hash, role, created_ms)) = read else { return Err(TokenError::Unreadable(name)) };
        Ok(Self { name, role, hash, created_ms })
    }
}

fn removal(name: &str) -> RegistryWrite {
    RegistryWrite { kind: TOKEN_KIND.to_owned(), name: name.to_owned(), value: None }
}

/// Why something about tokens was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("`{0}` is no name for a token")]
    Name(String),
    #[error("there is a token `{0}` already")]
    Exists(String),
    #[error("there is no token `{0}`")]
    Unknown(String),
    #[error("`{0}` is the last token of the role admin")]
    LastAdmin(String),
    #[error("there are {TOKENS_MAX} tokens, and no more are kept")]
    TooMany,
    #[error("the stored token `{0}` cannot be read")]
    Unreadable(String),
    #[error(transparent)]
    NoChance(#[from] NoChance),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TokenError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Name(_) => format!(
                "Use 1 to {NAME_CHARS_MAX} letters, digits, `.`, `-`, `_` and `@`; commands are remembered under it."
            ),
            Self::Exists(_) => "Give another name, or revoke that one first.".to_owned(),
            Self::Unknown(_) => "`orgpipe tokens list` shows them all.".to_owned(),
            Self::LastAdmin(_) => {
                "Without one nobody could give out tokens: add another of the role admin first.".to_owned()
            }
            Self::TooMany => "Revoke those that nobody uses.".to_owned(),
            Self::Unreadable(_) => {
                "Start the version of orgpipe that wrote it, or make new tokens with `orgpipe tokens reset`."
                    .to_owned()
            }
            Self::NoChance(_) => return None,
            Self::Store(error) => return error.hint(),
        })
    }
}

/// The token that was made because there was none.
pub(crate) struct FirstToken {
    /// What its owner has to show.
    pub(crate) secret: SecretString,
    /// The file that it is in, for the command line on this machine.
    pub(crate) file: PathBuf,
    /// Why it is not in there.
    pub(crate) unwritten: Option<io::Error>,
}

/// The tokens of the running service.
pub(super) struct Tokens {
    service: Service,
    known: RwLock<Vec<Token>>,
    /// Held while they are changed, in the store and in `known`.
    change: Mutex<()>,
}

impl Tokens {
    /// Those that are stored. If there are none, one is made, which is told this once.
    pub(super) async fn load(
        service: Service,
        data_dir: &Path,
    ) -> Result<(Self, Option<FirstToken>), TokenError> {
        let stored = service.registry(TOKEN_KIND).await?.into_iter();
        let (mut known, mut unreadable) = (Vec::new(), None);
        for (name, value) in stored {
            match Token::read(name, &value) {
                Ok(token) => known.push(token),
                Err(error) => {
                    tracing::error!("a token is left out: {error}");
                    unreadable = Some(error);
                }
            }
        }
        if let Some(error) = unreadable
            && !known.iter().any(|token: &Token| token.role == Role::Admin)
        {
            return Err(error);
        }
        let mut first = None;
        if known.is_empty() {
            let (token, made) = first_token(data_dir, service.clock().now_ms())?;
            service.register(vec![token.write()]).await?;
            known.push(token);
            first = Some(made);
        }
        Ok((Self { service, known: RwLock::new(known), change: Mutex::default() }, first))
    }

    fn known(&self) -> RwLockReadGuard<'_, Vec<Token>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token of this hash.
    pub(super) fn find(&self, hash: &SecretHash) -> Option<Token> {
        // All are looked at, so that it takes the same time whichever it is.
        let known = self.known();
        known.iter().fold(None, |found, token| if token.hash.is(hash) { Some(token.clone()) } else { found })
    }

    /// All, by name.
    pub(super) fn all(&self) -> Vec<Token> {
        let mut all = self.known().clone();
        all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Makes one more; gives what its owner has to show.
    pub(super) async fn add(&self, name: &str, role: Role) -> Result<SecretString, TokenError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(is_plain) {
            return Err(TokenError::Name(name.chars().take(NAME_CHARS_MAX).collect()));
        }
        let _change = self.change.lock().await;
        if self.known().iter().any(|token| token.name == name) {
            return Err(TokenError::Exists(name.to_owned()));
        }
        if self.known().len() >= TOKENS_MAX {
            return Err(TokenError::TooMany);
        }
        let (token, secret) = Token::new(name, role, self.service.clock().now_ms())?;
        self.service.register(vec![token.write()]).await?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).push(token);
        Ok(secret)
    }

    /// Lets one be of no more use.
    pub(super) async fn revoke(&self, name: &str) -> Result<(), TokenError> {
        let _change = self.change.lock().await;
        let role = self.known().iter().find(|token| token.name == name).map(|token| token.role);
        let role = role.ok_or_else(|| TokenError::Unknown(name.to_owned()))?;
        let admins = self.known().iter().filter(|token| token.role == Role::Admin).count();
        if role == Role::Admin && admins == 1 {
            return Err(TokenError::LastAdmin(name.to_owned()));
        }
        self.service.register(vec![removal(name)]).await?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).retain(|token| token.name != name);
        Ok(())
    }
}

/// Revokes all that are in the store of a service that does not run, and makes a first one.
pub(crate) async fn reset(store: &Store, data_dir: &Path, now_ms: UnixMs) -> Result<FirstToken, TokenError> {
    let stored = store.registry(TOKEN_KIND).await?;
    let (token, made) = first_token(data_dir, now_ms)?;
    let gone = stored.iter().map(|(name, _)| removal(name));
    let kept = audit_log::without_service("reset tokens", now_ms);
    store.register(gone.chain([token.write(), kept]).collect()).await?;
    Ok(made)
}

/// Makes a first token and writes it to its file. It is of use once it is registered: were that done first, a crash in
/// between would leave a token that nobody has.
fn first_token(data_dir: &Path, now_ms: UnixMs) -> Result<(Token, FirstToken), TokenError> {
    let (token, secret) = Token::new(FIRST, Role::Admin, now_ms)?;
    let file = file_beside(data_dir);
    let unwritten = write_private(&file, secret.expose_secret()).err();
    Ok((token, FirstToken { secret, file, unwritten }))
}

/// `data.token` beside `data`.
fn file_beside(data_dir: &Path) -> PathBuf {
    let mut name = data_dir.file_name().unwrap_or("data".as_ref()).to_owned();
    name.push(".token");
    data_dir.with_file_name(name)
}

/// Puts a file that only its owner may read in the place of the one that is there.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    writeln!(file, "{text}")?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_beside_the_data_directory_and_only_for_its_owner() {
        for (data_dir, expected) in [
            ("data", "data.token"),
            ("/var/lib/orgpipe/data/", "/var/lib/orgpipe/data.token"),
            ("x/y.z", "x/y.z.token"),
        ] {
            assert_eq!(file_beside(Path::new(data_dir)), Path::new(expected));
        }
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("data.token");
        std::fs::write(&file, "an older one, open to all").expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("set");
        write_private(&file, "op_1").expect("written");
        assert_eq!(std::fs::read_to_string(&file).expect("readable"), "op_1\n");
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(write_private(&folder.path().join("none/data.token"), "op_1").is_err());
    }

    #[test]
    fn a_token_is_read_back_and_one_that_is_not_understood_is_named() {
        let (token, secret) = Token::new("ci", Role::Operate, UnixMs(7)).expect("a token");
        let write = token.write();
        let value = write.value.expect("a value");
        let text = String::from_utf8(value.clone()).expect("JSON");
        assert!(!text.contains(&secret.expose_secret()[PREFIX.len()..]), "{text}");
        let read = Token::read(write.name, &value).expect("it is one");
        assert_eq!((read.name.as_str(), read.role, read.created_ms), ("ci", Role::Operate, UnixMs(7)));
        assert!(read.hash.is(&SecretHash::of(secret.expose_secret())));
        for other in ["", "{}", &text.replace("operate", "root"), &text.replace("sha256", "sha3"), "[1]"] {
            let error = Token::read("ci".to_owned(), other.as_bytes()).expect_err(other);
            assert_eq!(error.to_string(), "the stored token `ci` cannot be read");
            assert!(error.hint().is_some_and(|hint| hint.contains("tokens reset")));
        }
    }

    #[test]
    fn roles_rise() {
        assert!(Role::Read < Role::Operate && Role::Operate < Role::Admin);
        for role in Role::value_variants() {
            assert_eq!(serde_json::to_value(role).expect("JSON"), role.name());
        }
    }
}
