//! Group commit, closing, limits, and what a failed commit or a panic leaves behind.

use std::{
    sync::{Arc, atomic::Ordering, mpsc},
    task::Poll,
};

use super::{OPTIONS, change, dead, memory::Memory, request, subject, wait};
use crate::{
    Append, BODY_BYTES_MAX, DEAD_LETTERS_MAX, Lane, NewChange, Options, Outcome, Progress, Read, Reads,
    Resolve, Seq, Settle, StoreError, TEXT_BYTES_MAX, UnixMs,
};

fn one_request() -> Append {
    Append { requests: vec![request(Lane::Live, 1, "body")], ..Append::default() }
}

/// Polls all of them once, so that each has handed its call over, and says whether none is answered.
async fn none_is_ready<F: Future + Unpin>(futures: &mut [F]) -> bool {
    std::future::poll_fn(|context| {
        let mut ready = 0;
        for future in &mut *futures {
            ready += usize::from(std::pin::Pin::new(future).poll(context).is_ready());
        }
        Poll::Ready(ready == 0)
    })
    .await
}

#[test]
fn calls_that_wait_share_one_commit_and_none_is_answered_before_it() {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    let (open_gate, gate) = mpsc::channel();
    *memory.gate.lock().unwrap() = Some(gate);
    let before = memory.commits.load(Ordering::SeqCst);
    wait(async {
        let orgs: Vec<_> = (0..40).map(|at| format!("org{at}")).collect();
        let mut first = [Box::pin(store.append("first", one_request()))];
        assert!(none_is_ready(&mut first).await);
        while memory.commits.load(Ordering::SeqCst) == before {
            std::thread::yield_now();
        }
        let mut others: Vec<_> = orgs.iter().map(|org| Box::pin(store.append(org, one_request()))).collect();
        let mut reads: Vec<_> = orgs.iter().map(|org| Box::pin(store.counts(org))).collect();
        assert!(none_is_ready(&mut others).await && none_is_ready(&mut reads).await);
        open_gate.send(()).unwrap();
        for call in first {
            call.await.unwrap();
        }
        while memory.commits.load(Ordering::SeqCst) == before + 1 {
            std::thread::yield_now();
        }
        assert!(none_is_ready(&mut others).await && none_is_ready(&mut reads).await);
        open_gate.send(()).unwrap();
        for call in others {
            call.await.unwrap();
        }
        for call in reads {
            assert_eq!(call.await.unwrap().open_ingress, 1);
        }
    });
    assert_eq!(memory.commits.load(Ordering::SeqCst), before + 2);
}

#[test]
fn what_a_call_reads_includes_what_waits_for_the_same_commit() {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    let (open_gate, gate) = mpsc::channel();
    let before = memory.commits.load(Ordering::SeqCst);
    *memory.gate.lock().unwrap() = Some(gate);
    let positions = vec![("channel".to_owned(), b"17".to_vec())];
    wait(async {
        let mut first = [Box::pin(store.append("first", one_request()))];
        assert!(none_is_ready(&mut first).await);
        while memory.commits.load(Ordering::SeqCst) == before {
            std::thread::yield_now();
        }
        let mut append = [Box::pin(store.append("acme", Append { positions, ..one_request() }))];
        let mut head = [Box::pin(store.ingress_head("acme", 9))];
        let mut position = [Box::pin(store.position("acme", "channel"))];
        assert!(none_is_ready(&mut append).await);
        assert!(none_is_ready(&mut head).await && none_is_ready(&mut position).await);
        open_gate.send(()).unwrap();
        open_gate.send(()).unwrap();
        let [head] = head;
        assert_eq!(head.await.unwrap()[0].body, b"body");
        let [position] = position;
        assert_eq!(position.await.unwrap(), Some(b"17".to_vec()));
    });
    assert_eq!(memory.commits.load(Ordering::SeqCst), before + 2);
}

