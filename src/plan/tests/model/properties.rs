//! The safety rules as properties of every step of the operator, judged by the world's truth.

use std::time::Duration;

use super::cluster::Cluster;
use super::database::Database;
use super::kind::{KINDS, LEASE, Nature};
use super::lease::End;
use super::names;
use super::pod::{Does, Pod, Sight};
use super::state::Thought;
use crate::api::{FailedHow, Memory, RevisionName};
use crate::domain::{Contact, Observation};
use crate::plan::{Act, Cause, Permit, Plan, Purpose, Return, Step, plan};

/// A rule that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub rule: &'static str,
    pub how: String,
}

type Judged = Result<(), Broken>;

fn broken(rule: &'static str, how: impl Into<String>) -> Judged {
    Err(Broken {
        rule,
        how: how.into(),
    })
}

/// Judges one step of the operator.
pub fn judge(thought: &Thought) -> Judged {
    let Thought {
        cluster,
        seen,
        plan,
        ..
    } = thought;
    let stops: Vec<&Permit> = plan
        .acts
        .iter()
        .filter_map(|act| match act {
            Act::Stop(permit) => Some(permit),
            _ => None,
        })
        .collect();
    if stops.len() > 1 || (stops.len() == 1 && !matches!(plan.acts.last(), Some(Act::Stop(_)))) {
        return broken("S2", "more than one stop in a plan, or not the last act");
    }
    // What nobody is told is known to the kubelets alone, which are asked before the second look.
    let untold = cluster.pods().iter().any(|pod| pod.untold);
    for permit in stops {
        if !untold {
            stop_is_permitted(thought, permit)?;
        }
        if cluster
            .policy
            .is_too_early_to_stop(names::number(&permit.pod().name))
        {
            return broken("pace", "a stop that was refused is asked for again at once");
        }
        let intent = plan.memory.stopping.as_ref().map(|stop| &stop.uid);
        if intent != Some(&permit.pod().uid) {
            return broken("S4", "a stop without its intent in the memory");
        }
    }
    for act in &plan.acts {
        match act {
            Act::Create { pod, revision, .. } => {
                creation_is_right(cluster, names::kind_of(revision))?;
                check_is_heard(cluster, names::kind_of(revision))?;
                let intent = plan.memory.creating.as_ref().map(|creating| &creating.pod);
                if intent != Some(pod) {
                    return broken("S4", "a creation without its intent in the memory");
                }
                if cluster.pod(names::number(pod)).is_some() {
                    return broken("S4", format!("{pod} is made twice"));
                }
                room_is_kept(cluster, seen.intent.surge)?;
            }
            Act::Label { pod, active: true } => label_is_right(cluster, names::number(&pod.name))?,
            Act::Tidy { pod } => {
                let pod = cluster.pod(names::number(&pod.name));
                if pod.is_some_and(Pod::may_run) {
                    return broken("S3", "a pod that may run is tidied");
                }
            }
            Act::ReleaseLease(given_back) => return_is_right(thought, given_back)?,
            _ => {}
        }
    }
    failure_is_true(thought)?;
    calm_needs_a_holder(thought)?;
    rests(seen, plan)
}

/// All that holds for a stop, when it is planned and when it is done.
pub fn stop_is_permitted(thought: &Thought, permit: &Permit) -> Judged {
    let Thought {
        cluster,
        seen,
        memory,
        plan,
        ..
    } = thought;
    one_stop_at_a_time(cluster, permit)?;
    if let Cause::Handover { successor } = permit.cause() {
        handover_is_right(thought, permit, &successor.name)?;
        let to = seen.pods.iter().find(|pod| pod.id.name == successor.name);
        let to = to.and_then(|pod| pod.revision.as_ref()).map(|to| &to.name);
        let wanted = match &seen.intent.wanted {
            crate::domain::Wanted::Revision(revision) => Some(&revision.name),
            crate::domain::Wanted::Unusable(_) => None,
        };
        // One that has come to serve after all has not failed.
        let failed = memory.failed.as_ref().and(plan.memory.failed.as_ref());
        let again = permit.purpose() != Purpose::Unresponsive;
        if again && failed.is_some() && failed == to && wanted == to {
            return broken("NotFailed", "a handover that has failed is tried again");
        }
    }
    stop_is_right(cluster, permit)
}

