//! Any calls, in any order, with the store reopened or failing in between: it answers as the model does.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use proptest::{collection::vec, prelude::*, sample::Index};
use tempfile::TempDir;

use super::{
    OPTIONS, change, dead,
    memory::Memory,
    model::{Model, ModelFlight},
    request, subject, wait,
};
use crate::{
    Append, Appended, Change, End, Lane, Mended, NewDead, OpenChanges, Outcome, RegistryWrite, Resolve,
    Retry, Seq, Settle, Store, StoreError, UnixMs,
};

const ORGS: [&str; 2] = ["acme", "acme2"];
/// Names of records that are asked for in the end; `key …` name the target's.
const RECORDS: [&str; 4] = ["unchanged", "unknown", "key 0", "key 1"];
const TARGETS: [&str; 2] = ["Enrichment__c", "Note__c"];

/// Kinds of registered values, of which one's name begins with the other's.
const KINDS: [&str; 2] = ["token", "tokens"];

/// What one record of a settled request becomes.
#[derive(Clone, Debug)]
enum Fate {
    Unchanged,
    NoData,
    Dead,
    Change { live: bool, target: usize, key: u8 },
}

#[derive(Clone, Debug)]
enum Verdict {
    Written,
    WrittenInPart,
    Retry(Duration, bool),
    Superseded,
    Dead,
}

#[derive(Clone, Debug)]
enum Call {
    Append { requests: Vec<(bool, u32)>, dead: u32, position: Option<u8>, ended: Option<u8> },
    Settle { records_max: u64, fates: Vec<Fate>, extra: bool },
    Take { later: Duration, changes_max: usize },
    Resolve { picks: Vec<(Index, Verdict)>, finish: Option<Index> },
    PutJob { id: u8, picks: Vec<Index> },
    Release,
    PutBack(Vec<Index>),
    RemoveLetter { from_end: usize, retry: bool },
    Register(Vec<(usize, u8, Option<u8>)>),
    Refused(Index),
    Reopen { close: bool },
    DiskFails,
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        1 => Just(Fate::Unchanged),
        1 => Just(Fate::NoData),
        1 => Just(Fate::Dead),
        6 => (any::<bool>(), 0..2_usize, 0..4_u8).prop_map(|(live, target, key)| Fate::Change { live, target, key }),
    ]
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Written),
        Just(Verdict::WrittenInPart),
        (0..10_u64, any::<bool>()).prop_map(|(steps, counted)| Verdict::Retry(ms(steps * 20), counted)),
        Just(Verdict::Superseded),
        Just(Verdict::Dead)
    ]
}

fn any_call() -> impl Strategy<Value = Call> {
    let position = || prop::option::of(any::<u8>());
    let append = (vec((any::<bool>(), 0..5_u32), 0..3), 0..2_u32, position(), position());
    let settle = (0..12_u64, vec(any_fate(), 1..6), any::<bool>());
    let resolve = (vec((any::<Index>(), any_verdict()), 0..4), prop::option::weighted(0.3, any::<Index>()));
    prop_oneof![
        5 => append.prop_map(|(requests, dead, position, ended)| Call::Append { requests, dead, position, ended }),
        6 => settle.prop_map(|(records_max, fates, extra)| Call::Settle { records_max, fates, extra }),
        6 => (0..4_u64, 0..6_usize).prop_map(|(steps, changes_max)| Call::Take { later: ms(steps * 20), changes_max }),
        6 => resolve.prop_map(|(picks, finish)| Call::Resolve { picks, finish }),
        3 => (0..2_u8, vec(any::<Index>(), 0..4)).prop_map(|(id, picks)| Call::PutJob { id, picks }),
        2 => Just(Call::Release),
        2 => vec(any::<Index>(), 0..4).prop_map(Call::PutBack),
        2 => (0..3_usize, any::<bool>()).prop_map(|(from_end, retry)| Call::RemoveLetter { from_end, retry }),
        2 => vec((0..2_usize, 0..3_u8, prop::option::of(any::<u8>())), 0..4).prop_map(Call::Register),
        2 => any::<Index>().prop_map(Call::Refused),
        2 => any::<bool>().prop_map(|close| Call::Reopen { close }),
        1 => Just(Call::DiskFails),
    ]
}

