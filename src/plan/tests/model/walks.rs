//! The walks that every test run makes: small enough for seconds, wide enough that each guard is
//! needed somewhere. The deep ones beside them are for a change of the planner.

use super::*;
use crate::api::FailedHow;
use crate::plan::Rule;

#[test]
fn a_resource_that_begins_keeps_every_rule() {
    for replicas in 1..=3 {
        from_nothing("begins", replicas)
            .edits(1, &[OLD, NEW])
            .crashes(1)
            .holds();
    }
}

#[test]
fn an_upgrade_with_a_crash_of_the_operator_anywhere_keeps_every_rule() {
    for replicas in 1..=3 {
        from_rest("upgrade", replicas)
            .edits(1, &[NEW])
            .crashes(1)
            .holds();
    }
}

#[test]
fn an_upgrade_in_which_a_pod_is_lost_and_the_operator_dies_keeps_every_rule() {
    from_rest("upgrade, loss and crash", 1)
        .edits(1, &[NEW])
        .faults(1, &[Fault::Lose])
        .crashes(1)
        .holds();
}

#[test]
fn an_upgrade_in_which_the_active_is_cut_off_and_the_operator_dies_keeps_every_rule() {
    from_rest("upgrade, cut off and crash", 1)
        .edits(1, &[NEW])
        .faults(1, &[Fault::CutOff])
        .crashes(1)
        .holds();
}

#[test]
fn an_upgrade_to_a_version_that_answers_early_keeps_every_rule() {
    for replicas in 1..=2 {
        from_rest("answers early", replicas)
            .edits(1, &[NEW_ANSWERS_EARLY])
            .crashes(1)
            .holds();
    }
    from_rest("answers early and exits", 1)
        .edits(1, &[NEW_ANSWERS_EARLY])
        .faults(1, &[Fault::Crash])
        .holds();
}

#[test]
fn an_upgrade_in_which_one_that_answers_early_is_lost_keeps_every_rule() {
    from_rest("lost while it migrates", 1)
        .edits(1, &[NEW_ANSWERS_EARLY])
        .faults(1, &[Fault::Lose])
        .holds();
}

#[test]
fn a_holder_outside_keeps_every_rule() {
    for replicas in 1..=2 {
        from_outside("outside", replicas)
            .edits(1, &[NEW])
            .crashes(1)
            .holds();
    }
    from_outside("outside and loss", 1)
        .edits(1, &[NEW])
        .faults(1, &[Fault::Lose])
        .holds();
}

#[test]
fn an_upgrade_without_room_in_which_a_pod_is_lost_keeps_every_rule() {
    from_rest("no room and loss", 2)
        .without_room()
        .edits(1, &[NEW])
        .faults(1, &[Fault::Lose, Fault::Kill])
        .holds();
}

#[test]
fn a_check_that_passes_or_not_keeps_every_rule() {
    for replicas in 1..=2 {
        from_rest("check", replicas)
            .edits(1, &[NEW_CHECKED, NEW_REFUSED])
            .faults(1, &[Fault::Check])
            .crashes(1)
            .holds();
    }
    from_rest("checks", 1)
        .edits(2, &[OLD, NEW_CHECKED, NEW_REFUSED])
        .faults(1, &[Fault::Check])
        .holds();
}

#[test]
fn a_check_in_which_pods_are_lost_keeps_every_rule() {
    from_rest("check and loss", 1)
        .edits(1, &[NEW_CHECKED, NEW_REFUSED])
        .faults(1, &[Fault::Lose])
        .holds();
}

#[test]
fn newer_versions_that_exit_with_the_lock_keep_every_rule() {
    from_rest("give out", 1)
        .edits(1, &[NEW_CRASHES_SERVING, NEW_ANSWERS_AND_CRASHES])
        .holds();
}

#[test]
fn the_way_back_from_a_version_that_migrated_nothing_keeps_every_rule() {
    from_asked("way back", 1)
        .edits(1, &[NEW_CRASHES_LATE])
        .crashes(1)
        .holds();
    from_asked("way back and edits", 1)
        .edits(2, &[OLD, NEW_CRASHES_LATE])
        .holds();
    from_asked("way back and ends", 1)
        .edits(1, &[NEW])
        .faults(1, &[Fault::Crash, Fault::Kill, Fault::Fail])
        .holds();
}

#[test]
fn a_database_that_is_silent_or_lies_or_takes_no_writes_keeps_every_rule() {
    for replicas in 1..=2 {
        from_asked("database at rest", replicas)
            .faults(1, &[Fault::Database])
            .holds();
    }
    from_asked("database and upgrade", 1)
        .edits(1, &[NEW])
        .faults(1, &[Fault::Database])
        .holds();
}

#[test]
fn an_upgrade_in_which_calls_fail_keeps_every_rule() {
    for replicas in 1..=2 {
        from_rest("calls", replicas)
            .edits(1, &[NEW])
            .calls(2)
            .holds();
    }
    from_rest("calls and ends", 1)
        .edits(1, &[CONFIG_CRASHES_LATE])
        .calls(1)
        .holds();
}

