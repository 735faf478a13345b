//! What a node is told: its command line and its variables.

use chainlink_operator::build;
use serde_json::{Value, json};

use super::{
    command_line, container, environment, environment_node, node, pod, pod_spec, resolved,
    toml_node, variable, with,
};

#[test]
fn a_node_with_toml_reads_its_files_in_order_then_its_secrets_then_its_credentials() {
    assert_eq!(
        command_line(&toml_node()),
        "node -c /etc/chainlink/config/00-node.toml -c /etc/chainlink/secret-config/1/01-rpc.toml \
         -c /etc/chainlink/config/02-last.toml -s /etc/chainlink/secrets/secrets.toml \
         start -p /etc/chainlink/credentials/keystore-password -a /etc/chainlink/credentials/api-credentials"
    );
}

#[test]
fn a_node_without_any_configuration_starts_with_the_operators_alone() {
    let spec = with(toml_node(), "config", Value::Null);

    assert_eq!(
        command_line(&spec),
        "node start -p /etc/chainlink/credentials/keystore-password -a /etc/chainlink/credentials/api-credentials"
    );
    assert!(variable(&spec, "CL_CONFIG").is_some());
}

#[test]
fn credentials_that_are_not_given_are_not_asked_for() {
    let spec = with(toml_node(), "credentials.apiCredentials", Value::Null);

    assert!(command_line(&spec).ends_with("start -p /etc/chainlink/credentials/keystore-password"));
}

#[test]
fn a_node_of_version_1_with_toml_says_its_files_before_the_command() {
    let spec = with(toml_node(), "version", json!("1.13.3"));

    assert_eq!(
        command_line(&spec),
        "-c /etc/chainlink/config/00-node.toml -c /etc/chainlink/secret-config/1/01-rpc.toml \
         -c /etc/chainlink/config/02-last.toml -s /etc/chainlink/secrets/secrets.toml \
         node start -p /etc/chainlink/credentials/keystore-password -a /etc/chainlink/credentials/api-credentials"
    );
}

#[test]
fn versions_without_cl_config_get_the_operators_settings_as_the_last_file() {
    for version in ["1.11.0", "1.12.0"] {
        let spec = with(toml_node(), "version", json!(version));

        assert!(
            command_line(&spec)
                .contains("02-last.toml -c /etc/chainlink/config/zz-operator.toml -s"),
            "{version}"
        );
        assert_eq!(variable(&spec, "CL_CONFIG"), None, "{version}");
        assert!(
            resolved(&spec).texts["zz-operator.toml"].contains("[Database.Lock]\nEnabled = true")
        );
    }
}

#[test]
fn a_node_with_toml_gets_the_operators_settings_explicitly_and_last() {
    let environment = environment(&toml_node());

    assert_eq!(
        environment[..2],
        [
            "HTTPS_PROXY=http://proxy.example.com",
            "CL_DATABASE_URL from database/url"
        ]
    );
    assert!(
        environment[2].starts_with("CL_CONFIG=RootDir = '/chainlink/root'"),
        "{environment:?}"
    );
    assert_eq!(environment.len(), 3);
}

#[test]
fn a_node_of_version_1_is_told_everything_by_environment_the_operators_last() {
    assert_eq!(
        command_line(&environment_node()),
        "local node -p /etc/chainlink/credentials/keystore-password -a /etc/chainlink/credentials/api-credentials"
    );
    assert_eq!(
        environment(&environment_node()),
        [
            "ETH_CHAIN_ID=1",
            "ADVISORY_LOCK_ID=1027321974924625846",
            "CHAINLINK_PORT=6688",
            "CHAINLINK_TLS_PORT=0",
            "DATABASE_LOCKING_MODE=dual",
            "LOG_FILE_MAX_SIZE=0b",
            "ROOT=/chainlink/root",
            "DATABASE_URL from database/url",
        ]
    );
    let from = container(&environment_node()).env_from.unwrap();
    assert_eq!(from[0].secret_ref.as_ref().unwrap().name, "dot-env");
}

#[test]
fn the_lock_that_is_asked_for_is_the_lock_that_is_set() {
    let spec = with(
        environment_node(),
        "database.lock",
        json!({"mode": "advisorylock"}),
    );

    assert_eq!(
        variable(&spec, "DATABASE_LOCKING_MODE").as_deref(),
        Some("advisorylock")
    );
    assert_eq!(
        pod(&spec).metadata.annotations.unwrap()["chainlink-operator.dev/lock"],
        "advisorylock database/url"
    );
}