/// Where the store under test lies.
enum Place {
    Memory(Memory),
    Real(TempDir),
}

impl Place {
    fn open(&self) -> Store {
        match self {
            Self::Memory(memory) => memory.open(OPTIONS),
            Self::Real(dir) => Store::open(dir.path(), OPTIONS),
        }
        .expect("what was closed or dropped opens again")
    }
}

struct World {
    place: Place,
    store: Option<Store>,
    models: [Model; 2],
    /// By kind, the values of the registry by name.
    registry: [BTreeMap<String, Vec<u8>>; 2],
    now_ms: UnixMs,
    bodies: u64,
}

impl World {
    fn new(place: Place) -> Self {
        let store = Some(place.open());
        Self {
            place,
            store,
            models: Default::default(),
            registry: Default::default(),
            now_ms: UnixMs(1_000),
            bodies: 0,
        }
    }

    fn store(&self) -> Store {
        self.store.clone().expect("it is open")
    }

    fn body(&mut self) -> String {
        self.bodies += 1;
        format!("body {}", self.bodies)
    }

    /// One of two reasons, of which the second has a number that is different each time.
    fn reason(&mut self) -> String {
        self.bodies += 1;
        if self.bodies.is_multiple_of(3) { "it is locked".to_owned() } else { "too long".to_owned() }
    }

    /// A refusal of one of few records, so that the same comes again.
    fn refusal(&mut self, records: u32) -> NewDead {
        let reason = self.reason();
        NewDead { sync: "s".to_owned(), reason, ..dead(records, RECORDS[2 + (self.bodies % 2) as usize]) }
    }

    async fn run(&mut self, at: usize, call: Call) {
        match call {
            Call::Append { requests, dead: records, position, ended } => {
                self.append(at, requests, records, (position, ended)).await;
            }
            Call::Settle { records_max, fates, extra } => self.settle(at, records_max, &fates, extra).await,
            Call::Take { later, changes_max } => self.take(at, later, changes_max).await,
            Call::Resolve { picks, finish } => self.resolve(at, picks, finish).await,
            Call::PutJob { id, picks } => self.put_job(at, &format!("750{id}"), &picks).await,
            Call::Release => {
                self.store().release(ORGS[at]).await.unwrap();
                self.models[at].release();
            }
            Call::PutBack(picks) => {
                let flying = self.in_flight(at);
                let picks = picks.iter().filter(|_| !flying.is_empty());
                let chosen: Vec<Seq> = picks.map(|pick| *pick.get(&flying)).collect();
                self.store().put_back(ORGS[at], chosen.clone()).await.unwrap();
                self.models[at].put_back(&chosen);
            }
            Call::RemoveLetter { from_end, retry } => self.remove_letter(at, from_end, retry).await,
            Call::Register(writes) => self.register(writes).await,
            Call::Refused(pick) => self.refused(at, pick).await,
            Call::Reopen { close } => self.reopen(close).await,
            Call::DiskFails => self.disk_fails(at).await,
        }
        for at in 0..ORGS.len() {
            self.compare(at).await;
        }
        for (kind, expected) in KINDS.into_iter().zip(&self.registry) {
            let found = self.store().registry(kind).await.unwrap();
            assert_eq!(found, expected.clone().into_iter().collect::<Vec<_>>());
        }
    }

