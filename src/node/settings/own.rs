//! What the operator sets in every node.

use std::time::Duration;

use super::fixed::{HTTP_PORT, ROOT_DIR};
use super::p2p::PeerAddress;
use crate::node::lock::{ADVISORY_LOCK_ID, LOCK_ID_VARIABLE, LockMode};
use crate::node::version::NodeVersion;

/// What the operator sets in every node, applied after the user's settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OperatorSettings {
    /// How the node takes the database. Always said explicitly, defaults have changed.
    pub lock: LockMode,
    /// Whether the id of the advisory lock is said explicitly, too: a Secret of variables could set another one.
    pub lock_id: bool,
    /// No server on 6689. Without a certificate the node would log critical errors for it.
    pub https_off: bool,
    /// Where peers reach the node, if the operator is to say so.
    pub peers: Option<PeerAddress>,
    /// How long the lease lasts and how often it is refreshed, if the operator is to say so.
    pub lease: Option<LeaseTimes>,
}

/// How long the lease lasts, and how often it is refreshed and tried for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseTimes {
    pub duration: Duration,
    pub refresh: Duration,
}

/// As the node reads it: `1500ms`, `10s`.
fn written(time: Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("{}s", time.as_secs())
    } else {
        format!("{}ms", time.as_millis())
    }
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
        let peers = self
            .peers
            .as_ref()
            .map(PeerAddress::toml)
            .unwrap_or_default();
        let lease = self.lease.map_or_else(String::new, |lease| {
            format!(
                "LeaseDuration = '{}'\nLeaseRefreshInterval = '{}'\n",
                written(lease.duration),
                written(lease.refresh)
            )
        });
        format!(
            "RootDir = '{ROOT_DIR}'\n\
             \n\
             [Log.File]\n\
             MaxSize = '0b'\n\
             \n\
             [Database.Lock]\n\
             Enabled = true\n\
             {lease}\n\
             [WebServer]\n\
             HTTPPort = {HTTP_PORT}\n\
             {https}{peers}"
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
        if self.lock_id && self.lock.uses_advisory() {
            variables.push((LOCK_ID_VARIABLE, ADVISORY_LOCK_ID.to_string()));
        }
        if let Some(lease) = self.lease.filter(|_| version.knows_locking_mode()) {
            variables.push(("LEASE_LOCK_DURATION", written(lease.duration)));
            variables.push(("LEASE_LOCK_REFRESH_INTERVAL", written(lease.refresh)));
        }
        variables.push(if version.limits_log_file() {
            ("LOG_FILE_MAX_SIZE", "0b".to_owned())
        } else {
            ("LOG_TO_DISK", "false".to_owned())
        });
        variables.extend(self.peers.iter().flat_map(PeerAddress::environment));
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
        OperatorSettings {
            lock,
            lock_id: true,
            https_off,
            peers: None,
            lease: None,
        }
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
                "ADVISORY_LOCK_ID=1027321974924625846",
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
                "ADVISORY_LOCK_ID=1027321974924625846",
                "CHAINLINK_PORT=6688",
                "LOG_TO_DISK=false",
                "ROOT=/chainlink/root",
            ]
        );
    }

    #[test]
    fn a_node_gets_the_times_of_its_lease_in_either_style() {
        let settings = OperatorSettings {
            lease: Some(LeaseTimes {
                duration: Duration::from_secs(20),
                refresh: Duration::from_millis(1500),
            }),
            ..settings(LockMode::Lease, true)
        };
        let toml = settings.toml(&version("2.29.0"));
        let times = "Enabled = true\nLeaseDuration = '20s'\nLeaseRefreshInterval = '1500ms'\n";
        assert!(toml.contains(times), "{toml}");
        assert!(toml.parse::<toml::Table>().is_ok());
        let variables = settings.environment(&version("1.13.3"));
        for (name, value) in [
            ("LEASE_LOCK_DURATION", "20s"),
            ("LEASE_LOCK_REFRESH_INTERVAL", "1500ms"),
        ] {
            assert!(variables.contains(&(name, value.to_owned())), "{name}");
        }
    }

    #[test]
    fn a_node_that_peers_are_to_reach_gets_its_addresses_in_either_style() {
        let announce = Some("203.0.113.7:6690".to_owned());
        let settings = OperatorSettings {
            peers: Some(PeerAddress::new(6690, announce).unwrap()),
            ..settings(LockMode::Lease, false)
        };
        let toml = settings.toml(&version("2.29.0"));

        assert!(
            toml.ends_with(
                "\n[P2P.V2]\nEnabled = true\nListenAddresses = ['0.0.0.0:6690']\n\
                 AnnounceAddresses = ['203.0.113.7:6690']\n"
            ),
            "{toml}"
        );
        assert!(toml.parse::<toml::Table>().is_ok());
        let variables = settings.environment(&version("1.13.3"));
        for (name, value) in [
            ("P2PV2_LISTEN_ADDRESSES", "0.0.0.0:6690"),
            ("P2PV2_ANNOUNCE_ADDRESSES", "203.0.113.7:6690"),
        ] {
            assert!(variables.contains(&(name, value.to_owned())), "{name}");
        }
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