/// The walk above would keep every rule as well if no way back were ever found on it.
#[test]
fn a_way_back_is_found_on_its_walk() {
    let mut walk = from_asked("found", 1).edits(1, &[NEW_CRASHES_LATE]);
    walk.start = walk.start.after(Event::Wants(Some(NEW_CRASHES_LATE)));

    let end = walk.rest().start;
    let old = |pod: &Pod| pod.kind == OLD && pod.does == Does::Serve;
    assert!(end.cluster.pods().iter().any(old), "{}", end.cluster);
    assert_eq!(end.mind.failed_how, Some(FailedHow::Crashed));
}

/// One way of the walk that `make model` makes in all orders.
#[test]
fn a_successor_that_serves_and_exits_again_and_again_gives_way_to_what_worked() {
    let mut walk = from_rest("gives out", 1).edits(1, &[CONFIG_CRASHES_SERVING]);
    walk.start = walk.start.after(Event::Wants(Some(CONFIG_CRASHES_SERVING)));

    let end = walk.rest().start;
    let old = |pod: &Pod| pod.kind == OLD && pod.does == Does::Serve;
    assert!(end.cluster.pods().iter().any(old), "{}", end.cluster);
    assert_eq!(end.mind.failed_how, Some(FailedHow::Crashed));
}

#[test]
fn a_successor_that_answers_and_exits_with_the_lock_is_not_handed_over_to_again() {
    from_rest("answers and exits", 1)
        .edits(1, &[CONFIG_ANSWERS_AND_CRASHES])
        .holds();
}

#[test]
fn an_operator_that_starts_while_the_active_is_lost_stops_nothing() {
    from_rest("loss and restart", 1)
        .faults(1, &[Fault::Lose])
        .crashes(1)
        .holds();
    from_rest("loss, upgrade and restart", 2)
        .edits(1, &[NEW])
        .faults(1, &[Fault::Lose])
        .crashes(1)
        .holds();
}

#[test]
fn an_upgrade_without_room_for_a_surge_keeps_every_rule() {
    for replicas in 2..=3 {
        from_rest("no room", replicas)
            .without_room()
            .edits(1, &[NEW])
            .crashes(1)
            .holds();
    }
}

#[test]
fn forth_and_back_and_forth_keeps_every_rule() {
    for replicas in 1..=3 {
        from_rest("edits", replicas)
            .edits(2, &[OLD, NEW, NEWEST])
            .holds();
    }
}

#[test]
fn revisions_that_can_not_work_keep_every_rule() {
    let bad = [
        OLD,
        NEW_NO_IMAGE,
        NEW_CRASHES,
        NEW_LIES,
        NEW_LIES_SILENTLY,
        OTHER_LOCK,
    ];
    let late = [NEW_CRASHES_LATE, CONFIG_CRASHES_LATE];
    from_rest("bad", 1)
        .edits(1, &[&bad[..], &late].concat())
        .holds();
    from_rest("bad", 2).edits(1, &bad).holds();
}

#[test]
fn lock_modes_that_follow_each_other_keep_every_rule() {
    for replicas in 1..=2 {
        from_rest("lock modes", replicas)
            .edits(2, &[OLD, BOTH_LOCKS, OTHER_LOCK])
            .holds();
    }
    from_rest("lock modes and faults", 1)
        .edits(1, &[BOTH_LOCKS])
        .faults(1, &[Fault::Kill])
        .holds();
}

#[test]
fn an_upgrade_with_one_fault_of_each_kind_at_any_time_keeps_every_rule() {
    from_rest("faults", 1)
        .edits(1, &[NEW])
        .faults(1, &ALL_FAULTS)
        .holds();
}

#[test]
fn a_fault_of_each_kind_at_rest_keeps_every_rule() {
    for replicas in 1..=3 {
        from_rest("faults at rest", replicas)
            .faults(1, &ALL_FAULTS)
            .holds();
    }
}

#[test]
fn other_numbers_of_replicas_keep_every_rule() {
    for replicas in 1..=3 {
        from_rest("scales", replicas)
            .edits(1, &[NEW])
            .scales(&[0, 1, 2, 3])
            .holds();
    }
}

#[test]
fn machines_that_are_emptied_keep_every_rule() {
    for replicas in 1..=3 {
        from_rest("cordon", replicas)
            .faults(1, &[Fault::Cordon])
            .crashes(1)
            .holds();
    }
    from_rest("two cordons", 2)
        .faults(2, &[Fault::Cordon])
        .holds();
    from_rest("cordon without room", 2)
        .without_room()
        .faults(1, &[Fault::Cordon])
        .holds();
}