    async fn append(
        &mut self,
        at: usize,
        requests: Vec<(bool, u32)>,
        records: u32,
        (set, ended): (Option<u8>, Option<u8>),
    ) {
        let lane = |live| if live { Lane::Live } else { Lane::Refresh };
        let requests: Vec<_> =
            requests.into_iter().map(|(live, records)| request(lane(live), records, &self.body())).collect();
        let dead = (records > 0).then(|| self.refusal(records));
        let name = |value: u8| format!("channel {}", value % 3);
        let append = Append {
            positions: set.map(|value| (name(value), vec![value])).into_iter().collect(),
            ended_positions: ended.map(name).into_iter().collect(),
            requests,
            dead: dead.into_iter().collect(),
            found: Vec::new(),
        };
        let (open, more) = (
            self.models[at].counts().open(),
            append.requests.iter().map(|r| u64::from(r.records)).sum::<u64>(),
        );
        let fits = append.requests.is_empty() || open == 0 || open + more <= OPTIONS.depth_max;
        match self.store().append(ORGS[at], append.clone()).await {
            Ok(appended) if fits => {
                self.passed_on(at, &appended).await;
                self.models[at].append(append);
            }
            Err(StoreError::Full { .. }) if !fits => {}
            other => panic!("{other:?} with {open} open and {more} more"),
        }
    }

    async fn register(&mut self, writes: Vec<(usize, u8, Option<u8>)>) {
        let named = |(kind, name, value): &(usize, u8, Option<u8>)| RegistryWrite {
            kind: KINDS[*kind].to_owned(),
            name: format!("name {name}"),
            value: value.map(|value| vec![value]),
        };
        self.store().register(writes.iter().map(named).collect()).await.unwrap();
        for (kind, name, value) in writes {
            let name = format!("name {name}");
            match value {
                Some(value) => drop(self.registry[kind].insert(name, vec![value])),
                None => drop(self.registry[kind].remove(&name)),
            }
        }
    }

    /// What is passed on after an append is what is stored, and it tells what came before.
    async fn passed_on(&mut self, at: usize, appended: &Appended) {
        for lane in [Lane::Live, Lane::Refresh] {
            let read = self.store().ingress_behind(ORGS[at], lane, appended.after, u64::MAX).await.unwrap();
            let passed_on = appended.requests.iter().filter(|request| request.lane == lane);
            assert!(passed_on.eq(&read.requests) && read.complete, "{appended:?} {read:?}");
            assert!(appended.requests.iter().all(|request| request.seq <= read.given));
        }
    }

    async fn settle(&mut self, at: usize, records_max: u64, fates: &[Fate], extra: bool) {
        let head = self.store().ingress_head(ORGS[at], records_max).await.unwrap();
        let found: Vec<_> = head.iter().map(|r| (r.lane, u64::from(r.records), r.body.clone())).collect();
        let expected: Vec<_> = self.models[at].head(records_max).into_iter().cloned().collect();
        assert_eq!(found, expected);
        let records: u64 = found.iter().map(|request| request.1).sum();
        let mut settle =
            Settle { requests: head.iter().map(|request| request.seq).collect(), ..Settle::default() };
        for (nth, fate) in (0..records).zip(fates.iter().cycle()) {
            match fate {
                Fate::Unchanged => {
                    settle.unchanged.push(subject(RECORDS[0], 1));
                    let key = Some((TARGETS[0].to_owned(), "key 1".to_owned()));
                    settle.mended.push(Mended { sync: "s".to_owned(), record: RECORDS[2].to_owned(), key });
                }
                Fate::NoData => {
                    settle.no_data.push(subject(RECORDS[1], 1));
                    let (sync, record) = ("s".to_owned(), RECORDS[2].to_owned());
                    settle.mended.push(Mended { sync, record, key: None });
                }
                Fate::Dead => settle.dead.push(self.refusal(1)),
                Fate::Change { live, target, key } => {
                    let lane = if *live { Lane::Live } else { Lane::Refresh };
                    let key = format!("key {}", (u64::from(*key) + nth) % 4);
                    settle.changes.push(change(lane, TARGETS[*target], &key, 1, &self.body()));
                }
            }
        }
        if extra {
            settle.changes.push(change(Lane::Refresh, TARGETS[1], "key 0", 0, &self.body()));
        }
        settle.at_ms = self.now_ms;
        let settled = self.store().settle(ORGS[at], settle.clone()).await.unwrap();
        let numbers = settled.changes.iter().map(|change| change.seq).collect();
        let read_back = self.store().changes(ORGS[at], numbers).await.unwrap();
        assert_eq!(settled.changes, read_back, "what is passed on is what is stored");
        assert!(self.store().changes(ORGS[at], settled.replaced).await.unwrap().is_empty());
        let bodies: Vec<_> = found.into_iter().map(|request| request.2).collect();
        self.models[at].settle(&bodies, settle);
    }

