//! The session against a hostile server, by seed: thousands of lives with crashes and purged events.
//!
//! A failure names its seed; `ORGPIPE_SEED=n cargo test -p orgpipe-salesforce seeds` plays that one alone, and
//! `ORGPIPE_SEEDS=n` plays so many. Not here: single arrows (`tests`), shrinking (`properties`).

use std::collections::BTreeSet;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{
    org::{CHANNELS, FAULT_EFFECTS, FaultEffect},
    properties::{Move, World},
};
use crate::cometd::{Input, session::Stage};

/// Lives played unless the environment says otherwise.
const SEEDS: u64 = 3_000;
/// Moves of a life.
const MOVES: usize = 250;

#[expect(clippy::disallowed_methods, reason = "which seeds to play is the caller's wish")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What a life was like.
#[derive(Default)]
struct Life {
    stored: usize,
    missed: usize,
    gaps: usize,
    asked_beside: usize,
}

/// The promise: an event is stored once, in order, or it was purged and a gap was reported that covers it. And after
/// trouble of any length a healthy time brings everything that is left.
#[test]
fn no_event_is_lost_without_a_gap_report_and_none_is_out_of_order() {
    let seeds = match asked("ORGPIPE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("ORGPIPE_SEEDS").unwrap_or(SEEDS),
    };
    let mut all = Life::default();
    for seed in seeds.clone() {
        let life = live(seed).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        all.stored += life.stored;
        all.missed += life.missed;
        all.gaps += life.gaps;
        all.asked_beside += life.asked_beside;
    }
    // A simulation in which nothing happens proves nothing.
    if seeds.end - seeds.start >= 100 {
        let Life { stored, missed, gaps, asked_beside } = all;
        assert!(
            missed > 100 && gaps > 100 && stored > 5_000 && asked_beside > 1_000,
            "{stored} stored, {missed} missed, {gaps} gaps, {asked_beside} subscribes beside a poll"
        );
    }
}

fn live(seed: u64) -> Result<Life, String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::new(false);
    // Each channel has a position from the start: without one there is nothing that could be missed.
    world.org.publish(0);
    world.org.publish(1);
    world.talk.tell(Input::Start);
    if !world.heal(|world| world.kept() == world.published()) {
        return Err("the first events were not stored".to_owned());
    }
    // How hostile this life is, out of 100 answers.
    let faults = rng.random_range(0..90);
    // Whether it is led to where two connections are in use, which chance alone seldom does.
    let beside = rng.random_ratio(1, 2);
    for _ in 0..MOVES {
        world.talk.jitter = rng.random();
        if let Some(one) = lead(&world, &mut rng).filter(|_| beside) {
            world.go(&one);
            continue;
        }
        match rng.random_range(0..100) {
            0..40 => {
                let fault = if rng.random_range(0..100) < faults {
                    FAULT_EFFECTS[rng.random_range(0..FAULT_EFFECTS.len())]
                } else {
                    FaultEffect::None
                };
                world.go(&if rng.random_ratio(1, 8) { Move::ServeLast(fault) } else { Move::Serve(fault) });
            }
            40..60 => world.org.publish(rng.random_range(0..2)),
            60..75 => world.go(&Move::Store(rng.random_ratio(9, 10))),
            75..80 => world.go(&Move::Token(rng.random_ratio(9, 10))),
            80..88 => world.go(&Move::Ring),
            88..92 => world.go(&Move::Pass(rng.random_range(0..200_000))),
            92..94 => {
                let left = world.org.published.len() - world.org.purged;
                world.org.purged += rng.random_range(0..=left);
            }
            94..96 => world.talk.die(rng.random()),
            96 => world.go(&Move::Stop),
            97 => world.go(&cross(&mut rng)),
            98 => world.go(&Move::Stale(rng.random_range(0..300))),
            _ => world.go(&Move::Start),
        }
    }
    world.org.publish(0);
    world.org.publish(1);
    if world.heal(|world| check(world).is_ok()) {
        check(&world)
    } else {
        Err(format!("{} in {}", check(&world).err().unwrap_or_default(), world.talk.phase()))
    }
}

/// The next move towards a subscribe beside a poll, or what may go wrong with the two.
fn lead(world: &World, rng: &mut StdRng) -> Option<Move> {
    let lost = [
        FaultEffect::Cut,
        FaultEffect::Cut,
        FaultEffect::TimedOut,
        FaultEffect::RefusedWithEvents,
        FaultEffect::Forgotten,
    ];
    match world.talk.phase() {
        Stage::Subscribing if rng.random_ratio(1, 2) => Some(Move::Serve(FaultEffect::PutOff)),
        Stage::Polling if world.talk.rings_first() && rng.random_ratio(2, 3) => Some(Move::Ring),
        Stage::Asking => Some(match rng.random_range(0..9) {
            0..3 => Move::Publish(rng.random_range(0..2)),
            3 => Move::Serve(FaultEffect::None),
            4 => Move::ServeLast(FaultEffect::None),
            5 => Move::Serve(lost[rng.random_range(0..lost.len())]),
            6 => Move::ServeLast(lost[rng.random_range(0..lost.len())]),
            _ => cross(rng),
        }),
        _ => None,
    }
}

fn cross(rng: &mut StdRng) -> Move {
    let fault = if rng.random_ratio(1, 3) { FaultEffect::Cut } else { FaultEffect::None };
    Move::Cross(rng.random_range(0..2), rng.random(), fault)
}

fn check(world: &World) -> Result<Life, String> {
    let (kept, published) = (world.kept(), world.published());
    let purged: BTreeSet<i64> = world.org.published[..world.org.purged].iter().map(|(_, id)| *id).collect();
    let mut life =
        Life { gaps: world.talk.gaps.len(), asked_beside: world.talk.asked_beside, ..Life::default() };
    for channel in CHANNELS {
        let (kept, published) = (&kept[channel], &published[channel]);
        if !kept.is_sorted_by(|one, next| one < next) {
            return Err(format!("{channel}: {kept:?} is out of order or repeated"));
        }
        let stored: BTreeSet<&i64> = kept.iter().collect();
        let missed: Vec<i64> = published.iter().filter(|id| !stored.contains(id)).copied().collect();
        let reported: Vec<i64> = world
            .talk
            .gaps
            .iter()
            .filter(|gap| gap.channel == channel)
            .filter_map(|gap| String::from_utf8_lossy(&gap.last).parse().ok())
            .collect();
        for id in &missed {
            // The gap that covers it begins at the last event stored before it.
            let before = kept.iter().rfind(|stored| *stored < id);
            if !purged.contains(id) || !before.is_some_and(|before| reported.contains(before)) {
                return Err(format!("{channel}: {id} is missing; gaps after {reported:?}, stored {kept:?}"));
            }
        }
        life.stored += kept.len();
        life.missed += missed.len();
    }
    Ok(life)
}
