//! The node's own check of a configuration, before a pod is replaced for it.

use super::world::*;
use crate::domain::{Checked, Revision, Trouble};
use crate::node::Verdict;
use crate::plan::Step;

/// A newer version whose configuration can be checked.
fn checkable() -> Revision {
    Revision {
        validates: true,
        ..v2()
    }
}

fn in_use() -> World {
    pair()
}

fn being_checked() -> World {
    let mut world = in_use();
    world.want_settled(&checkable());
    assert_eq!(world.obey(), ["validate 2.29.0"]);
    world
}

fn invalid() -> Checked {
    Checked::Said(Verdict::Invalid("EVM.0.Nodes: missing".to_owned()))
}

#[test]
fn a_configuration_is_checked_before_anything_is_made_or_stopped_for_it() {
    let mut world = being_checked();
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.plan().progress.step, Step::Validating);

    world.validation_comes_to(&Checked::Said(Verdict::Valid));
    assert_eq!(world.obey(), ["create 2.29.0", "end validation"]);
    world.carry_on();

    assert_eq!(world.versions(), ["2.29.0", "2.29.0"]);
    assert_eq!(world.memory.validation, None, "it is forgotten");
}

/// Nothing of it will come up before a person has acted.
#[test]
fn a_configuration_that_fails_its_check_keeps_nobody_on_a_machine_that_is_being_emptied() {
    let trouble = Trouble {
        reason: "InvalidImageName".to_owned(),
        message: "not found".to_owned(),
    };
    for checked in [invalid(), Checked::NotYet(Some(trouble))] {
        let mut world = being_checked();
        world.validation_comes_to(&checked);
        world.obey();
        world.emptied(&["a"]);
        world.carry_on();
        assert_eq!(world.handovers, 1, "{checked:?}");
        assert_eq!(world.versions(), ["2.28.0", "2.28.0"]);
        assert!(!world.has("a"));
        let told = world.blocked().unwrap();
        assert!(told.1, "{told:?}");
    }
    // One that goes on moves the lock itself.
    let mut world = being_checked();
    world.emptied(&["a"]);
    for _ in 0..5 {
        world.obey();
        world.later(1);
    }
    assert_eq!(world.handovers, 0);
}

#[test]
fn an_invalid_configuration_replaces_nothing_and_is_told_in_the_nodes_words() {
    let mut world = being_checked();
    world.validation_comes_to(&invalid());

    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("ConfigurationInvalid", true));
    let told = world.plan().progress.blocked.unwrap().message;
    assert!(told.contains("EVM.0.Nodes: missing"), "{told}");
    world.later(86_400);
    assert_eq!(world.obey(), nothing());

    world.want_settled(&v1());
    assert!(
        world.validations.is_empty(),
        "what nothing needs is removed"
    );
    world.obey();
    assert_eq!(world.memory.validation, None);
    assert_eq!(world.plan().progress.step, Step::Steady);
    assert!(world.has("a") && world.has("b"));
}

#[test]
fn a_secret_that_is_corrected_heals_the_check_by_itself() {
    let mut world = being_checked();
    world.validation_comes_to(&invalid());
    world.obey();
    world.validation_comes_to(&Checked::NotYet(None));
    world.obey();
    assert_eq!(
        world.blocked(),
        blocked("ConfigurationInvalid", true),
        "one more try says nothing yet"
    );
    world.validation_comes_to(&Checked::Said(Verdict::Valid));

    assert_eq!(world.obey(), ["create 2.29.0", "end validation"]);
}

#[test]
fn a_check_that_can_not_be_made_holds_nothing_up() {
    let mut world = being_checked();
    world.validation_comes_to(&Checked::Said(Verdict::Unknown("killed".to_owned())));

    assert_eq!(world.obey(), ["create 2.29.0", "end validation"]);
}

#[test]
fn a_check_whose_image_does_not_exist_says_so_at_once() {
    let mut world = being_checked();
    world.validation_comes_to(&Checked::NotYet(Some(Trouble {
        reason: "ImagePullBackOff".to_owned(),
        message: "2.29.0: not found".to_owned(),
    })));
    world.obey();

    assert_eq!(world.blocked(), blocked("ImagePullBackOff", true));
}

#[test]
fn a_check_that_never_ends_is_reported_after_the_timeout() {
    let mut world = being_checked();
    world.later(STANDBY_TIMEOUT);
    assert_eq!(world.blocked(), blocked("ValidationTimeout", true));
}

#[test]
fn a_check_that_was_evicted_is_made_again_under_another_name() {
    let mut world = being_checked();
    let before = world.validations[0].id.clone();
    world.validation_comes_to(&Checked::Never);

    assert_eq!(world.obey(), ["validate 2.29.0", "end validation"]);
    assert_ne!(world.validations[0].id, before);
}

#[test]
fn a_crash_before_the_check_is_made_makes_the_same_one() {
    let mut world = in_use();
    world.want_settled(&checkable());
    let planned = world.remember();
    assert_eq!(
        planned.acts,
        world.plan().acts,
        "the same under the same name"
    );
}

#[test]
fn what_is_lost_while_a_configuration_is_checked_is_repaired_from_what_works() {
    let mut world = being_checked();
    world.validation_comes_to(&invalid());
    world.obey();
    world.gone("b");

    assert_eq!(world.obey(), ["create 2.28.0"]);
    assert_eq!(world.blocked(), blocked("ConfigurationInvalid", true));
}

#[test]
fn the_first_pods_and_those_of_a_configuration_that_works_are_not_checked() {
    let mut first = World::with(2).wanting(&checkable());
    assert_eq!(first.obey(), ["create 2.29.0"]);

    let mut world = World::with(2)
        .wanting(&checkable())
        .active("a", &checkable())
        .standby("b", &checkable())
        .at_rest();
    world.gone("b");
    assert_eq!(world.obey(), ["create 2.29.0"]);
}

#[test]
fn without_room_for_a_surge_an_invalid_configuration_costs_no_standby() {
    let mut world = in_use().surge(0);
    world.want_settled(&checkable());
    assert_eq!(world.obey(), ["validate 2.29.0"]);
    world.validation_comes_to(&invalid());
    for _ in 0..3 {
        assert_eq!(world.obey(), nothing());
        world.later(3600);
    }
    assert!(world.has("a") && world.has("b"));
}

#[test]
fn a_pause_and_an_end_check_nothing_any_more() {
    let mut paused = being_checked();
    paused.intent.policy.paused = true;
    assert_eq!(paused.obey(), ["end validation"]);

    let mut ended = being_checked();
    ended.intent.replicas = 0;
    assert!(ended.obey().contains(&"end validation".to_owned()));
}
