//! What a spec becomes, pinned: a newer operator goes on rendering the same (rule S8).

use chainlink_operator::api::{ChainlinkNode, RevisionName};
use chainlink_operator::build::{
    self, ConfigMaps, Resolved, active_service, config_map, content_of, revision_object,
};
use chainlink_operator::domain::Place;
use k8s_openapi::api::apps::v1::ControllerRevision;
use serde::Serialize;

use crate::golden::{self, documents, manifest, repository};

const ADVICE: &str = "An operator that renders another pod or revision name from the same spec would restart every node \
in the world when it is upgraded. Is it meant? Then raise build::TEMPLATE by one, go on rendering the older template, and \
accept the new files with: UPDATE_GOLDEN=1 cargo test --test it revisions";

/// The files of examples/ that hold a `ChainlinkNode`.
fn examples() -> Vec<(String, String)> {
    let mut found: Vec<_> = std::fs::read_dir(repository("examples"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "yaml"))
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read_to_string(entry.path()).unwrap())
        })
        .filter(|(_, text)| text.contains("kind: ChainlinkNode"))
        .collect();
    found.sort();
    assert!(found.len() >= 3, "examples/ has lost its ChainlinkNodes");
    found
}

fn resolve(node: &ChainlinkNode, maps: &ConfigMaps) -> Resolved {
    let name = node.metadata.name.as_deref().unwrap();
    build::resolve(name, &node.spec, maps).unwrap()
}

fn yaml(object: &impl Serialize) -> String {
    serde_saphyr::to_string(object).unwrap()
}

#[test]
fn the_objects_of_the_examples_are_the_pinned_ones() {
    for (file, text) in examples() {
        let (node, maps) = manifest(&text);
        let resolved = resolve(&node, &maps);
        let name = format!("{}-bcdfg", node.metadata.name.as_deref().unwrap());
        let pod = build::pod(
            &node,
            &name,
            &resolved.revision,
            &resolved.content,
            &Place::default(),
        );
        let mut parts = vec![yaml(&revision_object(&node, &resolved, 1).unwrap())];
        parts.extend(config_map(&node, &resolved).map(|map| yaml(&map)));
        parts.push(yaml(&pod));
        parts.push(yaml(&active_service(&node)));

        golden::assert_golden(
            &format!("tests/fixtures/revisions/{file}"),
            &parts.join("---\n"),
            ADVICE,
        );
    }
}

#[test]
fn a_kept_revision_makes_the_same_pod_as_on_the_day_it_was_kept() {
    for (file, text) in examples() {
        let (node, _) = manifest(&text);
        let path = repository(&format!("tests/fixtures/revisions/{file}"));
        let pinned = documents(&std::fs::read_to_string(path).unwrap());
        let of_kind = |kind: &str| pinned.iter().find(|object| object["kind"] == kind).unwrap();
        let kept: ControllerRevision =
            serde_json::from_value(of_kind("ControllerRevision").clone()).unwrap();
        let pinned_pod = of_kind("Pod");

        let content = content_of(&kept).unwrap();
        let revision = content.named(RevisionName::new(kept.metadata.name.unwrap()));
        let name = pinned_pod["metadata"]["name"].as_str().unwrap();
        let pod = build::pod(&node, name, &revision, &content, &Place::default());

        assert_eq!(
            &serde_json::to_value(&pod).unwrap(),
            pinned_pod,
            "{file}\n{ADVICE}"
        );
    }
}

