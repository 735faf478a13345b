//! What has to hold before the lease of a node that has ended is given back for it (rule S10). The end alone is no reason: the
//! lease keeps everybody out, and who comes in once it is gone has to be a pod that may.

use super::handover::fit;
use crate::api::{ReleaseLease, Verification};
use crate::domain::{Container, EndedNode, Holder, Pod, PodId, Says, remembered};
use crate::node::LockMode;
use crate::node::database::Lease;
use crate::plan::doubts;
use crate::plan::limits::{FRESH, before};
use crate::plan::safety::Rule;
use crate::plan::standing::Failure;
use crate::plan::view::View;

/// The right to give back one lease, as it stood in one look. Only this room makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    pod: PodId,
    successor: PodId,
    lease: Lease,
}

impl Return {
    /// The pod whose node has ended.
    pub fn pod(&self) -> &PodId {
        &self.pod
    }
    /// A pod that waits for the lease.
    pub fn successor(&self) -> &PodId {
        &self.successor
    }
    pub fn lease(&self) -> &Lease {
        &self.lease
    }
}

/// Why a lease is left to run out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The spec says so, or asks for no node.
    NotWanted,
    /// Its lock is none that stays behind.
    NoLease,
    /// A pod is, or may be, active.
    ActiveKnown,
    /// The database did not answer a moment ago, or is not to be asked.
    NotAsked,
    /// The lease is another's, or nobody's.
    NotItsLease,
    /// A session is the node's.
    SessionLeft,
    /// The server was not seen to show its session while it held the lease, or was started since.
    SessionNeverShown,
    /// A node that is no pod of this resource could win.
    Outsider,
    /// This pod could win, and is not to.
    Rival(String),
    /// No pod waits that could take over.
    NobodyWaits,
}

/// A node that has ended, as its kubelet saw it.
struct Dead<'v> {
    view: &'v View<'v>,
    node: &'v EndedNode,
}

