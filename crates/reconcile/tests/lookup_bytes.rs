//! Any bytes as the look-up's answer, by seeds: what `crates/salesforce/fuzz/targets/lookup.rs` tries with libFuzzer.
//! `ORGPIPE_SEEDS=n` plays so many, `ORGPIPE_SEED=n` that one.

#[path = "../../salesforce/fuzz/checks/lookup.rs"]
mod lookup;
#[path = "../../salesforce/fuzz/checks/odd.rs"]
mod odd;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};

const SEEDS: u64 = 20_000;

#[test]
fn no_record_of_an_answer_is_made_up_or_lost() {
    let seeds = odd::seeds(SEEDS);
    let (mut used, mut refused) = (0, 0);
    for seed in seeds.clone() {
        let mut rng = StdRng::seed_from_u64(seed);
        let text = answer(&mut rng).to_string().into_bytes();
        let body = odd::spoil(&mut rng, text);
        let outcome = std::panic::catch_unwind(|| lookup::check(&body));
        let usable = outcome.unwrap_or_else(|_| panic!("seed {seed}: {}", String::from_utf8_lossy(&body)));
        used += u64::from(usable);
        refused += u64::from(!usable);
    }
    // Seeds that are all sound, or all spoilt, prove nothing.
    let least = (seeds.end - seeds.start) / 10;
    assert!(used > least || seeds.end - seeds.start < 10, "{used} answers were used, {refused} refused");
    assert!(refused > least || seeds.end - seeds.start < 10, "{used} answers were used, {refused} refused");
}

fn answer(rng: &mut StdRng) -> Value {
    let records: Vec<Value> = (0..rng.random_range(0..6)).map(|_| record(rng)).collect();
    if rng.random_bool(0.1) { json!(records) } else { json!({ "records": records, "took": 3 }) }
}

fn record(rng: &mut StdRng) -> Value {
    let number = rng.random_range(0..4);
    let ids = [
        format!("001{number:012}"),
        format!("001{number:012}AAA"),
        format!("001{number:012}aaa"),
        "no ID".to_owned(),
    ];
    let id = if rng.random_bool(0.97) { &ids[rng.random_range(0..3)] } else { &ids[3] };
    let data = match rng.random_range(0..40) {
        0 => json!("text"),
        1 => json!([[]]),
        2..6 => Value::Null,
        6..12 => json!([object(rng), object(rng)]),
        _ => object(rng),
    };
    json!({ "id": id, "data": data })
}

fn object(rng: &mut StdRng) -> Value {
    let values = [
        json!("café \u{1F600}"),
        json!(9_007_199_254_740_993_u64),
        json!(-0.5),
        json!(null),
        json!(["a", 1]),
        json!({ "deep": [{}] }),
    ];
    json!({ "key": rng.random_range(0..5).to_string(), "value": values.choose(rng) })
}
