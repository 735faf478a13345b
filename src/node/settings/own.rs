//! What the operator sets in every node.

use crate::node::lock::LockMode;
use crate::node::version::NodeVersion;

/// The port of the node's API, UI, health and metrics: the node's own default.
pub const HTTP_PORT: u16 = 6688;

/// The port of the same over TLS: the node's own default.
pub const HTTPS_PORT: u16 = 6689;

/// Where the volume for the root folder is mounted.
pub const ROOT_MOUNT: &str = "/chainlink";

/// The node's root folder. Below the volume, because the node changes its mode and so must own
/// it, and a mounted `emptyDir` is root's (measured on a real cluster with 2.18.0 and 2.23.0).
pub const ROOT_DIR: &str = "/chainlink/root";

/// What the operator sets in every node, applied after the user's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperatorSettings {
    /// How the node takes the database. Always said explicitly, defaults have changed.
    pub lock: LockMode,
    /// No server on 6689. Without a certificate the node would log critical errors for it.
    pub https_off: bool,
}

impl OperatorSettings {
    /// As TOML: the text of `CL_CONFIG`, or of the last `-c` file on 1.11 and 1.12.
    ///
    /// Only keys that every version with TOML knows, as unknown ones are refused
    /// (`core/config/v2/docs/core.toml` of 1.11 to 2.0, `core/config/docs/core.toml` since).
    /// [`LockMode`] has no key: the only one is `lease`.
    #[must_use]
    pub fn toml(&self, _version: &NodeVersion) -> String {
        let https = if self.https_off {
            "\n[WebServer.TLS]\nHTTPSPort = 0\n"
        } else {
            ""
        };
        format!(
            "RootDir = '{ROOT_DIR}'\n\
             \n\
             [Log.File]\n\
             MaxSize = '0b'\n\
             \n\
             [Database.Lock]\n\
             Enabled = true\n\
             \n\
             [WebServer]\n\
             HTTPPort = {HTTP_PORT}\n\
             {https}"
        )
    }

    /// As the environment of a node of version 1 (`v1.13.3:core/config/envvar/schema.go`).
    #[must_use]
    pub fn environment(&self, version: &NodeVersion) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("CHAINLINK_PORT", HTTP_PORT.to_string()),
            ("ROOT", ROOT_DIR.to_owned()),
        ];
        if self.https_off {
            variables.push(("CHAINLINK_TLS_PORT", "0".to_owned()));
        }
        if version.knows_locking_mode() {
            variables.push(("DATABASE_LOCKING_MODE", self.lock.env_value().to_owned()));
        }
        variables.push(if version.limits_log_file() {
            ("LOG_FILE_MAX_SIZE", "0b".to_owned())
        } else {
            ("LOG_TO_DISK", "false".to_owned())
        });
        variables.sort_unstable();
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> NodeVersion {
        text.parse().unwrap()
    }

    fn settings(lock: LockMode, https_off: bool) -> OperatorSettings {
        OperatorSettings { lock, https_off }
    }

    #[test]
    fn a_node_with_toml_gets_a_lock_a_port_a_root_and_no_log_file() {
        let toml = settings(LockMode::Lease, true).toml(&version("2.29.0"));

        assert_eq!(
            toml,
            "RootDir = '/chainlink/root'\n\n\
             [Log.File]\nMaxSize = '0b'\n\n\
             [Database.Lock]\nEnabled = true\n\n\
             [WebServer]\nHTTPPort = 6688\n\n\
             [WebServer.TLS]\nHTTPSPort = 0\n"
        );
        assert!(toml.parse::<toml::Table>().is_ok());
    }

    #[test]
    fn a_node_with_a_certificate_keeps_its_https_port() {
        let toml = settings(LockMode::Lease, false).toml(&version("2.29.0"));

        assert!(!toml.contains("TLS"), "{toml}");
        assert!(toml.parse::<toml::Table>().is_ok());
    }

    #[test]
    fn a_node_with_environment_gets_the_same_in_its_words() {
        let environment = |lock, https_off, text| {
            settings(lock, https_off)
                .environment(&version(text))
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
        };

        assert_eq!(
            environment(LockMode::Dual, true, "1.13.3"),
            [
                "CHAINLINK_PORT=6688",
                "CHAINLINK_TLS_PORT=0",
                "DATABASE_LOCKING_MODE=dual",
                "LOG_FILE_MAX_SIZE=0b",
                "ROOT=/chainlink/root",
            ]
        );
        assert_eq!(
            environment(LockMode::Lease, false, "1.2.0"),
            [
                "CHAINLINK_PORT=6688",
                "DATABASE_LOCKING_MODE=lease",
                "LOG_TO_DISK=false",
                "ROOT=/chainlink/root",
            ]
        );
        assert_eq!(
            environment(LockMode::Advisory, false, "1.0.1"),
            [
                "CHAINLINK_PORT=6688",
                "LOG_TO_DISK=false",
                "ROOT=/chainlink/root",
            ]
        );
    }

    #[test]
    fn what_the_operator_sets_has_no_findings_of_its_own() {
        let toml = settings(LockMode::Lease, true).toml(&version("1.11.0"));

        assert_eq!(
            super::super::check_toml(&toml, &version("1.11.0")),
            Ok(Vec::new())
        );
    }
}
