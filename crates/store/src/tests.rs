//! The store as its callers see it: against a model, on damaged entries, when commits fail, on a real disk.

mod commits;
mod damage;
mod fingerprints;
mod history;
mod memory;
mod model;
mod offline;
mod property;
mod pushes;
mod real_disk;
mod registry;
mod rows;

use crate::{Durability, Lane, NewChange, NewDead, NewRequest, Options, Subject, UnixMs};

const OPTIONS: Options = Options {
    durability: Durability::Process,
    cache_bytes: 4 * 1024 * 1024,
    depth_max: 60,
    ledger_days: 30,
    free_bytes_min: 1_000,
};

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    runtime.block_on(future)
}

fn request(lane: Lane, records: u32, body: &str) -> NewRequest {
    NewRequest { lane, records, body: body.as_bytes().to_vec() }
}

fn subject(record: &str, units: u32) -> Subject {
    Subject {
        record: record.to_owned(),
        units,
        asked_ms: UnixMs(5),
        trail: b"how".to_vec(),
        pushes: Vec::new(),
    }
}

fn change(lane: Lane, target: &str, key: &str, units: u32, body: &str) -> NewChange {
    let (target, key, body) = (target.to_owned(), key.to_owned(), body.as_bytes().to_vec());
    NewChange { lane, target, subjects: vec![subject(&key, units)], key, body }
}

fn dead(records: u32, key: &str) -> NewDead {
    let (reason, hint) = ("it cannot be read".to_owned(), "Look at it.".to_owned());
    NewDead {
        subject: subject(key, records),
        sync: String::new(),
        key: key.to_owned(),
        reason,
        hint,
        errors: Vec::new(),
        body: b"raw".to_vec(),
        at_ms: UnixMs(7),
    }
}
