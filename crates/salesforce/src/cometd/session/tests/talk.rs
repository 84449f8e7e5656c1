//! A session under test, with everything that is open on the other side.
//!
//! Here: the invariants of `session`, checked after every input of every test. Not here: what is said (`tests`,
//! `properties`).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;

use crate::cometd::{
    Action, Answer, Batch, Failure, Input, Report, StartFrom, Wanted,
    options::Options,
    session::{Session, Stage, state::Phase, step},
};

/// An open `Action::Send`.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) request: u64,
    pub(super) suffix: &'static str,
    pub(super) message: Value,
    pub(super) timeout: Duration,
    pub(super) cookies: Option<String>,
    /// When the caller answers by itself that there was none.
    until: Duration,
}

/// An open `Action::Store`.
#[derive(Clone, Debug)]
pub(super) struct OpenStore {
    pub(super) request: u64,
    batches: Vec<Batch>,
}

/// An open `Action::Wake`.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenTimer {
    timer: u64,
    at: Duration,
}

/// An event on disk.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) channel: String,
    pub(super) replay_id: i64,
}

/// A reported gap.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    pub(super) channel: String,
    /// The position behind which events may be missing.
    pub(super) last: Vec<u8>,
}

/// A session and what it waits for.
pub(super) struct Talk {
    session: Option<Session>,
    pub(super) now: Duration,
    pub(super) jitter: f64,
    pub(super) sends: Vec<Sent>,
    pub(super) stores: Vec<OpenStore>,
    pub(super) tokens: usize,
    pub(super) wakes: Vec<OpenTimer>,
    /// The positions on disk.
    pub(super) stored: BTreeMap<String, Vec<u8>>,
    /// The events on disk, in order of storing.
    pub(super) kept: Vec<Kept>,
    pub(super) done: usize,
    /// Requests so far.
    pub(super) requests: usize,
    /// Requests for a token so far.
    pub(super) logins: usize,
    /// Those that brought one.
    pub(super) logged_in: usize,
    /// Subscribes beside a held poll so far.
    pub(super) asked_beside: usize,
    /// The gaps reported so far.
    pub(super) gaps: Vec<Gap>,
    /// Sessions that were told to end: what is still open of them is not waited for any more.
    left: BTreeSet<String>,
    /// Positions before the stored ones, for which may be asked, too.
    before: BTreeMap<String, Vec<u8>>,
}

/// `/event/A__e` from now on, `/event/A__e@7` from the position 7 on, `/event/A__e@7<5` from the 5 before it on, `/event/A__e@all` with everything retained.
pub(super) fn wanted(text: &str) -> Wanted {
    let (channel, position) = text.split_once('@').unwrap_or((text, ""));
    let start = if position == "all" { StartFrom::Earliest } else { StartFrom::Latest };
    let position = Some(position).filter(|text| !text.is_empty() && *text != "all");
    let (position, before) = position.map_or((None, None), |text| {
        let (position, before) =
            text.split_once('<').map_or((text, None), |(text, before)| (text, Some(before)));
        (Some(position.as_bytes().to_vec()), before.map(|text| text.as_bytes().to_vec()))
    });
    Wanted { channel: channel.to_owned(), position, before, start }
}