#[test]
fn a_change_left_out_of_a_repeated_job_is_free_once_it_is_released() {
    let store = Memory::default().open(OPTIONS).unwrap();
    wait(async {
        let requests = vec![request(Lane::Live, 2, "body")];
        store.append("acme", Append { requests, ..Append::default() }).await.unwrap();
        let head = store.ingress_head("acme", 9).await.unwrap();
        let changes = ["a", "b"].map(|key| change(Lane::Live, "Enrichment__c", key, 1, key)).to_vec();
        let settle = Settle { requests: vec![head[0].seq], changes, ..Settle::default() };
        store.settle("acme", settle).await.unwrap();
        let taken: Vec<_> =
            store.egress_take("acme", UnixMs(0), 9).await.unwrap().iter().map(|c| c.seq).collect();
        store.put_job("acme", "750", Vec::new(), &taken).await.unwrap();
        let error = store.put_job("acme", "751", Vec::new(), &taken).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("org `acme`: change {} belongs to job `750` already", taken[0])
        );
        store.put_job("acme", "750", b"new".to_vec(), &taken[..1]).await.unwrap();
        assert_eq!(store.egress_take("acme", UnixMs(0), 9).await.unwrap(), Vec::new());
        store.release("acme").await.unwrap();
        assert_eq!(store.egress_take("acme", UnixMs(0), 9).await.unwrap()[0].seq, taken[1]);
        let jobs = store.jobs("acme").await.unwrap();
        assert_eq!((jobs[0].body.as_slice(), jobs[0].changes.len()), (b"new".as_slice(), 1));
    });
}

#[test]
fn positions_move_with_settle_and_the_progress_tells_when_all_before_is_done() {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    wait(async {
        let moved = |name: &str, value: &str| vec![(name.to_owned(), value.as_bytes().to_vec())];
        assert_eq!(store.progress("acme").await.unwrap(), Progress::default());
        let requests = vec![request(Lane::Refresh, 1, "first"), request(Lane::Live, 1, "second")];
        store.append("acme", Append { requests, ..Append::default() }).await.unwrap();
        let waiting = store.progress("acme").await.unwrap();
        assert_eq!(
            (waiting.given, waiting.oldest_request, waiting.oldest_change),
            (Seq(2), Some(Seq(1)), None)
        );
        let counted = change(Lane::Live, "Enrichment__c", "a", 1, "a");
        let uncounted =
            NewChange { subjects: Vec::new(), ..change(Lane::Live, "Enrichment__c", "b", 0, "b") };
        let changes = vec![counted, uncounted];
        let settle =
            Settle { requests: vec![Seq(1)], changes, positions: moved("decided", "1"), ..Settle::default() };
        store.settle("acme", settle.clone()).await.unwrap();
        let refused = Settle { positions: moved("decided", "2"), ..settle };
        store.settle("acme", refused).await.unwrap_err();
        let decided = store.progress("acme").await.unwrap();
        assert_eq!(
            (decided.given, decided.oldest_request, decided.oldest_change),
            (Seq(4), Some(Seq(2)), Some(Seq(3)))
        );
        assert_eq!(decided.ended_changes, 0);
        store.egress_take("acme", UnixMs(0), 9).await.unwrap();
        for (seq, oldest, ended) in [(Seq(4), Some(Seq(3)), 1), (Seq(3), None, 2)] {
            let outcomes = vec![(seq, Outcome::Written)];
            let resolve = Resolve { outcomes, finished_job: None, ..Resolve::default() };
            store.resolve("acme", resolve).await.unwrap();
            let now = store.progress("acme").await.unwrap();
            assert_eq!((now.oldest_change, now.ended_changes), (oldest, ended));
        }
        store.close().await.unwrap();
        let store = memory.open(OPTIONS).unwrap();
        assert_eq!(store.position("acme", "decided").await.unwrap().as_deref(), Some(b"1".as_slice()));
    });
}

#[test]
fn closing_commits_what_waits_and_refuses_what_comes_later() {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    let (open_gate, gate) = mpsc::channel();
    *memory.gate.lock().unwrap() = Some(gate);
    wait(async {
        let mut waiting: Vec<_> = (0..9).map(|_| Box::pin(store.append("acme", one_request()))).collect();
        assert!(none_is_ready(&mut waiting).await);
        (0..9).for_each(|_| open_gate.send(()).unwrap());
        store.close().await.unwrap();
        for call in waiting {
            call.await.unwrap();
        }
        assert!(matches!(store.append("acme", one_request()).await, Err(StoreError::Closed)));
        assert!(matches!(store.clone().close().await, Err(StoreError::Closed)));
    });
    let store = memory.open(OPTIONS).unwrap();
    assert_eq!(wait(store.counts("acme")).unwrap().open_ingress, 9);
}