/// S10: a lease is given back only for a node whose container has ended, of which its kubelet has told; never while anybody
/// works, which an active that was cut off does; and only where none could win it but a pod of the revision that held it, or
/// one that waits and is of the revision that is wanted or that worked last.
pub fn return_is_right(thought: &Thought, given_back: &Return) -> Judged {
    let Thought { cluster, plan, .. } = thought;
    if !matches!(plan.acts.last(), Some(Act::ReleaseLease(_))) {
        return broken("S10", "the return of a lease is not the last act");
    }
    let works = |pod: &&Pod| pod.holds() || pod.does == Does::Zombie;
    if let Some(pod) = cluster.pods().iter().find(works) {
        return broken("S10", format!("a lease is given back while {pod} works"));
    }
    let Some(left) = cluster.lease.left() else {
        return broken("S10", "the lease that is given back is nobody's");
    };
    if left.end != End::Told || names::number(&given_back.pod().name) != left.no {
        return broken("S10", format!("no kubelet has told of the end of {left:?}"));
    }
    if cluster.outside {
        return broken("S10", "somebody outside could win");
    }
    let known = |revision: &Option<RevisionName>| revision.as_ref().map(names::kind_of);
    let memory = &plan.memory;
    let may_win = |pod: &Pod| {
        let of = Some(pod.kind);
        let meant = cluster.wanted == of || known(&memory.last_worked) == of;
        let waits = (pod.does == Does::Wait && !pod.kind().nature.lies()) || restarted_untold(pod);
        (pod.kind == left.kind || (meant && waits))
            && !pod.deleted
            && known(&memory.failed) != Some(pod.kind)
    };
    let could_win = |pod: &Pod| pod.may_run() && pod.kind().lock & LEASE != 0;
    let mut pods = cluster.pods().iter();
    match pods.find(|pod| could_win(pod) && !may_win(pod)) {
        Some(rival) => broken("S10", format!("{rival} could win the lease given back")),
        None => Ok(()),
    }
}

/// A revision has failed by an end only where a pod of it has ended when it could have had the lock. What ended beside an
/// active that stays is no failure.
fn failure_is_true(thought: &Thought) -> Judged {
    let Thought {
        cluster,
        memory,
        plan,
        ..
    } = thought;
    let crashed = |memory: &Memory| {
        let crashed = memory.failed_how == Some(FailedHow::Crashed);
        memory.failed.clone().filter(|_| crashed)
    };
    let failed = crashed(&plan.memory).filter(|failed| crashed(memory).as_ref() != Some(failed));
    match failed.map(|failed| names::kind_of(&failed)) {
        Some(kind) if cluster.fell & (1 << kind) == 0 => broken(
            "failed",
            format!(
                "{} counts as failed, and no pod of it has ended with the lock",
                KINDS[usize::from(kind)].name
            ),
        ),
        _ => Ok(()),
    }
}

/// Pods that wait are good news only while somebody outside has the lock. That one outside has left, and that a pod of ours had
/// the lock which has ended without a word, shows by nothing but an active of ours.
fn calm_needs_a_holder(thought: &Thought) -> Judged {
    let Thought { cluster, plan, .. } = thought;
    let unknown = cluster.outsider || cluster.untold_end;
    let may_have_left = unknown && plan.memory.last_active.is_none();
    let lies = cluster.database == Database::Lies;
    if plan.progress.step == Step::External && !cluster.outside && !may_have_left && !lies {
        return broken("external", "nobody outside holds the lock");
    }
    Ok(())
}

