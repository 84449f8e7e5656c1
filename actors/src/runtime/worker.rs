//! The loop of an actor that works one step at a time.
//!
//! Here: when the next step is due. Not here: what a step does (`decide/ingest.rs`, `deliver/writer.rs`,
//! `capture/refresh.rs`).
//!
//! The mailbox only wakes it. A wake-up during a step makes one more step follow, and a lost one costs time only:
//! an idle worker looks by itself after [`LOOK_AGAIN`].

use std::{future::Future, time::Duration};

use actix::{
    Actor, ActorContext as _, AsyncContext as _, Context, Message, SpawnHandle, WrapFuture as _,
    fut::ActorFutureExt as _,
};

use super::spawn::give_up;

/// Longest time a worker sleeps without looking at its queue.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Longest time a step may take. Each of its calls has a bound of its own, the longest 10 minutes; a step that is
/// longer under way than some of them together does not come back.
const STEP_MAX: Duration = Duration::from_hours(1);

/// There may be something to do.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Wake;

/// Finish the step under way, then stop.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

/// When the next step is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// At once.
    Again,
    /// After this long, or at the next wake-up.
    After(Duration),
    /// At the next wake-up.
    Idle,
}

impl Next {
    /// The sooner of both.
    pub(crate) fn sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::Again, _) | (_, Self::Again) => Self::Again,
            (Self::After(one), Self::After(other)) => Self::After(one.min(other)),
            (Self::After(wait), Self::Idle) | (Self::Idle, Self::After(wait)) => Self::After(wait),
            (Self::Idle, Self::Idle) => Self::Idle,
        }
    }
}

/// What a worker does.
pub(crate) trait Work: Sized + Unpin + 'static {
    /// One bounded step. Everything it must not lose is on disk before it returns.
    fn step(self) -> impl Future<Output = (Self, Next)>;
}

/// An actor that does its work step by step.
pub(crate) trait Worker: Actor<Context = Context<Self>> {
    /// What it does.
    type Work: Work;

    /// The loop it is in.
    fn steps(&mut self) -> &mut Steps<Self::Work>;
}

/// The loop of steps of a [`Worker`].
#[derive(Debug)]
pub(crate) struct Steps<W> {
    /// `None` while a step is under way.
    work: Option<W>,
    woken: bool,
    stopping: bool,
    timer: Option<SpawnHandle>,
    step_max: Duration,
}

impl<W> Steps<W> {
    /// Nothing has been done yet.
    pub(crate) fn new(work: W) -> Self {
        Self { work: Some(work), woken: false, stopping: false, timer: None, step_max: STEP_MAX }
    }
}

/// There may be something to do: a step now, or one more after the one under way. To be called when the actor starts, too.
pub(crate) fn wake<A: Worker>(worker: &mut A, context: &mut Context<A>) {
    let steps = worker.steps();
    if steps.stopping {
        return;
    }
    let Some(work) = steps.work.take() else {
        steps.woken = true;
        return;
    };
    if let Some(timer) = steps.timer.take() {
        context.cancel_future(timer);
    }
    steps.woken = false;
    let step_max = steps.step_max;
    let step = async move {
        match actix_rt::time::timeout(step_max, work.step()).await {
            Ok(done) => done,
            Err(_) => give_up(format!("did not come back from a step in {} s", step_max.as_secs())),
        }
    };
    context.spawn(step.into_actor(worker).map(|(work, next), worker, context| {
        worker.steps().work = Some(work);
        schedule(worker, next, context);
    }));
}

/// Finishes the step under way, then ends the actor.
pub(crate) fn stop<A: Worker>(worker: &mut A, context: &mut Context<A>) {
    let steps = worker.steps();
    steps.stopping = true;
    if steps.work.is_some() {
        context.stop();
    }
}

fn schedule<A: Worker>(worker: &mut A, next: Next, context: &mut Context<A>) {
    let steps = worker.steps();
    if steps.stopping {
        context.stop();
        return;
    }
    let wait = match next {
        Next::Again => Duration::ZERO,
        _ if steps.woken => Duration::ZERO,
        Next::After(wait) => wait.min(LOOK_AGAIN),
        Next::Idle => LOOK_AGAIN,
    };
    steps.timer = Some(context.run_later(wait, |worker, context| {
        worker.steps().timer = None;
        wake(worker, context);
    }));
}

