//! A pod that waits, and could not take over as it should: no healthy standby goes for it.

use super::relocation::told;
use super::world::{STANDBY_TIMEOUT, World, blocked, nothing, pair, v1, v2, v3};
use crate::api::{RequestState, Schedule, Verification};
use crate::domain::{Answered, Contact, Holder, NotReady, PodId, Pulled, Says};
use crate::node::database::SessionOf;

fn trio() -> World {
    World::with(3)
        .active("a", &v1())
        .standby("b", &v1())
        .standby("c", &v1())
        .at_rest()
}

type Makes = fn(&mut World, &str);

/// What may be known against a pod that waits, and how that is told.
const BAD: [(Makes, &str); 4] = [
    (is_another_version, "VersionDiffers"),
    (has_a_doubtful_line, "WaitingDoubtful"),
    (has_no_session, "DatabaseContradicts"),
    (lacks_a_sidecar, "SidecarNotReady"),
];

fn is_another_version(world: &mut World, pod: &str) {
    world.pod(pod).contradicting_version = Some("2.30.0".to_owned());
}

fn has_a_doubtful_line(world: &mut World, pod: &str) {
    world.pod(pod).doubt = Some("permission denied for schema public".to_owned());
}

fn lacks_a_sidecar(world: &mut World, pod: &str) {
    let since = world.now;
    world.pod(pod).sidecar = Some(NotReady {
        since,
        why: "proxy ended with code 1".to_owned(),
    });
}

/// The database shows the sessions of all pods but this one.
fn has_no_session(world: &mut World, pod: &str) {
    world.later(1);
    let ids = |world: &World, but: &str| -> Vec<PodId> {
        let pods = world.pods.iter().filter(|pod| pod.id.name != but);
        pods.map(|pod| pod.id.clone()).collect()
    };
    let active = world.active_pod();
    let active = world.pod(&active).id.clone();
    world.database.wanted = Verification::Auto;
    world.hears(Ok(Says {
        lease: Holder::Pod(active),
        sessions: ids(world, pod)
            .into_iter()
            .map(|id| (id, SessionOf::Node))
            .collect(),
        ..Says::quiet()
    }));
}

/// The stops of a few looks; each stopped pod goes at once, and images come.
fn stops(world: &mut World) -> Vec<String> {
    let mut stops = Vec::new();
    for _ in 0..5 {
        let acts = world.obey();
        stops.extend(acts.into_iter().filter(|act| act.starts_with("stop")));
        world.pods.retain(|pod| !pod.deleted);
        world.pull_comes_to(&Pulled::Yes);
        world.later(1);
    }
    stops
}

/// The rollout is under way, and its first pod has been made.
fn with_the_first_pod(surge: usize) -> (World, String) {
    let mut world = trio().surge(surge);
    world.want_settled(&v2());
    for _ in 0..20 {
        world.obey();
        if world.versions().contains(&"2.29.0".to_owned()) {
            let new = world.newest();
            return (world, new);
        }
        world.progress();
        world.later(1);
    }
    panic!("no pod is made: {:?}", world.plan());
}

#[test]
fn no_healthy_standby_is_stopped_for_one_that_may_not_take_over() {
    for surge in [1, 0] {
        for (is_bad, reason) in BAD {
            let (mut world, new) = with_the_first_pod(surge);
            let healthy = world.pods.len() - 1;
            world.waits(&new);
            is_bad(&mut world, &new);
            let stopped = stops(&mut world);
            let another = stopped.iter().find(|stop| **stop != format!("stop {new}"));
            assert_eq!(another, None, "{reason}, surge {surge}");
            let left = world.versions();
            let left = left.iter().filter(|version| *version == "2.28.0").count();
            assert!(left >= healthy, "{reason}, surge {surge}");
            assert_eq!(world.blocked().unwrap().0, reason, "surge {surge}");
        }
    }
}

#[test]
fn a_standby_goes_once_the_first_pod_of_the_revision_could_take_over() {
    for surge in [1, 0] {
        let (mut world, new) = with_the_first_pod(surge);
        world.waits(&new);
        has_a_doubtful_line(&mut world, &new);
        assert_eq!(stops(&mut world), nothing());
        world.pod(&new).doubt = None;
        assert_eq!(stops(&mut world).len(), 1, "surge {surge}");
    }
}

#[test]
fn a_database_that_has_to_be_asked_is_asked_before_a_standby_goes() {
    let (mut world, new) = with_the_first_pod(1);
    world.waits(&new);
    world.database.wanted = Verification::Required;
    assert_eq!(stops(&mut world), nothing());
    assert_eq!(world.blocked().unwrap().0, "DatabaseNotAsked");
    has_no_session(&mut world, "nobody");
    world.database.wanted = Verification::Required;
    assert!(world.obey().contains(&"stop b".to_owned()));
}

/// Where machines are emptied, or replicas are fewer: what goes is never the last one that could take over.
#[test]
fn neither_a_drain_nor_a_scale_down_stops_the_last_one_that_could_take_over() {
    for (is_bad, reason) in BAD {
        let mut drained = pair().standby("c", &v1());
        drained.emptied(&["b"]);
        is_bad(&mut drained, "c");
        assert!(
            !stops(&mut drained).contains(&"stop b".to_owned()),
            "{reason}"
        );

        let mut fewer = trio();
        is_bad(&mut fewer, "b");
        fewer.intent.replicas = 2;
        assert_eq!(stops(&mut fewer), ["stop b"], "{reason}");
    }
}

