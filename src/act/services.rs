//! The Services and the disruption budgets around the pods of a resource. Read first, written only where something differs, so
//! that a steady resource causes no writes (rule L2).

use std::collections::BTreeMap;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Service as ApiService, ServiceSpec};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::Value;

use crate::api::ChainlinkNode;
use crate::api::names::{BUDGET_ACTIVE_ANNOTATION, FIELD_MANAGER};
use crate::build;
use crate::cluster::{controls, may_change, remove};

/// Applies the Services that lead to this pod, or to whichever is labelled active, where they are not as they should be, and
/// removes those that are wanted no more. `https` where a kept revision serves that. Those that somebody else made are left alone.
pub async fn services(
    client: &Client,
    node: &ChainlinkNode,
    https: bool,
    pod: Option<&str>,
) -> Result<Services, kube::Error> {
    for (name, wanted) in build::services(node, https, pod) {
        if service(client, node, &name, wanted.as_ref()).await? == Service::NotOurs {
            return Ok(Services::NotOurs(name));
        }
    }
    Ok(Services::AsWanted)
}

/// Leads the Services, which are there and as they should be, to this pod: one write each, and both at once.
pub async fn lead_services(
    client: &Client,
    node: &ChainlinkNode,
    https: bool,
    pod: &str,
) -> Result<(), kube::Error> {
    let services: Api<ApiService> =
        Api::namespaced(client.clone(), &node.namespace().unwrap_or_default());
    let wanted = build::services(node, https, Some(pod)).into_iter();
    let wanted = wanted.filter_map(|(name, wanted)| Some((name, wanted?)));
    let applied = wanted.map(async |(name, wanted)| {
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        services
            .patch(&name, &parameters, &Patch::Apply(&wanted))
            .await
    });
    try_join_all(applied).await.map(drop)
}

/// Applies the budgets that keep the active and its standbys from being evicted at once. What somebody
/// else made under their names is left alone; returns that name.
pub async fn budgets(
    client: &Client,
    node: &ChainlinkNode,
    standbys_kept: usize,
    active: &str,
) -> Result<Option<String>, kube::Error> {
    let budgets: Api<PodDisruptionBudget> =
        Api::namespaced(client.clone(), &node.namespace().unwrap_or_default());
    for (name, wanted) in build::budgets(node, standbys_kept, active) {
        let there = budgets.get_opt(&name).await?;
        if let Some(there) = &there
            && !may_change(client, node, there).await?
        {
            return Ok(Some(name));
        }
        let as_wanted = there.is_some_and(|there| {
            let counted_for = |budget: &PodDisruptionBudget| {
                budget.annotations().get(BUDGET_ACTIVE_ANNOTATION).cloned()
            };
            controls(node, &there)
                && there.spec == wanted.spec
                && counted_for(&there) == counted_for(&wanted)
        });
        if !as_wanted {
            let parameters = PatchParams::apply(FIELD_MANAGER).force();
            budgets
                .patch(&name, &parameters, &Patch::Apply(&wanted))
                .await?;
        }
    }
    Ok(None)
}

async fn service(
    client: &Client,
    node: &ChainlinkNode,
    name: &str,
    wanted: Option<&ApiService>,
) -> Result<Service, kube::Error> {
    let services: Api<ApiService> =
        Api::namespaced(client.clone(), &node.namespace().unwrap_or_default());
    let there = services.get_opt(name).await?;
    let may_change = match &there {
        Some(there) => may_change(client, node, there).await?,
        None => true,
    };
    let Some(wanted) = wanted else {
        let there = there.filter(|_| may_change);
        if let Some(uid) = there.and_then(|there| there.metadata.uid) {
            remove(&services, name, &uid).await?;
        }
        return Ok(Service::AsWanted);
    };
    if !may_change {
        return Ok(Service::NotOurs);
    }
    let ours = |there: &ApiService| controls(node, there);
    if there.is_some_and(|there| ours(&there) && is_as_wanted(&there, wanted)) {
        return Ok(Service::AsWanted);
    }
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    services
        .patch(name, &parameters, &Patch::Apply(wanted))
        .await
        .map(|_| Service::AsWanted)
}

/// What stands of the Services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Services {
    /// They lead to the active.
    AsWanted,
    /// This name is taken.
    NotOurs(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    AsWanted,
    NotOurs,
}

