//! The long poll as it waits, on a fast clock where time has to pass. Whether a request is parked is seen by polling its
//! future once, not by waiting.

use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Value, json};

use super::support::{Answer, Client, ORDERS, order};
use crate::clock::Clock;
use crate::cometd::{CometdReply, CometdServer};

fn server(time_scale: f64) -> Arc<CometdServer> {
    Arc::new(CometdServer::new(Clock::new(time_scale), 1))
}

async fn send(server: &CometdServer, messages: &Value, client: &mut Client) -> Answer {
    let reply = server.answer(client.request(messages)).await;
    client.read(&reply)
}

async fn subscribed(server: &CometdServer) -> Client {
    let mut client = Client::new();
    send(server, &Client::handshake(), &mut client).await;
    send(server, &client.connect(), &mut client).await;
    assert_eq!(send(server, &client.subscribe(ORDERS, &json!(-1)), &mut client).await.error(), "");
    client
}

/// A poll that is being held.
async fn parked<'a>(
    server: &'a CometdServer,
    client: &Client,
) -> Pin<Box<dyn Future<Output = CometdReply> + 'a>> {
    let mut poll = Box::pin(server.answer(client.request(&client.connect())));
    assert!(futures_util::poll!(&mut poll).is_pending(), "the poll is held");
    poll
}

#[tokio::test]
async fn an_event_wakes_the_poll() {
    let server = server(1.0);
    let mut client = subscribed(&server).await;
    let poll = parked(&server, &client).await;
    let id = server.publish("Order__e", order(7), "005P");
    let answer = client.read(&poll.await);
    assert_eq!(answer.numbers(), [7]);
    assert_eq!(answer.events[0]["data"]["event"]["replayId"], id);
}

#[tokio::test]
async fn an_event_of_another_channel_does_not() {
    let server = server(1.0);
    let client = subscribed(&server).await;
    let mut poll = parked(&server, &client).await;
    server.publish("Visit__e", order(7), "005P");
    assert!(futures_util::poll!(&mut poll).is_pending());
}

#[tokio::test]
async fn a_quiet_poll_ends_after_110_s() {
    let server = server(200.0);
    let mut client = subscribed(&server).await;
    let started_ms = server.clock.now_ms();
    let answer = send(&server, &client.connect(), &mut client).await;
    assert_eq!((answer.only()["successful"].clone(), answer.events.len()), (json!(true), 0));
    let held_ms = server.clock.now_ms() - started_ms;
    assert!((110_000..300_000).contains(&held_ms), "held for {held_ms} simulated ms");
}

#[tokio::test]
async fn a_second_poll_ends_the_first() {
    let server = server(1.0);
    let mut client = subscribed(&server).await;
    let first = parked(&server, &client).await;
    let second = parked(&server, &client).await;
    assert_eq!(first.await, CometdReply { status: 500, ..CometdReply::default() });
    server.publish("Order__e", order(1), "005P");
    assert_eq!(client.read(&second.await).numbers(), [1]);
}

#[tokio::test]
async fn others_are_served_while_a_poll_waits() {
    let server = server(1.0);
    let mut client = subscribed(&server).await;
    let poll = parked(&server, &client).await;
    let mut other = subscribed(&server).await;
    assert_eq!(
        send(&server, &client.plain("/meta/unsubscribe"), &mut client).await.only()["successful"],
        true
    );
    server.publish("Order__e", order(1), "005P");
    assert_eq!(send(&server, &other.connect(), &mut other).await.numbers(), [1]);
    assert_eq!(
        send(&server, &client.plain("/meta/disconnect"), &mut client).await.only()["successful"],
        true
    );
    assert_eq!(client.read(&poll.await).only()["advice"]["reconnect"], "none");
}

#[tokio::test]
async fn maintenance_and_dropped_sessions_end_polls() {
    let server = server(1.0);
    let mut client = subscribed(&server).await;
    let poll = parked(&server, &client).await;
    server.set_available(false);
    let reply = poll.await;
    assert!(reply.status == 503 && reply.body.starts_with("<html>"), "{reply:?}");
    server.set_available(true);

    let poll = parked(&server, &client).await;
    server.drop_sessions();
    assert_eq!(client.read(&poll.await).replies[1]["error"], "403::Unknown client");
    assert_eq!(send(&server, &client.connect(), &mut client).await.error(), "403::Unknown client");
}

#[tokio::test]
async fn hanging_up_frees_the_session_for_the_next_poll() {
    let server = server(1.0);
    let mut client = subscribed(&server).await;
    drop(parked(&server, &client).await);
    server.publish("Order__e", order(3), "005P");
    assert_eq!(
        send(&server, &client.connect(), &mut client).await.numbers(),
        [3],
        "nothing was taken for nobody"
    );
    assert_eq!(server.usage().delivered_day, 1);
}

#[tokio::test]
async fn hanging_up_frees_the_browser_for_another_session() {
    let server = server(1.0);
    let client = subscribed(&server).await;
    let mut other = client.clone();
    send(&server, &Client::handshake(), &mut other).await;
    send(&server, &other.connect(), &mut other).await;
    let poll = parked(&server, &client).await;
    let refused = send(&server, &other.connect(), &mut other).await;
    assert_eq!(refused.only()["advice"]["multiple-clients"], true);
    drop(poll);
    drop(parked(&server, &other).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_from_another_thread_arrives_whole_and_in_order() {
    const COUNT: u64 = 5_000;
    let server = server(1.0);
    let mut client = subscribed(&server).await;
    let publisher = Arc::clone(&server);
    let burst = tokio::task::spawn_blocking(move || {
        for number in 1..=COUNT {
            publisher.publish("Order__e", order(number), "005P");
        }
    });
    let mut numbers = Vec::new();
    while numbers.len() < usize::try_from(COUNT).expect("small") {
        numbers.extend(send(&server, &client.connect(), &mut client).await.numbers());
    }
    burst.await.expect("published");
    assert_eq!(numbers, (1..=COUNT).collect::<Vec<u64>>());
}