#[test]
fn an_org_that_is_forgotten_leaves_nothing_and_the_others_as_they_were() {
    let memory = Memory::default();
    let mut store = memory.open(OPTIONS).unwrap();
    let fill = async |store: &crate::Store, org: &str| {
        let positions = vec![("channel".to_owned(), b"7".to_vec())];
        let requests = (0..3).map(|_| request(Lane::Live, 2, "body")).collect();
        store
            .append(org, Append { positions, requests, dead: vec![dead(1, "letter")], ..Append::default() })
            .await
            .unwrap();
        let head = store.ingress_head(org, 4).await.unwrap();
        let requests = head.iter().map(|request| request.seq).collect();
        let changes = ["a", "b", "c"].map(|key| change(Lane::Live, "Target", key, 1, "fields")).to_vec();
        let unchanged = vec![subject("same", 1)];
        store.settle(org, Settle { requests, unchanged, changes, ..Settle::default() }).await.unwrap();
        let taken = store.egress_take(org, UnixMs(0), 2).await.unwrap();
        let seqs: Vec<Seq> = taken.iter().map(|change| change.seq).collect();
        store.put_job(org, "750", b"job".to_vec(), &seqs).await.unwrap();
    };
    wait(async {
        fill(&store, "acme").await;
        fill(&store, "globex").await;
    });
    let kept = wait(store.counts("globex")).unwrap();
    let before = memory.entries.lock().unwrap().len();
    assert_eq!(wait(store.forget("acme")).unwrap(), Some(kept), "both were filled alike");
    assert_eq!(wait(store.forget("acme")).unwrap(), None);
    for again in [false, true] {
        if again {
            drop(store);
            store = memory.open(OPTIONS).unwrap();
        }
        assert_eq!(wait(store.orgs()).unwrap(), [("globex".to_owned(), kept)]);
        assert_eq!(wait(store.jobs("globex")).unwrap()[0].changes.len(), 2);
        assert_eq!(wait(store.position("acme", "channel")).unwrap(), None);
        assert!(wait(store.dead_letters("acme", Seq::MAX, 9)).unwrap().is_empty());
    }
    // Of an org: ledger, position, request, three changes, job with list, letter, page of rows; and format and mark.
    let left = memory.entries.lock().unwrap().len();
    assert_eq!((before - left, left - 2), (left - 2, 10));
    wait(fill(&store, "acme"));
    assert_eq!(wait(store.counts("acme")).unwrap(), kept, "it begins anew");
}

#[test]
fn a_failed_commit_fails_every_call_in_it_and_after_it() {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    wait(async {
        store.append("acme", one_request()).await.unwrap();
        memory.fails.store(true, Ordering::SeqCst);
        let error = store.append("acme", one_request()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the store has stopped, because a commit failed: no space left on device"
        );
        assert!(error.is_fatal() && error.hint().unwrap().contains("free space"));
        memory.fails.store(false, Ordering::SeqCst);
        assert!(matches!(store.counts("other").await, Err(StoreError::Poisoned { .. })));
        assert!(matches!(store.append("acme", one_request()).await, Err(StoreError::Poisoned { .. })));
        assert!(matches!(store.close().await, Err(StoreError::Poisoned { .. })));
    });
    drop(store);
    let store = memory.open(OPTIONS).unwrap();
    assert_eq!(wait(store.counts("acme")).unwrap().records_in, 1);
}

#[test]
fn a_panic_of_the_thread_is_an_error_to_callers_and_dropping_the_handle_survives_it() {
    let store = Memory::default().open(OPTIONS).unwrap();
    let error = wait(store.worker.call::<()>(|_| panic!("wanted by a test"))).unwrap_err();
    assert!(matches!(error, StoreError::Ended), "{error}");
    assert!(matches!(wait(store.counts("acme")), Err(StoreError::Ended)));
    assert!(matches!(wait(store.close()), Err(StoreError::Ended)));
}

#[test]
fn while_the_disk_is_nearly_full_nothing_is_taken_in_and_what_is_there_goes_on() {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    let free = |bytes| *memory.free_bytes.lock().unwrap() = Some(bytes);
    wait(async {
        let append = || Append { requests: vec![request(Lane::Live, 1, "body")], ..Append::default() };
        free(OPTIONS.free_bytes_min);
        store.append("acme", append()).await.unwrap();
        free(OPTIONS.free_bytes_min - 1);
        let letter = Append { dead: vec![dead(1, "k")], ..Append::default() };
        for refused in [append(), letter.clone()] {
            let error = store.append("acme", refused).await.unwrap_err();
            assert!(
                matches!(error, StoreError::NoRoom { free_bytes: 999, .. }) && !error.is_fatal(),
                "{error}"
            );
        }
        let positions = vec![("channel".to_owned(), vec![1])];
        store.append("acme", Append { positions, ..Append::default() }).await.unwrap();
        let head = store.ingress_head("acme", 9).await.unwrap();
        let (requests, unchanged) = (vec![head[0].seq], vec![subject("r", 1)]);
        store.settle("acme", Settle { requests, unchanged, ..Settle::default() }).await.unwrap();
        assert_eq!(store.room().await.unwrap().free_bytes, Some(999));
        free(OPTIONS.free_bytes_min);
        store.append("acme", letter).await.unwrap();
        assert_eq!(store.counts("acme").await.unwrap().records_in, 2);
    });
}

