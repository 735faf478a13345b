//! Which template a spec is rendered by, and what is part of a revision.

use super::*;
use crate::build::content::{Style, Value};

fn spec(version: &str) -> ChainlinkNodeSpec {
    serde_json::from_value(serde_json::json!({
        "version": version,
        "database": {"url": {"secretKeyRef": {"name": "database", "key": "url"}}},
        "credentials": {"keystorePassword": {"secretKeyRef": {"name": "keystore", "key": "password"}}},
    }))
    .unwrap()
}

/// Where pods mount a ConfigMap.
fn mounting() -> ChainlinkNodeSpec {
    let mut spec = spec("2.28.0");
    let pod = serde_json::json!({
        "volumes": [{"name": "certificates", "mountPath": "/ca", "configMapName": "ca"}]
    });
    spec.pod = serde_json::from_value(pod).unwrap();
    spec
}

fn maps(texts: &serde_json::Value, binaries: &serde_json::Value) -> ConfigMaps {
    let map = serde_json::json!({"data": texts, "binaryData": binaries});
    ConfigMaps::from([("ca".to_owned(), serde_json::from_value(map).unwrap())])
}

#[test]
fn s8_only_a_node_that_mounts_a_config_map_has_the_third_template() {
    let old = maps(&serde_json::json!({"a": "old"}), &serde_json::Value::Null);
    let new = maps(&serde_json::json!({"a": "new"}), &serde_json::Value::Null);
    let gone = ConfigMaps::new();
    let of = |spec: &ChainlinkNodeSpec, maps, template| {
        let resolved = render("node", spec, maps, None, template).unwrap();
        (
            resolved.content.template,
            resolved.content.mounted_maps.len(),
        )
    };
    assert_eq!(of(&mounting(), &old, 3), (3, 1));
    assert_eq!(of(&spec("2.28.0"), &old, 3), (1, 0));
    assert_eq!(of(&with_grace(40), &old, 3), (2, 0));
    // As it was made, whatever becomes of the ConfigMap, until the user changes something else.
    for template in [1, 2] {
        let before = render("node", &mounting(), &old, None, template).unwrap();
        let recorded = RevisionBefore {
            revision: &before.revision.name,
            template: before.content.template,
        };
        let after = |spec: &ChainlinkNodeSpec, maps| {
            resolve_after(Some(recorded), "node", spec, maps, None)
        };
        for maps in [&old, &new, &gone] {
            assert_eq!(after(&mounting(), maps).unwrap(), before);
        }
        let mut changed = mounting();
        changed.restarted_at = Some("today".to_owned());
        assert_eq!(after(&changed, &old).unwrap().content.template, 3);
    }
}

#[test]
fn what_stands_in_a_mounted_config_map_is_part_of_the_revision_whichever_way_it_is_written() {
    let nothing = serde_json::Value::Null;
    let name = |maps: &ConfigMaps| {
        let resolved = resolve("node", &mounting(), maps).unwrap();
        resolved.revision.name
    };
    let text = |text: &str| maps(&serde_json::json!({"a": text}), &nothing);
    assert_ne!(name(&text("old")), name(&text("new")));
    let renamed = maps(&serde_json::json!({"b": "old"}), &nothing);
    assert_ne!(name(&text("old")), name(&renamed));
    // `b2xk` is `old`.
    let binary = |code: &str| maps(&nothing, &serde_json::json!({"a": code}));
    assert_eq!(name(&text("old")), name(&binary("b2xk")));
    assert_ne!(name(&binary("AAH/")), name(&binary("AAL/")));
    let missing = resolve("node", &mounting(), &ConfigMaps::new()).unwrap_err();
    assert!(missing.missing);
    assert_eq!(missing.reason, Reason::ConfigMapMissing);
    assert!(
        missing
            .message
            .starts_with("spec.pod.volumes (certificates): ConfigMap ca"),
        "{}",
        missing.message
    );
}

