//! `spec.service`: the Services that lead to the active pod.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// The Service that follows the active pod (port 6688).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceOptions {
    /// Kind of Service: `ClusterIP`, `NodePort` or `LoadBalancer`. Default: `ClusterIP`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ServiceType>,
    /// Annotations of the Service. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// A Service `<name>-p2p` by which peers reach the active, and the addresses that the node
    /// listens on and announces. Without it: no such Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p2p: Option<PeerService>,
}

/// How peers reach the active.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.port) || !(self.port in [6688, 6689])").message("6688 and 6689 are the node's own ports: leave p2p.port out for 6690").field_path(".port"))]
#[x_kube(validation = Rule::new("!has(self.nodePort) || (has(self.type) && self.type in ['NodePort', 'LoadBalancer'])").message("p2p.nodePort needs type NodePort or LoadBalancer: set type, or leave nodePort out").field_path(".nodePort"))]
#[x_kube(validation = Rule::new("!has(self.announceAddress) || (self.announceAddress.matches('^([A-Za-z0-9.-]+|[[][0-9a-fA-F:.]+[]]):[1-9][0-9]{0,4}$') && !self.announceAddress.matches('^(0[.]0[.]0[.]0|[[]::[]]):'))").message("announceAddress is what peers dial: write host:port, such as 203.0.113.7:6690 or node.example.com:6690").field_path(".announceAddress"))]
pub struct PeerService {
    /// The port of the Service and of the node. Default: 6690.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65535))]
    pub port: Option<i32>,
    /// Kind of Service: `ClusterIP`, `NodePort` or `LoadBalancer`. Default: `ClusterIP`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ServiceType>,
    /// Annotations of the Service. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// The port on every machine. Default: Kubernetes chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub node_port: Option<i32>,
    /// `host:port` by which peers reach this Service from where they are. The node announces it.
    /// Without it: the node announces what your configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 262))]
    pub announce_address: Option<String>,
}

/// Kinds of Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    ClusterIP,
    NodePort,
    LoadBalancer,
}

impl ServiceType {
    /// As Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}
