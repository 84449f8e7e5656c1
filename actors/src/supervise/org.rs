//! OrgActor: one tenant. Starts its parts, passes bells on, and starts a part afresh when it ends.
//!
//! Here: the four parts and their lives, and what an operator orders. Not here: what the parts do (`capture`,
//! `decide`, `deliver`), which of them a wish lets run (`wish`).
//!
//! Whatever happens only changes a slot or the wish; `align` then starts and stops what is to be started and stopped.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler, Message,
    Recipient, ResponseActFuture, WrapFuture as _,
};
use orgpipe_store::{Append, StoreError};
use tokio::sync::oneshot;

use super::{
    context::OrgContext,
    moved,
    restart::{Decision, Restarts},
    status::{Part, State},
    watch::{Exit, Exited, Tether, here, spawn_watched, tell},
    wish::{WISH, Wish},
    worker::{Ring, Stop, Worker},
};
use crate::{
    capture::{
        cometd::CometdActor,
        refresh::{self, Refresh},
        replay::ReplayFrom,
        requests::position_name,
    },
    decide::ingest::Ingest,
    deliver::writer::Writer,
    failpoint::Point,
    parcel::{pack, unpack},
};

/// Parts in the order of the flow; each is an actor.
const PARTS: [Part; 4] = [Part::Stream, Part::Refresh, Part::Ingest, Part::Writer];
/// How often a drain looks whether nothing is open any more.
const DRAIN_LOOK: Duration = Duration::from_millis(250);

/// How long after a failed try it is stored again which org it is.
const AGAIN: Duration = Duration::from_secs(1);

/// A queue of this org has something new.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Bell {
    /// Gaps to be healed, or room for pages.
    Refresh,
    /// Requests.
    Ingress,
    /// Changes.
    Egress,
}

/// What an operator orders.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub(crate) enum Order {
    /// From now on; also starts what is parked when it is `Run`.
    Wish(Wish),
    /// Stop every part and start it afresh, parked ones too.
    Restart,
    /// Read the records of these syncs again.
    Refresh {
        /// Names of syncs of this org.
        syncs: Vec<String>,
        /// Only what has changed since the last time.
        changed: bool,
    },
}

/// Set where a channel goes on. Answers the position it had.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Option<String>, StoreError>")]
pub(crate) struct Replay {
    /// The channel, one of this org's.
    pub channel: String,
    /// Where.
    pub from: ReplayFrom,
}

/// A part that runs.
struct Child {
    ring: Recipient<Ring>,
    stop: Recipient<Stop>,
    _tether: Tether,
}

/// What a part is at.
enum Slot {
    /// It can be started.
    Down,
    /// It runs.
    Up(Child),
    /// It was told to stop.
    Ending(#[expect(dead_code, reason = "keeps its tether until it has ended")] Child),
    /// It ended by itself and is started again after a while.
    Waiting,
    /// It ended by itself too often.
    Parked,
}

struct Life {
    slot: Slot,
    restarts: Restarts,
}

/// One customer's org.
pub(crate) struct OrgActor {
    org: Arc<OrgContext>,
    parts: BTreeMap<Part, Life>,
    wish: Wish,
    /// Positions that are being set right now; the stream is down for it.
    replays: usize,
    stream_down: Vec<oneshot::Sender<()>>,
    /// The login leads to another org, and every part is down or ending for it.
    moving: bool,
    /// To which, until that is being stored.
    moved_to: Option<String>,
    stopping: bool,
}

impl OrgActor {
    /// An org whose parts start with it, as far as the stored wish lets them.
    pub(crate) fn new(org: Arc<OrgContext>) -> Self {
        let life = |part| (part, Life { slot: Slot::Down, restarts: Restarts::none() });
        let parts = PARTS.into_iter().map(life).collect();
        Self {
            org,
            parts,
            wish: Wish::Run,
            replays: 0,
            stream_down: Vec::new(),
            moving: false,
            moved_to: None,
            stopping: false,
        }
    }

    fn wanted(&self, part: Part) -> bool {
        let replayed = part == Part::Stream && self.replays > 0;
        !self.stopping && !self.moving && !replayed && self.wish.lets_run(part)
    }

