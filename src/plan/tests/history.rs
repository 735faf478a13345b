//! What the history takes up: who was active after whom, and who wanted that.

use std::time::Duration;

use super::failback::at_home_in_zone_b;
use super::world::{World, alone, configured, nothing, pair, v1, v2};
use crate::api::Schedule;
use crate::domain::Approved;

/// From, to, reason and who asked, of the move that comes next.
fn next_move(world: &mut World) -> [String; 4] {
    for _ in 0..20 {
        if let Some(moved) = world.remember().moved {
            let from = moved.from.unwrap_or_default();
            return [from, moved.to, moved.reason, moved.asked_by];
        }
        if world.obey().iter().any(|act| act.starts_with("stop ")) {
            let deleted = |pod: &&crate::domain::Pod| pod.deleted;
            let stopped = world.pods.iter().find(deleted).unwrap().id.name.clone();
            world.gone(&stopped);
            let waits = world.pods.iter().find(|pod| pod.waits()).unwrap();
            let waits = waits.id.name.clone();
            world.takes(&waits);
        }
    }
    panic!("the lock did not move");
}

#[test]
fn every_move_says_who_asked_for_it() {
    let from_a = |to: &str, reason: &str, asked_by: &str| {
        ["a (2.28.0)", to, reason, asked_by].map(str::to_owned)
    };
    let upgraded = |approval: Option<&str>| {
        let mut world = alone();
        world.intent.policy.approval = approval.map(|word| Approved {
            revision: Some(crate::api::RevisionName::new(word.to_owned())),
        });
        world.want_settled(&v2());
        world.standby("b", &v2())
    };
    let mut by_spec = upgraded(None);
    let to = "b (2.29.0)";
    assert_eq!(next_move(&mut by_spec), from_a(to, "Version", "Spec"));
    for word in [v2().name.to_string(), "2.29.0".to_owned()] {
        let mut approved = upgraded(Some(&word));
        assert_eq!(next_move(&mut approved), from_a(to, "Version", "Approval"));
    }
    let other = configured("2.28.0", "other");
    let mut world = alone();
    world.want_settled(&other);
    let mut world = world.standby("b", &other);
    let to = "b (2.28.0)";
    assert_eq!(next_move(&mut world), from_a(to, "Configuration", "Spec"));

    let mut world = pair();
    world.emptied(&["a"]);
    assert_eq!(next_move(&mut world), from_a(to, "Maintenance", "Drain"));
    let mut world = pair();
    world.ask("monday", None);
    assert_eq!(
        next_move(&mut world),
        from_a(to, "Switchover", "Annotation")
    );
    let mut world = pair();
    world.intent.policy.drill = Some(Schedule::parse("0 13 * * *", None).unwrap());
    world.obey();
    world.later(3600);
    assert_eq!(next_move(&mut world), from_a(to, "Drill", "Schedule"));
    let mut world = at_home_in_zone_b(Some(300));
    assert_eq!(next_move(&mut world), from_a(to, "Failback", "Operator"));
    let mut world = pair();
    world.goes_dumb("a", 3600);
    world.intent.policy.unresponsive_after = Some(Duration::from_secs(60));
    assert_eq!(
        next_move(&mut world),
        from_a(to, "Unresponsive", "Operator")
    );
    let mut world = pair();
    world.gone("a");
    world.takes("b");
    assert_eq!(next_move(&mut world), from_a(to, "Failover", "Nobody"));
}

/// The wait for a try of the successor and the second look come between the decision and the stop, and the active works in them.
#[test]
fn the_gap_of_a_planned_move_begins_with_the_stop_that_was_accepted() {
    let ended = |accepted: Option<u64>, seen: u64| {
        let mut world = alone();
        world.want_settled(&v2());
        let mut world = world.standby("b", &v2());
        while !world.obey().iter().any(|act| act.starts_with("stop ")) {}
        let decided = world.now;
        let after = |millis| decided + Duration::from_millis(millis);
        world.pod("a").deleted_at = accepted.map(after);
        world.now = after(seen);
        world.remember();
        let last = world.memory.last_active.as_ref().unwrap();
        let ended = last.ended.unwrap().duration_since(decided);
        ended.as_millis()
    };
    assert_eq!(ended(Some(1000), 1300), 1300, "seen in that second");
    assert_eq!(ended(Some(1000), 5300), 1000, "seen later");
    assert_eq!(ended(None, 1300), 0, "the API server does not say when");
}

/// An approval that stands there from before says nothing of a way back that nobody was asked for.
#[test]
fn a_way_back_is_the_operators_own() {
    let mut world = alone();
    world.intent.policy.approval = Some(Approved {
        revision: Some(v1().name),
    });
    world.want_settled(&v2());
    world.memory.last_active.as_mut().unwrap().revision = v2().name;
    world.memory.last_active.as_mut().unwrap().version = "2.29.0".to_owned();
    let last = world.memory.last_active.as_mut().unwrap();
    (last.uid, last.planned) = ("gone".to_owned(), true);
    last.ended = Some(world.now);
    let moved = world.remember().moved.unwrap();
    assert_eq!((&*moved.reason, &*moved.asked_by), ("Version", "Operator"));
}

#[test]
fn a_first_active_is_no_handover_and_stands_in_the_history() {
    let mut world = World::with(1);
    world.obey();
    let made = world.newest();
    world.starts(&made);
    world.takes(&made);
    let plan = world.remember();
    assert_eq!(plan.finished, None);
    let first = plan.moved.unwrap();
    assert_eq!((first.from, first.gap_ms), (None, None));
    assert_eq!((&*first.reason, &*first.asked_by), ("Start", "Spec"));
    assert_eq!(first.revision, v1().name);
    assert_eq!(world.remember().moved, None, "once");

    world.intent.replicas = 0;
    while world.obey() != nothing() {
        world.pods.retain(|pod| !pod.deleted);
    }
    world.intent.replicas = 1;
    let again = {
        world.obey();
        let made = world.newest();
        world.starts(&made);
        world.takes(&made);
        world.remember().moved.unwrap()
    };
    assert_eq!((again.from, &*again.reason), (None, "Start"));
}

#[test]
fn a_pod_that_takes_its_own_lock_again_after_a_crash_has_moved_it() {
    let mut world = alone();
    world.later(1);
    world.crashes("a", crate::node::ExitKind::Killed, "");
    world.remember();
    world.later(5);
    world.starts("a");
    world.takes("a");
    let moved = world.remember().moved.unwrap();
    assert_eq!(moved.from.as_deref(), Some("a (2.28.0)"));
    assert_eq!(moved.to, "a (2.28.0)");
    assert_eq!((&*moved.reason, &*moved.asked_by), ("Failover", "Nobody"));
}
