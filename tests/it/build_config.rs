//! What a configuration becomes: texts, variables, warnings.

use chainlink_operator::build::{self, ConfigMaps, Resolved, Value};
use chainlink_operator::domain::Problem;
use k8s_openapi::api::core::v1::ConfigMap;

use crate::golden::manifest;

fn resolve(version: &str, config: &str, maps: &ConfigMaps) -> Result<Resolved, Problem> {
    let (node, _) = manifest(&format!(
        "
kind: ChainlinkNode
apiVersion: chainlink-operator.dev/v1alpha1
metadata: {{name: one}}
spec:
  version: {version}
  database: {{url: {{secretKeyRef: {{name: database, key: url}}}}}}
  config: {config}
  credentials: {{keystorePassword: {{secretKeyRef: {{name: credentials, key: keystore}}}}}}
"
    ));
    build::resolve("one", &node.spec, maps)
}

fn map(name: &str, data: &[(&str, &str)]) -> (String, ConfigMap) {
    let data = data
        .iter()
        .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
        .collect();
    let map = ConfigMap {
        data: Some(data),
        ..ConfigMap::default()
    };
    (name.to_owned(), map)
}

fn texts(resolved: &Resolved) -> Vec<(&str, &str)> {
    resolved
        .content
        .env
        .iter()
        .filter_map(|(name, value)| match value {
            Value::Text(text) => Some((name.as_str(), text.as_str())),
            Value::Secret(_) | Value::Field(_) => None,
        })
        .collect()
}

#[test]
fn env_wins_over_configmaps_and_a_later_configmap_over_an_earlier_one() {
    let maps = ConfigMaps::from([
        map("first", &[("TZ", "UTC"), ("A", "1"), ("B", "1")]),
        map("second", &[("A", "2"), ("B", "2")]),
    ]);
    let resolved = resolve(
        "2.29.0",
        "{envFrom: [{configMapRef: {name: first}}, {configMapRef: {name: second}}], env: [{name: B, value: '3'}]}",
        &maps,
    )
    .unwrap();

    assert_eq!(texts(&resolved), [("TZ", "UTC"), ("A", "2"), ("B", "3")]);
    assert_eq!(resolved.warnings, [""; 0]);
}

#[test]
fn a_configmap_before_a_secret_is_warned_of_as_it_wins_all_the_same() {
    let maps = ConfigMaps::from([map("open", &[("TZ", "UTC")])]);
    let resolved = resolve(
        "2.29.0",
        "{envFrom: [{configMapRef: {name: open}}, {secretRef: {name: hidden}}]}",
        &maps,
    )
    .unwrap();

    assert_eq!(
        resolved.warnings,
        [
            "spec.config.envFrom: the variables of ConfigMap open win over those of Secret hidden: list the Secret first, so that the order says so too"
        ]
    );
}

#[test]
fn what_the_operator_overrides_is_said_with_the_file_it_stands_in() {
    let resolved = resolve(
        "2.29.0",
        "{files: [{name: node.toml, inline: \"RootDir = '/data'\"}]}",
        &ConfigMaps::new(),
    )
    .unwrap();

    assert_eq!(
        resolved.warnings,
        [
            "spec.config.files (node.toml) sets RootDir = \"/data\"; the operator sets '/chainlink/root'"
        ]
    );
    assert_eq!(
        resolved.texts["00-node.toml"], "RootDir = '/data'",
        "the user's text is not edited"
    );
}

#[test]
fn dumps_are_warned_of_where_nobody_said_how_much_room_they_need() {
    let files = "{files: [{name: node.toml, inline: \"Database.Backup.Mode = 'lite'\"}]}";
    let warnings = resolve("2.29.0", files, &ConfigMaps::new())
        .unwrap()
        .warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0]
            .starts_with("spec.config sets Database.Backup.Mode = \"lite\": the node writes dumps"),
        "{warnings:?}"
    );
    let variables = "{env: [{name: DATABASE_BACKUP_MODE, value: full}]}";
    let warnings = resolve("1.13.3", variables, &ConfigMaps::new())
        .unwrap()
        .warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

#[test]
fn files_that_no_configmap_holds_are_refused() {
    let half = format!("# {}\n", "x".repeat(600_000));
    let maps = ConfigMaps::from([map("large", &[("a", &half)])]);
    let file = |name: &str| format!("{{name: {name}, configMapKeyRef: {{name: large, key: a}}}}");

    let one = format!("{{files: [{}]}}", file("a.toml"));
    assert!(resolve("2.29.0", &one, &maps).is_ok());
    let two = format!("{{files: [{}, {}]}}", file("a.toml"), file("b.toml"));
    let problem = resolve("2.29.0", &two, &maps).unwrap_err();
    assert!(
        problem.message.contains("put the largest into a Secret"),
        "{}",
        problem.message
    );
}