#[test]
fn what_lets_a_node_start_on_an_old_server_is_read_and_not_ruled_out_where_it_is_hidden() {
    let may = |config: serde_json::Value| {
        let mut spec = spec("2.66.0");
        spec.config = serde_json::from_value(config).unwrap();
        let resolved = resolve("node", &spec, &ConfigMaps::new()).unwrap();
        resolved.revision.any_postgres
    };
    let file = serde_json::json!([{"name": "node.toml", "inline": "[Log]\nLevel = 'info'\n"}]);
    let with = |env: serde_json::Value, from: serde_json::Value| serde_json::json!({"files": file, "env": env, "envFrom": from});
    let variable = |value: serde_json::Value| {
        let mut variable = value;
        variable["name"] = "SKIP_PG_VERSION_CHECK".into();
        with(serde_json::json!([variable]), serde_json::json!([]))
    };
    let none = serde_json::json!([]);
    assert!(!may(with(none.clone(), none.clone())));
    assert!(may(variable(serde_json::json!({"value": "true"}))));
    assert!(
        !may(variable(serde_json::json!({"value": "1"}))),
        "the node wants the word"
    );
    let key = serde_json::json!({"secretKeyRef": {"name": "variables", "key": "skip"}});
    assert!(may(variable(serde_json::json!({"valueFrom": key}))));
    let secret = serde_json::json!([{"secretRef": {"name": "variables"}}]);
    assert!(may(with(none, secret)));
}

/// A node of version 1 that takes a whole Secret as variables.
fn with_variables_in_a_secret(lock: &str) -> ChainlinkNodeSpec {
    let mut spec = spec("1.13.3");
    let config = serde_json::json!({"envFrom": [{"secretRef": {"name": "variables"}}]});
    spec.config = serde_json::from_value(config).unwrap();
    spec.database.lock = serde_json::from_value(serde_json::json!({"mode": lock})).unwrap();
    spec
}

#[test]
fn s8_only_a_node_that_takes_the_advisory_lock_has_the_fourth_template_and_an_explicit_id() {
    let of = |lock, template| {
        let spec = with_variables_in_a_secret(lock);
        let resolved = render("node", &spec, &ConfigMaps::new(), None, template).unwrap();
        let id = resolved
            .content
            .env
            .iter()
            .find(|(name, _)| name == "ADVISORY_LOCK_ID");
        let id = id.map(|(_, value)| value.clone());
        (resolved, id)
    };
    for lock in ["advisorylock", "dual"] {
        let (newest, id) = of(lock, 4);
        assert_eq!(newest.content.template, 4, "{lock}");
        assert_eq!(id, Some(Value::Text("1027321974924625846".to_owned())));
        assert!(!newest.revision.lock_id_hidden);
        let (before, id) = of(lock, 1);
        assert_eq!(id, None);
        assert!(before.revision.lock_id_hidden, "the Secret may set it");
        assert_eq!(upgraded(&before, &with_variables_in_a_secret(lock)), before);
    }
    assert_eq!(of("lease", 4), of("lease", 1));
}

fn upgraded(before: &Resolved, spec: &ChainlinkNodeSpec) -> Resolved {
    let recorded = RevisionBefore {
        revision: &before.revision.name,
        template: before.content.template,
    };
    newer_only_with_a_change(Some(recorded), TEMPLATE + 1, |template| {
        render("node", spec, &ConfigMaps::new(), None, template)
    })
    .unwrap()
}

/// Where the node's own files set how long it takes to stop.
fn with_grace(seconds: u32) -> ChainlinkNodeSpec {
    let mut spec = spec("2.28.0");
    let file = format!("ShutdownGracePeriod = '{seconds}s'");
    spec.config = serde_json::from_value(
        serde_json::json!({"files": [{"name": "node.toml", "inline": file}]}),
    )
    .unwrap();
    spec
}

#[test]
fn s8_only_a_node_that_needs_more_time_to_stop_has_the_second_template() {
    let of = |spec: &ChainlinkNodeSpec, template| {
        let resolved = render("node", spec, &ConfigMaps::new(), None, template).unwrap();
        let seconds = resolved.content.pod.termination_grace_period_seconds;
        (resolved.content.template, seconds)
    };
    assert_eq!(of(&spec("2.28.0"), 2), (1, None));
    assert_eq!(of(&with_grace(15), 2), (1, None));
    assert_eq!(of(&with_grace(40), 2), (2, Some(55)));
    // As it was made, until the user changes something.
    assert_eq!(of(&with_grace(40), 1), (1, None));
    let before = render("node", &with_grace(40), &ConfigMaps::new(), None, 1).unwrap();
    let recorded = RevisionBefore {
        revision: &before.revision.name,
        template: 1,
    };
    let maps = ConfigMaps::new();
    let kept = resolve_after(Some(recorded), "node", &with_grace(40), &maps, None).unwrap();
    assert_eq!(kept, before);
    let changed = resolve_after(Some(recorded), "node", &with_grace(50), &maps, None).unwrap();
    assert_eq!(changed.content.template, 2);
}

