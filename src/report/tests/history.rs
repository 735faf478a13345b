//! `status.history`: who had the lock.

use super::{Told, pair};
use crate::api::LockMove;
use crate::domain::Reason;
use crate::plan::Blocked;
use crate::plan::tests::world::World;
use crate::report::not_looked;

/// The lock goes to and fro, by the end of whoever has it.
fn fails_over(told: &mut Told, times: usize) {
    for _ in 0..times {
        let active = told.status.active.clone().unwrap();
        let waits = told.world.pods.iter().find(|pod| pod.waits()).unwrap();
        let next = waits.id.name.clone();
        told.world.later(60);
        told.world.gone(&active);
        told.world.takes(&next);
        told.look();
        let made = told.world.newest();
        told.world.starts(&made);
        told.world.waits(&made);
        told.look();
    }
}

#[test]
fn the_last_ten_moves_are_told_the_newest_first() {
    let mut told = Told::of(pair());
    assert_eq!(told.status.history, [], "nobody saw who began");
    fails_over(&mut told, 3);
    let to = |told: &Told| -> Vec<String> {
        let all = told.status.history.iter();
        all.map(|moved| moved.to.clone()).collect()
    };
    let before = to(&told);
    assert_eq!(before.len(), 3);
    assert_eq!(before[2], "b (2.28.0)");
    let newest = &told.status.history[0];
    let last = told.status.last_handover.as_ref().unwrap();
    assert_eq!(newest.handover().as_ref(), Some(last));
    assert_eq!(newest.from.as_deref(), Some(before[1].as_str()));

    fails_over(&mut told, 9);
    let after = to(&told);
    assert_eq!(after.len(), 10, "and no more are kept");
    assert_eq!(after[9], before[0], "the oldest went");
}

#[test]
fn a_look_that_shows_no_move_and_one_that_fails_leave_the_history_as_it_was() {
    let mut told = Told::of(pair());
    fails_over(&mut told, 1);
    let before = told.status.clone();
    told.look();
    assert_eq!(told.status, before, "at rest nothing is written");
    told.world.operator_starts();
    told.look();
    assert_eq!(told.status.history, before.history);
    let refused = Blocked {
        reason: Reason::LookRefused,
        message: "no".to_owned(),
        stalled: true,
    };
    let told = not_looked(&super::node(), &before, &refused, told.world.now);
    assert_eq!(told.history, before.history);
}

#[test]
fn a_first_active_is_no_last_handover() {
    let mut told = Told::of(World::with(1));
    let made = told.world.newest();
    told.world.starts(&made);
    told.world.takes(&made);
    told.look();
    assert_eq!(told.status.last_handover, None);
    let [first]: &[LockMove; 1] = told.status.history.as_slice().try_into().unwrap();
    assert_eq!((first.from.as_deref(), &*first.reason), (None, "Start"));
}