#[test]
fn who_waits_for_a_failure_is_told_of_it() {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    wait(async {
        memory.fails.store(true, Ordering::SeqCst);
        let append = Append { dead: vec![dead(1, "k")], ..Append::default() };
        let (failed, appended) = tokio::join!(store.failed(), store.append("acme", append));
        assert!(matches!(failed, StoreError::Poisoned { .. }) && appended.is_err(), "{failed}");
        assert!(matches!(store.failed().await, StoreError::Poisoned { .. }), "whoever asks later, too");
    });
    let store = Memory::default().open(OPTIONS).unwrap();
    wait(async {
        store.close().await.unwrap();
        assert!(matches!(store.failed().await, StoreError::Closed));
    });
}

#[test]
fn an_org_that_is_full_takes_no_requests_but_positions_and_dead_letters() {
    let store = Memory::default().open(Options { depth_max: 10, ..OPTIONS }).unwrap();
    wait(async {
        let many = Append { requests: vec![request(Lane::Live, 50, "a page")], ..Append::default() };
        store.append("acme", many.clone()).await.unwrap();
        let error = store.append("acme", one_request()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "org `acme` has 50 records waiting, and 1 more would pass the limit of 10"
        );
        assert!(!error.is_fatal());
        let rest = Append {
            positions: vec![("channel".to_owned(), b"9".to_vec())],
            dead: vec![dead(1, "k")],
            ..Append::default()
        };
        store.append("acme", rest).await.unwrap();
        store.append("other", many).await.unwrap();
        let head = store.ingress_head("acme", 1).await.unwrap();
        let settle =
            Settle { requests: vec![head[0].seq], unchanged: vec![subject("r", 50)], ..Settle::default() };
        store.settle("acme", settle).await.unwrap();
        store.append("acme", one_request()).await.unwrap();
    });
}

#[test]
fn what_is_too_large_is_refused_and_long_texts_are_cut() {
    let store = Memory::default().open(OPTIONS).unwrap();
    wait(async {
        let mut large = one_request();
        large.requests[0].body = vec![0; BODY_BYTES_MAX + 1];
        let error = store.append("acme", large).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "org `acme`: a body of 4194305 bytes is larger than the 4194304 that are stored"
        );
        let error = store.append(&"x".repeat(70_000), one_request()).await.unwrap_err();
        assert!(matches!(error, StoreError::TooLarge { what: "name of an org", .. }));
        let mut letter = dead(1, "k");
        letter.reason = "ü".repeat(TEXT_BYTES_MAX);
        store.append("acme", Append { dead: vec![letter], ..Append::default() }).await.unwrap();
        let letters = store.dead_letters("acme", Seq::MAX, 9).await.unwrap();
        assert_eq!(letters[0].reason.len(), TEXT_BYTES_MAX);
        assert_eq!(store.counts("acme").await.unwrap().records_in, 1);
    });
}

#[test]
fn dead_letters_past_the_limit_go_but_stay_counted() {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    let dead: Vec<_> = (0..DEAD_LETTERS_MAX + 5).map(|at| dead(1, &format!("{at}"))).collect();
    wait(async {
        store.append("acme", Append { dead, ..Append::default() }).await.unwrap();
    });
    drop(store);
    let store = memory.open(OPTIONS).unwrap();
    let letters = wait(store.dead_letters("acme", Seq::MAX, usize::MAX)).unwrap();
    assert_eq!(letters.len(), DEAD_LETTERS_MAX);
    assert_eq!(letters.last().unwrap().key, "5");
    let counts = wait(store.counts("acme")).unwrap();
    assert_eq!(counts.dead, DEAD_LETTERS_MAX as u64 + 5);
    assert!(counts.balanced());
}

