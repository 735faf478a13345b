//! Whether the lock is verified, by what the database says.

use super::*;

/// What the database says of `a`, which is active, and `b`, which waits.
fn asked(told: &mut Told, change: impl FnOnce(&mut Says)) {
    let (a, b) = (
        told.world.pod("a").id.clone(),
        told.world.pod("b").id.clone(),
    );
    let mut said = Says {
        lease: Holder::Pod(a.clone()),
        sessions: [a, b].map(|pod| (pod, SessionOf::Node)).into(),
        ..Says::quiet()
    };
    change(&mut said);
    told.world.later(1);
    told.world.hears(Ok(said));
    told.look();
}

#[test]
fn the_lock_is_verified_only_where_the_database_was_asked_and_agrees() {
    let mut told = Told::of(pair());
    let verified = |told: &Told| {
        let (status, reason) = told.condition("LockVerified");
        format!("{status} {reason}")
    };
    assert_eq!(verified(&told), "Unknown NotAskedYet");
    asked(&mut told, |_| {});
    assert_eq!(verified(&told), "True HolderIsActive");
    asked(&mut told, |said| said.lease = Holder::Nobody);
    assert_eq!(verified(&told), "False DatabaseContradicts");
    asked(&mut told, |said| said.lease = Holder::Unseen);
    assert_eq!(verified(&told), "Unknown HolderUnknown");
    asked(&mut told, |said| {
        said.lease = Holder::Elsewhere([10, 0, 0, 9].into());
        said.sessions.clear();
    });
    assert_eq!(verified(&told), "Unknown AddressesHidden");
    let active = told.world.pod("a").id.clone();
    asked(&mut told, |said| {
        said.sessions.retain(|pod, _| *pod == active);
    });
    assert_eq!(
        verified(&told),
        "False DatabaseContradicts",
        "b waits elsewhere"
    );

    told.world.hears(Err(Silence::not_allowed()));
    told.look();
    assert_eq!(
        verified(&told),
        "False DatabaseContradicts",
        "what was said against it stands"
    );
    asked(&mut told, |_| {});
    told.world.hears(Err(Silence::not_allowed()));
    told.look();
    assert_eq!(verified(&told), "Unknown NotAllowed");
    told.world.database.wanted = Verification::Never;
    told.look();
    assert_eq!(verified(&told), "Unknown NotWanted");
}

#[test]
fn an_old_answer_verifies_nothing_and_what_it_says_against_the_lock_stands() {
    let mut told = Told::of(pair());
    asked(&mut told, |_| {});
    told.world.later(180);
    told.look();
    let is = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
    let verified = |told: &Told| told.condition("LockVerified");
    assert_eq!(verified(&told), is("True", "HolderIsActive"));
    told.world.later(1);
    told.look();
    assert_eq!(verified(&told), is("Unknown", "NotAskedLately"));
    asked(&mut told, |said| said.lease = Holder::Nobody);
    told.world.later(3600);
    told.look();
    assert_eq!(verified(&told), is("False", "DatabaseContradicts"));
}

#[test]
fn after_a_takeover_an_old_answer_is_no_reason_to_doubt_the_new_active() {
    let mut told = Told::of(pair());
    asked(&mut told, |_| {});
    told.world.later(5);
    told.world.gone("a");
    told.world.takes("b");
    told.world.hears(Err(Silence::not_allowed()));
    told.look();
    let (status, reason) = told.condition("LockVerified");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("Unknown", "NotAllowed")
    );
}

/// All pods wait for a node outside.
#[test]
fn where_no_pod_could_ever_get_the_lock_the_resource_is_not_called_healthy() {
    let world = World::with(2).standby("a", &v1()).standby("b", &v1());
    let mut told = Told::of(world);
    let outside = |said: &mut Says| said.lease = Holder::Elsewhere([10, 0, 0, 9].into());
    let conditions = |told: &Told| {
        ["Ready", "Stalled", "Available", "LockVerified"].map(|kind| told.condition(kind).0)
    };
    asked(&mut told, outside);
    assert_eq!(conditions(&told), ["True", "False", "True", "True"]);
    asked(&mut told, |said| said.lease = Holder::Unseen);
    assert_eq!(conditions(&told), ["True", "False", "True", "Unknown"]);
    let mut doubtful = told.world.clone();
    doubtful.hears(Err(Silence::not_allowed()));
    let mut silent = Told::of(doubtful);
    silent.look();
    assert_eq!(conditions(&silent), ["True", "False", "True", "Unknown"]);
    asked(&mut told, |said| {
        outside(said);
        said.missing_right = Some("to create tables");
    });
    assert_eq!(conditions(&told), ["False", "True", "Unknown", "False"]);
    let (_, reason) = told.condition("Stalled");
    assert_eq!(reason, "DatabaseContradicts");
    told.world.later(400);
    told.look();
    assert_eq!(conditions(&told), ["False", "True", "Unknown", "False"]);
    asked(&mut told, outside);
    assert_eq!(conditions(&told), ["True", "False", "True", "True"]);
    told.world.later(181);
    told.look();
    assert_eq!(
        told.condition("LockVerified"),
        ("Unknown".to_owned(), "NotAskedLately".to_owned())
    );
}

#[test]
fn an_answer_of_before_the_takeover_verifies_nothing() {
    let mut told = Told::of(pair());
    asked(&mut told, |_| {});
    told.world.later(5);
    told.world.gone("a");
    told.world.takes("b");
    told.look();
    let (status, reason) = told.condition("LockVerified");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("Unknown", "NotAskedYet")
    );
}