    /// Starts what is wanted and down, stops what runs and is not wanted.
    fn align(&mut self, context: &mut Context<Self>) {
        for part in PARTS {
            let wanted = self.wanted(part);
            let Some(life) = self.parts.get_mut(&part) else { continue };
            match std::mem::replace(&mut life.slot, Slot::Down) {
                Slot::Down if wanted => {
                    if let Some(child) = start(&self.org, part, context) {
                        life.slot = Slot::Up(child);
                    }
                }
                Slot::Down => note_down(&self.org, part, self.wish, self.stopping),
                Slot::Up(child) if !wanted => life.slot = ending(child, context),
                other => life.slot = other,
            }
        }
        if !self.runs(Part::Stream) {
            for waiting in self.stream_down.drain(..) {
                // Whoever asked may have gone.
                let _ = waiting.send(());
            }
        }
        if PARTS.into_iter().any(|part| self.runs(part)) {
            return;
        }
        if self.stopping {
            context.stop();
        } else if let Some(org_id) = self.moved_to.take() {
            self.record_move(org_id, context);
        }
    }

    /// Waits until the login leads to another org, which ends every part.
    fn watch_for_a_move(&self, context: &mut Context<Self>) {
        let mut moved = self.org.line.moved();
        let other = async move {
            // The line lives as long as the org that is held here.
            moved.wait_for(Option::is_some).await.ok().and_then(|org_id| org_id.clone())
        };
        context.spawn(other.into_actor(self).map(|org_id, actor, context| {
            (actor.moving, actor.moved_to) = (org_id.is_some(), org_id);
            actor.align(context);
        }));
    }

    /// Nothing runs: it is stored which org it is now, and the parts begin afresh.
    fn record_move(&self, org_id: String, context: &mut Context<Self>) {
        let (org, id) = (Arc::clone(&self.org), org_id.clone());
        let record = async move { moved::record(&org, id).await };
        context.spawn(record.into_actor(self).map(move |recorded, actor, context| match recorded {
            Ok(()) => {
                actor.org.line.reopen();
                actor.moving = false;
                actor.watch_for_a_move(context);
                actor.align(context);
            }
            Err(error) => {
                tracing::error!(org = actor.org.id(), "which org it is now was not stored: {error}");
                context.run_later(AGAIN, move |actor, context| {
                    actor.moved_to = Some(org_id);
                    actor.align(context);
                });
            }
        }));
    }

    fn runs(&self, part: Part) -> bool {
        self.parts.get(&part).is_some_and(|life| matches!(life.slot, Slot::Up(_) | Slot::Ending(_)))
    }

    fn ring(&self, part: Part) {
        if let Some(Life { slot: Slot::Up(child), .. }) = self.parts.get(&part) {
            // A full mailbox means that the bell rings already.
            let _ = child.ring.try_send(Ring);
        }
    }

    fn ended(&mut self, part: Part, exit: &Exit, context: &mut Context<Self>) {
        let org = Arc::clone(&self.org);
        let now_ms = org.clock.now_ms();
        let Some(life) = self.parts.get_mut(&part) else { return };
        let asked = !matches!(std::mem::replace(&mut life.slot, Slot::Down), Slot::Up(_));
        if asked && *exit == Exit::Clean {
            return self.align(context);
        }
        let decision = life.restarts.ended(org.clock.monotonic(), org.clock.dice());
        org.board.ended(part, &exit.to_string(), life.restarts.total(), now_ms);
        match decision {
            Decision::Restart(wait) => {
                let wait_secs = wait.as_secs_f32();
                tracing::error!(org = org.id(), ?part, wait_secs, "{exit}; it is started afresh");
                org.board.set(part, State::Waiting, &format!("it {exit}; it is started afresh"), "", now_ms);
                life.slot = Slot::Waiting;
                context.run_later(wait, move |actor, context| actor.waited(part, context));
            }
            Decision::Park => {
                tracing::error!(org = org.id(), ?part, "{exit}; it ended too often and is parked");
                let hint =
                    format!("Report this as a bug; start it again with: orgpipe org resume {}", org.id());
                org.board.set(part, State::Parked, &format!("it {exit}, too often to go on"), &hint, now_ms);
                life.slot = Slot::Parked;
            }
        }
        self.align(context);
    }

