//! OrgActor: one tenant. Starts its parts, passes bells on, and starts a part afresh when it ends.
//!
//! Here: the four parts and their lives. Not here: what they do (`capture`, `decide`, `deliver`).
//!
//! The only strong addresses of the parts are here, so that a part cannot outlive its org.

use std::{collections::BTreeMap, sync::Arc};

use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler, Message,
    Recipient, WrapFuture as _,
};

use super::{
    context::OrgContext,
    restart::{Decision, Restarts},
    status::{Part, State},
    watch::{Exit, Exited, here, spawn_watched, tell},
    worker::{Ring, Stop, Worker},
};
use crate::{
    capture::{
        cometd::CometdActor,
        refresh::{self, Refresh},
    },
    decide::ingest::Ingest,
    deliver::writer::Writer,
};

/// Parts in the order of the flow; each is an actor.
const PARTS: [Part; 4] = [Part::Stream, Part::Refresh, Part::Ingest, Part::Writer];

/// A queue of this org has something new.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Bell {
    /// Gaps to be healed.
    Gap,
    /// Requests.
    Ingress,
    /// Changes.
    Egress,
}

/// Read all records of these syncs again.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), orgpipe_store::StoreError>")]
pub(crate) struct BeginRefresh {
    /// Names of syncs of this org.
    pub syncs: Vec<String>,
}

/// Start the parts that are parked.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Unpark;

/// A part that runs.
struct Child {
    ring: Recipient<Ring>,
    stop: Recipient<Stop>,
}

/// One customer's org.
pub(crate) struct OrgActor {
    org: Arc<OrgContext>,
    children: BTreeMap<Part, Child>,
    restarts: BTreeMap<Part, Restarts>,
    stopping: bool,
}

impl OrgActor {
    /// An org whose parts start with it.
    pub(crate) fn new(org: Arc<OrgContext>) -> Self {
        let restarts = PARTS.into_iter().map(|part| (part, Restarts::none())).collect();
        Self { org, children: BTreeMap::new(), restarts, stopping: false }
    }

    fn start_part(&mut self, part: Part, context: &mut Context<Self>) {
        if self.stopping || self.children.contains_key(&part) {
            return;
        }
        let org = Arc::clone(&self.org);
        let bell = context.address().downgrade().recipient();
        org.board.set(part, State::Starting, "", "", org.clock.now_ms());
        let child = match part {
            Part::Stream => child(spawn(part, context, move || CometdActor::new(org, bell))),
            Part::Refresh => child(spawn(part, context, move || Worker::new(Refresh::new(org, bell)))),
            Part::Ingest => child(spawn(part, context, move || Worker::new(Ingest::new(org, bell)))),
            Part::Writer => child(spawn(part, context, move || Worker::new(Writer::new(org)))),
            // The line logs in for whoever asks; it is no actor.
            Part::Login => return,
        };
        self.children.insert(part, child);
    }

    fn ring(&self, part: Part) {
        if let Some(child) = self.children.get(&part) {
            // A full mailbox means that the bell rings already.
            let _ = child.ring.try_send(Ring);
        }
    }

    fn ended(&mut self, part: Part, exit: &Exit, context: &mut Context<Self>) {
        let org = &self.org;
        let now_ms = org.clock.now_ms();
        self.children.remove(&part);
        if self.stopping {
            org.board.set(part, State::Stopped, "", "", now_ms);
            if self.children.is_empty() {
                context.stop();
            }
            return;
        }
        let Some(restarts) = self.restarts.get_mut(&part) else { return };
        let decision = restarts.ended(org.clock.monotonic(), org.clock.dice());
        org.board.ended(part, &exit.to_string(), restarts.total(), now_ms);
        match decision {
            Decision::Restart(wait) => {
                tracing::error!(
                    org = org.id(),
                    ?part,
                    wait_secs = wait.as_secs_f32(),
                    "{exit}; it is started afresh"
                );
                org.board.set(part, State::Waiting, &format!("it {exit}; it is started afresh"), "", now_ms);
                context.run_later(wait, move |actor, context| actor.start_part(part, context));
            }
            Decision::Park => {
                tracing::error!(org = org.id(), ?part, "{exit}; it ended too often and is parked");
                let hint = "Report this as a bug; start it again with POST /api/v1/orgs/{id}/unpark.";
                org.board.set(part, State::Parked, &format!("it {exit}, too often to go on"), hint, now_ms);
            }
        }
    }
}

fn spawn<A>(part: Part, context: &mut Context<OrgActor>, make: impl FnOnce() -> A + Send + 'static) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
{
    spawn_watched(&here(), part, context.address().recipient(), make)
}

fn child<A>(address: Addr<A>) -> Child
where
    A: Actor<Context = Context<A>> + Handler<Ring> + Handler<Stop>,
{
    Child { ring: address.clone().recipient(), stop: address.recipient() }
}

impl Actor for OrgActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        for part in PARTS {
            self.start_part(part, context);
        }
    }
}

impl Handler<Bell> for OrgActor {
    type Result = ();

    fn handle(&mut self, bell: Bell, _: &mut Self::Context) {
        self.ring(match bell {
            Bell::Gap => Part::Refresh,
            Bell::Ingress => Part::Ingest,
            Bell::Egress => Part::Writer,
        });
    }
}

impl Handler<BeginRefresh> for OrgActor {
    type Result = actix::ResponseActFuture<Self, Result<(), orgpipe_store::StoreError>>;

    fn handle(&mut self, message: BeginRefresh, _: &mut Self::Context) -> Self::Result {
        let org = Arc::clone(&self.org);
        let begin = async move {
            for sync in &message.syncs {
                refresh::begin(&org, sync).await?;
            }
            Ok(())
        };
        Box::pin(begin.into_actor(self).map(|result, actor, _| {
            actor.ring(Part::Refresh);
            result
        }))
    }
}

impl Handler<Unpark> for OrgActor {
    type Result = ();

    fn handle(&mut self, _: Unpark, context: &mut Self::Context) {
        for part in PARTS {
            if !self.children.contains_key(&part) {
                self.restarts.insert(part, Restarts::none());
                self.start_part(part, context);
            }
        }
    }
}

impl Handler<Exited<Part>> for OrgActor {
    type Result = ();

    fn handle(&mut self, notice: Exited<Part>, context: &mut Self::Context) {
        // A part is started again only after its end was told, so a notice is never about a later life.
        self.ended(notice.child, &notice.exit, context);
    }
}

impl Handler<Stop> for OrgActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        self.stopping = true;
        if self.children.is_empty() {
            context.stop();
        }
        for child in self.children.values() {
            tell(context, child.stop.clone(), Stop);
        }
    }
}
