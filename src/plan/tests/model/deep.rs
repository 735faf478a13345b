//! The walks of `make model`: for a change of the planner, too long for every test run.

use super::lease::{ENDS, upgrade_with_lease};
use super::*;

/// Without the one of `ALL_FAULTS` after which a pod of ours may be taken for one on another database.
const FAULTS: [Fault; 6] = [
    Fault::Crash,
    Fault::LoseDatabase,
    Fault::Kill,
    Fault::Fail,
    Fault::Lose,
    Fault::Die,
];

const BAD: [u8; 10] = [
    OLD,
    NEW_NO_IMAGE,
    NEW_CRASHES,
    NEW_CRASHES_LATE,
    CONFIG_CRASHES_LATE,
    NEW_LIES,
    NEW_CHECKED,
    NEW_REFUSED,
    BOTH_LOCKS,
    OTHER_LOCK,
];

#[test]
#[ignore = "deep"]
fn deep_a_resource_that_begins_with_faults_or_a_crash() {
    for replicas in 1..=3 {
        from_nothing("first", replicas)
            .edits(1, &[OLD, NEW])
            .faults(1, &FAULTS)
            .holds();
        from_nothing("first crash", replicas)
            .edits(1, &[OLD, NEW])
            .crashes(1)
            .holds();
    }
}

#[test]
#[ignore = "deep"]
fn deep_an_upgrade_with_a_loss_and_a_crash() {
    for replicas in 1..=3 {
        from_rest("upgrade", replicas)
            .edits(1, &[NEW])
            .faults(1, &[Fault::Lose, Fault::Die])
            .crashes(1)
            .holds();
    }
}

#[test]
#[ignore = "deep"]
fn deep_an_upgrade_with_another_fault_and_a_crash() {
    let which = [Fault::Crash, Fault::LoseDatabase, Fault::Kill, Fault::Fail];
    for replicas in 1..=3 {
        from_rest("upgrade", replicas)
            .edits(1, &[NEW])
            .faults(1, &which)
            .crashes(1)
            .holds();
    }
}

#[test]
#[ignore = "deep"]
fn deep_two_edits_with_a_crash() {
    for replicas in 1..=2 {
        from_rest("edits", replicas)
            .edits(2, &[OLD, NEW, NEWEST])
            .crashes(1)
            .holds();
    }
}

#[test]
#[ignore = "deep"]
fn deep_two_edits_with_a_fault() {
    from_rest("edits faults", 1)
        .edits(2, &[OLD, NEW, OLD_CONFIGURED])
        .faults(1, &FAULTS)
        .holds();
}

#[test]
#[ignore = "deep"]
fn deep_two_edits_to_what_can_not_work() {
    let kinds = [&BAD[..], &[NEW]].concat();
    from_rest("bad", 1).edits(2, &kinds).holds();
}

#[test]
#[ignore = "deep"]
fn deep_what_can_not_work_with_a_fault() {
    let bad = BAD.map(|kind| match kind {
        CONFIG_CRASHES_LATE => OLD_CONFIGURED,
        _ => kind,
    });
    from_rest("bad faults", 1)
        .edits(1, &bad)
        .faults(1, &FAULTS)
        .holds();
}

#[test]
#[ignore = "deep"]
fn deep_an_upgrade_without_room_with_a_fault_or_a_crash() {
    for replicas in 2..=3 {
        from_rest("no room", replicas)
            .without_room()
            .edits(2, &[OLD, NEW])
            .crashes(1)
            .holds();
        from_rest("no room", replicas)
            .without_room()
            .edits(1, &[NEW, NEW_CRASHES])
            .faults(1, &FAULTS)
            .holds();
    }
}

#[test]
#[ignore = "deep"]
fn deep_other_numbers_of_replicas_with_a_fault_or_a_crash() {
    for replicas in 1..=3 {
        from_rest("scales", replicas)
            .edits(2, &[OLD, NEW])
            .scales(&[0, 1, 2, 3])
            .crashes(1)
            .holds();
    }
    from_rest("scales", 2)
        .edits(1, &[NEW])
        .scales(&[0, 1, 2, 3])
        .faults(1, &FAULTS)
        .holds();
}

#[test]
#[ignore = "known: where one pod restarts behind a changed URL and answers first, one that took the right lock is stopped"]
fn known_a_secret_that_changes_while_pods_end() {
    let which = [Fault::Secret, Fault::Kill, Fault::Crash];
    from_rest("secret and ends", 1)
        .edits(1, &[NEW])
        .faults(2, &which)
        .for_ever()
        .holds();
    from_rest("secret and more ends", 2)
        .faults(3, &which)
        .for_ever()
        .holds();
}

#[test]
#[ignore = "deep"]
fn deep_a_holder_outside_with_a_fault_and_a_crash() {
    from_outside("outside", 1)
        .edits(1, &[NEW])
        .faults(1, &FAULTS)
        .crashes(1)
        .holds();
}

#[test]
#[ignore = "deep"]
fn deep_two_faults() {
    for replicas in 1..=2 {
        from_rest("two faults", replicas).faults(2, &FAULTS).holds();
    }
    let ends = [Fault::Crash, Fault::LoseDatabase, Fault::Kill, Fault::Fail];
    from_rest("upgrade and two faults", 1)
        .edits(1, &[NEW])
        .faults(2, &ends)
        .holds();
}

#[test]
#[ignore = "deep"]
fn deep_a_check_with_a_fault_and_a_crash() {
    let which = [&FAULTS[..], &[Fault::Check]].concat();
    from_rest("check", 1)
        .edits(1, &[NEW_CHECKED, NEW_REFUSED])
        .faults(1, &which)
        .crashes(1)
        .holds();
    from_rest("check", 2)
        .edits(1, &[NEW_CHECKED, NEW_REFUSED])
        .faults(1, &[Fault::Check, Fault::Kill])
        .crashes(1)
        .holds();
}

