//! The messages between the parts of an org, which carry the work after its commit.
//!
//! ```text
//! CometdActor ──Arrived{requests}──▶ IngestActor ──Decided{changes}──▶ WriterActor
//! RefreshTimer ─Arrived{requests}──▶     │  answers: taken, or behind      │
//!                                        ▼                                 ▼
//!                                 window in memory                  window in memory
//! ```
//! Here: the messages, and the link by which a part sends them. Not here: who is alive to take them
//! (`supervise/org_actor.rs`), the windows (`decide/window.rs`, `deliver/window.rs`).
//!
//! Invariant: a message is sent only after the commit that makes it true, so one that is lost, refused or missed by a
//! restart costs a read, never a record.

use actix::{Actor, Addr, Context, Handler, Message, WeakRecipient};
use orgpipe_store::{Appended, Settled};

use crate::failpoint::{Failpoints, Point};

/// What became of the work in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It is in the window.
    Taken,
    /// The window has no room for some of it, or misses what came before, or nobody is there: it is read from disk.
    Behind,
}

/// Requests are on disk: commit A was made.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Delivery")]
pub(crate) struct Arrived(pub Appended);

/// Changes are on disk: commit B was made.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Delivery")]
pub(crate) struct Decided(pub Settled);

/// There may be something on disk that no message brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub(crate) enum Wakeup {
    /// There are gaps to be recovered, or there is room for pages.
    Refresh,
    /// There are requests.
    Ingest,
    /// There are pushes.
    Push,
}

/// A part's way to its neighbours: over the org's actor, which knows who is alive.
#[derive(Clone, Debug)]
pub(crate) struct OrgLink {
    arrived: WeakRecipient<Arrived>,
    decided: WeakRecipient<Decided>,
    wakeup: WeakRecipient<Wakeup>,
    failpoints: Failpoints,
    org: String,
}

impl OrgLink {
    /// A link over this actor, which it does not keep alive.
    pub(crate) fn new<A>(actor: &Addr<A>, failpoints: Failpoints, org: &str) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<Arrived> + Handler<Decided> + Handler<Wakeup>,
    {
        let weak = actor.downgrade();
        Self {
            arrived: weak.clone().recipient(),
            decided: weak.clone().recipient(),
            wakeup: weak.recipient(),
            failpoints,
            org: org.to_owned(),
        }
    }

    /// Hands requests on to whoever decides them.
    pub(crate) async fn arrived(&self, appended: Appended) -> Delivery {
        if appended.requests.is_empty() {
            return Delivery::Taken;
        }
        self.send(&self.arrived, Point::Arrived, Arrived(appended)).await
    }

    /// Hands changes on to whoever writes them.
    pub(crate) async fn decided(&self, settled: Settled) -> Delivery {
        if settled.changes.is_empty() {
            return Delivery::Taken;
        }
        self.send(&self.decided, Point::Decided, Decided(settled)).await
    }

    /// Lets a neighbour look at the disk. One that is missed costs time only, as each looks by itself now and then.
    pub(crate) fn wake(&self, which: Wakeup) {
        if let Some(wakeup) = self.wakeup.upgrade() {
            // A full mailbox means that a wake-up waits in it already.
            let _ = wakeup.try_send(which);
        }
    }

    async fn send<M>(&self, to: &WeakRecipient<M>, point: Point, message: M) -> Delivery
    where
        M: Message<Result = Delivery> + Send + 'static,
    {
        if self.failpoints.loses(point, &self.org) {
            return Delivery::Behind;
        }
        match to.upgrade() {
            Some(to) => to.send(message).await.unwrap_or(Delivery::Behind),
            None => Delivery::Behind,
        }
    }
}