fn is_as_wanted(there: &ApiService, wanted: &ApiService) -> bool {
    let subset = |some: Option<&BTreeMap<String, String>>,
                  all: Option<&BTreeMap<String, String>>| {
        some.is_none_or(|some| {
            some.iter()
                .all(|(key, value)| all.is_some_and(|all| all.get(key) == Some(value)))
        })
    };
    let (Some(is), Some(should)) = (&there.spec, &wanted.spec) else {
        return false;
    };
    is.selector == should.selector
        && is.type_ == should.type_
        && ports_fit(is, should)
        && is_seen_from_outside_as(is, should)
        && subset(
            wanted.metadata.labels.as_ref(),
            there.metadata.labels.as_ref(),
        )
        && subset(
            wanted.metadata.annotations.as_ref(),
            there.metadata.annotations.as_ref(),
        )
        && owns_no_more(there, wanted)
}

fn ports_fit(is: &ServiceSpec, should: &ServiceSpec) -> bool {
    let ports = |spec: &ServiceSpec| -> Vec<_> {
        spec.ports
            .iter()
            .flatten()
            .map(|port| (port.name.clone(), port.port, port.target_port.clone()))
            .collect()
    };
    // Where none is asked for, Kubernetes chooses.
    let node_ports_fit = is
        .ports
        .iter()
        .flatten()
        .zip(should.ports.iter().flatten())
        .all(|(is, should)| should.node_port.is_none() || is.node_port == should.node_port);
    node_ports_fit && ports(is) == ports(should)
}

/// Where nothing is asked for, Kubernetes or the cloud chooses.
fn is_seen_from_outside_as(is: &ServiceSpec, should: &ServiceSpec) -> bool {
    fn fits<T: PartialEq>(is: Option<&T>, should: Option<&T>) -> bool {
        should.is_none() || is == should
    }
    fits(
        is.load_balancer_class.as_ref(),
        should.load_balancer_class.as_ref(),
    ) && fits(
        is.load_balancer_source_ranges.as_ref(),
        should.load_balancer_source_ranges.as_ref(),
    ) && fits(
        is.external_traffic_policy.as_ref(),
        should.external_traffic_policy.as_ref(),
    ) && fits(
        is.ip_family_policy.as_ref(),
        should.ip_family_policy.as_ref(),
    )
}

/// Whether nothing is left of what the operator once applied and wants no more. Server-side apply keeps who set which
/// field, so that what others wrote into the same object is told apart and left alone.
fn owns_no_more(there: &ApiService, wanted: &ApiService) -> bool {
    const PARTS: [(&str, &str); 3] = [
        ("/f:metadata/f:labels", "/metadata/labels"),
        ("/f:metadata/f:annotations", "/metadata/annotations"),
        ("/f:spec", "/spec"),
    ];
    let Ok(wanted) = serde_json::to_value(wanted) else {
        return false;
    };
    let applied = there.metadata.managed_fields.iter().flatten().filter(|by| {
        by.manager.as_deref() == Some(FIELD_MANAGER) && by.operation.as_deref() == Some("Apply")
    });
    let mut owned = applied.filter_map(|by| Some(&by.fields_v1.as_ref()?.0));
    owned.all(|owned| {
        PARTS.iter().all(|(owned_at, wanted_at)| {
            let names = owned.pointer(owned_at).and_then(Value::as_object);
            let mut names = names.into_iter().flat_map(|fields| fields.keys());
            names.all(|name| {
                let name = name.strip_prefix("f:");
                let wanted = wanted.pointer(wanted_at);
                name.is_none_or(|name| wanted.is_some_and(|all| all.get(name).is_some()))
            })
        })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A Service as the API server keeps it, of which this manager has set this label by this operation.
    fn set_by(manager: &str, operation: &str, label: &str) -> ApiService {
        let fields = json!({"f:metadata": {"f:labels": {format!("f:{label}"): {}}}});
        let service = json!({"metadata": {
            "name": "cl",
            "managedFields": [
                {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields},
            ],
        }});
        serde_json::from_value(service).unwrap()
    }

    /// Rule L2: what others have set could be applied away for ever.
    #[test]
    fn only_what_the_operator_itself_applied_and_wants_no_more_is_too_much() {
        let wanted = json!({"metadata": {"name": "cl", "labels": {"wanted": "1"}}});
        let wanted: ApiService = serde_json::from_value(wanted).unwrap();
        let too_much = |there: &ApiService| !owns_no_more(there, &wanted);
        assert!(too_much(&set_by(FIELD_MANAGER, "Apply", "before")));
        assert!(!too_much(&set_by(FIELD_MANAGER, "Apply", "wanted")));
        assert!(!too_much(&set_by("kubectl", "Apply", "theirs")));
        assert!(!too_much(&set_by(FIELD_MANAGER, "Update", "before")));
    }
}