/// S2. A stop is over when the pod is gone or its container is said to have ended, or another has the
/// lock; a stopped
/// standby that can't be reached counts no more.
fn one_stop_at_a_time(cluster: &Cluster, permit: &Permit) -> Judged {
    let victim = names::number(&permit.pod().name);
    let under_way = cluster.pods().iter().find(|pod| {
        let succeeded = pod.stopped_as_active
            && cluster
                .pods()
                .iter()
                .any(|other| other.no != pod.no && other.holds() && other.sees(pod));
        let out_of_reach = pod.sight == Sight::Lost && !pod.stopped_as_active;
        let runs = Pod::runs(pod.does) && Pod::runs(pod.status());
        pod.stopped && pod.no != victim && runs && !succeeded && !out_of_reach
    });
    match under_way {
        Some(pod) => broken("S2", format!("{pod} is still being stopped")),
        None => Ok(()),
    }
}

/// S1, S3, S9: what is said of every stop.
fn stop_is_right(cluster: &Cluster, permit: &Permit) -> Judged {
    let no = names::number(&permit.pod().name);
    let Some(victim) = cluster.pod(no) else {
        return broken("S2", format!("pod {no} is stopped, which does not exist"));
    };
    if victim.deleted {
        return broken("S4", format!("{victim} is stopped once more"));
    }
    if *permit.cause() == Cause::End {
        if cluster.replicas > 0 {
            return broken("S1", "an end that nobody asked for");
        }
        return Ok(());
    }
    // The API server's word for what never ran, or does not, is taken on a lost machine too.
    let unheard = !victim.seen() && !Pod::runs(victim.shown);
    let truly_active = victim.holds() && !victim.elsewhere && !unheard;
    let misled = misled(cluster, permit, victim);
    // Where somebody outside may have had the lock, a takeover that shows by nothing is not expected.
    let unexpected = cluster.outsider && victim.took == 0;
    if truly_active && !matches!(permit.cause(), Cause::Handover { .. }) && !misled && !unexpected {
        return broken(
            "S1",
            format!("{victim} has the lock and is stopped: {:?}", permit.cause()),
        );
    }
    if Pod::runs(victim.does) && !unheard && *permit.cause() != Cause::Foreign && !victim.elsewhere
    {
        let covered = cluster.pods().iter().any(|pod| {
            let stays = pod.no != no && pod.seen() && !pod.deleted;
            let works = pod.holds() || matches!(pod.does, Does::Zombie | Does::Wait);
            stays && (works || restarted_untold(pod))
        });
        let restarted = !victim.seen() && victim.does == Does::Boot;
        if !covered && !restarted {
            return broken(
                "S3",
                format!("{victim} is stopped and no other pod is seen to stay"),
            );
        }
    }
    if *permit.cause() == Cause::Foreign && !victim.elsewhere && !misled {
        return broken(
            "S9",
            format!("{victim} is stopped as if on another database"),
        );
    }
    let foreign = cluster.pods().iter().find(|pod| {
        pod.no != no && pod.elsewhere && pod.does == Does::Serve && pod.seen() && !pod.deleted
    });
    match foreign {
        Some(foreign) if works(cluster) => broken(
            "S9",
            format!("{victim} is stopped while {foreign} sits on another database"),
        ),
        _ => Ok(()),
    }
}

/// Whether the stop goes by a pod that only seems to be the active: one that was cut off from the database and answers
/// still, or sits on another. It is what goes on where the victim does not, or an older taker than the victim.
fn misled(cluster: &Cluster, permit: &Permit, victim: &Pod) -> bool {
    let relied_on = |pod: &Pod| {
        let name = names::name(pod.no);
        permit.relies_on().iter().any(|id| id.name == name)
    };
    let older = |pod: &Pod| pod.took > 0 && pod.took < victim.took && !pod.deleted;
    cluster.pods().iter().any(|pod| {
        let cut_off = [pod.does, pod.status()].contains(&Does::Zombie);
        let seems = cut_off || (pod.elsewhere && pod.took > 0);
        let foreign = *permit.cause() == Cause::Foreign;
        pod.no != victim.no && seems && (relied_on(pod) || (foreign && older(pod)))
    })
}