const NODE: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: shared}
data:
  shared.toml: |
    [Log]
    Level = 'info'
  PROXY: http://proxy.example.com
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ca}
data: {ca.crt: certificate}
---
apiVersion: chainlink-operator.dev/v1alpha1
kind: ChainlinkNode
metadata: {name: one}
spec:
  replicas: 2
  version: 2.29.0
  database:
    url: {secretKeyRef: {name: database, key: url}}
  config:
    files:
      - {name: own.toml, inline: \"[Log]\\nJSONConsole = true\"}
      - {name: shared.toml, configMapKeyRef: {name: shared, key: shared.toml}}
      - {name: rpc.toml, secretKeyRef: {name: rpc, key: rpc.toml}}
    env:
      - {name: HTTPS_PROXY, valueFrom: {configMapKeyRef: {name: shared, key: PROXY}}}
  credentials:
    keystorePassword: {secretKeyRef: {name: credentials, key: keystore}}
";

/// Whether a change of the text of the manifest is a change of the revision.
fn rolls(from: &str, to: &str) -> bool {
    assert!(NODE.contains(from), "{from:?} is not in the manifest");
    let name = |text: &str| {
        let (node, maps) = manifest(text);
        resolve(&node, &maps).revision.name
    };
    name(NODE) != name(&NODE.replacen(from, to, 1))
}

/// Whether it does to add this to the spec.
fn rolls_with(lines: &str) -> bool {
    rolls("spec:\n", &format!("spec:\n{lines}\n"))
}

#[test]
fn what_pods_are_made_from_makes_a_new_revision() {
    for (from, to) in [
        ("2.29.0", "2.30.0"),
        ("name: database", "name: other-database"),
        ("key: url", "key: other-url"),
        ("JSONConsole = true", "JSONConsole = false"),
        ("Level = 'info'", "Level = 'debug'"),
        ("proxy.example.com", "other.example.com"),
        ("HTTPS_PROXY", "HTTP_PROXY"),
        ("name: own.toml", "name: my.toml"),
        ("name: rpc, ", "name: rpc-2, "),
        ("key: keystore", "key: keystore-2"),
    ] {
        assert!(rolls(from, to), "{from} to {to}");
    }
    for lines in [
        "  restartedAt: today",
        "  image: {repository: registry.example.com/chainlink}",
        "  image: {tag: 2.29.0-root}",
        "  image: {pullPolicy: Always}",
        "  image: {pullSecrets: [{name: registry}]}",
        "  pod: {labels: {team: oracles}}",
        "  pod: {annotations: {team: oracles}}",
        "  pod: {resources: {limits: {memory: 4Gi}}}",
        "  pod: {spread: Required}",
        "  pod: {storage: {size: 2Gi}}",
        "  pod: {nodeSelector: {disk: fast}}",
        "  pod: {tolerations: [{key: oracles, operator: Exists}]}",
        "  pod: {volumes: [{name: ca, mountPath: /ca, configMapName: ca}]}",
        "  pod: {securityContext: {runAsUser: 0}}",
        "  pod: {terminationGracePeriodSeconds: 60}",
        "  pod: {runtimeClassName: gvisor}",
        "  pod: {dnsConfig: {searches: [example.com]}}",
        "  pod: {hostAliases: [{ip: 192.0.2.7, hostnames: [db]}]}",
        "  pod: {topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]}",
        "  pod: {sidecars: [{name: vpn, image: 'vpn:1'}]}",
        "  pod: {initContainers: [{name: vault, image: 'vault:1'}]}",
        "  pod: {volumes: [{name: shared, mountPath: /shared, emptyDir: {}}]}",
        "  pod: {affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone}]}}}",
    ] {
        assert!(rolls_with(lines), "{lines}");
    }
}

#[test]
fn s8_the_revision_of_a_node_that_mounts_a_config_map_and_its_copy_are_the_pinned_ones() {
    let volume = "spec:\n  pod: {volumes: [{name: ca, mountPath: /ca, configMapName: ca}]}\n";
    let (node, maps) = manifest(&NODE.replacen("spec:\n", volume, 1));
    let newest = resolve(&node, &maps);
    assert_eq!(
        newest.revision.name.as_str(),
        "one-a0c7be19ac",
        "with HTTPS off, as no certificate is named\n{ADVICE}"
    );
    // As the operator before it made it, and goes on until the user changes something.
    let before = RevisionName::new("one-506e921ad6");
    let recorded = build::RevisionBefore {
        revision: &before,
        template: 3,
    };
    let resolved = build::resolve_after(Some(recorded), "one", &node.spec, &maps, None).unwrap();
    assert_eq!(
        resolved.revision.name.as_str(),
        "one-506e921ad6",
        "{ADVICE}"
    );
    let copies = build::mounted_copies(&node, &resolved);
    let names: Vec<_> = copies
        .iter()
        .map(|map| map.metadata.name.as_deref())
        .collect();
    assert_eq!(names, [Some("one-506e921ad6-0")], "{ADVICE}");
    assert_eq!(copies[0].data, maps["ca"].data);
    assert_eq!(copies[0].immutable, Some(true));
    let pod = build::pod(
        &node,
        "one-bcdfg",
        &resolved.revision,
        &resolved.content,
        &Place::default(),
    );
    let volumes = pod.spec.unwrap().volumes.unwrap();
    let mut maps = volumes
        .into_iter()
        .filter_map(|volume| Some(volume.config_map?.name));
    assert!(
        maps.any(|name| name == "one-506e921ad6-0"),
        "the pod mounts the copy"
    );
}

#[test]
fn what_pods_are_not_made_from_makes_none() {
    assert!(!rolls("replicas: 2", "replicas: 5"));
    for lines in [
        "  handover: {settle: 1m, standbyTimeout: 1h, surge: 0}",
        "  service: {type: NodePort, annotations: {team: oracles}}",
        "  updates: {range: 2.x, interval: 5m, minimumAge: 72h, policy: Tell}",
    ] {
        assert!(!rolls_with(lines), "{lines}");
    }
}

#[test]
fn a_default_that_is_written_out_makes_none() {
    for lines in [
        "  restartedAt: ''",
        "  image: {}",
        "  image: {repository: smartcontract/chainlink, tag: 2.29.0, pullPolicy: IfNotPresent}",
        "  pod: {}",
        "  pod: {resources: {}, storage: {}, securityContext: {}}",
        "  pod: {sidecars: [], initContainers: [], shareProcessNamespace: false, hostNetwork: false}",
        "  pod: {affinity: {}, topologySpreadConstraints: [], dnsConfig: {}, hostAliases: []}",
        "  pod: {resources: {requests: {}, limits: {}}, spread: Preferred}",
        "  pod: {storage: {size: 1Gi}, terminationGracePeriodSeconds: 30}",
        "  pod: {securityContext: {runAsUser: 14933, runAsGroup: 14933, fsGroup: 14933, readOnlyRootFilesystem: true}}",
        "  handover: {surge: 1}",
    ] {
        assert!(!rolls_with(lines), "{lines}");
    }
    assert!(!rolls("key: url}}", "key: url}}\n    lock: {mode: lease}"));
}

#[test]
fn s8_a_field_makes_no_revision_for_its_new_name() {
    let with = |field: &str| {
        let lines = format!("spec:\n  pod: {{{field}: {{runAsUser: 7}}}}\n");
        let (node, maps) = manifest(&NODE.replacen("spec:\n", &lines, 1));
        resolve(&node, &maps)
    };
    let (before, now) = (with("security"), with("securityContext"));
    assert_eq!(
        before.revision.name.as_str(),
        "one-b9daf8e471",
        "as the operator before the new name made it\n{ADVICE}"
    );
    assert_eq!(now.revision.name, before.revision.name);
    assert_eq!(now.content, before.content);
    assert_eq!(now.warnings, [""; 0]);
    assert_eq!(before.warnings.len(), 1, "{:?}", before.warnings);
    assert!(before.warnings[0].contains("spec.pod.securityContext"));
}

#[test]
fn a_number_means_the_same_with_quotes_and_without() {
    let name = |cpu: &str| {
        let text = NODE.replacen(
            "spec:\n",
            &format!("spec:\n  pod: {{resources: {{requests: {{cpu: {cpu}}}}}}}\n"),
            1,
        );
        let (node, maps) = manifest(&text);
        resolve(&node, &maps).revision.name
    };

    assert_eq!(name("2"), name("'2'"));
}

#[test]
fn a_revision_does_not_depend_on_the_configmap_that_its_text_came_from() {
    let moved = NODE
        .replace("name: shared}", "name: moved}")
        .replace("name: shared,", "name: moved,");
    let (node, maps) = manifest(NODE);
    let (other, other_maps) = manifest(&moved);

    assert_eq!(resolve(&node, &maps), resolve(&other, &other_maps));
}

#[test]
fn a_revision_is_named_after_the_node_and_is_short_enough_for_a_label() {
    let (node, maps) = manifest(NODE);
    let longest = "a".repeat(45);
    let resolved = build::resolve(&longest, &node.spec, &maps).unwrap();
    let name = resolved.revision.name.as_str();

    assert!(name.starts_with(&format!("{longest}-")), "{name}");
    assert!(name.len() <= 63, "{name}");
}
