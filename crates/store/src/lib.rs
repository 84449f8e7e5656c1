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
//! `store.rs` is the handle, `moves.rs` has the data, `org.rs` decides, `engine.rs` performs, `thread.rs` groups commits,
//! `disk.rs` is the only file that knows the database, `offline` what is done to one that no service has open. Not here: what a body means.
//!
//! Invariant: per org, what came in = what has ended + what is open, in every commit.
//! Invariant: a change is offered to one taker at a time, and changes of one key in their order.

mod disk;
mod egress;
mod engine;
mod entry;
mod error;
mod files;
mod frame;
mod index;
mod keys;
mod ledger;
mod moves;
mod note;
pub mod offline;
mod options;
mod org;
mod rows;
mod sizes;
mod step;
mod store;
mod thread;

#[cfg(test)]
mod tests;

pub use crate::{
    error::StoreError,
    ledger::Counts,
    moves::{
        Append, BODY_BYTES_MAX, Change, DEAD_LETTERS_MAX, DeadLetter, End, HEAD_BYTES_MAX, Job, Lane,
        LedgerRow, NAME_BYTES_MAX, NewChange, NewDead, NewRequest, OpenChanges, Outcome, Progress, Request,
        Resolve, Retry, Settle, Subject, TEXT_BYTES_MAX, TRAIL_BYTES_MAX, units,
    },
    options::{Durability, Options, Room},
    store::Store,
};