/// One that has started again before anybody was told of its end looks as it did before: nobody can know.
fn restarted_untold(pod: &Pod) -> bool {
    pod.untold && Pod::runs(pod.does)
}

/// Whether an active of ours is seen at work on our database.
fn works(cluster: &Cluster) -> bool {
    cluster.pods().iter().any(|pod| {
        pod.does == Does::Serve && !pod.elsewhere && pod.seen() && !pod.deleted && pod.took > 0
    })
}

/// S1, S3, S5: in truth too, a pod of the revision waits, and none of another could win.
fn handover_is_right(thought: &Thought, permit: &Permit, successor: &str) -> Judged {
    let cluster = &thought.cluster;
    let victim = names::number(&permit.pod().name);
    let Some(to) = cluster.pod(names::number(successor)) else {
        return broken("S1", "the successor does not exist");
    };
    let victim_pod = cluster.pod(victim);
    // One that answered within the last two seconds is seen.
    let seen = |pod: &Pod| pod.seen() || thought.lost_lately.contains(&pod.no);
    if !victim_pod.is_some_and(seen) {
        return broken("S3", "an active that can't be seen is stopped");
    }
    if cluster.database == Database::ReadOnly {
        return broken("S1", "nobody can get the lock, as the database says");
    }
    // What the operator knows to have the lock is not interrupted before it serves.
    let boots = |pod: &Pod| matches!(pod.does, Does::Take | Does::Migrate | Does::Hush);
    if let Some(victim) = victim_pod.filter(|victim| victim.is_told() && boots(victim)) {
        return broken("boots", format!("{victim} is stopped before it serves"));
    }
    // One that has already taken over from an active that was cut off is as good.
    let ready = to.holds() || to.does == Does::Wait || restarted_untold(to);
    if !ready || to.deleted || to.kind().nature.lies() {
        return broken("S1", format!("the successor {to} does not wait"));
    }
    if !to.seen() {
        return broken("S5", format!("the successor {to} does not answer"));
    }
    revision_is_right(thought, permit, to.kind)?;
    // An active that restarted behind another URL has moved there itself.
    if to.elsewhere && victim_pod.is_some_and(|victim| !victim.elsewhere) {
        return broken(
            "S9",
            format!("the successor {to} waits on another database"),
        );
    }
    let rival = cluster
        .pods()
        .iter()
        .find(|pod| pod.no != victim && pod.kind != to.kind && pod.may_run());
    match rival {
        Some(rival) => broken("S1", format!("{rival} could win instead of {to}")),
        None => Ok(()),
    }
}

/// S1. A rollout leads to the wanted revision, or after it has failed to the last that worked; a move of
/// place to the active's own. And not again to one whose pods exit with the lock.
fn revision_is_right(thought: &Thought, permit: &Permit, to: u8) -> Judged {
    let Thought { cluster, plan, .. } = thought;
    let name = KINDS[usize::from(to)].name;
    let own = cluster.pod(names::number(&permit.pod().name));
    let own = own.is_some_and(|victim| victim.kind == to);
    let known = |revision: &Option<RevisionName>| revision.as_ref().map(names::kind_of);
    let failed = cluster.wanted.is_some() && known(&plan.memory.failed) == cluster.wanted;
    let right = match permit.purpose() {
        Purpose::Rollout => {
            cluster.wanted == Some(to) || (failed && known(&plan.memory.last_worked) == Some(to))
        }
        _ => own,
    };
    if !right {
        return broken("S1", format!("nobody wants {name}"));
    }
    // One that has served for long since has shown that it works.
    if cluster.burnt & !cluster.proved & (1 << to) != 0 && !own {
        return broken(
            "NotFailed",
            format!("one more handover to {name}, whose pods exit with the lock"),
        );
    }
    Ok(())
}

