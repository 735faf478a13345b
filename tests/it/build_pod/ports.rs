//! What reaches a node: the ports of pods, and the Services that lead to them.

use chainlink_operator::build::{self};
use serde_json::{Value, json};

use super::{container, environment_node, node, resolved, toml_node, variable, with};

#[test]
fn https_is_off_unless_there_is_a_certificate_for_it() {
    let off = |spec: &Value| {
        variable(spec, "CL_CONFIG")
            .unwrap()
            .contains("HTTPSPort = 0")
    };
    let volume = json!({"volumes": [{"name": "tls", "mountPath": "/tls", "secretName": "tls"}]});
    let tls = json!([{"name": "a.toml", "inline": "[WebServer.TLS]\nCertPath = '/tls/c'\nKeyPath = '/tls/k'\n"}]);

    assert!(
        off(&toml_node()),
        "a file in a Secret, and no volume for a certificate"
    );
    assert!(
        off(&with(toml_node(), "pod", volume.clone())),
        "a volume for another purpose names no certificate"
    );
    let https = with(with(toml_node(), "pod", volume), "config.files", tls);
    assert!(!off(&https));
    let ports = container(&https).ports.unwrap();
    assert!(ports.iter().any(|port| port.container_port == 6689));
    let ports = container(&toml_node()).ports.unwrap();
    assert!(ports.iter().all(|port| port.container_port != 6689));
    let served = |https| {
        let [(_, service), _] = build::services(&node(&toml_node()).0, https, None);
        let ports = service.unwrap().spec.unwrap().ports.unwrap();
        ports.into_iter().map(|port| port.port).collect::<Vec<_>>()
    };
    assert_eq!(
        (served(false), served(true)),
        (vec![6688], vec![6688, 6689])
    );
}

#[test]
fn a_certificate_below_the_root_folder_is_refused() {
    let tls = json!([{"name": "a.toml", "inline": "[WebServer.TLS]\nCertPath = '/chainlink/tls/c'\nKeyPath = '/chainlink/tls/k'\n"}]);
    let (node, maps) = node(&with(toml_node(), "config.files", tls));
    let problem = build::resolve("chainlink", &node.spec, &maps).unwrap_err();
    assert!(
        problem.message.contains("mountPath: /certificates"),
        "{}",
        problem.message
    );
}

#[test]
fn https_of_version_1_is_off_unless_there_is_a_certificate_for_it() {
    let off = |spec: &Value| variable(spec, "CHAINLINK_TLS_PORT").as_deref() == Some("0");
    let volume = json!({"volumes": [{"name": "tls", "mountPath": "/tls", "secretName": "tls"}]});
    let tls = json!([
        {"name": "TLS_CERT_PATH", "value": "/tls/c"},
        {"name": "TLS_KEY_PATH", "value": "/tls/k"},
    ]);

    assert!(off(&environment_node()));
    assert!(
        off(&with(environment_node(), "pod", volume)),
        "a volume for another purpose names no certificate"
    );
    assert!(!off(&with(environment_node(), "config.env", tls)));
}

#[test]
fn peers_that_no_service_leads_to_are_warned_of() {
    let p2p = json!([{"name": "a.toml", "inline": "[P2P.V2]\nEnabled = true\nAnnounceAddresses = ['203.0.113.7:7990']\nListenAddresses = ['0.0.0.0:7990']\n"}]);
    let warnings = resolved(&with(toml_node(), "config.files", p2p)).warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("203.0.113.7:7990"), "{warnings:?}");
}

#[test]
fn a_pod_that_peers_are_to_reach_has_a_port_for_them_and_says_where_it_listens() {
    let service = json!({"p2p": {"port": 7000, "announceAddress": "node.example.com:443"}});
    let spec = with(toml_node(), "service", service);
    let container = container(&spec);

    let ports: Vec<_> = container
        .ports
        .unwrap()
        .into_iter()
        .map(|port| (port.name.unwrap(), port.container_port))
        .collect();
    assert_eq!(ports, [("http".to_owned(), 6688), ("p2p".to_owned(), 7000)]);
    let settings = resolved(&spec).content.settings.unwrap();
    assert!(
        settings.ends_with(
            "[P2P.V2]\nEnabled = true\nListenAddresses = ['0.0.0.0:7000']\n\
             AnnounceAddresses = ['node.example.com:443']\n"
        ),
        "{settings}"
    );
}

#[test]
fn peers_reach_the_active_by_a_service_of_their_own() {
    let service =
        json!({"p2p": {"type": "LoadBalancer", "nodePort": 30690, "annotations": {"a": "b"}}});
    let (node, _) = node(&with(toml_node(), "service", service));
    let peers = serde_json::to_value(build::peer_service(&node).unwrap()).unwrap();

    assert_eq!(peers["metadata"]["name"], "chainlink-p2p");
    assert_eq!(peers["metadata"]["annotations"], json!({"a": "b"}));
    assert_eq!(
        peers["spec"],
        json!({
            "type": "LoadBalancer",
            "selector": build::active_service(&node).spec.unwrap().selector,
            "ports": [{"name": "p2p", "port": 6690, "targetPort": "p2p", "nodePort": 30690, "protocol": "TCP"}],
        })
    );
}

/// By one label of the pod and not by its role: one write leads from one pod to another.
#[test]
fn both_services_lead_to_a_pod_by_its_own_label() {
    let (node, _) = node(&with(toml_node(), "service", json!({"p2p": {}})));
    for (_, made) in build::services(&node, false, Some("chainlink-bcdfg")) {
        let selector = serde_json::to_value(made.unwrap().spec.unwrap().selector).unwrap();
        assert_eq!(
            selector,
            json!({"chainlink-operator.dev/node": "chainlink", "chainlink-operator.dev/pod": "bcdfg"})
        );
    }
}

#[test]
fn both_services_look_from_outside_as_they_are_told() {
    let outside = json!({
        "type": "LoadBalancer",
        "loadBalancerClass": "service.k8s.aws/nlb",
        "loadBalancerSourceRanges": ["203.0.113.0/24"],
        "externalTrafficPolicy": "Local",
        "ipFamilyPolicy": "PreferDualStack",
        "labels": {"team": "oracles", "app.kubernetes.io/name": "mine"},
    });
    let mut service = outside.clone();
    service["p2p"] = outside.clone();
    let (node, _) = node(&with(toml_node(), "service", service));
    let [(_, active), (_, peers)] = build::services(&node, false, None);
    for made in [active, peers] {
        let made = serde_json::to_value(made.unwrap()).unwrap();
        let labels = &made["metadata"]["labels"];
        assert_eq!(labels["team"], "oracles");
        assert_eq!(labels["app.kubernetes.io/name"], "chainlink-node");
        for field in [
            "type",
            "loadBalancerClass",
            "loadBalancerSourceRanges",
            "externalTrafficPolicy",
            "ipFamilyPolicy",
        ] {
            assert_eq!(made["spec"][field], outside[field], "{field}");
        }
    }
}

#[test]
fn how_the_service_for_peers_looks_from_outside_is_no_new_revision() {
    let name = |p2p: Value| {
        let spec = with(toml_node(), "service", json!({"p2p": p2p}));
        resolved(&spec).revision.name
    };

    assert_eq!(
        name(json!({})),
        name(json!({"type": "NodePort", "port": 6690}))
    );
    assert_ne!(name(json!({})), name(json!({"port": 6691})));
    assert_ne!(name(json!({})), name(json!({"announceAddress": "a:1"})));
    assert_ne!(name(json!({})), resolved(&toml_node()).revision.name);
}
