//! Environment variables that a user may not set: the operator sets them itself, or they would
//! override what it sets, or the node would refuse to start.

use crate::node::legacy::is_legacy_variable;
use crate::node::version::{ConfigStyle, NodeVersion};

const DATABASE_URL: &str =
    "name the Secret that holds the database's URL in spec.database.url instead";
const ROOT: &str =
    "leave it out: the operator sets the root folder, every pod has its own at /chainlink/root";
const PORT: &str = "leave it out: the operator sets the port, it is always 6688";
const LOCK: &str = "set spec.database.lock.mode instead";
const LOG_FILE: &str =
    "leave it out: the operator turns the log file off, read the pod's log instead";

/// Whether this variable, where it is `true`, lets a node start on a `PostgreSQL` that is too old for it
/// (`core/services/pg/connection.go`; read).
#[must_use]
pub fn skips_postgres_check(variable: &str) -> bool {
    variable == "SKIP_PG_VERSION_CHECK"
}

/// Why a user may not set this environment variable, and what to write instead; `None` for one
/// that is theirs to set.
#[must_use]
pub fn reserved_variable(
    name: &str,
    version: &NodeVersion,
    style: ConfigStyle,
) -> Option<&'static str> {
    match style {
        ConfigStyle::Toml => with_toml(name),
        ConfigStyle::Environment => with_environment(name, version),
    }
    .or_else(|| in_any_style(name))
}

/// Whether a variable is a secret by its name, or by a URL with a password in it: such a value may stand in nothing
/// that whoever reads the resource or a ConfigMap could read.
///
/// The node's own are `models.Secret` in `v2.29.0:core/config/env/env.go`, and the tokens and the backup's URL of
/// `v1.13.3:core/config/envvar/schema.go`; `PGPASSWORD` is a database driver's.
#[must_use]
pub fn secret_variable(name: &str, value: &str) -> bool {
    const PARTS: [&str; 5] = ["PASSWORD", "SECRET", "TOKEN", "ACCESS_KEY", "KEY_SHARE"];
    // A switch, and files that only lie somewhere.
    let harmless = name == "CL_DATABASE_ALLOW_SIMPLE_PASSWORDS"
        || ["_FILE", "_PATH", "_DIR"]
            .iter()
            .any(|end| name.ends_with(end));
    let the_nodes = name.starts_with("CL_") || name.starts_with("PG") || is_legacy_variable(name);
    let by_name = PARTS.iter().any(|part| name.contains(part))
        || ["DATABASE_BACKUP_URL", "CL_DATABASE_BACKUP_URL"].contains(&name);
    !value.is_empty() && the_nodes && !harmless && (by_name || has_password(value))
}

/// `scheme://user:password@host`.
fn has_password(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let userinfo = rest.split_once('@').map(|(userinfo, _)| userinfo);
        userinfo.is_some_and(|userinfo| {
            userinfo.contains(':') && !userinfo.contains(|c: char| c.is_whitespace() || c == ',')
        })
    })
}

fn in_any_style(name: &str) -> Option<&'static str> {
    Some(match name {
        // Applied after every file: it could switch the lock off or move the port.
        "CL_CONFIG" => "put the TOML into spec.config.files instead",
        "CL_DATABASE_URL" => DATABASE_URL,
        "CL_PASSWORD_KEYSTORE" => {
            "name the Secret that holds the keystore password in \
             spec.credentials.keystorePassword instead"
        }
        _ => return None,
    })
}

fn with_toml(name: &str) -> Option<&'static str> {
    Some(match name {
        "DATABASE_URL" => DATABASE_URL,
        "ROOT" => ROOT,
        "CHAINLINK_PORT" | "CHAINLINK_TLS_PORT" => PORT,
        "DATABASE_LOCKING_MODE" => LOCK,
        _ if is_legacy_variable(name) => {
            "write the setting as TOML in spec.config.files instead: it is a variable of \
             Chainlink 1, and a node with TOML configuration does not start while it is set"
        }
        _ => return None,
    })
}