/// With telemetry in the node's own file.
fn with_telemetry(more: &str) -> ChainlinkNodeSpec {
    let mut spec = spec("2.28.0");
    let file = format!("{more}\n[Telemetry]\nEnabled = true");
    spec.config = serde_json::from_value(
        serde_json::json!({"files": [{"name": "node.toml", "inline": file}]}),
    )
    .unwrap();
    spec
}

#[test]
fn s8_only_a_node_with_telemetry_has_the_sixth_template_and_the_time_to_send_the_rest() {
    let maps = ConfigMaps::new();
    let of = |spec: &ChainlinkNodeSpec, template| {
        let resolved = render("node", spec, &maps, None, template).unwrap();
        let seconds = resolved.content.pod.termination_grace_period_seconds;
        (resolved.content.template, seconds)
    };
    assert_eq!(of(&with_telemetry(""), 6), (6, Some(50)));
    let slow = with_telemetry("ShutdownGracePeriod = '40s'");
    assert_eq!(of(&slow, 6), (6, Some(85)));
    assert_eq!(of(&slow, 5), (2, Some(55)));
    assert_eq!(of(&spec("2.28.0"), 6), (1, None));
    assert_eq!(of(&with_grace(40), 6), (2, Some(55)));

    let before = render("node", &with_telemetry(""), &maps, None, 5).unwrap();
    let recorded = RevisionBefore {
        revision: &before.revision.name,
        template: before.content.template,
    };
    let after = |spec: &ChainlinkNodeSpec| {
        resolve_after(Some(recorded), "node", spec, &maps, None).unwrap()
    };
    assert_eq!(after(&with_telemetry("")), before);
    assert_eq!(after(&with_telemetry("# changed")).content.template, 6);
}

#[test]
fn a_time_to_end_that_telemetry_may_exceed_is_warned_of_and_kept() {
    let given = |seconds| {
        let mut spec = with_telemetry("");
        spec.pod = Some(PodOptions {
            termination_grace_period_seconds: Some(seconds),
            ..PodOptions::default()
        });
        resolve("node", &spec, &ConfigMaps::new()).unwrap()
    };
    let short = given(40);
    assert_eq!(short.content.pod.termination_grace_period_seconds, Some(40));
    assert_eq!(short.content.template, 1);
    let warning = short.warnings.join("; ");
    assert!(warning.contains("write 50 or more"), "{warning}");
    assert_eq!(given(50).warnings, Vec::<String>::new());
}

#[test]
fn a_grace_that_the_node_itself_may_exceed_is_refused_with_what_to_write() {
    let mut spec = with_grace(40);
    let mut given = |seconds| {
        spec.pod = Some(PodOptions {
            termination_grace_period_seconds: Some(seconds),
            ..PodOptions::default()
        });
        resolve("node", &spec, &ConfigMaps::new())
    };
    let message = given(54).unwrap_err().message;
    assert!(message.contains("write 55 or more"), "{message}");
    assert!(
        message.contains("40 s for itself (ShutdownGracePeriod)"),
        "{message}"
    );
    assert_eq!(given(55).unwrap().content.template, 1);
    // Written out, the least is still what was asked for.
    assert!(given(30).is_err());
}