#[test]
fn a_node_that_keeps_values_at_home_has_one_that_it_can_write() {
    let newer = with(toml_node(), "version", json!("2.30.0"));
    assert_eq!(variable(&newer, "HOME").as_deref(), Some("/chainlink"));
    let own = json!([{"name": "HOME", "value": "/home/me"}]);
    let own = with(newer, "config.env", own);
    assert_eq!(variable(&own, "HOME").as_deref(), Some("/home/me"));
    assert_eq!(variable(&toml_node(), "HOME"), None);
}

#[test]
fn a_dollar_in_a_value_reaches_the_node_as_it_is() {
    let spec = with(
        toml_node(),
        "config.env",
        json!([{"name": "TEXT", "value": "$(HOME) costs $5 $$"}]),
    );

    // The kubelet reads `$$` as `$`, and expands nothing behind it.
    assert_eq!(
        variable(&spec, "TEXT").as_deref(),
        Some("$$(HOME) costs $$5 $$$$")
    );
}

#[test]
fn a_secret_is_named_and_never_copied() {
    let spec = with(
        toml_node(),
        "config.env",
        json!([{"name": "CL_PASSWORD_VRF", "valueFrom": {"secretKeyRef": {"name": "vrf", "key": "password"}}}]),
    );

    assert!(environment(&spec).contains(&"CL_PASSWORD_VRF from vrf/password".to_owned()));
    let names: Vec<_> = resolved(&spec).texts.into_keys().collect();
    assert_eq!(
        names,
        ["00-node.toml", "02-last.toml"],
        "only what can be read is copied"
    );
    let volumes = serde_json::to_value(pod_spec(&spec).volumes).unwrap();
    assert_eq!(
        volumes[4]["secret"],
        json!({"secretName": "rpc", "items": [{"key": "text", "path": "01-rpc.toml"}]})
    );
}

#[test]
fn a_variable_may_be_a_field_of_the_pod() {
    let spec = with(
        toml_node(),
        "config.env",
        json!([{"name": "MACHINE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]),
    );

    assert!(environment(&spec).contains(&"MACHINE from spec.nodeName".to_owned()));
}

#[test]
fn a_secrets_file_alone_makes_a_node_of_1_13_one_with_toml() {
    let files = json!([{"name": "a.toml", "secretKeyRef": {"name": "a", "key": "toml"}}]);
    let spec = with(environment_node(), "config", json!({"secretsFiles": files}));

    let line = command_line(&spec);
    assert!(
        line.contains("-s /etc/chainlink/secrets-files/0/00-a.toml"),
        "{line}"
    );
}

#[test]
fn a_node_reads_all_of_its_secrets_files_in_order() {
    let files = json!([
        {"name": "b.toml", "secretKeyRef": {"name": "team-b", "key": "toml"}},
        {"name": "a.toml", "secretKeyRef": {"name": "team-a", "key": "toml"}},
    ]);
    let spec = with(toml_node(), "config.secretsFiles", files);

    assert!(
        command_line(&spec).contains(
            "-s /etc/chainlink/secrets/secrets.toml -s /etc/chainlink/secrets-files/0/00-b.toml \
             -s /etc/chainlink/secrets-files/1/01-a.toml start"
        ),
        "{}",
        command_line(&spec)
    );
    let volumes = serde_json::to_value(pod_spec(&spec).volumes).unwrap();
    let volume = volumes.as_array().unwrap().iter();
    let mut volume = volume.filter(|volume| volume["name"] == "secrets-file-1");
    assert_eq!(
        volume.next().unwrap()["secret"],
        json!({"secretName": "team-a", "items": [{"key": "toml", "path": "01-a.toml"}]})
    );
    let mounts = serde_json::to_value(container(&spec).volume_mounts).unwrap();
    let folder = "/etc/chainlink/secrets-files/1";
    let mounted = json!({"name": "secrets-file-1", "mountPath": folder, "readOnly": true});
    assert!(mounts.as_array().unwrap().contains(&mounted), "{mounts}");
    let uses = build::referenced_secrets(&node(&spec).0.spec);
    let mut uses = uses.iter().map(|one| one.name.as_str());
    assert!(uses.any(|name| name == "team-a"), "a change of it is seen");
}

#[test]
fn a_node_that_skips_its_check_of_the_version_is_warned_of() {
    let warnings = |value: Value| {
        let variable = json!([{"name": "CL_SKIP_APP_VERSION_CHECK", "value": value}]);
        resolved(&with(toml_node(), "config.env", variable)).warnings
    };
    let told = warnings(json!("true"));
    assert!(
        told.iter().any(|one| one.contains("makes no dump")),
        "{told:?}"
    );
    assert_eq!(warnings(json!("false")), [""; 0]);
}