/// What has to hold, and the rule by which the model switches it off.
type Check = (Option<Rule>, fn(&Dead<'_>) -> Result<(), Kept>);

/// In this order; what is wrong first is told.
const CHECKS: [Check; 7] = [
    (None, is_wanted),
    (None, holds_by_a_lease),
    (Some(Rule::NobodyActive), nobody_is_active),
    (Some(Rule::HolderEnded), is_the_leaseholder),
    (Some(Rule::HolderEnded), has_no_session),
    (Some(Rule::NoRival), no_outsider_could_win),
    (Some(Rule::NoRival), no_rival_could_win),
];

impl Dead<'_> {
    /// What the database said a moment ago.
    fn said(&self) -> Option<&Says> {
        let database = &self.view.seen.database;
        let answer = database.answer.as_ref()?;
        let fresh = answer.at >= before(self.view.now, FRESH);
        let asked = database.wanted != Verification::Never;
        answer.said.as_ref().ok().filter(|_| fresh && asked)
    }
}

/// S10: the lease of this node may be given back for it.
pub fn give_back(view: &View<'_>, node: &EndedNode) -> Result<Return, Kept> {
    let dead = Dead { view, node };
    let client = node.client.as_str();
    let mut on = CHECKS
        .iter()
        .filter(|(rule, _)| rule.is_none_or(|rule| view.rules.on(rule)));
    on.try_for_each(|(_, check)| check(&dead))?;
    let answer = view.seen.database.answer.as_ref();
    let shown = answer.and_then(|answer| answer.shown.get(client));
    let started = dead.said().and_then(|said| said.server_start);
    // That it shows no session now proves something only where it has shown one.
    let start = shown.copied().filter(|start| Some(*start) == started);
    let lease = start.and_then(|start| Lease::of(client, start));
    let mut waiting = view.roles.waiting.iter();
    let could = |pod: &Pod| fit(view, pod).is_ok() && view.roles.could_take_over(pod);
    let successor = waiting.find(|other| could(other));
    Ok(Return {
        pod: node.pod.clone(),
        lease: lease.ok_or(Kept::SessionNeverShown)?,
        successor: successor.ok_or(Kept::NobodyWaits)?.id.clone(),
    })
}

/// Where no node is wanted any more, the next one is not to begin its work.
fn is_wanted(dead: &Dead<'_>) -> Result<(), Kept> {
    let intent = &dead.view.seen.intent;
    let wanted = intent.replicas > 0 && intent.policy.release_lease == ReleaseLease::Auto;
    wanted.then_some(()).ok_or(Kept::NotWanted)
}

/// An advisory lock ends with its session.
fn holds_by_a_lease(dead: &Dead<'_>) -> Result<(), Kept> {
    let revision = dead.node.revision.as_ref();
    let mode = revision.and_then(|revision| revision.lock.mode());
    let leased = mode.is_some_and(LockMode::uses_lease);
    leased.then_some(()).ok_or(Kept::NoLease)
}

fn nobody_is_active(dead: &Dead<'_>) -> Result<(), Kept> {
    let roles = dead.view.roles;
    let nobody = !roles.order_unknown && roles.active.is_none();
    nobody.then_some(()).ok_or(Kept::ActiveKnown)
}

fn is_the_leaseholder(dead: &Dead<'_>) -> Result<(), Kept> {
    let said = dead.said().ok_or(Kept::NotAsked)?;
    let its = said.lease != Holder::Nobody && said.lease_client.as_ref() == Some(&dead.node.client);
    its.then_some(()).ok_or(Kept::NotItsLease)
}

fn has_no_session(dead: &Dead<'_>) -> Result<(), Kept> {
    let said = dead.said().ok_or(Kept::NotAsked)?;
    let gone = !said.leaseholder_has_a_session;
    gone.then_some(()).ok_or(Kept::SessionLeft)
}

fn no_outsider_could_win(dead: &Dead<'_>) -> Result<(), Kept> {
    let said = dead.said().ok_or(Kept::NotAsked)?;
    let none = said.nodes_elsewhere == 0 && dead.view.roles.claims.is_empty();
    none.then_some(()).ok_or(Kept::Outsider)
}

/// Whoever could win has to be a pod that a handover could be meant for, or one that starts and is of the revision that held
/// the lease: its own pod, started again, is one of these.
fn no_rival_could_win(dead: &Dead<'_>) -> Result<(), Kept> {
    let view = dead.view;
    let newest = remembered::newest_held(view.memory);
    let may_win = |pod: &Pod| {
        let Some(revision) = &pod.revision else {
            return false;
        };
        let too_old = newest.as_ref().is_some_and(|held| revision.version < *held);
        let failed = Failure::of(view.memory, &revision.name).is_some();
        let as_it_says = doubts::is_the_version_it_should_be(pod).is_ok();
        let starts = pod.revision == dead.node.revision && pod.took.is_none() && !pod.waits();
        let may = starts || fit(view, pod).is_ok();
        may && !pod.deleted && !too_old && !failed && as_it_says
    };
    // The kubelet starts no container again in a pod that is to go.
    let over = |pod: &Pod| {
        let down = pod.deleted && matches!(pod.container, Container::Down { .. });
        down || pod.ended() || view.roles.is_foreign(pod)
    };
    let mut pods = view.roles.pods().iter();
    let rival = pods.find(|pod| !over(pod) && !may_win(pod));
    let of_dead = dead.node.revision.as_ref().map(|revision| &revision.name);
    let making = view.may_come(view.memory);
    let making = making.filter(|creating| Some(&creating.revision) != of_dead);
    let rival = rival.map(|pod| &pod.id.name);
    match rival.or(making.map(|creating| &creating.pod)) {
        Some(rival) => Err(Kept::Rival(rival.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::domain::{Claim, Observation, Reason, Silence};
    use crate::node::ExitKind;
    use crate::node::database::SessionOf;
    use crate::plan::given::Given;
    use crate::plan::roles::Roles;
    use crate::plan::safety::Rules;
    use crate::plan::tests::world::{World, locked, v1, v2};
    use crate::plan::view::Look;

    const CLIENT: &str = "5f0cd4de-2d9b-4d1c-9c1f-6d2a1f0e8b11";

    /// `a` was killed, `b` waits, and the database shows the lease of `a` without its session.
    fn killed() -> World {
        let mut world = World::with(2).active("a", &v1()).standby("b", &v1());
        said(&mut world, |said| said.leaseholder_has_a_session = true);
        world.later(1);
        world.crashes("a", ExitKind::Killed, "");
        world.pod("a").ended_client = Some(CLIENT.to_owned());
        said(&mut world, |_| {});
        world
    }

    fn said(world: &mut World, change: impl FnOnce(&mut Says)) {
        let mut said = Says {
            lease: Holder::Unseen,
            lease_client: Some(CLIENT.to_owned()),
            server_start: Some(7),
            ..Says::quiet()
        };
        change(&mut said);
        world.hears(Ok(said));
    }

    fn judged(world: &World, change: impl FnOnce(&mut Observation)) -> Result<Return, Kept> {
        let mut look = world.look();
        change(&mut look);
        let node = look.ended.all().first().unwrap();
        let given = Given {
            seen: &look,
            memory: &world.memory,
            now: world.now,
            rules: Rules::all(),
        };
        let roles = Roles::of(given);
        give_back(&View::of(Look::of(given, &roles), &world.memory), node)
    }

    #[track_caller]
    fn kept(world: &World) -> Kept {
        judged(world, |_| {}).unwrap_err()
    }

    #[test]
    fn s10_the_lease_of_a_node_that_was_killed_is_given_back_for_the_pod_that_waits() {
        let given_back = judged(&killed(), |_| {}).unwrap();
        assert_eq!(given_back.pod().name, "a");
        assert_eq!(given_back.successor().name, "b");
        assert_eq!(Some(given_back.lease()), Lease::of(CLIENT, 7).as_ref());
    }

    #[test]
    fn s10_nothing_is_given_back_where_the_spec_says_so_or_asks_for_no_node() {
        let mut world = killed();
        world.intent.policy.release_lease = ReleaseLease::Never;
        assert_eq!(kept(&world), Kept::NotWanted);
        world = killed();
        world.intent.replicas = 0;
        assert_eq!(kept(&world), Kept::NotWanted);
    }

    #[test]
    fn s10_an_end_that_was_seen_stays_seen_when_the_pod_is_gone_or_has_ended_again() {
        let mut world = killed();
        world.ended = world.look().ended;
        world.gone("a");
        assert_eq!(judged(&world, |_| {}).unwrap().pod().name, "a");
        let mut world = killed();
        world.ended = world.look().ended;
        world.pod("a").ended_client = Some("5f0cd4de-2d9b-4d1c-9c1f-000000000000".to_owned());
        assert_eq!(
            Some(judged(&world, |_| {}).unwrap().lease()),
            Lease::of(CLIENT, 7).as_ref()
        );
    }

    #[test]
    fn s10_a_lock_that_ends_with_its_session_is_left_alone() {
        let mut world = killed();
        let advisory = locked("2.28.0", "advisorylock on db");
        assert_eq!(advisory.lock.mode(), Some(LockMode::Advisory));
        world.pod("a").revision = Some(advisory);
        assert_eq!(kept(&world), Kept::NoLease);
    }

    #[test]
    fn s10_nothing_is_given_back_beside_an_active() {
        let mut world = killed();
        world.takes("b");
        assert_eq!(kept(&world), Kept::ActiveKnown);
    }

    #[test]
    fn s10_only_the_row_of_the_dead_node_is_given_back() {
        let mut world = killed();
        said(&mut world, |said| said.lease = Holder::Nobody);
        assert_eq!(kept(&world), Kept::NotItsLease);
        let other = "00000000-2d9b-4d1c-9c1f-6d2a1f0e8b11";
        said(&mut world, |said| {
            said.lease_client = Some(other.to_owned());
        });
        assert_eq!(kept(&world), Kept::NotItsLease);
    }

    #[test]
    fn s10_a_session_of_its_own_keeps_the_lease() {
        let mut world = killed();
        said(&mut world, |said| said.leaseholder_has_a_session = true);
        assert_eq!(kept(&world), Kept::SessionLeft);
    }

    #[test]
    fn s10_a_server_that_never_showed_its_session_or_was_started_since_proves_nothing() {
        let mut world = killed();
        said(&mut world, |said| said.server_start = Some(8));
        assert_eq!(kept(&world), Kept::SessionNeverShown);
        world = killed();
        world.database.answer.as_mut().unwrap().shown.clear();
        assert_eq!(kept(&world), Kept::SessionNeverShown);
    }

    #[test]
    fn s10_the_database_has_to_have_answered_a_moment_ago() {
        let mut world = killed();
        world.database.wanted = Verification::Never;
        assert_eq!(kept(&world), Kept::NotAsked);
        world = killed();
        world.hears(Err(Silence {
            reason: Reason::Unreachable,
            message: "it can't be reached".to_owned(),
        }));
        assert_eq!(kept(&world), Kept::NotAsked);
        world = killed();
        world.later(FRESH.as_secs() + 1);
        assert_eq!(kept(&world), Kept::NotAsked);
    }

    #[test]
    fn s10_nothing_is_given_back_where_a_node_outside_could_win() {
        let mut world = killed();
        said(&mut world, |said| said.nodes_elsewhere = 1);
        assert_eq!(kept(&world), Kept::Outsider);
        world = killed();
        world.claims = vec![Claim {
            of: "other".to_owned(),
            pod: Some("other-1".to_owned()),
            mode: Some(LockMode::Lease),
            lock_id_hidden: false,
            same_key: true,
            works: false,
            addresses: Vec::new(),
        }];
        assert_eq!(kept(&world), Kept::Outsider);
    }

    #[test]
    fn s10_nothing_is_given_back_where_a_pod_could_win_that_may_not() {
        // Of another revision, and not seen to wait.
        let mut world = killed().standby("c", &v2());
        world.pod("c").waiting = None;
        assert_eq!(kept(&world), Kept::Rival("c".to_owned()));
        // Of the same, it could take over; of one that has failed it may not.
        let mut world = killed().standby("c", &v2());
        said(&mut world, |_| {});
        assert!(judged(&world, |_| {}).is_ok());
        world.memory.failed = Some(v2().name);
        assert_eq!(kept(&world), Kept::Rival("c".to_owned()));
        // And one that is too old could not boot.
        let mut world = killed();
        world.memory.newest_held = Some("2.29.0".to_owned());
        assert_eq!(kept(&world), Kept::Rival("a".to_owned()));
        // Nor one that is to go; but for what has ended with it.
        let mut world = killed();
        world.pod("a").deleted = true;
        assert!(judged(&world, |_| {}).is_ok());
        world.starts("a");
        assert_eq!(kept(&world), Kept::Rival("a".to_owned()));
        let mut world = killed().standby("c", &v1());
        world.pod("c").deleted = true;
        assert_eq!(kept(&world), Kept::Rival("c".to_owned()));
        // Nor one that can't be seen.
        let mut world = killed().standby("c", &v1());
        world.unseen("c");
        assert_eq!(kept(&world), Kept::Rival("c".to_owned()));
        let world = killed();
        let lost = judged(&world, |look| {
            let b = look.pods.iter_mut().find(|pod| pod.id.name == "b");
            b.unwrap().stranded = true;
        });
        assert_eq!(lost, Err(Kept::Rival("b".to_owned())));
        // Nor one of the same revision, once that has failed.
        let mut world = killed();
        world.memory.failed = Some(v1().name);
        assert_eq!(kept(&world), Kept::Rival("a".to_owned()));
        // Nor one that says that it is another version than it should be.
        let mut world = killed();
        world.pod("b").contradicting_version = Some("2.29.0".to_owned());
        assert_eq!(kept(&world), Kept::Rival("b".to_owned()));
    }

    #[test]
    fn s10_somebody_has_to_wait_for_it() {
        let mut world = killed();
        world.gone("b");
        assert_eq!(kept(&world), Kept::NobodyWaits);
        // One that has no session there does not, where others have one.
        let mut world = killed();
        let other = world.pod("a").id.clone();
        said(&mut world, |said| {
            said.sessions.insert(other, SessionOf::Node);
        });
        assert_eq!(kept(&world), Kept::NobodyWaits);
    }
}
