//! What survives a crash: positions, requests, changes, jobs, dead letters and the ledger over them, per org.
//!
//! ```text
//!             append (A)               settle (B)                    resolve (C)
//!  arrives ───────────────▶ ingress ───────────────▶ egress ───────────────────────▶ written
//!            │ position moves │          │ unchanged     │  ▲                │
//!            ▼                ▼          │ no data       │  └── due again ───┤
//!           dead             head        │ dead          ▼                   ├──────▶ dead
//!                                        ▼              take, job            └──────▶ superseded
//! ```
//!
//! Each of A, B and C is one atomic commit that is on disk before the call is answered. One thread owns the database;
//! it takes what waits for it, applies it in memory, writes it in one batch, flushes once and answers all.
//!
//! `store.rs` is the handle and `commands.rs` has the data of its calls. `thread.rs` groups calls into commits, `engine.rs`
//! carries them out: commands by `append.rs`, `settle.rs` and `resolve.rs`, questions by `queries.rs`. Per org, `org.rs`,
//! `egress.rs`, `ledger.rs`, `letters.rs`, `rows.rs`, `fingerprints.rs` and `pushes.rs` are what is known in memory, and `registry.rs` and
//! `history.rs` are what belongs to no org; `index.rs` rebuilds it at opening. `entry.rs`,
//! `frame.rs` and `keys.rs` say how an entry looks on disk, and `disk.rs` is the only file that knows the database.
//! `offline` is what is done to a database that no service has open. Not here: what a body means.
//!
//! Invariant: per org, what came in = what has ended + what is open, in every commit.
//! Invariant: a change is offered to one taker at a time, and changes of one key in their order.

mod append;
mod commands;
mod commits;
mod dead_letter;
mod disk;
mod egress;
mod engine;
mod entry;
mod error;
mod files;
mod fingerprints;
mod frame;
mod history;
mod index;
mod keys;
mod ledger;
mod letters;
mod memory;
pub mod offline;
mod options;
mod org;
mod pushes;
mod queries;
mod reads;
mod refusal;
mod registry;
mod resolve;
mod rows;
mod seq;
mod settle;
mod sizes;
mod step;
mod store;
mod superblock;
mod thread;
mod unix_ms;

#[cfg(test)]
mod tests;

pub use crate::{
    commands::{
        Append, Appended, BODY_BYTES_MAX, Change, Claimed, End, FINGERPRINT_BYTES_MAX,
        FINGERPRINTS_BYTES_MAX, Fingerprint, HEAD_BYTES_MAX, HISTORY_BYTES_MAX, HISTORY_VALUE_BYTES_MAX,
        Head, HistoryKey, HistoryWrite, Job, Lane, LedgerRow, NAME_BYTES_MAX, NewChange, NewDead, NewRequest,
        OpenChanges, Outcome, Progress, Push, PushCounts, PushWrite, REGISTRY_BYTES_MAX,
        REGISTRY_VALUE_BYTES_MAX, REGISTRY_VALUES_MAX, RegistryWrite, Request, Resolve, Settle, Settled,
        Subject, TARGET_ID_BYTES_MAX, TEXT_BYTES_MAX, TRAIL_BYTES_MAX, units,
    },
    commits::Commits,
    dead_letter::{DEAD_LETTERS_MAX, DeadLetter, LETTER_GROUPS_MAX, LetterGroup, ReasonKey, Retry},
    error::StoreError,
    ledger::{Counts, KeptCounts},
    options::{Durability, Options, Room},
    reads::{Read, Reads},
    refusal::{LETTER_ERRORS_MAX, LetterError, Mended},
    seq::Seq,
    store::Store,
    unix_ms::UnixMs,
};
