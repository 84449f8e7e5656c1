//! The database on disk.
//!
//! ```text
//! DIR/orgpipe.lock    held as long as the store is open; has the process id in it
//! DIR/sled/           the database; `db` in it is the log
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
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use fs4::fs_std::FileExt;

use crate::{Durability, Options, error::StoreError, moves::BODY_BYTES_MAX, org};

/// How often sled works its log up and frees segments. Nothing relies on it for durability.
const BACKGROUND_FLUSH_MS: u64 = 500;
/// Times we ask for the database again while a former user of it in this process is still letting go.
const OPEN_ATTEMPTS_MAX: u32 = 40;
/// Time between them.
const OPEN_PAUSE: Duration = Duration::from_millis(25);

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

/// Where entries are kept.
pub(crate) trait Disk: Send {
    /// The value under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Shows every entry.
    fn each(&self, show: &mut Show<'_>) -> Result<(), StoreError>;
    /// Writes all or nothing, and waits until it is safe. Says in words why not.
    fn commit(&mut self, writes: Vec<org::Write>) -> Result<(), String>;
}

/// sled 0.34. Fields are dropped in this order: the lock goes last.
pub(crate) struct SledDisk {
    db: sled::Db,
    /// Keys that have more than one piece, and how many more.
    pieces: HashMap<Vec<u8>, u16>,
    /// The log, to be synced after each commit.
    log: Option<File>,
    _lock: File,
}

impl SledDisk {
    pub(crate) fn open(dir: &Path, options: Options) -> Result<Self, StoreError> {
        let db_dir = dir.join("sled");
        fs::create_dir_all(&db_dir).map_err(|source| file("create", &db_dir, source))?;
        let lock = lock(dir)?;
        remove_unfinished_snapshots(&db_dir)?;
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
        Ok(Self { db, pieces, log, _lock: lock })
    }
}

impl SledDisk {
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

    /// One batch, then one blocking flush: sled's own asynchronous flush hangs for good with seven callers. On Linux
    /// that flush leaves file size and extents to later, which a power cut would undo, so the log is synced as well.
    fn commit(&mut self, writes: Vec<org::Write>) -> Result<(), String> {
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
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
        self.log.as_ref().map_or(Ok(()), File::sync_data).map_err(|error| error.to_string())
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

/// Takes the lock that makes us the only user of the directory.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("orgpipe.lock");
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut lock = opened.map_err(|source| file("open", &path, source))?;
    if !FileExt::try_lock_exclusive(&lock).map_err(|source| file("lock", &path, source))? {
        let mut holder = String::new();
        // Who it is only helps the reader of the error: without it the error stands as well.
        let _ = lock.take(20).read_to_string(&mut holder);
        let holder = Some(holder.trim().to_owned()).filter(|holder| !holder.is_empty());
        return Err(StoreError::Locked { dir: dir.to_owned(), holder });
    }
    lock.set_len(0)
        .and_then(|()| writeln!(lock, "{}", std::process::id()))
        .map_err(|source| file("write", &path, source))?;
    Ok(lock)
}

/// A process that dies while sled writes a snapshot leaves `snap.*.generating`, which sled then takes for a broken
/// snapshot and refuses to open. The one before it is removed only after the new one is complete, so the unfinished
/// one is not needed.
fn remove_unfinished_snapshots(db_dir: &Path) -> Result<(), StoreError> {
    let entries = fs::read_dir(db_dir).map_err(|source| file("read", db_dir, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| file("read", db_dir, source))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            let path = entry.path();
            fs::remove_file(&path).map_err(|source| file("remove", &path, source))?;
            tracing::warn!(file = %name, "removed an unfinished snapshot of the database");
        }
    }
    Ok(())
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

fn file(doing: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::File { doing, path: PathBuf::from(path), source }
}