#[cfg(test)]
mod tests {
    use actix::{Addr, Handler};
    use tokio::sync::mpsc;

    use super::*;
    use crate::runtime::spawn::{AbortOnDrop, Exit, Exited, here, spawn_watched};

    /// Reports each step, then waits to be let go on.
    struct Probe {
        steps: mpsc::UnboundedSender<()>,
        go: mpsc::UnboundedReceiver<Next>,
    }

    impl Work for Probe {
        async fn step(mut self) -> (Self, Next) {
            let _ = self.steps.send(());
            let next = self.go.recv().await.unwrap_or(Next::Idle);
            (self, next)
        }
    }

    /// The actor around it.
    struct Prober(Steps<Probe>);

    impl Worker for Prober {
        type Work = Probe;

        fn steps(&mut self) -> &mut Steps<Probe> {
            &mut self.0
        }
    }

    impl Actor for Prober {
        type Context = Context<Self>;

        fn started(&mut self, context: &mut Self::Context) {
            wake(self, context);
        }
    }

    impl Handler<Wake> for Prober {
        type Result = ();

        fn handle(&mut self, _: Wake, context: &mut Self::Context) {
            wake(self, context);
        }
    }

    impl Handler<Stop> for Prober {
        type Result = ();

        fn handle(&mut self, _: Stop, context: &mut Self::Context) {
            stop(self, context);
        }
    }

    struct Parent(mpsc::UnboundedSender<Exit>);

    impl Actor for Parent {
        type Context = Context<Self>;
    }

    impl Handler<Exited<()>> for Parent {
        type Result = ();

        fn handle(&mut self, notice: Exited<()>, _: &mut Self::Context) {
            let _ = self.0.send(notice.exit);
        }
    }

    #[actix::test]
    async fn a_step_that_does_not_come_back_ends_the_worker_and_its_parent_is_told_why() {
        let (told, mut exits) = mpsc::unbounded_channel();
        let parent = Parent(told).start();
        let (steps, mut seen) = mpsc::unbounded_channel();
        let (_go, receiver) = mpsc::unbounded_channel();
        let make = move || {
            let steps = Steps::new(Probe { steps, go: receiver });
            Prober(Steps { step_max: Duration::from_millis(10), ..steps })
        };
        let (_worker, _abort): (Addr<Prober>, AbortOnDrop) =
            spawn_watched(&here(), (), parent.recipient(), make);
        seen.recv().await.expect("it begins with a step");
        let exit = exits.recv().await.expect("its end is told");
        assert_eq!(exit, Exit::GaveUp("did not come back from a step in 0 s".to_owned()));
    }

    #[actix::test]
    async fn a_wake_up_during_a_step_makes_one_more_follow_and_stop_waits_for_the_step() {
        let (steps, mut seen) = mpsc::unbounded_channel();
        let (go, receiver) = mpsc::unbounded_channel();
        let worker = Prober(Steps::new(Probe { steps, go: receiver })).start();
        seen.recv().await.expect("it begins with a step");
        for _ in 0..3 {
            worker.send(Wake).await.expect("alive");
        }
        go.send(Next::Idle).expect("open");
        seen.recv().await.expect("the wake-ups make a second step");
        go.send(Next::Idle).expect("open");
        actix_rt::task::yield_now().await;
        assert!(seen.try_recv().is_err(), "three wake-ups made only one more step");
        worker.send(Wake).await.expect("alive");
        seen.recv().await.expect("a wakeup wakes an idle worker");
        worker.send(Stop).await.expect("alive");
        assert!(worker.connected(), "the step is not cut off");
        go.send(Next::Again).expect("open");
        while worker.connected() {
            actix_rt::task::yield_now().await;
        }
        assert!(seen.try_recv().is_err(), "no step after stop");
    }
}
