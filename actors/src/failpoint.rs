//! Failpoints: places at which a test lets the real program panic, stand still or die.
//!
//! Here: their names, and the list of those that are on. Not here: where the list comes from (`src/config/secrets.rs`).
//!
//! A service that runs in earnest has an empty list, and passing a point costs one look at it.

use std::{
    fmt,
    ops::RangeInclusive,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A place that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// A command's way through the supervisor.
    Supervisor,
    /// A message to the org's actor.
    Org,
    /// An input of the subscription.
    Events,
    /// A step of the refresh.
    Refresh,
    /// A step of the ingest.
    Ingest,
    /// A step of the writer.
    Writer,
    /// Events have come and are not stored.
    BeforeA,
    /// Events are stored and not acknowledged.
    AfterA,
    /// A page has been read and is not stored.
    BeforePage,
    /// A page is stored.
    AfterPage,
    /// A step of finding what was pushed.
    Push,
    /// A push is asked for and not stored.
    BeforeAccept,
    /// A push is stored and that is not answered.
    AfterAccept,
    /// Records of a push have been found and are not stored.
    BeforePush,
    /// Records of a push are stored.
    AfterPush,
    /// Requests have been decided and are not settled.
    BeforeB,
    /// Requests are settled.
    AfterB,
    /// A Bulk job is open and its ID is not stored.
    BeforePutJob,
    /// A Bulk job's ID is stored and its data is not uploaded.
    AfterPutJob,
    /// A Bulk job's data is uploaded and the job is not closed.
    AfterUpload,
    /// A Bulk job is closed.
    AfterClose,
    /// Changes have been written and that is not recorded.
    BeforeC,
    /// The changes' end is recorded.
    AfterC,
    /// A token request is about to be made, and that is stored.
    BeforeExchange,
    /// A token request is answered, and that is not stored.
    BeforeGrant,
    /// What a token request was answered is stored.
    AfterGrant,
    /// The vault key is being changed, and an org's grant is about to be sealed by the next one.
    BeforeReseal,
    /// Receivers are to be told of alerts and that is not stored.
    BeforeNotify,
    /// That is stored and nothing is sent.
    AfterNotify,
    /// A receiver has answered and that is not stored; the org is the receiver.
    BeforeSent,
    /// That is stored; the org is the receiver.
    AfterSent,
    /// A message that carries requests.
    Arrived,
    /// A message that carries changes.
    Decided,
}

/// How long a thread stands still.
const BLOCK: Duration = Duration::from_secs(2);

const NAMES: &[(&str, Point)] = &[
    ("supervisor", Point::Supervisor),
    ("org", Point::Org),
    ("events", Point::Events),
    ("refresh", Point::Refresh),
    ("ingest", Point::Ingest),
    ("writer", Point::Writer),
    ("before-a", Point::BeforeA),
    ("after-a", Point::AfterA),
    ("before-page", Point::BeforePage),
    ("after-page", Point::AfterPage),
    ("push", Point::Push),
    ("before-accept", Point::BeforeAccept),
    ("after-accept", Point::AfterAccept),
    ("before-push", Point::BeforePush),
    ("after-push", Point::AfterPush),
    ("before-b", Point::BeforeB),
    ("after-b", Point::AfterB),
    ("before-put-job", Point::BeforePutJob),
    ("after-put-job", Point::AfterPutJob),
    ("after-upload", Point::AfterUpload),
    ("after-close", Point::AfterClose),
    ("before-c", Point::BeforeC),
    ("after-c", Point::AfterC),
    ("before-exchange", Point::BeforeExchange),
    ("before-grant", Point::BeforeGrant),
    ("after-grant", Point::AfterGrant),
    ("before-reseal", Point::BeforeReseal),
    ("before-notify", Point::BeforeNotify),
    ("after-notify", Point::AfterNotify),
    ("before-sent", Point::BeforeSent),
    ("after-sent", Point::AfterSent),
    ("arrived", Point::Arrived),
    ("decided", Point::Decided),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Panic,
    Abort,
    /// The thread stands still.
    Block,
    /// The thread ends.
    End,
    /// The message is lost.
    Lose,
}

#[derive(Debug)]
struct Failpoint {
    point: Point,
    org: Option<String>,
    effect: Effect,
    /// Counted from 1.
    passes: RangeInclusive<u64>,
    passed: AtomicU64,
}