    async fn take(&mut self, at: usize, later: Duration, changes_max: usize) {
        self.now_ms = self.now_ms.saturating_add(later);
        let in_flight: HashSet<Seq> = self.in_flight(at).into_iter().collect();
        let taken = self.store().egress_take(ORGS[at], self.now_ms, changes_max).await.unwrap();
        assert!(taken.iter().all(|change| !in_flight.contains(&change.seq)), "offered twice: {taken:?}");
        let keys: BTreeSet<_> = taken.iter().map(|change| (&change.target, &change.key)).collect();
        assert_eq!(keys.len(), taken.len(), "one key twice: {taken:?}");
        let model = &mut self.models[at];
        let expected = model.take(self.now_ms, changes_max);
        assert_eq!(taken.len(), expected.len(), "{taken:?}");
        for (change, at) in taken.iter().zip(expected) {
            let waiting = &mut model.changes[at];
            assert!(waiting.seq.is_none_or(|seq| seq == change.seq));
            waiting.seq = Some(change.seq);
            same(change, waiting);
        }
    }

    fn in_flight(&self, at: usize) -> Vec<Seq> {
        let flying = self.models[at].changes.iter().filter(|waiting| waiting.flight != ModelFlight::Free);
        flying.filter_map(|waiting| waiting.seq).collect()
    }

    async fn resolve(&mut self, at: usize, picks: Vec<(Index, Verdict)>, finish: Option<Index>) {
        let mut flying = self.in_flight(at);
        let mut outcomes = Vec::new();
        for (pick, verdict) in picks {
            if flying.is_empty() {
                break;
            }
            let (reason, hint) = (self.reason(), String::new());
            let outcome = match verdict {
                Verdict::Written => Outcome::Written,
                Verdict::WrittenInPart => Outcome::WrittenInPart { reason },
                Verdict::Retry(later, counted) => Outcome::Retry {
                    due_ms: Some(self.now_ms.saturating_add(later)),
                    reason,
                    resend: 0,
                    counted,
                },
                Verdict::Superseded => Outcome::Superseded { reason },
                Verdict::Dead => Outcome::Dead { reason, hint, errors: Vec::new(), at_ms: self.now_ms },
            };
            outcomes.push((flying.remove(pick.index(flying.len())), outcome));
        }
        let ids: Vec<_> = self.models[at].jobs.keys().cloned().collect();
        let finished_job = finish.filter(|_| !ids.is_empty()).map(|pick| pick.get(&ids).clone());
        let (at_ms, by) = (self.now_ms, "REST".to_owned());
        // Some are given back as they were taken, and one of them as it never was: that one is read instead.
        let kept = outcomes.iter().map(|(seq, _)| *seq).step_by(2).collect();
        let mut changes = self.store().changes(ORGS[at], kept).await.unwrap();
        if let Some(change) = changes.last_mut() {
            change.key.push('?');
        }
        let finished = finished_job.clone();
        let resolve = Resolve {
            outcomes: outcomes.clone(),
            finished_job: finished,
            at_ms,
            by,
            changes,
            fingerprints: Vec::new(),
            target_ids: Vec::new(),
            syncs: outcomes.iter().map(|(seq, _)| (*seq, "s".to_owned())).collect(),
        };
        self.store().resolve(ORGS[at], resolve).await.unwrap();
        self.models[at].begin();
        for (seq, outcome) in outcomes {
            self.models[at].resolve(seq, &outcome);
        }
        if let Some(id) = finished_job {
            self.models[at].finish_job(&id);
        }
    }

