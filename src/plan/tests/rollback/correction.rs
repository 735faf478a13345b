//! The way back where the spec has changed again: it goes back itself, or asks for a correction.

use super::*;

#[test]
fn a_spec_that_goes_back_stops_no_newer_version_that_has_not_ended() {
    let (mut world, successor) = handed_over(1, &said());
    world.takes(&successor);
    world.boots(&successor);
    world.obey();
    world.want(&v1());
    let acts = goes_on(&mut world, 30, &free());
    assert_eq!(acts, nothing());
    // An end that means nothing is none of the version's.
    world.crashes(&successor, ExitKind::DatabaseAway, "connection refused");
    let acts = goes_on(&mut world, 5, &free());
    assert_eq!(acts, nothing());
    assert_eq!(world.memory.upgrade.unwrap().crashed, None);
}

#[test]
fn a_spec_that_goes_back_is_obeyed_the_same_way() {
    let (mut world, successor) = ended(1);
    world.obey();
    world.want(&v1());
    let acts = goes_on(&mut world, 10, &free());
    assert_eq!(acts[0], format!("stop {successor}"));
    assert!(makes_older(&acts), "{acts:?}");
    world.carry_on();
    assert_eq!(world.versions(), ["2.28.0"]);
    assert_eq!(world.blocked(), None);
}

/// In the same look, or before it.
#[test]
fn a_spec_that_goes_back_before_the_end_of_the_newer_version_is_obeyed_as_well() {
    for (took, early) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut world, successor) = handed_over(1, &said());
        world.obey();
        if took {
            world.takes(&successor);
            world.boots(&successor);
            world.obey();
        }
        world.want(&v1());
        if early {
            world.remember();
        }
        world.later(1);
        world.crashes(&successor, ExitKind::Unknown, "pg_dump failed");
        let acts = goes_on(&mut world, 10, &free());
        assert!(makes_older(&acts), "{took}, {early}: {acts:?}");
        world.carry_on();
        assert_eq!(world.versions(), ["2.28.0"]);
    }
}

#[test]
fn a_correction_that_takes_the_free_lock_and_ends_is_rolled_back_as_well() {
    let mended = configured("2.29.0", "mended");
    let (mut world, successor) = handed_over(1, &said());
    ends_with_the_lock(&mut world, &successor);
    world.want_settled(&mended);
    world.gone(&successor);
    for _ in 0..20 {
        let acts = goes_on(&mut world, 1, &free());
        if makes_older(&acts) {
            return;
        }
        let newer = world.pods.iter().filter(|pod| !pod.deleted);
        let newer: Vec<String> = newer.map(|pod| pod.id.name.clone()).collect();
        for name in newer {
            if !matches!(world.pod(&name).container, Container::Down { .. }) {
                ends_with_the_lock(&mut world, &name);
            }
        }
    }
    panic!("{:#?}", world.plan());
}

/// One of the version of before is there to take the lock.
fn older_is_there(world: &World) -> bool {
    let mut pods = world.pods.iter().filter(|pod| !pod.deleted);
    pods.any(|pod| pod.revision.as_ref() == Some(&v1()))
}

/// The correction does not come up, or may not: what the newer version has not done is not forgotten for that.
#[test]
fn a_correction_that_comes_to_nothing_does_not_close_the_way_back() {
    let older = version("2.28.5");
    for (other, paused) in [
        (configured("2.29.0", "mended"), false),
        (configured("2.29.0", "mended"), true),
        (older.clone(), false),
        (older.clone(), true),
    ] {
        let (mut world, successor) = ended(1);
        world.intent.policy.paused = paused;
        world.want(&other);
        world.obey();
        world.later(1);
        world.intent.policy.paused = false;
        let mut acts = Vec::new();
        for _ in 0..20 {
            acts.extend(goes_on(&mut world, 1, &free()));
            for pod in &mut world.pods {
                if pod.id.name != successor && pod.revision.as_ref() == Some(&other) {
                    let name = pod.id.name.clone();
                    world.in_trouble(&name, "ImagePullBackOff", "not found");
                    break;
                }
            }
        }
        if other == older {
            assert!(
                acts.contains(&"create 2.28.5".to_owned()),
                "{paused}: {acts:?}"
            );
        }
        world.want(&v1());
        goes_on(&mut world, 20, &free());
        assert!(
            older_is_there(&world),
            "{other:?}, {paused}: {:#?}",
            world.plan()
        );
    }
}

/// It came while the newer version booted.
#[test]
fn a_correction_that_takes_the_lock_later_and_ends_is_judged_as_well() {
    for newer in [true, false] {
        let (tried, mended) = if newer {
            (v2(), configured("2.29.0", "mended"))
        } else {
            (
                configured("2.28.0", "tried"),
                configured("2.28.0", "mended"),
            )
        };
        let mut world = alone();
        world.want_settled(&tried);
        for _ in 0..60 {
            world.hears(said());
            if world.obey().contains(&"stop a".to_owned()) {
                break;
            }
            world.progress();
            world.later(1);
        }
        let successor = world.newest();
        world.gone("a");
        world.obey();
        world.takes(&successor);
        world.boots(&successor);
        world.obey();
        world.want_settled(&mended);
        world.crashes(&successor, ExitKind::Unknown, "pg_dump failed");
        world.obey();
        world.gone(&successor);
        for _ in 0..30 {
            goes_on(&mut world, 1, &free());
            let made = world
                .pods
                .iter()
                .find(|pod| !pod.deleted && pod.revision.as_ref() == Some(&mended));
            if let Some(name) = made.map(|pod| pod.id.name.clone())
                && world.memory.failed.is_none()
            {
                ends_with_the_lock(&mut world, &name);
            }
        }
        assert_eq!(world.memory.failed, Some(mended.name), "{newer}");
        assert!(older_is_there(&world), "{newer}: {:#?}", world.plan());
    }
}