/// No pod is made of a revision that its own check refuses, while anything of another works.
fn check_is_heard(cluster: &Cluster, kind: u8) -> Judged {
    let works = |pod: &&Pod| pod.kind != kind && pod.seen() && !pod.deleted && Pod::runs(pod.does);
    let other = cluster.pods().iter().find(works);
    match other.filter(|_| KINDS[usize::from(kind)].valid == Some(false)) {
        Some(other) => broken(
            "checked",
            format!("a pod of a refused configuration is made beside {other}"),
        ),
        None => Ok(()),
    }
}

/// S8: an operator that starts stops nothing that the one before would not have stopped.
pub fn restart_is_calm(before: &Thought, after: &Thought) -> Judged {
    let stops = |thought: &Thought| -> Vec<String> {
        let stop = |act: &Act| match act {
            Act::Stop(permit) => Some(permit.pod().name.clone()),
            _ => None,
        };
        thought.plan.acts.iter().filter_map(stop).collect()
    };
    let known = stops(before);
    match stops(after).iter().find(|stop| !known.contains(stop)) {
        Some(stop) => broken(
            "S8",
            format!("{stop} is stopped because the operator was started"),
        ),
        None => Ok(()),
    }
}

/// S6, S7.
pub fn creation_is_right(cluster: &Cluster, kind: u8) -> Judged {
    let made = Pod::new(0, kind);
    let version = made.kind().version;
    // One that has had the lock and migrated nothing may still do so while a pod of it is there.
    if version < cluster.migrated.max(cluster.newest_held) && !cluster.deceived {
        return broken(
            "S6",
            format!(
                "{} is made, and version {} has held the lock",
                made.kind().name,
                cluster.newest_held
            ),
        );
    }
    let other = cluster
        .pods()
        .iter()
        .find(|pod| pod.kind().lock & made.kind().lock == 0 && pod.may_run());
    match other {
        Some(other) => broken("S7", format!("{} is made beside {other}", made.kind().name)),
        None => Ok(()),
    }
}

/// Never more pods than `replicas` and the surge, counting those that can be seen and stay.
pub fn room_is_kept(cluster: &Cluster, surge: usize) -> Judged {
    let counted = cluster
        .pods()
        .iter()
        .filter(|pod| pod.seen() && !pod.deleted && pod.does != Does::Ended)
        // One that was taken over from is a suspect, whether it was cut off or its end is not told yet.
        .filter(|pod| pod.does != Does::Zombie && !pod.elsewhere && !pod.untold)
        .count();
    if counted >= usize::from(cluster.replicas) + surge {
        return broken(
            "room",
            format!("{counted} pods are there, and one more is made"),
        );
    }
    Ok(())
}

/// The Service is never led to a pod on another database while ours is served, nor away from the
/// holder to one that was cut off.
fn label_is_right(cluster: &Cluster, no: u8) -> Judged {
    let Some(pod) = cluster.pod(no) else {
        return Ok(());
    };
    if pod.elsewhere && works(cluster) {
        return broken("S9", format!("{pod} gets the traffic"));
    }
    // One that did not wait is taken for one on another database, by design (S9).
    let newer_seen = cluster.pods().iter().any(|other| {
        other.no != no && other.does == Does::Serve && other.took > pod.took && other.took_waited
    });
    if pod.does == Does::Zombie && newer_seen {
        return broken("suspect", format!("{pod} gets the traffic"));
    }
    Ok(())
}

/// L2: the same look gives no more acts and no other memory, once there is nothing to do.
fn rests(seen: &Observation, first: &Plan) -> Judged {
    if !first.acts.is_empty() {
        return Ok(());
    }
    let again = plan(seen, &first.memory, *names::NOW);
    if again.memory != first.memory && first.progress.step == Step::Steady {
        return broken(
            "L2",
            format!("{:?} becomes {:?}", first.memory, again.memory),
        );
    }
    let third = plan(seen, &again.memory, *names::NOW);
    if third.memory != again.memory {
        return broken(
            "L2",
            format!("{:?} becomes {:?}", again.memory, third.memory),
        );
    }
    rests_for_hours(seen, third)
}