#[test]
#[ignore = "deep"]
fn deep_what_is_too_long_of_the_walks_of_every_run() {
    from_rest("bad", 2)
        .edits(1, &[NEW_CRASHES_LATE, CONFIG_CRASHES_LATE])
        .holds();
    from_rest("give out", 2)
        .edits(1, &[NEW_CRASHES_SERVING, NEW_ANSWERS_AND_CRASHES])
        .holds();
    from_rest("untold", 2)
        .edits(1, &[NEW])
        .faults(1, &[Fault::Untold])
        .holds();
    from_rest("gives out", 1)
        .edits(1, &[CONFIG_CRASHES_SERVING])
        .holds();
    from_rest("lock modes and faults", 1)
        .edits(1, &[BOTH_LOCKS])
        .faults(1, &ALL_FAULTS)
        .holds();
    for replicas in 1..=2 {
        from_rest("check and loss", replicas)
            .edits(1, &[NEW_CHECKED, NEW_REFUSED])
            .faults(1, &[Fault::Lose, Fault::Kill, Fault::Crash])
            .holds();
        from_outside("outside and loss", replicas)
            .edits(1, &[NEW])
            .faults(1, &[Fault::Lose, Fault::Kill])
            .holds();
        from_rest("answers early", replicas)
            .edits(1, &[NEW_ANSWERS_EARLY])
            .faults(1, &[Fault::Crash])
            .crashes(1)
            .holds();
    }
    from_rest("refused and lost", 1)
        .edits(1, &[NEW])
        .faults(2, &[Fault::Refuse, Fault::Kill, Fault::Cordon])
        .holds();
    from_rest("no room and loss", 3)
        .without_room()
        .edits(1, &[NEW])
        .faults(1, &[Fault::Lose, Fault::Kill])
        .holds();
}

#[test]
#[ignore = "deep"]
fn deep_the_way_back_of_two_replicas_with_a_crash() {
    from_asked("way back", 2)
        .edits(1, &[NEW_CRASHES_LATE])
        .crashes(1)
        .holds();
}

#[test]
#[ignore = "deep"]
fn deep_the_way_back_with_another_edit_or_a_fault() {
    from_asked("way back and edits", 1)
        .edits(2, &[OLD, NEW, NEW_CRASHES_LATE])
        .holds();
    from_asked("way back and loss", 1)
        .edits(1, &[NEW_CRASHES_LATE])
        .faults(1, &[Fault::Lose, Fault::Kill])
        .holds();
    from_asked("way back and faults", 1)
        .edits(1, &[NEW])
        .faults(1, &ALL_FAULTS)
        .holds();
}

#[test]
#[ignore = "deep"]
fn deep_two_edits_with_an_active_that_is_cut_off() {
    for replicas in 1..=2 {
        from_rest("edits and cut off", replicas)
            .edits(2, &[OLD, NEW, OLD_CONFIGURED])
            .faults(1, &[Fault::CutOff])
            .holds();
    }
}

#[test]
#[ignore = "deep"]
fn deep_a_silent_liar_that_is_the_only_pod_is_told() {
    from_rest("silent liar", 1)
        .edits(1, &[NEW_LIES_SILENTLY])
        .faults(1, &[Fault::Kill])
        .holds();
}

#[test]
#[ignore = "deep"]
fn deep_a_successor_that_exits_before_the_operator_looks_is_not_handed_over_to_again() {
    from_rest("answers and exits", 2)
        .edits(1, &[CONFIG_ANSWERS_AND_CRASHES])
        .holds();
    from_rest("no room and late exits", 2)
        .without_room()
        .edits(1, &[CONFIG_CRASHES_LATE])
        .faults(1, &[Fault::Fail])
        .holds();
    from_rest("late exits and loss", 1)
        .edits(1, &[CONFIG_CRASHES_LATE])
        .faults(1, &[Fault::Die])
        .holds();
}

#[test]
#[ignore = "deep"]
fn deep_a_pod_that_is_deleted_while_it_is_down_and_its_machine_is_lost() {
    from_rest("down and lost", 1)
        .edits(1, &[NEW])
        .faults(2, &[Fault::Die, Fault::Lose])
        .holds();
}

#[test]
#[ignore = "deep"]
fn deep_a_second_operator_with_a_fault_or_a_crash() {
    from_rest("second operator and loss", 1)
        .edits(1, &[NEW])
        .faults(1, &[Fault::Lose, Fault::Kill])
        .others(1)
        .holds();
    from_rest("second operator and crash", 2)
        .edits(1, &[NEW])
        .crashes(1)
        .others(1)
        .holds();
    from_rest("second operator, twice", 1)
        .edits(2, &[OLD, NEW])
        .others(2)
        .holds();
    from_rest("second operator and scales", 2)
        .edits(1, &[NEW])
        .scales(&[0, 1, 3])
        .others(1)
        .holds();
}

#[test]
#[ignore = "deep"]
fn deep_a_lease_with_two_ends_or_a_machine_that_is_lost() {
    from_asked("lease and two ends", 1)
        .with_lease()
        .faults(2, &ENDS)
        .holds();
    from_asked("lease and a machine", 1)
        .with_lease()
        .faults(2, &[Fault::Crash, Fault::Lose, Fault::Die])
        .holds();
}

#[test]
#[ignore = "deep"]
fn deep_a_lease_in_an_upgrade() {
    upgrade_with_lease(1).holds();
}