    async fn put_job(&mut self, at: usize, id: &str, picks: &[Index]) {
        let may = |flight: &ModelFlight| {
            *flight == ModelFlight::Taken || *flight == ModelFlight::Job(id.to_owned())
        };
        let may: Vec<_> =
            self.models[at].changes.iter().filter(|w| may(&w.flight)).filter_map(|w| w.seq).collect();
        let picks = picks.iter().filter(|_| !may.is_empty());
        let chosen: Vec<Seq> =
            picks.map(|pick| *pick.get(&may)).collect::<BTreeSet<_>>().into_iter().collect();
        let body = self.body().into_bytes();
        self.store().put_job(ORGS[at], id, body.clone(), &chosen).await.unwrap();
        self.models[at].put_job(id, body, &chosen);
    }

    async fn remove_letter(&mut self, at: usize, from_end: usize, retry: bool) {
        let (store, org) = (self.store(), ORGS[at]);
        let letters = store.dead_letters(org, Seq::MAX, from_end + 1).await.unwrap();
        let error = store.discard_letter(org, Seq::MAX, "cli", UnixMs(7)).await.unwrap_err();
        assert!(matches!(error, StoreError::UnknownLetter { seq: Seq::MAX, .. }), "{error}");
        let Some(letter) = letters.get(from_end) else { return };
        assert_eq!(store.dead_letter(org, letter.seq).await.unwrap(), *letter);
        let (seq, by, at_ms, body) = (letter.seq, "cli".to_owned(), self.now_ms, self.body());
        let older = store.dead_letters(org, seq, 1).await.unwrap();
        assert_eq!(
            older.first(),
            store.dead_letters(org, Seq::MAX, from_end + 2).await.unwrap().get(from_end + 1)
        );
        if retry {
            let open = self.models[at].counts().open();
            let requests = vec![request(Lane::Live, 1, &body)];
            match self.store().retry_dead_letter(org, Retry { letter: seq, requests, by, at_ms }).await {
                Ok(appended) if open == 0 || open < OPTIONS.depth_max => {
                    self.passed_on(at, &appended).await;
                }
                Err(StoreError::Full { .. }) if open >= OPTIONS.depth_max => return,
                other => panic!("{other:?} with {open} open"),
            }
        } else {
            self.store().discard_letter(org, seq, &by, at_ms).await.unwrap();
        }
        let record = &letter.subjects[0].record;
        let rows = self.store().rows(org, record, 1).await.unwrap();
        let end = if retry { End::Retried } else { End::Discarded };
        assert_eq!((rows[0].end, rows[0].seq, rows[0].by.as_str()), (end, Some(seq), "cli"));
        self.models[at].remove_letter(from_end, retry.then(|| body.into_bytes()), &letter.subjects);
    }