impl Talk {
    pub(super) fn new(channels: &[&str]) -> Self {
        let channels: Vec<Wanted> = channels.iter().map(|text| wanted(text)).collect();
        let before =
            channels.iter().filter_map(|one| Some((one.channel.clone(), one.before.clone()?))).collect();
        let mut stored = BTreeMap::new();
        for Wanted { channel, position, .. } in channels.iter().rev() {
            stored.remove(channel);
            position.clone().map(|position| stored.insert(channel.clone(), position));
        }
        Self {
            before,
            now: Duration::from_secs(1000),
            jitter: 0.0,
            stored,
            session: Some(Session::new(channels, Options::default())),
            sends: Vec::new(),
            stores: Vec::new(),
            tokens: 0,
            wakes: Vec::new(),
            kept: Vec::new(),
            done: 0,
            requests: 0,
            logins: 0,
            logged_in: 0,
            asked_beside: 0,
            gaps: Vec::new(),
            left: BTreeSet::new(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.session.as_ref().expect("between steps").is_idle()
    }

    pub(super) fn phase(&self) -> Stage {
        self.session.as_ref().expect("between steps").phase()
    }

    /// Gives an input, keeps the books, checks the invariants.
    pub(super) fn tell(&mut self, input: Input) -> Vec<Action> {
        self.close(&input);
        let session = self.session.take().expect("between steps");
        let (session, actions) = step(session, input, self.now, self.jitter);
        self.session = Some(session);
        for action in &actions {
            self.open(action);
        }
        self.check();
        actions
    }

    fn close(&mut self, input: &Input) {
        match input {
            Input::Answer { request, .. } => self.sends.retain(|sent| sent.request != *request),
            Input::Stored { request } => {
                for store in self.stores.extract_if(.., |store| store.request == *request) {
                    for Batch { channel, events, position } in store.batches {
                        self.kept.extend(events.iter().map(|event| Kept {
                            channel: channel.clone(),
                            replay_id: event.replay_id.unwrap_or(-1),
                        }));
                        position.map(|position| self.stored.insert(channel, position));
                    }
                }
            }
            Input::StoreFailed { request } => self.stores.retain(|store| store.request != *request),
            Input::TokenReady | Input::TokenFailed { .. } => {
                self.tokens = self.tokens.saturating_sub(1);
                self.logged_in += usize::from(matches!(input, Input::TokenReady));
            }
            Input::Woke { timer } => self.wakes.retain(|wake| wake.timer != *timer),
            Input::Start | Input::Stop => {}
        }
    }

    fn open(&mut self, action: &Action) {
        match action {
            Action::Send { request, message, suffix, timeout, cookies } => {
                let message: Value = serde_json::from_str(message).expect("JSON");
                let (cookies, message) = (cookies.clone(), message[0].clone());
                let (timeout, until) = (*timeout, self.now + *timeout);
                let sent = Sent { request: *request, suffix, message, timeout, cookies, until };
                self.check_sent(&sent);
                self.requests += 1;
                self.sends.push(sent);
            }
            Action::Store { request, batches } => {
                self.stores.push(OpenStore { request: *request, batches: batches.clone() });
            }
            Action::RenewToken { .. } => {
                self.tokens += 1;
                self.logins += 1;
            }
            Action::Wake { after, timer } => {
                self.wakes.push(OpenTimer { timer: *timer, at: self.now + *after });
            }
            Action::Report(Report::Gap { channel, last }) => {
                self.gaps.push(Gap { channel: channel.clone(), last: last.clone() });
            }
            Action::Report(_) => {}
            Action::Done => {
                assert!(self.stores.is_empty(), "done while a store is open");
                // What is still on its way is dropped, as `Action::Done` allows.
                (self.sends, self.wakes, self.tokens) = (Vec::new(), Vec::new(), 0);
                self.done += 1;
            }
        }
    }

    fn is_left(&self, sent: &Sent) -> bool {
        sent.message["clientId"].as_str().is_some_and(|client| self.left.contains(client))
    }

    fn check_sent(&mut self, sent: &Sent) {
        assert_eq!(sent.message["id"], sent.request.to_string());
        assert_eq!(sent.message["channel"], format!("/meta{}", sent.suffix));
        let beside: Vec<&Sent> = self.sends.iter().filter(|beside| !self.is_left(beside)).collect();
        match sent.suffix {
            "/disconnect" => {
                self.left.insert(sent.message["clientId"].as_str().expect("a client").to_owned());
            }
            "/subscribe" => {
                let held = beside.iter().all(|beside| beside.suffix == "/connect");
                assert!(
                    held && self.stores.is_empty(),
                    "a subscribe beside {beside:?} and {:?}",
                    self.stores
                );
                self.asked_beside += beside.len();
            }
            suffix => {
                assert!(beside.is_empty(), "{suffix} beside {beside:?}");
                assert!(self.stores.is_empty(), "{suffix} while a store is open");
            }
        }
        if sent.suffix == "/subscribe" {
            let channel = sent.message["subscription"].as_str().expect("a channel");
            let replay = sent.message["ext"]["replay"][channel].as_i64().expect("a replay id");
            let stored = self.stored.get(channel);
            match replay {
                0.. => {
                    let asked = replay.to_string().into_bytes();
                    let known = stored == Some(&asked) || self.before.get(channel) == Some(&asked);
                    assert!(known, "{channel} is at {stored:?}, and is asked for from {replay} on");
                }
                -2 => {
                    let gap = self.gaps.iter().any(|gap| gap.channel == channel);
                    assert!(stored.is_none() || gap, "{channel} gave up its position silently");
                }
                _ => assert_eq!(stored, None, "{channel} forgot its position"),
            }
        }
    }

    /// Just that is open which the phase waits for: one question, and one more only on the second connection or while
    /// leaving. So it always goes on, and no request is left hanging while its session lives.
    fn check(&self) {
        let session = self.session.as_ref().expect("between steps");
        let (mut requests, mut store, mut token, mut timer) = (Vec::new(), None, false, false);
        match &session.0.phase {
            Phase::Idle => {}
            Phase::Renewing { .. } => token = true,
            Phase::Handshaking { request, .. }
            | Phase::Subscribing { request, .. }
            | Phase::Polling { request, .. } => requests.push(*request),
            Phase::Asking(asking) => requests.extend(asking.held().into_iter().chain([asking.subscribe])),
            Phase::Waiting { .. } | Phase::Resting(_) => timer = true,
            Phase::Storing { request, .. } => store = Some(*request),
            Phase::Leaving(leaving) => {
                requests.extend(leaving.connect.into_iter().chain(leaving.disconnect));
                store = leaving.store;
                assert!(store.is_some() || !requests.is_empty(), "leaving, and nothing is open");
            }
        }
        let open = |request: &u64| self.sends.iter().any(|sent| sent.request == *request);
        assert!(requests.iter().all(open), "{requests:?} is waited for in {}", self.phase());
        let more = self.sends.iter().find(|sent| !requests.contains(&sent.request) && !self.is_left(sent));
        assert!(more.is_none(), "nobody waits for {more:?} in {}", self.phase());
        let stores: Vec<u64> = self.stores.iter().map(|store| store.request).collect();
        assert_eq!(stores, Vec::from_iter(store), "in {}", self.phase());
        assert_eq!(self.tokens, usize::from(token), "in {}", self.phase());
        let rings = |at: Duration| {
            let alarm = session.0.alarm.expect("an alarm");
            alarm.at <= at && self.wakes.iter().any(|wake| wake.timer == alarm.timer)
        };
        match session.0.deadline() {
            Some(at) => assert!(rings(at), "nothing rings in {}", self.phase()),
            None => assert!(!timer, "no time is set in {}", self.phase()),
        }
    }

    /// The process dies; an open store may still have reached the disk. A new one goes on from there.
    pub(super) fn die(&mut self, store_reached_disk: bool) {
        if let Some(store) = self.stores.first().filter(|_| store_reached_disk) {
            self.close(&Input::Stored { request: store.request });
        }
        let session = self.session.as_ref().expect("between steps");
        let wanted = session.0.channels.iter().map(|channel| Wanted {
            position: self.stored.get(&channel.wanted.channel).cloned(),
            before: None,
            ..channel.wanted.clone()
        });
        self.session = Some(Session::new(wanted.collect(), Options::default()));
        (self.sends, self.stores, self.wakes) = (Vec::new(), Vec::new(), Vec::new());
        self.tokens = 0;
    }

    /// Whether a timer rings before the caller gives up any request.
    pub(super) fn rings_first(&self) -> bool {
        let ring = self.wakes.iter().map(|wake| wake.at).min();
        ring.is_some_and(|ring| self.sends.iter().all(|sent| ring < sent.until))
    }

    /// The clock goes on.
    pub(super) fn after(&mut self, secs: f64) -> &mut Self {
        self.now += Duration::from_secs_f64(secs);
        self
    }

    /// The oldest open request is answered.
    pub(super) fn answer(&mut self, http: Result<Answer, Failure>) -> Vec<String> {
        let request = self.sends.first().expect("an open request").request;
        shown(&self.tell(Input::Answer { request, http }))
    }

    /// The oldest open request is answered with 200 and this body.
    pub(super) fn hears(&mut self, body: &str) -> Vec<String> {
        self.answer(Ok(ok(body)))
    }

    pub(super) fn stored(&mut self) -> Vec<String> {
        let request = self.stores.first().expect("an open store").request;
        shown(&self.tell(Input::Stored { request }))
    }

    pub(super) fn not_stored(&mut self) -> Vec<String> {
        let request = self.stores.first().expect("an open store").request;
        shown(&self.tell(Input::StoreFailed { request }))
    }

    /// The clock goes on from timer to timer until one of them has an effect.
    pub(super) fn wakes(&mut self) -> Vec<String> {
        while let Some(OpenTimer { timer, at }) = self.wakes.iter().min_by_key(|wake| wake.at).copied() {
            self.now = self.now.max(at);
            let actions = self.tell(Input::Woke { timer });
            if !actions.is_empty() {
                return shown(&actions);
            }
        }
        Vec::new()
    }
}

/// An answer with status 200.
pub(super) fn ok(body: &str) -> Answer {
    Answer { status: 200, set_cookies: Vec::new(), body: Bytes::copy_from_slice(body.as_bytes()) }
}

/// Actions in a few words each.
pub(super) fn shown(actions: &[Action]) -> Vec<String> {
    actions.iter().map(show).collect()
}

fn show(action: &Action) -> String {
    match action {
        Action::Send { suffix, message, .. } => {
            let message: Value = serde_json::from_str(message).expect("JSON");
            match message[0]["ext"]["replay"].as_object() {
                Some(replay) => format!("{suffix} {}", Value::from(replay.clone())).replace('"', ""),
                None if message[0]["advice"]["timeout"] == 0 => format!("{suffix} at once"),
                None => (*suffix).to_owned(),
            }
        }
        Action::Store { batches, .. } => {
            let batches = batches.iter().map(|batch| {
                let ids: Vec<_> = batch.events.iter().map(|event| event.replay_id.unwrap_or(-1)).collect();
                let position = batch.position.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                format!("{} {ids:?} to {position}", batch.channel)
            });
            format!("store {}", batches.collect::<Vec<_>>().join(", "))
        }
        Action::RenewToken { stale } => format!("token stale={stale}"),
        Action::Wake { after, .. } => format!("wake {}", after.as_secs_f64()),
        Action::Report(report) => show_report(report),
        Action::Done => "done".to_owned(),
    }
}

fn show_report(report: &Report) -> String {
    match report {
        Report::Connected => "connected".to_owned(),
        Report::Subscribed { channel, replay } => format!("subscribed {channel} {replay}"),
        Report::Gap { channel, last } => {
            format!("gap {channel} after {}", String::from_utf8_lossy(last))
        }
        Report::Refused { channel, retry_in, .. } => {
            format!("refused {} {}", channel.as_deref().unwrap_or("all"), retry_in.as_secs_f64())
        }
        Report::Bug { .. } => "bug".to_owned(),
        Report::Lost { retry_in, .. } => format!("lost {}", retry_in.as_secs_f64()),
        Report::LoginFailed { permanent, retry_in } => {
            format!("no token permanent={permanent} {}", retry_in.as_secs_f64())
        }
        Report::MultipleClients => "multiple clients".to_owned(),
        Report::Unasked { input } => format!("unasked {input}"),
    }
}
