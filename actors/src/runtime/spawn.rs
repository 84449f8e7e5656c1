//! Starting an actor so that its end is known: clean, by panic and with what text, or with its thread.
//!
//! Here: the task around an actor, the notice to its parent, and the abort that ends a child with its parent. Not here: what
//! follows from an end (`restart`, `supervise`).
//!
//! `actix::Supervisor` does not restart a panicked actor, and a `Closed` mailbox does not say why. The task that runs
//! the actor does: its join handle is awaited here, and the parent is told with a bounded `send`.

use std::{any::Any, convert::Infallible};

use actix::{Actor, Addr, ArbiterHandle, AsyncContext as _, Context, Message, Recipient, dev::channel};
use tokio::{sync::oneshot, task::JoinError};

/// How an actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It stopped by itself.
    Clean,
    /// It panicked with this text.
    Panicked(String),
    /// It gave itself up, for this reason.
    GaveUp(String),
    /// Its thread is gone.
    Lost,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Clean => f.write_str("stopped"),
            Self::Panicked(text) => write!(f, "panicked: {text}"),
            Self::GaveUp(why) => f.write_str(why),
            Self::Lost => f.write_str("ended with its thread"),
        }
    }
}

/// Tells a parent that a child has ended.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Exited<K: 'static + Send> {
    /// The child, as its parent calls it.
    pub child: K,
    /// How it ended.
    pub exit: Exit,
}

/// Mailbox of every actor: wake-ups are few, and a full one means that a wake-up waits in it already.
const MAILBOX: usize = 16;

/// Held by a parent for each child. A child lives on its own timers even when nobody has its address, so a parent that
/// panics would leave its children running beside the next parent's: dropping this ends the child at once, as a crash
/// would.
#[derive(Debug)]
pub(crate) struct AbortOnDrop {
    _parent: oneshot::Sender<Infallible>,
}

/// Starts an actor on the arbiter and tells `parent` when it ends, unless the guard is dropped first. `make` may
/// panic: that is an exit, too.
pub(crate) fn spawn_watched<A, K, F>(
    arbiter: &ArbiterHandle,
    child: K,
    parent: Recipient<Exited<K>>,
    make: F,
) -> (Addr<A>, AbortOnDrop)
where
    A: Actor<Context = Context<A>>,
    K: 'static + Send,
    F: FnOnce() -> A + Send + 'static,
{
    let (sender, receiver) = channel::channel(MAILBOX);
    let (abort, mut parent_gone) = oneshot::channel();
    arbiter.spawn_fn(move || {
        let context = Context::with_receiver(receiver);
        let mut task = actix_rt::spawn(async move { context.into_future(make()).await });
        actix_rt::spawn(async move {
            let ended = tokio::select! {
                ended = &mut task => ended,
                _ = &mut parent_gone => return task.abort(),
            };
            let exit = exit_of_task(ended);
            // A parent that is gone has nobody to restart for.
            let _ = parent.send(Exited { child, exit }).await;
        });
    });
    (Addr::new(sender), AbortOnDrop { _parent: abort })
}

/// Starts the actor that has no parent, on the calling thread; how it ended is there once it has.
pub(crate) fn spawn_root<A>(actor: A) -> (Addr<A>, tokio::sync::watch::Receiver<Option<Exit>>)
where
    A: Actor<Context = Context<A>>,
{
    let (sender, receiver) = channel::channel(MAILBOX);
    let (told, ended) = tokio::sync::watch::channel(None);
    let task = actix_rt::spawn(Context::with_receiver(receiver).into_future(actor));
    actix_rt::spawn(async move {
        // Nobody may be there to tell.
        let _ = told.send(Some(exit_of_task(task.await)));
    });
    (Addr::new(sender), ended)
}

fn exit_of_task(ended: Result<(), JoinError>) -> Exit {
    match ended {
        Ok(()) => Exit::Clean,
        Err(cause) if cause.is_panic() => exit_of(cause.into_panic()),
        Err(_) => Exit::Lost,
    }
}

