//! Where a pod may run and where it had better: what the user says, what the operator adds for redundancy, and what one
//! creation asks for.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, PodAntiAffinity,
    PreferredSchedulingTerm, Toleration, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::volumes::some;
use crate::api::names::NODE_LABEL;
use crate::api::{PodOptions, Spread};
use crate::domain::Place;

/// What the user says, and how pods keep apart. A term that selects no pods means those of this resource.
pub(super) fn affinity(node: &str, options: &PodOptions) -> Option<Affinity> {
    let mut all = options.affinity.clone().unwrap_or_default();
    if let Some(near) = &mut all.pod_affinity {
        complete(
            &mut near.required_during_scheduling_ignored_during_execution,
            &mut near.preferred_during_scheduling_ignored_during_execution,
            node,
        );
    }
    if let Some(away) = &mut all.pod_anti_affinity {
        complete(
            &mut away.required_during_scheduling_ignored_during_execution,
            &mut away.preferred_during_scheduling_ignored_during_execution,
            node,
        );
    }
    if let Some(apart) = spread(node, options.spread.unwrap_or(Spread::Preferred)) {
        let away = all.pod_anti_affinity.get_or_insert_default();
        add(
            &mut away.required_during_scheduling_ignored_during_execution,
            apart.required_during_scheduling_ignored_during_execution,
        );
        add(
            &mut away.preferred_during_scheduling_ignored_during_execution,
            apart.preferred_during_scheduling_ignored_during_execution,
        );
    }
    (all != Affinity::default()).then_some(all)
}

fn complete(
    hard: &mut Option<Vec<PodAffinityTerm>>,
    soft: &mut Option<Vec<WeightedPodAffinityTerm>>,
    node: &str,
) {
    let soft = soft.iter_mut().flatten();
    let soft = soft.map(|soft| &mut soft.pod_affinity_term);
    for term in hard.iter_mut().flatten().chain(soft) {
        term.label_selector.get_or_insert_with(|| own_pods(node));
    }
}

fn add<T>(all: &mut Option<Vec<T>>, more: Option<Vec<T>>) {
    if let Some(more) = more {
        all.get_or_insert_default().extend(more);
    }
}

/// What the user says of machines alone: for a short pod, which keeps neither to other pods nor away from them.
pub(super) fn of_machines(options: &PodOptions) -> Option<Affinity> {
    let machines = options.affinity.as_ref()?.node_affinity.clone()?;
    Some(Affinity {
        node_affinity: Some(machines),
        ..Affinity::default()
    })
}

/// A constraint that selects no pods means those of this resource.
pub(super) fn topology_spread(
    node: &str,
    options: &PodOptions,
) -> Option<Vec<TopologySpreadConstraint>> {
    let mut constraints = options.topology_spread_constraints.clone();
    for one in &mut constraints {
        one.label_selector.get_or_insert_with(|| own_pods(node));
    }
    some(constraints)
}

fn own_pods(node: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(NODE_LABEL.to_owned(), node.to_owned())])),
        ..LabelSelector::default()
    }
}

/// Softly: a pod in a place that is not the best is better than none.
pub(super) fn prefer(affinity: &mut Option<Affinity>, place: &Place) {
    let not_there = |name: &String| NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "NotIn".to_owned(),
        values: Some(vec![name.clone()]),
    };
    let there = |(key, value): (&String, &String)| NodeSelectorRequirement {
        key: key.clone(),
        operator: "In".to_owned(),
        values: Some(vec![value.clone()]),
    };
    let away = some(place.avoid.iter().map(not_there).collect()).map(|fields| NodeSelectorTerm {
        match_fields: Some(fields),
        ..NodeSelectorTerm::default()
    });
    let home = some(place.prefer.iter().map(there).collect()).map(|labels| NodeSelectorTerm {
        match_expressions: Some(labels),
        ..NodeSelectorTerm::default()
    });
    let terms = away
        .into_iter()
        .chain(home)
        .map(|preference| PreferredSchedulingTerm {
            preference,
            weight: 100,
        });
    if let Some(terms) = some(terms.collect()) {
        let affinity = affinity.get_or_insert_default();
        let machines = affinity.node_affinity.get_or_insert_default();
        add(
            &mut machines.preferred_during_scheduling_ignored_during_execution,
            Some(terms),
        );
    }
}

/// The operator decides what a lost machine means, not the taint controller after 300 s. Ours come
/// first, since that controller asks the first toleration that fits for its seconds
/// (`pkg/controller/tainteviction`), and the user's may be one for every taint.
pub(super) fn tolerations(options: &PodOptions) -> Vec<Toleration> {
    let lost = |key: &str| Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        ..Toleration::default()
    };
    let mut tolerations = vec![
        lost("node.kubernetes.io/not-ready"),
        lost("node.kubernetes.io/unreachable"),
    ];
    tolerations.extend(options.tolerations.iter().cloned());
    tolerations
}

/// Pods keep away from each other: by machine first, then by zone.
fn spread(node: &str, how: Spread) -> Option<PodAntiAffinity> {
    let away = |topology: &str| PodAffinityTerm {
        topology_key: topology.to_owned(),
        label_selector: Some(own_pods(node)),
        ..PodAffinityTerm::default()
    };
    let softly = |weight: i32, topology: &str| WeightedPodAffinityTerm {
        weight,
        pod_affinity_term: away(topology),
    };
    let zone = softly(50, "topology.kubernetes.io/zone");
    Some(match how {
        Spread::None => return None,
        Spread::Preferred => PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![
                softly(100, "kubernetes.io/hostname"),
                zone,
            ]),
            ..PodAntiAffinity::default()
        },
        Spread::Required => PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![away(
                "kubernetes.io/hostname",
            )]),
            preferred_during_scheduling_ignored_during_execution: Some(vec![zone]),
        },
    })
}
