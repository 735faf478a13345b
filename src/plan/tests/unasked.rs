//! What nobody has allowed yet is not done either where nothing is left of what worked.

use super::world::*;
use crate::domain::Approved;

fn held() -> World {
    let mut world = alone();
    world.intent.policy.approval = Some(Approved { revision: None });
    world.want_settled(&v2());
    world.carry_on();
    assert_eq!(world.versions(), ["2.28.0"], "it was checked and removed");
    world
}

/// Everything that is made until the resource is at rest again.
fn made_after(mut world: World) -> Vec<String> {
    let mut made = Vec::new();
    for _ in 0..20 {
        made.extend(
            world
                .obey()
                .into_iter()
                .filter(|act| act.starts_with("create")),
        );
        world.later(1);
    }
    made
}

#[test]
fn a_change_that_waits_for_approval_is_not_made_because_the_last_pod_is_gone() {
    let mut world = held();
    world.gone("a");
    assert_eq!(made_after(world), ["create 2.28.0"]);
}

#[test]
fn nor_because_the_last_pod_was_evicted_or_is_being_deleted() {
    let mut evicted = held();
    evicted.ends("a");
    assert_eq!(made_after(evicted), ["create 2.28.0"]);

    let mut deleted = held();
    deleted.pod("a").deleted = true;
    assert_eq!(made_after(deleted), ["create 2.28.0"]);
}

#[test]
fn under_a_pause_what_is_gone_is_made_again_as_it_was() {
    let mut world = alone();
    world.intent.policy.paused = true;
    world.want_settled(&v2());
    world.gone("a");
    assert_eq!(made_after(world), ["create 2.28.0"]);
}

#[test]
fn a_pause_does_not_keep_the_last_revision_that_worked_from_coming_back() {
    let mut world = alone();
    world.want_settled(&configured("2.28.0", "broken"));
    let successor = world.carry_on_until_stop();
    world.intent.policy.paused = true;
    world.gone("a");
    world.later(16);
    assert!(world.has(&successor));

    let made = made_after(world);
    assert_eq!(
        made,
        ["create 2.28.0"],
        "beside the one that does not take over"
    );
}

#[test]
fn redundancy_does_not_wait_for_the_end_of_a_long_settle() {
    let mut world = pair();
    world.intent.settle = std::time::Duration::from_secs(1800);
    world.want(&v2());
    world.obey();
    world.gone("b");
    assert_eq!(world.obey(), ["create 2.28.0"]);
}
