//! The way back where a newer pod is lost or its machine does not report: it may still take the lock.

use super::*;

#[test]
fn a_newer_pod_that_was_lost_before_the_handover_may_take_the_lock_too() {
    let mut world = alone();
    world.want_settled(&v2());
    world = world.standby("b", &v2()).standby("lost", &v2());
    // The stop is only intended.
    world.remember();
    world.gone("lost");
    for _ in 0..10 {
        world.hears(said());
        if world.obey().contains(&"stop a".to_owned()) {
            break;
        }
        world.later(1);
    }
    world.gone("a");
    ends_with_the_lock(&mut world, "b");
    let acts = goes_on(&mut world, 100, &free());
    assert!(!makes_older(&acts), "{acts:?}");
    let told = told(&world);
    assert!(told.contains("gone before the handover"), "{told}");
}

#[test]
fn a_newer_pod_that_is_lost_before_the_other_ends_may_take_the_lock_too() {
    let (mut world, successor) = handed_over(2, &said());
    let other = world.pods.iter().find(|pod| pod.id.name != successor);
    let other = other.unwrap().id.name.clone();
    world.pod(&other).stranded = true;
    world.obey();
    world.gone(&other);
    ends_with_the_lock(&mut world, &successor);
    let acts = goes_on(&mut world, 100, &free());
    assert!(!makes_older(&acts), "{acts:?}");
}

#[test]
fn a_pod_whose_machine_does_not_report_may_take_the_lock_and_there_is_no_way_back() {
    let out_of_sight: [fn(&mut World, &str); 3] = [
        |world, pod| world.pod(pod).stranded = true,
        // Where machines may not be read.
        |world, pod| {
            world.starts(pod);
            world.unseen(pod);
            world.later(31);
        },
        |world, pod| {
            world.starts(pod);
            world.takes(pod);
            world.unseen(pod);
            world.later(31);
        },
    ];
    for lose in out_of_sight {
        let (mut world, successor) = ended(1);
        lose(&mut world, &successor);
        let acts = goes_on(&mut world, 1, &free());
        assert!(!acts.iter().any(|act| act.starts_with("stop")), "{acts:?}");
        // Its object is removed with that of the machine: nothing says that it has ended.
        world.gone(&successor);
        let acts = goes_on(&mut world, 100, &free());
        assert!(!makes_older(&acts), "{acts:?}");
    }
}
