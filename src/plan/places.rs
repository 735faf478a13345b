//! Machines: which of them are being emptied, where the active should live, and where a new pod is to go.

use super::view::{Look, View};
use crate::api::names::PREFERRED;
use crate::domain::{Machine, Observation, Place, Pod};

/// Machines that a new pod is told to avoid: more would make a pod of a large cluster long, and Kubernetes
/// itself keeps pods from most of them.
const MOST_AVOIDED: usize = 50;

/// Why the machine of a pod is being emptied, if it is.
pub fn emptying<'a>(seen: &'a Observation, pod: &Pod) -> Option<&'a str> {
    machine(seen, pod)?.emptying.as_deref()
}

fn machine<'a>(seen: &'a Observation, pod: &Pod) -> Option<&'a Machine> {
    seen.machines.as_ref()?.get(pod.machine.as_ref()?)
}

/// Whether a pod is on a machine on which the active should live.
pub fn is_preferred(seen: &Observation, pod: &Pod) -> bool {
    let preferred = seen.intent.policy.preferred.as_ref();
    preferred
        .zip(machine(seen, pod))
        .is_some_and(|(preferred, machine)| machine.carries(&preferred.labels))
}

/// Whether a pod is where a switchover to `to` is to lead: it has that name, or is on that machine.
pub fn is_at(seen: &Observation, pod: &Pod, to: Option<&str>) -> bool {
    match to {
        None => true,
        Some(PREFERRED) => is_preferred(seen, pod),
        Some(name) => pod.id.name == name || pod.machine.as_deref() == Some(name),
    }
}

/// Pods beside the active whose machines are being emptied.
pub fn leaving<'a>(view: &View<'a>) -> Vec<&'a Pod> {
    view.live
        .iter()
        .copied()
        .filter(|pod| !view.roles.is_active(pod) && emptying(view.seen, pod).is_some())
        .collect()
}

/// Where a new pod is to go: not to a machine of which a pod is not heard (Kubernetes notices its loss only after 40
/// to 50 s), nor to those that are being emptied or do not report; and to a preferred one where no pod is yet.
pub fn place(look: &Look<'_>) -> Place {
    let silent = look
        .seen
        .pods
        .iter()
        .filter(|pod| pod.running() && look.roles.unheard(pod));
    let silent = silent.filter_map(|pod| pod.machine.clone());
    let machines = look.seen.machines.iter().flatten();
    let left = machines
        .filter(|(_, machine)| machine.emptying.is_some() || !machine.ready)
        .map(|(name, _)| name.clone());
    let mut avoid: Vec<String> = Vec::new();
    for machine in silent.chain(left) {
        if avoid.len() < MOST_AVOIDED && !avoid.contains(&machine) {
            avoid.push(machine);
        }
    }
    let taken = look
        .seen
        .pods
        .iter()
        .any(|pod| !pod.deleted && !pod.ended() && is_preferred(look.seen, pod));
    let preferred = look
        .seen
        .intent
        .policy
        .preferred
        .as_ref()
        .filter(|_| !taken);
    Place {
        avoid,
        prefer: preferred
            .map(|preferred| preferred.labels.clone())
            .unwrap_or_default(),
    }
}

/// How many standbys have to stay while others are evicted: all, but for those whose machine is being
/// emptied and whose replacement finds no place, and one where machines can't be read.
pub fn standbys_kept(look: &Look<'_>, late: bool) -> usize {
    let wanted = look.seen.intent.replicas.saturating_sub(1);
    let mut standbys = look.roles.standbys();
    let leaving = standbys.any(|pod| emptying(look.seen, pod).is_some());
    if look.seen.machines.is_none() || (late && leaving) {
        wanted.saturating_sub(1)
    } else {
        wanted
    }
}
