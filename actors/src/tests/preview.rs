//! A preview keeps nothing, and what it tells is what the ingest then decides.

use actix::Actor as _;

use super::{
    ingest::append,
    org::Asked,
    scene::{Neighbour, Scene, eventually},
};
use crate::{
    decide::ingest::IngestActor,
    org::store::Position,
    preview::{Plan, Preview, PreviewRequest, PreviewedRecords, preview},
};

async fn previewed(scene: &Scene, count: usize) -> Preview {
    let request = PreviewRequest {
        sync: "accounts".to_owned(),
        records: PreviewedRecords::First(count),
        proposed: None,
    };
    let plan = Plan::new(&scene.context, request).expect("it can be made");
    preview(&scene.context, &plan).await.expect("it is made")
}

#[actix::test]
async fn it_keeps_nothing_and_tells_what_the_ingest_then_decides() {
    const ACCOUNTS: usize = 450;
    let scene = Scene::new();
    let ids = scene.accounts(ACCOUNTS);
    // One record that the vendor's API refuses: a dead letter.
    scene.vendor.fails_on(7, 422);
    let told = previewed(&scene, 2_000).await;
    let (context, counts) = (&scene.context, told.running.expect("it runs").counts);
    assert_eq!((counts.records, counts.creates, counts.dead_letters), (450, 449, 1));
    assert_eq!(scene.org.count(|asked| matches!(asked, Asked::Write { .. })), 0, "nothing is written");
    assert_eq!(scene.counts().await, orgpipe_store::Counts::default(), "nothing is queued");
    for position in [Position::HashKey, Position::SharedKeys] {
        assert_eq!(context.store.bytes(position).await.expect("a store"), None, "{position:?}");
    }
    assert!(context.schemas.fresh("Enrichment__c", context.clock.monotonic()).is_none(), "it is its own");

    let neighbour = Neighbour::default();
    let (_address, link) = neighbour.started(&scene);
    drop(append(&scene, orgpipe_store::Lane::Refresh, &ids).await);
    let _ingest = IngestActor::new(context.clone(), link).start();
    eventually("all are decided", async || (scene.counts().await.open_ingress == 0).then_some(())).await;
    let decided = scene.counts().await;
    assert_eq!((neighbour.came().changes.len() as u64, decided.dead), (counts.creates, counts.dead_letters));

    // What waits to be written is seen: a preview on top of it writes all fields once more, as a refresh would.
    let again = previewed(&scene, 2_000).await.running.expect("it runs").counts;
    assert_eq!((again.creates, again.updates, again.behind), (0, 449, 449));
}