/// L2: a time that each look renews shows only when time passes. What has to be noted is noted after an
/// hour, and no more after two.
fn rests_for_hours(seen: &Observation, rested: Plan) -> Judged {
    // What is asked to go does not take hours.
    if seen.pods.iter().any(|pod| pod.deleted) {
        return Ok(());
    }
    let hour = Duration::from_secs(3600);
    let mut seen = seen.clone();
    let (mut now, mut known) = (*names::NOW, rested);
    for hours in 1..=3 {
        now += hour;
        seen.at = now;
        if let Some(answer) = &mut seen.database.answer {
            answer.at = now;
        }
        let fresh = |contact: &&mut Contact| contact.at >= now - hour;
        let contacts = seen.pods.iter_mut().filter_map(|pod| pod.contact.as_mut());
        for contact in contacts.filter(fresh) {
            contact.at = now;
        }
        let later = plan(&seen, &known.memory, now);
        if !later.acts.is_empty() {
            return Ok(());
        }
        if hours > 2 && later.memory != known.memory {
            return broken(
                "L2",
                format!("{:?} becomes {:?} by the hour", known.memory, later.memory),
            );
        }
        known = later;
    }
    Ok(())
}

/// L1: what is left when nothing more goes wrong and all that can go on has gone on.
pub fn end_is_right(thought: &Thought, surge: usize) -> Judged {
    let Thought { cluster, plan, .. } = thought;
    let progress = &plan.progress;
    // What serves and exits again and again is no end, and gives way to what is good.
    let gives_out = |kind: u8| KINDS[usize::from(kind)].nature == Nature::CrashesServing;
    let gives_way = |pod: &Pod| {
        let proved = cluster.proved & (1 << pod.kind) != 0;
        let version = cluster.good.map(|good| KINDS[usize::from(good)].version);
        gives_out(pod.kind) && !proved && version.is_some_and(|version| version >= cluster.migrated)
    };
    let served = |pod: &Pod| pod.does == Does::Serve && !gives_way(pod);
    let ousted = cluster.pods().iter().any(gives_way);
    let served = cluster.pods().iter().any(served);
    let gives_out = cluster.wanted.is_some_and(gives_out);
    let told = progress
        .blocked
        .as_ref()
        .is_some_and(|blocked| blocked.stalled);
    let all_wanted = cluster
        .pods()
        .iter()
        .all(|pod| Some(pod.kind) == cluster.wanted);
    let all_seen = cluster.pods().iter().all(Pod::seen);
    // A machine that is to be emptied is left, but by the only one of `surge: 0`.
    let left = !cluster.pods().iter().any(|pod| pod.leaving);
    let enough = cluster.pods().len() == usize::from(cluster.replicas);
    let reached = progress.blocked.is_none()
        && !gives_out
        && match progress.step {
            Step::Hibernating => cluster.replicas == 0 && cluster.pods().is_empty(),
            Step::Steady => served && (!all_seen || (all_wanted && enough && left)),
            Step::External => {
                let ours = plan.memory.last_active.is_some();
                (cluster.outside && all_wanted) || (!all_seen && !ours)
            }
            _ => false,
        };
    // Who can't be seen forever is neither stopped nor counted.
    let kept = served || !all_seen || (!ousted && may_not_serve(cluster, plan));
    if reached && progress.step == Step::Steady && all_seen && plan.acts.is_empty() {
        roles_are_right(cluster)?;
    }
    if reached || (told && kept && (!all_seen || has_a_reason(cluster, plan, surge))) {
        return Ok(());
    }
    broken("L1", format!("the end is {progress:?}"))
}

/// At rest the one that serves is labelled, no other, and whoever serves or waits is ready.
fn roles_are_right(cluster: &Cluster) -> Judged {
    for pod in cluster.pods().iter().filter(|_| !cluster.secret_changed) {
        let serves = pod.does == Does::Serve;
        if pod.labelled != serves {
            return broken("L1", format!("at rest, the label of {pod} is wrong"));
        }
        if pod.gate != (serves || pod.does == Does::Wait) {
            return broken("L1", format!("at rest, the gate of {pod} is wrong"));
        }
    }
    Ok(())
}