#[test]
fn numbers_are_never_given_twice_even_when_all_entries_are_gone() {
    let memory = Memory::default();
    let mut last = Seq::MIN;
    for _ in 0..3 {
        let store = memory.open(OPTIONS).unwrap();
        wait(async {
            store.append("acme", one_request()).await.unwrap();
            let head = store.ingress_head("acme", 1).await.unwrap();
            assert!(head[0].seq > last);
            last = head[0].seq;
            let settle = Settle { requests: vec![last], no_data: vec![subject("r", 1)], ..Settle::default() };
            store.settle("acme", settle).await.unwrap();
        });
    }
}

#[test]
fn handles_are_shared_between_threads() {
    let store = Arc::new(Memory::default().open(Options { depth_max: 10_000, ..OPTIONS }).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    wait(store.append("acme", one_request())).unwrap();
                }
            });
        }
    });
    assert_eq!(wait(store.counts("acme")).unwrap().open_ingress, 200);
}

#[test]
fn a_position_that_ended_is_none_as_is_one_that_an_earlier_version_emptied() {
    let memory = Memory::default();
    let store = memory.open(OPTIONS).unwrap();
    let named = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    let before = memory.entries.lock().unwrap().len();
    wait(async {
        let positions = vec![named("channel", b"17"), named("refresh", b"page 2"), named("job", b"")];
        store.append("acme", Append { positions, ..Append::default() }).await.unwrap();
        assert_eq!(store.position("acme", "job").await.unwrap(), None);
        let ended_positions = vec!["refresh".to_owned(), "never set".to_owned()];
        let positions = vec![named("channel", b"18"), named("refresh", b"page 3")];
        store.append("acme", Append { positions, ended_positions, ..Append::default() }).await.unwrap();
    });
    drop(store);
    let store = memory.open(OPTIONS).unwrap();
    wait(async {
        assert_eq!(store.position("acme", "refresh").await.unwrap(), None);
        assert_eq!(store.position("acme", "channel").await.unwrap().as_deref(), Some(&b"18"[..]));
    });
    let entries = memory.entries.lock().unwrap().len();
    assert_eq!(entries, before + 3, "the ledger and two positions; what has ended takes no room");
}

#[test]
fn reads_are_counted_by_call_and_commands_are_none() {
    let store = Memory::default().open(OPTIONS).unwrap();
    wait(async {
        let requests = vec![request(Lane::Live, 1, "one"), request(Lane::Live, 1, "two")];
        store.append("acme", Append { requests, ..Append::default() }).await.unwrap();
        assert_eq!(store.reads(), Reads::default());
        let head = store.clone().ingress_head("acme", 2).await.unwrap();
        let settle = Settle {
            requests: head.iter().map(|request| request.seq).collect(),
            changes: vec![change(Lane::Live, "Enrichment__c", "key 0", 2, "change")],
            ..Settle::default()
        };
        store.settle("acme", settle).await.unwrap();
        store.rows("acme", "key 0", 9).await.unwrap();
        store.counts("nobody").await.unwrap();
    });
    let reads = store.reads();
    let of = [Read::IngressHead, Read::Rows, Read::Counts].map(|read| reads.of(read));
    assert_eq!((of, reads.total(), reads.entries()), ([1, 1, 1], 3, 2));
}

/// As a clock stored it that ran 400 days ahead and was set back.
#[test]
fn a_change_that_is_due_later_than_anybody_waits_is_due_now() {
    const HOUR_MS: u64 = 60 * 60 * 1_000;
    for (due_ms, is_offered) in [(UnixMs(HOUR_MS), false), (UnixMs(400 * 24 * HOUR_MS), true)] {
        let store = Memory::default().open(OPTIONS).unwrap();
        wait(async {
            let requests = vec![request(Lane::Live, 1, "body")];
            store.append("acme", Append { requests, ..Append::default() }).await.unwrap();
            let requests = vec![store.ingress_head("acme", 9).await.unwrap()[0].seq];
            let changes = vec![change(Lane::Live, "Enrichment__c", "k", 1, "k")];
            store.settle("acme", Settle { requests, changes, ..Settle::default() }).await.unwrap();
            let seq = store.egress_take("acme", UnixMs(0), 9).await.unwrap()[0].seq;
            let retry =
                Outcome::Retry { due_ms: Some(due_ms), reason: "busy".to_owned(), resend: 0, counted: true };
            store
                .resolve("acme", Resolve { outcomes: vec![(seq, retry)], ..Resolve::default() })
                .await
                .unwrap();
            let offered = store.egress_take("acme", UnixMs(0), 9).await.unwrap();
            assert_eq!(!offered.is_empty(), is_offered, "{due_ms}");
        });
    }
}
