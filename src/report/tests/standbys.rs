//! What is told of standbys, and of where the active should be.

use super::*;

#[test]
fn a_fail_back_that_is_held_is_told_with_its_reason_and_its_time() {
    let mut told = Told::of(pair());
    let now = told.world.now;
    told.world.intent.policy.preferred = Some(Preferred {
        labels: [("zone".to_owned(), "b".to_owned())].into(),
        automatic_after: Some(Duration::from_mins(5)),
    });
    told.world.machines = Some([].into());
    told.world.memory.going_back = Some(GoingBack {
        generation: told.world.intent.generation,
        failed_at: Some(now),
        until: Some(now + Duration::from_mins(10)),
        because: Some("the last one ended in a failover".to_owned()),
        ..GoingBack::default()
    });
    told.look();
    assert_eq!(
        told.condition("Preferred"),
        ("False".to_owned(), "FailbackHeld".to_owned())
    );
    let (ready, _) = told.condition("Ready");
    assert_eq!(ready, "True", "the active is at work");
}

#[test]
fn a_standby_that_could_not_take_over_is_shown_as_what_it_is_and_counts_as_no_redundancy() {
    let mut told = Told::of(pair());
    told.look();
    assert_eq!(told.status.standbys.as_deref(), Some("1/1"));
    told.world.pod("b").contradicting_version = Some("2.30.0".to_owned());
    told.look();
    assert_eq!(told.status.standbys.as_deref(), Some("0/1"));
    let b = told.status.pods.iter().find(|pod| pod.name == "b").unwrap();
    let message = "b says that it is version 2.30.0: set spec.version to what the image holds";
    assert_eq!(b.role, "Unfit");
    assert_eq!(b.message.as_deref(), Some(message));
    let mut conditions = told.status.conditions.iter();
    let redundant = conditions.find(|told| told.type_ == "Redundant");
    let redundant = redundant.unwrap();
    assert_eq!(redundant.status, "False");
    assert_eq!(
        redundant.message,
        format!("0 of 1 standbys wait for the lock; {message}")
    );
}
