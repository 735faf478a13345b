//! `spec.service`: the Services that lead to the active pod.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// The Service that follows the active pod (port 6688).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.labels) || self.labels.all(k, !k.startsWith('chainlink-operator.dev/'))").message("labels that begin with chainlink-operator.dev/ are the operator's: give yours a prefix of your own, such as example.com/").field_path(".labels"))]
#[x_kube(validation = Rule::new("!has(self.loadBalancerClass) || (has(self.type) && self.type == 'LoadBalancer')").message("loadBalancerClass needs type LoadBalancer: set type, or leave loadBalancerClass out").field_path(".loadBalancerClass"))]
#[x_kube(validation = Rule::new("!has(self.loadBalancerSourceRanges) || (has(self.type) && self.type == 'LoadBalancer')").message("loadBalancerSourceRanges needs type LoadBalancer: set type, or leave loadBalancerSourceRanges out").field_path(".loadBalancerSourceRanges"))]
#[x_kube(validation = Rule::new("!has(self.loadBalancerSourceRanges) || self.loadBalancerSourceRanges.all(range, isCIDR(range))").message("loadBalancerSourceRanges holds networks: write such as 203.0.113.0/24, or 203.0.113.7/32 for one address").field_path(".loadBalancerSourceRanges"))]
#[x_kube(validation = Rule::new("!has(self.externalTrafficPolicy) || (has(self.type) && self.type in ['NodePort', 'LoadBalancer'])").message("externalTrafficPolicy needs type NodePort or LoadBalancer: set type, or leave externalTrafficPolicy out").field_path(".externalTrafficPolicy"))]
pub struct ServiceOptions {
    #[serde(flatten)]
    pub outside: Outside,
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
#[x_kube(validation = Rule::new("!has(self.labels) || self.labels.all(k, !k.startsWith('chainlink-operator.dev/'))").message("labels that begin with chainlink-operator.dev/ are the operator's: give yours a prefix of your own, such as example.com/").field_path(".labels"))]
#[x_kube(validation = Rule::new("!has(self.loadBalancerClass) || (has(self.type) && self.type == 'LoadBalancer')").message("loadBalancerClass needs type LoadBalancer: set type, or leave loadBalancerClass out").field_path(".loadBalancerClass"))]
#[x_kube(validation = Rule::new("!has(self.loadBalancerSourceRanges) || (has(self.type) && self.type == 'LoadBalancer')").message("loadBalancerSourceRanges needs type LoadBalancer: set type, or leave loadBalancerSourceRanges out").field_path(".loadBalancerSourceRanges"))]
#[x_kube(validation = Rule::new("!has(self.loadBalancerSourceRanges) || self.loadBalancerSourceRanges.all(range, isCIDR(range))").message("loadBalancerSourceRanges holds networks: write such as 203.0.113.0/24, or 203.0.113.7/32 for one address").field_path(".loadBalancerSourceRanges"))]
#[x_kube(validation = Rule::new("!has(self.externalTrafficPolicy) || (has(self.type) && self.type in ['NodePort', 'LoadBalancer'])").message("externalTrafficPolicy needs type NodePort or LoadBalancer: set type, or leave externalTrafficPolicy out").field_path(".externalTrafficPolicy"))]
pub struct PeerService {
    /// The port of the Service and of the node. Default: 6690.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65535))]
    pub port: Option<i32>,
    /// The port on every machine. Default: Kubernetes chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub node_port: Option<i32>,
    /// `host:port` by which peers reach this Service from where they are. The node announces it.
    /// Without it: the node announces what your configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 262))]
    pub announce_address: Option<String>,
    #[serde(flatten)]
    pub outside: Outside,
}

/// How a Service looks from outside of the cluster. Where nothing is said, Kubernetes or the cloud chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outside {
    /// Kind of Service: `ClusterIP`, `NodePort` or `LoadBalancer`. Default: `ClusterIP`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ServiceType>,
    /// Annotations of the Service. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// Labels of the Service, beside the operator's own. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// Who makes the load balancer, such as `service.k8s.aws/nlb`. Kubernetes lets it be set together with type `LoadBalancer`
    /// only, and not changed. Default: the cluster's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 317),
        regex(pattern = r"^([-a-z0-9.]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
    )]
    pub load_balancer_class: Option<String>,
    /// Networks whose clients the load balancer lets in, such as `203.0.113.0/24`. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::networks")]
    pub load_balancer_source_ranges: Vec<String>,
    /// Which machines take clients from outside. `Cluster`: all of them. `Local`: the active's alone, so that it sees the
    /// clients' own addresses; a load balancer has to notice a handover then. Default: `Cluster`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<TrafficPolicy>,
    /// Which kinds of address the Service has: `SingleStack`, one; `PreferDualStack`, IPv4 and IPv6 where the cluster has
    /// both; `RequireDualStack`, both. Default: `SingleStack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_family_policy: Option<FamilyPolicy>,
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

/// Which machines take clients from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TrafficPolicy {
    Cluster,
    Local,
}

impl TrafficPolicy {
    /// As Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Local => "Local",
        }
    }
}

/// Which kinds of address a Service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FamilyPolicy {
    SingleStack,
    PreferDualStack,
    RequireDualStack,
}

impl FamilyPolicy {
    /// As Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SingleStack => "SingleStack",
            Self::PreferDualStack => "PreferDualStack",
            Self::RequireDualStack => "RequireDualStack",
        }
    }
}