/// The failpoints that are on: none, unless a test says so.
///
/// Written `POINT[/ORG]=panic|abort|block|end|lose[@FIRST[-LAST]]`, separated by `;`: `writer/acme=panic@2-4` panics in the second,
/// third and fourth step of acme's writer. Without passes, it is the first one. `block` and `end` are of the thread,
/// `lose` is of a message.
#[derive(Clone, Debug, Default)]
pub struct Failpoints(Arc<[Failpoint]>);

/// A failpoint nobody understands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no failpoint")]
pub struct NoFailpoint(String);

impl FromStr for Failpoints {
    type Err = NoFailpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        let read = |part: &str| failpoint(part).ok_or_else(|| NoFailpoint(part.to_owned()));
        Ok(Self(parts.map(read).collect::<Result<_, _>>()?))
    }
}

fn failpoint(text: &str) -> Option<Failpoint> {
    let (place, effect) = text.split_once('=')?;
    let (name, org) = place.split_once('/').map_or((place, None), |(name, org)| (name, Some(org.to_owned())));
    let (effect, passes) = effect.split_once('@').unwrap_or((effect, "1"));
    let (first, last) = passes.split_once('-').unwrap_or((passes, passes));
    Some(Failpoint {
        point: NAMES.iter().find(|(known, _)| *known == name)?.1,
        org,
        effect: match effect {
            "panic" => Effect::Panic,
            "abort" => Effect::Abort,
            "block" => Effect::Block,
            "end" => Effect::End,
            "lose" => Effect::Lose,
            _ => return None,
        },
        passes: first.parse().ok()?..=last.parse().ok()?,
        passed: AtomicU64::new(0),
    })
}

impl Failpoints {
    /// Whether none is on.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Passes a point, if it lets.
    pub(crate) fn pass(&self, point: Point, org: &str) {
        for failpoint in self.met(point, org) {
            match failpoint.effect {
                Effect::Panic => panic!("failpoint {failpoint}"),
                // As kill -9 would: nothing is flushed, nothing is dropped.
                Effect::Abort => std::process::abort(),
                Effect::Block => std::thread::sleep(BLOCK),
                Effect::End => drop(actix_rt::Arbiter::current().stop()),
                Effect::Lose => {}
            }
        }
    }

    /// Whether the message at this point is lost.
    pub(crate) fn loses(&self, point: Point, org: &str) -> bool {
        // Each one counts its passes, also behind one that loses the message.
        self.met(point, org).filter(|failpoint| failpoint.effect == Effect::Lose).count() > 0
    }

    /// Those that are on at this pass.
    fn met<'a>(&'a self, point: Point, org: &'a str) -> impl Iterator<Item = &'a Failpoint> {
        self.0.iter().filter(move |failpoint| {
            let here = failpoint.org.as_deref().is_none_or(|wanted| wanted == org);
            failpoint.point == point && here && {
                let pass = failpoint.passed.fetch_add(1, Ordering::Relaxed) + 1;
                failpoint.passes.contains(&pass)
            }
        })
    }
}

impl fmt::Display for Failpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, point)| *point == self.point).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failpoints_are_read_or_refused() {
        let read: Failpoints = "before-a=abort; writer/acme=panic@2-4".parse().expect("two failpoints");
        let passes: Vec<_> = read.0.iter().map(|one| (one.point, one.effect, one.passes.clone())).collect();
        let expected = [(Point::BeforeA, Effect::Abort, 1..=1), (Point::Writer, Effect::Panic, 2..=4)];
        assert_eq!(passes, expected);
        assert!("".parse::<Failpoints>().expect("none").is_empty());
        for wrong in ["writer", "wirter=panic", "writer=stop", "writer=panic@x"] {
            assert!(wrong.parse::<Failpoints>().is_err(), "{wrong}");
        }
    }

    #[test]
    #[should_panic(expected = "failpoint ingest")]
    fn a_point_fails_in_its_org_at_its_pass() {
        let failpoints: Failpoints = "ingest/acme=panic@2".parse().expect("a failpoint");
        failpoints.pass(Point::Ingest, "globex");
        failpoints.pass(Point::Writer, "acme");
        failpoints.pass(Point::Ingest, "acme");
        failpoints.pass(Point::Ingest, "acme");
    }
}