#[test]
fn machines_that_are_emptied_in_a_rollout_keep_every_rule() {
    from_rest("cordon and upgrade", 1)
        .edits(1, &[NEW, NEW_NO_IMAGE])
        .faults(1, &[Fault::Cordon])
        .holds();
}

#[test]
fn machines_that_are_emptied_while_pods_are_lost_keep_every_rule() {
    from_rest("cordon and loss", 2)
        .faults(2, &[Fault::Cordon, Fault::Lose, Fault::Kill])
        .holds();
}

/// Without this guard a rule is broken on the walk; with it, it is not.
pub fn needed(rule: Rule, property: &str, walk: Walk) {
    let mut walk = walk;
    walk.to_the_end = false;
    let whole = walk.walk().broken;
    if let Some((broken, story)) = whole {
        panic!(
            "with all guards, {} is broken: {}\n{story}",
            broken.rule, broken.how
        );
    }
    assert_eq!(
        broken_without(rule, walk),
        Some(property),
        "without {rule:?}"
    );
}

/// The rule that is broken on the walk without this guard.
pub fn broken_without(rule: Rule, mut walk: Walk) -> Option<&'static str> {
    walk.rules = walk.rules.without(rule);
    walk.walk().broken.map(|(broken, _)| broken.rule)
}

#[test]
fn without_a_waiting_successor_s1_is_broken() {
    needed(
        Rule::SuccessorWaits,
        "S1",
        from_rest("lies", 1).edits(1, &[NEW_LIES]),
    );
}

#[test]
fn without_the_word_of_the_database_s1_is_broken() {
    needed(
        Rule::DatabaseAgrees,
        "S1",
        from_rest("silent lies", 1).edits(1, &[NEW_LIES_SILENTLY]),
    );
}

#[test]
fn without_the_word_of_a_database_that_takes_no_writes_s1_is_broken() {
    let walk = from_asked("read-only", 1)
        .edits(1, &[NEW])
        .faults(1, &[Fault::Database]);
    needed(Rule::DatabaseAgrees, "S1", walk);
}

#[test]
fn with_a_rival_s1_is_broken() {
    let walk = from_rest("rival", 2)
        .edits(1, &[NEW])
        .faults(1, &[Fault::Lose]);
    needed(Rule::NoRival, "S1", walk);
}

#[test]
fn with_two_stops_at_once_s2_is_broken() {
    needed(
        Rule::OneStop,
        "S2",
        from_rest("two", 2).scales(&[0, 1]).edits(1, &[NEW]),
    );
}

#[test]
fn with_an_active_that_is_not_seen_s3_is_broken() {
    let walk = from_rest("unseen", 1)
        .edits(1, &[NEW])
        .faults(1, &[Fault::Lose, Fault::CutOff]);
    needed(Rule::ActiveSeen, "S3", walk);
}

#[test]
fn with_a_successor_that_does_not_answer_s5_is_broken() {
    let walk = from_rest("silent", 1)
        .edits(1, &[NEW])
        .faults(1, &[Fault::Lose]);
    needed(Rule::SuccessorAnswers, "S5", walk);
}

#[test]
fn with_an_older_version_s6_is_broken() {
    needed(
        Rule::NoOlder,
        "S6",
        from_rest("older", 1).edits(2, &[OLD, NEW]),
    );
}

#[test]
fn beside_another_lock_s7_is_broken() {
    needed(
        Rule::SameLock,
        "S7",
        from_rest("lock", 1).edits(1, &[OTHER_LOCK]),
    );
}

#[test]
fn with_another_database_s9_is_broken() {
    let walk = from_rest("database", 2).faults(2, &[Fault::Secret, Fault::Kill]);
    needed(Rule::SameDatabase, "S9", walk);
}

#[test]
fn a_handover_that_failed_and_is_tried_again_is_seen() {
    needed(
        Rule::NotFailed,
        "NotFailed",
        from_rest("failed", 1).edits(1, &[CONFIG_CRASHES_LATE]),
    );
}

#[test]
fn whatever_happens_between_the_two_looks_of_a_stop_keeps_every_rule() {
    from_rest("between", 1)
        .edits(1, &[NEW])
        .faults(1, &[Fault::Crash, Fault::Lose, Fault::Kill])
        .between(4)
        .holds();
}

/// The same walk as that of the guard of the first look: the successor is lost after it, and before the stop.
#[test]
fn without_a_second_look_s5_is_broken() {
    let mut walk = from_rest("second look", 1)
        .edits(1, &[NEW])
        .faults(1, &[Fault::Lose]);
    walk.to_the_end = false;
    walk.holds();
    walk.looks_again = false;
    let found = walk.walk().broken.map(|(broken, _)| broken.rule);
    assert_eq!(found, Some("S5"));
}

#[test]
fn an_end_of_which_the_api_server_is_not_told_yet_keeps_every_rule() {
    from_rest("untold", 1)
        .edits(1, &[NEW])
        .faults(1, &[Fault::Untold])
        .holds();
}
