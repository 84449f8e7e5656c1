//! The database on disk.
//!
//! ```text
//! DIR/sled/           the database; `db` in it is the log. What else is in DIR: `files.rs`
//! ```
//!
//! A long value is stored in pieces, the first under its key, the others under `x KEY NUMBER` (u16, from 1), because
//! sled puts a page of more than 128 KiB into a file of its own, which it never syncs. A piece that is missing leaves
//! the frame shorter than it says.
//!
//! Here: the only file that knows sled, and the ways round its traps. Not here: what is stored.
//!
//! Invariant: `commit` is atomic, and returns only after what it wrote would survive (see `Durability`).

use std::{
    collections::HashMap,
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use crate::{
    commands::BODY_BYTES_MAX,
    entry::{FORMAT, Mark, is_known_format},
    error::StoreError,
    files::{self, FileIdentity, file},
    frame,
    keys::{KINDS, Key},
    options::{Durability, Options},
    seq::Seq,
    step::Write,
    superblock::{self, Superblock},
};

/// How often sled works its log up and frees segments. Nothing relies on it for durability.
const BACKGROUND_FLUSH_MS: u64 = 500;
/// Times we ask for the database again while a former user of it in this process is still letting go.
const OPEN_ATTEMPTS_MAX: u32 = 40;
/// Time between them.
const OPEN_PAUSE: Duration = Duration::from_millis(25);

/// sled's log, in the directory of the database.
const LOG: &str = "db";
/// Bytes of a piece of a long value.
const PIECE_BYTES: usize = 6 * 1024;
/// Values that sled lets come together in one page: it splits one of more than 16, and merges one of 4 into another.
const PAGE_VALUES_MAX: usize = 20;
/// Bytes from which sled stores a page in a file of its own: a quarter of a segment, and some room for its heads.
const PAGE_BYTES_MAX: usize = 128 * 1024 - 4 * 1024;
/// First byte of the keys of pieces after the first; no key begins with it.
const PIECE: u8 = b'x';

const _: () = assert!(PIECE_BYTES * PAGE_VALUES_MAX < PAGE_BYTES_MAX);
const _: () = assert!(3 * BODY_BYTES_MAX / PIECE_BYTES < u16::MAX as usize);

/// Is shown the key and value of an entry.
pub(crate) type Show<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError> + 'a;

/// Is shown the key and value of an entry, or told in a sentence what cannot be read.
pub(crate) type ShowReadable<'a> = dyn FnMut(Result<(&[u8], &[u8]), String>) -> Result<(), StoreError> + 'a;

/// Where entries are kept.
pub(crate) trait Disk: Send {
    /// The value under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Shows every entry.
    fn each(&self, show: &mut Show<'_>) -> Result<(), StoreError>;
    /// The number in the superblock: one that has been given, written beside the entries before they were opened.
    fn given_before(&self) -> Option<Seq>;
    /// Bytes that are free where the entries are; None if nobody knows.
    fn free_bytes(&self) -> Option<u64>;
    /// The file that is gone, or another one by now: what is written reaches nobody any more.
    fn gone(&self) -> Option<PathBuf> {
        None
    }
    /// Writes all or nothing, and waits until it is safe. Says in words why not.
    fn commit(&mut self, writes: Vec<Write>) -> Result<(), String>;
}

/// sled 0.34. Fields are dropped in this order: the lock goes last.
pub(crate) struct SledDisk {
    db: sled::Db,
    /// Keys that have more than one piece, and how many more.
    pieces: HashMap<Vec<u8>, u16>,
    /// The log, to be synced after each commit.
    log: Option<File>,
    /// The superblock as it was read or written last.
    superblock: Option<Superblock>,
    /// The file that it is written to.
    superblock_file: File,
    db_dir: PathBuf,
    lock: Arc<File>,
    /// Which file the log was when it was opened.
    identity: FileIdentity,
}

impl SledDisk {
    /// Opens the database of a directory, creating both if need be.
    pub(crate) fn open(dir: &Path, options: Options) -> Result<Self, StoreError> {
        files::create_private_dir(dir)?;
        let lock = files::lock(dir)?;
        files::finish_swap(dir)?;
        Self::open_in(dir, files::DATABASE, lock, options)
    }

    /// Opens the database of a directory that has one.
    pub(crate) fn open_existing(dir: &Path, options: Options) -> Result<Self, StoreError> {
        if !files::has_database(dir) {
            return Err(StoreError::NoStore { dir: dir.to_owned() });
        }
        Self::open(dir, options)
    }

    /// Opens or creates a database of another name beside, under the same lock.
    pub(crate) fn beside(&self, name: &str, options: Options) -> Result<Self, StoreError> {
        let dir = self.db_dir.parent().unwrap_or(Path::new("."));
        Self::open_in(dir, name, Arc::clone(&self.lock), options)
    }

    /// Opens or creates the database of this name in a directory whose lock is held.
    pub(crate) fn open_in(
        dir: &Path,
        name: &str,
        lock: Arc<File>,
        options: Options,
    ) -> Result<Self, StoreError> {
        let db_dir = dir.join(name);
        files::create_private_dir(&db_dir)?;
        files::make_private(&db_dir)?;
        let superblock = superblock::read(&db_dir)?;
        if let Some(Superblock { format: found, .. }) =
            superblock.filter(|known| !is_known_format(known.format))
        {
            return Err(StoreError::Format { found, known: FORMAT });
        }
        files::remove_unfinished_snapshots(&db_dir)?;
        let config = sled::Config::new()
            .path(&db_dir)
            .cache_capacity(options.cache_bytes)
            .flush_every_ms(Some(BACKGROUND_FLUSH_MS));
        let db = open_sled(&config).map_err(|text| StoreError::Open { dir: db_dir.clone(), text })?;
        let log = match options.durability {
            Durability::Process => None,
            Durability::Power => {
                for dir in [dir, &db_dir] {
                    File::open(dir)
                        .and_then(|dir| dir.sync_all())
                        .map_err(|source| file("sync", dir, source))?;
                }
                let path = db_dir.join("db");
                Some(File::open(&path).map_err(|source| file("open", &path, source))?)
            }
        };
        let pieces = values_in_pieces(&db)?;
        let identity = files::identity(&db_dir.join(LOG))?;
        let superblock_file = superblock::open(&db_dir)?;
        Ok(Self { db, pieces, log, superblock, superblock_file, db_dir, lock, identity })
    }
}

impl SledDisk {
    /// Where the database's files are.
    pub(crate) fn db_dir(&self) -> &Path {
        &self.db_dir
    }

    /// Ends it, and waits until no thread of sled's has its files open any more. The lock stays for as long as the
    /// answer is held.
    pub(crate) fn close(self) -> Result<Arc<File>, StoreError> {
        let Self { db, db_dir, lock, .. } = self;
        drop(db);
        files::wait_until_free(&db_dir)?;
        Ok(lock)
    }

    /// Shows every entry that can be read, and says in a sentence what cannot.
    pub(crate) fn each_readable(&self, show: &mut ShowReadable<'_>) -> Result<(), StoreError> {
        // Kind by kind: what cannot be read ends only its own kind.
        for (kind, name) in KINDS {
            let mut entries = self.db.scan_prefix([*kind]);
            loop {
                let (key, value) = match guarded(|| entries.next().transpose()) {
                    Ok(Some(entry)) => entry,
                    Ok(None) => break,
                    Err(text) => {
                        show(Err(format!("some of {name} cannot be read: {text}")))?;
                        break;
                    }
                };
                let whole = if self.more(&key) == 0 { Ok(None) } else { self.get(&key) };
                match whole {
                    Ok(whole) => show(Ok((&key, whole.as_deref().unwrap_or(&value))))?,
                    Err(error) => show(Err(format!("one of {name} cannot be read: {error}")))?,
                }
            }
        }
        Ok(())
    }

    /// Pieces that a value has beyond its first.
    fn more(&self, key: &[u8]) -> u16 {
        self.pieces.get(key).copied().unwrap_or(0)
    }
}

impl Disk for SledDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(first) = guarded(|| self.db.get(key)).map_err(|text| StoreError::Read { text })? else {
            return Ok(None);
        };
        let mut value = first.to_vec();
        for number in 1..=self.more(key) {
            let piece = guarded(|| self.db.get(piece_key(key, number)));
            value.extend_from_slice(&piece.map_err(|text| StoreError::Read { text })?.unwrap_or_default());
        }
        Ok(Some(value))
    }

    fn each(&self, show: &mut Show<'_>) -> Result<(), StoreError> {
        let mut entries = self.db.iter();
        while let Some((key, value)) =
            guarded(|| entries.next().transpose()).map_err(|text| StoreError::Read { text })?
        {
            if key.first() == Some(&PIECE) {
                continue;
            }
            let whole = if self.more(&key) == 0 { None } else { self.get(&key)? };
            show(&key, whole.as_deref().unwrap_or(&value))?;
        }
        Ok(())
    }

    fn given_before(&self) -> Option<Seq> {
        self.superblock.map(|superblock| superblock.sequence)
    }

    /// Whoever cannot be asked is not taken for gone.
    fn gone(&self) -> Option<PathBuf> {
        let path = self.db_dir.join(LOG);
        match files::identity(&path) {
            Ok(now) if now == self.identity => None,
            Ok(_) => Some(path),
            Err(StoreError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Some(path),
            Err(_) => None,
        }
    }

    fn free_bytes(&self) -> Option<u64> {
        fs4::available_space(&self.db_dir).ok()
    }

    /// One batch, then one blocking flush: sled's own asynchronous flush hangs for good with seven callers. On Linux
    /// that flush leaves file size and extents to later, which a power cut would undo, so the log is synced as well.
    fn commit(&mut self, writes: Vec<Write>) -> Result<(), String> {
        let mut batch = sled::Batch::default();
        let mut given = None;
        for (key, value) in writes {
            if let (Some(Key::Mark), Some(value)) = (Key::parse(&key), &value) {
                given = frame::open(&key, value).ok().and_then(Mark::decode).map(|mark| mark.sequence);
            }
            let mut more = 0;
            match &value {
                Some(value) => {
                    let (first, rest) = value.split_at(value.len().min(PIECE_BYTES));
                    batch.insert(key.as_slice(), first);
                    for piece in rest.chunks(PIECE_BYTES) {
                        more += 1;
                        batch.insert(piece_key(&key, more), piece);
                    }
                }
                None => batch.remove(key.as_slice()),
            }
            for number in more + 1..=self.more(&key) {
                batch.remove(piece_key(&key, number));
            }
            if more == 0 {
                self.pieces.remove(&key)
            } else {
                self.pieces.insert(key, more)
            };
        }
        guarded(|| self.db.apply_batch(batch))?;
        guarded(|| self.db.flush())?;
        self.log.as_ref().map_or(Ok(()), File::sync_data).map_err(|error| error.to_string())?;
        // What is not synced may be gone after a power cut, and must not be missed then.
        let given = if self.log.is_some() {
            given
        } else {
            given.filter(|_| self.superblock.is_none()).map(|_| Seq::MIN)
        };
        let Some(sequence) = given else { return Ok(()) };
        let superblock = Superblock { format: FORMAT, sequence };
        self.superblock = Some(superblock);
        superblock::write(&self.superblock_file, superblock).map_err(|error| error.to_string())
    }
}

fn piece_key(key: &[u8], number: u16) -> Vec<u8> {
    [&[PIECE], key, &number.to_be_bytes()].concat()
}

/// The keys that have more than one piece, and how many more.
fn values_in_pieces(db: &sled::Db) -> Result<HashMap<Vec<u8>, u16>, StoreError> {
    let mut long = HashMap::new();
    let mut pieces = db.scan_prefix([PIECE]);
    while let Some((piece, _)) =
        guarded(|| pieces.next().transpose()).map_err(|text| StoreError::Read { text })?
    {
        if let Some((key, number)) = piece[1..].split_last_chunk::<2>() {
            let more: &mut u16 = long.entry(key.to_vec()).or_default();
            *more = (*more).max(u16::from_be_bytes(*number));
        }
    }
    Ok(long)
}

/// We hold the lock, so whoever still holds sled's own is a thread of a store that is ending in this process.
pub(crate) fn open_sled(config: &sled::Config) -> Result<sled::Db, String> {
    let mut attempt = 1;
    loop {
        match guarded(|| config.open()) {
            Err(text) if text.contains("could not acquire lock") && attempt < OPEN_ATTEMPTS_MAX => {
                attempt += 1;
                thread::sleep(OPEN_PAUSE);
            }
            result => return result,
        }
    }
}

/// Runs something of sled's, which panics over damaged files.
fn guarded<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            Err(format!("it broke off: {text}"))
        }
    }
}