    fn waited(&mut self, part: Part, context: &mut Context<Self>) {
        if let Some(life) = self.parts.get_mut(&part).filter(|life| matches!(life.slot, Slot::Waiting)) {
            life.slot = Slot::Down;
            self.align(context);
        }
    }

    /// What waits or is parked can be started again at once.
    fn forgive(&mut self) {
        for life in self.parts.values_mut() {
            if matches!(life.slot, Slot::Waiting | Slot::Parked) {
                *life = Life { slot: Slot::Down, restarts: Restarts::none() };
            }
        }
    }

    /// The wish is on disk.
    fn follow(&mut self, wish: Wish, context: &mut Context<Self>) {
        self.wish = wish;
        self.org.board.wish(wish);
        if wish == Wish::Run {
            self.forgive();
        }
        self.align(context);
        if let Wish::Drain { .. } = wish {
            context.run_later(DRAIN_LOOK, Self::look_whether_drained);
        }
    }

    fn look_whether_drained(&mut self, context: &mut Context<Self>) {
        let Wish::Drain { until_ms } = self.wish else { return };
        let (org, taking) = (Arc::clone(&self.org), self.runs(Part::Stream) || self.runs(Part::Refresh));
        let look = async move {
            let open = org.store.counts(org.id()).await?.open();
            let late = org.clock.now_ms() >= until_ms;
            if late || (open == 0 && !taking) {
                tracing::info!(org = org.id(), open, late, "drained, now paused");
                store_wish(&org, Wish::Pause).await?;
                return Ok(Some(Wish::Pause));
            }
            Ok::<_, StoreError>(None)
        };
        context.spawn(look.into_actor(self).map(move |drained, actor, context| match drained {
            // An order may have come in between.
            Ok(Some(wish)) if actor.wish == (Wish::Drain { until_ms }) => actor.follow(wish, context),
            Ok(Some(_)) => {}
            Ok(None) => {
                context.run_later(DRAIN_LOOK, Self::look_whether_drained);
            }
            Err(error) => {
                tracing::error!(org = actor.org.id(), "the drain cannot see what is open: {error}");
                context.run_later(DRAIN_LOOK, Self::look_whether_drained);
            }
        }));
    }
}

async fn store_wish(org: &OrgContext, wish: Wish) -> Result<(), StoreError> {
    let positions = vec![(WISH.to_owned(), pack(&wish))];
    org.store.append(org.id(), Append { positions, ..Append::default() }).await
}

fn note_down(org: &OrgContext, part: Part, wish: Wish, stopping: bool) {
    let now_ms = org.clock.now_ms();
    if stopping || wish == Wish::Run {
        org.board.set(part, State::Stopped, "", "", now_ms);
    } else {
        let hint = format!("Start it again with: orgpipe org resume {}", org.id());
        org.board.set(part, State::Paused, "an operator paused it", &hint, now_ms);
    }
}

fn start(org: &Arc<OrgContext>, part: Part, context: &mut Context<OrgActor>) -> Option<Child> {
    org.board.set(part, State::Starting, "", "", org.clock.now_ms());
    let (org, bell) = (Arc::clone(org), context.address().downgrade().recipient());
    match part {
        Part::Stream => Some(child(part, context, move || CometdActor::new(org, bell))),
        Part::Refresh => Some(child(part, context, move || Worker::new(Refresh::new(org, bell)))),
        Part::Ingest => Some(child(part, context, move || Worker::new(Ingest::new(org, bell)))),
        Part::Writer => Some(child(part, context, move || Worker::new(Writer::new(org)))),
        // The line logs in for whoever asks; it is no actor.
        Part::Login => None,
    }
}

fn ending(child: Child, context: &mut Context<OrgActor>) -> Slot {
    tell(context, child.stop.clone(), Stop);
    Slot::Ending(child)
}

fn child<A>(part: Part, context: &mut Context<OrgActor>, make: impl FnOnce() -> A + Send + 'static) -> Child
where
    A: Actor<Context = Context<A>> + Handler<Ring> + Handler<Stop>,
{
    let (address, tether): (Addr<A>, Tether) =
        spawn_watched(&here(), part, context.address().recipient(), make);
    Child { ring: address.clone().recipient(), stop: address.recipient(), _tether: tether }
}

impl Actor for OrgActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.watch_for_a_move(context);
        let org = Arc::clone(&self.org);
        let read = async move { org.store.position(org.id(), WISH).await };
        // Until then no message is handled.
        context.wait(read.into_actor(self).map(|stored, actor, context| match stored {
            Ok(stored) => {
                // What cannot be read was written by a later version, and a pause is the safe side.
                let wish = stored.map_or(Wish::Run, |stored| unpack(&stored).unwrap_or(Wish::Pause));
                if wish != Wish::Run {
                    tracing::info!(org = actor.org.id(), ?wish, "as an operator wished");
                }
                actor.follow(wish, context);
            }
            Err(error) => {
                tracing::error!(org = actor.org.id(), "the operator's wish cannot be read: {error}");
                context.stop();
            }
        }));
    }
}

