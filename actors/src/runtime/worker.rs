//! An actor that takes from a queue on disk, one step at a time.
//!
//! Here: when the next step is due. Not here: what a step does (`decide::ingest`, `deliver::writer`,
//! `capture::refresh`).
//!
//! The mailbox only wakes it. A wake-up during a step makes one more step follow, and a lost one costs time only:
//! an idle worker looks by itself after [`LOOK_AGAIN`].

use std::{future::Future, time::Duration};

use actix::{
    Actor, ActorContext as _, AsyncContext as _, Context, Handler, Message, SpawnHandle, WrapFuture as _,
    fut::ActorFutureExt as _,
};

use super::spawn::give_up;

/// Longest time a worker sleeps without looking at its queue.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

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
    /// At the next wakeup.
    Idle,
}

/// What a worker does.
pub(crate) trait Work: Sized + Unpin + 'static {
    /// One bounded step. Everything it must not lose is on disk before it returns.
    fn step(self) -> impl Future<Output = (Self, Next)>;
}

/// The actor around a [`Work`].
pub(crate) struct Worker<W> {
    /// `None` while a step is under way.
    work: Option<W>,
    woken: bool,
    stopping: bool,
    timer: Option<SpawnHandle>,
    step_max: Duration,
}

impl<W: Work> Worker<W> {
    /// A worker that begins with a step.
    pub(crate) fn new(work: W) -> Self {
        Self { work: Some(work), woken: false, stopping: false, timer: None, step_max: STEP_MAX }
    }

    fn run(&mut self, context: &mut Context<Self>) {
        let Some(work) = self.work.take() else {
            self.woken = true;
            return;
        };
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        self.woken = false;
        let step_max = self.step_max;
        let step = async move {
            match actix_rt::time::timeout(step_max, work.step()).await {
                Ok(done) => done,
                Err(_) => give_up(format!("did not come back from a step in {} s", step_max.as_secs())),
            }
        };
        context.spawn(step.into_actor(self).map(|(work, next), worker, context| {
            worker.work = Some(work);
            worker.plan(next, context);
        }));
    }

    fn plan(&mut self, next: Next, context: &mut Context<Self>) {
        if self.stopping {
            context.stop();
            return;
        }
        let wait = match next {
            Next::Again => Duration::ZERO,
            _ if self.woken => Duration::ZERO,
            Next::After(wait) => wait.min(LOOK_AGAIN),
            Next::Idle => LOOK_AGAIN,
        };
        self.timer = Some(context.run_later(wait, |worker, context| {
            worker.timer = None;
            worker.run(context);
        }));
    }
}

impl<W: Work> Actor for Worker<W> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.run(context);
    }
}

impl<W: Work> Handler<Wake> for Worker<W> {
    type Result = ();

    fn handle(&mut self, _: Wake, context: &mut Self::Context) {
        if !self.stopping {
            self.run(context);
        }
    }
}

impl<W: Work> Handler<Stop> for Worker<W> {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        self.stopping = true;
        if self.work.is_some() {
            context.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use actix::Addr;
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
        let make = move || Worker {
            step_max: Duration::from_millis(10),
            ..Worker::new(Probe { steps, go: receiver })
        };
        let (_worker, _abort): (Addr<Worker<Probe>>, AbortOnDrop) =
            spawn_watched(&here(), (), parent.recipient(), make);
        seen.recv().await.expect("it begins with a step");
        let exit = exits.recv().await.expect("its end is told");
        assert_eq!(exit, Exit::GaveUp("did not come back from a step in 0 s".to_owned()));
    }

    #[actix::test]
    async fn a_bell_during_a_step_makes_one_more_follow_and_stop_waits_for_the_step() {
        let (steps, mut seen) = mpsc::unbounded_channel();
        let (go, receiver) = mpsc::unbounded_channel();
        let worker = Worker::new(Probe { steps, go: receiver }).start();
        seen.recv().await.expect("it begins with a step");
        for _ in 0..3 {
            worker.send(Wake).await.expect("alive");
        }
        go.send(Next::Idle).expect("open");
        seen.recv().await.expect("the bells make a second step");
        go.send(Next::Idle).expect("open");
        actix_rt::task::yield_now().await;
        assert!(seen.try_recv().is_err(), "three bells made only one more step");
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
