//! The way back under whatever may happen to the pods of the newer version, by dice.

use super::*;

/// What there really is: whether a newer node has migrated, and whether one goes on that has no pod any more.
#[derive(Default)]
struct Truth {
    migrated: u8,
    ghost: bool,
}

/// Numbers from a seed, the same ones each time.
struct Dice(u64);

impl Dice {
    fn one_in(&mut self, sides: u64) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33).is_multiple_of(sides)
    }
}

/// Something happens to a pod of the newer version: it starts, takes the lock, migrates, ends, goes, or its machine is lost.
fn happens(world: &mut World, name: &str, truth: &mut Truth, dice: &mut Dice) {
    let held = world.pods.iter().any(|pod| pod.took.is_some());
    let pod = world.pod(name).clone();
    if dice.one_in(150) {
        world.pod(name).stranded = true;
    }
    if pod.stranded && dice.one_in(10) {
        truth.ghost = true;
        world.gone(name);
        return;
    }
    match pod.container {
        _ if pod.stranded => {}
        Container::Running { .. } if pod.took.is_some() => {
            if dice.one_in(12) {
                truth.migrated |= if dice.one_in(2) { 1 } else { 2 };
            }
            if dice.one_in(3) {
                world.crashes(name, ExitKind::Unknown, "out of ideas");
            }
        }
        // One that was asked to stop may have had the time for it.
        Container::Running { .. } if pod.deleted => {
            if dice.one_in(4) {
                truth.migrated |= u8::from(dice.one_in(4));
                world.gone(name);
            }
        }
        Container::Running { .. } if !held && dice.one_in(2) => {
            world.takes(name);
            world.boots(name);
        }
        Container::Running { .. } if pod.waiting.is_none() && held => world.waits(name),
        Container::Running { .. } | Container::Ended { .. } => {}
        Container::NotStarted { .. } | Container::Down { .. } => {
            if pod.deleted && dice.one_in(2) {
                world.gone(name);
            } else if dice.one_in(4) {
                world.starts(name);
            }
        }
    }
}

/// What the database answers, if it does.
fn answers(world: &World, truth: &Truth, dice: &mut Dice) -> Option<Result<Says, Silence>> {
    if dice.one_in(3) {
        return None;
    }
    if dice.one_in(8) {
        return Some(Err(silence()));
    }
    let holder = world.pods.iter().find(|pod| pod.took.is_some());
    let left_behind = dice.one_in(3);
    let mut said = says(match holder {
        Some(pod) => Holder::Pod(pod.id.clone()),
        None if left_behind => Holder::Unseen,
        None => Holder::Nobody,
    });
    if truth.migrated & 1 != 0 {
        said.schema = Some(Migrated {
            applied: 241,
            ..SCHEMA
        });
    }
    if truth.migrated & 2 != 0 {
        said.version = Some("2.29.0".parse().unwrap());
    }
    said.nodes_elsewhere = usize::from(dice.one_in(20));
    Some(Ok(said))
}

#[test]
fn whatever_happens_no_older_pod_is_made_where_a_newer_one_has_migrated_or_still_may() {
    let starts = [1, 2].map(|replicas| handed_over(replicas, &said()).0);
    let (mut back, mut forward) = (0, 0);
    for seed in 0..1_000_u64 {
        let mut dice = Dice(seed);
        let mut world = starts[usize::from(seed % 2 == 1)].clone();
        let mut truth = Truth::default();
        for step in 0..150 {
            let names: Vec<String> = world.pods.iter().map(|pod| pod.id.name.clone()).collect();
            for name in names {
                happens(&mut world, &name, &mut truth, &mut dice);
            }
            truth.migrated |= u8::from(truth.ghost && dice.one_in(30));
            if let Some(said) = answers(&world, &truth, &mut dice) {
                world.hears(said);
            }
            if dice.one_in(60) {
                world.database.answer = None;
            }
            if dice.one_in(100) {
                world.want(&v1());
            }
            let newer = !world.pods.is_empty();
            let acts = if dice.one_in(10) {
                world.remember();
                Vec::new()
            } else {
                world.obey()
            };
            if makes_older(&acts) {
                let seen = (newer, truth.migrated, truth.ghost);
                assert_eq!(seen, (false, 0, false), "seed {seed}, step {step}");
                back += 1;
                break;
            }
            world.later(1);
        }
        forward += usize::from(truth.migrated > 0);
    }
    assert!(back > 100 && forward > 100, "{back} and {forward}");
}