/// Ends the calling actor at once, without a panic's message: for one that cannot stop in order.
pub(crate) fn give_up(why: String) -> ! {
    std::panic::resume_unwind(Box::new(GivenUp(why)))
}

struct GivenUp(String);

fn exit_of(payload: Box<dyn Any + Send>) -> Exit {
    match payload.downcast::<GivenUp>() {
        Ok(given_up) => Exit::GaveUp(given_up.0),
        Err(payload) => Exit::Panicked(text_of(&*payload)),
    }
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no text".to_owned()).chars().take(300).collect()
}

/// The arbiter of the calling actor: children share their parent's thread.
pub(crate) fn here() -> ArbiterHandle {
    actix_rt::Arbiter::current()
}

/// Sends without waiting and without a bound being passed: for an actor that must not wait for another.
pub(crate) fn tell<A, M>(context: &mut Context<A>, to: Recipient<M>, message: M)
where
    A: Actor<Context = Context<A>>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    context.spawn(actix::fut::wrap_future(async move {
        let _ = to.send(message).await;
    }));
}

#[cfg(test)]
mod tests {
    use actix::{Handler, MessageResult};
    use tokio::sync::mpsc;

    use super::*;

    struct Parent(mpsc::UnboundedSender<(u8, Exit)>);
    impl Actor for Parent {
        type Context = Context<Self>;
    }
    impl Handler<Exited<u8>> for Parent {
        type Result = ();
        fn handle(&mut self, notice: Exited<u8>, _: &mut Self::Context) {
            let _ = self.0.send((notice.child, notice.exit));
        }
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    enum Do {
        Panic,
        Stop,
    }
    struct Child;
    impl Actor for Child {
        type Context = Context<Self>;
    }
    impl Handler<Do> for Child {
        type Result = MessageResult<Do>;
        fn handle(&mut self, what: Do, context: &mut Self::Context) -> Self::Result {
            use actix::ActorContext as _;
            match what {
                Do::Panic => panic!("out of luck"),
                Do::Stop => context.stop(),
            }
            MessageResult(())
        }
    }

    #[actix::test]
    async fn every_end_is_told_with_its_text() {
        let (sender, mut exits) = mpsc::unbounded_channel();
        let parent = Parent(sender).start();
        let start = |key| spawn_watched(&here(), key, parent.clone().recipient(), || Child);
        let ((panics, _first), (stops, _second)) = (start(1), start(2));
        let (_, _third): (Addr<Child>, AbortOnDrop) =
            spawn_watched(&here(), 3, parent.clone().recipient(), || panic!("not even born"));
        assert!(panics.send(Do::Panic).await.is_err());
        stops.send(Do::Stop).await.expect("it stops after answering");
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(exits.recv().await.expect("three exits"));
        }
        seen.sort_by_key(|(key, _)| *key);
        let expected = [
            (1, Exit::Panicked("out of luck".into())),
            (2, Exit::Clean),
            (3, Exit::Panicked("not even born".into())),
        ];
        assert_eq!(seen, expected);
    }

    /// Nobody has its address, and still it lives: it has a timer.
    struct Ticking(mpsc::UnboundedSender<()>);
    impl Actor for Ticking {
        type Context = Context<Self>;
        fn started(&mut self, context: &mut Self::Context) {
            context.run_interval(std::time::Duration::from_millis(1), |child, _| {
                let _ = child.0.send(());
            });
        }
    }

    #[actix::test]
    async fn a_child_ends_with_its_parents_abort() {
        let (parent, _exits) = mpsc::unbounded_channel();
        let parent = Parent(parent).start();
        let (sender, mut ticks) = mpsc::unbounded_channel();
        let (address, abort) = spawn_watched(&here(), 1, parent.recipient(), || Ticking(sender));
        drop(address);
        for _ in 0..3 {
            ticks.recv().await.expect("it lives without an address");
        }
        drop(abort);
        while ticks.recv().await.is_some() {}
    }
}