#[test]
fn a_time_that_can_not_be_read_is_refused_and_named() {
    for (part, field) in [
        (
            r#"{"handover": {"windows": [{"schedule": "0 2 * * *", "duration": "200h"}]}}"#,
            "spec.handover.windows[0].duration",
        ),
        (
            r#"{"handover": {"windows": [{"schedule": "0 2 * * *", "duration": "0s"}]}}"#,
            "such a window never opens",
        ),
        (
            r#"{"handover": {"preferred": {"nodeSelector": {"a": "b"}, "steadyFor": "9999h"}}}"#,
            "spec.handover.preferred.steadyFor",
        ),
        (
            r#"{"failover": {"unresponsiveAfter": "9999h"}}"#,
            "spec.failover.unresponsiveAfter",
        ),
        (
            r#"{"failover": {"unresponsiveAfter": "0s"}}"#,
            "write 10s or more",
        ),
        (
            r#"{"pod": {"terminationGracePeriodSeconds": 5}}"#,
            "write 30 to 3600",
        ),
    ] {
        let mut whole = serde_json::to_value(spec("2.28.0")).unwrap();
        let part: serde_json::Value = serde_json::from_str(part).unwrap();
        let fields = part.as_object().unwrap().clone();
        whole.as_object_mut().unwrap().extend(fields);
        let spec: ChainlinkNodeSpec = serde_json::from_value(whole).unwrap();
        let problem = resolve("node", &spec, &ConfigMaps::new()).unwrap_err();
        assert_eq!(problem.reason, Reason::InvalidSpec);
        assert!(problem.message.contains(field), "{}", problem.message);
    }
}

#[test]
fn s8_a_newer_operator_keeps_the_recorded_template_until_the_user_changes_something() {
    let before = resolve("node", &spec("2.28.0"), &ConfigMaps::new()).unwrap();
    assert_eq!(upgraded(&before, &spec("2.28.0")), before);

    let changed = upgraded(&before, &spec("2.29.0"));
    assert_eq!(changed.content.template, TEMPLATE + 1);
    assert_eq!(upgraded(&changed, &spec("2.29.0")), changed);
}

#[test]
fn a_node_of_version_1_is_configured_by_files_where_the_spec_names_any() {
    let style = |config: serde_json::Value| {
        let mut spec = spec("1.13.3");
        spec.config = serde_json::from_value(config).unwrap();
        let resolved = render("node", &spec, &ConfigMaps::new(), None, TEMPLATE).unwrap();
        resolved.content.style
    };
    let secret = serde_json::json!({"name": "rpc", "key": "toml"});
    let named = serde_json::json!([{"name": "a.toml", "secretKeyRef": secret}]);
    let alone = serde_json::json!({"secretKeyRef": secret});
    assert_eq!(style(serde_json::json!({})), Style::Environment);
    for (field, files) in [
        ("files", &named),
        ("secretsFiles", &named),
        ("secretsToml", &alone),
    ] {
        assert_eq!(
            style(serde_json::json!({field: files})),
            Style::Toml,
            "{field}"
        );
    }
}

/// How often a pod tries the lock while it waits: a planned stop goes by it.
#[test]
fn how_often_a_pod_tries_the_lock_is_read_from_its_revision() {
    let tries_each = |version: &str, lock: &serde_json::Value, env: &serde_json::Value| {
        let mut spec = spec(version);
        spec.database.lock = serde_json::from_value(lock.clone()).unwrap();
        if version.starts_with('1') {
            let config = serde_json::json!({"env": env});
            spec.config = serde_json::from_value(config).unwrap();
        }
        let resolved = render("node", &spec, &ConfigMaps::new(), None, TEMPLATE);
        let each = resolved.unwrap().content.tries_each();
        each.map(|each| each.as_secs())
    };
    let (none, no_env) = (serde_json::Value::Null, serde_json::json!([]));
    let slow = serde_json::json!({"leaseDuration": "10s", "refreshInterval": "4s"});
    for version in ["1.13.3", "2.28.0"] {
        assert_eq!(tries_each(version, &none, &no_env), Some(1), "{version}");
        assert_eq!(tries_each(version, &slow, &no_env), Some(4), "{version}");
    }
    let advisory = serde_json::json!({"mode": "advisorylock"});
    let variable = |of: &serde_json::Value| {
        let mut variable = serde_json::json!({"name": "ADVISORY_LOCK_CHECK_INTERVAL"});
        let fields = of.as_object().unwrap().clone();
        variable.as_object_mut().unwrap().extend(fields);
        serde_json::json!([variable])
    };
    let text = variable(&serde_json::json!({"value": "2s"}));
    assert_eq!(tries_each("1.13.3", &advisory, &text), Some(2));
    let secret = serde_json::json!({"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
    let secret = variable(&secret);
    assert_eq!(tries_each("1.13.3", &advisory, &secret), None);
}