fn with_environment(name: &str, version: &NodeVersion) -> Option<&'static str> {
    Some(match name {
        "DATABASE_URL" => DATABASE_URL,
        "ROOT" => ROOT,
        "CHAINLINK_PORT" => PORT,
        "CHAINLINK_TLS_PORT" => {
            "leave it out: HTTPS is on port 6689 when TLS_CERT_PATH and TLS_KEY_PATH are set, \
             else off"
        }
        "DATABASE_LOCKING_MODE" if version.knows_locking_mode() => LOCK,
        "DATABASE_LOCKING_MODE" => {
            "leave it out: this version knows no other lock than advisorylock"
        }
        // Every node of one database must ask for the same lock.
        "ADVISORY_LOCK_ID" => {
            "leave it out: all nodes of one database must use the same lock, the default one"
        }
        "LOG_FILE_MAX_SIZE" | "LOG_TO_DISK" => LOG_FILE,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConfigStyle::{Environment, Toml};

    fn reserved(name: &str, version: &str, style: ConfigStyle) -> Option<&'static str> {
        reserved_variable(name, &version.parse().unwrap(), style)
    }

    #[test]
    fn what_would_override_the_operator_names_the_field_to_use() {
        for (name, field) in [
            ("CL_CONFIG", "spec.config.files"),
            ("CL_DATABASE_URL", "spec.database.url"),
            ("CL_PASSWORD_KEYSTORE", "spec.credentials.keystorePassword"),
            ("DATABASE_URL", "spec.database.url"),
            ("DATABASE_LOCKING_MODE", "spec.database.lock.mode"),
        ] {
            for style in [Environment, Toml] {
                let sentence = reserved(name, "1.13.3", style).unwrap();
                assert!(sentence.contains(field), "{name}: {sentence}");
            }
        }
    }

    #[test]
    fn every_variable_that_the_operator_sets_is_reserved() {
        use super::super::OperatorSettings;
        use crate::node::LockMode;

        for text in ["1.0.1", "1.2.0", "1.13.3"] {
            let version: NodeVersion = text.parse().unwrap();
            let settings = OperatorSettings {
                lock: LockMode::Advisory,
                lock_id: true,
                https_off: true,
                peers: None,
                lease: None,
            };
            for (name, _) in settings.environment(&version) {
                assert!(
                    reserved_variable(name, &version, Environment).is_some(),
                    "{text}: {name}"
                );
            }
        }
    }

    #[test]
    fn a_variable_of_version_1_is_refused_beside_toml_in_every_version() {
        for version in ["1.11.0", "2.29.0"] {
            let sentence = reserved("ETH_URL", version, Toml).unwrap();
            assert!(sentence.contains("spec.config.files"), "{sentence}");
        }
        assert_eq!(reserved("ETH_URL", "1.11.0", Environment), None);
    }

    #[test]
    fn what_is_a_secret_is_known_by_its_name_or_by_a_password_in_it() {
        for name in [
            "CL_PASSWORD_VRF",
            "CL_DATABASE_BACKUP_URL",
            "DATABASE_BACKUP_URL",
            "CL_PROMETHEUS_AUTH_TOKEN",
            "CL_PYROSCOPE_AUTH_TOKEN",
            "CL_EXPLORER_ACCESS_KEY",
            "CL_EXPLORER_SECRET",
            "CL_THRESHOLD_KEY_SHARE",
            "PROMETHEUS_AUTH_TOKEN",
            "EXPLORER_SECRET",
            "PGPASSWORD",
        ] {
            assert!(secret_variable(name, "anything"), "{name}");
            assert!(!secret_variable(name, ""), "{name}");
        }
        assert!(secret_variable("ETH_URL", "wss://me:hunter2@rpc.example"));
        assert!(secret_variable(
            "CL_SOME_URL",
            "postgres://u:hunt/er2@db/cl"
        ));
        for (name, value) in [
            ("ETH_URL", "wss://rpc.example:8546/ws"),
            ("CL_DATABASE_ALLOW_SIMPLE_PASSWORDS", "false"),
            ("CL_LOG_COLOR", "true"),
            ("HTTPS_PROXY", "http://proxy.example:3128"),
            ("P2PV2_BOOTSTRAPPERS", "12D3@host:6690 12D3@other:6690"),
            ("PGSSLMODE", "require"),
        ] {
            assert!(!secret_variable(name, value), "{name}");
        }
    }

    #[test]
    fn the_users_own_variables_are_free() {
        for name in [
            "HTTPS_PROXY",
            "CL_LOG_COLOR",
            "CL_PASSWORD_VRF",
            "CL_PROMETHEUS_AUTH_TOKEN",
            "CL_DATABASE_ALLOW_SIMPLE_PASSWORDS",
            "TZ",
        ] {
            assert_eq!(reserved(name, "2.29.0", Toml), None, "{name}");
        }
    }
}
