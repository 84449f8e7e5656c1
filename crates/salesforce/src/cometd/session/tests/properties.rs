//! What holds whatever happens.
//!
//! Here: anything in any order. Not here: single arrows (`tests`); the other side (`org`); the invariants of each
//! step, which `talk` checks throughout.

use std::{collections::BTreeMap, time::Duration};

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    org::{CHANNELS, FAULT_EFFECTS, FaultEffect, Org},
    talk::{Talk, ok},
};
use crate::cometd::{Answer, Input};

/// Bodies that make no sense, or only some.
const BODIES: [&str; 9] = [
    "null",
    "[{}]",
    "Only POST allowed",
    r#"[{"channel":"/meta/connect","successful":tr"#,
    r#"{"successful":true}"#,
    r#"[{"channel":"/meta/handshake","successful":true}]"#,
    r#"[{"channel":"/event/X__e","data":{"event":{"replayId":-7}}},{"channel":5,"successful":"true","advice":[]}]"#,
    r#"[{"channel":"/meta/connect","successful":true,"advice":{"interval":1e300,"timeout":-1,"reconnect":"none"}}]"#,
    r#"[{"channel":"/meta/subscribe","successful":false,"error":""},{"channel":"/meta/disconnect"}]"#,
];

/// Tokens got in an hour, whatever happens.
const TOKENS_MAX: usize = 21;
/// Tokens asked for in an hour, had or not: each may be a login.
const LOGINS_MAX: usize = 80;

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Move {
    /// The oldest request is answered.
    Serve(FaultEffect),
    /// The youngest request is answered.
    ServeLast(FaultEffect),
    /// Of two open requests the server answers one (the younger one if so) with this fault, then publishes, then answers
    /// the other; the answers arrive in the other order.
    Cross(usize, bool, FaultEffect),
    Publish(usize),
    Store(bool),
    Token(bool),
    Ring,
    Pass(u64),
    Start,
    Stop,
    /// The oldest request is answered with this.
    Say(u16, &'static str),
    /// An answer to a question that is not open.
    Stale(u64),
}

fn moves(length: usize) -> impl Strategy<Value = Vec<(Move, f64)>> {
    let one = prop_oneof![
        8 => Just(Move::Serve(FaultEffect::None)),
        4 => select(&FAULT_EFFECTS[..]).prop_map(Move::Serve),
        1 => select(&FAULT_EFFECTS[..]).prop_map(Move::ServeLast),
        1 => (0..2_usize, any::<bool>(), select(vec![FaultEffect::None, FaultEffect::Cut]))
            .prop_map(|(channel, younger, fault)| Move::Cross(channel, younger, fault)),
        6 => (0..2_usize).prop_map(Move::Publish),
        4 => proptest::bool::weighted(0.8).prop_map(Move::Store),
        2 => proptest::bool::weighted(0.8).prop_map(Move::Token),
        4 => Just(Move::Ring),
        2 => (0..200_000_u64).prop_map(Move::Pass),
        2 => Just(Move::Start),
        1 => Just(Move::Stop),
        1 => (0..300_u64).prop_map(Move::Stale),
        1 => (select(vec![200, 302, 400, 401, 413, 500]), select(&BODIES[..]))
            .prop_map(|(status, body)| Move::Say(status, body)),
    ];
    vec((one, 0.0..=1.0), 0..length)
}

pub(super) struct World {
    pub(super) talk: Talk,
    pub(super) org: Org,
    /// Stops and starts are left out.
    steady: bool,
}

impl World {
    pub(super) fn new(steady: bool) -> Self {
        Self { talk: Talk::new(&["/event/A__e@all", "/event/B__e@all"]), org: Org::default(), steady }
    }

    fn play(&mut self, moves: Vec<(Move, f64)>) {
        self.talk.tell(Input::Start);
        for (one, jitter) in moves {
            self.talk.jitter = jitter;
            self.go(&one);
        }
    }

    pub(super) fn go(&mut self, one: &Move) {
        match *one {
            Move::Serve(fault) => self.serve(0, fault),
            Move::ServeLast(fault) => self.serve(self.talk.sends.len().saturating_sub(1), fault),
            Move::Cross(channel, younger, fault) => self.cross(channel, younger, fault),
            Move::Publish(channel) => self.org.publish(channel),
            Move::Store(good) => {
                if let Some(store) = self.talk.stores.first() {
                    let request = store.request;
                    self.talk.tell(if good {
                        Input::Stored { request }
                    } else {
                        Input::StoreFailed { request }
                    });
                }
            }
            Move::Token(good) => {
                if self.talk.tokens > 0 {
                    self.talk.tell(if good {
                        Input::TokenReady
                    } else {
                        Input::TokenFailed { permanent: false }
                    });
                }
            }
            Move::Ring => {
                self.talk.wakes();
            }
            Move::Pass(millis) => self.talk.now += Duration::from_millis(millis),
            Move::Start | Move::Stop if self.steady => {}
            Move::Start => drop(self.talk.tell(Input::Start)),
            Move::Stop => drop(self.talk.tell(Input::Stop)),
            Move::Say(status, body) => self.say(status, body),
            Move::Stale(number) => self.stale(number),
        }
    }

    fn serve(&mut self, index: usize, fault: FaultEffect) {
        if let Some(sent) = self.talk.sends.get(index).cloned() {
            let http = self.org.answer(&sent, fault);
            self.talk.tell(Input::Answer { request: sent.request, http });
        }
    }

    fn say(&mut self, status: u16, body: &str) {
        if let Some(sent) = self.talk.sends.first() {
            let http = Ok(Answer { status, ..ok(body) });
            self.talk.tell(Input::Answer { request: sent.request, http });
        }
    }

    fn cross(&mut self, channel: usize, younger: bool, fault: FaultEffect) {
        let [.., older, other] = self.talk.sends.as_slice() else { return };
        let (one, other) = if younger { (other, older) } else { (older, other) };
        let (one, other) = (one.clone(), other.clone());
        self.org.publish(channel);
        let first = self.org.answer(&one, fault);
        self.org.publish(channel);
        let second = self.org.answer(&other, FaultEffect::None);
        self.talk.tell(Input::Answer { request: other.request, http: second });
        self.talk.tell(Input::Answer { request: one.request, http: first });
    }

    fn stale(&mut self, number: u64) {
        let (talk, http) = (&mut self.talk, Ok(ok(r#"[{"successful":true}]"#)));
        if !talk.sends.iter().any(|sent| sent.request == number) {
            talk.tell(Input::Answer { request: number, http });
        }
        if !talk.stores.iter().any(|store| store.request == number) {
            talk.tell(Input::Stored { request: number });
            talk.tell(Input::StoreFailed { request: number });
        }
    }

    /// Everything that is open is answered well, until `end` or for a number of rounds.
    pub(super) fn heal(&mut self, end: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..200 {
            if end(self) {
                return true;
            }
            if self.talk.is_idle() {
                self.talk.tell(Input::Start);
            } else if self.talk.tokens > 0 {
                self.go(&Move::Token(true));
            } else if !self.talk.stores.is_empty() {
                self.go(&Move::Store(true));
            } else if self.talk.sends.is_empty() {
                self.go(&Move::Ring);
            } else {
                self.talk.now += Duration::from_secs(20);
                self.serve(0, FaultEffect::None);
            }
        }
        false
    }

    pub(super) fn kept(&self) -> BTreeMap<&str, Vec<i64>> {
        let mut kept: BTreeMap<&str, Vec<i64>> = CHANNELS.map(|channel| (channel, Vec::new())).into();
        for event in &self.talk.kept {
            kept.get_mut(event.channel.as_str()).expect("a known channel").push(event.replay_id);
        }
        kept
    }

    pub(super) fn published(&self) -> BTreeMap<&str, Vec<i64>> {
        let of = |wanted| {
            let ids = self.org.published.iter().filter(move |(channel, _)| *channel == wanted);
            ids.map(|(_, id)| *id).collect()
        };
        CHANNELS.iter().enumerate().map(|(index, channel)| (*channel, of(index))).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The promise: after any faults, stops and starts, a healthy time brings every event to the store, once and in
    /// order. So there is also no state without a way on, and no position ahead of the store.
    #[test]
    fn every_event_is_stored_once_and_in_order(moves in moves(120)) {
        let mut world = World::new(false);
        world.play(moves);
        world.org.publish(0);
        world.org.publish(1);
        prop_assert!(
            world.heal(|world| world.kept() == world.published()),
            "stored {:?} of {:?} in {}", world.kept(), world.published(), world.talk.phase()
        );
    }

    /// Even if the server has gone silent: only stores are answered, and timers ring.
    #[test]
    fn a_stop_ends_whatever_the_phase(moves in moves(60), good in any::<bool>()) {
        let mut world = World::new(true);
        world.play(moves);
        let before = world.talk.done;
        world.talk.tell(Input::Stop);
        for _ in 0..6 {
            if world.talk.done == before {
                world.go(&Move::Store(good));
                world.go(&Move::Ring);
            }
        }
        prop_assert_eq!(world.talk.done, before + 1);
        prop_assert!(world.talk.is_idle());
    }

    /// A server that never answers well for long, be it at once or after the next timer, is not hammered, nor is its
    /// login.
    #[test]
    fn requests_and_logins_in_an_hour_are_bounded(
        faults in vec(select(&FAULT_EFFECTS[..]), 1..8),
        events in any::<bool>(),
        tokens in vec(any::<bool>(), 1..4),
        jitter in vec(0.0..=1.0, 1..8),
    ) {
        let mut world = World::new(true);
        world.talk.tell(Input::Start);
        let (begin, mut turns) = (world.talk.now, 0);
        let end = begin + Duration::from_hours(1);
        while world.talk.now < end {
            world.talk.jitter = jitter[turns % jitter.len()];
            if world.talk.tokens > 0 {
                world.go(&Move::Token(tokens[turns % tokens.len()]));
            } else if !world.talk.stores.is_empty() {
                // A store takes time; what it can bear, the server can.
                world.go(&Move::Pass(2000));
                world.go(&Move::Store(turns % 3 > 0));
            } else if world.talk.sends.is_empty() || (turns % 2 == 0 && world.talk.rings_first()) {
                world.go(&Move::Ring);
            } else {
                if events {
                    world.org.publish(turns % 2);
                }
                world.serve(turns % world.talk.sends.len(), faults[turns % faults.len()]);
            }
            turns += 1;
            let (logins, got) = (world.talk.logins, world.talk.logged_in);
            prop_assert!(logins <= LOGINS_MAX && got <= TOKENS_MAX, "{got} tokens by {logins} logins");
            prop_assert!(world.talk.requests <= 3000, "{} turns, from {:?} to {:?}", turns, begin, world.talk.now);
        }
    }
}