#[test]
fn a_pod_that_could_not_take_over_is_not_called_ready_and_is_ready_once_it_could() {
    for (is_bad, reason) in BAD {
        let mut world = pair();
        is_bad(&mut world, "b");
        assert_eq!(world.obey(), ["unready b"], "{reason}");
        world.pod("b").contradicting_version = None;
        world.pod("b").doubt = None;
        world.pod("b").sidecar = None;
        has_no_session(&mut world, "nobody");
        assert_eq!(world.obey(), ["ready b"], "{reason}");
    }
}

/// A drill costs no redundancy that is not there.
#[test]
fn a_drill_is_skipped_where_a_standby_could_not_take_over() {
    for (is_bad, reason) in BAD {
        let mut world = pair();
        is_bad(&mut world, "b");
        world.intent.policy.drill = Some(Schedule::parse("* * * * *", None).unwrap());
        world.obey();
        world.later(60);
        is_bad(&mut world, "b");
        world.obey();
        let (state, message) = told(world.memory.drill.as_ref());
        assert_eq!(state, RequestState::Refused, "{reason}");
        assert!(message.contains("0 of 1 standbys"), "{message}");
    }
}

/// Nothing rolls: a tag was moved, and the pod that was made again holds another version.
#[test]
fn at_rest_a_standby_that_says_itself_that_it_could_not_take_over_is_told() {
    for (is_bad, reason) in &BAD[..2] {
        let mut world = pair();
        is_bad(&mut world, "b");
        assert_eq!(
            stops(&mut world),
            nothing(),
            "nothing would be left beside a"
        );
        assert_eq!(world.blocked(), blocked(reason, true));
    }
}

/// The tag holds another version than the spec says, and a crash would upgrade the node unasked.
#[test]
fn a_pod_whose_log_names_another_version_goes_and_is_not_made_again_before_the_spec_changes() {
    let (mut world, new) = with_the_first_pod(1);
    world.waits(&new);
    is_another_version(&mut world, &new);
    world.unseen("a");
    world.later(3);
    assert_eq!(
        stops(&mut world),
        nothing(),
        "the active is not seen at work"
    );
    world.seen_again("a");
    assert_eq!(stops(&mut world), [format!("stop {new}")]);
    world.later(86_400);
    world.carry_on();
    assert_eq!(world.versions(), ["2.28.0"; 3]);
    assert_eq!(world.blocked(), blocked("VersionDiffers", true));
    world.want_settled(&v3());
    world.carry_on();
    assert_eq!(world.versions(), ["2.30.0"; 3], "the spec has changed");
}

/// Each holds a rollout for longer than a person is waited for, with a pod that waits.
#[test]
fn a_drain_goes_before_a_rollout_that_is_stuck_with_a_pod_that_waits() {
    for (is_bad, reason) in BAD {
        let (mut world, new) = with_the_first_pod(1);
        world.waits(&new);
        is_bad(&mut world, &new);
        let patience = if reason == "SidecarNotReady" {
            STANDBY_TIMEOUT
        } else {
            61
        };
        world.later(patience);
        world.emptied(&["a"]);
        let stopped = stops(&mut world);
        assert_eq!(stopped.last().unwrap(), "stop a", "{reason}: {stopped:?}");
    }
}

#[test]
fn a_drain_goes_before_a_rollout_whose_pod_is_not_made() {
    let mut world = pair();
    world.refuses_pods_of(&v2());
    world.want_settled(&v2());
    assert_eq!(world.moves(), ["create 2.29.0 in vain"]);
    world.emptied(&["a"]);
    assert_eq!(world.obey().last().unwrap(), "stop a");
}

#[test]
fn a_drain_goes_before_a_rollout_whose_image_is_not_pulled() {
    let mut world = trio().surge(0);
    world.want_settled(&v2());
    world.obey();
    world.later(STANDBY_TIMEOUT);
    world.obey();
    assert_eq!(world.blocked(), blocked("PullTimeout", true));
    world.emptied(&["a"]);
    assert_eq!(world.obey().last().unwrap(), "stop a");
}

/// Its container has ended, and its network still refuses: it is at work no more.
#[test]
fn nothing_is_stopped_beside_an_active_whose_log_has_ended_or_that_refuses() {
    let fewer = || {
        let mut world = trio();
        world.intent.replicas = 2;
        world
    };
    let mut ended = fewer();
    ended.pod("a").log_ended = true;
    assert_eq!(stops(&mut ended), nothing());
    ended.pod("a").log_ended = false;
    assert_eq!(stops(&mut ended), ["stop c"]);

    let mut refuses = fewer();
    refuses.unseen("a");
    let now = refuses.now;
    refuses.pod("a").contact = Some(Contact {
        at: now,
        answer: Answered::Refused,
    });
    assert_eq!(refuses.obey(), nothing());
}

#[test]
fn a_pod_that_the_database_names_as_the_holder_is_not_stopped_as_a_standby() {
    let mut world = pair();
    world.intent.replicas = 1;
    let b = world.pod("b").id.clone();
    has_no_session(&mut world, "nobody");
    let answer = world.database.answer.as_mut().unwrap();
    answer.said.as_mut().unwrap().lease = Holder::Pod(b);
    assert_eq!(stops(&mut world), nothing());
    has_no_session(&mut world, "nobody");
    assert_eq!(stops(&mut world), ["stop b"]);
}
