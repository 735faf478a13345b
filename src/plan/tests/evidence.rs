//! What a look proves, and what it does not.

use super::world::{World, alone, pair, v1, v2};
use crate::domain::{Answered, Contact};
use crate::plan::{Act, Roles, Step};

#[test]
fn an_active_that_was_never_seen_serving_is_active_and_not_yet_the_one_that_worked() {
    let mut world = alone();
    world.want_settled(&v2());
    world = world.standby("b", &v2());
    world.gone("a");
    world.takes("b");
    let mut look = world.look();
    look.pods[0].contact = Some(Contact {
        at: world.now,
        answer: Answered::Starting,
    });
    let plan = crate::plan::plan(&look, &world.memory, world.now);
    assert_eq!(plan.memory.last_worked, Some(v1().name));
    assert_eq!(plan.memory.newest_held, Some("2.29.0".to_owned()));
    assert_eq!(plan.finished, None);
    assert!(
        plan.acts
            .iter()
            .any(|act| matches!(act, Act::Label { pod, active: true } if pod.name == "b"))
    );
}

#[test]
fn a_takeover_without_waiting_is_judged_only_when_the_active_was_asked_again() {
    // The active answered half a second before the look at which the other's takeover was seen.
    let mut world = pair();
    world.starts("b");
    world.takes("b");
    let mut look = world.look();
    look.pods[0].contact = Some(Contact {
        at: world.now - jiff::SignedDuration::from_millis(500),
        answer: Answered::Serving,
    });
    let plan = crate::plan::plan(&look, &world.memory, world.now);
    let touched = plan
        .acts
        .iter()
        .any(|act| matches!(act, Act::Label { .. } | Act::Stop(_) | Act::Create { .. }));
    assert!(!touched, "{:?}", plan.acts);

    // It answers for longer than a lease that it has lost would last.
    world.later(16);
    look.pods[0].contact = Some(Contact {
        at: world.now,
        answer: Answered::Serving,
    });
    let roles = Roles::take(&look, &world.memory, world.now);
    assert_eq!(
        roles.foreign.len(),
        1,
        "it answers: two locks, two databases"
    );

    look.pods[0].contact = Some(Contact {
        at: world.now - jiff::SignedDuration::from_secs(3),
        answer: Answered::Serving,
    });
    let roles = Roles::take(&look, &world.memory, world.now);
    assert!(roles.foreign.is_empty());
    assert!(roles.order_unknown, "it may answer again");

    world.later(30);
    let roles = Roles::take(&look, &world.memory, world.now);
    assert!(roles.foreign.is_empty(), "it does not: the lock was free");
    assert_eq!(roles.active.unwrap().id.name, "b");
}

#[test]
fn an_active_that_only_its_kubelet_has_answered_for_boots_for_a_minute() {
    let mut world = World::with(1);
    world.obey();
    let first = world.newest();
    world.starts(&first);
    world.takes(&first);
    let step = |world: &World| {
        let mut look = world.look();
        look.pods[0].contact = Some(Contact {
            at: world.now,
            answer: Answered::Kubelet,
        });
        crate::plan::plan(&look, &world.memory, world.now)
            .progress
            .step
    };
    assert_eq!(step(&world), Step::Booting);
    world.later(60);
    assert_eq!(step(&world), Step::Steady, "its port can't be reached");
}
