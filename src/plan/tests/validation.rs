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

/// A version that checks its configuration only when it has the lock.
fn checked_late() -> Revision {
    Revision {
        validates: true,
        ..v3()
    }
}

fn says_nothing() -> Checked {
    Checked::Said(Verdict::Unknown("exit code 137".to_owned()))
}

/// The upgrade to a version that checks only with the lock, after its check has said nothing.
fn unanswered(said: &Checked) -> World {
    let mut world = in_use();
    world.want_settled(&checked_late());
    assert_eq!(world.obey(), ["validate 2.30.0"]);
    world.validation_comes_to(said);
    assert_eq!(world.obey(), ["end validation"], "{said:?}");
    world
}

/// How many seconds pass before the check is made again.
fn pause(world: &mut World) -> u64 {
    for second in 1..=3600 {
        world.later(1);
        let acts = world.obey();
        if acts == ["validate 2.30.0"] {
            return second;
        }
        assert_eq!(acts, nothing());
    }
    panic!("it is not made again");
}

#[test]
fn a_version_that_checks_only_with_the_lock_replaces_nothing_while_its_check_says_nothing() {
    for said in [says_nothing(), Checked::Never] {
        let mut world = unanswered(&said);
        assert_eq!(world.blocked(), blocked("ConfigurationUnchecked", false));
        for silent in 2..=4 {
            pause(&mut world);
            assert_eq!(
                world.blocked(),
                blocked("ConfigurationUnchecked", silent > 2),
                "it is told while the check is made again"
            );
            world.validation_comes_to(&said);
            assert_eq!(world.obey(), ["end validation"]);
            assert_eq!(world.blocked(), blocked("ConfigurationUnchecked", true));
        }
        assert!(world.has("a") && world.has("b"), "{said:?}");
        let told = world.plan().progress.blocked.unwrap().message;
        let command = "kubectl annotate --namespace chain chainlinknode/cl chainlink-operator.dev/accept-unchecked=2.30.0-plain-lease on db --overwrite";
        assert!(told.contains(command), "{told}");

        pause(&mut world);
        world.validation_comes_to(&Checked::Said(Verdict::Valid));
        assert_eq!(world.obey(), ["create 2.30.0", "end validation"]);
        world.carry_on();
        assert_eq!(world.versions(), ["2.30.0", "2.30.0"]);
    }
}

#[test]
fn a_check_that_says_nothing_is_made_again_after_growing_pauses() {
    let mut world = unanswered(&says_nothing());
    let mut pauses = Vec::new();
    for _ in 0..7 {
        pauses.push(pause(&mut world));
        world.validation_comes_to(&says_nothing());
        world.obey();
    }
    assert_eq!(pauses, [30, 60, 120, 240, 480, 600, 600]);
}

/// By a person whom the status told to, by a drain, or by the operator itself for a pause that is over.
#[test]
fn a_check_that_was_stopped_has_not_answered_and_is_made_again() {
    for target in [checkable(), checked_late()] {
        let mut world = in_use();
        world.want_settled(&target);
        let checks = world.obey();
        world.validations[0].deleted = true;
        world.validation_comes_to(&says_nothing());
        assert_eq!(world.obey(), nothing(), "{}", target.version);

        world.validations.clear();
        assert_eq!(world.obey(), checks, "{}", target.version);
        let silent = world.memory.validation.as_ref().map(|known| known.silent);
        assert_eq!(silent, Some(0), "{}", target.version);
    }
}

#[test]
fn a_check_that_says_nothing_keeps_nobody_on_a_machine_that_is_being_emptied() {
    let mut world = unanswered(&says_nothing());
    pause(&mut world);
    world.validation_comes_to(&says_nothing());
    world.obey();
    world.emptied(&["a"]);
    for _ in 0..20 {
        world.obey();
        world.progress();
        world.later(1);
    }
    assert_eq!(world.handovers, 1);
    assert_eq!(world.versions(), ["2.28.0", "2.28.0"]);
    assert!(!world.has("a"));
}

#[test]
fn a_person_lets_one_revision_go_on_unchecked_and_no_other() {
    let mut world = unanswered(&says_nothing());
    world.intent.policy.unchecked = Some(v2().name);
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("ConfigurationUnchecked", false));

    world.intent.policy.unchecked = Some(checked_late().name);
    assert_eq!(world.obey(), ["create 2.30.0"]);
    world.carry_on();
    assert_eq!(world.versions(), ["2.30.0", "2.30.0"]);
}

#[test]
fn a_person_lets_a_revision_go_on_whose_check_does_not_end_and_none_that_is_refused() {
    let mut world = in_use();
    world.want_settled(&checked_late());
    world.obey();
    world.intent.policy.unchecked = Some(checked_late().name);
    world.validation_comes_to(&invalid());
    assert_eq!(world.obey(), nothing());
    assert_eq!(world.blocked(), blocked("ConfigurationInvalid", true));

    let mut world = in_use();
    world.want_settled(&checked_late());
    world.obey();
    world.intent.policy.unchecked = Some(checked_late().name);
    assert_eq!(world.obey(), ["create 2.30.0", "end validation"]);
}
