//! Why the store said no.
//!
//! Here: one enum, its sentences and hints. Not here: whether to wait or to stop the service (the caller).

use std::{fmt, io, path::PathBuf};

use crate::seq::Seq;

/// Why the store said no. A refused call has changed nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the directory.
    #[error("the data directory `{dir}` is in use by {}", holder.as_ref().map_or("another process".to_owned(), |id| format!("process {id}")))]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// Process id written by the other one, if it could be read.
        holder: Option<String>,
    },
    /// A file or directory does not do what it must.
    #[error("cannot {doing} `{path}`")]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The database does not open.
    #[error("the database in `{dir}` cannot be opened: {text}")]
    Open {
        /// Directory of the database.
        dir: PathBuf,
        /// What the database said.
        text: String,
    },
    /// The database was written by a version that we do not know.
    #[error("the database has format {found}, and this version knows format {known}")]
    Format {
        /// Format found.
        found: u32,
        /// Format known.
        known: u32,
    },
    /// An entry is not what was written.
    #[error("the database is damaged: {entry} {what}")]
    Damaged {
        /// Which entry.
        entry: String,
        /// What is wrong with it.
        what: String,
    },
    /// There is no database.
    #[error("the data directory `{dir}` has no database")]
    NoStore {
        /// The directory.
        dir: PathBuf,
    },
    /// There is a database already.
    #[error("the data directory `{dir}` has a database already")]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// An exported file is of another version.
    #[error("the export `{path}` has version {found}, and this orgpipe reads versions up to {known}")]
    ExportVersion {
        /// The file.
        path: PathBuf,
        /// Version found.
        found: u32,
        /// Highest version known.
        known: u32,
    },
    /// An exported file is not what was written.
    #[error("line {line} of the export `{path}` {what}")]
    Export {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// An exported file lacks what could not be read.
    #[error("the export `{path}` is of a damaged database: {what}")]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What is missing first.
        what: String,
    },
    /// Entries are missing, or there are too many.
    #[error("the database is damaged: org `{org}` must have {expected} {what}, and {found} were found")]
    Unaccounted {
        /// The org.
        org: String,
        /// What was counted.
        what: &'static str,
        /// How many the ledger says.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// A new database cannot be written.
    #[error("the new database in `{dir}` cannot be written: {text}")]
    Write {
        /// Directory of the new database.
        dir: PathBuf,
        /// What the database said.
        text: String,
    },
    /// The database cannot be read.
    #[error("the database cannot be read: {text}")]
    Read {
        /// What the database said.
        text: String,
    },
    /// Too much waits already.
    #[error("org `{org}` has {open} records waiting, and {more} more would pass the limit of {depth_max}")]
    Full {
        /// The org.
        org: String,
        /// Records waiting.
        open: u64,
        /// Records that were to be added.
        more: u64,
        /// The limit.
        depth_max: u64,
    },
    /// The disk is nearly full.
    #[error("nothing more is taken in: of the disk {} MB are free, and {} MB must stay so", free_bytes >> 20, free_bytes_min >> 20)]
    NoRoom {
        /// Bytes free.
        free_bytes: u64,
        /// Bytes that must stay free.
        free_bytes_min: u64,
    },
    /// A settle that would lose or invent records.
    #[error("org `{org}`: requests of {taken} records cannot be settled as {given} records")]
    Unbalanced {
        /// The org.
        org: String,
        /// Records of the requests.
        taken: u64,
        /// Records in the places they were given.
        given: u64,
    },
    /// No such request, or named twice.
    #[error("org `{org}` has no waiting request {seq}")]
    UnknownRequest {
        /// The org.
        org: String,
        /// Its number.
        seq: Seq,
    },
    /// No such change, or named twice.
    #[error("org `{org}` has no change {seq}")]
    UnknownChange {
        /// The org.
        org: String,
        /// Its number.
        seq: Seq,
    },
    /// The change waits, so nobody can have written it.
    #[error("org `{org}`: change {seq} is not being written by anybody")]
    NotTaken {
        /// The org.
        org: String,
        /// Its number.
        seq: Seq,
    },
    /// The change belongs to another job.
    #[error("org `{org}`: change {seq} belongs to job `{job}` already")]
    InAnotherJob {
        /// The org.
        org: String,
        /// Its number.
        seq: Seq,
        /// The job it belongs to.
        job: String,
    },
    /// No such dead letter.
    #[error("org `{org}` has no dead letter {seq}")]
    UnknownLetter {
        /// The org.
        org: String,
        /// Its number.
        seq: Seq,
    },
    /// No such job.
    #[error("org `{org}` has no job `{job}`")]
    UnknownJob {
        /// The org.
        org: String,
        /// Its id.
        job: String,
    },
    /// No such push.
    #[error("there is no push {seq}")]
    UnknownPush {
        /// Its number.
        seq: Seq,
    },
    /// Something is larger than we store.
    #[error("org `{org}`: a {what} of {bytes} bytes is larger than the {bytes_max} that are stored")]
    TooLarge {
        /// The org, shortened.
        org: String,
        /// What it is.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A value for the registry, its kind or its name is larger than we store.
    #[error("a {what} of {bytes} bytes is larger than the {bytes_max} that the registry takes")]
    RegistryValue {
        /// What it is.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The history would hold too much.
    #[error("the history would take {bytes} bytes, and takes {bytes_max} at most")]
    HistoryFull {
        /// Bytes that there would be.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The registry would hold too much.
    #[error(
        "the registry would hold {values} values of {bytes} bytes in all, and takes {values_max} of {bytes_max}"
    )]
    RegistryFull {
        /// Values that there would be.
        values: usize,
        /// The limit.
        values_max: usize,
        /// Bytes that they would have.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A commit failed earlier, so memory and disk may differ.
    #[error("the store has stopped, because a commit failed: {cause}")]
    Poisoned {
        /// What the database said to the failed commit.
        cause: String,
    },
    /// The database was deleted, moved or replaced under us.
    #[error("the store has stopped, because `{path}` was deleted, moved or replaced while orgpipe ran")]
    Gone {
        /// Its log.
        path: PathBuf,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The store's thread ended without being asked to.
    #[error("the store's thread has ended unexpectedly")]
    Ended,
}

impl StoreError {
    /// An entry, by its name in a sentence, and what is wrong with it.
    pub(crate) fn damaged(entry: &impl fmt::Display, what: impl Into<String>) -> Self {
        Self::Damaged { entry: entry.to_string(), what: what.into() }
    }

    /// What to do about it, for the operator.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Locked { dir, .. } => format!(
                "Stop the other orgpipe, or give this one a directory of its own instead of `{}`. \
                 A running service is asked through its admin address.",
                dir.display()
            ),
            Self::File { path, .. } => {
                format!("Let the service's user read and write `{}`, and look at the free space of that disk.", path.display())
            }
            Self::Open { dir, .. } => format!(
                "If the disk is full, make room and start again. Otherwise keep a copy of `{}` and restore a backup.",
                dir.display()
            ),
            Self::Format { .. } => "Start the version of orgpipe that wrote it, or a newer one.".to_owned(),
            Self::Damaged { .. } | Self::Unaccounted { .. } => {
                "Keep a copy of the data directory and check the disk. Then take out what can be read with \
                 `orgpipe store export`, and bring it into an empty directory with `orgpipe store import --incomplete`; \
                 a full refresh finds what is missing."
                    .to_owned()
            }
            Self::NoStore { .. } => {
                "Name the directory with `--data-dir`, or the settings whose `service.data_dir` it is.".to_owned()
            }
            Self::NotEmpty { .. } => {
                "Nothing is written over: give the import a directory without a database.".to_owned()
            }
            Self::ExportVersion { .. } => "Use the version of orgpipe that wrote it, or a newer one.".to_owned(),
            Self::Export { .. } => "Take another copy of the file, or export once more.".to_owned(),
            Self::Incomplete { .. } => {
                "Import what there is with `--incomplete`; a full refresh finds what is missing.".to_owned()
            }
            Self::Write { .. } => {
                "Make room on that disk; the database is as it was before.".to_owned()
            }
            Self::Read { .. } | Self::Poisoned { .. } => {
                "Look at the free space and the health of the disk, then restart the service: what was \
                 acknowledged is safe."
                    .to_owned()
            }
            Self::Gone { .. } => {
                "Put the data directory back, or restore a copy of it, before the next start. Without one an empty \
                 directory is begun: then refresh every org."
                    .to_owned()
            }
            Self::Full { .. } => {
                "Look why the org is not written to: parked, paused for its API calls, or slow.".to_owned()
            }
            Self::NoRoom { .. } => {
                "Make room on the disk of the data directory; it goes on by itself then. `orgpipe store compact` gives \
                 room back that is no longer used."
                    .to_owned()
            }
            Self::Ended => "Restart the service, and report the panic in its log.".to_owned(),
            Self::UnknownLetter { .. } => {
                "It has been retried or discarded, or made room for newer ones. List those that are kept.".to_owned()
            }
            Self::UnknownPush { .. } => {
                "It has been forgotten, as it is too old or made room for newer ones. List those that are kept.".to_owned()
            }
            Self::HistoryFull { .. } => "Look into orgpipe's log: it is to keep far below.".to_owned(),
            Self::RegistryFull { .. } => "Remove what is no longer needed, such as old tokens.".to_owned(),
            Self::Unbalanced { .. }
            | Self::UnknownRequest { .. }
            | Self::UnknownChange { .. }
            | Self::NotTaken { .. }
            | Self::InAnotherJob { .. }
            | Self::UnknownJob { .. }
            | Self::TooLarge { .. }
            | Self::RegistryValue { .. }
            | Self::Closed => return None,
        })
    }

    /// Is the whole store of no more use until the service is restarted?
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Locked { .. }
            | Self::File { .. }
            | Self::Open { .. }
            | Self::Format { .. }
            | Self::Damaged { .. }
            | Self::NoStore { .. }
            | Self::NotEmpty { .. }
            | Self::ExportVersion { .. }
            | Self::Export { .. }
            | Self::Incomplete { .. }
            | Self::Unaccounted { .. }
            | Self::Write { .. }
            | Self::Read { .. }
            | Self::Poisoned { .. }
            | Self::Gone { .. }
            | Self::Closed
            | Self::Ended => true,
            Self::Full { .. }
            | Self::NoRoom { .. }
            | Self::Unbalanced { .. }
            | Self::UnknownRequest { .. }
            | Self::UnknownChange { .. }
            | Self::NotTaken { .. }
            | Self::InAnotherJob { .. }
            | Self::UnknownJob { .. }
            | Self::UnknownLetter { .. }
            | Self::UnknownPush { .. }
            | Self::TooLarge { .. }
            | Self::RegistryValue { .. }
            | Self::HistoryFull { .. }
            | Self::RegistryFull { .. } => false,
        }
    }
}
