//! Any bytes as the answers that carry rows, by seeds: what `fuzz/targets/replies.rs` tries with libFuzzer.
//! `ORGPIPE_SEEDS=n` plays so many, `ORGPIPE_SEED=n` that one.

#[path = "../fuzz/checks/odd.rs"]
mod odd;
#[path = "../fuzz/checks/replies.rs"]
mod replies;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};

const SEEDS: u64 = 20_000;
/// Cells that readers of CSV stumble over.
const CELLS: [&str; 12] =
    ["", " ", "K1", "k1 ", "42", "4.2E1", "a,b", "a\"b", "two\nlines", "two\r\nlines", "é\u{1F600}", "null"];

#[test]
fn no_row_of_an_answer_is_made_up_or_lost() {
    let seeds = odd::seeds(SEEDS);
    let mut used = [0_u64; 4];
    for seed in seeds.clone() {
        let mut rng = StdRng::seed_from_u64(seed);
        let kind = rng.random_range(0..4_u8);
        let count = rng.random_range(0..8_usize);
        let body = match kind {
            0 => page(&mut rng, count).to_string().into_bytes(),
            1 => results(&mut rng, count).to_string().into_bytes(),
            _ => csv(&mut rng, count),
        };
        let cut = if kind == 1 { u8::try_from(count).expect("few") } else { rng.random() };
        let data = [vec![kind, cut], odd::spoil(&mut rng, body)].concat();
        let outcome = std::panic::catch_unwind(|| replies::check(&data));
        let body = String::from_utf8_lossy(&data[2..]);
        let usable = outcome.unwrap_or_else(|_| panic!("seed {seed}, kind {kind}: {body}"));
        used[usize::from(kind)] += u64::from(usable);
    }
    // Seeds that are all spoilt prove nothing.
    let count = seeds.end - seeds.start;
    assert!(count < 100 || used.iter().all(|used| *used > count / 40), "{used:?} of {count} were used");
}

fn page(rng: &mut StdRng, count: usize) -> Value {
    let records: Vec<Value> = (0..count)
        .map(|n| json!({ "Id": format!("001{n:012}AAA"), "Name": CELLS.choose(rng), "Kids": kids(rng) }))
        .collect();
    if rng.random_bool(0.3) {
        return json!({ "totalSize": 9_000, "done": false, "nextRecordsUrl": "/services/data/v66.0/query/01g-2000", "records": records });
    }
    json!({ "totalSize": count, "done": true, "records": records })
}

fn kids(rng: &mut StdRng) -> Value {
    match rng.random_range(0..20) {
        0 => json!({ "totalSize": 500, "done": false, "records": [] }),
        1..6 => json!({ "totalSize": 1, "done": true, "records": [{ "Id": "a01" }] }),
        _ => Value::Null,
    }
}

fn results(rng: &mut StdRng, count: usize) -> Value {
    let one = |n| {
        if rng.random_bool(0.5) {
            return json!({ "id": format!("a01{n:012}AAA"), "success": true, "created": rng.random::<bool>(), "errors": [] });
        }
        json!({ "success": false, "errors": [{ "statusCode": "STRING_TOO_LONG", "message": "no", "fields": ["Name"] }] })
    };
    (0..count).map(one).collect()
}

fn csv(rng: &mut StdRng, count: usize) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(["sf__Id", "sf__Created", replies::KEY, "Name"]).expect("in memory");
    for n in 0..count {
        let (key, name) = (CELLS.choose(rng).expect("some"), CELLS.choose(rng).expect("some"));
        writer.write_record([&format!("a01{n:012}AAA"), "true", key, name]).expect("in memory");
    }
    writer.into_inner().expect("in memory")
}