#[test]
fn a_variable_that_linux_does_not_take_is_refused() {
    let maps = ConfigMaps::from([map("large", &[("LONG", &"x".repeat(140_000))])]);
    let problem = resolve(
        "2.29.0",
        "{envFrom: [{configMapRef: {name: large}}]}",
        &maps,
    )
    .unwrap_err();

    assert!(
        problem
            .message
            .starts_with("spec.config.envFrom (ConfigMap large): LONG has 140000 bytes"),
        "{}",
        problem.message
    );
}

#[test]
fn every_configmap_that_is_referred_to_is_named_once() {
    let (node, _) = manifest(
        "
kind: ChainlinkNode
apiVersion: chainlink-operator.dev/v1alpha1
metadata: {name: one}
spec:
  version: 2.29.0
  database: {url: {secretKeyRef: {name: database, key: url}}}
  config:
    files:
      - {name: a, configMapKeyRef: {name: files, key: a}}
      - {name: b, configMapKeyRef: {name: files, key: b}}
    env: [{name: TZ, valueFrom: {configMapKeyRef: {name: variable, key: tz}}}]
    envFrom: [{configMapRef: {name: whole}}, {secretRef: {name: hidden}}]
  credentials: {keystorePassword: {secretKeyRef: {name: credentials, key: keystore}}}
  pod:
    volumes:
      - {name: ca, mountPath: /ca, configMapName: certificates}
      - {name: more, mountPath: /more, configMapName: files}
      - {name: tls, mountPath: /tls, secretName: tls}
",
    );

    let names: Vec<_> = build::referenced_config_maps(&node.spec)
        .into_iter()
        .collect();
    assert_eq!(names, ["certificates", "files", "variable", "whole"]);
}

#[test]
fn lease_times_that_fit_only_together_may_stand_in_two_files() {
    let config = "{files: [
        {name: lease.toml, inline: \"[Database.Lock]\\nLeaseDuration = '20s'\"},
        {name: refresh.toml, inline: \"[Database.Lock]\\nLeaseRefreshInterval = '6s'\"}]}";

    assert!(resolve("2.29.0", config, &ConfigMaps::new()).is_ok());
}

/// What is refused in these files: inline texts by name, and Secrets where there is none.
fn refusal_of(files: &[(&str, Option<&str>)]) -> Option<String> {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| match text {
            Some(text) => serde_json::json!({"name": name, "inline": text}),
            None => {
                serde_json::json!({"name": name, "secretKeyRef": {"name": "hidden", "key": name}})
            }
        })
        .collect();
    let config = serde_json::json!({ "files": files }).to_string();
    resolve("2.29.0", &config, &ConfigMaps::new())
        .err()
        .map(|problem| problem.message)
}

#[test]
fn a_log_level_and_an_address_are_judged_as_the_last_file_sets_them() {
    let quiet = Some("Log.Level = 'warn'");
    let loud = Some("[log]\nlevel = 'info'");
    assert_eq!(refusal_of(&[("base", quiet), ("own", loud)]), None);
    let refused = refusal_of(&[("base", loud), ("own", quiet), ("more", Some(""))]).unwrap();
    assert!(
        refused
            .starts_with("spec.config.files (own) sets Log.Level = \"warn\", which hides the line"),
        "{refused}"
    );
    let nowhere = Some("WebServer.ListenIP = '127.0.0.1'");
    let everywhere = Some("WebServer.ListenIP = '0.0.0.0'");
    assert_eq!(refusal_of(&[("base", nowhere), ("own", everywhere)]), None);
    let refused = refusal_of(&[("base", everywhere), ("own", nowhere)]).unwrap();
    assert!(
        refused.starts_with("spec.config.files (own) sets WebServer.ListenIP = \"127.0.0.1\""),
        "{refused}"
    );
}

#[test]
fn what_a_later_secret_may_set_otherwise_is_refused_as_it_is_read_and_the_secret_is_named() {
    for text in ["Log.Level = 'warn'", "WebServer.ListenIP = '127.0.0.1'"] {
        let bad = Some(text);
        assert!(refusal_of(&[("rpc", None), ("own", bad)]).is_some());
        let refused = refusal_of(&[("own", bad), ("rpc", None)]).unwrap();
        assert!(
            refused.starts_with("spec.config.files (own) sets"),
            "{refused}"
        );
        assert!(
            refused.ends_with(
                "; whether rpc, which comes later, sets another can't be read, as it is in a Secret"
            ),
            "{refused}"
        );
    }
}
