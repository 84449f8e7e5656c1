//! The tree of actors as an operator sees it: the threads, the orgs on them, their parts.
//!
//! Here: putting it together from what board, watchdog and supervisor say. Not here: how it is shown
//! (`src/commands/tree.rs`).

use std::collections::BTreeMap;

use orgpipe_store::UnixMs;
use serde::Serialize;
use utoipa::ToSchema;

use super::Service;
use crate::{
    org::{
        context::OrgContext,
        part::{Part, State},
        status::PartStatus,
    },
    queue_entry::{RequestEntry, unpack},
    runtime::watchdog::ThreadStatus,
    supervise::supervisor::Placement,
};

/// Everything that runs, and everything that should.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Tree {
    /// When this was true.
    pub now_ms: UnixMs,
    /// When the supervisor was started. It is never started afresh: when it ends, so does the process.
    pub started_ms: UnixMs,
    /// The main thread, on which the supervisor runs, and those of the orgs.
    pub threads: Vec<ThreadNode>,
}

/// One thread.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ThreadNode {
    /// How it does.
    #[serde(flatten)]
    pub status: ThreadStatus,
    /// The orgs on it.
    pub orgs: Vec<OrgNode>,
}

/// One org.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OrgNode {
    /// The operator's name for it.
    pub id: String,
    /// The worst of its parts' states.
    pub state: State,
    /// When its actor was started last.
    pub started_ms: UnixMs,
    /// Restarts of its actor after a failure; parts count their own.
    pub restarts: u32,
    /// How its actor ended the last time; empty if it never did.
    pub last_exit: String,
    /// How long ago the request came that is next in turn, milliseconds; none when none waits.
    pub next_request_age_ms: Option<u64>,
    /// Its parts.
    pub parts: BTreeMap<Part, PartStatus>,
    /// What stands of its writes, such as a Bulk job that hangs, as sentences.
    pub standing: Vec<String>,
}

impl Service {
    /// The tree as it is now.
    pub async fn tree(&self) -> Tree {
        let places = self.supervisor.send(Placement).await.unwrap_or_default();
        let threads = self.watchdog.status().into_iter();
        let mut threads: Vec<ThreadNode> =
            threads.map(|status| ThreadNode { status, orgs: Vec::new() }).collect();
        for org in self.orgs.all() {
            // The first thread is the main one.
            let thread = places.get(org.id()).and_then(|place| threads.get_mut(place + 1));
            if let Some(thread) = thread {
                thread.orgs.push(self.node(&org).await);
            }
        }
        Tree { now_ms: self.clock.now_ms(), started_ms: self.started_ms, threads }
    }

    async fn node(&self, org: &OrgContext) -> OrgNode {
        let next = org.store.ingress_head(1).await.unwrap_or_default();
        let next = next.first().and_then(|request| unpack::<RequestEntry>(&request.body).ok());
        let age_ms = next.map(|request| self.clock.now_ms().0.saturating_sub(request.received_ms.0));
        let status = org.board.status();
        let standing = status.standing_writes().iter().map(ToString::to_string).collect();
        OrgNode {
            id: org.id().to_owned(),
            state: status.worst(),
            started_ms: status.started_ms,
            restarts: status.restarts,
            last_exit: status.last_exit,
            next_request_age_ms: age_ms,
            standing,
            parts: status.parts,
        }
    }
}
