//! What is common to all acts.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use k8s_openapi::api::core::v1::Pod as ApiPod;
use kube::Client;

use super::{Actor, Outcome, Recorded, RoleKeeper};
use crate::api::{ChainlinkNode, ChainlinkNodeStatus};
use crate::leader::{Leadership, LeaseAt};
use crate::plan::tests::world::{World, pair};

/// A resource with this status.
pub(super) fn node(status: Option<&ChainlinkNodeStatus>) -> ChainlinkNode {
    let manifest = serde_json::json!({
        "apiVersion": "chainlink-operator.dev/v1alpha1",
        "kind": "ChainlinkNode",
        "metadata": {"name": "cl", "resourceVersion": "7"},
        "spec": {
            "version": "2.28.0",
            "database": {"url": {"secretKeyRef": {"name": "db", "key": "url"}}},
            "credentials": {"keystorePassword": {"secretKeyRef": {"name": "keys", "key": "password"}}},
        },
        "status": status,
    });
    serde_json::from_value(manifest).unwrap()
}

/// A process that stood still, or whose machine did: it goes on where it was, and others have taken over.
#[tokio::test]
async fn an_operator_that_does_not_lead_sends_no_act() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let server = Router::new().fallback(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { StatusCode::INTERNAL_SERVER_ERROR }
    });
    let client = Client::new(server, "default");
    let plan = World::with(1).plan();
    let node = node(Some(&ChainlinkNodeStatus {
        operator: plan.memory.clone(),
        ..ChainlinkNodeStatus::default()
    }));
    let recorded = Recorded::of(&plan, &node).unwrap();
    let pod = pair().pod("a").clone();
    let acts = async |leadership: &Leadership| {
        let actor = Actor::new(&client, &node, leadership, &recorded);
        let roles = RoleKeeper::new(&client, &node, leadership);
        [
            actor.make(&ApiPod::default()).await,
            actor.tidy(&pod).await,
            actor.end_oneshot(&pod.id).await,
            roles.label(&pod, true).await,
            roles.gate(&pod.id, true).await,
        ]
    };

    let waits = Leadership::new(Some(LeaseAt {
        namespace: "operators".to_owned(),
        name: "operators".to_owned(),
        pod: "one".to_owned(),
    }));
    for act in acts(&waits).await {
        assert_eq!(act.unwrap(), Outcome::Late);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    for act in acts(&Leadership::new(None)).await {
        assert!(act.is_err(), "the server has nothing good to say");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 5);
}