/// Why a spec may not be reached: it is itself the reason.
fn has_a_reason(cluster: &Cluster, plan: &Plan, surge: usize) -> bool {
    let Some(kind) = cluster.wanted else {
        return true;
    };
    let wanted = Pod::new(0, kind);
    let other_lock = |pod: &Pod| pod.kind().lock & wanted.kind().lock == 0;
    wanted.kind().nature != Nature::Good
        || cluster.policy.refuses(kind)
        || wanted.kind().valid == Some(false)
        || cluster.checks.iter().flatten().any(|check| check.lost)
        || wanted.kind().version < newest(cluster, plan)
        || cluster.secret_changed
        || matches!(cluster.database, Database::ReadOnly | Database::Lies)
        // One that took the lock of an active that was cut off looks like one on another database (S9 judges whether it
        // was), and only a change of what pods are made from takes that back.
        || plan.memory.database_differs.is_some()
        || plan.memory.failed.as_ref().map(names::kind_of) == Some(kind)
        || cluster.pods().iter().any(other_lock)
        || may_not_serve(cluster, plan)
        || (surge == 0 && cluster.replicas == 1)
}

/// Nobody may be made who could serve: what worked before is older than what may have held the lock,
/// or there is nothing that has worked, and what is wanted can't serve.
fn may_not_serve(cluster: &Cluster, plan: &Plan) -> bool {
    let newest = newest(cluster, plan);
    let serves = |of: u8| {
        let kind = Pod::new(0, of).kind();
        let good = kind.nature == Nature::Good && kind.valid != Some(false);
        good && kind.version >= newest && !cluster.policy.refuses(of)
    };
    let proven = plan.memory.last_worked.as_ref().map(names::kind_of);
    let any = proven.is_some_and(serves) || cluster.wanted.is_some_and(serves);
    !any || cluster.secret_changed || cluster.database == Database::ReadOnly
}

/// The newest version that has, or may have, held the lock.
fn newest(cluster: &Cluster, plan: &Plan) -> u8 {
    let may_have = plan.memory.may_have_held.as_ref();
    let started = may_have.map_or(0, |started| names::version_number(&started.version));
    started.max(cluster.migrated)
}

/// A handover that is right, where no guard can be switched off for what is tried: there the world changes its mind
/// behind the planner's back.
fn a_handover() -> (Thought, u8) {
    use super::{Event, NEW, State, from_rest};
    let walk = from_rest("unwanted", 1).edits(1, &[NEW]);
    let mut state = walk.start.after(Event::Wants(Some(NEW)));
    for _ in 0..20 {
        let thought = state.think(walk.surge, walk.rules);
        if let Some(permit) = thought.stop().filter(|permit| permit.active()) {
            assert_eq!(judge(&thought), Ok(()));
            let active = names::number(&permit.pod().name);
            return (thought, active);
        }
        let acted = State::done(&thought, thought.plan.acts.len());
        let mut events = Vec::new();
        acted.cluster.progress(&mut events);
        state = acted.after(events.last().copied().unwrap_or(Event::Seconds));
    }
    panic!("no handover");
}

#[test]
fn a_handover_to_a_revision_that_nobody_wants_is_seen() {
    let (mut thought, _) = a_handover();
    thought.cluster.wanted = Some(super::NEWEST);
    assert_eq!(judge(&thought).unwrap_err().rule, "S1");
}

/// The rules that plan a handover ask for it before the guard does.
#[test]
fn a_handover_from_an_active_that_boots_is_seen() {
    for does in [Does::Take, Does::Migrate, Does::Hush] {
        let (mut thought, active) = a_handover();
        thought.cluster.change(active, |pod| pod.does = does);
        assert_eq!(judge(&thought).unwrap_err().rule, "boots");
    }
}