impl Handler<Bell> for OrgActor {
    type Result = ();

    fn handle(&mut self, bell: Bell, _: &mut Self::Context) {
        self.org.pass(Point::Org);
        self.ring(match bell {
            Bell::Refresh => Part::Refresh,
            Bell::Ingress => Part::Ingest,
            Bell::Egress => Part::Writer,
        });
    }
}

impl Handler<Order> for OrgActor {
    type Result = ResponseActFuture<Self, Result<(), StoreError>>;

    fn handle(&mut self, order: Order, _: &mut Self::Context) -> Self::Result {
        tracing::info!(org = self.org.id(), ?order, "an operator's order");
        let (org, stored) = (Arc::clone(&self.org), order.clone());
        let store = async move {
            match stored {
                Order::Wish(wish) => store_wish(&org, wish).await,
                Order::Restart => Ok(()),
                Order::Refresh { syncs, changed } => {
                    for sync in &syncs {
                        refresh::begin(&org, sync, changed).await?;
                    }
                    Ok(())
                }
            }
        };
        Box::pin(store.into_actor(self).map(move |result, actor, context| {
            result?;
            match order {
                Order::Wish(wish) => actor.follow(wish, context),
                Order::Refresh { .. } => actor.ring(Part::Refresh),
                Order::Restart => {
                    actor.forgive();
                    for life in actor.parts.values_mut() {
                        life.slot = match std::mem::replace(&mut life.slot, Slot::Down) {
                            Slot::Up(child) => ending(child, context),
                            other => other,
                        };
                    }
                    actor.align(context);
                }
            }
            Ok(())
        }))
    }
}

impl Handler<Replay> for OrgActor {
    type Result = ResponseActFuture<Self, Result<Option<String>, StoreError>>;

    fn handle(&mut self, Replay { channel, from }: Replay, context: &mut Self::Context) -> Self::Result {
        let (down, is_down) = oneshot::channel();
        self.replays += 1;
        self.stream_down.push(down);
        self.align(context);
        let org = Arc::clone(&self.org);
        let set = async move {
            // An error is an org that ends, and the position stays.
            let _ = is_down.await;
            let before = org.store.position(org.id(), &position_name(&channel)).await?;
            let before = before.map(|before| String::from_utf8_lossy(&before).into_owned());
            let positions = from.positions(&channel, org.clock.now_ms());
            org.store.append(org.id(), Append { positions, ..Append::default() }).await?;
            tracing::info!(org = org.id(), channel, %from, before, "an operator set the position");
            Ok(before.filter(|before| !before.is_empty()))
        };
        Box::pin(set.into_actor(self).map(|result, actor, context| {
            actor.replays -= 1;
            actor.align(context);
            result
        }))
    }
}

impl Handler<Exited<Part>> for OrgActor {
    type Result = ();

    fn handle(&mut self, notice: Exited<Part>, context: &mut Self::Context) {
        self.org.pass(Point::Org);
        // A part is started again only after its end was told, so a notice is never about a later life.
        self.ended(notice.child, &notice.exit, context);
    }
}

impl Handler<Stop> for OrgActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        self.stopping = true;
        self.align(context);
    }
}