    /// Calls that must be refused; that they change nothing is seen by the comparison after it.
    async fn refused(&mut self, at: usize, pick: Index) {
        let (store, org) = (self.store(), ORGS[at]);
        let head = store.ingress_head(org, 9).await.unwrap();
        let requests: Vec<_> = head.iter().map(|request| request.seq).collect();
        let records: u64 = head.iter().map(|request| u64::from(request.records)).sum();
        let unbalanced = Settle {
            requests: requests.clone(),
            unchanged: vec![subject("r", u32::try_from(records).unwrap() + 1)],
            ..Settle::default()
        };
        let error = store.settle(org, unbalanced).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Unbalanced { taken, given, .. } if (taken, given) == (records, records + 1))
        );
        let unknown = Settle {
            requests: [requests, vec![Seq::MAX]].concat(),
            unchanged: Vec::new(),
            ..Settle::default()
        };
        let error = store.settle(org, unknown).await.unwrap_err();
        assert!(matches!(error, StoreError::UnknownRequest { seq: Seq::MAX, .. }));
        if let Some(first) = head.first() {
            let twice = vec![first.seq, first.seq];
            let twice = Settle {
                requests: twice,
                unchanged: vec![subject("r", 2 * first.records)],
                ..Settle::default()
            };
            let error = store.settle(org, twice).await.unwrap_err();
            assert!(matches!(error, StoreError::UnknownRequest { .. }));
        }
        if let Some(seq) = self.in_flight(at).first() {
            let outcomes = vec![(*seq, Outcome::Written); 2];
            let error = store
                .resolve(org, Resolve { outcomes, finished_job: None, ..Resolve::default() })
                .await
                .unwrap_err();
            assert!(matches!(error, StoreError::UnknownChange { .. }));
        }
        let job = Resolve { finished_job: Some("never".to_owned()), ..Resolve::default() };
        assert!(matches!(store.resolve(org, job).await.unwrap_err(), StoreError::UnknownJob { .. }));
        let free: Vec<_> = self.models[at].changes.iter().filter(|w| w.flight == ModelFlight::Free).collect();
        let free: Vec<_> = free.into_iter().filter_map(|waiting| waiting.seq).collect();
        let mut outcomes: Vec<_> =
            self.in_flight(at).into_iter().map(|seq| (seq, Outcome::Written)).collect();
        let seq = if free.is_empty() { Seq::MAX } else { *pick.get(&free) };
        outcomes.push((seq, Outcome::Written));
        let error = store
            .resolve(org, Resolve { outcomes, finished_job: None, ..Resolve::default() })
            .await
            .unwrap_err();
        let wanted =
            if free.is_empty() { format!("no change {seq}") } else { format!("{seq} is not being written") };
        assert!(error.to_string().contains(&wanted), "{error}");
        let error = store.put_job(org, "never", Vec::new(), &[seq]).await.unwrap_err();
        assert!(error.to_string().contains(&wanted), "{error}");
    }

    async fn reopen(&mut self, close: bool) {
        if close {
            self.store().close().await.unwrap();
        }
        self.store = None;
        self.store = Some(self.place.open());
        self.models.iter_mut().for_each(Model::reopen);
    }

    async fn disk_fails(&mut self, at: usize) {
        let Place::Memory(memory) = &self.place else { return };
        memory.fails.store(true, std::sync::atomic::Ordering::SeqCst);
        let append = Append { dead: vec![dead(1, "lost")], ..Append::default() };
        let error = self.store().append(ORGS[at], append).await.unwrap_err();
        assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
        let error = self.store().counts(ORGS[at]).await.unwrap_err();
        assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
        memory.fails.store(false, std::sync::atomic::Ordering::SeqCst);
        self.reopen(false).await;
    }

    async fn compare(&self, at: usize) {
        let (store, org, model) = (self.store(), ORGS[at], &self.models[at]);
        let counts = store.counts(org).await.unwrap();
        assert!(counts.balanced(), "{counts:?}");
        assert_eq!(counts, model.counts());
        assert_eq!(store.next_due_ms(org).await.unwrap(), model.next_due_ms());
        let letters = store.dead_letters(org, Seq::MAX, 5).await.unwrap();
        let letters: Vec<_> =
            letters.into_iter().map(|one| (one.target, one.key, one.subjects, one.count)).collect();
        let expected = model.standing().rev().take(5).cloned();
        let expected: Vec<_> = expected.map(|one| (one.target, one.key, one.subjects, one.count)).collect();
        assert_eq!(letters, expected);
        let groups = store.letter_groups(org).await.unwrap();
        let (letters, count) =
            groups.iter().fold((0, 0), |(letters, count), one| (letters + one.letters, count + one.count));
        let counted = model.standing().map(|letter| letter.count).sum::<u64>();
        assert_eq!((letters, count), (model.standing().count() as u64, counted));
        for group in groups {
            let of = store.dead_letters_of(org, group.key, Seq::MAX, 999).await.unwrap();
            assert_eq!(of.len() as u64, group.letters);
            assert!(of.iter().all(|letter| letter.reason_key() == group.key && !letter.retried));
            assert!(of.contains(&group.sample));
        }
        let is_order = |end: &End| matches!(end, End::Retried | End::Discarded | End::Closed);
        let orders = store.dead_letter_commands(org, 4).await.unwrap();
        let orders: Vec<_> = orders.into_iter().map(|row| (row.subject, row.end)).collect();
        let expected = model.rows.iter().rev().filter(|row| is_order(&row.1)).take(4);
        assert_eq!(orders, expected.cloned().collect::<Vec<_>>());
        for record in RECORDS {
            let rows = store.rows(org, record, 999).await.unwrap();
            let rows: Vec<_> = rows.into_iter().rev().map(|row| (row.subject, row.end)).collect();
            let expected = model.rows.iter().filter(|row| row.0.record == record);
            assert_eq!(rows, expected.cloned().collect::<Vec<_>>());
            let open = store.changes_of(org, record, 999).await.unwrap();
            let of_record =
                |waiting: &&super::model::ModelChange| waiting.subjects.iter().any(|s| s.record == record);
            assert_eq!(open.len(), model.changes.iter().filter(of_record).count());
        }
        for name in ["channel 0", "channel 1", "channel 2"] {
            assert_eq!(store.position(org, name).await.unwrap().as_ref(), model.positions.get(name));
        }
        for target in TARGETS {
            let keys = (0..4).map(|key| format!("key {key}")).collect();
            let open = store.open_changes(org, target, keys).await.unwrap();
            let mut expected = OpenChanges::new();
            for waiting in model.changes.iter().filter(|waiting| waiting.target == target) {
                expected.entry(waiting.key.clone()).or_default().push(waiting.body.clone());
            }
            assert_eq!(open, expected);
        }
        let jobs = store.jobs(org).await.unwrap();
        assert_eq!(jobs.len(), model.jobs.len());
        for (job, (id, body)) in jobs.iter().zip(&model.jobs) {
            assert_eq!((&job.id, &job.body), (id, body));
            let of_job =
                model.changes.iter().filter(|waiting| waiting.flight == ModelFlight::Job(id.clone()));
            let mut of_job: Vec<_> = of_job.collect();
            of_job.sort_by_key(|waiting| waiting.seq);
            assert_eq!(job.changes.len(), of_job.len());
            job.changes.iter().zip(of_job).for_each(|(change, waiting)| same(change, waiting));
        }
    }
}

fn same(change: &Change, waiting: &super::model::ModelChange) {
    assert_eq!(Some(change.seq), waiting.seq);
    assert_eq!((&change.target, &change.key, &change.body), (&waiting.target, &waiting.key, &waiting.body));
    assert_eq!((change.lane, &change.subjects), (waiting.lane, &waiting.subjects));
    assert_eq!(change.attempts, waiting.attempts);
    assert!(change.attempts == 0 || !change.last_reason.is_empty());
}

fn play(place: Place, calls: Vec<(usize, Call)>) {
    let mut world = World::new(place);
    wait(async {
        for (at, call) in calls {
            world.run(at, call).await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn the_store_answers_as_the_model_does(calls in vec((0..2_usize, any_call()), 0..90)) {
        play(Place::Memory(Memory::default()), calls);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, ..ProptestConfig::default() })]
    #[test]
    fn the_store_answers_as_the_model_does_on_a_real_disk(calls in vec((0..2_usize, any_call()), 0..60)) {
        play(Place::Real(TempDir::new().unwrap()), calls);
    }
}
